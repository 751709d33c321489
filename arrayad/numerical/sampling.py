"""A function at places around some others: its arguments moved, its results in vectors, in batches where it takes them.

A function of arrayad's is traced once for a batch (`vmap`); one that computes with whole batches itself says so; any other is
called for one place after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.arbitrary import OBJECT
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.shaped import is_abstract
from arrayad.tensor import Tensor, freeze, handle
from arrayad.transforms.batching import vmap
from arrayad.transforms.boundary import is_array, parameter_names

Array = np.ndarray[Any, Any]

WORTHWHILE = 8
"""So many places at once, at least, are worth tracing a function for."""

CHUNK = 2**21
"""So many elements of arguments, at most, are evaluated in one batch."""


class Move(NamedTuple):
    """The elements `where` of an argument's vector, moved by `by` from place number `origin`."""

    origin: int
    where: Array
    by: Any


class Sampled:
    """A function of a tree of arrays, sampled around some places.

    **Parameters** `x`: the argument that moves; `args`: the others, which stay.  `vectorized`: True where `f` takes its first
    argument with one more axis in front, and returns its results so; False to call it place by place; None to find out.
    `each`: `x` is an array of which each element is a place of its own, and `f` a function of one number.
    """

    def __init__(
        self, name: str, f: Callable[..., Any], x: Any, args: Sequence[Any], vectorized: bool | None, each: bool = False
    ) -> None:
        self.name, self.f, self.args = name, f, tuple(args)
        given, self.structure = tree.flatten(x)
        (argument,) = parameter_names(f, 1)
        paths = [path for path, _ in tree.paths(x, argument)]
        self.leaves = [operand(name, path, leaf) for path, leaf in zip(paths, given, strict=True)]
        self.given = x
        self.is_tensor = [leaf.__class__ is Tensor for leaf in given]
        if each and self.structure != tree.flatten(0.0)[1]:
            raise TypeError(f"[{name}] {argument} is a tree; an array of places is needed, or take grad or jacobian")
        self.avals = [np.empty((), self.leaves[0].dtype)] if each else self.leaves
        dtype = np.result_type(*self.leaves) if self.leaves else np.dtype(np.float64)
        flat = [np.ravel(leaf).astype(dtype) for leaf in self.leaves]
        vector = np.concatenate(flat) if flat else np.zeros(0)
        self.origins = vector[:, None] if each else vector[None]
        self.vectorized, self.batches = vectorized, False
        self.evaluations = 0
        self.result: tree.Structure | None = None
        self.outputs: list[Array] = []
        self.bases = self.started()

    def started(self) -> list[Array]:
        """The values at the places; from the first it is learnt what the function returns, and whether it is arrayad's."""
        if not len(self.origins):  # nothing is known of the results: numbers
            self.result, self.outputs = tree.LEAF, [np.zeros(())]
            return []
        found, self.result = tree.flatten(self.called(self.origins[:1], bool(self.vectorized)))
        self.evaluations += 1
        if not found:
            raise TypeError(f"[{self.name}] the function returned nothing; one that returns arrays is needed")
        for path, y in tree.paths(tree.unflatten(self.result, found), "the result"):
            if not is_array(y):
                raise TypeError(f"[{self.name}] {path} is {type(y).__name__}; a function that returns arrays is needed")
        self.batches = self.vectorized is None and any(y.__class__ is Tensor for y in found)
        values = [plain(self.name, y) for y in found]
        if self.vectorized:
            self.check_batch(values, 1)
            values = [y[0] for y in values]
        self.outputs = values
        rest = [Move(i, np.zeros(0, int), np.zeros(0)) for i in range(1, len(self.origins))]
        return [joined(values), *self.at(rest)]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return np.result_type(*self.outputs) if self.outputs else np.dtype(np.float64)

    @property
    def eps(self) -> float:
        """The relative rounding error of the values: that of the argument's dtype or of the result's, whichever is larger."""
        dtypes = [x.dtype for x in (*self.leaves, *self.outputs) if x.dtype.kind in "fc"]
        return max((float(np.finfo(dtype).eps) for dtype in dtypes), default=float(np.finfo(np.float64).eps))

    def at(self, moves: Sequence[Move]) -> list[Array]:
        """The function's values, each in one vector, where its argument has moved."""
        if not moves:
            return []
        rows = max(1, CHUNK // max(1, self.origins.shape[1]))
        found: list[Array] = []
        for start in range(0, len(moves), rows):
            chunk = moves[start : start + rows]
            kind = np.result_type(self.origins, *(np.asarray(move.by).dtype.type(0) for move in chunk[:1]))
            points = self.origins[[move.origin for move in chunk]].astype(kind)
            for point, move in zip(points, chunk, strict=True):
                point[move.where] += move.by
            found += self.values(points)
        self.evaluations += len(moves)
        return found

    def values(self, points: Array) -> list[Array]:
        """The function's values at points, the rows."""
        with np.errstate(all="ignore"):
            if self.vectorized:
                return self.split(tree.leaves(self.called(points, True)), len(points))
            if self.batches and len(points) >= WORTHWHILE:
                found = self.in_a_batch(points)
                if found is not None:
                    return found
            return [self.tried(points[i : i + 1]) for i in range(len(points))]

    def in_a_batch(self, points: Array) -> list[Array] | None:
        """The values by one batched program; None, from then on, where the function cannot be traced."""
        try:
            found = vmap(self.of_leaves)(*(handle(freeze(x)) for x in self.arguments(points)))
        except Exception:  # whatever keeps it from being traced: place by place, it comes again where it is an error
            self.batches = False
            return None
        return self.split(tree.leaves(found), len(points))

    def tried(self, point: Array) -> Array:
        """The function's value; nan where it says that it is not defined."""
        try:
            found = [plain(self.name, y) for y in tree.leaves(self.called(point, False))]
        except ShapeError:
            raise
        except (ValueError, ArithmeticError):
            return np.full(sum(y.size for y in self.outputs), np.nan, joined(self.outputs).dtype)
        self.check([y.shape for y in found])
        return joined(found)

    def split(self, leaves: list[Any], count: int) -> list[Array]:
        """The vectors of a batch of results."""
        found = [plain(self.name, y) for y in leaves]
        self.check_batch(found, count)
        self.check([y.shape[1:] for y in found])
        return list(np.concatenate([y.reshape(count, -1) for y in found], axis=1)) if found else [np.zeros(0)] * count

    def check_batch(self, found: list[Array], count: int) -> None:
        for y in found:
            if y.shape[:1] != (count,):
                raise ShapeError(
                    f"[{self.name}] a vectorized function was given {count} places along axis 0, and returned {describe(y)}"
                )

    def check(self, shapes: list[tuple[int, ...]]) -> None:
        if shapes != [y.shape for y in self.outputs]:
            raise ShapeError(
                f"[{self.name}] the function returned shapes {shapes}, and {[y.shape for y in self.outputs]} elsewhere; "
                "shapes must not vary"
            )

    def arguments(self, points: Array) -> list[Array]:
        """The leaves of the argument at the rows, which stand along a new axis in front."""
        found, start = [], 0
        for like in self.avals:
            part = points[:, start : start + like.size].reshape(len(points), *like.shape)
            complex_step = np.iscomplexobj(points) and like.dtype.kind != "c"
            found.append(part if complex_step else part.astype(like.dtype))
            start += like.size
        return found

    def called(self, points: Array, batch: bool) -> Any:
        """What the function returns at the rows, or at the one row."""
        leaves = self.arguments(points)
        given = leaves if batch else [x[0][()] for x in leaves]
        return self.of_leaves(*(handle(np.asarray(x)) if wanted else x for x, wanted in zip(given, self.is_tensor, strict=True)))

    def of_leaves(self, *leaves: Any) -> Any:
        return self.f(tree.unflatten(self.structure, list(leaves)), *self.args)


def operand(name: str, path: str, leaf: Any) -> Array:
    """A leaf of the argument as an array.

    **Raises** `DTypeError` unless it is of floating point; `TypeError` for what has no value, or is no array.
    """
    value = leaf.value if leaf.__class__ is Tensor else leaf
    if is_abstract(value) or not is_array(leaf):
        raise TypeError(f"[{name}] {path} is {describe(leaf)}; differences are taken at values: pass an array of numbers")
    found = value if hasattr(value, "dtype") else np.asarray(value)
    if found.dtype.kind not in "fc":
        raise DTypeError(
            f"[{name}] {path} is {describe(found)}; derivatives are of floating-point arguments only: write 3.0, or use astype"
        )
    return np.asarray(found)


def plain(name: str, y: Any) -> Array:
    """A leaf of a result as an array of floats."""
    found = y.value if y.__class__ is Tensor else y
    if getattr(found, "dtype", None) == OBJECT:
        raise DTypeError(f"[{name}] the function returned {describe(y)}; differences are taken in floats: use astype")
    array = np.asarray(found)
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def joined(arrays: Sequence[Array]) -> Array:
    """The elements of all arrays in one vector."""
    return np.concatenate([np.ravel(y) for y in arrays]) if arrays else np.zeros(0)
