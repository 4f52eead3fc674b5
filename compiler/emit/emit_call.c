/* emit_call.c - the text of a step's call, from what the plan says that it is given. */
#include <inttypes.h>

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

static const char *buffer_text(struct emitter *e, const struct argument *a)
{
    static const char variables[] = { [AT_IMAGE] = 'i', [AT_GROUP] = 'g', [AT_BLOCK] = 'b' };
    if (a->at == AT_BASE)
        return a->buffer->name;
    return arena_printf(e->arena, "%s + (size_t)%c * %" PRId64, a->buffer->name, variables[a->at], a->row);
}

static const char *argument_text(struct emitter *e, const struct argument *a)
{
    const char *real = e->plan->real;
    switch (a->kind) {
    case ARGUMENT_TENSOR: return tensor_text(e, a);
    case ARGUMENT_BUFFER: return buffer_text(e, a);
    case ARGUMENT_SCRATCH: return "scratch";
    case ARGUMENT_BLOCK: return "b";
    case ARGUMENT_SAMPLES: return "n";
    case ARGUMENT_FIRST: return arena_printf(e->arena, "j * %" PRId64, a->number);
    case ARGUMENT_BEGINS: return "j == 0";
    case ARGUMENT_KEY: return arena_printf(e->arena, "cnn_key(c->seed, c->step, %" PRId64 ")", a->number);
    case ARGUMENT_ELEMENT:
        return a->at == AT_IMAGE ? arena_printf(e->arena, "(int64_t)i * %" PRId64, a->number) : "0";
    case ARGUMENT_SHARE: return arena_printf(e->arena, "(%s)1 / ((%s)n * %" PRId64 ")", real, real, a->number);
    case ARGUMENT_CONTEXT: return "c";
    case ARGUMENT_RULE: return "early";
    case ARGUMENT_PARAMETER: return arena_printf(e->arena, "%" PRId64, plan_param(e->plan, a->tensor)->offset);
    }
    return "";
}

const char *emit_arguments(struct emitter *e, const struct step *s)
{
    struct text list = { .arena = e->arena };
    for (int i = 0; i < s->arguments_count; i++)
        text_add(&list, "%s%s", i ? ", " : "", argument_text(e, &s->arguments[i]));
    return text_of(&list);
}

const char *emit_clearing(struct emitter *e, const struct step *s)
{
    struct text list = { .arena = e->arena };
    for (int i = 0; i < s->arguments_count; i++) {
        const struct argument *a = &s->arguments[i];
        if (a->cleared)
            text_add(&list, "%smemset(%s, 0, sizeof(%s) * %" PRId64 ")", list.count ? "; " : "", argument_text(e, a),
                     e->plan->real, a->row);
    }
    return text_of(&list);
}
