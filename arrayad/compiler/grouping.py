"""Group a stack of products with the kernels around it, so that each thread goes through all of them example by example.

Where the items of a group read of each other only the same example, they may run one after the other for each: what one has
written is in the cache still when the next reads it, and the threads meet once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from arrayad.compiler.calls import Product
from arrayad.compiler.fuse import Item, Kernel, are_aligned, is_aligned
from arrayad.compiler.ir import Call, Node, Read
from arrayad.compiler.kernel_mode import rows_of
from arrayad.compiler.views import squeezed

FEWEST, MOST = 8, 4096
"""Examples of a stack that is gone through one by one."""

LARGEST = 1 << 21
"""Bytes of an example, of all that a group makes, that are worth being kept in a cache."""


class Group(NamedTuple):
    """The items from `start` up to but without `stop`, in so many parts."""

    start: int
    stop: int
    parts: int


def made_by(item: Item) -> Sequence[Node]:
    """The nodes that an item makes."""
    return item.members if isinstance(item, Kernel) else item.parts


def stack_of(item: Item) -> int:
    """The products in a stack of them; 0 for any other item."""
    return math.prod(item.operands[0].view.shape[:-2]) if isinstance(item, Call) and isinstance(item.code, Product) else 0


def splits(item: Item, parts: int) -> bool:
    """Whether an item can be done in so many parts, each of its own examples."""
    if isinstance(item, Kernel):
        whole = rows_of(item)
        return whole > 1 and whole % parts == 0 and not any(item.folds_rows(node, item.rows) for node in item.members)
    return stack_of(item) == parts


def keeps_apart(item: Item, inside: set[Node], parts: int) -> bool:
    """Whether an item reads of a group's nodes only those elements that are of its own part."""
    if isinstance(item, Kernel):
        return all(are_aligned(node, inside - set(item.members), parts) for node in item.members)
    return all(x.node not in inside or is_aligned(Read(x.node, squeezed(x.view)), parts) for x in item.operands)


def groups(items: Sequence[Item], checked: Collection[int]) -> list[Group]:
    """The groups of a program; behind the items in `checked` a condition is looked at, which ends a group."""
    found: list[Group] = []
    done = 0
    for i, item in enumerate(items):
        parts = stack_of(item)
        if i < done or not FEWEST <= parts <= MOST:
            continue
        start, stop = i, i + 1
        while start > done and start - 1 not in checked and fits(items[start - 1 : stop], parts):
            start -= 1
        while stop < len(items) and stop - 1 not in checked and fits(items[start : stop + 1], parts):
            stop += 1
        if stop - start > 1:
            found.append(Group(start, stop, parts))
            done = stop
    return found


def fits(items: Sequence[Item], parts: int) -> bool:
    """Whether these items make a group."""
    if not all(splits(item, parts) for item in items):
        return False
    inside = {node for item in items for node in made_by(item)}
    if sum(node.nbytes for item in items if isinstance(item, Call) for node in item.parts) > LARGEST * parts:
        return False
    return all(keeps_apart(item, inside, parts) for item in items)
