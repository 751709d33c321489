"""Sums over axes and repetition along axes: each the other's transpose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad import kernels
from arrayad.dependence import along_axis, moved
from arrayad.primitive import folding, linear
from arrayad.primitives.shape import reshape
from arrayad.samples import Samples
from arrayad.shaped import Shaped

SHAPES: list[Any] = [
    ((2, 3, 4), {"axis": (1,)}),
    ((2, 3, 4), {"axis": (0, 2)}),
    ((5,), {"axis": (0,)}),
    ((2, 3), {"axis": (0, 1)}),
]
EMPTY: list[Any] = [((0, 3), {"axis": (0,)}), ((3, 0), {"axis": (0,)}), ((), {"axis": ()})]


def without(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape less some axes."""
    return tuple(n for i, n in enumerate(shape) if i not in axis)


def with_ones(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with some axes of length 1."""
    return tuple(1 if i in axis else n for i, n in enumerate(shape))


def spread(x: Any, shape: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """A reduced array repeated along the axes that it was reduced over."""
    if x.ndim:
        x = reshape(x, shape=with_ones(shape, axis))
    return broadcast_to(x, shape=shape)


def reduced(x: Shaped, *, axis: tuple[int, ...]) -> Shaped:
    """The shape rule of a reduction."""
    return Shaped(without(x.shape, axis), x.dtype)


# --- batching rules ------------------------------------------------------------------------------------------------


def for_each(x: Any, size: int) -> Any:
    """An operand that the examples of a batch share, once for each; no memory is taken where it is large."""
    return broadcast_to(x, shape=(size, *x.shape))


def all_batched(size: int, operands: Any, batched: Any) -> list[Any]:
    """The operands, each with the batch as axis 0."""
    return [x if flag else for_each(x, size) for x, flag in zip(operands, batched, strict=True)]


def all_alike(row: Any, size: int, operands: Any, batched: Any, /, **params: Any) -> Any:
    """The batching rule of a row that treats all axes but the last alike."""
    return row.apply(*all_batched(size, operands, batched), **params)


def along_next_axis(row: Any, size: int, operands: Any, batched: Any, *, axis: int, **params: Any) -> Any:
    """The batching rule of a row along the axis `axis`, a nonnegative int: it is the next one."""
    return row.apply(*all_batched(size, operands, batched), axis=axis + 1, **params)


def along_next_axes(row: Any, size: int, operands: Any, batched: Any, *, axis: tuple[int, ...], **params: Any) -> Any:
    """The batching rule of a row along the axes `axis`, a tuple."""
    return row.apply(*all_batched(size, operands, batched), axis=tuple(a + 1 for a in axis), **params)


# --- sums ----------------------------------------------------------------------------------------------------------


def sum_kernel(x: Any, axis: tuple[int, ...]) -> Any:
    return np.add.reduce(x, axis=axis, dtype=x.dtype)


def sum_transpose(ct: Any, x: Shaped, *, axis: tuple[int, ...]) -> Any:
    return spread(ct, x.shape, axis)


reduce_sum = linear(
    "reduce_sum",
    """Sum over `axis`, a sorted tuple of nonnegative axes, in the operand's dtype.""",
    numpy=kernels.reduction("sum", sum_kernel),
    shape=reduced,
    transpose=sum_transpose,
    pattern=along_axis,
    batch=along_next_axes,
    samples=Samples(cases=SHAPES + EMPTY),
    cost=folding,
)


# --- repetition ----------------------------------------------------------------------------------------------------


def broadcast_transpose(ct: Any, x: Shaped, *, shape: tuple[int, ...]) -> Any:
    lead = len(shape) - x.ndim
    axis = (*range(lead), *(i + lead for i, n in enumerate(x.shape) if n == 1 and shape[i + lead] != 1))
    return reshape(reduce_sum(ct, axis=axis), shape=x.shape)


SMALL = 1 << 12
"""Elements up to which a copy is made sooner than a view: NumPy takes microseconds for `broadcast_to`."""


def repeated(x: Any, shape: tuple[int, ...]) -> Any:
    if not shape:
        return x
    if math.prod(shape) > SMALL:
        return np.broadcast_to(x, shape)
    out = np.empty(shape, x.dtype)
    out[...] = x
    return out


def broadcast_batch(row: Any, size: int, operands: Any, batched: Any, *, shape: tuple[int, ...]) -> Any:
    (x,) = operands
    aligned = (size, *(1,) * (len(shape) + 1 - x.ndim), *x.shape[1:])
    return broadcast_to(x if x.shape == aligned else reshape(x, shape=aligned), shape=(size, *shape))


broadcast_to = linear(
    "broadcast_to",
    """The elements repeated along new leading axes and along axes of length 1.""",
    numpy=repeated,
    shape=lambda x, *, shape: Shaped(shape, x.dtype),
    transpose=broadcast_transpose,
    batch=broadcast_batch,
    view=True,
    pattern=moved,
    samples=Samples(
        cases=[((3,), {"shape": (2, 3)}), ((2, 1, 3), {"shape": (4, 2, 5, 3)}), ((), {"shape": (2,)}), ((1,), {"shape": (0,)})]
    ),
)
