/* chain_parts.h - what the operations of a chain (chain_links.c) and the chains made of them (chain.c) share. */
#ifndef CHAIN_PARTS_H
#define CHAIN_PARTS_H

#include "kernels/loops.h"

enum { OPERANDS_OF_NODE = 7 };

/* What a link reads while it is written. */
struct link_text {
    struct emitter *e;
    const struct node *node;
    const char *loads[OPERANDS_OF_NODE];    /* vectors; for INDEX and SCALAR the number */
    int count;
};

struct link {
    enum op op;
    int value_input;
    void (*operands)(const struct plan *p, const struct node *n, int value, struct chain *c);
    const char *(*apply)(const struct link_text *t, const char *value);
    double (*cycles)(const struct plan *p, const struct node *n);
    /* As apply, of one number in plain C; value NULL: what a sum adds, by itself.  NULL: not for the target
     * `portable`. */
    const char *(*plain)(const struct link_text *t, const char *value);
};

/* chain_sums.c: what the sums of g->sums read and write, after all else. */
void chain_sums_operands(const struct plan *p, const struct group *g, struct chain *c);
/* Twice an offset, as C text. */
const char *text_twice(struct emitter *e, const char *offset);
/* chain_links.c: adds an operand that points to numbers of t. */
struct operand *chain_operand(const struct plan *p, struct chain *c, enum operand_kind kind, const char *name,
                              const char *type);

/* NULL: the operation is none of them. */
const struct link *link_find(enum op op);
/* Whether it adds an operand to the value. */
bool link_is_sum(const struct link *link);
/* Whether b has one value a channel and is spread over a's h x w. */
bool link_is_spread(const struct tensor *a, const struct tensor *b);

#endif
