/* output.c - see output.h. */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "printable.h"

struct output {
    const char *path;
    char *temporary;            /* NULL: written in place, since path is no ordinary file */
    FILE *file;
};

static bool output_failed(const char *path)
{
    rt_print_line(stderr, "cnnc: cannot write %s: %s", path, strerror(errno));
    return false;
}

/* mkstemp makes the file for its owner alone; an output has the rights that the user's umask
 * leaves. */
static void usual_rights(int fd)
{
    mode_t mask = umask(0);

    umask(mask);
    if (fchmod(fd, 0666 & ~mask))
        return;                                 /* a file system without rights: nothing to do */
}

static bool output_open(struct arena *a, struct output *o, const char *path)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    int directory = slash ? (int)(slash - path) + 1 : 0;

    o->path = path;
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
        o->file = fopen(path, "w");
        return o->file || output_failed(path);
    }
    o->temporary = arena_printf(a, "%.*s.%s.XXXXXX", directory, path, path + directory);
    int fd = mkstemp(o->temporary);
    if (fd < 0) {
        o->temporary = NULL;
        return output_failed(path);
    }
    usual_rights(fd);
    o->file = fdopen(fd, "w");
    if (!o->file)
        close(fd);
    return o->file || output_failed(path);
}

static bool output_close(struct output *o)
{
    bool bad = ferror(o->file);

    if (fclose(o->file))
        bad = true;
    o->file = NULL;
    return !bad || output_failed(o->path);
}

static bool output_rename(struct output *o)
{
    if (!o->temporary)          /* written in place, or not at all */
        return true;
    if (rename(o->temporary, o->path))
        return output_failed(o->path);
    o->temporary = NULL;
    return true;
}

static void output_drop(struct output *o)
{
    if (o->file)
        fclose(o->file);
    if (o->temporary)
        unlink(o->temporary);
}

/* The C file includes its header by the model's name. */
static const char *header_path(struct arena *a, const char *path, const struct plan *p)
{
    const char *slash = strrchr(path, '/');

    return arena_printf(a, "%.*s%s.h", slash ? (int)(slash - path) + 1 : 0, path, p->model->name);
}

int output_write(struct arena *a, const char *path, const struct plan *p)
{
    struct output source = {0}, header = {0};

    if (!strcmp(path, "-")) {
        emit_source(p, stdout);
        return EXIT_FINE;
    }
    bool fine = output_open(a, &source, path);
    bool wants_header = source.temporary != NULL;       /* nothing lies beside a pipe or a device */
    fine = fine && (!wants_header || output_open(a, &header, header_path(a, path, p)));
    if (fine) {
        emit_source(p, source.file);
        if (wants_header)
            emit_header(p, header.file);
        fine = output_close(&source);
        fine = (!wants_header || output_close(&header)) && fine;
    }
    fine = fine && output_rename(&header) && output_rename(&source);
    output_drop(&source);
    output_drop(&header);
    return fine ? EXIT_FINE : EXIT_FAILED;
}

int output_write_parts(struct arena *a, const struct output_part *parts, int count)
{
    struct output *outputs = arena_array(a, (size_t)count, sizeof *outputs);
    bool fine = true;

    for (int i = 0; i < count && fine; i++)
        fine = output_open(a, &outputs[i], parts[i].path);
    for (int i = 0; i < count && fine; i++) {
        parts[i].write(parts[i].what, outputs[i].file);
        fine = output_close(&outputs[i]);
    }
    for (int i = 0; i < count && fine; i++)
        fine = output_rename(&outputs[i]);
    for (int i = 0; i < count; i++)
        output_drop(&outputs[i]);
    return fine ? EXIT_FINE : EXIT_FAILED;
}

bool output_is_input(const char *output, const char *input)
{
    struct stat a, b;

    return output && !stat(output, &a) && !stat(input, &b) && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}
