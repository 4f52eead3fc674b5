/* portable_products.c - convolutions (of filters that all positions share, or that each has for itself, or in groups of
 * channels) and dense layers in plain loops.
 *
 * Weights lie as rows x columns x inputs x outputs, so that the innermost loop, over the outputs, runs over weights and
 * sums that lie one after the other.  Several inputs are taken in one go: each sum is then loaded and stored once for
 * all of them. */
#include <inttypes.h>

#include "kernels/portable.h"

static const char *const plain_inputs[] = { "x", "weights", NULL };
static const char *const biased_inputs[] = { "x", "weights", "biases", NULL };

static int inputs_at_once(int inputs)
{
    return inputs % 4 == 0 ? 4 : inputs % 3 == 0 ? 3 : inputs % 2 == 0 ? 2 : 1;
}

/* The products of inputs from[0], from[apart] ... with the rows of weights that begin at `weights`, added to y. */
static void write_products(const struct portable *f, const char *from, const char *index, int64_t apart,
                           const char *weights)
{
    struct emitter *e = f->e;
    int inputs = f->in.c, outputs = f->out.c, group = inputs_at_once(inputs);
    bool loops = group < inputs;
    const char *values = "", *sum = "";

    cw_line(e->w, "const float *w = %s;", weights);
    if (loops)
        cw_open(e->w, "for (int %s = 0; %s < %d; %s%s, w += %d) {", index, index, inputs, index,
                group > 1 ? text_printf(e, " += %d", group) : "++", group * outputs);
    for (int i = 0; i < group; i++) {
        const char *at = loops ? (i ? text_printf(e, "%s + %d", index, i) : index) : text_printf(e, "%d", i);
        if (apart > 1 && loops && i)
            at = text_printf(e, "(%s)", at);
        if (apart > 1)
            at = loops ? portable_times(f, at, apart) : text_printf(e, "%" PRId64, i * apart);
        values = text_printf(e, "%s%sx%d = %s[%s]", values, i ? ", " : "", i, from, at);
        sum = text_printf(e, "%s%sx%d * w[%s]", sum, i ? " + " : "", i,
                          i ? text_printf(e, "%d + k", i * outputs) : "k");
    }
    /* read first: stores to the sums need not be suspected to change them */
    cw_line(e->w, "const float %s;", values);
    portable_each(f, "k", outputs, text_printf(e, "y[k] += %s;", sum));
    portable_close(f, loops);
}

/* Where the sums of a position start; what is added to them before anything else is there already. */
static void write_start(const struct portable *f, const char *start)
{
    const char *sums = portable_start(f, "k", "k");

    if (!start)
        start = sums;
    else if (portable_sums(f))
        start = text_printf(f->e, "%s + %s", start, sums);
    portable_each(f, "k", f->out.c, text_printf(f->e, "y[k] = %s;", start));
}

static void write_finish(const struct portable *f)
{
    const char *value = portable_chain(f, portable_sums(f), "y[k]", "k", "k");

    if (value)
        portable_each(f, "k", f->out.c, text_printf(f->e, "y[k] = %s;", value));
}

/* Where the weights of a tap begin. */
static const char *tap_weights(const struct portable *f, const struct window *w, bool by_position)
{
    struct emitter *e = f->e;
    const char *column = w->kw == 1 ? NULL : "j", *row = w->kh == 1 ? NULL : "i", *tap = row ? row : column;
    const char *weights = "weights";
    int64_t step = (int64_t)f->in.c * f->out.c;

    if (row && column)
        tap = text_printf(e, "(%s)", portable_inside(f, row, column, w->kw));
    if (by_position)
        weights = text_printf(e, "%s + (%s) * %" PRId64, weights, portable_inside(f, "row", "column", f->out.w),
                              step * w->kh * w->kw);
    return tap ? text_printf(e, "%s + %s", weights, portable_times(f, tap, step)) : weights;
}

static const char *write_filters(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct window *w = &n->attr.window;
    bool by_position = n->op == OP_locally_connected2d, biased = n->in_count > 2, planes = n->in[0]->planes;
    struct portable f = portable_begin(e, s, biased ? biased_inputs : plain_inputs);

    int channels = planes ? 1 : f.in.c;
    portable_positions(&f, w, channels, biased ? "biases" : NULL);
    write_start(&f, biased ? "biases[k]" : NULL);
    int taps = portable_taps(&f, w, channels);
    write_products(&f, "at", "c", planes ? (int64_t)f.in.h * f.in.w : 1, tap_weights(&f, w, by_position));
    portable_close(&f, taps);
    write_finish(&f);
    portable_positions_end(&f, w, channels);
    return portable_end(&f, text_printf(e, "%s%dx%d%s", by_position ? "local" : "conv", w->kh, w->kw,
                                    chain_suffix(e, &f.chain)));
}

/* A transposed convolution: for each position of the result the taps that reach it. */
static const char *write_filters_back(struct emitter *e, const struct step *s)
{
    const struct window *w = &s->group->main->attr.window;
    struct portable f = portable_begin(e, s, plain_inputs);

    portable_positions(&f, NULL, f.in.c, NULL);
    write_start(&f, NULL);
    int taps = portable_taps_back(&f, w);
    write_products(&f, "at", "c", 1, tap_weights(&f, w, false));
    portable_close(&f, taps);
    write_finish(&f);
    portable_positions_end(&f, NULL, f.in.c);
    return portable_end(&f, text_printf(e, "transposed%dx%d%s", w->kh, w->kw, chain_suffix(e, &f.chain)));
}

/* The products of a tap, group by group: each input of a group goes into all of its outputs. */
static void write_groups(const struct portable *f, int inputs, int64_t apart)
{
    struct emitter *e = f->e;
    int groups = f->in.c / inputs, outputs = f->out.c / groups;

    if (outputs == 1 && inputs == 1) {
        portable_each(f, "k", f->out.c, text_printf(e, "y[k] += at[%s] * w[k];", portable_times(f, "k", apart)));
        return;
    }
    portable_loop(f, "g", groups, true);
    if (inputs > 1)
        portable_loop(f, "c", inputs, true);
    const char *channel = inputs > 1 ? portable_inside(f, "g", "c", inputs) : "g";
    if (apart > 1 && inputs > 1)
        channel = text_printf(e, "(%s)", channel);
    cw_line(e->w, "const float value = at[%s];", portable_times(f, channel, apart));
    const char *output = outputs > 1 ? portable_inside(f, "g", "k", outputs) : "g";
    const char *weight = inputs > 1 ? text_printf(e, "%s + %s", portable_times(f, "c", f->out.c), output) : output;
    const char *line = text_printf(e, "y[%s] += value * w[%s];", output, weight);
    if (outputs > 1)
        portable_each(f, "k", outputs, line);
    else
        cw_line(e->w, "%s", line);
    portable_close(f, inputs > 1 ? 2 : 1);
}

/* Weights lie as rows x columns x inputs of a group x outputs. */
static const char *write_grouped(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct window *w = &n->attr.window;
    struct portable f = portable_begin(e, s, plain_inputs);
    int inputs = param_extent(n->in[1]->param, CNN_AXIS_IN), channels = n->in[0]->planes ? 1 : f.in.c;
    const char *row = w->kh == 1 ? NULL : "i", *column = w->kw == 1 ? NULL : "j", *tap = row ? row : column;

    portable_positions(&f, w, channels, NULL);
    write_start(&f, NULL);
    int taps = portable_taps(&f, w, channels);
    if (row && column)
        tap = text_printf(e, "(%s)", portable_inside(&f, row, column, w->kw));
    cw_line(e->w, "const float *w = weights%s%s;", tap ? " + " : "",
            tap ? portable_times(&f, tap, (int64_t)inputs * f.out.c) : "");
    write_groups(&f, inputs, n->in[0]->planes ? (int64_t)f.in.h * f.in.w : 1);
    portable_close(&f, taps);
    write_finish(&f);
    portable_positions_end(&f, w, channels);
    return portable_end(&f, text_printf(e, "%s%dx%d%s", inputs == 1 ? "depthwise" : "grouped", w->kh, w->kw,
                                    chain_suffix(e, &f.chain)));
}

/* As write_groups, where each input has its weights for the outputs of its group. */
static void write_groups_back(const struct portable *f, int outputs)
{
    struct emitter *e = f->e;
    int groups = f->out.c / outputs, inputs = f->in.c / groups;

    if (outputs == 1 && inputs == 1) {
        portable_each(f, "k", f->out.c, "y[k] += at[k] * w[k];");
        return;
    }
    portable_loop(f, "c", f->in.c, true);
    cw_line(e->w, "const float value = at[c];");
    const char *weight = outputs > 1 ? portable_inside(f, "c", "k", outputs) : "c";
    const char *group = inputs > 1 ? text_printf(e, "c / %d", inputs) : "c";
    if (outputs > 1) {
        const char *first = inputs > 1 ? text_printf(e, "(%s)", group) : group;
        portable_each(f, "k", outputs, text_printf(e, "y[%s] += value * w[%s];",
                                                   portable_inside(f, first, "k", outputs), weight));
    } else {
        cw_line(e->w, "y[%s] += value * w[%s];", group, weight);
    }
    portable_close(f, 1);
}

/* A transposed convolution in groups.  Weights lie as rows x columns x inputs x outputs of a group. */
static const char *write_grouped_back(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct window *w = &n->attr.window;
    struct portable f = portable_begin(e, s, plain_inputs);
    int outputs = param_extent(n->in[1]->param, CNN_AXIS_IN);
    const char *row = w->kh == 1 ? NULL : "i", *column = w->kw == 1 ? NULL : "j", *tap = row ? row : column;

    portable_positions(&f, NULL, f.in.c, NULL);
    write_start(&f, NULL);
    int taps = portable_taps_back(&f, w);
    if (row && column)
        tap = text_printf(e, "(%s)", portable_inside(&f, row, column, w->kw));
    cw_line(e->w, "const float *w = weights%s%s;", tap ? " + " : "",
            tap ? portable_times(&f, tap, (int64_t)f.in.c * outputs) : "");
    write_groups_back(&f, outputs);
    portable_close(&f, taps);
    write_finish(&f);
    portable_positions_end(&f, NULL, f.in.c);
    return portable_end(&f, text_printf(e, "transposed_groups%dx%d%s", w->kh, w->kw, chain_suffix(e, &f.chain)));
}

static const char *write_dense(struct emitter *e, const struct step *s)
{
    struct portable f = portable_begin(e, s, plain_inputs);

    write_start(&f, NULL);
    write_products(&f, "x", "i", 1, "weights");
    write_finish(&f);
    return portable_end(&f, text_printf(e, "dense%s", chain_suffix(e, &f.chain)));
}

/* What the sums of a position begin with is read there and nowhere else. */
static bool may_overwrite(const struct plan *p, const struct group *g, const struct tensor *t)
{
    struct chain c;

    chain_make(p, g, &c);
    for (int i = 0; i < c.operands_count; i++)
        if (c.operands[i].kind == OPERAND_ELEMENT && c.operands[i].tensor == t)
            return c.operands[i].node < chain_leading_sums(&c) && !portable_reads(g, t);
    return false;
}

#define PRODUCT(operation, writer)                                                                   \
    const struct kernel kernel_portable_##operation = {                                              \
        .name = "portable", .op = OP_##operation, .portable = true, .fuses_chain = true,             \
        .applicable = always_applicable, .cost = portable_cost, .plan = portable_plan,               \
        .overwrites = may_overwrite, .emit = writer, .help = "plain loops, outputs innermost",                                    \
    };

PRODUCT(conv2d, write_filters)
PRODUCT(conv2d_data_grad, write_filters_back)
PRODUCT(grouped_conv2d, write_grouped)
PRODUCT(grouped_conv2d_data_grad, write_grouped_back)
PRODUCT(locally_connected2d, write_filters)
PRODUCT(dense, write_dense)
