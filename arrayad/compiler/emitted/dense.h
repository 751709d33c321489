/*
 * Dense linear algebra of one n x n matrix in C order, n >= 0, as LAPACK's routines behind NumPy do it:
 *
 *     cholesky           lower triangular L with L L' = (x + x') / 2, zeros above its diagonal
 *     lu                 in place: P a = L U by partial pivoting; pivots[k] is the row that changed places with row k
 *     lu_solve           in place: b becomes the solution of a y = b, b: n x columns
 *     triangular_solve   in place: b becomes the solution of t y = b, of t the lower or the upper triangle (its elements by
 *                        row and column steps, so that a transpose costs nothing); a diagonal of ones is not read if `unit`
 *     solve, inverse     by lu
 *     det, slogdet       by lu: det is the product of U's diagonal, without over- or underflow on the way; singular matrices
 *                        give 0, and sign 0 with logarithm -inf
 *
 * cholesky, lu, solve and inverse return 0, or 1 + the first place where a pivot is 0 (or not positive; nan is neither for
 * lu, as in LAPACK).  lu has done its work all the same; the others have left out in an undefined state.  `work` has room for
 * n n elements, `pivots` for n.  out shares no memory with anything but work in det.  nan and inf as the arithmetic gives.
 *
 * Sums run in one order, with fma_of, whatever the vectors.
 */

/* out[j] -= sum over s < count of l[s l_step] rows[s row_step + j] for j < width, in the order of s, eight at a time. */
static NOINLINE void NAME(eliminate)(int64_t count, const T *l, int64_t l_step, const T *rows, int64_t row_step,
                                     int64_t width, T *out)
{
    int64_t s = 0;
    for (; s + 8 <= count; s += 8) {
        T by[8];
        const T *x = rows + s * row_step;
        for (int r = 0; r < 8; ++r)
            by[r] = -l[(s + r) * l_step];
        INDEPENDENT
        for (int64_t j = 0; j < width; ++j) {
            T sum = out[j];
            for (int r = 0; r < 8; ++r)
                sum = NAME(fma_of)(by[r], x[r * row_step + j], sum);
            out[j] = sum;
        }
    }
    for (; s < count; ++s) {
        const T by = -l[s * l_step], *x = rows + s * row_step;
        INDEPENDENT
        for (int64_t j = 0; j < width; ++j)
            out[j] = NAME(fma_of)(by, x[j], out[j]);
    }
}

/* By rows of L', which are whole in memory; work may be out. */
static UNUSED int64_t NAME(cholesky)(int64_t n, T *out, const T *x, T *work)
{
    for (int64_t i = 0; i < n; ++i) {
        T *row = work + i * n + i;
        for (int64_t j = i; j < n; ++j)
            row[j - i] = C(0.5) * x[i * n + j] + C(0.5) * x[j * n + i];
        NAME(eliminate)(i, work + i, n, work + i, n, n - i, row);
        if (!(row[0] > C(0.0)))
            return i + 1;
        const T root = M(sqrt)(row[0]);
        row[0] = root;
        for (int64_t j = 1; j < n - i; ++j)
            row[j] /= root;
    }
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j <= i; ++j) {
            out[i * n + j] = work[j * n + i];
            if (j < i)
                out[j * n + i] = C(0.0);
        }
    return 0;
}

static INLINE void NAME(swap_rows)(int64_t n, T *a, T *b)
{
    for (int64_t j = 0; j < n && a != b; ++j) {
        const T x = a[j];
        a[j] = b[j];
        b[j] = x;
    }
}

/* The columns first, ..., last - 1 of the rows from first on, one after the other. */
static NOINLINE int64_t NAME(lu_panel)(int64_t n, int64_t first, int64_t last, T *a, int64_t *pivots)
{
    int64_t singular = 0;
    for (int64_t k = first; k < last; ++k) {
        int64_t best = k;
        for (int64_t i = k + 1; i < n; ++i)
            if (M(fabs)(a[i * n + k]) > M(fabs)(a[best * n + k]))
                best = i;
        pivots[k] = best;
        NAME(swap_rows)(n, a + k * n, a + best * n);
        const T pivot = a[k * n + k];
        if (pivot == C(0.0)) {
            singular = singular ? singular : k + 1;
            continue;
        }
        for (int64_t i = k + 1; i < n; ++i) {
            const T l = a[i * n + k] /= pivot;
            for (int64_t j = k + 1; j < last; ++j)
                a[i * n + j] = NAME(fma_of)(-l, a[k * n + j], a[i * n + j]);
        }
    }
    return singular;
}

static UNUSED int64_t NAME(lu)(int64_t n, T *a, int64_t *pivots)
{
    int64_t singular = 0;
    for (int64_t first = 0; first < n; first += 8) {
        const int64_t last = first + 8 < n ? first + 8 : n, found = NAME(lu_panel)(n, first, last, a, pivots);
        singular = singular ? singular : found;
        for (int64_t i = first + 1; i < n; ++i)
            NAME(eliminate)((i < last ? i : last) - first, a + i * n + first, 1, a + first * n + last, n, n - last,
                            a + i * n + last);
    }
    return singular;
}

static UNUSED void NAME(triangular_solve)(int64_t n, int64_t columns, const T *t, int64_t row, int64_t column, int lower,
                                          int unit, T *b)
{
    for (int64_t step = 0; step < n; ++step) {
        const int64_t i = lower ? step : n - 1 - step, first = lower ? 0 : i + 1;
        NAME(eliminate)(step, t + i * row + first * column, column, b + first * columns, columns, columns, b + i * columns);
        if (!unit)
            for (int64_t j = 0; j < columns; ++j)
                b[i * columns + j] /= t[i * (row + column)];
    }
}

static UNUSED void NAME(lu_solve)(int64_t n, int64_t columns, const T *factors, const int64_t *pivots, T *b)
{
    for (int64_t k = 0; k < n; ++k)
        NAME(swap_rows)(columns, b + k * columns, b + pivots[k] * columns);
    NAME(triangular_solve)(n, columns, factors, n, 1, 1, 1, b);
    NAME(triangular_solve)(n, columns, factors, n, 1, 0, 0, b);
}

static UNUSED int64_t NAME(solve)(int64_t n, int64_t columns, T *out, const T *a, const T *b, T *work, int64_t *pivots)
{
    memcpy(work, a, (size_t)(n * n) * sizeof(T));
    const int64_t singular = NAME(lu)(n, work, pivots);
    if (singular)
        return singular;
    memcpy(out, b, (size_t)(n * columns) * sizeof(T));
    NAME(lu_solve)(n, columns, work, pivots, out);
    return 0;
}

static UNUSED int64_t NAME(inverse)(int64_t n, T *out, const T *x, T *work, int64_t *pivots)
{
    memcpy(work, x, (size_t)(n * n) * sizeof(T));
    const int64_t singular = NAME(lu)(n, work, pivots);
    if (singular)
        return singular;
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
            out[i * n + j] = i == j ? C(1.0) : C(0.0);
    NAME(lu_solve)(n, n, work, pivots, out);
    return 0;
}

static UNUSED T NAME(det)(int64_t n, const T *x, T *work, int64_t *pivots)
{
    T mantissa = C(1.0);
    int64_t exponent = 0;
    memcpy(work, x, (size_t)(n * n) * sizeof(T));
    if (NAME(lu)(n, work, pivots))
        return C(0.0);
    for (int64_t k = 0; k < n; ++k) {
        int of_factor = 0, of_product = 0;
        mantissa = M(frexp)(mantissa * M(frexp)(pivots[k] == k ? work[k * n + k] : -work[k * n + k], &of_factor), &of_product);
        exponent += of_factor;
        exponent += of_product;
    }
    return M(ldexp)(mantissa, (int)(exponent > 9999 ? 9999 : exponent < -9999 ? -9999 : exponent));
}

static UNUSED void NAME(slogdet)(int64_t n, T *sign, T *logarithm, const T *x, T *work, int64_t *pivots)
{
    memcpy(work, x, (size_t)(n * n) * sizeof(T));
    *sign = C(1.0);
    *logarithm = C(0.0);
    if (NAME(lu)(n, work, pivots)) {
        *sign = C(0.0);
        *logarithm = -(T)INFINITY;
        return;
    }
    for (int64_t k = 0; k < n; ++k) {
        const T u = work[k * n + k];
        *sign = (u < C(0.0)) != (pivots[k] != k) ? -*sign : *sign;
        *logarithm += M(log)(M(fabs)(u));
    }
}
