/* file_path.h - names of files put together, looked at and listed. */
#ifndef FILE_PATH_H
#define FILE_PATH_H

#include <stdbool.h>

/* dir/name in malloc'd memory; NULL: there is none. */
char *rt_path_join(const char *dir, const char *name);
/* The folder of a path, malloc'd; NULL: no memory. */
char *rt_folder_of(const char *path);
/* Behind its last slash. */
const char *rt_base_of(const char *path);

bool rt_file_exists(const char *dir, const char *name);
bool rt_is_folder(const char *path);

/* "'a', 'b' and 3 more", malloc'd: at most `shown` of the names.  NULL: no memory. */
char *rt_names_text(const char *const *names, int count, int shown);

#endif
