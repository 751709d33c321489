"""Extrapolated differences: accurate to rounding, at any scale, few evaluations, and estimates that hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from arrayad import numerical
from arrayad.numerical.extrapolation import index, rung


def ridders(f: Any, x: Any, **options: Any) -> numerical.Estimate:
    return numerical.derivative(f, x, scheme="ridders", **options)


def test_rungs_are_about_halves_of_few_bits() -> None:
    assert [float(rung(k)) for k in (-2, 0, 1, 4)] == [4.0, 1.0, 29 / 64, 1 / 16]
    assert all(index(rung(k)) == k and 1.8 < rung(k) / rung(k + 1) < 2.3 for k in range(-40, 60))
    assert index(rung(3) * 3 / 2) == 3


@pytest.mark.parametrize("periods", [1, 8, 48])
def test_an_oscillation_with_the_period_of_the_steps_is_no_constant(periods: int) -> None:
    w = 2 * math.pi * periods * 8
    found = ridders(lambda x: np.sin(w * (x - 1.0)), 1.0)
    assert found.value == pytest.approx(w, rel=1e-10)


@pytest.mark.parametrize(
    "f, derivative, x, most",
    [
        (np.sin, np.cos, 1.0, 11),
        (np.exp, np.exp, 0.0, 11),
        (np.tanh, lambda x: 1 / np.cosh(x) ** 2, 0.5, 11),
        (lambda x: x**5 - x, lambda x: 5 * x**4 - 1, 2.0, 11),
        (lambda x: 1 / x, lambda x: -1 / x**2, 1e-3, 21),
        (lambda x: 1 / (x - 1), lambda x: -1 / (x - 1) ** 2, 1.001, 23),
        (np.log, lambda x: 1 / x, 1e-12, 17),
        (lambda x: np.exp(1000 * x), lambda x: 1000 * np.exp(1000 * x), 0.002, 23),
        (lambda x: np.sin(1e6 * x), lambda x: 1e6 * np.cos(1e6 * x), 7e-7, 27),
        (np.sqrt, lambda x: 0.5 / np.sqrt(x), 1e10, 15),
    ],
)
def test_twelve_digits_in_few_evaluations(f: Any, derivative: Any, x: float, most: int) -> None:
    found = ridders(f, x)
    exact = derivative(x)
    assert abs(found.value - exact) <= 1e-12 * abs(exact)
    assert abs(found.value - exact) <= 3 * found.error < 1e-10 * abs(exact)
    assert found.evaluations <= most


def test_a_function_that_hardly_changes_gets_long_steps() -> None:
    found = ridders(lambda x: np.cos(1e-6 * x), 1.0)
    assert found.value == pytest.approx(-1e-12, rel=1e-6) and found.step > 100
    assert abs(found.value + 1e-6 * math.sin(1e-6)) <= found.error


def test_a_derivative_of_zero_is_zero() -> None:
    assert abs(ridders(np.cos, 0.0).value) == 0.0
    flat = ridders(lambda x: 3.0 + 0.0 * x, 1.0)
    assert flat.value == 0.0 and flat.evaluations <= 9
    assert abs(ridders(lambda x: (x - 1) ** 2 * np.exp(x), 1.0).value) < 1e-14


@pytest.mark.parametrize("derivatives, digits", [(2, 11), (3, 8), (4, 6)])
def test_higher_derivatives(derivatives: int, digits: int) -> None:
    exact = {2: -math.sin(1.0), 3: -math.cos(1.0), 4: math.sin(1.0)}[derivatives]
    found = ridders(np.sin, 1.0, derivatives=derivatives)
    assert abs(found.value - exact) <= found.error
    assert abs(found.value - exact) < 10.0**-digits


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.5, 1.0])
def test_within_bounds(x: float) -> None:
    seen: list[float] = []

    def f(x: Any) -> Any:
        seen.append(float(x))
        return np.exp(3 * x)

    found = ridders(f, x, bounds=(0.0, 1.0))
    assert 0.0 <= min(seen) and max(seen) <= 1.0
    assert abs(found.value - 3 * math.exp(3 * x)) <= found.error < 1e-9


def test_infinities_and_nan_do_not_stop_it() -> None:
    with np.errstate(all="ignore"):
        assert np.isnan(ridders(np.log, -1.0).value)
    mixed = numerical.jacobian(lambda x: np.array([np.nan, x[0] ** 2]), np.array([3.0]), scheme="ridders")
    assert np.isnan(mixed.value[0, 0]) and mixed.value[1, 0] == pytest.approx(6.0, rel=1e-13)


def sample(rng: np.random.Generator, kind: int) -> tuple[Any, float, float, float]:
    """A function, a place, the derivative there, and what the rounding of the place changes in it."""
    x, p = 10.0 ** rng.uniform(-6, 3), float(rng.uniform(0, 6))
    w = 10.0 ** rng.uniform(-6, 6) / x
    u = w * x - p
    rounding = 50 * float(np.finfo(float).eps) * abs(w * x) * w
    if kind == 0:
        return (lambda t: np.sin(w * t - p)), x, w * math.cos(u), rounding
    if kind == 1:
        return (lambda t: 1 / (1 + (w * t - p) ** 2)), x, -2 * u * w / (1 + u * u) ** 2, rounding
    return (lambda t: np.tanh(w * t - p)), x, w / math.cosh(min(u, 300.0)) ** 2, rounding


@pytest.mark.parametrize("count", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_estimates_hold_at_random_scales(count: int) -> None:
    """The scale is anything from 10⁻⁶ of x on, and the derivative not so small that the rounding of x hides it."""
    rng = np.random.default_rng(1)
    over = wrong = 0
    for k in range(count):
        f, x, exact, rounding = sample(rng, k % 3)
        if rounding > 1e-6 * abs(exact):
            continue
        found = ridders(f, x)
        off = abs(found.value - exact)
        over += off > found.error + rounding
        wrong += off > 10 * (found.error + rounding) and off > 1e-3 * abs(exact)
        assert found.evaluations <= 40
    assert over <= 0.03 * count and wrong <= 0.005 * count
