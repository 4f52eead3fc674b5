/* plan_verify.c - what holds of a plan.  The schedule is walked as the emitted file runs it, with what the steps'
 * arguments say that they read and write:
 *
 *   - the steps stand in phases and loops that agree with them;
 *   - every block has its own part of what is written, and all of them together make all of it;
 *   - every value is made before it is used, in the epochs in which it is, and no thread reads what another may still be
 *     writing;
 *   - shares of a batch meet between what they tell and what reads it;
 *   - sums that a kernel takes of its result are those of a normalisation that reads it, and somebody puts them together;
 *   - hoisted steps read parameters only; weights are updated early when nobody reads them any more
 *   - and memory: plan_verify_memory.c; parameters: plan_verify_params.c; the optimizer's step: plan_verify_update.c.
 *
 * It believes what arguments say of a kernel's function, and nothing else: lives, places and loops are not derived
 * again as planning has found them, but held against the walk. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernels/loops.h"
#include "plan/plan_parts.h"
#include "plan/plan_verify.h"

/* ---- what everything below speaks of ----------------------------------------------------------------------------- */

const char *verify_step_name(const struct walk *w, const struct step *s)
{
    return arena_printf(w->p->arena, "%s (%s)", s->group->main->name, s->what);
}

struct value *verify_value(const struct walk *w, const struct argument *a)
{
    if (a->kind == ARGUMENT_BUFFER)
        return &w->buffers[a->buffer->index];
    return a->kind == ARGUMENT_TENSOR || a->kind == ARGUMENT_PARAMETER ? &w->tensors[tensor_base(a->tensor)->id] : NULL;
}

/* "STEP text VALUE" */
static const char *fault(const struct walk *w, const struct step *s, const char *text, const struct value *v)
{
    return arena_printf(w->p->arena, "%s %s %s", verify_step_name(w, s), text, v->name);
}

/* ---- phases and loops -------------------------------------------------------------------------------------------- */

static const char *verify_step_of_phase(const struct walk *w, int phase, int index)
{
    const struct phase *f = &w->q->phases[phase];
    const struct step *s = f->steps[index];
    const char *name = verify_step_name(w, s);
    struct arena *a = w->p->arena;
    if (s->index < 0 || s->index >= w->q->steps_count || w->q->steps[s->index] != s)
        return arena_printf(a, "%s, in phase %d, is no step of the program", name, phase);
    if (w->at[s->index].phase >= 0)
        return arena_printf(a, "%s stands in the schedule twice", name);
    if (s->phase != phase)
        return arena_printf(a, "%s is said to be in phase %d and stands in phase %d", name, s->phase, phase);
    if (s->split != f->split)
        return arena_printf(a, "%s stands in a phase that is split otherwise", name);
    if (s->repeat != f->repeat)
        return arena_printf(a, "%s is done %d times in a phase that is done %d times", name, s->repeat, f->repeat);
    if (s->groups && s->groups != f->groups)
        return arena_printf(a, "%s has %d groups of images in a loop of %d", name, s->groups, f->groups);
    w->at[s->index].phase = phase;
    w->at[s->index].index = index;
    return NULL;
}

static const char *verify_step_of_loop(const struct walk *w, const struct phase *f, const struct loop *loop,
                                       const struct step *s)
{
    const char *name = verify_step_name(w, s);
    struct arena *a = w->p->arena;
    if (f->split == SPLIT_IMAGES && (s->images != loop->images || s->images < 1 || f->images % s->images))
        return arena_printf(a, "%s takes %d images a call in a loop that takes %d, of turns of %d", name, s->images,
                            loop->images, f->images);
    if (f->split == SPLIT_BLOCKS && (s->blocks != loop->blocks || s->run != loop->run || s->blocks < 1))
        return arena_printf(a, "%s has %" PRId64 " blocks in runs of %d, and its loop %" PRId64 " in runs of %d", name,
                            s->blocks, s->run, loop->blocks, loop->run);
    return NULL;
}

static const char *verify_loops(const struct walk *w, int phase)
{
    const struct phase *f = &w->q->phases[phase];
    int next = 0;
    for (int i = 0; i < f->loops_count; i++) {
        const struct loop *loop = &f->loops[i];
        if (loop->first != next || loop->count < 1 || loop->first + loop->count > f->steps_count)
            return arena_printf(w->p->arena, "loop %d of phase %d does not begin with %s, where the one before ends", i,
                                phase, next < f->steps_count ? verify_step_name(w, f->steps[next]) : "a step");
        next = loop->first + loop->count;
        for (int s = loop->first; s < next; s++) {
            const char *broken = verify_step_of_loop(w, f, loop, f->steps[s]);
            if (broken)
                return broken;
            w->at[f->steps[s]->index].loop = i;
        }
    }
    if (next != f->steps_count)
        return arena_printf(w->p->arena, "%s stands in no loop", verify_step_name(w, f->steps[next]));
    return NULL;
}

/* Turns are whole numbers of images of a group, and groups and repeats are of equal size. */
static const char *verify_turns(const struct walk *w, int phase)
{
    const struct phase *f = &w->q->phases[phase];
    int batch = w->p->batch, groups = f->groups ? f->groups : 1;
    bool whole = f->split == SPLIT_BLOCKS || (f->images > 0 && batch % groups == 0 && batch / groups % f->images == 0);
    if (!whole || (f->repeat && batch % f->repeat))
        return arena_printf(w->p->arena,
                            "phase %d, of %s, cuts a batch of %d into %d groups, turns of %d images and %d repeats",
                            phase, verify_step_name(w, f->steps[0]), batch, f->groups, f->images, f->repeat);
    return NULL;
}

/* Fills w->repeat_of: the first phase of the repeat that a phase belongs to, and the last one. */
static const char *verify_repeats(const struct walk *w)
{
    int begin = -1;
    for (int i = 0; i < w->q->phases_count; i++) {
        const struct phase *f = &w->q->phases[i];
        if (f->repeat_begins ? begin >= 0 : (f->repeat > 0) != (begin >= 0))
            return arena_printf(w->p->arena, "phase %d, of %s, is repeated and its repeat does not begin or end", i,
                                verify_step_name(w, f->steps[0]));
        if (f->repeat_begins)
            begin = i;
        if (begin >= 0 && f->repeat != w->q->phases[begin].repeat)
            return arena_printf(w->p->arena, "%s is repeated with %s, but not as often",
                                verify_step_name(w, f->steps[0]),
                                verify_step_name(w, w->q->phases[begin].steps[0]));
        w->repeats[i] = (struct repeat){ begin, begin };
        for (int k = begin; begin >= 0 && k <= i; k++)
            w->repeats[k].last = i;
        if (f->repeat_ends)
            begin = -1;
    }
    return begin < 0 ? NULL : arena_printf(w->p->arena, "the repeat of phase %d does not end", begin);
}

static const char *verify_schedule(const struct walk *w)
{
    const struct program *q = w->q;
    const char *broken = NULL;
    for (int i = 0; i < q->steps_count; i++)
        w->at[i] = (struct step_at){ .phase = -1 };
    for (int i = 0; i < q->phases_count && !broken; i++) {
        if (q->phases[i].steps_count == 0)
            return arena_printf(w->p->arena, "phase %d is empty", i);
        for (int k = 0; k < q->phases[i].steps_count && !broken; k++)
            broken = verify_step_of_phase(w, i, k);
        broken = broken ? broken : verify_loops(w, i);
        broken = broken ? broken : verify_turns(w, i);
    }
    for (int i = 0; i < q->steps_count && !broken; i++)
        if (w->at[i].phase < 0)
            return arena_printf(w->p->arena, "%s stands in no phase", verify_step_name(w, q->steps[i]));
    return broken ? broken : verify_repeats(w);
}

/* ---- what one call touches --------------------------------------------------------------------------------------- */

/* Elements of a value that its parts must lie in, and that they must cover. */
static void elements_of(const struct walk *w, const struct argument *a, int64_t *within, int64_t *needed)
{
    const struct tensor *t = a->tensor;
    *needed = 0;
    if (a->kind == ARGUMENT_BUFFER) {
        *within = a->buffer->bytes / w->p->real_size;
        return;
    }
    const struct tensor_place *place = &w->q->places[t->id];
    *within = *needed = t->per_sample ? place->sample * w->p->batch : shape_elements(t->shape);
    if (t->param) {             /* padded: vectors to whole ones, of which the padding need not be made */
        *within = w->p->params[t->param->id].stored;
        *needed = t->param->form->packing == PACKED_ROWS ? param_elements(t->param) : *within;
    }
}

bool verify_is_injective(const struct axis *axes, int count, int64_t *reach)
{
    bool done[VERIFY_AXES] = { false };
    *reach = 1;
    for (int k = 0; k < count; k++) {
        int narrow = -1;
        for (int i = 0; i < count; i++)
            if (!done[i] && (narrow < 0 || axes[i].step < axes[narrow].step))
                narrow = i;
        const struct axis *x = &axes[narrow];
        done[narrow] = true;
        if (x->count > 1 && x->step < *reach)
            return false;
        *reach += (x->count - 1) * x->step;
    }
    return true;
}

static int axes_of(const struct part *part)
{
    int count = 0;
    while (count < PART_AXES && part->axis[count].count)
        count++;
    return count;
}

/* Whether the numbers of blocks name every combination of pieces once. */
static bool blocks_are_pieces(const struct part *part, int64_t blocks)
{
    int64_t over = 1;
    for (int found = 1; found && over < blocks;) {
        found = 0;
        for (int k = 0; k < PART_AXES && part->axis[k].count; k++)
            if (part->axis[k].piece && part->axis[k].over == over && axis_pieces(&part->axis[k]) > 1) {
                over *= axis_pieces(&part->axis[k]);
                found = 1;
                break;
            }
    }
    int64_t all = 1;
    for (int k = 0; k < PART_AXES && part->axis[k].count; k++)
        all *= axis_pieces(&part->axis[k]);
    return over == blocks && all == blocks;
}

static const char *verify_part(const struct walk *w, const struct step *s, const struct argument *a)
{
    int64_t within, needed, reach, covered = 1;
    const struct value *v = verify_value(w, a);
    elements_of(w, a, &within, &needed);
    if (!blocks_are_pieces(a->part, s->blocks))
        return fault(w, s, "has other blocks than there are parts of", v);
    if (!verify_is_injective(a->part->axis, axes_of(a->part), &reach))
        return fault(w, s, "has blocks that share elements of", v);
    if (reach > within)
        return fault(w, s, "has blocks that reach beyond", v);
    for (int k = 0; k < PART_AXES && a->part->axis[k].count; k++)
        covered *= a->part->axis[k].count;
    if ((a->access & ACCESS_WRITE) && covered < needed)
        return fault(w, s, "has blocks that leave out elements of", v);
    return NULL;
}

static const char *verify_rows(const struct walk *w, const struct step *s, const struct argument *a)
{
    int64_t rows = a->touch == TOUCH_IMAGES ? w->p->batch : s->groups, within, needed;
    const struct value *v = verify_value(w, a);
    if (a->touch == TOUCH_GROUP && !s->groups)
        return fault(w, s, "has no groups of images, as it needs for its row of", v);
    if (a->cleared && a->touch != TOUCH_GROUP)
        return fault(w, s, "clears for each group of images what has no row for it,", v);
    elements_of(w, a, &within, &needed);
    if (a->touch == TOUCH_GROUP && a->at == AT_BASE)    /* one group: the value is the row */
        rows = 1;
    if (a->row && rows * a->row > within)
        return fault(w, s, "has more or longer rows than there are in", v);
    if (a->row ? rows * a->row != within : a->kind == ARGUMENT_BUFFER)
        return fault(w, s, "has rows that are not all of", v);
    if (a->kind == ARGUMENT_TENSOR && a->touch == TOUCH_IMAGES && !a->tensor->per_sample)
        return fault(w, s, "goes image by image through", v);
    return NULL;
}

/* The pointer stands at what the call touches.  A group's row that is all of the value begins where the value does; a
 * block that has no row of it finds its part from there. */
static bool stands_where_it_touches(const struct step *s, const struct argument *a)
{
    switch (a->touch) {
    case TOUCH_IMAGES: return a->at == AT_IMAGE;
    case TOUCH_GROUP: return a->at == AT_GROUP || (a->at == AT_BASE && s->groups == 1);
    case TOUCH_PART:
        return a->at == AT_BLOCK ? a->part->axis[0].step == a->row && a->part->axis[0].piece == 1
                                 : a->at == AT_BASE && !a->row;
    default: return a->at == AT_BASE;
    }
}

static const char *verify_touch(const struct walk *w, const struct step *s, const struct argument *a)
{
    const struct value *v = verify_value(w, a);
    bool writes = a->access & ACCESS_WRITE, blocks = a->touch >= TOUCH_PART;
    if (blocks ? s->split != SPLIT_BLOCKS : a->touch != TOUCH_ALL && s->split != SPLIT_IMAGES)
        return fault(w, s, "is split otherwise than what it has of", v);
    if (writes && a->touch == TOUCH_ALL && (s->split == SPLIT_IMAGES || s->blocks > 1))
        return fault(w, s, "writes in every call all of", v);
    if (writes && a->touch == TOUCH_GROUP && s->groups == 1 && a->at != AT_BASE)
        return fault(w, s, "has one group of images and rows of", v);
    if (!stands_where_it_touches(s, a))
        return fault(w, s, "has a pointer that does not stand where it touches", v);
    if (a->touch == TOUCH_PART)
        return verify_part(w, s, a);
    return a->touch == TOUCH_IMAGES || a->touch == TOUCH_GROUP ? verify_rows(w, s, a) : NULL;
}

/* ---- numbers of arguments ---------------------------------------------------------------------------------------- */

/* Node number `number` of the group's among those that draw random numbers; NULL: there are not so many. */
static const struct node *drawing_node(const struct group *g, int number)
{
    if (op_attributes(g->main->op) & HAS_stream && number-- == 0)
        return g->main;
    for (int i = 0; i < g->chain_count; i++)
        if (op_attributes(g->chain[i]->op) & HAS_stream && number-- == 0)
            return g->chain[i];
    return NULL;
}

/* Arguments of a kind before this one. */
static int number_of_kind(const struct step *s, const struct argument *a)
{
    int number = 0;
    for (int k = 0; &s->arguments[k] != a; k++)
        number += s->arguments[k].kind == a->kind;
    return number;
}

/* The numbers that a step draws are those of its nodes, in their order, from where its images are. */
static const char *verify_drawing(const struct walk *w, const struct step *s, const struct argument *a)
{
    const struct node *n = drawing_node(s->group, number_of_kind(s, a));
    struct arena *arena = w->p->arena;
    int64_t numbers = !n ? 0 : n->attr.by_channel ? n->out[0]->shape.c : tensor_elements(n->out[0]);
    if (!n)
        return arena_printf(arena, "%s draws random numbers that no operation of it wants", verify_step_name(w, s));
    if (a->kind == ARGUMENT_KEY && a->number != n->attr.stream)
        return arena_printf(arena, "%s draws from stream %" PRId64 " for %s, whose stream is %d",
                            verify_step_name(w, s), a->number, n->out[0]->name, n->attr.stream);
    if (a->kind == ARGUMENT_ELEMENT && a->number != numbers)
        return arena_printf(arena, "%s counts %" PRId64 " numbers of an image of %s, which has %" PRId64,
                            verify_step_name(w, s), a->number, n->out[0]->name, numbers);
    if (a->kind == ARGUMENT_ELEMENT && (a->at == AT_IMAGE) != (s->split == SPLIT_IMAGES))
        return arena_printf(arena, "%s draws other numbers of %s than its images have", verify_step_name(w, s),
                            n->out[0]->name);
    return NULL;
}

/* The pixels of what some operation of the step makes. */
static const char *verify_share(const struct walk *w, const struct step *s, const struct argument *a)
{
    const struct group *g = s->group;
    bool found = tensor_pixels(g->main->out[0]) == a->number;
    for (int i = 0; i < g->chain_count; i++)
        found |= tensor_pixels(g->chain[i]->out[0]) == a->number;
    return found ? NULL
                 : arena_printf(w->p->arena, "%s takes a share of %" PRId64 " pixels an image, which %s has not",
                                verify_step_name(w, s), a->number, g->result->name);
}

/* What draws in a layer draws the same numbers in it, and other ones than other layers. */
static const char *verify_streams(const struct walk *w)
{
    const struct graph *g = w->q->graph;
    for (int i = 0; i < g->nodes_count; i++)
        for (int k = 0; op_attributes(g->nodes[i]->op) & HAS_stream && k < i; k++) {
            const struct node *x = g->nodes[i], *y = g->nodes[k];
            if (op_attributes(y->op) & HAS_stream && (x->layer == y->layer) != (x->attr.stream == y->attr.stream))
                return arena_printf(w->p->arena, "%s draws from stream %d and %s from stream %d", x->name,
                                    x->attr.stream, y->name, y->attr.stream);
        }
    return NULL;
}

/* ---- images that lie together ------------------------------------------------------------------------------------ */

/* Whether a group that is computed for images together takes t, whose images lie apart. */
static bool takes_apart(const struct group *g, const struct tensor *t)
{
    const struct node *n = g->main;
    const struct tensor *own = n->out[0];       /* what the chain reads lies as the result does */
    for (int i = 0; i < n->in_count; i++)
        own = n->in[i] && tensor_base(n->in[i]) == t ? n->in[i] : own;
    for (int i = 0; i < n->out_count; i++)
        own = n->out[i] == t ? t : own;
    return g->kernel->apart && g->kernel->apart(n, own);
}

/* What lies together is taken by whole vectors of images, by kernels that know it; these know of all that does not. */
static const char *verify_together(const struct walk *w, const struct step *s, const struct argument *a)
{
    const struct tensor *t = tensor_base(a->tensor);
    int together = w->q->places[t->id].together;
    const struct value *v = verify_value(w, a);
    if (together && (together != w->p->lanes || w->q->places[t->id].base || !t->per_sample))
        return fault(w, s, "takes images together that cannot lie so, of", v);
    if (together && (s->group->together != together || a->touch != TOUCH_IMAGES || s->images % together))
        return fault(w, s, "takes images one by one where they lie together, of", v);
    if (!together && s->group->together && t->per_sample && !takes_apart(s->group, t))
        return fault(w, s, "takes images together where they lie apart, of", v);
    return NULL;
}

static const char *verify_argument(const struct walk *w, const struct step *s, const struct argument *a)
{
    struct arena *arena = w->p->arena;
    switch (a->kind) {
    case ARGUMENT_SCRATCH:
        if (a->number > w->p->kernel_scratch)
            return arena_printf(arena, "%s uses %" PRId64 " bytes of scratch, of which there are %" PRId64,
                                verify_step_name(w, s), a->number, w->p->kernel_scratch);
        return NULL;
    case ARGUMENT_BLOCK:
        if (s->split != SPLIT_BLOCKS)
            return arena_printf(arena, "%s has images and asks for a block", verify_step_name(w, s));
        return NULL;
    case ARGUMENT_LEFT:
        if (s->split != SPLIT_IMAGES)
            return arena_printf(arena, "%s has blocks and asks how many images are left", verify_step_name(w, s));
        return NULL;
    case ARGUMENT_FIRST: case ARGUMENT_BEGINS:
        if (!s->repeat || (a->kind == ARGUMENT_FIRST && a->number * s->repeat != w->p->batch))
            return arena_printf(arena, "%s takes %" PRId64 " images each time, %d times", verify_step_name(w, s),
                                a->number, s->repeat);
        return NULL;
    case ARGUMENT_KEY: case ARGUMENT_ELEMENT:
        return verify_drawing(w, s, a);
    case ARGUMENT_SHARE:
        return verify_share(w, s, a);
    case ARGUMENT_TENSOR: {
        const char *broken = verify_together(w, s, a);
        return broken ? broken : verify_touch(w, s, a);
    }
    case ARGUMENT_BUFFER: case ARGUMENT_PARAMETER:
        return verify_touch(w, s, a);
    default:
        return NULL;
    }
}

static const char *verify_arguments(const struct walk *w)
{
    for (int i = 0; i < w->q->steps_count; i++)
        for (int k = 0; k < w->q->steps[i]->arguments_count; k++) {
            const char *broken = verify_argument(w, w->q->steps[i], &w->q->steps[i]->arguments[k]);
            if (broken)
                return broken;
        }
    return verify_streams(w);
}

/* ---- values: made, then used ------------------------------------------------------------------------------------- */

static bool same_part(const struct argument *a, const struct argument *b)
{
    return a->touch == TOUCH_PART && b->touch == TOUCH_PART && !memcmp(a->part, b->part, sizeof *a->part);
}

/* Whether in each turn of the loop that both stand in the later step finds what the earlier one has touched of a value
 * and no other turn touches. */
static bool in_turn(const struct walk *w, const struct step *earlier, const struct argument *a,
                    const struct step *later, const struct argument *b)
{
    const struct step_at *x = &w->at[earlier->index], *y = &w->at[later->index];
    if (x->phase != y->phase || x->index > y->index)
        return false;
    if (earlier->split == SPLIT_IMAGES)         /* loops of a turn are done one after the other */
        return a->touch == TOUCH_IMAGES && b->touch == TOUCH_IMAGES;
    return x->loop == y->loop && (same_part(a, b) || earlier->blocks == 1);
}

static bool comes_from_outside(const struct value *v)
{
    return v->region == REGION_INPUT || v->region == REGION_LABELS || v->region == REGION_TARGETS ||
           v->region == REGION_PARAMS || v->region == REGION_STATISTICS;
}

/* Whether the maker is done in all epochs in which its reader is. */
static bool is_done_before(const struct step *maker, const struct step *reader)
{
    bool done = !maker->epochs || reader->epochs;
    for (int i = 0; done && reader->epochs && i < reader->epochs->count; i++)
        done = plan_epochs_hold(maker->epochs, reader->epochs->spans[i]);
    return done;
}

static const char *verify_read_value(const struct walk *w, const struct step *s, const struct argument *a,
                                     const struct value *v)
{
    if (comes_from_outside(v))
        return NULL;
    if (!v->maker)
        return fault(w, s, "reads what nobody has made before,", v);
    if (!is_done_before(v->maker, s))
        return arena_printf(w->p->arena, "%s reads %s in epochs in which %s is left out", verify_step_name(w, s),
                            v->name, verify_step_name(w, v->maker));
    const struct step_at *made = &w->at[v->maker->index], *now = &w->at[s->index];
    int repeat = w->repeats[made->phase].first;
    if (v->added && repeat >= 0 && w->repeats[now->phase].first == repeat)
        return fault(w, s, "reads before it has been added to for the last time", v);
    if (made->phase < now->phase || in_turn(w, v->maker, v->made_as, s, a))
        return NULL;
    return arena_printf(w->p->arena, "%s reads %s, which other threads still write in %s", verify_step_name(w, s),
                        v->name, verify_step_name(w, v->maker));
}

/* What is put together of views is made where they are. */
static const char *verify_read_tensor(const struct walk *w, const struct step *s, const struct argument *a,
                                      const struct tensor *t)
{
    const struct tensor *base = tensor_base(t);
    const struct node *n = base->producer;
    bool whole = true;
    if (!n || (n->op != OP_concat && n->op != OP_slice))
        return verify_read_value(w, s, a, &w->tensors[base->id]);
    for (int i = 0, channel = 0; i < n->in_count; channel += n->in[i++]->shape.c) {
        if (n->op == OP_slice ? !plan_lies_inside(w->q, base, n->in[i], n->attr.channel)
                              : !plan_lies_inside(w->q, n->in[i], base, channel)) {
            whole = false;
            continue;
        }
        const char *broken = verify_read_tensor(w, s, a, n->in[i]);
        if (broken)
            return broken;
    }
    return whole ? NULL : verify_read_value(w, s, a, &w->tensors[base->id]);
}

static const char *verify_read(const struct walk *w, const struct step *s, const struct argument *a)
{
    if (a->kind == ARGUMENT_TENSOR)
        return verify_read_tensor(w, s, a, a->tensor);
    return verify_read_value(w, s, a, verify_value(w, a));
}

static const char *verify_write(const struct walk *w, const struct step *s, const struct argument *a)
{
    struct value *v = verify_value(w, a);
    bool adds = a->access & ACCESS_READ;
    if (v->region == REGION_STATISTICS && !adds)
        return fault(w, s, "does not go on from the earlier", v);
    if (s->epochs && (v->region == REGION_STATISTICS || v->lasting))
        return fault(w, s, "is left out in some epochs and makes", v);
    if (v->maker)
        return arena_printf(w->p->arena, "%s makes %s, which %s has made", verify_step_name(w, s), v->name,
                            verify_step_name(w, v->maker));
    if (comes_from_outside(v) && v->region != REGION_STATISTICS)
        return fault(w, s, "writes", v);
    v->added = adds && !a->cleared && !v->lasting;
    if (v->added && v->region != REGION_STATISTICS && !step_uses_kind(s, ARGUMENT_BEGINS))
        return fault(w, s, "adds to what nobody has begun,", v);
    v->maker = s;
    v->made_as = a;
    return NULL;
}

/* Reads first: a call reads what others have made before it. */
static const char *verify_call(const struct walk *w, const struct step *s)
{
    const char *broken = NULL;
    for (int k = 0; k < s->arguments_count && !broken; k++)
        if (verify_value(w, &s->arguments[k]) && s->arguments[k].access == ACCESS_READ)
            broken = verify_read(w, s, &s->arguments[k]);
    for (int k = 0; k < s->arguments_count && !broken; k++)
        if (verify_value(w, &s->arguments[k]) && (s->arguments[k].access & ACCESS_WRITE) &&
            s->arguments[k].kind != ARGUMENT_PARAMETER)
            broken = verify_write(w, s, &s->arguments[k]);
    return broken;
}

/* It is done before its use, when maps are not made yet. */
static const char *verify_hoisted(const struct walk *w, const struct step *s)
{
    for (int k = 0; s->hoisted && k < s->arguments_count; k++) {
        const struct argument *a = &s->arguments[k];
        const struct value *v = verify_value(w, a);
        if (v && a->kind == ARGUMENT_TENSOR && a->access == ACCESS_READ && v->region != REGION_PARAMS)
            return fault(w, s, "is hoisted and reads", v);
    }
    return NULL;
}

/* What is wanted of the program: predictions, losses, the gradients that the update reads. */
static const char *verify_results(const struct walk *w)
{
    const struct graph *g = w->q->graph;
    for (int i = 0; i < g->tensors_count; i++) {
        const struct tensor *t = g->tensors[i];
        bool gradient = t->role == TENSOR_PARAM_GRADIENT && w->p->update.optimizer && plan_trains(t->param);
        if (!gradient && t != g->loss && t != g->predictions)
            continue;
        const struct step *maker = w->tensors[tensor_base(t)->id].maker;
        if (!maker)
            return arena_printf(w->p->arena, "nobody makes %s", t->name);
        const struct epoch_span wanted = gradient ? plan_trained_epochs(w->p, t->param)
                                                  : (struct epoch_span){ 0, INFINITY };
        if (!plan_epochs_hold(maker->epochs, wanted))
            return arena_printf(w->p->arena, "%s is left out in epochs in which %s is wanted",
                                verify_step_name(w, maker), t->name);
    }
    return NULL;
}

static const char *verify_values(const struct walk *w)
{
    const struct program *q = w->q;
    for (int i = 0; i < q->phases_count; i++)
        for (int k = 0; k < q->phases[i].steps_count; k++) {
            const char *broken = verify_hoisted(w, q->phases[i].steps[k]);
            broken = broken ? broken : verify_call(w, q->phases[i].steps[k]);
            if (broken)
                return broken;
        }
    return verify_results(w);
}

/* ---- shares of a batch that meet --------------------------------------------------------------------------------- */

/* What all shares of a batch have told each other is there from the phase on that they meet before. */
static const char *verify_meeting(const struct walk *w, const struct step *s)
{
    const struct phase *f = &w->q->phases[w->at[s->index].phase];
    struct arena *a = w->p->arena;
    bool reads = false;
    for (int k = 0; k < s->arguments_count; k++)
        reads |= s->arguments[k].kind == ARGUMENT_BUFFER && s->arguments[k].buffer == s->meets;
    if (!s->meets != !step_uses_kind(s, ARGUMENT_TOGETHER) || (s->meets && !reads))
        return arena_printf(a, "%s reads what all shares tell and does not meet them", verify_step_name(w, s));
    if (s->meets && (!f->meets || f->repeat))
        return arena_printf(a, "%s stands in phase %d, before which no shares meet", verify_step_name(w, s),
                            w->at[s->index].phase);
    for (int i = 0; s->meets && i < w->q->steps_count; i++)
        for (int k = 0; k < w->q->steps[i]->arguments_count; k++) {
            const struct argument *x = &w->q->steps[i]->arguments[k];
            if (x->kind == ARGUMENT_BUFFER && x->buffer == s->meets && (x->access & ACCESS_WRITE)
                && w->at[i].phase >= w->at[s->index].phase)
                return arena_printf(a, "%s tells the other shares what %s has read before",
                                    verify_step_name(w, w->q->steps[i]), verify_step_name(w, s));
        }
    return NULL;
}

static const char *verify_segments(const struct walk *w)
{
    const struct program *q = w->q;
    const char *broken = NULL;
    int segments = 1;
    for (int i = 0; i < q->steps_count && !broken; i++)
        broken = verify_meeting(w, q->steps[i]);
    for (int i = 0; i < q->phases_count; i++)
        segments += q->phases[i].meets;
    if (!broken && segments != q->segments)
        return arena_printf(w->p->arena, "there are %d segments of phases, and not %d", segments, q->segments);
    return broken;
}

/* ---- early updates ----------------------------------------------------------------------------------------------- */

/* Whoever reads the weights must have read them: in an earlier phase, or in the same turn of the same loop. */
static const char *verify_readers(const struct walk *w, const struct step *s, const struct argument *a)
{
    for (int i = 0; i < w->q->steps_count; i++) {
        const struct step *t = w->q->steps[i];
        for (int k = 0; k < t->arguments_count; k++) {
            const struct argument *b = &t->arguments[k];
            if (b->kind != ARGUMENT_TENSOR || tensor_base(b->tensor) != tensor_base(a->tensor))
                continue;
            if (w->at[i].phase < w->at[s->index].phase || (t != s && in_turn(w, t, b, s, a)))
                continue;
            return arena_printf(w->p->arena, "%s reads %s, which %s updates before or meanwhile",
                                verify_step_name(w, t), a->tensor->name, verify_step_name(w, s));
        }
    }
    return NULL;
}

/* The step makes the gradient of just these weights. */
static bool makes_gradient(const struct step *s, const struct argument *a)
{
    for (int k = 0; k < s->arguments_count; k++) {
        const struct argument *b = &s->arguments[k];
        if (b->kind == ARGUMENT_TENSOR && (b->access & ACCESS_WRITE) && b->tensor->role == TENSOR_PARAM_GRADIENT &&
            b->tensor->param == a->tensor->param)
            return same_part(a, b);
    }
    return false;
}

static const char *verify_early(const struct walk *w)
{
    for (int i = 0; i < w->q->steps_count; i++) {
        const struct step *s = w->q->steps[i];
        for (int k = 0; k < s->arguments_count; k++) {
            const struct argument *a = &s->arguments[k];
            if (a->kind != ARGUMENT_PARAMETER)
                continue;
            struct value *v = verify_value(w, a);
            if (!w->q->training || !s->updates || s->updates->tensor != a->tensor)
                return fault(w, s, "updates without having been planned to", v);
            if (v->maker)
                return fault(w, s, "is the second to update", v);
            if (!makes_gradient(s, a))
                return fault(w, s, "does not make the gradient of the same part of", v);
            if (w->q->rule_phase < 0 || w->q->rule_phase >= w->at[i].phase)
                return fault(w, s, "does not know yet how to update", v);
            v->maker = s;
            const char *broken = verify_readers(w, s, a);
            if (broken)
                return broken;
        }
    }
    const struct tensor *loss = w->q->graph->loss;
    if (w->q->rule_phase >= 0 && loss && w->at[w->tensors[loss->id].maker->index].phase > w->q->rule_phase)
        return arena_printf(w->p->arena, "how to update is decided in phase %d, before %s is made", w->q->rule_phase,
                            loss->name);
    return NULL;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static struct walk walk_of(const struct plan *p, const struct program *q)
{
    const struct graph *g = q->graph;
    struct walk w = { .p = p, .q = q };
    w.at = arena_array(p->arena, (size_t)q->steps_count + 1, sizeof *w.at);
    w.repeats = arena_array(p->arena, (size_t)q->phases_count + 1, sizeof *w.repeats);
    w.tensors = arena_array(p->arena, (size_t)g->tensors_count + 1, sizeof *w.tensors);
    w.buffers = arena_array(p->arena, (size_t)q->buffers_count + 1, sizeof *w.buffers);
    for (int i = 0; i < g->tensors_count; i++)
        w.tensors[i] = (struct value){ .name = g->tensors[i]->name, .region = q->places[i].region };
    for (int i = 0; i < q->buffers_count; i++)
        w.buffers[i] = (struct value){ .name = q->buffers[i]->name, .region = REGION_MEMORY,
                                       .lasting = q->buffers[i]->lasting };
    return w;
}

static const char *verify_program(const struct plan *p, const struct program *q)
{
    const struct walk w = walk_of(p, q);
    const char *broken = verify_sizes(&w);
    broken = broken ? broken : verify_schedule(&w);
    broken = broken ? broken : verify_arguments(&w);
    broken = broken ? broken : verify_values(&w);
    broken = broken ? broken : verify_segments(&w);
    broken = broken ? broken : verify_carried(&w);
    broken = broken ? broken : verify_early(&w);
    return broken ? broken : verify_memory(&w);
}

/* Finer phases hold the same steps in the same order, and with them in their places the program is right as well. */
static const char *verify_finer(const struct plan *p, const struct program *q)
{
    bool any = false;
    for (int i = 0; i < q->phases_count; i++) {
        const struct phase *f = &q->phases[i], *finer = f->finer;
        if (!finer)
            continue;
        bool same = finer->steps_count == f->steps_count && finer->loops_count == f->loops_count && !finer->finer;
        for (int k = 0; same && k < f->steps_count; k++) {
            const struct step *s = f->steps[k], *t = finer->steps[k];
            same = s->index == t->index && s->group->main == t->group->main && s->part == t->part &&
                   s->epochs == t->epochs && s->arguments_count == t->arguments_count;
            for (int n = 0; same && n < s->arguments_count; n++)
                same = s->arguments[n].kind == t->arguments[n].kind &&
                    s->arguments[n].tensor == t->arguments[n].tensor &&
                       s->arguments[n].buffer == t->arguments[n].buffer &&
                           s->arguments[n].access == t->arguments[n].access;
        }
        if (!same)
            return arena_printf(p->arena, "the finer form of phase %d, of %s (%s), has other steps", i,
                                f->steps[0]->group->main->name, f->steps[0]->what);
        any = true;
    }
    const struct program all = any ? plan_finer_program(p, q) : *q;
    return any ? verify_program(p, &all) : NULL;
}

const char *plan_verify(const struct plan *p)
{
    const char *broken = verify_params(p);
    broken = broken || !p->train.graph ? broken : verify_program(p, &p->train);
    broken = broken || !p->train.graph ? broken : verify_finer(p, &p->train);
    broken = broken ? broken : verify_program(p, &p->use);
    broken = broken ? broken : verify_finer(p, &p->use);
    broken = broken ? broken : verify_lasting(p);
    broken = broken || !p->train.graph ? broken : verify_update(p);
    return broken || !p->train.graph ? broken : verify_pieces(p);
}
