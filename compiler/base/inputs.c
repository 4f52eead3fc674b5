/* inputs.c - see inputs.h. */
#include "base/inputs.h"

#include <string.h>
#include <sys/stat.h>

void inputs_add(struct inputs *in, const char *path, const char *what)
{
    struct stat st;
    struct input new = { .path = path, .what = what, .known = stat(path, &st) == 0 };

    for (int i = 0; i < in->count; i++)
        if (!strcmp(in->list[i].path, path))
            return;
    if (new.known) {
        new.device = st.st_dev;
        new.inode = st.st_ino;
    }
    LIST_ADD(in->arena, in->list, in->count, in->capacity, new);
}

const struct input *inputs_find(const struct inputs *in, const char *path)
{
    struct stat st;

    if (stat(path, &st))
        return NULL;
    for (int i = 0; i < in->count; i++)
        if (in->list[i].known && in->list[i].device == st.st_dev && in->list[i].inode == st.st_ino)
            return &in->list[i];
    return NULL;
}

/* A name as make reads it. */
static void put_name(const char *name, FILE *out)
{
    for (; *name; name++) {
        if (*name == '$')
            putc('$', out);
        else if (strchr(" \t#:%", *name))
            putc('\\', out);
        putc(*name, out);
    }
}

void inputs_depfile(const struct inputs *in, const char *const *targets, int targets_count, FILE *out)
{
    for (int i = 0; i < targets_count; i++) {
        if (i)
            putc(' ', out);
        put_name(targets[i], out);
    }
    putc(':', out);
    for (int i = 0; i < in->count; i++) {
        fputs(" \\\n  ", out);
        put_name(in->list[i].path, out);
    }
    putc('\n', out);
    /* without these make would stop at an included file that has gone, and not come to see that nothing includes it */
    for (int i = 0; i < in->count; i++) {
        putc('\n', out);
        put_name(in->list[i].path, out);
        fputs(":\n", out);
    }
}
