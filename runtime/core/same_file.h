/* same_file.h - whether two paths name one file, however they are spelled. */
#ifndef SAME_FILE_H
#define SAME_FILE_H

#include <stdbool.h>

/* Whether writing to both would write to one file: through links, through other names of a folder, or
 * under names that differ in case alone, which some file systems take for one.  Neither need exist;
 * devices and pipes are nobody's. */
bool rt_same_file(const char *a, const char *b);
/* Whether two paths name one folder that exists. */
bool rt_same_folder(const char *a, const char *b);

#endif
