/* portable.c - see portable.h. */
#include "kernels/portable.h"

#include <inttypes.h>
#include <string.h>

#include "ops/ops.h"

/* There is nothing to choose from: only what an operation counts. */
double portable_cost(const struct plan *p, const struct group *g)
{
    return (double)group_flops(p, g) / p->target->flops_per_cycle;
}

void portable_plan(struct plan *p, struct program *q, struct group *g)
{
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "forward", group_flops(p, g));
    const struct node *n = g->main;
    int value = -1;             /* of an elementwise operation the only input that its chain does not read */

    chain_accepts(n, &value);
    for (int i = 0; i < n->in_count; i++)
        if (value < 0 || i == value)
            step_takes(p, s, ACCESS_READ, n->in[i]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    step_takes_chain(p, s);
}

bool portable_reads(const struct group *g, const struct tensor *t)
{
    for (int i = 0; i < g->main->in_count; i++)
        if (g->main->in[i] && tensor_base(g->main->in[i]) == tensor_base(t))
            return true;
    return false;
}

/* ---- functions --------------------------------------------------------------------------------------------------- */

struct portable portable_begin(struct emitter *e, const struct step *s, const char *const *inputs)
{
    const struct group *g = s->group;
    struct portable f = { .e = e, .group = g, .in = g->main->in[0]->shape, .out = g->main->out[0]->shape };
    /* written over: what the operation reads, or what the chain does */
    const char *parameters = "", *apart = g->in_place ? "" : "restrict ";
    const char *kept = g->in_place && portable_reads(g, g->in_place) ? "" : "restrict ";

    chain_make(e->plan, g, &f.chain);
    for (int i = 0; inputs[i]; i++)
        parameters = text_printf(e, "%sconst float *%s%s, ", parameters, kept, inputs[i]);
    emit_function(e, "%sfloat *%sy%s", parameters, apart, chain_parameters(e, &f.chain));
    return f;
}

static const char *shape_of(const struct portable *f, const struct tensor *t)
{
    struct shape s = t->shape;

    if (s.h == 1 && s.w == 1)
        return text_printf(f->e, "%d", s.c);
    if (t->planes)
        return text_printf(f->e, "%d x %d x %d (channels first)", s.c, s.h, s.w);
    return text_printf(f->e, "%d x %d x %d", s.h, s.w, s.c);
}

/* Whether the operation bears the layer's name, as C can have it, perhaps with its kind behind it. */
static bool is_called_as(const struct node *n, const struct layer *l)
{
    size_t length = strlen(l->name);

    for (size_t i = 0; i < length; i++)
        if (n->name[i] != (l->name[i] == '.' ? '_' : l->name[i]))
            return false;
    return !n->name[length] || (n->name[length] == '_' && !strcmp(n->name + length + 1, l->def->clause.name));
}

/* "conv2d_1 (line 5) + bias + relu: 28 x 28 x 1 -> 24 x 24 x 6; 86400 multiply-adds" */
static const char *comment_of(const struct portable *f)
{
    const struct group *g = f->group;
    const struct node *n = g->main;
    const struct layer *l = n->layer;
    const char *text = is_called_as(n, l) ? l->name : n->name;

    if (text == l->name && l->where.file)
        text = text_printf(f->e, "%s (%s)", text, layer_place_text(f->e->arena, f->e->plan->model, l));
    for (int i = 0; i < g->chain_count; i++)
        text = text_printf(f->e, "%s + %s", text,
                           g->chain[i]->op == OP_activation ? activation_word(g->chain[i]->attr.activation)
                           : g->chain[i]->op == OP_bias     ? "bias" : g->chain[i]->name);
    text = text_printf(f->e, "%s: %s -> %s", text, shape_of(f, n->in[0]), shape_of(f, g->result));
    if (n->in_count > 1 && n->in[1] && n->in[1]->param && l->def->multiply_adds && n->op != OP_scale &&
        n->op != OP_bias)
        text = text_printf(f->e, "%s; %" PRId64 " multiply-adds", text, l->def->multiply_adds(l));
    return text;
}

const char *portable_end(const struct portable *f, const char *name)
{
    const char *hint = text_printf(f->e, "%s_%s", name, text_shape(f->e, f->in));

    if (f->in.c != f->out.c || f->in.h != f->out.h || f->in.w != f->out.w)
        hint = text_printf(f->e, "%s_to_%s", hint, text_shape(f->e, f->out));
    return emit_end(f->e, hint, comment_of(f));
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

void portable_loop(const struct portable *f, const char *name, int64_t end, bool brace)
{
    cw_open(f->e->w, "for (int %s = 0; %s < %" PRId64 "; %s++)%s", name, name, end, name, brace ? " {" : "");
}

void portable_close(const struct portable *f, int loops)
{
    for (int i = 0; i < loops; i++)
        cw_close(f->e->w, "}");
}

void portable_each(const struct portable *f, const char *name, int64_t end, const char *line)
{
    portable_loop(f, name, end, false);
    cw_line(f->e->w, "%s", line);
    cw_close(f->e->w, "");
}

const char *portable_times(const struct portable *f, const char *name, int64_t factor)
{
    return factor == 1 ? name : text_printf(f->e, "%s * %" PRId64, name, factor);
}

const char *portable_inside(const struct portable *f, const char *name, const char *inner, int64_t extent)
{
    if (extent == 1)
        return text_printf(f->e, "%s + %s", name, inner);
    return text_printf(f->e, strchr(name, ' ') ? "(%s) * %" PRId64 " + %s" : "%s * %" PRId64 " + %s", name, extent,
                       inner);
}

/* ---- windows ----------------------------------------------------------------------------------------------------- */

/* One direction of a window. */
struct direction {
    const char *tap, *position;     /* names of the loops' variables */
    const char *at;                 /* the map's row or column */
    int size, stride, dilation, before, in, out;
};

static void directions_of(const struct portable *f, const struct window *w, struct direction *d)
{
    d[0] = (struct direction){ "i", "row", "r", w->kh, w->stride_h, w->dilation_h, w->pad_top, f->in.h, f->out.h };
    d[1] = (struct direction){ "j", "column", "q", w->kw, w->stride_w, w->dilation_w, w->pad_left, f->in.w, f->out.w };
}

static bool reaches_out(const struct direction *d)
{
    return d->before > 0 || (d->out - 1) * d->stride + (d->size - 1) * d->dilation - d->before >= d->in;
}

bool portable_reaches_out(const struct portable *f, const struct window *w)
{
    struct direction d[2];

    directions_of(f, w, d);
    return reaches_out(&d[0]) || reaches_out(&d[1]);
}

void portable_positions(const struct portable *f, const struct window *w, int channels, const char *also)
{
    const char *step = "";

    if (w && !portable_reaches_out(f, w))
        step = text_printf(f->e, "x += %d, ", w->stride_w * channels);
    step = text_printf(f->e, "%sy += %d", step, f->out.c);
    if (also)
        step = text_printf(f->e, "%s, %s += %d", step, also, f->out.c);
    for (int i = 0; i < f->chain.operands_count; i++)
        if (f->chain.operands[i].kind == OPERAND_ELEMENT)
            step = text_printf(f->e, "%s, %s += %d", step, f->chain.operands[i].name, f->out.c);
    portable_loop(f, "row", f->out.h, true);
    cw_open(f->e->w, "for (int column = 0; column < %d; column++, %s) {", f->out.w, step);
}

void portable_positions_end(const struct portable *f, const struct window *w, int channels)
{
    int rest = w ? (w->stride_h * f->in.w - w->stride_w * f->out.w) * channels : 0;

    cw_close(f->e->w, "}");
    if (rest && !portable_reaches_out(f, w))
        cw_line(f->e->w, rest > 0 ? "x += %d;" : "x -= %d;", rest > 0 ? rest : -rest);
    cw_close(f->e->w, "}");
}

/* The loop over taps, if there are several.  Returns the loops opened. */
static int open_taps(const struct portable *f, const struct direction *d)
{
    if (d->size > 1)
        portable_loop(f, d->tap, d->size, true);
    return d->size > 1;
}

/* Where a tap lies; one beside the map is left out: the loop goes on with the next one, or there is an `if`.  Returns
 * the braces opened. */
static int find_tap(const struct portable *f, const struct direction *d)
{
    const char *at = portable_times(f, d->position, d->stride), *beside;

    if (d->size > 1)
        at = text_printf(f->e, "%s + %s", at, portable_times(f, d->tap, d->dilation));
    if (d->before)
        at = text_printf(f->e, "%s - %d", at, d->before);
    cw_line(f->e->w, "const int %s = %s;", d->at, at);
    if (!reaches_out(d))
        return 0;
    beside = text_printf(f->e, d->before ? "%s < 0 || " : "", d->at);
    beside = text_printf(f->e, "%s%s >= %d", beside, d->at, d->in);
    if (d->size == 1) {
        cw_open(f->e->w, "if (!(%s)) {", beside);
        return 1;
    }
    cw_open(f->e->w, "if (%s)", beside);
    cw_line(f->e->w, "continue;");
    cw_close(f->e->w, "");
    return 0;
}

/* "(i * 28 + j) * 6", NULL for nothing: from where x is to what a tap lies on. */
static const char *tap_offset(const struct portable *f, const struct window *w, int channels)
{
    int64_t row = (int64_t)w->dilation_h * f->in.w, column = w->dilation_w;
    const char *offset = NULL;

    if (w->kh > 1 && w->kw > 1)
        offset = text_printf(f->e, "%s + %s", portable_times(f, "i", row), portable_times(f, "j", column));
    else if (w->kh > 1)
        return portable_times(f, "i", row * channels);
    else if (w->kw > 1)
        return portable_times(f, "j", column * channels);
    return offset && channels > 1 ? text_printf(f->e, "(%s) * %d", offset, channels) : offset;
}

int portable_taps(const struct portable *f, const struct window *w, int channels)
{
    struct direction d[2];
    bool walks = !portable_reaches_out(f, w);
    int loops = 0;

    directions_of(f, w, d);
    for (int i = 0; i < 2; i++) {
        loops += open_taps(f, &d[i]);
        loops += walks ? 0 : find_tap(f, &d[i]);
    }
    const char *place = walks ? tap_offset(f, w, channels) : portable_inside(f, "r", "q", f->in.w);
    if (!walks && channels > 1)
        place = text_printf(f->e, "(%s) * %d", place, channels);
    cw_line(f->e->w, "const float *at = x%s%s;", place ? " + " : "", place ? place : "");
    return loops;
}

/* The row (column) of x from which a tap reaches this position, times the stride; a tap that none reaches it from is
 * left out.  Returns the braces opened. */
static int find_tap_back(const struct portable *f, const struct direction *d)
{
    struct emitter *e = f->e;
    int most = d->before + d->out - 1;          /* of what is divided by the stride */
    const char *at = d->position, *beside = "";

    if (d->before)
        at = text_printf(e, "%s + %d", at, d->before);
    if (d->size > 1)
        at = text_printf(e, "%s - %s", at, portable_times(f, d->tap, d->dilation));
    cw_line(e->w, "const int %s = %s;", d->at, at);
    if (d->size > 1)
        beside = text_printf(e, "%s < 0", d->at);
    if (d->stride > 1)
        beside = text_printf(e, "%s%s%s %% %d != 0", beside, *beside ? " || " : "", d->at, d->stride);
    if (most >= d->stride * d->in)
        beside = text_printf(e, "%s%s%s >= %d", beside, *beside ? " || " : "", d->at, d->stride * d->in);
    if (!*beside)
        return 0;
    if (d->size == 1) {
        cw_open(e->w, "if (!(%s)) {", beside);
        return 1;
    }
    cw_open(e->w, "if (%s)", beside);
    cw_line(e->w, "continue;");
    cw_close(e->w, "");
    return 0;
}

int portable_taps_back(const struct portable *f, const struct window *w)
{
    struct direction d[2];
    int loops = 0;

    directions_of(f, w, d);
    for (int i = 0; i < 2; i++) {
        loops += open_taps(f, &d[i]);
        loops += find_tap_back(f, &d[i]);
    }
    const char *row = text_over(f->e, "r", w->stride_h), *column = text_over(f->e, "q", w->stride_w);
    const char *place = portable_inside(f, text_printf(f->e, w->stride_h > 1 ? "(%s)" : "%s", row), column, f->in.w);
    cw_line(f->e->w, f->in.c > 1 ? "const float *at = x + (%s) * %d;" : "const float *at = x + %s;", place, f->in.c);
    return loops;
}

/* ---- chains ------------------------------------------------------------------------------------------------------ */

int portable_sums(const struct portable *f)
{
    return chain_leading_sums(&f->chain);
}

const char *portable_start(const struct portable *f, const char *channel, const char *element)
{
    int sums = portable_sums(f);

    return sums ? chain_apply_plain(f->e, &f->chain, 0, sums, NULL, channel, element) : "0.0f";
}

const char *portable_chain(const struct portable *f, int from, const char *value, const char *channel,
                           const char *element)
{
    int count = chain_operations(&f->chain);

    return from < count ? chain_apply_plain(f->e, &f->chain, from, count, value, channel, element) : NULL;
}
