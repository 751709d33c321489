"""A kernel of short rows, which are the vector themselves: the rest of the space is unrolled, each element a variable."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

from arrayad.compiler.fuse import fine_box
from arrayad.compiler.ir import Gather, Map, Node, Read, Reduce, Select, Uniform
from arrayad.compiler.kernel_text import KernelText, Member, Text, combined, finished, folded, is_ordered, loaded_first, within
from arrayad.compiler.text import c_type, index_text, literal, substituted, value_type, zero_of
from arrayad.compiler.views import Shape, View

PADDED, MOST_PADDED = 16, 64
"""Lanes of whole vectors, and how many lanes are few."""

LANE_STATEMENTS = 160
"""Statements of one loop over lanes."""

TILE = 64
"""Lanes of a tile, where values between loops are kept in arrays."""

VARIABLE = re.compile(r"\bv\d+[_a-z\d]*\b")


def stored_type(kind: str) -> str:
    return "uint8_t" if kind == "_Bool" else kind


class LaneText(KernelText):
    """A kernel whose rows are the vector: each element of a row is a variable, each operation on one a statement."""

    def write(self) -> Text:
        self.lane = "i0"
        self.statements: list[tuple[str, str, str]] = []  # name, type, expression
        self.known: dict[tuple[Node, Shape], str] = {}
        breaks = self.breakpoints()
        self.loads: dict[str, str] = {}
        self.load_types: dict[str, str] = {}
        self.is_padded = self.is_worth_padding(breaks)
        chunk = -(-self.rows // self.parts)
        self.line(f"int64_t start = part * {chunk}, stop = start + {chunk} < {self.rows} ? start + {chunk} : {self.rows};")
        self.line("(void)start;")
        self.line("(void)stop;")
        self.reductions = [m for m in self.members if m.over_rows]
        self.declare_folds()
        for low, high in breaks:
            self.interval(low, high)
        self.end_folds()
        return Text(self.lines, list(self.buffers), self.parts, [(m.node, math.prod(m.kept)) for m in self.reductions])

    def is_worth_padding(self, breaks: list[tuple[int, int]]) -> bool:
        """Whether lanes that fill no whole vectors call functions, one by one if they are not padded."""
        texts = [member.node.text for member in self.members if isinstance(member.node, Map)]
        calls = sum(text.count("M(") + text.count("NAME(") for text in texts)
        few = self.rows <= MOST_PADDED and self.rows % PADDED and self.parts == 1 and len(breaks) == 1
        plain = all(not member.inner and not isinstance(member.node, Gather) for member in self.members)
        return bool(few and plain and calls > 1 and len(self.members) <= LANE_STATEMENTS)

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
        if self.is_padded:
            self.padded_loop(stores)
        elif len(self.statements) <= LANE_STATEMENTS:
            self.pragma()
            self.open(f"for (int64_t i0 = {first}; i0 < {last}; ++i0)")
            for name, kind, text in self.statements:
                self.line(f"const {kind} {name} = {text};")
            for target, value in stores:
                self.line(f"{target}{value};" if target else value)
            self.close()
        else:
            self.chunked(first, last, stores)

    def padded_loop(self, stores: list[tuple[str, str]]) -> None:
        """A few lanes as whole vectors: what is loaded is padded with zeros, and of the results only theirs are stored."""
        length = -(-self.rows // PADDED) * PADDED
        for text, name in self.loads.items():
            self.line(f"{self.load_types[name]} {name}[{length}] = {{0}};")
            self.line(f"for (int64_t i0 = 0; i0 < {self.rows}; ++i0) {name}[i0] = {text};")
        kinds = {name: kind for name, kind, _ in self.statements}
        used = {name for _, text in stores for name in VARIABLE.findall(text) if name in kinds}
        for name in used:
            self.line(f"{stored_type(kinds[name])} {name}_t[{length}];")
        groups = [self.statements[i : i + LANE_STATEMENTS] for i in range(0, len(self.statements), LANE_STATEMENTS)]
        assert len(groups) <= 1
        self.lines.append("SIMD()")
        self.open(f"for (int64_t i0 = 0; i0 < {length}; ++i0)")
        for name, kind, text in self.statements:
            self.line(f"const {kind} {name} = {text};")
            if name in used:
                self.line(f"{name}_t[i0] = {name};")
        self.close()
        self.open(f"for (int64_t i0 = 0; i0 < {self.rows}; ++i0)")
        for target, value in stores:
            text = VARIABLE.sub(lambda m: f"{m[0]}_t[i0]" if m[0] in used else m[0], value)
            self.line(f"{target}{text};" if target else text)
        self.close()

    def load(self, text: str, node: Node) -> str:
        """An element of what is read, by way of a padded copy where there is one."""
        if not self.is_padded or self.lane not in text:
            return text
        name = self.loads.setdefault(text, f"l{len(self.loads)}")
        self.load_types[name] = c_type(node.dtype)
        return f"{name}[i0]"

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
            (g, name)
            for g, group in enumerate(groups)
            for _, _, text in group
            for name in VARIABLE.findall(text)
            if name in place
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
            tail = "".join(f"_{i}" for i in index)
            for number, name, kind, text in loaded_first(node, f"{self.names[node]}{tail}", operands):
                self.statements.append((name, kind, text))
                operands[number] = name
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
            moves.append(f"{stride} * {within(k, length)}")
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
            return self.cast(self.load(f"{self.buffer(node)}[{self.place(view, index)}]", node), node, kind)
        lead = len(self.prefix)
        flat = view.offset + sum(s * k for s, k in zip(view.strides[lead:], index, strict=True))
        inner = []
        for n in reversed(member.kept):
            inner.append(flat % n)
            flat //= n
        return self.cast(self.value(member, tuple(reversed(inner))), node, kind)
