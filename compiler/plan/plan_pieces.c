/* plan_pieces.c - the pieces in which gradients leave a step whose batch is taken in shares.
 *
 * Requires: the phases of training, the places of parameters.
 * Ensures: pieces are ranges of the flat vector of parameters that lie apart and together make all of it, in the order
 * of the phases after which no step writes to them.
 *
 * Backward passes end where the vector begins, so neighbours are complete at about the same time.  A piece should be
 * small against the whole, of which the last piece has nothing to hide behind, and large against what a message
 * costs. */
#include <stdlib.h>

#include "plan/plan_parts.h"

enum { PIECES = 8, PIECE_LEAST = 256 << 10, PIECE_MOST = 4 << 20 };

/* Elements of a piece, about. */
static int64_t piece_size(const struct plan *p)
{
    int64_t bytes = p->params_stored * p->real_size / PIECES;
    return (bytes < PIECE_LEAST ? PIECE_LEAST : bytes > PIECE_MOST ? PIECE_MOST : bytes) / p->real_size;
}

/* The last phase that writes to each parameter's gradient, by its number. */
static int *last_writes(const struct plan *p)
{
    int *last = arena_array(p->arena, (size_t)p->train.graph->params_count + 1, sizeof *last);
    for (int i = 0; i < p->train.steps_count; i++) {
        const struct step *s = p->train.steps[i];
        for (int k = 0; k < s->arguments_count; k++) {
            const struct argument *a = &s->arguments[k];
            if (a->kind == ARGUMENT_TENSOR && (a->access & ACCESS_WRITE) && a->tensor->role == TENSOR_PARAM_GRADIENT
                && s->phase > last[a->tensor->param->id])
                last[a->tensor->param->id] = s->phase;
        }
    }
    return last;
}

static void add_piece(struct plan *p, int64_t begin, int64_t end, int phase)
{
    const struct piece piece = { begin, end, phase };
    if (end > begin)
        LIST_ADD(p->arena, p->pieces, p->pieces_count, p->pieces_capacity, piece);
}

/* What is too large for one goes in several. */
static void add_pieces(struct plan *p, int64_t begin, int64_t end, int phase)
{
    int64_t most = piece_size(p), count = (end - begin + most - 1) / most;
    int64_t each = count ? plan_round((end - begin + count - 1) / count, 64 / p->real_size) : 0;
    for (int64_t to = end; to > begin; to -= each)
        add_piece(p, to - each > begin ? to - each : begin, to, phase);
}

static int by_phase(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    return x->phase != y->phase ? (x->phase < y->phase ? -1 : 1) : (x->begin < y->begin) - (x->begin > y->begin);
}

void plan_pieces(struct plan *p)
{
    const struct graph *g = p->train.graph;
    const int *last = last_writes(p);
    int64_t most = piece_size(p), end = p->params_stored, begin = end;
    int phase = 0;
    for (int i = g->params_count - 1; i >= 0; i--) {
        if (g->params[i]->role == CNN_STATISTIC)
            continue;
        /* where this one would make it too large it begins another */
        if (end - p->params[i].offset > most && begin < end) {
            add_pieces(p, begin, end, phase);
            end = begin;
            phase = 0;
        }
        begin = p->params[i].offset;
        phase = last[i] > phase ? last[i] : phase;
    }
    add_pieces(p, 0, end, phase);
    if (p->pieces_count)
        qsort(p->pieces, (size_t)p->pieces_count, sizeof *p->pieces, by_phase);
}
