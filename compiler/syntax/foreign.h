/* foreign.h - words of other tools and what is written here: the table is foreign.def. */
#ifndef FOREIGN_H
#define FOREIGN_H

#include <stddef.h>

/* Where a word is met; a row of the table may name several. */
enum foreign_place {
    FOREIGN_TOP = 1,            /* a statement outside of the sections */
    FOREIGN_DATA = 2, FOREIGN_NETWORK = 4, FOREIGN_TRAIN = 8,   /* a statement of that section */
    FOREIGN_KEY = 16,           /* the name of an argument */
    FOREIGN_ACTIVATION = 32, FOREIGN_INIT = 64, FOREIGN_MONITOR = 128, FOREIGN_WORD = 256,      /* its value */
    FOREIGN_LOSS = 512, FOREIGN_OPTIMIZER = 1024, FOREIGN_METRIC = 2048, FOREIGN_SCHEDULE = 4096,
    FOREIGN_NOWHERE = 0         /* a name of the user's: nothing is known of it */
};

enum foreign_kind { FOREIGN_NAME, FOREIGN_WRITE, FOREIGN_SAY };

struct foreign {
    int places;
    const char *owner, *words;
    enum foreign_kind kind;
    const char *text;
};

/* The row of the table for a word met at a place (`owner`: the clause of an argument; "": none) after the row `after`
 * (NULL: from the first on), or NULL. */
const struct foreign *foreign_find(const struct foreign *after, enum foreign_place place, const char *owner,
                                   const char *word);
/* foreign_text.c: what a file is that is plainly no model ("C source", "YAML"), or NULL.  The text is followed by a
 * byte of 0. */
const char *foreign_text(const char *text, size_t size);

#endif
