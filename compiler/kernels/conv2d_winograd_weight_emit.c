/* conv2d_winograd_weight_emit.c - the C of the gradient of weights by minimal filtering
 * (conv2d_winograd_weight_grad.c). */
#include <inttypes.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/conv2d_winograd_weight_grad.h"

/* ---- step 0: transforms of a block of images --------------------------------------------------------------------- */

/* Zeros for an image, or its part, that a smaller batch lacks. */
static void emit_clear(struct emitter *e, const struct winograd_weights *d, const struct winograd_values *s, int panels,
                       const char *values)
{
    int cleared = panels / d->parts;
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *c = &d->tiles.class[k];
        int rows = c->rows_v * c->rows_h;
        if (!c->count || !rows)
            continue;
        loop_open(e, "i", 0, c->count * cleared, 1);
        const char *image = "image";
        if (d->parts > 1)
            image = arena_printf(e->arena, "(%s + image)", text_times(e, "p", d->images));
        else if (panels > 1)
            image = arena_printf(e->arena, "(%s + image)",
                                 text_times(e, arena_printf(e->arena, "i %% %d", panels), d->images));
        cw_line(e->w, "memset(%s%s + %s * %" PRId64 " + %s * %d, 0, sizeof(%s) * %d);", values,
                text_offset(e, s->class_offset[k]), text_over(e, "i", cleared), s->stride[k], image, rows * s->width,
                e->plan->real, rows * s->width);
        cw_close(e->w, "}");
    }
}

/* The image's number among those of a block or call. */
static const char *image_text(const struct winograd_weights *d)
{
    return d->by_image && d->images == 1 ? "0" : "image";
}

/* The transform of one image, panel by panel; with parts that of panel `p`. */
static void emit_panels(struct emitter *e, const struct winograd_weights *d, struct winograd_transform *t, int channels,
                        int panel, const char *map, const char *values)
{
    struct panels s = product_panels(e->plan, channels, panel);
    if (s.whole) {
        t->channels = panel;
        t->tail = 0;
        if (d->parts == 1)
            loop_open(e, "p", 0, s.whole, 1);
        winograd_emit_image(e, t, arena_printf(e->arena, "%s + p * %d", map, panel), values,
                            text_plus(e, text_times(e, "p", d->images), image_text(d)), "0", "0");
        if (d->parts == 1)
            cw_close(e->w, "}");
    }
    if (s.last_vectors) {
        t->channels = channels - s.whole * panel;
        t->tail = s.last_tail;
        winograd_emit_image(e, t, text_plus(e, map, arena_printf(e->arena, "%d", s.whole * panel)), values,
                            text_plus(e, arena_printf(e->arena, "%d", s.whole * d->images), image_text(d)), "0", "0");
    }
}

/* db = the sum of dy over the pixels of an image, for `count` vectors from the channel `first` (C text) on. */
static void emit_bias_vectors(struct emitter *e, const struct winograd_weights *d, const char *first, int count,
                              int tail)
{
    int lanes = e->plan->lanes;
    char *sums = "v";
    for (int k = 0; k < count; k++)
        sums = arena_printf(e->arena, "%s%s sum%d = v_zero()", sums, k ? "," : "", k);
    cw_line(e->w, "%s;", sums);
    loop_open(e, "i", 0, (int64_t)d->s.oh * d->s.ow, 1);
    const char *at = text_plus(e, arena_printf(e->arena, "i * %d", d->s.o), first);
    for (int k = 0; k < count; k++)
        cw_line(e->w, "sum%d = v_add(sum%d, %s);", k, k,
                text_load(e, "dy", arena_printf(e->arena, "%s%s", at, text_offset(e, k * lanes)),
                          k == count - 1 ? tail : 0));
    cw_close(e->w, "}");
    for (int k = 0; k < count; k++)
        cw_line(e->w, "v_store(%s%s, sum%d);", text_plus(e, "db", first), text_offset(e, k * lanes), k);
}

/* The bias gradient of one image, four vectors at a time. */
static void emit_bias(struct emitter *e, const struct winograd_weights *d)
{
    int lanes = e->plan->lanes, vectors = (d->s.o + lanes - 1) / lanes, tail = d->s.o % lanes;
    int fours = (tail ? vectors - 1 : vectors) / 4, rest = vectors - fours * 4;
    if (fours > 1) {
        cw_open(e->w, "for (int o = 0; o < %d; o += %d) {", fours * 4 * lanes, 4 * lanes);
        emit_bias_vectors(e, d, "o", 4, 0);
        cw_close(e->w, "}");
    } else if (fours) {
        cw_open(e->w, "{");
        emit_bias_vectors(e, d, "0", 4, 0);
        cw_close(e->w, "}");
    }
    if (rest)
        emit_bias_vectors(e, d, arena_printf(e->arena, "%d", fours * 4 * lanes), rest, tail);
}

/* Of the step that is written. */
static struct winograd_weights weights_of(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d;
    winograd_weights_of(e->plan, g->main, g->kernel->number, &d);
    for (int i = 0; i < 2; i++)
        d.far[i] = winograd_reads_far(e->plan, g->program, g->main->in[i]);
    return d;
}

static struct winograd_transform transform_x(const struct winograd_weights *d)
{
    return (struct winograd_transform){ .kind = TRANSFORM_X, .tiles = &d->tiles, .values = &d->v, .pixel = d->s.c,
                                        .row = (int64_t)d->s.w * d->s.c, .h = d->s.h, .w = d->s.w,
                                        .top = d->s.window.pad_top, .left = d->s.window.pad_left, .far = d->far[0] };
}

static struct winograd_transform transform_dy(const struct winograd_weights *d)
{
    return (struct winograd_transform){ .kind = TRANSFORM_DY, .tiles = &d->tiles, .values = &d->m, .pixel = d->s.o,
                                        .row = (int64_t)d->s.ow * d->s.o, .far = d->far[1] };
}

static const char *emit_transforms(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d = weights_of(e, step);
    const char *real = e->plan->real;
    bool bias = g->companion != NULL;
    struct winograd_transform x = transform_x(&d), dy = transform_dy(&d);
    bool once = d.images == e->plan->batch;
    const char *sample = once ? "image" : "(first + image)";
    emit_function(e, "int b, %sint n, const %s *x, const %s *dy, %s *restrict x_values, %s *restrict dy_values%s",
                  once ? "" : "int first, ", real, real, real, real,
                  bias ? arena_printf(e->arena, ", %s *restrict db", real) : "");
    if (d.parts > 1)
        cw_line(e->w, "const int image = b / %d, p = b / 2 %% %d;", 2 * d.parts, d.parts);
    else
        cw_line(e->w, "const int image = b / 2;");
    cw_open(e->w, "if (b %% 2 == 0 && %simage < n) {", once ? "" : "first + ");
    cw_line(e->w, "x += (size_t)%s * %" PRId64 ";", sample, (int64_t)d.s.h * d.s.w * d.s.c);
    emit_panels(e, &d, &x, d.s.c, d.x_panel, "x", "x_values");
    cw_middle(e->w, once ? "} else if (image < n) {" : "} else if (first + image < n) {");
    cw_line(e->w, "dy += (size_t)%s * %" PRId64 ";", sample, (int64_t)d.s.oh * d.s.ow * d.s.o);
    emit_panels(e, &d, &dy, d.s.o, d.panel, "dy", "dy_values");
    if (bias) {
        cw_line(e->w, "db += %s * %" PRId64 ";", sample, d.db_stored);
        if (d.parts > 1)
            emit_bias_vectors(e, &d, arena_printf(e->arena, "p * %d", d.panel), d.panel / e->plan->lanes, 0);
        else
            emit_bias(e, &d);
    }
    cw_middle(e->w, "} else if (b % 2 == 0) {");
    emit_clear(e, &d, &d.v, d.x_panels, "x_values");
    cw_middle(e->w, "} else {");
    emit_clear(e, &d, &d.m, d.panels, "dy_values");
    cw_close(e->w, "}");
    const char *what = d.parts > 1 ? "a panel of an image" : "an image";
    const char *comment = arena_printf(e->arena, "%s\nBlock b transforms %s of a block of %d: x (even b) or dy "
                                       "(odd b). %s", emit_comment(e, step), what, d.images,
                                       winograd_tiles_text(e, &d.tiles, &d.s));
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_in_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o),
                    comment);
}

/* ---- step 1: products -------------------------------------------------------------------------------------------- */

/* ", pairs" and what a function of products is given for them: nothing where none are made. */
static const char *pairs_argument(const struct winograd_weights *d)
{
    return d->pairs ? ", pairs" : "";
}

/* dU of one position and panel in bfloat16: pairs of rows of b, then of each panel of inputs in a, which are
 * multiplied. */
static const char *emit_position_pairs(struct emitter *e, const struct winograd_weights *d, int64_t depth, int vectors,
                                       bool add)
{
    int channels = vectors * e->plan->lanes, whole = d->s.c / d->x_panel, rest = d->s.c % d->x_panel;
    struct product t = { .channels = channels, .panel = channels, .lines = 1, .length = d->x_panel, .a = "pairs",
                         .b = "columns", .c = "c", .at = "0" };
    t.tile = (struct tile){ .pairs = true, .a_row = 1, .a_k = d->x_panel, .b_k = channels,
                            .depth = bf16_pairs_of(depth),
                            .segments = 1, .c_row = d->panel, .accumulate = add };
    emit_function(e, "const float *a, const float *b, float *restrict c, bf16_pair *restrict pairs");
    cw_line(e->w, "bf16_pair *const columns = pairs + %" PRId64 ";", t.tile.depth * d->x_panel);
    cw_line(e->w, "bf16_rows(b, %d, columns, %" PRId64 ", %d);", d->panel, depth, channels);
    if (whole) {
        if (whole > 1) {
            loop_open(e, "q", 0, whole, 1);
            t.c = arena_printf(e->arena, "c + q * %d", d->x_panel * d->panel);
        }
        cw_line(e->w, "bf16_rows(a%s, %d, pairs, %" PRId64 ", %d);",
                whole > 1 ? arena_printf(e->arena, " + q * %" PRId64, depth * d->x_panel) : "", d->x_panel, depth,
                    d->x_panel);
        product_emit(e, &t);
        if (whole > 1)
            cw_close(e->w, "}");
    }
    if (rest) {
        int width = (int)plan_round(rest, e->plan->lanes);
        t.length = rest;
        t.tile.a_k = width;
        t.c = text_plus(e, "c", arena_printf(e->arena, "%d", whole * d->x_panel * d->panel));
        cw_line(e->w, "bf16_rows(a%s, %d, pairs, %" PRId64 ", %d);", text_offset(e, whole * depth * d->x_panel),
                d->x_panel, depth, width);
        product_emit(e, &t);
    }
    return emit_end(e, arena_printf(e->arena, "%s_bf16_%dx%" PRId64 "x%d", add ? "add_product" : "product", d->s.c,
                                    depth, channels),
                    arena_printf(e->arena,
                                 "C %s A^T B over the tiles of a block of images, two of which are a pair of bfloat16.",
                                 add ? "+=" : "="));
}

/* dU of one position and panel: (c x depth) (depth x panel), begun anew or added to. */
static const char *emit_position(struct emitter *e, const struct winograd_weights *d, int64_t depth, int vectors,
                                 bool add)
{
    if (d->pairs)
        return emit_position_pairs(e, d, depth, vectors, add);
    const char *real = e->plan->real;
    int channels = vectors * e->plan->lanes, whole = d->s.c / d->x_panel, rest = d->s.c % d->x_panel;
    struct product t = { .channels = channels, .panel = channels, .lines = whole, .length = d->x_panel,
                         .a_line = depth * d->x_panel, .c_line = (int64_t)d->x_panel * d->panel, .a = "a", .b = "b",
                         .c = "c", .at = "0" };
    t.tile.a_row = 1;
    t.tile.a_k = d->x_panel;
    t.tile.b_k = d->panel;
    t.tile.depth = depth;
    t.tile.segments = 1;
    t.tile.c_row = d->panel;
    t.tile.accumulate = t.tile.onward = add;
    emit_function(e, "const %s *a, const %s *b, %s *restrict c", real, real, real);
    if (whole)
        product_emit(e, &t);
    if (rest) {
        t.lines = 1;
        t.length = rest;
        t.a = whole ? arena_printf(e->arena, "a + %" PRId64, whole * t.a_line) : "a";
        t.c = whole ? arena_printf(e->arena, "c + %" PRId64, whole * t.c_line) : "c";
        product_emit(e, &t);
    }
    return emit_end(e, arena_printf(e->arena, "%s_%dx%" PRId64 "x%d", add ? "add_product" : "product", d->s.c, depth,
                                    channels), add ? "C += A^T B over the tiles of a block of images."
                                                   : "C = A^T B over the tiles of a block of images.");
}

static void emit_class_call(struct emitter *e, const struct winograd_weights *d, int k, int vectors, const char *panel)
{
    const struct winograd_class *s = &d->tiles.class[k];
    int64_t depth = (int64_t)d->images * s->rows_v * s->rows_h;
    const char *first = emit_position(e, d, depth, vectors, false);
    if (s->first)
        cw_line(e->w, "const int i = position - %d;", s->first);
    const char *i = s->first ? "i" : "position";
    cw_line(e->w, "const %s *const a = x_values%s + %s * %" PRId64 ";", e->plan->real,
            text_offset(e, d->v.class_offset[k]), i, d->v.stride[k]);
    cw_line(e->w, "const %s *const b = dy_values%s + %s * %" PRId64 " + %s * %" PRId64 ";", e->plan->real,
            text_offset(e, d->m.class_offset[k]), i, d->m.stride[k], panel, depth * d->panel);
    if (d->images == e->plan->batch) {
        cw_line(e->w, "%s(a, b, du%s);", first, pairs_argument(d));
        return;
    }
    cw_open(e->w, "if (begin)");
    cw_line(e->w, "%s(a, b, du%s);", first, pairs_argument(d));
    cw_middle(e->w, "else");
    cw_line(e->w, "%s(a, b, du%s);", emit_position(e, d, depth, vectors, true), pairs_argument(d));
    cw_close(e->w, "");
}

static void emit_classes(struct emitter *e, const struct winograd_weights *d, int vectors, const char *panel)
{
    if (d->tiles.class[0].count == d->tiles.positions) {
        emit_class_call(e, d, 0, vectors, panel);
        return;
    }
    bool more = false;
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &d->tiles.class[k];
        if (!s->count || !s->rows_v || !s->rows_h)
            continue;
        const char *test = arena_printf(e->arena, "position < %d", s->first + s->count);
        if (more)
            cw_middle(e->w, arena_printf(e->arena, "} else if (%s) {", test));
        else
            cw_open(e->w, "if (%s) {", test);
        more = true;
        emit_class_call(e, d, k, vectors, panel);
    }
    cw_close(e->w, "}");
}

static const char *emit_products(struct emitter *e, const struct step *step)
{
    struct winograd_weights d = weights_of(e, step);
    const char *real = e->plan->real;
    struct panels s = product_panels(e->plan, d.s.o, d.panel);
    emit_function(e, "int block, %sconst %s *x_values, const %s *dy_values, %s *restrict du%s",
                  d.images == e->plan->batch ? "" : "bool begin, ", real, real, real,
                  d.pairs ? ", bf16_pair *restrict pairs" : "");
    if (d.panels > 1)
        cw_line(e->w, "const int position = block / %d, panel = block %% %d;", d.panels, d.panels);
    else
        cw_line(e->w, "const int position = block, panel = 0;");
    cw_line(e->w, "du += panel * %" PRId64 " + position * %" PRId64 ";", d.u_panel, d.u_position);
    if (s.whole && s.last_vectors) {
        cw_open(e->w, "if (panel < %d) {", s.whole);
        emit_classes(e, &d, s.vectors, "panel");
        cw_middle(e->w, "} else {");
        emit_classes(e, &d, s.last_vectors, "panel");
        cw_close(e->w, "}");
    } else {
        emit_classes(e, &d, s.whole ? s.vectors : s.last_vectors, "panel");
    }
    const char *comment = arena_printf(e->arena, "%s\nA block is a position and panel of dU.", emit_comment(e, step));
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o), comment);
}

/* ---- some images, by themselves ---------------------------------------------------------------------------------- */

/* The products of all positions of a class, of one panel: added to dU. */
static void emit_class_sums(struct emitter *e, const struct winograd_weights *d, int k, int vectors, const char *panel)
{
    const struct winograd_class *s = &d->tiles.class[k];
    int64_t depth = (int64_t)d->images * s->rows_v * s->rows_h;
    const char *add = emit_position(e, d, depth, vectors, true), *of_panel = "", *of_du = "";
    if (panel) {
        of_panel = arena_printf(e->arena, " + %s * %" PRId64, panel, depth * d->panel);
        of_du = arena_printf(e->arena, " + %s * %" PRId64, panel, d->u_panel);
    }
    loop_open(e, "i", 0, s->count, 1);
    cw_line(e->w, "%s(x_values%s + i * %" PRId64 ", dy_values%s + i * %" PRId64 "%s,", add,
            text_offset(e, d->v.class_offset[k]), d->v.stride[k], text_offset(e, d->m.class_offset[k]), d->m.stride[k],
            of_panel);
    cw_line(e->w, "        %s%s + i * %" PRId64 "%s%s);", d->in_turn ? "panel_du" : "du",
            text_offset(e, s->first * d->u_position), d->u_position, of_du, pairs_argument(d));
    cw_close(e->w, "}");
}

static void emit_all_sums(struct emitter *e, const struct winograd_weights *d, int vectors, const char *panel)
{
    for (int k = 0; k < WINOGRAD_CLASSES; k++)
        if (d->tiles.class[k].count && d->tiles.class[k].rows_v && d->tiles.class[k].rows_h)
            emit_class_sums(e, d, k, vectors, panel);
}

/* dU of all panels of outputs. */
static void emit_sums_of_panels(struct emitter *e, const struct winograd_weights *d)
{
    struct panels s = product_panels(e->plan, d->s.o, d->panel);
    if (s.whole > 1) {
        loop_open(e, "p", 0, s.whole, 1);
        emit_all_sums(e, d, s.vectors, "p");
        cw_close(e->w, "}");
    } else if (s.whole) {
        emit_all_sums(e, d, s.vectors, NULL);
    }
    if (s.last_vectors)
        emit_all_sums(e, d, s.last_vectors, s.whole ? arena_printf(e->arena, "%d", s.whole) : NULL);
}

/* The transforms of one image of the call. */
static void emit_image(struct emitter *e, const struct winograd_weights *d, bool bias)
{
    struct winograd_transform x = transform_x(d), dy = transform_dy(d);
    if (!d->in_turn)
        emit_panels(e, d, &x, d->s.c, d->x_panel, "x", "x_values");
    emit_panels(e, d, &dy, d->s.o, d->panel, "dy", "dy_values");
    if (bias)
        emit_bias(e, d);
}

/* V of a panel of inputs that has so many channels, and what it adds to dU. */
static void emit_panel_in_turn(struct emitter *e, const struct winograd_weights *d, int channels, const char *first)
{
    struct winograd_weights panel = *d;
    struct winograd_transform x = transform_x(d);
    const char *map = text_plus(e, "x", first);
    x.channels = channels;
    x.tail = channels % e->plan->lanes;
    panel.s.c = channels;
    if (d->images > 1) {
        cw_open(e->w, "for (int image = 0; image < %d; image++) {", d->images);
        cw_open(e->w, "if (image < left) {");
        map = arena_printf(e->arena, "%s + image * %" PRId64, map, (int64_t)d->s.h * d->s.w * d->s.c);
    }
    winograd_emit_image(e, &x, map, "x_values", image_text(d), "0", "0");
    if (d->images > 1) {
        cw_middle(e->w, "} else {");
        emit_clear(e, d, &d->v, 1, "x_values");
        cw_close(e->w, "}");
        cw_close(e->w, "}");
    }
    cw_line(e->w, "%s *const panel_du = %s;", e->plan->real,
            text_plus(e, "du", text_times(e, first, strcmp(first, "0") ? d->panel : 1)));
    emit_sums_of_panels(e, &panel);
}

static void emit_in_turn(struct emitter *e, const struct winograd_weights *d)
{
    int whole = d->s.c / d->x_panel, rest = d->s.c % d->x_panel;
    cw_open(e->w, "for (int first = 0; first < %d; first += %d) {", whole * d->x_panel, d->x_panel);
    emit_panel_in_turn(e, d, d->x_panel, "first");
    cw_close(e->w, "}");
    if (rest) {
        cw_open(e->w, "{");
        cw_line(e->w, "const int first = %d;", whole * d->x_panel);
        emit_panel_in_turn(e, d, rest, "first");
        cw_close(e->w, "}");
    }
}

static const char *emit_images(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d = weights_of(e, step);
    const char *real = e->plan->real;
    bool bias = g->companion != NULL, many = d.images > 1;
    emit_function(e, "%sconst %s *x, const %s *dy, %s *restrict du%s, %s *restrict scratch", many ? "int left, " : "",
                  real, real, real, bias ? arena_printf(e->arena, ", %s *restrict db", real) : "", real);
    cw_line(e->w, "%s *const x_values = scratch, *const dy_values = scratch + %" PRId64 ";", real, d.m_at);
    if (d.pairs)
        cw_line(e->w, "bf16_pair *const pairs = scratch + %" PRId64 ";", d.scratch);
    if (many) {
        cw_open(e->w, "for (int image = 0; image < %d; image++) {", d.images);
        cw_open(e->w, "if (image < left) {");
        emit_image(e, &d, bias);
        if (!d.in_turn)
            cw_line(e->w, "x += %" PRId64 ";", (int64_t)d.s.h * d.s.w * d.s.c);
        cw_line(e->w, "dy += %" PRId64 ";", (int64_t)d.s.oh * d.s.ow * d.s.o);
        if (bias)
            cw_line(e->w, "db += %" PRId64 ";", d.db_stored);
        if (!d.in_turn) {
            cw_middle(e->w, "} else {");
            emit_clear(e, &d, &d.v, d.x_panels, "x_values");
        }
        cw_close(e->w, "}");
        cw_close(e->w, "}");
    } else {
        emit_image(e, &d, bias);
    }
    if (d.in_turn)
        emit_in_turn(e, &d);
    else
        emit_sums_of_panels(e, &d);
    const char *comment = arena_printf(e->arena, "%s\n%s %s", emit_comment(e, step), winograd_tiles_text(e, &d.tiles,
            &d.s), many ? arena_printf(e->arena, "%d images at a time.", d.images)
                                            : "An image at a time.");
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o), comment);
}

/* ---- step 2: back to taps ---------------------------------------------------------------------------------------- */

static const char *load_position(struct emitter *e, const void *data, int p, const struct winograd_run *q)
{
    const struct winograd_weights *d = data;
    int first = d->tiles.number_of[p][q->first], step = q->count > 1 ? d->tiles.number_of[p][q->first + 1] - first : 0;
    if (d->groups > 1)
        return q->count == 1 ? arena_printf(e->arena, "sums[%d]", first)
                             : arena_printf(e->arena, "*(sums%s)", winograd_along(e, q, first, step));
    return arena_printf(e->arena, "v_load(from%s)",
                        winograd_along(e, q, first * d->u_position, step * d->u_position));
}

/* dU of all groups together, in their order. */
static void emit_group_sums(struct emitter *e, const struct winograd_weights *d)
{
    if (d->groups == 1)
        return;
    cw_line(e->w, "v sums[%d];", d->tiles.positions);
    cw_line(e->w, "CNN_ROLLED");
    if (d->groups == 2) {
        cw_open(e->w, "for (int k = 0; k < %d; k++)", d->tiles.positions);
        cw_line(e->w, "sums[k] = v_add(v_load(from + k * %" PRId64 "), v_load(from + %" PRId64 " + k * %" PRId64 "));",
                d->u_position, d->u_group, d->u_position);
        cw_close(e->w, "");
        return;
    }
    cw_open(e->w, "for (int k = 0; k < %d; k++) {", d->tiles.positions);
    cw_line(e->w, "v sum = v_load(from + k * %" PRId64 ");", d->u_position);
    cw_line(e->w, "CNN_ROLLED");
    cw_open(e->w, "for (int g = 1; g < %d; g++)", d->groups);
    cw_line(e->w, "sum = v_add(sum, v_load(from + g * %" PRId64 " + k * %" PRId64 "));", d->u_group, d->u_position);
    cw_close(e->w, "");
    cw_line(e->w, "sums[k] = sum;");
    cw_close(e->w, "}");
}

static bool position_begins(const void *data, int q)
{
    return winograd_column_begins(&((const struct winograd_weights *)data)->tiles, q);
}

static void store_tap(struct emitter *e, const void *data, const struct winograd_run *i, int j, const char *value)
{
    const struct winograd_weights *d = data;
    int64_t tap = (d->updating ? d->updated : (int64_t)d->s.c) * d->panel;
    cw_line(e->w, "v_store(to%s, %s);",
            winograd_along(e, i, (i->first * d->tiles.r_h + j) * tap, d->tiles.r_h * tap), value);
}

static void emit_inverse_vector(struct emitter *e, const struct winograd_weights *d)
{
    struct winograd v, h;
    winograd_of_tiles(&d->tiles, &v, &h);
    struct winograd_matrix left = winograd_transpose(&v.g), right = winograd_transpose(&h.g);
    winograd_emit_two_way(e, &(struct winograd_two_way){
        .left = winograd_emit_line(e, &left, "dg", "G^T dU", &v),
        .right = winograd_emit_line(e, &right, "dg", "G^T dU", &h), .column_begins = position_begins,
        .load = load_position, .store = store_tap, .data = d,
    });
}

/* db, in block 0. */
static void emit_bias_sum(struct emitter *e, const struct winograd_weights *d)
{
    cw_open(e->w, "for (int o = 0; b == 0 && o < %" PRId64 "; o += V_LANES) {", d->db_stored);
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int i = 0; i < n; i++)");
    cw_line(e->w, "sum = v_add(sum, v_load(bias_images + i * %" PRId64 " + o));", d->db_stored);
    cw_close(e->w, "");
    cw_line(e->w, "v_store(db + o, sum);");
    cw_close(e->w, "}");
}

static const char *emit_inverse(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d = weights_of(e, step);
    const char *real = e->plan->real;
    bool bias = g->companion != NULL;
    struct panels s = product_panels(e->plan, d.s.o, d.panel);
    emit_function(e, "int b, int n, const %s *du, %s *restrict dw%s",
                  real, real,
                  bias ? arena_printf(e->arena, ", const %s *bias_images, %s *restrict db", real, real) : "");
    winograd_emit_block(e, d.s.c, INVERSE_CHUNK);
    if (s.last_vectors) {       /* vectors of the last panel that no output channel reaches stay zero */
        cw_line(e->w, "const int width = panel < %d ? %d : %d;", s.whole, d.panel, s.last_vectors * e->plan->lanes);
        cw_open(e->w, "for (int i = 0; i < %" PRId64 " && width < %d; i++)", (int64_t)d.s.taps, d.panel);
        cw_line(e->w, "memset(dw + (size_t)panel * %" PRId64 " + i * %d + first * %d, 0, sizeof(%s) * (size_t)((end - "
                "first) * %d));", d.s.k * d.panel, d.s.c * d.panel, d.panel, real, d.panel);
        cw_close(e->w, "");
    }
    cw_open(e->w, "for (int c = first; c < end; c++) {");
    if (s.last_vectors)
        cw_open(e->w, "for (int lane = 0; lane < width; lane += V_LANES) {");
    else
        loop_open_vectors(e, "lane", d.panel);
    cw_line(e->w, "const %s *const from = du + panel * %" PRId64 " + c * %d + lane;", real, d.u_panel, d.panel);
    cw_line(e->w, "%s *const to = dw + (size_t)panel * %" PRId64 " + c * %d + lane;", real, d.s.k * d.panel, d.panel);
    emit_group_sums(e, &d);
    emit_inverse_vector(e, &d);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    if (bias)
        emit_bias_sum(e, &d);
    else
        cw_line(e->w, "(void)n;");
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_out_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o),
                    "G^T dU G; block b is a panel and some input channels.");
}

/* ---- a panel of outputs, its inputs panel by panel --------------------------------------------------------------- */

/* dw of a panel of inputs, channel by channel. */
static void emit_inverses(struct emitter *e, const struct winograd_weights *d, const char *panel, const char *half,
                          int width)
{
    const char *real = e->plan->real;
    cw_open(e->w, "for (int channel = 0; channel < %d; channel++) {", d->x_panel);
    loop_open(e, "tap", 0, d->s.taps, 1);       /* the lines that dw of later channels is written to */
    for (int lane = 0; lane < width; lane += 64 / e->plan->real_size)
        cw_line(e->w, "v_prefetchw(dw + (size_t)%s * %" PRId64 " + (tap * %d + p * %d + channel) * %d + %d%s);", panel,
                d->s.k * d->panel, d->s.c, d->x_panel, d->panel, AHEAD * d->panel + lane, half);
    cw_close(e->w, "}");
    loop_open_vectors(e, "lane", width);
    cw_line(e->w, "const %s *const from = du + channel * %d + lane;", real, d->panel);
    cw_line(e->w, "%s *const to = dw + (size_t)%s * %" PRId64 " + (p * %d + channel) * %d%s + lane;", real, panel,
            d->s.k * d->panel, d->x_panel, d->panel, half);
    emit_inverse_vector(e, d);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

/* The same some channels at a time into `gradient`, (tap, channel, output), and their weights are updated. */
static void emit_updates(struct emitter *e, const struct winograd_weights *d, const char *panel, const char *half,
                         int width, bool fetches)
{
    const char *real = e->plan->real;
    struct winograd_weights updating = *d;
    updating.updating = true;
    cw_open(e->w, "for (int first = 0; first < %d; first += %d) {", d->x_panel, d->updated);
    cw_line(e->w, "const int64_t at = number + (int64_t)%s * %" PRId64 " + (p * %d + first) * %d%s;", panel,
            d->s.k * d->panel, d->x_panel, d->panel, half);
    if (fetches) {
        cw_open(e->w, "for (int tap = 0; tap < %d; tap++)", d->s.taps);
        cw_line(e->w, "fetch_state(c, at + tap * %d, %d);", d->s.c * d->panel, d->updated * d->panel);
        cw_close(e->w, "");
    }
    cw_open(e->w, "for (int row = 0; row < %d; row++)", d->updated);
    cw_open(e->w, "for (int lane = 0; lane < %d; lane += V_LANES) {", width);
    cw_line(e->w, "const %s *const from = du + (first + row) * %d + lane;", real, d->panel);
    cw_line(e->w, "%s *const to = gradient + row * %d + lane;", real, d->panel);
    emit_inverse_vector(e, &updating);
    cw_close(e->w, "}");
    cw_close(e->w, "");
    cw_open(e->w, "for (int tap = 0; tap < %d; tap++)", d->s.taps);
    if (width == d->panel) {
        cw_line(e->w, "update_range(c, early, at + tap * %d, %d, gradient + tap * %d);", d->s.c * d->panel,
                d->updated * d->panel, d->updated * d->panel);
    } else {
        cw_open(e->w, "for (int row = 0; row < %d; row++)", d->updated);
        cw_line(e->w, "update_range(c, early, at + (tap * %d + row) * %d, %d, gradient + (tap * %d + row) * %d);",
                d->s.c, d->panel, width, d->updated, d->panel);
        cw_close(e->w, "");
    }
    cw_close(e->w, "");
    cw_close(e->w, "}");
}

static const char *emit_by_panel(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d, inputs;
    winograd_weights_of(e->plan, g->main, g->kernel->number, &d);
    inputs = d;
    inputs.s.c = d.x_panel;     /* of a panel of them */
    const char *real = e->plan->real;
    bool bias = g->companion != NULL;
    int width = g->narrow ? d.panel / 2 : d.panel;
    const char *panel = g->narrow ? "(b / 2)" : "b";
    const char *half = g->narrow ? arena_printf(e->arena, " + b %% 2 * %d", width) : "";
    emit_function(e, "int b, %sconst %s *x_values, const %s *dy_values, %s *restrict dw%s%s, %s *restrict du",
                  bias ? "int n, " : "", real, real, real,
                  step->updates ? ", const struct cnn_context *c, const struct rule *early, int64_t number" : "",
                  bias ? arena_printf(e->arena, ", const %s *bias_images, %s *restrict db", real, real) : "", real);
    if (d.pairs)
        cw_line(e->w, "bf16_pair *const pairs = du + %" PRId64 ";", d.u_group);
    if (step->updates)
        cw_line(e->w, "%s *const gradient = du + %" PRId64 ";", real, d.u_group + winograd_weights_pairs(&d));
    loop_open(e, "p", 0, d.x_panels, 1);
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &d.tiles.class[k];
        int64_t depth = (int64_t)d.images * s->rows_v * s->rows_h;
        if (!s->count || !depth)
            continue;
        loop_open(e, "i", 0, s->count, 1);
        cw_line(e->w, "%s(x_values%s + i * %" PRId64 " + p * %" PRId64 ", dy_values%s + i * %" PRId64 " + %s * %" PRId64
                "%s, du%s + i * %" PRId64 "%s);", emit_position(e, &inputs, depth, width / e->plan->lanes, false),
                text_offset(e, d.v.class_offset[k]), d.v.stride[k], depth * d.x_panel,
                text_offset(e, d.m.class_offset[k]), d.m.stride[k], panel, depth * d.panel, half,
                text_offset(e, s->first * d.u_position), d.u_position, pairs_argument(&d));
        cw_close(e->w, "}");
    }
    if (step->updates) {
        cw_open(e->w, "if (early) {");
        emit_updates(e, &d, panel, half, width, step->prefetch != NULL);
        cw_middle(e->w, "} else {");
    }
    emit_inverses(e, &d, panel, half, width);
    if (step->updates)
        cw_close(e->w, "}");
    cw_close(e->w, "}");
    if (bias)
        emit_bias_sum(e, &d);
    const char *comment = arena_printf(e->arena,
                                       "%s\n%s Block b is %s of outputs: dU of a panel of inputs over the whole "
                                       "batch, then G^T dU G.", emit_comment(e, step),
                                       winograd_tiles_text(e, &d.tiles, &d.s), g->narrow ? "half a panel" : "a panel");
    if (step->updates)
        comment = arena_printf(e->arena, "%s\nThe weights, parameter `number` and those that follow, are updated where "
                               "`early` says how, and the gradient is not kept.", comment);
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_panel_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o),
                    comment);
}

const char *winograd_weights_emit(struct emitter *e, const struct step *step)
{
    switch (step->part) {
    case SUM_TRANSFORMS: return emit_transforms(e, step);
    case SUM_PRODUCTS: return emit_products(e, step);
    case SUM_IMAGES: return emit_images(e, step);
    case SUM_PANELS: return emit_by_panel(e, step);
    default: return emit_inverse(e, step);
    }
}
