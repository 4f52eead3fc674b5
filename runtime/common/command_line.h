/* command_line.h - the words of a command line one after the other, as getopt_long() reads them:
 * options may stand between other words, long names may be cut short where one alone begins so.
 * Nothing is kept outside, the words stay in their order, and messages are the caller's.  The
 * compiler and the trainers share this. */
#ifndef COMMAND_LINE_H
#define COMMAND_LINE_H

#include "common/option.h"

struct command_line {
    const struct option_row *options;
    int options_count;
    const char *const *words;   /* what is still to be read */
    int words_count;
    const char *letters;        /* what is left of a word of letters; NULL: none */
    bool ended;                 /* "--" has been read */
    const char **operands;      /* the words that are no options, so far */
    int operands_count;
    /* of COMMAND_LINE_WRONG: the option as it was written, and what is wrong with it */
    const char *word;
    int word_length;
    char letter[3];
    const char *fault;
};

enum { COMMAND_LINE_END = -1, COMMAND_LINE_WRONG = -2 };

/* argv[0] is passed over.  0, or -1 without memory. */
int rt_command_line_open(struct command_line *l, const struct option_row *options, int options_count, int argc,
                         char **argv);
void rt_command_line_close(struct command_line *l);

/* The next option's place in the table, its argument at *argument (NULL: there is none), or one of
 * the two above. */
int rt_command_line_next(struct command_line *l, const char **argument);

#endif
