"""Scans along an axis."""

from __future__ import annotations

import math
from typing import Any

from arrayad.compiler import calls
from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.text import C_TYPES


@rule("cumulative_sum", "cumulative_prod", "recurrence")
def running(builder: Builder, entry: Any, *xs: Read, axis: int, reverse: bool) -> Read | None:
    shape, dtype = entry.output.shape, entry.output.dtype
    if dtype.name not in C_TYPES or dtype.kind == "b" or any(x.node.dtype != dtype for x in xs):
        return None
    sizes = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    code = calls.Along(entry.primitive.name, sizes, dtype, reverse)
    return builder.call(code, [builder.whole(x) for x in xs], [(shape, dtype)])[0]
