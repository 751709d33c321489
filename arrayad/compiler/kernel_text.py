"""A kernel as a C function.

`static void kernel(void *context, int64_t part)` goes over the rows of one part.  `context` is the list of the kernel's
arrays.  In *lane* mode, where rows are short, the rows themselves are the vector: the rest of the space is unrolled.  Else
each loop over the rest of the space is a loop, the last axis the vector.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from arrayad.compiler.fuse import Kernel, Ranges, cut, fine_box, split_axes
from arrayad.compiler.ir import Gather, Map, Node, Read, Reduce, Select, Uniform
from arrayad.compiler.text import c_type, index_text, literal, substituted, value_type, zero_of
from arrayad.compiler.views import Shape, View, contiguous, reshaped

class Buffer(NamedTuple):
    """An array that a kernel reads or writes: a node's, or where the parts of a fold over the rows meet."""

    node: Node
    parts: bool = False


class Text:
    """What kernels look like: the text of the function, its arrays in order, and how it is run."""

    def __init__(self, lines: list[str], buffers: list[Buffer], parts: int, folds: list[tuple[Reduce, int]]) -> None:
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


class Loop:
    """Members that go over one inner space together."""

    def __init__(self, inner: Shape) -> None:
        self.inner = inner
        self.members: list[Member] = []


class KernelText:
    """Writes one kernel."""

    def __init__(self, kernel: Kernel, in_memory: set[Node], parts: int, writable: set[Node]) -> None:
        self.kernel = kernel
        self.in_memory = in_memory
        self.writable = writable
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


def natural_order(members: Sequence[Member]) -> list[Loop]:
    """The loops of a row: each member joins the first loop that finds what it needs and goes over the same space."""
    loops: list[Loop] = []
    place: dict[Node, int] = {}
    for member in members:
        least = 0
        for read, view in zip(member.node.reads(), member.views(), strict=True):
            source = place.get(read.node)
            if source is None:
                continue
            inner = view.strides[len(member.shape) - len(member.inner) :]
            here = loops[source].inner == member.inner and not isinstance(read.node, Reduce)
            is_same = here and inner == contiguous(member.inner) and view.offset == 0
            least = max(least, source if is_same else source + 1)
        for i in range(least, len(loops)):
            if loops[i].inner == member.inner:
                break
        else:
            loops.append(Loop(member.inner))
            i = len(loops) - 1
        loops[i].members.append(member)
        place[member.node] = i
    return loops


class RowText(KernelText):
    """A kernel whose rows are gone over one by one."""

    def write(self) -> Text:
        self.loops = natural_order(self.members)
        self.loop_of = {member.node: loop for loop in self.loops for member in loop.members}
        self.kept_names: dict[Node, str] = {}
        self.decide_places()
        body = self.row_lines()
        self.lines = []
        self.depth = 1
        chunk = -(-self.rows // self.parts)
        one_axis = len(self.prefix) <= 1
        if self.rows > 1 or self.parts > 1:
            self.line(f"int64_t start = part * {chunk}, stop = start + {chunk} < {self.rows} ? start + {chunk} : {self.rows};")
        else:
            self.line("(void)part;")
        self.part_start()
        if self.rows > 1:
            self.open(f"for (int64_t {'i0' if one_axis else 'row'} = start; {'i0' if one_axis else 'row'} < stop; ++{'i0' if one_axis else 'row'})")
            if not one_axis:
                step = self.rows
                for name, n in zip(self.row_axes, self.prefix, strict=True):
                    step //= n
                    quotient = "row" if step == 1 else f"row / {step}"
                    self.line(f"int64_t {name} = {quotient}{f' % {n}' if name != 'i0' else ''};")
        self.lines += ["    " * (self.depth - 1) + line if not line.startswith("#") else line for line in body]
        if self.rows > 1:
            self.close()
        self.part_end()
        return Text(self.lines, list(self.buffers), self.parts, self.row_folds())

    # --- where values stay ----------------------------------------------------------------------------------------

    def decide_places(self) -> None:
        """A value that a later loop of the row reads is kept in the row's memory, unless it has a place of its own."""
        self.later: set[Node] = set()
        for member in self.members:
            for read in member.node.reads():
                if read.node in self.of and self.loop_of[read.node] is not self.loop_of[member.node]:
                    self.later.add(read.node)

    def is_scalar(self, node: Node) -> bool:
        """Whether a value is one element a row, and so a variable."""
        return self.width(node) == 1 and not self.is_over_rows(node)

    def row_folds(self) -> list[tuple[Reduce, int]]:
        return [(m.node, self.width_over_rows(m)) for m in self.members if m.over_rows]  # type: ignore[misc]

    def width_over_rows(self, member: Member) -> int:
        return math.prod(member.kept)

    def part_start(self) -> None:
        for member in self.members:
            if not member.over_rows:
                continue
            node, width = member.node, self.width_over_rows(member)
            zero = zero_of(node.fold, node.dtype)  # type: ignore[attr-defined]
            if width == 1:
                self.line(f"{value_type(node.dtype)} {self.names[node]} = {zero};")
                if is_ordered(node):
                    self.line(f"int {self.names[node]}n = 0;")
            else:
                b = self.buffer(node, True)
                self.line(f"{c_type(node.dtype)} *restrict {self.names[node]} = {b} + part * {width};")
                self.line(f"for (int64_t k = 0; k < {width}; ++k) {self.names[node]}[k] = {zero};")

    def part_end(self) -> None:
        for member in self.members:
            if member.over_rows and self.width_over_rows(member) == 1:
                b = self.buffer(member.node, True)
                self.line(f"{b}[part] = {finished(self.names[member.node], member.node)};")

    # --- a row ----------------------------------------------------------------------------------------------------

    def row_lines(self) -> list[str]:
        self.depth = 1
        for loop in self.loops:
            self.declare(loop)
            self.nest(loop, 0, (), self.breakpoints(loop))
            for member in loop.members:
                self.finish(member)
        return self.lines

    def finish(self, member: Member) -> None:
        """Settle a fold to one number of the row, and store it where others need it."""
        node = member.node
        if not isinstance(node, Reduce) or member.over_rows or not self.is_scalar(node):
            return
        name = self.names[node]
        if is_ordered(node):
            self.line(f"if ({name}n) {name} = {literal(float('nan'), node.dtype)};")
        if node in self.in_memory:
            self.line(f"{self.buffer(node)}[{self.row_offset(node)}0] = {name};")

    def declare(self, loop: Loop) -> None:
        for member in loop.members:
            node = member.node
            if isinstance(node, Reduce) and not member.over_rows and self.memory_fold(member):
                where = self.target(node)
                width = self.width(node)
                zero = zero_of(node.fold, node.dtype)
                if node not in self.in_memory:
                    self.line(f"{c_type(node.dtype)} {self.names[node]}[{width}];")
                self.line(f"for (int64_t k = 0; k < {width}; ++k) {where('k')} = {zero};")
            elif isinstance(node, Reduce) and not member.over_rows and self.is_scalar(node):
                self.line(f"{value_type(node.dtype)} {self.names[node]} = {zero_of(node.fold, node.dtype)};")
                if is_ordered(node):
                    self.line(f"int {self.names[node]}n = 0;")
            elif node in self.later and node not in self.in_memory and not member.over_rows:
                if self.is_scalar(node):
                    self.line(f"{value_type(node.dtype)} {self.names[node]};")
                else:
                    self.line(f"{c_type(node.dtype)} {self.names[node]}[{self.width(node)}];")

    def memory_fold(self, member: Member) -> bool:
        """Whether a fold is added up in memory: its last axis is kept, or what it keeps does not come first."""
        return bool(member.kept) and not self.is_suffix(member)

    def is_suffix(self, member: Member) -> bool:
        q = len(member.kept)
        return member.axes == set(range(q, len(member.inner)))

    def target(self, node: Node) -> Callable[[str], str]:
        """The element of a row's value at an index, as an lvalue."""
        if node in self.in_memory:
            base = self.row_offset(node)
            return lambda k: f"{self.buffer(node)}[{base}{k}]"
        return lambda k: f"{self.names[node]}[{k}]"

    def row_offset(self, node: Node) -> str:
        """The place of a row's first element, with a sign behind it; nothing if it is 0."""
        width = self.width(node)
        steps = contiguous(self.prefix)
        text = index_text(0, [(s * width, name) for s, name in zip(steps, self.row_axes, strict=True)])
        return "" if text == "0" else f"{text} + "

    def breakpoints(self, loop: Loop) -> list[list[tuple[int, int]]]:
        """The intervals of each inner axis within which every selection reads from one piece."""
        lead = len(self.prefix)
        cuts: list[set[int]] = [{0, n} for n in loop.inner]
        for member in loop.members:
            if isinstance(member.node, Select):
                for box, _ in member.node.pieces:
                    found = fine_box(box, member.node.space, member.shape)
                    assert found is not None
                    for a, (low, high) in enumerate(found[lead:]):
                        cuts[a] |= {low, high}
        return [list(itertools.pairwise(sorted(c))) if n else [] for c, n in zip(cuts, loop.inner, strict=True)]

    def nest(self, loop: Loop, depth: int, ranges: Ranges, breaks: list[list[tuple[int, int]]]) -> None:
        starts = [m for m in loop.members if isinstance(m.node, Reduce) and self.local_fold(m) and len(m.kept) == depth]
        for member in starts:
            self.line(f"{value_type(member.node.dtype)} {self.names[member.node]}s = {zero_of(member.node.fold, member.node.dtype)};")  # type: ignore[attr-defined]
            if is_ordered(member.node):
                self.line(f"int {self.names[member.node]}sn = 0;")
        if depth == len(loop.inner):
            self.statements(loop, ranges)
        else:
            for low, high in breaks[depth]:
                if depth == len(loop.inner) - 1:
                    self.pragma(loop)
                name = f"j{depth}"
                if high == low + 1:
                    self.lines = self.lines[:-1] if self.lines and self.lines[-1].startswith("SIMD") else self.lines
                    self.open("")
                    self.line(f"const int64_t {name} = {low};")
                    self.line(f"(void){name};")
                else:
                    self.open(f"for (int64_t {name} = {low}; {name} < {high}; ++{name})")
                self.nest(loop, depth + 1, (*ranges, (low, high)), breaks)
                self.close()
        for member in starts:
            self.finish_local(member)

    def local_fold(self, member: Member) -> bool:
        """Whether a fold over the last inner axes is kept in a variable while these are gone over, then stored."""
        return bool(member.kept) and bool(member.axes) and self.is_suffix(member)

    def finish_local(self, member: Member) -> None:
        node = member.node
        assert isinstance(node, Reduce)
        value = finished(f"{self.names[node]}s", node)
        strides = contiguous(member.kept)
        place = index_text(0, [(s, f"j{a}") for a, s in enumerate(strides)])
        if member.over_rows:
            where = f"{self.names[node]}[{place}]"
            self.line(f"{where} = {combined(node, where, value)};")
        else:
            self.line(f"{self.target(node)(place)} = {value};")

    def pragma(self, loop: Loop) -> None:
        """Let the last axis be the vector, unless a fold in memory runs along it."""
        names: dict[str, list[str]] = {}
        for member in loop.members:
            node = member.node
            if not isinstance(node, Reduce):
                continue
            if member.axes and len(loop.inner) - 1 not in member.axes and (self.memory_fold(member) or member.over_rows):
                continue
            name = self.accumulator(member)
            if name is None:
                if len(loop.inner) - 1 in member.axes:
                    return
                continue
            operator = {"sum": "+", "prod": "*", "max": "max", "min": "min", "any": "|", "all": "&"}[node.fold]
            names.setdefault(operator, []).append(name)
            if is_ordered(node):
                names.setdefault("|", []).append(f"{name}n")
        clauses = " ".join(f"reduction({operator} : {', '.join(found)})" for operator, found in names.items())
        self.lines.append(f"SIMD({clauses})" if clauses else "SIMD()")

    def accumulator(self, member: Member) -> str | None:
        """The variable that a fold is added up in; None where it is memory."""
        node = member.node
        if self.local_fold(member):
            return f"{self.names[node]}s"
        if member.over_rows:
            return self.names[node] if self.width_over_rows(member) == 1 else None
        return None if self.memory_fold(member) or not self.is_scalar(node) else self.names[node]

    # --- the innermost statements ---------------------------------------------------------------------------------

    def statements(self, loop: Loop, ranges: Ranges) -> None:
        """Compute what the loop stores and folds at one place, each value once."""
        self.known: dict[Node, str] = {}
        self.loop, self.ranges = loop, ranges
        for member in loop.members:
            node = member.node
            if isinstance(node, Reduce):
                self.fold(member)
            else:
                value = self.value(member)
                if node in self.in_memory:
                    place = index_text(0, self.inner_terms(contiguous(member.inner)))
                    self.line(f"{self.buffer(node)}[{self.row_offset(node)}{place}] = {value};")
                elif node in self.later:
                    if self.is_scalar(node):
                        self.line(f"{self.names[node]} = {value};")
                    else:
                        place = index_text(0, self.inner_terms(contiguous(member.inner)))
                        self.line(f"{self.names[node]}[{place}] = {value};")

    def inner_terms(self, strides: Sequence[int]) -> list[tuple[int, str]]:
        return [(s, f"j{a}") for a, s in enumerate(strides)]

    def fold(self, member: Member) -> None:
        node = member.node
        assert isinstance(node, Reduce)
        (view,) = member.views()
        value = self.read(node.operand, view, node.dtype if node.dtype.kind != "b" else node.operand.node.dtype)
        name = self.accumulator(member)
        if name is not None:
            for text in folded(node, name, value):
                self.line(text)
            return
        strides = iter(contiguous(member.kept))
        terms = [(next(strides), f"j{a}") for a in range(len(member.inner)) if a not in member.axes]
        place = index_text(0, terms)
        where = f"{self.names[node]}[{place}]" if member.over_rows else self.target(node)(place)
        self.line(f"{where} = {combined(node, where, value)};")

    def value(self, member: Member) -> str:
        """The name of a member's value at this place, computed where it is not yet."""
        node = member.node
        if node in self.known:
            return self.known[node]
        views = member.views()
        if isinstance(node, Map):
            operands = [
                self.read(x, view, node.kind if not (node.name == "where" and k == 0) else x.node.dtype)
                for k, (x, view) in enumerate(zip(node.operands, views, strict=True))
            ]
            text = substituted(node.text, node.kind, operands)
            if node.text == "x" and node.kind == node.dtype:
                self.known[node] = text
                return text
        elif isinstance(node, Select):
            text = self.selected(member)
        else:
            assert isinstance(node, Gather)
            text = self.gathered(member, views)
        name = f"{self.names[node]}_" if node in self.later and self.is_scalar(node) else self.names[node]
        if node in self.later and not self.is_scalar(node) and node not in self.in_memory:
            name = f"{self.names[node]}_"
        self.line(f"const {value_type(node.dtype)} {name} = {text};")
        self.known[node] = name
        return name

    def selected(self, member: Member) -> str:
        node = member.node
        assert isinstance(node, Select)
        lead = len(self.prefix)
        text = ""
        for (box, read), view in zip(node.pieces, member.views(), strict=True):
            found = fine_box(box, node.space, member.shape)
            assert found is not None
            if any(high <= low or end <= start for (low, high), (start, end) in zip(self.ranges, found[lead:], strict=True)):
                continue
            if any(low < start or high > end for (low, high), (start, end) in zip(self.ranges, found[lead:], strict=True)):
                continue
            value = self.read(read, view, node.dtype)
            tests = [
                f"{name} >= {start}" if end == n else f"{name} < {end}" if start == 0 else f"{name} >= {start} && {name} < {end}"
                for name, (start, end), n in zip(self.row_axes, found[:lead], self.prefix, strict=True)
                if (start, end) != (0, n)
            ]
            if not tests:
                return text + value if not text else f"{text}{value}"
            text += f"{' && '.join(tests)} ? {value} : "
        return text + literal(0, node.dtype)

    def gathered(self, member: Member, views: list[View]) -> str:
        node = member.node
        assert isinstance(node, Gather)
        moves = []
        for (read, length, stride), view in zip(node.indices, views[1:], strict=True):
            k = self.read(read, view, read.node.dtype)
            wrapped = f"((int64_t){k} < 0 ? (int64_t){k} + {length} : (int64_t){k})" if read.node.dtype.kind == "i" else f"(int64_t){k}"
            moves.append(f"{stride} * {wrapped}" if stride != 1 else wrapped)
        view = views[0]
        place = self.place(node.source.node, view)
        return f"{self.buffer(node.source.node)}[{' + '.join([place, *moves])}]"

    def place(self, node: Node, view: View) -> str:
        lead = len(self.prefix)
        terms = [*zip(view.strides[:lead], self.row_axes, strict=True), *self.inner_terms(view.strides[lead:])]
        return index_text(view.offset, terms)

    def read(self, read: Read, view: View, kind: Any) -> str:
        """What is read at this place, in this dtype."""
        node = read.node
        if isinstance(node, Uniform):
            return literal(node.value, kind) if kind.kind != "b" else literal(node.value, node.dtype)
        member = self.of.get(node)
        if member is None or self.is_over_rows(node):
            return self.cast(f"{self.buffer(node)}[{self.place(node, view)}]", node, kind)
        if self.loop_of[node] is self.loop:
            return self.cast(self.value(member), node, kind)
        if self.is_scalar(node):
            if node in self.in_memory and not isinstance(node, Reduce):
                return self.cast(f"{self.buffer(node)}[{self.place(node, view)}]", node, kind)
            return self.cast(self.names[node], node, kind)
        if node in self.in_memory:
            return self.cast(f"{self.buffer(node)}[{self.place(node, view)}]", node, kind)
        lead = len(self.prefix)
        place = index_text(view.offset, self.inner_terms(view.strides[lead:]))
        return self.cast(f"{self.names[node]}[{place}]", node, kind)


class LaneText(KernelText):
    """A kernel whose rows are the vector: each element of a row is a variable, each operation on one a statement."""

    def write(self) -> Text:
        self.lane = "i0"
        self.statements: list[tuple[str, str, str]] = []  # name, type, expression
        self.known: dict[tuple[Node, Shape], str] = {}
        breaks = self.breakpoints()
        chunk = -(-self.rows // self.parts)
        self.line(f"int64_t start = part * {chunk}, stop = start + {chunk} < {self.rows} ? start + {chunk} : {self.rows};")
        self.reductions = [m for m in self.members if m.over_rows]
        self.declare_folds()
        for low, high in breaks:
            self.interval(low, high)
        self.end_folds()
        return Text(self.lines, list(self.buffers), self.parts, [(m.node, math.prod(m.kept)) for m in self.reductions])  # type: ignore[misc]

    def fold_names(self, member: Member) -> list[str]:
        count = math.prod(member.kept)
        return [f"{self.names[member.node]}s{k}" if count > 1 else f"{self.names[member.node]}s" for k in range(count)]

    def declare_folds(self) -> None:
        for member in self.reductions:
            node = member.node
            assert isinstance(node, Reduce)
            for name in self.fold_names(member):
                self.line(f"{value_type(node.dtype)} {name} = {zero_of(node.fold, node.dtype)};")
                if is_ordered(node):
                    self.line(f"int {name}n = 0;")

    def end_folds(self) -> None:
        for member in self.reductions:
            b = self.buffer(member.node, True)
            names = self.fold_names(member)
            for k, name in enumerate(names):
                place = index_text(k, [(len(names), "part")])
                self.line(f"{b}[{place}] = {finished(name, member.node)};")

    def breakpoints(self) -> list[tuple[int, int]]:
        cuts = {0, self.rows}
        for member in self.members:
            if isinstance(member.node, Select):
                for box, _ in member.node.pieces:
                    found = fine_box(box, member.node.space, member.shape)
                    assert found is not None
                    if self.prefix:
                        cuts |= set(found[0])
        return list(itertools.pairwise(sorted(cuts)))

    def interval(self, low: int, high: int) -> None:
        """The lanes from `low` to `high`, in which every selection along the rows reads from one piece."""
        self.range = (low, high)
        self.statements, self.known = [], {}
        stores: list[tuple[str, str]] = []
        for member in self.members:
            node = member.node
            if isinstance(node, Reduce) and member.over_rows:
                self.fold_lanes(member, stores)
            elif node in self.in_memory:
                width = self.width(node)
                for k, index in enumerate(itertools.product(*map(range, member.kept))):
                    place = index_text(k, [(width, self.lane)])
                    stores.append((f"{self.buffer(node)}[{place}] = ", self.value(member, index)))
        if (low, high) == (0, self.rows):
            first, last = "start", "stop"
        else:
            first = f"(start > {low} ? start : {low})"
            last = f"(stop < {high} ? stop : {high})"
        if len(self.statements) <= LANE_STATEMENTS:
            self.pragma()
            self.open(f"for (int64_t i0 = {first}; i0 < {last}; ++i0)")
            for name, kind, text in self.statements:
                self.line(f"const {kind} {name} = {text};")
            for target, value in stores:
                self.line(f"{target}{value};" if target else value)
            self.close()
        else:
            self.chunked(first, last, stores)

    def fold_lanes(self, member: Member, stores: list[tuple[str, str]]) -> None:
        node = member.node
        assert isinstance(node, Reduce)
        (view,) = member.views()
        for name, kept in zip(self.fold_names(member), itertools.product(*map(range, member.kept)), strict=True):
            for index in self.indices(member, kept):
                value = self.read(node.operand, view, index, node.dtype if node.dtype.kind != "b" else node.operand.node.dtype)
                stores += [("", text) for text in folded(node, name, value)]

    def indices(self, member: Member, kept: Shape) -> list[Shape]:
        """The inner places that a fold's element of this place runs over."""
        rest = iter(kept)
        axes = [range(n) if a in member.axes else (next(rest),) for a, n in enumerate(member.inner)]
        return list(itertools.product(*axes))

    def pragma(self) -> None:
        names: dict[str, list[str]] = {}
        for member in self.reductions:
            node = member.node
            assert isinstance(node, Reduce)
            operator = {"sum": "+", "prod": "*", "max": "max", "min": "min", "any": "|", "all": "&"}[node.fold]
            names.setdefault(operator, []).extend(self.fold_names(member))
            if is_ordered(node):
                names.setdefault("|", []).extend(f"{name}n" for name in self.fold_names(member))
        clauses = " ".join(f"reduction({operator} : {', '.join(found)})" for operator, found in names.items())
        self.lines.append(f"SIMD({clauses})" if clauses else "SIMD()")

    def chunked(self, first: str, last: str, stores: list[tuple[str, str]]) -> None:
        """Lanes a tile at a time: the statements in loops of a length that registers suffice for, values between in arrays."""
        groups = [self.statements[i : i + LANE_STATEMENTS] for i in range(0, len(self.statements), LANE_STATEMENTS)]
        place = {name: g for g, group in enumerate(groups) for name, _, _ in group}
        kinds = {name: kind for name, kind, _ in self.statements}
        crossing: dict[str, None] = {}
        uses = [
            (g, name) for g, group in enumerate(groups) for _, _, text in group for name in VARIABLE.findall(text) if name in place
        ]
        uses += [(len(groups), name) for _, text in stores for name in VARIABLE.findall(text) if name in place]
        crossing.update((name, None) for g, name in uses if place[name] < g)
        self.open(f"for (int64_t tile = {first}; tile < {last}; tile += {TILE})")
        self.line(f"const int64_t count = {last} - tile < {TILE} ? {last} - tile : {TILE};")
        for name in crossing:
            self.line(f"{stored_type(kinds[name])} {name}_t[{TILE}];")
        for g, group in enumerate([*groups, []]):
            is_last = g == len(groups)
            if is_last:
                self.pragma()
            else:
                self.lines.append("SIMD()")
            self.open("for (int64_t lane = 0; lane < count; ++lane)")
            self.line("const int64_t i0 = tile + lane;")
            self.line("(void)i0;")
            here = {name for name, _, _ in group}

            def local(text: str, here: set[str] = here) -> str:
                return VARIABLE.sub(lambda m: f"{m[0]}_t[lane]" if m[0] in crossing and m[0] not in here else m[0], text)

            for name, kind, text in group:
                self.line(f"const {kind} {name} = {local(text)};")
                if name in crossing:
                    self.line(f"{name}_t[lane] = {name};")
            for target, value in stores if is_last else []:
                self.line(f"{target}{local(value)};" if target else local(value))
            self.close()
        self.close()

    # --- values -----------------------------------------------------------------------------------------------------

    def define(self, node: Node, index: Shape, text: str) -> str:
        tail = "".join(f"_{k}" for k in index)
        name = f"{self.names[node]}{tail}"
        self.statements.append((name, value_type(node.dtype), text))
        self.known[node, index] = name
        return name

    def value(self, member: Member, index: Shape) -> str:
        """The name of a value's element of this inner place."""
        node = member.node
        found = self.known.get((node, index))
        if found is not None:
            return found
        views = member.views()
        if isinstance(node, Reduce):
            return self.folded_value(member, index)
        if isinstance(node, Map):
            operands = [
                self.read(x, view, index, node.kind if not (node.name == "where" and k == 0) else x.node.dtype)
                for k, (x, view) in enumerate(zip(node.operands, views, strict=True))
            ]
            text = substituted(node.text, node.kind, operands)
            if node.text == "x" and node.kind == node.dtype and VARIABLE.fullmatch(text):
                self.known[node, index] = text
                return text
            return self.define(node, index, text)
        if isinstance(node, Select):
            return self.define(node, index, self.selected(member, index))
        assert isinstance(node, Gather)
        moves = []
        for (read, length, stride), view in zip(node.indices, views[1:], strict=True):
            k = self.read(read, view, index, read.node.dtype)
            if read.node.dtype.kind == "i":
                k = f"((int64_t){k} < 0 ? (int64_t){k} + {length} : (int64_t){k})"
            else:
                k = f"(int64_t){k}"
            moves.append(f"{stride} * {k}")
        place = self.place(views[0], index)
        return self.define(node, index, f"{self.buffer(node.source.node)}[{' + '.join([place, *moves])}]")

    def folded_value(self, member: Member, kept: Shape) -> str:
        node = member.node
        assert isinstance(node, Reduce)
        (view,) = member.views()
        kind = node.dtype if node.dtype.kind != "b" else node.operand.node.dtype
        total = ""
        for count, index in enumerate(self.indices(member, kept)):
            value = self.read(node.operand, view, index, kind)
            if node.fold in ("any", "all"):
                value = f"({value} != 0)"
            if not total:
                total = value
                continue
            tail = "".join(f"_{k}" for k in kept)
            name = f"{self.names[node]}{tail}p{count}"
            if not VARIABLE.fullmatch(total) or not VARIABLE.fullmatch(value):
                total, value = self.operand(node, kept, count, total, "a"), self.operand(node, kept, count, value, "b")
            self.statements.append((name, value_type(node.dtype), combined(node, total, value)))
            total = name
        if not total:
            total = zero_of(node.fold, node.dtype)
        self.known[node, kept] = total
        return total

    def operand(self, node: Node, kept: Shape, count: int, text: str, mark: str) -> str:
        """A name for an operand of a fold."""
        if VARIABLE.fullmatch(text):
            return text
        tail = "".join(f"_{k}" for k in kept)
        name = f"{self.names[node]}{tail}{mark}{count}"
        self.statements.append((name, value_type(node.dtype), text))
        return name

    def selected(self, member: Member, index: Shape) -> str:
        node = member.node
        assert isinstance(node, Select)
        ranges = ((self.range,) if self.prefix else ()) + tuple((k, k + 1) for k in index)
        for (box, read), view in zip(node.pieces, member.views(), strict=True):
            found = fine_box(box, node.space, member.shape)
            assert found is not None
            if all(low >= start and high <= end for (low, high), (start, end) in zip(ranges, found, strict=True)):
                return self.read(read, view, index, node.dtype)
        return literal(0, node.dtype)

    def place(self, view: View, index: Shape) -> str:
        lead = len(self.prefix)
        offset = view.offset + sum(s * k for s, k in zip(view.strides[lead:], index, strict=True))
        return index_text(offset, [(view.strides[0], self.lane)] if lead else [])

    def read(self, read: Read, view: View, index: Shape, kind: Any) -> str:
        node = read.node
        if isinstance(node, Uniform):
            return literal(node.value, kind) if kind.kind != "b" else literal(node.value, node.dtype)
        member = self.of.get(node)
        if member is None or member.over_rows:
            return self.cast(f"{self.buffer(node)}[{self.place(view, index)}]", node, kind)
        lead = len(self.prefix)
        flat = view.offset + sum(s * k for s, k in zip(view.strides[lead:], index, strict=True))
        inner = []
        for n in reversed(member.kept):
            inner.append(flat % n)
            flat //= n
        return self.cast(self.value(member, tuple(reversed(inner))), node, kind)


LANE_STATEMENTS = 160
"""Statements of one loop over lanes."""

TILE = 64
"""Lanes of a tile, where values between loops are kept in arrays."""

VARIABLE = re.compile(r"\bv\d+[_a-z\d]*\b")


def stored_type(kind: str) -> str:
    return "uint8_t" if kind == "_Bool" else kind


MOST_UNROLLED = 2000
"""Statements of a kernel over lanes."""

LONGEST_ROW = 64
"""Elements of a row up to which it is unrolled."""


def collapsed(kernel: Kernel, in_memory: set[Node]) -> bool:
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


STACK = 1 << 17
"""Bytes of a row that a kernel keeps on the stack."""


def spilled(kernel: Kernel) -> list[Node]:
    """What the loops of a row hand on to later ones and is too much for the stack, so that it needs a place in memory."""
    if kernel.largest // max(kernel.rows, 1) * len(kernel.members) * 8 <= STACK:
        return []
    members = [Member(node, kernel.prefix, kernel.rows) for node in kernel.members]
    loop_of = {member.node: loop for loop in natural_order(members) for member in loop.members}
    found: list[Node] = []
    left = STACK
    for member in members:
        for read in member.node.reads():
            node = read.node
            if node in loop_of and loop_of[node] is not loop_of[member.node] and node not in found:
                left -= node.nbytes // kernel.rows
                if left < 0:
                    found.append(node)
    return found


def write_kernel(kernel: Kernel, in_memory: set[Node], parts: int, writable: set[Node]) -> Text:
    """The text of a kernel, in the mode that suits it."""
    flat = collapsed(kernel, in_memory)
    if flat and len(kernel.prefix) > 1:
        kernel = in_one_axis(kernel)
    inner = [Member(node, kernel.prefix, kernel.rows).inner for node in kernel.members]
    longest = max(map(math.prod, inner))
    lanes = kernel.rows >= 8 and longest <= LONGEST_ROW and sum(map(math.prod, inner)) <= MOST_UNROLLED
    if flat and lanes:
        return LaneText(kernel, in_memory, parts, writable).write()
    if longest == 1 and kernel.rows > 1:
        kernel = with_longer_rows(kernel)
    return RowText(kernel, in_memory, min(parts, kernel.rows), writable).write()


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
