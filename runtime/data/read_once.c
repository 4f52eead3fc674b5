/* read_once.c - the temporary file that several processes share: samples as records, one set behind the other, then
 * what is known of them.
 *
 * It has a name for as long as it takes the others to open it, before anything is in it: so nothing is left of it
 * however they end. */
#define _GNU_SOURCE
#include "data/read_once.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/message.h"
#include "core/regular_file.h"
#include "data/record_store.h"

enum { SETS = 3, PATH_ROOM = 1024 };

static const char about[] = "read its data";

/* What a process says of itself before anything is read. */
struct reader {
    uint64_t files;             /* which files they are; 0: not all are there */
    int32_t machine;
    char path[PATH_ROOM];       /* of the first one of those with the same files: the file that it shares; "": none */
};

/* What lies behind the samples, and behind it targets and names. */
struct shared_head {
    enum cnn_sample_kind kind;
    int channels, height, width;
    struct cnn_target target;
    bool resized;
    int64_t first[SETS], count[SETS];   /* records of each set */
    uint64_t names;             /* bytes of the classes' names, each with a zero behind it; 0: there are none */
};

struct together {
    const struct data_together *with;
    struct reader mine, *all;   /* (processes) */
    int leader;                 /* of this process' files and machine; -1: none, it reads for itself */
    int fd;                     /* the file that they share */
};

static int agree(const struct together *t)
{
    return t->with->agree(t->with->arg, about, NULL, 0);
}

/* ---- who reads what ---------------------------------------------------------------------------- */

/* A file by what the system knows it by. */
static void file_add(void *arg, const char *path)
{
    struct reader *r = arg;
    struct stat s;
    if (r->files == 0 || !path || stat(path, &s)) {
        r->files = 0;
        return;
    }
    const int64_t facts[] = { (int64_t)s.st_dev, (int64_t)s.st_ino, (int64_t)s.st_size, (int64_t)s.st_mtim.tv_sec,
                              (int64_t)s.st_mtim.tv_nsec };
    r->files = crc32_z((uLong)(r->files & UINT32_MAX), (const void *)facts, sizeof facts) | (uint64_t)1 << 32;
}

static bool shares(const struct reader *a, const struct reader *b)
{
    return a->files != 0 && a->files == b->files && a->machine == b->machine;
}

/* Which process reads for which.  0, or -1. */
static int leaders_find(struct together *t)
{
    const struct cnn_ranks *r = t->with->ranks;
    int others = 0;
    t->leader = -1;
    if (agree(t) || r->gather(r, &t->mine, sizeof t->mine, t->all))
        return -1;
    for (int i = r->count - 1; i >= 0; i--)
        if (shares(&t->all[i], &t->mine)) {
            t->leader = i;
            others += i != r->number;
        }
    t->leader = others ? t->leader : -1;
    return 0;
}

/* The shared file is open with all whom the same process reads for.  0, or -1. */
static int file_share(struct together *t)
{
    const struct cnn_ranks *r = t->with->ranks;
    char *path = NULL;
    if (t->leader == r->number && (t->fd = rt_temporary_open(&path)) >= 0)
        snprintf(t->mine.path, sizeof t->mine.path, "%s", strlen(path) < PATH_ROOM ? path : "");
    int status = agree(t) || r->gather(r, &t->mine, sizeof t->mine, t->all) ? -1 : 0;
    if (status == 0 && t->leader >= 0 && t->leader != r->number && *t->all[t->leader].path)
        t->fd = open(t->all[t->leader].path, O_RDWR | O_CLOEXEC);
    status = status || agree(t) ? -1 : 0;
    if (path && t->fd >= 0 && t->leader == r->number)
        unlink(path);
    free(path);
    if (t->fd < 0)
        t->leader = -1;         /* it reads for itself, as if nobody else were there */
    return status;
}

/* ---- what is put there --------------------------------------------------------------------------- */

static size_t sample_bytes(const struct dataset *d)
{
    return (size_t)d->channels * (size_t)d->height * (size_t)d->width * rt_number_size(rt_sample_numbers(d->kind));
}

static struct split *set_of(struct dataset *d, int k)
{
    return k == 0 ? &d->train : k == 1 ? &d->val : &d->test;
}

/* A set that lies elsewhere, to where the others can read it. */
static int set_move(struct dataset *d, struct split *s)
{
    struct split fresh = { 0 };
    const size_t elements = (size_t)d->channels * (size_t)d->height * (size_t)d->width;
    char *room = malloc(sample_bytes(d));
    int status = !room || rt_split_begin(d, &fresh, s->count) ? -1 : 0;
    if (!room)
        rt_error("no memory for a sample");
    for (int64_t i = 0; i < s->count && status == 0; i++) {
        const void *sample = rt_split_sample(s, i, elements, room);
        status = sample && rt_split_put(d, &fresh, i, sample) == 0 ? 0 : -1;
        if (status == 0)
            rt_split_copy_target(d, s, i, &fresh, i);
    }
    free(room);
    rt_split_free(status ? &fresh : s);
    if (status == 0)
        *s = fresh;
    return status;
}

static int bytes_put(int fd, const void *bytes, size_t size, int64_t *at)
{
    for (size_t put = 0; put < size;) {
        ssize_t n = pwrite(fd, (const char *)bytes + put, size - put, (off_t)*at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rt_error("temporary file of samples: %s", strerror(n < 0 ? errno : ENOSPC));
            return -1;
        }
        put += (size_t)n;
        *at += n;
    }
    return 0;
}

static size_t targets_bytes(const struct dataset *d, int64_t count)
{
    return d->target.kind == CNN_TARGET_INPUT   ? 0
           : d->target.kind == CNN_TARGET_CLASS ? (size_t)count * sizeof(uint16_t)
                                                : (size_t)count * (size_t)d->target.size * sizeof(float);
}

static const void *targets_of(const struct split *s)
{
    return s->labels ? (const void *)s->labels : s->vectors;
}

/* Behind the last sample, at byte `at` of the file. */
static int head_put(struct dataset *d, int fd, int64_t at)
{
    struct shared_head head;
    memset(&head, 0, sizeof head);
    head.kind = d->kind;
    head.channels = d->channels;
    head.height = d->height;
    head.width = d->width;
    head.target = d->target;
    head.resized = d->resized;
    for (int i = 0; d->class_names && i < d->target.size; i++)
        head.names += strlen(d->class_names[i]) + 1;
    for (int k = 0; k < SETS; k++) {
        const struct split *s = set_of(d, k);
        head.count[k] = s->count;
        head.first[k] = s->count ? s->numbers[0] : 0;
    }
    int status = bytes_put(fd, &head, sizeof head, &at);
    for (int k = 0; k < SETS && status == 0; k++)
        status = bytes_put(fd, targets_of(set_of(d, k)), targets_bytes(d, head.count[k]), &at);
    for (int i = 0; head.names && i < d->target.size && status == 0; i++)
        status = bytes_put(fd, d->class_names[i], strlen(d->class_names[i]) + 1, &at);
    return status;
}

/* Reads all, and gives it to the others, unless each finds its samples at once.  *at: where the head lies, or -1. */
static int read_for_all(struct dataset *d, const struct data_source *source, const char *dir,
                        const struct cnn_model *m, int fd, int64_t *at)
{
    bool stays = true;
    int64_t records = 0;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) {
        rt_error("temporary file of samples: %s", strerror(errno));
        return -1;
    }
    d->use.gives_on = true;
    d->shared = own;
    int status = source->read(d, dir, m);
    for (int k = 0; k < SETS && status == 0; k++)
        stays = stays && (set_of(d, k)->count == 0 || (set_of(d, k)->store && set_of(d, k)->store == d->store));
    for (int k = 0; k < SETS && status == 0 && !stays; k++)
        if (set_of(d, k)->count && (!d->spilled || set_of(d, k)->store != d->spilled))
            status = set_move(d, set_of(d, k));
    for (int k = 0; k < SETS && status == 0 && !stays; k++)
        records = set_of(d, k)->count ? (int64_t)set_of(d, k)->numbers[set_of(d, k)->count - 1] + 1 : records;
    *at = stays ? -1 : records * (int64_t)sample_bytes(d);
    d->use.gives_on = false;
    if (d->shared >= 0)
        close(d->shared);
    return status || (!stays && head_put(d, fd, *at)) ? -1 : 0;
}

/* ---- what the others take from there --------------------------------------------------------------- */

static int bytes_take(int fd, void *bytes, size_t size, int64_t *at)
{
    const ssize_t got = size ? rt_read_at(fd, bytes, size, (off_t)*at) : 0;
    *at += (int64_t)size;
    if (got == (ssize_t)size)
        return 0;
    rt_error("temporary file of samples: %s", got < 0 ? strerror(errno) : "is cut short");
    return -1;
}

static int names_take(struct dataset *d, const struct shared_head *head, int fd, int64_t *at)
{
    char *text = malloc((size_t)head->names + 1), *next = text;
    int status = text ? bytes_take(fd, text, (size_t)head->names, at) : -1;
    d->class_names = status ? NULL : calloc((size_t)d->target.size, sizeof *d->class_names);
    bool enough = d->class_names != NULL;
    for (int i = 0; enough && i < d->target.size; i++, next += strlen(next) + 1)
        enough = (d->class_names[i] = strdup(next)) != NULL;
    if (!text || (status == 0 && !enough))
        rt_error("no memory for the names of %d classes", d->target.size);
    free(text);
    return enough ? 0 : -1;
}

static int set_take(struct dataset *d, struct split *s, int64_t first, int64_t count, int fd, int64_t *at)
{
    if (rt_split_allocate_stored(d, s, count))
        return -1;
    s->store = d->spilled;
    for (int64_t i = 0; i < count; i++)
        s->numbers[i] = (uint32_t)(first + i);
    return bytes_take(fd, s->labels ? (void *)s->labels : s->vectors, targets_bytes(d, count), at);
}

static int shared_take(struct dataset *d, int fd, int64_t at)
{
    struct shared_head head;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const int64_t bytes = at;
    if (own < 0) {
        rt_error("temporary file of samples: %s", strerror(errno));
        return -1;
    }
    if (bytes_take(fd, &head, sizeof head, &at)) {
        close(own);
        return -1;
    }
    d->kind = head.kind;
    d->channels = head.channels;
    d->height = head.height;
    d->width = head.width;
    d->target = head.target;
    d->resized = head.resized;
    d->spilled = rt_records_open(sample_bytes(d));
    if (!d->spilled) {
        close(own);
        return -1;
    }
    if (rt_records_add(d->spilled, own, "(temporary file of samples)", 0, bytes / (int64_t)sample_bytes(d)) < 0)
        return -1;
    for (int k = 0; k < SETS; k++)
        if (head.count[k] && set_take(d, set_of(d, k), head.first[k], head.count[k], fd, &at))
            return -1;
    return head.names ? names_take(d, &head, fd, &at) : 0;
}

/* ------------------------------------------------------------------------------------------------ */

/* Each its part, in the order in which none waits for one that waits for it.  0, or -1. */
static int parts_read(struct together *t, struct dataset *d, const struct data_source *source, const char *dir,
                      const struct cnn_model *m)
{
    const struct cnn_ranks *r = t->with->ranks;
    const bool follows = t->leader >= 0 && t->leader != r->number;
    int64_t at = -1;
    int64_t *places = calloc((size_t)r->count, sizeof *places);
    int status = places ? 0 : -1;
    if (!places)
        rt_error("no memory for %d ranks", r->count);
    if (status == 0 && t->leader == r->number)
        status = read_for_all(d, source, dir, m, t->fd, &at);
    else if (status == 0 && !follows)
        status = source->read(d, dir, m);
    status = status || agree(t) || r->gather(r, &at, sizeof at, places) ? -1 : 0;
    d->use.looked_at = follows;
    if (status == 0 && follows)
        status = places[t->leader] >= 0 ? shared_take(d, t->fd, places[t->leader]) : source->read(d, dir, m);
    free(places);
    return status;
}

int rt_read_once(struct dataset *d, const struct data_source *source, const char *dir, const struct cnn_model *m)
{
    const struct data_together *with = d->use.together;
    if (!with || !source->list)
        return source->read(d, dir, m);
    struct together t = { .with = with, .leader = -1, .fd = -1,
                          .mine = { .files = 1, .machine = with->ranks->host_first } };
    t.all = calloc((size_t)with->ranks->count, sizeof *t.all);
    if (!t.all) {
        rt_error("no memory for %d ranks", with->ranks->count);
        return -1;
    }
    rt_message_hold(true);      /* whoever reads them says what is wrong with them */
    source->list(d, dir, m, file_add, &t.mine);
    rt_message_hold(false);
    int status = leaders_find(&t) || file_share(&t) || parts_read(&t, d, source, dir, m) ? -1 : 0;
    if (t.fd >= 0)
        close(t.fd);
    free(t.all);
    return status;
}
