/* foreign.c - see foreign.h. */
#include "syntax/foreign.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static const struct foreign table[] = {
#define TOP FOREIGN_TOP
#define DATA FOREIGN_DATA
#define NETWORK FOREIGN_NETWORK
#define TRAIN FOREIGN_TRAIN
#define KEY FOREIGN_KEY
#define ACTIVATION FOREIGN_ACTIVATION
#define INIT FOREIGN_INIT
#define MONITOR FOREIGN_MONITOR
#define WORD FOREIGN_WORD
#define LOSS FOREIGN_LOSS
#define OPTIMIZER FOREIGN_OPTIMIZER
#define METRIC FOREIGN_METRIC
#define SCHEDULE FOREIGN_SCHEDULE
#define FOREIGN(places, owner, words, kind, text) {places, owner, words, FOREIGN_##kind, text},
#include "syntax/foreign.def"
};

enum { ROWS = sizeof table / sizeof *table, LONGEST = 64 };

/* The word as the table has it: nn.Conv2d and Conv_2D are conv2d. */
static bool plain_word(const char *word, char plain[LONGEST + 1])
{
    const char *dot = strrchr(word, '.');
    size_t n = 0;

    for (const char *c = dot ? dot + 1 : word; *c; c++) {
        if (*c == '_')
            continue;
        if (n == LONGEST)
            return false;
        plain[n++] = (char)tolower((unsigned char)*c);
    }
    plain[n] = '\0';
    return n > 0;
}

static bool is_listed(const char *words, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = strstr(words, word); at; at = strstr(at + 1, word))
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

const struct foreign *foreign_find(const struct foreign *after, enum foreign_place place, const char *owner,
                                   const char *word)
{
    char plain[LONGEST + 1];

    if (!plain_word(word, plain))
        return NULL;
    for (const struct foreign *f = after ? after + 1 : table; f < table + ROWS; f++)
        if ((f->places & (int)place) && (!f->owner[0] || !strcmp(f->owner, owner)) && is_listed(f->words, plain))
            return f;
    return NULL;
}
