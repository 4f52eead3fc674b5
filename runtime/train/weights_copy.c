/* weights_copy.c - parameters and statistics, kept and put back. */
#include "train/weights_copy.h"

#include <stdlib.h>
#include <string.h>

#include "files/notes.h"
#include "files/state.h"

static size_t params_bytes(const struct cnn_model *m)
{
    return (size_t)m->params_stored * (size_t)m->real_size;
}

static size_t statistics_bytes(const struct cnn_model *m)
{
    return (size_t)m->statistics_stored * (size_t)m->real_size;
}

int rt_weights_copy_open(struct weights_copy *w, const struct cnn_model *m)
{
    *w = (struct weights_copy){ .params = malloc(params_bytes(m) + 1),
                                .statistics = malloc(statistics_bytes(m) + 1) };
    if (w->params && w->statistics)
        return 0;
    rt_weights_copy_close(w);
    return -1;
}

void rt_weights_copy_close(struct weights_copy *w)
{
    free(w->params);
    free(w->statistics);
    rt_origin_free(&w->origin);
    *w = (struct weights_copy){ 0 };
}

void rt_weights_copy_keep(struct weights_copy *w, const struct cnn_context *c)
{
    memcpy(w->params, c->params, params_bytes(c->model));
    memcpy(w->statistics, c->statistics, statistics_bytes(c->model));
    w->kept = true;
    rt_origin_copy(&w->origin, &rt_notes(c)->origin);
}

void rt_weights_copy_restore(const struct weights_copy *w, struct cnn_context *c)
{
    memcpy(c->params, w->params, params_bytes(c->model));
    memcpy(c->statistics, w->statistics, statistics_bytes(c->model));
    rt_origin_copy(&rt_notes(c)->origin, &w->origin);
}

void rt_weights_copy_save(const struct weights_copy *w, struct state *s, const char *name)
{
    rt_state_put_params(s, name, w->params);
    rt_state_put_statistics(s, name, w->statistics);
    rt_origin_save(&w->origin, s);
}

int rt_weights_copy_load(struct weights_copy *w, const struct state *s, const char *name)
{
    rt_origin_load(&w->origin, s);
    w->kept = rt_state_get_params(s, name, w->params) == 0
              && rt_state_get_statistics(s, name, w->statistics) == 0;
    return w->kept ? 0 : -1;
}
