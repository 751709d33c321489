"""Oracles: the derivative of a function along a direction, from values of the function alone.

The strongest that applies is taken: differences in arbitrary precision, where the function computes with mpmath's numbers;
the complex step, where it is analytic and computes with complex numbers; else extrapolated differences in floats.  The first two
could be misled by a function that leaves their numbers on the way, so each is held against differences in floats before it
is believed.

**Source** Squire & Trapp, Using complex variables to estimate derivatives of real functions, SIAM Review 40 (1998); Ridders,
Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering Software 4 (1982).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from arrayad import arbitrary
from arrayad.numerical.derivatives import directional
from arrayad.numerical.high_precision import Run
from arrayad.numerical.step import COMPLEX_STEP, EPS
from arrayad.verification.place import Array, Direction, Place, as_floats, eps_of, numbers, sizes

DIGITS = 50
DOUBT = 100
"""Differences in floats may be off by so many times their estimated error."""

ULPS = 50
"""The complex step is off by so many units of rounding, as algorithms that are stable by norm round it."""

AFFORDED = 1e5
"""So many operations of an evaluation may be done in high precision, where one takes some 10 µs."""

FAR, LEAST = 0.1, 1e-3
"""Differences in floats move an element by no more than this share of itself, or by so much: loops may not end far away."""

VAGUE = 1e-2
"""Where an oracle may be off by more than this share of the derivative, it decides nothing."""


class Measured(NamedTuple):
    """A derivative along a direction as an oracle sees it: the elements of all results, how far off each may be, and kinks."""

    value: Array
    error: Array
    kink: Array


class Oracle:
    """What gives derivatives of a place's function without any rule; `words` says how."""

    words: str
    name: str

    def __init__(self, place: Place) -> None:
        self.place = place
        self.evaluations = 0

    def along(self, direction: Direction) -> Measured:
        raise TypeError(self.name)


class HighPrecision(Oracle):
    """Central differences in arbitrary precision."""

    name = "high precision"
    words = f"central differences of the function alone in {3 * DIGITS} digits, h = 1e-{int(0.8 * DIGITS)}"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.run = Run(lambda *xs: list(place.function(*xs)), tuple(map(numbers, place.leaves)), DIGITS)

    def along(self, direction: Direction) -> Measured:
        run, before = self.run, self.run.evaluations
        with arbitrary.context().workdps(run.working):
            moving = {direction.leaf: arbitrary.of(direction.tangent).array}
            found, length = run.along(moving), run.length(moving)
            value = joined([part for part, _ in found])
            size = sizes(value)
            with np.errstate(all="ignore"):
                natural = np.maximum(sizes(self.place.base), size * float(length)) / float(length)
            kink = joined([apart for _, apart in found]).astype(bool)
            if kink.any():  # what is left of 0 differs from side to side, too
                ahead, behind = run.sides(moving, arbitrary.context().mpf(10) ** -run.share * length)
                kink &= sizes(joined(ahead) - joined(behind)) > 1e-30 * natural
        self.evaluations += run.evaluations - before
        return Measured(value, 1e-30 * size + 1e-60 * natural, kink)


class ComplexStep(Oracle):
    """f′ = Im f(x + ih) / h, without a subtraction and so without a step to choose."""

    name = "complex step"
    words = "the complex step, Im f(x + ih) / h"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        kinds = {x.dtype.char for x in place.leaves} | {dtype.char for _, dtype in place.avals}
        if not kinds <= set("fdg"):
            raise TypeError("arguments and results must be real floats")

    def along(self, direction: Direction) -> Measured:
        place, leaf = self.place, direction.leaf
        x = place.leaves[leaf]
        moves = (direction.tangent != 0) & (x != 0)
        near = float(np.min(np.abs(x[moves] / direction.tangent[moves]), initial=1.0))
        h = COMPLEX_STEP * near
        moved = [np.asarray(value) for value in place.leaves]
        moved[leaf] = moved[leaf] + 1j * h * direction.tangent
        self.evaluations += 1
        found = place.vector(moved)
        if found.dtype.kind != "c":
            raise TypeError("the function returns real numbers for complex ones")
        with np.errstate(all="ignore"):
            apart = np.abs(found.real - place.base) > 1e3 * place.eps * np.abs(place.base)
            if np.any(apart & np.isfinite(place.base)):
                raise TypeError("the function takes other values for complex numbers")
            value = found.imag / h
        largest = float(np.max(np.abs(place.base), where=np.isfinite(place.base), initial=0.0))
        steep = float(np.sum(np.abs(direction.tangent))) / max(1.0, float(np.max(np.abs(x), initial=0.0)))
        rounding = ULPS * eps_of(value.dtype) * (np.abs(value) + largest * steep)
        return Measured(value, rounding, np.zeros(value.shape, bool))


class Extrapolated(Oracle):
    """Central differences in floats, extrapolated to the step 0, with their estimated errors."""

    name = "differences"
    words = "central differences in floats, extrapolated to the step 0, their error estimated"

    def __init__(self, place: Place, eps: float = EPS) -> None:
        super().__init__(place)
        if any(x.dtype.kind == "O" for x in place.leaves):
            raise TypeError("the arguments are mpmath's numbers, whose digits floats do not have")
        self.wide = [x.astype(np.result_type(x.dtype, np.float64), copy=False) for x in place.leaves]
        self.base = place.vector(self.wide)
        self.eps = max(eps, eps_of(self.base.dtype)) if self.base.dtype.kind in "fc" else eps

    def along(self, direction: Direction) -> Measured:
        line, length = self.line(direction)
        x, tangent = self.wide[direction.leaf], direction.tangent
        center, along = parts_of(x), parts_of(tangent.astype(x.dtype))
        room = np.where(along != 0, length * np.abs(along), 1.0)

        def at(moved: Array) -> Array:
            return self.vector(direction.leaf, moved if x.dtype.kind != "c" else moved.view(x.dtype)[..., 0])

        with np.errstate(all="ignore"):
            bounds = (center - room, center + room)
            options: dict[str, Any] = {"bounds": bounds, "noise": self.eps, "vectorized": False}
            found = directional(at, center, along, scheme="ridders", **options)
            value, error = np.asarray(found.value), np.asarray(found.error)
            if not np.all(DOUBT * error <= VAGUE * np.abs(value), where=error > 0):  # longer steps, of one length, may know more
                other = directional(at, center, along, scheme="central", order=6, **options)
                nearer = np.asarray(other.error) < error
                value, error = np.where(nearer, other.value, value), np.where(nearer, other.error, error)
            return Measured(value, DOUBT * error, self.kinks(line, length, value))

    def vector(self, leaf: int, x: Array) -> Array:
        """The results where one argument is another."""
        self.evaluations += 1
        return self.place.vector([*self.wide[:leaf], x, *self.wide[leaf + 1 :]])

    def line(self, direction: Direction) -> tuple[Callable[[float], Array], float]:
        """The results as a function of s at x + s · length · tangent, and the length, over which no element moves far."""
        leaf, tangent = direction.leaf, direction.tangent
        x, moves = self.wide[leaf], tangent != 0
        room = np.maximum(FAR * np.abs(x[moves]), LEAST)
        length = float(np.min(np.where(np.isfinite(room), room, LEAST) / np.abs(tangent[moves]), initial=1.0))

        def at(s: float) -> Array:
            return self.vector(leaf, (x + s * length * tangent).astype(x.dtype, copy=False))

        return at, length

    def roughly(self, direction: Direction) -> Measured:
        """The derivative by central differences with two short steps, for doubts alone."""
        line, length = self.line(direction)
        with np.errstate(all="ignore"):
            wide, near = ((line(h) - line(-h)) / (2 * h * length) for h in (2e-3, 1e-3))
            error = np.abs(wide - near) + DOUBT * self.eps * np.abs(self.base) / (1e-3 * length)
        return Measured(near + (near - wide) / 3, error, np.zeros(near.shape, bool))

    def kinks(self, line: Callable[[float], Array], length: float, value: Array) -> Array:
        """Where the differences of the two sides agree neither with each other nor better at a shorter step."""
        gaps = []
        for h in (1e-2, 1e-3):
            ahead, behind = (line(h) - self.base) / (h * length), (self.base - line(-h)) / (h * length)
            gaps.append(np.abs(ahead - behind))
        scale = np.maximum(np.abs(value), gaps[0])
        largest = float(np.max(np.abs(self.base), where=np.isfinite(self.base), initial=0.0))
        noise = DOUBT * self.eps * largest / (1e-3 * length)
        return np.asarray((gaps[1] > 0.5 * gaps[0]) & (gaps[1] > VAGUE * scale) & (gaps[1] > noise))


ORACLES: tuple[type[Oracle], ...] = (HighPrecision, ComplexStep, Extrapolated)


def strongest(
    place: Place, rng: np.random.Generator, wanted: str | None = None, work: float = 0.0, eps: float = EPS
) -> tuple[Oracle | None, list[str]]:
    """The strongest oracle that applies, or the one of a name, and why each stronger one does not; None where none does.

    `work`: the operations of one evaluation, which must not be too many for numbers of 150 digits; `eps`: the relative rounding
    of the least precise of them.

    **Raises** `ValueError` where there is none of this name.
    """
    kinds = [kind for kind in ORACLES if wanted in (None, kind.name)]
    if not kinds:
        there = ", ".join(repr(kind.name) for kind in ORACLES)
        raise ValueError(f"[verify] there is no oracle {wanted!r}; there are {there}")
    directions = [place.random(leaf, rng) for leaf, x in enumerate(place.leaves) if x.size]
    refusals = []
    for kind in kinds:
        if kind is HighPrecision and wanted is None and work > AFFORDED:
            refusals.append(f"{kind.name}: {work:.1g} operations an evaluation, more than {AFFORDED:.1g}, take too long")
            continue
        try:
            oracle = kind(place, eps) if issubclass(kind, Extrapolated) else kind(place)
            doubt = contradiction(oracle, place, directions, eps)
        except Exception as error:  # what a user's function raises on numbers of another kind may be anything
            doubt = f"{type(error).__name__}: {error}"
        if doubt is None:
            return oracle, refusals
        refusals.append(f"{kind.name}: {doubt.splitlines()[0]}")
    return None, refusals


def contradiction(oracle: Oracle, place: Place, directions: list[Direction], eps: float) -> str | None:
    """Why an oracle cannot be believed: it contradicts differences in floats; None where it does not."""
    measured = [oracle.along(direction) for direction in directions[:4]]
    if oracle.__class__ is Extrapolated or any(x.dtype.kind == "O" for x in place.leaves):
        return None
    rough = Extrapolated(place, eps)
    for direction, sharp in zip(directions, measured, strict=False):
        found = rough.roughly(direction)
        with np.errstate(all="ignore"):
            a, b = as_floats(sharp.value), found.value
            off, scale = np.abs(a - b), np.maximum(np.abs(a), np.abs(b))
            decided = np.isfinite(a) & np.isfinite(b) & ~sharp.kink & (found.error < VAGUE * scale)
            bad = decided & (off > found.error + VAGUE * scale)
        if bad.any():
            k = int(np.argmax(bad))
            return (
                f"by {place.argument(direction)} it gives {a[k]:.6g}, differences of the values in floats {b[k]:.6g}: "
                "the function leaves these numbers on the way"
            )
    return None


def joined(parts: list[Array]) -> Array:
    """The elements of some arrays in one vector."""
    return np.concatenate([part.ravel() for part in parts]) if parts else np.zeros(0)


def parts_of(x: Array) -> Array:
    """Complex numbers as pairs of their parts, along a last axis; real ones as they are."""
    return np.stack([x.real, x.imag], axis=-1) if x.dtype.kind == "c" else x
