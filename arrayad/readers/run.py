"""Run: a tape as a function of plain arrays, for programs that run many times and are not followed.

No Tensor is made and nothing is recorded; each value is dropped after its last use.  NumPy's warnings are the caller's
to silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayad.tensor import Tensor
from arrayad.tracing import Tape, is_member

Runner = Callable[[list[Any]], list[Any]]


def runner(tape: Tape) -> Runner:
    """The function that takes the values of the tape's inputs to those of its outputs.

    What the tape captured stands in it as a constant, whatever its history; guards are not checked.
    """
    places: dict[Any, int] = {entry: i for i, entry in enumerate([*tape.inputs, *tape.entries])}
    constants: list[Any] = []

    def place_of(x: Any) -> int:
        if is_member(x, tape):
            return places[x.history]
        constants.append(x.value if x.__class__ is Tensor else x)
        return len(places) + len(constants) - 1

    operands = [tuple(map(place_of, entry.inputs)) for entry in tape.entries]
    results = [place_of(y) for y in tape.outputs]
    last_use: dict[int, int] = {}
    for i, used in enumerate(operands):
        last_use |= dict.fromkeys(used, i)
    dying: list[list[int]] = [[] for _ in operands]
    for place, i in last_use.items():
        if place < len(places) and place not in results:
            dying[i].append(place)
    steps = [
        (entry.primitive.kernel(*entry.avals), entry.params, operands[i], places[entry], dying[i])
        for i, entry in enumerate(tape.entries)
    ]
    count = len(tape.inputs)
    template = [None] * len(tape.entries) + constants

    def run(values: list[Any]) -> list[Any]:
        if len(values) != count:
            raise TypeError(f"[run] {count} values were needed, {len(values)} came")
        slots = [*values, *template]
        for compute, params, used, place, dead in steps:
            slots[place] = compute(*[slots[k] for k in used], **params)
            for k in dead:
                slots[k] = None
        return [slots[k] for k in results]

    return run
