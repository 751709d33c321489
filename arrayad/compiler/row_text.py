"""A kernel whose rows are gone over one by one: for each row loops over the rest of the space, the last axis the vector."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from arrayad.compiler.fuse import Kernel, Ranges, fine_box
from arrayad.compiler.ir import Gather, Map, Node, Read, Reduce, Select, Uniform
from arrayad.compiler.kernel_text import KernelText, Member, Text, combined, finished, folded, is_ordered, loaded_first, within
from arrayad.compiler.text import c_type, index_text, literal, substituted, value_type, zero_of
from arrayad.compiler.views import Shape, View, contiguous


class Loop:
    """Members that go over one inner space together."""

    def __init__(self, inner: Shape) -> None:
        self.inner = inner
        self.members: list[Member] = []


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


def loops_of(kernel: Kernel) -> dict[Node, int]:
    """In which of the loops of a row each member is computed."""
    loops = natural_order([Member(node, kernel.prefix, kernel.rows) for node in kernel.members])
    return {member.node: i for i, loop in enumerate(loops) for member in loop.members}


STACK = 1 << 17
"""Bytes of a row that a kernel keeps on the stack."""


def spilled(kernel: Kernel) -> list[Node]:
    """What the loops of a row hand on to later ones and is too much for the stack, so that it needs a place in memory."""
    if kernel.largest // max(kernel.rows, 1) * len(kernel.members) * 8 <= STACK:
        return []
    loop_of = loops_of(kernel)
    found: list[Node] = []
    left = STACK
    for member in kernel.members:
        for read in member.reads():
            node = read.node
            if node in loop_of and loop_of[node] != loop_of[member] and node not in found:
                left -= node.nbytes // kernel.rows
                if left < 0:
                    found.append(node)
    return found


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
            counter = "i0" if one_axis else "row"
            self.open(f"for (int64_t {counter} = start; {counter} < stop; ++{counter})")
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

    def row_folds(self) -> list[tuple[Node, int]]:
        return [(m.node, self.width_over_rows(m)) for m in self.members if m.over_rows]

    def width_over_rows(self, member: Member) -> int:
        return math.prod(member.kept)

    def part_start(self) -> None:
        for member in self.members:
            if not member.over_rows:
                continue
            node, width = member.node, self.width_over_rows(member)
            assert isinstance(node, Reduce)
            zero = zero_of(node.fold, node.dtype)
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
            node = member.node
            assert isinstance(node, Reduce)
            self.line(f"{value_type(node.dtype)} {self.names[node]}s = {zero_of(node.fold, node.dtype)};")
            if is_ordered(node):
                self.line(f"int {self.names[node]}sn = 0;")
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
            for k, name, kind, text in loaded_first(node, self.names[node], operands):
                self.line(f"const {kind} {name} = {text};")
                operands[k] = name
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
            moves.append(f"{stride} * {within(k, length)}")
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
