/* subset.c - draws from each class by a shuffle of its own. */
#include "data/subset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/random.h"
#include "common/recipe.h"

/* The samples of each class, behind one another in `members`; class k has members[start[k] ..
 * start[k + 1]-1]. */
struct classes_list {
    int classes;
    int64_t *start;             /* (classes + 1) */
    uint32_t *members;
};

static void list_free(struct classes_list *l)
{
    free(l->start);
    free(l->members);
}

static int list_make(struct classes_list *l, const uint16_t *labels, int64_t count, int classes)
{
    *l = (struct classes_list){ .classes = classes };
    l->start = calloc((size_t)classes + 2, sizeof *l->start);
    l->members = malloc((size_t)count * sizeof *l->members + 1);
    if (!l->start || !l->members) {
        rt_error("no memory to draw from %lld pictures", (long long)count);
        list_free(l);
        return -1;
    }
    /* counted two places on, so that filling moves each start to where it belongs */
    for (int64_t i = 0; i < count; i++)
        l->start[labels[i] + 2]++;
    for (int k = 0; k < classes; k++)
        l->start[k + 2] += l->start[k + 1];
    for (int64_t i = 0; i < count; i++)
        l->members[l->start[labels[i] + 1]++] = (uint32_t)i;
    return 0;
}

/* Marks `wanted` members of a class. */
static void class_draw(const struct classes_list *l, int class, int64_t wanted, uint64_t key,
                       uint8_t *drawn)
{
    uint32_t *members = l->members + l->start[class];
    int64_t count = l->start[class + 1] - l->start[class];
    uint64_t own = rt_random_subkey(key, (uint64_t)class);
    for (int64_t i = 0; i < wanted; i++) {      /* the first places of a Fisher-Yates shuffle */
        int64_t k = i + (int64_t)rt_random_below(own, (uint64_t)i, (uint64_t)(count - i));
        uint32_t kept = members[i];
        members[i] = members[k];
        members[k] = kept;
        drawn[members[i]] = 1;
    }
}

int64_t rt_subset_share(const uint16_t *labels, int64_t count, int classes, double fraction,
                        uint64_t seed, uint8_t *drawn)
{
    struct classes_list l;
    memset(drawn, 0, (size_t)count);
    if (list_make(&l, labels, count, classes))
        return -1;
    uint64_t key = rt_random_key(seed, RANDOM_SPLIT, 0);
    int64_t all = 0;
    for (int k = 0; k < classes; k++) {
        int64_t size = l.start[k + 1] - l.start[k];
        /* a tenth of 105 ends in a half: its binary digits must not make it less */
        int64_t wanted = (int64_t)floor(fraction * (double)size + 0.5 + 1e-9);
        if (wanted > size - 1)
            wanted = size > 0 ? size - 1 : 0;
        class_draw(&l, k, wanted, key, drawn);
        all += wanted;
    }
    list_free(&l);
    return all;
}

/* How many each class gives: the fair share of what is left, the smallest classes first. */
static void quotas_set(const struct classes_list *l, int64_t limit, int64_t *quota)
{
    int64_t level = 0, given = 0;
    for (int open = l->classes; open > 0 && given < limit;) {
        int64_t step = (limit - given) / open;
        if (step == 0)
            break;
        level += step;
        given = 0;
        open = 0;
        for (int k = 0; k < l->classes; k++) {
            int64_t size = l->start[k + 1] - l->start[k];
            quota[k] = size < level ? size : level;
            given += quota[k];
            open += size > level;
        }
    }
    for (int k = 0; k < l->classes && given < limit; k++)
        if (l->start[k + 1] - l->start[k] > quota[k]) {
            quota[k]++;
            given++;
        }
}

int64_t rt_subset_limit(const uint16_t *labels, int64_t count, int classes, int64_t limit,
                        uint64_t seed, uint8_t *drawn)
{
    if (limit <= 0 || limit >= count) {
        memset(drawn, 1, (size_t)count);
        return count;
    }
    struct classes_list l;
    memset(drawn, 0, (size_t)count);
    int64_t *quota = calloc((size_t)classes + 1, sizeof *quota);
    if (!quota || list_make(&l, labels, count, classes)) {
        free(quota);
        return -1;
    }
    quotas_set(&l, limit, quota);
    uint64_t key = rt_random_key(seed, RANDOM_LIMIT, 0);
    int64_t all = 0;
    for (int k = 0; k < classes; k++) {
        class_draw(&l, k, quota[k], key, drawn);
        all += quota[k];
    }
    list_free(&l);
    free(quota);
    return all;
}

static void choose_split(struct subset_recipe *r, const struct cnn_clause *step)
{
    r->splits = true;
    r->fraction = rt_setting_number(step, "fraction");
    r->split_seed = (uint64_t)rt_setting_number(step, "seed");
}

static void choose_limit(struct subset_recipe *r, const struct cnn_clause *step)
{
    r->train = (int64_t)rt_setting_number(step, "train");
    r->val = (int64_t)rt_setting_number(step, "val");
    r->limit_seed = (uint64_t)rt_setting_number(step, "seed");
}

/* The rows of data_steps.def that choose. */
static const struct {
    const char *name;
    void (*choose)(struct subset_recipe *r, const struct cnn_clause *step);
} rows[] = {
#define CHOOSES(step) { #step, choose_##step },
#define FITS(step)
#define AUGMENTS(step)
#define COPIES(step)
#define MAPS(step)
#include "common/data_steps.def"
#undef CHOOSES
#undef FITS
#undef AUGMENTS
#undef COPIES
#undef MAPS
};

struct subset_recipe rt_subset_recipe(const struct cnn_model *m)
{
    struct subset_recipe r = { 0 };
    for (int i = 0; i < m->data.steps_count; i++)
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
            if (strcmp(m->data.steps[i].name, rows[k].name) == 0)
                rows[k].choose(&r, &m->data.steps[i]);
    return r;
}

/* Keeps of the samples marked `which` only as many as the limit. */
static int part_limit(const struct subset_recipe *r, int classes, const uint16_t *labels,
                      int64_t count, uint8_t *part, enum subset_part which)
{
    int64_t limit = which == SUBSET_TRAIN ? r->train : r->val, n = 0;
    if (limit <= 0)
        return 0;
    uint16_t *own = calloc((size_t)count + 1, sizeof *own);
    uint8_t *drawn = malloc((size_t)count + 1);
    int status = own && drawn ? 0 : -1;
    if (status)
        rt_error("no memory to draw from %lld pictures", (long long)count);
    for (int64_t i = 0; status == 0 && i < count; i++)
        if (part[i] == which)
            own[n++] = labels[i];
    /* a stream of its own for each set */
    uint64_t seed = rt_random_subkey(r->limit_seed, which);
    if (status == 0 && rt_subset_limit(own, n, classes, limit, seed, drawn) < 0)
        status = -1;
    n = 0;
    for (int64_t i = 0; status == 0 && i < count; i++)
        if (part[i] == which && !drawn[n++])
            part[i] = SUBSET_NONE;
    free(own);
    free(drawn);
    return status;
}

int rt_subset_divide(const struct subset_recipe *r, int classes, const uint16_t *labels,
                     int64_t count, uint8_t *part, const uint16_t *held_out, int64_t held_count,
                     uint8_t *held_part)
{
    memset(part, 0, (size_t)count);
    if (r->splits && rt_subset_share(labels, count, classes, r->fraction, r->split_seed, part) < 0)
        return -1;
    for (int64_t i = 0; i < count; i++)
        part[i] = part[i] ? SUBSET_VAL : SUBSET_TRAIN;
    if (held_out)
        memset(held_part, SUBSET_VAL, (size_t)held_count);
    if (part_limit(r, classes, labels, count, part, SUBSET_TRAIN))
        return -1;
    if (r->splits)
        return part_limit(r, classes, labels, count, part, SUBSET_VAL);
    return held_out ? part_limit(r, classes, held_out, held_count, held_part, SUBSET_VAL) : 0;
}
