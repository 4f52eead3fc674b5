/* optimizer_rules.c - the program of optimizers.sh: steps of a compiled network's optimizer against the plainest
 * arithmetic there is, in double precision and number by number.
 *
 *     optimizers [SELECTOR,LR_SCALE,WEIGHT_DECAY,FROM,UNTIL]...
 *
 * The options of the optimizer are read from the model; each SELECTOR, `*`, the beginning or the end of the names of
 * parameters, says what a group of them has else.  One network takes its steps with one thread, its gradients untouched
 * until update(); a second with three threads and early updates has to have the same bits. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnnrt.h>

extern const struct cnn_model MODEL;

enum { STEPS = 14, EPOCH = 4, SLOTS = 5 };
enum { SLOW = 3, AVERAGE = 4 };

static int failures;

/* What the network's recipe says; 0 for what its optimizer does not have. */
static struct {
    double lr, beta1, beta2, epsilon, rho, momentum, nesterov, amsgrad, centered, initial_accumulator, weight_decay,
        coupled, clip_norm, clip_value, ema, lookahead, every, lookahead_power;
    bool sgd, adagrad, rmsprop, nadam;
} o;

static double option(const char *name)
{
    const struct cnn_clause *clause = &MODEL.train.optimizer;
    for (int i = 0; i < clause->settings_count; i++)
        if (!strcmp(clause->settings[i].key, name))
            return clause->settings[i].number;
    return 0;
}

static bool is(const char *name)
{
    return !strcmp(MODEL.train.optimizer.name, name);
}

static void read_options(void)
{
    const struct { const char *name; double *value; } all[] = {
        { "lr", &o.lr }, { "beta1", &o.beta1 }, { "beta2", &o.beta2 }, { "epsilon", &o.epsilon }, { "rho", &o.rho },
        { "momentum", &o.momentum }, { "nesterov", &o.nesterov }, { "amsgrad", &o.amsgrad },
            { "centered", &o.centered },
        { "initial_accumulator", &o.initial_accumulator }, { "weight_decay", &o.weight_decay },
            { "coupled", &o.coupled },
        { "clip_norm", &o.clip_norm }, { "clip_value", &o.clip_value }, { "ema", &o.ema },
            { "lookahead", &o.lookahead },
        { "every", &o.every }, { "lookahead_power", &o.lookahead_power }
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        *all[i].value = option(all[i].name);
    o.sgd = is("sgd");
    o.adagrad = is("adagrad");
    o.rmsprop = is("rmsprop");
    o.nadam = is("nadam");
}

struct group {
    double scale, decay, from, until;
};

static struct group group_of(const char *name, int argc, char **argv)
{
    struct group g = { 1, o.weight_decay, 0, INFINITY };
    for (int i = 1; i < argc; i++) {
        char selector[64];
        struct group given;
        if (sscanf(argv[i], "%63[^,],%lf,%lf,%lf,%lf", selector, &given.scale, &given.decay, &given.from,
                   &given.until) != 5)
            exit(2);
        size_t length = strlen(selector), all = strlen(name);
        if (!strcmp(selector, "*") || !strncmp(name, selector, length) ||
            (all > length && !strcmp(name + all - length, selector)))
            g = given;
    }
    return g;
}

/* What p loses by the gradient g at step t, from 1; s: the state of the number. */
static double change(double lr, double g, double *s, double t)
{
    const double b1 = o.beta1, b2 = o.beta2, eps = o.epsilon, rho = o.rho, mu = o.momentum;
    if (o.sgd) {
        if (mu == 0)
            return lr * g;
        s[0] = mu * s[0] + g;
        return lr * (o.nesterov != 0 ? g + mu * s[0] : s[0]);
    }
    if (o.adagrad) {
        s[0] += g * g;
        return lr * g / sqrt(s[0] + o.initial_accumulator + eps);
    }
    if (o.rmsprop) {
        s[0] = rho * s[0] + (1 - rho) * g * g;
        s[1] = rho * s[1] + (1 - rho) * g;
        double root = sqrt(s[0] - (o.centered != 0 ? s[1] * s[1] : 0) + eps);
        s[2] = mu * s[2] + lr * g / root;
        return s[2];
    }
    s[0] = b1 * s[0] + (1 - b1) * g;
    s[1] = b2 * s[1] + (1 - b2) * g * g;
    if (o.nadam) {
        double product = 1, next = b1 * (1 - 0.5 * pow(0.96, t + 1));
        for (double k = 1; k <= t; k++)
            product *= b1 * (1 - 0.5 * pow(0.96, k));
        double m = next * s[0] / (1 - product * next) + (1 - b1 * (1 - 0.5 * pow(0.96, t))) * g / (1 - product);
        return lr * m / (sqrt(s[1] / (1 - pow(b2, t))) + eps);
    }
    s[2] = fmax(s[2], s[1]);
    double second = o.amsgrad != 0 ? s[2] : s[1];
    return lr * sqrt(1 - pow(b2, t)) / (1 - pow(b1, t)) * s[0] / (sqrt(second) + eps);
}

/* How far the slow numbers follow; < 0: not in this step. */
static double slow_share(double t)
{
    double every = o.every, power = o.lookahead_power;
    if (o.lookahead == 0 || (fmod(t, every) != 0 && t != STEPS))
        return -1;
    return fmod(t, every) != 0 ? 0 : 1 - pow(o.lookahead, every) * pow(t / STEPS, power);
}

static double get(const void *values, int64_t i)
{
    return MODEL.real_size == 4 ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

static void *need(void *p)
{
    if (!p)
        exit(99);
    return p;
}

/* ---- muon: each matrix of outputs x inputs, as files have it ----------------------------------------------------- */

static bool is_matrix(const struct cnn_param *p)
{
    return is("muon") && p->role == CNN_WEIGHT && p->rank > 1;
}

/* The quintic iteration of Newton and Schulz on x (rows, columns), rows being no more than columns. */
static void orthogonalise(double *x, int rows, int columns)
{
    double norm = 0, *a = need(malloc(sizeof *a * (size_t)(rows * rows))),
        *b = need(malloc(sizeof *b * (size_t)(rows * rows))), *y = need(malloc(sizeof *y * (size_t)(rows * columns)));
    for (int i = 0; i < rows * columns; i++)
        norm += x[i] * x[i];
    norm = sqrt(norm) > 1e-7 ? sqrt(norm) : 1e-7;
    for (int i = 0; i < rows * columns; i++)
        x[i] /= norm;
    for (int k = 0; k < (int)option("iterations"); k++) {
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < rows; j++) {
                a[i * rows + j] = 0;
                for (int l = 0; l < columns; l++)
                    a[i * rows + j] += x[i * columns + l] * x[j * columns + l];
            }
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < rows; j++) {
                double square = 0;
                for (int l = 0; l < rows; l++)
                    square += a[i * rows + l] * a[l * rows + j];
                b[i * rows + j] = -4.7750 * a[i * rows + j] + 2.0315 * square;
            }
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) {
                y[i * columns + j] = 3.4445 * x[i * columns + j];
                for (int l = 0; l < rows; l++)
                    y[i * columns + j] += b[i * rows + l] * x[l * columns + j];
            }
        memcpy(x, y, sizeof *x * (size_t)(rows * columns));
    }
    free(a);
    free(b);
    free(y);
}

/* s[0] of each number has its momentum, direction what it is to lose before the rate. */
static void muon_direction(const struct cnn_param *p, double *direction)
{
    int rows = (int)p->shape[0], columns = (int)(p->count / rows);
    double *x = need(malloc(sizeof *x * (size_t)p->count)), scale = rows > columns ? sqrt((double)rows / columns) : 1;
    bool turned = rows > columns;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            x[turned ? j * rows + i : i * columns + j] = direction[i * columns + j];
    orthogonalise(x, turned ? columns : rows, turned ? rows : columns);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            direction[i * columns + j] = scale * x[turned ? j * rows + i : i * columns + j];
    free(x);
}

/* ---- the reference ----------------------------------------------------------------------------------------------- */

struct number {
    double p, s[SLOTS];
};

/* The gradient as options leave it. */
static double gradient_of(const struct number *x, double g, const struct group *of, double clip)
{
    double most = o.clip_value;
    g *= clip;
    if (most > 0)
        g = g > most ? most : g < -most ? -most : g;
    return o.coupled != 0 ? g + of->decay * x->p : g;
}

/* direction: a matrix's; NULL: the rule's own. */
static void step_number(struct number *x, double g, const double *direction, const struct group *of, double lr,
                        double clip, double t, double epoch)
{
    double share = slow_share(t), ema = t == 1 ? 0 : o.ema;
    if (t == 1)
        x->s[SLOW] = x->p;
    if (epoch >= of->from && epoch < of->until) {
        double rate = lr * of->scale * (is("muon") && !direction ? option("adam_scale") : 1);
        double kept = o.coupled != 0 ? x->p : x->p * (1 - rate * of->decay);
        x->p = kept - (direction ? rate * *direction : change(rate, gradient_of(x, g, of, clip), x->s, t));
    }
    if (share >= 0)
        x->p = x->s[SLOW] += share * (x->p - x->s[SLOW]);
    x->s[AVERAGE] = ema * x->s[AVERAGE] + (1 - ema) * x->p;
}

static double norm_of(const struct cnn_context *c, double epoch, int argc, char **argv)
{
    double sum = 0;
    for (int i = 0; i < MODEL.params_list_count; i++) {
        const struct cnn_param *p = &MODEL.params[i];
        const struct group g = group_of(p->name, argc, argv);
        if (p->role == CNN_STATISTIC || !p->trainable || epoch < g.from || epoch >= g.until)
            continue;
        void *grads = need(malloc((size_t)p->count * 8));
        cnn_grad_get(c, i, grads);
        for (int64_t k = 0; k < p->count; k++)
            sum += get(grads, k) * get(grads, k);
        free(grads);
    }
    return sqrt(sum);
}

static void compare(const char *name, const char *what, int step, double got, double want, double size)
{
    /* an orthogonalised momentum begins with numbers that nearly cancel */
    double allowed = (MODEL.real_size == 4 ? 4e-6 : 1e-13) * (fabs(want) + size) * (is("muon") ? 100 : 1);
    if (fabs(got - want) <= allowed)
        return;
    if (failures++ < 5)
        fprintf(stderr, "%s, %s after step %d: %.12g, not %.12g\n", name, what, step + 1, got, want);
}

static void check_params(const struct cnn_context *c, struct number **numbers, int step)
{
    size_t slot = (size_t)MODEL.params_stored * (size_t)MODEL.real_size;
    for (int i = 0; i < MODEL.params_list_count; i++) {
        const struct cnn_param *p = &MODEL.params[i];
        void *values = need(malloc((size_t)p->count * 8));
        cnn_param_get(c, i, values);
        for (int64_t k = 0; k < p->count && (p->role == CNN_STATISTIC || p->trainable); k++)
            compare(p->name, "value", step, get(values, k), numbers[i][k].p, 0.02);
        if (MODEL.averages && p->role != CNN_STATISTIC && p->trainable) {
            struct cnn_context averages = *c;
            averages.params = (char *)c->optimizer_state + (size_t)(MODEL.averages - 1) * slot;
            cnn_param_get(&averages, i, values);
            for (int64_t k = 0; k < p->count; k++)
                compare(p->name, "average", step, get(values, k), numbers[i][k].s[AVERAGE], 0.02);
        }
        free(values);
    }
}

/* From the gradients of this step, and its statistics, to what update() should make of it. */
static void reference(const struct cnn_context *c, struct number **numbers, int step, int argc, char **argv)
{
    double t = step + 1, norm = norm_of(c, c->epoch, argc, argv), most = o.clip_norm;
    for (int i = 0; i < MODEL.params_list_count; i++) {
        const struct cnn_param *p = &MODEL.params[i];
        const struct group of = group_of(p->name, argc, argv);
        void *values = need(malloc((size_t)p->count * 8));
        if (p->role == CNN_STATISTIC)
            cnn_param_get(c, i, values);
        else
            cnn_grad_get(c, i, values);
        double clip = most > 0 && norm > most ? most / norm : 1;
        double *direction = is_matrix(p) ? need(malloc(sizeof *direction * (size_t)p->count)) : NULL;
        bool active = c->epoch >= of.from && c->epoch < of.until;
        for (int64_t k = 0; direction && active && k < p->count; k++) {
            struct number *x = &numbers[i][k];
            double g = gradient_of(x, get(values, k), &of, clip);
            x->s[0] = o.momentum * x->s[0] + (1 - o.momentum) * g;
            direction[k] = o.nesterov != 0 ? o.momentum * x->s[0] + (1 - o.momentum) * g : x->s[0];
        }
        if (direction && active)
            muon_direction(p, direction);
        for (int64_t k = 0; k < p->count; k++)
            if (p->role == CNN_STATISTIC) {
                if (t == 1)
                    numbers[i][k].s[SLOW] = numbers[i][k].p;
                numbers[i][k].p = get(values, k);
                if (slow_share(t) >= 0)
                    numbers[i][k].p = numbers[i][k].s[SLOW] += slow_share(t) * (get(values, k) - numbers[i][k].s[SLOW]);
            } else if (p->trainable) {
                step_number(&numbers[i][k], get(values, k), direction ? &direction[k] : NULL, &of, c->lr, clip, t,
                            c->epoch);
            }
        free(direction);
        free(values);
    }
}

/* ---- the networks ------------------------------------------------------------------------------------------------ */

static void feed(struct cnn_context *c, int step, int n)
{
    uint32_t state = 77u * (uint32_t)step + 5;
    int size = MODEL.in_channels * MODEL.in_height * MODEL.in_width;
    float *floats = need(malloc((size_t)size * sizeof *floats));
    double *doubles = need(malloc((size_t)size * sizeof *doubles));
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < size; k++) {
            state = state * 1664525u + 1013904223u;
            doubles[k] = floats[k] = (float)(state >> 8) / 8388608.0f - 1.0f;
        }
        cnn_input_set(c, i, MODEL.real_size == 4 ? (const void *)floats : doubles);
        c->labels[i] = (int32_t)(state >> 20) % MODEL.outputs;
    }
    free(floats);
    free(doubles);
}

static void set_step(struct cnn_context *c, int step)
{
    c->step = (uint64_t)step;
    c->lr = o.lr * (step < 9 ? 1 : 0.5);
    c->epoch = (double)step / EPOCH;
    c->steps_total = STEPS;
}

static void same_bits(const struct cnn_context *a, const struct cnn_context *b, int step)
{
    size_t bytes = (size_t)MODEL.params_stored * (size_t)MODEL.real_size;
    if (memcmp(a->params, b->params, bytes) ||
        memcmp(a->optimizer_state, b->optimizer_state, bytes * (size_t)MODEL.optimizer_slots) ||
        memcmp(a->statistics, b->statistics, (size_t)MODEL.statistics_stored * (size_t)MODEL.real_size)) {
        fprintf(stderr, "other bits with three threads and early updates after step %d\n", step + 1);
        failures++;
    }
}

int main(int argc, char **argv)
{
    read_options();
    struct cnn_context *one = need(cnn_open(&MODEL, 1, 3)), *three = need(cnn_open(&MODEL, 3, 3));
    struct number **numbers = need(calloc((size_t)MODEL.params_list_count, sizeof *numbers));
    for (int i = 0; i < MODEL.params_list_count; i++) {
        const struct cnn_param *p = &MODEL.params[i];
        void *values = need(malloc((size_t)p->count * 8));
        cnn_param_get(one, i, values);
        numbers[i] = need(calloc((size_t)p->count, sizeof **numbers));
        for (int64_t k = 0; k < p->count; k++)
            numbers[i][k].p = get(values, k);
        free(values);
    }
    three->early_update = three->trained_only = true;
    for (int step = 0; step < STEPS; step++) {
        int n = step % 3 == 2 ? MODEL.batch - 2 : MODEL.batch;
        struct cnn_context *both[] = { one, three };
        for (int k = 0; k < 2; k++) {
            set_step(both[k], step);
            feed(both[k], step, n);
            MODEL.train_step(both[k], n);
            if (k == 0)
                reference(one, numbers, step, argc, argv);
            MODEL.update(both[k]);
        }
        check_params(one, numbers, step);
        same_bits(one, three, step);
    }
    for (int i = 0; i < MODEL.params_list_count; i++)
        free(numbers[i]);
    free(numbers);
    cnn_close(one);
    cnn_close(three);
    if (failures)
        fprintf(stderr, "%d numbers are wrong\n", failures);
    return failures != 0;
}
