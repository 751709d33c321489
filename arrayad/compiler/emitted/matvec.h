/*
 * Matrix times vector:  y[i] = (y[i] if add) + sum over p < k of a[i][p] x[p],   i < m.
 *
 * Steps as in matmul.h, whose text this one needs.  Where the rows of a are contiguous the sum is that of `dots`, which reads
 * them once at the speed of memory, else it is in the order of matmul.  Each y[i] depends on its row alone: threads share m.
 */

/*
 * out[r] = sum over p < k of a[r a_row + p] b[p]: in as many partial sums as 128 bytes hold, and those by halves, so that
 * every machine adds in one order, if not in that of matmul.
 */
enum { NAME(dot_lanes) = 128 / sizeof(T), NAME(dot_vectors) = 128 / VECTOR };

static INLINE T NAME(sum_of_lanes)(NAME(vector) *sums)
{
    T lanes[NAME(width)] ALIGNED;
    for (int half = NAME(dot_vectors) / 2; half > 0; half /= 2)
        for (int v = 0; v < half; ++v)
            sums[v] = NAME(plus)(sums[v], sums[v + half]);
    NAME(store)(lanes, sums[0]);
    for (int half = NAME(width) / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

static INLINE void NAME(dots)(const int rows, int64_t k, const T *a, int64_t a_row, const T *b, T *out)
{
    NAME(vector) sums[2][NAME(dot_vectors)];
    T x[NAME(width)] ALIGNED, y[NAME(width)] ALIGNED;
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v < NAME(dot_vectors); ++v)
            sums[r][v] = NAME(spread)(C(0.0));
    int64_t p = 0;
    for (; p + NAME(dot_lanes) <= k; p += NAME(dot_lanes))
        for (int v = 0; v < NAME(dot_vectors); ++v) {
            const int64_t at = p + v * NAME(width);
            const NAME(vector) right = NAME(load)(b + at);
            for (int r = 0; r < rows; ++r)
                sums[r][v] = NAME(fma_at)(NAME(load)(a + r * a_row + at), right, sums[r][v]);
        }
    for (int v = 0; v < NAME(dot_vectors) && p < k; ++v, p += NAME(width)) { /* the rest, with zeros after its end */
        const int64_t left = k - p < NAME(width) ? k - p : NAME(width);
        for (int64_t i = 0; i < NAME(width); ++i)
            y[i] = i < left ? b[p + i] : C(0.0);
        for (int r = 0; r < rows; ++r) {
            for (int64_t i = 0; i < NAME(width); ++i)
                x[i] = i < left ? a[r * a_row + p + i] : C(0.0);
            sums[r][v] = NAME(fma_at)(NAME(load)(x), NAME(load)(y), sums[r][v]);
        }
    }
    for (int r = 0; r < rows; ++r)
        out[r] = NAME(sum_of_lanes)(sums[r]);
}

/* Pieces of x are copied where it is not contiguous. */
static NOINLINE void NAME(by_dots)(int64_t m, int64_t k, const T *a, int64_t a_row, const T *x, int64_t x_step, T *y,
                                   int64_t y_step, int add)
{
    enum { AT_ONCE = 2048 };
    T gathered[AT_ONCE] ALIGNED, found[2];
    for (int64_t first = 0; first < k; first += AT_ONCE) {
        const int64_t count = k - first < AT_ONCE ? k - first : AT_ONCE;
        const T *piece = x + first;
        if (x_step != 1) {
            for (int64_t p = 0; p < count; ++p)
                gathered[p] = x[(first + p) * x_step];
            piece = gathered;
        }
        for (int64_t i = 0; i < m; i += 2) {
            const int rows = m - i < 2 ? 1 : 2;
            if (rows == 2)
                NAME(dots)(2, count, a + i * a_row + first, a_row, piece, found);
            else
                NAME(dots)(1, count, a + i * a_row + first, a_row, piece, found);
            for (int r = 0; r < rows; ++r) {
                T *out = y + (i + r) * y_step;
                *out = add || first ? *out + found[r] : found[r];
            }
        }
    }
}

static NOINLINE void NAME(matvec)(int64_t m, int64_t k, const T *a, int64_t a_row, int64_t a_column, const T *x, int64_t x_step,
                                  T *y, int64_t y_step, int add)
{
    if (a_column == 1 && k > 0)
        NAME(by_dots)(m, k, a, a_row, x, x_step, y, y_step, add);
    else
        NAME(matmul)(1, m, k, x, 0, x_step, a, a_column, a_row, y, 0, y_step, add, 0);
}
