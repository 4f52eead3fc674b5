/* loader.c - from samples to batches.
 *
 * The batch that a step needs is prepared while the step before it computes, sample by sample, in a second batch's
 * memory: by threads of the network that would wait for each other (core/team.h), so that no thread more competes for
 * the processors.  What is left when the step has ended all threads do together, where that is worth waking them.
 * Which thread does a sample changes nothing of it: what is drawn for it follows from its number.
 *
 * A sample that cannot be read ahead of time is tried again when its batch is asked for: only then is it told, and
 * only if it is still so, and what the run has done until then is as if nothing had been tried.
 */
#include "train/loader.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/random.h"
#include "core/targets.h"
#include "files/notes.h"
#include "train/mix.h"
#include "train/session.h"

/* What is left of a batch and takes longer than this, in nanoseconds, is shared by all threads: some times what it
 * takes to wake one. */
static const uint64_t share_least = 100000;

struct batch_ahead {
    struct team_spare spare;    /* what the network's threads know of it */
    struct cnn_context *room;
    int64_t first;              /* position of its first sample; -1: none is prepared */
    int count;                  /* its samples */
    /* how many nobody has begun, none where it is below; how many are over.  Where `left` gives somebody a sample, the
     * rest of this is what it was when `left` was set, until that sample is done. */
    atomic_int left, done;
    atomic_int faults;
    atomic_uint_least64_t cost; /* of a sample lately, in nanoseconds */
    atomic_uint_least64_t worked;       /* of all that the loader has prepared */
    bool *missing;              /* (batch) samples that could not be had */
};

int rt_whole_batch(const struct cnn_model *m)
{
    return m->shares > 0 ? m->whole_batch : m->batch;
}

/* ---- one sample ------------------------------------------------------------------------------ */

/* The target of sample `which` of the split, for sample i of the batch. */
static void target_set(const struct loader *l, struct cnn_context *c, int i, int64_t which)
{
    const struct cnn_target target = l->model->train.target;
    if (target.kind == CNN_TARGET_CLASS) {
        c->labels[i] = l->split->labels[which];
        for (int k = 0; l->model->train.mixes && k < target.size; k++)
            rt_target_set(c, i, k, k == c->labels[i]);
    } else if (rt_target_has_numbers(l->model))
        for (int k = 0; k < target.size; k++)
            rt_target_set(c, i, k, (double)l->split->vectors[(size_t)which * (size_t)target.size + (size_t)k]);
}

static size_t sample_bytes(const struct loader *l)
{
    return rt_sample_elements(l->model) * rt_number_size(rt_sample_numbers(l->preparation.kind));
}

static int64_t sample_at(const struct loader *l, int64_t place)
{
    return l->shuffles ? (int64_t)l->order.numbers[place] : place;
}

/* Sample i of the batch that begins at a position.  0, or -1 with a message. */
static int sample_set(const struct loader *l, int thread, struct cnn_context *c, int64_t position, int i)
{
    int64_t which = sample_at(l, position + i);
    char *room = l->rooms ? l->rooms + (size_t)thread * sample_bytes(l) : NULL;
    const void *sample = rt_split_sample(l->split, which, rt_sample_elements(l->model), room);
    if (!sample)
        return -1;
    const struct step_draw draw = { rt_random_subkey(l->key, (uint64_t)which),
                                    rt_random_subkey(l->lasting, (uint64_t)which), l->epoch, which };
    rt_preparation_fill(&l->preparation, thread, sample, &draw, c, i);
    target_set(l, c, i, which);
    return 0;
}

/* ---- reading ahead --------------------------------------------------------------------------- */

/* The files of the batch after next, where each sample has one of its own. */
static void files_ask(const struct loader *l, int64_t position)
{
    enum { AT_ONCE = 64 };
    uint32_t numbers[AT_ONCE];
    int n = 0;
    for (int64_t i = position; i < position + l->model->batch && i < l->split->count; i++) {
        numbers[n++] = l->split->numbers[sample_at(l, i)];
        if (n == AT_ONCE || i + 1 == l->split->count || i + 1 == position + l->model->batch) {
            l->split->store->ahead(l->split->store, numbers, n);
            n = 0;
        }
    }
}

/* What the batch at that position and those behind it will need, asked of the system, which reads while others compute:
 * the batch need not wait for the disk then. */
static void ahead_ask(struct loader *l, int64_t position)
{
    const struct sample_store *store = l->split->samples ? NULL : l->split->store;
    if (!store || !store->ahead)
        return;
    if (store->apart) {
        files_ask(l, position + l->model->batch);
        return;
    }
    int64_t wanted = l->shuffles ? rt_order_wanted(&l->order, position) : 0, each = l->order.by.block;
    for (; l->asked < wanted; l->asked++) {
        int64_t first = l->order.blocks[l->asked] * each, left = l->split->count - first;
        store->ahead(store, l->split->numbers + first, left < each ? left : each);
    }
}

/* ---- the batch that is prepared -------------------------------------------------------------- */

/* A piece of the next batch, as rt_team_spare wants it. */
static bool sample_ahead(void *arg, int thread)
{
    struct loader *l = arg;
    struct batch_ahead *a = l->ahead;
    int left = atomic_load(&a->left) > 0 ? atomic_fetch_sub(&a->left, 1) : 0;
    if (left <= 0)
        return false;
    int i = a->count - left;
    if (i == 0)
        ahead_ask(l, a->first);
    uint64_t begun = cnn_clock(), before = atomic_load(&a->cost), took;
    rt_message_hold(true);
    a->missing[i] = sample_set(l, thread, a->room, a->first, i) != 0;
    rt_message_hold(false);
    if (a->missing[i])
        atomic_fetch_add(&a->faults, 1);
    took = cnn_clock() - begun;
    atomic_store(&a->cost, before - before / 8 + took / 8);
    atomic_fetch_add(&a->worked, took);
    atomic_fetch_add(&a->done, 1);
    return true;
}

/* No thread is at work for it afterwards. */
static void ahead_drop(struct loader *l)
{
    struct batch_ahead *a = l->ahead;
    if (!a || a->first < 0)
        return;
    atomic_store(&a->left, 0);
    rt_team_settle(l->context->team);
    a->first = -1;
}

static int batch_size(const struct loader *l, int64_t position)
{
    int64_t left = l->split->count - position, whole = rt_whole_batch(l->model), most = whole - position % whole;
    most = most < l->model->batch ? most : l->model->batch;
    return left < 0 ? 0 : left < most ? (int)left : (int)most;
}

/* Where the samples lie that are taken after those of the batch at `next`: where batches are shared out, in this
 * process' next share. */
static int64_t following(const struct loader *l, int n)
{
    int64_t whole = rt_whole_batch(l->model), begun = l->next / whole * whole, next = l->next + n;
    if (l->shares_end == 0 || next < begun + (int64_t)l->shares_end * l->model->batch)
        return next;
    return begun + whole + (int64_t)l->shares_first * l->model->batch;
}

/* From here on threads take pieces of the batch at that position. */
static void ahead_begin(struct loader *l, int64_t position)
{
    struct batch_ahead *a = l->ahead;
    int n = batch_size(l, position);
    if (n == 0)
        return;
    a->first = position;
    a->count = n;
    a->done = a->faults = 0;
    atomic_store(&a->left, n);
    rt_team_spare(l->context->team, &a->spare);
}

static void samples_share(void *arg, struct cnn_worker *w)
{
    while (sample_ahead(arg, w->number))
        ;
}

/* Returns when all its samples are there, or known to be missing. */
static void ahead_finish(struct loader *l)
{
    struct batch_ahead *a = l->ahead;
    int left = a->left, n = a->count;
    l->wait.late += n - a->done;
    if (left > 0 && (uint64_t)left * a->cost > share_least)
        rt_team_run(l->context->team, samples_share, l);
    while (sample_ahead(l, 0))
        ;
    if (a->done < n)            /* another thread is still at one */
        rt_team_settle(l->context->team);
}

/* Tries once more what could not be had, and tells of the first that still cannot.  0, or -1. */
static int ahead_mend(struct loader *l)
{
    struct batch_ahead *a = l->ahead;
    for (int i = 0; a->faults > 0 && i < a->count; i++)
        if (a->missing[i] && sample_set(l, 0, a->room, a->first, i))
            return -1;
    return 0;
}

static int ahead_open(struct loader *l)
{
    const struct cnn_model *m = l->model;
    struct batch_ahead *a = l->ahead = calloc(1, sizeof *a);
    if (!a || !(a->missing = calloc((size_t)m->batch, sizeof *a->missing))) {
        rt_error("no memory to prepare batches ahead");
        return -1;
    }
    a->spare = (struct team_spare){ sample_ahead, l };
    a->first = -1;
    a->cost = share_least;      /* until one has been measured */
    a->room = rt_next_batch(l->context);
    return a->room ? 0 : -1;
}

static void ahead_close(struct loader *l)
{
    if (!l->ahead)
        return;
    ahead_drop(l);
    rt_team_spare(l->context->team, NULL);
    free(l->ahead->missing);
    free(l->ahead);
}

/* ---- the loader ------------------------------------------------------------------------------ */

static int rooms_open(struct loader *l, const struct split *split, enum loader_use use)
{
    if (!split->samples && !(l->rooms = malloc((size_t)l->context->threads * sample_bytes(l)))) {
        rt_error("no memory for a picture");
        return -1;
    }
    l->shuffles = use == LOADER_SHUFFLES;
    if (l->shuffles && rt_order_open(&l->order, split->count))
        return -1;
    return l->context->threads > 1 ? ahead_open(l) : 0;
}

int rt_loader_open(struct loader *l, struct cnn_context *c, const struct split *split, enum loader_use use)
{
    const struct cnn_model *m = c->model;
    enum cnn_sample_kind kind = split ? split->kind : m->data.sample;
    *l = (struct loader){ .model = m, .context = c, .split = split, .trains = use != LOADER_MEASURES };
    if (rt_preparation_open(&l->preparation, m, kind, rt_notes(c)->measure, use != LOADER_MEASURES, c->threads))
        return -1;
    if (split && rooms_open(l, split, use)) {
        rt_loader_close(l);
        return -1;
    }
    return 0;
}

void rt_loader_close(struct loader *l)
{
    ahead_close(l);
    rt_order_close(&l->order);
    free(l->rooms);
    rt_preparation_close(&l->preparation);
    *l = (struct loader){ 0 };
}

void rt_loader_order(struct loader *l, struct order_blocks by)
{
    l->order.by = by;
}

void rt_loader_begin(struct loader *l, uint64_t seed, uint64_t epoch)
{
    ahead_drop(l);
    l->next = 0;
    l->epoch = epoch;
    l->key = rt_random_key(seed, RANDOM_AUGMENT, epoch);
    l->lasting = rt_random_key(seed, RANDOM_LASTING, 0);
    l->mix_key = rt_random_key(seed, RANDOM_MIX, epoch);
    l->asked = 0;
    l->order_lost = l->shuffles && rt_order_draw(&l->order, seed, epoch);
}

void rt_loader_skip(struct loader *l, int64_t position)
{
    ahead_drop(l);
    l->next = position;
    l->asked = rt_order_first(&l->order, position);
}

void rt_loader_set(const struct loader *l, struct cnn_context *c, int i, const void *sample)
{
    rt_preparation_fill(&l->preparation, 0, sample, NULL, c, i);
}

/* The next batch where there is one thread, into the context itself. */
static int batch_set(struct loader *l, struct cnn_context *c)
{
    int n = batch_size(l, l->next);
    if (n)
        ahead_ask(l, l->next);
    for (int i = 0; i < n; i++)
        if (sample_set(l, 0, c, l->next, i))
            return -1;
    l->wait.late += n;
    return n;
}

/* The next batch out of what was prepared, and the one after it begun. */
static int batch_take(struct loader *l, struct cnn_context *c)
{
    struct batch_ahead *a = l->ahead;
    int n = batch_size(l, l->next);
    if (n == 0)
        return 0;
    if (a->first != l->next) {
        ahead_drop(l);
        ahead_begin(l, l->next);
    }
    ahead_finish(l);
    l->wait.worked += atomic_exchange(&a->worked, 0);
    int status = ahead_mend(l);
    a->first = -1;
    if (status)
        return -1;
    rt_batch_exchange(c, a->room);
    ahead_begin(l, following(l, n));
    return n;
}

int rt_loader_next(struct loader *l, struct cnn_context *c)
{
    uint64_t begun = cnn_clock();
    int n = l->order_lost ? -1 : l->ahead ? batch_take(l, c) : batch_set(l, c);
    if (n > 0) {
        if (l->trains)
            rt_mix(c, n, rt_random_subkey(l->mix_key, (uint64_t)l->next));
        l->next += n;
        l->wait.samples += n;
    }
    uint64_t took = cnn_clock() - begun;
    l->wait.nanoseconds += took;
    if (!l->ahead)
        l->wait.worked += took;
    return n;
}
