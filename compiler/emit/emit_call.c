/* emit_call.c - the text of a step's call, from what the plan says that it is given. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "emit/emit.h"

/* Images of a tensor that is local to a thread lie there from the first of the call, or of the turn, on. */
static const char *tensor_text(struct emitter *e, const struct argument *a)
{
    const struct tensor *t = a->tensor;
    const struct tensor_place *place = &e->program->places[t->id];
    if (a->at == AT_BASE || e->plan->target->portable)      /* there is but one image */
        return t->name;
    if (place->region == REGION_LOCAL && !place->of_turn)
        return t->name;
    if (place->region == REGION_LOCAL)
        return arena_printf(e->arena, "%s + (size_t)(i - first) * %" PRId64, t->name, place->sample);
    if (place->sample == 1)
        return arena_printf(e->arena, "%s + i", t->name);
    return arena_printf(e->arena, "%s + (size_t)i * %" PRId64, t->name, place->sample);
}

static const char *buffer_text(struct emitter *e, const struct step *s, const struct argument *a)
{
    static const char variables[] = { [AT_IMAGE] = 'i', [AT_GROUP] = 'g', [AT_BLOCK] = 'b' };
    if (a->at == AT_BASE || (a->at == AT_BLOCK && s->blocks == 1))
        return a->buffer->name;
    return arena_printf(e->arena, "%s + (size_t)%c * %" PRId64, a->buffer->name, variables[a->at], a->row);
}

static const char *argument_text(struct emitter *e, const struct step *s, const struct argument *a)
{
    const char *real = e->plan->real;
    switch (a->kind) {
    case ARGUMENT_TENSOR: return tensor_text(e, a);
    case ARGUMENT_BUFFER: return buffer_text(e, s, a);
    case ARGUMENT_SCRATCH: return "scratch";
    case ARGUMENT_BLOCK: return s->blocks == 1 ? "0" : "b";
    case ARGUMENT_SAMPLES: return "n";
    case ARGUMENT_TOGETHER: return "c->together";
    case ARGUMENT_LEFT: return "n - i";
    case ARGUMENT_FIRST: return a->number == 1 ? "j" : arena_printf(e->arena, "j * %" PRId64, a->number);
    case ARGUMENT_BEGINS: return "j == 0";
    case ARGUMENT_KEY: return arena_printf(e->arena, "cnn_key(c->seed, c->step, %" PRId64 ")", a->number);
    case ARGUMENT_ELEMENT:
        return a->at == AT_IMAGE ? arena_printf(e->arena, "(int64_t)i * %" PRId64, a->number) : "0";
    case ARGUMENT_SHARE: return arena_printf(e->arena, "(%s)1 / ((%s)n * %" PRId64 ")", real, real, a->number);
    case ARGUMENT_CONTEXT: return "c";
    case ARGUMENT_RULE:
        return a->number ? arena_printf(e->arena, "early ? early + %" PRId64 " : NULL", a->number) : "early";
    case ARGUMENT_PARAMETER: return arena_printf(e->arena, "%" PRId64, plan_param(e->plan, a->tensor)->offset);
    }
    return "";
}

const char *emit_arguments(struct emitter *e, const struct step *s)
{
    struct text list = { .arena = e->arena };
    for (int i = 0; i < s->arguments_count; i++)
        text_add(&list, "%s%s", i ? ", " : "", argument_text(e, s, &s->arguments[i]));
    return text_of(&list);
}

const char *emit_clearing(struct emitter *e, const struct step *s)
{
    struct text list = { .arena = e->arena };
    for (int i = 0; i < s->arguments_count; i++) {
        const struct argument *a = &s->arguments[i];
        if (a->cleared)
            text_add(&list, "%smemset(%s, 0, sizeof(%s) * %" PRId64 ")", list.count ? "; " : "", argument_text(e, s, a),
                     e->plan->real, a->row);
    }
    return text_of(&list);
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

const char *emit_tensor_shape(struct emitter *e, const struct tensor *t, bool batch)
{
    if (t->param)
        return param_memory_text(e->arena, t->param, plan_param(e->plan, t)->panel);
    const char *n = t->per_sample && batch ? "N, " : "";
    const struct tensor_place *place = plan_place(e->program, t);
    if (place->base && place->pixel != t->shape.c && !t->shape.flat)
        return arena_printf(e->arena, "(%s%d, %d, %d of %" PRId64 ": in %s)", n, t->shape.h, t->shape.w, t->shape.c,
                            place->pixel, place->base->name);
    if (place->together && batch)
        return arena_printf(e->arena, "(N / %d, %d, %d, %d, %d images)", place->together, t->shape.h, t->shape.w,
                            t->shape.c, place->together);
    if (place->together)
        return arena_printf(e->arena, "(%d, %d, %d, %d images)", t->shape.h, t->shape.w, t->shape.c, place->together);
    if (t->shape.flat || (t->shape.h == 1 && t->shape.w == 1))
        return arena_printf(e->arena, "(%s%d)", n, t->shape.c);
    return arena_printf(e->arena, "(%s%d, %d, %d)", n, t->shape.h, t->shape.w, t->shape.c);
}

/* The name of the parameter whose text begins there; *rest: behind it and its comma. */
static const char *parameter_name(struct emitter *e, const char *text, const char **rest)
{
    const char *end = text + strcspn(text, ","), *begin = end;
    while (begin > text && begin[-1] != ' ' && begin[-1] != '*')
        begin--;
    *rest = *end ? end + 2 : end;
    return arena_string(e->arena, begin, (size_t)(end - begin));
}

void emit_step_shapes(struct emitter *e, const struct step *s, const char *name)
{
    const struct emitted_function *f = table_get(&e->by_name, name);
    struct text list = { .arena = e->arena };
    const char *rest = f->parameters;
    for (int i = 0; i < s->arguments_count && *rest; i++) {
        const struct argument *a = &s->arguments[i];
        const char *parameter = parameter_name(e, rest, &rest);
        if (a->kind == ARGUMENT_TENSOR)
            text_add(&list, "%s%s %s", list.count ? ", " : "", parameter,
                     emit_tensor_shape(e, a->tensor, a->at != AT_IMAGE));
        else if (a->kind == ARGUMENT_BUFFER && a->at != AT_BASE)
            text_add(&list, "%s%s (a row of %" PRId64 ")", list.count ? ", " : "", parameter, a->row);
        else if (a->kind == ARGUMENT_BUFFER)
            text_add(&list, "%s%s of %" PRId64 " bytes", list.count ? ", " : "", parameter, a->buffer->bytes);
    }
    if (list.count)
        emit_remark(e, name, arena_printf(e->arena, "%s%s.", s->images > 1 ? "An image: " : "", text_of(&list)));
}
