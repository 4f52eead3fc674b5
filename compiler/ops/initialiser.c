/* initialiser.c - the initialisers of the language, worked out into numbers for the runtime.
 *
 * glorot: Glorot and Bengio 2010; he: He et al. 2015; lecun: LeCun et al. 1998; with Keras's
 * conventions: the normal ones draw from a normal distribution truncated at two deviations, whose
 * deviation is corrected so that what remains has the wanted variance. */
#include <assert.h>
#include <math.h>
#include <string.h>
#include "ops/op_support.h"

/* Deviation of the standard normal distribution truncated to [-2, 2]. */
static const double truncated_deviation = 0.87962566103423978;

enum fan { FAN_NONE, FAN_IN, FAN_AVERAGE };

/* How an initialiser becomes numbers. */
struct initialiser {
    struct clause_def clause;
    enum cnn_init_kind kind;
    double gain;                    /* variance = gain / fan, for those with a fan */
    enum fan fan;
};

static const struct arg_def no_args[] = { { .name = NULL } };

static const struct arg_def constant_args[] = {
    { .name = "c", .type = ARG_REAL, .positional = true, .required = true,
      .help = "what every weight begins with" },
    { .name = NULL }
};

static const struct arg_def normal_args[] = {
    { .name = "std", .type = ARG_REAL, .positional = true, .default_number = 0.05, .min = 0,
      .max = 1e6, .help = "deviation; the mean is 0" },
    { .name = NULL }
};

static const struct arg_def uniform_args[] = {
    { .name = "a", .type = ARG_REAL, .positional = true, .default_number = -0.05,
      .help = "least value" },
    { .name = "b", .type = ARG_REAL, .positional = true, .default_number = 0.05,
      .help = "greatest value" },
    { .name = NULL }
};

static const struct arg_def dirac_args[] = {
    { .name = "rest", .type = ARG_INIT, .default_text = "zeros",
      .help = "how the filters begin that there is no channel for" },
    { .name = NULL }
};

static const struct arg_def whiten_args[] = {
    { .name = "samples", .type = ARG_INT, .default_number = 5000, .min = 1, .max = 2147483647.0,
      .help = "training pictures whose patches are taken" },
    { .name = "epsilon", .type = ARG_REAL, .default_number = 5e-4, .min = 0, .max = 1e6, .min_open = true,
      .help = "added to each eigenvalue" },
    { .name = NULL }
};

#define NO_ARGS .args = no_args, .args_count = 0

static const struct initialiser initialisers[] = {
    { { "glorot_uniform", NO_ARGS, .help = "uniform, variance 2 / (fan in + fan out)" },
      CNN_INIT_UNIFORM, 1, FAN_AVERAGE },
    { { "glorot_normal", NO_ARGS, .help = "truncated normal, variance 2 / (fan in + fan out)" },
      CNN_INIT_TRUNCATED_NORMAL, 1, FAN_AVERAGE },
    { { "he_uniform", NO_ARGS, .help = "uniform, variance 2 / fan in" },
      CNN_INIT_UNIFORM, 2, FAN_IN },
    { { "he_normal", NO_ARGS, .help = "truncated normal, variance 2 / fan in" },
      CNN_INIT_TRUNCATED_NORMAL, 2, FAN_IN },
    { { "lecun_uniform", NO_ARGS, .help = "uniform, variance 1 / fan in" },
      CNN_INIT_UNIFORM, 1, FAN_IN },
    { { "lecun_normal", NO_ARGS, .help = "truncated normal, variance 1 / fan in" },
      CNN_INIT_TRUNCATED_NORMAL, 1, FAN_IN },
    { { "zeros", NO_ARGS, .help = "all 0" }, CNN_INIT_ZEROS, 0, FAN_NONE },
    { { "ones", NO_ARGS, .help = "all 1" }, CNN_INIT_ONES, 0, FAN_NONE },
    { { "constant", ARGS(constant_args), .help = "all the same" }, CNN_INIT_CONSTANT, 0, FAN_NONE },
    { { "normal", ARGS(normal_args), .help = "normal around 0" }, CNN_INIT_NORMAL, 0, FAN_NONE },
    { { "uniform", ARGS(uniform_args), .help = "uniform from a to b" },
      CNN_INIT_UNIFORM, 0, FAN_NONE },
    { { "orthogonal", NO_ARGS, .help = "orthonormal rows or columns" },
      CNN_INIT_ORTHOGONAL, 1, FAN_NONE },
    { { "dirac", ARGS(dirac_args), .help = "each filter passes on a channel" }, CNN_INIT_DIRAC, 0, FAN_NONE },
    { { "whiten", ARGS(whiten_args), .help = "eigenvectors of the training pictures' patches" },
      CNN_INIT_WHITEN, 0, FAN_NONE },
};

enum { INITIALISERS = sizeof initialisers / sizeof *initialisers };

static const struct initialiser *initialiser_find(const char *name)
{
    for (int i = 0; i < INITIALISERS; i++)
        if (!strcmp(initialisers[i].clause.name, name))
            return &initialisers[i];
    return NULL;
}

const struct clause_def *init_def_find(const char *name)
{
    const struct initialiser *i = initialiser_find(name);

    return i ? &i->clause : NULL;
}

const struct clause_def *const *init_defs(int *count)
{
    static const struct clause_def *const defs[] = {
        &initialisers[0].clause, &initialisers[1].clause,  &initialisers[2].clause,
        &initialisers[3].clause, &initialisers[4].clause,  &initialisers[5].clause,
        &initialisers[6].clause, &initialisers[7].clause,  &initialisers[8].clause,
        &initialisers[9].clause, &initialisers[10].clause, &initialisers[11].clause,
        &initialisers[12].clause, &initialisers[13].clause,
    };

    _Static_assert(sizeof defs / sizeof *defs == INITIALISERS, "an initialiser is missing here");
    *count = INITIALISERS;
    return defs;
}

static bool uniform_check(struct diag *d, const struct clause *call)
{
    double a = clause_number(call, "a"), b = clause_number(call, "b");

    if (a <= b)
        return true;
    diag_error(d, DIAG_out_of_range, call->where,
               "'uniform' draws from a to b, but %g is more than %g",
               a, b);
    return false;
}

/* The rest of the filters is drawn one number at a time. */
static bool rest_check(struct diag *d, const struct clause *rest)
{
    enum cnn_init_kind kind = initialiser_find(rest->def->name)->kind;

    if (kind == CNN_INIT_UNIFORM && clause_def_count(rest->def))
        return uniform_check(d, rest);
    if (kind != CNN_INIT_ORTHOGONAL && kind != CNN_INIT_DIRAC && kind != CNN_INIT_WHITEN)
        return true;
    diag_error(d, DIAG_bad_initialiser, rest->where, "'rest' of dirac cannot be '%s', which is of all filters together",
               rest->def->name);
    return false;
}

/* The largest patch whose eigenvectors are found in less than a minute. */
enum { PATCH_MOST = 512 };

/* Patches are of the network's pictures, and there are as many eigenvectors as a patch has numbers. */
static bool whiten_check(const struct layer *l, struct diag *d, const struct clause *call)
{
    const int64_t *kernel = clause_arg(l->clause, "kernel")->dims, *dilation = clause_arg(l->clause, "dilation")->dims;
    int64_t patch = l->in.c * kernel[0] * kernel[1], filters = clause_int(l->clause, "filters");

    if (clause_int(l->clause, "groups") > 1) {
        diag_error(d, DIAG_bad_initialiser, call->where, "'whiten' is of filters that see all channels, but these are in "
                                                         "groups");
    } else if (l->inputs[0]->inputs_count) {
        diag_error(d, DIAG_bad_initialiser, call->where,
                   "'whiten' is for a first layer: its filters are of the pictures' own patches");
        note_input(d, l);
    } else if (dilation[0] != 1 || dilation[1] != 1) {
        diag_error(d, DIAG_bad_initialiser, call->where, "'whiten' takes patches without gaps, but the filters have a "
                                                         "dilation");
    } else if (patch > PATCH_MOST) {
        diag_error(d, DIAG_bad_initialiser, call->where, "'whiten' takes patches of at most %d numbers, found %dx%lldx%lld",
                   PATCH_MOST, l->in.c, (long long)kernel[0], (long long)kernel[1]);
    } else if (filters != 2 * patch) {
        diag_error(d, DIAG_bad_initialiser, arg_span(l, "filters"),
                   "'whiten' makes 2 x %dx%lldx%lld = %lld filters, each eigenvector and its negative, found %lld",
                   l->in.c, (long long)kernel[0], (long long)kernel[1], (long long)(2 * patch), (long long)filters);
    } else {
        return true;
    }
    return false;
}

bool init_check(const struct layer *l, struct diag *d, const char *name)
{
    const struct clause *call = clause_arg(l->clause, name)->call;

    if (!call)
        return true;
    enum cnn_init_kind kind = initialiser_find(call->def->name)->kind;
    bool of_filters = kind == CNN_INIT_DIRAC || kind == CNN_INIT_WHITEN;

    if (of_filters && !strcmp(name, "bias_init")) {
        diag_error(d, DIAG_bad_initialiser, call->where, "'%s' is of filters, not of a bias", call->def->name);
        return false;
    }
    if (kind == CNN_INIT_WHITEN && l->def != &layer_conv2d) {
        diag_error(d, DIAG_bad_initialiser, call->where, "'whiten' is of the filters of a conv2d");
        return false;
    }
    if (kind == CNN_INIT_WHITEN)
        return whiten_check(l, d, call);
    if (kind == CNN_INIT_DIRAC)
        return !clause_arg(call, "rest")->call || rest_check(d, clause_arg(call, "rest")->call);
    return kind != CNN_INIT_UNIFORM || !clause_def_count(call->def) || uniform_check(d, call);
}

struct cnn_init init_of(const struct clause *call, const char *fallback, int64_t fan_in,
                        int64_t fan_out)
{
    const struct initialiser *i = initialiser_find(call ? call->def->name : fallback);
    struct cnn_init init = { .kind = CNN_INIT_ZEROS };

    assert(i);
    init.kind = i->kind;
    if (i->fan != FAN_NONE) {
        double fan = i->fan == FAN_IN ? (double)fan_in : ((double)fan_in + (double)fan_out) / 2;
        double variance = i->gain / fan;
        if (i->kind == CNN_INIT_UNIFORM) {
            init.b = sqrt(3 * variance);
            init.a = -init.b;
        } else {
            init.b = sqrt(variance) / truncated_deviation;
        }
    } else if (i->kind == CNN_INIT_CONSTANT) {
        init.a = clause_number(call, "c");
    } else if (i->kind == CNN_INIT_NORMAL) {
        init.b = clause_number(call, "std");
    } else if (i->kind == CNN_INIT_UNIFORM) {
        init.a = clause_number(call, "a");
        init.b = clause_number(call, "b");
    } else if (i->kind == CNN_INIT_ORTHOGONAL) {
        init.a = i->gain;
    } else if (i->kind == CNN_INIT_DIRAC) {
        init = init_of(call ? clause_arg(call, "rest")->call : NULL, "zeros", fan_in, fan_out);
        init.rest = init.kind;
        init.kind = CNN_INIT_DIRAC;
    } else if (i->kind == CNN_INIT_WHITEN) {
        init.a = clause_number(call, "samples");
        init.b = clause_number(call, "epsilon");
    }
    return init;
}

void param_initialise(struct param *p, const char *argument)
{
    const struct clause *clause = p->layer->clause;
    const struct arg_value *value = clause_arg(clause, argument);
    int64_t fan_in, fan_out;

    param_fans(p, &fan_in, &fan_out);
    p->init = init_of(value->call, clause->def->args[value - clause->args].default_text, fan_in, fan_out);
}
