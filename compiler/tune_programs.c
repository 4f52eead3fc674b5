/* tune_programs.c - see tune_parts.h. */
#define _GNU_SOURCE
#include "tune_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/printable.h"
#include "emit/emit.h"

enum {
    JOBS_MOST = 4,              /* compilers at a time */
    LOG_LINES = 12
};

double tune_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int tune_processors(void)
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
_Static_assert(sizeof caught_signals / sizeof *caught_signals == CAUGHT_SIGNALS, "each has its place");

static void ignore_child(int signal)
{
    (void)signal;               /* it only ends sigsuspend() */
}

void tune_signals_take(struct signals *s)
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

void tune_signals_give_back(const struct signals *s)
{
    for (int i = 0; i < CAUGHT_SIGNALS; i++)
        sigaction(caught_signals[i], &s->before[i], NULL);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
    if (caught)
        raise(caught);
}

bool tune_broken_off(void)
{
    return caught != 0;
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

void tune_progress(const struct tuning *t, const char *what, int done, int all)
{
    bool terminal = isatty(2);
    fprintf(stderr, "%s%4.0f s  %s %d of %d%s", terminal ? "\r" : "", tune_now() - t->began, what, done, all,
            terminal ? "   " : "\n");
}

void tune_progress_end(void)
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

bool tune_build(struct tuning *t, const struct signals *s)
{
    int jobs = tune_processors() < JOBS_MOST ? tune_processors() : JOBS_MOST;
    int begun = 0, done = 0, status = 0, count = 0;
    int *list = arena_array(t->arena, (size_t)t->programs_count + 1, sizeof *list);
    pid_t *children = arena_array(t->arena, (size_t)t->programs_count + 1, sizeof *children);
    bool fine = t->folder || make_folder(t);

    for (int k = 0; k <= t->programs_count; k++)
        if (t->programs[k].wanted && !t->programs[k].built)
            list[count++] = k;
    while (done < begun || (fine && begun < count)) {
        if (fine && begun < count && begun - done < jobs) {
            fine = write_program(t, list[begun]);
            children[begun] = fine ? start_build(t, s, list[begun]) : 0;
            fine = fine && children[begun] > 0;
            begun += fine;
            continue;
        }
        int k = wait_for_any(s, children, begun, &status);
        if (k < 0)
            return false;
        done++;
        if (status && fine) {
            tune_progress_end();
            fputs("cnnc: --tune: a program to be timed cannot be built; this is what make says:\n", stderr);
            show_log(path_of(t, list[k], "log"));
            fine = false;
        }
        t->programs[list[k]].built = fine;
        if (fine)
            tune_progress(t, "built", done, count);
    }
    return fine;
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

/* What `bench --csv` has printed, with what a GFLOP takes at the machine's peak in a row of its own. */
static bool read_times(struct tuning *t, int k)
{
    struct timed_program *program = &t->programs[k];
    FILE *in = fopen(path_of(t, k, "times"), "r");
    unsigned long long times[2];
    char *line = NULL;
    size_t size = 0;
    int found = 0;

    program->seconds = program->peak = 0;
    while (in && getline(&line, &size, in) > 0) {
        int index;
        if (sscanf(line, "peak,%llu,%llu,", &times[0], &times[1]) == 2 && times[0] && times[1])
            program->peak = 1e9 / (double)(times[0] > times[1] ? times[0] : times[1]);
        if (sscanf(line, "%d,%llu,%llu,", &index, &times[0], &times[1]) != 3 || index < 0 ||
            index >= program->plan->stretches_count)
            continue;           /* the headline, and the optimizer's stretch behind ours */
        for (int i = 0; i < 2; i++) {
            program->seconds += (double)times[i] * 1e-9;
            program->nanoseconds[i][index] = (double)times[i];
        }
        found++;
    }
    free(line);
    if (in)
        fclose(in);
    return found == program->plan->stretches_count && program->peak > 0;
}

bool tune_run(struct tuning *t, const struct signals *s, int k, int steps)
{
    const char *const words[] = { path_of(t, k, "network"), "bench", "--csv", "--threads",
                                  arena_printf(t->arena, "%d", t->threads), "--steps",
                                  arena_printf(t->arena, "%d", steps), NULL };
    const char *log = path_of(t, k, "log");
    pid_t child = start(s, words, path_of(t, k, "times"), log);
    int status = -1;
    if (child > 0 && wait_for_any(s, &child, 1, &status) < 0)
        return false;
    if (!status && read_times(t, k)) {
        if (t->programs[k].peak > t->peak)
            t->peak = t->programs[k].peak;
        return true;
    }
    tune_progress_end();
    fputs("cnnc: --tune: a program to be timed has failed:\n", stderr);
    show_log(log);
    return false;
}

void tune_clean(struct tuning *t)
{
    if (t->folder)
        remove_folder(t->folder);
    t->folder = NULL;
}
