/*
 * Reductions by one operation: FOLD is its name, COMBINE(a, b) the operation, IDENTITY its result for nothing, FEW the
 * partial results in which fewer than LANES elements are combined.
 *
 * All add (say) in an order that is fixed by the sizes alone: a block of 16 LANES elements in LANES partial results,
 * those by halves, the blocks in pairs.  So the result is the same for every instruction set, the error of a sum of n
 * grows with log n as in NumPy's pairwise sum, and the loops vectorise without reassociation.
 */

#define FOLD_AND(name, suffix) name##_##suffix
#define FOLD_NAME(name, suffix) FOLD_AND(name, suffix)
#define F(suffix) NAME(FOLD_NAME(FOLD, suffix))

/* Combine n >= lanes contiguous elements, in that many partial results. */
static INLINE T F(in_lanes)(int lanes, int64_t n, const T *x)
{
    T s[LANES];
    for (int j = 0; j < lanes; ++j)
        s[j] = x[j];
    int64_t i = lanes;
    for (; i + lanes <= n; i += lanes)
        for (int j = 0; j < lanes; ++j)
            s[j] = COMBINE(s[j], x[i + j]);
    for (int64_t j = 0; i < n; ++i, ++j)
        s[j] = COMBINE(s[j], x[i]);
    for (int half = lanes / 2; half > 0; half /= 2)
        for (int j = 0; j < half; ++j)
            s[j] = COMBINE(s[j], s[j + half]);
    return s[0];
}

/* Combine n >= 1 contiguous elements. */
static NOINLINE T F(vector)(int64_t n, const T *x)
{
    if (n > 16 * LANES) {
        int64_t half = 16 * LANES;
        while (2 * half < n)
            half *= 2;
        T left = F(vector)(half, x), right = F(vector)(n - half, x + half);
        return COMBINE(left, right);
    }
    return n >= LANES ? F(in_lanes)(LANES, n, x) : n >= FEW ? F(in_lanes)(FEW, n, x) : F(in_lanes)(1, n, x);
}

static INLINE void F(into)(int64_t width, T *restrict out, const T *restrict x)
{
    for (int64_t j = 0; j < width; ++j)
        out[j] = COMBINE(out[j], x[j]);
}

/* out[j] = the combination of x[i * stride + j] for i < n, width <= TILE columns, in blocks of 16 rows and in pairs. */
static NOINLINE void F(rows)(int64_t n, int64_t stride, int64_t width, T *out, const T *x)
{
    if (n > 16) {
        T right[TILE];
        int64_t half = 16;
        while (2 * half < n)
            half *= 2;
        F(rows)(half, stride, width, out, x);
        F(rows)(n - half, stride, width, right, x + half * stride);
        F(into)(width, out, right);
        return;
    }
    memcpy(out, x, (size_t)width * sizeof(T));
    for (int64_t i = 1; i < n; ++i)
        F(into)(width, out, x + i * stride);
}

/* The same for columns that fill the rows: few of them are taken several rows at a time, to fill a vector. */
static NOINLINE void F(columns)(int64_t n, int64_t stride, int64_t width, T *out, const T *x)
{
    int64_t at_once = stride == width ? 2 * LANES / width : 1;
    if (at_once < 2 || n < 2 * at_once) {
        F(rows)(n, stride, width, out, x);
        return;
    }
    T wide[2 * LANES];
    int64_t taken = n / at_once * at_once;
    F(rows)(n / at_once, at_once * width, at_once * width, wide, x);
    F(rows)(at_once, width, width, out, wide);
    for (int64_t i = taken; i < n; ++i)
        F(into)(width, out, x + i * width);
}

static UNUSED void F(part)(const void *argument, int64_t part)
{
    const struct axis_job *job = argument;
    T *out = job->out;
    const T *x = job->x;
    for (int64_t u = part * job->group; u < last_unit(job, part); ++u) {
        struct unit unit = unit_of(job, u);
        if (job->n == 0)
            for (int64_t j = 0; j < unit.width; ++j)
                out[unit.result + j] = IDENTITY;
        else if (job->inner == 1)
            out[unit.result] = F(vector)(job->n, x + unit.element);
        else
            F(columns)(job->n, job->inner, unit.width, out + unit.result, x + unit.element);
    }
}

#undef F
#undef FOLD_NAME
#undef FOLD_AND
#undef FOLD
#undef COMBINE
#undef IDENTITY
#undef FEW
