/* reference.c - see reference.h.  Written to be checked by eye, not to be fast. */
#include "reference.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- random numbers ------------------------------------------------------------------------------------------ */

uint64_t ref_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double ref_uniform(uint64_t *state, double low, double high)
{
    return low + (high - low) * ((double)(ref_random(state) >> 11) * 0x1p-53);
}

double ref_normal(uint64_t *state)
{
    double u = ref_uniform(state, 0x1p-53, 1), v = ref_uniform(state, 0, 1);
    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}

int ref_range(uint64_t *state, int low, int high)
{
    return low + (int)(ref_random(state) % (uint64_t)(high - low + 1));
}

/* Plus or minus one: the sign of a simulated rounding error. */
static double coin(struct ref_net *net)
{
    return ref_random(&net->noise_state) & 1 ? 1 : -1;
}

/* value, disturbed as the rounding of parts of this size would. */
static double rounded(struct ref_net *net, double value, double size)
{
    return net->noise == 0 ? value : value + net->noise * coin(net) * size;
}

/* ---- building ------------------------------------------------------------------------------------------------ */

static void *room(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p) {
        fputs("reference: out of memory\n", stderr);
        exit(2);
    }
    return p;
}

static void *grown(void *list, int count, int *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity ? *capacity * 2 : 16;
    list = realloc(list, (size_t)*capacity * size);
    if (!list) {
        fputs("reference: out of memory\n", stderr);
        exit(2);
    }
    return list;
}

static int add_node(struct ref_net *net, enum ref_kind kind, int x, int c, int h, int w, bool flat)
{
    net->nodes = grown(net->nodes, net->nodes_count, &net->nodes_room, sizeof *net->nodes);
    struct ref_node *node = &net->nodes[net->nodes_count];
    memset(node, 0, sizeof *node);
    node->kind = kind;
    if (x >= 0)
        node->in[node->in_count++] = x;
    assert(c > 0 && h > 0 && w > 0);
    node->c = c;
    node->h = h;
    node->w = w;
    node->flat = flat;
    node->weight = node->bias = node->running_mean = node->running_var = -1;
    return net->nodes_count++;
}

static int add_param(struct ref_net *net, const char *layer, const char *suffix, enum ref_role role, int rank,
                     const int64_t *shape)
{
    net->params = grown(net->params, net->params_count, &net->params_room, sizeof *net->params);
    struct ref_param *p = &net->params[net->params_count];
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s.%s", layer, suffix);
    p->role = role;
    p->rank = rank;
    p->count = 1;
    for (int d = 0; d < rank; d++)
        p->count *= p->shape[d] = shape[d];
    p->value = room((size_t)p->count, sizeof(double));
    p->grad = room((size_t)p->count, sizeof(double));
    p->m = room((size_t)p->count, sizeof(double));
    p->v = room((size_t)p->count, sizeof(double));
    p->s = room((size_t)p->count, sizeof(double));
    p->doubt = room((size_t)p->count, sizeof(double));
    p->slow = room((size_t)p->count, sizeof(double));
    return net->params_count++;
}

static int add_vector(struct ref_net *net, const char *layer, const char *suffix, enum ref_role role, int count)
{
    return add_param(net, layer, suffix, role, 1, (int64_t[]){count});
}

int ref_window_out(int size, int k, int stride, int dilation, int pad)
{
    int extent = (k - 1) * dilation + 1, rest = size + pad - extent;
    return rest < 0 ? 0 : rest / stride + 1;
}

static void same_padding(int size, int k, int stride, int dilation, int *first, int *last)
{
    int out = (size + stride - 1) / stride;
    int total = (out - 1) * stride + (k - 1) * dilation + 1 - size;
    if (total < 0)
        total = 0;
    *first = total / 2;
    *last = total - *first;
}

struct ref_window ref_window_same(struct ref_window window, int h, int w)
{
    same_padding(h, window.kh, window.sh, window.dh, &window.top, &window.bottom);
    same_padding(w, window.kw, window.sw, window.dw, &window.left, &window.right);
    return window;
}

int ref_input(struct ref_net *net, int c, int h, int w)
{
    return add_node(net, REF_INPUT, -1, c, h, w, false);
}

static int add_windowed(struct ref_net *net, enum ref_kind kind, int x, int c, struct ref_window k)
{
    const struct ref_node *from = &net->nodes[x];
    int h = ref_window_out(from->h, k.kh, k.sh, k.dh, k.top + k.bottom);
    int w = ref_window_out(from->w, k.kw, k.sw, k.dw, k.left + k.right);
    assert(!from->flat);
    int node = add_node(net, kind, x, c, h, w, false);
    net->nodes[node].window = k;
    return node;
}

int ref_conv2d(struct ref_net *net, int x, const char *name, int filters, struct ref_window window, bool bias)
{
    return ref_grouped_conv2d(net, x, name, "", filters, 1, window, bias);
}

int ref_grouped_conv2d(struct ref_net *net, int x, const char *name, const char *part, int filters, int groups,
                       struct ref_window window, bool bias)
{
    int channels = net->nodes[x].c;
    char suffix[40];
    assert(channels % groups == 0 && filters % groups == 0);
    int node = add_windowed(net, REF_CONV2D, x, filters, window);
    net->nodes[node].groups = groups;
    snprintf(suffix, sizeof suffix, "%sweight", part);
    net->nodes[node].weight = add_param(net, name, suffix, REF_WEIGHT, 4,
                                        (int64_t[]){filters, channels / groups, window.kh, window.kw});
    snprintf(suffix, sizeof suffix, "%sbias", part);
    if (bias)
        net->nodes[node].bias = add_vector(net, name, suffix, REF_BIAS, filters);
    return node;
}

int ref_locally_connected2d(struct ref_net *net, int x, const char *name, int filters, struct ref_window window,
                            bool bias)
{
    int channels = net->nodes[x].c;
    int node = add_windowed(net, REF_LOCALLY_CONNECTED2D, x, filters, window);
    int h = net->nodes[node].h, w = net->nodes[node].w;
    net->nodes[node].weight = add_param(net, name, "weight", REF_WEIGHT, 6,
                                        (int64_t[]){h, w, filters, channels, window.kh, window.kw});
    if (bias)
        net->nodes[node].bias = add_param(net, name, "bias", REF_BIAS, 3, (int64_t[]){h, w, filters});
    return node;
}

int ref_conv2d_transpose(struct ref_net *net, int x, const char *name, int filters, int groups, struct ref_window k,
                         const int *more, bool bias)
{
    struct ref_node from = net->nodes[x];
    int h = (from.h - 1) * k.sh + (k.kh - 1) * k.dh + 1 - k.top - k.bottom + more[0];
    int w = (from.w - 1) * k.sw + (k.kw - 1) * k.dw + 1 - k.left - k.right + more[1];
    int node = add_node(net, REF_CONV2D_TRANSPOSE, x, filters, h, w, false);
    assert(from.c % groups == 0 && filters % groups == 0);
    net->nodes[node].window = k;
    net->nodes[node].groups = groups;
    net->nodes[node].weight = add_param(net, name, "weight", REF_WEIGHT, 4,
                                        (int64_t[]){from.c, filters / groups, k.kh, k.kw});
    if (bias)
        net->nodes[node].bias = add_vector(net, name, "bias", REF_BIAS, filters);
    return node;
}

static int add_move(struct ref_net *net, int x, int c, int h, int w, struct ref_move move)
{
    int node = add_node(net, REF_MOVE, x, c, h, w, net->nodes[x].flat);
    net->nodes[node].move = move;
    return node;
}

int ref_zero_pad(struct ref_net *net, int x, int top, int bottom, int left, int right)
{
    struct ref_node from = net->nodes[x];
    return add_move(net, x, from.c, from.h + top + bottom, from.w + left + right,
                    (struct ref_move){.top = top, .left = left, .rows = 1, .columns = 1});
}

int ref_pad_channels(struct ref_net *net, int x, int before, int after)
{
    struct ref_node from = net->nodes[x];
    return add_move(net, x, from.c + before + after, from.h, from.w,
                    (struct ref_move){.front = before, .rows = 1, .columns = 1});
}

int ref_upsample(struct ref_net *net, int x, int rows, int columns, bool bilinear)
{
    struct ref_node from = net->nodes[x];
    return add_move(net, x, from.c, from.h * rows, from.w * columns,
                    (struct ref_move){.rows = rows, .columns = columns, .bilinear = bilinear});
}

int ref_reshape(struct ref_net *net, int x, int c, int h, int w, bool flat)
{
    assert((int64_t)c * h * w == ref_node_size(&net->nodes[x]));
    return add_node(net, REF_FLATTEN, x, c, h, w, flat);
}

int ref_pool(struct ref_net *net, int x, enum ref_kind kind, struct ref_window window)
{
    assert(kind == REF_MAXPOOL || kind == REF_AVGPOOL);
    return add_windowed(net, kind, x, net->nodes[x].c, window);
}

int ref_global_avgpool(struct ref_net *net, int x)
{
    return add_node(net, REF_GLOBAL_AVGPOOL, x, net->nodes[x].c, 1, 1, true);
}

int ref_flatten(struct ref_net *net, int x)
{
    return add_node(net, REF_FLATTEN, x, (int)ref_node_size(&net->nodes[x]), 1, 1, true);
}

/* A window of the whole map. */
int ref_global_maxpool(struct ref_net *net, int x)
{
    struct ref_window whole = {.kh = net->nodes[x].h, .kw = net->nodes[x].w, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    return ref_flatten(net, ref_pool(net, x, REF_MAXPOOL, whole));
}

int ref_dense(struct ref_net *net, int x, const char *name, int units, bool bias)
{
    int inputs = net->nodes[x].c;
    assert(net->nodes[x].flat);
    int node = add_node(net, REF_DENSE, x, units, 1, 1, true);
    net->nodes[node].weight = add_param(net, name, "weight", REF_WEIGHT, 2, (int64_t[]){units, inputs});
    if (bias)
        net->nodes[node].bias = add_vector(net, name, "bias", REF_BIAS, units);
    return node;
}

static int add_alike(struct ref_net *net, enum ref_kind kind, int x)
{
    struct ref_node from = net->nodes[x];
    return add_node(net, kind, x, from.c, from.h, from.w, from.flat);
}

int ref_batchnorm(struct ref_net *net, int x, const char *name, struct ref_norm norm)
{
    int node = add_alike(net, REF_BATCHNORM, x), c = net->nodes[x].c;
    net->nodes[node].momentum = norm.momentum;
    net->nodes[node].epsilon = norm.epsilon;
    net->nodes[node].unbiased = norm.unbiased;
    net->nodes[node].group = norm.group;
    if (norm.scale)
        net->nodes[node].weight = add_vector(net, name, "weight", REF_WEIGHT, c);
    if (norm.center)
        net->nodes[node].bias = add_vector(net, name, "bias", REF_BIAS, c);
    net->nodes[node].running_mean = add_vector(net, name, "running_mean", REF_STATISTIC, c);
    net->nodes[node].running_var = add_vector(net, name, "running_var", REF_STATISTIC, c);
    return node;
}

static int add_affine(struct ref_net *net, const struct ref_node *x, const char *name, const char *suffix,
                      enum ref_role role, bool each)
{
    if (!each)
        return add_vector(net, name, suffix, role, x->c);
    return add_param(net, name, suffix, role, 3, (int64_t[]){x->c, x->h, x->w});
}

int ref_layernorm(struct ref_net *net, int x, const char *name, struct ref_norm norm, int groups, bool each)
{
    int node = add_alike(net, REF_LAYERNORM, x);
    struct ref_node from = net->nodes[x];
    assert(groups == 0 || from.c % groups == 0);
    net->nodes[node].epsilon = norm.epsilon;
    net->nodes[node].groups = groups;
    net->nodes[node].each = each;
    if (norm.scale)
        net->nodes[node].weight = add_affine(net, &from, name, "weight", REF_WEIGHT, each);
    if (norm.center)
        net->nodes[node].bias = add_affine(net, &from, name, "bias", REF_BIAS, each);
    return node;
}

int ref_lrn(struct ref_net *net, int x, int size, double alpha, double beta, double k)
{
    int node = add_alike(net, REF_LRN, x);
    net->nodes[node].size = size;
    net->nodes[node].factor = alpha;
    net->nodes[node].power = beta;
    net->nodes[node].offset = k;
    return node;
}

int ref_prelu(struct ref_net *net, int x, const char *name)
{
    int node = add_alike(net, REF_PRELU, x);
    net->nodes[node].weight = add_vector(net, name, "weight", REF_WEIGHT, net->nodes[x].c);
    return node;
}

int ref_scale(struct ref_net *net, int x, double factor)
{
    int node = add_alike(net, REF_SCALE, x);
    net->nodes[node].factor = factor;
    return node;
}

static bool is_weight_of(const struct ref_param *p, const char *layer)
{
    size_t length = strlen(layer);
    return !strncmp(p->name, layer, length) && p->name[length] == '.' && p->role == REF_WEIGHT;
}

void ref_train_bias_only(struct ref_net *net, const char *layer)
{
    for (int i = 0; i < net->params_count; i++)
        if (is_weight_of(&net->params[i], layer))
            net->params[i].fixed = true;
}

static bool is_of(const struct ref_param *p, const char *layer)
{
    size_t length = strlen(layer);
    return strncmp(p->name, layer, length) == 0 && p->name[length] == '.';
}

void ref_freeze(struct ref_net *net, const char *layer)
{
    for (int i = 0; i < net->params_count; i++)
        if (is_of(&net->params[i], layer))
            net->params[i].fixed = net->params[i].role != REF_STATISTIC;
    for (int i = 0; i < net->nodes_count; i++)
        if (net->nodes[i].kind == REF_BATCHNORM && is_of(&net->params[net->nodes[i].running_mean], layer))
            net->nodes[i].frozen = true;
}

void ref_add_l2(struct ref_net *net, const char *layer, double l2)
{
    for (int i = 0; i < net->params_count; i++)
        if (is_weight_of(&net->params[i], layer))
            net->params[i].l2 = l2;
}

int ref_dropout(struct ref_net *net, int x, double rate)
{
    int node = add_alike(net, REF_DROPOUT, x);
    net->nodes[node].rate = rate;
    return node;
}

static int add_spreading(struct ref_net *net, enum ref_kind kind, const int *x, int count)
{
    assert(count >= 2 && count <= REF_MAX_INPUTS);
    int largest = x[0];
    for (int i = 1; i < count; i++)
        if (ref_node_size(&net->nodes[x[i]]) > ref_node_size(&net->nodes[largest])
            || (net->nodes[largest].flat && !net->nodes[x[i]].flat))
            largest = x[i];
    int node = add_alike(net, kind, largest);
    struct ref_node *sum = &net->nodes[node];
    sum->in_count = count;
    for (int i = 0; i < count; i++) {
        const struct ref_node *part = &net->nodes[sum->in[i] = x[i]];
        assert(part->c == sum->c);
        assert((part->h == sum->h && part->w == sum->w) || (part->h == 1 && part->w == 1));
    }
    return node;
}

int ref_add(struct ref_net *net, const int *x, int count)
{
    return add_spreading(net, REF_ADD, x, count);
}

int ref_multiply(struct ref_net *net, const int *x, int count)
{
    return add_spreading(net, REF_MULTIPLY, x, count);
}

int ref_concat(struct ref_net *net, const int *x, int count)
{
    assert(count >= 2 && count <= REF_MAX_INPUTS);
    int node = add_alike(net, REF_CONCAT, x[0]);
    struct ref_node *whole = &net->nodes[node];
    whole->in_count = count;
    whole->c = 0;
    for (int i = 0; i < count; i++) {
        const struct ref_node *part = &net->nodes[whole->in[i] = x[i]];
        assert(part->h == whole->h && part->w == whole->w && part->flat == whole->flat);
        whole->c += part->c;
    }
    return node;
}

int ref_activate(struct ref_net *net, int x, enum ref_activation activation, double alpha)
{
    int node = add_alike(net, REF_ACTIVATION, x);
    net->nodes[node].activation = activation;
    net->nodes[node].alpha = alpha;
    return node;
}

int ref_softmax(struct ref_net *net, int x)
{
    return add_alike(net, REF_SOFTMAX, x);
}

int64_t ref_node_size(const struct ref_node *node)
{
    return (int64_t)node->c * node->h * node->w;
}

int64_t ref_multiply_adds(const struct ref_net *net)
{
    int64_t sum = 0;
    for (int i = 0; i < net->nodes_count; i++) {
        const struct ref_node *node = &net->nodes[i];
        if (node->kind == REF_CONV2D)
            sum += ref_node_size(node) * (net->nodes[node->in[0]].c / node->groups) * node->window.kh * node->window.kw;
        else if (node->kind == REF_LOCALLY_CONNECTED2D)
            sum += ref_node_size(node) * net->nodes[node->in[0]].c * node->window.kh * node->window.kw;
        else if (node->kind == REF_CONV2D_TRANSPOSE)
            sum += ref_node_size(&net->nodes[node->in[0]]) * (node->c / node->groups) * node->window.kh *
                   node->window.kw;
        else if (node->kind == REF_DENSE)
            sum += (int64_t)node->c * net->nodes[node->in[0]].c;
    }
    return sum;
}

void ref_prepare(struct ref_net *net, int batch)
{
    net->batch = batch;
    for (int i = 0; i < net->nodes_count; i++) {
        struct ref_node *node = &net->nodes[i];
        size_t size = (size_t)(batch * ref_node_size(node));
        node->y = room(size, sizeof(double));
        node->dy = room(size, sizeof(double));
        if (node->kind == REF_MAXPOOL)
            node->winner = room(size, sizeof(int));
        if (node->kind == REF_BATCHNORM) {
            node->mean = room((size_t)batch * (size_t)node->c, sizeof(double));
            node->variance = room((size_t)batch * (size_t)node->c, sizeof(double));
        }
    }
    net->losses = room((size_t)batch, sizeof(double));
    net->predictions = room((size_t)(batch * ref_node_size(&net->nodes[net->nodes_count - 1])), sizeof(double));
}

void ref_free(struct ref_net *net)
{
    for (int i = 0; i < net->nodes_count; i++) {
        free(net->nodes[i].y);
        free(net->nodes[i].dy);
        free(net->nodes[i].winner);
        free(net->nodes[i].mean);
        free(net->nodes[i].variance);
    }
    for (int i = 0; i < net->params_count; i++) {
        free(net->params[i].value);
        free(net->params[i].grad);
        free(net->params[i].m);
        free(net->params[i].v);
        free(net->params[i].s);
        free(net->params[i].doubt);
        free(net->params[i].slow);
    }
    free(net->nodes);
    free(net->params);
    free(net->losses);
    free(net->predictions);
    memset(net, 0, sizeof *net);
}

/* ---- activations --------------------------------------------------------------------------------------------- */

/* Klambauer et al. 2017, Self-Normalizing Neural Networks. */
#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_ALPHA 1.6732632423543772848170429916717

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

double ref_act(enum ref_activation a, double alpha, double x)
{
    double s = sigmoid(x);
    switch (a) {
#define REF_ACTIVATION(id, name, value, slope, kink) case REF_##id: return value;
#include "reference_activations.def"
#undef REF_ACTIVATION
    case REF_ACTIVATIONS: break;
    }
    assert(!"an activation");
    return s;
}

double ref_act_slope(enum ref_activation a, double alpha, double x)
{
    double s = sigmoid(x);
    switch (a) {
#define REF_ACTIVATION(id, name, value, slope, kink) case REF_##id: return slope;
#include "reference_activations.def"
#undef REF_ACTIVATION
    case REF_ACTIVATIONS: break;
    }
    assert(!"an activation");
    return s;
}

#define NO_KINK 1e300

/* The distance to the nearest point where the slope jumps; a large number where there is none. */
static double kink_distance(const struct ref_node *node, double x)
{
    double alpha = node->alpha;
    switch (node->activation) {
#define REF_ACTIVATION(id, name, value, slope, kink) case REF_##id: return kink;
#include "reference_activations.def"
#undef REF_ACTIVATION
    case REF_ACTIVATIONS: break;
    }
    return alpha;
}

/* ---- forward ------------------------------------------------------------------------------------------------- */

static int64_t at(const struct ref_node *node, int n, int c, int y, int x)
{
    return (((int64_t)n * node->c + c) * node->h + y) * node->w + x;
}

static bool is_first_of_kind(const struct ref_net *net, const struct ref_node *node)
{
    for (const struct ref_node *other = net->nodes; other < node; other++)
        if (other->kind == node->kind)
            return false;
    return true;
}

/* That an output is of. */
static int group_of(const struct ref_node *node, int o)
{
    return o / (node->c / node->groups);
}

static void conv2d_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_window k = node->window;
    const double *weight = net->params[node->weight].value;
    int in = x->c / node->groups;       /* channels of a group */
    bool broken = net->fault == REF_FAULT_FORWARD_TAP && is_first_of_kind(net, node);
    for (int n = 0; n < net->n; n++)
        for (int o = 0; o < node->c; o++)
            for (int oy = 0; oy < node->h; oy++)
                for (int ox = 0; ox < node->w; ox++) {
                    double sum = node->bias < 0 ? 0 : net->params[node->bias].value[o], size = fabs(sum);
                    for (int i = 0; i < in; i++)
                        for (int ky = 0; ky < k.kh; ky++) {
                            int iy = oy * k.sh + ky * k.dh - k.top;
                            if (iy < 0 || iy >= x->h)
                                continue;
                            for (int kx = 0; kx < k.kw; kx++) {
                                int ix = ox * k.sw + kx * k.dw - k.left;
                                if (ix < 0 || ix >= x->w)
                                    continue;
                                if (broken && o == 0 && i == in - 1 && ky == k.kh - 1 && kx == k.kw - 1)
                                    continue;
                                double term = x->y[at(x, n, group_of(node, o) * in + i, iy, ix)]
                                    * weight[((o * in + i) * k.kh + ky) * k.kw + kx];
                                sum += term;
                                size += fabs(term);
                            }
                        }
                    node->y[at(node, n, o, oy, ox)] = rounded(net, sum, size);
                }
}

/* Where a tap of a transposed convolution puts what it makes of the place (y, x); -1: beside the result. */
static int64_t transposed_place(const struct ref_node *node, int n, int o, int y, int x, int ky, int kx)
{
    struct ref_window k = node->window;
    int oy = y * k.sh + ky * k.dh - k.top, ox = x * k.sw + kx * k.dw - k.left;
    return oy < 0 || oy >= node->h || ox < 0 || ox >= node->w ? -1 : at(node, n, o, oy, ox);
}

/* Every product of a transposed convolution: element of x, weight, element of the result.  The last tap of the last
 * input's first filter is left out where `broken`. */
static void transposed_each(const struct ref_net *net, const struct ref_node *node, bool broken,
                            void (*each)(void *to, int64_t x, int64_t weight, int64_t y), void *to)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_window k = node->window;
    int in = x->c / node->groups, out = node->c / node->groups;         /* channels of a group */
    for (int n = 0; n < net->n; n++)
        for (int i = 0; i < x->c; i++)
            for (int iy = 0; iy < x->h; iy++)
                for (int ix = 0; ix < x->w; ix++)
                    for (int o = 0; o < out; o++)
                        for (int ky = 0; ky < k.kh; ky++)
                            for (int kx = 0; kx < k.kw; kx++) {
                                int64_t y = transposed_place(node, n, i / in * out + o, iy, ix, ky, kx);
                                bool last = o == 0 && i == x->c - 1 && ky == k.kh - 1 && kx == k.kw - 1;
                                if (y >= 0 && !(broken && last))
                                    each(to, at(x, n, i, iy, ix), ((i * out + o) * k.kh + ky) * k.kw + kx, y);
                            }
}

/* What products are made of, and where they go. */
struct products {
    const double *a, *b;
    double *sum, *size;
};

static void add_product(struct products *p, int64_t a, int64_t b, int64_t to)
{
    double term = p->a[a] * p->b[b];
    p->sum[to] += term;
    p->size[to] += fabs(term);
}

static void transposed_result(void *to, int64_t x, int64_t weight, int64_t y)
{
    add_product(to, x, weight, y);
}

static void transposed_weights(void *to, int64_t x, int64_t weight, int64_t y)
{
    add_product(to, x, y, weight);
}

static void transposed_input(void *to, int64_t x, int64_t weight, int64_t y)
{
    add_product(to, y, weight, x);
}

static void transposed_forward(struct ref_net *net, struct ref_node *node)
{
    int64_t count = net->n * ref_node_size(node), area = (int64_t)node->h * node->w;
    struct products p = {net->nodes[node->in[0]].y, net->params[node->weight].value, node->y,
                         room((size_t)count, sizeof(double))};
    for (int64_t j = 0; j < count; j++) {
        node->y[j] = node->bias < 0 ? 0 : net->params[node->bias].value[j / area % node->c];
        p.size[j] = fabs(node->y[j]);
    }
    transposed_each(net, node, net->fault == REF_FAULT_FORWARD_TAP && is_first_of_kind(net, node), transposed_result,
                    &p);
    for (int64_t j = 0; j < count; j++)
        node->y[j] = rounded(net, node->y[j], p.size[j]);
    free(p.size);
}

/* The places of a direction that one of the result is made of, and the share of each; returns how many. */
static int sources_along(int at, int size, int before, int factor, bool mixed, int *from, double *share)
{
    double place = (at + 0.5) / factor - 0.5;
    share[0] = 1;
    if (!mixed) {
        from[0] = factor > 1 ? at / factor : at - before;
        return from[0] >= 0 && from[0] < size;
    }
    place = place < 0 ? 0 : place > size - 1 ? size - 1 : place;
    from[0] = (int)place;
    from[1] = from[0] + 1;
    share[1] = place - from[0];
    share[0] = 1 - share[1];
    return share[1] > 0 ? 2 : 1;
}

/* The elements that element j of a moved map is made of. */
static int move_sources(const struct ref_node *node, const struct ref_node *x, int64_t j, int64_t *from, double *share)
{
    const struct ref_move *m = &node->move;
    int column = (int)(j % node->w), row = (int)(j / node->w % node->h),
        channel = (int)(j / node->w / node->h % node->c);
    int n = (int)(j / ref_node_size(node)), rows[2], columns[2], count = 0;
    double by_row[2], by_column[2];
    int rows_count = sources_along(row, x->h, m->top, m->rows, m->bilinear, rows, by_row);
    int columns_count = sources_along(column, x->w, m->left, m->columns, m->bilinear, columns, by_column);
    if (channel < m->front || channel >= m->front + x->c)
        return 0;
    for (int r = 0; r < rows_count; r++)
        for (int c = 0; c < columns_count; c++) {
            from[count] = at(x, n, channel - m->front, rows[r], columns[c]);
            share[count++] = by_row[r] * by_column[c];
        }
    return count;
}

static void move_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    for (int64_t j = 0; j < net->n * ref_node_size(node); j++) {
        int64_t from[4];
        double share[4], sum = 0, size = 0;
        int count = move_sources(node, x, j, from, share);
        for (int k = 0; k < count; k++) {
            sum += share[k] * x->y[from[k]];
            size += fabs(share[k] * x->y[from[k]]);
        }
        node->y[j] = node->move.bilinear ? rounded(net, sum, 3 * size) : sum;
    }
}

/* Where the first weight of an output stands; those of its window follow. */
static int64_t local_weights(const struct ref_node *node, const struct ref_node *x, int o, int oy, int ox)
{
    int64_t output = ((int64_t)oy * node->w + ox) * node->c + o;
    return output * x->c * node->window.kh * node->window.kw;
}

/* The element of x under tap k of the window (counted over i, ky, kx) at (oy, ox). */
static int64_t local_input(const struct ref_node *node, const struct ref_node *x, int n, int oy, int ox, int k)
{
    int kx = k % node->window.kw, ky = k / node->window.kw % node->window.kh;
    int i = k / (node->window.kw * node->window.kh);
    return at(x, n, i, oy * node->window.sh + ky, ox * node->window.sw + kx);
}

static void local_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    const double *weight = net->params[node->weight].value;
    int taps = x->c * node->window.kh * node->window.kw;
    bool broken = net->fault == REF_FAULT_FORWARD_TAP && is_first_of_kind(net, node);
    for (int n = 0; n < net->n; n++)
        for (int oy = 0; oy < node->h; oy++)
            for (int ox = 0; ox < node->w; ox++)
                for (int o = 0; o < node->c; o++) {
                    int64_t bias = ((int64_t)oy * node->w + ox) * node->c + o;
                    double sum = node->bias < 0 ? 0 : net->params[node->bias].value[bias], size = fabs(sum);
                    for (int k = 0; k < taps - (broken && o == 0); k++) {
                        double term = weight[local_weights(node, x, o, oy, ox) + k]
                            * x->y[local_input(node, x, n, oy, ox, k)];
                        sum += term;
                        size += fabs(term);
                    }
                    node->y[at(node, n, o, oy, ox)] = rounded(net, sum, size);
                }
}

static void dense_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    const double *weight = net->params[node->weight].value;
    bool broken = net->fault == REF_FAULT_FORWARD_TAP && is_first_of_kind(net, node);
    for (int n = 0; n < net->n; n++)
        for (int o = 0; o < node->c; o++) {
            double sum = node->bias < 0 ? 0 : net->params[node->bias].value[o], size = fabs(sum);
            for (int i = 0; i < x->c; i++) {
                if (broken && o == 0 && i == x->c - 1)
                    continue;
                double term = x->y[(int64_t)n * x->c + i] * weight[(int64_t)o * x->c + i];
                sum += term;
                size += fabs(term);
            }
            node->y[(int64_t)n * node->c + o] = rounded(net, sum, size);
        }
}

/* One result of a pool: padding neither wins nor counts. */
static void pool_place(struct ref_net *net, struct ref_node *node, int n, int c, int oy, int ox)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_window k = node->window;
    double best = -INFINITY, sum = 0, size = 0;
    int winner = -1, count = 0;
    for (int ky = 0; ky < k.kh; ky++)
        for (int kx = 0; kx < k.kw; kx++) {
            int iy = oy * k.sh + ky * k.dh - k.top, ix = ox * k.sw + kx * k.dw - k.left;
            if (iy < 0 || iy >= x->h || ix < 0 || ix >= x->w)
                continue;
            double value = x->y[at(x, n, c, iy, ix)];
            count++;
            sum += value;
            size += fabs(value);
            if (value > best) {
                best = value;
                winner = iy * x->w + ix;
            }
        }
    assert(count > 0);
    if (node->kind == REF_MAXPOOL) {
        node->y[at(node, n, c, oy, ox)] = best;
        node->winner[at(node, n, c, oy, ox)] = winner;
    } else {
        node->y[at(node, n, c, oy, ox)] = rounded(net, sum / count, size / count);
    }
}

static void pool_forward(struct ref_net *net, struct ref_node *node)
{
    for (int n = 0; n < net->n; n++)
        for (int c = 0; c < node->c; c++)
            for (int oy = 0; oy < node->h; oy++)
                for (int ox = 0; ox < node->w; ox++)
                    pool_place(net, node, n, c, oy, ox);
}

static void global_avgpool_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    int places = x->h * x->w;
    for (int n = 0; n < net->n; n++)
        for (int c = 0; c < node->c; c++) {
            double sum = 0, size = 0;
            for (int i = 0; i < places; i++) {
                sum += x->y[at(x, n, c, 0, 0) + i];
                size += fabs(x->y[at(x, n, c, 0, 0) + i]);
            }
            node->y[at(node, n, c, 0, 0)] = rounded(net, sum / places, size / places);
        }
}

/* Of a batchnorm: the samples that are normalised with the one that begins there; all of them, or a ghost batch. */
static int ghost_end(const struct ref_net *net, const struct ref_node *node, int first)
{
    return node->group && first + node->group < net->n ? first + node->group : net->n;
}

/* Mean and biased variance of a channel over a group of samples and the map; the running ones move. */
static void batchnorm_moments(struct ref_net *net, struct ref_node *node, int c, int first)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    int places = x->h * x->w, end = ghost_end(net, node, first);
    double count = (double)(end - first) * places, sum = 0, size = 0, squares = 0;
    for (int n = first; n < end; n++)
        for (int i = 0; i < places; i++) {
            sum += x->y[at(x, n, c, 0, 0) + i];
            size += fabs(x->y[at(x, n, c, 0, 0) + i]);
        }
    double mean = rounded(net, sum / count, size / count);
    for (int n = first; n < end; n++)
        for (int i = 0; i < places; i++) {
            double d = x->y[at(x, n, c, 0, 0) + i] - sum / count;
            squares += d * d;
        }
    double variance = rounded(net, squares / count, squares / count);
    for (int n = first; n < end; n++) {
        node->mean[n * node->c + c] = mean;
        node->variance[n * node->c + c] = variance;
    }
    double m = node->momentum;
    double *running_mean = &net->params[node->running_mean].value[c];
    double *running_var = &net->params[node->running_var].value[c];
    *running_mean = m * *running_mean + (1 - m) * mean;
    double less = node->unbiased && count > 1 ? 1 : 0;
    *running_var = m * *running_var + (1 - m) * variance * count / (count - less);
}

static double value_or(const struct ref_net *net, int param, int i, double otherwise)
{
    return param < 0 ? otherwise : net->params[param].value[i];
}

static void batchnorm_forward(struct ref_net *net, struct ref_node *node, bool training)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    int places = x->h * x->w;
    training &= !node->frozen;
    for (int c = 0; c < node->c; c++) {
        for (int first = 0; training && first < net->n; first = ghost_end(net, node, first))
            batchnorm_moments(net, node, c, first);
        for (int n = 0; n < net->n; n++) {
            double mean = training ? node->mean[n * node->c + c] : net->params[node->running_mean].value[c];
            double variance = training ? node->variance[n * node->c + c] : net->params[node->running_var].value[c];
            double scale = value_or(net, node->weight, c, 1) / sqrt(variance + node->epsilon);
            double shift = value_or(net, node->bias, c, 0);
            for (int i = 0; i < places; i++) {
                int64_t j = at(x, n, c, 0, 0) + i;
                double size = fabs(x->y[j] * scale) + fabs(mean * scale) + fabs(shift);
                node->y[j] = rounded(net, (x->y[j] - mean) * scale + shift, size);
            }
        }
    }
}

/* ---- groupnorm, layernorm: sets of numbers of one sample that share their moments */

/* Set number s of sample n: how many numbers it has, and where the k-th is in the sample. */
static int norm_sets(const struct ref_node *node)
{
    return node->groups ? node->groups : node->h * node->w;
}

static int64_t norm_count(const struct ref_node *node)
{
    return ref_node_size(node) / norm_sets(node);
}

static int64_t norm_place(const struct ref_node *node, int n, int s, int64_t k)
{
    int64_t sample = n * ref_node_size(node);
    return node->groups ? sample + s * norm_count(node) + k : sample + k * node->h * node->w + s;
}

/* Of which number of its weights and biases element j is multiplied by. */
static int64_t norm_affine(const struct ref_node *node, int64_t j)
{
    int64_t within = j % ref_node_size(node);
    return node->each ? within : within / (node->h * node->w);
}

static double norm_param_or(const struct ref_net *net, const struct ref_node *node, int param, int64_t j,
                            double otherwise)
{
    return param < 0 ? otherwise : net->params[param].value[norm_affine(node, j)];
}

/* Mean and 1 / deviation of a set, as they are rounded. */
static void norm_moments(struct ref_net *net, const struct ref_node *node, int n, int s, double *mean, double *inverse)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    int64_t count = norm_count(node);
    double sum = 0, size = 0, squares = 0;
    for (int64_t k = 0; k < count; k++) {
        sum += x->y[norm_place(node, n, s, k)];
        size += fabs(x->y[norm_place(node, n, s, k)]);
    }
    for (int64_t k = 0; k < count; k++) {
        double d = x->y[norm_place(node, n, s, k)] - sum / (double)count;
        squares += d * d;
    }
    *mean = rounded(net, sum / (double)count, size / (double)count);
    *inverse = 1 / sqrt(rounded(net, squares / (double)count, squares / (double)count) + node->epsilon);
}

static void layernorm_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    for (int n = 0; n < net->n; n++)
        for (int s = 0; s < norm_sets(node); s++) {
            double mean, inverse;
            norm_moments(net, node, n, s, &mean, &inverse);
            for (int64_t k = 0; k < norm_count(node); k++) {
                int64_t j = norm_place(node, n, s, k);
                double scale = inverse * norm_param_or(net, node, node->weight, j, 1);
                double shift = norm_param_or(net, node, node->bias, j, 0);
                double size = fabs(x->y[j] * scale) + fabs(mean * scale) + fabs(shift);
                node->y[j] = rounded(net, (x->y[j] - mean) * scale + shift, size);
            }
        }
}

/* ---- lrn, prelu */

/* k + alpha * sum of squares, for element j of channel c, with what its rounding is worth. */
static double lrn_divisor(struct ref_net *net, const struct ref_node *node, int n, int c, int place)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    double sum = 0;
    for (int i = c - node->size / 2; i <= c + (node->size - 1) / 2; i++)
        if (i >= 0 && i < node->c) {
            double value = x->y[at(x, n, i, 0, 0) + place];
            sum += value * value;
        }
    return rounded(net, node->offset + node->factor * sum, node->offset + node->factor * sum);
}

static void lrn_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    for (int n = 0; n < net->n; n++)
        for (int c = 0; c < node->c; c++)
            for (int i = 0; i < node->h * node->w; i++) {
                double y = x->y[at(x, n, c, 0, 0) + i] * pow(lrn_divisor(net, node, n, c, i), -node->power);
                node->y[at(node, n, c, 0, 0) + i] = rounded(net, y, 2 * fabs(y));
            }
}

static void lrn_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    for (int n = 0; n < net->n; n++)
        for (int j = 0; j < node->c; j++)
            for (int i = 0; i < node->h * node->w; i++) {
                double value = x->y[at(x, n, j, 0, 0) + i], sum = 0, size = 0;
                /* those that count channel j among their neighbours */
                for (int c = 0; c < node->c; c++) {
                    if (j < c - node->size / 2 || j > c + (node->size - 1) / 2)
                        continue;
                    double d = lrn_divisor(net, node, n, c, i), dy = node->dy[at(node, n, c, 0, 0) + i];
                    double term = -2 * node->factor * node->power * value * dy * x->y[at(x, n, c, 0, 0) + i] *
                                  pow(d, -node->power - 1);
                    if (c == j)
                        term += dy * pow(d, -node->power);
                    sum += term;
                    size += 2 * fabs(term);
                }
                x->dy[at(x, n, j, 0, 0) + i] += rounded(net, sum, size);
            }
}

static void prelu_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    for (int64_t i = 0; i < net->n * ref_node_size(node); i++) {
        double slope = net->params[node->weight].value[i / (node->h * node->w) % node->c];
        node->y[i] = x->y[i] > 0 ? x->y[i] : rounded(net, slope * x->y[i], fabs(slope * x->y[i]));
    }
}

static void prelu_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    int places = node->h * node->w;
    for (int c = 0; c < node->c; c++) {
        double slope = net->params[node->weight].value[c], sum = 0, size = 0;
        for (int n = 0; n < net->n; n++)
            for (int i = 0; i < places; i++) {
                int64_t j = at(node, n, c, 0, 0) + i;
                double dy = node->dy[j], term = x->y[j] > 0 ? 0 : dy * x->y[j];
                sum += term;
                size += fabs(term);
                x->dy[j] += x->y[j] > 0 ? dy : rounded(net, slope * dy, fabs(slope * dy));
            }
        net->params[node->weight].grad[c] = rounded(net, sum, size);
    }
}

static void add_forward(struct ref_net *net, struct ref_node *node)
{
    for (int n = 0; n < net->n; n++)
        for (int c = 0; c < node->c; c++)
            for (int y = 0; y < node->h; y++)
                for (int x = 0; x < node->w; x++) {
                    double sum = 0;
                    for (int i = 0; i < node->in_count; i++) {
                        const struct ref_node *part = &net->nodes[node->in[i]];
                        bool spread = part->h == 1 && part->w == 1;
                        sum += part->y[at(part, n, c, spread ? 0 : y, spread ? 0 : x)];
                    }
                    node->y[at(node, n, c, y, x)] = rounded(net, sum, fabs(sum));
                }
}

/* What operand number i of a join that spreads has for that place. */
static int64_t spread_at(const struct ref_net *net, const struct ref_node *node, int i, int n, int c, int y, int x)
{
    const struct ref_node *part = &net->nodes[node->in[i]];
    bool spread = part->h == 1 && part->w == 1;
    return at(part, n, c, spread ? 0 : y, spread ? 0 : x);
}

static void multiply_forward(struct ref_net *net, struct ref_node *node)
{
    for (int n = 0; n < net->n; n++)
        for (int c = 0; c < node->c; c++)
            for (int y = 0; y < node->h; y++)
                for (int x = 0; x < node->w; x++) {
                    double product = 1;
                    for (int i = 0; i < node->in_count; i++)
                        product *= net->nodes[node->in[i]].y[spread_at(net, node, i, n, c, y, x)];
                    node->y[at(node, n, c, y, x)] = rounded(net, product, node->in_count * fabs(product));
                }
}

/* Where the numbers of operand i of sample n begin in the whole. */
static int64_t part_of_whole(const struct ref_net *net, const struct ref_node *node, int i, int n)
{
    int64_t before = 0;
    for (int k = 0; k < i; k++)
        before += ref_node_size(&net->nodes[node->in[k]]);
    return n * ref_node_size(node) + before;
}

static void concat_forward(struct ref_net *net, struct ref_node *node)
{
    for (int n = 0; n < net->n; n++)
        for (int i = 0; i < node->in_count; i++) {
            const struct ref_node *part = &net->nodes[node->in[i]];
            int64_t size = ref_node_size(part);
            memcpy(node->y + part_of_whole(net, node, i, n), part->y + n * size, (size_t)size * sizeof(double));
        }
}

static void activation_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    bool exact = node->activation == REF_RELU || node->activation == REF_RELU6;
    for (int64_t i = 0; i < net->n * ref_node_size(node); i++) {
        double y = ref_act(node->activation, node->alpha, x->y[i]);
        node->y[i] = exact ? y : rounded(net, y, 2 * fabs(y) + fmin(1, fabs(x->y[i])));
    }
}

/* softmax over the channels of every place. */
static void softmax_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    for (int n = 0; n < net->n; n++)
        for (int i = 0; i < node->h * node->w; i++) {
            double largest = -INFINITY, sum = 0;
            for (int c = 0; c < node->c; c++)
                largest = fmax(largest, x->y[at(x, n, c, 0, 0) + i]);
            for (int c = 0; c < node->c; c++)
                sum += exp(x->y[at(x, n, c, 0, 0) + i] - largest);
            for (int c = 0; c < node->c; c++) {
                double z = x->y[at(x, n, c, 0, 0) + i] - largest, y = exp(z) / sum;
                node->y[at(node, n, c, 0, 0) + i] = rounded(net, y, y * (4 + fabs(z)));
            }
        }
}

static void dropout_forward(struct ref_net *net, struct ref_node *node, bool training)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    for (int64_t i = 0; i < net->n * ref_node_size(node); i++)
        node->y[i] = !training || !node->kept ? x->y[i] : node->kept[i] ? x->y[i] / (1 - node->rate) : 0;
}

static void scale_forward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    for (int64_t i = 0; i < net->n * ref_node_size(node); i++)
        node->y[i] = rounded(net, node->factor * x->y[i], fabs(node->factor * x->y[i]));
}

static void copy_forward(struct ref_net *net, struct ref_node *node)
{
    memcpy(node->y, net->nodes[node->in[0]].y, (size_t)(net->n * ref_node_size(node)) * sizeof(double));
}

static void node_forward(struct ref_net *net, struct ref_node *node, const double *input, bool training)
{
    switch (node->kind) {
    case REF_INPUT:
        memcpy(node->y, input, (size_t)(net->n * ref_node_size(node)) * sizeof(double));
        break;
    case REF_CONV2D: conv2d_forward(net, node); break;
    case REF_LOCALLY_CONNECTED2D: local_forward(net, node); break;
    case REF_MAXPOOL: case REF_AVGPOOL: pool_forward(net, node); break;
    case REF_GLOBAL_AVGPOOL: global_avgpool_forward(net, node); break;
    case REF_FLATTEN: copy_forward(net, node); break;
    case REF_DENSE: dense_forward(net, node); break;
    case REF_BATCHNORM: batchnorm_forward(net, node, training); break;
    case REF_LAYERNORM: layernorm_forward(net, node); break;
    case REF_LRN: lrn_forward(net, node); break;
    case REF_PRELU: prelu_forward(net, node); break;
    case REF_DROPOUT: dropout_forward(net, node, training); break;
    case REF_ADD: add_forward(net, node); break;
    case REF_MULTIPLY: multiply_forward(net, node); break;
    case REF_CONCAT: concat_forward(net, node); break;
    case REF_ACTIVATION: activation_forward(net, node); break;
    case REF_SOFTMAX: softmax_forward(net, node); break;
    case REF_SCALE: scale_forward(net, node); break;
    case REF_CONV2D_TRANSPOSE: transposed_forward(net, node); break;
    case REF_MOVE: move_forward(net, node); break;
    }
}

void ref_forward(struct ref_net *net, const double *input, const int32_t *labels, int n, bool training)
{
    assert(n >= 1 && n <= net->batch);
    net->n = n;
    for (int i = 0; i < net->nodes_count; i++)
        node_forward(net, &net->nodes[i], input, training);
    ref_loss_forward(net, labels, training);
}

/* ---- backward: each adds to its inputs' dy ------------------------------------------------------------------- */

static void conv2d_weight_backward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_window k = node->window;
    struct ref_param *weight = &net->params[node->weight];
    int in = x->c / node->groups;
    bool broken = net->fault == REF_FAULT_WEIGHT_GRAD && is_first_of_kind(net, node);
    for (int64_t j = 0; j < weight->count; j++) {
        int kx = (int)(j % k.kw), ky = (int)(j / k.kw % k.kh);
        int i = (int)(j / (k.kw * k.kh) % in), o = (int)(j / (k.kw * k.kh) / in);
        double sum = 0, size = 0;
        for (int n = 0; n < net->n; n++)
            for (int oy = 0; oy < node->h; oy++)
                for (int ox = 0; ox < node->w; ox++) {
                    int iy = oy * k.sh + ky * k.dh - k.top, ix = ox * k.sw + kx * k.dw - k.left;
                    if (iy < 0 || iy >= x->h || ix < 0 || ix >= x->w)
                        continue;
                    if (broken && n == net->n - 1 && oy == node->h - 1 && ox == node->w - 1)
                        continue;
                    double term = x->y[at(x, n, group_of(node, o) * in + i, iy, ix)] * node->dy[at(node, n, o, oy, ox)];
                    sum += term;
                    size += fabs(term);
                }
        weight->grad[j] = rounded(net, sum, size);
    }
}

static void bias_backward(struct ref_net *net, const struct ref_node *node)
{
    bool broken = net->fault == REF_FAULT_BIAS_GRAD;
    for (int c = 0; c < node->c; c++) {
        double sum = 0, size = 0;
        for (int n = 0; n < net->n; n++)
            for (int i = 0; i < node->h * node->w; i++) {
                double term = node->dy[at(node, n, c, 0, 0) + i];
                if (broken && c == node->c - 1 && n == net->n - 1 && i == node->h * node->w - 1)
                    continue;
                sum += term;
                size += fabs(term);
            }
        net->params[node->bias].grad[c] = rounded(net, sum, size);
    }
}

/* Adds sums of terms, disturbed by their sizes, to a node's dy. */
static void add_gradient(struct ref_net *net, struct ref_node *x, const double *sum, const double *size)
{
    for (int64_t i = 0; i < net->n * ref_node_size(x); i++)
        x->dy[i] += rounded(net, sum[i], size[i]);
}

static void conv2d_data_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_window k = node->window;
    const double *weight = net->params[node->weight].value;
    size_t count = (size_t)(net->n * ref_node_size(x));
    double *sum = room(count, sizeof(double)), *size = room(count, sizeof(double));
    int in = x->c / node->groups;
    bool broken = net->fault == REF_FAULT_DATA_GRAD;
    for (int n = 0; n < net->n; n++)
        for (int o = 0; o < node->c - (broken && node->c > 1); o++)
            for (int oy = 0; oy < node->h; oy++)
                for (int ox = 0; ox < node->w; ox++) {
                    double dy = node->dy[at(node, n, o, oy, ox)];
                    for (int i = 0; i < in; i++)
                        for (int ky = 0; ky < k.kh; ky++)
                            for (int kx = 0; kx < k.kw; kx++) {
                                int iy = oy * k.sh + ky * k.dh - k.top, ix = ox * k.sw + kx * k.dw - k.left;
                                if (iy < 0 || iy >= x->h || ix < 0 || ix >= x->w)
                                    continue;
                                double term = dy * weight[((o * in + i) * k.kh + ky) * k.kw + kx];
                                int64_t place = at(x, n, group_of(node, o) * in + i, iy, ix);
                                sum[place] += term;
                                size[place] += fabs(term);
                            }
                }
    add_gradient(net, x, sum, size);
    free(sum);
    free(size);
}

static void transposed_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_param *weight = &net->params[node->weight];
    size_t count = (size_t)(net->n * ref_node_size(x)), weights = (size_t)weight->count;
    struct products w = {x->y, node->dy, room(weights, sizeof(double)), room(weights, sizeof(double))};
    struct products d = {node->dy, weight->value, room(count, sizeof(double)), room(count, sizeof(double))};
    transposed_each(net, node, net->fault == REF_FAULT_WEIGHT_GRAD && is_first_of_kind(net, node), transposed_weights,
                    &w);
    for (int64_t j = 0; j < weight->count; j++)
        weight->grad[j] = rounded(net, w.sum[j], w.size[j]);
    transposed_each(net, node, net->fault == REF_FAULT_DATA_GRAD, transposed_input, &d);
    add_gradient(net, x, d.sum, d.size);
    free(w.sum);
    free(w.size);
    free(d.sum);
    free(d.size);
}

static void move_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    size_t count = (size_t)(net->n * ref_node_size(x));
    double *sum = room(count, sizeof(double)), *size = room(count, sizeof(double));
    for (int64_t j = 0; j < net->n * ref_node_size(node); j++) {
        int64_t from[4];
        double share[4];
        int sources = move_sources(node, x, j, from, share);
        for (int k = 0; k < sources; k++) {
            sum[from[k]] += share[k] * node->dy[j];
            size[from[k]] += fabs(share[k] * node->dy[j]);
        }
    }
    add_gradient(net, x, sum, size);
    free(sum);
    free(size);
}

static void local_weight_backward(struct ref_net *net, struct ref_node *node)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_param *weight = &net->params[node->weight];
    int taps = x->c * node->window.kh * node->window.kw;
    bool broken = net->fault == REF_FAULT_WEIGHT_GRAD && is_first_of_kind(net, node);
    for (int64_t j = 0; j < weight->count; j++) {
        int k = (int)(j % taps), o = (int)(j / taps % node->c);
        int ox = (int)(j / taps / node->c % node->w), oy = (int)(j / taps / node->c / node->w);
        double sum = 0, size = 0;
        for (int n = 0; n < net->n; n++) {
            double term = x->y[local_input(node, x, n, oy, ox, k)] * node->dy[at(node, n, o, oy, ox)];
            if (broken && n == net->n - 1 && oy == node->h - 1 && ox == node->w - 1)
                continue;
            sum += term;
            size += fabs(term);
        }
        weight->grad[j] = rounded(net, sum, size);
    }
}

static void local_bias_backward(struct ref_net *net, const struct ref_node *node)
{
    struct ref_param *bias = &net->params[node->bias];
    bool broken = net->fault == REF_FAULT_BIAS_GRAD;
    for (int64_t j = 0; j < bias->count; j++) {
        int o = (int)(j % node->c), ox = (int)(j / node->c % node->w), oy = (int)(j / node->c / node->w);
        double sum = 0, size = 0;
        for (int n = 0; n < net->n - (broken && j == bias->count - 1); n++) {
            sum += node->dy[at(node, n, o, oy, ox)];
            size += fabs(node->dy[at(node, n, o, oy, ox)]);
        }
        bias->grad[j] = rounded(net, sum, size);
    }
}

static void local_data_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    const double *weight = net->params[node->weight].value;
    size_t count = (size_t)(net->n * ref_node_size(x));
    double *sum = room(count, sizeof(double)), *size = room(count, sizeof(double));
    int taps = x->c * node->window.kh * node->window.kw;
    bool broken = net->fault == REF_FAULT_DATA_GRAD;
    for (int n = 0; n < net->n; n++)
        for (int oy = 0; oy < node->h; oy++)
            for (int ox = 0; ox < node->w; ox++)
                for (int o = 0; o < node->c - (broken && node->c > 1); o++)
                    for (int k = 0; k < taps; k++) {
                        double term = weight[local_weights(node, x, o, oy, ox) + k]
                            * node->dy[at(node, n, o, oy, ox)];
                        sum[local_input(node, x, n, oy, ox, k)] += term;
                        size[local_input(node, x, n, oy, ox, k)] += fabs(term);
                    }
    add_gradient(net, x, sum, size);
    free(sum);
    free(size);
}

static void dense_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_param *weight = &net->params[node->weight];
    bool broken = net->fault == REF_FAULT_WEIGHT_GRAD && is_first_of_kind(net, node);
    for (int o = 0; o < node->c; o++)
        for (int i = 0; i < x->c; i++) {
            double sum = 0, size = 0;
            for (int n = 0; n < net->n - broken; n++) {
                double term = x->y[(int64_t)n * x->c + i] * node->dy[(int64_t)n * node->c + o];
                sum += term;
                size += fabs(term);
            }
            weight->grad[(int64_t)o * x->c + i] = rounded(net, sum, size);
        }
    for (int n = 0; n < net->n; n++)
        for (int i = 0; i < x->c; i++) {
            double sum = 0, size = 0;
            for (int o = 0; o < node->c; o++) {
                double term = node->dy[(int64_t)n * node->c + o] * weight->value[(int64_t)o * x->c + i];
                sum += term;
                size += fabs(term);
            }
            x->dy[(int64_t)n * x->c + i] += rounded(net, sum, size);
        }
}

static void pool_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_window k = node->window;
    for (int n = 0; n < net->n; n++)
        for (int c = 0; c < node->c; c++)
            for (int oy = 0; oy < node->h; oy++)
                for (int ox = 0; ox < node->w; ox++) {
                    double dy = node->dy[at(node, n, c, oy, ox)];
                    if (node->kind == REF_MAXPOOL) {
                        x->dy[at(x, n, c, 0, 0) + node->winner[at(node, n, c, oy, ox)]] += dy;
                        continue;
                    }
                    int y0 = oy * k.sh - k.top, x0 = ox * k.sw - k.left, count = 0;
                    for (int pass = 0; pass < 2; pass++)
                        for (int iy = y0; iy < y0 + k.kh; iy++)
                            for (int ix = x0; ix < x0 + k.kw; ix++) {
                                if (iy < 0 || iy >= x->h || ix < 0 || ix >= x->w)
                                    continue;
                                if (pass == 0)
                                    count++;
                                else
                                    x->dy[at(x, n, c, iy, ix)] += rounded(net, dy / count, fabs(dy) / count);
                            }
                }
}

static void global_avgpool_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    int places = x->h * x->w;
    for (int64_t i = 0; i < net->n * ref_node_size(x); i++) {
        double dy = node->dy[i / places] / places;
        x->dy[i] += rounded(net, dy, fabs(dy));
    }
}

/* Ioffe and Szegedy 2015: with xhat = (x - mean) / deviation and m values to a channel,
 * dx = gamma / deviation * (dy - sum(dy) / m - xhat * sum(dy * xhat) / m); here of one channel and group of samples,
 * whose sums are added to sums: dgamma, dbeta. */
static void batchnorm_group_backward(struct ref_net *net, struct ref_node *node, int c, int first, double *sums)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    int places = x->h * x->w, end = ghost_end(net, node, first);
    double m = (double)(end - first) * places, mean = node->mean[first * node->c + c];
    double inverse = 1 / sqrt(node->variance[first * node->c + c] + node->epsilon);
    double scale = value_or(net, node->weight, c, 1) * inverse;
    double dbeta = 0, dgamma = 0, beta_size = 0, gamma_size = 0;
    for (int n = first; n < end; n++)
        for (int i = 0; i < places; i++) {
            int64_t j = at(x, n, c, 0, 0) + i;
            dbeta += node->dy[j];
            dgamma += node->dy[j] * (x->y[j] - mean) * inverse;
            beta_size += fabs(node->dy[j]);
            gamma_size += fabs(node->dy[j]) * (fabs(x->y[j]) + fabs(mean)) * inverse;
        }
    dbeta = rounded(net, dbeta, beta_size);
    dgamma = rounded(net, dgamma, gamma_size);
    sums[0] += dgamma;
    sums[1] += dbeta;
    for (int n = first; n < end; n++)
        for (int i = 0; i < places; i++) {
            int64_t j = at(x, n, c, 0, 0) + i;
            double xhat = (x->y[j] - mean) * inverse;
            double xhat_size = (fabs(x->y[j]) + fabs(mean)) * inverse;
            double size = fabs(node->dy[j]) + fabs(dbeta) / m + xhat_size * fabs(dgamma) / m;
            x->dy[j] += rounded(net, scale * (node->dy[j] - dbeta / m - xhat * dgamma / m), fabs(scale) * size);
        }
}

/* Moments that are given: a straight line. */
static void frozen_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    for (int c = 0; c < node->c; c++) {
        double scale = value_or(net, node->weight, c, 1) / sqrt(net->params[node->running_var].value[c] +
                                                                node->epsilon);
        double mean = net->params[node->running_mean].value[c], sums[2] = {0, 0};
        double inverse = 1 / sqrt(net->params[node->running_var].value[c] + node->epsilon);
        for (int n = 0; n < net->n; n++)
            for (int i = 0; i < x->h * x->w; i++) {
                int64_t j = at(x, n, c, 0, 0) + i;
                x->dy[j] += rounded(net, scale * node->dy[j], fabs(scale * node->dy[j]));
                sums[0] += node->dy[j] * (x->y[j] - mean) * inverse;
                sums[1] += node->dy[j];
            }
        if (node->weight >= 0)          /* nobody learns by them */
            net->params[node->weight].grad[c] = sums[0];
        if (node->bias >= 0)
            net->params[node->bias].grad[c] = sums[1];
    }
}

static void batchnorm_backward(struct ref_net *net, struct ref_node *node)
{
    if (node->frozen) {
        frozen_backward(net, node);
        return;
    }
    for (int c = 0; c < node->c; c++) {
        double sums[2] = {0, 0};
        for (int first = 0; first < net->n; first = ghost_end(net, node, first))
            batchnorm_group_backward(net, node, c, first, sums);
        if (node->weight >= 0)
            net->params[node->weight].grad[c] = sums[0];
        if (node->bias >= 0)
            net->params[node->bias].grad[c] = sums[1];
    }
}

/* Of one set: dx = inverse (g - mean(g) - xhat mean(g xhat)) with g = weight dy; and the terms of the parameters'
 * gradients with what they are rounded by. */
static void layernorm_set_backward(struct ref_net *net, struct ref_node *node, int n, int s, double *const *sums)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    int64_t count = norm_count(node);
    double mean, inverse, along = 0, evenly = 0, along_size = 0, evenly_size = 0;
    norm_moments(net, node, n, s, &mean, &inverse);
    for (int64_t k = 0; k < count; k++) {
        int64_t j = norm_place(node, n, s, k), a = norm_affine(node, j);
        double xhat = (x->y[j] - mean) * inverse, xhat_size = (fabs(x->y[j]) + fabs(mean)) * inverse;
        double g = node->dy[j] * norm_param_or(net, node, node->weight, j, 1);
        along += g * xhat;
        evenly += g;
        along_size += fabs(g) * xhat_size;
        evenly_size += fabs(g);
        sums[0][a] += node->dy[j] * xhat;
        sums[1][a] += fabs(node->dy[j]) * xhat_size;
        sums[2][a] += node->dy[j];
        sums[3][a] += fabs(node->dy[j]);
    }
    along = rounded(net, along, along_size) / (double)count;
    evenly = rounded(net, evenly, evenly_size) / (double)count;
    for (int64_t k = 0; k < count; k++) {
        int64_t j = norm_place(node, n, s, k);
        double xhat = (x->y[j] - mean) * inverse, xhat_size = (fabs(x->y[j]) + fabs(mean)) * inverse;
        double g = node->dy[j] * norm_param_or(net, node, node->weight, j, 1);
        x->dy[j] += rounded(net, inverse * (g - evenly - xhat * along),
                            inverse * (fabs(g) + fabs(evenly) + xhat_size * fabs(along)));
    }
}

static void layernorm_backward(struct ref_net *net, struct ref_node *node)
{
    int64_t numbers = node->each ? ref_node_size(node) : node->c;
    double *sums[4];
    for (int i = 0; i < 4; i++)
        sums[i] = room((size_t)numbers, sizeof(double));
    for (int n = 0; n < net->n; n++)
        for (int s = 0; s < norm_sets(node); s++)
            layernorm_set_backward(net, node, n, s, sums);
    for (int64_t a = 0; a < numbers; a++) {
        if (node->weight >= 0)
            net->params[node->weight].grad[a] = rounded(net, sums[0][a], sums[1][a]);
        if (node->bias >= 0)
            net->params[node->bias].grad[a] = rounded(net, sums[2][a], sums[3][a]);
    }
    for (int i = 0; i < 4; i++)
        free(sums[i]);
}

static void add_backward(struct ref_net *net, struct ref_node *node)
{
    for (int i = 0; i < node->in_count; i++) {
        struct ref_node *part = &net->nodes[node->in[i]];
        bool spread = part->h == 1 && part->w == 1;
        int places = node->h * node->w;
        for (int64_t j = 0; j < net->n * ref_node_size(node); j++)
            part->dy[spread ? j / places : j] += rounded(net, node->dy[j], fabs(node->dy[j]));
    }
}

/* Of each operand: the others' product.  What is spread gets the sum over its map. */
static void multiply_backward(struct ref_net *net, struct ref_node *node)
{
    for (int i = 0; i < node->in_count; i++) {
        struct ref_node *part = &net->nodes[node->in[i]];
        for (int n = 0; n < net->n; n++)
            for (int c = 0; c < node->c; c++) {
                double *sums = NULL, sum = 0, size = 0;
                for (int y = 0; y < node->h; y++)
                    for (int x = 0; x < node->w; x++) {
                        double term = node->dy[at(node, n, c, y, x)];
                        for (int k = 0; k < node->in_count; k++)
                            if (k != i)
                                term *= net->nodes[node->in[k]].y[spread_at(net, node, k, n, c, y, x)];
                        double *dx = &part->dy[spread_at(net, node, i, n, c, y, x)];
                        if (part->h != node->h || part->w != node->w) {
                            sums = dx;
                            sum += term;
                            size += node->in_count * fabs(term);
                        } else {
                            *dx += rounded(net, term, node->in_count * fabs(term));
                        }
                    }
                if (sums)
                    *sums += rounded(net, sum, size);
            }
    }
}

static void concat_backward(struct ref_net *net, struct ref_node *node)
{
    for (int n = 0; n < net->n; n++)
        for (int i = 0; i < node->in_count; i++) {
            struct ref_node *part = &net->nodes[node->in[i]];
            int64_t size = ref_node_size(part), from = part_of_whole(net, node, i, n);
            for (int64_t j = 0; j < size; j++)
                part->dy[n * size + j] += node->dy[from + j];
        }
}

static void activation_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    bool exact = node->activation == REF_RELU || node->activation == REF_RELU6;
    for (int64_t i = 0; i < net->n * ref_node_size(node); i++) {
        double dy = node->dy[i], slope = ref_act_slope(node->activation, node->alpha, x->y[i]);
        x->dy[i] += exact ? dy * slope : rounded(net, dy * slope, fabs(dy) * (1 + 2 * fabs(slope)));
    }
}

static void softmax_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    for (int n = 0; n < net->n; n++)
        for (int i = 0; i < node->h * node->w; i++) {
            double mean = 0, size = 0;
            for (int c = 0; c < node->c; c++) {
                int64_t j = at(node, n, c, 0, 0) + i;
                mean += node->y[j] * node->dy[j];
                size += fabs(node->y[j] * node->dy[j]);
            }
            for (int c = 0; c < node->c; c++) {
                int64_t j = at(node, n, c, 0, 0) + i;
                x->dy[j] += rounded(net, node->y[j] * (node->dy[j] - mean),
                                    node->y[j] * (fabs(node->dy[j]) + size));
            }
        }
}

static void dropout_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    for (int64_t i = 0; i < net->n * ref_node_size(node); i++)
        x->dy[i] += !node->kept ? node->dy[i] : node->kept[i] ? node->dy[i] / (1 - node->rate) : 0;
}

static void scale_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    for (int64_t i = 0; i < net->n * ref_node_size(node); i++)
        x->dy[i] += rounded(net, node->factor * node->dy[i], fabs(node->factor * node->dy[i]));
}

static void copy_backward(struct ref_net *net, struct ref_node *node)
{
    struct ref_node *x = &net->nodes[node->in[0]];
    for (int64_t i = 0; i < net->n * ref_node_size(node); i++)
        x->dy[i] += node->dy[i];
}

static void node_backward(struct ref_net *net, struct ref_node *node)
{
    switch (node->kind) {
    case REF_INPUT: break;
    case REF_CONV2D:
        conv2d_weight_backward(net, node);
        if (node->bias >= 0)
            bias_backward(net, node);
        conv2d_data_backward(net, node);
        break;
    case REF_LOCALLY_CONNECTED2D:
        local_weight_backward(net, node);
        if (node->bias >= 0)
            local_bias_backward(net, node);
        local_data_backward(net, node);
        break;
    case REF_MAXPOOL: case REF_AVGPOOL: pool_backward(net, node); break;
    case REF_GLOBAL_AVGPOOL: global_avgpool_backward(net, node); break;
    case REF_FLATTEN: copy_backward(net, node); break;
    case REF_DENSE:
        if (node->bias >= 0)
            bias_backward(net, node);
        dense_backward(net, node);
        break;
    case REF_BATCHNORM: batchnorm_backward(net, node); break;
    case REF_LAYERNORM: layernorm_backward(net, node); break;
    case REF_LRN: lrn_backward(net, node); break;
    case REF_PRELU: prelu_backward(net, node); break;
    case REF_DROPOUT: dropout_backward(net, node); break;
    case REF_ADD: add_backward(net, node); break;
    case REF_MULTIPLY: multiply_backward(net, node); break;
    case REF_CONCAT: concat_backward(net, node); break;
    case REF_ACTIVATION: activation_backward(net, node); break;
    case REF_SOFTMAX: softmax_backward(net, node); break;
    case REF_SCALE: scale_backward(net, node); break;
    case REF_CONV2D_TRANSPOSE:
        if (node->bias >= 0)
            bias_backward(net, node);
        transposed_backward(net, node);
        break;
    case REF_MOVE: move_backward(net, node); break;
    }
}

void ref_backward(struct ref_net *net)
{
    for (int i = 0; i < net->nodes_count - 1; i++)
        memset(net->nodes[i].dy, 0, (size_t)(net->n * ref_node_size(&net->nodes[i])) * sizeof(double));
    for (int i = net->nodes_count; i-- > 0;)
        node_backward(net, &net->nodes[i]);
    ref_decay_gradients(net);
}

/* ---- kinks --------------------------------------------------------------------------------------------------- */

/* Taps whose value lies so near the winner's that rounding may let them win; equal ones are first come, first
 * served in any precision. */
static int64_t near_winners(const struct ref_net *net, const struct ref_node *node, double margin)
{
    const struct ref_node *x = &net->nodes[node->in[0]];
    struct ref_window k = node->window;
    int64_t near = 0;
    for (int64_t j = 0; j < net->n * ref_node_size(node); j++) {
        int ox = (int)(j % node->w), oy = (int)(j / node->w % node->h);
        int64_t map = j / (node->w * node->h) * (x->h * x->w);
        for (int iy = oy * k.sh - k.top; iy < oy * k.sh - k.top + k.kh; iy++)
            for (int ix = ox * k.sw - k.left; ix < ox * k.sw - k.left + k.kw; ix++) {
                if (iy < 0 || iy >= x->h || ix < 0 || ix >= x->w)
                    continue;
                double gap = node->y[j] - x->y[map + iy * x->w + ix];
                near += gap > 0 && gap <= 2 * margin * x->error;
            }
    }
    return near;
}

int64_t ref_near_kinks(const struct ref_net *net, double margin)
{
    int64_t near = ref_near_targets(net, margin);
    for (int i = 0; i < net->nodes_count; i++) {
        const struct ref_node *node = &net->nodes[i];
        if (node->kind == REF_MAXPOOL)
            near += near_winners(net, node, margin);
        if (node->kind != REF_ACTIVATION && node->kind != REF_PRELU)
            continue;
        const struct ref_node *x = &net->nodes[node->in[0]];
        for (int64_t j = 0; j < net->n * ref_node_size(node); j++) {
            double distance = node->kind == REF_PRELU ? fabs(x->y[j]) : kink_distance(node, x->y[j]);
            near += distance > 0 && distance <= margin * x->error;
        }
    }
    return near;
}
