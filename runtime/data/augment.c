/* augment.c - the rows of data_steps.def that draw. */
#include "data/augment.h"

#include <string.h>

#include "common/recipe.h"
#include "core/random.h"

#ifdef CNN_TEST_ROWS
/* Left and right change places in `share` of the pictures. */
static void augment_mirror(const struct cnn_clause *step, const struct step_draw *draw, const struct sample *from,
                           struct sample *to)
{
    size_t pixel = (size_t)from->channels * rt_number_size(from->kind), row = pixel * (size_t)from->width;
    bool turns = rt_random_uniform(draw->key, 0) < rt_setting_number(step, "share", 0.5);
    for (int h = 0; h < from->height; h++)
        for (int w = 0; w < from->width; w++)
            memcpy((char *)to->data + (size_t)h * row + (size_t)w * pixel,
                   (const char *)from->data + (size_t)h * row
                       + (size_t)(turns ? from->width - 1 - w : w) * pixel, pixel);
}
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
