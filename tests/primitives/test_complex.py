"""Complex numbers: the convention of the gradient, what is holomorphic, casts, and zero."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DTypeError

Z = np.array([0.3 - 0.7j, -1.2 + 0.4j, 0.8 + 1.1j])
W = np.array([1.0 + 2.0j, -0.5 - 0.3j, 0.2 + 0.9j])


def partials(f: Callable[[Any], Any], z: Any, h: float = 1e-3) -> np.ndarray[Any, Any]:
    """∂f/∂Re z + i ∂f/∂Im z of a real function, by central differences of order 6."""

    def slope(direction: Any) -> float:
        stencil = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
        return sum(w * (float(f(z + k * h * direction)) - float(f(z - k * h * direction))) for k, w in stencil.items()) / h

    units = np.eye(z.size).reshape(z.size, *z.shape)
    return np.array([slope(e) + 1j * slope(1j * e) for e in units]).reshape(z.shape)


def test_the_gradient_of_a_squared_length_is_twice_the_number() -> None:
    g = ad.grad(lambda z: abs(z) ** 2)(1 + 2j)
    assert g.dtype == np.complex128 and g.item() == pytest.approx(2 + 4j, abs=1e-15)


REAL_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "length": lambda z: ad.norm(z),
    "lengths": lambda z: ad.sum(ad.abs(z)),
    "length of a part": lambda z: ad.norm(ad.concat([z[:1] * 0.0, z[1:]])),
    "real part of a product": lambda z: ad.real(ad.sum(W * ad.sin(z) * ad.conj(z))),
    "imaginary part": lambda z: ad.sum(ad.imag(ad.exp(z) / (2.0 + z * z))),
    "angles": lambda z: ad.sum(ad.angle(z) * np.arange(3)),
    "directions": lambda z: ad.sum(ad.real(ad.sign(z) * W)),
    "inner product": lambda z: ad.real(ad.vecdot(z, W * z)),
    "variance": lambda z: ad.var(z) + ad.std(z),
    "matrix": lambda z: ad.sum(ad.abs(np.outer(W, np.conj(W)) @ z) ** 2),
    "selection": lambda z: ad.sum(ad.real(ad.where(ad.real(z) > 0, z * z, ad.exp(z)))),
    "power": lambda z: ad.real(ad.sum(z**3 + 2.0**z + z**0.5 + (1.0 + ad.abs(z)) ** z)),
    "mixed with reals": lambda z: ad.real(ad.prod(np.array([1.0, 2.0, 3.0]) * z)),
    "assignment": lambda z: assigned(z),
}


def assigned(z: Any) -> Any:
    y = z * 1.0
    y[1] = ad.tanh(z[0])
    y += 1j * z
    return ad.sum(ad.real(y * ad.conj(y)))


@pytest.mark.parametrize("name", REAL_FUNCTIONS)
def test_gradients_of_real_functions_agree_with_differences(name: str) -> None:
    f = REAL_FUNCTIONS[name]
    found = np.asarray(ad.grad(f)(Z))
    np.testing.assert_allclose(found, partials(f, Z), rtol=1e-9, atol=1e-9)
    direction = np.conj(W)
    # a directional derivative is Re Σ conj(gradient) direction
    pushed = float(ad.jvp(f, (Z,), (direction,))[1])
    np.testing.assert_allclose(pushed, np.sum(np.real(np.conj(found) * direction)), rtol=1e-12)
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(np.asarray(ad.jacobian(f, mode=mode)(Z)), found, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", REAL_FUNCTIONS)
def test_taylor_mode_agrees_with_nested_derivatives(name: str) -> None:
    f = REAL_FUNCTIONS[name]

    def velocity(t: Any) -> Any:
        return ad.jvp(lambda s: f(Z + s * W), (t,), (1.0,))[1]

    _, (first, second) = ad.jet(f, (Z,), ([W, np.zeros(3)],))
    np.testing.assert_allclose(float(first), float(velocity(0.0)), rtol=1e-11)
    np.testing.assert_allclose(float(second), float(ad.jvp(velocity, (0.0,), (1.0,))[1]), rtol=1e-11)
    np.testing.assert_allclose(np.asarray(ad.hvp(f, Z, W)), partials_along(f), rtol=1e-7, atol=1e-8)


def partials_along(f: Callable[[Any], Any]) -> np.ndarray[Any, Any]:
    """The derivative of the gradient along W, by differences of it."""
    stencil, h = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}, 1e-3
    gradient = ad.grad(f)
    return sum(w * (np.asarray(gradient(Z + k * h * W)) - np.asarray(gradient(Z - k * h * W))) for k, w in stencil.items()) / h


def test_real_arguments_have_real_gradients_through_complex_values() -> None:
    """Rotation: |Σ x e^(ikt)|²."""
    x = np.array([1.0, -2.0, 0.5])
    turn = np.exp(1j * np.arange(3))
    g = ad.grad(lambda x: ad.abs(ad.sum(x * turn)) ** 2)(x)
    assert g.dtype == np.float64
    np.testing.assert_allclose(np.asarray(g), 2 * np.real(np.conj(turn) * np.sum(x * turn)), rtol=1e-14)
    assert ad.grad(lambda x: ad.real(ad.exp(1j * x)))(np.float32(0.5)).dtype == np.float32


def test_a_step_against_the_gradient_descends() -> None:
    z, target = ad.tensor(Z), W
    loss = lambda z: ad.sum(ad.abs(z * z - target) ** 2)  # noqa: E731
    values = []
    for _ in range(200):
        value, g = ad.value_and_grad(loss)(z)
        values.append(float(value))
        z = z - 0.02 * g
    assert all(after <= before for before, after in itertools.pairwise(values)) and values[-1] < 1e-6 * values[0]


def test_backward_and_vjp_follow_the_convention() -> None:
    leaf = ad.tensor(1 + 2j, requires_grad=True)
    (abs(leaf) ** 2).backward()
    assert leaf.grad is not None and leaf.grad.item() == pytest.approx(2 + 4j)
    # Of a holomorphic f the cotangent c becomes conj(f'(z)) c: <c, f' t> = <conj(f') c, t> in the inner product Re conj(a) b.
    _, pull = ad.vjp(lambda z: z * z, 1 + 2j)
    assert pull(1 + 1j)[0].item() == pytest.approx(np.conj(2 * (1 + 2j)) * (1 + 1j))


# --- holomorphic functions ------------------------------------------------------------------------------------------

HOLOMORPHIC = {
    "sin": (ad.sin, np.cos, lambda z: -np.sin(z)),
    "tanh": (ad.tanh, lambda z: 1 / np.cosh(z) ** 2, lambda z: -2 * np.tanh(z) / np.cosh(z) ** 2),
    "asinh": (ad.asinh, lambda z: 1 / np.sqrt(1 + z * z), lambda z: -z * (1 + z * z) ** -1.5),
    "log": (ad.log, lambda z: 1 / z, lambda z: -1 / z**2),
    "cube": (lambda z: z**3, lambda z: 3 * z * z, lambda z: 6 * z),
}


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_complex_derivatives_of_holomorphic_functions(name: str) -> None:
    f, first, second = HOLOMORPHIC[name]
    z = 0.4 + 0.3j
    assert ad.grad(f, holomorphic=True)(z).item() == pytest.approx(first(z), rel=1e-14)
    value, g = ad.value_and_grad(f, holomorphic=True)(z)
    assert value.item() == pytest.approx(np.asarray(f(z)).item()) and g.item() == pytest.approx(first(z), rel=1e-14)
    assert ad.grad(ad.grad(f, holomorphic=True), holomorphic=True)(z).item() == pytest.approx(second(z), rel=1e-13)
    assert ad.hessian(f, holomorphic=True)(z).item() == pytest.approx(second(z), rel=1e-13)
    for jacobian in (ad.jacfwd, ad.jacrev, ad.jacobian):
        assert jacobian(f, holomorphic=True)(z).item() == pytest.approx(first(z), rel=1e-14)
    np.testing.assert_allclose(np.asarray(ad.elementwise_grad(f, holomorphic=True)(Z)), first(Z), rtol=1e-13)
    np.testing.assert_allclose(np.asarray(ad.vmap(ad.grad(f, holomorphic=True))(Z)), first(Z), rtol=1e-13)
    _, terms = ad.jet(f, (z,), ([1.0 + 0j, 0j],))
    assert [t.item() for t in terms] == pytest.approx([first(z), second(z)], rel=1e-13)


def test_jacobians_of_holomorphic_maps_agree() -> None:
    a = np.outer(W, Z) + np.eye(3)

    def f(z: Any) -> Any:
        return ad.tanh(a @ z) * z[0]

    wanted = np.diag(1 / np.cosh(a @ Z) ** 2) @ a * Z[0]
    wanted[:, 0] += np.tanh(a @ Z)
    for jacobian in (ad.jacfwd, ad.jacrev):
        np.testing.assert_allclose(np.asarray(jacobian(f, holomorphic=True)(Z)), wanted, rtol=1e-12)


def test_what_is_not_said_to_be_holomorphic_is_refused() -> None:
    with pytest.raises(DTypeError, match=r"^\[grad\] .* returned c128\[\]; take abs, real or imag, or say holomorphic=True"):
        ad.grad(lambda z: z * z)(1 + 2j)
    with pytest.raises(DTypeError, match=r"^\[grad\] holomorphic=True is for .* from \(f64\[\]\) to f64\[\]"):
        ad.grad(ad.sin, holomorphic=True)(1.0)
    with pytest.raises(DTypeError, match=r"^\[grad\] holomorphic=True is for .* from \(c128\[\]\) to f64\[\]"):
        ad.grad(ad.abs, holomorphic=True)(1j)
    with pytest.raises(DTypeError, match=r"^\[jacobian\] inputs and outputs are complex; say holomorphic=True"):
        ad.jacobian(lambda z: z * z)(1 + 2j)


# --- 0, casts, orders -----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of the second derivatives
def test_at_zero() -> None:
    """|z| has the derivative 0 there, as a norm has, and no second derivative."""
    assert ad.grad(ad.abs)(0j).item() == 0
    assert ad.jvp(ad.abs, (0j,), (1 + 1j,))[1].item() == 0
    assert ad.grad(ad.norm)(np.zeros(2, complex)).numpy().tolist() == [0, 0]
    assert np.isnan(ad.hvp(ad.abs, 0j, 1 + 0j).item())
    assert ad.sign(ad.tensor(0j)).item() == 0
    assert ad.grad(lambda z: ad.norm(z))(np.array([0j, 3 + 4j])).numpy() == pytest.approx(np.array([0, 0.6 + 0.8j]))
    # smooth in its first element, since the second is not 0: ∂²/∂x² is 1/|z|
    assert ad.hvp(ad.norm, np.array([0j, 3 + 4j]), np.array([1 + 0j, 0])).numpy() == pytest.approx(np.array([0.2, 0]))


def test_a_cast_to_real_is_refused_and_one_to_complex_is_followed() -> None:
    z = ad.tensor(Z)
    for dtype in ("float64", "float32", "int64"):
        with pytest.raises(
            DTypeError, match=r"^\[astype\] c128\[3\] .* would discard the imaginary parts; take real, imag or abs"
        ):
            z.astype(dtype)
    with pytest.raises(DTypeError, match="discard the imaginary parts"):
        ad.trace(lambda z: z.astype("float64"))(ad.Shaped((3,), "complex128"))
    assert z.astype("bool").numpy().all() and z.astype("complex64").dtype == np.complex64
    with pytest.raises(TypeError):
        float(z[0])
    x = ad.zeros(3)
    with pytest.raises(DTypeError, match="use astype"):
        x[0] = 1j
    g = ad.grad(lambda x: ad.sum(ad.imag(1j * ad.astype(x, "complex128") ** 2)))(np.arange(3.0))
    assert g.dtype == np.float64 and g.numpy().tolist() == [0.0, 2.0, 4.0]


def test_values_agree_with_numpy() -> None:
    z = ad.tensor(Z)
    for name in ("vecdot", "vdot"):
        if hasattr(np, name) and hasattr(ad, name):
            np.testing.assert_allclose(np.asarray(getattr(ad, name)(z, W)), getattr(np, name)(Z, W), rtol=1e-15)
    np.testing.assert_allclose(float(ad.var(z)), np.var(Z), rtol=1e-15)
    np.testing.assert_allclose(float(ad.std(z)), np.std(Z), rtol=1e-15)
    np.testing.assert_allclose(float(ad.norm(z)), np.linalg.norm(Z), rtol=1e-15)
    np.testing.assert_allclose(np.asarray(ad.sign(z)), Z / np.abs(Z), rtol=1e-15)
    np.testing.assert_allclose(
        np.asarray(ad.power(np.array([-2.0, 3.0]), ad.tensor(Z[:2]))), np.power([-2.0, 3.0], Z[:2]), rtol=1e-14
    )
    big = np.array([3e200 + 4e200j, 0])
    assert float(ad.norm(big)) == pytest.approx(5e200) and float(ad.abs(big)[0]) == pytest.approx(5e200)


@pytest.mark.parametrize("function", [ad.maximum, ad.minimum, ad.atan2, ad.hypot, ad.logaddexp])
def test_functions_of_two_reals_refuse_complex_numbers(function: Any) -> None:
    with pytest.raises(DTypeError, match=rf"^\[{function.__name__}\] .* x1 is c128\[3\], x2 is f64\[3\]; take abs, real or imag"):
        function(ad.tensor(Z), ad.ones(3))


@pytest.mark.parametrize(
    "function", [ad.max, ad.argmax, ad.relu if hasattr(ad, "relu") else ad.min, ad.floor, ad.erf, ad.nn.functional.softmax]
)
def test_functions_of_reals_refuse_complex_numbers(function: Any) -> None:
    with pytest.raises(DTypeError, match=r"take abs, real or imag"):
        function(ad.tensor(Z))


def test_large_arrays_are_refused_as_small_ones_are() -> None:
    """They take another path, on which the result's memory comes first."""
    z = ad.tensor(np.ones(300_000, complex))
    for function in (lambda z: ad.maximum(z, z), lambda z: ad.maximum(z, 0), lambda z: ad.max(z), ad.nn.functional.relu):
        with pytest.raises(DTypeError, match="take abs, real or imag"):
            function(z)
    x = np.linspace(-1.0, 1.0, 300_000)
    for dtype in ("float64", "float32", "float16", "int64"):
        y = (x * 3).astype(dtype)
        np.testing.assert_array_equal(np.asarray(ad.maximum(ad.tensor(y), ad.tensor(-y))), np.abs(y))
        np.testing.assert_array_equal(np.asarray(ad.abs(ad.tensor(y))), np.abs(y))
        np.testing.assert_array_equal(np.asarray(ad.sign(ad.tensor(y))), np.sign(y))


def test_powers_of_negative_numbers_by_complex_exponents() -> None:
    """ln x is complex there."""
    f = lambda w: ad.real(ad.sum(np.array([-2.0, 3.0]) ** w))  # noqa: E731
    np.testing.assert_allclose(np.asarray(ad.grad(f)(Z[:2])), partials(f, Z[:2]), rtol=1e-9)
    g = ad.grad(lambda x: ad.real(ad.sum(x ** ad.tensor(Z[:2]))))(np.array([-2.0, 3.0]))
    powers = np.power(np.array([-2.0 + 0j, 3.0]), Z[:2] - 1)
    assert g.dtype == np.float64
    np.testing.assert_allclose(np.asarray(g), np.real(Z[:2] * powers), rtol=1e-13)
