/* recipes.c - see recipes.h. */
#include "model/recipes.h"
#include "base/bounds.h"

#include <stddef.h>
#include <string.h>

#define WHOLE_MAX 2147483647.0
#define SEED_MAX 9007199254740992.0     /* 2^53: every whole number up to here is exact */

static const struct arg_def no_args[] = {{.name = NULL}};

#ifdef CNN_TEST_ROWS                    /* tests/behave/rows.sh */
#include "rows_recipes.h"
#endif

/* ---- data ------------------------------------------------------------------------------------ */

static const struct arg_def cifar10_args[] = {
    {.name = "dir", .type = ARG_STRING, .positional = true, .required = true,
     .help = "folder of data_batch_1.bin ... test_batch.bin"},
    {.name = NULL}
};

static const char *const cifar100_labels[] = {"fine", "coarse", NULL};

static const struct arg_def cifar100_args[] = {
    {.name = "dir", .type = ARG_STRING, .positional = true, .required = true,
     .help = "folder of train.bin and test.bin"},
    {.name = "labels", .type = ARG_WORD, .words = cifar100_labels, .default_text = "fine",
     .help = "100 classes, or the 20 that they belong to"},
    {.name = NULL}
};

static int cifar100_classes(const struct clause *source)
{
    return strcmp(clause_text(source, "labels"), "coarse") ? 100 : 20;
}

static const struct arg_def mnist_args[] = {
    {.name = "dir", .type = ARG_STRING, .positional = true, .required = true,
     .help = "folder of train-images-idx3-ubyte ..."},
    {.name = "classes", .type = ARG_INT, .min = 2, .max = 256, .default_number = 10,
     .help = "how many labels there are"},
    {.name = "first_label", .type = ARG_INT, .min = 0, .max = 255,
     .help = "what the files call the first class"},
    {.name = "set", .type = ARG_STRING, .help = "how the files' names begin, as in emnist-letters-train-images-idx3-ubyte"},
    {.name = "transposed", .type = ARG_BOOL, .help = "on: the files hold columns for rows, as EMNIST's do"},
    {.name = NULL}
};

static const struct arg_def shapes_args[] = {
    {.name = "classes", .type = ARG_INT, .min = 2, .max = 10, .default_number = 10,
     .help = "how many kinds of shapes"},
    {.name = "train", .type = ARG_INT, .min = 1, .max = 10000000, .default_number = 20000,
     .help = "pictures to train with"},
    {.name = "val", .type = ARG_INT, .min = 1, .max = 10000000, .default_number = 2000,
     .help = "pictures to validate with"},
    {.name = "seed", .type = ARG_INT, .min = 0, .max = SEED_MAX, .help = "of the drawing"},
    {.name = NULL}
};

static const struct arg_def images_args[] = {
    {.name = "dir", .type = ARG_STRING, .positional = true, .required = true,
     .help = "folder of train/ and test/, or of a folder for each class"},
    {.name = "skip_damaged", .type = ARG_BOOL,
     .help = "goes on without files that cannot be read"},
    {.name = NULL}
};

static const char *const layout_words[] = {"chw", "hwc", NULL};
static const char *const values_words[] = {"floats", "bytes", NULL};
static const char *const targets_words[] = {"classes", "numbers", "labels", NULL};

#define TARGETS_ARG                                                                                \
    {                                                                                              \
        .name = "targets", .type = ARG_WORD, .words = targets_words,                               \
        .help = "what the network learns; without it, what the loss asks for"                      \
    }
#define FIRST_LABEL_ARG                                                                            \
    {                                                                                              \
        .name = "first_label", .type = ARG_INT, .min = 0, .max = WHOLE_MAX,                        \
        .help = "the number of the first class"                                                    \
    }

#define ARRAYS_ARGS                                                                                \
    {.name = "layout", .type = ARG_WORD, .words = layout_words,                                    \
     .help = "channels first or last, where the shape does not tell"},                             \
    {.name = "values", .type = ARG_WORD, .words = values_words, .default_text = "floats",          \
     .help = "bytes: uint8, which are pictures"},                                                  \
    TARGETS_ARG,                                                                                   \
    FIRST_LABEL_ARG,                                                                               \
    {.name = NULL}

static const struct arg_def npy_args[] = {
    {.name = "x", .type = ARG_STRING, .required = true, .help = "the file of the samples to train with"},
    {.name = "y", .type = ARG_STRING, .help = "the file of their targets"},
    {.name = "val_x", .type = ARG_STRING, .help = "the file of the samples to validate or test with"},
    {.name = "val_y", .type = ARG_STRING, .help = "the file of their targets"},
    ARRAYS_ARGS
};

static const struct arg_def npz_args[] = {
    {.name = "file", .type = ARG_STRING, .positional = true, .required = true, .help = "the archive"},
    {.name = "x", .type = ARG_STRING, .required = true, .help = "the array of the samples to train with"},
    {.name = "y", .type = ARG_STRING, .help = "the array of their targets"},
    {.name = "val_x", .type = ARG_STRING, .help = "the array of the samples to validate or test with"},
    {.name = "val_y", .type = ARG_STRING, .help = "the array of their targets"},
    ARRAYS_ARGS
};

static const struct arg_def csv_args[] = {
    {.name = "file", .type = ARG_STRING, .positional = true, .required = true,
     .help = "the records to train with"},
    {.name = "label", .type = ARG_COLUMNS, .min = 1, .max = WHOLE_MAX, .help = "the column, or list of columns, of the targets"},
    {.name = "test", .type = ARG_STRING, .help = "the file of records to validate or test with"},
    {.name = "header", .type = ARG_BOOL, .help = "on: the first line names the columns"},
    {.name = "ignore", .type = ARG_COLUMNS, .min = 1, .max = WHOLE_MAX, .help = "columns that are not read"},
    {.name = "separator", .type = ARG_STRING, .default_text = ",", .help = "between two fields"},
    TARGETS_ARG,
    FIRST_LABEL_ARG,
    {.name = NULL}
};

static enum cnn_sample_kind arrays_sample(const struct clause *source)
{
    return strcmp(clause_text(source, "values"), "bytes") ? CNN_SAMPLE_FLOATS : CNN_SAMPLE_BYTES;
}

const struct data_source data_sources[] = {
    {.clause = {.name = "cifar10", .args = cifar10_args, .help = "CIFAR-10's binary files"},
     .picture = {3, 32, 32, false}, .classes = 10, .train_samples = 50000},
    {.clause = {.name = "cifar100", .args = cifar100_args, .help = "CIFAR-100's binary files"},
     .picture = {3, 32, 32, false}, .classes_of = cifar100_classes, .train_samples = 50000},
    {.clause = {.name = "csv", .args = csv_args, .help = "records of numbers, a line each"},
     .sample = CNN_SAMPLE_FLOATS, .numbers = true, .any_target = true},
    {.clause = {.name = "images", .args = images_args, .help = "PNG and JPEG, a folder a class"}},
    {.clause = {.name = "mnist", .args = mnist_args, .help = "MNIST's IDX files, gz or not"},
     .picture = {1, 28, 28, false}},
    {.clause = {.name = "npy", .args = npy_args, .help = "arrays of numpy's, a file each"},
     .sample = CNN_SAMPLE_FLOATS, .sample_of = arrays_sample, .numbers = true, .any_target = true},
    {.clause = {.name = "npz", .args = npz_args, .help = "arrays of numpy's, in an archive"},
     .sample = CNN_SAMPLE_FLOATS, .sample_of = arrays_sample, .numbers = true, .any_target = true},
    {.clause = {.name = "shapes", .args = shapes_args, .help = "drawn from a seed, no download"},
     .picture = {3, 32, 32, false}},
#ifdef CNN_TEST_ROWS
    ROWS_SOURCES
#endif
    {.clause = {.name = NULL}}
};

static const struct arg_def split_args[] = {
    {.name = "fraction", .type = ARG_REAL, .positional = true, .required = true, .min = 0, .max = 1,
     .min_open = true, .max_open = true, .help = "share of each class that validates"},
    {.name = "seed", .type = ARG_INT, .min = 0, .max = SEED_MAX, .help = "of the drawing"},
    {.name = NULL}
};

static const struct arg_def limit_args[] = {
    {.name = "train", .type = ARG_INT, .min = 0, .max = WHOLE_MAX,
     .help = "pictures to train with; 0: all"},
    {.name = "val", .type = ARG_INT, .min = 0, .max = WHOLE_MAX,
     .help = "pictures to validate with; 0: all"},
    {.name = "seed", .type = ARG_INT, .min = 0, .max = SEED_MAX, .help = "of the drawing"},
    {.name = NULL}
};

static const char *const fit_words[] = {"crop", "stretch", "pad", NULL};

static const struct arg_def resize_args[] = {
    {.name = "side", .type = ARG_INT, .positional = true, .required = true, .min = 1, .max = 65535,
     .help = "pixels of the shorter side; the middle is cut out then"},
    {.name = "fit", .type = ARG_WORD, .words = fit_words, .default_text = "crop",
     .help = "what becomes of another shape than the input's"},
    {.name = "pad", .type = ARG_INT, .min = 0, .max = 255, .help = "what fit=pad fills with"},
    {.name = NULL}
};

/* The first word of a list that bears the argument's own name is what that name alone says: `augment flip`. */
static const char *const flip_words[] = {"flip", "alternate", NULL};
static const char *const fill_words[] = {"zeros", "edge", "reflect", NULL};

static const struct arg_def augment_args[] = {
    {.name = "flip", .type = ARG_WORD, .positional = true, .words = flip_words,
     .help = "mirrors half of them; alternate: each in every other epoch"},
    {.name = "shift", .type = ARG_INT, .min = 0, .max = 65535, .help = "moves by up to so many pixels"},
    {.name = "crop", .type = ARG_INT, .min = 0, .max = 65535,
     .help = "pads by so many pixels and cuts the size out again"},
    {.name = "rotate", .type = ARG_REAL, .min = 0, .max = 180, .help = "turns by up to so many degrees"},
    {.name = "zoom", .type = ARG_REAL, .min = 0, .max = 0.95, .help = "enlarges by a factor from 1 - zoom to 1 + zoom"},
    {.name = "jitter", .type = ARG_REAL, .min = 0, .max = 1,
     .help = "brightness, contrast and saturation, times 1 - jitter to 1 + jitter"},
    {.name = "hue", .type = ARG_REAL, .min = 0, .max = 0.5, .help = "turns colours by up to this part of their circle"},
    {.name = "cutout", .type = ARG_INT, .min = 0, .max = 65535, .help = "side of a square of zeros"},
    {.name = "mixup", .type = ARG_REAL, .min = 0, .max = 100,
     .help = "adds another sample, with shares of Beta(mixup, mixup)"},
    {.name = "cutmix", .type = ARG_REAL, .min = 0, .max = 100,
     .help = "puts in a part of another sample, with shares of Beta(cutmix, cutmix)"},
    {.name = "fill", .type = ARG_WORD, .words = fill_words, .default_text = "zeros",
     .help = "what comes in from outside"},
    {.name = NULL}
};

static const char *const tta_flip_words[] = {"flip", NULL};
static const char *const tta_average_words[] = {"logits", "predictions", NULL};

static const struct arg_def tta_args[] = {
    {.name = "flip", .type = ARG_WORD, .positional = true, .words = tta_flip_words, .help = "mirrored copies too"},
    {.name = "shift", .type = ARG_INT, .min = 0, .max = 65535,
     .help = "copies moved by so many pixels, up left and down right, of half the weight"},
    {.name = "fill", .type = ARG_WORD, .words = fill_words, .default_text = "reflect",
     .help = "what comes in from outside"},
    {.name = "average", .type = ARG_WORD, .words = tta_average_words,
     .help = "of what; logits where the network ends in softmax"},
    {.name = NULL}
};

static const struct arg_def scale_args[] = {
    {.name = "factor", .type = ARG_REAL, .positional = true, .required = true,
     .help = "pixel values are 0 to 255 before it"},
    {.name = NULL}
};

static const char *const auto_words[] = {"auto", NULL};

static const struct arg_def normalize_args[] = {
    {.name = "auto", .type = ARG_WORD, .positional = true, .words = auto_words,
     .help = "mean and std of the training set"},
    {.name = "mean", .type = ARG_REAL_LIST, .help = "one number a channel"},
    {.name = "std", .type = ARG_REAL_LIST, .min = 1e-12, .max = 1e12,
     .help = "one number a channel"},
    {.name = NULL}
};

#define split_help "takes the validation set from the training set"
#define limit_help "uses only so many, evenly over the classes"
#define resize_help "to the network's input, the middle of it"
#define augment_help "training pictures, another way in every epoch"
#define tta_help "measures and predicts over copies of a sample"
#define scale_help "multiplies every pixel"
#define normalize_help "(pixel - mean) / std, by channel"

const struct clause_def data_steps[] = {
#define STEP(step) {.name = #step, .args = step##_args, .help = step##_help},
#define CHOOSES(step) STEP(step)
#define FITS(step) STEP(step)
#define AUGMENTS(step) STEP(step)
#define COPIES(step) STEP(step)
#define MAPS(step) STEP(step)
#include "common/data_steps.def"
#undef CHOOSES
#undef FITS
#undef AUGMENTS
#undef COPIES
#undef MAPS
#undef STEP
    {.name = NULL}
};

static const char *const target_words[] = {"label", "input", NULL};

static const struct arg_def target_args[] = {
    {.name = "what", .type = ARG_WORD, .positional = true, .required = true, .words = target_words,
     .help = "what the network is trained towards"},
    {.name = NULL}
};

const struct clause_def target_def = {
    .name = "target", .args = target_args, .help = "the source's labels, or the network's own input"};

/* ---- train ----------------------------------------------------------------------------------- */

#define LABEL_SMOOTHING(what)                                                                      \
    {                                                                                              \
        .name = "label_smoothing", .type = ARG_REAL, .max = 1, .max_open = true, .help = what      \
    }

static const struct arg_def categorical_crossentropy_args[] = {
    LABEL_SMOOTHING("share of the target that all classes have alike"),
    {.name = NULL}
};

#define categorical_crossentropy_help "-log of the probability of the right class"

static const struct arg_def binary_crossentropy_args[] = {
    LABEL_SMOOTHING("share of each target that becomes a half"),
    {.name = NULL}
};

static const struct arg_def huber_args[] = {
    {.name = "delta", .type = ARG_REAL, .min = 0, .max = 1e6, .min_open = true, .default_number = 1,
     .help = "distance from which on the loss grows evenly"},
    {.name = NULL}
};

#define binary_crossentropy_help "-log of the probability of what is right, mean over the outputs"
#define mse_args no_args
#define mse_help "mean of the squared distances"
#define mae_args no_args
#define mae_help "mean of the distances"
#define huber_help "half the square of a small distance, even growth beyond"

const struct clause_def loss_defs[] = {
#define LOSS(loss) {.name = #loss, .args = loss##_args, .help = loss##_help},
#include "model/losses.def"
#undef LOSS
    {.name = NULL}
};

#define RATE_ARG(rate)                                                                             \
    {                                                                                              \
        .name = "lr", .type = ARG_REAL, .min = 0, .max = 1e6, .min_open = true, .default_number = rate,  \
        .help = "learning rate"                                                                    \
    }
#define SHARE_ARG(called, standard, text)                                                          \
    {                                                                                              \
        .name = called, .type = ARG_REAL, .min = 0, .max = 1, .max_open = true, .default_number = standard,  \
        .help = text                                                                               \
    }
#define EPSILON_ARG                                                                                \
    {                                                                                              \
        .name = "epsilon", .type = ARG_REAL, .min = 0, .max = 1e6, .min_open = true, .default_number = 1e-7,  \
        .help = "keeps the division finite"                                                        \
    }
/* What every optimizer has, plan_update.c */
#define COMMON_ARGS(decay)                                                                         \
    {.name = "weight_decay", .type = ARG_REAL, .min = 0, .max = 1e6, .default_number = decay,      \
     .help = "times the rate and the weight, taken from the weight"},                              \
    {.name = "coupled", .type = ARG_BOOL, .help = "on: weight_decay times the weight is added to the gradient instead"},  \
    {.name = "clip_norm", .type = ARG_REAL, .min = 0, .max = 1e300,                                \
     .help = "longest vector of all gradients together; 0: any"},                                  \
    {.name = "clip_value", .type = ARG_REAL, .min = 0, .max = 1e300, .help = "largest number of a gradient; 0: any"},  \
    SHARE_ARG("ema", 0, "share of an average over steps that stays, of the weights that are validated and saved; 0: none"),  \
    SHARE_ARG("lookahead", 0, "share of the slow weights that stays, a step; 0: none"),            \
    {.name = "every", .type = ARG_INT, .min = 1, .max = 1e6, .default_number = 5,                  \
     .help = "steps between two of lookahead's"},                                                  \
    {.name = "lookahead_power", .type = ARG_REAL, .min = 0, .max = 100,                            \
     .help = "the share grows as (step / steps)^power; 0: it is the same in all steps"}

#define ADAM_ARGS(decay)                                                                           \
    RATE_ARG(1e-3), SHARE_ARG("beta1", 0.9, "decay of the first moment"),                          \
    SHARE_ARG("beta2", 0.999, "decay of the second moment"), EPSILON_ARG,                          \
    {.name = "amsgrad", .type = ARG_BOOL, .help = "on: divides by the largest second moment so far"}, COMMON_ARGS(decay)

static const struct arg_def adam_args[] = {ADAM_ARGS(0), {.name = NULL}};
static const struct arg_def adamw_args[] = {ADAM_ARGS(0.004), {.name = NULL}};

static const struct arg_def nadam_args[] = {
    RATE_ARG(1e-3), SHARE_ARG("beta1", 0.9, "decay of the first moment"),
    SHARE_ARG("beta2", 0.999, "decay of the second moment"), EPSILON_ARG, COMMON_ARGS(0), {.name = NULL}
};

static const struct arg_def sgd_args[] = {
    RATE_ARG(0.01), SHARE_ARG("momentum", 0, "share of the velocity that stays"),
    {.name = "nesterov", .type = ARG_BOOL, .help = "on: looks one step of the velocity ahead"}, COMMON_ARGS(0),
    {.name = NULL}
};

static const struct arg_def rmsprop_args[] = {
    RATE_ARG(1e-3), SHARE_ARG("rho", 0.9, "decay of the mean square"),
    SHARE_ARG("momentum", 0, "share of the last change that is made again"), EPSILON_ARG,
    {.name = "centered", .type = ARG_BOOL, .help = "on: divides by the deviation from the mean"}, COMMON_ARGS(0),
    {.name = NULL}
};

static const struct arg_def adagrad_args[] = {
    RATE_ARG(1e-3),
    {.name = "initial_accumulator", .type = ARG_REAL, .min = 0, .max = 1e6, .default_number = 0.1,
     .help = "what the sum of squares begins with"},
    EPSILON_ARG, COMMON_ARGS(0), {.name = NULL}
};

static const struct arg_def muon_args[] = {
    RATE_ARG(0.02), SHARE_ARG("momentum", 0.95, "share of the momentum that stays"),
    {.name = "nesterov", .type = ARG_BOOL, .default_number = 1, .help = "on: looks one step of the momentum ahead"},
    {.name = "iterations", .type = ARG_INT, .min = 1, .max = 100, .default_number = 5, .help = "of Newton and Schulz"},
    {.name = "adam_scale", .type = ARG_REAL, .min = 0, .max = 1e6, .default_number = 0.015,
     .help = "times the rate: that of what is no matrix, which adamw trains"},
    SHARE_ARG("beta1", 0.9, "adamw's decay of the first moment"),
    SHARE_ARG("beta2", 0.95, "adamw's decay of the second moment"),
    {.name = "epsilon", .type = ARG_REAL, .min = 0, .max = 1e6, .min_open = true, .default_number = 1e-10,
     .help = "adamw's"},
    COMMON_ARGS(0), {.name = NULL}
};

const struct clause_def optimizer_defs[] = {
    {.name = "adam", .args = adam_args, .help = "Kingma and Ba 2015, with Keras's epsilon"},
    {.name = "adamw", .args = adamw_args, .help = "adam with weight_decay, Loshchilov and Hutter 2019"},
    {.name = "nadam", .args = nadam_args, .help = "adam with Nesterov's momentum, Dozat 2016, as Keras has it"},
    {.name = "sgd", .args = sgd_args, .help = "gradient descent, perhaps with momentum as PyTorch has it"},
    {.name = "rmsprop", .args = rmsprop_args, .help = "divides by the root of the mean square, as Keras does"},
    {.name = "adagrad", .args = adagrad_args, .help = "divides by the root of the sum of squares, as Keras does"},
    {.name = "muon", .args = muon_args, .help = "orthogonalised momentum of matrices, Jordan et al. 2024; adamw for the rest"},
    {.name = NULL}
};

/* ---- groups of parameters ---- */

static const struct arg_def params_args[] = {
    {.name = "lr_scale", .type = ARG_REAL, .min = 0, .max = 1e9, .default_number = 1, .help = "times the rate"},
    {.name = "weight_decay", .type = ARG_REAL, .min = 0, .max = 1e6, .help = "instead of the optimizer's"},
    {.name = "from", .type = ARG_REAL, .min = 0, .max = WHOLE_MAX, .help = "epochs that pass before they are trained"},
    {.name = "until", .type = ARG_REAL, .min = 0, .max = WHOLE_MAX, .min_open = true,
     .help = "epochs after which they are not trained any more"},
    {.name = NULL}
};

const struct clause_def params_def = {.name = "params", .args = params_args,
                                      .help = "weights, biases, norms or layers, and how they are trained"};

/* ---- rates ----------------------------------------------------------------------------------- */

#define WARMUP                                                                                     \
    {                                                                                              \
        .name = "warmup", .type = ARG_REAL, .min = 0, .max = WHOLE_MAX,                            \
        .help = "epochs in which the rate rises from 0, in a line"                                 \
    }
#define MIN_LR                                                                                     \
    {                                                                                              \
        .name = "min_lr", .type = ARG_REAL, .min = 0, .max = 1e300, .help = "where the rate ends"  \
    }

static const struct arg_def constant_args[] = {WARMUP, {.name = NULL}};

static const struct arg_def cosine_args[] = {
    MIN_LR,
    {.name = "cycles", .type = ARG_INT, .min = 1, .max = 10000, .default_number = 1,
     .help = "how many times it falls, each time from the optimizer's rate"},
    WARMUP,
    {.name = NULL}
};

static const struct arg_def step_args[] = {
    {.name = "at", .type = ARG_REAL_LIST, .min = 0, .max = WHOLE_MAX, .min_open = true,
     .help = "epochs from which the rate is another, counted from 0"},
    {.name = "factor", .type = ARG_REAL, .min = 0, .max = 1, .min_open = true, .default_number = 0.1,
     .help = "new rate = rate * factor"},
    {.name = "every", .type = ARG_REAL, .min = 0, .max = WHOLE_MAX,
     .help = "epochs between two steps; 0: 'at' says when"},
    WARMUP,
    {.name = NULL}
};

static const struct arg_def exponential_args[] = {
    {.name = "factor", .type = ARG_REAL, .required = true, .min = 0, .max = 1, .min_open = true,
     .help = "rate after an epoch = rate * factor"},
    {.name = "every", .type = ARG_REAL, .min = 0, .max = WHOLE_MAX, .min_open = true, .default_number = 1,
     .help = "epochs for which 'factor' counts once"},
    {.name = "staircase", .type = ARG_BOOL, .help = "on: the rate falls between epochs only"},
    WARMUP,
    {.name = NULL}
};

static const struct arg_def polynomial_args[] = {
    {.name = "power", .type = ARG_REAL, .min = 0, .max = 100, .min_open = true, .default_number = 1,
     .help = "1: a line"},
    MIN_LR,
    WARMUP,
    {.name = NULL}
};

static const char *const anneal_words[] = {"cos", "linear", NULL};

static const struct arg_def one_cycle_args[] = {
    {.name = "pct_start", .type = ARG_REAL, .min = 0, .max = 1, .max_open = true, .default_number = 0.3,
     .help = "share of the steps in which the rate rises"},
    {.name = "div_factor", .type = ARG_REAL, .min = 1, .max = 1e300, .default_number = 25,
     .help = "the rate begins at lr / div_factor"},
    {.name = "final_div_factor", .type = ARG_REAL, .min = 1, .max = 1e300, .default_number = 1e4,
     .help = "and ends at that / final_div_factor"},
    {.name = "anneal", .type = ARG_WORD, .words = anneal_words, .default_text = "cos",
     .help = "along half a cosine or in a line"},
    WARMUP,
    {.name = NULL}
};

const struct clause_def schedule_defs[] = {
#define SCHEDULE(schedule, text, formula) {.name = #schedule, .args = schedule##_args, .help = text},
#include "model/schedules.def"
#undef SCHEDULE
    {.name = NULL}
};

#define METRIC_NAME                                                                                \
    {                                                                                              \
        .name = "name", .type = ARG_STRING, .help = "what the log and monitors call it"            \
    }

static const struct arg_def accuracy_args[] = {METRIC_NAME, {.name = NULL}};

static const struct arg_def top_k_args[] = {
    {.name = "k", .type = ARG_INT, .positional = true, .min = 1, .max = 65536, .default_number = 5,
     .help = "how many of the most probable classes count"},
    METRIC_NAME,
    {.name = NULL}
};

const char *const average_words[] = {
    [CNN_AVERAGE_MACRO] = "macro", [CNN_AVERAGE_MICRO] = "micro",
    [CNN_AVERAGE_WEIGHTED] = "weighted", NULL
};

#define CLASS_ALONE                                                                                \
    {                                                                                              \
        .name = "class", .type = ARG_CLASS, .help = "which it is taken of, a number or a name"      \
    }

static const struct arg_def auc_args[] = {
    {.name = "thresholds", .type = ARG_INT, .min = 3, .max = 100000, .default_number = 200,
     .help = "probabilities that are told apart"},
    CLASS_ALONE,
    METRIC_NAME,
    {.name = NULL}
};

static const struct arg_def distance_args[] = {METRIC_NAME, {.name = NULL}};

static const struct arg_def average_args[] = {
    {.name = "average", .type = ARG_WORD, .words = average_words, .default_text = "macro",
     .help = "what becomes of the classes' values"},
    CLASS_ALONE,
    METRIC_NAME,
    {.name = NULL}
};

#define OF_CLASSES (1u << CNN_TARGET_CLASS | 1u << CNN_TARGET_LABELS)
#define OF_NUMBERS (1u << CNN_TARGET_VECTOR | 1u << CNN_TARGET_LABELS | 1u << CNN_TARGET_INPUT)

const struct metric_def metric_defs[] = {
    {.clause = {.name = "accuracy", .args = accuracy_args,
                .help = "share of samples whose most probable class is right"},
     .log_name = "acc", .direction = CNN_HIGHER_IS_BETTER,
     .targets = OF_CLASSES},
    {.clause = {.name = "top_k", .args = top_k_args,
                .help = "share of samples with the right class among the k most probable"},
     .direction = CNN_HIGHER_IS_BETTER, .targets = 1u << CNN_TARGET_CLASS},
    {.clause = {.name = "precision", .args = average_args,
                .help = "share of a class's predictions that are right"},
     .direction = CNN_HIGHER_IS_BETTER, .targets = OF_CLASSES, .kind = CNN_METRIC_PRECISION},
    {.clause = {.name = "recall", .args = average_args,
                .help = "share of a class's samples that are found"},
     .direction = CNN_HIGHER_IS_BETTER, .targets = OF_CLASSES, .kind = CNN_METRIC_RECALL},
    {.clause = {.name = "f1", .args = average_args,
                .help = "harmonic mean of precision and recall"},
     .direction = CNN_HIGHER_IS_BETTER, .targets = OF_CLASSES, .kind = CNN_METRIC_F1},
    {.clause = {.name = "auc", .args = auc_args,
                .help = "area under the ROC curve, mean over the classes or labels"},
     .direction = CNN_HIGHER_IS_BETTER, .targets = OF_CLASSES, .kind = CNN_METRIC_AUC},
    {.clause = {.name = "mae", .args = distance_args, .help = "mean distance from the targets"},
     .direction = CNN_LOWER_IS_BETTER, .targets = OF_NUMBERS, .kind = CNN_METRIC_MAE},
    {.clause = {.name = "mse", .args = distance_args, .help = "mean squared distance from the targets"},
     .direction = CNN_LOWER_IS_BETTER, .targets = OF_NUMBERS, .kind = CNN_METRIC_MSE},
    {.clause = {.name = "rmse", .args = distance_args, .help = "root of the mean squared distance"},
     .direction = CNN_LOWER_IS_BETTER, .targets = OF_NUMBERS, .kind = CNN_METRIC_RMSE},
    {.clause = {.name = NULL}}
};

static const struct arg_def reduce_lr_on_plateau_args[] = {
    {.name = "monitor", .type = ARG_MONITOR, .default_text = "val_loss",
     .help = "the value watched"},
    {.name = "factor", .type = ARG_REAL, .min = 0, .max = 1, .min_open = true, .max_open = true,
     .default_number = 0.1, .help = "new rate = rate * factor"},
    {.name = "patience", .type = ARG_INT, .min = 0, .max = WHOLE_MAX, .default_number = 10,
     .help = "epochs without improvement before the rate is lowered"},
    {.name = "verbose", .type = ARG_INT, .min = 0, .max = 1, .default_number = 1,
     .help = "1: says so when it acts"},
    {.name = "min_delta", .type = ARG_REAL, .min = 0, .max = 1e300, .default_number = 1e-4,
     .help = "smallest change that counts as an improvement"},
    {.name = "cooldown", .type = ARG_INT, .min = 0, .max = WHOLE_MAX,
     .help = "epochs to wait after the rate was lowered"},
    {.name = "min_lr", .type = ARG_REAL, .min = 0, .max = 1e300, .help = "never below this rate"},
    {.name = NULL}
};

static const struct arg_def early_stopping_args[] = {
    {.name = "monitor", .type = ARG_MONITOR, .default_text = "val_loss",
     .help = "the value watched"},
    {.name = "min_delta", .type = ARG_REAL, .min = 0, .max = 1e300,
     .help = "smallest change that counts as an improvement"},
    {.name = "patience", .type = ARG_INT, .min = 0, .max = WHOLE_MAX,
     .help = "epochs without improvement before training ends"},
    {.name = "verbose", .type = ARG_INT, .min = 0, .max = 1, .default_number = 1,
     .help = "1: says so when it acts"},
    {.name = "restore_best", .type = ARG_BOOL,
     .help = "on: the best epoch's weights come back at the end of training"},
    {.name = NULL}
};

static const struct arg_def checkpoint_args[] = {
    {.name = "file", .type = ARG_STRING, .positional = true, .required = true,
     .help = "the file of weights, in the run folder; {epoch:02d} and {val_loss:.4f} are expanded"},
    {.name = "monitor", .type = ARG_MONITOR, .default_text = "val_loss",
     .help = "the value watched"},
    {.name = "verbose", .type = ARG_INT, .min = 0, .max = 1, .help = "1: says what it does"},
    {.name = "save_best", .type = ARG_BOOL, .help = "on: only when the value has improved"},
    {.name = "period", .type = ARG_INT, .min = 1, .max = WHOLE_MAX, .default_number = 1,
     .help = "epochs between two files"},
    {.name = NULL}
};

const struct clause_def callback_defs[] = {
    {.name = "checkpoint", .args = checkpoint_args,
     .help = "keeps the weights of an epoch in a file"},
    {.name = "early_stopping", .args = early_stopping_args,
     .help = "ends training when a value stops to improve"},
    {.name = "reduce_lr_on_plateau", .args = reduce_lr_on_plateau_args,
     .help = "lowers the learning rate when a value stops to improve"},
    {.name = "stop_on_nan", .args = no_args,
     .help = "ends the run when the loss is no finite number", .before_update = true},
    {.name = NULL}
};

static const struct arg_def epochs_args[] = {
    {.name = "count", .type = ARG_REAL, .positional = true, .required = true, .min = 0, .min_open = true,
     .max = WHOLE_MAX, .default_number = 1, .help = "how many; 0.5 is half of one"},
    {.name = NULL}
};

static const struct arg_def batch_args[] = {
    {.name = "size", .type = ARG_INT, .positional = true, .required = true, .min = 1,
     .max = BATCH_MOST, .default_number = 32, .help = "how many"},
    {.name = NULL}
};

static const struct arg_def seed_args[] = {
    {.name = "number", .type = ARG_INT, .positional = true, .required = true, .max = SEED_MAX,
     .help = "any whole number"},
    {.name = NULL}
};

static const struct arg_def threads_args[] = {
    {.name = "count", .type = ARG_INT, .positional = true, .required = true, .max = 4096,
     .help = "how many"},
    {.name = NULL}
};

static const struct arg_def class_weights_args[] = {
    {.name = "weights", .type = ARG_REAL_LIST, .positional = true, .required = true, .max = 1e6,
     .help = "one number a class"},
    {.name = NULL}
};

const struct clause_def class_weights_def = {
    .name = "class_weights", .args = class_weights_args, .help = "what a sample of each class counts in training"};

static const char *const precision_words[] = {"float", "bf16", NULL};

static const struct arg_def precision_args[] = {
    {.name = "what", .type = ARG_WORD, .positional = true, .required = true, .words = precision_words,
     .help = "float, or bf16: products of bfloat16, summed in float"},
    {.name = NULL}
};

const struct clause_def precision_def = {.name = "precision", .args = precision_args, .help = "what is multiplied"};

const struct clause_def train_numbers[TRAIN_NUMBERS + 1] = {
    [TRAIN_EPOCHS] = {.name = "epochs", .args = epochs_args, .help = "times through the pictures"},
    [TRAIN_BATCH] = {.name = "batch", .args = batch_args, .help = "samples of one step"},
    [TRAIN_SEED] = {.name = "seed", .args = seed_args, .help = "of weights, order and dropout"},
    [TRAIN_THREADS] = {.name = "threads", .args = threads_args,
                       .help = "0: as many as the machine has"},
    [TRAIN_NUMBERS] = {.name = NULL}
};

/* ---- not in this version --------------------------------------------------------------------- */

const char *const later_top[] = {NULL};
const char *const later_network[] = {
    "alpha_dropout", "gaussian_noise", NULL
};
const char *const later_data[] = {
    NULL
};
const char *const later_train[] = {
    NULL
};
const char *const later_losses[] = {NULL};
const char *const later_optimizers[] = {NULL};
