/* param.h - where a parameter's elements lie. */
#ifndef PARAM_H
#define PARAM_H

#include "cnnrt.h"

/* The first stored element of a parameter or statistic. */
void *rt_param_place(const struct cnn_context *c, int param);

/* Where the element of that position in a file lies, in elements from the parameter's first stored
 * one. */
int64_t rt_param_index_place(const struct cnn_param *p, int64_t file_index);

#endif
