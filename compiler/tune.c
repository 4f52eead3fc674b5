/* tune.c - see tune.h.
 *
 * Every layer has its candidates in order of their estimates.  Program 0 is the network with the first of each, program
 * 1 that with the second of each, and so on: a few whole trainers instead of many small ones, so that a kernel is timed
 * with the memory, the threads and the neighbours that it has in earnest.  They are built as users' are, by cnnc.mk,
 * and run in turns; a kernel's time is the best that any of its runs had, and noise what the second best was above it.
 * The times of each round are noted when it is over, so that a tuning that was broken off can go on. */
#define _GNU_SOURCE
#include "tune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "steps/kernel.h"
#include "options.h"
#include "base/output.h"
#include "emit/emit.h"
#include "common/printable.h"
#include "plan/wisdom.h"

enum {
    ROUNDS = 4,
    ROUNDS_LEAST = 2,           /* where a round takes long */
    STEPS_MOST = 40,
    STEPS_LEAST = 2,
    JOBS_MOST = 4,              /* compilers at a time */
    LOG_LINES = 12
};

static const double run_seconds = 1.0;          /* that the steps of one run may take, training and use each */
static const double rounds_seconds = 60;        /* after which no further round begins */
static const double busy_spread = 1.3;          /* between runs of one program, from which on the machine was busy */
/* A time is not believed below what so many estimated cycles in a nanosecond and thread would take: four times as many
 * as the fastest processors have.  On a busy machine the thread that reads the clock may come late to a stretch that
 * the others have computed meanwhile. */
static const double cycles_most = 24;

struct program_times {
    double *nanoseconds[2];     /* by stretch: training, use; of the last run */
    double fastest, slowest;    /* run, in seconds a step */
    struct plan *plan;
};

/* What is known of a kernel for a task. */
struct kernel_times {
    const char *name;           /* of its entry */
    int64_t rounds[ROUNDS];     /* nanoseconds; 0: not known */
};

struct tuning {
    struct arena *arena;
    const struct graph *train, *use;
    const struct plan_options *options;
    const struct tune_options *how;
    int threads;
    const char *makefile;       /* its whole path: make is run elsewhere */
    const char *folder;         /* of the programs, removed at the end */
    struct program_times *programs;
    int programs_count;
    const struct wisdom *known; /* before */
    struct kernel_times *kernels;
    int kernels_count;
    size_t kernels_capacity;
    int rounds_noted;           /* in the wisdom, with those of earlier calls */
    double began;
    bool new_file;              /* there was no wisdom before */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int processors(void)
{
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set) && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static const char *path_of(struct tuning *t, int program, const char *name)
{
    return arena_printf(t->arena, "%s/%d/%s", t->folder, program, name);
}

/* ---- other programs ---------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t caught;

static void note_signal(int signal)
{
    caught = signal;
}

static const int caught_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGXCPU, SIGPIPE, SIGCHLD };
enum { CAUGHT_SIGNALS = sizeof caught_signals / sizeof *caught_signals };

static void ignore_child(int signal)
{
    (void)signal;               /* it only ends sigsuspend() */
}

struct signals {
    sigset_t mask;              /* as it was */
    struct sigaction before[CAUGHT_SIGNALS];
};

/* Signals are blocked except while waiting, so that none is missed. */
static void signals_take(struct signals *s)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    caught = 0;
    for (int i = 0; i < CAUGHT_SIGNALS; i++) {
        struct sigaction action = { .sa_handler = caught_signals[i] == SIGCHLD ? ignore_child : note_signal };
        sigaction(caught_signals[i], NULL, &s->before[i]);
        if (s->before[i].sa_handler == SIG_IGN && caught_signals[i] != SIGCHLD)
            continue;           /* nohup */
        sigaction(caught_signals[i], &action, NULL);
        sigaddset(&blocked, caught_signals[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, &s->mask);
}

static void signals_give_back(const struct signals *s)
{
    for (int i = 0; i < CAUGHT_SIGNALS; i++)
        sigaction(caught_signals[i], &s->before[i], NULL);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
    if (caught)
        raise(caught);
}

/* Starts a program in a process group of its own with its output in files; -1: it could not be. */
static pid_t start(const struct signals *s, const char *const *words, const char *out, const char *log)
{
    pid_t child = fork();
    if (child)
        return child;
    setpgid(0, 0);
    for (int i = 0; i < CAUGHT_SIGNALS; i++)
        sigaction(caught_signals[i], &s->before[i], NULL);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
    /* what a make above us wants of its own children */
    unsetenv("MAKEFLAGS");
    unsetenv("MFLAGS");
    unsetenv("MAKELEVEL");
    unsetenv("CNNC_TARGET");    /* the C files say themselves what they are for */
    int in = open("/dev/null", O_RDONLY), to = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int err = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (dup2(in, 0) < 0 || dup2(to, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    execvp(words[0], (char *const *)words);
    dprintf(2, "cannot run %s: %s\n", words[0], strerror(errno));
    _exit(127);
}

/* Waits for one of the children.  Its index, its wait status in *status; -1: a signal came, and all are ended. */
static int wait_for_any(const struct signals *s, pid_t *children, int count, int *status)
{
    sigset_t open_mask = s->mask;
    for (int i = 0; i < CAUGHT_SIGNALS; i++)
        sigdelset(&open_mask, caught_signals[i]);
    for (;;) {
        int running = 0;
        for (int i = 0; i < count; i++) {
            if (children[i] <= 0)
                continue;
            running++;
            if (waitpid(children[i], status, WNOHANG) == children[i]) {
                children[i] = 0;
                return i;
            }
        }
        if (caught || !running)
            break;
        sigsuspend(&open_mask);
    }
    for (int i = 0; i < count; i++)
        if (children[i] > 0) {
            kill(-children[i], SIGTERM);
            kill(children[i], SIGTERM);
            waitpid(children[i], NULL, 0);
            children[i] = 0;
        }
    return -1;
}

/* The last lines of a log, for a person to see what went wrong. */
static void show_log(const char *path)
{
    char *lines[LOG_LINES] = { 0 };
    size_t sizes[LOG_LINES] = { 0 };
    FILE *in = fopen(path, "r");
    int count = 0;

    while (in && getline(&lines[count % LOG_LINES], &sizes[count % LOG_LINES], in) > 0)
        count++;
    for (int i = count > LOG_LINES ? count - LOG_LINES : 0; i < count; i++)
        rt_print(stderr, "    %s", lines[i % LOG_LINES]);
    for (int i = 0; i < LOG_LINES; i++)
        free(lines[i]);
    if (in)
        fclose(in);
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

/* On a terminal one line that is written over. */
static void progress(const struct tuning *t, const char *what, int done, int all)
{
    bool terminal = isatty(2);
    fprintf(stderr, "%s%4.0f s  %s %d of %d%s", terminal ? "\r" : "", now() - t->began, what, done, all,
            terminal ? "   " : "\n");
}

static void progress_end(void)
{
    if (isatty(2))
        fputs("\r\033[K", stderr);
}

/* ---- the programs ------------------------------------------------------------------------------------------------ */

static void remove_folder(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        char inner[4096];
        if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= (int)sizeof inner)
            continue;
        if (unlink(inner) && (errno == EISDIR || errno == EPERM))
            remove_folder(inner);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static bool make_folder(struct tuning *t)
{
    const char *above = getenv("TMPDIR");
    char *folder = arena_printf(t->arena, "%s/cnnc-tune.XXXXXX", above && *above ? above : "/tmp");
    if (!mkdtemp(folder)) {
        rt_print_line(stderr, "cnnc: --tune: cannot make the folder %s: %s", folder, strerror(errno));
        return false;
    }
    t->folder = folder;
    return true;
}

/* The C file of one program, in a folder of its own. */
static bool write_program(struct tuning *t, int k)
{
    const struct plan *p = t->programs[k].plan;
    const char *folder = arena_printf(t->arena, "%s/%d", t->folder, k);
    if (mkdir(folder, 0700)) {
        rt_print_line(stderr, "cnnc: --tune: cannot make the folder %s: %s", folder, strerror(errno));
        return false;
    }
    return emit_files(t->arena, path_of(t, k, "network.c"), p, NULL, NULL) == 0;
}

static bool plan_programs(struct tuning *t, struct diag *d)
{
    size_t most = (size_t)t->programs_count;
    t->programs = arena_array(t->arena, most, sizeof *t->programs);
    for (int k = 0; k < t->programs_count; k++) {
        struct plan_options options = *t->options;
        options.rank = k;
        struct program_times *program = &t->programs[k];
        program->plan = plan_model(t->arena, t->train, t->use, &options, d);
        if (!program->plan)
            return false;
        for (int i = 0; i < 2; i++)
            program->nanoseconds[i] = arena_array(t->arena, (size_t)program->plan->stretches_count,
                                                  sizeof *program->nanoseconds[i]);
    }
    return true;
}

static pid_t start_build(struct tuning *t, const struct signals *s, int k)
{
    const char *make = getenv("MAKE");
    const char *const words[] = {
        make && *make ? make : "make", "-s", "-C", arena_printf(t->arena, "%s/%d", t->folder, k), "-f",
        t->makefile, "network", "CNNC=false",      /* the C file is there; nothing else may make it */
        NULL
    };
    return start(s, words, path_of(t, k, "log"), path_of(t, k, "log"));
}

/* Builds all programs, a few at a time.  Whoever fails has said why. */
static bool build_programs(struct tuning *t, const struct signals *s)
{
    int jobs = processors() < JOBS_MOST ? processors() : JOBS_MOST, begun = 0, done = 0, status = 0;
    pid_t *children = arena_array(t->arena, (size_t)t->programs_count, sizeof *children);
    bool fine = true;

    while (done < begun || (fine && begun < t->programs_count)) {
        if (fine && begun < t->programs_count && begun - done < jobs) {
            fine = write_program(t, begun);
            children[begun] = fine ? start_build(t, s, begun) : 0;
            fine = fine && children[begun] > 0;
            begun += fine;
            continue;
        }
        int k = wait_for_any(s, children, begun, &status);
        if (k < 0)
            return false;
        done++;
        if (status && fine) {
            progress_end();
            fputs("cnnc: --tune: a program to be timed cannot be built; this is what make says:\n", stderr);
            show_log(path_of(t, k, "log"));
            fine = false;
        }
        if (fine)
            progress(t, "built", done, t->programs_count);
    }
    return fine;
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

/* What `bench --csv` has printed.  *seconds: of a step and a pass in use. */
static bool read_times(struct tuning *t, int k, double *seconds)
{
    struct program_times *program = &t->programs[k];
    FILE *in = fopen(path_of(t, k, "times"), "r");
    char *line = NULL;
    size_t size = 0;
    int found = 0;

    *seconds = 0;
    while (in && getline(&line, &size, in) > 0) {
        unsigned long long times[2];
        int index;
        if (sscanf(line, "%d,%llu,%llu,", &index, &times[0], &times[1]) != 3 || index < 0 ||
            index >= program->plan->stretches_count)
            continue;           /* the headline, and the optimizer's stretch behind ours */
        for (int i = 0; i < 2; i++) {
            *seconds += (double)times[i] * 1e-9;
            program->nanoseconds[i][index] = (double)times[i];
        }
        found++;
    }
    free(line);
    if (in)
        fclose(in);
    return found == program->plan->stretches_count;
}

static bool run_program(struct tuning *t, const struct signals *s, int k, int steps, double *seconds)
{
    const char *const words[] = { path_of(t, k, "network"), "bench", "--csv", "--threads",
                                  arena_printf(t->arena, "%d", t->threads), "--steps",
                                  arena_printf(t->arena, "%d", steps), NULL };
    const char *log = path_of(t, k, "log");
    pid_t child = start(s, words, path_of(t, k, "times"), log);
    int status = -1;
    if (child > 0 && wait_for_any(s, &child, 1, &status) < 0)
        return false;
    if (!status && read_times(t, k, seconds))
        return true;
    progress_end();
    fputs("cnnc: --tune: a program to be timed has failed:\n", stderr);
    show_log(log);
    return false;
}

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
static double steps_time(const struct program_times *program, const struct program *q, const struct group *g)
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
static double group_time(const struct program_times *program, const struct program *q, const struct group *g)
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

/* The times of a round; of a kernel that several programs or layers have, the best. */
static void collect(struct tuning *t, int round)
{
    for (int i = 0; i < t->kernels_count; i++)
        t->kernels[i].rounds[round] = 0;
    for (int k = 0; k < t->programs_count; k++) {
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
}

/* For the next --tune, should this one be broken off. */
static bool note_round(struct tuning *t, int round)
{
    struct wisdom_entry *entries = arena_array(t->arena, (size_t)t->kernels_count + 1, sizeof *entries);
    int count = 0;
    for (int i = 0; i < t->kernels_count; i++)
        if (t->kernels[i].rounds[round])
            entries[count++] = (struct wisdom_entry){ .name = arena_printf(t->arena, "%s@%d", t->kernels[i].name, round),
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
                const struct kernel_times *times = programs[i]->groups[j]->untimed ? times_of(t, p, programs[i]->groups[j])
                                                                                   : NULL;
                while (times && rounds > 0 && !times->rounds[rounds - 1])
                    rounds--;
            }
    }
    return rounds;
}

/* The best times and their noise in the places of those of rounds.  Returns how many kernels have one. */
static int conclude(struct tuning *t, bool *fine)
{
    struct wisdom_entry *entries = arena_array(t->arena, (size_t)t->kernels_count * (ROUNDS + 2) + 1, sizeof *entries);
    int count = 0, known = 0;
    for (int i = 0; i < t->kernels_count; i++) {
        const struct kernel_times *times = &t->kernels[i];
        int64_t best = 0, second = 0;
        for (int k = 0; k < ROUNDS; k++) {
            int64_t time = times->rounds[k];
            entries[count++] = (struct wisdom_entry){ .name = arena_printf(t->arena, "%s@%d", times->name, k) };
            if (time && (!best || time < best)) {
                second = best;
                best = time;
            } else if (time && (!second || time < second)) {
                second = time;
            }
        }
        if (!best)
            continue;
        known++;
        entries[count++] = (struct wisdom_entry){ .name = times->name, .nanoseconds = best };
        if (second)
            entries[count++] = (struct wisdom_entry){ .name = arena_printf(t->arena, "%s@second", times->name),
                                                      .nanoseconds = second };
    }
    *fine = wisdom_add(t->arena, t->how->path, entries, count);
    return known;
}

/* One run of each program. */
static bool run_round(struct tuning *t, const struct signals *s, int round, int *steps)
{
    for (int k = 0; k < t->programs_count; k++) {
        double seconds = 0;
        bool first = !steps[k];
        if (!run_program(t, s, k, first ? STEPS_LEAST : steps[k], &seconds))
            return false;
        struct program_times *program = &t->programs[k];
        if (!first && (!program->fastest || seconds < program->fastest))
            program->fastest = seconds;
        if (!first && seconds > program->slowest)
            program->slowest = seconds;
        double wanted = seconds > 0 ? 2 * run_seconds / seconds : STEPS_MOST;
        if (first)
            steps[k] = wanted > STEPS_MOST ? STEPS_MOST : wanted < STEPS_LEAST ? STEPS_LEAST : (int)wanted;
        if (k == t->programs_count - 1 || isatty(2))
            progress(t, "timed", round * t->programs_count + k + 1, ROUNDS * t->programs_count);
    }
    return true;
}

static bool run_programs(struct tuning *t, const struct signals *s)
{
    int *steps = arena_array(t->arena, (size_t)t->programs_count, sizeof *steps);
    double began = now();

    for (int round = t->rounds_noted; round < ROUNDS; round++) {
        if (round >= ROUNDS_LEAST && now() - began > rounds_seconds)
            break;
        if (!run_round(t, s, round, steps))
            return false;
        collect(t, round);
        if (!note_round(t, round))
            return false;
    }
    return true;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static bool measure(struct tuning *t, struct diag *d)
{
    struct signals signals;
    if (!plan_programs(t, d))
        return false;
    t->rounds_noted = rounds_before(t);
    if (t->rounds_noted && t->rounds_noted < ROUNDS)
        rt_print_line(stderr, "%d of %d rounds are noted in %s already", t->rounds_noted, ROUNDS, t->how->path);
    signals_take(&signals);
    bool all = t->rounds_noted == ROUNDS, made = !all && make_folder(t);
    bool fine = all || (made && build_programs(t, &signals) && run_programs(t, &signals));
    int known = 0;
    progress_end();
    if (fine)
        known = conclude(t, &fine);
    int left_out = t->kernels_count - known;
    if (made)
        remove_folder(t->folder);
    if (caught && t->rounds_noted)
        rt_print_line(stderr, "cnnc: --tune: broken off; %d of %d rounds are noted in %s, from where --tune goes on",
                      t->rounds_noted, ROUNDS, t->how->path);
    else if (caught)
        fputs("cnnc: --tune: broken off; the wisdom is as it was\n", stderr);
    signals_give_back(&signals);
    if (fine)
        warn_if_busy(t);
    if (fine && left_out)
        rt_print_line(stderr,
                 "cnnc: warning: %d kernels took less time than any processor could, and are left out: threads "
                        "that had to wait for the processor. Tune again when the machine is idle", left_out);
    if (fine)
        rt_print_line(stderr, "%4.0f s  %d times noted in %s", now() - t->began, known, t->how->path);
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
                        .threads = how->threads ? how->threads : processors(), .began = now() };
    t.new_file = access(how->path, F_OK) != 0;
    if (!runs_here(target_find(options->target)) || !find_makefile(&t) || !wisdom_writable(a, how->path, how->in_cache))
        return 0;
    struct wisdom *w = wisdom_read(a, how->path, true);
    if (!w)
        return 0;
    wisdom_use(w, target_find(options->target)->name, options->real_double, t.threads);
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
            p->real, t.threads, t.threads == 1 ? "" : "s", p->batch, t.programs_count);
    return measure(&t, d) ? t.threads : 0;
}
