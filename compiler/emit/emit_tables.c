/* emit_tables.c - the model as constant tables, what ties them together, main(), and the header
 * beside the file. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "config.h"
#include "emit/emit.h"
#include "model/optimizers.h"
#include "ops/ops.h"
#include "base/output.h"
#include "base/text.h"
#include "plan/plan_parts.h"

/* ---- parameters ------------------------------------------------------------------------------ */

static const char *axis_name(enum cnn_axis axis)
{
    switch (axis) {
    case CNN_AXIS_NONE: return "CNN_AXIS_NONE";
    case CNN_AXIS_OUT: return "CNN_AXIS_OUT";
    case CNN_AXIS_IN: return "CNN_AXIS_IN";
    case CNN_AXIS_KH: return "CNN_AXIS_KH";
    case CNN_AXIS_KW: return "CNN_AXIS_KW";
    case CNN_AXIS_OH: return "CNN_AXIS_OH";
    case CNN_AXIS_OW: return "CNN_AXIS_OW";
    case CNN_AXIS_GROUP: return "CNN_AXIS_GROUP";
    }
    return NULL;
}

static const char *axes_text(struct emitter *e, const enum cnn_axis *list, int count)
{
    char *text = arena_printf(e->arena, "{");
    for (int i = 0; i < count; i++)
        text = arena_printf(e->arena, "%s%s %s", text, i ? "," : "", axis_name(list[i]));
    return arena_printf(e->arena, "%s }", text);
}

static const char *init_name(enum cnn_init_kind kind)
{
    switch (kind) {
    case CNN_INIT_ZEROS: return "CNN_INIT_ZEROS";
    case CNN_INIT_ONES: return "CNN_INIT_ONES";
    case CNN_INIT_CONSTANT: return "CNN_INIT_CONSTANT";
    case CNN_INIT_UNIFORM: return "CNN_INIT_UNIFORM";
    case CNN_INIT_NORMAL: return "CNN_INIT_NORMAL";
    case CNN_INIT_TRUNCATED_NORMAL: return "CNN_INIT_TRUNCATED_NORMAL";
    case CNN_INIT_ORTHOGONAL: return "CNN_INIT_ORTHOGONAL";
    case CNN_INIT_DIRAC: return "CNN_INIT_DIRAC";
    case CNN_INIT_WHITEN: return "CNN_INIT_WHITEN";
    }
    return NULL;
}

static const char *init_text(struct emitter *e, struct cnn_init init)
{
    const char *name = init_name(init.kind);
    if (init.kind == CNN_INIT_ZEROS || init.kind == CNN_INIT_ONES ||
        init.kind == CNN_INIT_ORTHOGONAL)
        return arena_printf(e->arena, "{ .kind = %s }", name);
    const char *rest = init.kind == CNN_INIT_DIRAC ? arena_printf(e->arena, ", .rest = %s", init_name(init.rest)) : "";
    if (init.kind == CNN_INIT_DIRAC && init.groups > 1)
        rest = arena_printf(e->arena, "%s, .groups = %d", rest, init.groups);
    return arena_printf(e->arena, "{ .kind = %s, .a = %s, .b = %s%s }", name, emit_number(e, init.a),
                        emit_number(e, init.b), rest);
}

static const char *sizes_text(struct emitter *e, const int64_t *list, int count)
{
    char *text = arena_printf(e->arena, "{");
    for (int i = 0; i < count; i++)
        text = arena_printf(e->arena, "%s%s %" PRId64, text, i ? "," : "", list[i]);
    return arena_printf(e->arena, "%s }", text);
}

static void emit_param(struct emitter *e, struct cwriter *w, const struct param *p)
{
    static const char *const roles[] = {
        [CNN_WEIGHT] = "CNN_WEIGHT", [CNN_BIAS] = "CNN_BIAS", [CNN_STATISTIC] = "CNN_STATISTIC"
    };
    const struct param_place *place = &e->plan->params[p->id];
    const struct cnn_layout *l = &place->layout;
    int64_t shape[CNN_MAX_RANK];
    enum cnn_axis axes[CNN_MAX_RANK];
    int rank = param_shape(p, shape, axes);
    cw_open(w, "{");
    cw_line(w, ".name = %s, .role = %s, .trainable = %s,", emit_quoted(e, p->name), roles[p->role],
            p->trainable ? "true" : "false");
    cw_line(w, ".rank = %d, .shape = %s, .count = %" PRId64 ",", rank, sizes_text(e, shape, rank), param_elements(p));
    cw_line(w, ".axis = %s,", axes_text(e, axes, rank));
    cw_open(w, ".layout = {");
    cw_line(w, ".dims = %d, .dim = %s, .stride = %s,", l->dims, sizes_text(e, l->dim, l->dims),
            sizes_text(e, l->stride, l->dims));
    if (l->panel_dim < 0)
        cw_line(w, ".panel_dim = -1");
    else
        cw_line(w, ".panel_dim = %d, .panel = %" PRId64 ", .panel_stride = %" PRId64, l->panel_dim, l->panel,
                l->panel_stride);
    cw_close(w, "},");
    cw_line(w, ".offset = %" PRId64 ", .stored = %" PRId64 ",", place->offset, place->stored);
    if (p->l2 != 0)
        cw_line(w, ".l2 = %s,", emit_number(e, p->l2));
    cw_line(w, ".init = %s", init_text(e, p->init));
    cw_close(w, "},");
}

static void emit_params(struct emitter *e, struct cwriter *w)
{
    const struct graph *g = e->plan->train.graph;
    if (!g->params_count)
        return;
    cw_comment(w, "Parameters, in the order of files, and where their elements lie.");
    cw_open(w, "static const struct cnn_param param_table[] = {");
    for (int i = 0; i < g->params_count; i++)
        emit_param(e, w, g->params[i]);
    cw_close(w, "};");
    cw_blank(w);
}

/* ---- layers ---------------------------------------------------------------------------------- */

static const char *clause_text_of(struct emitter *e, const struct clause *c, const char *between);

static const char *extent_text(struct emitter *e, const int64_t *dims, int count)
{
    char *text = arena_printf(e->arena, "%" PRId64, dims[0]);
    for (int i = 1; i < count; i++)
        text = arena_printf(e->arena, "%sx%" PRId64, text, dims[i]);
    return text;
}

static const char *list_text(struct emitter *e, const struct arg_value *v)
{
    struct text text = { .arena = e->arena };
    text_add(&text, "[");
    for (int i = 0; i < v->list_length; i++)
        text_add(&text, "%s%.10g", i ? ", " : "", v->list[i]);
    text_add(&text, "]");
    return text_of(&text);
}

/* An activation or initialiser as an argument: "elu", "leaky_relu(0.1)". */
static const char *call_text(struct emitter *e, const struct clause *c)
{
    const char *text = clause_text_of(e, c, "(");
    return strchr(text, '(') ? arena_printf(e->arena, "%s)", text) : text;
}

static const char *arg_text(struct emitter *e, const struct arg_def *def, const struct arg_value *v)
{
    switch (def->type) {
    case ARG_INT: case ARG_REAL: return arena_printf(e->arena, "%.10g", v->number);
    case ARG_BOOL: return v->number != 0 ? "on" : "off";
    case ARG_WORD: case ARG_COLUMNS: case ARG_MONITOR: return v->text;
    case ARG_STRING: return emit_quoted(e, v->text);
    case ARG_CLASS: return v->text ? emit_quoted(e, v->text) : arena_printf(e->arena, "%.10g", v->number);
    case ARG_EXTENT2: return extent_text(e, v->dims, 2);
    case ARG_EXTENT3: return extent_text(e, v->dims, 3);
    case ARG_SHAPE: return extent_text(e, v->dims, v->dims[1] ? 3 : 1);
    case ARG_SIDES:
        return arena_printf(e->arena, "[%d, %d, %d, %d]", (int)v->dims[0], (int)v->dims[1], (int)v->dims[2],
                            (int)v->dims[3]);
    case ARG_PADDING: return v->text ? v->text : extent_text(e, v->dims, 2);
    case ARG_REAL_LIST: return list_text(e, v);
    case ARG_ACTIVATION: case ARG_INIT: return v->call ? call_text(e, v->call) : "none";
    case ARG_ANY: break;        /* of blocks, which are expanded */
    }
    return "";
}

/* The clause as its user would write it, with the arguments that were given; between: after the
 * first word. */
static const char *clause_text_of(struct emitter *e, const struct clause *c, const char *between)
{
    const char *text = c->def->name;
    int args = clause_def_count(c->def);
    bool in_order = true;       /* positional arguments need their names after a gap */
    for (int i = 0; i < args; i++) {
        const struct arg_def *def = &c->def->args[i];
        if (!c->args[i].given) {
            in_order &= !def->positional;
            continue;
        }
        bool named = !def->positional || !in_order;
        text = arena_printf(e->arena, "%s%s%s%s%s", text, text == c->def->name ? between : ", ",
                            named ? def->name : "", named ? "=" : "",
                            arg_text(e, def, &c->args[i]));
    }
    return text;
}

static void emit_layer(struct emitter *e, struct cwriter *w, const struct layer *l, const char *plan)
{
    cw_open(w, "{");
    cw_line(w, ".name = %s,", emit_quoted(e, l->name));
    cw_line(w, ".text = %s,", emit_quoted(e, clause_text_of(e, l->clause, " ")));
    cw_line(w, ".channels = %d, .height = %d, .width = %d, .flat = %s,", l->out.c, l->out.h,
            l->out.w, l->out.flat ? "true" : "false");
    cw_line(w, ".parameters = %" PRId64 ", .multiply_adds = %" PRId64 ",",
            l->def->parameters ? l->def->parameters(l) : 0,
            l->def->multiply_adds ? l->def->multiply_adds(l) : 0);
    cw_line(w, ".plan = %s%s", emit_quoted(e, plan), layer_follows(l) ? "" : ",");
    if (!layer_follows(l))
        cw_line(w, ".inputs = %s", emit_quoted(e, layer_inputs(e->arena, l)));
    cw_close(w, "},");
}

static void emit_layers(struct emitter *e, struct cwriter *w)
{
    const struct model *m = e->plan->model;
    const char *const *plans = plan_layers(e->arena, e->plan);
    cw_comment(w, "Layers, for summaries.");
    cw_open(w, "static const struct cnn_layer_info layer_table[] = {");
    for (int i = 0; i < m->layers_count; i++)
        emit_layer(e, w, m->layers[i], plans[i]);
    cw_close(w, "};");
    cw_blank(w);
}

static void emit_stretches(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    int64_t flops = p->update.flops;       /* an element */
    cw_comment(w, "What is timed.");
    cw_open(w, "static const struct cnn_stretch stretch_table[] = {");
    for (int i = 0; i < p->stretches_count; i++) {
        const struct stretch *s = &p->stretches[i];
        cw_line(w, "[%s] =", e->stretches[i]);
        cw_line(w, "    { .layer = %d, .backward = %s, .what = %s, .flops = %" PRId64 " },",
                s->layer ? s->layer->index : -1, s->backward ? "true" : "false",
                emit_quoted(e, s->what), s->flops + s->updated * flops);
    }
    cw_line(w, "[%s] =", e->stretches[p->stretches_count]);
    cw_line(w, "    { .layer = -1, .backward = true, .what = \"update\", .flops = %" PRId64 " },",
            p->update.late_elements * flops + p->update.matrix_flops);
    cw_close(w, "};");
    cw_blank(w);
}

/* ---- the model ------------------------------------------------------------------------------- */

/* The recipe's text, a string for each line. */
static void emit_recipe_text(struct emitter *e, struct cwriter *w, const char *text)
{
    cw_comment(w, "What cnnc --explain says of the model.");
    cw_open(w, "static const char *const recipe_text[] = {");
    emit_strings(e, w, text);
    cw_line(w, "NULL");
    cw_close(w, "};");
    cw_blank(w);
}

static void emit_state_table(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    if (!u->slots_count)
        return;
    cw_comment(w, "What the optimizer keeps of each parameter.");
    cw_open(w, "static const char *const slot_table[] = {");
    for (int i = 0; i < u->slots_count; i++)
        cw_line(w, "%s,", emit_quoted(e, u->slots[i]));
    cw_close(w, "};");
    cw_blank(w);
}

static void emit_state_fields(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    cw_line(w, ".optimizer_slots = %d,", u->slots_count);
    if (u->slots_count)
        cw_line(w, ".slot_names = slot_table,");
    if (u->optimizer && u->average_slot >= 0)
        cw_line(w, ".averages = %d,", u->average_slot + 1);
    if (u->optimizer && u->slow_slot >= 0)
        cw_line(w, ".slow_statistics = true,");
    if (u->memory_bytes)
        cw_line(w, ".update_bytes = %" PRId64 ",", u->memory_bytes);
    if (plan_penalty_blocks(e->plan))
        cw_line(w, ".penalties = %" PRId64 ",", plan_penalty_blocks(e->plan));
}

static void emit_sizes(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const struct graph *g = p->train.graph;
    int64_t count = 0, trained = 0;
    for (int i = 0; i < g->params_count; i++) {
        int64_t elements = param_elements(g->params[i]);
        count += elements;
        if (g->params[i]->trainable && g->params[i]->role != CNN_STATISTIC)
            trained += elements;
    }
    cw_line(w, ".params_stored = %" PRId64 ",", p->params_stored);
    cw_line(w, ".statistics_stored = %" PRId64 ",", p->statistics_stored);
    cw_line(w, ".params_count = %" PRId64 ",", count);
    cw_line(w, ".trainable_count = %" PRId64 ",", trained);
    emit_state_fields(e, w);
    cw_line(w, ".memory_bytes = %" PRId64 ",", p->memory_bytes);
    cw_line(w, ".scratch_bytes_per_thread = %" PRId64 ",", p->scratch_bytes);
}

static void emit_input(struct emitter *e, struct cwriter *w)
{
    const struct program *q = &e->plan->train;
    const struct tensor *input = q->graph->input;
    struct shape s = input->shape;
    cw_line(w, ".in_channels = %d,", s.c);
    cw_line(w, ".in_height = %d,", s.h);
    cw_line(w, ".in_width = %d,", s.w);
    cw_line(w, ".image_stride = %" PRId64 ",", q->places[input->id].sample);
    cw_line(w, ".channel_stride = 1,");
    cw_line(w, ".row_stride = %" PRId64 ",", (int64_t)s.w * s.c);
    cw_line(w, ".column_stride = %d,", s.c);
}

static void emit_model(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const struct model *m = p->model;
    cw_open(w, "const struct cnn_model %s_model = {", p->name);
    cw_line(w, ".abi = CNNRT_ABI,");
    cw_line(w, ".name = %s,", emit_quoted(e, m->name));
    cw_line(w, ".source = %s,", emit_quoted(e, m->source ? text_basename(m->source->path) : ""));
    cw_line(w, ".target = %s,", emit_quoted(e, p->target->name));
    cw_line(w, ".plan_hash = UINT64_C(0x%016" PRIx64 "),", p->hash);
    cw_line(w, ".recipe = recipe_text,");
    cw_line(w, ".real_size = sizeof(real),");
    if (p->bf16)
        cw_line(w, ".precision = CNN_BF16_PRECISION,");
    cw_line(w, ".batch = %d,", p->batch);
    if (m->share) {
        cw_line(w, ".whole_batch = %d,", m->batch);
        cw_line(w, ".shares = %d,", (m->batch + p->batch - 1) / p->batch);
    }
    cw_line(w, ".outputs = %d,", m->outputs);
    emit_input(e, w);
    emit_sizes(e, w);
    if (p->train.graph->params_count)
        cw_line(w, ".params = param_table,");
    cw_line(w, ".params_list_count = %d,", p->train.graph->params_count);
    cw_line(w, ".layers = layer_table,");
    cw_line(w, ".layers_count = %d,", m->layers_count);
    cw_line(w, ".stretches = stretch_table,");
    cw_line(w, ".stretches_count = %d,", p->stretches_count + 1);
    emit_recipe_fields(e, w);
    cw_line(w, ".blas_core = %s,", emit_quoted(e, p->uses_blas ? p->target->blas_core : NULL));
    cw_line(w, ".train_step = train_step,");
    if (p->pieces_count) {
        cw_line(w, ".pieces = pieces,");
        cw_line(w, ".pieces_count = %d,", p->pieces_count);
    }
    if (p->train.segments > 1) {
        cw_line(w, ".train_segment = train_step_segment,");
        cw_line(w, ".segments = %d,", p->train.segments);
        cw_line(w, ".meetings = meetings,");
        cw_line(w, ".meetings_count = (int)(sizeof meetings / sizeof meetings[0]),");
    }
    cw_line(w, ".infer = infer,");
    cw_line(w, ".update = update,");
    cw_line(w, ".metrics = metrics");
    cw_close(w, "};");
    cw_blank(w);
}

static void emit_pieces(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    if (!p->pieces_count)
        return;
    cw_comment(w, "Of a share's gradients, in the order in which they are there.");
    cw_open(w, "static const struct cnn_piece pieces[] = {");
    for (int i = 0; i < p->pieces_count; i++)
        cw_line(w, "{ %" PRId64 ", %" PRId64 " },", p->pieces[i].begin, p->pieces[i].end);
    cw_close(w, "};");
    cw_blank(w);
}

void emit_tables(struct emitter *e, struct cwriter *w)
{
    const struct model *m = e->plan->model;
    emit_params(e, w);
    emit_state_table(e, w);
    emit_layers(e, w);
    emit_stretches(e, w);
    emit_pieces(e, w);
    emit_recipe_tables(e, w);
    emit_recipe_text(e, w, m->explained ? m->explained : "");
    emit_model(e, w);
    cw_directive(w, "#ifndef CNN_NO_MAIN");
    cw_line(w, "int main(int argc, char **argv)");
    cw_open(w, "{");
    if (m->share) {
        cw_directive(w, "#ifdef CNN_MPI");
        cw_line(w, "return cnn_mpi_main(&%s_model, argc, argv);", e->plan->name);
        cw_directive(w, "#else");
    }
    cw_line(w, "return cnn_trainer_main(&%s_model, argc, argv);", e->plan->name);
    if (m->share)
        cw_directive(w, "#endif");
    cw_close(w, "}");
    cw_directive(w, "#endif");
}

/* ---- the header ------------------------------------------------------------------------------ */

/* A number of 32 bits that tells the networks of one name apart: batch and plan are in it. */
static uint32_t network_number(const struct plan *p)
{
    return (uint32_t)(p->hash ^ p->hash >> 32);
}

void emit_header_check(const struct plan *p, const char *header, struct cwriter *w)
{
    struct arena arena = { 0 };
    struct emitter e = { .plan = p, .arena = &arena };
    cw_directive(w, "#if %s_MODEL_H != 0x%08" PRIx32, emit_capitals(&e, p->name), network_number(p));
    cw_directive(w, "#error \"%s is not the header that was made with this file: compile the .cnn file again\"",
                 header);
    cw_directive(w, "#endif");
    arena_free(&arena);
}

void emit_header(const struct plan *p, const char *header, const char *file, FILE *out)
{
    struct arena arena = { 0 };
    struct emitter e = emitter_of(p, &arena);
    struct cwriter *w = cw_new(out);
    const struct model *m = p->model;
    const char *capitals = emit_capitals(&e, p->name);
    struct shape in = p->train.graph->input->shape;

    cw_comment(w, OUTPUT_MARK " %s: %s, the network of %s for programs of one's own. Compile %s with -DCNN_NO_MAIN, "
               "then cnn_open(&%s_model, ...) of cnnrt.h.",
               PACKAGE_VERSION, header, file, file, p->name);
    cw_directive(w, "#ifndef %s_MODEL_H", capitals);
    cw_directive(w, "#define %s_MODEL_H 0x%08" PRIx32, capitals, network_number(p));
    cw_blank(w);
    cw_directive(w, "#include <cnnrt.h>");
    cw_blank(w);
    cw_directive(w, "#define %s_BATCH %d", capitals, p->batch);
    if (m->target.kind == CNN_TARGET_CLASS)
        cw_directive(w, "#define %s_CLASSES %d", capitals, m->target.size);
    if (m->target.kind != CNN_TARGET_CLASS || m->outputs != m->target.size)
        cw_directive(w, "#define %s_OUTPUTS %d", capitals, m->outputs);
    cw_directive(w, "#define %s_IN_CHANNELS %d", capitals, in.c);
    cw_directive(w, "#define %s_IN_HEIGHT %d", capitals, in.h);
    cw_directive(w, "#define %s_IN_WIDTH %d", capitals, in.w);
    cw_blank(w);
    cw_directive(w, "#ifdef __cplusplus");
    cw_line(w, "extern \"C\" {");
    cw_directive(w, "#endif");
    cw_line(w, "extern const struct cnn_model %s_model;", p->name);
    cw_directive(w, "#ifdef __cplusplus");
    cw_line(w, "}");
    cw_directive(w, "#endif");
    cw_blank(w);
    cw_directive(w, "#elif %s_MODEL_H != 0x%08" PRIx32, capitals, network_number(p));
    cw_directive(w, "#error \"two networks are called %s here: give one another name, cnnc --name=NAME\"", p->name);
    cw_directive(w, "#endif");
    cw_free(w);
    arena_free(&arena);
}
