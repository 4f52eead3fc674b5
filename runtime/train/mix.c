/* mix.c - both of a pair are read before either is written, so a batch is mixed in its own memory.  Mixing is linear
 * with shares that add up to 1: it makes no difference to steps that map numbers whether they come before or after. */
#include "train/mix.h"

#include <math.h>

#include "common/pixel_steps.h"
#include "common/recipe.h"
#include "core/random.h"
#include "core/targets.h"

/* What a sample keeps of itself: `own` of every number, and nothing within a box. */
struct part {
    double own;
    int top, bottom, left, right;       /* from, up to not including */
    double share;                       /* of its target */
};

enum { DRAW_WHICH, DRAW_ROW, DRAW_COLUMN, KEY_BETA };

/* ---- what is drawn --------------------------------------------------------------------------- */

/* A box of (1 - share) of the picture, in its proportions, around one of its pixels; the share is of what lies
 * within. */
static struct part box_draw(const struct cnn_model *m, uint64_t key, double share)
{
    double side = sqrt(1.0 - share);
    int high = (int)lrint(side * m->in_height), wide = (int)lrint(side * m->in_width);
    int top = (int)rt_random_below(key, DRAW_ROW, (uint64_t)m->in_height) - high / 2;
    int left = (int)rt_random_below(key, DRAW_COLUMN, (uint64_t)m->in_width) - wide / 2;
    struct part p = { 1.0, top > 0 ? top : 0, top + high < m->in_height ? top + high : m->in_height,
                      left > 0 ? left : 0, left + wide < m->in_width ? left + wide : m->in_width, 1.0 };
    p.share -= (double)(p.bottom - p.top) * (p.right - p.left) / ((double)m->in_height * m->in_width);
    return p;
}

/* Of a step that says both, one is done, each as likely. */
static struct part part_draw(const struct cnn_model *m, uint64_t key, double mixup, double cutmix)
{
    bool cuts = cutmix > 0.0 && (!(mixup > 0.0) || rt_random_uniform(key, DRAW_WHICH) < 0.5);
    double alpha = cuts ? cutmix : mixup, share = rt_random_beta(rt_random_subkey(key, KEY_BETA), alpha, alpha);
    return cuts ? box_draw(m, key, share) : (struct part){ .own = share, .share = share };
}

/* ---- numbers --------------------------------------------------------------------------------- */

static inline double own_of(const struct part *p, int y, int x)
{
    bool inside = y >= p->top && y < p->bottom && x >= p->left && x < p->right;
    return inside ? 0.0 : p->own;
}

#define PAIR_MIX(name, real)                                                                       \
    static void name(const struct cnn_model *m, real *a, const struct part *of_a, real *b,         \
                     const struct part *of_b)                                                      \
    {                                                                                              \
        for (int y = 0; y < m->in_height; y++)                                                     \
            for (int x = 0; x < m->in_width; x++) {                                                \
                int64_t at = y * m->row_stride + x * m->column_stride;                             \
                real own_a = (real)own_of(of_a, y, x), own_b = (real)own_of(of_b, y, x);           \
                for (int c = 0; c < m->in_channels; c++, at += m->channel_stride) {                \
                    real first = a[at], second = b[at];                                            \
                    a[at] = own_a * first + (1 - own_a) * second;                                  \
                    b[at] = own_b * second + (1 - own_b) * first;                                  \
                }                                                                                  \
            }                                                                                      \
    }

PAIR_MIX(floats_mix, float)
PAIR_MIX(doubles_mix, double)

static void samples_mix(struct cnn_context *c, int a, const struct part *of_a, int b, const struct part *of_b)
{
    const struct cnn_model *m = c->model;
    if (m->real_size == 8)
        doubles_mix(m, (double *)c->input + a * m->image_stride, of_a, (double *)c->input + b * m->image_stride, of_b);
    else
        floats_mix(m, (float *)c->input + a * m->image_stride, of_a, (float *)c->input + b * m->image_stride, of_b);
}

/* Of equal shares that of the sample's own label counts. */
static void label_choose(struct cnn_context *c, int i)
{
    for (int k = 0; k < c->model->train.target.size; k++)
        if (rt_target_number(c, i, k) > rt_target_number(c, i, c->labels[i]))
            c->labels[i] = k;
}

static void targets_mix(struct cnn_context *c, int a, double share_a, int b, double share_b)
{
    const struct cnn_model *m = c->model;
    if (!rt_target_has_shares(m))
        return;                         /* the input is its own */
    for (int k = 0; k < m->train.target.size; k++) {
        double first = rt_target_number(c, a, k), second = rt_target_number(c, b, k);
        rt_target_set(c, a, k, share_a * first + (1.0 - share_a) * second);
        rt_target_set(c, b, k, share_b * second + (1.0 - share_b) * first);
    }
    if (m->train.target.kind == CNN_TARGET_CLASS) {
        label_choose(c, a);
        label_choose(c, b);
    }
}

/* ---- a batch --------------------------------------------------------------------------------- */

/* Sample i's partner is (sum - i) mod n: of all such sums one is drawn, an odd one where n is even, so that nobody is
 * his own partner but one of an odd number. */
static void batch_mix(struct cnn_context *c, int n, uint64_t key, double mixup, double cutmix)
{
    const struct cnn_model *m = c->model;
    int sum = (int)rt_random_below(key, 0, (uint64_t)n) | (n % 2 == 0);
    for (int i = 0; i < n; i++) {
        int other = (sum + n - i) % n;
        if (other <= i)
            continue;
        const struct part a = part_draw(m, rt_random_subkey(key, (uint64_t)i), mixup, cutmix);
        const struct part b = part_draw(m, rt_random_subkey(key, (uint64_t)other), mixup, cutmix);
        samples_mix(c, i, &a, other, &b);
        targets_mix(c, i, a.share, other, b.share);
    }
}

void rt_mix(struct cnn_context *c, int n, uint64_t key)
{
    const struct cnn_data_recipe *data = &c->model->data;
    for (int i = 0; i < data->steps_count; i++) {
        const struct data_step *row = rt_data_step(data->steps[i].name);
        double mixup = rt_setting_number(&data->steps[i], "mixup"), cutmix = rt_setting_number(&data->steps[i],
                "cutmix");
        if (row && row->kind == STEP_AUGMENTS && (mixup > 0.0 || cutmix > 0.0))
            batch_mix(c, n, rt_random_subkey(key, (uint64_t)i), mixup, cutmix);
    }
}
