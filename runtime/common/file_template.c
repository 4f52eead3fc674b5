/* file_template.c - reads, expands and compares names with fields.  What Python's format() knows beyond numbers (fills,
 * alignment, grouping, other types) is refused. */
#define _GNU_SOURCE
#include "common/file_template.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MAX = 40, PRECISION_MAX = 20 };

/* ---- reading --------------------------------------------------------------------------------- */

static bool wrong(struct template_piece *p, const char *end, const char *why)
{
    p->kind = TEMPLATE_WRONG;
    p->end = end;
    p->wrong = why;
    return true;
}

/* A number of at most `most`; -1: it is larger. */
static int number_read(const char **at, int most)
{
    int number = 0;
    for (; isdigit((unsigned char)**at); ++*at)
        number = number < 0 || number * 10 + (**at - '0') > most ? -1 : number * 10 + (**at - '0');
    return number;
}

/* What stands behind the colon, up to the brace at `end`. */
static bool format_read(struct template_piece *p, const char *at, const char *end)
{
    if (*at == '+' || *at == ' ' || *at == '-')
        p->sign = *at++ == '-' ? 0 : at[-1];
    p->zeros = *at == '0';
    p->width = number_read(&at, WIDTH_MAX);
    if (*at == '.') {
        at++;
        bool digits = isdigit((unsigned char)*at);
        p->precision = number_read(&at, PRECISION_MAX);
        if (digits && p->precision < 0)
            return wrong(p, end + 1, "its precision is too large");
        if (!digits)
            return wrong(p, end + 1, "no digits follow the point of its precision");
    }
    if (*at && strchr("deEfFgG%", *at))
        p->type = *at++;
    if (p->width < 0)
        return wrong(p, end + 1, "its width is too large");
    if (at != end)
        return wrong(p, end + 1, "it is no format of a number such as 02d or .4f");
    p->end = end + 1;
    return true;
}

bool rt_template_next(const char *at, struct template_piece *p)
{
    *p = (struct template_piece){ .kind = TEMPLATE_TEXT, .start = at, .end = at + 1, .character = *at,
                                  .precision = -1 };
    if (!*at)
        return false;
    if (*at != '{' && *at != '}')
        return true;
    if (at[1] == *at) {
        p->end = at + 2;
        return true;
    }
    if (*at == '}')
        return wrong(p, at + 1, "a '}' that belongs to the name is written twice");
    size_t length = strcspn(at + 1, "{}");
    const char *end = at + 1 + length;
    if (*end != '}')
        return wrong(p, end, "its '}' is missing; a '{' that belongs to the name is written twice");
    p->kind = TEMPLATE_FIELD;
    p->name = at + 1;
    p->name_length = strcspn(p->name, ":}");
    if (p->name_length == 0)
        return wrong(p, end + 1, "it names no value");
    if (p->name[p->name_length] == ':')
        return format_read(p, p->name + p->name_length + 1, end);
    p->end = end + 1;
    return true;
}

bool rt_template_names(const struct template_piece *piece, const char *name)
{
    return strlen(name) == piece->name_length && strncmp(piece->name, name, piece->name_length) == 0;
}

const char *rt_template_fault(const struct template_piece *p, bool whole)
{
    if (p->type == 'd' && !whole)
        return "its value is no whole number: .4f shows it with four digits";
    if (p->precision >= 0 && p->type == 'd')
        return "a whole number has no precision";
    if (p->precision >= 0 && p->type == 0)
        return "a precision wants a type behind it, as in .4f";
    return NULL;
}

/* ---- expanding ------------------------------------------------------------------------------- */

/* The fewest digits that give the number back, as Python writes it. */
static void shortest_print(FILE *out, double value)
{
    char text[64];
    int digits = 1, exponent = 0;
    for (; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value)
            break;
    }
    snprintf(text, sizeof text, "%.*e", digits - 1, value);
    sscanf(strchr(text, 'e') + 1, "%d", &exponent);
    if (exponent >= -4 && exponent < 16)
        fprintf(out, "%.*f", digits - 1 > exponent ? digits - 1 - exponent : 1, value);
    else
        fputs(text, out);
}

/* A number without its sign. */
static void magnitude_print(FILE *out, const struct template_piece *p, double value, bool whole)
{
    int precision = p->precision >= 0 ? p->precision : 6;
    if (isnan(value) || isinf(value))
        fputs(isnan(value) ? "nan" : "inf", out);
    else if (p->type == 'd' || (whole && p->type == 0))
        fprintf(out, "%.0f", value);
    else if (p->type == 0)
        shortest_print(out, value);
    else if (p->type == 'f' || p->type == 'F' || p->type == '%')
        fprintf(out, "%.*f", precision, p->type == '%' ? 100.0 * value : value);
    else if (p->type == 'e')
        fprintf(out, "%.*e", precision, value);
    else if (p->type == 'E')
        fprintf(out, "%.*E", precision, value);
    else
        fprintf(out, p->type == 'g' ? "%.*g" : "%.*G", precision, value);
    if (p->type == '%')
        fputc('%', out);
}

static void number_print(FILE *out, const struct template_piece *p, double value, bool whole)
{
    char *text = NULL;
    size_t length = 0;
    FILE *number = open_memstream(&text, &length);
    if (!number)
        return;
    magnitude_print(number, p, fabs(value), whole);
    fclose(number);
    char sign = signbit(value) && !isnan(value) ? '-' : p->sign;
    int gap = p->width - (int)length - (sign != 0);
    for (int i = 0; !p->zeros && i < gap; i++)
        fputc(' ', out);
    if (sign)
        fputc(sign, out);
    for (int i = 0; p->zeros && i < gap; i++)
        fputc('0', out);
    fputs(text, out);
    free(text);
}

char *rt_template_expand(const char *text, template_value *value, void *user)
{
    char *name = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&name, &length);
    bool good = out != NULL;
    struct template_piece p;
    for (const char *at = text; good && rt_template_next(at, &p); at = p.end) {
        double number = 0.0;
        bool whole = false;
        if (p.kind == TEMPLATE_TEXT)
            fputc(p.character, out);
        else if ((good = p.kind == TEMPLATE_FIELD && value(user, &p, &number, &whole)))
            number_print(out, &p, number, whole);
    }
    if ((out && fclose(out)) || !good) {
        free(name);
        return NULL;
    }
    return name;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* A character in lower case, or a field, which may show any text of these characters. */
struct letter {
    char character;
    const char *shows;          /* NULL: a character */
};

/* Into memory for as many letters as the text has characters; how many they are. */
static int letters_read(struct letter *letters, const char *text, bool is_template)
{
    int count = 0;
    struct template_piece p;
    for (const char *at = text; *at && count < TEMPLATE_LENGTH_MAX; at = p.end) {
        rt_template_next(at, &p);
        bool field = is_template && p.kind == TEMPLATE_FIELD;
        if (!is_template)
            p = (struct template_piece){ .end = at + 1, .character = *at };
        const char *shows = rt_template_names(&p, "epoch") && (p.type == 0 || p.type == 'd')
                                ? "0123456789+- " : "0123456789+-. einfa%";
        letters[count++] = (struct letter){ (char)tolower((unsigned char)p.character), field ? shows : NULL };
    }
    return count;
}

static bool shows(const struct letter *field, const struct letter *other)
{
    return field->shows && !other->shows && strchr(field->shows, other->character);
}

/* Goes over both at once: `reached` says which pairs of places one text can lead to. */
static enum template_meeting letters_meet(const struct letter *a, int a_count, const struct letter *b, int b_count,
                                          bool *reached)
{
    enum template_meeting meeting = TEMPLATES_APART;
    int row = b_count + 1;
    reached[0] = true;
    for (int i = 0; i <= a_count; i++)
        for (int j = 0; j <= b_count; j++) {
            if (!reached[i * row + j])
                continue;
            bool more_a = i < a_count, more_b = j < b_count;
            if (!more_a && !more_b)
                return TEMPLATES_SAME;
            if (!more_b && a[i].character == '/' && !a[i].shows)
                meeting = TEMPLATES_INSIDE;
            if (!more_a && b[j].character == '/' && !b[j].shows)
                meeting = TEMPLATES_AROUND;
            bool both = more_a && more_b;
            if (both && !a[i].shows && !b[j].shows && a[i].character == b[j].character)
                reached[(i + 1) * row + j + 1] = true;
            if ((more_a && a[i].shows) || (both && shows(&b[j], &a[i])))
                reached[(i + 1) * row + j] = true;
            if ((more_b && b[j].shows) || (both && shows(&a[i], &b[j])))
                reached[i * row + j + 1] = true;
        }
    return meeting;
}

static enum template_meeting texts_meet(const char *a, const char *b, bool b_is_template)
{
    size_t a_length = strnlen(a, TEMPLATE_LENGTH_MAX) + 1, b_length = strnlen(b, TEMPLATE_LENGTH_MAX) + 1;
    struct letter *letters = calloc(a_length + b_length, sizeof *letters);
    bool *reached = calloc(a_length * b_length, sizeof *reached);
    enum template_meeting meeting = TEMPLATES_SAME;             /* nobody can tell */
    if (letters && reached) {
        int a_count = letters_read(letters, a, true);
        int b_count = letters_read(letters + a_count, b, b_is_template);
        meeting = letters_meet(letters, a_count, letters + a_count, b_count, reached);
    }
    free(letters);
    free(reached);
    return meeting;
}

enum template_meeting rt_templates_meet(const char *a, const char *b)
{
    return texts_meet(a, b, true);
}

bool rt_template_gives(const char *text, const char *name)
{
    return strlen(name) < TEMPLATE_LENGTH_MAX && texts_meet(text, name, false) == TEMPLATES_SAME;
}
