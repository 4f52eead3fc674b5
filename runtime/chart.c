/* chart.c - history.svg.  Plain SVG 1.1: no scripts, no fonts or files from elsewhere. */
#include "chart.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic_file.h"
#include "message.h"

enum { WIDTH = 760, LEFT = 64, RIGHT = 24, TOP = 56, PANEL = 200, GAP = 52, NAME_MAX_LENGTH = 80 };

/* A history as numbers: columns are epoch, lr, values of training, the same of validation. */
struct table {
    char (*names)[NAME_MAX_LENGTH];
    double *cells;              /* (rows, columns) */
    int columns, rows, values;
    int best;                   /* row of the smallest val_loss, -1: none */
};

static int table_read(struct table *t, const char *csv)
{
    size_t end = strcspn(csv, "\n");
    *t = (struct table){ .columns = 1, .best = -1 };
    for (size_t i = 0; i < end; i++)
        t->columns += csv[i] == ',';
    for (const char *at = csv + end; *at; at++)
        t->rows += *at == '\n' && at[1];
    t->values = (t->columns - 2) / 2;
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
        t->cells[i] = strtod(csv, NULL);
        csv += strcspn(csv, ",\n");
        csv += *csv != '\0';
    }
    return 0;
}

static double cell(const struct table *t, int row, int column)
{
    return t->cells[(size_t)row * (size_t)t->columns + (size_t)column];
}

static void best_find(struct table *t)
{
    int column = 2 + t->values;         /* val_loss */
    for (int i = 0; i < t->rows; i++)
        if (isfinite(cell(t, i, column))
            && (t->best < 0 || cell(t, i, column) < cell(t, t->best, column)))
            t->best = i;
}

static double place_x(const struct table *t, int row)
{
    double first = cell(t, 0, 0), span = cell(t, t->rows - 1, 0) - first;
    double share = span > 0 ? (cell(t, row, 0) - first) / span : 0.5;
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

/* 1, 2 or 5 times a power of ten, so that about five of them fill the span. */
static double tick_step(double span)
{
    double power = pow(10.0, floor(log10(span / 5.0))), ratio = span / 5.0 / power;
    return power * (ratio < 1.5 ? 1.0 : ratio < 3.5 ? 2.0 : ratio < 7.5 ? 5.0 : 10.0);
}

struct panel {
    int top;
    double low, high;
};

static double place_y(const struct panel *p, double value)
{
    return p->top + PANEL - (value - p->low) / (p->high - p->low) * PANEL;
}

/* What both curves of a value need, widened where it is nothing. */
static struct panel panel_make(const struct table *t, int value)
{
    struct panel p = { .top = TOP + value * (PANEL + GAP), .low = INFINITY, .high = -INFINITY };
    for (int i = 0; i < t->rows; i++)
        for (int side = 0; side < 2; side++) {
            double v = cell(t, i, 2 + value + side * t->values);
            if (isfinite(v)) {
                p.low = fmin(p.low, v);
                p.high = fmax(p.high, v);
            }
        }
    if (p.low > p.high)
        p.low = 0.0, p.high = 1.0;
    double room = (p.high - p.low) * 0.05;
    room = fmax(room, fmax(fabs(p.high) * 1e-6, 1e-9));
    p.low -= room;
    p.high += room;
    return p;
}

static void axes_draw(FILE *out, const struct table *t, const struct panel *p, const char *name)
{
    double step = tick_step(p->high - p->low);
    fprintf(out, "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">%s</text>\n", LEFT, p->top - 8, name);
    for (double k = ceil(p->low / step); k * step <= p->high; k += 1.0) {
        double y = place_y(p, k * step);
        fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, y,
                WIDTH - RIGHT, y);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n", LEFT - 6, y + 4,
                k * step + 0.0);
    }
    double epochs = fmax(1.0, ceil(tick_step(fmax(cell(t, t->rows - 1, 0) - cell(t, 0, 0), 5.0))));
    for (int i = 0; i < t->rows; i++)
        if (i == 0 || fmod(cell(t, i, 0), epochs) == 0.0)
            fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n",
                    place_x(t, i), p->top + PANEL + 16, cell(t, i, 0));
    fprintf(out,
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#888\"/>\n",
            LEFT, p->top, WIDTH - LEFT - RIGHT, PANEL);
}

/* The epochs after which the rate was lower; a label where the last one leaves it room. */
static void drops_draw(FILE *out, const struct table *t, const struct panel *p)
{
    double labelled = -INFINITY;
    for (int i = 1; i < t->rows; i++) {
        double x = place_x(t, i - 1);
        if (!(cell(t, i, 1) < cell(t, i - 1, 1)))
            continue;
        fprintf(out,
                "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#999\" "
                "stroke-dasharray=\"2 3\"/>\n",
                x, p->top, x, p->top + PANEL);
        if (x - labelled < 60.0)
            continue;
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" fill=\"#666\" font-size=\"10\">lr %.3g</text>\n", x + 3,
                p->top + 12, cell(t, i, 1));
        labelled = x;
    }
}

/* A line through the numbers, broken where there is none; a lone number is a dot. */
static void curve_draw(FILE *out, const struct table *t, const struct panel *p, int column,
                       const char *colour)
{
    bool drawing = false;
    for (int i = 0; i < t->rows; i++) {
        double v = cell(t, i, column);
        bool next = i + 1 < t->rows && isfinite(cell(t, i + 1, column));
        if (isfinite(v) && !drawing && !next)
            fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\" fill=\"%s\"/>\n", place_x(t, i),
                    place_y(p, v), colour);
        if (isfinite(v) && !drawing && next)
            fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" points=\"", colour);
        drawing = isfinite(v) && (drawing || next);
        if (drawing)
            fprintf(out, "%.1f,%.1f ", place_x(t, i), place_y(p, v));
        if (drawing && !next) {
            fprintf(out, "\"/>\n");
            drawing = false;
        }
    }
}

static void best_draw(FILE *out, const struct table *t, const struct panel *p, int column)
{
    if (t->best < 0 || !isfinite(cell(t, t->best, column)))
        return;
    fprintf(out,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"none\" stroke=\"#c33\" "
            "stroke-width=\"2\"/>\n",
            place_x(t, t->best), place_y(p, cell(t, t->best, column)));
}

static void chart_draw(FILE *out, const struct table *t, const char *title)
{
    int height = TOP + t->values * (PANEL + GAP);
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
            "width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH, height, WIDTH, height);
    fprintf(out, "<text x=\"%d\" y=\"24\" font-size=\"16\">%s</text>\n", LEFT, title);
    fprintf(out, "<text x=\"300\" y=\"24\" fill=\"#1f77b4\">training</text>\n"
                 "<text x=\"370\" y=\"24\" fill=\"#ff7f0e\">validation</text>\n");
    if (t->best >= 0)
        fprintf(out, "<text x=\"450\" y=\"24\" fill=\"#c33\">best: epoch %.0f, val_loss %.4g</text>\n",
                cell(t, t->best, 0), cell(t, t->best, 2 + t->values));
    for (int i = 0; i < t->values && t->rows > 0; i++) {
        struct panel p = panel_make(t, i);
        axes_draw(out, t, &p, t->names[2 + i]);
        drops_draw(out, t, &p);
        curve_draw(out, t, &p, 2 + i, "#1f77b4");
        curve_draw(out, t, &p, 2 + i + t->values, "#ff7f0e");
        best_draw(out, t, &p, 2 + i + t->values);
    }
    fprintf(out, "</svg>\n");
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
        best_find(&t);
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
