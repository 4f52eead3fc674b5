/* state.c - gathers the state of a run, writes it and reads it back. */
#include "files/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/message.h"
#include "core/param.h"

void rt_state_begin(struct state *s, const struct cnn_model *model)
{
    *s = (struct state){ .model = model };
}

void rt_state_free(struct state *s)
{
    for (int i = 0; i < s->texts_count; i++) {
        free((char *)s->texts[i].key);
        free((char *)s->texts[i].value);
    }
    for (int i = 0; i < s->entries_count; i++)
        free((char *)s->entries[i].name);
    free(s->texts);
    free(s->entries);
    rt_safetensors_free(&s->file);
    *s = (struct state){ 0 };
}

void rt_state_section(struct state *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->section, sizeof s->section, format, args);
    va_end(args);
}

/* "SECTION.NAME", malloc'd; with more behind a further dot. */
static char *key_make(const struct state *s, const char *name, const char *more)
{
    size_t room = sizeof s->section + strlen(name) + strlen(more) + 3;
    char *key = malloc(room);
    if (key)
        snprintf(key, room, "%s%s%s%s%s", s->section, s->section[0] ? "." : "", name,
                 more[0] ? "." : "", more);
    return key;
}

/* ---- gathering ------------------------------------------------------------------------------- */

/* Room for one more of `size` bytes behind `count`.  NULL: no memory. */
static void *grown(void *items, int count, int *room, size_t size)
{
    if (count < *room)
        return items;
    int wanted = *room ? 2 * *room : 64;
    void *more = realloc(items, (size_t)wanted * size);
    if (more)
        *room = wanted;
    return more;
}

void rt_state_put_text(struct state *s, const char *name, const char *text)
{
    char *key = key_make(s, name, ""), *value = strdup(text);
    struct text_pair *texts = grown(s->texts, s->texts_count, &s->texts_room, sizeof *texts);
    if (texts)
        s->texts = texts;
    if (!key || !value || !texts) {
        free(key);
        free(value);
        s->failed = true;
        return;
    }
    s->texts[s->texts_count++] = (struct text_pair){ key, value };
}

void rt_state_put_number(struct state *s, const char *name, double value)
{
    char text[64];
    snprintf(text, sizeof text, "%a", value);
    rt_state_put_text(s, name, text);
}

void rt_state_put_whole(struct state *s, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    rt_state_put_text(s, name, text);
}

/* rt_state_write() sets `user` to the state: it does not move any more then. */
struct vector_user {
    const struct cnn_model *model;
    const void *flat;
};

static void vector_fill(const void *user, int index, int64_t first, int64_t count, void *out)
{
    const struct vector_user *v = user;
    rt_param_gather(v->model, index, v->flat, first, count, out);
}

static void vector_put(struct state *s, const char *name, const void *flat, bool statistics)
{
    const struct cnn_model *m = s->model;
    for (int i = 0; i < m->params_list_count; i++) {
        const struct cnn_param *p = &m->params[i];
        if ((p->role == CNN_STATISTIC) != statistics)
            continue;
        struct tensor_entry *entries =
            grown(s->entries, s->entries_count, &s->entries_room, sizeof *entries);
        if (entries)
            s->entries = entries;
        char *key = key_make(s, name, p->name);
        if (!key || !entries) {
            free(key);
            s->failed = true;
            return;
        }
        s->entries[s->entries_count++] =
            (struct tensor_entry){ .name = key, .element_size = m->real_size, .rank = p->rank,
                                   .shape = p->shape, .fill = vector_fill, .user = flat,
                                   .index = i };
    }
}

void rt_state_put_params(struct state *s, const char *name, const void *params)
{
    vector_put(s, name, params, false);
}

void rt_state_put_statistics(struct state *s, const char *name, const void *statistics)
{
    vector_put(s, name, statistics, true);
}

int rt_state_write(struct state *s, const char *path, const char *previous)
{
    struct vector_user *users = calloc((size_t)s->entries_count + 1, sizeof *users);
    if (s->failed || !users) {
        rt_error("%s: no memory to write it", path);
        free(users);
        return -1;
    }
    for (int i = 0; i < s->entries_count; i++) {
        users[i] = (struct vector_user){ s->model, s->entries[i].user };
        s->entries[i].user = &users[i];
    }
    int status = rt_safetensors_write_state(path, previous, s->entries, s->entries_count, s->texts,
                                            s->texts_count);
    for (int i = 0; i < s->entries_count; i++)
        s->entries[i].user = users[i].flat;
    free(users);
    return status;
}

/* ---- reading --------------------------------------------------------------------------------- */

int rt_state_read(struct state *s, const struct cnn_model *model, const char *path,
                  const char *previous)
{
    rt_state_begin(s, model);
    bool newest = access(path, F_OK) == 0, older = access(previous, F_OK) == 0;
    if (!newest && !older)
        return 1;
    s->path = path;
    if (newest && rt_safetensors_read_state(&s->file, path) == 0)
        return 0;
    if (!older) {
        rt_error("%s: there is no earlier state beside it; --overwrite starts anew", path);
        return -1;
    }
    if (rt_safetensors_read_state(&s->file, previous))
        return -1;
    rt_note("%s: %s; the run goes on from the one before, %s", path,
            newest ? "cannot be used" : "is missing", previous);
    /* the next state shall push out the bad one, not this */
    if (rename(previous, path)) {
        rt_error("%s: cannot be renamed to %s: %s", previous, path, strerror(errno));
        rt_state_free(s);
        return -1;
    }
    return 0;
}

int rt_state_take(struct state *s, const struct cnn_model *model, unsigned char *bytes, uint64_t size, const char *path)
{
    rt_state_begin(s, model);
    s->path = path;
    return rt_safetensors_take(&s->file, bytes, size, path);
}

const char *rt_state_text(const struct state *s, const char *name)
{
    char *key = key_make(s, name, "");
    const char *value = key ? rt_stored_text(&s->file, key) : NULL;
    free(key);
    return value;
}

static int value_missing(const struct state *s, const char *name)
{
    rt_error("%s: has no usable value '%s%s%s'", s->path, s->section, s->section[0] ? "." : "",
             name);
    return -1;
}

int rt_state_get_number(const struct state *s, const char *name, double *value)
{
    const char *text = rt_state_text(s, name);
    char *end;
    double number = text ? strtod(text, &end) : 0.0;
    if (!text || end == text || *end)
        return value_missing(s, name);
    *value = number;
    return 0;
}

int rt_state_get_whole(const struct state *s, const char *name, int64_t *value)
{
    const char *text = rt_state_text(s, name);
    char *end;
    errno = 0;
    long long number = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end || errno)
        return value_missing(s, name);
    *value = number;
    return 0;
}

static const struct stored_tensor *tensor_find(const struct tensor_file *f, const char *key)
{
    for (int i = 0; key && i < f->count; i++)
        if (strcmp(f->tensors[i].name, key) == 0)
            return &f->tensors[i];
    return NULL;
}

/* NULL, or what keeps the tensor from being the parameter. */
static const char *tensor_fault(const struct stored_tensor *t, const struct cnn_param *p,
                                int real_size)
{
    if (!t)
        return "is not there";
    if (t->rank != p->rank || memcmp(t->shape, p->shape, (size_t)p->rank * sizeof p->shape[0]))
        return "has another shape";
    if (strcmp(t->dtype, real_size == 8 ? "F64" : "F32"))
        return "has another dtype";
    return NULL;
}

static int vector_get(const struct state *s, const char *name, void *flat, bool statistics)
{
    const struct cnn_model *m = s->model;
    for (int i = 0; i < m->params_list_count; i++) {
        const struct cnn_param *p = &m->params[i];
        if ((p->role == CNN_STATISTIC) != statistics)
            continue;
        char *key = key_make(s, name, p->name);
        const struct stored_tensor *t = tensor_find(&s->file, key);
        const char *fault = tensor_fault(t, p, m->real_size);
        if (fault)
            rt_error("%s: is the state of another network: '%s' %s", s->path, key ? key : p->name,
                     fault);
        else
            rt_param_scatter(m, i, flat, 0, p->count, t->data);
        free(key);
        if (fault)
            return -1;
    }
    return 0;
}

int rt_state_get_params(const struct state *s, const char *name, void *params)
{
    return vector_get(s, name, params, false);
}

int rt_state_get_statistics(const struct state *s, const char *name, void *statistics)
{
    return vector_get(s, name, statistics, true);
}
