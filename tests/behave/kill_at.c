/* kill_at.c - preloaded into a trainer: the call number KILL_AT among those that write, sync, rename, remove or make
 * files ends the process as SIGKILL does (a write is half done then), or the signal KILL_WITH, and writes from number
 * FULL_AT on find the disk full, as do those to files whose path contains FULL_NAME.  Before the first write to such a
 * file whose path contains DO_NAME, or before a folder of such a name is made, the command in DO is run.  CALLS_TO
 * names a file that gets the number of calls at the end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long calls;

static long setting(const char *name)
{
    const char *text = getenv(name);
    return text ? atol(text) : -1;
}

static void die(void)
{
    raise(setting("KILL_WITH") > 0 ? (int)setting("KILL_WITH") : SIGKILL);
}

/* Counts a call and says whether it is the one to die in. */
static int counted(void)
{
    return ++calls == setting("KILL_AT");
}

static int named(const char *path, const char *setting_name)
{
    const char *name = getenv(setting_name);
    return name && strstr(path, name) != NULL;
}

/* The path of an open file. */
static void path_of(int file, char path[4096])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, 4095);
    path[length > 0 ? length : 0] = '\0';
}

/* The command, once. */
static void command_run(const char *path)
{
    if (!named(path, "DO_NAME"))
        return;
    unsetenv("DO_NAME");
    if (system(getenv("DO")) != 0)
        abort();
}

static int disk_full(const char *path)
{
    long from = setting("FULL_AT");
    return (from >= 0 && calls >= from) || named(path, "FULL_NAME");
}

ssize_t write(int file, const void *data, size_t size)
{
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    char path[4096];
    if (file <= STDERR_FILENO)
        return real(file, data, size);
    path_of(file, path);
    command_run(path);
    if (counted()) {
        real(file, data, size / 2);
        die();
    }
    if (disk_full(path)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, data, size);
}

int fsync(int file)
{
    if (counted())
        die();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}

int rename(const char *from, const char *to)
{
    if (counted())
        die();
    return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(from, to);
}

int unlink(const char *path)
{
    if (counted())
        die();
    return ((int (*)(const char *))dlsym(RTLD_NEXT, "unlink"))(path);
}

int mkdir(const char *path, mode_t mode)
{
    command_run(path);
    if (counted())
        die();
    return ((int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir"))(path, mode);
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
