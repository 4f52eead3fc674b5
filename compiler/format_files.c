/* format_files.c - see format_files.h.
 *
 * Each file stands for itself: one that cannot be read or has errors is reported and left as it is, and the others are
 * dealt with all the same. */
#include "format_files.h"

#include <errno.h>
#include <string.h>

#include "base/diag.h"
#include "common/printable.h"
#include "syntax/format.h"

static bool is_stdin(const char *path)
{
    return !strcmp(path, "-");
}

/* What becomes of the formatted text. */
static int deliver(const struct options *o, struct arena *a, const struct source *source, const char *text)
{
    size_t size = strlen(text);
    bool same = size == source->size && !memcmp(text, source->text, size);

    if (o->format == FORMAT_CHECK) {
        if (!same)
            rt_print_line(stdout, "%s", source->path);
        return same ? EXIT_FINE : EXIT_FAILED;
    }
    if (o->in_place)
        return same || output_replace(a, source->path, text, size) ? EXIT_FINE : EXIT_FAILED;
    fwrite(text, 1, size, stdout);
    return EXIT_FINE;
}

static int format_file(const struct options *o, const char *path)
{
    struct arena a = {0};
    struct diag *d = diag_new(&a);
    int status = EXIT_FAILED;
    const struct source *source =
        is_stdin(path) ? source_read_stream(&a, "standard input", stdin) : source_read(&a, path);
    int problem = errno;
    const char *text = source ? format_source(&a, source, d) : NULL;

    if (!source)
        diag_error(d, DIAG_cannot_read, (struct span){0}, "cannot read %s: %s",
                   is_stdin(path) ? "standard input" : path, source_problem(problem));
    else if (text)
        status = deliver(o, &a, source, text);
    else if (!diag_errors(d))
        rt_print_line(stderr, "cnnc: internal error: %s would say something else when formatted, and is left as it is",
                      source->path);
    fflush(stdout);
    diag_print(d, stderr);
    arena_free(&a);
    return status;
}

int format_files(const struct options *o)
{
    static const char *const standard_input[] = {"-"};
    const char *const *files = o->files_count ? o->files : standard_input;
    int count = o->files_count ? o->files_count : 1, status = EXIT_FINE;

    for (int i = 0; i < count; i++)
        if (format_file(o, files[i]) != EXIT_FINE)
            status = EXIT_FAILED;
    if (fflush(stdout) || ferror(stdout)) {
        rt_print_line(stderr, "cnnc: cannot write to standard output: %s", strerror(errno));
        status = EXIT_FAILED;
    }
    return status;
}
