"""Strided views: where, in the elements of a contiguous array, each element of an iteration space is found."""

from __future__ import annotations

import math
from typing import NamedTuple

Shape = tuple[int, ...]


def contiguous(shape: Shape) -> Shape:
    """The strides, in elements, of an array in C order; 0 along axes of length 1."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step if n != 1 else 0)
        step *= n
    return tuple(reversed(strides))


class View(NamedTuple):
    """Element i of a space of this shape is element offset + Σ strides[a] i[a] of an array."""

    shape: Shape
    offset: int
    strides: Shape

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_whole(self) -> bool:
        """Whether the space is the array itself, in C order from its first element."""
        return self.offset == 0 and self.strides == contiguous(self.shape)


def whole(shape: Shape) -> View:
    """The view of an array as it stands."""
    return View(shape, 0, contiguous(shape))


def settled(shape: Shape, offset: int, strides: Shape) -> View:
    """A view whose strides are 0 along axes of length 1."""
    return View(shape, offset, tuple(s if n != 1 else 0 for n, s in zip(shape, strides, strict=True)))


def broadcast(view: View, shape: Shape) -> View:
    """The view repeated along new leading axes and along axes of length 1."""
    lead = len(shape) - len(view.shape)
    strides = (*(0,) * lead, *(s if n == m else 0 for n, m, s in zip(view.shape, shape[lead:], view.strides, strict=True)))
    return settled(shape, view.offset, strides)


def permuted(view: View, axes: Shape) -> View:
    """The view with its axes in another order."""
    return View(tuple(view.shape[a] for a in axes), view.offset, tuple(view.strides[a] for a in axes))


def reshaped(view: View, shape: Shape) -> View | None:
    """The view under another shape in C order; None where that is no view."""
    if 0 in shape:
        return View(shape, view.offset, (0,) * len(shape))
    old = [(n, s) for n, s in zip(view.shape, view.strides, strict=True) if n != 1]
    strides: list[int] = []
    i = 0
    rest, step = 1, 0  # of the run of old axes that is being dealt out, the elements left and the stride of its last axis
    for n in reversed(shape):
        if n == 1:
            strides.append(0)
            continue
        if rest == 1:
            rest, step = old[-1 - i]
            i += 1
        while rest % n:
            if i == len(old) or old[-1 - i][1] != step * rest:
                return None
            rest *= old[-1 - i][0]
            i += 1
        strides.append(step)
        rest, step = rest // n, step * n
    return View(shape, view.offset, tuple(reversed(strides)))


def sliced(view: View, index: tuple[object, ...]) -> View:
    """The part that a basic index of NumPy's selects: ints, slices, None and Ellipsis."""
    used = sum(part is not None and part is not Ellipsis for part in index)
    if Ellipsis not in index:
        index = (*index, Ellipsis)
    shape: list[int] = []
    strides: list[int] = []
    offset, axis = view.offset, 0
    for part in index:
        if part is None:
            shape.append(1)
            strides.append(0)
        elif part is Ellipsis:
            rest = len(view.shape) - used
            shape += view.shape[axis : axis + rest]
            strides += view.strides[axis : axis + rest]
            axis += rest
        elif isinstance(part, slice):
            start, stop, step = part.indices(view.shape[axis])
            n = len(range(start, stop, step))
            offset += start * view.strides[axis] if n else 0
            shape.append(n)
            strides.append(step * view.strides[axis])
            axis += 1
        else:
            offset += (int(part) % view.shape[axis]) * view.strides[axis]  # type: ignore[call-overload]
            axis += 1
    return settled(tuple(shape), offset, tuple(strides))


def squeezed(view: View) -> View:
    """The view without axes of length 1."""
    kept = [a for a, n in enumerate(view.shape) if n != 1]
    return View(tuple(view.shape[a] for a in kept), view.offset, tuple(view.strides[a] for a in kept))


def refinement(first: Shape, second: Shape) -> Shape | None:
    """The coarsest shape that splits the axes of both, which have equally many elements; None where there is none."""
    a, b = list(first[::-1]), list(second[::-1])
    found: list[int] = []
    while a and b:
        n, m = a.pop(), b.pop()
        if n == m:
            found.append(n)
        elif n % m == 0:
            found.append(m)
            a.append(n // m)
        elif m % n == 0:
            found.append(n)
            b.append(m // n)
        else:
            return None
    return None if a or b else tuple(found)


def prefixes(shape: Shape) -> list[int]:
    """The numbers of elements of the leading axes, from none of them to all."""
    products = [1]
    for n in shape:
        products.append(products[-1] * n)
    return products
