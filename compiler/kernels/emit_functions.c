/* emit_functions.c - functions of the emitted file, each written once whatever number of layers need it. */
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "ops/ops.h"
#include "steps/kernel.h"

void emit_text_begin(struct emitter *e)
{
    struct emit_frame *f = arena_alloc(e->arena, sizeof *f);
    f->outer = e->frame;
    f->w = cw_new(NULL);
    e->frame = f;
    e->w = f->w;
}

static void end_frame(struct emitter *e)
{
    struct emit_frame *f = e->frame;
    e->frame = f->outer;
    e->w = f->outer ? f->outer->w : NULL;
    cw_free(f->w);
}

const char *emit_text_end(struct emitter *e)
{
    const char *text = arena_string(e->arena, cw_text(e->w), cw_bytes(e->w));
    end_frame(e);
    return text;
}

static void begin_function(struct emitter *e, const char *storage, const char *parameters)
{
    emit_text_begin(e);
    e->frame->storage = storage;
    e->frame->parameters = parameters;
    cw_open(e->w, "{");
}

void emit_function(struct emitter *e, const char *parameters, ...)
{
    va_list list;
    va_start(list, parameters);
    begin_function(e, e->plan->target->portable ? "static" : "CNN_APART", arena_vprintf(e->arena, parameters, list));
    va_end(list);
}

void emit_inline(struct emitter *e, const char *parameters, ...)
{
    va_list list;
    va_start(list, parameters);
    begin_function(e, "CNN_INLINE", arena_vprintf(e->arena, parameters, list));
    va_end(list);
}

struct emitter emitter_of(const struct plan *p, struct arena *a)
{
    return (struct emitter){ .plan = p, .arena = a, .patterns = { .arena = a }, .names = { .arena = a },
                             .by_name = { .arena = a },
                             .comments = { .arena = a }, .tiles = { .arena = a } };
}

static void take_name(struct emitter *e, const char *name)
{
    int *next = arena_alloc(e->arena, sizeof *next);
    *next = 2;
    table_put(&e->names, name, next);
}

/* The hint, or with the first number behind it that is free. */
static const char *unique_name(struct emitter *e, const char *hint)
{
    int *number = table_get(&e->names, hint);
    const char *name = hint;
    while (number && table_get(&e->names, name))
        name = arena_printf(e->arena, "%s_%d", hint, (*number)++);
    take_name(e, name);
    return name;
}

/* The same comment is said once. */
static void add_comment(struct emitter *e, struct emitted_function *f, const char *comment)
{
    const char *key = arena_printf(e->arena, "%s: %s", f->name, comment);
    if (table_get(&e->comments, key))
        return;
    table_put(&e->comments, key, f);
    text_add(&f->comments, "%s%s", f->comments.count ? "\n" : "", comment);
}

/* The function that was being written; *known: it is one that was there. */
static struct emitted_function *end_function(struct emitter *e, const char *hint, bool *known)
{
    cw_close(e->w, "}");
    assert(strlen(cw_text(e->w)) == cw_bytes(e->w));
    const char *storage = e->frame->storage, *parameters = e->frame->parameters;
    const char *pattern = arena_printf(e->arena, "%s\n%s", parameters, cw_text(e->w));
    struct emitted_function *f = table_get(&e->patterns, pattern);
    *known = f != NULL;
    if (f) {
        f->users++;
        end_frame(e);
        return f;
    }
    f = arena_alloc(e->arena, sizeof *f);
    f->name = unique_name(e, hint);
    f->storage = storage;
    f->parameters = parameters;
    f->text = emit_text_end(e);
    f->users = 1;
    f->comments.arena = e->arena;
    table_put(&e->patterns, pattern, f);
    table_put(&e->by_name, f->name, f);
    LIST_ADD(e->arena, e->functions, e->functions_count, e->functions_capacity, f);
    return f;
}

void emit_remark(struct emitter *e, const char *name, const char *remark)
{
    add_comment(e, table_get(&e->by_name, name), remark);
}

const char *emit_end(struct emitter *e, const char *hint, const char *comment)
{
    bool known;
    struct emitted_function *f = end_function(e, hint, &known);
    if (comment && (!known || f->comments.count))
        add_comment(e, f, comment);
    return f->name;
}

const char *emit_end_shared(struct emitter *e, const char *hint, const char *comment)
{
    bool known;
    struct emitted_function *f = end_function(e, hint, &known);
    if (!known)
        add_comment(e, f, comment);
    return f->name;
}

void emit_written(struct emitter *e, const char *name, const char *text, const char *comment)
{
    struct emitted_function *f = arena_alloc(e->arena, sizeof *f);
    *f = (struct emitted_function){ .name = unique_name(e, name), .text = text, .comments = { .arena = e->arena } };
    assert(!strcmp(f->name, name));
    add_comment(e, f, comment);
    LIST_ADD(e->arena, e->functions, e->functions_count, e->functions_capacity, f);
}

void emit_functions(struct emitter *e, struct cwriter *w, FILE *out, int first)
{
    for (int i = first; i < e->functions_count; i++) {
        struct emitted_function *f = e->functions[i];
        if (f->comments.count)
            cw_comment(w, "%s", text_of(&f->comments));
        if (f->parameters)
            cw_line(w, "%s void %s(%s)", f->storage, f->name, f->parameters);
        fputs(f->text, out);
        cw_blank(w);
    }
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

void emit_step_of(struct emitter *e, struct emitted_function *f, const struct step *s)
{
    const struct layer *layer = s->group->main->layer;
    f->many |= f->steps && f->layer != layer;
    f->layer = layer;
    f->what = s->what;
    f->steps++;
    f->trains |= e->program == &e->plan->train;
}

/* "winograd_conv3x3" of "winograd_conv3x3_16x16x16_to_32x16x16": what a name says beside the shapes, and beside the
 * kind of layer where it begins with that.  "": nothing. */
static const char *name_without_shapes(struct emitter *e, const char *name, const char *kind)
{
    struct text out = { .arena = e->arena };
    size_t length = strlen(kind);
    bool shape = false;
    if (!strncmp(name, kind, length) && (name[length] == '_' || !name[length]))
        name += length + (name[length] != 0);
    for (; *name; name += length + (name[length] != 0)) {
        length = strcspn(name, "_");
        bool between = shape && length == 2 && isdigit((unsigned char)name[length + 1]);    /* "to", "of" */
        shape = isdigit((unsigned char)*name) || between;
        if (!shape)
            text_add(&out, "%s%.*s", out.count ? "_" : "", (int)length, name);
    }
    return text_of(&out);
}

/* "data_gradient", and "layer1_0_conv1" of a layer in a block. */
static const char *one_word(struct emitter *e, const char *what)
{
    char *out = arena_string(e->arena, what, strlen(what));
    for (char *c = out; *c; c++)
        if (*c == ' ' || *c == '.')
            *c = '_';
    return out;
}

/* Names that the installed headers may have. */
static bool is_of_headers(const char *name)
{
    return !strncmp(name, "v_", 2) || !strncmp(name, "cnn_", 4);
}

static void name_own(struct emitter *e, struct emitted_function *f)
{
    const char *rest = name_without_shapes(e, f->name, f->layer->def->clause.name);
    const char *name = arena_printf(e->arena, "%s_%s", one_word(e, f->layer->name), *rest ? rest
                                    : one_word(e, f->what));
    if (is_of_headers(name))
        return;
    if (table_get(&e->names, name) && !f->trains)
        name = arena_printf(e->arena, "%s_in_use", name);
    f->name = unique_name(e, name);
}

/* A phase names its pointers so. */
static void take_names(struct emitter *e, const struct program *q)
{
    for (int i = 0; q->graph && i < q->graph->tensors_count; i++)
        take_name(e, q->graph->tensors[i]->name);
    for (int i = 0; i < q->buffers_count; i++)
        take_name(e, q->buffers[i]->name);
}

void emit_name_own(struct emitter *e)
{
    take_names(e, &e->plan->train);
    take_names(e, &e->plan->use);
    for (int i = 0; i < e->functions_count; i++) {
        struct emitted_function *f = e->functions[i];
        if (f->layer && !f->many && f->steps == f->users)
            name_own(e, f);
    }
}

/* ---- comments ---------------------------------------------------------------------------------------------------- */

static const char *tensor_text(struct emitter *e, const struct tensor *t)
{
    if (t->shape.flat || (t->shape.h == 1 && t->shape.w == 1))
        return arena_printf(e->arena, "%d", t->shape.c);
    return arena_printf(e->arena, "%dx%dx%d", t->shape.c, t->shape.h, t->shape.w);
}

const char *emit_comment(struct emitter *e, const struct step *s)
{
    const struct group *g = s->group;
    const struct node *n = g->main;
    const struct layer *l = n->layer;
    char *head = "loss";
    if (l)
        head = arena_printf(e->arena, "%s (%s)", l->name, layer_place_text(e->arena, e->plan->model, l));
    char *text = arena_printf(e->arena, "%s: %s", head, s->what);
    const struct tensor *from = n->in_count ? n->in[0] : NULL;
    if (from && from->per_sample && g->result && g->result->per_sample)
        text = arena_printf(e->arena, "%s, %s -> %s", text, tensor_text(e, from), tensor_text(e, g->result));
    for (int i = 0; i < g->chain_count && s->part == 0; i++)
        text = arena_printf(e->arena, "%s + %s", text, op_name(g->chain[i]->op));
    if (g->sums && step_uses_kind(s, ARGUMENT_BUFFER) && s->split == SPLIT_IMAGES)
        text = arena_printf(e->arena, "%s, with the sums of %s", text, g->sums->layer->name);
    if (s->flops) {
        bool giga = s->flops >= 1000000000;
        text = arena_printf(e->arena, "%s; %.3g %s a batch", text, (double)s->flops * (giga ? 1e-9 : 1e-6),
                            giga ? "GFLOP" : "MFLOP");
    }
    return arena_printf(e->arena, "%s; kernel %s (%s).", text, g->kernel->name, g->reason);
}
