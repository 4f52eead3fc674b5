/* emit_rate.c - the rate of each step, where the recipe has a schedule: its formula as C, in double. */
#include "emit/emit.h"
#include "expr/schedules.h"

struct rate_writer {
    struct cwriter *w;
    const char *list;
    int count;
};

static void open_list(void *context, int part, const bool *reads)
{
    (void)part;
    const struct rate_writer *r = context;
    cw_open(r->w, "for (int i = 0; i < %d; i++) {", r->count);
    if (reads[RATE_LIST])
        cw_line(r->w, "const double %s = list[i];", r->list);
}

static void close_list(void *context, int part)
{
    (void)part;
    const struct rate_writer *r = context;
    cw_close(r->w, "}");
}

/* Which inputs the rate is made of. */
static void find_reads(const struct model_schedule *s, bool reads[RATE_INPUTS])
{
    const bool *reached = expr_reached(s->pool, &s->rate, 1);
    for (int i = 0; i <= s->rate->id; i++)
        if (reached[i] && s->pool->nodes[i]->op == EXPR_INPUT)
            reads[s->pool->nodes[i]->index] = true;
}

static const char *list_text(struct emitter *e, const struct arg_value *list)
{
    struct text t = { .arena = e->arena };
    text_add(&t, "static const double list[] = {");
    for (int i = 0; i < list->list_length; i++)
        text_add(&t, "%s %s", i ? "," : "", emit_number(e, list->list[i]));
    text_add(&t, " };");
    return text_of(&t);
}

void emit_rate(struct emitter *e, struct cwriter *w)
{
    const struct model *m = e->plan->model;
    const struct model_schedule *s = m->schedule;
    if (!s)
        return;
    const struct arg_value *list = s->clause ? schedule_list(s->clause) : NULL;
    bool reads[RATE_INPUTS] = { false };
    const char *inputs[RATE_INPUTS];
    find_reads(s, reads);
    cw_comment(w, "The learning rate of a step: %s.", s->text);
    cw_line(w, "static double lr_schedule(const struct cnn_moment *at)");
    cw_open(w, "{");
    bool any = false;
    for (int i = 0; i < RATE_NAMES; i++) {
        inputs[i] = rate_names[i];
        any = any || reads[i];
        if (reads[i])
            cw_line(w, "const double %s = at->%s;", rate_names[i], rate_names[i]);
    }
    if (!any)
        cw_line(w, "(void)at;");
    inputs[RATE_LIST] = "each";
    if (reads[RATE_LIST])
        emit_wrapped(e, w, 1, list_text(e, list));
    struct rate_writer writer = { w, inputs[RATE_LIST], list ? list->list_length : 0 };
    const struct expr_loops loops = { .open = open_list, .close = close_list, .context = &writer, .count = "" };
    const struct expr_writing how = { .dialect = EXPR_C_SCALAR, .inputs = inputs, .inputs_count = RATE_INPUTS,
                                      .loops = &loops };
    const char *value = expr_write(w, s->pool, &how, &s->rate, 1);
    cw_line(w, "return %s;", value);
    cw_close(w, "}");
    cw_blank(w);
}
