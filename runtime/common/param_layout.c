/* param_layout.c - see param_layout.h.
 *
 * `dim` walked row-major is the order of a file; each index adds its stride to the element's place, except the panelled
 * one, which counts in panels and places inside a panel. */
#include "common/param_layout.h"

#include <string.h>

static int64_t place_along(const struct cnn_layout *l, int d, int64_t i)
{
    if (d == l->panel_dim)
        return i / l->panel * l->panel_stride + i % l->panel * l->stride[d];
    return i * l->stride[d];
}

int64_t rt_layout_place(const struct cnn_layout *l, int64_t index)
{
    int64_t place = 0;
    for (int d = l->dims - 1; d >= 0; d--) {
        place += place_along(l, d, index % l->dim[d]);
        index /= l->dim[d];
    }
    return place;
}

/* memcpy of a constant size is one move */
static void element_copy(char *to, const char *from, size_t size)
{
    if (size == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, 8);
}

static void copy(const struct cnn_layout *l, size_t size, char *stored, int64_t first, int64_t count, char *file,
                 bool to_file)
{
    int last = l->dims - 1;
    int64_t index[CNN_MAX_RANK] = { 0 }, row = first / l->dim[last], from = first % l->dim[last];
    for (int d = last - 1; d >= 0; row /= l->dim[d], d--)
        index[d] = row % l->dim[d];
    while (count > 0) {
        int64_t base = 0, end = from + count < l->dim[last] ? from + count : l->dim[last];
        for (int d = 0; d < last; d++)
            base += place_along(l, d, index[d]);
        count -= end - from;
        for (int64_t i = from; i < end; i++, file += size) {
            char *place = stored + (size_t)(base + place_along(l, last, i)) * size;
            if (to_file)
                element_copy(file, place, size);
            else
                element_copy(place, file, size);
        }
        from = 0;
        for (int d = last - 1; d >= 0 && ++index[d] == l->dim[d]; d--)
            index[d] = 0;
    }
}

void rt_layout_gather(const struct cnn_layout *l, size_t size, const void *stored, int64_t first, int64_t count,
                      void *file)
{
    /* copy() only reads the stored side here */
    copy(l, size, (char *)stored, first, count, file, true);
}

void rt_layout_scatter(const struct cnn_layout *l, size_t size, void *stored, int64_t first, int64_t count,
                       const void *file)
{
    /* copy() only reads the file's side here */
    copy(l, size, stored, first, count, (char *)file, false);
}
