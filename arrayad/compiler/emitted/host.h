/*
 * What a compiled program is given: threads, and matrix products of the BLAS that NumPy has loaded.
 *
 * A program is a function  int arrayad_program(const struct arrayad_host *host, void *const *buffers)  that returns 0, or
 * 1 + the index of the first guard that does not hold, or a negative number where it failed.  The host is the program's to
 * read until it returns.
 */
#ifndef ARRAYAD_HOST_H
#define ARRAYAD_HOST_H

#include <stdint.h>

/* CBLAS: row-major 101, column-major 102; as it is 111, transposed 112.  Sizes and strides have 64 bits, whatever the library's. */
typedef void arrayad_sgemm(int order, int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
                           const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
typedef void arrayad_dgemm(int order, int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, double alpha,
                           const double *a, int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc);
typedef void arrayad_sgemv(int order, int transpose, int64_t m, int64_t n, float alpha, const float *a, int64_t lda,
                           const float *x, int64_t incx, float beta, float *y, int64_t incy);
typedef void arrayad_dgemv(int order, int transpose, int64_t m, int64_t n, double alpha, const double *a, int64_t lda,
                           const double *x, int64_t incx, double beta, double *y, int64_t incy);

struct arrayad_host {
    int64_t threads; /* how many parallel_for uses at most */

    /* Call body(context, part) for each 0 <= part < parts, in any order, and return when all have returned.  Within a part,
       and while another thread's call runs, the parts are computed one after the other by the caller. */
    void (*parallel_for)(void (*body)(void *context, int64_t part), void *context, int64_t parts);

    /* All four, or all null where there is no BLAS. */
    arrayad_sgemm *sgemm;
    arrayad_dgemm *dgemm;
    arrayad_sgemv *sgemv;
    arrayad_dgemv *dgemv;

    /* The threads of the BLAS, of the whole process: to set, and now; null where that cannot be told. */
    void (*blas_threads)(int threads);
    int (*blas_threads_now)(void);

    /* `multiply` of product.h, prebuilt for the instruction set that the library uses. */
    void (*multiply_f32)(const void *product);
    void (*multiply_f64)(const void *product);

    /* Call operation `number` of a program, by the program's own number, back in Python; not 0 where it has failed. */
    int (*python)(int64_t program, int64_t number, void **buffers);
};

#endif
