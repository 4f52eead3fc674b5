/* softmax_loss.c - categorical cross-entropy of a softmax, on the logits: loss = log(sum(exp(z))) - sum(y z), its
 * gradient (p - y) / n.  y is one-hot, or with `smoothing` s of K classes (1 - s) onehot + s / K: then the loss is the
 * same of (1 - s) z[label] + s mean(z).  Where training mixes samples, targets are a share for each class, and these
 * take the place of onehot.  No layer: the loss puts it in the place of the network's last softmax. */
#include "ops/losses.h"
#include "ops/op_support.h"

static void crossentropy_lower(struct graph *g, struct layer *last, const struct clause *loss, struct tensor *y)
{
    g->logits = y;
    loss_tensors(g, y->shape);
    loss_weigh(g, graph_node(g, OP_softmax_loss, last, "softmax_loss", (struct tensor *[]){ y, g->target }, 2,
                             (struct tensor *[]){ g->predictions, g->loss }, 2))
        ->attr.smoothing = clause_number(loss, "label_smoothing");
}

const struct loss_def loss_categorical_crossentropy = {
    .targets = TARGETS(CNN_TARGET_CLASS), .ends = {[CNN_TARGET_CLASS] = {"softmax"}}, .needs = "probabilities",
    .on_logits = true,
    .metric = "accuracy", .lower = crossentropy_lower,
};

static void softmax_loss_gradient(struct graph *g, struct node *n)
{
    struct tensor *logits = n->in[0], *dlogits;

    if (!logits->needs_gradient)
        return;
    dlogits = grad_tensor(g, logits);
    backward_node(g, n, OP_softmax_loss_grad, "grad", (struct tensor *[]){ n->out[0], n->in[1] }, 2,
                  &dlogits, 1);
    grad_add(g, logits, dlogits);
}

static const char *target_fits(const struct tensor *x, const struct tensor *target)
{
    CHECK(target->element == ELEMENT_I32 || shapes_equal(x, target), "it has not a target for each of its outputs");
    return NULL;
}

static const char *softmax_loss_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 2, 2, 0), "wrong number of inputs or outputs");
    CHECK(n->in[0] == g->logits && n->in[1] == g->target,
          "it does not read the graph's logits and labels");
    CHECK(n->out[0] == g->predictions && n->out[1] == g->loss, "its results are not the graph's");
    CHECK(n->in[0]->shape.flat && !n->in[0]->order.c,
          "its logits are no vector in the user's order");
    CHECK(shapes_equal(n->in[0], n->out[0]), "its predictions have another shape than its logits");
    CHECK(n->out[1]->role == TENSOR_LOSS, "its loss is none");
    return target_fits(n->in[0], n->in[1]);
}

static const char *softmax_loss_grad_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(n->in[0] == g->predictions && n->in[1] == g->target,
          "it does not read the graph's predictions and labels");
    CHECK(shapes_equal(n->in[0], n->out[0]), "its result has another shape than the predictions");
    return target_fits(n->in[0], n->in[1]);
}

static int64_t softmax_loss_flops(const struct node *n)
{
    return 12 * shape_elements(n->in[0]->shape) + 10;
}

static int64_t softmax_loss_grad_flops(const struct node *n)
{
    return 2 * shape_elements(n->out[0]->shape);
}

/* What the target of sample s says of a class. */
static double run_smoothed(const struct run *r, const struct node *n, int s, int k)
{
    const double *target = run_values(r, n->in[1]);
    int classes = n->in[0]->shape.c;
    double y = n->in[1]->element == ELEMENT_I32 ? k == target[s] : target[(int64_t)s * classes + k];

    return (1 - n->attr.smoothing) * y + n->attr.smoothing / classes;
}

static void softmax_loss_run(const struct run *r, const struct node *n)
{
    const double *x = run_values(r, n->in[0]);
    int classes = n->in[0]->shape.c;

    for (int s = 0; s < r->batch; s++, x += classes) {
        double sum = run_softmax(x, classes, run_values(r, n->out[0]) + (int64_t)s * classes), loss = 0;
        for (int k = 0; k < classes; k++)
            loss += run_smoothed(r, n, s, k) * (sum - x[k]);
        run_values(r, n->out[1])[s] = loss_run_weight(r, n, s) * loss;
    }
}

static void softmax_loss_grad_run(const struct run *r, const struct node *n)
{
    const double *p = run_values(r, n->in[0]);
    int classes = n->in[0]->shape.c;

    for (int s = 0; s < r->batch; s++)
        for (int k = 0; k < classes; k++) {
            int64_t i = (int64_t)s * classes + k;
            run_values(r, n->out[0])[i] = loss_run_weight(r, n, s) * (p[i] - run_smoothed(r, n, s, k)) / r->batch;
        }
}

const struct op_def op_def_softmax_loss = {
    .op = OP_softmax_loss, .verify = softmax_loss_verify, .gradient = softmax_loss_gradient,
    .flops = softmax_loss_flops, .run = softmax_loss_run,
};
const struct op_def op_def_softmax_loss_grad = {
    .op = OP_softmax_loss_grad, .verify = softmax_loss_grad_verify, .flops = softmax_loss_grad_flops,
    .run = softmax_loss_grad_run,
};
