/*
 * Functions of one element that the bodies of ops.def may use beside libm's, for T.
 *
 * nan in any operand gives nan.  Those without a branch vectorise.
 */

#define ROUND_HALF_EVEN M(rint)

static inline T NAME(sign)(T x)
{
    return x > C(0.0) ? C(1.0) : x < C(0.0) ? C(-1.0) : x == C(0.0) ? C(0.0) : x;
}

static inline T NAME(maximum)(T x1, T x2)
{
    return x1 >= x2 ? x1 : x1 != x1 ? x1 : x2;
}

static inline T NAME(minimum)(T x1, T x2)
{
    return x1 <= x2 ? x1 : x1 != x1 ? x1 : x2;
}

/* x1 - x2 floor(x1 / x2), of the sign of x2; nan for x2 = 0. */
static inline T NAME(mod)(T x1, T x2)
{
    T r = M(fmod)(x1, x2);
    if (r == C(0.0))
        return M(copysign)(r, x2);
    return (x2 < C(0.0)) != (r < C(0.0)) ? r + x2 : r;
}

/* floor(x1 / x2) from the exact remainder, so that 6 // 0.1 is 59; x1 / x2 for x2 = 0. */
static inline T NAME(floor_divide)(T x1, T x2)
{
    if (x2 == C(0.0))
        return x1 / x2;
    T r = M(fmod)(x1, x2);
    T q = (x1 - r) / x2;
    if (r != C(0.0) && (x2 < C(0.0)) != (r < C(0.0)))
        q -= C(1.0);
    if (q == C(0.0))
        return M(copysign)(C(0.0), x1 / x2);
    T below = M(floor)(q);
    return q - below > C(0.5) ? below + C(1.0) : below;
}

/* log(exp(x1) + exp(x2)) without overflow; equal infinities give themselves. */
static inline T NAME(logaddexp)(T x1, T x2)
{
    T d = x1 == x2 ? C(0.0) : M(fabs)(x1 - x2);
    return NAME(maximum)(x1, x2) + M(log1p)(M(exp)(-d));
}

/* 1 / (1 + exp(-x)) as e / (1 + e), e = exp(x): all digits on the left, and 1 past 40, where inf / inf would threaten. */
static inline T NAME(sigmoid)(T x)
{
    T e = M(exp)(x > C(40.0) ? C(40.0) : x);
    return e / (C(1.0) + e);
}

/* log(1 + exp(x)); past 40 the second term is below half an ulp of the first. */
static inline T NAME(softplus)(T x)
{
    return (x > C(0.0) ? x : C(0.0)) + M(log1p)(M(exp)(-M(fabs)(x > C(40.0) ? C(40.0) : x)));
}

/* 1 / cosh(x)^2 = 4 e / (1 + e)^2, e = exp(-2 |x|): neither overflow nor cancellation. */
static inline T NAME(sech2)(T x)
{
    T e = M(exp)(C(-2.0) * M(fabs)(x));
    return C(4.0) * e / (C(1.0) + e * (C(2.0) + e));
}

/*
 * exp(-x^2) with all digits in the tails: rounding x^2 would cost x^2 / 2 ulp.  h is the multiple of 1/64 next to |x|, of at
 * most 12 bits, so that h^2 is exact; the rest is within |x| / 64 of 0, and its exponential next to 1.  0 from 32 on.
 */
static inline T NAME(gaussian)(T x)
{
    T a = M(fabs)(x) > C(32.0) ? C(32.0) : M(fabs)(x);
    T h = M(floor)(a * C(64.0) + C(0.5)) * C(0.015625);
    T e = M(exp)(-h * h);
    return e + e * M(expm1)((h - a) * (h + a));
}

/*
 * x2 x1^(x2 - 1), 0 where x2 = 0.  For exponents between -1 and 1 by (x2 x1^x2) / x1: x2 - 1 is rounded, which counts log x1
 * times, and x1^(x2 - 1) overflows before the product with x2 does.
 */
static inline T NAME(power_slope)(T x1, T x2)
{
    int is_small = M(fabs)(x2) < C(1.0) && x1 != C(0.0);
    T y = x2 * M(pow)(x1, is_small ? x2 : x2 - C(1.0));
    return x2 == C(0.0) ? C(0.0) : is_small ? y / x1 : y;
}

/* x1 / (x1^2 + x2^2), 0 in the origin: by the quotient of the smaller and the larger, so that no square over- or underflows. */
static inline T NAME(over_square)(T x1, T x2)
{
    T a = M(fabs)(x1), b = M(fabs)(x2);
    T large = a > b ? a : b;
    T q = (a > b ? b : a) / large;
    return large == C(0.0) && x1 == x1 ? C(0.0) : x1 / large / large / (C(1.0) + q * q);
}
