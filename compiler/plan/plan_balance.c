/* plan_balance.c - how evenly so many threads share the work of a plan: the end of --dump=plan --threads=T.
 *
 * Which thread does what is worked out with the functions by which emitted code divides (cnn_first, cnn_end, cnn_run,
 * cnn_next, cnn_finer of cnnrt.h).  What it takes comes from the kernels' estimates: those of a group are split over
 * its steps, those of a step over its images, or over its blocks by what each makes.  A finer form is what the busiest
 * thread has; the mean is of the usual form, so that what the finer one takes more counts as lost. */
#include <inttypes.h>

#include "cnnrt.h"
#include "steps/kernel.h"
#include "plan/plan_parts.h"

/* What the threads have between two meetings, or in several such pieces one after the other. */
struct share {
    double busiest, mean;       /* cycles */
    int64_t fewest, most;       /* calls of a thread */
};

/* Cycles of each step, by its index. */
struct balance {
    const struct plan *p;
    const struct program *q;
    int threads;
    double *cycles;             /* of each step, for the whole batch */
    double *work;               /* of each thread, in the piece at hand */
    int64_t *calls;
};

/* ---- what steps take --------------------------------------------------------------------------------------------- */

static double argument_bytes(const struct plan *p, const struct step *s, const struct argument *a)
{
    double times = a->access == ACCESS_ADD ? 2 : 1;
    if (a->kind == ARGUMENT_BUFFER)
        return times * (double)a->buffer->bytes * (s->repeat ? s->repeat : 1);
    if (a->kind != ARGUMENT_TENSOR)
        return 0;
    const struct tensor *t = a->tensor;
    if (t->param)
        return times * (double)plan_param(p, t)->stored * p->real_size;
    double size = t->element == ELEMENT_REAL ? p->real_size : t->element == ELEMENT_U8 ? 1 : 4;
    return times * (double)shape_elements(t->shape) * (t->per_sample ? p->batch : 1) * size;
}

/* Of a step that does no more than to go through what it is given. */
static double pass_cycles_of(const struct plan *p, const struct step *s)
{
    double bytes = 0;
    for (int i = 0; i < s->arguments_count; i++)
        bytes += argument_bytes(p, s, &s->arguments[i]);
    return bytes / p->target->costs->second_rate;
}

/* An element of the update: gradient and parameter are read, the parameter and what is kept for it written too. */
static double update_cycles(const struct plan *p, int64_t elements)
{
    return (double)elements * (3 + 2 * p->update.slots_count) * p->real_size / p->target->memory_bytes_per_cycle;
}

/* The estimate of a group: the steps that only go through memory have what that takes, half of all at most, and those
 * that compute the rest. */
static void share_out(struct balance *b, const struct group *g)
{
    const struct step *const *steps = (const struct step *const *)b->q->steps + g->first_step;
    double all = g->kernel->cost(b->p, g), passes = 0, flops = 0;
    for (int i = 0; i < g->steps_count; i++) {
        flops += (double)steps[i]->flops;
        if (!steps[i]->flops)
            passes += pass_cycles_of(b->p, steps[i]);
    }
    double less = flops == 0 ? all / passes : passes > all / 2 ? all / 2 / passes : 1;
    for (int i = 0; i < g->steps_count; i++) {
        const struct step *s = steps[i];
        double *cycles = &b->cycles[s->index];
        *cycles = s->flops ? (all - less * passes) * (double)s->flops / flops : less * pass_cycles_of(b->p, s);
        if (s->updates)
            *cycles += update_cycles(b->p, b->p->params[s->updates->id].stored);
    }
}

/* ---- who does what ----------------------------------------------------------------------------------------------- */

static int64_t piece_length(const struct axis *x, int64_t block)
{
    int64_t pieces = axis_pieces(x), at = block / x->over % pieces;
    if (x->larger)
        return at < x->larger ? x->piece : x->piece - 1;
    return at < pieces - 1 ? x->piece : x->count - x->piece * (pieces - 1);
}

/* What a block makes, against others of its step. */
static double block_weight(const struct step *s, int64_t block)
{
    if (s->weights)
        return s->weights[block];
    for (int i = 0; i < s->arguments_count; i++) {
        const struct argument *a = &s->arguments[i];
        if (a->touch != TOUCH_PART || !(a->access & ACCESS_WRITE))
            continue;
        double weight = 1;
        for (int k = 0; k < PART_AXES && a->part->axis[k].count; k++)
            if (a->part->axis[k].piece)
                weight *= (double)piece_length(&a->part->axis[k], block);
        return weight;
    }
    return 1;
}

/* What a step takes in the form that it has here; a finer one, by its kernel's estimate, may take more. */
static double cycles_of(const struct balance *b, const struct step *s)
{
    const struct step *usual = b->q->steps[s->index];
    double cycles = b->cycles[s->index];
    if (s == usual)
        return cycles;
    return cycles * s->group->kernel->cost(b->p, s->group) / usual->group->kernel->cost(b->p, usual->group);
}

static void clear(struct balance *b)
{
    for (int t = 0; t < b->threads; t++) {
        b->work[t] = 0;
        b->calls[t] = 0;
    }
}

/* work: of all threads together, in the usual form. */
static struct share shared(const struct balance *b, double work, int times)
{
    struct share all = { .fewest = b->calls[0], .mean = work / b->threads };
    for (int t = 0; t < b->threads; t++) {
        if (b->work[t] > all.busiest)
            all.busiest = b->work[t];
        if (b->calls[t] > all.most)
            all.most = b->calls[t];
        if (b->calls[t] < all.fewest)
            all.fewest = b->calls[t];
    }
    all.fewest *= times;
    all.most *= times;
    return all;
}

static struct cnn_worker worker_of(const struct balance *b, int thread)
{
    return (struct cnn_worker){ .number = thread, .count = b->threads };
}

static void add_images(struct balance *b, const struct phase *f)
{
    int batch = b->p->batch, all = f->groups ? f->groups : batch, turn = f->groups ? 1 : f->images;
    for (int t = 0; t < b->threads; t++) {
        struct cnn_worker w = worker_of(b, t);
        int count = (cnn_end(&w, all, turn) - cnn_first(&w, all, turn)) * (batch / all);
        for (int i = 0; i < f->steps_count && count > 0; i++) {
            b->work[t] += cycles_of(b, f->steps[i]) * count / batch;
            b->calls[t] += (count + f->steps[i]->images - 1) / f->steps[i]->images;
        }
    }
}

static void add_block(struct balance *b, int thread, const struct phase *f, const struct loop *loop, const double *all,
                      int64_t block)
{
    for (int i = 0; i < loop->count; i++) {
        const struct step *s = f->steps[loop->first + i];
        b->work[thread] += cycles_of(b, s) * block_weight(s, block) / all[i];
        b->calls[thread]++;
    }
}

static void add_blocks(struct balance *b, const struct phase *f, const struct loop *loop)
{
    double *all = arena_array(b->p->arena, (size_t)loop->count, sizeof *all);
    for (int i = 0; i < loop->count; i++)
        for (int64_t k = 0; k < loop->blocks; k++)
            all[i] += block_weight(f->steps[loop->first + i], k);
    if (loop->blocks == 1) {
        add_block(b, loop->thread % b->threads, f, loop, all, 0);
        return;
    }
    int blocks = (int)loop->blocks;
    for (int t = 0; t < b->threads; t++) {
        struct cnn_worker w = worker_of(b, t);
        int run = loop->run ? cnn_run(&w, blocks, loop->run) : 0;
        int first = run ? t * run : cnn_first(&w, blocks, 1), end = run ? blocks : cnn_end(&w, blocks, 1);
        for (int k = first; k < end; k = run ? cnn_next(&w, k, run) : k + 1)
            add_block(b, t, f, loop, all, k);
    }
}

static struct share share_of_phase(struct balance *b, const struct phase *f)
{
    const struct turns t = f->finer ? plan_turns(b->p, f) : (struct turns){ .turn = 1, .finer = 1 };
    const struct cnn_worker w = worker_of(b, 0);
    double work = 0;
    for (int i = 0; i < f->steps_count; i++)
        work += b->cycles[f->steps[i]->index];
    if (f->finer && cnn_finer(&w, t.count, t.turn, t.finer))
        f = f->finer;
    clear(b);
    if (f->split == SPLIT_IMAGES)
        add_images(b, f);
    for (int i = 0; f->split == SPLIT_BLOCKS && i < f->loops_count; i++)
        add_blocks(b, f, &f->loops[i]);
    return shared(b, work, f->repeat ? f->repeat : 1);
}

/* Where losses are numbers: what was updated early is not updated again. */
static struct share share_of_update(struct balance *b)
{
    const struct update *u = &b->p->update;
    double work = 0;
    clear(b);
    for (int i = 0; i < u->ranges_count; i++) {
        const struct update_range *r = &u->ranges[i];
        if (r->early || r->matrix)
            continue;
        for (int t = 0; t < b->threads; t++) {
            struct cnn_worker w = worker_of(b, t);
            int first = cnn_first(&w, (int)r->blocks, 1), end = cnn_end(&w, (int)r->blocks, 1);
            int64_t from = r->begin + first * u->block, to = r->begin + end * u->block;
            double cycles = end > first ? update_cycles(b->p, (to < r->end ? to : r->end) - from) : 0;
            b->work[t] += cycles;
            work += cycles;
            b->calls[t] += end > first ? end - first : 0;
        }
    }
    return shared(b, work, 1);
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void print_share(const struct share *s, const char *what, FILE *out)
{
    fprintf(out, "%.4g, %.4g, %.2f; ", s->busiest * 1e-6, s->mean * 1e-6, s->busiest > 0 ? s->mean / s->busiest : 1);
    if (s->fewest < s->most)
        fprintf(out, "%" PRId64 " to ", s->fewest);
    fprintf(out, "%" PRId64 " calls a thread; %s\n", s->most, what);
}

/* The step that takes most of a phase. */
static const char *most_of(const struct balance *b, const struct phase *f)
{
    const struct step *most = f->steps[0];
    for (int i = 1; i < f->steps_count; i++)
        if (b->cycles[f->steps[i]->index] > b->cycles[most->index])
            most = f->steps[i];
    return arena_printf(b->p->arena, "%s (%s)", most->group->main->name, most->what);
}

static void sum_up(struct share *all, const struct share *s)
{
    all->busiest += s->busiest;
    all->mean += s->mean;
}

static double meeting_cycles(const struct plan *p, int threads)
{
    const struct costs *c = p->target->costs;
    return threads == 1 ? 0 : c->barrier + c->barrier_more * (threads - 2);
}

static void dump_program_shares(const struct plan *p, const struct program *q, int threads, const char *name, FILE *out)
{
    struct balance b = { .p = p, .q = q, .threads = threads };
    struct share all = { 0 };
    int meetings = 2;           /* to begin, and in the end */
    b.cycles = arena_array(p->arena, (size_t)q->steps_count + 1, sizeof *b.cycles);
    b.work = arena_array(p->arena, (size_t)threads, sizeof *b.work);
    b.calls = arena_array(p->arena, (size_t)threads, sizeof *b.calls);
    for (int i = 0; i < q->groups_count; i++)
        share_out(&b, q->groups[i]);
    fprintf(out, "%s: work of %d thread%s (Mcycles of the busiest, of the mean, their ratio; most of it)\n", name,
            threads, threads == 1 ? "" : "s");
    for (int i = 0; i < q->phases_count; i++) {
        struct share s = share_of_phase(&b, &q->phases[i]);
        fprintf(out, "  phase %d: ", i);
        print_share(&s, most_of(&b, &q->phases[i]), out);
        sum_up(&all, &s);
        meetings += q->phases[i].repeat ? q->phases[i].repeat : 1;
    }
    if (q->training && p->update.optimizer) {
        struct share s = share_of_update(&b);
        fprintf(out, "  update: ");
        print_share(&s, p->update.early ? "what was not updated early" : "all parameters", out);
        sum_up(&all, &s);
        meetings += p->update.clip_norm > 0 ? 3 : 2;
    }
    double each = meeting_cycles(p, threads), busiest = all.busiest + meetings * each;
    fprintf(out, "  %d meetings of all threads, %.4g each: %.4g\n", meetings, each * 1e-6, meetings * each * 1e-6);
    fprintf(out, "  all: %.4g, %.4g, efficiency %.3f\n", busiest * 1e-6, all.mean * 1e-6,
            busiest > 0 ? all.mean / busiest : 1);
}

void plan_dump_shares(const struct plan *p, int threads, FILE *out)
{
    if (p->train.graph)
        dump_program_shares(p, &p->train, threads, "training", out);
    dump_program_shares(p, &p->use, threads, "use", out);
}
