"""Trees of arrays as the vectors that minimisers move, and the box that bounds them.

All minimisers compute in float64, also where leaves are float32: a vector is rounded to what the leaves can hold before a
function sees it, so that a step is exactly the difference of two points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import AbstractValueError, DTypeError, ShapeError, describe
from arrayad.shaped import is_abstract
from arrayad.tensor import Tensor, handle

Array = np.ndarray[Any, Any]


class Space:
    """The trees of one structure, shapes and dtypes, as vectors of float64.

    **Raises** `DTypeError` for leaves that are not float32 or float64; `AbstractValueError` for those without a value.
    """

    def __init__(self, name: str, x0: Any) -> None:
        leaves, self.structure = tree.flatten(x0)
        for path, leaf in tree.paths(x0, "x0"):
            check_leaf(name, path, leaf)
        arrays = [np.asarray(leaf.value if leaf.__class__ is Tensor else leaf) for leaf in leaves]
        self.name = name
        self.paths = [path for path, _ in tree.paths(x0, "x")]
        self.shapes = [x.shape for x in arrays]
        self.dtypes = [x.dtype for x in arrays]
        self.sizes = [x.size for x in arrays]
        self.stops = np.cumsum(self.sizes, dtype=np.intp)
        self.size = int(self.stops[-1]) if arrays else 0
        self.is_exact = all(dtype == np.float64 for dtype in self.dtypes)
        self.epsilon = max((float(np.finfo(dtype).eps) for dtype in self.dtypes), default=float(np.finfo(np.float64).eps))
        self.start = self.vector(arrays)

    def vector(self, leaves: Sequence[Any]) -> Array:
        """The vector of these leaves, an array of its own that nobody changes."""
        parts = [np.asarray(x.value if x.__class__ is Tensor else x, np.float64).reshape(-1) for x in leaves]
        return frozen(np.concatenate(parts) if parts else np.zeros(0))

    def pack(self, x: Any) -> Array:
        """The vector of a tree."""
        return self.vector(tree.leaves(x))

    def unpack(self, x: Array) -> Any:
        """The tree of Tensors that a vector stands for."""
        parts = np.split(x, self.stops[:-1]) if self.shapes else []
        leaves = [
            handle(part.reshape(shape).astype(dtype, copy=False))
            for part, shape, dtype in zip(parts, self.shapes, self.dtypes, strict=True)
        ]
        return tree.unflatten(self.structure, leaves)

    def rounded(self, x: Array) -> Array:
        """The vector that the leaves can hold nearest to this one."""
        return frozen(x) if self.is_exact else self.pack(self.unpack(x))

    def where(self, bad: Array) -> str:
        """The first element of a vector that is marked, as one would write it: `x['w'][0, 2]`."""
        place = int(np.argmax(bad))
        i = int(np.searchsorted(self.stops, place, side="right"))
        index = np.unravel_index(place - int(self.stops[i]) + self.sizes[i], self.shapes[i])
        return self.paths[i] + (f"[{', '.join(str(int(j)) for j in index)}]" if index else "")


def frozen(x: Array) -> Array:
    """The array, which from now on nobody changes."""
    x.flags.writeable = False
    return x


def check_leaf(name: str, path: str, leaf: Any) -> None:
    """**Raises** for a leaf that no minimiser can move."""
    value = leaf.value if leaf.__class__ is Tensor else leaf
    if is_abstract(value):
        raise AbstractValueError(
            f"[{name}] {path} has no value here, within vmap, trace or compile; use ad.custom_argmin(f, x0, solve), which runs "
            "a minimiser with values at hand"
        )
    dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
    if dtype not in (np.float32, np.float64):
        cure = "minimise over its real and imaginary parts" if dtype.kind == "c" else "write 3.0, or use astype"
        raise DTypeError(f"[{name}] {path} is {describe(value)}; minimisers move float32 and float64: {cure}")


class Box:
    """Bounds of each element: low[i] <= x[i] <= high[i], infinite where there is none."""

    def __init__(self, low: Array, high: Array) -> None:
        self.low, self.high = low, high

    def project(self, x: Array) -> Array:
        """The nearest point within the bounds."""
        return np.minimum(np.maximum(x, self.low), self.high)

    def longest(self, x: Array, direction: Array) -> float:
        """How far one may go from x along a direction."""
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(direction > 0, (self.high - x) / direction, (self.low - x) / direction)
        return float(np.min(room, where=direction != 0, initial=np.inf))


def box_of(name: str, bounds: Any, space: Space, x0: Any) -> Box | None:
    """The box of `bounds`, a pair (low, high) of trees like `x0`, numbers, or None; None where nothing is bounded.

    **Raises** `TypeError` for what is no pair; `ShapeError` for bounds that do not fit; `ValueError` where low exceeds high.
    """
    if bounds is None:
        return None
    if not isinstance(bounds, tuple) or len(bounds) != 2:
        came = f"{len(bounds)} values" if isinstance(bounds, tuple) else type(bounds).__name__
        raise TypeError(
            f"[{name}] bounds is {came}; the pair (low, high) is needed, each a number, an array, a tree like x0, or None: "
            "bounds=(0.0, None)"
        )
    low, high = (side(name, word, bound, space, x0) for word, bound in zip(("low", "high"), bounds, strict=True))
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    if (empty := low > high).any():
        k = int(np.argmax(empty))
        raise ValueError(f"[{name}] the bounds leave no room for {space.where(empty)}: low is {low[k]:g}, high {high[k]:g}")
    return Box(low, high)


def side(name: str, word: str, bound: Any, space: Space, x0: Any) -> Array:
    """A bound of each element; nan where there is none."""
    if bound is None:
        return np.full(space.size, np.nan)
    try:
        given = [np.asarray(bound)] if isinstance(bound, list) and space.structure == tree.LEAF else tree.spread(bound, x0)
    except ValueError as error:
        raise ShapeError(f"[{name}] {word} of bounds must be a number, an array or a tree like x0; {error}") from None
    parts = []
    for path, leaf, shape, dtype in zip(space.paths, given, space.shapes, space.dtypes, strict=True):
        value = np.asarray(np.nan if leaf is None else leaf.value if leaf.__class__ is Tensor else leaf, dtype)
        try:
            parts.append(np.broadcast_to(value, shape).reshape(-1).astype(np.float64))
        except ValueError:
            raise ShapeError(
                f"[{name}] {word} of bounds is {describe(value)} for {path}, whose shape is {shape}; it must broadcast to that"
            ) from None
    return np.concatenate(parts) if parts else np.zeros(0)
