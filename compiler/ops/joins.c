/* joins.c - see joins.h. */
#include "ops/joins.h"

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

bool join_refuse(const struct layer *l, struct diag *d, const char *what)
{
    diag_error(d, DIAG_shape_mismatch, l->clause->where, "the branches of '%s' give shapes that cannot be %s",
               l->clause->def->name, what);
    for (int i = 0; i < l->inputs_count; i++)
        diag_note(d, l->inputs[i]->where, "branch %d gives %s", i + 1, shape_text(l->inputs[i]->out).text);
    return false;
}

/* Whether s is larger in kind: a map over a vector, a map of more than one position over others. */
static bool is_wider(struct shape s, struct shape than)
{
    int64_t a = (int64_t)s.h * s.w, b = (int64_t)than.h * than.w;

    return a != b ? a > b : !s.flat && than.flat;
}

/* The shape that the others are spread over. */
static struct shape widest_input(const struct layer *l)
{
    struct shape widest = l->inputs[0]->out;

    for (int i = 1; i < l->inputs_count; i++)
        if (is_wider(l->inputs[i]->out, widest))
            widest = l->inputs[i]->out;
    return widest;
}

bool spread_shape(struct layer *l, struct diag *d, const char *what)
{
    struct shape widest = widest_input(l);
    bool fits = true;

    layer_in(l);
    for (int i = 0; i < l->inputs_count; i++) {
        struct shape s = l->inputs[i]->out;
        bool spread = s.h == 1 && s.w == 1;
        fits &= s.c == widest.c && (spread || (s.h == widest.h && s.w == widest.w));
    }
    l->out = widest;
    return fits || join_refuse(l, d, what);
}

/* ---- lowering ---------------------------------------------------------------------------------------------------- */

struct tensor *join_reorder(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                            struct map_order order)
{
    return x->shape.flat ? lower_reorder(g, l, arena_printf(g->arena, "%s_reorder", name), x, order) : x;
}

/* A branch's result as it can be joined: shaped as the whole, or one number a channel in the user's order. */
static struct tensor *spread_operand(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                                     struct map_order order)
{
    x = join_reorder(g, l, name, x, order);
    if (x->shape.flat && !l->out.flat && l->out.h == 1 && l->out.w == 1)
        x = lower_view(g, l, arena_printf(g->arena, "%s_view", name), x, l->out);
    return x;
}

static struct tensor *join_two(struct graph *g, struct layer *l, enum op op, const char *name, struct tensor *a,
                               struct tensor *b)
{
    struct tensor *y = result_tensor(g, name, a->shape, a->order);

    graph_node(g, op, l, name, (struct tensor *[]){ a, b }, 2, &y, 1);
    return y;
}

struct tensor *lower_spread(struct graph *g, struct layer *l, enum op op, struct tensor *const *x)
{
    const char *name = layer_node_name(g, l);
    struct map_order order = l->out.flat ? x[0]->order : (struct map_order){ 0, 0, 0 };
    struct tensor **operands = arena_array(g->arena, (size_t)l->inputs_count, sizeof *operands);
    struct tensor *y = NULL;

    for (int i = 0; i < l->inputs_count; i++)
        operands[i] = spread_operand(g, l, name, x[i], order);
    for (int spread = 0; spread <= 1; spread++)
        for (int i = 0; i < l->inputs_count; i++) {
            bool apart = operands[i]->shape.h != l->out.h || operands[i]->shape.w != l->out.w;
            if (apart == spread)
                y = y ? join_two(g, l, op, name, y, operands[i]) : operands[i];
        }
    return y;
}

/* ---- verification ------------------------------------------------------------------------------------------------ */

bool is_spread(const struct tensor *b, const struct tensor *a)
{
    return b->shape.h != a->shape.h || b->shape.w != a->shape.w;
}

const char *spread_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    const struct tensor *a = n->in[0], *b = n->in[1];
    CHECK(shapes_equal(a, n->out[0]), "its result has another shape or order than its first input");
    if (is_spread(b, a))
        CHECK(b->shape.c == a->shape.c && b->shape.h == 1 && b->shape.w == 1 && !b->order.c,
              "its second input cannot be spread over its first");
    else
        CHECK(shapes_equal(a, b), "its inputs have different shapes or orders");
    return NULL;
}

const char *spread_grad_fits(const struct tensor *dy, const struct tensor *db)
{
    CHECK(!dy->shape.flat && db->shape.c == dy->shape.c && db->shape.h == 1 && db->shape.w == 1 && !db->order.c,
          "its result is not one number for each channel of its input");
    return NULL;
}
