/* cnnrt.h - the one public header of the cnnc runtime.
 *
 * A compiled network (`cnnc model.cnn -o model.c`) is one constant `struct cnn_model`: its shapes, its
 * parameters, its recipe, and the functions that compute.  The runtime feeds it batches and scalars and never
 * touches a layer itself.  Every struct here is part of the versioned interface CNNRT_ABI.
 */
#ifndef CNNRT_H
#define CNNRT_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the library exports; everything else in it is compiled hidden (-fvisibility=hidden). */
#if defined __GNUC__
#define CNN_API __attribute__((visibility("default")))
#else
#define CNN_API
#endif

/* Raised whenever a struct below changes; emitted files refuse to compile against another. */
#define CNNRT_ABI 5

enum { CNN_MAX_RANK = 8 };

/* ---- recipe: what the .cnn file says about data and training, every default filled in ---------------------- */

/* One `key=value` of a clause.  Exactly one of the fields is meaningful, as the key's documentation says. */
struct cnn_setting {
    const char *key;
    const char *text;       /* words and strings; NULL otherwise */
    double number;          /* numbers; on = 1, off = 0 */
    const double *list;     /* lists and extents; NULL otherwise */
    int list_length;
};

/* One statement of `data` or `train`, e.g. `reduce_lr_on_plateau monitor=val_loss, factor=0.5`. */
struct cnn_clause {
    const char *name;
    const struct cnn_setting *settings;
    int settings_count;
};

/* What a source's samples are made of.  The recipe's steps make the network's numbers of them. */
enum cnn_sample_kind { CNN_SAMPLE_BYTES, CNN_SAMPLE_FLOATS };

/* What a network is trained towards, sample by sample. */
enum cnn_target_kind {
    CNN_TARGET_CLASS,       /* one of `size` classes */
    CNN_TARGET_VECTOR,      /* `size` numbers */
    CNN_TARGET_LABELS,      /* any of `size` labels: a 1 or 0 for each */
    CNN_TARGET_INPUT        /* its own `size` numbers, as they arrive at the network */
};

struct cnn_target {
    enum cnn_target_kind kind;
    int size;
};

struct cnn_data_recipe {
    struct cnn_clause source;           /* name NULL: the model has no data section */
    enum cnn_sample_kind sample;
    const struct cnn_clause *steps;     /* scale, normalize ... from top to bottom */
    int steps_count;
};

enum cnn_direction { CNN_NO_DIRECTION, CNN_HIGHER_IS_BETTER, CNN_LOWER_IS_BETTER };

/* How an epoch's value comes about: as the mean of the batches' values, weighted by their samples, each computed by
 * cnn_model.metrics; or from all predictions and targets of the epoch, which the runtime counts. */
enum cnn_metric_kind {
    CNN_METRIC_BATCH,
    CNN_METRIC_PRECISION, CNN_METRIC_RECALL, CNN_METRIC_F1,
    CNN_METRIC_AUC,                                             /* area under the ROC curve, mean over the outputs */
    CNN_METRIC_MAE, CNN_METRIC_MSE, CNN_METRIC_RMSE             /* of all numbers of the epoch */
};

/* What becomes of the classes' values: their mean; the value of all decisions together; their mean weighted by the
 * samples of each class. */
enum cnn_average { CNN_AVERAGE_MACRO, CNN_AVERAGE_MICRO, CNN_AVERAGE_WEIGHTED };

struct cnn_metric {
    const char *name;                   /* as a monitor says it: "accuracy" */
    const char *log_name;               /* as the log writes it: "acc" */
    enum cnn_direction direction;
    enum cnn_metric_kind kind;
    enum cnn_average average;           /* of precision, recall and F1 */
    int of_class;                       /* 1 + the class or label that it is taken of alone; 0: all */
    const char *class_name;             /* likewise, by its name; NULL: by number */
    int thresholds;                     /* of an area */
};

/* A step of a run, and what a rate may depend on. */
struct cnn_moment {
    double lr;                          /* the optimizer's rate, or that of --lr */
    double epoch, step;                 /* from 0; epochs are whole here */
    double steps_per_epoch;
    double epochs, steps;               /* of the whole run; epochs may have a fraction */
};

struct cnn_train_recipe {
    struct cnn_clause loss, optimizer;
    struct cnn_target target;
    bool mixes;                         /* samples of classes are mixed: train_step() goes by cnn_context.targets, which
                                         * have a share for each class, and labels are those of the largest */
    const struct cnn_clause *callbacks; /* in the order of the file */
    int callbacks_count;
    const struct cnn_metric *metrics;
    int metrics_count;
    double (*lr_schedule)(const struct cnn_moment *at); /* the rate of a step; NULL: the optimizer's rate */
    double epochs;                      /* a fraction ends within an epoch */
    uint64_t seed;
    int threads;                        /* 0: as many as the machine has */
};

/* ---- parameters ---------------------------------------------------------------------------------------------- */

enum cnn_param_role { CNN_WEIGHT, CNN_BIAS, CNN_STATISTIC };   /* a statistic is saved, never trained by gradient */

enum cnn_init_kind {
    CNN_INIT_ZEROS, CNN_INIT_ONES, CNN_INIT_CONSTANT, CNN_INIT_UNIFORM, CNN_INIT_NORMAL,
    CNN_INIT_TRUNCATED_NORMAL, CNN_INIT_ORTHOGONAL, CNN_INIT_DIRAC, CNN_INIT_WHITEN
};

/* Variance-scaling initialisers (glorot, he, lecun) arrive here as uniform(a, b) or truncated_normal with the
 * numbers worked out.  normal: mean a, deviation b.  truncated_normal: deviation b, redrawn beyond two of them
 * (b already corrected as Keras does).  constant: a.  dirac: filter number i passes on channel i, and filters for which
 * there is none begin as `rest` with a and b.  whiten: a training pictures, b is added to the eigenvalues; orthogonal
 * where there are none. */
struct cnn_init {
    enum cnn_init_kind kind;
    double a, b;
    enum cnn_init_kind rest;
    int groups;                         /* of filters, each with channels of its own; 0: one */
};

/* What an axis of a parameter counts. */
enum cnn_axis {
    CNN_AXIS_NONE,
    CNN_AXIS_OUT, CNN_AXIS_IN,          /* channels, units or features of the result, of what is read */
    CNN_AXIS_KH, CNN_AXIS_KW,           /* taps of a filter */
    CNN_AXIS_OH, CNN_AXIS_OW,           /* positions of the result: each has numbers of its own */
    CNN_AXIS_GROUP                      /* groups of channels: likewise */
};

/* Where the elements of a tensor lie that is row-major in files.  Element (i0, i1, ..) of `dim`, which are its axes in
 * files or a finer factoring of them with the same row-major order, lies at
 *     sum of i_d * stride[d]   over d != panel_dim
 *         + (i_p / panel) * panel_stride + (i_p % panel) * stride[p]   for p = panel_dim
 * (panel_dim -1: no panels). */
struct cnn_layout {
    int dims;
    int64_t dim[CNN_MAX_RANK], stride[CNN_MAX_RANK];
    int panel_dim;
    int64_t panel, panel_stride;
};

/* One parameter tensor.  Files hold it as `shape` (row-major, PyTorch's layout); the trainer holds it where the
 * kernels want it.  Stored elements that no index reaches are zero and stay zero. */
struct cnn_param {
    const char *name;                   /* "conv2d_1.weight" */
    enum cnn_param_role role;
    bool trainable;
    int rank;
    int64_t shape[CNN_MAX_RANK];
    enum cnn_axis axis[CNN_MAX_RANK];
    struct cnn_layout layout;           /* from `offset` on */
    int64_t offset;                     /* in elements, in the flat vector of parameters (statistics: of statistics) */
    int64_t stored;                     /* elements from offset on that belong to it, padding included */
    int64_t count;                      /* elements in a file: the product of shape */
    struct cnn_init init;
    double l2;                          /* times the sum of its squares is part of the loss; 0: nothing is */
};

/* ---- the network as a table, for summaries and benchmarks ---------------------------------------------------- */

struct cnn_layer_info {
    const char *name;                   /* "conv2d_1" */
    const char *text;                   /* as a person would write it: "conv2d 128, 2x2, relu" */
    int channels, height, width;        /* of the result, one sample */
    bool flat;
    int64_t parameters;
    int64_t multiply_adds;              /* forward, one sample */
    const char *plan;                   /* kernels chosen, one short phrase */
    const char *inputs;                 /* "conv2d_1, relu_2"; NULL: it reads what the layer before it gives */
};

/* One timed stretch of the schedule; cnn_context.ticks counts its nanoseconds on thread 0 while profiling. */
struct cnn_stretch {
    int layer;                          /* index into layers, -1: none (loss, update) */
    bool backward;
    const char *what;                   /* "forward", "data gradient", "weight gradient", "update" ... */
    int64_t flops;                      /* one whole batch */
};

/* ---- threads ------------------------------------------------------------------------------------------------- */

struct cnn_team;

/* One of the threads that share a piece of work. */
struct cnn_worker {
    int number, count;                  /* 0 to count - 1; 0 is who asked for the work */
    struct cnn_team *team;              /* these are the runtime's own */
    uint64_t since;
    int in_vain;
};

/* The part of `count` things that is one thread's when neighbours stay together, `turn` of them at a time: from
 * cnn_first() up to, not including, cnn_end(). */
static inline int cnn_first(const struct cnn_worker *w, int count, int turn)
{
    int turns = (count + turn - 1) / turn, each = turns / w->count, more = turns % w->count;
    return turn * (w->number * each + (w->number < more ? w->number : more));
}

static inline int cnn_end(const struct cnn_worker *w, int count, int turn)
{
    int turns = (count + turn - 1) / turn, each = turns / w->count, more = turns % w->count;
    int end = turn * ((w->number + 1) * each + (w->number < more ? w->number + 1 : more));
    return end < count ? end : count;
}

/* How many neighbours threads take in turns of `count` things: `run`, or a half of it, a quarter ..., the most that
 * leave the busiest thread no more than a sixteenth above its even part. */
static inline int cnn_run(const struct cnn_worker *w, int count, int run)
{
    int even = (count + w->count - 1) / w->count;
    while (run > 1 && ((count + run - 1) / run + w->count - 1) / w->count * run > even + even / 16)
        run /= 2;
    return run;
}

/* Whether `count` things are better divided in turns of `finer` than in larger ones of `turn`: the busiest thread then
 * has a sixteenth less to do, or more than that. */
static inline int cnn_finer(const struct cnn_worker *w, int count, int turn, int finer)
{
    int most = ((count + turn - 1) / turn + w->count - 1) / w->count * turn;
    int least = ((count + finer - 1) / finer + w->count - 1) / w->count * finer;
    return 16 * (int64_t)least <= 15 * (int64_t)most;
}

/* What comes after thing number `i` where threads take `run` neighbours in turns, from number * run on. */
static inline int cnn_next(const struct cnn_worker *w, int i, int run)
{
    return (i + 1) % run ? i + 1 : i + 1 + (w->count - 1) * run;
}

/* ---- processes that train one network together ---------------------------------------------------------------- */

/* How processes reach each other; cnnrt_mpi.h has one over MPI.  Each function is called by all of them, in the same
 * order; it returns 0, or -1 with a message on stderr. */
struct cnn_ranks {
    int number, count;                  /* this process; 0 writes files and the log */
    int on_host;                        /* processes that share this one's memory, with it */
    int host_first;                     /* the number of the first of them */
    int beside;                         /* those of them that may run on the same processors, with it */
    void *own;
    /* all + i * bytes becomes what rank i gave */
    int (*gather)(const struct cnn_ranks *r, const void *mine, size_t bytes, void *all);
    /* what rank 0 has there all have then */
    int (*broadcast)(const struct cnn_ranks *r, void *bytes, size_t count);
    /* The next three begin something and return its number (-1: with a message); until it is finished nobody touches
     * what it is given.  Pieces are of `each` bytes, of `whole` in all: the last ones may be smaller, or empty.  Piece
     * i of `mine` goes to rank i; all + i * each becomes what came from it, of this process' own piece.  `mark` is the
     * same in all processes, which may begin several in different orders. */
    int (*exchange_begin)(const struct cnn_ranks *r, const void *mine, size_t each, size_t whole, int mark, void *all);
    /* each process gives its piece of `all`, which is then whole in all of them */
    int (*spread_begin)(const struct cnn_ranks *r, void *all, size_t each, size_t whole);
    /* the sums over all processes, in whatever order is the fastest: it may be another one each time */
    int (*sum_begin)(const struct cnn_ranks *r, void *numbers, size_t count, int real_size);
    /* 1: it is finished, 0: not yet.  Moves all on that is under way; wait: returns when it is finished */
    int (*finished)(const struct cnn_ranks *r, int transfer, bool wait);
    /* all is finished, and its numbers are worth nothing any more */
    int (*settle)(const struct cnn_ranks *r);
    /* ends all processes; does not return */
    void (*give_up)(const struct cnn_ranks *r, int status);
};

/* ---- a running network --------------------------------------------------------------------------------------- */

/* Everything an emitted function reads or writes.  `real` is float or double as cnn_model.real_size says.  All
 * pointers lie in one workspace, aligned to 64 bytes, at the offsets of the plan. */
struct cnn_context {
    void *input;                /* real (batch, ...) with cnn_model.input strides; filled by the runtime */
    int32_t *labels;            /* (batch) where targets are classes: each sample's, 0 .. train.target.size-1 */
    /* real (batch, train.target.size) where they are numbers or labels, or classes are mixed */
    void *targets;
    void *params;               /* real (params_stored) */
    void *grads;                /* real (params_stored); of the batch's mean loss without l2's part, which cnn_grad_get() and
                                 * update() add; made by train_step(), but for what it updates early */
    void *statistics;           /* real (statistics_stored): running means and variances */
    void *optimizer_state;      /* real (optimizer_slots, params_stored) */
    void *slow_statistics;      /* real (statistics_stored), where cnn_model.slow_statistics says so: lookahead's */
    void *update_memory;        /* cnn_model.update_bytes: what update() computes in */
    double *penalties;          /* (cnn_model.penalties): what blocks of weights with l2 add to a sample's loss */
    void *predictions;          /* real (batch, outputs): the last activation applied */
    void *memory;               /* activations and what all threads share: cnn_model.memory_bytes */
    void *scratch;              /* threads x cnn_model.scratch_bytes_per_thread */
    /* out: sum of the samples' losses, each with l2's part, of the last train_step() or infer() */
    double loss;
    uint64_t seed;              /* of this run: dropout */
    uint64_t step;              /* from 0, counts updates since training began: dropout, bias correction */
    double lr;                  /* learning rate of this step, used by update() and by early updates */
    double epoch;               /* epochs that have passed at the beginning of this step, and the part of this one: for
                                 * parameters that are trained in some epochs only; known before train_step() where
                                 * trained_only is set */
    uint64_t steps_total;       /* of the whole run: for what grows towards its end; 0: not known */
    int threads;
    /* Set by who calls update() after every train_step(), with nothing between that reads gradients or changes weights:
     * weights that would leave the caches before update() are then updated within train_step(), with c->lr and c->step,
     * and their gradients are not kept.  The results are the same.  Where the recipe stops on an invalid loss and there
     * is one, train_step() updates nothing, so update() need not follow. */
    bool early_update;
    /* Set by who reads no gradient of what is not trained at c->epoch: train_step() may then leave out what is needed
     * for such gradients alone, which stay as they were.  All else is the same. */
    bool trained_only;
    uint64_t *ticks;            /* (stretches_count) or NULL: not profiling */
    struct cnn_team *team;      /* the threads themselves: cnn_open() starts them, cnn_close() ends them */
    const struct cnn_model *model;
    const struct cnn_ranks *ranks;      /* NULL: this process trains alone */
    int together;               /* samples of the whole batch, for train_segment() */
    /* where batches are taken in shares: called between the phases of train_step() by the thread that has called that,
     * with the number of cnn_model.pieces whose gradients are there; NULL: nobody asks */
    void (*ready)(void *arg, int pieces);
    void *ready_arg;
};

/* Of the gradients, elements [begin, end). */
struct cnn_piece {
    int64_t begin, end;
};

/* In an emitted step, between two of its phases. */
static inline void cnn_ready(const struct cnn_context *c, const struct cnn_worker *w, int pieces)
{
    if (w->number == 0 && c->ready)
        c->ready(c->ready_arg, pieces);
}

/* Before a segment of a step all shares of a batch tell each other `bytes` of their memory, from `at` on: behind them
 * in the memory of each come those of all shares, in their order. */
struct cnn_meeting {
    int segment;
    int64_t at, bytes;
};

struct cnn_model {
    uint32_t abi;                       /* CNNRT_ABI */
    const char *name, *source;          /* "cifar10_relu", "cifar10_relu.cnn" */
    const char *target;                 /* "x86-64-v4" */
    uint64_t plan_hash;                 /* other plans round otherwise */
    const char *const *recipe;          /* the .cnn file with every default filled in (cnnc --explain), piece by piece, then NULL;
                                         * or NULL */
    int real_size;                      /* 4 or 8 */
    const char *precision;              /* how products are computed; NULL: in reals like all else */
    int batch;                          /* samples that the functions below take at most */
    int whole_batch, shares;            /* of a step: so many samples, in so many shares of `batch`, the last one perhaps of
                                         * fewer, whose gradients are summed in their order; 0: it is taken whole */
    int outputs;                        /* numbers that it predicts of a sample */
    int in_channels, in_height, in_width;
    /* the pixel (n, c, h, w) of a batch lies at n*image_stride + c*channel_stride + h*row_stride + w*column_stride */
    int64_t image_stride, channel_stride, row_stride, column_stride;

    int64_t params_stored, statistics_stored;       /* elements */
    int64_t params_count, trainable_count;          /* elements in files: what summary prints */
    int optimizer_slots;
    const char *const *slot_names;                  /* of each: what it holds; NULL where there is none */
    int averages;                                   /* > 0: slot averages - 1 holds averages of the trained parameters over
                                                     * steps, which are what is validated and saved */
    bool slow_statistics;
    int64_t update_bytes;
    int64_t penalties;                              /* blocks of weights with l2 */
    int64_t memory_bytes;                           /* activations, their gradients, shared scratch */
    int64_t scratch_bytes_per_thread;               /* a multiple of 64 */

    const struct cnn_param *params;
    int params_list_count;
    const struct cnn_layer_info *layers;
    int layers_count;
    const struct cnn_stretch *stretches;
    int stretches_count;
    struct cnn_data_recipe data;
    struct cnn_train_recipe train;
    const char *blas_core;              /* OpenBLAS core the plan counts on, NULL: OpenBLAS is not used */

    /* forward as in training (dropout, batch statistics), loss, backward: grads, loss, predictions; early updates */
    void (*train_step)(struct cnn_context *c, int n);
    /* where a batch is taken in shares whose normalisation goes by all of them: train_step() in segments, each of which
     * all shares have done before the next begins, with a memory of their own; train_step() itself is that of one
     * share.  NULL: shares need not meet, and segments is 0 */
    void (*train_segment)(struct cnn_context *c, int n, int segment);
    int segments;
    const struct cnn_meeting *meetings;             /* in the order of segments */
    int meetings_count;
    /* where batches are taken in shares: all of params_stored, in the order in which a step has its gradients */
    const struct cnn_piece *pieces;
    int pieces_count;
    /* forward as in use, loss (where labels or targets are set): predictions, loss */
    void (*infer)(struct cnn_context *c, int n);
    /* one optimizer step from grads, with c->lr and c->step, for what was not updated early */
    void (*update)(struct cnn_context *c);
    /* values[metrics_count] of the last batch, from predictions and targets; those over the set are not touched */
    void (*metrics)(const struct cnn_context *c, int n, double *values);
};

/* ---- for the emitted main and for programs that embed a network ---------------------------------------------- */

/* None of these functions leaves anything changed in its process: locale, floating-point mode, signal handlers and
 * masks, environment, affinity, OpenBLAS's threads are what they were.  Files are written the same in every locale. */

/* The trainer's command line (train, evaluate, predict, summary, bench, gradcheck).  Returns the exit status: 0
 * finished, 1 the run failed, 2 wrong use.  argv[argc] is NULL.  While it trains, SIGINT, SIGTERM, SIGHUP and
 * SIGUSR1 end the run and are then raised again. */
CNN_API int cnn_main(const struct cnn_model *model, int argc, char **argv);
/* The same for an emitted main, whose process is nothing but this trainer: it may be started anew, so that OpenBLAS
 * takes the kernels that the plan counts on. */
CNN_API int cnn_trainer_main(const struct cnn_model *model, int argc, char **argv);

/* Before processes that are to train together know of each other, in a program that is nothing but this trainer: starts
 * it once more where it depends on what was chosen before main.  Else returns, and has done nothing. */
CNN_API void cnn_ranks_prepare(const struct cnn_model *model, char **argv);
/* The same for one of several processes, all of which call it with the same command line.  A signal that has ended the
 * run is not raised: CNN_STOPPED times its number is a part of what is returned. */
enum { CNN_STOPPED = 256 };
CNN_API int cnn_ranks_main(const struct cnn_model *model, int argc, char **argv, const struct cnn_ranks *ranks);

/* A network with its memory.  threads 0: as the recipe or the machine says.  Parameters are initialised from
 * seed.  Returns NULL and prints to stderr when memory cannot be had or the ABI differs. */
CNN_API struct cnn_context *cnn_open(const struct cnn_model *model, int threads, uint64_t seed);
CNN_API void cnn_close(struct cnn_context *c);

/* Parameters and statistics from or to a safetensors file (written atomically).  0, or -1 with a message on
 * stderr; nothing is changed then. */
CNN_API int cnn_load_weights(struct cnn_context *c, const char *path);
CNN_API int cnn_save_weights(const struct cnn_context *c, const char *path);

/* One parameter (or its gradient) in file order and back; real is float or double as the model's.  The gradient is that
 * of the loss, of l2 too: to be had between train_step() and update(). */
CNN_API void cnn_param_get(const struct cnn_context *c, int param, void *real_out);
CNN_API void cnn_param_set(struct cnn_context *c, int param, const void *real_in);
CNN_API void cnn_grad_get(const struct cnn_context *c, int param, void *real_out);

/* Sets sample n of the batch from channels x height x width reals, row-major, already scaled. */
CNN_API void cnn_input_set(struct cnn_context *c, int n, const void *real_chw);

/* For emitted functions.  Between these two the calling thread rounds to nearest, nothing traps, and numbers below the
 * normal range are zeros; the second takes what the first returned. */
CNN_API uint64_t cnn_float_begin(void);
CNN_API void cnn_float_end(uint64_t before);

/* For emitted functions: calls work(c, n, worker) once on each of c->threads threads, the calling one as number 0, and
 * returns when all have returned.  Not from within such work.  Arithmetic is as above meanwhile, and OpenBLAS computes
 * with one thread. */
CNN_API void cnn_parallel(struct cnn_context *c, int n,
                          void (*work)(struct cnn_context *c, int n, struct cnn_worker *w));

/* Within such work: waits until all threads have come here.  What one wrote before, all see after. */
CNN_API void cnn_meet(struct cnn_worker *w);

/* Nanoseconds of a monotonic clock, for the emitted profile. */
CNN_API uint64_t cnn_clock(void);

CNN_API const char *cnn_version(void);

#ifdef __cplusplus
}
#endif
#endif
