/*
 * What a determinant's derivatives are made of, for one n x n matrix in C order (needs dense.h):
 *
 *     cofactors       out[i][j] = d det(x) / d x[i][j], each the determinant of a minor: for small n
 *     limit_inverse   the inverse; of a singular matrix the quotient adj(x) / det(x), whose elements are infinite or nan
 *
 * nan and inf in x give nan cofactors.  `work` has room for 2 n n elements, `pivots` for n; out shares no memory with anything.
 */

static UNUSED void NAME(cofactors)(int64_t n, T *out, const T *x, T *work, int64_t *pivots)
{
    int is_finite = 1;
    for (int64_t i = 0; i < n * n; ++i)
        is_finite &= x[i] - x[i] == C(0.0);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) {
            T *minor = work + n * n;
            for (int64_t r = 0; r < n; ++r)
                for (int64_t s = 0; s < n; ++s)
                    if (r != i && s != j)
                        *minor++ = x[r * n + s];
            const T found = NAME(det)(n - 1, work + n * n, work, pivots);
            out[i * n + j] = is_finite ? (i + j) % 2 ? -found : found : (T)NAN;
        }
}

static UNUSED void NAME(limit_inverse)(int64_t n, T *out, const T *x, T *work, int64_t *pivots)
{
    if (!NAME(inverse)(n, out, x, work, pivots))
        return;
    NAME(cofactors)(n, out, x, work, pivots);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j <= i; ++j) {
            const T lower = out[i * n + j], upper = out[j * n + i];
            out[i * n + j] = upper == C(0.0) ? (T)NAN : upper * (T)INFINITY;
            out[j * n + i] = lower == C(0.0) ? (T)NAN : lower * (T)INFINITY;
        }
}
