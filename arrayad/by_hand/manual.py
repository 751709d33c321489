"""`manual`: a whole program with the derivative that the user worked out, a gradient or a Jacobian."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import stored
from arrayad.custom import Arguments, JVPCall, Leaves, custom_jvp
from arrayad.errors import ShapeError, describe
from arrayad.functions.linear_algebra import matmul
from arrayad.primitives.casting import real
from arrayad.primitives.complex import conjugated
from arrayad.primitives.shape import reshape
from arrayad.shaped import Shaped, is_weak
from arrayad.tensor import Tensor, handle
from arrayad.tracing import aval_of
from arrayad.transforms.boundary import is_array


class manual(custom_jvp):  # a function of functions
    """The function `f` whose derivative is `df`, written by hand.

    f′[i…, j…] = ∂f[i…] / ∂x[j…] = df(x)[i…, j…], in every transform: forward and reverse mode, `vmap`, Taylor mode, traces,
    and nested as far as `df` can be differentiated.

    **Parameters** `f`: a function of trees of arrays that returns an array or a tree of them; what it does inside is not
    recorded.  `df`: a function of the same arguments that returns what `jacobian` would: for each array of the result the
    derivatives by the argument (a tuple of them if there are several), each with the axes of the result, then those of the
    argument, so that a scalar's is its gradient; None, for any part, is zero.  `nondiff_argnums`: positions of arguments that
    are no arrays, or have no derivative, which `df` gives nothing for.  By complex arguments a real result has the gradient
    ∂f/∂Re z + i ∂f/∂Im z, a complex one (of a holomorphic function) its complex derivative.

    **Returns** the function; its method `check` compares it with derivatives that are got in other ways.

    **Raises** `ShapeError` where `df` returns what does not fit, and `DerivativeError` where `f` captures a value that is being
    differentiated; both when it is used.

    **Example**

    >>> import arrayad as ad
    >>> f = ad.manual(lambda x: ad.sin(x**2 + 1), lambda x: 2 * x * ad.cos(x**2 + 1))
    >>> ad.grad(f)(0.5), ad.grad(ad.grad(f))(0.5)
    (Tensor(0.31532236), Tensor(-0.31833989))
    """

    def __init__(self, f: Callable[..., Any], df: Callable[..., Any], nondiff_argnums: int | Sequence[int] = ()) -> None:
        for what, given in (("f", f), ("df", df)):
            if not callable(given):
                raise TypeError(f"[manual] {what} is {describe(given)}; a function of the arguments is needed")
        super().__init__(f, nondiff_argnums)
        self.df = df

    def call(self, arguments: Arguments, operands: list[Tensor]) -> JVPCall:
        results: list[Shaped] = []

        def function(*xs: Any) -> Leaves:
            leaves = arguments.flattened(self.function(*arguments.complete(arguments.trees(list(xs)))))
            results[:] = map(aval_of, leaves)
            return leaves

        def rule(xs: Leaves, tangents: Leaves) -> Leaves:
            if not results:
                function(*xs)
            found = self.df(*arguments.complete(arguments.trees(xs)))
            blocks = Blocks(arguments, results, found)
            return [blocks.along(i, xs, tangents) for i in range(len(results))]

        return JVPCall(self.name, arguments.identity, function, rule)


class Blocks:
    """What `df` returned: for each array of the result the derivatives by the arrays of the arguments, None for zero.

    **Raises** `ShapeError` where it is no tree like that of `jacobian`.
    """

    def __init__(self, arguments: Arguments, results: list[Shaped], found: Any) -> None:
        assert arguments.output is not None
        self.arguments, self.results, self.name = arguments, results, arguments.name
        structure = arguments.output[0]
        self.paths = [path for path, _ in tree.paths(tree.unflatten(structure, list(results)), "the result")]
        like: Any = tree.unflatten(arguments.structure, arguments.leaves)
        single = len(like) == 1
        like = like[0] if single else like
        try:
            parts = parts_of(found, structure)
            self.rows = [
                tree.matched(tuple(part) if part.__class__ is list and like.__class__ is tuple else part, like) for part in parts
            ]
        except ValueError as error:
            wanted = "a derivative like the argument" if single else "a tuple with a derivative for each argument"
            of = "" if structure.kind is None else ", for each array of the result,"
            raise ShapeError(f"[{self.name}] df must return{of} {wanted}, or None for zero; {error}") from None

    def along(self, i: int, xs: Leaves, tangents: Leaves) -> Any:
        """The tangent of array i of the result, None for zero."""
        paths = zip(self.arguments.paths, self.arguments.leaves, self.rows[i], strict=True)
        arrays = [(path, block) for path, leaf, block in paths if not is_weak(leaf)]
        terms = [
            product(self.fitted(block, i, path, x), t, self.results[i])
            for (path, block), x, t in zip(arrays, xs, tangents, strict=True)
            if block is not None and t is not None
        ]
        return functools.reduce(operator.add, terms) if terms else None

    def fitted(self, block: Any, i: int, path: str, x: Any) -> Tensor:
        """A derivative as a Tensor, checked against result and argument."""
        of = f" of {self.paths[i]}" if len(self.results) > 1 else ""
        if not is_array(block):
            raise TypeError(f"[{self.name}] df's derivative{of} by {path} is {type(block).__name__}, not an array; None is zero")
        found = block if block.__class__ is Tensor else handle(stored(np.asarray(block)))
        shape = self.results[i].shape
        if found.shape != (*shape, *x.shape):
            raise ShapeError(
                f"[{self.name}] df's derivative{of} by {path} is {describe(found)}; its shape must be {(*shape, *x.shape)}, the "
                f"axes of the result, {shape}, then those of the argument, {x.shape}"
            )
        return found


def parts_of(found: Any, structure: tree.Structure) -> list[Any]:
    """The parts of a tree, or Nones, that stand in the places of the leaves of a structure above it.

    **Raises** `ValueError` where the tree is another.
    """
    if structure.kind is None:
        return [found]
    if found is None:
        return [None] * structure.leaves
    above = tree.split(found)
    if above is None or (above[0], tuple(above[1])) != (structure.kind, structure.keys):
        raise ValueError(f"the trees differ: {tree.flatten(found)[1]} and {structure}")
    return [part for child, below in zip(above[2], structure.children, strict=True) for part in parts_of(child, below)]


def product(block: Tensor, t: Tensor, result: Shaped) -> Tensor:
    """The derivative along a tangent, Σ_j block[i…, j…] t[j…]; of a real result by a complex argument Re Σ_j conj(block) t."""
    if result.dtype.kind != "c":
        block = conjugated(block)
    if t.ndim == 0:
        y = block * t
    elif not result.shape:
        y = matmul(reshape(block, shape=(t.size,)), reshape(t, shape=(t.size,)))
    else:
        y = reshape(matmul(reshape(block, shape=(result.size, t.size)), reshape(t, shape=(t.size,))), shape=result.shape)
    return real(y) if y.dtype.kind == "c" and result.dtype.kind != "c" else y
