/* counts_text.c - see counts_text.h. */
#include "train/counts_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/message.h"

enum { COUNT_LETTERS = 21 };    /* of a count and the space behind it */

void rt_counts_save(struct state *s, const char *name, const int64_t *counts, size_t count)
{
    size_t length = 0, room = count * COUNT_LETTERS;
    char *text = malloc(room + 1);
    if (!text) {
        s->failed = true;
        return;
    }
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, room + 1 - length, "%" PRId64 " ", counts[i]);
    rt_state_put_text(s, name, text);
    free(text);
}

int rt_counts_load(const struct state *s, const char *name, int64_t *counts, size_t count)
{
    const char *text = rt_state_text(s, name);
    for (size_t i = 0; i < count; i++) {
        char *end = NULL;
        long long number = text ? strtoll(text, &end, 10) : -1;
        if (number < 0 || end == text) {
            rt_error("%s: has no %zu counts under '%s'", s->path, count, name);
            return -1;
        }
        text = end;
        counts[i] = number;
    }
    return 0;
}
