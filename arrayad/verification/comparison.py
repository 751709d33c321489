"""The comparison of a derivative with an oracle, element by element: digits that agree, digits that may be expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayad import arbitrary
from arrayad.numerical.high_precision import WORKING
from arrayad.verification.oracles import DIGITS, VAGUE, Measured, Oracle
from arrayad.verification.place import Array, Direction, Place, as_floats, numbers, sizes
from arrayad.verification.rounding import MARGIN, SAMPLES, Noise

ROWS = 16
"""Results of up to so many elements are swept back one by one; of more, some random combinations."""

COMBINATIONS = 4

ULPS = 8
"""So many units of rounding any derivative may be off by."""


@dataclass(frozen=True)
class Finding:
    """One number of a derivative beside what it should be.

    `mode` is "forward" or "reverse", `argument` and `result` say of what by what; `state` is "right", "wrong", "kink" where
    the function has none there, or "unknown" where the oracle cannot tell.  `digits` agree, `expected` may be expected, since
    one rounding in each operation is `amplified` so many times.
    """

    mode: str
    direction: Direction
    argument: str
    result: str
    derivative: Any
    reference: Any
    digits: float
    expected: float
    state: str
    amplified: float


class Comparison:
    """Both modes of a place's derivative against an oracle."""

    def __init__(
        self,
        place: Place,
        oracle: Oracle,
        noise: Noise,
        modes: Sequence[str],
        rng: np.random.Generator,
        digits: float | None = None,
    ) -> None:
        self.place, self.oracle, self.noise, self.modes, self.digits = place, oracle, noise, modes, digits
        self.cts, self.combined = cotangents(place, rng)
        self.known: dict[int, tuple[Direction, Measured]] = {}
        self.noisy = [noise.function() for _ in range(SAMPLES)]
        reverse = "reverse" in modes and place.size > 0
        self.rows = place.pulled(self.cts) if reverse else []
        self.noisy_rows = [place.pulled(self.cts, function) for function in self.noisy] if reverse else []

    def along(self, direction: Direction) -> Iterator[Finding]:
        """The findings along a direction."""
        place = self.place
        if not place.size:
            return
        measured = self.measured(direction)
        if "reverse" in self.modes:
            yield from self.reverse(direction, measured)
        if "forward" in self.modes:
            yield from self.forward(direction, measured)

    def measured(self, direction: Direction) -> Measured:
        """What the oracle says of a direction, asked once."""
        known = self.known.get(id(direction))
        if known is None:
            known = self.known[id(direction)] = direction, self.oracle.along(direction)
        return known[1]

    def forward(self, direction: Direction, measured: Measured) -> Iterator[Finding]:
        place = self.place
        found = place.pushed(direction)
        spread = self.noise.spread([place.pushed(direction, function) for function in self.noisy], found)
        known = np.isfinite(sizes(place.base))
        yield from self.judged("forward", direction, found, measured, spread, known, self.natural(direction), place.where)

    def reverse(self, direction: Direction, measured: Measured) -> Iterator[Finding]:
        """A finding for each cotangent, whose product with the derivative is one number."""
        found = paired(self.rows, direction)
        spread = self.noise.spread([paired(rows, direction) for rows in self.noisy_rows], found)
        there = np.isfinite(sizes(self.place.base)) & np.isfinite(sizes(measured.value))
        value, error = np.where(there, measured.value, 0), np.where(there, measured.error, 0.0)
        weights = np.abs(self.cts)
        with all_digits(value):
            terms = np.real(np.conj(self.cts) * value) if value.dtype.kind == "c" else self.cts.real * value
            reference = np.sum(terms, axis=1)
        known = weights.any(axis=1) & ~((weights > 0) & ~there).any(axis=1) & (there.all() | ~np.isnan(as_floats(found)))
        kink = np.any((weights > 0) & measured.kink, axis=1, keepdims=True)[:, 0]
        total = Measured(reference, weights @ error, kink)
        if self.combined:
            spread = spread + self.place.eps * (weights @ sizes(value)) / MARGIN * 8
        natural = weights @ self.natural(direction)
        yield from self.judged("reverse", direction, found, total, spread, known, natural, self.combination)

    def natural(self, direction: Direction) -> Array:
        """The size that derivatives have where results change by themselves as an argument does, or by 1: what 0 is beside."""
        size = sizes(self.place.base)
        x = sizes(numbers(self.place.leaves[direction.leaf]))
        length = float(np.max(x, where=(direction.tangent != 0) & np.isfinite(x), initial=1.0))
        return np.where(np.isfinite(size), size, 0.0) * float(np.sum(np.abs(direction.tangent))) / length

    def combination(self, k: int) -> str:
        if self.combined:
            return "a random combination of the results"
        return self.place.where(int(np.argmax(self.cts[k] != 0)))

    def judged(
        self,
        mode: str,
        direction: Direction,
        found: Array,
        measured: Measured,
        spread: Array,
        known: Array,
        natural: Array,
        named: Callable[[int], str],
    ) -> Iterator[Finding]:
        """A finding for each element of a derivative, of which those `known` have one."""
        most = -math.log10(self.place.eps / 2)
        with np.errstate(all="ignore"):
            size, off = sizes(measured.value), apart(found, measured.value)
            spread = spread + self.noise.eps * size * ULPS / MARGIN
            zero = np.where(size > measured.error, 0.0, ULPS * self.noise.eps * np.max(natural, initial=0.0))
            allowed = MARGIN * spread + measured.error + zero
            beside = np.maximum(np.maximum(spread / self.noise.eps, size), natural)
            scale = np.where(size > measured.error, size, beside)
            scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
            agreed = np.where(off == 0, most, np.clip(np.nan_to_num(-np.log10(off / scale), nan=0.0), 0.0, most)) + 0.0
            expected = np.clip(-np.log10(allowed / scale), 0.0, most) + 0.0
            fine = off <= allowed if self.digits is None else agreed >= self.digits
            vague = (measured.error > VAGUE * np.maximum(beside, sizes(found))) & (off != 0)
        known = known & np.isfinite(size)
        state = np.select([~known, measured.kink, vague, fine], ["unknown", "kink", "unknown", "right"], "wrong")
        argument = self.place.argument(direction)
        if direction.index is not None and direction.tangent[direction.index] == 1j:
            argument += "'s imaginary part"
        for k in range(len(found)):
            yield Finding(
                mode,
                direction,
                argument,
                named(k),
                found[k],
                measured.value[k],
                float(agreed[k]),
                float(expected[k]),
                str(state[k]),
                float(spread[k] / scale[k] / self.noise.eps),
            )


def cotangents(place: Place, rng: np.random.Generator) -> tuple[Array, bool]:
    """Cotangents of the results, one a row: the units of few elements, else random ones; and whether they are random."""
    is_complex = place.base.dtype.kind == "c"
    if place.size <= ROWS:
        units = np.eye(place.size)
        return (np.concatenate([units, 1j * units]) if is_complex else units), False
    drawn = rng.standard_normal((COMBINATIONS, place.size))
    drawn = drawn + 1j * rng.standard_normal(drawn.shape) if is_complex else drawn
    return np.where(np.isfinite(sizes(place.base)), drawn, 0.0), True


def paired(rows: list[list[Array]], direction: Direction) -> Array:
    """Re Σ conj(g) t for the gradient g of each row: the derivative along a direction."""
    found = []
    for gradients in rows:
        g, t = gradients[direction.leaf], direction.tangent
        if direction.index is not None:
            g, t = g[direction.index], t[direction.index]
        total = np.real(np.conj(g) * t) if np.iscomplexobj(g) or np.iscomplexobj(t) else g * t
        found.append(np.sum(total))
    return np.array(found)


def apart(found: Array, reference: Array) -> Array:
    """|found − reference| as floats, subtracted with all digits that the reference has."""
    if reference.dtype.kind != "O":
        return np.abs(found - reference)
    with all_digits(reference):
        return sizes(np.asarray(arbitrary.of(found).array - reference))


def all_digits(x: Array) -> AbstractContextManager[Any]:
    """The precision in which numbers of mpmath's keep all digits that an oracle gives them; nothing for floats."""
    return arbitrary.context().workdps(WORKING * DIGITS) if x.dtype.kind == "O" else nullcontext()
