/* rows_recipes.h - what the rows of rows.sh may say, for compiler/model/recipes.c. */
static const struct arg_def waves_args[] = {
    {.name = "train", .type = ARG_INT, .min = 1, .max = 100000, .default_number = 400, .help = "samples"},
    {.name = NULL}
};

#define ROWS_SOURCES \
    {.clause = {.name = "waves", .args = waves_args, .help = "numbers to be predicted from numbers"}, \
     .sample = CNN_SAMPLE_FLOATS, .picture = {2, 6, 6, false}, .target = CNN_TARGET_VECTOR, .classes = 3}, \
    {.clause = {.name = "echoes", .args = waves_args, .help = "numbers to be given back"}, \
     .sample = CNN_SAMPLE_FLOATS, .picture = {2, 6, 6, false}, .target = CNN_TARGET_INPUT},

static const struct arg_def invert_args[] = {
    {.name = "top", .type = ARG_REAL, .positional = true, .default_number = 255, .help = "what becomes 0"},
    {.name = NULL}
};

static const struct arg_def mirror_args[] = {
    {.name = "share", .type = ARG_REAL, .positional = true, .max = 1, .default_number = 0.5,
     .help = "of the pictures that are mirrored"},
    {.name = NULL}
};

#define invert_help "numbers taken off a number"
#define mirror_help "left and right change places"

static const struct arg_def squares_args[] = {
    {.name = "weight", .type = ARG_REAL, .default_number = 1, .help = "of the mean"},
    {.name = NULL}
};

#define squares_help "the mean of squared distances"
