/* compare.c - see compare.h. */
#include "compare_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) void trial_fail(struct trial *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (t->counts->failures++ < 12) {
        vfprintf(t->log, format, args);
        fputc('\n', t->log);
    }
    va_end(args);
}

void *room(int64_t count, size_t size)
{
    void *p = calloc((size_t)(count > 0 ? count : 1), size);
    if (!p)
        abort();
    return p;
}

double largest(const double *value, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(value[i]));
    return most;
}

/* ---- reals of the model's size --------------------------------------------------------------------------------- */

void to_doubles(const struct cnn_model *model, double *to, const void *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = model->real_size == 4 ? (double)((const float *)from)[i] : ((const double *)from)[i];
}

/* In place: the same bytes may hold both. */
static void from_doubles(const struct cnn_model *model, void *to, const double *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (model->real_size == 4)
            ((float *)to)[i] = (float)from[i];
        else
            ((double *)to)[i] = from[i];
}

/* What the model can represent of the values. */
static void round_to_model(const struct cnn_model *model, double *value, int64_t count)
{
    for (int64_t i = 0; i < count && model->real_size == 4; i++)
        value[i] = (double)(float)value[i];
}

/* ---- outcomes -------------------------------------------------------------------------------------------------- */

struct outcome outcome_new(const struct ref_net *net, int n, int classes)
{
    struct outcome o = {.count = FIRST_PARAM_PART + net->params_count};
    o.parts = room(o.count, sizeof *o.parts);
    for (int i = 0; i < o.count; i++) {
        struct part *part = &o.parts[i];
        part->name = i == 0 ? "predictions" : i == 1 ? "loss" : net->params[i - FIRST_PARAM_PART].name;
        part->count = i == 0 ? (int64_t)n * classes : i == 1 ? 1 : net->params[i - FIRST_PARAM_PART].count;
        part->value = room(part->count, sizeof(double));
    }
    return o;
}

void outcome_free(struct outcome *o)
{
    for (int i = 0; i < o->count; i++)
        free(o->parts[i].value);
    free(o->parts);
}

/* Then its value is compared in that one's place. */
static bool has_no_gradient(const struct ref_param *p)
{
    return p->role == REF_STATISTIC || p->fixed;
}

void reference_outcome(const struct ref_net *net, struct outcome *o)
{
    memcpy(o->parts[0].value, net->predictions, (size_t)o->parts[0].count * sizeof(double));
    o->parts[1].value[0] = net->loss;
    for (int i = 0; i < net->params_count; i++) {
        const struct ref_param *p = &net->params[i];
        memcpy(o->parts[FIRST_PARAM_PART + i].value, has_no_gradient(p) ? p->value : p->grad,
               (size_t)p->count * sizeof(double));
    }
}

static void context_outcome(const struct trial *t, struct cnn_context *c, struct outcome *o)
{
    to_doubles(t->model, o->parts[0].value, c->predictions, o->parts[0].count);
    o->parts[1].value[0] = c->loss;
    for (int i = 0; i < t->net->params_count; i++) {
        const struct ref_param *p = &t->net->params[i];
        void *raw = room(p->count, 8);
        if (has_no_gradient(p))
            cnn_param_get(c, t->param[i], raw);
        else
            cnn_grad_get(c, t->param[i], raw);
        to_doubles(t->model, o->parts[FIRST_PARAM_PART + i].value, raw, p->count);
        free(raw);
    }
}

/* ---- running both ------------------------------------------------------------------------------------------------ */

void reference_run(struct trial *t, const struct batch *b, bool training)
{
    for (int i = 0; i < t->net->params_count; i++)
        memcpy(t->net->params[i].value, t->start[i], (size_t)t->net->params[i].count * sizeof(double));
    t->net->targets = b->targets;
    ref_forward(t->net, b->input, b->labels, b->n, training);
    if (training)
        ref_backward(t->net);
}

void context_load(struct trial *t, struct cnn_context *c)
{
    for (int i = 0; i < t->net->params_count; i++) {
        int64_t count = t->net->params[i].count;
        void *raw = room(count, 8);
        from_doubles(t->model, raw, t->start[i], count);
        cnn_param_set(c, t->param[i], raw);
        free(raw);
    }
}

void context_feed(struct trial *t, struct cnn_context *c, const struct batch *b)
{
    int64_t size = ref_node_size(&t->net->nodes[0]);
    void *raw = room(size, 8);
    for (int i = 0; i < b->n; i++) {
        from_doubles(t->model, raw, b->input + i * size, size);
        cnn_input_set(c, i, raw);
        if (t->network->target == NETWORK_OF_CLASSES)
            c->labels[i] = b->labels[i];
    }
    if (t->network->target == NETWORK_OF_LABELS || t->network->target == NETWORK_OF_NUMBERS)
        from_doubles(t->model, c->targets, b->targets, (int64_t)b->n * t->network->outputs);
    free(raw);
}

void batch_draw(struct trial *t, struct batch *b, int n)
{
    int64_t size = n * ref_node_size(&t->net->nodes[0]);
    b->n = n;
    for (int64_t i = 0; i < size; i++)
        b->input[i] = ref_normal(&t->random);
    round_to_model(t->model, b->input, size);
    network_targets(t->network, &t->random, b->input, n, b->labels, b->targets);
}

struct batch batch_new(const struct trial *t)
{
    struct batch b = {.n = 0};
    b.input = room(t->net->batch * ref_node_size(&t->net->nodes[0]), sizeof(double));
    b.labels = room(t->net->batch, sizeof(int32_t));
    b.targets = room((int64_t)t->net->batch * t->network->outputs, sizeof(double));
    return b;
}

void batch_free(struct batch *b)
{
    free(b->input);
    free(b->labels);
    free(b->targets);
}

/* ---- the bound --------------------------------------------------------------------------------------------------- */

double most_difference(const double *a, const double *b, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = fabs(a[i] - b[i]);
        if (!(d <= most))       /* NaN too */
            most = isnan(d) ? INFINITY : d;
    }
    return most;
}

/* The results of one exact run, with the errors that disturbed runs show; the reference holds the exact run then. */
void reference_measure(struct trial *t, const struct batch *b, bool training, struct outcome *exact)
{
    struct ref_net *net = t->net;
    struct outcome noisy = outcome_new(net, b->n, t->network->outputs);
    double **y = room(net->nodes_count, sizeof *y);
    net->noise = 0;
    reference_run(t, b, training);
    reference_outcome(net, exact);
    for (int i = 0; i < net->nodes_count; i++) {
        int64_t size = b->n * ref_node_size(&net->nodes[i]);
        y[i] = room(size, sizeof(double));
        memcpy(y[i], net->nodes[i].y, (size_t)size * sizeof(double));
        net->nodes[i].error = 0;
    }
    for (int i = 0; i < exact->count; i++)
        exact->parts[i].error = 0;
    net->noise = EPS_FLOAT;
    for (int run = 0; run < NOISY_RUNS; run++) {
        net->noise_state = ref_random(&t->random);
        reference_run(t, b, training);
        reference_outcome(net, &noisy);
        for (int i = 0; i < exact->count; i++) {
            struct part *part = &exact->parts[i];
            part->error = fmax(part->error, most_difference(part->value, noisy.parts[i].value, part->count));
        }
        for (int i = 0; i < net->nodes_count; i++) {
            struct ref_node *node = &net->nodes[i];
            node->error = fmax(node->error, most_difference(y[i], node->y, b->n * ref_node_size(node)));
        }
    }
    net->noise = 0;
    reference_run(t, b, training);
    for (int i = 0; i < net->nodes_count; i++) {
        net->nodes[i].error *= t->eps / EPS_FLOAT;
        free(y[i]);
    }
    free(y);
    outcome_free(&noisy);
}

static double part_bound(const struct trial *t, const struct part *want)
{
    return t->allowance * (COMPARE_ERRORS * want->error * (t->eps / EPS_FLOAT)
                           + COMPARE_EPS * t->eps * largest(want->value, want->count));
}

/* The number of parts that differ by more than their bounds; says which when `what` is not NULL. */
int outcome_compare(struct trial *t, const char *what, const struct outcome *got, const struct outcome *want,
                    bool training, bool coarse, int n)
{
    int wrong = 0;
    for (int i = 0; i < want->count; i++) {
        const struct part *g = &got->parts[i], *w = &want->parts[i];
        bool param = i >= FIRST_PARAM_PART;
        bool statistic = param && has_no_gradient(&t->net->params[i - FIRST_PARAM_PART]);
        if (param && !training && !statistic)
            continue;
        double bound = part_bound(t, w);
        if (coarse && param && !statistic)
            bound += 0.05 * largest(w->value, w->count);
        for (int64_t j = 0; j < w->count; j++) {
            double difference = fabs(g->value[j] - w->value[j]);
            if (what && bound > 0)
                t->counts->worst = fmax(t->counts->worst, difference / bound);
            if (difference <= bound)
                continue;
            wrong++;
            if (what)
                trial_fail(t, "%s, n = %d: %s%s[%lld] = %.9g, reference %.9g, differs by %.3g, allowed %.3g", what, n,
                     param && !statistic ? "gradient of " : "", w->name, (long long)j, g->value[j], w->value[j],
                     difference, bound);
            break;
        }
        if (what)
            t->counts->tensors++;
    }
    return wrong;
}

static void outcome_same_bits(struct trial *t, const char *what, const struct outcome *a, const struct outcome *b,
                              int threads, int n)
{
    for (int i = 0; i < a->count; i++)
        if (memcmp(a->parts[i].value, b->parts[i].value, (size_t)a->parts[i].count * sizeof(double)) != 0)
            trial_fail(t, "%s, n = %d: %s has other bits with %d threads than with 1", what, n, a->parts[i].name,
                       threads);
}

/* ---- planted faults ---------------------------------------------------------------------------------------------- */

/* got, which agrees with the exact reference, must not agree with a broken one where that is really different. */
static void check_faults(struct trial *t, const struct batch *b, const struct outcome *got,
                         const struct outcome *exact)
{
    struct outcome broken = outcome_new(t->net, b->n, t->network->outputs);
    for (enum ref_fault fault = REF_SOUND + 1; fault < REF_FAULTS; fault++) {
        t->net->fault = fault;
        reference_run(t, b, true);
        t->net->fault = REF_SOUND;
        reference_outcome(t->net, &broken);
        bool visible = false;
        for (int i = 0; i < exact->count; i++) {
            struct part *part = &broken.parts[i];
            part->error = exact->parts[i].error;
            double size = largest(exact->parts[i].value, part->count);
            double change = most_difference(part->value, exact->parts[i].value, part->count);
            visible |= change > 1e-3 * size && change > 1e-12 && size > 1e-6;
        }
        int wrong = outcome_compare(t, NULL, got, &broken, true, false, b->n);
        if (!visible) {
            t->counts->faults_invisible++;
        } else if (wrong > 0) {
            t->counts->faults_seen++;
        } else {
            t->counts->faults_missed++;
            fprintf(t->log, "planted fault %d was not noticed\n", (int)fault);
        }
    }
    reference_run(t, b, true);
    outcome_free(&broken);
}

/* ---- dropout: the mask is read off the gradient of the dense layer behind it ------------------------------------- */

static int last_dense(const struct ref_net *net)
{
    int found = -1;
    for (int i = 0; i < net->params_count; i++)
        if (net->params[i].rank == 2)
            found = i;
    return found;
}

/* Marks in kept (inputs of the dense layer) which columns of its weight's gradient are not zero. */
static void read_mask(struct trial *t, struct cnn_context *c, unsigned char *kept)
{
    int dense = last_dense(t->net);
    const struct ref_param *p = &t->net->params[dense];
    void *raw = room(p->count, 8);
    double *gradient = room(p->count, sizeof(double));
    cnn_grad_get(c, t->param[dense], raw);
    to_doubles(t->model, gradient, raw, p->count);
    for (int64_t i = 0; i < p->shape[1]; i++) {
        kept[i] = 0;
        for (int64_t o = 0; o < p->shape[0]; o++)
            kept[i] |= gradient[o * p->shape[1] + i] != 0;
    }
    free(raw);
    free(gradient);
}

/* Every sample of a network that drops its (at most pooled) input: alone among zeros its own mask shows. */
static void reveal_first(struct trial *t, struct cnn_context *c, int n)
{
    struct batch b = batch_new(t);
    int64_t size = ref_node_size(&t->net->nodes[0]), dropped = ref_node_size(&t->net->nodes[t->network->dropout]);
    b.n = n;
    for (int j = 0; j < n; j++) {
        for (int64_t i = 0; i < n * size; i++)
            b.input[i] = i / size == j ? 1 : 0;
        context_load(t, c);
        context_feed(t, c, &b);
        t->model->train_step(c, n);
        read_mask(t, c, t->kept + j * dropped);
    }
    batch_free(&b);
}

/* One sample through the layers before the dropout: where these give zero, nothing shows and nothing matters. */
static void reveal_last(struct trial *t, struct cnn_context *c, const struct batch *b)
{
    context_load(t, c);
    context_feed(t, c, b);
    t->model->train_step(c, 1);
    read_mask(t, c, t->kept);
}

/* Of a channel that is dropped as a whole, all that could be seen is kept or none of it. */
static void check_channels(struct trial *t, const struct batch *b)
{
    const struct ref_node *node = &t->net->nodes[t->network->dropout], *x = &t->net->nodes[node->in[0]];
    int places = node->h * node->w;
    reference_run(t, b, true);
    for (int64_t first = 0; first < b->n * ref_node_size(node); first += places) {
        int seen = 0, kept = 0;
        for (int64_t i = first; i < first + places; i++) {
            seen += fabs(x->y[i]) > 1e-30;
            kept += t->kept[i] && fabs(x->y[i]) > 1e-30;
        }
        if (kept && kept != seen)
            trial_fail(t, "spatial_dropout2d keeps %d of the %d pixels of a channel", kept, seen);
        memset(t->kept + first, kept != 0, (size_t)places);
    }
}

/* The part kept of what could be seen must be 1 - rate, within five deviations; draws are by channel, or by element. */
static void check_rate(struct trial *t, const struct batch *b)
{
    const struct ref_node *node = &t->net->nodes[t->network->dropout];
    const struct ref_node *x = &t->net->nodes[node->in[0]];
    reference_run(t, b, true);
    int64_t seen = 0, kept = 0, places = t->network->by_channel ? node->h * node->w : 1;
    for (int64_t first = 0; first < b->n * ref_node_size(node); first += places)
        for (int64_t i = first; i < first + places; i++)
            if (fabs(x->y[i]) > 1e-30) {
                seen++;
                kept += t->kept[i];
                break;
            }
    double expected = (1 - node->rate) * (double)seen;
    double deviation = sqrt(node->rate * (1 - node->rate) * (double)seen);
    if (fabs((double)kept - expected) > 5 * deviation + 1)
        trial_fail(t, "dropout %g keeps %lld of %lld", node->rate, (long long)kept, (long long)seen);
}

/* False where the mask cannot be known: only bits are compared then. */
static bool reveal_masks(struct trial *t, const struct batch *b)
{
    if (t->network->kind == NETWORK_PLAIN)
        return true;
    if (t->network->kind == NETWORK_DROPOUT_LAST && b->n > 1)
        return false;
    struct ref_node *node = &t->net->nodes[t->network->dropout];
    node->kept = NULL;
    if (t->network->kind == NETWORK_DROPOUT_FIRST)
        reveal_first(t, t->contexts[0], b->n);
    else
        reveal_last(t, t->contexts[0], b);
    if (t->network->by_channel)
        check_channels(t, b);
    check_rate(t, b);
    node->kept = t->kept;
    return true;
}

/* Samples and steps draw masks of their own. */
static void check_masks_differ(struct trial *t)
{
    const struct ref_node *node = &t->net->nodes[t->network->dropout];
    int64_t size = ref_node_size(node), draws = t->network->by_channel ? node->c : size;
    double same_by_chance = node->rate * node->rate + (1 - node->rate) * (1 - node->rate);
    if (t->network->kind != NETWORK_DROPOUT_FIRST || pow(same_by_chance, (double)draws) > 1e-9)
        return;
    unsigned char *first = room(size, 1);
    t->contexts[0]->step = 5;
    reveal_first(t, t->contexts[0], t->net->batch);
    memcpy(first, t->kept, (size_t)size);
    if (t->net->batch > 1 && memcmp(first, t->kept + size, (size_t)size) == 0)
        trial_fail(t, "dropout: two samples have the same mask");
    t->contexts[0]->step = 6;
    reveal_first(t, t->contexts[0], t->net->batch);
    if (memcmp(first, t->kept, (size_t)size) == 0)
        trial_fail(t, "dropout: two steps have the same mask");
    t->contexts[0]->step = 5;
    reveal_first(t, t->contexts[0], t->net->batch);
    if (memcmp(first, t->kept, (size_t)size) != 0)
        trial_fail(t, "dropout: the same step has two masks");
    free(first);
}

/* ---- one batch --------------------------------------------------------------------------------------------------- */

/* A batch that keeps clear of kinks, with its exact outcome; false: none was found. */
static bool draw_clear(struct trial *t, struct batch *b, int n, bool *known, struct outcome *exact)
{
    for (int draw = 0; draw < DRAWS; draw++) {
        batch_draw(t, b, n);
        *known = reveal_masks(t, b);
        reference_measure(t, b, true, exact);
        if (ref_near_kinks(t->net, 8) == 0)
            return true;
    }
    return false;
}

static void check_training(struct trial *t, struct batch *b, int n, bool faults)
{
    struct outcome exact = outcome_new(t->net, n, t->network->outputs), got[CONTEXTS];
    bool known;
    for (int i = 0; i < CONTEXTS; i++)
        t->contexts[i]->step = 3;
    bool clear = draw_clear(t, b, n, &known, &exact);
    for (int i = 0; i < CONTEXTS; i++) {
        got[i] = outcome_new(t->net, n, t->network->outputs);
        context_load(t, t->contexts[i]);
        context_feed(t, t->contexts[i], b);
        t->model->train_step(t->contexts[i], n);
        context_outcome(t, t->contexts[i], &got[i]);
        if (i > 0)
            outcome_same_bits(t, "training", &got[0], &got[i], i + 1, n);
    }
    if (known) {
        t->counts->coarse += !clear;
        int wrong = outcome_compare(t, "training", &got[0], &exact, true, !clear, n);
        if (faults && clear && !wrong)
            check_faults(t, b, &got[0], &exact);
    }
    for (int i = 0; i < CONTEXTS; i++)
        outcome_free(&got[i]);
    outcome_free(&exact);
}

/* Accuracy and f1 as their definitions say, from predictions. */
static void expected_metrics(const struct batch *b, const double *p, int classes, double *values)
{
    double right = 0, hits = 0, predicted = 0, actual = b->n;
    for (int i = 0; i < b->n; i++) {
        int best = 0;
        for (int k = 0; k < classes; k++) {
            best = p[i * classes + k] > p[i * classes + best] ? k : best;
            predicted += p[i * classes + k] > 0.5;
        }
        right += best == b->labels[i];
        hits += p[i * classes + b->labels[i]] > 0.5;
    }
    double precision = predicted > 0 ? hits / predicted : 0, recall = hits / actual;
    values[0] = right / b->n;
    values[1] = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

static void check_metrics(struct trial *t, struct cnn_context *c, const struct batch *b, const struct outcome *got)
{
    int expected = t->network->measured + t->network->f1;
    if (t->model->train.metrics_count != expected) {
        trial_fail(t, "the model has %d metrics instead of %d", t->model->train.metrics_count, expected);
        return;
    }
    if (expected == 0)
        return;
    double values[2] = {-1, -1}, want[2];
    t->model->metrics(c, b->n, values);
    expected_metrics(b, got->parts[0].value, t->network->outputs, want);
    for (int i = 0; i < expected; i++)
        if (!(fabs(values[i] - want[i]) <= 4 * t->eps + 1e-6 * (t->eps > 1e-12)))
            trial_fail(t, "n = %d: metric %s is %.9g, expected %.9g", b->n, t->model->train.metrics[i].name, values[i],
                 want[i]);
}

static void check_use(struct trial *t, const struct batch *b)
{
    struct outcome exact = outcome_new(t->net, b->n, t->network->outputs), got[CONTEXTS];
    reference_measure(t, b, false, &exact);
    for (int i = 0; i < CONTEXTS; i++) {
        got[i] = outcome_new(t->net, b->n, t->network->outputs);
        context_load(t, t->contexts[i]);
        context_feed(t, t->contexts[i], b);
        t->model->infer(t->contexts[i], b->n);
        context_outcome(t, t->contexts[i], &got[i]);
        if (i > 0)
            outcome_same_bits(t, "use", &got[0], &got[i], i + 1, b->n);
    }
    outcome_compare(t, "use", &got[0], &exact, false, false, b->n);
    check_metrics(t, t->contexts[0], b, &got[0]);
    for (int i = 0; i < CONTEXTS; i++)
        outcome_free(&got[i]);
    outcome_free(&exact);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static bool same_shape(const struct ref_param *p, const struct cnn_param *q)
{
    bool same = p->rank == q->rank && p->count == q->count && (int)p->role == (int)q->role &&
                (p->role == REF_STATISTIC || p->fixed == !q->trainable);
    for (int d = 0; same && d < p->rank; d++)
        same = p->shape[d] == q->shape[d];
    return same;
}

static bool match_params(struct trial *t)
{
    const struct cnn_model *m = t->model;
    if (m->params_list_count != t->net->params_count) {
        trial_fail(t, "the model has %d parameters instead of %d", m->params_list_count, t->net->params_count);
        return false;
    }
    for (int i = 0; i < t->net->params_count; i++) {
        const struct ref_param *p = &t->net->params[i];
        t->param[i] = -1;
        for (int k = 0; k < m->params_list_count; k++)
            if (strcmp(m->params[k].name, p->name) == 0)
                t->param[i] = k;
        if (t->param[i] < 0 || !same_shape(p, &m->params[t->param[i]])) {
            trial_fail(t, "parameter %s %s", p->name, t->param[i] < 0 ? "is missing" : "has another shape or role");
            return false;
        }
    }
    return true;
}

static bool match_model(struct trial *t)
{
    const struct cnn_model *m = t->model;
    const struct ref_node *input = &t->net->nodes[0];
    if (m->batch != t->net->batch || m->outputs != t->network->outputs || m->in_channels != input->c
        || m->in_height != input->h || m->in_width != input->w) {
        trial_fail(t, "the model has batch %d, %d outputs, input %dx%dx%d", m->batch, m->outputs, m->in_channels,
             m->in_height, m->in_width);
        return false;
    }
    return match_params(t);
}

/* What is set is what is got. */
static void check_params_round_trip(struct trial *t)
{
    context_load(t, t->contexts[0]);
    for (int i = 0; i < t->net->params_count; i++) {
        int64_t count = t->net->params[i].count;
        void *raw = room(count, 8);
        double *value = room(count, sizeof(double));
        cnn_param_get(t->contexts[0], t->param[i], raw);
        to_doubles(t->model, value, raw, count);
        if (memcmp(value, t->start[i], (size_t)count * sizeof(double)) != 0)
            trial_fail(t, "%s: what is read is not what was set", t->net->params[i].name);
        free(raw);
        free(value);
    }
}

static void run_trial(struct trial *t, bool faults)
{
    struct batch b = batch_new(t);
    int most = t->net->batch, sizes[] = {most, 1, most - 1, most / 2, most};
    check_params_round_trip(t);
    if (t->network->kind != NETWORK_PLAIN)
        check_masks_differ(t);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bool again = sizes[i] < 1;
        for (size_t k = 1; k < i && sizes[i] != most; k++)
            again |= sizes[k] == sizes[i];
        if (again || (i == 4 && most < 3))
            continue;
        check_training(t, &b, sizes[i], faults && i == 0);
        check_use(t, &b);
    }
    if (t->network->dropout >= 0)
        t->net->nodes[t->network->dropout].kept = NULL;
    check_updates(t, &b);
    batch_free(&b);
}

void compare_network(struct network *network, const struct cnn_model *model, bool filtering, bool faults, FILE *log,
                     struct compare_counts *counts)
{
    struct ref_net *net = &network->net;
    struct trial t = {
        .network = network, .net = net, .model = model, .log = log, .counts = counts,
        .allowance = (filtering ? COMPARE_FILTERING : 1) * (model->real_size == 8 ? COMPARE_DOUBLE : 1),
        .random = network->seed ^ 0x5bd1e995, .eps = model->real_size == 4 ? EPS_FLOAT : EPS_DOUBLE,
    };
    t.param = room(net->params_count, sizeof *t.param);
    t.start = room(net->params_count, sizeof *t.start);
    int64_t widest = 0;
    for (int i = 0; i < net->nodes_count; i++)
        widest = ref_node_size(&net->nodes[i]) > widest ? ref_node_size(&net->nodes[i]) : widest;
    t.kept = room(net->batch * widest, 1);
    for (int i = 0; i < net->params_count; i++) {
        struct ref_param *p = &net->params[i];
        round_to_model(model, p->value, p->count);
        t.start[i] = room(p->count, sizeof(double));
        memcpy(t.start[i], p->value, (size_t)p->count * sizeof(double));
        memset(p->m, 0, (size_t)p->count * sizeof(double));
        memset(p->v, 0, (size_t)p->count * sizeof(double));
        memset(p->s, 0, (size_t)p->count * sizeof(double));
        memset(p->doubt, 0, (size_t)p->count * sizeof(double));
    }
    if (match_model(&t)) {
        for (int i = 0; i < CONTEXTS; i++)
            t.contexts[i] = cnn_open(model, i + 1, 42);
        if (t.contexts[0] && t.contexts[1] && t.contexts[2])
            run_trial(&t, faults);
        else
            trial_fail(&t, "cnn_open failed");
        for (int i = 0; i < CONTEXTS; i++)
            cnn_close(t.contexts[i]);
    }
    for (int i = 0; i < net->params_count; i++) {
        memcpy(net->params[i].value, t.start[i], (size_t)net->params[i].count * sizeof(double));
        free(t.start[i]);
    }
    free(t.start);
    free(t.param);
    free(t.kept);
}
