/*
 * Reductions:  out[o][j] = reduction over i < n of x[o][i][j],   x: outer x n x inner, out: outer x inner, C order.
 *
 * sum, prod, max, min; logsumexp = m + log(sum exp(x - m)), m = max x; argmax, argmin: the first index, as int64.
 * n = 0 gives 0, 1, -inf for sum, prod, logsumexp; the others need n >= 1.  out shares no memory with x.
 * nan anywhere makes the result nan, and counts as the extremum for argmax and argmin, as in NumPy.
 */

#include "sum.h"
#include "prod.h"
#include "max.h"
#include "min.h"

#include "exponentials.h"

/* out[j] = sum over i < n of exp(x[i * stride + j] - shift[j]), in blocks of 16 rows and in pairs. */
static void NAME(sum_exp_rows)(int64_t n, int64_t stride, int64_t width, T *out, const T *x, const T *shift)
{
    T terms[TILE];
    if (n > 16) {
        int64_t half = 16;
        while (2 * half < n)
            half *= 2;
        NAME(sum_exp_rows)(half, stride, width, out, x, shift);
        NAME(sum_exp_rows)(n - half, stride, width, terms, x + half * stride, shift);
        NAME(sum_into)(width, out, terms);
        return;
    }
    memset(out, 0, (size_t)width * sizeof(T));
    for (int64_t i = 0; i < n; ++i, x += stride) {
        for (int64_t j = 0; j < width; ++j)
            terms[j] = x[j] - shift[j];
        NAME(exp_of)(width, terms);
        NAME(sum_into)(width, out, terms);
    }
}

static void NAME(logsumexp_columns)(int64_t n, int64_t stride, int64_t width, T *out, const T *x)
{
    T shift[TILE];
    NAME(max_columns)(n, stride, width, shift, x);
    for (int64_t j = 0; j < width; ++j)
        shift[j] = NAME(shift_by)(shift[j]);
    NAME(sum_exp_rows)(n, stride, width, out, x, shift);
    for (int64_t j = 0; j < width; ++j)
        out[j] = shift[j] + M(log)(out[j]);
}

static void NAME(logsumexp_part)(const void *argument, int64_t part)
{
    const struct axis_job *job = argument;
    T *out = job->out;
    const T *x = job->x;
    for (int64_t u = part * job->group; u < last_unit(job, part); ++u) {
        struct unit unit = unit_of(job, u);
        if (job->n == 0)
            for (int64_t j = 0; j < unit.width; ++j)
                out[unit.result + j] = -(T)INFINITY;
        else if (job->inner == 1)
            out[unit.result] = NAME(logsumexp)(job->n, x + unit.element);
        else
            NAME(logsumexp_columns)(job->n, job->inner, unit.width, out + unit.result, x + unit.element);
    }
}

#include "argmax.h"
#include "argmin.h"
