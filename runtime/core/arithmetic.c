/* arithmetic.c - how the calling thread rounds, and what it does with numbers below the normal range. */
#include "cnnrt.h"

#if defined __SSE2__
#include <xmmintrin.h>
#endif

/* Optimizer averages decay towards zero for ever, and many processors are a hundred times slower
 * once such numbers are below 1e-38. */
uint64_t cnn_float_begin(void)
{
#if defined __SSE2__
    uint64_t before = _mm_getcsr();
    _mm_setcsr(0x1f80 | 0x8040);        /* no traps, to nearest; flush to zero, and read as zero */
    return before;
#elif defined __aarch64__
    uint64_t control, status;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("mrs %0, fpsr" : "=r"(status));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24) : "memory");
    return control << 32 | (status & 0xffffffffu);
#else
    return 0;
#endif
}

void cnn_float_end(uint64_t before)
{
#if defined __SSE2__
    _mm_setcsr((unsigned)before);
#elif defined __aarch64__
    __asm__ volatile("msr fpsr, %0" : : "r"(before & 0xffffffffu) : "memory");
    __asm__ volatile("msr fpcr, %0" : : "r"(before >> 32) : "memory");
#else
    (void)before;
#endif
}
