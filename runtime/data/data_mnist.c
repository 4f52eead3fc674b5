/* data_mnist.c - MNIST and sets of its form: four IDX files, gzipped or plain.
 *
 * An IDX file is a big-endian header - a magic number that says "unsigned bytes" and how many
 * dimensions, then the extents - and the bytes (http://yann.lecun.com/exdb/mnist/).
 */
#define _GNU_SOURCE
#include "data/data.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "data/image.h"
#include "data/record_store.h"
#include "core/file_path.h"
#include "core/message.h"
#include "common/recipe.h"
#include "core/team.h"
#include "formats/packed_file.h"

enum {
    MAGIC_LABELS = 0x801,
    MAGIC_PICTURES = 0x803,
    HEADER_PICTURES = 16,       /* bytes */
    SIDE_MAX = 4096,
    COUNT_MAX = 4000000,
    DEFLATE_MOST = 1032,        /* bytes that a packed one unpacks to */
    BLOCK = 1 << 22             /* bytes that are read at a time, or one picture */
};

/* Names under both spellings one meets, packed or not. */
enum { SPELLINGS = 4, SET_MAX = 60, NAME_ROOM = 128 };

static const char *spelling(char *name, size_t size, int which, const char *part, bool pictures)
{
    const char *kind = pictures ? "images" : "labels";
    int dimensions = pictures ? 3 : 1;
    switch (which) {        /* format strings stay constants that the compiler can check */
    case 0:
        snprintf(name, size, "%s-%s-idx%d-ubyte", part, kind, dimensions);
        break;
    case 1:
        snprintf(name, size, "%s-%s-idx%d-ubyte.gz", part, kind, dimensions);
        break;
    case 2:
        snprintf(name, size, "%s-%s.idx%d-ubyte", part, kind, dimensions);
        break;
    default:
        snprintf(name, size, "%s-%s.idx%d-ubyte.gz", part, kind, dimensions);
        break;
    }
    return name;
}

/* The first spelling that is there, as a malloc'd path; NULL: none. */
static char *file_find(const char *dir, const char *part, bool pictures)
{
    char name[NAME_ROOM];
    for (int i = 0; i < SPELLINGS; i++)
        if (rt_file_exists(dir, spelling(name, sizeof name, i, part, pictures)))
            return rt_path_join(dir, name);
    return NULL;
}

/* Files in this form, of whatever set. */
static bool looks_like_idx(const char *name)
{
    return strstr(name, "idx1-ubyte") || strstr(name, "idx3-ubyte");
}

/* The first name of pictures to train with that are called after their set: EMNIST's; malloc'd, or NULL. */
static char *set_find(const char *dir)
{
    DIR *folder = opendir(dir);
    char *found = NULL;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
        const char *part = strstr(entry->d_name, "-train-images");
        if (part && looks_like_idx(part))
            found = strndup(entry->d_name, (size_t)(part - entry->d_name));
    }
    if (folder)
        closedir(folder);
    return found;
}

static bool probe(const char *dir)
{
    for (int i = 0; i < 4; i++) {
        char *path = file_find(dir, i / 2 ? "t10k" : "train", i % 2);
        free(path);
        if (path)
            return true;
    }
    char *set = set_find(dir);
    free(set);
    return set != NULL;
}

static const char *mistaken(const char *dir)
{
    if (rt_file_exists(dir, "mnist.npz"))
        return "holds mnist.npz; the four IDX files are needed";
    if (rt_file_exists(dir, "mnist_train.csv"))
        return "holds CSV; the four IDX files are needed";
    DIR *folder = opendir(dir);
    bool found = false;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));)
        found = looks_like_idx(entry->d_name);
    if (folder)
        closedir(folder);
    return found ? "holds IDX files under other names; train- and t10k- come first in those that are read" : NULL;
}

struct idx {
    struct packed_file file;
    int64_t count, height, width;       /* labels: 1 x 1 */
    bool transposed;                    /* columns stand where rows should, as in EMNIST; height and width are turned */
};

/* Of the first part's pictures; height 0: none has been read. */
struct idx_size {
    int height, width;
    dev_t device;
    ino_t inode;
    bool waits;                 /* of several processes each resizes its own, when it needs them */
};

static void idx_close(struct idx *x)
{
    rt_packed_close(&x->file);
    *x = (struct idx){ 0 };
}

/* Reads exactly `size` bytes.  -1 with a message; 1: there were fewer. */
static int bytes_read(struct idx *x, void *to, size_t size, int64_t *got)
{
    int64_t n = rt_packed_read(&x->file, to, size);
    *got = n > 0 ? n : 0;
    return n < 0 ? -1 : (size_t)n < size;
}

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int header_read(struct idx *x, bool pictures)
{
    uint8_t header[16] = { 0 };
    size_t size = pictures ? HEADER_PICTURES : 8;
    int64_t got;
    int status = bytes_read(x, header, size, &got);
    if (status > 0)
        rt_error("%s: the header is cut short: expected %zu bytes, found %lld", x->file.path, size,
                 (long long)got);
    if (status)
        return -1;
    uint32_t expected = pictures ? MAGIC_PICTURES : MAGIC_LABELS, magic = big_endian(header);
    if (magic != expected) {
        rt_error("%s: the magic number is 0x%08x, expected 0x%08x (%s)", x->file.path, (unsigned)magic,
                 (unsigned)expected,
                 pictures ? "pictures, unsigned bytes" : "labels, unsigned bytes");
        return -1;
    }
    x->count = big_endian(header + 4);
    x->height = pictures ? big_endian(header + (x->transposed ? 12 : 8)) : 1;
    x->width = pictures ? big_endian(header + (x->transposed ? 8 : 12)) : 1;
    if (x->count < 1 || x->count > COUNT_MAX || x->height < 1 || x->height > SIDE_MAX
        || x->width < 1 || x->width > SIDE_MAX) {
        rt_error("%s: the header says %lld records of %lldx%lld; expected 1 to %d records, sides "
                 "of 1 to %d",
                 x->file.path, (long long)x->count, (long long)x->height, (long long)x->width, COUNT_MAX,
                 SIDE_MAX);
        return -1;
    }
    return 0;
}

/* The header is believed as far as a file of `size` bytes can hold what it says. */
static int size_believe(const struct idx *x, int64_t size)
{
    int64_t wanted = x->count * x->height * x->width;
    if (wanted / DEFLATE_MOST <= size)
        return 0;
    rt_error("%s: is cut short: the header says %lld records of %lldx%lld, %lld bytes, and the file has %lld",
             x->file.path,
             (long long)x->count, (long long)x->height, (long long)x->width, (long long)wanted, (long long)size);
    return -1;
}

static int idx_open(struct idx *x, const char *dir, const char *part, bool pictures, bool transposed)
{
    *x = (struct idx){ .transposed = transposed };
    char name[NAME_ROOM];
    char *path = file_find(dir, part, pictures);
    if (!path) {
        char *set = set_find(dir);
        rt_error("%s/%s (or with .gz) is missing", dir,
                 spelling(name, sizeof name, 0, part, pictures));
        if (set && strncmp(part, set, strlen(set)))
            rt_note("'set=\"%s\"' behind the folder in 'data' reads %s-train-images-idx3-ubyte and its fellows", set,
                    set);
        free(set);
        return -1;
    }
    int status = rt_packed_open(&x->file, path);
    free(path);
    if (status)
        return -1;
    return header_read(x, pictures) || size_believe(x, x->file.status.st_size) ? -1 : 0;
}

/* Nothing may follow the last record; reading on also makes zlib check the stream's sum. */
static int end_check(struct idx *x)
{
    uint8_t extra;
    int64_t got;
    int status = bytes_read(x, &extra, 1, &got);
    if (status < 0)
        return -1;
    if (status == 0) {
        rt_error("%s: the file goes on after record %lld, the last that its header announces",
                 x->file.path, (long long)x->count);
        return -1;
    }
    if (rt_packed_cut(&x->file)) {
        rt_error("%s: the end of the gzip stream is missing", x->file.path);
        return -1;
    }
    return 0;
}

static int records_short(const struct idx *x, int64_t got)
{
    int64_t record = x->height * x->width;
    rt_error(
        "%s: record %lld of %lld is cut short: expected %lld bytes after the header, found %lld",
        x->file.path, (long long)(got / record + 1), (long long)x->count, (long long)(x->count * record),
        (long long)got);
    return -1;
}

/* How many pictures are read at a time. */
static int64_t block_pictures(const struct idx *x, int64_t count)
{
    int64_t fit = BLOCK / (x->height * x->width);
    return fit < 1 ? 1 : fit < count ? fit : count;
}

/* Columns to rows, picture by picture.  0, or -1 with a message. */
static int pictures_turn(const struct idx *x, int64_t count, uint8_t *pictures)
{
    int64_t size = x->height * x->width;
    uint8_t *turned = malloc((size_t)size);
    if (!turned) {
        rt_error("%s: no memory for a picture", x->file.path);
        return -1;
    }
    for (int64_t i = 0; i < count; i++, pictures += size) {
        for (int64_t h = 0; h < x->height; h++)
            for (int64_t w = 0; w < x->width; w++)
                turned[h * x->width + w] = pictures[w * x->height + h];
        memcpy(pictures, turned, (size_t)size);
    }
    free(turned);
    return 0;
}

/* `count` pictures from number `first` on. */
static int block_read(struct idx *x, int64_t first, int64_t count, uint8_t *to)
{
    int64_t size = x->height * x->width, got;
    int status = bytes_read(x, to, (size_t)(count * size), &got);
    if (status > 0)
        records_short(x, first * size + got);
    return status || (x->transposed && pictures_turn(x, count, to)) ? -1 : 0;
}

/* A block of pictures that are resized. */
struct shrinking {
    const struct idx *x;
    const struct cnn_model *model;
    struct pixel_fit fit;
    uint8_t *block;
    const struct dataset *set;
    const struct split *split;
    int64_t first;                      /* of the block's */
    struct image_fault *faults;         /* one a picture; text "": it is there */
    atomic_bool failed;                 /* with a message */
};

static void picture_shrink(void *arg, int64_t i)
{
    struct shrinking *k = arg;
    const struct cnn_model *m = k->model;
    uint8_t *fitted = malloc((size_t)m->in_width * (size_t)m->in_height);
    int width = (int)k->x->width, height = (int)k->x->height;
    struct image picture = { width, height, 1, k->block + i * width * height };
    k->faults[i] = (struct image_fault){ .text = "cannot be resized: memory is short" };
    if (fitted && rt_image_fit(&picture, k->fit, m->in_width, m->in_height, fitted, &k->faults[i]) == 0) {
        k->faults[i].text[0] = '\0';
        if (rt_split_put(k->set, k->split, k->first + i, fitted))
            k->failed = true;
    }
    free(fitted);
}

/* Pictures that are larger than the network wants are resized as they are read: all of them as they are
 * may be any number of times what is kept. */
static int pictures_shrink(struct idx *x, const struct dataset *d, const struct split *s, const struct cnn_model *m)
{
    int64_t size = x->height * x->width, room = block_pictures(x, s->count);
    struct shrinking k = { .x = x, .model = m, .fit = rt_steps_fit(&m->data), .block = malloc((size_t)(room * size)),
                           .set = d, .split = s, .faults = calloc((size_t)room, sizeof *k.faults) };
    int status = k.block && k.faults ? 0 : -1;
    if (status)
        rt_error("%s: no memory for %lld pictures of %lldx%lld", x->file.path, (long long)room, (long long)x->height,
                 (long long)x->width);
    for (int64_t first = 0; status == 0 && first < s->count; first += room) {
        int64_t count = s->count - first < room ? s->count - first : room;
        status = block_read(x, first, count, k.block);
        if (status)
            break;
        k.first = first;
        rt_each(d->use.threads, count, picture_shrink, &k);
        status = k.failed ? -1 : 0;
        for (int64_t i = 0; status == 0 && i < count; i++)
            if (k.faults[i].text[0]) {
                rt_error("%s: record %lld %s", x->file.path, (long long)(first + i + 1), k.faults[i].text);
                status = -1;
            }
    }
    free(k.block);
    free(k.faults);
    return status;
}

static int pictures_read(struct idx *x, const struct dataset *d, const struct split *s)
{
    int64_t room = block_pictures(x, s->count), size = x->height * x->width;
    uint8_t *block = malloc((size_t)(room * size));
    int status = block ? 0 : -1;
    if (status)
        rt_error("%s: no memory for %lld pictures of %lldx%lld", x->file.path, (long long)room, (long long)x->height,
                 (long long)x->width);
    for (int64_t first = 0; status == 0 && first < s->count; first += room) {
        int64_t count = s->count - first < room ? s->count - first : room;
        status = block_read(x, first, count, block);
        for (int64_t i = 0; status == 0 && i < count; i++)
            status = rt_split_put(d, s, first + i, block + i * size);
    }
    free(block);
    return status;
}

/* Pictures that are not packed are found at once where they lie; -1 with a message where they are not all there. */
static int pictures_leave(struct idx *x, struct dataset *d, struct split *s)
{
    int64_t size = x->height * x->width, wanted = HEADER_PICTURES + x->count * size, first;
    int fd = open(x->file.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        rt_error("%s: %s", x->file.path, strerror(errno));
        return -1;
    }
    if (x->file.status.st_size < wanted) {
        close(fd);
        return records_short(x, x->file.status.st_size - HEADER_PICTURES);
    }
    if (!d->store && !(d->store = rt_records_open((size_t)size))) {
        close(fd);
        return -1;
    }
    first = rt_records_add(d->store, fd, x->file.path, HEADER_PICTURES, x->count);
    if (first < 0 || rt_split_allocate_stored(d, s, x->count))
        return -1;
    for (int64_t i = 0; i < x->count; i++)
        s->numbers[i] = (uint32_t)(first + i);
    gzseek(x->file.file, (z_off_t)wanted, SEEK_SET);
    return 0;
}

static int labels_read(struct idx *x, const struct dataset *d, struct split *s, int first_label)
{
    for (int64_t i = 0; i < s->count; i++) {
        uint8_t label;
        int64_t got;
        int status = bytes_read(x, &label, 1, &got);
        if (status > 0)
            records_short(x, i);
        if (status)
            return -1;
        if (label < first_label || label >= first_label + d->target.size) {
            rt_error("%s: record %lld: label %d, expected %d to %d", x->file.path, (long long)i + 1,
                     label, first_label, first_label + d->target.size - 1);
            return -1;
        }
        s->labels[i] = (uint16_t)(label - first_label);
    }
    return end_check(x);
}

/* Whether a picture can be read by itself. */
static bool is_found_at_once(const struct idx *x)
{
    return !x->transposed && rt_packed_plain(&x->file);
}

/* The pictures' size: what the network takes, unless they are resized, and in both parts the same.
 * Before anything is read: it may be a lot. */
static int size_check(struct dataset *d, const struct idx *x, struct idx_size *size, const struct cnn_model *m)
{
    bool resizes = rt_steps_fit(&m->data).fits;
    if (size->height && (size->height != x->height || size->width != x->width)) {
        rt_error("%s: pictures of %dx%d, but the training set's are of another size", x->file.path,
                 (int)x->height, (int)x->width);
        return -1;
    }
    if (size->height && size->device == x->file.status.st_dev && size->inode == x->file.status.st_ino)
        rt_note("%s is the training set's file again: its pictures are trained and tested", x->file.path);
    *size = (struct idx_size){ (int)x->height, (int)x->width, x->file.status.st_dev, x->file.status.st_ino,
                               size->waits };
    d->resized = resizes && !size->waits && x->height * x->width > (int64_t)m->in_height * m->in_width;
    d->height = d->resized ? m->in_height : size->height;
    d->width = d->resized ? m->in_width : size->width;
    return resizes ? 0 : rt_dataset_fits(d, m);
}

static int part_read(struct dataset *d, struct split *s, const char *dir, const char *part,
                     struct idx_size *size, const struct cnn_model *m)
{
    struct idx pictures = { 0 }, labels = { 0 };
    bool transposed = rt_setting_number(&m->data.source, "transposed") != 0;
    int failed = idx_open(&pictures, dir, part, true, transposed) || idx_open(&labels, dir, part, false, false);
    if (!failed && pictures.count != labels.count) {
        rt_error("%s holds %lld pictures, %s %lld labels", pictures.file.path, (long long)pictures.count,
                 labels.file.path, (long long)labels.count);
        failed = -1;
    }
    int first_label = (int)rt_setting_number(&m->data.source, "first_label");
    failed = failed || size_check(d, &pictures, size, m);
    bool stay = !failed && !d->resized && is_found_at_once(&pictures) && rt_dataset_leaves(d, pictures.count);
    failed = failed || (stay ? pictures_leave(&pictures, d, s) : rt_split_begin(d, s, pictures.count))
             || labels_read(&labels, d, s, first_label);
    if (!failed && !stay)
        failed = d->resized ? pictures_shrink(&pictures, d, s, m) : pictures_read(&pictures, d, s);
    failed = failed || end_check(&pictures);
    idx_close(&pictures);
    idx_close(&labels);
    return failed ? -1 : 0;
}

/* The parts' names: MNIST's, or those of the set that the recipe names. */
struct parts {
    char name[2][SET_MAX + 8];
};

static int parts_name(struct parts *p, const struct cnn_model *m)
{
    const char *set = rt_setting_text(&m->data.source, "set");
    if (set && (strlen(set) > SET_MAX || strchr(set, '/'))) {
        rt_error("'set' of mnist is how the files' names begin, at most %d characters: found '%s'", SET_MAX, set);
        return -1;
    }
    snprintf(p->name[0], sizeof p->name[0], "%s%strain", set ? set : "", set ? "-" : "");
    snprintf(p->name[1], sizeof p->name[1], "%s%s", set ? set : "t10k", set ? "-test" : "");
    return 0;
}

/* A second spelling of a file that is read, and files of other sets. */
static void unused_tell(const char *dir, const struct parts *p)
{
    char *paths[4];
    const char *names[4];
    int count = 0;
    for (int i = 0; i < 4; i++)
        if ((paths[count] = file_find(dir, p->name[i / 2], i % 2))) {
            names[count] = strrchr(paths[count], '/') + 1;
            count++;
        }
    rt_unused_tell(dir, looks_like_idx, names, count);
    for (int i = 0; i < count; i++)
        free(paths[i]);
}

/* Whether all pictures that are read are found at once where they lie. */
static bool all_found_at_once(const struct dataset *d, const char *dir, const struct parts *p,
                              const struct cnn_model *m)
{
    bool found = rt_setting_number(&m->data.source, "transposed") == 0;
    rt_message_hold(true);      /* what is wrong with a file is said where it is read */
    for (int i = d->use.test_only; i < 2 && found; i++) {
        struct packed_file file = { 0 };
        char *path = file_find(dir, p->name[i], true);
        found = path && rt_packed_open(&file, path) == 0 && rt_packed_plain(&file);
        if (path)
            rt_packed_close(&file);
        free(path);
    }
    rt_message_hold(false);
    return found;
}

static int read_all(struct dataset *d, const char *dir, const struct cnn_model *m)
{
    struct idx_size size = { .height = 0 };
    struct parts parts;
    d->channels = 1;
    d->target.size = (int)rt_setting_number(&m->data.source, "classes");
    if (parts_name(&parts, m))
        return -1;
    size.waits = d->use.by_share && all_found_at_once(d, dir, &parts, m);
    if (!d->use.test_only && part_read(d, &d->train, dir, parts.name[0], &size, m))
        return -1;
    if (part_read(d, &d->val, dir, parts.name[1], &size, m))
        return -1;
    unused_tell(dir, &parts);
    return 0;
}

static void list(const struct dataset *d, const char *dir, const struct cnn_model *m,
                 void (*add)(void *arg, const char *path), void *arg)
{
    struct parts parts;
    if (parts_name(&parts, m))
        return;
    for (int i = d->use.test_only ? 2 : 0; i < 4; i++) {
        char *path = file_find(dir, parts.name[i / 2], i % 2);
        add(arg, path);
        free(path);
    }
}

const struct data_source rt_data_mnist = {
    .name = "mnist", .probe = probe, .read = read_all, .list = list,
    .files = "train-images-idx3-ubyte.gz and its three fellows, or unpacked", .mistaken = mistaken
};
