"""Rows that look at the same elements in another shape."""

from __future__ import annotations

from typing import Any

from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule


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
