/* augment.c - the rows of data_steps.def that draw. */
#include "data/augment.h"

#include <string.h>

#include "common/recipe.h"
#include "core/random.h"
#include "data/colours.h"
#include "data/movement.h"

/* ---- augment --------------------------------------------------------------------------------- */

/* Each use has a number of its own, so that one option does not change what another draws. */
enum {
    DRAW_FLIP, DRAW_DOWN, DRAW_RIGHT, DRAW_TURN, DRAW_ZOOM, DRAW_BRIGHTNESS, DRAW_CONTRAST, DRAW_SATURATION, DRAW_HUE,
    DRAW_CUT_ROW, DRAW_CUT_COLUMN
};

/* -most to most. */
static double draw_real(const struct step_draw *draw, uint64_t use, double most)
{
    return most > 0.0 ? most * (2.0 * rt_random_uniform(draw->key, use) - 1.0) : 0.0;
}

/* -most to most, each as likely. */
static int draw_shift(const struct step_draw *draw, uint64_t use, int most)
{
    return (int)rt_random_below(draw->key, use, 2 * (uint64_t)most + 1) - most;
}

/* Where flips alternate, a half that is drawn once is mirrored in the first epoch, and every sample in every other
 * epoch from then on. */
static bool draw_flip(const struct step_draw *draw, const char *flip)
{
    if (flip && strcmp(flip, "alternate") == 0)
        return ((rt_random_bits(draw->lasting, DRAW_FLIP) >> 63) + draw->epoch) % 2 != 0;
    return flip && rt_random_bits(draw->key, DRAW_FLIP) >> 63 != 0;
}

static struct movement draw_movement(const struct cnn_clause *step, const struct step_draw *draw)
{
    const double degree = 0.017453292519943295769;
    int shift = (int)(rt_setting_number(step, "shift") + rt_setting_number(step, "crop"));
    return (struct movement){
        .mirrored = draw_flip(draw, rt_setting_text(step, "flip")),
        .down = draw_shift(draw, DRAW_DOWN, shift),
        .right = draw_shift(draw, DRAW_RIGHT, shift),
        .fill = rt_fill_of(rt_setting_text(step, "fill")),
        .turned = draw_real(draw, DRAW_TURN, degree * rt_setting_number(step, "rotate")),
        .enlarged = 1.0 + draw_real(draw, DRAW_ZOOM, rt_setting_number(step, "zoom")),
    };
}

static struct colours draw_colours(const struct cnn_clause *step, const struct step_draw *draw)
{
    double jitter = rt_setting_number(step, "jitter");
    return (struct colours){
        .brightness = 1.0 + draw_real(draw, DRAW_BRIGHTNESS, jitter),
        .contrast = 1.0 + draw_real(draw, DRAW_CONTRAST, jitter),
        .saturation = 1.0 + draw_real(draw, DRAW_SATURATION, jitter),
        .hue = draw_real(draw, DRAW_HUE, rt_setting_number(step, "hue")),
    };
}

/* Zeros in a square around a pixel, as far as it lies in the picture. */
static void cut_out(const struct step_draw *draw, int side, struct sample *s)
{
    size_t pixel = (size_t)s->channels * rt_number_size(s->kind);
    int row = (int)rt_random_below(draw->key, DRAW_CUT_ROW, (uint64_t)s->height) - side / 2;
    int column = (int)rt_random_below(draw->key, DRAW_CUT_COLUMN, (uint64_t)s->width) - side / 2;
    int end = row + side < s->height ? row + side : s->height;
    int left = column > 0 ? column : 0, right = column + side < s->width ? column + side : s->width;
    for (int y = row > 0 ? row : 0; y < end; y++)
        memset((char *)s->data + ((size_t)y * (size_t)s->width + (size_t)left) * pixel, 0,
               (size_t)(right - left) * pixel);
}

/* What moves comes first, in one go; then colours, of what has come in as well; the square last, so that it stays 0. */
static void augment_augment(const struct cnn_clause *step, const struct step_draw *draw, const struct sample *from,
                            struct sample *to)
{
    const struct movement move = draw_movement(step, draw);
    int cutout = (int)rt_setting_number(step, "cutout");
    rt_move(&move, from, to);
    if (rt_setting_number(step, "jitter") > 0.0 || rt_setting_number(step, "hue") > 0.0) {
        const struct colours colours = draw_colours(step, draw);
        rt_colour(&colours, to);
    }
    if (cutout > 0)
        cut_out(draw, cutout, to);
}

/* ---- the rows -------------------------------------------------------------------------------- */

#ifdef CNN_TEST_ROWS            /* tests/behave/rows.sh */
#include "rows_augment.h"
#endif

static const struct {
    const char *name;
    augment_function *apply;
} rows[] = {
#define CHOOSES(step)
#define FITS(step)
#define AUGMENTS(step) { #step, augment_##step },
#define COPIES(step)
#define MAPS(step)
#include "common/data_steps.def"
#undef CHOOSES
#undef FITS
#undef AUGMENTS
#undef COPIES
#undef MAPS
    { NULL, NULL }
};

augment_function *rt_augment(const char *name)
{
    for (size_t i = 0; rows[i].name; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].apply;
    return NULL;
}
