/* attributes.c - see attributes.h. */
#include "graph/attributes.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"

/* ---- kinds: how a value is written ------------------------------------------------------------------------------- */

/* Only what is not as usual, but for the size. */
static const char *text_WINDOW(struct arena *a, const struct attributes *of, const char *name, const void *value)
{
    const struct window *w = value;
    const char *text = arena_printf(a, " %s=%dx%d", name, w->kh, w->kw);

    (void)of;
    if (w->stride_h != 1 || w->stride_w != 1)
        text = arena_printf(a, "%s stride=%dx%d", text, w->stride_h, w->stride_w);
    if (w->dilation_h != 1 || w->dilation_w != 1)
        text = arena_printf(a, "%s dilation=%dx%d", text, w->dilation_h, w->dilation_w);
    if (w->pad_top || w->pad_bottom || w->pad_left || w->pad_right)
        text = arena_printf(a, "%s padding=%d+%d,%d+%d", text, w->pad_top, w->pad_bottom, w->pad_left, w->pad_right);
    return text;
}

static const char *text_ACTIVATION(struct arena *a, const struct attributes *of, const char *name, const void *value)
{
    (void)of;
    (void)name;
    const struct activation_row *row = *(const struct activation_row *const *)value;
    return arena_printf(a, " %s", row && row->call ? row->call : activation_word(row));
}

/* Behind the activation, where it has such a number. */
static const char *text_ALPHA(struct arena *a, const struct attributes *of, const char *name, const void *value)
{
    (void)name;
    if (!activation_has_alpha(of->activation))
        return "";
    return arena_printf(a, "(%.9g)", *(const double *)value);
}

static const char *text_REAL(struct arena *a, const struct attributes *of, const char *name, const void *value)
{
    (void)of;
    return arena_printf(a, " %s=%.9g", name, *(const double *)value);
}

static const char *text_WHOLE(struct arena *a, const struct attributes *of, const char *name, const void *value)
{
    (void)of;
    return arena_printf(a, " %s=%d", name, *(const int *)value);
}

/* What is not there is not said: here and below. */
static const char *text_WEIGHTS(struct arena *a, const struct attributes *of, const char *name, const void *value)
{
    const struct clause *weights = *(const struct clause *const *)value;
    struct text text = {.arena = a};

    (void)of;
    if (!weights)
        return "";
    text_add(&text, " %s=", name);
    for (int i = 0; i < weights->args[0].list_length; i++)
        text_add(&text, "%s%.9g", i ? "," : "", weights->args[0].list[i]);
    return text_of(&text);
}

static const char *text_SHARE(struct arena *a, const struct attributes *of, const char *name, const void *value)
{
    return *(const double *)value != 0 ? text_REAL(a, of, name, value) : "";
}

/* Only where it is set. */
static const char *text_FLAG(struct arena *a, const struct attributes *of, const char *name, const void *value)
{
    (void)of;
    return *(const int *)value ? arena_printf(a, " %s", name) : "";
}

static const char *text_LOSS(struct arena *a, const struct attributes *of, const char *name, const void *value)
{
    const struct clause *loss = *(const struct clause *const *)value;

    (void)of;
    (void)name;
    return loss ? arena_printf(a, " %s", loss->def->name) : "";
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

#define ATTRIBUTE(member, type, kind, holds, fault)                                                                  \
    static const char *fault_##member(const void *value)                                                             \
    {                                                                                                                 \
        type x = *(const type *)value;                                                                                \
        return (holds) ? NULL : (fault);                                                                              \
    }
#include "graph/attributes.def"
#undef ATTRIBUTE

static const struct attribute {
    const char *name;
    size_t offset, size;
    const char *(*text)(struct arena *a, const struct attributes *of, const char *name, const void *value);
    const char *(*fault)(const void *value);
} attributes[] = {
#define ATTRIBUTE(member, type, kind, holds, fault)                                                                  \
    { #member, offsetof(struct attributes, member), sizeof(type), text_##kind, fault_##member },
#include "graph/attributes.def"
#undef ATTRIBUTE
};

static const void *value_of(const struct attributes *of, int i)
{
    return (const char *)of + attributes[i].offset;
}

struct attributes attributes_of(const struct attributes *from, unsigned set)
{
    struct attributes some = { 0 };

    for (int i = 0; i < ATTRIBUTES; i++)
        if (set >> i & 1)
            memcpy((char *)&some + attributes[i].offset, value_of(from, i), attributes[i].size);
    return some;
}

/* No type has bytes that are no part of its value. */
bool attributes_equal(const struct attributes *a, const struct attributes *b, unsigned set)
{
    for (int i = 0; i < ATTRIBUTES; i++)
        if ((set >> i & 1) && memcmp(value_of(a, i), value_of(b, i), attributes[i].size) != 0)
            return false;
    return true;
}

const char *attributes_text(struct arena *a, const struct attributes *from, unsigned set)
{
    const char *text = "";

    for (int i = 0; i < ATTRIBUTES; i++)
        if (set >> i & 1)
            text = arena_printf(a, "%s%s", text, attributes[i].text(a, from, attributes[i].name, value_of(from, i)));
    return text;
}

const char *attributes_fault(const struct attributes *of, unsigned set)
{
    static const struct attributes none;

    for (int i = 0; i < ATTRIBUTES; i++) {
        const char *fault = set >> i & 1 ? attributes[i].fault(value_of(of, i)) : NULL;
        if (fault)
            return fault;
    }
    return attributes_equal(of, &none, ~set) ? NULL : "it has an attribute that its operation has not";
}
