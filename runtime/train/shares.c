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

/* The pieces of the model, and one of statistics. */
static int pieces_open(struct shares *s)
{
    const struct cnn_model *m = s->context->model;
    const size_t n = (size_t)processes(s), mine = (size_t)(s->end - s->first);
    size_t got = 0;
    s->pieces_count = m->pieces_count + (m->statistics_stored > 0);
    s->pieces = calloc((size_t)s->pieces_count + 1, sizeof *s->pieces);
    s->sent = calloc(mine, sizeof *s->sent);
    s->under_way = calloc(mine * (size_t)s->pieces_count + 1, sizeof *s->under_way);
    if (!s->pieces || !s->sent || !s->under_way)
        return -1;
    for (int i = 0; i < s->pieces_count; i++) {
        struct share_piece *piece = &s->pieces[i];
        const bool last = i == m->pieces_count;
        piece->begin = last ? s->statistics_at : (size_t)m->pieces[i].begin;
        piece->end = last ? piece->begin + (size_t)m->statistics_stored : (size_t)m->pieces[i].end;
        piece->each = rounded((piece->end - piece->begin + n - 1) / n);
        piece->got = got;
        got += mine * n * piece->each;
    }
    s->got = s->ranks && !s->fast ? lines_allocate(got * (size_t)m->real_size) : NULL;
    return s->got || !s->ranks || s->fast ? 0 : -1;
}

static int sums_open(struct shares *s)
{
    const struct cnn_model *m = s->context->model;
    const size_t real = (size_t)m->real_size, mine = (size_t)(s->end - s->first);
    s->statistics_at = rounded((size_t)m->params_stored);
    s->all = s->statistics_at + rounded((size_t)m->statistics_stored);
    s->grads = s->context->grads;
    s->own = lines_allocate(mine * s->all * real);
    s->sums = lines_allocate((size_t)m->statistics_stored * real);
    return s->own && s->sums && pieces_open(s) == 0 ? 0 : -1;
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
        rt_error("%s takes a batch of %d whole: for %d processes compile with --batch-per-rank=%d", m->name, m->batch,
                 ranks, (rt_whole_batch(m) + ranks - 1) / ranks);
    else
        rt_error("a batch of %d in %d shares of %d cannot be shared out evenly among %d processes: take a number that "
                 "divides %d, or compile with another --batch-per-rank", rt_whole_batch(m), count, m->batch, ranks,
                     count);
    return -1;
}

int rt_shares_open(struct shares *s, struct cnn_context *c, bool trains, bool fast)
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
    s->fast = fast && s->ranks;
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
    free(s->got);
    free(s->pieces);
    free(s->sent);
    free(s->under_way);
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

/* ---- sums ------------------------------------------------------------------------------------ */

/* Gradients and statistics of a share of this process. */
static char *own_numbers(const struct shares *s, int share)
{
    return s->own + (size_t)(share - s->first) * s->all * (size_t)s->context->model->real_size;
}

/* What is summed of a piece here: numbers [from, end) of it, of shares [first, behind). */
struct sum_work {
    const struct shares *s;
    const struct share_piece *piece;
    size_t from, end;
    int first, behind;
};

/* This process' part of a piece; where no order is asked for, all of it, of its own shares. */
static struct sum_work sum_of(const struct shares *s, int number)
{
    const struct share_piece *piece = &s->pieces[number];
    const size_t size = piece->end - piece->begin, from = s->ranks && !s->fast ? (size_t)s->ranks->number * piece->each
        : 0;
    struct sum_work w = { .s = s, .piece = piece, .from = from < size ? from : size, .end = size, .behind = s->count };
    if (s->fast) {
        w.first = s->first;
        w.behind = s->end;
    } else if (s->ranks && w.end > w.from + piece->each) {
        w.end = w.from + piece->each;
    }
    return w;
}

/* Number `from` of the piece, of a share. */
static const char *numbers_of(const struct sum_work *w, int share)
{
    const struct shares *s = w->s;
    const size_t real = (size_t)s->context->model->real_size;
    if (!s->got)
        return own_numbers(s, share) + (w->piece->begin + w->from) * real;
    /* share i is number i % each of process i / each */
    const int each = s->count / processes(s);
    const size_t row = (size_t)(share % each) * (size_t)processes(s) + (size_t)(share / each);
    return s->got + (w->piece->got + row * w->piece->each) * real;
}

/* Where the sums of a piece go. */
static char *sums_of(const struct shares *s, const struct share_piece *piece)
{
    const size_t real = (size_t)s->context->model->real_size;
    return piece->begin < s->statistics_at ? (char *)s->grads + piece->begin * real
                                           : s->sums + (piece->begin - s->statistics_at) * real;
}

/* Numbers [first, end) of the work: of the shares in their order. */
#define SHARES_ADD(name, real)                                                                         \
    static void name(const struct sum_work *w, real *sums, size_t first, size_t end)                   \
    {                                                                                                  \
        const struct shares *s = w->s;                                                                 \
        bool begun = false;                                                                            \
        for (int i = w->first; i < w->behind; i++) {                                                   \
            const real *from = (const real *)(const void *)numbers_of(w, i);                           \
            const real part = (real)((double)share_size(s, i) / (double)s->taken);                     \
            if (share_size(s, i) == 0)                                                                 \
                continue;                                                                              \
            for (size_t k = first; k < end; k++) {                                                     \
                const real term = part * from[k];                                                      \
                sums[k] = begun ? sums[k] + term : term;                                               \
            }                                                                                          \
            begun = true;                                                                              \
        }                                                                                              \
        if (!begun)             /* the others have all samples */                                      \
            memset(sums + first, 0, (end - first) * sizeof *sums);                                     \
    }

SHARES_ADD(floats_add, float)
SHARES_ADD(doubles_add, double)

/* A thread's part of the work. */
static void sums_share(void *arg, struct cnn_worker *worker)
{
    enum { TURN = 1024 };
    const struct sum_work *w = arg;
    const size_t real = (size_t)w->s->context->model->real_size, count = w->end - w->from;
    const int turns = (int)((count + TURN - 1) / TURN);
    char *sums = sums_of(w->s, w->piece) + w->from * real;
    for (int t = cnn_first(worker, turns, 1); t < cnn_end(worker, turns, 1); t++) {
        const size_t first = (size_t)t * TURN, end = first + TURN < count ? first + TURN : count;
        if (real == sizeof(double))
            doubles_add(w, (double *)(void *)sums, first, end);
        else
            floats_add(w, (float *)(void *)sums, first, end);
    }
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void sums_begin(struct shares *s)
{
    memset(s->sent, 0, (size_t)(s->end - s->first) * sizeof *s->sent);
    s->summed = 0;
    s->last = -1;
    s->broken = false;
}

/* Of a share, up to a number of pieces: to those who sum them. */
static void pieces_send(struct shares *s, int share, int count)
{
    const size_t real = (size_t)s->context->model->real_size;
    const int mine = share - s->first;
    for (int i = s->sent[mine]; i < count; i++) {
        const struct share_piece *piece = &s->pieces[i];
        if (s->got && !s->broken) {
            const int number = mine * s->pieces_count + i;
            s->under_way[number] = s->ranks->exchange_begin(s->ranks, own_numbers(s, share) + piece->begin * real,
                                                            piece->each * real, (piece->end - piece->begin) * real,
                                                                number,
                                                            s->got + (piece->got + (size_t)mine * (size_t)processes(s)
                                                                      * piece->each) * real);
            s->broken |= s->under_way[number] < 0;
        }
        s->sent[mine]++;
        s->all_sent++;
    }
}

/* Whether all shares of this process have sent a piece, and all others theirs to it. */
static bool piece_is_there(struct shares *s, int number, bool wait)
{
    for (int k = 0; k < s->end - s->first; k++) {
        if (s->sent[k] <= number)
            return false;
        const int found = !s->got || s->broken ? 1 : s->ranks->finished(s->ranks,
                                                                        s->under_way[k * s->pieces_count + number],
                                                                        wait);
        s->broken |= found < 0;
        if (found == 0)
            return false;
    }
    return true;
}

/* Sums what has come, and gives the sums to all.  finish: waits for all of it, and all threads sum. */
static void sums_advance(struct shares *s, bool finish)
{
    const size_t real = (size_t)s->context->model->real_size;
    const uint64_t before = cnn_float_begin();
    for (; s->summed < s->pieces_count && piece_is_there(s, s->summed, finish); s->summed++) {
        const struct share_piece *piece = &s->pieces[s->summed];
        const size_t size = piece->end - piece->begin;
        struct sum_work work = sum_of(s, s->summed);
        if (finish)
            rt_team_run(s->context->team, sums_share, &work);
        else
            sums_share(&work, &(struct cnn_worker){ .count = 1 });
        if (!s->ranks || s->broken)
            continue;
        s->last = s->fast ? s->ranks->sum_begin(s->ranks, sums_of(s, piece), size, (int)real)
                          : s->ranks->spread_begin(s->ranks, sums_of(s, piece), piece->each * real, size * real);
        s->broken |= s->last < 0;
    }
    if (!finish && s->last >= 0 && !s->broken)          /* so that it moves on */
        s->broken |= s->ranks->finished(s->ranks, s->last, false) < 0;
    cnn_float_end(before);
}

/* Between two phases of a share's step: so many of its pieces are there. */
static void gradients_ready(void *arg, int pieces)
{
    struct shares *s = arg;
    const int before = s->sent[s->at - s->first];
    pieces_send(s, s->at, pieces);
    if (pieces < s->context->model->pieces_count)
        s->early += s->sent[s->at - s->first] - before;
    sums_advance(s, false);
}

/* All sums are there.  0, or -1 with a message. */
static int sums_finish(struct shares *s)
{
    sums_advance(s, true);
    return (s->ranks && s->ranks->settle(s->ranks)) || s->broken ? -1 : 0;
}

void rt_shares_sum(struct shares *s)
{
    const struct cnn_model *m = s->context->model;
    memcpy(s->context->statistics, s->sums, (size_t)m->statistics_stored * (size_t)m->real_size);
}

/* ---- a step ----------------------------------------------------------------------------------- */

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
    char *own = own_numbers(s, share);
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
    c->ready = s->ranks ? gradients_ready : NULL;
    c->ready_arg = s;
    s->at = share;
    if (m->train_segment)
        m->train_segment(c, share_size(s, share), segment);
    else
        m->train_step(c, share_size(s, share));
    c->grads = kept.grads;
    c->statistics = kept.statistics;
    c->seed = kept.seed;
    c->ready = NULL;
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

int rt_shares_train(struct shares *s, struct loader *l, struct share_word mine)
{
    const int segments = s->parts ? s->context->model->segments : 1;
    int status = 0;
    if (batch_begin(s, l) == 0)
        return 0;
    sums_begin(s);
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
            pieces_send(s, share, s->pieces_count);
            sums_advance(s, false);
        }
    }
    status |= sums_finish(s);
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
