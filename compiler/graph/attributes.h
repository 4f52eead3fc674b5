/* attributes.h - what a node knows beside its tensors: a struct with a member for each row of attributes.def. */
#ifndef ATTRIBUTES_H
#define ATTRIBUTES_H

#include <stdbool.h>

#include "base/arena.h"
#include "expr/activations.h"
#include "model/model.h"

/* Geometry of a convolution or pooling window: padding may differ at the two ends (`same`). */
struct window {
    int kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    int pad_top, pad_bottom, pad_left, pad_right;
};

struct attributes {
#define ATTRIBUTE(member, type, kind, holds, fault) type member;
#include "graph/attributes.def"
#undef ATTRIBUTE
};

/* Sets of them, for rows of ops.def: HAS_window | HAS_epsilon. */
enum attribute_number {
#define ATTRIBUTE(member, type, kind, holds, fault) ATTRIBUTE_##member,
#include "graph/attributes.def"
#undef ATTRIBUTE
    ATTRIBUTES
};

enum attribute_set {
    HAS_none = 0,
#define ATTRIBUTE(member, type, kind, holds, fault) HAS_##member = 1 << ATTRIBUTE_##member,
#include "graph/attributes.def"
#undef ATTRIBUTE
};

/* Those of the set; the others are 0. */
struct attributes attributes_of(const struct attributes *from, unsigned set);
bool attributes_equal(const struct attributes *a, const struct attributes *b, unsigned set);
/* " window=2x2 stride=2x2", " rate=0.5 stream=3", " leaky_relu(0.3)": each with a blank before it.  Two sets of values
 * that are not equal have different texts, up to the digits of reals. */
const char *attributes_text(struct arena *a, const struct attributes *from, unsigned set);
/* What does not hold of one of the set, or that one of the others is not 0; NULL: all is well. */
const char *attributes_fault(const struct attributes *of, unsigned set);

#endif
