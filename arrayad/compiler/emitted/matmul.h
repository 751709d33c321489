/* matmul and matvec, of product.h, by `multiply`: the program's own or the host's. */

/* With sizes that the compiler knows a small product becomes a few lines of straight code. */
static INLINE void NAME(matmul)(int64_t m, int64_t n, int64_t k, const T *a, int64_t a_row, int64_t a_column, const T *b,
                                int64_t b_row, int64_t b_column, T *c, int64_t c_row, int64_t c_column, int add, T *buffer)
{
    if (m <= 8 && n <= 8 && k <= 8 && m * n * k <= 128) {
        for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) {
                T sum = C(0.0), *out = c + i * c_row + j * c_column;
                for (int64_t p = 0; p < k; ++p)
                    sum = NAME(fma_of)(a[i * a_row + p * a_column], b[p * b_row + j * b_column], sum);
                *out = add ? *out + sum : sum;
            }
        return;
    }
    struct NAME(product) x = {.m = m, .n = n, .k = k, .a = a, .a_row = a_row, .a_column = a_column, .b = b, .b_row = b_row,
                              .b_column = b_column, .c = c, .c_row = c_row, .c_column = c_column, .add = add, .buffer = buffer};
    NAME(multiply)(&x);
}

/* y[i] = (y[i] if add) + sum over p < k of a[i][p] x[p] */
static INLINE void NAME(matvec)(int64_t m, int64_t k, const T *a, int64_t a_row, int64_t a_column, const T *x, int64_t x_step,
                                T *y, int64_t y_step, int add)
{
    struct NAME(product) all = {.m = m, .n = 1, .k = k, .a = a, .a_row = a_row, .a_column = a_column, .b = x, .b_row = x_step,
                                .b_column = 1, .c = y, .c_row = y_step, .c_column = 1, .add = add, .dots = 1};
    NAME(multiply)(&all);
}
