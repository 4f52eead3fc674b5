/* plan_steps.c - what kernels plan with: steps, buffers, scratch, and what was decided before they are asked. */
#include "steps/kernel.h"

struct step *plan_step(struct plan *p, struct program *q, struct group *g, int part, enum split split, int64_t blocks,
                       const char *what, int64_t flops)
{
    struct step *s = arena_alloc(p->arena, sizeof *s);
    *s = (struct step){ .group = g, .index = q->steps_count, .part = part, .split = split, .blocks = blocks,
                       .images = 1, .what = what, .flops = flops };
    LIST_ADD(p->arena, q->steps, q->steps_count, q->steps_capacity, s);
    return s;
}

const char *plan_way(const struct group *g)
{
    return g->main->backward ? "data gradient" : "forward";
}

struct buffer *plan_buffer(struct plan *p, struct program *q, const char *name, const char *type, int64_t bytes)
{
    struct buffer *b = arena_alloc(p->arena, sizeof *b);
    *b = (struct buffer){ .name = name, .index = q->buffers_count, .type = type, .bytes = bytes };
    LIST_ADD(p->arena, q->buffers, q->buffers_count, q->buffers_capacity, b);
    return b;
}

void plan_scratch(struct plan *p, int64_t bytes)
{
    /* an odd number of cache lines between threads would not matter; whole pages keep them apart */
    bytes = plan_round(bytes, 4096);
    if (bytes > p->scratch_bytes)
        p->scratch_bytes = bytes;
}

bool plan_splits_image(const struct plan *p, double cycles)
{
    return p->batch == 1 && cycles >= p->target->costs->worth_a_barrier;
}

double plan_barrier_cycles(const struct plan *p, int barriers)
{
    const struct costs *c = p->target->costs;
    return p->batch == 1 ? (double)barriers * c->barrier * c->barrier_threads : 0;
}

double plan_meeting_cycles(const struct plan *p, int meetings)
{
    const struct costs *c = p->target->costs;
    return (double)meetings * c->barrier * c->barrier_threads;
}

int plan_image_groups(const struct plan *p)
{
    enum { MOST = 16, FEW = 8, WORTH = 100000000 };
    int images = p->image_flops > WORTH ? 2 : 4;
    int groups = MOST, few = p->batch < FEW ? p->batch : FEW;
    while (groups > 0 && p->batch % (images * groups))
        groups--;
    while (few > 1 && p->batch % few)
        few--;
    return groups > few ? groups : few;
}

int group_nodes(const struct group *g, const struct node **nodes, int most)
{
    int count = 0;
    nodes[count++] = g->main;
    for (int i = 0; i < g->chain_count && count < most; i++)
        nodes[count++] = g->chain[i];
    if (g->companion && count < most)
        nodes[count++] = g->companion;
    return count;
}

const char *plan_element_type(const struct plan *p, const struct tensor *t)
{
    return t->element == ELEMENT_U8 ? "uint8_t" : t->element == ELEMENT_I32 ? "int32_t" : p->real;
}

const struct tensor_place *plan_place(const struct program *q, const struct tensor *t)
{
    return &q->places[t->id];
}

bool plan_outlasts(const struct program *q, const struct tensor *t, double bytes)
{
    const struct tensor_place *place = plan_place(q, t);
    return place->region == REGION_MEMORY && t->element == ELEMENT_REAL && (double)place->bytes > bytes;
}

bool plan_has_together(const struct program *q)
{
    for (int i = 0; q->together && i < q->graph->nodes_count; i++)
        if (q->together[i])
            return true;
    return false;
}

const struct tensor *plan_root(const struct program *q, const struct tensor *t)
{
    while (q->places[t->id].base)
        t = q->places[t->id].base;
    return t;
}

bool plan_lies_inside(const struct program *q, const struct tensor *part, const struct tensor *whole, int channel)
{
    return plan_root(q, part) == plan_root(q, whole) &&
           plan_place(q, part)->within == plan_place(q, whole)->within + channel;
}

const struct tensor *plan_adds_to(const struct node *n)
{
    bool passes = n->op == OP_batchnorm_pass_grad || n->op == OP_batchnorm_activation_pass_grad;
    return passes ? n->in[5] : NULL;
}

bool plan_lies_over(const struct program *q, const struct tensor *sum)
{
    const struct tensor *before = sum->producer ? plan_adds_to(sum->producer) : NULL;
    return before && sum == sum->producer->out[2] && plan_root(q, before) == plan_root(q, sum);
}

int64_t plan_round(int64_t value, int64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

int plan_alignment(const struct plan *p)
{
    return p->target->portable ? 16 : 64;
}

int64_t plan_aligned(const struct plan *p, int64_t bytes)
{
    return plan_round(bytes, plan_alignment(p));
}

/* The fewest panels of at most `most` vectors, then the narrowest that still cover the channels.  With few registers
 * two vectors leave the most rows, but a third is better off beside them than alone in a tile that mostly loads. */
int plan_panel(const struct plan *p, int channels)
{
    int vectors = (channels + p->lanes - 1) / p->lanes;
    int most = p->target->registers >= 32 ? 4 : vectors == 3 || vectors == 5 ? 3 : 2;
    int panels = (vectors + most - 1) / most;
    return (vectors + panels - 1) / panels * p->lanes;
}

int plan_columns(const struct plan *p, int channels)
{
    int vectors = (channels + p->lanes - 1) / p->lanes;
    return (vectors <= 3 ? vectors : vectors % 2 && vectors % 3 == 0 ? 3 : 2) * p->lanes;
}

const struct param_place *plan_param(const struct plan *p, const struct tensor *param)
{
    return &p->params[param->param->id];
}

/* ---- what is updated ------------------------------------------------------------------------- */

bool plan_trains(const struct param *param)
{
    return param->trainable && param->role != CNN_STATISTIC;
}

bool plan_updates_early(const struct plan *p, const struct param *param)
{
    return p->update.optimizer && !p->model->share && plan_trains(param) && p->update.clip_norm == 0 &&
        !p->update.optimizer->matrices;
}

/* Whether the data gradient, if any, comes before g. */
static bool is_last_reader(const struct program *q, const struct group *g)
{
    bool after = false;
    for (int i = 0; i < q->groups_count; i++) {
        const struct group *d = q->groups[i];
        after |= d == g;
        if (d->main->op == OP_conv2d_data_grad && d->main->in[1]->param == g->main->out[0]->param)
            return !after;
    }
    return true;
}

const struct param *plan_updated_by(const struct plan *p, const struct program *q, const struct group *g)
{
    const struct param *param = g->main->out[0]->param;
    bool large = (double)p->params[param->id].stored * p->real_size > p->target->l2_bytes;
    return large && plan_updates_early(p, param) && is_last_reader(q, g) ? param : NULL;
}
