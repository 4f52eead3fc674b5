/* message.c - one line on stderr at a time. */
#define _GNU_SOURCE
#include "core/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static _Thread_local bool held, notes_held;
static _Thread_local char *caught;
static _Thread_local size_t caught_size;

void rt_message_hold(bool hold)
{
    held = hold;
}

void rt_message_catch(char *text, size_t size, bool quiet)
{
    caught = text;
    caught_size = size;
    notes_held = quiet;
    if (text && size > 0)
        *text = '\0';
}

static void say(const char *kind, const char *format, va_list args) RT_PRINTF(2, 0);

static void say(const char *kind, const char *format, va_list args)
{
    bool is_error = *kind == 'e';
    if (held || (notes_held && !is_error))
        return;
    if (caught && is_error && !*caught) {
        va_list again;
        va_copy(again, args);
        vsnprintf(caught, caught_size, format, again);
        va_end(again);
    }
    if (caught && notes_held)
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
