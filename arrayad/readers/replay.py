"""Replay: run a tape again, on other values, with ordinary operations."""

from __future__ import annotations

from typing import Any

from arrayad import tree
from arrayad.binding import bind
from arrayad.errors import ArrayadError
from arrayad.shaped import is_abstract
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, is_member


class GuardError(ArrayadError, RuntimeError):
    """A tape was replayed on values that would have taken another branch."""


def evaluate(tape: Tape, operands: list[Any]) -> dict[Any, Any]:
    """The value of every entry of the tape, keyed by entry, on these operands.

    **Raises** `GuardError` where a branch that the tape followed would go the other way, if values are at hand.
    """
    values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))

    def value_of(x: Any) -> Any:
        return values[x.history] if is_member(x, tape) else x

    for entry in tape.entries:
        values[entry] = bind(entry.primitive, tuple(map(value_of, entry.inputs)), entry.params)
    for operand, truth, location in tape.guards:
        if not is_abstract(value_of(operand).value) and bool(value_of(operand)) is not truth:
            raise GuardError(f"[replay] the branch at {location} was {truth} when the tape was recorded and is {not truth} now")
    return values


def replay(tape: Tape, *operands: Any) -> Any:
    """The outputs of the tape on these operands, one for each input, in the structure that the function returned.

    They are Tensors of their own, also where the function returned what it was given.
    """
    if len(operands) != len(tape.inputs):
        raise TypeError(f"[replay] {len(tape.inputs)} operands were needed, {len(operands)} came")
    values = evaluate(tape, list(operands))
    outputs = [values[y.history] if is_member(y, tape) else y for y in tape.outputs]
    return tree.unflatten(tape.structure, [handle(y.value, y.history) if y.__class__ is Tensor else handle(y) for y in outputs])
