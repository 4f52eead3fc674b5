/* build_network.c - see build_network.h. */
#define _GNU_SOURCE
#include "build_network.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS = 600 };

struct arguments {
    const char *list[ARGUMENTS + 1];
    int count;
};

static void push(struct arguments *a, const char *text)
{
    if (a->count >= ARGUMENTS)
        abort();
    a->list[a->count++] = text;
}

static void push_words(struct arguments *a, char *text)
{
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest))
        push(a, word);
}

bool target_runs_here(const char *target)
{
#if defined __x86_64__
    __builtin_cpu_init();
    bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3");
    bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (strcmp(target, "x86-64-v4") == 0)
        return v4;
    if (strcmp(target, "x86-64-v3") == 0)
        return v3;
    if (strcmp(target, "x86-64-v2") == 0)
        return v2;
#elif defined __aarch64__
    if (strcmp(target, "aarch64") == 0)
        return true;
#endif
    return strcmp(target, "generic") == 0;
}

const char *target_of_machine(void)
{
    static const char *const best_first[] = {"x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64", "generic"};
    for (size_t i = 0; i < sizeof best_first / sizeof *best_first; i++)
        if (target_runs_here(best_first[i]))
            return best_first[i];
    return "generic";
}

static const char *target_flags(const char *target)
{
    if (strcmp(target, "x86-64-v4") == 0)
        return "-march=x86-64-v4";
    if (strcmp(target, "x86-64-v3") == 0)
        return "-march=x86-64-v3";
    if (strcmp(target, "x86-64-v2") == 0)
        return "-march=x86-64-v2";
    return strcmp(target, "aarch64") == 0 ? "-march=armv8-a" : "-O1";
}

int run_program(const char *const *argv, const char *output)
{
    pid_t child = fork();
    if (child < 0)
        return 127;
    if (child == 0) {
        int file = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (file >= 0) {
            dup2(file, 1);
            dup2(file, 2);
            close(file);
        }
        execvp(argv[0], (char *const *)argv);
        fprintf(stderr, "%s cannot be run\n", argv[0]);
        _exit(127);
    }
    int status;
    if (waitpid(child, &status, 0) != child)
        return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void copy_head(const char *path, FILE *log, int lines)
{
    char line[512];
    FILE *f = fopen(path, "r");
    while (f && lines-- > 0 && fgets(line, sizeof line, f))
        fprintf(log, "    %.300s%s", line, strchr(line, '\n') ? "" : "\n");
    if (f)
        fclose(f);
}

/* Runs it; false with its first lines in the log when it fails. */
static bool run_logged(const struct arguments *a, const char *output, FILE *log)
{
    int status = run_program(a->list, output);
    if (status == 0)
        return true;
    fprintf(log, "%s ends with status %d:\n", a->list[0], status);
    copy_head(output, log, 12);
    return false;
}

/* "  conv2d_1:data = direct    # conv2d_data_grad; cheapest of: direct 0.1 Mcycles, im2col 0.2 Mcycles" */
static bool parse_site(char *line, struct kernel_site *site)
{
    memset(site, 0, sizeof *site);
    char *of = strstr(line, " of: ");
    if (!of || sscanf(line, " %79[^: \t]", site->place) != 1)
        return false;
    size_t length = strlen(site->place);
    if (sscanf(line, " %*[^: \t]:%20s = %31s", site->place + length + 1, site->chosen) != 2 || length > 50)
        return false;
    site->place[length] = ':';
    char *rest = NULL;
    for (char *word = strtok_r(of + 5, ",\n", &rest); word; word = strtok_r(NULL, ",\n", &rest))
        if (site->candidates_count < 8 && sscanf(word, " %31s", site->candidates[site->candidates_count]) == 1)
            site->candidates_count++;
    return site->candidates_count > 0;
}

int read_plan(const struct tools *tools, const char *folder, const char *real, struct kernel_site *sites, int most,
              FILE *log)
{
    char source[600], output[600], target[64], reals[32], *line = NULL;
    size_t room = 0;
    snprintf(source, sizeof source, "%s/model.cnn", folder);
    snprintf(output, sizeof output, "%s/plan.txt", folder);
    snprintf(target, sizeof target, "--target=%s", tools->target);
    snprintf(reals, sizeof reals, "--real=%s", real);
    struct arguments a = {.count = 0};
    push(&a, tools->cnnc);
    push(&a, "--dump=plan");
    push(&a, target);
    push(&a, reals);
    push(&a, source);
    if (!run_logged(&a, output, log))
        return -1;
    FILE *f = fopen(output, "r");
    int count = 0;
    while (f && count < most && getline(&line, &room, f) > 0)
        count += parse_site(line, &sites[count]);
    free(line);
    if (f)
        fclose(f);
    if (count == 0)
        fprintf(log, "no kernel is named in %s\n", output);
    return count > 0 ? count : -1;
}

static bool compile_source(const struct tools *tools, const char *folder, FILE *log)
{
    char source[600], object[600], output[600];
    snprintf(source, sizeof source, "%s/model.c", folder);
    snprintf(object, sizeof object, "%s/model.so", folder);
    snprintf(output, sizeof output, "%s/cc.log", folder);
    char *cc = strdup(tools->cc), *cflags = strdup(tools->cflags);
    static const char *const fixed[] = {
        "-std=gnu11", "-O1", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
        "-DCNN_NO_MAIN", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"
    };
    struct arguments a = {.count = 0};
    push_words(&a, cc);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        push(&a, fixed[i]);
    push(&a, target_flags(tools->target));
    push_words(&a, cflags);
    push(&a, "-I");
    push(&a, tools->include);
    push(&a, source);
    push(&a, "-o");
    push(&a, object);
    push(&a, "-lm");
    bool fine = run_logged(&a, output, log);
    free(cc);
    free(cflags);
    return fine;
}

const struct cnn_model *build_network(const struct tools *tools, const char *folder, const char *name,
                                      const char *real, const char *const *forced, int forced_count, void **handle,
                                      FILE *log)
{
    char source[600], emitted[600], object[600], output[600], target[64], reals[32], symbol[200];
    snprintf(source, sizeof source, "%s/model.cnn", folder);
    snprintf(emitted, sizeof emitted, "%s/model.c", folder);
    snprintf(object, sizeof object, "%s/model.so", folder);
    snprintf(output, sizeof output, "%s/cnnc.log", folder);
    snprintf(target, sizeof target, "--target=%s", tools->target);
    snprintf(reals, sizeof reals, "--real=%s", real);
    struct arguments a = {.count = 0};
    push(&a, tools->cnnc);
    push(&a, target);
    push(&a, reals);
    for (int i = 0; i < forced_count; i++) {
        push(&a, "--kernel");
        push(&a, forced[i]);
    }
    push(&a, source);
    push(&a, "-o");
    push(&a, emitted);
    if (!run_logged(&a, output, log) || !compile_source(tools, folder, log))
        return NULL;
    *handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
    if (!*handle) {
        fprintf(log, "dlopen: %s\n", dlerror());
        return NULL;
    }
    snprintf(symbol, sizeof symbol, "%s_model", name);
    const struct cnn_model *model = dlsym(*handle, symbol);
    if (!model)
        fprintf(log, "the emitted file has no symbol %s\n", symbol);
    return model;
}

/* ---- inference --------------------------------------------------------------------------------------------------- */

/* What its header says of it becomes something that can be asked for by name. */
static bool write_caller(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    fputs("#include \"net.h\"\n"
          "const long call_sizes[] = { NET_ARENA_FLOATS, NET_INPUTS, NET_OUTPUTS };\n"
          "void call_predict(const float *input, float *output, float *arena);\n"
          "int call_selftest(float *arena);\n"
          "void call_predict(const float *input, float *output, float *arena) { net_predict(input, output, arena); }\n"
          "int call_selftest(float *arena) { return net_selftest(arena); }\n", f);
    return fclose(f) == 0;
}

static bool compile_inference(const struct tools *tools, const char *folder, FILE *log)
{
    char source[600], caller[600], object[600], output[600];
    snprintf(source, sizeof source, "%s/net.c", folder);
    snprintf(caller, sizeof caller, "%s/call.c", folder);
    snprintf(object, sizeof object, "%s/net.so", folder);
    snprintf(output, sizeof output, "%s/cc.log", folder);
    if (!write_caller(caller)) {
        fprintf(log, "%s cannot be written\n", caller);
        return false;
    }
    char *cc = strdup(tools->cc), *cflags = strdup(tools->cflags);
    static const char *const fixed[] = {
        "-std=c99", "-pedantic", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-DNET_SELFTEST", "-shared", "-fPIC"
    };
    struct arguments a = {.count = 0};
    push_words(&a, cc);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        push(&a, fixed[i]);
    push_words(&a, cflags);
    push(&a, source);
    push(&a, caller);
    push(&a, "-o");
    push(&a, object);
    push(&a, "-lm");
    bool fine = run_logged(&a, output, log);
    free(cc);
    free(cflags);
    return fine;
}

bool build_inference(const struct tools *tools, const char *folder, struct built_inference *net, FILE *log)
{
    char source[600], weights[600], emitted[600], object[600], output[600];
    snprintf(source, sizeof source, "%s/model.cnn", folder);
    snprintf(weights, sizeof weights, "--weights=%s/weights.safetensors", folder);
    snprintf(emitted, sizeof emitted, "%s/net.c", folder);
    snprintf(object, sizeof object, "%s/net.so", folder);
    snprintf(output, sizeof output, "%s/cnnc.log", folder);
    struct arguments a = {.count = 0};
    push(&a, tools->cnnc);
    push(&a, "--emit=inference");
    push(&a, "--name=net");
    push(&a, "--arena=caller");
    push(&a, weights);
    push(&a, source);
    push(&a, "-o");
    push(&a, emitted);
    if (!run_logged(&a, output, log) || !compile_inference(tools, folder, log))
        return false;
    net->handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
    const long *sizes = net->handle ? dlsym(net->handle, "call_sizes") : NULL;
    if (!sizes) {
        fprintf(log, "dlopen: %s\n", dlerror());
        return false;
    }
    net->arena = sizes[0];
    net->inputs = sizes[1];
    net->outputs = sizes[2];
    *(void **)&net->predict = dlsym(net->handle, "call_predict");
    *(void **)&net->selftest = dlsym(net->handle, "call_selftest");
    return true;
}
