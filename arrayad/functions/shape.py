"""Public functions that rearrange elements: other shapes and orders, several arrays into one, one into several."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.errors import ShapeError, describe
from arrayad.functions.creation import asarray
from arrayad.namespace import attach, expose, public
from arrayad.primitives import shape as rows
from arrayad.primitives.broadcasting import broadcast_to as repeat_to
from arrayad.primitives.indexing import ARRAY, getitem
from arrayad.primitives.joining import concat as joined
from arrayad.shaped import normalize_axes, normalize_axis
from arrayad.tensor import Tensor, handle

Axis = int | tuple[int, ...] | None

# --- another shape -------------------------------------------------------------------------------------------------


def shape_arguments(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as one tuple or as several ints."""
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        (shape,) = shape
    return tuple(map(operator.index, shape))


@public(method=True)
def reshape(x: Any, *lengths: Any, shape: Any = None) -> Tensor:
    """The same elements in C order under another shape; one length may be -1 and follows from the rest.

    **Raises** `ShapeError` when the number of elements differs.

    **Example**

    >>> import arrayad as ad
    >>> ad.reshape([1.0, 2.0, 3.0, 4.0], (2, -1))
    Tensor([[1., 2.],
            [3., 4.]])
    """
    x = asarray(x)
    asked = new = shape_arguments(lengths if shape is None else (shape,))
    if new.count(-1) == 1:
        rest = -math.prod(new)
        if rest and x.size % rest == 0:
            new = tuple(x.size // rest if n == -1 else n for n in new)
    if math.prod(new) != x.size or (new and min(new) < 0):
        raise ShapeError(f"[reshape] {describe(x)} has {x.size} elements, which do not fit the shape {asked}")
    return rows.reshape(x, shape=new)


@public(method=True)
def ravel(x: Any) -> Tensor:
    """All elements in C order on one axis."""
    x = asarray(x)
    return rows.reshape(x, shape=(x.size,))


expose(ravel, "flatten", method=True)


@public(method=True)
def expand_dims(x: Any, axis: int | tuple[int, ...] = 0) -> Tensor:
    """New axes of length 1, at the positions `axis` of the result.

    **Example**

    >>> import arrayad as ad
    >>> ad.expand_dims([1.0, 2.0], axis=-1).shape
    (2, 1)
    """
    x = asarray(x)
    count = len(axis) if isinstance(axis, tuple | list) else 1
    axes = normalize_axes(axis, x.ndim + count, "expand_dims")
    lengths = iter(x.shape)
    return rows.reshape(x, shape=tuple(1 if i in axes else next(lengths) for i in range(x.ndim + count)))


expose(expand_dims, "unsqueeze", method=True)


@public(method=True)
def squeeze(x: Any, axis: Axis = None) -> Tensor:
    """Without the axes `axis`, which must have length 1; None drops every such axis.

    **Raises** `ShapeError` for an axis of another length.
    """
    x = asarray(x)
    ones = tuple(i for i, n in enumerate(x.shape) if n == 1)
    axes = ones if axis is None else normalize_axes(axis, x.ndim, "squeeze")
    if not set(axes) <= set(ones):
        raise ShapeError(f"[squeeze] axis {axis} of {describe(x)} is not of length 1; index it, or sum over it")
    return rows.reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


def at_least(x: Any, ndim: int) -> Tensor:
    x = asarray(x, copy=True)
    return rows.reshape(x, shape=(1,) * (ndim - x.ndim) + x.shape) if x.ndim < ndim else x


@public()
def atleast_1d(*xs: Any) -> Any:
    """Each array with one axis at least; a tuple where several come."""
    found = tuple(at_least(x, 1) for x in xs)
    return found[0] if len(found) == 1 else found


@public()
def atleast_2d(*xs: Any) -> Any:
    """Each array with two axes at least, new ones in front; a tuple where several come."""
    found = tuple(at_least(x, 2) for x in xs)
    return found[0] if len(found) == 1 else found


@public(method=True)
def broadcast_to(x: Any, *lengths: Any, shape: Any = None) -> Tensor:
    """The elements repeated along new leading axes and along axes of length 1.

    **Raises** `ShapeError` where the shapes do not broadcast.

    **Example**

    >>> import arrayad as ad
    >>> ad.broadcast_to([1.0, 2.0], (2, 2))
    Tensor([[1., 2.],
            [1., 2.]])
    """
    x, new = asarray(x), shape_arguments(lengths if shape is None else (shape,))
    lead = len(new) - x.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(x.shape, new[lead:], strict=True)):
        raise ShapeError(f"[broadcast_to] {describe(x)} does not fit {new}; from the last, axes must agree or be 1")
    return repeat_to(x, shape=new)


@public()
def broadcast_arrays(*xs: Any) -> tuple[Tensor, ...]:
    """The arrays broadcast against each other to one shape."""
    tensors = [asarray(x, copy=True) for x in xs]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in tensors))
    except ValueError:
        came = ", ".join(map(describe, tensors))
        raise ShapeError(f"[broadcast_arrays] from the last, axes must agree or be 1: {came}; reshape them") from None
    return tuple(x if x.shape == shape else repeat_to(x, shape=shape) for x in tensors)


# --- another order of axes -----------------------------------------------------------------------------------------


@public(method=True, numpy=())
def permute_dims(x: Any, *order: Any, axes: Any = None) -> Tensor:
    """The axes in another order: axis k of the result is axis `axes[k]` of `x`.

    **Example**

    >>> import arrayad as ad
    >>> ad.permute_dims(ad.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    x, asked = asarray(x), shape_arguments(order if axes is None else (axes,))
    order = tuple(normalize_axis(a, x.ndim, "permute_dims") for a in asked)
    if len(set(order)) != x.ndim or len(order) != x.ndim:
        raise ShapeError(f"[permute_dims] axes {asked} do not name each axis of {describe(x)} once")
    return rows.permute_dims(x, axes=order)


expose(permute_dims, "permute", method=True)


@public(method=True)
def transpose(x: Any, *order: Any, axes: Any = None) -> Tensor:
    """The axes in another order, by default reversed, as in NumPy: `x.T` is `transpose(x)`."""
    x = asarray(x)
    if axes is not None:
        order = (axes,)
    if not order or order == (None,):
        return rows.permute_dims(x, axes=tuple(range(x.ndim - 1, -1, -1)))
    return permute_dims(x, *order)


@public(method=True)
def matrix_transpose(x: Any) -> Tensor:
    """The last two axes exchanged: y[..., i, j] = x[..., j, i]; `x.mT` is the same.

    **Raises** `ShapeError` for fewer than two axes.
    """
    x = asarray(x)
    if x.ndim < 2:
        raise ShapeError(f"[matrix_transpose] two axes at least were needed, {describe(x)} came")
    return swapaxes(x, -1, -2)


attach("T", property(transpose, doc="The axes reversed."))
attach("mT", property(matrix_transpose, doc="The last two axes exchanged."))


@public(method=True)
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = asarray(x)
    first, second = normalize_axis(axis1, x.ndim, "swapaxes"), normalize_axis(axis2, x.ndim, "swapaxes")
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return rows.permute_dims(x, axes=tuple(order))


@public(method=True)
def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The axes `source` moved to the positions `destination`; the others keep their order.

    **Example**

    >>> import arrayad as ad
    >>> ad.moveaxis(ad.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = asarray(x)
    sources, destinations = (
        [normalize_axis(a, x.ndim, "moveaxis") for a in (axes if isinstance(axes, Sequence) else (axes,))]
        for axes in (source, destination)
    )
    if not len(sources) == len(destinations) == len(set(sources)) == len(set(destinations)):
        raise ShapeError(f"[moveaxis] source {source} and destination {destination} must name as many distinct axes")
    order = [a for a in range(x.ndim) if a not in sources]
    for position, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(position, axis)
    return rows.permute_dims(x, axes=tuple(order))


# --- another order of elements -------------------------------------------------------------------------------------


@public(method=True)
def flip(x: Any, axis: Axis = None) -> Tensor:
    """The elements in reverse order along `axis`; None means along all.

    **Example**

    >>> import arrayad as ad
    >>> ad.flip([1.0, 2.0, 3.0])
    Tensor([3., 2., 1.])
    """
    x = asarray(x)
    axes = normalize_axes(axis, x.ndim, "flip")
    return getitem(x, index=tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)))


@public(method=True)
def roll(x: Any, shift: int | tuple[int, ...], axis: Axis = None) -> Tensor:
    """The elements moved on by `shift` places along `axis`, those that fall off at the end put at the front.

    Without an axis the elements are moved in C order.

    **Example**

    >>> import arrayad as ad
    >>> ad.roll([1.0, 2.0, 3.0], 1)
    Tensor([3., 1., 2.])
    """
    x = asarray(x, copy=True)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    for places, along in np.broadcast(shift, axis):
        dimension = normalize_axis(int(along), x.ndim, "roll")
        length = x.shape[dimension]
        places = int(places) % max(1, length)
        if places:
            start = length - places
            x = joined(section(x, dimension, start, length), section(x, dimension, 0, start), axis=dimension)
    return x


def section(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """The elements from `start` up to `stop` along an axis."""
    return getitem(x, index=(slice(None),) * axis + (slice(start, stop),))


def gathered(x: Tensor, axis: int, positions: Any) -> Tensor:
    """The elements at constant positions along an axis."""
    return getitem(x, handle(positions), index=(slice(None),) * axis + (ARRAY,))


@public(method=True)
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element `repeats` times, one after the other, along `axis`; without an axis, of all elements in C order.

    **Parameters** `repeats`: an int, or an int for each element along the axis.

    **Example**

    >>> import arrayad as ad
    >>> ad.repeat([1.0, 2.0], 2)
    Tensor([1., 1., 2., 2.])
    """
    x = asarray(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "repeat")
    before, length, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    counts = np.asarray(repeats)
    if counts.size == 1:
        count = int(counts.reshape(()))
        wide = repeat_to(rows.reshape(x, shape=(*before, length, 1, *after)), shape=(*before, length, count, *after))
        return rows.reshape(wide, shape=(*before, length * count, *after))
    if counts.shape != (length,):
        raise ShapeError(f"[repeat] one count or {length} were needed for {describe(x)}, {describe(counts)} came")
    return gathered(x, axis, np.repeat(np.arange(length), counts))


@public(method=True)
def tile(x: Any, repetitions: int | Sequence[int]) -> Tensor:
    """The whole array `repetitions` times along each axis; new axes in front where there are more of them.

    **Example**

    >>> import arrayad as ad
    >>> ad.tile([1.0, 2.0], 2)
    Tensor([1., 2., 1., 2.])
    """
    counts = tuple(repetitions) if isinstance(repetitions, Sequence) else (operator.index(repetitions),)
    x = at_least(x, len(counts))
    counts = (1,) * (x.ndim - len(counts)) + counts
    if all(count == 1 for count in counts):
        return x
    spaced = rows.reshape(x, shape=tuple(m for n in x.shape for m in (1, n)))
    wide = repeat_to(spaced, shape=tuple(m for pair in zip(counts, x.shape, strict=True) for m in pair))
    return rows.reshape(wide, shape=tuple(count * n for count, n in zip(counts, x.shape, strict=True)))


# --- several arrays into one, one into several ---------------------------------------------------------------------


@public(numpy="concatenate")
def concat(arrays: Sequence[Any], axis: int | None = 0) -> Tensor:
    """The arrays one after the other along `axis`; None joins their elements in C order.

    **Raises** `ShapeError` where the other lengths differ.

    **Example**

    >>> import arrayad as ad
    >>> ad.concat([ad.tensor([1.0, 2.0]), ad.tensor([3.0])])
    Tensor([1., 2., 3.])
    """
    tensors = [asarray(x) for x in arrays]
    if not tensors:
        raise ShapeError("[concat] one array at least was needed, an empty sequence came")
    if axis is None:
        tensors, axis = [ravel(x) for x in tensors], 0
    axis = normalize_axis(axis, tensors[0].ndim, "concat")
    others = {x.shape[:axis] + (x.ndim,) + x.shape[axis + 1 :] for x in tensors}
    if len(others) > 1:
        came = ", ".join(map(describe, tensors))
        raise ShapeError(f"[concat] all lengths but those of axis {axis} must agree: {came}; reshape, or use stack")
    return joined(*tensors, axis=axis)


expose(concat, "concatenate", numpy=())


@public()
def stack(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    """Arrays of one shape joined along a new axis, at position `axis` of the result.

    **Example**

    >>> import arrayad as ad
    >>> ad.stack([1.0, 2.0])
    Tensor([1., 2.])
    """
    tensors = [asarray(x) for x in arrays]
    if len({x.shape for x in tensors}) != 1:
        came = ", ".join(map(describe, tensors)) or "none"
        raise ShapeError(f"[stack] arrays of one shape were needed: {came} came; reshape them, or use concat")
    axis = normalize_axis(axis, tensors[0].ndim + 1, "stack")
    return joined(*(expand_dims(x, axis) for x in tensors), axis=axis)


@public()
def vstack(arrays: Sequence[Any]) -> Tensor:
    """Arrays one below the other: along the first axis, 1-d arrays as rows."""
    return concat([at_least(x, 2) for x in arrays])


@public()
def hstack(arrays: Sequence[Any]) -> Tensor:
    """Arrays side by side: along the second axis, 1-d arrays along their only one."""
    tensors = [at_least(x, 1) for x in arrays]
    return concat(tensors, axis=0 if tensors and tensors[0].ndim == 1 else 1)


@public(method=True)
def unstack(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The arrays that lie one after the other along `axis`, without that axis: what `stack` joins."""
    x = asarray(x)
    axis = normalize_axis(axis, x.ndim, "unstack")
    return tuple(getitem(x, index=(slice(None),) * axis + (i,)) for i in range(x.shape[axis]))


@public(method=True)
def array_split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """The array cut along `axis` into `sections` parts, the first ones longer by one if need be, or at positions."""
    x = asarray(x)
    axis = normalize_axis(axis, x.ndim, "array_split")
    length = x.shape[axis]
    if isinstance(sections, int | np.integer):
        if sections < 1:
            raise ValueError(f"[array_split] one section at least was needed, {sections} were asked for")
        size, longer = divmod(length, int(sections))
        cuts = [i * size + min(i, longer) for i in range(1, int(sections))]
    else:
        cuts = [int(cut) for cut in sections]
    return [section(x, axis, start, stop) for start, stop in zip([0, *cuts], [*cuts, length], strict=True)]


@public(method=True)
def split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """The array cut along `axis` into equal `sections`, or at the positions in a sequence, as NumPy cuts it.

    **Raises** `ShapeError` where the length is no multiple of the sections.

    **Example**

    >>> import arrayad as ad
    >>> ad.split(ad.arange(5.0), [2, 3])
    [Tensor([0., 1.]), Tensor([2.]), Tensor([3., 4.])]
    """
    x = asarray(x)
    length = x.shape[normalize_axis(axis, x.ndim, "split")]
    if isinstance(sections, int | np.integer) and sections > 0 and length % sections:
        raise ShapeError(f"[split] axis {axis} of {describe(x)} is no multiple of {sections}; use array_split")
    return array_split(x, sections, axis)
