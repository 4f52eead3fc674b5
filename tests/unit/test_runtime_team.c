/* test_runtime_team.c - threads that work together: every share once, meetings that keep phases apart, threads that
 * sleep and wake, a child of fork(), more threads than processors. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/team.h"

enum { THREADS_MOST = 9, THINGS = 300 };

Test(team, shares_cover_all_once_in_order)
{
    for (int count = 1; count <= THREADS_MOST; count++)
        for (int things = 0; things <= 40; things++)
            for (int turn = 1; turn <= 5; turn++) {
                int next = 0;
                for (int i = 0; i < count; i++) {
                    struct cnn_worker w = { .number = i, .count = count };
                    int first = cnn_first(&w, things, turn), end = cnn_end(&w, things, turn);
                    if (first < end) {
                        cr_assert_eq(first, next);
                        cr_assert_eq(first % turn, 0);
                        next = end;
                    }
                }
                cr_assert_eq(next, things, "%d of %d things for %d threads, %d at a time", next, things, count, turn);
            }
}

Test(team, shares_are_even)
{
    for (int count = 1; count <= THREADS_MOST; count++)
        for (int things = 0; things <= 40; things++) {
            for (int i = 0; i < count; i++) {
                struct cnn_worker w = { .number = i, .count = count };
                int size = cnn_end(&w, things, 1) - cnn_first(&w, things, 1);
                cr_assert(size == things / count || size == things / count + 1);
            }
        }
}

Test(team, runs_dealt_in_turns_cover_all_once)
{
    for (int count = 1; count <= THREADS_MOST; count++)
        for (int run = 1; run <= 4; run++) {
            int seen[THINGS] = { 0 };
            for (int i = 0; i < count; i++) {
                struct cnn_worker w = { .number = i, .count = count };
                for (int b = i * run; b < THINGS; b = cnn_next(&w, b, run)) {
                    cr_assert_eq(b / run % count, i);
                    seen[b]++;
                }
            }
            for (int b = 0; b < THINGS; b++)
                cr_assert_eq(seen[b], 1);
        }
}

Test(team, runs_become_shorter_where_they_leave_threads_uneven)
{
    for (int count = 1; count <= THREADS_MOST; count++)
        for (int run = 1; run <= 8; run++) {
            struct cnn_worker w = { .count = count };
            int even = (THINGS + count - 1) / count, own = cnn_run(&w, THINGS, run);
            cr_assert(own >= 1 && own <= run);
            int most = ((THINGS + own - 1) / own + count - 1) / count * own;
            cr_assert(own == 1 || most <= even + even / 16);
        }
    cr_assert_eq(cnn_run(&(struct cnn_worker){ .count = 2 }, 144, 4), 4);
    cr_assert_eq(cnn_run(&(struct cnn_worker){ .count = 16 }, 144, 4), 1);
}

/* Each phase reads what all threads wrote in the one before. */
struct phases {
    int rounds;
    bool slow;
    long values[THREADS_MOST];
    atomic_int wrong;
};

static void rest(long nanoseconds)
{
    nanosleep(&(struct timespec){ .tv_nsec = nanoseconds }, NULL);
}

static void phases_share(void *arg, struct cnn_worker *w)
{
    struct phases *p = arg;
    for (int round = 0; round < p->rounds; round++) {
        /* whoever is late, the others have long fallen asleep */
        if (p->slow && round % w->count == w->number)
            rest(3000000);
        p->values[w->number] = round;
        cnn_meet(w);
        for (int i = 0; i < w->count; i++)
            if (p->values[i] != round)
                p->wrong++;
        cnn_meet(w);
    }
}

Test(team, meetings_keep_phases_apart)
{
    for (int count = 1; count <= THREADS_MOST; count += 2) {
        struct cnn_team *t = rt_team_open(count);
        cr_assert_not_null(t);
        cr_assert_eq(rt_team_count(t), count);
        struct phases p = { .rounds = 500 }, slow = { .rounds = 20, .slow = true };
        rt_team_run(t, phases_share, &p);
        rt_team_run(t, phases_share, &slow);
        rt_team_close(t);
        cr_assert_eq(p.wrong + slow.wrong, 0, "with %d threads", count);
    }
}

static void mark(void *arg, int64_t i)
{
    atomic_int *seen = arg;
    seen[i]++;
}

Test(team, loops_do_each_thing_once)
{
    static const int64_t counts[] = { 0, 1, 2, 7, 63, THINGS };
    for (int threads = 1; threads <= 4; threads++)
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            atomic_int seen[THINGS] = { 0 };
            rt_each(threads, counts[k], mark, seen);
            for (int64_t i = 0; i < THINGS; i++)
                cr_assert_eq(seen[i], i < counts[k]);
        }
}

static void count_share(void *arg, struct cnn_worker *w)
{
    atomic_fetch_add((atomic_int *)arg, w->count);
    cnn_meet(w);
}

Test(team, a_child_works_alone)
{
    struct cnn_team *t = rt_team_open(3);
    atomic_int sum = 0;
    rt_team_run(t, count_share, &sum);
    cr_assert_eq(sum, 9);
    pid_t child = fork();
    if (child == 0) {
        atomic_int own = 0;
        alarm(60);
        rt_team_run(t, count_share, &own);
        rt_team_close(t);
        _exit(own == 1 ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    rt_team_run(t, count_share, &sum);
    cr_assert_eq(sum, 18);
    rt_team_close(t);
}

/* Who waits sleeps before long: while one thread rests for a second, the others use next to no processor. */
static void lazy_share(void *arg, struct cnn_worker *w)
{
    struct timespec *used = arg;
    if (w->number == 0)
        for (int i = 0; i < 10; i++)
            rest(100000000);
    cnn_meet(w);
    if (w->number)
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used[w->number]);
}

Test(team, who_waits_long_sleeps)
{
    struct timespec used[3] = { { 0 } };
    struct cnn_team *t = rt_team_open(3);
    rt_team_run(t, lazy_share, used);
    rt_team_close(t);
    for (int i = 1; i < 3; i++)
        cr_assert(used[i].tv_sec == 0 && used[i].tv_nsec < 200000000, "%ld.%09ld s of a processor",
                  (long)used[i].tv_sec, used[i].tv_nsec);
}

/* ---- spare work ------------------------------------------------------------------------------ */

struct pieces {
    atomic_int left, seen[THINGS], inside, by_others;
};

static bool piece_do(void *arg, int number)
{
    struct pieces *p = arg;
    int left = atomic_load(&p->left) > 0 ? atomic_fetch_sub(&p->left, 1) : 0;
    if (left <= 0)
        return false;
    atomic_fetch_add(&p->inside, 1);
    rest(20000);
    p->seen[left - 1]++;
    p->by_others += number > 0;
    atomic_fetch_sub(&p->inside, 1);
    return true;
}

/* One is late to every meeting: the others do what can be done meanwhile. */
static void late_share(void *arg, struct cnn_worker *w)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        if (w->number == 0)
            rest(1000000);
        cnn_meet(w);
    }
}

Test(team, who_waits_does_spare_work)
{
    for (int threads = 1; threads <= 4; threads++) {
        struct cnn_team *t = rt_team_open(threads);
        struct pieces p = { .left = THINGS };
        const struct team_spare spare = { piece_do, &p };
        rt_team_spare(t, &spare);
        rt_team_run(t, late_share, NULL);
        rt_team_spare(t, NULL);
        cr_assert_eq(p.inside, 0);
        int left = p.left > 0 ? p.left : 0;
        cr_assert(threads == 1 ? left == THINGS : left < THINGS / 2, "%d of %d are left to %d threads", left, THINGS,
                  threads);
        cr_assert(threads == 1 || p.by_others > 0);
        for (int i = 0; i < THINGS; i++)
            cr_assert_eq(p.seen[i], i >= left);
        rt_team_run(t, late_share, NULL);
        cr_assert_eq(p.left > 0 ? p.left : 0, left, "work is done that is no spare work any more");
        rt_team_close(t);
    }
}
