/* picture_list.h - the pictures in a folder and the folders inside it.
 *
 * Each folder is entered once in a walk, whatever names links give it: ways through folders that link
 * to one another are as many as a factorial.
 */
#ifndef PICTURE_LIST_H
#define PICTURE_LIST_H

#include "core/seen_files.h"

struct path_list {
    char **paths;
    int64_t count, capacity;
};

/* Files or folders of one kind: how many, and the first of them. */
struct path_count {
    int64_t count;
    char *first;                /* malloc'd; NULL: none */
};

/* What walks have passed over and a user should hear of, gathered over any number of them. */
struct left_out {
    struct path_count unread;   /* pictures in formats that are not read, by their names */
    struct path_count others;   /* other files */
    struct path_count back;     /* links to folders that they lie in */
    struct path_count again;    /* links to folders that the walk has been in */
};

struct picture_list {
    struct path_list pictures;
    struct path_list folders;   /* that were entered, in this order */
    struct seen_files known;    /* the folders, by their numbers in the list */
    struct seen_files files;    /* likewise the pictures; of several names the first */
    int64_t own_folders, own_pictures;  /* the first ones of the latest walk */
    struct path_count twice;    /* pictures that earlier walks have found under other names */
    /* A folder of that walk that an earlier one has been in already, and is not entered again: its
     * path (NULL: there is none) and the earlier one's number. */
    char *shared;
    int64_t shared_with;
    bool first_only;            /* set by who only asks whether there is a picture at all */
};

/* Adds what the folder holds, in the order of bytes, files of a folder among its folders; hidden
 * names, and those of the folders and files that systems make for themselves, are passed over.  0, or
 * -1 with a message. */
int rt_pictures_find(struct picture_list *l, const char *dir, struct left_out *left);
int rt_pictures_add(struct picture_list *l, const char *path);
/* What follows may enter all folders anew. */
void rt_pictures_forget(struct picture_list *l);
void rt_pictures_free(struct picture_list *l);

/* Whether there is a picture somewhere in the folder. */
bool rt_pictures_any(const char *dir);

/* Says what was left out, a line a kind; `where` heads them. */
void rt_left_out_tell(const struct left_out *left, const char *where);
void rt_left_out_free(struct left_out *left);
/* One more of a kind; the path is copied where it is the first. */
void rt_path_count(struct path_count *c, const char *path);

/* The folders directly in `dir`, in the order of bytes, without those that walks pass over.  Returns
 * how many, names in *names (each and the list malloc'd), or -1 with a message. */
int rt_folders_list(const char *dir, char ***names);
void rt_names_free(char **names, int count);
/* Counts the pictures directly in `dir`, of whatever format. */
void rt_loose_pictures_count(const char *dir, struct path_count *loose);

#endif
