/* inference_memory.c - where the values between steps lie in the arena of the emitted network.
 *
 * A value lives from the step that writes it to the last that reads it.  Steps that work element by
 * element write over an input that dies with them.  The rest is placed largest first, each at the
 * lowest offset that is free during its life. */
#include <stdlib.h>

#include "emit/inference.h"
#include "steps/placing.h"

/* Floats: places are multiples of 16 bytes, as vectors like them. */
enum { ALIGN = 4 };

static int64_t aligned(int64_t floats)
{
    return (floats + ALIGN - 1) / ALIGN * ALIGN;
}

static bool by_element(enum infer_kind kind)
{
    return kind == INFER_SCALE || kind == INFER_ACTIVATION || kind == INFER_ADD ||
           kind == INFER_SOFTMAX;
}

static struct infer_value *root_of(struct infer_value *v)
{
    while (v->same)
        v = v->same;
    return v;
}

/* The result takes the memory of an input that nobody reads afterwards. */
static void share(struct infer_step *s, int number)
{
    for (int i = 0; i < s->in_count; i++) {
        struct infer_value *root = root_of(s->in[i]);
        if (!by_element(s->kind) || s->out->same || s->out->place != INFER_IN_ARENA ||
            root->place != INFER_IN_ARENA || root->last != number || root->size != s->out->size)
            continue;
        s->out->same = root;
        root->last = s->out->last;
    }
}

static int by_size(const void *a, const void *b)
{
    const struct infer_value *x = *(struct infer_value *const *)a,
                             *y = *(struct infer_value *const *)b;

    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->first - y->first;
}

void inference_place(struct arena *a, struct inference *net)
{
    struct infer_value **list = arena_array(a, (size_t)net->values_count + 1, sizeof *list);
    struct item *items = arena_array(a, (size_t)net->values_count + 1, sizeof *items);
    struct item_placed *placed = arena_array(a, (size_t)net->values_count + 1, sizeof *placed);
    int count = 0;

    for (int i = 0; i < net->steps_count; i++)
        share(net->steps[i], i);
    for (int i = 0; i < net->values_count; i++)
        if (net->values[i]->place == INFER_IN_ARENA && !net->values[i]->same)
            list[count++] = net->values[i];
    qsort(list, (size_t)count, sizeof *list, by_size);
    for (int i = 0; i < count; i++)
        items[i] = (struct item){aligned(list[i]->size), &list[i]->offset, list[i]->first, list[i]->last, i};
    place_items(items, placed, count, &net->arena_floats);
    for (int i = 0; i < net->values_count; i++)
        net->values[i]->offset = root_of(net->values[i])->offset;
    for (int i = 0; i < net->steps_count; i++) {
        struct infer_step *s = net->steps[i];
        for (int k = 0; k < s->in_count; k++)
            s->in_place |= root_of(s->in[k]) == root_of(s->out);
    }
}
