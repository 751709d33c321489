"""Taylor mode against forward mode nested in itself for every row, and against a higher precision for elementwise ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from drawing import Case, every_case, joined
from mpmath import mp, mpf, taylor, workdps

import arrayad as ad
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE

ORDER = 3


@pytest.mark.parametrize("case", every_case(differentiable=True), ids=repr)
def test_taylor_mode_agrees_with_nested_forward_mode(case: Case) -> None:
    operands = case.operands()
    chosen = [i for i in range(len(case.shapes)) if case.is_smooth_operand(i)]
    directions = [np.random.default_rng(i).standard_normal(case.shapes[i]) for i in chosen]

    def along(t: Any) -> Any:
        full: list[Any] = list(operands)
        for i, direction in zip(chosen, directions, strict=True):
            full[i] = operands[i] + t * direction
        return joined(case.row.apply(*full, **case.params))

    _, found = ad.jet(along, (0.0,), ([1.0, None, None],))
    derivative: Any = along
    for k in range(ORDER):
        inner = derivative
        derivative = lambda t, inner=inner: ad.jvp(inner, (t,), (1.0,))[1]  # noqa: E731
        wanted = np.asarray(derivative(0.0))
        scale = float(np.max(np.abs(wanted), initial=1e-3))
        np.testing.assert_allclose(np.asarray(found[k]), wanted, rtol=1e-9, atol=1e-10 * scale)


SMOOTH = [row for row in TABLE.values() if isinstance(row, Elementwise) and row.differentiable and row.mpmath and row.arity == 1]


@pytest.mark.parametrize("row", SMOOTH, ids=repr)
def test_coefficients_agree_with_a_higher_precision(row: Elementwise) -> None:
    (points,) = Case(row, ((5,),), {}).operands()
    order = 6
    found = ad.taylor(row.apply, points, order)
    for i, point in enumerate(points):
        with workdps(80):
            wanted = taylor(lambda x: eval(row.mpmath or "", {"mp": mp, "x": x}), mpf(float(point)), order)
        scale = max(map(abs, wanted))
        for k, c in enumerate(wanted):
            assert float(found[k, i]) == pytest.approx(float(c), rel=1e-10, abs=1e-12 * float(scale)), (float(point), k)


CLOSED: list[tuple[str, Any, Any, float]] = [
    ("tanh times sqrt", lambda x: ad.tanh(x) * ad.sqrt(x), lambda x: mp.tanh(x) * mp.sqrt(x), 0.7),
    ("Runge's function", lambda x: 1 / (1 + 25 * x**2), lambda x: 1 / (1 + 25 * x * x), 0.1),
    ("a fractional power", lambda x: x**2.5 / ad.log(1 + x), lambda x: x**2.5 / mp.log(1 + x), 0.7),
    ("a negative power", lambda x: x**-3, lambda x: x**-3, 0.7),
    ("x to the x", lambda x: x**x, lambda x: x**x, 0.7),
    ("a whole power at 0", lambda x: x**5 + x**3, lambda x: x**5 + x**3, 0.0),
    ("matrix products", lambda x: ad.stack([x, x * x]) @ ad.stack([ad.sin(x), x]), lambda x: x * mp.sin(x) + x**3, 0.7),
    ("a product of many", lambda x: ad.prod(ad.stack([x, x * x, ad.sin(x)])), lambda x: x**3 * mp.sin(x), 0.7),
    ("exp of sin", lambda x: ad.exp(ad.sin(x)), lambda x: mp.exp(mp.sin(x)), 0.7),
]


@pytest.mark.parametrize("f, exact, point", [row[1:] for row in CLOSED], ids=[row[0] for row in CLOSED])
def test_programs_agree_with_a_higher_precision(f: Any, exact: Any, point: float) -> None:
    order = 10
    found = ad.taylor(f, point, order)
    with workdps(80):
        wanted = taylor(exact, mpf(point), order)
    for k, c in enumerate(wanted):
        assert float(found[k]) == pytest.approx(float(c), rel=1e-12, abs=1e-13 * float(max(map(abs, wanted)))), k


def test_the_eighth_derivative_of_exp_sin_is_right_to_twelve_digits() -> None:
    _, series = ad.jet(lambda x: ad.exp(ad.sin(x)), (0.7,), ([1.0] + [None] * 7,))
    with workdps(60):
        wanted = taylor(lambda x: mp.exp(mp.sin(x)), mpf(0.7), 8)[8] * mp.factorial(8)
    assert float(series[7]) == pytest.approx(float(wanted), rel=1e-12)


def test_curves_trees_and_derivative_convention() -> None:
    """d^k/dt^k of f(x(t)), x(t) = x + x1 t + x2 t²/2: f' x1 and f'' x1² + f' x2."""
    f = lambda p: {"y": ad.sin(p["a"]) * p["b"]}  # noqa: E731
    out, series = ad.jet(f, ({"a": 0.3, "b": np.array([1.0, 2.0])},), ([{"a": 2.0, "b": None}, {"a": 5.0, "b": None}],))
    b = np.array([1.0, 2.0])
    np.testing.assert_allclose(out["y"], np.sin(0.3) * b)
    np.testing.assert_allclose(series["y"][0], np.cos(0.3) * 2.0 * b, rtol=1e-14)
    np.testing.assert_allclose(series["y"][1], (-np.sin(0.3) * 4.0 + np.cos(0.3) * 5.0) * b, rtol=1e-14)


def test_taylor_mode_nests() -> None:
    f = lambda x: ad.exp(ad.sin(x))  # noqa: E731
    third = lambda x: ad.taylor(f, x, 3)[3]  # noqa: E731
    wanted = 4 * float(ad.taylor(f, 0.7, 4)[4])
    assert float(ad.grad(third)(0.7)) == pytest.approx(wanted, rel=1e-13)
    assert float(ad.jvp(third, (0.7,), (1.0,))[1]) == pytest.approx(wanted, rel=1e-13)
    assert float(ad.taylor(ad.grad(f), 0.7, 3)[3]) == pytest.approx(wanted, rel=1e-13)
    assert float(ad.taylor(third, 0.7, 1)[1]) == pytest.approx(wanted, rel=1e-13)
    assert ad.grad(third)(0.7).history is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[jet\] one list of derivatives for each of 2 primals was needed.*\(1, 2\) came"):
        ad.jet(lambda x, y: x * y, (1.0, 2.0), ([1.0], [1.0, 0.0]))
    with pytest.raises(ValueError, match=r"\[taylor\] the order is -1"):
        ad.taylor(ad.sin, 1.0, -1)
    assert float(ad.taylor(ad.sin, 1.0, 0)[0]) == math.sin(1.0)
    np.testing.assert_array_equal(ad.taylor(lambda x: 3.0, 1.0, 2), [3.0, 0.0, 0.0])
