/* session.c - opens and closes a network: the workspace and what lies where in it. */
#define _GNU_SOURCE
#include "train/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/guest.h"
#include "core/message.h"
#include "files/notes.h"
#include "core/parallel.h"
#include "core/targets.h"
#include "core/team.h"

#ifndef CNNRT_VERSION
#define CNNRT_VERSION "0.1.0"           /* the build says better */
#endif

enum { LINE = 64 };
static const size_t huge_page = (size_t)2 << 20;

struct pages {
    char *memory;
    size_t bytes;
};

struct session {
    struct noted_context noted;         /* first: the caller's pointer to its context is the session's */
    struct pages workspace;
    struct cnn_context next;            /* the context with another batch */
    struct pages next_batch;            /* of none until it is asked for */
    struct cnn_context *contexts;       /* likewise; of shares */
    struct pages contexts_memory;
};

const char *cnn_version(void)
{
    return CNNRT_VERSION;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Elements from the first pixel of a batch to the end of its largest dimension, padding between
 * included. */
static size_t input_elements(const struct cnn_model *m)
{
    size_t n = (size_t)m->image_stride * (size_t)m->batch;
    n = max_size(n, (size_t)m->channel_stride * (size_t)m->in_channels);
    n = max_size(n, (size_t)m->row_stride * (size_t)m->in_height);
    return max_size(n, (size_t)m->column_stride * (size_t)m->in_width);
}

/* A part's bytes with its gap: the next one begins on a line of its own, and a vector read that
 * starts inside a part and ends behind it stays within the workspace. */
static size_t padded(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE + LINE;
}

struct workspace_sizes rt_workspace_sizes(const struct cnn_model *m, int threads)
{
    size_t real = (size_t)m->real_size;
    struct workspace_sizes s = {
        .input = input_elements(m) * real,
        .labels = (size_t)m->batch * sizeof(int32_t),
        .targets = rt_target_has_shares(m) ? (size_t)m->batch * (size_t)m->train.target.size * real : 0,
        .params = (size_t)m->params_stored * real,
        .grads = (size_t)m->params_stored * real,
        .statistics = (size_t)m->statistics_stored * real,
        .optimizer_state = (size_t)m->optimizer_slots * (size_t)m->params_stored * real,
        .slow_statistics = m->slow_statistics ? (size_t)m->statistics_stored * real : 0,
        .update_memory = (size_t)m->update_bytes,
        .penalties = (size_t)m->penalties * sizeof(double),
        .predictions = (size_t)m->batch * (size_t)m->outputs * real,
        .memory = (size_t)m->memory_bytes,
        .scratch = (size_t)threads * (size_t)m->scratch_bytes_per_thread,
    };
    s.total = padded(s.input) + padded(s.labels) + (s.targets ? padded(s.targets) : 0) + padded(s.params)
              + padded(s.grads) + padded(s.statistics) + padded(s.optimizer_state)
              + padded(s.slow_statistics) + padded(s.update_memory)
              + (s.penalties ? padded(s.penalties) : 0) + padded(s.predictions)
              + padded(s.memory) + padded(s.scratch);
    s.next_batch = threads > 1 ? padded(s.input) + padded(s.labels) + (s.targets ? padded(s.targets) : 0) : 0;
    return s;
}

/* Gives away the next `bytes` of the workspace. */
static void *carve(char **at, size_t bytes)
{
    void *part = *at;
    *at += padded(bytes);
    return part;
}

/* Zeroed memory, on huge pages where it is large enough to gain from them.  It comes from the system
 * as zeros and is first touched by whoever uses it. */
static int pages_allocate(struct pages *p, size_t bytes)
{
    bool huge = bytes >= huge_page;
    /* to begin on a huge page: what is cut off at either end goes back */
    size_t whole = huge ? (bytes + huge_page - 1) / huge_page * huge_page : bytes;
    size_t asked = huge ? whole + huge_page : whole;
    char *memory = mmap(NULL, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -1;
    if (huge) {
        size_t before = (huge_page - (uintptr_t)memory % huge_page) % huge_page;
        if (before)
            munmap(memory, before);
        memory += before;
        if (huge_page > before)
            munmap(memory + whole, huge_page - before);
#if defined MADV_HUGEPAGE
        /* advice: without it all works, a little slower */
        madvise(memory, whole, MADV_HUGEPAGE);
#endif
    }
    *p = (struct pages){ memory, whole };
    return 0;
}

static void batch_carve(struct cnn_context *c, const struct workspace_sizes *sizes, char **at)
{
    c->input = carve(at, sizes->input);
    c->labels = carve(at, sizes->labels);
    c->targets = sizes->targets ? carve(at, sizes->targets) : NULL;
}

struct cnn_context *rt_next_batch(struct cnn_context *c)
{
    struct session *s = (struct session *)c;
    const struct workspace_sizes sizes = rt_workspace_sizes(c->model, 2);
    if (!s->next_batch.memory) {
        if (pages_allocate(&s->next_batch, sizes.next_batch)) {
            rt_error("the next batch needs %.1f MiB of memory, which cannot be had",
                     (double)sizes.next_batch / 1048576.0);
            return NULL;
        }
        char *at = s->next_batch.memory;
        s->next = *c;
        batch_carve(&s->next, &sizes, &at);
    }
    return &s->next;
}

struct cnn_context *rt_contexts_open(struct cnn_context *c, int count)
{
    struct session *s = (struct session *)c;
    const struct workspace_sizes sizes = rt_workspace_sizes(c->model, 1);
    const size_t each = padded(sizes.input) + padded(sizes.labels) + (sizes.targets ? padded(sizes.targets) : 0)
                        + padded(sizes.predictions) + padded(sizes.memory);
    s->contexts = calloc((size_t)count, sizeof *s->contexts);
    if (!s->contexts || pages_allocate(&s->contexts_memory, (size_t)count * each)) {
        rt_error("%d shares of a batch need %.1f MiB of memory, which cannot be had", count,
                 (double)count * (double)each / 1048576.0);
        return NULL;
    }
    char *at = s->contexts_memory.memory;
    for (int i = 0; i < count; i++) {
        s->contexts[i] = *c;
        batch_carve(&s->contexts[i], &sizes, &at);
        s->contexts[i].predictions = carve(&at, sizes.predictions);
        s->contexts[i].memory = carve(&at, sizes.memory);
    }
    return s->contexts;
}

void rt_batch_exchange(struct cnn_context *c, struct cnn_context *next)
{
    const struct cnn_context kept = *c;
    c->input = next->input;
    c->labels = next->labels;
    c->targets = next->targets;
    next->input = kept.input;
    next->labels = kept.labels;
    next->targets = kept.targets;
}

/* With fewer threads than asked for where the system has no more: the results are the same. */
static int team_start(struct cnn_context *c)
{
    c->team = rt_team_open(c->threads);
    if (!c->team) {
        rt_error("no memory for %d threads", c->threads);
        return -1;
    }
    if (rt_team_count(c->team) < c->threads)
        rt_note("only %d of %d threads can be had", rt_team_count(c->team), c->threads);
    c->threads = rt_team_count(c->team);
    return 0;
}

static struct cnn_context *session_open(const struct cnn_model *model, int threads, uint64_t seed)
{
    if (model->abi != CNNRT_ABI) {
        rt_error("the network was compiled for version %u of the runtime's interface, the library "
                 "has version %d",
                 (unsigned)model->abi, CNNRT_ABI);
        return NULL;
    }
    threads = rt_threads_choose(threads, model);
    struct workspace_sizes sizes = rt_workspace_sizes(model, threads);
    struct session *s = calloc(1, sizeof *s);
    if (!s || pages_allocate(&s->workspace, sizes.total)) {
        rt_error("the network '%s' needs %.1f MiB of memory, which cannot be had", model->name,
                 (double)sizes.total / 1048576.0);
        free(s);
        return NULL;
    }
    char *at = s->workspace.memory;
    struct cnn_context *c = &s->noted.context;
    batch_carve(c, &sizes, &at);
    c->params = carve(&at, sizes.params);
    c->grads = carve(&at, sizes.grads);
    c->statistics = carve(&at, sizes.statistics);
    c->optimizer_state = carve(&at, sizes.optimizer_state);
    c->slow_statistics = carve(&at, sizes.slow_statistics);
    c->update_memory = carve(&at, sizes.update_memory);
    c->penalties = sizes.penalties ? carve(&at, sizes.penalties) : NULL;
    c->predictions = carve(&at, sizes.predictions);
    c->memory = carve(&at, sizes.memory);
    c->scratch = carve(&at, sizes.scratch);
    c->seed = seed;
    c->threads = threads;
    c->model = model;
    if (team_start(c) || rt_blas_reserve(model, c->threads)) {
        cnn_close(c);
        return NULL;
    }
    if (rt_params_init(c, seed)) {
        cnn_close(c);
        return NULL;
    }
    return c;
}

struct cnn_context *cnn_open(const struct cnn_model *model, int threads, uint64_t seed)
{
    struct guest guest;
    rt_guest_enter(&guest);
    struct cnn_context *c = session_open(model, threads, seed);
    rt_guest_leave(&guest);
    return c;
}

void cnn_close(struct cnn_context *c)
{
    if (!c)
        return;
    struct session *s = (struct session *)c;
    rt_team_close(c->team);
    rt_notes_free(&s->noted.notes, c->model);
    if (s->next_batch.memory)
        munmap(s->next_batch.memory, s->next_batch.bytes);
    if (s->contexts_memory.memory)
        munmap(s->contexts_memory.memory, s->contexts_memory.bytes);
    free(s->contexts);
    munmap(s->workspace.memory, s->workspace.bytes);
    free(s);
}

struct step_work {
    struct cnn_context *context;
    int n;
    void (*work)(struct cnn_context *c, int n, struct cnn_worker *w);
};

static void step_share(void *arg, struct cnn_worker *w)
{
    const struct step_work *s = arg;
    s->work(s->context, s->n, w);
}

void cnn_parallel(struct cnn_context *c, int n, void (*work)(struct cnn_context *c, int n, struct cnn_worker *w))
{
    struct step_work s = { c, n, work };
    bool blas = c->model->blas_core != NULL;
    if (blas)
        rt_blas_begin();
    rt_team_run(c->team, step_share, &s);
    if (blas)
        rt_blas_end();
}

void cnn_input_set(struct cnn_context *c, int n, const void *real_chw)
{
    const struct cnn_model *m = c->model;
    size_t size = (size_t)m->real_size;
    const char *from = real_chw;
    char *image = (char *)c->input + (size_t)n * (size_t)m->image_stride * size;
    for (int ch = 0; ch < m->in_channels; ch++)
        for (int h = 0; h < m->in_height; h++) {
            char *row =
                image
                + ((size_t)ch * (size_t)m->channel_stride + (size_t)h * (size_t)m->row_stride)
                      * size;
            for (int w = 0; w < m->in_width; w++, from += size)
                memcpy(row + (size_t)w * (size_t)m->column_stride * size, from, size);
        }
}
