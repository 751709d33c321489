"""A tape as lines of formulas: what is used more than once has a name, `w1`, `w2`, …, the rest stands where it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad.readers.simplify import uses_of
from arrayad.shaped import is_weak
from arrayad.symbolic.notation import NOTATION, Array, Node, Symbol, applied
from arrayad.tracing import Tape, is_member

NESTED = 48
"""Nodes up to which a formula is nested without names; a longer line is cut at what would make it longer."""

SHORT = 4
"""Characters of a formula that is not worth a name."""

GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega".split()
)
LETTERS = "wvuqzgh"


class Line(NamedTuple):
    """A named part, or a result, of a formula."""

    name: Node
    value: Node


class Formulas(NamedTuple):
    """The named parts in order, and the results."""

    parts: list[Line]
    results: list[Node]


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
    return f"{stem}_{{{index}}}".replace("_{}", "").replace("__", r"\_\_") if index else stem


def symbols_of(names: Sequence[str]) -> list[Symbol]:
    return [Symbol(name, latex_name(name), i) for i, name in enumerate(names)]


def letter_for_parts(names: Sequence[str]) -> str:
    """A letter that no symbol begins with."""
    return next((letter for letter in LETTERS if not any(name.startswith(letter) for name in names)), "w_")


def formulas_of(tape: Tape, names: Sequence[str], most: int = NESTED) -> Formulas:
    """The formulas of a tape of elementwise operations.

    Without names for parts, where the whole has up to `most` nodes; else what is used more than once, and is more than a number
    times a symbol, is named, and so is what would make a line longer than that.
    """
    return Writing(tape, names, most).formulas


class Writing:
    """The formulas of one tape."""

    def __init__(self, tape: Tape, names: Sequence[str], most: int) -> None:
        self.tape, self.most = tape, most
        self.letter = letter_for_parts(names)
        self.first = len(names)
        symbols = symbols_of(names)
        self.found: dict[Any, Node] = dict(zip(tape.inputs, symbols, strict=True))
        sizes = nested_sizes(tape)
        self.uses: Counter[Any] = uses_of(tape) if sum(map(sizes.__getitem__, roots(tape))) > most else Counter()
        self.sizes: dict[Any, int] = dict.fromkeys(tape.inputs, 1)
        self.parts: list[Line] = []
        for entry in tape.entries:
            self.add(entry)
        self.formulas = Formulas(self.parts, [self.operand(y) for y in tape.outputs])

    def operand(self, x: Any) -> Node:
        if is_member(x, self.tape):
            return self.found[x.history]
        value = x if is_weak(x) else np.asarray(x.value if hasattr(x, "value") else x)
        if is_weak(value) or value.ndim == 0:
            return NOTATION.number(value if is_weak(value) else value.item())
        return Array(np.array2string(value, separator=", ", threshold=8).replace("\n", ""))

    def add(self, entry: Any) -> None:
        """The formula of an entry, as it stands where it is used: a name, or what it is."""
        members = [x.history for x in entry.inputs if is_member(x, self.tape)]
        size = 1 + sum(self.sizes[x] for x in members) + sum(not is_member(x, self.tape) for x in entry.inputs)
        if self.uses and size > self.most:
            for x in sorted(set(members), key=self.sizes.__getitem__, reverse=True):
                if self.sizes[x] > 2:
                    size -= (self.sizes[x] - 1) * members.count(x)
                    self.name(x)
                if size <= self.most:
                    break
        value = applied(entry.primitive, [self.operand(x) for x in entry.inputs])
        self.found[entry], self.sizes[entry] = value, size
        if self.uses[entry] > 1 and not is_short(value):
            self.name(entry)

    def name(self, entry: Any) -> None:
        """Give an entry a name, from here on."""
        if self.sizes[entry] == 1:
            return
        k = len(self.parts) + 1
        symbol = Symbol(f"{self.letter}{k}", f"{self.letter}_{{{k}}}", self.first + k)
        self.parts.append(Line(symbol, self.found[entry]))
        self.found[entry], self.sizes[entry] = symbol, 1


def roots(tape: Tape) -> list[Any]:
    return [y.history for y in tape.outputs if is_member(y, tape)]


def nested_sizes(tape: Tape) -> dict[Any, int]:
    """The nodes of each entry's formula if nothing had a name: as Python's integers, for they may be astronomical."""
    sizes = dict.fromkeys(tape.inputs, 1)
    for entry in tape.entries:
        sizes[entry] = 1 + sum(sizes[x.history] if is_member(x, tape) else 1 for x in entry.inputs)
    return sizes


def is_short(value: Node) -> bool:
    """Whether a formula is no longer than a name is worth: 2·x, x²."""
    return len(value.form(0)) <= SHORT
