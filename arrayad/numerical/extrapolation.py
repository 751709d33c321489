"""Extrapolated differences: central ones with several steps, whose errors c₂h² + c₄h⁴ + … are eliminated one after the other.

Richardson's extrapolation of central differences with the steps t₁ > t₂ > … is itself a formula, that of the stencil ±t₁,
±t₂, …; Ridders's method takes, of all runs of consecutive steps, the one whose estimated error is least.  The steps here are
1, 3/4, 1/2, 3/8, 1/4, … times a power of two, so that x ± t is rarely rounded and the weights are exact; a run is shortened
where round-off would outgrow what it gains, and longer steps are tried where round-off is all that is left.

**Source** Ridders, Accurate computation of F′(x) and F′(x)F″(x), Advances in Engineering Software 4 (1982).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from arrayad.numerical.stencil import Formula, formula_on
from arrayad.numerical.step import Array, Asking, Difference, Line, Noise, power_of_two, total

LONGEST_RUN = 8
"""So many steps, at most, are combined."""

MOST = 16
"""So many steps, at most, are tried."""


class Run(NamedTuple):
    """A derivative from a run of steps, and what it is off by."""

    value: Array
    roundoff: Array
    misfit: Array


class Ladder:
    """Differences with several steps along a line.

    **Parameters** `unit`: the longest step to begin with; `sides`: (1, -1) for central differences, (1,) or (-1,) for
    one-sided ones.
    """

    def __init__(self, line: Line, base: Array, noise: Noise, derivatives: int, unit: float, sides: tuple[int, ...]) -> None:
        self.line, self.base, self.noise = line, base, noise
        self.derivatives, self.unit, self.sides = derivatives, unit, sides
        self.fewest = -(-derivatives // len(sides))
        self.steps: list[Fraction] = []
        self.values: dict[Fraction, Array] = {Fraction(0): base}
        self.runs: dict[tuple[Fraction, ...], Run] = {}

    def ask(self, *steps: Fraction) -> Asking[bool]:
        """Evaluate the function with these steps; whether it is defined there."""
        wanted = [side * t for t in steps for side in self.sides]
        found = yield [(float(t) * self.unit,) for t in wanted]
        there = np.isfinite(self.base)
        finite = True
        for t, y in zip(wanted, found, strict=True):
            self.values[t] = np.asarray(y)
            finite &= bool(np.all(np.isfinite(y), where=there))
        if finite:
            self.steps = sorted({*self.steps, *steps}, reverse=True)
        return finite

    def run(self, steps: tuple[Fraction, ...]) -> Run:
        """The derivative from these steps, the longest first."""
        if steps not in self.runs:
            scale = steps[0]
            offsets = sorted([side * t / scale for t in steps for side in self.sides] + [Fraction(0)])
            rule = formula_on(tuple(offsets), self.derivatives)
            values = [self.values[o * scale] for o in rule.offsets]
            volume = (float(scale) * self.unit) ** self.derivatives
            value = total(rule.weights, values) / volume
            roundoff = total(map(abs, rule.weights), [self.noise.of(np.abs(y)) for y in values]) / volume
            self.runs[steps] = Run(value, roundoff, self.misfit(rule, values) / volume)
        return self.runs[steps]

    def misfit(self, rule: Formula, values: list[Array]) -> Array:
        """How far the function's value is from that by interpolation, which ends at the same order as a first derivative."""
        if len(self.sides) == 1 or self.derivatives != 1:
            return np.zeros(self.base.shape)
        return np.abs(total(rule.middle, values) - self.base)

    def truncation(self, steps: tuple[Fraction, ...]) -> Array:
        """What a run is off by since it ends.

        A run without its longest step is off by what that step adds; what it adds after that is smaller by as much as it was
        smaller than the addition before.
        """
        found = self.run(steps)
        if len(steps) == self.fewest:
            return np.full(self.base.shape, np.inf)
        added = np.abs(found.value - self.run(steps[1:]).value)
        if len(steps) > self.fewest + 1:
            before = np.abs(self.run(steps[1:]).value - self.run(steps[2:]).value)
            added = added * np.clip(4.0 * added / np.where(before > 0, before, np.inf), 1e-3, 1.0)
        return np.maximum(added, found.misfit)

    def best(self) -> Difference:
        """Of all runs of consecutive steps the one with the least error, element by element."""
        best: Difference | None = None
        with np.errstate(all="ignore"):
            for i in range(len(self.steps)):
                for j in range(i + self.fewest, min(i + LONGEST_RUN, len(self.steps)) + 1):
                    steps = tuple(self.steps[i:j])
                    value, roundoff, _ = self.run(steps)
                    found = Difference(value, self.truncation(steps), roundoff, np.full(value.shape, float(steps[0]) * self.unit))
                    if best is None:
                        best = found
                        continue
                    taken = ~(found.error >= best.error)
                    best = Difference(*(np.where(taken, *pair) for pair in zip(found, best, strict=True)))
        assert best is not None
        return best


def rung(k: int) -> Fraction:
    """Step number k of 1, 3/4, 1/2, 3/8, …, also for negative k."""
    return Fraction(4 - k % 2, 4) * Fraction(2) ** -(k // 2)


def first_unit(line: Line) -> float:
    """The longest step to begin with: a quarter of the argument's size, within the bounds."""
    steep = float(np.max(np.abs(line.direction), initial=0.0))
    if not steep:
        return 1.0
    if line.step is not None:
        return line.step
    sizes = np.abs(line.x) / np.abs(line.direction)
    sizes = np.where(np.isfinite(sizes), sizes, 1.0)
    return power_of_two(0.25 * float(np.min(np.maximum(sizes, 0.25 / steep))))


def extrapolated(line: Line, base: Array, noise: Noise, derivatives: int = 1) -> Asking[Difference]:
    """The derivative along a line by extrapolated differences."""
    unit = first_unit(line)
    room = min(line.up, line.down)
    sides: tuple[int, ...] = (1, -1)
    if room < unit / 8:
        sides = (1,) if line.up >= line.down else (-1,)
        room = max(line.up, line.down)
    while unit > room:
        unit /= 2
    found = yield from climbed(Ladder(line, base, noise, derivatives, unit, sides))
    if found is not None:
        return found
    for side in (1, -1):
        found = yield from climbed(Ladder(line, base, noise, derivatives, unit, (side,)))
        if found is not None:
            return found
    nothing = np.full(base.shape, np.nan)
    return Difference(nothing, nothing, nothing, nothing)


def climbed(ladder: Ladder) -> Asking[Difference | None]:
    """The best of a ladder; None where the function is not defined on it, however short the steps."""
    k = 0
    while not (yield from ladder.ask(rung(k))):
        k += 6
        if k > 60:
            return None
    more = 1 + ladder.fewest
    yield from ladder.ask(*(rung(k + i) for i in range(1, more + 1)))
    k += more
    best = ladder.best()
    stalled = 0
    while len(ladder.steps) < MOST and stalled < 2:
        want = np.isfinite(ladder.base) & (best.truncation > 0.5 * best.roundoff)
        if not want.any():
            break
        vague = want & ~(best.truncation <= 0.1 * np.abs(best.value))
        k += 6 if vague.any() and vague.sum() * 2 >= want.sum() else 1
        yield from ladder.ask(rung(k))
        before, best = best, ladder.best()
        stalled = 0 if np.any(best.error < 0.5 * before.error, where=want) or vague.any() else stalled + 1
    k = 0
    while len(ladder.steps) < MOST:
        want = np.isfinite(ladder.base) & (best.truncation < 0.1 * best.roundoff) & (best.roundoff > 1e-14 * np.abs(best.value))
        k -= 3
        room = min(ladder.line.up if 1 in ladder.sides else np.inf, ladder.line.down if -1 in ladder.sides else np.inf)
        if not want.any() or float(rung(k)) * ladder.unit > room or not (yield from ladder.ask(rung(k))):
            break
        before, best = best, ladder.best()
        if not np.any(best.error < 0.7 * before.error, where=want):
            break
    return best
