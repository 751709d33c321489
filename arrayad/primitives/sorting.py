"""Rows that find positions by order.  They have no derivative; what is sorted by them has that of its gathering."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.primitive import general
from arrayad.primitives.broadcasting import all_alike, along_next_axis
from arrayad.samples import Samples
from arrayad.shaped import Shaped


def ascending(x: Any, axis: int) -> Any:
    """The order that NumPy finds; it compares objects, of which nan is in no order with others, so these come by two sorts."""
    if x.dtype.kind != "O":
        return np.argsort(x, axis=axis, kind="stable")
    unordered = np.isnan(x)
    order = np.argsort(np.where(unordered, 0, x), axis=axis, kind="stable")
    nan_last = np.argsort(np.take_along_axis(unordered, order, axis), axis=axis, kind="stable")
    return np.take_along_axis(order, nan_last, axis)


def sorting_order(x: Any, *, axis: int, descending: bool) -> Any:
    if not descending:
        return ascending(x, axis)
    # Both ways round, so that of equal elements the first stays first.
    backwards = ascending(np.flip(x, axis), axis)
    return x.shape[axis] - 1 - np.flip(backwards, axis)


def comparisons(output: Shaped, x: Shaped, *, axis: int, descending: bool) -> float:
    """The cost of sorting: n log2 n comparisons for each run of n."""
    return output.size * math.log2(max(2, x.shape[axis]))


argsort = general(
    "argsort",
    """The positions along `axis`, a nonnegative int, that put the elements in order, the first of equal ones first.

    nan counts as larger than anything.
    """,
    numpy=sorting_order,
    shape=lambda x, *, axis, descending: Shaped(x.shape, np.intp),
    batch=along_next_axis,
    cost=comparisons,
    samples=Samples(
        complex=True,
        shapes=[(5,), (2, 3), (0, 2), (2, 0), (3, 1)],
        params=[{"axis": 0, "descending": False}, {"axis": 0, "descending": True}],
    ),
)


def places_kernel(x: Any, values: Any, *, side: str) -> Any:
    if x.ndim == 1:
        return np.searchsorted(x, values, side=side)  # type: ignore[call-overload]
    out = np.empty(values.shape, np.intp)
    for lead in np.ndindex(*x.shape[:-1]):
        out[lead] = np.searchsorted(x[lead], values[lead], side=side)  # type: ignore[call-overload]
    return out


def places_batch(row: Any, size: int, operands: Any, batched: Any, *, side: str) -> Any:
    x, values = operands
    if x.ndim == 1:  # shared, and every value looks for its place alone
        return searchsorted(x, values, side=side)
    return all_alike(row, size, operands, batched, side=side)


def bisections(output: Shaped, x: Shaped, values: Shaped, *, side: str) -> float:
    """The cost of searching: log2 n comparisons for each value."""
    return output.size * math.log2(max(2, x.size))


searchsorted = general(
    "searchsorted",
    """The positions in `x1`, in order, where the elements of `x2` would keep it so; `side` settles ties.

    `x1` is 1-d, or has leading axes, which the first of `x2` equal: each set of values then has a sequence of its own.
    """,
    numpy=places_kernel,
    shape=lambda x, values, *, side: Shaped(values.shape, np.intp),
    batch=places_batch,
    cost=bisections,
    samples=Samples(
        complex=True,
        cases=[
            (((0,), (3,)), {"side": "left"}),
            (((1,), (2, 3)), {"side": "left"}),
            (((1,), ()), {"side": "right"}),
            (((4,), (0,)), {"side": "right"}),
        ],
    ),
)
