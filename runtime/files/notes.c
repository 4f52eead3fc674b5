/* notes.c - as JSON inside the metadata's texts:
 *
 *     classes: ["cat", "dog"]        normalize: {"mean": [..], "std": [..]}
 *
 * and what origin.c writes.
 */
#define _GNU_SOURCE
#include "files/notes.h"

#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "core/json_text.h"
#include "core/message.h"

static void names_free(char **names, int count)
{
    for (int i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
}

struct weights_notes *rt_notes(const struct cnn_context *c)
{
    return &((struct noted_context *)c)->notes;
}

void rt_notes_free(struct weights_notes *notes, const struct cnn_model *model)
{
    names_free(notes->class_names, model->train.target.size);
    free(notes->measure.mean);
    free(notes->measure.std);
    rt_origin_free(&notes->origin);
    *notes = (struct weights_notes){ 0 };
}

static char **names_copy(char *const *names, int count)
{
    char **copy = calloc((size_t)count, sizeof *copy);
    for (int i = 0; copy && i < count; i++)
        if (!(copy[i] = strdup(names[i]))) {
            names_free(copy, count);
            return NULL;
        }
    return copy;
}

static int name_find(char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* The data's classes against those that the weights were trained with, output by output. */
static int names_compare(char *const *trained, char *const *names, int count, enum notes_use use)
{
    int other = -1, moved = -1;
    for (int i = count - 1; i >= 0; i--) {
        if (strcmp(trained[i], names[i]) == 0)
            continue;
        other = i;
        if (name_find(trained, count, names[i]) >= 0 || name_find(names, count, trained[i]) >= 0)
            moved = i;
    }
    if (other < 0)
        return 0;
    if (use == NOTES_START && moved < 0) {
        rt_note("class %d of the data is '%s', the weights were trained with '%s' in its place: they are trained "
                "further with other classes", other, names[other], trained[other]);
        return 0;
    }
    int told = use == NOTES_START ? moved : other;
    rt_error("class %d of the data is '%s', the weights were trained with '%s' in its place", told, names[told],
             trained[told]);
    if (use == NOTES_START)
        rt_note("a class that changes its place would begin as another one; a new name for the last layer ('as') and "
                "--partial begin that layer anew");
    return -1;
}

static int names_learn(struct cnn_context *c, const struct dataset *d, enum notes_use use)
{
    struct weights_notes *notes = rt_notes(c);
    if (notes->class_names && names_compare(notes->class_names, d->class_names, d->target.size, use))
        return -1;
    char **names = names_copy(d->class_names, d->target.size);
    if (!names) {
        rt_error("no memory for the names of %d classes", d->target.size);
        return -1;
    }
    names_free(notes->class_names, d->target.size);
    notes->class_names = names;
    return 0;
}

bool rt_notes_need_training(const struct cnn_context *c, enum notes_use use)
{
    return rt_pixels_need_measure(c->model) && (use != NOTES_KEEP || !rt_notes(c)->measure.mean);
}

int rt_notes_learn(struct cnn_context *c, const struct dataset *d, enum notes_use use)
{
    const struct cnn_model *m = c->model;
    struct weights_notes *notes = rt_notes(c);
    if (d->class_names && names_learn(c, d, use))
        return -1;
    if (!d->class_names && use == NOTES_START) {
        names_free(notes->class_names, m->train.target.size);
        notes->class_names = NULL;
    }
    if (use == NOTES_START)
        rt_origin_free(&notes->origin);
    if (!rt_notes_need_training(c, use))
        return 0;
    double *mean = malloc((size_t)m->in_channels * sizeof *mean),
           *std = malloc((size_t)m->in_channels * sizeof *std);
    if (!mean || !std || rt_pixels_measure(m, &d->train, mean, std)) {
        if (!mean || !std)
            rt_error("no memory for the mean of the pixels");
        free(mean);
        free(std);
        return -1;
    }
    size_t bytes = (size_t)m->in_channels * sizeof *mean;
    if (use == NOTES_RESUME && notes->measure.mean
        && (memcmp(mean, notes->measure.mean, bytes) || memcmp(std, notes->measure.std, bytes)))
        rt_note("the training set's mean and deviation are not what they were when the run began: its pictures or the "
                "steps before 'normalize auto' have changed");
    free(notes->measure.mean);
    free(notes->measure.std);
    notes->measure.mean = mean;
    notes->measure.std = std;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static json_t *numbers_json(const double *numbers, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_real(numbers[i]));
    return list;
}

/* The text of a value that is used up; NULL: it could not be made. */
static char *json_take(json_t *value, size_t want, size_t have)
{
    /* 17 digits give every double back */
    char *text = want == have ? rt_json_print(value, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(value);
    return text;
}

/* What the data told.  A value may be NULL: no memory. */
static int data_write(const struct cnn_context *c, struct text_pair pairs[DATA_PAIRS])
{
    const struct cnn_model *m = c->model;
    const struct weights_notes *notes = rt_notes(c);
    int count = 0;
    if (notes->class_names) {
        json_t *list = json_array();
        for (int i = 0; i < m->train.target.size; i++)
            json_array_append_new(list, json_string(notes->class_names[i]));
        pairs[count++] = (struct text_pair){ "classes", json_take(list, (size_t)m->train.target.size,
                                                                  json_array_size(list)) };
    }
    if (notes->measure.mean) {
        json_t *both = json_object();
        json_object_set_new(both, "mean", numbers_json(notes->measure.mean, m->in_channels));
        json_object_set_new(both, "std", numbers_json(notes->measure.std, m->in_channels));
        pairs[count++] =
            (struct text_pair){ "normalize", json_take(both, 2, json_object_size(both)) };
    }
    return count;
}

void rt_notes_save(const struct cnn_context *c, struct state *s)
{
    struct text_pair pairs[DATA_PAIRS];
    int count = data_write(c, pairs);
    for (int i = 0; i < count; i++) {
        if (pairs[i].value)
            rt_state_put_text(s, pairs[i].key, pairs[i].value);
        else
            s->failed = true;
        free((char *)pairs[i].value);
    }
}

int rt_notes_write(const struct cnn_context *c, struct text_pair pairs[NOTES_PAIRS])
{
    int count = data_write(c, pairs);
    int more = rt_origin_write(&rt_notes(c)->origin, pairs + count);
    bool whole = more >= 0;
    for (int i = 0; i < count; i++)
        whole = whole && pairs[i].value;
    count += more > 0 ? more : 0;
    for (int i = 0; i < count && !whole; i++)
        free((char *)pairs[i].value);
    return whole ? count : -1;
}

/* ---- reading --------------------------------------------------------------------------------- */

static json_t *metadata_json(const struct tensor_file *f, const char *key)
{
    const char *text = rt_stored_text(f, key);
    json_t *value = text ? json_loads(text, 0, NULL) : NULL;
    return text && !value ? json_null() : value;
}

/* NULL: it does not hold `count` names. */
static char **names_parse(const json_t *list, int count)
{
    if (!json_is_array(list) || json_array_size(list) != (size_t)count)
        return NULL;
    char **names = calloc((size_t)count, sizeof *names);
    for (int i = 0; names && i < count; i++) {
        const char *name = json_string_value(json_array_get(list, (size_t)i));
        if (!name || !(names[i] = strdup(name))) {
            names_free(names, count);
            return NULL;
        }
    }
    return names;
}

static double *numbers_parse(const json_t *list, int count, bool positive)
{
    if (!json_is_array(list) || json_array_size(list) != (size_t)count)
        return NULL;
    double *numbers = malloc((size_t)count * sizeof *numbers);
    for (int i = 0; numbers && i < count; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        numbers[i] = json_number_value(value);
        if (!json_is_number(value) || (positive && !(numbers[i] > 0.0))) {
            free(numbers);
            return NULL;
        }
    }
    return numbers;
}

/* A file's normalisation that cannot be read would silently change every result; names are only shown. */
int rt_notes_read(struct cnn_context *c, const struct tensor_file *f, const char *path, bool partial)
{
    const struct cnn_model *m = c->model;
    struct weights_notes fresh = { 0 };
    json_t *classes = metadata_json(f, "classes"), *normalize = metadata_json(f, "normalize");
    fresh.class_names = partial ? NULL : names_parse(classes, m->train.target.size);
    if (classes && !fresh.class_names && !partial)
        rt_note("%s: its metadata 'classes' should hold the names of %d classes: they have none now", path,
                m->train.target.size);
    if (normalize && rt_pixels_need_measure(m)) {
        fresh.measure.mean = numbers_parse(json_object_get(normalize, "mean"), m->in_channels, false);
        fresh.measure.std = numbers_parse(json_object_get(normalize, "std"), m->in_channels, true);
    }
    bool wrong = normalize && rt_pixels_need_measure(m) && (!fresh.measure.mean || !fresh.measure.std);
    json_decref(classes);
    json_decref(normalize);
    if (wrong) {
        rt_error("%s: its metadata 'normalize' should hold the mean and deviation of %d channels",
                 path, m->in_channels);
        rt_notes_free(&fresh, m);
        return -1;
    }
    rt_origin_read(&fresh.origin, f);
    rt_notes_free(rt_notes(c), m);
    *rt_notes(c) = fresh;
    return 0;
}
