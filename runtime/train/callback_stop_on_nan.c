/* callback_stop_on_nan.c - stop_on_nan: ends the run at the first loss that is no finite number, as
 * Keras's TerminateOnNaN. */
#include <inttypes.h>
#include <math.h>

#include "train/callback_parts.h"

static bool nan_step(struct callback *c, struct progress *progress, int64_t batch, double loss)
{
    (void)c;
    if (isfinite(loss))
        return true;
    rt_progress_say(progress, "%sBatch %" PRId64 ": Invalid loss, terminating training\n",
                    progress->verbosity == VERBOSE_BAR ? "\n" : "", batch);
    return false;
}

const struct callback_kind rt_callback_stop_on_nan = {
    .name = "stop_on_nan",
    .step = nan_step,
};
