/* test_runtime_session.c - the workspace, parameters between files and kernels, batches from
 * bytes. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/whiten.h"
#include "train/loader.h"
#include "common/param_layout.h"
#include "core/param.h"
#include "train/session.h"
#include "tiny_model.h"

enum { INPUTS = 3 * 32 * 32, CLASSES = 10 };

Test(session, every_part_is_aligned_apart_and_zeroed)
{
    struct cnn_context *c = cnn_open(&tiny_float_model, 3, 1);
    cr_assert_not_null(c);
    struct workspace_sizes s = rt_workspace_sizes(&tiny_float_model, 3);
    cr_assert_eq(s.scratch, 3 * 64);
    struct {
        char *at;
        size_t size;
    } parts[] = {
        { c->input, s.input },
        { (char *)c->labels, s.labels },
        { c->params, s.params },
        { c->grads, s.grads },
        { c->statistics, s.statistics },
        { c->optimizer_state, s.optimizer_state },
        { c->slow_statistics, s.slow_statistics },
        { c->update_memory, s.update_memory },
        { c->predictions, s.predictions },
        { c->memory, s.memory },
        { c->scratch, s.scratch },
    };
    int count = sizeof parts / sizeof parts[0];
    for (int i = 0; i < count; i++) {
        cr_assert_eq((uintptr_t)parts[i].at % 64, 0);
        if (i > 0)
            cr_assert_geq(parts[i].at, parts[i - 1].at + parts[i - 1].size);
    }
    cr_assert_leq(parts[count - 1].at + s.scratch, (char *)c->input + s.total);
    for (size_t i = 0; i < s.grads; i++)
        cr_assert_eq(((char *)c->grads)[i], 0);
    cr_assert_eq(c->threads, 3);
    cnn_close(c);
}

Test(session, another_version_of_the_interface_is_refused)
{
    struct cnn_model m = tiny_float_model;
    m.abi = CNNRT_ABI + 1;
    cr_assert_null(cnn_open(&m, 1, 1));
}

Test(session, threads_come_from_the_option_then_the_recipe_then_the_environment)
{
    struct cnn_model m = tiny_float_model;
    setenv("OMP_NUM_THREADS", "5,2", 1);
    struct cnn_context *c = cnn_open(&m, 0, 1);
    cr_assert_eq(c->threads, 5);
    cnn_close(c);
    m.train.threads = 4;
    c = cnn_open(&m, 0, 1);
    cr_assert_eq(c->threads, 4);
    cnn_close(c);
    c = cnn_open(&m, 3, 1);
    cr_assert_eq(c->threads, 3);
    cnn_close(c);
    setenv("OMP_NUM_THREADS", "nonsense", 1);
    m.train.threads = 0;
    c = cnn_open(&m, 0, 1);
    cr_assert_geq(c->threads, 1);
    cnn_close(c);
}

/* Where the tiny network's weight [o][ch][h][w] lies, said once more by hand. */
static size_t weight_place(int o, int ch, int h, int w)
{
    return (size_t)(o / 8) * 8 * INPUTS + (size_t)((h * 32 + w) * 3 + ch) * 8 + (size_t)(o % 8);
}

Test(params, panels_hold_what_files_say_and_padding_stays_zero)
{
    struct cnn_context *c = cnn_open(&tiny_float_model, 1, 1);
    float *file = malloc(CLASSES * INPUTS * sizeof *file),
          *back = malloc(CLASSES * INPUTS * sizeof *back);
    const float *stored = c->params;
    for (int i = 0; i < CLASSES * INPUTS; i++)
        file[i] = (float)(i + 1);
    cnn_param_set(c, 0, file);
    size_t i = 0;
    for (int o = 0; o < CLASSES; o++)
        for (int ch = 0; ch < 3; ch++)
            for (int h = 0; h < 32; h++)
                for (int w = 0; w < 32; w++, i++) {
                    cr_assert_eq(stored[weight_place(o, ch, h, w)], file[i]);
                    cr_assert_eq(rt_param_index_place(&tiny_float_model.params[0], (int64_t)i),
                                 (int64_t)weight_place(o, ch, h, w));
                }
    for (int place = 0; place < INPUTS; place++)
        for (int o = 10; o < 16; o++)
            cr_assert_eq(stored[(size_t)8 * INPUTS + (size_t)place * 8 + (size_t)(o % 8)], 0.0f);
    cnn_param_get(c, 0, back);
    cr_assert_arr_eq(file, back, CLASSES * INPUTS * sizeof *file);
    ((float *)c->grads)[weight_place(9, 2, 30, 31)] = 5.0f;
    cnn_grad_get(c, 0, back);
    cr_assert_eq(back[((9 * 3 + 2) * 32 + 30) * 32 + 31], 5.0f);
    back[0] = 1.0f;
    cnn_grad_get(c, 2, back);       /* a statistic has none */
    cr_assert_eq(back[0], 0.0f);
    free(file);
    free(back);
    cnn_close(c);
}

Test(params, a_seed_gives_the_same_weights_in_float_and_double)
{
    struct cnn_context *f = cnn_open(&tiny_float_model, 1, 9),
                       *again = cnn_open(&tiny_float_model, 2, 9);
    struct cnn_context *d = cnn_open(&tiny_double_model, 1, 9),
                       *other = cnn_open(&tiny_float_model, 1, 10);
    float *x = malloc(CLASSES * INPUTS * sizeof *x), *y = malloc(CLASSES * INPUTS * sizeof *y);
    double *z = malloc(CLASSES * INPUTS * sizeof *z), largest = 0.0, sum = 0.0;
    cnn_param_get(f, 0, x);
    cnn_param_get(again, 0, y);
    cr_assert_arr_eq(x, y, CLASSES * INPUTS * sizeof *x);
    cnn_param_get(d, 0, z);
    for (int i = 0; i < CLASSES * INPUTS; i++) {
        cr_assert_eq(x[i], (float)z[i]);
        largest = fmax(largest, fabs(z[i]));
        sum += z[i];
    }
    cr_assert(largest <= 0.0441 && largest > 0.044);
    cr_assert_float_eq(sum / (CLASSES * INPUTS), 0.0, 0.001);
    cnn_param_get(other, 0, y);
    cr_assert_arr_neq(x, y, CLASSES * INPUTS * sizeof *x);
    float mean;
    cnn_param_get(f, 2, &mean);
    cr_assert_eq(mean, 0.5f);
    free(x);
    free(y);
    free(z);
    cnn_close(f);
    cnn_close(again);
    cnn_close(d);
    cnn_close(other);
}

/* A network of one parameter, to see initialisers. */
static struct cnn_context *open_initialised(struct cnn_model *m, struct cnn_param *p,
                                            struct cnn_init init, int rows, int columns)
{
    *m = tiny_double_model;
    *p = (struct cnn_param){ .name = "w", .rank = 2, .shape = { rows, columns },
                             .axis = { CNN_AXIS_OUT, CNN_AXIS_IN },
                             .layout = { .dims = 2, .dim = { rows, columns }, .stride = { columns, 1 },
                                         .panel_dim = -1 },
                             .stored = rows * columns, .count = rows * columns, .init = init };
    m->params = p;
    m->params_list_count = 1;
    return cnn_open(m, 1, 4);
}

Test(params, truncated_normals_stay_within_two_deviations)
{
    struct cnn_model m;
    struct cnn_param p;
    struct cnn_context *c = open_initialised(
        &m, &p, (struct cnn_init){ CNN_INIT_TRUNCATED_NORMAL, 0.0, 0.5, CNN_INIT_ZEROS }, 100, 300);
    const double *x = c->params;
    double squares = 0.0, largest = 0.0;
    for (int i = 0; i < 30000; i++) {
        squares += x[i] * x[i];
        largest = fmax(largest, fabs(x[i]));
    }
    cr_assert(largest <= 1.0 && largest > 0.99);
    cr_assert_float_eq(sqrt(squares / 30000), 0.5 * 0.87963, 0.005);
    cnn_close(c);
}

/* As torch.nn.init.dirac_: filter o has a 1 at channel o, row kh / 2, column kw / 2; here the others are of their
 * own. */
Test(params, dirac_passes_on_channels)
{
    static const int64_t shapes[][4] = { { 5, 3, 3, 3 }, { 3, 5, 2, 4 }, { 4, 4, 1, 2 } };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int64_t *s = shapes[i];
        int64_t taps = s[2] * s[3], filter = s[1] * taps;
        struct cnn_model m;
        struct cnn_param p;
        struct cnn_context *c = open_initialised(
            &m, &p, (struct cnn_init){ CNN_INIT_ZEROS, 0, 0, CNN_INIT_ZEROS }, (int)s[0], (int)filter);
        p.init = (struct cnn_init){ CNN_INIT_DIRAC, 0.25, 0.5, CNN_INIT_UNIFORM };
        p.rank = 4;
        memcpy(p.shape, s, 4 * sizeof *s);
        memcpy(p.axis, (enum cnn_axis[]){ CNN_AXIS_OUT, CNN_AXIS_IN, CNN_AXIS_KH, CNN_AXIS_KW }, 4 * sizeof *p.axis);
        cr_assert_eq(rt_params_init(c, 7), 0);
        const double *x = c->params;
        for (int64_t o = 0; o < s[0]; o++)
            for (int64_t k = 0; k < filter; k++) {
                double got = x[o * filter + k], one = k == o * taps + s[2] / 2 * s[3] + s[3] / 2;
                cr_assert(o < s[1] ? got == one : got >= 0.25 && got < 0.5);
            }
        cnn_close(c);
    }
}

/* Before there are pictures: rows that are orthonormal, then their negatives. */
Test(params, whiten_without_pictures)
{
    struct cnn_model m;
    struct cnn_param p;
    struct cnn_context *c =
        open_initialised(&m, &p, (struct cnn_init){ CNN_INIT_WHITEN, 5000, 5e-4, CNN_INIT_ZEROS }, 12, 6);
    const double *x = c->params;
    for (int a = 0; a < 12; a++)
        for (int b = 0; b <= a; b++) {
            double product = 0.0;
            for (int i = 0; i < 6; i++)
                product += x[a * 6 + i] * x[b * 6 + i];
            cr_assert_float_eq(product, a == b ? 1 : a == b + 6 ? -1 : 0, 1e-12);
        }
    cnn_close(c);
}

/* A matrix made of known vectors and values, one of them twice. */
Test(params, eigenvectors_of_a_symmetric_matrix)
{
    enum { N = 5 };
    double u[N] = { 1, 2, 0, -1, 3 }, size = 15, a[N * N], values[N], vectors[N * N];
    for (int i = 0; i < N; i++)         /* 7 along u, 2 across it, then 1 more along the third axis, which is across */
        for (int j = 0; j < N; j++)
            a[i * N + j] = 5 * u[i] * u[j] / size + (i == j) * (2 + (i == 2));
    rt_symmetric_eigen(a, N, values, vectors);
    cr_assert_float_eq(values[0], 7, 1e-13);
    cr_assert_float_eq(values[1], 3, 1e-13);
    for (int i = 2; i < N; i++)
        cr_assert_float_eq(values[i], 2, 1e-13);
    for (int i = 0; i < N; i++) {
        cr_assert_float_eq(vectors[i], u[i] / sqrt(size), 1e-13);
        cr_assert_float_eq(vectors[N + i], i == 2, 1e-13);
    }
    for (int r = 0; r < N; r++) {
        double largest = 0;
        for (int i = 0; i < N; i++)
            if (fabs(vectors[r * N + i]) > fabs(largest) + 1e-9)
                largest = vectors[r * N + i];
        cr_assert(largest > 0);
        for (int s = 0; s <= r; s++) {
            double product = 0;
            for (int i = 0; i < N; i++)
                product += vectors[r * N + i] * vectors[s * N + i];
            cr_assert_float_eq(product, r == s, 1e-13);
        }
    }
}

Test(params, orthogonal_rows_or_columns)
{
    for (int wide = 0; wide < 2; wide++) {
        int rows = wide ? 7 : 31, columns = wide ? 31 : 7;
        struct cnn_model m;
        struct cnn_param p;
        struct cnn_context *c = open_initialised(
            &m, &p, (struct cnn_init){ CNN_INIT_ORTHOGONAL, 0.0, 0.0, CNN_INIT_ZEROS }, rows, columns);
        const double *x = c->params;
        int vectors = 7, length = 31, step = wide ? columns : 1, stride = wide ? 1 : columns;
        for (int a = 0; a < vectors; a++)
            for (int b = 0; b <= a; b++) {
                double product = 0.0;
                for (int i = 0; i < length; i++)
                    product += x[a * step + i * stride] * x[b * step + i * stride];
                cr_assert_float_eq(product, a == b, 1e-12);
            }
        cnn_close(c);
    }
}

/* Where outputs are not the first axis of a file, and where each position has a matrix of its own: filters of a
 * transposed convolution, and filters of positions. */
Test(params, orthogonal_by_outputs_whatever_the_order_of_axes)
{
    static const struct {
        int rank, shape[CNN_MAX_RANK];
        enum cnn_axis axis[CNN_MAX_RANK];
        int matrices, rows, columns;
    } kinds[] = {
        { 4, { 5, 4, 3, 2 }, { CNN_AXIS_IN, CNN_AXIS_OUT, CNN_AXIS_KH, CNN_AXIS_KW }, 1, 4, 30 },
        { 3, { 3, 31, 2 }, { CNN_AXIS_IN, CNN_AXIS_OUT, CNN_AXIS_KH }, 1, 31, 6 },
        { 4, { 3, 2, 4, 5 }, { CNN_AXIS_OH, CNN_AXIS_OW, CNN_AXIS_OUT, CNN_AXIS_IN }, 6, 4, 5 },
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct cnn_model m = tiny_double_model;
        struct cnn_param p = { .name = "w", .rank = kinds[k].rank, .count = 1,
                               .layout = { .dims = kinds[k].rank, .panel_dim = -1 },
                               .init = { CNN_INIT_ORTHOGONAL, 0.0, 0.0, CNN_INIT_ZEROS } };
        for (int d = p.rank - 1; d >= 0; d--) {
            p.axis[d] = kinds[k].axis[d];
            p.shape[d] = p.layout.dim[d] = kinds[k].shape[d];
            p.layout.stride[d] = p.count;
            p.stored = p.count *= p.shape[d];
        }
        m.params = &p;
        m.params_list_count = 1;
        struct cnn_context *c = cnn_open(&m, 1, 4);
        struct param_matrices s = rt_param_matrices(&p);
        cr_assert_eq(s.matrices, kinds[k].matrices);
        cr_assert_eq(s.rows, kinds[k].rows);
        cr_assert_eq(s.columns, kinds[k].columns);
        double *x = malloc((size_t)p.count * sizeof *x);
        for (int64_t i = 0; i < p.count; i++)
            x[rt_layout_place(&s.layout, i)] = ((const double *)c->params)[i];
        bool wide = s.rows <= s.columns;
        int64_t vectors = wide ? s.rows : s.columns, length = wide ? s.columns : s.rows;
        int64_t step = wide ? s.columns : 1, stride = wide ? 1 : s.columns;
        for (int64_t n = 0; n < s.matrices; n++)
            for (int64_t a = 0; a < vectors; a++)
                for (int64_t b = 0; b <= a; b++) {
                    double product = 0.0;
                    for (int64_t i = 0; i < length; i++)
                        product += x[n * s.rows * s.columns + a * step + i * stride] *
                                   x[n * s.rows * s.columns + b * step + i * stride];
                    cr_assert_float_eq(product, a == b, 1e-12);
                }
        free(x);
        cnn_close(c);
    }
}

/* A loader for a network with its weights at hand. */
static int loader_open(struct loader *l, struct cnn_context *c, const struct split *s,
                       bool shuffles)
{
    return rt_loader_open(l, c, s, shuffles ? LOADER_SHUFFLES : LOADER_MEASURES);
}

/* What the tiny recipe makes of a byte: scale 1/255, mean 0.5, std 0.5. */
static double expected_pixel(int byte)
{
    return (byte / 255.0 - 0.5) / 0.5;
}

static void loader_check(struct cnn_model *m)
{
    enum { PICTURES = 70 };
    struct split s = { .count = PICTURES, .pixels = malloc(PICTURES * INPUTS),
                       .labels = malloc(PICTURES * sizeof(uint16_t)) };
    for (int i = 0; i < PICTURES * INPUTS; i++)
        s.pixels[i] = (uint8_t)(i * 7 + i / 256);
    for (int i = 0; i < PICTURES; i++)
        s.labels[i] = (uint16_t)(i % 10);
    struct cnn_context *c = cnn_open(m, 1, 1);
    struct loader l;
    cr_assert_eq(loader_open(&l, c, &s, false), 0);
    rt_loader_begin(&l, 1, 0);
    int sizes[] = { 32, 32, 6, 0, 0 };
    for (int batch = 0; batch < 5; batch++) {
        cr_assert_eq(rt_loader_next(&l, c), sizes[batch]);
        for (int n = 0; n < sizes[batch]; n++) {
            cr_assert_eq(c->labels[n], (batch * 32 + n) % 10);
            for (int h = 0; h < 32; h++)
                for (int w = 0; w < 32; w++)
                    for (int ch = 0; ch < 3; ch++) {
                        int64_t at = n * m->image_stride + ch * m->channel_stride
                                     + h * m->row_stride + w * m->column_stride;
                        double found =
                            m->real_size == 8 ? ((double *)c->input)[at] : ((float *)c->input)[at];
                        double wanted = expected_pixel(
                            s.pixels[((batch * 32 + n) * 1024 + h * 32 + w) * 3 + ch]);
                        cr_assert_float_eq(found, wanted, m->real_size == 8 ? 1e-15 : 1e-7);
                    }
        }
    }
    rt_loader_close(&l);
    cnn_close(c);
    free(s.pixels);
    free(s.labels);
}

Test(loader, bytes_become_numbers_where_the_network_reads_them)
{
    struct cnn_model m = tiny_float_model;
    loader_check(&m);                       /* channels innermost */
    m.image_stride = 1;                     /* images innermost */
    m.channel_stride = 32;
    m.column_stride = 96;
    m.row_stride = 96 * 32;
    loader_check(&m);
    m = tiny_double_model;
    m.image_stride = 4 * 1024;              /* channels padded to four */
    m.channel_stride = 1;
    m.column_stride = 4;
    m.row_stride = 128;
    loader_check(&m);
    m.image_stride = 3 * 1024;              /* planes */
    m.channel_stride = 1024;
    m.column_stride = 1;
    m.row_stride = 32;
    loader_check(&m);
}

Test(loader, input_set_is_the_same_mapping)
{
    struct cnn_context *c = cnn_open(&tiny_float_model, 1, 1);
    float *chw = malloc(INPUTS * sizeof *chw);
    for (int i = 0; i < INPUTS; i++)
        chw[i] = (float)i;
    cnn_input_set(c, 31, chw);
    const float *input = c->input;
    for (int ch = 0; ch < 3; ch++)
        for (int i = 0; i < 1024; i++)
            cr_assert_eq(input[31 * INPUTS + i * 3 + ch], (float)(ch * 1024 + i));
    free(chw);
    cnn_close(c);
}

Test(loader, steps_that_do_not_fit_are_refused)
{
    struct split s = { .count = 1 };
    struct loader l;
    struct cnn_model m = tiny_float_model;
    const struct cnn_clause unknown = { "sharpen", NULL, 0 };
    m.data.steps = &unknown;
    m.data.steps_count = 1;
    struct cnn_context *c = cnn_open(&m, 1, 1);
    cr_assert_eq(loader_open(&l, c, &s, false), -1);
    const double two[] = { 0.5, 0.5 };
    const struct cnn_setting settings[] = { { .key = "mean", .list = two, .list_length = 2 },
                                            { .key = "std", .list = two, .list_length = 2 } };
    const struct cnn_clause normalize = { "normalize", settings, 2 };
    m.data.steps = &normalize;
    cr_assert_eq(loader_open(&l, c, &s, false), -1);
    cnn_close(c);
}
