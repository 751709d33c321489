"""Public scans along an axis: running sums and products, and differences."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from arrayad.errors import describe
from arrayad.functions.creation import asarray, full
from arrayad.functions.reduction import accumulated
from arrayad.namespace import public
from arrayad.primitives import scan as rows
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.comparison import not_equal
from arrayad.primitives.indexing import getitem
from arrayad.primitives.joining import concat
from arrayad.primitives.shape import reshape
from arrayad.shaped import is_weak, normalize_axis
from arrayad.tensor import Tensor


def scanned(row: Callable[..., Any], name: str, x: Any, axis: int | None, dtype: Any, initial: float | None) -> Tensor:
    """Scan along one axis; an `initial` value goes before the first element.  None is the only axis of a vector."""
    x = accumulated(x, dtype)
    if axis is None and x.ndim != 1:
        raise ValueError(f"[{name}] x is {describe(x)} and axis None; of what is no vector an axis is needed, or reshape(x, -1)")
    axis = normalize_axis(0 if axis is None else axis, x.ndim, name)
    y = row(x, axis=axis, reverse=False)
    if initial is None:
        return y
    start = full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), initial, x.dtype)
    return concat(start, y, axis=axis)


@public()
def cumulative_sum(x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Tensor:
    """Running sum along `axis`: y[j] = sum over k <= j of x[k]; with `include_initial` a 0 goes before it.

    The axis of a vector may be left out.  Booleans and small integers are summed as int64.

    **Example**

    >>> import arrayad as ad
    >>> ad.cumulative_sum([1.0, 2.0, 3.0]), ad.cumulative_sum([1.0, 2.0], include_initial=True)
    (Tensor([1., 3., 6.]), Tensor([0., 1., 3.]))
    """
    return scanned(rows.cumulative_sum, "cumulative_sum", x, axis, dtype, 0 if include_initial else None)


@public()
def cumulative_prod(x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Tensor:
    """Running product along `axis`: y[j] = product over k <= j of x[k]; with `include_initial` a 1 goes before it.

    The axis of a vector may be left out.  Its derivatives are right also where elements are 0.

    **Example**

    >>> import arrayad as ad
    >>> ad.cumulative_prod([2.0, 3.0, 4.0])
    Tensor([ 2.,  6., 24.])
    """
    return scanned(rows.cumulative_prod, "cumulative_prod", x, axis, dtype, 1 if include_initial else None)


def flattened(x: Any, axis: int | None) -> tuple[Tensor, int]:
    """The operand and the axis; without one all elements in C order, as NumPy has it."""
    x = asarray(x)
    return (reshape(x, shape=(x.size,)), 0) if axis is None else (x, axis)


@public(method=True)
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """NumPy's `cumulative_sum`: without `axis` along all elements in C order.

    **Example**

    >>> import arrayad as ad
    >>> ad.cumsum([[1.0, 2.0], [3.0, 4.0]])
    Tensor([ 1.,  3.,  6., 10.])
    """
    return cumulative_sum(*flattened(x, axis), dtype)


@public(method=True)
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """NumPy's `cumulative_prod`: without `axis` along all elements in C order."""
    return cumulative_prod(*flattened(x, axis), dtype)


@public()
def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along `axis`: y[j] = x[j + 1] - x[j], taken `n` times; of booleans if they differ.

    **Parameters** `prepend`, `append`: arrays, or single values, to put before and after `x`.

    **Example**

    >>> import arrayad as ad
    >>> ad.diff([1.0, 4.0, 9.0]), ad.diff([1.0, 4.0, 9.0], prepend=0.0)
    (Tensor([3., 5.]), Tensor([1., 3., 5.]))
    """
    x = asarray(x, copy=True)
    axis = normalize_axis(axis, x.ndim, "diff")
    if index(n) < 0:
        raise ValueError(f"[diff] n is {n}; it must not be negative")
    parts = [beside(part, x, axis) for part in (prepend, append) if part is not None]
    if prepend is not None:
        parts.insert(1, x)
    elif append is not None:
        parts.insert(0, x)
    x = concat(*parts, axis=axis) if parts else x
    lead = (slice(None),) * axis
    for _ in range(n):
        last, first = getitem(x, index=(*lead, slice(1, None))), getitem(x, index=(*lead, slice(None, -1)))
        x = not_equal(last, first) if x.dtype.kind == "b" else last - first
    return x


def beside(part: Any, x: Tensor, axis: int) -> Tensor:
    """What to put before or after `x`: an array as it is, a single value repeated; a Python number is weak."""
    part = asarray(part, np.result_type(part, x.dtype) if is_weak(part) else None)
    return part if part.ndim else broadcast_to(part, shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]))
