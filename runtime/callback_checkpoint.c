/* callback_checkpoint.c - checkpoint: the weights to a file of the run folder, after each epoch or
 * when a value has improved, as Keras's ModelCheckpoint. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "callback_parts.h"
#include "data.h"
#include "message.h"
#include "notes.h"
#include "recipe.h"
#include "state.h"

static void checkpoint_open(struct callback *c, const struct cnn_clause *clause)
{
    c->checkpoint = (struct checkpoint){
        .file = rt_setting_text(clause, "file", "checkpoint.safetensors"),
        .save_best = rt_setting_number(clause, "save_best", 0) != 0.0,
        .period = (int)rt_setting_number(clause, "period", 1),
    };
    c->verbose = rt_setting_number(clause, "verbose", 0) != 0.0;
}

/* The path of a file of the recipe's, in malloc'd memory; NULL with a message. */
static char *checkpoint_path(const struct callback *c, const char *file)
{
    char *path = file[0] == '/' ? strdup(file) : rt_path_join(c->folder, file);
    if (!path)
        rt_error("%s: no memory for its name", file);
    return path;
}

/* Makes the folders that the file's own name asks for.  0, or -1 with a message. */
static int folders_make(char *path, size_t from)
{
    int status = 0;
    for (char *at = strchr(path + from, '/'); at && status == 0; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (at > path && mkdir(path, 0777) && errno != EEXIST) {
            rt_error("%s: %s", path, strerror(errno));
            status = -1;
        }
        *at = '/';
    }
    return status;
}

/* A file of a run before would pass for one of this run. */
static int checkpoint_claim(struct callback *c, bool resumed)
{
    char *path = checkpoint_path(c, c->checkpoint.file);
    int status = path ? folders_make(path, c->checkpoint.file[0] == '/' ? 0 : strlen(c->folder) + 1)
                      : -1;
    if (status == 0 && !resumed && unlink(path) && errno != ENOENT) {
        rt_error("%s: %s", path, strerror(errno));
        status = -1;
    }
    free(path);
    return status;
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
    k->failed = !path || cnn_save_weights(c->context, path) != 0;
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
    char *path = checkpoint_path(c, k->file);
    if (path && k->save_best)
        improvement_say(c, end, now, path);
    else if (path && c->verbose)
        rt_progress_say(end->progress, "\nEpoch %05d: saving model to %s\n", end->epoch + 1, path);
    free(path);
    checkpoint_write(c, k->file, now);
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
    .claim = checkpoint_claim,
    .save = checkpoint_save,
    .load = checkpoint_load,
    .epoch_end = checkpoint_epoch_end,
    .catch_up = checkpoint_catch_up,
    .close = checkpoint_close,
};
