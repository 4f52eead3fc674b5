/* mutate.c - changes model files at random, byte by byte and word by word, and lets the compiler's
 * front read them.
 *
 *   mutate COUNT SEED FILE.cnn...
 *
 * Nothing may crash, hang or leave bounds (run it under AddressSanitizer and
 * UndefinedBehaviorSanitizer).  A file that is refused must have been given a reason; of one that
 * is accepted the explained recipe must be accepted too and explain itself in the same words, and
 * its graphs must hold their invariants.  What has no errors of syntax can be formatted, which changes nothing the
 * second time.  Exit status 1 with the text that broke a rule. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "graph/graph.h"
#include "passes/passes.h"
#include "syntax/format.h"
#include "syntax/parse.h"

enum { LARGEST = 1 << 16 };

struct text {
    char bytes[LARGEST];
    size_t size;
};

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state += 0x9E3779B97F4A7C15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return below ? (uint32_t)(z % below) : 0;
}

/* ---- changes --------------------------------------------------------------------------------- */

static void splice(struct text *t, size_t at, size_t gone, const char *put, size_t length)
{
    if (gone > t->size - at)
        gone = t->size - at;
    if (t->size - gone + length > LARGEST)
        return;
    memmove(t->bytes + at + length, t->bytes + at + gone, t->size - at - gone);
    memcpy(t->bytes + at, put, length);
    t->size += length - gone;
}

static const char *const pieces[] = {
    "{", "}", "(", ")", "[", "]", ",", "=", "==", "+", "-", "*", "/", "%", "^", "<", ">=", "!",
    "\"", "#", ";", "\n", "\r\n", "\t", " ", "if ", " then ", " else ", " and ", " not ", " as ",
    "const ", "return ", "on", "off", "0", "1", "-1", "64", "1e308", "1e-400", "99999999999", "2x2",
    "3x3x3", "0x10", "1x", ".5", "5.", "input ", "conv2d ", "dense ",
    "add { branch { } branch { } }", "branch ", "network ", "data ", "train ", "metric ",
    "flatten\n", "softmax", "relu", "in_channels", "in_height", "const relu = 1\n", "from ", "sum(",
    "mean(", "y", "p", "trainable=off", "\xC3\xA4", "\xFF", "\x01", "\xEF\xBB\xBF", "padding=same",
    "stride=2", "padding=1", "init=normal(", "leaky_relu(", "block a(f, g=1) { ", "repeat 2 { ", "repeat 3 as i { ",
        "a 4",
    "a a", "length(", " as u", "u.0", "concat "
};

static void mutate(struct text *t)
{
    enum { PIECES = sizeof pieces / sizeof *pieces };
    size_t at = draw((uint32_t)t->size + 1), from = draw((uint32_t)t->size + 1);
    char byte = (char)draw(256);
    char copy[64];
    size_t length = draw(sizeof copy);

    switch (draw(7)) {
    case 0:
        splice(t, at, 1, &byte, 1);
        break;
    case 1:
        splice(t, at, draw(4) ? 1 : draw(40), "", 0);
        break;
    case 2:
    case 3: {
        const char *piece = pieces[draw(PIECES)];
        splice(t, at, draw(2) ? 0 : draw(6), piece, strlen(piece));
        break;
    }
    case 4:
        if (length > t->size - from)
            length = t->size - from;
        memcpy(copy, t->bytes + from, length);
        splice(t, at, 0, copy, length);
        break;
    case 5: {                                   /* one piece many times: depth and length */
        const char *piece = pieces[draw(PIECES)];
        for (uint32_t n = draw(16) ? draw(4) : draw(600); n > 0; n--)
            splice(t, at, 0, piece, strlen(piece));
        break;
    }
    case 6:
        if (!draw(8))
            t->size = at;                       /* cut off */
        break;
    }
}

/* ---- the rules ------------------------------------------------------------------------------- */

static FILE *nowhere;

static const struct model *compile(struct arena *a, const char *text, size_t size, int *errors)
{
    static const struct check_options options = {0};
    struct diag *d = diag_new(a);
    const struct source *s = source_from_text(a, "mutated.cnn", text, size);
    const struct ast_body *file = parse_source(a, s, d);
    const struct model *m = check_model(a, s, file, &options, d);

    ast_dump(file, nowhere);
    diag_print(d, nowhere);
    *errors = diag_errors(d);
    return m;
}

static const char *graphs_broken(const struct model *m)
{
    struct arena a = {0};
    struct graph *use = lower_model(&a, m, false);
    const char *broken = graph_verify(use);

    if (!broken && m->loss) {
        struct graph *train = lower_model(&a, m, true);
        differentiate(train);
        broken = graph_verify(train);
    }
    if (broken)
        fprintf(stderr, "graph: %s\n", broken);
    arena_free(&a);
    return broken;
}

static const char *format_broken(struct arena *a, const char *text, size_t size)
{
    struct diag *d = diag_new(a);
    const char *once = format_source(a, source_from_text(a, "mutated.cnn", text, size), d);

    if (!once)
        return diag_errors(d) ? NULL : "formatted, it says something else";
    const char *twice = format_source(a, source_from_text(a, "formatted.cnn", once, strlen(once)), d);
    return diag_errors(d) || (twice && !strcmp(once, twice)) ? NULL : "formatted again, it changes";
}

static const char *broken_rule(const char *text, size_t size, bool *accepted)
{
    struct arena a = {0};
    int errors, again;
    const char *rule = format_broken(&a, text, size);
    const struct model *m = compile(&a, text, size, &errors);

    *accepted = errors == 0;
    if (errors == 0 && !rule) {
        const struct model *n = compile(&a, m->explained, strlen(m->explained), &again);
        if (again)
            rule = "the explained recipe is refused";
        else if (strcmp(m->explained, n->explained))
            rule = "the explained recipe explains itself otherwise";
        else if (graphs_broken(m))
            rule = "a graph is broken";
        if (rule)
            fprintf(stderr, "---- explained:\n%s\n", m->explained);
    }
    arena_free(&a);
    return rule;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool read_seed(const char *path, struct text *t)
{
    FILE *f = fopen(path, "rb");

    if (!f)
        return false;
    t->size = fread(t->bytes, 1, sizeof t->bytes / 2, f);
    fclose(f);
    return true;
}

int main(int argc, char **argv)
{
    static struct text seed, t;
    int accepted_count = 0;

    if (argc < 4) {
        fputs("usage: mutate COUNT SEED FILE.cnn...\n", stderr);
        return 2;
    }
    long count = strtol(argv[1], NULL, 10);
    nowhere = fopen("/dev/null", "w");
    if (!nowhere)
        return 2;
    for (long i = 0; i < count; i++) {
        state = strtoull(argv[2], NULL, 10) * 1000003u + (uint64_t)i;
        if (!read_seed(argv[3 + draw((uint32_t)argc - 3)], &seed)) {
            perror("a seed cannot be read");
            return 2;
        }
        t = seed;
        for (uint32_t n = 1 + draw(6); n > 0; n--)
            mutate(&t);
        bool accepted;
        const char *rule = broken_rule(t.bytes, t.size, &accepted);
        if (rule) {
            fprintf(stderr, "---- number %ld: %s:\n%.*s\n", i, rule, (int)t.size, t.bytes);
            return 1;
        }
        accepted_count += accepted;
    }
    fclose(nowhere);
    printf("%ld texts, %d accepted\n", count, accepted_count);
    return 0;
}
