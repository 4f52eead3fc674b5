/* op_support.h - what the files of ops/ share: shape rules of windows, limits, names, small
 * verifications. */
#ifndef OP_SUPPORT_H
#define OP_SUPPORT_H

#include <limits.h>
#include "base/bounds.h"
#include "ops/ops.h"
#include "ops/run_graph.h"

/* In tables of arguments and operations. */
#define ARGS(table) .args = (table), .args_count = (int)(sizeof(table) / sizeof *(table)) - 1
#define L2_ARG                                                                                                            \
    { .name = "l2", .type = ARG_REAL, .min = 0, .max = 1e6,                                                                 \
      .help = "times the sum of the weights' squares is added to the loss" }
#define CHECK(condition, text) do { if (!(condition)) return (text); } while (0)

/* ---- shape rules ----------------------------------------------------------------------------- */

/* The place of an argument, or of the layer's word where it was not given. */
struct span arg_span(const struct layer *l, const char *name);
bool layer_has_arg(const struct layer *l, const char *name);
/* The shape arriving at a layer of one input; also set in l->in. */
struct shape layer_in(struct layer *l);
/* Says where a layer's input comes from, as a note of the last error. */
void note_input(struct diag *d, const struct layer *l);
/* Sets l->out.  An error when the result, or a parameter, has more than 2^31 - 1 elements. */
bool layer_set_out(struct layer *l, struct diag *d, struct span where, int64_t c, int64_t h,
                   int64_t w, bool flat);
bool param_fits(struct layer *l, struct diag *d, struct span where, int64_t out, int64_t in,
                int64_t kh, int64_t kw);
/* An error when the layer's input is a vector. */
bool layer_needs_map(struct layer *l, struct diag *d);
/* The biases of a layer that has one a channel of its result, where `bias` says so. */
int64_t channel_biases(const struct layer *l);
/* The shape rule of layers whose result is shaped as their input. */
bool same_shape_rule(struct layer *l, struct diag *d);

/* One direction (0: rows, 1: columns) of a window that slides over a layer's input. */
struct axis {
    int64_t in, size, stride, dilation;
    int64_t reach;              /* (size - 1) * dilation + 1 */
    int64_t before, after;      /* padding */
    int64_t out;                /* positions; 0: the window does not fit */
};

/* size_name: "kernel" or "window". */
struct axis layer_axis(const struct layer *l, const char *size_name, int direction);
struct window layer_window(const struct layer *l, const char *size_name);
/* Reports a window that is larger than its padded input. */
bool window_fits(const struct layer *l, struct diag *d, const char *size_name);

/* ---- lowering -------------------------------------------------------------------------------- */

/* The name of a layer's main operation: "conv2d_1", or "stem_conv2d" where the user named it. */
const char *layer_node_name(struct graph *g, const struct layer *l);
/* A node's result, "NAME_y", an activation of that shape and order. */
struct tensor *result_tensor(struct graph *g, const char *name, struct shape shape,
                             struct map_order order);
/* A node with one result. */
struct node *unary_node(struct graph *g, enum op op, struct layer *l, const char *name,
                        struct tensor *x, struct shape shape, struct map_order order);
/* x in another shape of the same elements; x in another order. */
struct tensor *lower_view(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                          struct shape shape);
struct tensor *lower_reorder(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                             struct map_order order);
/* A map from planes to channels innermost, or back. */
struct tensor *lower_turn(struct graph *g, struct layer *l, const char *name, struct tensor *x);
/* x + b, with the parameter "LAYER.suffix", which begins as the layer's `bias_init` says. */
struct tensor *lower_bias(struct graph *g, struct layer *l, const char *suffix, struct tensor *x);

/* ---- gradients ------------------------------------------------------------------------------- */

/* A backward node of n, with n's attributes, named "N_suffix". */
struct node *backward_node(struct graph *g, struct node *n, enum op op, const char *suffix,
                           struct tensor *const *in, int in_count, struct tensor *const *out,
                           int out_count);
/* The gradient tensor of a parameter, set as such. */
struct tensor *param_gradient(struct graph *g, struct tensor *param);

/* ---- verification ---------------------------------------------------------------------------- */

/* The counts of inputs and outputs, and that those of the masks (bit i: number i) are there. */
bool node_has(const struct node *n, int in_count, int out_count, unsigned optional_in);
bool shapes_equal(const struct tensor *a, const struct tensor *b);
bool is_param(const struct tensor *t, const struct param_form *form);
bool is_param_gradient(const struct tensor *t, const struct node *of, int input);
/* A vector (parameter, statistic or moments) with one element a channel of x. */
bool is_per_channel(const struct tensor *v, const struct tensor *x);
/* That the window takes x's extents to y's. */
bool window_links(const struct window *w, const struct tensor *x, const struct tensor *y);

int64_t no_flops(const struct node *n);
/* One for each element of the first output, of the first input. */
int64_t out_flops(const struct node *n);

extern const struct layer_def layer_softmax, layer_conv2d;

#endif
