/* preview.c - a sheet of training samples as the trainer sees them in an epoch: its own loader prepares them, and what
 * the steps make of numbers is undone again, so that they can be looked at (sample_picture.h). */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/sample_picture.h"
#include "core/message.h"
#include "core/targets.h"
#include "data/letters.h"
#include "files/notes.h"
#include "train/trainer.h"

enum {
    ROWS_DEFAULT = 4, COLUMNS_DEFAULT = 8,
    GAP = 8,
    SIDE_LEAST = 128,           /* a sample is enlarged to this */
    LETTER_SIZE = 2, LINE = LETTER_SIZE * LETTER_HEIGHT,
    LINES_MOST = 2, TEXT_ROOM = 128
};
static const int64_t pixels_most = 100000000;

struct preview {
    const struct cnn_model *model;
    struct trainer *trainer;
    struct cnn_context *context;
    struct canvas canvas;
    int rows, columns;
    int lines;                  /* below a sample */
    int enlarged;               /* a sample's pixel is a square of so many */
    int cell_width, cell_height;
    struct sample_picture how;
    double *row;                /* (channels, height, width) */
};

static void sample_draw(struct preview *p, int i, int left, int top)
{
    rt_input_row(p->context, i, p->row);
    const struct sample_range range = rt_sample_range(&p->how, p->row);
    for (int y = 0; y < p->model->in_height; y++)
        for (int x = 0; x < p->model->in_width; x++) {
            uint8_t pixel[3];
            rt_sample_pixel(&p->how, p->row, y, x, range, pixel);
            for (int row = 0; row < p->enlarged; row++)
                for (int column = 0; column < p->enlarged; column++)
                    memcpy(p->canvas.pixels + ((size_t)(top + y * p->enlarged + row) * (size_t)p->canvas.width
                                               + (size_t)(left + x * p->enlarged + column)) * 3,
                           pixel, 3);
        }
}

/* ---- what stands below it -------------------------------------------------------------------- */

static void class_text(const struct preview *p, int class, char text[TEXT_ROOM])
{
    char *const *names = rt_notes(p->context)->class_names;
    if (names)
        snprintf(text, TEXT_ROOM, "%s", names[class]);
    else
        snprintf(text, TEXT_ROOM, "%d", class);
}

static void share_add(char text[TEXT_ROOM], double share)
{
    size_t length = strlen(text);
    snprintf(text + length, TEXT_ROOM - length, " %.2f", share);
}

/* The first numbers of a target, or the labels that are set. */
static void numbers_text(const struct preview *p, int i, char text[TEXT_ROOM])
{
    const struct cnn_target target = p->model->train.target;
    size_t length = 0;
    text[0] = '\0';
    for (int k = 0; k < target.size && length < TEXT_ROOM - 16; k++) {
        double number = rt_target_number(p->context, i, k);
        if (target.kind == CNN_TARGET_VECTOR)
            length += (size_t)snprintf(text + length, TEXT_ROOM - length, "%s%.3g", length ? " " : "", number);
        else if (number > 0.0)
            length += (size_t)snprintf(text + length, TEXT_ROOM - length, number < 1.0 ? "%s%d:%.2f" : "%s%d",
                                       length ? " " : "", k, number);
    }
}

/* The class that has the larger share, and the other one where there is another. */
static int mixed_text(const struct preview *p, int i, char lines[LINES_MOST][TEXT_ROOM])
{
    int first = p->context->labels[i], second = first ? 0 : 1;
    for (int k = 0; k < p->model->train.target.size; k++)
        if (k != first && rt_target_number(p->context, i, k) > rt_target_number(p->context, i, second))
            second = k;
    class_text(p, first, lines[0]);
    double share = rt_target_number(p->context, i, second);
    if (share < 0.005)
        return 1;
    class_text(p, second, lines[1]);
    share_add(lines[0], rt_target_number(p->context, i, first));
    share_add(lines[1], share);
    return 2;
}

/* The lines below sample i of the batch; returns how many. */
static int label_text(const struct preview *p, int i, char lines[LINES_MOST][TEXT_ROOM])
{
    switch (p->model->train.target.kind) {
    case CNN_TARGET_CLASS:
        if (p->model->train.mixes)
            return mixed_text(p, i, lines);
        class_text(p, p->context->labels[i], lines[0]);
        return 1;
    case CNN_TARGET_VECTOR:
    case CNN_TARGET_LABELS:
        numbers_text(p, i, lines[0]);
        return 1;
    case CNN_TARGET_INPUT:
        break;
    }
    return 0;
}

/* Large letters where they fit, else small ones. */
static int letter_size(const char *text, int width)
{
    return rt_letters_count(text) * LETTER_WIDTH * LETTER_SIZE <= width + LETTER_SIZE ? LETTER_SIZE : 1;
}

/* What does not fit is cut off. */
static void line_draw(struct preview *p, const char *text, int size, int left, int top, int width)
{
    int count = rt_letters_count(text);
    int most = (width + size) / (LETTER_WIDTH * size);
    int drop = (LETTER_SIZE - size) * LETTER_HEIGHT / 2;
    if (count <= most) {
        rt_letters_draw(&p->canvas, left, top + drop, size, text, count);
        return;
    }
    rt_letters_draw(&p->canvas, left, top + drop, size, text, most - 2);
    rt_letters_draw(&p->canvas, left + (most - 2) * LETTER_WIDTH * size, top + drop, size, "..", 2);
}

/* ---- the sheet ------------------------------------------------------------------------------- */

static int sheet_open(struct preview *p)
{
    const struct cnn_model *m = p->model;
    p->enlarged = (SIDE_LEAST + m->in_width - 1) / m->in_width;
    p->cell_width = m->in_width * p->enlarged;
    p->lines = m->train.target.kind == CNN_TARGET_INPUT ? 0 : m->train.mixes ? LINES_MOST : 1;
    p->cell_height = m->in_height * p->enlarged + p->lines * LINE;
    int64_t width = (int64_t)p->columns * (p->cell_width + GAP) + GAP;
    int64_t height = (int64_t)p->rows * (p->cell_height + GAP) + LINE + 2 * GAP;
    if (width * height > pixels_most) {
        rt_error("a sheet of %lld x %lld pixels is too large (%lld at most): fewer --rows or --columns",
                 (long long)width, (long long)height, (long long)pixels_most);
        return -1;
    }
    p->row = malloc((size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width * sizeof *p->row);
    if (!p->row || rt_canvas_open(&p->canvas, (int)width, (int)height)) {
        rt_error("no memory for a sheet of %lld x %lld pixels", (long long)width, (long long)height);
        return -1;
    }
    return 0;
}

/* Sample i of the batch as number `at` of the sheet. */
static void cell_draw(struct preview *p, int i, int at)
{
    int left = GAP + at % p->columns * (p->cell_width + GAP);
    int top = LINE + 2 * GAP + at / p->columns * (p->cell_height + GAP);
    char lines[LINES_MOST][TEXT_ROOM];
    sample_draw(p, i, left, top);
    int count = label_text(p, i, lines), size = LETTER_SIZE;
    for (int k = 0; k < count; k++)
        size = letter_size(lines[k], p->cell_width) < size ? 1 : size;
    for (int k = 0; k < count; k++)
        line_draw(p, lines[k], size, left, top + p->model->in_height * p->enlarged + 4 + k * LINE, p->cell_width);
}

/* The first samples of that epoch, counted from 0. */
static int sheet_draw(struct preview *p, uint64_t epoch)
{
    struct loader *l = &p->trainer->train;
    char head[TEXT_ROOM];
    int n = 0, drawn = 0, wanted = p->rows * p->columns;
    snprintf(head, sizeof head, "%s: epoch %llu, seed %llu", p->model->name, (unsigned long long)epoch + 1,
             (unsigned long long)p->context->seed);
    line_draw(p, head, letter_size(head, p->canvas.width - 2 * GAP), GAP, GAP, p->canvas.width - 2 * GAP);
    rt_loader_begin(l, p->context->seed, epoch);
    while (drawn < wanted && (n = rt_loader_next(l, p->context)) > 0)
        for (int i = 0; i < n && drawn < wanted; i++)
            cell_draw(p, i, drawn++);
    return n < 0 ? -1 : 0;
}

static int preview(struct preview *p, const struct command_options *o, const char *path)
{
    struct trainer *t = p->trainer;
    if (rt_picture_may_replace(path) || rt_trainer_open(t, NULL, true))
        return -1;
    p->context = t->context;
    int count = p->rows * p->columns;
    if (count > t->data.train.count) {
        p->columns = t->data.train.count < p->columns ? (int)t->data.train.count : p->columns;
        p->rows = (int)((t->data.train.count + p->columns - 1) / p->columns);
        rt_note("there are %lld samples to train with", (long long)t->data.train.count);
    }
    if (rt_loader_open(&t->train, p->context, &t->data.train, o->run.no_shuffle ? LOADER_TRAINS : LOADER_SHUFFLES)
        || rt_sample_picture_open(&p->how, p->context) || sheet_open(p) ||
            sheet_draw(p, o->epoch > 0 ? (uint64_t)o->epoch - 1 : 0)
        || rt_canvas_write(&p->canvas, path))
        return -1;
    rt_print(stdout, "%s: the first samples of epoch %lld\n", path, (long long)(o->epoch > 0 ? o->epoch : 1));
    return 0;
}

int rt_preview(const struct cnn_model *model, const struct command_options *o)
{
    struct trainer t = rt_trainer_of(model, &o->run);
    struct preview p = { .model = model, .trainer = &t, .rows = o->rows > 0 ? (int)o->rows : ROWS_DEFAULT,
                         .columns = o->columns > 0 ? (int)o->columns : COLUMNS_DEFAULT };
    char *own = NULL;
    int status = EXIT_FAILED;
    if (!o->out && asprintf(&own, "%s.preview.png", model->name) < 0)
        rt_error("no memory for a file's name");
    else if (preview(&p, o, o->out ? o->out : own) == 0)
        status = EXIT_FINE;
    if (rt_trainer_close(&t))
        status = EXIT_FAILED;
    rt_canvas_close(&p.canvas);
    rt_sample_picture_close(&p.how);
    free(p.row);
    free(own);
    return status;
}
