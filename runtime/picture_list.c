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

enum { DEPTH_MAX = 32 };        /* a link may lead a folder into itself */

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

static int folder_walk(struct picture_list *l, const char *dir, int depth)
{
    struct dirent **entries;
    int count = depth < DEPTH_MAX ? scandir(dir, &entries, visible, by_bytes) : -1, status = 0;
    if (count < 0) {
        rt_error("%s: %s", dir,
                 depth < DEPTH_MAX ? strerror(errno) : "folders lie too deep in one another");
        return -1;
    }
    for (int i = 0; i < count && status == 0; i++) {
        char *path = rt_path_join(dir, entries[i]->d_name);
        if (path && rt_is_folder(path)) {
            status = folder_walk(l, path, depth + 1);
        } else if (path && !rt_image_name(path)) {
            if (l->others++ == 0) {
                l->first_other = path;
                path = NULL;
            }
        } else {
            status = path_take(l, path);
            path = NULL;
        }
        free(path);
    }
    entries_free(entries, count);
    return status;
}

int rt_pictures_find(struct picture_list *l, const char *dir)
{
    return folder_walk(l, dir, 0);
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
