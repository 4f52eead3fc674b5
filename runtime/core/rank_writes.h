/* rank_writes.h - of processes that train together one writes. */
#ifndef RANK_WRITES_H
#define RANK_WRITES_H

#include "cnnrt.h"

static inline bool rt_rank_writes(const struct cnn_ranks *r)
{
    return !r || r->number == 0;
}

#endif
