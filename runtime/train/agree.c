/* agree.c - processes that are about to train together find out whether they can, and whether with the same. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "core/message.h"
#include "core/rank_writes.h"
#include "train/run_parts.h"

enum { HOST_ROOM = 64, FAULT_ROOM = 1024 };

/* What must be the same everywhere, each with what is said where it is not. */
enum fact {
    FACT_PROGRAM, FACT_RECIPE, FACT_SEED, FACT_TRAINING, FACT_LABELS, FACT_VALIDATION, FACT_TESTS, FACT_WEIGHTS, FACT_STEP,
    FACT_EPOCH, FACT_ORDER, FACTS
};

static const char *const fact_names[FACTS] = {
    [FACT_PROGRAM] = "another program: it was compiled otherwise",
    [FACT_RECIPE] = "another recipe",
    [FACT_SEED] = "another seed",
    [FACT_TRAINING] = "another number of training samples",
    [FACT_LABELS] = "other training samples: their targets differ",
    [FACT_VALIDATION] = "another number of validation samples",
    [FACT_TESTS] = "another number of test samples",
    [FACT_WEIGHTS] = "other weights to begin with",
    [FACT_STEP] = "a run that stands at another step",
    [FACT_ORDER] = "another order of its samples, which goes by its memory: --data-memory says how much there is",
    [FACT_EPOCH] = "a run that stands in another epoch",
};

struct standing {
    int32_t ready;
    uint64_t facts[FACTS];
    char host[HOST_ROOM], fault[FAULT_ROOM];
};

static uint64_t checksum(const void *bytes, size_t size)
{
    return size > 0 ? crc32_z(0, bytes, size) : 0;
}

static void facts_find(const struct trainer *t, uint64_t facts[FACTS])
{
    const struct cnn_context *c = t->context;
    const struct cnn_model *m = t->model;
    const struct split *train = &t->data.train;
    const size_t count = (size_t)train->count, real = (size_t)m->real_size;
    facts[FACT_PROGRAM] = m->plan_hash;
    facts[FACT_RECIPE] = m->recipe ? checksum(m->recipe, strlen(m->recipe)) : 0;
    facts[FACT_SEED] = c->seed;
    facts[FACT_TRAINING] = (uint64_t)train->count;
    facts[FACT_LABELS] = train->labels    ? checksum(train->labels, count * sizeof *train->labels)
                         : train->vectors ? checksum(train->vectors,
                                                     count * (size_t)t->data.target.size * sizeof *train->vectors)
                                          : 0;
    facts[FACT_VALIDATION] = (uint64_t)t->data.val.count;
    facts[FACT_TESTS] = (uint64_t)t->data.test.count;
    facts[FACT_WEIGHTS] = checksum(c->params, (size_t)m->params_stored * real)
                          ^ checksum(c->statistics, (size_t)m->statistics_stored * real) << 32;
    facts[FACT_STEP] = c->step;
    facts[FACT_EPOCH] = (uint64_t)t->epoch;
    facts[FACT_ORDER] = (uint64_t)t->train.order.by.block << 32 ^ (uint64_t)t->train.order.by.mixed;
}

/* What is not right with a process, told by the first one, which has told of itself.  Whether anything is. */
static bool standing_tell(const struct standing *all, int rank)
{
    const struct standing *one = &all[rank], *first = &all[0];
    if (!one->ready) {
        /* what is wrong in many is told once */
        bool told = rank == 0;
        for (int i = 0; i < rank && !told; i++)
            told = !all[i].ready && strcmp(one->fault, all[i].fault) == 0;
        if (!told)
            rt_error("rank %d on %s: %s", rank, one->host, *one->fault ? one->fault : "cannot begin");
        return true;
    }
    for (int i = 0; first->ready && i < FACTS; i++)
        if (one->facts[i] != first->facts[i]) {
            rt_error("rank %d on %s has %s, compared with rank 0 on %s", rank, one->host, fact_names[i], first->host);
            return true;
        }
    return false;
}

int rt_run_agree(struct trainer *t, bool ready)
{
    const struct cnn_ranks *r = t->options->ranks;
    if (!r || t->asked)
        return 0;
    t->asked = true;
    struct standing mine = { .ready = ready }, *all = calloc((size_t)r->count, sizeof *all);
    gethostname(mine.host, sizeof mine.host - 1);
    if (ready)
        facts_find(t, mine.facts);
    else
        snprintf(mine.fault, sizeof mine.fault, "%s", t->fault ? t->fault : "");
    bool wrong = !all || r->gather(r, &mine, sizeof mine, all);
    for (int i = 0; !wrong && i < r->count; i++)
        t->refused |= rt_rank_writes(r) ? standing_tell(all, i)
                                        : !all[i].ready || memcmp(all[i].facts, all[0].facts, sizeof all[0].facts) != 0;
    if (!all)
        rt_error("no memory for %d ranks", r->count);
    free(all);
    /* from here on all have the same to say of what they do together: the first one says it */
    rt_message_catch(NULL, 0, !rt_rank_writes(r));
    return wrong || t->refused ? -1 : 0;
}
