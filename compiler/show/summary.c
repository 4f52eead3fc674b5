/* summary.c - see summary.h. */
#include "show/summary.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "check/check.h"
#include "ops/ops.h"
#include "common/printable.h"
#include "common/summary_table.h"
#include "plan/plan_parts.h"
#include "base/text.h"

static int64_t layer_parameters(const struct layer *l)
{
    return l->def->parameters ? l->def->parameters(l) : 0;
}

static int64_t layer_multiply_adds(const struct layer *l)
{
    return l->def->multiply_adds ? l->def->multiply_adds(l) : 0;
}


/* Groups of parameters, where there are several: rates, decays, numbers, epochs. */
static void print_groups(const struct plan *p, FILE *out)
{
    const struct update *u = &p->update;
    const struct graph *g = p->train.graph;

    if (u->groups_count < 2)
        return;
    rt_print(out, "\nParameters, by how they are trained:\n");
    for (int k = 0; k < u->groups_count; k++) {
        const struct update_group *group = &u->groups[k];
        int64_t count = 0;
        for (int i = 0; i < g->params_count; i++)
            count += plan_trains(g->params[i]) && p->params[i].group == k ? param_elements(g->params[i]) : 0;
        rt_print(out, "  %15s  rate times %.6g, weight decay %.6g", rt_grouped(count).text, group->lr_scale,
                 group->weight_decay);
        if (group->from > 0)
            rt_print(out, ", from epoch %.6g on", group->from);
        if (group->until < INFINITY)
            rt_print(out, ", until epoch %.6g", group->until);
        rt_print(out, "\n");
    }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

struct rows {
    struct arena *arena;
    const struct model *model;
    const char *const *kernels;         /* NULL: there is no plan */
    int real_size;
    struct summary_row *list;
    int count;
    size_t capacity;
};

static struct summary_row layer_row(const struct rows *r, const struct layer *l)
{
    const char *shape = shape_text(l->out).text;

    return (struct summary_row){.name = l->name,
                                .text = clause_text_of(r->arena, l->clause),
                                .inputs = layer_follows(l) ? NULL : layer_inputs(r->arena, l),
                                .shape = arena_string(r->arena, shape, strlen(shape)),
                                .parameters = layer_parameters(l),
                                .multiply_adds = layer_multiply_adds(l),
                                .bytes = shape_elements(l->out) * r->real_size,
                                .kernel = r->kernels ? r->kernels[l->index] : NULL};
}

/* A round of `repeat` is a context too, and no use of a block. */
static bool is_block_use(const struct diag_context *c)
{
    return strncmp(c->where.file->text + c->where.begin, "repeat", strlen("repeat"));
}

/* The outermost use of a block that the layer stands in; NULL: none. */
static const struct diag_context *outermost(const struct layer *l)
{
    const struct diag_context *found = NULL;

    for (const struct diag_context *c = l->within; c; c = c->outer)
        if (is_block_use(c))
            found = c;
    return found;
}

/* "layer1.0" of layer1.0.conv1 and layer1.0.relu_2; of layers without a name in common the block's own with its
 * line. */
static const char *block_name(struct arena *a, struct layer *const *layers, int count, const struct diag_context *use)
{
    const char *first = layers[0]->name, *dot = strrchr(first, '.');
    size_t common = dot ? (size_t)(dot - first) : 0;

    for (int i = 1; i < count && common; i++)
        while (common && (strncmp(layers[i]->name, first, common) || layers[i]->name[common] != '.'))
            for (common--; common && first[common] != '.'; common--)
                ;
    if (common)
        return arena_string(a, first, common);
    const char *word = use->where.file->text + use->where.begin;
    return arena_printf(a, "%.*s (line %d)",
                        (int)strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"),
                        word, source_place(use->where.file, use->where.begin).line);
}

static struct summary_row block_row(const struct rows *r, struct layer *const *layers, int count,
                                    const struct diag_context *use)
{
    const char *text = use->where.file->text + use->where.begin;
    struct summary_row row = layer_row(r, layers[count - 1]);

    row.parameters = row.multiply_adds = row.bytes = 0;
    for (int i = 0; i < count; i++) {
        row.parameters += layer_parameters(layers[i]);
        row.multiply_adds += layer_multiply_adds(layers[i]);
        row.bytes += shape_elements(layers[i]->out) * r->real_size;
    }
    row.inputs = NULL;
    row.name = block_name(r->arena, layers, count, use);
    row.text = arena_string(r->arena, text, strcspn(text, "\r\n;#"));
    if (row.text[0] && strlen(row.text) > use->where.end - use->where.begin)
        row.text = arena_string(r->arena, text, use->where.end - use->where.begin);
    row.kernel = arena_printf(r->arena, "%d layer%s", count, count == 1 ? "" : "s");
    return row;
}

static void rows_add(struct rows *r, struct summary_row row)
{
    LIST_ADD(r->arena, r->list, r->count, r->capacity, row);
}

static void rows_make(struct rows *r, bool by_blocks)
{
    struct layer *const *layers = r->model->layers;

    for (int i = 0, end; i < r->model->layers_count; i = end) {
        const struct diag_context *use = by_blocks ? outermost(layers[i]) : NULL;
        for (end = i + 1; use && end < r->model->layers_count && outermost(layers[end]) == use; end++)
            ;
        rows_add(r, use ? block_row(r, layers + i, end - i, use) : layer_row(r, layers[i]));
    }
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

static struct summary_counts count_parameters(const struct model *m, int64_t *multiply_adds)
{
    struct summary_counts n = {0};
    int64_t weights = 0;

    *multiply_adds = 0;
    for (int i = 0; i < m->layers_count; i++) {
        n.all += layer_parameters(m->layers[i]);
        weights += layer_weights(m->layers[i]);
        n.trainable += layer_learns(m->layers[i]);
        *multiply_adds += layer_multiply_adds(m->layers[i]);
    }
    n.frozen = weights - n.trainable;
    n.statistics = n.all - weights;
    return n;
}

/* The names of what the optimizer keeps. */
static const char *state_text(struct arena *a, const struct update *u)
{
    struct text t = {.arena = a};

    text_add(&t, "%s", u->optimizer->name);
    for (int i = 0; i < u->slots_count; i++)
        text_add(&t, "%s%s", i ? ", " : ": ", u->slots[i]);
    return text_of(&t);
}

enum { AMOUNTS_MOST = 8 };

/* As rt_workspace_sizes() has it, of one thread; how many they are. */
static int count_memory(struct arena *a, const struct model *m, const struct plan *p, struct summary_amount *list)
{
    const struct update *u = &p->update;
    int64_t real = p->real_size, weights = p->params_stored * real, statistics = p->statistics_stored * real;
    int64_t slow = u->optimizer && u->slow_slot >= 0 ? statistics : 0;
    int64_t targets = (int64_t)p->batch * (m->mixes ? m->target.size * real : 0) + (int64_t)p->batch * 4;
    int n = 0;

    list[n++] = (struct summary_amount){"weights", weights, NULL};
    list[n++] = (struct summary_amount){"running statistics", statistics, NULL};
    list[n++] = (struct summary_amount){"gradients", weights, NULL};
    if (u->optimizer)
        list[n++] = (struct summary_amount){"optimizer state",
                                            u->slots_count * weights + slow + u->memory_bytes +
                                                8 * plan_penalty_blocks(p),
                                            state_text(a, u)};
    list[n++] = (struct summary_amount){
        "input and output", (shape_elements(m->layers[0]->out) + m->outputs) * p->batch * real + targets, NULL};
    list[n++] = (struct summary_amount){"activations", p->memory_bytes,
                                         "with their gradients; those that never meet share"};
    list[n++] = (struct summary_amount){"workspace", p->scratch_bytes, "of each thread"};
    int64_t all = 0;
    for (int i = 0; i < n; i++)
        all += list[i].bytes;
    list[n++] = (struct summary_amount){"in all", all, "with one thread"};
    return n;
}

static void print_memory(struct arena *a, const struct model *m, const struct plan *p, FILE *out)
{
    struct summary_amount list[AMOUNTS_MOST];
    int count = count_memory(a, m, p, list);

    rt_summary_amounts(arena_printf(a, "Memory, bytes, a batch of %d, %s, %s:", p->batch, p->precision,
                                    p->target->name), list, count, out);
    rt_print(out, "and the samples, up to the trainer's --data-memory (else half of the machine's memory); more are read as "
                  "batches\nneed them.\n");
}

void summary_print(const struct model *m, const struct plan *p, const struct summary_options *options, FILE *out)
{
    struct arena a = {0};
    struct rows r = {.arena = &a, .model = m, .kernels = p ? plan_layers(&a, p) : NULL,
                     .real_size = options->real_double ? 8 : 4};
    int64_t multiply_adds;
    const struct summary_counts counts = count_parameters(m, &multiply_adds);

    rows_make(&r, options->by_blocks);
    rt_print(out, "Model: %s\n", m->name);
    rt_summary_rows(r.list, r.count, out);
    rt_summary_counts(&counts, multiply_adds, out);
    if (p) {
        print_memory(&a, m, p, out);
        print_groups(p, out);
    }
    arena_free(&a);
}

/* ---- the same for programs --------------------------------------------------------------------------------------- */

static json_t *layer_json(const struct rows *r, const struct layer *l)
{
    struct summary_row row = layer_row(r, l);
    json_t *inputs = json_array(), *blocks = json_array();
    json_t *layer = json_pack("{s:s, s:s, s:s}", "name", l->name, "kind", l->def->clause.name, "text",
                              clause_text_of(r->arena, l->clause));

    for (int i = 0; i < l->inputs_count; i++)
        json_array_append_new(inputs, json_string(l->inputs[i]->name));
    for (const struct diag_context *c = l->within; c; c = c->outer)
        json_array_insert_new(blocks, 0, json_integer(source_place(c->where.file, c->where.begin).line));
    json_object_set_new(layer, "inputs", inputs);
    json_object_set_new(layer, "line", json_integer(source_place(l->where.file, l->where.begin).line));
    json_object_set_new(layer, "used_at_lines", blocks);
    json_object_set_new(layer, "result", l->out.flat ? json_pack("[i]", l->out.c)
                                                     : json_pack("[i, i, i]", l->out.c, l->out.h, l->out.w));
    json_object_set_new(layer, "parameters", json_integer(row.parameters));
    json_object_set_new(layer, "trainable", json_integer(layer_learns(l)));
    json_object_set_new(layer, "running_statistics", json_integer(row.parameters - layer_weights(l)));
    json_object_set_new(layer, "multiply_adds", json_integer(row.multiply_adds));
    json_object_set_new(layer, "bytes", json_integer(row.bytes));
    if (row.kernel && *row.kernel)
        json_object_set_new(layer, "kernel", json_string(row.kernel));
    return layer;
}

void summary_print_json(const struct model *m, const struct plan *p, const struct summary_options *options, FILE *out)
{
    struct arena a = {0};
    const struct rows r = {.arena = &a, .model = m, .kernels = p ? plan_layers(&a, p) : NULL,
                           .real_size = options->real_double ? 8 : 4};
    int64_t multiply_adds;
    const struct summary_counts n = count_parameters(m, &multiply_adds);
    json_t *layers = json_array(), *memory = json_object(), *all = json_pack("{s:s}", "model", m->name);

    for (int i = 0; i < m->layers_count; i++)
        json_array_append_new(layers, layer_json(&r, m->layers[i]));
    json_object_set_new(all, "layers", layers);
    json_object_set_new(all, "parameters", json_pack("{s:I, s:I, s:I, s:I}", "all", (json_int_t)n.all, "trainable",
                                                     (json_int_t)n.trainable, "frozen", (json_int_t)n.frozen,
                                                     "running_statistics", (json_int_t)n.statistics));
    json_object_set_new(all, "multiply_adds", json_integer(multiply_adds));
    if (p) {
        struct summary_amount list[AMOUNTS_MOST];
        int count = count_memory(&a, m, p, list);
        for (int i = 0; i < count; i++) {
            char *key = arena_string(&a, list[i].what, strlen(list[i].what));
            for (char *c = key; *c; c++)
                *c = *c == ' ' ? '_' : *c;
            json_object_set_new(memory, key, json_integer(list[i].bytes));
        }
        json_object_set_new(all, "batch", json_integer(p->batch));
        json_object_set_new(all, "real", json_string(p->precision));
        json_object_set_new(all, "target", json_string(p->target->name));
        json_object_set(all, "memory", memory);
    }
    json_dumpf(all, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(memory);
    json_decref(all);
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
        rt_print(out, " -> %s%s\n", shape_text(l->out).text, !l->trainable ? " frozen" : l->bias_only
                 ? " frozen but for its bias" : "");
    }
    rt_print(out, "classes %d%s\n", m->outputs, m->ends_in_softmax ? ", softmax" : "");
    rt_print(out, "\n%s", m->explained);
    arena_free(&a);
}
