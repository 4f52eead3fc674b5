/* recipes.c - see recipes.h. */
#include "recipes.h"

#include <stddef.h>

#define ARGS(...) (const struct arg_def[]){__VA_ARGS__, {.name = NULL}}
#define WHOLE_MAX 2147483647.0
#define SEED_MAX 9007199254740992.0     /* 2^53: every whole number up to here is exact */

/* ---- data ---------------------------------------------------------------------------------------------------- */

const struct data_source data_sources[] = {
    {.clause = {.name = "cifar10", .help = "CIFAR-10's binary files",
                .args = ARGS({.name = "dir", .type = ARG_STRING, .positional = true, .required = true,
                              .help = "folder of data_batch_1.bin ... test_batch.bin"})},
     .picture = {3, 32, 32, false}, .classes = 10},
    {.clause = {.name = "mnist", .help = "MNIST's IDX files, gz or not",
                .args = ARGS({.name = "dir", .type = ARG_STRING, .positional = true, .required = true,
                              .help = "folder of train-images-idx3-ubyte ..."},
                             {.name = "classes", .type = ARG_INT, .min = 2, .max = 256, .default_number = 10,
                              .help = "how many labels there are"},
                             {.name = "first_label", .type = ARG_INT, .min = 0, .max = 255,
                              .help = "what the files call the first class"})},
     .picture = {1, 28, 28, false}},
    {.clause = {.name = "shapes", .help = "drawn from a seed, nothing to download",
                .args = ARGS({.name = "classes", .type = ARG_INT, .min = 2, .max = 10, .default_number = 10,
                              .help = "how many kinds of shapes"},
                             {.name = "train", .type = ARG_INT, .min = 1, .max = 10000000, .default_number = 20000,
                              .help = "pictures to train with"},
                             {.name = "val", .type = ARG_INT, .min = 1, .max = 10000000, .default_number = 2000,
                              .help = "pictures to validate with"},
                             {.name = "seed", .type = ARG_INT, .min = 0, .max = SEED_MAX,
                              .help = "of the drawing"})},
     .picture = {3, 32, 32, false}},
    {.clause = {.name = NULL}}
};

const struct clause_def data_steps[] = {
    {.name = "scale", .help = "multiplies every pixel",
     .args = ARGS({.name = "factor", .type = ARG_REAL, .positional = true, .required = true,
                   .help = "pixel values are 0 to 255 before it"})},
    {.name = "normalize", .help = "(pixel - mean) / std, by channel",
     .args = ARGS({.name = "mean", .type = ARG_REAL_LIST, .required = true, .help = "one number a channel"},
                  {.name = "std", .type = ARG_REAL_LIST, .required = true, .min = 1e-12, .max = 1e12,
                   .help = "one number a channel"})},
    {.name = NULL}
};

/* ---- train --------------------------------------------------------------------------------------------------- */

const struct clause_def loss_defs[] = {
    {.name = "categorical_crossentropy", .help = "-log of the probability of the right class",
     .args = ARGS({.name = NULL})},
    {.name = NULL}
};

const struct clause_def optimizer_defs[] = {
    {.name = "adam", .help = "Kingma and Ba 2015, with Keras's epsilon",
     .args = ARGS({.name = "lr", .type = ARG_REAL, .min = 0, .max = 1e6, .min_open = true, .default_number = 1e-3,
                   .help = "learning rate"},
                  {.name = "beta1", .type = ARG_REAL, .min = 0, .max = 1, .max_open = true, .default_number = 0.9,
                   .help = "decay of the first moment"},
                  {.name = "beta2", .type = ARG_REAL, .min = 0, .max = 1, .max_open = true, .default_number = 0.999,
                   .help = "decay of the second moment"},
                  {.name = "epsilon", .type = ARG_REAL, .min = 0, .max = 1e6, .min_open = true,
                   .default_number = 1e-7, .help = "keeps the division finite"})},
    {.name = NULL}
};

const struct metric_def metric_defs[] = {
    {.clause = {.name = "accuracy", .help = "share of samples whose most probable class is right",
                .args = ARGS({.name = NULL})},
     .log_name = "acc", .direction = CNN_HIGHER_IS_BETTER},
    {.clause = {.name = NULL}}
};

const struct clause_def callback_defs[] = {
    {.name = "reduce_lr_on_plateau", .help = "lowers the learning rate when a value stops to improve",
     .args = ARGS({.name = "monitor", .type = ARG_MONITOR, .default_text = "val_loss", .help = "the value watched"},
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
                  {.name = "min_lr", .type = ARG_REAL, .min = 0, .max = 1e300, .help = "never below this rate"})},
    {.name = NULL}
};

const struct clause_def train_numbers[TRAIN_NUMBERS + 1] = {
    [TRAIN_EPOCHS] = {.name = "epochs", .help = "times through the training set",
                      .args = ARGS({.name = "count", .type = ARG_INT, .positional = true, .required = true, .min = 1,
                                    .max = WHOLE_MAX, .help = "how many"})},
    [TRAIN_BATCH] = {.name = "batch", .help = "samples of one step",
                     .args = ARGS({.name = "size", .type = ARG_INT, .positional = true, .required = true, .min = 1,
                                   .max = 65536, .help = "how many"})},
    [TRAIN_SEED] = {.name = "seed", .help = "of weights, order and dropout",
                    .args = ARGS({.name = "number", .type = ARG_INT, .positional = true, .required = true,
                                  .max = SEED_MAX, .help = "any whole number"})},
    [TRAIN_THREADS] = {.name = "threads", .help = "0: as many as the machine has",
                       .args = ARGS({.name = "count", .type = ARG_INT, .positional = true, .required = true,
                                     .max = 4096, .help = "how many"})},
    [TRAIN_NUMBERS] = {.name = NULL}
};

/* ---- not in this version ------------------------------------------------------------------------------------- */

const char *const later_top[] = {"block", NULL};
const char *const later_network[] = {
    "repeat", "concat", "multiply", "depthwise_conv2d", "separable_conv2d", "conv2d_transpose",
    "locally_connected2d", "global_maxpool2d", "reshape", "upsample2d", "zero_pad2d", "pad_channels", "layernorm",
    "groupnorm", "lrn", "spatial_dropout2d", "prelu", "hard_swish", "hard_sigmoid", "softsign", NULL
};
const char *const later_data[] = {
    "cifar100", "images", "npy", "csv", "split", "limit", "resize", "augment", "target", NULL
};
const char *const later_train[] = {
    "lr_schedule", "early_stopping", "checkpoint", "stop_on_nan", "class_weights", "freeze", NULL
};
const char *const later_losses[] = {"binary_crossentropy", "mse", "mae", "huber", NULL};
const char *const later_optimizers[] = {"adamw", "nadam", "sgd", "rmsprop", "adagrad", NULL};
const char *const later_metrics[] = {"top_k", "precision", "recall", "f1", NULL};
