/* cnnrt_mpi.c - how processes reach each other: struct cnn_ranks over MPI, from one thread of each process.
 *
 * Every sum is made by the runtime, in its own order; MPI moves bytes and reduces nothing. */
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

struct exchanges {
    MPI_Request *under_way;
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

/* Until a message is through.  MPI itself would look on without a pause, which a machine that others use as well pays for: what
 * takes longer than an uneven share of the work is looked for now and then. */
static int wait_politely(const char *what, MPI_Request *request)
{
    enum { LOOKS = 2000, YIELDS = 200 };
    static const struct timespec pause = { .tv_nsec = 50000 };
    for (int looks = 0;; looks++) {
        int done = 0;
        if (failed(what, MPI_Test(request, &done, MPI_STATUS_IGNORE)))
            return -1;
        if (done)
            return 0;
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
            || wait_politely("MPI_Ibcast", &request))
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
        return failed("MPI_Iallgather", MPI_Iallgather(in_place ? MPI_IN_PLACE : mine, in_place ? 0 : (int)bytes, MPI_BYTE,
                                                       all, (int)bytes, MPI_BYTE, MPI_COMM_WORLD, &request))
               || wait_politely("MPI_Iallgather", &request) ? -1 : 0;
    if (!in_place)
        memcpy((char *)all + (size_t)r->number * bytes, mine, bytes);
    for (int i = 0; i < r->count; i++)
        if (bytes_give((char *)all + (size_t)i * bytes, bytes, i))
            return -1;
    return 0;
}

static int room_make(struct exchanges *e, int more)
{
    if (e->count + more <= e->room)
        return 0;
    MPI_Request *grown = realloc(e->under_way, (size_t)(e->count + more) * sizeof *grown);
    if (!grown) {
        fprintf(stderr, "no memory for %d messages\n", e->count + more);
        return -1;
    }
    e->under_way = grown;
    e->room = e->count + more;
    return 0;
}

static int exchange_begin(const struct cnn_ranks *r, const void *mine, size_t bytes, void *all)
{
    struct exchanges *e = r->own;
    const int pieces = (int)((bytes + MESSAGE_MOST - 1) / MESSAGE_MOST);
    memcpy((char *)all + (size_t)r->number * bytes, (const char *)mine + (size_t)r->number * bytes, bytes);
    if (room_make(e, 2 * (r->count - 1) * pieces))
        return -1;
    for (int k = 1; k < r->count; k++) {        /* each begins with another one */
        const int to = (r->number + k) % r->count, from = (r->number - k + r->count) % r->count;
        for (size_t at = 0; at < bytes; at += MESSAGE_MOST) {
            const size_t left = bytes - at;
            const int n = (int)(left < MESSAGE_MOST ? left : MESSAGE_MOST);
            if (failed("MPI_Irecv", MPI_Irecv((char *)all + (size_t)from * bytes + at, n, MPI_BYTE, from, 0, MPI_COMM_WORLD,
                                              &e->under_way[e->count++]))
                || failed("MPI_Isend", MPI_Isend((const char *)mine + (size_t)to * bytes + at, n, MPI_BYTE, to, 0,
                                                 MPI_COMM_WORLD, &e->under_way[e->count++])))
                return -1;
        }
    }
    return 0;
}

static int exchange_end(const struct cnn_ranks *r)
{
    struct exchanges *e = r->own;
    int status = 0;
    for (int i = 0; i < e->count; i++)
        status |= wait_politely("a message", &e->under_way[i]);
    e->count = 0;
    return status;
}

static void give_up(const struct cnn_ranks *r, int status)
{
    (void)r;
    fflush(NULL);
    MPI_Abort(MPI_COMM_WORLD, status);
    abort();
}

/* Processes that share this one's memory. */
static int count_on_host(void)
{
    MPI_Comm host;
    int count = 1;
    if (MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host) == MPI_SUCCESS) {
        MPI_Comm_size(host, &count);
        MPI_Comm_free(&host);
    }
    return count;
}

int cnn_mpi_main(const struct cnn_model *model, int argc, char **argv)
{
    struct exchanges exchanges = { 0 };
    struct cnn_ranks ranks = { .own = &exchanges, .gather = ranks_gather, .broadcast = ranks_broadcast, .exchange_begin = exchange_begin,
                               .exchange_end = exchange_end, .give_up = give_up };
    int provided;
    cnn_ranks_prepare(model, argv);     /* what the launcher has told this process in its environment stays */
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &ranks.number);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks.count);
    ranks.on_host = count_on_host();
    if (provided < MPI_THREAD_FUNNELED && ranks.count > 1) {
        if (ranks.number == 0)
            fprintf(stderr, "this MPI takes no programs with threads\n");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    const int status = cnn_ranks_main(model, argc, argv, &ranks);
    free(exchanges.under_way);
    MPI_Finalize();
    if (status >= CNN_STOPPED)
        raise(status / CNN_STOPPED);            /* whoever started us sees how we ended */
    return status % CNN_STOPPED;
}
