"""Replay: a tape as an executable, run by the prebuilt kernels: what runs without a compiler, or while it works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from arrayad.readers.run import runner
from arrayad.tensor import Tensor
from arrayad.tracing import Tape

Array = np.ndarray[Any, Any]


class Broken(Exception):
    """A guard of the tape does not hold for these inputs: `index` says which, the first that does not."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Replay:
    """The function of a tape's inputs, arrays, that returns its outputs, arrays of their own, by NumPy's and the C kernels.

    **Raises** `Broken` for the first guard that does not hold, before it returns anything.
    """

    def __init__(self, tape: Tape, donations: Mapping[int, int] | None = None) -> None:
        self.truths = [truth for _, truth, _ in tape.guards]
        self.count = len(tape.outputs)
        outputs = [*tape.outputs, *(operand for operand, _, _ in tape.guards)]
        self.run = runner(Outputs(tape, outputs))  # type: ignore[arg-type]
        self.shared = [y for y in tape.outputs if y.__class__ is not Tensor]

    def __call__(self, values: list[Array], donate: frozenset[int] = frozenset()) -> list[Array]:
        given = list(values)
        with np.errstate(all="ignore"):
            found = self.run(values)
        for i, (value, truth) in enumerate(zip(found[self.count :], self.truths, strict=True)):
            if bool(value) is not truth:
                raise Broken(i)
        return [own(y, given) for y in found[: self.count]]


class Outputs:
    """A tape with other outputs."""

    def __init__(self, tape: Tape, outputs: list[Any]) -> None:
        self.inputs, self.entries, self.outputs, self.scope = tape.inputs, tape.entries, outputs, tape.scope


def own(y: Any, given: list[Array]) -> Array:
    """An output as an array that shares no memory with what was given."""
    if y.__class__ is not np.ndarray:
        return np.asarray(y)
    if any(y is x or (y.base is not None and np.may_share_memory(y, x)) for x in given):
        return y.copy()
    return y
