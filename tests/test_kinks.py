"""docs/kinks.md, line by line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arrayad as ad

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

RELUS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: ad.nn.functional.relu(x),
    "maximum(x, 0)": lambda x: ad.maximum(x, 0),
    "maximum(0, x)": lambda x: ad.maximum(0.0, x),
    "clip": lambda x: ad.clip(x, 0, 10),
    "where": lambda x: ad.where(x > 0, x, 0.0),
}


@pytest.mark.parametrize("name", RELUS)
def test_all_relus_agree(name: str) -> None:
    f = RELUS[name]
    assert [ad.grad(f)(x).item() for x in (-1.0, 0.0, 1.0)] == [0.0, 0.0, 1.0]
    assert [ad.grad(ad.grad(lambda x: f(x) * x))(x).item() for x in (-1.0, 0.0, 1.0)] == [0.0, 0.0, 2.0]


SCALAR: list[tuple[str, Callable[[Any], Any], float, float, float | None]] = [
    ("abs", ad.abs, 0.0, 0.0, 0.0),
    ("clip above", lambda x: ad.clip(x, 0, 1), 1.0, 0.0, 0.0),
    ("minimum above", lambda x: ad.minimum(x, 1), 1.0, 0.0, 0.0),
    ("sqrt", ad.sqrt, 0.0, np.inf, -np.inf),
    ("log", ad.log, 0.0, np.inf, -np.inf),
    ("log2", ad.log2, 0.0, np.inf, None),
    ("log10", ad.log10, 0.0, np.inf, None),
    ("x ** 0", lambda x: x**0.0, 0.0, 0.0, 0.0),
    ("x ** 1", lambda x: x**1.0, 0.0, 1.0, 0.0),
    ("x ** 2", lambda x: x**2, 0.0, 0.0, 2.0),
    ("x ** 3", lambda x: x**3, 0.0, 0.0, 0.0),
    ("0 ** p", lambda p: 0.0**p, 2.0, 0.0, 0.0),
    ("asin", ad.asin, 1.0, np.inf, None),
    ("acos", ad.acos, 1.0, -np.inf, None),
    ("acosh", ad.acosh, 1.0, np.inf, None),
    ("atanh", ad.atanh, 1.0, np.inf, None),
]


@pytest.mark.parametrize(("name", "f", "x", "first", "second"), SCALAR, ids=[row[0] for row in SCALAR])
def test_kinks_of_one_number(name: str, f: Any, x: float, first: float, second: float | None) -> None:
    assert ad.grad(f)(x).item() == first
    if second is not None:
        assert ad.grad(ad.grad(f))(x).item() == second


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "round", "trunc"])
def test_piecewise_constant_functions_have_derivative_zero(name: str) -> None:
    f = getattr(ad, name)
    assert [ad.grad(lambda x: f(x) * 1.0)(x).item() for x in (-0.5, 0.0, 2.5)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("f", [ad.maximum, ad.minimum])
def test_arrays_that_tie_share(f: Any) -> None:
    a, b = ad.grad(lambda a, b: ad.sum(f(a, b)), argnums=(0, 1))(np.array([1.0, 1.0]), np.array([1.0, 2.0]))
    assert a[0].item() == b[0].item() == 0.5 and a[1].item() + b[1].item() == 1.0
    assert ad.grad(lambda x: f(x, x * 1.0))(3.0).item() == 1.0
    for reduce in (ad.max, ad.min):
        g = ad.grad(lambda x, reduce=reduce: reduce(x))(np.array([2.0, 2.0, 2.0]))
        np.testing.assert_allclose(g, 1 / 3, rtol=1e-15)


def test_norms_at_zero() -> None:
    zero = np.zeros(3)
    np.testing.assert_array_equal(ad.grad(lambda x: ad.norm(x))(zero), 0.0)
    np.testing.assert_array_equal(ad.grad(lambda x: ad.std(x))(np.full(3, 2.0)), 0.0)
    assert [g.item() for g in ad.grad(ad.hypot, argnums=(0, 1))(0.0, 0.0)] == [0.0, 0.0]
    assert [g.item() for g in ad.grad(ad.atan2, argnums=(0, 1))(0.0, 0.0)] == [0.0, 0.0]


def test_products_with_zeros() -> None:
    np.testing.assert_array_equal(ad.grad(ad.prod)(np.array([2.0, 0.0, 3.0])), [0.0, 6.0, 0.0])
    np.testing.assert_array_equal(ad.grad(ad.prod)(np.array([2.0, 0.0, 0.0])), 0.0)
    mixed = ad.grad(lambda x: ad.grad(ad.prod)(x)[1])(np.array([2.0, 0.0, 0.0]))
    np.testing.assert_array_equal(mixed, [0.0, 0.0, 2.0])


def test_hypot_does_not_overflow() -> None:
    g = ad.grad(ad.hypot, argnums=(0, 1))(1e200, 1e200)
    np.testing.assert_allclose([x.item() for x in g], np.sqrt(0.5), rtol=1e-15)


def test_derivatives_keep_their_digits_in_the_tails() -> None:
    from mpmath import mp

    with mp.workdps(40):
        for x in (-30.0, 5.0, 20.0, 40.0):
            for name, exact in [
                ("tanh", lambda x: 1 / mp.cosh(x) ** 2),
                ("sigmoid", lambda x: 1 / (2 + mp.exp(x) + mp.exp(-x))),
                ("softplus", lambda x: 1 / (1 + mp.exp(-x))),
            ]:
                wanted = float(exact(mp.mpf(x)))
                assert abs(ad.grad(getattr(ad, name))(x).item() - wanted) <= 8 * np.spacing(wanted)


def test_a_condition_that_broadcasts_masks_the_whole_cotangent() -> None:
    def f(x: Any) -> Any:
        columns = ad.reshape(ad.sqrt(x), (1, 3))
        return ad.sum(ad.where(np.array([[True], [False]]), columns[:, 2:], 0.0)) + ad.sum(ad.where(False, columns, 1.0))

    np.testing.assert_array_equal(ad.grad(f)(np.array([0.0, 0.0, 4.0])), [0.0, 0.0, 0.25])


@pytest.mark.slow  # a hundred thousand operations
def test_a_long_chain_of_selections_is_masked_without_recursion() -> None:
    x = ad.tensor([0.0, 4.0], requires_grad=True)
    y = ad.sqrt(x)[1:]
    for _ in range(100_000):
        y = y[:1]
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [0.0, 0.25])


STRUCTURAL: dict[str, Callable[[Any], Any]] = {
    "where": lambda x: ad.where(x > 0, ad.sqrt(x), 0.0),
    "set_at": lambda x: ad.sqrt(x).at[np.array([0, 1])].set(0.0),
    "indexing": lambda x: ad.sqrt(x)[np.array([2, 2])],
    "slice": lambda x: ad.sqrt(x)[2:],
    "index then where": lambda x: ad.where(x[::-1] > 0, ad.sqrt(x)[::-1], 0.0),
    "sum": lambda x: ad.sum(ad.sqrt(x)[2:]),
    "sum of a selection": lambda x: ad.sum(ad.where(ad.reshape(x, (3, 1)) > 0, ad.reshape(ad.sqrt(x), (3, 1)), 0.0), axis=1),
    "reshape": lambda x: ad.reshape(ad.sqrt(x), (3, 1))[2],
    "clip": lambda x: ad.clip(ad.sqrt(x), 0.5, 3.0),
    "relu": lambda x: ad.nn.functional.relu(ad.sqrt(x) - 0.1),
    "max": lambda x: ad.max(ad.sqrt(x)),
    "sort": lambda x: ad.sort(ad.sqrt(x))[-1:],
}


@pytest.mark.parametrize("name", STRUCTURAL)
def test_no_nan_from_what_was_not_selected(name: str) -> None:
    def f(x: Any) -> Any:
        return ad.sum(STRUCTURAL[name](x))

    x = np.array([0.0, 0.0, 4.0])
    first = np.asarray(ad.grad(f)(x))
    second = np.asarray(ad.grad(lambda x: ad.sum(ad.grad(f)(x)))(x))
    assert np.all(first[:2] == 0.0) and first[2] > 0 and np.all(second[:2] == 0.0) and second[2] < 0
