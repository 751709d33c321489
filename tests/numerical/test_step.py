"""Difference formulas: exact on polynomials, converging at their order, with errors that hold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from arrayad.numerical.stencil import formula
from arrayad.numerical.step import EPS, Difference, answer, best_step, difference, lengths, settled

FORMULAS = {
    (method, order): formula(method, order)
    for method, orders in {
        "forward": (1, 2, 3),
        "backward": (1, 2, 3),
        "central": (2, 4, 6, 8),
        "richardson": (4, 6, 8),
    }.items()
    for order in orders
}


def along(f: Callable[..., Any]) -> Any:
    return lambda places: [np.asarray(f(*place)) for place in places]


def differenced(f: Callable[..., Any], rules: Any, steps: Any) -> tuple[Difference, Any]:
    return answer(difference(rules, steps), along(f))


@pytest.mark.parametrize("name", FORMULAS, ids=str)
def test_weights_are_exact_on_polynomials_up_to_the_order(name: tuple[str, int]) -> None:
    rule = FORMULAS[name]
    assert rule.order == name[1]
    for degree in range(rule.order + 1):
        assert sum(w * k**degree for w, k in zip(rule.weights, rule.offsets, strict=True)) == (degree == 1)
    assert sum(w * k ** (rule.order + 1) for w, k in zip(rule.weights, rule.offsets, strict=True)) != 0, "the order is higher"


@pytest.mark.parametrize("name", FORMULAS, ids=str)
def test_interpolation_is_exact_on_polynomials(name: tuple[str, int]) -> None:
    rule = FORMULAS[name]
    for degree in range(len(rule.offsets) - (0 in rule.offsets)):
        assert sum(w * k**degree for w, k in zip(rule.middle, rule.offsets, strict=True)) == (degree == 0)


def test_interpolation_leaves_out_the_value_that_it_is_compared_with() -> None:
    rule = formula("central", 2, 2)
    assert rule.offsets == (-1, 0, 1) and rule.middle == (Fraction(1, 2), 0, Fraction(1, 2))


@pytest.mark.parametrize("name", FORMULAS, ids=str)
def test_the_estimated_truncation_error_holds(name: tuple[str, int]) -> None:
    longest = (0.2 if name[0] == "richardson" else 0.05) * name[1]
    for h in (longest, longest / 2):
        found, _ = differenced(lambda t: math.exp(0.3 + t), [FORMULAS[name]], [h])
        off = abs(float(found.value) - math.exp(0.3))
        assert off / 3 < float(found.truncation) < 3 * off


@pytest.mark.parametrize("first, second", [*itertools.product([("central", 2), ("central", 6), ("forward", 2)], repeat=2)])
def test_mixed_derivatives(first: Any, second: Any) -> None:
    rules = [FORMULAS[first], FORMULAS[second]]
    steps = [best_step(rule, 1.0, EPS, 2) for rule in rules]
    found, middle = differenced(lambda s, t: math.sin(0.5 + s) * math.exp(0.3 + 2 * t), rules, steps)
    exact = 2 * math.cos(0.5) * math.exp(0.3)
    assert abs(float(found.value) - exact) < 10 * float(found.error) < 1e-3
    assert float(middle) == pytest.approx(math.sin(0.5) * math.exp(0.3), rel=1e-5)


def test_the_best_step_is_near_the_best_of_all_and_a_power_of_two() -> None:
    for rule in FORMULAS.values():
        h = best_step(rule, 1.0)
        assert math.frexp(h)[0] == 0.5

        def off(h: float, rule: Any = rule) -> float:
            return max(
                abs(float(differenced(lambda t, x=x: math.sin(x + t), [rule], [h])[0].value) - math.cos(x))
                for x in np.linspace(0.5, 1.5, 11)
            )

        assert off(h) < 30 * min(off(2.0**-k) for k in range(1, 40))


def test_there_is_no_other_formula() -> None:
    assert formula("central", None).order == 2
    for method, order in [("central", 3), ("sideways", None), ("forward", 0), ("richardson", 12), ("central", True)]:
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
    asking = settled(lambda one: difference([rule], [best_step(rule, one)]), candidates, base, [rule])
    found = answer(asking, along(lambda t: f((x + t) / length)))
    assert float(found.value) == pytest.approx(derivative(x / length) / length, rel=1e-8, abs=max(1e-10 / length, 1e-12))
