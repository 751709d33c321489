"""`odeint`: solutions of ordinary differential equations, their row and its two adjoints.

**Source** Chen et al., Neural ordinary differential equations, NeurIPS (2018), on the continuous adjoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.binding import bind
from arrayad.control.deferred import deferred_jvp, deferred_taylor, deferred_vjp
from arrayad.control.program import (
    Program,
    as_handle,
    captures_of,
    closed,
    control,
    is_at_hand,
    is_smooth,
    repeated,
)
from arrayad.control.scanning import apply_scan
from arrayad.control.schedule import schedule_of
from arrayad.errors import AbstractValueError, DTypeError, ShapeError, describe
from arrayad.functions.shape import stack
from arrayad.primitives.arithmetic import add, multiply, negative
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.casting import astype
from arrayad.primitives.complex import conjugated
from arrayad.primitives.indexing import getitem, zeros
from arrayad.primitives.joining import concat
from arrayad.primitives.picking import output
from arrayad.primitives.shape import reshape
from arrayad.shaped import Bundle, Shaped, aval
from arrayad.solvers.dopri import clock_of, real_dtype
from arrayad.solvers.implicit import unknown
from arrayad.solvers.integration import Control
from arrayad.solvers.layout import Batches, for_all, lead_of, over_columns
from arrayad.solvers.linear import check_like, traced_unknown
from arrayad.solvers.ode import NAME, Ode, Steps, ode_shape, picked, real_part, times_first, times_last, within
from arrayad.tensor import Tensor, freeze, handle
from arrayad.transforms.reverse import pullback

MAX_STEPS = 100_000

# --- the row -------------------------------------------------------------------------------------------------------


def run_ode(*values: Any, ode: Ode, batches: Batches) -> Bundle:
    return Bundle(ode.integrated(values, batches)[0])


def apply_ode(ode: Ode, operands: Sequence[Tensor], batches: Batches = ()) -> list[Tensor]:
    """The states at the times, the last operand; before it stand the captures and the state at the first time."""
    y = bind(ODE, tuple(operands), {"ode": ode, "batches": batches})
    return [output(y, i) for i in range(len(ode.pair.state))]


def ode_jvp(tangents: Any, y: Any, *xs: Any, ode: Ode, batches: Batches) -> Bundle:
    return deferred_jvp(tangents, y, *xs, function=Steps(ode, batches))


def ode_taylor(order: int, y: Any, *xs: Any, ode: Ode, batches: Batches) -> Any:
    return deferred_taylor(order, y, *xs, function=Steps(ode, batches))


def ode_vjp(needed: Any, ct: Any, y: Any, *xs: Any, ode: Ode, batches: Batches) -> list[Any]:
    if ode.adjoint is None:
        return deferred_vjp(needed, ct, y, *xs, function=Steps(ode, batches))
    return continuous_vjp(needed, ct, y, *xs, ode=ode, batches=batches)


def ode_batch(size: int, operands: Any, batched: Any, *, ode: Ode, batches: Batches) -> Bundle:
    count = ode.captures
    moving = [x if flag else repeated(x, size) for x, flag in zip(operands[count:], batched[count:], strict=True)]
    return Bundle(apply_ode(ode, [*operands[:count], *moving], (*batches, (size, tuple(batched[:count])))))


def ode_cost(output: Any, *operands: Any, ode: Ode, batches: Batches) -> float:
    """A step for each output: how many there are is not known before it runs."""
    return operands[-1].size * 7 * ode.field.flops


ODE = control(
    "odeint",
    """The states of a system of ordinary differential equations at the times of the last operand.""",
    numpy=run_ode,
    shape=ode_shape,
    jvp=ode_jvp,
    vjp=ode_vjp,
    taylor=ode_taylor,
    batch=ode_batch,
    cost=ode_cost,
)
ODE.calls_back = True


# --- the continuous adjoint ----------------------------------------------------------------------------------------


def continuous_vjp(needed: Any, ct: Any, y: Any, *xs: Any, ode: Ode, batches: Batches) -> list[Any]:
    """λ' = -λ ∂f/∂y and g' = -λ ∂f/∂θ, solved backwards from each time to the one before, the state along with them."""
    fixed, start, times = ode.parts(xs)
    lead, count = lead_of(batches), len(start)
    wanted = tuple(bool(need) and is_smooth(x) for need, x in zip(needed[: len(fixed)], fixed, strict=True))
    states = [times_first(output(y, i), len(lead)) for i in range(count)]
    cts = [zeros(aval(x.value)) if g is None else times_first(g, len(lead)) for g, x in zip(ct, states, strict=True)]
    turned = times_first(times, len(lead))
    body = interval(ode, wanted, batches, [aval(x.value) for x in fixed])
    carry = [zeros(x) for x in body.avals[len(fixed) : -2 * count - 2]]
    later = (slice(1, None),)
    along = [*states, turned, turned, *cts]
    places = [later] * (count + 1) + [(slice(None, -1),)] + [later] * count
    length = turned.shape[0] - 1
    if length:
        series = [getitem(x, index=place) for x, place in zip(along, places, strict=True)]
        carry = apply_scan(body, fixed, carry, series, length, reverse=True)
    adjoint, sums = carry[:count], iter(carry[count:])
    by_capture = [over_shared(next(sums), batches, i) if flag else None for i, flag in enumerate(wanted)]
    by_start = [add(g, getitem(c, index=(0,))) for g, c in zip(adjoint, cts, strict=True)]
    by_times = times_cotangent(ode, batches, fixed, states, turned, cts, adjoint) if needed[-1] else None
    return [*by_capture, *by_start, by_times]


def adjoint_of(ode: Ode, wanted: tuple[bool, ...]) -> Ode:
    """The system of the state, its adjoint, and the cotangents of the captures that are wanted."""
    if wanted not in ode.adjoints:
        field, captures = ode.field, ode.captures
        state = field.avals[captures:-1]
        sums = [x for x, flag in zip(field.avals, wanted, strict=False) if flag]

        def function(*operands: Tensor) -> list[Tensor]:
            fixed, y, t = list(operands[:captures]), operands[captures : captures + len(state)], operands[-1]
            adjoint = operands[captures + len(state) : captures + 2 * len(state)]
            places = [i for i, flag in enumerate(wanted) if flag]

            def slope(*moving: Tensor) -> list[Tensor]:
                full = list(fixed)
                for i, x in zip(places, moving, strict=False):
                    full[i] = x
                return field(*full, *moving[len(places) :], t)

            slopes, back = pullback("vjp", slope, (*(fixed[i] for i in places), *y), says=False)
            found = [negative(conjugated(g)) for g in back([conjugated(x) for x in adjoint])]
            return [*slopes, *found[len(places) :], *found[: len(places)]]

        avals = [*field.avals[:captures], *state, *state, *sums, field.avals[-1]]
        assert ode.adjoint is not None
        ode.adjoints[wanted] = Ode(
            field.derive(("adjoint", wanted), function, avals), captures, ode.adjoint, ode.checkpoint, ode.adjoint
        )
    return ode.adjoints[wanted]


def interval(ode: Ode, wanted: tuple[bool, ...], batches: Batches, fixed: list[Shaped]) -> Program:
    """The adjoint and the sums at the time before, of those at a time: the step of a scan over the times.

    Operands: the captures; the adjoint without the cotangent at this time, the sums; the state, this time, the time before, the
    cotangent.
    """
    lead, state = lead_of(batches), ode.pair.state
    reverse, count = adjoint_of(ode, wanted), len(state)
    clock = Shaped(lead, ode.pair.clock.dtype)
    full = [Shaped((*lead, *x.shape), x.dtype) for x in reverse.pair.state]

    def function(*operands: Tensor) -> list[Tensor]:
        rest = iter(operands)
        captured, adjoint, sums, y = ([next(rest) for _ in group] for group in groups[:4])
        here, before = next(rest), next(rest)
        whole = [add(a, c) for a, c in zip(adjoint, rest, strict=True)]
        found = apply_ode(reverse, [*captured, *y, *whole, *sums, stack([here, before], axis=-1)], batches)
        return [getitem(x, index=(*(slice(None),) * len(lead), 1)) for x in found[count:]]

    groups = [fixed, full[count : 2 * count], full[2 * count :], full[:count], [clock, clock], full[:count]]
    key = ("interval", wanted, batches)
    return ode.field.derive(key, function, [x for group in groups for x in group])


def over_shared(g: Tensor, batches: Batches, i: int) -> Tensor:
    """The cotangent of capture i, given one for each example: their sum over the batches that share it."""
    axes = tuple(axis for axis, (_, flags) in enumerate(reversed(batches)) if not flags[i])
    return reduce_sum(g, axis=axes) if axes else g


def times_cotangent(
    ode: Ode, batches: Batches, fixed: list[Tensor], states: list[Tensor], times: Tensor, cts: list[Tensor], adjoint: list[Tensor]
) -> Tensor:
    """How much sooner or later matters: a time moves its own state along the slope, the first time all others against it."""
    lead = len(batches)
    program = over_columns(for_all(ode.pair.start(), batches), len(fixed), (times.shape[0],))
    slopes = program(*fixed, *states, times)
    first = [negative(reshape(g, shape=(1, *g.shape))) for g in adjoint]
    pulls = [concat(a, getitem(c, index=(slice(1, None),)), axis=0) for a, c in zip(first, cts, strict=True)]
    terms = [multiply(g, k) for g, k in zip(pulls, slopes, strict=True)]
    sums = [reduce_sum(x, axis=tuple(range(lead + 1, x.ndim))) for x in terms]
    total = astype(real_part(sums[0]), dtype=times.dtype)
    for x in sums[1:]:
        total = add(total, astype(real_part(x), dtype=times.dtype))
    return times_last(total, lead)


# --- public --------------------------------------------------------------------------------------------------------


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float | None = None,
    atol: float | None = None,
    method: str = "dopri5",
    adjoint: str = "discrete",
    checkpoint: Any = None,
    adjoint_rtol: float | None = None,
    adjoint_atol: float | None = None,
    first_step: float | None = None,
    largest_step: float | None = None,
    max_steps: int = MAX_STEPS,
    dense: bool = False,
) -> Any:
    """The solution of dy/dt = func(y, t, *args), y(t[0]) = y0, at the times t.

    Steps of order 5 are accepted where the error of the pair of Dormand and Prince, relative to atol + rtol |y|, has a root
    mean square of at most 1 in each leaf; states between them come from the dense output of order 4.

    Derivatives by `y0`, `args`, `t`, and whatever `func` captures.  "discrete": those of the numbers computed, the steps being
    constants, by whatever mode, to rounding.  "continuous", in reverse mode: the adjoint equation is integrated backwards, to
    an error of its own tolerances, in memory that does not grow with the steps.

    **Parameters** `func`: takes a tree of arrays to its like; traced by shapes, so branches are `where` or `cond`.  `y0`: a tree
    of floating-point or complex arrays.  `t`: times, rising or falling; the first is that of `y0`.  `rtol`, `atol`: by default
    √ε, 1.5e-8 in float64 and 3.5e-4 in float32.  `method`: "dopri5".  `adjoint`: "discrete" or "continuous".  `checkpoint`,
    of the discrete one: which states the reverse mode keeps, as of `scan`; None keeps those before all steps.
    `adjoint_rtol`, `adjoint_atol`: of the continuous one, by default as `rtol`, `atol`.  `first_step`, `largest_step`: sizes
    of steps.  `max_steps`: how many may be tried.  `dense`: return (y, solution) with `solution(t)` the state at any time on
    the way.

    **Returns** a tree like `y0` whose leaves have the times as axis 0.  Under `vmap` each example has its own steps.

    **Raises** `ConvergenceError` with time and step where steps run out or shrink to nothing, saying so if the problem is stiff;
    `ShapeError`, `DTypeError` where func(y, t) is not like y; `ValueError` for times that go back and forth.

    **Source** Dormand & Prince, J. Comput. Appl. Math. 6 (1980); the signature is `jax.experimental.ode.odeint`'s.

    **Example**

    >>> import arrayad as ad
    >>> decay = lambda k: ad.odeint(lambda y, t: -k * y, 1.0, [0.0, 1.0, 2.0])
    >>> ad.round(decay(0.5), 6), ad.round(ad.jacobian(decay)(0.5), 6)
    (Tensor([1.      , 0.606531, 0.367879]), Tensor([ 0.      , -0.606531, -0.735759]))
    """
    check_choices(method, adjoint, checkpoint)
    y, structure = unknown(NAME, y0, "y0")
    state = [aval(x.value) for x in y]
    if any(x.dtype.kind == "O" for x in state):
        raise DTypeError(f"[{NAME}] y0 holds numbers of mpmath's; floats are needed: a method of order 5 is not for more digits")
    clock = clock_of(state)
    times = times_of(t, clock)
    given = tree.map(lambda x: handle(freeze(x)) if isinstance(x, np.ndarray) else x, args)
    both = tree.Structure(tuple, (0, 1), (structure, tree.LEAF), structure.leaves + 1)
    tape = traced_unknown(NAME, lambda pair: func(*pair, *given), both, [*state, Shaped((), real_dtype(state[0].dtype))])
    check_like(NAME, "func", tape, structure, state)
    captures = captures_of([tape])
    usual = float(np.sqrt(np.finfo(real_dtype(np.result_type(*(x.dtype for x in state)))).eps))
    rtol, atol = usual if rtol is None else rtol, usual if atol is None else atol
    backward = Control(
        rtol if adjoint_rtol is None else adjoint_rtol,
        atol if adjoint_atol is None else adjoint_atol,
        None,
        largest_step,
        max_steps,
    )
    forward = Control(rtol, atol, first_step, largest_step, max_steps)
    for each in (forward, backward):
        check_control(each)
    ode = Ode(closed(tape, captures), len(captures), forward, checkpoint, backward if adjoint == "continuous" else None)
    operands = [*captures.values(), *y, times]
    result = tree.unflatten(structure, apply_ode(ode, operands))
    return (result, Solution(ode, operands, structure)) if dense else result


def times_of(t: Any, clock: Shaped) -> Tensor:
    """The times as the row has them.

    **Raises** `ShapeError` unless they are a vector, `DTypeError` unless they are real numbers.
    """
    times = as_handle(stack(t)) if isinstance(t, list | tuple) and any(x.__class__ is Tensor for x in t) else as_handle(t)
    if times.ndim != 1 or not times.shape[0]:
        raise ShapeError(f"[{NAME}] t is {describe(times)}; a vector of times is needed, the first being that of y0")
    if times.dtype.kind not in "iuf":
        raise DTypeError(f"[{NAME}] t is {describe(times)}; real numbers are needed")
    return times if times.dtype == clock.dtype else astype(times, dtype=clock.dtype)


def check_choices(method: str, adjoint: str, checkpoint: Any) -> None:
    """**Raises** `ValueError` for what there is not."""
    if method != "dopri5":
        raise ValueError(f'[{NAME}] the method is {method!r}; there is "dopri5"')
    if adjoint not in ("discrete", "continuous"):
        raise ValueError(f'[{NAME}] adjoint is {adjoint!r}; it must be "discrete" or "continuous"')
    schedule_of(NAME, checkpoint, 1)


def check_control(steps: Control) -> None:
    """**Raises** `ValueError` for tolerances and steps that cannot be."""
    if not (steps.rtol >= 0 and steps.atol >= 0 and steps.rtol + steps.atol > 0):
        raise ValueError(f"[{NAME}] rtol is {steps.rtol}, atol {steps.atol}; neither may be negative, nor both be 0")
    for name in ("first_step", "largest_step", "max_steps"):
        size = getattr(steps, name)
        if size is not None and not size > 0:
            raise ValueError(f"[{NAME}] {name} is {size}; it must be positive")


class Solution:
    """The state at any time between the first and the last: the dense output of the steps that were taken.

    It holds the state before each step, and is differentiated like the solution itself, also by the time.
    """

    def __init__(self, ode: Ode, operands: list[Tensor], structure: tree.Structure) -> None:
        if not all(map(is_at_hand, operands)):
            raise AbstractValueError(
                f"[{NAME}] dense=True needs values at hand, for how many steps there are is not known by shapes; "
                "ask for the times in t instead"
            )
        self.ode, self.structure = ode, structure
        self.fixed, y, times = ode.parts(operands)
        grid = ode.grid([x.value for x in operands], ())
        if not len(grid.size):
            raise ValueError(f"[{NAME}] dense=True needs two times or more")
        self.ends = (float(times.value[0]), float(times.value[-1]))
        self.sizes = grid.size[:, 0]
        self.origin = getitem(times, index=(0,))
        self.starts = add(self.origin, handle(grid.start[:, 0]))
        series = [self.starts, handle(self.sizes)]
        self.states = apply_scan(ode.pair.step(), self.fixed, y, series, len(self.sizes), keep=range(len(self.sizes)))[len(y) :]

    def __repr__(self) -> str:
        return f"<Solution from t = {self.ends[0]:g} to {self.ends[1]:g} in {len(self.sizes)} steps>"

    def __call__(self, t: Any) -> Any:
        """The state at the times t, an array of any shape: a tree whose leaves have its axes in front.

        **Raises** `ValueError` for times outside.
        """
        when = as_handle(t)
        if not is_at_hand(when):
            raise AbstractValueError(f"[{NAME}] a solution needs the value of t, which is known only by its shape here")
        when = astype(when, dtype=self.ode.pair.clock.dtype)
        flat = reshape(when, shape=(when.size,))
        sign = np.sign(self.ends[1] - self.ends[0])
        outside = (sign * (flat.value - self.ends[0]) < 0) | (sign * (flat.value - self.ends[1]) > 0)
        if outside.any():
            raise ValueError(
                f"[{NAME}] t = {flat.value[np.argmax(outside)]!r} is outside the solution, which goes from {self.ends[0]!r} to "
                f"{self.ends[1]!r}"
            )
        place = np.searchsorted(sign * self.starts.value, sign * flat.value, side="right") - 1
        place = np.clip(place, 0, len(self.sizes) - 1)
        starts, sizes = picked(self.starts, place), self.sizes[place]
        before = [picked(x, place) for x in self.states]
        found = within(self.ode, (), self.fixed, before, starts, sizes, flat, self.origin)
        return tree.unflatten(self.structure, [reshape(x, shape=(*when.shape, *x.shape[1:])) for x in found])
