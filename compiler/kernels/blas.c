/* blas.c - products by OpenBLAS, one thread each, inside our own blocks. */
#include "kernels/blas.h"

#include <inttypes.h>

enum {
    GROUPS_MOST = 8, GROUPS_LEAST = 2,
    PARTIAL_BYTES_MOST = 64 << 20,
    CHUNK = 8192                        /* elements summed in one block */
};

double blas_cycles(const struct plan *p, double m, double n, double k)
{
    const struct target *t = p->target;
    double peak = t->flops_per_cycle / (p->real_double ? 2 : 1) * t->blas_efficiency;
    double thin = t->costs->blas_thin, filled = m / (m + thin) * (n / (n + thin)) * (k / (k + t->costs->blas_shallow));
    return 2 * m * n * k / (peak * filled) + t->costs->blas_call;
}

struct panels panels_of(const struct plan *p, const struct tensor *weight)
{
    const struct param *w = weight->param;
    int width = plan_param(p, weight)->panel;
    int out = param_extent(w, CNN_AXIS_OUT);
    return (struct panels){ out, width, param_elements(w) / out * width };
}

int panels_count(const struct panels *w)
{
    return (w->out + w->width - 1) / w->width;
}

const char *panel_columns(struct emitter *e, const struct panels *w, const char *index)
{
    int rest = w->out % w->width;
    if (!rest)
        return text_printf(e, "%d", w->width);
    if (w->out < w->width)
        return text_printf(e, "%d", rest);
    return text_printf(e, "%s < %d ? %d : %d", index, w->out / w->width, w->width, rest);
}

void line_gemm(struct emitter *e, const struct gemm *g)
{
    cw_line(e->w, "cblas_%cgemm(CblasRowMajor, %s, %s, %s, %s, %s, 1, %s, %" PRId64 ", %s, %" PRId64 ",",
            e->plan->real_double ? 'd' : 's', g->transpose_a ? "CblasTrans" : "CblasNoTrans",
            g->transpose_b ? "CblasTrans" : "CblasNoTrans", g->m, g->n, g->k, g->a, g->lda, g->b, g->ldb);
    cw_line(e->w, "            %s, %s, %" PRId64 ");", g->beta, g->c, g->ldc);
}

int weight_groups(const struct plan *p, int64_t stored)
{
    int groups = GROUPS_MOST;
    while (groups > GROUPS_LEAST && groups * stored * p->real_size > PARTIAL_BYTES_MOST)
        groups /= 2;
    return groups;
}

int64_t group_sums_blocks(const struct plan *p, int64_t stored)
{
    (void)p;
    return (stored + CHUNK - 1) / CHUNK;
}

struct part group_sums_part(int64_t stored)
{
    return part_runs(stored, CHUNK);
}

const char *emit_group_sums(struct emitter *e, int groups, int64_t stored, const char *comment)
{
    const char *real = e->plan->real;
    int64_t blocks = group_sums_blocks(e->plan, stored);
    emit_function(e, "const %s *partial, %s *restrict dw, int b", real, real);
    if (blocks > 1)
        cw_line(e->w, "const int end = b < %" PRId64 " ? (b + 1) * %d : %" PRId64 ";", blocks - 1, CHUNK, stored);
    else
        cw_line(e->w, "const int end = %" PRId64 ";", stored);
    cw_open(e->w, "for (int j = b * %d; j < end; j += %d) {", CHUNK, e->plan->lanes);
    cw_line(e->w, "v sum = v_load(partial + j);");
    for (int i = 1; i < groups; i++)
        cw_line(e->w, "sum = v_add(sum, v_load(partial + j + %" PRId64 "));", i * stored);
    cw_line(e->w, "v_store(dw + j, sum);");
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "sum_groups_%dx%" PRId64, groups, stored), comment);
}
