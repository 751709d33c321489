"""What a compiled program does, line by line, and the time that each line takes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from arrayad.compiler.outline import Line
from arrayad.readers.cost import program_cost
from arrayad.tracing import Tape

WIDEST = 60
"""Characters of a line's operations that are printed; of its places half as many."""


class Row(NamedTuple):
    """A loop nest, a call, or a loop's or branch's body, in a report."""

    kind: str
    """`loops`, `call`, or `python`, which is a row's own kernel called back from C."""
    block: str
    """"" for the program itself, else the function in C of the loop's or branch's body that the line stands in."""
    function: str
    """The function in C of a loop nest; equal nests share one."""
    operations: str
    places: str
    runs: int | None
    """How often it is run in one call; None where only values say."""
    nbytes: int
    """The bytes that it reads and writes in memory each time."""
    seconds: float | None
    """What it takes in one call, its bodies included; None if that has not been measured."""


class Report(NamedTuple):
    """What a compiled program does in one call; `print` shows it as a table."""

    name: str
    operations: int
    """Operations on the tape as it was traced."""
    simplified: int
    """Operations on the tape that was compiled, those of loops' and branches' bodies apart."""
    loops: int
    """Loop nests: what is left of elementwise operations, reductions and selections once they are fused."""
    calls: int
    python: dict[str, int]
    """Rows that have no text in C and run their own kernels, called back, and how many calls of each there are."""
    flops: float
    """Floating-point operations, as the rows count them."""
    bytes_moved: int
    """Bytes that loop nests and calls read and write in memory; a loop of unknown length counts as one trip."""
    arena: int
    """Bytes of the memory that intermediate arrays share."""
    constants: int
    """Bytes of arrays that the program knows."""
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        head = [
            f"{self.name}: {counted(self.operations, 'operation')}, {self.simplified:,} once simplified; "
            f"{counted(self.loops, 'loop nest')} and {counted(self.calls, 'call')} once fused",
            f"{self.flops:,.0f} flops, {self.bytes_moved:,} bytes moved, arena of {self.arena:,} bytes, "
            f"{self.constants:,} bytes of constants",
        ]
        if self.python:
            words = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in self.python.items())
            head.append(f"run in Python, having no text in C: {words}")
        timed = any(row.seconds is not None for row in self.rows)
        titles = f"{'what':10}{'runs':>7}{'bytes':>14}" + (f"{'µs':>10}{'share':>7}" if timed else "")
        total = sum(row.seconds or 0.0 for row in self.rows if not row.block)
        lines = []
        block = ""
        for row in self.rows:
            if row.block != block:
                block = row.block
                lines.append(f"{block}:" if block else "the program:")
            lines.append(printed(row, timed, total))
        return "\n".join([*head, titles + "  operations", *lines])


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def printed(row: Row, timed: bool, total: float) -> str:
    """A row of the table."""
    runs = "?" if row.runs is None else f"{row.runs:,}"
    line = f"{row.kind:10}{runs:>7}{row.nbytes:>14,}"
    if timed:
        seconds = row.seconds or 0.0
        share = f"{seconds / total:.0%}" if total and not row.block else ""
        line += f"{seconds * 1e6:>10.1f}{share:>7}"
    places = textwrap.shorten(row.places, WIDEST // 2, placeholder=" …")
    return f"{line}  {textwrap.shorten(row.operations, WIDEST, placeholder=' …')}" + (f"  [{places}]" if places else "")


def report_of(
    name: str, tape: Tape, compiled: Tape, lines: Sequence[Line], arena: int, constants: int, times: Sequence[float] | None
) -> Report:
    """The report of a tape, and of the program that was made of it, with the seconds of each line in a call, if known."""
    runs = runs_of(lines)
    rows = tuple(
        Row(
            line.kind,
            line.block,
            line.function,
            line.operations,
            line.places,
            runs[line.block],
            line.nbytes,
            None if times is None else times[k],
        )
        for k, line in enumerate(lines)
    )
    python: dict[str, int] = {}
    for line in lines:
        if line.kind == "python":
            python[line.operations] = python.get(line.operations, 0) + 1
    return Report(
        name,
        len(tape.entries),
        len(compiled.entries),
        sum(line.kind == "loops" for line in lines),
        sum(line.kind != "loops" for line in lines),
        python,
        program_cost(compiled).flops,
        sum((1 if row.runs is None else row.runs) * row.nbytes for row in rows),
        arena,
        constants,
        rows,
    )


def runs_of(lines: Sequence[Line]) -> dict[str, int | None]:
    """How often each block runs in a call of the program: bodies as often as the lines that they belong to say."""
    found: dict[str, int | None] = {"": 1}
    callers: dict[str, list[Line]] = {}
    for line in lines:
        for body in line.bodies:
            callers.setdefault(body, []).append(line)

    def count(block: str) -> int | None:
        if block not in found:
            each = [times(count(line.block), line.trips) for line in callers[block]]
            known = [n for n in each if n is not None]
            found[block] = sum(known) if len(known) == len(each) else None
        return found[block]

    for line in lines:
        count(line.block)
    return found


def times(runs: int | None, trips: int | None) -> int | None:
    return None if runs is None or trips is None else runs * trips


def seconds_of(times: Any, calls: int) -> list[float]:
    """The seconds that each line has taken in a call, of what was counted in so many."""
    return [float(nanoseconds) * 1e-9 / calls for nanoseconds, _ in times]
