/* command.c - one table of options that parses and prints --help; one table of commands. */
#define _GNU_SOURCE
#include "cli/command.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/command_line.h"
#include "common/completion.h"
#include "core/guest.h"
#include "core/message.h"
#include "core/rank_writes.h"
#include "core/parallel.h"

static const struct command_row {
    const char *name;
    enum command_bit bit;
    int (*run)(const struct cnn_model *model, const struct command_options *o);
    const char *help;
} commands[] = {
    { "train", COMMAND_TRAIN, rt_train,
      "train as the recipe says (also when no command is given)" },
    { "evaluate", COMMAND_EVALUATE, rt_evaluate,
      "loss and metrics of trained weights on the test set" },
    { "predict", COMMAND_PREDICT, rt_predict,
      "classes of PNG and JPEG files, folders of them, or samples of npy, npz, csv" },
    { "preview", COMMAND_PREVIEW, rt_preview, "a picture of training samples, as they are drawn in an epoch" },
    { "summary", COMMAND_SUMMARY, rt_summary, "layers, shapes, parameters, memory" },
    { "bench", COMMAND_BENCH, rt_bench, "time of a training step and of each layer" },
    { "lr-range", COMMAND_LR_RANGE, rt_lr_range, "train some steps with a rising rate and draw the losses" },
    { "gradcheck", COMMAND_GRADCHECK, rt_gradcheck, "compare gradients with finite differences" },
};

enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0] };

enum { FOR_SETS = COMMAND_TRAIN | COMMAND_EVALUATE, FOR_STEPS = COMMAND_TRAIN | COMMAND_LR_RANGE,
        FOR_TABLES = COMMAND_EVALUATE | COMMAND_BENCH | COMMAND_PREDICT };

#define PLACE(field) .place = offsetof(struct command_options, field)
#define FLAG(field) .kind = OPTION_FLAG, PLACE(field)
#define FILE_NAME(field) .kind = OPTION_TEXT, PLACE(field), .expected = "the name of a file", .completes = COMPLETE_FILE
#define FOLDER(field) .kind = OPTION_TEXT, PLACE(field), .expected = "the name of a folder", .completes = COMPLETE_FOLDER
#define WHOLE(field, from, to) .kind = OPTION_WHOLE, PLACE(field), .least = from, .most = to

static const struct option_row rows[] = {
    { 0, "data", "DIR", "the data's directory, or the one above it", FOLDER(run.data),
      .commands = FOR_SETS | COMMAND_LR_RANGE | COMMAND_BENCH | COMMAND_PREVIEW },
    { 0, "data-memory", "MIB", "memory for samples, in MiB; more are read as they are needed (half of the machine's)",
      WHOLE(run.data_memory, 1, INT64_MAX >> 20),
      .commands = FOR_SETS | COMMAND_SUMMARY | COMMAND_LR_RANGE | COMMAND_BENCH | COMMAND_PREVIEW },
    { 0, "epochs", "N", "passes over the training set", .kind = OPTION_REAL, PLACE(run.epochs),
      .high = 1000000, .expected = "a number from 0 to 1000000", .commands = COMMAND_TRAIN },
    { 0, "lr", "X", "learning rate", .kind = OPTION_REAL, PLACE(run.lr), .above = true, .high = INFINITY,
      .expected = "a number above 0", .commands = COMMAND_TRAIN },
    { 0, "seed", "N", "seed of all that is random", WHOLE(run.seed, 0, INT64_MAX),
      .commands = FOR_SETS | COMMAND_LR_RANGE | COMMAND_BENCH | COMMAND_GRADCHECK | COMMAND_PREVIEW },
    { 0, "threads", "N", "processors used (as many as the machine has)", WHOLE(run.threads, 1, 4096),
      .commands = COMMAND_ALL },
    { 0, "verbose", "0|1|2", "nothing, a progress bar, or a line an epoch", WHOLE(run.verbose, 0, 2),
      .words = { "0", "1", "2" }, .commands = FOR_SETS },
    { 0, "run-dir", "DIR", "where a run is kept (MODEL.run)", FOLDER(run.run_dir),
      .commands = FOR_SETS | COMMAND_PREDICT },
    { 0, "overwrite", NULL, "replace the run that DIR holds", FLAG(run.overwrite), .commands = COMMAND_TRAIN },
    { 0, "resume", NULL, "go on with the run that DIR holds; --epochs counts in all", FLAG(run.resume),
      .commands = COMMAND_TRAIN },
    { 0, "save-every", "MIN", "minutes between saved states within an epoch (10)", .kind = OPTION_REAL,
      PLACE(run.save_every), .high = INFINITY, .expected = "a number, 0 or more", .commands = COMMAND_TRAIN },
    { 0, "time-limit", "MIN", "save and stop in time, so that all is over MIN minutes after the start; status 75 then",
      .kind = OPTION_REAL, PLACE(run.time_limit), .above = true, .high = 1e9, .expected = "a number above 0",
      .commands = COMMAND_TRAIN },
    { 0, "reduce", "HOW", "sum gradients of several processes ordered: the same bits for any number; or fast (ordered)",
      .kind = OPTION_WORD, PLACE(run.reduce), .words = { "ordered", "fast" }, .commands = COMMAND_TRAIN },
    { 0, "weights", "FILE", "use these weights, or start from them (safetensors or .npz)", FILE_NAME(run.weights),
      .commands = FOR_SETS | COMMAND_LR_RANGE | COMMAND_PREDICT | COMMAND_BENCH | COMMAND_GRADCHECK },
    { 0, "partial", NULL, "take of --weights what fits and list what does not", FLAG(run.partial),
      .commands = COMMAND_TRAIN },
    { 0, "limit-steps", "N", "end training after N steps in all", WHOLE(run.limit_steps, 1, INT64_MAX),
      .commands = COMMAND_TRAIN },
    { 0, "no-shuffle", NULL, "take the training set in its own order", FLAG(run.no_shuffle),
      .commands = FOR_STEPS | COMMAND_PREVIEW },
    { 0, "from", "X", "the rate that the range begins with (1e-6)", .kind = OPTION_REAL, PLACE(from), .above = true,
      .high = INFINITY, .expected = "a number above 0", .commands = COMMAND_LR_RANGE },
    { 0, "to", "X", "the rate that it ends with (1)", .kind = OPTION_REAL, PLACE(to), .above = true, .high = INFINITY,
      .expected = "a number above 0", .commands = COMMAND_LR_RANGE },
    { 0, "output", "NAME", "write NAME.csv and NAME.svg (MODEL.lr-range)", FILE_NAME(output),
      .commands = COMMAND_LR_RANGE },
    { 0, "history", "FILE", "write a row an epoch as CSV", FILE_NAME(run.history), .commands = COMMAND_TRAIN },
    { 0, "log-steps", "FILE", "write a row a step as CSV", FILE_NAME(run.log_steps), .commands = COMMAND_TRAIN },
    { 0, "steps", "N", "steps timed (50), or of a range (100)", WHOLE(steps, 1, 1000000),
      .commands = COMMAND_LR_RANGE | COMMAND_BENCH },
    { 0, "json", NULL, "print JSON", FLAG(json), .commands = FOR_TABLES },
    { 0, "csv", NULL, "print CSV; evaluate: a row a class, bench: the time of each stretch", FLAG(csv),
      .commands = FOR_TABLES },
    { 0, "wrong", "FILE", "write as CSV which pictures were taken for what they are not", FILE_NAME(wrong),
      .commands = COMMAND_EVALUATE },
    { 0, "no-tta", NULL, "take each sample as it is, whatever the recipe's tta says", FLAG(run.no_tta),
      .commands = FOR_SETS | COMMAND_PREDICT },
    { 0, "top", "K", "classes shown of a picture or sample (3)", WHOLE(top, 1, 65536), .commands = COMMAND_PREDICT },
    { 0, "pictures", "DIR", "write what an autoencoder gives back as PNG files, DIR/NAME.png", FOLDER(pictures),
      .commands = COMMAND_PREDICT },
    { 0, "out", "FILE", "the picture (MODEL.preview.png)", FILE_NAME(out), .commands = COMMAND_PREVIEW },
    { 0, "rows", "N", "rows of samples (4)", WHOLE(rows, 1, 1000), .commands = COMMAND_PREVIEW },
    { 0, "columns", "N", "samples in a row (8)", WHOLE(columns, 1, 1000), .commands = COMMAND_PREVIEW },
    { 0, "epoch", "N", "the epoch that they are drawn for (1)", WHOLE(epoch, 1, 1000000), .commands = COMMAND_PREVIEW },
    { 0, "points", "N", "elements checked of a parameter (24)", WHOLE(points, 1, 1000000),
      .commands = COMMAND_GRADCHECK },
    { 0, "samples", "N", "size of the batch used (4)", WHOLE(samples, 1, 1000000), .commands = COMMAND_GRADCHECK },
    { 0, "print-completion", "SHELL", "print this trainer's completion for bash, zsh or fish", .kind = OPTION_ASKS,
      .words = { "bash", "zsh", "fish" }, .commands = COMMAND_ALL },
    { 'h', "help", NULL, "print this and exit; so does -h", .kind = OPTION_ASKS, .commands = COMMAND_ALL },
    { 'V', "version", NULL, "print the version and exit; so does -V", .kind = OPTION_ASKS, .commands = COMMAND_ALL },
};

enum { ROWS_COUNT = sizeof rows / sizeof rows[0] };

/* "train, evaluate": those whose bits are set. */
static void commands_print(FILE *out, int bits)
{
    const char *comma = "";
    for (int k = 0; k < COMMANDS_COUNT; k++)
        if (bits & (int)commands[k].bit) {
            fprintf(out, "%s%s", comma, commands[k].name);
            comma = ", ";
        }
}

static void help_print(const struct cnn_model *model, const char *program)
{
    rt_print(stdout, "Usage: %s [COMMAND] [OPTION]...\n       %s predict [OPTION]... FILE|FOLDER...\nThe network of "
           "%s.\n\nCommands:\n",
           program, program, model->source);
    for (int i = 0; i < COMMANDS_COUNT; i++)
        printf("  %-24s %s\n", commands[i].name, commands[i].help);
    printf("\nOptions:\n");
    for (int i = 0; i < ROWS_COUNT; i++) {
        const struct option_row *r = &rows[i];
        char name[64];
        snprintf(name, sizeof name, "--%s%s%s", r->name, r->argument ? " " : "",
                 r->argument ? r->argument : "");
        printf("  %-24s %s", name, r->help);
        if (r->commands != COMMAND_ALL) {
            fputs("  [", stdout);
            commands_print(stdout, r->commands);
            fputs("]", stdout);
        }
        putchar('\n');
    }
    printf("\nAn option goes before the recipe, the recipe before the environment.\n"
           "Exit status: 0 finished, 1 the run failed, 2 wrong use, 75 --time-limit has stopped it.\n");
}

static int completion_print(const char *program, const char *shell)
{
    struct completion_command words[COMMANDS_COUNT];
    for (int i = 0; i < COMMANDS_COUNT; i++)
        words[i] = (struct completion_command){ commands[i].name, commands[i].help };
    struct completion c = { .program = program,
                            .options = rows,
                            .options_count = ROWS_COUNT,
                            .commands = words,
                            .commands_count = COMMANDS_COUNT };
    if (rt_completion_print(&c, shell, stdout))
        return 0;
    rt_error("--print-completion '%s': expected bash, zsh or fish", shell);
    return -1;
}

static int wrong_use(const char *program)
{
    rt_print_line(stderr, "Try '%s --help'.", program);
    return EXIT_WRONG_USE;
}

static const struct command_row *command_find(const char *name)
{
    for (int i = 0; i < COMMANDS_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* What is left after the options: at most a command, and behind predict its pictures. */
static const struct command_row *command_choose(int count, const char *const *words)
{
    if (count == 0)
        return &commands[0];
    const struct command_row *row = command_find(words[0]);
    bool takes_words = row && row->bit == COMMAND_PREDICT;
    if (!row) {
        rt_error("there is no command '%s'", words[0]);
        fputs("The commands are ", stderr);
        commands_print(stderr, COMMAND_ALL);
        fputs(".\n", stderr);
    }
    if (takes_words && count == 1)
        rt_error("predict needs a picture or a folder of them, or a file of samples");
    if (row && !takes_words && count > 1)
        rt_error("%s takes no further word: '%s'", row->name, words[1]);
    return takes_words == (count > 1) ? row : NULL;
}

enum parsed { PARSED_RUN, PARSED_DONE, PARSED_WRONG };

/* Whether every option that was given means something to the command; a message where one does not. */
static bool options_fit(const bool given[ROWS_COUNT], const struct command_row *command)
{
    for (int i = 0; i < ROWS_COUNT; i++)
        if (given[i] && !(rows[i].commands & (int)command->bit)) {
            rt_error("--%s means nothing to %s", rows[i].name, command->name);
            fputs("It is an option of ", stderr);
            commands_print(stderr, rows[i].commands);
            fputs(".\n", stderr);
            return false;
        }
    return true;
}

/* What an option asks for that is all that is done. */
static enum parsed answer(const struct cnn_model *model, const char *program, const struct option_row *row,
                          const char *argument, const struct cnn_ranks *ranks)
{
    if (!rt_rank_writes(ranks))
        return PARSED_DONE;
    if (row->letter == 'h')
        help_print(model, program);
    else if (row->letter == 'V')
        rt_print(stdout, "%s, compiled for %s, with the cnnc runtime %s\n", model->name, model->target, cnn_version());
    else if (completion_print(program, argument))
        return PARSED_WRONG;
    return PARSED_DONE;
}

/* Options after one another, until one of them is all that is asked for. */
static enum parsed options_parse(const struct cnn_model *model, const char *program, struct command_line *line,
                                 struct command_options *o, bool given[ROWS_COUNT])
{
    const char *argument;
    char text[256];
    int code;
    while ((code = rt_command_line_next(line, &argument)) >= 0) {
        const struct option_row *r = &rows[code];
        if (r->kind == OPTION_ASKS)
            return answer(model, program, r, argument, o->run.ranks);
        const char *expected = rt_option_store(r, argument, o, text, sizeof text);
        if (expected) {
            rt_error("--%s '%s': expected %s", r->name, argument, expected);
            return PARSED_WRONG;
        }
        given[code] = true;
    }
    if (code == COMMAND_LINE_END)
        return PARSED_RUN;
    rt_error("'%.*s' %s", line->word_length, line->word, line->fault);
    return PARSED_WRONG;
}

/* Reads the command line into `o` and the command's row.  The words of `o` are the line's. */
static enum parsed parse(const struct cnn_model *model, const char *program, struct command_line *line,
                         struct command_options *o, const struct command_row **command)
{
    bool given[ROWS_COUNT] = { 0 };
    enum parsed parsed = options_parse(model, program, line, o, given);
    if (parsed != PARSED_RUN)
        return parsed;
    *command = command_choose(line->operands_count, line->operands);
    if (!*command)
        return PARSED_WRONG;
    o->command = (*command)->bit;
    o->words = line->operands + 1;
    o->words_count = line->operands_count > 1 ? line->operands_count - 1 : 0;
    return options_fit(given, *command) ? PARSED_RUN : PARSED_WRONG;
}

/* alone: the process is nothing but this trainer. */
static int command_run(const struct cnn_model *model, struct command_line *line, int argc, char **argv, bool alone,
                       const struct cnn_ranks *ranks, char *fault)
{
    const char *program = argc > 0 ? argv[0] : model->name;
    struct command_options o = { .run = rt_run_options(argc, argv),
                                 .steps = -1, .from = NAN, .to = NAN, .points = -1, .samples = -1, .top = -1,
                                 .rows = -1, .columns = -1, .epoch = -1 };
    const struct command_row *command;
    o.run.ranks = ranks;
    o.fault = fault;
    switch (parse(model, program, line, &o, &command)) {
    case PARSED_WRONG:
        return rt_rank_writes(ranks) ? wrong_use(program) : EXIT_WRONG_USE;
    case PARSED_DONE:
        return EXIT_FINE;
    case PARSED_RUN:
        break;
    }
    if (!(o.command & (COMMAND_TRAIN | COMMAND_EVALUATE | COMMAND_PREDICT))) {      /* one process does that */
        if (!rt_rank_writes(ranks))
            return EXIT_FINE;
        o.run.ranks = NULL;
    }
    if (o.command != COMMAND_SUMMARY)
        rt_blas_core_check(model, alone ? argv : NULL);
    return command->run(model, &o);
}

/* ranks_main: who has called us ends more than this function before a signal may end the process. */
static int guest_run(const struct cnn_model *model, int argc, char **argv, bool alone, bool ranks_main,
                     const struct cnn_ranks *ranks)
{
    char fault[1024];
    struct command_line line;
    struct guest guest;
    int status = EXIT_FAILED;
    rt_guest_enter(&guest);
    if (model->abi != CNNRT_ABI)
        rt_error("the network was compiled for version %u of the runtime's interface, the library "
                 "has version %d",
                 (unsigned)model->abi, CNNRT_ABI);
    else if (rt_command_line_open(&line, rows, ROWS_COUNT, argc, argv))
        rt_error("no memory for %d words", argc);
    else {
        if (ranks)
            rt_message_catch(fault, sizeof fault, !rt_rank_writes(ranks));
        status = command_run(model, &line, argc, argv, alone, ranks, ranks ? fault : NULL);
        rt_message_catch(NULL, 0, false);
        rt_command_line_close(&line);
    }
    if ((fflush(stdout) || ferror(stdout)) && status % STOPPED == EXIT_FINE) {
        rt_error("standard output: %s", strerror(errno));
        status += EXIT_FAILED;
    }
    rt_guest_leave(&guest);
    if (ranks_main)
        return status;
    if (status >= STOPPED)
        raise(status / STOPPED);        /* whoever started us sees how we ended */
    return status % STOPPED;
}

int cnn_main(const struct cnn_model *model, int argc, char **argv)
{
    return guest_run(model, argc, argv, false, false, NULL);
}

int cnn_trainer_main(const struct cnn_model *model, int argc, char **argv)
{
    return guest_run(model, argc, argv, true, false, NULL);
}

void cnn_ranks_prepare(const struct cnn_model *model, char **argv)
{
    if (model->abi == CNNRT_ABI)
        rt_blas_core_restart(model, argv);
}

int cnn_ranks_main(const struct cnn_model *model, int argc, char **argv, const struct cnn_ranks *ranks)
{
    return guest_run(model, argc, argv, false, true, ranks && ranks->count > 1 ? ranks : NULL);
}
