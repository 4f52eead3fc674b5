/* printable.h - text that others have written (names of files and classes, strings of a model) on
 * its way to a person.  What a terminal would obey instead of showing it is shown as "\x1b".  All
 * messages of the compiler and of the trainers go this way, and all tables and logs. */
#ifndef PRINTABLE_H
#define PRINTABLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#if defined __GNUC__
#define RT_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define RT_PRINTF(text, first)
#endif

/* The bytes of the character at `text`, of which `room` bytes are there, that may be shown as it is:
 * a well-formed character of UTF-8 that controls nothing.  0: there is none. */
size_t rt_printable_length(const char *text, size_t room);

/* As printf(), into a file: ends of lines and tabs are left as they are. */
void rt_print(FILE *out, const char *format, ...) RT_PRINTF(2, 3);
void rt_vprint(FILE *out, const char *format, va_list args) RT_PRINTF(2, 0);
/* One line whatever stands in it; its end is added. */
void rt_print_line(FILE *out, const char *format, ...) RT_PRINTF(2, 3);
void rt_vprint_line(FILE *out, const char *format, va_list args) RT_PRINTF(2, 0);
/* A part of a line. */
void rt_print_name(FILE *out, const char *text);
/* The same, malloc'd.  NULL: no memory. */
char *rt_printable(const char *text);

#endif
