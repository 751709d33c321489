"""Fuse nodes to kernels.

A kernel goes over rows: the first axes of its members' spaces, which they share.  For each row it runs loops over the rest,
one after the other; a member may read another's element of the same row, which then never leaves the cache, or the register.
A fold over the rows is ready when the kernel is.  What a node needs decides the earliest kernel that it may join; it joins
the first that takes it, with as many rows as both allow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from arrayad.compiler.ir import Call, Constant, Gather, Given, Node, Part, Read, Reduce, Select, Uniform, in_order
from arrayad.compiler.views import Shape, View, contiguous, prefixes, refinement

MOST_MEMBERS, FEW_MEMBERS = 160, 48
"""Members of a kernel: few where arrays are small, which costs nothing and saves the C compiler time."""

SMALL = 1 << 13
"""Elements up to which a kernel may be a single row."""

ROW_BYTES = 1 << 18
"""Bytes of a row that stay in a core's cache."""

LOOK_BACK = 4
"""How many of the last kernels are asked whether they take a node that needs none of them."""


Ranges = tuple[tuple[int, int], ...]


def fine_box(box: Ranges, shape: Shape, finer: Shape) -> Ranges | None:
    """A box of a space in the finer axes; None where it ends within a coarse one."""
    if shape == finer:
        return box
    found: list[tuple[int, int]] = []
    rest = list(finer)
    for (low, high), n in zip(box, shape, strict=True):
        axes = []
        size = 1
        while size < n:
            axes.append(rest.pop(0))
            size *= axes[-1]
        if len(axes) == 1:
            found.append((low, high))
        elif (low, high) == (0, n):
            found += [(0, m) for m in axes]
        else:
            inner = math.prod(axes[1:])
            if low % inner or high % inner:
                return None
            found += [(low // inner, high // inner), *((0, m) for m in axes[1:])]
    return tuple(found)


def cut(shape: Shape, rows: int) -> tuple[Shape, int] | None:
    """The space with an axis split, where that makes its first axes, how many is told, of `rows` elements together."""
    done = 1
    for a, n in enumerate(shape):
        if done == rows:
            return shape, a
        if done * n > rows:
            if rows % done or n % (rows // done):
                return None
            return (*shape[:a], rows // done, n // (rows // done), *shape[a + 1 :]), a + 1
        done *= n
    return (shape, len(shape)) if done == rows else None


def split_view(view: View, shape: Shape) -> View:
    """The view of a space of which at most one axis is split in two."""
    if view.shape == shape:
        return view
    a = next(i for i, n in enumerate(shape) if i >= len(view.shape) or n != view.shape[i])
    inner = shape[a + 1]
    s = view.strides[a]
    return View(shape, view.offset, (*view.strides[:a], s * inner, s, *view.strides[a + 1 :]))


def is_aligned(read: Read, rows: int, box: Ranges | None = None) -> bool:
    """Whether each row of the space, or of a box in it, reads from the same row of the node only."""
    own = cut(read.view.shape, rows)
    if own is None or read.node.size % rows:
        return False
    shape, count = own
    view, width = split_view(read.view, shape), read.node.size // rows
    if any(s != width * step for s, step in zip(view.strides[:count], contiguous(shape[:count]), strict=True)):
        return False
    ends = tuple((0, n) for n in shape) if box is None else fine_box(box, read.view.shape, shape)
    if ends is None:
        return False
    places = [(low * s, (high - 1) * s) for (low, high), s in zip(ends[count:], view.strides[count:], strict=True)]
    return view.offset + sum(map(min, places)) >= 0 and view.offset + sum(map(max, places)) < width


def are_aligned(node: Node, inside: set[Node], rows: int) -> bool:
    """Whether a node reads what is inside a kernel row by row."""
    if isinstance(node, Gather) and node.source.node in inside:
        return False
    boxes: Sequence[Ranges | None] = [box for box, _ in node.pieces] if isinstance(node, Select) else [None] * len(node.reads())
    return all(x.node not in inside or is_aligned(x, rows, box) for x, box in zip(node.reads(), boxes, strict=True))


def split_axes(node: Reduce, rows: int) -> tuple[Shape, int, set[int]] | None:
    """The space of a fold cut into rows, how many axes these are, and the axes folded; None where it does not fit."""
    own = cut(node.over, rows)
    if own is None:
        return None
    shape, count = own
    if len(shape) == len(node.over):
        return shape, count, set(node.axes)
    place = count - 1
    axes = {a if a < place else a + 1 for a in node.axes if a != place}
    return shape, count, axes | ({place, place + 1} if place in node.axes else set())


class Kernel:
    """Nodes that one pass over `rows` rows computes."""

    def __init__(self) -> None:
        self.members: list[Node] = []
        self.inside: set[Node] = set()
        self.rows = 0
        self.largest = 0
        self.prefix: Shape = ()
        """The axes of the rows, split as finely as any member splits them."""

    def add(self, node: Node, rows: int) -> None:
        self.members.append(node)
        self.inside.add(node)
        found = self.common_prefix(node, rows)
        assert found is not None
        self.rows, self.prefix = rows, found
        self.largest = max(self.largest, math.prod(node.space))

    def common_prefix(self, node: Node, rows: int) -> Shape | None:
        """The axes of so many rows, with another member; None where they do not agree."""
        if self.rows == rows and len(self.members) > 1:
            found: Shape | None = self.prefix
            others = [node]
        else:
            found, others = None, [*self.members, *([] if node in self.inside else [node])]
        for member in others:
            own = cut(member.space, rows)
            if own is None:
                return None
            axes = own[0][: own[1]]
            found = axes if found is None else refinement(found, axes)
            if found is None:
                return None
        for member in [*self.members, node]:
            if isinstance(member, Select) and found is not None:
                shape, count = cut(member.space, rows) or ((), 0)
                if any(fine_box(box, member.space, (*found, *shape[count:])) is None for box, _ in member.pieces):
                    return None
        return found

    def folds_rows(self, node: Node, rows: int) -> bool:
        """Whether a member is ready only after all rows."""
        if rows == 1 or not isinstance(node, Reduce):
            return False
        found = split_axes(node, rows)
        return found is not None and bool(found[2] & set(range(found[1])))

    def takes(self, node: Node) -> int:
        """With how many rows the node could join; 0 if it cannot."""
        largest = max(self.largest, math.prod(node.space))
        if len(self.members) >= (FEW_MEMBERS if largest <= SMALL else MOST_MEMBERS):
            return 0
        own = set(prefixes(node.space))
        found = sorted(own | {self.rows}, reverse=True)
        for rows in found:
            if rows > self.rows or self.rows % max(rows, 1):
                continue
            if not self.is_worth(rows, largest):
                return 0
            if self.fits(node, rows):
                return rows
        return 0

    def is_worth(self, rows: int, largest: int) -> bool:
        """Whether rows so few and so long are still to be gone over one by one."""
        if largest <= SMALL or (rows == self.rows and self.largest > SMALL):
            return True
        return rows >= 16 and largest // rows * 8 <= ROW_BYTES

    def fits(self, node: Node, rows: int) -> bool:
        if self.common_prefix(node, rows) is None:
            return False
        if isinstance(node, Reduce):
            found = split_axes(node, rows)
            if found is None:
                return False
            folded = found[2] & set(range(found[1]))
            if folded and len(folded) < found[1]:
                return False
        for member in self.members:
            if isinstance(member, Reduce) and rows != self.rows:
                found = split_axes(member, rows)
                if found is None or 0 < len(found[2] & set(range(found[1]))) < found[1]:
                    return False
        if any(x.node in self.inside and self.folds_rows(x.node, rows) for x in node.reads()):
            return False
        if not are_aligned(node, self.inside, rows):
            return False
        return rows == self.rows or self.stays(rows)

    def stays(self, rows: int) -> bool:
        """Whether what the members read of each other still lies in their rows."""
        return all(
            are_aligned(member, self.inside, rows)
            and not any(x.node in self.inside and self.folds_rows(x.node, rows) for x in member.reads())
            for member in self.members
        )


Item = Kernel | Call


def is_outside(node: Node) -> bool:
    """Whether no item makes it."""
    return isinstance(node, Given | Constant | Uniform)


def first_rows(node: Node) -> int:
    """The rows of a kernel of this node alone: what a fold leaves, or else all its elements."""
    space = node.space
    if not isinstance(node, Reduce):
        return math.prod(space)
    if not node.axes:
        return math.prod(space)
    kept = 0
    while kept < len(space) and kept not in node.axes:
        kept += 1
    if kept:
        return math.prod(space[:kept])
    folded = 0
    while folded < len(space) and folded in node.axes:
        folded += 1
    return math.prod(space[:folded])


def schedule(roots: Sequence[Node]) -> list[Item]:
    """The kernels and calls that make the roots, in an order in which each finds what it needs."""
    items: list[Item] = []
    place: dict[Node, int] = {}
    for node in in_order(roots):
        if is_outside(node):
            continue
        if isinstance(node, Part):
            place[node] = place[node.call]
            continue
        needed = max((place[x.node] for x in node.reads() if not is_outside(x.node)), default=-1)
        if isinstance(node, Call):
            place[node] = len(items)
            items.append(node)
            continue
        place[node] = joined(items, node, needed)
    return items


def joined(items: list[Item], node: Node, needed: int) -> int:
    """Put the node into the first kernel, not before `needed`, that takes it; into a new one if none does."""
    near = range(max(needed + 1, len(items) - LOOK_BACK), len(items))
    for i in (*([needed] if needed >= 0 else []), *near):
        item = items[i]
        if isinstance(item, Kernel):
            rows = item.takes(node)
            related = i == needed or any(x.node in item.inside for x in node.reads())
            if rows and (related or rows == item.rows):
                item.add(node, rows)
                return i
    kernel = Kernel()
    kernel.add(node, first_rows(node))
    items.append(kernel)
    return len(items) - 1
