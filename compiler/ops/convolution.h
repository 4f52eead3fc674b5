/* convolution.h - what the convolutions share: arguments, their checks, and operations that more than one is lowered
 * to. */
#ifndef CONVOLUTION_H
#define CONVOLUTION_H

#include "ops/op_support.h"

#define CONVOLUTION_ARGS                                                                                               \
    { .name = "kernel", .type = ARG_EXTENT2, .positional = true, .required = true, .min = 1, .max = WINDOW_MOST,        \
      .help = "height x width of a filter" },                                                                          \
    { .name = "activation", .type = ARG_ACTIVATION, .positional = true, .help = "applied to the result" },             \
    { .name = "stride", .type = ARG_EXTENT2, .min = 1, .max = WINDOW_MOST, .default_number = 1,                         \
      .help = "rows x columns from one position to the next" },                                                        \
    { .name = "padding", .type = ARG_PADDING, .min = 0, .max = WINDOW_MOST, .default_text = "valid",                    \
      .help = "zeros around the input: valid (none), same, or rows x columns at each end" },                           \
    { .name = "dilation", .type = ARG_EXTENT2, .min = 1, .max = WINDOW_MOST, .default_number = 1,                       \
      .help = "rows x columns from one tap of the filter to the next" },                                               \
    { .name = "bias", .type = ARG_BOOL, .default_number = 1, .help = "adds a trained number to each channel" },        \
    { .name = "init", .type = ARG_INIT, .default_text = "glorot_uniform", .help = "how the filters begin" },           \
    { .name = "bias_init", .type = ARG_INIT, .default_text = "zeros", .help = "how the bias begins" },                 \
    L2_ARG
#define GROUPS_ARG                                                                                                     \
    { .name = "groups", .type = ARG_INT, .min = 1, .max = CHANNELS_MOST, .default_number = 1,                           \
      .help = "parts of the channels: each of the result's sees that of the input alone" }
#define MULTIPLIER_ARG                                                                                                 \
    { .name = "multiplier", .type = ARG_INT, .min = 1, .max = CHANNELS_MOST, .default_number = 1,                       \
      .help = "channels that each of the input's becomes" }

/* Window and initialisers; reports what does not fit. */
bool convolution_fits(struct layer *l, struct diag *d);
/* Of the argument `kernel`. */
int64_t kernel_taps(const struct layer *l);

/* Of the argument `groups`; whether they divide both numbers of channels, or a report. */
int64_t groups_of(const struct layer *l);
bool groups_fit(struct layer *l, struct diag *d);

/* The layer's own convolution of all channels, with the parameter "LAYER.suffix". */
struct tensor *lower_conv2d(struct graph *g, struct layer *l, const char *suffix, struct window window,
                            struct tensor *x);
/* One in groups, with the layer's `kernel`, named `name`. */
struct tensor *lower_grouped_conv2d(struct graph *g, struct layer *l, const char *name, const char *suffix, int groups,
                                    struct shape result, struct tensor *x);

/* The transposed one, by the filters of a convolution in groups that goes back from the result. */
struct tensor *lower_grouped_back(struct graph *g, struct layer *l, int groups, struct window window,
                                  struct tensor *x);

/* ---- depthwise: each channel by itself, into `multiplier` of the result ------------------------------------------ */

/* The map of the depthwise part; l->out is left alone.  False where it does not fit, which is reported. */
bool depthwise_shape(struct layer *l, struct diag *d, struct shape *result);
int64_t depthwise_weights(const struct layer *l);

#endif
