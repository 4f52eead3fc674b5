/* command_summary.c - the network as a table. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "common/printable.h"
#include "common/summary_table.h"
#include "core/message.h"
#include "core/param.h"
#include "core/parallel.h"
#include "train/session.h"
#include "train/trainer.h"

struct shape_text {
    char text[40];
};

static int layers_print(const struct cnn_model *m)
{
    struct summary_row *rows = calloc((size_t)m->layers_count + 1, sizeof *rows);
    struct shape_text *shapes = calloc((size_t)m->layers_count + 1, sizeof *shapes);
    if (!rows || !shapes) {
        rt_error("no memory for the table of layers");
        free(rows);
        free(shapes);
        return -1;
    }
    for (int i = 0; i < m->layers_count; i++) {
        const struct cnn_layer_info *l = &m->layers[i];
        int64_t pixels = l->flat ? 1 : (int64_t)l->height * l->width;
        if (l->flat)
            snprintf(shapes[i].text, sizeof shapes[i].text, "%d", l->channels);
        else
            snprintf(shapes[i].text, sizeof shapes[i].text, "%dx%dx%d", l->channels, l->height, l->width);
        rows[i] = (struct summary_row){ l->name, l->text, l->inputs, shapes[i].text, l->parameters, l->multiply_adds,
                                        l->channels * pixels * m->real_size, l->plan };
    }
    rt_summary_rows(rows, m->layers_count, stdout);
    free(rows);
    free(shapes);
    return 0;
}

static void parameters_print(const struct cnn_model *m)
{
    struct summary_counts n = { .all = m->params_count };
    int64_t adds = 0;
    for (int i = 0; i < m->params_list_count; i++) {
        const struct cnn_param *p = &m->params[i];
        int64_t *sum = p->role == CNN_STATISTIC ? &n.statistics : p->trainable ? &n.trainable : &n.frozen;
        *sum += p->count;
    }
    for (int i = 0; i < m->layers_count; i++)
        adds += m->layers[i].multiply_adds;
    rt_summary_counts(&n, adds, stdout);
}

int rt_summary(const struct cnn_model *m, const struct command_options *o)
{
    int threads = rt_threads_choose((int)o->run.threads, m);
    const struct workspace_sizes s = rt_workspace_sizes(m, threads);
    const struct summary_amount amounts[] = {
        { "weights", (int64_t)s.params, NULL },
        { "running statistics", (int64_t)s.statistics, NULL },
        { "gradients", (int64_t)s.grads, NULL },
        { "optimizer state", (int64_t)(s.optimizer_state + s.slow_statistics + s.update_memory + s.penalties), NULL },
        { "input and output", (int64_t)(s.input + s.labels + s.targets + s.predictions), NULL },
        { "activations", (int64_t)s.memory, "with their gradients; those that never meet share" },
        { "workspace", (int64_t)s.scratch, "of all threads" },
        { "the next batch", (int64_t)s.next_batch, "read while one is trained" },
        { "in all", (int64_t)(s.total + s.next_batch), NULL },
        { "samples, at most", rt_data_memory(&o->run), "--data-memory; more are read as batches need them" },
    };
    char title[160];
    rt_print(stdout, "Model: %s, from %s, compiled for %s\n", m->name, m->source, m->target);
    if (layers_print(m))
        return EXIT_FAILED;
    parameters_print(m);
    snprintf(title, sizeof title, "Memory, bytes, a batch of %d, %s, %d thread%s:", m->batch,
             rt_precision(m), threads, threads == 1 ? "" : "s");
    rt_summary_amounts(title, amounts, (int)(sizeof amounts / sizeof *amounts), stdout);
    return EXIT_FINE;
}
