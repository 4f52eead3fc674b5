/* portable_pooling.c - pooling in plain loops, channels innermost. */
#include <inttypes.h>

#include "kernels/portable.h"

static const char *const inputs[] = { "x", NULL };

static void each_channel(const struct portable *f, const char *line)
{
    portable_each(f, "c", f->out.c, line);
}

/* The chain applied to `value`, what the result is made of; NULL: y[c] is it already. */
static void write_finish(const struct portable *f, const char *value)
{
    const char *chained = portable_chain(f, 0, value ? value : "y[c]", "c", "c");

    if (chained || value)
        each_channel(f, text_printf(f->e, "y[c] = %s;", chained ? chained : value));
}

static const char *write_pooling(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct window *w = &n->attr.window;
    struct portable f = portable_begin(e, s, inputs);
    bool most = n->op == OP_maxpool2d, counts = !most && portable_reaches_out(&f, w);
    float share = 1.0f / ((float)w->kh * (float)w->kw);

    portable_positions(&f, w, f.in.c, NULL);
    each_channel(&f, most ? "y[c] = -INFINITY;" : "y[c] = 0.0f;");
    if (counts)
        cw_line(e->w, "int count = 0;");
    int taps = portable_taps(&f, w, f.in.c);
    each_channel(&f, most ? "y[c] = at[c] > y[c] ? at[c] : y[c];" : "y[c] += at[c];");
    if (counts)
        cw_line(e->w, "count++;");
    portable_close(&f, taps);
    write_finish(&f, most     ? NULL
                     : counts ? "y[c] / (float)count"
                              : text_printf(e, "y[c] * %s", text_real(e, share)));
    portable_positions_end(&f, w, f.in.c);
    return portable_end(&f, text_printf(e, "%s%dx%d%s", most ? "maxpool" : "avgpool", w->kh, w->kw,
                                    chain_suffix(e, &f.chain)));
}

static const char *write_global(struct emitter *e, const struct step *s)
{
    struct portable f = portable_begin(e, s, inputs);
    int64_t positions = (int64_t)f.in.h * f.in.w;

    each_channel(&f, "y[c] = 0.0f;");
    portable_loop(&f, "i", positions, false);
    each_channel(&f, text_printf(e, "y[c] += x[%s];", portable_inside(&f, "i", "c", f.in.c)));
    cw_close(e->w, "");
    write_finish(&f, text_printf(e, "y[c] * %s", text_real(e, 1.0f / (float)positions)));
    return portable_end(&f, text_printf(e, "mean%s", chain_suffix(e, &f.chain)));
}

static const char *write_greatest(struct emitter *e, const struct step *s)
{
    struct portable f = portable_begin(e, s, inputs);
    int64_t positions = (int64_t)f.in.h * f.in.w;

    each_channel(&f, "y[c] = x[c];");
    if (positions > 1) {
        const char *at = portable_inside(&f, "i", "c", f.in.c);
        cw_open(e->w, "for (int i = 1; i < %" PRId64 "; i++)", positions);
        each_channel(&f, text_printf(e, "y[c] = x[%s] > y[c] ? x[%s] : y[c];", at, at));
        cw_close(e->w, "");
    }
    write_finish(&f, NULL);
    return portable_end(&f, text_printf(e, "greatest%s", chain_suffix(e, &f.chain)));
}

#define POOLING(operation, writer)                                                                   \
    const struct kernel kernel_portable_##operation = {                                              \
        .name = "portable", .op = OP_##operation, .portable = true, .fuses_chain = true,             \
        .applicable = always_applicable, .cost = portable_cost, .plan = portable_plan,               \
        .emit = writer, .help = "plain loops, channels innermost",                                   \
    };

POOLING(maxpool2d, write_pooling)
POOLING(avgpool2d, write_pooling)
POOLING(global_avgpool2d, write_global)
POOLING(global_maxpool2d, write_greatest)
