/* picture_list.c - walks folders. */
#define _GNU_SOURCE
#include "data/picture_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "data/image.h"
#include "core/file_path.h"
#include "core/message.h"

enum { DEPTH_MAX = 256, DEPTH_LINKS = 8 };

/* The folders that lead to the one being walked: a link may lead back to one of them. */
struct way {
    const struct way *above;
    dev_t device;
    ino_t inode;
};

struct walk {
    struct picture_list *list;
    struct left_out *left;
    bool too_deep;              /* and that is told */
};

/* ---- lists ----------------------------------------------------------------------------------- */

static void paths_free(struct path_list *l)
{
    for (int64_t i = 0; i < l->count; i++)
        free(l->paths[i]);
    free(l->paths);
    *l = (struct path_list){ 0 };
}

/* Takes the path over; NULL is one that there was no memory for. */
static int path_take(struct path_list *l, char *path)
{
    if (path && l->count == l->capacity) {
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

void rt_path_count(struct path_count *c, const char *path)
{
    if (c->count++ == 0)
        c->first = strdup(path);
}

void rt_pictures_forget(struct picture_list *l)
{
    rt_seen_free(&l->known);
}

void rt_pictures_free(struct picture_list *l)
{
    paths_free(&l->pictures);
    paths_free(&l->folders);
    rt_seen_free(&l->known);
    rt_seen_free(&l->files);
    free(l->shared);
    free(l->twice.first);
    *l = (struct picture_list){ 0 };
}

int rt_pictures_add(struct picture_list *l, const char *path)
{
    return path_take(&l->pictures, strdup(path));
}

/* ---- what is passed over --------------------------------------------------------------------- */

static const char *first_name(const struct path_count *c)
{
    return c->first ? c->first : "?";
}

static void link_tell(const struct path_count *c, const char *one, const char *many)
{
    if (c->count == 1)
        rt_note("%s %s: passed over", first_name(c), one);
    else if (c->count)
        rt_note("%s, and %lld more links, %s: passed over", first_name(c), (long long)c->count - 1,
                many);
}

void rt_left_out_tell(const struct left_out *left, const char *where)
{
    link_tell(&left->back, "leads back to a folder above it", "lead back to folders above them");
    link_tell(&left->again, "leads to a folder that is read already",
              "lead to folders that are read already");
    if (left->unread.count)
        rt_note("%s: %lld picture%s in formats that are not read (PNG and JPEG are) %s left out, "
                "such as %s",
                where, (long long)left->unread.count, left->unread.count == 1 ? "" : "s",
                left->unread.count == 1 ? "is" : "are", first_name(&left->unread));
    if (left->others.count)
        rt_note("%s: %lld file%s not named .png, .jpg or .jpeg %s left out, such as %s", where,
                (long long)left->others.count, left->others.count == 1 ? "" : "s",
                left->others.count == 1 ? "is" : "are", first_name(&left->others));
}

void rt_left_out_free(struct left_out *left)
{
    free(left->unread.first);
    free(left->others.first);
    free(left->back.first);
    free(left->again.first);
    *left = (struct left_out){ 0 };
}

/* What systems and tools leave in folders for themselves is none of the user's data. */
static bool is_litter(const char *name)
{
    static const char *const names[] = {
        "__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN",
        "System Volume Information", "lost+found",
    };
    if (name[0] == '.')
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static int visible(const struct dirent *entry)
{
    return !is_litter(entry->d_name);
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

static int folder_walk(struct walk *w, const char *dir, const struct stat *folder,
                       const struct way *above, int depth);

static int folder_enter(struct walk *w, const char *path, const struct stat *folder,
                        const struct way *here, int depth)
{
    struct picture_list *l = w->list;
    int64_t earlier = rt_seen_find(&l->known, folder->st_dev, folder->st_ino);
    if (way_seen(here, folder)) {
        rt_path_count(&w->left->back, path);
    } else if (earlier >= l->own_folders) {
        rt_path_count(&w->left->again, path);
    } else if (earlier >= 0) {
        if (!l->shared && (l->shared = strdup(path)))
            l->shared_with = earlier;
        return l->shared ? 0 : path_take(&l->folders, NULL);
    } else {
        /* a path of many links is refused by the system; the folder's own name has none */
        char *real = depth > DEPTH_LINKS ? realpath(path, NULL) : NULL;
        int status = folder_walk(w, real ? real : path, folder, here, depth);
        free(real);
        return status;
    }
    return 0;
}

static int picture_take(struct picture_list *l, char *path, const struct stat *file)
{
    int64_t earlier = file ? rt_seen_find(&l->files, file->st_dev, file->st_ino) : -1;
    if (path && earlier >= 0 && earlier < l->own_pictures)
        rt_path_count(&l->twice, path);
    if (path && file && earlier < 0
        && rt_seen_add(&l->files, file->st_dev, file->st_ino, l->pictures.count)) {
        free(path);
        return -1;
    }
    return path_take(&l->pictures, path);
}

static int entry_take(struct walk *w, char *path, const struct way *here, int depth)
{
    struct stat status;
    bool there = path && stat(path, &status) == 0;
    int failed = 0;
    if (there && S_ISDIR(status.st_mode))
        failed = folder_enter(w, path, &status, here, depth + 1);
    else if (!path || rt_image_name(path))
        return picture_take(w->list, path, there ? &status : NULL);
    else
        rt_path_count(rt_image_name_unread(path) ? &w->left->unread : &w->left->others, path);
    free(path);
    return failed;
}

static int folder_walk(struct walk *w, const char *dir, const struct stat *folder,
                       const struct way *above, int depth)
{
    struct dirent **entries;
    int count = depth < DEPTH_MAX ? scandir(dir, &entries, visible, by_bytes) : -1, status = 0;
    if (count < 0) {
        if (depth < DEPTH_MAX)
            rt_error("%s: %s", dir, strerror(errno));
        else if (!w->too_deep)
            rt_error("%s: folders lie too deep in one another", dir);
        w->too_deep = w->too_deep || depth >= DEPTH_MAX;
        return -1;
    }
    if (rt_seen_add(&w->list->known, folder->st_dev, folder->st_ino, w->list->folders.count)
        || path_take(&w->list->folders, strdup(dir))) {
        entries_free(entries, count);
        return -1;
    }
    const struct way here = { above, folder->st_dev, folder->st_ino };
    /* to the end: what is wrong is told all at once */
    for (int i = 0; i < count && !(w->list->first_only && w->list->pictures.count); i++)
        status |= entry_take(w, rt_path_join(dir, entries[i]->d_name), &here, depth);
    entries_free(entries, count);
    return status;
}

/* The folders that `dir` really lies in, one a slash of its path, outermost first in ways[].  Returns
 * how many. */
static int ways_above(const char *dir, struct way **ways)
{
    char *real = realpath(dir, NULL);
    int count = 0, slashes = 0;
    for (const char *c = real; c && *c; c++)
        slashes += *c == '/';
    *ways = real ? calloc((size_t)slashes + 1, sizeof **ways) : NULL;
    for (char *c = real; *ways && c && *c; c++) {
        struct stat status;
        if (*c != '/' || !c[1])
            continue;
        *c = '\0';
        if (stat(c == real ? "/" : real, &status) == 0) {
            (*ways)[count] = (struct way){ count ? &(*ways)[count - 1] : NULL, status.st_dev,
                                           status.st_ino };
            count++;
        }
        *c = '/';
    }
    free(real);
    return count;
}

int rt_pictures_find(struct picture_list *l, const char *dir, struct left_out *left)
{
    struct walk w = { l, left, false };
    struct stat folder;
    struct way *above = NULL;
    if (stat(dir, &folder)) {
        rt_error("%s: %s", dir, strerror(errno));
        return -1;
    }
    free(l->shared);
    l->shared = NULL;
    l->own_folders = l->folders.count;
    l->own_pictures = l->pictures.count;
    int count = ways_above(dir, &above);
    int status = folder_enter(&w, dir, &folder, count ? &above[count - 1] : NULL, 0);
    free(above);
    return status;
}

bool rt_pictures_any(const char *dir)
{
    struct picture_list l = { .first_only = true };
    struct left_out left = { 0 };
    bool any = rt_is_folder(dir) && rt_pictures_find(&l, dir, &left) == 0 && l.pictures.count > 0;
    rt_pictures_free(&l);
    rt_left_out_free(&left);
    return any;
}

/* ---- one folder ------------------------------------------------------------------------------ */

void rt_names_free(char **names, int count)
{
    for (int i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
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

void rt_loose_pictures_count(const char *dir, struct path_count *loose)
{
    struct dirent **entries;
    int count = scandir(dir, &entries, visible, by_bytes);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char *path = rt_image_name(name) || rt_image_name_unread(name) ? rt_path_join(dir, name)
                                                                       : NULL;
        if (path && !rt_is_folder(path))
            rt_path_count(loose, path);
        free(path);
    }
    if (count >= 0)
        entries_free(entries, count);
}
