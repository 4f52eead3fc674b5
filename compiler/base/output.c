/* output.c - see output.h. */
#define _GNU_SOURCE
#include "config.h"
#include "base/output.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "common/printable.h"

struct output {
    const struct output_part *part;
    const char *path;           /* with its links followed: a link stays one */
    char *temporary;            /* NULL: there is none, or not any more */
    FILE *file;
};

static bool output_failed(const char *path)
{
    rt_print_line(stderr, "cnnc: cannot write %s: %s", path, strerror(errno));
    return false;
}

/* ---- what a signal finds unfinished ------------------------------------------------------------------------------ */

enum { UNFINISHED_MOST = 8 };

static char *volatile unfinished[UNFINISHED_MOST];

static const int ending_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU };
enum { ENDING_SIGNALS = sizeof ending_signals / sizeof *ending_signals };

static void remove_unfinished(int signal)
{
    for (int i = 0; i < UNFINISHED_MOST; i++)
        if (unfinished[i])
            unlink(unfinished[i]);
    raise(signal);              /* again, with what it does by itself: SA_RESETHAND */
}

/* Where nobody else listens (--tune does, while its programs run) and nobody wants to hear nothing (nohup). */
static void listen_to_signals(void)
{
    struct sigaction action = { .sa_handler = remove_unfinished, .sa_flags = SA_RESETHAND }, before;

    for (int i = 0; i < ENDING_SIGNALS; i++)
        if (!sigaction(ending_signals[i], NULL, &before) && before.sa_handler == SIG_DFL)
            sigaction(ending_signals[i], &action, NULL);
}

static void note_unfinished(char *old, char *new)
{
    for (int i = 0; i < UNFINISHED_MOST; i++)
        if (unfinished[i] == old) {
            unfinished[i] = new;
            return;
        }
}

/* mkstemp(), so that no signal comes between the file and the note of it. */
static int temporary_make(char *name)
{
    sigset_t all, before;

    listen_to_signals();
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    int fd = mkstemp(name);
    if (fd >= 0)
        note_unfinished(NULL, name);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return fd;
}

/* ---- whose file it is -------------------------------------------------------------------------------------------- */

/* The first release had its name further back in the first comment. */
static bool made_by_first_release(char *text)
{
    static const char *const words[] = { ": a network compiled by cnnc ", ", made by cnnc ",
                                         " for programs of one's own: compile " };
    size_t n = 0;

    for (const char *from = text; *from; from++) {
        if (!strncmp(from, "\n *", 3))
            from += 2;                          /* the comment's next line */
        else
            text[n++] = *from;
    }
    text[n] = '\0';
    char *end = strstr(text, "*/");
    if (end)
        *end = '\0';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(text, "/* ", 3) && strstr(text, words[i]))
            return true;
    return false;
}

/* Whether path may be replaced: cnnc has made it, or nothing is in it. */
static bool may_replace(const char *path)
{
    char text[1024];
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    bool fine = !ferror(f);

    fclose(f);
    text[n] = '\0';
    return fine && (!n || !strncmp(text, "/* " OUTPUT_MARK " ", strlen("/* " OUTPUT_MARK " ")) ||
                    !strncmp(text, "# " OUTPUT_MARK " ", strlen("# " OUTPUT_MARK " ")) || made_by_first_release(text));
}

/* A header that would be found in the place of C's own, or of the runtime's, where its folder is searched first. */
static bool hides_header(const char *path)
{
    static const char *const names[] = {
        "assert.h",   "cblas.h",  "cnnrt.h",  "complex.h", "ctype.h",   "errno.h",  "fenv.h",   "float.h", "inttypes.h",
        "limits.h",   "locale.h", "math.h",   "omp.h",     "pthread.h", "sched.h",  "setjmp.h", "signal.h", "stdarg.h",
        "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h",  "stdlib.h", "string.h", "tgmath.h", "threads.h",
        "time.h",     "unistd.h", "wchar.h",
        "cnn_math.h", "cnn_optimizer.h", "cnn_random.h", "cnn_scalar.h", "cnn_vec.h"};
    const char *name = text_basename(path);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return !strncmp(name, "cnn_vec_", 8) && strstr(name, ".h");
}

/* What the C file includes is written in its text between quotes. */
static bool name_fits(const char *path)
{
    if (hides_header(path)) {
        fprintf(stderr, "cnnc: the header of this output would be called %s, as one that C or the runtime has: give -o "
                        "another name\n", text_basename(path));
        return false;
    }
    for (const char *c = text_basename(path); *c; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < 0x20 || *c == 0x7F) {
            fputs("cnnc: the name of an output must not have a quote, a backslash or a control character: the C file "
                  "includes its header by it\n", stderr);
            return false;
        }
    return true;
}

/* Nothing is lost by writing there.  The exit status, with a message. */
static int output_allowed(const struct output *o, const struct inputs *in)
{
    const char *role = o->part->role ? o->part->role : "";
    struct stat st;

    if (!name_fits(o->part->path))
        return EXIT_WRONG_USE;
    if (stat(o->path, &st))
        return EXIT_FINE;                       /* there is nothing yet */
    const struct input *lost = in ? inputs_find(in, o->path) : NULL;
    if (lost) {
        rt_print_line(stderr, "cnnc: %s%s%s would overwrite %s", *role ? role : "-o", *role ? ", " : " ", o->part->path,
                      lost->what);
        return EXIT_WRONG_USE;
    }
    if (S_ISREG(st.st_mode) && !may_replace(o->path)) {
        rt_print_line(stderr,
                      "cnnc: %s%s%s is there already and was not made by cnnc: move it away, or say another name "
                              "with -o", role, *role ? ", " : "", o->part->path);
        return EXIT_FAILED;
    }
    if (!S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EEXIST;
        output_failed(o->part->path);
        return EXIT_FAILED;
    }
    return EXIT_FINE;
}

/* ---- one file ---------------------------------------------------------------------------------------------------- */

static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (int)(slash - path) + 1 : 0;
}

/* Where a link leads, or one would that leads to nothing yet. */
static const char *follow_links(struct arena *a, const char *path)
{
    enum { LINKS_MOST = 40 };
    char to[PATH_MAX];

    for (int i = 0; i < LINKS_MOST; i++) {
        ssize_t length = readlink(path, to, sizeof to);
        if (length <= 0 || length == sizeof to)
            break;
        path = *to == '/' ? arena_string(a, to, (size_t)length)
                          : arena_printf(a, "%.*s%.*s", folder_length(path), path, (int)length, to);
    }
    return path;
}

/* mkstemp makes the file for its owner alone; an output has the rights that the user's umask leaves. */
static void usual_rights(int fd)
{
    mode_t mask = umask(0);

    umask(mask);
    if (fchmod(fd, 0666 & ~mask))
        return;                                 /* a file system without rights: nothing to do */
}

static bool output_open(struct arena *a, struct output *o)
{
    o->temporary = arena_printf(a, "%.*s.cnnc-XXXXXX", folder_length(o->path), o->path);
    int fd = temporary_make(o->temporary);
    if (fd < 0) {
        o->temporary = NULL;
        return output_failed(o->part->path);
    }
    usual_rights(fd);
    o->file = fdopen(fd, "w");
    if (!o->file)
        close(fd);
    return o->file || output_failed(o->part->path);
}

/* Writes and closes; errno is that of the first failure. */
static bool stream_write(const struct output_part *part, FILE *file)
{
    errno = 0;
    part->write(part->what, file);
    int problem = ferror(file) || fflush(file) ? (errno ? errno : EIO) : 0;
    if (file != stdout && fclose(file) && !problem)
        problem = errno;
    errno = problem;
    return !problem || output_failed(part->path);
}

static bool output_rename(struct output *o)
{
    if (rename(o->temporary, o->path))
        return output_failed(o->part->path);
    note_unfinished(o->temporary, NULL);
    o->temporary = NULL;
    return true;
}

static void output_drop(struct output *o)
{
    if (o->file)
        fclose(o->file);
    if (o->temporary) {
        unlink(o->temporary);
        note_unfinished(o->temporary, NULL);
    }
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

struct depfile {
    const struct inputs *in;
    const char **targets;
    int targets_count;
};

static void write_depfile(const void *what, FILE *out)
{
    const struct depfile *d = what;

    fputs("# " OUTPUT_MARK " " PACKAGE_VERSION ": what its output is made from, for make.\n", out);
    inputs_depfile(d->in, d->targets, d->targets_count, out);
}

/* Two names of one file. */
static bool outputs_differ(const struct output *outputs, int count)
{
    struct stat a, b;

    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(outputs[i].path, outputs[k].path) ||
                (!stat(outputs[i].path, &a) && !stat(outputs[k].path, &b) && a.st_dev == b.st_dev &&
                 a.st_ino == b.st_ino)) {
                rt_print_line(stderr, "cnnc: %s and %s are one file, and two are to be written", outputs[k].part->path,
                              outputs[i].part->path);
                return false;
            }
    return true;
}

static int write_all(struct arena *a, struct output *outputs, int count, const struct inputs *in)
{
    int status = outputs_differ(outputs, count) ? EXIT_FINE : EXIT_WRONG_USE;
    bool fine = true;

    for (int i = 0; i < count && status == EXIT_FINE; i++)
        status = output_allowed(&outputs[i], in);
    if (status != EXIT_FINE)
        return status;
    for (int i = 0; i < count && fine; i++)
        fine = output_open(a, &outputs[i]);
    for (int i = 0; i < count && fine; i++) {
        fine = stream_write(outputs[i].part, outputs[i].file);
        outputs[i].file = NULL;
    }
    for (int i = 0; i < count && fine; i++)
        fine = output_rename(&outputs[i]);
    for (int i = 0; i < count; i++)
        output_drop(&outputs[i]);
    return fine ? EXIT_FINE : EXIT_FAILED;
}

int output_write_parts(struct arena *a, const struct output_part *parts, int count, const char *depfile,
                       const struct inputs *in)
{
    struct output *outputs = arena_array(a, (size_t)count + 1, sizeof *outputs);
    struct depfile d = { .in = in, .targets = arena_array(a, (size_t)count, sizeof *d.targets),
                         .targets_count = count };
    struct output_part dependences = { depfile, "the depfile", write_depfile, &d };

    for (int i = 0; i < count; i++) {
        d.targets[i] = parts[count - 1 - i].path;       /* the C file, which comes last, first */
        outputs[depfile ? i + 1 : i].part = &parts[i];
    }
    if (depfile)
        outputs[0].part = &dependences;
    count += depfile != NULL;
    for (int i = 0; i < count; i++)
        outputs[i].path = follow_links(a, outputs[i].part->path);
    return write_all(a, outputs, count, in);
}

struct replacement {
    const char *text;
    size_t size;
};

static void write_replacement(const void *what, FILE *out)
{
    const struct replacement *r = what;

    fwrite(r->text, 1, r->size, out);
}

bool output_replace(struct arena *a, const char *path, const char *text, size_t size)
{
    struct replacement r = { text, size };
    struct output_part part = { path, NULL, write_replacement, &r };
    struct output o = { .part = &part, .path = follow_links(a, path) };
    struct stat st;

    /* a file that nobody may write is not written by way of its folder */
    if (access(o.path, W_OK) || stat(o.path, &st))
        return output_failed(path);
    bool fine = output_open(a, &o) && (!fchmod(fileno(o.file), st.st_mode & 07777) || output_failed(path));
    if (fine) {
        fine = stream_write(&part, o.file);
        o.file = NULL;
    }
    fine = fine && output_rename(&o);
    output_drop(&o);
    return fine;
}

/* /dev/stdout leads to the very file that the standard output was sent to: what is written there is written by that
 * stream, and no file takes its place. */
static bool is_standard_output(const char *path)
{
    return !strcmp(path, "-") || !strcmp(path, "/dev/stdout") || !strcmp(path, "/dev/fd/1") ||
           !strcmp(path, "/proc/self/fd/1");
}

bool output_is_stream(const char *path)
{
    struct stat st;

    return is_standard_output(path) || !strncmp(path, "/dev/fd/", 8) || !strcmp(path, "/dev/stderr") ||
           !strncmp(path, "/proc/self/fd/", 14) ||
           (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

const char *output_beside(struct arena *a, const char *path, const char *ending)
{
    size_t length = strlen(path);

    if (length > 2 && path[length - 3] != '/' && !strcmp(path + length - 2, ".c"))
        length -= 2;
    return arena_printf(a, "%.*s%s", (int)length, path, ending);
}

int output_write_stream(const struct output_part *part)
{
    FILE *file = is_standard_output(part->path) ? stdout : fopen(part->path, "w");

    if (!file)
        return output_failed(part->path), EXIT_FAILED;
    return stream_write(part, file) ? EXIT_FINE : EXIT_FAILED;
}
