/* preparation.c - the steps as a list of stages.  A byte has 256 values: what maps make of each is worked out once a
 * channel, in double.  Without steps that draw a picture is one walk through such a table. */
#include "data/preparation.h"

#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/random.h"

/* Either draws, or is maps behind one another. */
struct stage {
    const struct cnn_clause *step;      /* that draws */
    augment_function *augment;          /* NULL: maps */
    int number;                         /* of the step in the recipe */
    struct pixel_map *maps;             /* (maps_count, channels) */
    int maps_count;
    void *table;                        /* real (channels, 256), where bytes arrive */
};

/* Where the numbers of a picture lie. */
struct strides {
    int64_t channel, row, column;
};

/* ---- steps as maps --------------------------------------------------------------------------- */

static int step_maps(const struct cnn_clause *step, int channels, struct pixel_measure measured,
                     struct pixel_map *maps)
{
    struct step_result r = rt_data_step(step->name)->map(step, channels, measured, maps);
    if (r.status == STEP_UNMEASURED)
        rt_error("'%s auto' needs the training set's mean and deviation, which these weights do not come with",
                 step->name);
    else if (r.status == STEP_LIST)
        rt_error("%s: %s needs %d numbers, one a channel", step->name, r.list, channels);
    return r.status == STEP_DONE ? 0 : -1;
}

/* The maps of the steps [from, to), one behind the other.  NULL with a message. */
static struct pixel_map *maps_between(const struct cnn_model *m, int from, int to, struct pixel_measure measured,
                                      int *count)
{
    size_t channels = (size_t)m->in_channels;
    struct pixel_map *maps = calloc((size_t)(to - from) * channels + 1, sizeof *maps);
    *count = 0;
    if (!maps)
        rt_error("no memory for the steps of pixels");
    for (int i = from; maps && i < to; i++) {
        const struct data_step *row = rt_data_step(m->data.steps[i].name);
        if (row->kind != STEP_MAPS)
            continue;
        if (step_maps(&m->data.steps[i], m->in_channels, measured, maps + (size_t)*count * channels)) {
            free(maps);
            return NULL;
        }
        ++*count;
    }
    return maps;
}

static int steps_known(const struct cnn_model *m)
{
    for (int i = 0; i < m->data.steps_count; i++)
        if (!rt_data_step(m->data.steps[i].name)) {
            rt_error("this version of the runtime has no step '%s'", m->data.steps[i].name);
            return -1;
        }
    return 0;
}

struct pixel_map *rt_pixel_maps(const struct cnn_model *m, int steps, struct pixel_measure measured, int *count)
{
    return steps_known(m) ? NULL : maps_between(m, 0, steps, measured, count);
}

static double mapped(const struct stage *s, int channels, int channel, double x)
{
    for (int k = 0; k < s->maps_count; k++)
        x = rt_pixel_mapped(s->maps[k * channels + channel], x);
    return x;
}

static int stage_table(struct stage *s, const struct cnn_model *m)
{
    s->table = malloc((size_t)m->in_channels * 256 * (size_t)m->real_size);
    if (!s->table) {
        rt_error("no memory for the tables of pixels");
        return -1;
    }
    for (int c = 0; c < m->in_channels; c++)
        for (int i = 0; i < 256; i++) {
            double value = mapped(s, m->in_channels, c, i);
            if (m->real_size == 8)
                ((double *)s->table)[c * 256 + i] = value;
            else
                ((float *)s->table)[c * 256 + i] = (float)value;
        }
    return 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Of one room, whole lines of the cache: neighbours are other threads'. */
static size_t room_bytes(const struct preparation *p)
{
    return (rt_sample_elements(p->model) * sizeof(double) + 63) / 64 * 64;
}

static int rooms_open(struct preparation *p)
{
    p->rooms = malloc(2 * (size_t)p->threads * room_bytes(p));
    if (!p->rooms)
        rt_error("no memory for a picture");
    return p->rooms ? 0 : -1;
}

/* The maps since the step `from`, up to step `to`, as a stage of their own. */
static int maps_add(struct preparation *p, int from, int to, struct pixel_measure measured)
{
    struct stage *s = &p->stages[p->stages_count++];
    s->maps = maps_between(p->model, from, to, measured, &s->maps_count);
    return s->maps ? 0 : -1;
}

static int stages_list(struct preparation *p, struct pixel_measure measured, bool trains)
{
    const struct cnn_model *m = p->model;
    int first = 0;
    for (int i = 0; trains && i < m->data.steps_count; i++) {
        const struct cnn_clause *step = &m->data.steps[i];
        augment_function *augment = rt_augment(step->name);
        if (!augment)
            continue;
        if (maps_add(p, first, i, measured))
            return -1;
        if (p->stages[p->stages_count - 1].maps_count == 0) {   /* nothing to be done before it */
            free(p->stages[--p->stages_count].maps);
            p->stages[p->stages_count] = (struct stage){ 0 };
        }
        p->stages[p->stages_count++] = (struct stage){ .step = step, .augment = augment, .number = i };
        first = i + 1;
    }
    return maps_add(p, first, m->data.steps_count, measured);
}

/* Tables stand where bytes become numbers: at the first maps. */
static int tables_make(struct preparation *p)
{
    for (int i = 0; p->kind == CNN_SAMPLE_BYTES && i < p->stages_count; i++)
        if (!p->stages[i].augment)
            return stage_table(&p->stages[i], p->model);
    return 0;
}

int rt_preparation_open(struct preparation *p, const struct cnn_model *m, enum cnn_sample_kind kind,
                        struct pixel_measure measured, bool trains, int threads)
{
    *p = (struct preparation){ .model = m, .kind = kind, .threads = threads };
    if (steps_known(m))
        return -1;
    p->stages = calloc(2 * (size_t)m->data.steps_count + 1, sizeof *p->stages);
    if (!p->stages)
        rt_error("no memory for the steps of pixels");
    if (p->stages && stages_list(p, measured, trains) == 0 && tables_make(p) == 0
        && (p->stages_count == 1 || rooms_open(p) == 0))
        return 0;
    rt_preparation_close(p);
    return -1;
}

void rt_preparation_close(struct preparation *p)
{
    for (int i = 0; i < p->stages_count; i++) {
        free(p->stages[i].maps);
        free(p->stages[i].table);
    }
    free(p->stages);
    free(p->rooms);
    *p = (struct preparation){ 0 };
}

/* ---- filling --------------------------------------------------------------------------------- */

/* One picture through a table, for each kind of real.  Channels lie innermost in memory where
 * networks have them there; then a picture is one run, and one or three channels are unrolled. */
#define BYTES_FILL(name, real)                                                                     \
    static void name(const struct cnn_model *m, struct strides s, const uint8_t *from,             \
                     const real *table, real *to)                                                  \
    {                                                                                              \
        int channels = m->in_channels, width = m->in_width, height = m->in_height;                 \
        bool packed = s.channel == 1 && s.column == channels && s.row == (int64_t)channels * width; \
        if (packed && channels == 3) {                                                             \
            for (int i = 0; i < height * width * 3; i += 3) {                                      \
                to[i] = table[from[i]];                                                            \
                to[i + 1] = table[256 + from[i + 1]];                                              \
                to[i + 2] = table[512 + from[i + 2]];                                              \
            }                                                                                      \
        } else if (packed && channels == 1) {                                                      \
            for (int i = 0; i < height * width; i++)                                               \
                to[i] = table[from[i]];                                                            \
        } else {                                                                                   \
            for (int h = 0; h < height; h++)                                                       \
                for (int w = 0; w < width; w++, from += channels)                                  \
                    for (int c = 0; c < channels; c++)                                             \
                        to[h * s.row + w * s.column + c * s.channel] = table[c * 256 + from[c]];   \
        }                                                                                          \
    }

BYTES_FILL(bytes_fill_float, float)
BYTES_FILL(bytes_fill_double, double)

/* Numbers through maps. */
#define NUMBERS_FILL(name, number, real)                                                           \
    static void name(const struct cnn_model *m, struct strides s, const number *from,              \
                     const struct stage *stage, real *to)                                          \
    {                                                                                              \
        int channels = m->in_channels;                                                             \
        for (int h = 0; h < m->in_height; h++)                                                     \
            for (int w = 0; w < m->in_width; w++, from += channels)                                \
                for (int c = 0; c < channels; c++)                                                 \
                    to[h * s.row + w * s.column + c * s.channel] =                                 \
                        (real)mapped(stage, channels, c, (double)from[c]);                         \
    }

NUMBERS_FILL(floats_fill_float, float, float)
NUMBERS_FILL(floats_fill_double, float, double)
NUMBERS_FILL(doubles_fill_double, double, double)

/* The network's numbers of a sample, to where they lie so far apart. */
static void stage_fill(const struct stage *s, const struct cnn_model *m, const struct sample *from,
                       struct strides strides, void *to)
{
    bool exact = m->real_size == 8;
    if (from->kind == NUMBER_BYTE && exact)
        bytes_fill_double(m, strides, from->data, s->table, to);
    else if (from->kind == NUMBER_BYTE)
        bytes_fill_float(m, strides, from->data, s->table, to);
    else if (from->kind == NUMBER_DOUBLE)
        doubles_fill_double(m, strides, from->data, s, to);
    else if (exact)
        floats_fill_double(m, strides, from->data, s, to);
    else
        floats_fill_float(m, strides, from->data, s, to);
}

void rt_preparation_fill(const struct preparation *p, int thread, const void *sample, const struct step_draw *draw,
                         struct cnn_context *c, int at)
{
    const struct cnn_model *m = p->model;
    /* it is only read */
    struct sample now = { rt_sample_numbers(p->kind), m->in_channels, m->in_height, m->in_width, (void *)sample };
    const struct strides dense = { 1, (int64_t)m->in_width * m->in_channels, m->in_channels };
    for (int i = 0; i < p->stages_count - 1; i++) {
        const struct stage *s = &p->stages[i];
        struct sample next = now;
        next.data = (char *)p->rooms + (size_t)(2 * thread + i % 2) * room_bytes(p);
        if (s->augment) {
            struct step_draw own = *draw;
            own.key = rt_random_subkey(draw->key, (uint64_t)s->number);
            own.lasting = rt_random_subkey(draw->lasting, (uint64_t)s->number);
            s->augment(s->step, &own, &now, &next);
        } else {
            next.kind = m->real_size == 8 ? NUMBER_DOUBLE : NUMBER_FLOAT;
            stage_fill(s, m, &now, dense, next.data);
        }
        now = next;
    }
    const struct strides network = { m->channel_stride, m->row_stride, m->column_stride };
    stage_fill(&p->stages[p->stages_count - 1], m, &now, network,
               (char *)c->input + (int64_t)at * m->image_stride * m->real_size);
}
