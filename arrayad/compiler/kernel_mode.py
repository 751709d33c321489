"""Which of the two ways suits a kernel: rows as vectors, or rows one by one."""

from __future__ import annotations

import math

from arrayad.compiler.fuse import Kernel
from arrayad.compiler.ir import Node, Select
from arrayad.compiler.kernel_text import Member, Text
from arrayad.compiler.lane_text import LaneText
from arrayad.compiler.row_text import RowText

MOST_UNROLLED = 2000
"""Statements of a kernel over lanes."""

SHORT_ROW, LONGEST_ROW = 8, 64
"""Elements of a row up to which it is unrolled, and up to which it is where there are many rows."""


def collapsed(kernel: Kernel) -> bool:
    """Whether the rows are one axis to all that is read and written."""
    if len(kernel.prefix) <= 1:
        return True
    lead = len(kernel.prefix)
    members = [Member(node, kernel.prefix, kernel.rows) for node in kernel.members]
    for member in members:
        if isinstance(member.node, Select):
            return False
        for view in member.views():
            strides = view.strides[:lead]
            if any(s != t * n for s, t, n in zip(strides, strides[1:], kernel.prefix[1:], strict=False)):
                return False
    return True


def in_one_axis(kernel: Kernel) -> Kernel:
    """The kernel with its rows as one axis."""
    flat = Kernel()
    flat.members, flat.inside, flat.largest = kernel.members, kernel.inside, kernel.largest
    flat.rows, flat.prefix = kernel.rows, (kernel.rows,) if kernel.rows > 1 else ()
    return flat


def with_longer_rows(kernel: Kernel) -> Kernel:
    """The kernel with the last axis of its rows as part of each row."""
    longer = Kernel()
    longer.members, longer.inside, longer.largest = kernel.members, kernel.inside, kernel.largest
    longer.prefix = kernel.prefix[:-1]
    longer.rows = math.prod(longer.prefix)
    return longer


def in_mode(kernel: Kernel) -> tuple[Kernel, bool]:
    """The kernel with the rows that it is written with, and whether these are the vector."""
    flat = collapsed(kernel)
    if flat and len(kernel.prefix) > 1:
        kernel = in_one_axis(kernel)
    inner = [Member(node, kernel.prefix, kernel.rows).inner for node in kernel.members]
    longest = max(map(math.prod, inner))
    is_short = longest <= SHORT_ROW or (longest <= LONGEST_ROW and kernel.rows >= SHORT_ROW * longest)
    if flat and kernel.rows >= 8 and is_short and sum(map(math.prod, inner)) <= MOST_UNROLLED:
        return kernel, True
    return (with_longer_rows(kernel) if longest == 1 and kernel.rows > 1 else kernel), False


def rows_of(kernel: Kernel) -> int:
    """The rows that a kernel is written with."""
    return in_mode(kernel)[0].rows


def write_kernel(kernel: Kernel, in_memory: set[Node], parts: int) -> Text:
    """The text of a kernel, in the mode that suits it."""
    kernel, is_vector = in_mode(kernel)
    if is_vector:
        return LaneText(kernel, in_memory, parts).write()
    return RowText(kernel, in_memory, min(parts, kernel.rows)).write()
