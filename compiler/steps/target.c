/* target.c - the machines cnnc generates for. */
#include <string.h>

#include "steps/plan.h"

/* The same for all machines so far. */
static const struct costs costs = {
#define COST(name, value, what) .name = (value),
#include "steps/costs.def"
#undef COST
};

static const struct target targets[] = {
#define TARGET(name, macro, bytes, registers, fma, turns, flops, l1, l2, memory, blas, core) \
    { name, macro, bytes, registers, fma, turns, flops, l1, l2, memory, blas, core, &costs, false },
#define PORTABLE_TARGET(name, macro, bytes, registers, fma, turns, flops, l1, l2, memory, blas, core) \
    { name, macro, bytes, registers, fma, turns, flops, l1, l2, memory, blas, core, &costs, true },
#include "steps/targets.def"
#undef TARGET
#undef PORTABLE_TARGET
};

enum { TARGETS = sizeof targets / sizeof targets[0] };

static const char *native_name(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return "x86-64-v4";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "x86-64-v3";
    if (__builtin_cpu_supports("sse4.2"))
        return "x86-64-v2";
    return "generic";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "generic";
#endif
}

const struct target *target_find(const char *name)
{
    if (!strcmp(name, "native"))
        name = native_name();
    for (int i = 0; i < TARGETS; i++)
        if (!strcmp(targets[i].name, name))
            return &targets[i];
    return NULL;
}

bool target_runs_here(const struct target *target)
{
#if defined(__x86_64__)
    /* plain C runs everywhere; of the others this machine's own and those behind it in the table */
    const struct target *here = target_find("native");
    if (!strncmp(target->name, "x86-64-", 7))
        return !strncmp(here->name, "x86-64-", 7) && target >= here;
#elif defined(__aarch64__)
    if (!strcmp(target->name, "aarch64"))
        return true;
#endif
    return !strcmp(target->name, "generic");
}
