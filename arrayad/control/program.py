"""`Program`: the body of a loop or a branch as a closed tape, and the programs that the rules derive from it.

A function given to `scan` or `cond` is traced once, by shapes.  What it captured and what somebody follows (values that are
recorded, traced or live) become inputs of the tape, so that derivatives reach it; other captures stay constants.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.binding import bind, innermost_trace, is_recordable
from arrayad.modes import current_mode, enable_grad
from arrayad.primitive import Primitive, operation
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.casting import fresh
from arrayad.primitives.indexing import zeros
from arrayad.readers.batch import batch
from arrayad.readers.cost import program_cost
from arrayad.readers.jet import Jet
from arrayad.readers.push import Push
from arrayad.readers.replay import evaluate
from arrayad.readers.run import Runner, runner
from arrayad.readers.sweep import sweep
from arrayad.samples import Samples
from arrayad.series import Rule
from arrayad.shaped import Bundle, Shaped, aval, is_abstract, is_weak
from arrayad.tape import Scope, Trace, recorded
from arrayad.tensor import Tensor, freeze, handle
from arrayad.tracing import Tape, aval_of, depends_on, is_member, record

Flags = tuple[bool, ...]
Function = Callable[..., list[Tensor]]


class Program:
    """A closed tape, which captures nothing that anybody follows: a function of Tensors, or of arrays by `run`.

    `derived` holds the programs that rules have made of it, so that a recording that is replayed derives them once.  The
    operations of a `primal` program are the user's, which `detect_anomaly` watches one by one; a rule's may go through infinity
    where a mask takes it out again.
    """

    def __init__(self, tape: Tape, primal: bool = True) -> None:
        self.tape = tape
        self.primal = primal
        self.avals: list[Shaped] = [entry.output for entry in tape.inputs]
        self.out_avals: list[Shaped] = [aval_of(y) for y in tape.outputs]
        self.derived: dict[Any, Program] = {}

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self.avals))} -> {', '.join(map(repr, self.out_avals))}; {len(self.tape)} operations}}"

    def __call__(self, *operands: Any) -> list[Tensor]:
        """The outputs, computed with ordinary operations."""
        values = evaluate(self.tape, list(operands))
        outputs = [values[y.history] if is_member(y, self.tape) else y for y in self.tape.outputs]
        return [y if y.__class__ is Tensor else handle(y) for y in outputs]

    @property
    def run(self) -> Runner:
        """The program as a function of arrays."""
        return runner(self.tape, anomaly=True) if self.primal and current_mode().anomaly else self.quick

    @functools.cached_property
    def quick(self) -> Runner:
        """The same, where nobody looks for nan and infinity."""
        return runner(self.tape)

    @functools.cached_property
    def flops(self) -> float:
        """The floating-point operations of one run."""
        return program_cost(self.tape).flops

    def replaced(self, tape: Tape) -> Program:
        """The program of another tape of the same function."""
        return self if tape is self.tape else Program(tape, self.primal)

    def derive(self, key: Any, function: Callable[..., Any], avals: Iterable[Shaped], primal: bool = False) -> Program:
        """The program of `function`, which is made of this one, by shapes; made once for each key."""
        if key not in self.derived:
            with enable_grad():
                self.derived[key] = type(self)(record(function, list(avals)), primal)
        return self.derived[key]

    # --- what depends on what -------------------------------------------------------------------------------------

    @functools.cached_property
    def smooth_reach(self) -> list[int]:
        """For each output the inputs that it has a derivative by, as the bits of an integer."""
        return self.dependence(True)

    @functools.cached_property
    def reach(self) -> list[int]:
        """For each output the inputs that it depends on in whatever way, as the bits of an integer."""
        return self.dependence(False)

    def dependence(self, smooth: bool) -> list[int]:
        masks = {entry: 1 << i if not smooth or is_smooth(entry.output) else 0 for i, entry in enumerate(self.tape.inputs)}
        for entry in self.tape.entries:
            found = 0
            if not smooth or is_recordable(entry.primitive, entry.output):
                for x in entry.inputs:
                    if is_member(x, self.tape):
                        found |= masks[x.history]
            masks[entry] = found
        return [masks[y.history] if is_member(y, self.tape) else 0 for y in self.tape.outputs]

    # --- derived programs -----------------------------------------------------------------------------------------

    def batched(self, size: int, flags: Flags, results: Flags) -> Program:
        """The program whose flagged inputs and results carry a batch as axis 0."""
        avals = [with_batch(x, size) if flag else x for x, flag in zip(self.avals, flags, strict=True)]

        def function(*operands: Tensor) -> list[Tensor]:
            outs, found = batch(self.tape, size, list(operands), list(flags))
            return [repeated(y, size) if wanted and not flag else y for y, flag, wanted in zip(outs, found, results, strict=True)]

        return self.derive(("batched", size, flags, results), function, avals, self.primal)


class Control(Primitive):
    """A row that holds programs: its derivative needs its operands, and may look at its output."""

    def wanted(self, parents: tuple[Any, ...]) -> frozenset[int]:
        return frozenset(range(len(parents) + 1))


def control(
    name: str,
    doc: str,
    *,
    numpy: Callable[..., Any],
    shape: Callable[..., Any],
    jvp: Callable[..., Any],
    vjp: Callable[..., Any],
    batch: Callable[..., Any],
    cost: Callable[..., float],
    taylor: Callable[..., Any] | None = None,
    unfold: Callable[..., Any] | None = None,
    kind: str = "general",
) -> Primitive:
    """Declare a row that holds programs."""
    row = Control(name, doc, numpy, shape, Samples(cases=[]))
    row.kind = kind
    row.jvp, row.vjp, row.taylor, row.batch, row.cost, row.unfold = jvp, vjp, taylor, batch, cost, unfold
    operation(row)
    return row


# --- from functions to programs ------------------------------------------------------------------------------------


def traced_body(name: str, function: Callable[..., Any], structure: tree.Structure, operands: Sequence[Any]) -> Tape:
    """The tape of a function of trees, by shapes where these are its operands.

    **Raises** `TypeError` where it returns what is no array.
    """

    def flat(*handles: Tensor) -> Any:
        result = function(*tree.unflatten(structure, list(handles)))
        for path, y in tree.paths(result):
            if not (y.__class__ is Tensor or isinstance(y, np.ndarray | np.generic) or is_weak(y)):
                raise TypeError(f"[{name}] the function returned {type(y).__name__} at result{path}; arrays are needed")
        return result

    return record(flat, list(operands))


def captures_of(tapes: Iterable[Tape]) -> dict[Any, Tensor]:
    """What the tapes captured and somebody follows, by history."""
    return {
        x.history: x
        for tape in tapes
        for x in (*(x for entry in tape.entries for x in entry.inputs), *tape.outputs)
        if x.__class__ is Tensor and x.history is not None and not is_member(x, tape)
    }


def closed(tape: Tape, captures: dict[Any, Tensor], anew: bool = False) -> Program:
    """The tape with these captures as its first inputs; made `anew` by shapes where it was recorded by values."""
    if not captures and not anew:
        return Program(tape)

    def function(*operands: Tensor) -> list[Any]:
        given: dict[Any, Any] = dict(zip((*captures, *tape.inputs), operands, strict=True))

        def value_of(x: Any) -> Any:
            return given.get(x.history, x) if x.__class__ is Tensor and x.history is not None else x

        for entry in tape.entries:
            given[entry] = y = bind(entry.primitive, tuple(map(value_of, entry.inputs)), entry.params)
            y.history.location = entry.location
        return [value_of(y) for y in tape.outputs]

    avals = [aval(x.value) for x in captures.values()]
    return Program(record(function, avals + [entry.output for entry in tape.inputs]))


def as_handle(x: Any) -> Tensor:
    """A leaf as a Tensor that nobody changes."""
    return x if x.__class__ is Tensor else handle(freeze(np.asarray(x)))


def own_handle(x: Any) -> Tensor:
    """A leaf as a Tensor that nobody else has."""
    x = as_handle(x)
    return handle(x.value, x.history)


def is_at_hand(x: Tensor) -> bool:
    """Whether a value is known, and no open trace needs to see what is done with it."""
    return not is_abstract(x.value) and innermost_trace([recorded(x.history)]) is None


def is_smooth(shaped: Any) -> bool:
    """Whether there are derivatives by a value of this shape and dtype."""
    return shaped.dtype.kind in "fcO"


def is_asked_for(operands: Iterable[Tensor]) -> bool:
    """Whether somebody records these operands for a derivative here, and not only once an open trace of them is run."""
    if current_mode().quiet:
        return False
    entries = [entry for x in operands if (entry := recorded(x.history)) is not None]
    trace = innermost_trace(entries)
    since = -1 if trace is None else trace.serial
    scopes = (scope for entry in entries for scope in entry.scopes)
    return any(scope.open and scope.serial > since and not isinstance(scope, Trace) for scope in scopes)


def bits(flags: Iterable[bool]) -> int:
    """Flags as the bits of an integer, the first the lowest."""
    return sum(1 << i for i, flag in enumerate(flags) if flag)


def settled(flags: list[bool], reach: list[int], carries: slice) -> list[bool]:
    """The flags of a loop body's inputs once those of its results have come round: carries are its first results."""
    flags = list(flags)
    while True:
        found = bits(flags)
        carried = [flag or bool(mask & found) for flag, mask in zip(flags[carries], reach, strict=False)]
        if carried == flags[carries]:
            return flags
        flags[carries] = carried


# --- the modes of differentiation, for functions of lists of Tensors --------------------------------------------------


def pulled(function: Function, operands: Sequence[Tensor], needed: Sequence[bool], cts: Sequence[Any]) -> list[Tensor | None]:
    """The cotangents of the operands that are needed, given those of the function's results; None for zero."""
    with enable_grad():
        scope = Scope()
        inputs = [fresh(x, scope) if need else x for x, need in zip(operands, needed, strict=True)]
        try:
            outs = function(*inputs)
        finally:
            scope.open = False
        seeds = [(recorded(y.history), ct) for y, ct in zip(outs, cts, strict=True) if ct is not None and depends_on(y, scope)]
        targets = [recorded(x.history) if need else None for x, need in zip(inputs, needed, strict=True)]
        found = sweep(seeds, [target for target in targets if target is not None], scope, scope.serial)
    cotangents = [None if target is None else found.get(target) for target in targets]
    return [g if g is None or g.__class__ is Tensor else handle(g) for g in cotangents]


def followed(
    function: Function, operands: Sequence[Tensor], facts: Sequence[Any], order: int
) -> tuple[list[Tensor], list[list[Any] | None]]:
    """The function's results and what follows from the operands' facts; None for zero.

    With `order` 0 the facts are tangents, lists of one; else the Taylor coefficients 1 … order.
    """
    reader: Any = Jet(order) if order else Push()
    try:
        seeds = [fact if fact is None or order else fact[0] for fact in facts]
        inputs = [x if fact is None else reader.watch(x, fact) for x, fact in zip(operands, seeds, strict=True)]
        with enable_grad():
            outs = function(*inputs)
        found = [reader.of(y) for y in outs]
        return [reader.outside(y) for y in outs], [fact if order or fact is None else [fact] for fact in found]
    finally:
        reader.close()


def filled(fact: list[Any] | None, like: Any, order: int) -> list[Tensor]:
    """A tangent, or `order` coefficients, zeros for None."""
    return [or_zeros(c, like) for c in fact or [None] * max(order, 1)]


def in_turn(values: Iterable[Any], flags: Iterable[bool], order: int) -> list[Any]:
    """The next facts at each flagged place, None elsewhere."""
    rest = iter(values)
    return [[next(rest) for _ in range(max(order, 1))] if flag else None for flag in flags]


def by_order(compute: Callable[[], Sequence[list[Any] | None]]) -> Rule:
    """The Taylor rule of a row whose coefficients come all at once."""
    found: list[Sequence[list[Any] | None]] = []

    def rule(k: int) -> Bundle:
        if not found:
            found.append(compute())
        return Bundle(None if fact is None else fact[k - 1] for fact in found[0])

    return rule


def coefficients(xs: Sequence[Any], order: int) -> list[list[Any] | None]:
    """What the operands' series have beyond their values, None where they are constant."""
    return [None if x.is_constant or not is_smooth(x[0]) else [x[k] for k in range(1, order + 1)] for x in xs]


def or_zeros(x: Tensor | None, like: Any) -> Tensor:
    """A tangent or cotangent, zeros for None."""
    return zeros(like) if x is None else x


# --- batches -------------------------------------------------------------------------------------------------------


def with_batch(x: Shaped, size: int) -> Shaped:
    """The abstract value with the batch as axis 0."""
    return Shaped((size, *x.shape), x.dtype)


def repeated(x: Tensor, size: int) -> Tensor:
    """A value for each example of a batch."""
    return broadcast_to(x, shape=(size, *x.shape))
