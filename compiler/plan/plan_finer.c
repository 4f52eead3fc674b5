/* plan_finer.c - work for many threads.
 *
 * Requires: all of a program but its finer phases is decided.
 * Ensures: where a phase has turns of images, or blocks, for fewer threads than ENOUGH, and its kernels can make them
 * smaller, it has a finer form: the same steps in the same order, given the same, with the same results.
 *
 * Large turns and large blocks move less memory, which is what counts where there are few threads.  Where there are
 * many, it counts more that each of them has something to do.  Which form is taken is decided at run time by the number
 * of threads; sums do not depend on it, so neither do bits. */
#include "plan/plan_parts.h"

enum { ENOUGH = 16 };           /* turns or blocks */

/* A copy of s with a group of its own, made finer; NULL: it cannot be. */
static struct step *finer_step(struct plan *p, struct program *q, const struct step *s, int images)
{
    const struct kernel *kernel = s->group->kernel;
    if (!kernel->finer)
        return NULL;
    struct step *copy = arena_alloc(p->arena, sizeof *copy);
    *copy = *s;
    copy->group = arena_alloc(p->arena, sizeof *copy->group);
    *copy->group = *s->group;
    return kernel->finer(p, q, copy, images) ? copy : NULL;
}

/* f with steps and loops of its own. */
static struct phase *copy_of(struct plan *p, const struct phase *f)
{
    struct phase *copy = arena_alloc(p->arena, sizeof *copy);
    *copy = *f;
    copy->steps = arena_array(p->arena, (size_t)f->steps_count, sizeof *copy->steps);
    copy->loops = arena_array(p->arena, (size_t)f->loops_count, sizeof *copy->loops);
    for (int i = 0; i < f->steps_count; i++)
        copy->steps[i] = f->steps[i];
    for (int i = 0; i < f->loops_count; i++)
        copy->loops[i] = f->loops[i];
    return copy;
}

static const struct phase *finer_images(struct plan *p, struct program *q, const struct phase *f)
{
    int turn = f->images;
    while (turn % 2 == 0 && (p->batch + turn - 1) / turn < ENOUGH)
        turn /= 2;
    if (turn == f->images || f->groups)
        return NULL;
    struct phase *copy = copy_of(p, f);
    copy->images = turn;
    copy->in_turns = true;
    for (int i = 0; i < f->loops_count; i++) {
        struct loop *loop = &copy->loops[i];
        for (int k = loop->first; loop->images > turn && k < loop->first + loop->count; k++)
            if (!(copy->steps[k] = finer_step(p, q, f->steps[k], turn)))
                return NULL;
        loop->images = loop->images > turn ? turn : loop->images;
    }
    return copy;
}

static const struct phase *finer_blocks(struct plan *p, struct program *q, const struct phase *f)
{
    struct phase *copy = copy_of(p, f);
    bool any = false;
    for (int i = 0; i < f->loops_count; i++) {
        struct loop *loop = &copy->loops[i];
        if (loop->count > 1 || loop->run || loop->blocks == 1 || loop->blocks >= ENOUGH)
            continue;
        struct step *s = finer_step(p, q, f->steps[loop->first], 0);
        if (!s)
            continue;
        copy->steps[loop->first] = s;
        loop->blocks = s->blocks;
        any = true;
    }
    return any ? copy : NULL;
}

void plan_finer(struct plan *p, struct program *q)
{
    for (int i = 0; i < q->phases_count && !p->target->portable; i++) {
        struct phase *f = &q->phases[i];
        if (!f->repeat)
            f->finer = f->split == SPLIT_IMAGES ? finer_images(p, q, f) : finer_blocks(p, q, f);
    }
}

/* Of blocks: those of the first loop that is made finer, two of the finer ones in the place of each. */
struct turns plan_turns(const struct plan *p, const struct phase *f)
{
    if (f->split == SPLIT_IMAGES)
        return (struct turns){ .count = p->batch, .turn = f->images, .finer = f->finer->images };
    int first = 0;
    while (f->loops[first].blocks == f->finer->loops[first].blocks)
        first++;
    return (struct turns){ .count = (int)f->finer->loops[first].blocks, .turn = 2, .finer = 1 };
}

struct program plan_finer_program(const struct plan *p, const struct program *q)
{
    struct program finer = *q;
    finer.steps = arena_array(p->arena, (size_t)q->steps_count + 1, sizeof *finer.steps);
    finer.phases = arena_array(p->arena, (size_t)q->phases_count + 1, sizeof *finer.phases);
    for (int i = 0; i < q->phases_count; i++) {
        finer.phases[i] = q->phases[i].finer ? *q->phases[i].finer : q->phases[i];
        for (int k = 0; k < finer.phases[i].steps_count; k++)
            finer.steps[finer.phases[i].steps[k]->index] = finer.phases[i].steps[k];
    }
    return finer;
}
