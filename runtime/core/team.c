/* team.c - threads that share the work of a step, and the meetings between its phases.
 *
 * A step is a few dozen phases of some microseconds to some milliseconds, and after each all threads wait for the last
 * one.  What they wait for is usually a neighbour that has a little more to do and arrives at once: then it is best to
 * look again and again, because a thread that sleeps takes some ten microseconds to wake.  But where the machine has
 * other work as well, the neighbour may not be running at all, and who looks on takes away the very processor that it
 * waits for.  So a thread looks on for a share of the time that it has worked since the last meeting, which is about
 * what the imbalance of a phase comes to, and then sleeps until it is woken: on a busy machine no more than that share
 * is lost, and less where looking on was in vain before.  This is why the threads are the runtime's own: how OpenMP's
 * wait cannot be chosen by a library.
 *
 * All waiting is of one kind, including that for the next piece of work.
 *
 * Before it waits a thread looks whether there is work that can wait itself (the samples of the next batch): what is
 * done then costs nothing where the others take longer than one piece, and otherwise comes out of a sum of work that
 * somebody has to do: whoever is late for that has its own neighbours take the next pieces. */
#define _GNU_SOURCE
#include "core/team.h"

#include <fenv.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#if defined __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#else
#include <time.h>
#endif
#if defined __SSE2__
#include <xmmintrin.h>
#endif

enum {
    LINE = 64,
    LOOKS = 16,                         /* between two looks at the clock */
    WATCH_LEAST = 50000,                /* nanoseconds: some times what it takes to wake a thread */
    WATCH_MOST = 2000000,
    WATCH_SHARE = 4,                    /* a quarter of the time worked */
    IN_VAIN_MOST = 4                    /* then a sixteenth of that */
};

struct member {
    alignas(LINE) struct cnn_worker worker;
    pthread_t thread;
};

struct cnn_team {
    /* the number of the next meeting; who waits for it waits for this to change */
    alignas(LINE) atomic_uint meeting;
    atomic_int asleep;
    alignas(LINE) atomic_int arrived;
    alignas(LINE) int count;
    const struct team_spare *_Atomic spare;
    pthread_mutex_t gate;
    pid_t process;
    bool closing;
    void (*work)(void *arg, struct cnn_worker *w);
    void *arg;
    struct member *members;
};

/* ---- meetings -------------------------------------------------------------------------------- */

static void pause_briefly(void)
{
#if defined __SSE2__
    _mm_pause();
#elif defined __aarch64__
    __asm__ volatile("isb");
#else
    sched_yield();
#endif
}

#if defined __linux__
/* Returns when woken, when the meeting is no longer that one, or for no reason. */
static void meeting_sleep(struct cnn_team *t, unsigned meeting)
{
    syscall(SYS_futex, &t->meeting, FUTEX_WAIT_PRIVATE, meeting, NULL, NULL, 0);
}

static void meeting_wake(struct cnn_team *t)
{
    syscall(SYS_futex, &t->meeting, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#else
static void meeting_sleep(struct cnn_team *t, unsigned meeting)
{
    (void)t;
    (void)meeting;
    nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
}

static void meeting_wake(struct cnn_team *t)
{
    (void)t;
}
#endif

static bool meeting_is_over(struct cnn_team *t, unsigned meeting)
{
    return atomic_load_explicit(&t->meeting, memory_order_acquire) != meeting;
}

/* How long to look on: less after each time that this was in vain, more again after each that was not.  In vain it is
 * where processors are busy with other work, and again and again so. */
static uint64_t watch_length(const struct cnn_worker *w, uint64_t worked)
{
    uint64_t watch = worked / WATCH_SHARE;
    watch = watch < WATCH_LEAST ? WATCH_LEAST : watch > WATCH_MOST ? WATCH_MOST : watch;
    return watch >> w->in_vain;
}

/* Does what can be done meanwhile.  Returns whether that was anything. */
static bool spare_do(struct cnn_worker *w, unsigned meeting)
{
    const struct team_spare *spare = atomic_load_explicit(&w->team->spare, memory_order_acquire);
    bool any = false;
    while (spare && !meeting_is_over(w->team, meeting) && spare->one(spare->arg, w->number))
        any = true;
    return any;
}

/* Whether the meeting came to its end meanwhile. */
static bool meeting_watch(struct cnn_worker *w, unsigned meeting)
{
    uint64_t now, until = 0;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (meeting_is_over(w->team, meeting))
                return true;
            pause_briefly();
        }
        if (spare_do(w, meeting))
            until = 0;
        now = cnn_clock();
        if (!until)
            until = now + watch_length(w, now - w->since);
    } while (now < until);
    return false;
}

static void meeting_wait(struct cnn_worker *w, unsigned meeting)
{
    struct cnn_team *t = w->team;
    if (meeting_watch(w, meeting)) {
        w->in_vain -= w->in_vain > 0;
        return;
    }
    w->in_vain += w->in_vain < IN_VAIN_MOST;
    /* who ends the meeting looks for sleepers after that, and who sleeps counts as one before it looks once more */
    atomic_fetch_add(&t->asleep, 1);
    while (!meeting_is_over(t, meeting))
        meeting_sleep(t, meeting);
    atomic_fetch_sub(&t->asleep, 1);
}

void cnn_meet(struct cnn_worker *w)
{
    struct cnn_team *t = w->team;
    if (w->count == 1)
        return;
    unsigned meeting = atomic_load_explicit(&t->meeting, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) == w->count - 1) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store(&t->meeting, meeting + 1);
        if (atomic_load(&t->asleep) > 0)
            meeting_wake(t);
    } else {
        meeting_wait(w, meeting);
    }
    w->since = cnn_clock();
}

/* ---- the team -------------------------------------------------------------------------------- */

static void member_work(struct member *m)
{
    struct cnn_team *t = m->worker.team;
    for (;;) {
        cnn_meet(&m->worker);
        if (t->closing)
            return;
        uint64_t begun = m->worker.since;
        t->work(t->arg, &m->worker);
        cnn_meet(&m->worker);
        /* the next piece of work is worth a share of this whole one */
        m->worker.since = begun;
    }
}

/* Numbers are read and written as in the C locale, as by the thread that asked for the work. */
static void *member_main(void *arg)
{
    struct member *m = arg;
    struct cnn_team *t = m->worker.team;
    locale_t own = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    pthread_mutex_lock(&t->gate);
    pthread_mutex_unlock(&t->gate);
    m->worker.count = t->count;
    if (own)
        uselocale(own);
    fesetenv(FE_DFL_ENV);
    cnn_float_begin();
    member_work(m);
    if (own) {
        uselocale(LC_GLOBAL_LOCALE);
        freelocale(own);
    }
    return NULL;
}

/* Signals are the program's affair: they are not delivered to these threads.  None begins to wait before all know how
 * many could be started. */
static void members_start(struct cnn_team *t, int count)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_lock(&t->gate);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    t->count = 1;
    while (t->count < count
           && pthread_create(&t->members[t->count].thread, NULL, member_main, &t->members[t->count]) == 0)
        t->count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->members[0].worker.count = t->count;
    pthread_mutex_unlock(&t->gate);
}

struct cnn_team *rt_team_open(int count)
{
    struct cnn_team *t = aligned_alloc(LINE, sizeof *t);
    struct member *members = aligned_alloc(LINE, (size_t)count * sizeof *members);
    if (!t || !members) {
        free(t);
        free(members);
        return NULL;
    }
    *t = (struct cnn_team){ .gate = PTHREAD_MUTEX_INITIALIZER, .process = getpid(), .members = members };
    for (int i = 0; i < count; i++)
        members[i] = (struct member){ .worker = { .number = i, .team = t, .since = cnn_clock() } };
    members_start(t, count);
    return t;
}

/* A child of fork() has none of the threads. */
static bool team_is_here(const struct cnn_team *t)
{
    return t->count == 1 || t->process == getpid();
}

void rt_team_close(struct cnn_team *t)
{
    if (!t)
        return;
    if (team_is_here(t)) {
        t->closing = true;
        cnn_meet(&t->members[0].worker);
        for (int i = 1; i < t->count; i++)
            pthread_join(t->members[i].thread, NULL);
    }
    free(t->members);
    free(t);
}

int rt_team_count(const struct cnn_team *t)
{
    return t->count;
}

void rt_team_run(struct cnn_team *t, void (*work)(void *arg, struct cnn_worker *w), void *arg)
{
    uint64_t before = cnn_float_begin();
    if (t && team_is_here(t)) {
        struct cnn_worker *own = &t->members[0].worker;
        t->work = work;
        t->arg = arg;
        cnn_meet(own);
        work(arg, own);
        cnn_meet(own);
    } else {
        work(arg, &(struct cnn_worker){ .count = 1 });
    }
    cnn_float_end(before);
}

static void nothing(void *arg, struct cnn_worker *w)
{
    (void)arg;
    (void)w;
}

void rt_team_settle(struct cnn_team *t)
{
    if (t && t->count > 1)
        rt_team_run(t, nothing, NULL);
}

void rt_team_spare(struct cnn_team *t, const struct team_spare *spare)
{
    if (atomic_load(&t->spare) == spare)
        return;
    atomic_store(&t->spare, spare);
    rt_team_settle(t);
}

/* ---- loops of things that take different times ------------------------------------------------ */

struct loop {
    void (*one)(void *arg, int64_t i);
    void *arg;
    int64_t count;
    atomic_int_least64_t next;
};

static void loop_share(void *arg, struct cnn_worker *w)
{
    enum { AT_ONCE = 8 };
    struct loop *l = arg;
    int64_t run = l->count < (int64_t)w->count * AT_ONCE * AT_ONCE ? 1 : AT_ONCE;
    for (int64_t first; (first = atomic_fetch_add(&l->next, run)) < l->count;)
        for (int64_t i = first; i < first + run && i < l->count; i++)
            l->one(l->arg, i);
}

void rt_team_each(struct cnn_team *t, int64_t count, void (*one)(void *arg, int64_t i), void *arg)
{
    struct loop l = { .one = one, .arg = arg, .count = count };
    rt_team_run(t, loop_share, &l);
}

void rt_each(int threads, int64_t count, void (*one)(void *arg, int64_t i), void *arg)
{
    struct cnn_team *t = threads > 1 && count > 1 ? rt_team_open(threads) : NULL;
    rt_team_each(t, count, one, arg);
    rt_team_close(t);
}
