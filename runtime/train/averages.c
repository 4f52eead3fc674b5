/* averages.c - see averages.h.  Statistics have no averages: running means and variances are some already. */
#include "train/averages.h"

#include <string.h>

static void exchange(char *a, char *b, size_t bytes)
{
    char room[4096];
    for (size_t at = 0; at < bytes; at += sizeof room) {
        size_t part = bytes - at < sizeof room ? bytes - at : sizeof room;
        memcpy(room, a + at, part);
        memcpy(a + at, b + at, part);
        memcpy(b + at, room, part);
    }
}

void rt_averages_exchange(struct cnn_context *c)
{
    const struct cnn_model *m = c->model;
    size_t real = (size_t)m->real_size;
    if (m->averages == 0 || c->step == 0)
        return;
    char *averages = (char *)c->optimizer_state + (size_t)(m->averages - 1) * (size_t)m->params_stored * real;
    for (int i = 0; i < m->params_list_count; i++) {
        const struct cnn_param *p = &m->params[i];
        if (p->trainable && p->role != CNN_STATISTIC)
            exchange((char *)c->params + (size_t)p->offset * real, averages + (size_t)p->offset * real,
                     (size_t)p->stored * real);
    }
}
