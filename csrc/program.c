/*
 * Programs compiled at run time: they are loaded and called here, and given the library's threads and NumPy's BLAS.
 *
 * Nothing is linked: a BLAS is what a file that is named, or one of the libraries that it was linked with, has of it.
 */
#define _GNU_SOURCE /* dladdr */

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exports.h"
#include "host.h"
#include "kernels.h"
#include "threads.h"

/* ISO C has no cast from an address to a function; POSIX says that the two are alike. */
#define FUNCTION(pointer, address) memcpy(&(pointer), &(address), sizeof(pointer))

/* --- loading --- */

void *arrayad_open(const char *path)
{
    return path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

void *arrayad_symbol(void *library, const char *name)
{
    return library && name ? dlsym(library, name) : NULL;
}

int arrayad_close(void *library)
{
    return library && dlclose(library) == 0 ? ARRAYAD_OK : ARRAYAD_BAD_POINTER;
}

const char *arrayad_loading_error(void)
{
    return dlerror();
}

/* --- the host --- */

struct loop {
    void (*body)(void *context, int64_t part);
    void *context;
};

static void run_part(const void *job, int64_t part)
{
    const struct loop *loop = job;
    loop->body(loop->context, part);
}

static void parallel_for(void (*body)(void *context, int64_t part), void *context, int64_t parts)
{
    struct loop loop = {body, context};
    threads_run(run_part, &loop, parts, 1);
}

static struct arrayad_host host = {.parallel_for = parallel_for};
static char blas_file[4096];

/* A BLAS whose integers have 32 bits, and what calls it for programs, whose integers have 64. */
static struct {
    void (*sgemm)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
    void (*dgemm)(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int);
    void (*sgemv)(int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
    void (*dgemv)(int, int, int, int, double, const double *, int, const double *, int, double, double *, int);
} narrow;

static void sgemm_of_narrow(int order, int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
                            const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    narrow.sgemm(order, transpose_a, transpose_b, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

static void dgemm_of_narrow(int order, int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, double alpha,
                            const double *a, int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc)
{
    narrow.dgemm(order, transpose_a, transpose_b, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

static void sgemv_of_narrow(int order, int transpose, int64_t m, int64_t n, float alpha, const float *a, int64_t lda,
                            const float *x, int64_t incx, float beta, float *y, int64_t incy)
{
    narrow.sgemv(order, transpose, (int)m, (int)n, alpha, a, (int)lda, x, (int)incx, beta, y, (int)incy);
}

static void dgemv_of_narrow(int order, int transpose, int64_t m, int64_t n, double alpha, const double *a, int64_t lda,
                            const double *x, int64_t incx, double beta, double *y, int64_t incy)
{
    narrow.dgemv(order, transpose, (int)m, (int)n, alpha, a, (int)lda, x, (int)incx, beta, y, (int)incy);
}

/* prefix + name + suffix, as NumPy's wheels, distributions and others call it. */
static void *symbol(void *library, const char *prefix, const char *name, const char *suffix)
{
    char full[96];
    snprintf(full, sizeof full, "%s%s%s", prefix, name, suffix);
    return dlsym(library, full);
}

static int has_wide_integers(void *library, const char *prefix, const char *suffix)
{
    const char *(*configuration)(void);
    void *address = symbol(library, prefix, "openblas_get_config", suffix);
    FUNCTION(configuration, address);
    return strstr(suffix, "64") || (address && strstr(configuration(), "USE64BITINT"));
}

/* Whether the functions compute [1 2; 3 4] [1 0; 1 1] and [1 2; 3 4] [1 2], as they do if they are what their names say. */
static int multiplies(const struct arrayad_host *blas)
{
    const float a[4] = {1, 2, 3, 4}, b[4] = {1, 0, 1, 1}, x[2] = {1, 2};
    const double da[4] = {1, 2, 3, 4}, db[4] = {1, 0, 1, 1}, dx[2] = {1, 2};
    float c[4] = {0}, y[2] = {0};
    double dc[4] = {0}, dy[2] = {0};
    blas->sgemm(101, 111, 111, 2, 2, 2, 1, a, 2, b, 2, 0, c, 2);
    blas->dgemm(101, 111, 111, 2, 2, 2, 1, da, 2, db, 2, 0, dc, 2);
    blas->sgemv(101, 111, 2, 2, 1, a, 2, x, 1, 0, y, 1);
    blas->dgemv(101, 111, 2, 2, 1, da, 2, dx, 1, 0, dy, 1);
    return c[0] == 3 && c[1] == 2 && c[2] == 7 && c[3] == 4 && y[0] == 5 && y[1] == 11 && dc[0] == 3 && dc[1] == 2 &&
           dc[2] == 7 && dc[3] == 4 && dy[0] == 5 && dy[1] == 11;
}

static int take_blas(void *library, const char *prefix, const char *suffix)
{
    struct arrayad_host blas = host;
    void *sgemm = symbol(library, prefix, "cblas_sgemm", suffix), *dgemm = symbol(library, prefix, "cblas_dgemm", suffix);
    void *sgemv = symbol(library, prefix, "cblas_sgemv", suffix), *dgemv = symbol(library, prefix, "cblas_dgemv", suffix);
    void *set = symbol(library, prefix, "openblas_set_num_threads", suffix);
    void *get = symbol(library, prefix, "openblas_get_num_threads", suffix);
    if (!sgemm || !dgemm || !sgemv || !dgemv)
        return 0;
    if (has_wide_integers(library, prefix, suffix)) {
        FUNCTION(blas.sgemm, sgemm);
        FUNCTION(blas.dgemm, dgemm);
        FUNCTION(blas.sgemv, sgemv);
        FUNCTION(blas.dgemv, dgemv);
    } else {
        FUNCTION(narrow.sgemm, sgemm);
        FUNCTION(narrow.dgemm, dgemm);
        FUNCTION(narrow.sgemv, sgemv);
        FUNCTION(narrow.dgemv, dgemv);
        blas.sgemm = sgemm_of_narrow;
        blas.dgemm = dgemm_of_narrow;
        blas.sgemv = sgemv_of_narrow;
        blas.dgemv = dgemv_of_narrow;
    }
    FUNCTION(blas.blas_threads, set);
    FUNCTION(blas.blas_threads_now, get);
    if (!multiplies(&blas))
        return 0;
    Dl_info found;
    snprintf(blas_file, sizeof blas_file, "%s", dladdr(sgemm, &found) && found.dli_fname ? found.dli_fname : "unknown");
    host = blas;
    return 1;
}

int arrayad_use_blas(const char *path)
{
    static const char *const affixes[][2] = {{"scipy_", "64_"}, {"", "64_"}, {"scipy_", ""}, {"", ""}};
    host = (struct arrayad_host){.parallel_for = parallel_for, .python = host.python};
    blas_file[0] = '\0';
    if (!path)
        return ARRAYAD_OK;
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL); /* stays open, since the host points into it */
    if (library)
        for (size_t i = 0; i < sizeof affixes / sizeof affixes[0]; ++i)
            if (take_blas(library, affixes[i][0], affixes[i][1]))
                return ARRAYAD_OK;
    if (library)
        dlclose(library);
    return ARRAYAD_NO_BLAS;
}

const char *arrayad_blas(void)
{
    return blas_file;
}

void arrayad_use_python(int (*python)(int64_t program, int64_t number, void **buffers))
{
    host.python = python;
}

/* --- calls --- */

int arrayad_call(void *program, void **buffers)
{
    struct arrayad_host own = host;
    own.threads = threads_count();
    own.multiply_f32 = isas[arrayad_isa()].kernels[0]->multiply;
    own.multiply_f64 = isas[arrayad_isa()].kernels[1]->multiply;
    int (*function)(const struct arrayad_host *, void *const *);
    FUNCTION(function, program);
    return function(&own, buffers);
}

/*
 * The objects of CPython and NumPy, read where they lie, which costs 5 ns an array where cffi takes 200 to make a pointer.
 *
 * NumPy's layout is part of its C interface; CPython's list has been so since Python 3.0.  Both are asked first, below.
 * The caller holds the list and its arrays, so that no lock of Python's is needed.
 */
enum { HEAD = 2 * sizeof(void *) }; /* of an object: count of references, type */

static void *word(const void *object, size_t offset)
{
    void *found;
    memcpy(&found, (const char *)object + offset, sizeof found);
    return found;
}

static void *item(uint64_t list, int64_t i)
{
    return word(word((const void *)(uintptr_t)list, HEAD + sizeof(void *)), (size_t)i * sizeof(void *));
}

int arrayad_reads_lists(uint64_t list, int64_t count, void **arrays, void **buffers)
{
    const void *object = (const void *)(uintptr_t)list;
    if ((intptr_t)word(object, HEAD) != count || (intptr_t)word(object, HEAD + 2 * sizeof(void *)) < count)
        return 0;
    for (int64_t i = 0; i < count; ++i)
        if (item(list, i) != arrays[i] || word(arrays[i], HEAD) != buffers[i])
            return 0;
    return 1;
}

int arrayad_call_with_list(void *program, uint64_t list, int64_t count)
{
    enum { FEW = 256 };
    void *few[FEW], **buffers = count <= FEW ? few : malloc((size_t)count * sizeof *buffers);
    if (!buffers)
        return ARRAYAD_NO_MEMORY;
    for (int64_t i = 0; i < count; ++i)
        buffers[i] = word(item(list, i), HEAD);
    int code = arrayad_call(program, buffers);
    if (buffers != few)
        free(buffers);
    return code;
}
