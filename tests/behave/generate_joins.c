/* generate_joins.c - branches of random networks and what joins them. */
#include "generate_parts.h"

#include <string.h>

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
    write_line(m, "branch {");
    m->depth++;
}

static void close_block(struct maker *m)
{
    m->depth--;
    write_line(m, "}");
}

/* A convolution that keeps height and width, with a filter count of its own. */
int put_keeping_conv(struct maker *m, int x, int filters, int activation_percent)
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

int make_global_pool(struct maker *m, int x)
{
    if (chance(m, 35)) {
        write_line(m, "global_maxpool2d");
        return ref_global_maxpool(m->net, x);
    }
    write_line(m, "global_avgpool2d");
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
        write_line(m, "branch {}");
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
        write_line(m, "%s %dx%d, stride=%dx%d, padding=same", kind == REF_MAXPOOL ? "maxpool2d" : "avgpool2d", k.kh,
                   k.kw, sh, sw);
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
        write_line(m, "scale 1 as %s", name);
        return x;
    }
    if (chance(m, 40)) {
        write_line(m, "scale 0.75 as %s", name);
        return ref_scale(m->net, x, 0.75);
    }
    write_line(m, "relu as %s", name);
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
        write_line(m, "%s %s, %s", join->word, first, second);
        count = 3;
    } else {
        parts[2] = parts[1];
        write_line(m, twice ? "%s %s, %s" : "%s %s", join->word, first, first);
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
    write_line(m, "%s {", join.word);
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
        write_line(m, "%s 3x2, stride=1, padding=same", kind == REF_MAXPOOL ? "maxpool2d" : "avgpool2d");
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
    write_line(m, "concat {");
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
        write_line(m, "concat {");
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

int make_any_join(struct maker *m, int x)
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
    write_line(m, "concat {");
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

int make_flat_join(struct maker *m, int x)
{
    int width = node_of(m, x)->c, parts[2];
    struct join join = choose_join(m);
    if ((int64_t)width * width > m->budget / 2)
        return x;
    if (chance(m, 35))
        return make_flat_concat(m, x);
    bool first = chance(m, 50);
    write_line(m, "%s {", join.word);
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
