"""Extrapolated differences: central ones with several steps, whose errors c₂h² + c₄h⁴ + … are eliminated one after the other.

Richardson's extrapolation of central differences with the steps t₁ > t₂ > … is itself a formula, that of the stencil ±t₁, ±t₂, …;
Ridders's method takes, of all runs of steps, the one whose estimated error is least.  Each step is about half as long as the one
before: not by just a half, since an oscillation of which the steps are multiples would look like a constant; but numbers of few
bits, so that x ± t is rarely rounded, and weights are exact.  The search goes to shorter steps as long as that helps, by leaps
where the function is seen to change over a much shorter length; to longer ones where round-off or noise is all that is left.

**Source** Ridders, Accurate computation of F′(x) and F′(x)F″(x), Advances in Engineering Software 4 (1982).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from arrayad.numerical.stencil import Array, Formula, formula_on
from arrayad.numerical.step import Asking, Difference, Line, Noise, power_of_two

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

UNCLEAR = 1e-2
"""A run that shorter steps do not improve, though its relative error is more than this, is asked again whether it is vague."""

NOISY = 1e-8
"""Round-off that leaves fewer digits than this is worth longer steps."""

DOUBT = 2.0
"""So many standard deviations of the noise that is seen count as its error."""

JUMP = 4
"""By so many steps the next one is shorter then, by a factor of 16."""


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

    Steps are known by their number: that of number k is `rung(k)` units long.  A run is a tuple of them, the longest step first.

    **Parameters** `unit`: the longest step to begin with; `sides`: (1, -1) for central differences, (1,) or (-1,) for one-sided
    ones.
    """

    def __init__(self, line: Line, base: Array, noise: Noise, derivatives: int, unit: float, sides: tuple[int, ...]) -> None:
        self.line, self.base, self.noise = line, base, noise
        self.derivatives, self.unit, self.sides = derivatives, unit, sides
        self.there = np.isfinite(base)
        self.fewest = -(-derivatives // len(sides))
        self.order = 2 if len(sides) == 2 else 1
        self.steps: list[int] = []
        self.others: list[list[int]] = []
        self.values: dict[int, list[Array]] = {}
        self.spreads: dict[int, Array] = {}
        self.runs: dict[tuple[int, ...], Run] = {}
        self.sigma = np.zeros(base.shape)
        self.unsettled = np.zeros(base.shape, bool)

    @property
    def highest(self) -> int:
        """The number of the longest step that the bounds allow."""
        rooms = {1: self.line.up, -1: self.line.down}
        room = min(rooms[side] for side in self.sides)
        return index(room / self.unit) if math.isfinite(room) else -1000

    @property
    def shortest(self) -> float:
        """The shortest step that moves the argument, in units."""
        return self.line.least / self.unit

    @property
    def own(self) -> int:
        """The number of the step that the argument's own size speaks for; 0 where that is 0."""
        sizes = np.abs(self.line.x / self.line.direction)
        least = float(np.min(sizes, initial=np.inf, where=sizes > 0))
        return index(FIRST * least / self.unit) if math.isfinite(least) else 0

    def ask(self, *steps: int) -> Asking[bool]:
        """Add these steps, where they are new evaluated, unless the function is not defined there; whether it is."""
        new = [k for k in steps if k not in self.values]
        found = yield [(side * float(rung(k)) * self.unit,) for k in new for side in self.sides]
        count = len(self.sides)
        for i, k in enumerate(new):
            self.values[k] = [np.asarray(y) for y in found[i * count : (i + 1) * count]]
            with np.errstate(all="ignore"):
                self.spreads[k] = np.max([np.abs(y - self.base) for y in self.values[k]], axis=0)
        finite = all(np.all(np.isfinite(self.spreads[k]), where=self.there) for k in steps)
        if finite:
            self.steps = sorted({*self.steps, *steps})
        return finite

    def run(self, steps: tuple[int, ...]) -> Run:
        """The derivative from these steps.

        A run without its longest step is off by what that step adds; what it adds after that is smaller by as much as it was
        smaller than the addition before.  How far the function's own value is from that by interpolation, over the longest
        step, is what a first derivative is off by, or more.
        """
        if steps not in self.runs:
            rule = rule_of(tuple(k - steps[0] for k in steps), steps[0] % 2, self.sides, self.derivatives)
            around = [y for k in steps for y in self.values[k]]
            values = np.stack([self.base, *around] if rule.offsets[0] == 0 else around)
            volume = (float(rung(steps[0])) * self.unit) ** self.derivatives
            value = rule.total(values) / volume
            roundoff = rule.size(self.noise.of(np.abs(values))) / volume
            misfit = np.zeros(self.base.shape)
            if self.order == 2 and self.derivatives == 1:
                misfit = np.abs(rule.between(values) - self.base) / volume
            truncation = np.maximum(self.truncation(steps, value), misfit)
            slopes = [self.spreads[k] / (float(rung(k)) * self.unit) ** self.derivatives for k in steps]
            natural = np.maximum(np.abs(value), np.min(slopes, axis=0))
            gain, between = rule.total.norm / volume, rule.between.norm / volume
            self.runs[steps] = Run(value, truncation, roundoff, natural, gain, misfit / between)
        return self.runs[steps]

    def truncation(self, steps: tuple[int, ...], value: Array) -> Array:
        """What a run is off by, as shorter ones tell: to one side no more is trusted, since there may be the edge of a domain."""
        if len(steps) == self.fewest:
            return np.full(self.base.shape, np.inf)
        shorter = self.run(steps[1:])
        added = np.abs(value - shorter.value)
        if len(steps) == self.fewest + 1 or self.order == 1:
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

    def scored(self, scale: Sequence[int]) -> tuple[Difference, Array]:
        """Of all runs of consecutive steps the one with the least error, and that error beside the size natural for it."""
        steps = tuple(scale)
        count = len(steps)
        pairs = [(i, j) for i in range(count) for j in range(i + self.fewest, min(i + LONGEST_RUN, count) + 1)]
        if not pairs:
            nothing = np.full(self.base.shape, np.nan)
            return Difference(nothing, nothing, nothing, nothing), np.full(self.base.shape, np.inf)
        runs = [self.run(steps[i:j]) for i, j in pairs]
        with np.errstate(all="ignore"):
            roundoff = np.array([np.maximum(run.roundoff, DOUBT * self.sigma * run.gain) for run in runs])
            truncation = np.array([run.truncation for run in runs])
            errors = truncation + roundoff
            least = np.argmin(np.where(np.isnan(errors), np.inf, errors), axis=0)[None]

            def taken(parts: Any) -> Array:
                return np.asarray(np.take_along_axis(np.asarray(parts), least, axis=0)[0])

            longest = np.array([float(rung(steps[i])) * self.unit for i, _ in pairs])
            value, natural = taken([run.value for run in runs]), taken([run.natural for run in runs])
            best = Difference(value, taken(truncation), taken(roundoff), longest[least[0]])
            score = np.where(best.error > 0, best.error / natural, best.error)
        return best, np.where(np.isnan(score), np.inf, score)

    def see_noise(self, where: Array) -> None:
        """Take for noise what the runs to the last step miss the function's value by: no step that is added makes it less."""
        first = max(0, len(self.steps) - LONGEST_RUN)
        runs = [self.run(tuple(self.steps[i:])) for i in (first, first + 1)]
        self.sigma = np.where(where, np.max([run.misfit for run in runs], axis=0), self.sigma)

    def vague(self, part: float = VAGUE) -> Array:
        """The elements of which the shortest steps do not tell the derivative, but for a part of it."""
        with np.errstate(all="ignore"):
            run = self.run(tuple(self.steps[-self.fewest - 2 :]))
            return self.there & ~(run.truncation <= part * run.natural)

    # --- the search ---------------------------------------------------------------------------------------------------

    def climb(self) -> Asking[Difference | None]:
        """The best difference; None where the function is not defined, however short the steps."""
        k, own = 0, self.own
        while not (yield from self.ask(k)):
            k = own if k < own else k + 3
            if k > own + 40:
                return None
        yield from self.ask(*range(k + 1, k + self.fewest + 2))
        if len(self.steps) < self.fewest + 2:
            return None
        unclear = self.vague()
        for _ in range(4):
            while np.any(unclear & (self.sigma == 0) & ~self.unsettled):
                yield from self.jump(unclear)
                unclear = self.vague()
            self.return_to_the_best()
            unclear = yield from self.shorten()
            if not unclear.any():
                break
        yield from self.lengthen()
        best = self.best
        if not self.unsettled.any():
            return best
        last = self.run(tuple(sorted({k for scale in (*self.others, self.steps) for k in scale})[-self.fewest :]))
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
        while len(self.values) < MOST and float(rung(steps[0] + JUMP)) > self.shortest:
            shorter = tuple(k + JUMP for k in steps)
            defined = (yield from self.ask(*shorter)) and steps[0] in self.steps
            coarse, fine = steps, shorter
            steps = shorter
            if not defined:
                continue
            with np.errstate(all="ignore"):
                wide, narrow = self.spreads[coarse[0]][vague], self.spreads[fine[0]][vague]
                noisy = (narrow > 0.25 * wide) & (np.maximum(narrow, wide) < 0.05 * np.abs(self.base[vague]))
                first, second = self.run(coarse).value[vague], self.run(fine).value[vague]
                apart = float(np.max(np.abs(first - second) / np.maximum(np.abs(first), np.abs(second)), initial=0.0))
                shrinks = bool(np.all(narrow <= 0.25 * wide))
            if noisy.all():
                self.sigma[vague] = np.maximum(self.sigma[vague], narrow)
                return
            if apart <= 0.3 and shrinks:
                self.others.append([k for k in self.steps if k < coarse[0]])
                self.steps = [k for k in self.steps if k >= coarse[0]]
                length = float(rung(coarse[0])) * min(8.0, (0.06 / max(apart, 1e-6)) ** (1 / self.order))
                k = max(index(length), self.highest)
                yield from self.ask(k, k + 1, k + 2)
                return
        self.unsettled |= vague

    def shorten(self) -> Asking[Array]:
        """Add shorter steps as long as truncation outweighs round-off, and they help.

        **Returns** the elements that they no longer help, though less than two digits are known: is it noise, or vague?
        """
        best, slowest = self.best, 0.3
        k = self.steps[-1]
        nothing = np.zeros(self.base.shape, bool)
        while len(self.values) < MOST:
            want = self.there & ~(best.truncation <= ENOUGH * best.roundoff)
            if not want.any():
                break
            k += 1
            if float(rung(k)) <= self.shortest or not (yield from self.ask(k)):
                break
            before, best = best, self.best
            with np.errstate(all="ignore"):
                slower = float(np.min((best.error / before.error), where=want, initial=1.0))
            if slower > slowest:
                unclear = want & self.vague(UNCLEAR) & (self.sigma == 0) & ~self.unsettled
                if not unclear.any():
                    self.see_noise(want)
                return unclear
            slowest = min(slowest, max(10.0 * slower, 1e-3))
        return nothing

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
            k = max(index(float(rung(self.steps[0])) * factor), self.highest)
            if k in self.steps or not (yield from self.ask(*range(k, k + (2 if factor < 16.0 else 3)))):
                return
            before, best = best, self.best
            if not np.any(best.error < 0.7 * before.error, where=vague):
                return


@functools.cache
def rung(k: int) -> Fraction:
    """Step number k of 1, 29/64, 1/4, …, also for negative k."""
    return Fraction(2) ** -k * (Fraction(29, 32) if k % 2 else 1)


def index(t: float) -> int:
    """The number of the longest step that is no longer than this."""
    k = math.floor(-math.log2(t)) - 1
    while rung(k) > t:
        k += 1
    return k


@functools.cache
def rule_of(steps: tuple[int, ...], parity: int, sides: tuple[int, ...], derivatives: int) -> Formula:
    """The formula of a run, in units of its longest step, whose number is even or odd as `parity` says; 0 comes first."""
    around = [side * rung(parity + k) / rung(parity) for k in steps for side in sides]
    return formula_on((Fraction(0), *around), derivatives)


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
