/*
 * Scans along an axis, for one o of outer x n x inner arrays in C order and `width` of its columns:
 *
 *     cumulative_sum    out[i][j] = x[0][j] + ... + x[i][j]
 *     cumulative_prod   out[i][j] = x[0][j] ... x[i][j]
 *     recurrence        out[i][j] = a[i][j] out[i - 1][j] + b[i][j],   out[-1][j] = 0
 *
 * `inner` is the step from row to row.  In this order, or with `reverse` from the last row to the first.  Any size may be 0;
 * out may be x, or a or b.  Columns are independent: threads share o and columns.
 */

#define SCAN(name, operator)                                                                                                 \
    static UNUSED void NAME(name)(int64_t n, int64_t inner, int64_t width, int reverse, T *out, const T *x)                  \
    {                                                                                                                        \
        const int64_t step = reverse ? -inner : inner;                                                                       \
        if (reverse && n > 0)                                                                                                \
            out += (n - 1) * inner, x += (n - 1) * inner;                                                                    \
        for (int64_t i = 0; i < n; ++i, out += step, x += step)                                                              \
            INDEPENDENT                                                                                                      \
            for (int64_t j = 0; j < width; ++j)                                                                              \
                out[j] = i ? out[j - step] operator x[j] : x[j];                                                             \
    }

SCAN(cumulative_sum, +)
SCAN(cumulative_prod, *)
#undef SCAN

static UNUSED void NAME(recurrence)(int64_t n, int64_t inner, int64_t width, int reverse, T *out, const T *a, const T *b)
{
    const int64_t step = reverse ? -inner : inner;
    if (reverse && n > 0)
        out += (n - 1) * inner, a += (n - 1) * inner, b += (n - 1) * inner;
    for (int64_t i = 0; i < n; ++i, out += step, a += step, b += step)
        INDEPENDENT
        for (int64_t j = 0; j < width; ++j)
            out[j] = i ? a[j] * out[j - step] + b[j] : b[j];
}
