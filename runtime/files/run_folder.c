/* run_folder.c - what is kept of a run, and that no run is lost by mistake. */
#define _GNU_SOURCE
#include "files/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/atomic_file.h"
#include "core/file_path.h"
#include "core/message.h"
#include "core/same_file.h"

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

/* Whether a file begins with the text. */
static bool begins_with(const char *path, const char *const *pieces)
{
    FILE *file = fopen(path, "r");
    bool equal = file != NULL;
    for (; equal && *pieces; pieces++)
        for (const char *c = *pieces; equal && *c; c++)
            equal = getc(file) == (unsigned char)*c;
    if (file)
        fclose(file);
    return equal;
}

/* What stands behind the recipe in a text; NULL: the text begins with something else. */
static const char *behind_recipe(const char *text, const char *const *recipe)
{
    for (; recipe && *recipe; recipe++) {
        size_t length = strlen(*recipe);
        if (strncmp(text, *recipe, length) != 0)
            return NULL;
        text += length;
    }
    return text;
}

/* Whether a run has been there: it leaves a state and weights, and before those a table of epochs or
 * at least its recipe. */
static bool is_run(const struct run_folder *f, const struct cnn_model *model)
{
    static const char *const table[] = { "epoch,lr,loss,", NULL };
    return access(f->state, F_OK) == 0 || access(f->previous_state, F_OK) == 0
           || rt_run_folder_has_weights(f) || begins_with(f->history, table)
           || (model->recipe && begins_with(f->recipe, model->recipe));
}

/* Whether a new run may take the names of what is there. */
static enum run_folder_state files_check(const struct run_folder *f, const struct cnn_model *model,
                                         bool overwrite)
{
    struct stat status;
    const char *files[RUN_FILES];
    files_list(f, files);
    bool run = is_run(f, model);
    for (int i = 0; i < RUN_FILES; i++) {
        if (lstat(files[i], &status))
            continue;
        if (S_ISDIR(status.st_mode)) {
            rt_error("%s: is a directory, and a run has a file of that name", files[i]);
            return RUN_FOLDER_UNUSABLE;
        }
        if (run && !overwrite) {
            rt_error("%s holds a run already: --overwrite replaces it, --resume goes on with it, "
                     "--run-dir DIR names another place",
                     f->path);
            return RUN_FOLDER_HOLDS_RUN;
        }
        if (!run) {
            rt_error("%s: would be replaced, and there is no run in %s that it could be of: move it "
                     "away, or name another place with --run-dir DIR",
                     files[i], f->path);
            return RUN_FOLDER_UNUSABLE;
        }
    }
    return RUN_FOLDER_FREE;
}

enum run_folder_state rt_run_folder_check(const struct run_folder *f, const struct cnn_model *model,
                                          bool overwrite)
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
    return files_check(f, model, overwrite);
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

bool rt_run_folder_replaced(const struct run_folder *f)
{
    struct stat locked, named;
    return f->lock >= 0 && fstat(f->lock, &locked) == 0 && stat(f->path, &named) == 0
           && (locked.st_dev != named.st_dev || locked.st_ino != named.st_ino);
}

/* Whether it is one of the run's files before that is whole. */
static bool is_temporary(const struct run_folder *f, const char *name)
{
    const char *files[RUN_FILES];
    files_list(f, files);
    for (int i = 0; i < RUN_FILES; i++)
        if (rt_atomic_is_temporary(name, rt_base_of(files[i]), NULL))
            return true;
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

/* ---- the recipe ------------------------------------------------------------------------------ */

static const char past_mark[] = "# up to step ";

/* The recipe whole, malloc'd; NULL without memory. */
static char *recipe_text(const struct cnn_model *model)
{
    size_t length = 0, at = 0;
    for (const char *const *piece = model->recipe; piece && *piece; piece++)
        length += strlen(*piece);
    char *text = malloc(length + 1);
    for (const char *const *piece = model->recipe; text && piece && *piece; piece++) {
        size_t bytes = strlen(*piece);
        memcpy(text + at, *piece, bytes);
        at += bytes;
    }
    if (text)
        text[at] = '\0';
    return text;
}

/* past: lines about earlier steps. */
static int recipe_write(const struct run_folder *f, const struct cnn_model *model, const char *past,
                        const char *remarks)
{
    struct atomic_file file;
    char *recipe = recipe_text(model);
    if (!recipe)
        rt_error("%s: no memory to write it", f->recipe);
    int status = recipe ? rt_atomic_open(&file, f->recipe) : -1;
    if (status == 0) {
        status = rt_atomic_write(&file, recipe, strlen(recipe)) || rt_atomic_write(&file, past, strlen(past))
                 || rt_atomic_write(&file, remarks, strlen(remarks)) ? -1 : 0;
        if (status)
            rt_atomic_drop(&file);
        else
            status = rt_atomic_commit(&file);
    }
    free(recipe);
    return status;
}

/* The number of "recipe.7.cnn", 0 for another name. */
static long older_number(const char *name)
{
    char *end = NULL;
    long number = strncmp(name, "recipe.", 7) == 0 && name[7] >= '1' && name[7] <= '9'
                      ? strtol(name + 7, &end, 10) : 0;
    return number > 0 && number < INT32_MAX && strcmp(end, ".cnn") == 0 ? number : 0;
}

/* Calls older_do() for the path of each older recipe; the highest number, 0: there is none. */
static long older_recipes(const struct run_folder *f, void (*older_do)(const char *path))
{
    DIR *dir = opendir(f->path);
    struct dirent *entry;
    long highest = 0;
    while (dir && (entry = readdir(dir))) {
        long number = older_number(entry->d_name);
        char *path = number && older_do ? rt_path_join(f->path, entry->d_name) : NULL;
        if (path)
            older_do(path);
        free(path);
        highest = number > highest ? number : highest;
    }
    if (dir)
        closedir(dir);
    return highest;
}

static void file_remove(const char *path)
{
    unlink(path);
}

/* Gives the file of another recipe the next free number, and says so in *past.  0, or -1 with a
 * message. */
static int recipe_number(const struct run_folder *f, uint64_t step, FILE *past)
{
    char name[48];
    long number = older_recipes(f, NULL);
    bool there = access(f->recipe, F_OK) == 0;
    snprintf(name, sizeof name, "recipe.%ld.cnn", there ? number + 1 : number);
    char *path = rt_path_join(f->path, name);
    int status = path && (!there || rename(f->recipe, path) == 0) ? 0 : -1;
    if (status)
        rt_error("%s: cannot be renamed to %s: %s", f->recipe, name, strerror(errno));
    else if (there || number)           /* else it was lost */
        fprintf(past, "%s%" PRIu64 " the run had another recipe: %s\n", past_mark, step, name);
    else
        fprintf(past, "%s%" PRIu64 " the run had another recipe\n", past_mark, step);
    free(path);
    return status;
}

/* The lines about earlier steps below the recipe; *said: what else stands there, malloc'd. */
static void past_copy(const char *tail, FILE *past, FILE *said)
{
    for (const char *end; *tail; tail = end) {
        end = strchr(tail, '\n');
        end = end ? end + 1 : tail + strlen(tail);
        bool is_past = strncmp(tail, past_mark, sizeof past_mark - 1) == 0;
        fwrite(tail, 1, (size_t)(end - tail), is_past ? past : said);
    }
}

/* A text file whole, malloc'd; NULL: it cannot be read. */
static char *text_read(const char *path)
{
    char *text = NULL, piece[4096];
    size_t length = 0, n;
    FILE *file = fopen(path, "r"), *out = file ? open_memstream(&text, &length) : NULL;
    while (out && (n = fread(piece, 1, sizeof piece, file)) > 0)
        fwrite(piece, 1, n, out);
    bool bad = !file || ferror(file);
    if (file)
        fclose(file);
    if (!out || fclose(out) || bad) {
        free(text);
        return NULL;
    }
    return text;
}

int rt_run_folder_recipe(const struct run_folder *f, const struct cnn_model *model, uint64_t step,
                         const char *past, const char *remarks)
{
    char *now = text_read(f->recipe), *lines = NULL, *said = NULL;
    const char *behind = now ? behind_recipe(now, model->recipe) : NULL;
    size_t lines_length = 0, said_length = 0;
    FILE *lines_out = open_memstream(&lines, &lines_length), *said_out = open_memstream(&said, &said_length);
    bool same = behind && (!*behind || *behind == '#');
    int status = lines_out && said_out ? 0 : -1;
    if (status == 0 && same)
        past_copy(behind, lines_out, said_out);
    else if (status == 0)
        status = recipe_number(f, step, lines_out);
    if ((lines_out && fclose(lines_out)) | (said_out && fclose(said_out)))
        status = -1;
    /* it may have been added before a kill */
    bool news = status == 0 && *past && !strstr(lines, past);
    if (status == 0 && (!same || news || strcmp(said, remarks))) {
        char *all = malloc(strlen(lines) + strlen(past) + 1);
        if (all)
            strcat(strcpy(all, lines), news ? past : "");
        status = all ? recipe_write(f, model, all, remarks) : -1;
        free(all);
    }
    free(now);
    free(lines);
    free(said);
    return status;
}

unsigned long rt_run_folder_recipe_sum(const struct cnn_model *model)
{
    unsigned long sum = 0;
    for (const char *const *piece = model->recipe; piece && *piece; piece++)
        sum = crc32_z(sum, (const unsigned char *)*piece, strlen(*piece));
    return sum;
}

int rt_run_folder_claim(const struct run_folder *f, const struct cnn_model *model,
                        const char *remarks, bool state_is_ours)
{
    /* the recipe goes first: if nothing can be written here, the run before stays */
    if (recipe_write(f, model, "", remarks))
        return -1;
    const char *files[RUN_FILES];
    files_list(f, files);
    for (int i = 0; i < RUN_FILES; i++)
        if (files[i] != f->recipe && !(state_is_ours && files[i] == f->state) && unlink(files[i])
            && errno != ENOENT) {
            rt_error("%s: %s", files[i], strerror(errno));
            return -1;
        }
    older_recipes(f, file_remove);
    return 0;
}

const char *rt_run_folder_file(const struct run_folder *f, const char *path)
{
    const char *files[RUN_FILES];
    files_list(f, files);
    for (int i = 0; i < RUN_FILES; i++)
        if (rt_same_file(files[i], path))
            return files[i];
    return NULL;
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
