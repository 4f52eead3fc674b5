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
#include "recipe.h"

static void checkpoint_open(struct callback *c, const struct cnn_clause *clause)
{
    c->checkpoint = (struct checkpoint){
        .file = rt_setting_text(clause, "file", "checkpoint.safetensors"),
        .save_best = rt_setting_number(clause, "save_best", 0) != 0.0,
        .period = (int)rt_setting_number(clause, "period", 1),
    };
    c->verbose = rt_setting_number(clause, "verbose", 0) != 0.0;
}

/* In malloc'd memory; NULL with a message. */
static char *checkpoint_path(const struct callback *c)
{
    const char *file = c->checkpoint.file;
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
    char *path = checkpoint_path(c);
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

static void checkpoint_epoch_end(struct callback *c, struct epoch_end *end)
{
    struct checkpoint *k = &c->checkpoint;
    double now = rt_monitor_value(&c->monitor, end);
    if (++c->state.waited < k->period)
        return;
    c->state.waited = 0;
    if (k->save_best && !rt_monitor_better(c, now, 0.0)) {
        if (c->verbose)
            rt_progress_say(end->progress, "\nEpoch %05d: %s did not improve from %.5f\n",
                            end->epoch + 1, c->monitor.name, c->state.best);
        return;
    }
    char *path = checkpoint_path(c);
    if (path && k->save_best)
        improvement_say(c, end, now, path);
    else if (path && c->verbose)
        rt_progress_say(end->progress, "\nEpoch %05d: saving model to %s\n", end->epoch + 1, path);
    k->failed = !path || cnn_save_weights(c->context, path) != 0;
    /* what could not be saved is not the best that there is a file of */
    if (!k->failed)
        c->state.best = now;
    free(path);
}

const struct callback_kind rt_callback_checkpoint = {
    .name = "checkpoint",
    .monitors = true,
    .open = checkpoint_open,
    .claim = checkpoint_claim,
    .epoch_end = checkpoint_epoch_end,
};
