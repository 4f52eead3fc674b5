/* concat_networks.h - networks with concatenations, built by hand. */
#ifndef CONCAT_NETWORKS_H
#define CONCAT_NETWORKS_H

#include "network_fixture.h"
#include "plan/plan_parts.h"

enum { CONCAT_BATCH = 6, CONCAT_CLASSES = 5 };

struct network_case {
    const char *name;
    struct layer *(*build)(struct network *n, struct layer *x);
    const char *forced;         /* the kernel of the first two convolutions */
};

extern const struct network_case concat_cases[];
extern const int concat_cases_count;

/* Begins the network and plans it.  *broken: what is wrong with its graphs or its plan; NULL: nothing. */
struct plan *concat_plan(struct network *n, const struct network_case *k, const char *target, bool real_double,
                         const char **broken);

#endif
