"""Special functions that NumPy lacks, on NumPy alone, to 4 ulp over their whole range.

`erf`, `erfc`, `gelu` and its derivative, `expit` (the sigmoid), `softplus`, `sech2` (the derivative of tanh),
`sigmoid_prime`, `ndtri` (the inverse normal distribution function) and `erfinv`. Each takes a real array of any shape and
returns one of the dtype that `np.sin` would give it. All compute in float64 and round once, so that float32 results are off
by 0.501 ulp at most. nan stays nan, nothing warns, and a pole is an infinity: `ndtri(0.0)` is -inf, `ndtri(2.0)` nan.

Largest errors seen in float64, in ulp of the true value, subnormal results included, of some 30,000 points each:

    erf 1.4   erfc 2.6   gelu 3.0   expit 1.9   softplus 1.3   sech2 2.3   sigmoid_prime 2.5   ndtri 2.7   erfinv 3.2
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

__all__ = ["erf", "erfc", "erfinv", "expit", "gelu", "gelu_prime", "ndtri", "sech2", "sigmoid_prime", "softplus"]

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

# Elements computed at a time: the dozen temporaries of a block (128 KB each) then live in the second-level cache, which
# makes 10^6 erfs 1.6 times faster than whole-array passes.
BLOCK = 16384

PASSES = 8
"""About how many calls of NumPy a kernel here makes, at least: what `arrayad.kernels.elementwise` asks."""

HIGHEST_ORDER = 150
"""The factorials of orders up to here are finite."""


@functools.cache
def _result_dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of np.sin(x) for x of `dtype`; TypeError for what float64 cannot compute."""
    if dtype.kind in "biuf" and dtype.itemsize <= 8:
        return np.sin.resolve_dtypes((dtype, None))[1]
    raise TypeError(f"[{name}] x has dtype {dtype}; it must be a real dtype of at most 64 bits; convert with x.astype.")


def in_float64(body: Callable[[Floats], Floats]) -> Callable[[ArrayLike], Any]:
    """Lift `body`, from a float64 vector to a fresh one, to arrays of any shape and real dtype."""

    @functools.wraps(body)
    def kernel(x: ArrayLike) -> Any:
        x = np.asarray(x)
        flat, dtype = x.reshape(-1), _result_dtype(body.__name__, x.dtype)
        if flat.size <= BLOCK:
            return body(flat.astype(np.float64, copy=False)).astype(dtype, copy=False).reshape(x.shape)[()]
        out = np.empty(flat.shape, dtype)
        for start in range(0, flat.size, BLOCK):
            block = slice(start, start + BLOCK)
            out[block] = body(flat[block].astype(np.float64, copy=False))
        return out.reshape(x.shape)[()]

    kernel.passes = PASSES  # type: ignore[attr-defined]
    return kernel


def of_order(body: Callable[[int, Floats], Floats]) -> Callable[[ArrayLike, ArrayLike], Any]:
    """Lift `body`, of a whole order and a float64 vector, to arrays that broadcast; nan for an order that it does not know.

    The orders may be of any real dtype; they have no part in the result's.
    """

    @functools.wraps(body)
    def kernel(orders: ArrayLike, x: ArrayLike) -> Any:
        n, flat = np.broadcast_arrays(orders, x)
        dtype = _result_dtype(body.__name__, flat.dtype)
        shape, n, flat = flat.shape, n.reshape(-1), flat.reshape(-1)
        out = np.full(flat.shape, np.nan, dtype)
        for order in np.unique(n):
            if 0 <= order <= HIGHEST_ORDER and order == np.floor(order):
                chosen = np.flatnonzero(n == order)
                for start in range(0, chosen.size, BLOCK):
                    block = chosen[start : start + BLOCK]
                    out[block] = body(int(order), flat[block].astype(np.float64, copy=False))
        return out.reshape(shape)[()]

    kernel.passes = PASSES  # type: ignore[attr-defined]
    return kernel


def horner(x: Floats, coefficients: Sequence[float]) -> Floats:
    """The polynomial with these coefficients, highest power first; x is left alone."""
    first, second, *rest = coefficients
    y = first * x
    y += second
    for coefficient in rest:
        y *= x
        y += coefficient
    return y


def either(condition: NDArray[np.bool_], x: Floats, yes: Callable[[Floats], Floats], no: Callable[[Floats], Floats]) -> Floats:
    """yes(x) where `condition` holds and no(x) elsewhere, each computed only where needed."""
    if condition.all():
        return yes(x)
    if not condition.any():
        return no(x)
    out = np.empty_like(x)
    out[condition] = yes(x[condition])
    np.logical_not(condition, out=condition)
    out[condition] = no(x[condition])
    return out


# --- the error function ----------------------------------------------------------------------------------------------

# Below this erf, above it erfc is computed; the other of the two is 1 minus it. At 3/4 neither loses more than an ulp.
SPLIT = 0.75

# erf(x) / x as a polynomial of degree 10 in x**2 for |x| <= 3/4: Chebyshev fit at 50 digits, error 8e-19.
ERF = (
    1.1472499701094691e-08, -1.5940066854661717e-07, 1.643068417974155e-06, -1.4924196305569617e-05,
    0.00012055289567541706, -0.0008548326188759752, 0.005223977615420539, -0.026866170644428485,
    0.11283791670952596, -0.37612638903183715, 1.1283791670955126,
)  # fmt: skip

# (a + 1/2) exp(a**2) erfc(a) as a polynomial of degree 20 in t = (a - 7/2) / (a + 7/2) for 3/4 <= a <= 28: Chebyshev
# fit at 50 digits, error 4e-18. The substitution is that of M. M. Shepherd and J. G. Laframboise, "Chebyshev
# approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < oo", Math. Comp. 36 (1981), doi 10.1090/S0025-5718-1981-0595058-X.
# The factor a + 1/2 makes the function nearly flat (0.56 to 0.64), so that Horner's rule loses half an ulp only.
ERFC = (
    7.548403171708731e-09, -3.754188544402643e-08, -1.9423997192465756e-08, 2.9427506661278515e-07,
    -8.074471260839814e-09, -1.9057296176836562e-06, 1.1570536538255658e-06, 1.2130586863859938e-05,
    -2.138893236028587e-05, -6.0756374855137686e-05, 0.0002821917904283989, -0.00015113389720422093,
    -0.002107509904702348, 0.009549665466216415, -0.024411662917299355, 0.04399157691272859,
    -0.057544799079979274, 0.04875954757662175, -0.005277798166110736, -0.07000459006880966,
    0.6211746224355772,
)  # fmt: skip


def _erf_near_zero(x: Floats) -> Floats:
    return x * horner(x * x, ERF)


def _erfc_of_large(a: Floats) -> Floats:
    """erfc(a) for 3/4 <= a <= 28 as exp(-a**2) P(t) / (a + 1/2).

    Rounding a**2 to 53 bits would cost a**2 / 2 ulp. So a = h + (a - h), where h has 26 bits and h * h is exact:
    exp(-a**2) = exp(-h * h) exp(d) with d = (h - a)(h + a), |d| < 2e-5, and three terms of the second series do. That
    factor and the rounding error of a + 1/2 are put in before P's last addition, which spares two roundings.
    """
    h = a.view(np.int64) + 0x4000000
    h &= -0x8000000
    h = h.view(np.float64)
    d = (h - a) * (h + a)
    b = a + 0.5
    correction = d * horner(d, (1 / 6, 0.5, 1.0)) - (a - (b - 0.5)) / b
    t = (a - 3.5) / (a + 3.5)
    p = t * horner(t, ERFC[:-1])
    p += (p + ERFC[-1]) * correction
    p += ERFC[-1]
    p *= np.exp(-h * h)
    p /= b
    return p


def _erf_beyond(x: Floats) -> Floats:
    return np.copysign(1.0 - _erfc_of_large(np.minimum(np.abs(x), 6.0)), x)


def _erfc_beyond(x: Floats) -> Floats:
    y = _erfc_of_large(np.minimum(np.abs(x), 28.0))
    return np.where(x < 0.0, 2.0 - y, y)


@in_float64
def erf(x: Floats) -> Floats:
    """Error function: y[i] = 2/sqrt(pi) * integral of exp(-t**2) for t from 0 to x[i].

    **Example**

    >>> float(erf(0.5))
    0.5204998778130465
    """
    return either(np.abs(x) < SPLIT, x, _erf_near_zero, _erf_beyond)


@in_float64
def erfc(x: Floats) -> Floats:
    """Complementary error function: y[i] = 1 - erf(x[i]), without the cancellation: right until it underflows at 27.2.

    **Example**

    >>> float(erfc(10.0))
    2.088487583762545e-45
    """
    return either(np.abs(x) < SPLIT, x, lambda x: 1.0 - _erf_near_zero(x), _erfc_beyond)


# --- gelu --------------------------------------------------------------------------------------------------------------

# 1 / sqrt(2 pi) = DENSITY_HIGH + DENSITY_LOW, the first of 12 bits.
DENSITY, DENSITY_HIGH, DENSITY_LOW = 0.3989422804014327, 0.39892578125, 1.649915143267794e-05

# (a + 1) exp(a**2 / 2) Phi(-a) as a polynomial of degree 24 in t = (a - 5) / (a + 5) for 0 <= a <= 40, Phi the normal
# distribution function: Chebyshev fit at 50 digits, error 2e-19. csrc/gelu.h has the same numbers.
TAIL_RATIO = (
    -1.5850740312377903e-10, -7.027967115341447e-10, 2.173901624167419e-10, 5.6997771378686385e-09, 3.016147198052196e-09,
    -3.32883619092778e-08, -2.5987112395037283e-08, 1.9873181518869067e-07, 1.27942513889622e-07, -1.3091050842731223e-06,
    -7.051696002027796e-08, 9.060570084810618e-06, -9.895993842237888e-06, -5.360780542423559e-05, 0.00018233411108948186,
    7.791641515747818e-06, -0.0016760723380366302, 0.00652200066240867, -0.01517041540322349, 0.02453696324404675,
    -0.026401042966269307, 0.01000235238521765, 0.03103036842596288, -0.09155228183400893, 0.46151582985003775,
)  # fmt: skip


def _tail(x: Floats) -> tuple[Floats, Floats, Floats]:
    """e and r with Phi(-a) = e r, and v with Phi(-a) - a phi(a) = e v, for a = |x|, at most 40.

    exp(-a**2 / 2) = exp(-h**2 / 2) (1 + d), h of 12 bits; d and the rounding error of a + 1 are put in before the polynomial's
    last addition, which spares three roundings; the product of h with twelve bits of 1 / sqrt(2 pi) is exact.
    """
    a = np.minimum(np.abs(x), 40.0)
    h = np.floor(a * 64.0 + 0.5) / 64.0
    b = a + 1.0
    t = (a - 5.0) / (a + 5.0)
    with np.errstate(under="ignore"):
        e = np.exp(-0.5 * h * h)
    d = np.expm1(0.5 * (h - a) * (h + a))
    p = t * horner(t, TAIL_RATIO[:-1])
    p += (p + TAIL_RATIO[-1]) * (d - (a - (b - 1.0)) / b)
    p += TAIL_RATIO[-1]
    r = p / b
    small = a * DENSITY * d + h * DENSITY_LOW + (a - h) * DENSITY
    return e, r, (r - small) - h * DENSITY_HIGH


@in_float64
def gelu(x: Floats) -> Floats:
    """Gaussian error linear unit: y[i] = x[i] Phi(x[i]), with all digits in the tail.

    **Example**

    >>> float(gelu(1.0)), float(gelu(-8.0))
    (0.8413447460685429, -4.9767684594174...e-15)
    """
    e, r, _ = _tail(x)
    with np.errstate(under="ignore"):
        return np.where(x < 0.0, np.clip(x, -40.0, 40.0) * (e * r), x * (1.0 - e * r))


GELU_SERIES = np.array(
    [
        0.7978845608028654,
        -0.26596152026762176,
        0.0598413420602149,
        -0.009498625723843634,
        0.001154346876161553,
        -0.00011333587511404338,
        9.323570922843312e-06,
        -6.596267863780302e-07,
        4.092353683871051e-08,
        -2.2602343283238428e-09,
        1.1247356538563884e-10,
        -5.09222753812091e-12,
    ]
)
"""(-1)^k (2k + 2) / ((2k + 1) 2^k k! sqrt(2 pi)), k = 0 … 11: what x^(2k + 1) has in the derivative of gelu."""


@in_float64
def gelu_prime(x: Floats) -> Floats:
    """Derivative of gelu: y[i] = Phi(x[i]) + x[i] phi(x[i]), one less what it is at -x[i]; by its series near 0.

    **Example**

    >>> float(gelu_prime(0.0)), float(gelu_prime(-8.0))
    (0.5, -3.979607261086...e-14)
    """
    e, _, v = _tail(x)
    with np.errstate(under="ignore", over="ignore", invalid="ignore"):
        y = e * v
        near = 0.5 + x * np.polynomial.polynomial.polyval(x * x, GELU_SERIES, tensor=False)
    return np.where(np.abs(x) <= 0.5, near, np.where(x < 0.0, y, 1.0 - y))


# --- the sigmoid and its relatives -----------------------------------------------------------------------------------


@in_float64
def expit(x: Floats) -> Floats:
    """Sigmoid: y[i] = 1 / (1 + exp(-x[i])) = exp(x[i]) / (1 + exp(x[i])).

    The second form is accurate in both tails: on the left it is exp(x), and on the right an error of exp(x) is divided
    by exp(x). Past 40 the result is 1, and min(x, 40) keeps it from being inf / inf.

    **Example**

    >>> float(expit(-800.0)), float(expit(0.0)), float(expit(-700.0))
    (0.0, 0.5, 9.859676543759770e-305)
    """
    e = np.exp(np.minimum(x, 40.0))
    return e / (1.0 + e)


@in_float64
def softplus(x: Floats) -> Floats:
    """Softplus: y[i] = log(1 + exp(x[i])) = max(x[i], 0) + log1p(exp(-|x[i]|)).

    Past 40 the second term is below half an ulp of the first; -|min(x, 40)| spares its underflow.

    **Example**

    >>> float(softplus(-50.0)), float(softplus(0.0)), float(softplus(1e300))
    (1.9287498479639178e-22, 0.6931471805599453, 1e+300)
    """
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(np.minimum(x, 40.0))))


@in_float64
def sech2(x: Floats) -> Floats:
    """Squared hyperbolic secant, the derivative of tanh: y[i] = 1 / cosh(x[i])**2 = 4 e / (1 + e)**2, e = exp(-2 |x[i]|).

    Nothing overflows and nothing cancels: 1 - tanh(x)**2 has no digit left at 20, this underflows at 373 and is right.

    **Example**

    >>> float(sech2(0.0)), float(sech2(20.0)), float(sech2(-1e308))
    (1.0, 1.6993417021166355e-17, 0.0)
    """
    e = np.exp(-2.0 * np.minimum(np.abs(x), 400.0))
    return 4.0 * e / (1.0 + e * (2.0 + e))


@in_float64
def sigmoid_prime(x: Floats) -> Floats:
    """Derivative of the sigmoid: y[i] = s(x[i]) s(-x[i]) = e / (1 + e)**2, e = exp(-|x[i]|), accurate in both tails.

    **Example**

    >>> float(sigmoid_prime(0.0)), float(sigmoid_prime(50.0))
    (0.25, 1.9287498479639178e-22)
    """
    e = np.exp(-np.abs(x))
    return e / (1.0 + e * (2.0 + e))


# --- the inverse normal distribution function ------------------------------------------------------------------------

# Algorithm AS 241, routine PPND16: M. J. Wichura, "The percentage points of the normal distribution", Applied
# Statistics 37 (1988), doi 10.2307/2347330. In each of three ranges it gives the quantile as a ratio A / D of polynomials
# of degree 7, in error by 1e-16. Horner's rule loses up to 5 ulp there, so each ratio is rearranged, exactly, to a line
# plus a small N / D: the rounding errors of N and D then count little. Each entry holds the line, N and D, highest power
# first. compiler/emitted/philox.h has the same numbers.
#
# Centre, q <= 0.425:  x = q (c + z N(s) / D(s)),  z = q**2,  s = 0.180625 - z.
# Tail, r <= 5, and far tail, r > 5:  x = c + u (slope + N(u) / D(u)),  u = r - 1.6 and r - 5,  r = sqrt(-log(tail)).
CENTRE = (
    2.5066282746310007,
    (10591.799914467876, 40495.706885421416, 38579.04915793209, 14221.483431164575, 2358.305945449973,
     176.9004440290076, 4.87476594139995),
    (5226.4952788528545610, 28729.085735721942674, 39307.895800092710610, 21213.794301586595867,
     5394.1960214247511077, 687.18700749205790830, 42.313330701600911252, 1.0),
)  # fmt: skip
TAIL = (
    1.4234371107496835, 1.5,
    (-1.5761251074666253e-09, -4.684719414760645e-05, -0.0008536202047904944, -0.00200958548433155,
     0.024990553678246926, 0.15143065708679898, 0.30348140232262, 0.20774868931985147),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 0.0151986665636164571966, 0.148103976427480074590,
     0.689767334985100004550, 1.67638483018380384940, 2.05319162663775882187, 1.0),
)  # fmt: skip
FAR_TAIL = (
    6.657904643501103, 1.375,
    (-2.810861767161167e-15, 5.575559550208676e-09, 7.822498480229741e-07, 3.778977906754673e-05,
     0.0008396681095744709, 0.009243248547632268, 0.04839116587340947, 0.09515927781415433),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     0.0148753612908506148525, 0.136929880922735805310, 0.599832206555887937690, 1.0),
)  # fmt: skip

# (log((1 + s) / (1 - s)) - 2 s) / s**3 as a polynomial of degree 6 in s**2 for 1/sqrt(2) <= (1 + s) / (1 - s) <= sqrt(2):
# Chebyshev fit at 50 digits, error 3e-16, which is 5e-18 of the logarithm.
LOG_SERIES = (
    0.14616449685043406, 0.15331721600556042, 0.18182889125261723, 0.2222221113479508, 0.28571428625975487,
    0.39999999999899505, 0.666666666666667,
)  # fmt: skip
LOG_2_HIGH = float.fromhex("0x1.62e42fefa2p-1")  # log(2) to 40 bits, so that its product with an exponent is exact
LOG_2_LOW = 7.371002565167799e-13
SQRT_HALF = 0.7071067811865476


def _log(p: Floats) -> Floats:
    """Natural logarithm of p > 0, to 1 ulp where |log(p)| > 1, by correctly rounded operations only."""
    m, exponent = np.frexp(p)
    small = m < SQRT_HALF
    m = np.where(small, 2.0 * m, m)
    exponent = exponent - small
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    return exponent * LOG_2_HIGH + (2.0 * s + (s * (z * horner(z, LOG_SERIES)) + exponent * LOG_2_LOW))


def _quantile_of_tail(r: Floats) -> Floats:
    def on(u: Floats, c: float, slope: float, numerator: Sequence[float], denominator: Sequence[float]) -> Floats:
        return c + u * (slope + horner(u, numerator) / horner(u, denominator))

    return either(r <= 5.0, r, lambda r: on(r - 1.6, *TAIL), lambda r: on(r - 5.0, *FAR_TAIL))


def normal_quantile(q: Floats, tail: Floats) -> Floats:
    """The x >= 0 with P(X > x) = tail for a standard normal X, where q = 1/2 - tail, 0 <= q < 1/2: vectors of float64.

    Both are asked for because each is exact where the other is rounded. Only sums, products, quotients, square roots
    and frexp are used, in the order that compiler/emitted/philox.h keeps, so the result is the same to the bit everywhere.

    **Source** Wichura (1988), doi 10.2307/2347330.

    **Example**

    >>> normal_quantile(np.array([0.25]), np.array([0.25])).tolist()
    [0.6744897501960817]
    """
    c, numerator, denominator = CENTRE
    z = q * q
    s = 0.180625 - z
    x = q * (c + z * (horner(s, numerator) / horner(s, denominator)))
    tails = np.flatnonzero(q > 0.425)
    if tails.size:
        x[tails] = _quantile_of_tail(np.sqrt(-_log(tail[tails])))
    return x


def _signed_quantile(q: Floats, tail: Floats) -> Floats:
    """normal_quantile with the sign of q; infinite where the tail is 0, nan where it is negative or nan."""
    inside = tail > 0.0
    if inside.all():
        return np.copysign(normal_quantile(np.abs(q), tail), q)
    x = np.copysign(np.where(tail == 0.0, np.inf, np.nan), q)
    x[inside] = _signed_quantile(q[inside], tail[inside])
    return x


@in_float64
def ndtri(p: Floats) -> Floats:
    """Inverse of the normal distribution function: the y[i] with P(X <= y[i]) = p[i] for a standard normal X.

    By correctly rounded operations only, so the same to the bit on every machine.

    **Source** Wichura (1988), doi 10.2307/2347330.

    **Example**

    >>> ndtri([0.0, 0.025, 0.5, 1e-300]).tolist()
    [-inf, -1.959963984540054, 0.0, -37.0470962993612]
    """
    return _signed_quantile(p - 0.5, np.minimum(p, 1.0 - p))


@in_float64
def erfinv(x: Floats) -> Floats:
    """Inverse of the error function: the y[i] with erf(y[i]) = x[i], from y = ndtri((1 + x) / 2) / sqrt(2).

    **Example**

    >>> erfinv([-1.0, 0.0, 0.5204998778130465]).tolist()
    [-inf, 0.0, 0.5]
    """
    return _signed_quantile(0.5 * x, 0.5 * (1.0 - np.abs(x))) * SQRT_HALF
