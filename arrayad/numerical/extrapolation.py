"""Extrapolated differences: central ones with several steps, whose errors c₂h² + c₄h⁴ + … are eliminated one after the other.

Richardson's extrapolation of central differences with the steps t, t/2, t/4, … is itself a formula, that of the stencil ±t, ±t/2,
±t/4, …; Ridders's method takes, of all runs of steps, the one whose estimated error is least.  Steps are powers of two, so
that x ± t is rarely rounded, and weights are exact.  The search goes to shorter steps as long as that helps, by leaps where the
function is seen to change over a much shorter length; to longer ones where round-off or noise is all that is left.

**Source** Ridders, Accurate computation of F′(x) and F′(x)F″(x), Advances in Engineering Software 4 (1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from arrayad.numerical.stencil import formula_on
from arrayad.numerical.step import Array, Asking, Difference, Line, Noise, power_of_two, total

FIRST = 0.14
"""The longest step to begin with, as a part of the argument; it is rounded to a power of two."""

LONGEST_RUN = 8
"""So many steps, at most, are combined."""

MOST = 16
"""So many steps, at most, are tried."""

ENOUGH = 8.0
"""A truncation error that is estimated to be so many times the round-off is small enough: it is less than the estimate."""

VAGUE = 0.05
"""A run whose relative error is estimated to be more than this says nothing but that the steps are too long."""

NOISY = 1e-8
"""Round-off that leaves fewer digits than this is worth longer steps."""

DOUBT = 2.0
"""So many standard deviations of the noise that is seen count as its error."""

JUMP = 16
"""How much shorter the next step is then."""


class Run(NamedTuple):
    """A derivative from a run of steps, its errors, and what noise of size 1 would be in it."""

    value: Array
    truncation: Array
    roundoff: Array
    natural: Array
    gain: float
    misfit: Array


class Ladder:
    """Differences with several steps along a line.

    **Parameters** `unit`: the longest step to begin with; `sides`: (1, -1) for central differences, (1,) or (-1,) for one-sided
    ones.
    """

    def __init__(self, line: Line, base: Array, noise: Noise, derivatives: int, unit: float, sides: tuple[int, ...]) -> None:
        self.line, self.base, self.noise = line, base, noise
        self.derivatives, self.unit, self.sides = derivatives, unit, sides
        self.there = np.isfinite(base)
        self.fewest = -(-derivatives // len(sides))
        self.order = 2 if len(sides) == 2 else 1
        self.steps: list[Fraction] = []
        self.others: list[list[Fraction]] = []
        self.values: dict[Fraction, Array] = {Fraction(0): base}
        self.runs: dict[tuple[Fraction, ...], Run] = {}
        self.sigma = np.zeros(base.shape)
        self.unsettled = np.zeros(base.shape, bool)

    @property
    def longest(self) -> float:
        """The longest step that the bounds allow, in units."""
        rooms = {1: self.line.up, -1: self.line.down}
        return min(rooms[side] for side in self.sides) / self.unit

    @property
    def tried(self) -> int:
        """How many steps were tried."""
        return (len(self.values) - 1) // len(self.sides)

    @property
    def shortest(self) -> float:
        return self.line.least / self.unit

    @property
    def own(self) -> Fraction:
        """The step that the argument's own size speaks for, in units; 1 where it is 0."""
        sizes = np.abs(self.line.x / self.line.direction)
        least = float(np.min(sizes, initial=np.inf, where=sizes > 0))
        return Fraction(FIRST * least / self.unit) if math.isfinite(least) else Fraction(1)

    def ask(self, *steps: Fraction) -> Asking[bool]:
        """Add these steps, where they are new evaluated, unless the function is not defined there; whether it is."""
        pairs = [(t, side * t) for t in steps for side in self.sides]
        new = [t for _, t in pairs if t not in self.values]
        found = yield [(float(t) * self.unit,) for t in new]
        self.values |= dict(zip(new, map(np.asarray, found), strict=True))
        finite = all(np.all(np.isfinite(self.values[t]), where=self.there) for _, t in pairs)
        if finite:
            self.steps = sorted({*self.steps, *steps}, reverse=True)
        return finite

    def run(self, steps: tuple[Fraction, ...]) -> Run:
        """The derivative from these steps, the longest first.

        A run without its longest step is off by what that step adds; what it adds after that is smaller by as much as it was
        smaller than the addition before.  How far the function's own value is from that by interpolation, over the longest
        step, is what a first derivative is off by, or more.
        """
        if steps not in self.runs:
            scale = steps[0]
            offsets = sorted([side * t / scale for t in steps for side in self.sides] + [Fraction(0)])
            rule = formula_on(tuple(offsets), self.derivatives)
            values = [self.values[o * scale] for o in rule.offsets]
            volume = (float(scale) * self.unit) ** self.derivatives
            value = total(rule.weights, values) / volume
            roundoff = total(map(abs, rule.weights), [self.noise.of(np.abs(y)) for y in values]) / volume
            misfit = np.zeros(self.base.shape)
            if self.order == 2 and self.derivatives == 1:
                misfit = np.abs(total(rule.middle, values) - self.base) / volume
            truncation = np.maximum(self.truncation(steps, value), misfit)
            gain = math.sqrt(sum(float(w) ** 2 for w in rule.weights)) / volume
            between = math.sqrt(sum(float(w) ** 2 for w in rule.middle)) / volume
            natural = np.min([self.spread((t,)) / (float(t) * self.unit) ** self.derivatives for t in steps], axis=0)
            natural = np.maximum(np.abs(value), natural)
            self.runs[steps] = Run(value, truncation, roundoff, natural, gain, misfit / between)
        return self.runs[steps]

    def truncation(self, steps: tuple[Fraction, ...], value: Array) -> Array:
        """What a run is off by, as shorter ones tell."""
        if len(steps) == self.fewest:
            return np.full(self.base.shape, np.inf)
        shorter = self.run(steps[1:])
        added = np.abs(value - shorter.value)
        if len(steps) == self.fewest + 1:
            return added
        before = np.abs(shorter.value - self.run(steps[2:]).value)
        return added * np.clip(4.0 * added / np.where(before > 0, before, np.inf), 1e-3, 1.0)

    @property
    def best(self) -> Difference:
        """The run with the least error, element by element: of one scale that with the least beside the derivative's size."""
        found, lowest = self.scored(self.steps)
        for scale in self.others:
            other, score = self.scored(scale)
            taken = score < lowest
            found = Difference(*(np.where(taken, *pair) for pair in zip(other, found, strict=True)))
            lowest = np.where(taken, score, lowest)
        return found

    def scored(self, scale: Sequence[Fraction]) -> tuple[Difference, Array]:
        """Of all runs of consecutive steps the one with the least error, and that error beside the size natural for it."""
        steps = tuple(scale)
        nothing = np.full(self.base.shape, np.nan)
        best, natural = Difference(nothing, nothing, nothing, nothing), nothing
        with np.errstate(all="ignore"):
            for i in range(len(steps)):
                for j in range(i + self.fewest, min(i + LONGEST_RUN, len(steps)) + 1):
                    run = self.run(steps[i:j])
                    step = np.full(run.value.shape, float(steps[i]) * self.unit)
                    found = Difference(run.value, run.truncation, np.maximum(run.roundoff, DOUBT * self.sigma * run.gain), step)
                    taken = ~(found.error >= best.error)
                    best = Difference(*(np.where(taken, *pair) for pair in zip(found, best, strict=True)))
                    natural = np.where(taken, run.natural, natural)
            score = np.where(best.error > 0, best.error / natural, best.error)
        return best, np.where(np.isnan(score), np.inf, score)

    def see_noise(self, where: Array) -> None:
        """Take for noise what the runs to the last step miss the function's value by: no step that is added makes it less."""
        first = max(0, len(self.steps) - LONGEST_RUN)
        runs = [self.run(tuple(self.steps[i:])) for i in (first, first + 1)]
        self.sigma = np.where(where, np.max([run.misfit for run in runs], axis=0), self.sigma)

    @property
    def vague(self) -> Array:
        """The elements of which the shortest steps do not tell the derivative."""
        with np.errstate(all="ignore"):
            run = self.run(tuple(self.steps[-self.fewest - 2 :]))
            return self.there & ~(run.truncation <= VAGUE * run.natural)

    # --- the search ---------------------------------------------------------------------------------------------------

    def climb(self) -> Asking[Difference | None]:
        """The best difference; None where the function is not defined, however short the steps."""
        k, own = 0, index(self.own)
        while not (yield from self.ask(rung(k))):
            k = own if k < own else k + 3
            if k > own + 40:
                return None
        yield from self.ask(*(rung(k + i) for i in range(1, self.fewest + 2)))
        if len(self.steps) < self.fewest + 2:
            return None
        jumps = 3
        while jumps and np.any(vague := self.vague & (self.sigma == 0) & ~self.unsettled):
            yield from self.jump(vague)
            jumps -= 1
        self.return_to_the_best()
        yield from self.shorten()
        yield from self.lengthen()
        best = self.best
        if not self.unsettled.any():
            return best
        last = self.run(tuple(sorted(scale for scales in (*self.others, self.steps) for scale in scales)[self.fewest - 1 :: -1]))
        doubt = np.where(self.unsettled, np.abs(best.value - last.value), 0.0)
        return best._replace(truncation=np.maximum(best.truncation, doubt))

    def return_to_the_best(self) -> None:
        """Go on with the scale that tells most: what noise hides at short steps is no reason to shorten them."""
        scales = [*self.others, self.steps]
        scores = [np.median(self.scored(scale)[1][self.there]) if self.there.any() else 0.0 for scale in scales]
        self.steps = scales[int(np.argmin(scores))]
        self.others = [scale for scale in scales if scale is not self.steps]

    def jump(self, vague: Array) -> Asking[None]:
        """Shorten the step until two differences agree; then add steps where their curvature says that the best are.

        Where the values vary as much over a short way as over a long one, though little, that is noise.
        """
        steps = tuple(self.steps[-self.fewest :])
        while self.tried < MOST and float(steps[0]) / JUMP > self.shortest:
            shorter = tuple(t / JUMP for t in steps)
            defined = (yield from self.ask(*shorter)) and steps[0] in self.steps
            coarse, fine = steps, shorter
            steps = shorter
            if not defined:
                continue
            with np.errstate(all="ignore"):
                wide, narrow = self.spread(coarse)[vague], self.spread(fine)[vague]
                noisy = (narrow > 0.25 * wide) & (narrow < 0.05 * np.abs(self.base[vague]))
                first, second = self.run(coarse).value[vague], self.run(fine).value[vague]
                apart = float(np.max(np.abs(first - second) / np.maximum(np.abs(first), np.abs(second)), initial=0.0))
                shrinks = bool(np.all(narrow <= 0.25 * wide))
            if noisy.all():
                self.sigma[vague] = np.maximum(self.sigma[vague], narrow)
                return
            if apart <= 0.3 and shrinks:
                self.others.append([t for t in self.steps if t > coarse[0]])
                self.steps = [t for t in self.steps if t <= coarse[0]]
                length = float(coarse[0]) * min(8.0, (0.06 / max(apart, 1e-6)) ** (1 / self.order))
                k = math.ceil(-math.log2(min(length, self.longest)))
                yield from self.ask(*(rung(k + i) for i in range(3)))
                return
        self.unsettled |= vague

    def spread(self, steps: tuple[Fraction, ...]) -> Array:
        """How much the values with these steps vary."""
        return np.max([np.abs(self.values[side * t] - self.base) for t in steps for side in self.sides], axis=0)

    def shorten(self) -> Asking[None]:
        """Add shorter steps as long as truncation outweighs round-off, and they help."""
        best, slowest = self.best, 0.3
        k = index(self.steps[-1])
        while self.tried < MOST:
            want = self.there & ~(best.truncation <= ENOUGH * best.roundoff)
            if not want.any():
                return
            k += 1
            if float(rung(k)) <= self.shortest or not (yield from self.ask(rung(k))):
                return
            before, best = best, self.best
            with np.errstate(all="ignore"):
                slower = float(np.min((best.error / before.error), where=want, initial=1.0))
            if slower > slowest:
                self.see_noise(want)
                return
            slowest = min(slowest, max(10.0 * slower, 1e-3))

    def lengthen(self) -> Asking[None]:
        """Add longer steps as long as round-off or noise is all that is left, and more of it than need be."""
        best = self.best
        for turn in range(3):
            vague = self.there & (best.error > NOISY * np.abs(best.value)) & (best.value != 0)
            rounded = vague & (self.sigma == 0) & (best.truncation <= best.roundoff) & (turn == 0)
            if not np.any(rounded | (vague & (self.sigma > 0))):
                return
            missing = 4.0 * best.error[rounded] / (NOISY * np.abs(best.value[rounded]))
            factor = float(np.clip(np.max(missing, initial=2.0), 2.0, 2.0**16))
            k = math.ceil(-math.log2(min(float(self.steps[0]) * factor, self.longest)))
            if rung(k) in self.steps or not (yield from self.ask(*(rung(k + i) for i in range(2 if factor < JUMP else 3)))):
                return
            before, best = best, self.best
            if not np.any(best.error < 0.7 * before.error, where=vague):
                return


def rung(k: int) -> Fraction:
    """Step number k of 1, 1/2, 1/4, …, also for negative k."""
    return Fraction(2) ** -k


def index(t: Fraction) -> int:
    """The number of the longest step that is no longer than this."""
    k = math.floor(-math.log2(t))
    while rung(k) > t:
        k += 1
    return k


def first_unit(line: Line) -> float:
    """The longest step to begin with."""
    if line.step is not None:
        return line.step
    steep = np.abs(line.direction)
    sizes = np.where(np.isfinite(line.x) & (line.x != 0), np.maximum(np.abs(line.x), 0.25), 1.0)
    return power_of_two(FIRST * float(np.min(sizes / steep)))


def extrapolated(line: Line, base: Array, noise: Noise, derivatives: int = 1) -> Asking[Difference]:
    """The derivative along a line by extrapolated differences."""
    if not line.direction.size:
        nothing = np.zeros(base.shape)
        return Difference(nothing, nothing, nothing, nothing)
    unit = first_unit(line)
    tries: list[tuple[int, ...]] = [(1, -1), (1,), (-1,)]
    if min(line.up, line.down) < unit / 8:
        tries = [(1,) if line.up >= line.down else (-1,)]
    for sides in tries:
        room = min(line.up if side > 0 else line.down for side in sides)
        while unit > room:
            unit /= 2
        found = yield from Ladder(line, base, noise, derivatives, unit, sides).climb()
        if found is not None:
            return found
    nothing = np.full(base.shape, np.nan)
    return Difference(nothing, nothing, nothing, nothing)
