/* test_plan.c - plans keep their promises: the schedule is walked as the emitted code runs it, every write claims its
 * bytes, and every read must find them still claimed by the tensor and image that it wants. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "planned.h"

enum { LINE = 16 };     /* bytes of one claim */

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

struct walk {
    const struct plan *plan;
    const struct program *q;
    int *memory, *local;        /* claim of each line: tensor id * 1000 + image + 1 */
    int64_t memory_lines, local_lines;
    int reads;
};

/* The first image of the turn, and of the call. */
struct images {
    int turn, call;
};

static const struct tensor *base_of(const struct tensor *t)
{
    while (t->producer && t->producer->op == OP_view)
        t = t->producer->in[0];
    return t;
}

static int size_of(const struct walk *w, const struct tensor *t)
{
    return t->element == ELEMENT_U8 ? 1 : t->element == ELEMENT_I32 ? 4 : w->plan->real_size;
}

/* The lines that image i of t touches wholly; false when t does not lie in planned memory. */
static bool lines_of(const struct walk *w, const struct tensor *t, int i, struct images now, int **claims,
                     int64_t *from, int64_t *to)
{
    t = base_of(t);
    const struct tensor_place *x = &w->q->places[t->id];
    if (x->region != REGION_MEMORY && x->region != REGION_LOCAL)
        return false;
    int64_t size = t->per_sample ? x->sample * size_of(w, t) : x->bytes;
    int image = x->region == REGION_LOCAL ? i - (x->of_turn ? now.turn : now.call) : i;
    int64_t at = x->offset + (t->per_sample ? image * size : 0);
    *claims = x->region == REGION_LOCAL ? w->local : w->memory;
    *from = (at + LINE - 1) / LINE;
    *to = (at + size) / LINE;
    cr_assert(*to <= (x->region == REGION_LOCAL ? w->local_lines : w->memory_lines),
              "%s, image %d, lies outside of its memory", t->name, i);
    return true;
}

static void claim(struct walk *w, const struct tensor *t, int i, struct images at)
{
    int *claims;
    int64_t from, to;
    if (lines_of(w, t, i, at, &claims, &from, &to))
        for (int64_t k = from; k < to; k++)
            claims[k] = base_of(t)->id * 1000 + (t->per_sample ? i : 0) + 1;
}

static void want(struct walk *w, const struct tensor *t, int i, struct images at)
{
    int *claims;
    int64_t from, to;
    if (!lines_of(w, t, i, at, &claims, &from, &to))
        return;
    for (int64_t k = from; k < to; k++)
        cr_assert_eq(claims[k], base_of(t)->id * 1000 + (t->per_sample ? i : 0) + 1, "%s, image %d, was overwritten",
                     t->name, i);
    w->reads++;
}

static void do_step(struct walk *w, const struct step *s, int i, struct images at)
{
    for (int k = 0; k < s->arguments_count; k++)
        if (s->arguments[k].kind == ARGUMENT_TENSOR && s->arguments[k].access == ACCESS_READ)
            want(w, s->arguments[k].tensor, i, at);
    for (int k = 0; k < s->arguments_count; k++)
        if (s->arguments[k].kind == ARGUMENT_TENSOR && s->arguments[k].access != ACCESS_READ)
            claim(w, s->arguments[k].tensor, i, at);
}

static void do_turn(struct walk *w, const struct phase *f, int first)
{
    int n = w->plan->batch;
    for (int k = 0; k < f->steps_count;) {
        int end = k + 1;
        while (f->images > 1 && end < f->steps_count && f->steps[end]->images == f->steps[k]->images)
            end++;
        for (int i = first; i < first + f->images && i < n; i += f->steps[k]->images)
            for (int s = k; s < end; s++)
                for (int j = i; j < i + f->steps[s]->images; j++)
                    do_step(w, f->steps[s], j, (struct images){ first, i });
        k = end;
    }
}

static void walk(const struct plan *p, const struct program *q)
{
    struct walk w = { .plan = p, .q = q };
    w.memory_lines = (q->memory_bytes + LINE - 1) / LINE;
    w.local_lines = (q->local_bytes + LINE - 1) / LINE;
    w.memory = calloc((size_t)w.memory_lines + 1, sizeof *w.memory);
    w.local = calloc((size_t)w.local_lines + 1, sizeof *w.local);
    for (int k = 0; k < q->phases_count; k++) {
        const struct phase *f = &q->phases[k];
        for (int first = 0; f->split == SPLIT_IMAGES && first < p->batch; first += f->images)
            do_turn(&w, f, first);
        for (int s = 0; f->split == SPLIT_BLOCKS && s < f->steps_count; s++)
            for (int i = 0; i < p->batch; i++)
                do_step(&w, f->steps[s], i, (struct images){ 0, 0 });
    }
    cr_assert_gt(w.reads, 0);
    free(w.memory);
    free(w.local);
}

static void check_plans(const char *text, int batch)
{
    static const char *const names[] = { "x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64", "generic" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct world w;
        world_begin_batch(&w, text, names[i], NULL, 0, batch);
        walk(w.plan, &w.plan->train);
        walk(w.plan, &w.plan->use);
        arena_free(&w.arena);
    }
}

Test(plan, no_read_finds_its_bytes_overwritten_in_a_sequence)
{
    check_plans(planned_sequence, 0);
}

Test(plan, no_read_finds_its_bytes_overwritten_with_branches)
{
    check_plans(planned_branches, 0);
}

Test(plan, no_read_finds_its_bytes_overwritten_with_one_image_a_batch)
{
    check_plans(planned_sequence, 1);
    check_plans(planned_branches, 1);
}

Test(plan, no_read_finds_its_bytes_overwritten_in_groups)
{
    check_plans(planned_groups, 0);
}

static const struct group *group_over(const struct plan *p, const char *name)
{
    for (int i = 0; i < p->use.groups_count; i++)
        if (p->use.groups[i]->in_place && !strcmp(p->use.groups[i]->in_place->name, name))
            return p->use.groups[i];
    return NULL;
}

/* One picture in plain loops: sums begin with what is added to them, in its place. */
Test(plan, portable_plans_keep_their_promises)
{
    struct world w;
    world_begin_portable(&w, planned_sequence);
    walk(w.plan, &w.plan->use);
    cr_assert_eq(w.plan->use.phases_count, 1);
    arena_free(&w.arena);
    world_begin_portable(&w, planned_branches);
    walk(w.plan, &w.plan->use);
    cr_assert_not_null(group_over(w.plan, "batchnorm_1_relu_y"));       /* by conv2d_3 + add_1 */
    arena_free(&w.arena);
    world_begin_portable(&w, "network {\n input 2x5x4\n relu\n add {\n branch { tanh }\n branch { }\n }\n"
                             " softmax\n flatten\n}\n");
    walk(w.plan, &w.plan->use);
    cr_assert_eq(w.plan->scratch_bytes, 160);          /* all of it in one map */
    arena_free(&w.arena);
}

static const char wide[] =
    "network {\n input 3x32x32\n conv2d 32, 3x3, relu\n conv2d 48, 3x3, elu, padding=same\n maxpool2d 3x3, stride=2\n"
    " conv2d 64, 2x2, relu\n flatten\n dense 10, softmax\n}\n" TAIL;

/* Forward steps of convolutions and pools of a program, by how they are split. */
static void count_splits(const struct program *q, int *images, int *blocks)
{
    *images = *blocks = 0;
    for (int i = 0; i < q->steps_count; i++) {
        const struct step *s = q->steps[i];
        enum op op = s->group->main->op;
        if (s->hoisted || (op != OP_conv2d && op != OP_maxpool2d))
            continue;
        if (s->split == SPLIT_IMAGES)
            ++*images;
        else
            ++*blocks;
        cr_assert(s->split == SPLIT_IMAGES || s->blocks > 1, "%s has one block only", s->group->main->layer->name);
    }
}

Test(plan, one_image_is_cut_into_blocks_and_many_are_not)
{
    static const char *const forced[] = { "conv2d_2=winograd6" };
    int images, blocks;
    struct world w;
    world_begin_batch(&w, wide, "x86-64-v3", forced, 1, 1);
    count_splits(&w.plan->use, &images, &blocks);
    cr_assert_eq(images, 0);
    cr_assert_eq(blocks, 3 + 3);    /* one each; minimal filtering takes three */
    walk(w.plan, &w.plan->train);
    walk(w.plan, &w.plan->use);
    arena_free(&w.arena);
    world_begin_batch(&w, wide, "x86-64-v3", forced, 1, 2);
    count_splits(&w.plan->use, &images, &blocks);
    cr_assert_eq(images, 4);
    cr_assert_eq(blocks, 0);
    arena_free(&w.arena);
}

Test(plan, forced_kernels_are_taken)
{
    static const char *const forced[] = { "conv2d_2=winograd6", "conv2d_4:forward=im2col", "dense_1:data=openblas" };
    struct world w;
    world_begin(&w, planned_sequence, "x86-64-v3", forced, 3);
    int seen = 0;
    for (int i = 0; i < w.plan->train.groups_count; i++) {
        const struct group *g = w.plan->train.groups[i];
        if (!strcmp(g->main->layer->name, "conv2d_2"))
            seen += !strcmp(g->kernel->name, "winograd6");
        if (!strcmp(g->main->layer->name, "conv2d_4") && g->main->op == OP_conv2d)
            seen += !strcmp(g->kernel->name, "im2col");
        if (!strcmp(g->main->layer->name, "dense_1") && g->main->op == OP_dense_data_grad)
            seen += !strcmp(g->kernel->name, "openblas");
    }
    cr_assert_eq(seen, 5);      /* three passes of conv2d_2 and one each of the others */
    walk(w.plan, &w.plan->train);
    walk(w.plan, &w.plan->use);
    arena_free(&w.arena);
}

Test(plan, equal_inputs_give_equal_plans)
{
    struct world a, b;
    world_begin(&a, planned_sequence, "x86-64-v3", NULL, 0);
    world_begin(&b, planned_sequence, "x86-64-v3", NULL, 0);
    cr_assert_eq(a.plan->hash, b.plan->hash);
    world_begin(&b, planned_branches, "x86-64-v3", NULL, 0);
    cr_assert_neq(a.plan->hash, b.plan->hash);
}

/* Passes of a layer in training that a Winograd kernel computes. */
static int winograd_passes(const struct plan *p, const char *layer)
{
    int found = 0;
    for (int i = 0; i < p->train.groups_count; i++) {
        const struct group *g = p->train.groups[i];
        found += !strcmp(g->main->layer->name, layer) && !strncmp(g->kernel->name, "winograd", 8);
    }
    return found;
}

static int winograd_passes_of(int channels, int pixels)
{
    char text[500];
    struct world w;
    snprintf(text, sizeof text,
             "data { images \"x\"; scale 1/255 }\n network {\n input 3x%dx%d\n conv2d %d, 3x3, padding=same\n"
             " conv2d %d, 3x3, padding=same\n maxpool2d 2x2\n global_avgpool2d\n dense 10, softmax\n}\n"
             "train { loss categorical_crossentropy; optimizer adam; metrics accuracy; batch 8 }\n",
             pixels, pixels, channels, channels);
    world_begin(&w, text, "x86-64-v4", NULL, 0);
    int found = winograd_passes(w.plan, "conv2d_2");
    arena_free(&w.arena);
    return found;
}

/* As measured on one thread: a vector for few channels costs as much as a full one, and maps of large pictures leave
 * the caches; then direct convolution is up to four times as fast. */
Test(plan, few_channels_and_large_pictures_are_convolved_directly)
{
    cr_assert_eq(winograd_passes_of(1, 32), 0);
    cr_assert_eq(winograd_passes_of(3, 32), 0);
    cr_assert_eq(winograd_passes_of(8, 128), 0);
    cr_assert_eq(winograd_passes_of(16, 512), 0);
    cr_assert_eq(winograd_passes_of(17, 512), 0);
    cr_assert_eq(winograd_passes_of(16, 128), 3);
    cr_assert_eq(winograd_passes_of(32, 32), 3);
    cr_assert_eq(winograd_passes_of(64, 128), 3);
    cr_assert_eq(winograd_passes_of(64, 512), 3);
}

/* Transformed weights of 8192 x 8192 channels have 2.4e9 elements, more than the emitted code's int reaches. */
Test(plan, minimal_filtering_stays_within_an_int)
{
    static const char text[] =
        "data { shapes classes=10, train=64, val=10; scale 1/255 }\n network {\n input 3x32x32\n"
        " conv2d 8190, 2x2, relu, stride=6\n conv2d 8190, 2x2, relu\n global_avgpool2d\n dense 10, softmax\n}\n"
        "train { loss categorical_crossentropy; optimizer adam; metrics accuracy; batch 32 }\n";
    struct world w;
    world_begin(&w, text, "x86-64-v4", NULL, 0);
    cr_assert_eq(winograd_passes(w.plan, "conv2d_2"), 0);
    for (int i = 0; i < w.plan->train.buffers_count; i++)
        cr_assert_leq(w.plan->train.buffers[i]->bytes, (int64_t)INT32_MAX * 4);
    arena_free(&w.arena);
}
