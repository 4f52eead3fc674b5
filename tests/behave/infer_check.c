/* infer_check.c - the other side of inference.sh: linked with a network emitted as inference code
 * (--name=net), compares its predictions with the trainer's.
 *
 *   infer_check PREDICTIONS TOLERANCE       prints the largest difference
 *
 * With -DCALLER the arena is the caller's: every picture is then predicted again on threads of
 * their own, at the same time, and must come out the same bit for bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef CALLER
#include <pthread.h>
#endif

#include "net.h"

#ifdef CALLER
enum { THREADS = 4, ROUNDS = 5 };

struct job {
    const float *input;
    float output[NET_OUTPUTS];
    float *arena;
};

static void *predict(void *argument)
{
    struct job *j = argument;
    for (int i = 0; i < ROUNDS; i++)
        net_predict(j->input, j->output, j->arena);
    return NULL;
}

static int again(const float *input, const float *expected)
{
    static struct job jobs[THREADS];
    static float other[NET_INPUTS];
    pthread_t threads[THREADS];
    int wrong = 0;
    for (int i = 0; i < NET_INPUTS; i++)
        other[i] = 1.0f - input[i];
    for (int t = 0; t < THREADS; t++) {
        jobs[t].input = t % 2 ? other : input;
        jobs[t].arena = malloc(NET_ARENA_BYTES);
        /* not numbers: nothing may depend on them */
        memset(jobs[t].arena, 0xFF, NET_ARENA_BYTES);
        pthread_create(&threads[t], NULL, predict, &jobs[t]);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        wrong |= t % 2 == 0 && memcmp(jobs[t].output, expected, sizeof jobs[t].output) != 0;
        free(jobs[t].arena);
    }
    return wrong;
}
#endif

int main(int argc, char **argv)
{
    static unsigned char pixels[NET_INPUTS];
    static float input[NET_INPUTS], output[NET_OUTPUTS], expected[NET_OUTPUTS];
    FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL;
    double largest = 0;
    int pictures = 0, status;
    if (!in)
        return 2;
#ifdef CALLER
    float *arena = malloc(NET_ARENA_BYTES);
    status = net_selftest(arena);
#else
    status = net_selftest();
#endif
    if (status) {
        printf("self-test: output %d is wrong\n", status);
        return 1;
    }
    for (; fread(pixels, 1, sizeof pixels, in) == sizeof pixels; pictures++) {
        if (fread(expected, sizeof *expected, NET_OUTPUTS, in) != NET_OUTPUTS)
            return 2;
        net_prepare(pixels, input);
#ifdef CALLER
        net_predict(input, output, arena);
        if (again(input, output)) {
            puts("predictions at the same time differ");
            return 1;
        }
#else
        net_predict(input, output);
#endif
        for (int i = 0; i < NET_OUTPUTS; i++) {
            double difference = fabs((double)output[i] - (double)expected[i]);
            if (!(difference <= largest))
                largest = difference;
        }
    }
    printf("%d pictures, largest difference %.3g\n", pictures, largest);
    return pictures > 0 && largest <= atof(argv[2]) ? 0 : 1;
}
