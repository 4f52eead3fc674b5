/* lr_range.c - see lr_range.h. */
#include "train/lr_range.h"

#include <math.h>
#include <stdlib.h>

#include "core/message.h"

/* Smoothed is the mean of about so many losses, the last ones counting most; and losses end the test that are so many
 * times the best, but not among the first ones, of which a mean says little. */
static const double keeps = 0.95, leaves = 4.0;

enum { SETTLED = 10, WINDOW = 10 };     /* a slope is that of a fifth of the rows: losses of single batches are rough */

int rt_range_open(struct range_test *r, double from, double to, int steps)
{
    *r = (struct range_test){ .room = steps, .from = from, .to = to, .best = INFINITY };
    r->rows = calloc((size_t)steps, sizeof *r->rows);
    if (r->rows)
        return 0;
    rt_error("no memory for %d steps", steps);
    return -1;
}

void rt_range_close(struct range_test *r)
{
    free(r->rows);
    r->rows = NULL;
}

double rt_range_rate(const struct range_test *r, int step)
{
    return r->room > 1 ? r->from * pow(r->to / r->from, step / (r->room - 1.0)) : r->from;
}

bool rt_range_add(struct range_test *r, double loss)
{
    if (!isfinite(loss))
        return false;
    r->average = keeps * r->average + (1.0 - keeps) * loss;
    struct range_row *row = &r->rows[r->count];
    *row = (struct range_row){ rt_range_rate(r, r->count), loss, r->average / (1.0 - pow(keeps, r->count + 1.0)) };
    r->count++;
    r->best = fmin(r->best, row->smoothed);
    return r->count < r->room && (r->count <= SETTLED || row->smoothed <= leaves * r->best);
}

int rt_range_lowest(const struct range_test *r)
{
    int lowest = -1;
    for (int i = r->count > SETTLED ? SETTLED : 0; i < r->count; i++)
        if (lowest < 0 || r->rows[i].smoothed < r->rows[lowest].smoothed)
            lowest = i;
    return lowest;
}

/* The slope of a line through the losses of rows first to last, by least squares. */
static double slope(const struct range_test *r, int first, int last)
{
    double middle = (first + last) / 2.0, above = 0.0, below = 0.0;
    for (int i = first; i <= last; i++) {
        above += (i - middle) * r->rows[i].loss;
        below += (i - middle) * (i - middle);
    }
    return below > 0.0 ? above / below : 0.0;
}

int rt_range_suggestion(const struct range_test *r)
{
    const int lowest = rt_range_lowest(r), reach = r->count / WINDOW > 2 ? r->count / WINDOW : 2;
    int steepest = -1;
    double most = 0.0;
    /* all steps are as wide in the logarithm of the rate */
    for (int i = reach; i + reach < r->count && i <= lowest; i++) {
        double fall = -slope(r, i - reach, i + reach);
        if (fall > most) {
            most = fall;
            steepest = i;
        }
    }
    return steepest;
}

void rt_range_table(const struct range_test *r, FILE *out)
{
    fputs("step,lr,loss,smoothed\n", out);
    for (int i = 0; i < r->count; i++)
        fprintf(out, "%d,%.9g,%.9g,%.9g\n", i, r->rows[i].rate, r->rows[i].loss, r->rows[i].smoothed);
}

/* ---- the picture ------------------------------------------------------------------------------------------------- */

enum { WIDTH = 760, HEIGHT = 380, LEFT = 64, RIGHT = 24, TOP = 64, BOTTOM = 48, TITLE_MOST = 64 };

struct frame {
    double from, to, low, high;
};

static double place_x(const struct frame *f, double rate)
{
    double span = log10(f->to / f->from), share = span > 0.0 ? log10(rate / f->from) / span : 0.5;
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double place_y(const struct frame *f, double loss)
{
    double share = (fmin(fmax(loss, f->low), f->high) - f->low) / (f->high - f->low);
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
}

static struct frame frame_of(const struct range_test *r)
{
    struct frame f = { r->from, r->to, INFINITY, -INFINITY };
    for (int i = 0; i < r->count; i++) {
        f.low = fmin(f.low, fmin(r->rows[i].smoothed, r->rows[i].loss));
        f.high = fmax(f.high, r->rows[i].smoothed);
    }
    if (f.low > f.high)
        f.low = 0.0, f.high = 1.0;
    double room = fmax((f.high - f.low) * 0.08, fmax(fabs(f.high) * 1e-3, 1e-6));
    f.low -= room;
    f.high += room;
    return f;
}

static void axes_draw(const struct frame *f, FILE *out)
{
    for (int power = (int)ceil(log10(f->from) - 1e-9); power <= (int)floor(log10(f->to) + 1e-9); power++) {
        double x = place_x(f, pow(10.0, power));
        fprintf(out, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#e4e4e4\"/>\n"
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">1e%d</text>\n",
                x, TOP, x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 18, power);
    }
    for (int k = 0; k <= 4; k++) {
        double loss = f->low + (f->high - f->low) * (k + 0.5) / 5.0, y = place_y(f, loss);
        fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>\n"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n",
                LEFT, y, WIDTH - RIGHT, y, LEFT - 6, y + 4, loss);
    }
    fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#888\"/>\n"
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">learning rate</text>\n",
            LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10);
}

static void curve_draw(const struct range_test *r, const struct frame *f, bool smoothed, FILE *out)
{
    fprintf(out, "<polyline class=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%s\" points=\"",
            smoothed ? "smoothed" : "loss", smoothed ? "#1f6fb4" : "#b9cfe2", smoothed ? "2" : "1");
    for (int i = 0; i < r->count; i++)
        fprintf(out, "%s%.1f,%.1f", i ? " " : "", place_x(f, r->rows[i].rate),
                place_y(f, smoothed ? r->rows[i].smoothed : r->rows[i].loss));
    fputs("\"/>\n", out);
}

static void title_put(const char *title, FILE *out)
{
    for (int i = 0; title[i] && i < TITLE_MOST; i++) {
        const char *entity = title[i] == '&' ? "&amp;" : title[i] == '<' ? "&lt;" : title[i] == '>' ? "&gt;" : NULL;
        if (entity)
            fputs(entity, out);
        else
            fputc((unsigned char)title[i] < 0x20 ? '?' : title[i], out);
    }
}

void rt_range_draw(const struct range_test *r, const char *title, FILE *out)
{
    const struct frame f = frame_of(r);
    const int suggested = rt_range_suggestion(r);
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
            "height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" "
            "fill=\"#222\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"%d\" y=\"24\" "
            "font-size=\"16\">", WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
    title_put(title, out);
    fputs("</text>\n", out);
    fprintf(out, "<text x=\"%d\" y=\"46\" fill=\"#666\">loss of each batch, and smoothed, while the rate rises</text>\n", LEFT);
    axes_draw(&f, out);
    curve_draw(r, &f, false, out);
    curve_draw(r, &f, true, out);
    if (suggested >= 0) {
        double x = place_x(&f, r->rows[suggested].rate);
        fprintf(out,
                "<line class=\"suggested\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#b3202a\" "
                "stroke-dasharray=\"4 3\"/>\n<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\" fill=\"#b3202a\">"
                "steepest at %.2g</text>\n",
                x, TOP, x, HEIGHT - BOTTOM, x < WIDTH / 2 ? x + 6 : x - 6, TOP + 16, x < WIDTH / 2 ? "start" : "end",
                r->rows[suggested].rate);
    }
    fputs("</svg>\n", out);
}
