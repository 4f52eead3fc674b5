/* model.c - looking into a checked model, see model.h. */
#include "model/model.h"

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
