/* losses.c - see losses.h. */
#include "ops/losses.h"

#include <assert.h>
#include <string.h>

#include "ops/op_support.h"

#define LOSS(name) extern const struct loss_def loss_##name;
#include "model/losses.def"
#undef LOSS

/* Of numbers; of classes and labels where predictions are probabilities. */
#define DISTANCE                                                                                     \
    .targets = TARGETS(CNN_TARGET_CLASS) | TARGETS(CNN_TARGET_VECTOR) | TARGETS(CNN_TARGET_LABELS) | \
               TARGETS(CNN_TARGET_INPUT),                                                            \
    .ends = {[CNN_TARGET_CLASS] = {"softmax", "sigmoid"}, [CNN_TARGET_LABELS] = {"sigmoid"}},        \
    .needs = "probabilities"

const struct loss_def loss_mse = {DISTANCE, .metric = "mae", .formula = "mean((p - y)^2)"};
const struct loss_def loss_mae = {DISTANCE, .metric = "rmse", .formula = "mean(abs(p - y))"};
const struct loss_def loss_huber = {
    DISTANCE, .metric = "mae",
    .formula = "mean(if abs(p - y) <= delta then 0.5 * (p - y)^2 else delta * (abs(p - y) - 0.5 * delta))",
};

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

struct node *loss_weigh(struct graph *g, struct node *loss)
{
    loss->attr.class_weights = g->training ? g->model->class_weights : NULL;
    return loss;
}

double loss_run_weight(const struct run *r, const struct node *n, int s)
{
    return n->attr.class_weights ? n->attr.class_weights->args[0].list[(int)run_values(r, n->in[1])[s]] : 1;
}

double run_one_hot(double label, int k, int outputs)
{
    return outputs == 1 ? label : k == label;
}

static void formula_lower(struct graph *g, struct layer *last, const struct clause *loss, struct tensor *y)
{
    g->predictions = y;
    g->loss = graph_tensor(g, TENSOR_LOSS, (struct shape){1, 1, 1, true}, "loss");
    loss_weigh(g, graph_node(g, OP_formula_loss, last, loss->def->name, (struct tensor *[]){y, g->target}, 2, &g->loss, 1))
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
