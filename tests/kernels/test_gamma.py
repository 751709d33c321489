"""sinc, the gamma family, gelu and the Bessel functions against mpmath, in units in the last place of the true value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from arrayad.kernels import bessel, gamma, sinc, special

SEED = 20263
COUNT = 150  # points per range

# Name: kernel, reference, ranges of x (a pair of powers of ten in a list), largest error allowed.
Range = tuple[float, float] | list[float]
PLAIN: dict[str, tuple[Any, Any, list[Range], float]] = {
    "sinc": (sinc.sinc, mp.sincpi, [(-3, 3), [-300, 15]], 4.0),
    "lgamma": (gamma.lgamma, lambda x: mp.re(mp.loggamma(x)), [(0, 1), (1, 2), (2, 8.2), [-300, 300]], 4.0),
    "digamma": (gamma.digamma, mp.digamma, [(0, 1), (1.4, 1.5), (2, 8.2), [-300, 300]], 4.0),
    "trigamma": (lambda x: gamma.polygamma(1, x), lambda x: mp.psi(1, x), [(0, 12), [-100, 100]], 4.0),
    "polygamma 5": (lambda x: gamma.polygamma(5, x), lambda x: mp.psi(5, x), [(0.01, 12), [-30, 30]], 12.0),
    "i0": (bessel.i0, lambda x: mp.besseli(0, x), [(-4, 4), [-300, 0]], 4.0),
    "i1": (bessel.i1, lambda x: mp.besseli(1, x), [(-4, 4), [-300, 0]], 4.0),
    "I 3": (lambda x: bessel.bessel_i(3, x), lambda x: mp.besseli(3, x), [(-4, 4), (20, 700)], 30.0),
    "I 30": (lambda x: bessel.bessel_i(30, x), lambda x: mp.besseli(30, x), [(1, 19), (21, 700)], 60.0),
    "gelu": (special.gelu, lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2, [(-37, 10), (-2, 2), [-300, 0]], 4.0),
}


def points(ranges: list[Range], dtype: Any) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(SEED)
    parts = [10 ** rng.uniform(*r, COUNT) if isinstance(r, list) else rng.uniform(*r, COUNT) for r in ranges]
    x = np.concatenate(parts)
    return x[(x >= np.finfo(dtype).tiny) | (x < 0)][: x.size].astype(dtype) if dtype == np.float64 else small(x)


def small(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Those that are numbers of float32, and whose functions are."""
    return x[(np.abs(x) > 1e-6) & (np.abs(x) < 60)].astype(np.float32)


def error_in_ulp(got: Any, exact: Any) -> float:
    spacing = np.spacing(np.abs(got.dtype.type(float(exact))))
    return float(abs(mpf(float(got)) - exact) / mpf(float(spacing)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PLAIN)
def test_accuracy(name: str, dtype: Any) -> None:
    kernel, reference, ranges, bound = PLAIN[name]
    x = points(ranges, dtype)
    y = kernel(x)
    assert y.dtype == dtype
    with mp.workdps(40):
        errors = [error_in_ulp(b, reference(mpf(float(a)))) for a, b in zip(x, y, strict=True)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= (bound if dtype is np.float64 else 0.501), f"{errors[worst]} ulp at {x[worst]!r}"


REFLECTED: dict[str, tuple[Any, Any, Any]] = {
    "lgamma": (gamma.lgamma, lambda x: mp.re(mp.loggamma(x)), mp.digamma),
    "digamma": (gamma.digamma, mp.digamma, lambda x: mp.psi(1, x)),
    "trigamma": (lambda x: gamma.polygamma(1, x), lambda x: mp.psi(1, x), lambda x: mp.psi(2, x)),
    "polygamma 4": (lambda x: gamma.polygamma(4, x), lambda x: mp.psi(4, x), lambda x: mp.psi(5, x)),
    "sinc'": (lambda x: sinc.sinc_derivative(1, x), lambda x: mp.diff(mp.sincpi, x), lambda x: mp.diff(mp.sincpi, x, 2)),
}


@pytest.mark.parametrize("name", REFLECTED)
def test_accuracy_next_to_poles_and_zeros(name: str) -> None:
    """Between the poles on the left and around zeros: to 4 ulp times the condition number."""
    kernel, reference, derivative = REFLECTED[name]
    x = -np.random.default_rng(SEED).uniform(0.01, 30, 2 * COUNT)
    with mp.workdps(50):
        for a, b in zip(x, kernel(x), strict=True):
            p = mpf(float(a))
            exact = reference(p)
            condition = max(1.0, float(abs(p * derivative(p) / exact)))
            assert error_in_ulp(b, exact) <= 4.0 * condition, a


@pytest.mark.parametrize("order", [2, 3, 6, 9])
def test_derivatives_of_sinc(order: int) -> None:
    x = np.concatenate([np.linspace(-0.59, 0.59, 21), np.linspace(0.61, 9.9, 31), np.linspace(10.1, 60.0, 21)])
    with mp.workdps(60):
        wanted = np.array([float(mp.diff(mp.sincpi, mpf(float(a)), order)) for a in x])
    found = sinc.sinc_derivative(order, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12 * np.pi**order / (order + 1))
    assert sinc.sinc_derivative(order, 0.0) == pytest.approx(np.pi**order * (1, 0, -1, 0)[order % 4] / (order + 1), rel=1e-14)


LIMITS: dict[str, tuple[Any, list[float]]] = {  # at -inf, -1, -0.0, 0.0, inf
    "sinc": (sinc.sinc, [0.0, 0.0, 1.0, 1.0, 0.0]),
    "sinc'": (lambda x: sinc.sinc_derivative(1, x), [0.0, 1.0, 0.0, 0.0, 0.0]),
    "lgamma": (gamma.lgamma, [np.inf, np.inf, np.inf, np.inf, np.inf]),
    "digamma": (gamma.digamma, [np.nan, np.nan, np.inf, -np.inf, np.inf]),
    "trigamma": (lambda x: gamma.polygamma(1, x), [np.inf, np.inf, np.inf, np.inf, 0.0]),
    "i0": (bessel.i0, [np.inf, 1.2660658777520084, 1.0, 1.0, np.inf]),
    "i1": (bessel.i1, [-np.inf, -0.5651591039924851, 0.0, 0.0, np.inf]),
    "I 2": (lambda x: bessel.bessel_i(2, x), [np.inf, 0.13574766976703828, 0.0, 0.0, np.inf]),
    "gelu": (special.gelu, [0.0, -0.15865525393145707, 0.0, 0.0, np.inf]),
    "gelu'": (special.gelu_prime, [0.0, -0.08331547058768635, 0.5, 0.5, 1.0]),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_and_no_warning(name: str) -> None:
    kernel, wanted = LIMITS[name]
    x = np.array([-np.inf, -1.0, -0.0, 0.0, np.inf, np.nan])
    with np.errstate(all="raise", under="ignore"):
        y = kernel(x)
        kernel(np.array([1e308, -1e308, 1e30, -1e30, 1e-308, 713.0, -713.0, 720.0]))
    np.testing.assert_allclose(y[:-1], wanted, rtol=1e-15)
    assert np.isnan(y[-1])


def test_orders_that_are_none_give_nan() -> None:
    for kernel in (gamma.polygamma, sinc.sinc_derivative, bessel.bessel_i):
        assert np.all(np.isnan(kernel([-1, 0.5, np.nan, 151], 2.0)))
        assert kernel(np.arange(3)[:, None], np.ones((1, 2), np.float32)).dtype == np.float32
        np.testing.assert_array_equal(kernel([[0], [2]], [1.0, 2.0])[1], kernel(2, np.array([1.0, 2.0])))
    with pytest.raises(TypeError, match=r"\[polygamma\] x has dtype complex128"):
        gamma.polygamma(1, np.ones(2, complex))


# mpmath 1.4 warns of the order of coefficients, which is the only one that 1.3 knows.
@pytest.mark.filterwarnings("ignore:Descending:DeprecationWarning")
def test_coefficients_are_the_fits_they_claim_to_be() -> None:
    def below(d: Any) -> Any:
        return mp.loggamma(1 - d) / d if d else mp.euler

    def between(d: Any) -> Any:
        return mp.loggamma(1 + d) / (d * (d - 1)) if 0 < d < 1 else mp.digamma(1 + d) / (2 * d - 1)

    def above(d: Any) -> Any:
        return mp.loggamma(2 + d) / d if d else mp.digamma(2)

    def at_root(t: Any) -> Any:
        return mp.digamma(t + 1.5) / (t + 1.5 - mp.findroot(mp.digamma, 1.46))

    def tail(t: Any) -> Any:
        a = 5 * (1 + t) / (1 - mpf(t))
        return (a + 1) * mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) / 2

    def slope(z: Any) -> Any:
        x = mp.sqrt(z or mpf(10) ** -40)
        z = x * x
        return (mp.cospi(x) - mp.sincpi(x)) / z

    with mp.workdps(50):
        for table, function, interval in (
            (gamma.BELOW, below, [0, 0.5]),
            (gamma.BETWEEN, between, [0, 1]),
            (gamma.ABOVE, above, [0, 1]),
            (gamma.AT_ROOT, at_root, [-0.5, 0.5]),
            (special.TAIL_RATIO, tail, [-1, mpf(35) / 45]),
            (sinc.SLOPE, slope, [0, 0.5625]),
        ):
            np.testing.assert_allclose(table, [float(c) for c in mp.chebyfit(function, interval, len(table))], rtol=1e-13)
