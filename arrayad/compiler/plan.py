"""The memory plan: which nodes become arrays in memory, and where.

An array that an item hands on lives from the item that makes it to the last that reads it; arrays whose lives do not overlap
share the places of one arena, each at the lowest offset that is free for its whole life.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from arrayad.compiler.fuse import Item, Kernel, is_outside
from arrayad.compiler.ir import Call, Node
from arrayad.compiler.row_text import spilled

ALIGNMENT = 64
"""Bytes of a cache line, to which every array is aligned."""


def aligned(size: int) -> int:
    """A size as the next multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Arena:
    """Places in one block of memory, each taken for some of the steps of a program."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int, int, int]] = []  # offset, size, first step, last step
        self.size = 0

    def place(self, size: int, first: int, last: int) -> int:
        """The lowest offset where so many bytes are free from the first step to the last."""
        size = max(aligned(size), ALIGNMENT)
        offset = 0
        for start, length, begin, end in sorted(self.taken):
            if begin <= last and first <= end:
                if start - offset >= size:
                    break
                offset = max(offset, start + length)
        self.taken.append((offset, size, first, last))
        self.size = max(self.size, offset + size)
        return offset

    def forget(self, step: int) -> None:
        """Drop what nobody will meet any more who comes at this step or later."""
        self.taken = [place for place in self.taken if place[3] >= step]


class Plan:
    """Where the arrays of a program lie: `offsets` in the arena, and `scratch` places of items for their own use.

    `steps` tells between which first and last item of its group an item runs, itself if it is in none.
    """

    def __init__(
        self,
        items: Sequence[Item],
        outputs: Iterable[Node],
        kept: Iterable[Node],
        scratch: Sequence[int],
        steps: Sequence[tuple[int, int]],
    ) -> None:
        self.outputs = set(outputs)
        kept = set(kept)
        maker: dict[Node, int] = {}
        last: dict[Node, int] = {}
        for i, item in enumerate(items):
            made = item.members if isinstance(item, Kernel) else item.parts
            maker.update((node, i) for node in made)
            readers = item.members if isinstance(item, Kernel) else [item]
            for reader in readers:
                for x in reader.reads():
                    if not is_outside(x.node) and (maker[x.node] != i or isinstance(item, Call)):
                        last[x.node] = i
        for node in kept:
            if not is_outside(node):
                last[node] = len(items)
        for i, item in enumerate(items):
            for node in item.parts if isinstance(item, Call) else spilled(item):
                last.setdefault(node, i)
        self.in_memory = set(last) | {node for node in self.outputs if not is_outside(node)}
        arena = Arena()
        self.offsets: dict[Node, int] = {}
        self.scratch: dict[int, int] = {}
        for i, item in enumerate(items):
            first, stop = steps[i]
            arena.forget(first)
            if scratch[i]:
                self.scratch[i] = arena.place(scratch[i], first, stop)
            for node in item.members if isinstance(item, Kernel) else item.parts:
                if node in self.in_memory and node not in self.outputs:
                    self.offsets[node] = arena.place(
                        node.nbytes, first, max(last[node], steps[min(last[node], len(items) - 1)][1])
                    )
        self.size = arena.size
