/* image_folders.h - which pictures of which classes the source `images` finds in its folder.
 *
 *     dir/train/CLASS/...  dir/test/CLASS/...       and perhaps dir/val/CLASS/...
 *     dir/CLASS/...                                 with `split` in the recipe
 *
 * Sets may have the other names that are usual for them (valid, validation ..., in any case of
 * letters).  Whatever the folder holds beside what is used is said once; what would train something
 * else than was meant, such as a folder that links make part of two classes, is an error.
 */
#ifndef IMAGE_FOLDERS_H
#define IMAGE_FOLDERS_H

#include "data/picture_list.h"

struct picture_set {
    char *dir;                  /* NULL: there is no such set */
    struct picture_list list;
    uint16_t *labels;           /* of the list's pictures */
    uint16_t *folder_labels;    /* of the list's folders */
    uint8_t *part;              /* (pictures) room for enum subset_part */
};

enum image_role { IMAGE_TRAIN, IMAGE_VAL, IMAGE_TEST, IMAGE_ROLES };

struct image_folders {
    char **class_names;         /* training's folders in the order of bytes */
    int classes;
    struct picture_set sets[IMAGE_ROLES];
    struct left_out left;
    struct path_count loose;    /* pictures that lie in no class's folder */
};

/* Lists all pictures.  0, or -1 with a message; free in either case. */
int rt_image_folders_scan(struct image_folders *f, const char *dir, bool splits);
void rt_image_folders_free(struct image_folders *f);
/* Whether the directory looks like one of either form. */
bool rt_image_folders_probe(const char *dir);

#endif
