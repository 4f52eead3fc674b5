/* tune.c - see tune.h.
 *
 * Every layer has its candidates in order of their estimates.  Program 0 is the network with the first of each, program
 * 1 that with the second of each, and so on: a few whole trainers instead of many small ones, so that a kernel is timed
 * with the memory, the threads and the neighbours that it has in earnest.  They are built as users' are, by cnnc.mk,
 * and run in turns; a kernel's time is the best that any of its runs had, and noise what the second best was above it.
 * The times of each round are noted when it is over, so that a tuning that was broken off can go on.
 *
 * Each run begins with the peak of the machine; those that had much less of it than others are made again.  At the end
 * the program that the times lead to runs in turns with program 0, the one that the estimates lead to, and has to be
 * faster each time: else the times are noted with so much noise that the estimates stand. */
#define _GNU_SOURCE
#include "tune_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "steps/kernel.h"
#include "options.h"
#include "common/printable.h"
#include "plan/wisdom.h"

enum {
    ROUNDS = 4,
    ROUNDS_LEAST = 2,           /* where a round takes long */
    STEPS_MOST = 40,
    STEPS_LEAST = 2,
    PAIRS = 3                   /* of runs by the estimates and by the times */
};

static const double run_seconds = 1.0;          /* that the steps of one run may take, training and use each */
static const double rounds_seconds = 60;        /* after which no further round begins */
static const double busy_spread = 1.3;          /* between runs of one program, from which on the machine was busy */
static const double peak_least = 0.85;          /* of the highest: a run that begins with less is made again */
/* A time is not believed below what so many estimated cycles in a nanosecond and thread would take: four times as many
 * as the fastest processors have.  On a busy machine the thread that reads the clock may come late to a stretch that
 * the others have computed meanwhile. */
static const double cycles_most = 24;

/* What is known of a kernel for a task. */
struct kernel_times {
    const char *name;           /* of its entry */
    int64_t rounds[ROUNDS];     /* nanoseconds; 0: not known */
};

/* ---- plans ------------------------------------------------------------------------------------------------------- */

static bool plan_program(struct tuning *t, int k, const struct plan_options *options, struct diag *d)
{
    struct timed_program *program = &t->programs[k];
    program->plan = plan_model(t->arena, t->train, t->use, options, d);
    for (int i = 0; i < 2 && program->plan; i++)
        program->nanoseconds[i] = arena_array(t->arena, (size_t)program->plan->stretches_count,
                                              sizeof *program->nanoseconds[i]);
    return program->plan != NULL;
}

static bool plan_programs(struct tuning *t, struct diag *d)
{
    t->programs = arena_array(t->arena, (size_t)t->programs_count + 1, sizeof *t->programs);
    for (int k = 0; k < t->programs_count; k++) {
        struct plan_options options = *t->options;
        options.rank = k;
        if (!plan_program(t, k, &options, d))
            return false;
    }
    return true;
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

/* Other work on the machine shows in runs of the same program that differ. */
static void warn_if_busy(const struct tuning *t)
{
    double spread = 0;
    for (int k = 0; k < t->programs_count; k++)
        if (t->programs[k].slowest > spread * t->programs[k].fastest)
            spread = t->programs[k].slowest / t->programs[k].fastest;
    if (spread > busy_spread)
        rt_print_line(stderr,
                 "cnnc: warning: the machine had other work: a program took %.2g times as long in one run as in "
                        "another. Tune again when it is idle, without these lines of %s", spread, t->how->path);
}

/* The group's stretches; 0 when others have a part in one of them. */
static double steps_time(const struct timed_program *program, const struct program *q, const struct group *g)
{
    const double *times = program->nanoseconds[q->training ? 0 : 1];
    double sum = 0;
    for (int i = 0; i < q->steps_count; i++) {
        const struct step *s = q->steps[i];
        bool counted = s->group != g;
        for (int k = 0; k < i && !counted; k++)
            counted = q->steps[k]->group == g && q->steps[k]->stretch == s->stretch;
        if (!counted)
            sum += times[s->stretch];
        for (int k = 0; k < q->steps_count && s->group == g; k++)
            if (q->steps[k]->stretch == s->stretch && q->steps[k]->group != g)
                return 0;
    }
    return sum;
}

/* The group with what it left to others: the elementwise operations that another kernel would have applied. */
static double group_time(const struct timed_program *program, const struct program *q, const struct group *g)
{
    double sum = steps_time(program, q, g);
    if (g->chain_count == g->followers_count || sum == 0)
        return sum;
    for (int i = 0; i < q->groups_count; i++) {
        const struct group *other = q->groups[i];
        bool follows = false;
        for (int k = 0; k < g->followers_count; k++)
            follows = follows || other->main == g->chain[k];
        double time = follows ? steps_time(program, q, other) : 0;
        if (follows && time == 0)
            return 0;
        sum += time;
    }
    return sum;
}

/* What is known of a kernel, also from a tuning that was broken off. */
static struct kernel_times *times_of(struct tuning *t, const struct plan *p, const struct group *g)
{
    const char *name = wisdom_entry_name(t->arena, p, t->threads, g->key, g->kernel->name);
    for (int i = 0; i < t->kernels_count; i++)
        if (!strcmp(t->kernels[i].name, name))
            return &t->kernels[i];
    struct kernel_times times = { .name = name };
    for (int i = 0; i < ROUNDS; i++) {
        double known = wisdom_time(t->known, arena_printf(t->arena, "%s@%d", name, i));
        times.rounds[i] = known > 0 ? (int64_t)known : 0;
    }
    LIST_ADD(t->arena, t->kernels, t->kernels_count, t->kernels_capacity, times);
    return &t->kernels[t->kernels_count - 1];
}

static bool believable(const struct tuning *t, const struct plan *p, const struct group *g, double nanoseconds)
{
    return nanoseconds >= g->kernel->cost(p, g) / (cycles_most * t->threads);
}

/* The times of a program's run; of a kernel that several runs or layers have, the best of the round. */
static void collect(struct tuning *t, int round, int k)
{
    const struct plan *p = t->programs[k].plan;
    const struct program *programs[] = { &p->train, &p->use };
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < programs[i]->groups_count; j++) {
            const struct group *g = programs[i]->groups[j];
            double time = g->untimed ? group_time(&t->programs[k], programs[i], g) : 0;
            if (time < 1)
                continue;
            struct kernel_times *times = times_of(t, p, g);
            if (believable(t, p, g, time) && (!times->rounds[round] || (int64_t)time < times->rounds[round]))
                times->rounds[round] = (int64_t)time;
        }
}

/* For the next --tune, should this one be broken off. */
static bool note_round(struct tuning *t, int round)
{
    struct wisdom_entry *entries = arena_array(t->arena, (size_t)t->kernels_count + 1, sizeof *entries);
    int count = 0;
    for (int i = 0; i < t->kernels_count; i++)
        if (t->kernels[i].rounds[round])
            entries[count++] = (struct wisdom_entry){ .name = arena_printf(t->arena, "%s@%d", t->kernels[i].name,
                                                                           round),
                                                      .nanoseconds = t->kernels[i].rounds[round] };
    t->rounds_noted = round + 1;
    return wisdom_add(t->arena, t->how->path, entries, count);
}

/* Rounds that a tuning which was broken off has noted for all kernels of all programs. */
static int rounds_before(struct tuning *t)
{
    int rounds = ROUNDS;
    for (int k = 0; k < t->programs_count; k++) {
        const struct plan *p = t->programs[k].plan;
        const struct program *programs[] = { &p->train, &p->use };
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < programs[i]->groups_count; j++) {
                const struct kernel_times *times = programs[i]->groups[j]->untimed ? times_of(t, p,
                        programs[i]->groups[j])
                                                                                   : NULL;
                while (times && rounds > 0 && !times->rounds[rounds - 1])
                    rounds--;
            }
    }
    return rounds;
}

/* One run of a program; how many steps of it take about as long as they may, the first one tells. */
static bool run_program(struct tuning *t, const struct signals *s, int k)
{
    struct timed_program *program = &t->programs[k];
    bool first = !program->steps;
    if (!tune_run(t, s, k, first ? STEPS_LEAST : program->steps))
        return false;
    if (!first && (!program->fastest || program->seconds < program->fastest))
        program->fastest = program->seconds;
    if (!first && program->seconds > program->slowest)
        program->slowest = program->seconds;
    double wanted = program->seconds > 0 ? 2 * run_seconds / program->seconds : STEPS_MOST;
    if (first)
        program->steps = wanted > STEPS_MOST ? STEPS_MOST : wanted < STEPS_LEAST ? STEPS_LEAST : (int)wanted;
    return true;
}

/* One run of each program; another one of those that had a slower machine than others. */
static bool run_round(struct tuning *t, const struct signals *s, int round, double end)
{
    for (int i = 0; i < t->kernels_count; i++)
        t->kernels[i].rounds[round] = 0;
    for (int k = 0; k < t->programs_count; k++) {
        if (!run_program(t, s, k))
            return false;
        collect(t, round, k);
        if (isatty(2))
            tune_progress(t, "timed", round * t->programs_count + k + 1, ROUNDS * t->programs_count);
    }
    for (int k = 0; k < t->programs_count && tune_now() < end; k++) {
        if (t->programs[k].peak >= peak_least * t->peak)
            continue;
        if (!run_program(t, s, k))
            return false;
        collect(t, round, k);
        t->runs_again++;
    }
    return true;
}

static bool run_programs(struct tuning *t, const struct signals *s)
{
    double end = tune_now() + rounds_seconds;

    for (int round = t->rounds_noted; round < ROUNDS; round++) {
        if (round >= ROUNDS_LEAST && tune_now() > end)
            break;
        if (!run_round(t, s, round, end) || !note_round(t, round))
            return false;
        if (!isatty(2))
            tune_progress(t, "timed", (round + 1) * t->programs_count, ROUNDS * t->programs_count);
    }
    return true;
}

/* ---- what follows from them -------------------------------------------------------------------------------------- */

/* The best times and their noise, in the places of those of rounds. */
struct conclusion {
    struct wisdom_entry *entries;
    int count, kernels;         /* kernels that have a time */
    size_t capacity;
};

static void add(struct tuning *t, struct conclusion *c, const char *name, int64_t nanoseconds)
{
    struct wisdom_entry entry = { .name = name, .nanoseconds = nanoseconds };
    LIST_ADD(t->arena, c->entries, c->count, c->capacity, entry);
}

static struct conclusion conclude(struct tuning *t)
{
    struct conclusion c = { 0 };
    for (int i = 0; i < t->kernels_count; i++) {
        const struct kernel_times *times = &t->kernels[i];
        int64_t best = 0, second = 0;
        for (int k = 0; k < ROUNDS; k++) {
            int64_t time = times->rounds[k];
            add(t, &c, arena_printf(t->arena, "%s@%d", times->name, k), 0);
            if (time && (!best || time < best)) {
                second = best;
                best = time;
            } else if (time && (!second || time < second)) {
                second = time;
            }
        }
        c.kernels += best > 0;
        if (best)
            add(t, &c, times->name, best);
        if (second)
            add(t, &c, arena_printf(t->arena, "%s@second", times->name), second);
    }
    return c;
}

/* The group with the same task that another plan computes otherwise. */
static const struct group *otherwise(const struct program *q, const struct group *g)
{
    for (int i = 0; i < q->groups_count; i++)
        if (q->groups[i]->key && !strcmp(q->groups[i]->key, g->key) && q->groups[i]->kernel != g->kernel)
            return q->groups[i];
    return NULL;
}

/* The times are noted as no better than those of program 0's kernels: these have noise as large as what lies between
 * them. */
static void doubt(struct tuning *t, struct conclusion *c, const struct wisdom *w)
{
    const struct plan *estimated = t->programs[0].plan, *timed = t->programs[t->programs_count].plan;
    const struct program *programs[][2] = { { &estimated->train, &timed->train }, { &estimated->use, &timed->use } };
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < programs[i][0]->groups_count; j++) {
            const struct group *g = programs[i][0]->groups[j], *other = g->key ? otherwise(programs[i][1], g) : NULL;
            if (!other)
                continue;
            const char *name = wisdom_entry_name(t->arena, estimated, t->threads, g->key, g->kernel->name);
            double time = wisdom_time(w, name), faster = wisdom_find(w, timed, other->key, other->kernel->name);
            if (faster > 0 && time > faster)
                add(t, c, arena_printf(t->arena, "%s@second", name), (int64_t)(2 * time - faster) + 1);
        }
}

/* The program that the times lead to beside that of the estimates, in turns.  *faster: each time. */
static bool run_pairs(struct tuning *t, const struct signals *s, bool *faster)
{
    int timed = t->programs_count;
    const char *list = "";
    *faster = true;
    t->programs[0].wanted = t->programs[timed].wanted = true;
    if (!tune_build(t, s) || (!t->programs[0].steps && !run_program(t, s, 0)))
        return false;
    t->programs[timed].steps = t->programs[0].steps;
    for (int i = 0; i < PAIRS; i++) {
        int first = i % 2 ? timed : 0;
        if (!run_program(t, s, first) || !run_program(t, s, timed - first))
            return false;
        double ratio = t->programs[timed].seconds / t->programs[0].seconds;
        list = arena_printf(t->arena, "%s%s%.3f", list, i ? ", " : "", ratio);
        *faster = *faster && ratio < 1;
        tune_progress(t, "compared", i + 1, PAIRS);
    }
    tune_progress_end();
    rt_print_line(stderr, "%4.0f s  the kernels that the times choose take %s of those of the estimates%s",
                  tune_now() - t->began, list, *faster ? "" : ": the estimates stand");
    return true;
}

/* Notes what was measured, once it is known whether it is of use. */
static bool settle(struct tuning *t, const struct signals *s, struct diag *d, int *known)
{
    struct conclusion c = conclude(t);
    struct plan_options options = *t->options;
    struct wisdom *w = wisdom_with(t->arena, t->known, c.entries, c.count);
    bool faster = true;

    *known = c.kernels;
    options.wisdom = w;
    if (!plan_program(t, t->programs_count, &options, d))
        return false;
    if (t->programs[t->programs_count].plan->hash != t->programs[0].plan->hash && !run_pairs(t, s, &faster))
        return false;
    if (!faster)
        doubt(t, &c, w);
    return wisdom_add(t->arena, t->how->path, c.entries, c.count);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static bool measure(struct tuning *t, struct diag *d)
{
    struct signals signals;
    int known = 0;
    if (!plan_programs(t, d))
        return false;
    t->rounds_noted = rounds_before(t);
    if (t->rounds_noted && t->rounds_noted < ROUNDS)
        rt_print_line(stderr, "%d of %d rounds are noted in %s already", t->rounds_noted, ROUNDS, t->how->path);
    tune_signals_take(&signals);
    for (int k = 0; k < t->programs_count; k++)
        t->programs[k].wanted = t->rounds_noted < ROUNDS;
    bool fine = (t->rounds_noted == ROUNDS || (tune_build(t, &signals) && run_programs(t, &signals)))
                && settle(t, &signals, d, &known);
    tune_progress_end();
    int left_out = t->kernels_count - known;
    tune_clean(t);
    if (tune_broken_off() && t->rounds_noted && !fine)
        rt_print_line(stderr, "cnnc: --tune: broken off; %d of %d rounds are noted in %s, from where --tune goes on",
                      t->rounds_noted, ROUNDS, t->how->path);
    else if (tune_broken_off() && !fine)
        fputs("cnnc: --tune: broken off; the wisdom is as it was\n", stderr);
    tune_signals_give_back(&signals);
    if (fine)
        warn_if_busy(t);
    if (fine && left_out)
        rt_print_line(stderr,
                 "cnnc: warning: %d kernels took less time than any processor could, and are left out: threads "
                        "that had to wait for the processor. Tune again when the machine is idle", left_out);
    if (fine && t->runs_again)
        rt_print_line(stderr,
                      "%4.0f s  %d runs were made again: the machine's peak had been below %.2g of %.3g GFLOP/s",
                      tune_now() - t->began, t->runs_again, peak_least, t->peak);
    if (fine)
        rt_print_line(stderr, "%4.0f s  %d times noted in %s", tune_now() - t->began, known, t->how->path);
    else if (t->new_file)
        wisdom_forget_empty(t->how->path);
    return fine;
}

static bool runs_here(const struct target *target)
{
    if (target_runs_here(target))
        return true;
    rt_print_line(stderr, "cnnc: --tune: programs for %s do not run on this machine (%s): tune on one where they do",
            target->name, target_find("native")->name);
    return false;
}

static bool find_makefile(struct tuning *t)
{
    char *path = realpath(t->how->makefile, NULL);
    if (!options_makefile_fits(t->how->makefile)) {
        free(path);
        return false;
    }
    if (!path) {
        rt_print_line(stderr, "cnnc: --tune: cannot find %s, the rules that build trainers: %s", t->how->makefile,
                strerror(errno));
        return false;
    }
    t->makefile = arena_string(t->arena, path, strlen(path));
    free(path);
    return true;
}

int tune_kernels(struct arena *a, const struct graph *train, const struct graph *use,
                 const struct plan_options *options, const struct tune_options *how, struct diag *d)
{
    struct plan_options with_wisdom = *options;
    struct tuning t = { .arena = a, .train = train, .use = use, .options = &with_wisdom, .how = how,
                        .threads = how->threads ? how->threads : tune_processors(), .began = tune_now() };
    t.new_file = access(how->path, F_OK) != 0;
    if (!runs_here(target_find(options->target)) || !find_makefile(&t) || !wisdom_writable(a, how->path, how->in_cache))
        return 0;
    struct wisdom *w = wisdom_read(a, how->path, true);
    if (!w)
        return 0;
    wisdom_use(w, target_find(options->target)->name, plan_precision(options), t.threads);
    with_wisdom.wisdom = t.known = w;
    const struct plan *p = plan_model(a, train, use, &with_wisdom, d);
    if (!p)
        return 0;
    t.programs_count = p->untimed;
    if (!t.programs_count) {
        rt_print_line(stderr, "cnnc: --tune: %s knows all kernels of %s already", how->path, p->model->name);
        return t.threads;
    }
    rt_print_line(stderr, "tuning %s for %s, %s, %d thread%s, batch %d: %d programs", p->model->name, p->target->name,
            p->precision, t.threads, t.threads == 1 ? "" : "s", p->batch, t.programs_count);
    return measure(&t, d) ? t.threads : 0;
}
