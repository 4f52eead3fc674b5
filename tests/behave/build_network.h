/* build_network.h - from .cnn text to a loaded network: cnnc, the C compiler, dlopen. */
#ifndef BUILD_NETWORK_H
#define BUILD_NETWORK_H

#include <stdbool.h>
#include <stdio.h>

#include "cnnrt.h"

struct tools {
    const char *cnnc, *cc;      /* cc may hold options too */
    const char *cflags;         /* more options, split at blanks */
    const char *include;        /* folder of cnnrt.h and cnn_vec.h */
    const char *target;         /* never "native" */
};

/* One place of the plan at which a kernel was chosen. */
struct kernel_site {
    char place[80];             /* "conv2d_1:data" */
    char chosen[32];
    char candidates[8][32];
    int candidates_count;
};

/* The best target that this machine can run. */
const char *target_of_machine(void);
bool target_runs_here(const char *target);

/* Runs a program, its output to a file.  Exit status; 128 + signal. */
int run_program(const char *const *argv, const char *output);

/* `cnnc --dump=plan`: the places, of the training and the use.  -1 with a line in log. */
int read_plan(const struct tools *tools, const char *folder, const char *real, struct kernel_site *sites, int most,
              FILE *log);

/* Compiles folder/model.cnn with --kernel for every given text and loads it.  NULL with lines in log; *handle is
 * for dlclose(). */
const struct cnn_model *build_network(const struct tools *tools, const char *folder, const char *name,
                                      const char *real, const char *const *forced, int forced_count, void **handle,
                                      FILE *log);

/* What --emit=inference writes, loaded; the arena is the caller's. */
struct built_inference {
    void (*predict)(const float *input, float *output, float *arena);
    int (*selftest)(float *arena);
    long arena, inputs, outputs;        /* floats */
    void *handle;
};

/* Compiles folder/model.cnn with folder/weights.safetensors and loads it; false with lines in log. */
bool build_inference(const struct tools *tools, const char *folder, struct built_inference *net, FILE *log);

#endif
