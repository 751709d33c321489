"""`Shaped`: the abstract value, a shape and a dtype that stand for an array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.errors import describe

WEAK = frozenset((bool, int, float, complex))
"""Python's own numbers: they take the dtype of what they meet."""


class Shaped:
    """An array of which only the shape and the dtype are known.

    **Example**

    >>> Shaped((2, 3), "float32")
    f32[2,3]
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return describe(self)

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Shaped and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))


class Bundle(tuple[Any, ...]):
    """The outputs of an operation that has several: the value of its one entry, of which `pick` takes the parts.

    Its abstract value is a Bundle of `Shaped`; its tangent and its cotangent are Bundles of Tensors, None for zero.
    """

    __slots__ = ()

    @property
    def size(self) -> int:
        return sum(part.size for part in self if part is not None)

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self if part is not None)


def is_abstract(value: Any) -> bool:
    """Whether `value` is known only by its shape and dtype."""
    return value.__class__ is Shaped or (value.__class__ is Bundle and any(map(is_abstract, value)))


def is_weak(value: Any) -> bool:
    """Whether `value` is a Python number, which takes the dtype of what it meets."""
    return value.__class__ in WEAK


def aval(value: Any) -> Any:
    """The abstract value of an array, a NumPy scalar or a `Shaped`; a Python number stands for itself."""
    if value.__class__ is Shaped or value.__class__ in WEAK:
        return value
    if value.__class__ is Bundle:
        return Bundle(map(aval, value))
    shaped = new_object(Shaped)  # an array's shape and dtype need no conversion
    shaped.shape = value.shape
    shaped.dtype = value.dtype
    return shaped


new_object = object.__new__


def normalize_axis(axis: int, ndim: int, name: str) -> int:
    """`axis` counted from the front; raises `IndexError` when there is no such axis."""
    if not -ndim <= axis < ndim:
        raise IndexError(f"[{name}] axis {axis} is out of bounds for {ndim} dimensions; it must lie in [{-ndim}, {ndim})")
    return axis % ndim


def normalize_axes(axis: int | tuple[int, ...] | None, ndim: int, name: str) -> tuple[int, ...]:
    """A sorted tuple of distinct axes counted from the front; None means all."""
    if axis is None:
        return tuple(range(ndim))
    axes = [normalize_axis(int(a), ndim, name) for a in (axis if isinstance(axis, tuple | list) else (axis,))]
    if len(set(axes)) != len(axes):
        raise ValueError(f"[{name}] axis {axis} names an axis twice")
    return tuple(sorted(axes))
