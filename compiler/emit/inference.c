/* inference.c - what there is around the plan of a trained network: constants in the order of the loops, sizes; see
 * inference.h.
 *
 * Requires: graphs whose parameters are known, and the plan of the simplified one for the target `portable`.
 * Ensures: every constant is a finite float; sums for folding were done in double and are rounded once. */
#include "emit/inference.h"

#include <math.h>
#include <string.h>

#include "common/param_layout.h"
#include "model/clause_recipe.h"
#include "ops/ops.h"
#include "steps/kernel.h"

/* ---- constants --------------------------------------------------------------------------------------------------- */

/* The first number that no float can be is reported, by the layer that reads it. */
static float rounded(const struct inference *net, const struct param *p, double x, struct diag *d)
{
    float f = (float)x;

    if (!isfinite(f) && !diag_errors(d))
        diag_error(d, DIAG_bad_weights, (struct span){0},
                   "%s: layer '%s' comes to a weight of %g once its batch normalisation is folded in: no float",
                   net->weights_path, p->tensor->consumers[0]->name, x);
    return f;
}

static void add_constants(struct arena *a, struct inference *net, struct diag *d)
{
    const struct graph *g = net->plan->use.graph;

    net->constants = arena_array(a, (size_t)g->params_count + 1, sizeof *net->constants);
    for (int i = 0; i < g->params_count; i++) {
        const struct param_place *place = plan_param(net->plan, g->params[i]->tensor);
        struct infer_constants *c = &net->constants[net->constants_count++];
        c->param = g->params[i];
        c->count = place->stored;
        c->values = arena_array(a, (size_t)c->count, sizeof *c->values);
        for (int64_t k = 0; k < param_elements(c->param); k++)
            c->values[rt_layout_place(&place->layout, k)] = rounded(net, c->param, c->param->values[k], d);
    }
}

static void add_copies(struct arena *a, struct inference *net, bool averages, struct diag *d)
{
    const struct model *m = net->graph->model;
    const struct clause *step = NULL;

    for (int i = 0; i < m->steps_count; i++)
        if (rt_data_step(m->steps[i]->def->name)->kind == STEP_COPIES)
            step = m->steps[i];
    net->copies = rt_copies_of(NULL);
    if (averages && step) {
        const struct cnn_clause recipe = clause_recipe(a, step);
        net->copies = rt_copies_of(&recipe);
    } else if (averages) {
        diag_error(d, DIAG_missing_statement, (struct span){0},
                   "--tta averages over copies, of which model '%s' says nothing", m->name);
        diag_hint(d, "its section data says which, such as: tta flip, shift=1");
    }
}

void inference_publish(struct graph *g, const char *name)
{
    for (int i = 0; i < g->params_count; i++) {
        struct tensor *t = g->params[i]->tensor;
        graph_rename_tensor(g, t, arena_printf(g->arena, "%s_%s", name, t->name));
    }
}

struct inference *inference_of(struct arena *a, const struct graph *g, const struct plan *plan, const struct weights *w,
                               const struct inference_options *options, struct diag *d)
{
    struct inference *net = arena_alloc(a, sizeof *net);

    net->graph = g;
    net->plan = plan;
    net->name = options->name ? options->name : g->model->name;
    net->weights_path = options->weights_path;
    net->class_names = g->predictions->shape.flat ? w->class_names : NULL;
    net->class_names_count = w->class_names_count;
    net->caller_arena = options->caller_arena;
    net->inputs = shape_elements(g->input->shape);
    net->outputs = shape_elements(g->predictions->shape);
    add_copies(a, net, options->averages, d);
    add_constants(a, net, d);
    net->extern_weights = options->extern_weights && net->constants_count;      /* no weights, no file of them */
    return !diag_errors(d) && inference_pixels(a, net, w, d) && inference_samples(a, net, d) ? net : NULL;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

bool infer_pixels_same(const struct inference *net, const double *list)
{
    for (int i = 1; i < net->graph->input->shape.c; i++)
        if (list[i] != list[0])
            return false;
    return true;
}

struct infer_sizes inference_sizes(const struct inference *net)
{
    const struct infer_pixels *p = &net->pixels;
    const struct model *m = net->graph->model;
    struct infer_sizes sizes = {0};
    int64_t constants = 0;

    for (int i = 0; i < net->constants_count; i++)
        constants += net->constants[i].count;
    for (int i = 0; i < m->layers_count; i++)
        if (m->layers[i]->def->multiply_adds)
            sizes.multiply_adds += net->copies.count * m->layers[i]->def->multiply_adds(m->layers[i]);
    if (p->known && !infer_pixels_same(net, p->scale))
        constants += net->graph->input->shape.c;
    if (p->known && !infer_pixels_same(net, p->shift))
        constants += net->graph->input->shape.c;
    sizes.constants = constants * (int64_t)sizeof(float);
    sizes.arena = net->plan->scratch_bytes;
    if (net->copies.count > 1)
        sizes.arena += (net->inputs + net->outputs) * (int64_t)sizeof(float);
    sizes.ends = (net->inputs + net->outputs) * (int64_t)sizeof(float);
    return sizes;
}
