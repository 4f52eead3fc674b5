/* history.c - CSV tables of a run.  They hold no times, so that two equal runs leave equal
 * files. */
#include "history.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "message.h"

int rt_history_open(struct history *h, const char *path)
{
    *h = (struct history){ .path = path };
    if (!path)
        return 0;
    h->file = fopen(path, "w");
    if (h->file)
        return 0;
    rt_error("%s: %s", path, strerror(errno));
    return -1;
}

/* After each row: what is written is on its way to the file, and a full disk is noticed. */
static void row_end(struct history *h)
{
    if (fflush(h->file) == 0 && !ferror(h->file))
        return;
    if (!h->failed)
        rt_error("%s: %s; training goes on without this file", h->path, strerror(errno));
    h->failed = true;
}

int rt_history_close(struct history *h)
{
    if (h->file && fclose(h->file) != 0 && !h->failed) {
        rt_error("%s: %s", h->path, strerror(errno));
        h->failed = true;
    }
    h->file = NULL;
    return h->failed ? -1 : 0;
}

void rt_history_epoch_header(struct history *h, const struct tally *t)
{
    if (!h->file || h->failed)
        return;
    fprintf(h->file, "epoch,lr");
    for (int i = 0; i < rt_tally_count(t); i++)
        fprintf(h->file, ",%s", rt_tally_name(t, i));
    for (int i = 0; i < rt_tally_count(t); i++)
        fprintf(h->file, ",val_%s", rt_tally_name(t, i));
    fputc('\n', h->file);
    row_end(h);
}

void rt_history_epoch(struct history *h, int epoch, double lr, const struct tally *train,
                      const struct tally *val)
{
    if (!h->file || h->failed)
        return;
    fprintf(h->file, "%d,%.9g", epoch + 1, lr);
    for (int i = 0; i < rt_tally_count(train); i++)
        fprintf(h->file, ",%.9g", rt_tally_value(train, i));
    for (int i = 0; i < rt_tally_count(val); i++)
        fprintf(h->file, ",%.9g", rt_tally_value(val, i));
    fputc('\n', h->file);
    row_end(h);
}

void rt_history_step_header(struct history *h)
{
    if (!h->file || h->failed)
        return;
    fprintf(h->file, "step,loss\n");
    row_end(h);
}

void rt_history_step(struct history *h, uint64_t step, double loss)
{
    if (!h->file || h->failed)
        return;
    /* all digits: a run's losses can be compared to the bit */
    fprintf(h->file, "%" PRIu64 ",%.17g\n", step, loss);
    row_end(h);
}
