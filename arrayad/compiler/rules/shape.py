"""Rows that look at the same elements in another shape."""

from __future__ import annotations

from typing import Any

from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.views import View, settled


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


@rule("common_diagonal")
def common_diagonal(builder: Builder, entry: Any, x: Read, *, axis1: int, axis2: int) -> Read:
    return Read(x.node, diagonal(x.view, axis1, axis2))


def diagonal(view: View, axis1: int, axis2: int) -> View:
    """The elements whose indices along two axes agree: the second goes, and the first takes steps along both."""
    strides = [s + view.strides[axis2] if a == axis1 else s for a, s in enumerate(view.strides)]
    shape = view.shape
    return settled((*shape[:axis2], *shape[axis2 + 1 :]), view.offset, (*strides[:axis2], *strides[axis2 + 1 :]))
