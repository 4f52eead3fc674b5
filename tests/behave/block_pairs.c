/* block_pairs.c - the same random network twice: written with blocks, repeats, choices and names, and written out flat.
 *
 *   block_pairs SEED FOLDER      writes FOLDER/blocks.cnn (and parts.cnn beside it, or not) and FOLDER/flat.cnn
 *
 * Statements are drawn as a tree.  One pass writes it as it is; the other walks it as the language says it is expanded,
 * with what parameters, constants and counters are worth, and writes each layer with its full name.  Maps keep their
 * rows and columns, so that any two results with as many channels can be added. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 5, STATEMENTS_MOST = 6, NAME = 256 };

static uint64_t state;

static int range(int low, int high)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return low + (int)((state >> 33) % (uint64_t)(high - low + 1));
}

static bool chance(int percent)
{
    return range(1, 100) <= percent;
}

static void *fresh(size_t size)
{
    void *p = calloc(1, size);
    if (!p)
        exit(99);
    return p;
}

/* ---- numbers ------------------------------------------------------------------------------------------------- */

enum expr_kind { NUMBER, VARIABLE, CHANNELS, ADD, MULTIPLY, HALF, MOST, CHOICE, ELEMENT };

struct expr {
    enum expr_kind kind;
    int number;
    const char *name;
    struct expr *a, *b, *c;
};

/* The names that are worth a number, of the text at hand. */
struct names {
    const char *list[64];
    int count;
};

static struct expr *draw_expr(const struct names *names, int depth)
{
    struct expr *e = fresh(sizeof *e);
    e->kind = depth == 0 || chance(30) ? NUMBER : (enum expr_kind)range(VARIABLE, ELEMENT);
    e->number = range(1, 6);
    if (e->kind == VARIABLE && !names->count)
        e->kind = CHANNELS;
    if (e->kind == VARIABLE)
        e->name = names->list[range(0, names->count - 1)];
    if (e->kind >= ADD) {
        e->a = draw_expr(names, depth - 1);
        e->b = draw_expr(names, depth - 1);
        e->c = draw_expr(names, depth - 1);
    }
    return e;
}

static void write_expr(FILE *f, const struct expr *e)
{
    static const struct {
        const char *before, *between, *after;
    } texts[] = {
        [ADD] = {"(", " + ", ")"}, [MULTIPLY] = {"(", " % 9 * (", " % 9))"}, [HALF] = {"floor(", NULL, " / 2)"},
        [MOST] = {"max(", ", ", ")"}, [CHOICE] = {"(if ", " > 3 then ", ")"}, [ELEMENT] = {"fixed[(", NULL, ") % 3]"},
    };
    switch (e->kind) {
    case NUMBER: fprintf(f, "%d", e->number); return;
    case VARIABLE: fputs(e->name, f); return;
    case CHANNELS: fputs("in_channels", f); return;
    default: break;
    }
    fputs(texts[e->kind].before, f);
    write_expr(f, e->a);
    if (texts[e->kind].between) {
        fputs(texts[e->kind].between, f);
        write_expr(f, e->b);
    }
    if (e->kind == CHOICE) {
        fputs(" else ", f);
        write_expr(f, e->c);
    }
    fputs(texts[e->kind].after, f);
}

/* ---- the tree ------------------------------------------------------------------------------------------------ */

enum kind { CONV, NORM, ACTIVATION, GIVEN_ACTIVATION, CONSTANT, BRANCHES, SKIP, FROM, REPEAT, USE, IF, KINDS };

struct body;

struct statement {
    enum kind kind;
    struct expr *e, *limit;         /* filters, a count, a constant's value, what a choice asks */
    const char *name;               /* of a layer, a constant, a counter, a use; NULL: none */
    const char *activation;         /* "relu", "act": a parameter's; NULL: none */
    const char *training;           /* "off", "bias"; NULL: not said */
    struct body *bodies[2];         /* branches, both sides of a choice */
    int block;
    struct expr *arguments[2];
    bool by_name;                   /* the second argument */
    bool concat;                    /* of BRANCHES: put together, whatever their channels */
    int serial;                     /* for names that nobody else has */
};

struct body {
    struct statement *list[STATEMENTS_MOST];
    int count;
};

struct block {
    char name[16];
    bool skips;                     /* takes the name of a layer, and how many channels it has */
    struct expr *second;            /* the default of `b` */
    struct body *body;
    bool names;                     /* layers in it have names */
};

static struct block blocks[BLOCKS];
static int serial;

static const char *const activations[] = {"relu", "elu(0.5)", "tanh", "leaky_relu(alpha=0.25)", "off"};

static const char *serial_name(const char *stem)
{
    char *name = fresh(16);
    snprintf(name, 16, "%s%d", stem, ++serial);
    return name;
}

/* `block` is the number of the block that is drawn, which uses those with larger ones; -1: the network. */
static struct body *draw_body(int block, struct names names, int depth, bool in_branch);

static struct statement *draw_statement(int block, struct names *names, int depth, bool in_branch)
{
    struct statement *s = fresh(sizeof *s);
    do
        s->kind = (enum kind)range(CONV, KINDS - 1);
    while ((depth == 0 && s->kind >= BRANCHES) || (s->kind == GIVEN_ACTIVATION && block < 0) ||
           (s->kind == USE && block == BLOCKS - 1) || (in_branch && s->kind == FROM));
    s->serial = ++serial;
    s->concat = chance(40);
    s->e = draw_expr(names, 3);
    s->limit = draw_expr(names, 2);
    if (s->kind <= NORM)
        s->activation = chance(40) ? NULL : block >= 0 && chance(50) ? "act" : activations[range(0, 4)];
    if (s->kind == ACTIVATION)
        s->activation = activations[range(0, 3)];
    if ((s->kind <= ACTIVATION && chance(40)) || s->kind == SKIP || s->kind == FROM)
        s->name = serial_name("n");
    if ((s->kind == CONV || s->kind == NORM || s->kind == USE) && chance(15))
        s->training = chance(50) ? "off" : "bias";
    switch (s->kind) {
    case CONSTANT:
        s->name = serial_name("k");
        names->list[names->count++] = s->name;
        break;
    case REPEAT: {
        struct names inner = *names;
        if (chance(60)) {
            s->name = serial_name("i");
            inner.list[inner.count++] = s->name;
        }
        s->bodies[0] = draw_body(block, inner, depth - 1, in_branch);
        break;
    }
    case BRANCHES: case IF: case SKIP: case FROM:
        s->bodies[0] = draw_body(block, *names, depth - 1, true);
        if (s->kind == BRANCHES || (s->kind == IF && chance(60)))
            s->bodies[1] = draw_body(block, *names, depth - 1, true);
        break;
    case USE:
        s->block = range(block + 1, BLOCKS - 1);
        if (chance(70) || blocks[s->block].names || blocks[s->block].skips)
            s->name = serial_name("u");
        for (int i = 0; i < 2; i++)
            s->arguments[i] = chance(70) || i == 0 ? draw_expr(names, 2) : NULL;
        s->by_name = chance(50);
        s->activation = chance(50) ? activations[range(0, 4)] : block >= 0 ? "act" : NULL;
        break;
    default:
        break;
    }
    if (block >= 0 && s->name && s->kind != CONSTANT && s->kind != REPEAT)
        blocks[block].names = true;
    return s;
}

static struct body *draw_body(int block, struct names names, int depth, bool in_branch)
{
    struct body *b = fresh(sizeof *b);
    int count = range(1, STATEMENTS_MOST - 2);
    while (b->count < count)
        b->list[b->count++] = draw_statement(block, &names, depth, in_branch);
    return b;
}

/* ---- as it is written ---------------------------------------------------------------------------------------- */

static void write_body(FILE *f, const struct body *b, int depth);

__attribute__((format(printf, 3, 4))) static void line(FILE *f, int depth, const char *format, ...)
{
    va_list args;
    fprintf(f, "%*s", 4 * depth, "");
    va_start(args, format);
    vfprintf(f, format, args);
    va_end(args);
}

static void write_ending(FILE *f, const struct statement *s)
{
    if (s->training)
        fprintf(f, ", trainable=%s", s->training);
    if (s->name)
        fprintf(f, " as %s", s->name);
    fputc('\n', f);
}

/* A number of channels from 1 to 6. */
static void write_channels(FILE *f, const struct expr *e)
{
    fputs("1 + ", f);
    write_expr(f, e);
    fputs(" % 6", f);
}

static void write_use(FILE *f, const struct statement *s, int depth)
{
    const struct block *b = &blocks[s->block];
    if (b->skips) {
        line(f, depth, "const channels%d = in_channels\n", s->serial);
        line(f, depth, "relu as skip%d\n", s->serial);
    }
    line(f, depth, "%s ", b->name);
    if (b->skips)
        fprintf(f, "skip%d, channels%d, ", s->serial, s->serial);
    write_channels(f, s->arguments[0]);
    if (s->arguments[1]) {
        fprintf(f, ", %s", s->by_name ? "b=" : "");
        write_expr(f, s->arguments[1]);
    }
    if (s->activation)
        fprintf(f, ", %s%s", s->arguments[1] && !s->by_name && chance(50) ? "" : "act=", s->activation);
    write_ending(f, s);
}

static void write_statement(FILE *f, const struct statement *s, int depth)
{
    switch (s->kind) {
    case CONV:
        line(f, depth, "conv2d ");
        write_channels(f, s->e);
        fprintf(f, ", 3x3, padding=same");
        if (s->activation)
            fprintf(f, ", activation=%s", s->activation);
        write_ending(f, s);
        break;
    case NORM:
        line(f, depth, "batchnorm momentum=0.9");
        if (s->activation)
            fprintf(f, ", activation=%s", s->activation);
        write_ending(f, s);
        break;
    case ACTIVATION: {
        char word[32];
        snprintf(word, sizeof word, "%s", s->activation);
        for (char *c = word; *c; c++)
            if (*c == '(' || *c == ')')
                *c = ' ';
        line(f, depth, "%s", word);
        write_ending(f, s);
        break;
    }
    case GIVEN_ACTIVATION: line(f, depth, "act\n"); break;
    case CONSTANT:
        line(f, depth, "const %s = ", s->name);
        write_channels(f, s->e);
        fputc('\n', f);
        break;
    case BRANCHES: case SKIP: case FROM:
        line(f, depth, "const channels%d = in_channels\n", s->serial);
        if (s->kind == BRANCHES) {
            line(f, depth, s->concat ? "concat {\n" : "add {\n");
            for (int i = 0; i < 2; i++) {
                line(f, depth + 1, "branch {\n");
                write_body(f, s->bodies[i], depth + 2);
                if (!s->concat)
                    line(f, depth + 2, "conv2d channels%d, 1x1\n", s->serial);
                line(f, depth + 1, "}\n");
            }
            line(f, depth + 1, "branch { }\n");
            line(f, depth, "}\n");
            break;
        }
        line(f, depth, "relu as %s\n", s->name);
        if (s->kind == FROM) {
            line(f, depth, "conv2d channels%d, 1x1 as %s_b\n", s->serial, s->name);
            line(f, depth, "from %s\n", s->name);
        }
        write_body(f, s->bodies[0], depth);
        line(f, depth, "conv2d channels%d, 1x1\n", s->serial);
        line(f, depth, "add %s%s\n", s->name, s->kind == FROM ? "_b" : "");
        break;
    case REPEAT:
        line(f, depth, "repeat ");
        write_expr(f, s->e);
        fprintf(f, " %% 4%s%s {\n", s->name ? " as " : "", s->name ? s->name : "");
        write_body(f, s->bodies[0], depth + 1);
        line(f, depth, "}\n");
        break;
    case USE: write_use(f, s, depth); break;
    case IF:
        line(f, depth, "if ");
        write_expr(f, s->e);
        fputs(" > ", f);
        write_expr(f, s->limit);
        fputs(" {\n", f);
        write_body(f, s->bodies[0], depth + 1);
        line(f, depth, "}");
        if (s->bodies[1]) {
            fputs(" else {\n", f);
            write_body(f, s->bodies[1], depth + 1);
            line(f, depth, "}");
        }
        fputc('\n', f);
        break;
    case KINDS: break;
    }
}

static void write_body(FILE *f, const struct body *b, int depth)
{
    for (int i = 0; i < b->count; i++)
        write_statement(f, b->list[i], depth);
}

/* ---- written out --------------------------------------------------------------------------------------------- */

enum { LAYERS_MOST = 600 };

/* What a text sees where it is expanded. */
struct view {
    struct {
        const char *name;
        int value;
    } numbers[64];
    int count;
    const char *act, *skip;         /* what these parameters were given */
    char prefix[NAME], rounds[NAME];
    int training;                   /* 0: all is trained, 1: biases, 2: nothing */
};

struct flat {
    FILE *f;
    int channels;                   /* of the result at hand */
    int kinds[16];                  /* how many there are by kind */
    int layers;
    struct {
        char name[NAME];
        int training;
    } weighted[LAYERS_MOST];        /* convolutions and normalisations */
    int weighted_count;
    char uses[LAYERS_MOST][NAME];
    int uses_count;
    bool too_long;                  /* a name is longer than names may be */
};

static void expand_body(struct flat *t, struct view *v, const struct body *b);

static int worth(const struct flat *t, const struct view *v, const struct expr *e)
{
    static const int fixed[] = {2, 5, 1};
    switch (e->kind) {
    case NUMBER: return e->number;
    case CHANNELS: return t->channels;
    case VARIABLE:
        for (int i = v->count - 1; i >= 0; i--)
            if (!strcmp(v->numbers[i].name, e->name))
                return v->numbers[i].value;
        exit(98);
    case ADD: return worth(t, v, e->a) + worth(t, v, e->b);
    case MULTIPLY: return worth(t, v, e->a) % 9 * (worth(t, v, e->b) % 9);
    case HALF: return worth(t, v, e->a) / 2;
    case MOST: {
        int a = worth(t, v, e->a), b = worth(t, v, e->b);
        return a > b ? a : b;
    }
    case CHOICE: return worth(t, v, e->a) > 3 ? worth(t, v, e->b) : worth(t, v, e->c);
    case ELEMENT: return fixed[worth(t, v, e->a) % 3];
    }
    exit(98);
}

static int worth_channels(const struct flat *t, const struct view *v, const struct expr *e)
{
    return 1 + worth(t, v, e) % 6;
}

static void set_number(struct view *v, const char *name, int value)
{
    v->numbers[v->count].name = name;
    v->numbers[v->count++].value = value;
}

static void full_name(struct flat *t, char *to, const struct view *v, const char *name)
{
    enum { LONGEST = 64 };
    t->too_long |= snprintf(to, NAME, "%s%s%s", v->prefix, name, v->rounds) > LONGEST;
}

/* The end of a layer's line: how it is trained, and its name. */
static void end_layer(struct flat *t, const struct view *v, const char *kind, const char *name, const char *training)
{
    static const char *const kinds[] = {"conv2d", "batchnorm", "relu", "elu", "tanh", "leaky_relu", "add", "concat",
                                         NULL};
    int k = 0, trained = v->training;
    char full[NAME];

    while (strcmp(kinds[k], kind))
        k++;
    t->kinds[k]++;
    t->layers++;
    if (name) {
        full_name(t, full, v, name);
    } else {                        /* the number tells rounds apart */
        struct view unrounded = {0};
        char numbered[32];
        memcpy(unrounded.prefix, v->prefix, NAME);
        snprintf(numbered, sizeof numbered, "%s_%d", kind, t->kinds[k]);
        full_name(t, full, &unrounded, numbered);
    }
    if (training && trained < (*training == 'o' ? 2 : 1))
        trained = *training == 'o' ? 2 : 1;
    if (k < 2 && t->weighted_count < LAYERS_MOST) {
        memcpy(t->weighted[t->weighted_count].name, full, NAME);
        t->weighted[t->weighted_count++].training = trained;
    }
    if (k < 2 && trained)
        fprintf(t->f, ", trainable=%s", trained == 2 ? "off" : "bias");
    fprintf(t->f, " as %s\n", full);
}

static void flat_conv(struct flat *t, const struct view *v, int channels, const char *name)
{
    fprintf(t->f, "conv2d %d, 1x1", channels);
    end_layer(t, v, "conv2d", name, NULL);
    t->channels = channels;
}

static void flat_activation(struct flat *t, const struct view *v, const char *text, const char *name)
{
    char kind[16];
    size_t length = strcspn(text, "(");

    if (!strcmp(text, "off"))
        return;
    snprintf(kind, sizeof kind, "%.*s", (int)length, text);
    fputs(kind, t->f);
    if (text[length])
        fprintf(t->f, " %.*s", (int)strlen(text + length) - 2, text + length + 1);
    end_layer(t, v, kind, name, NULL);
}

/* The argument that closes a layer. */
static void flat_closing(struct flat *t, const struct view *v, const char *activation)
{
    if (activation && !strcmp(activation, "act"))
        activation = v->act;
    if (activation && strcmp(activation, "off"))
        fprintf(t->f, ", activation=%s", activation);
}

static void expand_use(struct flat *t, const struct view *v, const struct statement *s)
{
    const struct block *b = &blocks[s->block];
    struct view in = {.training = v->training};
    char skip[NAME];
    int channels = t->channels;

    if (b->skips) {
        char name[16];
        snprintf(name, sizeof name, "skip%d", s->serial);
        full_name(t, skip, v, name);
        flat_activation(t, v, "relu", name);
        in.skip = skip;
        set_number(&in, "channels", channels);
    }
    set_number(&in, "a", worth_channels(t, v, s->arguments[0]));
    set_number(&in, "b", s->arguments[1] ? worth(t, v, s->arguments[1]) : worth(t, &in, b->second));
    in.act = !s->activation ? "relu" : !strcmp(s->activation, "act") ? v->act : s->activation;
    if (s->training && in.training < (*s->training == 'o' ? 2 : 1))
        in.training = *s->training == 'o' ? 2 : 1;
    if (s->name) {
        char full[NAME];
        full_name(t, full, v, s->name);
        snprintf(in.prefix, NAME, "%.*s.", NAME - 2, full);
        if (t->uses_count < LAYERS_MOST)
            memcpy(t->uses[t->uses_count++], full, NAME);
    } else {
        memcpy(in.prefix, v->prefix, NAME);
        memcpy(in.rounds, v->rounds, NAME);
    }
    expand_body(t, &in, b->body);
    if (!b->skips)
        return;
    flat_conv(t, &in, channels, NULL);
    fprintf(t->f, "add %s", skip);
    end_layer(t, &in, "add", NULL, NULL);
}

static void expand_joins(struct flat *t, struct view *v, const struct statement *s)
{
    int channels = t->channels, count = v->count, sum = channels;
    char one[NAME], other[NAME], second[32];

    if (s->kind == BRANCHES) {      /* whose name stands before its body, and is given after */
        FILE *outer = t->f;
        char *text = NULL;
        size_t size;
        t->f = open_memstream(&text, &size);
        for (int i = 0; i < 2; i++) {
            t->channels = channels;
            fputs("branch {\n", t->f);
            expand_body(t, v, s->bodies[i]);
            if (!s->concat)
                flat_conv(t, v, channels, NULL);
            sum += t->channels;
            fputs("}\n", t->f);
        }
        fclose(t->f);
        t->f = outer;
        fputs(s->concat ? "concat" : "add", t->f);
        end_layer(t, v, s->concat ? "concat" : "add", NULL, NULL);
        t->channels = s->concat ? sum : channels;
        fprintf(t->f, "{\n%sbranch { }\n}\n", text);
        free(text);
        v->count = count;
        return;
    }
    full_name(t, one, v, s->name);
    flat_activation(t, v, "relu", s->name);
    if (s->kind == FROM) {
        snprintf(second, sizeof second, "%s_b", s->name);
        full_name(t, other, v, second);
        flat_conv(t, v, channels, second);
        fprintf(t->f, "from %s\n", one);
    }
    expand_body(t, v, s->bodies[0]);
    flat_conv(t, v, channels, NULL);
    fprintf(t->f, "add %s", s->kind == FROM ? other : one);
    end_layer(t, v, "add", NULL, NULL);
}

static void expand_statement(struct flat *t, struct view *v, const struct statement *s)
{
    int count = v->count;

    if (t->layers > LAYERS_MOST)
        return;
    switch (s->kind) {
    case CONV: {
        int filters = worth_channels(t, v, s->e);
        fprintf(t->f, "conv2d %d, 3x3, padding=same", filters);
        flat_closing(t, v, s->activation);
        end_layer(t, v, "conv2d", s->name, s->training);
        t->channels = filters;
        break;
    }
    case NORM:
        fputs("batchnorm momentum=0.9", t->f);
        flat_closing(t, v, s->activation);
        end_layer(t, v, "batchnorm", s->name, s->training);
        break;
    case ACTIVATION: flat_activation(t, v, s->activation, s->name); break;
    case GIVEN_ACTIVATION: flat_activation(t, v, v->act, NULL); break;
    case CONSTANT: set_number(v, s->name, worth_channels(t, v, s->e)); break;
    case BRANCHES: case SKIP: case FROM: expand_joins(t, v, s); break;
    case REPEAT:
        for (int i = 0, times = worth(t, v, s->e) % 4; i < times; i++) {
            struct view in = *v;
            snprintf(in.rounds, NAME, "%.*s.%d", NAME - 16, v->rounds, i);
            if (s->name)
                set_number(&in, s->name, i);
            expand_body(t, &in, s->bodies[0]);
        }
        break;
    case USE: expand_use(t, v, s); break;
    case IF: {
        const struct body *b = s->bodies[worth(t, v, s->e) > worth(t, v, s->limit) ? 0 : 1];
        if (b)
            expand_body(t, v, b);
        v->count = count;
        break;
    }
    case KINDS: break;
    }
}

static void expand_body(struct flat *t, struct view *v, const struct body *b)
{
    for (int i = 0; i < b->count; i++)
        expand_statement(t, v, b->list[i]);
}

/* ---- both ---------------------------------------------------------------------------------------------------- */

static void write_block(FILE *f, const struct block *b)
{
    fprintf(f, "block %s(%sa, b=", b->name, b->skips ? "skip, channels, " : "");
    write_expr(f, b->second);
    fputs(", act=relu) {\n", f);
    write_body(f, b->body, 1);
    if (b->skips)
        fputs("    conv2d channels, 1x1\n    add skip\n", f);
    fputs("}\n\n", f);
}

static FILE *open_in(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f)
        exit(96);
    return f;
}

static bool is_within(const char *name, const char *block)
{
    size_t length = strlen(block);
    return !strncmp(name, block, length) && name[length] == '.';
}

/* `freeze` and `params` of a use, or of all uses in a repeat, and what that is of layers; what is frozen has no
 * group. */
static void write_train(FILE *written, FILE *flat, struct flat *t)
{
    static const char *const head = "train {\nloss categorical_crossentropy; optimizer adam; epochs 1; batch 4\n";
    fputs(head, written);
    fputs(head, flat);
    for (int turn = 0; turn < 2 && t->uses_count; turn++) {
        char block[NAME], text[LAYERS_MOST * 8] = "";
        memcpy(block, t->uses[range(0, t->uses_count - 1)], NAME);
        char *dot = strrchr(block, '.');
        if (dot && chance(50))
            *dot = '\0';
        size_t length = 0;
        int found = 0;
        for (int i = 0; i < t->weighted_count; i++) {
            if (!is_within(t->weighted[i].name, block) || (turn && t->weighted[i].training == 2))
                continue;
            if (length + NAME > sizeof text)
                exit(95);
            length += (size_t)sprintf(text + length, "%s%s", found++ ? ", " : "", t->weighted[i].name);
            if (!turn)
                t->weighted[i].training = 2;
        }
        if (!found)
            continue;
        fprintf(written, turn ? "params %s, lr_scale=2\n" : "freeze %s\n", block);
        fprintf(flat, turn ? "params %s, lr_scale=2\n" : "freeze %s\n", text);
    }
    fputs("}\n", written);
    fputs("}\n", flat);
}

static void write_heads(FILE *f)
{
    fputs("model pair\nconst fixed = [2, 5, 1]\ndata { images \"pictures\"; scale 1/255 }\n", f);
}

/* False: what was drawn is too large, or its names are too long. */
static bool write_pair(const char *folder)
{
    struct names none = {{NULL}, 0};
    struct flat *t = fresh(sizeof *t);
    struct view *v = fresh(sizeof *v);

    serial = 0;
    for (int i = BLOCKS - 1; i >= 0; i--) {
        struct names names = {{"a", "b"}, 2}, first = {{"a"}, 1};
        blocks[i] = (struct block){.skips = chance(30), .second = draw_expr(&first, 2)};
        snprintf(blocks[i].name, sizeof blocks[i].name, "block%d", i);
        if (blocks[i].skips)
            names.list[names.count++] = "channels";
        blocks[i].body = draw_body(i, names, 2, false);
    }
    struct body *network = draw_body(-1, none, 3, false), *more = draw_body(-1, none, 3, false);

    FILE *written = open_in(folder, "blocks.cnn"), *parts = chance(40) ? open_in(folder, "parts.cnn") : NULL;
    bool before = chance(50);
    write_heads(written);
    if (parts)
        fputs("include \"parts.cnn\"\n", written);
    for (int i = 0; before && i < BLOCKS; i++)
        write_block(parts ? parts : written, &blocks[i]);
    fputs("network {\n    input 3x4x5\n", written);
    write_body(written, network, 1);
    write_body(written, more, 1);
    fputs("    global_avgpool2d\n    dense 10, softmax\n}\n", written);
    for (int i = 0; !before && i < BLOCKS; i++)
        write_block(parts ? parts : written, &blocks[i]);

    t->f = open_in(folder, "flat.cnn");
    t->channels = 3;
    write_heads(t->f);
    fputs("network {\ninput 3x4x5\n", t->f);
    expand_body(t, v, network);
    expand_body(t, v, more);
    fputs("global_avgpool2d\ndense 10, softmax\n}\n", t->f);
    bool good = t->layers >= 5 && t->layers <= LAYERS_MOST / 2 && !t->too_long;
    if (good)
        write_train(written, t->f, t);
    fclose(t->f);
    fclose(written);
    if (parts)
        fclose(parts);
    return good;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    state = strtoull(argv[1], NULL, 10) * 2654435761u + 1;
    while (!write_pair(argv[2]))
        ;
    return 0;
}
