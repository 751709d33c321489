"""Rows that take elements out of an array: `getitem`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.compiler.ir import Constant, Read, Uniform
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.rules.joining import PIECES, chained
from arrayad.compiler.text import C_TYPES
from arrayad.compiler.views import View, settled
from arrayad.primitives.indexing import ARRAY, layout
from arrayad.shaped import Shaped

MOST_PLACES = 1 << 16
"""The length of a known index that is looked through for runs."""


def full_index(index: tuple[Any, ...], ndim: int) -> list[Any]:
    """An index without Ellipsis, of all axes."""
    used = sum(part is not None and part is not Ellipsis for part in index)
    if Ellipsis not in index:
        index = (*index, Ellipsis)
    place = index.index(Ellipsis)
    return [*index[:place], *[slice(None)] * (ndim - used), *index[place + 1 :]]


@rule("getitem")
def getitem(builder: Builder, entry: Any, x: Read, *arrays: Read, index: Any) -> Read | None:
    if not arrays:
        return builder.slice(x, index)
    runs = known_runs(x, arrays, index)
    if runs is not None:
        axis, slices = runs
        lead = [slice(None)] * axis
        parts = [builder.slice(x, (*lead, part)) for part in slices]
        return parts[0] if len(parts) == 1 else chained(builder, parts, axis, entry.output.shape, x.node.dtype)
    return gathered(builder, entry, x, arrays, index)


def known_places(arrays: Sequence[Read], index: Any, shape: Any) -> tuple[int, list[int]] | None:
    """A known index along one axis: the axis, and the places, counted from the front; None for any other index."""
    parts = full_index(index, len(shape))
    if len(arrays) != 1 or parts.count(ARRAY) != 1 or any(part is not ARRAY and part != slice(None) for part in parts):
        return None
    axis, node = parts.index(ARRAY), arrays[0].node
    if len(arrays[0].view.shape) != 1 or arrays[0].view.shape[0] > MOST_PLACES:
        return None
    if isinstance(node, Uniform):
        places = [int(node.value)] * arrays[0].view.shape[0]
    elif isinstance(node, Constant) and arrays[0].view.is_whole:
        places = node.array.tolist()
    else:
        return None
    n = shape[axis]
    return (axis, [k % n for k in places]) if places and all(-n <= k < n for k in places) else None


def known_runs(x: Read, arrays: Sequence[Read], index: Any) -> tuple[int, list[slice]] | None:
    """A known index along one axis as its few runs of evenly spaced places: the axis, and a slice for each run."""
    found = known_places(arrays, index, x.view.shape)
    if found is None:
        return None
    axis, places = found
    runs: list[list[int]] = [[places[0]]]
    for k in places[1:]:
        run = runs[-1]
        if (len(run) == 1 and k > run[0]) or (len(run) > 1 and k - run[-1] == run[1] - run[0]):
            run.append(k)
        else:
            runs.append([k])
    if len(runs) > PIECES:
        return None
    return axis, [slice(run[0], run[-1] + 1, run[1] - run[0] if len(run) > 1 else 1) for run in runs]


def gathered(builder: Builder, entry: Any, x: Read, arrays: Sequence[Read], index: Any) -> Read | None:
    """Elements of the source from where arrays say."""
    shape = entry.output.shape
    if x.node.dtype.name not in C_TYPES or any(array.node.dtype.kind not in "iu" for array in arrays):
        return None
    space, moved = spread(builder, entry, x.view, arrays, index, shape)
    if math.prod(shape) == 0:
        return builder.empty(shape, x.node.dtype)
    return builder.gather(Read(x.node, space), moved, shape)


def spread(
    builder: Builder, entry: Any, view: View, arrays: Sequence[Read], index: Any, shape: Any
) -> tuple[View, list[tuple[Read, int, int]]]:
    """An array as an index with arrays sees it: a view of the selection's space, moved by each array times a stride.

    The arrays' axes stand together in front or in place, the others are a view of the array's.  Each array comes with the length
    of its axis, and broadcasts to the space.
    """
    parts = full_index(index, len(view.shape))
    advanced = [i for i, part in enumerate(parts) if part is ARRAY or isinstance(part, int | np.integer)]
    shapes = [Shaped(array.view.shape, array.node.dtype) for array in arrays]
    together = layout(index, shapes, [False] * len(arrays), len(view.shape)).together
    common = np.broadcast_shapes(*(array.view.shape for array in arrays))
    rest = iter(arrays)
    offset, axis, before = view.offset, 0, 0
    strides: list[int] = []
    indices: list[tuple[Read, int, int]] = []
    for i, part in enumerate(parts):
        if part is None:
            strides.append(0)
        elif isinstance(part, slice):
            start, stop, step = part.indices(view.shape[axis])
            offset += start * view.strides[axis] if len(range(start, stop, step)) else 0
            strides.append(step * view.strides[axis])
            axis += 1
        else:
            if i == advanced[0]:
                before = len(strides) if together else 0
            if part is ARRAY:
                indices.append((next(rest), view.shape[axis], view.strides[axis]))
            else:
                offset += (int(part) % view.shape[axis]) * view.strides[axis]
            axis += 1
    lead, tail = strides[:before], strides[before:]
    moved = []
    for array, length, stride in indices:
        checked(builder, entry, array, length)
        moved.append((builder.reshape(array, (*array.view.shape, *(1,) * len(tail))), length, stride))
    return settled(shape, offset, (*lead, *(0,) * len(common), *tail)), moved


def checked(builder: Builder, entry: Any, array: Read, length: int) -> None:
    """Let the program fail where an index is out of bounds."""
    kind = array.node.dtype
    text = f"x < {length}" if kind.kind == "u" else f"(x < {length} && x >= -{length})"
    words = f"[{entry.primitive.name}] an index is out of bounds for an axis of length {length}, at {entry.location}"
    inside = builder.map("in_bounds", text, kind, [array], np.bool_)
    builder.check(builder.reduce("all", inside, tuple(range(len(array.view.shape)))), lambda place: IndexError(words))
