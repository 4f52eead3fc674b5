/* check_ends.c - what must fit between the sections: the network's end with data, loss and metrics. */
#include "check/check_parts.h"

#include <string.h>

/* 0: only the data know. */
static int data_classes(const struct check *c)
{
    const struct clause *source = c->model->source_clause;

    if (c->data->classes)
        return c->data->classes;
    if (c->data->classes_of)
        return c->data->classes_of(source);
    for (int i = 0; i < clause_def_count(source->def); i++)
        if (!strcmp(source->def->args[i].name, "classes"))
            return (int)source->args[i].number;
    return 0;
}

/* Among more classes than there are, the right one always is. */
static void check_top_k(struct check *c)
{
    const struct model *m = c->model;

    for (int i = 0; i < m->metrics_count; i++) {
        const struct clause *clause = m->metrics[i].clause;
        if (!clause || strcmp(clause->def->name, "top_k") || clause_int(clause, "k") < m->outputs)
            continue;
        if (m->outputs == 1) {
            diag_error(c->diag, DIAG_class_mismatch, clause->where, "top_k needs an output for each class");
            continue;
        }
        diag_error(c->diag, DIAG_out_of_range, clause->where,
                   "'k' of top_k must be less than the number of classes, %d, found %d", m->outputs,
                   (int)clause_int(clause, "k"));
    }
}

/* What a network ends in, by what it is trained towards. */
static const struct {
    const char *needs;          /* behind what it ends in */
    const char *numbers;        /* what its outputs are then */
    const char *mismatch;       /* two numbers and the source */
} ends[] = {
    [CNN_TARGET_CLASS] = {"one number a class is needed", "classes", "the network ends in %d classes, %s has %d"},
    [CNN_TARGET_VECTOR] = {"one number for each of a target's is needed", "numbers",
                           "the network ends in %d numbers, the targets of %s have %d"},
    [CNN_TARGET_LABELS] = {"one number a label is needed", "labels", "the network ends in %d labels, %s has %d"},
    [CNN_TARGET_INPUT] = {"as many numbers as the input's are needed", "the network's own input", NULL}
};

/* Of a source that has targets of any kind: what it says, else what the loss can be taken of: classes where the network
 * ends in probabilities of them, numbers, labels, each of which has an output, and classes. */
static enum cnn_target_kind asked_target(const struct check *c)
{
    static const struct {
        const char *word;
        enum cnn_target_kind kind;
    } words[] = {{"classes", CNN_TARGET_CLASS}, {"numbers", CNN_TARGET_VECTOR}, {"labels", CNN_TARGET_LABELS}};
    const struct model *m = c->model;
    const char *word = m->source_clause ? clause_text(m->source_clause, "targets") : NULL;
    unsigned possible = m->loss ? loss_def_of(m->loss)->targets : TARGETS(CNN_TARGET_CLASS);

    for (size_t i = 0; word && i < sizeof words / sizeof words[0]; i++)
        if (!strcmp(word, words[i].word))
            return words[i].kind;
    if (m->ends_in_softmax && (possible & TARGETS(CNN_TARGET_CLASS)))
        return CNN_TARGET_CLASS;
    if (possible & TARGETS(CNN_TARGET_VECTOR))
        return CNN_TARGET_VECTOR;
    return (possible & TARGETS(CNN_TARGET_LABELS)) && m->outputs > 1 ? CNN_TARGET_LABELS : CNN_TARGET_CLASS;
}

/* The data say what the network is trained towards, and where there are none the loss. */
static enum cnn_target_kind target_kind(const struct check *c)
{
    const struct model *m = c->model;
    int kind = CNN_TARGET_CLASS;

    if (m->target_is_input)
        return CNN_TARGET_INPUT;
    if (c->data && c->data->any_target)
        return asked_target(c);
    if (c->data)
        return c->data->target;
    while (m->loss && !(loss_def_of(m->loss)->targets & TARGETS(kind)))
        kind++;
    return (enum cnn_target_kind)kind;
}

/* A map as large as the input, or as many numbers in the order of one. */
static bool is_like_input(struct shape out, struct shape in)
{
    return out.flat ? out.c == shape_elements(in) : out.c == in.c && out.h == in.h && out.w == in.w;
}

/* Whether the last result has the form that the targets ask for. */
static bool check_end_shape(struct check *c, const struct layer *last)
{
    const struct model *m = c->model;
    const struct shape input = m->layers[0]->out;
    bool vector = last->out.h == 1 && last->out.w == 1 && last->out.flat;

    if (m->target.kind == CNN_TARGET_INPUT ? is_like_input(last->out, input) : vector)
        return true;
    diag_error_within(c->diag, last->within, DIAG_not_classes, last->where, "the network ends in %s; %s",
                      shape_text(last->out).text, ends[m->target.kind].needs);
    if (m->target.kind == CNN_TARGET_INPUT) {
        diag_note(c->diag, m->layers[0]->where, "the input is %s", shape_text(input).text);
        diag_hint(c->diag, "end it with a map of %s, or with 'dense %lld'", shape_text(input).text,
                  (long long)shape_elements(input));
    }
    if (m->target.kind == CNN_TARGET_CLASS)
        diag_hint(c->diag, "end it with 'flatten' and 'dense %d, softmax'",
                  c->data && m->source_clause && data_classes(c) ? data_classes(c) : 10);
    return false;
}

static bool ends_in_one_of(const struct clause *activation, const char *const wanted[LOSS_ENDS])
{
    for (int i = 0; activation && i < LOSS_ENDS; i++)
        if (wanted[i] && is_activation_call(activation, wanted[i]))
            return true;
    return false;
}

/* What a person would write to end the network in that activation. */
static const char *end_text(struct check *c, const struct layer *last, const char *activation)
{
    const struct model *m = c->model;
    bool has_classes = m->target.kind == CNN_TARGET_CLASS && c->data && m->source_clause && data_classes(c);
    int classes = has_classes ? data_classes(c) : m->target.size;

    if (m->target.kind == CNN_TARGET_INPUT && !last->out.flat)
        return activation;
    if (m->target.kind == CNN_TARGET_CLASS && !strcmp(activation, "sigmoid") && classes <= 2)
        classes = 1;
    return arena_printf(c->arena, "dense %d, %s", classes, activation);
}

/* The losses that can be taken of such targets. */
static const char *losses_of(struct check *c, enum cnn_target_kind kind)
{
    int count = 0;
    const char **words;

    while (loss_defs[count].name)
        count++;
    words = arena_array(c->arena, (size_t)count + 1, sizeof *words);
    count = 0;
    for (const struct clause_def *def = loss_defs; def->name; def++)
        if (loss_def_of(&(struct clause){.def = def})->targets & TARGETS(kind))
            words[count++] = def->name;
    return check_join_words(c->arena, words);
}

/* A loss of the user's own, behind what the network ends in. */
static void check_own_loss(struct check *c, const struct layer *last)
{
    struct clause *loss = c->model->loss;
    const struct clause *activation = layer_activation(last);

    loss->holds_predictions = is_activation_call(activation, "softmax") || is_activation_call(activation, "sigmoid");
    const struct loss_expr l = loss_expr(c->arena, loss);
    if (!expr_is_number(l.gradient, 0))
        return;
    diag_error(c->diag, DIAG_zero_gradient, c->loss_where,
               "nothing can be learned from '%s': its gradient by the predictions "
               "is 0 everywhere", loss->def->name);
    diag_note(c->diag, loss->def->function->where, "it is declared here");
}

/* What the loss asks for: targets that it can be taken of, and the network's last activation. */
static void check_loss_ends(struct check *c, const struct layer *last)
{
    const struct model *m = c->model;
    const struct loss_def *loss = loss_def_of(m->loss);
    const struct clause *activation = layer_activation(last);
    const char *const *wanted = loss->ends[m->target.kind];

    if (!(loss->targets & TARGETS(m->target.kind))) {
        diag_error(c->diag, DIAG_class_mismatch, c->loss_where, "%s cannot be taken of %s", m->loss->def->name,
                   ends[m->target.kind].numbers);
        diag_note(c->diag, m->target_is_input ? c->target_where : c->data_where, "they come from here");
        diag_hint(c->diag, "a loss of %s is %s", ends[m->target.kind].numbers, losses_of(c, m->target.kind));
    } else if (wanted[0] && !ends_in_one_of(activation, wanted)) {
        diag_error_within(c->diag, last->within, DIAG_needs_softmax, last->where,
                          "%s needs %s: the network must end in %s%s%s",
                          m->loss->def->name, loss->needs, wanted[0], wanted[1] ? " or " : "", wanted[1] ? wanted[1]
                              : "");
        diag_note(c->diag, c->loss_where, "the loss is chosen here");
        diag_hint(c->diag, "write: %s", end_text(c, last, wanted[0]));
    } else if (loss->shares && m->target.kind == CNN_TARGET_INPUT && c->data) {
        check_data_shares(c);
    }
}

/* Weights of classes: as many, and where there are classes. */
static void check_class_weights(struct check *c)
{
    const struct model *m = c->model;
    const struct arg_value *weights = &m->class_weights->args[0];
    double sum = 0;

    if (m->target.kind != CNN_TARGET_CLASS) {
        diag_error(c->diag, DIAG_class_mismatch, m->class_weights->where,
                   "weights of classes need a target that is one of several classes; here it is %s",
                   ends[m->target.kind].numbers);
        return;
    }
    if (weights->list_length != m->target.size)
        diag_error(c->diag, DIAG_class_mismatch, weights->where, "%d weights for %d classes", weights->list_length,
                   m->target.size);
    for (int i = 0; i < weights->list_length; i++)
        sum += weights->list[i];
    if (sum == 0)
        diag_error(c->diag, DIAG_out_of_range, weights->where, "with weights that are all 0 nothing is learned");
}

/* The built-in metrics that can be taken of such targets. */
static const char *metrics_of(struct check *c, enum cnn_target_kind kind)
{
    int count = 0;
    const char **words;

    while (metric_defs[count].clause.name)
        count++;
    words = arena_array(c->arena, (size_t)count + 1, sizeof *words);
    count = 0;
    for (const struct metric_def *def = metric_defs; def->clause.name; def++)
        if (def->targets & TARGETS(kind))
            words[count++] = def->clause.name;
    return check_join_words(c->arena, words);
}

/* A metric counts what is there to be counted. */
static void check_metric_targets(struct check *c)
{
    const struct model *m = c->model;

    for (int i = 0; i < m->metrics_count; i++)
        if (!(m->metrics[i].targets & TARGETS(m->target.kind))) {
            diag_error(c->diag, DIAG_class_mismatch, m->metrics[i].where, "%s cannot be taken of %s",
                       m->metrics[i].name, ends[m->target.kind].numbers);
            diag_hint(c->diag, "metrics of %s are %s", ends[m->target.kind].numbers, metrics_of(c, m->target.kind));
        } else if (m->metrics[i].of_class > m->target.size) {
            diag_error(c->diag, DIAG_out_of_range, m->metrics[i].where, "%s: there are %d %s, counted from 0",
                       m->metrics[i].name, m->target.size, ends[m->target.kind].numbers);
        }
}

void check_ends(struct check *c)
{
    struct model *m = c->model;
    const struct layer *last = m->layers[m->layers_count - 1];
    const struct clause *activation = layer_activation(last);
    bool has_source = c->data && m->source_clause;

    m->ends_in_softmax = is_activation_call(activation, "softmax");
    m->outputs = (int)shape_elements(last->out);
    m->target = (struct cnn_target){target_kind(c), m->outputs};
    /* a lone sigmoid tells two classes apart */
    if (m->target.kind == CNN_TARGET_CLASS && m->outputs == 1 && is_activation_call(activation, "sigmoid"))
        m->target.size = 2;
    m->sample = check_data_sample(c);
    if ((!m->has_data && !m->has_train) || !check_end_shape(c, last))
        return;
    if (has_source && data_classes(c) && m->target.size != data_classes(c) && m->target.kind != CNN_TARGET_INPUT) {
        bool lone = m->target.size != m->outputs;
        diag_error_within(c->diag, last->within, DIAG_class_mismatch, last->where,
                   lone ? "the network ends in one sigmoid, which tells %d classes apart, %s has %d"
                        : ends[m->target.kind].mismatch, m->target.size, c->data->clause.name, data_classes(c));
        diag_note(c->diag, c->data_where, "the data come from here");
    } else if (m->target.kind == CNN_TARGET_CLASS && m->target.size == 1) {
        diag_error_within(c->diag, last->within, DIAG_class_mismatch, last->where,
                          "the network ends in one number, of one class nothing can be learned");
        diag_hint(c->diag, "two classes: end it in 'dense 1, sigmoid', with 'loss binary_crossentropy', or in 'dense 2, softmax'");
    }
    if (has_source)
        check_data_source(c);
    check_top_k(c);
    check_metric_targets(c);
    if (m->loss)
        check_loss_ends(c, last);
    if (m->loss && m->loss->def->function)
        check_own_loss(c, last);
    if (m->class_weights)
        check_class_weights(c);
}

void check_learns(struct check *c, const struct ast_statement *train)
{
    const struct model *m = c->model;
    bool learns = false;

    for (int i = 0; i < m->layers_count && !learns; i++)
        learns = layer_trained(m->layers[i]) > 0;
    if (!learns)
        diag_warning(c->diag, DIAG_nothing_trained, train->word_where,
                     "no layer of the network has weights that are trained");
    else if (check_rate_is_zero(m))
        diag_warning(c->diag, DIAG_nothing_trained, m->groups[m->groups_count - 1].clause->where,
                     "with 'lr_scale=0' for all parameters nothing is trained");
}
