/*
 * multiply: the product that a `struct product` describes (product.h, which tells in what order it sums).
 *
 * Tiles of c, TILE_ROWS x 2 vectors, stay in registers while a sliver of a and a panel of b run through them; the panel stays
 * in the first cache while slivers pass, packed rows of a in the second.
 *
 * Source: Goto & van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34 (2008), doi
 * 10.1145/1356052.1356053.
 */

enum { NAME(panel) = 2 * NAME(width) }; /* columns of a tile */

/*
 * out[p * width + i] = x[p * step + i * across] for p < k and i < count, 0 for count <= i < width.
 *
 * Four by four where 4 <= count, the last four of i once more if 4 does not divide count.
 */
static NOINLINE void NAME(pack)(int64_t k, int64_t count, int64_t width, const T *x, int64_t step, int64_t across, T *out)
{
    int64_t p = 0;
    if (count < width)
        memset(out, 0, (size_t)(k * width) * sizeof(T));
    if (across == 1 && count == NAME(panel)) {
        for (; p < k; ++p, x += step, out += width)
            memcpy(out, x, NAME(panel) * sizeof(T));
        return;
    }
    if (across == 1 && count >= 4) {
        for (; p < k; ++p, x += step, out += width) {
            for (int64_t i = 0; i + 4 <= count; i += 4)
                memcpy(out + i, x + i, 4 * sizeof(T));
            memcpy(out + count - 4, x + count - 4, 4 * sizeof(T));
        }
        return;
    }
    for (; p + 4 <= k && step == 1 && count >= 4; p += 4)
        for (int64_t i = 0; i < count; i += 4) {
            int64_t from = i + 4 <= count ? i : count - 4;
            NAME(turn_four)(x + p + from * across, across, out + p * width + from, width);
        }
    for (; p < k; ++p)
        for (int64_t i = 0; i < count; ++i)
            out[p * width + i] = x[p * step + i * across];
}

/* One tile, `rows` x (1 + two) vectors, both known to the compiler: its partial sums stay in registers. */
#define BEGIN_ROW(i)                                                                                                         \
    NAME(vector) x##i = zero, y##i = zero;                                                                                   \
    const T *a##i = a + (rows > i ? i : 0) * a_row;
#define STEP_ROW(i)                                                                                                          \
    if (rows > i) {                                                                                                          \
        NAME(vector) s = NAME(spread)(a##i[at]);                                                                             \
        x##i = NAME(fma_at)(s, left, x##i);                                                                                  \
        if (two)                                                                                                             \
            y##i = NAME(fma_at)(s, right, y##i);                                                                             \
    }
#define END_ROW(i)                                                                                                           \
    if (rows > i) {                                                                                                          \
        T *out = c + i * c_row;                                                                                              \
        NAME(store)(out, add ? NAME(plus)(NAME(load)(out), x##i) : x##i);                                                    \
        if (two)                                                                                                             \
            NAME(store)(out + NAME(width), add ? NAME(plus)(NAME(load)(out + NAME(width)), y##i) : y##i);                    \
    }

static INLINE void NAME(tile)(const int rows, const int two, int64_t k, const T *a, int64_t a_row, int64_t a_column,
                              const T *b, int64_t b_row, T *c, int64_t c_row, int add)
{
    const NAME(vector) zero = NAME(spread)(C(0.0));
    int64_t at = 0;
    EACH_TILE_ROW(BEGIN_ROW)
    for (int64_t p = 0; p < k; ++p, at += a_column, b += b_row) {
        NAME(vector) left = NAME(load)(b), right = two ? NAME(load)(b + NAME(width)) : zero;
        EACH_TILE_ROW(STEP_ROW)
    }
    EACH_TILE_ROW(END_ROW)
}
#undef BEGIN_ROW
#undef STEP_ROW
#undef END_ROW

#define TILE_CASE(i)                                                                                                         \
    case i + 1:                                                                                                              \
        NAME(tile)(i + 1, two, k, a, a_row, a_column, b, b_row, c, c_row, add);                                              \
        break;

static NOINLINE void NAME(wide_tile)(int64_t rows, int64_t k, const T *a, int64_t a_row, int64_t a_column, const T *b,
                                     int64_t b_row, T *c, int64_t c_row, int add)
{
    enum { two = 1 };
    switch (rows) { EACH_TILE_ROW(TILE_CASE) }
}

static NOINLINE void NAME(narrow_tile)(int64_t rows, int64_t k, const T *a, int64_t a_row, int64_t a_column, const T *b,
                                       int64_t b_row, T *c, int64_t c_row, int add)
{
    enum { two = 0 };
    switch (rows) { EACH_TILE_ROW(TILE_CASE) }
}
#undef TILE_CASE

/* out[j * step] = (out[j * step] if add) + x[j], j < n: fours where they lie side by side, the last once more if need be. */
static INLINE void NAME(put)(int64_t n, T *x, T *out, int64_t step, int add)
{
    for (int64_t j = 0; j < n && add; ++j)
        x[j] = out[j * step] + x[j];
    if (step == 1 && n >= 4) {
        for (int64_t j = 0; j + 4 <= n; j += 4)
            memcpy(out + j, x + j, 4 * sizeof(T));
        memcpy(out + n - 4, x + n - 4, 4 * sizeof(T));
        return;
    }
    for (int64_t j = 0; j < n; ++j)
        out[j * step] = x[j];
}

/*
 * One panel: all of m rows by n <= panel columns, k <= depth; b has its columns side by side and may be read to the end of
 * the last vector that n reaches into.  The rows are shared evenly among as few slivers as there can be.
 */
static NOINLINE void NAME(by_panel)(int64_t m, int64_t n, int64_t k, const T *a, int64_t a_row, int64_t a_column,
                                    int64_t sliver, const T *b, int64_t b_row, T *c, int64_t c_row, int64_t c_column, int add)
{
    int64_t slivers = (m + TILE_ROWS - 1) / TILE_ROWS, few = m / slivers, more = m - few * slivers;
    for (int64_t s = 0, i = 0; s < slivers; ++s) {
        int64_t rows = few + (s < more);
        const T *a_here = a + (sliver ? s * sliver : i * a_row);
        T *c_here = c + i * c_row;
        i += rows;
        if (c_column == 1 && n == NAME(panel)) {
            NAME(wide_tile)(rows, k, a_here, a_row, a_column, b, b_row, c_here, c_row, add);
            continue;
        }
        if (c_column == 1 && n == NAME(width)) {
            NAME(narrow_tile)(rows, k, a_here, a_row, a_column, b, b_row, c_here, c_row, add);
            continue;
        }
        T found[TILE_ROWS * NAME(panel)] ALIGNED;
        if (n > NAME(width))
            NAME(wide_tile)(rows, k, a_here, a_row, a_column, b, b_row, found, NAME(panel), 0);
        else
            NAME(narrow_tile)(rows, k, a_here, a_row, a_column, b, b_row, found, NAME(panel), 0);
        for (int64_t r = 0; r < rows; ++r)
            NAME(put)(n, found + r * NAME(panel), c_here + r * c_row, c_column, add);
    }
}

/* --- one row ------------------------------------------------------------------------------------------------------------- */

/* sum[i] += s[0] x[i] + ... + s[rows - 1] x[(rows - 1) x_row + i], in this order, for i < n. */
static INLINE void NAME(add_rows)(const int rows, int64_t n, const T *s, const T *x, int64_t x_row, T *sum)
{
    const int64_t whole = n / NAME(width) * NAME(width);
    for (int64_t i = 0; i < whole; i += NAME(width)) {
        NAME(vector) found = NAME(load)(sum + i);
        for (int r = 0; r < rows; ++r)
            found = NAME(fma_at)(NAME(spread)(s[r]), NAME(load)(x + r * x_row + i), found);
        NAME(store)(sum + i, found);
    }
    for (int64_t i = whole; i < n; ++i)
        for (int r = 0; r < rows; ++r)
            sum[i] = NAME(fma_of)(s[r], x[r * x_row + i], sum[i]);
}

/* A row of c from whole rows of b, whose columns lie side by side: in the order of matmul. */
static NOINLINE void NAME(row_by_rows)(int64_t n, int64_t k, const T *a, int64_t a_step, const T *b, int64_t b_row, T *c,
                                       int64_t c_step, int add)
{
    enum { AT_ONCE = 1024 };
    T sum[AT_ONCE] ALIGNED, s[4];
    for (int64_t j = 0; j < n; j += AT_ONCE)
        for (int64_t first = 0; first < k; first += NAME(depth)) {
            const int64_t count = n - j < AT_ONCE ? n - j : AT_ONCE;
            const int64_t last = k - first < NAME(depth) ? k : first + NAME(depth);
            const T *x = b + first * b_row + j;
            memset(sum, 0, (size_t)count * sizeof(T));
            for (int64_t p = first; p < last;) {
                const int at_once = last - p < 4 ? 1 : 4;
                for (int r = 0; r < at_once; ++r)
                    s[r] = a[(p + r) * a_step];
                if (at_once == 4)
                    NAME(add_rows)(4, count, s, x, b_row, sum);
                else
                    NAME(add_rows)(1, count, s, x, b_row, sum);
                p += at_once;
                x += at_once * b_row;
            }
            for (int64_t i = 0; i < count; ++i) {
                T *out = c + (j + i) * c_step;
                *out = add || first ? *out + sum[i] : sum[i];
            }
        }
}

/* --- one column ---------------------------------------------------------------------------------------------------------- */

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

/* --- whole products ------------------------------------------------------------------------------------------------------ */

static INLINE int64_t NAME(least)(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* c' = b' a', which reads a by vectors in the place of b. */
static NOINLINE struct NAME(product) NAME(transposed)(struct NAME(product) x)
{
    struct NAME(product) y = x;
    y.m = x.n, y.n = x.m;
    y.a = x.b, y.a_row = x.b_column, y.a_column = x.b_row;
    y.b = x.a, y.b_row = x.a_column, y.b_column = x.a_row;
    y.c_row = x.c_column, y.c_column = x.c_row;
    y.row = x.column, y.column = x.row;
    y.turned = !x.turned;
    return y;
}

/* About the time that a product takes as it stands, in multiplications of vectors: its tiles, and what is rearranged. */
static NOINLINE int64_t NAME(effort)(const struct NAME(product) *x)
{
    const int64_t rest = x->n % NAME(panel), blocks = (x->k + NAME(depth) - 1) / NAME(depth);
    const int64_t columns = x->n - rest + (rest > NAME(width) ? NAME(panel) : rest ? NAME(width) * 3 / 2 : 0);
    const int64_t packed = x->b_column == 1 ? x->k * rest / 2 : x->k * x->n;
    return x->k * x->m * columns / NAME(width) + packed + blocks * x->m * (x->c_column == 1 ? rest : 2 * x->n);
}

static INLINE void NAME(done)(const struct NAME(product) *x, int64_t i, int64_t rows, int64_t j, int64_t columns)
{
    if (x->finish && x->turned)
        x->finish(x->context, x->column + j, columns, x->row + i, rows);
    else if (x->finish)
        x->finish(x->context, x->row + i, rows, x->column + j, columns);
}

/* Without a buffer: panels of b are copied to the stack where they are not read as they lie. */
static NOINLINE void NAME(by_panels)(const struct NAME(product) *x)
{
    T panel[NAME(depth) * NAME(panel)] ALIGNED;
    int is_near = x->m <= 2 * TILE_ROWS || NAME(least)(x->k, NAME(depth)) * x->b_row * (int64_t)sizeof(T) <= 32768;
    for (int64_t p = 0; p < x->k; p += NAME(depth))
        for (int64_t j = 0; j < x->n; j += NAME(panel)) {
            int64_t depth = NAME(least)(x->k - p, NAME(depth)), columns = NAME(least)(x->n - j, NAME(panel));
            int64_t b_row = x->b_row, width = columns > NAME(width) ? NAME(panel) : NAME(width);
            const T *b = x->b + p * x->b_row + j * x->b_column;
            if (x->b_column != 1 || columns != width || !is_near) {
                NAME(pack)(depth, columns, width, b, x->b_row, x->b_column, panel);
                b = panel;
                b_row = width;
            }
            NAME(by_panel)(x->m, columns, depth, x->a + p * x->a_column, x->a_row, x->a_column, 0, b, b_row,
                           x->c + j * x->c_column, x->c_row, x->c_column, x->add || p);
        }
}

/* With a buffer: a block of b in panels, a block of a in slivers. */
static NOINLINE void NAME(by_blocks)(const struct NAME(product) *x)
{
    T *slivers = x->buffer, *panels = x->buffer + NAME(rows_at_once) * NAME(depth);
    const int at_end = x->whole_rows && (x->turned || x->n > NAME(columns_at_once));
    for (int64_t j = 0; j < x->n; j += NAME(columns_at_once))
        for (int64_t p = 0; p < x->k; p += NAME(depth)) {
            int64_t depth = NAME(least)(x->k - p, NAME(depth)), columns = NAME(least)(x->n - j, NAME(columns_at_once));
            for (int64_t s = 0; s < columns; s += NAME(panel)) {
                int64_t width = columns - s > NAME(width) ? NAME(panel) : NAME(width);
                NAME(pack)(depth, NAME(least)(columns - s, width), width, x->b + p * x->b_row + (j + s) * x->b_column, x->b_row,
                           x->b_column, panels + s * depth);
            }
            for (int64_t i = 0; i < x->m; i += NAME(rows_at_once)) {
                int64_t rows = NAME(least)(x->m - i, NAME(rows_at_once));
                int64_t count = (rows + TILE_ROWS - 1) / TILE_ROWS, few = rows / count, more = rows - few * count;
                const T *a = x->a + i * x->a_row + p * x->a_column;
                for (int64_t s = 0; s < count; ++s) {
                    NAME(pack)(depth, few + (s < more), TILE_ROWS, a, x->a_column, x->a_row, slivers + s * TILE_ROWS * depth);
                    a += (few + (s < more)) * x->a_row;
                }
                for (int64_t s = 0; s < columns; s += NAME(panel))
                    NAME(by_panel)(rows, NAME(least)(columns - s, NAME(panel)), depth, slivers, 1, TILE_ROWS, TILE_ROWS * depth,
                                   panels + s * depth, columns - s > NAME(width) ? NAME(panel) : NAME(width),
                                   x->c + i * x->c_row + (j + s) * x->c_column, x->c_row, x->c_column, x->add || p);
                if (p + depth == x->k && !at_end)
                    NAME(done)(x, i, rows, j, columns);
            }
        }
    if (at_end)
        NAME(done)(x, 0, x->m, 0, x->n);
}

static NOINLINE void NAME(multiply)(const void *product)
{
    struct NAME(product) x = *(const struct NAME(product) *)product;
    if (x.m == 0 || x.n == 0)
        return;
    if (x.dots && x.a_column == 1 && x.k > 0) {
        NAME(by_dots)(x.m, x.k, x.a, x.a_row, x.b, x.b_row, x.c, x.c_row, x.add);
        return;
    }
    if (x.k == 0 && !x.add)
        for (int64_t i = 0; i < x.m; ++i)
            for (int64_t j = 0; j < x.n; ++j)
                x.c[i * x.c_row + j * x.c_column] = C(0.0);
    struct NAME(product) y = NAME(transposed)(x);
    if (x.n == 1 || (x.m > 1 && NAME(effort)(&y) < NAME(effort)(&x)))
        x = y;
    if (x.m == 1 && x.b_column == 1)
        NAME(row_by_rows)(x.n, x.k, x.a, x.a_column, x.b, x.b_row, x.c, x.c_column, x.add);
    else if (x.buffer && x.k > 0 && x.n > 4 * NAME(panel) &&
             x.m * NAME(least)(x.k, NAME(depth)) * (int64_t)sizeof(T) >= 262144) { /* a no longer stays in the second cache */
        NAME(by_blocks)(&x);
        return;
    } else
        NAME(by_panels)(&x);
    NAME(done)(&x, 0, x.m, 0, x.n);
}
