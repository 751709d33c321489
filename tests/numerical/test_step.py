"""Difference formulas: exact on polynomials, converging at their order, with errors that hold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from arrayad.numerical.step import EPS, FORMULAS, MIDDLE, best_step, difference, formula, lengths, settled


def along(f: Callable[..., Any]) -> Any:
    return lambda places: [np.asarray(f(*place)) for place in places]


@pytest.mark.parametrize("name", FORMULAS, ids=str)
def test_weights_are_exact_on_polynomials_up_to_the_order(name: tuple[str, int]) -> None:
    rule = FORMULAS[name]
    weights = [Fraction(w).limit_denominator(1000) for w in rule.weights]
    for degree in range(rule.order + 1):
        assert sum(w * k**degree for w, k in zip(weights, rule.offsets, strict=True)) == (degree == 1)
    assert sum(w * k ** (rule.order + 1) for w, k in zip(weights, rule.offsets, strict=True)) != 0, "the order is higher"


@pytest.mark.parametrize("offsets", MIDDLE, ids=str)
def test_interpolation_is_exact_on_polynomials(offsets: tuple[int, ...]) -> None:
    weights = [Fraction(w).limit_denominator(1000) for w in MIDDLE[offsets]]
    for degree in range(len(offsets)):
        assert sum(w * k**degree for w, k in zip(weights, offsets, strict=True)) == (degree == 0)


@pytest.mark.parametrize("name", FORMULAS, ids=str)
def test_the_estimated_truncation_error_holds(name: tuple[str, int]) -> None:
    for h in (0.1, 0.05):
        found, _ = difference(along(lambda t: math.exp(0.3 + t)), [FORMULAS[name]], [h])
        off = abs(float(found.value) - math.exp(0.3))
        assert off / 3 < float(found.truncation) < 3 * off


@pytest.mark.parametrize("first, second", [*itertools.product([("central", 2), ("central", 6), ("forward", 2)], repeat=2)])
def test_mixed_derivatives(first: Any, second: Any) -> None:
    rules = [FORMULAS[first], FORMULAS[second]]
    steps = [best_step(rule, 1.0, EPS, 2) for rule in rules]
    found, middle = difference(along(lambda s, t: math.sin(0.5 + s) * math.exp(0.3 + 2 * t)), rules, steps)
    exact = 2 * math.cos(0.5) * math.exp(0.3)
    assert abs(float(found.value) - exact) < 10 * float(found.error) < 1e-3
    assert float(middle) == pytest.approx(math.sin(0.5) * math.exp(0.3), rel=1e-5)


def test_the_best_step_is_near_the_best_of_all_and_a_power_of_two() -> None:
    for rule in FORMULAS.values():
        h = best_step(rule, 1.0)
        assert math.frexp(h)[0] == 0.5

        def off(h: float, rule: Any = rule) -> float:
            return max(
                abs(float(difference(along(lambda t, x=x: math.sin(x + t)), [rule], [h])[0].value) - math.cos(x))
                for x in np.linspace(0.5, 1.5, 11)
            )

        assert off(h) < 30 * min(off(2.0**-k) for k in range(1, 40))


def test_there_is_no_other_formula() -> None:
    assert formula("central", None).order == 2
    for method, order in [("central", 3), ("sideways", None), ("forward", 4)]:
        with pytest.raises(ValueError, match=f"no {method} difference of order {order}"):
            formula(method, order)


@pytest.mark.parametrize("length", [1e-7, 1e-5, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    "f, derivative",
    [(np.sin, np.cos), (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)), (np.tanh, lambda x: 1 / np.cosh(x) ** 2)],
    ids=["sin", "bump", "step"],
)
def test_the_length_over_which_a_function_changes_is_found(f: Any, derivative: Any, x: float, length: float) -> None:
    x *= length
    rule = FORMULAS["central", 6]
    base = np.asarray(f(x / length))
    candidates = [(one,) for one in lengths(np.array([x]), np.ones(1))]
    found = settled(
        lambda one: difference(along(lambda t: f((x + t) / length)), [rule], [best_step(rule, one)]), candidates, base, [rule]
    )
    assert float(found.value) == pytest.approx(derivative(x / length) / length, rel=1e-8, abs=max(1e-10 / length, 1e-12))
