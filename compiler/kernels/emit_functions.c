/* emit_functions.c - functions of the emitted file, each written once whatever number of layers need it. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "steps/kernel.h"

void emit_begin(struct emitter *e)
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

struct emitter emitter_of(const struct plan *p, struct arena *a)
{
    return (struct emitter){ .plan = p, .arena = a, .patterns = { .arena = a }, .names = { .arena = a },
                             .comments = { .arena = a }, .tiles = { .arena = a } };
}

/* The hint, or with the first number behind it that is free. */
static const char *unique_name(struct emitter *e, const char *hint)
{
    int *number = table_get(&e->names, hint), *next = arena_alloc(e->arena, sizeof *next);
    const char *name = hint;
    while (number && table_get(&e->names, name))
        name = arena_printf(e->arena, "%s_%d", hint, (*number)++);
    *next = 2;
    table_put(&e->names, name, next);
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

/* The function's text with EMIT_NAME replaced by name; its head is broken into lines anew. */
static const char *named(struct emitter *e, const char *text, const char *name)
{
    const char *at = strstr(text, EMIT_NAME), *body = strstr(text, "\n{");
    assert(at && body && at < body && !strstr(at + 1, EMIT_NAME));
    const char *rest = at + strlen(EMIT_NAME);
    char *parameters = arena_string(e->arena, rest, (size_t)(body - rest)), *to = parameters;
    for (const char *from = parameters; *from; from++) {
        bool broken = *from == '\n';
        *to++ = broken ? ' ' : *from;
        if (broken)
            from += strspn(from + 1, " ");
    }
    *to = '\0';
    emit_begin(e);
    cw_line(e->w, "%.*s%s%s", (int)(at - text), text, name, parameters);
    return arena_printf(e->arena, "%s%s", emit_text_end(e), body + 1);
}

const char *emit_end(struct emitter *e, const char *hint, const char *comment)
{
    assert(strlen(cw_text(e->w)) == cw_bytes(e->w));
    struct emitted_function *f = table_get(&e->patterns, cw_text(e->w));
    if (f) {
        end_frame(e);
        if (comment && f->comments.count && strncmp(hint, "tile", 4))
            add_comment(e, f, comment);
        return f->name;
    }
    const char *pattern = emit_text_end(e);
    f = arena_alloc(e->arena, sizeof *f);
    f->name = unique_name(e, hint);
    f->text = named(e, pattern, f->name);
    f->comments.arena = e->arena;
    if (comment)
        add_comment(e, f, comment);
    table_put(&e->patterns, pattern, f);
    LIST_ADD(e->arena, e->functions, e->functions_count, e->functions_capacity, f);
    return f->name;
}

void emit_functions(struct emitter *e, struct cwriter *w, FILE *out, int first)
{
    for (int i = first; i < e->functions_count; i++) {
        struct emitted_function *f = e->functions[i];
        if (f->comments.count)
            cw_comment(w, "%s", text_of(&f->comments));
        fputs(f->text, out);
        cw_blank(w);
    }
}

/* ---- names of things at a call ----------------------------------------------------------------------------------- */

const char *emit_element_type(const struct emitter *e, const struct tensor *t)
{
    return t->element == ELEMENT_U8 ? "uint8_t" : t->element == ELEMENT_I32 ? "int32_t" : e->plan->real;
}

const char *emit_pointer(struct emitter *e, const struct tensor *t)
{
    (void)e;
    return t->name;
}

const char *emit_sample(struct emitter *e, const struct tensor *t)
{
    const struct tensor_place *place = &e->program->places[t->id];
    int64_t stride = place->sample;
    if (!t->per_sample)
        return t->name;
    if (place->region == REGION_LOCAL)
        return !place->of_turn
                   ? t->name : arena_printf(e->arena, "%s + (size_t)(i - first) * %" PRId64, t->name, stride);
    if (stride == 1)
        return arena_printf(e->arena, "%s + i", t->name);
    return arena_printf(e->arena, "%s + (size_t)i * %" PRId64, t->name, stride);
}

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
        head = arena_printf(e->arena, "%s (line %d)", l->name,
                            l->where.file ? source_place(l->where.file, l->where.begin).line : 0);
    char *text = arena_printf(e->arena, "%s: %s", head, s->what);
    const struct tensor *from = n->in_count ? n->in[0] : NULL;
    if (from && from->per_sample && g->result && g->result->per_sample)
        text = arena_printf(e->arena, "%s, %s -> %s", text, tensor_text(e, from), tensor_text(e, g->result));
    for (int i = 0; i < g->chain_count && s->part == 0; i++)
        text = arena_printf(e->arena, "%s + %s", text, op_name(g->chain[i]->op));
    if (s->flops) {
        bool giga = s->flops >= 1000000000;
        text = arena_printf(e->arena, "%s; %.3g %s a batch", text, (double)s->flops * (giga ? 1e-9 : 1e-6),
                            giga ? "GFLOP" : "MFLOP");
    }
    return arena_printf(e->arena, "%s; kernel %s (%s).", text, g->kernel->name, g->reason);
}
