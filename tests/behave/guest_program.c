/* guest_program.c - a program that the runtime is only a guest in.
 *
 *     host LOCALE command WORD...     cnn_main() with those words
 *     host LOCALE functions FILE      the functions for programs of one's own
 *
 * The process is in a state of its own making: a locale, rounding upwards, traps, handlers, threads of OpenBLAS.  After
 * each call all of it has to be as before, and a thread that does something else meanwhile must see no change either.
 * LOCALE "C" leaves the locale alone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <fenv.h>
#include <float.h>
#include <getopt.h>
#include <locale.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

extern char **environ;
extern int openblas_get_num_threads(void);
extern void openblas_set_num_threads(int threads);

enum { SIGNALS = 65, THREADS = 2, RESTORER = 0x4000000 };     /* a flag of the C library's own */

static int failures;

static void check(int right, const char *call, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "FAILED: %s changes %s\n", call, what);
    failures++;
}

/* ---- what there is to change ------------------------------------------------------------------------------------- */

struct snapshot {
    char locale[512], number[32];
    locale_t thread_locale;
    int rounding, traps, flags;
    double tiny[THREADS];       /* a number below the normal range, in each thread */
    struct sigaction actions[SIGNALS];
    sigset_t mask, pending;
    char *environment;
    cpu_set_t affinity;
    mode_t umask;
    int blas_threads, getopt[3];
    char folder[4096], descriptors[1024];
    size_t buffer;
    int lines, next_random;
};

static volatile double least = DBL_MIN, quarter = 0.25;

static char *environment_text(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (char **e = environ; *e; e++)
        fprintf(out, "%s\n", *e);
    fclose(out);
    return text;
}

static void descriptors_list(char *text, size_t size)
{
    size_t length = 0;
    for (int d = 0; d < 256; d++)
        if (fcntl(d, F_GETFD) >= 0)
            length += (size_t)snprintf(text + length, size - length, "%d ", d);
}

static void snapshot_take(struct snapshot *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->locale, sizeof s->locale, "%s", setlocale(LC_ALL, NULL));
    snprintf(s->number, sizeof s->number, "%.2f", 1.5);
    s->thread_locale = uselocale((locale_t)0);
    s->rounding = fegetround();
    s->traps = fegetexcept();
    s->flags = fetestexcept(FE_ALL_EXCEPT);
    fenv_t own;
    fegetenv(&own);
    #pragma omp parallel num_threads(THREADS)
    s->tiny[omp_get_thread_num()] = least * quarter;
    fesetenv(&own);
    for (int i = 1; i < SIGNALS; i++)
        sigaction(i, NULL, &s->actions[i]);
    pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
    sigpending(&s->pending);
    s->environment = environment_text();
    sched_getaffinity(0, sizeof s->affinity, &s->affinity);
    s->umask = umask(0);
    umask(s->umask);
    s->blas_threads = openblas_get_num_threads();
    s->getopt[0] = optind, s->getopt[1] = opterr, s->getopt[2] = optopt;
    if (!getcwd(s->folder, sizeof s->folder))
        abort();
    descriptors_list(s->descriptors, sizeof s->descriptors);
    s->buffer = __fbufsize(stdout);
    s->lines = __flbf(stdout);
    s->next_random = rand();
    srand(7);
}

static void snapshot_compare(const struct snapshot *a, struct snapshot *b, const char *call)
{
    check(!strcmp(a->locale, b->locale) && a->thread_locale == b->thread_locale, call, "the locale");
    check(!strcmp(a->number, b->number), call, "how numbers are printed");
    check(a->rounding == b->rounding, call, "the direction of rounding");
    check(a->traps == b->traps, call, "what traps");
    check(a->flags == b->flags, call, "the floating-point flags");
    for (int i = 0; i < THREADS; i++)
        check(a->tiny[i] > 0 && a->tiny[i] == b->tiny[i], call, i ? "small numbers of other threads" : "small numbers");
    for (int i = 1; i < SIGNALS; i++)
        check(a->actions[i].sa_handler == b->actions[i].sa_handler &&
              (a->actions[i].sa_flags & ~RESTORER) == (b->actions[i].sa_flags & ~RESTORER), call, strsignal(i));
    check(!memcmp(&a->mask, &b->mask, sizeof a->mask), call, "the mask of signals");
    check(!memcmp(&a->pending, &b->pending, sizeof a->pending), call, "the signals under way");
    check(!strcmp(a->environment, b->environment), call, "the environment");
    check(CPU_EQUAL(&a->affinity, &b->affinity), call, "the affinity");
    check(a->umask == b->umask, call, "the umask");
    check(a->blas_threads == b->blas_threads, call, "OpenBLAS's threads");
    check(!memcmp(a->getopt, b->getopt, sizeof a->getopt), call, "getopt's variables");
    check(!strcmp(a->folder, b->folder), call, "the working directory");
    check(!strcmp(a->descriptors, b->descriptors), call, "the open descriptors");
    check(a->buffer == b->buffer && a->lines == b->lines, call, "stdout's buffer");
    check(a->next_random == b->next_random, call, "rand()");
    free(b->environment);
}

/* ---- a thread that does something else --------------------------------------------------------------------------- */

static atomic_bool over;
static char comma[32];

static void *elsewhere(void *unused)
{
    (void)unused;
    double tiny = least * quarter;
    for (long i = 0; !over; i++) {
        char text[32];
        snprintf(text, sizeof text, "%.2f", 1.5);
        if (strcmp(text, comma) || least * quarter != tiny || tiny == 0) {
            fprintf(stderr, "FAILED: another thread sees %s instead of %s\n", text, comma);
            return &over;
        }
        if (i % 64 == 0)
            usleep(1000);
    }
    return NULL;
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */

static void noticed(int number)
{
    (void)number;
}

static void functions_call(const char *path)
{
    const struct cnn_model *m = &guest_model;
    struct snapshot before, after;
    float *values = calloc((size_t)m->params_stored, sizeof *values);
    double metrics[8];
#define CALL(what) (snapshot_take(&before), what, snapshot_take(&after), snapshot_compare(&before, &after, #what))
    for (int threads = 1; threads <= THREADS; threads++) {
        struct cnn_context *c = NULL;
        CALL(c = cnn_open(m, threads, 1));
        if (!c)
            exit(1);
        for (int i = 0; i < m->params_list_count; i++) {
            for (int64_t k = 0; k < m->params[i].count; k++)
                values[k] = m->params[i].rank > 1 ? FLT_MIN / 4 : 0;
            CALL(cnn_param_set(c, i, values));
        }
        float picture[3 * 32 * 32];
        for (int i = 0; i < 3 * 32 * 32; i++)
            picture[i] = FLT_MAX / 8;
        for (int i = 0; i < m->batch; i++) {
            cnn_input_set(c, i, picture);
            c->labels[i] = i % m->outputs;
        }
        CALL(m->infer(c, m->batch));
        /* weights below the normal range are zeros, in every thread and whatever the caller's mode */
        for (int i = 0; i < m->batch * m->outputs; i++)
            if (((float *)c->predictions)[i] != ((float *)c->predictions)[0]) {
                fprintf(stderr, "FAILED: with %d threads prediction %d is %g, the first %g\n", threads, i,
                        (double)((float *)c->predictions)[i], (double)((float *)c->predictions)[0]);
                failures++;
                break;
            }
        CALL(m->train_step(c, m->batch));
        CALL(m->update(c));
        CALL(m->metrics(c, m->batch, metrics));
        CALL(cnn_save_weights(c, path));
        CALL(cnn_load_weights(c, path));
        CALL(cnn_load_weights(c, "/nowhere"));
        CALL(cnn_close(c));
    }
    free(values);
}

int main(int argc, char **argv)
{
    FILE *starts = fopen("starts", "a");
    fputs("started\n", starts);
    fclose(starts);
    if (argc < 3 || (strcmp(argv[1], "C") && !setlocale(LC_ALL, argv[1])))
        return 99;
    static char buffer[4000];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    snprintf(comma, sizeof comma, "%.2f", 1.5);
    srand(7);
    openblas_set_num_threads(THREADS);
    signal(SIGINT, noticed);
    signal(SIGXFSZ, noticed);
    signal(SIGPIPE, SIG_IGN);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    umask(027);
    optind = 3;
    opterr = 0;
    pthread_t other;
    pthread_create(&other, NULL, elsewhere, NULL);
    feclearexcept(FE_ALL_EXCEPT);
    fesetround(FE_UPWARD);
    feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW);
    feraiseexcept(FE_INEXACT);

    int status = 0;
    if (!strcmp(argv[2], "functions")) {
        functions_call(argv[3]);
    } else {
        char *words[64] = { "trainer" }, *kept[64];
        int count = 1;
        for (int i = 3; i < argc && count < 63; i++)
            words[count++] = argv[i];
        memcpy(kept, words, sizeof kept);
        struct snapshot before, after;
        snapshot_take(&before);
        status = cnn_main(&guest_model, count, words);
        snapshot_take(&after);
        snapshot_compare(&before, &after, argc > 3 ? argv[3] : "train");
        check(!memcmp(kept, words, sizeof kept), argc > 3 ? argv[3] : "train", "the order of its words");
        free(before.environment);
    }
    over = true;
    void *wrong;
    pthread_join(other, &wrong);
    fflush(stdout);
    return failures || wrong ? 98 : status;
}
