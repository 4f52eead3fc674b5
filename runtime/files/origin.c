/* origin.c - as plain texts of the metadata, written only where they are known:
 *
 *     epochs "3"    samples "0"    steps "1875"    monitor "val_loss"    value "0.690412343"
 */
#define _GNU_SOURCE
#include "files/origin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rt_origin_free(struct weights_origin *o)
{
    free(o->monitor);
    *o = (struct weights_origin){ 0 };
}

void rt_origin_set(struct weights_origin *o, int64_t epochs, int64_t samples, int64_t steps)
{
    rt_origin_free(o);
    *o = (struct weights_origin){ .epochs = epochs, .samples = samples, .steps = steps };
}

void rt_origin_choose(struct weights_origin *o, const char *monitor, double value)
{
    free(o->monitor);
    o->monitor = monitor ? strdup(monitor) : NULL;
    o->value = monitor ? value : 0.0;
}

void rt_origin_copy(struct weights_origin *to, const struct weights_origin *from)
{
    rt_origin_set(to, from->epochs, from->samples, from->steps);
    rt_origin_choose(to, from->monitor, from->value);
}

char *rt_origin_text(const struct weights_origin *o)
{
    char *text = NULL;
    int status;
    if (o->steps == 0)
        status = asprintf(&text, "of which epoch is not known");
    else if (o->samples > 0 && o->monitor)
        status = asprintf(&text, "after %" PRId64 " samples of epoch %" PRId64 ", the best by %s (%.4f)", o->samples,
                          o->epochs + 1, o->monitor, o->value);
    else if (o->samples > 0)
        status = asprintf(&text, "after %" PRId64 " samples of epoch %" PRId64, o->samples, o->epochs + 1);
    else if (o->monitor)
        status = asprintf(&text, "of epoch %" PRId64 ", the best by %s (%.4f)", o->epochs, o->monitor, o->value);
    else
        status = asprintf(&text, "of epoch %" PRId64 ", the last", o->epochs);
    return status < 0 ? NULL : text;
}

/* ---- metadata -------------------------------------------------------------------------------------------------- */

static char *whole_text(int64_t value)
{
    char *text = NULL;
    return asprintf(&text, "%" PRId64, value) < 0 ? NULL : text;
}

int rt_origin_write(const struct weights_origin *o, struct text_pair pairs[ORIGIN_PAIRS])
{
    int count = 0;
    char *value = NULL;
    if (o->steps == 0)
        return 0;
    pairs[count++] = (struct text_pair){ "epochs", whole_text(o->epochs) };
    pairs[count++] = (struct text_pair){ "samples", whole_text(o->samples) };
    pairs[count++] = (struct text_pair){ "steps", whole_text(o->steps) };
    if (o->monitor) {
        pairs[count++] = (struct text_pair){ "monitor", strdup(o->monitor) };
        pairs[count++] = (struct text_pair){ "value", asprintf(&value, "%.9g", o->value) < 0 ? NULL : value };
    }
    bool whole = true;
    for (int i = 0; i < count; i++)
        whole = whole && pairs[i].value;
    for (int i = 0; i < count && !whole; i++)
        free((char *)pairs[i].value);
    return whole ? count : -1;
}

/* A number from 0 that a file says under a name; 0 where it says none. */
static int64_t whole_find(const struct tensor_file *f, const char *key)
{
    const char *text = rt_stored_text(f, key);
    long long number = text ? strtoll(text, NULL, 10) : 0;
    return number > 0 ? number : 0;
}

void rt_origin_read(struct weights_origin *o, const struct tensor_file *f)
{
    const char *monitor = rt_stored_text(f, "monitor"), *value = rt_stored_text(f, "value");
    rt_origin_set(o, whole_find(f, "epochs"), whole_find(f, "samples"), whole_find(f, "steps"));
    if (o->steps > 0 && monitor && value)
        rt_origin_choose(o, monitor, strtod(value, NULL));
}

/* ---- state ----------------------------------------------------------------------------------------------------- */

void rt_origin_save(const struct weights_origin *o, struct state *s)
{
    rt_state_put_whole(s, "weights_epochs", o->epochs);
    rt_state_put_whole(s, "weights_samples", o->samples);
    rt_state_put_whole(s, "weights_steps", o->steps);
    if (o->monitor) {
        rt_state_put_text(s, "weights_monitor", o->monitor);
        rt_state_put_number(s, "weights_value", o->value);
    }
}

void rt_origin_load(struct weights_origin *o, const struct state *s)
{
    const char *monitor = rt_state_text(s, "weights_monitor");
    int64_t epochs, samples, steps;
    double value;
    if (!rt_state_text(s, "weights_steps") || rt_state_get_whole(s, "weights_epochs", &epochs)
        || rt_state_get_whole(s, "weights_samples", &samples) || rt_state_get_whole(s, "weights_steps", &steps))
        return;
    rt_origin_set(o, epochs, samples, steps);
    if (monitor && rt_state_get_number(s, "weights_value", &value) == 0)
        rt_origin_choose(o, monitor, value);
}
