/* clause.c - small helpers on clauses and shapes that printing and checking share, see model.h. */
#include "model/model.h"

#include <stdio.h>

int clause_def_count(const struct clause_def *def)
{
    int count = 0;

    while (def->args[count].name)
        count++;
    return count;
}

struct shape_text shape_text(struct shape s)
{
    struct shape_text t;

    if (s.flat)
        snprintf(t.text, sizeof t.text, "%d", s.c);
    else
        snprintf(t.text, sizeof t.text, "%dx%dx%d", s.c, s.h, s.w);
    return t;
}
