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
from arrayad.compiler.rules.reading import full_index, gathered, known_places, spread
from arrayad.compiler.rules.shape import diagonal
from arrayad.compiler.text import C_TYPES
from arrayad.compiler.views import View, sliced, whole
from arrayad.primitives.indexing import contracted, selected_shape
from arrayad.shaped import Shaped


@rule("put")
def put(builder: Builder, entry: Any, x: Read, *arrays: Read, index: Any, shape: Any) -> Read | None:
    dtype = x.node.dtype
    if dtype.name not in C_TYPES:
        return None
    if arrays:
        runs = put_in_runs(builder, x, arrays, index, shape)
        return scattered(builder, entry, None, x, arrays, index, shape) if runs is None else runs
    found = box_of(shape, full_index(index, len(shape)))
    zero = builder.broadcast(builder.number(0, dtype), shape)
    if found is None:
        return written(builder, None, x, slice_of(shape, index), shape)
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
def set_at(builder: Builder, entry: Any, base: Read, value: Read, *arrays: Read, index: Any) -> Read | None:
    dtype, shape = base.node.dtype, base.view.shape
    if dtype.name not in C_TYPES or value.node.dtype != dtype:
        return None
    if arrays:
        return scattered(builder, entry, base, value, arrays, index, shape)
    found = box_of(shape, full_index(index, len(shape)))
    chosen = entry.output.shape
    assert chosen == shape
    if found is None:
        return written(builder, base, value, slice_of(shape, index), shape)
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


def slice_of(shape: Any, index: Any) -> View:
    """The part of an array of this shape that a basic index selects."""
    return sliced(whole(tuple(shape)), index)


def written(builder: Builder, base: Read | None, value: Read, target: View, shape: Any) -> Read:
    """The base, or zeros, with a strided part of it overwritten."""
    operands = [builder.broadcast(builder.stored(value), target.shape)]
    if base is not None:
        operands.append(builder.whole(base))
    return builder.call(calls.Overwrite(target), operands, [(tuple(shape), value.node.dtype)])[0]


def scattered(
    builder: Builder, entry: Any, base: Read | None, value: Read, arrays: Sequence[Read], index: Any, shape: Any
) -> Read | None:
    """Elements written into a base, or added up in zeros, where integer arrays say."""
    if any(array.node.dtype.kind not in "iu" for array in arrays):
        return None
    dtype = value.node.dtype
    chosen = selected_shape(entry.primitive.name, tuple(shape), index, tuple(Shaped(x.view.shape, x.node.dtype) for x in arrays))
    target, moved = spread(builder, entry, whole(tuple(shape)), arrays, index, chosen)
    if 0 in chosen or 0 in shape:
        return builder.broadcast(builder.number(0, dtype), shape) if base is None else base
    reads = [builder.broadcast(builder.stored(x), chosen) for x, _, _ in moved]
    operands = [builder.broadcast(builder.stored(value), chosen), *reads]
    if base is not None:
        operands.append(builder.whole(base))
    code = calls.Scatter(entry.primitive.name, target, [(length, stride) for _, length, stride in moved])
    return builder.call(code, operands, [(tuple(shape), dtype)])[0]


@rule("last_writes")
def last_writes(builder: Builder, entry: Any, *arrays: Read, index: Any, shape: Any) -> Read | None:
    """Each write leaves its number, the later ones over the earlier; those whose number is still there were the last."""
    lengths, small = contracted(shape, index)
    chosen = entry.output.shape
    if 0 in chosen or 0 in lengths:
        return builder.empty(chosen, np.bool_) if 0 in chosen else None
    numbers = builder.constant(np.arange(math.prod(chosen)).reshape(chosen))
    writer = scattered(builder, entry, builder.broadcast(builder.number(0, np.int64), lengths), numbers, arrays, small, lengths)
    found = None if writer is None else gathered(builder, entry, writer, arrays, small)
    return None if found is None else builder.map("equal", "x1 == x2", np.int64, [found, numbers], np.bool_)


@rule("on_diagonal")
def on_diagonal(builder: Builder, entry: Any, x: Read, *, axis1: int, axis2: int) -> Read | None:
    shape, dtype = entry.output.shape, entry.output.dtype
    if dtype.name not in C_TYPES:
        return None
    if 0 in shape:
        return builder.empty(shape, dtype)
    return written(builder, None, x, diagonal(whole(shape), axis1, axis2), shape)
