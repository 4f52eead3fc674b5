/* network_answers.c - see network_answers.h. */
#include "network_answers.h"

#include <math.h>
#include <stdlib.h>

#include "ops/ops.h"

static double next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 33) / (double)(1u << 31) * 2 - 1;
}

static void put_numbers(FILE *out, const double *x, int64_t count)
{
    if (fwrite(x, sizeof *x, (size_t)count, out) != (size_t)count)
        abort();
}

void answers_write(struct arena *a, const struct graph *g, int batch, int classes,
                   void (*run)(const struct run *r, const void *data), const void *data, FILE *out)
{
    struct run r = run_new(a, g, batch);
    uint64_t state = 7;
    for (int i = 0; i < g->params_count; i++) {
        const struct param *p = g->params[i];
        int64_t in, fans;
        param_fans(p, &in, &fans);
        bool positive = p->role == CNN_STATISTIC || (p->form == &param_vector && p->role == CNN_WEIGHT);
        for (int64_t k = 0; k < param_elements(p); k++)
            run_values(&r, p->tensor)[k] = next_random(&state) * (positive ? 0.3 : 1.5 / sqrt((double)in)) + positive;
        put_numbers(out, run_values(&r, p->tensor), param_elements(p));
    }
    struct shape s = g->input->shape;
    for (int i = 0; i < batch; i++)
        for (int c = 0; c < s.c; c++)
            for (int y = 0; y < s.h; y++)
                for (int x = 0; x < s.w; x++) {
                    *run_at(&r, g->input, i, c, y, x) = next_random(&state);
                    put_numbers(out, run_at(&r, g->input, i, c, y, x), 1);
                }
    for (int i = 0; i < batch; i++)
        run_values(&r, g->target)[i] = i % classes;
    put_numbers(out, run_values(&r, g->target), batch);
    if (run) {
        run(&r, data);
    } else {
        run_graph(&r, false);
        run_graph(&r, true);
    }
    double loss = run_loss(&r) * batch;
    put_numbers(out, &loss, 1);
    put_numbers(out, run_values(&r, g->predictions), batch * classes);
    for (int i = 0; i < g->params_count; i++)
        if (g->params[i]->gradient)
            put_numbers(out, run_values(&r, g->params[i]->gradient), param_elements(g->params[i]));
}
