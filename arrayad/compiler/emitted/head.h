/*
 * What the texts of this folder take from their compiler.
 *
 * A program pastes head.h first, then each text it needs once for each T, between the definitions of T, M(f), C(v) and NAME(f).
 * C99 alone is enough, and all that is used where PLAIN_C is defined; with what gcc and clang add, the same bits come sooner.
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

#endif
