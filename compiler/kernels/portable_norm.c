/* portable_norm.c - normalisation in plain loops: the moments of a sample's groups of channels (what is done with them
 * is element by element), each pixel over its channels, and over a few neighbouring ones.  Sums over a map are made
 * position by position. */
#include <inttypes.h>

#include "kernels/portable.h"

static void plan_all(struct plan *p, struct program *q, struct group *g)
{
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "forward", group_flops(p, g));
    const struct node *n = g->main;

    for (int i = 0; i < n->in_count; i++)
        if (n->in[i])
            step_takes(p, s, ACCESS_READ, n->in[i]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    for (int i = 1; i < n->out_count; i++)
        step_takes(p, s, ACCESS_WRITE, n->out[i]);
    step_takes_chain(p, s);
}

/* "sum" becomes the mean of `term` over a group. */
static void lines_mean(const struct portable *f, int channels, const char *sum, const char *term)
{
    struct emitter *e = f->e;
    int64_t positions = (int64_t)f->in.h * f->in.w;

    cw_line(e->w, "float %s = 0.0f;", sum);
    if (positions > 1) {
        portable_loop(f, "i", positions, true);
        cw_line(e->w, "float part = 0.0f;");
    }
    cw_line(e->w, "const float *at = x + %s;", positions > 1 ? text_printf(e, "i * %d + first", f->in.c) : "first");
    portable_each(f, "c", channels, text_printf(e, "%s += %s;", positions > 1 ? "part" : sum, term));
    if (positions > 1) {
        cw_line(e->w, "%s += part;", sum);
        cw_close(e->w, "}");
    }
    cw_line(e->w, "%s /= %" PRId64 ";", sum, positions * channels);
}

static const char *write_moments(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    struct portable f = { .e = e, .group = s->group, .in = n->in[0]->shape, .out = n->in[0]->shape };
    int channels = f.in.c / n->attr.groups;

    chain_make(e->plan, s->group, &f.chain);
    emit_function(e, "const float *restrict x, float *restrict mean, float *restrict inverse_deviation");
    portable_loop(&f, "g", n->attr.groups, true);
    cw_line(e->w, "const int first = %s;", portable_times(&f, "g", channels));
    cw_open(e->w, "{");
    lines_mean(&f, channels, "center", "at[c]");
    portable_each(&f, "c", channels, "mean[first + c] = center;");
    cw_close(e->w, "}");
    cw_open(e->w, "{");
    lines_mean(&f, channels, "variance", "(at[c] - mean[first]) * (at[c] - mean[first])");
    portable_each(&f, "c", channels,
                  text_printf(e, "inverse_deviation[first + c] = 1.0f / sqrtf(variance + %s);",
                              text_real(e, n->attr.epsilon)));
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    return portable_end(&f, text_printf(e, "norm_moments_by_%d", n->attr.groups));
}

static const char *write_layernorm(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const char *inputs[4] = { "x" };
    int count = 1, c = n->in[0]->shape.c;
    int64_t positions = tensor_pixels(n->in[0]);

    if (n->in[1])
        inputs[count++] = "gamma";
    if (n->in[2])
        inputs[count++] = "beta";
    struct portable f = portable_begin(e, s, inputs);
    if (positions > 1) {
        portable_loop(&f, "i", positions, true);
        cw_line(e->w, "const float *at = x + i * %d;", c);
    } else {
        cw_line(e->w, "const float *at = x;");
    }
    cw_line(e->w, "float mean = 0.0f, variance = 0.0f;");
    portable_each(&f, "c", c, "mean += at[c];");
    cw_line(e->w, "mean /= %d;", c);
    portable_each(&f, "c", c, "variance += (at[c] - mean) * (at[c] - mean);");
    cw_line(e->w, "const float inverse = 1.0f / sqrtf(variance / %d + %s);", c, text_real(e, n->attr.epsilon));
    const char *element = positions > 1 ? portable_inside(&f, "i", "c", c) : "c";
    const char *value = text_printf(e, "(at[c] - mean) * inverse%s%s", n->in[1] ? " * gamma[c]" : "",
                                    n->in[2] ? " + beta[c]" : "");
    const char *chained = portable_chain(&f, 0, "value", "c", element);
    portable_loop(&f, "c", c, true);
    cw_line(e->w, "const float value = %s;", value);
    cw_line(e->w, "y[%s] = %s;", element, chained ? chained : "value");
    cw_close(e->w, "}");
    portable_close(&f, positions > 1);
    return portable_end(&f, text_printf(e, "layernorm%s", chain_suffix(e, &f.chain)));
}

/* Divided by a power of the squares of the channels around. */
static const char *write_lrn(struct emitter *e, const struct step *s)
{
    static const char *const inputs[] = { "x", NULL };
    const struct node *n = s->group->main;
    struct portable f = portable_begin(e, s, inputs);
    int c = f.in.c, below = n->attr.size / 2, above = (n->attr.size - 1) / 2;
    int64_t positions = (int64_t)f.in.h * f.in.w;
    const char *element = positions > 1 ? portable_inside(&f, "i", "c", c) : "c";

    if (positions > 1) {
        portable_loop(&f, "i", positions, true);
        cw_line(e->w, "const float *at = x + i * %d;", c);
    } else {
        cw_line(e->w, "const float *at = x;");
    }
    portable_loop(&f, "c", c, true);
    cw_line(e->w, "const int from = c > %d ? c - %d : 0, to = c < %d ? c + %d : %d;", below, below, c - above, above,
            c - 1);
    cw_line(e->w, "float sum = 0.0f;");
    cw_open(e->w, "for (int k = from; k <= to; k++)");
    cw_line(e->w, "sum += at[k] * at[k];");
    cw_close(e->w, "");
    cw_line(e->w, "const float value = at[c] * powf(%s + %s * sum, %s);", text_real(e, n->attr.offset),
            text_real(e, n->attr.factor), text_real(e, -n->attr.power));
    const char *chained = portable_chain(&f, 0, "value", "c", element);
    cw_line(e->w, "y[%s] = %s;", element, chained ? chained : "value");
    portable_close(&f, 1 + (positions > 1));
    return portable_end(&f, text_printf(e, "lrn_%d%s", n->attr.size, chain_suffix(e, &f.chain)));
}

const struct kernel kernel_portable_lrn = {
    .name = "portable", .op = OP_lrn, .portable = true, .fuses_chain = true, .applicable = always_applicable,
    .cost = portable_cost, .plan = portable_plan, .emit = write_lrn, .help = "plain loops",
};

const struct kernel kernel_portable_norm_moments = {
    .name = "portable", .op = OP_norm_moments, .portable = true, .applicable = always_applicable, .cost = portable_cost,
    .plan = plan_all, .emit = write_moments, .help = "plain loops",
};

const struct kernel kernel_portable_layernorm = {
    .name = "portable", .op = OP_layernorm, .portable = true, .fuses_chain = true, .applicable = always_applicable,
    .cost = portable_cost, .plan = plan_all, .emit = write_layernorm, .help = "plain loops",
};
