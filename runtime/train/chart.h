/* chart.h - the curves of a run as a picture. */
#ifndef CHART_H
#define CHART_H

/* Draws a history (its CSV text: a header, then a row an epoch) as an SVG file, written whole or not
 * at all: a panel each for the loss and every metric, with training and validation curves, the
 * epochs after which the learning rate was another (or, where it follows a schedule, a panel of it), and the epoch of
 * the smallest val_loss.  What is not a number leaves a gap and a cross.  0, or -1 with a message. */
int rt_chart_write(const char *path, const char *title, const char *csv);

#endif
