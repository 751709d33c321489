"""How rows are lowered: to views, C expressions, folds and calls.

A rule is `rule(builder, entry, *operands, **params)`; operands are Reads, or Python numbers where the row takes weak ones.
It returns a Read, a list of them for several results, or None where only the row's own kernel knows how.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad.compiler import calls
from arrayad.compiler.ir import Constant, Read, Uniform
from arrayad.compiler.lower import RULES, Builder, body
from arrayad.compiler.text import C_TYPES
from arrayad.compiler.views import View, contiguous
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE
from arrayad.primitives.indexing import ARRAY, layout
from arrayad.shaped import Shaped, is_weak


def rule(*names: str) -> Callable[[Any], Any]:
    """Declare the rule of the rows of these names."""

    def declare(function: Any) -> Any:
        for name in names:
            RULES[TABLE[name]] = function
        return function

    return declare


# --- elementwise -------------------------------------------------------------------------------------------------------

WHOLE_NUMBERS = {
    "floor_divide": "(x2 == 0 ? 0 : x1 / x2 - (x1 % x2 != 0 && (x1 < 0) != (x2 < 0)))",
    "remainder": "(x2 == 0 ? 0 : x1 % x2 + (x1 % x2 != 0 && (x1 < 0) != (x2 < 0) ? x2 : 0))",
    "abs": "(x < 0 ? -x : x)",
    "sign": "((x > 0) - (x < 0))",
    "maximum": "(x1 >= x2 ? x1 : x2)",
    "minimum": "(x1 <= x2 ? x1 : x2)",
    "at_least": "(x1 >= x2 ? x1 : x2)",
    "at_most": "(x1 <= x2 ? x1 : x2)",
    "relu": "(x > 0 ? x : 0)",
    "bitwise_and": "x1 & x2",
    "bitwise_or": "x1 | x2",
    "bitwise_xor": "x1 ^ x2",
    "bitwise_invert": "~x",
    "floor": "x",
    "ceil": "x",
    "trunc": "x",
    "rint": "x",
}
"""The C text of rows for integers, where theirs is for floating-point numbers."""

TRUTHS = {
    "add": "x1 || x2",
    "multiply": "x1 && x2",
    "bitwise_and": "x1 && x2",
    "bitwise_or": "x1 || x2",
    "bitwise_xor": "!x1 != !x2",
    "bitwise_invert": "!x",
    "maximum": "x1 || x2",
    "minimum": "x1 && x2",
}
"""The same for booleans."""

ANY_TYPE = {
    "logical_xor": "!x1 != !x2",
    "isnan": "x != x",
    "isinf": "x - x != C(0.0) && x == x",
    "isfinite": "x - x == C(0.0)",
    "signbit": "signbit(x) != 0",
}
"""The C text of rows that have none of their own."""

UNSIGNED_REFUSED = {"floor_divide", "remainder"}


def text_of(row: Any, kind: Any) -> str | None:
    """The C expression of a row in operands of this dtype; None where there is none."""
    if kind.name not in C_TYPES:
        return None
    if kind.kind == "b":
        return TRUTHS.get(row.name) or (row.c if row.c and "(" not in row.c.replace("(x1 ? x2 : x3)", "") else None)
    if kind.kind in "iu":
        found = WHOLE_NUMBERS.get(row.name)
        if found is not None:
            return found
        if row.name in ("isnan", "isinf"):
            return "(x, 0)"
        return row.c if row.c and not any(mark in row.c for mark in ("M(", "NAME(", "C(")) else None
    return row.c or ANY_TYPE.get(row.name)


def elementwise(builder: Builder, entry: Any, *operands: Any) -> Read | None:
    row, out = entry.primitive, entry.output.dtype
    types = [x if is_weak(x) else x.node.dtype for x in operands]
    if any(not is_weak(t) and t.name not in C_TYPES for t in types) or any(t.__class__ is complex for t in types):
        return None
    chosen = types[1:] if row.name == "where" else types
    kind = out
    if out.kind == "b":
        kind = np.result_type(*chosen)
    text = text_of(row, np.dtype(kind))
    if text is None:
        return None
    reads = [builder.number(x, kind) if is_weak(x) else x for x in operands]
    if row.name == "where":
        reads[0] = condition_of(builder, operands[0])
    found = builder.map(row.name, text, kind, reads, out)
    return found if found.view.shape == entry.output.shape else builder.broadcast(found, entry.output.shape)


def condition_of(builder: Builder, x: Any) -> Read:
    """A condition, of one byte an element where it is known."""
    if is_weak(x):
        return builder.number(bool(x), np.bool_)
    if isinstance(x.node, Constant) and x.node.dtype.kind != "b":
        return Read(Constant(x.node.array != 0), x.view)
    return x


RULES.update({row: elementwise for row in TABLE.values() if isinstance(row, Elementwise)})


@rule("astype")
def cast(builder: Builder, entry: Any, x: Read, *, dtype: Any) -> Read | None:
    target = np.dtype(dtype)
    if target == x.node.dtype:
        return x
    if target.name not in C_TYPES or x.node.dtype.name not in C_TYPES:
        return None
    if target.kind == "b":
        return builder.as_bool(x)
    return builder.map("astype", "x", target, [x], target)


@rule("real")
def real(builder: Builder, entry: Any, x: Read) -> Read | None:
    return None if x.node.dtype.kind == "c" else x


@rule("identity", "stop_gradient", "conj")
def same(builder: Builder, entry: Any, x: Read) -> Read | None:
    return None if entry.primitive.name == "conj" and x.node.dtype.kind == "c" else x


# --- views -------------------------------------------------------------------------------------------------------------


@rule("reshape")
def reshape(builder: Builder, entry: Any, x: Read, *, shape: Any) -> Read:
    return builder.reshape(x, shape)


@rule("permute_dims")
def permute(builder: Builder, entry: Any, x: Read, *, axes: Any) -> Read:
    return builder.permute(x, axes)


@rule("broadcast_to")
def broadcast_to(builder: Builder, entry: Any, x: Read, *, shape: Any) -> Read:
    return builder.broadcast(x, shape)


@rule("pick")
def pick(builder: Builder, entry: Any, x: Any, *, index: int) -> Any:
    return x[index]


# --- indexing ----------------------------------------------------------------------------------------------------------


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


MOST_PLACES = 1 << 16
"""The length of a known index that is looked through for runs."""


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


def gathered(builder: Builder, entry: Any, x: Read, arrays: Sequence[Read], index: Any) -> Read | None:
    """An index with arrays: the arrays' axes, together in front or in place, and a view of the source for the rest."""
    shape = entry.output.shape
    if x.node.dtype.name not in C_TYPES or any(array.node.dtype.kind not in "iu" for array in arrays):
        return None
    parts = full_index(index, len(x.view.shape))
    advanced = [i for i, part in enumerate(parts) if part is ARRAY or isinstance(part, int | np.integer)]
    shapes = [Shaped(array.view.shape, array.node.dtype) for array in arrays]
    together = layout(index, shapes, [False] * len(arrays), len(x.view.shape)).together
    common = np.broadcast_shapes(*(array.view.shape for array in arrays))
    rest = iter(arrays)
    view, offset, axis = x.view, x.view.offset, 0
    strides: list[int] = []
    indices: list[tuple[Read, int, int]] = []
    before = 0
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
    placed = (*lead, *(0,) * len(common), *tail)
    space = View(shape, offset, tuple(s if n != 1 else 0 for n, s in zip(shape, placed, strict=True)))
    moved = []
    for array, length, stride in indices:
        ones = builder.reshape(array, (*array.view.shape, *(1,) * len(tail)))
        checked(builder, entry, array, length)
        moved.append((ones, length, stride))
    if math.prod(shape) == 0:
        return builder.constant(np.zeros(shape, x.node.dtype))
    return builder.gather(Read(x.node, space), moved, shape)


def checked(builder: Builder, entry: Any, array: Read, length: int) -> None:
    """Let the program fail where an index is out of bounds."""
    kind = array.node.dtype
    text = f"x < {length}" if kind.kind == "u" else f"(x < {length} && x >= -{length})"
    error = IndexError(f"[{entry.primitive.name}] an index is out of bounds for an axis of length {length}, at {entry.location}")
    inside = builder.map("in_bounds", text, kind, [array], np.bool_)
    builder.check(builder.reduce("all", inside, tuple(range(len(array.view.shape)))), error)


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


def placed(value: Read, shape: Any, box: Any, axes: Any) -> Read:
    """What is written into a box, as a view of the whole array's space: its place outside the box means nothing."""
    offset, strides = value.view.offset, []
    for (low, _), axis in zip(box, axes, strict=True):
        s = 0 if axis is None else value.view.strides[axis]
        offset -= low * s
        strides.append(s)
    return Read(value.node, View(tuple(shape), offset, tuple(s if n != 1 else 0 for n, s in zip(shape, strides, strict=True))))


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


@rule("concat")
def concat(builder: Builder, entry: Any, *xs: Read, axis: int) -> Read | None:
    shape, dtype = entry.output.shape, entry.output.dtype
    if dtype.name not in C_TYPES or any(x.node.dtype != dtype for x in xs):
        return None
    return chained(builder, xs, axis, shape, dtype)


PIECES = 8
"""Pieces up to which a loop over all of them is split; more are copied one by one."""


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


@rule("delay")
def delay(builder: Builder, entry: Any, x: Read, *, axis: int, reverse: bool) -> Read | None:
    shape, dtype = x.view.shape, x.node.dtype
    n = shape[axis]
    if dtype.name not in C_TYPES or n < 2:
        return None
    box = [(0, m) for m in shape]
    box[axis] = (0, n - 1) if reverse else (1, n)
    s = x.view.strides[axis]
    moved = Read(x.node, x.view._replace(offset=x.view.offset + (s if reverse else -s)))
    everything = tuple((0, m) for m in shape)
    zero = builder.broadcast(builder.number(0, dtype), shape)
    return builder.select([(tuple(box), moved), (everything, zero)], shape, dtype)


# --- folds -------------------------------------------------------------------------------------------------------------

FOLDS = {"reduce_sum": "sum", "reduce_prod": "prod", "reduce_max": "max", "reduce_min": "min"}


@rule(*FOLDS)
def fold(builder: Builder, entry: Any, x: Read, *, axis: Any) -> Read | None:
    dtype = x.node.dtype
    if dtype.name not in C_TYPES or (dtype.kind == "b" and entry.primitive.name in ("reduce_sum", "reduce_prod")):
        return None
    return builder.reduce(FOLDS[entry.primitive.name], x, axis)


@rule("reduce_any", "reduce_all")
def truth(builder: Builder, entry: Any, x: Read, *, axis: Any) -> Read | None:
    if x.node.dtype.name not in C_TYPES:
        return None
    return builder.reduce("any" if entry.primitive.name == "reduce_any" else "all", builder.as_bool(x), axis)


@rule("argmax", "argmin")
def position(builder: Builder, entry: Any, x: Read, *, axis: Any) -> Read | None:
    if x.node.dtype.name not in C_TYPES:
        return None
    (along,) = axis
    shape = x.view.shape
    sizes = (math.prod(shape[:along]), shape[along], math.prod(shape[along + 1 :]))
    code = calls.Along(entry.primitive.name, sizes, x.node.dtype, False)
    return builder.call(code, [builder.whole(x)], [(entry.output.shape, np.int64)])[0]


@rule("cumulative_sum", "cumulative_prod", "recurrence")
def running(builder: Builder, entry: Any, *xs: Read, axis: int, reverse: bool) -> Read | None:
    shape, dtype = entry.output.shape, entry.output.dtype
    if dtype.name not in C_TYPES or dtype.kind == "b" or any(x.node.dtype != dtype for x in xs):
        return None
    sizes = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    code = calls.Along(entry.primitive.name, sizes, dtype, reverse)
    return builder.call(code, [builder.whole(x) for x in xs], [(shape, dtype)])[0]


# --- products ----------------------------------------------------------------------------------------------------------

TINY = 64
"""The multiplications of one product of a stack up to which it is computed as loops of elements."""


@rule("matrix_product")
def product(builder: Builder, entry: Any, x1: Read, x2: Read) -> Read | None:
    dtype, shape = entry.output.dtype, entry.output.shape
    if dtype.kind != "f" or dtype.name not in C_TYPES or x1.node.dtype != dtype or x2.node.dtype != dtype:
        return None
    *lead, m, k = x1.view.shape
    n = x2.view.shape[-1]
    if 0 in (*shape, k):
        return builder.constant(np.zeros(shape, dtype))
    x1, x2 = map(builder.stored, (x1, x2))
    if (lead and m * n * k <= TINY) or 1 in (m, n, k):
        return by_elements(builder, x1, x2, dtype)
    return builder.call(calls.Product(dtype), [x1, x2], [(shape, dtype)])[0]


def by_elements(builder: Builder, x1: Read, x2: Read, dtype: Any) -> Read:
    """A product as a sum of products of elements; what is summed over comes first if the larger factor lies so in memory."""
    *lead, m, k = x1.view.shape
    n, r = x2.view.shape[-1], len(lead)
    turned = builder.permute(x2, (*range(r), r + 1, r))
    matrix = x1 if m >= n else turned
    if abs(matrix.view.strides[-2]) < abs(matrix.view.strides[-1]) and 1 in (m, n) and not lead:
        first = builder.reshape(builder.permute(x1, (*range(r), r + 1, r)), (*lead, k, m, 1))
        second = builder.reshape(x2, (*lead, k, 1, n))
        axis = r
    else:
        first = builder.reshape(x1, (*lead, m, 1, k))
        second = builder.reshape(turned, (*lead, 1, n, k))
        axis = r + 2
    return builder.reduce("sum", builder.map("multiply", "x1 * x2", dtype, [first, second], dtype), (axis,))


# --- control -----------------------------------------------------------------------------------------------------------


@rule("recall", "recall_elements")
def recall(builder: Builder, entry: Any, saved: Read, *operands: Any, body: Any) -> Read:
    return saved


@rule("checkpoint")
def checkpoint(builder: Builder, entry: Any, *operands: Read, body: Any, again: Any) -> list[Read]:
    return builder.run(body.tape, operands)


@rule("scan")
def scan(builder: Builder, entry: Any, *operands: Read, body: Any, schedule: Any, **params: Any) -> list[Read]:
    block = lowered_body(builder, body.tape)
    code = calls.Scan(block, **params)
    return builder.call(code, [builder.whole(x) for x in operands], [(y.shape, y.dtype) for y in entry.output])


@rule("while")
def while_loop(
    builder: Builder, entry: Any, *operands: Read, condition: Any, body: Any, captures: int, checkpoint: Any
) -> list[Read]:
    code = calls.While(lowered_body(builder, condition.tape), lowered_body(builder, body.tape), captures)
    return builder.call(code, [builder.whole(x) for x in operands], [(y.shape, y.dtype) for y in entry.output])


@rule("switch")
def switch(builder: Builder, entry: Any, index: Read, *operands: Read, branches: Any) -> list[Read]:
    index = builder.whole(builder.map("astype", "x", np.int64, [index], np.int64))
    code = calls.Switch([lowered_body(builder, branch.tape) for branch in branches])
    return builder.call(code, [index, *map(builder.whole, operands)], [(y.shape, y.dtype) for y in entry.output])


lowered_body = body
