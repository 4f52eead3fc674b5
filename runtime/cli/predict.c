/* predict.c - what a trained network takes pictures for, or the samples of arrays and tables.
 *
 * A picture is prepared as in training: its decoder and the recipe's steps are the very same, but for
 * those that draw.  One that cannot be read is told of on stderr, the others go on, and the exit status is 1.
 *
 * Of several processes each takes every so many-th batch, and the first one prints what all have found, in the order of
 * the batches.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "cli/command.h"
#include "cli/predict_pictures.h"
#include "cli/predict_ranks.h"
#include "core/guest.h"
#include "data/image.h"
#include "core/json_text.h"
#include "train/loader.h"
#include "train/standing.h"
#include "core/file_path.h"
#include "core/message.h"
#include "core/parallel.h"
#include "core/rank_writes.h"
#include "files/notes.h"
#include "data/picture_list.h"
#include "core/quoted.h"
#include "core/targets.h"
#include "files/run_folder.h"
#include "core/team.h"
#include "train/trainer.h"
#include "train/tta.h"

enum { TOP_DEFAULT = 3 };

struct prediction {
    int class;
    double probability;
};

struct predict {
    const struct cnn_model *model;
    const struct command_options *options;
    struct cnn_context *context;
    struct loader loader;
    struct tta tta;
    struct picture_list list;
    struct pixel_fit fit;
    int top;
    bool files;                 /* words are files of samples, not pictures */
    uint8_t *pixels;            /* (batch, height, width, channels) */
    float *row;                 /* a sample of such a file, on its way */
    struct image_fault *faults; /* (batch); text "": the picture is there */
    struct prediction *order;   /* (classes or labels) */
    int given;                  /* labels that the sample has, the first of the order */
    double absolute, root_mean_square;  /* how far the sample's input is from what is given back */
    int sample;                 /* of the batch: the one being printed */
    int64_t first;              /* number of the batch's first picture in the list */
    int64_t printed, failed;
    /* of a file of samples that is being read */
    const struct split *split;
    const char *file;
    char *name;                 /* room for that of a sample */
    struct predict_pictures pictures;
    struct predict_ranks ranks;
    struct standing standing;
    bool broken;                /* it has ended amidst what all do together */
};

/* ---- printing -------------------------------------------------------------------------------- */

static const char *class_name(const struct predict *p, int class)
{
    char *const *names = rt_notes(p->context)->class_names;
    return names ? names[class] : NULL;
}

/* Digits that give a number of the network back exactly. */
static int digits(const struct predict *p)
{
    return p->model->real_size == 4 ? 9 : 17;
}

/* The number that so many digits are. */
static double shown(const struct predict *p, double x)
{
    char text[40];
    snprintf(text, sizeof text, "%.*g", digits(p), x);
    return strtod(text, NULL);
}

/* ---- classes --------------------------------------------------------------------------------- */

/* The more probable first, of equals the first class. */
static int by_probability(const void *a, const void *b)
{
    const struct prediction *x = a, *y = b;
    if (x->probability != y->probability)
        return x->probability < y->probability ? 1 : -1;
    return x->class - y->class;
}

static int classes_take(struct predict *p, struct image_fault *fault)
{
    int classes = p->model->train.target.size;
    bool lone = p->model->outputs == 1 && classes == 2;         /* the probability of the second one */
    for (int k = 0; k < classes; k++) {
        double probability = rt_predicted_number(p->context, p->sample, lone ? 0 : k);
        if (lone && k == 0)
            probability = 1.0 - probability;
        if (!(probability >= 0.0 && probability <= 1.0)) {
            snprintf(fault->text, sizeof fault->text, "the network gives %g for class %d", probability, k);
            return -1;
        }
        p->order[k] = (struct prediction){ k, probability };
    }
    qsort(p->order, (size_t)classes, sizeof *p->order, by_probability);
    return 0;
}

/* "bird 0.9731", behind a colon or a comma; kind: what a number is of that has no name. */
static void guess_text(const struct predict *p, int i, const char *kind)
{
    const char *name = class_name(p, p->order[i].class);
    printf(i ? ", " : ": ");
    if (name)
        rt_print_name(stdout, name);
    else
        printf("%s %d", kind, p->order[i].class);
    printf(" %.4f", p->order[i].probability);
}

static void classes_text(const struct predict *p)
{
    for (int i = 0; i < p->top; i++)
        guess_text(p, i, "class");
    putchar('\n');
}

static void classes_csv(const struct predict *p, const char *path)
{
    for (int i = 0; i < p->top; i++) {
        const char *name = class_name(p, p->order[i].class);
        rt_csv_text(stdout, path);
        printf(",%d,%d,", i + 1, p->order[i].class);
        rt_csv_text(stdout, name ? name : "");
        printf(",%.*g\n", digits(p), p->order[i].probability);
    }
}

static int classes_json(const struct predict *p, json_t *list)
{
    int status = 0;
    for (int i = 0; i < p->top; i++)
        status |= json_array_append_new(list, json_pack("{s:i, s:s?, s:f}", "class", p->order[i].class, "name",
                                                        class_name(p, p->order[i].class), "probability",
                                                        shown(p, p->order[i].probability)));
    return status;
}

/* ---- labels ---------------------------------------------------------------------------------- */

/* Those above a half, in their order. */
static int labels_take(struct predict *p, struct image_fault *fault)
{
    p->given = 0;
    for (int k = 0; k < p->model->outputs; k++) {
        double probability = rt_predicted_number(p->context, p->sample, k);
        if (!isfinite(probability)) {
            snprintf(fault->text, sizeof fault->text, "the network gives %g for label %d", probability, k);
            return -1;
        }
        if (probability > 0.5)
            p->order[p->given++] = (struct prediction){ k, probability };
    }
    return 0;
}

static void labels_text(const struct predict *p)
{
    for (int i = 0; i < p->given; i++)
        guess_text(p, i, "label");
    printf(p->given ? "\n" : ": none\n");
}

static void labels_csv(const struct predict *p, const char *path)
{
    for (int i = 0; i < p->given; i++) {
        const char *name = class_name(p, p->order[i].class);
        rt_csv_text(stdout, path);
        printf(",%d,", p->order[i].class);
        rt_csv_text(stdout, name ? name : "");
        printf(",%.*g\n", digits(p), p->order[i].probability);
    }
}

static int labels_json(const struct predict *p, json_t *list)
{
    int status = 0;
    for (int i = 0; i < p->given; i++)
        status |= json_array_append_new(list, json_pack("{s:i, s:s?, s:f}", "label", p->order[i].class, "name",
                                                        class_name(p, p->order[i].class), "probability",
                                                        shown(p, p->order[i].probability)));
    return status;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static int numbers_take(struct predict *p, struct image_fault *fault)
{
    for (int k = 0; k < p->model->outputs; k++) {
        double number = rt_predicted_number(p->context, p->sample, k);
        if (!isfinite(number)) {
            snprintf(fault->text, sizeof fault->text, "the network gives %g for output %d", number, k);
            return -1;
        }
    }
    return 0;
}

static void numbers_text(const struct predict *p)
{
    for (int k = 0; k < p->model->outputs; k++)
        printf("%s %.6g", k ? "," : ":", rt_predicted_number(p->context, p->sample, k));
    putchar('\n');
}

static void numbers_csv(const struct predict *p, const char *path)
{
    for (int k = 0; k < p->model->outputs; k++) {
        rt_csv_text(stdout, path);
        printf(",%d,%.*g\n", k, digits(p), rt_predicted_number(p->context, p->sample, k));
    }
}

static int numbers_json(const struct predict *p, json_t *list)
{
    int status = 0;
    for (int k = 0; k < p->model->outputs; k++)
        status |= json_array_append_new(list, json_real(shown(p, rt_predicted_number(p->context, p->sample, k))));
    return status;
}

/* ---- the input, given back ------------------------------------------------------------------- */

static int input_take(struct predict *p, struct image_fault *fault)
{
    double absolute = 0.0, squares = 0.0;
    int count = p->model->outputs;
    if (numbers_take(p, fault))
        return -1;
    for (int k = 0; k < count; k++) {
        double apart = rt_predicted_number(p->context, p->sample, k) - rt_target_number(p->context, p->sample, k);
        absolute += fabs(apart);
        squares += apart * apart;
    }
    p->absolute = absolute / count;
    p->root_mean_square = sqrt(squares / count);
    return 0;
}

static void input_text(const struct predict *p)
{
    printf(": mean absolute error %.6g, root mean square error %.6g\n", p->absolute, p->root_mean_square);
}

static void input_csv(const struct predict *p, const char *path)
{
    rt_csv_text(stdout, path);
    printf(",%.9g,%.9g\n", p->absolute, p->root_mean_square);
}

static int input_json(const struct predict *p, json_t *list)
{
    return json_array_append_new(list, json_pack("{s:f, s:f}", "mean_absolute_error", p->absolute,
                                                 "root_mean_square_error", p->root_mean_square));
}

/* ---- printing, by what the network's targets are --------------------------------------------- */

static const struct answer {
    /* 0, or -1 with why there is none to be printed */
    int (*take)(struct predict *p, struct image_fault *fault);
    void (*text)(const struct predict *p);          /* behind the file's name */
    const char *csv_head;
    void (*csv)(const struct predict *p, const char *path);
    const char *json_key;
    int (*json)(const struct predict *p, json_t *list);
} classes_answer = { classes_take, classes_text, "file,rank,class,name,probability\n", classes_csv, "predictions",
                     classes_json },
  labels_answer = { labels_take, labels_text, "file,label,name,probability\n", labels_csv, "labels", labels_json },
  numbers_answer = { numbers_take, numbers_text, "file,output,value\n", numbers_csv, "outputs", numbers_json },
  input_answer = { input_take, input_text, "file,mean_absolute_error,root_mean_square_error\n", input_csv,
                   "reconstruction", input_json };

static const struct answer *answer_of(const struct predict *p)
{
    static const struct answer *const answers[] = {
        [CNN_TARGET_CLASS] = &classes_answer, [CNN_TARGET_VECTOR] = &numbers_answer,
        [CNN_TARGET_LABELS] = &labels_answer, [CNN_TARGET_INPUT] = &input_answer
    };
    return answers[p->model->train.target.kind];
}

/* One element of the list: {"file": .., "predictions": [..]} or {"file": .., "error": ".."}. */
static int print_json(struct predict *p, const char *path, const char *fault)
{
    json_t *picture = json_object(), *list = json_array();
    int status = json_object_set_new(picture, "file", rt_json_text(path));
    if (fault)
        status |= json_object_set_new(picture, "error", rt_json_text(fault));
    else
        status |= answer_of(p)->json(p, list) | json_object_set(picture, answer_of(p)->json_key, list);
    char *text = status ? NULL : rt_json_print(picture, JSON_REAL_PRECISION((size_t)digits(p)));
    if (text)
        printf("%s\n  %s", p->printed++ ? "," : "", text);
    else
        rt_error("%s: no memory to print it", path);
    free(text);
    json_decref(list);
    json_decref(picture);
    return text ? 0 : -1;
}

/* What the network has made of sample `at`; number: among those of a file of samples, -1: path is a picture. */
static int sample_print(struct predict *p, const char *path, int at, int64_t number)
{
    struct image_fault fault;
    p->sample = at;
    if (answer_of(p)->take(p, &fault)) {
        rt_error("%s: %s", path, fault.text);
        p->failed++;
        return p->options->json ? print_json(p, path, fault.text) : 0;
    }
    if (p->pictures.folder && rt_predict_picture_write(&p->pictures, p->context, at, number < 0 ? path : p->file,
                                                       number))
        p->failed++;
    if (p->options->json)
        return print_json(p, path, NULL);
    if (p->options->csv) {
        answer_of(p)->csv(p, path);
    } else {
        rt_print_name(stdout, path);
        answer_of(p)->text(p);
    }
    return 0;
}

/* ---- the work -------------------------------------------------------------------------------- */

/* The batch's picture number `at`. */
static void picture_read(void *arg, int64_t at)
{
    struct predict *p = arg;
    const char *path = p->list.pictures.paths[p->first + at];
    const struct cnn_model *m = p->model;
    size_t bytes = (size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width;
    struct image image;
    p->faults[at].text[0] = '\0';
    if (rt_image_read(&image, path, m->in_channels, &p->faults[at]) == 0)
        rt_image_fit(&image, p->fit, m->in_width, m->in_height, p->pixels + (size_t)at * bytes,
                     &p->faults[at]);
    rt_image_free(&image);
}

/* `count` pictures from `first` on.  0, or -1. */
static int pictures_predict(struct predict *p, int64_t first, int count)
{
    const struct cnn_model *m = p->model;
    size_t bytes = (size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width;
    int n = 0;
    p->first = first;
    rt_team_each(p->context->team, count, picture_read, p);
    for (int i = 0; i < count; i++) {
        if (p->faults[i].text[0])
            continue;
        rt_loader_set(&p->loader, p->context, n, p->pixels + (size_t)i * bytes);
        p->context->labels[n++] = 0;        /* the loss is not looked at */
    }
    if (n > 0)
        rt_tta_infer(&p->tta, p->context, n);
    return 0;
}

/* What was predicted of them, in their order.  0, or -1 when printing must end. */
static int pictures_print(struct predict *p, int64_t first, int count)
{
    for (int i = 0, n = 0; i < count; i++) {
        const char *path = p->list.pictures.paths[first + i], *fault = p->faults[i].text;
        if (*fault) {
            rt_error("%s: %s", path, fault);
            p->failed++;
            if (p->options->json && print_json(p, path, fault))
                return -1;
        } else if (sample_print(p, path, n++, -1)) {
            return -1;
        }
    }
    return ferror(stdout) ? -1 : 0;
}

/* `count` samples from `first` on of a file of them.  0, or -1 where one cannot be read any more. */
static int rows_predict(struct predict *p, int64_t first, int count)
{
    for (int i = 0; i < count; i++) {
        const void *sample = rt_split_sample(p->split, first + i, rt_sample_elements(p->model), p->row);
        if (!sample)
            return -1;
        rt_loader_set(&p->loader, p->context, i, sample);
        if (p->model->train.target.kind == CNN_TARGET_CLASS)
            p->context->labels[i] = 0;
    }
    rt_tta_infer(&p->tta, p->context, count);
    return 0;
}

static int rows_print(struct predict *p, int64_t first, int count)
{
    for (int i = 0; i < count; i++) {
        sprintf(p->name, "%s: %lld", p->file, (long long)(first + i));
        if (sample_print(p, p->name, i, first + i))
            return -1;
    }
    return ferror(stdout) ? -1 : 0;
}

/* What is done with samples by batches. */
struct batch_work {
    int (*predict)(struct predict *p, int64_t first, int count);
    int (*print)(struct predict *p, int64_t first, int count);
};

static const struct batch_work pictures_work = { pictures_predict, pictures_print }, rows_work = { rows_predict,
        rows_print };

static int batch_size(const struct predict *p, int64_t first, int64_t total)
{
    const int64_t left = total - first, batch = p->model->batch;
    return left < 0 ? 0 : left < batch ? (int)left : (int)batch;
}

/* As many batches as there are processes, from sample `first` on: each has its own.  0, or -1 where none goes on. */
static int round_do(struct predict *p, const struct batch_work *w, int64_t first, int64_t total)
{
    const int processes = rt_predict_ranks_count(&p->ranks), batch = p->model->batch;
    const int64_t mine = first + (int64_t)rt_predict_ranks_number(&p->ranks) * batch;
    const int count = batch_size(p, mine, total);
    int told = count > 0 && w->predict(p, mine, count) ? -1 : count;
    if (rt_predict_ranks_gather(&p->ranks, told)) {
        p->broken = true;
        return -1;
    }
    bool unread = false;
    for (int i = 0; i < processes && !unread; i++) {
        told = p->ranks.ranks ? rt_predict_ranks_take(&p->ranks, i) : told;
        unread = told < 0;
        if (told > 0 && rt_rank_writes(p->ranks.ranks) && w->print(p, first + (int64_t)i * batch, told)) {
            p->broken = true;
            return -1;
        }
    }
    p->failed += unread;
    return unread ? -1 : 0;
}

static int batches_do(struct predict *p, const struct batch_work *w, int64_t total)
{
    const int64_t each = (int64_t)rt_predict_ranks_count(&p->ranks) * p->model->batch;
    int status = 0;
    for (int64_t first = 0; first < total && status == 0; first += each)
        status = round_do(p, w, first, total);
    return status;
}

/* Whether all processes have opened a file of samples, and with as many.  The first one tells of the others. */
static bool all_have(struct predict *p, const char *file, int64_t count)
{
    const struct cnn_ranks *r = p->ranks.ranks;
    if (!r)
        return count >= 0;
    int64_t *counts = calloc((size_t)r->count, sizeof *counts);
    p->broken = !counts || r->gather(r, &count, sizeof count, counts);
    int other = 0;
    for (int i = 1; i < r->count && !p->broken && other == 0; i++)
        other = counts[i] != counts[0] ? i : 0;
    const bool first_has = !p->broken && counts[0] >= 0;
    if (other && first_has && rt_rank_writes(r))
        rt_error("%s: rank %d has another file of that name, or none", file, other);
    free(counts);
    return first_has && !other;
}

/* A file that cannot be read does not keep others from being done. */
static int file_predict(struct predict *p, const char *file)
{
    enum { NUMBER_ROOM = 32 };
    struct dataset d = { 0 };
    const bool writes = rt_rank_writes(p->ranks.ranks);
    int status = 0;
    p->file = file;
    p->split = &d.val;
    p->name = malloc(strlen(file) + NUMBER_ROOM);
    if (!p->name)
        rt_error("%s: no memory to name its samples", file);
    rt_message_hold(!writes);   /* the first one's word is enough */
    bool opened = p->name && rt_dataset_open_file(&d, p->model, file,
                                                  rt_data_use(&p->options->run, true, p->context->threads)) == 0;
    rt_message_hold(false);
    if (all_have(p, file, opened ? d.val.count : -1)) {
        status = batches_do(p, &rows_work, d.val.count);
    } else {
        p->failed++;
        status = p->broken ? -1 : p->options->json && writes ? print_json(p, file, "cannot be read") : 0;
        p->broken |= status != 0;
    }
    if (opened)
        rt_dataset_close(&d);
    free(p->name);
    return status;
}

/* Files as they are named, folders with all pictures in them. */
static int words_list(struct predict *p)
{
    const struct command_options *o = p->options;
    for (int i = 0; !p->files && i < o->words_count; i++) {
        const char *word = o->words[i];
        int64_t before = p->list.pictures.count;
        if (!rt_is_folder(word)) {
            if (rt_pictures_add(&p->list, word))
                return -1;
            continue;
        }
        struct left_out left = { 0 };
        rt_pictures_forget(&p->list);   /* a folder may be named twice */
        int failed = rt_pictures_find(&p->list, word, &left);
        rt_left_out_tell(&left, word);
        rt_left_out_free(&left);
        if (failed) {
            p->failed++;
        } else if (p->list.pictures.count == before) {
            rt_error("%s: holds no pictures (.png, .jpg, .jpeg)", word);
            p->failed++;
        }
    }
    return 0;
}

static int predict_open(struct predict *p, const char *weights)
{
    const struct cnn_model *m = p->model;
    size_t batch = (size_t)m->batch;
    p->files = rt_dataset_takes_files(m);
    if (!p->files && m->data.sample != CNN_SAMPLE_BYTES) {
        rt_error("predict takes pictures; %s was trained on other numbers", m->source);
        return -1;
    }
    if (!p->files && m->in_channels != 1 && m->in_channels != 3) {
        rt_error("pictures have 1 or 3 channels, the network's input %d", m->in_channels);
        return -1;
    }
    p->fit = rt_steps_fit(&m->data);
    p->top = p->options->top > 0 ? (int)p->options->top : TOP_DEFAULT;
    if (p->top > m->train.target.size)
        p->top = m->train.target.size;
    p->context = cnn_open(m, rt_threads_among((int)p->options->run.threads, m, p->options->run.ranks), m->train.seed);
    if (!p->context || (weights && cnn_load_weights(p->context, weights))
        || rt_standing_give_weights(&p->standing, p->context) || rt_loader_open(&p->loader, p->context, NULL,
                LOADER_MEASURES)
        || rt_tta_open(&p->tta, m, !p->options->run.no_tta))
        return -1;
    p->pixels = malloc(p->files ? 1 : batch * rt_sample_elements(m));
    p->row = malloc(rt_sample_elements(m) * sizeof *p->row);
    p->faults = calloc(batch, sizeof *p->faults);
    p->order = calloc((size_t)m->train.target.size, sizeof *p->order);
    if (p->pixels && p->row && p->faults && p->order)
        return rt_predict_ranks_open(&p->ranks, p->options->run.ranks, p->context, p->faults);
    rt_error("no memory for %d pictures", m->batch);
    return -1;
}

/* On stderr: what is printed may be a table. */
static void origin_tell(const struct predict *p, const char *weights)
{
    char *origin = rt_origin_text(&rt_notes(p->context)->origin);
    if (origin)
        rt_note("weights %s: %s", origin, weights);
    free(origin);
}

static void predict_close(struct predict *p)
{
    free(p->pixels);
    free(p->row);
    free(p->faults);
    free(p->order);
    rt_pictures_free(&p->list);
    rt_predict_pictures_close(&p->pictures);
    rt_predict_ranks_close(&p->ranks);
    rt_loader_close(&p->loader);
    rt_tta_close(&p->tta);
    cnn_close(p->context);
}

/* The list of the first process is that of all.  0, or -1 with a message. */
static int list_give(struct predict *p)
{
    const bool gives = rt_rank_writes(p->options->run.ranks);
    char *text = NULL;
    size_t length = 0;
    FILE *out = gives && p->options->run.ranks ? open_memstream(&text, &length) : NULL;
    for (int64_t i = 0; out && i < p->list.pictures.count; i++)
        fwrite(p->list.pictures.paths[i], 1, strlen(p->list.pictures.paths[i]) + 1, out);
    if (gives && p->options->run.ranks && (!out || fclose(out))) {
        rt_error("no memory for a list of pictures");
        free(text);
        return -1;
    }
    unsigned char *bytes = (unsigned char *)text;
    uint64_t count = length;
    int status = rt_standing_give(&p->standing, "share a list of pictures", &bytes, &count);
    if (status == 0 && !gives)
        for (uint64_t at = 0; at < count && status == 0; at += strlen((char *)bytes + at) + 1)
            status = rt_pictures_add(&p->list, (char *)bytes + at);
    free(bytes);
    return status;
}

static int predict_all(struct predict *p)
{
    const bool writes = rt_rank_writes(p->options->run.ranks);
    int status = 0;
    if (p->options->json && writes)
        putchar('[');
    if (p->options->csv && writes)
        fputs(answer_of(p)->csv_head, stdout);
    for (int i = 0; p->files && i < p->options->words_count && status == 0; i++)
        status = file_predict(p, p->options->words[i]);
    if (status == 0)
        status = batches_do(p, &pictures_work, p->list.pictures.count);
    if (p->options->json && writes)
        printf("%s]\n", p->printed ? "\n" : "");
    return status;
}

/* All that is needed before the first batch.  0, or -1 with a message. */
static int predict_begin(struct predict *p, const char *weights)
{
    const struct run_options *o = &p->options->run;
    const bool reads = rt_rank_writes(o->ranks);        /* the others get weights and list from the first one */
    if ((reads && !weights) || rt_program_agree(&p->standing, p->model, o, "predict")
        || predict_open(p, reads ? weights : NULL) || (reads && words_list(p)) || list_give(p)
        || (reads && rt_predict_pictures_open(&p->pictures, p->options->pictures, p->context, &p->list)))
        return -1;
    return rt_standing_last(&p->standing, "predict what is listed", NULL);
}

int rt_predict(const struct cnn_model *model, const struct command_options *o)
{
    struct predict p = { .model = model, .options = o, .standing = { .ranks = o->run.ranks, .fault = o->fault } };
    struct run_folder folder;
    if (o->json && o->csv) {
        rt_error("--json and --csv: one of them");
        return EXIT_WRONG_USE;
    }
    if (rt_run_folder_name(&folder, model, o->run.run_dir))
        return EXIT_FAILED;
    const bool reads = rt_rank_writes(o->run.ranks);
    const char *weights = o->run.weights || !reads ? o->run.weights : rt_run_folder_weights(&folder);
    int status = EXIT_FAILED;
    if (predict_begin(&p, weights)) {
        rt_standing_fail(&p.standing);
    } else {
        if (reads)
            origin_tell(&p, weights);
        if (predict_all(&p) == 0 && p.failed == 0)
            status = EXIT_FINE;
        if (p.pictures.folder && reads)
            rt_note("%s: %lld pictures", p.pictures.folder, (long long)p.pictures.written);
        if (p.broken && o->run.ranks)
            o->run.ranks->give_up(o->run.ranks, EXIT_FAILED);
    }
    predict_close(&p);
    rt_run_folder_free(&folder);
    return status;
}
