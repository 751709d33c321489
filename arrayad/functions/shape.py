"""Public functions that rearrange elements."""

from __future__ import annotations

import math
from typing import Any

from arrayad.errors import ShapeError, describe
from arrayad.functions.creation import asarray
from arrayad.namespace import public
from arrayad.primitives import shape as rows
from arrayad.tensor import Tensor


def shape_arguments(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as one tuple or as several ints."""
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        (shape,) = shape
    return tuple(int(n) for n in shape)


@public(method=True)
def reshape(x: Any, *shape: Any) -> Tensor:
    """The same elements in C order under another shape; one length may be -1 and follows from the rest.

    **Raises** `ShapeError` when the number of elements differs.

    **Example**

    >>> import arrayad as ad
    >>> ad.reshape([1.0, 2.0, 3.0, 4.0], (2, -1))
    Tensor([[1., 2.],
            [3., 4.]])
    """
    x = asarray(x)
    new = shape_arguments(shape)
    if new.count(-1) == 1:
        rest = math.prod(n for n in new if n != -1)
        if rest and x.size % rest == 0:
            new = tuple(x.size // rest if n == -1 else n for n in new)
    if math.prod(new) != x.size or any(n < 0 for n in new):
        raise ShapeError(f"[reshape] {describe(x)} has {x.size} elements, which do not fit the shape {shape_arguments(shape)}")
    return rows.reshape(x, shape=new)
