/* run_folder.h - the directory that keeps a run: recipe, log, history, weights. */
#ifndef RUN_FOLDER_H
#define RUN_FOLDER_H

#include <stdio.h>
#include "cnnrt.h"

struct run_folder {
    char *path;
    char *recipe, *log, *history, *chart, *last, *best, *state, *previous_state;
                                        /* paths inside it */
    int lock;                           /* a descriptor; -1: not locked */
};

/* Names only; nothing is touched.  dir NULL: MODEL.run.  0, or -1 with a message. */
int rt_run_folder_name(struct run_folder *f, const struct cnn_model *model, const char *dir);
void rt_run_folder_free(struct run_folder *f);

enum run_folder_state { RUN_FOLDER_FREE, RUN_FOLDER_HOLDS_RUN, RUN_FOLDER_UNUSABLE };

/* Whether it may take a new run: it is new, or holds none, or may be overwritten.  Files of its names
 * that no run has left there may not.  Touches nothing; says with a message why not. */
enum run_folder_state rt_run_folder_check(const struct run_folder *f, const struct cnn_model *model,
                                          bool overwrite);
/* Makes the directory where it is not there yet. */
int rt_run_folder_make(const struct run_folder *f);
/* Keeps other trainers out of the directory, where there is one, until it is freed or the process ends in whatever way.
 * 0, or -1 with a message when another has it. */
int rt_run_folder_lock(struct run_folder *f);
/* Whether another directory bears the name of the one that was locked. */
bool rt_run_folder_replaced(const struct run_folder *f);
/* Removes half-written files that a killed process left. */
void rt_run_folder_tidy(const struct run_folder *f);
/* Keeps a new run's recipe, with lines of remarks below it ("": none), and removes the files of a run
 * before; not the state where that is already the new run's.  0, or -1 with a message. */
int rt_run_folder_claim(const struct run_folder *f, const struct cnn_model *model,
                        const char *remarks, bool state_is_ours);
/* Keeps the recipe that a run goes on with: what was said there of earlier steps stays, `past` ("":
 * nothing) is added to it, and another recipe's file gets a number, recipe.1.cnn.  0, or -1 with a
 * message. */
int rt_run_folder_recipe(const struct run_folder *f, const struct cnn_model *model, uint64_t step,
                         const char *past, const char *remarks);
/* Tells one model's recipe from another's: the CRC-32 of its text. */
unsigned long rt_run_folder_recipe_sum(const struct cnn_model *model);

/* The file of a run that a path names, however it is spelled; NULL: none of them. */
const char *rt_run_folder_file(const struct run_folder *f, const char *path);

/* Whether best or last weights are there. */
bool rt_run_folder_has_weights(const struct run_folder *f);
/* The weights to use: best, else last; NULL with a message where there are none. */
const char *rt_run_folder_weights(const struct run_folder *f);

#endif
