/* count_reads.c - what a process reads of packed files and pictures, counted by functions of the same names under it
 * (LD_PRELOAD):
 *
 *     COUNT_READS=folder/prefix LD_PRELOAD=./count_reads.so ./trainer ...
 *
 * appends "bytes unpacked and pictures decoded" to folder/prefix.PID at its end.  Bytes of files that gzread() finds
 * not to be packed count as well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct gz;
struct png;
struct z_head {                 /* as z_stream begins */
    const unsigned char *next_in;
    unsigned avail_in;
    unsigned long total_in;
    unsigned char *next_out;
    unsigned avail_out;
};

static atomic_llong bytes;
static atomic_int pictures;

int gzread(struct gz *file, void *to, unsigned count)
{
    int (*real)(struct gz *, void *, unsigned) = (int (*)(struct gz *, void *, unsigned))dlsym(RTLD_NEXT, "gzread");
    const int got = real(file, to, count);
    bytes += got > 0 ? got : 0;
    return got;
}

int inflate(struct z_head *z, int flush)
{
    int (*real)(struct z_head *, int) = (int (*)(struct z_head *, int))dlsym(RTLD_NEXT, "inflate");
    const unsigned room = z->avail_out;
    const int status = real(z, flush);
    bytes += room - z->avail_out;
    return status;
}

struct png *png_create_read_struct(const char *version, void *arg, void *error, void *warning)
{
    struct png *(*real)(const char *, void *, void *, void *) =
        (struct png * (*)(const char *, void *, void *, void *)) dlsym(RTLD_NEXT, "png_create_read_struct");
    pictures++;
    return real(version, arg, error, warning);
}

static void __attribute__((destructor)) tell(void)
{
    const char *prefix = getenv("COUNT_READS");
    char path[4096];
    if (!prefix || (bytes == 0 && pictures == 0))
        return;
    snprintf(path, sizeof path, "%s.%d", prefix, (int)getpid());
    FILE *out = fopen(path, "a");
    if (out) {
        fprintf(out, "%lld %d\n", (long long)bytes, (int)pictures);
        fclose(out);
    }
}
