/* report.h - what `evaluate` says of each class. */
#ifndef REPORT_H
#define REPORT_H

#include "train/confusion.h"
#include "train/progress.h"

/* Accuracy with its standard error, scores of each class, how classes were taken for each other.
 * names: of the classes, or NULL. */
void rt_report_classes(struct progress *p, const struct confusion *m, char *const *names);

#endif
