"""Ordinary differential equations: a field, its adaptive integration, and the same solution as a scan over the steps taken.

For derivatives the steps are constants, and the solution is a scan over them, so that every mode and order comes from the scan's
own rules: the reverse mode keeps the state before each step, or before some, and computes the stages again.

**Source** Sanz-Serna, Symplectic Runge-Kutta schemes for adjoint equations, SIAM Review 58 (2016), on the discrete adjoint.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.binding import bind
from arrayad.control.carrying import schedule_for
from arrayad.control.deferred import Function
from arrayad.control.program import (
    Program,
    by_order,
    coefficients,
    control,
    filled,
    followed,
    is_asked_for,
    repeated,
)
from arrayad.control.scanning import apply_scan
from arrayad.primitive import nothing
from arrayad.primitives.arithmetic import add, multiply, subtract
from arrayad.primitives.broadcasting import broadcast_to, reduce_sum
from arrayad.primitives.casting import astype, real
from arrayad.primitives.indexing import ARRAY, getitem, zeros
from arrayad.primitives.picking import output
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.series import Rule
from arrayad.shaped import Bundle, Shaped, aval
from arrayad.solvers.dopri import Pair, real_dtype
from arrayad.solvers.integration import Control, Grid, Integrator
from arrayad.solvers.layout import Array, Batches, for_all, lead_of, over_columns
from arrayad.tensor import Tensor, handle

NAME = "odeint"


class Ode:
    """A field, and how it is integrated.  It remembers the last steps taken, for the derivatives of the same solution."""

    def __init__(self, field: Program, captures: int, steps: Control, checkpoint: Any, adjoint: Control | None) -> None:
        self.pair = Pair(field, captures)
        self.field, self.captures = field, captures
        self.steps, self.checkpoint, self.adjoint = steps, checkpoint, adjoint
        self.adjoints: dict[tuple[bool, ...], Ode] = {}
        self.remembered: dict[Batches, tuple[list[Any], Grid]] = {}

    def __repr__(self) -> str:
        return repr(self.field)

    def parts(self, operands: Sequence[Any]) -> tuple[list[Any], list[Any], Any]:
        """Captures, the state at the first time, times."""
        return list(operands[: self.captures]), list(operands[self.captures : -1]), operands[-1]

    def integrated(self, values: Sequence[Any], batches: Batches) -> tuple[list[Array], Grid]:
        """The states at the times asked for, and the steps taken."""
        fixed, y, times = self.parts(values)
        integrator = Integrator(NAME, self.pair, fixed, batches, self.steps)
        rows = times.reshape(integrator.rows, times.shape[-1]).T
        with np.errstate(all="ignore"):
            states, grid = integrator.run(y, rows)
        self.remembered[batches] = [weakref.ref(x) if x.__class__ is np.ndarray else x for x in values], grid
        return states, grid

    def grid(self, values: Sequence[Any], batches: Batches) -> Grid:
        """The steps for these operands: those that were taken for them, if they were the last."""
        known, grid = self.remembered.get(batches, ([], None))
        if grid is not None and all(map(is_same, known, values)):
            return grid
        return self.integrated(values, batches)[1]


def is_same(known: Any, x: Any) -> bool:
    """Whether an array, known by a weak reference, or a NumPy scalar is the one that was seen before."""
    return known() is x if isinstance(known, weakref.ref) else bool(known == x)


def ode_shape(*operands: Shaped, ode: Ode, batches: Batches) -> Bundle:
    _, y, times = ode.parts(operands)
    lead = len(batches)
    return Bundle(Shaped((*x.shape[:lead], times.shape[-1], *x.shape[lead:]), x.dtype) for x in y)


# --- what comes of a later time -------------------------------------------------------------------------------------


def apply_later(slope: Program, operands: Sequence[Tensor]) -> list[Tensor]:
    """The states among the operands, as functions of the times since the first one too."""
    y = bind(LATER, tuple(operands), {"slope": slope})
    return [output(y, i) for i in range(len(slope.out_avals))]


def later_parts(xs: Sequence[Any], slope: Program) -> tuple[Sequence[Any], Sequence[Any], Any, Any]:
    """Captures, states, their times, and the times since the first."""
    count = len(slope.out_avals)
    return xs[: -count - 2], xs[-count - 2 : -2], xs[-2], xs[-1]


def run_later(*values: Any, slope: Program) -> Bundle:
    return Bundle(later_parts(values, slope)[1])


def later_jvp(tangents: Any, y: Any, *xs: Any, slope: Program) -> Bundle:
    facts = [None if t is None else [t] for t in tangents]
    return Bundle(fact and fact[0] for fact in followed_later(xs, facts, 0, y, slope))


def later_taylor(order: int, y: Any, *xs: Any, slope: Program) -> Rule:
    values = [x[0] for x in xs]
    return by_order(lambda: followed_later(values, coefficients(xs, order), order, y[0], slope))


def followed_later(xs: Any, facts: Any, order: int, y: Any, slope: Program) -> list[list[Any] | None]:
    """The tangents, or coefficients, of z with dz = dy + slope(z, t) dτ: k z_k = k y_k + Σ_i slope_i (k - i) τ_(k-i)."""
    fixed, states, times, _ = later_parts(xs, slope)
    by_fixed, still, by_times, since = later_parts(facts, slope)
    if since is None:
        return list(still)
    z = [output(y, i) for i in range(len(states))]
    series = [list[Tensor]() for _ in z]
    for k in range(1, max(order, 1) + 1):
        given = [fact and fact[: k - 1] for fact in (*by_fixed, *series, by_times)] if k > 1 else [None] * (len(xs) - 1)
        values, changes = followed(slope, [*fixed, *z, times], given, k - 1)
        for i, (value, change, known) in enumerate(zip(values, changes, series, strict=True)):
            rates = [value, *filled(change, value, k - 1)[: k - 1]]
            total = zeros(aval(value.value)) if still[i] is None else still[i][k - 1]
            for j, rate in enumerate(rates):
                factor = multiply(since[k - j - 1], (k - j) / k)
                total = add(total, multiply(rate, spread_over(factor, rate)))
            known.append(total)
    return list(series)


def later_vjp(needed: Any, ct: Any, y: Any, *xs: Any, slope: Program) -> list[Any]:
    fixed, states, times, since = later_parts(xs, slope)
    found = None
    if needed[-1]:
        slopes = slope(*fixed, *(output(y, i) for i in range(len(states))), times)
        terms = [multiply(g, k) for g, k in zip(ct, slopes, strict=True) if g is not None]
        sums = [astype(real_part(reduce_sum(x, axis=tuple(range(since.ndim, x.ndim)))), dtype=since.dtype) for x in terms]
        found = functools.reduce(add, sums) if sums else None
    return [*(None for _ in fixed), *ct, None, found]


def later_batch(size: int, operands: Any, batched: Any, *, slope: Program) -> Bundle:
    fixed, *_ = later_parts(operands, slope)
    moving = [x if flag else repeated(x, size) for x, flag in zip(operands[len(fixed) :], batched[len(fixed) :], strict=True)]
    flags = (*batched[: len(fixed)], *(True,) * (len(moving) - 1))
    program = slope.batched(size, flags, (True,) * len(slope.out_avals))
    return Bundle(apply_later(program, [*operands[: len(fixed)], *moving]))


LATER = control(
    "later",
    """States as they are, whose derivative by the last operand, the times since the first, is the slope.""",
    numpy=run_later,
    shape=run_later,
    jvp=later_jvp,
    vjp=later_vjp,
    taylor=later_taylor,
    batch=later_batch,
    cost=nothing,
)


def real_part(x: Tensor) -> Tensor:
    return real(x) if x.dtype.kind == "c" else x


def spread_over(x: Tensor, like: Tensor) -> Tensor:
    """Numbers along the first axes of an array as they multiply it, in its precision."""
    return astype(reshape(x, shape=(*x.shape, *(1,) * (like.ndim - x.ndim))), dtype=real_dtype(like.dtype))


# --- the solution as a scan over its steps -------------------------------------------------------------------------


class Steps(Function):
    """The solution as operations: a scan over the steps, and the dense output where times lie within them."""

    def __init__(self, ode: Ode, batches: Batches) -> None:
        self.ode = ode
        self.batches = batches

    def avals(self, *operands: Shaped) -> list[Shaped]:
        return list(ode_shape(*operands, ode=self.ode, batches=self.batches))

    def batched(self, size: int) -> Steps:
        return Steps(self.ode, (*self.batches, (size, (True,) * self.ode.captures)))

    def __call__(self, *operands: Tensor) -> list[Tensor]:
        fixed, y, times = self.ode.parts(operands)
        lead = lead_of(self.batches)
        grid = self.ode.grid([x.value for x in operands], self.batches)
        count = grid.place.shape[0]
        if not len(grid.size):
            return [
                broadcast_to(reshape(x, shape=(*x.shape[: len(lead)], 1, *x.shape[len(lead) :])), shape=like.shape)
                for x, like in zip(y, self.avals(*(aval(x.value) for x in operands)), strict=True)
            ]
        start, size = (array.reshape(-1, *lead) for array in (grid.start, grid.size))
        place = grid.place.reshape(count, *lead)
        turned = times_first(times, len(lead))
        starts = add(getitem(turned, index=(0,)), handle(start))
        before = self.states(fixed, y, starts, size, place)
        sizes = picked(handle(size), place).value
        found = within(self.ode, self.batches, fixed, before, picked(starts, place), sizes, turned, getitem(turned, index=(0,)))
        return [times_last(x, len(lead)) for x in found]

    def states(self, fixed: list[Tensor], y: list[Tensor], starts: Tensor, size: Array, place: Array) -> list[Tensor]:
        """The states before the steps that `place` names; a recording keeps those of its schedule too."""
        step = for_all(self.ode.pair.step(), self.batches)
        schedule = schedule_for(NAME, self.ode.checkpoint, len(size), y)
        recorded = is_asked_for([*fixed, *y, starts])
        keep = sorted({*place.ravel().tolist(), *(schedule.positions(len(size)) if recorded else ())})
        kept = apply_scan(step, fixed, y, [starts, handle(size)], len(size), keep=tuple(keep), schedule=schedule)[len(y) :]
        return [picked(x, np.searchsorted(keep, place)) for x in kept]


def picked(x: Tensor, place: Array) -> Tensor:
    """x[place], each example of the leading axes behind the first with its own places."""
    lead = place.shape[1:]
    grids = [handle(np.arange(n).reshape((n, *(1,) * (len(lead) - i - 1)))) for i, n in enumerate(lead)]
    return getitem(x, handle(place), *grids, index=(ARRAY,) * (1 + len(lead)))


def within(
    ode: Ode,
    batches: Batches,
    fixed: list[Tensor],
    before: list[Tensor],
    starts: Tensor,
    sizes: Array,
    times: Tensor,
    origin: Tensor,
) -> list[Tensor]:
    """The states at some times, given those before the steps that the times lie in, with the times as axis 0.

    Where in its step a time lies is a constant, as the steps are; what a time, or the first one, changes by coming later
    is the slope of the state times that: the dense output's own derivative would have an order less.
    """
    captures = len(fixed)
    shares = (times.value - starts.value) / sizes
    states = in_groups(for_all(ode.pair.dense(), batches), fixed, [*before, starts, handle(sizes), handle(shares)])
    if times.history is None and origin.history is None:
        return states
    slope = over_columns(for_all(ode.pair.start(), batches), captures, (times.shape[0],))
    return apply_later(slope, [*fixed, *states, times, subtract(times, origin)])


GROUP = 1 << 14
"""Elements of the states that are computed together: enough to hide what an operation costs beside its work."""


def in_groups(program: Program, fixed: list[Tensor], xs: list[Tensor]) -> list[Tensor]:
    """The program's results for each element of axis 0, by a scan over groups, whose reverse pass keeps no more than `xs`."""
    count = xs[0].shape[0]
    width = min(count, max(1, GROUP * count // max(1, sum(x.size for x in xs))))
    groups = -(-count // width)
    if groups * width > count:
        places = handle(np.minimum(np.arange(groups * width), count - 1))
        xs = [getitem(x, places, index=(ARRAY,)) for x in xs]
    grouped = [reshape(x, shape=(groups, width, *x.shape[1:])) for x in xs]
    found = apply_scan(over_columns(program, len(fixed), (width,)), fixed, [], grouped, groups)
    joined = [reshape(x, shape=(groups * width, *x.shape[2:])) for x in found]
    return [x if groups * width == count else getitem(x, index=(slice(count),)) for x in joined]


def times_first(x: Tensor, lead: int) -> Tensor:
    """The axis behind the leading ones as the first."""
    return permute_dims(x, axes=(lead, *range(lead), *range(lead + 1, x.ndim))) if lead else x


def times_last(x: Tensor, lead: int) -> Tensor:
    """The first axis behind the leading ones."""
    return permute_dims(x, axes=(*range(1, lead + 1), 0, *range(lead + 1, x.ndim))) if lead else x
