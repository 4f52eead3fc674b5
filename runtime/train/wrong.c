/* wrong.c - picture,class,name,taken_for,taken_for_name,probability */
#define _GNU_SOURCE
#include "train/wrong.h"

#include <stdlib.h>

#include "core/atomic_file.h"
#include "train/confusion.h"
#include "core/message.h"
#include "core/quoted.h"

int rt_wrong_add(struct wrong_list *l, const struct cnn_context *c, int n, int64_t first)
{
    if (l->count + n > l->room) {
        int64_t room = 2 * l->room + n;
        struct wrong_picture *items = realloc(l->items, (size_t)room * sizeof *items);
        if (!items) {
            rt_error("no memory for the list of what was taken for something else");
            return -1;
        }
        l->items = items;
        l->room = room;
    }
    for (int i = 0; i < n; i++) {
        struct wrong_picture p = { .number = first + i, .class = c->labels[i] };
        p.taken_for = rt_most_probable(c, i, &p.probability);
        if (p.taken_for != p.class)
            l->items[l->count++] = p;
    }
    return 0;
}

static void rows_put(FILE *out, const struct wrong_list *l, const struct split *split, char *const *names)
{
    char room[PICTURE_NAME_ROOM];
    fputs("picture,class,name,taken_for,taken_for_name,probability\n", out);
    for (int64_t i = 0; i < l->count; i++) {
        const struct wrong_picture *p = &l->items[i];
        rt_csv_text(out, rt_split_name(split, p->number, room));
        fprintf(out, ",%d,", p->class);
        rt_csv_text(out, names ? names[p->class] : "");
        fprintf(out, ",%d,", p->taken_for);
        rt_csv_text(out, names ? names[p->taken_for] : "");
        fprintf(out, ",%.6f\n", p->probability);
    }
}

int rt_wrong_write(const struct wrong_list *l, const char *path, const struct split *split, char *const *names)
{
    struct atomic_file file;
    char *text = NULL;
    size_t length = 0;
    int status = -1;
    FILE *out = open_memstream(&text, &length);
    if (out)
        rows_put(out, l, split, names);
    if (!out || fclose(out))
        rt_error("%s: no memory to write it", path);
    else if (rt_atomic_open(&file, path) == 0) {
        status = rt_atomic_write(&file, text, length);
        if (status)
            rt_atomic_drop(&file);
        else
            status = rt_atomic_commit(&file);
    }
    free(text);
    return status;
}

void rt_wrong_free(struct wrong_list *l)
{
    free(l->items);
    *l = (struct wrong_list){ 0 };
}
