/* test_runtime_random.c - numbers by position: uniform, independent streams; the order of an
 * epoch. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <math.h>
#include <stdlib.h>

#include "train/loader.h"
#include "core/random.h"
#include "tiny_model.h"

Test(random, uniform_numbers_fill_their_range_evenly)
{
    enum { CELLS = 100, DRAWS = 1000000 };
    for (uint64_t seed = 0; seed < 4; seed++) {
        uint64_t key = rt_random_key(seed, RANDOM_INIT, seed);
        int cells[CELLS] = { 0 };
        for (int i = 0; i < DRAWS; i++) {
            double u = rt_random_uniform(key, (uint64_t)i);
            cr_assert(u >= 0.0 && u < 1.0);
            cells[(int)(u * CELLS)]++;
        }
        /* 99 degrees of freedom: mean 99, deviation 14 */
        double chi = 0.0, expected = (double)DRAWS / CELLS;
        for (int i = 0; i < CELLS; i++)
            chi += (cells[i] - expected) * (cells[i] - expected) / expected;
        cr_assert(chi > 45.0 && chi < 170.0, "chi squared is %g", chi);
    }
}

Test(random, every_bit_is_set_half_of_the_time)
{
    enum { DRAWS = 100000 };
    uint64_t key = rt_random_key(1, RANDOM_SHUFFLE, 0);
    for (int bit = 0; bit < 64; bit++) {
        int set = 0;
        for (int i = 0; i < DRAWS; i++)
            set += (int)(rt_random_bits(key, (uint64_t)i) >> bit & 1);
        /* deviation 158 */
        cr_assert(abs(set - DRAWS / 2) < 900, "bit %d is set %d times of %d", bit, set, DRAWS);
    }
}

static double correlation(uint64_t key_a, uint64_t shift_a, uint64_t key_b, uint64_t shift_b)
{
    enum { DRAWS = 100000 };
    double sum = 0.0;
    for (int i = 0; i < DRAWS; i++)
        sum += (rt_random_uniform(key_a, (uint64_t)i + shift_a) - 0.5)
               * (rt_random_uniform(key_b, (uint64_t)i + shift_b) - 0.5);
    return sum * 12.0 / DRAWS;
}

Test(random, streams_do_not_know_of_each_other)
{
    /* deviation of a correlation of 100,000 pairs: 0.0032 */
    uint64_t key = rt_random_key(7, RANDOM_INIT, 0);
    cr_assert_lt(fabs(correlation(key, 0, key, 1)), 0.016, "neighbours in one stream");
    for (int bit = 0; bit < 64; bit++)
        cr_assert_lt(fabs(correlation(key, 0, key ^ (uint64_t)1 << bit, 0)), 0.016,
                     "keys apart in bit %d", bit);
    cr_assert_lt(fabs(correlation(key, 0, rt_random_key(8, RANDOM_INIT, 0), 0)), 0.016,
                 "seeds 7 and 8");
    cr_assert_lt(fabs(correlation(key, 0, rt_random_key(7, RANDOM_SHUFFLE, 0), 0)), 0.016,
                 "two uses");
    cr_assert_lt(fabs(correlation(key, 0, rt_random_key(7, RANDOM_INIT, 1), 0)), 0.016,
                 "two indices");
}

Test(random, normal_numbers_have_their_moments)
{
    enum { DRAWS = 400000 };
    uint64_t key = rt_random_key(3, RANDOM_INIT, 2);
    double sums[4] = { 0 };
    for (int i = 0; i < DRAWS; i++) {
        double z = rt_random_normal(key, (uint64_t)i), power = 1.0;
        for (int p = 0; p < 4; p++)
            sums[p] += power *= z;
    }
    cr_assert_float_eq(sums[0] / DRAWS, 0.0, 0.008);
    cr_assert_float_eq(sums[1] / DRAWS, 1.0, 0.012);
    cr_assert_float_eq(sums[2] / DRAWS, 0.0, 0.02);
    cr_assert_float_eq(sums[3] / DRAWS, 3.0, 0.08);
}

Test(random, gamma_and_beta_numbers_have_their_moments)
{
    enum { DRAWS = 100000 };
    static const double shapes[] = { 0.05, 0.3, 1.0, 2.5, 40.0 };
    for (int s = 0; s < 5; s++) {
        double a = shapes[s], sums[4] = { 0 };
        uint64_t key = rt_random_key(3, RANDOM_MIX, (uint64_t)s);
        for (int i = 0; i < DRAWS; i++) {
            double x = exp(rt_random_log_gamma(rt_random_subkey(key, (uint64_t)i), a));
            double b = rt_random_beta(rt_random_subkey(key, (uint64_t)i), a, 2.0 * a);
            cr_assert(b >= 0.0 && b <= 1.0);
            sums[0] += x;
            sums[1] += x * x;
            sums[2] += b;
            sums[3] += b * b;
        }
        /* of a gamma number mean and variance are a; a fourth moment bounds what the second's sum may be off by */
        double mean = 1.0 / 3.0, square = mean * (a + 1.0) / (3.0 * a + 1.0);
        cr_assert_float_eq(sums[0] / DRAWS, a, 5.0 * sqrt(a / DRAWS), "mean of gamma %g", a);
        cr_assert_float_eq(sums[1] / DRAWS, a + a * a, 5.0 * sqrt((a * (a + 1.0) * (a + 2.0) * (a + 3.0)) / DRAWS),
                           "square of gamma %g", a);
        cr_assert_float_eq(sums[2] / DRAWS, mean, 0.008, "mean of beta %g", a);
        cr_assert_float_eq(sums[3] / DRAWS, square, 0.008, "square of beta %g", a);
    }
    /* so small a shape that its numbers are no doubles any more: one of two is all */
    int ends = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        double b = rt_random_beta(i, 1e-4, 1e-4);
        ends += b < 1e-9 || b > 1.0 - 1e-9;
    }
    cr_assert_gt(ends, 980);
}

Test(random, below_reaches_all_and_only_what_is_below)
{
    uint64_t key = rt_random_key(5, RANDOM_BENCH, 0);
    int seen[7] = { 0 };
    for (uint64_t i = 0; i < 70000; i++) {
        uint64_t k = rt_random_below(key, i, 7);
        cr_assert_lt(k, 7);
        seen[k]++;
    }
    for (int k = 0; k < 7; k++)
        cr_assert(seen[k] > 9500 && seen[k] < 10500);
    for (uint64_t i = 0; i < 100; i++)
        cr_assert_eq(rt_random_below(key, i, 1), 0);
}

/* A loader for a network with its weights at hand. */
static int loader_open(struct loader *l, struct cnn_context *c, const struct split *s,
                       bool shuffles)
{
    return rt_loader_open(l, c, s, shuffles ? LOADER_SHUFFLES : LOADER_MEASURES);
}

enum { PICTURES = 1000 };

static void split_open(struct split *s)
{
    s->count = PICTURES;
    s->pixels = calloc(PICTURES, 3 * 32 * 32);
    s->labels = calloc(PICTURES, sizeof *s->labels);
}

static void split_close(struct split *s)
{
    free(s->pixels);
    free(s->labels);
}

Test(shuffle, is_a_permutation_that_depends_on_seed_and_epoch_alone)
{
    struct split s;
    struct loader a, b;
    struct cnn_context *c = cnn_open(&tiny_float_model, 1, 1);
    split_open(&s);
    cr_assert_eq(loader_open(&a, c, &s, true), 0);
    cr_assert_eq(loader_open(&b, c, &s, true), 0);
    rt_loader_begin(&a, 7, 3);
    int seen[PICTURES] = { 0 }, kept = 0;
    for (int i = 0; i < PICTURES; i++) {
        seen[a.order.numbers[i]]++;
        kept += a.order.numbers[i] == (uint32_t)i;
    }
    for (int i = 0; i < PICTURES; i++)
        cr_assert_eq(seen[i], 1);
    cr_assert_lt(kept, 12, "%d pictures stay in their places", kept);     /* one is expected */
    for (uint64_t epoch = 0; epoch < 4; epoch++)
        rt_loader_begin(&b, 7, epoch);
    cr_assert_arr_eq(a.order.numbers, b.order.numbers, sizeof(uint32_t) * PICTURES);
    rt_loader_begin(&b, 7, 4);
    cr_assert_arr_neq(a.order.numbers, b.order.numbers, sizeof(uint32_t) * PICTURES);
    rt_loader_begin(&b, 8, 3);
    cr_assert_arr_neq(a.order.numbers, b.order.numbers, sizeof(uint32_t) * PICTURES);
    rt_loader_close(&a);
    rt_loader_close(&b);
    cnn_close(c);
    split_close(&s);
}

Test(shuffle, first_place_is_everyones_equally)
{
    /* of 10 pictures over 20,000 epochs each is first 2000 times, deviation 42 */
    struct split s;
    struct loader l;
    struct cnn_context *c = cnn_open(&tiny_float_model, 1, 1);
    split_open(&s);
    s.count = 10;
    cr_assert_eq(loader_open(&l, c, &s, true), 0);
    int first[10] = { 0 }, last[10] = { 0 };
    for (uint64_t epoch = 0; epoch < 20000; epoch++) {
        rt_loader_begin(&l, 1, epoch);
        first[l.order.numbers[0]]++;
        last[l.order.numbers[9]]++;
    }
    for (int i = 0; i < 10; i++) {
        cr_assert_lt(abs(first[i] - 2000), 220);
        cr_assert_lt(abs(last[i] - 2000), 220);
    }
    rt_loader_close(&l);
    cnn_close(c);
    split_close(&s);
}

/* ---- by blocks ------------------------------------------------------------------------------- */

/* An order by blocks: all samples once; each mixture holds whole blocks, as many as are mixed; what a position needs
 * has been asked for before, and not much more. */
static void blocks_check(int64_t count, struct order_blocks by, uint64_t epoch)
{
    struct sample_order o;
    int seen[PICTURES] = { 0 };
    int64_t place[PICTURES], begun = 0;
    cr_assert_eq(rt_order_open(&o, count), 0);
    o.by = by;
    cr_assert_eq(rt_order_draw(&o, 7, epoch), 0);
    for (int64_t i = 0; i < count; i++)
        seen[o.numbers[i]]++;
    for (int64_t i = 0; i < count; i++)
        cr_assert_eq(seen[i], 1);
    for (int64_t b = 0; b < o.blocks_count; b++)
        place[o.blocks[b]] = b;
    for (int64_t i = 0; i < count; i++) {
        int64_t own = place[o.numbers[i] / by.block], first = rt_order_first(&o, i), wanted = rt_order_wanted(&o, i);
        cr_assert(own >= first && own < first + by.mixed, "sample %d at %d", (int)o.numbers[i], (int)i);
        cr_assert_lt(own, wanted);
        cr_assert(wanted <= first + 2 * by.mixed && wanted <= o.blocks_count);
        cr_assert_geq(first, begun);
        begun = first;
    }
    cr_assert_eq(rt_order_first(&o, 0), 0, "it goes back");
    rt_order_close(&o);
}

Test(shuffle, blocks_are_mixed_whole_and_read_ahead_in_time)
{
    static const int64_t counts[] = { 1, 2, 10, 97, PICTURES };
    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++)
        for (int64_t block = 1; block <= 40; block += 13)
            for (int64_t mixed = 1; mixed <= 20; mixed += 6)
                for (uint64_t epoch = 0; epoch < 3; epoch++)
                    blocks_check(counts[k], (struct order_blocks){ block, mixed }, epoch);
}

Test(shuffle, blocks_depend_on_seed_and_epoch_alone)
{
    struct sample_order a, b;
    const size_t bytes = PICTURES * sizeof *a.numbers;
    cr_assert_eq(rt_order_open(&a, PICTURES), 0);
    cr_assert_eq(rt_order_open(&b, PICTURES), 0);
    a.by = b.by = (struct order_blocks){ 13, 8 };
    cr_assert_eq(rt_order_draw(&a, 7, 3), 0);
    for (uint64_t epoch = 0; epoch < 4; epoch++)
        cr_assert_eq(rt_order_draw(&b, 7, epoch), 0);
    cr_assert_arr_eq(a.numbers, b.numbers, bytes);
    cr_assert_eq(rt_order_draw(&b, 7, 4), 0);
    cr_assert_arr_neq(a.numbers, b.numbers, bytes);
    cr_assert_eq(rt_order_draw(&b, 8, 3), 0);
    cr_assert_arr_neq(a.numbers, b.numbers, bytes);
    rt_order_close(&a);
    rt_order_close(&b);
}

/* How many bytes are mixed and read ahead stays below the memory, whatever a sample's size. */
Test(shuffle, blocks_keep_to_the_memory)
{
    struct sample_store store = { 0 };
    struct split s = { .count = 1000000, .store = &store };
    for (size_t bytes = 1; bytes < 300000; bytes = bytes * 3 + 1)
        for (int64_t memory = 100 * (int64_t)bytes; memory < (int64_t)1 << 36; memory *= 7) {
            struct order_blocks by = rt_order_blocks(&s, bytes, memory);
            if (s.count <= memory / (int64_t)bytes)
                cr_assert_eq(by.block, 0);
            else
                cr_assert(by.block >= 1 && by.mixed >= 16 && 2 * by.block * by.mixed * (int64_t)bytes <= memory);
        }
    store.apart = true;
    cr_assert_eq(rt_order_blocks(&s, 3072, 1000000).block, 0);
}

/* ---- samples that cannot be read ------------------------------------------------------------- */

/* A store whose samples' bytes are their numbers, but for one that cannot be had for the next few tries. */
struct fickle {
    struct sample_store store;
    int64_t missing;
    atomic_int tries;
};

static int fickle_read(const struct sample_store *store, int64_t number, void *to)
{
    struct fickle *f = (struct fickle *)store;
    memset(to, (int)number % 251, 3 * 32 * 32);
    return number == f->missing && atomic_fetch_sub(&f->tries, 1) > 0 ? -1 : 0;
}

static void batch_check(const struct cnn_context *c, const struct loader *l, int n)
{
    for (int i = 0; i < n; i++) {
        int64_t which = l->order.numbers[l->next - n + i];
        double found = ((const float *)c->input)[i * l->model->image_stride],
            wanted = ((double)(which % 251) / 255 - 0.5) / 0.5;
        cr_assert_float_eq(found, wanted, 1e-6);
        cr_assert_eq(c->labels[i], which % 10);
    }
}

/* One that is missing once is not told of, since it is tried again when its batch is asked for; one that stays missing
 * ends the epoch before that batch, and later the epoch goes on from there. */
static void fickle_check(int threads, int tries)
{
    struct fickle f = { .store = { .read = fickle_read }, .missing = 500, .tries = tries };
    struct split s = { .count = PICTURES, .store = &f.store, .numbers = calloc(PICTURES, sizeof *s.numbers),
                       .labels = calloc(PICTURES, sizeof *s.labels) };
    struct cnn_context *c = cnn_open(&tiny_float_model, threads, 1);
    struct loader l;
    int n, failures = 0;
    for (uint32_t i = 0; i < PICTURES; i++) {
        s.numbers[i] = i;
        s.labels[i] = (uint16_t)(i % 10);
    }
    cr_assert_eq(loader_open(&l, c, &s, true), 0);
    rt_loader_begin(&l, 7, 0);
    do {
        int64_t before = l.next;
        n = rt_loader_next(&l, c);
        if (n < 0) {
            bool holds = false;
            for (int64_t i = before; i < before + 32 && i < PICTURES; i++)
                holds |= l.order.numbers[i] == f.missing;
            cr_assert(l.next == before && holds, "the batch at %d fails, not that at %d", (int)l.next, (int)before);
            failures++;
        } else {
            tiny_float_model.infer(c, n);
            batch_check(c, &l, n);
        }
    } while (n != 0);
    cr_assert_eq(l.next, PICTURES);
    cr_assert_eq(failures, threads > 1 ? tries / 2 : tries);
    cr_assert_eq(l.wait.samples, PICTURES);
    rt_loader_close(&l);
    cnn_close(c);
    free(s.numbers);
    free(s.labels);
}

Test(loader, a_sample_that_is_missing_is_told_when_it_is_needed)
{
    for (int threads = 1; threads <= 3; threads++)
        for (int tries = 0; tries <= 4; tries++)
            fickle_check(threads, tries);
}
