"""Scans along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.compiler.calls_axes import Scan
from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.rules.order import around
from arrayad.compiler.text import C_TYPES, SUFFIX


@rule("cumulative_sum", "cumulative_prod", "recurrence")
def running(builder: Builder, entry: Any, *xs: Read, axis: int, reverse: bool) -> Read | None:
    shape, dtype = entry.output.shape, entry.output.dtype
    if dtype.name not in C_TYPES or dtype.kind == "b" or any(x.node.dtype != dtype for x in xs):
        return None
    if 0 in shape:
        return builder.empty(shape, dtype)
    kind = dtype if dtype.name in SUFFIX else np.dtype(np.int64)  # whole numbers wrap around as their lowest bits do
    if kind != dtype:
        xs = tuple(builder.map("astype", "x", kind, [x], kind) for x in xs)
    code = Scan(entry.primitive.name, around(shape, axis), SUFFIX.get(kind.name, "i64"), len(xs), reverse)
    (found,) = builder.call(code, [builder.whole(x) for x in xs], [(shape, kind)])
    return found if kind == dtype else builder.map("astype", "x", dtype, [found], dtype)
