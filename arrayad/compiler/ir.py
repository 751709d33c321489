"""Nodes: what a program computes, as loops see it.

A node is an array, made by one operation that reads other nodes through strided views of its own iteration space.  `Map`
computes each element alone, `Select` takes it from the one piece whose box it lies in, `Gather` from where an index says,
`Reduce` folds along axes.  These are what kernels are made of.  A `Call` is a whole operation of its own: a matrix product,
a loop, a routine; a `Part` is one of its results.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.compiler.views import Shape, View, squeezed, whole

numbers = itertools.count()


class Node:
    """An array in C order that a program is given or computes."""

    def __init__(self, shape: Shape, dtype: Any, location: str = "") -> None:
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype)
        self.location = location
        self.number = next(numbers)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def space(self) -> Shape:
        """The iteration space, without axes of length 1."""
        return tuple(n for n in self.shape if n != 1)

    def reads(self) -> Sequence[Read]:
        """What is read, each through a view of the iteration space."""
        return ()


class Read:
    """A node, and where in it the elements of a space are found."""

    __slots__ = ("node", "view")

    def __init__(self, node: Node, view: View) -> None:
        self.node = node
        self.view = view

    def __repr__(self) -> str:
        return f"Read({type(self.node).__name__}{self.node.number}, {self.view})"


def read_of(node: Node) -> Read:
    """The whole of a node."""
    return Read(node, whole(node.shape))


class Given(Node):
    """An array that comes from outside: an input, a constant, or an input of a loop's body."""


class Constant(Given):
    """An array that is known."""

    def __init__(self, array: Any) -> None:
        super().__init__(array.shape, array.dtype)
        self.array = array


class Uniform(Node):
    """One number, or truth, repeated: it takes no memory."""

    def __init__(self, value: Any, dtype: Any) -> None:
        super().__init__((), dtype)
        self.value = value


class Map(Node):
    """Each element computed by the C expression `text` of the operands' elements, called x or x1, x2, …, in type `kind`."""

    def __init__(self, name: str, text: str, kind: Any, operands: list[Read], shape: Shape, dtype: Any, location: str) -> None:
        super().__init__(shape, dtype, location)
        self.name, self.text, self.kind = name, text, np.dtype(kind)
        self.operands = [Read(x.node, squeezed(x.view)) for x in operands]

    def reads(self) -> Sequence[Read]:
        return self.operands


class Select(Node):
    """Each element read from the first piece whose box it lies in: pieces are (box, read), a box (low, high) for each axis."""

    def __init__(self, pieces: list[tuple[tuple[tuple[int, int], ...], Read]], shape: Shape, dtype: Any, location: str) -> None:
        super().__init__(shape, dtype, location)
        kept = [a for a, n in enumerate(self.shape) if n != 1]
        self.pieces = [(tuple(box[a] for a in kept), Read(x.node, squeezed(x.view))) for box, x in pieces]

    def reads(self) -> Sequence[Read]:
        return [x for _, x in self.pieces]


class Gather(Node):
    """Each element read from `source` at its place in a view, moved by each index times a stride; indices wrap once."""

    def __init__(self, source: Read, indices: list[tuple[Read, int, int]], shape: Shape, dtype: Any, location: str) -> None:
        super().__init__(shape, dtype, location)
        self.source = Read(source.node, squeezed(source.view))
        self.indices = [(Read(x.node, squeezed(x.view)), length, stride) for x, length, stride in indices]

    def reads(self) -> Sequence[Read]:
        return [self.source, *(x for x, _, _ in self.indices)]


class Reduce(Node):
    """The fold of `operand`, read over the space `over`, along some of its axes."""

    def __init__(self, fold: str, operand: Read, axes: Shape, shape: Shape, dtype: Any, location: str) -> None:
        super().__init__(shape, dtype, location)
        self.fold = fold
        view = operand.view
        kept = [a for a, n in enumerate(view.shape) if n != 1]
        self.operand = Read(operand.node, squeezed(view))
        self.axes = tuple(i for i, a in enumerate(kept) if a in axes)
        self.over = self.operand.view.shape

    @property
    def space(self) -> Shape:
        return self.over

    def reads(self) -> Sequence[Read]:
        return (self.operand,)


class Call(Node):
    """An operation that is no loop of elements: it reads whole arrays, through views of their own, and makes `parts`.

    `code` writes it (see `arrayad.compiler.calls`).
    """

    def __init__(self, code: Any, operands: list[Read], results: list[tuple[Shape, Any]], location: str) -> None:
        super().__init__((), np.uint8, location)
        self.code, self.operands = code, operands
        self.parts = [Part(self, i, shape, dtype, location) for i, (shape, dtype) in enumerate(results)]

    def reads(self) -> Sequence[Read]:
        return self.operands


class Part(Node):
    """One of the arrays that a call makes."""

    def __init__(self, call: Call, index: int, shape: Shape, dtype: Any, location: str) -> None:
        super().__init__(shape, dtype, location)
        self.call, self.index = call, index


def sources(node: Node) -> list[Node]:
    """The nodes that this one needs."""
    if isinstance(node, Part):
        return [node.call]
    return [x.node for x in node.reads()]


def in_order(roots: Sequence[Node]) -> list[Node]:
    """The nodes that the roots need, and the roots, each after what it needs, in the order in which they were made."""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += sources(node)
    return sorted(seen, key=lambda node: node.number)
