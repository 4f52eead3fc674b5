/* cnn_optimizer.h - the optimizers' steps, one vector at a time; emitted code loops over the
 * parameters. */
#ifndef CNN_OPTIMIZER_H
#define CNN_OPTIMIZER_H

/* D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization" (2015), section 2's last form: the
 * corrections of the two moments are taken into the rate, and epsilon is added to the uncorrected
 * root, as Keras does. */
struct cnn_adam {
    real rate, beta1, beta2, rest1, rest2, epsilon;
};

/* The numbers of one step; step counts from 0. */
CNN_INLINE struct cnn_adam cnn_adam_at(double lr, uint64_t step, double beta1, double beta2,
                                       double epsilon)
{
    const double t = (double)step + 1;
    return (struct cnn_adam){
        .rate = (real)(lr * sqrt(1 - pow(beta2, t)) / (1 - pow(beta1, t))),
        .beta1 = (real)beta1, .rest1 = (real)(1 - beta1),
        .beta2 = (real)beta2, .rest2 = (real)(1 - beta2),
        .epsilon = (real)epsilon
    };
}

/* V_LANES parameters p with gradients g and moments m (of g) and s (of its square). */
CNN_INLINE void cnn_adam(const struct cnn_adam *a, real *p, const real *g, real *m, real *s)
{
    v gradient = v_load(g);
    v first = v_fma(v_set(a->beta1), v_load(m), v_mul(v_set(a->rest1), gradient));
    v second = v_fma(v_set(a->beta2), v_load(s), v_mul(v_set(a->rest2), v_mul(gradient, gradient)));
    v_store(m, first);
    v_store(s, second);
    v step = v_div(v_mul(v_set(a->rate), first), v_add(v_sqrt(second), v_set(a->epsilon)));
    v_store(p, v_sub(v_load(p), step));
}

struct cnn_sgd {
    real rate, momentum;
};

CNN_INLINE struct cnn_sgd cnn_sgd_at(double lr, double momentum)
{
    return (struct cnn_sgd){ .rate = (real)lr, .momentum = (real)momentum };
}

CNN_INLINE void cnn_sgd(const struct cnn_sgd *a, real *p, const real *g)
{
    v_store(p, v_sub(v_load(p), v_mul(v_set(a->rate), v_load(g))));
}

/* The velocity m = momentum m - rate g is added to p; Nesterov's form looks one such step ahead, as
 * Keras does. */
CNN_INLINE void cnn_sgd_momentum(const struct cnn_sgd *a, real *p, const real *g, real *m)
{
    v velocity = v_sub(v_mul(v_set(a->momentum), v_load(m)), v_mul(v_set(a->rate), v_load(g)));
    v_store(m, velocity);
    v_store(p, v_add(v_load(p), velocity));
}

CNN_INLINE void cnn_sgd_nesterov(const struct cnn_sgd *a, real *p, const real *g, real *m)
{
    v change = v_mul(v_set(a->rate), v_load(g));
    v velocity = v_sub(v_mul(v_set(a->momentum), v_load(m)), change);
    v_store(m, velocity);
    v_store(p, v_add(v_load(p), v_sub(v_mul(v_set(a->momentum), velocity), change)));
}

#endif
