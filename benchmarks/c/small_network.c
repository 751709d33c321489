/*
 * A step of gradient descent of a 64-64-10 tanh network at batch 32; weights are (in, out).
 *
 * All sizes are constants, so that the loops over rows of weights become a few vectors that stay in registers.  One thread:
 * the step is shorter than a barrier is worth.  The 10 classes lie in 16 lanes.
 */

#include "vector_math.h"

enum { BATCH = 32, IN = 64, HIDDEN = 64, OUT = 10, LANES = 16, BLOCK = 4 };

static const float RATE = 0.01f;

/* c[m][n] = bias[n] + sum_k a[m][k] b[k][n], m in blocks of rows that share each row of b. */
#define PRODUCT(NAME, M, K, N)                                                                  \
    static void NAME(const float (*restrict a)[K], const float (*restrict b)[N],                \
                     const float *restrict bias, float (*restrict c)[N])                        \
    {                                                                                           \
        for (int m = 0; m < M; m += BLOCK) {                                                    \
            float sums[BLOCK][N];                                                               \
            for (int i = 0; i < BLOCK; ++i)                                                     \
                for (int n = 0; n < N; ++n)                                                     \
                    sums[i][n] = bias[n];                                                       \
            for (int k = 0; k < K; ++k)                                                         \
                for (int i = 0; i < BLOCK; ++i)                                                 \
                    for (int n = 0; n < N; ++n)                                                 \
                        sums[i][n] += a[m + i][k] * b[k][n];                                    \
            for (int i = 0; i < BLOCK; ++i)                                                     \
                for (int n = 0; n < N; ++n)                                                     \
                    c[m + i][n] = sums[i][n];                                                   \
        }                                                                                       \
    }

/* w[k][n] -= rate * sum_m a[m][k] d[m][n], k in blocks. */
#define UPDATE(NAME, M, K, N, STRIDE)                                                           \
    static void NAME(const float (*restrict a)[K], const float (*restrict d)[N],                \
                     float (*restrict w)[STRIDE])                                               \
    {                                                                                           \
        for (int k = 0; k < K; k += BLOCK) {                                                    \
            float sums[BLOCK][N] = {{0}};                                                       \
            for (int m = 0; m < M; ++m)                                                         \
                for (int i = 0; i < BLOCK; ++i)                                                 \
                    for (int n = 0; n < N; ++n)                                                 \
                        sums[i][n] += a[m][k + i] * d[m][n];                                    \
            for (int i = 0; i < BLOCK; ++i)                                                     \
                for (int n = 0; n < STRIDE; ++n)                                                \
                    w[k + i][n] -= RATE * sums[i][n];                                           \
        }                                                                                       \
    }

PRODUCT(first_layer, BATCH, IN, HIDDEN)
PRODUCT(second_layer, BATCH, HIDDEN, LANES)
PRODUCT(back_through, BATCH, LANES, HIDDEN)
UPDATE(update_first, BATCH, IN, HIDDEN, HIDDEN)
UPDATE(update_second, BATCH, HIDDEN, LANES, OUT)

/* The cotangent of the logits in their place; lanes past the classes become 0.  Returns the mean loss. */
static float cross_entropy(float (*restrict z)[LANES], const long *restrict labels)
{
    float loss = 0.0f;
    for (int m = 0; m < BATCH; ++m) {
        float top = z[m][0], total = 0.0f, label = z[m][labels[m]];
        for (int n = 1; n < OUT; ++n)
            top = z[m][n] > top ? z[m][n] : top;
#pragma omp simd
        for (int n = 0; n < LANES; ++n)
            z[m][n] = expf(z[m][n] - top);
        for (int n = OUT; n < LANES; ++n)
            z[m][n] = 0.0f;
        for (int n = 0; n < OUT; ++n)
            total += z[m][n];
        loss += logf(total) - (label - top);
        for (int n = 0; n < LANES; ++n)
            z[m][n] *= 1.0f / (total * BATCH);
        z[m][labels[m]] -= 1.0f / BATCH;
    }
    return loss / BATCH;
}

static void update_bias(int size, int stride, const float *restrict d, float *restrict b)
{
    for (int n = 0; n < size; ++n) {
        float sum = 0.0f;
        for (int m = 0; m < BATCH; ++m)
            sum += d[m * stride + n];
        b[n] -= RATE * sum;
    }
}

void step(const float (*restrict x)[IN], const long *restrict labels, float (*restrict w1)[HIDDEN], float *restrict b1,
          float (*restrict w2)[OUT], float *restrict b2, float *restrict loss)
{
    float h[BATCH][HIDDEN], z[BATCH][LANES], d[BATCH][HIDDEN];
    float wide[HIDDEN][LANES] = {{0}}, across[LANES][HIDDEN] = {{0}}, bias[LANES] = {0}, zeros[HIDDEN] = {0};
    for (int k = 0; k < HIDDEN; ++k)
        for (int n = 0; n < OUT; ++n)
            wide[k][n] = across[n][k] = w2[k][n];
    for (int n = 0; n < OUT; ++n)
        bias[n] = b2[n];
    first_layer(x, w1, b1, h);
#pragma omp simd
    for (int i = 0; i < BATCH * HIDDEN; ++i)
        (&h[0][0])[i] = tanhf((&h[0][0])[i]);
    second_layer(h, wide, bias, z);
    *loss = cross_entropy(z, labels);
    back_through(z, across, zeros, d);
    for (int m = 0; m < BATCH; ++m)
        for (int k = 0; k < HIDDEN; ++k)
            d[m][k] *= 1.0f - h[m][k] * h[m][k];
    update_first(x, d, w1);
    update_second(h, z, w2);
    update_bias(HIDDEN, HIDDEN, &d[0][0], b1);
    update_bias(OUT, LANES, &z[0][0], b2);
}
