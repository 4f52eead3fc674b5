/* predict_pictures.c - see predict_pictures.h. */
#define _GNU_SOURCE
#include "cli/predict_pictures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file_path.h"
#include "core/message.h"
#include "core/targets.h"

/* What a file is called without its folder; *length: and without its ending. */
static const char *stem(const char *path, int *length)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    *length = dot && dot > name ? (int)(dot - name) : (int)strlen(name);
    return name;
}

static int by_stem(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    int length_x, length_y;
    const char *name_x = stem(*x, &length_x), *name_y = stem(*y, &length_y);
    int order = memcmp(name_x, name_y, (size_t)(length_x < length_y ? length_x : length_y));
    return order ? order : length_x - length_y;
}

/* A picture that was named twice is written once more, and no harm done. */
static int names_differ(const char *folder, const struct picture_list *list)
{
    const int64_t count = list->pictures.count;
    const char **paths = malloc(((size_t)count + 1) * sizeof *paths);
    int status = 0;
    if (!paths) {
        rt_error("no memory for the names of %lld pictures", (long long)count);
        return -1;
    }
    for (int64_t i = 0; i < count; i++)
        paths[i] = list->pictures.paths[i];
    qsort(paths, (size_t)count, sizeof *paths, by_stem);
    for (int64_t i = 1; i < count && status == 0; i++)
        if (by_stem(&paths[i - 1], &paths[i]) == 0 && strcmp(paths[i - 1], paths[i])) {
            int length;
            const char *name = stem(paths[i], &length);
            rt_error("%s and %s would both be written as %s/%.*s.png: predict them apart", paths[i - 1], paths[i],
                     folder, length, name);
            status = -1;
        }
    free(paths);
    return status;
}

int rt_predict_pictures_open(struct predict_pictures *p, const char *folder, const struct cnn_context *c,
                             const struct picture_list *list)
{
    const struct cnn_model *m = c->model;
    if (!folder)
        return 0;
    if (m->train.target.kind != CNN_TARGET_INPUT) {
        rt_error("--pictures: %s gives no pictures back; a recipe with `target input` does", m->source);
        return -1;
    }
    if (m->in_height * m->in_width == 1) {
        rt_error("--pictures: samples of %s are no pictures: each channel is one number", m->source);
        return -1;
    }
    if (names_differ(folder, list) || rt_sample_picture_open(&p->how, c))
        return -1;
    p->row = malloc((size_t)m->outputs * sizeof *p->row);
    if (!p->row || rt_canvas_open(&p->canvas, m->in_width, m->in_height)) {
        rt_error("no memory for pictures of %d x %d", m->in_width, m->in_height);
        return -1;
    }
    if (mkdir(folder, 0777) && errno != EEXIST) {
        rt_error("%s: cannot be made: %s", folder, strerror(errno));
        return -1;
    }
    if (!rt_is_folder(folder)) {
        rt_error("%s: is no folder", folder);
        return -1;
    }
    p->folder = folder;
    return 0;
}

void rt_predict_pictures_close(struct predict_pictures *p)
{
    rt_sample_picture_close(&p->how);
    rt_canvas_close(&p->canvas);
    free(p->row);
}

int rt_predict_picture_write(struct predict_pictures *p, const struct cnn_context *c, int at, const char *path,
                             int64_t number)
{
    const struct cnn_model *m = c->model;
    char *to = NULL;
    int length;
    const char *name = stem(path, &length);
    int made = number < 0 ? asprintf(&to, "%s/%.*s.png", p->folder, length, name)
                          : asprintf(&to, "%s/%.*s.%lld.png", p->folder, length, name, (long long)number);
    if (made < 0) {
        rt_error("%s: no memory to name its picture", path);
        return -1;
    }
    rt_target_row(c, at, p->row);       /* black and white as in what it was given */
    const struct sample_range range = rt_sample_range(&p->how, p->row);
    rt_predicted_row(c, at, p->row);
    for (int y = 0; y < m->in_height; y++)
        for (int x = 0; x < m->in_width; x++)
            rt_sample_pixel(&p->how, p->row, y, x, range,
                            p->canvas.pixels + ((size_t)y * (size_t)m->in_width + (size_t)x) * 3);
    int status = rt_picture_may_replace(to) || rt_canvas_write(&p->canvas, to) ? -1 : 0;
    p->written += status == 0;
    free(to);
    return status;
}
