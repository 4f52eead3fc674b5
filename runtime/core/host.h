/* host.h - what a run is computed on and how it was called, for its log. */
#ifndef HOST_H
#define HOST_H

#include <stdint.h>

/* Bytes of memory that this process may have: the machine's, or less where its group or its limit of addresses is set
 * to less.  0: not known. */
int64_t rt_host_memory(void);
/* The processor's name, or at least its kind; malloc'd, NULL where memory is short. */
char *rt_host_processor(void);
/* A command line that a shell takes back: words in quotes where they need them, control characters spelled out.
 * Malloc'd, NULL where memory is short. */
char *rt_host_command(int count, char *const *words);

#endif
