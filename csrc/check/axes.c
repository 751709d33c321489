/* Reductions and scans against loops in long double. */
#include <math.h>

#include "check.h"

/* The reduction of n numbers x[first], x[first + stride], ...; `size` becomes the sum of their absolute values. */
static long double reduce(int reduction, const void *x, int dtype, int64_t first, int64_t n, int64_t stride,
                          long double *size)
{
    long double sum = 0.0L, prod = 1.0L, best = NAN, exps = 0.0L;
    int64_t at = 0;
    int is_low = reduction == ARRAYAD_MIN || reduction == ARRAYAD_ARGMIN;
    *size = 0.0L;
    for (int64_t i = 0; i < n; ++i) {
        long double value = get(x, dtype, first + i * stride);
        sum += value;
        prod *= value;
        *size += fabsl(value);
        if (i == 0 || (best == best && (value != value || (is_low ? value < best : value > best)))) {
            best = value;
            at = i;
        }
    }
    for (int64_t i = 0; i < n && reduction == ARRAYAD_LOGSUMEXP; ++i)
        exps += expl((long double)get(x, dtype, first + i * stride) - (isinf(best) ? 0.0L : best));
    switch (reduction) {
    case ARRAYAD_SUM:
        return sum;
    case ARRAYAD_PROD:
        return prod;
    case ARRAYAD_LOGSUMEXP:
        return n == 0 ? -INFINITY : logl(exps) + (isinf(best) ? 0.0L : best);
    case ARRAYAD_ARGMAX:
    case ARRAYAD_ARGMIN:
        return (long double)at;
    default:
        return best;
    }
}

static void check_reduction(int reduction, int dtype, int64_t outer, int64_t n, int64_t inner, int special)
{
    static const char *names[] = {"sum", "prod", "max", "min", "logsumexp", "argmax", "argmin"};
    doing(names[reduction], dtype, outer * n, inner);
    int is_index = reduction == ARRAYAD_ARGMAX || reduction == ARRAYAD_ARGMIN;
    void *x = new_array(dtype, outer * n * inner), *out = new_array(is_index ? DOUBLE : dtype, outer * inner);
    double spread = reduction == ARRAYAD_PROD ? 1.0 + 1.0 / (double)(n + 1) : 3.0;
    fill(x, dtype, outer * n * inner, reduction == ARRAYAD_PROD ? 1.0 / spread : -spread, spread, special);
    CHECK(arrayad_reduce(reduction, dtype, outer, n, inner, out, x) == ARRAYAD_OK);
    for (int64_t o = 0; o < outer; ++o)
        for (int64_t j = 0; j < inner; ++j) {
            long double size, wanted = reduce(reduction, x, dtype, o * n * inner + j, n, inner, &size);
            int64_t r = o * inner + j;
            if (is_index)
                CHECK(((const int64_t *)out)[r] == (int64_t)wanted);
            else if (reduction == ARRAYAD_MAX || reduction == ARRAYAD_MIN)
                check_close(get(out, dtype, r), wanted, dtype, 0.0, 0.0);
            else if (reduction == ARRAYAD_PROD) /* n roundings, at worst all in one direction */
                check_close(get(out, dtype, r), wanted, dtype, (double)n + 2.0, 0.0);
            else if (reduction == ARRAYAD_SUM) /* at most 16 additions in a row, and the pairs */
                check_close(get(out, dtype, r), wanted, dtype, 0.0, size < INFINITY ? 40.0L * size : 0.0L);
            else
                check_close(get(out, dtype, r), wanted, dtype, 8.0, 8.0L);
        }
    free(x);
    free(out);
}

static void check_scan(int reduction, int dtype, int64_t outer, int64_t n, int64_t inner)
{
    doing("scan", dtype, outer * n, inner);
    void *x = new_array(dtype, outer * n * inner), *out = new_array(dtype, outer * n * inner);
    fill(x, dtype, outer * n * inner, 0.9, 1.1, 0);
    CHECK(arrayad_scan(reduction, dtype, outer, n, inner, out, x) == ARRAYAD_OK);
    for (int64_t o = 0; o < outer; ++o)
        for (int64_t j = 0; j < inner; ++j) {
            long double running = reduction == ARRAYAD_SUM ? 0.0L : 1.0L;
            for (int64_t i = 0; i < n; ++i) {
                int64_t place = (o * n + i) * inner + j;
                running = reduction == ARRAYAD_SUM ? running + get(x, dtype, place) : running * get(x, dtype, place);
                check_close(get(out, dtype, place), running, dtype, (double)i + 1.0, 0.0);
            }
        }
    free(x);
    free(out);
}

void check_axes(void)
{
    static const int64_t shapes[][3] = {
        {0, 3, 2},   {2, 0, 3},    {3, 2, 0},    {1, 1, 1},     {3, 5, 1},   {2, 33, 1},     {1, 1000, 1},   {2, 5000, 1},
        {3, 17, 10}, {2, 100, 33}, {1, 40, 600}, {2, 300, 513}, {40, 9, 64}, {1, 200001, 1}, {1, 20011, 9},
    };
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; ++s) {
        const int64_t *n = shapes[s];
        for (int dtype = FLOAT; dtype <= DOUBLE; ++dtype) {
            for (int reduction = ARRAYAD_SUM; reduction <= ARRAYAD_ARGMIN; ++reduction) {
                int is_sum = reduction == ARRAYAD_SUM || reduction == ARRAYAD_PROD || reduction == ARRAYAD_LOGSUMEXP;
                int may_be_special = n[1] < 50 && reduction != ARRAYAD_PROD; /* whose overflow depends on the order */
                for (int special = 0; (n[1] > 0 || is_sum) && special <= may_be_special; ++special)
                    check_reduction(reduction, dtype, n[0], n[1], n[2], special);
            }
            check_scan(ARRAYAD_SUM, dtype, n[0], n[1], n[2]);
            check_scan(ARRAYAD_PROD, dtype, n[0], n[1], n[2]);
        }
    }
}
