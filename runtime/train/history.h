/* history.h - tables of numbers as CSV: a row an epoch, a row a step. */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdio.h>
#include "train/tally.h"

/* A CSV file that is written row by row.  A row that cannot be written is reported once and
 * remembered. */
struct history {
    FILE *file;                 /* NULL: nothing is kept */
    const char *path;           /* the caller's */
    bool failed;
    bool rates;                 /* of steps: with a column of them */
    /* the epochs' rows so far, whatever became of the file; without what they took, which no two runs share */
    char *text;
};

struct history_row {
    int epoch;                  /* from 0 */
    double lr;
    const struct tally *train, *val;
    uint64_t steps;             /* of the run so far */
    double seconds, images_per_second;
};

enum history_kind { HISTORY_EPOCHS, HISTORY_STEPS };

/* Whether a table of that kind may be written there: a file that is none is not replaced; path NULL: yes.  0, or -1
 * with a message. */
int rt_history_check(const char *path, enum history_kind kind);
/* Starts the file anew; path NULL: keeps nothing.  0, or -1 with a message. */
int rt_history_open(struct history *h, const char *path);
/* A whole table as it lies in its file, malloc'd; NULL where there is none. */
char *rt_history_read(const char *path);
/* The file anew with the rows of epochs that a resumed run had, under the columns of t: values that it
 * did not have are left empty; path NULL: keeps no file.  csv: the run's file as it was, which knows what the epochs
 * took; or NULL.  whole: a kill leaves it as it was or with all these rows. */
int rt_history_resume(struct history *h, const char *path, const char *text, const struct tally *t, const char *csv,
                      bool whole);
/* Goes on behind the row of the last step before `step`; what follows it is dropped.  Nothing is dropped of a file that
 * cannot be read or is no such table; rows that are missing are noted.  The columns of a file that is there stay. */
int rt_history_resume_steps(struct history *h, const char *path, uint64_t step, bool rates);
/* 0, or -1 when some row could not be written. */
int rt_history_close(struct history *h);

void rt_history_epoch_header(struct history *h, const struct tally *t);
void rt_history_epoch(struct history *h, const struct history_row *row);
/* rates: with a column of them, where the recipe has a schedule. */
void rt_history_step_header(struct history *h, bool rates);
void rt_history_step(struct history *h, uint64_t step, double loss, double lr);

#endif
