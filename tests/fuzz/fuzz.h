/* fuzz.h - what libFuzzer, and cases.sh, let read bytes that nobody has made for it. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
    const char *name;
    void (*run)(const uint8_t *bytes, size_t size);
};

/* fuzz_model.c or fuzz_files.c: to name NULL. */
extern const struct fuzz_target fuzz_targets[];

/* Writes inputs to begin with into a folder: a file NAME.N for a target NAME. */
void fuzz_seeds(const char *folder);

/* For fuzz_seeds(). */
void fuzz_seed_write(const char *folder, const char *name, const void *bytes, size_t size);

#endif
