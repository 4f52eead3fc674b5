/* summary_table.h - a network as a table, for `cnnc --summary` and a trainer's `summary`. */
#ifndef SUMMARY_TABLE_H
#define SUMMARY_TABLE_H

#include <stdint.h>
#include <stdio.h>

struct summary_row {
    const char *name, *text;    /* "conv2d_1", "conv2d 128, 2x2, relu" */
    const char *inputs;         /* "conv2d_1, relu_2"; NULL: it reads what the layer before it gives */
    const char *shape;          /* "128x31x31" */
    int64_t parameters, multiply_adds, bytes;   /* bytes: of the result; adds and bytes of one sample */
    const char *kernel;         /* NULL or "": none is known */
};

struct summary_counts {         /* of parameters */
    int64_t all, trainable, frozen, statistics;
};

struct summary_amount {
    const char *what;
    int64_t bytes;
    const char *note;           /* NULL: none */
};

/* The table, then the sums of parameters and multiply-adds.  Long texts are cut so that a line has about 100
 * columns. */
void rt_summary_rows(const struct summary_row *rows, int count, FILE *out);
void rt_summary_counts(const struct summary_counts *counts, int64_t multiply_adds, FILE *out);
/* `title`, and below it what takes how much. */
void rt_summary_amounts(const char *title, const struct summary_amount *amounts, int count, FILE *out);

/* 1,234,567 */
struct grouped_text {
    char text[32];
};
struct grouped_text rt_grouped(int64_t number);

#endif
