/* inference_sample.c - what the recipe does to pixels, and the samples of the self-test. */
#include "emit/inference.h"

#include <float.h>
#include <math.h>

#include "model/clause_recipe.h"
#include "ops/run_graph.h"

/* ---- pixels ---------------------------------------------------------------------------------- */

static bool report_step(struct diag *d, const struct inference *net, const struct clause *step)
{
    diag_error(d, DIAG_bad_weights, step->where, "%s does not say what '%s auto' found in the training set",
               net->weights_path, step->def->name);
    diag_hint(d, "weights that the trainer has saved say it");
    return false;
}

/* One more step behind those before. */
static bool apply_step(struct arena *a, struct inference *net, const struct clause *step, const struct weights *w,
                       struct diag *d)
{
    struct infer_pixels *p = &net->pixels;
    int channels = net->graph->input->shape.c;
    /* they are only read */
    const struct pixel_measure measured = {(double *)w->mean, (double *)w->std};
    struct pixel_map *maps;

    if (clause_maps(a, step, channels, measured, &maps).status != STEP_DONE)
        return report_step(d, net, step);
    for (int c = 0; maps && c < channels; c++) {
        p->scale[c] = p->scale[c] * maps[c].factor / maps[c].std;
        p->shift[c] = (p->shift[c] * maps[c].factor - maps[c].mean) / maps[c].std;
        if (isfinite((float)p->scale[c]) && isfinite((float)p->shift[c]))
            continue;
        diag_error(d, DIAG_bad_weights, step->where,
                   "'%s' with mean %g and std %g of channel %d gives no numbers",
                   step->def->name, maps[c].mean, maps[c].std, c);
        return false;
    }
    return true;
}

bool inference_pixels(struct arena *a, struct inference *net, const struct weights *w,
                      struct diag *d)
{
    const struct model *m = net->graph->model;
    struct infer_pixels *p = &net->pixels;
    int channels = net->graph->input->shape.c;

    p->known = m->has_data;
    p->scale = arena_array(a, (size_t)channels, sizeof *p->scale);
    p->shift = arena_array(a, (size_t)channels, sizeof *p->shift);
    for (int c = 0; c < channels; c++)
        p->scale[c] = m->has_data ? 1 : 1 / 255.0;
    for (int i = 0; i < m->steps_count; i++)
        if (!apply_step(a, net, m->steps[i], w, d))
            return false;
    struct pixel_fit fit = clauses_fit(a, m->steps, m->steps_count);
    if (fit.fits && fit.kind == FIT_CROP)
        p->before = arena_printf(a, "Before, a picture's shorter side is brought to %d pixels and its middle cut out.",
                                 fit.shorter);
    else if (fit.fits)
        p->before = arena_printf(a,
                "Before, a picture is %s a box like the input with a shorter side of %d pixels%s, and its "
                                    "middle cut out.", fit.kind == FIT_STRETCH ? "stretched to" : "made to go into",
                                        fit.shorter,
                                 fit.kind == FIT_STRETCH ? "" : arena_printf(a, ", the rest of which is %d", fit.pad));
    return true;
}

/* ---- samples --------------------------------------------------------------------------------- */

/* A counter's bits, well mixed (the finaliser of SplitMix64, Steele, Lea and Flood 2014). */
static uint32_t mixed(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)((x ^ x >> 31) >> 32);
}

/* A grey value, 0 to 255, at a corner of the coarse grid. */
static int corner(int sample, int c, int row, int column)
{
    return (int)(mixed((((uint64_t)sample * 4096 + (uint64_t)c) << 34) + ((uint64_t)row << 17) +
                       (uint64_t)column) & 255);
}

/* Soft blotches with some noise over them: pictures that reach all parts of a network.  Whole
 * numbers only, so that they are the same everywhere. */
static int sample_pixel(int sample, int c, int row, int column)
{
    const int cell = 6;
    int i = row / cell, j = column / cell, di = row % cell, dj = column % cell;
    int sum = (corner(sample, c, i, j) * (cell - dj) + corner(sample, c, i, j + 1) * dj) *
                  (cell - di) +
              (corner(sample, c, i + 1, j) * (cell - dj) + corner(sample, c, i + 1, j + 1) * dj) *
                  di;
    int value = sum / (cell * cell) + corner(sample + INFER_SAMPLES, c, row, column) / 8 - 16;

    return value < 0 ? 0 : value > 255 ? 255 : value;
}

static void draw(unsigned char *pixels, int sample, struct shape s)
{
    for (int row = 0; row < s.h; row++)
        for (int column = 0; column < s.w; column++)
            for (int c = 0; c < s.c; c++)
                *pixels++ = (unsigned char)sample_pixel(sample, c, row, column);
}

/* As the emitted code prepares them: in float. */
static void prepare(const struct inference *net, const unsigned char *pixels, double *input)
{
    struct shape s = net->graph->input->shape;
    int64_t positions = (int64_t)s.h * s.w;

    for (int64_t i = 0; i < positions; i++)
        for (int c = 0; c < s.c; c++)
            input[c * positions + i] = (float)pixels[i * s.c + c] * (float)net->pixels.scale[c] +
                                       (float)net->pixels.shift[c];
}

static double largest(const double *x, int64_t count, double most)
{
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

/* As largest(), but what is not a number is beyond all. */
static double farthest(const double *x, int64_t count, double most)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(x[i]) <= most))
            most = isnan(x[i]) ? INFINITY : fabs(x[i]);
    return most;
}

/* The copy of `sample` that is asked for, both channels x rows x columns. */
static void copy_make(const struct inference *net, struct copy copy, const double *sample, double *input)
{
    struct shape s = net->graph->input->shape;

    for (int c = 0; c < s.c; c++)
        for (int y = 0; y < s.h; y++)
            for (int x = 0; x < s.w; x++) {
                int row = rt_fill_place(net->copies.fill, y - copy.shift, s.h);
                int column = rt_fill_place(net->copies.fill, x - copy.shift, s.w);
                bool there = row >= 0 && column >= 0;
                if (copy.mirrored)
                    column = s.w - 1 - column;
                *input++ = there ? sample[((int64_t)c * s.h + row) * s.w + column] : 0;
            }
}

/* One look at the input.  *reach: the largest magnitude of any value on the way; *scale: of predictions. */
static void look(const struct inference *net, const struct run *r, double *reach, double *scale)
{
    const struct graph *g = net->graph;

    run_graph(r, false);
    for (int i = 0; i < g->tensors_count; i++)
        if (!g->tensors[i]->param)
            *reach = farthest(run_values(r, g->tensors[i]), run_elements(r, g->tensors[i]), *reach);
    *scale = largest(run_values(r, g->predictions), run_elements(r, g->predictions), *scale);
}

/* One sample, whose numbers go into `kept`: the mean over its copies. */
static void predict(struct inference *net, const struct run *r, int sample, double *kept, double *reach, double *scale)
{
    double *sums = net->sample_outputs[sample];

    prepare(net, net->sample_pixels[sample], kept);
    for (int i = 0; i < net->copies.count; i++) {
        const struct copy copy = net->copies.list[i];
        copy_make(net, copy, kept, run_values(r, net->graph->input));
        look(net, r, reach, scale);
        const double *predictions = run_values(r, net->graph->predictions);
        for (int64_t k = 0; k < net->outputs; k++)
            sums[k] += copy.weight * rt_copies_averaged(&net->copies, predictions[k]);
    }
    rt_copies_predictions(&net->copies, sums, (int)net->outputs);
}

/* How far the predictions of the first sample's first copy move where weights and all results on the way are off by a
 * unit roundoff of float.  r has been there before, and is again. */
static double sensitivity(const struct inference *net, const struct run *r)
{
    struct arena values = {0};
    struct run off = run_new(&values, net->graph, 1);
    double *kept = arena_array(&values, (size_t)net->inputs, sizeof *kept), most = 0;
    const double *exact = net->sample_outputs[0];

    off.noise = FLT_EPSILON / 2;
    run_disturb(&off);
    prepare(net, net->sample_pixels[0], kept);
    copy_make(net, net->copies.list[0], kept, run_values(&off, net->graph->input));
    run_graph(&off, false);
    if (net->copies.count > 1) {        /* the sample's outputs are the mean over all of them */
        copy_make(net, net->copies.list[0], kept, run_values(r, net->graph->input));
        run_graph(r, false);
        exact = run_values(r, net->graph->predictions);
    }
    for (int64_t k = 0; k < net->outputs; k++)
        most = fmax(most, fabs(run_values(&off, net->graph->predictions)[k] - exact[k]));
    arena_free(&values);
    return most;
}

bool inference_samples(struct arena *a, struct inference *net, struct diag *d)
{
    double scale = 0, reach = 0;
    /* sums pass by larger numbers than they end at */
    const double most = FLT_MAX / 64;
    struct arena values = {0};
    struct run r = run_new(&values, net->graph, 1);
    double *kept = arena_array(&values, (size_t)net->inputs, sizeof *kept);

    for (int i = 0; i < INFER_SAMPLES; i++) {
        net->sample_pixels[i] = arena_alloc(a, (size_t)net->inputs);
        net->sample_outputs[i] = arena_array(a, (size_t)net->outputs, sizeof(double));
        draw(net->sample_pixels[i], i, net->graph->input->shape);
        predict(net, &r, i, kept, &reach, &scale);
    }
    net->tolerance = INFER_SENSITIVITIES * sensitivity(net, &r) + INFER_ROUNDINGS * (FLT_EPSILON / 2) * scale;
    arena_free(&values);
    if (!(reach <= most)) {
        diag_error(d, DIAG_bad_weights, (struct span){0},
                   "%s: with these weights numbers reach %.2g on the way, more than a float can hold (%.2g): such "
                   "weights compute nothing",
                   net->weights_path, reach, most);
        return false;
    }
    return true;
}
