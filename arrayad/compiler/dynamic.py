"""Programs of a function at several sizes, as one program whose numbers come from a table.

Sizes enter the C text as numbers: lengths of loops, strides, places in the arena, 1/n.  Texts of two sizes that are equal but for
numbers are one *form*: those numbers that differ are read from a table at each call, those that agree stay what they are.  The
text of another size gives its table without being compiled.  So whatever the emitter decides at a size, the program does: nothing
is guessed about how a number depends on the size.  Where a decision changes the text itself, as for small arrays and large
ones, there are as many forms.
"""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Sequence
from typing import Any

from arrayad.compiler.emit import TABLE_MARK
from arrayad.compiler.loading import Program, program_of
from arrayad.errors import CompilationError

NUMBER = re.compile(r"(/\*.*?\*/|(?<![\w.])(?:U?INT64_C\(\d+\)|\d+\.\d*(?:e[+-]?\d+)?f?|\d+e[+-]?\d+f?|\d+)(?![\w.]))", re.DOTALL)
"""What may differ between texts of one form: numbers, and comments."""

FUNCTION = re.compile(r"^(?=(?:static|int arrayad_program)\b[^;\n]*\)\n\{\n)", re.MULTILINE)
"""Where a function begins."""

OPTIONS = ("-DARRAYAD_SIMD",)

OF_PARTS = re.compile(r"(?:\bpart \*|\bpart \+ 1\) \*|\bstart \+|\bpart <|\barena\)? \+|, b,) $")
"""What stands before numbers of parts, of their rows, and of places: they vary in steps, even where the texts known agree."""

INCLUDE = "#include <string.h>\n"

REAL = """
static inline double real_at(const int64_t *place)
{
    double x;
    memcpy(&x, place, sizeof x);
    return x;
}
"""


def kind_of(number: str) -> str:
    """The C type of a number; nothing for a comment."""
    if number.startswith("/*"):
        return ""
    if "." in number or ("e" in number and "_" not in number):
        return "float" if number.endswith("f") else "double"
    return "uint64_t" if number.startswith("U") else "int64_t"


def entry_of(number: str) -> int:
    """A number as it stands in the table: 64 bits, those of a float where it is one."""
    if kind_of(number) in ("float", "double"):
        return int(struct.unpack("<q", struct.pack("<d", float(number.rstrip("f"))))[0])
    value = int(number[number.find("(") + 1 :].rstrip(")"))
    return value - (1 << 64) if value >= 1 << 63 else value


class Form:
    """Texts that are equal but for numbers: what stands between the numbers, and the numbers of each text seen."""

    def __init__(self, between: Sequence[str]) -> None:
        self.between = between
        self.known: list[list[str]] = []
        self.program: Program | None = None
        self.places: dict[int, int] = {}
        """For each number that varies the entry of the table that holds it."""
        self.first: list[int] = []
        """For each entry of the table the first number that it holds."""

    def learn(self, numbers: list[str]) -> None:
        """Let numbers vary in which this text differs from those before."""
        if self.known and self.fits(numbers):
            return
        self.known.append(numbers)
        self.program = None
        groups: dict[Any, int] = {}
        self.places, self.first = {}, []
        function, takes_numbers = 0, False
        for place, (before, values) in enumerate(zip(self.between, zip(*self.known, strict=True), strict=False)):
            if "\n}\n" in before:
                function, takes_numbers = function + 1, False
            takes_numbers |= values[0] == TABLE_MARK.strip()
            group: Any = values
            if takes_numbers and OF_PARTS.search(before):
                group = (function, values) if "start" in before[-20:] else place
            elif values.count(values[0]) == len(values) or not kind_of(values[0]):
                continue
            if group not in groups:
                groups[group] = len(groups)
                self.first.append(place)
            self.places[place] = groups[group]

    def fits(self, numbers: list[str]) -> bool:
        """Whether the program as it is computes what a text with these numbers would."""
        return all(
            number == (self.known[0][place] if (entry := self.places.get(place)) is None else numbers[self.first[entry]])
            for place, number in enumerate(numbers)
            if kind_of(number)
        )

    def table(self, numbers: list[str]) -> list[int]:
        """The table for a text."""
        return [entry_of(numbers[place]) for place in self.first]

    def text(self) -> str:
        """The text in which the numbers that vary are variables, which each function takes from the table."""
        known = self.known[0]
        parts = [self.between[0]]
        for place, after in enumerate(self.between[1:]):
            entry = self.places.get(place)
            parts += [known[place] if entry is None else f"n{entry}_", after]
        found = FUNCTION.split("".join(parts))
        made = "".join(map(self.with_variables, found))
        return made.replace(INCLUDE, INCLUDE + REAL, 1) if "real_at(" in made else made

    def with_variables(self, function: str) -> str:
        """A function with the variables that it uses declared."""
        used = sorted({int(entry) for entry in re.findall(r"\bn(\d+)_\b", function)})
        if not used:
            return function
        lines = []
        for entry in used:
            kind = kind_of(self.known[0][self.first[entry]])
            value = f"table[{entry}]" if kind == "int64_t" else f"({kind})table[{entry}]"
            if kind in ("float", "double"):
                value = f"({kind})real_at(table + {entry})"
            lines.append(f"    const {kind} n{entry}_ = {value};\n")
        head, mark, body = function.partition(TABLE_MARK)
        return head + mark + "".join(lines) + body


class Family:
    """The forms of a function's programs; threads may ask at once."""

    def __init__(self) -> None:
        self.forms: dict[tuple[str, ...], Form] = {}
        self.lock = threading.Lock()

    def form(self, source: str) -> tuple[Form, list[str]]:
        """The form of a text, and its numbers."""
        parts = NUMBER.split(source)
        numbers = parts[1::2]
        between = parts[::2]
        key = (*between, "", *map(kind_of, numbers))
        return self.forms.setdefault(key, Form(between)), numbers

    def learn(self, source: str) -> None:
        """Know of a text, of which nobody needs the program yet."""
        with self.lock:
            form, numbers = self.form(source)
            form.learn(numbers)

    def load(self, source: str) -> tuple[Program, list[int]]:
        """The program of a text, and its table: a program that is there, if it is one of its form."""
        with self.lock:
            form, numbers = self.form(source)
            form.learn(numbers)
            if form.program is None:
                try:
                    form.program = program_of(form.text(), OPTIONS)
                except CompilationError:  # a number that must be one to the C compiler
                    return program_of(source, OPTIONS), []
            return form.program, form.table(numbers)
