/* emit_files.c - the files of a trainer. */
#include "base/output.h"
#include "base/text.h"
#include "emit/emit.h"

struct trainer {
    const struct plan *plan;
    const char *file, *header;  /* what they call each other; NULL: there is no header */
};

static void write_source(const void *what, FILE *out)
{
    const struct trainer *t = what;

    emit_source(t->plan, t->header, out);
}

static void write_header(const void *what, FILE *out)
{
    const struct trainer *t = what;

    emit_header(t->plan, t->header, t->file, out);
}

int emit_files(struct arena *a, const char *path, const struct plan *p, const char *depfile, const struct inputs *in)
{
    const char *header = output_beside(a, path, ".h");
    const struct trainer trainer = { p, text_basename(path), text_basename(header) };
    const struct output_part parts[] = {
        { header, arena_printf(a, "the header of %s", path), write_header, &trainer },
        { path, NULL, write_source, &trainer },
    };

    if (output_is_stream(path)) {
        const struct trainer alone = { .plan = p };
        return output_write_stream(&(struct output_part){ path, NULL, write_source, &alone });
    }
    return output_write_parts(a, parts, 2, depfile, in);
}
