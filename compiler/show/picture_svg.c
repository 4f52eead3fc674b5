/* picture_svg.c - see picture.h.  Plain SVG 1.1 with a style for light and dark pages; no scripts, no fonts or files
 * from elsewhere. */
#include "show/picture.h"

#include <string.h>

#include "base/text.h"
#include "check/check.h"
#include "ops/ops.h"
#include "show/numbers.h"

enum { EDGE = 20, HEAD = 52, FOOT = 16, TITLE_SIZE = 17, CORNER = 6, TOLD_MOST = 60 };

struct svg {
    struct arena arena;
    const struct model *model;
    FILE *out;
};

struct colours {
    const char *fill, *line;
};

static const struct colours light[PICTURE_KINDS] = {
    [PICTURE_INPUT] = {"#eceff2", "#848d97"},   [PICTURE_WEIGHTS] = {"#dde9fa", "#4a7fc1"},
    [PICTURE_VECTOR] = {"#fce7d3", "#c97a22"},  [PICTURE_SHAPE] = {"#dff1e1", "#4b9459"},
    [PICTURE_NORM] = {"#ece4f8", "#8763c4"},    [PICTURE_PLAIN] = {"#faf2cf", "#a98e20"},
    [PICTURE_JOIN] = {"#fae0e4", "#c14d60"}};

static const struct colours dark[PICTURE_KINDS] = {
    [PICTURE_INPUT] = {"#21262d", "#8b949e"},   [PICTURE_WEIGHTS] = {"#172f4c", "#6297d6"},
    [PICTURE_VECTOR] = {"#432c13", "#d8914a"},  [PICTURE_SHAPE] = {"#173520", "#62b071"},
    [PICTURE_NORM] = {"#2c2144", "#a688dc"},    [PICTURE_PLAIN] = {"#373011", "#c4ab43"},
    [PICTURE_JOIN] = {"#401d25", "#da7182"}};

static void put_text(struct svg *s, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<': fputs("&lt;", s->out); break;
        case '>': fputs("&gt;", s->out); break;
        case '&': fputs("&amp;", s->out); break;
        case '"': fputs("&quot;", s->out); break;
        default: fputc(*text, s->out);
        }
}

static void put_colours(struct svg *s, const struct colours *colours)
{
    for (int i = 0; i < PICTURE_KINDS; i++)
        fprintf(s->out, "  .k%d { fill: %s; stroke: %s }\n", i, colours[i].fill, colours[i].line);
}

static void put_style(struct svg *s)
{
    fprintf(s->out, "<style>\n"
            "  text { font-family: Helvetica, Arial, sans-serif; font-size: %dpx; fill: #1f2328 }\n"
            "  .page { fill: #fff } .head { font-size: %dpx; font-weight: bold } .word { font-weight: bold }\n"
            "  .small { font-size: %dpx; fill: #59636e } .grey { fill: #59636e }\n"
            "  .title { font-size: %dpx; font-weight: bold; fill: #59636e }\n"
            "  .frame { fill: #f6f8fa; stroke: #afb8c1 } .band { fill: #e7ebef } .copies { fill: #59636e } .count { fill: #fff }\n"
            "  .line { fill: none; stroke: #59636e; stroke-width: 1.3 } .tip { fill: #59636e }\n"
            "  .shape { font-size: %dpx; fill: #59636e; stroke: #fff; stroke-width: 3; paint-order: stroke;"
            " stroke-linejoin: round }\n"
            "  .frame ~ .shape, .frame ~ * .shape { stroke: #f6f8fa }\n",
            TEXT_SIZE, TITLE_SIZE, SMALL_SIZE, SMALL_SIZE + 1, SMALL_SIZE);
    put_colours(s, light);
    fputs("  @media (prefers-color-scheme: dark) {\n"
          "  text { fill: #e6edf3 } .page { fill: #0d1117 }\n"
          "  .small, .grey, .title, .shape { fill: #9da7b3 }\n"
          "  .frame { fill: #161b22; stroke: #444c56 } .band { fill: #262c35 } .copies { fill: #9da7b3 } .count { fill: #0d1117 }\n"
          "  .line { stroke: #8b949e } .tip { fill: #8b949e }\n"
          "  .shape { stroke: #0d1117 } .frame ~ .shape, .frame ~ * .shape { stroke: #161b22 }\n", s->out);
    put_colours(s, dark);
    fputs("  }\n</style>\n", s->out);
}

/* ---- boxes ----------------------------------------------------------------------------------- */

/* What a pointer over a box is told: the whole of each statement. */
static void put_tip(struct svg *s, const struct picture_item *box)
{
    char number[32];

    fputs("<title>", s->out);
    for (int i = 0; i < box->rows_count; i++) {
        const struct layer *l = box->rows[i].layer;
        put_text(s, arena_printf(&s->arena, "%s%s: %s, %s", i ? "\n" : "", l->name,
                                 clause_text_of(&s->arena, l->clause), shape_text(l->out).text));
        if (l->def->multiply_adds && l->def->multiply_adds(l))
            fprintf(s->out, ", %s multiply-adds", grouped(number, l->def->multiply_adds(l)));
    }
    fputs("</title>\n", s->out);
}

static void put_row(struct svg *s, const struct picture_item *box, int number)
{
    const struct picture_row *row = &box->rows[number];
    int y = box->y + BOX_MARGIN + number * ROW_HEIGHT + 14;

    fprintf(s->out, "<text x=\"%d\" y=\"%d\">", box->x + BOX_SIDE, y);
    if (row->label) {
        fputs("<tspan class=\"grey\">", s->out);
        put_text(s, row->label);
        fputs(":</tspan>", s->out);
    }
    fprintf(s->out, "<tspan class=\"word\"%s>", row->label ? " dx=\"4\"" : "");
    put_text(s, row->word);
    fputs("</tspan>", s->out);
    if (*row->number) {
        fputs("<tspan class=\"grey\">", s->out);
        put_text(s, row->number);
        fputs("</tspan>", s->out);
    }
    put_text(s, row->arguments);
    fputs("</text>", s->out);
    if (row->weights) {
        fprintf(s->out, "<text class=\"small\" text-anchor=\"end\" x=\"%d\" y=\"%d\">", box->x + box->width - BOX_SIDE,
                y);
        put_text(s, row->weights);
        fputs("</text>", s->out);
    }
    fputc('\n', s->out);
}

static void put_box(struct svg *s, const struct picture_item *box)
{
    fputs("<g>", s->out);
    put_tip(s, box);
    fprintf(s->out, "<rect class=\"k%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>\n", box->kind, box->x,
            box->y, box->width, box->height, CORNER);
    for (int i = 0; i < box->rows_count; i++)
        put_row(s, box, i);
    fputs("</g>\n", s->out);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

/* Along right angles, with round corners. */
static void put_square(struct svg *s, const struct picture_line *line)
{
    for (int i = 1; i < line->count; i++) {
        struct point a = line->points[i - 1], b = line->points[i], c = line->points[i + 1 < line->count ? i + 1 : i];
        int r = CORNER;
        if (i + 1 == line->count)
            r = 0;
        fprintf(s->out, " L%d %d", b.x - r * sign(b.x - a.x), b.y - r * sign(b.y - a.y));
        if (r)
            fprintf(s->out, " Q%d %d %d %d", b.x, b.y, b.x + r * sign(c.x - b.x), b.y + r * sign(c.y - b.y));
    }
}

static void put_curved(struct svg *s, const struct picture_line *line)
{
    for (int i = 1; i < line->count; i++) {
        struct point a = line->points[i - 1], b = line->points[i];
        int half = (a.y + b.y) / 2;
        if (a.x == b.x)
            fprintf(s->out, " V%d", b.y);
        else
            fprintf(s->out, " C%d %d %d %d %d %d", a.x, half, b.x, half, b.x, b.y);
    }
}

/* The point of an arrow takes the last pixels. */
static void put_line(struct svg *s, const struct picture_line *line)
{
    struct point *end = &line->points[line->count - 1];

    if (line->count < 2)
        return;
    fprintf(s->out, "<path class=\"line\" d=\"M%d %d", line->points[0].x, line->points[0].y);
    end->y -= line->arrow ? 5 : 0;
    if (line->square)
        put_square(s, line);
    else
        put_curved(s, line);
    fputs("\"/>", s->out);
    if (line->arrow)
        fprintf(s->out, "<path class=\"tip\" d=\"M%d %dl-4 -7h8z\"/>", end->x, end->y + 5);
    fputc('\n', s->out);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void put_list(struct svg *s, const struct picture_list *list, int x, int y);

static void put_copies(struct svg *s, const struct picture_item *group)
{
    char copies[24];

    snprintf(copies, sizeof copies, "× %d", group->copies);
    int width = picture_text_width(copies, TEXT_SIZE, true) + 12, right = group->x + group->width - 6;
    fprintf(s->out, "<rect class=\"copies\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"16\" rx=\"8\"/>"
            "<text class=\"word count\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">%s</text>\n",
            right - width, group->y + 3, width, right - width / 2, group->y + 15, copies);
}

static void put_group(struct svg *s, const struct picture_item *group)
{
    for (int i = group->copies > 2 ? 2 : group->copies > 1; i >= 0; i--)
        fprintf(s->out, "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>\n",
                group->x + i * STACKED, group->y + i * STACKED, group->width, group->height, CORNER);
    fprintf(s->out, "<path class=\"band\" d=\"M%d %dv%da%d %d 0 0 1 %d %dh%da%d %d 0 0 1 %d %dv%dz\"/>\n", group->x,
            group->y + FRAME_TITLE, CORNER - FRAME_TITLE, CORNER, CORNER, CORNER, -CORNER, group->width - 2 * CORNER,
                CORNER,
            CORNER, CORNER, CORNER, FRAME_TITLE - CORNER);
    if (*group->title) {
        fprintf(s->out, "<text class=\"title\" x=\"%d\" y=\"%d\">", group->x + FRAME_SIDE, group->y + 15);
        put_text(s, group->title);
        fputs("</text>\n", s->out);
    }
    if (group->copies > 1)
        put_copies(s, group);
    put_list(s, group->inside, group->x + group->port_in - group->inside->port_in, group->y + FRAME_TITLE);
}

/* Lines first: boxes cover their ends. */
static void put_list(struct svg *s, const struct picture_list *list, int x, int y)
{
    fprintf(s->out, "<g transform=\"translate(%d %d)\">\n", x, y);
    for (int i = 0; i < list->count; i++)
        if (list->items[i].inside)
            put_group(s, &list->items[i]);
    for (int i = 0; i < list->lines_count; i++)
        put_line(s, &list->lines[i]);
    for (int i = 0; i < list->knots_count; i++)
        fprintf(s->out, "<circle class=\"tip\" cx=\"%d\" cy=\"%d\" r=\"2.5\"/>\n", list->knots[i].x, list->knots[i].y);
    for (int i = 0; i < list->count; i++)
        if (!list->items[i].inside)
            put_box(s, &list->items[i]);
    for (int i = 0; i < list->texts_count; i++) {
        fprintf(s->out, "<text class=\"shape\" x=\"%d\" y=\"%d\">", list->texts[i].at.x, list->texts[i].at.y);
        put_text(s, list->texts[i].text);
        fputs("</text>\n", s->out);
    }
    fputs("</g>\n", s->out);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The picture in words, for those who cannot see it. */
static void tell(struct svg *s, const struct picture_list *list, int *told)
{
    for (int i = 0; i < list->count && *told < TOLD_MOST; i++) {
        const struct picture_item *item = &list->items[i];
        if (item->copies > 1)
            fprintf(s->out, " %d times in a row:", item->copies);
        if (item->inside) {
            fputs(" (", s->out);
            put_text(s, item->title);
            tell(s, item->inside, told);
            fputs(")", s->out);
            continue;
        }
        for (int k = 0; k < item->rows_count; k++, ++*told) {
            fputs(" ", s->out);
            put_text(s, item->rows[k].word);
            put_text(s, item->rows[k].arguments);
            fputs(";", s->out);
        }
    }
}

static void put_head(struct svg *s)
{
    const struct model *m = s->model;
    int64_t weights = 0, multiply_adds = 0;
    char first[32], second[32];

    for (int i = 0; i < m->layers_count; i++) {
        const struct layer *l = m->layers[i];
        weights += layer_weights(l);
        multiply_adds += l->def->multiply_adds ? l->def->multiply_adds(l) : 0;
    }
    fprintf(s->out, "<text class=\"head\" x=\"%d\" y=\"%d\">", EDGE, EDGE + 10);
    put_text(s, m->name);
    fprintf(s->out, "</text>\n<text class=\"grey\" x=\"%d\" y=\"%d\">%s parameters, %s multiply-adds</text>\n", EDGE,
            EDGE + 29, grouped(first, weights), grouped(second, multiply_adds));
}

bool picture_svg(const struct model *m, FILE *out)
{
    struct svg s = {.model = m, .out = out};
    struct picture_list *list = picture_of(&s.arena, m);
    const struct layer *last = m->layers[m->layers_count - 1];
    int told = 0;

    if (!picture_place(&s.arena, list)) {
        arena_free(&s.arena);
        return false;
    }
    int least = 330, width = (list->width > least ? list->width : least) + 2 * EDGE + 2 * STACKED;
    int height = EDGE + HEAD + list->height + FOOT;
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "aria-labelledby=\"%s-title %s-desc\">\n<title id=\"%s-title\">The network %s</title>\n<desc id=\"%s-desc\">",
            width, height, width, height, m->name, m->name, m->name, m->name, m->name);
    fprintf(out, "Layers from %s to %s:", shape_text(m->layers[0]->out).text, shape_text(last->out).text);
    tell(&s, list, &told);
    fprintf(out, "%s</desc>\n", told >= TOLD_MOST ? " and more." : "");
    put_style(&s);
    fprintf(out, "<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n", width, height);
    put_head(&s);
    int x = EDGE + (list->width < least ? (least - list->width) / 2 : 0);
    put_list(&s, list, x, EDGE + HEAD);
    fputs("</svg>\n", out);
    arena_free(&s.arena);
    return true;
}
