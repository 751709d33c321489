"""`minimize`: trees, dtypes, arguments, when it stops and what it says, and what it refuses."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import NamedTuple

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import AbstractValueError, DerivativeError, DTypeError, ShapeError
from arrayad.optim import least_squares, minimize, observed_order
from arrayad.optim.minimizers.minimize import SCALAR

METHODS = sorted(SCALAR)


def bowl(x):
    """Convex, least at (1, -2), where it is 3."""
    return ad.sum(np.array([1.0, 10.0]) * (x - np.array([1.0, -2.0])) ** 2) + 0.1 * (x[0] - 1.0) ** 4 + 3.0


def rosenbrock(x):
    return ad.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


# --- what it takes -----------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    slope: float
    offset: float


@dataclasses.dataclass
class Layer:
    weight: np.ndarray
    bias: list


@pytest.mark.parametrize("method", METHODS)
def test_trees_keep_their_structure_shapes_and_dtypes(method):
    x0 = {"line": Line(1.0, np.float32(2.0)), "layer": Layer(np.ones((2, 3), np.float32), [np.zeros(2), None])}

    def f(p):
        layer = p["layer"]
        return (
            (p["line"].slope - 3.0) ** 2
            + (p["line"].offset + 1.0) ** 2
            + ad.sum((layer.weight - np.arange(6, dtype=np.float32).reshape(2, 3)) ** 2)
            + ad.sum((layer.bias[0] - 0.5) ** 2)
        )

    found = minimize(f, x0, method)
    assert found.converged
    x = found.x
    assert type(x["line"]) is Line and type(x["layer"]) is Layer and x["layer"].bias[1] is None
    assert [leaf.dtype for leaf in (*x["line"], x["layer"].weight, x["layer"].bias[0])] == [
        np.float64,
        np.float32,
        np.float32,
        np.float64,
    ]
    np.testing.assert_allclose(float(x["line"].slope), 3.0, atol=5e-3)
    np.testing.assert_allclose(float(x["line"].offset), -1.0, atol=5e-3)
    np.testing.assert_allclose(np.asarray(x["layer"].weight), np.arange(6).reshape(2, 3), atol=5e-3)
    assert type(found.gradient["line"]) is Line and found.gradient["layer"].weight.shape == (2, 3)


@pytest.mark.parametrize("method", METHODS)
def test_float32_reaches_what_float32_can_hold(method):
    def f(x):
        assert x.dtype == np.float32
        return ad.sum((x - np.array([1.0, -2.0], np.float32)) ** 2 * np.array([1.0, 10.0], np.float32)) + np.float32(3.0)

    found = minimize(f, np.zeros(2, np.float32), method, gtol=0.0, max_iterations=200)
    assert found.converged
    np.testing.assert_allclose(np.asarray(found.x), [1.0, -2.0], atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_tolerances_that_cannot_be_met_end_at_rounding_and_count_as_converged(method):
    found = minimize(bowl, np.zeros(2), method, gtol=0.0, max_iterations=500)
    assert found.converged
    assert "cannot be told from rounding" in found.message or "|gradient| is 0.0e+00" in found.message
    np.testing.assert_allclose(np.asarray(found.x), [1.0, -2.0], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_args_are_passed_on_and_not_moved(method):
    data = {"center": np.array([1.0, 2.0]), "count": 3}

    def f(x, data, scale):
        return scale * data["count"] * ad.sum((x - data["center"]) ** 2)

    found = minimize(f, np.zeros(2), method, args=(data, 0.5))
    np.testing.assert_allclose(np.asarray(found.x), [1.0, 2.0], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_compiled_values_and_derivatives_find_the_same(method):
    center = np.array([1.0, -2.0])

    def f(x, center):
        return ad.sum(ad.exp(0.3 * (x - center)) - 0.3 * x)

    eager = minimize(f, np.zeros(2), method, args=(center,), gtol=1e-7)
    compiled = minimize(f, np.zeros(2), method, args=(center,), gtol=1e-7, compile=True)
    assert compiled.converged
    np.testing.assert_allclose(np.asarray(compiled.x), np.asarray(eager.x), atol=1e-6)


def test_x0_is_a_number_a_tensor_or_a_list_and_stays_as_it_is():
    x0 = np.array([5.0, 5.0])
    assert minimize(lambda x: (x - 2.0) ** 2, 7.0).x.shape == ()
    np.testing.assert_allclose(np.asarray(minimize(bowl, ad.tensor(x0)).x), [1.0, -2.0], atol=1e-5)
    a, b = minimize(lambda p: (p[0] - 1.0) ** 2 + p[1] ** 2, [4.0, 4.0]).x
    np.testing.assert_allclose([float(a), float(b)], [1.0, 0.0], atol=1e-5)
    minimize(bowl, x0)
    np.testing.assert_array_equal(x0, 5.0)
    assert x0.flags.writeable


@pytest.mark.parametrize("x0", [np.zeros(0), {}, (), None], ids=repr)
def test_nothing_to_move_is_a_minimum(x0):
    found = minimize(lambda x: ad.tensor(2.0), x0)
    assert found.converged and found.value == 2.0 and found.iterations == 0


def test_the_default_method_goes_by_size_and_bounds():
    def f(x):
        return ad.sum((x - 1.0) ** 2)

    assert minimize(f, np.zeros(3)).method == "bfgs"
    assert minimize(f, np.zeros(1001)).method == "l-bfgs"
    assert minimize(f, np.zeros(3), bounds=(0.0, None)).method == "l-bfgs"


@pytest.mark.parametrize(
    "name, method",
    [("L-BFGS-B", "l-bfgs"), ("BFGS", "bfgs"), ("CG", "cg"), ("Newton-CG", "newton-cg"), ("trust_exact", "trust-region")],
)
def test_names_of_scipy_are_understood(name, method):
    assert minimize(bowl, np.zeros(2), name).method == method


def test_a_leaf_that_requires_grad_may_be_captured():
    w = ad.tensor(3.0, requires_grad=True)
    found = minimize(lambda x: (x - w) ** 2, 0.0)
    np.testing.assert_allclose(float(found.x), 3.0, atol=1e-6)
    assert w.grad is None and not found.x.requires_grad


# --- when it stops ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_values_never_rise_and_the_result_is_the_last_point(method):
    found = minimize(rosenbrock, np.array([-1.2, 1.0]), method, history=True, max_iterations=60)
    history = found.history
    assert all(b <= a for a, b in zip(history.value, history.value[1:], strict=False))
    assert len(history) == found.iterations + 1 == len(history.x) == len(history.step)
    x = np.asarray(found.x)
    assert found.value == history.value[-1] == float(rosenbrock(ad.tensor(x)))
    np.testing.assert_array_equal(np.asarray(found.gradient), np.asarray(ad.grad(rosenbrock)(x)))
    np.testing.assert_array_equal(np.asarray(history.x[-1]), x)
    np.testing.assert_array_equal(np.asarray(history.x[0]), [-1.2, 1.0])
    assert history.gradient_norm[-1] == np.abs(np.asarray(found.gradient)).max()
    assert history.evaluations == sorted(history.evaluations)


def test_evaluations_are_counted_as_they_happen():
    calls = 0

    def f(x):
        nonlocal calls
        calls += 1
        return rosenbrock(x)

    for method in ("bfgs", "l-bfgs", "cg", "gradient-descent"):
        calls = 0
        found = minimize(f, np.array([-1.2, 1.0]), method, max_iterations=50)
        assert found.evaluations.value == calls
        assert found.evaluations.gradient <= calls and found.evaluations.hvp == found.evaluations.hessian == 0
    calls = 0
    found = minimize(f, np.array([-1.2, 1.0]), "newton")
    assert found.evaluations.hessian == found.iterations
    assert calls == found.evaluations.value + found.evaluations.hessian


def test_each_rule_stops_and_says_so():
    x0 = np.array([-1.2, 1.0])
    assert minimize(rosenbrock, x0, gtol=1e9).message.startswith("|gradient| is 2.2e+02, gtol")
    found = minimize(rosenbrock, x0, gtol=0.0, ftol=1e-3)
    assert (
        found.converged
        and "ftol 1.0e-03" in found.message
        and found.history.value[-2] - found.value <= 1e-3 * max(1.0, found.history.value[-2])
    )
    found = minimize(rosenbrock, x0, gtol=0.0, xtol=1e-3)
    assert found.converged and "xtol 1.0e-03" in found.message and found.history.step[-1] <= 1e-3
    found = minimize(rosenbrock, x0, max_iterations=5)
    assert not found.converged and found.iterations == 5 and "max_iterations, 5" in found.message
    found = minimize(rosenbrock, x0, max_evaluations=20)
    assert not found.converged and 20 <= found.evaluations.total <= 30 and "max_evaluations is 20" in found.message
    assert minimize(rosenbrock, x0, max_iterations=0).iterations == 0


def test_a_callback_sees_every_iteration_and_may_stop():
    states = []
    found = minimize(rosenbrock, np.array([-1.2, 1.0]), callback=states.append)
    assert [state.iteration for state in states] == list(range(1, found.iterations + 1))
    assert [state.value for state in states] == found.history.value[1:]
    assert states[-1].gradient_norm == found.history.gradient_norm[-1]
    np.testing.assert_array_equal(np.asarray(states[-1].x), np.asarray(found.x))
    np.testing.assert_array_equal(np.asarray(states[-1].gradient), np.asarray(found.gradient))
    assert "iteration 1: value" in repr(states[0])

    found = minimize(rosenbrock, np.array([-1.2, 1.0]), callback=lambda state: state.value < 1.0)
    assert not found.converged and found.message == "stopped by the callback" and found.value < 1.0
    assert found.history.value[-2] >= 1.0

    def stop(state):
        if state.iteration == 3:
            raise StopIteration

    assert minimize(rosenbrock, np.array([-1.2, 1.0]), callback=stop).iterations == 3


def test_an_error_in_the_callback_comes_out():
    def wrong(state):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        minimize(bowl, np.zeros(2), callback=wrong)


def test_the_bar_shows_value_and_gradient(capsys):
    pytest.importorskip("tqdm")
    minimize(bowl, np.zeros(2), progress=True)
    shown = capsys.readouterr().err
    assert "bfgs" in shown and "value=3" in shown and "gradient=" in shown


def test_without_tqdm_the_bar_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r'\[minimize\] progress=True .*pip install "arrayad\[progress\]"'):
        minimize(bowl, np.zeros(2), progress=True)


@pytest.mark.parametrize("method", METHODS)
def test_a_domain_that_ends_close_to_the_minimum_is_respected(method):
    """The first steps lead to where the logarithm is nan; least at (0.1, 1/3)."""

    def f(x):
        return ad.sum(np.array([10.0, 3.0]) * x - ad.log(x))

    found = minimize(f, np.array([1.0, 50.0]), method)
    assert found.converged
    np.testing.assert_allclose(np.asarray(found.x), [0.1, 1.0 / 3.0], atol=1e-4)


def test_a_function_without_a_lower_bound_is_told_apart():
    found = minimize(lambda x: -ad.sum(x), np.zeros(2))
    assert not found.converged and "without an end" in found.message
    found = minimize(lambda x: ad.where(x[0] < 10.0, -x[0], -math.inf), np.zeros(1))
    assert not found.converged and found.value == -math.inf and "no lower bound" in found.message


def test_a_wrong_gradient_is_suspected():
    @ad.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, ct: (-2.0 * x * ct,))
    found = minimize(lambda x: square(x - 1.0), 3.0)
    assert not found.converged and "its gradient be wrong" in found.message


def test_saddles_are_left_by_curvature():
    """At (0, 1e-3) the gradient leads to the saddle at 0; the minima are at (0, ±1)."""
    for method in ("newton", "newton-cg", "trust-region", "trust-region-cg"):
        found = minimize(lambda x: x[0] ** 2 + 0.25 * x[1] ** 4 - 0.5 * x[1] ** 2, np.array([1.0, 1e-3]), method)
        assert found.converged
        np.testing.assert_allclose(np.abs(np.asarray(found.x)), [0.0, 1.0], atol=1e-4)


def test_the_observed_order_of_sequences():
    assert observed_order([2.0**-k for k in range(20)]) == pytest.approx(1.0)
    assert observed_order([0.9 ** (2**k) for k in range(8)]) == pytest.approx(2.0)
    assert observed_order([0.9 ** (3**k) for k in range(5)]) == pytest.approx(3.0)
    assert observed_order([0.9 ** (2**k) for k in range(8)] + [1e-17, 1e-17, 2e-17]) == pytest.approx(2.0)
    assert math.isnan(observed_order([1.0, 0.5]))
    assert math.isnan(observed_order([]))


def test_a_result_says_what_it_is():
    found = minimize(bowl, np.zeros(2), "newton")
    assert repr(found).startswith("<newton: converged, |gradient| is ")
    assert f"{found.evaluations.hessian} hessian" in repr(found) and "hvp" not in repr(found)


# --- what it refuses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: minimize(bowl, np.zeros(2), "bgfs"), ValueError, "method is 'bgfs'; it must be one of 'bfgs', 'l-bfgs'"),
        (lambda: minimize(bowl, np.zeros(2), "lm"), ValueError, "'lm' is one of optim.least_squares's"),
        (lambda: least_squares(bowl, np.zeros(2), "bfgs"), ValueError, "'bfgs' is one of optim.minimize's"),
        (lambda: minimize(bowl, np.zeros(2), memory=3), TypeError, '"bfgs" has no option memory; it has no options'),
        (lambda: minimize(bowl, np.zeros(2), "l-bfgs", m=3), TypeError, "no option m; its options are memory"),
        (lambda: minimize(bowl, np.zeros(2), "l-bfgs", memory=0), ValueError, "memory is 0; it must be at least 1"),
        (lambda: minimize(bowl, np.zeros(2), "cg", beta="x"), ValueError, "beta is 'x'; it must be one of 'hestenes-stiefel'"),
        (lambda: minimize(bowl, np.zeros(2), "trust-region", radius=0.0), ValueError, "radius is 0.0; it must be positive"),
        (lambda: minimize(bowl, np.zeros(2), gtol=-1.0), ValueError, "gtol is -1.0; it must be at least 0"),
        (lambda: minimize(bowl, np.zeros(2), max_evaluations=0), ValueError, "max_evaluations is 0"),
        (lambda: minimize(bowl, np.zeros(2), args=1.0), TypeError, "args is float; a tuple is needed"),
        (lambda: minimize(lambda x: x, np.zeros(2)), ShapeError, r"f must return a scalar, it returned f64\[2\]; sum it"),
        (lambda: minimize(lambda x: (x[0], x[1]), np.zeros(2)), ShapeError, "it returned a tree"),
        (lambda: minimize(lambda x: x[0] * 1j, np.zeros(2)), DTypeError, r"must return a real number, it returned c128\[\]"),
        (lambda: minimize(bowl, np.array([1, 2])), DTypeError, r"x0 is i64\[2\]; minimisers move float32 and float64: write 3.0"),
        (lambda: minimize(lambda p: p["a"], {"a": 1j}), DTypeError, r"x0\['a'\] is complex 1j.*real and imaginary parts"),
        (lambda: minimize(lambda p: p["a"], {"a": 3}), DTypeError, r"x0\['a'\] is int 3"),
        (lambda: minimize(lambda x: ad.log(x), -1.0), ValueError, "value at x0 is nan; start where f is finite"),
        (lambda: minimize(lambda x: ad.sum(ad.sqrt(x)), np.array([1.0, 0.0])), ValueError, r"derivative by x\[1\] at x0 is inf"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_iteration_is_not_differentiated_silently():
    def solution(a):
        return minimize(lambda x: (x - a) ** 2, 0.0).x

    with pytest.raises(DerivativeError, match=r"the iteration is not; use ad.custom_argmin"):
        ad.grad(solution)(2.0)
    with pytest.raises(DerivativeError, match="custom_argmin"):
        ad.jvp(solution, (2.0,), (1.0,))
    with pytest.raises(AbstractValueError, match="custom_argmin"):
        ad.vmap(solution)(np.array([1.0, 2.0]))
    with pytest.raises(AbstractValueError, match="x0 has no value here"):
        ad.vmap(lambda x0: minimize(lambda x: (x - 1.0) ** 2, x0).x)(np.array([1.0, 2.0]))


def test_the_minimum_is_differentiated_by_custom_argmin():
    def solution(a):
        return ad.custom_argmin(lambda x: ad.exp(x) - a * x, 0.0, lambda f, x0: minimize(f, x0, gtol=1e-12).x)

    np.testing.assert_allclose(float(ad.grad(solution)(2.0)), 0.5, rtol=1e-8)
    np.testing.assert_allclose(np.asarray(ad.vmap(solution)(np.array([1.0, 2.0]))), np.log([1.0, 2.0]), atol=1e-10)
