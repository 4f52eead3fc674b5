/* command_line.c - see command_line.h. */
#include "common/command_line.h"

#include <stdlib.h>
#include <string.h>

int rt_command_line_open(struct command_line *l, const struct option_row *options, int options_count, int argc,
                         char **argv)
{
    int count = argc > 1 ? argc - 1 : 0;
    *l = (struct command_line){ .options = options, .options_count = options_count,
                                .words = (const char *const *)argv + 1, .words_count = count };
    l->operands = malloc(((size_t)count + 1) * sizeof *l->operands);
    return l->operands ? 0 : -1;
}

void rt_command_line_close(struct command_line *l)
{
    free(l->operands);
    l->operands = NULL;
}

enum takes { TAKES_NONE, TAKES_ONE, MAY_TAKE_ONE };

static enum takes argument_of(const struct option_row *row)
{
    return !row->argument ? TAKES_NONE : *row->argument == '[' ? MAY_TAKE_ONE : TAKES_ONE;
}

static int wrong(struct command_line *l, const char *word, size_t length, const char *fault)
{
    l->word = word;
    l->word_length = (int)length;
    l->fault = fault;
    return COMMAND_LINE_WRONG;
}

/* The word after an option that needs one; NULL: there is none. */
static const char *word_take(struct command_line *l)
{
    if (!l->words_count)
        return NULL;
    l->words_count--;
    return *l->words++;
}

static int letter_read(struct command_line *l, const char **argument)
{
    int found = 0;
    char letter = *l->letters++;
    const char *rest = *l->letters ? l->letters : NULL;
    l->letter[0] = '-';
    l->letter[1] = letter;
    while (found < l->options_count && l->options[found].letter != letter)
        found++;
    if (found == l->options_count)
        return wrong(l, l->letter, 2, "is not an option");
    if (!rest || argument_of(&l->options[found]) != TAKES_NONE)
        l->letters = NULL;
    if (argument_of(&l->options[found]) == TAKES_NONE)
        return found;
    *argument = rest || argument_of(&l->options[found]) == MAY_TAKE_ONE ? rest : word_take(l);
    if (!*argument && argument_of(&l->options[found]) == TAKES_ONE)
        return wrong(l, l->letter, 2, "requires an argument");
    return found;
}

/* The option of that name, or the only one that begins so: its place; -1: none, -2: several. */
static int name_find(const struct command_line *l, const char *name, size_t length)
{
    int found = -1;
    for (int i = 0; i < l->options_count; i++) {
        if (!l->options[i].name || strncmp(l->options[i].name, name, length))
            continue;
        if (!l->options[i].name[length])
            return i;
        found = found == -1 ? i : -2;
    }
    return found;
}

static int name_read(struct command_line *l, const char *word, const char **argument)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    int found = name_find(l, name, length);
    if (found < 0)
        return wrong(l, word, length + 2, found == -1 ? "is not an option" : "is ambiguous");
    enum takes takes = argument_of(&l->options[found]);
    if (equals && takes == TAKES_NONE)
        return wrong(l, word, length + 2, "doesn't allow an argument");
    *argument = equals ? equals + 1 : takes == TAKES_ONE ? word_take(l) : NULL;
    if (!*argument && takes == TAKES_ONE)
        return wrong(l, word, length + 2, "requires an argument");
    return found;
}

int rt_command_line_next(struct command_line *l, const char **argument)
{
    *argument = NULL;
    if (l->letters)
        return letter_read(l, argument);
    for (const char *word; (word = word_take(l));) {
        if (l->ended || word[0] != '-' || !word[1]) {
            l->operands[l->operands_count++] = word;
        } else if (word[1] != '-') {
            l->letters = word + 1;
            return letter_read(l, argument);
        } else if (word[2]) {
            return name_read(l, word, argument);
        } else {
            l->ended = true;
        }
    }
    l->operands[l->operands_count] = NULL;
    return COMMAND_LINE_END;
}
