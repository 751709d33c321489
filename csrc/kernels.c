/*
 * The kernels, compiled once for each instruction set and dtype from one source.
 *
 * A target region, not -mavx2, lets one file hold them all, and one library run everywhere.  Headers stand outside the
 * regions, or inline functions of theirs would need the instruction set too.
 */
#include "kernels.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "exports.h"
#include "head.h"
#include "vector_math.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_REGIONS 1
#else
#define HAS_REGIONS 0
#endif

#define ISA baseline
#define LEVEL 16
#include "isa.h"
#undef ISA
#undef LEVEL

#if HAS_REGIONS

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define ISA avx2
#define LEVEL 32
#include "isa.h"
#undef ISA
#undef LEVEL
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,fma,prefer-vector-width=512")
#endif
#define ISA avx512
#define LEVEL 64
#include "isa.h"
#undef ISA
#undef LEVEL
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

const struct isa isas[] = {
    {"baseline", {&kernels_baseline_f32, &kernels_baseline_f64}},
#if HAS_REGIONS
    {"avx2", {&kernels_avx2_f32, &kernels_avx2_f64}},
    {"avx512", {&kernels_avx512_f32, &kernels_avx512_f64}},
#endif
};

/* The builtin asks the operating system (xgetbv) as well as the processor. */
int isas_here(void)
{
#if HAS_REGIONS
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return 1;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512bw"))
        return 2;
    return 3;
#else
    return 1;
#endif
}
