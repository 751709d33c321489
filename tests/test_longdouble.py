"""Long doubles: every row's value and derivatives have their digits, not a float's, against differences in more digits."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from drawing import Case, cases_in_floats, derivatives_of, parts_of
from mpmath import mp, mpf

import arrayad as ad
from arrayad import arbitrary
from arrayad.arbitrary import from_longdouble, longdouble
from arrayad.elementwise import Elementwise
from arrayad.errors import DTypeError
from arrayad.primitive import TABLE
from arrayad.tensor import handle

pytestmark = pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="long doubles are floats here")

EPS = float(np.finfo(np.longdouble).eps)
TRUTH, STEP = 100, 20

ELEMENTWISE = [row for row in TABLE.values() if isinstance(row, Elementwise) and row.mpmath is not None]
SMOOTH = [(row, i) for row in ELEMENTWISE for i in range(row.arity) if row.partials[i] is not None]


def operands_of(row: Elementwise, seed: int) -> list[Any]:
    """0-d operands in the row's domain; those of long doubles have digits beyond a float's."""
    drawn = Case(row, ((),) * row.arity, {}).operands(seed=seed)
    return [np.asarray(x * (1 + np.longdouble(1) / 3**35)) if x.dtype.kind == "f" else x for x in drawn]


def exact(operands: list[Any]) -> list[Any]:
    return [from_longdouble(x[()]) if x.dtype.kind == "f" else x.item() for x in operands]


def text_of(row: Elementwise) -> Any:
    names = row.operand_names(row.arity)
    program = compile(row.mpmath or "", row.name, "eval")
    return lambda *xs: eval(program, {"mp": mp, **dict(zip(names, xs, strict=True))})


def truths(row: Elementwise, operands: list[Any], i: int) -> list[tuple[Any, float]]:
    """The value and its first two derivatives by operand i, each with the relative error that a rounding of an operand makes."""
    with mp.workdps(TRUTH):
        point, h = exact(operands), mpf(10) ** -STEP
        function = text_of(row)

        def stencil(point: list[Any], j: int) -> list[Any]:
            low, middle, high = (function(*(x + k * h if n == j else x for n, x in enumerate(point))) for k in (-1, 0, 1))
            return [middle, (high - low) / (2 * h), (low - 2 * middle + high) / h**2]

        found = [[y, mpf(0)] for y in stencil(point, i)]
        for j, x in enumerate(point):
            if isinstance(x, mpf):
                moved = stencil([x + h * (n == j) for n, x in enumerate(point)], i)
                for pair, y in zip(found, moved, strict=True):
                    pair[1] += abs(x * (y - pair[0]) / h)
        return [(y, float(max(1, spread / abs(y)) if y else 1)) for y, spread in found]


def assert_near(found: Any, truth: tuple[Any, float], ulps: float = 16) -> None:
    wanted, condition = truth
    assert found.dtype == np.longdouble and found.shape == ()
    with mp.workdps(TRUTH):
        assert abs(from_longdouble(found.numpy()[()]) - wanted) <= ulps * EPS * condition * max(abs(wanted), mpf(10) ** -30)


@pytest.mark.parametrize("pair", SMOOTH, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def test_values_and_derivatives_have_the_digits_of_a_long_double(pair: tuple[Elementwise, int]) -> None:
    row, i = pair
    operands = operands_of(row, seed=3)
    value, first, second = truths(row, operands, i)

    def function(x: Any) -> Any:
        return row.apply(*operands[:i], x, *operands[i + 1 :])

    x = operands[i]
    assert_near(row.apply(*operands), value)
    assert_near(ad.grad(function)(x), first)
    assert_near(ad.jvp(function, (x,), (np.ones_like(x),))[1], first)
    assert_near(ad.grad(ad.grad(function))(x), second, 64)
    assert_near(ad.jvp(ad.grad(function), (x,), (np.ones_like(x),))[1], second, 64)


@pytest.mark.parametrize("case", cases_in_floats())
def test_every_row_agrees_with_arbitrary_precision(case: Case) -> None:
    """Values and both modes' derivatives, to the digits of a long double; nothing falls back to float64."""
    operands = [x / 3 * 3 if x.dtype.kind == "f" else x for x in case.operands("longdouble")]
    found = [*parts_of(case.row.apply(*operands, **case.params)), *derivatives_of(case, operands)]
    with mp.workdps(40):
        numbers = [ad.asarray(x, object) if x.dtype.kind == "f" else x for x in operands]
        wanted = [*parts_of(case.row.apply(*numbers, **case.params)), *derivatives_of(case, numbers)]
        for x, y in zip(found, wanted, strict=True):
            if y.dtype == object:
                assert x.dtype == np.longdouble
                error = abs(ad.asarray(x, object) - handle(y))
                assert ad.all(error <= 256 * EPS * max(1, ad.max(abs(handle(y))).item() if y.size else 1))
            else:
                assert x.dtype == y.dtype and np.array_equal(x, y)


def test_conversions_are_exact() -> None:
    info = np.finfo(np.longdouble)
    numbers = [
        np.longdouble(1) / 3,
        -info.max,
        info.tiny,
        info.eps,
        np.longdouble(0),
        np.longdouble("inf"),
        np.longdouble(2) ** -16000,
    ]
    with mp.workdps(60):
        for x in numbers:
            assert longdouble(from_longdouble(x)) == x
        third = ad.tensor(mpf(1) / 3).astype("longdouble")
        assert third.item() == np.longdouble(1) / 3
        assert ad.tensor(mpf(1) / 3, dtype=np.longdouble).item() == np.longdouble(1) / 3
        assert ad.tensor(np.longdouble(1) / 3).astype(object).item() == from_longdouble(np.longdouble(1) / 3)
    assert np.isnan(longdouble(mpf("nan")))


def network(w: Any, x: Any) -> Any:
    hidden = ad.tanh(x @ w)
    return ad.logsumexp(ad.nn.functional.softmax(hidden, axis=1)) + ad.norm(w) * ad.std(hidden) - ad.erf(ad.prod(hidden[0]))


def test_a_network_agrees_with_arbitrary_precision() -> None:
    rng = np.random.default_rng(2)
    w, x = (rng.random(shape).astype(np.longdouble) / 3 for shape in ((3, 2), (2, 3)))
    found = ad.value_and_grad(network)(w, x)
    hessian = ad.hessian(network)(w, x)
    with mp.workdps(40):
        exactly = ad.asarray(w, object), ad.asarray(x, object)
        wanted = ad.value_and_grad(network)(*exactly)
        for y, truth in [*zip(found, wanted, strict=True), (hessian, ad.hessian(network)(*exactly))]:
            assert y.dtype == np.longdouble
            assert ad.max(abs(ad.asarray(y, object) - truth)) <= 64 * EPS * ad.max(abs(truth))


def test_leaves_casts_and_weak_numbers_keep_their_digits() -> None:
    x = ad.tensor([np.longdouble(1) / 3, 2], requires_grad=True)
    y = ad.exp2(x * 1) + 0 * ad.sum(x)
    y.sum().astype("float64").backward()
    assert x.grad is not None and x.grad.dtype == np.longdouble
    ln2 = np.log(np.longdouble(2))
    np.testing.assert_allclose(x.grad.numpy(), ln2 * np.exp2(x.detach().numpy()), rtol=4 * EPS)
    assert (x + 1.5).dtype == (2 * x).dtype == np.longdouble
    mixed = ad.grad(lambda t: ad.sum(ad.exp2(t.astype("longdouble"))))(np.array([0.5, 1.5]))
    assert mixed.dtype == np.float64


def test_a_norm_neither_over_nor_underflows() -> None:
    for scale in (np.longdouble("1e-4500"), np.longdouble("1e4500"), np.longdouble(1)):
        x = np.array([3, 4], np.longdouble) * scale
        np.testing.assert_allclose(ad.norm(x).numpy(), 5 * scale, rtol=4 * EPS)
        np.testing.assert_allclose(ad.grad(ad.norm)(x).numpy(), [np.longdouble(3) / 5, np.longdouble(4) / 5], rtol=4 * EPS)


def test_a_bell_curve_has_the_tail_of_a_long_double() -> None:
    x = np.longdouble(40)
    with mp.workdps(40):
        wanted = longdouble(2 / mp.sqrt(mp.pi) * mp.exp(-1600))
    np.testing.assert_allclose(ad.grad(ad.erf)(x).numpy(), wanted, rtol=8 * EPS)


def test_without_mpmath_nothing_is_silently_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpmath", None)
    arbitrary.context.cache_clear()
    try:
        x = ad.tensor(np.ones(3, np.longdouble))
        assert ad.sum(ad.exp(x) * ad.tanh(x)).dtype == np.longdouble
        with pytest.raises(ImportError, match=r"arrayad\[precision\]"):
            ad.erf(x)
        with pytest.raises(ImportError, match=r"arrayad\[precision\]"):
            ad.tensor(np.array([1, 2], object))
        np.testing.assert_allclose(ad.erf(ad.tensor(0.5)).item(), 0.5204998778130465)
    finally:
        arbitrary.context.cache_clear()


def test_complex_long_doubles_are_as_numpy_computes_them() -> None:
    z = np.array([1 + 2j, 0.5 - 1j], np.clongdouble) / 3
    found = ad.grad(lambda z: ad.sum(abs(ad.exp2(z)) ** 2))(z)
    slope = 2 * np.log(np.longdouble(2)) * np.exp2(2 * z.real)
    assert found.dtype == np.clongdouble
    np.testing.assert_allclose(found.numpy(), slope + 0j, rtol=16 * EPS)
    with pytest.raises(DTypeError, match=r"\[erf\] these dtypes do not fit"):
        ad.erf(z)
