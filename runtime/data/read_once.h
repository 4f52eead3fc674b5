/* read_once.h - files that have to be read from their beginning to their end, packed ones and tables, by one process of
 * a machine for all of them. */
#ifndef READ_ONCE_H
#define READ_ONCE_H

#include "data/data.h"

/* source->read(), where the processes of the dataset's use that are on one machine and have the same files do it once:
 * the first of them puts what it reads into a temporary file, from which each then takes the samples that it needs, as
 * from files whose samples are found at once.  Those that are alone with their files, or whose samples are found at
 * once, read them themselves.  0, or -1 with a message; a process whose files are at fault does not come to where the
 * others wait, as `agree` wants it. */
int rt_read_once(struct dataset *d, const struct data_source *source, const char *dir, const struct cnn_model *m);

#endif
