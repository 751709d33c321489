"""Calls of equal pieces that know nothing of each other, which threads share: streams, columns, the matrices of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arrayad.compiler.calls import Code
from arrayad.compiler.ir import Call
from arrayad.compiler.text import c_type

PARALLEL = 40_000.0
"""Nanoseconds of work from which on threads share it."""

PART = 10_000.0
"""Nanoseconds of work of one part."""

MOST_PARTS = 64
MOST_ROOMS = 8
"""Parts of a call of which each needs memory for itself."""


class Pieces(Code):
    """`count` pieces, each of about `cost` nanoseconds, that need `room` bytes to work in."""

    def __init__(self, count: int, cost: float, room: int = 0) -> None:
        work = count * cost
        most = MOST_ROOMS if room else MOST_PARTS
        self.count, self.room = count, -(-room // 64) * 64
        self.parts = int(max(1, min(most, work // PART, count))) if work > PARALLEL else 1

    def scratch(self, writer: Any, call: Call) -> int:
        return self.parts * self.room

    def write_pieces(self, writer: Any, call: Call, names: Sequence[str], statements: Sequence[str]) -> None:
        """Run these statements for each piece `at`; operands and results have these names, and `work` is room to work in."""
        reads = [(x.node.dtype, writer.pointer(x), "const ") for x in call.operands]
        made = [(x.dtype, writer.result(x), "") for x in call.parts]
        pointers = [pointer for _, pointer, _ in (*reads, *made)]
        chunk = -(-self.count // self.parts)
        dynamic, place = writer.program.dynamic, len(names) + bool(self.room)
        lines = ["    void *const *given = context;", *writer.program.table_of(place, "given")]
        for k, (name, (dtype, _, const)) in enumerate(zip(names, (*reads, *made), strict=True)):
            lines.append(f"    {const}{c_type(dtype)} *{name} = given[{k}];")
        if self.room:
            lines.append(f"    char *work = (char *)given[{len(names)}] + part * {self.room};")
            pointers.append(writer.scratch(call))
        if dynamic:
            pointers.append("table")
        lines += [
            f"    for (int64_t at = part * {chunk}; at < {self.count} && at < (part + 1) * {chunk}; ++at) {{",
            *(f"        {statement}" for statement in statements),
            "    }",
        ]
        function = writer.program.function(self.name, lines)
        writer.open("")
        writer.line(f"void *b[] = {{{', '.join(f'(void *)({p})' for p in pointers)}}};")
        writer.line(f"run_parts(host, {function}, b, {self.parts});" if self.parts > 1 or dynamic else f"{function}(b, 0);")
        writer.close()
