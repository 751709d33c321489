/*
 * 100 elementwise operations on 10 numbers, the sum, and the gradient: ten cycles forwards and backwards, all in 16 lanes,
 * of which 6 compute nothing of use.  What the way back needs stays on the stack.  Sine and cosine of one number
 * stand in loops of their own: gcc makes one call of both in one loop, of which there is no vector function.
 */

#include "vector_math.h"

enum { LANES = 16, SIZE = 10, CYCLES = 10 };

void chain(const float *restrict given, float *restrict value, float *restrict gradient)
{
    float x[LANES] = {0}, y[LANES], ct[LANES], sum[LANES];
    float sines[CYCLES][LANES], starts[CYCLES][LANES], tanhs[CYCLES][LANES], exps[CYCLES][LANES];
    for (int j = 0; j < SIZE; ++j)
        x[j] = given[j];
    for (int j = 0; j < LANES; ++j) {
        y[j] = x[j];
        ct[j] = 1.0f;
        sum[j] = 0.0f;
    }
    for (int i = 0; i < CYCLES; ++i) {
        float half[LANES];
#pragma omp simd
        for (int j = 0; j < LANES; ++j)
            starts[i][j] = cosf(y[j]);
#pragma omp simd
        for (int j = 0; j < LANES; ++j) {
            tanhs[i][j] = tanhf(sinf(y[j]) * 1.5f + 0.25f);
            exps[i][j] = expf(tanhs[i][j] * x[j]);
            half[j] = (exps[i][j] - 1.0f) * 0.5f;
            sines[i][j] = sinf(half[j]);
        }
#pragma omp simd
        for (int j = 0; j < LANES; ++j)
            y[j] = cosf(half[j]) + x[j];
    }
    for (int i = CYCLES - 1; i >= 0; --i) {
#pragma omp simd
        for (int j = 0; j < LANES; ++j) {
            float through = ct[j] * sines[i][j] * -0.5f * exps[i][j];
            sum[j] += ct[j] + through * tanhs[i][j];
            ct[j] = through * x[j] * (1.0f - tanhs[i][j] * tanhs[i][j]) * 1.5f * starts[i][j];
        }
    }
    *value = 0.0f;
    for (int j = 0; j < SIZE; ++j) {
        *value += y[j];
        gradient[j] = sum[j] + ct[j];
    }
}
