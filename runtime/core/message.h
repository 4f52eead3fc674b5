/* message.h - what the runtime says when something is wrong: one line on stderr, headed by the
 * program's name, as printable.h shows it. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/printable.h"

/* The run cannot go on as asked. */
void rt_error(const char *format, ...) RT_PRINTF(1, 2);
/* Something a user should know; the run goes on. */
void rt_note(const char *format, ...) RT_PRINTF(1, 2);

/* Whether what the calling thread says is not said from here on: of what is tried ahead of time, and tried again by
 * who needs it. */
void rt_message_hold(bool hold);

/* From here on the first error of the calling thread is kept there (NULL: nowhere).  quiet: notes are not said, nor
 * errors that are kept. */
void rt_message_catch(char *text, size_t size, bool quiet);

#endif
