/* peak.h - what this machine can do at most. */
#ifndef PEAK_H
#define PEAK_H

struct cnn_team;

struct peak {
    double gflops;              /* single precision, all threads together */
    const char *instructions;   /* "AVX-512 FMA" */
};

/* Measures for about a sixth of a second on the threads of a team; NULL: on this one. */
struct peak rt_peak_measure(struct cnn_team *team);

#endif
