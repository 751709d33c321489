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
        int64_t n = job->n, inner = job->inner;                                                                              \
        for (int64_t u = part * job->group; n > 0 && u < last_unit(job, part); ++u) {                                        \
            struct unit unit = unit_of(job, u);                                                                              \
            T *out = (T *)job->out + unit.element;                                                                  \
            const T *x = (const T *)job->x + unit.element;                                                                   \
            memcpy(out, x, (size_t)unit.width * sizeof(T));                                                                  \
            if (inner == 1) { /* the running value stays in a register */                                                    \
                T running = x[0];                                                                                            \
                for (int64_t i = 1; i < n; ++i)                                                                              \
                    out[i] = running = running operator x[i];                                                                \
                continue;                                                                                                    \
            }                                                                                                                \
            for (int64_t i = 1; i < n; ++i, out += inner, x += inner)                                                        \
                INDEPENDENT                                                                                                  \
                for (int64_t j = 0; j < unit.width; ++j)                                                                     \
                    out[inner + j] = out[j] operator x[inner + j];                                                           \
        }                                                                                                                    \
    }

SCAN(cumulative_sum, +)
SCAN(cumulative_prod, *)
#undef SCAN
