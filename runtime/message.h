/* message.h - what the runtime says when something is wrong: one line on stderr, headed by the
 * program's name. */
#ifndef MESSAGE_H
#define MESSAGE_H

#if defined __GNUC__
#define RT_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define RT_PRINTF(text, first)
#endif

/* The run cannot go on as asked. */
void rt_error(const char *format, ...) RT_PRINTF(1, 2);
/* Something a user should know; the run goes on. */
void rt_note(const char *format, ...) RT_PRINTF(1, 2);

#endif
