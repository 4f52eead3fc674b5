/* tiny_model.c - the smallest network a compiler could emit, written by hand: one dense layer with
 * softmax and cross-entropy on 3x32x32 pictures, sgd.  Compiled once for float and, with
 * -DTINY_DOUBLE, once for double.
 *
 * Its layouts are as awkward as a plan's can be: pixels are channel-last, the weight is panelled by
 * eight outputs (so two panels, the second with six rows of zeros), the running statistic follows
 * the mean of the input.
 */
#include "tiny_model.h"

#include <math.h>
#include <string.h>

#ifdef TINY_DOUBLE
typedef double real;
#define TINY(name) tiny_double_##name
#else
typedef float real;
#define TINY(name) tiny_float_##name
#endif

enum {
    BATCH = 32,
    CLASSES = 10,
    CHANNELS = 3,
    SIDE = 32,
    INPUTS = CHANNELS * SIDE * SIDE,
    PANEL = 8,
    WEIGHT_STORED = 2 * PANEL * INPUTS,
    STORED = WEIGHT_STORED + 16
};

/* the weight of output o and stored input i */
static size_t place(int o, int i)
{
    return (size_t)(o / PANEL) * PANEL * INPUTS + (size_t)i * PANEL + (size_t)(o % PANEL);
}

static void forward(struct cnn_context *c, int n)
{
    const real *x = c->input, *w = c->params, *bias = w + WEIGHT_STORED;
    real *p = c->predictions;
    c->loss = 0.0;
    for (int s = 0; s < n; s++) {
        real z[2 * PANEL] = { 0 };
        for (int panel = 0; panel < 2; panel++)
            for (int i = 0; i < INPUTS; i++)
                for (int o = 0; o < PANEL; o++)
                    z[panel * PANEL + o] += x[s * INPUTS + i] * w[(panel * INPUTS + i) * PANEL + o];
        double top = -INFINITY, sum = 0.0;
        for (int o = 0; o < CLASSES; o++) {
            z[o] += bias[o];
            top = fmax(top, z[o]);
        }
        for (int o = 0; o < CLASSES; o++)
            sum += exp(z[o] - top);
        for (int o = 0; o < CLASSES; o++)
            p[s * CLASSES + o] = (real)(exp(z[o] - top) / sum);
        c->loss += log(sum) + top - z[c->labels[s]];
    }
}

static void train_step(struct cnn_context *c, int n)
{
    const real *x = c->input, *p = c->predictions;
    real *g = c->grads, *running = c->statistics;
    uint64_t start = c->ticks ? cnn_clock() : 0;
    forward(c, n);
    if (c->ticks) {
        c->ticks[0] += cnn_clock() - start;
        start = cnn_clock();
    }
    memset(g, 0, STORED * sizeof *g);
    for (int s = 0; s < n; s++) {
        real d[2 * PANEL] = { 0 };
        for (int o = 0; o < CLASSES; o++) {
            d[o] = (p[s * CLASSES + o] - (o == c->labels[s])) / (real)n;
            g[WEIGHT_STORED + o] += d[o];
        }
        for (int panel = 0; panel < 2; panel++)
            for (int i = 0; i < INPUTS; i++)
                for (int o = 0; o < PANEL; o++)
                    g[(panel * INPUTS + i) * PANEL + o] += x[s * INPUTS + i] * d[panel * PANEL + o];
    }
    running[0] = (real)0.9 * running[0] + (real)0.1 * x[0];
    if (TINY(broken))
        g[place(9, 77)] *= (real)1.001;
    if (c->ticks)
        c->ticks[1] += cnn_clock() - start;
}

static void update(struct cnn_context *c)
{
    real *w = c->params;
    const real *g = c->grads;
    for (int i = 0; i < STORED; i++)
        w[i] -= (real)c->lr * g[i];
}

static void metrics(const struct cnn_context *c, int n, double *values)
{
    const real *p = c->predictions;
    int hits = 0;
    for (int s = 0; s < n; s++) {
        int best = 0;
        for (int o = 1; o < CLASSES; o++)
            if (p[s * CLASSES + o] > p[s * CLASSES + best])
                best = o;
        hits += best == c->labels[s];
    }
    values[0] = (double)hits / n;
}

int TINY(broken);

static const struct cnn_param params[] = {
    { .name = "dense_1.weight",
      .role = CNN_WEIGHT,
      .trainable = true,
      .rank = 2,
      .shape = { CLASSES, INPUTS },
      .axis = { CNN_AXIS_OUT, CNN_AXIS_IN },
      .layout = { .dims = 4,
                  .dim = { CLASSES, CHANNELS, SIDE, SIDE },
                  .stride = { 1, PANEL, SIDE * CHANNELS * PANEL, CHANNELS * PANEL },
                  .panel_dim = 0,
                  .panel = PANEL,
                  .panel_stride = PANEL * INPUTS },
      .offset = 0,
      .stored = WEIGHT_STORED,
      .count = CLASSES * INPUTS,
      .init = { CNN_INIT_UNIFORM, -0.0441, 0.0441 } },
    { .name = "dense_1.bias",
      .role = CNN_BIAS,
      .trainable = true,
      .rank = 1,
      .shape = { CLASSES },
      .axis = { CNN_AXIS_OUT },
      .layout = { .dims = 1, .dim = { CLASSES }, .stride = { 1 }, .panel_dim = -1 },
      .offset = WEIGHT_STORED,
      .stored = 16,
      .count = CLASSES,
      .init = { CNN_INIT_ZEROS, 0, 0 } },
    { .name = "norm_1.running_mean",
      .role = CNN_STATISTIC,
      .rank = 1,
      .shape = { 1 },
      .axis = { CNN_AXIS_OUT },
      .layout = { .dims = 1, .dim = { 1 }, .stride = { 1 }, .panel_dim = -1 },
      .offset = 0,
      .stored = 16,
      .count = 1,
      .init = { CNN_INIT_CONSTANT, 0.5, 0 } },
};

static const struct cnn_layer_info layers[] = {
    { "input_1", "input 3x32x32", CHANNELS, SIDE, SIDE, false, 0, 0, NULL },
    { "dense_1", "dense 10, softmax", CLASSES, 1, 1, true, CLASSES * INPUTS + CLASSES,
      CLASSES * INPUTS, "by hand" },
};

static const struct cnn_stretch stretches[] = {
    { 1, false, "forward", 2LL * BATCH * INPUTS * CLASSES },
    { 1, true, "weight gradient", 2LL * BATCH * INPUTS * CLASSES },
};

static const struct cnn_setting shapes_settings[] = {
    { .key = "classes", .number = 10 },
    { .key = "train", .number = 2000 },
    { .key = "val", .number = 500 },
    { .key = "seed", .number = 0 },
};
static const struct cnn_setting scale_settings[] = { { .key = "factor", .number = 1.0 / 255.0 } };
static const double half[] = { 0.5 }, half3[] = { 0.5, 0.5, 0.5 };
static const struct cnn_setting normalize_settings[] = {
    { .key = "mean", .list = half3, .list_length = 3 },
    { .key = "std", .list = half, .list_length = 1 },
};
static const struct cnn_clause steps[] = { { "scale", scale_settings, 1 },
                                           { "normalize", normalize_settings, 2 } };
static const struct cnn_setting optimizer_settings[] = { { .key = "lr", .number = 0.01 } };
static const struct cnn_setting plateau_settings[] = {
    { .key = "monitor", .text = "val_acc" }, { .key = "factor", .number = 0.5 },
    { .key = "patience", .number = 1 },      { .key = "min_delta", .number = 0.2 },
    { .key = "cooldown", .number = 0 },      { .key = "min_lr", .number = 0.001 },
    { .key = "verbose", .number = 1 },
};
static const struct cnn_clause callbacks[] = { { "reduce_lr_on_plateau", plateau_settings, 7 } };
static const struct cnn_metric metric_list[] = {
    { .name = "accuracy", .log_name = "acc", .direction = CNN_HIGHER_IS_BETTER }
};

const struct cnn_model TINY(model) = {
    .abi = CNNRT_ABI,
    .name = "tiny",
    .source = "tiny.cnn",
    .target = "generic",
    .plan_hash = 0x1234,
    .recipe = (const char *const[]){ "model tiny\n", NULL },
    .real_size = sizeof(real),
    .batch = BATCH,
    .outputs = CLASSES,
    .in_channels = CHANNELS,
    .in_height = SIDE,
    .in_width = SIDE,
    .image_stride = INPUTS,
    .channel_stride = 1,
    .row_stride = SIDE * CHANNELS,
    .column_stride = CHANNELS,
    .params_stored = STORED,
    .statistics_stored = 16,
    .params_count = CLASSES * INPUTS + CLASSES + 1,
    .trainable_count = CLASSES * INPUTS + CLASSES,
    .optimizer_slots = 0,
    .memory_bytes = 4096,
    .scratch_bytes_per_thread = 64,
    .params = params,
    .params_list_count = 3,
    .layers = layers,
    .layers_count = 2,
    .stretches = stretches,
    .stretches_count = 2,
    .data = { .source = { "shapes", shapes_settings, 4 }, .steps = steps, .steps_count = 2 },
    .train = { .target = { CNN_TARGET_CLASS, CLASSES },
               .loss = { "categorical_crossentropy", NULL, 0 },
               .optimizer = { "sgd", optimizer_settings, 1 },
               .callbacks = callbacks,
               .callbacks_count = 1,
               .metrics = metric_list,
               .metrics_count = 1,
               .epochs = 4,
               .seed = 7 },
    .train_step = train_step,
    .infer = forward,
    .update = update,
    .metrics = metrics,
};
