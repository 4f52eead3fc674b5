/* agree.c - processes that are about to train together find out whether they can, and whether with the same. */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "core/message.h"
#include "train/run_parts.h"

/* What must be the same before anything is shared, each with what is said where it is not. */
enum first_fact { FACT_PROGRAM, FACT_RECIPE, FACT_GIVEN, FIRST_FACTS };

static const char *const first_names[FIRST_FACTS] = {
    [FACT_PROGRAM] = "another program: it was compiled otherwise",
    [FACT_RECIPE] = "another recipe",
    [FACT_GIVEN] = "other options to begin with: --resume or --weights",
};

/* And before the first step. */
enum fact {
    FACT_SEED, FACT_TRAINING, FACT_LABELS, FACT_CLASSES, FACT_VALIDATION, FACT_TESTS,
    FACT_WEIGHTS, FACT_STEP, FACT_EPOCH, FACT_ORDER, FACT_REDUCE, FACTS
};

static const char *const fact_names[FACTS] = {
    [FACT_SEED] = "another seed",
    [FACT_TRAINING] = "another number of training samples",
    [FACT_LABELS] = "other training samples: their targets differ",
    [FACT_CLASSES] = "other classes in its data",
    [FACT_VALIDATION] = "another number of validation samples",
    [FACT_TESTS] = "another number of test samples",
    [FACT_WEIGHTS] = "other weights to begin with",
    [FACT_STEP] = "a run that stands at another step",
    [FACT_REDUCE] = "another --reduce",
    [FACT_EPOCH] = "a run that stands in another epoch",
    [FACT_ORDER] = "another order of its samples, which goes by its memory: --data-memory says how much there is",
};

_Static_assert((int)FACTS <= (int)FACTS_MOST && (int)FIRST_FACTS <= (int)FACTS_MOST, "facts have room in a standing");

static uint64_t checksum(const void *bytes, size_t size)
{
    return size > 0 ? crc32_z(0, bytes, size) : 0;
}

static uint64_t classes_checksum(const struct dataset *d)
{
    uint64_t sum = 0;
    for (int i = 0; d->class_names && i < d->target.size; i++)
        sum = crc32_z((uLong)sum, (const unsigned char *)d->class_names[i], strlen(d->class_names[i]) + 1);
    return sum;
}

static void facts_find(const struct trainer *t, uint64_t facts[FACTS_MOST])
{
    const struct cnn_context *c = t->context;
    const struct cnn_model *m = t->model;
    const struct split *train = &t->data.train;
    const size_t count = (size_t)train->count, real = (size_t)m->real_size;
    facts[FACT_SEED] = c->seed;
    facts[FACT_TRAINING] = (uint64_t)train->count;
    facts[FACT_LABELS] = train->labels    ? checksum(train->labels, count * sizeof *train->labels)
                         : train->vectors ? checksum(train->vectors,
                                                     count * (size_t)t->data.target.size * sizeof *train->vectors)
                                          : 0;
    facts[FACT_CLASSES] = classes_checksum(&t->data);
    facts[FACT_VALIDATION] = (uint64_t)t->data.val.count;
    facts[FACT_TESTS] = (uint64_t)t->data.test.count;
    facts[FACT_WEIGHTS] = checksum(c->params, (size_t)m->params_stored * real)
                          ^ checksum(c->statistics, (size_t)m->statistics_stored * real) << 32;
    facts[FACT_STEP] = c->step;
    facts[FACT_REDUCE] = (uint64_t)t->options->reduce;
    facts[FACT_EPOCH] = (uint64_t)t->epoch;
    facts[FACT_ORDER] = (uint64_t)t->train.order.by.block << 32 ^ (uint64_t)t->train.order.by.mixed;
}

int rt_program_agree(struct standing *s, const struct cnn_model *m, const struct run_options *o, const char *about)
{
    struct standing_facts facts = { .count = FIRST_FACTS, .names = first_names };
    facts.values[FACT_PROGRAM] = m->plan_hash;
    facts.values[FACT_RECIPE] = rt_run_folder_recipe_sum(m);
    facts.values[FACT_GIVEN] = (uint64_t)o->resume << 1 ^ (o->weights != NULL);
    return rt_standing_ready(s, about, &facts);
}

int rt_run_agree(struct trainer *t)
{
    struct standing_facts facts = { .count = FACTS, .names = fact_names };
    if (!t->standing.ranks || t->standing.asked)
        return t->standing.refused ? -1 : 0;
    facts_find(t, facts.values);
    return rt_standing_last(&t->standing, "begin", &facts);
}
