/* reference.h - the slow, obvious oracle: networks in double precision, C x H x W, one loop for one sum.
 *
 * It shares no code with the compiler or the runtime.  A network is a list of nodes in the order in which they are
 * computed; every node keeps its result y and the gradient dy of the batch's mean loss for the last batch run.
 *
 * Rounding can be simulated (ref_net.noise): each sum is disturbed by noise times the sum of its terms' sizes,
 * each elementwise result by noise times its parts.  The differences between disturbed runs and the exact one show
 * how far a correct implementation in lesser precision may stray, cancellation and depth included.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

enum ref_kind {
    REF_INPUT, REF_CONV2D, REF_MAXPOOL, REF_AVGPOOL, REF_GLOBAL_AVGPOOL, REF_FLATTEN, REF_DENSE, REF_BATCHNORM,
    REF_DROPOUT, REF_ADD, REF_ACTIVATION, REF_SOFTMAX, REF_LOCALLY_CONNECTED2D, REF_SCALE, REF_MULTIPLY,
    REF_CONCAT, REF_CONV2D_TRANSPOSE, REF_MOVE,
    REF_LAYERNORM, REF_LRN, REF_PRELU
};

enum ref_activation {
#define REF_ACTIVATION(id, ...) REF_##id,
#include "reference_activations.def"
#undef REF_ACTIVATION
    REF_ACTIVATIONS
};

enum ref_role { REF_WEIGHT, REF_BIAS, REF_STATISTIC };

/* Faults that can be planted to prove that a comparison notices them. */
enum ref_fault {
    REF_SOUND,
    REF_FAULT_FORWARD_TAP,      /* one tap of the first filter of a convolution or dense layer is left out */
    REF_FAULT_WEIGHT_GRAD,      /* the last place of the last sample is left out of one weight gradient */
    REF_FAULT_DATA_GRAD,        /* one channel is left out of one data gradient */
    REF_FAULT_BIAS_GRAD,        /* one place is left out of one bias gradient */
    REF_FAULT_MEAN,             /* gradients are divided by n + 1 */
    REF_FAULTS
};

/* Kernel, stride, dilation and padding of a convolution or pool. */
struct ref_window {
    int kh, kw, sh, sw, dh, dw;
    int top, bottom, left, right;
};

/* A map whose numbers are copied to other places, or mixed from up to four: zeros around it (rows, columns or channels
 * before it), or so many rows and columns made of each. */
struct ref_move {
    int top, left, front;
    int rows, columns;
    bool bilinear;
};

/* How a parameter is trained: `from` and `until` in epochs. */
struct ref_group {
    double lr_scale, weight_decay, from, until;
};

struct ref_param {
    char name[80];
    enum ref_role role;
    int rank;
    int64_t shape[6];
    int64_t count;
    double *value, *grad;       /* (count) */
    double *m, *v, *s;          /* (count) what an optimizer keeps */
    double *slow;               /* (count) lookahead's */
    bool grouped;               /* trained otherwise than by the optimizer's own options: */
    struct ref_group group;
    double *doubt;              /* (count) what was cancelled where a gradient and the weight's decay were added */
    bool fixed;                 /* does not learn */
    double l2;                  /* times the sum of its squares is added to each sample's loss */
};

enum { REF_MAX_INPUTS = 4 };

struct ref_node {
    enum ref_kind kind;
    int in[REF_MAX_INPUTS], in_count;
    int c, h, w;
    bool flat;
    struct ref_window window;
    struct ref_move move;
    int groups;                 /* conv2d; layernorm: of channels that share their moments; 0: each pixel has its own */
    enum ref_activation activation;
    double alpha, rate, epsilon, momentum, factor;
    int group;                  /* batchnorm: samples of a ghost batch; 0: the batch */
    int size;                   /* lrn: channels of a sum; factor, power and offset: alpha, beta, k */
    double power, offset;
    bool unbiased;              /* batchnorm: of the running variance */
    bool frozen;                /* batchnorm: by its running moments in training too */
    bool each;                  /* layernorm: weight and bias have a number for each element */
    int weight, bias, running_mean, running_var;    /* indices into ref_net.params, -1: none */
    double *y, *dy;             /* (n, c, h, w) */
    double error;               /* largest difference of y between disturbed and exact runs (ref_disturb) */
    int *winner;                /* maxpool: (n, c, h, w) index of the pixel in its map that won */
    double *mean, *variance;    /* batchnorm: (n, c) of the sample's group in the last batch */
    const unsigned char *kept;  /* dropout in training: (n, c, h, w); NULL: everything is kept */
};

enum ref_loss_kind {
    REF_CROSSENTROPY, REF_BINARY, REF_MSE, REF_MAE, REF_HUBER,
    REF_BENT                    /* one of our own: mean(delta (p - y)^4 + |y| (p - y)^2) */
};

/* What the last node's result goes through to be predictions. */
enum ref_end { REF_END_SOFTMAX, REF_END_SIGMOID, REF_END_PLAIN };

struct ref_loss {
    enum ref_loss_kind kind;
    enum ref_end end;
    bool numbers;               /* targets are numbers, one for each prediction; else classes, of a lone prediction 0 and
                                 * 1 */
    double smoothing, delta;
    const double *class_weights;        /* in training; NULL: all count alike */
};

struct ref_net {
    struct ref_node *nodes;
    int nodes_count, nodes_room;
    struct ref_param *params;
    int params_count, params_room;
    int batch;                  /* largest n; fixed by ref_prepare() */
    int n;                      /* of the last run */
    struct ref_loss objective;
    const double *targets;      /* (n, outputs) where they are numbers; the caller's */
    double *losses;             /* (n) of each sample, without l2 */
    double *predictions;        /* (n, outputs) */
    double loss;                /* sum of losses, with n times what l2 gives */
    double noise;               /* relative size of the simulated rounding; 0: exact */
    uint64_t noise_state;
    enum ref_fault fault;
};

/* Nodes are numbers; each call returns the new one.  Shapes must fit (asserted).  The last node's result is what comes
 * before the end (logits): the loss applies that itself. */
int ref_input(struct ref_net *net, int c, int h, int w);
int ref_conv2d(struct ref_net *net, int x, const char *name, int filters, struct ref_window window, bool bias);
/* Channels in so many groups, each of the same group of x.  part: what its parameters have before "weight", or "". */
int ref_grouped_conv2d(struct ref_net *net, int x, const char *name, const char *part, int filters, int groups,
                       struct ref_window window, bool bias);
/* Weights OH x OW x O x I x KH x KW, biases OH x OW x O. */
int ref_locally_connected2d(struct ref_net *net, int x, const char *name, int filters, struct ref_window window,
                            bool bias);
/* Weights I x O x KH x KW; the window's padding is taken off the result, which has `more` rows and columns at its
 * end. */
int ref_conv2d_transpose(struct ref_net *net, int x, const char *name, int filters, int groups,
                         struct ref_window window, const int *more, bool bias);
int ref_zero_pad(struct ref_net *net, int x, int top, int bottom, int left, int right);
int ref_pad_channels(struct ref_net *net, int x, int before, int after);
int ref_upsample(struct ref_net *net, int x, int rows, int columns, bool bilinear);
int ref_reshape(struct ref_net *net, int x, int c, int h, int w, bool flat);
int ref_pool(struct ref_net *net, int x, enum ref_kind kind, struct ref_window window);
int ref_global_avgpool(struct ref_net *net, int x);
int ref_global_maxpool(struct ref_net *net, int x);
int ref_flatten(struct ref_net *net, int x);
int ref_dense(struct ref_net *net, int x, const char *name, int units, bool bias);
struct ref_norm {
    double momentum, epsilon;
    bool scale, center, unbiased;
    int group;                  /* samples that are normalised together in training; 0: the batch */
};
int ref_batchnorm(struct ref_net *net, int x, const char *name, struct ref_norm norm);
/* groupnorm and layernorm: each sample by itself, its channels in so many groups; groups 0: each pixel over its
 * channels. each: weights and biases C x H x W instead of C. */
int ref_layernorm(struct ref_net *net, int x, const char *name, struct ref_norm norm, int groups, bool each);
int ref_lrn(struct ref_net *net, int x, int size, double alpha, double beta, double k);
int ref_prelu(struct ref_net *net, int x, const char *name);
int ref_scale(struct ref_net *net, int x, double factor);
/* Of the parameters added last, those of this layer that are no biases do not learn. */
void ref_train_bias_only(struct ref_net *net, const char *layer);
/* Nothing of this layer learns; a batchnorm goes by its running moments, which stay. */
void ref_freeze(struct ref_net *net, const char *layer);
/* The weights of this layer, added last, have this l2. */
void ref_add_l2(struct ref_net *net, const char *layer, double l2);
int ref_dropout(struct ref_net *net, int x, double rate);
/* Operands of C x 1 x 1 or flat C are spread over the others' height and width. */
int ref_add(struct ref_net *net, const int *x, int count);
int ref_multiply(struct ref_net *net, const int *x, int count);
/* One after the other, by channels. */
int ref_concat(struct ref_net *net, const int *x, int count);
int ref_activate(struct ref_net *net, int x, enum ref_activation activation, double alpha);
int ref_softmax(struct ref_net *net, int x);

/* padding=same: output = ceil(input / stride), the odd row or column at the end. */
struct ref_window ref_window_same(struct ref_window window, int h, int w);
/* Output size along one axis; 0 or less: the window does not fit. */
int ref_window_out(int size, int k, int stride, int dilation, int pad);

void ref_prepare(struct ref_net *net, int batch);
void ref_free(struct ref_net *net);

/* input: (n, c, h, w); labels: (n), not read where targets are numbers.  training: batch statistics, which also move
 * the running ones. */
void ref_forward(struct ref_net *net, const double *input, const int32_t *labels, int n, bool training);
/* Gradients of the mean loss of the last training run, in params[].grad and nodes[].dy. */
void ref_backward(struct ref_net *net);

enum ref_optimizer_kind { REF_ADAM, REF_NADAM, REF_SGD, REF_RMSPROP, REF_ADAGRAD, REF_MUON };

struct ref_optimizer {
    enum ref_optimizer_kind kind;
    double lr, beta1, beta2, epsilon, momentum, rho;    /* rho: of adagrad its first sum */
    bool nesterov, amsgrad, centered, coupled;
    double weight_decay, clip_norm, clip_value;         /* 0: none */
    double adam_scale;                                  /* muon: of what is no matrix */
    int iterations;
    double lookahead, power;                            /* 0: none */
    int every;
};

/* A step of a run; step and epoch count from 0. */
struct ref_moment {
    uint64_t step, steps;
    double epoch;
};

/* By what params[].grad holds, and statistics as training has left them. */
void ref_update(struct ref_net *net, const struct ref_moment *at, const struct ref_optimizer *o);
/* Whether muon orthogonalises it: a matrix, or the filters of a convolution that is not in groups. */
bool ref_is_matrix(const struct ref_net *net, int param);

/* ---- parts of it ---- */

/* predictions, losses, loss, and dy of the last node. */
void ref_loss_forward(struct ref_net *net, const int32_t *labels, bool training);
/* Adds to gradients what l2 does. */
void ref_decay_gradients(struct ref_net *net);
/* Predictions so near their targets that the loss's slope may be another. */
int64_t ref_near_targets(const struct ref_net *net, double margin);


double ref_act(enum ref_activation a, double alpha, double x);
double ref_act_slope(enum ref_activation a, double alpha, double x);
int64_t ref_node_size(const struct ref_node *node);      /* c * h * w */
int64_t ref_multiply_adds(const struct ref_net *net);    /* forward, one sample */
/* Places of the last training run where a gradient jumps and that lie within margin * error of the jump. */
int64_t ref_near_kinks(const struct ref_net *net, double margin);

/* Deterministic random numbers: splitmix64. */
uint64_t ref_random(uint64_t *state);
double ref_uniform(uint64_t *state, double low, double high);
double ref_normal(uint64_t *state);
int ref_range(uint64_t *state, int low, int high);       /* both ends included */

#endif
