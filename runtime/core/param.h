/* param.h - where a parameter's elements lie. */
#ifndef PARAM_H
#define PARAM_H

#include "cnnrt.h"

/* The first stored element of a parameter or statistic. */
void *rt_param_place(const struct cnn_context *c, int param);

/* `count` of one parameter's elements, from the file's element `first` on, between a flat vector of parameters (a
 * statistic's: of statistics) that lies in memory as the context's and the order of files; `file` begins with element
 * `first`. */
void rt_param_gather(const struct cnn_model *m, int param, const void *flat, int64_t first,
                     int64_t count, void *file);
void rt_param_scatter(const struct cnn_model *m, int param, void *flat, int64_t first,
                      int64_t count, const void *file);

/* The flat vector of the context that holds a parameter or statistic. */
void *rt_param_vector(const struct cnn_context *c, int param);

/* Where the element of that position in a file lies, in elements from the parameter's first stored
 * one. */
int64_t rt_param_index_place(const struct cnn_param *p, int64_t file_index);

/* The elements of a parameter as `matrices` matrices of `rows` x `columns`, one after the other: a row holds what
 * belongs to one output, a matrix what belongs to one position or group.  `layout` takes an index in the order of files
 * to the place among them. */
struct param_matrices {
    int64_t matrices, rows, columns;
    struct cnn_layout layout;
};
struct param_matrices rt_param_matrices(const struct cnn_param *p);

/* In what the network computes, for people: "float", "double", or what the emitted file says. */
const char *rt_precision(const struct cnn_model *m);

#endif
