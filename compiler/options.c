/* options.c - see options.h. */
#define _GNU_SOURCE
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "options.h"
#include "base/bounds.h"
#include "common/command_line.h"
#include "common/completion.h"
#include "output.h"
#include "common/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif
#ifndef CNNC_MAKEFILE
#define CNNC_PREFIX ""
#define CNNC_BINDIR ""
#define CNNC_MAKEFILE "cnnc.mk"
#endif

enum { THREADS_MOST = 4096, ERROR_GROWTH_MOST = 1000000 };

struct context {
    struct arena *arena;
    struct options *options;
    int word;                   /* which of the option's words the argument is */
};

struct option_def {
    char letter;                /* '\0': none */
    const char *name;           /* NULL: none */
    const char *argument;       /* NULL: takes none; "[FILE]": it may be left out */
    const char *help;
    /* false: the argument is wrong (reported) */
    bool (*set)(struct context *c, const char *argument);
    /* What follows is what a shell completes; of words, the argument must be one. */
    enum completion_value value;
    const char *words[COMPLETION_WORDS_MAX];
    bool repeats;
};

static bool wrong(const char *option, const char *argument, const char *expected)
{
    rt_print_line(stderr, "cnnc: %s: expected %s, found '%s'", option, expected, argument);
    return false;
}

static bool set_output(struct context *c, const char *argument)
{
    c->options->output = argument;
    return *argument || wrong("-o", argument, "a file");
}

static bool set_depfile(struct context *c, const char *argument)
{
    c->options->wants_depfile = true;
    if (argument)
        c->options->depfile = argument;
    return !argument || *argument || wrong("--depfile", argument, "a file");
}

static bool set_check(struct context *c, const char *argument)
{
    (void)argument;
    return c->options->check = true;
}

static bool set_summary(struct context *c, const char *argument)
{
    (void)argument;
    return c->options->summary = true;
}

static bool set_explain(struct context *c, const char *argument)
{
    (void)argument;
    return c->options->explain = true;
}

static bool set_emit(struct context *c, const char *argument)
{
    (void)argument;
    c->options->inference = c->word == 1;
    return true;
}

static bool set_weights(struct context *c, const char *argument)
{
    c->options->weights = argument;
    return *argument || wrong("--weights", argument, "a safetensors file");
}

static bool set_weights_as(struct context *c, const char *argument)
{
    (void)argument;
    c->options->extern_weights = c->word == 1;
    return true;
}

static bool set_arena(struct context *c, const char *argument)
{
    (void)argument;
    c->options->caller_arena = c->word == 1;
    return true;
}

/* It begins every public name, macros in capital letters among them. */
static bool set_name(struct context *c, const char *argument)
{
    size_t letters = strspn(argument, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "_0123456789");

    c->options->name = argument;
    return (letters && !argument[letters] && *argument != '_' &&
            !(*argument >= '0' && *argument <= '9')) ||
           wrong("--name", argument, "a name as C has them, beginning with a letter");
}

static bool set_print_makefile(struct context *c, const char *argument)
{
    (void)argument;
    return c->options->print_makefile = true;
}

static bool set_print_completion(struct context *c, const char *argument)
{
    c->options->completion = argument;
    return true;
}

static bool set_exact(struct context *c, const char *argument)
{
    (void)argument;
    return c->options->exact = true;
}

/* A factor; 1 is --exact. */
static bool set_error_growth(struct context *c, const char *argument)
{
    char *end;
    double value = strtod(argument, &end);

    c->options->error_growth = value;
    return (end != argument && !*end && value >= 1 && value <= ERROR_GROWTH_MOST) ||
           wrong("--error-growth", argument, "a number from 1 to 1000000");
}

static bool set_tune(struct context *c, const char *argument)
{
    (void)argument;
    return c->options->tune = true;
}

static bool set_wisdom(struct context *c, const char *argument)
{
    c->options->uses_wisdom = true;
    c->options->wisdom = argument;
    return !argument || *argument || wrong("--wisdom", argument, "a file");
}

static bool set_threads(struct context *c, const char *argument)
{
    char *end;
    long value = strtol(argument, &end, 10);

    c->options->threads = (int)value;
    return (end != argument && !*end && value >= 1 && value <= THREADS_MOST) ||
           wrong("--threads", argument, "a whole number from 1 to 4096");
}

static bool set_batch(struct context *c, const char *argument)
{
    char *end;
    long value = strtol(argument, &end, 10);

    c->options->batch = (int)value;
    return (end != argument && !*end && value >= 1 && value <= BATCH_MOST) ||
           wrong("--batch", argument, "a whole number from 1 to 65536");
}

static bool set_dump(struct context *c, const char *argument)
{
    (void)argument;
    c->options->dump = (enum stage)(STAGE_AST + c->word);
    return true;
}

static bool set_real(struct context *c, const char *argument)
{
    (void)argument;
    c->options->real_double = c->word == 1;
    return true;
}

static bool set_target(struct context *c, const char *argument)
{
    c->options->target = argument;
    return true;
}

static bool set_kernel(struct context *c, const char *argument)
{
    struct options *o = c->options;
    const char *equals = strchr(argument, '=');

    if (!equals || equals == argument || !equals[1])
        return wrong("--kernel", argument, "LAYER=NAME or LAYER:PASS=NAME");
    LIST_ADD(c->arena, o->forced, o->forced_count, o->forced_capacity, argument);
    return true;
}

static bool set_define(struct context *c, const char *argument)
{
    struct options *o = c->options;
    size_t name = strspn(argument,
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

    if (!name || argument[name] != '=' || (*argument >= '0' && *argument <= '9'))
        return wrong("-D", argument, "name=value");
    if (strpbrk(argument, "\n;{}#"))
        return wrong("-D", argument, "one value");
    LIST_ADD(c->arena, o->defines, o->defines_count, o->defines_capacity, argument);
    return true;
}

static bool set_include(struct context *c, const char *argument)
{
    struct options *o = c->options;

    LIST_ADD(c->arena, o->include_dirs, o->include_dirs_count, o->include_dirs_capacity, argument);
    return true;
}

static const struct option_def option_defs[] = {
    {'o', "output", "FILE",
     "write the C file FILE (default: MODEL.c here), and its header beside it", .set = set_output,
     .value = COMPLETE_FILE},
    {0, "depfile", "[FILE]",
     "write what the C file is made from, for make, into FILE (default: .d beside it); also -MD, -MF FILE",
     .set = set_depfile, .value = COMPLETE_FILE},
    {0, "check", NULL, "only check the model", .set = set_check},
    {0, "summary", NULL, "print the layers, their shapes and parameters", .set = set_summary},
    {0, "explain", NULL, "print the recipe with every default filled in", .set = set_explain},
    {0, "dump", "STAGE", "print what a stage made: ast, model, graph or plan", .set = set_dump,
     .value = COMPLETE_WORDS, .words = {"ast", "model", "graph", "plan"}},
    {'D', "define", "NAME=VALUE", "give a top-level constant of the file another value",
     .set = set_define, .repeats = true},
    {0, "batch", "N", "take N samples at a time, whatever the recipe says", .set = set_batch},
    {'I', "include", "DIR", "look for included files in DIR too", .set = set_include,
     .value = COMPLETE_FOLDER, .repeats = true},
    {0, "emit", "WHAT",
     "write a trainer (default), or inference: the trained network as portable C", .set = set_emit,
     .value = COMPLETE_WORDS, .words = {"trainer", "inference"}},
    {0, "weights", "FILE", "inference: the trained weights, a safetensors file", .set = set_weights,
     .value = COMPLETE_FILE},
    {0, "weights-as", "HOW",
     "inference: weights embedded in the C file (default), or extern: in one beside it",
     .set = set_weights_as, .value = COMPLETE_WORDS, .words = {"embedded", "extern"}},
    {0, "arena", "WHOSE",
     "inference: memory is static (default), or the caller's: then calls are reentrant",
     .set = set_arena, .value = COMPLETE_WORDS, .words = {"static", "caller"}},
    {0, "name", "PREFIX", "what public names of the C file begin with (default: the model's name)",
     .set = set_name},
    {0, "target", "NAME",
     "machine to write for: native (default), x86-64-v4, x86-64-v3, x86-64-v2, aarch64, generic",
     .set = set_target, .value = COMPLETE_WORDS,
     .words = {"native",
#define TARGET(name, macro, bytes, registers, fma, flops, l1, l2, memory, blas, core) name,
#include "steps/targets.def"
#undef TARGET
     }},
    {0, "real", "TYPE", "compute in float (default) or double", .set = set_real,
     .value = COMPLETE_WORDS, .words = {"float", "double"}},
    {0, "exact", NULL, "no kernel that rounds more than the plain one", .set = set_exact},
    {0, "error-growth", "N",
     "no kernel whose rounding errors are over N times those of the plain one (25)",
     .set = set_error_growth},
    {0, "kernel", "LAYER[:PASS]=NAME",
     "compute a layer (or one pass of it) with this kernel; may be repeated", .set = set_kernel,
     .repeats = true},
    {0, "tune", NULL, "time the kernels on this machine first, and note that as wisdom",
     .set = set_tune},
    {0, "wisdom", "[FILE]",
     "choose kernels by the times in FILE (default: $CNNC_WISDOM, or the one in the cache)",
     .set = set_wisdom, .value = COMPLETE_FILE},
    {0, "threads", "N", "threads that --tune and --wisdom are about (default: the model's, or all)",
     .set = set_threads},
    {0, "print-makefile", NULL, "print where cnnc.mk lies, to be included in a Makefile",
     .set = set_print_makefile},
    {0, "print-completion", "SHELL", "print the completion of cnnc for bash, zsh or fish",
     .set = set_print_completion, .value = COMPLETE_WORDS, .words = {"bash", "zsh", "fish"}},
    {'h', "help", NULL, "print this help", .set = NULL},
    {'V', "version", NULL, "print the version", .set = NULL}};

enum { OPTIONS_COUNT = sizeof option_defs / sizeof *option_defs };

static void print_help(void)
{
    enum { COLUMN = 32 };

    puts("Usage: cnnc [OPTION]... MODEL.cnn\n"
         "Compile a convolutional network, its data and its training recipe into one C file.\n");
    for (int i = 0; i < OPTIONS_COUNT; i++) {
        const struct option_def *def = &option_defs[i];
        char left[64];
        int n = snprintf(left, sizeof left, "  %c%c%s --%s", def->letter ? '-' : ' ',
                         def->letter ? def->letter : ' ', def->letter ? "," : " ", def->name);
        const char *before = !def->argument ? "" : *def->argument == '[' ? "[=" : "=";
        n += snprintf(left + n, sizeof left - (size_t)n, "%s%s", before,
                      def->argument ? def->argument + (*def->argument == '[') : "");
        if (n >= COLUMN)
            printf("%s\n%*s%s\n", left, COLUMN, "", def->help);
        else
            printf("%-*s%s\n", COLUMN, left, def->help);
    }
    puts("\nExit status: 0 fine, 1 errors in the model or its files, 2 wrong use.");
}

static void print_completion(const char *shell)
{
    struct completion_option options[OPTIONS_COUNT];
    struct completion c = {.program = "cnnc", .options = options, .options_count = OPTIONS_COUNT,
                           .ending = ".cnn"};

    for (int i = 0; i < OPTIONS_COUNT; i++) {
        const struct option_def *def = &option_defs[i];
        options[i] = (struct completion_option){def->letter, def->name,  def->argument, def->help,
                                                def->value,  def->words, def->repeats};
    }
    rt_completion_print(&c, shell, stdout);
}

static void print_version(void)
{
    puts("cnnc " PACKAGE_VERSION);
    puts("License Apache-2.0. There is no warranty, as far as the law permits.");
}

static int try_help(void)
{
    fputs("Try 'cnnc --help' for more information.\n", stderr);
    return EXIT_WRONG_USE;
}

static void describe(struct option_name *names)
{
    for (int i = 0; i < OPTIONS_COUNT; i++) {
        const struct option_def *def = &option_defs[i];
        names[i] = (struct option_name){def->name, def->letter,
                                        !def->argument          ? ARGUMENT_NONE
                                        : *def->argument == '[' ? ARGUMENT_OPTIONAL
                                                                : ARGUMENT_NEEDED};
    }
}

/* Which of the option's words the argument is; -1 is reported with all there are. */
static int word_find(struct arena *a, const struct option_def *def, const char *argument)
{
    const char *expected = def->words[0];

    for (int i = 0; def->words[i]; i++) {
        if (!strcmp(def->words[i], argument))
            return i;
        if (i)
            expected = arena_printf(a, "%s%s%s", expected,
                                    def->words[i + 1] ? ", " : " or ", def->words[i]);
    }
    wrong(arena_printf(a, "--%s", def->name), argument, expected);
    return -1;
}

static bool wrong_together(const char *text)
{
    rt_print_line(stderr, "cnnc: %s", text);
    return false;
}

/* What the options of --emit=inference ask of each other. */
static bool inference_fits(const struct options *o, bool writes)
{
    if (!o->inference && (o->weights || o->extern_weights || o->caller_arena))
        return wrong_together("--weights, --weights-as and --arena need --emit=inference");
    if (!o->inference)
        return true;
    if (o->real_double)
        return wrong_together("--emit=inference computes in float: --real=double makes no sense");
    if (o->forced_count)
        return wrong_together("--emit=inference writes plain loops: --kernel makes no sense");
    if (o->tune || o->uses_wisdom)
        return wrong_together("--emit=inference writes plain loops: --tune and --wisdom make no sense");
    if (o->batch)
        return wrong_together("--emit=inference computes one sample at a time: --batch makes no sense");
    if (writes && !o->weights)
        return wrong_together("--emit=inference needs the trained weights: --weights FILE");
    if (o->output && output_is_stream(o->output))
        return wrong_together("--emit=inference writes several files: -o needs the name of one");
    return true;
}

/* The depfile's name, where one is asked for. */
static bool depfile_fits(struct arena *a, struct options *o)
{
    if (!o->wants_depfile)
        return true;
    if (!o->output)
        return wrong_together("nothing is written, so a depfile of it makes no sense");
    if (output_is_stream(o->output))
        return wrong_together("a depfile says what a file is made from: -o needs the name of one");
    if (!o->depfile)
        o->depfile = output_beside(a, o->output, ".d");
    return true;
}

/* What --tune and its like ask of each other.  $CNNC_WISDOM stands for --wisdom where kernels are chosen. */
static bool wisdom_fits(struct options *o)
{
    const char *variable = getenv("CNNC_WISDOM");

    if (o->exact && o->error_growth > 1)
        return wrong_together("--exact is --error-growth=1: say one of them");
    if (o->tune && o->check)
        return wrong_together("--check computes nothing, so --tune makes no sense with it");
    if (o->tune && !o->output && !o->summary && o->dump != STAGE_PLAN)
        return wrong_together("no kernel is chosen for what is asked, so --tune makes no sense with it");
    if (variable && *variable && !o->wisdom && !o->inference) {
        o->wisdom = variable;
        o->uses_wisdom = true;
    }
    o->uses_wisdom |= o->tune;
    return !o->threads || o->uses_wisdom ||
           wrong_together("--threads is about --tune and --wisdom: a trainer has a --threads of its own");
}

/* One file, unless nothing but the Makefile is asked for.  Without another wish the C file is
 * written here. */
static int options_finish(struct arena *a, const char *const *words, int files, struct options *o)
{
    if (o->print_makefile && files == 0)
        return -1;
    if (files != 1) {
        rt_print_line(stderr,
                files ? "cnnc: one model at a time: '%s' is a second one"
                      : "cnnc: no model is given%s",
                files ? words[1] : "");
        return try_help();
    }
    o->input = words[0];
    if (o->output && o->check) {
        fputs("cnnc: --check writes no file, so -o makes no sense with it\n", stderr);
        return try_help();
    }
    if (!o->output && !o->check && !o->summary && !o->explain && !o->dump && !o->print_makefile) {
        const char *slash = strrchr(o->input, '/'), *base = slash ? slash + 1 : o->input,
                   *dot = strrchr(base, '.');
        size_t length = dot && dot != base ? (size_t)(dot - base) : strlen(base);
        o->output = arena_printf(a, "%.*s%s.c", (int)length, base, o->inference ? "_net" : "");
    }
    if (!inference_fits(o, o->output != NULL) || !depfile_fits(a, o) || !wisdom_fits(o))
        return try_help();
    return -1;
}

/* Compilers call it -MD and -MF, which would be -M with an argument: the words become --depfile. */
static char **name_depfile(struct arena *a, int *argc, char **argv)
{
    char **words = arena_array(a, (size_t)*argc + 1, sizeof *words);
    int count = 0, i = 0;

    for (; i < *argc && strcmp(argv[i], "--"); i++) {
        char *word = argv[i];
        if (!strcmp(word, "-MD"))
            word = "--depfile";
        else if (!strcmp(word, "-MF") && i + 1 < *argc)
            word = arena_printf(a, "--depfile=%s", argv[++i]);
        else if (!strncmp(word, "-MF", 3))
            word = arena_printf(a, "--depfile=%s", word + 3);
        words[count++] = word;
    }
    for (; i < *argc; i++)
        words[count++] = argv[i];
    *argc = count;
    return words;
}

static int options_read(struct context *c, struct command_line *line)
{
    struct options *o = c->options;
    const char *argument;
    int code;

    while ((code = rt_command_line_next(line, &argument)) >= 0) {
        const struct option_def *def = &option_defs[code];
        if (def->set) {
            if (def->words[0] && (c->word = word_find(c->arena, def, argument)) < 0)
                return try_help();
            if (!def->set(c, argument))
                return try_help();
            continue;
        }
        if (def->letter == 'h')
            print_help();
        else
            print_version();
        return fflush(stdout) ? EXIT_FAILED : EXIT_FINE;
    }
    if (code == COMMAND_LINE_WRONG) {
        rt_print_line(stderr, "cnnc: '%.*s' %s", line->word_length, line->word, line->fault);
        return try_help();
    }
    if (o->completion) {
        print_completion(o->completion);
        return fflush(stdout) ? EXIT_FAILED : EXIT_FINE;
    }
    return options_finish(c->arena, line->operands, line->operands_count, o);
}

int options_parse(struct arena *a, int argc, char **argv, struct options *o)
{
    struct context c = {a, o, 0};
    struct option_name names[OPTIONS_COUNT];
    struct command_line line;

    o->target = "native";
    argv = name_depfile(a, &argc, argv);
    describe(names);
    if (rt_command_line_open(&line, names, OPTIONS_COUNT, argc, argv)) {
        fputs("cnnc: no memory for the command line\n", stderr);
        return EXIT_FAILED;
    }
    int status = options_read(&c, &line);
    rt_command_line_close(&line);
    return status;
}

/* A tree that was moved as a whole (unpacked elsewhere, staged with DESTDIR) still fits together:
 * where the program lies in a bin/ other than the one it was made for, the makefile lies as far
 * from there. */
static const char *moved_makefile(struct arena *a, const char *folder, size_t length)
{
    size_t prefix = strlen(CNNC_PREFIX);
    const char *bin = CNNC_BINDIR, *makefile = CNNC_MAKEFILE;

    if (strncmp(bin, CNNC_PREFIX, prefix) || strncmp(makefile, CNNC_PREFIX, prefix))
        return NULL;
    bin += prefix;
    size_t tail = strlen(bin);
    if (!tail || tail > length || strncmp(folder + length - tail, bin, tail))
        return NULL;
    const char *path = arena_printf(a, "%.*s%s", (int)(length - tail), folder, makefile + prefix);
    return access(path, R_OK) ? NULL : path;
}

const char *options_makefile(struct arena *a)
{
    enum { LONGEST = 4096 };
    const char *given = getenv("CNNC_MAKEFILE");
    char *program = arena_alloc(a, LONGEST);

    if (given && *given)
        return given;
    ssize_t length = readlink("/proc/self/exe", program, LONGEST - 1);
    char *slash = length > 0 ? memrchr(program, '/', (size_t)length) : NULL;
    if (slash) {
        size_t folder = (size_t)(slash - program);
        const char *beside = arena_printf(a, "%.*s/cnnc.mk", (int)folder, program);
        if (!access(beside, R_OK))
            return beside;
        const char *moved = moved_makefile(a, program, folder);
        if (moved)
            return moved;
    }
    return CNNC_MAKEFILE;
}

/* There is no way to quote these in all places where a makefile has names. */
bool options_makefile_fits(const char *path)
{
    const char *at = path + strcspn(path, " \t\n#$%:;&|<>()[]{}*?!~^'\"`\\");
    bool blank = *at && strchr(" \t\n", *at);

    if (!*at)
        return true;
    rt_print_line(stderr, "cnnc: %s: make cannot work with the %.*s in this name: move all that belongs to cnnc to a "
                          "folder without it, or install it in another one",
                  path, blank ? 5 : 1, blank ? "space" : at);
    return false;
}
