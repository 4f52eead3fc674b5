/* generate.c - random networks: each layer is written as text and added to the reference in the same breath. */
#define _GNU_SOURCE
#include "generate.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct maker {
    struct network *network;
    struct ref_net *net;
    uint64_t random;
    uint64_t recipe;            /* what the recipe is drawn from: a layer more changes nothing there */
    FILE *out;
    int depth;                  /* of braces */
    int64_t budget;             /* multiply-adds left, one sample */
    int convs, depthwise, separable, locals, transposed, denses, norms, layernorms, groupnorms, prelus;   /* for the names that the compiler gives */
    int marks;                  /* names of our own */
    bool lone;                  /* one output */
    bool bends;                 /* uses an activation of our own */
    int decays;                 /* percent of layers that have l2 */
};

static int range(struct maker *m, int low, int high)
{
    return ref_range(&m->random, low, high);
}

static bool chance(struct maker *m, int percent)
{
    return range(m, 1, 100) <= percent;
}

static bool recipe_chance(struct maker *m, int percent)
{
    return ref_range(&m->recipe, 1, 100) <= percent;
}

__attribute__((format(printf, 2, 3))) static void line(struct maker *m, const char *format, ...)
{
    fprintf(m->out, "%*s", 4 * m->depth, "");
    va_list args;
    va_start(args, format);
    vfprintf(m->out, format, args);
    va_end(args);
    fputc('\n', m->out);
}

static struct ref_node *node_of(struct maker *m, int x)
{
    return &m->net->nodes[x];
}

/* ---- activations --------------------------------------------------------------------------------------------- */

static const char *const activation_names[REF_ACTIVATIONS] = {
#define REF_ACTIVATION(id, name, ...) #name,
#include "reference_activations.def"
#undef REF_ACTIVATION
};

struct choice {
    bool any;
    enum ref_activation activation;
    double alpha;
    char text[48];              /* as a layer's argument, with the comma before it; "" for none */
};

static struct choice choose_activation(struct maker *m, int percent)
{
    struct choice c = {.any = chance(m, percent)};
    if (!c.any)
        return c;
    c.activation = chance(m, 35) ? REF_RELU : (enum ref_activation)range(m, 0, REF_ACTIVATIONS - 1);
    m->bends |= c.activation == REF_BEND;
    const char *name = activation_names[c.activation];
    bool takes_alpha = c.activation == REF_LEAKY_RELU || c.activation == REF_ELU;
    if (takes_alpha && (c.activation == REF_LEAKY_RELU || chance(m, 50))) {
        c.alpha = range(m, 1, 12) / 8.0;
        if (c.activation == REF_LEAKY_RELU)
            c.alpha = range(m, 1, 4) / 8.0;
        snprintf(c.text, sizeof c.text, ", %s(%g)", name, c.alpha);
    } else {
        c.alpha = 1;
        snprintf(c.text, sizeof c.text, ", %s", name);
    }
    return c;
}

static int activate(struct maker *m, int x, const struct choice *c)
{
    return c->any ? ref_activate(m->net, x, c->activation, c->alpha) : x;
}

static int make_activation(struct maker *m, int x)
{
    struct choice c = choose_activation(m, 100);
    const char *name = activation_names[c.activation];
    if (strchr(c.text, '('))
        line(m, "%s %g", name, c.alpha);
    else
        line(m, "%s", name);
    return activate(m, x, &c);
}

/* An option of any layer; its weights stay as they are then, and its biases learn.  Where there is a dropout its mask is
 * read off a gradient of weights. */
static const char *choose_trainable(struct maker *m)
{
    return m->network->kind == NETWORK_PLAIN && chance(m, 6) ? ", trainable=bias" : "";
}

#define L2 0.0078125            /* a number that both reals hold */

/* The same of a layer with filters, which may have l2. */
static const char *choose_learning(struct maker *m)
{
    bool still = *choose_trainable(m);
    if (!recipe_chance(m, m->decays))
        return still ? ", trainable=bias" : "";
    return still ? ", l2=0.0078125, trainable=bias" : ", l2=0.0078125";
}

static int trained_so(struct maker *m, int y, const char *name, const char *options)
{
    if (strstr(options, "trainable"))
        ref_train_bias_only(m->net, name);
    if (strstr(options, "l2"))
        ref_add_l2(m->net, name, L2);
    return y;
}

/* ---- layers with a window -------------------------------------------------------------------------------------- */

static int random_channels(struct maker *m)
{
    switch (range(m, 0, 5)) {
    case 0: return range(m, 1, 4);
    case 1: return 8 * range(m, 1, 4);
    case 2: return 16 * range(m, 1, 4);
    case 3: return range(m, 30, 70);
    default: return range(m, 1, 20);
    }
}

/* brief: a square as one number.  0x2 is no extent: a list then. */
static void extent(char *text, size_t size, int a, int b, bool brief)
{
    if (a == b && brief)
        snprintf(text, size, "%d", a);
    else if (a == 0 || b == 0)
        snprintf(text, size, "[%d, %d]", a, b);
    else
        snprintf(text, size, "%dx%d", a, b);
}

/* Text of the options that differ from their defaults. */
static void window_options(struct maker *m, char *text, size_t size, const struct ref_window *k, bool same,
                           bool stride_given)
{
    char part[32];
    text[0] = 0;
    size_t used = 0;
    if (stride_given) {
        extent(part, sizeof part, k->sh, k->sw, chance(m, 50));
        used += (size_t)snprintf(text + used, size - used, ", stride=%s", part);
    }
    if (k->dh != 1 || k->dw != 1) {
        extent(part, sizeof part, k->dh, k->dw, true);
        used += (size_t)snprintf(text + used, size - used, ", dilation=%s", part);
    }
    if (same)
        used += (size_t)snprintf(text + used, size - used, ", padding=same");
    else if (k->top || k->left) {
        extent(part, sizeof part, k->top, k->left, true);
        used += (size_t)snprintf(text + used, size - used, ", padding=%s", part);
    } else if (chance(m, 20)) {
        used += (size_t)snprintf(text + used, size - used, ", padding=valid");
    }
    assert(used < size);
}

static bool window_fits(const struct ref_node *x, const struct ref_window *k)
{
    return ref_window_out(x->h, k->kh, k->sh, k->dh, k->top + k->bottom) > 0
        && ref_window_out(x->w, k->kw, k->sw, k->dw, k->left + k->right) > 0;
}

/* Writes and adds a convolution; same: the padding that window has is `same`. */
static int put_conv(struct maker *m, int x, int filters, struct ref_window k, bool same, int activation_percent)
{
    struct choice c = choose_activation(m, activation_percent);
    bool bias = chance(m, 80);
    char name[32], kernel[32], options[96];
    snprintf(name, sizeof name, "conv2d_%d", ++m->convs);
    extent(kernel, sizeof kernel, k.kh, k.kw, chance(m, 20));
    window_options(m, options, sizeof options, &k, same, k.sh != 1 || k.sw != 1);
    const char *trainable = choose_learning(m);
    line(m, "conv2d %d, %s%s%s%s%s", filters, kernel, c.text, options, bias ? "" : ", bias=off", trainable);
    int y = trained_so(m, ref_conv2d(m->net, x, name, filters, k, bias), name, trainable);
    m->budget -= ref_node_size(node_of(m, y)) * node_of(m, x)->c * k.kh * k.kw;
    return activate(m, y, &c);
}

static int64_t conv_cost(const struct ref_node *x, int filters, const struct ref_window *k)
{
    int64_t h = ref_window_out(x->h, k->kh, k->sh, k->dh, k->top + k->bottom);
    int64_t w = ref_window_out(x->w, k->kw, k->sw, k->dw, k->left + k->right);
    return h * w * filters * x->c * k->kh * k->kw;
}

static struct ref_window random_kernel(struct maker *m)
{
    struct ref_window k = {.sh = 1, .sw = 1, .dh = 1, .dw = 1};
    k.kh = range(m, 1, chance(m, 10) ? 5 : 3);
    k.kw = chance(m, 60) ? k.kh : range(m, 1, chance(m, 20) ? 5 : 3);
    return k;
}

/* A kernel with stride, dilation and padding. */
static struct ref_window random_window(struct maker *m, int x, bool *same)
{
    struct ref_window k = random_kernel(m);
    *same = false;
    if (chance(m, 25)) {
        k.sh = range(m, 1, 3);
        k.sw = chance(m, 60) ? k.sh : range(m, 1, 3);
    }
    if (chance(m, 20)) {
        k.dh = range(m, 1, 3);
        k.dw = chance(m, 60) ? k.dh : range(m, 1, 2);
    }
    if (chance(m, 35)) {
        k = ref_window_same(k, node_of(m, x)->h, node_of(m, x)->w);
        *same = true;
    } else if (chance(m, 35)) {
        k.top = k.bottom = range(m, 0, 2);
        k.left = k.right = chance(m, 60) ? k.top : range(m, 0, 3);
    }
    return k;
}

static int make_conv(struct maker *m, int x)
{
    for (int tries = 0; tries < 12; tries++) {
        bool same;
        struct ref_window k = random_window(m, x, &same);
        int filters = random_channels(m);
        if (window_fits(node_of(m, x), &k) && conv_cost(node_of(m, x), filters, &k) <= m->budget / 2)
            return put_conv(m, x, filters, k, same, 65);
    }
    return x;
}

/* What stands behind a convolution's kernel. */
struct conv_text {
    struct choice activation;
    char kernel[32], options[96];
    bool bias;
    const char *trainable;
};

static struct conv_text conv_text(struct maker *m, const struct ref_window *k, bool same)
{
    struct conv_text t = {.activation = choose_activation(m, 60), .bias = chance(m, 70)};
    extent(t.kernel, sizeof t.kernel, k->kh, k->kw, chance(m, 20));
    window_options(m, t.options, sizeof t.options, k, same, k->sh != 1 || k->sw != 1);
    t.trainable = choose_learning(m);
    return t;
}

static const char *bias_off(const struct conv_text *t)
{
    return t->bias ? "" : ", bias=off";
}

static int put_depthwise(struct maker *m, int x, int multiplier, struct ref_window k, bool same)
{
    struct conv_text t = conv_text(m, &k, same);
    int channels = node_of(m, x)->c;
    char name[40], more[32] = "";
    snprintf(name, sizeof name, "depthwise_conv2d_%d", ++m->depthwise);
    if (multiplier > 1)
        snprintf(more, sizeof more, ", multiplier=%d", multiplier);
    line(m, "depthwise_conv2d %s%s%s%s%s%s", t.kernel, t.activation.text, t.options, more, bias_off(&t), t.trainable);
    int y = ref_grouped_conv2d(m->net, x, name, "", channels * multiplier, channels, k, t.bias);
    return activate(m, trained_so(m, y, name, t.trainable), &t.activation);
}

static int put_separable(struct maker *m, int x, int multiplier, int filters, struct ref_window k, bool same)
{
    const struct ref_window point = {.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    struct conv_text t = conv_text(m, &k, same);
    int channels = node_of(m, x)->c;
    char name[40], more[32] = "";
    snprintf(name, sizeof name, "separable_conv2d_%d", ++m->separable);
    if (multiplier > 1)
        snprintf(more, sizeof more, ", multiplier=%d", multiplier);
    line(m, "separable_conv2d %d, %s%s%s%s%s%s", filters, t.kernel, t.activation.text, t.options, more, bias_off(&t),
         t.trainable);
    int y = ref_grouped_conv2d(m->net, x, name, "depthwise.", channels * multiplier, channels, k, false);
    y = ref_grouped_conv2d(m->net, y, name, "pointwise.", filters, 1, point, t.bias);
    return activate(m, trained_so(m, y, name, t.trainable), &t.activation);
}

static int put_grouped(struct maker *m, int x, int groups, int filters, struct ref_window k, bool same)
{
    struct conv_text t = conv_text(m, &k, same);
    char name[32];
    snprintf(name, sizeof name, "conv2d_%d", ++m->convs);
    line(m, "conv2d %d, %s%s%s, groups=%d%s%s", filters, t.kernel, t.activation.text, t.options, groups, bias_off(&t),
         t.trainable);
    int y = ref_grouped_conv2d(m->net, x, name, "", filters, groups, k, t.bias);
    return activate(m, trained_so(m, y, name, t.trainable), &t.activation);
}

/* A number that divides it. */
static int divisor(struct maker *m, int of)
{
    int d = range(m, 1, of);
    while (of % d)
        d--;
    return d;
}

/* Depthwise, separable, or in groups of channels. */
static int make_grouped(struct maker *m, int x)
{
    for (int tries = 0; tries < 8; tries++) {
        bool same;
        struct ref_window k = random_window(m, x, &same);
        int channels = node_of(m, x)->c, form = range(m, 0, 9), multiplier = chance(m, 60) ? 1 : range(m, 2, 4);
        int filters = random_channels(m), groups = divisor(m, channels);
        if (form >= 6)          /* of few channels each, or of whole vectors of them */
            filters = groups * (chance(m, 30) ? 8 * range(m, 1, 2) : range(m, 1, 1 + 40 / groups));
        if (!window_fits(node_of(m, x), &k) || conv_cost(node_of(m, x), form < 6 ? multiplier : filters / groups, &k) > m->budget / 3)
            continue;
        int y = form < 4 ? put_depthwise(m, x, multiplier, k, same)
                : form < 6 ? put_separable(m, x, multiplier, filters, k, same) : put_grouped(m, x, groups, filters, k, same);
        m->budget -= ref_node_size(node_of(m, y)) * k.kh * k.kw * (form < 6 ? 1 : channels / groups);
        return y;
    }
    return x;
}

/* Writes and adds a locally connected layer; the window has no padding. */
static int put_local(struct maker *m, int x, int filters, struct ref_window k, int activation_percent)
{
    struct choice c = choose_activation(m, activation_percent);
    bool bias = chance(m, 80);
    char name[40], kernel[32], options[96];
    snprintf(name, sizeof name, "locally_connected2d_%d", ++m->locals);
    extent(kernel, sizeof kernel, k.kh, k.kw, chance(m, 20));
    options[0] = '\0';
    if (k.sh != 1 || k.sw != 1)
        snprintf(options, sizeof options, ", stride=%dx%d", k.sh, k.sw);
    const char *trainable = choose_learning(m);
    line(m, "locally_connected2d %d, %s%s%s%s%s", filters, kernel, c.text, options, bias ? "" : ", bias=off", trainable);
    int y = trained_so(m, ref_locally_connected2d(m->net, x, name, filters, k, bias), name, trainable);
    m->budget -= ref_node_size(node_of(m, y)) * node_of(m, x)->c * k.kh * k.kw;
    return activate(m, y, &c);
}

static int make_local(struct maker *m, int x)
{
    for (int tries = 0; tries < 8; tries++) {
        struct ref_window k = random_kernel(m);
        if (chance(m, 30)) {
            k.sh = range(m, 1, 3);
            k.sw = range(m, 1, 4);      /* also past the window: pixels that nobody reads */
        }
        int filters = random_channels(m);
        if (window_fits(node_of(m, x), &k) && conv_cost(node_of(m, x), filters, &k) <= m->budget / 6)
            return put_local(m, x, filters, k, 65);
    }
    return x;
}

/* Whether a map of so many elements more is small enough to go on with. */
static bool is_affordable(struct maker *m, int c, int h, int w)
{
    return h <= 40 && w <= 40 && (int64_t)c * h * w <= 6000 && m->budget > 100000;
}

/* `same` as Keras counts: what reaches beyond the stride is taken off, the odd one at the end. */
static void transposed_same(int reach, int stride, int *before, int *after)
{
    int off = reach > stride ? reach - stride : 0;
    *before = off / 2;
    *after = off - *before;
}

static int put_transposed(struct maker *m, int x, int filters, struct ref_window k, bool same, const int *more)
{
    struct choice c = choose_activation(m, 65);
    bool bias = chance(m, 80);
    char name[40], kernel[32], options[96], longer[64] = "", given[32];
    snprintf(name, sizeof name, "conv2d_transpose_%d", ++m->transposed);
    extent(kernel, sizeof kernel, k.kh, k.kw, chance(m, 20));
    window_options(m, options, sizeof options, &k, same, k.sh != 1 || k.sw != 1);
    extent(given, sizeof given, more[0], more[1], chance(m, 50));
    if (!same && (more[0] || more[1]))
        snprintf(longer, sizeof longer, ", output_padding=%s", given);
    const char *trainable = choose_learning(m);
    line(m, "conv2d_transpose %d, %s%s%s%s%s%s", filters, kernel, c.text, options, longer, bias ? "" : ", bias=off",
         trainable);
    m->budget -= ref_node_size(node_of(m, x)) * filters * k.kh * k.kw;
    int y = ref_conv2d_transpose(m->net, x, name, filters, k, more, bias);
    return activate(m, trained_so(m, y, name, trainable), &c);
}

static int make_transposed(struct maker *m, int x)
{
    for (int tries = 0; tries < 8; tries++) {
        struct ref_window k = random_kernel(m);
        int more[2] = {0, 0};
        bool same = false;
        if (chance(m, 60)) {
            k.sh = range(m, 1, 3);
            k.sw = chance(m, 60) ? k.sh : range(m, 1, 4);
        }
        if (chance(m, 20)) {
            k.dh = range(m, 1, 3);
            k.dw = range(m, 1, 2);
        }
        int high = (k.kh - 1) * k.dh + 1, wide = (k.kw - 1) * k.dw + 1;
        if (chance(m, 35)) {
            transposed_same(high, k.sh, &k.top, &k.bottom);
            transposed_same(wide, k.sw, &k.left, &k.right);
            more[0] = k.sh > high ? k.sh - high : 0;        /* the reference is told so */
            more[1] = k.sw > wide ? k.sw - wide : 0;
            same = true;
        } else {
            if (chance(m, 35)) {
                k.top = k.bottom = range(m, 0, 2);
                k.left = k.right = chance(m, 60) ? k.top : range(m, 0, 3);
            }
            if (chance(m, 30)) {
                more[0] = range(m, 0, k.sh - 1);
                more[1] = range(m, 0, k.sw - 1);
            }
        }
        int filters = random_channels(m), from_h = node_of(m, x)->h, from_w = node_of(m, x)->w;
        int h = (from_h - 1) * k.sh + high - k.top - k.bottom + more[0];
        int w = (from_w - 1) * k.sw + wide - k.left - k.right + more[1];
        int64_t cost = ref_node_size(node_of(m, x)) * filters * k.kh * k.kw;
        if (h > 0 && w > 0 && is_affordable(m, filters, h, w) && cost <= m->budget / 2)
            return put_transposed(m, x, filters, k, same, more);
    }
    return x;
}

/* Zeros around the map or beside its channels, pixels made into several, another shape. */
static int make_move(struct maker *m, int x)
{
    struct ref_node from = *node_of(m, x);
    int a = range(m, 0, 3), b = range(m, 0, 2), c = range(m, 0, 3), d = chance(m, 50) ? b : range(m, 0, 2);
    char text[32];
    switch (range(m, 0, 3)) {
    case 0:
        if (chance(m, 50)) {
            extent(text, sizeof text, a, c, chance(m, 50));
            b = a;
            d = c;
        } else {
            snprintf(text, sizeof text, "[%d, %d, %d, %d]", a, b, c, d);
        }
        if (!is_affordable(m, from.c, from.h + a + b, from.w + c + d))
            return x;
        line(m, "zero_pad2d %s", text);
        return ref_zero_pad(m->net, x, a, b, c, d);
    case 1:
        if (chance(m, 40))
            a = c = range(m, 1, 9);
        if (!is_affordable(m, from.c + a + c, from.h, from.w))
            return x;
        extent(text, sizeof text, a, c, chance(m, 70));
        line(m, "pad_channels %s", text);
        return ref_pad_channels(m->net, x, a, c);
    case 2:
        a = range(m, 1, 3);
        c = chance(m, 50) ? a : range(m, 1, 4);
        if (!is_affordable(m, from.c, from.h * a, from.w * c))
            return x;
        bool bilinear = chance(m, 40);
        extent(text, sizeof text, a, c, chance(m, 50));
        line(m, "upsample2d %s%s", text, bilinear ? ", mode=bilinear" : chance(m, 20) ? ", mode=nearest" : "");
        return ref_upsample(m->net, x, a, c, bilinear);
    default:
        if (from.h % 2 == 0) {
            from.h /= 2;
            from.c *= 2;
        } else {
            a = from.c;
            from.c = from.w;
            from.w = a;
        }
        line(m, "reshape %dx%dx%d", from.c, from.h, from.w);
        return ref_reshape(m->net, x, from.c, from.h, from.w, false);
    }
}

static int make_pool(struct maker *m, int x)
{
    enum ref_kind kind = chance(m, 55) ? REF_MAXPOOL : REF_AVGPOOL;
    for (int tries = 0; tries < 8; tries++) {
        struct ref_window k = random_kernel(m);
        bool same = false;
        k.sh = k.kh;
        k.sw = k.kw;
        bool strided = chance(m, 50);
        if (strided) {
            k.sh = range(m, 1, 3);
            k.sw = range(m, 1, 3);
        }
        if (chance(m, 30)) {
            k = ref_window_same(k, node_of(m, x)->h, node_of(m, x)->w);
            same = true;
        } else if (chance(m, 30)) {
            k.top = k.bottom = range(m, 0, k.kh / 2);
            k.left = k.right = range(m, 0, k.kw / 2);
        }
        if (!window_fits(node_of(m, x), &k))
            continue;
        char kernel[32], options[96];
        extent(kernel, sizeof kernel, k.kh, k.kw, chance(m, 20));
        window_options(m, options, sizeof options, &k, same, strided);
        line(m, "%s %s%s", kind == REF_MAXPOOL ? "maxpool2d" : "avgpool2d", kernel, options);
        return ref_pool(m->net, x, kind, k);
    }
    return x;
}

static int make_batchnorm(struct maker *m, int x)
{
    struct choice c = choose_activation(m, 40);
    struct ref_norm norm = {0.99, 1e-3, !chance(m, 25), !chance(m, 20), chance(m, 25), 0};
    char name[32], options[160] = "";
    size_t used = 0;
    if (chance(m, 50)) {
        norm.momentum = range(m, 5, 19) / 20.0;
        norm.epsilon = chance(m, 50) ? 1e-3 : 0.01;
        used = (size_t)snprintf(options, sizeof options, ", momentum=%g, epsilon=%g", norm.momentum, norm.epsilon);
    }
    if (chance(m, 25)) {        /* beyond the batch, and such that leave a smaller one over, too */
        norm.group = range(m, 1, m->network->batch + 1);
        used += (size_t)snprintf(options + used, sizeof options - used, ", group=%d", norm.group);
    }
    used += (size_t)snprintf(options + used, sizeof options - used, "%s%s%s%s", norm.scale ? "" : ", scale=off",
                             norm.center ? "" : ", center=off", norm.unbiased ? ", unbiased=on" : "",
                             choose_trainable(m));
    assert(used < sizeof options);
    snprintf(name, sizeof name, "batchnorm_%d", ++m->norms);
    const char *arguments = c.any ? c.text + 1 : options[0] ? options + 1 : "";
    line(m, "batchnorm%s%s", arguments, c.any ? options : "");
    int y = ref_batchnorm(m->net, x, name, norm);
    return activate(m, trained_so(m, y, name, options), &c);
}

/* layernorm of pixels or of the sample, or groupnorm, with as many groups as may be. */
static int make_sample_norm(struct maker *m, int x)
{
    struct choice c = choose_activation(m, 40);
    struct ref_norm norm = {.epsilon = chance(m, 50) ? 1e-3 : 0.01, .scale = !chance(m, 25), .center = !chance(m, 20)};
    const struct ref_node *from = node_of(m, x);
    int kind = range(m, 0, 2), groups = 0, channels = from->c;
    bool whole = kind == 1 && !from->flat;
    char name[32], options[160];
    snprintf(options, sizeof options, "%s%s%s%s%s", norm.epsilon == 0.01 ? ", epsilon=0.01" : "",
             kind == 1 ? ", over=all" : "", norm.scale ? "" : ", scale=off", norm.center ? "" : ", center=off",
             choose_trainable(m));
    if (kind == 2) {
        groups = range(m, 1, channels < 8 ? channels : 8);
        while (channels % groups)
            groups--;
        if (chance(m, 10))
            groups = channels;
        snprintf(name, sizeof name, "groupnorm_%d", ++m->groupnorms);
        line(m, "groupnorm %d%s%s", groups, c.text, options);
    } else {
        snprintf(name, sizeof name, "layernorm_%d", ++m->layernorms);
        const char *arguments = c.any ? c.text + 1 : options[0] ? options + 1 : "";
        line(m, "layernorm%s%s", arguments, c.any ? options : "");
    }
    int y = ref_layernorm(m->net, x, name, norm, whole ? 1 : groups, whole);
    return activate(m, trained_so(m, y, name, options), &c);
}

static int make_lrn(struct maker *m, int x)
{
    static const double betas[] = {0.75, 0.5, 1, 0.6};
    int size = range(m, 1, chance(m, 20) ? 12 : 6);
    double alpha = range(m, 1, 8) / 16.0, beta = betas[range(m, 0, 3)], k = range(m, 1, 4) / 2.0;
    line(m, "lrn %d, alpha=%g, beta=%g, k=%g", size, alpha, beta, k);
    return ref_lrn(m->net, x, size, alpha, beta, k);
}

static int make_prelu(struct maker *m, int x)
{
    char name[32];
    const char *trainable = choose_trainable(m);
    snprintf(name, sizeof name, "prelu_%d", ++m->prelus);
    line(m, "prelu%s", *trainable ? trainable + 1 : "");
    return trained_so(m, ref_prelu(m->net, x, name), name, trainable);
}

static int make_scale(struct maker *m, int x)
{
    double factor = range(m, 1, 20) / (chance(m, 30) ? -8.0 : 8.0);
    line(m, "scale %g", factor);
    return ref_scale(m->net, x, factor);
}

static int put_dense(struct maker *m, int x, int units, struct choice c)
{
    bool bias = chance(m, 80);
    char name[32];
    snprintf(name, sizeof name, "dense_%d", ++m->denses);
    const char *trainable = choose_learning(m);
    line(m, "dense %d%s%s%s", units, c.text, bias ? "" : ", bias=off", trainable);
    m->budget -= (int64_t)units * node_of(m, x)->c;
    return activate(m, trained_so(m, ref_dense(m->net, x, name, units, bias), name, trainable), &c);
}

static int make_softmax(struct maker *m, int x)
{
    line(m, "softmax");
    return ref_softmax(m->net, x);
}

static int make_no_dropout(struct maker *m, int x)
{
    line(m, "dropout 0");
    return ref_dropout(m->net, x, 0);
}

/* ---- joins ----------------------------------------------------------------------------------------------------- */

/* Joins whose operands are alike, or spread. */
struct join {
    const char *word;
    int (*put)(struct ref_net *net, const int *x, int count);
};

static int make_join(struct maker *m, int x, int nesting);

static struct join choose_join(struct maker *m)
{
    return chance(m, 60) ? (struct join){"add", ref_add} : (struct join){"multiply", ref_multiply};
}

static void open_branch(struct maker *m)
{
    line(m, "branch {");
    m->depth++;
}

static void close_block(struct maker *m)
{
    m->depth--;
    line(m, "}");
}

/* A convolution that keeps height and width, with a filter count of its own. */
static int put_keeping_conv(struct maker *m, int x, int filters, int activation_percent)
{
    struct ref_window k = random_kernel(m);
    if (conv_cost(node_of(m, x), filters, &k) > m->budget / 4)
        k.kh = k.kw = 1;
    k = ref_window_same(k, node_of(m, x)->h, node_of(m, x)->w);
    return put_conv(m, x, filters, k, true, activation_percent);
}

/* Layers that end in x's own shape. */
static int make_keeping_body(struct maker *m, int x, int nesting)
{
    int channels = node_of(m, x)->c;
    if (chance(m, 30))
        x = chance(m, 40) ? make_batchnorm(m, x) : chance(m, 40) ? make_sample_norm(m, x) : make_activation(m, x);
    if (chance(m, 40) && m->budget > 100000)
        x = put_keeping_conv(m, x, range(m, 1, 24), 60);
    if (nesting < 2 && chance(m, 20) && m->budget > 100000)
        x = make_join(m, x, nesting + 1);
    const struct ref_window point = {.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    if (chance(m, 15) && conv_cost(node_of(m, x), channels, &point) <= m->budget / 6)
        x = put_local(m, x, channels, point, 30);
    else
        x = put_keeping_conv(m, x, channels, 30);
    return chance(m, 40) ? make_batchnorm(m, x) : x;
}

static int make_global_pool(struct maker *m, int x)
{
    if (chance(m, 35)) {
        line(m, "global_maxpool2d");
        return ref_global_maxpool(m->net, x);
    }
    line(m, "global_avgpool2d");
    return ref_global_avgpool(m->net, x);
}

static int spread_branch(struct maker *m, int x)
{
    int channels = node_of(m, x)->c;
    open_branch(m);
    if (chance(m, 30)) {
        struct ref_window k = {.kh = node_of(m, x)->h, .kw = node_of(m, x)->w, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
        if (conv_cost(node_of(m, x), channels, &k) <= m->budget / 4) {
            x = put_conv(m, x, channels, k, false, 50);
            close_block(m);
            return x;
        }
    }
    x = make_global_pool(m, x);
    if (chance(m, 70)) {
        struct choice c = choose_activation(m, 60);
        x = put_dense(m, x, channels, c);
    }
    close_block(m);
    return x;
}

static int keeping_branch(struct maker *m, int x, int nesting)
{
    open_branch(m);
    x = make_keeping_body(m, x, nesting);
    close_block(m);
    return x;
}

static int identity_branch(struct maker *m, int x)
{
    if (chance(m, 50)) {
        line(m, "branch {}");
    } else {
        open_branch(m);
        close_block(m);
    }
    return x;
}

/* Branches that change height, width and channels alike. */
static int strided_branch(struct maker *m, int x, int filters, int sh, int sw, int nesting)
{
    struct ref_window k = random_kernel(m);
    open_branch(m);
    if (chance(m, 30)) {
        k.sh = sh;
        k.sw = sw;
        k = ref_window_same(k, node_of(m, x)->h, node_of(m, x)->w);
        enum ref_kind kind = chance(m, 50) ? REF_MAXPOOL : REF_AVGPOOL;
        line(m, "%s %dx%d, stride=%dx%d, padding=same", kind == REF_MAXPOOL ? "maxpool2d" : "avgpool2d", k.kh, k.kw,
             sh, sw);
        x = ref_pool(m->net, x, kind, k);
        x = put_keeping_conv(m, x, filters, 40);
    } else {
        k.sh = sh;
        k.sw = sw;
        if (conv_cost(node_of(m, x), filters, &k) > m->budget / 4)
            k.kh = k.kw = 1;
        bool same = k.kh > 1 || k.kw > 1 || chance(m, 50);
        if (same)
            k = ref_window_same(k, node_of(m, x)->h, node_of(m, x)->w);
        x = put_conv(m, x, filters, k, same, 60);
        if (chance(m, 40))
            x = make_batchnorm(m, x);
        if (nesting < 2 && chance(m, 15))
            x = make_join(m, x, nesting + 1);
    }
    close_block(m);
    return x;
}

/* A layer with a name: what it makes can be joined further down. */
static int make_mark(struct maker *m, int x, char *name, size_t size)
{
    snprintf(name, size, "mark_%d", ++m->marks);
    if (chance(m, 30)) {
        line(m, "scale 1 as %s", name);
        return x;
    }
    if (chance(m, 40)) {
        line(m, "scale 0.75 as %s", name);
        return ref_scale(m->net, x, 0.75);
    }
    line(m, "relu as %s", name);
    return ref_activate(m->net, x, REF_RELU, 1);
}

/* `concat a, b` of named results; also of one twice, or of that which arrives. */
static int make_named_join(struct maker *m, int x, const struct join *join, int nesting)
{
    char first[24], second[24];
    int parts[REF_MAX_INPUTS], count = 1;
    parts[1] = make_mark(m, x, first, sizeof first);
    bool twice = chance(m, 25);
    x = make_keeping_body(m, parts[1], nesting + 1);
    if (!twice && chance(m, 50)) {
        x = parts[2] = make_mark(m, x, second, sizeof second);
        if (chance(m, 60))
            x = make_keeping_body(m, x, nesting + 1);
        line(m, "%s %s, %s", join->word, first, second);
        count = 3;
    } else {
        parts[2] = parts[1];
        line(m, twice ? "%s %s, %s" : "%s %s", join->word, first, first);
        count = twice ? 3 : 2;
    }
    parts[0] = x;
    return join->put(m->net, parts, count);
}

/* nesting > 0: the result has x's shape. */
static int make_join(struct maker *m, int x, int nesting)
{
    int parts[REF_MAX_INPUTS], count = 0, form = range(m, 0, 9);
    struct join join = choose_join(m);
    if (nesting < 2 && chance(m, 25))
        return make_named_join(m, x, &join, nesting);
    line(m, "%s {", join.word);
    m->depth++;
    if (form < 4) {                     /* residual, the identity first or last */
        bool first = chance(m, 50);
        if (first)
            parts[count++] = identity_branch(m, x);
        parts[count++] = keeping_branch(m, x, nesting);
        if (chance(m, 25))
            parts[count++] = keeping_branch(m, x, nesting);
        if (!first)
            parts[count++] = identity_branch(m, x);
    } else if (form < 7) {              /* a change of shape */
        int filters = range(m, 1, 32), sh = range(m, 1, 2), sw = range(m, 1, 2);
        if (nesting > 0) {              /* the branch around it counts on its shape */
            filters = node_of(m, x)->c;
            sh = sw = 1;
        }
        int branches = chance(m, 25) ? 3 : 2;
        while (count < branches)
            parts[count++] = strided_branch(m, x, filters, sh, sw, nesting);
    } else if (form < 9) {              /* a vector spread over the map */
        bool first = chance(m, 40);
        if (first)
            parts[count++] = spread_branch(m, x);
        parts[count++] = chance(m, 50) ? identity_branch(m, x) : keeping_branch(m, x, nesting);
        if (!first)
            parts[count++] = spread_branch(m, x);
    } else {                            /* twice the same */
        parts[count++] = identity_branch(m, x);
        parts[count++] = identity_branch(m, x);
    }
    close_block(m);
    return join.put(m->net, parts, count);
}

/* Layers that keep rows and columns. */
static int concat_branch(struct maker *m, int x)
{
    open_branch(m);
    switch (range(m, 0, 3)) {
    case 0: {
        struct ref_window k = {.kh = 3, .kw = 2, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
        k = ref_window_same(k, node_of(m, x)->h, node_of(m, x)->w);
        enum ref_kind kind = chance(m, 50) ? REF_MAXPOOL : REF_AVGPOOL;
        line(m, "%s 3x2, stride=1, padding=same", kind == REF_MAXPOOL ? "maxpool2d" : "avgpool2d");
        x = ref_pool(m->net, x, kind, k);
        break;
    }
    case 1:
        x = make_activation(m, x);
        break;
    default:
        if (chance(m, 40))
            x = make_batchnorm(m, x);
        x = put_keeping_conv(m, x, range(m, 1, 24), 60);
    }
    close_block(m);
    return x;
}

static int make_concat(struct maker *m, int x)
{
    int parts[REF_MAX_INPUTS], count = range(m, 2, 3), identity = range(m, -1, count - 1);
    line(m, "concat {");
    m->depth++;
    for (int i = 0; i < count; i++)
        parts[i] = i == identity ? identity_branch(m, x) : concat_branch(m, x);
    close_block(m);
    return ref_concat(m->net, parts, count);
}

/* Each layer sees the results of all before it, and adds its own. */
static int make_dense_block(struct maker *m, int x)
{
    int layers = range(m, 2, 4), growth = range(m, 1, 12);
    for (int i = 0; i < layers && m->budget > 100000; i++) {
        int parts[2];
        bool before = chance(m, 60);
        line(m, "concat {");
        m->depth++;
        if (before)
            parts[0] = identity_branch(m, x);
        open_branch(m);
        int y = make_batchnorm(m, x);
        y = put_keeping_conv(m, y, growth, 30);
        close_block(m);
        if (!before)
            parts[1] = identity_branch(m, x);
        parts[before] = y;
        close_block(m);
        x = ref_concat(m->net, parts, 2);
    }
    return x;
}

static int make_any_join(struct maker *m, int x)
{
    static const struct join concat = {"concat", ref_concat};
    switch (range(m, 0, 9)) {
    case 0: case 1: return make_concat(m, x);
    case 2: return make_dense_block(m, x);
    case 3: return make_named_join(m, x, &concat, 1);
    default: return make_join(m, x, 0);
    }
}

static int make_flat_concat(struct maker *m, int x)
{
    int parts[3], count = range(m, 2, 3);
    line(m, "concat {");
    m->depth++;
    parts[0] = identity_branch(m, x);
    for (int i = 1; i < count; i++) {
        int units = range(m, 1, 12);
        open_branch(m);
        parts[i] = chance(m, 30) ? make_activation(m, x) : put_dense(m, x, units, choose_activation(m, 60));
        close_block(m);
    }
    close_block(m);
    return ref_concat(m->net, parts, count);
}

static int make_flat_join(struct maker *m, int x)
{
    int width = node_of(m, x)->c, parts[2];
    struct join join = choose_join(m);
    if ((int64_t)width * width > m->budget / 2)
        return x;
    if (chance(m, 35))
        return make_flat_concat(m, x);
    bool first = chance(m, 50);
    line(m, "%s {", join.word);
    m->depth++;
    if (first)
        parts[0] = identity_branch(m, x);
    open_branch(m);
    int y = x;
    if (chance(m, 30))
        y = make_activation(m, y);
    y = put_dense(m, y, width, choose_activation(m, 60));
    parts[first] = y;
    close_block(m);
    if (!first)
        parts[1] = identity_branch(m, x);
    close_block(m);
    return join.put(m->net, parts, 2);
}

/* ---- whole networks -------------------------------------------------------------------------------------------- */

static int make_map_layer(struct maker *m, int x)
{
    int p = range(m, 1, 100);
    if (p <= 26)
        return make_conv(m, x);
    if (p <= 37)
        return make_grouped(m, x);
    if (p <= 41)
        return make_local(m, x);
    if (p <= 49)
        return make_transposed(m, x);
    if (p <= 55)
        return make_move(m, x);
    if (p <= 64)
        return make_pool(m, x);
    if (p <= 69)
        return make_batchnorm(m, x);
    if (p <= 73)
        return make_sample_norm(m, x);
    if (p <= 76)
        return chance(m, 50) ? make_lrn(m, x) : make_prelu(m, x);
    if (p <= 80)
        return make_activation(m, x);
    if (p <= 82)
        return make_softmax(m, x);
    if (p <= 84)
        return make_no_dropout(m, x);
    if (p <= 87)
        return make_scale(m, x);
    if (ref_node_size(node_of(m, x)) > 6000 || m->budget < 100000)
        return x;
    return make_any_join(m, x);
}

static int make_flat_layer(struct maker *m, int x)
{
    int p = range(m, 1, 100), units = random_channels(m);
    if (p <= 50 && (int64_t)units * node_of(m, x)->c <= m->budget / 2)
        return put_dense(m, x, units, choose_activation(m, 70));
    if (p <= 60)
        return make_batchnorm(m, x);
    if (p <= 67)
        return make_sample_norm(m, x);
    if (p <= 69)
        return make_prelu(m, x);
    if (p <= 75)
        return make_activation(m, x);
    if (p <= 79)
        return make_softmax(m, x);
    if (p <= 82)
        return make_no_dropout(m, x);
    if (p <= 86)
        return make_scale(m, x);
    return make_flat_join(m, x);
}

static int make_flatten(struct maker *m, int x)
{
    line(m, "flatten");
    return ref_flatten(m->net, x);
}

static const char *end_word(const struct maker *m)
{
    static const char *const words[] = {[REF_END_SOFTMAX] = "softmax", [REF_END_SIGMOID] = "sigmoid", [REF_END_PLAIN] = NULL};
    return words[m->net->objective.end];
}

/* What is before the end, and the end, as the last layer's activation or as a layer. */
static int end_dense(struct maker *m, int x, int outputs)
{
    struct choice c = {.any = false};
    const char *end = end_word(m);
    if (!end)
        return put_dense(m, x, outputs, choose_activation(m, 30));
    if (chance(m, 60)) {
        snprintf(c.text, sizeof c.text, ", %s", end);
        return put_dense(m, x, outputs, c);
    }
    x = put_dense(m, x, outputs, c);
    if (chance(m, 25))
        x = make_scale(m, x);
    line(m, "%s", end);
    return x;
}

/* Ends without a dense layer: outputs from a convolution or from the map itself. */
static int end_without_dense(struct maker *m, int x, int outputs)
{
    int64_t size = ref_node_size(node_of(m, x));
    struct ref_window whole = {.kh = node_of(m, x)->h, .kw = node_of(m, x)->w, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    if (size >= 2 && size <= NETWORK_CLASSES && !m->lone && chance(m, 50)) {
        x = make_flatten(m, x);
    } else if (chance(m, 50) && conv_cost(node_of(m, x), outputs, &whole) <= m->budget) {
        x = put_conv(m, x, outputs, whole, false, 0);
        x = make_flatten(m, x);
    } else {
        x = put_keeping_conv(m, x, outputs, 20);
        x = make_global_pool(m, x);
    }
    if (end_word(m))
        line(m, "%s", end_word(m));
    return x;
}

static int make_plain(struct maker *m, int x)
{
    int layers = range(m, 1, 7), classes = chance(m, 15) ? range(m, 13, 40) : range(m, 2, 12);
    if (m->lone)
        classes = 1;
    for (int i = 0; i < layers; i++)
        x = make_map_layer(m, x);
    if (chance(m, 20))
        return end_without_dense(m, x, classes);
    while (ref_node_size(node_of(m, x)) > 3000)
        x = make_pool(m, x);
    x = chance(m, 25) ? make_global_pool(m, x) : make_flatten(m, x);
    layers = range(m, 0, 3);
    for (int i = 0; i < layers; i++)
        x = make_flat_layer(m, x);
    return end_dense(m, x, classes);
}

/* The input again: layers that keep its size, or halve it and double it. */
static int make_copy(struct maker *m, int x)
{
    const struct ref_node *in = node_of(m, 0);
    int layers = range(m, 1, 3), channels = in->c;
    bool halved = in->h % 2 == 0 && in->w % 2 == 0 && chance(m, 60);
    if (halved) {
        struct ref_window k = {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .dh = 1, .dw = 1};
        x = put_conv(m, x, range(m, 2, 16), ref_window_same(k, in->h, in->w), true, 70);
    }
    for (int i = 0; i < layers && m->budget > 100000; i++)
        x = chance(m, 60) ? put_keeping_conv(m, x, range(m, 1, 20), 60) : make_batchnorm(m, x);
    if (halved) {
        struct ref_window k = {.kh = range(m, 2, 4), .kw = range(m, 2, 4), .sh = 2, .sw = 2, .dh = 1, .dw = 1};
        transposed_same(k.kh, 2, &k.top, &k.bottom);
        transposed_same(k.kw, 2, &k.left, &k.right);
        x = put_transposed(m, x, range(m, 1, 12), k, true, (int[]){0, 0});
    }
    x = put_keeping_conv(m, x, channels, m->net->objective.end == REF_END_PLAIN ? 30 : 0);
    if (end_word(m))
        line(m, "%s", end_word(m));
    return x;
}

/* Small maps of many channels: what is cut by panels of channels. */
static int make_wide(struct maker *m, int x)
{
    struct ref_window point = {.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    int layers = range(m, 1, 2), classes = range(m, 2, 12);
    x = put_conv(m, x, 16 * range(m, 8, 9), point, false, 50);
    for (int i = 0; i < layers; i++) {
        struct ref_window k = point;
        k.kh = range(m, 2, 3);
        k.kw = chance(m, 70) ? k.kh : range(m, 2, 3);
        k = ref_window_same(k, node_of(m, x)->h, node_of(m, x)->w);
        x = put_conv(m, x, chance(m, 85) ? 16 * range(m, 8, 9) : range(m, 120, 140), k, true, 50);
        if (chance(m, 50))
            x = make_batchnorm(m, x);
    }
    x = chance(m, 50) ? make_global_pool(m, x) : make_flatten(m, x);
    return end_dense(m, x, classes);
}

static int make_with_dropout(struct maker *m, int x)
{
    int layers = m->network->kind == NETWORK_DROPOUT_FIRST ? 0 : range(m, 1, 4), classes = range(m, 2, 10);
    for (int i = 0; i < layers; i++)
        x = make_map_layer(m, x);
    while (ref_node_size(node_of(m, x)) > 3000)
        x = make_pool(m, x);
    bool flat = chance(m, 40);
    if (flat)
        x = make_flatten(m, x);
    double rate = range(m, 1, 7) / 8.0;
    m->network->by_channel = !flat && chance(m, 40);
    line(m, "%s %g", m->network->by_channel ? "spatial_dropout2d" : "dropout", rate);
    x = ref_dropout(m->net, x, rate);
    m->network->dropout = x;
    if (!flat)
        x = make_flatten(m, x);
    return end_dense(m, x, classes);
}

/* Values that keep signals of about one in size through many layers. */
static void draw_params(struct maker *m)
{
    for (int i = 0; i < m->net->params_count; i++) {
        struct ref_param *p = &m->net->params[i];
        bool kernel = p->rank > 1 && p->rank != 3 && p->role == REF_WEIGHT, variance = strstr(p->name, "running_var") != NULL;
        int64_t outputs = p->rank == 6 ? p->shape[0] * p->shape[1] * p->shape[2] : p->shape[0];
        double deviation = kernel ? sqrt(2 / (double)(p->count / outputs)) : 0.3;
        for (int64_t j = 0; j < p->count; j++) {
            if (variance || (p->role == REF_WEIGHT && !kernel))
                p->value[j] = ref_uniform(&m->random, 0.5, 1.5);
            else
                p->value[j] = deviation * ref_normal(&m->random);
        }
    }
}

/* ---- recipes --------------------------------------------------------------------------------------------------- */

/* What is learnt, from which loss; networks with a dropout that is read off gradients keep to the simplest. */
static void choose_objective(struct maker *m, bool simple)
{
    struct ref_loss *o = &m->net->objective;
    int form = simple ? 0 : ref_range(&m->recipe, 0, 9);
    *o = (struct ref_loss){.kind = REF_CROSSENTROPY, .end = REF_END_SOFTMAX, .delta = 0.75};
    m->decays = !simple && recipe_chance(m, 30) ? 40 : 0;
    if (form < 4) {
        o->smoothing = !simple && recipe_chance(m, 40) ? 0.125 * ref_range(&m->recipe, 1, 4) : 0;
        return;
    }
    bool binary = form < 6;
    m->network->target = (enum network_target)ref_range(&m->recipe, NETWORK_OF_CLASSES, binary ? 4 : NETWORK_OF_INPUT);
    if (binary && m->network->target >= NETWORK_OF_NUMBERS)     /* of numbers between 0 and 1 there are none here */
        m->network->target = m->network->target == NETWORK_OF_NUMBERS ? NETWORK_OF_CLASSES : NETWORK_OF_LABELS;
    o->kind = binary ? REF_BINARY : (enum ref_loss_kind)ref_range(&m->recipe, REF_MSE, REF_BENT);
    o->numbers = m->network->target != NETWORK_OF_CLASSES;
    o->smoothing = binary && recipe_chance(m, 40) ? 0.125 * ref_range(&m->recipe, 1, 4) : 0;
    if (binary || m->network->target == NETWORK_OF_LABELS)
        o->end = REF_END_SIGMOID;
    else if (m->network->target == NETWORK_OF_CLASSES)
        o->end = recipe_chance(m, 50) ? REF_END_SIGMOID : REF_END_SOFTMAX;
    else
        o->end = recipe_chance(m, 30) ? REF_END_SIGMOID : REF_END_PLAIN;
    m->lone = m->network->target != NETWORK_OF_INPUT && o->end != REF_END_SOFTMAX && recipe_chance(m, 30);
}

static void choose_optimizer(struct maker *m, char *text, size_t size)
{
    static const char *const names[] = {"adam", "nadam", "sgd", "rmsprop", "adagrad"};
    struct ref_optimizer *o = &m->network->optimizer;
    *o = (struct ref_optimizer){.lr = chance(m, 50) ? 0.001 : 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7};
    bool other = chance(m, 30);
    o->kind = recipe_chance(m, 50) ? REF_ADAM : (enum ref_optimizer_kind)ref_range(&m->recipe, REF_NADAM, REF_ADAGRAD);
    size_t used = (size_t)snprintf(text, size, "%s, lr=%g", names[o->kind], o->lr);
#define SAY(...) used += (size_t)snprintf(text + used, size - used, __VA_ARGS__)
    if (o->kind <= REF_NADAM && other) {
        o->beta1 = 0.8, o->beta2 = 0.99, o->epsilon = 1e-5;
        SAY(", beta1=0.8, beta2=0.99, epsilon=1e-5");
    }
    if (o->kind == REF_ADAM && recipe_chance(m, 30)) {
        o->amsgrad = true;
        SAY(", amsgrad=on");
    }
    if (o->kind == REF_SGD && other) {
        o->momentum = 0.75, o->nesterov = recipe_chance(m, 50);
        SAY(", momentum=0.75%s", o->nesterov ? ", nesterov=on" : "");
    }
    o->rho = o->kind == REF_RMSPROP ? 0.9 : 0.1;
    if (o->kind == REF_RMSPROP && other) {
        o->rho = 0.75, o->momentum = 0.5, o->centered = recipe_chance(m, 50);
        SAY(", rho=0.75, momentum=0.5%s", o->centered ? ", centered=on" : "");
    }
    if (o->kind == REF_ADAGRAD && other) {
        o->rho = 0.5;
        SAY(", initial_accumulator=0.5");
    }
    if (recipe_chance(m, 30)) {
        o->weight_decay = 0.125, o->coupled = recipe_chance(m, 40);
        SAY(", weight_decay=0.125%s", o->coupled ? ", coupled=on" : "");
    }
    if (recipe_chance(m, 20)) {
        o->clip_norm = 0.5;
        SAY(", clip_norm=0.5");
    }
    if (recipe_chance(m, 20)) {
        o->clip_value = 0.03125;
        SAY(", clip_value=0.03125");
    }
    if (recipe_chance(m, 15))           /* averages are kept beside: what is trained is the same */
        SAY(", ema=0.75");
#undef SAY
    assert(used < size);
}

static void write_loss(struct maker *m)
{
    static const char *const names[] = {
        "categorical_crossentropy", "binary_crossentropy", "mse", "mae", "huber", "bent"
    };
    const struct ref_loss *o = &m->net->objective;
    struct network *n = m->network;
    fprintf(m->out, "    loss %s", names[o->kind]);
    if (o->smoothing > 0)
        fprintf(m->out, ", label_smoothing=%g", o->smoothing);
    if (o->kind == REF_HUBER || o->kind == REF_BENT)
        fprintf(m->out, ", %s=%g", o->kind == REF_HUBER ? "delta" : "a", o->delta);
    fputc('\n', m->out);
    if (n->target != NETWORK_OF_CLASSES || n->kind != NETWORK_PLAIN || !recipe_chance(m, 30))
        return;
    int classes = n->outputs == 1 ? 2 : n->outputs;
    for (int k = 0; k < classes; k++) {
        n->class_weights[k] = 0.25 * ref_range(&m->recipe, k == 0, 12);
        fprintf(m->out, "%s%g%s", k ? ", " : "    class_weights [", n->class_weights[k], k + 1 == classes ? "]\n" : "");
    }
    m->net->objective.class_weights = n->class_weights;
}

static void write_data(struct maker *m)
{
    static const char *const targets[] = {"classes", "labels", "numbers"};
    if (m->network->target == NETWORK_OF_INPUT)
        fputs("data {\n    npy x=\"x.npy\"\n    split 0.5\n    target input\n}\n\n", m->out);
    else if (m->net->objective.kind != REF_CROSSENTROPY)
        fprintf(m->out, "data {\n    npy x=\"x.npy\", y=\"y.npy\", targets=%s\n    split 0.5\n}\n\n",
                targets[m->network->target]);
}

static void write_train(struct maker *m)
{
    struct network *n = m->network;
    char optimizer[300];
    fputs("}\n\ntrain {\n", m->out);
    choose_optimizer(m, optimizer, sizeof optimizer);
    write_loss(m);
    fprintf(m->out, "    optimizer %s\n", optimizer);
    if (n->measured)
        fprintf(m->out, "    metrics accuracy%s\n", n->f1 ? ", f1_score" : "");
    fprintf(m->out, "    epochs 1\n    batch %d\n    seed 3\n}\n", n->batch);
    if (m->bends)
        fputs("\nactivation bend(x) = x * tanh(softplus(x))\n", m->out);
    if (m->net->objective.kind == REF_BENT)
        fputs("\nloss bent(y, p, a=0.5) = mean(a * (p - y)^4 + abs(y) * (p - y)^2)\n", m->out);
}

void network_targets(const struct network *n, uint64_t *random, const double *input, int count, int32_t *labels,
                     double *targets)
{
    int classes = n->outputs == 1 ? 2 : n->outputs;
    for (int i = 0; i < count && n->target == NETWORK_OF_CLASSES; i++)
        labels[i] = ref_range(random, 0, classes - 1);
    for (int64_t j = 0; j < (int64_t)count * n->outputs && n->target != NETWORK_OF_CLASSES; j++)
        targets[j] = n->target == NETWORK_OF_INPUT    ? input[j]
                     : n->target == NETWORK_OF_LABELS ? ref_range(random, 0, 1)
                                                      : (double)(float)ref_normal(random);
}

static const char f1_score[] =
    "metric f1_score(y, p) higher_is_better {\n"
    "    hits      = sum(round(clip(y * p, 0, 1)))\n"
    "    predicted = sum(round(clip(p, 0, 1)))\n"
    "    actual    = sum(round(clip(y, 0, 1)))\n"
    "    precision = if predicted == 0 then 0 else hits / predicted\n"
    "    recall    = if actual == 0 then 0 else hits / actual\n"
    "    return if precision + recall == 0 then 0 else 2 * precision * recall / (precision + recall)\n"
    "}\n\n";

struct network *network_generate(uint64_t seed, int batch)
{
    struct network *n = calloc(1, sizeof *n);
    if (!n)
        abort();
    struct maker m = {.network = n, .net = &n->net, .random = seed * 0x2545f4914f6cdd1du + 7, .depth = 1};
    size_t size;
    m.out = open_memstream(&n->text, &size);
    n->seed = seed;
    n->dropout = -1;
    n->kind = seed % 16 == 5 ? NETWORK_DROPOUT_FIRST : seed % 16 == 11 ? NETWORK_DROPOUT_LAST : NETWORK_PLAIN;
    n->batch = chance(&m, 8) ? 16 : chance(&m, 4) ? 33 : range(&m, 1, 9);
    n->f1 = chance(&m, 20);
    m.recipe = seed * 0x9e6c63d0876a9a47u + 11;
    m.budget = 4000000 / n->batch < 1200000 ? 4000000 / n->batch : 1200000;
    if (batch) {                /* with layers as large as the time allows */
        n->batch = batch;
        m.budget = 4000000 / batch;
    }
    int c = chance(&m, 50) ? range(&m, 1, 4) : random_channels(&m);
    int h = range(&m, 4, 20), w = range(&m, 4, 20);
    if (h == w && chance(&m, 80))
        w += 3;
    bool wide = !batch && seed % 16 == 14;
    if (wide) {
        n->batch = range(&m, 6, 12);
        c = range(&m, 1, 4), h = range(&m, 2, 4), w = range(&m, 2, 4);
    }
    while (c * h * w > 6000)
        c = c / 2 + 1, h = h / 2 + 2;
    choose_objective(&m, n->kind != NETWORK_PLAIN);
    n->measured = n->net.objective.end == REF_END_SOFTMAX;
    n->f1 &= n->measured;
    fprintf(m.out, "# seed %llu\nmodel random_%llu\n\n%s", (unsigned long long)seed, (unsigned long long)seed,
            n->f1 ? f1_score : "");
    write_data(&m);
    fputs("network {\n", m.out);
    line(&m, "input %dx%dx%d", c, h, w);
    int x = ref_input(&n->net, c, h, w);
    x = n->target == NETWORK_OF_INPUT ? make_copy(&m, x) : wide ? make_wide(&m, x)
        : n->kind == NETWORK_PLAIN    ? make_plain(&m, x) : make_with_dropout(&m, x);
    n->outputs = (int)ref_node_size(&n->net.nodes[x]);
    write_train(&m);
    fclose(m.out);
    draw_params(&m);
    ref_prepare(&n->net, n->batch);
    return n;
}

/* A safetensors file: the length of its header, the header, the numbers one after the other. */
bool network_write_weights(struct network *network, const char *path)
{
    struct ref_net *net = &network->net;
    char *header = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&header, &length), *f = fopen(path, "wb");
    long long at = 0;
    if (!text || !f)
        return false;
    for (int i = 0; i < net->params_count; i++) {
        const struct ref_param *p = &net->params[i];
        fprintf(text, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? "," : "{", p->name);
        for (int d = 0; d < p->rank; d++)
            fprintf(text, "%s%lld", d ? "," : "", (long long)p->shape[d]);
        fprintf(text, "],\"data_offsets\":[%lld,%lld]}", at, at + 4 * (long long)p->count);
        at += 4 * (long long)p->count;
    }
    fputs(net->params_count ? "}" : "{}", text);
    fclose(text);
    for (int i = 0; i < 8; i++)
        fputc((int)(length >> (8 * i) & 255), f);
    fwrite(header, 1, length, f);
    free(header);
    for (int i = 0; i < net->params_count; i++)
        for (int64_t k = 0; k < net->params[i].count; k++) {
            float value = (float)net->params[i].value[k];
            net->params[i].value[k] = (double)value;
            fwrite(&value, sizeof value, 1, f);
        }
    return fclose(f) == 0;
}

void network_free(struct network *network)
{
    ref_free(&network->net);
    free(network->text);
    free(network);
}
