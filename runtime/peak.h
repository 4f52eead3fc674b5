/* peak.h - what this machine can do at most. */
#ifndef PEAK_H
#define PEAK_H

struct peak {
    double gflops;              /* single precision, all threads together */
    const char *instructions;   /* "AVX-512 FMA" */
};

/* Measures for about a sixth of a second on `threads` threads. */
struct peak rt_peak_measure(int threads);

#endif
