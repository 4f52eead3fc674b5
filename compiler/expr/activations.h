/* activations.h - the table of activations (activations.def), the user's own, which are rows as well, and what comes of
 * their formulas.  No activation is NULL. */
#ifndef ACTIVATIONS_H
#define ACTIVATIONS_H

#include "expr/expr.h"

enum activation {
#define ACTIVATION(id, ...) ACT_##id,
#include "expr/activations.def"
#undef ACTIVATION
    ACTIVATIONS_COUNT
};

enum { ACTIVATION_SPELLINGS = 3 };

struct activation_row {
    const char *name, *help;
    const char *formula, *slope;
    const char *also[ACTIVATION_SPELLINGS];
    bool tuned, rises, never_negative;
    struct {
        double most, value;
        const char *help;
    } alpha;
    double cycles;
    int flops;
    /* One of the user's own, with numbers for its parameters: */
    const struct expr_pool *pool;   /* NULL: it is one of the language */
    const struct expr *own;         /* its value, of the one input x */
    const char *symbol;             /* what C calls it: no other row has that */
    const char *call;               /* as the language writes it, with its numbers: "leaky(0.2)" */
    /* A row of the language that computes the same, and the number for its alpha; NULL: there is none. */
    const struct activation_row *same;
    double same_alpha;
};

const struct activation_row *activation_row(enum activation a);
/* Of the language; NULL: there is none of that name. */
const struct activation_row *activation_find(const char *name);
bool activation_has_alpha(const struct activation_row *a);
/* "relu"; "linear" for NULL. */
const char *activation_word(const struct activation_row *a);
/* What the gradient reads: 'x', 'y', or 0 for neither. */
char activation_reads(const struct activation_row *a);

/* The formula of a row of the language, in terms of other values. */
const struct expr *activation_of(struct expr_pool *p, const struct activation_row *a, const struct expr *x,
                                 const struct expr *alpha);
/* Fills in what a row of the user's own says beside name, pool, own, symbol and call.  False: its value is the same for
 * all x near any x, so that nothing could be learned before it. */
bool activation_complete(struct arena *a, struct activation_row *own);

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

struct activation_expr activation_expr(struct arena *a, const struct activation_row *row);

/* y = f(x), for count numbers. */
void activation_evaluate(const struct activation_row *a, double alpha, const double *x, int64_t count, double *y);
/* dx; read: y or x, as activation_reads() says. */
void activation_evaluate_gradient(const struct activation_row *a, double alpha, const double *dy, const double *read,
                                  int64_t count, double *dx);

/* The name of the function in C, in "float" or "double": one of <math.h> (*written false), or the activation's own,
 * which activation_write() writes. */
const char *activation_c_name(struct arena *a, const struct activation_row *act, enum expr_dialect dialect,
                              bool *written);
/* A function of that name: "static inline float elu(float x, float alpha)"; for vectors "CNN_INLINE v v_mish(v x)". */
void activation_write(struct cwriter *w, const struct activation_row *a, enum expr_dialect dialect, const char *name);
/* Its gradient: (dy, y), or (dy, x) as activation_reads() says, and alpha. */
void activation_write_gradient(struct cwriter *w, const struct activation_row *a, enum expr_dialect dialect,
                               const char *name);

#endif
