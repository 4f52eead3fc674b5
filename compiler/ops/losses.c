/* losses.c - see losses.h. */
#include "ops/losses.h"

#include <assert.h>
#include <string.h>

#include "ops/op_support.h"

#define LOSS(name) extern const struct loss_def loss_##name;
#include "model/losses.def"
#undef LOSS

#ifdef CNN_TEST_ROWS            /* tests/behave/rows.sh */
#include "rows_losses.h"
#endif

static const struct {
    const char *name;
    const struct loss_def *def;
} rows[] = {
#define LOSS(name) {#name, &loss_##name},
#include "model/losses.def"
#undef LOSS
};

const struct loss_def *loss_def_of(const struct clause *loss)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, loss->def->name))
            return rows[i].def;
    return NULL;
}

const struct clause *layer_activation(const struct layer *l)
{
    if (l->def->is_activation)
        return l->clause;
    for (int i = 0; i < clause_def_count(l->clause->def); i++)
        if (l->clause->def->args[i].type == ARG_ACTIVATION)
            return l->clause->args[i].call;
    return NULL;
}

bool activation_is_left(const struct model *m)
{
    return m->loss ? loss_def_of(m->loss)->on_logits : m->ends_in_softmax;
}

void loss_tensors(struct graph *g, struct shape predictions)
{
    g->predictions = graph_tensor(g, TENSOR_ACTIVATION, predictions, "predictions");
    g->loss = graph_tensor(g, TENSOR_LOSS, (struct shape){1, 1, 1, true}, "loss");
}

static void formula_lower(struct graph *g, struct layer *last, const struct clause *loss, struct tensor *y)
{
    g->predictions = y;
    g->loss = graph_tensor(g, TENSOR_LOSS, (struct shape){1, 1, 1, true}, "loss");
    graph_node(g, OP_formula_loss, last, loss->def->name, (struct tensor *[]){y, g->target}, 2, &g->loss, 1)
        ->attr.loss = loss;
}

void loss_lower(struct graph *g, struct layer *last, struct tensor *y)
{
    const struct clause *loss = g->model->loss;
    const struct loss_def *def = loss_def_of(loss);

    if (def->lower)
        def->lower(g, last, loss, y);
    else
        formula_lower(g, last, loss, y);
}

struct loss_expr loss_expr(struct arena *a, const struct clause *loss)
{
    struct loss_expr e = {.pool = expr_pool_new(a)};
    int args = clause_def_count(loss->def);
    struct expr_name *names = arena_array(a, (size_t)args + LOSS_INPUTS + 1, sizeof *names);
    const struct expr *p = expr_input(e.pool, LOSS_P, "p", true);
    const char *wrong = NULL;

    names[0] = (struct expr_name){"y", expr_input(e.pool, LOSS_Y, "y", true)};
    names[1] = (struct expr_name){"p", p};
    for (int i = 0; i < args; i++)
        names[LOSS_INPUTS + i] = (struct expr_name){loss->def->args[i].name,
                                                    expr_number(e.pool, loss->args[i].number)};
    e.value = expr_parse(e.pool, loss_def_of(loss)->formula, names, &wrong);
    assert(e.value);
    e.text = expr_text(a, e.value);
    expr_simplify(e.pool, &e.value, 1);
    e.gradient = expr_gradient(e.pool, e.value, p);
    return e;
}
