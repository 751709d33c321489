"""Unroll a tape at its values: loops step by step, also where values end them, and of branches the one that is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayad.control.branching import SWITCH
from arrayad.control.conditional_loop import WHILE
from arrayad.control.program import Program
from arrayad.primitive import Primitive
from arrayad.readers.unfold import Unfolding
from arrayad.shaped import Bundle
from arrayad.tensor import handle
from arrayad.tracing import Tape, record

Run = Callable[..., list[Any]]
"""The outputs of a tape on some operands."""


def unrolled(tape: Tape) -> Tape:
    """The tape of the same program, at the same values, that holds no programs; the tape itself if it holds none."""
    if not any(is_rolled(entry.primitive) for entry in tape.entries):
        return tape
    unrolling = Unrolling(None)
    found = record(lambda *operands: unrolling.run(tape, operands), list(map(handle, tape.values)), tape.names)
    found.structure = tape.structure
    return found


def is_rolled(row: Primitive) -> bool:
    """Whether a row holds programs that can be written out at values."""
    return row in BY_VALUES or row.unfold is not None


class Unrolling(Unfolding):
    """Unfolding at values, which settle how long a loop is and which branch is taken."""

    def result(self, entry: Any, operands: tuple[Any, ...]) -> Any:
        if entry.primitive in BY_VALUES:
            return Bundle(BY_VALUES[entry.primitive](self.run, *operands, **entry.params))
        return super().result(entry, operands)


def steps_of_while(run: Run, *xs: Any, condition: Program, body: Program, captures: int, **params: Any) -> list[Any]:
    """The last carry, and the number of trips."""
    fixed, carry, trips = xs[:captures], list(xs[captures:]), 0
    while bool(run(condition.tape, [*fixed, *carry])[0].value):
        carry = run(body.tape, [*fixed, *carry])
        trips += 1
    return [*carry, trips]


def branch_of_switch(run: Run, index: Any, *xs: Any, branches: tuple[Program, ...]) -> list[Any]:
    """The results of the branch that is taken."""
    return run(branches[int(index.value)].tape, list(xs))


BY_VALUES: dict[Primitive, Callable[..., list[Any]]] = {WHILE: steps_of_while, SWITCH: branch_of_switch}
"""The rows whose programs run as values say."""
