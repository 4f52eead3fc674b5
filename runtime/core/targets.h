/* targets.h - numbers of a batch: what its samples are trained towards, and what the network predicts of them. */
#ifndef TARGET_H
#define TARGET_H

#include "cnnrt.h"

/* Whether targets are numbers of their own, in cnn_context.targets. */
bool rt_target_has_numbers(const struct cnn_model *m);
/* Whether there are such numbers in training, be it shares of classes that are mixed. */
bool rt_target_has_shares(const struct cnn_model *m);
/* Number k of sample i's target, where it has numbers of its own. */
void rt_target_set(const struct cnn_context *c, int i, int k, double number);
/* The same, or of the input where that is the target: in the order (channels, height, width). */
double rt_target_number(const struct cnn_context *c, int i, int k);
/* Those of its input, in that order. */
void rt_input_row(const struct cnn_context *c, int i, double *row);
/* All numbers of sample i's target, and all that the network predicts of it, in that order. */
void rt_target_row(const struct cnn_context *c, int i, double *row);
void rt_predicted_row(const struct cnn_context *c, int i, double *row);
/* Number k that the network predicts of sample i. */
double rt_predicted_number(const struct cnn_context *c, int i, int k);

#endif
