/* conv2d_pooled_weight_grad.c - the gradient of the weights of a convolution whose result goes into a maxpool2d.
 *
 * Of each window only the element that won has a gradient, so dy is nearly all zeros: a quarter of it is left behind
 * 2x2 windows.  This kernel never looks at dy, but at the gradient of the pooled map and the taps that won: for each
 * output it lists where in x the windows of those elements lie, and the sums of all its weights, rows of (kw, c), stay
 * in registers while the list is worked off.
 *
 * The sums lie as output x kh x (kw, c), whole vectors each row, one set for each group of images; a second step adds
 * them in the order of the groups and turns them over into the panels of the weights. */
#include <inttypes.h>

#include "kernels/conv_geometry.h"
#include "kernels/sums.h"
#include "kernels/together.h"

enum { TAPS_MOST = 16, LISTED = 256 };

struct pooled {
    struct conv_geometry s;
    const struct window *pool;
    const struct tensor *x, *index, *dy;        /* dy: of the pooled map */
    int rows, columns;          /* of the pooled map */
    int listed_rows, listed;    /* of it, and its elements, that are listed before they are worked off */
    int row, vectors, stored_row;       /* (kw, c); in vectors, and so many elements */
    int64_t output;             /* elements of the sums of an output */
    int outputs;                /* padded to whole panels */
    struct row_split kh, v;     /* tiles of the sums of an output: rows, vectors */
    int groups;                 /* of images */
    bool copies;                /* x, with zeros around it */
    int64_t turned, copy;       /* elements of scratch: of images taken apart, of the copy; with a vector of zeros
                                 * behind them for the last row, which may end within a vector */
};

static const struct node *pool_before(const struct node *n)
{
    const struct node *pool = n->in[1]->producer;
    return pool && pool->op == OP_maxpool2d_grad ? pool : NULL;
}

/* As many sums as leave registers for a number of dy and a vector of x. */
static void choose_tiles(const struct plan *p, struct pooled *g)
{
    int most = p->target->registers - 3 - (p->target->has_fma ? 0 : 1);
    g->v = split_rows(g->vectors, most);
    g->kh = split_rows(g->s.window.kh, most / g->v.large);
}

static int groups_of(const struct plan *p, const struct group *g)
{
    return g->together ? together_groups(p) : plan_image_groups(p);
}

static struct pooled pooled_of(const struct plan *p, const struct group *group)
{
    const struct node *n = group->main, *pool = pool_before(n);
    struct pooled g = { .s = conv_geometry_of(p, n), .pool = &pool->attr.window, .x = n->in[0], .index = pool->in[0],
                        .dy = pool->in[1] };
    int panel = g.s.weight->panel;
    g.rows = g.dy->shape.h, g.columns = g.dy->shape.w;
    g.listed_rows = g.columns >= LISTED ? 1 : LISTED / g.columns < g.rows ? LISTED / g.columns : g.rows;
    g.listed = g.listed_rows * g.columns;
    g.row = g.s.window.kw * g.s.c;
    g.vectors = (g.row + p->lanes - 1) / p->lanes;
    g.stored_row = g.vectors * p->lanes;
    g.output = (int64_t)g.s.window.kh * g.stored_row;
    g.outputs = (g.s.o + panel - 1) / panel * panel;
    choose_tiles(p, &g);
    g.groups = groups_of(p, group);
    if (group->together && lies_together(group->program, g.x))
        g.turned = ((int64_t)g.s.h * g.s.w * g.s.c + 1) * p->lanes;
    g.copies = g.s.padded || (g.row % p->lanes && !g.turned);
    g.copy = g.copies ? plan_round((int64_t)g.s.ph * g.s.pw * g.s.c, p->lanes) + p->lanes : 0;
    return g;
}

/* Nothing between pooling and convolution, whose rows of the window are rows of x; sums of all weights that stay in the
 * second-level cache. */
static bool can(const struct plan *p, const struct node *n)
{
    const struct node *pool = pool_before(n);
    const struct window *w = &n->attr.window;
    int64_t sums = (int64_t)w->kh * plan_round((int64_t)w->kw * n->in[0]->shape.c, p->lanes) * n->in[1]->shape.c;
    return pool && pool->attr.window.kh * pool->attr.window.kw <= TAPS_MOST && w->dilation_w == 1 && w->pad_top >= 0 &&
           w->pad_left >= 0 && (double)(sums * p->real_size) <= p->target->l2_bytes / 2;
}

/* Of images one by one none may lie together.  Where there is one group of images, as in a batch of one, it would have
 * no rows to be turned over. */
static bool applicable(const struct plan *p, const struct group *g)
{
    if (!can(p, g->main) || g->companion || groups_of(p, g) == 1)
        return false;
    const struct node *pool = pool_before(g->main);
    return g->together || (!lies_together(g->program, g->main->in[0]) && !lies_together(g->program, pool->in[0]) &&
                           !lies_together(g->program, pool->in[1]));
}

/* Beside the plain kernel alone, which serves where the gradient of a bias wants all of dy. */
static bool together(const struct plan *p, const struct node *n)
{
    return can(p, n) && together_weight_grad(p, n);
}

static bool apart(const struct node *n, const struct tensor *t)
{
    (void)n;
    (void)t;
    return true;
}

static bool by_image(const struct plan *p, const struct group *g)
{
    (void)p;
    (void)g;
    return true;
}

/* An element of the pooled map is listed once, and worked off in each tile: a load for each vector of sums, two for
 * half of them where rows begin anywhere in a line, from the first-level cache if the map stays there; no sum is added
 * to before it is ready. */
static double tile_cycles(const struct plan *p, const struct pooled *g, int rows, int vectors)
{
    const struct costs *c = p->target->costs;
    double map = (double)g->s.ph * g->s.pw * g->s.c * p->real_size, loads = rows * vectors;
    if (g->s.c % p->lanes)
        loads *= 1.5;
    double cycles = (loads + 2) / c->loads, entries = (double)g->rows * g->columns;
    if (map > p->target->l1_bytes * 3 / 4)
        cycles += loads * p->target->vector_bytes / c->second_rate;
    if (cycles < c->fma_latency)
        cycles = c->fma_latency;
    return entries * cycles + c->tile * g->rows / g->listed_rows + c->accumulator * rows * vectors;
}

static double cost(const struct plan *p, const struct group *group)
{
    struct pooled g = pooled_of(p, group);
    const struct costs *c = p->target->costs;
    double cycles = c->gathered * 1.5 * g.rows * g.columns;     /* listed: two are read, two written */
    for (int i = 0; i < 4; i++) {
        int rows = g.kh.large - i / 2, vectors = g.v.large - i % 2;
        int count = (i / 2 ? g.kh.small_count : g.kh.large_count) * (i % 2 ? g.v.small_count : g.v.large_count);
        if (count)
            cycles += count * tile_cycles(p, &g, rows, vectors);
    }
    cycles *= (double)g.s.o * p->batch;
    if (g.copies)
        cycles += together_copy_cycles(p, g.copy);
    if (g.turned)
        cycles += together_turn_cycles(p, (int64_t)g.s.h * g.s.w * g.s.c);
    double sums = (double)g.outputs * (double)g.output;
    return cycles + 2.0 * g.groups * sums * p->real_size / c->second_rate + c->turned_together * sums;
}

enum { PART_SUM, PART_TURN };

/* The weights of as many outputs as a vector has. */
static struct part turned_part(const struct plan *p, const struct pooled *g)
{
    int panel = g->s.weight->panel;
    return (struct part){ { { .count = g->outputs / panel, .step = g->s.k * panel, .piece = 1,
                              .over = panel / p->lanes },
                            { .count = g->s.k, .step = panel },
                            { .count = panel, .step = 1, .piece = p->lanes, .over = 1 } } };
}

static void plan(struct plan *p, struct program *q, struct group *group)
{
    struct pooled g = pooled_of(p, group);
    struct step *sum = plan_step(p, q, group, PART_SUM, SPLIT_IMAGES, 0, "weight gradient",
                                 2 * g.s.k * g.s.o * g.s.oh * g.s.ow * p->batch);
    struct step *turn = plan_step(p, q, group, PART_TURN, SPLIT_BLOCKS, g.outputs / p->lanes, "weight gradient", 0);
    int64_t row = g.outputs * g.output;
    struct buffer *sums = plan_buffer(p, q, arena_printf(p->arena, "%s_partial", group->main->out[0]->name), p->real,
                                      g.groups * row * p->real_size);
    sum->groups = g.groups;
    sum->images = group->together ? group->together : 1;
    step_takes(p, sum, ACCESS_READ, g.x);
    step_takes(p, sum, ACCESS_READ, g.dy);
    step_takes(p, sum, ACCESS_READ, g.index);
    step_uses_cleared(p, sum, sums, row);
    if (group->together)
        step_is_told(p, sum, ARGUMENT_LEFT);
    if (g.turned + g.copy)
        step_scratch(p, sum, (g.turned + g.copy) * p->real_size);
    turn->beside = true;
    step_is_told(p, turn, ARGUMENT_BLOCK);
    step_uses(p, turn, ACCESS_READ, sums, TOUCH_ALL);
    step_takes_part(p, turn, ACCESS_WRITE, group->main->out[0], turned_part(p, &g));
}

/* ---- the sums ---------------------------------------------------------------------------------------------------- */

/* The sums of `rows` rows of `vectors` vectors, over all that is listed. */
static const char *emit_listed(struct emitter *e, const struct pooled *g, int rows, int vectors)
{
    const char *real = e->plan->real;
    int lanes = e->plan->lanes;
    int64_t line = (int64_t)g->s.window.dilation_h * g->s.pw * g->s.c;
    emit_function(e, "int count, const int *at, const %s *dy, const %s *x, %s *restrict sums", real, real, real);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < vectors; j++)
            cw_line(e->w, "v sum%d_%d = v_load(sums%s);", r, j,
                    text_offset(e, (int64_t)r * g->stored_row + j * lanes));
    cw_open(e->w, "for (int i = 0; i < count; i++) {");
    cw_line(e->w, "const %s *const from = x + at[i];", real);
    cw_line(e->w, "const v factor = v_broadcast(dy + i);");
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < vectors; j++)
            cw_line(e->w, "sum%d_%d = v_fma(factor, v_load(from%s), sum%d_%d);", r, j,
                    text_offset(e, r * line + j * lanes), r, j);
    cw_close(e->w, "}");
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < vectors; j++)
            cw_line(e->w, "v_store(sums%s, sum%d_%d);", text_offset(e, (int64_t)r * g->stored_row + j * lanes), r,
                    j);
    return emit_end_shared(e, text_printf(e, "listed_%dx%d", rows, vectors),
                           text_printf(e, "Sums (%d x %d vectors) of the windows of x that are listed, each times its "
                                          "number of dy.", rows, vectors));
}

/* All tiles of an output's sums. */
static void emit_tiles(struct emitter *e, const struct pooled *g)
{
    int lanes = e->plan->lanes;
    int64_t line = (int64_t)g->s.window.dilation_h * g->s.pw * g->s.c;
    for (int i = 0; i < 4; i++) {
        int rows = g->kh.large - i / 2, vectors = g->v.large - i % 2;
        int rows_count = i / 2 ? g->kh.small_count : g->kh.large_count;
        int vectors_count = i % 2 ? g->v.small_count : g->v.large_count;
        int64_t kh = i / 2 ? (int64_t)g->kh.large * g->kh.large_count : 0;
        int64_t j = i % 2 ? (int64_t)g->v.large * g->v.large_count * lanes : 0;
        const char *from = "", *to = "";
        if (!rows_count || !vectors_count)
            continue;
        if (rows_count > 1) {
            loop_open(e, "r", 0, rows_count, 1);
            from = text_printf(e, " + r * %" PRId64, rows * line);
            to = text_printf(e, " + r * %" PRId64, (int64_t)rows * g->stored_row);
        }
        if (vectors_count > 1) {
            loop_open(e, "t", 0, vectors_count, 1);
            from = text_printf(e, "%s + t * %d", from, vectors * lanes);
            to = text_printf(e, "%s + t * %d", to, vectors * lanes);
        }
        cw_line(e->w, "%s(count, at, numbers, from%s%s, sums%s%s);", emit_listed(e, g, rows, vectors), from,
                text_offset(e, kh * line + j), to, text_offset(e, kh * g->stored_row + j));
        if (vectors_count > 1)
            cw_close(e->w, "}");
        if (rows_count > 1)
            cw_close(e->w, "}");
    }
}

/* Lists the elements of `listed_rows` rows of the pooled map whose gradient is not 0, for output `o`: where each one's
 * window of x begins, and the gradient. */
static void emit_list(struct emitter *e, const struct pooled *g, const char *index_at, const char *dy_at)
{
    const struct window *w = &g->s.window, *k = g->pool;
    int64_t line = (int64_t)w->stride_h * g->s.pw * g->s.c, pixel = (int64_t)w->stride_w * g->s.c;
    cw_line(e->w, "int count = 0;");
    if (g->listed_rows < g->rows)
        cw_open(e->w, "for (int oy = first; oy < first + %d && oy < %d; oy++) {", g->listed_rows, g->rows);
    else
        loop_open(e, "oy", 0, g->rows, 1);
    loop_open(e, "ox", 0, g->columns, 1);
    cw_line(e->w, "const int to = (oy * %d + ox) * %d + o;", g->columns, g->s.o);
    cw_line(e->w, "const %s number = dy[%s];", e->plan->real, dy_at);
    cw_line(e->w, "at[count] = oy * %" PRId64 " + ox * %" PRId64 " + taps[index[%s]];", k->stride_h * line,
            k->stride_w * pixel, index_at);
    cw_line(e->w, "numbers[count] = number;");
    cw_line(e->w, "count += number != 0;");
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

/* Of the image whose x is `from`. */
static void emit_image(struct emitter *e, const struct pooled *g, const char *index_at, const char *dy_at)
{
    const char *real = e->plan->real;
    loop_open(e, "o", 0, g->s.o, 1);
    cw_line(e->w, "%s *const sums = dw + o * %" PRId64 ", numbers[%d];", real, g->output, g->listed);
    cw_line(e->w, "int at[%d];", g->listed);
    if (g->listed_rows < g->rows)
        cw_open(e->w, "for (int first = 0; first < %d; first += %d) {", g->rows, g->listed_rows);
    emit_list(e, g, index_at, dy_at);
    emit_tiles(e, g);
    if (g->listed_rows < g->rows)
        cw_close(e->w, "}");
    cw_close(e->w, "}");
}

/* Where in x, seen from the first tap of a window of the pooling, the window of each tap begins. */
static void emit_taps(struct emitter *e, const struct pooled *g)
{
    const struct window *w = &g->s.window, *k = g->pool;
    int64_t line = (int64_t)w->stride_h * g->s.pw * g->s.c, pixel = (int64_t)w->stride_w * g->s.c;
    struct text taps = { .arena = e->arena };
    for (int t = 0; t < k->kh * k->kw; t++)
        text_add(&taps, "%s%" PRId64, t ? ", " : "",
                 (t / k->kw - k->pad_top) * line + (t % k->kw - k->pad_left) * pixel);
    cw_line(e->w, "static const int taps[%d] = { %s };", k->kh * k->kw, text_of(&taps));
}

static void emit_zeros_behind(struct emitter *e, const char *what, int64_t elements, int64_t all)
{
    cw_line(e->w, "memset(%s + %" PRId64 ", 0, sizeof(%s) * %" PRId64 ");", what, elements, e->plan->real,
            all - elements);
}

static void emit_copy(struct emitter *e, const struct pooled *g, const char *from)
{
    const struct window *w = &g->s.window;
    emit_padded_copy(e, from, "copy", g->s.h, g->s.w, g->s.c, w->pad_top, w->pad_left, g->s.ph, g->s.pw);
    emit_zeros_behind(e, "copy", (int64_t)g->s.ph * g->s.pw * g->s.c, g->copy);
}

static const char *emit_sum(struct emitter *e, const struct step *step)
{
    const struct group *group = step->group;
    struct pooled g = pooled_of(e->plan, group);
    const char *real = e->plan->real, *index_at = "to", *dy_at = "to", *from = "x";
    int64_t image = (int64_t)g.s.h * g.s.w * g.s.c, pooled = tensor_elements(g.dy);
    emit_function(e, "const %s *x, const %s *dy, const uint8_t *index, %s *restrict dw%s%s", real, real, real,
                  group->together ? ", int left" : "",
                  g.turned + g.copy ? text_printf(e, ", %s *restrict scratch", real) : "");
    emit_taps(e, &g);
    if (g.copies)
        cw_line(e->w, "%s *const copy = scratch%s;", real, text_offset(e, g.turned));
    if (g.turned) {
        emit_turn_out(e, "x", "scratch", image);
        emit_zeros_behind(e, "scratch", image * e->plan->lanes, g.turned);
        from = "scratch";
    }
    if (group->together) {
        cw_open(e->w, "for (int image = 0; image < V_LANES && image < left; image++) {");
        from = text_printf(e, "(%s + image * %" PRId64 ")", from, image);
        index_at = lies_together(group->program, g.index) ? "to * V_LANES + image"
                                                          : text_printf(e, "image * %" PRId64 " + to", pooled);
        dy_at = lies_together(group->program, g.dy) ? "to * V_LANES + image"
                                                    : text_printf(e, "image * %" PRId64 " + to", pooled);
    }
    if (g.copies) {
        emit_copy(e, &g, from);
        from = "copy";
    }
    cw_line(e->w, "const %s *const from = %s;", real, from);
    emit_image(e, &g, index_at, dy_at);
    if (group->together)
        cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "%s_pooled_weight_grad_%dx%dx%d_to_%d", conv_name(e, &g.s), g.s.c, g.s.h, g.s.w,
                                   g.s.o),
                    text_printf(e, "%s\nOf each window of the pooling only the element that won counts: dy is the gradient of the "
                                   "pooled map, index tells who won.", emit_comment(e, step)));
}

/* ---- the gradient ------------------------------------------------------------------------------------------------ */

static const char *emit_turn(struct emitter *e, const struct step *step)
{
    struct pooled g = pooled_of(e->plan, step->group);
    const char *real = e->plan->real;
    int lanes = e->plan->lanes, panel = g.s.weight->panel, tail = g.row % lanes, per_panel = panel / lanes;
    int64_t stored = g.outputs * g.output;
    emit_function(e, "int b, const %s *partial, %s *restrict dw", real, real);
    cw_line(e->w, "partial += (size_t)b * %" PRId64 ";", lanes * g.output);
    if (per_panel > 1)
        cw_line(e->w, "dw += (size_t)(b / %d) * %" PRId64 " + b %% %d * V_LANES;", per_panel, g.s.k * panel,
                per_panel);
    else
        cw_line(e->w, "dw += (size_t)b * %" PRId64 ";", g.s.k * panel);
    loop_open(e, "kh", 0, g.s.window.kh, 1);
    loop_open(e, "j", 0, g.stored_row, lanes);
    cw_line(e->w, "%s sums[V_LANES * V_LANES]%s;  // (outputs, some of kw c)", real,
            tail ? ", turned[V_LANES * V_LANES]" : "");
    cw_open(e->w, "for (int o = 0; o < V_LANES; o++) {");
    cw_line(e->w, "const %s *const from = partial + (o * %d + kh) * %d + j;", real, g.s.window.kh, g.stored_row);
    emit_add_up(e, g.groups, stored, "from", "0", "sums", "o * V_LANES");
    cw_close(e->w, "}");
    cw_line(e->w, "%s *const to = dw + (kh * %d + j) * %d;", real, g.row, panel);
    if (tail) {
        cw_line(e->w, "v_turn(sums, V_LANES, turned, V_LANES);");
        cw_open(e->w, "for (int k = 0; k < V_LANES && j + k < %d; k++)", g.row);
        cw_line(e->w, "v_store(to + k * %d, v_load(turned + k * V_LANES));", panel);
        cw_close(e->w, "");
    } else {
        cw_line(e->w, "v_turn(sums, V_LANES, to, %d);", panel);
    }
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "turn_partial_%d_to_%d", g.s.c, g.s.o),
                    "Adds the partial sums of the image groups in their order, and turns them over into panels of "
                    "outputs.");
}

static const char *emit(struct emitter *e, const struct step *step)
{
    return step->part == PART_SUM ? emit_sum(e, step) : emit_turn(e, step);
}

const struct kernel kernel_conv2d_pooled_weight_grad = {
    .name = "pooled", .op = OP_conv2d_weight_grad, .applicable = applicable, .cost = cost, .plan = plan, .emit = emit,
    .by_image = by_image, .together = together, .apart = apart,
    .help = "only what a pooling behind the convolution lets through, sums of an output in registers",
};
