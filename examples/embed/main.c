/*
 * Fit y = sin(3 x) by a network that Python has never run: each step is one call of fit(), which arrayad has written.
 *
 * Prints the mean squared error of the first step and of the last; returns 0 if the last is small.
 */
#include <math.h>
#include <stdio.h>

#include "fit.h"

static float w1[FIT_W1_SIZE], b1[FIT_B1_SIZE], w2[FIT_W2_SIZE], b2[FIT_B2_SIZE];
static float means[4][FIT_W1_SIZE], squares[4][FIT_W1_SIZE];
static int64_t steps[4];
static unsigned char workspace[FIT_WORKSPACE];

/* Numbers between -1 and 1, by a linear congruential generator. */
static float uniform(void)
{
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

int main(void)
{
    float x[FIT_X_SIZE], y[FIT_Y_SIZE], loss = 0.0f;
    const struct fit_inputs in = {
        .x = x, .y = y, .w1 = w1, .b1 = b1, .w2 = w2, .b2 = b2,
        .optimizer_steps_0 = &steps[0], .optimizer_steps_1 = &steps[1],
        .optimizer_steps_2 = &steps[2], .optimizer_steps_3 = &steps[3],
        .optimizer_state_0_mean = means[0], .optimizer_state_1_mean = means[1],
        .optimizer_state_2_mean = means[2], .optimizer_state_3_mean = means[3],
        .optimizer_state_0_square = squares[0], .optimizer_state_1_square = squares[1],
        .optimizer_state_2_square = squares[2], .optimizer_state_3_square = squares[3],
    };
    /* The same arrays: parameters and the optimiser's memory are updated in place.  The gradients are left out. */
    const struct fit_outputs out = {
        .result = &loss, .w1 = w1, .b1 = b1, .w2 = w2, .b2 = b2,
        .optimizer_steps_0 = &steps[0], .optimizer_steps_1 = &steps[1],
        .optimizer_steps_2 = &steps[2], .optimizer_steps_3 = &steps[3],
        .optimizer_state_0_mean = means[0], .optimizer_state_1_mean = means[1],
        .optimizer_state_2_mean = means[2], .optimizer_state_3_mean = means[3],
        .optimizer_state_0_square = squares[0], .optimizer_state_1_square = squares[1],
        .optimizer_state_2_square = squares[2], .optimizer_state_3_square = squares[3],
    };
    for (int i = 0; i < FIT_W1_SIZE; ++i) {
        w1[i] = 3.0f * uniform();
        b1[i] = uniform();
        w2[i] = 0.5f * uniform();
    }
    for (int step = 0; step < 5000; ++step) {
        for (int i = 0; i < FIT_X_SIZE; ++i) {
            x[i] = 2.0f * uniform();
            y[i] = sinf(3.0f * x[i]);
        }
        const int code = fit(&in, &out, workspace);
        if (code != FIT_DONE) {
            fprintf(stderr, "fit() returned %d; fit.h says what that means\n", code);
            return 1;
        }
        if (step == 0)
            printf("first %.3f\n", (double)loss);
    }
    printf("last %.5f\n", (double)loss);
    return loss < 0.02f ? 0 : 1;
}
