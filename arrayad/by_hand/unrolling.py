"""Unroll a tape: loops step by step, of branches the one that is taken, checkpoints opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arrayad.binding import bind
from arrayad.control.branching import SWITCH
from arrayad.control.checkpointing import CHECKPOINT
from arrayad.control.conditional_loop import WHILE
from arrayad.control.program import Program
from arrayad.control.scanning import SCAN
from arrayad.functions.shape import stack
from arrayad.primitive import Primitive
from arrayad.primitives.indexing import zeros
from arrayad.shaped import Bundle, Shaped
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, is_member, record

Steps = Callable[..., list[Any]]


def unrolled(tape: Tape) -> Tape:
    """The tape of the same program, at the same values, that holds no programs; the tape itself if it holds none."""
    if not any(entry.primitive in UNROLLED for entry in tape.entries):
        return tape
    return record(lambda *operands: run(tape, operands), list(map(handle, tape.values)), tape.names)


def run(tape: Tape, operands: Sequence[Any]) -> list[Any]:
    """The outputs of a tape, by the operations of the programs that it holds."""
    values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))

    def value_of(x: Any) -> Any:
        return values[x.history] if is_member(x, tape) else x

    for entry in tape.entries:
        xs = list(map(value_of, entry.inputs))
        if entry.primitive in UNROLLED:
            values[entry] = Bundle(UNROLLED[entry.primitive](xs, **entry.params))
        elif len(xs) == 1 and xs[0].__class__ is Bundle:
            values[entry] = xs[0][entry.params["index"]]
        else:
            values[entry] = bind(entry.primitive, tuple(xs), entry.params)
    return [value_of(y) for y in tape.outputs]


def steps_of_scan(
    xs: list[Any], *, body: Program, captures: int, carries: int, length: int, reverse: bool, keep: Sequence[int], **params: Any
) -> list[Any]:
    fixed, carry, along = xs[:captures], xs[captures : captures + carries], xs[captures + carries :]
    rows: list[list[Any]] = [[] for _ in body.out_avals[carries:]]
    kept: list[list[Any]] = [[] for _ in carry] if keep else []
    for step in range(length):
        i = length - 1 - step if reverse else step
        if step in keep:
            for column, x in zip(kept, carry, strict=True):
                column.append(x)
        results = run(body.tape, [*fixed, *carry, *(x[i] for x in along)])
        carry = results[:carries]
        for row, y in zip(rows, results[carries:], strict=True):
            row.append(y)
    backwards = slice(None, None, -1 if reverse else 1)
    shapes = [*body.out_avals[carries:], *(body.out_avals[:carries] if keep else ())]
    stacks = [in_one(row[backwards], aval) for row, aval in zip([*rows, *kept], shapes, strict=True)]
    return [*carry, *stacks]


def in_one(rows: list[Any], aval: Shaped) -> Tensor:
    """The results of all steps in one array."""
    return stack(rows) if rows else zeros(Shaped((0, *aval.shape), aval.dtype))


def steps_of_while(xs: list[Any], *, condition: Program, body: Program, captures: int, **params: Any) -> list[Any]:
    fixed, carry, trips = xs[:captures], xs[captures:], 0
    while bool(run(condition.tape, [*fixed, *carry])[0].value):
        carry = run(body.tape, [*fixed, *carry])
        trips += 1
    return [*carry, trips]


def branch_of_switch(xs: list[Any], *, branches: tuple[Program, ...]) -> list[Any]:
    return run(branches[int(xs[0].value)].tape, xs[1:])


def inside_of_checkpoint(xs: list[Any], *, body: Program, **params: Any) -> list[Any]:
    return run(body.tape, xs)


UNROLLED: dict[Primitive, Steps] = {
    SCAN: steps_of_scan,
    WHILE: steps_of_while,
    SWITCH: branch_of_switch,
    CHECKPOINT: inside_of_checkpoint,
}
"""How the rows that hold programs run by the operations of these."""
