/* picture_list.c - walks folders. */
#define _GNU_SOURCE
#include "picture_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data.h"
#include "image.h"
#include "message.h"

enum { DEPTH_MAX = 64 };

/* The folders that lead to the one being walked: a link may lead back to one of them. */
struct way {
    const struct way *above;
    dev_t device;
    ino_t inode;
};

bool rt_is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

void rt_pictures_free(struct picture_list *l)
{
    for (int64_t i = 0; i < l->count; i++)
        free(l->paths[i]);
    free(l->paths);
    free(l->first_other);
    *l = (struct picture_list){ 0 };
}

static int path_take(struct picture_list *l, char *path)
{
    if (l->count == l->capacity) {
        int64_t capacity = l->capacity ? 2 * l->capacity : 256;
        char **paths = realloc(l->paths, (size_t)capacity * sizeof *paths);
        if (!paths) {
            free(path);
            path = NULL;
        } else {
            l->paths = paths;
            l->capacity = capacity;
        }
    }
    if (!path) {
        rt_error("no memory for the names of pictures");
        return -1;
    }
    l->paths[l->count++] = path;
    return 0;
}

int rt_pictures_add(struct picture_list *l, const char *path)
{
    return path_take(l, strdup(path));
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void entries_free(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

static bool way_seen(const struct way *w, const struct stat *folder)
{
    for (; w; w = w->above)
        if (w->device == folder->st_dev && w->inode == folder->st_ino)
            return true;
    return false;
}

static int folder_walk(struct picture_list *l, const char *dir, const struct way *above, int depth);

static int entry_take(struct picture_list *l, char *path, const struct way *here, int depth)
{
    struct stat status;
    int failed = 0;
    if (path && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        if (way_seen(here, &status))
            rt_note("%s leads back to a folder above it: passed over", path);
        else
            failed = folder_walk(l, path, here, depth + 1);
    } else if (path && !rt_image_name(path)) {
        if (l->others++ == 0) {
            l->first_other = path;
            return 0;
        }
    } else {
        return path_take(l, path);
    }
    free(path);
    return failed;
}

static int folder_walk(struct picture_list *l, const char *dir, const struct way *above, int depth)
{
    struct dirent **entries;
    struct stat folder = { 0 };
    int count = -1, status = 0;
    if (depth < DEPTH_MAX && stat(dir, &folder) == 0)
        count = scandir(dir, &entries, visible, by_bytes);
    if (count < 0) {
        rt_error("%s: %s", dir,
                 depth < DEPTH_MAX ? strerror(errno) : "folders lie too deep in one another");
        return -1;
    }
    const struct way here = { above, folder.st_dev, folder.st_ino };
    for (int i = 0; i < count; i++)             /* to the end: what is wrong is told all at once */
        status |= entry_take(l, rt_path_join(dir, entries[i]->d_name), &here, depth);
    entries_free(entries, count);
    return status;
}

int rt_pictures_find(struct picture_list *l, const char *dir)
{
    return folder_walk(l, dir, NULL, 0);
}

int rt_folders_list(const char *dir, char ***names)
{
    struct dirent **entries;
    int count = scandir(dir, &entries, visible, by_bytes), kept = 0;
    char **list = count < 0 ? NULL : calloc((size_t)count + 1, sizeof *list);
    if (!list) {
        rt_error("%s: %s", dir, strerror(errno));
        if (count >= 0)
            entries_free(entries, count);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        char *path = rt_path_join(dir, entries[i]->d_name);
        if (path && rt_is_folder(path) && (list[kept] = strdup(entries[i]->d_name)))
            kept++;
        free(path);
    }
    entries_free(entries, count);
    *names = list;
    return kept;
}
