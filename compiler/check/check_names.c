/* check_names.c - words that are not known: what was meant, what there is, and what other tools call it. */
#include "check/check_parts.h"

#include <stdlib.h>
#include <string.h>

void names_add(struct names *n, const char *name)
{
    LIST_ADD(n->arena, n->items, n->count, n->capacity, name);
}

void names_add_later(struct names *n, const char *const *later)
{
    for (; *later; later++)
        LIST_ADD(n->arena, n->later, n->later_count, n->later_capacity, *later);
}

void names_add_defs(struct names *n, const struct clause_def *defs)
{
    for (; defs->name; defs++)
        names_add(n, defs->name);
}

bool word_in(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(word, *list))
            return true;
    return false;
}

static bool among(const char *word, const char *const *items, int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(word, items[i]))
            return true;
    return false;
}

/* ---- text of the user's ---------------------------------------------------------------------- */

const char *check_source_text(struct check *c, struct span where)
{
    enum { SHOWN = 60 };
    const char *text = where.file ? where.file->text + where.begin : "";
    size_t length = where.file ? where.end - where.begin : 0;

    return length == 0 || length > SHOWN || memchr(text, '\n', length) ? NULL : arena_string(c->arena, text, length);
}

/* What takes the place of $ in the table's text: the value that follows the word, without quotes. */
static const char *value_words(struct check *c, const struct ast_expr *value)
{
    const char *text = !value ? NULL : value->kind == AST_STRING ? value->text : check_source_text(c, value->where);

    return text && *text ? text : "...";
}

static const char *filled_in(struct check *c, const char *text, const struct ast_expr *value)
{
    const char *dollar = strchr(text, '$');

    if (!dollar)
        return text;
    return arena_printf(c->arena, "%.*s%s%s", (int)(dollar - text), text, value_words(c, value), dollar + 1);
}

/* ---- what was meant -------------------------------------------------------------------------- */

/* The part behind the last '.': nn.Conv2d is looked for as Conv2d. */
static const char *last_part(const char *word)
{
    const char *dot = strrchr(word, '.');

    return dot && dot[1] ? dot + 1 : word;
}

enum answer { NO_ANSWER, MISSING_HERE, ANSWERED };

/* Says what the table of other tools' words has for it. */
static enum answer suggest_foreign(struct check *c, const struct unknown *u)
{
    const struct foreign *f = NULL;

    while ((f = foreign_find(f, u->place, u->owner ? u->owner : "", u->word)) != NULL) {
        if (f->kind == FOREIGN_WRITE) {
            diag_hint(c->diag, "write: %s", filled_in(c, f->text, u->value));
            return ANSWERED;
        }
        if (f->kind == FOREIGN_SAY) {
            diag_hint(c->diag, "%s", filled_in(c, f->text, u->value));
            return ANSWERED;
        }
        if (among(f->text, u->names->items, u->names->count)) {
            diag_hint(c->diag, "did you mean '%s'?", f->text);
            return ANSWERED;
        }
        if (among(f->text, u->names->later, u->names->later_count)) {
            diag_hint(c->diag, "it is called '%s' here, and this version does not have it", f->text);
            return MISSING_HERE;
        }
    }
    return NO_ANSWER;
}

static bool suggest_nearest(struct check *c, const struct unknown *u)
{
    const struct names *n = u->names;
    const char **all = arena_array(c->arena, (size_t)(n->count + n->later_count) + 1, sizeof *all);

    for (int i = 0; i < n->count; i++)
        all[i] = n->items[i];
    for (int i = 0; i < n->later_count; i++)
        all[n->count + i] = n->later[i];
    const char *near = diag_nearest(last_part(u->word), all, n->count + n->later_count);
    if (!near)
        return false;
    if (among(near, n->items, n->count))
        diag_hint(c->diag, "did you mean '%s'?", near);
    else
        diag_hint(c->diag, "did you mean '%s'? This version does not have it", near);
    return true;
}

/* ---- what there is --------------------------------------------------------------------------- */

enum { LISTED_ALL = 16, LISTED_NEAREST = 12 };

struct ranked {
    const char *name;
    int distance, number;
};

static int ranked_compare(const void *pa, const void *pb)
{
    const struct ranked *a = pa, *b = pb;

    return a->distance != b->distance ? (a->distance < b->distance ? -1 : 1) : a->number - b->number;
}

/* "a, b, c": all of them where they are few, else the nearest. */
static const char *listed(struct check *c, const char *word, const struct names *names)
{
    struct ranked *order = arena_array(c->arena, (size_t)names->count + 1, sizeof *order);
    int shown = names->count <= LISTED_ALL ? names->count : LISTED_NEAREST;
    const char *text = "";

    for (int i = 0; i < names->count; i++)
        order[i] = (struct ranked){names->items[i],
                                   names->count > LISTED_ALL ? diag_distance(word, names->items[i]) : 0, i};
    qsort(order, (size_t)names->count, sizeof *order, ranked_compare);
    for (int i = 0; i < shown; i++)
        text = arena_printf(c->arena, "%s%s%s", text, i ? ", " : "", order[i].name);
    return shown == names->count ? text
                                 : arena_printf(c->arena, "%s ... (%d in all)", text, names->count);
}

bool check_suggests(const struct check *c)
{
    return c->suggestions_count < SUGGESTIONS_MOST;
}

void check_suggest(struct check *c, const struct unknown *u)
{
    if (!check_suggests(c))
        return;
    c->suggestions_count++;
    enum answer answer = suggest_foreign(c, u);
    bool near = answer == NO_ANSWER && suggest_nearest(c, u);

    if (u->list && u->names->count && answer != ANSWERED && (!near || u->names->count <= LISTED_ALL))
        diag_hint(c->diag, "%s: %s", u->list, listed(c, last_part(u->word), u->names));
}

void check_not_supported(struct check *c, struct span where, const struct unknown *u)
{
    diag_error(c->diag, DIAG_not_supported, where, "'%s' is not supported by this version", u->word);
    if (suggest_foreign(c, u) == NO_ANSWER && u->list && u->names->count)
        diag_hint(c->diag, "%s: %s", u->list, listed(c, u->word, u->names));
}

const char *check_surely(const struct unknown *u, bool nearest)
{
    const struct foreign *f = foreign_find(NULL, u->place, u->owner ? u->owner : "", u->word);

    for (int i = 0; i < u->names->count; i++)
        if (diag_distance(last_part(u->word), u->names->items[i]) == 0)
            return u->names->items[i];
    if (!f && nearest)
        return diag_nearest(last_part(u->word), u->names->items, u->names->count);
    return f && f->kind == FOREIGN_NAME && among(f->text, u->names->items, u->names->count) ? f->text : NULL;
}

bool check_too_many(struct check *c, bool *reported, int count, int most, struct span where, const char *what)
{
    if (count < most)
        return false;
    if (!*reported)
        diag_error(c->diag, DIAG_too_big, where, "at most %d %s are supported", most, what);
    *reported = true;
    return true;
}

/* ---- names of the user's --------------------------------------------------------------------- */

bool check_own_name(struct check *c, struct span where, const char *name)
{
    if (!strchr(name, '.'))
        return true;
    diag_error(c->diag, DIAG_bad_name, where, "a name of one's own has letters, digits and '_', no '.'");
    return false;
}

void check_name_spoil(struct check *c, const char *name)
{
    table_put(c->names_spoilt, name, c);
}

bool check_name_spoilt(const struct check *c, const char *name)
{
    return table_get(c->names_spoilt, name) != NULL;
}

/* `activation r(x) = if x`; `as mix`, behind a body that was read. */
void check_spoil_declared(struct check *c, struct span where)
{
    static const char *const words[] = {"block", "const", "metric", "loss", "activation", "as", NULL};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    const char *text = where.file ? where.file->text + where.begin : "";
    size_t length = strspn(text, letters), blanks = strspn(text + length, " \t");

    if (!blanks || !word_in(arena_string(c->arena, text, length), words))
        return;
    text += length + blanks;
    check_name_spoil(c, arena_string(c->arena, text, strspn(text, letters)));
}

/* ---- words in quotes, values after '=' ------------------------------------------------------- */

static bool is_plain_word(const char *text)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    return *text && (*text < '0' || *text > '9') && strspn(text, letters) == strlen(text);
}

const struct ast_expr *check_unquoted(struct check *c, const struct ast_expr *e)
{
    if (e->kind != AST_STRING || !is_plain_word(e->text))
        return e;
    if (e->number == 0) {               /* else the scanner has said it */
        diag_error(c->diag, DIAG_foreign_quotes, e->where, "a word stands without quotes here");
        diag_hint(c->diag, "write: %s", e->text);
    }
    struct ast_expr *word = arena_alloc(c->arena, sizeof *word);
    *word = *e;
    word->kind = AST_NAME;
    word->word = e->where;
    if (!strcmp(e->text, "on") || !strcmp(e->text, "off")) {
        word->kind = AST_SWITCH;
        word->number = e->text[1] == 'n';
    }
    return word;
}

const struct ast_statement *check_assigned(struct check *c, const struct ast_statement *s, bool known,
                                           enum foreign_place place)
{
    const char *value = check_source_text(c, s->value->where);

    if (!known && !foreign_find(NULL, place, "", s->word)) {
        diag_error(c->diag, DIAG_bare_assignment, s->where, "a value needs the word 'const' before its name");
        diag_hint(c->diag, "write: const %s = %s", s->word, value ? value : "...");
        check_constant_add(c, s);
        return NULL;
    }
    if (known) {                        /* else it is reported as a word that is unknown here */
        diag_error(c->diag, DIAG_bare_assignment, s->where, "'%s' takes what follows it without '='", s->word);
        if (s->value->kind == AST_STRING && is_plain_word(s->value->text))
            value = s->value->text;
        diag_hint(c->diag, "write: %s %s", s->word, value ? value : "...");
    }
    struct ast_statement *command = arena_alloc(c->arena, sizeof *command);
    *command = *s;
    command->kind = AST_COMMAND;
    command->value = NULL;
    struct ast_arg *arg = ast_arg_new(c->arena, s->value->where, NULL, (struct span){0}, s->value);
    command->args = ast_args_add((struct ast_args){0}, arg);
    return command;
}
