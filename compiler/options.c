/* options.c - see options.h. */
#define _GNU_SOURCE
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "options.h"
#include "base/bounds.h"
#include "common/command_line.h"
#include "common/completion.h"
#include "base/output.h"
#include "base/text.h"
#include "show/list.h"
#include "common/printable.h"

#include <stddef.h>
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

static const char *set_depfile(void *into, const char *argument)
{
    struct options *o = into;

    o->wants_depfile = true;
    if (argument)
        o->depfile = argument;
    return !argument || *argument ? NULL : "a file";
}

/* It begins every public name, macros in capital letters among them. */
static const char *set_name(void *into, const char *argument)
{
    struct options *o = into;
    size_t letters = strspn(argument, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "_0123456789");

    o->name = argument;
    return letters && !argument[letters] && *argument != '_' && !(*argument >= '0' && *argument <= '9')
               ? NULL : "a name as C has them, beginning with a letter";
}

static const char *set_wisdom(void *into, const char *argument)
{
    struct options *o = into;

    o->uses_wisdom = true;
    o->wisdom = argument;
    return !argument || *argument ? NULL : "a file";
}

static const char *set_summary(void *into, const char *argument)
{
    struct options *o = into;

    o->summary = argument && !strcmp(argument, "blocks") ? 2 : 1;
    return !argument || o->summary == 2 || !strcmp(argument, "layers") ? NULL : "layers or blocks";
}

static const char *set_list(void *into, const char *argument)
{
    struct options *o = into;
    struct text expected = {.arena = o->arena};

    o->list = argument ? 0 : 1;
    for (int i = 0; list_names[i] && argument; i++) {
        text_add(&expected, "%s%s", i == 0 ? "" : list_names[i + 1] ? ", " : " or ", list_names[i]);
        if (!strcmp(argument, list_names[i]))
            o->list = i + 2;
    }
    return o->list ? NULL : text_of(&expected);
}

static const char *set_format(void *into, const char *argument)
{
    struct options *o = into;

    o->format = argument ? FORMAT_CHECK : FORMAT_PRINT;
    return !argument || !strcmp(argument, "check") ? NULL : "check";
}

static const char *set_kernel(void *into, const char *argument)
{
    struct options *o = into;
    const char *equals = strchr(argument, '=');

    if (!equals || equals == argument || !equals[1])
        return "LAYER=NAME or LAYER:PASS=NAME";
    LIST_ADD(o->arena, o->forced, o->forced_count, o->forced_capacity, argument);
    return NULL;
}

static const char *set_define(void *into, const char *argument)
{
    struct options *o = into;
    size_t name = strspn(argument,
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

    if (!name || argument[name] != '=' || (*argument >= '0' && *argument <= '9'))
        return "name=value";
    if (strpbrk(argument, "\n;{}#"))
        return "one value";
    LIST_ADD(o->arena, o->defines, o->defines_count, o->defines_capacity, argument);
    return NULL;
}

static const char *set_include(void *into, const char *argument)
{
    struct options *o = into;

    LIST_ADD(o->arena, o->include_dirs, o->include_dirs_count, o->include_dirs_capacity, argument);
    return NULL;
}

/* A share of at least one sample, or "auto". */
static const char *set_share(void *into, const char *argument)
{
    struct options *o = into;
    char *end = NULL;
    long n = strtol(argument, &end, 10);

    o->share = !strcmp(argument, "auto") ? -1 : n;
    return o->share == -1 || (end != argument && !*end && n >= 1 && n <= BATCH_MOST)
               ? NULL : "a number of samples from 1 to 65536, or auto";
}

#define PLACE(field) .place = offsetof(struct options, field)
#define FLAG(field) .kind = OPTION_FLAG, PLACE(field)
#define TEXT(field, what) .kind = OPTION_TEXT, PLACE(field), .expected = what, .completes = COMPLETE_FILE
#define WORD(field, first, ...) .kind = OPTION_WORD, PLACE(field), .least = first, .words = {__VA_ARGS__}
#define WHOLE(field, from, to) .kind = OPTION_WHOLE, PLACE(field), .least = from, .most = to
#define OWN(function) .kind = OPTION_OWN, .set = function

static const struct option_row rows[] = {
    {'o', "output", "FILE", "write the C file FILE (default: MODEL.c here), and its header beside it",
     TEXT(output, "a file")},
    {0, "depfile", "[FILE]",
     "write what the C file is made from, for make, into FILE (default: .d beside it); also -MD, -MF FILE",
     OWN(set_depfile), .completes = COMPLETE_FILE},
    {0, "check", NULL, "only check the model", FLAG(check)},
    {0, "summary", "[BY]", "print layers, shapes, parameters, kernels, memory; blocks: each use of a block as one row",
     OWN(set_summary), .words = {"layers", "blocks"}},
    {0, "graph", "FORM", "print a picture of the network: svg, or dot for Graphviz", WORD(graph, GRAPH_SVG, "svg", "dot")},
    {0, "explain", NULL, "print the recipe with every default filled in", FLAG(explain)},
    {0, "dump", "STAGE", "print what a stage made: ast, model, graph or plan",
     WORD(dump, STAGE_AST, "ast", "model", "graph", "plan")},
    {'D', "define", "NAME=VALUE", "give a top-level constant of the file another value", OWN(set_define),
     .repeats = true},
    {0, "batch", "N", "take N samples at a time, whatever the recipe says", WHOLE(batch, 1, BATCH_MOST)},
    {0, "batch-per-rank", "N|auto", "take a batch in shares of N samples (auto: four), for several processes (CNNC_MPI=1)",
     OWN(set_share)},
    {'I', "include", "DIR", "look for included files in DIR too", OWN(set_include), .completes = COMPLETE_FOLDER,
     .repeats = true},
    {0, "emit", "WHAT", "write a trainer (default), or inference: the trained network as portable C",
     WORD(inference, 0, "trainer", "inference")},
    {0, "weights", "FILE", "inference: the trained weights, a safetensors file", TEXT(weights, "a safetensors file")},
    {0, "weights-as", "HOW", "inference: weights embedded in the C file (default), or extern: in one beside it",
     WORD(extern_weights, 0, "embedded", "extern")},
    {0, "arena", "WHOSE", "inference: memory is static (default), or the caller's: then calls are reentrant",
     WORD(caller_arena, 0, "static", "caller")},
    {0, "tta", NULL, "inference: average over the copies that the recipe's tta says", FLAG(tta)},
    {0, "name", "PREFIX", "what public names of the C file begin with (default: the model's name)", OWN(set_name)},
    {0, "target", "NAME",
     "machine to write for: native (default), x86-64-v4, x86-64-v3, x86-64-v2, aarch64, generic",
     .kind = OPTION_WORD, PLACE(target), .words = {"native",
#define TARGET(name, macro, bytes, registers, fma, turns, flops, l1, l2, memory, blas, core) name,
#include "steps/targets.def"
#undef TARGET
     }},
    {0, "real", "TYPE", "compute in float, double or bf16: products of bfloat16 summed in float (default: as the recipe says)",
     WORD(real, REAL_FLOAT, "float", "double", "bf16")},
    {0, "exact", NULL, "no kernel that rounds more than the plain one", FLAG(exact)},
    {0, "error-growth", "N", "no kernel whose rounding errors are over N times those of the plain one (25)",
     .kind = OPTION_REAL, PLACE(error_growth), .low = 1, .high = ERROR_GROWTH_MOST,
     .expected = "a number from 1 to 1000000"},
    {0, "kernel", "LAYER[:PASS]=NAME", "compute a layer (or one pass of it) with this kernel; may be repeated",
     OWN(set_kernel), .repeats = true},
    {0, "tune", NULL, "time the kernels on this machine first, and note that as wisdom", FLAG(tune)},
    {0, "wisdom", "[FILE]", "choose kernels by the times in FILE (default: $CNNC_WISDOM, or the one in the cache)",
     OWN(set_wisdom), .completes = COMPLETE_FILE},
    {0, "threads", "N", "with --dump=plan: how evenly N threads share the work; what --tune and --wisdom are about "
     "(default: the model's, or all)",
     WHOLE(threads, 1, THREADS_MOST)},
    {0, "list", "[WHAT]", "print what the language has: layers, losses, metrics ... (default: all lists)",
     OWN(set_list), .words = {"layers", "activations", "initialisers", "sources", "steps", "losses", "optimizers",
                              "schedules", "metrics", "callbacks", "statements", "keywords", "sizes", "functions",
                              "options"}},
    {0, "json", NULL, "list, summary: as JSON", FLAG(json)},
    {0, "format", "[HOW]", "print the files, or standard input, formatted; check: name those that are not, and fail",
     OWN(set_format), .words = {"check"}},
    {'i', "in-place", NULL, "format: write the files themselves anew", FLAG(in_place)},
    {0, "print-makefile", NULL, "print where cnnc.mk lies, to be included in a Makefile", FLAG(print_makefile)},
    {0, "print-completion", "SHELL", "print the completion of cnnc for bash, zsh or fish",
     WORD(completion, 1, "bash", "zsh", "fish")},
    {'h', "help", NULL, "print this help", .kind = OPTION_ASKS},
    {'V', "version", NULL, "print the version", .kind = OPTION_ASKS}};

enum { OPTIONS_COUNT = sizeof rows / sizeof *rows };

static void print_help(void)
{
    enum { COLUMN = 32 };

    puts("Usage: cnnc [OPTION]... MODEL.cnn\n"
         "  or:  cnnc --format [OPTION] [FILE.cnn]...\n"
         "Compile a convolutional network, its data and its training recipe into one C file.\n");
    for (int i = 0; i < OPTIONS_COUNT; i++) {
        const struct option_row *def = &rows[i];
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

static void print_completion(int shell)
{
    struct completion c = {.program = "cnnc", .options = rows, .options_count = OPTIONS_COUNT, .ending = ".cnn"};

    rt_completion_print(&c, rt_completion_shells[shell - 1], stdout);
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

static bool wrong_together(const char *text)
{
    rt_print_line(stderr, "cnnc: %s", text);
    return false;
}

/* What the options of --emit=inference ask of each other. */
static bool inference_fits(const struct options *o, bool writes)
{
    if (!o->inference && (o->weights || o->extern_weights || o->caller_arena || o->tta))
        return wrong_together("--weights, --weights-as, --arena and --tta need --emit=inference");
    if (!o->inference)
        return true;
    if (o->real == REAL_DOUBLE || o->real == REAL_BF16)
        return wrong_together("--emit=inference computes in float: --real=double and --real=bf16 make no sense");
    if (o->forced_count)
        return wrong_together("--emit=inference writes plain loops: --kernel makes no sense");
    if (o->target || o->exact || o->error_growth > 0)
        return wrong_together("--emit=inference writes plain loops for any machine: --target, --exact and --error-growth "
                              "make no sense");
    if (o->tune || o->uses_wisdom)
        return wrong_together("--emit=inference writes plain loops: --tune and --wisdom make no sense");
    if (o->batch || o->share)
        return wrong_together("--emit=inference computes one sample at a time: --batch and --batch-per-rank make no sense");
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
    return !o->threads || o->uses_wisdom || o->dump == STAGE_PLAN ||
           wrong_together("--threads is about --tune, --wisdom and --dump=plan: a trainer has a --threads of its own");
}

/* Any number of files, and nothing else that would be done with a model. */
static int format_finish(struct arena *a, const char *const *words, int files, struct options *o)
{
    const char **list = arena_array(a, (size_t)files + 1, sizeof *list);
    bool fine = true;

    for (int i = 0; i < files; i++)
        list[i] = words[i];
    o->files = list;
    o->files_count = files;
    if (o->output || o->wants_depfile || o->check || o->summary || o->explain || o->dump || o->graph || o->print_makefile ||
        o->inference || o->tune || o->uses_wisdom)
        fine = wrong_together("--format writes files as they are, formatted: nothing is compiled with it");
    else if (o->in_place && o->format == FORMAT_CHECK)
        fine = wrong_together("--format=check writes nothing, so -i makes no sense with it");
    for (int i = 0; o->in_place && i < (files ? files : 1) && fine; i++)
        if (!files || !strcmp(words[i], "-"))
            fine = wrong_together("-i writes files anew: standard input is none");
    return fine ? -1 : try_help();
}

static int list_finish(int files, const struct options *o)
{
    if (files || o->output || o->check || o->summary || o->explain || o->dump || o->graph || o->print_makefile || o->format) {
        wrong_together("--list prints tables of the language: it takes no model and nothing is compiled with it");
        return try_help();
    }
    list_print(o->list - 2, o->json, rows, OPTIONS_COUNT, stdout);
    return fflush(stdout) || ferror(stdout) ? EXIT_FAILED : EXIT_FINE;
}

/* One file, unless nothing but the Makefile is asked for.  Without another wish the C file is
 * written here. */
static int options_finish(struct arena *a, const char *const *words, int files, struct options *o)
{
    if (o->list)
        return list_finish(files, o);
    if (o->json && o->summary != 1)
        return wrong_together("--json is about --list and --summary"), try_help();
    if (o->format)
        return format_finish(a, words, files, o);
    if (o->in_place)
        return wrong_together("-i is about --format"), try_help();
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
    if (o->output && o->graph) {
        fputs("cnnc: --graph prints a picture (> FILE takes it); -o names a C file and makes no sense with it\n", stderr);
        return try_help();
    }
    if (!o->output && !o->check && !o->summary && !o->graph && !o->explain && !o->dump && !o->print_makefile) {
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

/* An option is called by its letter where that is how everybody writes it. */
static int wrong_argument(const struct option_row *row, const char *argument, const char *expected)
{
    if (row->letter)
        rt_print_line(stderr, "cnnc: -%c: expected %s, found '%s'", row->letter, expected, argument);
    else
        rt_print_line(stderr, "cnnc: --%s: expected %s, found '%s'", row->name, expected, argument);
    return try_help();
}

static int options_read(struct options *o, struct command_line *line)
{
    const char *argument;
    char text[256];
    int code;

    while ((code = rt_command_line_next(line, &argument)) >= 0) {
        const struct option_row *row = &rows[code];
        if (row->kind == OPTION_ASKS) {
            if (row->letter == 'h')
                print_help();
            else
                print_version();
            return fflush(stdout) ? EXIT_FAILED : EXIT_FINE;
        }
        const char *expected = rt_option_store(row, argument, o, text, sizeof text);
        if (expected)
            return wrong_argument(row, argument, expected);
    }
    if (code == COMMAND_LINE_WRONG) {
        rt_print_line(stderr, "cnnc: '%.*s' %s", line->word_length, line->word, line->fault);
        return try_help();
    }
    if (o->completion) {
        print_completion(o->completion);
        return fflush(stdout) ? EXIT_FAILED : EXIT_FINE;
    }
    return options_finish(o->arena, line->operands, line->operands_count, o);
}

int options_parse(struct arena *a, int argc, char **argv, struct options *o)
{
    struct command_line line;

    o->arena = a;
    argv = name_depfile(a, &argc, argv);
    if (rt_command_line_open(&line, rows, OPTIONS_COUNT, argc, argv)) {
        fputs("cnnc: no memory for the command line\n", stderr);
        return EXIT_FAILED;
    }
    int status = options_read(o, &line);
    rt_command_line_close(&line);
    return status;
}

const char *options_target(const struct options *o)
{
    for (int i = 0; i < OPTIONS_COUNT; i++)
        if (rows[i].place == offsetof(struct options, target))
            return rows[i].words[o->target];
    return NULL;
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
