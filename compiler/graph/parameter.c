/* parameter.c - see parameter.h. */
#include "graph/parameter.h"

#include <assert.h>

#include "base/text.h"

const struct param_form param_vector = {
    .files = { CNN_AXIS_OUT },
    .memory = { CNN_AXIS_OUT },
    .packing = PACKED_ROWS,
};

const struct param_form param_filters = {
    .files = { CNN_AXIS_OUT, CNN_AXIS_IN, CNN_AXIS_KH, CNN_AXIS_KW },
    .memory = { CNN_AXIS_OUT, CNN_AXIS_KH, CNN_AXIS_KW, CNN_AXIS_IN },
    .packing = PACKED_PANELS,
    .cut = CNN_AXIS_OUT,
};

const struct param_form param_filters_back = {
    .files = { CNN_AXIS_OUT, CNN_AXIS_IN, CNN_AXIS_KH, CNN_AXIS_KW },
    .memory = { CNN_AXIS_IN, CNN_AXIS_KH, CNN_AXIS_KW, CNN_AXIS_OUT },
    .packing = PACKED_PANELS,
    .cut = CNN_AXIS_IN,
};

bool order_equal(struct map_order a, struct map_order b)
{
    return a.c == b.c && (a.c == 0 || (a.h == b.h && a.w == b.w));
}

/* ---- axes -------------------------------------------------------------------------------------------------------- */

static int axes_count(const enum cnn_axis *list)
{
    int count = 0;

    while (count < CNN_MAX_RANK && list[count] != CNN_AXIS_NONE)
        count++;
    return count;
}

/* Where the form has that axis in the order of files; -1: nowhere. */
static int axis_index(const struct param_form *f, enum cnn_axis axis)
{
    for (int i = axes_count(f->files); i-- > 0;)
        if (f->files[i] == axis)
            return i;
    return -1;
}

int param_extent(const struct param *p, enum cnn_axis axis)
{
    int i = axis_index(p->form, axis);

    return i < 0 ? 1 : p->extents[i];
}

int64_t param_elements(const struct param *p)
{
    int64_t elements = 1;

    for (int i = axes_count(p->form->files); i-- > 0;)
        elements *= p->extents[i];
    return elements;
}

struct map_order param_order(const struct param *p, enum cnn_axis axis)
{
    int i = axis_index(p->form, axis);

    return i < 0 ? (struct map_order){ 0, 0, 0 } : p->orders[i];
}

void param_set_order(struct param *p, enum cnn_axis axis, struct map_order order)
{
    int i = axis_index(p->form, axis);

    assert(i >= 0);
    p->orders[i] = order;
}

int param_shape(const struct param *p, int64_t *shape, enum cnn_axis *axes)
{
    int rank = 0, count = axes_count(p->form->files);
    int64_t extent = 1;

    for (int i = 0; i < count; i++) {
        extent *= p->extents[i];
        if (p->form->joined >> i & 1)
            continue;
        if (axes)
            axes[rank] = p->form->files[i];
        shape[rank++] = extent;
        extent = 1;
    }
    return rank;
}

/* Positions have fans of their own.  What nothing flows through, a bias, counts its own numbers as both. */
void param_fans(const struct param *p, int64_t *in, int64_t *out)
{
    int64_t field = (int64_t)param_extent(p, CNN_AXIS_KH) * param_extent(p, CNN_AXIS_KW);

    *out = field * param_extent(p, CNN_AXIS_GROUP) * param_extent(p, CNN_AXIS_OUT);
    *in = axis_index(p->form, CNN_AXIS_IN) < 0 ? *out : field * param_extent(p, CNN_AXIS_IN);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static bool has_panels(const struct param *p, int panel)
{
    return p->form->packing == PACKED_PANELS || p->form->packing == PACKED_VECTORS ||
           (p->form->packing == PACKED_DIVISORS && panel < param_extent(p, p->form->cut));
}

static int64_t whole(int64_t value, int64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* The first dim of each axis: one in the order of a map is three of them. */
static int list_dims(const struct param *p, struct cnn_layout *l, int *first_dim)
{
    int count = axes_count(p->form->files);

    for (int i = 0; i < count; i++) {
        struct map_order o = p->orders[i];
        first_dim[i] = l->dims;
        if (o.c) {
            assert((int64_t)o.c * o.h * o.w == p->extents[i]);
            l->dim[l->dims++] = o.c;
            l->dim[l->dims++] = o.h;
            l->dim[l->dims++] = o.w;
        } else {
            l->dim[l->dims++] = p->extents[i];
        }
        assert(l->dims <= CNN_MAX_RANK);
    }
    return count;
}

/* Elements of axis i, that is from dim d on, `unit` apart; returns how far what lies around them is apart. */
static int64_t stride_axis(const struct param *p, struct cnn_layout *l, int i, int d, int64_t unit)
{
    struct map_order o = p->orders[i];

    l->stride[d] = unit;
    if (o.c) {
        l->stride[d + 1] = (int64_t)o.w * o.c * unit;
        l->stride[d + 2] = o.c * unit;
    }
    return unit * p->extents[i];
}

struct cnn_layout param_layout(const struct param *p, int panel, int lanes, int64_t *stored)
{
    struct cnn_layout l = { .panel_dim = -1 };
    int first_dim[CNN_MAX_RANK], count = list_dims(p, &l, first_dim);
    bool panels = has_panels(p, panel);
    int64_t unit = 1;

    if (p->form->packing == PACKED_DIVISORS && !panels) {       /* one panel: the axis itself is innermost */
        int i = axis_index(p->form, p->form->cut);
        unit = stride_axis(p, &l, i, first_dim[i], 1);
    } else if (panels) {
        unit = l.panel = panel;
    }
    for (int k = count; k-- > 0;) {
        int i = axis_index(p->form, p->form->memory[k]), d = first_dim[i];
        bool is_cut = p->form->packing >= PACKED_PANELS && p->form->files[i] == p->form->cut;
        if (is_cut && panels) {
            l.panel_dim = d;
            l.panel_stride = unit;
            l.stride[d] = 1;
            unit *= (p->extents[i] + panel - 1) / panel;
        } else if (!is_cut) {
            unit = stride_axis(p, &l, i, d, unit);
            if (k == count - 1 && p->form->packing == PACKED_ROWS)
                unit = whole(unit, lanes);
        }
    }
    *stored = unit;
    return l;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

const char *param_shape_text(struct arena *a, const struct param *p, const char *between)
{
    int64_t shape[CNN_MAX_RANK];
    int rank = param_shape(p, shape, NULL);
    const char *text = "";

    for (int i = 0; i < rank; i++)
        text = arena_printf(a, "%s%s%lld", text, i ? between : "", (long long)shape[i]);
    return text;
}

const char *param_memory_text(struct arena *a, const struct param *p, int panel)
{
    bool panels = p->form->packing >= PACKED_PANELS;
    const char *text = "";

    for (int k = 0; k < axes_count(p->form->memory); k++) {
        enum cnn_axis axis = p->form->memory[k];
        text = arena_printf(a, "%s%s%d", text, k ? ", " : "", param_extent(p, axis));
        if (panels && axis == p->form->cut)
            text = arena_printf(a, "%s in panels of %d", text, panel);
    }
    return arena_printf(a, "(%s)", text);
}

/* ---- verification ------------------------------------------------------------------------------------------------ */

const char *param_fault(const struct param *p)
{
    const struct param_form *f = p->form;
    int count = axes_count(f->files), dims = 0;

    if (count < 1 || axes_count(f->memory) != count)
        return "files and memory have other axes";
    for (int i = 0; i < count; i++) {
        struct map_order o = p->orders[i];
        if (axis_index(f, f->files[i]) != i || axis_index(f, f->memory[i]) < 0)
            return "files and memory have other axes";
        for (int k = 0; k < i; k++)
            if (f->memory[k] == f->memory[i])
                return "memory has an axis twice";
        if (p->extents[i] < 1)
            return "an extent is not positive";
        if (o.c && (int64_t)o.c * o.h * o.w != p->extents[i])
            return "its order does not have its number of elements";
        dims += o.c ? 3 : 1;
    }
    if (dims > CNN_MAX_RANK)
        return "it has too many axes";
    if (f->joined >> (count - 1))
        return "its last axis is joined to none";
    if (f->packing >= PACKED_PANELS && axis_index(f, f->cut) < 0)
        return "the axis that is cut into panels is none of its own";
    if (f->packing >= PACKED_PANELS && param_order(p, f->cut).c)
        return "the axis that is cut into panels has an order";
    return NULL;
}
