"""The step that suits a formula, a difference with its errors, truncation and round-off, and the search for a better one.

A formula of order p for the m-th derivative is off by c hᵖ with the step h, since it ends a Taylor series, and by about
eps |f| / hᵐ, since it subtracts nearly equal numbers; the best h, of the size of eps^(1 / (p + m)), balances the two.

What is computed here asks for values of the function, and does not call it: an `Asking` yields displacements and is sent the
values there.  So many derivatives can be computed side by side, their questions answered together (`answers`).

**Source** Press et al., Numerical Recipes, 3rd ed. (2007), section 5.7; Gill, Murray, Saunders & Wright, Computing
forward-difference intervals for numerical optimization, SIAM J. Sci. Stat. Comput. 4 (1983).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import numpy as np

from arrayad.numerical.stencil import Array, Combination, Formula, formula

T = TypeVar("T")

EPS = float(np.finfo(np.float64).eps)
COMPLEX_STEP = 1e-20

STEEP = 1e-3
"""A one-sided difference at the edge of a domain is believed if its relative error is less: that of a root's is not."""

Displacement = tuple[float, ...]
"""How far to go along each of some directions."""

Asking = Generator[list[Displacement], list[Array], T]
"""A computation that asks for the function's values at displacements."""

Evaluate = Callable[[list[Displacement]], list[Array]]
"""The function's values at some displacements."""


class Difference(NamedTuple):
    """A derivative by differences, estimates of what it is off by, and the step that it was taken with."""

    value: Any
    truncation: Any
    roundoff: Any
    step: Any

    @property
    def error(self) -> Any:
        """Both errors together."""
        return self.truncation + self.roundoff


class Noise(NamedTuple):
    """What the function's values are off by: `floor` times their size, and `absolute` at least, for each result.

    `relative` is what steps are chosen for.
    """

    relative: float
    floor: float
    absolute: Any = 0.0

    def of(self, sizes: Any) -> Any:
        """What values of these sizes are off by."""
        return np.maximum(self.floor * sizes, self.absolute)


def relative_noise(eps: float) -> Noise:
    """Values that are off by `eps` times their size."""
    return Noise(eps, eps)


ROUNDING = relative_noise(EPS)


# --- questions and answers -----------------------------------------------------------------------------------------------


def answer(asking: Asking[T], evaluate: Evaluate) -> T:
    """What comes of a computation whose questions the function answers."""
    return next(iter(answers([asking], lambda wanted: evaluate([place for _, place in wanted]))))


def answers(askings: Sequence[Asking[T]], evaluate: Callable[[list[tuple[int, Displacement]]], list[Array]]) -> list[T]:
    """What comes of several computations; what they ask for in one round is evaluated together.

    **Parameters** `evaluate`: takes pairs of the number of the computation and its displacement.
    """
    found: dict[int, T] = {}
    sent: dict[int, Any] = dict.fromkeys(range(len(askings)))
    while sent:
        questions: dict[int, list[Displacement]] = {}
        for i, values in sent.items():
            try:
                questions[i] = askings[i].send(values)
            except StopIteration as done:
                found[i] = done.value
        wanted = [(i, place) for i, places in questions.items() for place in places]
        values = iter(evaluate(wanted) if wanted else [])
        sent = {i: list(itertools.islice(values, len(places))) for i, places in questions.items()}
    return [found[i] for i in range(len(askings))]


# --- one difference ------------------------------------------------------------------------------------------------------


def power_of_two(length: float) -> float:
    """The power of two next to a length: it is added to most numbers without rounding."""
    return math.ldexp(1.0, round(math.log2(length)))


def best_step(rule: Formula, scale: float, eps: float = EPS, derivatives: int | None = None, least: float = 0.0) -> float:
    """The step that balances truncation and round-off for a function whose derivatives are of the size of the function.

    A power of two, which is added to most numbers without rounding.

    **Parameters** `scale`: the length over which the function changes; `eps`: the relative error of its values;
    `derivatives`: how often it is differentiated, in all directions; `least`: a shorter step does nothing.
    """
    times = rule.derivatives if derivatives is None else derivatives
    return power_of_two(max(float(scale) * eps ** (1.0 / (rule.order + times)), least) / rule.least)


def accuracy(rules: Sequence[Formula], eps: float = EPS) -> float:
    """The relative error of a difference with the best step."""
    order = min(rule.order for rule in rules)
    return float(eps ** (order / (order + derivatives_of(rules))))


def derivatives_of(rules: Iterable[Formula]) -> int:
    return sum(rule.derivatives for rule in rules)


class Grid:
    """The places that a product of formulas adds values of, and those twice as far."""

    def __init__(self, rules: tuple[Formula, ...]) -> None:
        terms = list(itertools.product(*(range(len(rule.offsets)) for rule in rules)))
        offsets = [tuple(rule.offsets[k] for rule, k in zip(rules, term, strict=True)) for term in terms]
        wanted = dict.fromkeys([*offsets, *(tuple(2 * o for o in offset) for offset in offsets)])
        place = {offset: i for i, offset in enumerate(wanted)}
        self.offsets = [tuple(map(float, offset)) for offset in wanted]
        self.near = [place[offset] for offset in offsets]
        self.far = [place[tuple(2 * o for o in offset)] for offset in offsets]
        if len(rules) == 1:
            self.total, self.size, self.between = rules[0].total, rules[0].size, rules[0].between
            return
        weights = [product(rule.weights[k] for rule, k in zip(rules, term, strict=True)) for term in terms]
        middle = [product(rule.middle[k] for rule, k in zip(rules, term, strict=True)) for term in terms]
        self.total, self.size, self.between = Combination(weights), Combination(list(map(abs, weights))), Combination(middle)


def product(weights: Iterable[Fraction]) -> Fraction:
    return math.prod(weights, start=Fraction(1))


grid = functools.lru_cache(1024)(Grid)


def difference(rules: Sequence[Formula], steps: Sequence[float], noise: Noise = ROUNDING) -> Asking[tuple[Difference, Array]]:
    """The mixed derivative at 0 along some directions, by a formula for each of them, and the value there by interpolation.

    The truncation error is estimated by a second difference with twice the steps, the round-off error from the size of
    what is added.  A function that changes faster than the steps tell gives itself away where the interpolation is wrong.
    """
    places = grid(tuple(rules))
    found = yield [tuple(o * h for o, h in zip(offset, steps, strict=True)) for offset in places.offsets]
    values = np.stack([np.asarray(y) for y in found])
    near = values[places.near]
    times = derivatives_of(rules)
    volume = math.prod(h**rule.derivatives for rule, h in zip(rules, steps, strict=True))
    with np.errstate(all="ignore"):
        value = places.total(near) / volume
        wider = places.total(values[places.far]) / (volume * 2**times)
        roundoff = places.size(noise.of(np.abs(near))) / volume
        order = min(rule.order for rule in rules)
        step = np.full(value.shape, math.prod(steps) ** (1 / len(steps)))
        return Difference(value, np.abs(value - wider) / (2**order - 1), roundoff, step), places.between(near)


# --- lengths and lines ---------------------------------------------------------------------------------------------------


def least_step(x: Array, direction: Array) -> float:
    """A step that moves the elements of `x` by more than their own rounding."""
    moves = (direction != 0) & np.isfinite(x)
    return float(np.max(8 * np.spacing(np.abs(x[moves])) / np.abs(direction[moves]), initial=0.0))


def lengths(x: Array, direction: Array) -> list[float]:
    """Lengths over which a function may change from `x` along a direction, the likeliest first; always as many."""
    moves = direction != 0
    steep = np.abs(direction[moves])
    sizes = np.abs(x[moves])
    sizes = np.where(np.isfinite(sizes), sizes, 1.0)
    if not steep.size:
        return [1.0] * 13
    first = float(np.min(np.maximum(sizes, 0.1) / steep))
    own = float(np.min(sizes / steep, where=sizes > 0, initial=np.inf))
    own = own if own < np.inf else first
    smaller = [length * 10.0**-k for k in (2, 4, 6, 8) for length in (first, own)]
    return [first, own, float(1 / np.max(steep)), *smaller, 1e2 * first, 1e4 * first]


class Line(NamedTuple):
    """A direction from a place, as far as it may be followed: the elements that move, at `x`, by multiples of `direction`.

    `step`: that to take, None where it is to be found.
    """

    x: Array
    direction: Array
    low: Array
    high: Array
    step: float | None = None

    @property
    def down(self) -> float:
        """How far against the direction the bounds are."""
        d = self.direction
        return float(np.min(np.where(d > 0, self.x - self.low, self.x - self.high) / d, initial=np.inf))

    @property
    def up(self) -> float:
        """How far along the direction the bounds are."""
        d = self.direction
        return float(np.min(np.where(d > 0, self.high - self.x, self.low - self.x) / d, initial=np.inf))

    @property
    def lengths(self) -> list[float]:
        """Lengths over which the function may change, the likeliest first."""
        return lengths(self.x, self.direction)

    @property
    def least(self) -> float:
        return least_step(self.x, self.direction)

    def fitted(self, rule: Formula, length: float, eps: float, times: int) -> tuple[Formula, float]:
        """The formula and the step that suit a length and stay within the bounds: at the edge, a one-sided formula.

        `times`: how often is differentiated, in all directions.
        """
        if not self.direction.size:
            return rule, length

        def step(rule: Formula) -> float:
            return best_step(rule, length, eps, times, self.least) if self.step is None else self.step

        h, up, down = step(rule), self.up, self.down
        reach = 2.0 * max(1, times - rule.derivatives + 1)
        if reach * h * rule.reach[1] <= up and -reach * h * rule.reach[0] <= down:
            return rule, h
        rule = formula("forward" if up >= down else "backward", max(2, rule.order), rule.derivatives)
        h = step(rule)
        room = max(up, down) / (reach * max(-rule.reach[0], rule.reach[1]))
        return rule, h if not room < h else math.ldexp(1.0, math.floor(math.log2(room)))


# --- the search ----------------------------------------------------------------------------------------------------------


def mixed(
    lines: Sequence[Line],
    rule: Formula,
    base: Array,
    noise: Noise = ROUNDING,
) -> Asking[Difference]:
    """The derivative along some lines, a formula for each, with the steps that suit the function.

    **Parameters** `base`: the function's value.  Where it is finite and the differences are not, since the function is not
    defined to one side, the other side's formula is taken.
    """
    derivatives = rule.derivatives * len(lines)

    def attempt(using: Formula) -> Callable[..., Asking[tuple[Difference, Array]]]:
        def at(*given: float) -> Asking[tuple[Difference, Array]]:
            asked = [line.fitted(using, length, noise.relative, derivatives) for line, length in zip(lines, given, strict=True)]
            rules, steps = zip(*asked, strict=True)
            return (yield from difference(rules, steps, noise))

        return at

    candidates = list(zip(*(line.lengths for line in lines), strict=True))
    if any(line.step is not None for line in lines):
        return (yield from attempt(rule)(*candidates[0]))[0]
    eps, likeliest = noise.relative, candidates[0]
    rules = [line.fitted(rule, length, eps, derivatives)[0] for line, length in zip(lines, likeliest, strict=True)]
    found = yield from settled(attempt(rule), candidates, base, rules, noise)
    if not rule.reach[0] < 0 < rule.reach[1]:
        return found
    for side in ("forward", "backward"):
        lost = np.isfinite(base) & ~np.isfinite(found.value)
        if lost.any():
            other = formula(side, max(2, rule.order), rule.derivatives)
            given = yield from settled(attempt(other), candidates, base, [other] * len(lines), noise)
            with np.errstate(all="ignore"):
                taken = lost & (given.error <= STEEP * np.abs(given.value))
            found = Difference(*(np.where(taken, *pair) for pair in zip(given, found, strict=True)))
    return found


class Candidates:
    """Lengths to try, one after the other: some that are given, and before the next of these what the last attempt tells.

    The errors of an attempt that is right to a digit, truncation c hᵖ and round-off r / hᵐ, tell the curvature, and with it the
    step that balances them: h (m r / (p c))^(1 / (p + m)).  Where only round-off is seen, the step is to be much longer.
    """

    def __init__(self, given: Sequence[tuple[float, ...]], order: int, times: int) -> None:
        self.queue = list(dict.fromkeys(given))
        self.order, self.times = order, times
        self.tried: list[tuple[float, ...]] = []
        self.predictions = 4

    def __iter__(self) -> Iterator[tuple[float, ...]]:
        while self.queue:
            self.tried.append(self.queue.pop(0))
            yield self.tried[-1]

    def predict(self, given: tuple[float, ...], found: Difference, credible: Array) -> None:
        """Put the lengths first that the errors of an attempt speak for, where they are credible."""
        if not self.predictions or not np.any(credible):
            return
        truncation, roundoff = (np.asarray(part, np.float64)[credible] for part in (found.truncation, found.roundoff))
        ratios = np.maximum(self.times * roundoff, 1e-300) / np.maximum(self.order * truncation, 1e-300)
        factor = float(np.exp(np.median(np.log(ratios)) / (self.order + self.times)))
        factor = 100.0 if np.median(truncation / roundoff) <= 1.0 else min(max(factor, 1e-3), 1e3)
        wanted = tuple(length * factor for length in given)
        if all(max(a / b, b / a) > 4.0 for one in self.tried for a, b in zip(wanted, one, strict=True)):
            self.predictions -= 1
            self.queue.insert(0, wanted)


def settled(
    attempt: Callable[..., Asking[tuple[Difference, Array]]],
    candidates: Sequence[tuple[float, ...]],
    base: Array,
    rules: Sequence[Formula],
    noise: Noise = ROUNDING,
) -> Asking[Difference]:
    """The best difference, element by element, of those over some lengths; the first that is good ends the search.

    The best has the smallest estimated error, not in itself, since a step that is far too long makes all numbers small, but
    beside the derivatives that a function of the size of its values has over such a length.

    **Parameters** `attempt`: the difference, and the value by interpolation, with the steps that suit a length in each
    direction; `base`: the function's value; where it is not finite, nothing is expected of the difference.
    """
    there = np.isfinite(base)
    eps = noise.relative
    enough = 1e3 * accuracy(rules, eps)
    times = derivatives_of(rules)
    unit = eps ** (times / (min(rule.order for rule in rules) + times))  # the steps' product over the lengths'
    best: Difference | None = None
    lowest: Any = np.inf
    queue = Candidates(candidates, min(rule.order for rule in rules), times)
    for given in queue:
        found, middle = yield from attempt(*given)
        with np.errstate(all="ignore"):
            natural = found.roundoff / eps * unit
            score = found.error / np.maximum(np.abs(found.value), natural)
            score = np.where(found.error == 0, 0.0, score)
            misfit = np.abs(base - middle) > 1e-3 * np.maximum(np.abs(base), np.abs(middle) + natural * math.prod(given))
            score = np.where(np.isnan(score), np.inf, np.where(misfit, 1.0 + score / EPS, score))
            taken = score < lowest
            best = found if best is None else Difference(*(np.where(taken, *pair) for pair in zip(found, best, strict=True)))
            lowest = np.minimum(score, lowest)
            wanting = there & ~(lowest <= enough)
            if not wanting.any():
                break
            queue.predict(given, found, wanting & (score < 0.1))
    assert best is not None
    return best
