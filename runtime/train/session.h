/* session.h - one workspace for everything a network reads or writes while it runs. */
#ifndef SESSION_H
#define SESSION_H

#include "cnnrt.h"

/* Sizes in bytes of the parts of a workspace, each as the network asks for it. */
struct workspace_sizes {
    size_t input, labels, targets, params, grads, statistics, optimizer_state, predictions, memory, scratch;
    size_t total;               /* with the gaps that align each part */
};

struct workspace_sizes rt_workspace_sizes(const struct cnn_model *model, int threads);

/* Fills every parameter and statistic as its initialiser says, from (seed, position of the
 * parameter) alone. 0, or -1 with a message when memory is short. */
int rt_params_init(struct cnn_context *c, uint64_t seed);

#endif
