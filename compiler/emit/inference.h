/* inference.h - a trained network as a list of steps: the result of inference.c, which only has to
 * be written down (emit_inference*.c).
 *
 * Ensured: bias and batch normalisation are part of the convolution or dense layer before them, or
 * of a step of their own (INFER_SCALE); an activation is part of the step before it; every weight
 * has the place that the emitted loops read it from; every value has a place in memory. */
#ifndef INFERENCE_H
#define INFERENCE_H

#include "graph/graph.h"
#include "graph/weights.h"

enum infer_kind {
    INFER_CONV2D,               /* y = w * x + b */
    INFER_LOCAL2D,              /* the same with weights and biases for each position */
    INFER_DENSE,                /* y = w x + b */
    INFER_SCALE,                /* y = x * weights[c] + biases[c] */
    INFER_ACTIVATION,           /* y = x, then the activation */
    INFER_ADD,                  /* y = in[0] + in[1], which may be one number a channel */
    INFER_MAXPOOL2D,
    INFER_AVGPOOL2D,
    INFER_GLOBAL_AVGPOOL2D,
    INFER_SOFTMAX,              /* over the channels of each position */
    INFER_TO_ROWS,              /* channels x rows x columns -> rows x columns x channels */
    INFER_TO_PLANES             /* and back */
};

enum infer_place { INFER_IN_INPUT, INFER_IN_OUTPUT, INFER_IN_ARENA };

/* What lies in memory between two steps.  Maps lie as rows x columns x channels; only what comes
 * from outside and what goes there lies as channels x rows x columns. */
struct infer_value {
    enum infer_place place;
    int64_t size;               /* floats */
    int64_t offset;             /* in the arena, floats */
    int first, last;            /* the steps that write it and that read it last */
    struct infer_value *same;   /* NULL, or the value whose memory it takes over */
};

struct infer_step {
    enum infer_kind kind;
    const char *name;           /* of the emitted function: "conv2d_1" */
    const char *text;           /* "conv2d_1 + batchnorm_1 + relu" */
    const struct node *node;
    struct infer_value *in[2], *out;
    int in_count;
    struct shape in_shape, out_shape;
    bool spread;                /* ADD: in[1] has one number a channel */
    bool planes;                /* CONV2D: it reads channels x rows x columns */
    bool in_place;              /* its function works on one array */
    struct window window;
    enum activation activation;
    double alpha;
    /* CONV2D: kh x kw x in x out.  LOCAL2D: the same at each position.  DENSE: in x out.  SCALE:
     * one a channel.  Outputs are innermost: the loop over them is the one to vectorise. */
    float *weights, *biases;    /* biases NULL: none */
    int64_t weights_count, biases_count;
};

/* pixel * scale[c] + shift[c] */
struct infer_pixels {
    bool known;                 /* the model has a data section */
    double *scale, *shift;
    const char *before;         /* what is to be done to pictures before, a sentence; or NULL */
};

enum { INFER_SAMPLES = 3 };

struct inference {
    const struct graph *graph;
    const char *name;           /* prefix of all that is public */
    const char *weights_path;
    const char *const *class_names;     /* (outputs), or NULL */
    bool extern_weights, caller_arena;
    struct infer_step **steps;
    int steps_count;
    size_t steps_capacity;
    struct infer_value **values;
    int values_count;
    size_t values_capacity;
    int64_t arena_floats;
    int64_t inputs, outputs;
    struct infer_pixels pixels;
    /* The self-test: pictures of rows x columns x channels, and what the network makes of them. */
    unsigned char *sample_pixels[INFER_SAMPLES];
    double *sample_outputs[INFER_SAMPLES];
    double tolerance;           /* largest difference of an output that is rounding */
};

struct inference_options {
    const char *name;           /* NULL: the model's */
    const char *weights_path;
    bool extern_weights, caller_arena;
};

/* Requires the graph of use, verified.  NULL with errors in d. */
struct inference *inference_plan(struct arena *a, const struct graph *g, const struct weights *w,
                                 const struct inference_options *options, struct diag *d);

/* Multiplications of a step's products, one picture. */
int64_t infer_step_multiply_adds(const struct infer_step *s);

/* What the network takes where it runs, without its code: what is counted is exact.  The names of classes are not, whose
 * pointers are as long as the machine has them. */
struct infer_sizes {
    int64_t constants;          /* bytes of constant arrays: weights, and numbers of the preparation */
    int64_t arena;              /* bytes of scratch memory */
    int64_t ends;               /* bytes of the caller's input and output */
    int64_t multiply_adds;      /* of one picture */
};
struct infer_sizes inference_sizes(const struct inference *net);
/* Whether a preparation's numbers are one constant; otherwise they are an array. */
bool infer_pixels_same(const struct inference *net, const double *list);

/* inference_memory.c: the place of every value. */
void inference_place(struct arena *a, struct inference *net);
/* inference_sample.c: pixels, samples, tolerance; false with errors in d. */
bool inference_pixels(struct arena *a, struct inference *net, const struct weights *w,
                      struct diag *d);
bool inference_samples(struct arena *a, struct inference *net, const struct weights *w, struct diag *d);

#endif
