"""Jet: truncated Taylor series along a run, forward mode to any order at once.

A `Jet` is a live reader that knows the coefficients of each value's series.  Most rows need nothing but their JVP rule:
from y' = J(x, y) x' follows k y[k] = (J(x, y) x')[k-1], and the rule itself is a program whose operations have series in
turn.  These are made when asked for and shared by operation and operands, so that sin and cos, or tanh and its derivative,
close upon each other and cost O(k²), as does all that satisfies an algebraic differential equation.  A function that
satisfies none, such as lgamma, brings one more function an order, and costs O(k³).

**Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), chapter 13.
"""

from __future__ import annotations

from typing import Any

from arrayad.arbitrary import taken
from arrayad.binding import bind
from arrayad.elementwise import Elementwise, minus_one, one
from arrayad.errors import DerivativeError
from arrayad.primitive import Primitive, Undefined
from arrayad.primitives.picking import output
from arrayad.readers.push import Reader, like
from arrayad.series import Rule, Series, known
from arrayad.shaped import Bundle, Shaped, aval, is_weak
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, is_member, record


class Jet(Reader):
    """The live reader of Taylor mode: what it knows of a value are its coefficients from the first to the order's."""

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def see(self, primitive: Any, operands: tuple[Any, ...], out: Tensor, params: dict[str, Any]) -> None:
        """Compute the coefficients of an operation's result."""
        facts = [self.of(x) for x in operands]
        if all(fact is None for fact in facts):
            return
        xs = [
            Series(self.operand(x, out)) if fact is None else known(self.outside(x), fact)
            for x, fact in zip(operands, facts, strict=True)
        ]
        program = Program(self.order)
        try:
            y = program.series(primitive, xs, params, self.outside(out))
            coefficients = [y[k] for k in range(1, self.order + 1)]
        finally:
            program.forget()
        if any(c is not None for c in coefficients):
            self.known[out.history.key] = coefficients


class Program:
    """Series by the operations that make them: each operation on given operands has one."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.made: dict[Any, tuple[Any, Series]] = {}

    def series(self, row: Primitive, xs: list[Series], params: dict[str, Any], first: Tensor | None = None) -> Series:
        """The series of an operation's result; `first` is its value, where that is known."""
        key = (row, tuple(map(identified, xs)), identified_params(params))
        if key not in self.made:
            if first is None:
                first = bind(row, tuple(x[0] for x in xs), params)
            y = Series(first)
            self.made[key] = (xs, params), y  # operands and parameters too: their identity must not be another's
            if row.differentiable and not all(x.is_constant for x in xs):
                fitting = [Series(handle(taken(x[0], first.value.dtype))) if is_weak(x[0]) else x for x in xs]
                y.rule = self.fitted(self.rule(row, y, fitting, params), first.value)
        return self.made[key][1]

    def forget(self) -> None:
        """Drop the rules, many of which refer to the series that they are of."""
        for _, y in self.made.values():
            y.rule = None

    def fitted(self, rule: Rule, value: Any) -> Rule:
        """The rule with its coefficients broadcast and cast to the shape and dtype of the value."""
        return lambda k: like(rule(k), value)

    def rule(self, row: Primitive, y: Series, xs: list[Series], params: dict[str, Any]) -> Rule:
        """How the row's coefficients follow from its operands'."""
        own = None if row.taylor is None else row.taylor(self.order, y, *xs, **params)
        if own is not None:
            return own
        if is_linear(row):
            return lambda k: along(row, [x[k] for x in xs], y, xs, params)
        return self.integrated(row, y, xs, params)

    def integrated(self, row: Primitive, y: Series, xs: list[Series], params: dict[str, Any]) -> Rule:
        """k y[k] = (J x')[k-1], where J x' is the program that the row's JVP rule writes."""
        rates: list[Series] | None = None

        def rule(k: int) -> Any:
            nonlocal rates
            if rates is None:
                rates = self.rates(row, y, xs, params)
            found = [None if rate is None else rate[k - 1] for rate in rates]
            parts = [None if part is None else part / k if k > 1 else part for part in found]
            return Bundle(parts) if y[0].value.__class__ is Bundle else parts[0]

        return rule

    def rates(self, row: Primitive, y: Series, xs: list[Series], params: dict[str, Any]) -> list[Any]:
        """The series of the derivative of each output."""
        moving = [not x.is_constant for x in xs]
        tape, found = rule_tape(row, moving, y[0], [x[0] for x in xs], params)
        inputs = [*(derivative(x) for x, moves in zip(xs, moving, strict=True) if moves), *series_of_parts(y), *xs]
        values: dict[Any, Series] = dict(zip(tape.inputs, inputs, strict=True))

        def series_of(x: Any) -> Series:
            return values[x.history] if is_member(x, tape) else Series(x if is_weak(x) or x.__class__ is Tensor else handle(x))

        for entry in tape.entries:
            values[entry] = self.series(entry.primitive, list(map(series_of, entry.inputs)), entry.params)
        outputs = iter(map(series_of, tape.outputs))
        return [next(outputs) if there else None for there in found]


def identified(x: Series) -> Any:
    """What tells an operand from others: a number by its value, anything else by itself."""
    return x[0] if x.is_constant and is_weak(x[0]) else id(x[0]) if x.is_constant else id(x)


def identified_params(params: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What tells parameters from others: by themselves, or where they have no hash, as slices do, by what they show."""
    return tuple((name, value if is_hashable(value) else repr(value)) for name, value in sorted(params.items()))


def is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def derivative(x: Series) -> Series:
    """x', of which coefficient k is (k+1) x[k+1]."""
    first = x[1]
    if first is None:
        first = x[0] * 0.0

    def rule(k: int) -> Any:
        return None if x[k + 1] is None else (k + 1.0) * x[k + 1]

    return Series(first, rule)


def series_of_parts(y: Series) -> list[Series]:
    """The series of each output of an operation; of a lone one it itself."""

    def part_of(i: int) -> Series:
        return Series(output(y[0], i), lambda k: None if y[k] is None else y[k][i])

    return [part_of(i) for i in range(len(y[0].value))] if y[0].value.__class__ is Bundle else [y]


def is_linear(row: Primitive) -> bool:
    """Whether the row is linear, or piecewise linear, in all its operands together."""
    if isinstance(row, Elementwise):
        return all(partial in (None, one, minus_one) for partial in row.partials)
    return row.kind == "linear" or (row.kind == "selection" and row.needs == (frozenset(),))


def along(row: Primitive, tangents: list[Any], y: Series, xs: list[Series], params: dict[str, Any]) -> Any:
    """The row's derivative along coefficients, at the first ones."""
    assert row.jvp is not None
    return None if all(t is None for t in tangents) else row.jvp(tangents, y[0], *(x[0] for x in xs), **params)


TAPES: dict[Any, tuple[Tape, list[bool]]] = {}
"""The JVP rules of rows as tapes, by row, operands' dtypes and shapes; of an elementwise row one serves all shapes."""


def rule_tape(row: Primitive, moving: list[bool], y: Any, xs: list[Any], params: dict[str, Any]) -> tuple[Tape, list[bool]]:
    """The program of the row's JVP rule: inputs are the tangents of the operands that move, the output and the operands."""
    several = y.value.__class__ is Bundle
    outs = list(aval(y.value)) if several else [operand_aval(row, y)]
    avals = [operand_aval(row, x) for x in xs]
    key = (row, tuple(moving), (*outs, *avals), identified_params(params))
    if key in TAPES:
        return TAPES[key]
    found: list[bool] = []

    def program(*inputs: Tensor) -> Any:
        rest = iter(inputs)
        tangents = [next(rest) if moves else None for moves in moving]
        out = [next(rest) for _ in outs]
        t = row.jvp(tangents, Bundle(out) if several else out[0], *rest, **params)  # type: ignore[misc]  # there is one
        parts = t if t.__class__ is Bundle else (t,)
        for part in parts:
            if part.__class__ is Undefined:
                raise DerivativeError(part.reason)
        found.extend(part is not None for part in parts)
        return [part for part in parts if part is not None]

    tangents = [shaped for shaped, moves in zip(avals, moving, strict=True) if moves]
    tape = record(program, [*tangents, *outs, *avals])
    if isinstance(row, Elementwise):
        TAPES[key] = tape, found
    return tape, found


def operand_aval(row: Primitive, x: Any) -> Any:
    """The abstract value of an operand; of an elementwise row's one element, since its rule is the same for all shapes."""
    return Shaped((), x.dtype) if isinstance(row, Elementwise) else aval(x.value)
