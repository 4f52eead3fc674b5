/* portable_elements.c - element by element in plain loops: activations, sums, a scale and shift that no product could
 * take, softmax, and maps turned from channels innermost to channels outermost or back. */
#include <inttypes.h>

#include "kernels/portable.h"

static const char *const inputs[] = { "x", NULL };

/* The loops around one element; *element: its index.  Where nothing is by channel there is one loop. */
static int open_elements(const struct portable *f, const char **element)
{
    int64_t positions = (int64_t)f->in.h * f->in.w;
    bool columns = chain_has_columns(&f->chain);

    *element = columns ? "c" : "i";
    if (!columns || positions == 1) {
        portable_loop(f, *element, shape_elements(f->in), false);
        return 1;
    }
    *element = portable_inside(f, "i", "c", f->in.c);
    portable_loop(f, "i", positions, false);
    portable_loop(f, "c", f->in.c, false);
    return 2;
}

static const char *write_elements(struct emitter *e, const struct step *s)
{
    struct portable f = portable_begin(e, s, inputs);
    const char *element, *x;
    int loops = open_elements(&f, &element);

    x = text_printf(e, "x[%s]", element);
    const char *value = portable_chain(&f, 0, x, "c", element);
    cw_line(e->w, "y[%s] = %s;", element, value ? value : x);
    for (int i = 0; i < loops; i++)
        cw_close(e->w, "");
    return portable_end(&f, chain_operations(&f.chain) ? chain_suffix(e, &f.chain) + 1 : "copy");
}

static const char *write_softmax(struct emitter *e, const struct step *s)
{
    struct portable f = portable_begin(e, s, inputs);
    int64_t positions = (int64_t)f.in.h * f.in.w;
    int c = f.in.c;

    cw_line(e->w, "// the largest is taken off first, so that nothing overflows");
    if (positions > 1)
        cw_open(e->w, "for (int i = 0; i < %" PRId64 "; i++, x += %d, y += %d) {", positions, c, c);
    cw_line(e->w, "float most = x[0], sum = 0.0f;");
    cw_open(e->w, "for (int c = 1; c < %d; c++)", c);
    cw_line(e->w, "most = x[c] > most ? x[c] : most;");
    cw_close(e->w, "");
    portable_loop(&f, "c", c, true);
    cw_line(e->w, "y[c] = expf(x[c] - most);");
    cw_line(e->w, "sum += y[c];");
    cw_close(e->w, "}");
    portable_each(&f, "c", c, "y[c] /= sum;");
    portable_close(&f, positions > 1);
    return portable_end(&f, "softmax");
}

/* A map, or the vector that it has become. */
static const char *write_turn(struct emitter *e, const struct step *s)
{
    const struct tensor *x = s->group->main->in[0], *y = s->group->main->out[0];
    struct portable f = portable_begin(e, s, inputs);
    struct map_order order = x->order.c ? x->order : y->order;
    bool to_planes = x->shape.flat ? x->order.c != 0 : y->planes;
    int64_t channels = x->shape.flat ? order.c : x->shape.c, positions = shape_elements(x->shape) / channels;
    const char *rows = portable_inside(&f, "i", "c", channels), *planes = portable_inside(&f, "c", "i", positions);

    portable_loop(&f, "i", positions, false);
    portable_loop(&f, "c", channels, false);
    cw_line(e->w, "y[%s] = x[%s];", to_planes ? planes : rows, to_planes ? rows : planes);
    cw_close(e->w, "");
    cw_close(e->w, "");
    return portable_end(&f, to_planes ? "to_planes" : "to_rows");
}

/* An element is read before it is written, and an operand of one number a channel has another size. */
static bool may_overwrite(const struct plan *p, const struct group *g, const struct tensor *t)
{
    (void)p;
    (void)t;
    return g->main->op != OP_reorder;
}

#define ELEMENTS(operation, writer, chains)                                                          \
    const struct kernel kernel_portable_##operation = {                                              \
        .name = "portable", .op = OP_##operation, .portable = true, .fuses_chain = chains,           \
        .applicable = always_applicable, .cost = portable_cost, .plan = portable_plan,               \
        .overwrites = may_overwrite, .emit = writer, .help = "plain loops",                                                       \
    };

ELEMENTS(bias, write_elements, true)
ELEMENTS(activation, write_elements, true)
ELEMENTS(add, write_elements, true)
ELEMENTS(multiply, write_elements, true)
ELEMENTS(scale, write_elements, true)
ELEMENTS(factor, write_elements, true)
ELEMENTS(norm, write_elements, true)
ELEMENTS(prelu, write_elements, true)
ELEMENTS(copy, write_elements, true)
ELEMENTS(softmax, write_softmax, false)
ELEMENTS(reorder, write_turn, false)
