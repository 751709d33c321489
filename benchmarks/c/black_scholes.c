/* Prices of calls and all first derivatives in closed form: one pass, with two complementary error functions an option. */

#include "vector_math.h"

static const double ROOT_HALF = 0.70710678118654752440, DENSITY = 0.39894228040143267794;

void black_scholes(long n, const double *restrict s, const double *restrict k, const double *restrict t,
                   const double *restrict r, const double *restrict v, double *restrict price, double *restrict ds,
                   double *restrict dk, double *restrict dt, double *restrict dr, double *restrict dv)
{
#pragma omp parallel for simd
    for (long i = 0; i < n; ++i) {
        double root = sqrt(t[i]), spread = v[i] * root;
        double d1 = (log(s[i] / k[i]) + (r[i] + 0.5 * v[i] * v[i]) * t[i]) / spread;
        double n1 = 0.5 * erfc(-ROOT_HALF * d1), n2 = 0.5 * erfc(-ROOT_HALF * (d1 - spread));
        double discount = exp(-r[i] * t[i]), held = k[i] * discount * n2;
        double vega = s[i] * DENSITY * exp(-0.5 * d1 * d1) * root;
        price[i] = s[i] * n1 - held;
        ds[i] = n1;
        dk[i] = -discount * n2;
        dt[i] = 0.5 * vega * v[i] / t[i] + r[i] * held;
        dr[i] = t[i] * held;
        dv[i] = vega;
    }
}
