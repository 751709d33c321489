"""`differentiable`: black boxes in every transform, against closed forms, with errors that hold and are told."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special

import arrayad as ad
from arrayad.errors import DTypeError, ShapeError
from arrayad.numerical import DifferenceWarning, differentiable
from arrayad.readers.replay import replay

METHODS = [("central", 2, 1e-9), ("central", 4, 1e-11), ("central", 6, 1e-12), ("forward", 1, 1e-6), ("forward", 2, 1e-9)]
METHODS += [("backward", 1, 1e-6), ("backward", 2, 1e-9), ("complex", None, 1e-15)]


def closed(x: Any) -> Any:
    """A function of a vector that returns two numbers, in NumPy."""
    return np.stack([x[0] * np.exp(x[1]), np.sin(x[0]) * x[2] ** 2])


def jacobian(x: Any) -> Any:
    return np.array([[np.exp(x[1]), x[0] * np.exp(x[1]), 0.0], [np.cos(x[0]) * x[2] ** 2, 0.0, 2 * x[2] * np.sin(x[0])]])


X = np.array([0.7, -0.4, 1.3])


@pytest.mark.parametrize("method, order, tolerance", METHODS)
def test_jacobians_by_every_method_and_mode(method: str, order: Any, tolerance: float) -> None:
    f = differentiable(closed, method=method, order=order)
    for mode in (ad.jacfwd, ad.jacrev):
        np.testing.assert_allclose(np.asarray(mode(f)(X)), jacobian(X), rtol=tolerance, atol=tolerance)
    t, ct = np.array([1.0, 2.0, -3.0]), np.array([0.5, -2.0])
    np.testing.assert_allclose(np.asarray(ad.jvp(f, (X,), (t,))[1]), jacobian(X) @ t, rtol=10 * tolerance)
    np.testing.assert_allclose(np.asarray(ad.vjp(f, X)[1](ct)[0]), ct @ jacobian(X), rtol=10 * tolerance)
    estimate = f.report(X)
    off = np.abs(estimate.value - jacobian(X))
    assert np.all(off <= 10 * estimate.error + 1e-15) and np.all(estimate.error < 100 * tolerance + 1e-15)


@pytest.mark.parametrize("method, order, tolerance", METHODS)
def test_second_derivatives_take_a_step_of_their_own(method: str, order: Any, tolerance: float) -> None:
    f = differentiable(lambda x: x[0] ** 2 * np.exp(x[1]) + np.sin(x[0] * x[1]), method=method, order=order, rtol=1.0)
    x = np.array([0.7, 0.4])
    a, b = x
    s, c, e = math.sin(a * b), math.cos(a * b), math.exp(b)
    expected = [[2 * e - b * b * s, 2 * a * e + c - a * b * s], [2 * a * e + c - a * b * s, a * a * e - a * a * s]]
    allowed = max(tolerance ** (2 / 3), 1e-9) if order != 1 else 1e-3
    hessian = np.asarray(ad.hessian(f)(x))
    np.testing.assert_allclose(hessian, expected, rtol=allowed)
    assert np.array_equal(hessian, hessian.T)
    np.testing.assert_allclose(
        np.asarray(ad.hvp(f, x, np.array([1.0, -2.0]))), np.array(expected) @ [1.0, -2.0], rtol=10 * allowed
    )


def test_third_derivatives_and_taylor_mode() -> None:
    f = differentiable(math.exp, order=6)
    assert float(ad.grad(ad.grad(ad.grad(f)))(0.3)) == pytest.approx(math.exp(0.3), rel=1e-8)
    assert float(ad.jvp(ad.grad(ad.grad(f)), (0.3,), (1.0,))[1]) == pytest.approx(math.exp(0.3), rel=1e-8)
    expected = [math.exp(0.6) * 2**k / math.factorial(k) for k in range(4)]
    np.testing.assert_allclose(np.asarray(ad.taylor(lambda x: f(2.0 * x), 0.3, 3)), expected, rtol=1e-8)


def test_inside_other_operations_and_nested_with_them() -> None:
    f = differentiable(lambda x: np.exp(x), order=6)
    g = lambda x: ad.sum(ad.sin(x) * f(x**2))  # noqa: E731
    h = lambda x: ad.sum(ad.sin(x) * ad.exp(x**2))  # noqa: E731
    x = np.array([0.3, -0.5])
    for transform in (ad.grad, ad.hessian, lambda f: lambda x: ad.jvp(ad.grad(f), (x,), (x,))[1]):
        np.testing.assert_allclose(np.asarray(transform(g)(x)), np.asarray(transform(h)(x)), rtol=1e-8, atol=1e-9)
    y = ad.tensor(x, requires_grad=True)
    g(y).backward()
    np.testing.assert_allclose(np.asarray(y.grad), np.asarray(ad.grad(h)(x)), rtol=1e-10)


@pytest.mark.parametrize("vectorized", [False, True])
def test_batches_are_a_loop_or_one_call(vectorized: bool) -> None:
    calls: list[tuple[int, ...]] = []

    def f(x: Any, scale: Any) -> Any:
        calls.append(np.shape(x))
        return np.sum(np.sin(x), axis=-1) * scale

    g = differentiable(f, vectorized=vectorized, out_shape=ad.Shaped((), "float64"))
    xs = np.linspace(0.1, 1.2, 12).reshape(4, 3)
    np.testing.assert_allclose(np.asarray(ad.vmap(g, in_axes=(0, None))(xs, 2.0)), 2 * np.sin(xs).sum(1), rtol=1e-15)
    assert calls == ([(4, 3)] if vectorized else [(3,)] * 4)
    calls.clear()
    found = ad.vmap(ad.grad(g), in_axes=(0, None))(xs, 2.0)
    np.testing.assert_allclose(np.asarray(found), 2 * np.cos(xs), rtol=1e-9)
    two = np.stack([xs, xs + 1.0])
    np.testing.assert_allclose(
        np.asarray(ad.vmap(ad.vmap(g, in_axes=(0, None)), in_axes=(0, None))(two, 1.0)), np.sin(two).sum(2)
    )
    summed = ad.grad(lambda xs: ad.sum(ad.vmap(g, in_axes=(0, None))(xs, 1.0)))(xs)
    np.testing.assert_allclose(np.asarray(summed), np.cos(xs), rtol=1e-9)
    scales = np.array([1.0, 2.0, 3.0, 4.0])
    both = ad.vmap(ad.grad(g, argnums=1), in_axes=(None, 0))(xs[0], scales)
    np.testing.assert_allclose(np.asarray(both), np.full(4, np.sin(xs[0]).sum()), rtol=1e-9)
    assert ad.vmap(g, in_axes=(0, None))(xs[:0], 2.0).shape == (0,)


def test_a_gradient_costs_four_calls_an_element_and_is_kept_for_other_cotangents() -> None:
    calls: list[int] = []
    f = differentiable(lambda x: calls.append(1) or np.stack([np.sum(np.sin(x)), np.sum(x**2)]))
    x = np.linspace(0.5, 1.0, 10)
    _, pull = ad.vjp(f, x)
    assert len(calls) == 1
    first = pull(np.array([1.0, 0.0]))[0]
    assert len(calls) <= 1 + 4 * 10
    before = len(calls)
    second = pull(np.array([0.0, 1.0]))[0]
    assert len(calls) == before, "the Jacobian was computed again"
    np.testing.assert_allclose(np.asarray(first), np.cos(x), rtol=1e-9)
    np.testing.assert_allclose(np.asarray(second), 2 * x, rtol=1e-9)
    for transform, cost in [
        (lambda: ad.jvp(f, (x,), (x,)), 4),
        (lambda: ad.jacrev(f)(x), 4 * 10),
        (lambda: ad.jacfwd(f)(x), 4 * 10),
    ]:
        calls.clear()
        transform()
        assert len(calls) <= 1 + cost
    calls.clear()
    ad.hessian(lambda x: ad.sum(f(x)))(x)
    assert len(calls) <= 1 + 4 * 10 + 8 * 55


@pytest.mark.parametrize("method, order, cost", [("central", 2, 4), ("central", 4, 6), ("central", 6, 10), ("complex", None, 1)])
def test_what_a_derivative_costs(method: str, order: Any, cost: int) -> None:
    calls: list[int] = []
    f = differentiable(lambda x: calls.append(1) or np.exp(x) * np.sin(x), method=method, order=order)
    ad.grad(f)(0.5)
    assert len(calls) == 1 + cost
    second = ad.grad(ad.grad(f))(0.5)
    assert float(second) == pytest.approx(2 * math.exp(0.5) * math.cos(0.5), rel=1e-8 if order == 2 else 1e-10)


def test_traced_by_shapes_and_in_branches() -> None:
    calls: list[Any] = []

    def f(x: Any) -> Any:
        calls.append(np.array(x))
        return np.log(x)

    g = differentiable(f)
    tape = ad.trace(ad.grad(lambda x: ad.sum(g(x))))(ad.Shaped((3,), "float64"))
    assert len(calls) == 1 and np.array_equal(calls[0], np.ones(3)), "without out_shape, one trial on ones"
    x = np.array([0.5, 2.0, 3.0])
    np.testing.assert_allclose(np.asarray(replay(tape, x)), 1 / x, rtol=1e-9)
    calls.clear()
    said = differentiable(f, out_shape=lambda x: ad.Shaped(x.shape, x.dtype))
    ad.trace(ad.grad(lambda x: ad.sum(said(x))))(ad.Shaped((3,), "float64"))
    assert not calls, "out_shape spares the trial"
    safe = lambda x: ad.cond(x > 0, g, lambda x: x, x)  # noqa: E731
    np.testing.assert_allclose(np.asarray(ad.vmap(ad.grad(safe))(np.array([2.0, -1.0]))), [0.5, 1.0], rtol=1e-9)
    wrong = differentiable(f, out_shape=ad.Shaped((2,), "float64"))
    with pytest.raises(ShapeError, match=r"\[f\] the function returned f64\[3\], and f64\[2\] as out_shape says"):
        wrong(x)


def test_several_arguments_trees_integers_and_others() -> None:
    def f(p: Any, n: int, power: Any, index: Any, name: str = "sin", *, factor: Any = 1.0) -> Any:
        assert isinstance(n, int) and isinstance(name, str) and type(p["a"]) is np.ndarray and index.dtype.kind == "i"
        assert isinstance(p["b"], float), "0-d arrays come as scalars"
        return {"y": getattr(np, name)(p["a"][index]) * n + p["b"] ** power, "rank": 3, "z": (factor * p["b"],)}

    g = differentiable(f, order=4)
    p = {"a": np.array([0.1, 0.2, 0.3]), "b": ad.tensor(2.0)}
    index = np.array([2, 0])
    out = g(p, 2, np.float64(3.0), index, factor=np.float64(2.0))
    np.testing.assert_allclose(np.asarray(out["y"]), 2 * np.sin([0.3, 0.1]) + 8.0)
    assert int(out["rank"]) == 3
    loss = lambda p, power: ad.sum(g(p, 2, power, index, factor=2.0)["y"]) + g(p, 2, power, index, factor=2.0)["z"][0]  # noqa: E731
    dp, dpower = ad.grad(loss, argnums=(0, 1))(p, 3.0)
    np.testing.assert_allclose(np.asarray(dp["a"]), 2 * np.cos([0.1, 0.0, 0.3]) * [1, 0, 1], rtol=1e-10, atol=1e-11)
    assert float(dp["b"]) == pytest.approx(2 * 12 + 2.0, rel=1e-10)
    assert float(dpower) == pytest.approx(2 * 8 * math.log(2), rel=1e-10)
    report = g.report({"a": p["a"], "b": 2.0}, 2, np.float64(3.0), index)
    assert [part.value.shape for part in report["y"]] == [(2, 3), (2,), (2,)]


def test_argnums_say_what_is_constant() -> None:
    calls: list[int] = []
    f = differentiable(lambda x, y: calls.append(1) or np.sum(x * x) * np.sum(y), argnums=1)
    x, y = np.ones(50), np.array([2.0, 3.0])
    dx, dy = ad.grad(f, argnums=(0, 1))(x, y)
    assert not np.any(dx) and np.asarray(dy) == pytest.approx(50.0)
    assert len(calls) <= 1 + 4 * 2
    with pytest.raises(TypeError, match="argnums is 2, but 2 positional arguments came"):
        differentiable(lambda x, y: x, argnums=2)(1.0, 2.0)


def test_the_black_box_cannot_change_its_arguments_or_the_results() -> None:
    kept = np.zeros(3)

    def f(x: Any) -> Any:
        kept[:] = x**2
        x[:] = 0.0
        return kept

    x = np.array([1.0, 2.0, 3.0])
    y, pull = ad.vjp(differentiable(f), x)
    np.testing.assert_allclose(np.asarray(pull(np.ones(3))[0]), 2 * x, rtol=1e-9)
    assert np.array_equal(np.asarray(y), x**2) and np.array_equal(x, [1.0, 2.0, 3.0])


# --- scales, bounds, noise -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [1e-8, 1e-3, 1.0, 1e5, 1e12])
def test_arguments_of_every_scale(x: float) -> None:
    assert float(ad.grad(differentiable(np.log))(x)) == pytest.approx(1 / x, rel=1e-8)
    assert float(ad.grad(differentiable(lambda x: x**3))(x)) == pytest.approx(3 * x * x, rel=1e-8)
    assert float(ad.grad(differentiable(np.sin))(x)) == pytest.approx(math.cos(x), abs=1e-3 if x > 1e6 else 1e-8)


def test_at_zero_and_for_a_mixture_of_scales() -> None:
    assert float(ad.grad(differentiable(np.exp))(0.0)) == pytest.approx(1.0, rel=1e-9)
    assert float(ad.grad(differentiable(np.cos))(0.0)) == pytest.approx(0.0, abs=1e-9)
    x = np.array([1e-6, 1e6])
    found = ad.grad(differentiable(lambda x: np.log(x[0]) * x[1] ** 2, order=4))(x)
    np.testing.assert_allclose(np.asarray(found), [1e12 / 1e-6, 2e6 * math.log(1e-6)], rtol=1e-9)
    hessian = ad.hessian(differentiable(lambda x: np.log(x[0]) * x[1] ** 2, order=6))(x)
    np.testing.assert_allclose(np.asarray(hessian), [[-1e24, 2e12], [2e12, 2 * math.log(1e-6)]], rtol=1e-6)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.5, 1.0 - 1e-9, 1.0])
@pytest.mark.parametrize("method, order", [("central", 2), ("central", 6), ("forward", 1), ("backward", 2), ("complex", None)])
def test_the_function_is_not_called_out_of_bounds(x: float, method: str, order: Any) -> None:
    seen: list[float] = []

    def f(x: Any) -> Any:
        seen.append(float(np.real(x)))
        return np.exp(x) * (1.0 + x)

    g = differentiable(f, method=method, order=order, bounds=(0.0, 1.0), rtol=0.01)
    assert float(ad.grad(g)(x)) == pytest.approx((2 + x) * math.exp(x), rel=1e-6)
    assert float(ad.grad(ad.grad(g))(x)) == pytest.approx((3 + x) * math.exp(x), rel=1e-3)
    assert min(seen) >= 0.0 and max(seen) <= 1.0
    with pytest.raises(ValueError, match=r"\[f\] an argument lies outside of the bounds"):
        ad.grad(g)(1.5)


@pytest.mark.parametrize("method", ["central", "forward", "backward"])
def test_where_the_function_raises_a_shorter_step_is_taken(method: str) -> None:
    f = differentiable(lambda x: math.log(x) + 1 / math.sqrt(x), method=method, order=2)
    for x in (1e-7, 1e-3, 1.0):
        assert float(ad.grad(f)(x)) == pytest.approx(1 / x - 0.5 * x**-1.5, rel=1e-7)
    with pytest.raises(ValueError, match="math domain error"):
        f(-1.0)


def test_python_integers_among_the_results_are_numbers_like_others() -> None:
    f = differentiable(lambda x: max(0, x - 1.0) ** 2)
    assert float(ad.vmap(ad.grad(f))(np.array([0.5, 3.0]))[1]) == pytest.approx(4.0, rel=1e-9)


def test_bounds_of_each_element() -> None:
    f = differentiable(lambda x: np.sum(np.sqrt(x - [0.0, 1.0])), bounds=(np.array([0.0, 1.0]), np.inf))
    np.testing.assert_allclose(np.asarray(ad.grad(f)(np.array([1e-4, 1.0 + 1e-4]))), [50.0, 50.0], rtol=1e-4)


def test_the_noise_of_the_values_widens_the_step() -> None:
    def noisy(x: Any) -> Any:
        return np.exp(x) * (1.0 + 1e-6 * math.sin(1e9 * float(x) + 0.3))

    blind = abs(float(ad.grad(differentiable(noisy, rtol=None))(0.5)) - math.exp(0.5))
    told = differentiable(noisy, noise=1e-6, order=4)
    assert abs(float(ad.grad(told)(0.5)) - math.exp(0.5)) < 1e-3 < blind
    assert told.report(0.5).error > 1e-6


def test_a_step_of_ones_own() -> None:
    at: list[float] = []
    f = differentiable(lambda x: at.append(float(x)) or x**2, step=0.25)
    assert float(ad.grad(f)(1.0)) == 2.0
    assert set(at) == {0.5, 0.75, 1.0, 1.25, 1.5}
    g = differentiable(lambda x: np.sum(x**2), step=np.array([0.25, 0.5]))
    np.testing.assert_allclose(np.asarray(ad.grad(g)(np.array([1.0, 2.0]))), [2.0, 4.0])


def test_single_precision_is_differenced_in_double() -> None:
    f = differentiable(lambda x: np.sin(x).astype(x.dtype))
    x = np.array([0.3, 1.0], "float32")
    g = ad.grad(lambda x: ad.sum(f(x)))(x)
    assert g.dtype == np.float32 and f(x).dtype == np.float32
    np.testing.assert_allclose(np.asarray(g), np.cos(x), rtol=2e-7)
    assert ad.jvp(f, (x,), (x,))[1].dtype == np.float32


def test_complex_results_of_real_arguments() -> None:
    f = differentiable(lambda x: np.exp(1j * x))
    found = ad.jvp(f, (0.5,), (2.0,))[1]
    assert complex(found) == pytest.approx(2j * np.exp(0.5j), rel=1e-9)
    real = ad.grad(lambda x: ad.real(f(x)) * 2.0 + ad.imag(f(x)))(0.5)
    assert float(real) == pytest.approx(-2 * math.sin(0.5) + math.cos(0.5), rel=1e-9)


# --- what is told, what is refused ---------------------------------------------------------------------------------


def test_a_derivative_that_may_be_far_off_warns() -> None:
    with pytest.warns(
        DifferenceWarning, match=r"\[<lambda>\] a derivative of order 1 by differences may be off by .*\(rtol\)"
    ) as found:
        ad.grad(differentiable(lambda x: np.abs(x) ** 0.5))(0.0)
    assert found[0].filename == __file__
    ad.grad(differentiable(lambda x: np.abs(x) ** 0.5, rtol=None))(0.0)
    with pytest.warns(DifferenceWarning, match="may be off by inf"):
        ad.grad(differentiable(lambda x: x**1.5, order=6))(0.0)


def test_functions_that_the_complex_step_cannot_see_are_refused() -> None:
    f = differentiable(lambda x: np.abs(x) ** 2, method="complex")
    with pytest.raises(TypeError, match="the complex step sees nothing"):
        ad.grad(f)(1.0)


def test_wrong_options_and_arguments_are_refused() -> None:
    for options, message in [
        ({"method": "central", "order": 3}, "no central difference of order 3"),
        ({"method": "best"}, "no best difference"),
        ({"method": "complex", "order": 2}, "the complex step has no order"),
        ({"noise": 0.0}, "noise is 0.0"),
        ({"bounds": (1.0, 0.0)}, "low must be less than high"),
    ]:
        with pytest.raises(ValueError, match=message):
            differentiable(np.sin, **options)
    with pytest.raises(DTypeError, match=r"\[sin\] c128\[\] came; write f as a function of real and imaginary parts"):
        differentiable(np.sin)(ad.tensor(1j))
    with pytest.raises(TypeError, match="the function returned str; an array, or a tree of them, was needed"):
        differentiable(lambda x: "a")(1.0)
    with pytest.raises(ShapeError, match="a vectorized function was given 1 points along axis 0, and returned f64"):
        differentiable(np.sum, vectorized=True)(np.ones(3))
    with pytest.raises(ShapeError, match=r"returned f64\[2\], and f64\[1\] elsewhere; shapes must not vary"):
        ad.jacrev(differentiable(lambda x: np.ones(1 if x == 0.5 else 2)))(0.5)
    with pytest.raises(ZeroDivisionError):
        differentiable(lambda x: 1 // 0)(1.0)


def test_nothing_leaks_and_nothing_stays_recorded() -> None:
    f = differentiable(closed)
    gc.collect()
    gc.disable()
    try:
        for transform in (ad.jacrev, ad.jacfwd, lambda f: ad.hessian(lambda x: ad.sum(f(x))), ad.vmap):
            value = np.ones((3, 3) if transform is ad.vmap else 3)
            value.flags.writeable = False
            alive = weakref.ref(value)
            y = transform(f)(ad.tensor(value))
            del value
            assert y.history is None
            assert alive() is None
    finally:
        gc.enable()


# --- SciPy ---------------------------------------------------------------------------------------------------------


def test_special_functions_of_scipy() -> None:
    jv = differentiable(scipy.special.jv, order=6)
    x = np.linspace(0.5, 5.0, 7)
    found = ad.grad(lambda x: ad.sum(jv(1.5, x)))(x)
    np.testing.assert_allclose(np.asarray(found), scipy.special.jvp(1.5, x), rtol=1e-10)
    # d J_v(x) / dv at v = 1/2: a closed form with sine and cosine integrals (DLMF 10.15.6)
    si, ci = scipy.special.sici(2 * 2.0)
    exact = math.sqrt(2 / (math.pi * 2.0)) * (ci * math.sin(2.0) - si * math.cos(2.0))
    assert float(ad.grad(jv)(0.5, 2.0)) == pytest.approx(exact, rel=1e-10)


def test_an_integral_by_quadrature() -> None:
    f = differentiable(lambda a: scipy.integrate.quad(lambda s: math.exp(-a * s * s), 0, math.inf)[0], order=4, noise=1e-12)
    for k, g in enumerate([f, ad.grad(f), ad.grad(ad.grad(f))]):
        exact = math.sqrt(math.pi) / 2 * [1.0, -0.5 * 1.7**-1, 0.75 * 1.7**-2][k] * 1.7**-0.5
        assert float(g(1.7)) == pytest.approx(exact, rel=1e-6)


def test_a_root_by_brentq() -> None:
    f = differentiable(lambda a: scipy.optimize.brentq(lambda y: y + y**3 - a, -10, 10, xtol=1e-15, rtol=1e-15), noise=1e-14)
    assert float(f(10.0)) == pytest.approx(2.0, rel=1e-14)
    assert float(ad.grad(f)(10.0)) == pytest.approx(1 / 13, rel=1e-8)
