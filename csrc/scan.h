/*
 * Running sums and products:  out[o][i][j] = x[o][0][j] + ... + x[o][i][j],   x, out: outer x n x inner, C order.
 *
 * From the first to the last, as NumPy adds.  Any size may be 0; out shares no memory with x.  From the first nan on
 * everything is nan.
 */

#define SCAN(name, operator)                                                                                                 \
    static void NAME(name)(const void *argument, int64_t part)                                                               \
    {                                                                                                                        \
        const struct axis_job *job = argument;                                                                               \
        for (int64_t u = part * job->group; u < last_unit(job, part); ++u) {                                                 \
            struct unit unit = unit_of(job, u);                                                                              \
            T *restrict out = (T *)job->out + unit.element;                                                                  \
            const T *x = (const T *)job->x + unit.element;                                                                   \
            if (job->n > 0)                                                                                                  \
                memcpy(out, x, (size_t)unit.width * sizeof(T));                                                              \
            for (int64_t i = 1; i < job->n; ++i, out += job->inner, x += job->inner)                                         \
                for (int64_t j = 0; j < unit.width; ++j)                                                                     \
                    out[job->inner + j] = out[j] operator x[job->inner + j];                                                 \
        }                                                                                                                    \
    }

SCAN(cumulative_sum, +)
SCAN(cumulative_prod, *)
#undef SCAN
