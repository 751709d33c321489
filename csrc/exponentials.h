/*
 * Exponentials in place, and their sums in passing, for n >= 1 contiguous elements.
 *
 * Vectors are padded, so that an element's exponential does not depend on its place.
 */

enum { NAME(exp_block) = 512, NAME(exp_padding) = 16 };

/* x[i] = exp(x[i]) */
static void NAME(exp_of)(int64_t n, T *restrict x)
{
    int64_t whole = n / NAME(exp_padding) * NAME(exp_padding);
    for (int64_t i = 0; i < whole; ++i)
        x[i] = M(exp)(x[i]);
    if (whole < n) {
        T rest[NAME(exp_padding)] = {0};
        memcpy(rest, x + whole, (size_t)(n - whole) * sizeof(T));
        for (int i = 0; i < NAME(exp_padding); ++i)
            rest[i] = M(exp)(rest[i]);
        memcpy(x + whole, rest, (size_t)(n - whole) * sizeof(T));
    }
}

/* The sum of exp(x[i] - shift), n >= 1, in the order of sum_vector. */
static T NAME(sum_exp)(int64_t n, const T *x, T shift)
{
    T block[NAME(exp_block)];
    if (n > NAME(exp_block)) {
        int64_t half = NAME(exp_block);
        while (2 * half < n)
            half *= 2;
        return NAME(sum_exp)(half, x, shift) + NAME(sum_exp)(n - half, x + half, shift);
    }
    for (int64_t i = 0; i < n; ++i)
        block[i] = x[i] - shift;
    NAME(exp_of)(n, block);
    return NAME(sum_vector)(n, block);
}

/* 0 for what an exponential cannot be shifted by: x - inf and x - nan would spoil the result. */
static inline T NAME(shift_by)(T largest)
{
    return largest - largest == C(0.0) ? largest : C(0.0);
}

/* log(sum of exp(x[i])), n >= 1: nan if any is; else inf if any is; -inf if all are. */
static inline T NAME(logsumexp)(int64_t n, const T *x)
{
    T shift = NAME(shift_by)(NAME(max_vector)(n, x));
    return shift + M(log)(NAME(sum_exp)(n, x, shift));
}
