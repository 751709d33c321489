"""The row `deferred`: functions that need values at hand, within programs that are traced by shapes.

How often a `while_loop` has run is not known by shapes, so its reverse pass cannot be traced as a scan of that length.  The
row holds it as a function of Tensors and calls it when the program runs; derivatives and batches of the row hold the
derivatives and batches of the function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.binding import bind
from arrayad.control.program import (
    Program,
    by_order,
    coefficients,
    control,
    filled,
    followed,
    in_turn,
    is_smooth,
    or_zeros,
    pulled,
    repeated,
    with_batch,
)
from arrayad.primitives.picking import output
from arrayad.series import Rule
from arrayad.shaped import Bundle, Shaped, aval
from arrayad.tensor import Tensor, handle
from arrayad.tracing import record


class Function:
    """A function of Tensors: what it gives for operands of some shapes, and its batch."""

    def __call__(self, *operands: Tensor) -> list[Tensor]:
        raise TypeError("[deferred] this function does not say how it is computed")

    def avals(self, *operands: Shaped) -> list[Shaped]:
        """The abstract values of the results."""
        raise TypeError("[deferred] this function does not say what it returns")

    def batched(self, size: int) -> Function:
        """The function on batches of operands, all of them."""
        return Batched(self, size)

    def __repr__(self) -> str:
        return type(self).__name__


class Batched(Function):
    """A function that can be traced by shapes, on batches."""

    def __init__(self, inner: Function, size: int) -> None:
        self.inner = inner
        self.size = size

    def __call__(self, *operands: Tensor) -> list[Tensor]:
        single = [Shaped(x.shape[1:], x.dtype) for x in operands]
        program = Program(record(lambda *xs: self.inner(*xs), single))
        every = (True,) * len(program.out_avals)
        return program.batched(self.size, (True,) * len(operands), every)(*operands)

    def avals(self, *operands: Shaped) -> list[Shaped]:
        single = [Shaped(x.shape[1:], x.dtype) for x in operands]
        return [with_batch(y, self.size) for y in self.inner.avals(*single)]


class Tangent(Function):
    """The tangents, or coefficients, of a function's smooth results, given its operands and those of the flagged ones."""

    def __init__(self, inner: Function, flags: Sequence[bool], order: int) -> None:
        self.inner = inner
        self.flags = flags
        self.order = order

    def __call__(self, *operands: Tensor) -> list[Tensor]:
        count = len(self.flags)
        facts = in_turn(operands[count:], self.flags, self.order)
        outs, found = followed(self.inner, operands[:count], facts, self.order)
        return [c for y, fact in zip(outs, found, strict=True) if is_smooth(y) for c in filled(fact, y, self.order)]

    def avals(self, *operands: Shaped) -> list[Shaped]:
        outs = self.inner.avals(*operands[: len(self.flags)])
        return [y for y in outs if is_smooth(y) for _ in range(max(self.order, 1))]

    def batched(self, size: int) -> Function:
        return Tangent(self.inner.batched(size), self.flags, self.order)


class Pull(Function):
    """The cotangents of the operands that are needed, given the operands and the cotangents of the flagged results."""

    def __init__(self, inner: Function, needed: Sequence[bool], flags: Sequence[bool]) -> None:
        self.inner = inner
        self.needed = needed
        self.flags = flags

    def __call__(self, *operands: Tensor) -> list[Tensor]:
        primals, rest = operands[: len(self.needed)], iter(operands[len(self.needed) :])
        found = pulled(self.inner, primals, self.needed, [next(rest) if flag else None for flag in self.flags])
        return [or_zeros(g, aval(x.value)) for g, x, need in zip(found, primals, self.needed, strict=True) if need]

    def avals(self, *operands: Shaped) -> list[Shaped]:
        return [x for x, need in zip(operands, self.needed, strict=False) if need]

    def batched(self, size: int) -> Function:
        return Pull(self.inner.batched(size), self.needed, self.flags)


def apply_deferred(function: Function, operands: Sequence[Tensor]) -> list[Tensor]:
    """The function's results, computed when values are at hand."""
    y = bind(DEFERRED, tuple(operands), {"function": function})
    return [output(y, i) for i in range(len(y.value))]


def run_deferred(*values: Any, function: Function) -> Bundle:
    with np.errstate(all="ignore"):
        return Bundle(y.value for y in function(*map(handle, values)))


def deferred_shape(*operands: Shaped, function: Function) -> Bundle:
    return Bundle(function.avals(*operands))


def deferred_jvp(tangents: Any, y: Any, *xs: Any, function: Function) -> Bundle:
    facts = [None if t is None else [t] for t in tangents]
    return Bundle(fact and fact[0] for fact in followed_function(function, xs, facts, 0))


def deferred_taylor(order: int, y: Any, *xs: Any, function: Function) -> Rule:
    values = [x[0] for x in xs]
    return by_order(lambda: followed_function(function, values, coefficients(xs, order), order))


def followed_function(function: Function, xs: Any, facts: Any, order: int) -> list[list[Any] | None]:
    """The tangents, or coefficients, of the results, given the operands'."""
    flags = [fact is not None for fact in facts]
    given = [c for fact, x in zip(facts, xs, strict=True) if fact is not None for c in filled(fact, x, order)]
    found = apply_deferred(Tangent(function, flags, order), [*xs, *given])
    return in_turn(found, [is_smooth(y) for y in function.avals(*(aval(x.value) for x in xs))], order)


def deferred_vjp(needed: Any, ct: Any, y: Any, *xs: Any, function: Function) -> list[Any]:
    wanted = [bool(need) and is_smooth(x) for need, x in zip(needed, xs, strict=True)]
    flags = [g is not None for g in ct]
    found = iter(apply_deferred(Pull(function, wanted, flags), [*xs, *(g for g in ct if g is not None)]))
    return [next(found) if need else None for need in wanted]


def deferred_batch(size: int, operands: Any, batched: Any, *, function: Function) -> Bundle:
    full = [x if flag else repeated(x, size) for x, flag in zip(operands, batched, strict=True)]
    return Bundle(apply_deferred(function.batched(size), full))


def deferred_cost(output: Any, *operands: Any, function: Function) -> float:
    return float(output.size)


DEFERRED = control(
    "deferred",
    """A function that needs values at hand, called when the program runs.""",
    numpy=run_deferred,
    shape=deferred_shape,
    jvp=deferred_jvp,
    vjp=deferred_vjp,
    taylor=deferred_taylor,
    batch=deferred_batch,
    cost=deferred_cost,
)
DEFERRED.calls_back = True
