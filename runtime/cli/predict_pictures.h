/* predict_pictures.h - the pictures that an autoencoder gives back, as PNG files of one folder. */
#ifndef PREDICT_PICTURES_H
#define PREDICT_PICTURES_H

#include "cli/sample_picture.h"
#include "data/letters.h"
#include "data/picture_list.h"

struct predict_pictures {
    const char *folder;         /* NULL: none are written */
    struct sample_picture how;
    struct canvas canvas;
    double *row;                /* (channels, height, width) */
    int64_t written;
};

/* What the network gives must be pictures, and no two of the list may have the same name there; the folder is made.  0,
 * or -1 with a message. */
int rt_predict_pictures_open(struct predict_pictures *p, const char *folder, const struct cnn_context *c,
                             const struct picture_list *list);
void rt_predict_pictures_close(struct predict_pictures *p);
/* Sample `at` of the batch, which was read from path; number: which of a file of samples, -1: path is a picture.  0, or
 * -1 with a message. */
int rt_predict_picture_write(struct predict_pictures *p, const struct cnn_context *c, int at, const char *path,
                             int64_t number);

#endif
