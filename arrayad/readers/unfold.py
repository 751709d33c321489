"""Unfold: a tape of the same function with the programs that its operations hold written out, loops step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arrayad.binding import bind
from arrayad.shaped import Bundle
from arrayad.tape import Located, recorded
from arrayad.tensor import Tensor
from arrayad.tracing import Tape, is_member, record


def unfold(tape: Tape, most: int | None = None) -> Tape:
    """A tape of the same inputs and outputs, by shapes, whose operations hold no programs, as far as these can be written out.

    **Parameters** `most`: the operations beyond which unfolding stops.

    **Raises** `OverflowError` where there are more than `most`.

    **Example**

    >>> import arrayad as ad
    >>> loop = ad.trace(lambda x: ad.fori_loop(0, 3, lambda i, y: y * x, x))(2.0)
    >>> print(unfold(loop).show())
    w0 = x          f64[]
    w1 = w0 · w0    f64[]
    w2 = w1 · w0    f64[]
    w3 = w2 · w0    f64[]
    """
    unfolding = Unfolding(most)
    found = record(lambda *xs: unfolding.run(tape, xs), [entry.output for entry in tape.inputs], tape.names)
    found.structure = tape.structure
    return found


class Unfolding:
    """Runs tapes by their rows' operations, each at its own line."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.count = 0

    def run(self, tape: Tape, operands: Sequence[Any]) -> list[Any]:
        """The outputs of a tape on Tensors."""
        values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))

        def value_of(x: Any) -> Any:
            return values[x.history] if is_member(x, tape) else x

        for entry in tape.entries:
            values[entry] = self.result(entry, tuple(map(value_of, entry.inputs)))
        return list(map(value_of, tape.outputs))

    def result(self, entry: Any, operands: tuple[Any, ...]) -> Any:
        row, params = entry.primitive, entry.params
        if operands and operands[0].__class__ is Bundle:  # what was one operation is the results of several
            return operands[0][params["index"]]
        found = None if row.unfold is None else row.unfold(self.run, *operands, **params)
        if found is None:
            self.count += 1
            if self.most is not None and self.count > self.most:
                raise OverflowError(f"more than {self.most} operations, at {entry.location}")
            found = located(bind(row, operands, params), entry.location)
        return found


def located(y: Any, location: str) -> Any:
    """A result whose entry says where the user made it."""
    entry = recorded(y.history) if y.__class__ is Tensor else None
    if isinstance(entry, Located):
        entry.location = location
    return y
