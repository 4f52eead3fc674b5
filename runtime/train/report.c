/* report.c - tables of classes: precision, recall, F1, support; the confusion matrix.  Tables of labels and
 * of outputs. */
#include "train/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_WIDTH_MAX = 24, NAME_ROOM = 32, MATRIX_CLASSES_MAX = 30, PAIRS_SHOWN = 20, LINE_COLUMNS = 110 };

static const char *class_name(char *const *names, int k, char room[NAME_ROOM])
{
    if (names && names[k])
        return names[k];
    snprintf(room, NAME_ROOM, "%d", k);
    return room;
}

static int names_width(const struct confusion *m, char *const *names)
{
    int width = (int)strlen("weighted average");
    char room[NAME_ROOM];
    for (int k = 0; k < m->classes; k++) {
        int length = (int)strlen(class_name(names, k, room));
        width = length > width ? length : width;
    }
    return width < NAME_WIDTH_MAX ? width : NAME_WIDTH_MAX;
}

/* The bytes of a name's characters that have room. */
static int fitting(const char *name, int width)
{
    int length = (int)strlen(name), fits = 0;
    for (int i = 0; i < length && i <= width;) {
        size_t character = rt_printable_length(name + i, (size_t)(length - i));
        fits = i;
        i += character ? (int)character : 1;
        fits = i <= width ? i : fits;
    }
    return fits;
}

static void scores_row(struct progress *p, int width, const char *name, struct class_scores s,
                       int64_t support)
{
    rt_progress_result(p, "%-*.*s  %9.4f  %7.4f  %7.4f  %8" PRId64 "\n", width, fitting(name, width), name,
                       s.precision, s.recall, s.f1, support);
}

/* Columns as wide as counts and the names above them ask for; names that would make lines too long give way to the
 * classes' numbers, which stand before the rows' names then. */
static int column_choose(const struct confusion *m, char *const *names, int width, bool *named)
{
    char room[NAME_ROOM];
    int counts = snprintf(NULL, 0, "%" PRId64, m->samples), longest = 1;
    for (int k = 0; k < m->classes; k++) {
        int length = (int)strlen(class_name(names, k, room));
        longest = length > longest ? length : longest;
    }
    int column = longest > counts ? longest : counts;
    *named = names && width + m->classes * (column + 1) <= LINE_COLUMNS;
    int numbers = snprintf(NULL, 0, "%d", m->classes - 1);
    return *named ? column : counts > numbers ? counts : numbers;
}

static void matrix_report(struct progress *p, const struct confusion *m, char *const *names,
                          int width)
{
    char room[NAME_ROOM];
    bool named;
    int column = column_choose(m, names, width, &named), numbers = snprintf(NULL, 0, "%d", m->classes - 1);
    bool both = names && !named;
    rt_progress_result(p, "\nConfusion matrix: rows are what the pictures are, columns what they were taken for\n");
    rt_progress_result(p, "%-*s ", width + (both ? numbers + 1 : 0), "is \\ taken for");
    for (int j = 0; j < m->classes; j++)
        rt_progress_result(p, " %*s", column, class_name(named ? names : NULL, j, room));
    rt_progress_result(p, "\n");
    for (int k = 0; k < m->classes; k++) {
        if (both)
            rt_progress_result(p, "%*d ", numbers, k);
        const char *name = class_name(names, k, room);
        rt_progress_result(p, "%-*.*s ", width, fitting(name, width), name);
        for (int j = 0; j < m->classes; j++)
            rt_progress_result(p, " %*" PRId64, column,
                               m->counts[(size_t)k * (size_t)m->classes + (size_t)j]);
        rt_progress_result(p, "\n");
    }
}

/* Of many classes only what is confused most: each round takes the largest count behind the one
 * before, in the order of the matrix where counts are equal. */
static void pairs_report(struct progress *p, const struct confusion *m, char *const *names)
{
    size_t n = (size_t)m->classes, before = 0;
    int64_t limit = INT64_MAX;
    rt_progress_result(p, "\nConfused most often: the right class, what it was taken for\n");
    for (int shown = 0; shown < PAIRS_SHOWN; shown++) {
        size_t best = n * n;
        for (size_t i = 0; i < n * n; i++) {
            bool later = m->counts[i] < limit || (m->counts[i] == limit && i > before);
            if (i / n != i % n && m->counts[i] > 0 && later
                && (best == n * n || m->counts[i] > m->counts[best]))
                best = i;
        }
        if (best == n * n)
            break;
        char right[NAME_ROOM], taken[NAME_ROOM];
        rt_progress_result(p, "%8" PRId64 "  %s -> %s\n", m->counts[best],
                           class_name(names, (int)(best / n), right),
                           class_name(names, (int)(best % n), taken));
        limit = m->counts[best];
        before = best;
    }
}

static void classes_report(struct progress *p, const struct confusion *m, char *const *names)
{
    int width = names_width(m, names);
    double share = m->samples ? (double)m->hits / (double)m->samples : 0.0;
    double error = m->samples ? sqrt(share * (1.0 - share) / (double)m->samples) : 0.0;
    char room[NAME_ROOM];
    rt_progress_result(p, "\nAccuracy %.4f, standard error %.4f (%" PRId64 " of %" PRId64 ")\n\n",
                       share, error, m->hits, m->samples);
    rt_progress_result(p, "%-*s  precision   recall       f1   support\n", width, "class");
    for (int k = 0; k < m->classes; k++)
        scores_row(p, width, class_name(names, k, room), rt_confusion_class(m, k), m->support[k]);
    scores_row(p, width, "macro average", rt_confusion_scores(m, CNN_AVERAGE_MACRO), m->samples);
    scores_row(p, width, "weighted average", rt_confusion_scores(m, CNN_AVERAGE_WEIGHTED),
               m->samples);
    if (m->classes <= MATRIX_CLASSES_MAX)
        matrix_report(p, m, names, width);
    else
        pairs_report(p, m, names);
}

static void label_row(struct progress *p, int width, const char *name, struct class_scores s, double area,
                      int64_t support)
{
    char text[24] = "-";
    if (!isnan(area))
        snprintf(text, sizeof text, "%.4f", area);
    rt_progress_result(p, "%-*.*s  %9.4f  %7.4f  %7.4f  %7s  %8" PRId64 "\n", width, fitting(name, width), name,
                       s.precision, s.recall, s.f1, text, support);
}

static void labels_report(struct progress *p, const struct confusion *m, const struct ranking *r, char *const *names)
{
    int width = names_width(m, names);
    int64_t support = 0;
    char room[NAME_ROOM];
    rt_progress_result(p, "\nAll labels right: %" PRId64 " of %" PRId64 "\n\n", m->hits, m->samples);
    rt_progress_result(p, "%-*s  precision   recall       f1      auc   support\n", width, "label");
    for (int k = 0; k < m->classes; k++) {
        label_row(p, width, class_name(names, k, room), rt_confusion_class(m, k), rt_ranking_area(r, k), m->support[k]);
        support += m->support[k];
    }
    label_row(p, width, "macro average", rt_confusion_scores(m, CNN_AVERAGE_MACRO), rt_ranking_mean(r), support);
    label_row(p, width, "micro average", rt_confusion_scores(m, CNN_AVERAGE_MICRO), NAN, support);
}

static void names_drop(char **shown, int count)
{
    for (int k = 0; shown && k < count; k++)
        free(shown[k]);
    free(shown);
}

/* Names as they are shown, malloc'd; NULL: none, or no memory.  A name takes the room that it takes as it is shown. */
static char **names_shown(char *const *names, int count)
{
    char **shown = names ? calloc((size_t)count + 1, sizeof *shown) : NULL;
    bool all = shown != NULL;
    for (int k = 0; all && k < count; k++)
        all = !names[k] || (shown[k] = rt_printable(names[k]));
    if (all)
        return shown;
    names_drop(shown, count);
    return NULL;
}

void rt_report_labels(struct progress *p, const struct confusion *m, const struct ranking *r, char *const *names)
{
    char **shown = names_shown(names, m->classes);
    labels_report(p, m, r, shown ? shown : names);
    names_drop(shown, m->classes);
}

void rt_report_classes(struct progress *p, const struct confusion *m, char *const *names)
{
    char **shown = names_shown(names, m->classes);
    classes_report(p, m, shown ? shown : names);
    names_drop(shown, m->classes);
}

static void deviation_row(struct progress *p, const char *name, struct deviation d)
{
    rt_progress_result(p, "%-12s  %19.6g  %22.6g\n", name, d.absolute, d.root_mean_square);
}

void rt_report_outputs(struct progress *p, const struct deviations *d)
{
    char name[24];
    rt_progress_result(p, "\n%-12s  %19s  %22s\n", "output", "mean absolute error", "root mean square error");
    for (int k = 0; k < d->outputs && d->outputs <= OUTPUTS_SHOWN; k++) {
        snprintf(name, sizeof name, "%d", k);
        deviation_row(p, name, rt_deviation(d, k));
    }
    snprintf(name, sizeof name, "all %d", d->outputs);
    deviation_row(p, name, rt_deviation_of_all(d));
}
