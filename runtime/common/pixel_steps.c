/* pixel_steps.c - the rows of data_steps.def that need no data. */
#include "common/pixel_steps.h"

#include <string.h>

#include "common/recipe.h"

/* ---- another size ---------------------------------------------------------------------------- */

static struct pixel_fit fit_resize(const struct cnn_clause *step)
{
    const char *fit = rt_setting_text(step, "fit");
    enum fit_kind kind = fit && strcmp(fit, "stretch") == 0 ? FIT_STRETCH : fit && strcmp(fit, "pad") == 0 ? FIT_PAD
        : FIT_CROP;
    return (struct pixel_fit){ .fits = true, .shorter = (int)rt_setting_number(step, "side"), .kind = kind,
                               .pad = (int)rt_setting_number(step, "pad") };
}

/* ---- other numbers --------------------------------------------------------------------------- */

static struct step_result map_scale(const struct cnn_clause *step, int channels, struct pixel_measure measured,
                                    struct pixel_map *maps)
{
    (void)measured;
    for (int c = 0; c < channels; c++)
        maps[c] = (struct pixel_map){ .factor = rt_setting_number(step, "factor"), .std = 1.0 };
    return (struct step_result){ .status = STEP_DONE };
}

/* The list's number for a channel: one serves all. */
static double list_at(const struct cnn_setting *s, int channel)
{
    return s->list[s->list_length == 1 ? 0 : channel];
}

static bool list_fits(const struct cnn_setting *s, int channels)
{
    return s && s->list && (s->list_length == channels || s->list_length == 1);
}

static struct step_result map_normalize(const struct cnn_clause *step, int channels, struct pixel_measure measured,
                                        struct pixel_map *maps)
{
    const struct cnn_setting *mean = rt_setting(step, "mean"), *std = rt_setting(step, "std");
    bool measures = rt_step_measures(step);
    if (measures && (!measured.mean || !measured.std))
        return (struct step_result){ .status = STEP_UNMEASURED };
    if (!measures && (!list_fits(mean, channels) || !list_fits(std, channels)))
        return (struct step_result){ STEP_LIST, list_fits(mean, channels) ? "std" : "mean" };
    for (int c = 0; c < channels; c++)
        maps[c] = (struct pixel_map){ .factor = 1.0, .mean = measures ? measured.mean[c] : list_at(mean, c),
                                      .std = measures ? measured.std[c] : list_at(std, c) };
    return (struct step_result){ .status = STEP_DONE };
}

#ifdef CNN_TEST_ROWS            /* tests/behave/rows.sh */
#include "rows_pixels.h"
#endif

/* ---- the rows -------------------------------------------------------------------------------- */

static const struct data_step rows[] = {
#define CHOOSES(step) { .name = #step, .kind = STEP_CHOOSES },
#define FITS(step) { .name = #step, .kind = STEP_FITS, .fit = fit_##step },
#define AUGMENTS(step) { .name = #step, .kind = STEP_AUGMENTS },
#define COPIES(step) { .name = #step, .kind = STEP_COPIES },
#define MAPS(step) { .name = #step, .kind = STEP_MAPS, .map = map_##step },
#include "common/data_steps.def"
#undef CHOOSES
#undef FITS
#undef AUGMENTS
#undef COPIES
#undef MAPS
};

const struct data_step *rt_data_step(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

bool rt_step_measures(const struct cnn_clause *step)
{
    return rt_setting_text(step, "auto") != NULL;
}

struct pixel_fit rt_steps_fit(const struct cnn_data_recipe *recipe)
{
    struct pixel_fit fit = { 0 };
    for (int i = 0; i < recipe->steps_count; i++) {
        const struct data_step *row = rt_data_step(recipe->steps[i].name);
        if (row && row->fit)
            fit = row->fit(&recipe->steps[i]);
    }
    return fit;
}
