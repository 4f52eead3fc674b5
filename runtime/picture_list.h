/* picture_list.h - the pictures in a folder and the folders inside it. */
#ifndef PICTURE_LIST_H
#define PICTURE_LIST_H

#include "cnnrt.h"

struct picture_list {
    char **paths;
    int64_t count, capacity;
    int64_t others;             /* files that are no PNG or JPEG by their names, left out */
    char *first_other;          /* one of them, NULL: none */
};

/* Adds what the folder holds, in the order of bytes, files of a folder among its folders; names
 * that begin with a dot are passed over.  0, or -1 with a message. */
int rt_pictures_find(struct picture_list *l, const char *dir);
int rt_pictures_add(struct picture_list *l, const char *path);
void rt_pictures_free(struct picture_list *l);

/* The folders directly in `dir`, in the order of bytes, without those that begin with a dot.
 * Returns how many, names in *names (each and the list malloc'd), or -1 with a message. */
int rt_folders_list(const char *dir, char ***names);

bool rt_is_folder(const char *path);

#endif
