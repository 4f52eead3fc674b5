/* concat_cases.c - the networks with concatenations (concat_networks.c), written as C with their answers.
 *
 *   concat_cases NAME TARGET float|double CODE DATA    writes the network as C, and a batch with its answers
 *   concat_cases                                       lists the names
 *
 * DATA is what network_answers.h says, as op_def.run computes it.  Printed: how many inputs of concatenations and
 * slices are views, and how many are copied.  concat_cases.sh compiles and compares. */
#include <stdlib.h>

#include "concat_networks.h"
#include "emit/emit.h"
#include "network_answers.h"

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
    answers_write(&n.arena, p->train.graph, CONCAT_BATCH, CONCAT_CLASSES, NULL, NULL, data);
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
