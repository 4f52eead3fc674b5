/* record_store.h - samples as records of one size in files: found at once, read when a batch needs them.  The files
 * are a source's own, or one without a name that holds what cannot be found at once and does not fit into memory. */
#ifndef RECORD_STORE_H
#define RECORD_STORE_H

#include <sys/types.h>

#include "data/data.h"

/* A store of records of so many bytes; NULL with a message. */
struct sample_store *rt_records_open(size_t bytes);

/* `count` records more: in the file `fd`, which is the store's from here on (path: its name), from byte `at` on.
 * Returns the number of the first, or -1 with a message. */
int64_t rt_records_add(struct sample_store *store, int fd, const char *path, off_t at, int64_t count);

/* The temporary file of what is reserved from here on, which is the store's then and read by other processes too;
 * nothing has been reserved or added yet. */
void rt_records_temporary(struct sample_store *store, int fd);

/* A new file in $TMPDIR or /var/tmp, whose name (malloc'd, NULL: no memory) is the caller's to remove; -1 with
 * errno. */
int rt_temporary_open(char **path);

/* Place for `count` records more in the store's temporary file: where it has got none, one in $TMPDIR or /var/tmp
 * without a name, so that it is gone when the process ends, however that is.  A store has such records or files of its
 * own, not both.  Likewise. */
int64_t rt_records_reserve(struct sample_store *store, int64_t count);

/* Writes a record there; may be called by several threads.  0, or -1 with a message. */
int rt_records_put(struct sample_store *store, int64_t number, const void *sample);

/* Asks the system to read records of a file ahead: those of `numbers`, which ascend, where record 0 begins at byte
 * `at`. */
void rt_records_ahead(int fd, off_t at, size_t bytes, const uint32_t *numbers, int64_t count);

#endif
