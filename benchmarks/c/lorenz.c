/*
 * Gradient of the 4D-Var cost of Lorenz-96: 200 steps of RK4 forwards, all four stages kept, and their adjoints backwards.
 *
 * The ring is an array with a margin of two elements before it and after it, so that its loops have no modulus and are vectors.
 */

enum { N = 40, STEPS = 200, EVERY = 10, MARGIN = 2, WIDTH = N + 2 * MARGIN };

static const double DT = 0.05, FORCING = 8.0, WEIGHT = 4.0;

static double stages[STEPS][4][WIDTH], states[STEPS + 1][N];

static void close(double *x)
{
    for (int j = 0; j < MARGIN; ++j) {
        x[j] = x[j + N];
        x[N + MARGIN + j] = x[MARGIN + j];
    }
}

static void slope(double *restrict x, double *restrict out)
{
    close(x);
    const double *y = x + MARGIN;
    for (int j = 0; j < N; ++j)
        out[j] = (y[j + 1] - y[j - 2]) * y[j - 1] - y[j] + FORCING;
}

/* out = (d slope / d x)^T ct, of a closed ring x. */
static void pulled(const double *restrict x, const double *restrict ct, double *restrict out)
{
    double back[WIDTH], across[WIDTH];
    const double *y = x + MARGIN;
    for (int j = 0; j < N; ++j) {
        back[MARGIN + j] = ct[j] * y[j - 1];
        across[MARGIN + j] = ct[j] * (y[j + 1] - y[j - 2]);
    }
    close(back);
    close(across);
    for (int j = 0; j < N; ++j)
        out[j] = back[MARGIN + j - 1] - back[MARGIN + j + 2] + across[MARGIN + j + 1] - ct[j];
}

static void forwards(const double *restrict x, double (*restrict stage)[WIDTH], double *restrict next)
{
    static const double into[4] = {0.0, 0.5 * DT, 0.5 * DT, DT}, share[4] = {DT / 6.0, DT / 3.0, DT / 3.0, DT / 6.0};
    double k[N] = {0}, sum[N] = {0};
    for (int s = 0; s < 4; ++s) {
        for (int j = 0; j < N; ++j)
            stage[s][MARGIN + j] = x[j] + into[s] * k[j];
        slope(stage[s], k);
        for (int j = 0; j < N; ++j)
            sum[j] += share[s] * k[j];
    }
    for (int j = 0; j < N; ++j)
        next[j] = x[j] + sum[j];
}

static void backwards(double (*restrict stage)[WIDTH], double *restrict ct)
{
    static const double out_of[4] = {0.5 * DT, 0.5 * DT, DT, 0.0}, share[4] = {DT / 6.0, DT / 3.0, DT / 3.0, DT / 6.0};
    double a[N] = {0}, into[N], sum[N];
    for (int j = 0; j < N; ++j)
        sum[j] = ct[j];
    for (int s = 3; s >= 0; --s) {
        for (int j = 0; j < N; ++j)
            into[j] = share[s] * ct[j] + out_of[s] * a[j];
        pulled(stage[s], into, a);
        for (int j = 0; j < N; ++j)
            sum[j] += a[j];
    }
    for (int j = 0; j < N; ++j)
        ct[j] = sum[j];
}

void gradient(const double *start, const double *background, const double *observations, double *out)
{
    for (int j = 0; j < N; ++j) {
        states[0][j] = start[j];
        out[j] = 0.0;
    }
    for (int i = 0; i < STEPS; ++i)
        forwards(states[i], stages[i], states[i + 1]);
    for (int i = STEPS; i > 0; --i) {
        if (i % EVERY == 0)
            for (int j = 0; j < N; ++j)
                out[j] += WEIGHT * (states[i][j] - observations[(i / EVERY - 1) * N + j]);
        backwards(stages[i - 1], out);
    }
    for (int j = 0; j < N; ++j)
        out[j] += start[j] - background[j];
}
