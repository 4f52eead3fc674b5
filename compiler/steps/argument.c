/* argument.c - what a step is given at each call, recorded while its kernel plans it.
 *
 * Ensures: whatever the step reads and writes is among its arguments, with the access, and with what one call touches
 * of it. */
#include "steps/kernel.h"

static struct argument *add(struct plan *p, struct step *s, enum argument_kind kind)
{
    struct argument a = { .kind = kind };
    LIST_ADD(p->arena, s->arguments, s->arguments_count, s->arguments_capacity, a);
    return &s->arguments[s->arguments_count - 1];
}

static struct argument *add_tensor(struct plan *p, struct step *s, const struct tensor *t, enum access access)
{
    struct argument *a = add(p, s, ARGUMENT_TENSOR);
    a->tensor = t;
    a->access = access;
    return a;
}

static const struct part *kept_part(struct plan *p, struct part part)
{
    struct part *kept = arena_alloc(p->arena, sizeof *kept);
    *kept = part;
    return kept;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

void step_takes(struct plan *p, struct step *s, enum access access, const struct tensor *t)
{
    struct argument *a = add_tensor(p, s, t, access);
    if (s->split == SPLIT_IMAGES && t->per_sample) {
        a->at = AT_IMAGE;
        a->touch = TOUCH_IMAGES;
    }
}

void step_takes_part(struct plan *p, struct step *s, enum access access, const struct tensor *t, struct part part)
{
    struct argument *a = add_tensor(p, s, t, access);
    a->touch = TOUCH_PART;
    a->part = kept_part(p, part);
}

void step_takes_in(struct plan *p, struct step *s, enum access access, const struct tensor *t, enum touch touch)
{
    add_tensor(p, s, t, access)->touch = touch;
}

void step_takes_cleared(struct plan *p, struct step *s, const struct tensor *t, int64_t elements)
{
    struct argument *a = add_tensor(p, s, t, ACCESS_ADD);
    a->touch = TOUCH_GROUP;
    a->row = elements;
    a->cleared = true;
}

void step_writes_rows(struct plan *p, struct step *s, const struct tensor *t)
{
    if (s->split == SPLIT_IMAGES)
        step_takes(p, s, ACCESS_WRITE, t);
    else
        step_takes_part(p, s, ACCESS_WRITE, t, part_rows(s->blocks, shape_elements(t->shape) / s->blocks));
}

void step_takes_rows(struct plan *p, struct step *s, const struct tensor *from, const struct tensor *to)
{
    if (s->split == SPLIT_BLOCKS)
        step_is_told(p, s, ARGUMENT_BLOCK);
    step_takes(p, s, ACCESS_READ, from);
    step_writes_rows(p, s, to);
}

/* ---- buffers ----------------------------------------------------------------------------------------------------- */

static struct argument *add_buffer(struct plan *p, struct step *s, enum access access, const struct buffer *b,
                                   enum touch touch)
{
    struct argument *a = add(p, s, ARGUMENT_BUFFER);
    a->buffer = b;
    a->access = access;
    a->touch = touch;
    return a;
}

void step_uses(struct plan *p, struct step *s, enum access access, const struct buffer *b, enum touch touch)
{
    add_buffer(p, s, access, b, touch);
}

void step_uses_part(struct plan *p, struct step *s, enum access access, const struct buffer *b, struct part part)
{
    add_buffer(p, s, access, b, TOUCH_PART)->part = kept_part(p, part);
}

void step_uses_row(struct plan *p, struct step *s, enum access access, const struct buffer *b, enum stand at,
                   int64_t row)
{
    struct argument *a = add_buffer(p, s, access, b, at == AT_IMAGE ? TOUCH_IMAGES : TOUCH_GROUP);
    a->at = at;
    a->row = row;
    if (at == AT_BLOCK) {
        a->touch = TOUCH_PART;
        a->part = kept_part(p, part_rows(s->blocks, row));
    }
}

void step_uses_cleared(struct plan *p, struct step *s, const struct buffer *b, int64_t row)
{
    struct argument *a = add_buffer(p, s, ACCESS_ADD, b, TOUCH_GROUP);
    a->at = AT_GROUP;
    a->row = row;
    a->cleared = true;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

void step_scratch(struct plan *p, struct step *s, int64_t bytes)
{
    add(p, s, ARGUMENT_SCRATCH)->number = bytes;
    plan_scratch(p, bytes);
}

void step_is_told(struct plan *p, struct step *s, enum argument_kind what)
{
    add(p, s, what);
}

void step_is_given(struct plan *p, struct step *s, enum argument_kind what, int64_t number)
{
    struct argument *a = add(p, s, what);
    a->number = number;
    if (what == ARGUMENT_ELEMENT && s->split == SPLIT_IMAGES)
        a->at = AT_IMAGE;
}

void step_updates(struct plan *p, struct step *s, const struct param *param, struct part part)
{
    s->updates = param;
    add(p, s, ARGUMENT_CONTEXT);
    add(p, s, ARGUMENT_RULE)->number = p->params[param->id].group;
    struct argument *a = add(p, s, ARGUMENT_PARAMETER);
    a->tensor = param->tensor;
    a->access = ACCESS_ADD;
    a->touch = TOUCH_PART;
    a->part = kept_part(p, part);
}

struct part step_part(const struct step *s)
{
    for (int i = 0; i < s->arguments_count; i++)
        if (s->arguments[i].touch == TOUCH_PART)
            return *s->arguments[i].part;
    return (struct part){ { { .count = 0 } } };
}

void step_halve_blocks(struct plan *p, struct step *s, struct part part)
{
    s->group->narrow = true;
    s->blocks *= 2;
    s->arguments = step_arguments_copy(p, s);
    for (int i = 0; i < s->arguments_count; i++)
        if (s->arguments[i].touch == TOUCH_PART)
            s->arguments[i].part = kept_part(p, part);
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

struct part part_rows(int64_t count, int64_t row)
{
    return (struct part){ { { .count = count, .step = row, .piece = 1, .over = 1 }, { .count = row, .step = 1 } } };
}

struct part part_runs(int64_t elements, int64_t piece)
{
    return (struct part){ { { .count = elements, .step = 1, .piece = piece, .over = 1 } } };
}

struct part part_columns(const struct plan *p, int64_t count, int64_t piece)
{
    return (struct part){ { { .count = p->batch, .step = count },
                            { .count = count, .step = 1, .piece = piece, .over = 1 } } };
}

int64_t axis_pieces(const struct axis *x)
{
    if (!x->piece)
        return 1;
    if (x->larger)
        return x->larger + (x->piece > 1 ? (x->count - x->larger * x->piece) / (x->piece - 1) : 0);
    return (x->count + x->piece - 1) / x->piece;
}

struct argument *step_arguments_copy(struct plan *p, const struct step *s)
{
    struct argument *copy = arena_array(p->arena, (size_t)s->arguments_count + 1, sizeof *copy);
    for (int i = 0; i < s->arguments_count; i++)
        copy[i] = s->arguments[i];
    return copy;
}

bool step_uses_kind(const struct step *s, enum argument_kind kind)
{
    for (int i = 0; i < s->arguments_count; i++)
        if (s->arguments[i].kind == kind || (kind == ARGUMENT_BLOCK && s->arguments[i].at == AT_BLOCK))
            return true;
    return false;
}
