/* cnn_vec.h - the vocabulary of emitted code: vectors of reals, one short header a target.
 *
 * The emitted file defines one CNN_TARGET_* (and CNN_DOUBLE for double precision) and includes
 * this.  Every header gives the same names:
 *
 *   real, v, vm, V_LANES         float or double; a vector of them; a truth value a lane; lanes
 *   v_zero v_set v_broadcast     all lanes 0, a number, the number that a pointer shows
 *   v_load v_store               V_LANES reals at any alignment
 *   v_load_tail v_store_tail     the first n lanes (n a constant, 1 .. V_LANES-1): other lanes are
 *                                read as 0, and no memory beyond them is read or written
 *   v_load_u8 v_store_u8 (_tail) whole numbers 0 .. 255 kept as bytes
 *   v_add v_sub v_mul v_div v_neg v_abs v_copysign v_sqrt v_floor v_round (halves to even)
 *   v_max v_min                  a NaN in the second operand comes through; in the first perhaps
 *   v_fma(a, b, c)               a * b + c, rounded once where the target has the instruction
 *   v_gt v_ge v_lt v_le v_eq     comparisons, false for NaN
 *   v_select(m, a, b)            a where m holds, else b;  vm_and vm_or vm_not
 *   v_sum v_max_lane             over the lanes, v_sum in one fixed order
 *   v_turn                       a square of V_LANES rows turned over, from memory to memory
 *   v_prefetch v_prefetchw       the cache line at a pointer will soon be read, written
 *
 * With CNN_BF16 also what cnn_bf16.h says; and, for cnn_math.h, cnn_random.h and that one only, vu: V_LANES words of 32
 * bits (vu_set vu_from vu_add vu_xor vu_mul vu_shr vu_shl vu_ge) with v_bits and v_of_bits between them and floats.
 */
#ifndef CNN_VEC_H
#define CNN_VEC_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "float arithmetic has excess precision here: add -msse2 -mfpmath=sse to the compiler's flags"
#endif

#if defined __GNUC__
#define CNN_INLINE static inline __attribute__((always_inline, unused))
#else
#define CNN_INLINE static inline
#endif

/* A function that stays one: what calls it is compiled sooner, and a profiler names it. */
#if defined __GNUC__
#define CNN_APART static __attribute__((noinline))
#else
#define CNN_APART static
#endif

/* Before a short loop with a long body: it stays a loop.  Unrolled it would run no faster, and take long to
 * compile. */
#if defined __clang__
#define CNN_ROLLED _Pragma("clang loop unroll(disable)")
#elif defined __GNUC__
#define CNN_ROLLED _Pragma("GCC unroll 1")
#else
#define CNN_ROLLED
#endif

/* Before a short loop of products: so many turns of it are written out, as counting them would take the processor from
 * multiplying. */
#define CNN_PRAGMA(text) _Pragma(#text)
#if defined __clang__
#define CNN_UNROLLED(n) CNN_PRAGMA(clang loop unroll_count(n))
#elif defined __GNUC__
#define CNN_UNROLLED(n) CNN_PRAGMA(GCC unroll n)
#else
#define CNN_UNROLLED(n)
#endif

#ifdef CNN_DOUBLE
typedef double real;
#else
typedef float real;
#endif

#if defined CNN_TARGET_X86_64_V4
#if !defined __AVX512F__ || !defined __AVX512BW__ || !defined __AVX512DQ__ || !defined __AVX512VL__
#error "this file was generated for x86-64-v4: add -march=x86-64-v4 to the compiler's flags"
#endif
#include "cnn_vec_x86_64_v4.h"

#elif defined CNN_TARGET_X86_64_V3
#if !defined __AVX2__ || !defined __FMA__
#error "this file was generated for x86-64-v3: add -march=x86-64-v3 to the compiler's flags"
#endif
#include "cnn_vec_x86_64_v3.h"

#elif defined CNN_TARGET_X86_64_V2
#if !defined __SSE4_2__
#error "this file was generated for x86-64-v2: add -march=x86-64-v2 to the compiler's flags"
#endif
#include "cnn_vec_x86_64_v2.h"

#elif defined CNN_TARGET_AARCH64
#if !defined __aarch64__ || !defined __ARM_NEON
#error "this file was generated for aarch64: use a compiler for it, with -march=armv8-a+simd"
#endif
#include "cnn_vec_aarch64.h"

#elif defined CNN_TARGET_GENERIC
#include "cnn_vec_generic.h"

#else
#error "define a CNN_TARGET_... (X86_64_V4, X86_64_V3, X86_64_V2, AARCH64, GENERIC) before this"
#endif

/* to[j * to_row + i] = from[i * from_row + j] for V_LANES rows and columns; targets that have no way of their own
 * (CNN_TURNS) go element by element. */
#ifndef CNN_TURNS
CNN_INLINE void v_turn(const real *from, int64_t from_row, real *to, int64_t to_row)
{
    for (int i = 0; i < V_LANES; i++)
        for (int j = 0; j < V_LANES; j++)
            to[j * to_row + i] = from[i * from_row + j];
}
#endif

#include "cnn_math.h"
#include "cnn_random.h"
#ifdef CNN_BF16
#include "cnn_bf16.h"
#endif

#endif
