"""`manual`: a whole program with the derivative that its user worked out."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DerivativeError, ShapeError
from arrayad.testing import check_grads


def cube() -> Any:
    """x³ by a function that arrayad would differentiate to 0, and a derivative that is right."""
    return ad.manual(lambda x: ad.stop_gradient(x * x * x), lambda x: 3.0 * x * x)


DERIVATIVES = [lambda x: x**3, lambda x: 3 * x**2, lambda x: 6 * x, lambda x: 6.0]


def forward(f: Any) -> Any:
    return lambda x: ad.jvp(f, (x,), (ad.ones_like(x),))[1]


def by_linearize(f: Any) -> Any:
    return lambda x: ad.linearize(f, x)[1](ad.ones_like(x))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_modes_nest_in_every_order(depth: int) -> None:
    for transforms in itertools.product((forward, ad.grad, by_linearize), repeat=depth):
        g = cube()
        for transform in transforms:
            g = transform(g)
        assert float(g(0.7)) == pytest.approx(DERIVATIVES[depth](0.7), rel=1e-14)
        np.testing.assert_allclose(np.asarray(ad.vmap(g)(np.array([0.7, -1.2]))), [float(g(0.7)), float(g(-1.2))], rtol=1e-14)


def test_taylor_mode_loops_and_compiled_programs() -> None:
    f = cube()
    np.testing.assert_allclose(np.asarray(ad.taylor(f, 0.5, 4)), [0.125, 0.75, 1.5, 1.0, 0.0], atol=1e-15)

    def looped(x: Any) -> Any:
        return ad.fori_loop(0, 2, lambda i, y: f(y), x)

    assert float(ad.grad(looped)(1.1)) == pytest.approx(9 * 1.1**8, rel=1e-13)
    tape = ad.trace(lambda x: f(x) + 1.0)(0.5)
    assert len(tape) == 3, "the call, its one output, and the sum: what f does is not recorded"


A, X = np.arange(6.0).reshape(2, 3), np.array([0.5, -1.0, 2.0])


def linear_map() -> tuple[Any, Any]:
    def f(A: Any, x: Any) -> Any:
        return {"y": A @ x, "s": [ad.sum(x * x)]}

    def df(A: Any, x: Any) -> Any:
        by_matrix = ad.reshape(np.eye(2), (2, 2, 1)) * ad.reshape(x, (1, 1, 3))
        return {"y": (by_matrix, A), "s": [(None, 2.0 * x)]}

    return f, ad.manual(f, df)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobians_of_trees_of_several_arguments(mode: str) -> None:
    f, g = linear_map()
    found, wanted = ad.jacobian(g, (0, 1), mode)(A, X), ad.jacobian(f, (0, 1), mode)(A, X)
    for name, a, b in [("y", found["y"], wanted["y"]), ("s", found["s"][0], wanted["s"][0])]:
        for mine, theirs in zip(a, b, strict=True):
            np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=1e-15, err_msg=name)
    check_grads(g, (A, X))
    batch = np.stack([X, 2 * X, -X])
    rows = ad.vmap(ad.grad(lambda A, x: ad.sum(g(A, x)["y"] ** 2), (0, 1)), in_axes=(None, 0))(A, batch)
    for i, x in enumerate(batch):
        np.testing.assert_allclose(np.asarray(rows[0][i]), np.outer(2 * A @ x, x), rtol=1e-14)
        np.testing.assert_allclose(np.asarray(rows[1][i]), 2 * A.T @ A @ x, rtol=1e-14)


def test_trees_of_arguments_integers_and_what_is_no_array() -> None:
    def f(p: Any, i: Any, scale: Any, name: str) -> Any:
        return scale * ad.sum(getattr(ad, name)(p["w"][i]) * p["b"])

    def df(p: Any, i: Any, scale: Any, name: str) -> Any:
        slope = {"sin": ad.cos, "exp": ad.exp}[name]
        w = ad.vjp(lambda w: w[i], p["w"])[1](scale * slope(p["w"][i]) * p["b"])[0]
        return {"w": w, "b": scale * ad.sum(getattr(ad, name)(p["w"][i]))}, None, f(p, i, 1.0, name)

    g = ad.manual(f, df, nondiff_argnums=3)
    p, i = {"w": np.array([0.1, 0.2, 0.4]), "b": 2.0}, np.array([2, 0, 2])
    found = ad.grad(lambda p, s: g(p, i, s, "sin"), (0, 1))(p, 3.0)
    np.testing.assert_allclose(np.asarray(found[0]["w"]), [6 * math.cos(0.1), 0.0, 12 * math.cos(0.4)], rtol=1e-14)
    assert float(found[0]["b"]) == pytest.approx(3 * (2 * math.sin(0.4) + math.sin(0.1)))
    assert float(found[1]) == pytest.approx(2 * (2 * math.sin(0.4) + math.sin(0.1)))
    only_w = ad.grad(lambda w: g({"w": w, "b": 2.0}, i, 3.0, "exp"))(p["w"])
    np.testing.assert_allclose(np.asarray(only_w), [6 * math.exp(0.1), 0.0, 12 * math.exp(0.4)], rtol=1e-14)


CHANGING = [
    ("gradient of a real function", lambda z: abs(z) ** 2, lambda z: 2 * z, 1 + 2j),
    ("holomorphic", lambda z: z**3, lambda z: 3 * z**2, 1 + 2j),
    ("complex function of a real number", lambda x: ad.exp(1j * x), lambda x: 1j * ad.exp(1j * x), 0.5),
    ("gradient of arrays", lambda z: ad.sum(ad.real(z) ** 2 * ad.imag(z)), None, np.array([1 + 2j, 0.5 - 1j])),
]


@pytest.mark.parametrize("name, f, df, z", CHANGING, ids=lambda x: x if isinstance(x, str) else "")
def test_complex_numbers(name: str, f: Any, df: Any, z: Any) -> None:
    df = df or (lambda z: 2 * ad.real(z) * ad.imag(z) + 1j * ad.real(z) ** 2)
    g = ad.manual(f, df)
    t = (0.3 - 0.7j) * np.asarray(z) if np.iscomplexobj(z) else 0.3
    (y, dy), (_, dy0) = ad.jvp(g, (z,), (t,)), ad.jvp(f, (z,), (t,))
    np.testing.assert_allclose(np.asarray(dy), np.asarray(dy0), rtol=1e-14)
    ct = 2.0 - 1.0j if y.dtype.kind == "c" else 2.0
    np.testing.assert_allclose(np.asarray(ad.vjp(g, z)[1](ct)[0]), np.asarray(ad.vjp(f, z)[1](ct)[0]), rtol=1e-14)


def test_dtypes_are_kept() -> None:
    g = ad.manual(lambda x: ad.sum(ad.sin(x)), lambda x: ad.cos(x))
    for dtype in ("float32", "longdouble"):
        x = np.array([0.1, 0.7], dtype)
        assert ad.grad(g)(x).dtype == x.dtype
        np.testing.assert_allclose(np.asarray(ad.grad(g)(x)), np.cos(x), rtol=4 * np.finfo(dtype).eps)
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        error = ad.grad(g)(ad.tensor([mpmath.mpf(1) / 3])).numpy()[0] - mpmath.cos(mpmath.mpf(1) / 3)
        assert abs(error) < 1e-39


def test_what_each_side_runs() -> None:
    calls: list[str] = []

    def f(x: Any) -> Any:
        calls.append("f")
        return x * x

    def df(x: Any) -> Any:
        calls.append("df")
        return 2.0 * x

    g = ad.manual(f, df)
    assert float(g(3.0)) == 9.0 and calls == ["f"]
    assert float(ad.grad(g)(3.0)) == 6.0 and calls == ["f", "f", "df"]


@pytest.mark.parametrize(
    "f, df, args, error, words",
    [
        (lambda x: x * x, lambda x: 2 * x, (X,), ShapeError, r"by x is f64\[3\]; its shape must be \(3, 3\), the axes of the"),
        (lambda x, y: x * y, lambda x, y: y, (1.0, 2.0), ShapeError, "a tuple with a derivative for each argument"),
        (lambda x: {"a": x}, lambda x: 1.0, (1.0,), ShapeError, "for each array of the result, a derivative like the argument"),
        (lambda x: (x, x), lambda x: ("one", None), (1.0,), TypeError, r"of the result\[0\] by x is str, not an array"),
    ],
)
def test_derivatives_that_do_not_fit_are_refused(f: Any, df: Any, args: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        ad.jvp(ad.manual(f, df), args, args)
    with pytest.raises(error, match=words):
        ad.jacobian(ad.manual(f, df), mode="reverse")(*args)


def test_other_refusals() -> None:
    with pytest.raises(TypeError, match=r"\[manual\] df is float 2.0; a function of the arguments is needed"):
        ad.manual(lambda x: x, 2.0)

    def outer(w: Any) -> Any:
        return ad.manual(lambda x: w * x, lambda x: w)(3.0)

    with pytest.raises(DerivativeError, match="captures a value that is being differentiated"):
        ad.grad(outer)(2.0)
