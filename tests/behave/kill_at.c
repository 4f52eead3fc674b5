/* kill_at.c - preloaded into a trainer: the call number KILL_AT among those that write, sync, rename or remove files
 * ends the process as SIGKILL does (a write is half done then), and writes from number FULL_AT on find the disk full,
 * as do those to files whose path contains FULL_NAME.
 * CALLS_TO names a file that gets the number of calls at the end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long calls;

static long setting(const char *name)
{
    const char *text = getenv(name);
    return text ? atol(text) : -1;
}

/* Counts a call and says whether it is the one to die in. */
static int counted(void)
{
    return ++calls == setting("KILL_AT");
}

static int disk_full(int file)
{
    long from = setting("FULL_AT");
    const char *name = getenv("FULL_NAME");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = name ? readlink(link, path, sizeof path - 1) : -1;
    path[length > 0 ? length : 0] = '\0';
    return (from >= 0 && calls >= from) || (length > 0 && strstr(path, name));
}

ssize_t write(int file, const void *data, size_t size)
{
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (file <= STDERR_FILENO)
        return real(file, data, size);
    if (counted()) {
        real(file, data, size / 2);
        raise(SIGKILL);
    }
    if (disk_full(file)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, data, size);
}

int fsync(int file)
{
    if (counted())
        raise(SIGKILL);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}

int rename(const char *from, const char *to)
{
    if (counted())
        raise(SIGKILL);
    return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(from, to);
}

int unlink(const char *path)
{
    if (counted())
        raise(SIGKILL);
    return ((int (*)(const char *))dlsym(RTLD_NEXT, "unlink"))(path);
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("CALLS_TO");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld\n", calls);
        fclose(file);
    }
}
