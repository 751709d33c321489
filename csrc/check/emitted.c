/* The texts that compiled programs paste, pasted here. */
#include <math.h>

#include "check.h"
#include "head.h"
#include "host.h"
#include "machine.h"
#include "order.h"
#include "philox.h"

#include "permutation.h"

static void in_order(void (*body)(void *context, int64_t part), void *context, int64_t parts)
{
    for (int64_t part = 0; part < parts; ++part)
        body(context, part);
}

#define T float
#define M(function) function##f
#define C(value) ((float)(value))
#define NAME(name) TYPED(name, f32)
#define DTYPE FLOAT
#include "products.h"
#include "linear.h"
#undef T
#undef M
#undef C
#undef NAME
#undef DTYPE

#define T double
#define M(function) function
#define C(value) ((double)(value))
#define NAME(name) TYPED(name, f64)
#define DTYPE DOUBLE
#include "products.h"
#include "linear.h"
#undef T
#undef M
#undef C
#undef NAME
#undef DTYPE

static void check_permutations(void)
{
    static const uint32_t key[2] = {1, 2}, counter[4] = {3, 0, 0, 0};
    for (int64_t n = 0; n < 300; n += 37) {
        int64_t *out = new_array(DOUBLE, n);
        uint64_t *buffer = new_array(DOUBLE, 3 * n), seen = 0;
        philox_fill_permutation(key, counter, n, out, buffer);
        for (int64_t i = 0; i < n; ++i) {
            CHECK(0 <= out[i] && out[i] < n);
            seen += (uint64_t)(out[i] * out[i]);
        }
        CHECK(seen == (uint64_t)((n - 1) * n * (2 * n - 1) / 6));
        free(out);
        free(buffer);
    }
}

void check_emitted(void)
{
    check_products_f32();
    check_products_f64();
    check_dense_f32();
    check_dense_f64();
    check_permutations();
}
