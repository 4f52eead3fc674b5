/* tiny_model.h - a hand-written network for tests of the runtime: see tiny_model.c. */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include "cnnrt.h"

extern const struct cnn_model tiny_float_model, tiny_double_model;

/* Not 0: one weight's gradient is a thousandth too large. */
extern int tiny_float_broken, tiny_double_broken;

#endif
