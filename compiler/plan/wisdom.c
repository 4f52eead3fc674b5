/* wisdom.c - see wisdom.h. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "plan/wisdom.h"
#include "common/printable.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif

#define MAGIC "cnnc-wisdom "
#define FIRST_LINE MAGIC "1\n"

enum {
    LINE_MOST = 1000,
    WORDS = 8,
    DAMAGED_SHOWN = 5,
    THREADS_MOST = 4096
};

static const int64_t time_most = INT64_C(1000000000000000);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool cannot(const char *what, const char *path)
{
    rt_print_line(stderr, "cnnc: cannot %s the wisdom %s: %s", what, path, strerror(errno));
    return false;
}

/* The next line with its newline, zero-terminated.  Of one that is too long LINE_MOST characters are kept.  Its length,
 * 0 at the end of the file. */
static size_t read_line(FILE *in, char line[LINE_MOST + 1])
{
    size_t length = 0;
    for (int c; (c = getc(in)) != EOF;) {
        if (length < LINE_MOST)
            line[length++] = (char)c;
        if (c == '\n')
            break;
    }
    line[length] = '\0';
    return length;
}

/* A whole number above zero in decimal digits alone; 0: it is none, or too large. */
static int64_t whole_number(const char *text, int64_t most)
{
    int64_t value = 0;
    for (; *text >= '0' && *text <= '9' && value <= most; text++)
        value = value * 10 + (*text - '0');
    return *text || value > most ? 0 : value;
}

/* What is wrong with a line, or NULL; then *entry is what it says. */
static const char *parse_entry(struct arena *a, const char *line, size_t length, struct wisdom_entry *entry)
{
    char *words[WORDS];
    int count = 0;

    if (line[length - 1] != '\n')
        return length == LINE_MOST ? "it is too long" : "its end is missing";
    if (strlen(line) != length)
        return "it holds a zero byte";
    char *copy = arena_string(a, line, length - 1), *rest = copy;
    for (char *word; (word = strsep(&rest, " ")); count++) {
        if (count == WORDS || !*word)
            return "expected eight words with one blank between them";
        words[count] = word;
    }
    if (count != WORDS)
        return "expected eight words with one blank between them";
    if (!whole_number(words[3], THREADS_MOST) || !whole_number(words[4], INT32_MAX))
        return "expected numbers of threads and of samples as fourth and fifth word";
    entry->nanoseconds = whole_number(words[WORDS - 1], time_most);
    if (!entry->nanoseconds)
        return "expected a whole number of nanoseconds as last word";
    entry->name = arena_string(a, line, (size_t)(words[WORDS - 1] - copy) - 1);
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    const struct wisdom_entry *x = a, *y = b;
    int names = strcmp(x->name, y->name);
    return names ? names : (x->order > y->order) - (x->order < y->order);
}

/* Sorted by name; of equal names the last one given stays. */
static void tidy(struct wisdom *w)
{
    int kept = 0;
    for (int i = 0; i < w->entries_count; i++)
        w->entries[i].order = i;
    if (w->entries_count)
        qsort(w->entries, (size_t)w->entries_count, sizeof *w->entries, compare_names);
    for (int i = 0; i < w->entries_count; i++)
        if (i + 1 == w->entries_count || strcmp(w->entries[i].name, w->entries[i + 1].name))
            w->entries[kept++] = w->entries[i];
    w->entries_count = kept;
}

/* Whether the first line is that of a file of this format. */
static bool is_wisdom(const char *line, const char *path)
{
    if (!strcmp(line, FIRST_LINE))
        return true;
    size_t length = strlen(FIRST_LINE) - 1;
    if (!strncmp(line, FIRST_LINE, length) && !strcmp(line + length, "\r\n"))
        rt_print_line(stderr, "%s:1: error: lines of this wisdom end in CR LF; expected LF alone", path);
    else if (strncmp(line, MAGIC, strlen(MAGIC)))
        rt_print_line(stderr, "%s:1: error: this is no wisdom: the first line would be '%.*s'", path,
                (int)strlen(FIRST_LINE) - 1, FIRST_LINE);
    else
        rt_print_line(stderr, "%s:1: error: this wisdom has another format than '%.*s'", path,
                (int)strlen(FIRST_LINE) - 1, FIRST_LINE);
    return false;
}

static bool read_entries(struct arena *a, struct wisdom *w, FILE *in)
{
    char line[LINE_MOST + 1];
    size_t length = read_line(in, line);
    int damaged = 0;

    if (length && !is_wisdom(line, w->path))
        return false;
    for (int number = 2; (length = read_line(in, line)) > 0; number++) {
        struct wisdom_entry entry = { 0 };
        if (*line == '#' || *line == '\n')
            continue;
        const char *wrong = parse_entry(a, line, length, &entry);
        if (!wrong)
            LIST_ADD(a, w->entries, w->entries_count, w->entries_capacity, entry);
        else if (damaged++ < DAMAGED_SHOWN)
            rt_print_line(stderr, "%s:%d: warning: damaged line left out: %s", w->path, number, wrong);
    }
    if (damaged > DAMAGED_SHOWN)
        rt_print_line(stderr, "%s: warning: %d more damaged lines left out", w->path, damaged - DAMAGED_SHOWN);
    tidy(w);
    return true;
}

struct wisdom *wisdom_read(struct arena *a, const char *path, bool may_miss)
{
    struct wisdom *w = arena_alloc(a, sizeof *w);
    FILE *in = source_open_stream(path);

    w->path = path;
    if (!in && errno == ENOENT && may_miss)
        return w;
    if (!in) {
        cannot("read", path);
        return NULL;
    }
    bool fine = read_entries(a, w, in);
    if (fine && ferror(in))
        fine = cannot("read", path);
    fclose(in);
    return fine ? w : NULL;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

const char *wisdom_entry_name(struct arena *a, const struct plan *p, int threads, const char *key, const char *kernel)
{
    return arena_printf(a, PACKAGE_VERSION " %s %s %d %d %s %s", p->target->name, p->precision, threads, p->batch, key,
                        kernel);
}

/* Of a measurement that is not at its end, or of its noise: no kernel's time. */
static bool is_beside(const char *name)
{
    const char *kernel = strrchr(name, ' ');
    return kernel && strchr(kernel, '@');
}

bool wisdom_use(struct wisdom *w, const char *target, const char *precision, int threads)
{
    char before[100];
    int most = 0;
    int length = snprintf(before, sizeof before, PACKAGE_VERSION " %s %s ", target, precision);

    for (int i = 0; i < w->entries_count; i++) {
        int here = 0;
        if (!strncmp(w->entries[i].name, before, (size_t)length) && !is_beside(w->entries[i].name))
            here = atoi(w->entries[i].name + length);
        if (here > most && (!threads || here == threads))
            most = here;
    }
    w->threads = threads ? threads : most;
    return most > 0;
}

double wisdom_find(const struct wisdom *w, const struct plan *p, const char *key, const char *kernel)
{
    return wisdom_time(w, wisdom_entry_name(p->arena, p, w->threads, key, kernel));
}

double wisdom_time(const struct wisdom *w, const char *name)
{
    int low = 0, high = w->entries_count;

    while (low < high) {
        int middle = low + (high - low) / 2, order = strcmp(name, w->entries[middle].name);
        if (!order)
            return (double)w->entries[middle].nanoseconds;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

/* "128x31x31", "512"; parameters as they are in files: "w128x64x3x3". */
static const char *tensor_word(struct arena *a, const struct tensor *t)
{
    const struct param *m = t->param;
    if (!m && (t->shape.flat || (t->shape.h == 1 && t->shape.w == 1)))
        return arena_printf(a, "%d", t->shape.c);
    if (!m)
        return arena_printf(a, "%dx%dx%d", t->shape.c, t->shape.h, t->shape.w);
    return arena_printf(a, "w%s", param_shape_text(a, m, "x"));
}

static const char *tensor_words(struct arena *a, struct tensor *const *list, int count)
{
    const char *text = "";
    for (int i = 0; i < count; i++)
        if (list[i])
            text = arena_printf(a, "%s%s%s", text, *text ? "," : "", tensor_word(a, list[i]));
    return text;
}

static bool has_param(struct tensor *const *list, int count)
{
    for (int i = 0; i < count; i++)
        if (list[i] && list[i]->param)
            return true;
    return false;
}

/* The size of filters is that of the weights. */
static const char *window_words(struct arena *a, const struct node *n)
{
    const struct window *w = &n->attr.window;
    const char *text = "";
    if (!w->kh)
        return text;
    if (!has_param(n->in, n->in_count) && !has_param(n->out, n->out_count))
        text = arena_printf(a, ",window=%dx%d", w->kh, w->kw);
    if (w->stride_h != 1 || w->stride_w != 1)
        text = arena_printf(a, "%s,stride=%dx%d", text, w->stride_h, w->stride_w);
    if (w->dilation_h != 1 || w->dilation_w != 1)
        text = arena_printf(a, "%s,dilation=%dx%d", text, w->dilation_h, w->dilation_w);
    if (w->pad_top || w->pad_bottom || w->pad_left || w->pad_right)
        text = arena_printf(a, "%s,padding=%d/%d/%d/%d", text, w->pad_top, w->pad_bottom, w->pad_left, w->pad_right);
    return text;
}

/* A key is one word. */
static const char *attribute_words(struct arena *a, const struct node *n)
{
    char *text = arena_printf(a, "%s", attributes_text(a, &n->attr, op_attributes(n->op) & ~(unsigned)HAS_window));
    for (char *at = text; *at; at++)
        if (*at == ' ')
            *at = ',';
    return arena_printf(a, "%s%s", window_words(a, n), text);
}

static const char *link_word(struct arena *a, const struct node *n)
{
    if (n->op == OP_activation || n->op == OP_activation_grad)
        return arena_printf(a, "%s%s", activation_word(n->attr.activation), n->op == OP_activation_grad ? "_grad" : "");
    if ((n->op == OP_add || n->op == OP_multiply) && shape_elements(n->in[0]->shape) != shape_elements(n->in[1]->shape))
        return n->op == OP_add ? "add_spread" : "multiply_spread";
    return op_name(n->op);
}

const char *wisdom_key(const struct plan *p, const struct group *g)
{
    const struct node *n = g->main;
    struct arena *a = p->arena;
    const char *text = arena_printf(a, "%s(%s>%s%s)", op_name(n->op), tensor_words(a, n->in, n->in_count),
                                    tensor_words(a, n->out, n->out_count), attribute_words(a, n));
    for (int i = 0; i < g->followers_count; i++)
        text = arena_printf(a, "%s+%s", text, link_word(a, g->chain[i]));
    return g->companion ? arena_printf(a, "%s&%s", text, op_name(g->companion->op)) : text;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

const char *wisdom_cache_path(struct arena *a)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/')
        return arena_printf(a, "%s/cnnc/wisdom", cache);
    if (home && *home)
        return arena_printf(a, "%s/.cache/cnnc/wisdom", home);
    fputs("cnnc: no place for wisdom: neither XDG_CACHE_HOME nor HOME is set; say --wisdom=FILE\n", stderr);
    return NULL;
}

/* The folders above a path; those that are missing are for the user alone, as the XDG specification asks. */
static bool make_folders(struct arena *a, const char *path)
{
    char *folder = arena_string(a, path, strlen(path));
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0700) && errno != EEXIST)
            return cannot("make a folder for", path);
        *slash = '/';
    }
    return true;
}

/* Opens the file and waits until nobody else holds it.  Whoever held it may have put another file in its place. */
static int open_locked(const char *path)
{
    for (;;) {
        struct stat here, there;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            return -1;
        int locked;
        while ((locked = flock(fd, LOCK_EX)) && errno == EINTR)
            continue;
        if (locked || fstat(fd, &here)) {
            close(fd);
            return -1;
        }
        if (!stat(path, &there) && here.st_dev == there.st_dev && here.st_ino == there.st_ino)
            return fd;
        close(fd);
    }
}

bool wisdom_writable(struct arena *a, const char *path, bool with_folders)
{
    char *folder = arena_string(a, path, strlen(path)), *slash = strrchr(folder, '/');
    if (with_folders && !make_folders(a, path))
        return false;
    int fd = open_locked(path);
    if (fd < 0)
        return cannot("write", path);
    close(fd);
    if (slash)
        slash[slash == folder] = '\0';
    return !access(slash ? folder : ".", W_OK | X_OK) || cannot("write", path);
}

void wisdom_forget_empty(const char *path)
{
    struct stat there;
    int fd = open_locked(path);
    if (fd < 0)
        return;
    if (!fstat(fd, &there) && there.st_size == 0)
        unlink(path);
    close(fd);
}

static bool write_entries(const struct wisdom *w, FILE *out)
{
    fputs(FIRST_LINE
          "# What kernels took on this machine: cnnc --tune wrote it, cnnc --wisdom reads it.\n"
          "# version target real threads batch task kernel nanoseconds\n", out);
    for (int i = 0; i < w->entries_count; i++)
        fprintf(out, "%s %" PRId64 "\n", w->entries[i].name, w->entries[i].nanoseconds);
    return !fflush(out) && !ferror(out) && !fsync(fileno(out));
}

/* With the file's own rights. */
static bool replace(struct arena *a, const struct wisdom *w, int fd)
{
    char *temporary = arena_printf(a, "%s.XXXXXX", w->path);
    struct stat rights;
    int new = mkstemp(temporary);
    if (new < 0)
        return false;
    FILE *out = fdopen(new, "w");
    bool fine = out && !fstat(fd, &rights) && !fchmod(new, rights.st_mode & 0777) && write_entries(w, out);
    int error = errno;
    if ((out ? fclose(out) : close(new)) && fine) {
        error = errno;
        fine = false;
    }
    if (fine && !rename(temporary, w->path))
        return true;
    error = fine ? errno : error;
    unlink(temporary);
    errno = error;
    return false;
}

/* Entries that were added to go. */
static void forget(struct wisdom *w)
{
    int kept = 0;
    for (int i = 0; i < w->entries_count; i++)
        if (w->entries[i].nanoseconds)
            w->entries[kept++] = w->entries[i];
    w->entries_count = kept;
}

struct wisdom *wisdom_with(struct arena *a, const struct wisdom *w, const struct wisdom_entry *added, int count)
{
    struct wisdom *both = arena_alloc(a, sizeof *both);
    *both = (struct wisdom){ .path = w->path, .threads = w->threads };
    for (int i = 0; i < w->entries_count; i++)
        LIST_ADD(a, both->entries, both->entries_count, both->entries_capacity, w->entries[i]);
    for (int i = 0; i < count; i++)
        LIST_ADD(a, both->entries, both->entries_count, both->entries_capacity, added[i]);
    tidy(both);
    forget(both);
    return both;
}

bool wisdom_add(struct arena *a, const char *path, const struct wisdom_entry *added, int count)
{
    char *real = realpath(path, NULL);          /* a link stays a link */
    if (real) {
        path = arena_string(a, real, strlen(real));
        free(real);
    }
    int fd = open_locked(path);
    if (fd < 0)
        return cannot("write", path);
    struct wisdom *w = wisdom_read(a, path, true);
    bool fine = w && (replace(a, wisdom_with(a, w, added, count), fd) || cannot("write", path));
    close(fd);
    return fine;
}
