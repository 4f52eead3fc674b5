/* test_runtime_chart.c - history.svg: well-formed, a point an epoch at its place, marks where the
 * rate was another, and nothing drawn that is not a number. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/chart.h"

#define TRAINING "#1f6fb4"
#define VALIDATION "#e06c00"

enum { ROOM = 1 << 18 };

/* What is drawn for a history, read back; the caller frees it. */
static char *chart_of(const char *title, const char *csv)
{
    char path[] = "/tmp/cnnc-chart-XXXXXX", *text = calloc(ROOM, 1);
    int descriptor = mkstemp(path);
    cr_assert_geq(descriptor, 0);
    close(descriptor);
    cr_assert_eq(rt_chart_write(path, title, csv), 0);
    FILE *f = fopen(path, "r");
    cr_assert(f && text);
    size_t length = fread(text, 1, ROOM - 1, f);
    cr_assert_lt(length, ROOM - 1);
    fclose(f);
    unlink(path);
    return text;
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

/* ---- a small reader of XML: tags nest and close, attributes are quoted, entities are known ---- */

static const char *attributes_skip(const char *at)
{
    while (isspace((unsigned char)*at)) {
        at += strspn(at, " \n");
        if (*at == '/' || *at == '>' || *at == '?')
            break;
        size_t name = strcspn(at, "= \n<>\"");
        cr_assert_gt(name, 0);
        at += name;
        cr_assert(at[0] == '=' && at[1] == '"', "an attribute without a value: %.20s", at);
        at += 2 + strcspn(at + 2, "\"<&");
        cr_assert_eq(*at, '"', "an attribute goes on: %.20s", at);
        at++;
    }
    return at;
}

static const char *entity_skip(const char *at)
{
    static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;" };
    for (int i = 0; i < 4; i++)
        if (strncmp(at, known[i], strlen(known[i])) == 0)
            return at + strlen(known[i]);
    cr_assert_fail("an ampersand: %.20s", at);
    return at;
}

static void assert_well_formed(const char *text)
{
    char open[16][16];
    int depth = 0, roots = 0;
    cr_assert_eq(strncmp(text, "<?xml ", 6), 0);
    const char *at = strstr(text, "?>") + 2;
    while (*at) {
        char name[16];
        if (*at != '<') {
            cr_assert(depth > 0 || isspace((unsigned char)*at), "text outside: %.20s", at);
            cr_assert_neq(*at, '>');
            at = *at == '&' ? entity_skip(at) : at + 1;
            continue;
        }
        bool closes = at[1] == '/';
        at += 1 + closes;
        size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz");
        cr_assert(length > 0 && length < sizeof name, "a tag: %.20s", at);
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        at = attributes_skip(at + length);
        if (closes) {
            cr_assert(depth > 0 && strcmp(open[depth - 1], name) == 0, "</%s> closes nothing", name);
            depth--;
        } else if (*at == '/') {
            at++;
        } else {
            cr_assert_lt(depth, 16);
            roots += depth == 0;
            strcpy(open[depth++], name);
        }
        cr_assert_eq(*at, '>', "a tag goes on: %.20s", at);
        at++;
    }
    cr_assert_eq(depth, 0);
    cr_assert_eq(roots, 1);
    cr_assert_eq(count(text, "nan"), 0, "a coordinate is no number");
    cr_assert_eq(count(text, "inf"), 0, "a coordinate is no number");
}

/* The points of the `which`th polyline of a colour; their number. */
static int line_points(const char *text, const char *colour, int which, double x[], double y[])
{
    char begin[80];
    int n = 0, got;
    snprintf(begin, sizeof begin, "<polyline fill=\"none\" stroke=\"%s\"", colour);
    const char *at = text;
    for (int i = 0; i <= which; i++) {
        at = strstr(i ? at + 1 : at, begin);
        if (!at)
            return 0;
    }
    at = strstr(at, "points=\"") + strlen("points=\"");
    while (sscanf(at, "%lf,%lf%n", &x[n], &y[n], &got) == 2) {
        n++;
        at += got;
    }
    cr_assert_eq(*at, '"');
    return n;
}

static int dots(const char *text, const char *colour)
{
    char end[40];
    snprintf(end, sizeof end, "r=\"2.2\" fill=\"%s\"/>", colour);
    return count(text, end);
}

Test(chart, a_point_an_epoch_in_its_place)
{
    char *svg = chart_of("small", "epoch,lr,loss,acc,val_loss,val_acc\n"
                                  "1,0.1,4,0.1,5,0.2\n2,0.1,2,0.3,1,0.4\n3,0.1,1,0.5,3,0.6\n");
    double x[8], y[8], vx[8], vy[8];
    assert_well_formed(svg);
    cr_assert_eq(line_points(svg, TRAINING, 0, x, y), 3);
    cr_assert_eq(line_points(svg, VALIDATION, 0, vx, vy), 3);
    for (int i = 0; i < 3; i++)
        cr_assert_float_eq(x[i], vx[i], 1e-9);
    cr_assert_float_eq(x[1] - x[0], x[2] - x[1], 0.15);
    /* from 4 to 2 is twice as far as from 2 to 1; equal values lie equally high; down is less */
    cr_assert_float_eq(y[1] - y[0], 2.0 * (y[2] - y[1]), 0.31);
    cr_assert_float_eq(vy[1], y[2], 0.11);
    cr_assert_lt(vy[0], y[0]);
    cr_assert_eq(dots(svg, TRAINING), 6);
    cr_assert_eq(dots(svg, VALIDATION), 6);
    /* a second panel, below the first one */
    cr_assert_eq(line_points(svg, TRAINING, 1, x, y), 3);
    cr_assert_gt(y[2], vy[1]);
    cr_assert_eq(count(svg, "<polyline"), 4);
    cr_assert(strstr(svg, ">loss</text>") && strstr(svg, ">acc</text>"));
    cr_assert(strstr(svg, ">best: epoch 2, val_loss 1</text>"));
    /* the ring of the best epoch is drawn around its point: in the legend and in both panels */
    char ring[64];
    snprintf(ring, sizeof ring, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\"", vx[1], vy[1]);
    cr_assert_not_null(strstr(svg, ring));
    cr_assert_eq(count(svg, "r=\"5.5\""), 3);
    free(svg);
}

Test(chart, marks_where_the_rate_was_another)
{
    char *svg = chart_of("small", "epoch,lr,loss,val_loss\n1,0.1,9,9\n2,0.1,8,8\n3,0.05,7,7\n4,0.05,6,6\n"
                                  "5,0.025,5,5\n6,0.025,4,4\n");
    double x[8], y[8], at;
    assert_well_formed(svg);
    cr_assert_eq(line_points(svg, TRAINING, 0, x, y), 6);
    cr_assert_eq(count(svg, "<line class=\"rate\""), 2);
    const char *mark = strstr(svg, "<line class=\"rate\"");
    cr_assert_eq(sscanf(mark, "<line class=\"rate\" x1=\"%lf\"", &at), 1);
    cr_assert_float_eq(at, x[1], 1e-9);         /* after the second epoch */
    mark = strstr(mark + 1, "<line class=\"rate\"");
    cr_assert_eq(sscanf(mark, "<line class=\"rate\" x1=\"%lf\"", &at), 1);
    cr_assert_float_eq(at, x[3], 1e-9);
    cr_assert(strstr(svg, ">lr 0.05</text>") && strstr(svg, ">lr 0.025</text>"));
    free(svg);
}

Test(chart, one_epoch_is_a_dot)
{
    char *svg = chart_of("small", "epoch,lr,loss,val_loss\n1,0.1,2.5,2.5\n");
    assert_well_formed(svg);
    cr_assert_eq(count(svg, "<polyline"), 0);
    cr_assert_eq(dots(svg, TRAINING), 1);
    cr_assert_eq(dots(svg, VALIDATION), 1);
    cr_assert(strstr(svg, ">best: epoch 1, val_loss 2.5</text>"));
    free(svg);
}

Test(chart, what_is_not_a_number_leaves_a_gap)
{
    char *svg = chart_of("small", "epoch,lr,loss,val_loss\n1,0.1,4,nan\n2,0.1,3,4\n3,0.1,nan,3\n"
                                  "4,0.1,2,inf\n5,0.1,-nan,2\n");
    double x[8], y[8];
    assert_well_formed(svg);
    cr_assert_eq(line_points(svg, TRAINING, 0, x, y), 2);       /* epochs 1 and 2; 4 stands alone */
    cr_assert_eq(line_points(svg, TRAINING, 1, x, y), 0);
    cr_assert_eq(line_points(svg, VALIDATION, 0, x, y), 2);
    cr_assert_eq(dots(svg, TRAINING), 3);
    cr_assert_eq(dots(svg, VALIDATION), 3);
    cr_assert_eq(count(svg, "<path class=\"gap\""), 4);
    cr_assert(strstr(svg, ">not a number</text>"));
    cr_assert(strstr(svg, ">best: epoch 5, val_loss 2</text>"));
    free(svg);
    /* what the run did not have then is no invalid number, and no curve either */
    svg = chart_of("small", "epoch,lr,loss,f1,val_loss,val_f1\n1,0.1,4,,4,\n2,0.1,3,,3,\n"
                            "3,0.1,2,0.5,2,0.6\n4,0.1,1,0.7,1,0.8\n");
    assert_well_formed(svg);
    cr_assert_eq(line_points(svg, TRAINING, 0, x, y), 4);
    cr_assert_eq(line_points(svg, TRAINING, 1, x, y), 2);
    cr_assert_eq(dots(svg, VALIDATION), 6);
    cr_assert_eq(count(svg, "not a number"), 0);
    cr_assert_eq(count(svg, "<path class=\"gap\""), 0);
    free(svg);
    svg = chart_of("small", "epoch,lr,loss,val_loss\n1,0.1,nan,nan\n2,0.1,nan,nan\n");
    assert_well_formed(svg);
    cr_assert_eq(count(svg, "<polyline"), 0);
    cr_assert_eq(count(svg, "best:"), 0);
    free(svg);
}

Test(chart, many_epochs_are_a_line_with_few_numbers_below)
{
    char *csv = calloc(ROOM, 1), *at = csv;
    static double x[256], y[256];
    at += sprintf(at, "epoch,lr,loss,val_loss\n");
    for (int i = 1; i <= 200; i++)
        at += sprintf(at, "%d,%g,%g,%g\n", i, pow(0.9, i), 1.0 / i, 2.0 / i);
    char *svg = chart_of("small", csv);
    assert_well_formed(svg);
    cr_assert_eq(line_points(svg, TRAINING, 0, x, y), 200);
    cr_assert_eq(line_points(svg, VALIDATION, 0, x, y), 200);
    cr_assert_eq(dots(svg, TRAINING), 0);
    /* a rate that changes all along has a panel instead of marks */
    cr_assert_eq(count(svg, "<line class=\"rate\""), 0);
    cr_assert_eq(count(svg, ">lr "), 0);
    cr_assert_eq(count(svg, ">learning rate</text>"), 1);
    cr_assert_eq(line_points(svg, "#4a7a3a", 0, x, y), 200);
    cr_assert_leq(count(svg, "text-anchor=\"middle\">"), 2 * 15 + 1);
    free(svg);
    free(csv);
}

/* A warm-up rises once and is a schedule; what a plateau lowers some times is marked. */
Test(chart, a_rate_that_rises_has_a_panel)
{
    static double x[8], y[8];
    char *svg = chart_of("small", "epoch,lr,loss,val_loss\n1,0.05,3,3\n2,0.1,2,2\n3,0.1,1,1\n");
    assert_well_formed(svg);
    cr_assert_eq(count(svg, ">learning rate</text>"), 1);
    cr_assert_eq(line_points(svg, "#4a7a3a", 0, x, y), 3);
    cr_assert(y[0] > y[1] && y[1] == y[2] && y[1] > 0);
    free(svg);
    svg = chart_of("small", "epoch,lr,loss,val_loss\n1,0.1,3,3\n2,0.05,2,2\n3,0.025,1,1\n");
    cr_assert_eq(count(svg, ">learning rate</text>"), 0);
    cr_assert_eq(count(svg, "<line class=\"rate\""), 2);
    free(svg);
}

Test(chart, ticks_tell_neighbours_apart)
{
    char *svg = chart_of("small", "epoch,lr,loss,val_loss\n1,0.1,0.99801,0.99802\n2,0.1,0.99809,0.998\n");
    assert_well_formed(svg);
    cr_assert_leq(count(svg, ">0.998</text>"), 1);
    free(svg);
    /* what no picture has a place for does not spoil the others */
    svg = chart_of("small", "epoch,lr,loss,val_loss\n1,0.1,1e308,1\n2,0.1,-1e308,2\n");
    assert_well_formed(svg);
    cr_assert_eq(dots(svg, TRAINING), 0);
    cr_assert_eq(dots(svg, VALIDATION), 2);
    free(svg);
}

Test(chart, names_are_escaped_and_cut)
{
    char *svg = chart_of("a <b> & c", "epoch,lr,loss,a&b,val_loss,val_a&b\n1,0.1,1,1,1,1\n");
    assert_well_formed(svg);
    cr_assert(strstr(svg, ">a &lt;b&gt; &amp; c</text>") && strstr(svg, ">a&amp;b</text>"));
    free(svg);
    char title[300];
    memset(title, 'x', sizeof title - 1);
    title[sizeof title - 1] = '\0';
    svg = chart_of(title, "epoch,lr,loss,val_loss\n1,0.1,1,1\n");
    assert_well_formed(svg);
    cr_assert_not_null(strstr(svg, "x\xe2\x80\xa6</text>"));
    cr_assert_null(strstr(svg, title));
    free(svg);
}
