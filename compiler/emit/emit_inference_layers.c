/* emit_inference_layers.c - one C function for each step of the network: plain loops with constant
 * bounds, channels innermost, that compilers vectorise. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "emit/emit_inference.h"

struct layers {
    struct arena *arena;
    struct cwriter *w;
    const struct inference *net;
};

static bool is_public(const struct inference *net)
{
    return net->extern_weights;
}

const char *emit_inference_weights(struct arena *a, const struct inference *net,
                                   const struct infer_step *s)
{
    return arena_printf(a, "%s%s%s_%s", is_public(net) ? net->name : "", is_public(net) ? "_" : "",
                        s->name, s->kind == INFER_SCALE ? "scale" : "weights");
}

const char *emit_inference_biases(struct arena *a, const struct inference *net,
                                  const struct infer_step *s)
{
    return arena_printf(a, "%s%s%s_%s", is_public(net) ? net->name : "", is_public(net) ? "_" : "",
                        s->name, s->kind == INFER_SCALE ? "shift" : "biases");
}

struct float_text emit_inference_float(float x)
{
    struct float_text t;
    int n = snprintf(t.text, sizeof t.text - 3, "%.9g", x);

    if (!strpbrk(t.text, ".e")) {
        t.text[n++] = '.';
        t.text[n++] = '0';
    }
    t.text[n++] = 'f';
    t.text[n] = '\0';
    return t;
}

/* ---- activations ----------------------------------------------------------------------------- */

static bool uses_activation(const struct inference *net, enum activation a)
{
    for (int i = 0; i < net->steps_count; i++)
        if (net->steps[i]->activation == a)
            return true;
    return false;
}

static void emit_activations(const struct layers *l)
{
    for (int a = ACT_LINEAR + 1; a < ACTIVATIONS_COUNT; a++) {
        enum activation act = (enum activation)a;
        bool written;
        const char *name = activation_c_name(l->arena, act, EXPR_C_FLOAT, &written);
        if (!written || !uses_activation(l->net, act))
            continue;
        activation_write(l->w, act, EXPR_C_FLOAT, name);
        cw_blank(l->w);
    }
}

/* The expression with the step's activation around it. */
static const char *activated(const struct layers *l, const struct infer_step *s, const char *x)
{
    bool written;
    if (s->activation == ACT_LINEAR)
        return x;
    const char *name = activation_c_name(l->arena, s->activation, EXPR_C_FLOAT, &written);
    if (!activation_has_alpha(s->activation))
        return arena_printf(l->arena, "%s(%s)", name, x);
    return arena_printf(l->arena, "%s(%s, %s)", name, x, emit_inference_float((float)s->alpha).text);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* "for (int c = 0; c < 16; c++)" with a brace, or without for a body of one line. */
static void open_loop(const struct layers *l, const char *name, int64_t end, bool brace)
{
    cw_open(l->w, "for (int %s = 0; %s < %" PRId64 "; %s++)%s", name, name, end, name,
            brace ? " {" : "");
}

static void close_loops(const struct layers *l, int count)
{
    for (int i = 0; i < count; i++)
        cw_close(l->w, "}");
}

/* "a * 3", and "a * 3 + b" for an index b below 3 in a: without factors that do nothing. */
static const char *times(const struct layers *l, const char *name, int64_t factor)
{
    return factor == 1 ? name : arena_printf(l->arena, "%s * %" PRId64, name, factor);
}

static const char *inside(const struct layers *l, const char *name, const char *inner,
                          int64_t extent)
{
    if (extent == 1)
        return arena_printf(l->arena, "%s + %s", name, inner);
    return arena_printf(l->arena,
                        strchr(name, ' ') ? "(%s) * %" PRId64 " + %s" : "%s * %" PRId64 " + %s",
                        name, extent, inner);
}

/* One direction of a window: loops over its taps, and where in the input a tap lies. */
struct tap {
    const char *tap, *position;     /* names of the loops' variables */
    const char *at;                 /* the input's row or column */
    int size, stride, dilation, before, after, in, out;
};

static struct tap tap_rows(const struct infer_step *s)
{
    const struct window *k = &s->window;
    return (struct tap){"i",           "row",      "r",         k->kh, k->stride_h, k->dilation_h,
                        k->pad_top, k->pad_bottom, s->in_shape.h, s->out_shape.h};
}

static struct tap tap_columns(const struct infer_step *s)
{
    const struct window *k = &s->window;
    return (struct tap){"j",            "column",    "q",         k->kw, k->stride_w, k->dilation_w,
                        k->pad_left, k->pad_right, s->in_shape.w, s->out_shape.w};
}

/* Whether some tap of some position lies beside the input. */
static bool reaches_out(const struct tap *t)
{
    return t->before > 0 ||
           (t->out - 1) * t->stride + (t->size - 1) * t->dilation - t->before >= t->in;
}

/* Opens the loop over taps, if there are several, and declares where the tap lies.  Returns the
 * loops opened. */
static int open_taps(const struct layers *l, const struct tap *t)
{
    const char *at = times(l, t->position, t->stride);

    if (t->size > 1) {
        open_loop(l, t->tap, t->size, true);
        at = arena_printf(l->arena, "%s + %s", at, times(l, t->tap, t->dilation));
    }
    if (t->before)
        at = arena_printf(l->arena, "%s - %d", at, t->before);
    cw_line(l->w, "const int %s = %s;", t->at, at);
    return t->size > 1;
}

/* The condition that a tap lies beside the input, or NULL. */
static const char *outside(const struct layers *l, const struct tap *t)
{
    if (!reaches_out(t))
        return NULL;
    if (!t->before)
        return arena_printf(l->arena, "%s >= %d", t->at, t->in);
    return arena_printf(l->arena, "%s < 0 || %s >= %d", t->at, t->at, t->in);
}

/* Both directions, row by row; taps beside the input are left out.  Returns the loops opened. */
static int open_window(const struct layers *l, const struct infer_step *s)
{
    struct tap taps[] = {tap_rows(s), tap_columns(s)};
    int loops = 0;

    for (int i = 0; i < 2; i++) {
        loops += open_taps(l, &taps[i]);
        const char *beside = outside(l, &taps[i]);
        if (!beside)
            continue;
        if (taps[i].size > 1) {
            cw_open(l->w, "if (%s)", beside);
            cw_line(l->w, "continue;");
            cw_close(l->w, "");
        } else {
            cw_open(l->w, "if (!(%s)) {", beside);
            loops++;
        }
    }
    return loops;
}

static const char *shape_of(const struct layers *l, struct shape s)
{
    if (s.h == 1 && s.w == 1)
        return arena_printf(l->arena, "%d", s.c);
    return arena_printf(l->arena, "%d x %d x %d", s.h, s.w, s.c);
}

/* The comment and the head of a step's function, and its brace. */
static void open_function(const struct layers *l, const struct infer_step *s, const char *what)
{
    const char *in = shape_of(l, s->in_shape), *out = shape_of(l, s->out_shape);
    const char *apart = s->in_place ? "" : "restrict ";

    if (s->planes || s->kind == INFER_TO_ROWS)
        in = arena_printf(l->arena, "%d x %d x %d (channels first)", s->in_shape.c, s->in_shape.h,
                          s->in_shape.w);
    if (s->kind == INFER_TO_PLANES)
        out = arena_printf(l->arena, "%d x %d x %d (channels first)", s->out_shape.c,
                           s->out_shape.h, s->out_shape.w);
    cw_comment(l->w, "%s: %s -> %s%s%s", s->text, in, out, *what ? "; " : "", what);
    if (s->in_count == 2)
        cw_line(l->w, "static void %s(const float *%sa, const float *%sb, float *%sy)", s->name,
                apart, apart, apart);
    else
        cw_line(l->w, "static void %s(const float *%sx, float *%sy)", s->name, apart, apart);
    cw_open(l->w, "{");
}

static void close_function(const struct layers *l)
{
    cw_close(l->w, "}");
    cw_blank(l->w);
}

/* Where the results of a position and what a tap reads begin. */
static void emit_pointer(const struct layers *l, const char *type, const char *name,
                         const char *base, const char *position, int channels)
{
    bool sum = strchr(position, ' ') != NULL;

    cw_line(l->w, "%sfloat *%s = %s + %s%s%s;", type, name, base, sum && channels > 1 ? "(" : "",
            position,
            channels > 1 ? arena_printf(l->arena, "%s * %d", sum ? ")" : "", channels) : "");
}

/* ---- products -------------------------------------------------------------------------------- */

static const char *multiply_adds(const struct layers *l, const struct infer_step *s)
{
    return arena_printf(l->arena, "%" PRId64 " multiply-adds", infer_step_multiply_adds(s));
}

/* "for (int k ...) to[k] = biases[k];": where the sums of a position start. */
static void emit_start(const struct layers *l, const struct infer_step *s, const char *to,
                       const char *first_bias)
{
    const char *biases = emit_inference_biases(l->arena, l->net, s);

    open_loop(l, "k", s->out_shape.c, false);
    if (s->biases)
        cw_line(l->w, "%s[k] = %s[%s];", to, biases,
                *first_bias ? arena_printf(l->arena, "%s + k", first_bias) : "k");
    else
        cw_line(l->w, "%s[k] = 0.0f;", to);
    cw_close(l->w, "");
}

static void emit_finish(const struct layers *l, const struct infer_step *s, const char *to)
{
    if (s->activation == ACT_LINEAR)
        return;
    open_loop(l, "k", s->out_shape.c, false);
    cw_line(l->w, "%s[k] = %s;", to, activated(l, s, arena_printf(l->arena, "%s[k]", to)));
    cw_close(l->w, "");
}

/* How many inputs are taken in one go: each sum is then loaded and stored once for all of them. */
static int inputs_at_once(int inputs)
{
    return inputs % 4 == 0 ? 4 : inputs % 3 == 0 ? 3 : inputs % 2 == 0 ? 2 : 1;
}

/* The products of inputs from[0], from[apart] ... with the rows of weights that begin at `weights`,
 * added to the sums. */
static void emit_products(const struct layers *l, const struct infer_step *s, const char *to,
                          const char *from, const char *index, int64_t apart, const char *weights)
{
    int inputs = s->in_shape.c, outputs = s->out_shape.c, group = inputs_at_once(inputs);
    bool loops = group < inputs;
    const char *values = "", *sum = "";

    if (loops)
        cw_open(l->w, "for (int %s = 0; %s < %d; %s%s) {", index, index, inputs, index,
                group > 1 ? arena_printf(l->arena, " += %d", group) : "++");
    cw_line(l->w, "const float *w = %s%s;", weights,
            loops ? arena_printf(l->arena, " + %s", times(l, index, outputs)) : "");
    for (int i = 0; i < group; i++) {
        const char *at = loops ? (i ? arena_printf(l->arena, "%s + %d", index, i) : index)
                               : arena_printf(l->arena, "%d", i);
        if (apart > 1 && loops && i)
            at = arena_printf(l->arena, "(%s)", at);
        if (apart > 1)
            at = loops ? times(l, at, apart) : arena_printf(l->arena, "%" PRId64, i * apart);
        values = arena_printf(l->arena, "%s%sx%d = %s[%s]", values, i ? ", " : "", i, from, at);
        sum = arena_printf(l->arena, "%s%sx%d * w[%s]", sum, i ? " + " : "", i,
                           i ? arena_printf(l->arena, "%d + k", i * outputs) : "k");
    }
    /* read first: stores to the sums need not be suspected to change them */
    cw_line(l->w, "const float %s;", values);
    open_loop(l, "k", outputs, false);
    cw_line(l->w, "%s[k] += %s;", to, sum);
    cw_close(l->w, "");
    close_loops(l, loops);
}

/* Where the weights of a tap begin, at a position where each has its own. */
static const char *tap_weights(const struct layers *l, const struct infer_step *s)
{
    const struct window *k = &s->window;
    const char *column = k->kw == 1 ? "" : "j", *row = k->kh == 1 ? "" : "i", *tap = row;
    const char *weights = emit_inference_weights(l->arena, l->net, s);
    int64_t step = (int64_t)s->in_shape.c * s->out_shape.c;

    if (*column)
        tap = *row ? arena_printf(l->arena, "(%s)", inside(l, row, column, k->kw)) : column;
    else if (*row)
        tap = row;
    if (s->kind == INFER_LOCAL2D)
        weights = arena_printf(l->arena, "%s + (%s) * %" PRId64, weights,
                               inside(l, "row", "column", s->out_shape.w),
                               step * k->kh * k->kw);
    return *tap ? arena_printf(l->arena, "%s + %s", weights, times(l, tap, step)) : weights;
}

/* Filters that all positions share, or that each has for itself. */
static void emit_conv2d(const struct layers *l, const struct infer_step *s)
{
    struct shape in = s->in_shape, out = s->out_shape;
    int64_t positions = (int64_t)out.h * out.w;
    bool bias_by_position = s->kind == INFER_LOCAL2D && s->biases_count == positions * out.c;
    const char *position = inside(l, "row", "column", out.w), *place = inside(l, "r", "q", in.w);

    open_function(l, s, multiply_adds(l, s));
    open_loop(l, "row", out.h, true);
    open_loop(l, "column", out.w, true);
    emit_pointer(l, "", "to", "y", position, out.c);
    emit_start(l, s, "to",
               bias_by_position ? arena_printf(l->arena, "(%s) * %d", position, out.c) : "");
    int taps = open_window(l, s);
    emit_pointer(l, "const ", "at", "x", place, s->planes ? 1 : in.c);
    emit_products(l, s, "to", "at", "c", s->planes ? (int64_t)in.h * in.w : 1, tap_weights(l, s));
    close_loops(l, taps);
    emit_finish(l, s, "to");
    close_loops(l, 2);
    close_function(l);
}

static void emit_dense(const struct layers *l, const struct infer_step *s)
{
    open_function(l, s, multiply_adds(l, s));
    emit_start(l, s, "y", "");
    emit_products(l, s, "y", "x", "i", 1, emit_inference_weights(l->arena, l->net, s));
    emit_finish(l, s, "y");
    close_function(l);
}

/* ---- element by element ---------------------------------------------------------------------- */

/* Loops over positions and channels around one line; index: "i * 16 + c", or "c" for a vector. */
static const char *open_elements(const struct layers *l, struct shape s, int *loops)
{
    int64_t positions = (int64_t)s.h * s.w;

    *loops = positions > 1;
    if (positions > 1)
        open_loop(l, "i", positions, false);
    open_loop(l, "c", s.c, false);
    return positions > 1 ? inside(l, "i", "c", s.c) : "c";
}

static void close_elements(const struct layers *l, int loops)
{
    for (int i = 0; i <= loops; i++)
        cw_close(l->w, "");
}

static void emit_scale(const struct layers *l, const struct infer_step *s)
{
    int loops;

    open_function(l, s, "batch normalisation as scale and shift");
    const char *at = open_elements(l, s->in_shape, &loops);
    const char *sum = arena_printf(l->arena, "x[%s] * %s[c] + %s[c]", at,
                                   emit_inference_weights(l->arena, l->net, s),
                                   emit_inference_biases(l->arena, l->net, s));
    cw_line(l->w, "y[%s] = %s;", at, activated(l, s, sum));
    close_elements(l, loops);
    close_function(l);
}

static void emit_each(const struct layers *l, const struct infer_step *s)
{
    open_function(l, s, "");
    open_loop(l, "i", shape_elements(s->in_shape), false);
    cw_line(l->w, "y[i] = %s;", activated(l, s, s->in_count == 2 ? "a[i] + b[i]" : "x[i]"));
    cw_close(l->w, "");
    close_function(l);
}

/* b has one number a channel. */
static void emit_spread(const struct layers *l, const struct infer_step *s)
{
    int loops;

    open_function(l, s, "b is the same at all positions");
    const char *at = open_elements(l, s->in_shape, &loops);
    cw_line(l->w, "y[%s] = %s;", at,
            activated(l, s, arena_printf(l->arena, "a[%s] + b[c]", at)));
    close_elements(l, loops);
    close_function(l);
}

static void emit_softmax(const struct layers *l, const struct infer_step *s)
{
    int64_t positions = (int64_t)s->in_shape.h * s->in_shape.w;
    int c = s->in_shape.c;

    open_function(l, s, "the largest is taken off first, so that nothing overflows");
    if (positions > 1)
        cw_open(l->w, "for (int i = 0; i < %" PRId64 "; i++, x += %d, y += %d) {", positions, c, c);
    cw_line(l->w, "float most = x[0], sum = 0.0f;");
    cw_open(l->w, "for (int c = 1; c < %d; c++)", c);
    cw_line(l->w, "most = x[c] > most ? x[c] : most;");
    cw_close(l->w, "");
    open_loop(l, "c", c, true);
    cw_line(l->w, "y[c] = expf(x[c] - most);");
    cw_line(l->w, "sum += y[c];");
    cw_close(l->w, "}");
    open_loop(l, "c", c, false);
    cw_line(l->w, "y[c] /= sum;");
    cw_close(l->w, "");
    close_loops(l, positions > 1);
    close_function(l);
}

static void emit_turn(const struct layers *l, const struct infer_step *s)
{
    int64_t positions = (int64_t)s->in_shape.h * s->in_shape.w;
    const char *rows = inside(l, "i", "c", s->in_shape.c), *planes = inside(l, "c", "i", positions);
    bool to_rows = s->kind == INFER_TO_ROWS;

    open_function(l, s, "");
    open_loop(l, "i", positions, false);
    open_loop(l, "c", s->in_shape.c, false);
    cw_line(l->w, "y[%s] = x[%s];", to_rows ? rows : planes, to_rows ? planes : rows);
    cw_close(l->w, "");
    cw_close(l->w, "");
    close_function(l);
}

/* ---- pooling --------------------------------------------------------------------------------- */

static void loop_channels(const struct layers *l, int channels, const char *line)
{
    open_loop(l, "c", channels, false);
    cw_line(l->w, "%s", line);
    cw_close(l->w, "");
}

static void emit_pooling(const struct layers *l, const struct infer_step *s)
{
    int channels = s->out_shape.c;
    struct tap rows = tap_rows(s), columns = tap_columns(s);
    bool most = s->kind == INFER_MAXPOOL2D, counts = reaches_out(&rows) || reaches_out(&columns);
    const char *window = arena_printf(l->arena, "windows of %d x %d", s->window.kh, s->window.kw);

    open_function(l, s, window);
    open_loop(l, "row", s->out_shape.h, true);
    open_loop(l, "column", s->out_shape.w, true);
    emit_pointer(l, "", "to", "y", inside(l, "row", "column", s->out_shape.w), channels);
    loop_channels(l, channels, most ? "to[c] = -INFINITY;" : "to[c] = 0.0f;");
    if (!most && counts)
        cw_line(l->w, "int count = 0;");
    int taps = open_window(l, s);
    emit_pointer(l, "const ", "at", "x", inside(l, "r", "q", s->in_shape.w), channels);
    loop_channels(l, channels, most ? "to[c] = at[c] > to[c] ? at[c] : to[c];" : "to[c] += at[c];");
    if (!most && counts)
        cw_line(l->w, "count++;");
    close_loops(l, taps);
    float share = 1.0f / ((float)s->window.kh * (float)s->window.kw);
    const char *mean = most     ? "to[c]"
                       : counts ? "to[c] / (float)count"
                                : arena_printf(l->arena, "to[c] * %s",
                                               emit_inference_float(share).text);
    if (!most || s->activation != ACT_LINEAR)
        loop_channels(l, channels,
                      arena_printf(l->arena, "to[c] = %s;", activated(l, s, mean)));
    close_loops(l, 2);
    close_function(l);
}

static void emit_global_avgpool2d(const struct layers *l, const struct infer_step *s)
{
    int channels = s->in_shape.c;
    int64_t positions = (int64_t)s->in_shape.h * s->in_shape.w;
    const char *mean = arena_printf(l->arena, "y[c] * %s",
                                    emit_inference_float(1.0f / (float)positions).text);

    open_function(l, s, "the mean of each channel");
    loop_channels(l, channels, "y[c] = 0.0f;");
    open_loop(l, "i", positions, false);
    loop_channels(l, channels,
                  arena_printf(l->arena, "y[c] += x[%s];", inside(l, "i", "c", channels)));
    cw_close(l->w, "");
    loop_channels(l, channels, arena_printf(l->arena, "y[c] = %s;", activated(l, s, mean)));
    close_function(l);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void emit_step(const struct layers *l, const struct infer_step *s)
{
    switch (s->kind) {
    case INFER_CONV2D: case INFER_LOCAL2D: emit_conv2d(l, s); break;
    case INFER_DENSE: emit_dense(l, s); break;
    case INFER_SCALE: emit_scale(l, s); break;
    case INFER_ACTIVATION: emit_each(l, s); break;
    case INFER_ADD:
        if (s->spread)
            emit_spread(l, s);
        else
            emit_each(l, s);
        break;
    case INFER_MAXPOOL2D: case INFER_AVGPOOL2D: emit_pooling(l, s); break;
    case INFER_GLOBAL_AVGPOOL2D: emit_global_avgpool2d(l, s); break;
    case INFER_SOFTMAX: emit_softmax(l, s); break;
    case INFER_TO_ROWS: case INFER_TO_PLANES: emit_turn(l, s); break;
    }
}

void emit_inference_layers(struct arena *a, struct cwriter *w, const struct inference *net)
{
    struct layers l = {.arena = a, .w = w, .net = net};

    emit_activations(&l);
    for (int i = 0; i < net->steps_count; i++)
        emit_step(&l, net->steps[i]);
}
