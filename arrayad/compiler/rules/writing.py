"""Rows that put elements into an array: `put` and `set_at`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.compiler import calls
from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.rules.joining import PIECES, placed
from arrayad.compiler.rules.reading import checked, full_index, known_places
from arrayad.compiler.text import C_TYPES
from arrayad.compiler.views import View, contiguous
from arrayad.primitives.indexing import ARRAY


@rule("put")
def put(builder: Builder, entry: Any, x: Read, *arrays: Read, index: Any, shape: Any) -> Read | None:
    dtype = x.node.dtype
    if dtype.name not in C_TYPES:
        return None
    if arrays:
        runs = put_in_runs(builder, x, arrays, index, shape)
        return scattered(builder, entry, x, arrays, index, shape) if runs is None else runs
    found = box_of(shape, full_index(index, len(shape)))
    zero = builder.broadcast(builder.number(0, dtype), shape)
    if found is None:
        return written(builder, zero, x, index, shape, dtype)
    box, axes, _ = found
    if any(low >= high for low, high in box):
        return zero
    everything = tuple((0, n) for n in shape)
    if tuple(box) == everything:
        return placed(x, shape, box, axes)
    return builder.select([(tuple(box), placed(x, shape, box, axes)), (everything, zero)], shape, dtype)


def put_in_runs(builder: Builder, x: Read, arrays: Sequence[Read], index: Any, shape: Any) -> Read | None:
    """Elements put where a known index along one axis says, each place once: in a few runs of neighbours."""
    found = known_places(arrays, index, shape)
    if found is None or len(set(found[1])) < len(found[1]) or 0 in shape:
        return None
    axis, places = found
    starts = [i for i, k in enumerate(places) if i == 0 or k != places[i - 1] + 1]
    if len(starts) > PIECES:
        return None
    everything = tuple((0, n) for n in shape)
    pieces = []
    for start, stop in zip(starts, [*starts[1:], len(places)], strict=True):
        box = list(everything)
        box[axis] = (places[start], places[start] + stop - start)
        part = builder.slice(x, (*[slice(None)] * axis, slice(start, stop)))
        pieces.append((tuple(box), placed(part, shape, box, list(range(len(shape))))))
    zero = builder.broadcast(builder.number(0, x.node.dtype), shape)
    return builder.select([*pieces, (everything, zero)], shape, x.node.dtype)


def box_of(shape: Any, index: list[Any]) -> tuple[list[tuple[int, int]], list[int | None], list[Any]] | None:
    """Where a basic index lies in an array: its box, and for each axis of the array that of the selection, None for an int.

    Third, the axes of the selection that None put in.  None for steps other than 1.
    """
    box: list[tuple[int, int]] = []
    axes: list[int | None] = []
    axis = place = 0
    new: list[int] = []
    for part in index:
        if part is None:
            new.append(place)
            place += 1
        elif isinstance(part, slice):
            start, stop, step = part.indices(shape[axis])
            if step != 1 and len(range(start, stop, step)) > 1:
                return None
            box.append((start, max(start, stop) if step == 1 else start + len(range(start, stop, step))))
            axes.append(place)
            axis, place = axis + 1, place + 1
        else:
            k = int(part) % shape[axis]
            box.append((k, k + 1))
            axes.append(None)
            axis += 1
    return box, axes, new


@rule("set_at")
def set_at(builder: Builder, entry: Any, base: Read, value: Read, *arrays: Read, index: Any, **params: Any) -> Read | None:
    dtype, shape = base.node.dtype, base.view.shape
    if dtype.name not in C_TYPES or value.node.dtype != dtype or arrays or params:
        return None
    found = box_of(shape, full_index(index, len(shape)))
    chosen = entry.output.shape
    assert chosen == shape
    if found is None:
        return written(builder, base, value, index, shape, dtype)
    box, axes, new = found
    if any(low >= high for low, high in box):
        return base
    rank = sum(axis is not None for axis in axes) + len(new)
    if len(value.view.shape) > rank:
        return None
    lengths = [0] * rank
    for (low, high), axis in zip(box, axes, strict=True):
        if axis is not None:
            lengths[axis] = high - low
    for place in new:
        lengths[place] = 1
    value = builder.broadcast(value, tuple(lengths))
    everything = tuple((0, n) for n in shape)
    return builder.select([(tuple(box), placed(value, shape, box, axes)), (everything, base)], shape, dtype)


def written(builder: Builder, base: Read, value: Read, index: Any, shape: Any, dtype: Any) -> Read:
    """The base with a strided part of it overwritten."""
    target = builder.slice(Read(base.node, View(tuple(shape), 0, contiguous(tuple(shape)))), index).view
    whole = builder.whole(base)
    return builder.call(
        calls.Overwrite(target), [whole, builder.broadcast(builder.stored(value), target.shape)], [(tuple(shape), dtype)]
    )[0]


def scattered(builder: Builder, entry: Any, x: Read, arrays: Sequence[Read], index: Any, shape: Any) -> Read | None:
    """Elements added up where integer arrays say: along the first axis, or as many as there are arrays."""
    parts = full_index(index, len(shape))
    if any(array.node.dtype.kind not in "iu" for array in arrays):
        return None
    count = len(arrays)
    if parts[:count] != [ARRAY] * count or any(part != slice(None) for part in parts[count:]):
        return None
    common = np.broadcast_shapes(*(array.view.shape for array in arrays))
    for array, length in zip(arrays, shape, strict=False):
        checked(builder, entry, array, length)
    reads = []
    for array in arrays:
        wide = builder.broadcast(array, common)
        reads.append(builder.whole(builder.map("astype", "x", np.int64, [wide], np.int64)))
    rows, row = math.prod(common), math.prod(shape[count:])
    value = builder.whole(builder.broadcast(x, (*common, *shape[count:])))
    code = calls.Scatter(rows, row, tuple(shape[:count]), x.node.dtype)
    return builder.call(code, [value, *reads], [(tuple(shape), x.node.dtype)])[0]
