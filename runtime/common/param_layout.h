/* param_layout.h - where the elements of a parameter lie: between the order of files and that of memory.  The compiler
 * and the trainers share this; cnnrt.h describes struct cnn_layout. */
#ifndef PARAM_LAYOUT_H
#define PARAM_LAYOUT_H

#include <stddef.h>

#include "cnnrt.h"

/* The place, in elements from the first stored one, of the element that is number `index` in a file. */
int64_t rt_layout_place(const struct cnn_layout *l, int64_t index);

/* `count` elements of 4 or 8 bytes, from the file's element `first` on, between memory (`stored` is the parameter's
 * first element) and the order of files (`file` is the element `first`). */
void rt_layout_gather(const struct cnn_layout *l, size_t size, const void *stored, int64_t first, int64_t count,
                      void *file);
void rt_layout_scatter(const struct cnn_layout *l, size_t size, void *stored, int64_t first, int64_t count,
                       const void *file);

#endif
