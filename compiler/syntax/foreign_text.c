/* foreign_text.c - a file that is plainly no model: C, Python, a configuration of another tool.  It is said once, in
 * the place of an error for each of its lines. */
#define _GNU_SOURCE                     /* memmem() */
#include "syntax/foreign.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/file_kind.h"

/* A line without the spaces around it. */
struct line {
    const char *text;
    size_t length;
};

struct signs {
    int lines, sections, ours, c, python, darknet, prototxt, keys;
};

static bool starts(struct line l, const char *word)
{
    return l.length >= strlen(word) && !memcmp(l.text, word, strlen(word));
}

static bool ends(struct line l, char c)
{
    return l.length && l.text[l.length - 1] == c;
}

static bool has(struct line l, char c)
{
    return memchr(l.text, c, l.length) != NULL;
}

/* Letters, digits, '_' and '-' from the beginning on. */
static size_t word_length(struct line l)
{
    size_t n = 0;

    while (n < l.length && (isalnum((unsigned char)l.text[n]) || l.text[n] == '_' || l.text[n] == '-'))
        n++;
    return n;
}

static struct line behind(struct line l, size_t n)
{
    while (n < l.length && (l.text[n] == ' ' || l.text[n] == '\t'))
        n++;
    return (struct line){l.text + n, l.length - n};
}

/* `network {`, `network:`: a line that only a model has. */
static bool is_section(struct line l)
{
    size_t n = word_length(l);
    struct line rest = behind(l, n), name = {l.text, n};

    if ((n == 7 && starts(name, "network")) || (n == 4 && starts(name, "data")) || (n == 5 && starts(name, "train")))
        return !rest.length || rest.text[0] == '{' || (rest.text[0] == ':' && rest.length == 1);
    return false;
}

/* `const a = 1`, `metric m(y, p)`: other languages have such lines too, but among others. */
static bool is_ours(struct line l)
{
    size_t n = word_length(l);
    struct line rest = behind(l, n), name = {l.text, n};

    if ((n == 5 && starts(name, "const")) || (n == 6 && starts(name, "metric")) || (n == 5 && starts(name, "block")))
        return word_length(rest) > 0 && (has(rest, '=') || has(rest, '(')) && !ends(rest, ';');
    return n == 7 && starts(name, "include") && starts(rest, "\"");
}

static void read_line(struct signs *s, struct line l)
{
    size_t n = word_length(l);
    struct line rest = behind(l, n);

    s->lines++;
    s->sections += is_section(l);
    s->ours += is_ours(l);
    s->c += starts(l, "#include ") || starts(l, "#include<") || starts(l, "#ifndef ") || starts(l, "#define ") ||
            starts(l, "int main(") || starts(l, "typedef ") || (ends(l, ';') && has(l, '(') && has(l, ')'));
    s->python += (starts(l, "import ") && !has(l, ';')) || (starts(l, "from ") && memmem(l.text, l.length, " import ",
            8)) || ((starts(l, "def ") || starts(l, "class ")) && ends(l, ':'));
    s->darknet += l.length > 2 && l.text[0] == '[' && word_length((struct line){l.text + 1, l.length - 1}) == l.length -
        2 && ends(l, ']');
    s->prototxt += ((starts(l, "layer") || starts(l, "layers")) && n <= 6 && starts(rest, "{")) ||
                   (starts(l, "input_param") && ends(l, '}'));
    s->keys += starts(l, "---") || starts(l, "- ") || (n > 0 && starts(rest, ":"));
}

static const char *kind_of_signs(const struct signs *s, char first, char second)
{
    if (s->sections || 4 * s->ours > s->lines)
        return NULL;
    if (first == '<')
        return "HTML or XML";
    if (first == '{' || (first == '[' && (second == '{' || second == '[' || second == '"')))
        return "JSON";
    if (s->darknet)
        return "a configuration of darknet's, or another in its form";
    if (s->prototxt)
        return "a network of Caffe's (prototxt)";
    if (s->python)
        return "Python source";
    if (s->c >= 3 && s->c > 3 * s->ours)
        return "C source";
    return s->keys >= 3 && 2 * s->keys > s->lines ? "YAML" : NULL;
}

const char *foreign_text(const char *text, size_t size)
{
    const char *known = file_kind(text, size);
    struct signs s = {0};
    char first = 0, second = 0;

    if (known)
        return known;
    if (size >= 2 && !memcmp(text, "#!", 2))
        return "a script";
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t stop = end ? (size_t)(end - text) : size;
        struct line l = behind((struct line){text + at, stop - at}, 0);
        while (l.length && isspace((unsigned char)l.text[l.length - 1]))
            l.length--;
        for (size_t i = 0; i < l.length && !second && !starts(l, "# "); i++) {
            if (!isspace((unsigned char)l.text[i]))
                *(first ? &second : &first) = l.text[i];
        }
        if (l.length)
            read_line(&s, l);
        at = stop + 1;
    }
    return kind_of_signs(&s, first, second);
}
