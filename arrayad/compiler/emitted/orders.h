/*
 * Functions of a whole order and one element, in double and rounded once, by the ranges, series and recurrences of
 * arrayad/kernels/gamma.py, bessel.py and sinc.py, where their sources stand; the same macros as scalar.h.
 */

/* n! times the sum of (x + k)^-(n + 1) over k >= 0, for x >= 0 and n >= 1: twelve terms of the asymptotic series from 10 + n on. */
static inline double NAME(zeta_sum)(int n, double x)
{
    static const double bernoulli[12] = {
        0.16666666666666666, -0.03333333333333333, 0.023809523809523808, -0.03333333333333333,
        0.07575757575757576, -0.2531135531135531, 1.1666666666666667, -7.092156862745098, 54.971177944862156,
        -529.1242424242424, 6192.123188405797, -86580.25311355312};
    double shifts = 10.0 + n > x ? ceil(10.0 + n - x) : 0.0, r = 1.0 / (x + shifts), binomial = 1.0, terms[12];
    for (int k = 1; k <= 12; ++k) { /* B_2k (2k + n - 1)! / (2k)! / (n - 1)! */
        binomial *= (2.0 * k + n - 1.0) * (2.0 * k + n - 2.0) / (2.0 * k * (2.0 * k - 1.0));
        terms[12 - k] = bernoulli[k - 1] * binomial;
    }
    double total = pow(r, n) / n * (1.0 + 0.5 * n * r + r * r * NAME(horner)(r * r, 12, terms));
    for (double k = shifts - 1.0; k >= 0.0; k -= 1.0)
        total += pow(1.0 / (x + k), n + 1);
    return tgamma(n + 1.0) * total;
}

/* The derivative of order n, 0 to 150, of digamma; for x < 0 by that of the cotangent, a polynomial in it. */
static inline T NAME(polygamma)(int n, T x1)
{
    double x = (double)x1;
    if (n == 0)
        return NAME(digamma)(x1);
    if (!(x < 0.0))
        return (T)(n % 2 ? NAME(zeta_sum)(n, x) : -NAME(zeta_sum)(n, x));
    double p[153] = {0.0, 1.0}, s = NAME(sinpi)(x);
    for (int order = 0; order < n; ++order) { /* of c = cot z, c' = -(1 + c^2) */
        double slope[153] = {0.0};
        for (int k = 1; k <= order + 1; ++k) {
            slope[k - 1] -= k * p[k];
            slope[k + 1] -= k * p[k];
        }
        for (int k = 0; k <= order + 2; ++k)
            p[k] = slope[k];
    }
    double c = NAME(cospi)(x) / s, poles = p[n + 1];
    for (int k = n; k >= 0; --k)
        poles = poles * c + p[k];
    double y = -NAME(zeta_sum)(n, 1.0 - x) - pow(3.141592653589793, n + 1) * poles;
    return (T)(s != 0.0 ? y : n % 2 ? INFINITY : NAN);
}

/* e^a / sqrt(2 pi a) times the expansion in 1 / a, for a >= 20 + n^2. */
static inline double NAME(bessel_far)(int n, double a)
{
    double terms[40] = {0.0}, e = exp(0.5 * (a > 1428.0 ? 1428.0 : a));
    terms[39] = 1.0;
    for (int k = 1; k < 40; ++k)
        terms[39 - k] = -terms[40 - k] * (4.0 * n * n - (2.0 * k - 1.0) * (2.0 * k - 1.0)) / (8.0 * k);
    return a - a != 0.0 ? a : e * (NAME(horner)(1.0 / a, 40, terms) / sqrt(6.283185307179586 * a)) * e;
}

/* The modified Bessel function of the first kind and order n, 0 to 80. */
static inline T NAME(bessel_i)(int n, T x1)
{
    double a = fabs((double)x1), h = 0.5 * a, y;
    if (a < 20.0) {
        double term = 1.0;
        for (int k = 1; k <= n; ++k)
            term *= h / k;
        y = term;
        for (int k = 1; k < 84; ++k) {
            term *= h * h / ((double)k * (k + n));
            y += term;
        }
    } else if (!(a < 20.0 + n * n)) {
        y = NAME(bessel_far)(n, a);
    } else { /* I_(k-1) = I_(k+1) + (2k / a) I_k, downwards from where it is 0, and scaled by I_0 */
        double above = 0.0, here = 1e-300, wanted = here, b = a > 714.0 ? 714.0 : a;
        for (int k = n + 308; k > 0; --k) {
            double below = above + 2.0 * k / b * here;
            above = here;
            here = below;
            wanted = k == n + 1 ? here : wanted;
            if (here > 1e100) {
                above *= 1e-200;
                here *= 1e-200;
                wanted *= 1e-200;
            }
        }
        y = a < 714.0 ? wanted / here * NAME(bessel_far)(0, b) : INFINITY;
    }
    return (T)(n % 2 && signbit(x1) ? -y : y);
}

/* sin(x + n pi / 2) for the derivative of order n of a cosine that is given with the sine: cos, -sin, -cos, sin. */
static inline double NAME(turned)(int n, double s, double c)
{
    return n % 4 == 0 ? c : n % 4 == 1 ? -s : n % 4 == 2 ? -c : s;
}

/* The derivative of order n, 0 to 150, of sinc: pi^n times the integral of t^n cos(pi x t + n pi / 2) over t from 0 to 1. */
static inline T NAME(sinc_derivative)(int n, T x1)
{
    static const double nodes[48] = {
        0.0006144963737869658, 0.003234913866824618, 0.007937708138586574, 0.014704203726876364,
        0.0235061484197846, 0.034306654646722834, 0.047060431642215184, 0.06171398986287607,
        0.07820586918780326, 0.09646689798527869, 0.11642048374212982, 0.13798293453809268,
        0.16106381018366805, 0.1855663016117432, 0.21138763695801366, 0.2384195126388835, 0.2665485476245208,
        0.2956567590046416, 0.32562205685391965, 0.3563187563222722, 0.38761810480265546, 0.41938882196555416,
        0.4514976503952687, 0.4838099145185653, 0.5161900854814346, 0.5485023496047313, 0.5806111780344458,
        0.6123818951973445, 0.6436812436777277, 0.6743779431460803, 0.7043432409953584, 0.7334514523754792,
        0.7615804873611165, 0.7886123630419863, 0.8144336983882567, 0.8389361898163319, 0.8620170654619073,
        0.8835795162578701, 0.9035331020147213, 0.9217941308121967, 0.938286010137124, 0.9529395683577848,
        0.9656933453532772, 0.9764938515802154, 0.9852957962731237, 0.9920622918614135, 0.9967650861331754,
        0.999385503626213};
    static const double weights[48] = {
        0.0015766730261549207, 0.0036637769506380675, 0.005738617289617307, 0.007789657861471613,
        0.009808080228678028, 0.011785380419662024, 0.013713254854178517, 0.015583613916399048,
        0.017388611282385197, 0.01912067553291525, 0.020772541471732273, 0.022337280428347116,
        0.02380832924624512, 0.0251795177769271, 0.02644509474259672, 0.027599751849992017,
        0.028638646050201458, 0.029557419849197672, 0.0303522195829468, 0.03101971157994621,
        0.031557096143126864, 0.03196211929232393, 0.03223308221797491, 0.03236884840634183,
        0.03236884840634183, 0.03223308221797491, 0.03196211929232393, 0.031557096143126864,
        0.03101971157994621, 0.0303522195829468, 0.029557419849197672, 0.028638646050201458,
        0.027599751849992017, 0.02644509474259672, 0.0251795177769271, 0.02380832924624512,
        0.022337280428347116, 0.020772541471732273, 0.01912067553291525, 0.017388611282385197,
        0.015583613916399048, 0.013713254854178517, 0.011785380419662024, 0.009808080228678028,
        0.007789657861471613, 0.005738617289617307, 0.0036637769506380675, 0.0015766730261549207};
    double x = (double)x1, z = 3.141592653589793 * x, y = 0.0;
    if (n < 2)
        return n ? NAME(sinc_slope)(x1) : NAME(sinc)(x1);
    if (fabs(x) < 0.6) {
        double terms[12];
        for (int i = 0; i < 12; ++i) {
            int k = n % 2 + 2 * i;
            terms[11 - i] = ((n + k) / 2 % 2 ? -1.0 : 1.0) / (tgamma(k + 1.0) * (n + k + 1));
        }
        y = pow(3.141592653589793, n) * (n % 2 ? z : 1.0) * NAME(horner)(z * z, 12, terms);
    } else if (fabs(x) < 10.0) {
        for (int i = 0; i < 48; ++i)
            y += NAME(turned)(n, sin(z * nodes[i]), cos(z * nodes[i])) * weights[i] * pow(nodes[i], n);
        y *= pow(3.141592653589793, n);
    } else { /* x f_k + k f_(k-1) = pi^(k-1) sin(pi x + k pi / 2) */
        double s = NAME(sinpi)(x), c = NAME(cospi)(x), power = 1.0;
        y = NAME(sinc_of_double)(x);
        for (int k = 1; k <= n; ++k) {
            y = (power * NAME(turned)(k - 1, s, c) - k * y) / x;
            power *= 3.141592653589793;
        }
    }
    return (T)y;
}
