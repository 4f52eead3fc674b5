/* summary_table.c - see summary_table.h. */
#include "common/summary_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/printable.h"

enum { LINE_LONGEST = 100, TEXT_LEAST = 20, KERNEL_MOST = 22, GAP = 2 };

struct grouped_text rt_grouped(int64_t number)
{
    struct grouped_text g;
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)number), n = 0;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
            g.text[n++] = ',';
        g.text[n++] = digits[i];
    }
    g.text[n] = '\0';
    return g;
}

/* 118.0 M, 4.2 k: the whole number where it is below a thousand. */
static struct grouped_text rounded(int64_t number)
{
    static const char *const units[] = { "k", "M", "G", "T", "P" };
    struct grouped_text g;
    double value = (double)number / 1000;
    int unit = 0;

    if (number < 1000) {
        snprintf(g.text, sizeof g.text, "%d", (int)number);
        return g;
    }
    for (; value >= 999.95 && unit < 4; unit++)
        value /= 1000;
    snprintf(g.text, sizeof g.text, "%.1f %s", value, units[unit]);
    return g;
}

enum column { NAME, TEXT, SHAPE, PARAMETERS, ADDS, BYTES, KERNEL, COLUMNS };

static const char *const titles[COLUMNS] = { "Layer", "Kind", "Result", "Parameters", "Mult-adds", "Bytes", "Kernel" };

struct cells {
    struct grouped_text numbers[3];
    char kind[160];             /* with its inputs; what is longer is cut in the table too */
    const char *text[COLUMNS];
};

static void cells_make(struct cells *c, const struct summary_row *r)
{
    c->numbers[0] = rt_grouped(r->parameters);
    c->numbers[1] = rounded(r->multiply_adds);
    c->numbers[2] = rt_grouped(r->bytes);
    c->text[NAME] = r->name;
    snprintf(c->kind, sizeof c->kind, "%s%s%s", r->text, r->inputs ? " <- " : "", r->inputs ? r->inputs : "");
    c->text[TEXT] = c->kind;
    c->text[SHAPE] = r->shape;
    c->text[PARAMETERS] = r->parameters ? c->numbers[0].text : "";
    c->text[ADDS] = r->multiply_adds ? c->numbers[1].text : "";
    c->text[BYTES] = c->numbers[2].text;
    c->text[KERNEL] = r->kernel ? r->kernel : "";
}

static void cell_print(const char *text, int width, bool right, FILE *out)
{
    int length = (int)strlen(text);

    if (length > width)
        rt_print(out, "%.*s...", width - 3, text);
    else
        rt_print(out, right ? "%*s" : "%-*s", width, text);
}

static void line_print(const char *const *text, const int *width, FILE *out)
{
    int last = COLUMNS - 1;

    while (last > 0 && (!width[last] || !*text[last]))
        last--;
    for (int i = 0; i <= last; i++) {
        bool right = i == PARAMETERS || i == ADDS || i == BYTES;
        if (!width[i])
            continue;
        rt_print(out, i ? "  " : "");
        cell_print(text[i], i == last && !right && (int)strlen(text[i]) < width[i] ? (int)strlen(text[i]) : width[i],
                   right, out);
    }
    rt_print(out, "\n");
}

static void rule_print(char c, int width, FILE *out)
{
    for (int i = 0; i < width; i++)
        fputc(c, out);
    fputc('\n', out);
}

void rt_summary_rows(const struct summary_row *rows, int count, FILE *out)
{
    int width[COLUMNS] = { 0 }, whole = -GAP;
    struct cells c;

    for (int k = 0; k < count; k++) {
        cells_make(&c, &rows[k]);
        for (int i = 0; i < COLUMNS; i++)
            if ((int)strlen(c.text[i]) > width[i])
                width[i] = (int)strlen(c.text[i]);
    }
    for (int i = 0; i < COLUMNS; i++) {
        if (width[i] && (int)strlen(titles[i]) > width[i])
            width[i] = (int)strlen(titles[i]);
        if (i == KERNEL && width[i] > KERNEL_MOST)
            width[i] = KERNEL_MOST;
        whole += width[i] ? width[i] + GAP : 0;
    }
    if (whole > LINE_LONGEST && width[TEXT] > TEXT_LEAST) {
        int cut = whole - LINE_LONGEST < width[TEXT] - TEXT_LEAST ? whole - LINE_LONGEST : width[TEXT] - TEXT_LEAST;
        width[TEXT] -= cut;
        whole -= cut;
    }
    rule_print('=', whole, out);
    line_print(titles, width, out);
    rule_print('-', whole, out);
    for (int k = 0; k < count; k++) {
        cells_make(&c, &rows[k]);
        line_print(c.text, width, out);
    }
    rule_print('=', whole, out);
}

void rt_summary_counts(const struct summary_counts *n, int64_t multiply_adds, FILE *out)
{
    rt_print(out, "Parameters: %s\n", rt_grouped(n->all).text);
    if (n->trainable != n->all)
        rt_print(out, "  trainable: %s\n", rt_grouped(n->trainable).text);
    if (n->frozen)
        rt_print(out, "  frozen: %s\n", rt_grouped(n->frozen).text);
    if (n->statistics)
        rt_print(out, "  running statistics: %s\n", rt_grouped(n->statistics).text);
    rt_print(out, "Multiply-adds forward, one sample: %s\n", rt_grouped(multiply_adds).text);
}

void rt_summary_amounts(const char *title, const struct summary_amount *amounts, int count, FILE *out)
{
    int what = 0, bytes = 0;

    for (int i = 0; i < count; i++) {
        if ((int)strlen(amounts[i].what) > what)
            what = (int)strlen(amounts[i].what);
        if ((int)strlen(rt_grouped(amounts[i].bytes).text) > bytes)
            bytes = (int)strlen(rt_grouped(amounts[i].bytes).text);
    }
    rt_print(out, "\n%s\n", title);
    for (int i = 0; i < count; i++)
        rt_print(out, "  %-*s  %*s%s%s\n", what, amounts[i].what, bytes, rt_grouped(amounts[i].bytes).text,
                 amounts[i].note ? "  " : "", amounts[i].note ? amounts[i].note : "");
}
