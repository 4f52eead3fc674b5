/* rows_pixels.h - a step of rows.sh that maps numbers, for runtime/common/pixel_steps.c. */

/* top - x */
static struct step_result map_invert(const struct cnn_clause *step, int channels, struct pixel_measure measured,
                                     struct pixel_map *maps)
{
    (void)measured;
    for (int c = 0; c < channels; c++)
        maps[c] = (struct pixel_map){ .factor = -1.0, .mean = -rt_setting_number(step, "top"), .std = 1.0 };
    return (struct step_result){ .status = STEP_DONE };
}
