/* networks.c - random networks, compiled, run and compared with the reference.
 *
 *     networks --cnnc FILE --include DIR [options]
 *
 *   --count N          networks (200)
 *   --seed S           the first one's seed (1); network i has seed S + i
 *   --jobs N           at a time (2)
 *   --batch N          samples at a time (drawn), in networks as large as that allows
 *   --target T         as cnnc's (native); --targets A,B,...: one after the other for each network
 *   --kernels HOW      auto: as planned or one drawn at each place, by turns; all: every candidate at every place
 *   --kernel TEXT      exactly this one forced, as cnnc's; may be repeated
 *   --real R           float, double, both, or turns (the default)
 *   --emit=inference   the network in use as plain C, with its weights
 *   --break            plants faults in the reference as well, each of which must be noticed
 *   --cc CC --cflags F --folder DIR (of files; kept where a network fails) --verbose
 *
 * Must be linked against libcnnrt with -rdynamic: emitted files find the runtime in this program.  Every network
 * runs in a process of its own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build_network.h"
#include "compare.h"
#include "generate.h"

enum { SITES = 600, KERNELS = 64, TARGETS = 8, SECONDS_MOST = 240, PATIENCE = 3600 };

struct options {
    int count, jobs, batch;
    uint64_t seed;
    struct tools tools;
    const char *targets[TARGETS];
    int targets_count;
    const char *kernels, *real, *folder;
    const char *forced[SITES];
    int forced_count;
    bool inference, faults, verbose;
};

struct kernel_use {
    char name[64];              /* "conv2d_data_grad... direct": place's pass and kernel */
    long times;
};

struct totals {
    int networks, failed, jobs;
    long builds, tensors, coarse, seen, missed, invisible;
    double worst[4];            /* float, float with minimal filtering, double, double with it */
    struct kernel_use kernels[KERNELS];
    int kernels_count;
};

/* ---- one network (in its own process) ---------------------------------------------------------------------------- */

struct run {
    const struct options *options;
    struct network *network;
    struct tools tools;
    char folder[500];
    FILE *log;
    struct kernel_site sites[SITES];
    int sites_count;
    long builds, failures;
};

static bool is_candidate(const struct kernel_site *site, const char *kernel)
{
    for (int i = 0; i < site->candidates_count; i++)
        if (strcmp(site->candidates[i], kernel) == 0)
            return true;
    return false;
}

/* The training and the use of a network share their places: what was asked for the first holds for both. */
static const char *asked_before(const struct run *r, int site, const bool *asked)
{
    for (int i = 0; i < site; i++)
        if (asked[i] && strcmp(r->sites[i].place, r->sites[site].place) == 0)
            return r->sites[i].chosen;
    return NULL;
}

/* Candidate number turn (mod the candidates of a place) at every place that has a choice; turn < 0: drawn. */
static int force_kernels(struct run *r, int turn, uint64_t random, char (*texts)[128], const char **forced)
{
    bool asked[SITES] = {false};
    int count = 0;
    for (int i = 0; i < r->sites_count; i++) {
        struct kernel_site *site = &r->sites[i];
        if (site->candidates_count < 2)
            continue;
        const char *before = asked_before(r, i, asked);
        int pick = turn >= 0 ? turn % site->candidates_count : ref_range(&random, 0, site->candidates_count - 1);
        const char *kernel = before ? before : site->candidates[pick];
        if (!is_candidate(site, kernel))
            continue;
        snprintf(site->chosen, sizeof site->chosen, "%s", kernel);
        if (before)
            continue;
        asked[i] = true;
        snprintf(texts[count], 128, "%s=%s", site->place, kernel);
        forced[count] = texts[count];
        count++;
    }
    return count;
}

/* Lines for the parent: what was done. */
static void report(struct run *r, const struct compare_counts *c, const char *real, bool filtering)
{
    for (int i = 0; i < r->sites_count; i++) {
        const char *pass = strchr(r->sites[i].place, ':') + 1;
        int layer = (int)strcspn(r->sites[i].place, "_:");
        fprintf(r->log, "@kernel %.*s:%s=%s\n", layer, r->sites[i].place, pass, r->sites[i].chosen);
    }
    fprintf(r->log, "@counts %d %d %d %d %d\n", c->tensors, c->coarse, c->faults_seen, c->faults_missed,
            c->faults_invisible);
    fprintf(r->log, "@worst %d %.9g\n", 2 * (real[0] == 'd') + filtering, c->worst);
}

/* Whether one of the kernels chosen or asked for is of minimal filtering. */
static bool uses_filtering(const struct run *r, const char *const *forced, int forced_count)
{
    bool found = false;
    for (int i = 0; i < r->sites_count; i++)
        found |= strstr(r->sites[i].chosen, "winograd") != NULL;
    for (int i = 0; i < forced_count; i++)
        found |= strstr(forced[i], "winograd") != NULL;
    return found;
}

static void try_build(struct run *r, const char *real, const char *const *forced, int forced_count)
{
    char name[64];
    void *handle = NULL;
    struct compare_counts counts = {0};
    snprintf(name, sizeof name, "random_%llu", (unsigned long long)r->network->seed);
    const struct cnn_model *model = build_network(&r->tools, r->folder, name, real, forced, forced_count, &handle,
                                                  r->log);
    r->builds++;
    bool filtering = uses_filtering(r, forced, forced_count);
    if (model)
        compare_network(r->network, model, filtering, r->options->faults, r->log, &counts);
    long failures = !model + counts.failures + counts.faults_missed;
    r->failures += failures;
    if (failures) {
        fprintf(r->log, "  in: %s --target=%s --real=%s", r->tools.cnnc, r->tools.target, real);
        for (int i = 0; i < forced_count; i++)
            fprintf(r->log, " --kernel %s", forced[i]);
        fprintf(r->log, " %s/model.cnn\n", r->folder);
    }
    report(r, &counts, real, filtering);
    if (handle && !failures)
        dlclose(handle);
}

static void try_real(struct run *r, const char *real, uint64_t random)
{
    char texts[SITES][128];
    const char *forced[SITES];
    r->sites_count = read_plan(&r->tools, r->folder, real, r->sites, SITES, r->log);
    if (r->sites_count < 0) {
        r->failures++;
        return;
    }
    if (r->options->forced_count > 0) {
        try_build(r, real, r->options->forced, r->options->forced_count);
        return;
    }
    if (strcmp(r->options->kernels, "all") != 0) {
        int count = random % 3 == 0 ? 0 : force_kernels(r, -1, random, texts, forced);
        try_build(r, real, forced, count);
        return;
    }
    int turns = 1;
    for (int i = 0; i < r->sites_count; i++)
        turns = r->sites[i].candidates_count > turns ? r->sites[i].candidates_count : turns;
    for (int turn = 0; turn < turns; turn++)
        try_build(r, real, forced, force_kernels(r, turn, random, texts, forced));
}

static void try_inference(struct run *r)
{
    struct built_inference built = {.handle = NULL};
    struct compare_counts counts = {0};
    char weights[600];
    snprintf(weights, sizeof weights, "%s/weights.safetensors", r->folder);
    bool fine = network_write_weights(r->network, weights) && build_inference(&r->tools, r->folder, &built, r->log);
    r->builds++;
    if (fine)
        compare_inference(r->network, &built, r->options->faults, r->log, &counts);
    r->failures += !fine + counts.failures + counts.faults_missed;
    if (r->failures)
        fprintf(r->log, "  in: %s --emit=inference --weights=%s %s/model.cnn\n", r->tools.cnnc, weights, r->folder);
    report(r, &counts, "float", false);
}

static void remove_files(const char *folder)
{
    static const char *const files[] = {
        "model.cnn", "model.c", "model.h", "model.so", "plan.txt", "cc.log", "cnnc.log",
        "weights.safetensors", "net.c", "net.h", "net.so", "call.c"
    };
    char path[600];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

static int run_network(const struct options *o, uint64_t seed, const char *log_path)
{
    struct run *run = calloc(1, sizeof *run);
    char path[600];
    if (!run)
        abort();
    run->options = o;
    run->network = network_generate(seed, o->batch);
    run->tools = o->tools;
    run->log = fopen(log_path, "w");
    snprintf(run->folder, sizeof run->folder, "%s/%llu", o->folder, (unsigned long long)seed);
    mkdir(run->folder, 0777);
    snprintf(path, sizeof path, "%s/model.cnn", run->folder);
    FILE *f = fopen(path, "w");
    if (!run->log || !f) {
        fprintf(stderr, "networks: cannot write to %s\n", o->folder);
        return 1;
    }
    setvbuf(run->log, NULL, _IOLBF, 0);    /* a crash loses nothing */
    fputs(run->network->text, f);
    fclose(f);
    uint64_t random = seed;
    if (o->inference)
        try_inference(run);
    for (int i = 0; i < o->targets_count && !o->inference; i++) {
        run->tools.target = o->targets[i];
        uint64_t draw = ref_random(&random);
        bool both = strcmp(o->real, "both") == 0, turns = strcmp(o->real, "turns") == 0;
        if (both || (turns && draw % 2) || strcmp(o->real, "float") == 0)
            try_real(run, "float", draw >> 8);
        if (both || (turns && draw % 2 == 0) || strcmp(o->real, "double") == 0)
            try_real(run, "double", draw >> 8);
    }
    fprintf(run->log, "@builds %ld\n", run->builds);
    fclose(run->log);
    network_free(run->network);
    if (!run->failures)
        remove_files(run->folder);
    int status = run->failures ? 1 : 0;
    free(run);
    return status;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

struct job {
    pid_t process;
    uint64_t seed;
    char log[600];
};

static void count_kernel(struct totals *t, const char *name)
{
    int i = 0;
    while (i < t->kernels_count && strcmp(t->kernels[i].name, name) != 0)
        i++;
    if (i == KERNELS)
        return;
    if (i == t->kernels_count)
        snprintf(t->kernels[t->kernels_count++].name, sizeof t->kernels[i].name, "%.60s", name);
    t->kernels[i].times++;
}

static void read_log(const struct job *job, struct totals *t, bool show)
{
    char line[16384], name[100];
    long a, b, c, d, e;
    double worst;
    int shown = 0;
    FILE *f = fopen(job->log, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "@kernel %99s", name) == 1) {
            count_kernel(t, name);
        } else if (sscanf(line, "@counts %ld %ld %ld %ld %ld", &a, &b, &c, &d, &e) == 5) {
            t->tensors += a;
            t->coarse += b;
            t->seen += c;
            t->missed += d;
            t->invisible += e;
        } else if (sscanf(line, "@worst %ld %lf", &a, &worst) == 2 && a >= 0 && a < 4) {
            t->worst[a] = worst > t->worst[a] ? worst : t->worst[a];
        } else if (sscanf(line, "@builds %ld", &a) == 1) {
            t->builds += a;
        } else if (show && line[0] != '@' && shown++ < 16) {
            printf("    %s", line);
        }
    }
    if (f)
        fclose(f);
}

static void finish_job(const struct options *o, struct job *job, int status, struct totals *t)
{
    bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    t->networks++;
    t->failed += !fine;
    if (!fine) {
        printf("seed %llu fails", (unsigned long long)job->seed);
        if (WIFSIGNALED(status))
            printf(", killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
        printf("; its files are in %s/%llu\n", o->folder, (unsigned long long)job->seed);
    } else if (o->verbose) {
        printf("seed %llu passes\n", (unsigned long long)job->seed);
    }
    read_log(job, t, !fine);
    fflush(stdout);
    unlink(job->log);
    job->process = 0;
}

static void wait_for_job(const struct options *o, struct job *jobs, struct totals *t)
{
    int status;
    pid_t ended = waitpid(-1, &status, 0);
    for (int i = 0; i < o->jobs; i++)
        if (ended > 0 && jobs[i].process == ended) {
            finish_job(o, &jobs[i], status, t);
            t->jobs--;
        }
}

static void start_job(const struct options *o, struct job *jobs, uint64_t seed, struct totals *t)
{
    struct job *job = jobs;
    while (job->process)
        job++;
    job->seed = seed;
    snprintf(job->log, sizeof job->log, "%s/%llu.log", o->folder, (unsigned long long)seed);
    fflush(stdout);
    job->process = fork();
    if (job->process == 0) {
        /* time on a processor: a busy machine is no failure */
        setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS_MOST, SECONDS_MOST});
        alarm(PATIENCE);
        _exit(run_network(o, seed, job->log));
    }
    if (job->process < 0) {
        fputs("networks: cannot fork\n", stderr);
        exit(2);
    }
    t->jobs++;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct kernel_use *)a)->name, ((const struct kernel_use *)b)->name);
}

static int print_totals(const struct options *o, struct totals *t)
{
    printf("networks: %d networks in %ld builds, %ld tensors compared, %ld batches near a kink compared by norm, "
           "%d failed\n", t->networks, t->builds, t->tensors, t->coarse, t->failed);
    printf("networks: the largest difference in parts of what is allowed: float %.3f, with minimal filtering %.3f; "
           "double %.3f, %.3f\n", t->worst[0], t->worst[1], t->worst[2], t->worst[3]);
    if (o->faults)
        printf("networks: of the planted faults %ld were noticed, %ld not, %ld change nothing\n", t->seen, t->missed,
               t->invisible);
    qsort(t->kernels, (size_t)t->kernels_count, sizeof *t->kernels, by_name);
    for (int i = 0; i < t->kernels_count; i++)
        printf("%s%s x %ld", i == 0 ? "kernels: " : ", ", t->kernels[i].name, t->kernels[i].times);
    printf("\n");
    if (t->failed)
        printf("again: networks --seed SEED --count 1 --folder %s, with the other options as they were\n", o->folder);
    /* of inference there is one in each, and not every one shows */
    if (o->faults && t->seen < (o->inference ? t->networks / 2 : t->networks)) {
        puts("networks: too few planted faults were noticed");
        return 1;
    }
    return t->failed ? 1 : 0;
}

static void read_targets(struct options *o, char *list)
{
    char *rest = NULL;
    o->targets_count = 0;
    for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (strcmp(word, "native") == 0)
            word = (char *)target_of_machine();
        if (!target_runs_here(word))
            printf("networks: this machine cannot run %s: left out\n", word);
        else if (o->targets_count < TARGETS)
            o->targets[o->targets_count++] = word;
    }
    if (o->targets_count == 0) {
        fputs("networks: no target that this machine can run\n", stderr);
        exit(2);
    }
}

static const struct option long_options[] = {
    { "count", 1, NULL, 'n' },   { "seed", 1, NULL, 's' },    { "jobs", 1, NULL, 'j' },    { "batch", 1, NULL, 'B' },
    { "target", 1, NULL, 't' },  { "targets", 1, NULL, 't' }, { "kernels", 1, NULL, 'k' }, { "real", 1, NULL, 'r' },
    { "break", 0, NULL, 'b' },   { "kernel", 1, NULL, 'K' },  { "cnnc", 1, NULL, 'c' },    { "cc", 1, NULL, 'C' },
    { "cflags", 1, NULL, 'F' },  { "include", 1, NULL, 'I' }, { "folder", 1, NULL, 'd' },  { "keep", 1, NULL, 'd' },
    { "emit", 1, NULL, 'e' },    { "verbose", 0, NULL, 'v' }, { NULL, 0, NULL, 0 }
};

static void read_options(struct options *o, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        switch (option) {
        case 'n': o->count = atoi(optarg); break;
        case 's': o->seed = strtoull(optarg, NULL, 10); break;
        case 'j': o->jobs = atoi(optarg) > 0 ? atoi(optarg) : 1; break;
        case 'B': o->batch = atoi(optarg) > 0 ? atoi(optarg) : 1; break;
        case 't': read_targets(o, optarg); break;
        case 'k': o->kernels = optarg; break;
        case 'K':
            if (o->forced_count < SITES)
                o->forced[o->forced_count++] = optarg;
            break;
        case 'r': o->real = optarg; break;
        case 'b': o->faults = true; break;
        case 'e': o->inference = strcmp(optarg, "inference") == 0; break;
        case 'c': o->tools.cnnc = optarg; break;
        case 'C': o->tools.cc = optarg; break;
        case 'F': o->tools.cflags = optarg; break;
        case 'I': o->tools.include = optarg; break;
        case 'd': o->folder = optarg; break;
        case 'v': o->verbose = true; break;
        default: exit(2);
        }
    if (optind < argc) {
        fprintf(stderr, "networks: unexpected argument '%s'\n", argv[optind]);
        exit(2);
    }
}

/* The runtime's functions that emitted files and the comparison use: named here so that a static library yields
 * them all. */
static const void *const runtime[] = {
    (const void *)cnn_open, (const void *)cnn_close, (const void *)cnn_clock, (const void *)cnn_parallel,
    (const void *)cnn_meet, (const void *)cnn_param_get, (const void *)cnn_param_set, (const void *)cnn_grad_get,
        (const void *)cnn_input_set
};

int main(int argc, char **argv)
{
    struct options o = {
        .count = 200, .jobs = 2, .seed = 1, .kernels = "auto", .real = "turns", .folder = "networks.tmp",
        .targets = {target_of_machine()}, .targets_count = 1,
        .tools = {.cnnc = "cnnc", .cc = "cc", .cflags = "", .include = "/usr/local/include/cnnc"},
    };
    read_options(&o, argc, argv);
    for (size_t i = 0; i < sizeof runtime / sizeof *runtime; i++)
        if (!runtime[i])
            return 2;
    if (mkdir(o.folder, 0777) != 0 && access(o.folder, W_OK) != 0) {
        fprintf(stderr, "networks: cannot make the folder %s\n", o.folder);
        return 2;
    }
    struct job *jobs = calloc((size_t)o.jobs, sizeof *jobs);
    struct totals totals = {0};
    for (int i = 0; i < o.count; i++) {
        if (totals.jobs == o.jobs)
            wait_for_job(&o, jobs, &totals);
        start_job(&o, jobs, o.seed + (uint64_t)i, &totals);
    }
    while (totals.jobs > 0)
        wait_for_job(&o, jobs, &totals);
    rmdir(o.folder);
    free(jobs);
    return print_totals(&o, &totals);
}
