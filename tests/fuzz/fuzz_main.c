/* fuzz_main.c - a target under libFuzzer (-DFUZZ_ENGINE; the environment's CNN_FUZZ is its name), or without it:
 *
 *   replay NAME FILE...      runs the target with each file's bytes
 *   replay --seeds FOLDER    writes inputs to begin with
 *   replay --targets         prints the names */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct fuzz_target *target_find(const char *name)
{
    for (const struct fuzz_target *t = fuzz_targets; t->name; t++)
        if (name && !strcmp(t->name, name))
            return t;
    fprintf(stderr, "there is no target '%s'\n", name ? name : "");
    exit(2);
}

void fuzz_seed_write(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) {
        perror(path);
        exit(2);
    }
}

#ifdef FUZZ_ENGINE
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct fuzz_target *target;
    if (!target)
        target = target_find(getenv("CNN_FUZZ"));
    target->run(bytes, size);
    return 0;
}
#else
static void replay(const struct fuzz_target *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = f && !fseek(f, 0, SEEK_END) ? malloc((size_t)ftell(f) + 1) : NULL;
    if (!bytes) {
        perror(path);
        exit(2);
    }
    rewind(f);
    size_t size = fread(bytes, 1, (size_t)1 << 24, f);
    fclose(f);
    fprintf(stderr, "---- %s %s\n", t->name, path);
    t->run(bytes, size);
    free(bytes);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--targets")) {
        for (const struct fuzz_target *t = fuzz_targets; t->name; t++)
            puts(t->name);
    } else if (argc == 3 && !strcmp(argv[1], "--seeds")) {
        fuzz_seeds(argv[2]);
    } else if (argc >= 3) {
        const struct fuzz_target *t = target_find(argv[1]);
        for (int i = 2; i < argc; i++)
            replay(t, argv[i]);
    } else {
        fputs("usage: replay NAME FILE... | --seeds FOLDER | --targets\n", stderr);
        return 2;
    }
    return 0;
}
#endif
