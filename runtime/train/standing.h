/* standing.h - how processes that are about to do something together stand: whether each can begin, and what the first
 * one has to give to the others. */
#ifndef STANDING_H
#define STANDING_H

#include "cnnrt.h"

struct standing {
    const struct cnn_ranks *ranks;      /* NULL: this process is alone */
    char *fault;                /* what this one could not, where another one says it; NULL: nothing is caught */
    bool asked;                 /* all have said whether they can, for the last time */
    bool refused;               /* some cannot, or not with the same */
};

/* What must be the same everywhere: a name for each, behind "rank 1 on HOST has". */
enum { FACTS_MOST = 16 };
struct standing_facts {
    int count;
    const char *const *names;
    uint64_t values[FACTS_MOST];
};

/* A process that is ready says so, all at the same places of the program, and what it is about to do; what is not right
 * is told by the first one alone.  facts: what the first one has all must have; NULL: nothing.  0, or -1: they do not
 * go on together. */
int rt_standing_ready(struct standing *s, const char *about, const struct standing_facts *facts);
/* The last time: from here on all have the same to say of what they do together, and the first one says it. */
int rt_standing_last(struct standing *s, const char *about, const struct standing_facts *facts);
/* A process that cannot go on says so once, whatever the others are about to do then, and none goes on. */
void rt_standing_fail(struct standing *s);

/* The first one's bytes to all that are ready, in words of what they are: *bytes is malloc'd where it was not the
 * first's, with one zero more behind it; none leave *bytes and *count as they are.  0, or -1 with a message. */
int rt_standing_give(struct standing *s, const char *what, unsigned char **bytes, uint64_t *count);

/* Parameters, statistics and notes of the first one's network into that of all.  Likewise. */
int rt_standing_give_weights(struct standing *s, struct cnn_context *c);

#endif
