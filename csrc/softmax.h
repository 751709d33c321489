/*
 * Row softmax:  out[r][j] = exp(x[r][j] - m_r) / sum_k exp(x[r][k] - m_r),   m_r = max_k x[r][k],
 * its logarithm out[r][j] = x[r][j] - m_r - log(sum_k exp(x[r][k] - m_r)), and their VJPs from the output y:
 *     softmax      ct_j -> y_j (ct_j - sum_k ct_k y_k)
 *     log_softmax  ct_j -> ct_j - exp(y_j) sum_k ct_k
 *
 * x, y, ct, out: rows x cols, C order; cols >= 1; out shares no memory with the others.
 * Subtracting m_r keeps every exponent <= 0, so nothing overflows and the sum is >= 1.
 * nan or +inf anywhere in a row, or a row of -inf, makes the whole row nan, as in NumPy.
 */

/* The softmax of some rows; the exponentials of all of them are taken at once, since a row may be short. */
static void NAME(softmax_rows)(int64_t rows, int64_t cols, T *restrict out, const T *x)
{
    for (int64_t r = 0; r < rows; ++r) {
        T m = NAME(max_vector)(cols, x + r * cols);
        INDEPENDENT
        for (int64_t j = 0; j < cols; ++j)
            out[r * cols + j] = x[r * cols + j] - m;
    }
    NAME(exp_of)(rows * cols, out);
    for (int64_t r = 0; r < rows; ++r) {
        T sum = NAME(sum_vector)(cols, out + r * cols);
        INDEPENDENT
        for (int64_t j = 0; j < cols; ++j)
            out[r * cols + j] /= sum;
    }
}

static void NAME(softmax)(const void *argument, int64_t part)
{
    const struct row_job *job = argument;
    int64_t first = part * job->group, place = first * job->cols;
    NAME(softmax_rows)(last_row(job, part) - first, job->cols, (T *)job->out + place, (const T *)job->x + place);
}

static void NAME(log_softmax)(const void *argument, int64_t part)
{
    const struct row_job *job = argument;
    int64_t cols = job->cols;
    for (int64_t r = part * job->group; r < last_row(job, part); ++r) {
        T *out = (T *)job->out + r * cols;
        const T *x = (const T *)job->x + r * cols;
        T m = NAME(max_vector)(cols, x);
        T log_sum = M(log)(NAME(sum_exp)(cols, x, m));
        INDEPENDENT
        for (int64_t j = 0; j < cols; ++j)
            out[j] = x[j] - m - log_sum;
    }
}

static void NAME(softmax_vjp)(const void *argument, int64_t part)
{
    const struct row_job *job = argument;
    int64_t cols = job->cols;
    for (int64_t r = part * job->group; r < last_row(job, part); ++r) {
        T *out = (T *)job->out + r * cols;
        const T *ct = (const T *)job->x + r * cols, *y = (const T *)job->y + r * cols;
        INDEPENDENT
        for (int64_t j = 0; j < cols; ++j)
            out[j] = ct[j] * y[j];
        T inner = NAME(sum_vector)(cols, out);
        INDEPENDENT
        for (int64_t j = 0; j < cols; ++j)
            out[j] = y[j] * (ct[j] - inner);
    }
}

static void NAME(log_softmax_vjp)(const void *argument, int64_t part)
{
    const struct row_job *job = argument;
    int64_t cols = job->cols, first = part * job->group, last = last_row(job, part);
    T *all = (T *)job->out + first * cols;
    memcpy(all, (const T *)job->y + first * cols, (size_t)((last - first) * cols) * sizeof(T));
    NAME(exp_of)((last - first) * cols, all);
    for (int64_t r = first; r < last; ++r) {
        T *out = (T *)job->out + r * cols;
        const T *ct = (const T *)job->x + r * cols;
        T sum = NAME(sum_vector)(cols, ct);
        INDEPENDENT
        for (int64_t j = 0; j < cols; ++j)
            out[j] = ct[j] - out[j] * sum;
    }
}
