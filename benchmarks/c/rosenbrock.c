/*
 * Gradient of Rosenbrock's function, and its Hessian times a vector; n >= 2.
 *
 * Element i gets a share of the terms i and i - 1, both computed anew: cheaper than to keep them.
 */

enum { PARALLEL = 50000 };

void gradient(long n, const double *restrict x, double *restrict out)
{
    out[0] = -400.0 * x[0] * (x[1] - x[0] * x[0]) - 2.0 * (1.0 - x[0]);
#pragma omp parallel for simd if (n > PARALLEL)
    for (long i = 1; i < n - 1; ++i)
        out[i] = -400.0 * x[i] * (x[i + 1] - x[i] * x[i]) - 2.0 * (1.0 - x[i]) + 200.0 * (x[i] - x[i - 1] * x[i - 1]);
    out[n - 1] = 200.0 * (x[n - 1] - x[n - 2] * x[n - 2]);
}

void product(long n, const double *restrict x, const double *restrict v, double *restrict out)
{
    out[0] = (1200.0 * x[0] * x[0] - 400.0 * x[1] + 2.0) * v[0] - 400.0 * x[0] * v[1];
#pragma omp parallel for simd if (n > PARALLEL)
    for (long i = 1; i < n - 1; ++i)
        out[i] = (1200.0 * x[i] * x[i] - 400.0 * x[i + 1] + 202.0) * v[i] - 400.0 * x[i] * v[i + 1] - 400.0 * x[i - 1] * v[i - 1];
    out[n - 1] = 200.0 * v[n - 1] - 400.0 * x[n - 2] * v[n - 2];
}
