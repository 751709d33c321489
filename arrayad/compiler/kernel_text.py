"""What the two ways to write a kernel as C text share: members in the kernel's axes, names, lines, folds.

`static void kernel(void *context, int64_t part)` goes over the rows of one part.  `context` is the list of the kernel's
arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from arrayad.compiler.fuse import Kernel, cut, split_axes
from arrayad.compiler.ir import Map, Node, Reduce
from arrayad.compiler.text import c_type, literal, value_type
from arrayad.compiler.views import Shape, View, reshaped


class Buffer(NamedTuple):
    """An array that a kernel reads or writes: a node's, or where the parts of a fold over the rows meet."""

    node: Node
    parts: bool = False


class Text:
    """What kernels look like: the text of the function, its arrays in order, and how it is run."""

    def __init__(self, lines: list[str], buffers: list[Buffer], parts: int, folds: list[tuple[Node, int]]) -> None:
        self.lines, self.buffers, self.parts, self.folds = lines, buffers, parts, folds


def fine(view: View, shape: Shape) -> View:
    """The view of a space whose axes are split, or joined, as in `shape`."""
    found = view if view.shape == shape else reshaped(view, shape)
    assert found is not None, (view, shape)
    return found


class Member:
    """A member of a kernel in the kernel's axes: `shape` are the rows' axes, then its own."""

    def __init__(self, node: Node, prefix: Shape, rows: int) -> None:
        own = cut(node.space, rows)
        assert own is not None
        shape, count = own
        self.node = node
        self.shape = (*prefix, *shape[count:])
        self.inner = shape[count:]
        self.axes: set[int] = set()  # of the inner axes those that a fold goes along
        self.over_rows = False
        if isinstance(node, Reduce):
            found = split_axes(node, rows)
            assert found is not None
            self.over_rows = bool(count and found[2] & set(range(count)))
            self.axes = {a - count for a in found[2] if a >= count}

    def views(self) -> list[View]:
        return [fine(x.view, self.shape) for x in self.node.reads()]

    @property
    def kept(self) -> Shape:
        """The inner axes of the value."""
        return tuple(n for a, n in enumerate(self.inner) if a not in self.axes)


class KernelText:
    """Writes one kernel."""

    def __init__(self, kernel: Kernel, in_memory: set[Node], parts: int) -> None:
        self.kernel = kernel
        self.in_memory = in_memory
        self.rows, self.prefix = kernel.rows, kernel.prefix
        self.members = [Member(node, self.prefix, self.rows) for node in kernel.members]
        self.of = {member.node: member for member in self.members}
        self.names = {member.node: f"v{i}" for i, member in enumerate(self.members, 1)}
        self.buffers: dict[Buffer, str] = {}
        self.parts = parts
        self.row_axes = [f"i{a}" for a in range(len(self.prefix))]
        self.lines: list[str] = []
        self.depth = 1

    # --- lines ----------------------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text if text and not text.startswith("#") else text)

    def open(self, text: str) -> None:
        self.line(text + " {")
        self.depth += 1

    def close(self) -> None:
        self.depth -= 1
        self.line("}")

    def buffer(self, node: Node, parts: bool = False) -> str:
        key = Buffer(node, parts)
        if key not in self.buffers:
            self.buffers[key] = f"b{len(self.buffers)}"
        return self.buffers[key]

    # --- values ---------------------------------------------------------------------------------------------------

    def width(self, node: Node) -> int:
        """The elements of a value in one row."""
        return node.size // self.rows

    def is_over_rows(self, node: Node) -> bool:
        member = self.of.get(node)
        return member is not None and member.over_rows

    def cast(self, text: str, node: Node, kind: Any) -> str:
        if node.dtype == kind:
            return text
        if kind.kind == "b":
            return f"({text} != 0)"
        return f"({c_type(kind)}){text}"


def loaded_first(node: Map, name: str, operands: Sequence[str]) -> list[tuple[int, str, str, str]]:
    """(number, name, type, text) of operands that are read from memory before a condition is looked at.

    gcc 12 makes masked loads of reads within a branch, and wrong ones where strides mix (see the tests of random programs).
    """
    if "?" not in node.text:
        return []
    kinds = [x.node.dtype if node.name == "where" and k == 0 else node.kind for k, x in enumerate(node.operands)]
    return [(k, f"{name}l{k}", value_type(kinds[k]), text) for k, text in enumerate(operands) if "[" in text]


def within(index: str, length: int) -> str:
    """The place along an axis that an index means, counted from the end if negative; 0 for one that a check will refuse.

    The check may be part of the same kernel, so that the element is read before it is known.
    """
    k = f"(int64_t){index}"
    return f"({k} >= 0 && {k} < {length} ? {k} : {k} < 0 && {k} >= -{length} ? {k} + {length} : 0)"


def is_ordered(node: Node) -> bool:
    """Whether a fold has to look out for nan beside."""
    return isinstance(node, Reduce) and node.fold in ("max", "min") and node.dtype.kind == "f"


def finished(name: str, node: Node) -> str:
    """The value of a fold."""
    return f"{name}n ? {literal(float('nan'), node.dtype)} : {name}" if is_ordered(node) else name


def folded(node: Reduce, name: str, value: str) -> list[str]:
    """Statements that take one element more into a fold."""
    if node.fold == "sum":
        return [f"{name} += {value};"]
    if node.fold == "prod":
        return [f"{name} *= {value};"]
    if node.fold in ("any", "all"):
        return [f"{name} {'|' if node.fold == 'any' else '&'}= {value} != 0;"]
    sign = ">" if node.fold == "max" else "<"
    lines = [f"{name} = {value} {sign} {name} ? {value} : {name};"]
    return [*lines, f"{name}n |= {value} != {value};"] if is_ordered(node) else lines


def combined(node: Reduce, first: str, second: str) -> str:
    """The fold of two folds; nan if either is."""
    if node.fold == "sum":
        return f"{first} + {second}"
    if node.fold == "prod":
        return f"{first} * {second}"
    if node.fold in ("any", "all"):
        return f"{first} {'|' if node.fold == 'any' else '&'} ({second} != 0)"
    sign = ">=" if node.fold == "max" else "<="
    if is_ordered(node):
        return f"{first} {sign} ({second}) || {first} != {first} ? {first} : ({second})"
    return f"{first} {sign} ({second}) ? {first} : ({second})"
