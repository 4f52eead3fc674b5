/* plan_verify_memory.c - what holds of memory: everything lives where the walk found it touched, and no two things that
 * live at the same time share a byte.
 *
 * In the memory that all threads share a phase is the unit of life: one thread may be at its end while another begins.
 * In a thread's own, for the images of a turn, it is a step, within one loop of the turn; what several loops touch
 * lives for all of their steps, with all images of the turn. */
#include <inttypes.h>
#include <stdlib.h>

#include "plan/plan_verify.h"

/* ---- lives ------------------------------------------------------------------------------------------------------- */

/* What is touched in a repeat and made before it is needed until the repeat ends. */
static bool lives_through(const struct walk *w, const struct value *v, int phase, int first, int last)
{
    int from = phase, to = phase;
    const struct repeat *r = &w->repeats[phase];
    bool made_within = v->maker && w->at[v->maker->index].phase >= r->first && w->at[v->maker->index].phase <= r->last;
    if (r->first >= 0 && (!made_within || v->added || last > r->last)) {
        from = r->first;
        to = r->last;
    }
    return first <= from && to <= last;
}

static const char *verify_life(const struct walk *w, const struct step *s, const struct argument *a)
{
    const struct value *v = verify_value(w, a);
    int phase = w->at[s->index].phase, first, last;
    if (a->kind == ARGUMENT_BUFFER) {
        first = a->buffer->first;
        last = a->buffer->last;
        if (a->buffer->lasting)
            return NULL;
    } else {
        const struct tensor_place *place = &w->q->places[plan_root(w->q, a->tensor)->id];   /* whose memory it is */
        if (place->region == REGION_LOCAL && a->touch != TOUCH_IMAGES)
            return arena_printf(w->p->arena, "%s takes all images of %s, which lives in one turn only",
                                verify_step_name(w, s), v->name);
        if (place->region != REGION_MEMORY && place->region != REGION_LOCAL)
            return NULL;
        first = place->first;
        last = place->last;
    }
    if (!lives_through(w, v, phase, first, last))
        return arena_printf(w->p->arena, "%s touches %s, which lives in phases %d to %d, in phase %d",
                            verify_step_name(w, s), v->name, first, last, phase);
    return NULL;
}

static const char *verify_lives(const struct walk *w)
{
    for (int i = 0; i < w->q->steps_count; i++)
        for (int k = 0; k < w->q->steps[i]->arguments_count; k++) {
            const struct argument *a = &w->q->steps[i]->arguments[k];
            const char *broken = verify_value(w, a) ? verify_life(w, w->q->steps[i], a) : NULL;
            if (broken)
                return broken;
        }
    const struct tensor *loss = w->q->graph->loss;
    if (loss && w->q->places[loss->id].last != w->q->phases_count - 1)
        return arena_printf(w->p->arena, "%s does not live until it is summed", loss->name);
    return NULL;
}

/* A view lies where what it shows does. */
static const char *verify_views(const struct walk *w)
{
    for (int i = 0; i < w->q->graph->tensors_count; i++) {
        const struct tensor *t = w->q->graph->tensors[i];
        const struct tensor_place *x = &w->q->places[i], *y = &w->q->places[tensor_base(t)->id];
        if (x->region != y->region || x->offset != y->offset || x->of_turn != y->of_turn)
            return arena_printf(w->p->arena, "%s does not lie where %s does, which it shows", t->name,
                                tensor_base(t)->name);
    }
    return NULL;
}

/* What lies inside of a concatenation, or of what it is a slice of, lies where its channels are. */
static const char *verify_part(const struct walk *w, const struct tensor *part, const struct tensor *whole, int channel)
{
    const struct tensor_place *x = &w->q->places[part->id], *y = &w->q->places[whole->id];
    if (plan_lies_inside(w->q, part, whole, channel) &&
        (x->region != y->region || x->offset != y->offset || x->of_turn != y->of_turn || x->pixel != y->pixel ||
         x->sample != y->sample || x->within + part->shape.c > y->within + whole->shape.c))
        return arena_printf(w->p->arena, "%s does not lie where %s has its channels", part->name, whole->name);
    return NULL;
}

/* Whether its inputs are channels of its result, one after the other from the first of them on. */
static bool joins(const struct node *n)
{
    return n->op == OP_concat || n->op == OP_pad_channels;
}

static int first_channel(const struct node *n)
{
    return n->op == OP_pad_channels ? n->attr.channel : 0;
}

static bool lies_in_some(const struct program *q, const struct tensor *t)
{
    const struct node *cut = t->producer;
    if (cut && cut->op == OP_slice && plan_lies_inside(q, t, cut->in[0], cut->attr.channel))
        return true;
    for (int i = 0; i < t->consumers_count; i++) {
        const struct node *n = t->consumers[i];
        for (int k = 0, channel = first_channel(n); joins(n) && k < n->in_count; channel += n->in[k++]->shape.c)
            if (n->in[k] == t && plan_lies_inside(q, t, n->out[0], channel))
                return true;
    }
    return false;
}

static const char *verify_parts(const struct walk *w)
{
    const struct graph *g = w->q->graph;
    const char *broken = NULL;
    for (int i = 0; i < g->nodes_count && !broken; i++) {
        const struct node *n = g->nodes[i];
        int channel = first_channel(n);
        if (n->op == OP_slice)
            broken = verify_part(w, n->out[0], n->in[0], n->attr.channel);
        for (int k = 0; joins(n) && k < n->in_count && !broken; channel += n->in[k++]->shape.c)
            broken = verify_part(w, n->in[k], n->out[0], channel);
    }
    return broken;
}

/* Steps of one loop over single images come one after the other. */
static bool is_after(const struct walk *w, int step, const struct step *s)
{
    const struct step_at *x = &w->at[step], *y = &w->at[s->index];
    return x->phase > y->phase || (x->phase == y->phase && x->index > y->index);
}

/* What the argument is was made before the step. */
static bool made_before(const struct walk *w, const struct argument *a, const struct step *s)
{
    const struct step *maker = w->tensors[tensor_base(a->tensor)->id].maker;
    return maker && is_after(w, s->index, maker);
}

/* The result of a step lies where its kernel may write it over what nobody reads any more. */
static const char *verify_take_over(const struct walk *w, const struct tensor *y)
{
    const struct tensor_place *x = &w->q->places[y->id];
    const struct step *s = w->tensors[y->id].maker;
    bool may = false;
    for (int k = 0; s && k < s->arguments_count; k++) {
        const struct argument *a = &s->arguments[k];
        may |= a->kind == ARGUMENT_TENSOR && a->tensor != y && plan_root(w->q, a->tensor) == plan_root(w->q, y) &&
               s->group->result == y && s->group->kernel->overwrites &&
               s->group->kernel->overwrites(w->p, s->group, a->tensor);
    }
    if (!may || x->bytes != w->q->places[x->base->id].bytes)
        return arena_printf(w->p->arena, "%s lies where %s does, whose memory it may not take over", y->name,
                            x->base->name);
    for (int i = 0; i < w->q->steps_count; i++)
        for (int k = 0; k < w->q->steps[i]->arguments_count; k++) {
            const struct argument *a = &w->q->steps[i]->arguments[k];
            if (a->kind == ARGUMENT_TENSOR && w->tensors[tensor_base(a->tensor)->id].maker != s &&
                plan_root(w->q, a->tensor) == plan_root(w->q, y) && made_before(w, a, s) && is_after(w, i, s))
                return arena_printf(w->p->arena, "%s reads %s, over which %s has been written",
                                    verify_step_name(w, w->q->steps[i]), a->tensor->name, y->name);
        }
    return NULL;
}

/* Who makes what lies where t does. */
static const struct step *first_maker(const struct walk *w, const struct tensor *t)
{
    t = tensor_base(t);
    while (t->producer && t->producer->op == OP_slice && plan_lies_inside(w->q, t, t->producer->in[0],
                                                                          t->producer->attr.channel))
        t = tensor_base(t->producer->in[0]);
    return w->tensors[t->id].maker;
}

/* A sum that is written over what it is added to: nobody reads that afterwards, nor any other part of the channels. */
static const char *verify_over(const struct walk *w, const struct tensor *sum)
{
    const struct tensor *before = plan_adds_to(sum->producer);
    const struct tensor_place *x = &w->q->places[sum->id], *y = &w->q->places[before->id];
    const struct step *s = w->tensors[sum->id].maker;
    if (x->region != y->region || x->offset != y->offset || x->of_turn != y->of_turn || x->pixel != y->pixel ||
        x->sample != y->sample || x->within != y->within)
        return arena_printf(w->p->arena, "%s does not lie where %s does, which it is added to", sum->name,
                            before->name);
    for (int i = 0; s && i < w->q->steps_count; i++)
        for (int k = 0; k < w->q->steps[i]->arguments_count; k++) {
            const struct argument *a = &w->q->steps[i]->arguments[k];
            if (a->kind != ARGUMENT_TENSOR || plan_root(w->q, a->tensor) != plan_root(w->q, sum) || !is_after(w, i, s))
                continue;
            const struct tensor_place *z = &w->q->places[a->tensor->id];
            const struct step *maker = first_maker(w, a->tensor);
            bool meets = z->within < x->within + sum->shape.c && x->within < z->within + a->tensor->shape.c;
            if (meets && (!maker || (maker != s && is_after(w, s->index, maker))))
                return arena_printf(w->p->arena, "%s reads %s, over which %s has been written",
                                    verify_step_name(w, w->q->steps[i]), a->tensor->name, sum->name);
        }
    return NULL;
}

static const char *verify_taken_over(const struct walk *w)
{
    for (int i = 0; i < w->q->graph->tensors_count; i++) {
        const struct tensor *t = w->q->graph->tensors[i];
        if (!w->q->places[i].base || tensor_base(t) != t || lies_in_some(w->q, t))
            continue;
        const char *broken = plan_lies_over(w->q, t) ? verify_over(w, t) : verify_take_over(w, t);
        if (broken)
            return broken;
    }
    return NULL;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

static int64_t bytes_needed(const struct plan *p, const struct tensor *t)
{
    int64_t size = t->element == ELEMENT_U8 ? 1 : t->element == ELEMENT_I32 ? 4 : p->real_size;
    if (t->param)
        return p->params[t->param->id].stored * p->real_size;
    if (t->per_sample)
        return shape_elements(t->shape) * p->batch * size;
    return plan_round(shape_elements(t->shape), p->lanes) * size;   /* read with whole vectors */
}

/* Every tensor has room for its elements, one sample after the other.  What lies inside of another is as far apart as
 * that one: verify_part(). */
static const char *verify_size(const struct walk *w, const struct tensor *t)
{
    const struct tensor_place *x = &w->q->places[t->id];
    int64_t needed = bytes_needed(w->p, t), sample = t->per_sample ? shape_elements(t->shape) : 0;
    if (x->bytes != needed)
        return arena_printf(w->p->arena, "%s has %" PRId64 " bytes and needs %" PRId64, t->name, x->bytes, needed);
    if (!lies_in_some(w->q, t) && !plan_lies_over(w->q, t) && (x->sample != sample || x->pixel != t->shape.c ||
                                                               x->within))
        return arena_printf(w->p->arena, "%s has samples %" PRId64 " elements apart, and %" PRId64 " elements in each",
                            t->name, x->sample, sample);
    return NULL;
}

const char *verify_sizes(const struct walk *w)
{
    const char *broken = NULL;
    for (int i = 0; i < w->q->graph->tensors_count && !broken; i++)
        broken = verify_size(w, w->q->graph->tensors[i]);
    return broken;
}

/* ---- sharing ----------------------------------------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* In the order of their offsets each is held against those behind it that begin before its end. */
const char *verify_claims(const struct plan *p, struct claims *c, int64_t bytes)
{
    qsort(c->list, (size_t)c->count, sizeof *c->list, by_offset);
    for (int i = 0; i < c->count; i++) {
        const struct claim *x = &c->list[i];
        if (x->offset < 0 || x->offset % plan_alignment(p) || x->end > bytes)
            return arena_printf(p->arena, "%s lies outside of its memory", x->name);
        for (int j = i + 1; j < c->count && c->list[j].offset < x->end; j++) {
            const struct claim *y = &c->list[j];
            if (x->first <= y->last && y->first <= x->last)
                return arena_printf(p->arena, "%s and %s share memory while both live", x->name, y->name);
        }
    }
    return NULL;
}

static const char *verify_shared(const struct walk *w)
{
    const struct graph *g = w->q->graph;
    struct claims c = { 0 };
    c.list = arena_array(w->p->arena, (size_t)(g->tensors_count + w->q->buffers_count) + 1, sizeof *c.list);
    for (int i = 0; i < g->tensors_count; i++) {
        const struct tensor_place *x = &w->q->places[i];
        if (x->region == REGION_MEMORY && !x->base && x->first >= 0)
            c.list[c.count++] =
                (struct claim){ g->tensors[i]->name, x->offset, x->offset + x->bytes, x->first, x->last };
    }
    for (int i = 0; i < w->q->buffers_count; i++) {
        const struct buffer *b = w->q->buffers[i];
        if (!b->lasting)
            c.list[c.count++] = (struct claim){ b->name, b->offset, b->offset + b->bytes, b->first, b->last };
    }
    return verify_claims(w->p, &c, w->q->memory_bytes);
}

/* ---- the threads' own -------------------------------------------------------------------------------------------- */

/* The steps of a phase that touch something. */
struct touched {
    int first, last;            /* numbers among the phase's steps; -1: none */
    int first_loop, last_loop;
};

static void note_touched(struct touched *t, const struct step_at *at)
{
    if (t->first < 0 || at->index < t->first)
        t->first = at->index;
    if (t->first_loop < 0 || at->loop < t->first_loop)
        t->first_loop = at->loop;
    t->last = at->index > t->last ? at->index : t->last;
    t->last_loop = at->loop > t->last_loop ? at->loop : t->last_loop;
}

static const char *claim_local(const struct walk *w, const struct tensor *t, const struct touched *touched,
                               struct claim *claim)
{
    const struct tensor_place *x = &w->q->places[t->id];
    const struct phase *f = &w->q->phases[x->first];
    const struct loop *loop = &f->loops[touched->first_loop], *end = &f->loops[touched->last_loop];
    int images = x->of_turn ? f->images : loop->images;
    if (!x->of_turn && loop != end)
        return arena_printf(w->p->arena, "%s holds the images of one call and is touched in two loops of a turn",
                            t->name);
    *claim = (struct claim){ .name = t->name, .offset = x->offset,
                             .end = x->offset + x->bytes / w->p->batch * images, .first = touched->first,
                             .last = touched->last };
    if (x->of_turn) {
        claim->first = loop->first;
        claim->last = end->first + end->count - 1;
    }
    return NULL;
}

static bool is_local(const struct walk *w, int id)
{
    const struct tensor_place *x = &w->q->places[id];
    return x->region == REGION_LOCAL && !x->base && x->first >= 0;
}

/* Which steps of its phase touch each tensor, by id. */
static struct touched *find_touched(const struct walk *w)
{
    int count = w->q->graph->tensors_count;
    struct touched *touched = arena_array(w->p->arena, (size_t)count + 1, sizeof *touched);
    for (int i = 0; i < count; i++)
        touched[i] = (struct touched){ -1, -1, -1, -1 };
    for (int i = 0; i < w->q->steps_count; i++)
        for (int k = 0; k < w->q->steps[i]->arguments_count; k++)
            if (w->q->steps[i]->arguments[k].kind == ARGUMENT_TENSOR)
                note_touched(&touched[plan_root(w->q, w->q->steps[i]->arguments[k].tensor)->id], &w->at[i]);
    return touched;
}

/* The local tensors of all phases in one list, each phase at times of its own. */
static const char *verify_local(const struct walk *w)
{
    int count = w->q->graph->tensors_count, steps = w->q->steps_count + 1;
    struct touched *touched = find_touched(w);
    struct claims c = { 0 };
    c.list = arena_array(w->p->arena, (size_t)count + 1, sizeof *c.list);
    for (int i = 0; i < count; i++) {
        const struct tensor *t = w->q->graph->tensors[i];
        if (!is_local(w, i) || touched[i].first < 0)
            continue;
        const struct tensor_place *x = &w->q->places[i];
        if (x->first != x->last || w->q->phases[x->first].split != SPLIT_IMAGES)
            return arena_printf(w->p->arena, "%s is local to a thread and lives in phases %d to %d", t->name, x->first,
                                x->last);
        const char *broken = claim_local(w, t, &touched[i], &c.list[c.count]);
        if (broken)
            return broken;
        c.list[c.count].first += x->first * steps;
        c.list[c.count++].last += x->first * steps;
    }
    if (w->p->kernel_scratch + w->q->local_bytes > w->p->scratch_bytes)
        return "the threads' own memory is smaller than its parts";
    return verify_claims(w->p, &c, w->q->local_bytes);
}

const char *verify_memory(const struct walk *w)
{
    const char *broken = verify_views(w);
    broken = broken ? broken : verify_taken_over(w);
    broken = broken ? broken : verify_parts(w);
    broken = broken ? broken : verify_lives(w);
    broken = broken ? broken : verify_shared(w);
    broken = broken ? broken : verify_local(w);
    if (!broken && w->q->memory_bytes > w->p->memory_bytes)
        return "the memory of a program is larger than all";
    return broken;
}

/* ---- from call to call ------------------------------------------------------------------------------------------- */

const char *verify_lasting(const struct plan *p)
{
    const struct program *programs[] = { &p->train, &p->use };
    int64_t used = p->train.memory_bytes > p->use.memory_bytes ? p->train.memory_bytes : p->use.memory_bytes;
    struct claims c = { 0 };
    c.list = arena_array(p->arena, (size_t)(p->train.buffers_count + p->use.buffers_count) + 1, sizeof *c.list);
    c.list[c.count++] = (struct claim){ .name = "what changes from call to call", .end = used };
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < programs[i]->buffers_count; k++) {
            const struct buffer *b = programs[i]->buffers[k];
            if (b->lasting)
                c.list[c.count++] = (struct claim){ .name = b->name, .offset = b->offset, .end = b->offset + b->bytes };
        }
    return verify_claims(p, &c, p->memory_bytes);
}
