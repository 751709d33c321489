/*
 * libm, and its vector functions where glibc has them (libmvec, x86-64; largest documented error 4 ulp).
 *
 * gcc calls the vector function of the target region's instruction set for a prototype with the simd attribute, given
 * -fno-math-errno and without -ffast-math.  glibc 2.22 has the first group, 2.35 the second; the header and the library
 * that is linked are of one version.  They are said to be constant for programs that are built with -fno-builtin-sin and its
 * like: else gcc makes one call, which has no vector form, of the sine and the cosine of one number.  clang has no simd
 * attribute and calls the scalar functions.
 */
#ifndef ARRAYAD_VECTOR_MATH_H
#define ARRAYAD_VECTOR_MATH_H

#include <math.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)

#define VECTOR1(function)                                                                                                    \
    extern __attribute__((simd("notinbranch"), const)) double function(double);                                              \
    extern __attribute__((simd("notinbranch"), const)) float function##f(float);
#define VECTOR2(function)                                                                                                    \
    extern __attribute__((simd("notinbranch"), const)) double function(double, double);                                      \
    extern __attribute__((simd("notinbranch"), const)) float function##f(float, float);

#if __GLIBC_PREREQ(2, 22)
#define VECTOR_MATH "libmvec"
VECTOR1(sin)
VECTOR1(cos)
VECTOR1(exp)
VECTOR1(log)
VECTOR2(pow)
#endif

#if __GLIBC_PREREQ(2, 35)
VECTOR1(acos)
VECTOR1(acosh)
VECTOR1(asin)
VECTOR1(asinh)
VECTOR1(atan)
VECTOR1(atanh)
VECTOR1(cbrt)
VECTOR1(cosh)
VECTOR1(erf)
VECTOR1(erfc)
VECTOR1(exp2)
VECTOR1(expm1)
VECTOR1(log10)
VECTOR1(log1p)
VECTOR1(log2)
VECTOR1(sinh)
VECTOR1(tan)
VECTOR1(tanh)
VECTOR2(atan2)
VECTOR2(hypot)
#endif

#undef VECTOR1
#undef VECTOR2
#endif

#ifndef VECTOR_MATH
#define VECTOR_MATH "none"
#endif

#endif
