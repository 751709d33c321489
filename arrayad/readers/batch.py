"""Batch: run a tape once for many examples, whose values stand along axis 0 of the operands that differ between them.

Each entry whose operands differ is replaced by what its row's batching rule makes of it; what the examples share is
computed once.  The rules are written in operations, so whoever follows the operands follows this run.
"""

from __future__ import annotations

from typing import Any

from arrayad.binding import bind
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape


def batch(tape: Tape, size: int, operands: list[Any], batched: list[bool]) -> tuple[list[Tensor], list[bool]]:
    """The outputs of a tape for `size` examples, and which of them differ between examples and carry these along axis 0.

    **Parameters** `tape`: recorded by the shapes of one example, so that it has no guards; `batched`: which of the operands
    carry the examples along axis 0.

    **Raises** `TypeError` for a row without a batching rule.
    """
    values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))
    carried = {entry for entry, flag in zip(tape.inputs, batched, strict=True) if flag}
    last = last_uses(tape)
    for entry in tape.entries:
        histories = [x.history if x.__class__ is Tensor else None for x in entry.inputs]
        xs = tuple([values.get(history, x) for history, x in zip(histories, entry.inputs, strict=True)])
        flags = [history in carried for history in histories]
        if True in flags:
            rule = entry.primitive.batch
            if rule is None:
                raise TypeError(f"[{entry.primitive.name}] the row has no batching rule; declare its column `batch`")
            values[entry] = rule(size, xs, flags, **entry.params)
            carried.add(entry)
        else:
            values[entry] = bind(entry.primitive, xs, entry.params)
        for history in histories:
            if last.get(history) is entry:
                values.pop(history, None)
    found = [values.get(y.history, y) if y.__class__ is Tensor else handle(y) for y in tape.outputs]
    return found, [y.__class__ is Tensor and y.history in carried for y in tape.outputs]


def last_uses(tape: Tape) -> dict[Any, Any]:
    """The entry after which a value is needed no longer, by the value's own entry; outputs have none."""
    last = {x.history: entry for entry in tape.entries for x in entry.inputs if x.__class__ is Tensor}
    for y in tape.outputs:
        if y.__class__ is Tensor:
            last.pop(y.history, None)
    return last
