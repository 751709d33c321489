/* Linear algebra and sorting of one T, in memory that ends where the arrays end; see emitted.c. */
#include "scans.h"
#include "sorting.h"
#include "dense.h"

/* Fails unless L U, or the like, is x to within rounding: a and b are n x n. */
static void NAME(check_factors)(int64_t n, const T *a, const T *b, const T *x)
{
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) {
            long double sum = 0.0L, size = 1.0L;
            for (int64_t p = 0; p < n; ++p) {
                sum += (long double)a[i * n + p] * b[p * n + j];
                size += fabsl((long double)a[i * n + p] * b[p * n + j]);
            }
            check_close((double)x[i * n + j], sum, DTYPE, 0.0, 4.0L * (long double)(n + 1) * size);
        }
}

static void NAME(check_matrix)(int64_t n)
{
    T *x = new_array(DTYPE, n * n), *work = new_array(DTYPE, n * n), *out = new_array(DTYPE, n * n), *one = new_array(DTYPE, n * n);
    int64_t *pivots = new_array(DOUBLE, n);
    T sign, logarithm;
    doing("linear algebra", DTYPE, n, n);
    fill(x, DTYPE, n * n, -1.0, 1.0, 0);
    for (int64_t i = 0; i < n * n; ++i)
        one[i] = i % (n + 1) == 0;
    CHECK(NAME(inverse)(n, out, x, work, pivots) == 0);
    NAME(slogdet)(n, &sign, &logarithm, x, work, pivots);
    check_close((double)NAME(det)(n, x, work, pivots), (long double)sign * expl((long double)logarithm), DTYPE, 100.0, 0.0L);
    CHECK(NAME(solve)(n, n, out, x, one, work, pivots) == 0);
    CHECK(NAME(solve)(n, n, one, x, x, work, pivots) == 0);
    NAME(check_factors)(n, x, one, x);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) {
            work[j * n + i] = C(0.1) * x[i * n + j] + (i == j ? C(4.0) : C(0.0));
            x[i * n + j] = C(0.1) * x[i * n + j] + (i == j ? C(4.0) : C(0.0));
        }
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
            one[i * n + j] = (x[i * n + j] + work[i * n + j]) / 2;
    CHECK(NAME(cholesky)(n, out, x, work) == 0);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
            work[j * n + i] = out[i * n + j];
    NAME(check_factors)(n, out, work, one);
    free(x);
    free(work);
    free(out);
    free(one);
    free(pivots);
}

static void NAME(check_order)(int64_t n, int64_t inner)
{
    T *x = new_array(DTYPE, n * inner), *sorted = new_array(DTYPE, n);
    int64_t *places = new_array(DOUBLE, n * inner), *found = new_array(DOUBLE, n);
    uint64_t *buffer = new_array(DOUBLE, 4 * n);
    doing("sorting", DTYPE, n, inner);
    fill(x, DTYPE, n * inner, -1e3, 1e3, 1);
    for (int descending = 0; descending < 2; ++descending) {
        NAME(argsort)(1, n, inner, descending, places, x, buffer);
        for (int64_t j = 0; j < inner; ++j)
            for (int64_t i = 1; i < n; ++i) {
                int64_t a = places[(i - 1) * inner + j], b = places[i * inner + j];
                T low = x[(descending ? b : a) * inner + j], high = x[(descending ? a : b) * inner + j];
                CHECK(low < high || (low == low && high != high) || ((low == high || (low != low && high != high)) && a < b));
            }
    }
    NAME(argsort)(1, n, 1, 0, places, x, buffer);
    for (int64_t i = 0; i < n; ++i)
        sorted[i] = x[places[i]];
    NAME(searchsorted)(n, sorted, n, x, 0, found);
    for (int64_t i = 0; i < n; ++i) {
        CHECK(sorted[found[i]] == x[i] || x[i] != x[i]);
        CHECK(found[i] == 0 || sorted[found[i] - 1] < x[i] || x[i] != x[i]);
    }
    free(x);
    free(sorted);
    free(places);
    free(found);
    free(buffer);
}

static void NAME(check_scans)(int64_t n, int64_t width)
{
    T *a = new_array(DTYPE, n * width), *b = new_array(DTYPE, n * width), *out = new_array(DTYPE, n * width);
    fill(a, DTYPE, n * width, -1.0, 1.0, 0);
    fill(b, DTYPE, n * width, -1.0, 1.0, 0);
    doing("scans", DTYPE, n, width);
    for (int reverse = 0; reverse < 2; ++reverse) {
        NAME(cumulative_prod)(n, width, width, reverse, out, a);
        NAME(cumulative_sum)(n, width, width, reverse, out, a);
        NAME(recurrence)(n, width, width, reverse, out, a, b);
        for (int64_t i = 0; i < n; ++i)
            for (int64_t j = 0; j < width; ++j) {
                int64_t at = (reverse ? n - 1 - i : i) * width + j, before = at + (reverse ? width : -width);
                CHECK(out[at] == (T)(i ? (T)(a[at] * out[before]) + b[at] : b[at]));
            }
    }
    free(a);
    free(b);
    free(out);
}

static void NAME(check_dense)(void)
{
    for (int64_t n = 0; n < 20; ++n) {
        NAME(check_matrix)(n);
        NAME(check_order)(4 * n, 1 + n % 3);
        NAME(check_scans)(n, n % 5);
    }
    NAME(check_matrix)(50);
    NAME(check_order)(3000, 2);
}
