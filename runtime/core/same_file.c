/* same_file.c - files that exist are told by device and inode, others by their folder's and their name. */
#define _GNU_SOURCE
#include "core/same_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file_path.h"

enum { LINKS_MAX = 16 };        /* as many as are followed from name to name */

static bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool rt_same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && same_inode(&x, &y);
}

/* What a link that leads to no file yet would make, malloc'd; the path itself where it is no link. */
static char *link_end(const char *path)
{
    char *at = strdup(path), target[4096];
    for (int i = 0; at && i < LINKS_MAX; i++) {
        ssize_t length = readlink(at, target, sizeof target - 1);
        if (length < 0)
            break;
        target[length] = '\0';
        char *folder = rt_folder_of(at);
        char *next = target[0] == '/' || !folder ? strdup(target) : rt_path_join(folder, target);
        free(folder);
        free(at);
        at = next;
    }
    return at;
}

bool rt_same_file(const char *a, const char *b)
{
    struct stat x, y;
    bool have_a = stat(a, &x) == 0, have_b = stat(b, &y) == 0;
    if ((have_a && !S_ISREG(x.st_mode)) || (have_b && !S_ISREG(y.st_mode)))
        return false;
    if (have_a && have_b && same_inode(&x, &y))
        return true;
    char *end_a = link_end(a), *end_b = link_end(b);
    char *folder_a = end_a ? rt_folder_of(end_a) : NULL, *folder_b = end_b ? rt_folder_of(end_b) : NULL;
    bool same = folder_a && folder_b && strcasecmp(rt_base_of(end_a), rt_base_of(end_b)) == 0
                && rt_same_folder(folder_a, folder_b);
    free(folder_a);
    free(folder_b);
    free(end_a);
    free(end_b);
    return same;
}
