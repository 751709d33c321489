"""Folds along axes, and the places of extrema."""

from __future__ import annotations

from typing import Any

from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.text import C_TYPES

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
