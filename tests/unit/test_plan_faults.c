/* test_plan_faults.c - faults planted in plans that networks really have: plan_verify() finds each, and names the step
 * and the value.  Each fault is planted in every network, target and size of batch that has a place for it. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "concat_networks.h"
#include "planned.h"

/* What the message must name; NULL: nothing. */
struct planted {
    const struct step *step;
    const char *value;
};

struct fault {
    const char *name;
    bool (*plant)(struct plan *p, struct planted *f);   /* false: the network has no place for it */
    const char *message;        /* what it says beside the names */
};

/* ---- places ------------------------------------------------------------------------------------------------------ */

static const struct tensor *base_of(const struct tensor *t)
{
    while (t->producer && t->producer->op == OP_view)
        t = t->producer->in[0];
    return t;
}

static bool is_value(const struct argument *a)
{
    return a->kind == ARGUMENT_TENSOR || a->kind == ARGUMENT_BUFFER;
}

static const char *value_name(const struct argument *a)
{
    return a->kind == ARGUMENT_BUFFER ? a->buffer->name : base_of(a->tensor)->name;
}

static bool same_value(const struct argument *a, const struct argument *b)
{
    return is_value(a) && is_value(b) && value_name(a) == value_name(b);
}

enum { ANY = -1 };

/* The first argument that is so used; ANY kind, ANY touch. */
static struct argument *argument_of(const struct step *s, enum access access, int kind, int touch)
{
    for (int i = 0; i < s->arguments_count; i++) {
        struct argument *a = &s->arguments[i];
        if (is_value(a) && a->access == access && (kind == ANY || (int)a->kind == kind) &&
            (touch == ANY || (int)a->touch == touch))
            return a;
    }
    return NULL;
}

/* The first step of training that has one. */
static struct step *step_with(struct plan *p, enum access access, int kind, int touch, struct argument **found)
{
    for (int i = 0; i < p->train.steps_count; i++)
        if ((*found = argument_of(p->train.steps[i], access, kind, touch)))
            return p->train.steps[i];
    return NULL;
}

static bool writes(const struct step *s, const struct argument *value)
{
    for (int i = 0; i < s->arguments_count; i++)
        if ((s->arguments[i].access & ACCESS_WRITE) && same_value(&s->arguments[i], value))
            return true;
    return false;
}

/* Who makes what the argument reads; NULL: it comes from outside. */
static struct step *maker_of(const struct program *q, const struct argument *value)
{
    for (int i = 0; i < q->steps_count; i++)
        if (writes(q->steps[i], value))
            return q->steps[i];
    return NULL;
}

enum { ARGUMENTS_MOST = 64 };

/* The next step that reads what another makes: *maker, *read.  *from: begins as 0. */
static struct step *next_reader(const struct program *q, int *from, struct step **maker, struct argument **read)
{
    for (int i = *from; i < q->steps_count * ARGUMENTS_MOST; i++) {
        struct step *s = q->steps[i / ARGUMENTS_MOST];
        struct argument *a = &s->arguments[i % ARGUMENTS_MOST];
        if (i % ARGUMENTS_MOST >= s->arguments_count || !is_value(a) || a->access != ACCESS_READ ||
            !(*maker = maker_of(q, a)) || *maker == s)
            continue;
        *read = a;
        *from = i + 1;
        return s;
    }
    return NULL;
}

static struct planted *names(struct planted *f, const struct step *s, const struct argument *a)
{
    f->step = s;
    f->value = a ? value_name(a) : NULL;
    return f;
}

/* ---- moving steps ------------------------------------------------------------------------------------------------ */

static int index_in_phase(const struct phase *f, const struct step *s)
{
    for (int i = 0; i < f->steps_count; i++)
        if (f->steps[i] == s)
            return i;
    return -1;
}

/* Loops as they must be for the steps: of blocks, each its own. */
static void loop_again(struct plan *p, struct phase *f)
{
    f->loops = arena_array(p->arena, (size_t)f->steps_count + 1, sizeof *f->loops);
    f->loops_count = 0;
    for (int i = 0; i < f->steps_count; i++) {
        const struct step *s = f->steps[i];
        if (i && f->split == SPLIT_IMAGES && (f->images == 1 || s->images == f->steps[i - 1]->images))
            f->loops[f->loops_count - 1].count++;
        else
            f->loops[f->loops_count++] =
                (struct loop){ .first = i, .count = 1, .images = s->images, .blocks = s->blocks, .run = s->run };
    }
}

/* From a phase that it does not leave empty into another, behind what is there. */
static bool move(struct plan *p, struct program *q, struct step *s, int phase)
{
    struct phase *from = &q->phases[s->phase], *to = &q->phases[phase];
    if (from->steps_count == 1 || from == to || s->repeat != to->repeat || s->split != to->split ||
        (s->split == SPLIT_IMAGES && to->images % s->images))
        return false;
    for (int i = index_in_phase(from, s); i + 1 < from->steps_count; i++)
        from->steps[i] = from->steps[i + 1];
    from->steps_count--;
    LIST_ADD(p->arena, to->steps, to->steps_count, to->steps_capacity, s);
    s->phase = phase;
    loop_again(p, from);
    loop_again(p, to);
    return true;
}

static void swap_steps(struct phase *f, int i, int k)
{
    struct step *s = f->steps[i];
    f->steps[i] = f->steps[k];
    f->steps[k] = s;
}

/* ---- the schedule ------------------------------------------------------------------------------------------------ */

static bool step_twice(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.phases_count; i++) {
        struct phase *x = &p->train.phases[i];
        if (x->steps_count < 2 || x->steps[0]->repeat)
            continue;
        x->steps[1] = x->steps[0];
        names(f, x->steps[0], NULL);
        return true;
    }
    return false;
}

static bool step_left_out(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.phases_count; i++) {
        struct phase *x = &p->train.phases[i];
        if (x->steps_count < 2)
            continue;
        names(f, x->steps[--x->steps_count], NULL);
        loop_again(p, x);
        return true;
    }
    return false;
}

static bool step_of_another_phase(struct plan *p, struct planted *f)
{
    names(f, p->train.phases[0].steps[0], NULL);
    p->train.phases[0].steps[0]->phase++;
    return true;
}

static bool step_split_otherwise(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.phases_count; i++)
        if (p->train.phases[i].split == SPLIT_IMAGES) {
            names(f, p->train.phases[i].steps[0], NULL);
            p->train.phases[i].steps[0]->split = SPLIT_BLOCKS;
            return true;
        }
    return false;
}

static bool step_in_no_loop(struct plan *p, struct planted *f)
{
    struct phase *x = &p->train.phases[p->train.phases_count - 1];
    names(f, x->steps[x->steps_count - 1], NULL);
    x->loops[x->loops_count - 1].count--;
    if (x->loops[x->loops_count - 1].count == 0)
        x->loops_count--;
    return true;
}

/* Steps that take several images, put into the loop of those that take one. */
static bool images_in_one_loop(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.phases_count; i++) {
        struct phase *x = &p->train.phases[i];
        if (x->split != SPLIT_IMAGES || x->loops_count < 2)
            continue;
        names(f, x->steps[x->loops[1].first], NULL);
        x->loops[0].count += x->loops[1].count;
        for (int k = 2; k < x->loops_count; k++)
            x->loops[k - 1] = x->loops[k];
        x->loops_count--;
        return true;
    }
    return false;
}

static bool blocks_in_one_loop(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.phases_count; i++) {
        struct phase *x = &p->train.phases[i];
        if (x->split != SPLIT_BLOCKS || x->loops_count < 2 || x->loops[0].blocks == x->loops[1].blocks)
            continue;
        names(f, x->steps[x->loops[1].first], NULL);
        x->loops[0].count += x->loops[1].count;
        for (int k = 2; k < x->loops_count; k++)
            x->loops[k - 1] = x->loops[k];
        x->loops_count--;
        return true;
    }
    return false;
}

static bool turns_of_part_of_the_batch(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.phases_count; i++)
        if (p->train.phases[i].split == SPLIT_IMAGES && p->train.phases[i].images == 1 &&
            p->train.phases[i].groups == 0) {
            struct phase *x = &p->train.phases[i];
            names(f, x->steps[0], NULL);
            x->images = p->batch + 1;
            return true;
        }
    return false;
}

static bool other_groups(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.steps_count; i++) {
        struct step *s = p->train.steps[i];
        if (s->groups < 2)
            continue;
        names(f, s, NULL);
        p->train.phases[s->phase].groups = s->groups / 2;
        return true;
    }
    return false;
}

static struct phase *repeated_phase(struct plan *p)
{
    for (int i = 0; i < p->train.phases_count; i++)
        if (p->train.phases[i].repeat_begins && !p->train.phases[i].repeat_ends)
            return &p->train.phases[i];
    return NULL;
}

static bool repeat_without_end(struct plan *p, struct planted *f)
{
    struct phase *x = repeated_phase(p);
    (void)f;
    if (!x)
        return false;
    x[1].repeat_ends = false;
    return true;
}

static bool repeated_more_often(struct plan *p, struct planted *f)
{
    struct phase *x = repeated_phase(p);
    if (!x)
        return false;
    names(f, x[1].steps[0], NULL);
    x[1].steps[0]->repeat *= 2;
    return true;
}

/* What sums up the products of all blocks of images, done for each of them. */
static bool sum_within_the_repeat(struct plan *p, struct planted *f)
{
    struct phase *x = repeated_phase(p);
    const struct argument *du = x ? argument_of(x[1].steps[0], ACCESS_ADD, ARGUMENT_BUFFER, TOUCH_PART) : NULL;
    if (!du || x[2].repeat || x[2].steps[0]->group != x[1].steps[0]->group)
        return false;
    names(f, x[2].steps[0], du);
    x[2].repeat = x[1].repeat;
    for (int i = 0; i < x[2].steps_count; i++)
        x[2].steps[i]->repeat = x[1].repeat;
    x[1].repeat_ends = false;
    x[2].repeat_ends = true;
    return true;
}

/* ---- made before it is used -------------------------------------------------------------------------------------- */

/* A maker goes behind its reader, within their loop over images. */
static bool images_in_another_order(struct plan *p, struct planted *f)
{
    struct step *maker, *reader;
    struct argument *read;
    for (int from = 0; (reader = next_reader(&p->train, &from, &maker, &read));) {
        struct phase *x = &p->train.phases[reader->phase];
        int i = index_in_phase(x, maker), k = index_in_phase(x, reader);
        if (i < 0 || maker->images != reader->images || reader->split != SPLIT_IMAGES)
            continue;
        swap_steps(x, i, k);
        names(f, reader, read);
        return true;
    }
    return false;
}

/* A step of images joins a loop that comes before the sums that it needs. */
static bool images_overtake_what_they_need(struct plan *p, struct planted *f)
{
    struct step *maker, *reader;
    struct argument *read;
    for (int from = 0; (reader = next_reader(&p->train, &from, &maker, &read));) {
        int first = 0;
        while (p->train.phases[first].split != SPLIT_IMAGES && first + 1 < p->train.phases_count)
            first++;
        if (reader->split != SPLIT_IMAGES || maker->hoisted || maker->phase <= first || reader->phase == maker->phase)
            continue;
        names(f, reader, read);
        if (move(p, &p->train, reader, first))
            return true;
    }
    return false;
}

/* The transform of weights, in a phase of blocks after its use, or in that of it. */
static bool move_transform(struct plan *p, struct program *q, struct planted *f, int least)
{
    struct step *maker, *reader;
    struct argument *read;
    for (int from = 0; (reader = next_reader(q, &from, &maker, &read));) {
        if (!maker->hoisted)
            continue;
        for (int i = reader->phase + least; i < q->phases_count; i++) {
            if (q->phases[i].split != SPLIT_BLOCKS || q->phases[i].repeat || (least == 0 && i > reader->phase))
                continue;
            names(f, reader, read);
            if (move(p, q, maker, i))
                return true;
        }
    }
    return false;
}

static bool transform_after_its_use(struct plan *p, struct planted *f)
{
    return move_transform(p, &p->train, f, 1);
}

/* Whether all else that the step reads is made before that phase. */
static bool all_else_is_made(const struct program *q, const struct step *s, const struct argument *read, int phase)
{
    for (int i = 0; i < s->arguments_count; i++) {
        const struct argument *a = &s->arguments[i];
        if (!is_value(a) || a->access != ACCESS_READ || same_value(a, read))
            continue;
        const struct step *maker = maker_of(q, a);
        if (maker && maker->phase >= phase)
            return false;
    }
    return true;
}

/* In one phase of blocks, the maker before its reader: other threads may not be done. */
static bool blocks_in_one_phase(struct plan *p, struct planted *f)
{
    struct step *maker, *reader;
    struct argument *read;
    for (int from = 0; (reader = next_reader(&p->train, &from, &maker, &read));) {
        if (reader->split != SPLIT_BLOCKS || maker->split != SPLIT_BLOCKS || maker->phase == reader->phase ||
            maker->repeat || reader->repeat || !all_else_is_made(&p->train, reader, read, maker->phase))
            continue;
        names(f, reader, read);
        if (move(p, &p->train, reader, maker->phase))
            return true;
    }
    return false;
}

/* The same, as one loop: equally many blocks, which have other parts of what is made and read. */
static bool blocks_that_differ_in_one_loop(struct plan *p, struct planted *f)
{
    struct step *maker, *reader;
    struct argument *read;
    for (int from = 0; (reader = next_reader(&p->train, &from, &maker, &read));) {
        if (reader->split != SPLIT_BLOCKS || maker->blocks != reader->blocks || maker->blocks == 1 || maker->repeat ||
            reader->repeat || maker->run != reader->run || !all_else_is_made(&p->train, reader, read, maker->phase))
            continue;
        names(f, reader, read);
        if (!move(p, &p->train, reader, maker->phase))
            continue;
        struct phase *x = &p->train.phases[maker->phase];
        swap_steps(x, index_in_phase(x, maker), x->steps_count - 2);
        loop_again(p, x);
        x->loops[x->loops_count - 2].count = 2;
        x->loops_count--;
        return true;
    }
    return false;
}

static bool phases_in_another_order(struct plan *p, struct planted *f)
{
    for (int i = 0; i + 1 < p->train.phases_count; i++) {
        struct phase *x = &p->train.phases[i], kept = x[0];
        struct step *reader = x[1].steps[0];
        if (x[0].repeat || x[1].repeat || x[1].steps_count > 1)
            continue;
        for (int k = 0; k < reader->arguments_count; k++) {
            struct argument *a = &reader->arguments[k];
            const struct step *maker = is_value(a) && a->access == ACCESS_READ ? maker_of(&p->train, a) : NULL;
            if (!maker || maker->phase != i)
                continue;
            names(f, reader, a);
            x[0] = x[1];
            x[1] = kept;
            for (int s = 0; s < x[0].steps_count; s++)
                x[0].steps[s]->phase = i;
            for (int s = 0; s < x[1].steps_count; s++)
                x[1].steps[s]->phase = i + 1;
            return true;
        }
    }
    return false;
}

/* ---- shares that meet -------------------------------------------------------------------------------------------- */

static struct step *meeting_step(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.steps_count; i++)
        if (p->train.steps[i]->meets) {
            f->step = p->train.steps[i];
            return p->train.steps[i];
        }
    return NULL;
}

static bool no_meeting_before(struct plan *p, struct planted *f)
{
    struct step *s = meeting_step(p, f);
    if (s)
        p->train.phases[s->phase].meets = false;
    return s != NULL;
}

static bool meets_nobody(struct plan *p, struct planted *f)
{
    struct step *s = meeting_step(p, f);
    if (s)
        s->meets = NULL;
    return s != NULL;
}

static bool meets_for_something_else(struct plan *p, struct planted *f)
{
    struct step *s = meeting_step(p, f);
    if (s)
        s->meets = p->train.buffers[s->meets->index ? 0 : 1];
    return s != NULL;
}

/* In one loop of one thread the value is there, but not that of the other shares. */
static bool told_without_a_meeting(struct plan *p, struct planted *f)
{
    for (int i = 1; i < p->train.steps_count; i++) {
        struct step *s = p->train.steps[i], *before = p->train.steps[i - 1];
        struct phase *from = &p->train.phases[s->phase], *to = &p->train.phases[before->phase];
        if (!s->meets || before->group != s->group || index_in_phase(to, before) != to->steps_count - 1
            || !move(p, &p->train, s, before->phase))
            continue;
        to->loops[to->loops_count - 2].count = 2;
        to->loops_count--;
        from->meets = false;
        to->meets = true;
        f->step = before;
        return true;
    }
    return false;
}

static bool another_number_of_segments(struct plan *p, struct planted *f)
{
    (void)f;
    p->train.segments++;
    return true;
}

/* ---- gradients that go out --------------------------------------------------------------------------------------- */

static bool gradients_too_early(struct plan *p, struct planted *f)
{
    (void)f;
    if (p->pieces_count)
        p->pieces[0].phase = 0;
    return p->pieces_count > 0;
}

static bool gradients_left_out(struct plan *p, struct planted *f)
{
    (void)f;
    if (p->pieces_count)
        p->pieces[0].end -= 16;
    return p->pieces_count > 0;
}

static bool gradients_twice(struct plan *p, struct planted *f)
{
    (void)f;
    if (!p->pieces_count || p->pieces[0].end - p->pieces[0].begin < 32)
        return false;
    const struct piece again = { p->pieces[0].begin, p->pieces[0].begin + 16, p->pieces[p->pieces_count - 1].phase };
    p->pieces[0].end -= 16;     /* so that there are as many */
    LIST_ADD(p->arena, p->pieces, p->pieces_count, p->pieces_capacity, again);
    return true;
}

static bool gradients_in_another_order(struct plan *p, struct planted *f)
{
    (void)f;
    if (p->pieces_count < 2 || p->pieces[0].phase == p->pieces[1].phase)
        return false;
    struct piece kept = p->pieces[0];
    p->pieces[0] = p->pieces[1];
    p->pieces[1] = kept;
    return true;
}

static bool nobody_makes_predictions(struct plan *p, struct planted *f)
{
    const struct tensor *t = p->use.graph->predictions;
    for (int i = 0; i < p->use.steps_count; i++)
        for (int k = 0; k < p->use.steps[i]->arguments_count; k++) {
            struct argument *a = &p->use.steps[i]->arguments[k];
            if (is_value(a) && a->kind == ARGUMENT_TENSOR && base_of(a->tensor) == base_of(t)) {
                *a = (struct argument){ .kind = ARGUMENT_SAMPLES };
                f->value = t->name;
                return true;
            }
        }
    return false;
}

static bool made_twice(struct plan *p, struct planted *f)
{
    struct argument *first = NULL;
    for (int i = 0; i < p->train.steps_count; i++) {
        struct argument *a = argument_of(p->train.steps[i], ACCESS_WRITE, ARGUMENT_TENSOR, TOUCH_IMAGES);
        if (!a)
            continue;
        if (first) {
            a->tensor = first->tensor;
            names(f, p->train.steps[i], a);
            return true;
        }
        first = a;
    }
    return false;
}

static bool added_to_nothing(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = step_with(p, ACCESS_WRITE, ARGUMENT_TENSOR, TOUCH_IMAGES, &a);
    if (!s)
        s = step_with(p, ACCESS_WRITE, ARGUMENT_TENSOR, TOUCH_PART, &a);
    a->access = ACCESS_ADD;
    names(f, s, a);
    return true;
}

static bool sums_not_cleared(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.steps_count; i++)
        for (int k = 0; k < p->train.steps[i]->arguments_count; k++)
            if (p->train.steps[i]->arguments[k].cleared) {
                p->train.steps[i]->arguments[k].cleared = false;
                names(f, p->train.steps[i], &p->train.steps[i]->arguments[k]);
                return true;
            }
    return false;
}

static bool statistics_forgotten(struct plan *p, struct planted *f)
{
    struct argument *a;
    for (int i = 0; i < p->train.steps_count; i++)
        if ((a = argument_of(p->train.steps[i], ACCESS_ADD, ARGUMENT_TENSOR, ANY)) &&
            a->tensor->role == TENSOR_STATISTIC) {
            a->access = ACCESS_WRITE;
            names(f, p->train.steps[i], a);
            return true;
        }
    return false;
}

/* From the second epoch on. */
static const struct epochs *later_epochs(struct plan *p)
{
    struct epochs *e = arena_alloc(p->arena, sizeof *e);
    struct epoch_span *span = arena_alloc(p->arena, sizeof *span);
    *span = (struct epoch_span){ 1, INFINITY };
    *e = (struct epochs){ .spans = span, .count = 1 };
    return e;
}

static bool left_out_before_its_use(struct plan *p, struct planted *f)
{
    struct step *maker;
    struct argument *read;
    int from = 0;
    while (next_reader(&p->train, &from, &maker, &read) && argument_of(maker, ACCESS_ADD, ANY, ANY))
        ;                       /* what that adds to would be found first */
    if (!maker)
        return false;
    maker->epochs = later_epochs(p);
    f->value = value_name(read);
    return true;
}

static bool statistics_left_out(struct plan *p, struct planted *f)
{
    struct argument *a;
    for (int i = 0; i < p->train.steps_count; i++)
        if ((a = argument_of(p->train.steps[i], ACCESS_ADD, ARGUMENT_TENSOR, ANY)) &&
            a->tensor->role == TENSOR_STATISTIC) {
            p->train.steps[i]->epochs = later_epochs(p);
            names(f, p->train.steps[i], a);
            return true;
        }
    return false;
}

static bool gradient_left_out(struct plan *p, struct planted *f)
{
    struct argument *a;
    for (int i = p->train.steps_count - 1; i >= 0; i--) {
        struct step *s = p->train.steps[i];
        bool product = s->group->main->op == OP_conv2d_weight_grad || s->group->main->op == OP_dense_weight_grad;
        if (!product || !(a = argument_of(s, ACCESS_WRITE, ARGUMENT_TENSOR, ANY)) ||
            a->tensor->role != TENSOR_PARAM_GRADIENT)
            continue;
        s->epochs = later_epochs(p);
        names(f, s, NULL);
        return true;
    }
    return false;
}

static bool weights_written(struct plan *p, struct planted *f)
{
    struct argument *a;
    for (int i = 0; i < p->train.steps_count; i++) {
        struct step *s = p->train.steps[i];
        if (s->hoisted || s->blocks != 1 || !(a = argument_of(s, ACCESS_WRITE, ARGUMENT_TENSOR, TOUCH_ALL)) ||
            a->tensor->role != TENSOR_PARAM_GRADIENT)
            continue;
        a->tensor = a->tensor->param->tensor;
        names(f, s, a);
        return true;
    }
    return false;
}

static bool hoisted_reads_a_map(struct plan *p, struct planted *f)
{
    struct step *maker, *reader;
    struct argument *read;
    for (int from = 0; (reader = next_reader(&p->train, &from, &maker, &read));)
        if (read->kind == ARGUMENT_TENSOR) {
            reader->hoisted = true;
            names(f, reader, read);
            return true;
        }
    return false;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

/* A step of several blocks that writes parts. */
static struct step *step_of_parts(struct plan *p, struct argument **a, struct part **part)
{
    for (int i = 0; i < p->train.steps_count; i++) {
        struct step *s = p->train.steps[i];
        if (!(*a = argument_of(s, ACCESS_WRITE, ARGUMENT_TENSOR, TOUCH_PART)) || s->blocks < 2 || s->updates)
            continue;
        *part = arena_alloc(p->arena, sizeof **part);
        **part = *(*a)->part;
        (*a)->part = *part;
        return s;
    }
    return NULL;
}

static bool block_too_few(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct part *part;
    struct step *s = step_of_parts(p, &a, &part);
    if (!s)
        return false;
    struct phase *x = &p->train.phases[s->phase];
    s->blocks--;
    for (int i = 0; i < x->loops_count; i++)
        if (x->loops[i].first <= index_in_phase(x, s) && index_in_phase(x, s) < x->loops[i].first + x->loops[i].count) {
            if (x->loops[i].count > 1)
                return false;
            x->loops[i].blocks--;
        }
    names(f, s, NULL);
    return true;
}

static bool blocks_share_elements(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct part *part;
    struct step *s = step_of_parts(p, &a, &part);
    if (!s || !part->axis[1].count)
        return false;
    part->axis[0].step = part->axis[1].step = 1;
    names(f, s, a);
    return true;
}

static bool blocks_reach_beyond(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct part *part;
    struct step *s = step_of_parts(p, &a, &part);
    if (!s)
        return false;
    for (int k = 0; k < PART_AXES && part->axis[k].count; k++)
        part->axis[k].step *= 2;
    names(f, s, a);
    return true;
}

static bool blocks_leave_out_elements(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct part *part;
    struct step *s = step_of_parts(p, &a, &part);
    for (int k = 0; s && k < PART_AXES && part->axis[k].count; k++) {
        struct axis *x = &part->axis[k];
        if (x->piece ? x->larger || x->piece == 1 || x->count % x->piece == 1 : x->count == 1)
            continue;
        x->count--;
        names(f, s, a);
        return true;
    }
    return false;
}

static bool all_written_by_each_block(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct part *part;
    struct step *s = step_of_parts(p, &a, &part);
    if (!s)
        return false;
    a->touch = TOUCH_ALL;
    names(f, s, a);
    return true;
}

static bool rows_too_long(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = step_with(p, ACCESS_WRITE, ARGUMENT_BUFFER, TOUCH_IMAGES, &a);
    if (!s)
        return false;
    a->row += 64;
    names(f, s, a);
    return true;
}

/* A step of images that writes what is given a sample, or a buffer's row for each. */
static bool every_image_over_the_first(struct plan *p, struct planted *f, int kind)
{
    for (int i = 0; i < p->train.steps_count; i++) {
        struct argument *a = argument_of(p->train.steps[i], ACCESS_WRITE, kind, TOUCH_IMAGES);
        if (!a || (kind == ARGUMENT_TENSOR && p->train.places[a->tensor->id].region != REGION_MEMORY))
            continue;
        a->at = AT_BASE;
        names(f, p->train.steps[i], a);
        return true;
    }
    return false;
}

static bool images_over_the_first(struct plan *p, struct planted *f)
{
    return every_image_over_the_first(p, f, ARGUMENT_TENSOR);
}

static bool rows_over_the_first(struct plan *p, struct planted *f)
{
    return every_image_over_the_first(p, f, ARGUMENT_BUFFER);
}

/* All blocks write the row of the first. */
static bool blocks_over_the_first(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.steps_count; i++) {
        struct argument *a = argument_of(p->train.steps[i], ACCESS_WRITE, ARGUMENT_BUFFER, TOUCH_PART);
        if (!a || a->at != AT_BLOCK)
            continue;
        a->at = AT_BASE;
        names(f, p->train.steps[i], a);
        return true;
    }
    return false;
}

static bool rows_too_short(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = step_with(p, ACCESS_ADD, ARGUMENT_BUFFER, TOUCH_GROUP, &a);
    if (!s)
        return false;
    a->row /= 2;
    names(f, s, a);
    return true;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static struct step *step_given(struct plan *p, enum argument_kind kind, int which, struct argument **found)
{
    for (int i = 0; i < p->train.steps_count; i++)
        for (int k = 0; k < p->train.steps[i]->arguments_count; k++)
            if (p->train.steps[i]->arguments[k].kind == kind && which-- == 0) {
                *found = &p->train.steps[i]->arguments[k];
                return p->train.steps[i];
            }
    return NULL;
}

static bool another_stream(struct plan *p, struct planted *f)
{
    struct argument *a;
    if (!(f->step = step_given(p, ARGUMENT_KEY, 0, &a)))
        return false;
    a->number++;
    return true;
}

/* The numbers of another dropout: those of the last step that draws, which is the gradient of the first. */
static bool the_stream_of_another(struct plan *p, struct planted *f)
{
    struct argument *a, *last;
    struct step *s = step_given(p, ARGUMENT_KEY, 0, &a);
    for (int i = 1; s && step_given(p, ARGUMENT_KEY, i, &last); i++)
        if (last->number != a->number) {
            last->number = a->number;
            f->step = step_given(p, ARGUMENT_KEY, i, &last);
            return true;
        }
    return false;
}

/* Nodes and steps agree, and two layers draw the same. */
static bool layers_share_a_stream(struct plan *p, struct planted *f)
{
    const struct graph *g = p->train.graph;
    struct node *first = NULL;
    for (int i = 0; i < g->nodes_count; i++) {
        struct node *n = g->nodes[i];
        if (n->op != OP_dropout || !first) {
            first = n->op == OP_dropout ? n : first;
            continue;
        }
        for (int k = 0; k < p->train.steps_count * ARGUMENTS_MOST; k++) {
            struct step *s = p->train.steps[k / ARGUMENTS_MOST];
            if (k % ARGUMENTS_MOST < s->arguments_count && s->arguments[k % ARGUMENTS_MOST].kind == ARGUMENT_KEY)
                s->arguments[k % ARGUMENTS_MOST].number = first->attr.stream;
        }
        for (int k = 0; k < g->nodes_count; k++)
            if (g->nodes[k]->op == OP_dropout || g->nodes[k]->op == OP_dropout_grad)
                g->nodes[k]->attr.stream = first->attr.stream;
        f->value = first->name;
        return true;
    }
    return false;
}

static bool elements_halved(struct plan *p, struct planted *f)
{
    struct argument *a;
    if (!(f->step = step_given(p, ARGUMENT_ELEMENT, 0, &a)))
        return false;
    a->number /= 2;
    return true;
}

static bool share_halved(struct plan *p, struct planted *f)
{
    struct argument *a;
    if (!(f->step = step_given(p, ARGUMENT_SHARE, 0, &a)))
        return false;
    a->number /= 2;
    return true;
}

static bool scratch_too_small(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.steps_count; i++)
        for (int k = 0; k < p->train.steps[i]->arguments_count; k++) {
            struct argument *a = &p->train.steps[i]->arguments[k];
            if (a->kind != ARGUMENT_SCRATCH)
                continue;
            a->number = p->kernel_scratch + 1;
            f->step = p->train.steps[i];
            return true;
        }
    return false;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static bool buffer_given_up_early(struct plan *p, struct planted *f)
{
    struct step *maker, *reader;
    struct argument *read;
    for (int from = 0; (reader = next_reader(&p->train, &from, &maker, &read));) {
        if (read->kind != ARGUMENT_BUFFER || read->buffer->lasting || read->buffer->last != reader->phase)
            continue;
        p->train.buffers[read->buffer->index]->last = reader->phase - 1;
        names(f, NULL, read);
        return true;
    }
    return false;
}

static bool tensor_given_up_early(struct plan *p, struct planted *f)
{
    struct step *maker, *reader;
    struct argument *read;
    for (int from = 0; (reader = next_reader(&p->train, &from, &maker, &read));) {
        struct tensor_place *x = read->kind == ARGUMENT_TENSOR ? &p->train.places[base_of(read->tensor)->id] : NULL;
        if (!x || x->base || x->region != REGION_MEMORY || x->last != reader->phase || x->first == x->last)
            continue;
        x->last--;
        names(f, NULL, read);
        return true;
    }
    return false;
}

static bool is_touched_in(const struct program *q, const struct tensor *t, int phase)
{
    for (int i = 0; i < q->steps_count; i++)
        for (int k = 0; q->steps[i]->phase == phase && k < q->steps[i]->arguments_count; k++)
            if (q->steps[i]->arguments[k].kind == ARGUMENT_TENSOR && base_of(q->steps[i]->arguments[k].tensor) == t)
                return true;
    return false;
}

/* What holds a slice is given up while the slice is read. */
static bool whole_given_up_early(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.steps_count * ARGUMENTS_MOST; i++) {
        struct step *reader = p->train.steps[i / ARGUMENTS_MOST];
        struct argument *read = &reader->arguments[i % ARGUMENTS_MOST];
        if (i % ARGUMENTS_MOST >= reader->arguments_count || read->kind != ARGUMENT_TENSOR)
            continue;
        const struct tensor *t = base_of(read->tensor), *root = plan_root(&p->train, t);
        struct tensor_place *x = &p->train.places[root->id];
        if (root == t || t->producer->op != OP_slice || x->region != REGION_MEMORY || x->last != reader->phase ||
            x->first == x->last || is_touched_in(&p->train, root, x->last))
            continue;
        x->last--;
        names(f, reader, read);
        return true;
    }
    return false;
}

/* A gradient that lies where the sum of it and another will. */
static struct tensor *sum_in_place(const struct plan *p)
{
    for (int i = 0; i < p->train.graph->tensors_count; i++)
        if (plan_lies_over(&p->train, p->train.graph->tensors[i]))
            return p->train.graph->tensors[i];
    return NULL;
}

static bool sum_in_another_place(struct plan *p, struct planted *f)
{
    struct tensor *sum = sum_in_place(p);
    if (!sum)
        return false;
    p->train.places[sum->id].pixel++;
    f->value = sum->name;
    return true;
}

/* What is left of the gradient is read as it was before the sum. */
static bool read_after_the_sum(struct plan *p, struct planted *f)
{
    struct tensor *sum = sum_in_place(p);
    struct step *maker = NULL;
    for (int i = 0; sum && i < p->train.steps_count; i++)
        for (int k = 0; k < p->train.steps[i]->arguments_count; k++) {
            struct argument *a = &p->train.steps[i]->arguments[k];
            bool lies_there = a->kind == ARGUMENT_TENSOR && plan_root(&p->train, a->tensor) == plan_root(&p->train,
                    sum);
            if (lies_there && a->tensor == sum && a->access == ACCESS_WRITE)
                maker = p->train.steps[i];
            if (!maker || p->train.steps[i]->phase <= maker->phase || !lies_there || a->access != ACCESS_READ)
                continue;
            a->tensor = plan_adds_to(sum->producer);
            names(f, p->train.steps[i], a);
            return true;
        }
    return false;
}

/* Of the first tensor with memory of its own that is given a sample. */
static bool change_size(struct plan *p, struct planted *f, int bytes, int sample)
{
    for (int i = 0; i < p->train.graph->tensors_count; i++) {
        struct tensor_place *x = &p->train.places[i];
        if (x->base || x->region < REGION_MEMORY || !p->train.graph->tensors[i]->per_sample || x->first < 0)
            continue;
        x->bytes /= bytes;
        x->sample /= sample;
        f->value = p->train.graph->tensors[i]->name;
        return true;
    }
    return false;
}

static bool bytes_halved(struct plan *p, struct planted *f)
{
    return change_size(p, f, 2, 1);
}

static bool samples_halved(struct plan *p, struct planted *f)
{
    return change_size(p, f, 1, 2);
}

static bool moments_not_rounded(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.graph->tensors_count; i++) {
        struct tensor_place *x = &p->train.places[i];
        if (x->region != REGION_MEMORY || p->train.graph->tensors[i]->per_sample)
            continue;
        x->bytes -= p->real_size;
        f->value = p->train.graph->tensors[i]->name;
        return true;
    }
    return false;
}

/* The second parameter of a role where the first one is. */
static bool place_of_another(struct plan *p, struct planted *f, bool statistics)
{
    const struct graph *g = p->train.graph;
    const struct param *first = NULL;
    for (int i = 0; i < g->params_count; i++) {
        if ((g->params[i]->role == CNN_STATISTIC) != statistics)
            continue;
        if (first) {
            p->params[i].offset = p->params[first->id].offset;
            f->value = g->params[i]->name;
            return true;
        }
        first = g->params[i];
    }
    return false;
}

static bool parameters_share_memory(struct plan *p, struct planted *f)
{
    return place_of_another(p, f, false);
}

static bool statistics_share_memory(struct plan *p, struct planted *f)
{
    return place_of_another(p, f, true);
}

static bool gradient_elsewhere(struct plan *p, struct planted *f)
{
    const struct graph *g = p->train.graph;
    for (int i = 0; i < g->tensors_count; i++)
        if (g->tensors[i]->role == TENSOR_PARAM_GRADIENT && p->train.places[i].offset) {
            p->train.places[i].offset = 0;
            f->value = g->tensors[i]->name;
            return true;
        }
    return false;
}

static bool parameter_elsewhere(struct plan *p, struct planted *f)
{
    const struct graph *g = p->use.graph;
    for (int i = 0; i < g->tensors_count; i++)
        if (g->tensors[i]->role == TENSOR_PARAM && p->use.places[i].offset) {
            p->use.places[i].offset = 0;
            f->value = g->tensors[i]->name;
            return true;
        }
    return false;
}

static bool filters_too_far_apart(struct plan *p, struct planted *f)
{
    p->params[0].layout.stride[0] += 8;
    f->value = p->train.graph->params[0]->name;
    return true;
}

static bool numbers_in_one_place(struct plan *p, struct planted *f)
{
    p->params[0].layout.stride[1] = p->params[0].layout.stride[2];
    f->value = p->train.graph->params[0]->name;
    return true;
}

/* What is read in each turn of a repeat is needed until it ends. */
static bool tensor_given_up_within_a_repeat(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.phases_count; i++) {
        const struct phase *x = &p->train.phases[i];
        for (int k = 0; x->repeat_begins && k < x->steps[0]->arguments_count; k++) {
            const struct argument *a = &x->steps[0]->arguments[k];
            struct tensor_place *place = a->kind == ARGUMENT_TENSOR ? &p->train.places[base_of(a->tensor)->id] : NULL;
            if (!place || place->region != REGION_MEMORY || place->last != i + 1)
                continue;
            place->last--;
            names(f, x->steps[0], a);
            return true;
        }
    }
    return false;
}

static bool lives_with(const struct tensor_place *x, const struct tensor_place *y)
{
    return x->first <= y->last && y->first <= x->last;
}

static bool tensors_share_memory(struct plan *p, struct planted *f)
{
    struct tensor_place *first = NULL;
    for (int i = 0; i < p->train.graph->tensors_count; i++) {
        struct tensor_place *x = &p->train.places[i];
        if (x->region != REGION_MEMORY || x->base || x->first < 0)
            continue;
        bool shown = false;     /* by a view, which would lie elsewhere then */
        for (int k = 0; k < p->train.graph->tensors_count; k++)
            shown |= p->train.places[k].base == p->train.graph->tensors[i];
        if (first && !shown && lives_with(first, x)) {
            x->offset = first->offset;
            f->value = p->train.graph->tensors[i]->name;
            return true;
        }
        first = first ? first : x;
    }
    return false;
}

static bool buffer_shares_memory(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.buffers_count; i++)
        for (int k = 0; k < p->train.graph->tensors_count; k++) {
            struct tensor_place *x = &p->train.places[k];
            struct buffer *b = p->train.buffers[i];
            if (x->region != REGION_MEMORY || x->base || x->first < 0 || b->last < x->first || x->last < b->first ||
                b->bytes > x->bytes)
                continue;
            b->offset = x->offset;
            f->value = b->name;
            return true;
        }
    return false;
}

static bool buffer_outside(struct plan *p, struct planted *f)
{
    if (!p->train.buffers_count)
        return false;
    struct buffer *b = p->train.buffers[p->train.buffers_count - 1];
    b->offset = p->train.memory_bytes / 64 * 64;
    f->value = b->name;
    return true;
}

static bool local_tensors_share_memory(struct plan *p, struct planted *f)
{
    const struct graph *g = p->train.graph;
    for (int i = 0; i < g->tensors_count; i++)
        for (int k = 0; k < g->tensors_count; k++) {
            struct tensor_place *x = &p->train.places[i], *y = &p->train.places[k];
            const struct node *n = g->tensors[k]->producer;
            if (i == k || x->region != REGION_LOCAL || y->region != REGION_LOCAL || x->base || y->base ||
                x->first != y->first || !n || n->in_count < 1 || n->in[0] != g->tensors[i])
                continue;
            for (int v = 0; v < g->tensors_count; v++)
                if (p->train.places[v].base == g->tensors[k])
                    p->train.places[v].offset = x->offset;
            y->offset = x->offset;
            f->value = g->tensors[k]->name;
            return true;
        }
    return false;
}

static bool images_of_a_call_only(struct plan *p, struct planted *f)
{
    const struct graph *g = p->train.graph;
    for (int i = 0; i < g->tensors_count; i++)
        if (p->train.places[i].of_turn && !p->train.places[i].base) {
            p->train.places[i].of_turn = false;
            for (int v = 0; v < g->tensors_count; v++)
                if (p->train.places[v].base == g->tensors[i])
                    p->train.places[v].of_turn = false;
            f->value = g->tensors[i]->name;
            return true;
        }
    return false;
}

static bool map_of_the_batch_made_local(struct plan *p, struct planted *f)
{
    const struct graph *g = p->train.graph;
    for (int i = 0; i < g->tensors_count; i++) {
        struct tensor_place *x = &p->train.places[i];
        bool shown = false;
        for (int k = 0; k < g->tensors_count; k++)
            shown |= p->train.places[k].base == g->tensors[i];
        if (x->region != REGION_MEMORY || x->base || shown || !g->tensors[i]->per_sample || x->first < 0 ||
            x->first == x->last || g->tensors[i] == g->loss || p->train.phases[x->first].split != SPLIT_IMAGES)
            continue;
        x->region = REGION_LOCAL;
        f->value = g->tensors[i]->name;
        return true;
    }
    return false;
}

static bool view_elsewhere(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->train.graph->tensors_count; i++)
        if (p->train.places[i].base) {
            p->train.places[i].offset += 64;
            f->value = p->train.graph->tensors[i]->name;
            return true;
        }
    return false;
}

static bool lasting_shares_memory(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->use.buffers_count; i++)
        if (p->use.buffers[i]->lasting) {
            p->use.buffers[i]->offset = 0;
            f->value = p->use.buffers[i]->name;
            return true;
        }
    return false;
}

/* ---- the update -------------------------------------------------------------------------------------------------- */

static struct step *updating_step(struct plan *p, struct argument **a)
{
    for (int i = 0; i < p->train.steps_count; i++)
        for (int k = 0; k < p->train.steps[i]->arguments_count; k++)
            if (p->train.steps[i]->arguments[k].kind == ARGUMENT_PARAMETER) {
                *a = &p->train.steps[i]->arguments[k];
                return p->train.steps[i];
            }
    return NULL;
}

/* The step before it in its loop, which reads the same weights. */
static struct step *reading_step(struct plan *p, const struct step *updates)
{
    struct phase *x = &p->train.phases[updates->phase];
    int at = index_in_phase(x, updates);
    return at > 0 && x->steps[at - 1]->rows_of == updates->rows_of ? x->steps[at - 1] : NULL;
}

static bool update_before_the_reader(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = updating_step(p, &a), *reader = s ? reading_step(p, s) : NULL;
    if (!reader)
        return false;
    struct phase *x = &p->train.phases[s->phase];
    swap_steps(x, index_in_phase(x, s), index_in_phase(x, reader));
    f->step = reader;
    f->value = a->tensor->name;
    return true;
}

static bool update_beside_the_reader(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = updating_step(p, &a), *reader = s ? reading_step(p, s) : NULL;
    if (!reader)
        return false;
    loop_again(p, &p->train.phases[s->phase]);
    f->step = reader;
    f->value = a->tensor->name;
    return true;
}

static bool update_of_other_rows(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = updating_step(p, &a), *reader = s ? reading_step(p, s) : NULL;
    struct argument *read = reader ? argument_of(reader, ACCESS_READ, ARGUMENT_TENSOR, TOUCH_PART) : NULL;
    if (!read)
        return false;
    read->touch = TOUCH_ALL;
    f->step = reader;
    f->value = a->tensor->name;
    return true;
}

static bool update_of_what_has_no_gradient(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = updating_step(p, &a);
    if (!s)
        return false;
    struct part *part = arena_alloc(p->arena, sizeof *part);
    *part = *a->part;
    part->axis[2].count--;      /* of (panels, inputs, outputs of a panel) */
    a->part = part;
    a->access = ACCESS_READ;    /* else what is left out is noticed first */
    f->step = s;
    f->value = a->tensor->name;
    return true;
}

static bool update_before_its_rule(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = updating_step(p, &a);
    if (!s)
        return false;
    p->train.rule_phase = s->phase;
    f->step = s;
    f->value = a->tensor->name;
    return true;
}

static bool rule_before_the_loss(struct plan *p, struct planted *f)
{
    if (p->train.rule_phase < 1)
        return false;
    p->train.rule_phase--;
    f->value = p->train.graph->loss->name;
    return true;
}

static const struct param *frozen_param(const struct plan *p)
{
    const struct graph *g = p->train.graph;
    for (int i = 0; i < g->params_count; i++)
        if (g->params[i]->role != CNN_STATISTIC && !plan_trains(g->params[i]))
            return g->params[i];
    return NULL;
}

static bool update_leaves_out(struct plan *p, struct planted *f)
{
    const struct graph *g = p->train.graph;
    int64_t begin = p->update.ranges[--p->update.ranges_count].begin;
    for (int i = 0; i < g->params_count; i++)
        if (plan_trains(g->params[i]) && p->params[i].offset == begin)
            f->value = g->params[i]->name;
    return true;
}

static bool update_of_frozen_weights(struct plan *p, struct planted *f)
{
    const struct param *frozen = frozen_param(p);
    if (!frozen)
        return false;
    for (int i = 0; i < p->update.ranges_count; i++)
        if (p->update.ranges[i].begin >= p->params[frozen->id].offset) {
            struct update_range *r = &p->update.ranges[i];
            r->begin = p->params[frozen->id].offset;
            r->blocks = (r->end - r->begin + p->update.block - 1) / p->update.block;
            f->value = frozen->name;
            return true;
        }
    return false;
}

static bool update_block_too_few(struct plan *p, struct planted *f)
{
    (void)f;
    p->update.ranges[0].blocks--;
    return true;
}

static bool update_twice(struct plan *p, struct planted *f)
{
    struct argument *a;
    if (!updating_step(p, &a))
        return false;
    for (int i = 0; i < p->update.ranges_count; i++)
        p->update.ranges[i].early = false;
    f->value = a->tensor->param->name;
    return true;
}

static bool update_of_another_group(struct plan *p, struct planted *f)
{
    const struct graph *g = p->train.graph;
    struct update_range *r = &p->update.ranges[0];
    r->group++;
    for (int i = g->params_count - 1; i >= 0; i--)
        if (plan_trains(g->params[i]) && p->params[i].offset == r->begin)
            f->value = g->params[i]->name;
    return true;
}

/* ---- images that lie together ------------------------------------------------------------------------------------ */

/* The first step of training that takes a tensor whose images lie together, or apart; which is no view. */
static struct step *step_of_images(struct plan *p, bool together, struct argument **found)
{
    for (int i = 0; i < p->train.steps_count; i++)
        for (int k = 0; k < p->train.steps[i]->arguments_count; k++) {
            struct argument *a = &p->train.steps[i]->arguments[k];
            if (a->kind != ARGUMENT_TENSOR || !a->tensor->per_sample || a->touch != TOUCH_IMAGES ||
                p->train.places[a->tensor->id].base)
                continue;
            *found = a;
            if ((p->train.places[a->tensor->id].together > 0) == together)
                return p->train.steps[i];
        }
    return NULL;
}

static bool together_one_by_one(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = step_of_images(p, true, &a);
    if (s)
        s->group->together = 0;
    return s && names(f, s, a);
}

static bool together_in_part(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = step_of_images(p, true, &a);
    if (s)
        p->train.places[a->tensor->id].together--;
    return s && names(f, s, a);
}

static bool apart_where_they_must_not(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = step_of_images(p, true, &a);
    if (s)
        p->train.places[a->tensor->id].together = 0;
    return s && names(f, s, a);
}

static bool together_for_who_does_not_know(struct plan *p, struct planted *f)
{
    struct argument *a;
    struct step *s = step_of_images(p, false, &a);
    if (!s || s->group->together)
        return false;
    p->train.places[a->tensor->id].together = p->lanes;
    f->value = value_name(a);       /* who makes it is found first */
    return true;
}

static bool update_before_the_norm(struct plan *p, struct planted *f)
{
    struct argument *a;
    if (!updating_step(p, &a))
        return false;
    p->update.clip_norm = 1;
    f->value = a->tensor->param->name;
    return true;
}

static bool update_without_room(struct plan *p, struct planted *f)
{
    (void)f;
    p->update.clip_norm = 1;
    return !p->update.early;
}

/* The weights with l2 that the plan has last. */
static bool penalty_left_out(struct plan *p, struct planted *f)
{
    if (!p->penalties_count)
        return false;
    f->value = p->penalties[--p->penalties_count].param->name;
    return true;
}

static bool penalty_of_a_part(struct plan *p, struct planted *f)
{
    if (!p->penalties_count)
        return false;
    f->value = p->penalties[0].param->name;
    p->penalties[0].end -= 64 / p->real_size;
    return true;
}

static bool penalty_by_another_factor(struct plan *p, struct planted *f)
{
    for (int i = 0; i < p->penalties_count; i++)
        if (plan_trains(p->penalties[i].param)) {
            f->value = p->penalties[i].param->name;
            p->update.groups[p->params[p->penalties[i].param->id].group].l2 *= 2;
            return true;
        }
    return false;
}

/* ---- sums that are carried --------------------------------------------------------------------------------------- */

/* The first group whose sums over images another takes. */
static struct group *carried_group(struct plan *p)
{
    for (int i = 0; i < p->train.groups_count; i++)
        if (p->train.groups[i]->carrier)
            return p->train.groups[i];
    return NULL;
}

/* Who makes another map takes them. */
static bool sums_of_another_map(struct plan *p, struct planted *f)
{
    struct group *g = carried_group(p);
    if (!g)
        return false;
    for (int i = 0; i < p->train.groups_count; i++)
        if (p->train.groups[i] == g->carrier)
            p->train.groups[i]->result = g->main->in[0];
    f->value = g->main->name;
    return true;
}

static bool sums_go_elsewhere(struct plan *p, struct planted *f)
{
    struct group *g = carried_group(p);
    if (!g)
        return false;
    g->carrier = arena_alloc(p->arena, sizeof *g);
    *(struct group *)g->carrier = *p->train.groups[0];
    ((struct group *)g->carrier)->sums = g->main;
    ((struct group *)g->carrier)->result = g->main->in[3];
    f->value = g->main->name;
    return true;
}

static bool sums_nobody_puts_together(struct plan *p, struct planted *f)
{
    struct group *g = carried_group(p);
    (void)f;
    if (!g)
        return false;
    g->carrier = NULL;
    return true;
}

/* ---- finer phases ------------------------------------------------------------------------------------------------ */

/* The first phase of training that has a finer form which is split so; a copy of that, with steps and loops of its
 * own. */
static struct phase *finer_phase(struct plan *p, enum split split)
{
    for (int i = 0; i < p->train.phases_count; i++) {
        struct phase *f = &p->train.phases[i];
        if (!f->finer || f->split != split)
            continue;
        struct phase *copy = arena_alloc(p->arena, sizeof *copy);
        *copy = *f->finer;
        f->finer = copy;
        return copy;
    }
    return NULL;
}

static bool finer_turns_beyond_the_batch(struct plan *p, struct planted *f)
{
    struct phase *x = finer_phase(p, SPLIT_IMAGES);
    if (!x)
        return false;
    x->images = 2 * p->batch;
    names(f, x->steps[0], NULL);
    return true;
}

static bool finer_call_too_large(struct plan *p, struct planted *f)
{
    struct phase *x = finer_phase(p, SPLIT_IMAGES);
    if (!x)
        return false;
    f->step = x->steps[0];
    x->steps[0]->images *= 2;
    return true;
}

static bool finer_form_of_other_steps(struct plan *p, struct planted *f)
{
    struct phase *x = finer_phase(p, SPLIT_IMAGES);
    if (!x || x->steps_count < 2)
        return false;
    f->step = x->steps[0];
    x->steps[0] = x->steps[1];
    return true;
}

/* The blocks of the first loop that has others, and the part that they write. */
static bool finer_blocks_of(struct plan *p, struct planted *f, int64_t more, int64_t piece)
{
    struct phase *x = finer_phase(p, SPLIT_BLOCKS);
    for (int i = 0; x && i < x->steps_count; i++) {
        struct step *s = x->steps[i];
        struct argument *a = argument_of(s, ACCESS_WRITE, ARGUMENT_TENSOR, TOUCH_PART);
        if (s == p->train.steps[s->index] || !a)
            continue;
        struct part *part = arena_alloc(p->arena, sizeof *part);
        *part = *a->part;
        for (int k = 0; k < PART_AXES && part->axis[k].count; k++)
            if (part->axis[k].piece > 1)
                part->axis[k].piece *= piece;
        a->part = part;
        s->blocks += more;
        for (int k = 0; k < x->loops_count; k++)
            if (x->loops[k].first == i)
                x->loops[k].blocks += more;
        names(f, s, a);
        return true;
    }
    return false;
}

static bool finer_block_too_many(struct plan *p, struct planted *f)
{
    return finer_blocks_of(p, f, 1, 1);
}

static bool finer_parts_too_large(struct plan *p, struct planted *f)
{
    return finer_blocks_of(p, f, 0, 2);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct fault faults[] = {
    { "a step twice", step_twice, "stands in the schedule twice" },
    { "a step left out", step_left_out, "stands in no phase" },
    { "a step of another phase", step_of_another_phase, "is said to be in phase" },
    { "a step that is split otherwise", step_split_otherwise, "split otherwise" },
    { "a step in no loop", step_in_no_loop, "stands in no loop" },
    { "images of several strides in one loop", images_in_one_loop, "images a call in a loop that takes" },
    { "other blocks in one loop", blocks_in_one_loop, "and its loop" },
    { "turns of a part of the batch", turns_of_part_of_the_batch, "cuts a batch of" },
    { "other groups", other_groups, "groups of images in a loop of" },
    { "a repeat without end", repeat_without_end, "is repeated and its repeat does not begin or end" },
    { "repeated more often", repeated_more_often, "times in a phase that is done" },
    { "no meeting before a phase", no_meeting_before, "before which no shares meet" },
    { "a step that meets nobody", meets_nobody, "and does not meet them" },
    { "a meeting for something else", meets_for_something_else, "and does not meet them" },
    { "told in the phase that reads it", told_without_a_meeting, "tells the other shares what" },
    { "another number of segments", another_number_of_segments, "segments of phases, and not" },
    { "gradients that go out too early", gradients_too_early, "go out before they are made" },
    { "gradients that are left out", gradients_left_out, "gradients go out" },
    { "gradients that go out twice", gradients_twice, "do not go out" },
    { "gradients in another order", gradients_in_another_order, "behind what is complete later" },
    { "a sum within the repeat", sum_within_the_repeat, "before it has been added to for the last time" },
    { "images in another order", images_in_another_order, "reads what nobody has made before" },
    { "images overtake what they need", images_overtake_what_they_need, "reads what nobody has made before" },
    { "a transform after its use", transform_after_its_use, "reads what nobody has made before" },
    { "blocks in one phase", blocks_in_one_phase, "which other threads still write" },
    { "blocks that differ in one loop", blocks_that_differ_in_one_loop, "which other threads still write" },
    { "phases in another order", phases_in_another_order, "reads what nobody has made before" },
    { "nobody makes the predictions", nobody_makes_predictions, "nobody makes" },
    { "made twice", made_twice, "has made" },
    { "added to nothing", added_to_nothing, "adds to what nobody has begun" },
    { "sums that are not cleared", sums_not_cleared, "adds to what nobody has begun" },
    { "statistics forgotten", statistics_forgotten, "does not go on from the earlier" },
    { "a step left out in epochs in which its result is read", left_out_before_its_use, "in epochs in which" },
    { "running moments left out", statistics_left_out, "is left out in some epochs and makes" },
    { "a gradient left out that is wanted", gradient_left_out, "is left out in epochs in which" },
    { "weights written", weights_written, "writes" },
    { "a hoisted step reads a map", hoisted_reads_a_map, "is hoisted and reads" },
    { "a block too few", block_too_few, "has other blocks than there are parts of" },
    { "blocks share elements", blocks_share_elements, "has blocks that share elements of" },
    { "blocks reach beyond", blocks_reach_beyond, "has blocks that reach beyond" },
    { "blocks leave out elements", blocks_leave_out_elements, "has blocks that leave out elements of" },
    { "all written by each block", all_written_by_each_block, "writes in every call all of" },
    { "rows too long", rows_too_long, "has more or longer rows than there are in" },
    { "images over the first", images_over_the_first, "does not stand where it touches" },
    { "rows over the first", rows_over_the_first, "does not stand where it touches" },
    { "blocks over the first", blocks_over_the_first, "does not stand where it touches" },
    { "rows too short", rows_too_short, "has rows that are not all of" },
    { "another stream", another_stream, "draws from stream" },
    { "the stream of another", the_stream_of_another, "draws from stream" },
    { "layers share a stream", layers_share_a_stream, "draws from stream" },
    { "elements halved", elements_halved, "numbers of an image of" },
    { "a share halved", share_halved, "takes a share of" },
    { "scratch too small", scratch_too_small, "bytes of scratch, of which there are" },
    { "a buffer given up early", buffer_given_up_early, "which lives in phases" },
    { "a sum in another place", sum_in_another_place, "which it is added to" },
    { "a gradient read after the sum", read_after_the_sum, "has been written" },
    { "a tensor given up early", tensor_given_up_early, "which lives in phases" },
    { "what holds a slice given up early", whole_given_up_early, "which lives in phases" },
    { "bytes halved", bytes_halved, "bytes and needs" },
    { "samples halved", samples_halved, "elements apart" },
    { "moments not rounded", moments_not_rounded, "bytes and needs" },
    { "parameters share memory", parameters_share_memory, "share memory while both live" },
    { "statistics share memory", statistics_share_memory, "share memory while both live" },
    { "a gradient elsewhere", gradient_elsewhere, "does not lie where the parameter has its place" },
    { "a parameter elsewhere in use", parameter_elsewhere, "does not lie where the parameter has its place" },
    { "filters too far apart", filters_too_far_apart, "two numbers in one place, or reaches beyond" },
    { "numbers in one place", numbers_in_one_place, "two numbers in one place, or reaches beyond" },
    { "a tensor given up within a repeat", tensor_given_up_within_a_repeat, "which lives in phases" },
    { "tensors share memory", tensors_share_memory, "share memory while both live" },
    { "a buffer shares memory", buffer_shares_memory, "share memory while both live" },
    { "a buffer outside", buffer_outside, "lies outside of its memory" },
    { "local tensors share memory", local_tensors_share_memory, "share memory while both live" },
    { "images of a call only", images_of_a_call_only, "touched in two loops of a turn" },
    { "a map of the batch made local", map_of_the_batch_made_local, "" },
    { "a view elsewhere", view_elsewhere, "does not lie where" },
    { "lasting memory shared", lasting_shares_memory, "share memory while both live" },
    { "images together for a kernel of single ones", together_one_by_one,
      "takes images one by one where they lie together" },
    { "a part of the images together", together_in_part, "takes images together that cannot lie so" },
    { "images apart", apart_where_they_must_not, "takes images together where they lie apart" },
    { "images together", together_for_who_does_not_know, "takes images one by one where they lie together" },
    { "sums of another map", sums_of_another_map, "takes other sums than" },
    { "sums go elsewhere", sums_go_elsewhere, "do not come to" },
    { "sums nobody puts together", sums_nobody_puts_together, "are put together" },
    { "finer turns beyond the batch", finer_turns_beyond_the_batch, "cuts a batch of" },
    { "a finer call too large", finer_call_too_large, "images a call in a loop that takes" },
    { "a finer form of other steps", finer_form_of_other_steps, "has other steps" },
    { "a finer block too many", finer_block_too_many, "has other blocks than there are parts of" },
    { "finer parts too large", finer_parts_too_large, "has other blocks than there are parts of" },
    { "an update before the reader", update_before_the_reader, "updates before or meanwhile" },
    { "an update beside the reader", update_beside_the_reader, "updates before or meanwhile" },
    { "an update of other rows", update_of_other_rows, "updates before or meanwhile" },
    { "an update of what has no gradient", update_of_what_has_no_gradient, "does not make the gradient" },
    { "an update before its rule", update_before_its_rule, "does not know yet how to update" },
    { "a rule before the loss", rule_before_the_loss, "how to update is decided" },
    { "an update leaves out weights", update_leaves_out, "the update leaves out" },
    { "an update of frozen weights", update_of_frozen_weights, "the update changes" },
    { "an update with a block too few", update_block_too_few, "of the update" },
    { "updated twice", update_twice, "is updated twice or not at all" },
    { "updated as another group", update_of_another_group, "as a group of parameters that is not its own" },
    { "updated before the norm", update_before_the_norm, "before the norm of all gradients is known" },
    { "no room for sums", update_without_room, "no room for the sums of its blocks" },
    { "a penalty left out", penalty_left_out, "does not have the squares of" },
    { "a penalty of a part", penalty_of_a_part, "does not have the squares of" },
    { "a gradient by another l2", penalty_by_another_factor, "is updated by another l2" },
};

/* Dense layers whose weights leave the caches, before one that is frozen; l2 of that and of one that learns. */
static const char early[] =
    "network {\n input 3x32x32\n conv2d 8, 3x3, relu\n flatten\n dense 400, relu\n"
    " dense 300, relu, trainable=off, l2=0.01\n dense 10, softmax, l2=0.001\n}\n" TAIL;

/* Steps of several images between those of one. */
static const char strides[] =
    "network {\n input 3x16x16\n conv2d 16, 3x3, relu, padding=same\n conv2d 16, 3x3, relu, padding=same\n"
    " maxpool2d 3x3, stride=1\n conv2d 16, 3x3, padding=same\n batchnorm relu\n dropout 0.3\n flatten\n dense 10, softmax\n}\n"
    TAIL;

/* Sums over blocks of images that no thread has room for. */
static const char blocks[] =
    "network {\n input 3x32x32\n conv2d 64, 3x3, relu\n conv2d 64, 3x3, relu\n global_avgpool2d\n dense 10, softmax\n}\n" TAIL;

/* Few channels, of images that lie together. */
static const char few[] =
    "network {\n input 2x16x16\n conv2d 3, 3x3, relu, padding=same\n maxpool2d 2x2\n conv2d 5, 3x3, relu\n avgpool2d 2x2\n flatten\n"
    " dense 10, softmax\n}\n" TAIL;

static const char *const together[] = { "conv2d_1=together", "conv2d_2=together" };
static const char *const tiles[] = { "dense_1=tile", "dense_2=tile", "dense_3=tile", "dense_3:data=openblas" };
/* Turns and panels for few threads, which have finer forms. */
static const char finer[] =
    "network {\n input 3x16x16\n conv2d 32, 3x3, relu, padding=same\n conv2d 64, 3x3, relu, padding=same, stride=2\n"
    " conv2d 64, 3x3, padding=same\n batchnorm relu\n conv2d 128, 3x3, relu, padding=same, stride=2\n"
    " conv2d 128, 3x3, relu, padding=same\n flatten\n dense 10, softmax\n}\n" TAIL;

static const char *const of_strides[] = { "conv2d_1=direct", "conv2d_2=winograd6", "conv2d_3=winograd4" };
static const char *const winograd[] = { "conv2d_2=winograd6", "conv2d_5=winograd8", "conv2d_4=winograd6" };
static const char *const blas[] = { "conv2d_2=im2col", "conv2d_4:weight=im2col", "dense_1=openblas" };

static const struct {
    const char *text, *target;
    int batch;                  /* 0: 8 */
    const char *const *forced;
    int forced_count;
    const char *concat;         /* not the text, but that network of concat_networks.c */
    int share;                  /* > 0: samples of a share of the batch */
} networks[] = {
    { planned_sequence, "x86-64-v3", 0, winograd, 3, NULL, 0 }, { planned_sequence, "x86-64-v3", 1, winograd, 3, NULL,
                                                                  0 },
    { planned_sequence, "generic", 6, blas, 3, NULL, 0 },       { planned_sequence, "x86-64-v4", 32, NULL, 0, NULL, 0 },
    { planned_branches, "x86-64-v3", 0, NULL, 0, NULL, 0 },     { planned_branches, "x86-64-v4", 12, NULL, 0, NULL, 0 },
    { planned_branches, "generic", 1, NULL, 0, NULL, 0 },       { planned_branches, "aarch64", 16, NULL, 0, NULL, 0 },
    { early, "x86-64-v3", 0, NULL, 0, NULL, 0 },                { early, "x86-64-v4", 64, tiles, 4, NULL, 0 },
    { early, "generic", 1, NULL, 0, NULL, 0 },                  { strides, "x86-64-v3", 16, of_strides, 3, NULL, 0 },
    { blocks, "x86-64-v3", 16, winograd, 1, NULL, 0 },
    { few, "x86-64-v3", 16, together, 2, NULL, 0 },             { few, "x86-64-v4", 64, together, 2, NULL, 0 },
    { planned_groups, "x86-64-v3", 0, NULL, 0, NULL, 0 },       { planned_groups, "x86-64-v4", 11, NULL, 0, NULL, 0 },
    { planned_groups, "generic", 1, NULL, 0, NULL, 0 },
    { NULL, "x86-64-v3", 0, NULL, 0, "normed", 0 },             { NULL, "x86-64-v4", 0, NULL, 0, "dense_block", 0 },
    { NULL, "x86-64-v3", 0, NULL, 0, "chain", 0 },              { NULL, "x86-64-v4", 0, NULL, 0, "chain", 0 },
    { planned_branches, "x86-64-v3", 12, NULL, 0, NULL, 5 },   { planned_sequence, "x86-64-v3", 8, NULL, 0, NULL, 4 },
    { planned_groups, "generic", 8, NULL, 0, NULL, 2 },
    { finer, "x86-64-v3", 0, NULL, 0, NULL, 0 },
};

enum { FAULTS = sizeof faults / sizeof faults[0], NETWORKS = sizeof networks / sizeof networks[0] };

static void expect_found(const struct fault *x, int network, const struct planted *f, const char *message)
{
    const char *where = networks[network].target;
    cr_assert_not_null(message, "%s: not found, network %d for %s", x->name, network, where);
    cr_expect(strstr(message, x->message), "%s: network %d, %s: found is \"%s\"", x->name, network, where, message);
    if (f->step)
        cr_expect(strstr(message, f->step->group->main->name) && strstr(message, f->step->what),
                  "%s: network %d, \"%s\" does not name %s", x->name, network, message, f->step->group->main->name);
    if (f->value)
        cr_expect(strstr(message, f->value), "%s: network %d, \"%s\" does not name %s", x->name, network, message,
                  f->value);
}

static bool plant_in(struct plan *p, const struct fault *x, int network)
{
    struct planted f = { 0 };
    bool planted = x->plant(p, &f);
    if (planted)
        expect_found(x, network, &f, plan_verify(p));
    return planted;
}

static bool plant_in_concat(const struct fault *x, int network)
{
    struct network n;
    const char *broken = "no such network";
    struct plan *p = NULL;
    for (int i = 0; i < concat_cases_count; i++)
        if (!strcmp(concat_cases[i].name, networks[network].concat))
            p = concat_plan(&n, &concat_cases[i], networks[network].target, false, &broken);
    cr_assert_null(broken, "%s", broken);
    bool planted = plant_in(p, x, network);
    network_end(&n);
    return planted;
}

/* 1: planted and found; 0: there is no place for it. */
static int plant(const struct fault *x, int network)
{
    struct world w;
    if (networks[network].concat)
        return plant_in_concat(x, network);
    if (networks[network].share)
        world_begin_shares(&w, networks[network].text, networks[network].target, networks[network].batch,
                           networks[network].share);
    else
        world_begin_batch(&w, networks[network].text, networks[network].target, networks[network].forced,
                          networks[network].forced_count, networks[network].batch);
    bool planted = plant_in(w.plan, x, network);
    arena_free(&w.arena);
    return planted;
}

Test(plan_faults, each_is_found_and_named)
{
    for (int i = 0; i < FAULTS; i++) {
        int times = 0;
        for (int k = 0; k < NETWORKS; k++)
            times += plant(&faults[i], k);
        cr_expect_gt(times, 0, "%s: no network has a place for it", faults[i].name);
    }
}

/* ---- plain loops: results in the place of what they are made of -------------------------------------------------- */

static struct group *group_in_place(struct plan *p)
{
    for (int i = 0; i < p->use.groups_count; i++)
        if (p->use.groups[i]->in_place)
            return p->use.groups[i];
    return NULL;
}

/* The last step reads what has been written over. */
static void plant_late_reader(struct plan *p)
{
    struct step *last = p->use.steps[p->use.steps_count - 1];
    argument_of(last, ACCESS_READ, ARGUMENT_TENSOR, ANY)->tensor = group_in_place(p)->in_place;
}

/* A convolution writes over what all of its positions read. */
static void plant_greedy(struct plan *p)
{
    struct group *g = group_in_place(p);
    p->use.places[g->result->id].base = base_of(g->main->in[0]);
}

/* A result that is written over something lives on where something else lies meanwhile. */
static void plant_short_life(struct plan *p)
{
    struct group *g = group_in_place(p);
    for (int i = 0; i < p->use.steps_count; i++)
        for (int k = 0; k < p->use.steps[i]->arguments_count; k++) {
            const struct argument *a = &p->use.steps[i]->arguments[k];
            if (a->kind == ARGUMENT_TENSOR && a->tensor == g->result && a->access == ACCESS_READ)
                p->use.places[p->use.steps[i]->group->result->id].offset = p->use.places[g->in_place->id].offset;
        }
}

static const struct {
    void (*plant)(struct plan *p);
    const char *message;
} portable_faults[] = {
    { plant_late_reader, "has been written" },
    { plant_greedy, "whose memory it may not take over" },
    { plant_short_life, "share memory while both live" },
};

Test(plan_faults, of_plain_loops)
{
    for (size_t i = 0; i < sizeof portable_faults / sizeof *portable_faults; i++) {
        struct world w;
        world_begin_portable(&w, planned_branches);
        portable_faults[i].plant(w.plan);
        const char *broken = plan_verify(w.plan);
        cr_assert(broken && strstr(broken, portable_faults[i].message), "%s", broken ? broken : "nothing is found");
        arena_free(&w.arena);
    }
}
