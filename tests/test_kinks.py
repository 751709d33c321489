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
    ("erfinv", ad.erfinv, 1.0, np.inf, None),
    ("abs(x) ** 2", lambda x: ad.abs(x) ** 2, 0.0, 0.0, 0.0),
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


def hessian(f: Callable[[Any], Any], x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The Hessian, a row at a time."""
    return np.stack([np.asarray(ad.grad(lambda x, i=i: ad.grad(f)(x)[i])(x)) for i in range(len(x))])


def test_norms_at_zero() -> None:
    zero = np.zeros(3)
    np.testing.assert_array_equal(ad.grad(lambda x: ad.norm(x))(zero), 0.0)
    np.testing.assert_array_equal(ad.grad(lambda x: ad.std(x))(np.full(3, 2.0)), 0.0)
    assert [g.item() for g in ad.grad(ad.hypot, argnums=(0, 1))(0.0, 0.0)] == [0.0, 0.0]
    assert [g.item() for g in ad.grad(ad.atan2, argnums=(0, 1))(0.0, 0.0)] == [0.0, 0.0]
    for f in (ad.hypot, ad.atan2):
        assert np.isnan(ad.grad(ad.grad(f))(0.0, 0.0).item())
    assert np.all(np.isnan(hessian(lambda x: ad.norm(x), zero)))
    assert np.all(np.isnan(hessian(ad.std, np.full(2, 2.0))))


SQUARED: dict[str, tuple[Callable[[Any], Any], np.ndarray[Any, Any]]] = {
    "norm": (lambda x: ad.norm(x) ** 2, np.zeros(2)),
    "norm of rows": (lambda x: ad.sum(ad.linalg.vector_norm(ad.reshape(x, (2, 1)), axis=1) ** 2), np.zeros(2)),
    "hypot": (lambda x: ad.hypot(x[0], x[1]) ** 2, np.zeros(2)),
    "std": (lambda x: ad.std(x) ** 2, np.full(2, 3.0)),
}


@pytest.mark.parametrize("name", SQUARED)
def test_the_hessian_of_a_squared_norm_at_zero_is_nan_and_no_silent_zero(name: str) -> None:
    f, x = SQUARED[name]
    np.testing.assert_array_equal(ad.grad(f)(x), 0.0)
    found = hessian(f, x)
    assert np.all(np.isnan(np.diag(found)))
    _, along = ad.jvp(lambda x: ad.jvp(f, (x,), (np.ones(2),))[1], (x,), (np.ones(2),))
    assert np.isnan(along.item())


def test_what_to_write_instead_of_a_squared_norm() -> None:
    zero = np.zeros(2)
    np.testing.assert_array_equal(hessian(lambda x: ad.sum(x * x), zero), 2 * np.eye(2))
    np.testing.assert_array_equal(hessian(lambda x: ad.vecdot(x, x), zero), 2 * np.eye(2))
    np.testing.assert_allclose(hessian(ad.var, np.full(2, 3.0)), [[0.5, -0.5], [-0.5, 0.5]], rtol=1e-15)


def test_a_norm_that_was_not_selected_has_derivative_zero_to_every_order() -> None:
    safe = lambda x: ad.where(ad.sum(x * x) > 0, ad.norm(x), 0.0)  # noqa: E731
    rows = lambda x: ad.sum(ad.where(x > 0, ad.linalg.vector_norm(ad.reshape(x, (2, 1)), axis=1), 0.0))  # noqa: E731
    np.testing.assert_array_equal(hessian(safe, np.zeros(2)), 0.0)
    np.testing.assert_array_equal(hessian(rows, np.zeros(2)), 0.0)
    np.testing.assert_array_equal(hessian(rows, np.array([0.0, 2.0])), 0.0)
    np.testing.assert_allclose(hessian(safe, np.array([3.0, 4.0])), np.array([[16, -12], [-12, 9]]) / 125, rtol=1e-14)


def test_the_square_of_a_root_is_nan_at_zero_and_no_silent_zero() -> None:
    assert np.isnan(ad.grad(lambda x: ad.sqrt(x) ** 2)(0.0).item())
    assert ad.grad(lambda x: ad.sqrt(x) ** 2)(4.0).item() == 1.0


def test_branches_not_taken_leave_no_nan() -> None:
    entropy = lambda x: ad.where(x > 0, x * ad.log(x), 0.0)  # noqa: E731
    bounded = lambda x: ad.where(x < 50, ad.exp(x), 1.0)  # noqa: E731
    root = lambda x: ad.where(x > 0, ad.sqrt(x), 0.0)  # noqa: E731
    for f, x, first, second in [
        (entropy, 0.0, 0.0, 0.0),
        (entropy, -1.0, 0.0, 0.0),
        (entropy, 1.0, 1.0, 1.0),
        (bounded, 1000.0, 0.0, 0.0),
        (bounded, 0.0, 1.0, 1.0),
        (root, 0.0, 0.0, 0.0),
        (root, -1.0, 0.0, 0.0),
        (root, 4.0, 0.25, -1 / 32),
    ]:
        assert [ad.grad(f)(x).item(), ad.grad(ad.grad(f))(x).item()] == [first, second]
        assert ad.jvp(f, (x,), (1.0,))[1].item() == first
        assert ad.jvp(ad.grad(f), (x,), (1.0,))[1].item() == second


def test_products_with_logarithms() -> None:
    assert [g.item() for g in ad.grad(ad.xlogy, argnums=(0, 1))(0.0, 0.0)] == [-np.inf, 0.0]
    assert [g.item() for g in ad.grad(ad.xlogy, argnums=(0, 1))(0.0, 2.0)] == [np.log(2.0), 0.0]
    assert ad.xlogy(0.0, 0.0).item() == 0.0 and np.isnan(ad.xlogy(0.0, np.nan).item())
    assert ad.grad(lambda y: ad.grad(ad.xlogy)(0.0, y))(2.0).item() == 0.5
    assert ad.grad(lambda x: ad.grad(lambda y: ad.xlogy(x, y))(2.0))(0.0).item() == 0.5


def test_logsumexp_of_infinities() -> None:
    some, none, plus = np.array([-np.inf, 1.0, 1.0]), np.full(2, -np.inf), np.array([np.inf, np.inf, 0.0])
    np.testing.assert_allclose(ad.grad(ad.logsumexp)(some), [0.0, 0.5, 0.5], rtol=1e-15)
    np.testing.assert_allclose(hessian(ad.logsumexp, some), 0.25 * np.array([[0, 0, 0], [0, 1, -1], [0, -1, 1]]), rtol=1e-15)
    np.testing.assert_array_equal(ad.grad(ad.logsumexp)(none), 0.0)
    np.testing.assert_array_equal(hessian(ad.logsumexp, none), 0.0)
    np.testing.assert_array_equal(ad.grad(ad.logsumexp)(plus), [0.5, 0.5, 0.0])


def test_products_with_zeros() -> None:
    np.testing.assert_array_equal(ad.grad(ad.prod)(np.array([0.0, 2.0, 3.0])), [6.0, 0.0, 0.0])
    np.testing.assert_array_equal(ad.grad(ad.prod)(np.array([2.0, 0.0, 3.0])), [0.0, 6.0, 0.0])
    np.testing.assert_array_equal(ad.grad(ad.prod)(np.array([2.0, 0.0, 0.0])), 0.0)
    mixed = ad.grad(lambda x: ad.grad(ad.prod)(x)[1])(np.array([2.0, 0.0, 0.0]))
    np.testing.assert_array_equal(mixed, [0.0, 0.0, 2.0])


@pytest.mark.parametrize("exponent", [-200, -170, 0, 170, 200])
def test_hypot_neither_overflows_nor_underflows(exponent: int) -> None:
    scale = 10.0**exponent
    a, b, h = 3 * scale, 4 * scale, 5 * scale
    for f, wanted in [
        (ad.hypot, [0.6, 0.8]),
        (lambda a, b: ad.norm(ad.stack([a, b])), [0.6, 0.8]),
        (lambda a, b: ad.atan2(a, b) * h, [0.8, -0.6]),
    ]:
        np.testing.assert_allclose([g.item() for g in ad.grad(f, argnums=(0, 1))(a, b)], wanted, rtol=1e-15)
    assert ad.grad(ad.grad(ad.hypot))(a, b).item() * h == pytest.approx(0.64, rel=1e-14)
    assert ad.grad(ad.hypot)(scale, 0.0).item() == 1.0 and ad.grad(ad.hypot)(0.0, scale).item() == 0.0


def test_powers_at_zero() -> None:
    """x1^x2 by base and exponent where either is 0."""
    by_both = ad.grad(ad.power, argnums=(0, 1))
    for point, wanted in [
        ((0.0, 0.0), [0.0, -np.inf]),
        ((0.0, 2.0), [0.0, 0.0]),
        ((0.0, 1.0), [1.0, 0.0]),
        ((0.0, 0.5), [np.inf, 0.0]),
        ((0.0, 0.3), [np.inf, 0.0]),
        ((1.0, 0.0), [0.0, 0.0]),
    ]:
        assert [g.item() for g in by_both(*point)] == wanted, point
    mixed = ad.grad(lambda p: ad.grad(lambda x: x**p)(3.0))(0.0)  # of p x^(p - 1) by p at p = 0: 1/x
    assert mixed.item() == pytest.approx(1 / 3, rel=1e-15)


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


# --- linear algebra: the rest is in tests/functions/test_decompositions.py and test_linear_systems.py ---------------------


def test_determinants_of_singular_matrices() -> None:
    x = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(ad.grad(ad.linalg.det)(x), [[4, -2], [-2, 1]], rtol=1e-14)
    twice = np.zeros((2, 2, 2, 2))
    twice[0, 0, 1, 1] = twice[1, 1, 0, 0] = 1
    twice[0, 1, 1, 0] = twice[1, 0, 0, 1] = -1
    np.testing.assert_allclose(ad.hessian(ad.linalg.det)(x), twice, atol=1e-14)
    np.testing.assert_array_equal(ad.grad(lambda x: ad.linalg.slogdet(x)[1])(x), [[np.inf, -np.inf], [-np.inf, np.inf]])


def test_repeated_eigenvalues() -> None:
    x = np.eye(2)
    np.testing.assert_allclose(ad.grad(lambda x: ad.sum(ad.linalg.eigvalsh(x) ** 2))(x), 2 * x, atol=1e-15)
    one = np.asarray(ad.grad(lambda x: ad.linalg.eigvalsh(x)[1])(x))
    np.testing.assert_allclose(np.linalg.eigvalsh(one), [0, 1], atol=1e-15)  # a projector, as of either side
    with pytest.raises(ad.errors.DerivativeError, match="are a cluster"):
        ad.grad(lambda x: ad.linalg.eigh(x)[1][0, 1])(x)


def test_ranks_that_are_not_full() -> None:
    x = np.diag([2.0, 0.0])
    np.testing.assert_allclose(ad.grad(lambda x: ad.sum(ad.linalg.pinv(x)))(x), [[-0.25, 0.25], [0.25, 0.0]], rtol=1e-14)
    with pytest.raises(ad.errors.DerivativeError, match="linearly dependent"):
        ad.grad(lambda x: ad.sum(ad.linalg.qr(x)[1]))(x)
