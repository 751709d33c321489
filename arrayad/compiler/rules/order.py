"""Rows that find positions by order: sorting, searching, extrema."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.compiler.calls_axes import Argsort, Extremum, Search
from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.text import C_TYPES, SUFFIX

INT64 = np.dtype(np.int64)


def around(shape: Any, axis: int) -> tuple[int, int, int]:
    """The elements before an axis, along it, and behind it."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def comparable(builder: Builder, x: Read) -> tuple[Read, str]:
    """The elements as numbers of a type that emitted/order.h has keys for, in the same order, and its suffix."""
    dtype = x.node.dtype
    if dtype.name in SUFFIX:
        return builder.whole(x), SUFFIX[dtype.name]
    if dtype.name == "uint64":
        x = builder.map("as_signed", "x ^ UINT64_C(9223372036854775808)", dtype, [x], INT64)
    elif dtype != INT64:
        x = builder.map("astype", "x", INT64, [x], INT64)
    return builder.whole(x), "i64"


@rule("argsort")
def argsort(builder: Builder, entry: Any, x: Read, *, axis: int, descending: bool) -> Read | None:
    shape = x.view.shape
    if x.node.dtype.name not in C_TYPES:
        return None
    if 0 in shape:
        return builder.empty(shape, entry.output.dtype)
    whole, suffix = comparable(builder, x)
    return builder.call(Argsort(around(shape, axis), suffix, descending), [whole], [(shape, entry.output.dtype)])[0]


@rule("searchsorted")
def searchsorted(builder: Builder, entry: Any, x: Read, values: Read, *, side: str) -> Read | None:
    if any(each.node.dtype.name not in C_TYPES for each in (x, values)):
        return None
    *lead, n = x.view.shape
    shape, dtype = entry.output.shape, entry.output.dtype
    if 0 in shape:
        return builder.empty(shape, dtype)
    if n == 0:
        return builder.broadcast(builder.number(0, dtype), shape)
    common = np.result_type(x.node.dtype, values.node.dtype)
    if common.name not in C_TYPES:
        return None
    x, values = (
        each if each.node.dtype == common else builder.map("astype", "x", common, [each], common) for each in (x, values)
    )
    (first, suffix), (second, _) = comparable(builder, x), comparable(builder, values)
    sequences = math.prod(lead)
    code = Search(sequences, n, math.prod(shape) // sequences, suffix, side == "right")
    return builder.call(code, [first, second], [(shape, dtype)])[0]


@rule("argmax", "argmin")
def position(builder: Builder, entry: Any, x: Read, *, axis: Any) -> Read | None:
    if x.node.dtype.name not in C_TYPES:
        return None
    (along,) = axis
    shape, name = entry.output.shape, entry.primitive.name
    if 0 in shape:
        return builder.empty(shape, INT64)
    if x.node.dtype.name not in SUFFIX:
        return first_place(builder, x, along, "max" if name == "argmax" else "min")
    code = Extremum(name, around(x.view.shape, along), SUFFIX[x.node.dtype.name])
    return builder.call(code, [builder.whole(x)], [(shape, INT64)])[0]


def first_place(builder: Builder, x: Read, axis: int, fold: str) -> Read:
    """The first place where a whole number is the extremum of all: the least of the places of those that are."""
    dtype, shape = x.node.dtype, x.view.shape
    kept = tuple(1 if a == axis else n for a, n in enumerate(shape))
    best = builder.reshape(builder.reduce(fold, x, (axis,)), kept)
    is_best = builder.map("equal", "x1 == x2", dtype, [x, best], np.bool_)
    n = shape[axis]
    places = builder.constant(np.arange(n).reshape((n, *(1,) * (len(shape) - 1 - axis))))
    chosen = builder.map("where", f"x1 ? x2 : {n}", INT64, [is_best, places], INT64)
    return builder.reduce("min", chosen, (axis,))
