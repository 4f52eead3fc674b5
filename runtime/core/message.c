/* message.c - one line on stderr at a time. */
#define _GNU_SOURCE
#include "core/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static _Thread_local bool held;

void rt_message_hold(bool hold)
{
    held = hold;
}

static void say(const char *kind, const char *format, va_list args) RT_PRINTF(2, 0);

static void say(const char *kind, const char *format, va_list args)
{
    if (held)
        return;
    /* what stdout still holds belongs before the message when both go to one place */
    fflush(stdout);
#if defined __linux__
    rt_print_name(stderr, program_invocation_short_name);
    fputs(": ", stderr);
#endif
    fprintf(stderr, "%s: ", kind);
    rt_vprint_line(stderr, format, args);
}

void rt_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("error", format, args);
    va_end(args);
}

void rt_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("note", format, args);
    va_end(args);
}
