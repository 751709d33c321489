"""Rows that put arrays together from pieces, each with a place of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.compiler import calls
from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.text import C_TYPES
from arrayad.compiler.views import View, contiguous

PIECES = 8
"""Pieces up to which a loop over all of them is split; more are copied one by one."""


@rule("concat")
def concat(builder: Builder, entry: Any, *xs: Read, axis: int) -> Read | None:
    shape, dtype = entry.output.shape, entry.output.dtype
    if dtype.name not in C_TYPES or any(x.node.dtype != dtype for x in xs):
        return None
    return chained(builder, xs, axis, shape, dtype)


def chained(builder: Builder, xs: Sequence[Read], axis: int, shape: Any, dtype: Any) -> Read:
    """Arrays one after the other along an axis."""
    pieces, start = [], 0
    for x in xs:
        n = x.view.shape[axis]
        if n and 0 not in shape:
            box = [(0, m) for m in shape]
            box[axis] = (start, start + n)
            pieces.append((tuple(box), placed(x, shape, box, list(range(len(shape))))))
        start += n
    return joined(builder, pieces, shape, dtype) if pieces else builder.constant(np.zeros(shape, dtype))


def joined(builder: Builder, pieces: list[Any], shape: Any, dtype: Any) -> Read:
    if len(pieces) == 1:
        return pieces[0][1]
    if len(pieces) <= PIECES:
        return builder.select(pieces, shape, dtype)
    targets, reads = [], []
    for box, x in pieces:
        whole = View(tuple(shape), 0, contiguous(tuple(shape)))
        index = tuple(slice(low, high) for low, high in box)
        targets.append(builder.slice(Read(x.node, whole), index).view)
        reads.append(builder.slice(builder.stored(x), index))
    return builder.call(calls.Assemble(targets), reads, [(tuple(shape), dtype)])[0]


def placed(value: Read, shape: Any, box: Any, axes: Any) -> Read:
    """What is written into a box, as a view of the whole array's space: its place outside the box means nothing."""
    offset, strides = value.view.offset, []
    for (low, _), axis in zip(box, axes, strict=True):
        s = 0 if axis is None else value.view.strides[axis]
        offset -= low * s
        strides.append(s)
    return Read(value.node, View(tuple(shape), offset, tuple(s if n != 1 else 0 for n, s in zip(shape, strides, strict=True))))


@rule("delay")
def delay(builder: Builder, entry: Any, x: Read, *, axis: int, reverse: bool) -> Read | None:
    shape, dtype = x.view.shape, x.node.dtype
    n = shape[axis]
    if dtype.name not in C_TYPES:
        return None
    zero = builder.broadcast(builder.number(0, dtype), shape)
    if n < 2:
        return zero
    box = [(0, m) for m in shape]
    box[axis] = (0, n - 1) if reverse else (1, n)
    s = x.view.strides[axis]
    moved = Read(x.node, x.view._replace(offset=x.view.offset + (s if reverse else -s)))
    everything = tuple((0, m) for m in shape)
    return builder.select([(tuple(box), moved), (everything, zero)], shape, dtype)
