/*
 * What the texts of this folder take from their compiler.
 *
 * A program pastes head.h first, then each text it needs once for each T, between the definitions of T, M(f), C(v) and NAME(f).
 * C99 alone is enough, and all that is used where PLAIN_C is defined; with what gcc and clang add, the same bits come sooner.
 *
 * FUSED tells whether a * b + c is computed with one rounding: where the machine has an instruction for it. Elsewhere fma()
 * would be a slow call, and the product is rounded. It is the one thing that a result may depend on beside its sizes.
 */
#ifndef ARRAYAD_HEAD_H
#define ARRAYAD_HEAD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define TYPED(name, dtype) name##_##dtype /* for NAME, whose argument is expanded on the way */

#if defined(__GNUC__) && !defined(PLAIN_C)
#define EXTENDED
#endif

#if defined(EXTENDED) && !defined(__clang__)
#define NOINLINE __attribute__((noinline, noclone, unused)) /* a clone for each constant would take its time to compile */
#elif defined(EXTENDED)
#define NOINLINE __attribute__((noinline, unused))
#else
#define NOINLINE
#endif

#ifdef EXTENDED
#define UNUSED __attribute__((unused))
#define INLINE inline __attribute__((always_inline, unused))
#define ALIGNED __attribute__((aligned(64)))
#else
#define UNUSED
#define INLINE inline
#define ALIGNED
#endif

/* Says of the loop that follows that what it writes is not what it reads; `restrict` says so of parameters only. */
#if defined(EXTENDED) && defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(EXTENDED)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)
#define FUSED 1
#else
#define FUSED 0
#endif

/* Bytes of a vector, and rows of a tile of a matrix product: as many as leave its partial sums in registers. */
#if defined(__AVX512F__)
enum { VECTOR = 64, TILE_ROWS = 12 };
#define EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#elif defined(__AVX__)
enum { VECTOR = 32, TILE_ROWS = 6 };
#define EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)
#elif defined(__aarch64__)
enum { VECTOR = 16, TILE_ROWS = 12 };
#define EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#else
enum { VECTOR = 16, TILE_ROWS = 6 };
#define EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)
#endif

/* The machine's fma of vectors, where the compiler has a name for it: found by a loop over lanes it costs time to compile. */
#if defined(EXTENDED) && defined(__has_builtin)
#if FUSED && defined(__AVX512F__) && __has_builtin(__builtin_ia32_vfmaddps512_mask)
#define FUSE_f32(a, b, c) __builtin_ia32_vfmaddps512_mask(a, b, c, (short)-1, 4)
#define FUSE_f64(a, b, c) __builtin_ia32_vfmaddpd512_mask(a, b, c, (unsigned char)255, 4)
#elif FUSED && defined(__AVX__) && __has_builtin(__builtin_ia32_vfmaddps256)
#define FUSE_f32(a, b, c) __builtin_ia32_vfmaddps256(a, b, c)
#define FUSE_f64(a, b, c) __builtin_ia32_vfmaddpd256(a, b, c)
#endif
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE __builtin_shufflevector
#endif
#endif

#endif
