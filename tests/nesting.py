"""Compositions of transforms, and functions to compose them with, in the words of arrayad, of differences, and of JAX.

A namespace of transforms knows how each is taken; `nest` applies a sequence of them, each by a letter, to a function that
sees its argument and the points of all transforms outside.  The oracle, `numeric`, knows nothing of tapes.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import arrayad as ad
from arrayad.readers.replay import replay

Function = Callable[[Any, Any, list[Any]], Any]
"""A function of a namespace, its argument and the points of the transforms outside, the outermost first."""

M = np.array([[0.3, -0.2, 0.5], [0.1, 0.7, -0.4], [-0.6, 0.2, 0.25]])
POINT = np.array([0.3, -0.7, 1.2])
BATCH = np.array([0.5, 1.0, -0.8, 0.2])
STENCIL = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
SECOND = {1: 3 / 2, 2: -3 / 20, 3: 1 / 90}
STEP = 0.02


# --- differences ----------------------------------------------------------------------------------------------------


def numeric(step: float = STEP) -> SimpleNamespace:
    """The transforms by central differences of order 6 with this step."""

    def slope(f: Any) -> Any:
        return sum(w * (np.asarray(f(k * step)) - np.asarray(f(-k * step))) for k, w in STENCIL.items()) / step

    def curvature(f: Any) -> Any:
        middle = np.asarray(f(0.0))
        return sum(w * (np.asarray(f(k * step)) - 2 * middle + np.asarray(f(-k * step))) for k, w in SECOND.items()) / step**2

    def jacobian(f: Any) -> Any:
        return lambda x: np.stack([slope(lambda h, e=e: f(x + h * e)) for e in np.eye(x.size)], axis=-1)

    def jvp(f: Any, x: Any, t: Any) -> tuple[Any, Any]:
        return np.asarray(f(x)), slope(lambda h: f(x + h * t))

    def jet(f: Any, x: Any, v: Any, w: Any) -> tuple[Any, Any, Any]:
        def curve(h: float) -> Any:
            return f(x + h * v + h * h / 2 * w)

        return np.asarray(f(x)), slope(curve), curvature(curve)

    return SimpleNamespace(
        **{name: getattr(np, name) for name in ("sin", "cos", "exp", "tanh", "where")},
        total=np.sum,
        column=lambda x: x[:, None],
        at=set_at,
        vjp=lambda f, x, ct: np.asarray(ct) @ jacobian(f)(x),
        jvp=jvp,
        linearize=jvp,
        jet=jet,
        trace=lambda f, x: f(x),
        vmap=loop,
        **dict.fromkeys(("grad", "jacfwd", "jacrev", "jacobian"), jacobian),
        hessian=lambda f: jacobian(jacobian(f)),
        hvp=lambda f, x, v: jvp(jacobian(f), x, v)[1],
        cond=lambda condition, f, g, x: f(x) if condition else g(x),
    )


def loop(f: Any, in_axes: Any, out_axes: int) -> Any:
    """vmap, an example after the other."""

    def mapped(*args: Any) -> Any:
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
        (size,) = {x.shape[axis] for x, axis in zip(args, axes, strict=True) if axis is not None}
        examples = [[x if axis is None else np.take(x, i, axis) for x, axis in zip(args, axes, strict=True)] for i in range(size)]
        return np.stack([np.asarray(f(*example)) for example in examples], axis=out_axes)

    return mapped


def set_at(x: Any, i: int, value: Any) -> Any:
    y = x * 1.0
    y[i] = value
    y += 0.1
    return y


# --- arrayad --------------------------------------------------------------------------------------------------------


def linearized(f: Any, x: Any, t: Any) -> tuple[Any, Any]:
    y, linear = ad.linearize(f, x)
    return y, linear(t)


def jetted(f: Any, x: Any, v: Any, w: Any) -> tuple[Any, Any, Any]:
    y, (first, second) = ad.jet(f, (x,), ([v, w],))
    return y, first, second


OURS = SimpleNamespace(
    **{name: getattr(ad, name) for name in ("sin", "cos", "exp", "tanh", "where", "grad", "vmap")},
    **{name: getattr(ad, name) for name in ("jacfwd", "jacrev", "jacobian", "hessian", "hvp", "cond")},
    total=lambda x: ad.sum(x),
    column=lambda x: ad.reshape(x, (3, 1)),
    at=set_at,
    vjp=lambda f, x, ct: ad.vjp(f, x)[1](ct)[0],
    jvp=lambda f, x, t: ad.jvp(f, (x,), (t,)),
    linearize=linearized,
    jet=jetted,
    trace=lambda f, x: replay(ad.trace(f)(x), x),
)


# --- what is composed -----------------------------------------------------------------------------------------------

FUNCTIONS: dict[str, Function] = {
    "product": lambda m, x, o: m.sin(x) * sum(o[1:], o[0]) if o else m.sin(x) * x,
    "ignoring its argument": lambda m, x, o: o[-1] * o[0] if o else x * 0.0 + 1.0,
    "captured": lambda m, x, o: o[0] * 1.0 if o else x * 1.0,
    "as it came": lambda m, x, o: x,
    "captured as it came": lambda m, x, o: o[0] if o else x,
    "where": lambda m, x, o: smooth_where(m, x - (o[0] * 0.5 if o else 0.1), m.exp(x) * (o[-1] if o else 1.0), x),
    "matrix": lambda m, x, o: m.tanh(M @ x) * (M @ o[-1] if o else x),
    "indexing": lambda m, x, o: x[np.array([2, 0, 0])] * m.exp(o[0] if o else x)[1] + x[1] * x,
    "assignment": lambda m, x, o: m.at(x, 1, m.sin(x[0]) * (o[-1][2] if o else 2.0)) * (m.at(o[0], 0, x[1]) if o else x),
    "sum": lambda m, x, o: m.total(x * x) * m.cos(x) + (m.total(o[0] * x) if o else 0.0),
    "twice": lambda m, x, o: (lambda a, b: a * b + m.sin(a))(x, x) * (m.exp(o[-1]) * o[0] if o else 1.0),
}


def smooth_where(m: Any, s: Any, a: Any, b: Any) -> Any:
    """`a` where s > 0, elsewhere another function, which meets it so smoothly that differences may straddle 0."""
    return m.where(s > 0, a, a + m.tanh(s) ** 8 * b)


def random_function(rng: np.random.Generator) -> tuple[str, Function]:
    """A program of some steps, each of earlier results and of what lies outside, and its text."""
    steps = []
    for _ in range(rng.integers(2, 6)):
        kind = str(rng.choice(["sin", "tanh", "exp", "product", "sum", "matrix", "index", "where", "set", "total"]))
        steps.append((kind, float(rng.uniform(-1.0, 1.0)), float(rng.random()), float(rng.random())))

    def function(m: Any, x: Any, o: list[Any]) -> Any:
        values = [x, *o[-2:]]
        for kind, c, first, second in steps:
            a, b = values[int(first * len(values))], values[int(second * len(values))]
            values.append(random_step(m, kind, c, a, b))
        return values[-1] + 0.3 * values[0]

    return repr(steps), function


def random_step(m: Any, kind: str, c: float, a: Any, b: Any) -> Any:
    """One step of a program.  Everything is kept small, so that differences are accurate."""
    if kind == "sin":
        return m.sin(a + c)
    if kind == "tanh":
        return m.tanh(c * a)
    if kind == "exp":
        return m.exp(0.5 * m.sin(a))
    if kind == "product":
        return 0.5 * m.tanh(a) * m.cos(b)
    if kind == "sum":
        return 0.5 * (a - c * b)
    if kind == "matrix":
        return M @ m.sin(a)
    if kind == "index":
        return m.sin(a)[np.array([1, 2, 1])] * 0.5
    if kind == "where":
        return smooth_where(m, a - c, m.sin(a), b)
    if kind == "set":
        return m.at(m.sin(a), 1, 0.5 * m.sin(b[2]))
    return m.sin(m.total(m.sin(a) * M[1])) * m.cos(b)


# --- how it is composed ---------------------------------------------------------------------------------------------

LETTERS = "gsrjltvwcFRJHpe"
"""grad (at a new point, at the same), vjp, jvp, linearize, trace, vmap (of rows, of columns), cond, jacfwd, jacrev, jacobian,
hessian, hvp, jet."""


def nest(m: Any, sequence: str, base: Function, x: Any, outer: list[Any], inside: Any = None) -> Any:
    """Apply the transforms of `sequence`, the outermost first, to `base`; all but the outermost by `inside`, if given."""
    if not sequence:
        return base(m, x, outer)

    def inner(y: Any) -> Any:
        if inside is None:
            return nest(m, sequence[1:], base, y, [*outer, x])
        return np.asarray(nest(inside, sequence[1:], base, ad.tensor(y), [*outer, ad.tensor(x)]))

    return KINDS[sequence[0]](m, inner, x, outer[0] if outer else 0.7)


def by_vmap(m: Any, f: Any, x: Any, c: Any) -> Any:
    return (m.vmap(f, 0, 0)(BATCH[:, None] * x)).sum(0)


def by_vmap_of_columns(m: Any, f: Any, x: Any, c: Any) -> Any:
    return (m.vmap(lambda y, shared: f(y) * shared, (1, None), 1)(m.column(x) * BATCH, m.sin(x) * c)).sum(1)


def by_jet(m: Any, f: Any, x: Any, c: Any) -> Any:
    y, first, second = m.jet(f, x * 1.0, m.cos(x) * c, m.sin(x))
    return y + 2.0 * first - 0.5 * second


def by_cond(m: Any, f: Any, x: Any, c: Any) -> Any:
    """As in `smooth_where`."""
    s = m.total(x) - 0.5
    return m.cond(s > 0, f, lambda y: f(y) + m.tanh(s) ** 8 * x, m.sin(x))


def sum_of(pair: tuple[Any, Any]) -> Any:
    """A value and twice its derivative."""
    return pair[0] + 2.0 * pair[1]


KINDS: dict[str, Any] = {
    "g": lambda m, f, x, c: m.grad(lambda y: m.total(f(y) * x))(m.sin(x)) + 0.3 * x,
    "s": lambda m, f, x, c: m.grad(lambda y: m.total(f(y) * m.cos(y)))(x),  # at the same point: x and y share a node
    "r": lambda m, f, x, c: m.vjp(f, x * 1.0, m.sin(x) * c),
    "j": lambda m, f, x, c: sum_of(m.jvp(f, x * 1.0, m.cos(x) * c)),
    "l": lambda m, f, x, c: sum_of(m.linearize(f, x * 1.0, m.cos(x) * c)),
    "t": lambda m, f, x, c: m.trace(f, x),
    "v": by_vmap,
    "w": by_vmap_of_columns,
    "c": by_cond,
    "F": lambda m, f, x, c: m.jacfwd(f)(x) @ m.sin(x),
    "R": lambda m, f, x, c: m.sin(x) @ m.jacrev(f)(x * 1.0),
    "J": lambda m, f, x, c: m.jacobian(f)(x) @ m.cos(x),
    "H": lambda m, f, x, c: m.hessian(lambda y: m.total(f(y) * m.sin(y)))(x) @ x,
    "p": lambda m, f, x, c: m.hvp(lambda y: m.total(f(y) * x), m.sin(x), m.cos(x)),
    "e": by_jet,
}
