/* loops.c - what kernels share: the text of loads and stores, loops over vectors, passes of a chain. */
#include "kernels/loops.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"

const char *text_printf(struct emitter *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(e->arena, format, args);
    va_end(args);
    return text;
}

const char *text_real(struct emitter *e, double x)
{
    bool is_double = e->plan->real_double;
    if (isinf(x))
        return x < 0 ? "-INFINITY" : "INFINITY";
    /* the fewest digits that read back as the same number */
    int most = is_double ? 17 : 9;
    char text[40];
    for (int digits = 1; digits <= most; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (is_double ? strtod(text, NULL) == x : strtof(text, NULL) == (float)x)
            break;
    }
    const char *point = strpbrk(text, ".e") ? "" : ".0";
    return text_printf(e, "%s%s%s", text, point, is_double ? "" : "f");
}

static bool is_zero(const char *text)
{
    return !strcmp(text, "0");
}

const char *text_plus(struct emitter *e, const char *a, const char *b)
{
    if (is_zero(b))
        return a;
    if (is_zero(a))
        return b;
    return text_printf(e, "%s + %s", a, b);
}

const char *text_over(struct emitter *e, const char *a, int by)
{
    return by == 1 ? a : text_printf(e, "%s / %d", a, by);
}

const char *text_times(struct emitter *e, const char *a, int64_t by)
{
    const char *star = strstr(a, " * "), *number = star ? star + 3 : a;
    bool constant = *number && !number[strspn(number, "0123456789")] && !memchr(a, ' ', (size_t)(star ? star - a : 0));
    if (by == 1)
        return a;
    if (constant)               /* a number, or a name times one */
        return text_printf(e, "%.*s%" PRId64, (int)(number - a), a, (int64_t)strtoll(number, NULL, 10) * by);
    return text_printf(e, "%s * %" PRId64, a, by);
}

const char *text_offset(struct emitter *e, int64_t offset)
{
    return offset ? text_printf(e, " + %" PRId64, offset) : "";
}

const char *text_shift(struct emitter *e, int64_t offset)
{
    return offset < 0 ? text_printf(e, " - %" PRId64, -offset) : text_offset(e, offset);
}

const char *text_load(struct emitter *e, const char *p, const char *at, int tail)
{
    const char *from = text_plus(e, p, at);
    if (tail)
        return text_printf(e, "v_load_tail(%s, %d)", from, tail);
    return text_printf(e, "v_load(%s)", from);
}

const char *text_load_u8(struct emitter *e, const char *p, const char *at, int tail)
{
    const char *from = text_plus(e, p, at);
    if (tail)
        return text_printf(e, "v_load_u8_tail(%s, %d)", from, tail);
    return text_printf(e, "v_load_u8(%s)", from);
}

void line_store(struct emitter *e, const char *p, const char *at, const char *value, int tail)
{
    if (tail)
        cw_line(e->w, "v_store_tail(%s, %s, %d);", text_plus(e, p, at), value, tail);
    else
        cw_line(e->w, "v_store(%s, %s);", text_plus(e, p, at), value);
}

void line_store_u8(struct emitter *e, const char *p, const char *at, const char *value, int tail)
{
    if (tail)
        cw_line(e->w, "v_store_u8_tail(%s, %s, %d);", text_plus(e, p, at), value, tail);
    else
        cw_line(e->w, "v_store_u8(%s, %s);", text_plus(e, p, at), value);
}

static void open_block(struct emitter *e, const char *variable, int64_t first)
{
    cw_open(e->w, "{");
    cw_line(e->w, "const int %s = %" PRId64 ";", variable, first);
}

void loop_open(struct emitter *e, const char *variable, int64_t first, int64_t end, int64_t step)
{
    if (first < end && first + step >= end)
        open_block(e, variable, first);
    else if (step == 1)
        cw_open(e->w, "for (int %s = %" PRId64 "; %s < %" PRId64 "; %s++) {", variable, first, variable, end, variable);
    else
        cw_open(e->w, "for (int %s = %" PRId64 "; %s < %" PRId64 "; %s += %" PRId64 ") {", variable, first, variable,
                end, variable, step);
}

void loop_open_vectors(struct emitter *e, const char *variable, int64_t end)
{
    if (end == e->plan->lanes) {
        open_block(e, variable, 0);
        return;
    }
    cw_line(e->w, "CNN_ROLLED");
    cw_open(e->w, "for (int %s = 0; %s < %" PRId64 "; %s += V_LANES) {", variable, variable, end, variable);
}

/* The body of one vector, in braces unless it is a single statement on one line. */
static void one_vector(struct emitter *e, void (*body)(struct emitter *e, const void *data, const char *at, int tail),
                       const void *data, const char *at, int tail)
{
    emit_text_begin(e);
    body(e, data, at, tail);
    bool single = cw_lines(e->w) == 1;
    const char *text = emit_text_end(e);
    if (single) {
        cw_line(e->w, "%.*s", (int)strlen(text) - 1, text);
        return;
    }
    cw_open(e->w, "{");
    body(e, data, at, tail);
    cw_close(e->w, "}");
}

void line_inside(struct emitter *e, struct cwriter *w, int tail)
{
    const char *ones = "1";
    for (int i = 1; i < tail; i++)
        ones = text_printf(e, "%s, 1", ones);
    cw_line(w, "static const %s ones[%d] = { %s };", e->plan->real, tail, ones);
    cw_line(w, "const vm inside = v_gt(v_load_tail(ones, %d), v_zero());", tail);
}

void each_vector(struct emitter *e, const char *index, int64_t count,
                 void (*body)(struct emitter *e, const void *data, const char *at, int tail), const void *data)
{
    int lanes = e->plan->lanes;
    int64_t whole = count / lanes * lanes;
    int tail = (int)(count - whole);
    if (whole > lanes) {
        cw_open(e->w, "for (int %s = 0; %s < %" PRId64 "; %s += %d) {", index, index, whole, index, lanes);
        body(e, data, index, 0);
        cw_close(e->w, "}");
    } else if (whole) {
        one_vector(e, body, data, "0", 0);
    }
    if (tail)
        one_vector(e, body, data, text_printf(e, "%" PRId64, whole), tail);
}

/* ---- a chain over an image -------------------------------------------------------------------------------------- */

struct chain_pass {
    const struct chain *chain;
    const char *from, *to, *offset;
    bool flat;                      /* one loop over all elements; no operand is a column */
    const char *pixel;              /* first element of the pixel */
};

static void chain_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct chain_pass *s = data;
    const char *element = text_plus(e, s->offset, s->flat ? at : text_plus(e, s->pixel, at));
    cw_line(e->w, "const v value = %s;", text_load(e, s->from, element, tail));
    const char *column = s->flat ? "0" : s->chain->together ? text_printf(e, "(%s) / V_LANES", at) : at;
    line_store(e, s->to, element, chain_apply_at(e, s->chain, "value", column, element, tail), tail);
}

void chain_over_image(struct emitter *e, const struct chain *c, const char *from, const char *to,
                      const char *offset, int64_t pixels, int64_t channels)
{
    struct chain_pass s = { .chain = c, .from = from, .to = to, .offset = offset, .pixel = "0" };
    s.flat = !chain_has_columns(c);
    if (s.flat) {
        each_vector(e, "at", pixels * channels, chain_body, &s);
    } else if (pixels == 1) {
        each_vector(e, "j", channels, chain_body, &s);
    } else {
        loop_open(e, "p", 0, pixels, 1);
        cw_line(e->w, "const int at = p * %" PRId64 ";", channels);
        s.pixel = "at";
        each_vector(e, "j", channels, chain_body, &s);
        cw_close(e->w, "}");
    }
}

int64_t emit_pixel(const struct emitter *e, const struct tensor *t)
{
    return plan_place(e->program, t)->pixel;
}

bool emit_is_strided(const struct emitter *e, const struct tensor *t)
{
    return emit_pixel(e, t) != t->shape.c;
}

bool chain_is_strided(struct emitter *e, const struct chain *c, const struct tensor *x, const struct tensor *y)
{
    bool strided = emit_is_strided(e, x) || emit_is_strided(e, y);
    for (int i = 0; i < c->operands_count; i++)
        if (c->operands[i].kind == OPERAND_ELEMENT)
            strided |= emit_is_strided(e, c->operands[i].tensor);
    return strided;
}

/* "const float *const NAME_p = NAME + p * 96;": returns the new name. */
static const char *line_pixel(struct emitter *e, const char *type, const char *name, int64_t pixel)
{
    const char *own = text_printf(e, "%s_p", name);
    cw_line(e->w, "%sconst %s = %s + p * %" PRId64 ";", type, own, name, pixel);
    return own;
}

void chain_over_places(struct emitter *e, const struct chain *c, const char *from, const struct tensor *x,
                       const char *to, const struct tensor *y)
{
    struct chain own = *c;              /* its operands begin at the pixel */
    struct chain_pass s = { .chain = &own, .offset = "0", .pixel = "0" };
    const char *real = e->plan->real;
    cw_open(e->w, "for (int p = 0; p < %" PRId64 "; p++) {", tensor_pixels(x));
    s.to = line_pixel(e, text_printf(e, "%s *", real), to, emit_is_strided(e, y) ? emit_pixel(e, y) : x->shape.c);
    s.from = !strcmp(from, to) ? s.to : line_pixel(e, text_printf(e, "const %s *", real), from, emit_pixel(e, x));
    for (int i = 0; i < own.operands_count; i++) {
        struct operand *o = &own.operands[i];
        int64_t pixel = o->kind == OPERAND_ELEMENT && emit_is_strided(e, o->tensor) ? emit_pixel(e, o->tensor)
                                                                                     : x->shape.c;
        if (o->kind == OPERAND_ELEMENT || o->kind == OPERAND_INDEX)
            o->name = line_pixel(e, o->kind == OPERAND_INDEX ? "int64_t " : o->type, o->name, pixel);
    }
    each_vector(e, "j", x->shape.c, chain_body, &s);
    cw_close(e->w, "}");
}

/* ---- sizes and costs -------------------------------------------------------------------------------------------- */

const char *text_shape(struct emitter *e, struct shape s)
{
    if (s.flat || (s.h == 1 && s.w == 1))
        return text_printf(e, "%d", s.c);
    return text_printf(e, "%dx%dx%d", s.c, s.h, s.w);
}

int64_t tensor_pixels(const struct tensor *t)
{
    return (int64_t)t->shape.h * t->shape.w;
}

int64_t tensor_elements(const struct tensor *t)
{
    return tensor_pixels(t) * t->shape.c;
}

int64_t padded_channels(const struct plan *p, const struct tensor *t)
{
    return (t->shape.c + p->lanes - 1) / p->lanes * (int64_t)p->lanes;
}

double pass_cycles(const struct plan *p, const struct tensor *t, double instructions, double streams)
{
    double elements = (double)tensor_elements(t) * p->batch;
    /* channels that no vector divides cost whole vectors */
    double vectors = elements / t->shape.c * (double)(padded_channels(p, t) / p->lanes);
    double work = vectors * (instructions + streams) / p->target->costs->instructions;
    double memory = elements * streams * p->real_size / p->target->memory_bytes_per_cycle;
    return work > memory ? work : memory;
}

int64_t group_flops(const struct plan *p, const struct group *g)
{
    return op_def_get(g->main->op)->flops(g->main) * p->batch;
}

bool always_applicable(const struct plan *p, const struct group *g)
{
    (void)p;
    (void)g;
    return true;
}

const char *loss_weight(struct emitter *e, const struct node *n, const char *label)
{
    enum { LINE = 8 };
    const char *real = e->plan->real;
    if (!n->attr.class_weights)
        return NULL;
    const struct arg_value *weights = &n->attr.class_weights->args[0];
    cw_open(e->w, "static const %s class_weights[%d] = {", real, weights->list_length);
    for (int i = 0; i < weights->list_length; i += LINE) {
        const char *line = "";
        for (int k = i; k < weights->list_length && k < i + LINE; k++)
            line = text_printf(e, "%s%s%s,", line, k > i ? " " : "", text_real(e, weights->list[k]));
        cw_line(e->w, "%s", line);
    }
    cw_close(e->w, "};");
    if (n->in[1]->element != ELEMENT_I32) {     /* shares of classes that are mixed */
        cw_line(e->w, "%s weight = 0;", real);
        cw_open(e->w, "for (int k = 0; k < %d; k++)", weights->list_length);
        cw_line(e->w, "weight += class_weights[k] * target[k];");
        cw_close(e->w, "");
        return "weight";
    }
    cw_line(e->w, "const %s weight = %s >= 0 && %s < %d ? class_weights[%s] : 0;", real, label, label,
            weights->list_length, label);
    return "weight";
}
