"""The row `scan`, a loop of known length: its kernel runs the body on arrays, and its rules are scans in turn.

Operands: what the body captured, the carry, and arrays of which step i takes the element i.  Results: the last carry, what
the steps returned, stacked, and the carries before the steps in `keep`, which the reverse mode goes back along.  A scan that
is recorded for a derivative keeps those of its schedule; one that is followed live keeps none, so that forward mode streams.

**Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), sections 3.1, 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.arbitrary import blank, stored
from arrayad.binding import bind
from arrayad.control.program import (
    Flags,
    Program,
    bits,
    by_order,
    coefficients,
    control,
    filled,
    followed,
    in_turn,
    is_asked_for,
    is_smooth,
    or_zeros,
    pulled,
    repeated,
    settled,
    with_batch,
)
from arrayad.control.schedule import EVERY, Schedule
from arrayad.primitives.arithmetic import add
from arrayad.primitives.indexing import getitem, zeros
from arrayad.primitives.joining import concat
from arrayad.primitives.picking import output
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.series import Rule
from arrayad.shaped import Bundle, Shaped, aval
from arrayad.tensor import Tensor

Keep = Sequence[int]
"""Steps before which the carry is kept, in order."""


def run_scan(
    *values: Any, body: Program, captures: int, carries: int, length: int, reverse: bool, keep: Keep, schedule: Schedule
) -> Bundle:
    fixed, carry, xs = list(values[:captures]), list(values[captures : captures + carries]), values[captures + carries :]
    stacks = [blank((length, *y.shape), y.dtype) for y in body.out_avals[carries:]]
    kept = [blank((len(keep), *y.shape), y.dtype) for y in body.out_avals[:carries]] if keep else []
    coming, place, sign = iter(keep), len(keep) - 1 if reverse else 0, -1 if reverse else 1
    stop, run = next(coming, None), body.run
    with np.errstate(all="ignore"):
        for step in range(length):
            if step == stop:
                for stack, value in zip(kept, carry, strict=True):
                    stack[place] = value
                stop, place = next(coming, None), place + sign
            i = length - 1 - step if reverse else step
            results = run([*fixed, *carry, *[x[i] for x in xs]])
            carry = results[:carries]
            for stack, value in zip(stacks, results[carries:], strict=True):
                stack[i] = value
    return Bundle([*carry, *map(stored, stacks), *map(stored, kept)])


def scan_shape(*operands: Shaped, body: Program, carries: int, length: int, keep: Keep, **params: Any) -> Bundle:
    stacked = [with_batch(y, length) for y in body.out_avals[carries:]]
    kept = [with_batch(y, len(keep)) for y in body.out_avals[:carries]] if keep else []
    return Bundle([*body.out_avals[:carries], *stacked, *kept])


def unfolded_scan(
    run: Any,
    *operands: Any,
    body: Program,
    captures: int,
    carries: int,
    length: int,
    reverse: bool,
    keep: Keep,
    schedule: Schedule,
) -> Bundle:
    """The steps one after the other."""
    fixed, carry, xs = grouped(operands, captures, carries)
    stacks: list[list[Any]] = [[] for _ in body.out_avals[carries:]]
    kept: list[list[Any]] = [[] for _ in body.out_avals[:carries]] if keep else []
    for step in range(length):
        if step in keep:
            for stack, value in zip(kept, carry, strict=True):
                stack.append(value)
        i = length - 1 - step if reverse else step
        results = run(body.tape, [*fixed, *carry, *(getitem(x, index=(i,)) for x in xs)])
        carry = results[:carries]
        for stack, value in zip(stacks, results[carries:], strict=True):
            stack.append(value)
    rows = [*stacks, *kept]
    avals = [*body.out_avals[carries:], *(body.out_avals[:carries] if keep else ())]
    return Bundle([*carry, *(joined_rows(x[::-1] if reverse else x, y) for x, y in zip(rows, avals, strict=True))])


def joined_rows(values: Sequence[Any], like: Shaped) -> Any:
    """Values of the steps, in the order of their places, stacked."""
    if not values:
        return zeros(with_batch(like, 0))
    return concat(*(reshape(x, shape=(1, *like.shape)) for x in values), axis=0)


def scan_cost(output: Any, *operands: Any, body: Program, length: int, **params: Any) -> float:
    return length * body.flops


def apply_scan(
    body: Program,
    fixed: Sequence[Tensor],
    carry: Sequence[Tensor],
    xs: Sequence[Tensor],
    length: int,
    reverse: bool = False,
    keep: Keep = (),
    schedule: Schedule = EVERY,
) -> list[Tensor]:
    """The last carry and the stacked results of a scan, and the carries before the steps in `keep`, stacked likewise.

    Steps count in the order in which they run, from 0; step k takes `xs[k]`, in reverse order `xs[length - 1 - k]`.  Without
    `keep`, a scan that somebody records for a derivative keeps what its schedule says.
    """
    operands = (*fixed, *carry, *xs)
    if not body.out_avals:
        return []
    count = len(body.out_avals) + (len(carry) if keep else 0)
    keep = keep or (schedule.recorded(length) if is_asked_for(operands) else ())
    params = {
        "body": body,
        "captures": len(fixed),
        "carries": len(carry),
        "length": length,
        "reverse": reverse,
        "keep": keep,
        "schedule": schedule,
    }
    y = bind(SCAN, operands, params)
    return [output(y, i) for i in range(count)]


# --- forward -------------------------------------------------------------------------------------------------------


def grouped(values: Sequence[Any], captures: int, carries: int) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    """Operands, or what there is one of for each, as captures, carry and xs."""
    return values[:captures], values[captures : captures + carries], values[captures + carries :]


def chosen(values: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    """The flagged values."""
    return [x for x, flag in zip(values, flags, strict=True) if flag]


def spread(values: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    """The values at the flagged places, None elsewhere."""
    rest = iter(values)
    return [next(rest) if flag else None for flag in flags]


def tangent_program(body: Program, flags: Flags, results: Flags, captures: int, carries: int, order: int) -> Program:
    """The body beside its tangents, or coefficients: each group of operands with those of the flagged ones behind it.

    Gives the carry, then these of the flagged carries and of the other flagged results.
    """
    groups = grouped(flags, captures, carries)
    width = max(order, 1)
    avals = [
        x
        for values, found in zip(grouped(body.avals, captures, carries), groups, strict=True)
        for x in (*values, *(x for x in chosen(values, found) for _ in range(width)))
    ]

    def function(*operands: Tensor) -> list[Tensor]:
        rest = iter(operands)
        primals: list[Any] = []
        facts: list[Any] = []
        for found in groups:
            primals += [next(rest) for _ in found]
            facts += in_turn(rest, found, order)
        outs, reached = followed(body, primals, facts, order)
        wanted = zip(reached, body.out_avals, results, strict=True)
        return [*outs[:carries], *(c for fact, y, flag in wanted if flag for c in filled(fact, y, order))]

    return body.derive(("tangent", flags, results, captures, carries, order), function, avals)


def beside(xs: Any, facts: Any, flags: Any, captures: int, carries: int, order: int) -> list[list[Tensor]]:
    """The operands of the body beside its tangents, in groups."""
    moving = [filled(fact, aval(x.value), order) if flag else [] for x, fact, flag in zip(xs, facts, flags, strict=True)]
    parts = zip(grouped(xs, captures, carries), grouped(moving, captures, carries), strict=True)
    return [[*values, *(c for found in along for c in found)] for values, along in parts]


def followed_scan(
    xs: Any,
    facts: Any,
    order: int,
    *,
    body: Program,
    captures: int,
    carries: int,
    length: int,
    reverse: bool,
    keep: Keep,
    schedule: Schedule,
) -> list[list[Any] | None]:
    """The tangents, or coefficients, of the results, given the operands'."""
    moving = slice(captures, captures + carries)
    flags = settled([fact is not None for fact in facts], body.smooth_reach, moving)
    found = bits(flags)
    results = [bool(mask & found) for mask in body.smooth_reach]
    results[:carries] = flags[moving]
    program = tangent_program(body, tuple(flags), tuple(results), captures, carries, order)
    fixed, carry, along = beside(xs, facts, flags, captures, carries, order)
    outs = apply_scan(program, fixed, carry, along, length, reverse, keep, schedule)
    count = len(program.out_avals)
    last = in_turn(outs[carries:count], results, order)
    return [*last, *(in_turn(outs[count + carries :], results[:carries], order) if keep else ())]


def scan_jvp(tangents: Any, y: Any, *xs: Any, **params: Any) -> Bundle:
    facts = [None if t is None else [t] for t in tangents]
    return Bundle(fact and fact[0] for fact in followed_scan(xs, facts, 0, **params))


def scan_taylor(order: int, y: Any, *xs: Any, **params: Any) -> Rule:
    values = [x[0] for x in xs]
    return by_order(lambda: followed_scan(values, coefficients(xs, order), order, **params))


# --- reverse -------------------------------------------------------------------------------------------------------


def scan_vjp(
    needed: Any,
    ct: Any,
    y: Any,
    *xs: Any,
    body: Program,
    captures: int,
    carries: int,
    length: int,
    reverse: bool,
    keep: Keep,
    schedule: Schedule,
) -> list[Any]:
    count = len(body.out_avals)
    cts = [*ct, *[None] * (count + carries - len(ct))]
    back = Return(needed, cts, xs, body, captures, carries, length, reverse)
    if keep and len(keep) == length:
        back.along(0, length, [output(y, count + i) for i in range(carries)], whole=True)
    elif keep:
        kept = [output(y, count + i) for i in range(carries)]
        stops = [*keep[1:], length]
        for k in reversed(range(len(keep))):
            place = len(keep) - 1 - k if reverse else k
            back.over(keep[k], stops[k], [getitem(x, index=(place,)) for x in kept], schedule.rest(k))
            back.add(place)
    elif length:
        back.over(0, length, back.carry, schedule)
    return back.found()


class Return:
    """The way back of one scan: the cotangents of the carry, and the sums of the captures', from the last step to the first.

    `needed` and `cts` are of the scan's operands and results.  `moves` tells which carries have a cotangent on its way.
    """

    def __init__(
        self,
        needed: Sequence[Any],
        cts: Sequence[Any],
        operands: Sequence[Any],
        body: Program,
        captures: int,
        carries: int,
        length: int,
        reverse: bool,
    ) -> None:
        count, moving = len(body.out_avals), slice(captures, captures + carries)
        self.fixed, self.carry, self.xs = grouped(operands, captures, carries)
        self.body, self.captures, self.carries, self.length, self.reverse = body, captures, carries, length, reverse
        self.wanted = tuple(bool(need) and is_smooth(x) for need, x in zip(needed, body.avals, strict=True))
        reached = settled(list(self.wanted), body.smooth_reach, moving)[moving]
        self.moves = tuple(backward(body, [g is not None for g in cts], moving, reached))
        self.given = tuple(g is not None for g in cts[carries:count])
        self.seeds = [g for g in cts[carries:count] if g is not None]
        self.kept_cts = [g if move else None for g, move in zip(cts[count:], self.moves, strict=True)]
        self.state = [or_zeros(g, x) for g, x, move in zip(cts, body.avals[moving], self.moves, strict=False) if move]
        self.state += [or_zeros(None, x) for x in chosen(body.avals[:captures], self.wanted[:captures])]
        self.pieces: list[list[Tensor]] = []

    def over(self, start: int, stop: int, carry: Sequence[Tensor], schedule: Schedule) -> None:
        """Go back from before step `stop` to before step `start`, given the carry there."""
        stretches = [(start, stop, carry, schedule)]
        while stretches:
            start, stop, carry, schedule = stretches.pop()
            if stop - start == 1:
                self.along(start, stop, [reshape(x, shape=(1, *x.shape)) for x in carry])
            elif schedule.keeps_all(stop - start):
                self.along(start, stop, self.advanced(start, stop, carry, range(stop - start))[self.carries :])
            else:
                firsts = [start + step for step in schedule.positions(stop - start)]
                for k, (first, last) in enumerate(zip(firsts, [*firsts[1:], stop], strict=True)):
                    stretches.append((first, last, carry, schedule.rest(k)))
                    if last < stop:
                        carry = self.advanced(first, last, carry, (), schedule)[: self.carries]

    def advanced(self, start: int, stop: int, carry: Sequence[Tensor], keep: Keep, schedule: Schedule = EVERY) -> list[Tensor]:
        """The carry before step `stop`, and those before the steps in `keep`, counted from `start`."""
        program, xs = carry_program(self.body, self.carries), self.part(self.xs, start, stop)
        return apply_scan(program, self.fixed, carry, xs, stop - start, self.reverse, keep, schedule)

    def along(self, start: int, stop: int, kept: Sequence[Tensor], whole: bool = False) -> None:
        """Go back over a stretch all of whose carries are kept; the cotangents of these count where it is the `whole` loop."""
        extra = self.kept_cts if whole else [None] * self.carries
        program = reverse_program(
            self.body,
            self.captures,
            self.carries,
            self.moves,
            self.wanted,
            self.given,
            tuple(g is not None for g in extra),
        )
        seeds = [*self.part(self.seeds, start, stop), *(g for g in extra if g is not None)]
        xs = [*kept, *self.part(self.xs, start, stop), *seeds]
        outs = apply_scan(program, self.fixed, self.state, xs, stop - start, not self.reverse)
        self.pieces.append(outs[len(self.state) :])
        self.state = outs[: len(self.state)]

    def add(self, place: int) -> None:
        """Add the cotangents of the carries kept at a place."""
        for k, g in enumerate(g for g, move in zip(self.kept_cts, self.moves, strict=True) if move):
            if g is not None:
                self.state[k] = add(self.state[k], getitem(g, index=(place,)))

    def part(self, xs: Sequence[Tensor], start: int, stop: int) -> list[Tensor]:
        """What steps `start` to `stop` take of arrays along the loop."""
        if (start, stop) == (0, self.length):
            return list(xs)
        found = slice(self.length - stop, self.length - start) if self.reverse else slice(start, stop)
        return [getitem(x, index=(found,)) for x in xs]

    def found(self) -> list[Any]:
        """The cotangents of all operands."""
        moved = sum(self.moves)
        pieces = self.pieces if self.reverse else self.pieces[::-1]
        joined = [parts[0] if len(parts) == 1 else concat(*parts, axis=0) for parts in zip(*pieces, strict=True)]
        wanted = self.wanted[self.captures + self.carries :]
        if not pieces:
            joined = [or_zeros(None, with_batch(x, 0)) for x in chosen(self.body.avals[self.captures + self.carries :], wanted)]
        return [
            *spread(self.state[moved:], self.wanted[: self.captures]),
            *spread(self.state[:moved], self.moves),
            *spread(joined, wanted),
        ]


def carry_program(body: Program, carries: int) -> Program:
    """The body without what its steps return beside the carry."""
    return body.derive(("carry", carries), lambda *operands: body(*operands)[:carries], body.avals)


def backward(body: Program, given: list[bool], moving: slice, reached: list[bool]) -> list[bool]:
    """Which carries have a cotangent on its way back: reached from what is needed, and reaching something given."""
    carries = len(reached)
    moves = [flag and (given[i] or given[len(body.out_avals) + i]) for i, flag in enumerate(reached)]
    while True:
        sources = 0
        for mask, flag in zip(body.smooth_reach, [*moves, *given[carries : len(body.out_avals)]], strict=True):
            sources |= mask if flag else 0
        found = [
            move or (flag and bool(sources >> (moving.start + i) & 1))
            for i, (move, flag) in enumerate(zip(moves, reached, strict=True))
        ]
        if found == moves:
            return moves
        moves = found


def reverse_program(
    body: Program,
    captures: int,
    carries: int,
    moves: Flags,
    wanted: Flags,
    given: Flags,
    kept: Flags,
) -> Program:
    """One step back.

    Operands: the captures; the cotangents of the carries that `moves` and the sums of the captures'; the carry before the step,
    the step's xs, the cotangents of its results that are `given` and of its `kept` carry.  Results: the new cotangents and
    sums, and the cotangents of the xs that are wanted.
    """
    fixed, carry, along = grouped(body.avals, captures, carries)
    sums = chosen(fixed, wanted[:captures])
    groups: list[list[Any]] = [
        list(fixed),
        chosen(carry, moves),
        sums,
        list(carry),
        list(along),
        chosen(body.out_avals[carries:], given),
        chosen(carry, kept),
    ]

    def function(*operands: Tensor) -> list[Tensor]:
        rest = iter(operands)
        parts = [[next(rest) for _ in group] for group in groups]
        cts = [*spread(parts[1], moves), *spread(parts[5], given)]
        needed = [*wanted[:captures], *moves, *wanted[captures + carries :]]
        found = pulled(body, [*parts[0], *parts[3], *parts[4]], needed, cts)
        by_capture, by_carry, by_x = grouped(found, captures, carries)
        ct_carry = []
        for g, extra, x, move in zip(by_carry, spread(parts[6], kept), carry, moves, strict=True):
            if move:
                ct_carry.append(or_zeros(g, x) if extra is None else extra if g is None else add(g, extra))
        totals = [
            total if g is None else add(total, g)
            for total, g in zip(parts[2], chosen(by_capture, wanted[:captures]), strict=True)
        ]
        by_xs = [or_zeros(g, x) for g, x, flag in zip(by_x, along, wanted[captures + carries :], strict=True) if flag]
        return [*ct_carry, *totals, *by_xs]

    return body.derive(
        ("reverse", captures, carries, moves, wanted, given, kept), function, [x for group in groups for x in group]
    )


# --- batches -------------------------------------------------------------------------------------------------------


def swapped(x: Tensor) -> Tensor:
    """The first two axes in the other order: step and example."""
    return permute_dims(x, axes=(1, 0, *range(2, x.ndim)))


def scan_batch(
    size: int,
    operands: Any,
    batched: Any,
    *,
    body: Program,
    captures: int,
    carries: int,
    length: int,
    reverse: bool,
    keep: Keep,
    schedule: Schedule,
) -> Bundle:
    moving = slice(captures, captures + carries)
    flags = settled(list(batched), body.reach, moving)
    found = bits(flags)
    results = [bool(mask & found) for mask in body.reach]
    results[:carries] = flags[moving]
    program = body.batched(size, tuple(flags), tuple(results))
    full = [repeated(x, size) if flag and not was else x for x, flag, was in zip(operands, flags, batched, strict=True)]
    fixed, carry, xs = grouped(full, captures, carries)
    along = [swapped(x) if flag else x for x, flag in zip(xs, flags[captures + carries :], strict=True)]
    outs = apply_scan(program, fixed, carry, along, length, reverse, keep, schedule)
    last = [y if flag else repeated(y, size) for y, flag in zip(outs, results[:carries], strict=False)]
    stacked = [
        swapped(y) if flag else repeated(y, size)
        for y, flag in zip(outs[carries:], [*results[carries:], *(results[:carries] if keep else ())], strict=True)
    ]
    return Bundle([*last, *stacked])


SCAN = control(
    "scan",
    """A loop of known length: the last carry, and what the steps returned, stacked.""",
    numpy=run_scan,
    shape=scan_shape,
    jvp=scan_jvp,
    vjp=scan_vjp,
    taylor=scan_taylor,
    batch=scan_batch,
    cost=scan_cost,
    unfold=unfolded_scan,
)
