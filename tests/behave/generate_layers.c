/* generate_layers.c - layers of random networks: activations, layers with a window, normalisations, dense ones. */
#include "generate_parts.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) void write_line(struct maker *m, const char *format, ...)
{
    fprintf(m->out, "%*s", 4 * m->depth, "");
    va_list args;
    va_start(args, format);
    vfprintf(m->out, format, args);
    va_end(args);
    fputc('\n', m->out);
}

/* ---- activations --------------------------------------------------------------------------------------------- */

static const char *const activation_names[REF_ACTIVATIONS] = {
#define REF_ACTIVATION(id, name, ...) #name,
#include "reference_activations.def"
#undef REF_ACTIVATION
};

struct choice choose_activation(struct maker *m, int percent)
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

int make_activation(struct maker *m, int x)
{
    struct choice c = choose_activation(m, 100);
    const char *name = activation_names[c.activation];
    if (strchr(c.text, '('))
        write_line(m, "%s %g", name, c.alpha);
    else
        write_line(m, "%s", name);
    return activate(m, x, &c);
}

/* An option of any layer; its weights stay as they are then, and its biases learn.  Where there is a dropout its mask
 * is read off a gradient of weights. */
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

int random_channels(struct maker *m)
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
int put_conv(struct maker *m, int x, int filters, struct ref_window k, bool same, int activation_percent)
{
    struct choice c = choose_activation(m, activation_percent);
    bool bias = chance(m, 80);
    char name[32], kernel[32], options[96];
    snprintf(name, sizeof name, "conv2d_%d", ++m->convs);
    extent(kernel, sizeof kernel, k.kh, k.kw, chance(m, 20));
    window_options(m, options, sizeof options, &k, same, k.sh != 1 || k.sw != 1);
    const char *trainable = choose_learning(m);
    write_line(m, "conv2d %d, %s%s%s%s%s", filters, kernel, c.text, options, bias ? "" : ", bias=off", trainable);
    int y = trained_so(m, ref_conv2d(m->net, x, name, filters, k, bias), name, trainable);
    m->budget -= ref_node_size(node_of(m, y)) * node_of(m, x)->c * k.kh * k.kw;
    return activate(m, y, &c);
}

int64_t conv_cost(const struct ref_node *x, int filters, const struct ref_window *k)
{
    int64_t h = ref_window_out(x->h, k->kh, k->sh, k->dh, k->top + k->bottom);
    int64_t w = ref_window_out(x->w, k->kw, k->sw, k->dw, k->left + k->right);
    return h * w * filters * x->c * k->kh * k->kw;
}

struct ref_window random_kernel(struct maker *m)
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

int make_conv(struct maker *m, int x)
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
    write_line(m, "depthwise_conv2d %s%s%s%s%s%s", t.kernel, t.activation.text, t.options, more, bias_off(&t),
               t.trainable);
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
    write_line(m, "separable_conv2d %d, %s%s%s%s%s%s", filters, t.kernel, t.activation.text, t.options, more,
               bias_off(&t), t.trainable);
    int y = ref_grouped_conv2d(m->net, x, name, "depthwise.", channels * multiplier, channels, k, false);
    y = ref_grouped_conv2d(m->net, y, name, "pointwise.", filters, 1, point, t.bias);
    return activate(m, trained_so(m, y, name, t.trainable), &t.activation);
}

static int put_grouped(struct maker *m, int x, int groups, int filters, struct ref_window k, bool same)
{
    struct conv_text t = conv_text(m, &k, same);
    char name[32];
    snprintf(name, sizeof name, "conv2d_%d", ++m->convs);
    write_line(m, "conv2d %d, %s%s%s, groups=%d%s%s", filters, t.kernel, t.activation.text, t.options, groups,
               bias_off(&t), t.trainable);
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
int make_grouped(struct maker *m, int x)
{
    for (int tries = 0; tries < 8; tries++) {
        bool same;
        struct ref_window k = random_window(m, x, &same);
        int channels = node_of(m, x)->c, form = range(m, 0, 9), multiplier = chance(m, 60) ? 1 : range(m, 2, 4);
        int filters = random_channels(m), groups = divisor(m, channels);
        if (form >= 6)          /* of few channels each, or of whole vectors of them */
            filters = groups * (chance(m, 30) ? 8 * range(m, 1, 2) : range(m, 1, 1 + 40 / groups));
        if (!window_fits(node_of(m, x), &k)
            || conv_cost(node_of(m, x), form < 6 ? multiplier : filters / groups, &k) > m->budget / 3)
            continue;
        int y = form < 4 ? put_depthwise(m, x, multiplier, k, same)
                : form < 6 ? put_separable(m, x, multiplier, filters, k, same) : put_grouped(m, x, groups, filters, k,
                        same);
        m->budget -= ref_node_size(node_of(m, y)) * k.kh * k.kw * (form < 6 ? 1 : channels / groups);
        return y;
    }
    return x;
}

/* Writes and adds a locally connected layer; the window has no padding. */
int put_local(struct maker *m, int x, int filters, struct ref_window k, int activation_percent)
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
    write_line(m, "locally_connected2d %d, %s%s%s%s%s", filters, kernel, c.text, options, bias ? "" : ", bias=off",
               trainable);
    int y = trained_so(m, ref_locally_connected2d(m->net, x, name, filters, k, bias), name, trainable);
    m->budget -= ref_node_size(node_of(m, y)) * node_of(m, x)->c * k.kh * k.kw;
    return activate(m, y, &c);
}

int make_local(struct maker *m, int x)
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
void transposed_same(int reach, int stride, int *before, int *after)
{
    int off = reach > stride ? reach - stride : 0;
    *before = off / 2;
    *after = off - *before;
}

int put_transposed(struct maker *m, int x, int filters, int groups, struct ref_window k, bool same, const int *more)
{
    struct choice c = choose_activation(m, 65);
    bool bias = chance(m, 80);
    char name[40], kernel[32], options[96], longer[64] = "", given[32], parts[24] = "";
    snprintf(name, sizeof name, "conv2d_transpose_%d", ++m->transposed);
    extent(kernel, sizeof kernel, k.kh, k.kw, chance(m, 20));
    window_options(m, options, sizeof options, &k, same, k.sh != 1 || k.sw != 1);
    extent(given, sizeof given, more[0], more[1], chance(m, 50));
    if (!same && (more[0] || more[1]))
        snprintf(longer, sizeof longer, ", output_padding=%s", given);
    if (groups > 1)
        snprintf(parts, sizeof parts, ", groups=%d", groups);
    const char *trainable = choose_learning(m);
    write_line(m, "conv2d_transpose %d, %s%s%s%s%s%s%s", filters, kernel, c.text, options, longer, parts,
               bias ? "" : ", bias=off", trainable);
    m->budget -= ref_node_size(node_of(m, x)) * (filters / groups) * k.kh * k.kw;
    int y = ref_conv2d_transpose(m->net, x, name, filters, groups, k, more, bias);
    return activate(m, trained_so(m, y, name, trainable), &c);
}

int make_transposed(struct maker *m, int x)
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
        int filters = random_channels(m), from_h = node_of(m, x)->h, from_w = node_of(m, x)->w, groups = 1;
        if (chance(m, 35)) {        /* of few channels each, or of whole vectors of them */
            groups = divisor(m, node_of(m, x)->c);
            filters = groups * (chance(m, 30) ? 8 * range(m, 1, 2) : range(m, 1, 1 + 40 / groups));
        }
        int h = (from_h - 1) * k.sh + high - k.top - k.bottom + more[0];
        int w = (from_w - 1) * k.sw + wide - k.left - k.right + more[1];
        int64_t cost = ref_node_size(node_of(m, x)) * (filters / groups) * k.kh * k.kw;
        if (h > 0 && w > 0 && is_affordable(m, filters, h, w) && cost <= m->budget / 2)
            return put_transposed(m, x, filters, groups, k, same, more);
    }
    return x;
}

/* Zeros around the map or beside its channels, pixels made into several, another shape. */
int make_move(struct maker *m, int x)
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
        write_line(m, "zero_pad2d %s", text);
        return ref_zero_pad(m->net, x, a, b, c, d);
    case 1:
        if (chance(m, 40))
            a = c = range(m, 1, 9);
        if (!is_affordable(m, from.c + a + c, from.h, from.w))
            return x;
        extent(text, sizeof text, a, c, chance(m, 70));
        write_line(m, "pad_channels %s", text);
        return ref_pad_channels(m->net, x, a, c);
    case 2:
        a = range(m, 1, 3);
        c = chance(m, 50) ? a : range(m, 1, 4);
        if (!is_affordable(m, from.c, from.h * a, from.w * c))
            return x;
        bool bilinear = chance(m, 40);
        extent(text, sizeof text, a, c, chance(m, 50));
        write_line(m, "upsample2d %s%s", text, bilinear ? ", mode=bilinear" : chance(m, 20) ? ", mode=nearest" : "");
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
        write_line(m, "reshape %dx%dx%d", from.c, from.h, from.w);
        return ref_reshape(m->net, x, from.c, from.h, from.w, false);
    }
}

int make_pool(struct maker *m, int x)
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
        write_line(m, "%s %s%s", kind == REF_MAXPOOL ? "maxpool2d" : "avgpool2d", kernel, options);
        return ref_pool(m->net, x, kind, k);
    }
    return x;
}

int make_batchnorm(struct maker *m, int x)
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
    write_line(m, "batchnorm%s%s", arguments, c.any ? options : "");
    int y = ref_batchnorm(m->net, x, name, norm);
    return activate(m, trained_so(m, y, name, options), &c);
}

/* layernorm of pixels or of the sample, or groupnorm, with as many groups as may be. */
int make_sample_norm(struct maker *m, int x)
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
        write_line(m, "groupnorm %d%s%s", groups, c.text, options);
    } else {
        snprintf(name, sizeof name, "layernorm_%d", ++m->layernorms);
        const char *arguments = c.any ? c.text + 1 : options[0] ? options + 1 : "";
        write_line(m, "layernorm%s%s", arguments, c.any ? options : "");
    }
    int y = ref_layernorm(m->net, x, name, norm, whole ? 1 : groups, whole);
    return activate(m, trained_so(m, y, name, options), &c);
}

int make_lrn(struct maker *m, int x)
{
    static const double betas[] = {0.75, 0.5, 1, 0.6};
    int size = range(m, 1, chance(m, 20) ? 12 : 6);
    double alpha = range(m, 1, 8) / 16.0, beta = betas[range(m, 0, 3)], k = range(m, 1, 4) / 2.0;
    write_line(m, "lrn %d, alpha=%g, beta=%g, k=%g", size, alpha, beta, k);
    return ref_lrn(m->net, x, size, alpha, beta, k);
}

int make_prelu(struct maker *m, int x)
{
    char name[32];
    const char *trainable = choose_trainable(m);
    snprintf(name, sizeof name, "prelu_%d", ++m->prelus);
    write_line(m, "prelu%s", *trainable ? trainable + 1 : "");
    return trained_so(m, ref_prelu(m->net, x, name), name, trainable);
}

int make_scale(struct maker *m, int x)
{
    double factor = range(m, 1, 20) / (chance(m, 30) ? -8.0 : 8.0);
    write_line(m, "scale %g", factor);
    return ref_scale(m->net, x, factor);
}

int put_dense(struct maker *m, int x, int units, struct choice c)
{
    bool bias = chance(m, 80);
    char name[32];
    snprintf(name, sizeof name, "dense_%d", ++m->denses);
    const char *trainable = choose_learning(m);
    write_line(m, "dense %d%s%s%s", units, c.text, bias ? "" : ", bias=off", trainable);
    m->budget -= (int64_t)units * node_of(m, x)->c;
    return activate(m, trained_so(m, ref_dense(m->net, x, name, units, bias), name, trainable), &c);
}

int make_softmax(struct maker *m, int x)
{
    write_line(m, "softmax");
    return ref_softmax(m->net, x);
}

int make_no_dropout(struct maker *m, int x)
{
    write_line(m, "dropout 0");
    return ref_dropout(m->net, x, 0);
}
