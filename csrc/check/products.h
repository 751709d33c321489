/* Matrix products of one T against loops in long double, in memory that ends where the arrays end; see emitted.c. */
#include "fused.h"
#include "product.h"
#include "vectors.h"

#include "multiply.h"

#include "matmul.h"

#include "matmul_threads.h"

/* Step from element to element of a matrix of so many rows and columns, as it lies. */
static void NAME(lay)(int layout, int64_t rows, int64_t columns, int64_t *row, int64_t *column, int64_t *room)
{
    *row = layout == 0 ? columns : layout == 1 ? 1 : 2 * columns + 3;
    *column = layout == 1 ? rows : layout == 0 ? 1 : 2;
    *room = rows && columns ? (rows - 1) * *row + (columns - 1) * *column + 1 : 0;
}

static void NAME(check_product)(int64_t m, int64_t n, int64_t k, int layouts, int how)
{
    int64_t ar, ac, br, bc, cr, cc, a_room, b_room, c_room;
    NAME(lay)(layouts % 3, m, k, &ar, &ac, &a_room);
    NAME(lay)(layouts / 3 % 3, k, n, &br, &bc, &b_room);
    NAME(lay)(layouts / 9, m, n, &cr, &cc, &c_room);
    T *a = new_array(DTYPE, a_room), *b = new_array(DTYPE, b_room), *c = new_array(DTYPE, c_room);
    T *before = new_array(DTYPE, c_room), *buffer = new_array(DTYPE, how > 1 ? 3 * NAME(matmul_buffer) : 0);
    const struct arrayad_host host = {.threads = 3, .parallel_for = in_order};
    int add = how & 1;
    fill(a, DTYPE, a_room, -1.0, 1.0, 0);
    fill(b, DTYPE, b_room, -1.0, 1.0, 0);
    fill(c, DTYPE, c_room, -1.0, 1.0, 0);
    for (int64_t i = 0; i < c_room; ++i)
        before[i] = c[i];
    doing("matmul", DTYPE, m * k, n);
    if (how == 4)
        NAME(matmul_threads)(&host, m, n, k, a, ar, ac, b, br, bc, c, cr, cc, add, buffer, 3, NULL, NULL, 0);
    else if (how == 5)
        for (int64_t j = 0; j < n; ++j)
            NAME(matvec)(m, k, a, ar, ac, b + j * bc, br, c + j * cc, cr, add);
    else
        NAME(matmul)(m, n, k, a, ar, ac, b, br, bc, c, cr, cc, add, how > 1 ? buffer : NULL);
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
            T *place = c + i * cr + j * cc;
            long double sum = add ? before[i * cr + j * cc] : 0.0L, size = fabsl(sum);
            for (int64_t p = 0; p < k; ++p) {
                long double term = (long double)a[i * ar + p * ac] * b[p * br + j * bc];
                sum += term;
                size += fabsl(term);
            }
            check_close((double)*place, sum, DTYPE, 1.0, size * (1.0L + sqrtl((long double)k)));
            *place = before[i * cr + j * cc];
        }
    for (int64_t i = 0; i < c_room; ++i)
        CHECK(c[i] == before[i]);
    free(a);
    free(b);
    free(c);
    free(before);
    free(buffer);
}

static void NAME(check_products)(void)
{
    static const int64_t sizes[][3] = {
        {1, 1, 1}, {2, 3, 0}, {0, 3, 2}, {3, 0, 2}, {1, 9, 4},    {9, 1, 40},   {3, 3, 3},      {7, 17, 5},
        {13, 8, 9}, {5, 33, 70}, {31, 4, 35}, {2, 1, 3}, {25, 40, 300}, {4, 3, 515}, {1, 1030, 6},
    };
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; ++s)
        for (int layouts = 0; layouts < 27; ++layouts)
            for (int how = 0; how < 6; ++how)
                NAME(check_product)(sizes[s][0], sizes[s][1], sizes[s][2], layouts, how);
    for (int layouts = 0; layouts < 27; layouts += 5)
        for (int how = 2; how < 5; ++how)
            NAME(check_product)(270, 150, 258, layouts, how);
}
