/* session.h - one workspace for everything a network reads or writes while it runs. */
#ifndef SESSION_H
#define SESSION_H

#include "cnnrt.h"

/* Sizes in bytes of the parts of a workspace, each as the network asks for it. */
struct workspace_sizes {
    size_t input, labels, targets, params, grads, statistics, optimizer_state, slow_statistics, update_memory,
        penalties, predictions, memory, scratch;
    size_t total;               /* with the gaps that align each part */
    size_t next_batch;          /* a workspace of its own, where threads prepare a batch during a step */
};

struct workspace_sizes rt_workspace_sizes(const struct cnn_model *model, int threads);

/* A second context of an open network, to prepare a batch in: with the same memory but for its batch (input, labels,
 * targets), which is its own; seed, step and rate are not kept up.
 * It lives as long as the network.  NULL with a message where there is no memory for it. */
struct cnn_context *rt_next_batch(struct cnn_context *c);
/* The batches of the two change places. */
void rt_batch_exchange(struct cnn_context *c, struct cnn_context *next);

/* So many contexts of an open network, for shares of a batch that are computed in turns: each with a batch, predictions
 * and a memory of its own, all else is the network's as it is now.  They live as long as it does; it is asked for
 * once.  NULL with a message where there is no memory for them. */
struct cnn_context *rt_contexts_open(struct cnn_context *c, int count);

/* Fills every parameter and statistic as its initialiser says, from (seed, position of the
 * parameter) alone. 0, or -1 with a message when memory is short. */
int rt_params_init(struct cnn_context *c, uint64_t seed);

#endif
