/* same_file.h - whether two paths name one file, however they are spelled; and the parts of paths. */
#ifndef SAME_FILE_H
#define SAME_FILE_H

#include <stdbool.h>

/* Whether writing to both would write to one file: through links, through other names of a folder, or
 * under names that differ in case alone, which some file systems take for one.  Neither need exist;
 * devices and pipes are nobody's. */
bool rt_same_file(const char *a, const char *b);
/* Whether two paths name one folder that exists. */
bool rt_same_folder(const char *a, const char *b);
/* dir/name in malloc'd memory; NULL: no memory. */
char *rt_path_join(const char *dir, const char *name);
/* The folder of a path, malloc'd; NULL: no memory. */
char *rt_folder_of(const char *path);
/* Behind its last slash. */
const char *rt_base_of(const char *path);

#endif
