"""The row `while`, a loop that goes on as long as a condition on its carry holds.

Operands: what condition and body captured, and the carry.  Results: the last carry, and the number of trips.  Forward mode
runs beside the values.  The reverse mode goes back along a `scan` of as many steps as there were trips; where that number
is not known yet, in a trace by shapes, it is deferred until the program runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.binding import bind
from arrayad.control.carrying import schedule_for, traced_step
from arrayad.control.deferred import Function, Pull, apply_deferred
from arrayad.control.masking import along, masked
from arrayad.control.program import (
    Program,
    bits,
    by_order,
    captures_of,
    closed,
    coefficients,
    control,
    in_turn,
    is_at_hand,
    is_smooth,
    pulled,
    repeated,
    settled,
    traced_body,
)
from arrayad.control.scanning import apply_scan, beside, spread, tangent_program
from arrayad.control.schedule import schedule_of
from arrayad.errors import DTypeError, describe
from arrayad.primitives.comparison import not_equal
from arrayad.primitives.picking import output, outputs
from arrayad.primitives.reduction import reduce_any
from arrayad.primitives.selection import where
from arrayad.series import Rule
from arrayad.shaped import Bundle, Shaped, aval
from arrayad.tensor import Tensor
from arrayad.tracing import aval_of

TRIPS = Shaped((), np.int64)


def run_while(*values: Any, condition: Program, body: Program, captures: int, checkpoint: Any) -> Bundle:
    fixed, carry, trips = list(values[:captures]), list(values[captures:]), 0
    holds, run = condition.run, body.run
    with np.errstate(all="ignore"):
        while holds([*fixed, *carry])[0]:
            carry = run([*fixed, *carry])
            trips += 1
    return Bundle([*carry, np.int64(trips)])


def while_shape(*operands: Shaped, condition: Program, body: Program, captures: int, checkpoint: Any) -> Bundle:
    return Bundle([*body.out_avals, TRIPS])


def while_cost(output: Any, *operands: Any, condition: Program, body: Program, **params: Any) -> float:
    """That of one trip: how many there will be, nobody knows."""
    return condition.flops + body.flops


def apply_while(
    condition: Program, body: Program, fixed: Sequence[Tensor], carry: Sequence[Tensor], checkpoint: Any
) -> list[Tensor]:
    """The last carry, and the number of trips."""
    params = {"condition": condition, "body": body, "captures": len(fixed), "checkpoint": checkpoint}
    return list(outputs(bind(WHILE, (*fixed, *carry), params)))


# --- derivatives -----------------------------------------------------------------------------------------------------


def followed_while(
    xs: Any, facts: Any, order: int, *, condition: Program, body: Program, captures: int, checkpoint: Any
) -> list[list[Any] | None]:
    """The tangents, or coefficients, of the results, given the operands'."""
    carries = len(body.out_avals)
    flags = settled([fact is not None for fact in facts], body.smooth_reach, slice(captures, captures + carries))
    moving = tuple(flags[captures:])
    program = tangent_program(body, tuple(flags), moving, captures, carries, order)
    fixed, carry, _ = beside(xs, facts, flags, captures, carries, order)
    shapes = [aval(x.value) for x in (*fixed, *carry)]

    def primal(*operands: Tensor) -> list[Tensor]:
        return condition(*operands[:captures], *operands[len(fixed) : len(fixed) + carries])

    outs = apply_while(condition.derive(("beside", len(fixed), len(carry)), primal, shapes), program, fixed, carry, checkpoint)
    return [*in_turn(outs[carries:], moving, order), None]


def while_jvp(tangents: Any, y: Any, *xs: Any, **params: Any) -> Bundle:
    facts = [None if t is None else [t] for t in tangents]
    return Bundle(fact and fact[0] for fact in followed_while(xs, facts, 0, **params))


def while_taylor(order: int, y: Any, *xs: Any, **params: Any) -> Rule:
    values = [x[0] for x in xs]
    return by_order(lambda: followed_while(values, coefficients(xs, order), order, **params))


class Loop(Function):
    """The loop as a function of its operands, for what has to wait until it has run."""

    def __init__(self, condition: Program, body: Program, captures: int, checkpoint: Any) -> None:
        self.condition, self.body, self.captures, self.checkpoint = condition, body, captures, checkpoint

    def __call__(self, *operands: Tensor) -> list[Tensor]:
        fixed, carry = operands[: self.captures], operands[self.captures :]
        return apply_while(self.condition, self.body, fixed, carry, self.checkpoint)[:-1]

    def avals(self, *operands: Shaped) -> list[Shaped]:
        return list(self.body.out_avals)


def while_vjp(
    needed: Any, ct: Any, y: Any, *xs: Any, condition: Program, body: Program, captures: int, checkpoint: Any
) -> list[Any]:
    carries = len(body.out_avals)
    trips, cts = output(y, carries), list(ct[:carries])
    wanted = [bool(need) and is_smooth(x) for need, x in zip(needed, body.avals, strict=True)]
    if is_at_hand(trips):
        length = int(trips.value)
        schedule = schedule_for("while_loop", checkpoint, length, xs[captures:], usual="sqrt")

        def steps(*operands: Tensor) -> list[Tensor]:
            return apply_scan(body, operands[:captures], operands[captures:], (), length, schedule=schedule)

        return list(pulled(steps, xs, wanted, cts))
    reverse = Pull(Loop(condition, body, captures, checkpoint), wanted, [g is not None for g in cts])
    return spread(apply_deferred(reverse, [*xs, *(g for g in cts if g is not None)]), wanted)


# --- batches -------------------------------------------------------------------------------------------------------


def while_batch(
    size: int, operands: Any, batched: Any, *, condition: Program, body: Program, captures: int, checkpoint: Any
) -> Bundle:
    moving = slice(captures, len(operands))
    flags = settled(list(batched), body.reach, moving)
    differs = bool(condition.reach[0] & bits(flags))
    if differs:
        flags[moving] = [True] * len(body.out_avals)
    full = [repeated(x, size) if flag and not was else x for x, flag, was in zip(operands, flags, batched, strict=True)]
    results = tuple(flags[moving])
    holds, step = condition.batched(size, tuple(flags), (differs,)), body.batched(size, tuple(flags), results)
    if differs:
        holds, step = while_any(holds), unfinished(holds, step, tuple(flags), captures)
    outs = apply_while(holds, step, full[:captures], full[moving], checkpoint)
    carry = [y if flag else repeated(y, size) for y, flag in zip(outs, results, strict=False)]
    return Bundle([*carry, repeated(outs[-1], size)])


def while_any(holds: Program) -> Program:
    """The condition of a batch: whether that of any example holds."""
    return holds.derive("any", lambda *operands: [reduce_any(holds(*operands)[0], axis=(0,))], holds.avals)


def unfinished(holds: Program, step: Program, flags: tuple[bool, ...], captures: int) -> Program:
    """The step of a batch: of the examples whose condition holds; the others stay as they are.

    These are replaced by one that goes on before they go in, so that no nan or infinity of theirs comes out.
    """

    def function(*operands: Tensor) -> list[Tensor]:
        going = holds(*operands)[0]
        inputs = [masked(x, going) if flag else x for x, flag in zip(operands, flags, strict=True)]
        following = zip(step(*inputs), operands[captures:], strict=True)
        return [where(along(going, y.ndim), y, x) for y, x in following]

    return step.derive(("unfinished", holds), function, step.avals)


WHILE = control(
    "while",
    """A loop that goes on as long as its condition holds: the last carry, and the number of trips.""",
    numpy=run_while,
    shape=while_shape,
    jvp=while_jvp,
    vjp=while_vjp,
    taylor=while_taylor,
    batch=while_batch,
    cost=while_cost,
)


# --- public --------------------------------------------------------------------------------------------------------


def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init: Any, *, checkpoint: Any = None) -> Any:
    """The first of init, body_fun(init), body_fun(body_fun(init)), … of which `cond_fun` does not hold.

    Both functions are traced by shapes.  All modes of differentiation pass: the number of trips is recorded, and the
    reverse mode goes back along a `scan` of that length.  The derivative is that of the trips that were taken.  Under `vmap`
    the loop goes on as long as any example does, and the finished ones are left out of what the body computes.

    **Parameters** `cond_fun`: a function of the carry that returns one boolean or number; `body_fun`: of the carry, that returns
    the next one, of the same structure, shapes and dtypes; `init`: the first carry, a tree of arrays.  `checkpoint`: how many
    carries the reverse pass keeps, as of `scan`; None is "sqrt" here, or what a `memory_limit` leaves room for.

    **Raises** `ShapeError`, `DTypeError` where the condition is no single number or the next carry is not like the carry.

    **Example**

    >>> import arrayad as ad
    >>> def root(a):  # Newton's method
    ...     far = lambda x: abs(x * x - a) > 1e-12
    ...     return ad.while_loop(far, lambda x: 0.5 * (x + a / x), a)
    >>> root(2.0), ad.grad(root)(2.0)
    (Tensor(1.41421356), Tensor(0.35355339))
    """
    schedule_of("while_loop", checkpoint, 1)
    carry, tape = traced_step("while_loop", lambda carry, _: (body_fun(carry), None), init, tree.EMPTY, [])
    carried = tree.flatten(init)[1]
    test = traced_body("while_loop", cond_fun, one_argument(carried), [aval(x.value) for x in carry])
    check_condition([aval_of(y) for y in test.outputs])
    captures = captures_of([test, tape])
    outs = apply_while(as_boolean(closed(test, captures)), closed(tape, captures), list(captures.values()), carry, checkpoint)
    return tree.unflatten(carried, outs[:-1])


def one_argument(structure: tree.Structure) -> tree.Structure:
    """The structure of the arguments of a function of one tree."""
    return tree.Structure(tuple, (0,), (structure,), structure.leaves)


def check_condition(found: list[Shaped]) -> None:
    """**Raises** `DTypeError` unless a condition is one number."""
    if len(found) != 1 or found[0].shape != ():
        came = ", ".join(map(describe, found))
        raise DTypeError(f"[while_loop] the condition is {came or 'nothing'}; one boolean is needed: use any() or all()")


def as_boolean(condition: Program) -> Program:
    """The condition, with a boolean for a number."""
    if condition.out_avals[0].dtype.kind == "b":
        return condition
    return condition.derive("boolean", lambda *operands: [not_equal(condition(*operands)[0], 0)], condition.avals)
