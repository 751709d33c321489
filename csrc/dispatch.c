/*
 * The exported functions: they check every argument, choose the kernel, split the work and return a code.
 *
 * How work is split depends on sizes alone, so results do not depend on the number of threads.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "exports.h"
#include "kernels.h"
#include "threads.h"
#include "vector_math.h"

/* From this many elements on a job pays for waking other threads, which takes 10 to 40 microseconds. */
enum { PARALLEL = 1 << 17 };

/* Partial results of a reduction that is split along its axis: at most so many, on the stack. */
enum { MOST_PARTIALS = 16384 };

static const struct {
    const char *name;
    int operands, is_bool;
} operations[] = {
#define RESULT_T 0
#define RESULT_BOOL 1
#define OP(operands, name, result, ...) {#name, operands, result},
#include "ops.def"
#undef OP
#undef RESULT_T
#undef RESULT_BOOL
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

/* --- instruction set and threads --- */

static atomic_int chosen_isa = -1; /* the best, until one is chosen */

static const struct kernels *kernels_of(int dtype)
{
    return isas[arrayad_isa()].kernels[dtype];
}

int arrayad_isas(void)
{
    return isas_here();
}

const char *arrayad_isa_name(int isa)
{
    return isa >= 0 && isa < isas_here() ? isas[isa].name : NULL;
}

int arrayad_isa(void)
{
    int isa = atomic_load_explicit(&chosen_isa, memory_order_relaxed);
    if (isa < 0)
        atomic_store(&chosen_isa, isa = isas_here() - 1);
    return isa;
}

int arrayad_set_isa(int isa)
{
    if (isa < 0 || isa >= isas_here())
        return ARRAYAD_BAD_ISA;
    atomic_store(&chosen_isa, isa);
    return ARRAYAD_OK;
}

int arrayad_threads(void)
{
    return threads_count();
}

int arrayad_set_threads(int threads)
{
    if (threads < 1 || threads > MOST_THREADS)
        return ARRAYAD_BAD_THREADS;
    threads_set_count(threads);
    return ARRAYAD_OK;
}

const char *arrayad_compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

const char *arrayad_vector_math(void)
{
    return VECTOR_MATH;
}

int arrayad_operations(void)
{
    return OPERATIONS;
}

static int is_operation(int op)
{
    return op >= 0 && op < OPERATIONS;
}

const char *arrayad_operation_name(int op)
{
    return is_operation(op) ? operations[op].name : NULL;
}

int arrayad_operation_arity(int op)
{
    return is_operation(op) ? operations[op].operands : -1;
}

int arrayad_operation_is_bool(int op)
{
    return is_operation(op) ? operations[op].is_bool : -1;
}

/* --- checks --- */

static size_t size_of(int dtype)
{
    return dtype ? sizeof(double) : sizeof(float);
}

/* Whether a * b * c elements of 8 bytes can be addressed; a product with 0 in it can. */
static int is_size(int64_t a, int64_t b, int64_t c)
{
    const int64_t most = PTRDIFF_MAX / 8;
    if (a < 0 || b < 0 || c < 0)
        return 0;
    if (a == 0 || b == 0 || c == 0)
        return a <= most && b <= most && c <= most;
    return a <= most && b <= most / a && c <= most / a / b;
}

/* An array of `count` elements of `size` bytes each. */
static int check_array(const void *x, int64_t count, size_t size)
{
    if (count == 0)
        return ARRAYAD_OK;
    if (!x)
        return ARRAYAD_BAD_POINTER;
    return (uintptr_t)x % size ? ARRAYAD_MISALIGNED : ARRAYAD_OK;
}

#define TRY(check)                                                                                                           \
    do {                                                                                                                     \
        int code_ = (check);                                                                                                 \
        if (code_ != ARRAYAD_OK)                                                                                             \
            return code_;                                                                                                    \
    } while (0)

#define REQUIRE(condition, code)                                                                                             \
    do {                                                                                                                     \
        if (!(condition))                                                                                                    \
            return code;                                                                                                     \
    } while (0)

#define REQUIRE_DTYPE(dtype) REQUIRE((dtype) == 0 || (dtype) == 1, ARRAYAD_BAD_DTYPE)

static int64_t quotient_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

/* How many units of `size` elements make a part. */
static int64_t group_of(int64_t size)
{
    return size < PART ? PART / (size > 0 ? size : 1) : 1;
}

/* --- elementwise --- */

static int elementwise(int op, int operands, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop,
                       void *out, const void *const x[])
{
    REQUIRE(is_operation(op) && operations[op].operands == operands, ARRAYAD_BAD_OPERATION);
    REQUIRE_DTYPE(dtype);
    REQUIRE(is_size(rows, cols, 1), ARRAYAD_BAD_SIZE);
    REQUIRE(0 <= start && start <= stop && stop <= rows * cols, ARRAYAD_BAD_SIZE);
    REQUIRE(layouts >= 0 && layouts >> (4 * operands) == 0, ARRAYAD_BAD_LAYOUT);
    const struct kernels *kernels = kernels_of(dtype);
    struct elementwise_job job = {.loop = kernels->loops[op],
                                  .operands = operands,
                                  .is_bool = operations[op].is_bool,
                                  .cols = cols,
                                  .start = start,
                                  .stop = stop,
                                  .out = out};
    TRY(check_array(out, stop - start, job.is_bool ? 1 : size_of(dtype)));
    for (int k = 0; k < operands; ++k) {
        int layout = layouts >> (4 * k) & 15;
        REQUIRE(layout <= (ARRAYAD_COLUMN | ARRAYAD_BYTE), ARRAYAD_BAD_LAYOUT);
        TRY(check_array(x[k], stop - start, layout & ARRAYAD_BYTE ? 1 : size_of(dtype)));
        job.layouts[k] = layout;
        job.x[k] = x[k];
    }
    threads_run(kernels->elementwise, &job, quotient_up(stop - start, PART), stop - start >= PARALLEL);
    return ARRAYAD_OK;
}

int arrayad_elementwise1(int op, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop, void *out,
                         const void *x1)
{
    return elementwise(op, 1, dtype, layouts, rows, cols, start, stop, out, (const void *const[]){x1});
}

int arrayad_elementwise2(int op, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop, void *out,
                         const void *x1, const void *x2)
{
    return elementwise(op, 2, dtype, layouts, rows, cols, start, stop, out, (const void *const[]){x1, x2});
}

int arrayad_elementwise3(int op, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop, void *out,
                         const void *x1, const void *x2, const void *x3)
{
    return elementwise(op, 3, dtype, layouts, rows, cols, start, stop, out, (const void *const[]){x1, x2, x3});
}

int arrayad_elementwise4(int op, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop, void *out,
                         const void *x1, const void *x2, const void *x3, const void *x4)
{
    return elementwise(op, 4, dtype, layouts, rows, cols, start, stop, out, (const void *const[]){x1, x2, x3, x4});
}

/* --- along an axis --- */

static void run_axis(part_of_job part, int64_t outer, int64_t n, int64_t inner, void *out, const void *x)
{
    struct axis_job job = {.outer = outer, .n = n, .inner = inner, .out = out, .x = x};
    job.group = group_of(n * (inner < TILE ? inner : TILE));
    threads_run(part, &job, quotient_up(units_of(&job), job.group), outer * n * inner >= PARALLEL);
}

/* The length of the pieces in which x[n][inner] is reduced: so that there are about 64 if it is large, else one. */
static int64_t piece_of(int64_t n, int64_t inner)
{
    if (inner == 0 || n * inner < 4 * PART || inner > MOST_PARTIALS / 4)
        return n;
    int64_t most = MOST_PARTIALS / inner - 1 < 64 ? MOST_PARTIALS / inner - 1 : 64;
    int64_t piece = quotient_up(n, most), worthwhile = quotient_up(PART, inner);
    return piece < worthwhile ? worthwhile : piece;
}

int arrayad_reduce(int reduction, int dtype, int64_t outer, int64_t n, int64_t inner, void *out, const void *x)
{
    REQUIRE(reduction >= 0 && reduction < REDUCTIONS, ARRAYAD_BAD_OPERATION);
    REQUIRE_DTYPE(dtype);
    REQUIRE(is_size(outer, n, inner), ARRAYAD_BAD_SIZE);
    int is_index = reduction == ARRAYAD_ARGMAX || reduction == ARRAYAD_ARGMIN;
    int needs_one = is_index || reduction == ARRAYAD_MAX || reduction == ARRAYAD_MIN;
    REQUIRE(n > 0 || !needs_one || outer == 0 || inner == 0, ARRAYAD_BAD_SIZE);
    TRY(check_array(out, outer * inner, is_index ? sizeof(int64_t) : size_of(dtype)));
    TRY(check_array(x, outer * n * inner, size_of(dtype)));
    part_of_job part = kernels_of(dtype)->reductions[reduction];
    int64_t piece = outer == 1 && !is_index ? piece_of(n, inner) : n;
    if (piece < n) {
        double partials[MOST_PARTIALS];
        int64_t whole = n / piece, left = n % piece;
        size_t size = size_of(dtype);
        run_axis(part, whole, piece, inner, partials, x);
        if (left > 0)
            run_axis(part, 1, left, inner, (char *)partials + (size_t)(whole * inner) * size,
                     (const char *)x + (size_t)(whole * piece * inner) * size);
        run_axis(part, 1, whole + (left > 0), inner, out, partials);
    } else {
        run_axis(part, outer, n, inner, out, x);
    }
    return ARRAYAD_OK;
}

int arrayad_scan(int reduction, int dtype, int64_t outer, int64_t n, int64_t inner, void *out, const void *x)
{
    REQUIRE(reduction >= 0 && reduction < SCANS, ARRAYAD_BAD_OPERATION);
    REQUIRE_DTYPE(dtype);
    REQUIRE(is_size(outer, n, inner), ARRAYAD_BAD_SIZE);
    TRY(check_array(out, outer * n * inner, size_of(dtype)));
    TRY(check_array(x, outer * n * inner, size_of(dtype)));
    run_axis(kernels_of(dtype)->scans[reduction], outer, n, inner, out, x);
    return ARRAYAD_OK;
}

/* --- rows --- */

static int run_rows(part_of_job part, struct row_job job)
{
    job.group = group_of(job.cols);
    threads_run(part, &job, quotient_up(job.rows, job.group), job.rows * job.cols >= PARALLEL);
    return ARRAYAD_OK;
}

static int check_rows(int dtype, int64_t rows, int64_t cols)
{
    REQUIRE_DTYPE(dtype);
    REQUIRE(is_size(rows, cols, 1), ARRAYAD_BAD_SIZE);
    REQUIRE(rows == 0 || cols > 0, ARRAYAD_BAD_SIZE);
    return ARRAYAD_OK;
}

int arrayad_rowwise(int operation, int dtype, int64_t rows, int64_t cols, void *out, const void *x, const void *y)
{
    REQUIRE(operation >= 0 && operation < ROWWISE, ARRAYAD_BAD_OPERATION);
    TRY(check_rows(dtype, rows, cols));
    TRY(check_array(out, rows * cols, size_of(dtype)));
    TRY(check_array(x, rows * cols, size_of(dtype)));
    if (operation == ARRAYAD_SOFTMAX_VJP || operation == ARRAYAD_LOG_SOFTMAX_VJP)
        TRY(check_array(y, rows * cols, size_of(dtype)));
    return run_rows(kernels_of(dtype)->rowwise[operation],
                    (struct row_job){.rows = rows, .cols = cols, .out = out, .x = x, .y = y});
}

static int check_labels(int64_t rows, int64_t cols, const void *array, int64_t ignored)
{
    const int64_t *labels = array;
    TRY(check_array(array, rows, sizeof(int64_t)));
    for (int64_t r = 0; r < rows; ++r)
        REQUIRE((labels[r] >= 0 && labels[r] < cols) || labels[r] == ignored, ARRAYAD_BAD_LABEL);
    return ARRAYAD_OK;
}

int arrayad_cross_entropy(int dtype, int64_t rows, int64_t cols, void *loss, const void *x, const void *labels,
                          int64_t ignored)
{
    TRY(check_rows(dtype, rows, cols));
    TRY(check_array(loss, rows, size_of(dtype)));
    TRY(check_array(x, rows * cols, size_of(dtype)));
    TRY(check_labels(rows, cols, labels, ignored));
    return run_rows(kernels_of(dtype)->cross_entropy,
                    (struct row_job){.rows = rows, .cols = cols, .ignored = ignored, .out = loss, .x = x, .labels = labels});
}

int arrayad_cross_entropy_vjp(int dtype, int64_t rows, int64_t cols, void *out, const void *ct, const void *x,
                              const void *labels, int64_t ignored)
{
    TRY(check_rows(dtype, rows, cols));
    TRY(check_array(out, rows * cols, size_of(dtype)));
    TRY(check_array(ct, rows, size_of(dtype)));
    TRY(check_array(x, rows * cols, size_of(dtype)));
    TRY(check_labels(rows, cols, labels, ignored));
    struct row_job job = {.rows = rows, .cols = cols, .ignored = ignored, .out = out, .x = ct, .y = x, .labels = labels};
    return run_rows(kernels_of(dtype)->cross_entropy_vjp, job);
}

/* --- optimisers --- */

static int check_arrays(int dtype, int64_t n, int count, const void *const arrays[])
{
    REQUIRE_DTYPE(dtype);
    REQUIRE(is_size(n, 1, 1), ARRAYAD_BAD_SIZE);
    for (int i = 0; i < count; ++i)
        TRY(check_array(arrays[i], n, size_of(dtype)));
    return ARRAYAD_OK;
}

static int run_optimizer(part_of_job part, const struct optimizer_job *job)
{
    threads_run(part, job, quotient_up(job->n, PART), job->n >= PARALLEL);
    return ARRAYAD_OK;
}

int arrayad_sgd(int dtype, int64_t n, void *new_p, void *new_velocity, const void *p, const void *g, const void *velocity,
                double rate, double momentum, double dampening, double decay, int nesterov)
{
    TRY(check_arrays(dtype, n, 3, (const void *const[]){new_p, p, g}));
    if (new_velocity)
        TRY(check_arrays(dtype, n, 1, (const void *const[]){new_velocity}));
    if (velocity)
        TRY(check_arrays(dtype, n, 2, (const void *const[]){velocity, new_velocity}));
    struct optimizer_job job = {.n = n,
                                .new_p = new_p,
                                .new_m = new_velocity,
                                .p = p,
                                .g = g,
                                .m = velocity,
                                .rate = rate,
                                .momentum = momentum,
                                .dampening = dampening,
                                .decay = decay,
                                .nesterov = nesterov};
    return run_optimizer(kernels_of(dtype)->sgd, &job);
}

int arrayad_adam(int dtype, int64_t n, void *new_p, void *new_m, void *new_v, const void *p, const void *g, const void *m,
                 const void *v, double rate, double beta1, double beta2, double epsilon, double decay, int decoupled,
                 double correction1, double correction2)
{
    TRY(check_arrays(dtype, n, 7, (const void *const[]){new_p, new_m, new_v, p, g, m, v}));
    struct optimizer_job job = {.n = n,
                                .new_p = new_p,
                                .new_m = new_m,
                                .new_v = new_v,
                                .p = p,
                                .g = g,
                                .m = m,
                                .v = v,
                                .rate = rate,
                                .beta1 = beta1,
                                .beta2 = beta2,
                                .epsilon = epsilon,
                                .decay = decay,
                                .decoupled = decoupled,
                                .correction1 = correction1,
                                .correction2 = correction2};
    return run_optimizer(kernels_of(dtype)->adam, &job);
}
