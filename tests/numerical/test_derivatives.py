"""Derivatives of any function by differences: against closed forms and AD, with errors that hold, in all schemes and shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad import numerical
from arrayad.errors import DTypeError, ShapeError

SCHEMES: dict[str, dict[str, Any]] = {
    "forward": {"scheme": "forward"},
    "backward": {"scheme": "backward"},
    "forward 3": {"scheme": "forward", "order": 3},
    "central": {},
    "central 4": {"order": 4},
    "central 6": {"order": 6},
    "central 8": {"order": 8},
    "richardson": {"scheme": "richardson"},
    "ridders": {"scheme": "ridders"},
    "complex": {"scheme": "complex"},
    "stencil": {"scheme": (-1, 0, 2)},
}
ACCURATE = {
    "forward": 1e-7,
    "backward": 1e-7,
    "forward 3": 1e-10,
    "central": 1e-9,
    "central 4": 1e-11,
    "central 6": 1e-12,
    "central 8": 1e-12,
    "richardson": 1e-12,
    "ridders": 1e-12,
    "complex": 1e-14,
    "stencil": 1e-9,
}


def off(found: Any, exact: Any) -> float:
    return float(np.max(np.abs(np.asarray(found) - np.asarray(exact)), initial=0.0))


# --- schemes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(
    "f, derivative, x",
    [(np.sin, np.cos, 1.0), (np.exp, np.exp, 0.0), (np.exp, np.exp, -3.0), (lambda x: x**3, lambda x: 3 * x**2, 2.0)],
    ids=["sin", "exp(0)", "exp(-3)", "cube"],
)
def test_each_scheme_is_as_accurate_as_its_order_and_says_so(name: str, f: Any, derivative: Any, x: float) -> None:
    found = numerical.derivative(f, x, **SCHEMES[name])
    exact = derivative(x)
    assert abs(found.value - exact) <= ACCURATE[name] * abs(exact)
    assert abs(found.value - exact) <= found.error <= 300 * ACCURATE[name] * abs(exact)
    assert found.error == found.truncation + found.roundoff


@pytest.mark.parametrize("derivatives", [2, 3, 4])
@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "stencil"])
def test_derivatives_of_higher_order(name: str, derivatives: int) -> None:
    found = numerical.derivative(lambda x: np.exp(2 * x), 0.5, derivatives=derivatives, **SCHEMES[name])
    exact = 2**derivatives * math.e
    assert abs(found.value - exact) <= found.error < 0.2 * exact
    if name == "ridders":
        assert found.error < 10.0 ** (-13 + 2 * derivatives) * exact


def test_a_stencil_of_one_s_own_for_a_second_derivative() -> None:
    found = numerical.derivative(np.sin, 1.0, derivatives=2, scheme=(-2, -1, 0, 1))
    assert abs(found.value + math.sin(1.0)) <= found.error < 1e-6
    as_array = numerical.derivative(np.sin, 1.0, derivatives=2, scheme=np.array([-2.0, -1.0, 0.0, 1.0]))
    assert as_array.value == found.value


def test_the_step_is_what_the_estimate_says_and_can_be_given() -> None:
    h = 1e-3
    found = numerical.derivative(np.sin, 1.0, step=h)
    assert found.value == (np.sin(1 + h) - np.sin(1 - h)) / (2 * h) and found.step == h
    assert found.truncation == pytest.approx(h * h / 6 * math.cos(1.0), rel=1e-3)
    assert found.evaluations == 5
    assert numerical.derivative(np.sin, np.array([1.0, 2.0]), step=np.array([1e-3, 1e-4])).step.tolist() == [1e-3, 1e-4]


@pytest.mark.parametrize("length", [1e-8, 1e-4, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("name", ["central", "central 4", "richardson", "ridders"])
def test_the_step_follows_the_length_over_which_the_function_changes(name: str, length: float) -> None:
    x = 0.7 * length
    found = numerical.derivative(lambda x: np.sin(x / length), x, **SCHEMES[name])
    assert abs(found.value * length - math.cos(0.7)) < 3e-9


def test_the_curvature_decides_where_the_argument_misleads() -> None:
    found = numerical.derivative(lambda x: np.sin(30 * (x - 100.0)), 100.01, scheme="central")
    tight = 4 * np.sin(np.finfo(float).eps * 100.01 * 30) / found.step
    assert abs(found.value - 30 * math.cos(0.3)) <= max(found.error, tight)
    assert 1e-8 < found.step < 3e-5


def test_the_complex_step_needs_no_small_differences() -> None:
    found = numerical.derivative(lambda x: np.exp(x) / np.sqrt(np.sin(x) ** 3 + np.cos(x) ** 3), 1.5, scheme="complex")
    assert found.value == pytest.approx(4.053427893898621, rel=1e-15)
    assert found.evaluations == 2
    with pytest.raises(TypeError, match="returned real numbers at complex ones"):
        numerical.derivative(np.abs, 1.5, scheme="complex")


@pytest.mark.parametrize("name", ["central", "central 4", "central 8", "forward", "backward", "richardson", "ridders"])
@pytest.mark.parametrize("x", [1.0, 1.0 + 1e-9, 1.5, 2.0])
def test_bounds_are_kept_and_cost_no_order(name: str, x: float) -> None:
    seen: list[float] = []

    def f(x: Any) -> Any:
        seen.append(float(x))
        return np.exp(x)

    found = numerical.derivative(f, x, bounds=(1.0, 2.0), **SCHEMES[name])
    assert 1.0 <= min(seen) and max(seen) <= 2.0
    assert abs(found.value - math.exp(x)) <= found.error
    assert abs(found.value - math.exp(x)) <= 30 * ACCURATE[name] * math.exp(x)


@pytest.mark.parametrize("name", ["central", "central 4", "ridders"])
def test_at_the_edge_of_a_domain_the_other_side_is_taken(name: str) -> None:
    def f(x: float) -> float:
        return math.exp(x) + math.sqrt(x) ** 4  # raises below 0

    found = numerical.derivative(f, 0.0, **SCHEMES[name])
    assert abs(found.value - 1.0) <= found.error < 1e-7


@pytest.mark.parametrize("name", ["central", "ridders"])
def test_where_there_is_no_derivative_the_estimate_says_so(name: str) -> None:
    found = numerical.derivative(np.sqrt, 0.0, **SCHEMES[name])
    assert not found.error < 0.01 * abs(found.value)


def test_a_root_is_differentiated_close_to_its_edge() -> None:
    for name in ("central", "central 6", "richardson", "ridders"):
        found = numerical.derivative(np.log, 1e-9, **SCHEMES[name])
        assert abs(found.value - 1e9) <= found.error < 1e9 * 1e-5


# --- shapes and trees ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
def test_a_jacobian_is_that_of_ad(name: str) -> None:
    def f(x: Any) -> Any:
        return {"a": ad.sin(x["p"]) * x["q"], "b": (ad.sum(x["p"] ** 2), x["q"] ** 2)}

    x = {"p": np.array([[0.5, -1.0], [2.0, 0.3]]), "q": np.array(1.5)}
    found = numerical.jacobian(f, x, **SCHEMES[name])
    exact = ad.jacobian(f)(x)
    for a, b, error in zip(*(leaves_of(t) for t in (found.value, exact, found.error)), strict=True):
        assert a.shape == b.shape == error.shape
        assert off(a, b) <= max(1e-15, 3 * float(np.max(error)))
        assert off(a, b) < 30 * ACCURATE[name]


def leaves_of(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [leaf for key in sorted(node) for leaf in leaves_of(node[key])]
    if isinstance(node, tuple | list):
        return [leaf for part in node for leaf in leaves_of(part)]
    return [np.asarray(node)]


@pytest.mark.parametrize("name", SCHEMES)
def test_a_gradient_is_that_of_ad(name: str) -> None:
    def f(x: Any) -> Any:
        return ad.sum(ad.exp(-x[0]) * x[1]) + x[1] ** 2

    x = (np.array([0.1, 0.2, 0.3]), 2.0)
    found = numerical.grad(f, x, **SCHEMES[name])
    exact = ad.grad(f)(x)
    assert isinstance(found.value, tuple) and found.value[0].shape == (3,) and np.shape(found.value[1]) == ()
    assert off(found.value[0], exact[0]) < 30 * ACCURATE[name] and off(found.value[1], exact[1]) < 30 * ACCURATE[name]


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "stencil"])
def test_a_hessian_is_that_of_ad(name: str) -> None:
    def f(x: Any) -> Any:
        return ad.sum(ad.sin(x["a"]) * x["b"] ** 2) + ad.prod(x["a"])

    x = {"a": np.array([0.5, 1.5]), "b": np.array(2.0)}
    found = numerical.hessian(f, x, **SCHEMES[name])
    exact = ad.hessian(f)(x)
    for left in x:
        for right in x:
            value, error = np.asarray(found.value[left][right]), np.asarray(found.error[left][right])
            assert value.shape == exact[left][right].shape
            assert np.all(np.abs(value - np.asarray(exact[left][right])) <= 2 * error + 1e-13)
            assert off(value, exact[left][right]) < 0.01
    if name == "ridders":
        assert off(found.value["a"]["a"], exact["a"]["a"]) < 1e-10


def test_a_hessian_of_several_results() -> None:
    found = numerical.hessian(lambda x: np.array([x[0] ** 2 * x[1], np.sin(x[1])]), np.array([1.0, 3.0]), scheme="ridders")
    np.testing.assert_allclose(found.value, [[[6, 2], [2, 0]], [[0, 0], [0, -math.sin(3)]]], atol=1e-10)


def test_a_derivative_at_many_places_is_that_at_each() -> None:
    x = np.linspace(-1.0, 1.0, 6).reshape(2, 3)

    def curve(t: Any) -> Any:
        return np.array([np.cos(t), np.sin(t)])

    found = numerical.derivative(curve, x, scheme="ridders")
    assert found.value.shape == (2, 3, 2)
    np.testing.assert_allclose(found.value, np.stack([-np.sin(x), np.cos(x)], axis=-1), atol=1e-13)
    each = [numerical.derivative(curve, float(t), scheme="ridders") for t in x.ravel()]
    assert np.array_equal(found.value.reshape(6, 2), [one.value for one in each])
    assert found.evaluations == sum(one.evaluations for one in each)


def test_a_directional_derivative_is_a_jvp() -> None:
    def f(x: Any) -> Any:
        return ad.sin(x["a"]) * x["b"]

    x = {"a": np.array([0.5, 1.0]), "b": 2.0}
    d = {"a": np.array([1.0, -2.0]), "b": 0.25}
    found = numerical.directional(f, x, d, order=6)
    exact = ad.jvp(f, (x,), (d,))[1]
    assert off(found.value, exact) < 1e-12 and found.evaluations == 11
    second = numerical.directional(
        lambda x: np.sum(x**4), np.array([1.0, 2.0]), np.array([1.0, 0.5]), derivatives=2, scheme="ridders"
    )
    assert second.value == pytest.approx(12 + 12 * 4 * 0.25, rel=1e-10)
    with pytest.raises(ShapeError, match=r"\[directional\] the direction is"):
        numerical.directional(f, x, {"a": np.ones(3), "b": 0.25})
    still = numerical.directional(f, x, {"a": np.zeros(2), "b": 0.0})
    assert still.value.tolist() == [0.0, 0.0]


def test_empty_arguments_and_results() -> None:
    assert numerical.jacobian(lambda x: x**2, np.zeros(0)).value.shape == (0, 0)
    assert numerical.jacobian(lambda x: np.zeros((2, 0)), np.ones(3)).value.shape == (2, 0, 3)
    assert numerical.derivative(np.sin, np.zeros((0, 2))).value.shape == (0, 2)
    assert numerical.grad(lambda x: np.sum(x), np.zeros(0)).value.shape == (0,)
    assert numerical.hessian(lambda x: np.sum(x), np.zeros(0)).value.shape == (0, 0)


# --- dtypes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["central", "richardson", "ridders", "complex"])
def test_single_precision_has_its_own_steps_and_errors(name: str) -> None:
    found = numerical.derivative(np.sin, np.float32(1.0), **SCHEMES[name])
    assert found.value.dtype == np.float32 and found.noise == np.finfo(np.float32).eps
    assert abs(float(found.value) - math.cos(1.0)) <= found.error < 1e-3


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="long doubles are doubles here")
def test_long_doubles_keep_their_digits() -> None:
    found = numerical.derivative(np.sin, np.longdouble(1.0), scheme="ridders")
    assert found.value.dtype == np.longdouble
    assert abs(found.value - np.cos(np.longdouble(1.0))) < 3e-17
    ten = numerical.derivative(np.exp, np.longdouble(0.0), order=8)
    assert abs(ten.value - 1) < 1e-16


def test_complex_arguments() -> None:
    z = np.array([1.0 + 2.0j, -0.5j])
    for name in ("central", "ridders"):
        real = numerical.grad(lambda z: np.sum(np.abs(z) ** 2), z, **SCHEMES[name])
        np.testing.assert_allclose(real.value, 2 * z, atol=1e-9)
        assert off(real.value, ad.grad(lambda z: ad.sum(ad.abs(z) ** 2))(z)) < 1e-9
        holomorphic = numerical.jacobian(lambda z: z**3, z, holomorphic=True, **SCHEMES[name])
        np.testing.assert_allclose(holomorphic.value, np.diag(3 * z**2), atol=1e-8)
        assert abs(numerical.derivative(np.exp, 1.0 + 1.0j, **SCHEMES[name]).value - np.exp(1 + 1j)) < 1e-9
    parts = numerical.jacobian(lambda z: np.array([z.real.sum(), z.imag.sum()]), z)
    np.testing.assert_allclose(
        parts.value, np.asarray(ad.jacobian(lambda z: ad.stack([ad.real(z).sum(), ad.imag(z).sum()]))(z)), atol=1e-9
    )
    with pytest.raises(DTypeError, match="say holomorphic=True"):
        numerical.jacobian(lambda z: z**3, z)
    with pytest.raises(DTypeError, match="the complex step is for real arguments"):
        numerical.derivative(np.exp, 1.0j, scheme="complex")
    with pytest.raises(DTypeError, match=r"\[hessian\] the argument is complex"):
        numerical.hessian(np.sum, z)


def test_results_may_be_complex() -> None:
    found = numerical.derivative(lambda t: np.exp(1j * t), 0.5, scheme="ridders")
    assert abs(found.value - 1j * np.exp(0.5j)) < 1e-13


# --- batches ------------------------------------------------------------------------------------------------------------


def test_a_function_of_arrayad_s_is_evaluated_in_batches() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(type(x))
        return ad.sin(x) * ad.sum(x)

    x = np.linspace(0.1, 1.0, 20)
    found = numerical.jacobian(f, x)
    assert found.evaluations == 81 and len(calls) < 10
    assert off(found.value, ad.jacobian(f)(x)) < 1e-9 * np.max(np.abs(found.value))
    calls.clear()
    loop = numerical.jacobian(f, x, vectorized=False)
    assert len(calls) == 81 and off(loop.value, found.value) < 1e-9 * np.max(np.abs(found.value))


def test_what_cannot_be_traced_is_evaluated_in_a_loop() -> None:
    def f(x: Any) -> Any:
        return ad.sin(x) * float(np.asarray(x)[0])

    x = np.linspace(0.5, 1.5, 5)
    found = numerical.jacobian(f, x)
    assert off(found.value, np.diag(np.cos(x)) * x[0] + np.outer(np.sin(x), [1, 0, 0, 0, 0])) < 1e-9


def test_a_vectorized_function_is_called_with_many_places() -> None:
    shapes = []

    def f(x: Any) -> Any:
        shapes.append(x.shape)
        return np.sum(np.sin(x), axis=-1)

    found = numerical.grad(f, np.array([0.0, 1.0, 2.0]), vectorized=True, scheme="ridders")
    np.testing.assert_allclose(found.value, np.cos([0.0, 1.0, 2.0]), atol=1e-13)
    assert sum(shape[0] for shape in shapes) == found.evaluations and len(shapes) < 12
    with pytest.raises(ShapeError, match=r"\[grad\] a vectorized function was given 1 places along axis 0"):
        numerical.grad(lambda x: np.sum(x), np.ones(3), vectorized=True)


def test_tensors_in_are_tensors_for_the_function() -> None:
    found = numerical.grad(lambda x: x.sin().sum(), ad.tensor([0.0, 1.0]), scheme="ridders")
    np.testing.assert_allclose(found.value, [1.0, math.cos(1.0)], atol=1e-13)
    assert isinstance(found.value, np.ndarray)


def test_further_arguments_stay() -> None:
    found = numerical.grad(
        lambda x, a, b: np.sum(a * x**2) + b["c"], np.array([1.0, 2.0]), args=(3.0, {"c": 1.0}), scheme="ridders"
    )
    np.testing.assert_allclose(found.value, [6.0, 12.0], atol=1e-11)


def test_components_of_different_scales_get_steps_of_their_own() -> None:
    def f(x: Any) -> Any:
        return np.array([np.sin(1e4 * x[0]), x[0] ** 2, np.cos(1e-3 * x[1])])

    exact = [[1e4 * math.cos(3e3), 0.0], [0.6, 0.0], [0.0, -1e-3 * math.sin(2e-3)]]
    for name in ("central", "ridders"):
        found = numerical.jacobian(f, np.array([0.3, 2.0]), **SCHEMES[name])
        assert np.all(np.abs(found.value - exact) <= 3 * found.error)
        np.testing.assert_allclose(found.value, exact, rtol=1e-5)
        assert found.step[0, 0] < found.step[1, 0]


# --- what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: numerical.derivative(np.sin, 1), DTypeError, r"\[derivative\] x is i64\[\]; .*write 3.0"),
        (lambda: numerical.grad(np.sum, np.arange(3)), DTypeError, r"\[grad\] .* derivatives are of floating-point"),
        (lambda: numerical.grad(np.sin, np.ones(2)), ShapeError, r"\[grad\] the function returned \(f64\[2\]\).*take jacobian"),
        (lambda: numerical.grad(lambda x: 1j * x, 1.0), DTypeError, "returned a complex number"),
        (lambda: numerical.derivative(np.sin, 1.0, scheme="sideways"), ValueError, "there is no sideways difference"),
        (lambda: numerical.derivative(np.sin, 1.0, order=3), ValueError, "there is no central difference of order 3"),
        (lambda: numerical.derivative(np.sin, 1.0, scheme="ridders", order=4), ValueError, "the scheme ridders has no order"),
        (lambda: numerical.derivative(np.sin, 1.0, derivatives=0), ValueError, "derivatives is 0; a positive int"),
        (lambda: numerical.derivative(np.sin, 1.0, scheme=(0, 1), derivatives=2), ValueError, "2 offsets came"),
        (lambda: numerical.derivative(np.sin, 1.0, step=-1.0), ValueError, "step is -1.0; it must be positive"),
        (lambda: numerical.derivative(np.sin, 1.0, bounds=(2.0, 3.0)), ValueError, "lies outside of the bounds"),
        (lambda: numerical.derivative(np.sin, 1.0, bounds=(3.0, 2.0)), ValueError, "low must be less than high"),
        (lambda: numerical.grad(np.sum, np.ones(2), bounds=(np.zeros(3), 2.0)), ValueError, "bounds must be a number, or fit"),
        (lambda: numerical.derivative(np.sin, 1.0, noise=2.0), ValueError, "between 0 and 1"),
        (lambda: numerical.derivative(np.sin, 1.0, noise="loud"), ValueError, "noise is 'loud'"),
        (lambda: numerical.jacobian(lambda x: "no", np.ones(2)), TypeError, r"the result is str; a function that returns arrays"),
        (lambda: numerical.derivative(np.sin, [1.0, 2.0]), TypeError, "x is a tree; an array of places is needed"),
        (lambda: numerical.grad(np.sum, "abc"), TypeError, "pass an array of numbers"),
        (lambda: numerical.jacobian(lambda x: x[x > 1.0 - 1e-9], np.array([1.0])), ShapeError, "shapes must not vary"),
    ],
)
def test_what_is_refused_says_why(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_abstract_values_are_refused() -> None:
    with pytest.raises(TypeError, match="differences are taken at values"):
        ad.vmap(lambda x: ad.tensor(numerical.derivative(np.sin, x).value))(np.ones(3))


def test_an_estimate_prints_what_is_known() -> None:
    text = str(numerical.derivative(np.sin, 1.0))
    first, second, third = text.splitlines()
    assert first == "0.54030230587 ± 3e-11"
    assert second.startswith("truncation ") and "round-off" in second
    assert third == "central of order 2, step 7.6e-06, 5 evaluations, noise 2.2e-16"
    assert "(the largest)" in str(numerical.grad(np.sum, np.ones(2)))


@pytest.mark.parametrize("x", [np.nan, np.inf])
def test_the_derivative_where_there_is_no_number_is_nan(x: float) -> None:
    with np.errstate(all="ignore"):
        assert np.isnan(ad.numerical.derivative(np.sin, x).value)


def test_a_function_that_returns_nothing_is_refused() -> None:
    with pytest.raises(TypeError, match=r"\[derivative\] the function returned nothing"):
        ad.numerical.derivative(lambda x: None, 1.0)
