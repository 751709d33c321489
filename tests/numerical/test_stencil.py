"""Weights of stencils: exact on polynomials, those of the literature, of any offsets."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.numerical.stencil import formula, named

stencil = ad.numerical.stencil


@pytest.mark.parametrize(
    "offsets, derivatives, weights",
    [
        ((-1, 0, 1), 1, "-1/2 0 1/2"),
        ((-4, -3, -2, -1, 0, 1, 2, 3, 4), 1, "1/280 -4/105 1/5 -4/5 0 4/5 -1/5 4/105 -1/280"),
        ((-2, -1, 0, 1, 2), 2, "-1/12 4/3 -5/2 4/3 -1/12"),
        ((-2, -1, 0, 1, 2), 4, "1 -4 6 -4 1"),
        ((0, 1, 2, 3, 4), 1, "-25/12 4 -3 4/3 -1/4"),
        ((-0.5, 0.5), 1, "-1 1"),
        ((-0.5, 0.5), 0, "1/2 1/2"),
    ],
)
def test_weights_of_fornberg_s_tables(offsets: Any, derivatives: int, weights: str) -> None:
    assert stencil(offsets, derivatives) == tuple(map(Fraction, weights.split()))


@pytest.mark.parametrize("derivatives", range(5))
def test_any_stencil_is_exact_on_polynomials(derivatives: int) -> None:
    rng = np.random.default_rng(derivatives)
    offsets = [
        Fraction(int(a), int(b)) for a, b in zip(rng.permutation(np.arange(-8, 9))[:7], rng.integers(1, 9, 7), strict=True)
    ]
    offsets = list(dict.fromkeys(offsets))
    weights = stencil(offsets, derivatives)
    for degree in range(len(offsets)):
        moment = sum(w * o**degree for w, o in zip(weights, offsets, strict=True))
        assert moment == (math.factorial(derivatives) if degree == derivatives else 0)


def test_offsets_that_repeat_or_are_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[stencil\] the offsets are 0, 1, 1; they must differ"):
        stencil((0, 1, 1.0))
    with pytest.raises(ValueError, match="2 offsets came; a derivative of order 2 needs 3 at least"):
        stencil((0, 1), 2)
    with pytest.raises(ValueError, match="an offset is nan; finite real numbers are needed"):
        stencil((0, math.nan))
    with pytest.raises(ValueError, match="derivatives is -1; an int, 0 or more"):
        stencil((0, 1), -1)


@pytest.mark.parametrize("method", ["forward", "backward", "central", "richardson"])
@pytest.mark.parametrize("derivatives", [1, 2, 3, 4])
def test_named_formulas_have_the_order_of_their_name(method: str, derivatives: int) -> None:
    for order in range(1, 9):
        rule = named(method, order, derivatives)
        if rule is None:
            assert order % 2 and method in ("central", "richardson")
            continue
        assert (rule.order, rule.derivatives) == (order, derivatives)
        moments = [sum(w * o**k for w, o in zip(rule.weights, rule.offsets, strict=True)) for k in range(derivatives + order + 1)]
        assert moments[derivatives] == math.factorial(derivatives)
        assert not any(moments[:derivatives]) and not any(moments[derivatives + 1 : -1]) and moments[-1] != 0


def test_richardson_is_the_extrapolation_of_central_differences() -> None:
    def central(h: float) -> float:
        return (math.exp(h) - math.exp(-h)) / (2 * h)

    once = [(4 * central(h / 2) - central(h)) / 3 for h in (1.0, 0.5)]
    twice = (16 * once[1] - once[0]) / 15
    for order, extrapolated in ((4, once[0]), (6, twice)):
        rule = formula("richardson", order)
        by_formula = sum(float(w) * math.exp(float(o)) for w, o in zip(rule.weights, rule.offsets, strict=True))
        assert by_formula == pytest.approx(extrapolated, rel=1e-14)
