/* plan_choose.c - the kernel of a group.
 *
 * Requires: a group whose chain has grown as far as it may.
 * Ensures: the group has a kernel that is applicable, and says why; a kernel that does not fuse leaves the chain to
 * groups of their own.
 *
 * The cheapest by the kernels' own estimates, among those whose rounding errors stay within the bound.  Wisdom takes
 * the place of the estimates where it knows the time of every one of them: an estimate and a time cannot be compared.
 * Its times must differ by more than their noise to change what the estimates say.
 * --kernel goes before everything. */
#include <assert.h>
#include <string.h>

#include "plan/plan_parts.h"
#include "plan/wisdom.h"

enum { CANDIDATES_MOST = 24 };

struct candidate {
    const struct kernel *kernel;
    double cost, error;         /* cycles; growth of rounding errors */
    bool allowed;               /* by the bound on errors */
    double nanoseconds;         /* measured; negative: not known */
    double noise;               /* of that: what its second best time was above it */
};

/* ---- candidates -------------------------------------------------------------------------------------------------- */

/* What --kernel asks for this node, or NULL.  Later options win. */
const char *plan_forced(const struct plan_options *options, const struct node *n)
{
    const char *name = NULL;
    for (int i = 0; n->layer && i < options->forced_count; i++) {
        const char *o = options->forced[i], *equal = strchr(o, '=');
        size_t length = equal ? (size_t)(equal - o) : 0;
        const char *colon = memchr(o, ':', length);
        size_t layer = colon ? (size_t)(colon - o) : length;
        if (strlen(n->layer->name) != layer || strncmp(o, n->layer->name, layer))
            continue;
        const char *pass = plan_pass(n);
        if (colon && (strlen(pass) != length - layer - 1 || strncmp(colon + 1, pass, strlen(pass))))
            continue;
        name = equal + 1;
    }
    return name;
}

static bool kernel_serves(const struct plan *p, const struct group *g, const struct kernel *k)
{
    if (k->portable != p->target->portable || (k->bf16 && !p->bf16))
        return false;
    if (g->together ? !k->together || !k->together(p, g->main) : k->only_together)
        return false;
    return k->applicable(p, g);
}

static int find_candidates(const struct plan *p, const struct program *q, struct group *g, struct candidate *list)
{
    int count, found = 0;
    const struct kernel *const *all = kernels(&count);
    for (int i = 0; i < count; i++) {
        if (all[i]->op != g->main->op || !kernel_serves(p, g, all[i]))
            continue;
        assert(found < CANDIDATES_MOST);
        struct candidate *c = &list[found++];
        *c = (struct candidate){ .kernel = all[i], .cost = all[i]->cost(p, g), .nanoseconds = -1 };
        if (g->chain_count && !all[i]->fuses_chain)     /* it then needs a pass over memory */
            c->cost += group_chain_cycles(p, g) + 2.0 * (double)plan_place(q, g->result)->bytes /
                                                      p->target->memory_bytes_per_cycle;
        c->error = all[i]->error ? all[i]->error(p, g) : 1;
        c->allowed = c->error <= (all[i]->bf16 ? p->bf16_growth : p->error_growth);
    }
    return found;
}

/* True when wisdom knows every candidate that may be taken. */
static bool find_times(const struct plan *p, const struct wisdom *w, const struct group *g, struct candidate *list,
                       int count)
{
    bool all = w != NULL;
    for (int i = 0; w && i < count; i++) {
        list[i].nanoseconds = wisdom_find(w, p, g->key, list[i].kernel->name);
        double second = wisdom_find(w, p, g->key, arena_printf(p->arena, "%s@second", list[i].kernel->name));
        list[i].noise = second > list[i].nanoseconds ? second - list[i].nanoseconds : 0;
        all = all && (!list[i].allowed || list[i].nanoseconds >= 0);
    }
    return all;
}

static const char *list_candidates(const struct plan *p, const struct candidate *list, int count, bool measured)
{
    char *text = "";
    for (int i = 0; i < count; i++) {
        text = arena_printf(p->arena, "%s%s%s", text, i ? ", " : "", list[i].kernel->name);
        if (measured && list[i].nanoseconds >= 0)
            text = arena_printf(p->arena, "%s %.3g ms", text, list[i].nanoseconds * 1e-6);
        else
            text = arena_printf(p->arena, "%s %.3g Mcycles", text, list[i].cost * 1e-6);
        if (!list[i].allowed)
            text = arena_printf(p->arena, "%s (errors grow %.3g times)", text, list[i].error);
    }
    return text;
}

/* How many candidates come before this one, by their estimates. */
static int rank_of(const struct candidate *list, int count, int index)
{
    int rank = 0;
    for (int i = 0; i < count; i++)
        if (list[i].allowed && (list[i].cost < list[index].cost || (list[i].cost == list[index].cost && i < index)))
            rank++;
    return rank;
}

/* The allowed candidate with so many before it; the cheapest where there are not so many. */
static int ranked(const struct candidate *list, int count, int rank)
{
    int best = 0;
    for (int i = 0; i < count; i++) {
        int at = list[i].allowed ? rank_of(list, count, i) : -1;
        if (at == rank)
            return i;
        if (at == 0)
            best = i;
    }
    return best;
}

/* By their times; but the cheapest by the estimates where no other is faster by more than the noise of the two. */
static int fastest(const struct candidate *list, int count)
{
    int best = -1, cheapest = ranked(list, count, 0);
    for (int i = 0; i < count; i++)
        if (list[i].allowed && (best < 0 || list[i].nanoseconds < list[best].nanoseconds))
            best = i;
    const struct candidate *b = &list[best], *c = &list[cheapest];
    double noise = b->noise > c->noise ? b->noise : c->noise;
    return c->nanoseconds - b->nanoseconds <= noise ? cheapest : best;
}

static int forced_index(const struct plan_options *o, const struct node *n, const struct candidate *list, int count)
{
    const char *name = plan_forced(o, n);
    for (int i = 0; name && i < count; i++)
        if (!strcmp(list[i].kernel->name, name))
            return i;
    return -1;
}

void plan_choose(struct plan *p, struct program *q, const struct plan_options *o, struct group *g)
{
    struct candidate list[CANDIDATES_MOST];
    int count = find_candidates(p, q, g, list), rivals = 0;
    for (int i = 0; i < count; i++)
        rivals += list[i].allowed;
    assert(rivals > 0);         /* every operation has an exact kernel for every shape */
    g->key = rivals > 1 ? wisdom_key(p, g) : NULL;
    bool measured = rivals > 1 && find_times(p, o->wisdom, g, list, count);
    bool informed = false;
    for (int i = 0; i < count; i++)
        informed = informed || list[i].nanoseconds >= 0;
    p->choices += rivals > 1;
    p->informed += informed;
    int best = forced_index(o, g->main, list, count);
    if (best >= 0) {
        g->reason = "asked for";
    } else if (measured) {
        best = fastest(list, count);
        g->reason = "measured fastest";
        for (int i = 0; i < count; i++)
            if (list[i].allowed && list[i].nanoseconds < list[best].nanoseconds)
                g->reason = "no other measured faster beyond noise";
    } else {
        best = ranked(list, count, o->rank);
        g->reason = rivals == 1 ? "only one" : o->wisdom ? "cheapest, not all measured" : "cheapest";
        g->untimed = rivals > 1;
        if (g->untimed && rivals > p->untimed)
            p->untimed = rivals;
    }
    g->candidates = list_candidates(p, list, count, measured);
    g->kernel = list[best].kernel;
    g->cost = list[best].cost;
    if (!g->kernel->fuses_chain) {
        g->chain_count = 0;
        g->result = plan_main_result(g->main);
    }
}

/* ---- --kernel options -------------------------------------------------------------------------------------------- */

static bool option_serves(const struct plan *p, const struct program *q, const char *option, bool *layer_known,
                          char **names)
{
    const char *equal = strchr(option, '=');
    size_t length = strcspn(option, ":=");
    const char *pass = option[length] == ':' ? option + length + 1 : NULL;
    bool served = false;
    for (int i = 0; i < q->groups_count; i++) {
        const struct node *n = q->groups[i]->main;
        if (!n->layer || strlen(n->layer->name) != length || strncmp(option, n->layer->name, length))
            continue;
        *layer_known = true;
        if (pass &&
            ((size_t)(equal - pass) != strlen(plan_pass(n)) || strncmp(pass, plan_pass(n), strlen(plan_pass(n)))))
            continue;
        int count;
        const struct kernel *const *all = kernels(&count);
        for (int k = 0; k < count; k++) {
            if (all[k]->op != n->op || !kernel_serves(p, q->groups[i], all[k]))
                continue;
            served |= !strcmp(all[k]->name, equal + 1);
            if (!strstr(*names, all[k]->name))
                *names = arena_printf(p->arena, "%s%s%s", *names, **names ? ", " : "", all[k]->name);
        }
    }
    return served;
}

void plan_check_forced(const struct plan *p, const struct plan_options *o, struct diag *d)
{
    for (int i = 0; i < o->forced_count; i++) {
        const char *option = o->forced[i];
        const struct span nowhere = { 0 };
        if (!strchr(option, '=')) {
            diag_error(d, DIAG_bad_kernel_option, nowhere, "--kernel %s: expected LAYER=KERNEL or LAYER:PASS=KERNEL",
                       option);
            continue;
        }
        bool known = false;
        char *names = "";
        bool served = option_serves(p, &p->train, option, &known, &names);
        served |= option_serves(p, &p->use, option, &known, &names);
        if (!known)
            diag_error(d, DIAG_bad_kernel_option, nowhere, "--kernel %s: the network has no layer '%.*s' to compute",
                       option, (int)strcspn(option, ":="), option);
        else if (!served)
            diag_error(d, DIAG_bad_kernel_option, nowhere, "--kernel %s: no such kernel there%s%s", option,
                       *names ? "; there are " : " (passes: forward, data, weight)", names);
    }
}
