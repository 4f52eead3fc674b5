/* summary.c - see summary.h. */
#include "show/summary.h"

#include <math.h>
#include <string.h>

#include "check/check.h"
#include "ops/ops.h"
#include "common/printable.h"
#include "base/text.h"
#include "show/numbers.h"

static int64_t layer_parameters(const struct layer *l)
{
    return l->def->parameters ? l->def->parameters(l) : 0;
}

static int64_t layer_multiply_adds(const struct layer *l)
{
    return l->def->multiply_adds ? l->def->multiply_adds(l) : 0;
}

static const char *layer_inputs(struct arena *a, const struct layer *l)
{
    struct text text = {.arena = a};

    for (int i = 0; i < l->inputs_count; i++)
        text_add(&text, "%s%s", i ? ", " : "", l->inputs[i]->name);
    return text_of(&text);
}

static bool is_chain(const struct model *m)
{
    for (int i = 1; i < m->layers_count; i++)
        if (m->layers[i]->inputs_count != 1 || m->layers[i]->inputs[0] != m->layers[i - 1])
            return false;
    return true;
}

struct columns {
    int name, text, shape, parameters;
};

static int widest(int width, const char *text)
{
    int length = (int)strlen(text);

    return length > width ? length : width;
}

static void rule(FILE *out, char c, int width)
{
    for (int i = 0; i < width; i++)
        fputc(c, out);
    fputc('\n', out);
}

/* What the optimizer keeps, and the groups that parameters are updated in. */
static void print_state(const struct plan *p, FILE *out)
{
    const struct update *u = &p->update;
    int64_t slow = u->optimizer && u->slow_slot >= 0 ? p->statistics_stored * p->real_size : 0;
    char text[32];

    if (!u->optimizer)
        return;
    rt_print(out, "  state of %-14s %15s", u->optimizer->name,
             grouped(text, u->slots_count * p->params_stored * p->real_size + slow + u->memory_bytes));
    for (int i = 0; i < u->slots_count; i++)
        rt_print(out, "%s%s", i ? ", " : "  ", u->slots[i]);
    rt_print(out, "\n");
}

/* Groups of parameters, where there are several: rates, decays, numbers, epochs. */
static void print_groups(const struct plan *p, FILE *out)
{
    const struct update *u = &p->update;
    const struct graph *g = p->train.graph;
    char text[32];

    if (u->groups_count < 2)
        return;
    rt_print(out, "\nParameters, by how they are trained:\n");
    for (int k = 0; k < u->groups_count; k++) {
        const struct update_group *group = &u->groups[k];
        int64_t count = 0;
        for (int i = 0; i < g->params_count; i++)
            count += plan_trains(g->params[i]) && p->params[i].group == k ? param_elements(g->params[i]) : 0;
        rt_print(out, "  %15s  rate times %.6g, weight decay %.6g", grouped(text, count), group->lr_scale,
                 group->weight_decay);
        if (group->from > 0)
            rt_print(out, ", from epoch %.6g on", group->from);
        if (group->until < INFINITY)
            rt_print(out, ", until epoch %.6g", group->until);
        rt_print(out, "\n");
    }
}

static void print_memory(const struct plan *p, FILE *out)
{
    char text[32];

    rt_print(out, "\nMemory, bytes, a batch of %d:\n", p->batch);
    rt_print(out, "  weights                 %15s\n",
            grouped(text, p->params_stored * p->real_size));
    rt_print(out, "  gradients               %15s\n",
            grouped(text, p->params_stored * p->real_size));
    rt_print(out, "  running statistics      %15s\n",
            grouped(text, p->statistics_stored * p->real_size));
    print_state(p, out);
    rt_print(out, "  activations and others  %15s\n", grouped(text, p->memory_bytes));
    rt_print(out, "  scratch, each thread    %15s\n", grouped(text, p->scratch_bytes));
}

void summary_print(const struct model *m, const struct plan *p, FILE *out)
{
    struct arena a = {0};
    struct columns w = {5, 5, 6, 10};
    int64_t parameters = 0, weights = 0, learns = 0, multiply_adds = 0;
    bool chain = is_chain(m);
    char text[32];

    for (int i = 0; i < m->layers_count; i++) {
        const struct layer *l = m->layers[i];
        w.name = widest(w.name, l->name);
        w.text = widest(w.text, clause_text_of(&a, l->clause));
        w.shape = widest(w.shape, shape_text(l->out).text);
        w.parameters = widest(w.parameters, grouped(text, layer_parameters(l)));
    }
    int width = w.name + w.text + w.shape + w.parameters + 6;
    rt_print(out, "Model: %s\n", m->name);
    rule(out, '=', width);
    rt_print(out, "%-*s  %-*s  %-*s  %*s%s\n", w.name, "Layer", w.text, "Kind", w.shape, "Result",
            w.parameters, "Parameters", chain ? "" : "  From");
    rule(out, '-', width);
    for (int i = 0; i < m->layers_count; i++) {
        const struct layer *l = m->layers[i];
        int64_t own = layer_parameters(l);
        parameters += own;
        weights += layer_weights(l);
        learns += layer_learns(l);
        multiply_adds += layer_multiply_adds(l);
        rt_print(out, "%-*s  %-*s  %-*s  %*s%s%s\n", w.name, l->name, w.text,
                clause_text_of(&a, l->clause), w.shape, shape_text(l->out).text, w.parameters,
                grouped(text, own), chain || !l->inputs_count ? "" : "  ",
                chain ? "" : layer_inputs(&a, l));
    }
    rule(out, '=', width);
    rt_print(out, "Parameters: %s\n", grouped(text, parameters));
    if (learns != parameters)
        rt_print(out, "  trainable: %s\n", grouped(text, learns));
    if (weights != learns)
        rt_print(out, "  frozen: %s\n", grouped(text, weights - learns));
    if (parameters != weights)
        rt_print(out, "  running statistics: %s\n", grouped(text, parameters - weights));
    rt_print(out, "Multiply-adds forward, one sample: %s\n", grouped(text, multiply_adds));
    if (p) {
        print_memory(p, out);
        print_groups(p, out);
    }
    arena_free(&a);
}

void model_dump(const struct model *m, FILE *out)
{
    struct arena a = {0};

    for (int i = 0; i < m->layers_count; i++) {
        const struct layer *l = m->layers[i];
        rt_print(out, "layer %d %s: %s", i, l->name, clause_text_of(&a, l->clause));
        if (l->inputs_count)
            rt_print(out, " (%s)", layer_inputs(&a, l));
        rt_print(out, " -> %s%s\n", shape_text(l->out).text, !l->trainable ? " frozen" : l->bias_only ? " frozen but for its bias" : "");
    }
    rt_print(out, "classes %d%s\n", m->outputs, m->ends_in_softmax ? ", softmax" : "");
    rt_print(out, "\n%s", m->explained);
    arena_free(&a);
}
