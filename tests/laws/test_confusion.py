"""What could mix derivatives up: captured variables, closures, values that escape, changes in place, modes, leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import AbstractValueError

X = np.array([1.0, 2.0])


def derivative(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: ad.jvp(f, (x,), (1.0,))[1]


TRANSFORMS: dict[str, Callable[[Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "grad": ad.grad,
    "jvp": derivative,
    "vjp": lambda f: lambda x: ad.vjp(f, x)[1](1.0)[0],
    "linearize": lambda f: lambda x: ad.linearize(f, x)[1](1.0),
    "jacfwd": ad.jacfwd,
    "jacrev": ad.jacrev,
    "jet": lambda f: lambda x: ad.jet(f, (x,), ([1.0],))[1][0],
}


@pytest.mark.parametrize("outer", TRANSFORMS)
@pytest.mark.parametrize("inner", TRANSFORMS)
def test_captured_variables_are_constants_of_the_inner_derivative(outer: str, inner: str) -> None:
    """Siskind and Pearlmutter's examples, whose wrong answers are 2, and 4x instead of 2x + …"""
    d, e = TRANSFORMS[outer], TRANSFORMS[inner]
    assert float(d(lambda x: x * e(lambda y: x + y)(1.0))(1.0)) == 1.0
    assert float(d(lambda x: x * e(lambda y: x * y)(2.0))(3.0)) == 6.0
    assert float(d(lambda x: e(lambda y: x * x * y * y)(x))(3.0)) == 54.0  # 2x³, whose derivative is 6x²
    assert float(d(lambda x: e(lambda y: x)(x) + x)(3.0)) == 1.0
    found = d(lambda x: e(lambda y: e(lambda z: x * y * z * z)(y) * x)(x))(2.0)  # x² 2y² → 4 x³
    assert float(found) == 48.0


CLOSING = {
    **TRANSFORMS,
    "vmap": lambda f: lambda x: ad.vmap(f)(X),
    "trace": lambda f: lambda x: ad.trace(f)(x),
    "hessian": ad.hessian,
    "value_and_grad": ad.value_and_grad,
    "cond": lambda f: lambda x: ad.cond(True, f, f, x),
    "cond in a trace": lambda f: ad.grad(lambda x: ad.vmap(lambda y: ad.cond(y > 0, f, f, y))(X)),
}


@pytest.mark.parametrize("name", CLOSING)
def test_functions_that_return_closures_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match=r"^\[\w+\] the (result is|function returned) function.* arrays"):
        CLOSING[name](lambda x: lambda y: x * y)(1.0)
    with pytest.raises(TypeError, match=r"^\[\w+\] the (result|function returned).* function"):
        CLOSING[name](lambda x: {"value": x, "rest": lambda y: x * y})(1.0)


def test_iterators_are_refused_and_iteration_is_followed() -> None:
    with pytest.raises(TypeError, match="the result is generator"):
        ad.grad(lambda x: (y for y in x))(X)

    def total(x: Any) -> Any:
        return sum(y * y for y in x)

    np.testing.assert_array_equal(np.asarray(ad.grad(total)(X)), 2 * X)
    np.testing.assert_array_equal(np.asarray(ad.vmap(ad.grad(total))(np.stack([X, -X]))), np.stack([2 * X, -2 * X]))


# --- values that escape ---------------------------------------------------------------------------------------------


def test_values_that_escape_a_derivative_are_constants() -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * 2.0)
        return ad.sum(x)

    for transform in (lambda: ad.grad(f)(X), lambda: ad.jvp(f, (X,), (X,)), lambda: ad.jet(f, (X,), ([X],))):
        transform()
        escaped = kept.pop()
        np.testing.assert_array_equal(np.asarray(ad.grad(lambda x: ad.sum(x * escaped))(X)), 2 * X)  # noqa: B023
        np.testing.assert_array_equal(np.asarray(ad.jvp(lambda x: x * escaped, (X,), (X,))[1]), 2 * X * X)  # noqa: B023


@pytest.mark.parametrize("tracer", ["vmap", "trace", "linearize of vmap"])
def test_abstract_values_that_escape_are_named(tracer: str) -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * 2.0)
        return x

    runs = {
        "vmap": lambda: ad.vmap(f)(np.ones((3, 2))),
        "trace": lambda: ad.trace(f)(ad.Shaped((2,), "float64")),
        "linearize of vmap": lambda: ad.linearize(ad.vmap(f), np.ones((3, 2))),
    }
    runs[tracer]()
    message = r"^\[multiply\] f64\[2\], known only by shape, was used after its trace had ended"
    with pytest.raises(AbstractValueError, match=message):
        kept[0] * 3.0
    with pytest.raises(AbstractValueError, match=message):
        ad.grad(lambda x: ad.sum(x * kept[0]))(X)
    with pytest.raises(AbstractValueError, match=message):
        ad.vmap(lambda x: kept[0] * x)(X)
    with pytest.raises(AbstractValueError, match=r"^\[numpy\(\)\] the value of f64\[2\] is not known"):
        kept[0].numpy()


# --- the same Tensor, results that are inputs, changes in place -------------------------------------------------------


def test_one_tensor_as_two_arguments() -> None:
    x = ad.tensor(X)
    first, second = ad.grad(lambda a, b: ad.sum(a * b * b), (0, 1))(x, x)
    assert first.numpy().tolist() == [1, 4] and second.numpy().tolist() == [2, 8]
    assert ad.jvp(lambda a, b: a * b * b, (x, x), (x, None))[1].numpy().tolist() == [1, 8]
    assert ad.vmap(lambda a, b: a * b)(x, x).numpy().tolist() == [1, 4]


PASSING: dict[str, Callable[[Any], Any]] = {
    "jvp": lambda x: ad.jvp(lambda a: a, (x,), (x,))[1],
    "value of jvp": lambda x: ad.jvp(lambda a: a, (x,), (x,))[0],
    "vjp": lambda x: ad.vjp(lambda a: a, x)[1](x)[0],
    "vmap": lambda x: ad.vmap(lambda a: a)(x),
    "vmap of what is shared": lambda x: ad.vmap(lambda a, b: b, (0, None), None)(x, x),
    "linearize": lambda x: ad.linearize(lambda a: a, x)[1](x),
    "jet": lambda x: ad.jet(lambda a: a, (x,), ([x],))[1][0],
}


@pytest.mark.parametrize("name", PASSING)
def test_results_that_are_inputs_are_tensors_of_their_own(name: str) -> None:
    x = ad.tensor(X)
    y = PASSING[name](x)
    np.testing.assert_array_equal(np.asarray(y), X)
    y += 1.0
    y[0] = 7.0
    np.testing.assert_array_equal(np.asarray(x), X)


def in_place(x: Any) -> Any:
    """(2 x₁ + 2)² + (x₁ + 1)² = 5 (x₁ + 1)²."""
    x += 1.0
    x[0] = x[1] * 2.0
    return ad.sum(x * x)


def test_changes_in_place_stay_inside() -> None:
    x = ad.tensor(X)
    assert ad.grad(in_place)(x).numpy().tolist() == [0, 30]
    assert ad.jvp(in_place, (x,), (x,))[1].item() == 60
    assert ad.linearize(in_place, x)[1](x).item() == 60
    assert ad.vmap(in_place)(ad.stack([x, 2.0 * x])).numpy().tolist() == [45, 125]
    assert ad.vmap(ad.grad(in_place))(ad.stack([x, x])).numpy().tolist() == [[0, 30], [0, 30]]
    assert ad.hessian(in_place)(x).numpy().tolist() == [[0, 0], [0, 10]]
    assert [t.item() for t in ad.jet(in_place, (x,), ([np.ones(2), np.zeros(2)],))[1]] == [30, 10]
    np.testing.assert_array_equal(np.asarray(x), X)


# --- modes, leaves, constants -----------------------------------------------------------------------------------------


def half_hidden(x: Any) -> Any:
    with ad.no_grad():
        y = x * x
    return ad.sum(x * y)


def constant_half(x: Any) -> Any:
    return ad.sum(x * ad.stop_gradient(x * x))


@pytest.mark.parametrize("f", [half_hidden, constant_half])
def test_what_is_hidden_is_a_constant_in_every_mode(f: Callable[[Any], Any]) -> None:
    """x c with c = x² has the derivative c."""
    x = ad.tensor(X)
    assert ad.grad(f)(x).numpy().tolist() == [1, 4]
    assert ad.vjp(f, x)[1](1.0)[0].numpy().tolist() == [1, 4]
    assert ad.jvp(f, (x,), (x,))[1].item() == 9
    assert ad.linearize(f, x)[1](x).item() == 9
    assert ad.jacfwd(f)(x).numpy().tolist() == [1, 4]
    assert ad.vmap(ad.grad(f))(ad.stack([x, x])).numpy().tolist() == [[1, 4], [1, 4]]
    assert [t.item() for t in ad.jet(f, (x,), ([x, x],))[1]] == [9, 9]
    assert not np.any(ad.hvp(f, x, x).numpy()) and not np.any(ad.hessian(f)(x).numpy())


def test_no_grad_outside_holds_for_results_and_not_for_the_transforms_own_work() -> None:
    leaf = ad.tensor(X, requires_grad=True)

    def f(x: Any) -> Any:
        return ad.sum(x**3 * leaf)

    with ad.no_grad():
        results = [
            ad.grad(f)(X),
            ad.grad(lambda x: ad.sum(ad.grad(f)(x)))(X),
            ad.jvp(f, (X,), (X,))[1],
            ad.jet(f, (X,), ([X],))[1][0],
            ad.hessian(f)(X),
            ad.vmap(ad.grad(f))(np.stack([X, X])),
        ]
    wanted = [3 * X**3, 6 * X * X, np.sum(3 * X**4), np.sum(3 * X**4), np.diag(6 * X * X), np.stack([3 * X**3] * 2)]
    for found, right in zip(results, wanted, strict=True):
        assert found.history is None
        np.testing.assert_allclose(np.asarray(found), right, rtol=1e-15)


LEAFLIKE: dict[str, Callable[[Any], Any]] = {
    "jvp": lambda leaf: ad.jvp(lambda x: x * leaf * leaf, (X,), (X,))[1],
    "grad": lambda leaf: ad.grad(lambda x: ad.sum(x * x * leaf * leaf))(X) / 2.0,
    "vmap": lambda leaf: ad.vmap(lambda x, y: x * y * y)(X, leaf),
    "jacobian": lambda leaf: ad.jacobian(lambda x: x * leaf * leaf)(X) @ X,
    "linearize": lambda leaf: ad.linearize(lambda x: x * leaf * leaf, X)[1](X),
    "jet": lambda leaf: ad.jet(lambda x: x * leaf * leaf, (X,), ([X],))[1][0],
}


@pytest.mark.parametrize("name", LEAFLIKE)
def test_backward_reaches_leaves_that_transforms_captured(name: str) -> None:
    """Each gives x leaf², by which the gradient is 2 x leaf."""
    leaf = ad.tensor([3.0, -1.0], requires_grad=True)
    ad.sum(LEAFLIKE[name](leaf)).backward()
    np.testing.assert_allclose(np.asarray(leaf.grad), 2 * X * [3.0, -1.0], rtol=1e-15)


def by_backward(x: Any) -> Any:
    """Σ 2 leaf x, from a `backward` inside."""
    leaf = ad.tensor(X, requires_grad=True)
    ad.sum(leaf * leaf * x).backward()
    assert leaf.grad is not None
    return ad.sum(leaf.grad * x)


def test_backward_inside_transforms() -> None:
    """Σ 2 leaf x² has the derivative 4 leaf x."""
    assert ad.grad(by_backward)(X).numpy().tolist() == (4 * X * X).tolist()
    assert ad.jvp(by_backward, (X,), (X,))[1].item() == np.sum(4 * X**3)
    assert ad.vmap(by_backward)(np.stack([X, 2 * X])).numpy().tolist() == [2 * np.sum(X**3), 8 * np.sum(X**3)]
    assert [t.item() for t in ad.jet(by_backward, (X,), ([X, 0 * X],))[1]] == [np.sum(4 * X**3)] * 2


# --- dtypes and shapes ------------------------------------------------------------------------------------------------


def test_float32_stays_float32_in_every_transform() -> None:
    x = ad.tensor(X.astype(np.float32))

    def f(y: Any) -> Any:
        return ad.sum(y**3 * 0.5)

    results = [ad.grad(f)(x), *ad.jvp(f, (x,), (x,)), ad.hessian(f)(x), ad.vmap(ad.grad(f))(ad.stack([x, x])), ad.hvp(f, x, x)]
    results += [ad.linearize(f, x)[1](x), *ad.jet(f, (x,), ([x, x],))[1], ad.jacfwd(f)(x), ad.taylor(f, x, 2)]
    assert {y.dtype for y in results} == {np.dtype(np.float32)}


def test_integers_beside_what_is_differentiated() -> None:
    assert ad.grad(lambda x, n: ad.sum(x**n))(X, 3).numpy().tolist() == [3, 12]
    assert ad.jacobian(lambda x, i: x[i])(X, 1).numpy().tolist() == [0, 1]
    assert ad.vmap(lambda x, n: x**n, (0, None))(X, 3).numpy().tolist() == [1, 8]
    assert ad.vmap(ad.grad(lambda x, i: x[i] ** 2), (None, 0))(X, np.array([0, 1])).numpy().tolist() == [[2, 0], [0, 4]]


def test_arrays_without_elements() -> None:
    z = np.zeros((0, 3))

    def f(x: Any) -> Any:
        return ad.sum(x * x)

    shapes = {
        (0, 3): [ad.grad(f)(z), ad.jvp(ad.sin, (z,), (z,))[1], ad.linearize(ad.sin, z)[1](z), ad.jacfwd(f)(z), ad.hvp(f, z, z)],
        (0, 3, 0, 3): [ad.hessian(f)(z), ad.jacobian(ad.sin)(z)],
        (0, 0, 3): [ad.jacrev(lambda x: ad.sum(x * x, axis=1))(z)],
        (2, 0, 3): [ad.vmap(ad.grad(f))(np.zeros((2, 0, 3)))],
    }
    for shape, results in shapes.items():
        assert all(y.shape == shape for y in results)
    assert ad.jet(ad.sin, (z,), ([z, z],))[1][1].shape == (0, 3)
    assert ad.vmap(ad.grad(f))(np.zeros((0, 3))).shape == (0, 3)


def numbers() -> Iterator[float]:
    yield from (1.0, 2.0, 3.0)


def test_a_generator_of_python_feeds_a_loop() -> None:
    assert ad.grad(lambda x: sum(k * x**2 for k in numbers()))(2.0).item() == 24.0
