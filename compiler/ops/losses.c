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
    static const struct loss_def own = {
        .targets = TARGETS(CNN_TARGET_CLASS) | TARGETS(CNN_TARGET_VECTOR) | TARGETS(CNN_TARGET_LABELS) |
                   TARGETS(CNN_TARGET_INPUT),
        .metric = "accuracy"};

    if (loss->def->function)
        return &own;
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
    const struct clause *weights = n->attr.class_weights;
    int classes = n->in[0]->shape.c;
    double sum = 0;

    if (!weights)
        return 1;
    if (n->in[1]->element == ELEMENT_I32)
        return weights->args[0].list[(int)run_values(r, n->in[1])[s]];
    for (int k = 0; k < classes; k++)           /* classes are mixed */
        sum += weights->args[0].list[k] * run_values(r, n->in[1])[(int64_t)s * classes + k];
    return sum;
}

double run_one_hot(double label, int k, int outputs)
{
    return outputs == 1 ? label : k == label;
}

static void formula_lower(struct graph *g, struct layer *last, const struct clause *loss, struct tensor *y)
{
    g->predictions = y;
    g->loss = graph_tensor(g, TENSOR_LOSS, (struct shape){1, 1, 1, true}, "loss");
    loss_weigh(g, graph_node(g, OP_formula_loss, last, loss->def->name, (struct tensor *[]){y, g->target}, 2, &g->loss,
                             1))
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

/* Whether something of p grows without bound as p comes to 0 or 1, by node. */
static bool is_singular(const struct expr *e, const bool *of_p)
{
    switch (e->op) {
    case EXPR_LOG: case EXPR_LOG1P: case EXPR_SQRT: return of_p[e->args[0]->id];
    case EXPR_DIV: return of_p[e->args[1]->id];
    case EXPR_POW: return of_p[e->args[0]->id] || of_p[e->args[1]->id];
    default: return false;
    }
}

/* Of a simplified value, in which small whole powers are products. */
static bool needs_holding(const struct expr_pool *pool, const struct expr *value, const struct expr *p)
{
    const bool *reached = expr_reached(pool, &value, 1);
    bool *of_p = arena_array(pool->arena, (size_t)value->id + 1, sizeof *of_p);

    for (int i = 0; i <= value->id; i++) {
        const struct expr *e = pool->nodes[i];
        of_p[i] = e == p;
        for (int k = 0; k < expr_op_row(e->op)->arguments; k++)
            of_p[i] = of_p[i] || of_p[e->args[k]->id];
        if (reached[i] && is_singular(e, of_p))
            return true;
    }
    return false;
}

/* The user's function of these inputs. */
static void own_expr(struct loss_expr *l, const struct clause *loss, const struct expr *y, const struct expr *p)
{
    static const double edge = 1e-7;
    const struct user_function *f = loss->def->function;
    const struct expr **inputs = arena_array(l->pool->arena, (size_t)f->params_count, sizeof *inputs);
    const struct expr *held[] = {p, expr_number(l->pool, edge), expr_number(l->pool, 1 - edge)};

    inputs[0] = y;
    inputs[1] = p;
    for (int i = f->arrays; i < f->params_count; i++)
        inputs[i] = expr_number(l->pool, loss->args[i - f->arrays].number);
    l->value = expr_copy(l->pool, f->pool, f->result, inputs);
    l->text = expr_text(l->pool->arena, l->value);
    expr_simplify(l->pool, &l->value, 1);
    if (!loss->holds_predictions || !needs_holding(l->pool, l->value, p))
        return;
    inputs[1] = expr_make(l->pool, EXPR_CLIP, held);
    l->value = expr_copy(l->pool, f->pool, f->result, inputs);
    expr_simplify(l->pool, &l->value, 1);
}

static void row_expr(struct loss_expr *l, const struct clause *loss, const struct expr *y, const struct expr *p)
{
    struct arena *a = l->pool->arena;
    int args = clause_def_count(loss->def);
    struct expr_name *names = arena_array(a, (size_t)args + LOSS_INPUTS + 1, sizeof *names);
    const char *wrong = NULL;

    names[0] = (struct expr_name){"y", y};
    names[1] = (struct expr_name){"p", p};
    for (int i = 0; i < args; i++)
        names[LOSS_INPUTS + i] = (struct expr_name){loss->def->args[i].name,
                                                     expr_number(l->pool, loss->args[i].number)};
    l->value = expr_parse(l->pool, loss_def_of(loss)->formula, names, &wrong);
    assert(l->value);
    l->text = expr_text(a, l->value);
    expr_simplify(l->pool, &l->value, 1);
}

struct loss_expr loss_expr(struct arena *a, const struct clause *loss)
{
    struct loss_expr l = {.pool = expr_pool_new(a)};
    const struct expr *y = expr_input(l.pool, LOSS_Y, "y", true), *p = expr_input(l.pool, LOSS_P, "p", true);

    (loss->def->function ? own_expr : row_expr)(&l, loss, y, p);
    l.gradient = expr_gradient(l.pool, l.value, p);
    return l;
}
