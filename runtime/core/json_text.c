/* json_text.c - see json_text.h. */
#include "core/json_text.h"

#include <stdlib.h>

char *rt_json_print(const json_t *value, size_t flags)
{
    char *text = value ? json_dumps(value, flags) : NULL;
    json_t *again = text ? json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL) : NULL;
    if (text && !(again && json_equal(again, (json_t *)value))) {
        free(text);
        text = NULL;
    }
    json_decref(again);
    return text;
}
