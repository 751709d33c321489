"""What a program is made of, in lines for people to read: which operations, from where in the user's text, on which arrays."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from arrayad.compiler.fuse import Item, Kernel
from arrayad.compiler.ir import Gather, Node, Uniform
from arrayad.compiler.lower import Block
from arrayad.compiler.text import comment
from arrayad.errors import describe

MOST_NAMES, MOST_PLACES = 200, 300
"""Characters of a comment that name operations and places."""


class Array(NamedTuple):
    """An array in memory that a line reads or writes: its name in the C text, what it is, and how many bytes of it move."""

    name: str
    text: str
    nbytes: int


class Line:
    """A loop nest or a call of a program."""

    def __init__(self, kind: str, block: str, operations: str, places: str) -> None:
        self.kind, self.block, self.operations, self.places = kind, block, operations, places
        self.function = ""
        self.reads: list[Array] = []
        self.writes: list[Array] = []
        self.bodies: list[str] = []
        self.trips: int | None = 1
        """How often the bodies run when the line does; None where only values say."""

    @property
    def nbytes(self) -> int:
        """The bytes that are read and written when the line runs once, those of its bodies apart."""
        return sum(x.nbytes for x in (*self.reads, *self.writes))


def about(line: Line) -> str:
    """A line in a comment of C."""
    return f"{comment(line.operations)[:MOST_NAMES]}; {comment(line.places)[:MOST_PLACES]}".removesuffix("; ")


def place_of(location: str) -> str:
    """A place in the user's text without the folder, which differs from machine to machine."""
    return os.path.basename(location)


def line_of(writer: Any, item: Item) -> Line:
    """The line of an item; `writer` is the one that writes its block."""
    nodes: list[Any] = item.members if isinstance(item, Kernel) else [item]
    places = ", ".join(dict.fromkeys(place_of(node.location) for node in nodes if node.location))
    if isinstance(item, Kernel):
        names = dict.fromkeys(getattr(node, "name", getattr(node, "fold", type(node).__name__.lower())) for node in nodes)
        line = Line("loops", writer.function, ", ".join(names), places)
        made = [node for node in nodes if node in writer.plan.in_memory]
    else:
        line = Line("python" if hasattr(item.code, "primitive") else "call", writer.function, item.code.name, places)
        made = list(item.parts)
        blocks = [x for value in vars(item.code).values() for x in (value if isinstance(value, list) else [value])]
        line.bodies = [writer.body(x).name for x in blocks if isinstance(x, Block)]
        line.trips = getattr(item.code, "length", 1 if not hasattr(item.code, "condition") else None)
    line.reads = [Array(writer.name(node), describe(node), size) for node, size in read_by(item).items()]
    line.writes = [Array(writer.name(node), describe(node), node.nbytes) for node in made]
    return line


def read_by(item: Item) -> dict[Node, int]:
    """The arrays that an item reads and does not make itself, and how many bytes of each at most."""
    found: dict[Node, int] = {}
    for node in item.members if isinstance(item, Kernel) else [item]:
        for k, x in enumerate(node.reads()):
            if isinstance(x.node, Uniform) or (isinstance(item, Kernel) and x.node in item.inside):
                continue
            moved = spread(x.view) if not (isinstance(node, Gather) and k == 0) else node.size
            found[x.node] = min(x.node.nbytes, max(found.get(x.node, 0), moved * x.node.dtype.itemsize))
    return found


def spread(view: Any) -> int:
    """How many elements a view goes over, each counted once: axes of stride 0 repeat them."""
    count = 1
    for n, stride in zip(view.shape, view.strides, strict=True):
        count *= n if stride else 1
    return count if view.size else 0
