"""Forward mode: `jvp` and `linearize`, what they refuse, what they hold and what they leave behind."""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import ShapeError
from arrayad.readers.push import Push
from arrayad.tape import Entry


def derivative(f: Callable[..., Any]) -> Callable[..., Any]:
    """d/dx by forward mode."""
    return lambda x: ad.jvp(f, (x,), (1.0,))[1]


CLOSED = {
    "exp": (ad.exp, [lambda x: math.exp(x)] * 5),
    "sin": (ad.sin, [lambda x, n=n: math.sin(x + n * math.pi / 2) for n in range(5)]),
    "power": (lambda x: x**5, [lambda x, n=n: math.perm(5, n) * x ** (5 - n) for n in range(5)]),
    "reciprocal": (lambda x: 1 / x, [lambda x, n=n: (-1) ** n * math.factorial(n) / x ** (n + 1) for n in range(5)]),
}


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_forward_and_reverse_in_every_order_agree_with_closed_forms(name: str, depth: int) -> None:
    f, derivatives = CLOSED[name]
    for transforms in itertools.product((ad.grad, derivative), repeat=depth):
        g: Any = f
        for transform in transforms:
            g = transform(g)
        y = g(0.7)
        assert y.history is None, "the result is still recorded or followed"
        assert float(y) == pytest.approx(derivatives[depth](0.7), rel=1e-12)


def test_perturbations_are_not_confused() -> None:
    assert float(derivative(lambda x: x * derivative(lambda y: x + y)(1.0))(1.0)) == 1.0
    assert float(derivative(lambda x: x * ad.grad(lambda y: x * y)(2.0))(3.0)) == 6.0
    assert float(ad.grad(lambda x: x * derivative(lambda y: x * y)(2.0))(3.0)) == 6.0
    inner: list[Any] = []
    ad.jvp(lambda x: inner.append(x) or x * 2.0, (1.0,), (1.0,))
    assert derivative(lambda y: y * inner[0])(3.0) == 1.0, "a reader that is closed follows no longer"


def test_closures_are_refused() -> None:
    with pytest.raises(TypeError, match=r"\[jvp\] the result is function; a transformed function must return arrays"):
        ad.jvp(lambda x: lambda y: x * y, (1.0,), (1.0,))


def test_trees_zero_tangents_and_aux() -> None:
    f = lambda p, y: ({"out": p["a"] * y, "other": p["b"][0] * 2.0}, {"aux": p["a"]})  # noqa: E731
    primals = ({"a": np.array([1.0, 2.0]), "b": [3.0]}, 4.0)
    out, t, aux = ad.jvp(f, primals, ({"a": np.ones(2), "b": [None]}, None), has_aux=True)
    np.testing.assert_array_equal(out["out"], [4.0, 8.0])
    np.testing.assert_array_equal(t["out"], [4.0, 4.0])
    assert float(t["other"]) == 0.0 and aux["aux"].history is None
    y, linear, aux = ad.linearize(f, *primals, has_aux=True)
    np.testing.assert_array_equal(linear({"a": np.ones(2), "b": [1.0]}, 1.0)["out"], [5.0, 6.0])
    assert float(linear(None, 1.0)["other"]) == 0.0
    np.testing.assert_array_equal(y["out"], [4.0, 8.0])


def test_tangents_take_the_shape_and_dtype_of_their_primals() -> None:
    x = np.ones(3, np.float32)
    y, t = ad.jvp(lambda x: ad.where(x > 0, x, 0.0).astype("float64") * 2.0, (x,), (np.ones(3),))
    assert t.dtype == y.dtype == np.float64
    y, t = ad.jvp(lambda x: x + np.zeros((2, 3), np.float32), (x,), (np.ones(3),))
    assert t.shape == (2, 3) and t.dtype == np.float32


@pytest.mark.parametrize(
    "primals, tangents, error, message",
    [
        ((1,), (1.0,), TypeError, r"\[jvp\] argument x is i64"),
        ((np.ones(2),), (np.ones(3),), ValueError, r"\[jvp\] the tangent of primal \[0\] is f64\[3\], the primal f64\[2\]"),
        ((1.0, 2.0), (1.0,), ValueError, r"\[jvp\] primals and tangents must be trees of one structure"),
        (1.0, (1.0,), TypeError, r"\[jvp\] primals must be a tuple"),
        ((1.0,), (1j,), TypeError, r"which is real"),
    ],
)
def test_bad_primals_and_tangents_are_refused(primals: Any, tangents: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        ad.jvp(lambda *xs: sum(xs), primals, tangents)


def test_linear_functions_are_linear_and_are_differentiated_in_turn() -> None:
    f = lambda x: ad.sin(x) * x  # noqa: E731
    x = np.array([0.5, 1.5])
    y, linear = ad.linearize(f, x)
    np.testing.assert_array_equal(y, np.sin(x) * x)
    for t in (np.array([1.0, 0.0]), np.array([0.3, -2.0])):
        np.testing.assert_allclose(linear(t), (np.cos(x) * x + np.sin(x)) * t, rtol=1e-15)
    np.testing.assert_allclose(ad.vjp(linear, x)[1](np.ones(2))[0], np.cos(x) * x + np.sin(x), rtol=1e-15)
    second = ad.grad(lambda x: ad.linearize(f, x)[1](1.0))(0.5)
    assert float(second) == pytest.approx(2 * math.cos(0.5) - 0.5 * math.sin(0.5), rel=1e-14)


def test_tangents_stream() -> None:
    """Values that the run has dropped are not known to the reader either."""
    most = 0

    def f(x: Any) -> Any:
        nonlocal most
        (reader,) = x.history.readers
        for _ in range(1000):
            x = ad.sin(x) * 1.01
            most = max(most, len(reader.known))
        return x

    ad.jvp(f, (0.5,), (1.0,))
    assert most <= 3


def test_readers_close_also_under_an_exception() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append(x)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ad.jvp(f, (1.0,), (1.0,))
    (reader,) = seen[0].history.readers
    assert isinstance(reader, Push) and not reader.open and not reader.known


@pytest.mark.parametrize("function", [ad.exp, ad.tanh], ids=["exp", "tanh"])
@pytest.mark.parametrize(
    "compose",
    [
        lambda f: ad.grad(derivative(f)),
        lambda f: derivative(ad.grad(f)),
        lambda f: ad.grad(derivative(ad.grad(f))),
        lambda f: derivative(derivative(f)),
        lambda f: lambda x: ad.linearize(ad.grad(f), x)[1](1.0),
    ],
)
def test_nothing_leaks_with_the_cycle_collector_off(compose: Any, function: Any) -> None:
    compose(function)(0.3)  # once, for what is made at first use
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(x, Entry | ad.Tensor | Push) for x in gc.get_objects())
        compose(function)(0.3)
        after = sum(isinstance(x, Entry | ad.Tensor | Push) for x in gc.get_objects())
    finally:
        gc.enable()
    assert after == before


def test_a_stopped_gradient_is_a_constant_in_every_mode() -> None:
    f = lambda x: x * ad.stop_gradient(x)  # noqa: E731
    assert float(ad.grad(f)(3.0)) == float(derivative(f)(3.0)) == 3.0
    assert float(ad.grad(lambda x: x * x.detach())(3.0)) == 3.0
    tape = ad.trace(f)(ad.Shaped((), "float64"))
    assert [entry.primitive.name for entry in tape.entries] == ["stop_gradient", "multiply"]


def test_a_value_that_leaves_forward_mode_warns() -> None:
    with pytest.warns(UserWarning, match=r"float\(\) of a value inside a running transform"):
        ad.jvp(lambda x: x * float(x), (2.0,), (1.0,))


def test_one_tangent_does_not_stand_for_a_whole_tree() -> None:
    tree = {"a": np.ones(2), "b": np.ones(2)}
    with pytest.raises(ShapeError, match="primals and tangents must be trees of one structure"):
        ad.jvp(lambda t: t["a"] * t["b"], (tree,), (np.ones(2),))
    assert np.asarray(ad.jvp(lambda t: t["a"] * t["b"], (tree,), ({"a": np.ones(2), "b": None},))[1]).tolist() == [1.0, 1.0]
