"""The adaptive integrator: plain arrays in, the states at the times asked for and the steps taken out.

Every example of a batch has its own time and step, so that it is integrated as it would be alone; one that has arrived waits
with a step of 0.

**Source** Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, 2nd ed. (1993), section II.4, for the first step
and the error; Hairer & Wanner, volume II (1996), section IV.2, for the PI controller and the sign of stiffness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad.errors import ConvergenceError
from arrayad.solvers.dopri import ORDER, STABILITY, Pair, interpolated
from arrayad.solvers.layout import Array, Batches, for_all, lead_of

SAFETY, SMALLEST, LARGEST = 0.9, 0.2, 10.0
BETA = 0.04
ALPHA = 1 / ORDER - 0.75 * BETA


class Control(NamedTuple):
    """What governs the steps: tolerances, the first and the largest step, and how many may be tried."""

    rtol: float
    atol: float
    first_step: float | None
    largest_step: float | None
    max_steps: int


class Grid(NamedTuple):
    """The steps that were accepted, by number and example, and in which of them each output lies.

    `start` is counted from the first time.  Examples with fewer steps than others have steps of 0 behind theirs.
    """

    start: Array
    size: Array
    place: Array


class Integrator:
    """One integration of a batch: `rows` examples, whose leaves have the leading axes `lead`."""

    def __init__(self, name: str, pair: Pair, fixed: list[Any], batches: Batches, control: Control) -> None:
        self.name, self.fixed, self.control = name, fixed, control
        self.lead = lead_of(batches)
        self.rows = math.prod(self.lead)
        self.count = len(pair.state)
        self.clock = pair.clock.dtype
        self.latest: tuple[Any, ...] = ()
        self.attempt = for_all(pair.attempt(), batches).run
        self.start = for_all(pair.start(), batches).run

    def along(self, row: Array, leaf: Any) -> Array:
        """Numbers of the examples as they stand to a leaf, in its precision."""
        shaped = row.reshape(self.lead + (1,) * (leaf.ndim - len(self.lead)))
        return shaped if shaped.dtype.kind == "b" else shaped.astype(leaf.real.dtype)

    def timed(self, row: Array) -> Array:
        return row.reshape(self.lead)

    def norm(self, leaves: Sequence[Any], scales: Sequence[Any]) -> Array:
        """The largest of the leaves' root mean squares, relative to scales; infinite where it is no number."""
        found = np.zeros(self.rows)
        for x, scale in zip(leaves, scales, strict=True):
            if x.size:
                ratio = np.abs(x / scale).reshape(self.rows, -1).astype(np.float64)
                found = np.maximum(found, np.sqrt(np.mean(ratio * ratio, axis=1)))
        return np.where(np.isnan(found), np.inf, found)

    def scales(self, *states: Sequence[Any]) -> list[Any]:
        """atol + rtol |y|, with the largest |y| of some states."""
        sizes = [
            np.abs(leaves[0]) if len(leaves) == 1 else np.maximum(*map(np.abs, leaves)) for leaves in zip(*states, strict=True)
        ]
        return [self.control.atol + self.control.rtol * size for size in sizes]

    def chosen(self, rows: Array, new: list[Any], old: list[Any]) -> list[Any]:
        """The new leaves for some examples, the old ones for the others."""
        return [np.where(self.along(rows, a), b, a) for a, b in zip(old, new, strict=True)]

    def first_step(self, y: list[Any], k: list[Any], t: Array, span: Array) -> Array:
        """A step that Euler's method could take within the tolerance."""
        if self.control.first_step is not None:
            return np.copysign(np.minimum(self.control.first_step, np.abs(span)), span)
        scales = self.scales(y)
        size, slope = self.norm(y, scales), self.norm(k, scales)
        h = np.where((size < 1e-5) | (slope < 1e-5), 1e-6, 0.01 * size / np.where(slope > 0, slope, 1))
        h = np.copysign(np.minimum(h, np.abs(span)), span)
        moved = [leaf + self.along(h, leaf) * dy for leaf, dy in zip(y, k, strict=True)]
        bent = self.start([*self.fixed, *moved, self.timed(t + h)])
        second = self.norm([b - a for a, b in zip(k, bent, strict=True)], scales) / np.where(h == 0, 1, np.abs(h))
        largest = np.maximum(slope, second)
        with np.errstate(all="ignore"):
            best = np.where(largest > 1e-15, (0.01 / largest) ** (1 / ORDER), np.maximum(1e-6, 1e-3 * np.abs(h)))
        return np.copysign(np.minimum(np.minimum(100 * np.abs(h), best), np.abs(span)), span)

    def run(self, y: list[Any], times: Array) -> tuple[list[Array], Grid]:
        """The states at times[:, row], and the steps."""
        origin, end = times[0], times[-1]
        span = end - origin
        sign = np.sign(span)
        self.check_times(times, sign)
        outputs = Outputs(y, times, self.lead)
        t, active = origin, span != 0
        k = self.start([*self.fixed, *y, self.timed(t)])
        self.check_start(active, y, k, t)
        h = self.first_step(y, k, t, span)
        before, allowed = np.full(self.rows, 1e-4), np.full(self.rows, LARGEST)
        steps: list[tuple[Array, Array, Array]] = []
        for tried in range(self.control.max_steps + 1):
            if not active.any():
                break
            if tried == self.control.max_steps:
                raise ConvergenceError(self.too_many(active, t, end))
            if self.control.largest_step is not None:
                h = np.copysign(np.minimum(np.abs(h), self.control.largest_step), h)
            last = np.abs(end - t) <= 1.0001 * np.abs(h)
            h = np.where(active, np.where(last, end - t, h), 0)
            self.check_step(active & ~last, h, t)
            found = self.attempt([*self.fixed, *y, *k, self.timed(t), self.timed(h)])
            new, slope, error, final, *before_last = (found[i * self.count : (i + 1) * self.count] for i in range(6))
            size = self.norm(error, self.scales(y, new))
            accepted = active & (size <= 1)
            if accepted.any():
                stop = np.where(last, end, t + h)
                outputs.fill(accepted, t, h, stop, (y, new, k, slope, final))
                steps.append((accepted, t, h))
                y, k = self.chosen(accepted, new, y), self.chosen(accepted, slope, k)
                t = np.where(accepted, stop, t)
                active = active & (t != end)
            self.latest = (h, new, slope, *before_last)
            bounded = np.clip(size, 1e-10, 1e10)
            grown = np.clip(SAFETY * bounded**-ALPHA * before**BETA, SMALLEST, allowed)
            h = h * np.where(accepted, grown, np.clip(SAFETY * bounded ** (-1 / ORDER), SMALLEST, 1.0))
            before = np.where(accepted, np.maximum(size, 1e-4), before)
            allowed = np.where(accepted, LARGEST, 1.0)  # a step after one that failed does not grow
        return outputs.shaped(), grid_of(steps, outputs.place, origin)

    # --- what goes wrong ------------------------------------------------------------------------------------------

    def example(self, bad: Any) -> tuple[int, str]:
        """The first of the examples meant, and its name where there are several."""
        r = int(np.argmax(bad))
        return r, f"[{self.name}] in example {r}: " if self.rows > 1 else f"[{self.name}] "

    def check_times(self, times: Array, sign: Array) -> None:
        """**Raises** `ValueError` unless the times go one way."""
        bad = ~np.isfinite(times).all(axis=0) | (np.diff(times, axis=0) * sign <= 0).any(axis=0)
        if len(times) > 1 and bad.any():
            raise ValueError(f"{self.example(bad)[1]}the times must be finite, and rise or fall from each to the next")

    def check_start(self, active: Array, y: list[Any], k: list[Any], t: Array) -> None:
        """**Raises** `ConvergenceError` where the state or its slope is not finite at the first time."""
        for word, leaves in (("y0", y), ("func(y0, t)", k)):
            bad = active & ~np.isfinite(self.norm(leaves, [np.ones(())] * len(leaves)))
            if bad.any():
                r, name = self.example(bad)
                raise ConvergenceError(f"{name}{word} is not finite at the first time, t = {float(t[r])!r}")

    def check_step(self, active: Array, h: Array, t: Array) -> None:
        """**Raises** `ConvergenceError` where a step has become too small to be taken."""
        tiny = active & ~(np.abs(h) > 16 * np.finfo(self.clock).eps * np.abs(t))
        if tiny.any():
            r, name = self.example(tiny)
            raise ConvergenceError(
                f"{name}the step has shrunk to {h[r]:.1e} at t = {float(t[r])!r}: the solution, or its derivative, is infinite "
                "or not continuous there, or the tolerances are finer than rounding"
            )

    def too_many(self, active: Array, t: Array, end: Array) -> str:
        """What to say when the steps have run out: where, and whether it is stiffness that kept them short."""
        r, name = self.example(active)
        h, new, slope, point, bend = self.latest
        scales = self.scales(new)
        bent, moved = (
            self.norm([b - a for a, b in zip(*pair, strict=True)], scales)[r] for pair in ((bend, slope), (point, new))
        )
        ratio = float(np.abs(h[r]) * bent / moved) if moved > 0 else 0.0
        stiff = (
            f"; step times rate is {ratio:.2g}, at the edge of the method's stability, {STABILITY}: the problem is stiff"
            if ratio > 0.7 * STABILITY
            else ""
        )
        return (
            f"{name}{self.control.max_steps} steps did not reach t = {float(end[r]):.6g}: at t = {float(t[r]):.6g} the step is "
            f"{h[r]:.1e}{stiff}; give larger tolerances, or max_steps"
        )


class Outputs:
    """The states at the times asked for, as the steps come past them."""

    def __init__(self, y: list[Any], times: Array, lead: tuple[int, ...]) -> None:
        self.times, self.lead = times, lead
        count, self.rows = times.shape
        self.sign = np.sign(times[-1] - times[0])
        self.leaves = [np.empty((self.rows, count, *leaf.shape[len(lead) :]), leaf.dtype) for leaf in y]
        for out, leaf in zip(self.leaves, y, strict=True):
            out[:, 0] = leaf.reshape(out[:, 0].shape)
        self.place = np.zeros(times.shape, np.int64)
        self.reached = np.ones(self.rows, np.int64)
        self.taken = np.zeros(self.rows, np.int64)

    def fill(self, accepted: Array, t: Array, h: Array, stop: Array, ends: tuple[list[Any], ...]) -> None:
        """Put in what lies within the accepted steps, from t to `stop`; `ends` are what `interpolated` takes."""
        pending = np.take_along_axis(self.times, np.minimum(self.reached, len(self.times) - 1)[None], axis=0)[0]
        hit = accepted & (self.reached < len(self.times)) & (self.sign * (stop - pending) >= 0)
        for r in np.flatnonzero(hit):
            first = int(self.reached[r])
            rest = self.times[first:, r]
            until = first + int(np.searchsorted(self.sign[r] * rest, self.sign[r] * stop[r], side="right"))
            share = (self.times[first:until, r] - t[r]) / h[r]
            for out, *leaves in zip(self.leaves, *ends, strict=True):
                before, after, slope, end_slope, final = (leaf.reshape(self.rows, *out.shape[2:])[r] for leaf in leaves)
                shares = share.astype(out.real.dtype).reshape(-1, *(1,) * (out.ndim - 2))
                step = h[r].astype(out.real.dtype)
                out[r, first:until] = interpolated(shares, step, before, after, slope, end_slope, final)
            self.place[first:until, r] = self.taken[r]
            self.reached[r] = until
        self.taken = self.taken + accepted

    def shaped(self) -> list[Array]:
        """The states with the leading axes, the times behind them."""
        return [out.reshape((*self.lead, *out.shape[1:])) for out in self.leaves]


def grid_of(steps: list[tuple[Array, Array, Array]], place: Array, origin: Array) -> Grid:
    """The steps of each example one after the other, those that were not accepted left out."""
    rows = len(origin)
    if not steps:
        return Grid(np.zeros((0, rows)), np.zeros((0, rows)), place)
    taken, t, h = (np.stack(column) for column in zip(*steps, strict=True))
    number = np.cumsum(taken, axis=0) - 1
    start = np.broadcast_to(t[-1] - origin, (int(number[-1].max()) + 1, rows)).copy()
    size = np.zeros_like(start)
    which, row = np.nonzero(taken)
    start[number[which, row], row] = (t - origin)[which, row]
    size[number[which, row], row] = h[which, row]
    return Grid(start, size, place)
