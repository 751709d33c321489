"""Public reductions, with `axis` (an int, a tuple, negative, None for all) and `keepdims`."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.functions.creation import asarray
from arrayad.namespace import public
from arrayad.primitives.broadcasting import reduce_sum, with_ones
from arrayad.primitives.shape import reshape
from arrayad.shaped import normalize_axes
from arrayad.tensor import Tensor

Axis = int | tuple[int, ...] | None


def kept_dims(y: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The reduced array with its axes of length 1 put back, if asked."""
    return reshape(y, shape=with_ones(x.shape, axes)) if keepdims else y


@public(method=True)
def sum(x: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis`: y = Σ x; booleans and small integers are summed as int64, as in NumPy.

    **Example**

    >>> import arrayad as ad
    >>> ad.sum([[1.0, 2.0], [3.0, 4.0]], axis=1)
    Tensor([3., 7.])
    """
    x = asarray(x)
    if dtype is None and x.dtype.kind in "biu":
        dtype = np.sum(np.empty(0, x.dtype)).dtype
    if dtype is not None:
        x = x.astype(dtype)
    axes = normalize_axes(axis, x.ndim, "sum")
    return kept_dims(reduce_sum(x, axis=axes), x, axes, keepdims)
