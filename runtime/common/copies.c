/* copies.c - see copies.h. */
#include "common/copies.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "common/recipe.h"

/* ---- what lies outside ----------------------------------------------------------------------- */

enum fill rt_fill_of(const char *word)
{
    return word && strcmp(word, "edge") == 0 ? FILL_EDGE : word && strcmp(word, "reflect") == 0 ? FILL_REFLECT
                                                                                                : FILL_ZEROS;
}

int rt_fill_place(enum fill fill, int64_t i, int count)
{
    if (i >= 0 && i < count)
        return (int)i;
    if (fill == FILL_ZEROS)
        return -1;
    if (fill == FILL_EDGE || count == 1)
        return i < 0 ? 0 : count - 1;
    int64_t period = 2 * ((int64_t)count - 1), within = i % period;
    if (within < 0)
        within += period;
    return (int)(within < count ? within : period - within);
}

/* ---- which copies ---------------------------------------------------------------------------- */

static void copy_add(struct copies *c, int shift, bool flips, double weight)
{
    for (int mirrored = 0; mirrored <= flips; mirrored++)
        c->list[c->count++] = (struct copy){ mirrored != 0, shift, flips ? weight / 2 : weight };
}

/* The sample where it is counts as much as the two that are shifted, up and left, down and right. */
struct copies rt_copies_of(const struct cnn_clause *step)
{
    const char *average = step ? rt_setting_text(step, "average") : NULL;
    int shift = step ? (int)rt_setting_number(step, "shift") : 0;
    bool flips = step && rt_setting_text(step, "flip");
    struct copies c = { .fill = rt_fill_of(step ? rt_setting_text(step, "fill") : NULL),
                        .logits = average && strcmp(average, "logits") == 0 };
    copy_add(&c, 0, flips, shift ? 0.5 : 1.0);
    for (int way = -1; shift && way <= 1; way += 2)
        copy_add(&c, way * shift, flips, 0.25);
    return c;
}

/* ---- the mean -------------------------------------------------------------------------------- */

/* The logarithm of a probability is its logit but for what all of a sample's have in common, which the softmax of their
 * mean takes away again.  A probability that has become 0 counts as the smallest that is none. */
double rt_copies_averaged(const struct copies *c, double prediction)
{
    if (!c->logits)
        return prediction;
    return log(prediction < (double)FLT_MIN ? (double)FLT_MIN : prediction);
}

void rt_copies_predictions(const struct copies *c, double *sums, int count)
{
    double most = sums[0], all = 0.0;
    if (!c->logits)
        return;
    for (int k = 0; k < count; k++)
        most = fmax(most, sums[k]);
    for (int k = 0; k < count; k++)
        all += sums[k] = exp(sums[k] - most);
    for (int k = 0; k < count; k++)
        sums[k] /= all;
}
