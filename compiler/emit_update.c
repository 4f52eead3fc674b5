/* emit_update.c - the optimizer's step over the flat vector of parameters.
 *
 * Requires: parameters lie at multiples of 64 bytes, so a range of whole parameters is one of whole
 * vectors; what lies between them has no gradient (it is 0 and stays 0). */
#include <inttypes.h>
#include <string.h>

#include "emit.h"

/* Elements; a block of adam's four streams fits into a level-2 cache. */
enum { UPDATE_BLOCK = 8192 };

/* How an optimizer is written down; a row of the table below. */
struct optimizer {
    const char *name;
    int (*slots)(const struct clause *c);
    void (*setup)(struct emitter *e, struct cwriter *w, const struct clause *c);
    /* The call for the vector at element `i`. */
    const char *(*call)(const struct clause *c);
    const char *formula;
    int flops;                  /* an element */
};

static int adam_slots(const struct clause *c)
{
    (void)c;
    return 2;
}

static void adam_setup(struct emitter *e, struct cwriter *w, const struct clause *c)
{
    cw_line(w, "const struct cnn_adam rule = cnn_adam_at(c->lr, c->step, %s, %s, %s);",
            emit_number(e, clause_number(c, "beta1")), emit_number(e, clause_number(c, "beta2")),
            emit_number(e, clause_number(c, "epsilon")));
}

static const char *adam_call(const struct clause *c)
{
    (void)c;
    return "cnn_adam(&rule, p + i, g + i, m + i, s + i)";
}

static int sgd_slots(const struct clause *c)
{
    return clause_number(c, "momentum") != 0;
}

static void sgd_setup(struct emitter *e, struct cwriter *w, const struct clause *c)
{
    cw_line(w, "const real rate = (real)c->lr;");
    if (sgd_slots(c))
        cw_line(w, "const real momentum = (real)%s;", emit_number(e, clause_number(c, "momentum")));
}

static const char *sgd_call(const struct clause *c)
{
    if (!sgd_slots(c))
        return "cnn_sgd(rate, p + i, g + i)";
    return clause_number(c, "nesterov") != 0
               ? "cnn_sgd_nesterov(rate, momentum, p + i, g + i, m + i)"
               : "cnn_sgd_momentum(rate, momentum, p + i, g + i, m + i)";
}

static const struct optimizer optimizers[] = {
    { "adam", adam_slots, adam_setup, adam_call,
      "m = beta1 m + (1 - beta1) g, s = beta2 s + (1 - beta2) g^2, p -= rate m / (sqrt(s) + "
      "epsilon)",
      12 },
    { "sgd", sgd_slots, sgd_setup, sgd_call,
      "p -= rate g, by way of a velocity where there is momentum", 4 },
};

/* NULL: the model is not trained. */
static const struct optimizer *optimizer_of(const struct model *m)
{
    if (!m->optimizer)
        return NULL;
    for (size_t i = 0; i < sizeof optimizers / sizeof optimizers[0]; i++)
        if (!strcmp(optimizers[i].name, m->optimizer->def->name))
            return &optimizers[i];
    return NULL;
}

int emit_optimizer_slots(const struct model *m)
{
    const struct optimizer *o = optimizer_of(m);
    return o ? o->slots(m->optimizer) : 0;
}

/* ---- ranges of trainable parameters ---------------------------------------------------------- */

struct range {
    int64_t begin, end;
};

/* The ranges of the flat vector that are trained, in order, neighbours joined. */
static int trained_ranges(struct emitter *e, struct range **out)
{
    const struct plan *p = e->plan;
    const struct graph *g = p->train.graph;
    struct range *list = NULL;
    int count = 0;
    size_t capacity = 0;
    int64_t align = 64 / p->real_size;
    for (int i = 0; i < g->params_count; i++) {
        const struct param *param = g->params[i];
        if (!param->trainable || param->role == CNN_STATISTIC)
            continue;
        struct range r = { p->params[i].offset, p->params[i].offset + p->params[i].stored };
        r.end = (r.end + align - 1) / align * align;
        if (count && list[count - 1].end == r.begin)
            list[count - 1].end = r.end;
        else
            LIST_ADD(e->arena, list, count, capacity, r);
    }
    *out = list;
    return count;
}

int64_t emit_update_flops(struct emitter *e)
{
    const struct optimizer *o = optimizer_of(e->plan->model);
    struct range *ranges;
    int count = trained_ranges(e, &ranges);
    int64_t elements = 0;
    for (int i = 0; i < count; i++)
        elements += ranges[i].end - ranges[i].begin;
    return o ? elements * o->flops : 0;
}

/* The loop over the blocks of a range; directive: of OpenMP, that shares it out. */
static void emit_range(struct cwriter *w, struct range r, const char *call, const char *directive)
{
    int64_t blocks = (r.end - r.begin + UPDATE_BLOCK - 1) / UPDATE_BLOCK;
    cw_line(w, "#pragma omp %s", directive);
    cw_open(w, "for (int b = 0; b < %" PRId64 "; b++) {", blocks);
    if (r.begin)
        cw_line(w, "const int64_t begin = %" PRId64 " + (int64_t)b * %d;", r.begin, UPDATE_BLOCK);
    else
        cw_line(w, "const int64_t begin = (int64_t)b * %d;", UPDATE_BLOCK);
    cw_line(w, "const int64_t end = b < %" PRId64 " ? begin + %d : %" PRId64 ";", blocks - 1,
            UPDATE_BLOCK, r.end);
    cw_open(w, "for (int64_t i = begin; i < end; i += V_LANES)");
    cw_line(w, "%s;", call);
    cw_close(w, "");
    cw_close(w, "}");
}

/* No two ranges touch, so threads need not wait for each other between them. */
static void emit_ranges(struct cwriter *w, const struct range *ranges, int count, const char *call)
{
    if (count == 1) {
        emit_range(w, ranges[0], call, "parallel for num_threads(c->threads) schedule(static)");
        return;
    }
    cw_line(w, "#pragma omp parallel num_threads(c->threads)");
    cw_open(w, "{");
    for (int i = 0; i < count; i++)
        emit_range(w, ranges[i], call, "for schedule(static) nowait");
    cw_close(w, "}");
}

void emit_update(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const struct clause *clause = p->model->optimizer;
    const struct optimizer *o = optimizer_of(p->model);
    struct range *ranges;
    int count = trained_ranges(e, &ranges);

    if (!o || !count) {
        cw_comment(w, "There is nothing to train.");
        cw_line(w, "static void update(struct cnn_context *c)");
        cw_open(w, "{");
        cw_line(w, "(void)c;");
        cw_close(w, "}");
        cw_blank(w);
        return;
    }
    cw_comment(w, "One step of %s: %s.", o->name, o->formula);
    cw_line(w, "static void update(struct cnn_context *c)");
    cw_open(w, "{");
    o->setup(e, w, clause);
    cw_line(w, "%s *const p = c->params;", p->real);
    cw_line(w, "const %s *const g = c->grads;", p->real);
    if (o->slots(clause) > 0)
        cw_line(w, "%s *const m = c->optimizer_state;", p->real);
    if (o->slots(clause) > 1)
        cw_line(w, "%s *const s = m + %" PRId64 ";", p->real, p->params_stored);
    cw_line(w, "uint64_t *const ticks = c->ticks;");
    cw_line(w, "uint64_t clock = ticks ? cnn_clock() : 0;");
    cw_blank(w);
    emit_ranges(w, ranges, count, o->call(clause));
    cw_line(w, "TICK(%d);", p->stretches_count);
    cw_close(w, "}");
    cw_blank(w);
}
