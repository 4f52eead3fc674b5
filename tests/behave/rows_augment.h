/* rows_augment.h - a step of rows.sh that draws, for runtime/data/augment.c. */
#include "common/recipe.h"
#include "core/random.h"

/* Left and right change places in `share` of the pictures. */
static void augment_mirror(const struct cnn_clause *step, const struct step_draw *draw, const struct sample *from,
                           struct sample *to)
{
    size_t pixel = (size_t)from->channels * rt_number_size(from->kind), row = pixel * (size_t)from->width;
    bool turns = rt_random_uniform(draw->key, 0) < rt_setting_number(step, "share");
    for (int h = 0; h < from->height; h++)
        for (int w = 0; w < from->width; w++)
            memcpy((char *)to->data + (size_t)h * row + (size_t)w * pixel,
                   (const char *)from->data + (size_t)h * row
                       + (size_t)(turns ? from->width - 1 - w : w) * pixel, pixel);
}
