/* check_calls.c - what of the user's calls itself, by whatever way: functions, and blocks of layers.
 *
 * Ensures: each is done after those that it calls, whatever their order in the text; those that call themselves are
 * marked and reported. */
#include "check/check_parts.h"

void calls_add(struct check *c, struct calls *calls, int callee, struct span where)
{
    const struct call call = {callee, where};

    LIST_ADD(c->arena, calls->list, calls->count, calls->capacity, call);
}

/* stack[from] is called again by the last one of the stack. */
static void refuse_recursion(struct check *c, const struct calls_walk *walk, const int *stack, int from, int count,
                             struct span where)
{
    const struct calls *last = walk->of(c, stack[count - 1]), *first = walk->of(c, stack[from]);

    if (last == first) {
        const char *hidden = walk->hidden(c, last->name);
        diag_error(c->diag, DIAG_recursion, where, "'%s' %s itself: %s", last->name, walk->verb, walk->reason);
        if (hidden)
            diag_hint(c->diag, "%s", hidden);
    } else {
        const struct call *way = &first->list[first->next - 1];
        diag_error(c->diag, DIAG_recursion, where, "'%s' %s '%s', which comes back to '%s'", last->name, walk->verb,
                   first->name, last->name);
        diag_note(c->diag, way->where, "'%s' %s '%s' here", first->name, walk->verb, walk->of(c, way->callee)->name);
    }
    for (int i = from; i < count; i++)
        walk->of(c, stack[i])->recursive = true;
}

/* Depth first, without recursion: a thousand may call each other in a row. */
static void check_from(struct check *c, const struct calls_walk *walk, int first, int *stack)
{
    int count = 0;

    if (walk->of(c, first)->state != CALLS_NEW)
        return;
    stack[count++] = first;
    walk->of(c, first)->state = CALLS_BUSY;
    while (count) {
        struct calls *caller = walk->of(c, stack[count - 1]);
        if (caller->next == caller->count) {
            walk->done(c, stack[count - 1]);
            caller->state = CALLS_DONE;
            count--;
            continue;
        }
        const struct call call = caller->list[caller->next++];
        struct calls *callee = walk->of(c, call.callee);
        if (callee->state == CALLS_NEW) {
            callee->state = CALLS_BUSY;
            stack[count++] = call.callee;
        } else if (callee->state == CALLS_BUSY && !(caller->recursive && callee->recursive)) {
            int from = count - 1;
            while (stack[from] != call.callee)
                from--;
            refuse_recursion(c, walk, stack, from, count, call.where);
        }
    }
}

void check_calls(struct check *c, const struct calls_walk *walk, int count)
{
    int *stack = arena_array(c->arena, (size_t)count + 1, sizeof *stack);

    for (int i = 0; i < count; i++)
        check_from(c, walk, i, stack);
}
