/* pixel_steps.h - what the steps of a recipe make of pixels, for all who prepare samples: the trainer, predict, and
 * the compiler for the network that it emits. */
#ifndef PIXEL_STEPS_H
#define PIXEL_STEPS_H

#include "cnnrt.h"

enum step_kind { STEP_CHOOSES, STEP_FITS, STEP_AUGMENTS, STEP_COPIES, STEP_MAPS };

/* How a picture of another size becomes one of the network's.  A box is as much larger than the network's input as
 * makes its shorter side `shorter`. */
enum fit_kind {
    FIT_CROP,                   /* the picture's shorter side becomes `shorter` */
    FIT_STRETCH,                /* the picture becomes the box */
    FIT_PAD                     /* it becomes as large as goes into the box, the rest is `pad` */
};

struct pixel_fit {
    bool fits;                  /* false: it must have the size */
    int shorter;                /* then the middle is cut out */
    enum fit_kind kind;
    int pad;                    /* of every channel */
};

/* What a step makes of a channel's numbers: (x * factor - mean) / std. */
struct pixel_map {
    double factor, mean, std;
};

/* What `normalize auto` finds in a training set: of what arrives at it.  NULL: not known. */
struct pixel_measure {
    double *mean, *std;         /* (channels) */
};

enum step_status {
    STEP_DONE,
    STEP_UNMEASURED,            /* it asks for what was not measured */
    STEP_LIST                   /* `list` is not one number, nor one a channel */
};

struct step_result {
    enum step_status status;
    const char *list;           /* the setting that is wrong */
};

struct data_step {
    const char *name;
    enum step_kind kind;
    /* FITS */
    struct pixel_fit (*fit)(const struct cnn_clause *step);
    /* MAPS: maps[channels] */
    struct step_result (*map)(const struct cnn_clause *step, int channels, struct pixel_measure measured,
                              struct pixel_map *maps);
};

/* The row of that name; NULL: there is none. */
const struct data_step *rt_data_step(const char *name);
/* Whether the step's numbers are those of the training set, and have to be measured. */
bool rt_step_measures(const struct cnn_clause *step);
/* How the recipe's steps fit pictures. */
struct pixel_fit rt_steps_fit(const struct cnn_data_recipe *recipe);

static inline double rt_pixel_mapped(struct pixel_map m, double x)
{
    return (x * m.factor - m.mean) / m.std;
}

#endif
