/* Steps of optimisers against their formulas in long double. */
#include <math.h>

#include "check.h"

static void check_sgd(int dtype, int64_t n, int is_first, double momentum, double dampening, double decay, int nesterov)
{
    doing("sgd", dtype, 1, n);
    void *p = new_array(dtype, n), *g = new_array(dtype, n), *v = new_array(dtype, n);
    void *new_p = new_array(dtype, n), *new_v = new_array(dtype, n);
    fill(p, dtype, n, -1.0, 1.0, 0);
    fill(g, dtype, n, -1.0, 1.0, 0);
    fill(v, dtype, n, -1.0, 1.0, 0);
    int has_v = momentum != 0.0;
    CHECK(arrayad_sgd(dtype, n, new_p, has_v ? new_v : NULL, p, g, has_v && !is_first ? v : NULL, 0.1, momentum, dampening,
                      decay, nesterov) == ARRAYAD_OK);
    for (int64_t i = 0; i < n; ++i) {
        long double gradient = get(g, dtype, i) + (long double)decay * get(p, dtype, i), step = gradient;
        if (has_v) {
            long double velocity = is_first ? gradient : momentum * get(v, dtype, i) + (1.0L - dampening) * gradient;
            check_close(get(new_v, dtype, i), velocity, dtype, 0.0, 8.0L);
            step = nesterov ? gradient + momentum * velocity : velocity;
        }
        check_close(get(new_p, dtype, i), get(p, dtype, i) - 0.1L * step, dtype, 0.0, 8.0L);
    }
    free(p);
    free(g);
    free(v);
    free(new_p);
    free(new_v);
}

static void check_adam(int dtype, int64_t n, double decay, int decoupled)
{
    doing("adam", dtype, 1, n);
    void *in[4], *out[3];
    for (int k = 0; k < 4; ++k) {
        in[k] = new_array(dtype, n);
        fill(in[k], dtype, n, k == 3 ? 0.01 : -1.0, 1.0, 0);
    }
    for (int k = 0; k < 3; ++k)
        out[k] = new_array(dtype, n);
    CHECK(arrayad_adam(dtype, n, out[0], out[1], out[2], in[0], in[1], in[2], in[3], 0.01, 0.9, 0.999, 1e-8, decay, decoupled,
                       0.271, 0.002997) == ARRAYAD_OK);
    for (int64_t i = 0; i < n; ++i) {
        long double p = get(in[0], dtype, i), g = get(in[1], dtype, i);
        g += decoupled ? 0.0L : decay * p;
        p *= decoupled ? 1.0L - 0.01L * decay : 1.0L;
        long double m = 0.9L * get(in[2], dtype, i) + 0.1L * g, v = 0.999L * get(in[3], dtype, i) + 0.001L * g * g;
        check_close(get(out[1], dtype, i), m, dtype, 0.0, 8.0L);
        check_close(get(out[2], dtype, i), v, dtype, 0.0, 8.0L);
        check_close(get(out[0], dtype, i), p - 0.01L / 0.271L * m / (sqrtl(v) / sqrtl(0.002997L) + 1e-8L), dtype, 0.0, 16.0L);
    }
    for (int k = 0; k < 4; ++k)
        free(in[k]);
    for (int k = 0; k < 3; ++k)
        free(out[k]);
}

void check_optimizers(void)
{
    static const int64_t sizes[] = {0, 1, 17, 1000, 150001};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; ++s)
        for (int dtype = FLOAT; dtype <= DOUBLE; ++dtype) {
            check_sgd(dtype, sizes[s], 0, 0.0, 0.0, 0.01, 0);
            check_sgd(dtype, sizes[s], 1, 0.9, 0.1, 0.01, 0);
            check_sgd(dtype, sizes[s], 0, 0.9, 0.1, 0.01, 0);
            check_sgd(dtype, sizes[s], 0, 0.9, 0.0, 0.0, 1);
            check_adam(dtype, sizes[s], 0.01, 0);
            check_adam(dtype, sizes[s], 0.01, 1);
        }
}
