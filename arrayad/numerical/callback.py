"""The row `callback`: a function of NumPy arrays, called when the values are at hand; it has no derivative of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.primitive import Primitive, operation
from arrayad.primitives.broadcasting import all_batched
from arrayad.primitives.picking import outputs
from arrayad.samples import Samples
from arrayad.shaped import Bundle, Shaped
from arrayad.tensor import Tensor

Arrays = list[Any]


class Callback:
    """A function of NumPy arrays that returns a list of them.

    **Parameters** `avals`: what it returns for arguments of some shapes and dtypes; `many`: the same function of batches,
    which all arguments are, along axis 0; without it, it is called for each example.
    """

    def __init__(
        self,
        name: str,
        run: Callable[..., Arrays],
        avals: Callable[..., list[Shaped]],
        many: Callable[..., Arrays] | None = None,
    ) -> None:
        self.name = name
        self.run = run
        self.avals = avals
        self.many = many

    def __str__(self) -> str:
        return self.name

    def batched(self, size: int) -> Callback:
        """The function of batches of `size` examples."""

        def avals(*operands: Shaped) -> list[Shaped]:
            single = self.avals(*(Shaped(x.shape[1:], x.dtype) for x in operands))
            return [Shaped((size, *y.shape), y.dtype) for y in single]

        def run(*operands: Any) -> Arrays:
            if not size:
                return [np.zeros(y.shape, y.dtype) for y in avals(*(Shaped(x.shape, x.dtype) for x in operands))]
            if self.many is not None:
                return self.many(*operands)
            columns = zip(*(self.run(*(x[i] for x in operands)) for i in range(size)), strict=True)
            return [np.stack(column) for column in columns]

        def many(*operands: Any) -> Arrays:
            """A batch of batches as one."""
            lead = operands[0].shape[0]
            assert self.many is not None
            found = self.many(*(x.reshape((lead * size, *x.shape[2:])) for x in operands))
            return [y.reshape((lead, size, *y.shape[1:])) for y in found]

        return Callback(self.name, run, avals, None if self.many is None else many)


def run(*values: Any, call: Callback) -> Bundle:
    return Bundle(map(np.asarray, call.run(*values)))


def shape(*avals: Shaped, call: Callback) -> Bundle:
    return Bundle(call.avals(*avals))


def batch(size: int, operands: Any, batched: Any, *, call: Callback) -> Any:
    return apply(*all_batched(size, operands, batched), call=call.batched(size))


class Row(Primitive):
    """A row without a derivative, whose kernel is a user's code."""

    calls_back = True
    differentiable = False


row = Row("callback", """A function of NumPy arrays, called when the values are at hand.""", run, shape, Samples(cases=[]))
row.batch = batch
row.needs = (frozenset(),)
apply = operation(row)


def callback(call: Callback, *operands: Tensor) -> list[Tensor]:
    """The results of a function of NumPy arrays."""
    return list(outputs(apply(*operands, call=call)))
