/* plan_verify_carried.c - sums that a group takes for another one while it makes what they are of.
 *
 * Requires: the program's groups and steps are planned.  Ensures: gradients of gamma and beta whose sums over images
 * another group takes get those of what it makes, of each image; nobody takes sums that nobody puts together. */
#include "plan/plan_verify.h"

static bool step_has(const struct walk *w, const struct group *g, enum access access, const struct buffer *b,
                     enum touch touch)
{
    for (int i = g->first_step; i < g->first_step + g->steps_count; i++)
        for (int k = 0; k < w->q->steps[i]->arguments_count; k++) {
            const struct argument *a = &w->q->steps[i]->arguments[k];
            if (a->kind == ARGUMENT_BUFFER && a->buffer == b && a->access == access && a->touch == touch)
                return true;
        }
    return false;
}

const char *verify_carried(const struct walk *w)
{
    const struct program *q = w->q;
    int carriers = 0, carried = 0;
    for (int i = 0; i < q->groups_count; i++) {
        const struct group *g = q->groups[i], *from = g->carrier;
        carriers += g->sums != NULL;
        carried += from != NULL;
        if (!from)
            continue;
        if (from->sums != g->main || from->result != g->main->in[3])
            return arena_printf(w->p->arena, "%s takes other sums than %s puts together", from->main->name,
                                g->main->name);
        if (!step_has(w, from, ACCESS_WRITE, from->sums_rows, TOUCH_IMAGES) ||
            !step_has(w, g, ACCESS_READ, from->sums_rows, TOUCH_ALL))
            return arena_printf(w->p->arena, "the sums that %s takes do not come to %s", from->main->name,
                                g->main->name);
    }
    return carriers == carried ? NULL
                               : arena_printf(w->p->arena, "%d groups take sums, and those of %d are put together",
                                              carriers, carried);
}
