/* The texts that compiled programs paste, pasted here. */
#include <math.h>

#include "check.h"
#include "head.h"
#include "host.h"

static void in_order(void (*body)(void *context, int64_t part), void *context, int64_t parts)
{
    for (int64_t part = 0; part < parts; ++part)
        body(context, part);
}

#define T float
#define M(function) function##f
#define C(value) ((float)(value))
#define NAME(name) name##_f32
#define DTYPE FLOAT
#include "products.h"
#undef T
#undef M
#undef C
#undef NAME
#undef DTYPE

#define T double
#define M(function) function
#define C(value) ((double)(value))
#define NAME(name) name##_f64
#define DTYPE DOUBLE
#include "products.h"
#undef T
#undef M
#undef C
#undef NAME
#undef DTYPE

void check_emitted(void)
{
    check_products_f32();
    check_products_f64();
}
