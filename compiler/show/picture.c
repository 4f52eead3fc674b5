/* picture.c - see picture.h.  Layers become boxes and groups.
 *
 * A group is what a block or a round of a repeat made, if one result arrives in it and one leaves.  Groups that stand
 * one behind the other and say the same are drawn once, with their number.  A layer that works element by element
 * stands in the box of the one before it. */
#include "show/picture.h"

#include <string.h>

#include "base/text.h"
#include "check/check.h"
#include "ops/ops.h"
#include "show/numbers.h"

enum { ALIKE_LEAST = 4 };       /* groups of the same layers with other shapes: so many are put together */

/* Layers first .. end - 1 of one group, or of the first of several. */
struct part {
    int first, end;
    const char *title;          /* "": a round of a repeat */
    bool named;
    struct part *children, *next;       /* in order */
    int copies;
    int last, run_end;          /* where the last copy begins and ends; of one copy: first, end */
};

struct drawing {
    struct arena *arena;
    const struct model *model;
    int *last_use;              /* by layer: the last one that reads it; of the network's result: layers_count */
};

/* ---- layers ---------------------------------------------------------------------------------- */

static bool has_window(const struct layer *l)
{
    for (const struct arg_def *arg = l->def->clause.args; arg && arg->name; arg++)
        if (arg->type == ARG_EXTENT2)
            return true;
    return false;
}

enum picture_kind picture_kind_of(const struct layer *l)
{
    const struct layer_def *def = l->def;
    bool alike = l->in.c == l->out.c && l->in.h == l->out.h && l->in.w == l->out.w && l->in.flat == l->out.flat;

    if (!l->inputs_count)
        return PICTURE_INPUT;
    if (def->is_join)
        return PICTURE_JOIN;
    if (def->normalises)
        return PICTURE_NORM;
    if (!def->is_activation && def->parameters && layer_weights(l) > 0)
        return l->out.flat ? PICTURE_VECTOR : PICTURE_WEIGHTS;
    return alike && !has_window(l) ? PICTURE_PLAIN : PICTURE_SHAPE;
}

static bool is_shown(const struct arg_def *def, const struct arg_value *v)
{
    bool is_default = def->type == ARG_EXTENT2 && (double)v->dims[0] == def->default_number && v->dims[1] == v->dims[0];

    if (!v->given || def->positional)
        return v->given;
    return def->type == ARG_INT || (def->type == ARG_EXTENT2 && !is_default) || def->type == ARG_EXTENT3 ||
        def->type == ARG_WORD;
}

/* `stride=2` says as much as `stride=2x2`. */
static void make_short(struct arg_def *def, struct arg_value *v)
{
    if (def->positional || def->type != ARG_EXTENT2 || v->dims[0] != v->dims[1])
        return;
    def->type = ARG_INT;
    v->number = (double)v->dims[0];
}

const char *picture_arguments(struct arena *a, const struct layer *l)
{
    struct clause shown = *l->clause;
    struct clause_def def = *shown.def;
    int count = clause_def_count(shown.def);
    struct arg_def *args = arena_array(a, (size_t)count + 1, sizeof *args);

    memcpy(args, def.args, (size_t)count * sizeof *args);
    def.args = args;
    shown.def = &def;
    shown.args = arena_array(a, (size_t)count + 1, sizeof *shown.args);
    for (int i = 0; i < count; i++) {
        shown.args[i] = l->clause->args[i];
        shown.args[i].given = is_shown(&args[i], &shown.args[i]);
        make_short(&args[i], &shown.args[i]);
    }
    return clause_text_of(a, &shown) + strlen(shown.def->name);
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* Whether one result arrives, from outside, and only the last layer's leaves. */
static bool is_closed(const struct drawing *d, int first, int end)
{
    const struct layer *arrives = NULL;

    for (int i = first; i < end; i++) {
        const struct layer *l = d->model->layers[i];
        if (i < end - 1 && d->last_use[i] >= end)
            return false;
        for (int k = 0; k < l->inputs_count; k++) {
            if (l->inputs[k]->index >= first)
                continue;
            if (arrives && arrives != l->inputs[k])
                return false;
            arrives = l->inputs[k];
        }
    }
    return arrives != NULL;
}

/* Where layer l's input lies, seen from a group that begins at first: 0 arrives from outside. */
static int relative(const struct layer *from, int first)
{
    return from->index < first ? 0 : from->index - first + 1;
}

static bool same_layers(struct arena *a, const struct model *m, int first, int other, int count, bool exactly)
{
    for (int i = 0; i < count; i++) {
        const struct layer *l = m->layers[first + i], *o = m->layers[other + i];
        if (l->def != o->def || l->inputs_count != o->inputs_count || l->trainable != o->trainable ||
            l->bias_only != o->bias_only)
            return false;
        for (int k = 0; k < l->inputs_count; k++)
            if (relative(l->inputs[k], first) != relative(o->inputs[k], other))
                return false;
        if (strcmp(clause_text_of(a, l->clause), clause_text_of(a, o->clause)))
            return false;
        if (exactly && (layer_weights(l) != layer_weights(o) || strcmp(shape_text(l->out).text,
                                                                       shape_text(o->out).text)))
            return false;
    }
    return true;
}

static bool same_parts(const struct part *p, const struct part *o)
{
    const struct part *x = p->children, *y = o->children;

    for (; x && y; x = x->next, y = y->next)
        if (strcmp(x->title, y->title) || x->first - p->first != y->first - o->first || x->end - p->first != y->end -
            o->first || x->copies != y->copies || !same_parts(x, y))
            return false;
    return !x && !y;
}

/* Whether the next part says the same as p and reads nothing but the one before it, which nothing else reads. */
static bool is_copy(const struct drawing *d, const struct part *p, const struct part *before, bool exactly)
{
    const struct part *next = before->next;

    if (!next || next->first != before->run_end || next->end - next->first != p->end - p->first ||
        next->run_end != next->end || strcmp(next->title, p->title) || d->last_use[before->run_end - 1] >= next->end)
        return false;
    for (int i = next->first; i < next->end; i++) {
        const struct layer *l = d->model->layers[i];
        for (int k = 0; k < l->inputs_count; k++)
            if (l->inputs[k]->index < next->first && l->inputs[k]->index != before->run_end - 1)
                return false;
    }
    return same_parts(p, next) && same_layers(d->arena, d->model, p->first, next->first, p->end - p->first, exactly);
}

static int run_of_copies(const struct drawing *d, const struct part *p, bool exactly, const struct part **last)
{
    int count = 1;

    for (*last = p; is_copy(d, p, *last, exactly); *last = (*last)->next)
        count++;
    return count;
}

/* Parts that say the same become one. */
static void fold(const struct drawing *d, struct part *list)
{
    for (struct part *p = list; p; p = p->next)
        fold(d, p->children);
    for (struct part *p = list; p; p = p->next) {
        const struct part *last;
        int copies = run_of_copies(d, p, true, &last);
        if (copies < 2)
            copies = run_of_copies(d, p, false, &last);
        if (copies < 2 || (copies < ALIKE_LEAST && !same_layers(d->arena, d->model, p->first, last->first,
                                                                p->end - p->first, true)))
            continue;
        p->copies = copies;
        p->last = last->first;
        p->run_end = last->end;
        p->next = last->next;
    }
}

/* A round of a repeat that stays alone is no part by itself; one that holds a single part is that part. */
static struct part *unwrap(struct part *list)
{
    struct part *first = NULL, **end = &first;

    for (struct part *p = list, *next; p; p = next) {
        next = p->next;
        p->children = unwrap(p->children);
        struct part *child = p->children;
        if (!*p->title && p->copies == 1) {
            *end = child;
        } else if (!*p->title && child && !child->next && child->first == p->first && child->run_end == p->end &&
                   child->copies == 1) {
            child->copies = p->copies;
            child->last = p->last;
            child->run_end = p->run_end;
            *end = child;
        } else {
            *end = p;
            p->next = NULL;
        }
        while (*end)
            end = &(*end)->next;
    }
    return first;
}

const char *picture_title(struct arena *a, const struct layer_group *g)
{
    return g->as ? arena_printf(a, "%s: %s", g->as, g->title) : g->title;
}

/* The group around a layer that lies directly in `outer`; NULL: the layer does. */
static const struct layer_group *group_in(const struct layer *l, const struct layer_group *outer)
{
    const struct layer_group *g = l->group, *in = NULL;

    for (; g != outer; g = g->outer)
        in = g;
    return in;
}

/* The parts directly in a group, of whose layers first is the first and end - 1 the last; a group that is not closed is
 * none, but those within it may be. */
static struct part *parts_of(const struct drawing *d, const struct layer_group *outer, int first, int end)
{
    struct part *list = NULL, **last = &list;

    for (int i = first, next; i < end; i = next) {
        const struct layer_group *g = group_in(d->model->layers[i], outer);
        next = i + 1;
        if (!g)
            continue;
        while (next < end && group_in(d->model->layers[next], outer) == g)
            next++;
        struct part *inside = parts_of(d, g, i, next);
        if (!is_closed(d, i, next)) {
            *last = inside;
        } else {
            *last = arena_alloc(d->arena, sizeof **last);
            **last = (struct part){.first = i, .end = next, .title = picture_title(d->arena, g), .named = g->as,
                                    .children = inside,
                                   .copies = 1, .last = i, .run_end = next};
        }
        while (*last)
            last = &(*last)->next;
    }
    return list;
}

/* ---- boxes ----------------------------------------------------------------------------------- */

/* A list being made. */
struct making {
    int first;                  /* its layers begin there */
    int *item_of;               /* by layer from first on: its item */
    int offset;                 /* how far away the last copy's layers lie */
    bool several;               /* layers stand for several */
    struct picture_list *list;
};

static const struct layer *last_of(const struct drawing *d, const struct making *p, const struct layer *l)
{
    return d->model->layers[l->index + p->offset];
}

/* "64x32x32", or of several copies the first's and the last's where they differ. */
static const char *first_and_last(const struct drawing *d, const char *first, const char *last)
{
    return strcmp(first, last) ? arena_printf(d->arena, "%s … %s", first, last) : first;
}

static const char *shape_of(const struct drawing *d, const struct layer *l, const struct layer *last)
{
    return first_and_last(d, arena_printf(d->arena, "%s", shape_text(l->out).text), shape_text(last->out).text);
}

static const char *weights_of(const struct drawing *d, const struct layer *l, const struct layer *last)
{
    char first_text[32], last_text[32];

    if (layer_weights(l) == 0 && layer_weights(last) == 0)
        return NULL;
    return first_and_last(d, arena_printf(d->arena, "%s", grouped(first_text, layer_weights(l))),
                          grouped(last_text, layer_weights(last)));
}

static struct picture_row row_of(const struct drawing *d, const struct making *p, const struct layer *l)
{
    const struct layer *last = last_of(d, p, l);

    return (struct picture_row){.layer = l,
                                .last = last,
                                .label = l->as,
                                .word = l->def->clause.name,
                                .number = l->as || p->several || !l->inputs_count ? "" : strrchr(l->name, '_'),
                                .arguments = picture_arguments(d->arena, l),
                                .weights = weights_of(d, l, last)};
}

/* Whether the layer stands in the box of the one before: it works element by element on what nothing else reads. */
static bool joins_box(const struct drawing *d, const struct picture_list *list, const struct layer *l)
{
    enum picture_kind kind = picture_kind_of(l);

    if ((kind != PICTURE_PLAIN && kind != PICTURE_NORM) || !list->count || l->inputs_count != 1)
        return false;
    const struct picture_item *box = &list->items[list->count - 1];
    return !box->inside && box->result == l->inputs[0] && box->kind != PICTURE_INPUT &&
           d->last_use[box->result->index] == l->index;
}

static void add_row(const struct drawing *d, struct picture_item *box, struct picture_row row)
{
    struct picture_row *rows = arena_array(d->arena, (size_t)box->rows_count + 1, sizeof *rows);

    if (box->rows_count)
        memcpy(rows, box->rows, (size_t)box->rows_count * sizeof *rows);
    rows[box->rows_count++] = row;
    box->rows = rows;
    box->result = row.layer;
    box->last_result = row.last;
    box->shape = shape_of(d, row.layer, row.last);
}

/* The items whose results layers first .. end - 1 read from before them. */
static void add_inputs(const struct drawing *d, const struct making *p, struct picture_item *item, int first, int end)
{
    int room = 0;

    for (int i = first; i < end; i++)
        room += d->model->layers[i]->inputs_count;
    item->inputs = arena_array(d->arena, (size_t)room + 1, sizeof *item->inputs);
    item->inputs_count = 0;
    for (int i = first; i < end; i++) {
        const struct layer *l = d->model->layers[i];
        for (int k = 0; k < l->inputs_count; k++) {
            int from = l->inputs[k]->index;
            if (from >= first)
                continue;
            if (!item->inside || !item->inputs_count)       /* a group gets one result, however often it is read there */
                item->inputs[item->inputs_count++] = from < p->first ? ARRIVES : p->item_of[from - p->first];
        }
    }
}

static struct picture_list *list_of(const struct drawing *d, struct making p, const struct part *parts, int end);

static void add_item(const struct making *p, const struct drawing *d, struct picture_item item, int first, int end)
{
    LIST_ADD(d->arena, p->list->items, p->list->count, p->list->capacity, item);
    for (int i = first; i < end; i++)
        p->item_of[i - p->first] = p->list->count - 1;
}

/* A block without a name that is a single box needs no frame. */
static void add_group(const struct drawing *d, const struct making *p, const struct part *part)
{
    int copies_apart = part->last - part->first;
    struct making inner = {.first = part->first, .offset = p->offset + copies_apart,
                          .several = p->several || part->copies > 1};
    const struct layer *result = d->model->layers[part->end - 1];
    struct picture_item group = {.title = part->title,
                                 .copies = part->copies,
                                 .result = result,
                                 .last_result = last_of(d, &inner, result)};

    group.inside = list_of(d, inner, part->children, part->end);
    group.shape = shape_of(d, d->model->layers[result->index + copies_apart], group.last_result);
    if (part->copies == 1 && !part->named && group.inside->count == 1 && !group.inside->items[0].inside)
        group = group.inside->items[0];
    add_inputs(d, p, &group, part->first, part->end);
    add_item(p, d, group, part->first, part->run_end);
}

static void add_layer(const struct drawing *d, const struct making *p, const struct layer *l)
{
    struct picture_list *list = p->list;

    if (!joins_box(d, list, l)) {
        struct picture_item box = {.kind = picture_kind_of(l), .copies = 1};
        add_inputs(d, p, &box, l->index, l->index + 1);
        LIST_ADD(d->arena, list->items, list->count, list->capacity, box);
    }
    add_row(d, &list->items[list->count - 1], row_of(d, p, l));
    p->item_of[l->index - p->first] = list->count - 1;
}

/* Layers p.first .. end - 1, some of which are parts. */
static struct picture_list *list_of(const struct drawing *d, struct making p, const struct part *parts, int end)
{
    p.list = arena_alloc(d->arena, sizeof *p.list);
    p.item_of = arena_array(d->arena, (size_t)(end - p.first) + 1, sizeof *p.item_of);
    for (int i = p.first; i < end;) {
        if (parts && parts->first == i) {
            add_group(d, &p, parts);
            i = parts->run_end;
            parts = parts->next;
        } else {
            add_layer(d, &p, d->model->layers[i++]);
        }
    }
    return p.list;
}

struct picture_list *picture_of(struct arena *a, const struct model *m)
{
    struct drawing d = {.arena = a, .model = m};

    d.last_use = arena_array(a, (size_t)m->layers_count, sizeof *d.last_use);
    for (int i = 0; i < m->layers_count; i++)
        for (int k = 0; k < m->layers[i]->inputs_count; k++)
            d.last_use[m->layers[i]->inputs[k]->index] = i;
    d.last_use[m->layers_count - 1] = m->layers_count;
    struct part *parts = parts_of(&d, NULL, 0, m->layers_count);
    fold(&d, parts);
    return list_of(&d, (struct making){0}, unwrap(parts), m->layers_count);
}
