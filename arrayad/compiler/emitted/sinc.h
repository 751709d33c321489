/*
 * The normalised sinc function and its slope, in double and rounded once, as arrayad/kernels/sinc.py computes them; the same
 * macros as scalar.h.
 */

/* sin(pi x), relatively accurate next to its zeros; from 2^60 on all numbers stand for an even one. */
static inline double NAME(sinpi)(double x)
{
    double c = x > 0x1p60 ? 0x1p60 : x < -0x1p60 ? -0x1p60 : x;
    double r = c - 2.0 * rint(0.5 * c);
    return sin(3.141592653589793 * (fabs(r) > 0.5 ? copysign(1.0, r) - r : r));
}

static inline double NAME(cospi)(double x)
{
    double c = x > 0x1p60 ? 0x1p60 : x < -0x1p60 ? -0x1p60 : x;
    double r = fabs(c - 2.0 * rint(0.5 * c));
    double s = sin(3.141592653589793 * (0.5 - r));
    return r < 0.25 ? cos(3.141592653589793 * r) : s;
}

static inline double NAME(sinc_of_double)(double x)
{
    double c = x > 0x1p60 ? 0x1p60 : x < -0x1p60 ? -0x1p60 : x;
    double y = NAME(sinpi)(x) / (3.141592653589793 * c);
    return x == 0.0 ? 1.0 : y;
}

static inline T NAME(sinc)(T x)
{
    return (T)NAME(sinc_of_double)((double)x);
}

/* (cos(pi x) - sinc(x)) / x, and next to 0, where these cancel, a polynomial. */
static inline T NAME(sinc_slope)(T x1)
{
    double x = (double)x1, z = x * x;
    double p = 3.231812659062859e-09 * z - 1.3124654507114643e-07;
    p = p * z + 4.049790914368659e-06;
    p = p * z - 9.766216867838482e-05;
    p = p * z + 0.0017811455009102172;
    p = p * z - 0.023460810352231187;
    p = p * z + 0.20918278254103717;
    p = p * z - 1.1445109447324964;
    p = p * z + 3.2469697011334144;
    p = p * z - 3.289868133696453;
    double far = (NAME(cospi)(x) - NAME(sinc_of_double)(x)) / x;
    return (T)(fabs(x) <= 0.75 ? x * p : far);
}
