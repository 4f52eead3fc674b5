/* shares.c - shares of a batch, and what processes tell each other of them. */
#include "train/shares.h"

#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/random.h"
#include "core/targets.h"
#include "train/session.h"

enum { LINE = 64 };

/* ---- opening --------------------------------------------------------------------------------- */

static size_t rounded(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

static int processes(const struct shares *s)
{
    return s->ranks ? s->ranks->count : 1;
}

static bool sends_input(const struct cnn_model *m)
{
    return m->train.target.kind == CNN_TARGET_INPUT;
}

static size_t target_bytes(const struct cnn_model *m)
{
    return rt_target_has_shares(m) ? (size_t)m->train.target.size * (size_t)m->real_size : 0;
}

static size_t input_bytes(const struct cnn_model *m)
{
    return sends_input(m) ? (size_t)m->image_stride * (size_t)m->real_size : 0;
}

/* What is told of a share lies one behind the other: word, loss, then its samples' numbers. */
struct share_head {
    struct share_word word;
    double loss;
};

static void record_lay_out(struct shares *s)
{
    const struct cnn_model *m = s->context->model;
    const size_t batch = (size_t)m->batch;
    s->predictions_at = rounded(sizeof(struct share_head));
    s->labels_at = s->predictions_at + rounded(batch * (size_t)m->outputs * (size_t)m->real_size);
    s->targets_at = s->labels_at + rounded(batch * sizeof(int32_t));
    s->input_at = s->targets_at + rounded(batch * target_bytes(m));
    s->record = s->input_at + rounded(batch * input_bytes(m));
}

static int whole_open(struct shares *s)
{
    const struct cnn_model *m = s->context->model;
    const size_t samples = (size_t)s->count * (size_t)m->batch;
    s->whole = *s->context;
    s->whole.predictions = calloc(samples, (size_t)m->outputs * (size_t)m->real_size);
    s->whole.labels = calloc(samples, sizeof(int32_t));
    s->whole.targets = target_bytes(m) ? calloc(samples, target_bytes(m)) : NULL;
    s->whole.input = input_bytes(m) ? calloc(samples, input_bytes(m)) : NULL;
    return s->whole.predictions && s->whole.labels && (s->whole.targets || !target_bytes(m))
           && (s->whole.input || !input_bytes(m)) ? 0 : -1;
}

/* Zeros, from a line on, with one more behind them: vectors may be read beyond the end. */
static void *lines_allocate(size_t bytes)
{
    void *memory = aligned_alloc(LINE, rounded(bytes) + LINE);
    return memory ? memset(memory, 0, rounded(bytes) + LINE) : NULL;
}

static int sums_open(struct shares *s)
{
    const struct cnn_model *m = s->context->model;
    const size_t real = (size_t)m->real_size, mine = (size_t)(s->end - s->first), n = (size_t)processes(s);
    s->statistics_at = rounded((size_t)m->params_stored);
    s->chunk = rounded((s->statistics_at + (size_t)m->statistics_stored + n - 1) / n);
    const size_t all = n * s->chunk * real;
    s->own = lines_allocate(mine * all);
    s->got = s->ranks ? lines_allocate(mine * all) : s->own;
    s->sums = lines_allocate(all);
    return s->own && s->got && s->sums ? 0 : -1;
}

/* What shares need that meet within a step. */
static int meetings_open(struct shares *s)
{
    const struct cnn_model *m = s->context->model;
    const size_t mine = (size_t)(s->end - s->first);
    size_t most = 0;
    if (!m->train_segment)
        return 0;
    for (int i = 0; i < m->meetings_count; i++)
        most = (size_t)m->meetings[i].bytes > most ? (size_t)m->meetings[i].bytes : most;
    s->rows = malloc(mine * most);
    s->all_rows = s->ranks ? malloc((size_t)s->count * most) : s->rows;
    s->parts = rt_contexts_open(s->context, (int)mine);
    return s->parts && s->rows && s->all_rows ? 0 : -1;
}

/* 0, or -1 with a message: how many processes there are. */
static int processes_check(const struct cnn_model *m, int count, int ranks)
{
    if (count % ranks == 0)
        return 0;
    if (count == 1)
        rt_error("%s takes a batch of %d whole: for %d processes compile with --batch-per-rank=%d", m->name, m->batch, ranks,
                 (rt_whole_batch(m) + ranks - 1) / ranks);
    else
        rt_error("a batch of %d in %d shares of %d cannot be shared out evenly among %d processes: take a number that "
                 "divides %d, or compile with another --batch-per-rank", rt_whole_batch(m), count, m->batch, ranks, count);
    return -1;
}

int rt_shares_open(struct shares *s, struct cnn_context *c, bool trains)
{
    const struct cnn_model *m = c->model;
    const int ranks = c->ranks ? c->ranks->count : 1, count = m->shares > 0 ? m->shares : 1;
    *s = (struct shares){ 0 };
    if (count == 1 && ranks == 1)
        return 0;
    if (processes_check(m, count, ranks))
        return -1;
    s->context = c;
    s->ranks = ranks > 1 ? c->ranks : NULL;
    s->count = count;
    s->first = count / ranks * (s->ranks ? s->ranks->number : 0);
    s->end = s->first + count / ranks;
    record_lay_out(s);
    s->told = calloc((size_t)(s->end - s->first), s->record);
    s->heard = s->ranks ? calloc((size_t)count, s->record) : s->told;
    if (s->told && s->heard && whole_open(s) == 0 && (!trains || (sums_open(s) == 0 && meetings_open(s) == 0)))
        return 0;
    rt_error("no memory for a batch in %d shares", count);
    rt_shares_close(s);
    return -1;
}

void rt_shares_close(struct shares *s)
{
    if (s->heard != s->told)
        free(s->heard);
    if (s->got != s->own)
        free(s->got);
    if (s->all_rows != s->rows)
        free(s->all_rows);
    free(s->rows);
    free(s->told);
    free(s->own);
    free(s->sums);
    free(s->whole.predictions);
    free(s->whole.labels);
    free(s->whole.targets);
    free(s->whole.input);
    *s = (struct shares){ 0 };
}

/* ---- a batch --------------------------------------------------------------------------------- */

/* Samples of a share of the batch. */
static int share_size(const struct shares *s, int share)
{
    const int each = s->context->model->batch, left = s->taken - share * each;
    return left < 0 ? 0 : left < each ? left : each;
}

/* What a share is trained in. */
static struct cnn_context *context_of(const struct shares *s, int share)
{
    return s->parts ? &s->parts[share - s->first] : s->context;
}

static char *record_of(char *records, const struct shares *s, int number)
{
    return records + (size_t)number * s->record;
}

/* The numbers of a share from the context into its record, or from a record into the whole batch. */
static void numbers_copy(const struct shares *s, const struct cnn_context *c, char *record, int at, int n, bool tell)
{
    const struct cnn_model *m = s->context->model;
    const size_t real = (size_t)m->real_size, row = (size_t)m->outputs * real;
    const struct { void *context; size_t place, bytes; } parts[] = {
        { c->predictions, s->predictions_at, row },
        { c->labels, s->labels_at, sizeof(int32_t) },
        { c->targets, s->targets_at, target_bytes(m) },
        { c->input, s->input_at, input_bytes(m) },
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *context = (char *)parts[i].context + (size_t)at * parts[i].bytes, *there = record + parts[i].place;
        if (parts[i].bytes > 0 && n > 0)
            memcpy(tell ? there : context, tell ? context : there, (size_t)n * parts[i].bytes);
    }
}

/* What this process found, told to all; what all found, in their order.  0, or -1 with a message. */
static int records_gather(struct shares *s)
{
    struct cnn_context *c = s->context;
    const size_t mine = (size_t)(s->end - s->first) * s->record;
    if (s->ranks && s->ranks->gather(s->ranks, s->told, mine, s->heard))
        return -1;
    s->whole.loss = 0.0;
    s->agreed = (struct share_word){ 0 };
    for (int i = 0; i < s->count; i++) {
        char *record = record_of(s->heard, s, i);
        const struct share_head *head = (const struct share_head *)(void *)record;
        const int n = share_size(s, i);
        if (n > 0)
            s->whole.loss += head->loss;
        s->agreed.stop = head->word.stop > s->agreed.stop ? head->word.stop : s->agreed.stop;
        s->agreed.failed |= head->word.failed;
        s->agreed.late |= head->word.late;
        numbers_copy(s, &s->whole, record, i * c->model->batch, n, false);
    }
    s->whole.step = c->step;
    return s->agreed.failed ? -1 : 0;
}

/* Where the batch lies in the loader's set; 0: there is none any more. */
static int batch_begin(struct shares *s, struct loader *l)
{
    l->shares_first = s->first;
    l->shares_end = s->end;
    const int64_t left = l->split->count - l->next, most = rt_whole_batch(s->context->model);
    s->start = l->next;
    s->taken = (int)(left < most ? left : most);
    return s->taken;
}

/* The samples of a share into a context; the batch stands there afterwards as before.  0, or -1. */
static int share_load(const struct shares *s, struct loader *l, int share, struct cnn_context *c)
{
    const int n = share_size(s, share);
    l->next = s->start + (int64_t)share * s->context->model->batch;
    const int got = n > 0 ? rt_loader_next(l, c) : 0;
    l->next = s->start;
    return got == n ? 0 : -1;
}

/* What came of a share in that context. */
static void share_tell(const struct shares *s, int share, const struct cnn_context *c, struct share_word mine)
{
    char *record = record_of(s->told, s, share - s->first);
    const struct share_head head = { mine, c->loss };
    memcpy(record, &head, sizeof head);
    if (!mine.failed)
        numbers_copy(s, c, record, 0, share_size(s, share), true);
}

/* All that is drawn within a share's step is its own. */
static uint64_t share_seed(uint64_t seed, int share)
{
    return share == 0 ? seed : rt_random_key(seed, RANDOM_SHARE, (uint64_t)share);
}

/* In a share's own context: what its step goes by, as it is now, beside its own batch and memory. */
static void part_begin(const struct shares *s, struct cnn_context *part)
{
    const struct cnn_context own = *part;
    *part = *s->context;
    part->input = own.input;
    part->labels = own.labels;
    part->targets = own.targets;
    part->predictions = own.predictions;
    part->memory = own.memory;
}

/* A segment of forward and backward of one share, with gradients and statistics in `own`. */
static void share_train(struct shares *s, int share, int segment)
{
    struct cnn_context *c = context_of(s, share);
    const struct cnn_model *m = c->model;
    const size_t real = (size_t)m->real_size;
    char *own = s->own + (size_t)(share - s->first) * (size_t)processes(s) * s->chunk * real;
    char *own_statistics = own + s->statistics_at * real;
    if (segment == 0)
        memcpy(own_statistics, s->context->statistics, (size_t)m->statistics_stored * real);
    if (segment == 0 && s->parts)
        part_begin(s, c);
    const struct cnn_context kept = *c;
    c->grads = own;
    c->statistics = own_statistics;
    c->seed = share_seed(s->context->seed, share);
    c->together = s->taken;
    if (m->train_segment)
        m->train_segment(c, share_size(s, share), segment);
    else
        m->train_step(c, share_size(s, share));
    c->grads = kept.grads;
    c->statistics = kept.statistics;
    c->seed = kept.seed;
}

/* What all shares tell each other before a segment.  0, or -1 with a message. */
static int shares_meet(struct shares *s, int segment)
{
    const struct cnn_model *m = s->context->model;
    for (int i = 0; i < m->meetings_count; i++) {
        const size_t at = (size_t)m->meetings[i].at, bytes = (size_t)m->meetings[i].bytes;
        const int mine = s->end - s->first;
        if (m->meetings[i].segment != segment)
            continue;
        for (int k = 0; k < mine; k++)
            memcpy(s->rows + (size_t)k * bytes, (char *)s->parts[k].memory + at, bytes);
        if (s->ranks && s->ranks->gather(s->ranks, s->rows, (size_t)mine * bytes, s->all_rows))
            return -1;
        for (int k = 0; k < mine; k++)
            memcpy((char *)s->parts[k].memory + at + bytes, s->all_rows, (size_t)s->count * bytes);
    }
    return 0;
}

static int exchange_begin(struct shares *s, int share)
{
    const size_t bytes = s->chunk * (size_t)s->context->model->real_size;
    const size_t at = (size_t)(share - s->first) * (size_t)processes(s) * bytes;
    return s->ranks ? s->ranks->exchange_begin(s->ranks, s->own + at, bytes, s->got + at) : 0;
}

int rt_shares_train(struct shares *s, struct loader *l, struct share_word mine)
{
    const int segments = s->parts ? s->context->model->segments : 1;
    int status = 0;
    if (batch_begin(s, l) == 0)
        return 0;
    for (int segment = 0; segment < segments; segment++) {
        status |= shares_meet(s, segment);
        for (int share = s->first; share < s->end; share++) {
            if (segment == 0)
                mine.failed |= share_load(s, l, share, context_of(s, share)) != 0;
            if (!mine.failed && share_size(s, share) > 0)
                share_train(s, share, segment);
            if (segment < segments - 1)
                continue;
            share_tell(s, share, context_of(s, share), mine);
            status |= exchange_begin(s, share);
        }
    }
    status |= s->ranks ? s->ranks->exchange_end(s->ranks) : 0;
    status |= records_gather(s);
    l->next += status ? 0 : s->taken;
    return status ? -1 : s->taken;
}

int rt_shares_infer(struct shares *s, struct loader *l, struct tta *tta, struct share_word mine)
{
    if (batch_begin(s, l) == 0)
        return 0;
    for (int share = s->first; share < s->end; share++) {
        mine.failed |= share_load(s, l, share, s->context) != 0;
        if (!mine.failed && share_size(s, share) > 0) {
            if (tta)
                rt_tta_infer(tta, s->context, share_size(s, share));
            else
                s->context->model->infer(s->context, share_size(s, share));
        }
        share_tell(s, share, s->context, mine);
    }
    if (records_gather(s))
        return -1;
    l->next += s->taken;
    return s->taken;
}

/* ---- sums ------------------------------------------------------------------------------------ */

struct sum_work {
    const struct shares *s;
    const char *from;           /* `chunk` numbers of each share */
};

/* sums[first..end) of a chunk: of all shares in their order. */
#define SHARES_ADD(name, real)                                                                         \
    static void name(const struct sum_work *w, real *sums, size_t first, size_t end)                   \
    {                                                                                                  \
        const struct shares *s = w->s;                                                                 \
        const int each = s->count / processes(s);                                                      \
        for (int i = 0; i < s->count; i++) {                                                           \
            /* share i is number i % each of process i / each */                                       \
            const size_t piece = (size_t)(i % each) * (size_t)processes(s) + (size_t)(i / each);       \
            const real *from = (const real *)(const void *)w->from + piece * s->chunk;                 \
            const real part = (real)((double)share_size(s, i) / (double)s->taken);                     \
            if (share_size(s, i) == 0)                                                                 \
                continue;                                                                              \
            for (size_t k = first; k < end; k++) {                                                     \
                const real term = part * from[k];                                                      \
                sums[k] = i == 0 ? term : sums[k] + term;                                              \
            }                                                                                          \
        }                                                                                              \
    }

SHARES_ADD(floats_add, float)
SHARES_ADD(doubles_add, double)

/* A thread's part of the chunk that this process sums. */
static void sums_share(void *arg, struct cnn_worker *worker)
{
    enum { TURN = 1024 };
    const struct sum_work *w = arg;
    const struct shares *s = w->s;
    const int turns = (int)((s->chunk + TURN - 1) / TURN);
    const size_t real = (size_t)s->context->model->real_size;
    char *sums = s->sums + (s->ranks ? (size_t)s->ranks->number * s->chunk * real : 0);
    for (int t = cnn_first(worker, turns, 1); t < cnn_end(worker, turns, 1); t++) {
        const size_t first = (size_t)t * TURN, end = first + TURN < s->chunk ? first + TURN : s->chunk;
        if (real == sizeof(double))
            doubles_add(w, (double *)(void *)sums, first, end);
        else
            floats_add(w, (float *)(void *)sums, first, end);
    }
}

int rt_shares_sum(struct shares *s)
{
    struct cnn_context *c = s->context;
    const struct cnn_model *m = c->model;
    const size_t real = (size_t)m->real_size, bytes = s->chunk * real;
    struct sum_work work = { s, s->got };
    rt_team_run(c->team, sums_share, &work);
    if (s->ranks && s->ranks->gather(s->ranks, s->sums + (size_t)s->ranks->number * bytes, bytes, s->sums))
        return -1;
    memcpy(c->grads, s->sums, (size_t)m->params_stored * real);
    memcpy(c->statistics, s->sums + s->statistics_at * real, (size_t)m->statistics_stored * real);
    return 0;
}
