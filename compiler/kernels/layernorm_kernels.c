/* layernorm_kernels.c - each pixel normalised over its channels, and the gradient: a pixel is read from memory once and
 * then from the nearest cache, as often as its sums need it.
 *
 * Sums over channels are made in a few accumulators, so that a vector does not wait for the one before; which number
 * goes into which is fixed.  The sums over pixels that the gradients of gamma and beta need are made row by row, so
 * that rounding grows with h + w, not h w. */
#include <inttypes.h>

#include "kernels/loops.h"

/* ---- sums over the channels of a pixel --------------------------------------------------------------------------- */

enum { SUMS_MOST = 2, CHAINS = 4 };

struct channel_sums {
    const char *names[SUMS_MOST];
    int sums;
    /* Adds the vector at offset `at` to the accumulators sum[0 .. sums-1]. */
    void (*add)(struct emitter *e, const void *data, const char *const *sum, const char *at, int tail);
    const void *data;
};

static void add_vector(struct emitter *e, const struct channel_sums *s, const char *at, int chain, int tail)
{
    const char *sum[SUMS_MOST];
    for (int i = 0; i < s->sums; i++)
        sum[i] = text_printf(e, "%s%d", s->names[i], chain);
    cw_open(e->w, "{");
    s->add(e, s->data, sum, at, tail);
    cw_close(e->w, "}");
}

/* Writes the sums; "NAME" is then a number. */
static void emit_channel_sums(struct emitter *e, int channels, const struct channel_sums *s)
{
    int lanes = e->plan->lanes, vectors = (channels + lanes - 1) / lanes, tail = channels % lanes;
    int chains = CHAINS / s->sums < vectors ? CHAINS / s->sums : vectors;
    int whole = channels / lanes, turns = whole / chains, done = 0;
    for (int i = 0; i < s->sums; i++) {
        const char *line = "v";
        for (int k = 0; k < chains; k++)
            line = text_printf(e, "%s%s %s%d = v_zero()", line, k ? "," : "", s->names[i], k);
        cw_line(e->w, "%s;", line);
    }
    if (turns > 1) {
        loop_open(e, "j", 0, (int64_t)turns * chains * lanes, chains * lanes);
        for (int k = 0; k < chains; k++)
            add_vector(e, s, text_plus(e, "j", text_printf(e, "%d", k * lanes)), k, 0);
        cw_close(e->w, "}");
        done = turns * chains;
    }
    for (; done < vectors; done++)
        add_vector(e, s, text_printf(e, "%d", done * lanes), done % chains, done < whole ? 0 : tail);
    for (int i = 0; i < s->sums; i++) {
        const char *sum = text_printf(e, "%s0", s->names[i]);
        for (int k = 1; k < chains; k++)
            sum = text_printf(e, "v_add(%s, %s%d)", sum, s->names[i], k);
        cw_line(e->w, "const %s %s = v_sum(%s);", e->plan->real, s->names[i], sum);
    }
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static double forward_cost(const struct plan *p, const struct group *g)
{
    double pixels = (double)tensor_pixels(g->main->in[0]) * p->batch;
    return pass_cycles(p, g->main->in[0], 8 + group_chain_cycles(p, g) / (pixels * g->main->in[0]->shape.c / p->lanes),
                       2) + pixels * p->target->costs->root;
}

static void forward_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;     /* x, gamma, beta -> y, mean, inverse_deviation */
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "forward", group_flops(p, g));
    for (int i = 0; i < 3; i++)
        if (n->in[i])
            step_takes(p, s, ACCESS_READ, n->in[i]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    for (int i = 1; i < n->out_count; i++)
        step_takes(p, s, ACCESS_WRITE, n->out[i]);
    step_takes_chain(p, s);
}

static void mean_add(struct emitter *e, const void *data, const char *const *sum, const char *at, int tail)
{
    (void)data;
    cw_line(e->w, "%s = v_add(%s, %s);", sum[0], sum[0], text_load(e, "xp", at, tail));
}

static void squares_add(struct emitter *e, const void *data, const char *const *sum, const char *at, int tail)
{
    (void)data;
    const char *d = text_printf(e, "v_sub(%s, center)", text_load(e, "xp", at, tail));
    cw_line(e->w, "const v d = %s;", tail ? text_printf(e, "v_select(inside, %s, v_zero())", d) : d);
    cw_line(e->w, "%s = v_fma(d, d, %s);", sum[0], sum[0]);
}

struct layernorm {
    const struct node *node;
    const struct chain *chain;
};

static void forward_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct layernorm *l = data;
    const struct node *n = l->node;
    const char *element = text_plus(e, "first", at);
    const char *value = text_printf(e, "v_mul(v_sub(%s, center), scale)", text_load(e, "xp", at, tail));
    if (n->in[1] && n->in[2])
        value = text_printf(e, "v_fma(%s, %s, %s)", value, text_load(e, "layer_gamma", at, 0),
                            text_load(e, "layer_beta", at, 0));
    else if (n->in[1])
        value = text_printf(e, "v_mul(%s, %s)", value, text_load(e, "layer_gamma", at, 0));
    else if (n->in[2])
        value = text_printf(e, "v_add(%s, %s)", value, text_load(e, "layer_beta", at, 0));
    cw_line(e->w, "const v value = %s;", value);
    line_store(e, "y", element, chain_apply_at(e, l->chain, "value", at, element, tail), tail);
}

static const char *forward_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real, *root = e->plan->real_double ? "sqrt" : "sqrtf", *moments = "";
    int channels = x->shape.c, tail = channels % e->plan->lanes;
    const char *share = text_real(e, 1.0 / channels);
    struct channel_sums mean = { { "sum" }, 1, mean_add, NULL }, squares = { { "squares" }, 1, squares_add, NULL };
    struct chain c;
    chain_make(e->plan, s->group, &c);
    if (n->out_count > 1)
        moments = text_printf(e, ", %s *restrict means, %s *restrict inverse_deviations", real, real);
    emit_function(e, "const %s *x%s%s, %s *restrict y%s%s", real,
                  n->in[1] ? text_printf(e, ", const %s *layer_gamma", real) : "",
                  n->in[2] ? text_printf(e, ", const %s *layer_beta", real) : "", real, moments,
                      chain_parameters(e, &c));
    cw_line(e->w, "// x, y (%d, %d, %d)", x->shape.h, x->shape.w, channels);
    if (tail)
        line_inside(e, e->w, tail);
    loop_open(e, "p", 0, tensor_pixels(x), 1);
    cw_line(e->w, "const int first = p * %d;", channels);
    cw_line(e->w, "const %s *const xp = x + first;", real);
    emit_channel_sums(e, channels, &mean);
    cw_line(e->w, "const v center = v_set(sum * %s);", share);
    emit_channel_sums(e, channels, &squares);
    cw_line(e->w, "const %s inverse = 1 / %s(squares * %s + %s);", real, root, share, text_real(e, n->attr.epsilon));
    if (n->out_count > 1) {
        cw_line(e->w, "means[p] = sum * %s;", share);
        cw_line(e->w, "inverse_deviations[p] = inverse;");
    }
    cw_line(e->w, "const v scale = v_set(inverse);");
    each_vector(e, "j", channels, forward_body, &(struct layernorm){ n, &c });
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "layernorm_%s%s", text_shape(e, x->shape), chain_suffix(e, &c)),
                    emit_comment(e, s));
}

/* ---- gradient ---------------------------------------------------------------------------------------------------- */

/* x, gamma, mean, inverse_deviation, dy -> dx, scale_sums, shift_sums */
static bool reads(const struct node *n, int i)
{
    if (i == 1)
        return n->in[1] && n->out[0];
    return i == 4 || n->out[0] || n->out[1];
}

static double grad_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 16, g->main->out[0] ? 3 : 2);
}

static bool sums_by_row(const struct tensor *x)
{
    return x->shape.h > 1 && x->shape.w > 1;
}

/* Sums of the sample, and of a row of it. */
static int sum_rows(const struct node *n)
{
    return ((n->out[1] != NULL) + (n->out[2] != NULL)) * (sums_by_row(n->in[0]) ? 2 : 1);
}

static void grad_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "data gradient", group_flops(p, g));
    for (int i = 0; i < 5; i++)
        if (reads(n, i))
            step_takes(p, s, ACCESS_READ, n->in[i]);
    if (n->out[0])
        step_takes(p, s, ACCESS_WRITE, g->result);
    for (int i = 1; i <= 2; i++)
        if (n->out[i])
            step_takes(p, s, ACCESS_WRITE, n->out[i]);
    if (sum_rows(n))
        step_scratch(p, s, sum_rows(n) * padded_channels(p, n->in[0]) * p->real_size);
    if (n->out[0])
        step_takes_chain(p, s);
}

static void line_normal(struct emitter *e, const char *at, int tail)
{
    cw_line(e->w, "const v normal = v_mul(v_sub(%s, center), scale);", text_load(e, "xp", at, tail));
}

/* scale_mean and shift_mean of the pixel; and what the pixel adds to the sums by channel. */
static void grad_add(struct emitter *e, const void *data, const char *const *sum, const char *at, int tail)
{
    const struct node *n = data;
    const char *row = sums_by_row(n->in[0]) ? "row_" : "";
    cw_line(e->w, "const v slope = %s;", text_load(e, "dyp", at, tail));
    if (n->out[0] || n->out[1])
        line_normal(e, at, tail);
    if (n->out[0]) {
        cw_line(e->w, "const v g = %s;", n->in[1] ? text_printf(e, "v_mul(slope, %s)", text_load(e, "layer_gamma", at,
                0)) : "slope");
        cw_line(e->w, "%s = v_fma(g, normal, %s);", sum[0], sum[0]);
        cw_line(e->w, "%s = v_add(%s, g);", sum[1], sum[1]);
    }
    for (int i = 1; i <= 2; i++) {
        const char *to = text_printf(e, i == 1 ? "%sscales" : "%sshifts", row), *old = text_load(e, to, at, 0);
        if (n->out[i])
            line_store(e, to, at, text_printf(e, i == 1 ? "v_fma(slope, normal, %s)" : "v_add(%s, slope)", old), 0);
    }
}

static void grad_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct layernorm *l = data;
    const char *element = text_plus(e, "first", at), *dy = text_load(e, "dyp", at, tail);
    line_normal(e, at, tail);
    if (l->node->in[1])
        dy = text_printf(e, "v_mul(%s, %s)", dy, text_load(e, "layer_gamma", at, 0));
    cw_line(e->w, "const v value = v_mul(scale, v_sub(%s, v_fma(normal, along, evenly)));", dy);
    line_store(e, "dx", element, chain_apply_at(e, l->chain, "value", at, element, tail), tail);
}

static void only_sums_body(struct emitter *e, const void *data, const char *at, int tail)
{
    grad_add(e, data, NULL, at, tail);
}

/* A pixel: its part of the sums, then its dx. */
static void grad_pixel(struct emitter *e, const struct layernorm *l)
{
    const struct node *n = l->node;
    const char *real = e->plan->real;
    int channels = n->in[0]->shape.c;
    const char *share = text_real(e, 1.0 / channels);
    cw_line(e->w, "const int first = p * %d;", channels);
    if (n->out[0] || n->out[1]) {
        cw_line(e->w, "const %s *const xp = x + first;", real);
        cw_line(e->w, "const v center = v_set(means[p]), scale = v_set(inverse_deviations[p]);");
    }
    cw_line(e->w, "const %s *const dyp = dy + first;", real);
    if (!n->out[0]) {
        each_vector(e, "j", channels, only_sums_body, n);
        return;
    }
    struct channel_sums sums = { { "scale_sum", "shift_sum" }, 2, grad_add, n };
    emit_channel_sums(e, channels, &sums);
    cw_line(e->w, "const v along = v_set(scale_sum * %s), evenly = v_set(shift_sum * %s);", share, share);
    each_vector(e, "j", channels, grad_body, l);
}

/* One line for each of the sums that are wanted, with its name twice. */
static void each_sum(struct emitter *e, const struct node *n, const char *format)
{
    for (int i = 1; i <= 2; i++)
        if (n->out[i]) {
            const char *name = i == 1 ? "scales" : "shifts";
            cw_line(e->w, format, name, name, name);
        }
}

struct sum_copy {
    const char *from, *to;
};

static void copy_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct sum_copy *s = data;
    line_store(e, s->to, at, text_load(e, s->from, at, 0), tail);
}

static const char *grad_parameters(struct emitter *e, const struct node *n, const struct chain *c)
{
    static const char *const in[] = { "x", "layer_gamma", "means", "inverse_deviations", "dy" };
    static const char *const out[] = { "dx", "scale_sums", "shift_sums" };
    const char *real = e->plan->real, *text = "";
    for (int i = 0; i < 5; i++)
        if (reads(n, i))
            text = text_printf(e, "%s%sconst %s *%s", text, *text ? ", " : "", real, in[i]);
    for (int i = 0; i < 3; i++)
        if (n->out[i])
            text = text_printf(e, "%s, %s *restrict %s", text, real, out[i]);
    if (sum_rows(n))
        text = text_printf(e, "%s, void *scratch", text);
    return n->out[0] ? text_printf(e, "%s%s", text, chain_parameters(e, c)) : text;
}

static void declare_sums(struct emitter *e, const struct node *n)
{
    const char *real = e->plan->real;
    int64_t columns = padded_channels(e->plan, n->in[0]);
    int next = 0;
    for (int row = 0; row <= sums_by_row(n->in[0]); row++)
        for (int i = 1; i <= 2; i++)
            if (n->out[i])
                cw_line(e->w, "%s *const %s%s = (%s *)scratch%s;", real, row ? "row_" : "", i == 1 ? "scales"
                        : "shifts", real, text_offset(e, columns * next++));
    if (next)
        cw_line(e->w, "memset(scratch, 0, sizeof(%s) * %" PRId64 ");", real, columns * next);
}

/* What the row has is added to what the sample has, and begun anew. */
static void row_to_sample(struct emitter *e, const struct node *n)
{
    loop_open(e, "j", 0, padded_channels(e->plan, n->in[0]), e->plan->lanes);
    each_sum(e, n, "v_store(%s + j, v_add(v_load(%s + j), v_load(row_%s + j)));");
    for (int i = 1; i <= 2; i++)
        if (n->out[i])
            cw_line(e->w, "v_store(row_%s + j, v_zero());", i == 1 ? "scales" : "shifts");
    cw_close(e->w, "}");
}

static const char *grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    bool rows = sum_rows(n) && sums_by_row(x);
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct layernorm l = { n, &c };
    emit_function(e, "%s", grad_parameters(e, n, &c));
    cw_line(e->w, "// x, dy (%d, %d, %d)", x->shape.h, x->shape.w, x->shape.c);
    if (sum_rows(n))
        declare_sums(e, n);
    if (rows) {
        loop_open(e, "r", 0, x->shape.h, 1);
        cw_open(e->w, "for (int p = r * %d; p < (r + 1) * %d; p++) {", x->shape.w, x->shape.w);
    } else {
        loop_open(e, "p", 0, tensor_pixels(x), 1);
    }
    grad_pixel(e, &l);
    cw_close(e->w, "}");
    if (rows) {
        row_to_sample(e, n);
        cw_close(e->w, "}");
    }
    for (int i = 1; i <= 2; i++)
        if (n->out[i])
            each_vector(e, "j", x->shape.c, copy_body,
                        &(struct sum_copy){ i == 1 ? "scales" : "shifts", i == 1 ? "scale_sums" : "shift_sums" });
    return emit_end(e, text_printf(e, "layernorm_grad_%s%s", text_shape(e, x->shape), n->out[0] ? chain_suffix(e, &c)
                                   : ""), emit_comment(e, s));
}

const struct kernel kernel_layernorm = {
    .name = "layernorm", .op = OP_layernorm, .fuses_chain = true, .applicable = always_applicable, .cost = forward_cost,
    .plan = forward_plan, .emit = forward_emit, .help = "a pixel at a time, channels in vectors",
};

const struct kernel kernel_layernorm_grad = {
    .name = "layernorm_grad", .op = OP_layernorm_grad, .fuses_chain = true, .applicable = always_applicable,
    .cost = grad_cost, .plan = grad_plan, .emit = grad_emit, .help = "a pixel at a time, channels in vectors",
};
