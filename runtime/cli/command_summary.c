/* command_summary.c - the network as a table. */
#include <stdio.h>

#include "cli/command.h"
#include "core/parallel.h"
#include "common/printable.h"
#include "train/session.h"

/* A number with its thousands apart. */
static const char *grouped(char *text, size_t size, int64_t number)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)number);
    size_t at = 0;
    for (int i = 0; i < length && at + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static void layers_print(const struct cnn_model *m)
{
    char shape[40], parameters[40], adds[40];
    int name = 20, text = 32;
    for (int i = 0; i < m->layers_count; i++) {
        name = column_width(m->layers[i].name, name);
        text = column_width(m->layers[i].text, text);
    }
    rt_print(stdout, "%-*s %-*s %-14s %12s %14s  %s\n", name, "layer", text, "", "shape", "parameters",
           "multiply-adds", "plan");
    for (int i = 0; i < m->layers_count; i++) {
        const struct cnn_layer_info *l = &m->layers[i];
        if (l->flat)
            snprintf(shape, sizeof shape, "%d", l->channels);
        else
            snprintf(shape, sizeof shape, "%dx%dx%d", l->channels, l->height, l->width);
        rt_print(stdout, "%-*s %-*s %-14s %12s %14s  %s\n", name, l->name, text, l->text, shape,
               grouped(parameters, sizeof parameters, l->parameters),
               grouped(adds, sizeof adds, l->multiply_adds), l->plan ? l->plan : "");
    }
}

static void memory_line(const char *what, size_t bytes)
{
    rt_print(stdout, "  %-18s %10.2f MiB\n", what, (double)bytes / 1048576.0);
}

int rt_summary(const struct cnn_model *m, const struct command_options *o)
{
    char text[40];
    int64_t adds = 0;
    for (int i = 0; i < m->layers_count; i++)
        adds += m->layers[i].multiply_adds;
    rt_print(stdout, "%s, from %s, compiled for %s in %s, batch %d\n\n", m->name, m->source, m->target,
           m->real_size == 8 ? "double" : "float", m->batch);
    layers_print(m);
    rt_print(stdout, "\nTotal params: %s\n", grouped(text, sizeof text, m->params_count));
    rt_print(stdout, "Trainable params: %s\n", grouped(text, sizeof text, m->trainable_count));
    rt_print(stdout, "Non-trainable params: %s\n",
           grouped(text, sizeof text, m->params_count - m->trainable_count));
    rt_print(stdout, "Multiply-adds forward, one sample: %s\n", grouped(text, sizeof text, adds));
    int threads = rt_threads_choose((int)o->run.threads, m);
    struct workspace_sizes s = rt_workspace_sizes(m, threads);
    rt_print(stdout, "Memory with %d thread%s:\n", threads, threads == 1 ? "" : "s");
    memory_line("weights", s.params + s.statistics);
    memory_line("gradients", s.grads);
    memory_line("optimizer state", s.optimizer_state + s.slow_statistics + s.update_memory + s.penalties);
    memory_line("input and output", s.input + s.labels + s.targets + s.predictions);
    memory_line("activations", s.memory);
    memory_line("scratch", s.scratch);
    memory_line("in all", s.total);
    return EXIT_FINE;
}
