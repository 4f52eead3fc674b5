/* host.c - asks the system. */
#define _GNU_SOURCE
#include "core/host.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

static int64_t lesser(int64_t a, int64_t b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

/* A number alone in a file; 0: it is not there, or says "max". */
static int64_t file_number(const char *path)
{
    FILE *file = fopen(path, "r");
    long long number;
    bool found = file && fscanf(file, "%lld", &number) == 1 && number > 0;
    if (file)
        fclose(file);
    return found ? number : 0;
}

int64_t rt_host_memory(void)
{
    struct rlimit limit;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    int64_t bytes = pages > 0 && page > 0 ? (int64_t)pages * page : 0;
    bytes = lesser(bytes, file_number("/sys/fs/cgroup/memory.max"));
    bytes = lesser(bytes, file_number("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < INT64_MAX)
        bytes = lesser(bytes, (int64_t)limit.rlim_cur);
    return bytes;
}

/* What stands behind "KEY<spaces or tabs>: " in a line of /proc/cpuinfo, without its end; NULL: it is another line. */
static char *line_value(char *line, const char *key)
{
    size_t length = strlen(key);
    if (strncmp(line, key, length))
        return NULL;
    char *value = line + length + strspn(line + length, " \t");
    if (*value != ':')
        return NULL;
    value += 1 + strspn(value + 1, " \t");
    value[strcspn(value, "\n")] = '\0';
    return value;
}

char *rt_host_processor(void)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    struct utsname system;
    char line[256], *value, *name = NULL;
    while (file && !name && fgets(line, sizeof line, file))
        if ((value = line_value(line, "model name")) && *value)
            name = strdup(value);
    if (file)
        fclose(file);
    for (char *c = name; c && *c; c++)
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    /* not every processor says its name */
    return name ? name : strdup(uname(&system) == 0 ? system.machine : "processor of unknown kind");
}

static void word_put(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";
    bool special = false;
    for (const char *c = word; *c; c++)
        special = special || (unsigned char)*c < 0x20 || *c == 0x7f;
    if (*word && word[strspn(word, plain)] == '\0') {
        fputs(word, out);
        return;
    }
    fputs(special ? "$'" : "'", out);
    for (const char *c = word; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            fprintf(out, "\\x%02x", (unsigned char)*c);
        else if (*c == '\'')
            fputs(special ? "\\'" : "'\\''", out);
        else if (*c == '\\' && special)
            fputs("\\\\", out);
        else
            fputc(*c, out);
    }
    fputc('\'', out);
}

char *rt_host_command(int count, char *const *words)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    for (int i = 0; out && i < count; i++) {
        if (i)
            fputc(' ', out);
        word_put(out, words[i]);
    }
    if (out && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
