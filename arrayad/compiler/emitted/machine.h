/*
 * What arithmetic and vectors a program is compiled for; before it may stand LEVEL, the bytes of a vector.
 *
 * FUSED tells whether a * b + c is computed with one rounding: where the machine has an instruction for it. Elsewhere fma()
 * would be a slow call, and the product is rounded. It is the one thing that a result may depend on beside its sizes.
 *
 * VECTOR is the bytes of a vector, TILE_ROWS the rows of a tile of a matrix product: as many as leave its partial sums in
 * registers.
 */
#undef FUSED
#undef VECTOR
#undef TILE_ROWS
#undef EACH_TILE_ROW
#undef FUSE
#undef FUSEf
#undef SHUFFLE

#if defined(LEVEL)
#define FUSED (LEVEL > 16)
#define VECTOR LEVEL
#else
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)
#define FUSED 1
#else
#define FUSED 0
#endif
#if defined(__AVX512F__)
#define VECTOR 64
#elif defined(__AVX__)
#define VECTOR 32
#else
#define VECTOR 16
#endif
#endif

#if VECTOR == 64 || defined(__aarch64__)
#define TILE_ROWS 12
#define EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#else
#define TILE_ROWS 6
#define EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)
#endif

/* The machine's fma of vectors, where the compiler has a name for it: to find it in a loop over lanes takes time. */
#if defined(EXTENDED) && defined(__has_builtin)
#if FUSED && VECTOR == 64 && __has_builtin(__builtin_ia32_vfmaddps512_mask)
#define FUSEf(a, b, c) __builtin_ia32_vfmaddps512_mask(a, b, c, (short)-1, 4)
#define FUSE(a, b, c) __builtin_ia32_vfmaddpd512_mask(a, b, c, (unsigned char)255, 4)
#elif FUSED && VECTOR == 32 && __has_builtin(__builtin_ia32_vfmaddps256)
#define FUSEf(a, b, c) __builtin_ia32_vfmaddps256(a, b, c)
#define FUSE(a, b, c) __builtin_ia32_vfmaddpd256(a, b, c)
#endif
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE __builtin_shufflevector
#endif
#endif
