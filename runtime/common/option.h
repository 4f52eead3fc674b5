/* option.h - one table of options: it parses a command line, says what is wrong with an argument, prints --help and
 * writes completions.  The compiler and the trainers share this. */
#ifndef OPTION_H
#define OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPTION_WORDS_MAX = 20 };         /* of one option, the NULL behind them counted */

/* What an argument is and what stands at the option's place in the program's struct. */
enum option_kind {
    OPTION_FLAG,                /* takes none: a bool, set to true */
    OPTION_TEXT,                /* a const char *, not empty */
    OPTION_WHOLE,               /* an int64_t from least to most */
    OPTION_REAL,                /* a double from low to high; not `low` itself where it is `above` */
    OPTION_WORD,                /* an int: which of `words` it is, counted from `least` on */
    OPTION_OWN,                 /* `set` takes it */
    OPTION_ASKS                 /* nothing is stored: the program acts on it at once */
};

/* What a shell offers for an argument that is no word of a list. */
enum option_completes { COMPLETE_NOTHING, COMPLETE_FILE, COMPLETE_FOLDER };

struct option_row {
    char letter;                /* '\0': none */
    const char *name;
    const char *argument;       /* as --help calls it; NULL: takes none; "[FILE]": it may be left out */
    const char *help;
    enum option_kind kind;
    size_t place;               /* in the program's struct */
    const char *expected;       /* of the argument, after "expected "; NULL: it follows from the kind */
    int64_t least, most;
    double low, high;
    bool above;
    /* Its words; where a kind is not OPTION_WORD they are only offered. */
    const char *words[OPTION_WORDS_MAX];
    enum option_completes completes;
    bool repeats;
    int commands;               /* bits of the commands that it means something to */
    /* OPTION_OWN: `into` is the program's struct, argument NULL where it was left out.  NULL, or what was expected. */
    const char *(*set)(void *into, const char *argument);
};

/* Stores an argument as the row says.  NULL, or what was expected instead, in `text` where it had to be put
 * together. */
const char *rt_option_store(const struct option_row *row, const char *argument, void *into, char *text, size_t size);

#endif
