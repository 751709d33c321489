"""Public reductions and scans against NumPy, and their derivatives at the points that no law covers."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import ShapeError

INF, NAN = np.inf, np.nan


def differences(f: Any, x: np.ndarray[Any, Any], h: float = 1e-3) -> np.ndarray[Any, Any]:
    """The derivative of an array-valued function by each element of `x`, by central differences of order 6."""
    columns = []
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        terms = [
            w * (np.asarray(f(x + k * step)) - np.asarray(f(x - k * step))) for k, w in ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
        ]
        columns.append(sum(terms) / h)
    return np.stack(columns, axis=-1).reshape(*np.shape(columns[0]), *x.shape)


def gradient(f: Any, x: Any) -> np.ndarray[Any, Any]:
    return np.asarray(ad.grad(f)(np.asarray(x, dtype=float)))


def hessian(f: Any, x: Any) -> np.ndarray[Any, Any]:
    """Row by row, reverse over reverse."""
    x = np.asarray(x, dtype=float)
    rows = [
        np.asarray(ad.grad(lambda v, i=i: ad.sum(ad.grad(f)(v) * np.eye(x.size)[i].reshape(x.shape)))(x)) for i in range(x.size)
    ]
    return np.stack(rows).reshape(*x.shape, *x.shape)


def assert_derivatives(f: Any, x: np.ndarray[Any, Any]) -> None:
    """First and second derivatives of a scalar function against differences of the one before."""
    np.testing.assert_allclose(gradient(f, x), differences(f, x), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(hessian(f, x), differences(lambda v: ad.grad(f)(v), x), rtol=1e-7, atol=1e-7)


def weighted(f: Any, weights: Any) -> Any:
    """A scalar function that sees every element of an array-valued one."""
    return lambda x: ad.sum(f(x) * weights)


# --- values ---------------------------------------------------------------------------------------------------------

AXES = [None, 0, -1, 1, (0, 2), (2, 0), (-1, -3), (0, 1, 2), ()]
NAMES = ["sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "count_nonzero"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_are_numpys(name: str, axis: Any, keepdims: bool, rng: np.random.Generator) -> None:
    x = rng.integers(-1, 3, (2, 3, 4)).astype(float)
    for dtype in ("float64", "float32", "int64", "int32", "bool", "uint8"):
        if dtype == "bool" and name in ("mean", "var", "std"):
            continue
        value = np.abs(x).astype(dtype)
        wanted = getattr(np, name)(value, axis=axis, keepdims=keepdims)
        found = getattr(ad, name)(value, axis=axis, keepdims=keepdims)
        assert (found.shape, found.dtype) == (np.shape(wanted), np.asarray(wanted).dtype)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6 if dtype == "float32" else 1e-13, atol=1e-7)


@pytest.mark.parametrize(
    "name", ["sum", "prod", "mean", "max", "min", "argmax", "argmin", "cumsum", "cumprod", "logsumexp", "norm"]
)
def test_float32_stays_float32_in_value_and_derivative(name: str, rng: np.random.Generator) -> None:
    x = ad.tensor(rng.standard_normal((2, 3)), dtype="float32", requires_grad=True)
    y = getattr(x, name)(axis=0)
    if not name.startswith("arg"):
        assert y.dtype == np.float32
        y.sum().backward()
        assert x.grad.dtype == np.float32


def test_moments_of_float32_and_their_derivatives_stay_float32(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 5)).astype(np.float32)
    for f in (ad.var, ad.std):
        assert f(x, axis=1).dtype == np.float32
        assert ad.grad(lambda v, f=f: ad.sum(f(v, axis=1)))(x).dtype == np.float32


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_positions_are_numpys(axis: Any, keepdims: bool, rng: np.random.Generator) -> None:
    for x in (rng.integers(0, 3, (3, 4)), rng.standard_normal((3, 4)), np.array([[1.0, NAN, 3.0], [NAN, 5.0, 6.0]])):
        for name in ("argmax", "argmin"):
            wanted = getattr(np, name)(x, axis=axis, keepdims=keepdims)
            found = getattr(ad, name)(x, axis=axis, keepdims=keepdims)
            assert found.dtype == np.int64 and found.history is None
            np.testing.assert_array_equal(found.numpy(), wanted)


def test_correction_and_ddof_are_one_thing(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 5))
    for f, theirs in ((ad.var, np.var), (ad.std, np.std)):
        np.testing.assert_allclose(f(x, 1, correction=1).numpy(), theirs(x, 1, ddof=1), rtol=1e-14)
        np.testing.assert_allclose(f(x, 1, ddof=1.5).numpy(), theirs(x, 1, ddof=1.5), rtol=1e-14)
        with pytest.raises(TypeError, match="two names of one thing"):
            f(x, correction=1, ddof=1)


def test_numpys_functions_and_methods_are_these() -> None:
    x = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
    for name in (
        "sum",
        "prod",
        "mean",
        "var",
        "std",
        "max",
        "min",
        "argmax",
        "argmin",
        "any",
        "all",
        "cumsum",
        "cumprod",
    ):
        found = getattr(np, name)(x, axis=0)
        assert isinstance(found, ad.Tensor)
        np.testing.assert_array_equal(found.numpy(), getattr(x, name)(axis=0).numpy())
    assert isinstance(np.diff(x), ad.Tensor) and isinstance(np.linalg.norm(x), ad.Tensor)


def test_nan_propagates_through_extremes() -> None:
    x = np.array([[1.0, NAN], [2.0, 3.0]])
    np.testing.assert_array_equal(ad.max(x, axis=1).numpy(), [NAN, 3.0])
    np.testing.assert_array_equal(ad.min(x, axis=1).numpy(), [NAN, 2.0])


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_extremes_of_nothing_are_refused(name: str) -> None:
    f = getattr(ad, name)
    with pytest.raises(ShapeError, match=rf"\[{name}\] f64\[0,3\] has no elements along axis"):
        f(np.zeros((0, 3)), axis=0)
    with pytest.raises(ShapeError, match="has no elements"):
        ad.trace(lambda x: f(x, axis=0))(ad.Shaped((0, 3), "float64"))
    assert f(np.zeros((0, 3)), axis=1).shape == (0,)


def test_wrong_axes_are_refused() -> None:
    with pytest.raises(IndexError, match=r"\[prod\] axis 2 is out of bounds"):
        ad.prod(np.ones((2, 3)), axis=2)
    with pytest.raises(ValueError, match="names an axis twice"):
        ad.mean(np.ones((2, 3)), axis=(0, -2))
    with pytest.raises(ValueError, match="one axis is needed"):
        ad.argmax(np.ones((2, 3)), axis=(0, 1))


def test_sums_of_nothing() -> None:
    assert ad.sum(np.zeros(0)).item() == 0 and ad.prod(np.zeros(0)).item() == 1
    assert ad.logsumexp(np.zeros(0)).item() == -INF
    assert ad.any(np.zeros(0)).item() is False and ad.all(np.zeros(0)).item() is True
    assert ad.norm(np.zeros(0)).item() == 0


# --- derivatives ----------------------------------------------------------------------------------------------------

SMOOTH = {
    "prod": lambda x: ad.prod(x, axis=1),
    "prod of all": lambda x: ad.prod(x, keepdims=True),
    "mean": lambda x: ad.mean(x, axis=0) ** 3,
    "var": lambda x: ad.var(x, axis=1, correction=1),
    "std": lambda x: ad.std(x, axis=1, keepdims=True),
    "logsumexp": lambda x: ad.logsumexp(x, axis=1),
    "norm": lambda x: ad.norm(x, axis=0),
    "frobenius": lambda x: ad.norm(x),
    "3-norm": lambda x: ad.norm(x, 3, axis=1),
    "1-norm": lambda x: ad.norm(x**2 + 1, 1),
    "max": lambda x: ad.max(x**2, axis=1),
    "min": lambda x: ad.min(x**3, axis=0),
    "cumulative_sum": lambda x: ad.cumulative_sum(x**2, axis=1, include_initial=True),
    "cumulative_prod": lambda x: ad.cumulative_prod(x, axis=1),
    "diff": lambda x: ad.diff(x**2, axis=0) ** 2,
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_agree_with_differences(name: str, rng: np.random.Generator) -> None:
    f = SMOOTH[name]
    x = rng.uniform(0.5, 2.0, (2, 3)) * rng.choice([-1.0, 1.0], (2, 3))
    assert_derivatives(weighted(f, rng.standard_normal(np.shape(f(x)))), x)


@pytest.mark.parametrize(
    "x",
    [[2.0, 0.0, 3.0, -1.0], [0.0, 2.0, 0.0, 3.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [5.0], [0.0]],
    ids=str,
)
def test_products_with_zeros(x: list[float]) -> None:
    """`prod` and `cumulative_prod` are polynomials: differences of order 6 are exact but for rounding."""
    x = np.array(x)
    assert_derivatives(ad.prod, x)
    assert_derivatives(weighted(ad.cumulative_prod, np.arange(1.0, x.size + 1)), x)
    third = lambda v: ad.sum(ad.grad(lambda u: ad.sum(ad.grad(ad.prod)(u) ** 2))(v))  # noqa: E731
    np.testing.assert_allclose(gradient(third, x), differences(third, x), atol=1e-6)


def test_product_over_several_axes_with_zeros(rng: np.random.Generator) -> None:
    x = rng.integers(-1, 3, (2, 3, 2)).astype(float)
    assert_derivatives(weighted(lambda v: ad.prod(v, axis=(0, 2)), np.array([1.0, -2.0, 0.5])), x)


def test_ties_share_equally() -> None:
    x = [[1.0, 4.0, 4.0], [4.0, 0.0, -1.0]]
    np.testing.assert_allclose(gradient(ad.max, x), [[0, 1 / 3, 1 / 3], [1 / 3, 0, 0]])
    np.testing.assert_allclose(
        gradient(lambda v: ad.sum(ad.min(v, axis=1)), [[1.0, 1.0, 2.0], [0.0, 0.0, 0.0]]),
        [[0.5, 0.5, 0], [1 / 3] * 3],
    )


def test_the_zeros_of_an_extreme_are_structural() -> None:
    f = lambda x: ad.max(ad.sqrt(x))  # noqa: E731
    np.testing.assert_array_equal(gradient(f, [0.0, 4.0]), [0.0, 0.25])
    np.testing.assert_array_equal(hessian(f, [0.0, 4.0]), [[0.0, 0.0], [0.0, -1 / 32]])


# --- norms and deviations at 0 --------------------------------------------------------------------------------------


def test_the_norm_at_zero_has_gradient_zero() -> None:
    for ord in (None, 2, 3, 1, INF, -INF, 2.5):
        np.testing.assert_array_equal(gradient(lambda x, ord=ord: ad.norm(x, ord), np.zeros(3)), np.zeros(3))
    np.testing.assert_array_equal(gradient(ad.norm, np.zeros((2, 2))), np.zeros((2, 2)))
    rows = gradient(lambda x: ad.sum(ad.norm(x, axis=1)), [[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(rows, [[0.0, 0.0], [0.6, 0.8]], rtol=1e-15)


def test_second_derivatives_of_the_norm_at_zero() -> None:
    """The square of a norm is smooth, but only `vecdot` shows that: what hangs on 0 · ∞ is nan, never a silent 0."""
    np.testing.assert_array_equal(hessian(lambda x: ad.vecdot(x, x), np.zeros(2)), 2 * np.eye(2))
    with np.errstate(all="ignore"):
        for power in (1, 2, 4):
            assert np.all(np.isnan(hessian(lambda x, p=power: ad.norm(x) ** p, np.zeros(2))))
    np.testing.assert_allclose(hessian(lambda x: ad.norm(x) ** 2, [1e-3, -2e-5]), 2 * np.eye(2), rtol=1e-12, atol=1e-12)


def test_the_norm_neither_overflows_nor_underflows() -> None:
    for scale in (1e200, 1e-200, 5e-310):
        x = np.array([3.0, 4.0]) * scale
        np.testing.assert_allclose(ad.norm(x).item(), 5 * scale, rtol=1e-13)
        np.testing.assert_allclose(gradient(ad.norm, x), [0.6, 0.8], rtol=1e-13)
    rows = ad.norm(np.array([[3e200, 4e200], [3.0, 4.0], [0.0, 0.0], [INF, 1.0], [NAN, 1.0]]), axis=1)
    np.testing.assert_allclose(rows.numpy(), [5e200, 5.0, 0.0, INF, NAN], rtol=1e-15)


def test_the_deviation_of_equal_elements_has_gradient_zero() -> None:
    np.testing.assert_array_equal(gradient(ad.std, [2.0, 2.0, 2.0]), np.zeros(3))
    np.testing.assert_array_equal(gradient(ad.std, [5.0]), [0.0])
    with np.errstate(all="ignore"):
        assert np.all(np.isnan(hessian(ad.std, [2.0, 2.0])))
    np.testing.assert_allclose(hessian(ad.var, [2.0, 2.0]), [[0.5, -0.5], [-0.5, 0.5]], rtol=1e-15)


# --- logarithms of sums of exponentials -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, value, derivative",
    [
        ([-INF, 0.0], 0.0, [0.0, 1.0]),
        ([-INF, -INF], -INF, [0.0, 0.0]),
        ([INF, 1.0], INF, [1.0, 0.0]),
        ([INF, INF, 0.0], INF, [0.5, 0.5, 0.0]),
        ([INF, -INF], INF, [1.0, 0.0]),
        ([1000.0, 1000.0], 1000.0 + np.log(2), [0.5, 0.5]),
        ([-1000.0, -1000.0], -1000.0 + np.log(2), [0.5, 0.5]),
        ([NAN, 0.0], NAN, [NAN, NAN]),
        ([-INF], -INF, [0.0]),
    ],
    ids=str,
)
def test_logsumexp_at_infinities(x: list[float], value: float, derivative: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, g = ad.value_and_grad(ad.logsumexp)(np.array(x))
    np.testing.assert_allclose(found.item(), value, rtol=1e-15)
    np.testing.assert_allclose(g.numpy(), derivative, rtol=1e-12)


def test_second_derivatives_of_logsumexp() -> None:
    s = np.array([0.0, 0.25, 0.75])
    found = hessian(ad.logsumexp, [-INF, 0.0, np.log(3.0)])
    np.testing.assert_allclose(found, np.diag(s) - np.outer(s, s), atol=1e-15)
    np.testing.assert_array_equal(hessian(ad.logsumexp, [-INF, -INF]), np.zeros((2, 2)))


# --- scans ----------------------------------------------------------------------------------------------------------


def test_scans_are_numpys(rng: np.random.Generator) -> None:
    for dtype in ("float64", "float32", "int32", "bool"):
        x = rng.integers(0, 3, (2, 3)).astype(dtype)
        for axis in (0, 1, -1, None):
            for name in ("cumsum", "cumprod"):
                wanted = getattr(np, name)(x, axis=axis)
                found = getattr(ad, name)(x, axis=axis)
                assert found.dtype == wanted.dtype
                np.testing.assert_array_equal(found.numpy(), wanted)
        for initial in (False, True):
            for name in ("cumulative_sum", "cumulative_prod"):
                wanted = getattr(np, name)(x, axis=1, include_initial=initial)
                found = getattr(ad, name)(x, axis=1, include_initial=initial)
                assert found.dtype == wanted.dtype
                np.testing.assert_array_equal(found.numpy(), wanted)
    with pytest.raises(ValueError, match=r"\[cumulative_sum\] x is f64\[2,3\] and axis None"):
        ad.cumulative_sum(np.ones((2, 3)))


def test_differences_are_numpys(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4))
    for n, axis in itertools.product((0, 1, 2, 5), (0, 1, -1)):
        np.testing.assert_allclose(ad.diff(x, n, axis).numpy(), np.diff(x, n, axis), atol=1e-15)
    more = {"prepend": 0.0, "append": np.ones((3, 2))}
    np.testing.assert_array_equal(ad.diff(x, **more).numpy(), np.diff(x, **more))
    np.testing.assert_array_equal(ad.diff([True, False, False]).numpy(), [True, False])


def test_structural_zeros_pass_through_differences() -> None:
    """A difference of two masks is no mask: where both neighbours were selected the cotangent is not 0."""
    f = lambda x: ad.sum(ad.maximum(ad.diff(x), 0) ** 2)  # noqa: E731
    assert_derivatives(f, np.array([0.5, 2.0, 1.0, 3.0, 7.0]))


def test_traces_by_shapes_alone() -> None:
    def f(x: Any) -> Any:
        return (
            ad.std(x)
            + ad.norm(x, 3, axis=1)[0]
            + ad.sum(ad.prod(x, axis=1))
            + ad.logsumexp(ad.cumulative_prod(x, axis=0))
            + ad.max(x)
        )

    tape = ad.trace(lambda x: ad.grad(f)(x))(ad.Shaped((2, 3), "float32"))
    assert tape.outputs[0].value == ad.Shaped((2, 3), "float32")
