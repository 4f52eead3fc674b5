/* model.c - looking into a checked model, see model.h. */
#include "model/model.h"
#include "base/text.h"

#include <assert.h>
#include <string.h>

int64_t shape_elements(struct shape s)
{
    return (int64_t)s.c * s.h * s.w;
}

const struct arg_value *clause_arg(const struct clause *c, const char *name)
{
    for (int i = 0; c->def->args[i].name; i++)
        if (!strcmp(c->def->args[i].name, name))
            return &c->args[i];
    assert(!"the clause's definition has no argument of that name");
    return NULL;
}

const char *layer_place_text(struct arena *a, const struct model *m, const struct layer *l)
{
    if (!l->where.file)
        return "line 0";
    const char *path = l->where.file->path, *slash = strrchr(path, '/');
    int line = source_place(l->where.file, l->where.begin).line;
    /* no folder: what is emitted does not depend on where the model lies */
    return l->where.file == m->source ? arena_printf(a, "line %d", line)
                                      : arena_printf(a, "line %d of %s", line, slash ? slash + 1 : path);
}

bool layer_is_in_block(const struct layer *l, const char *block)
{
    size_t length = strlen(block);

    return !strncmp(l->name, block, length) && l->name[length] == '.';
}

double clause_number(const struct clause *c, const char *name)
{
    return clause_arg(c, name)->number;
}

int64_t clause_int(const struct clause *c, const char *name)
{
    return (int64_t)clause_arg(c, name)->number;
}

const char *clause_text(const struct clause *c, const char *name)
{
    return clause_arg(c, name)->text;
}

/* What an argument is where it is not given. */
static struct arg_value default_value(const struct arg_def *def)
{
    struct arg_value v = { .number = def->default_number };

    if (def->type == ARG_EXTENT2 || def->type == ARG_EXTENT3)
        for (int i = 0; i < 3; i++)
            v.dims[i] = (int64_t)def->default_number;
    if (def->type != ARG_INIT && def->type != ARG_ACTIVATION)
        v.text = def->default_text;
    return v;
}

void clause_fill_defaults(struct clause *c)
{
    for (int i = 0; c->def->args[i].name; i++) {
        const struct arg_def *def = &c->def->args[i];
        if (c->args[i].given)
            continue;
        c->args[i] = def->default_of ? *clause_arg(c, def->default_of) : default_value(def);
        c->args[i].given = false;
        c->args[i].where = (struct span){ 0 };
    }
}

const char *layer_inputs(struct arena *a, const struct layer *l)
{
    struct text text = {.arena = a};

    for (int i = 0; i < l->inputs_count; i++)
        text_add(&text, "%s%s", i ? ", " : "", l->inputs[i]->name);
    return text_of(&text);
}

bool layer_follows(const struct layer *l)
{
    return l->inputs_count == 0 || (l->inputs_count == 1 && l->inputs[0]->index == l->index - 1);
}
