/* Softmax, cross entropy and their VJPs against loops in long double. */
#include <math.h>

#include "check.h"

/* log(sum of exp) of a row, as the kernels mean it. */
static long double logsumexp(const void *x, int dtype, int64_t first, int64_t cols)
{
    long double largest = -INFINITY, sum = 0.0L;
    for (int64_t j = 0; j < cols; ++j)
        largest = fmaxl(largest, get(x, dtype, first + j));
    largest = isinf(largest) ? 0.0L : largest;
    for (int64_t j = 0; j < cols; ++j)
        sum += expl((long double)get(x, dtype, first + j) - largest);
    return largest + logl(sum);
}

static void check_softmax(int dtype, int64_t rows, int64_t cols, int special)
{
    doing("softmax", dtype, rows, cols);
    void *x = new_array(dtype, rows * cols), *ct = new_array(dtype, rows * cols);
    void *y = new_array(dtype, rows * cols), *log_y = new_array(dtype, rows * cols), *out = new_array(dtype, rows * cols);
    fill(x, dtype, rows * cols, -5.0, 5.0, special);
    fill(ct, dtype, rows * cols, -1.0, 1.0, 0);
    CHECK(arrayad_rowwise(ARRAYAD_SOFTMAX, dtype, rows, cols, y, x, NULL) == ARRAYAD_OK);
    CHECK(arrayad_rowwise(ARRAYAD_LOG_SOFTMAX, dtype, rows, cols, log_y, x, NULL) == ARRAYAD_OK);
    for (int64_t i = 0; i < rows * cols; ++i) {
        int64_t first = i / cols * cols;
        long double total = logsumexp(x, dtype, first, cols), wanted = get(x, dtype, i) - total;
        wanted = isinf(total) ? NAN : wanted;
        check_close(get(y, dtype, i), expl(wanted), dtype, 64.0, 0.0);
        check_close(get(log_y, dtype, i), wanted, dtype, 4.0, 16.0);
    }
    CHECK(arrayad_rowwise(ARRAYAD_SOFTMAX_VJP, dtype, rows, cols, out, ct, y) == ARRAYAD_OK);
    for (int64_t i = 0; i < rows * cols; ++i) {
        long double inner = 0.0L;
        for (int64_t j = i / cols * cols; j < i / cols * cols + cols; ++j)
            inner += (long double)get(ct, dtype, j) * get(y, dtype, j);
        check_close(get(out, dtype, i), get(y, dtype, i) * (get(ct, dtype, i) - inner), dtype, 4.0, 16.0);
    }
    CHECK(arrayad_rowwise(ARRAYAD_LOG_SOFTMAX_VJP, dtype, rows, cols, out, ct, log_y) == ARRAYAD_OK);
    for (int64_t i = 0; i < rows * cols; ++i) {
        long double sum = 0.0L;
        for (int64_t j = i / cols * cols; j < i / cols * cols + cols; ++j)
            sum += get(ct, dtype, j);
        long double wanted = get(ct, dtype, i) - expl(get(log_y, dtype, i)) * sum;
        check_close(get(out, dtype, i), wanted, dtype, 4.0, 16.0 + 2.0 * sqrt((double)cols));
    }
    free(x);
    free(ct);
    free(y);
    free(log_y);
    free(out);
}

static void check_cross_entropy(int dtype, int64_t rows, int64_t cols)
{
    doing("cross_entropy", dtype, rows, cols);
    enum { IGNORED = -100 };
    void *x = new_array(dtype, rows * cols), *ct = new_array(dtype, rows);
    void *loss = new_array(dtype, rows), *out = new_array(dtype, rows * cols);
    int64_t *labels = malloc((size_t)rows * sizeof(int64_t));
    fill(x, dtype, rows * cols, -5.0, 5.0, 0);
    fill(ct, dtype, rows, -1.0, 1.0, 0);
    for (int64_t r = 0; r < rows; ++r)
        labels[r] = draw(0.0, 1.0) < 0.2 ? IGNORED : (int64_t)draw(0.0, (double)cols);
    CHECK(arrayad_cross_entropy(dtype, rows, cols, loss, x, labels, IGNORED) == ARRAYAD_OK);
    CHECK(arrayad_cross_entropy_vjp(dtype, rows, cols, out, ct, x, labels, IGNORED) == ARRAYAD_OK);
    for (int64_t r = 0; r < rows; ++r) {
        long double total = logsumexp(x, dtype, r * cols, cols);
        int is_ignored = labels[r] == IGNORED;
        check_close(get(loss, dtype, r), is_ignored ? 0.0L : total - get(x, dtype, r * cols + labels[r]), dtype, 4.0, 16.0);
        for (int64_t j = 0; j < cols; ++j) {
            long double wanted = get(ct, dtype, r) * (expl(get(x, dtype, r * cols + j) - total) - (j == labels[r]));
            check_close(get(out, dtype, r * cols + j), is_ignored ? 0.0L : wanted, dtype, 32.0, 4.0);
        }
    }
    if (rows > 0) {
        labels[rows - 1] = cols;
        CHECK(arrayad_cross_entropy(dtype, rows, cols, loss, x, labels, IGNORED) == ARRAYAD_BAD_LABEL);
        labels[rows - 1] = -1;
        CHECK(arrayad_cross_entropy_vjp(dtype, rows, cols, out, ct, x, labels, IGNORED) == ARRAYAD_BAD_LABEL);
    }
    free(x);
    free(ct);
    free(loss);
    free(out);
    free(labels);
}

void check_rows(void)
{
    static const int64_t shapes[][2] = {{0, 4}, {1, 1}, {5, 10}, {3, 16}, {2, 1000}, {2000, 10}, {300, 700}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; ++s)
        for (int dtype = FLOAT; dtype <= DOUBLE; ++dtype) {
            if (shapes[s][0] * shapes[s][1] < 100000 || dtype == FLOAT) {
                check_softmax(dtype, shapes[s][0], shapes[s][1] > 100 ? 100 : shapes[s][1], 0);
                check_cross_entropy(dtype, shapes[s][0], shapes[s][1]);
            }
            check_softmax(dtype, 7, 5, 1);
        }
}
