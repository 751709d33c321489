"""Every transform of one program, to compare two ways of writing it.

A program is a function of (carry, xs, w): what a loop begins with, what its steps take, and what they capture.  Each entry of
`TRANSFORMS` makes numbers of one, and the entry of that name of `ORACLES` the same numbers of another that is the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import arrayad as ad
from arrayad import tree
from arrayad.readers.replay import replay

Program = Callable[[Any, Any, Any], Any]

CARRY = np.array([0.4, -0.3])
XS = np.array([[0.2, -0.5], [0.7, 0.1], [-0.4, 0.3], [0.9, -0.8], [0.05, 0.6]])
W = np.array([0.8, -0.6])
POINT = (CARRY, XS, W)
DIRECTION = tuple(np.cos(1.0 + np.arange(x.size)).reshape(x.shape) for x in POINT)
BATCH = tuple(np.stack([x, 0.5 * x + 0.1, np.sin(3 * x)]) for x in POINT)


def scalar(program: Program) -> Program:
    """A sum of all that the program returns, no two results with one weight."""

    def total(*point: Any) -> Any:
        leaves = tree.leaves(program(*point))
        return sum(ad.sum(y * np.cos(k + np.arange(y.size).reshape(y.shape))) for k, y in enumerate(leaves))

    return total


def along(program: Program, slope: Any = DIRECTION) -> Callable[[Any], Any]:
    """The program on a line through the point."""
    return lambda t: program(*(x + t * d for x, d in zip(POINT, slope, strict=True)))


def inner(a: Any, b: Any) -> Any:
    return sum(ad.sum(x * y) for x, y in zip(a, b, strict=True))


def gradient(program: Program) -> Program:
    return ad.grad(scalar(program), argnums=(0, 1, 2))


def looped(function: Program, batched: tuple[bool, bool, bool]) -> Any:
    """The function on each example of a batch, one after the other."""
    found = [function(*(b[i] if flag else x for b, x, flag in zip(BATCH, POINT, batched, strict=True))) for i in range(3)]
    return [np.stack([np.asarray(y) for y in ys]) for ys in zip(*map(tree.leaves, found), strict=True)]


def mapped(function: Program, batched: tuple[bool, bool, bool]) -> Any:
    """The same by `vmap`."""
    point = [b if flag else x for b, x, flag in zip(BATCH, POINT, batched, strict=True)]
    return ad.vmap(function, in_axes=tuple(0 if flag else None for flag in batched))(*point)


def traced(function: Program) -> Any:
    """The function by shapes, replayed on the point."""
    tape = ad.trace(function)(*(0.3 * x for x in POINT))
    return replay(tape, *POINT)


def one_by_one(function: Program) -> Program:
    """What `vmap` gives, by a loop over the examples."""

    def mapped(*batches: Any) -> Any:
        found = [tree.leaves(function(*(b[i] for b in batches))) for i in range(3)]
        return [ad.stack(list(ys)) for ys in zip(*found, strict=True)]

    return mapped


def leaf_gradients(program: Program) -> Any:
    """By `backward` on leaves."""
    leaves = [ad.tensor(x, requires_grad=True) for x in POINT]
    scalar(program)(*leaves).backward()
    return [ad.zeros(x.shape) if x.grad is None else x.grad for x in leaves]


def batch_gradient(function: Program, carry: Any = BATCH[0]) -> Any:
    """The gradient of a sum over what a function of a batch returns."""

    def total(*batches: Any) -> Any:
        return sum(ad.sum(ad.sin(y)) for y in tree.leaves(function(*batches)))

    return ad.grad(total, argnums=(0, 1, 2))(carry, *BATCH[1:])


def hessian(program: Program, which: int) -> Any:
    def part(x: Any) -> Any:
        return scalar(program)(*(x if i == which else y for i, y in enumerate(POINT)))

    return ad.hessian(part)(POINT[which])


TRANSFORMS: dict[str, Callable[[Program], Any]] = {
    "value": lambda f: f(*POINT),
    "grad": lambda f: gradient(f)(*POINT),
    "grad by carry": lambda f: ad.grad(scalar(f), 0)(*POINT),
    "grad by xs": lambda f: ad.grad(scalar(f), 1)(*POINT),
    "grad by captures": lambda f: ad.grad(scalar(f), 2)(*POINT),
    "backward": leaf_gradients,
    "jvp": lambda f: ad.jvp(f, POINT, DIRECTION),
    "jvp by captures": lambda f: ad.jvp(lambda w: f(CARRY, XS, w), (W,), (DIRECTION[2],)),
    "linearize": lambda f: ad.linearize(f, *POINT)[1](*DIRECTION),
    "jacfwd": lambda f: [ad.jacfwd(f, i)(*POINT) for i in range(3)],
    "jacrev": lambda f: [ad.jacrev(f, i)(*POINT) for i in range(3)],
    "hessian": lambda f: [hessian(f, i) for i in range(3)],
    "grad of grad": lambda f: ad.grad(lambda *p: inner(gradient(f)(*p), DIRECTION), argnums=(0, 1, 2))(*POINT),
    "grad of grad of grad": lambda f: ad.grad(
        lambda *p: inner(ad.grad(lambda *q: inner(gradient(f)(*q), DIRECTION), argnums=(0, 1, 2))(*p), DIRECTION),
        argnums=(0, 1, 2),
    )(*POINT),
    "jvp of grad": lambda f: ad.jvp(gradient(f), POINT, DIRECTION),
    "grad of jvp": lambda f: ad.grad(lambda *p: ad.jvp(scalar(f), p, DIRECTION)[1], argnums=(0, 1, 2))(*POINT),
    "jvp of jvp": lambda f: ad.jvp(lambda *p: ad.jvp(f, p, DIRECTION), POINT, DIRECTION[:1] + POINT[1:]),
    "jet": lambda f: ad.jet(along(f), (0.0,), ([1.0, 0.0, 0.0, 0.0],)),
    "taylor": lambda f: ad.taylor(along(scalar(f)), 0.1, 4),
    "grad of taylor": lambda f: ad.grad(
        lambda w: ad.taylor(along(lambda c, xs, _: scalar(f)(c, xs, w)), 0.1, 3)[3],
    )(W),
    "trace": traced,
    "trace of grad": lambda f: traced(gradient(f)),
    "trace of jvp": lambda f: traced(lambda *p: ad.jvp(f, p, DIRECTION)),
    "grad of trace": lambda f: gradient(lambda *p: replay(ad.trace(f)(*p), *p))(*POINT),
    "grad of vmap": lambda f: batch_gradient(ad.vmap(f)),
    "grad of grad of vmap": lambda f: ad.grad(lambda c: ad.sum(ad.sin(batch_gradient(ad.vmap(f), c)[2])))(BATCH[0]),
    "jvp of vmap": lambda f: ad.jvp(ad.vmap(f), BATCH, tuple(np.sin(b) for b in BATCH)),
}

ORACLES: dict[str, Callable[[Program], Any]] = {
    **TRANSFORMS,
    "trace": lambda f: f(*POINT),
    "trace of grad": lambda f: gradient(f)(*POINT),
    "trace of jvp": lambda f: ad.jvp(f, POINT, DIRECTION),
    "grad of trace": lambda f: gradient(f)(*POINT),
    "grad of vmap": lambda f: batch_gradient(one_by_one(f)),
    "grad of grad of vmap": lambda f: ad.grad(lambda c: ad.sum(ad.sin(batch_gradient(one_by_one(f), c)[2])))(BATCH[0]),
    "jvp of vmap": lambda f: ad.jvp(one_by_one(f), BATCH, tuple(np.sin(b) for b in BATCH)),
}
"""The same of a program that may branch on its values: without traces and batches."""

BATCHES = [(a, b, c) for a in (True, False) for b in (True, False) for c in (True, False) if a or b or c]


def assert_close(found: Any, wanted: Any, rtol: float = 1e-10, atol: float = 1e-10) -> None:
    """The leaves of two trees agree in shape and value."""
    found, wanted = tree.leaves(found), tree.leaves(wanted)
    assert len(found) == len(wanted)
    for y, z in zip(found, wanted, strict=True):
        assert np.shape(y) == np.shape(z)
        np.testing.assert_allclose(np.asarray(y), np.asarray(z), rtol=rtol, atol=atol)


def assert_same(found: Program, wanted: Program, name: str) -> None:
    """Two programs are the same under the transform of this name."""
    y = TRANSFORMS[name](found)
    assert all(leaf.history is None or name == "backward" for leaf in tree.leaves(y)), "the result is still recorded"
    assert_close(y, ORACLES[name](wanted))


def assert_same_in_batches(found: Program, wanted: Program, batched: tuple[bool, bool, bool]) -> None:
    """Values and gradients of a batch by `vmap` are those of the examples one by one."""
    for transform in (lambda f: f, gradient, lambda f: lambda *p: ad.jvp(f, p, DIRECTION)[1]):
        assert_close(mapped(transform(found), batched), looped(transform(wanted), batched))
