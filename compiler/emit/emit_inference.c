/* emit_inference.c - writes the files of a trained network: header, C file, weights. */
#include "emit/emit_inference.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "emit/emit.h"
#include "base/output.h"

/* What the writers of all files know. */
struct files {
    struct arena *arena;
    const struct inference *net;
    const char *capitals;       /* of the prefix */
    const char *header_name;    /* "net.h", as it is included */
    const char *weights_name;   /* "net_weights.c" */
};

static const char *basename_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* ---- header ---------------------------------------------------------------------------------- */

static void emit_origin(const struct files *f, struct cwriter *w, const char *what)
{
    const struct model *m = f->net->graph->model;

    cw_comment(w, OUTPUT_MARK " %s from %s and %s: %s, %s. Do not edit: make it again.",
               PACKAGE_VERSION, m->source ? basename_of(m->source->path) : "a network",
               basename_of(f->net->weights_path), f->net->name, what);
}

static bool averages(const struct inference *net)
{
    return net->copies.count > 1;
}

static int64_t arena_floats(const struct files *f)
{
    return inference_sizes(f->net).arena / (int64_t)sizeof(float);
}

static void emit_sizes(const struct files *f, struct cwriter *w)
{
    const struct inference *net = f->net;
    struct shape in = net->graph->input->shape;
    struct infer_sizes sizes = inference_sizes(net);
    const char *n = f->capitals;

    cw_directive(w, "#define %s_CHANNELS %d", n, in.c);
    cw_directive(w, "#define %s_HEIGHT %d", n, in.h);
    cw_directive(w, "#define %s_WIDTH %d", n, in.w);
    cw_directive(w, "#define %s_INPUTS %" PRId64 "   /* channels x height x width */", n,
                 net->inputs);
    cw_directive(w, "#define %s_OUTPUTS %" PRId64 "%s", n, net->outputs,
                 net->plan->use.graph->predictions->shape.flat && net->graph->model->ends_in_softmax
                     ? "   /* classes */" : "");
    cw_directive(w, "#define %s_ARENA_FLOATS %" PRId64 "   /* %s */", n, arena_floats(f),
                 net->caller_arena ? "the caller's" : "static memory");
    cw_directive(w, "#define %s_ARENA_BYTES (%s_ARENA_FLOATS * sizeof(float))", n, n);
    cw_directive(w, "#define %s_CONSTANT_BYTES %" PRId64 "   /* of weights: flash, besides the code%s */", n,
                 sizes.constants, net->class_names ? " and class names" : "");
    cw_directive(w, "#define %s_MULTIPLY_ADDS %" PRId64 "   /* of one picture%s */", n, sizes.multiply_adds,
                 averages(net) ? ", all its copies" : "");
    cw_blank(w);
}

static const char *predict_head(const struct files *f)
{
    return arena_printf(f->arena, "void %s_predict(const float *input, float *output%s)",
                        f->net->name, f->net->caller_arena ? ", float *arena" : "");
}

static const char *prepare_head(const struct files *f)
{
    return arena_printf(f->arena, "void %s_prepare(const uint8_t *pixels, float *input)",
                        f->net->name);
}

static const char *selftest_head(const struct files *f)
{
    return arena_printf(f->arena, "int %s_selftest(%s)", f->net->name,
                        f->net->caller_arena ? "float *arena" : "void");
}

static const char *tolerance_text(const struct files *f)
{
    return arena_printf(f->arena, "%.2ef", f->net->tolerance);
}

/* One output that tells two classes apart. */
static bool is_lone(const struct inference *net)
{
    const struct cnn_target target = net->graph->model->target;

    return target.kind == CNN_TARGET_CLASS && net->outputs == 1 && target.size == 2;
}

static const char *names_room(const struct files *f)
{
    return is_lone(f->net) ? "2" : arena_printf(f->arena, "%s_OUTPUTS", f->capitals);
}

static const char *output_text(const struct inference *net)
{
    if (net->graph->model->ends_in_softmax)
        return "the probability of each class";
    return is_lone(net) ? "the probability of the second of two classes" : "one number a unit";
}

static void emit_declarations(const struct files *f, struct cwriter *w)
{
    const struct inference *net = f->net;
    struct shape out = net->plan->use.graph->predictions->shape;

    if (net->class_names) {
        cw_comment(w, is_lone(net) ? "The names of the classes; the output is the probability of the second one."
                                   : "The names of the classes, in the order of the outputs.");
        cw_line(w, "extern const char *const %s_class_names[%s];", net->name, names_room(f));
        cw_blank(w);
    }
    if (net->pixels.known) {
        cw_comment(w, "Pixels to input, as in training: bytes of height x width x channels "
                      "(interleaved, as picture files have them) become the scaled floats of "
                      "channels x height x width that %s_predict() reads.%s",
                   net->name,
                   net->pixels.before ? arena_printf(f->arena, " %s", net->pixels.before) : "");
        cw_line(w, "%s;", prepare_head(f));
        cw_blank(w);
    }
    cw_comment(w, "input: channels x height x width, prepared as in training. output: %s%s. %s",
               out.flat || (out.h == 1 && out.w == 1)
                   ? output_text(net)
                   : arena_printf(f->arena, "channels x height x width, %d x %d x %d", out.c,
                                  out.h, out.w),
               averages(net) ? arena_printf(f->arena, ", the mean over %d copies of the input", net->copies.count) : "",
               net->caller_arena
                   ? arena_printf(f->arena, "arena: %s_ARENA_FLOATS floats of scratch memory, with "
                                            "nothing in them before or after. Calls with arenas of "
                                            "their own may run at the same time. The three arrays "
                                            "must not overlap.", f->capitals)
                   : "One call at a time: they share static memory. The arrays must not overlap.");
    cw_line(w, "%s;", predict_head(f));
    cw_blank(w);
    cw_directive(w, "#ifdef %s_SELFTEST", f->capitals);
    cw_comment(w, "Predicts %d recorded pictures. 0: every output is within %s of what the network "
                  "gives in double precision; else the number of the first that is not, from 1.",
               INFER_SAMPLES, tolerance_text(f));
    cw_line(w, "%s;", selftest_head(f));
    cw_directive(w, "#endif");
}

/* A header of the same prefix that says other sizes has come before: what it says must not hold for this network. */
static void emit_other_network(const struct files *f, struct cwriter *w)
{
    struct shape in = f->net->graph->input->shape;
    const char *n = f->capitals;

    cw_directive(w, "#elif %s_CHANNELS != %d || \\", n, in.c);
    cw_directive(w, "    %s_HEIGHT != %d || \\", n, in.h);
    cw_directive(w, "    %s_WIDTH != %d || \\", n, in.w);
    cw_directive(w, "    %s_OUTPUTS != %" PRId64 " || \\", n, f->net->outputs);
    cw_directive(w, "    %s_ARENA_FLOATS != %" PRId64, n, arena_floats(f));
    cw_directive(w, "#error \"two networks are called %s here: give one another name, cnnc --name=NAME\"",
                 f->net->name);
}

static void emit_header_file(const void *what, FILE *out)
{
    const struct files *f = what;
    struct cwriter *w = cw_new(out);

    emit_origin(f, w, "a trained network as C99");
    cw_directive(w, "#ifndef %s_NET_H", f->capitals);
    cw_directive(w, "#define %s_NET_H", f->capitals);
    cw_blank(w);
    cw_directive(w, "#include <stdint.h>");
    cw_blank(w);
    cw_directive(w, "#ifdef __cplusplus");
    cw_line(w, "extern \"C\" {");
    cw_directive(w, "#endif");
    cw_blank(w);
    emit_sizes(f, w);
    emit_declarations(f, w);
    cw_blank(w);
    cw_directive(w, "#ifdef __cplusplus");
    cw_line(w, "}");
    cw_directive(w, "#endif");
    cw_blank(w);
    emit_other_network(f, w);
    cw_directive(w, "#endif");
    cw_free(w);
}

/* ---- constants ------------------------------------------------------------------------------- */

enum { COLUMNS = 100, INDENT = 4 };

/* A C constant of type float that reads back as the same: "0.001f", "2.0f". */
struct float_text {
    char text[24];
};

static struct float_text float_text(float x)
{
    struct float_text t;
    int n = snprintf(t.text, sizeof t.text - 3, "%.9g", x);

    if (!strpbrk(t.text, ".e")) {
        t.text[n++] = '.';
        t.text[n++] = '0';
    }
    t.text[n++] = 'f';
    t.text[n] = '\0';
    return t;
}

/* The elements of an initialiser, as many on a line as fit. */
struct row {
    struct cwriter *w;
    char line[COLUMNS + 1];
    int used;
};

static void row_end(struct row *r)
{
    if (r->used)
        cw_line(r->w, "%s", r->line);
    r->used = 0;
}

static void row_add(struct row *r, const char *text)
{
    int length = (int)strlen(text);

    if (r->used + length + 2 > COLUMNS - 2 * INDENT)
        row_end(r);
    r->used += snprintf(r->line + r->used, sizeof r->line - (size_t)r->used, "%s%s,",
                        r->used ? " " : "", text);
}

static void emit_array(struct cwriter *w, const char *qualifier, const char *name,
                       const float *values, int64_t count)
{
    struct row row = {.w = w};

    cw_open(w, "%s float %s[%" PRId64 "] = {", qualifier, name, count);
    for (int64_t i = 0; i < count; i++)
        row_add(&row, float_text(values[i]).text);
    row_end(&row);
    cw_close(w, "};");
}

/* "conv2d_1.weight: 5 x 5 x 1 x 6 (rows, columns, inputs, outputs)" */
static const char *constants_comment(const struct files *f, const struct param *p)
{
    static const char *const words[] = {
        [CNN_AXIS_OUT] = "outputs", [CNN_AXIS_IN] = "inputs", [CNN_AXIS_KH] = "rows", [CNN_AXIS_KW] = "columns",
        [CNN_AXIS_OH] = "rows of the result", [CNN_AXIS_OW] = "its columns", [CNN_AXIS_GROUP] = "groups",
    };
    const char *extents = "", *names = "";
    bool back = p->form == &param_filters_back;         /* its inputs are what is made */
    int count = 0;

    /* what is cut into panels is innermost: there is one panel of all of it */
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < CNN_MAX_RANK && p->form->memory[i] != CNN_AXIS_NONE; i++) {
            enum cnn_axis axis = p->form->memory[i];
            if ((p->form->packing >= PACKED_PANELS && axis == p->form->cut) != turn)
                continue;
            extents = arena_printf(f->arena, "%s%s%d", extents, count ? " x " : "", param_extent(p, axis));
            if (back && (axis == CNN_AXIS_IN || axis == CNN_AXIS_OUT))
                axis = axis == CNN_AXIS_IN ? CNN_AXIS_OUT : CNN_AXIS_IN;
            names = arena_printf(f->arena, "%s%s%s", names, count++ ? ", " : "", words[axis]);
        }
    return count > 1 ? arena_printf(f->arena, "%s: %s (%s)", p->name, extents, names) : p->name;
}

static void emit_constants(const struct files *f, struct cwriter *w, const char *qualifier)
{
    const struct inference *net = f->net;

    for (int i = 0; i < net->constants_count; i++) {
        const struct infer_constants *c = &net->constants[i];
        cw_comment(w, "%s", constants_comment(f, c->param));
        emit_array(w, qualifier, c->param->tensor->name, c->values, c->count);
        cw_blank(w);
    }
}

static void emit_extern(const struct files *f, struct cwriter *w)
{
    const struct inference *net = f->net;

    cw_comment(w, "in %s", f->weights_name);
    for (int i = 0; i < net->constants_count; i++)
        cw_line(w, "extern const float %s[%" PRId64 "];", net->constants[i].param->tensor->name,
                net->constants[i].count);
    cw_blank(w);
}

static void emit_weights_file(const void *what, FILE *out)
{
    const struct files *f = what;
    struct cwriter *w = cw_new(out);

    emit_origin(f, w, "the weights of a trained network");
    emit_extern(f, w);
    emit_constants(f, w, "const");
    cw_free(w);
}

/* ---- functions ------------------------------------------------------------------------------- */

static void emit_class_names(const struct files *f, struct cwriter *w)
{
    const struct inference *net = f->net;

    if (!net->class_names)
        return;
    cw_open(w, "const char *const %s_class_names[%s] = {", net->name, names_room(f));
    for (int i = 0; i < net->class_names_count; i++) {
        size_t room = 4 * strlen(net->class_names[i]) + 3;      /* an escape has four characters */
        char *quoted = arena_alloc(f->arena, room);
        cw_quote(quoted, room, net->class_names[i]);
        cw_line(w, "%s,", quoted);
    }
    cw_close(w, "};");
    cw_blank(w);
}

/* Where a tensor that the steps speak of lies. */
static void emit_place(const struct files *f, struct cwriter *w, const struct tensor *t)
{
    const struct tensor_place *place = plan_place(&f->net->plan->use, t);
    const char *qualifier = "", *base = "arena";

    if (place->region == REGION_INPUT) {
        base = "input";
        qualifier = "const ";
    } else if (place->region == REGION_PREDICTIONS) {
        base = "output";
    } else if (place->offset) {
        base = arena_printf(f->arena, "arena + %" PRId64, place->offset / (int64_t)sizeof(float));
    }
    if (strcmp(base, t->name) != 0)
        cw_line(w, "%sfloat *const %s = %s;  // %s", qualifier, t->name, base, shape_text(t->shape).text);
}

/* By tensor id: those that some step is given. */
static bool *given_tensors(const struct files *f)
{
    const struct program *q = &f->net->plan->use;
    bool *given = arena_array(f->arena, (size_t)q->graph->tensors_count + 1, sizeof *given);

    for (int i = 0; i < q->steps_count; i++)
        for (int k = 0; k < q->steps[i]->arguments_count; k++)
            if (q->steps[i]->arguments[k].kind == ARGUMENT_TENSOR)
                given[q->steps[i]->arguments[k].tensor->id] = true;
    return given;
}

/* The network on one input, under the head that is given. */
static void emit_look(const struct files *f, struct emitter *e, struct cwriter *w, const char *head, bool own_arena)
{
    const struct inference *net = f->net;
    const struct program *q = &net->plan->use;
    const bool *given = given_tensors(f);

    cw_line(w, "%s", head);
    cw_open(w, "{");
    if (own_arena && arena_floats(f))
        cw_line(w, "static float arena[%s_ARENA_FLOATS];", f->capitals);
    for (int i = 0; i < q->graph->tensors_count; i++)
        if (given[i] && !q->graph->tensors[i]->param)
            emit_place(f, w, q->graph->tensors[i]);
    cw_blank(w);
    if (!own_arena && !net->plan->scratch_bytes)
        cw_line(w, "(void)arena;");
    for (int i = 0; i < q->phases_count; i++)
        for (int k = 0; k < q->phases[i].steps_count; k++) {
            const struct step *s = q->phases[i].steps[k];
            cw_line(w, "%s(%s);", e->called[s->index]->name, emit_arguments(e, s));
        }
    cw_close(w, "}");
    cw_blank(w);
}

/* ---- copies ---------------------------------------------------------------------------------- */

static bool shifts(const struct inference *net)
{
    return net->copies.list[net->copies.count - 1].shift != 0;
}

static void emit_place_function(const struct files *f, struct cwriter *w)
{
    cw_comment(w, "Which of `count` pixels in a line stands at place i of it, or outside%s.",
               f->net->copies.fill == FILL_ZEROS ? "; -1: none" : "");
    cw_line(w, "static int %s_place(int i, int count)", f->net->name);
    cw_open(w, "{");
    switch (f->net->copies.fill) {
    case FILL_ZEROS:
        cw_line(w, "return i >= 0 && i < count ? i : -1;");
        break;
    case FILL_EDGE:
        cw_line(w, "return i < 0 ? 0 : i < count ? i : count - 1;");
        break;
    case FILL_REFLECT:      /* shifts are less than the sides: once is enough */
        cw_line(w, "return i < 0 ? -i : i < count ? i : 2 * (count - 1) - i;");
        break;
    }
    cw_close(w, "}");
    cw_blank(w);
}

/* The function that makes a copy, has the network look at it and adds up what that gives. */
static void emit_add(const struct files *f, struct cwriter *w)
{
    const struct inference *net = f->net;
    const char *n = f->capitals, *name = net->name;

    cw_comment(w, "One more copy of the input: mirrored%s. What the network makes of it counts with this weight.",
               shifts(net) ? ", then moved so many pixels down and to the right" : " or not");
    cw_line(w, "static void %s_add(const float *input, float *output, float *arena,", name);
    cw_line(w, "    int mirrored,%s float weight)", shifts(net) ? " int shift," : "");
    cw_open(w, "{");
    cw_line(w, "float *const copy = arena + %" PRId64 ", *const sums = copy + %s_INPUTS;",
            net->plan->scratch_bytes / (int64_t)sizeof(float), n);
    cw_open(w, "for (int c = 0; c < %s_CHANNELS; c++)", n);
    cw_open(w, "for (int y = 0; y < %s_HEIGHT; y++)", n);
    cw_open(w, "for (int x = 0; x < %s_WIDTH; x++) {", n);
    if (shifts(net)) {
        cw_line(w, "const int row = %s_place(y - shift, %s_HEIGHT);", name, n);
        cw_line(w, "const int column = %s_place(x - shift, %s_WIDTH);", name, n);
    } else {
        cw_line(w, "const int row = y, column = x;");
    }
    cw_line(w, "const int from = mirrored ? %s_WIDTH - 1 - column : column;", n);
    cw_line(w, "copy[(c * %s_HEIGHT + y) * %s_WIDTH + x] =", n, n);
    cw_line(w, "    %sinput[(c * %s_HEIGHT + row) * %s_WIDTH + from];",
            shifts(net) && net->copies.fill == FILL_ZEROS ? "row < 0 || column < 0 ? 0.0f : " : "", n, n);
    cw_close(w, "}");
    cw_close(w, "");
    cw_close(w, "");
    cw_line(w, "%s_look(copy, output, arena);", name);
    cw_open(w, "for (int i = 0; i < %s_OUTPUTS; i++)", n);
    /* the smallest number of full precision stands for a probability that has become 0, as in the trainer */
    cw_line(w, net->copies.logits
            ? "sums[i] += weight * logf(output[i] < 1.17549435e-38f ? 1.17549435e-38f : output[i]);"
                                  : "sums[i] += weight * output[i];");
    cw_close(w, "");
    cw_close(w, "}");
    cw_blank(w);
}

/* Sums to outputs. */
static void emit_mean(const struct files *f, struct cwriter *w)
{
    const char *n = f->capitals;

    if (!f->net->copies.logits) {
        cw_open(w, "for (int i = 0; i < %s_OUTPUTS; i++)", n);
        cw_line(w, "output[i] = sums[i];");
        cw_close(w, "");
        return;
    }
    cw_line(w, "float most = sums[0], all = 0.0f;");
    cw_open(w, "for (int i = 1; i < %s_OUTPUTS; i++)", n);
    cw_line(w, "most = sums[i] > most ? sums[i] : most;");
    cw_close(w, "");
    cw_open(w, "for (int i = 0; i < %s_OUTPUTS; i++)", n);
    cw_line(w, "all += output[i] = expf(sums[i] - most);");
    cw_close(w, "");
    cw_open(w, "for (int i = 0; i < %s_OUTPUTS; i++)", n);
    cw_line(w, "output[i] /= all;");
    cw_close(w, "");
}

static void emit_averaged(const struct files *f, struct emitter *e, struct cwriter *w)
{
    const struct inference *net = f->net;
    const char *n = f->capitals;

    emit_look(f, e, w, arena_printf(f->arena, "static void %s_look(const float *input, float *output, float *arena)",
                                    net->name), false);
    if (shifts(net))
        emit_place_function(f, w);
    emit_add(f, w);
    cw_line(w, "%s", predict_head(f));
    cw_open(w, "{");
    if (!net->caller_arena)
        cw_line(w, "static float arena[%s_ARENA_FLOATS];", n);
    cw_line(w, "float *const sums = arena + %" PRId64 " + %s_INPUTS;",
            net->plan->scratch_bytes / (int64_t)sizeof(float), n);
    cw_open(w, "for (int i = 0; i < %s_OUTPUTS; i++)", n);
    cw_line(w, "sums[i] = 0.0f;");
    cw_close(w, "");
    for (int i = 0; i < net->copies.count; i++) {
        const struct copy copy = net->copies.list[i];
        cw_line(w, "%s_add(input, output, arena, %d,%s %s);", net->name, copy.mirrored,
                shifts(net) ? arena_printf(f->arena, " %d,", copy.shift) : "", float_text((float)copy.weight).text);
    }
    emit_mean(f, w);
    cw_close(w, "}");
    cw_blank(w);
}

static void emit_predict(const struct files *f, struct emitter *e, struct cwriter *w)
{
    if (averages(f->net))
        emit_averaged(f, e, w);
    else
        emit_look(f, e, w, predict_head(f), !f->net->caller_arena);
}

/* ---- pixels ---------------------------------------------------------------------------------- */

/* A number of each channel: a constant where they are alike, else an array's element. */
static const char *pixel_number(const struct files *f, struct cwriter *w, const char *name,
                                const double *list)
{
    int channels = f->net->graph->input->shape.c;
    struct row row = {.w = w};

    if (infer_pixels_same(f->net, list))
        return arena_printf(f->arena, "%s", float_text((float)list[0]).text);
    cw_open(w, "static const float %s[%d] = {", name, channels);
    for (int c = 0; c < channels; c++)
        row_add(&row, float_text((float)list[c]).text);
    row_end(&row);
    cw_close(w, "};");
    return arena_printf(f->arena, "%s[c]", name);
}

/* The recipe's steps, which are all of them linear, as one. */
static void emit_preparation(const struct files *f, struct cwriter *w)
{
    const struct infer_pixels *p = &f->net->pixels;
    struct shape in = f->net->graph->input->shape;
    int64_t positions = (int64_t)in.h * in.w;
    const char *scale = pixel_number(f, w, "scale", p->scale);
    const char *shift = pixel_number(f, w, "shift", p->shift);
    bool shifts = false;

    for (int c = 0; c < in.c; c++)
        shifts |= p->shift[c] != 0;
    if (in.c > 1)
        cw_open(w, "for (int c = 0; c < %d; c++)", in.c);
    cw_open(w, "for (int i = 0; i < %" PRId64 "; i++)", positions);
    cw_line(w, "input[%s] = (float)pixels[%s] * %s%s%s;",
            in.c > 1 ? arena_printf(f->arena, "c * %" PRId64 " + i", positions) : "i",
            in.c > 1 ? arena_printf(f->arena, "i * %d + c", in.c) : "i", scale,
            shifts ? " + " : "", shifts ? shift : "");
    cw_close(w, "");
    if (in.c > 1)
        cw_close(w, "");
}

static void emit_prepare(const struct files *f, struct cwriter *w)
{
    if (!f->net->pixels.known)
        return;
    cw_line(w, "%s", prepare_head(f));
    cw_open(w, "{");
    emit_preparation(f, w);
    cw_close(w, "}");
    cw_blank(w);
}

/* ---- self-test ------------------------------------------------------------------------------- */

static void emit_samples(const struct files *f, struct cwriter *w)
{
    const struct inference *net = f->net;
    struct row row = {.w = w};

    cw_open(w, "static const uint8_t selftest_pixels[%d][%s_INPUTS] = {", INFER_SAMPLES,
            f->capitals);
    for (int s = 0; s < INFER_SAMPLES; s++) {
        cw_open(w, "{");
        for (int64_t i = 0; i < net->inputs; i++)
            row_add(&row, arena_printf(f->arena, "%d", net->sample_pixels[s][i]));
        row_end(&row);
        cw_close(w, "},");
    }
    cw_close(w, "};");
    cw_open(w, "static const float selftest_outputs[%d][%s_OUTPUTS] = {", INFER_SAMPLES,
            f->capitals);
    for (int s = 0; s < INFER_SAMPLES; s++) {
        cw_open(w, "{");
        for (int64_t i = 0; i < net->outputs; i++)
            row_add(&row, float_text((float)net->sample_outputs[s][i]).text);
        row_end(&row);
        cw_close(w, "},");
    }
    cw_close(w, "};");
    cw_blank(w);
}

static void emit_selftest(const struct files *f, struct cwriter *w)
{
    const struct inference *net = f->net;
    const char *tolerance = tolerance_text(f);

    cw_directive(w, "#ifdef %s_SELFTEST", f->capitals);
    cw_comment(w, "Pictures of height x width x channels, and what the network makes of them in "
                  "double precision. Sums in float may differ by %s.", tolerance);
    emit_samples(f, w);
    cw_line(w, "%s", selftest_head(f));
    cw_open(w, "{");
    cw_line(w, "static float input[%s_INPUTS], output[%s_OUTPUTS];", f->capitals, f->capitals);
    cw_open(w, "for (int sample = 0; sample < %d; sample++) {", INFER_SAMPLES);
    if (net->pixels.known) {
        cw_line(w, "%s_prepare(selftest_pixels[sample], input);", net->name);
    } else {
        cw_line(w, "const uint8_t *pixels = selftest_pixels[sample];");
        emit_preparation(f, w);
    }
    cw_line(w, "%s_predict(input, output%s);", net->name, net->caller_arena ? ", arena" : "");
    cw_open(w, "for (int i = 0; i < %s_OUTPUTS; i++) {", f->capitals);
    cw_line(w, "const float error = fabsf(output[i] - selftest_outputs[sample][i]);");
    cw_open(w, "if (!(error <= %s))", tolerance);
    cw_line(w, "return sample * %s_OUTPUTS + i + 1;", f->capitals);
    cw_close(w, "");
    cw_close(w, "}");
    cw_close(w, "}");
    cw_line(w, "return 0;");
    cw_close(w, "}");
    cw_directive(w, "#endif");
}

/* ---- files ----------------------------------------------------------------------------------- */

static void emit_source_file(const void *what, FILE *out)
{
    const struct files *f = what;
    struct cwriter *w = cw_new(out);
    struct emitter e = emitter_of(f->net->plan, f->arena);

    e.called = emit_steps(&e, &f->net->plan->use);
    emit_name_own(&e);

    emit_origin(f, w, "a trained network as C99");
    cw_directive(w, "#include \"%s\"", f->header_name);
    cw_blank(w);
    cw_directive(w, "#include <math.h>");
    cw_blank(w);
    cw_comment(w, "Maps lie in memory as rows x columns x channels, the input as channels x rows x "
                  "columns. Batch normalisation is part of the weights before it.");
    cw_blank(w);
    if (f->net->extern_weights)
        emit_extern(f, w);
    else
        emit_constants(f, w, "static const");
    emit_class_names(f, w);
    emit_functions(&e, w, out, 0);
    emit_prepare(f, w);
    emit_predict(f, &e, w);
    emit_selftest(f, w);
    cw_free(w);
}

static const char *capitals_of(struct arena *a, const char *name)
{
    char *text = arena_string(a, name, strlen(name));

    for (char *c = text; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return text;
}

int emit_inference(struct arena *a, const char *path, const struct inference *net, const char *depfile,
                   const struct inputs *in)
{
    const char *header = output_beside(a, path, ".h");
    const char *weights = output_beside(a, path, "_weights.c");
    struct files files = {.arena = a,
                          .net = net,
                          .capitals = capitals_of(a, net->name),
                          .header_name = basename_of(header),
                          .weights_name = basename_of(weights)};
    /* the C file last: what was there stays until all the rest is */
    struct output_part parts[3];
    int count = 0;

    parts[count++] = (struct output_part){header, arena_printf(a, "the header of %s", path), emit_header_file, &files};
    if (net->extern_weights)
        parts[count++] = (struct output_part){weights, arena_printf(a, "the weights of %s", path), emit_weights_file,
                                              &files};
    parts[count++] = (struct output_part){path, NULL, emit_source_file, &files};
    return output_write_parts(a, parts, count, depfile, in);
}
