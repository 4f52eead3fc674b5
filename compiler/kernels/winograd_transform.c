/* winograd_transform.c - the emitted transforms: a matrix in two directions (one: winograd_lines.c), a tile, all tiles of an
 * image.
 *
 * The transform in one direction is a function of its own, inlined wherever it is called: for the columns of a tile,
 * then for the rows of what came out.  Rows and columns that lie alike are done in a loop; only those at the edge,
 * whose values lie elsewhere or which meet other tiles, stand alone. */
#include "kernels/winograd_tiles.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/loops.h"

/* ---- two directions ---------------------------------------------------------------------------------------------- */

const char *winograd_along(struct emitter *e, const struct winograd_run *r, int64_t first, int64_t step)
{
    if (r->count == 1)
        return text_offset(e, first);
    int64_t from = first - r->first * step;
    return arena_printf(e->arena, "%s + %s", from ? arena_printf(e->arena, " %c %" PRId64, from < 0 ? '-' : '+',
                                                                 from < 0 ? -from : from) : "",
                        step == 1 ? r->index : arena_printf(e->arena, "%s * %" PRId64, r->index, step));
}

/* The run that begins with `first`, up to the next number that `begins` one. */
static struct winograd_run run_from(const char *index, int first, int count, bool (*begins)(const void *data, int i),
                                    const void *data)
{
    int end = first + 1;
    while (end < count && !(begins && begins(data, end)))
        end++;
    return (struct winograd_run){ .index = index, .first = first, .count = end - first };
}

/* The number within a run, as C text. */
static const char *number_of(struct emitter *e, const struct winograd_run *r)
{
    return r->count > 1 ? r->index : arena_printf(e->arena, "%d", r->first);
}

/* Opens the loop over a run; none for a run of one. */
static void open_run(struct emitter *e, const struct winograd_run *r, bool braces)
{
    if (r->count == 1)
        return;
    cw_line(e->w, "CNN_ROLLED");
    cw_open(e->w, "for (int %s = %d; %s < %d; %s++)%s", r->index, r->first, r->index, r->first + r->count, r->index,
            braces ? " {" : "");
}

static void close_run(struct emitter *e, const struct winograd_run *r, bool braces)
{
    if (r->count > 1)
        cw_close(e->w, braces ? "}" : "");
}

int winograd_emit_two_way(struct emitter *e, const struct winograd_two_way *t)
{
    const struct winograd_line *left = &t->left, *right = &t->right;
    struct winograd_run r;
    cw_line(e->w, "v t[%d][%d], o[%d];", right->from, left->to, right->to);
    for (int j = 0; j < right->from; j += r.count) {
        struct text values = { .arena = e->arena };
        r = run_from("j", j, right->from, t->column_begins, t->data);
        for (int i = 0; i < left->from; i++)
            text_add(&values, "%s, ", t->load(e, t->data, i, &r));
        const char *empty = t->column_empty ? t->column_empty(e, t->data, j) : NULL, *number = number_of(e, &r);
        open_run(e, &r, empty != NULL);
        if (empty && *empty)
            cw_open(e->w, "if (%s) {", empty);
        if (empty) {
            cw_open(e->w, "for (int i = 0; i < %d; i++)", left->to);
            cw_line(e->w, "t[%s][i] = v_zero();", number);
            cw_close(e->w, "");
        }
        if (empty && *empty)
            cw_middle(e->w, "} else {");
        if (!empty || *empty)
            cw_line(e->w, "%s(%st[%s]);", left->name, text_of(&values), number);
        if (empty && *empty)
            cw_close(e->w, "}");
        close_run(e, &r, empty != NULL);
    }
    if (t->between)
        t->between(e, t->data);
    for (int i = 0; i < left->to; i += r.count) {
        struct text values = { .arena = e->arena };
        r = run_from("i", i, left->to, t->row_begins, t->data);
        for (int j = 0; j < right->from; j++)
            text_add(&values, "t[%d][%s], ", j, number_of(e, &r));
        open_run(e, &r, true);
        cw_line(e->w, "%s(%so);", right->name, text_of(&values));
        for (int j = 0; j < right->to; j++)
            t->store(e, t->data, &r, j, arena_printf(e->arena, "o[%d]", j));
        close_run(e, &r, true);
    }
    return left->operations * right->from + right->operations * left->to;
}

/* ---- one tile ---------------------------------------------------------------------------------------------------- */

/* Whether something holds for the tiles of a kind: for some, where it is a variable of the emitted function. */
enum when { NEVER, SOMETIMES, ALWAYS };

/* Tiles of a kind in one direction: as long as each other, large ones or small ones. */
struct tile_row {
    int m;                      /* outputs */
    int first, count;           /* their numbers */
    int shift;                  /* the first output of tile i is i * m + shift */
    struct winograd w;
    enum when after_others, last;       /* some tile comes before, none behind */
};

struct tile_kind {
    struct tile_row v, h;
};

static struct tile_row tile_row_of(const struct winograd_split *s, int r, bool small)
{
    struct tile_row k = { .m = s->m - small, .first = small ? s->large_count : 0 };
    k.shift = k.first;
    k.count = small ? s->tiles - s->large_count : s->large_count;
    k.w = winograd_make(k.m, r, s->points);
    k.after_others = k.first > 0 ? ALWAYS : k.count > 1 ? SOMETIMES : NEVER;
    k.last = k.first + k.count < s->tiles ? NEVER : k.count > 1 ? SOMETIMES : ALWAYS;
    return k;
}

/* What the text of one tile's vectors is made of. */
struct tile_text {
    const struct winograd_transform *t;
    const struct tile_kind *k;
    int tail;
    const char *row[WINOGRAD_CLASSES];  /* " + row0": of the tile in the class; "" where it is a number, */
    int64_t row_at[WINOGRAD_CLASSES];   /* which is part of the offset */
};

static bool to_values(enum transform kind)
{
    return kind == TRANSFORM_X || kind == TRANSFORM_DY;
}

static const char *const kind_names[] = { "x", "y", "dy", "dx" };

/* The matrix applied from the left, in one direction. */
static struct winograd_line line_of(struct emitter *e, enum transform kind, const struct winograd *w)
{
    static const char *const formulas[] = { "B^T d", "A^T m", "A dy", "B v" };
    struct winograd_matrix m = w->bt;
    switch (kind) {
    case TRANSFORM_X: break;
    case TRANSFORM_Y: m = w->at; break;
    case TRANSFORM_DY: m = winograd_transpose(&w->at); break;
    case TRANSFORM_DX: m = winograd_transpose(&w->bt); break;
    }
    return winograd_emit_line(e, &m, kind_names[kind], formulas[kind], w);
}

/* A transformed value in a column of a run of columns, or in a row of a run of rows. */
static const char *values_at(struct emitter *e, const struct tile_text *x, int p, int q, const struct winograd_run *r,
                             bool along_rows)
{
    const struct winograd_tiles *s = x->t->tiles;
    int k = s->class_of[p][q];
    int64_t first = winograd_position_offset(s, x->t->values, p, q), step = 0;
    if (r->count > 1)
        step = winograd_position_offset(s, x->t->values, p + along_rows, q + !along_rows) - first;
    return arena_printf(e->arena, "values%s%s + c", winograd_along(e, r, first + x->row_at[k], step), x->row[k]);
}

/* ---- borders: what of x lies outside of its map ------------------------------------------------------------------ */

/* Tiles of a kind whose row (or column) lies outside: those before `before`, and from `behind` on. */
struct outside {
    int before, behind;
};

static struct outside outside_of(const struct tile_row *k, int i, int zeros, int length)
{
    int end = k->first + k->count;
    struct outside o = { k->first, end };
    while (o.before < end && o.before * k->m + k->shift + i < zeros)
        o.before++;
    while (o.behind > o.before && (o.behind - 1) * k->m + k->shift + i - zeros >= length)
        o.behind--;
    return o;
}

static struct outside row_outside(const struct tile_text *x, int i)
{
    return outside_of(&x->k->v, i, x->t->top, x->t->h);
}

static struct outside column_outside(const struct tile_text *x, int j)
{
    return outside_of(&x->k->h, j, x->t->left, x->t->w);
}

/* When that is so for tile number `variable`: "" for always, NULL for never. */
static const char *outside_text(struct emitter *e, const struct tile_row *k, const struct outside *o,
                                const char *variable)
{
    bool before = o->before > k->first, behind = o->behind < k->first + k->count;
    if (o->before == o->behind)
        return "";
    if (before && behind)
        return arena_printf(e->arena, "%s < %d || %s >= %d", variable, o->before, variable, o->behind);
    if (before)
        return arena_printf(e->arena, "%s < %d", variable, o->before);
    return behind ? arena_printf(e->arena, "%s >= %d", variable, o->behind) : NULL;
}

/* Whether any tile reads zeros around the map: then a tile is given the map and finds its own corner. */
static bool has_borders(const struct winograd_transform *t)
{
    return t->kind == TRANSFORM_X && (t->top || t->left || t->tiles->v.length + t->tiles->r_v - 1 - t->top > t->h ||
                                      t->tiles->h.length + t->tiles->r_h - 1 - t->left > t->w);
}

static const char *column_empty(struct emitter *e, const void *data, int j)
{
    const struct tile_text *x = data;
    if (!has_borders(x->t))
        return NULL;
    struct outside o = column_outside(x, j);
    return outside_text(e, &x->k->h, &o, "across");
}

static bool column_begins(const void *data, int j)
{
    const struct tile_text *x = data;
    if (!to_values(x->t->kind))
        return winograd_column_begins(x->t->tiles, j);
    if (!has_borders(x->t))
        return false;
    struct outside a = column_outside(x, j - 1), b = column_outside(x, j);
    return a.before != b.before || a.behind != b.behind;
}

/* "(down * 4 - 1) * 512": where the tile begins in one direction, or a number. */
static const char *corner_text(struct emitter *e, const struct tile_row *k, int zeros, const char *variable,
                               int64_t step)
{
    int from = k->shift - zeros;
    if (k->count == 1)
        return arena_printf(e->arena, "%" PRId64, (k->first * k->m + from) * step);
    if (!from)
        return arena_printf(e->arena, "%s * %" PRId64, variable, k->m * step);
    return arena_printf(e->arena, "(%s * %d %c %d) * %" PRId64, variable, k->m, from < 0 ? '-' : '+', abs(from), step);
}

/* Where the tile begins, which may be before the map, and each row that some tiles have outside of it: those read one
 * pixel of zeros again and again. */
static void emit_corner(struct emitter *e, const struct tile_text *x)
{
    const struct winograd_transform *t = x->t;
    const struct tile_kind *k = x->k;
    const char *real = e->plan->real;
    bool zeros = false;
    cw_line(e->w, "const ptrdiff_t corner = %s;", text_plus(e, corner_text(e, &k->v, t->top, "down", t->row),
                                                            corner_text(e, &k->h, t->left, "across", t->pixel)));
    for (int i = 0; i < k->v.w.n; i++) {
        struct outside o = row_outside(x, i);
        const char *empty = outside_text(e, &k->v, &o, "down");
        if (!empty || !*empty)
            continue;
        if (!zeros)
            cw_line(e->w, "static const %s zeros[%d];", real, t->channels);
        zeros = true;
        cw_line(e->w, "const bool outside%d = %s;", i, empty);
        cw_line(e->w, "const %s *const line%d = outside%d ? zeros : map;", real, i, i);
        cw_line(e->w, "const ptrdiff_t at%d = outside%d ? 0 : corner%s, step%d = outside%d ? 0 : %" PRId64 ";", i, i,
                text_offset(e, i * t->row), i, i, t->pixel);
    }
}

static bool row_begins(const void *data, int i)
{
    const struct tile_text *x = data;
    if (to_values(x->t->kind))
        return winograd_row_begins(x->t->tiles, i);
    /* rows of dx that the tile above adds to, and that the one below will add to */
    return x->t->kind == TRANSFORM_DX && (i == x->k->v.w.r - 1 || i == x->k->v.m);
}

static const char *load(struct emitter *e, const void *data, int i, const struct winograd_run *j)
{
    const struct tile_text *x = data;
    const struct winograd_transform *t = x->t;
    if (!to_values(t->kind))
        return arena_printf(e->arena, "v_load(%s)", values_at(e, x, i, j->first, j, false));
    const char *at = arena_printf(e->arena, "c%s",
                                  winograd_along(e, j, i * t->row + j->first * t->pixel, t->pixel));
    if (!has_borders(t))
        return text_load(e, "map", at, x->tail);
    struct outside o = row_outside(x, i);
    const char *empty = outside_text(e, &x->k->v, &o, "down");
    if (empty && !*empty)
        return "v_zero()";
    if (!empty)
        return text_load(e, "map", arena_printf(e->arena, "(corner + %s)", at), x->tail);
    const char *step = arena_printf(e->arena, "step%d", i);
    const char *across = j->count > 1 ? arena_printf(e->arena, "%s * %s", j->index, step)
                         : j->first ? text_times(e, step, j->first) : "0";
    return text_load(e, arena_printf(e->arena, "line%d", i),
                     arena_printf(e->arena, "(%s)", text_plus(e, arena_printf(e->arena, "at%d + c", i), across)),
                         x->tail);
}

/* Both of them, or one of them; what holds always is not asked for. */
static enum when join(struct emitter *e, enum when a, const char *a_name, enum when b, const char *b_name, bool both,
                      const char **text)
{
    enum when strong = both ? NEVER : ALWAYS, weak = both ? ALWAYS : NEVER;
    if (a == strong || b == strong)
        return strong;
    if (a == weak && b == weak)
        return weak;
    *text = a == weak ? b_name : b == weak ? a_name : arena_printf(e->arena, "%s %s %s", a_name, both ? "&&" : "||",
                                                                   b_name);
    return SOMETIMES;
}

/* The channel of a vector. */
static const char *column_text(const struct winograd_transform *t)
{
    return t->chain->together && chain_has_columns(t->chain) ? "c / V_LANES" : "c";
}

/* An element of dx: added to what earlier tiles left, and finished by the chain when no later tile will add. */
static void store_dx(struct emitter *e, const struct tile_text *x, const struct winograd_run *i, int j,
                     const char *value, const char *at)
{
    const struct winograd_transform *t = x->t;
    const struct tile_row *v = &x->k->v, *h = &x->k->h;
    const char *test = NULL;
    enum when add = join(e, i->first < v->w.r - 1 ? v->after_others : NEVER, "above",
                         j < h->w.r - 1 ? h->after_others : NEVER, "before", false, &test);
    if (add == SOMETIMES)
        cw_open(e->w, "if (%s)", test);
    if (add != NEVER)
        cw_line(e->w, "%s = v_add(%s, %s);", value, value, text_load(e, "map", at, x->tail));
    if (add == SOMETIMES)
        cw_close(e->w, "");
    const char *final = t->chain ? chain_apply_at(e, t->chain, value, column_text(t), at, x->tail) : value;
    enum when done = join(e, i->first >= v->m ? v->last : ALWAYS, "last_v", j >= h->m ? h->last : ALWAYS, "last_h",
                          true, &test);
    if (t->chain && done == SOMETIMES) {
        cw_open(e->w, "if (%s)", test);
        cw_line(e->w, "%s = %s;", value, final);
        cw_close(e->w, "");
    }
    line_store(e, "map", at, done == ALWAYS ? final : value, x->tail);
}

/* Sums that do not wait for each other. */
enum { SUMS_APART = 2 };

static void begin_sums(struct emitter *e, const struct winograd_transform *t)
{
    for (int k = 0; k < SUMS_APART; k++)
        chain_sums_begin(e, t->chain, k);
}

static void end_sums(struct emitter *e, const struct winograd_transform *t)
{
    if (!chain_has_sums(t->chain))
        return;
    cw_line(e->w, "scales0 = v_add(scales0, scales1);");
    cw_line(e->w, "shifts0 = v_add(shifts0, shifts1);");
    chain_sums_end(e, t->chain, 0, "c");
}

static void store_y(struct emitter *e, const struct tile_text *x, const struct winograd_run *i, int j,
                    const char *value, const char *at)
{
    const struct chain *chain = x->t->chain;
    if (chain)
        value = chain_apply_at(e, chain, value, column_text(x->t), at, x->tail);
    const char *name = arena_printf(e->arena, "g%d_%d", i->first, j);
    line_store(e, "map", at, chain_sums_add(e, chain, value, name, j % SUMS_APART, "c", at, x->tail), x->tail);
}

static void store(struct emitter *e, const void *data, const struct winograd_run *i, int j, const char *value)
{
    const struct tile_text *x = data;
    const struct winograd_transform *t = x->t;
    if (to_values(t->kind)) {
        cw_line(e->w, "v_store(%s, %s);", values_at(e, x, i->first, j, i, true), value);
        return;
    }
    const char *at = arena_printf(e->arena, "c%s", winograd_along(e, i, i->first * t->row + j * t->pixel, t->row));
    if (t->kind == TRANSFORM_DX)
        store_dx(e, x, i, j, value, at);
    else
        store_y(e, x, i, j, value, at);
}

/* Rows and columns of the map, from the tile's first, that no tile before has asked for: those of the tile below, which
 * comes a row of tiles later, or of the next one, where there is one row of tiles only.  Behind the last row lies the
 * next image. */
static struct winograd_run asked_rows(const struct tile_text *x, int *column)
{
    const struct tile_row *v = &x->k->v, *h = &x->k->h;
    enum transform kind = x->t->kind;
    bool overlap = kind == TRANSFORM_X || kind == TRANSFORM_DX, below = v->count > 1;
    int rows = overlap ? v->w.n : v->m, columns = overlap ? h->w.n : h->m;
    *column = !below ? columns : kind == TRANSFORM_X ? (columns - h->m) / 2 : 0;
    return (struct winograd_run){ .index = "i", .first = below ? rows : 0, .count = below ? v->m : rows };
}

/* The lines that a later tile will write, and read for the chain, or that it will read, are asked for now. */
static void ask_ahead(struct emitter *e, const void *data)
{
    const struct tile_text *x = data;
    const struct winograd_transform *t = x->t;
    bool reads = to_values(t->kind);
    if (x->tail || (reads ? !t->far || x->k->v.count == 1 : t->asked))
        return;
    int first;
    const struct winograd_run rows = asked_rows(x, &first);
    open_run(e, &rows, true);
    for (int j = first; j < first + x->k->h.m; j++) {
        const char *at = arena_printf(e->arena, "%sc%s", has_borders(t) ? "corner + " : "",
                                      winograd_along(e, &rows, rows.first * t->row + j * t->pixel, t->row));
        cw_line(e->w, "%s(map + %s);", reads ? "v_prefetch" : "v_prefetchw", at);
        for (int o = 0; t->chain && o < t->chain->operands_count; o++)
            if (t->chain->operands[o].kind == OPERAND_ELEMENT)
                cw_line(e->w, "v_prefetch(%s + %s);", t->chain->operands[o].name, at);
    }
    close_run(e, &rows, true);
}

/* Is the image's number among the arguments? */
static bool takes_image(const struct winograd_transform *t)
{
    return t->values->images > 1;
}

/* Rows of the values that the tile (down, across) of image `image` has in each class. */
static void emit_rows(struct emitter *e, struct tile_text *x)
{
    const struct winograd_transform *t = x->t;
    const struct tile_kind *k = x->k;
    bool used[WINOGRAD_CLASSES] = { false };
    int classes = 0;
    for (int p = 0; p < k->v.w.n; p++)
        for (int q = 0; q < k->h.w.n; q++)
            used[t->tiles->class_of[p][q]] = true;
    for (int i = 0; i < WINOGRAD_CLASSES; i++)
        classes += used[i];
    for (int i = 0; i < WINOGRAD_CLASSES; i++) {
        int64_t across = t->values->width, down = across * t->tiles->class[i].rows_h,
                image = down * t->tiles->class[i].rows_v;
        struct text sum = { .arena = e->arena };
        x->row[i] = "";
        x->row_at[i] = 0;
        if (!used[i])
            continue;
        if (takes_image(t))
            text_add(&sum, "image * %" PRId64, image);
        if (k->v.count > 1)
            text_add(&sum, "%sdown * %" PRId64, sum.count ? " + " : "", down);
        else
            x->row_at[i] += k->v.first * down;
        if (k->h.count > 1)
            text_add(&sum, "%sacross * %" PRId64, sum.count ? " + " : "", across);
        else
            x->row_at[i] += k->h.first * across;
        if (!sum.count)
            continue;
        const char *name = classes > 1 ? arena_printf(e->arena, "row%d", i) : "row";
        cw_line(e->w, "const int %s = %s;", name, text_of(&sum));
        x->row[i] = arena_printf(e->arena, " + %s", name);
    }
}

/* Where tiles overlap: what is asked of each. */
static void emit_edges(struct emitter *e, const struct tile_kind *k, const struct winograd_transform *t)
{
    if (k->v.after_others == SOMETIMES)
        cw_line(e->w, "const bool above = down > 0;");
    if (k->h.after_others == SOMETIMES)
        cw_line(e->w, "const bool before = across > 0;");
    if (t->chain && k->v.last == SOMETIMES)
        cw_line(e->w, "const bool last_v = down == %d;", t->tiles->v.tiles - 1);
    if (t->chain && k->h.last == SOMETIMES)
        cw_line(e->w, "const bool last_h = across == %d;", t->tiles->h.tiles - 1);
}

static const char *emit_tile_transform(struct emitter *e, const struct winograd_transform *t, const struct tile_kind *k)
{
    const char *real = e->plan->real;
    bool in = to_values(t->kind);
    int whole = t->tail ? (t->channels - 1) / e->plan->lanes : t->channels / e->plan->lanes, operations = 0;
    struct tile_text x = { .t = t, .k = k };
    struct winograd_two_way both = {
        .left = line_of(e, t->kind, &k->v.w), .right = line_of(e, t->kind, &k->h.w), .column_begins = column_begins,
        .column_empty = column_empty, .row_begins = row_begins, .load = load, .between = ask_ahead, .store = store,
        .data = &x,
    };
    emit_function(e, "%s%s *map, %s%s *values%s%s%s%s", in ? "const " : "", real, in ? "" : "const ", real,
                  takes_image(t) ? ", int image" : "", k->v.count > 1 ? ", int down" : "",
                  k->h.count > 1 ? ", int across" : "", t->chain ? chain_parameters(e, t->chain) : "");
    emit_rows(e, &x);
    if (has_borders(t))
        emit_corner(e, &x);
    if (t->kind == TRANSFORM_DX)
        emit_edges(e, k, t);
    if (whole) {
        loop_open_vectors(e, "c", whole * e->plan->lanes);
        begin_sums(e, t);
        operations = winograd_emit_two_way(e, &both);
        end_sums(e, t);
        cw_close(e->w, "}");
    }
    if (t->tail) {
        cw_line(e->w, "const int c = %d;", whole * e->plan->lanes);
        x.tail = t->tail;
        begin_sums(e, t);
        operations = winograd_emit_two_way(e, &both);
        end_sums(e, t);
    }
    static const char *const formulas[] = { "B^T d B", "A^T M A", "A dy A^T", "B V B^T" };
    const char *comment = arena_printf(e->arena, "Winograd F(%dx%d, %dx%d), one tile: %s for %d channels; %d additions "
                                       "and multiplications a vector of them.", k->v.m, k->h.m, k->v.w.r, k->h.w.r,
                                       formulas[t->kind], t->channels, operations);
    return emit_end(e, arena_printf(e->arena, "winograd_%s%s_%dx%d_%dx%d_%d", kind_names[t->kind],
                                    has_borders(t) ? "_border" : "", k->v.m, k->h.m, k->v.w.r, k->h.w.r, t->channels),
                    comment);
}

/* ---- all tiles of an image --------------------------------------------------------------------------------------- */

/* Opens a loop over the tiles of a direction, or none for a single one or where the variable is given.  *start: of the
 * tile's first output, as C text. */
static bool open_tiles(struct emitter *e, const struct tile_row *k, const char *variable, bool given,
                       const char **start)
{
    if (k->count == 1) {
        *start = arena_printf(e->arena, "%d", k->first * k->m + k->shift);
        return false;
    }
    if (!given)
        cw_open(e->w, "for (int %s = %d; %s < %d; %s++) {", variable, k->first, variable, k->first + k->count,
                variable);
    *start = k->shift ? arena_printf(e->arena, "(%s * %d + %d)", variable, k->m, k->shift)
                      : arena_printf(e->arena, "%s * %d", variable, k->m);
    return !given;
}

/* start * step, both numbers where start is one. */
static const char *start_at(struct emitter *e, const struct tile_row *k, const char *start, int64_t step)
{
    if (k->count == 1)
        return arena_printf(e->arena, "%" PRId64, atoi(start) * step);
    return arena_printf(e->arena, "%s * %" PRId64, start, step);
}

/* The tiles of a kind that have no row (or column) outside of the map. */
static struct outside inner_tiles(const struct tile_row *k, int zeros, int length)
{
    struct outside all = { k->first, k->first + k->count };
    for (int i = 0; i < k->w.n; i++) {
        struct outside o = outside_of(k, i, zeros, length);
        all.before = o.before > all.before ? o.before : all.before;
        all.behind = o.behind < all.behind ? o.behind : all.behind;
    }
    return all;
}

/* "down >= 1 && down < 7 && across >= 1 && across < 7"; "" for all of a kind. */
static const char *inner_text(struct emitter *e, const struct tile_kind *k, const struct outside *v,
                              const struct outside *h, const char *down)
{
    const struct { const char *name; const struct tile_row *row; const struct outside *inner; } ways[] = {
        { down, &k->v, v }, { "across", &k->h, h }
    };
    struct text t = { .arena = e->arena };
    for (int i = 0; i < 2; i++) {
        if (ways[i].inner->before > ways[i].row->first)
            text_add(&t, "%s%s >= %d", t.count ? " && " : "", ways[i].name, ways[i].inner->before);
        if (ways[i].inner->behind < ways[i].row->first + ways[i].row->count)
            text_add(&t, "%s%s < %d", t.count ? " && " : "", ways[i].name, ways[i].inner->behind);
    }
    return t.count ? text_of(&t) : "";
}

/* The tile at `offset` from the one that would begin with the map's first pixel: one function for those inside of the
 * map, one for those that reach beyond it. */
static void emit_border_call(struct emitter *e, const struct winograd_transform *t, const struct tile_kind *k,
                             const char *map, const char *offset, const char *more, const char *down)
{
    struct outside v = inner_tiles(&k->v, t->top, t->h), h = inner_tiles(&k->h, t->left, t->w);
    struct winograd_transform within = *t;
    within.top = within.left = 0;
    within.h = within.w = INT_MAX;
    bool inner = v.before < v.behind && h.before < h.behind;
    const char *test = inner ? inner_text(e, k, &v, &h, down) : NULL;
    if (inner && *test)
        cw_open(e->w, "if (%s)", test);
    if (inner)
        cw_line(e->w, "%s(%s - %" PRId64 ", %s);", emit_tile_transform(e, &within, k), text_plus(e, map, offset),
                t->top * t->row + t->left * t->pixel, more);
    if (inner && *test)
        cw_middle(e->w, "else");
    if (!inner || *test)
        cw_line(e->w, "%s(%s, %s);", emit_tile_transform(e, t, k), map, more);
    if (inner && *test)
        cw_close(e->w, "");
}

static void emit_kind(struct emitter *e, const struct winograd_transform *t, bool small_v, bool small_h,
                      const char *map, const char *values, const char *image, const char *col, const char *at)
{
    const struct winograd_tiles *s = t->tiles;
    struct tile_kind k = { .v = tile_row_of(&s->v, s->r_v, small_v), .h = tile_row_of(&s->h, s->r_h, small_h) };
    const char *start_v, *start_h, *down = t->down ? t->down : "down";
    bool opened_v = open_tiles(e, &k.v, down, t->down, &start_v);
    bool opened_h = open_tiles(e, &k.h, "across", false, &start_h);
    const char *offset = text_plus(e, start_at(e, &k.v, start_v, t->row), start_at(e, &k.h, start_h, t->pixel));
    const char *more = arena_printf(e->arena, "%s%s%s%s%s", values, takes_image(t) ? ", " : "",
                                    takes_image(t) ? image : "",
                                    k.v.count > 1 ? arena_printf(e->arena, ", %s", down) : "",
                                    k.h.count > 1 ? ", across" : "");
    if (has_borders(t))
        emit_border_call(e, t, &k, map, offset, more, down);
    else
        cw_line(e->w, "%s(%s, %s%s);", emit_tile_transform(e, t, &k), text_plus(e, map, offset), more,
                t->chain ? chain_pass(e, t->chain, col, text_plus(e, at, offset)) : "");
    if (opened_h)
        cw_close(e->w, "}");
    if (opened_h || opened_v)
        chain_sums_take(e, t->chain, col, t->channels);
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
