/* check_data.c - the section `data`: one source, then steps from top to bottom. */
#include "check/check_parts.h"
#include "model/clause_recipe.h"

#include <string.h>

static const struct data_source *source_find(const char *name)
{
    for (const struct data_source *s = data_sources; s->clause.name; s++)
        if (!strcmp(s->clause.name, name))
            return s;
    return NULL;
}

static void check_source(struct check *c, const struct ast_statement *s,
                         const struct data_source *source)
{
    if (c->data) {
        diag_error(c->diag, DIAG_duplicate_statement, s->word_where,
                   "a second source of data, '%s'", s->word);
        diag_note(c->diag, c->data_where, "the first one is here");
        return;
    }
    if (c->model->steps_count)
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "the source comes first, then what happens to its pictures");
    c->data = source;
    c->data_where = s->word_where;
    struct ast_args args = check_statement_args(c, s);
    c->model->source_clause = check_clause(c, &source->clause, s->word_where, &args);
}

enum cnn_sample_kind check_data_sample(const struct check *c)
{
    if (!c->data)
        return CNN_SAMPLE_BYTES;
    return c->data->sample_of && c->model->source_clause ? c->data->sample_of(c->model->source_clause)
        : c->data->sample;
}

/* A number for each channel of the picture. */
static void check_channel_lists(struct check *c, const struct clause *step)
{
    int channels = c->data ? c->data->picture.c : 0;

    for (int i = 0; i < clause_def_count(step->def); i++) {
        const struct arg_value *v = &step->args[i];
        if (step->def->args[i].type == ARG_REAL_LIST && v->list && channels &&
            v->list_length != channels)
            diag_error(c->diag, DIAG_shape_mismatch, v->where,
                       "'%s' has %d numbers, the pictures of %s have %d channels",
                       step->def->args[i].name, v->list_length, c->data->clause.name, channels);
    }
}

static enum step_kind kind_of(const struct clause *step)
{
    return rt_data_step(step->def->name)->kind;
}

/* Pictures are chosen first, then resized, and only then do their pixels become numbers. */
static int step_rank(const struct clause *step)
{
    enum step_kind kind = kind_of(step);

    return kind == STEP_CHOOSES ? 0 : kind == STEP_FITS ? 1 : 2;
}

/* Whether its numbers are measured in the training set. */
static bool is_auto(const struct check *c, const struct clause *step)
{
    const struct cnn_clause recipe = clause_recipe(c->arena, step);

    return rt_step_measures(&recipe);
}

static const struct clause *step_before(const struct check *c, const char *name)
{
    for (int i = 0; i < c->model->steps_count; i++)
        if (!strcmp(c->model->steps[i]->def->name, name))
            return c->model->steps[i];
    return NULL;
}

static bool check_step_order(struct check *c, const struct clause *step)
{
    const char *name = step->def->name;
    const struct clause *same = NULL;

    for (int i = 0; i < c->model->steps_count; i++) {
        const struct clause *before = c->model->steps[i];
        if (step_rank(before) > step_rank(step)) {
            diag_error(c->diag, DIAG_misplaced_statement, step->where,
                       step_rank(step) ? "'%s' comes before what is done to pixels"
                                       : "'%s' comes first: it chooses the pictures",
                       name);
            diag_note(c->diag, before->where, "'%s' is here", before->def->name);
            return false;
        }
        if (is_auto(c, step) && is_auto(c, before))
            same = before;
    }
    if (step_rank(step) < 2 || kind_of(step) == STEP_COPIES)
        same = step_before(c, name);
    if (!same)
        return true;
    diag_error(c->diag, DIAG_duplicate_statement, step->where, "'%s%s' is given twice", name,
               is_auto(c, step) ? " auto" : "");
    diag_note(c->diag, same->where, "the first one is here");
    return false;
}

/* ---- what no single slot of a step can tell --------------------------------------------------- */

static bool check_limit(struct check *c, const struct clause *step)
{
    if (clause_int(step, "train") || clause_int(step, "val"))
        return true;
    diag_error(c->diag, DIAG_missing_argument, step->where,
               "limit needs 'train', 'val' or both: how many pictures to use");
    diag_hint(c->diag, "such as: limit train=1000, val=200");
    return false;
}

static bool check_resize_args(struct check *c, const struct clause *step)
{
    const struct arg_value *pad = clause_arg(step, "pad");

    /* the default is said where all defaults are */
    if (!pad->given || pad->number == 0 || !strcmp(clause_text(step, "fit"), "pad"))
        return true;
    diag_error(c->diag, DIAG_missing_argument, pad->where,
               "'pad' is what fit=pad fills with; with fit=%s nothing is filled", clause_text(step, "fit"));
    diag_hint(c->diag, "write: resize %lld, fit=pad, pad=%lld", (long long)clause_int(step, "side"),
              (long long)clause_int(step, "pad"));
    return false;
}

static bool check_normalize(struct check *c, const struct clause *step)
{
    bool mean = clause_arg(step, "mean")->given, std = clause_arg(step, "std")->given, measures = is_auto(c, step);

    if (measures ? !mean && !std : mean && std)
        return true;
    diag_error(c->diag, DIAG_missing_argument, step->where,
               measures ? "normalize takes 'auto' or 'mean' and 'std', not both"
                        : "normalize needs 'mean' and 'std', or the word 'auto'");
    diag_hint(c->diag, "write: normalize auto; or: normalize mean=[..], std=[..]");
    return false;
}

static bool check_augment(struct check *c, const struct clause *step)
{
    const struct arg_value *shift = clause_arg(step, "shift"), *crop = clause_arg(step, "crop");

    for (int i = 0; i < clause_def_count(step->def); i++)
        if (step->args[i].given && strcmp(step->def->args[i].name, "fill")) {
            if (!shift->number || !crop->number)
                return true;
            diag_error(c->diag, DIAG_duplicate_argument, crop->where,
                       "'crop' moves a picture as 'shift' does: one of them");
            diag_note(c->diag, shift->where, "'shift' is here");
            return false;
        }
    diag_error(c->diag, DIAG_missing_argument, step->where, "augment needs something to do");
    diag_hint(c->diag, "such as: augment flip, shift=4");
    return false;
}

static bool check_tta(struct check *c, const struct clause *step)
{
    if (clause_arg(step, "flip")->given || clause_arg(step, "shift")->given)
        return true;
    diag_error(c->diag, DIAG_missing_argument, step->where, "tta needs copies to average over");
    diag_hint(c->diag, "such as: tta flip, shift=1");
    return false;
}

/* Steps that have more to be checked than their slots. */
static const struct {
    const char *name;
    bool (*args)(struct check *c, const struct clause *step);
} step_checks[] = {
    {"augment", check_augment},
    {"limit", check_limit},
    {"normalize", check_normalize},
    {"tta", check_tta},
    {"resize", check_resize_args},
};

static bool check_step_args(struct check *c, const struct clause *step)
{
    if (check_data_sample(c) != CNN_SAMPLE_BYTES && kind_of(step) == STEP_FITS) {
        diag_error(c->diag, DIAG_misplaced_statement, step->where, "'%s' is for pictures; %s has numbers",
                   step->def->name, c->data->clause.name);
        return false;
    }
    for (size_t i = 0; i < sizeof step_checks / sizeof step_checks[0]; i++)
        if (!strcmp(step_checks[i].name, step->def->name))
            return step_checks[i].args(c, step);
    return true;
}

static void check_step(struct check *c, const struct ast_statement *s, const struct clause_def *def)
{
    struct ast_args args = check_statement_args(c, s);
    struct clause *step = check_clause(c, def, s->word_where, &args);

    if (!step || check_too_many(c, &c->too_many_steps, c->model->steps_count, STEPS_MOST, s->word_where, "steps") ||
        !check_step_args(c, step) || !check_step_order(c, step))
        return;
    check_channel_lists(c, step);
    LIST_ADD(c->arena, c->model->steps, c->model->steps_count, c->steps_capacity, step);
}

/* `target label` or `target input` */
static void check_target(struct check *c, const struct ast_statement *s)
{
    struct ast_args args = check_statement_args(c, s);
    const struct clause *clause = check_clause(c, &target_def, s->word_where, &args);

    if (c->target_where.file) {
        diag_error(c->diag, DIAG_duplicate_statement, s->word_where, "a second '%s'", s->word);
        diag_note(c->diag, c->target_where, "the first one is here");
        return;
    }
    c->target_where = s->word_where;
    c->target_broken = !clause;
    if (clause)
        c->model->target_is_input = !strcmp(clause->args[0].text, "input");
}

static void unknown_statement(struct check *c, const struct ast_statement *s)
{
    struct names names = {.arena = c->arena};
    const struct unknown unknown = {.place = FOREIGN_DATA, .word = s->word, .names = &names,
                                    .value = s->args.first ? s->args.first->value : NULL,
                                    .list = "sources and steps are"};

    for (const struct data_source *d = data_sources; d->clause.name; d++)
        names_add(&names, d->clause.name);
    names_add_defs(&names, data_steps);
    names_add(&names, target_def.name);
    names_add_later(&names, later_data);
    if (word_in(s->word, later_data)) {
        check_not_supported(c, s->word_where, &unknown);
        return;
    }
    if (check_elsewhere(c, s, "data"))
        return;
    diag_error(c->diag, DIAG_unknown_statement, s->word_where,
               "no source of data and no step is called '%s'", s->word);
    check_suggest(c, &unknown);
}

bool check_is_data_statement(const char *word)
{
    return source_find(word) || clause_def_find(data_steps, word) || !strcmp(word, target_def.name);
}

static void check_data_statement(struct check *c, const struct ast_statement *s)
{
    if (s->kind == AST_CONST) {
        check_constant_add(c, s);
        return;
    }
    if (s->kind == AST_ASSIGN) {
        s = check_assigned(c, s, check_is_data_statement(s->word), FOREIGN_DATA);
        if (!s)
            return;
    }
    if (s->kind == AST_BROKEN)
        return;
    if (s->kind != AST_COMMAND) {
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "this does not belong in 'data'");
        return;
    }
    const struct data_source *source = source_find(s->word);
    const struct clause_def *step = clause_def_find(data_steps, s->word);
    const bool target = !strcmp(s->word, target_def.name);
    if (!source && !step && !target) {
        unknown_statement(c, s);
        c->data_where = s->word_where;
        return;
    }
    if (!check_no_body(c, s) || !check_no_as(c, s))
        return;
    if (target)
        check_target(c, s);
    else if (source)
        check_source(c, s, source);
    else
        check_step(c, s, step);
}

/* ---- against the network's input ------------------------------------------------------------- */

/* Keras's order, where that would do: rows and columns before channels. */
static bool is_channels_last(struct shape want, struct shape have)
{
    return want.c == have.h && want.h == have.w && want.w == have.c && want.c != want.w;
}

static void report_channels_last(struct check *c, const struct layer *input)
{
    struct shape want = input->out;

    diag_error(c->diag, DIAG_input_mismatch, input->where,
               "an input is channels x height x width; %dx%dx%d is height x width x channels", want.c, want.h,
               want.w);
    diag_note(c->diag, c->data_where, "the data come from here");
    diag_hint(c->diag, "write: input %dx%dx%d", want.w, want.c, want.h);
}

/* Pictures of any kind: files become what the input wants, if it is grey or colour.  Of numbers there may be any. */
static bool check_any_picture(struct check *c, const struct layer *input)
{
    struct shape want = input->out;

    if (!c->data->numbers && want.c != 1 && want.c != 3) {
        if (want.w == 1 || want.w == 3) {
            report_channels_last(c, input);
            return false;
        }
        diag_error(c->diag, DIAG_input_mismatch, input->where,
                   "the network takes %dx%dx%d, pictures have 1 channel (grey) or 3 (colours)",
                   want.c, want.h, want.w);
        diag_note(c->diag, c->data_where, "the data come from here");
        return false;
    }
    for (int i = 0; i < c->model->steps_count; i++) {
        const struct clause *step = c->model->steps[i];
        for (int k = 0; k < clause_def_count(step->def); k++) {
            const struct arg_value *v = &step->args[k];
            if (step->def->args[k].type == ARG_REAL_LIST && v->list && v->list_length != want.c)
                diag_error(c->diag, DIAG_shape_mismatch, v->where,
                           "'%s' has %d numbers, the network's input has %d channel%s",
                           step->def->args[k].name, v->list_length, want.c,
                           want.c == 1 ? "" : "s");
        }
    }
    return true;
}

static bool report_picture(struct check *c, const struct layer *input)
{
    struct shape have = c->data->picture, want = input->out;

    if (is_channels_last(want, have)) {
        report_channels_last(c, input);
        return false;
    }
    diag_error(c->diag, DIAG_input_mismatch, input->where,
               "the network takes %dx%dx%d, the pictures of %s are %dx%dx%d",
               want.c, want.h, want.w, c->data->clause.name, have.c, have.h, have.w);
    diag_note(c->diag, c->data_where, "the data come from here");
    diag_hint(c->diag, "write: input %dx%dx%d", have.c, have.h, have.w);
    int border = (want.h - have.h) / 2;         /* LeNet-5's 32x32 around 28x28 */
    if (border > 0 && want.h == want.w && have.h == have.w && want.h == have.h + 2 * border)
        diag_hint(c->diag, "padding=%d in the first layer makes %dx%d of them, 'resize %d' in 'data' too",
                  border, want.h, want.w, want.h);
    return false;
}

/* The picture as `resize` leaves it. */
static void check_resize(struct check *c, const struct layer *input, const struct clause *resize)
{
    struct shape have = c->data->picture, want = input->out;
    bool any = have.c == 0, crops = !strcmp(clause_text(resize, "fit"), "crop");
    int64_t side = clause_int(resize, "side");
    /* the shape of a picture in a file is not known: at least its shorter side is */
    int64_t least = any || have.h < have.w ? have.h : have.w, high = side, wide = side;

    if (!any) {
        high = (2 * have.h * side + least) / (2 * least);
        wide = (2 * have.w * side + least) / (2 * least);
    }
    bool fits = any || !crops ? side >= want.h || side >= want.w : high >= want.h && wide >= want.w;
    if (fits)
        return;
    diag_error(c->diag, DIAG_input_mismatch, clause_arg(resize, "side")->where,
               "resized to a shorter side of %lld, pictures are smaller than the network's input "
               "of %dx%dx%d", (long long)side, want.c, want.h, want.w);
    diag_note(c->diag, input->where, "the input is declared here");
    if (crops)
        diag_hint(c->diag, "write: resize %d", want.h > want.w ? want.h : want.w);
    else
        diag_hint(c->diag, "write: resize %d, fit=%s", want.h < want.w ? want.h : want.w, clause_text(resize, "fit"));
}

/* A picture that may move by its whole side may vanish. */
static void check_moves(struct check *c, const struct layer *input)
{
    struct shape s = input->out;
    int side = s.h < s.w ? s.h : s.w;

    for (int i = 0; i < c->model->steps_count; i++) {
        const struct clause *step = c->model->steps[i];
        for (int k = 0; k < clause_def_count(step->def); k++) {
            const char *name = step->def->args[k].name;
            if ((kind_of(step) != STEP_AUGMENTS && kind_of(step) != STEP_COPIES) ||
                (strcmp(name, "shift") && strcmp(name, "crop")) || step->args[k].number < side)
                continue;
            diag_error(c->diag, DIAG_out_of_range, step->args[k].where,
                       "'%s' of %s must be less than the pictures' sides, found %.10g", name, step->def->name,
                       step->args[k].number);
            diag_note(c->diag, input->where, "the network takes %dx%dx%d", s.c, s.h, s.w);
        }
    }
}

bool check_data_picture(struct check *c, const struct layer *input)
{
    struct shape have = c->data->picture, want = input->out;
    const struct clause *resize = step_before(c, "resize");
    bool any = have.c == 0;

    if (any && !check_any_picture(c, input))
        return false;
    if (!any && (have.c != want.c || (!resize && (have.h != want.h || have.w != want.w))))
        return report_picture(c, input);
    if (resize)
        check_resize(c, input, resize);
    check_moves(c, input);
    return true;
}

/* ---- what pixels are when the network sees them ---------------------------------------------- */

/* Bytes lie between these; the steps that make numbers of them move both. */
struct pixel_range {
    double low, high;
    bool is_scaled;             /* some `scale` stands there: how far they reach is meant */
};

/* Of the channel with the largest deviation. */
static void range_follow(struct pixel_range *r, const struct pixel_map *maps, int channels)
{
    struct pixel_map most = maps[0];

    for (int i = 1; i < channels; i++) {
        most.mean = maps[i].mean < most.mean ? maps[i].mean : most.mean;
        most.std = maps[i].std < most.std ? maps[i].std : most.std;
    }
    double low = rt_pixel_mapped(most, r->low), high = rt_pixel_mapped(most, r->high);
    r->low = low < high ? low : high;
    r->high = low < high ? high : low;
}

static struct pixel_range pixel_range(const struct check *c)
{
    struct pixel_range r = {.high = 255};
    int channels = c->model->layers[0]->out.c;

    for (int i = 0; i < c->model->steps_count; i++) {
        const struct clause *step = c->model->steps[i];
        struct pixel_map *maps;
        enum step_status status = clause_maps(c->arena, step, channels, (struct pixel_measure){0}, &maps).status;
        if (status == STEP_UNMEASURED)
            r = (struct pixel_range){-2, 2, r.is_scaled};       /* most of what has mean 0 and deviation 1 */
        else if (status == STEP_DONE && maps)
            range_follow(&r, maps, channels);
        r.is_scaled = r.is_scaled || !strcmp(step->def->name, "scale");
    }
    return r;
}

void check_data_shares(struct check *c)
{
    const struct pixel_range r = pixel_range(c);
    /* what rounding makes of 255 * (1 / 255) */
    const double slack = 1e-9;

    if (c->data->sample != CNN_SAMPLE_BYTES || (r.low >= -slack && r.high <= 1 + slack))
        return;
    diag_error(c->diag, DIAG_class_mismatch, c->loss_where,
               "%s is taken of numbers between 0 and 1; the network's input is %.4g to %.4g", c->model->loss->def->name,
               r.low, r.high);
    diag_note(c->diag, c->target_where, "the input is the target");
    diag_hint(c->diag, "make pixels so ('scale 1/255' and nothing else), or write: loss mse");
}

/* Whether weights meet the pixels themselves: there is a way from the input to a layer with weights on
 * which no batchnorm takes the pixels' size away. */
static bool weights_meet_pixels(const struct check *c)
{
    const struct model *m = c->model;
    const struct layer_def *batchnorm = layer_def_find("batchnorm");
    bool *raw = arena_array(c->arena, (size_t)m->layers_count + 1, sizeof *raw);

    raw[0] = true;
    for (int i = 1; i < m->layers_count; i++) {
        const struct layer *l = m->layers[i];
        for (int k = 0; k < l->inputs_count; k++)
            raw[i] = raw[i] || raw[l->inputs[k]->index];
        if (raw[i] && l->def == batchnorm)
            raw[i] = false;
        else if (raw[i] && l->def->parameters && l->def->parameters(l) > 0)
            return true;
    }
    return false;
}

/* A second `scale` with nothing that maps pixels between: what was meant once is done twice.  Whether it is there. */
static bool check_scales(struct check *c)
{
    const struct clause *scale = NULL;
    bool twice = false;

    for (int i = 0; i < c->model->steps_count; i++) {
        const struct clause *step = c->model->steps[i];
        if (strcmp(step->def->name, "scale")) {
            scale = kind_of(step) == STEP_MAPS ? NULL : scale;
            continue;
        }
        if (scale) {
            diag_warning(c->diag, DIAG_scaled_twice, step->where, "pixels are scaled twice, by %.6g in all",
                         clause_number(scale, "factor") * clause_number(step, "factor"));
            diag_note(c->diag, scale->where, "the first 'scale' is here");
            twice = true;
        }
        scale = step;
    }
    return twice;
}

void check_data_pixels(struct check *c)
{
    /* beyond what data are normalised to, and below what bytes differ by: both are a slip */
    static const double most = 16, least = 0.02;
    const struct pixel_range r = pixel_range(c);
    bool high = !r.is_scaled && (r.high > most || r.low < -most), flat = r.high - r.low < least;

    if (c->model->sample != CNN_SAMPLE_BYTES || check_scales(c) || (!high && !flat) || !weights_meet_pixels(c))
        return;
    diag_warning(c->diag, DIAG_unscaled_pixels, c->data_where,
                 "pixels arrive at the network's weights as %.4g to %.4g: %s", r.low, r.high,
                 high ? "so large numbers are hard to learn from" : "they hardly differ");
    if (high && !step_before(c, "normalize"))
        diag_hint(c->diag, "write 'scale 1/255' below it, or 'scale 1' to have them so");
    else if (high)
        diag_hint(c->diag, "pixels are 0 to 255 before 'normalize'; are its numbers meant for 'scale 1/255' before it?");
    else
        diag_hint(c->diag, "pixels are 0 to 255 before the first step");
}

static void check_mixing(struct check *c)
{
    struct model *m = c->model;

    for (int i = 0; i < m->steps_count; i++)
        for (int k = 0; k < clause_def_count(m->steps[i]->def); k++) {
            const char *name = m->steps[i]->def->args[k].name;
            const struct arg_value *v = &m->steps[i]->args[k];
            if (kind_of(m->steps[i]) != STEP_AUGMENTS || (strcmp(name, "mixup") && strcmp(name, "cutmix")) ||
                v->number <= 0 || m->target.kind != CNN_TARGET_CLASS)
                continue;
            m->mixes = true;
            if (m->outputs == m->target.size)
                continue;
            diag_error(c->diag, DIAG_class_mismatch, v->where, "'%s' needs an output for each class", name);
            diag_note(c->diag, m->layers[m->layers_count - 1]->where, "the network ends in %d", m->outputs);
            diag_hint(c->diag, "end it with 'dense %d, softmax'", m->target.size);
        }
}

static void check_copies(struct check *c)
{
    const struct clause *tta = step_before(c, "tta");

    if (!tta)
        return;
    struct arg_value *average = NULL;
    for (int i = 0; i < clause_def_count(tta->def); i++)
        if (!strcmp(tta->def->args[i].name, "average"))
            average = &tta->args[i];
    if (c->model->target.kind == CNN_TARGET_INPUT) {
        diag_error(c->diag, DIAG_misplaced_statement, tta->where,
                   "tta averages answers; a network that gives its input back has other ones for a moved copy");
    } else if (!average->given) {
        average->text = c->model->ends_in_softmax ? "logits" : "predictions";
    } else if (!strcmp(average->text, "logits") && !c->model->ends_in_softmax) {
        diag_error(c->diag, DIAG_needs_softmax, average->where,
                   "logits are what arrives at a last softmax; there is none");
        diag_note(c->diag, c->model->layers[c->model->layers_count - 1]->where, "the network ends here");
        diag_hint(c->diag, "write: average=predictions");
    }
}

/* ---- what no single slot of a source can tell ------------------------------------------------ */

static bool is_given(const struct check *c, const char *argument)
{
    return clause_arg(c->model->source_clause, argument)->given;
}

static void missing_source(struct check *c, const char *what, const char *hint)
{
    diag_error(c->diag, DIAG_missing_argument, c->data_where, "%s %s", c->data->clause.name, what);
    diag_hint(c->diag, "%s", hint);
}

/* Samples have targets, and there is something to validate with. */
static void check_arrays(struct check *c)
{
    bool targets = c->model->target.kind != CNN_TARGET_INPUT, held = is_given(c, "val_x");

    if (targets && !is_given(c, "y"))
        missing_source(c, "needs 'y': what the network learns of the samples",
                       strcmp(c->data->clause.name, "npz") ? "such as: x=\"x.npy\", y=\"y.npy\""
                           : "such as: x=\"x\", y=\"y\"");
    if (!held && is_given(c, "val_y"))
        missing_source(c, "has 'val_y' without 'val_x'", "both are of the set that validates or tests");
    else if (held && targets && !is_given(c, "val_y"))
        missing_source(c, "has 'val_x' without 'val_y'", "both are of the set that validates or tests");
    else if (!held && !step_before(c, "split"))
        missing_source(c, "has nothing to validate with: neither 'val_x' nor a 'split'",
                       "write 'val_x=.., val_y=..' behind it, or 'split 0.1' below it");
}

static struct arg_value *source_argument(const struct check *c, const char *name)
{
    const struct clause *source = c->model->source_clause;

    return &source->args[clause_arg(source, name) - source->args];
}

/* Columns that are named need names, and what separates fields is one character. */
static void check_csv(struct check *c)
{
    struct arg_value *header = source_argument(c, "header");
    const struct arg_value *named = NULL, *separator = clause_arg(c->model->source_clause, "separator");
    static const char *const columns[] = {"label", "ignore"};

    for (int i = 0; i < 2; i++) {
        const struct arg_value *v = clause_arg(c->model->source_clause, columns[i]);
        if (v->text && strchr(v->text, '"'))
            named = v;
    }
    if (named && header->given && header->number == 0) {
        diag_error(c->diag, DIAG_bad_column, named->where,
                   "columns have names where the first line of the file gives them");
        diag_note(c->diag, header->where, "here it is said that it gives none");
        diag_hint(c->diag, "write the number of the column, from 1");
    } else if (named) {
        header->number = 1;
    }
    if (strlen(separator->text) != 1 || strchr("\"\r\n.+-eE0123456789", separator->text[0]))
        diag_error(c->diag, DIAG_bad_column, separator->where,
                   "'separator' is one character that no number holds, such as \",\", \";\" or \"\\t\"");
    if (c->model->target.kind != CNN_TARGET_INPUT && !is_given(c, "label"))
        missing_source(c, "needs 'label': the column of what the network learns",
                       "such as: label=5, or label=\"species\"");
    if (!is_given(c, "test") && !step_before(c, "split"))
        missing_source(c, "has nothing to validate with: neither 'test' nor a 'split'",
                       "write 'test=..' behind the file, or 'split 0.1' below it");
}

static const struct {
    const char *name;
    void (*check)(struct check *c);
} source_checks[] = {
    {"csv", check_csv},
    {"npy", check_arrays},
    {"npz", check_arrays},
};

void check_data_source(struct check *c)
{
    for (size_t i = 0; i < sizeof source_checks / sizeof source_checks[0]; i++)
        if (!strcmp(source_checks[i].name, c->data->clause.name))
            source_checks[i].check(c);
}

void check_ends_of_steps(struct check *c)
{
    check_mixing(c);
    check_copies(c);
}

void check_data(struct check *c, const struct ast_statement *section)
{
    struct constant *outer = c->constants;

    c->model->has_data = true;
    c->level++;
    for (const struct ast_statement *s = section->body->first; s; s = s->next)
        check_data_statement(c, s);
    c->level--;
    check_constants_leave(c, outer);
    if (!c->data && !c->data_where.file && !section->body->broken) {
        diag_error(c->diag, DIAG_missing_statement, section->word_where, "'data' names no source");
        diag_hint(c->diag, "such as: cifar10 \"cifar-10-batches-bin\"");
    }
}
