/* callback_checkpoint.c - checkpoint: the weights to a file of the run folder, after each epoch or
 * when a value has improved, as Keras's ModelCheckpoint. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "train/callback_parts.h"
#include "files/checkpoint.h"
#include "core/file_path.h"
#include "common/file_template.h"
#include "core/message.h"
#include "files/notes.h"
#include "common/recipe.h"
#include "files/run_folder.h"
#include "core/same_file.h"
#include "files/state.h"

static void checkpoint_open(struct callback *c, const struct cnn_clause *clause)
{
    c->checkpoint = (struct checkpoint){
        .file = rt_setting_text(clause, "file"),
        .save_best = rt_setting_number(clause, "save_best") != 0.0,
        .period = (int)rt_setting_number(clause, "period"),
    };
    c->verbose = rt_setting_number(clause, "verbose") != 0.0;
}

/* The path of a file in the run folder, in malloc'd memory; NULL with a message. */
static char *checkpoint_path(const struct callback *c, const char *file)
{
    char *path = rt_path_join(c->folder, file);
    if (!path)
        rt_error("%s: no memory for its name", file);
    return path;
}

/* Makes the folders that the file's own name asks for.  0, or -1 with a message. */
static int folders_make(const struct callback *c, const char *file)
{
    char *path = checkpoint_path(c, file);
    int status = path ? 0 : -1;
    size_t from = strlen(c->folder) + 1;
    for (char *at = path ? strchr(path + from, '/') : NULL; at && status == 0; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(path, 0777) && errno != EEXIST) {
            rt_error("%s: %s", path, strerror(errno));
            status = -1;
        }
        *at = '/';
    }
    free(path);
    return status;
}

/* Whether the file's folder has fields, and so is made when it is known. */
static bool folder_has_fields(const char *file)
{
    return memchr(file, '{', (size_t)(rt_base_of(file) - file)) != NULL;
}

/* ---- what lies where checkpoints will --------------------------------------------------------- */

/* Something that has a name which the checkpoint may write to, or had while it was not whole. */
typedef int found_do(const char *path, bool temporary, void *user);

/* Looks for names of the rest of the template, `file`, in a folder.  0, or what found_do() returns where not 0. */
static int files_find(const char *folder, const char *file, found_do *found, void *user)
{
    size_t length = strcspn(file, "/");
    bool last = !file[length];
    char *part = strndup(file, length);
    DIR *dir = part ? opendir(folder) : NULL;
    struct dirent *entry;
    int status = 0;
    while (dir && status == 0 && (entry = readdir(dir))) {
        bool temporary = last && rt_atomic_is_temporary(entry->d_name, part, rt_template_gives);
        if (!temporary && !rt_template_gives(part, entry->d_name))
            continue;
        char *path = rt_path_join(folder, entry->d_name);
        if (path)
            status = last ? found(path, temporary, user) : files_find(path, file + length + 1, found, user);
        free(path);
    }
    if (dir)
        closedir(dir);
    free(part);
    return status;
}

static int found_check(const char *path, bool temporary, void *user)
{
    const struct run_folder *folder = user;
    const char *file = temporary ? NULL : rt_run_folder_file(folder, path);
    if (file)
        rt_error("%s: is %s, which every run keeps, and a checkpoint would replace it", path, file);
    else if (!temporary && !rt_checkpoint_is(path))
        rt_error("%s: a checkpoint would replace it, and it is no file of weights that a trainer has saved: "
                 "move it away", path);
    else
        return 0;
    return -1;
}

static int found_remove(const char *path, bool temporary, void *user)
{
    const bool *resumed = user;
    if ((*resumed && !temporary) || unlink(path) == 0 || errno == ENOENT)
        return 0;
    rt_error("%s: %s", path, strerror(errno));
    return -1;
}

/* Whether a checkpoint may be written to the file of a path outside of the run's own. */
static bool may_write_to(const struct callback *c, const char *other)
{
    const char *file = c->checkpoint.file;
    char *path = checkpoint_path(c, file), *folder = path ? rt_folder_of(path) : NULL, *others = rt_folder_of(other);
    bool may = path && folder && others && !folder_has_fields(file)
               && (rt_same_file(path, other)
                   || (rt_same_folder(folder, others) && rt_template_gives(rt_base_of(file), rt_base_of(other))));
    free(path);
    free(folder);
    free(others);
    return may;
}

/* Whether the folders in its name are folders, as far as they are there and known.  0, or -1 with a message. */
static int folders_check(const struct callback *c, const char *file)
{
    struct stat status;
    for (const char *slash = strchr(file, '/'); slash; slash = strchr(slash + 1, '/')) {
        char *part = strndup(file, (size_t)(slash - file)), *path = part ? checkpoint_path(c, part) : NULL;
        bool blocked = path && stat(path, &status) == 0 && !S_ISDIR(status.st_mode);
        if (blocked)
            rt_error("%s: is no directory, and the checkpoint '%s' wants one of that name", path, file);
        free(part);
        free(path);
        if (blocked)
            return -1;
    }
    return 0;
}

static int checkpoint_check(const struct callback *c, const struct run_folder *folder, const char *const files[2])
{
    for (int i = 0; i < 2; i++)
        if (files[i] && may_write_to(c, files[i])) {
            rt_error("%s: is where the checkpoint '%s' is written", files[i], c->checkpoint.file);
            return -1;
        }
    return folders_check(c, c->checkpoint.file)
           || files_find(c->folder, c->checkpoint.file, found_check, (void *)folder) ? -1 : 0;
}

/* A file of a run before would pass for one of this run. */
static int checkpoint_claim(struct callback *c, bool resumed)
{
    const char *file = c->checkpoint.file;
    if (!folder_has_fields(file) && folders_make(c, file))
        return -1;
    return files_find(c->folder, file, found_remove, &resumed);
}

/* ---- writing --------------------------------------------------------------------------------- */

struct field_user {
    const struct callback *callback;
    const struct epoch_end *end;
};

static bool field_value(void *user, const struct template_piece *field, double *value, bool *whole)
{
    const struct field_user *u = user;
    char *name = strndup(field->name, field->name_length);
    bool known = name && rt_epoch_value(u->callback, u->end, name, value);
    *whole = known && strcmp(name, "epoch") == 0;
    free(name);
    return known;
}

/* The file of an epoch, malloc'd; NULL with a message. */
static char *file_name(const struct callback *c, const struct epoch_end *end)
{
    struct field_user user = { c, end };
    char *file = rt_template_expand(c->checkpoint.file, field_value, &user);
    if (!file)
        rt_error("the checkpoint '%s' cannot be named", c->checkpoint.file);
    return file;
}

/* Says nothing where the options ask for nothing. */
static void improvement_say(const struct callback *c, const struct epoch_end *end, double now,
                            const char *path)
{
    if (c->verbose)
        rt_progress_say(end->progress,
                        "\nEpoch %05d: %s improved from %.5f to %.5f, saving model to %s\n",
                        end->epoch + 1, c->monitor.name, c->state.best, now, path);
}

/* What could not be saved is not the best that there is a file of; as long as the weights are the
 * epoch's it can still be written. */
static void checkpoint_write(struct callback *c, const char *file, double value)
{
    struct checkpoint *k = &c->checkpoint;
    char *path = checkpoint_path(c, file), *due = NULL;
    struct weights_origin *origin = &rt_notes(c->context)->origin;
    rt_origin_choose(origin, k->save_best ? c->monitor.name : NULL, value);
    k->failed = !path || (folder_has_fields(k->file) && folders_make(c, file))
                || cnn_save_weights(c->context, path) != 0;
    rt_origin_choose(origin, NULL, 0.0);
    if (k->failed)
        due = strdup(file);
    else
        c->state.best = value;
    free(k->due_file);          /* it may be what `file` is */
    k->due_file = due;
    k->due_value = value;
    free(path);
}

static void checkpoint_epoch_end(struct callback *c, struct epoch_end *end)
{
    struct checkpoint *k = &c->checkpoint;
    double now = rt_monitor_value(&c->monitor, end);
    free(k->due_file);
    k->due_file = NULL;
    if (++c->state.waited < k->period)
        return;
    c->state.waited = 0;
    if (k->save_best && !rt_monitor_better(c, now, 0.0)) {
        if (c->verbose)
            rt_progress_say(end->progress, "\nEpoch %05d: %s did not improve from %.5f\n",
                            end->epoch + 1, c->monitor.name, c->state.best);
        return;
    }
    char *file = file_name(c, end), *path = file ? checkpoint_path(c, file) : NULL;
    if (path && k->save_best)
        improvement_say(c, end, now, path);
    else if (path && c->verbose)
        rt_progress_say(end->progress, "\nEpoch %05d: saving model to %s\n", end->epoch + 1, path);
    free(path);
    if (file)
        checkpoint_write(c, file, now);
    else
        k->failed = true;
    free(file);
}

static void checkpoint_catch_up(struct callback *c)
{
    if (c->checkpoint.due_file)
        checkpoint_write(c, c->checkpoint.due_file, c->checkpoint.due_value);
}

static void checkpoint_save(const struct callback *c, struct state *s)
{
    const struct checkpoint *k = &c->checkpoint;
    if (!k->due_file)
        return;
    rt_state_put_text(s, "due_file", k->due_file);
    rt_state_put_number(s, "due_value", k->due_value);
}

static int checkpoint_load(struct callback *c, const struct state *s)
{
    struct checkpoint *k = &c->checkpoint;
    const char *file = rt_state_text(s, "due_file");
    if (!file)
        return 0;
    k->due_file = strdup(file);
    if (!k->due_file)
        rt_error("%s: no memory for its name", file);
    return k->due_file ? rt_state_get_number(s, "due_value", &k->due_value) : -1;
}

static void checkpoint_close(struct callback *c)
{
    free(c->checkpoint.due_file);
}

const struct callback_kind rt_callback_checkpoint = {
    .name = "checkpoint",
    .monitors = true,
    .open = checkpoint_open,
    .check = checkpoint_check,
    .claim = checkpoint_claim,
    .save = checkpoint_save,
    .load = checkpoint_load,
    .epoch_end = checkpoint_epoch_end,
    .catch_up = checkpoint_catch_up,
    .close = checkpoint_close,
};
