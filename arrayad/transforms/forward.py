"""Forward mode: `jvp`, and `linearize`, which keeps the tangent program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import stored
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.modes import enable_grad
from arrayad.readers.push import Push, like
from arrayad.readers.replay import replay
from arrayad.shaped import Shaped
from arrayad.tape import Unfollowed
from arrayad.tensor import Tensor, freeze, handle
from arrayad.tracing import record
from arrayad.transforms.boundary import check_differentiable, release_tree, released, result_leaves, split_aux, zeros_like


def jvp(f: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of `f` at `primals`, and its derivative along `tangents`.

    out, out_tangent = jvp(f, primals, tangents);  out_tangent = Σ_i ∂f/∂primals[i] · tangents[i]

    Tangents stream beside the values and nothing is recorded: a run of any length holds no more than two of what is
    alive, at a small multiple of the cost of `f`.

    **Parameters** `primals`, `tangents`: tuples of trees of arrays, of the same structure and shapes; None among the
    tangents stands for zero.  `has_aux`: `f` returns (out, aux), and so does `jvp`: (out, out_tangent, aux).

    **Raises** `DTypeError` for integer primals; `ShapeError` for tangents that do not fit.

    **Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), section 3.1.

    **Example**

    >>> import arrayad as ad
    >>> ad.jvp(lambda x, y: x * ad.sin(y), (2.0, 0.0), (1.0, 3.0))
    (Tensor(0.), Tensor(6.))
    """
    Unfollowed.count += 1
    leaves, structure = primal_leaves("jvp", f, primals, tangents)
    seeds = tangent_leaves("jvp", primals, tangents)
    push = Push()
    try:
        inputs = [push.watch(x, t) for x, t in zip(leaves, seeds, strict=True)]
        with enable_grad():  # a no_grad outside holds for the results, not for the transform's own work
            result, aux = split_aux("jvp", f(*tree.unflatten(structure, inputs)), has_aux)
        outputs, shape = result_leaves("jvp", result)
        out = tree.unflatten(shape, [released(y, push) for y in outputs])
        out_tangent = tree.unflatten(shape, [tangent_of(push, y) for y in outputs])
        return (out, out_tangent, release_tree(aux, push)) if has_aux else (out, out_tangent)
    finally:
        push.close()


def primal_leaves(name: str, f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[list[Tensor], tree.Structure]:
    """The leaves of the primals as Tensors."""
    for word, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise TypeError(f"[{name}] {word} must be a tuple, one for each argument of the function; {describe(given)} came")
    leaves, structure = tree.flatten(tuple(primals))
    check_differentiable(name, f, tuple(primals), leaves)
    return [x if x.__class__ is Tensor else handle(freeze(np.asarray(x))) for x in leaves], structure


def tangent_leaves(name: str, primals: Any, tangents: Any) -> list[Tensor | None]:
    """The tangents of the leaves, checked against them and cast to their dtypes."""
    try:
        found = tree.matched(tuple(tangents), tuple(primals))
    except ValueError as error:
        raise ShapeError(f"[{name}] primals and tangents must be trees of one structure; {error}") from None
    return [
        None if t is None else fitted_tangent(name, path, x, t) for (path, x), t in zip(tree.paths(primals), found, strict=True)
    ]


def fitted_tangent(name: str, path: str, x: Any, t: Any) -> Tensor:
    """A tangent as a Tensor of its primal's shape and dtype."""
    x = x if x.__class__ is Tensor else np.asarray(x)
    t = t if t.__class__ is Tensor else handle(stored(np.array(t)))
    if t.shape != x.shape:
        raise ShapeError(
            f"[{name}] the tangent of primal {path} is {describe(t)}, the primal {describe(x)}; the shapes must agree"
        )
    if t.dtype.kind == "c" and x.dtype.kind == "f":
        raise DTypeError(f"[{name}] the tangent of primal {path} is {describe(t)}, the primal {describe(x)}, which is real")
    return like(t, x)


def tangent_of(push: Push, y: Tensor) -> Tensor:
    """The tangent of an output, as those see it who began before."""
    t = push.of(y)
    return zeros_like(y) if t is None else released(t, push)


def linearize(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of `f` at `primals`, and its derivative there as a linear function of the tangents.

    out, linear = linearize(f, *primals);  linear(*tangents) = jvp(f, primals, tangents)[1]

    `f` runs once; `linear` replays only what depends on the tangents, any number of times.  It may be differentiated,
    batched and nested like any function.

    **Raises** `DTypeError` for integer primals; `ShapeError` for tangents that do not fit.

    **Example**

    >>> import arrayad as ad
    >>> y, linear = ad.linearize(ad.sin, 0.0)
    >>> y, linear(1.0), linear(2.0)
    (Tensor(0.), Tensor(1.), Tensor(2.))
    """
    leaves, structure = primal_leaves("linearize", f, primals, primals)
    kept: list[Any] = []

    def tangent_program(*tangents: Tensor) -> Any:
        out, out_tangent, *aux = jvp(f, tree.unflatten(structure, leaves), tree.unflatten(structure, list(tangents)), has_aux)
        kept.extend((out, *aux))
        return out_tangent

    tape = record(tangent_program, [Shaped(x.shape, x.dtype) for x in leaves])

    def linear(*tangents: Any) -> Any:
        """The derivative along tangents of the primals."""
        found = tangent_leaves("linearize", primals, tangents)
        return replay(tape, *(zeros_like(x) if t is None else t for x, t in zip(leaves, found, strict=True)))

    return (kept[0], linear, *kept[1:])
