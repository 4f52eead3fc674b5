/* option.c - see option.h. */
#include "common/option.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *whole_store(const struct option_row *row, const char *argument, void *place, char *text, size_t size)
{
    char *end;
    errno = 0;
    long long value = strtoll(argument, &end, 10);
    if (!errno && end != argument && !*end && value >= row->least && value <= row->most) {
        *(int64_t *)place = value;
        return NULL;
    }
    if (row->most == INT64_MAX)
        snprintf(text, size, "a whole number from %lld", (long long)row->least);
    else
        snprintf(text, size, "a whole number from %lld to %lld", (long long)row->least, (long long)row->most);
    return text;
}

static const char *real_store(const struct option_row *row, const char *argument, void *place)
{
    char *end;
    double value = strtod(argument, &end);
    if (end == argument || *end || isinf(value) || !(row->above ? value > row->low : value >= row->low) ||
        !(value <= row->high))
        return row->expected;
    *(double *)place = value;
    return NULL;
}

/* "a, b or c", as far as it fits. */
static const char *words_text(const struct option_row *row, char *text, size_t size)
{
    size_t at = 0;
    for (int i = 0; row->words[i] && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", !i ? "" : row->words[i + 1] ? ", " : " or ",
                               row->words[i]);
    return text;
}

static const char *word_store(const struct option_row *row, const char *argument, void *place, char *text, size_t size)
{
    for (int i = 0; row->words[i]; i++)
        if (!strcmp(row->words[i], argument)) {
            *(int *)place = (int)row->least + i;
            return NULL;
        }
    return words_text(row, text, size);
}

const char *rt_option_store(const struct option_row *row, const char *argument, void *into, char *text, size_t size)
{
    void *place = (char *)into + row->place;
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)place = true;
        return NULL;
    case OPTION_TEXT:
        *(const char **)place = argument;
        return *argument ? NULL : row->expected;
    case OPTION_WHOLE:
        return whole_store(row, argument, place, text, size);
    case OPTION_REAL:
        return real_store(row, argument, place);
    case OPTION_WORD:
        return word_store(row, argument, place, text, size);
    case OPTION_OWN:
        return row->set(into, argument);
    case OPTION_ASKS:
        break;
    }
    return NULL;
}
