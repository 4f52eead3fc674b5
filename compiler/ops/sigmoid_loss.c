/* sigmoid_loss.c - binary cross-entropy of sigmoids, on the logits z: the mean over a sample's outputs of
 * log(1 + exp(z)) - y z, its gradient (p - y) / outputs / n.  y is a 1 or 0 for each output (or a number between),
 * with `smoothing` s (1 - s) y + s / 2; where targets are classes a lone output is 1 for the second of two, more are
 * one-hot.  No layer: the loss puts it in the place of the network's last sigmoid. */
#include "ops/losses.h"
#include "ops/op_support.h"

#include <math.h>

static void crossentropy_lower(struct graph *g, struct layer *last, const struct clause *loss, struct tensor *y)
{
    g->logits = y;
    loss_tensors(g, y->shape);
    loss_weigh(g, graph_node(g, OP_sigmoid_loss, last, "sigmoid_loss", (struct tensor *[]){ y, g->target }, 2,
                             (struct tensor *[]){ g->predictions, g->loss }, 2))
        ->attr.smoothing = clause_number(loss, "label_smoothing");
}

const struct loss_def loss_binary_crossentropy = {
    .targets = TARGETS(CNN_TARGET_CLASS) | TARGETS(CNN_TARGET_LABELS) | TARGETS(CNN_TARGET_INPUT),
    .ends = { [CNN_TARGET_CLASS] = { "sigmoid" }, [CNN_TARGET_LABELS] = { "sigmoid" },
              [CNN_TARGET_INPUT] = { "sigmoid" } },
    .needs = "numbers between 0 and 1", .on_logits = true, .shares = true, .metric = "accuracy",
    .lower = crossentropy_lower,
};

static void sigmoid_loss_gradient(struct graph *g, struct node *n)
{
    struct tensor *logits = n->in[0], *dlogits;

    if (!logits->needs_gradient)
        return;
    dlogits = grad_tensor(g, logits);
    backward_node(g, n, OP_sigmoid_loss_grad, "grad", (struct tensor *[]){ n->out[0], n->in[1] }, 2, &dlogits, 1);
    grad_add(g, logits, dlogits);
}

/* x: logits or predictions. */
static const char *ends_fit(const struct graph *g, const struct tensor *x, const struct tensor *target)
{
    CHECK(target == g->target, "it does not read the graph's targets");
    CHECK(x->shape.flat && !x->order.c, "its logits are no vector in the user's order");
    CHECK(target->element == ELEMENT_I32 || shapes_equal(x, target), "its logits have another shape than its targets");
    return NULL;
}

static const char *sigmoid_loss_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 2, 2, 0), "wrong number of inputs or outputs");
    CHECK(n->in[0] == g->logits, "it does not read the graph's logits");
    CHECK(n->out[0] == g->predictions && n->out[1] == g->loss, "its results are not the graph's");
    CHECK(shapes_equal(n->in[0], n->out[0]), "its predictions have another shape than its logits");
    CHECK(n->out[1]->role == TENSOR_LOSS, "its loss is none");
    return ends_fit(g, n->in[0], n->in[1]);
}

static const char *sigmoid_loss_grad_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(n->in[0] == g->predictions, "it does not read the graph's predictions");
    CHECK(shapes_equal(n->in[0], n->out[0]), "its result has another shape than the predictions");
    return ends_fit(g, n->in[0], n->in[1]);
}

static int64_t sigmoid_loss_flops(const struct node *n)
{
    return 30 * shape_elements(n->in[0]->shape);
}

static int64_t sigmoid_loss_grad_flops(const struct node *n)
{
    return 2 * shape_elements(n->out[0]->shape);
}

/* The target of output k of sample s. */
static double run_smoothed(const struct run *r, const struct node *n, int s, int k)
{
    const double *target = run_values(r, n->in[1]);
    int outputs = n->in[0]->shape.c;
    double y = n->in[1]->element != ELEMENT_I32 ? target[(int64_t)s * outputs + k] : run_one_hot(target[s], k, outputs);

    return (1 - n->attr.smoothing) * y + n->attr.smoothing / 2;
}

static void sigmoid_loss_run(const struct run *r, const struct node *n)
{
    int outputs = n->in[0]->shape.c;

    for (int s = 0; s < r->batch; s++) {
        const double *z = run_values(r, n->in[0]) + (int64_t)s * outputs;
        double loss = 0;
        for (int k = 0; k < outputs; k++) {
            run_values(r, n->out[0])[(int64_t)s * outputs + k] = 1 / (1 + exp(-z[k]));
            loss += fmax(z[k], 0) - run_smoothed(r, n, s, k) * z[k] + log1p(exp(-fabs(z[k])));
        }
        run_values(r, n->out[1])[s] = loss_run_weight(r, n, s) * loss / outputs;
    }
}

static void sigmoid_loss_grad_run(const struct run *r, const struct node *n)
{
    const double *p = run_values(r, n->in[0]);
    int outputs = n->in[0]->shape.c;

    for (int s = 0; s < r->batch; s++)
        for (int k = 0; k < outputs; k++) {
            int64_t i = (int64_t)s * outputs + k;
            run_values(r, n->out[0])[i] = loss_run_weight(r, n, s) * (p[i] - run_smoothed(r, n, s,
                    k)) / outputs / r->batch;
        }
}

const struct op_def op_def_sigmoid_loss = {
    .op = OP_sigmoid_loss, .verify = sigmoid_loss_verify, .gradient = sigmoid_loss_gradient,
    .flops = sigmoid_loss_flops, .run = sigmoid_loss_run,
};
const struct op_def op_def_sigmoid_loss_grad = {
    .op = OP_sigmoid_loss_grad, .verify = sigmoid_loss_grad_verify, .flops = sigmoid_loss_grad_flops,
    .run = sigmoid_loss_grad_run,
};
