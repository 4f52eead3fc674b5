/* numbers.h - numbers as people read them. */
#ifndef NUMBERS_H
#define NUMBERS_H

#include <stdint.h>

/* 1,234,567: into text, which has room for 27 characters and the end. */
const char *grouped(char *text, int64_t number);

#endif
