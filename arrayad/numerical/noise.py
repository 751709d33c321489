"""How noisy a function is: `noise_level`, from a table of differences of values close together.

Values a + noise at equally spaced places have k-th differences that are noise alone, once k passes the degree that the
function looks to have over so short a way: of standard deviation σ √((2k)! / (k!)²).  Where three successive k give the same
σ, it is believed.

**Source** Moré & Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011), 1292-1314; Hamming, Introduction to
Applied Numerical Analysis (1971), chapter 6.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from arrayad.numerical.stencil import Array
from arrayad.numerical.step import Asking, Line, power_of_two

SAMPLES = 8
"""So many places beside the one asked for: Moré and Wild found 6 to 8 enough."""

ATTEMPTS = 4
"""So many spacings are tried."""


class NoiseLevel(NamedTuple):
    """The standard deviation of a function's values, in itself and relative to them; what it took, and whether it is believed."""

    absolute: Any
    relative: Any
    evaluations: int
    step: float
    found: bool


class Level(NamedTuple):
    """What a table of differences says of each result."""

    sigma: Array
    found: Array
    too_short: Array
    too_long: Array


def level(values: Array) -> Level:
    """The noise of values at equally spaced places along axis 0, by their table of differences."""
    count = len(values) - 1
    size = np.max(np.abs(values), axis=0)
    spread = np.max(values, axis=0) - np.min(values, axis=0)
    differences = values
    sigmas, changes = [], []
    zeros = np.zeros(values.shape[1:])
    for k in range(1, count):
        differences = np.diff(differences, axis=0)
        if k == 1:
            zeros = np.mean(differences == 0, axis=0)
        gamma = math.factorial(k) ** 2 / math.factorial(2 * k)
        sigmas.append(np.sqrt(gamma * np.mean(differences**2, axis=0)))
        changes.append((np.min(differences, axis=0) < 0) & (np.max(differences, axis=0) > 0))
    table = np.array(sigmas)
    sigma, found = np.zeros(size.shape), np.zeros(size.shape, bool)
    for k in range(len(table) - 2):
        least, most = (pick(table[k : k + 3], axis=0) for pick in (np.min, np.max))
        agrees = ~found & changes[k] & (most <= 4.0 * least) & (least > 0)
        sigma = np.where(agrees, table[k], sigma)
        found |= agrees
    return Level(np.where(found, sigma, table[-1]), found, zeros >= 0.5, spread > 0.1 * size)


def sampled_noise(line: Line, base: Array, samples: int = SAMPLES) -> Asking[tuple[Array, Array, float]]:
    """The standard deviation of each result's noise along a line, whether it is believed, and the spacing of the values."""
    size = float(np.max(np.abs(line.x) / np.abs(line.direction), initial=0.0, where=np.isfinite(line.x))) or 1.0
    h = line.step or max(power_of_two(size * 1e-8), line.least)
    room = max(line.up, line.down)
    side = 1.0 if line.up >= line.down else -1.0
    sigma, known = np.zeros(base.shape), ~np.isfinite(base)
    for _ in range(ATTEMPTS):
        h = min(h, room / samples)
        found = yield [(side * k * h,) for k in range(1, samples + 1)]
        with np.errstate(all="ignore"):
            seen = level(np.real(np.array([base, *found])))
        sigma = np.where(known, sigma, seen.sigma)
        known = known | seen.found
        if known.all() or line.step is not None:
            break
        wanting = ~known
        if np.any(seen.too_short & wanting):
            h *= 128.0
        elif np.any(seen.too_long & wanting):
            h /= 128.0
        else:
            break
    return sigma, known, h


__all__ = ["NoiseLevel", "level", "sampled_noise"]
