/*
 * Cross entropy of logits with class labels, one loss for each row:
 *     loss_r = log(sum_k exp(x[r][k])) - x[r][label_r],   VJP: ct_r -> ct_r (softmax(x_r)_j - [j = label_r]).
 *
 * x, out: rows x cols, C order, cols >= 1; labels, loss, ct: rows.  Labels were checked to be columns, or `ignored`: such
 * a row has loss 0 and gradient 0, whatever it holds.  Outputs share no memory with inputs.
 * nan in a row makes its loss nan; +inf makes it nan at the label and inf elsewhere.
 */

static void NAME(cross_entropy)(const void *argument, int64_t part)
{
    const struct row_job *job = argument;
    T *loss = job->out;
    for (int64_t r = part * job->group; r < last_row(job, part); ++r) {
        const T *x = (const T *)job->x + r * job->cols;
        int64_t label = job->labels[r];
        if (label == job->ignored) {
            loss[r] = C(0.0);
        } else {
            T shift = NAME(shift_by)(NAME(max_vector)(job->cols, x)); /* x - m before the logarithm: small losses keep */
            loss[r] = M(log)(NAME(sum_exp)(job->cols, x, shift)) - (x[label] - shift); /* their digits */
        }
    }
}

static void NAME(cross_entropy_vjp)(const void *argument, int64_t part)
{
    const struct row_job *job = argument;
    int64_t cols = job->cols, first = part * job->group, last = last_row(job, part);
    const T *ct = job->x;
    NAME(softmax_rows)(last - first, cols, (T *)job->out + first * cols, (const T *)job->y + first * cols);
    for (int64_t r = first; r < last; ++r) {
        T *out = (T *)job->out + r * cols;
        int64_t label = job->labels[r];
        if (label == job->ignored) {
            memset(out, 0, (size_t)cols * sizeof(T));
        } else {
            out[label] -= C(1.0);
            T scale = ct[r];
            for (int64_t j = 0; j < cols; ++j)
                out[j] *= scale;
        }
    }
}
