"""The derivation of a derivative: each value of a program's trace, its tangents and its adjoint, with their formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayad.arbitrary import filled, taken
from arrayad.by_hand.rules import DOT, Rule, along, rule_of, shortened, sum_of
from arrayad.readers.push import Push
from arrayad.readers.replay import evaluate
from arrayad.readers.show import bar, evaluated, input_names, operand_text, written
from arrayad.shaped import Bundle, is_weak
from arrayad.tensor import handle
from arrayad.tracing import Tape, is_member

Forms = tuple[str, str]
"""A formula in text and in LaTeX."""

PATHS = 6
"""Products along up to so many paths are written out."""


@dataclass(frozen=True)
class Step:
    """A value w of the trace: its formula, and those of its tangent and of the terms of its adjoint, each with numbers.

    `tangents` are values along each direction, None for zero; `rule` that by which its operation is differentiated, None for
    an input.
    """

    name: Forms
    formula: Forms
    aval: Any
    value: Any
    tangent: Forms
    tangents: tuple[Any, ...]
    adjoint: Forms | None
    cotangent: Any
    rule: Rule | None


@dataclass(frozen=True)
class Product:
    """The chain rule between an input and the result: for each path the factors from the result back, with their values."""

    by: str
    paths: tuple[tuple[tuple[Forms, float], ...], ...]
    count: int
    total: Any


class Derivation:
    """The derivation of a program, given its tape at values and the directions of its tangents, one for each column.

    `tangents[k][i]` is that of input i in direction k, None for zero.
    """

    def __init__(self, tape: Tape, tangents: Sequence[Sequence[Any]]) -> None:
        self.tape = tape
        self.nodes: list[Any] = [*tape.inputs, *tape.entries]
        self.names: dict[Any, Forms] = {entry: (f"w{i}", f"w_{{{i}}}") for i, entry in enumerate(self.nodes)}
        values, cotangents = evaluated(tape)
        self.values = {entry: handle(x.value) for entry, x in values.items()}
        self.cotangents = {entry: None if ct is None else handle(ct.value) for entry, ct in cotangents.items()}
        self.columns = [tangents_of(tape, column) for column in tangents]
        self.moving = moving_in(tape, tangents)
        self.terms = self.adjoint_terms()

    # --- formulas -----------------------------------------------------------------------------------------------------

    def operand(self, x: Any, k: int) -> str:
        """An operand in text (k = 0) or LaTeX (k = 1)."""
        return operand_text(x, {entry: forms[k] for entry, forms in self.names.items()}, self.tape)

    def operands(self, entry: Any, k: int) -> list[str]:
        return [self.operand(x, k) for x in entry.inputs]

    def formula(self, entry: Any) -> Forms:
        """The operation on its operands' names."""
        text, latex = (
            written(entry.primitive, self.operands(entry, k), shortened(entry.params), column)
            for k, column in enumerate(("text", "latex"))
        )
        return text, latex

    def tangent(self, entry: Any) -> Forms:
        """The sum of what the operands' tangents become."""
        text, latex = (
            sum_of(
                [
                    term
                    for i, x in enumerate(entry.inputs)
                    if is_member(x, self.tape) and x.history in self.moving
                    if (term := self.pushed(entry, i, dotted(self.names[x.history])[k], k)) is not None
                ]
            )
            or "0"
            for k in range(2)
        )
        return text, latex

    def pushed(self, entry: Any, i: int, t: str, k: int, transposed: bool = False) -> str | None:
        return along(entry, i, t, self.operands(entry, k), self.names[entry][k], ("text", "latex")[k], transposed=transposed)

    def adjoint_terms(self) -> dict[Any, list[Forms]]:
        """For each value the terms of its adjoint, in the order in which the sweep adds them."""
        terms: dict[Any, list[Forms]] = {entry: [] for entry in self.nodes}
        for y in self.tape.outputs:
            if is_member(y, self.tape):
                terms[y.history].append(("1", "1"))
        for entry in reversed(self.tape.entries):
            if not terms[entry] or entry not in self.moving or not entry.primitive.differentiable:
                continue
            for i, x in enumerate(entry.inputs):
                if is_member(x, self.tape) and x.history in self.moving:
                    found = [self.pushed(entry, i, barred(self.names[entry])[k], k, True) for k in range(2)]
                    if found[0] is not None and found[1] is not None:
                        terms[x.history].append((found[0], found[1]))
        return terms

    # --- the table ----------------------------------------------------------------------------------------------------

    def steps(self) -> list[Step]:
        """Every value of the trace."""
        inputs = dict(zip(self.tape.inputs, input_names(self.tape), strict=True))
        found = []
        for entry in self.nodes:
            is_input = entry in inputs
            terms = self.terms[entry]
            adjoint = sum_of([text for text, _ in terms]), sum_of([latex for _, latex in terms])
            moves = [i for i, x in enumerate(entry.inputs) if is_member(x, self.tape) and x.history in self.moving]
            found.append(
                Step(
                    name=self.names[entry],
                    formula=(inputs[entry], rf"\mathrm{{{inputs[entry]}}}" if len(inputs[entry]) > 1 else inputs[entry])
                    if is_input
                    else self.formula(entry),
                    aval=entry.output,
                    value=self.values.get(entry),
                    tangent=("", "") if is_input else self.tangent(entry),
                    tangents=tuple(column.get(entry) for column in self.columns),
                    adjoint=adjoint if terms and entry in self.moving else None,
                    cotangent=self.cotangents.get(entry),
                    rule=rule_of(entry, moves) if moves and is_float(entry.output) else None,
                )
            )
        return found

    # --- the product --------------------------------------------------------------------------------------------------

    def products(self) -> list[Product]:
        """For each input that moves the chain rule's products, where all values on the way are single numbers."""
        outputs = [y.history for y in self.tape.outputs if is_member(y, self.tape)]
        if len(outputs) != 1:
            return []
        links = self.links()
        if links is None:
            return []
        found = []
        for entry, name in zip(self.tape.inputs, input_names(self.tape), strict=True):
            count = paths_between(entry, outputs[0], links)
            if entry in self.moving and count:
                paths = walked(entry, outputs[0], links) if count <= PATHS else []
                found.append(Product(name, tuple(tuple(reversed(path)) for path in paths), count, self.cotangents.get(entry)))
        return found

    def links(self) -> dict[Any, list[tuple[Any, Forms, float]]] | None:
        """For each value those computed from it, with the partial derivative between; None where one is an array."""
        links: dict[Any, list[tuple[Any, Forms, float]]] = {entry: [] for entry in self.nodes}
        for entry in self.tape.entries:
            for i, x in enumerate(entry.inputs):
                if not (is_member(x, self.tape) and x.history in self.moving and entry in self.moving):
                    continue
                if any(y.__class__ is Bundle or y.shape != () for y in (entry.output, x.history.output)):
                    return None
                found = [self.pushed(entry, i, "1", k, True) for k in range(2)]
                if found[0] is None or found[1] is None:
                    continue
                forms = plainly(found[0], DOT["text"]), plainly(found[1], DOT["latex"])
                links[x.history].append((entry, forms, self.partial(entry, i)))
        return links

    def partial(self, entry: Any, i: int) -> float:
        """∂y/∂x of an operation of single numbers, by operand i."""
        xs = [taken(x, entry.output.dtype) if is_weak(x) else self.plain(x) for x in entry.inputs]
        one = handle(filled((), 1, entry.output.dtype))
        needed = [k == i for k in range(len(xs))]
        g = entry.primitive.vjp(needed, one, self.values[entry], *map(handle, xs), **entry.params)[i]
        return g.item() if g is not None else 0.0

    def plain(self, x: Any) -> Any:
        """The value of an operand."""
        return self.values[x.history].value if is_member(x, self.tape) else x.value


def tangents_of(tape: Tape, tangents: Sequence[Any]) -> dict[Any, Any]:
    """The tangent of every value, given those of the inputs."""
    push = Push()
    try:
        inputs = [
            handle(x) if t is None else push.watch(handle(x), handle(t)) for x, t in zip(tape.values, tangents, strict=True)
        ]
        with np.errstate(all="ignore"):
            values = evaluate(tape, inputs)
        found = {entry: push.of(x) for entry, x in values.items()}
        return {entry: t for entry, t in found.items() if t is not None}
    finally:
        push.close()


def moving_in(tape: Tape, tangents: Sequence[Sequence[Any]]) -> set[Any]:
    """The inputs that move in some direction, and the floating-point values that depend on these."""
    moving = {entry for i, entry in enumerate(tape.inputs) if any(column[i] is not None for column in tangents)}
    for entry in tape.entries:
        if is_float(entry.output) and any(is_member(x, tape) and x.history in moving for x in entry.inputs):
            moving.add(entry)
    return moving


def is_float(output: Any) -> bool:
    """Whether an output has a derivative, or one among several may have."""
    return output.__class__ is Bundle or output.dtype.kind in "fcO"


def paths_between(start: Any, end: Any, links: dict[Any, list[tuple[Any, Forms, float]]]) -> int:
    """How many paths lead from one value to another."""
    counts = {end: 1}
    for entry in reversed(list(links)):
        if entry is not end:
            counts[entry] = sum(counts.get(later, 0) for later, _, _ in links[entry])
    return counts.get(start, 0)


def walked(start: Any, end: Any, links: dict[Any, list[tuple[Any, Forms, float]]]) -> list[list[tuple[Forms, float]]]:
    """The factors along each path from one value to another."""
    stack: list[tuple[Any, list[tuple[Forms, float]]]] = [(start, [])]
    found = []
    while stack:
        entry, factors = stack.pop()
        if entry is end:
            found.append(factors)
            continue
        stack += [(later, [*factors, (forms, value)]) for later, forms, value in reversed(links[entry])]
    return found


def plainly(term: str, dot: str) -> str:
    """A factor without the 1 that it was multiplied with."""
    return term.removeprefix(f"1{dot}")


def barred(name: Forms) -> Forms:
    """The name of an adjoint."""
    return bar(name[0]), rf"\bar{{w}}{name[1][1:]}"


def dotted(name: Forms) -> Forms:
    """The name of a tangent."""
    return f"ẇ{name[0][1:]}", rf"\dot{{w}}{name[1][1:]}"
