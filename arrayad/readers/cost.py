"""Count what a tape costs: floating-point operations, bytes moved, and the most bytes held at once."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from arrayad import tree
from arrayad.arbitrary import filled
from arrayad.primitives.casting import fresh
from arrayad.readers.push import Push
from arrayad.readers.replay import replay
from arrayad.readers.sweep import sweep
from arrayad.shaped import is_weak
from arrayad.tape import Scope, recorded
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, aval_of, depends_on, is_member, record


class Program(NamedTuple):
    """The cost of one program."""

    flops: float
    bytes_moved: int
    peak_bytes: int
    operations: int


class Cost(NamedTuple):
    """The cost of a function, and of the sweep that follows it; `reverse.peak_bytes` is of both together."""

    forward: Program
    reverse: Program

    @property
    def ratio(self) -> float:
        """The flops of value and gradient together over those of the value; nan where that has none."""
        return (self.forward.flops + self.reverse.flops) / self.forward.flops if self.forward.flops else math.nan

    def __str__(self) -> str:
        lines = [f"{'':10}{'operations':>12}{'flops':>14}{'bytes moved':>14}{'peak bytes':>14}"]
        for name, part in (("forward", self.forward), ("reverse", self.reverse)):
            lines.append(f"{name:10}{part.operations:>12,}{part.flops:>14,.0f}{part.bytes_moved:>14,}{part.peak_bytes:>14,}")
        return "\n".join(lines)


def cost(tape: Tape) -> Cost:
    """The cost of the tape forward, and of its sweep with cotangents of ones.

    Flops are weighted: a sum or a product counts as 1, a quotient or a square root as 4, a function such as exp as 15
    (`arrayad.weights`, docs/cost.md); those of complex numbers count as those of real ones.  Bytes moved are those of every
    operand read and every result written; bytes held are those of inputs, of live intermediates and, once the sweep is to
    follow, of residuals.  `.ratio` is what value and gradient take together, over the value.

    **Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), chapter 4.

    **Example**

    >>> import arrayad as ad
    >>> found = ad.trace(lambda x: ad.sum(ad.sin(x) * x))(ad.ones(1000)).cost()
    >>> print(found)
                operations         flops   bytes moved    peak bytes
    forward              3        16,999        48,008        24,000
    reverse              5        19,000       112,000        40,008
    >>> round(found.ratio, 2)
    2.12
    """
    forward = program_cost(tape)
    joint, alone = program_cost(joint_tape(tape)), program_cost(unguarded(tape))
    return Cost(
        forward,
        Program(
            joint.flops - alone.flops,
            joint.bytes_moved - alone.bytes_moved,
            joint.peak_bytes,
            joint.operations - alone.operations,
        ),
    )


Tape.cost = cost


def unguarded(tape: Tape) -> Tape:
    """The tape's program traced by shapes, without what only its guards look at."""
    return record(lambda *operands: replay(tape, *operands), inputs_of(tape))


def joint_tape(tape: Tape, cotangents: bool = False) -> Tape:
    """The tape's program and its sweep as one, traced by shapes: from ones, or from cotangents that are inputs too."""
    count = len(tape.inputs)

    def program(*operands: Tensor) -> Any:
        scope = Scope()
        inputs = [fresh(x, scope) if is_smooth(x) else x for x in operands[:count]]
        leaves = tree.leaves(replay(tape, *inputs))
        scope.open = False
        given = iter(operands[count:])
        starts = [next(given) if cotangents else handle(filled(y.shape, 1, y.dtype)) for y in leaves if is_smooth(y)]
        ends = zip([y for y in leaves if is_smooth(y)], starts, strict=True)
        seeds = [(recorded(y.history), ct) for y, ct in ends if depends_on(y, scope)]
        found = sweep(seeds, [entry for x in inputs if (entry := recorded(x.history)) is not None], scope, scope.serial)
        return leaves, [g if g.__class__ is Tensor else handle(g) for g in found.values()]

    return record(program, [*inputs_of(tape), *(smooth_outputs(tape) if cotangents else ())])


def tangent_tape(tape: Tape) -> Tape:
    """The tape's program and its derivative along one direction as one, traced by shapes; the tangents are inputs too."""
    count = len(tape.inputs)

    def program(*operands: Tensor) -> Any:
        push, given = Push(), iter(operands[count:])
        try:
            inputs = [push.watch(x, next(given)) if is_smooth(x) else x for x in operands[:count]]
            leaves = tree.leaves(replay(tape, *inputs))
            return [push.outside(y) for y in leaves], [t for y in leaves if (t := push.of(y)) is not None]
        finally:
            push.close()

    return record(program, [*inputs_of(tape), *filter(is_smooth, inputs_of(tape))])


def is_smooth(x: Any) -> bool:
    """Whether a value is of floating point, so that there may be a derivative of it."""
    return x.dtype.kind in "fc"


def inputs_of(tape: Tape) -> list[Any]:
    """The abstract values of the inputs."""
    return [entry.output for entry in tape.inputs]


def smooth_outputs(tape: Tape) -> list[Any]:
    """The abstract values of the outputs that may have a derivative."""
    return [aval_of(y) for y in tape.outputs if is_smooth(y)]


def program_cost(tape: Tape) -> Program:
    """The cost of a tape run from the first entry to the last, each value dropped after its last use; views cost nothing."""
    working = [entry for entry in tape.entries if not entry.primitive.is_view]
    flops, moved = 0.0, 0
    for entry in working:
        flops += entry.primitive.cost(entry.output, *map(aval_of, entry.inputs), **entry.params)
        moved += entry.output.nbytes + sum(x.nbytes for x in entry.inputs if not is_weak(x))
    return Program(flops, moved, peak_bytes(tape), len(working))


def peak_bytes(tape: Tape) -> int:
    """The most bytes of inputs and intermediates that are alive at once."""
    last_use = {y.history: len(tape.entries) for y in tape.outputs if is_member(y, tape)}
    for i, entry in reversed(list(enumerate(tape.entries))):
        use = last_use.setdefault(entry, i)  # what only a guard looks at goes at once
        for x in entry.inputs:
            if is_member(x, tape):  # a view keeps what it views alive
                last_use[x.history] = max(last_use.get(x.history, i), use if entry.primitive.is_view else i)
    dying: dict[int, int] = {}
    held = peak = sum(entry.output.nbytes for entry in tape.inputs)
    for i, entry in enumerate(tape.entries):
        if not entry.primitive.is_view:
            dying[last_use[entry]] = dying.get(last_use[entry], 0) + entry.output.nbytes
            held += entry.output.nbytes
        peak = max(peak, held)
        held -= dying.pop(i, 0)
    return peak
