/* report.h - what `evaluate` says of each class, or of each output. */
#ifndef REPORT_H
#define REPORT_H

#include "train/confusion.h"
#include "train/deviations.h"
#include "train/progress.h"
#include "train/ranking.h"

/* Accuracy with its standard error, scores of each class, how classes were taken for each other.
 * names: of the classes, or NULL. */
void rt_report_classes(struct progress *p, const struct confusion *m, char *const *names);
/* Scores of each label, and the area under its ROC curve. */
void rt_report_labels(struct progress *p, const struct confusion *m, const struct ranking *r, char *const *names);
/* How far each output is from the numbers that it was to be, unless there are many, and all of them. */
enum { OUTPUTS_SHOWN = 30 };
void rt_report_outputs(struct progress *p, const struct deviations *d);

#endif
