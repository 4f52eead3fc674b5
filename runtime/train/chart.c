/* chart.c - history.svg.  Plain SVG 1.1: no scripts, no fonts or files from elsewhere. */
#include "train/chart.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/atomic_file.h"
#include "core/message.h"

enum {
    WIDTH = 760, LEFT = 64, RIGHT = 24, PANEL = 200,
    INSET = 10,                 /* between the frame and the first and last epoch */
    TITLE = 24, LEGEND = 46,    /* the base lines of the first two rows of text */
    TOP = 92,                   /* of the first panel: its name and the rates stand above it */
    GAP = 50, BOTTOM = 44,      /* between two panels; below the last one */
    RATE_PANEL = 110,           /* of a rate that follows a schedule */
    STEPS_MAX = 8,              /* of a rate that is no schedule's: each is marked in the panels of values */
    NAME_MAX_LENGTH = 80, TITLE_MAX_LENGTH = 64,
    X_TICKS_MAX = 14, DOTS_MAX = 60     /* more epochs than that are a line without dots */
};

#define TRAINING "#1f6fb4"
#define VALIDATION "#e06c00"
#define BEST "#b3202a"
#define RATE "#4a7a3a"
#define GREY "#666"

/* A history as numbers: columns are epoch, lr, values of training, the same of validation, and perhaps the steps, which
 * are not drawn. */
struct table {
    char (*names)[NAME_MAX_LENGTH];
    double *cells;              /* (rows, columns) */
    int columns, rows, values;
    int best;                   /* row of the smallest val_loss, -1: none */
    bool gaps;                  /* some value is not a number */
    bool scheduled;             /* the rate changes all along, or rises: it has a panel of its own */
};

/* What is not a number is infinite here; a NaN is a value that the run did not have then, whose cell
 * is empty. */
static double cell_read(const char *csv)
{
    double value = strtod(csv, NULL);
    if (*csv == ',' || *csv == '\n' || !*csv)
        return NAN;
    return isfinite(value) ? value : INFINITY;
}

static int table_read(struct table *t, const char *csv)
{
    size_t end = strcspn(csv, "\n");
    *t = (struct table){ .columns = 1, .best = -1 };
    for (size_t i = 0; i < end; i++)
        t->columns += csv[i] == ',';
    for (const char *at = csv + end; *at; at++)
        t->rows += *at == '\n' && at[1];
    t->values = (t->columns - 2) / 2;   /* rounded down: without the steps */
    t->names = calloc((size_t)t->columns, sizeof *t->names);
    t->cells = calloc((size_t)t->rows * (size_t)t->columns + 1, sizeof *t->cells);
    if (!t->names || !t->cells)
        return -1;
    for (int i = 0; i < t->columns; i++) {
        size_t length = strcspn(csv, ",\n");
        snprintf(t->names[i], NAME_MAX_LENGTH, "%.*s", (int)length, csv);
        csv += length + (csv[length] != '\0');
    }
    for (int i = 0; i < t->rows * t->columns; i++) {
        t->cells[i] = cell_read(csv);
        csv += strcspn(csv, ",\n");
        csv += *csv != '\0';
    }
    return 0;
}

static double cell(const struct table *t, int row, int column)
{
    return t->cells[(size_t)row * (size_t)t->columns + (size_t)column];
}

/* What a picture has a place for. */
static bool is_drawable(double v)
{
    return fabs(v) < 1e300;
}

static bool is_gap(double v)
{
    return !is_drawable(v) && !isnan(v);
}

static void table_survey(struct table *t)
{
    int column = 2 + t->values;         /* val_loss */
    int changes = 0;
    for (int i = 1; i < t->rows; i++) {
        changes += cell(t, i, 1) != cell(t, i - 1, 1);
        t->scheduled = t->scheduled || cell(t, i, 1) > cell(t, i - 1, 1);
    }
    t->scheduled = t->scheduled || changes > STEPS_MAX;
    for (int i = 0; i < t->rows; i++) {
        for (int k = 2; k < 2 + 2 * t->values; k++)
            t->gaps = t->gaps || is_gap(cell(t, i, k));
        if (is_drawable(cell(t, i, column))
            && (t->best < 0 || cell(t, i, column) < cell(t, t->best, column)))
            t->best = i;
    }
}

/* ---- places ---------------------------------------------------------------------------------- */

struct panel {
    int top, height;
    double low, high;
};

static double place_x(const struct table *t, int row)
{
    double first = cell(t, 0, 0), span = cell(t, t->rows - 1, 0) - first;
    double share = span > 0 ? (cell(t, row, 0) - first) / span : 0.5;
    return LEFT + INSET + share * (WIDTH - LEFT - RIGHT - 2 * INSET);
}

static double place_y(const struct panel *p, double value)
{
    return p->top + p->height - (value - p->low) / (p->high - p->low) * p->height;
}

/* What both curves of a value need, with some room; a curve that hardly moves stays flat. */
static struct panel panel_make(const struct table *t, int value)
{
    struct panel p = { .top = TOP + value * (PANEL + GAP), .height = PANEL, .low = INFINITY, .high = -INFINITY };
    for (int i = 0; i < t->rows; i++)
        for (int side = 0; side < 2; side++) {
            double v = cell(t, i, 2 + value + side * t->values);
            if (is_drawable(v)) {
                p.low = fmin(p.low, v);
                p.high = fmax(p.high, v);
            }
        }
    if (p.low > p.high)
        p.low = 0.0, p.high = 1.0;
    double room = (p.high - p.low) * 0.06;
    room = fmax(room, fmax(fmax(fabs(p.high), fabs(p.low)) * 1e-3, 1e-6));
    p.low -= room;
    p.high += room;
    return p;
}

/* Below all others, from 0 on. */
static struct panel rate_panel_make(const struct table *t)
{
    struct panel p = { .top = TOP + t->values * (PANEL + GAP), .height = RATE_PANEL };
    for (int i = 0; i < t->rows; i++)
        if (is_drawable(cell(t, i, 1)))
            p.high = fmax(p.high, cell(t, i, 1));
    p.high = p.high > 0.0 ? p.high * 1.06 : 1.0;
    return p;
}

/* The smallest of 1, 2 or 5 times a power of ten of which at most `most` fill the span. */
static double tick_step(double span, int most)
{
    double power = pow(10.0, floor(log10(span / most))), step = power;
    const double factors[] = { 2.0, 5.0, 10.0 };
    for (int i = 0; i < 3 && span / step > most * (1.0 + 1e-9); i++)
        step = power * factors[i];
    return step;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* Text between tags; what is too long ends in an ellipsis. */
static void text_put(FILE *out, const char *text, size_t most)
{
    size_t length = strlen(text), shown = length > most ? most : length;
    for (size_t i = 0; i < shown; i++) {
        const char *entity = text[i] == '&' ? "&amp;" : text[i] == '<' ? "&lt;"
                             : text[i] == '>' ? "&gt;" : NULL;
        if (entity)
            fputs(entity, out);
        else
            fputc((unsigned char)text[i] < 0x20 ? '?' : text[i], out);
    }
    if (shown < length)
        fputs("\xe2\x80\xa6", out);
}

/* A tick's number with as many decimals as tell it from its neighbours. */
static void tick_put(FILE *out, double value, double step)
{
    int decimals = (int)fmax(0.0, ceil(-log10(step) - 1e-9));
    double zero = fabs(value) < step / 2 ? 0.0 : value;
    if (decimals > 6 || fabs(value) >= 1e6)
        fprintf(out, "%.3g", zero);
    else
        fprintf(out, "%.*f", decimals, zero);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void y_axis_draw(FILE *out, const struct panel *p)
{
    double step = tick_step(p->high - p->low, p->height >= PANEL ? 6 : 3);
    for (double k = ceil(p->low / step); k * step <= p->high; k += 1.0) {
        double y = place_y(p, k * step);
        fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>\n", LEFT,
                y, WIDTH - RIGHT, y);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, y + 4);
        tick_put(out, k * step, step);
        fputs("</text>\n", out);
    }
}

/* The first epoch and the multiples of a round number. */
static void x_axis_draw(FILE *out, const struct table *t, const struct panel *p)
{
    double span = cell(t, t->rows - 1, 0) - cell(t, 0, 0);
    double step = fmax(1.0, tick_step(fmax(span, 1.0), X_TICKS_MAX)), last = -INFINITY;
    for (int i = 0; i < t->rows; i++) {
        double x = place_x(t, i);
        if ((i > 0 && fmod(cell(t, i, 0), step) != 0.0) || x - last < 24.0)
            continue;
        last = x;
        fprintf(out, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#888\"/>\n", x,
                p->top + p->height, x, p->top + p->height + 4);
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n", x,
                p->top + p->height + 18, cell(t, i, 0));
    }
}

static void axes_draw(FILE *out, const struct table *t, const struct panel *p, const char *name)
{
    fprintf(out, "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">", LEFT,
            p->top - (p->top == TOP ? 22 : 8));
    text_put(out, name, NAME_MAX_LENGTH);
    fputs("</text>\n", out);
    y_axis_draw(out, p);
    x_axis_draw(out, t, p);
    fprintf(out,
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#888\"/>\n",
            LEFT, p->top, WIDTH - LEFT - RIGHT, p->height);
}

/* The epochs after which the rate was another; above the first panel what it was from there on, where
 * the last label leaves it room. */
static void rates_draw(FILE *out, const struct table *t, const struct panel *p)
{
    double labelled = -INFINITY;
    for (int i = 1; i < t->rows; i++) {
        double x = place_x(t, i - 1), middle = fmin(fmax(x, LEFT + 32), WIDTH - RIGHT - 32);
        if (cell(t, i, 1) == cell(t, i - 1, 1))
            continue;
        fprintf(out,
                "<line class=\"rate\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#999\" "
                "stroke-dasharray=\"2 3\"/>\n",
                x, p->top, x, p->top + p->height);
        if (p->top != TOP || middle - labelled < 70.0)
            continue;
        fprintf(out,
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"" GREY
                "\" font-size=\"10\">lr %.3g</text>\n",
                middle, p->top - 5, cell(t, i, 1));
        labelled = middle;
    }
}

/* A line through the numbers, broken where there is none; a dot where one stands alone. */
static void curve_draw(FILE *out, const struct table *t, const struct panel *p, int column,
                       const char *colour)
{
    bool drawing = false;
    for (int i = 0; i < t->rows; i++) {
        double v = cell(t, i, column), x = place_x(t, i);
        bool next = i + 1 < t->rows && is_drawable(cell(t, i + 1, column));
        if (!is_drawable(v))
            continue;
        if (!drawing && next)
            fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" points=\"",
                    colour);
        drawing = drawing || next;
        if (drawing)
            fprintf(out, "%.1f,%.1f%s", x, place_y(p, v), next ? " " : "\"/>\n");
        else if (t->rows > DOTS_MAX)
            fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\" fill=\"%s\"/>\n", x,
                    place_y(p, v), colour);
        drawing = drawing && next;
    }
}

/* A dot an epoch, and a cross at the foot of the panel for what is not a number. */
static void points_draw(FILE *out, const struct table *t, const struct panel *p, int column,
                        const char *colour)
{
    for (int i = 0; i < t->rows; i++) {
        double v = cell(t, i, column), x = place_x(t, i);
        if (is_gap(v))
            fprintf(out,
                    "<path class=\"gap\" d=\"M%.1f %d l6 6 m0 -6 l-6 6\" stroke=\"%s\" "
                    "stroke-width=\"1.5\"/>\n",
                    x - 3, p->top + p->height - 10, colour);
        else if (is_drawable(v) && t->rows <= DOTS_MAX)
            fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\" fill=\"%s\"/>\n", x,
                    place_y(p, v), colour);
    }
}

static void best_draw(FILE *out, const struct table *t, const struct panel *p, int column)
{
    if (t->best < 0 || !is_drawable(cell(t, t->best, column)))
        return;
    fprintf(out,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\" fill=\"none\" stroke=\"" BEST "\" "
            "stroke-width=\"2\"/>\n",
            place_x(t, t->best), place_y(p, cell(t, t->best, column)));
}

/* Signs and words in a row of their own, so that no name runs into them. */
static void legend_draw(FILE *out, const struct table *t)
{
    const struct { const char *name, *colour; } curves[] = { { "training", TRAINING },
                                                             { "validation", VALIDATION } };
    for (int i = 0; i < 2; i++) {
        int x = LEFT + i * 96;
        fprintf(out, "<path d=\"M%d %d h20\" stroke=\"%s\" stroke-width=\"2.5\"/>\n", x, LEGEND - 4,
                curves[i].colour);
        fprintf(out, "<text x=\"%d\" y=\"%d\">%s</text>\n", x + 26, LEGEND, curves[i].name);
    }
    if (t->best >= 0) {
        fprintf(out,
                "<circle cx=\"%d\" cy=\"%d\" r=\"5.5\" fill=\"none\" stroke=\"" BEST "\" "
                "stroke-width=\"2\"/>\n",
                LEFT + 216, LEGEND - 4);
        fprintf(out, "<text x=\"%d\" y=\"%d\">best: epoch %.0f, val_loss %.4g</text>\n", LEFT + 228,
                LEGEND, cell(t, t->best, 0), cell(t, t->best, 2 + t->values));
    }
    if (t->gaps)
        fprintf(out,
                "<path d=\"M%d %d l6 6 m0 -6 l-6 6\" stroke=\"" GREY "\" stroke-width=\"1.5\"/>\n"
                "<text x=\"%d\" y=\"%d\">not a number</text>\n",
                LEFT + 456, LEGEND - 7, LEFT + 468, LEGEND);
}

static void chart_draw(FILE *out, const struct table *t, const char *title)
{
    int height = TOP + t->values * PANEL + (t->values - 1) * GAP + (t->scheduled ? GAP + RATE_PANEL : 0) + BOTTOM;
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
            "width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"%d\" y=\"%d\" font-size=\"16\">",
            WIDTH, height, WIDTH, height, LEFT, TITLE);
    text_put(out, title, TITLE_MAX_LENGTH);
    fputs("</text>\n", out);
    legend_draw(out, t);
    for (int i = 0; i < t->values && t->rows > 0; i++) {
        struct panel p = panel_make(t, i);
        axes_draw(out, t, &p, t->names[2 + i]);
        if (!t->scheduled)
            rates_draw(out, t, &p);
        for (int side = 0; side < 2; side++) {
            const char *colour = side ? VALIDATION : TRAINING;
            curve_draw(out, t, &p, 2 + i + side * t->values, colour);
            points_draw(out, t, &p, 2 + i + side * t->values, colour);
        }
        best_draw(out, t, &p, 2 + i + t->values);
    }
    if (t->scheduled) {
        struct panel p = rate_panel_make(t);
        axes_draw(out, t, &p, "learning rate");
        curve_draw(out, t, &p, 1, RATE);
        points_draw(out, t, &p, 1, RATE);
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">epoch</text>\n</svg>\n",
            (LEFT + WIDTH - RIGHT) / 2, height - 8);
}

int rt_chart_write(const char *path, const char *title, const char *csv)
{
    struct table t;
    struct atomic_file file;
    char *text = NULL;
    size_t length = 0;
    int status = table_read(&t, csv);
    FILE *out = status ? NULL : open_memstream(&text, &length);
    if (out) {
        table_survey(&t);
        chart_draw(out, &t, title);
        status = fclose(out) ? -1 : 0;
    }
    if (status || !out) {
        rt_error("%s: no memory to draw it", path);
        status = -1;
    } else if (rt_atomic_open(&file, path)) {
        status = -1;
    } else if (rt_atomic_write(&file, text, length)) {
        rt_atomic_drop(&file);
        status = -1;
    } else {
        status = rt_atomic_commit(&file);
    }
    free(text);
    free(t.names);
    free(t.cells);
    return status;
}
