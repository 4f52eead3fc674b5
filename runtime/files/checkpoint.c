/* checkpoint.c - a network's parameters to and from safetensors. */
#include "files/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file_kind.h"
#include "core/guest.h"
#include "core/message.h"
#include "core/rank_writes.h"
#include "core/param.h"
#include "files/notes.h"
#include "formats/archive.h"
#include "formats/npz.h"

static void param_fill(const void *user, int index, int64_t first, int64_t count, void *out)
{
    const struct cnn_context *c = user;
    rt_param_gather(c->model, index, rt_param_vector(c, index), first, count, out);
}

int rt_checkpoint_save(const struct cnn_context *c, const char *path,
                       const struct tensor_entry *extra, int extra_count)
{
    const struct cnn_model *m = c->model;
    int count = m->params_list_count + extra_count;
    struct tensor_entry *entries = malloc(((size_t)count + 1) * sizeof *entries);
    if (!entries) {
        rt_error("%s: no memory to write it", path);
        return -1;
    }
    for (int i = 0; i < m->params_list_count; i++)
        entries[i] = (struct tensor_entry){ .name = m->params[i].name, .element_size = m->real_size,
                                            .rank = m->params[i].rank, .shape = m->params[i].shape,
                                            .fill = param_fill, .user = c, .index = i };
    for (int i = 0; i < extra_count; i++)
        entries[m->params_list_count + i] = extra[i];
    char plan[24];
    snprintf(plan, sizeof plan, "%016" PRIx64, m->plan_hash);
    struct text_pair metadata[3 + NOTES_PAIRS] = { { "format", "pt" },
                                                   { "model", m->name },
                                                   { "plan", plan } };
    int notes = rt_notes_write(c, metadata + 3), status = -1;
    if (notes < 0)
        rt_error("%s: no memory to write it", path);
    else
        status = rt_safetensors_write(path, entries, count, metadata, 3 + notes);
    for (int i = 0; i < notes; i++)
        free((char *)metadata[3 + i].value);
    free(entries);
    return status;
}

int cnn_save_weights(const struct cnn_context *c, const char *path)
{
    struct guest guest;
    if (!rt_rank_writes(c->ranks))
        return 0;
    rt_guest_enter(&guest);
    int status = rt_checkpoint_save(c, path, NULL, 0);
    rt_guest_leave(&guest);
    return status;
}

/* The metadata of ours, as they stand at the head of the header; a file system may have left it without bytes. */
bool rt_checkpoint_is(const char *path)
{
    enum { LENGTH_BYTES = 8, HEAD = 1 << 16 };
    struct stat status;
    if (stat(path, &status) || !S_ISREG(status.st_mode))
        return false;
    FILE *file = fopen(path, "r");
    char *head = malloc(HEAD + 1);
    size_t length = file && head ? fread(head, 1, HEAD, file) : 0;
    bool ours = status.st_size == 0;
    if (length > LENGTH_BYTES) {
        head[length] = '\0';
        ours = strstr(head + LENGTH_BYTES, "\"__metadata__\"") && strstr(head + LENGTH_BYTES, "\"plan\":\"")
               && strstr(head + LENGTH_BYTES, "\"model\":\"");
    }
    if (file)
        fclose(file);
    free(head);
    return ours;
}

/* ---- loading --------------------------------------------------------------------------------- */

/* "[128, 3, 2, 2]" */
static const char *shape_text(char *text, size_t size, const int64_t *shape, int rank)
{
    size_t length = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%lld", i ? ", " : "",
                                   (long long)shape[i]);
    if (length < size)
        snprintf(text + length, size - length, "]");
    return text;
}

static bool same_shape(const struct cnn_param *p, const struct stored_tensor *t)
{
    return p->rank == t->rank
           && memcmp(p->shape, t->shape, (size_t)p->rank * sizeof p->shape[0]) == 0;
}

static const struct stored_tensor *tensor_find(const struct tensor_file *f, const char *name)
{
    for (int i = 0; i < f->count; i++)
        if (strcmp(f->tensors[i].name, name) == 0)
            return &f->tensors[i];
    return NULL;
}

/* A run's state has weights in it, under other names and beside much else. */
static bool is_state(const struct tensor_file *f)
{
    const struct stored_tensor *t = tensor_find(f, "checksum");
    return t && strcmp(t->dtype, "U32") == 0;
}

static bool param_exists(const struct cnn_model *m, const char *name)
{
    for (int i = 0; i < m->params_list_count; i++)
        if (strcmp(m->params[i].name, name) == 0)
            return true;
    return false;
}

/* PyTorch counts a batchnorm's batches; nothing here depends on it. */
static bool is_counter(const char *name)
{
    const char suffix[] = ".num_batches_tracked";
    size_t length = strlen(name);
    return length >= sizeof suffix && strcmp(name + length - (sizeof suffix - 1), suffix) == 0;
}

static bool is_numbers(const struct stored_tensor *t)
{
    return strcmp(t->dtype, "F32") == 0 || strcmp(t->dtype, "F64") == 0;
}

static bool serves(const struct cnn_param *p, const struct stored_tensor *t)
{
    return t && same_shape(p, t) && is_numbers(t);
}

static bool is_wanted(const void *model, const struct stored_tensor *t)
{
    const struct cnn_model *m = model;
    for (int i = 0; i < m->params_list_count; i++)
        if (strcmp(m->params[i].name, t->name) == 0)
            return serves(&m->params[i], t);
    return false;
}

/* Reports every parameter that the file does not serve and every tensor that no parameter takes. */
static int match_check(const struct cnn_model *m, const struct tensor_file *f, const char *path)
{
    int faults = 0;
    char wanted[128], found[128];
    for (int i = 0; i < m->params_list_count; i++) {
        const struct cnn_param *p = &m->params[i];
        const struct stored_tensor *t = tensor_find(f, p->name);
        shape_text(wanted, sizeof wanted, p->shape, p->rank);
        if (!t) {
            rt_error("%s: has no tensor '%s', which %s wants as %s", path, p->name, m->name,
                     wanted);
        } else if (!same_shape(p, t)) {
            rt_error("%s: tensor '%s' is %s, %s wants %s", path, p->name,
                     shape_text(found, sizeof found, t->shape, t->rank), m->name, wanted);
        } else if (!is_numbers(t)) {
            rt_error("%s: tensor '%s' has dtype %s, expected F32 or F64", path, p->name, t->dtype);
        } else {
            continue;
        }
        faults++;
    }
    for (int i = 0; i < f->count; i++)
        if (!param_exists(m, f->tensors[i].name) && !is_counter(f->tensors[i].name)) {
            rt_error("%s: tensor '%s' %s belongs to no layer of %s", path, f->tensors[i].name,
                     shape_text(found, sizeof found, f->tensors[i].shape, f->tensors[i].rank),
                     m->name);
            faults++;
        }
    return faults ? -1 : 0;
}

/* What of the network the file serves and what of the file is left.  Nothing at all is an error. */
static int match_list(const struct cnn_model *m, const struct tensor_file *f, const char *path)
{
    int taken = 0, unused = 0;
    char wanted[128], found[128];
    rt_print(stdout, "Weights from %s:\n", path);
    for (int i = 0; i < m->params_list_count; i++) {
        const struct cnn_param *p = &m->params[i];
        const struct stored_tensor *t = tensor_find(f, p->name);
        shape_text(wanted, sizeof wanted, p->shape, p->rank);
        if (t)
            shape_text(found, sizeof found, t->shape, t->rank);
        if (!t)
            rt_print(stdout, "  %s %s: not taken, the file has no such tensor\n", p->name, wanted);
        else if (!same_shape(p, t))
            rt_print(stdout, "  %s %s: not taken, the file's is %s\n", p->name, wanted, found);
        else if (!is_numbers(t))
            rt_print(stdout, "  %s %s: not taken, the file's has dtype %s\n", p->name, wanted, t->dtype);
        else
            rt_print(stdout, "  %s %s: taken\n", p->name, wanted);
        taken += serves(p, t);
    }
    for (int i = 0; i < f->count; i++)
        if (!param_exists(m, f->tensors[i].name) && !is_counter(f->tensors[i].name)) {
            rt_print(stdout, "  %s %s of the file: belongs to no layer\n", f->tensors[i].name,
                   shape_text(found, sizeof found, f->tensors[i].shape, f->tensors[i].rank));
            unused++;
        }
    rt_print(stdout, "%d of %d parameters taken; %d tensors of the file belong to no layer\n", taken,
           m->params_list_count, unused);
    if (taken)
        return 0;
    rt_error("%s: nothing in it fits %s", path, m->name);
    return -1;
}

/* Whether the file serves the last of the network's parameters, which make its classes. */
static bool last_served(const struct cnn_model *m, const struct tensor_file *f)
{
    const struct cnn_param *last = m->params_list_count ? &m->params[m->params_list_count - 1] : NULL;
    return last && serves(last, tensor_find(f, last->name));
}

static double stored_number(const struct stored_tensor *t, int64_t i)
{
    if (t->element_size == 8) {
        double x;
        memcpy(&x, t->data + i * 8, 8);
        return x;
    }
    float x;
    memcpy(&x, t->data + i * 4, 4);
    return x;
}

/* The tensor in the network's own numbers. */
static void tensor_numbers(const struct stored_tensor *t, int real_size, void *out)
{
    if (t->element_size == real_size) {
        memcpy(out, t->data, (size_t)t->count * (size_t)real_size);
        return;
    }
    for (int64_t i = 0; i < t->count; i++) {
        if (real_size == 8)
            ((double *)out)[i] = stored_number(t, i);
        else
            ((float *)out)[i] = (float)stored_number(t, i);
    }
}

int cnn_load_weights(struct cnn_context *c, const char *path)
{
    struct guest guest;
    rt_guest_enter(&guest);
    int status = rt_checkpoint_load(c, path, false);
    rt_guest_leave(&guest);
    return status;
}

/* A file of another kind, or a folder: said in a line with what to give instead.  The beginning and the end of a file
 * tell what it is. */
static bool is_foreign(const char *path)
{
    enum { PART = 1 << 16 };
    struct stat st;
    FILE *file = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
    char *bytes = file ? malloc(2 * PART) : NULL;
    size_t size = bytes ? fread(bytes, 1, PART, file) : 0;
    if (size == PART && st.st_size > 2 * PART && fseek(file, -PART, SEEK_END) == 0)
        size += fread(bytes + size, 1, PART, file);
    else if (size == PART)
        size += fread(bytes + size, 1, PART, file);
    const char *other = size ? file_kind_of_weights(bytes, size) : NULL;
    if (other)
        rt_error("%s: %s", path, other);
    free(bytes);
    if (file)
        fclose(file);
    if (file || stat(path, &st) || !S_ISDIR(st.st_mode))
        return other != NULL;
    rt_error("%s: is a folder; the weights of a run are in it, as last.safetensors and best.safetensors", path);
    return true;
}

int rt_checkpoint_load(struct cnn_context *c, const char *path, bool partial)
{
    const struct cnn_model *m = c->model;
    struct tensor_file f;
    if (is_foreign(path))
        return -1;
    if (rt_archive_is(path) ? rt_npz_read(&f, path, is_wanted, m) : rt_safetensors_read(&f, path))
        return -1;
    if (is_state(&f)) {
        rt_error("%s: is the state of a run, which --resume goes on from; its weights are in "
                 "last.safetensors beside it", path);
        rt_safetensors_free(&f);
        return -1;
    }
    int64_t largest = 1;
    for (int i = 0; i < m->params_list_count; i++)
        if (m->params[i].count > largest)
            largest = m->params[i].count;
    void *values = malloc((size_t)largest * (size_t)m->real_size);
    if (!values)
        rt_error("%s: no memory to read it", path);
    int status = -1;
    if (values && (partial ? match_list(m, &f, path) : match_check(m, &f, path)) == 0)
        status = rt_notes_read(c, &f, path, partial && !last_served(m, &f));
    for (int i = 0; i < m->params_list_count && status == 0; i++) {
        const struct stored_tensor *t = tensor_find(&f, m->params[i].name);
        if (!serves(&m->params[i], t))
            continue;
        tensor_numbers(t, m->real_size, values);
        cnn_param_set(c, i, values);
    }
    free(values);
    rt_safetensors_free(&f);
    return status;
}
