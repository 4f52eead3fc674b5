/* cnnrt_mpi.c - how processes reach each other: struct cnn_ranks over MPI, from one thread of each process.
 *
 * Sums whose order matters are made by the runtime; MPI moves bytes.  It reduces only where it is asked to
 * (--reduce=fast).
 *
 * What is begun goes on while the processes compute: MPI moves it on whenever one of them looks (finished()), which it
 * does between the phases of a step.  These transfers have a communicator of their own, because each process begins
 * them when it has come so far, and not at the same place among the others. */
#define _GNU_SOURCE                     /* sched_getaffinity() */
#include "cnnrt_mpi.h"

#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* More than a message may have is sent in several. */
enum { MESSAGE_MOST = 1 << 30 };

/* Something that was begun: its messages, or the one request of a collective operation. */
struct transfer {
    MPI_Request *requests;
    int count, room;
    int *sizes, *places;        /* of a collective's pieces */
};

struct transfers {
    MPI_Comm own;
    struct transfer *list;      /* their numbers are what the runtime knows them by */
    int count, room;
};

static int failed(const char *what, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS)
        return 0;
    MPI_Error_string(code, text, &length);
    fprintf(stderr, "%s failed: %s\n", what, text);
    return -1;
}

/* 1: all of them are through, 0: not yet, -1: with a message.  Any look moves on whatever is under way. */
static int messages_look(const char *what, int count, MPI_Request *requests)
{
    int done = 1;
    for (int i = 0; i < count && done; i++)
        if (failed(what, MPI_Test(&requests[i], &done, MPI_STATUS_IGNORE)))
            return -1;
    return done;
}

/* Until messages are through.  MPI itself would look on without a pause, which a machine that others use as well pays
 * for: what takes longer than an uneven share of the work is looked for now and then. */
static int wait_politely(const char *what, int count, MPI_Request *requests)
{
    enum { LOOKS = 2000, YIELDS = 200 };
    static const struct timespec pause = { .tv_nsec = 50000 };
    for (int looks = 0;; looks++) {
        const int found = messages_look(what, count, requests);
        if (found)
            return found < 0 ? -1 : 0;
        if (looks >= LOOKS + YIELDS)
            nanosleep(&pause, NULL);
        else if (looks >= LOOKS)
            sched_yield();
    }
}

/* From one process to all. */
static int bytes_give(void *bytes, size_t count, int from)
{
    MPI_Request request;
    for (size_t at = 0; at < count; at += MESSAGE_MOST) {
        const size_t left = count - at;
        const int n = (int)(left < MESSAGE_MOST ? left : MESSAGE_MOST);
        if (failed("MPI_Ibcast", MPI_Ibcast((char *)bytes + at, n, MPI_BYTE, from, MPI_COMM_WORLD, &request))
            || wait_politely("MPI_Ibcast", 1, &request))
            return -1;
    }
    return 0;
}

static int ranks_broadcast(const struct cnn_ranks *r, void *bytes, size_t count)
{
    (void)r;
    return bytes_give(bytes, count, 0);
}

static int ranks_gather(const struct cnn_ranks *r, const void *mine, size_t bytes, void *all)
{
    const bool in_place = (const char *)mine == (char *)all + (size_t)r->number * bytes;
    MPI_Request request;
    if (bytes <= MESSAGE_MOST / (size_t)r->count)
        return failed("MPI_Iallgather", MPI_Iallgather(in_place ? MPI_IN_PLACE : mine, in_place ? 0 : (int)bytes,
                                                       MPI_BYTE, all, (int)bytes, MPI_BYTE, MPI_COMM_WORLD, &request))
               || wait_politely("MPI_Iallgather", 1, &request) ? -1 : 0;
    if (!in_place)
        memcpy((char *)all + (size_t)r->number * bytes, mine, bytes);
    for (int i = 0; i < r->count; i++)
        if (bytes_give((char *)all + (size_t)i * bytes, bytes, i))
            return -1;
    return 0;
}

/* ---- what goes on while others compute --------------------------------------------------------------------------- */

/* Room for one more, with so many messages.  NULL with a message. */
static struct transfer *transfer_begin(const struct cnn_ranks *r, int messages)
{
    struct transfers *all = r->own;
    if (all->count == all->room) {
        struct transfer *list = realloc(all->list, (size_t)(all->room + 16) * sizeof *list);
        if (list) {
            all->list = list;
            memset(list + all->room, 0, 16 * sizeof *list);
            all->room += 16;
        }
    }
    struct transfer *t = all->count < all->room ? &all->list[all->count] : NULL;
    if (t && messages > t->room) {
        free(t->requests);
        free(t->sizes);
        t->requests = malloc((size_t)messages * sizeof *t->requests);
        t->sizes = malloc((size_t)r->count * 2 * sizeof *t->sizes);
        t->places = t->sizes ? t->sizes + r->count : NULL;
        t->room = t->requests && t->sizes ? messages : 0;
    }
    if (!t || messages > t->room) {
        fprintf(stderr, "no memory for %d messages\n", messages);
        return NULL;
    }
    t->count = 0;
    all->count++;
    return t;
}

/* Bytes of the piece of rank i: the last ones may be smaller, or there may be nothing left for them. */
static int piece_bytes(size_t each, size_t whole, int i)
{
    const size_t begin = (size_t)i * each;
    return begin >= whole ? 0 : (int)(whole - begin < each ? whole - begin : each);
}

static int exchange_begin(const struct cnn_ranks *r, const void *mine, size_t each, size_t whole, int mark, void *all)
{
    enum { TAGS = 32768 };              /* that any MPI has; so many are never under way out of their order */
    struct transfers *transfers = r->own;
    struct transfer *t = transfer_begin(r, 2 * (r->count - 1));
    const int own = piece_bytes(each, whole, r->number);
    if (!t)
        return -1;
    if (own)
        memcpy((char *)all + (size_t)r->number * each, (const char *)mine + (size_t)r->number * each, (size_t)own);
    for (int k = 1; k < r->count; k++) {        /* each begins with another one */
        const int to = (r->number + k) % r->count, from = (r->number - k + r->count) % r->count;
        const int bytes = piece_bytes(each, whole, to);
        if (own && failed("MPI_Irecv", MPI_Irecv((char *)all + (size_t)from * each, own, MPI_BYTE, from, mark % TAGS,
                                                 transfers->own, &t->requests[t->count++])))
            return -1;
        if (bytes && failed("MPI_Isend", MPI_Isend((const char *)mine + (size_t)to * each, bytes, MPI_BYTE, to,
                                                   mark % TAGS, transfers->own, &t->requests[t->count++])))
            return -1;
    }
    return transfers->count - 1;
}

static int spread_begin(const struct cnn_ranks *r, void *all, size_t each, size_t whole)
{
    struct transfers *transfers = r->own;
    struct transfer *t = transfer_begin(r, 1);
    if (!t)
        return -1;
    for (int i = 0; i < r->count; i++) {
        t->sizes[i] = piece_bytes(each, whole, i);
        t->places[i] = t->sizes[i] ? (int)((size_t)i * each) : 0;
    }
    t->count = 1;
    return failed("MPI_Iallgatherv", MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, all, t->sizes, t->places, MPI_BYTE,
                                                     transfers->own, t->requests)) ? -1 : transfers->count - 1;
}

static int sum_begin(const struct cnn_ranks *r, void *numbers, size_t count, int real_size)
{
    struct transfers *transfers = r->own;
    struct transfer *t = transfer_begin(r, 1);
    if (!t)
        return -1;
    t->count = 1;
    return failed("MPI_Iallreduce", MPI_Iallreduce(MPI_IN_PLACE, numbers, (int)count, real_size == 8 ? MPI_DOUBLE
                                                   : MPI_FLOAT,
                                                   MPI_SUM, transfers->own, t->requests)) ? -1 : transfers->count - 1;
}

static int finished(const struct cnn_ranks *r, int transfer, bool wait)
{
    const struct transfers *all = r->own;
    const struct transfer *t = &all->list[transfer];
    if (wait)
        return wait_politely("a message", t->count, t->requests) ? -1 : 1;
    return messages_look("a message", t->count, t->requests);
}

static int settle(const struct cnn_ranks *r)
{
    struct transfers *all = r->own;
    int status = 0;
    for (int i = 0; i < all->count; i++)
        status |= wait_politely("a message", all->list[i].count, all->list[i].requests);
    all->count = 0;
    return status;
}

static void transfers_free(struct transfers *all)
{
    for (int i = 0; i < all->room; i++) {
        free(all->list[i].requests);
        free(all->list[i].sizes);
    }
    free(all->list);
}

static void give_up(const struct cnn_ranks *r, int status)
{
    (void)r;
    fflush(NULL);
    MPI_Abort(MPI_COMM_WORLD, status);
    abort();
}

/* The processors that this process may run on, a bit each; where the system does not say, all. */
enum { MASK_BYTES = 512 };
static void mask_find(unsigned char mask[MASK_BYTES])
{
    memset(mask, 0xff, MASK_BYTES);
#if defined __linux__
    cpu_set_t *set = CPU_ALLOC(8 * MASK_BYTES);
    if (set && sched_getaffinity(0, CPU_ALLOC_SIZE(8 * MASK_BYTES), set) == 0)
        memcpy(mask, set, MASK_BYTES);
    CPU_FREE(set);
#endif
}

/* Of the processes of one machine, those that share processors with this one; no memory: all. */
static int beside_count(const struct cnn_ranks *r, MPI_Comm host)
{
    unsigned char mine[MASK_BYTES], *all = malloc((size_t)r->on_host * MASK_BYTES);
    int count = 0, enough = all != NULL, all_enough;
    MPI_Allreduce(&enough, &all_enough, 1, MPI_INT, MPI_MIN, host);
    if (all_enough) {
        mask_find(mine);
        MPI_Allgather(mine, MASK_BYTES, MPI_BYTE, all, MASK_BYTES, MPI_BYTE, host);
    }
    for (int i = 0; i < r->on_host; i++) {
        bool meets = !all_enough;
        for (int k = 0; k < MASK_BYTES && !meets; k++)
            meets = mine[k] & all[(size_t)i * MASK_BYTES + (size_t)k];
        count += meets;
    }
    free(all);
    return count;
}

/* Processes that share this one's memory, the first of them, and those that share its processors. */
static void host_find(struct cnn_ranks *r)
{
    MPI_Comm host;
    r->on_host = r->beside = 1;
    r->host_first = r->number;
    if (MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host) == MPI_SUCCESS) {
        MPI_Comm_size(host, &r->on_host);
        MPI_Bcast(&r->host_first, 1, MPI_INT, 0, host);         /* they are numbered in the order of all */
        r->beside = beside_count(r, host);
        MPI_Comm_free(&host);
    }
}

int cnn_mpi_main(const struct cnn_model *model, int argc, char **argv)
{
    struct transfers transfers = { 0 };
    struct cnn_ranks ranks = { .own = &transfers, .gather = ranks_gather, .broadcast = ranks_broadcast,
                               .exchange_begin = exchange_begin, .spread_begin = spread_begin, .sum_begin = sum_begin,
                               .finished = finished, .settle = settle, .give_up = give_up };
    int provided;
    cnn_ranks_prepare(model, argv);     /* what the launcher has told this process in its environment stays */
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &ranks.number);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks.count);
    host_find(&ranks);
    if (provided < MPI_THREAD_FUNNELED && ranks.count > 1) {
        if (ranks.number == 0)
            fprintf(stderr, "this MPI takes no programs with threads\n");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Comm_dup(MPI_COMM_WORLD, &transfers.own);
    const int status = cnn_ranks_main(model, argc, argv, &ranks);
    MPI_Comm_free(&transfers.own);
    transfers_free(&transfers);
    MPI_Finalize();
    if (status >= CNN_STOPPED)
        raise(status / CNN_STOPPED);            /* whoever started us sees how we ended */
    return status % CNN_STOPPED;
}
