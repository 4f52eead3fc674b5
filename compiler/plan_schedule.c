/* plan_schedule.c - steps and phases.
 *
 * Requires: groups with kernels.
 * Ensures: every step belongs to one phase; a step's operands are made in earlier phases, or for the same image
 * earlier in its own.
 *
 * Steps that work image by image follow each other in one loop over the images, without a barrier: what one makes
 * the next finds in the cache.  Steps that take several images at a time set the stride of that loop.  Steps that only
 * read parameters come first, all in one phase. */
#include "plan_parts.h"

struct step *plan_step(struct plan *p, struct program *q, struct group *g, int part, enum split split, int64_t blocks,
                       const char *what, int64_t flops)
{
    struct step *s = arena_alloc(p->arena, sizeof *s);
    *s = (struct step){ .group = g, .part = part, .split = split, .blocks = blocks, .images = 1, .what = what,
                       .flops = flops };
    LIST_ADD(p->arena, q->steps, q->steps_count, q->steps_capacity, s);
    return s;
}

struct buffer *plan_buffer(struct plan *p, struct program *q, const char *name, const char *type, int64_t bytes,
                           const struct step *first, const struct step *last)
{
    struct buffer *b = arena_alloc(p->arena, sizeof *b);
    *b = (struct buffer){ .name = name, .type = type, .bytes = bytes };
    for (int i = 0; i < q->steps_count; i++) {
        if (q->steps[i] == first)
            b->first_step = i;
        if (q->steps[i] == last)
            b->last_step = i;
    }
    LIST_ADD(p->arena, q->buffers, q->buffers_count, q->buffers_capacity, b);
    return b;
}

void plan_scratch(struct plan *p, int64_t bytes)
{
    /* an odd number of cache lines between threads would not matter; whole pages keep them apart */
    bytes = plan_round(bytes, 4096);
    if (bytes > p->scratch_bytes)
        p->scratch_bytes = bytes;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static void phase_add(struct plan *p, struct program *q, struct step *s, bool join)
{
    if (!join) {
        struct phase *f = &q->phases[q->phases_count++];
        f->split = s->split;
        f->repeat = s->repeat;
        f->steps = arena_array(p->arena, (size_t)q->steps_count, sizeof *f->steps);
    }
    struct phase *f = &q->phases[q->phases_count - 1];
    f->steps[f->steps_count++] = s;
    f->images = larger(f->images, s->images);
    f->groups = larger(f->groups, s->groups);
    s->phase = q->phases_count - 1;
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

void plan_schedule(struct plan *p, struct program *q)
{
    for (int i = 0; i < q->groups_count; i++)
        q->groups[i]->kernel->plan(p, q, q->groups[i]);
    q->phases = arena_array(p->arena, (size_t)q->steps_count + 1, sizeof *q->phases);
    for (int i = 0; i < q->steps_count; i++)
        if (q->steps[i]->hoisted)
            phase_add(p, q, q->steps[i], q->phases_count > 0);
    bool join = false;
    for (int i = 0; i < q->steps_count; i++) {
        struct step *s = q->steps[i];
        if (s->hoisted)
            continue;
        join = join && s->split == SPLIT_IMAGES && q->phases[q->phases_count - 1].split == SPLIT_IMAGES && !s->repeat &&
               images_agree(p, &q->phases[q->phases_count - 1], s);
        phase_add(p, q, s, join);
        join = true;
    }
}
