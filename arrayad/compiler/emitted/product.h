/*
 * Matrix products:  c[i][j] = (c[i][j] if add) + sum over p < k of a[i][p] b[p][j],   i < m, j < n.
 *
 * a, b and c by pointer, step from row to row and step from column to column, in elements, so that transposes and slices
 * cost nothing; steps of a and b may be 0 or negative.  c shares no memory with a and b.  Any size may be 0.  nan and inf as
 * the sums give them: nothing is skipped.  `buffer` is NULL or has room for `matmul_buffer` elements: from some 256 KB of a
 * on they make it faster, and change nothing else.
 *
 * The sum runs in the order of p, in blocks of 256: each is summed from 0 by fma_of and then added to c.  So an element
 * depends on nothing but its row of a and column of b (and on FUSED): not on m and n, steps, vectors, tiles or threads.
 * Only matvec sums in another order where rows of a are contiguous, to read them once and at the speed of memory: in as many
 * partial sums as 128 bytes hold, and those by halves.
 *
 * Threads share c by rectangles, never k.  When one is done and in cache, `finish` is told, if it is not NULL.
 */

enum {
    NAME(depth) = 256,
    NAME(rows_at_once) = 96,
    NAME(columns_at_once) = 1024,
    NAME(matmul_buffer) = NAME(depth) * (NAME(rows_at_once) + NAME(columns_at_once)), /* elements; for each thread its own */
};

struct NAME(product) {
    int64_t m, n, k;
    const T *a;
    int64_t a_row, a_column;
    const T *b;
    int64_t b_row, b_column;
    T *c;
    int64_t c_row, c_column;
    int add;
    int dots; /* n is 1: where rows of a are contiguous, sum as matvec does */
    T *buffer;
    void (*finish)(void *context, int64_t row, int64_t rows, int64_t column, int64_t columns);
    void *context;
    int64_t row, column; /* where c lies in the product that it is part of */
    int whole_rows;      /* finish is told of all columns at once */
    int turned;          /* rows and columns have changed places */
};
