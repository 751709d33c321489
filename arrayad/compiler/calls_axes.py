"""Calls that go along an axis of (outer, n, inner), or search one: scans, places of extrema, sorting (see emitted/)."""

from __future__ import annotations

import math
from typing import Any

from arrayad.compiler.ir import Call
from arrayad.compiler.pieces import Pieces

TILE = 512
"""Columns of one piece; axes.h's, too."""

VALUES = 4096
"""Values that one piece looks for."""

Sizes = tuple[int, int, int]


class Scan(Pieces):
    """`cumulative_sum`, `cumulative_prod` or `recurrence`, of scans.h."""

    def __init__(self, name: str, sizes: Sizes, suffix: str, operands: int, reverse: bool) -> None:
        self.name, self.sizes, self.suffix, self.operands, self.reverse = name, sizes, suffix, operands, reverse
        outer, n, inner = sizes
        self.tiles = -(-inner // TILE)
        super().__init__(outer * self.tiles, 20.0 + 1.0 * n * min(inner, TILE))

    def write(self, writer: Any, call: Call) -> None:
        writer.paste("scans", self.suffix)
        _, n, inner = self.sizes
        names = ("a", "b")[: self.operands]
        given = ", ".join(f"{name} + from" for name in names)
        statements = [
            f"const int64_t column = at % {self.tiles} * {TILE}, from = at / {self.tiles} * {n * inner} + column;",
            f"const int64_t width = {inner} - column < {TILE} ? {inner} - column : {TILE};",
            f"{self.name}_{self.suffix}({n}, {inner}, width, {int(self.reverse)}, out + from, {given});",
        ]
        self.write_pieces(writer, call, (*names, "out"), statements)


class Extremum(Pieces):
    """`argmax` or `argmin`: the first place of the extremum, or of a nan."""

    def __init__(self, name: str, sizes: Sizes, suffix: str) -> None:
        self.name, self.sizes, self.suffix = name, sizes, suffix
        outer, n, inner = sizes
        super().__init__(outer * -(-inner // TILE), 20.0 + 0.5 * n * min(inner, TILE))

    def write(self, writer: Any, call: Call) -> None:
        writer.paste(self.name, self.suffix)
        outer, n, inner = self.sizes
        statements = [
            f"const struct axis_job job = {{{outer}, {n}, {inner}, 1, out, x}};",
            f"{self.name}_part_{self.suffix}(&job, at);",
        ]
        self.write_pieces(writer, call, ("x", "out"), statements)


class Argsort(Pieces):
    """The places that put each run along the axis in order."""

    name = "argsort"

    def __init__(self, sizes: Sizes, suffix: str, descending: bool) -> None:
        self.sizes, self.suffix, self.descending = sizes, suffix, descending
        outer, n, inner = sizes
        super().__init__(outer, 5.0 * n * inner * math.log2(n + 1), 4 * 8 * n)

    def write(self, writer: Any, call: Call) -> None:
        writer.paste("sorting", self.suffix)
        _, n, inner = self.sizes
        place = f"at * {n * inner}"
        statement = (
            f"argsort_{self.suffix}(1, {n}, {inner}, {int(self.descending)}, out + {place}, x + {place}, (uint64_t *)work);"
        )
        self.write_pieces(writer, call, ("x", "out"), [statement])


class Search(Pieces):
    """Where values belong in sequences in order, each of `n`; `count` values for each of some sequences."""

    name = "searchsorted"

    def __init__(self, sequences: int, n: int, count: int, suffix: str, right: bool) -> None:
        self.n, self.values, self.suffix, self.right = n, count, suffix, right
        self.per_sequence = -(-count // VALUES)
        super().__init__(sequences * self.per_sequence, 5.0 * min(count, VALUES) * math.log2(n + 2))

    def write(self, writer: Any, call: Call) -> None:
        writer.paste("sorting", self.suffix)
        count, per = self.values, self.per_sequence
        statements = [
            f"const int64_t sequence = at / {per}, start = at % {per} * {VALUES}, from = sequence * {count} + start;",
            f"const int64_t n = {count} - start < {VALUES} ? {count} - start : {VALUES};",
            f"searchsorted_{self.suffix}({self.n}, x + sequence * {self.n}, n, values + from, {int(self.right)}, out + from);",
        ]
        self.write_pieces(writer, call, ("x", "values", "out"), statements)
