/* winograd_tiles.c - tiles, places of transformed values, and the emitted transforms. */
#include "kernels/winograd_tiles.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/loops.h"

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

/* Points that every tile of a direction uses. */
static int common_points(const struct winograd_split *s)
{
    return s->large_count < s->tiles ? s->points - 1 : s->points;
}

bool winograd_tiles_of(const struct conv_geometry *g, int points, struct winograd_tiles *t)
{
    const struct window *w = &g->window;
    memset(t, 0, sizeof *t);
    if (w->stride_h != 1 || w->stride_w != 1 || w->dilation_h != 1 || w->dilation_w != 1 || w->kh < 2 || w->kw < 2 ||
        w->kh > 5 || w->kw > 5)
        return false;
    t->r_v = w->kh;
    t->r_h = w->kw;
    if (!winograd_split_length(g->oh, w->kh, points, &t->v) || !winograd_split_length(g->ow, w->kw, points, &t->h))
        return false;
    int common_v = common_points(&t->v), common_h = common_points(&t->h);
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        struct winograd_class *c = &t->class[k];
        bool last_v = k & 1, last_h = k & 2;
        c->first = t->positions;
        c->rows_v = last_v ? t->v.large_count : t->v.tiles;
        c->rows_h = last_h ? t->h.large_count : t->h.tiles;
        for (int p = 0; p < t->v.points; p++)
            for (int q = 0; q < t->h.points; q++)
                if ((p >= common_v) == last_v && (q >= common_h) == last_h) {
                    t->class_of[p][q] = k;
                    t->number_of[p][q] = t->positions++;
                    c->count++;
                }
    }
    return true;
}

struct winograd_values winograd_values_of(const struct winograd_tiles *t, int images, int width, int gap)
{
    struct winograd_values s = { .images = images, .width = width, .gap = gap };
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *c = &t->class[k];
        s.class_offset[k] = s.size;
        s.stride[k] = (int64_t)images * c->rows_v * c->rows_h * width + gap;
        s.size += c->count * s.stride[k];
    }
    return s;
}

int64_t winograd_position_offset(const struct winograd_tiles *t, const struct winograd_values *s, int p, int q)
{
    int k = t->class_of[p][q];
    return s->class_offset[k] + (t->number_of[p][q] - t->class[k].first) * s->stride[k];
}

int64_t winograd_products(const struct winograd_tiles *t)
{
    int64_t sum = 0;
    for (int k = 0; k < WINOGRAD_CLASSES; k++)
        sum += (int64_t)t->class[k].count * t->class[k].rows_v * t->class[k].rows_h;
    return sum;
}

double winograd_tiles_error(const struct winograd_tiles *t)
{
    struct winograd v = winograd_make(t->v.m, t->r_v), h = winograd_make(t->h.m, t->r_h);
    return winograd_error_growth(&v) * winograd_error_growth(&h);
}

const char *winograd_tiles_text(struct emitter *e, const struct winograd_tiles *t, const struct conv_geometry *g)
{
    return arena_printf(e->arena, "%.0f multiplications where the plain sum needs %.0f; rounding errors grow up to "
                                  "%.1f times.", (double)winograd_products(t), (double)g->taps * g->oh * g->ow,
                        winograd_tiles_error(t));
}

void winograd_emit_block(struct emitter *e, int channels, int chunk)
{
    int chunks = (channels + chunk - 1) / chunk;
    if (chunks == 1) {
        cw_line(e->w, "const int panel = b, first = 0, end = %d;", channels);
        return;
    }
    cw_line(e->w, "const int panel = b / %d, first = b %% %d * %d;", chunks, chunks, chunk);
    if (channels % chunk)
        cw_line(e->w, "const int end = first + %d < %d ? first + %d : %d;", chunk, channels, chunk, channels);
    else
        cw_line(e->w, "const int end = first + %d;", chunk);
}

/* ---- linear combinations ----------------------------------------------------------------------------------------- */

static bool is_value(struct rational a, int64_t value)
{
    return a.num == value && a.den == 1;
}

static const char *constant(struct emitter *e, struct rational a)
{
    return arena_printf(e->arena, "v_set(%s)", text_real(e, rational_value(a)));
}

const char *winograd_combination(struct emitter *e, const struct rational *c, const char *const *names, int count)
{
    int first = -1;
    for (int i = 0; i < count; i++)         /* a term that needs no multiplication begins */
        if (is_value(c[i], 1)) {
            first = i;
            break;
        }
    for (int i = 0; i < count && first < 0; i++)
        if (c[i].num)
            first = i;
    if (first < 0)
        return NULL;
    const char *sum = names[first];
    e->operations += !is_value(c[first], 1);
    if (is_value(c[first], -1))
        sum = arena_printf(e->arena, "v_neg(%s)", names[first]);
    else if (!is_value(c[first], 1))
        sum = arena_printf(e->arena, "v_mul(%s, %s)", constant(e, c[first]), names[first]);
    for (int i = 0; i < count; i++) {
        if (i == first || !c[i].num)
            continue;
        e->operations++;
        if (is_value(c[i], 1))
            sum = arena_printf(e->arena, "v_add(%s, %s)", sum, names[i]);
        else if (is_value(c[i], -1))
            sum = arena_printf(e->arena, "v_sub(%s, %s)", sum, names[i]);
        else
            sum = arena_printf(e->arena, "v_fma(%s, %s, %s)", constant(e, c[i]), names[i], sum);
    }
    return sum;
}

/* Rows a and b that agree on some columns and are opposite on all others (points x and -x): even + odd, even - odd. */
static bool is_pair(const struct winograd_matrix *m, int a, int b)
{
    int even = 0, odd = 0, both = 0;
    for (int i = 0; i < m->columns; i++) {
        struct rational x = m->at[a][i], y = m->at[b][i];
        if (!x.num && !y.num)
            continue;
        both++;
        if (x.num == y.num && x.den == y.den)
            even++;
        else if (x.num == -y.num && x.den == y.den)
            odd++;
    }
    return even + odd == both && even > 0 && odd > 0;
}

static void emit_pair(struct emitter *e, const struct winograd_matrix *m, int a, int b, const char *const *names,
                      const char *prefix)
{
    struct rational even[WINOGRAD_POINTS], odd[WINOGRAD_POINTS];
    for (int i = 0; i < m->columns; i++) {
        bool same = m->at[a][i].num == m->at[b][i].num;
        even[i] = same ? m->at[a][i] : rational_make(0, 1);
        odd[i] = same ? rational_make(0, 1) : m->at[a][i];
    }
    const char *first = winograd_combination(e, even, names, m->columns);
    const char *second = winograd_combination(e, odd, names, m->columns);
    cw_line(e->w, "const v %s%d_even = %s, %s%d_odd = %s;", prefix, a, first, prefix, a, second);
    cw_line(e->w, "const v %s%d = v_add(%s%d_even, %s%d_odd), %s%d = v_sub(%s%d_even, %s%d_odd);", prefix, a, prefix, a,
            prefix, a, prefix, b, prefix, a, prefix, a);
    e->operations += 2;
}

void winograd_emit_product(struct emitter *e, const struct winograd_matrix *m, const char *const *names,
                           const char *prefix)
{
    bool done[WINOGRAD_POINTS] = { false };
    for (int a = 0; a < m->rows; a++) {
        for (int b = a + 1; b < m->rows && !done[a]; b++)
            if (!done[b] && is_pair(m, a, b)) {
                emit_pair(e, m, a, b, names, prefix);
                done[a] = done[b] = true;
            }
        if (!done[a]) {
            const char *sum = winograd_combination(e, m->at[a], names, m->columns);
            cw_line(e->w, "const v %s%d = %s;", prefix, a, sum ? sum : "v_zero()");
        }
    }
}

/* ---- one tile ---------------------------------------------------------------------------------------------------- */

struct tile_kind {
    int m_v, m_h;               /* outputs */
    struct winograd v, h;
};

static bool to_values(enum transform kind)
{
    return kind == TRANSFORM_X || kind == TRANSFORM_DY;
}

/* The matrix applied from the left, in one direction. */
static struct winograd_matrix matrix_of(enum transform kind, const struct winograd *w)
{
    switch (kind) {
    case TRANSFORM_X: return w->bt;
    case TRANSFORM_Y: return w->at;
    case TRANSFORM_DY: return winograd_transpose(&w->at);
    case TRANSFORM_DX: return winograd_transpose(&w->bt);
    }
    return w->bt;
}

static const char *values_at(struct emitter *e, const struct winograd_transform *t, int p, int q)
{
    return arena_printf(e->arena, "values%s + row%d",
                        text_offset(e, winograd_position_offset(t->tiles, t->values, p, q)), t->tiles->class_of[p][q]);
}

static const char *map_at(struct emitter *e, const struct winograd_transform *t, int i, int j)
{
    int64_t at = i * t->row + j * t->pixel;
    return at ? arena_printf(e->arena, "c + %" PRId64, at) : "c";
}

static void load_column(struct emitter *e, const struct winograd_transform *t, int rows, int j, int tail,
                        const char **names)
{
    for (int i = 0; i < rows; i++) {
        names[i] = arena_printf(e->arena, "d%d_%d", i, j);
        const char *from = to_values(t->kind) ? text_load(e, "map", map_at(e, t, i, j), tail)
                                              : arena_printf(e->arena, "v_load(%s + c)", values_at(e, t, i, j));
        cw_line(e->w, "const v %s = %s;", names[i], from);
    }
}

/* An element of dx: added to what earlier tiles left, and finished by the chain when no later tile will add. */
static void store_dx(struct emitter *e, const struct winograd_transform *t, const struct tile_kind *k,
                     const char *value, int i, int j, int tail)
{
    const char *at = map_at(e, t, i, j), *sum = value;
    bool above = i < k->v.r - 1, before = j < k->h.r - 1, below = i >= k->m_v, after = j >= k->m_h;
    if (above || before || (t->chain && (below || after))) {
        sum = arena_printf(e->arena, "s%d_%d", i, j);
        cw_line(e->w, "v %s = %s;", sum, value);
    }
    if (above || before) {
        cw_open(e->w, "if (%s)", above && before ? "above || before" : above ? "above" : "before");
        cw_line(e->w, "%s = v_add(%s, %s);", sum, sum, text_load(e, "map", at, tail));
        cw_close(e->w, "");
    }
    const char *final = t->chain ? chain_apply_at(e, t->chain, sum, "c", at, tail) : sum;
    if (t->chain && (below || after)) {
        cw_open(e->w, "if (%s)", below && after ? "last_v && last_h" : below ? "last_v" : "last_h");
        cw_line(e->w, "%s = %s;", sum, final);
        cw_close(e->w, "");
        final = sum;
    }
    line_store(e, "map", at, final, tail);
}

static void store_row(struct emitter *e, const struct winograd_transform *t, const struct tile_kind *k, int columns,
                      int i, int tail)
{
    for (int j = 0; j < columns; j++) {
        const char *value = arena_printf(e->arena, "o%d_%d", i, j);
        if (to_values(t->kind)) {
            cw_line(e->w, "v_store(%s + c, %s);", values_at(e, t, i, j), value);
        } else if (t->kind == TRANSFORM_DX) {
            store_dx(e, t, k, value, i, j, tail);
        } else {
            const char *at = map_at(e, t, i, j);
            line_store(e, "map", at, t->chain ? chain_apply_at(e, t->chain, value, "c", at, tail) : value, tail);
        }
    }
}

/* The lines that the next tile will write, and read for the chain, are asked for now. */
static void ask_ahead(struct emitter *e, const struct winograd_transform *t, const struct tile_kind *k)
{
    bool dx = t->kind == TRANSFORM_DX;
    int rows = dx ? k->v.n : k->m_v, columns = k->m_h;
    int first = dx ? k->h.n : k->m_h;       /* columns before are this tile's own */
    for (int i = 0; i < rows; i++)
        for (int j = first; j < first + columns; j++) {
            int64_t at = i * t->row + j * t->pixel;
            char *text = arena_printf(e->arena, "v_prefetchw(map + c + %" PRId64 ");", at);
            for (int o = 0; t->chain && o < t->chain->operands_count; o++)
                if (t->chain->operands[o].kind == OPERAND_ELEMENT)
                    text = arena_printf(e->arena, "%s v_prefetch(%s + c + %" PRId64 ");", text,
                                        t->chain->operands[o].name, at);
            cw_line(e->w, "%s", text);
        }
}

/* The transform of one vector of channels: columns first, then rows. */
static void emit_vector(struct emitter *e, const struct winograd_transform *t, const struct tile_kind *k, int tail)
{
    struct winograd_matrix left = matrix_of(t->kind, &k->v), right = matrix_of(t->kind, &k->h);
    const char *names[WINOGRAD_POINTS];
    for (int j = 0; j < right.columns; j++) {
        load_column(e, t, left.columns, j, tail, names);
        winograd_emit_product(e, &left, names, arena_printf(e->arena, "t%d_", j));
    }
    if (!to_values(t->kind) && !tail && !t->asked)
        ask_ahead(e, t, k);
    for (int i = 0; i < left.rows; i++) {
        for (int j = 0; j < right.columns; j++)
            names[j] = arena_printf(e->arena, "t%d_%d", j, i);
        winograd_emit_product(e, &right, names, arena_printf(e->arena, "o%d_", i));
        store_row(e, t, k, right.rows, i, tail);
    }
}

static const char *const kind_names[] = { "x", "y", "dy", "dx" };

/* Rows of the values that the tile (down, across) of image `image` has in each class. */
static void emit_rows(struct emitter *e, const struct winograd_transform *t, const struct tile_kind *k)
{
    bool used[WINOGRAD_CLASSES] = { false };
    for (int p = 0; p < k->v.n; p++)
        for (int q = 0; q < k->h.n; q++)
            used[t->tiles->class_of[p][q]] = true;
    for (int i = 0; i < WINOGRAD_CLASSES; i++)
        if (used[i])
            cw_line(e->w, "const int row%d = ((image * %d + down) * %d + across) * %d;", i, t->tiles->class[i].rows_v,
                    t->tiles->class[i].rows_h, t->values->width);
}

static const char *emit_tile_transform(struct emitter *e, const struct winograd_transform *t, const struct tile_kind *k)
{
    const char *real = e->plan->real;
    bool in = to_values(t->kind), dx = t->kind == TRANSFORM_DX;
    int whole = t->tail ? (t->channels - 1) / e->plan->lanes : t->channels / e->plan->lanes;
    emit_function(e, "%s%s *map, %s%s *values, int image, int down, int across%s%s",
                  in ? "const " : "", real, in ? "" : "const ", real,
                  dx && t->chain ? ", bool last_v, bool last_h" : "", t->chain ? chain_parameters(e, t->chain) : "");
    emit_rows(e, t, k);
    if (dx)
        cw_line(e->w, "const bool above = down > 0, before = across > 0;");
    if (whole) {
        cw_open(e->w, "for (int c = 0; c < %d; c += V_LANES) {", whole * e->plan->lanes);
        e->operations = 0;
        emit_vector(e, t, k, 0);
        cw_close(e->w, "}");
    }
    if (t->tail) {
        cw_line(e->w, "const int c = %d;", whole * e->plan->lanes);
        e->operations = 0;
        emit_vector(e, t, k, t->tail);
    }
    static const char *const formulas[] = { "B^T d B", "A^T M A", "A dy A^T", "B V B^T" };
    const char *comment = arena_printf(e->arena, "Winograd F(%dx%d, %dx%d), one tile: %s for %d channels; %d additions "
                                       "and multiplications a vector of them.", k->m_v, k->m_h, k->v.r, k->h.r,
                                       formulas[t->kind], t->channels, e->operations);
    return emit_end(e, arena_printf(e->arena, "winograd_%s_%dx%d_%dx%d_%d", kind_names[t->kind], k->m_v, k->m_h, k->v.r,
                                    k->h.r, t->channels), comment);
}

/* ---- all tiles of an image --------------------------------------------------------------------------------------- */

/* Is the tile whose number open_tiles() gave, as a variable or as a figure, the last of its direction? */
static const char *is_last(struct emitter *e, const struct winograd_split *s, const char *number)
{
    if (strspn(number, "0123456789") < strlen(number))
        return arena_printf(e->arena, "%s == %d", number, s->tiles - 1);
    return atoi(number) == s->tiles - 1 ? "true" : "false";
}

/* Opens a loop over the large or the small tiles of a direction, or none for a single one or where the variable is
 * given.  Returns the text of the tile's number; *start: of its first output. */
static const char *open_tiles(struct emitter *e, const struct winograd_split *s, bool small, const char *variable,
                              bool given, const char **start, bool *opened)
{
    int first = small ? s->large_count : 0, count = small ? s->tiles - s->large_count : s->large_count;
    int m = small ? s->m - 1 : s->m, shift = small ? s->large_count : 0;
    *opened = count > 1 && !given;
    if (count == 1) {
        *start = arena_printf(e->arena, "%d", first * m + shift);
        return arena_printf(e->arena, "%d", first);
    }
    if (!given)
        cw_open(e->w, "for (int %s = %d; %s < %d; %s++) {", variable, first, variable, first + count, variable);
    *start = shift ? arena_printf(e->arena, "(%s * %d + %d)", variable, m, shift)
                   : arena_printf(e->arena, "%s * %d", variable, m);
    return variable;
}

static void emit_kind(struct emitter *e, const struct winograd_transform *t, bool small_v, bool small_h,
                      const char *map, const char *values, const char *image, const char *col, const char *at)
{
    const struct winograd_tiles *s = t->tiles;
    struct tile_kind k = { .m_v = s->v.m - small_v, .m_h = s->h.m - small_h };
    k.v = winograd_make(k.m_v, s->r_v);
    k.h = winograd_make(k.m_h, s->r_h);
    const char *name = emit_tile_transform(e, t, &k), *start_v, *start_h;
    bool opened_v, opened_h;
    const char *a = open_tiles(e, &s->v, small_v, t->down ? t->down : "down", t->down, &start_v, &opened_v);
    const char *b = open_tiles(e, &s->h, small_h, "across", false, &start_h, &opened_h);
    const char *offset_v = strcmp(start_v, "0") ? arena_printf(e->arena, "%s * %" PRId64, start_v, t->row) : NULL;
    const char *offset_h = strcmp(start_h, "0") ? arena_printf(e->arena, "%s * %" PRId64, start_h, t->pixel) : NULL;
    const char *offset = offset_v && offset_h ? arena_printf(e->arena, "%s + %s", offset_v, offset_h)
                                              : offset_v ? offset_v : offset_h ? offset_h : "0";
    const char *last = "";
    if (t->kind == TRANSFORM_DX && t->chain)
        last = arena_printf(e->arena, ", %s, %s", is_last(e, &s->v, a), is_last(e, &s->h, b));
    const char *chain = "";
    if (t->chain)
        chain = chain_pass(e, t->chain, col, text_plus(e, at, offset));
    const char *from = text_plus(e, map, offset);
    cw_line(e->w, "%s(%s, %s, %s, %s, %s%s%s);", name, from, values, image, a, b, last, chain);
    if (opened_h)
        cw_close(e->w, "}");
    if (opened_v)
        cw_close(e->w, "}");
}

void winograd_emit_image(struct emitter *e, const struct winograd_transform *t, const char *map, const char *values,
                         const char *image, const char *col, const char *at)
{
    const struct winograd_split *v = &t->tiles->v, *h = &t->tiles->h;
    bool both = t->down && v->large_count < v->tiles;
    if (both)
        cw_open(e->w, "if (%s < %d) {", t->down, v->large_count);
    for (int i = 0; i < 4; i++) {
        bool small_v = i & 2, small_h = i & 1;
        if ((small_v && v->large_count == v->tiles) || (small_h && h->large_count == h->tiles))
            continue;
        if (both && i == 2)
            cw_middle(e->w, "} else {");
        emit_kind(e, t, small_v, small_h, map, values, image, col, at);
    }
    if (both)
        cw_close(e->w, "}");
}
