"""`check`, the method of `manual`, `custom_vjp` and `custom_jvp`: wrong rules are found by all three ways, and named."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DTypeError


def test_a_right_derivative_is_right_in_every_way() -> None:
    f = ad.manual(lambda x: ad.sin(x**2 + 1), lambda x: 2 * x * ad.cos(x**2 + 1))
    found = f.check(0.5, points=4)
    assert found and len(found.places) == 5
    assert [way.count for way in found.ways] == [10, 10, 10], "a number and two modes at each point"
    assert all(way.digits > 14 for way in found.ways)
    assert float(found.places[0][0]) == 0.5 and 0.25 <= float(found.places[3][0]) <= 0.75
    again = f.check(0.5, points=4)
    assert [float(p[0]) for p in again.places] == [float(p[0]) for p in found.places]
    assert float(f.check(0.5, points=1, seed=1).places[1][0]) != float(found.places[1][0])


def test_the_argument_that_is_wrong_is_named_with_both_numbers() -> None:
    f = ad.manual(lambda x, y: ad.sin(x) * y, lambda x, y: (ad.cos(x) * y, ad.cos(x)))
    found = f.check(0.5, 3.0, points=2)
    assert not found
    for way in found.ways:
        assert {finding.argument for finding in way.wrong} == {"y"} and {finding.mode for finding in way.wrong} == {
            "forward",
            "reverse",
        }
        assert sorted(set(way.at)) == [0, 1, 2]
        assert float(way.wrong[0].derivative) == pytest.approx(math.cos(0.5))
        assert float(way.wrong[0].reference) == pytest.approx(math.sin(0.5))
    assert "wrong: by y, reverse mode: the derivative is 0.8775825618903728, it should be 0.47942553860" in str(found)


def wrong_element(kind: str) -> Any:
    """sin by elements, whose rule is wrong at element [1, 2] by one part in 10⁴."""
    mask = np.ones((2, 3))
    mask[1, 2] += 1e-4
    if kind == "vjp":
        f = ad.custom_vjp(lambda x: ad.sin(x))
        f.defvjp(lambda x: (f(x), x), lambda x, ct: (ct * ad.cos(x) * mask,))
    elif kind == "jvp":
        f = ad.custom_jvp(lambda x: ad.sin(x))
        f.defjvps(lambda t, out, x: t * ad.cos(x) * mask)
    else:
        f = ad.manual(lambda x: ad.sum(ad.sin(x)), lambda x: ad.cos(x) * mask)
    return f


@pytest.mark.parametrize("kind", ["vjp", "jvp", "manual"])
def test_the_element_that_is_wrong_is_named(kind: str) -> None:
    found = wrong_element(kind).check(np.linspace(-1.0, 1.0, 6).reshape(2, 3))
    for way in (found.numerical, found.symbolic, found.automatic):
        assert {finding.argument for finding in way.wrong} == {"x[1, 2]"}
        assert all(3.9 < finding.digits < 4.1 for finding in way.wrong)
    if kind != "manual":
        assert {finding.result for finding in found.symbolic.wrong} == {"the result[1, 2]"}


def test_a_formula_that_is_too_long_is_refused() -> None:
    found = ad.manual(lambda x: ad.sum(ad.sin(x)), lambda x: ad.cos(x)).check(np.ones(101))
    assert found and found.symbolic.count == 0 and "a formula of 101 elements is too long" in str(found.symbolic)


def test_a_way_that_cannot_be_gone_says_why() -> None:
    f = ad.manual(lambda x: math.sin(x), lambda x: ad.cos(x))
    found = f.check(0.5)
    assert found and found.numerical.count == 2
    assert found.symbolic.count == 0 and "no closed form" in str(found.symbolic)
    assert found.automatic.count == 0 and "gives a constant" in str(found.automatic)
    wrong = ad.manual(lambda x: math.sin(x), lambda x: ad.sin(x)).check(0.5)
    assert not wrong and not wrong.numerical.ok


def test_a_rule_that_is_meant_to_be_another_derivative() -> None:
    clip = ad.custom_vjp(lambda x, bound: x * 1.0, nondiff_argnums=(1,))
    clip.defvjp(lambda x, bound: (x * 1.0, None), lambda bound, _, ct: (ad.clip(ct, -bound, bound),))
    assert clip.check(3.0, 2.0) and not clip.check(3.0, 0.5)


def test_points_stay_where_the_function_has_values() -> None:
    f = ad.manual(lambda x: ad.sum(ad.log(x - 0.9)), lambda x: 1.0 / (x - 0.9))
    found = f.check(np.array([1.0, 2.0]), points=6)
    assert found and 3 <= len(found.places) <= 7
    assert all(np.all(np.asarray(place[0]) > 0.9) for place in found.places)


def test_trees_integers_and_large_arguments() -> None:
    f = ad.manual(
        lambda p, i: ad.sum(p["w"][i] ** 2) * p["b"],
        lambda p, i: ({"w": ad.vjp(lambda w: w[i], p["w"])[1](2 * p["w"][i] * p["b"])[0], "b": ad.sum(p["w"][i] ** 2)}, None),
    )
    p = {"w": np.linspace(0.1, 1.0, 200), "b": 2.0}
    found = f.check(p, np.array([3, 7, 150]))
    assert found and found.numerical.count == 2 * (8 + 1), "a large argument along eight directions"
    with pytest.raises(DTypeError, match=r"\[check\] the arguments are \(int 3\)"):
        ad.manual(lambda x: x, lambda x: 1.0).check(3)
