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
      "classes of PNG and JPEG files, or of folders of them" },
    { "summary", COMMAND_SUMMARY, rt_summary, "layers, shapes, parameters, memory" },
    { "bench", COMMAND_BENCH, rt_bench, "time of a training step and of each layer" },
    { "gradcheck", COMMAND_GRADCHECK, rt_gradcheck, "compare gradients with finite differences" },
};

enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0] };

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_WHOLE,
    OPTION_REAL,
    OPTION_RATE,        /* a number above 0 */
    OPTION_COMPLETION,
    OPTION_HELP,
    OPTION_VERSION
};

static const int64_t whole_limit = INT64_MAX;

static const struct option_row {
    const char *name, *value;       /* value: its name in --help; NULL: takes none */
    enum option_kind kind;
    size_t place;                   /* in struct command_options */
    int64_t min, max;               /* WHOLE */
    int commands;                   /* bits of those it means something to */
    const char *help;
} rows[] = {
#define PLACE(field) offsetof(struct command_options, field)
    { "data", "DIR", OPTION_TEXT, PLACE(data), 0, 0, COMMAND_TRAIN | COMMAND_EVALUATE,
      "the data's directory, or the one above it" },
    { "epochs", "N", OPTION_WHOLE, PLACE(epochs), 0, 1000000, COMMAND_TRAIN,
      "passes over the training set" },
    { "lr", "X", OPTION_RATE, PLACE(lr), 0, 0, COMMAND_TRAIN, "learning rate" },
    { "seed", "N", OPTION_WHOLE, PLACE(seed), 0, whole_limit,
      COMMAND_TRAIN | COMMAND_EVALUATE | COMMAND_BENCH | COMMAND_GRADCHECK,
      "seed of all that is random" },
    { "threads", "N", OPTION_WHOLE, PLACE(threads), 1, 4096, COMMAND_ALL,
      "processors used (as many as the machine has)" },
    { "verbose", "0|1|2", OPTION_WHOLE, PLACE(verbose), 0, 2, COMMAND_TRAIN | COMMAND_EVALUATE,
      "nothing, a progress bar, or a line an epoch" },
    { "run-dir", "DIR", OPTION_TEXT, PLACE(run_dir), 0, 0,
      COMMAND_TRAIN | COMMAND_EVALUATE | COMMAND_PREDICT, "where a run is kept (MODEL.run)" },
    { "overwrite", NULL, OPTION_FLAG, PLACE(overwrite), 0, 0, COMMAND_TRAIN,
      "replace the run that DIR holds" },
    { "resume", NULL, OPTION_FLAG, PLACE(resume), 0, 0, COMMAND_TRAIN,
      "go on with the run that DIR holds; --epochs counts in all" },
    { "save-every", "MIN", OPTION_REAL, PLACE(save_every), 0, 0, COMMAND_TRAIN,
      "minutes between saved states within an epoch (10)" },
    { "weights", "FILE", OPTION_TEXT, PLACE(weights), 0, 0,
      COMMAND_TRAIN | COMMAND_EVALUATE | COMMAND_PREDICT | COMMAND_BENCH | COMMAND_GRADCHECK,
      "use these weights, or start from them (safetensors or .npz)" },
    { "partial", NULL, OPTION_FLAG, PLACE(partial), 0, 0, COMMAND_TRAIN,
      "take of --weights what fits and list what does not" },
    { "limit-steps", "N", OPTION_WHOLE, PLACE(limit_steps), 1, whole_limit, COMMAND_TRAIN,
      "end training after N steps in all" },
    { "no-shuffle", NULL, OPTION_FLAG, PLACE(no_shuffle), 0, 0, COMMAND_TRAIN,
      "take the training set in its own order" },
    { "history", "FILE", OPTION_TEXT, PLACE(history), 0, 0, COMMAND_TRAIN,
      "write a row an epoch as CSV" },
    { "log-steps", "FILE", OPTION_TEXT, PLACE(log_steps), 0, 0, COMMAND_TRAIN,
      "write a row a step as CSV" },
    { "steps", "N", OPTION_WHOLE, PLACE(steps), 1, 1000000, COMMAND_BENCH, "steps timed (50)" },
    { "json", NULL, OPTION_FLAG, PLACE(json), 0, 0,
      COMMAND_EVALUATE | COMMAND_BENCH | COMMAND_PREDICT, "print JSON" },
    { "csv", NULL, OPTION_FLAG, PLACE(csv), 0, 0,
      COMMAND_EVALUATE | COMMAND_BENCH | COMMAND_PREDICT,
      "print CSV; evaluate: a row a class, bench: the time of each stretch" },
    { "wrong", "FILE", OPTION_TEXT, PLACE(wrong), 0, 0, COMMAND_EVALUATE,
      "write as CSV which pictures were taken for what they are not" },
    { "top", "K", OPTION_WHOLE, PLACE(top), 1, 65536, COMMAND_PREDICT,
      "classes shown of a picture (3)" },
    { "points", "N", OPTION_WHOLE, PLACE(points), 1, 1000000, COMMAND_GRADCHECK,
      "elements checked of a parameter (24)" },
    { "samples", "N", OPTION_WHOLE, PLACE(samples), 1, 1000000, COMMAND_GRADCHECK,
      "size of the batch used (4)" },
    { "print-completion", "SHELL", OPTION_COMPLETION, 0, 0, 0, COMMAND_ALL,
      "print this trainer's completion for bash, zsh or fish" },
    { "help", NULL, OPTION_HELP, 0, 0, 0, COMMAND_ALL, "print this and exit; so does -h" },
    { "version", NULL, OPTION_VERSION, 0, 0, 0, COMMAND_ALL, "print the version and exit; so does -V" },
#undef PLACE
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
    rt_print(stdout, "Usage: %s [COMMAND] [OPTION]...\n       %s predict [OPTION]... PICTURE|FOLDER...\nThe network of "
           "%s.\n\nCommands:\n",
           program, program, model->source);
    for (int i = 0; i < COMMANDS_COUNT; i++)
        printf("  %-24s %s\n", commands[i].name, commands[i].help);
    printf("\nOptions:\n");
    for (int i = 0; i < ROWS_COUNT; i++) {
        const struct option_row *r = &rows[i];
        if (!r->help)
            continue;
        char name[64];
        snprintf(name, sizeof name, "--%s%s%s", r->name, r->value ? " " : "",
                 r->value ? r->value : "");
        printf("  %-24s %s", name, r->help);
        if (r->commands != COMMAND_ALL) {
            fputs("  [", stdout);
            commands_print(stdout, r->commands);
            fputs("]", stdout);
        }
        putchar('\n');
    }
    printf("\nAn option goes before the recipe, the recipe before the environment.\n"
           "Exit status: 0 finished, 1 the run failed, 2 wrong use.\n");
}

/* What a row's argument is follows from its name in --help; of --verbose the words are. */
static int completion_print(const char *program, const char *shell)
{
    static const char *const levels[] = { "0", "1", "2", NULL };
    struct completion_option options[ROWS_COUNT];
    struct completion_command words[COMMANDS_COUNT];
    for (int i = 0; i < ROWS_COUNT; i++) {
        const struct option_row *r = &rows[i];
        const char *value = r->value ? r->value : "";
        struct completion_option *o = &options[i];
        *o = (struct completion_option){ .name = r->name, .argument = r->value, .help = r->help };
        if (strcmp(value, "FILE") == 0)
            o->value = COMPLETE_FILE;
        else if (strcmp(value, "DIR") == 0)
            o->value = COMPLETE_FOLDER;
        else if (strcmp(value, "0|1|2") == 0)
            o->value = COMPLETE_WORDS, o->words = levels;
        else if (r->kind == OPTION_COMPLETION)
            o->value = COMPLETE_WORDS, o->words = rt_completion_shells;
    }
    for (int i = 0; i < COMMANDS_COUNT; i++)
        words[i] = (struct completion_command){ commands[i].name, commands[i].help };
    struct completion c = { .program = program,
                            .options = options,
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

/* Stores an option's value.  0, or -1 with a message. */
static int value_store(const struct option_row *r, const char *text, struct command_options *o)
{
    char *place = (char *)o + r->place, *end;
    errno = 0;
    if (r->kind == OPTION_FLAG) {
        *(bool *)place = true;
    } else if (r->kind == OPTION_TEXT) {
        if (!*text) {
            rt_error("--%s '': expected the name of a %s", r->name,
                     strcmp(r->value, "DIR") ? "file" : "folder");
            return -1;
        }
        *(const char **)place = text;
    } else if (r->kind == OPTION_WHOLE) {
        long long value = strtoll(text, &end, 10);
        if (errno || end == text || *end || value < r->min || value > r->max) {
            if (r->max == whole_limit)
                rt_error("--%s '%s': expected a whole number from %lld", r->name, text,
                         (long long)r->min);
            else
                rt_error("--%s '%s': expected a whole number from %lld to %lld", r->name, text,
                         (long long)r->min, (long long)r->max);
            return -1;
        }
        *(int64_t *)place = value;
    } else {
        double value = strtod(text, &end);
        bool fits = r->kind == OPTION_RATE ? value > 0.0 : value >= 0.0;
        if (end == text || *end || !fits || isinf(value)) {
            rt_error("--%s '%s': expected a number%s", r->name, text,
                     r->kind == OPTION_RATE ? " above 0" : ", 0 or more");
            return -1;
        }
        *(double *)place = value;
    }
    return 0;
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
        rt_error("predict needs a picture or a folder of them");
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

/* Options after one another, until one of them is all that is asked for. */
static enum parsed options_parse(const struct cnn_model *model, const char *program, struct command_line *line,
                                 struct command_options *o, bool given[ROWS_COUNT])
{
    const char *argument;
    int code;
    while ((code = rt_command_line_next(line, &argument)) >= 0) {
        const struct option_row *r = &rows[code];
        if (r->kind == OPTION_HELP) {
            help_print(model, program);
            return PARSED_DONE;
        }
        if (r->kind == OPTION_COMPLETION)
            return completion_print(program, argument) ? PARSED_WRONG : PARSED_DONE;
        if (r->kind == OPTION_VERSION) {
            rt_print(stdout, "%s, compiled for %s, with the cnnc runtime %s\n", model->name, model->target,
                   cnn_version());
            return PARSED_DONE;
        }
        if (value_store(r, argument, o))
            return PARSED_WRONG;
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

uint64_t rt_seed_choose(const struct cnn_model *model, const struct command_options *o)
{
    return o->seed >= 0 ? (uint64_t)o->seed : model->train.seed;
}

/* alone: the process is nothing but this trainer. */
static int command_run(const struct cnn_model *model, struct command_line *line, int argc, char **argv, bool alone)
{
    const char *program = argc > 0 ? argv[0] : model->name;
    struct command_options o = { .epochs = -1,
                                 .threads = -1,
                                 .verbose = -1,
                                 .limit_steps = -1,
                                 .steps = -1,
                                 .points = -1,
                                 .samples = -1,
                                 .top = -1,
                                 .seed = -1,
                                 .lr = NAN,
                                 .save_every = NAN,
                                 .argv = argv,
                                 .argc = argc };
    const struct command_row *command;
    switch (parse(model, program, line, &o, &command)) {
    case PARSED_WRONG:
        return wrong_use(program);
    case PARSED_DONE:
        return EXIT_FINE;
    case PARSED_RUN:
        break;
    }
    if (o.command != COMMAND_SUMMARY)
        rt_blas_core_check(model, alone ? argv : NULL);
    return command->run(model, &o);
}

static int guest_run(const struct cnn_model *model, int argc, char **argv, bool alone)
{
    struct option_name names[ROWS_COUNT];
    struct command_line line;
    struct guest guest;
    int status = EXIT_FAILED;
    for (int i = 0; i < ROWS_COUNT; i++)
        names[i] = (struct option_name){ rows[i].name, rows[i].kind == OPTION_HELP ? 'h'
                                                       : rows[i].kind == OPTION_VERSION ? 'V' : 0,
                                         rows[i].value ? ARGUMENT_NEEDED : ARGUMENT_NONE };
    rt_guest_enter(&guest);
    if (model->abi != CNNRT_ABI)
        rt_error("the network was compiled for version %u of the runtime's interface, the library "
                 "has version %d",
                 (unsigned)model->abi, CNNRT_ABI);
    else if (rt_command_line_open(&line, names, ROWS_COUNT, argc, argv))
        rt_error("no memory for %d words", argc);
    else {
        status = command_run(model, &line, argc, argv, alone);
        rt_command_line_close(&line);
    }
    if ((fflush(stdout) || ferror(stdout)) && status % STOPPED == EXIT_FINE) {
        rt_error("standard output: %s", strerror(errno));
        status += EXIT_FAILED;
    }
    rt_guest_leave(&guest);
    if (status >= STOPPED)
        raise(status / STOPPED);        /* whoever started us sees how we ended */
    return status % STOPPED;
}

int cnn_main(const struct cnn_model *model, int argc, char **argv)
{
    return guest_run(model, argc, argv, false);
}

int cnn_trainer_main(const struct cnn_model *model, int argc, char **argv)
{
    return guest_run(model, argc, argv, true);
}
