/* slow_mpi.c - a made-up network under a trainer of several processes of one machine: each message takes as long as it
 * would between machines, while the processes compute.
 *
 *     mpicc -shared -fPIC -O2 slow_mpi.c -o slow_mpi.so
 *     SLOW_MPI_LATENCY=20 SLOW_MPI_BANDWIDTH=10 LD_PRELOAD=./slow_mpi.so mpirun -n 2 ./trainer ...
 *
 * Latency in microseconds, bandwidth in Gb/s, of each process in each direction: what a process sends and what it
 * receives goes through its own line, one message after the other, first come, first served.  A message of n bytes that
 * was sent at t is there at t + latency + n / bandwidth if both lines are free.  A collective operation begins when the
 * last process calls; a gathering of little goes by doubling, one of much around a ring, a broadcast down a tree.
 *
 * A request is done when MPI says so and its time has come; messages need nobody's attention on their way, as with an
 * adapter that reads memory itself.  What MPI itself takes on this machine goes on meanwhile.  Delayed are the calls
 * that runtime/mpi makes; SLOW_MPI_REPORT=1 prints at the end what was sent. */
#define _GNU_SOURCE
#include <mpi.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* DOUBLING_MOST: bytes of a gathering that goes by doubling */
enum { RANKS_MOST = 16, RING = 4096, OPEN_MOST = 4096, DOUBLING_MOST = 512 * 1024 };

/* When messages were sent, for all to see: of each pair of processes, and of each collective call, the latest ones. */
struct board {
    _Atomic double sent[RANKS_MOST][RANKS_MOST][RING], called[RING][RANKS_MOST];
};

enum kind { SENDS, RECEIVES, GATHERS, REDUCES, BROADCASTS };

struct open_request {
    MPI_Request request;
    enum kind kind;
    int other;                  /* process that it comes from */
    unsigned number;            /* of the pair's, or of the collective calls */
    double bytes, due;          /* due: known once MPI has done its part; below 0: not yet */
};

static struct {
    struct board *board;
    int rank, ranks;
    double latency, bandwidth;          /* seconds, bytes a second */
    double send_free, receive_free;     /* when the lines are */
    unsigned sent[RANKS_MOST], received[RANKS_MOST], called;
    struct open_request open[OPEN_MOST];
    int open_count;
    double bytes_sent;
    long messages, calls;
} net;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "slow_mpi: %s\n", what);
    PMPI_Abort(MPI_COMM_WORLD, 1);
    abort();
}

static double setting(const char *name, double otherwise)
{
    const char *text = getenv(name);
    char *end;
    double value = text ? strtod(text, &end) : otherwise;
    if (text && (end == text || *end || !(value >= 0.0)))
        fail(name);
    return value;
}

/* Memory of all processes, under a name that is gone at once. */
static void board_open(void)
{
    char name[64];
    int pid = (int)getpid(), fd = -1;
    PMPI_Bcast(&pid, 1, MPI_INT, 0, MPI_COMM_WORLD);
    snprintf(name, sizeof name, "/slow_mpi.%d", pid);
    if (net.rank == 0
        && ((fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600)) < 0 || ftruncate(fd, sizeof *net.board)))
        fail("no shared memory");
    PMPI_Barrier(MPI_COMM_WORLD);
    if (net.rank && (fd = shm_open(name, O_RDWR, 0600)) < 0)
        fail("no shared memory");
    net.board = mmap(NULL, sizeof *net.board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (net.board == MAP_FAILED)
        fail("no shared memory");
    close(fd);
    PMPI_Barrier(MPI_COMM_WORLD);
    if (net.rank == 0)
        shm_unlink(name);
}

static void net_open(void)
{
    PMPI_Comm_rank(MPI_COMM_WORLD, &net.rank);
    PMPI_Comm_size(MPI_COMM_WORLD, &net.ranks);
    if (net.ranks > RANKS_MOST)
        fail("more than 16 processes");
    const double gigabits = setting("SLOW_MPI_BANDWIDTH", 0.0);
    net.latency = 1e-6 * setting("SLOW_MPI_LATENCY", 0.0);
    net.bandwidth = gigabits > 0.0 ? 1e9 / 8.0 * gigabits : 1e18;
    board_open();
}

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    int code = PMPI_Init_thread(argc, argv, required, provided);
    if (code == MPI_SUCCESS)
        net_open();
    return code;
}

int MPI_Finalize(void)
{
    if (getenv("SLOW_MPI_REPORT"))
        fprintf(stderr, "slow_mpi: rank %d sent %ld messages of %.0f bytes in all, made %ld collective calls\n",
                net.rank, net.messages, net.bytes_sent, net.calls);
    return PMPI_Finalize();
}

static double bytes_of(int count, MPI_Datatype type)
{
    int size = 0;
    PMPI_Type_size(type, &size);
    return (double)count * (double)size;
}

static void open_add(struct open_request r)
{
    if (net.open_count == OPEN_MOST)
        fail("too many requests at a time");
    net.open[net.open_count++] = r;
}

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request)
{
    const double bytes = bytes_of(count, type), at = now();
    const double begins = at > net.send_free ? at : net.send_free;
    net.send_free = begins + bytes / net.bandwidth;
    atomic_store(&net.board->sent[net.rank][to][net.sent[to]++ % RING], begins);
    net.bytes_sent += bytes;
    net.messages++;
    int code = PMPI_Isend(data, count, type, to, tag, comm, request);
    open_add((struct open_request){ .request = *request, .kind = SENDS, .bytes = bytes, .due = net.send_free });
    return code;
}

int MPI_Irecv(void *data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Request *request)
{
    int code = PMPI_Irecv(data, count, type, from, tag, comm, request);
    open_add((struct open_request){ .request = *request, .kind = RECEIVES, .other = from,
                                    .number = net.received[from]++, .bytes = bytes_of(count, type), .due = -1.0 });
    return code;
}

/* One more collective call. */
static unsigned call_begin(void)
{
    atomic_store(&net.board->called[net.called % RING][net.rank], now());
    net.calls++;
    return net.called++;
}

int MPI_Iallgather(const void *mine, int count, MPI_Datatype type, void *all, int each, MPI_Datatype each_type,
                   MPI_Comm comm, MPI_Request *request)
{
    const unsigned number = call_begin();
    const double bytes = (double)(net.ranks - 1) * bytes_of(each, each_type);
    net.bytes_sent += bytes;
    int code = PMPI_Iallgather(mine, count, type, all, each, each_type, comm, request);
    open_add((struct open_request){ .request = *request, .kind = GATHERS, .number = number, .bytes = bytes,
                                    .due = -1.0 });
    return code;
}

int MPI_Iallgatherv(const void *mine, int count, MPI_Datatype type, void *all, const int *counts, const int *places,
                    MPI_Datatype each_type, MPI_Comm comm, MPI_Request *request)
{
    const unsigned number = call_begin();
    double bytes = -bytes_of(counts[net.rank], each_type);
    for (int i = 0; i < net.ranks; i++)
        bytes += bytes_of(counts[i], each_type);
    net.bytes_sent += bytes;
    int code = PMPI_Iallgatherv(mine, count, type, all, counts, places, each_type, comm, request);
    open_add((struct open_request){ .request = *request, .kind = GATHERS, .number = number, .bytes = bytes,
                                    .due = -1.0 });
    return code;
}

int MPI_Iallreduce(const void *mine, void *sums, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm,
                   MPI_Request *request)
{
    const unsigned number = call_begin();
    const double bytes = 2.0 * (net.ranks - 1) / net.ranks * bytes_of(count, type);     /* twice around the ring */
    net.bytes_sent += bytes;
    int code = PMPI_Iallreduce(mine, sums, count, type, op, comm, request);
    open_add((struct open_request){ .request = *request, .kind = REDUCES, .number = number, .bytes = bytes,
                                    .due = -1.0 });
    return code;
}

int MPI_Ibcast(void *data, int count, MPI_Datatype type, int root, MPI_Comm comm, MPI_Request *request)
{
    const unsigned number = call_begin();
    int code = PMPI_Ibcast(data, count, type, root, comm, request);
    open_add((struct open_request){ .request = *request, .kind = BROADCASTS, .number = number, .other = root,
                                    .bytes = bytes_of(count, type), .due = -1.0 });
    return code;
}

static int tree_depth(void)
{
    int depth = 0;
    while (1 << depth < net.ranks)
        depth++;
    return depth;
}

/* When what MPI has done would have been done. */
static double due_find(const struct open_request *r)
{
    double begins;
    if (r->kind == RECEIVES) {
        begins = atomic_load(&net.board->sent[r->other][net.rank][r->number % RING]) + net.latency;
        begins = begins > net.receive_free ? begins : net.receive_free;
        return net.receive_free = begins + r->bytes / net.bandwidth;
    }
    if (r->kind == BROADCASTS)
        return atomic_load(&net.board->called[r->number % RING][r->other]) + tree_depth() * net.latency
               + r->bytes / net.bandwidth;
    begins = net.receive_free > net.send_free ? net.receive_free : net.send_free;
    for (int i = 0; i < net.ranks; i++) {
        const double called = atomic_load(&net.board->called[r->number % RING][i]);
        begins = called > begins ? called : begins;
    }
    const int ways = r->kind == REDUCES ? 2 : 1, hops = ways * (r->bytes <= DOUBLING_MOST ? tree_depth() : net.ranks -
                                                                1);
    net.receive_free = net.send_free = begins + r->bytes / net.bandwidth;
    return net.receive_free + hops * net.latency;       /* during which the lines have room for others */
}

/* Whatever MPI has done is given its time, in the order in which it was begun: what is asked for first does not come
 * first. */
static int dues_find(void)
{
    for (int i = 0; i < net.open_count; i++) {
        struct open_request *r = &net.open[i];
        int there = 0;
        int code = r->kind != SENDS && r->due < 0.0 ? PMPI_Request_get_status(r->request, &there, MPI_STATUS_IGNORE)
            : MPI_SUCCESS;
        if (code != MPI_SUCCESS)
            return code;
        if (there)
            r->due = due_find(r);
    }
    return MPI_SUCCESS;
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    int k = 0, there = 0, found = dues_find();
    if (found != MPI_SUCCESS)
        return found;
    while (k < net.open_count && memcmp(&net.open[k].request, request, sizeof *request))
        k++;
    if (k == net.open_count)
        return PMPI_Test(request, flag, status);
    struct open_request *r = &net.open[k];
    int code = PMPI_Request_get_status(*request, &there, MPI_STATUS_IGNORE);
    *flag = 0;
    if (code != MPI_SUCCESS || !there)
        return code;
    if (now() < r->due || (r->kind != SENDS && r->due < 0.0))
        return MPI_SUCCESS;
    net.open_count--;
    memmove(r, r + 1, (size_t)(net.open + net.open_count - r) * sizeof *r);
    return PMPI_Test(request, flag, status);
}

/* What would let a message through before its time. */
int MPI_Wait(MPI_Request *request, MPI_Status *status)
{
    fail("MPI_Wait is not delayed");
    return PMPI_Wait(request, status);
}

int MPI_Waitall(int count, MPI_Request *requests, MPI_Status *statuses)
{
    fail("MPI_Waitall is not delayed");
    return PMPI_Waitall(count, requests, statuses);
}

int MPI_Testall(int count, MPI_Request *requests, int *flag, MPI_Status *statuses)
{
    fail("MPI_Testall is not delayed");
    return PMPI_Testall(count, requests, flag, statuses);
}
