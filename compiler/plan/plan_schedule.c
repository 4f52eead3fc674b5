/* plan_schedule.c - steps and phases.
 *
 * Requires: groups with kernels.
 * Ensures: every step belongs to one phase; a step's operands are made in earlier phases, or for the same image
 * earlier in its own.
 *
 * Steps that work image by image follow each other in one loop over the images, without a barrier: what one makes
 * the next finds in the cache.  For that they overtake sums of partial results that they do not need.  Steps that take
 * several images at a time set the stride of that loop.  Steps that only read parameters come with the blocks before
 * their use.  Steps of blocks wait for each other, but small ones join an earlier phase of blocks that makes nothing
 * they need, and two that take the same rows of the same weights take them in turn, while they are in the cache.
 *
 * A batch of one image leaves nothing to share between threads: there kernels cut what is large enough into blocks
 * within the image. */
#include "plan/plan_parts.h"

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* Into the phase `at`; -1: into a new one at the end. */
static void phase_add(struct plan *p, struct program *q, struct step *s, int at)
{
    if (at < 0) {
        at = q->phases_count++;
        q->phases[at].split = s->split;
        q->phases[at].repeat = s->repeat;
    }
    struct phase *f = &q->phases[at];
    LIST_ADD(p->arena, f->steps, f->steps_count, f->steps_capacity, s);
    f->images = larger(f->images, s->images);
    f->groups = larger(f->groups, s->groups);
    s->phase = at;
}

/* One turn of the loop must be a whole number of calls of every step, and a group a whole number of turns. */
static bool images_agree(const struct plan *p, const struct phase *f, const struct step *s)
{
    int groups = larger(f->groups, s->groups), images = larger(f->images, s->images);
    if (f->groups && s->groups && f->groups != s->groups)
        return false;
    if (groups && p->batch / groups % images)
        return false;
    return f->images % s->images == 0 || s->images % f->images == 0;
}

/* Whether one of these nodes makes t, or a part of it where it is a view of several. */
static bool made_by(const struct tensor *t, const struct node *const *makers, int count)
{
    const struct node *n = t->producer;
    for (int k = 0; n && k < count; k++)
        if (n == makers[k])
            return true;
    bool through = n && (n->op == OP_view || n->op == OP_concat || n->op == OP_slice);
    for (int i = 0; through && i < n->in_count; i++)
        if (made_by(n->in[i], makers, count))
            return true;
    return false;
}

/* Whether s must come after t, which stands before it in the program. */
static bool needs(const struct step *s, const struct step *t)
{
    enum { MOST = 16 };
    const struct node *readers[MOST], *makers[MOST];
    if (s->group == t->group)
        return true;
    int readers_count = group_nodes(s->group, readers, MOST), makers_count = group_nodes(t->group, makers, MOST);
    for (int i = 0; i < readers_count; i++)
        for (int j = 0; j < readers[i]->in_count; j++)
            if (readers[i]->in[j] && made_by(readers[i]->in[j], makers, makers_count))
                return true;
    return false;
}

/* Sums of partial results may wait.  Work that multiplies may not, unless it is so small that it does not matter: it
 * reads what has just been made, before that leaves the cache (measured: gradients of all maps first and of all weights
 * then cost models/cifar10_relu.cnn 5 % more). */
static bool may_overtake(const struct step *s, const struct phase *f)
{
    for (int i = 0; i < f->steps_count; i++)
        if ((f->steps[i]->flops && !f->steps[i]->waits) || needs(s, f->steps[i]))
            return false;
    return true;
}

/* Whether the loop's turns would become too few for threads to share, for the sake of little work. */
static bool makes_turns_few(const struct plan *p, const struct phase *f, const struct step *s)
{
    enum { ENOUGH = 16 };
    return s->thin && s->images > f->images && p->batch / s->images < ENOUGH;
}

/* The loop over images that s may join, or -1: the last one, where nothing that came after is needed. */
static int loop_to_join(const struct plan *p, const struct program *q, const struct step *s)
{
    if (s->repeat)
        return -1;
    for (int i = q->phases_count - 1; i > 0; i--) {
        if (q->phases[i].split == SPLIT_IMAGES && !q->phases[i].repeat)
            return images_agree(p, &q->phases[i], s) && !makes_turns_few(p, &q->phases[i], s) ? i : -1;
        if (!may_overtake(s, &q->phases[i]))
            return -1;
    }
    return -1;
}

bool plan_same_rows(const struct step *a, const struct step *b)
{
    return a->rows_of && a->rows_of == b->rows_of && a->rows == b->rows && a->blocks == b->blocks && a->run == b->run;
}

static bool phase_is_needed(const struct step *s, const struct phase *f)
{
    for (int i = 0; i < f->steps_count; i++)
        if (needs(s, f->steps[i]))
            return true;
    return false;
}

/* The phase of blocks that s, a step of blocks, may join, or -1. */
static int blocks_to_join(const struct program *q, const struct step *s)
{
    int last = q->phases_count - 1, best = -1;
    if (s->repeat || last < 1 || phase_is_needed(s, &q->phases[last]))
        return -1;
    const struct phase *f = &q->phases[last];
    if (f->split == SPLIT_BLOCKS && plan_same_rows(f->steps[f->steps_count - 1], s))
        return last;
    for (int i = last; i > 0 && s->beside && !phase_is_needed(s, &q->phases[i]); i--)
        if (q->phases[i].split == SPLIT_BLOCKS && !q->phases[i].repeat)
            best = i;
    return best;
}

/* The phase in which s, a step that reads parameters only, is done: the last one of blocks before its group's work, so
 * that what it makes is used soon and takes room no longer than it must; or the first of the program, 0. */
static int phase_of_hoisted(const struct program *q, const struct step *s)
{
    int before = q->phases_count;
    for (int i = s->group->first_step; i < s->group->first_step + s->group->steps_count; i++)
        if (!q->steps[i]->hoisted && q->steps[i]->phase < before)
            before = q->steps[i]->phase;
    for (int i = before - 1; i > 0; i--)
        if (q->phases[i].split == SPLIT_BLOCKS && !q->phases[i].repeat)
            return i;
    return 0;
}

/* Phase 0 was kept free and nothing came. */
static void drop_first_phase(struct program *q)
{
    for (int i = 1; i < q->phases_count; i++)
        q->phases[i - 1] = q->phases[i];
    q->phases_count--;
    for (int i = 0; i < q->steps_count; i++)
        q->steps[i]->phase--;
}

/* Whether a step goes on in the loop of the one before it. */
static bool same_loop(const struct phase *f, const struct step *before, const struct step *s)
{
    if (f->split == SPLIT_BLOCKS)
        return plan_same_rows(before, s);
    return f->images == 1 || before->images == s->images;
}

/* Steps of one image a turn are one loop; where a turn has several, neighbours that take equally many a call share one
 * within it.  Blocks of the same rows share one.  Steps of one block alone fall to one thread after the other. */
static void find_loops(struct plan *p, struct phase *f)
{
    int alone = 0;
    f->loops = arena_array(p->arena, (size_t)f->steps_count, sizeof *f->loops);
    for (int i = 0; i < f->steps_count; i++) {
        const struct step *s = f->steps[i];
        if (i && same_loop(f, f->steps[i - 1], s)) {
            f->loops[f->loops_count - 1].count++;
            continue;
        }
        struct loop *loop = &f->loops[f->loops_count++];
        *loop = (struct loop){ .first = i, .count = 1, .images = s->images, .blocks = s->blocks, .run = s->run };
        if (s->blocks == 1)
            loop->thread = alone++;
    }
}

/* Phases of one group that are repeated stand in a loop of their own. */
static bool repeated_together(const struct phase *a, const struct phase *b)
{
    return a->repeat && a->repeat == b->repeat && a->steps[0]->group == b->steps[0]->group;
}

static void find_repeats(struct program *q)
{
    for (int i = 0; i < q->phases_count; i++) {
        struct phase *f = &q->phases[i];
        f->repeat_begins = f->repeat && (i == 0 || !repeated_together(&q->phases[i - 1], f));
        f->repeat_ends = f->repeat && (i == q->phases_count - 1 || !repeated_together(f, &q->phases[i + 1]));
    }
}

/* A phase begins a segment where all shares of the batch must have come to it. */
static void find_segments(struct program *q)
{
    q->segments = 1;
    for (int i = 0; i < q->phases_count; i++) {
        for (int k = 0; k < q->phases[i].steps_count; k++)
            q->phases[i].meets |= q->phases[i].steps[k]->meets != NULL;
        q->segments += q->phases[i].meets;
    }
}

/* The last phase that makes losses of samples, where some weights are updated early; -1: none are. */
static int rule_phase(const struct program *q)
{
    int last = -1;
    bool early = false;
    for (int i = 0; i < q->steps_count; i++) {
        const struct step *s = q->steps[i];
        early |= s->updates != NULL;
        if (q->graph->loss && s->group->main == q->graph->loss->producer && s->phase > last)
            last = s->phase;
    }
    return early ? last : -1;
}

void plan_schedule(struct plan *p, struct program *q)
{
    for (int i = 0; i < q->groups_count; i++) {
        struct group *g = q->groups[i];
        g->first_step = q->steps_count;
        if (g->sums)
            g->sums_rows = plan_buffer(p, q, arena_printf(p->arena, "%s_carried", g->sums->name), p->real,
                                       chain_sums_row(p, g->sums->in[0]->shape.c) * p->real_size * p->batch);
        g->kernel->plan(p, q, g);
        g->steps_count = q->steps_count - g->first_step;
    }
    q->phases = arena_array(p->arena, (size_t)q->steps_count + 1, sizeof *q->phases);
    q->phases[0] = (struct phase){ .split = SPLIT_BLOCKS };
    q->phases_count = 1;
    for (int i = 0; i < q->steps_count; i++)
        if (!q->steps[i]->hoisted)
            phase_add(p, q, q->steps[i], q->steps[i]->split == SPLIT_IMAGES ? loop_to_join(p, q, q->steps[i])
                                                                           : blocks_to_join(q, q->steps[i]));
    for (int i = 0; i < q->steps_count; i++)
        if (q->steps[i]->hoisted)
            phase_add(p, q, q->steps[i], phase_of_hoisted(q, q->steps[i]));
    if (q->phases[0].steps_count == 0)
        drop_first_phase(q);
    for (int i = 0; i < q->phases_count; i++)
        find_loops(p, &q->phases[i]);
    find_repeats(q);
    find_segments(q);
    q->rule_phase = rule_phase(q);
}
