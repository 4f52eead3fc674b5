/* check_share.c - `--batch-per-rank`: a batch in shares, one or some for each process. */
#include "check/check_parts.h"

#include <string.h>

/* Groups of samples must lie within a share. */
static void check_groups_of(struct check *c)
{
    const struct model *m = c->model;

    for (int i = 0; i < m->layers_count; i++) {
        const struct layer *l = m->layers[i];
        if (strcmp(l->def->clause.name, "batchnorm") || !l->trainable)
            continue;
        const int group = (int)clause_int(l->clause, "group");  /* 0: all of the batch */
        if (!group || m->share % group == 0)
            continue;
        diag_error(c->diag, DIAG_bad_share, l->where,
                   "'%s' normalises by groups of %d samples of a batch, which is shared out in parts of %d samples",
                       l->name,
                   group, m->share);
        diag_hint(c->diag, "each part must hold whole groups: batchnorm group=%d takes one from each", m->share);
    }
}

void check_share(struct check *c, const struct ast_statement *train)
{
    enum { SHARES = 4 };            /* of 'auto' */
    struct model *m = c->model;
    const int asked = c->options->share;

    m->share = asked > 0 ? asked : (m->batch + SHARES - 1) / SHARES;
    if (m->share > m->batch)
        diag_error(c->diag, DIAG_bad_share, c->batch_where.file ? c->batch_where : train->word_where,
                   "a share of %d samples (--batch-per-rank) is more than the batch of %d", m->share, m->batch);
    else
        check_groups_of(c);
}
