/* Every check, on every instruction set. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"

static const char *what_done = "";
static int dtype_done;
static int64_t rows_done, cols_done;

_Noreturn void fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not so: %s\n  in %s of %s, %lld x %lld, on %s with %d threads\n", file, line, condition,
            what_done, dtype_done ? "double" : "float", (long long)rows_done, (long long)cols_done,
            arrayad_isa_name(arrayad_isa()), arrayad_threads());
    exit(1);
}

void doing(const char *what, int dtype, int64_t rows, int64_t cols)
{
    what_done = what;
    dtype_done = dtype;
    rows_done = rows;
    cols_done = cols;
}

void *new_array(int dtype, int64_t count)
{
    void *array = malloc((size_t)count * (dtype ? sizeof(double) : sizeof(float)));
    CHECK(array || count == 0);
    return array;
}

double get(const void *x, int dtype, int64_t i)
{
    return dtype ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

void set(void *x, int dtype, int64_t i, double value)
{
    if (dtype)
        ((double *)x)[i] = value;
    else
        ((float *)x)[i] = (float)value;
}

double draw(double low, double high)
{
    static uint64_t state = 20261;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(state >> 11) * 0x1p-53;
}

void fill(void *x, int dtype, int64_t count, double low, double high, int special)
{
    static const double specials[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1.0, -1.0, 1e-30, -80.0, 80.0};
    for (int64_t i = 0; i < count; ++i) {
        int64_t chosen = (int64_t)draw(0.0, 4.0 * sizeof specials / sizeof specials[0]);
        int is_special = special && chosen < (int64_t)(sizeof specials / sizeof specials[0]);
        set(x, dtype, i, is_special ? specials[chosen] : draw(low, high));
    }
}

void check_close(double got, long double wanted, int dtype, double ulps, long double slack)
{
    long double epsilon = dtype ? DBL_EPSILON : FLT_EPSILON, tiny = dtype ? DBL_MIN : FLT_MIN;
    long double largest = dtype ? DBL_MAX : FLT_MAX;
    long double allowed = epsilon * ((long double)ulps * fmaxl(fabsl(wanted), tiny) + slack);
    int is_close = fabsl((long double)got - wanted) <= allowed;
    if (wanted != wanted)
        is_close = got != got;
    else if (fabsl(wanted) > largest)
        is_close = (got < 0.0) == (wanted < 0.0L) && fabs(got) > 0.999 * (double)largest;
    if (!is_close)
        fprintf(stderr, "%.17g came, %.20Lg was wanted\n", got, wanted);
    CHECK(is_close);
}

int main(void)
{
    check_arguments();
    for (int isa = 0; isa < arrayad_isas(); ++isa) {
        CHECK(arrayad_set_isa(isa) == ARRAYAD_OK);
        CHECK(arrayad_isa() == isa);
        CHECK(arrayad_set_threads(3) == ARRAYAD_OK);
        check_elementwise();
        check_axes();
        check_rows();
        check_optimizers();
        printf("%s: %d operations and all families agree with loops in long double\n", arrayad_isa_name(isa),
               arrayad_operations());
    }
    check_threads();
    check_program();
    check_emitted();
    CHECK(arrayad_set_threads(1) == ARRAYAD_OK); /* joins the workers */
    printf("arguments, threads, forks, programs and what they paste: as they should be\n");
    return 0;
}
