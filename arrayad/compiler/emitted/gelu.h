/*
 * gelu(x) = x Phi(x), Phi the normal distribution function, and its derivative Phi(x) + x phi(x), to all digits in the tail.
 *
 * Phi(-a) = exp(-a^2 / 2) r(a): a difference of such products loses the exponential's error once only.  Beyond a = 40 both
 * are 0, here and in the limit.  nan gives nan.
 */

/*
 * e and r with Phi(-a) = e r, and v with Phi(-a) - a phi(a) = e v, for a = |x|, at most 40.
 *
 * exp(-a^2 / 2) = exp(-h^2 / 2) (1 + d), h of 12 bits; d and the rounding error of a + 1 are put in before the polynomial's
 * last addition, which spares three roundings; the product of h with twelve bits of 1 / sqrt(2 pi) is exact.
 *
 * (a + 1) r(a), without d, is a polynomial of degree 24 in t = (a - 5) / (a + 5) for 0 <= a <= 40: Chebyshev fit at 50 digits,
 * error 2e-19.  arrayad/kernels/special.py has the same numbers.
 */
static inline void NAME(tail)(T x, T *exponential, T *ratio, T *difference)
{
    T a = M(fabs)(x) > C(40.0) ? C(40.0) : M(fabs)(x);
    T h = M(floor)(a * C(64.0) + C(0.5)) * C(0.015625);
    T b = a + C(1.0), t = (a - C(5.0)) / (a + C(5.0)), p = C(-1.5850740312377903e-10);
    T d = M(expm1)(C(0.5) * (h - a) * (h + a));
    p = p * t + C(-7.027967115341447e-10);
    p = p * t + C(2.173901624167419e-10);
    p = p * t + C(5.6997771378686385e-09);
    p = p * t + C(3.016147198052196e-09);
    p = p * t + C(-3.32883619092778e-08);
    p = p * t + C(-2.5987112395037283e-08);
    p = p * t + C(1.9873181518869067e-07);
    p = p * t + C(1.27942513889622e-07);
    p = p * t + C(-1.3091050842731223e-06);
    p = p * t + C(-7.051696002027796e-08);
    p = p * t + C(9.060570084810618e-06);
    p = p * t + C(-9.895993842237888e-06);
    p = p * t + C(-5.360780542423559e-05);
    p = p * t + C(0.00018233411108948186);
    p = p * t + C(7.791641515747818e-06);
    p = p * t + C(-0.0016760723380366302);
    p = p * t + C(0.00652200066240867);
    p = p * t + C(-0.01517041540322349);
    p = p * t + C(0.02453696324404675);
    p = p * t + C(-0.026401042966269307);
    p = p * t + C(0.01000235238521765);
    p = p * t + C(0.03103036842596288);
    p = p * t + C(-0.09155228183400893);
    p *= t;
    p += (p + C(0.46151582985003775)) * (d - (a - (b - C(1.0))) / b);
    *exponential = M(exp)(C(-0.5) * h * h);
    *ratio = (p + C(0.46151582985003775)) / b;
    T small = a * C(0.3989422804014327) * d + h * C(1.649915143267794e-05) + (a - h) * C(0.3989422804014327);
    *difference = (*ratio - small) - h * C(0.39892578125);
}

static inline T NAME(gelu)(T x)
{
    T e, r, v;
    NAME(tail)(x, &e, &r, &v);
    return x < C(0.0) ? (x < C(-40.0) ? C(-40.0) : x) * (e * r) : x * (C(1.0) - e * r);
}

/*
 * Between -1/2 and 1/2 the power series about 0, 1/2 + 1/sqrt(2 pi) sum (-1)^k (2k + 2) / ((2k + 1) 2^k k!) x^(2k + 1) up to
 * k = 11, error 1e-19, which adds a small number to 1/2; the product of e and v has the exponential's error.
 */
static inline T NAME(gelu_derivative)(T x)
{
    T e, r, v, s = x * x, p = C(-5.09222753812091e-12);
    NAME(tail)(x, &e, &r, &v);
    p = p * s + C(1.1247356538563884e-10);
    p = p * s + C(-2.2602343283238428e-09);
    p = p * s + C(4.092353683871051e-08);
    p = p * s + C(-6.596267863780302e-07);
    p = p * s + C(9.323570922843312e-06);
    p = p * s + C(-0.00011333587511404338);
    p = p * s + C(0.001154346876161553);
    p = p * s + C(-0.009498625723843634);
    p = p * s + C(0.0598413420602149);
    p = p * s + C(-0.26596152026762176);
    p = p * s + C(0.7978845608028654);
    T far = x < C(0.0) ? e * v : C(1.0) - e * v;
    return M(fabs)(x) <= C(0.5) ? C(0.5) + x * p : far;
}
