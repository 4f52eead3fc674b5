/* peak.c - multiply-adds in registers alone, as many as the processor takes.
 *
 * Each round feeds twelve independent sums, enough to cover two units of four or five cycles'
 * latency.  The variant is chosen when the program runs, for the processor it runs on, whatever
 * target it was compiled for.
 */
#define _GNU_SOURCE
#include "core/peak.h"

#include <sched.h>
#include <stdint.h>
#if defined __x86_64__
#include <immintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
#endif

#include "core/team.h"

enum { SUMS = 12, REPEATS = 3 };
static const double repeat_seconds = 0.05;

#define EACH_SUM(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

/* Returns a number that depends on every operation, so that none can be left out.  Factors just
 * below one keep the sums in the normal range for ever. */
typedef float rounds_function(int64_t rounds);

struct variant {
    rounds_function *run;
    int lanes;
    const char *name;
};

#define ROUNDS(name, attributes, vector, splat, first_lane)                 \
    attributes static float name(int64_t rounds)                            \
    {                                                                       \
        const vector factor = splat(0.999f), term = splat(0.001f);          \
        EACH_SUM(DECLARE_##name)                                            \
        for (int64_t i = 0; i < rounds; i++) {                              \
            EACH_SUM(STEP_##name)                                           \
        }                                                                   \
        vector total = splat(0.0f);                                         \
        EACH_SUM(COLLECT_##name)                                            \
        return first_lane(total);                                           \
    }

#if defined __x86_64__

#define DECLARE_rounds_avx512(k) __m512 s##k = _mm512_set1_ps(0.1f * (float)(k));
#define STEP_rounds_avx512(k) s##k = _mm512_fmadd_ps(s##k, factor, term);
#define COLLECT_rounds_avx512(k) total = _mm512_add_ps(total, s##k);
ROUNDS(rounds_avx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_cvtss_f32)

#define DECLARE_rounds_avx2(k) __m256 s##k = _mm256_set1_ps(0.1f * (float)(k));
#define STEP_rounds_avx2(k) s##k = _mm256_fmadd_ps(s##k, factor, term);
#define COLLECT_rounds_avx2(k) total = _mm256_add_ps(total, s##k);
ROUNDS(rounds_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_cvtss_f32)

#define DECLARE_rounds_sse(k) __m128 s##k = _mm_set1_ps(0.1f * (float)(k));
#define STEP_rounds_sse(k) s##k = _mm_add_ps(_mm_mul_ps(s##k, factor), term);
#define COLLECT_rounds_sse(k) total = _mm_add_ps(total, s##k);
ROUNDS(rounds_sse, , __m128, _mm_set1_ps, _mm_cvtss_f32)

static struct variant variant_choose(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        return (struct variant){ rounds_avx512, 16, "AVX-512" };
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct variant){ rounds_avx2, 8, "AVX2 with FMA" };
    return (struct variant){ rounds_sse, 4, "SSE" };
}

#elif defined __aarch64__

static float lane(float32x4_t v)
{
    return vgetq_lane_f32(v, 0);
}

#define DECLARE_rounds_neon(k) float32x4_t s##k = vdupq_n_f32(0.1f * (float)(k));
#define STEP_rounds_neon(k) s##k = vfmaq_f32(term, s##k, factor);
#define COLLECT_rounds_neon(k) total = vaddq_f32(total, s##k);
ROUNDS(rounds_neon, , float32x4_t, vdupq_n_f32, lane)

static struct variant variant_choose(void)
{
    return (struct variant){ rounds_neon, 4, "NEON" };
}

#else

#define SAME(x) (x)
#define DECLARE_rounds_plain(k) float s##k = 0.1f * (float)(k);
#define STEP_rounds_plain(k) s##k = s##k * factor + term;
#define COLLECT_rounds_plain(k) total += s##k;
ROUNDS(rounds_plain, , float, SAME, SAME)

static struct variant variant_choose(void)
{
    return (struct variant){ rounds_plain, 1, "plain C" };
}

#endif

/* Two threads on one core would halve the figure: each takes one processor of those allowed, and
 * gives it back. */
struct affinity {
#if defined __linux__
    cpu_set_t allowed;
#endif
    bool pinned;
};

static struct affinity thread_pin(int number)
{
    struct affinity a = { .pinned = false };
#if defined __linux__
    if (sched_getaffinity(0, sizeof a.allowed, &a.allowed) || CPU_COUNT(&a.allowed) == 0)
        return a;
    int left = number % CPU_COUNT(&a.allowed), cpu = 0;
    while (!CPU_ISSET(cpu, &a.allowed) || left-- > 0)
        cpu++;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    a.pinned = sched_setaffinity(0, sizeof one, &one) == 0;
#else
    (void)number;
#endif
    return a;
}

static void thread_unpin(const struct affinity *a)
{
#if defined __linux__
    if (a->pinned)
        sched_setaffinity(0, sizeof a->allowed, &a->allowed);
#else
    (void)a;
#endif
}

struct trial {
    const struct variant *variant;
    int64_t rounds;
    uint64_t start, end;
};

static void trial_share(void *arg, struct cnn_worker *w)
{
    struct trial *t = arg;
    struct affinity before = thread_pin(w->number);
    volatile float sink = t->variant->run(t->rounds / 50 + 1);          /* awake, at full clock */
    cnn_meet(w);
    if (w->number == 0)
        t->start = cnn_clock();
    sink = t->variant->run(t->rounds);
    cnn_meet(w);
    if (w->number == 0)
        t->end = cnn_clock();
    (void)sink;
    thread_unpin(&before);
}

/* Seconds that all threads take for `rounds` rounds each. */
static double team_time(const struct variant *v, struct cnn_team *team, int64_t rounds)
{
    struct trial t = { .variant = v, .rounds = rounds };
    rt_team_run(team, trial_share, &t);
    return (double)(t.end - t.start) * 1e-9;
}

struct peak rt_peak_measure(struct cnn_team *team)
{
    int threads = team ? rt_team_count(team) : 1;
    struct variant v = variant_choose();
    int64_t rounds = 1 << 18;
    double trial = team_time(&v, team, rounds);
    rounds = (int64_t)((double)rounds * repeat_seconds / (trial > 1e-6 ? trial : 1e-6)) + 1;
    double best = 0.0;
    for (int i = 0; i < REPEATS; i++) {
        double seconds = team_time(&v, team, rounds);
        double gflops = 2e-9 * SUMS * v.lanes * (double)rounds * threads / seconds;
        if (gflops > best)
            best = gflops;
    }
    return (struct peak){ best, v.name };
}
