/* activations.h - the table of activations (activations.def), and what comes of its formulas. */
#ifndef ACTIVATIONS_H
#define ACTIVATIONS_H

#include "expr/expr.h"

enum activation {
    ACT_LINEAR,             /* none */
#define ACTIVATION(id, ...) ACT_##id,
#include "expr/activations.def"
#undef ACTIVATION
    ACTIVATIONS_COUNT
};

struct activation_row {
    const char *name, *help;
    const char *formula, *slope;
    bool tuned, rises, never_negative;
    struct {
        double most, value;
        const char *help;
    } alpha;
    double cycles;
    int flops;
};

/* Of all but ACT_LINEAR. */
const struct activation_row *activation_row(enum activation a);
bool activation_has_alpha(enum activation a);
/* "relu"; "linear" for ACT_LINEAR. */
const char *activation_word(enum activation a);
/* What the gradient reads: 'x', 'y', or 0 for neither. */
char activation_reads(enum activation a);

/* The inputs of an activation's expressions, by their index. */
enum activation_input { ACTIVATION_X, ACTIVATION_ALPHA, ACTIVATION_Y, ACTIVATION_DY, ACTIVATION_INPUTS };

struct activation_expr {
    struct expr_pool *pool;
    const struct expr *inputs[ACTIVATION_INPUTS];
    const struct expr *value;       /* of x and alpha */
    const struct expr *slope;       /* of what activation_reads() says, and alpha */
    const struct expr *by_x;        /* the derivative of the formula, of x and alpha */
    const struct expr *gradient;    /* dy times the slope */
};

struct activation_expr activation_expr(struct arena *a, enum activation act);

/* y = f(x), for count numbers. */
void activation_evaluate(enum activation a, double alpha, const double *x, int64_t count, double *y);
/* dx; read: y or x, as activation_reads() says. */
void activation_evaluate_gradient(enum activation a, double alpha, const double *dy, const double *read, int64_t count,
                                  double *dx);

/* The name of the function in C, in "float" or "double": one of <math.h> (*written false), or the activation's own,
 * which activation_write() writes. */
const char *activation_c_name(struct arena *a, enum activation act, enum expr_dialect dialect, bool *written);
/* A function of that name: "static inline float elu(float x, float alpha)"; for vectors "CNN_INLINE v v_mish(v x)". */
void activation_write(struct cwriter *w, enum activation a, enum expr_dialect dialect, const char *name);
/* Its gradient: (dy, y), or (dy, x) as activation_reads() says, and alpha. */
void activation_write_gradient(struct cwriter *w, enum activation a, enum expr_dialect dialect, const char *name);

#endif
