/* worker.h - how a contender of the benchmark talks with bench/measure.py: a command a line on
 * standard input ("steps 10"), an answer a line on standard output, in JSON.  The end of the input
 * ends the contender.
 */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { WORKER_LINE = 128, WORKER_WORD = 32 };

static inline double worker_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* The next command and its number (0 where there is none); false at the end of the input. */
static inline int worker_next(char word[WORKER_WORD], long *number)
{
    char line[WORKER_LINE];
    *number = 0;
    if (!fgets(line, sizeof line, stdin))
        return 0;
    return sscanf(line, "%31s %ld", word, number) >= 1;
}

/* One line: {"name": [values...]} */
static inline void worker_answer(const char *name, const double *values, long count)
{
    printf("{\"%s\": [", name);
    for (long i = 0; i < count; i++)
        printf("%s%.9g", i ? ", " : "", values[i]);
    printf("]}\n");
    fflush(stdout);
}

static inline void worker_refuse(const char *word)
{
    printf("{\"error\": \"unknown command %s\"}\n", word);
    fflush(stdout);
}

static inline void worker_die(const char *what, const char *name)
{
    fprintf(stderr, "bench: %s: %s\n", name, what);
    exit(1);
}

/* `count` values of `size` bytes from the start of a file; the program ends where they are not
 * there. */
static inline void *worker_read(const char *path, size_t count, size_t size)
{
    FILE *f = fopen(path, "rb");
    void *values = malloc(count * size + 1);
    if (!f || !values || fread(values, size, count, f) != count)
        worker_die("cannot be read, or is too short", path);
    fclose(f);
    return values;
}

#ifdef __cplusplus
}
#endif
#endif
