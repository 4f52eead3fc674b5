/* file_path.c - see file_path.h. */
#define _GNU_SOURCE
#include "core/file_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *rt_path_join(const char *dir, const char *name)
{
    size_t length = strlen(dir) + strlen(name) + 2;
    char *path = malloc(length);
    if (path)
        snprintf(path, length, "%s%s%s", dir, *dir && dir[strlen(dir) - 1] == '/' ? "" : "/", name);
    return path;
}

const char *rt_base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *rt_folder_of(const char *path)
{
    size_t length = (size_t)(rt_base_of(path) - path);
    return length ? strndup(path, length) : strdup(".");
}

bool rt_file_exists(const char *dir, const char *name)
{
    char *path = rt_path_join(dir, name);
    bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

bool rt_is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

char *rt_names_text(const char *const *names, int count, int shown)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    /* one more takes no more room than to say that there is one */
    int listed = count > shown + 1 ? shown : count;
    for (int i = 0; i < listed; i++)
        fprintf(out, "%s'%s'", i ? ", " : "", names[i]);
    if (listed < count)
        fprintf(out, " and %d more", count - listed);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
