/* inference.h - a trained network as --emit=inference writes it: the plan of its graph of use for the target
 * `portable`, and what there is around it.  inference*.c work it out; emit_inference.c only writes it down. */
#ifndef INFERENCE_H
#define INFERENCE_H

#include "base/diag.h"
#include "common/copies.h"
#include "graph/weights.h"
#include "steps/plan.h"

/* pixel * scale[c] + shift[c] */
struct infer_pixels {
    bool known;                 /* the model has a data section */
    double *scale, *shift;
    const char *before;         /* what is to be done to pictures before, a sentence; or NULL */
};

enum { INFER_SAMPLES = 3 };

/* A parameter's numbers in the order in which the loops read them. */
struct infer_constants {
    const struct param *param;
    float *values;
    int64_t count;
};

struct inference {
    const struct plan *plan;
    const struct graph *graph;  /* as the file's weights are for: before simplify() */
    const char *name;           /* prefix of all that is public */
    const char *weights_path;
    const char *const *class_names;     /* (class_names_count), or NULL */
    int class_names_count;              /* one for each output; two of a lone one */
    bool extern_weights, caller_arena;
    struct copies copies;       /* that predictions are averaged over; one: the input itself */
    struct infer_constants *constants;
    int constants_count;
    int64_t inputs, outputs;
    struct infer_pixels pixels;
    /* The self-test: pictures of rows x columns x channels, and what the network makes of them. */
    unsigned char *sample_pixels[INFER_SAMPLES];
    double *sample_outputs[INFER_SAMPLES];
    double tolerance;           /* largest difference of an output that is rounding: below */
};

/* The self-test allows so many times what one rounding of each weight and result on the way does to the outputs, and so
 * many unit roundoffs of the largest output: a sum of thousands of products rounds often. */
enum { INFER_SENSITIVITIES = 64, INFER_ROUNDINGS = 64 };

struct inference_options {
    const char *name;           /* NULL: the model's */
    const char *weights_path;
    bool extern_weights, caller_arena;
    bool averages;              /* over the copies of the recipe's `tta` */
};

/* Both graphs stand alone (lower_alone) and know their parameters; `plan` is that of the simplified one.  NULL with
 * errors in d. */
struct inference *inference_of(struct arena *a, const struct graph *g, const struct plan *plan, const struct weights *w,
                               const struct inference_options *options, struct diag *d);

/* The constants of a graph that is not planned yet become public, NAME_conv2d_1_w: they have a file of their own. */
void inference_publish(struct graph *g, const char *name);

/* What the network takes where it runs, without its code: what is counted is exact.  The names of classes are not,
 * whose pointers are as long as the machine has them. */
struct infer_sizes {
    int64_t constants;          /* bytes of constant arrays: weights, and numbers of the preparation */
    int64_t arena;              /* bytes of scratch memory: the plan's, then a copy of the input and the sums of outputs,
                                 * where there are copies */
    int64_t ends;               /* bytes of the caller's input and output */
    int64_t multiply_adds;      /* of one picture, all its copies */
};
struct infer_sizes inference_sizes(const struct inference *net);
/* Whether a preparation's numbers are one constant; otherwise they are an array. */
bool infer_pixels_same(const struct inference *net, const double *list);

/* inference_sample.c: pixels, samples, tolerance; false with errors in d. */
bool inference_pixels(struct arena *a, struct inference *net, const struct weights *w,
                      struct diag *d);
bool inference_samples(struct arena *a, struct inference *net, struct diag *d);

#endif
