/* command_lr_range.c - lr-range: trains some steps while the rate rises, from weights that nobody keeps, and leaves a
 * table and a picture of the losses. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "core/atomic_file.h"
#include "core/message.h"
#include "train/lr_range.h"
#include "train/trainer.h"

enum { STEPS = 100 };
static const double first_rate = 1e-6, last_rate = 1.0;

/* A file of that name that is none of ours is not replaced.  0, or -1 with a message. */
static int file_check(const char *path, const char *head)
{
    char text[32] = "";
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    size_t length = fread(text, 1, strlen(head), f);
    fclose(f);
    if (length == 0 || strncmp(text, head, strlen(head)) == 0)
        return 0;
    rt_error("%s: is no file of a range test, and would be replaced", path);
    return -1;
}

static int file_write(const char *path, const char *text, size_t length)
{
    struct atomic_file file;
    if (rt_atomic_open(&file, path))
        return -1;
    if (rt_atomic_write(&file, text, length) == 0)
        return rt_atomic_commit(&file);
    rt_atomic_drop(&file);
    return -1;
}

/* The table or the picture, whole or not at all.  0, or -1 with a message. */
static int result_write(const struct range_test *r, const char *title, const char *path, bool picture)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out && picture)
        rt_range_draw(r, title, out);
    else if (out)
        rt_range_table(r, out);
    bool whole = out && fclose(out) == 0;
    if (!whole)
        rt_error("%s: no memory to write it", path);
    int status = whole ? file_write(path, text, length) : -1;
    free(text);
    return status;
}

/* Through the training set, as often as it takes.  0, or -1 with a message where a sample cannot be read. */
static int range_run(struct trainer *t, struct range_test *r)
{
    struct cnn_context *c = t->context;
    const int64_t batch = t->model->batch, each = (t->data.train.count + batch - 1) / batch;
    bool goes_on = true;
    c->early_update = true;
    c->trained_only = true;
    c->steps_total = (uint64_t)r->room;
    rt_loader_begin(&t->train, c->seed, 0);
    for (int n; goes_on; c->step++) {
        if (t->train.next >= t->data.train.count)
            rt_loader_begin(&t->train, c->seed, c->step / (uint64_t)each);
        n = rt_loader_next(&t->train, c);
        if (n <= 0)
            return -1;
        c->lr = rt_range_rate(r, r->count);
        c->epoch = (double)c->step / (double)each;
        t->model->train_step(c, n);
        goes_on = rt_range_add(r, c->loss / n);
        if (goes_on)
            t->model->update(c);
    }
    return 0;
}

static void range_say(const struct range_test *r, const char *table, const char *picture)
{
    int suggested = rt_range_suggestion(r), lowest = rt_range_lowest(r);
    if (r->count < r->room)
        rt_print(stdout, "Ended at a rate of %.3g, after %d of %d steps: the losses rise\n",
                 rt_range_rate(r, r->count - (r->count > 0)), r->count, r->room);
    if (lowest >= 0)
        rt_print(stdout, "The smoothed loss is lowest (%.4f) at a rate of %.3g\n", r->rows[lowest].smoothed,
                 r->rows[lowest].rate);
    if (suggested >= 0)
        rt_print(stdout, "The losses fall most steeply at %.3g: a rate to begin with\n", r->rows[suggested].rate);
    else
        rt_print(stdout, "They never fall: no rate of these trains the network\n");
    rt_print(stdout, "Losses: %s, %s\n", table, picture);
}

static int range_test(struct trainer *t, const struct command_options *o, const char *table, const char *picture)
{
    struct range_test r;
    double from = isnan(o->from) ? first_rate : o->from, to = isnan(o->to) ? last_rate : o->to;
    int status = -1;
    if (rt_range_open(&r, from, to, o->steps > 0 ? (int)o->steps : STEPS))
        return -1;
    if (rt_loader_open(&t->train, t->context, &t->data.train, o->run.no_shuffle ? LOADER_TRAINS : LOADER_SHUFFLES) == 0
        && range_run(t, &r) == 0
        && result_write(&r, t->model->name, table, false) == 0 && result_write(&r, t->model->name, picture,
                                                                               true) == 0) {
        range_say(&r, table, picture);
        status = 0;
    }
    rt_range_close(&r);
    return status;
}

int rt_lr_range(const struct cnn_model *model, const struct command_options *o)
{
    struct trainer t = rt_trainer_of(model, &o->run);
    char *table = NULL, *picture = NULL;
    if (!model->train.optimizer.name) {
        rt_error("%s has no `train` section", model->source);
        return EXIT_FAILED;
    }
    if ((isnan(o->from) ? first_rate : o->from) >= (isnan(o->to) ? last_rate : o->to)) {
        rt_error("--from is a smaller rate than --to");
        return EXIT_WRONG_USE;
    }
    const char *name = o->output ? o->output : model->name, *ending = o->output ? "" : ".lr-range";
    int status = EXIT_FAILED;
    if (asprintf(&table, "%s%s.csv", name, ending) < 0 || asprintf(&picture, "%s%s.svg", name, ending) < 0)
        rt_error("no memory for names");
    else if (file_check(table, "step,lr,loss,") || file_check(picture, "<?xml"))
        status = EXIT_WRONG_USE;
    else if (rt_trainer_open(&t, o->run.weights, true) == 0 && range_test(&t, o, table, picture) == 0)
        status = EXIT_FINE;
    if (rt_trainer_close(&t))
        status = EXIT_FAILED;
    free(table);
    free(picture);
    return status;
}
