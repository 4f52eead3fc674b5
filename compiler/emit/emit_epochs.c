/* emit_epochs.c - which steps of training are left out in an epoch, as plan_epochs.c has found it: a function for each
 * kind of epochs, which the schedule asks. */
#include <math.h>

#include "base/text.h"
#include "emit/emit.h"

static const char *span_test(struct emitter *e, struct epoch_span s)
{
    const char *from = s.from > 0 ? arena_printf(e->arena, "c->epoch >= %s", emit_number(e, s.from)) : "",
               *until = s.until < INFINITY ? arena_printf(e->arena, "c->epoch < %s", emit_number(e, s.until)) : "";
    const char *both = arena_printf(e->arena, "%s%s%s", from, *from && *until ? " && " : "", until);
    return *from && *until ? arena_printf(e->arena, "(%s)", both) : both;
}

/* "whiten.bias, dense_1.weight": what is trained in these epochs and not in all. */
static const char *trained_params(struct emitter *e, const struct epochs *epochs)
{
    enum { NAMED = 6 };
    const struct plan *p = e->plan;
    const struct graph *g = p->train.graph;
    struct text list = { .arena = e->arena };
    int count = 0;
    for (int i = 0; i < g->params_count; i++) {
        const struct epoch_span s = plan_trained_epochs(p, g->params[i]);
        if (g->params[i]->role == CNN_STATISTIC || !plan_epochs_hold(epochs, s))
            continue;
        if (count++ < NAMED)
            text_add(&list, "%s%s", list.count ? ", " : "", g->params[i]->name);
    }
    if (count > NAMED)
        text_add(&list, " and %d more", count - NAMED);
    return text_of(&list);
}

void emit_epochs(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    for (int i = 0; i < p->epochs_count; i++) {
        struct text test = { .arena = e->arena };
        for (int k = 0; k < p->epochs[i]->count; k++)
            text_add(&test, " || %s", span_test(e, p->epochs[i]->spans[k]));
        cw_comment(w, "Whether gradients of %s are wanted; where they are not, what only they need is left out.",
                   trained_params(e, p->epochs[i]));
        cw_line(w, "static bool trained_%d(const struct cnn_context *c)", i);
        cw_open(w, "{");
        cw_line(w, "return !c->trained_only%s;", text_of(&test));
        cw_close(w, "}");
        cw_blank(w);
    }
}

void emit_epochs_begin(struct cwriter *w, const struct epochs *epochs)
{
    if (epochs)
        cw_open(w, "if (trained_%d(c)) {", epochs->index);
}

void emit_epochs_end(struct cwriter *w, const struct epochs *epochs)
{
    if (epochs)
        cw_close(w, "}");
}
