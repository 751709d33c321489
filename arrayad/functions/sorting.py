"""Public functions of order: sorting, the largest elements, searching, distinct values.

Positions have no derivative; the elements gathered by them have that of their gathering.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from arrayad.errors import ShapeError, describe
from arrayad.functions.creation import asarray
from arrayad.functions.indexing import observed, take_along_axis
from arrayad.functions.shape import ravel
from arrayad.namespace import expose, public
from arrayad.primitives import sorting as rows
from arrayad.primitives.indexing import ARRAY, getitem
from arrayad.primitives.shape import reshape
from arrayad.shaped import normalize_axis
from arrayad.tensor import Tensor, handle


@public(method=True)
def argsort(x: Any, axis: int | None = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """The positions along `axis` that put the elements in order; None sorts all of them in C order.

    The order is stable in any case: of equal elements the first comes first.  nan counts as larger than anything.

    **Example**

    >>> import arrayad as ad
    >>> ad.argsort([3.0, 1.0, 2.0]), ad.argsort([1.0, 2.0, 2.0], descending=True)
    (Tensor([1, 2, 0]), Tensor([1, 2, 0]))
    """
    x = asarray(x)
    if axis is None or x.ndim == 0:
        x, axis = ravel(x), 0
    return rows.argsort(x, axis=normalize_axis(axis, x.ndim, "argsort"), descending=bool(descending))


@public(method=True)
def sort(x: Any, axis: int | None = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along `axis`; None sorts all of them on one axis.

    **Kinks** where elements tie, each takes the cotangent of the place that the stable order gives it.

    **Example**

    >>> import arrayad as ad
    >>> ad.sort([3.0, 1.0, 2.0])
    Tensor([1., 2., 3.])
    """
    x = asarray(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "sort")
    return take_along_axis(x, rows.argsort(x, axis=axis, descending=bool(descending)), axis)


class TopK(NamedTuple):
    """The largest or smallest elements, and where they stand."""

    values: Tensor
    indices: Tensor


@public(method="topk")
def top_k(x: Any, k: int, axis: int = -1, largest: bool = True) -> TopK:
    """The `k` largest elements along `axis`, or the smallest, in order, and their positions.

    **Kinks** of equal elements the first is taken.

    **Raises** `ShapeError` where there are fewer than `k`.

    **Example**

    >>> import arrayad as ad
    >>> ad.top_k([3.0, 1.0, 2.0], 2)
    TopK(values=Tensor([3., 2.]), indices=Tensor([0, 2]))
    """
    x = asarray(x)
    axis = normalize_axis(axis, x.ndim, "top_k")
    if not 0 <= k <= x.shape[axis]:
        raise ShapeError(f"[top_k] {k} elements were asked for, axis {axis} of {describe(x)} has {x.shape[axis]}")
    order = rows.argsort(x, axis=axis, descending=largest)
    indices = getitem(order, index=(slice(None),) * axis + (slice(0, k),))
    return TopK(take_along_axis(x, indices, axis), indices)


expose(top_k, "topk", numpy=())


@public()
def searchsorted(x: Any, values: Any, side: str = "left", sorter: Any = None) -> Tensor:
    """The positions at which `values` would keep the 1-d `x`, which is in order, in order.

    **Parameters** `side`: "left" or "right" of equal elements; `sorter`: the positions that put `x` in order.

    **Example**

    >>> import arrayad as ad
    >>> ad.searchsorted([1.0, 2.0, 3.0], [0.5, 2.0], side="right")
    Tensor([0, 2])
    """
    x, values = asarray(x), asarray(values)
    if x.ndim != 1:
        raise ShapeError(f"[searchsorted] a 1-d array in order was needed, {describe(x)} came")
    if side not in ("left", "right"):
        raise ValueError(f"[searchsorted] side {side!r} is neither 'left' nor 'right'")
    if sorter is not None:
        x = getitem(x, asarray(sorter), index=(ARRAY,))
    return rows.searchsorted(x, values, side=side)


# --- distinct values: their number depends on the values, so a trace by shapes refuses them ------------------------


class UniqueAll(NamedTuple):
    """What the array API's `unique_all` returns."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What the array API's `unique_counts` returns."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What the array API's `unique_inverse` returns."""

    values: Tensor
    inverse_indices: Tensor


@public()
def unique_all(x: Any) -> UniqueAll:
    """The distinct values in order, where each first stands in C order, which of them each element is, and how often.

    The derivative passes to the first of equal elements; each nan is distinct.
    """
    flat = ravel(x)
    values = observed(flat, "unique")
    found = np.unique(values, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    _, first, inverse, counts = map(handle, found)
    shape = asarray(x).shape
    return UniqueAll(getitem(flat, first, index=(ARRAY,)), first, reshape(inverse, shape=shape), counts)


@public()
def unique_counts(x: Any) -> UniqueCounts:
    """The distinct values in order, and how often each occurs."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


@public()
def unique_inverse(x: Any) -> UniqueInverse:
    """The distinct values in order, and which of them each element is."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


@public()
def unique_values(x: Any) -> Tensor:
    """The distinct values in order.

    **Example**

    >>> import arrayad as ad
    >>> ad.unique_values([2.0, 1.0, 2.0])
    Tensor([1., 2.])
    """
    return unique_all(x).values
