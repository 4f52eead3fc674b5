/* image_folders.c - see image_folders.h. */
#define _GNU_SOURCE
#include "data/image_folders.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <jansson.h>

#include "core/file_path.h"
#include "core/message.h"
#include "core/same_file.h"

enum { NAMES_SHOWN = 5, ROLE_NAMES = 4 };

void rt_image_folders_free(struct image_folders *f)
{
    rt_names_free(f->class_names, f->classes);
    for (int i = 0; i < IMAGE_ROLES; i++) {
        struct picture_set *s = &f->sets[i];
        rt_pictures_free(&s->list);
        free(s->dir);
        free(s->labels);
        free(s->folder_labels);
        free(s->part);
    }
    rt_left_out_free(&f->left);
    free(f->loose.first);
    *f = (struct image_folders){ 0 };
}

/* ---- which folder is which set --------------------------------------------------------------- */

/* IMAGE_ROLES: none of them. */
static enum image_role role_of(const char *name)
{
    static const char *const names[IMAGE_ROLES][ROLE_NAMES] = {
        { "train", "training" }, { "val", "valid", "validation", "dev" }, { "test", "testing" }
    };
    for (int role = 0; role < IMAGE_ROLES; role++)
        for (int i = 0; i < ROLE_NAMES && names[role][i]; i++)
            if (strcasecmp(name, names[role][i]) == 0)
                return (enum image_role)role;
    return IMAGE_ROLES;
}

/* A folder becomes a set.  One that is there under two names (a link) is one. */
static int set_found(struct picture_set *s, char *path)
{
    if (!path) {
        rt_error("no memory for the names of folders");
        return -1;
    }
    if (!s->dir) {
        s->dir = path;
        return 0;
    }
    bool same = rt_same_folder(s->dir, path);
    if (!same)
        rt_error("%s and %s would both be used as the same set: rename the one that is not meant", s->dir, path);
    free(path);
    return same ? 0 : -1;
}

/* The sets that the folder holds.  With a training set, names what else it holds. */
static int sets_find(struct image_folders *f, const char *dir)
{
    char **names;
    int count = rt_folders_list(dir, &names), unused = 0, status = count < 0 ? -1 : 0;
    const char **others = calloc((size_t)(count > 0 ? count : 0) + 1, sizeof *others);
    for (int i = 0; others && i < count; i++) {
        enum image_role role = role_of(names[i]);
        if (role < IMAGE_ROLES)
            status |= set_found(&f->sets[role], rt_path_join(dir, names[i]));
        else
            others[unused++] = names[i];
    }
    if (f->sets[IMAGE_TRAIN].dir && unused && status == 0) {
        char *text = rt_names_text(others, unused, NAMES_SHOWN);
        rt_note("%s: not used, as no set has such a name (train, val, test): %s", dir, text ? text : "");
        free(text);
    }
    free(others);
    if (count >= 0)
        rt_names_free(names, count);
    return status;
}

/* The first training set in the folder, malloc'd; NULL: none. */
static char *training_inside(const char *dir)
{
    char **names, *found = NULL;
    int count = rt_folders_list(dir, &names);
    for (int i = 0; i < count && !found; i++)
        if (role_of(names[i]) == IMAGE_TRAIN)
            found = rt_path_join(dir, names[i]);
    if (count >= 0)
        rt_names_free(names, count);
    return found;
}

/* One in a folder inside it: the folder that was named lies too high. */
static char *training_below(const char *dir)
{
    char **names, *found = NULL;
    int count = rt_folders_list(dir, &names);
    for (int i = 0; i < count && !found; i++) {
        char *path = rt_path_join(dir, names[i]);
        found = path ? training_inside(path) : NULL;
        free(path);
    }
    if (count >= 0)
        rt_names_free(names, count);
    return found;
}

/* ---- classes --------------------------------------------------------------------------------- */

static int class_find(const struct image_folders *f, const char *name)
{
    for (int i = 0; i < f->classes; i++)
        if (strcmp(f->class_names[i], name) == 0)
            return i;
    return -1;
}

static int name_check(const char *dir, const char *name)
{
    /* names go into JSON files, which are UTF-8 */
    json_t *text = json_string(name);
    json_decref(text);
    if (text)
        return 0;
    rt_error("%s: the name of a class's folder, '%s', is not UTF-8", dir, name);
    return -1;
}

/* Labels for what the walk of a class has added. */
static int labels_add(struct picture_set *s, int class)
{
    const struct picture_list *l = &s->list;
    uint16_t *labels = realloc(s->labels, (size_t)(l->pictures.count + 1) * sizeof *labels);
    if (labels)
        s->labels = labels;
    uint16_t *folders = realloc(s->folder_labels, (size_t)(l->folders.count + 1) * sizeof *folders);
    if (folders)
        s->folder_labels = folders;
    if (!labels || !folders) {
        rt_error("%s: no memory for its list of pictures", s->dir);
        return -1;
    }
    for (int64_t i = l->own_pictures; i < l->pictures.count; i++)
        labels[i] = (uint16_t)class;
    for (int64_t i = l->own_folders; i < l->folders.count; i++)
        folders[i] = (uint16_t)class;
    return 0;
}

/* Training must have pictures of all classes.  `left`: what this class's folder holds beside. */
static int class_check(const struct image_folders *f, const struct picture_set *s, const char *path,
                       int class, const struct left_out *left)
{
    const struct picture_list *l = &s->list;
    if (l->shared) {
        rt_error("%s is the folder %s again: its pictures would be of two classes, '%s' and '%s'", l->shared,
                 l->folders.paths[l->shared_with], f->class_names[s->folder_labels[l->shared_with]],
                 f->class_names[class]);
        return -1;
    }
    if (l->pictures.count > l->own_pictures || s != &f->sets[IMAGE_TRAIN])
        return 0;
    const char *other = left->unread.first ? left->unread.first : left->others.first;
    rt_error("%s: holds no pictures (.png, .jpg, .jpeg)%s%s", path, other ? " but files such as " : "",
             other ? other : "");
    return -1;
}

static void count_add(struct path_count *to, struct path_count *from)
{
    to->count += from->count;
    if (!to->first) {
        to->first = from->first;
        from->first = NULL;
    }
}

static void left_add(struct left_out *to, struct left_out *from)
{
    count_add(&to->unread, &from->unread);
    count_add(&to->others, &from->others);
    count_add(&to->back, &from->back);
    count_add(&to->again, &from->again);
    rt_left_out_free(from);
}

static int class_scan(struct image_folders *f, struct picture_set *s, const char *name)
{
    char *path = rt_path_join(s->dir, name);
    int class = class_find(f, name), status = -1;
    struct left_out left = { 0 };
    if (!path)
        rt_error("%s: no memory for its list of pictures", s->dir);
    else if (class < 0)
        rt_error("%s: the training set has no class of this name", path);
    else if (rt_pictures_find(&s->list, path, &left) == 0 && labels_add(s, class) == 0)
        status = class_check(f, s, path, class, &left);
    left_add(&f->left, &left);
    free(path);
    return status;
}

/* ---- sets ------------------------------------------------------------------------------------ */

/* The training set's folders say which classes there are. */
static int classes_take(struct image_folders *f, char **names, int count)
{
    const char *dir = f->sets[IMAGE_TRAIN].dir;
    f->class_names = names;
    f->classes = count;
    if (count >= 2 && count <= UINT16_MAX)
        return 0;
    rt_error("%s: holds %d folder%s; from 2 to %d are needed, one a class%s", dir, count, count == 1 ? "" : "s",
             UINT16_MAX, f->loose.count ? " (pictures beside them belong to none)" : "");
    return -1;
}

/* All classes of one set.  To the end of what can go on: a second run should not find the next fault. */
static int set_scan(struct image_folders *f, struct picture_set *s)
{
    char **names = NULL;
    bool training = s == &f->sets[IMAGE_TRAIN];
    rt_loose_pictures_count(s->dir, &f->loose);
    int count = rt_folders_list(s->dir, &names);
    if (count < 0 || (training && classes_take(f, names, count)))
        return -1;
    int status = 0;
    for (int i = 0; i < count; i++)
        status |= name_check(s->dir, names[i]) || class_scan(f, s, names[i]) ? -1 : 0;
    s->part = status ? NULL : malloc((size_t)s->list.pictures.count + 1);
    if (!s->part && status == 0) {
        rt_error("%s: no memory for its list of pictures", s->dir);
        status = -1;
    }
    if (!training)
        rt_names_free(names, count);
    if (status == 0 && s->list.pictures.count == 0)
        rt_note("%s: not used, as it holds no pictures in folders of classes", s->dir);
    return status;
}

/* A folder of one set that another has as a folder of other pictures. */
static int sets_clash(const struct image_folders *f, const struct picture_set *a, const struct picture_set *b)
{
    struct stat root;
    if (stat(b->dir, &root) == 0) {
        int64_t inside = rt_seen_find(&a->list.known, root.st_dev, root.st_ino);
        if (inside >= 0) {
            rt_error("%s is the folder %s again, which is a set of its own", a->list.folders.paths[inside], b->dir);
            return -1;
        }
    }
    for (size_t i = 0; i < b->list.known.room; i++) {
        const struct seen_file *folder = &b->list.known.table[i];
        int64_t other = folder->number < 0 ? -1 : rt_seen_find(&a->list.known, folder->device, folder->inode);
        if (other < 0 || a->folder_labels[other] == b->folder_labels[folder->number])
            continue;
        rt_error("%s is the folder %s again: its pictures would be of two classes, '%s' and '%s'",
                 a->list.folders.paths[other], b->list.folders.paths[folder->number],
                 f->class_names[a->folder_labels[other]], f->class_names[b->folder_labels[folder->number]]);
        return -1;
    }
    return 0;
}

/* Pictures that are in both, by links. */
static void sets_common(const struct picture_set *a, const struct picture_set *b)
{
    int64_t common = 0, first = INT64_MAX;
    for (size_t i = 0; i < b->list.files.room; i++) {
        const struct seen_file *file = &b->list.files.table[i];
        if (file->number < 0 || rt_seen_find(&a->list.files, file->device, file->inode) < 0)
            continue;
        common++;
        if (file->number < first)
            first = file->number;
    }
    if (common)
        rt_note("%s: %lld picture%s %s in %s too, such as %s", b->dir, (long long)common, common == 1 ? "" : "s",
                common == 1 ? "is" : "are", a->dir, b->list.pictures.paths[first]);
}

static int sets_compare(const struct image_folders *f)
{
    for (int a = 0; a < IMAGE_ROLES; a++)
        for (int b = 0; b < IMAGE_ROLES; b++)
            if (a != b && f->sets[a].dir && f->sets[b].dir
                && sets_clash(f, &f->sets[a], &f->sets[b]))
                return -1;
    for (int a = 0; a < IMAGE_ROLES; a++)
        for (int b = a + 1; b < IMAGE_ROLES; b++)
            if (f->sets[a].dir && f->sets[b].dir)
                sets_common(&f->sets[a], &f->sets[b]);
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Which sets there have to be, with a folder train/. */
static int layout_check(const struct image_folders *f, const char *dir, bool splits)
{
    const char *val = f->sets[IMAGE_VAL].dir, *test = f->sets[IMAGE_TEST].dir;
    if (splits && val && test) {
        rt_error("%s is there to validate; 'split' would take pictures of %s for that", val,
                 f->sets[IMAGE_TRAIN].dir);
        return -1;
    }
    if (!splits && !val && !test) {
        rt_error("%s: has neither test/ nor val/ beside train/: write 'split 0.1' in 'data' to "
                 "take a tenth of the training set for validation",
                 dir);
        return -1;
    }
    return 0;
}

/* A folder of classes and nothing else: none of them may be a set. */
static int plain_check(const struct image_folders *f)
{
    for (int i = 0; i < IMAGE_ROLES; i++) {
        const char *dir = f->sets[i].dir;
        char **inner = NULL;
        int folders = dir ? rt_folders_list(dir, &inner) : 0;
        rt_names_free(inner, folders);
        if (folders) {
            rt_error("%s: is a set without a training set beside it; it would be trained as a class", dir);
            return -1;
        }
        if (dir)
            rt_note("%s: taken for a class, as there is no folder train/ beside it", dir);
    }
    return 0;
}

/* There is no folder train/: what is wrong with that, if anything is. */
static int training_missing(const struct image_folders *f, const char *dir, bool splits)
{
    const char *other = f->sets[IMAGE_TEST].dir ? f->sets[IMAGE_TEST].dir : f->sets[IMAGE_VAL].dir;
    char *below = training_below(dir), *real = realpath(dir, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    int status = -1;
    if (below)
        rt_error("%s: has no folder train/, but %s is there: name the folder that it lies in", dir, below);
    else if (splits)
        status = plain_check(f);
    else if (other)
        rt_error("%s: has no folder train/ beside %s: its folders say which classes there are", dir, other);
    else if (slash && role_of(slash + 1) < IMAGE_ROLES)
        rt_error("%s: is a set itself: name the folder above it, or write 'split 0.1' in 'data' to take a tenth of "
                 "its pictures for validation", dir);
    else
        rt_error("%s: has no folder train/: write 'split 0.1' in 'data' to take a tenth of its pictures for "
                 "validation", dir);
    free(below);
    free(real);
    return status;
}

static void unused_tell(const struct image_folders *f, const char *dir)
{
    rt_left_out_tell(&f->left, dir);
    if (f->loose.count)
        rt_note("%s: %lld picture%s in no class's folder %s not used, such as %s", dir, (long long)f->loose.count,
                f->loose.count == 1 ? "" : "s", f->loose.count == 1 ? "is" : "are",
                f->loose.first ? f->loose.first : "?");
    for (int i = 0; i < IMAGE_ROLES; i++) {
        const struct path_count *twice = &f->sets[i].list.twice;
        if (twice->count)
            rt_note("%s: %lld picture%s %s of two classes, by links to one file, such as %s", f->sets[i].dir,
                    (long long)twice->count, twice->count == 1 ? "" : "s", twice->count == 1 ? "is" : "are",
                    twice->first ? twice->first : "?");
    }
}

int rt_image_folders_scan(struct image_folders *f, const char *dir, bool splits)
{
    *f = (struct image_folders){ 0 };
    if (sets_find(f, dir))
        return -1;
    if (f->sets[IMAGE_TRAIN].dir) {
        if (layout_check(f, dir, splits))
            return -1;
        rt_loose_pictures_count(dir, &f->loose);
    } else {
        if (training_missing(f, dir, splits))
            return -1;
        for (int i = 0; i < IMAGE_ROLES; i++) {
            free(f->sets[i].dir);
            f->sets[i].dir = NULL;
        }
        f->sets[IMAGE_TRAIN].dir = strdup(dir);
    }
    int status = 0;
    for (int i = 0; i < IMAGE_ROLES && (status == 0 || f->classes); i++)
        if (f->sets[i].dir)
            status |= set_scan(f, &f->sets[i]);
    if (status == 0)
        status = sets_compare(f);
    if (status == 0)
        unused_tell(f, dir);
    return status ? -1 : 0;
}

bool rt_image_folders_probe(const char *dir)
{
    char **names;
    int count = rt_is_folder(dir) ? rt_folders_list(dir, &names) : -1;
    bool found = false;
    for (int i = 0; i < count && !found; i++) {
        char *path = rt_path_join(dir, names[i]);
        found = path && (role_of(names[i]) == IMAGE_TRAIN || rt_pictures_any(path));
        free(path);
    }
    if (count >= 0)
        rt_names_free(names, count);
    return found;
}
