/* check_scope.c - names of layers: what a layer is called in full, behind the names of the blocks that it stands in,
 * and which names can be said where.
 *
 * `conv1` in a use `as layer1` in a repeat's first round is "layer1.0.conv1"; within the block it is said `conv1`, and
 * behind its use in the same round `layer1.conv1`.  A block sees the names that are given within it and those that it
 * is given as arguments, so that it means the same wherever it is used. */
#include "check/check_parts.h"

#include <string.h>

const char *check_full_name(struct check *c, const char *name)
{
    return arena_printf(c->arena, "%s%s%s", c->naming.prefix, name, c->naming.rounds);
}

/* A name that a block gave when it was used before: that is a matter of its use. */
static void given_again(struct check *c, const char *full, struct span where)
{
    if (!c->naming.again) {
        diag_error_within(c->diag, c->naming.used_within, DIAG_duplicate_name, c->naming.use->word_where,
                          "this use of '%s' gives the name '%s' a second time", c->naming.use->word, full);
        diag_note(c->diag, where, "it is given here");
        diag_hint(c->diag, "uses that have a name put it before those within: %s ... as second", c->naming.use->word);
    }
    c->naming.again = true;
}

static bool same_place(struct span a, struct span b)
{
    return a.file == b.file && a.begin == b.begin;
}

bool check_name_take(struct check *c, const char *full, struct span where)
{
    struct span *other = table_get(&c->places_of_names, full);

    if (strlen(full) > NAME_LONGEST && !c->stopped) {
        diag_error(c->diag, DIAG_too_big, where,
                   "with the names of the blocks around it this is called %.20s..., which has "
                   "more than %d characters", full, NAME_LONGEST);
        c->stopped = c->broken = true;
    }
    if (!other) {
        struct span *kept = arena_alloc(c->arena, sizeof *kept);
        *kept = where;
        table_put(&c->places_of_names, full, kept);
        return true;
    }
    if (c->other_arm)
        return true;
    if (c->naming.use && same_place(*other, where)) {
        given_again(c, full, where);
    } else if (c->clash.file == NULL || !same_place(c->clash, where)) {         /* once for all rounds of a repeat */
        c->clash = where;
        diag_error(c->diag, DIAG_duplicate_name, where, "two layers are called '%s'", full);
        diag_note(c->diag, *other, "the other one is here");
    }
    return false;
}

const char *check_layer_called(const struct layer *l)
{
    return l->as ? l->as : l->within ? l->def->clause.name : l->name;
}

/* ---- names that can be said ------------------------------------------------------------------ */

void check_name_see(struct check *c, const char *full, struct layer *layer)
{
    struct seen_name *seen = arena_alloc(c->arena, sizeof *seen);

    *seen = (struct seen_name){full, layer, c->seen_count};
    LIST_ADD(c->arena, c->seen, c->seen_count, c->seen_capacity, seen);
    table_put(&c->seen_by_name, full, seen);
}

void check_names_forget(struct check *c, int count)
{
    while (c->seen_count > count)
        table_put(&c->seen_by_name, c->seen[--c->seen_count]->name, NULL);
}

static struct layer *seen_in_full(struct check *c, const char *full)
{
    const struct seen_name *seen = table_get(&c->seen_by_name, full);

    return seen && seen->number >= c->naming.first_seen ? seen->layer : NULL;
}

/* In this round of the repeats around, or before the innermost ones of them. */
struct layer *check_name_seen(struct check *c, const char *name)
{
    const char *prefix = c->naming.prefix, *rounds = c->naming.rounds;
    int first = (int)strcspn(name, "."), length = (int)strlen(rounds);
    struct layer *found = NULL;

    for (;;) {
        found = seen_in_full(c, arena_printf(c->arena, "%s%.*s%.*s%s", prefix, first, name, length, rounds,
                                             name + first));
        if (!found && name[first])
            found = seen_in_full(c, arena_printf(c->arena, "%s%s%.*s", prefix, name, length, rounds));
        if (found || length == 0)
            return found;
        do
            length--;
        while (rounds[length] != '.');
    }
}

struct seen_range check_seen_here(const struct check *c)
{
    return (struct seen_range){c->naming.first_seen, c->seen_count, (int)strlen(c->naming.prefix)};
}

void names_add_seen(struct check *c, struct names *names, struct seen_range range)
{
    for (int i = range.to - 1; i >= range.from && check_suggests(c); i--)
        names_add(names, c->seen[i]->name + range.prefix);
}

/* ---- blocks by their names ------------------------------------------------------------------- */

void check_name_blocks(struct check *c, struct layer *l)
{
    for (const char *dot = strchr(l->name, '.'); dot; dot = strchr(dot + 1, '.')) {
        const char *name = arena_string(c->arena, l->name, (size_t)(dot - l->name));
        struct block_layers *block = table_get(&c->layers_by_block, name);
        if (!block) {
            block = arena_alloc(c->arena, sizeof *block);
            table_put(&c->layers_by_block, name, block);
        }
        LIST_ADD(c->arena, block->layers, block->count, block->capacity, l);
    }
}

/* A layer of a block that has nothing to train is as it is, so that nobody wonders why it would be said of it. */
void check_layer_train(struct layer *l, enum training training)
{
    bool has_weights = l->def->normalises || (l->def->parameters && l->def->parameters(l) > 0);

    if (!has_weights || training == TRAINS_ALL || !l->trainable)
        return;
    l->bias_only = training == TRAINS_BIASES;
    l->trainable = l->bias_only && (l->def->normalises || layer_trained(l) > 0);
    l->bias_only = l->trainable;
}
