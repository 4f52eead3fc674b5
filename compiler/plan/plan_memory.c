/* plan_memory.c - where tensors and buffers live.
 *
 * A tensor made and read in one loop over images needs no room for the batch: each thread keeps the images of one turn
 * in its own scratch, where they stay in its cache.
 *
 * Requires: phases.
 * Ensures: two things that live in the same phase never share memory.  A phase is the unit because its loop runs
 * over images (or blocks) on several threads: one image may be at its end while another begins. */
#include "steps/placing.h"
#include "plan/plan_parts.h"

static int element_size(const struct plan *p, const struct tensor *t)
{
    return t->element == ELEMENT_U8 ? 1 : t->element == ELEMENT_I32 ? 4 : p->real_size;
}

static void place_tensor(struct plan *p, struct program *q, const struct tensor *t)
{
    struct tensor_place *place = &q->places[t->id];
    const struct graph *g = q->graph;
    place->first = -1;
    place->last = -1;
    place->sample = t->per_sample ? shape_elements(t->shape) : 0;
    place->bytes = (t->per_sample ? place->sample * p->batch : shape_elements(t->shape)) * element_size(p, t);
    place->pixel = t->shape.c;
    const struct tensor *base = tensor_base(t);
    if (base != t)
        place->base = base;
    if (t->role == TENSOR_PARAM || t->role == TENSOR_PARAM_GRADIENT || t->role == TENSOR_STATISTIC) {
        place->region = t->role == TENSOR_PARAM ? REGION_PARAMS
                        : t->role == TENSOR_STATISTIC ? REGION_STATISTICS : REGION_GRADS;
        place->offset = p->params[t->param->id].offset;
        place->bytes = p->params[t->param->id].stored * p->real_size;
    } else if (t == g->input) {
        place->region = REGION_INPUT;
    } else if (t->role == TENSOR_LABELS || t->role == TENSOR_TARGETS) {
        place->region = t->role == TENSOR_LABELS ? REGION_LABELS : REGION_TARGETS;
    } else if (t == tensor_base(g->predictions)) {
        place->region = REGION_PREDICTIONS;
    } else {
        place->region = REGION_MEMORY;
        if (!t->per_sample)     /* moments of a batch: read with whole vectors */
            place->bytes = plan_round(shape_elements(t->shape), p->lanes) * p->real_size;
    }
}

void plan_places(struct plan *p, struct program *q)
{
    const struct graph *g = q->graph;
    q->places = arena_array(p->arena, (size_t)g->tensors_count + 1, sizeof *q->places);
    for (int i = 0; i < g->tensors_count; i++)
        place_tensor(p, q, g->tensors[i]);
}

/* ---- liveness ---------------------------------------------------------------------------------------------------- */

/* The life of what an argument is; false: it is nothing that has one. */
static bool life_of(struct program *q, const struct argument *a, int **first, int **last)
{
    if (a->kind == ARGUMENT_BUFFER) {
        *first = &q->buffers[a->buffer->index]->first;
        *last = &q->buffers[a->buffer->index]->last;
    } else if (a->kind == ARGUMENT_TENSOR) {
        *first = &q->places[plan_root(q, a->tensor)->id].first;
        *last = &q->places[plan_root(q, a->tensor)->id].last;
    } else {
        return false;
    }
    return true;
}

static void live(int *first, int *last, int from, int to)
{
    if (*first < 0 || from < *first)
        *first = from;
    if (to > *last)
        *last = to;
}

/* What is touched in phases that are repeated, and made before, used after or added to each time, must not be lost when
 * they begin again. */
static void live_through(struct program *q, const struct step *s, int from, int to)
{
    for (int k = 0; k < s->arguments_count; k++) {
        int *first, *last;
        if (life_of(q, &s->arguments[k], &first, &last) &&
            (*first < from || *last > to || s->arguments[k].access == ACCESS_ADD))
            live(first, last, from, to);
    }
}

/* From the first phase in which a step touches something to the last. */
static void find_lifetimes(struct program *q)
{
    for (int i = 0; i < q->buffers_count; i++)
        q->buffers[i]->first = q->buffers[i]->last = -1;
    for (int i = 0; i < q->steps_count; i++)
        for (int k = 0; k < q->steps[i]->arguments_count; k++) {
            int *first, *last;
            if (life_of(q, &q->steps[i]->arguments[k], &first, &last))
                live(first, last, q->steps[i]->phase, q->steps[i]->phase);
        }
    for (int i = 0, begin = 0; i < q->phases_count; i++) {
        begin = q->phases[i].repeat_begins ? i : begin;
        for (int f = begin; q->phases[i].repeat_ends && f <= i; f++)
            for (int k = 0; k < q->phases[f].steps_count; k++)
                live_through(q, q->phases[f].steps[k], begin, i);
    }
    if (q->graph->loss) {       /* summed after the last phase */
        struct tensor_place *loss = &q->places[q->graph->loss->id];
        live(&loss->first, &loss->last, q->phases_count - 1, q->phases_count - 1);
    }
}

/* ---- tensors that live in one loop over images ------------------------------------------------------------------- */

/* The first and the last of something among the steps of a phase. */
struct stretch_of_steps {
    int phase;                  /* that it was found in last */
    int first, last;
};

/* By tensor id, what step number `number` of phase f touches. */
static void touch(const struct program *q, struct stretch_of_steps *touched, const struct step *s, int f, int number)
{
    for (int k = 0; k < s->arguments_count; k++) {
        if (s->arguments[k].kind != ARGUMENT_TENSOR)
            continue;
        struct stretch_of_steps *x = &touched[plan_root(q, s->arguments[k].tensor)->id];
        if (x->phase != f)
            *x = (struct stretch_of_steps){ f, number, number };
        x->last = number;
    }
}

/* The loop of each step of the phase, by its first and last step: outside of it one image of a turn may be at its end
 * while the next is at its beginning. */
static void list_loops(const struct phase *f, struct stretch_of_steps *loops)
{
    for (int i = 0; i < f->loops_count; i++)
        for (int s = 0; s < f->loops[i].count; s++)
            loops[f->loops[i].first + s] = (struct stretch_of_steps){
                .first = f->loops[i].first, .last = f->loops[i].first + f->loops[i].count - 1
            };
}

/* What a tensor needs in the phase that it lives in, and between which steps.  Within one loop: the images of one call,
 * from the first step that touches it to the last.  Else those of a turn, from the beginning of the first loop to the
 * end of the last. */
static void need_of(const struct phase *f, const struct stretch_of_steps *touched,
                    const struct stretch_of_steps *loops, struct tensor_place *x, struct item *item)
{
    item->first = touched->first;
    item->last = touched->last;
    if (loops[item->first].first == loops[item->last].first) {
        item->bytes = f->images > 1 ? f->steps[item->first]->images : 1;
        return;
    }
    x->of_turn = true;
    item->bytes = f->images;
    item->first = loops[item->first].first;
    item->last = loops[item->last].last;
}

static bool is_local(const struct program *q, const struct tensor *t)
{
    const struct tensor_place *x = &q->places[t->id];
    return x->region == REGION_MEMORY && !x->base && t->per_sample && t != q->graph->loss && x->first >= 0 &&
           x->first == x->last && q->phases[x->first].split == SPLIT_IMAGES;
}

/* The local tensors of each phase, in the order of the graph: the first of each phase, and the next of each; -1:
 * none. */
static void list_local(const struct program *q, int *first, int *next)
{
    for (int f = 0; f < q->phases_count; f++)
        first[f] = -1;
    for (int i = q->graph->tensors_count - 1; i >= 0; i--)
        if (is_local(q, q->graph->tensors[i])) {
            next[i] = first[q->places[i].first];
            first[q->places[i].first] = i;
        }
}

/* What nobody else reads afterwards, and the group's kernel reads before it writes there, gives its memory to the
 * result.  Nothing else lives in between. */
static void take_over(const struct plan *p, struct program *q, const struct step *s, int number,
                      struct stretch_of_steps *touched)
{
    struct group *g = s->group;
    const struct tensor *y = g->result;
    if (!g->kernel->overwrites || !is_local(q, y) || touched[y->id].first != number)
        return;
    for (int k = 0; k < s->arguments_count && !g->in_place; k++) {
        const struct argument *a = &s->arguments[k];
        if (a->kind != ARGUMENT_TENSOR || a->tensor == y || !a->tensor->per_sample)
            continue;
        const struct tensor *t = plan_root(q, a->tensor);
        if (is_local(q, t) && touched[t->id].last == number && q->places[t->id].bytes == q->places[y->id].bytes &&
            g->kernel->overwrites(p, g, a->tensor)) {
            g->in_place = t;
            q->places[y->id].base = t;
            touched[t->id].last = touched[y->id].last;
        }
    }
}

static void place_local(const struct plan *p, struct program *q)
{
    const struct graph *g = q->graph;
    size_t most = (size_t)g->tensors_count + 1, steps = (size_t)q->steps_count + 1;
    struct item *items = arena_array(g->arena, most, sizeof *items);
    struct item_placed *placed = arena_array(g->arena, most, sizeof *placed);
    struct stretch_of_steps *touched = arena_array(g->arena, most, sizeof *touched),
                            *loops = arena_array(g->arena, steps, sizeof *loops);
    int *first = arena_array(g->arena, (size_t)q->phases_count + 1, sizeof *first),
        *next = arena_array(g->arena, most, sizeof *next);
    list_local(q, first, next);
    for (size_t i = 0; i < most; i++)
        touched[i].phase = -1;
    for (int f = 0; f < q->phases_count; f++) {
        const struct phase *phase = &q->phases[f];
        int count = 0;
        for (int s = 0; s < phase->steps_count; s++)
            touch(q, touched, phase->steps[s], f, s);
        for (int s = 0; s < phase->steps_count; s++)
            take_over(p, q, phase->steps[s], s, touched);
        list_loops(phase, loops);
        for (int i = first[f]; i >= 0; i = next[i]) {
            struct tensor_place *x = &q->places[i];
            if (x->base)
                continue;
            x->region = REGION_LOCAL;
            struct item *item = &items[count];
            *item = (struct item){ .offset = &x->offset, .order = count };
            need_of(phase, &touched[i], loops, x, item);
            item->bytes = plan_aligned(p, x->bytes / p->batch * item->bytes);
            count++;
        }
        place_items(items, placed, count, &q->local_bytes);
    }
    if (!p->target->portable)   /* threads have pages of their own */
        q->local_bytes = plan_round(q->local_bytes, 4096);
}

void plan_lasting_memory(struct plan *p, struct program *q)
{
    for (int i = 0; i < q->buffers_count; i++)
        if (q->buffers[i]->lasting) {
            q->buffers[i]->offset = plan_aligned(p, p->memory_bytes);
            p->memory_bytes = q->buffers[i]->offset + plan_aligned(p, q->buffers[i]->bytes);
        }
}

void plan_memory(struct plan *p, struct program *q)
{
    find_lifetimes(q);
    place_local(p, q);
    const struct graph *g = q->graph;
    size_t most = (size_t)(g->tensors_count + q->buffers_count) + 1;
    struct item *items = arena_array(p->arena, most, sizeof *items);
    struct item_placed *placed = arena_array(p->arena, most, sizeof *placed);
    int count = 0;
    for (int i = 0; i < g->tensors_count; i++) {
        struct tensor_place *place = &q->places[i];
        if (place->region != REGION_MEMORY || place->base || place->first < 0)
            continue;
        items[count] =
            (struct item){ plan_aligned(p, place->bytes), &place->offset, place->first, place->last, count };
        count++;
    }
    for (int i = 0; i < q->buffers_count; i++) {
        struct buffer *b = q->buffers[i];
        if (b->lasting)
            continue;
        items[count] = (struct item){ plan_aligned(p, b->bytes), &b->offset, b->first, b->last, count };
        count++;
    }
    place_items(items, placed, count, &q->memory_bytes);
    for (int i = 0; i < g->tensors_count; i++) {
        struct tensor_place *x = &q->places[i];
        const struct tensor_place *root = &q->places[plan_root(q, g->tensors[i])->id];
        if (x == root)
            continue;
        x->region = root->region;
        x->of_turn = root->of_turn;
        x->offset = root->offset;
        x->first = root->first;
        x->last = root->last;
    }
}
