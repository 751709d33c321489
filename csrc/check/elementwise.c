/*
 * Every operation of ops.def against its own body, computed in long double for one element at a time.
 *
 * A body may lose digits that long double keeps (by cancellation, or near a pole), so the body in T, scalar and by libm,
 * gives the scale: the kernel may err by 4 ulp for each of up to four functions that it calls, and by 8 times what the
 * scalar body errs.
 */
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "check.h"

/* The bodies, once for each T. */
#define RESULT_T T
#define RESULT_BOOL _Bool
#define OPERANDS_1 T x1
#define OPERANDS_2 OPERANDS_1, T x2
#define OPERANDS_3 OPERANDS_2, T x3
#define OPERANDS_4 OPERANDS_3, T x4
#define ARGUMENTS_1 (T)x[0]
#define ARGUMENTS_2 ARGUMENTS_1, (T)x[1]
#define ARGUMENTS_3 ARGUMENTS_2, (T)x[2]
#define ARGUMENTS_4 ARGUMENTS_3, (T)x[3]
#define OP(operands, name, result, ...)                                                                                      \
    static result NAME(body_##name)(OPERANDS_##operands)                                                                     \
    {                                                                                                                        \
        __VA_ARGS__                                                                                                          \
    }                                                                                                                        \
    static long double NAME(call_##name)(const double x[4])                                                                  \
    {                                                                                                                        \
        return (long double)NAME(body_##name)(ARGUMENTS_##operands);                                                         \
    }

#define T float
#define M(function) function##f
#define C(value) ((float)(value))
#define NAME(function) function##_float
#include "bodies.h"
#undef T
#undef M
#undef C
#undef NAME

#define T double
#define M(function) function
#define C(value) ((double)(value))
#define NAME(function) function##_double
#include "bodies.h"
#undef T
#undef M
#undef C
#undef NAME

#define T long double
#define M(function) function##l
#define C(value) ((long double)(value))
#define NAME(function) function##_exact
#include "bodies.h"
#undef T
#undef M
#undef C
#undef NAME
#undef OP

#define OP(operands, name, result, ...) {call_##name##_float, call_##name##_double, call_##name##_exact},
static long double (*const bodies[][3])(const double[4]) = {
#include "../ops.def"
};
#undef OP

static int call(int op, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop, void *out,
                void *const x[4])
{
    switch (arrayad_operation_arity(op)) {
    case 1:
        return arrayad_elementwise1(op, dtype, layouts, rows, cols, start, stop, out, x[0]);
    case 2:
        return arrayad_elementwise2(op, dtype, layouts, rows, cols, start, stop, out, x[0], x[1]);
    case 3:
        return arrayad_elementwise3(op, dtype, layouts, rows, cols, start, stop, out, x[0], x[1], x[2]);
    default:
        return arrayad_elementwise4(op, dtype, layouts, rows, cols, start, stop, out, x[0], x[1], x[2], x[3]);
    }
}

static int64_t count_of(int layout, int64_t rows, int64_t cols)
{
    switch (layout & ~ARRAYAD_BYTE) {
    case ARRAYAD_SCALAR:
        return rows > 0 && cols > 0;
    case ARRAYAD_ROW:
        return cols;
    case ARRAYAD_COLUMN:
        return rows;
    default:
        return rows * cols;
    }
}

static double operand(const void *x, int dtype, int layout, int64_t cols, int64_t i)
{
    int64_t place[] = {i, 0, i % cols, i / cols}, p = place[layout & ~ARRAYAD_BYTE];
    return layout & ARRAYAD_BYTE ? ((const uint8_t *)x)[p] : get(x, dtype, p);
}

/* One operation on inputs from low to high, operand k in layouts[k]. */
static void check(int op, int dtype, const int layouts[4], int64_t rows, int64_t cols, double low, double high, int special)
{
    doing(arrayad_operation_name(op), dtype, rows, cols);
    int arity = arrayad_operation_arity(op), is_bool = arrayad_operation_is_bool(op), packed = 0;
    int64_t size = rows * cols;
    void *x[4] = {0}, *out = is_bool ? malloc((size_t)size) : new_array(dtype, size);
    for (int k = 0; k < arity; ++k) {
        int64_t count = count_of(layouts[k], rows, cols);
        packed |= layouts[k] << 4 * k;
        if (layouts[k] & ARRAYAD_BYTE) {
            x[k] = malloc((size_t)count);
            for (int64_t i = 0; i < count; ++i)
                ((uint8_t *)x[k])[i] = draw(0.0, 1.0) < 0.5;
        } else {
            x[k] = new_array(dtype, count);
            fill(x[k], dtype, count, low, high, special);
        }
    }
    int64_t half = size / 3; /* in two calls, which must join */
    CHECK(call(op, dtype, packed, rows, cols, 0, half, out, x) == ARRAYAD_OK);
    CHECK(call(op, dtype, packed, rows, cols, half, size, out, x) == ARRAYAD_OK);
    for (int64_t i = 0; i < size; i += size > 4096 ? 97 : 1) {
        double values[4] = {0};
        for (int k = 0; k < arity; ++k)
            values[k] = operand(x[k], dtype, layouts[k], cols, i);
        double got = is_bool ? ((const uint8_t *)out)[i] : get(out, dtype, i);
        long double scalar = bodies[op][dtype](values), exact = bodies[op][2](values);
        if (is_bool || scalar != scalar || isinf(scalar)) /* beyond the range of T, or a question: the body in T decides */
            check_close(got, scalar, dtype, 0.0, 0.0);
        else
            check_close(got, exact, dtype, 16.0, 8.0L * fabsl(scalar - exact) / (dtype ? DBL_EPSILON : FLT_EPSILON));
    }
    for (int k = 0; k < arity; ++k)
        free(x[k]);
    free(out);
}

/* The result for a value is the same wherever it stands, so vector and rest agree to the bit. */
static void check_places(int op, int dtype)
{
    enum { N = 200 };
    doing(arrayad_operation_name(op), dtype, 1, N);
    int arity = arrayad_operation_arity(op), is_bool = arrayad_operation_is_bool(op);
    void *x[4] = {0}, *whole = new_array(DOUBLE, N), *one = new_array(DOUBLE, 1);
    for (int k = 0; k < arity; ++k) {
        x[k] = new_array(dtype, N);
        fill(x[k], dtype, N, -3.0, 3.0, 0);
    }
    CHECK(call(op, dtype, 0, 1, N, 0, N, whole, x) == ARRAYAD_OK);
    for (int64_t i = 0; i < N; ++i) {
        void *element[4] = {0};
        for (int k = 0; k < arity; ++k)
            element[k] = (char *)x[k] + (size_t)i * (dtype ? sizeof(double) : sizeof(float));
        CHECK(call(op, dtype, 0, 1, 1, 0, 1, one, element) == ARRAYAD_OK);
        double a = is_bool ? ((uint8_t *)one)[0] : get(one, dtype, 0);
        double b = is_bool ? ((uint8_t *)whole)[i] : get(whole, dtype, i);
        CHECK(a == b || (a != a && b != b));
    }
    for (int k = 0; k < arity; ++k)
        free(x[k]);
    free(whole);
    free(one);
}

void check_elementwise(void)
{
    static const int64_t shapes[][2] = {{0, 0}, {0, 3}, {1, 1}, {1, 63}, {7, 9}, {1, 64}, {65, 1}, {3, 700}, {130, 40}};
    static const int patterns[][4] = {
        {ARRAYAD_FULL, ARRAYAD_FULL, ARRAYAD_FULL, ARRAYAD_FULL},
        {ARRAYAD_FULL, ARRAYAD_SCALAR, ARRAYAD_ROW, ARRAYAD_COLUMN},
        {ARRAYAD_ROW, ARRAYAD_FULL, ARRAYAD_COLUMN, ARRAYAD_SCALAR},
        {ARRAYAD_COLUMN, ARRAYAD_ROW, ARRAYAD_SCALAR, ARRAYAD_FULL},
        {ARRAYAD_SCALAR, ARRAYAD_COLUMN, ARRAYAD_FULL, ARRAYAD_ROW},
        {ARRAYAD_FULL | ARRAYAD_BYTE, ARRAYAD_FULL, ARRAYAD_ROW | ARRAYAD_BYTE, ARRAYAD_COLUMN | ARRAYAD_BYTE},
    };
    for (int op = 0; op < arrayad_operations(); ++op)
        for (int dtype = FLOAT; dtype <= DOUBLE; ++dtype) {
            for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; ++s)
                for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; ++p)
                    check(op, dtype, patterns[p], shapes[s][0], shapes[s][1], -3.0, 3.0, 0);
            check(op, dtype, patterns[0], 1, 500, -30.0, 30.0, 1);
            check(op, dtype, patterns[0], 1, 500, -0.01, 0.01, 1);
            check(op, dtype, patterns[1], 401, 401, 0.1, 2.0, 0);
            check_places(op, dtype);
        }
}
