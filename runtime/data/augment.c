/* augment.c - the rows of data_steps.def that draw. */
#include "data/augment.h"

#include <string.h>

#include "common/recipe.h"
#include "core/random.h"
#include "data/movement.h"

/* ---- augment --------------------------------------------------------------------------------- */

/* Each use has a number of its own, so that one option does not change what another draws. */
enum { DRAW_FLIP, DRAW_DOWN, DRAW_RIGHT };

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

static void augment_augment(const struct cnn_clause *step, const struct step_draw *draw, const struct sample *from,
                            struct sample *to)
{
    int shift = (int)(rt_setting_number(step, "shift") + rt_setting_number(step, "crop"));
    const struct movement m = { .mirrored = draw_flip(draw, rt_setting_text(step, "flip")),
                                .down = draw_shift(draw, DRAW_DOWN, shift),
                                .right = draw_shift(draw, DRAW_RIGHT, shift),
                                .fill = rt_fill_of(rt_setting_text(step, "fill")) };
    rt_move(&m, from, to);
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
#define MAPS(step)
#include "common/data_steps.def"
#undef CHOOSES
#undef FITS
#undef AUGMENTS
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
