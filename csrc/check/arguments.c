/* Misuse is answered by a code, and nothing is touched. */
#include <stddef.h>

#include "check.h"

static void check_elementwise_arguments(void)
{
    double x[4] = {1.0, 2.0, 3.0, 4.0}, out[4];
    int unary = -1, none = arrayad_operations();
    for (int op = 0; op < none; ++op)
        if (arrayad_operation_arity(op) == 1 && !arrayad_operation_is_bool(op))
            unary = op;
    CHECK(arrayad_elementwise1(-1, DOUBLE, 0, 1, 4, 0, 4, out, x) == ARRAYAD_BAD_OPERATION);
    CHECK(arrayad_elementwise1(none, DOUBLE, 0, 1, 4, 0, 4, out, x) == ARRAYAD_BAD_OPERATION);
    CHECK(arrayad_elementwise2(unary, DOUBLE, 0, 1, 4, 0, 4, out, x, x) == ARRAYAD_BAD_OPERATION);
    CHECK(arrayad_elementwise1(unary, 2, 0, 1, 4, 0, 4, out, x) == ARRAYAD_BAD_DTYPE);
    CHECK(arrayad_elementwise1(unary, -1, 0, 1, 4, 0, 4, out, x) == ARRAYAD_BAD_DTYPE);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, -1, 4, 0, 4, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, INT64_MAX, 2, 0, 4, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, (int64_t)1 << 40, (int64_t)1 << 40, 0, 4, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, 1, 4, 0, 5, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, 1, 4, 3, 2, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, 1, 4, -1, 2, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, 1, 4, 0, 4, NULL, x) == ARRAYAD_BAD_POINTER);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, 1, 4, 0, 4, out, NULL) == ARRAYAD_BAD_POINTER);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, 1, 2, 0, 2, out, (char *)x + 1) == ARRAYAD_MISALIGNED);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 8, 1, 4, 0, 4, out, x) == ARRAYAD_BAD_LAYOUT);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 1 << 4, 1, 4, 0, 4, out, x) == ARRAYAD_BAD_LAYOUT);
    CHECK(arrayad_elementwise1(unary, DOUBLE, -1, 1, 4, 0, 4, out, x) == ARRAYAD_BAD_LAYOUT);
    CHECK(arrayad_elementwise1(unary, DOUBLE, 0, 0, 4, 0, 0, NULL, NULL) == ARRAYAD_OK);
    CHECK(arrayad_operation_name(-1) == NULL && arrayad_operation_name(none) == NULL);
    CHECK(arrayad_operation_arity(none) == -1 && arrayad_operation_is_bool(-1) == -1);
}

static void check_other_arguments(void)
{
    double x[4] = {1.0, 2.0, 3.0, 4.0}, out[4], more[4], rest[4];
    int64_t labels[2] = {0, 1};
    CHECK(arrayad_reduce(-1, DOUBLE, 1, 4, 1, out, x) == ARRAYAD_BAD_OPERATION);
    CHECK(arrayad_reduce(7, DOUBLE, 1, 4, 1, out, x) == ARRAYAD_BAD_OPERATION);
    CHECK(arrayad_reduce(ARRAYAD_SUM, 5, 1, 4, 1, out, x) == ARRAYAD_BAD_DTYPE);
    CHECK(arrayad_reduce(ARRAYAD_SUM, DOUBLE, 1, -4, 1, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_reduce(ARRAYAD_MAX, DOUBLE, 1, 0, 1, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_reduce(ARRAYAD_ARGMIN, DOUBLE, 2, 0, 2, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_reduce(ARRAYAD_MAX, DOUBLE, 0, 0, 1, out, x) == ARRAYAD_OK);
    CHECK(arrayad_reduce(ARRAYAD_SUM, DOUBLE, 1, 4, 1, NULL, x) == ARRAYAD_BAD_POINTER);
    int64_t huge = (int64_t)1 << 30;
    CHECK(arrayad_reduce(ARRAYAD_SUM, DOUBLE, huge, huge, huge, out, x) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_scan(ARRAYAD_MAX, DOUBLE, 1, 4, 1, out, x) == ARRAYAD_BAD_OPERATION);
    CHECK(arrayad_scan(ARRAYAD_SUM, DOUBLE, 1, 4, 1, out, NULL) == ARRAYAD_BAD_POINTER);
    CHECK(arrayad_rowwise(4, DOUBLE, 2, 2, out, x, NULL) == ARRAYAD_BAD_OPERATION);
    CHECK(arrayad_rowwise(ARRAYAD_SOFTMAX, DOUBLE, 2, 0, out, x, NULL) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_rowwise(ARRAYAD_SOFTMAX_VJP, DOUBLE, 2, 2, out, x, NULL) == ARRAYAD_BAD_POINTER);
    CHECK(arrayad_cross_entropy(DOUBLE, 2, 2, out, x, NULL, -1) == ARRAYAD_BAD_POINTER);
    CHECK(arrayad_cross_entropy(DOUBLE, 2, 1, out, x, labels, -1) == ARRAYAD_BAD_LABEL);
    CHECK(arrayad_cross_entropy_vjp(DOUBLE, 2, 2, out, NULL, x, labels, -1) == ARRAYAD_BAD_POINTER);
    CHECK(arrayad_sgd(DOUBLE, 4, out, NULL, x, x, x, 0.1, 0.9, 0.0, 0.0, 0) == ARRAYAD_BAD_POINTER);
    CHECK(arrayad_sgd(DOUBLE, -1, out, NULL, x, x, NULL, 0.1, 0.0, 0.0, 0.0, 0) == ARRAYAD_BAD_SIZE);
    CHECK(arrayad_adam(DOUBLE, 4, out, more, NULL, x, x, x, x, 0.1, 0.9, 0.9, 1e-8, 0.0, 0, 1.0, 1.0) == ARRAYAD_BAD_POINTER);
    CHECK(arrayad_adam(3, 4, out, more, rest, x, x, x, x, 0.1, 0.9, 0.9, 1e-8, 0.0, 0, 1.0, 1.0) == ARRAYAD_BAD_DTYPE);
}

void check_arguments(void)
{
    doing("arguments", DOUBLE, 0, 0);
    check_elementwise_arguments();
    check_other_arguments();
    CHECK(arrayad_set_isa(-1) == ARRAYAD_BAD_ISA && arrayad_set_isa(arrayad_isas()) == ARRAYAD_BAD_ISA);
    CHECK(arrayad_isa_name(-1) == NULL && arrayad_isa_name(0) != NULL);
    CHECK(arrayad_set_threads(0) == ARRAYAD_BAD_THREADS && arrayad_set_threads(1025) == ARRAYAD_BAD_THREADS);
    CHECK(arrayad_compiler() != NULL && arrayad_vector_math() != NULL);
}
