"""Every nesting of grad, vjp, jvp and trace, over functions that capture what lies outside, against differences.

The oracle knows nothing of tapes: it takes the same nestings with derivatives by central differences of order 6.
"""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.readers.replay import replay

M = np.array([[0.3, -0.2, 0.5], [0.1, 0.7, -0.4], [-0.6, 0.2, 0.25]])
STENCIL = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
STEP = 0.02


def numeric_vjp(f: Any, x: Any, ct: Any) -> np.ndarray[Any, Any]:
    """Σ ct · ∂f/∂x by differences."""
    gradient = np.zeros_like(x)
    for i in range(x.size):
        e = np.zeros_like(x)
        e[i] = STEP
        derivative = sum(w * (np.asarray(f(x + k * e)) - np.asarray(f(x - k * e))) for k, w in STENCIL.items()) / STEP
        gradient[i] = np.sum(ct * derivative)
    return gradient


def numeric_jvp(f: Any, x: Any, t: Any) -> tuple[Any, Any]:
    """f and Σ ∂f/∂x · t by differences."""
    differences = (w * (np.asarray(f(x + k * STEP * t)) - np.asarray(f(x - k * STEP * t))) for k, w in STENCIL.items())
    return np.asarray(f(x)), sum(differences) / STEP


def set_at(x: Any, i: int, value: Any) -> Any:
    y = x * 1.0
    y[i] = value
    y += 0.1
    return y


OURS = SimpleNamespace(
    sin=ad.sin,
    exp=ad.exp,
    tanh=ad.tanh,
    cos=ad.cos,
    total=lambda x: ad.sum(x),
    where=ad.where,
    grad=ad.grad,
    vjp=lambda f, x, ct: ad.vjp(f, x)[1](ct)[0],
    jvp=lambda f, x, t: ad.jvp(f, (x,), (t,)),
    trace=lambda f, x: replay(ad.trace(f)(x), x),
    matvec=lambda x: M @ x,
)
NUMERIC = SimpleNamespace(
    sin=np.sin,
    exp=np.exp,
    tanh=np.tanh,
    cos=np.cos,
    total=np.sum,
    where=np.where,
    grad=lambda f: lambda x: numeric_vjp(f, x, 1.0),
    vjp=numeric_vjp,
    jvp=numeric_jvp,
    trace=lambda f, x: f(x),
    matvec=lambda x: M @ x,
)

FUNCTIONS = {
    "product": lambda m, x, o: m.sin(x) * sum(o[1:], o[0]) if o else m.sin(x) * x,
    "ignoring its argument": lambda m, x, o: o[-1] * o[0] if o else np.ones(3),
    "captured": lambda m, x, o: o[0] * 1.0 if o else x * 1.0,
    "where": lambda m, x, o: m.where(
        x > (o[0] * 0.5 if o else 0.1), m.exp(x) * (o[-1] if o else 1.0), m.tanh(x * (o[0] if o else 2.0))
    ),
    "matrix": lambda m, x, o: m.tanh(m.matvec(x)) * (m.matvec(o[-1]) if o else x),
    "indexing": lambda m, x, o: x[np.array([2, 0, 0])] * m.exp(o[0] if o else x)[1] + x[1] * x,
    "assignment": lambda m, x, o: set_at(x, 1, m.sin(x[0]) * (o[-1][2] if o else 2.0)) * (o[0] if o else x),
    "sum": lambda m, x, o: m.total(x * x) * m.cos(x) + (m.total(o[0] * x) if o else 0.0),
    "twice": lambda m, x, o: (lambda a, b: a * b + m.sin(a))(x, x) * (m.exp(o[-1]) * o[0] if o else 1.0),
}


def nest(m: Any, sequence: str, base: Any, x: Any, outer: list[Any]) -> Any:
    """Apply the transforms of `sequence`, from the outermost in, to `base`."""
    if not sequence:
        return base(m, x, outer)

    def inner(y: Any) -> Any:
        return nest(m, sequence[1:], base, y, [*outer, x])

    kind, c = sequence[0], outer[0] if outer else 0.7
    if kind == "g":
        return m.grad(lambda y: m.total(inner(y) * x))(m.sin(x)) + 0.3 * x
    if kind == "s":  # at the same point, so that x and y share the caller's node
        return m.grad(lambda y: m.total(inner(y) * m.cos(y)))(x)
    if kind == "r":
        return m.vjp(inner, x * 1.0, m.sin(x) * c)
    if kind == "j":
        y, t = m.jvp(inner, x * 1.0, m.cos(x) * c)
        return y + 2.0 * t
    return m.trace(inner, x)


POINT = np.array([0.3, -0.7, 1.2])
SEQUENCES = ["".join(s) for depth in (1, 2) for s in itertools.product("gsjrt", repeat=depth)]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_nestings_agree_with_differences(sequence: str, name: str) -> None:
    found = nest(OURS, sequence, FUNCTIONS[name], ad.tensor(POINT), [])
    assert found.history is None, "the result is still recorded"
    wanted = nest(NUMERIC, sequence, FUNCTIONS[name], POINT, [])
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-7, atol=1e-7)


@pytest.mark.slow  # the outermost of three derivatives is taken by differences of the inner two, which the test above checks
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("sequence", ["".join(s) for s in itertools.product("gsjrt", repeat=3)])
def test_deeper_nestings_agree_with_differences_of_the_inner_ones(sequence: str, name: str) -> None:
    found = nest(OURS, sequence, FUNCTIONS[name], ad.tensor(POINT), [])
    assert found.history is None
    mixed = SimpleNamespace(
        **{**vars(OURS), "grad": NUMERIC.grad, "vjp": numeric_vjp, "jvp": numeric_jvp, "trace": NUMERIC.trace}
    )
    wanted = outermost(mixed, OURS, sequence, FUNCTIONS[name])
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-7, atol=1e-7)


def outermost(m: Any, inside: Any, sequence: str, base: Any) -> Any:
    """`nest` with the outermost transform by `m` and those inside by `inside`."""
    x = POINT

    def inner(y: Any) -> Any:
        return np.asarray(nest(inside, sequence[1:], base, ad.tensor(y), [ad.tensor(x)]))

    kind = sequence[0]
    if kind == "g":
        return m.grad(lambda y: np.sum(inner(y) * x))(np.sin(x)) + 0.3 * x
    if kind == "s":
        return m.grad(lambda y: np.sum(inner(y) * np.cos(y)))(x)
    if kind == "r":
        return m.vjp(inner, x * 1.0, np.sin(x) * 0.7)
    if kind == "j":
        y, t = m.jvp(inner, x * 1.0, np.cos(x) * 0.7)
        return y + 2.0 * t
    return inner(x)
