"""A tape as lines of formulas: what is used more than once has a name, `w1`, `w2`, …, the rest stands where it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from arrayad.readers.simplify import uses_of
from arrayad.shaped import is_weak
from arrayad.symbolic.notation import NOTATION, Array, Node, Symbol, applied
from arrayad.tracing import Tape, is_member

Part = TypeVar("Part")

NESTED = 48
"""Nodes up to which a formula is nested without names; a longer line is cut at what would make it longer."""

SHORT = 4
"""Characters of a formula that is not worth a name."""

GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega".split()
)
LETTERS = "wvuqzgh"


def latex_name(name: str) -> str:
    r"""A name in LaTeX: `theta` is a Greek letter, `x1` and `x_1` have an index, `x[2]` likewise.

    **Example**

    >>> [latex_name(name) for name in ("x", "theta", "x1", "rate_max", "x[0,2]", "velocity")]
    ['x', '\\theta', 'x_{1}', '\\mathit{rate}_{max}', 'x_{0,2}', '\\mathit{velocity}']
    """
    stem, bracket, index = name.partition("[")
    if bracket:
        return f"{latex_name(stem)}_{{{index.rstrip(']')}}}"
    stem, _, index = name.partition("_") if not name.startswith("_") else (name, "", "")
    if not index and stem.rstrip("0123456789") not in ("", stem):
        letters = stem.rstrip("0123456789")
        stem, index = letters, stem[len(letters) :]
    if stem.lower() in GREEK:
        stem = f"\\{stem}"
    elif len(stem) > 1:
        stem = rf"\mathit{{{stem}}}".replace("_", r"\_")
    return f"{stem}_{{{index}}}".replace("__", r"\_\_") if index else stem


def letter_for_parts(names: Sequence[str]) -> str:
    """A letter that no symbol begins with."""
    return next((letter for letter in LETTERS if not any(name.startswith(letter) for name in names)), "w_")


class Style(Generic[Part]):
    """What lines are made of.  `most` nodes, at most, stand in one; `nests` tells whether a small whole has no names at all."""

    most = NESTED
    nests = True

    def symbols(self, names: Sequence[str]) -> list[Part]:
        raise TypeError(type(self).__name__)

    def part(self, name: str, order: int) -> Part:
        """The name of a part."""
        raise TypeError(type(self).__name__)

    def number(self, value: Any) -> Part:
        raise TypeError(type(self).__name__)

    def array(self, value: Any) -> Part:
        raise TypeError(type(self).__name__)

    def applied(self, entry: Any, operands: Sequence[Part]) -> Part:
        raise TypeError(type(self).__name__)

    def repeats(self, entry: Any) -> list[int]:
        """The operands that would stand in several places of an operation's formula."""
        return []

    def is_short(self, value: Part) -> bool:
        """Whether a formula is no longer than a name is worth."""
        return False


class Line(NamedTuple, Generic[Part]):
    """A named part."""

    name: Part
    value: Part


class Writing(Generic[Part]):
    """The lines of one tape: the named parts in order, and the results."""

    def __init__(self, tape: Tape, names: Sequence[str], style: Style[Part]) -> None:
        self.tape, self.style = tape, style
        self.letter = letter_for_parts(names)
        self.first = len(names)
        self.found: dict[Any, Part] = dict(zip(tape.inputs, style.symbols(names), strict=True))
        self.names_parts = not style.nests or sum(map(nested_sizes(tape).__getitem__, roots(tape))) > style.most
        self.uses: Counter[Any] = uses_of(tape)
        self.sizes: dict[Any, int] = dict.fromkeys(tape.inputs, 1)
        self.parts: list[Line[Part]] = []
        for entry in tape.entries:
            self.add(entry)
        self.results = [self.operand(y) for y in tape.outputs]

    def operand(self, x: Any) -> Part:
        if is_member(x, self.tape):
            return self.found[x.history]
        if is_weak(x):
            return self.style.number(x)
        value = np.asarray(x.value if hasattr(x, "value") else x)
        return self.style.array(value) if value.ndim else self.style.number(value.item())

    def add(self, entry: Any) -> None:
        """The formula of an entry, as it stands where it is used: a name, or what it is."""
        members = [x.history for x in entry.inputs if is_member(x, self.tape)]
        size = 1 + sum(self.sizes[x] for x in members) + sum(not is_member(x, self.tape) for x in entry.inputs)
        if self.names_parts and size > self.style.most:
            for x in sorted(set(members), key=self.sizes.__getitem__, reverse=True):
                if size > self.style.most and self.sizes[x] > 2:
                    size -= (self.sizes[x] - 1) * members.count(x)
                    self.name(x)
        for i in self.style.repeats(entry):
            if is_member(entry.inputs[i], self.tape):
                self.name(entry.inputs[i].history)
        value = self.style.applied(entry, [self.operand(x) for x in entry.inputs])
        self.found[entry], self.sizes[entry] = value, size
        if self.names_parts and self.uses[entry] > 1 and not self.style.is_short(value):
            self.name(entry)

    def name(self, entry: Any) -> None:
        """Give an entry a name, from here on."""
        if self.sizes[entry] > 1:
            k = len(self.parts) + 1
            name = self.style.part(f"{self.letter}{k}", self.first + k)
            self.parts.append(Line(name, self.found[entry]))
            self.found[entry], self.sizes[entry] = name, 1


def roots(tape: Tape) -> list[Any]:
    return [y.history for y in tape.outputs if is_member(y, tape)]


def nested_sizes(tape: Tape) -> dict[Any, int]:
    """The nodes of each entry's formula if nothing had a name: as Python's integers, for they may be astronomical."""
    sizes = dict.fromkeys(tape.inputs, 1)
    for entry in tape.entries:
        sizes[entry] = 1 + sum(sizes[x.history] if is_member(x, tape) else 1 for x in entry.inputs)
    return sizes


class Formulas(Style[Node]):
    """Lines of formulas, in text or LaTeX."""

    def symbols(self, names: Sequence[str]) -> list[Node]:
        return [Symbol(name, latex_name(name), i) for i, name in enumerate(names)]

    def part(self, name: str, order: int) -> Node:
        return Symbol(name, f"{name[0]}_{{{name[1:].lstrip('_')}}}", order)

    def number(self, value: Any) -> Node:
        return NOTATION.number(value)

    def array(self, value: Any) -> Node:
        return Array(np.array2string(value, separator=", ", threshold=8).replace("\n", ""))

    def applied(self, entry: Any, operands: Sequence[Node]) -> Node:
        return applied(entry.primitive, operands)

    def is_short(self, value: Node) -> bool:
        return len(value.form(0)) <= SHORT
