/* run_folder.c - what is kept of a run, and that no run is lost by mistake. */
#define _GNU_SOURCE
#include "run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic_file.h"
#include "data.h"
#include "message.h"

int rt_run_folder_name(struct run_folder *f, const struct cnn_model *model, const char *dir)
{
    *f = (struct run_folder){ .lock = -1 };
    size_t room = dir ? strlen(dir) + 1 : strlen(model->name) + sizeof ".run";
    f->path = malloc(room);
    if (f->path) {
        snprintf(f->path, room, "%s%s", dir ? dir : model->name, dir ? "" : ".run");
        f->recipe = rt_path_join(f->path, "recipe.cnn");
        f->log = rt_path_join(f->path, "log");
        f->history = rt_path_join(f->path, "history.csv");
        f->chart = rt_path_join(f->path, "history.svg");
        f->last = rt_path_join(f->path, "last.safetensors");
        f->best = rt_path_join(f->path, "best.safetensors");
        f->state = rt_path_join(f->path, "state.safetensors");
        f->previous_state = rt_path_join(f->path, "state.previous.safetensors");
    }
    if (f->path && f->recipe && f->log && f->history && f->chart && f->last && f->best && f->state
        && f->previous_state)
        return 0;
    rt_error("no memory for the names of a run's files");
    rt_run_folder_free(f);
    return -1;
}

void rt_run_folder_free(struct run_folder *f)
{
    free(f->path);
    free(f->recipe);
    free(f->log);
    free(f->history);
    free(f->chart);
    free(f->last);
    free(f->best);
    free(f->state);
    free(f->previous_state);
    if (f->lock >= 0)
        close(f->lock);
    *f = (struct run_folder){ .lock = -1 };
}

enum { RUN_FILES = 8 };

static void files_list(const struct run_folder *f, const char *files[RUN_FILES])
{
    files[0] = f->recipe;
    /* the states go first when a run is removed: a state without its run's files would be resumed */
    files[1] = f->state;
    files[2] = f->previous_state;
    files[3] = f->log;
    files[4] = f->history;
    files[5] = f->last;
    files[6] = f->best;
    files[7] = f->chart;
}

enum run_folder_state rt_run_folder_check(const struct run_folder *f, bool overwrite)
{
    struct stat status;
    if (stat(f->path, &status)) {
        if (errno == ENOENT)
            return RUN_FOLDER_FREE;
        rt_error("%s: %s", f->path, strerror(errno));
        return RUN_FOLDER_UNUSABLE;
    }
    if (!S_ISDIR(status.st_mode)) {
        rt_error("%s: is not a directory", f->path);
        return RUN_FOLDER_UNUSABLE;
    }
    const char *files[RUN_FILES];
    files_list(f, files);
    for (int i = 0; i < RUN_FILES; i++)
        if (!overwrite && access(files[i], F_OK) == 0) {
            rt_error("%s holds a run already: --overwrite replaces it, --resume goes on with it, "
                     "--run-dir DIR names another place",
                     f->path);
            return RUN_FOLDER_HOLDS_RUN;
        }
    return RUN_FOLDER_FREE;
}

int rt_run_folder_make(const struct run_folder *f)
{
    if (mkdir(f->path, 0777) == 0 || errno == EEXIST)
        return 0;
    rt_error("%s: %s", f->path, strerror(errno));
    return -1;
}

int rt_run_folder_lock(struct run_folder *f)
{
    if (f->lock >= 0)
        return 0;
    f->lock = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* file systems without locks are taken as they are */
    if (f->lock < 0 || flock(f->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return 0;
    rt_error("%s: another trainer is at work there", f->path);
    return -1;
}

/* Whether it is how atomic_file.c calls one of the run's files before that is whole:
 * ".last.safetensors.4711.tmp". */
static bool is_temporary(const struct run_folder *f, const char *name)
{
    const char *files[RUN_FILES];
    files_list(f, files);
    for (int i = 0; name[0] == '.' && i < RUN_FILES; i++) {
        const char *base = strrchr(files[i], '/') + 1;
        size_t length = strlen(base);
        if (strncmp(name + 1, base, length) || name[1 + length] != '.')
            continue;
        const char *number = name + length + 2;
        if (*number && strcmp(number + strspn(number, "0123456789"), ".tmp") == 0)
            return true;
    }
    return false;
}

void rt_run_folder_tidy(const struct run_folder *f)
{
    DIR *dir = opendir(f->path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char *path = is_temporary(f, entry->d_name) ? rt_path_join(f->path, entry->d_name) : NULL;
        if (path)
            unlink(path);
        free(path);
    }
    if (dir)
        closedir(dir);
}

int rt_run_folder_recipe(const struct run_folder *f, const struct cnn_model *model,
                         const char *remarks)
{
    struct atomic_file file;
    const char *recipe = model->recipe ? model->recipe : "";
    if (rt_atomic_open(&file, f->recipe))
        return -1;
    if (rt_atomic_write(&file, recipe, strlen(recipe))
        || rt_atomic_write(&file, remarks, strlen(remarks))) {
        rt_atomic_drop(&file);
        return -1;
    }
    return rt_atomic_commit(&file);
}

int rt_run_folder_claim(const struct run_folder *f, const struct cnn_model *model,
                        const char *remarks)
{
    /* the recipe goes first: if nothing can be written here, the run before stays */
    if (rt_run_folder_recipe(f, model, remarks))
        return -1;
    const char *files[RUN_FILES];
    files_list(f, files);
    for (int i = 0; i < RUN_FILES; i++)
        if (files[i] != f->recipe && unlink(files[i]) && errno != ENOENT) {
            rt_error("%s: %s", files[i], strerror(errno));
            return -1;
        }
    return 0;
}

bool rt_run_folder_has_weights(const struct run_folder *f)
{
    return access(f->best, F_OK) == 0 || access(f->last, F_OK) == 0;
}

const char *rt_run_folder_weights(const struct run_folder *f)
{
    if (access(f->best, F_OK) == 0)
        return f->best;
    if (access(f->last, F_OK) == 0)
        return f->last;
    rt_error("%s holds no weights: train first, or name a file with --weights", f->path);
    return NULL;
}
