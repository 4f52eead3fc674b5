/* concat_cases.c - the networks with concatenations (concat_networks.c), written as C with their answers.
 *
 *   concat_cases NAME TARGET float|double CODE DATA    writes the network as C, and a batch with its answers
 *   concat_cases                                       lists the names
 *
 * DATA, doubles: the numbers of all parameters in the order of files, the batch's pictures (c, h, w), its labels; then
 * the sum of losses, the predictions, and the gradients of what is trained, as op_def.run computes them.  Printed: how
 * many inputs of concatenations and slices are views, and how many are copied.  concat_cases.sh compiles and compares. */
#include <math.h>
#include <stdlib.h>

#include "concat_networks.h"
#include "emit/emit.h"
#include "ops/ops.h"
#include "ops/run_graph.h"

/* ---- a batch and its answers ------------------------------------------------------------------------------------- */

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

static void write_data(struct network *n, const struct graph *g, FILE *out)
{
    struct run r = run_new(&n->arena, g, CONCAT_BATCH);
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
    for (int i = 0; i < CONCAT_BATCH; i++)
        for (int c = 0; c < s.c; c++)
            for (int y = 0; y < s.h; y++)
                for (int x = 0; x < s.w; x++) {
                    *run_at(&r, g->input, i, c, y, x) = next_random(&state);
                    put_numbers(out, run_at(&r, g->input, i, c, y, x), 1);
                }
    for (int i = 0; i < CONCAT_BATCH; i++)
        run_values(&r, g->target)[i] = i % CONCAT_CLASSES;
    put_numbers(out, run_values(&r, g->target), CONCAT_BATCH);
    run_graph(&r, false);
    run_graph(&r, true);
    double loss = run_loss(&r) * CONCAT_BATCH;
    put_numbers(out, &loss, 1);
    put_numbers(out, run_values(&r, g->predictions), CONCAT_BATCH * CONCAT_CLASSES);
    for (int i = 0; i < g->params_count; i++)
        if (g->params[i]->gradient)
            put_numbers(out, run_values(&r, g->params[i]->gradient), param_elements(g->params[i]));
}

static void count_views(const struct program *q, int *views, int *copies)
{
    for (int i = 0; i < q->graph->nodes_count; i++) {
        const struct node *n = q->graph->nodes[i];
        int channel = n->op == OP_slice ? n->attr.channel : 0;
        for (int k = 0; (n->op == OP_concat || n->op == OP_slice) && k < n->in_count; channel += n->in[k++]->shape.c)
            if (n->op == OP_slice ? plan_lies_inside(q, n->out[0], n->in[0], channel)
                                  : plan_lies_inside(q, n->in[k], n->out[0], channel))
                ++*views;
            else
                ++*copies;
    }
}

static int write_case(const struct network_case *k, const char *target, bool real_double, FILE *code, FILE *data)
{
    struct network n;
    const char *broken;
    int views = 0, copies = 0;
    struct plan *p = concat_plan(&n, k, target, real_double, &broken);
    if (broken) {
        fprintf(stderr, "%s\n", broken);
        return 1;
    }
    write_data(&n, p->train.graph, data);
    emit_source(p, NULL, code);
    count_views(&p->train, &views, &copies);
    printf("%d views, %d copies\n", views, copies);
    network_end(&n);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        for (int i = 0; i < concat_cases_count; i++)
            puts(concat_cases[i].name);
        return 0;
    }
    FILE *code = fopen(argv[4], "w"), *data = fopen(argv[5], "wb");
    int status = 2;
    for (int i = 0; code && data && i < concat_cases_count; i++)
        if (!strcmp(concat_cases[i].name, argv[1]))
            status = write_case(&concat_cases[i], argv[2], !strcmp(argv[3], "double"), code, data);
    if (!code || !data || fclose(code) || fclose(data))
        return 2;
    return status;
}
