/* kept_samples.h - samples that take longer to make than to copy, kept once they have been asked for. */
#ifndef KEPT_SAMPLES_H
#define KEPT_SAMPLES_H

#include "data/data.h"

/* A store over another one, which is its own from here on (also where it fails): `count` samples of so many bytes, of
 * which those that were read first are kept, `room` bytes of them at most; 0: all.  NULL with a message. */
struct sample_store *rt_kept_open(struct sample_store *from, int64_t count, size_t bytes, int64_t room);

#endif
