"""Forty functions of one number to differentiate by differences, of four kinds, ten of each.

Each is written once, for NumPy and for mpmath, which gives the derivative to compare with: no rule of differentiation is used,
but a central difference at 150 digits.  Noise is a function of the bits of x, so that a function is the same for all who ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np

DIGITS = 150


class Case(NamedTuple):
    """A function `f(m, x)` of the module m that computes, at `x`; `noise` is relative, drawn by `seed`."""

    kind: str
    name: str
    f: Callable[[Any, Any], Any]
    x: float
    noise: float = 0.0
    seed: int = 0

    def __call__(self, x: Any) -> Any:
        """The function in float64, of a number or of an array."""
        with np.errstate(all="ignore"):
            y = self.f(np, np.asarray(x, np.float64))
            return y * (1.0 + self.noise * hashed(x, self.seed)) if self.noise else y

    @property
    def exact(self) -> float:
        """The derivative without the noise, by a central difference with h = 10⁻⁴⁰ at 150 digits."""
        with mpmath.workdps(DIGITS):
            x, h = mpmath.mpf(self.x), mpmath.mpf(10) ** -40
            return float((self.f(mpmath, x + h) - self.f(mpmath, x - h)) / (2 * h))

    @property
    def value(self) -> float:
        with mpmath.workdps(DIGITS):
            return float(self.f(mpmath, mpmath.mpf(self.x)))


def hashed(x: Any, seed: int) -> Any:
    """Numbers of mean 0 and variance 1, evenly distributed, that look random: one for each x, by Steele's mixer of 64 bits."""
    bits = np.asarray(x, np.float64).view(np.uint64) ^ np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return (bits.astype(np.float64) / 2.0**63 - 1.0) * np.sqrt(3.0)


WELL, SCALED, POLE, NOISY = "well-behaved", "badly scaled", "near a pole", "noisy"

CASES = [
    Case(WELL, "sin(x)", lambda m, x: m.sin(x), 1.0),
    Case(WELL, "exp(x)", lambda m, x: m.exp(x), 0.0),
    Case(WELL, "exp(-x^2)", lambda m, x: m.exp(-x * x), 0.7),
    Case(WELL, "tanh(x)", lambda m, x: m.tanh(x), 0.5),
    Case(WELL, "log(1 + x^2)", lambda m, x: m.log(1 + x * x), 1.5),
    Case(WELL, "x^3 - 2x", lambda m, x: x**3 - 2 * x, 2.0),
    Case(WELL, "sqrt(1 + x)", lambda m, x: m.sqrt(1 + x), 1.0),
    Case(WELL, "sin(x) exp(x)", lambda m, x: m.sin(x) * m.exp(x), 1.2),
    Case(WELL, "x / (1 + x^2)", lambda m, x: x / (1 + x * x), 0.3),
    Case(WELL, "cos(exp(x))", lambda m, x: m.cos(m.exp(x)), 0.8),
    Case(SCALED, "sin(10^6 x)", lambda m, x: m.sin(1000000 * x), 7e-7),
    Case(SCALED, "cos(10^-6 x)", lambda m, x: m.cos(x / 1000000), 1.0),
    Case(SCALED, "exp(1000 x)", lambda m, x: m.exp(1000 * x), 0.002),
    Case(SCALED, "log(x) at 10^-8", lambda m, x: m.log(x), 1e-8),
    Case(SCALED, "x^2 at 10^6", lambda m, x: x * x, 1e6),
    Case(SCALED, "sqrt(x) at 10^10", lambda m, x: m.sqrt(x), 1e10),
    Case(SCALED, "sin(x) at 10^4", lambda m, x: m.sin(x), 1e4),
    Case(SCALED, "exp(x) at 50", lambda m, x: m.exp(x), 50.0),
    Case(SCALED, "10^10 tanh(10^-4 x)", lambda m, x: 10**10 * m.tanh(x / 10000), 2000.0),
    Case(SCALED, "x^10 at 1000", lambda m, x: x**10, 1000.0),
    Case(POLE, "1 / x", lambda m, x: 1 / x, 0.01),
    Case(POLE, "tan(x)", lambda m, x: m.tan(x), 1.5),
    Case(POLE, "1 / (x - 1)", lambda m, x: 1 / (x - 1), 1.001),
    Case(POLE, "log(x)", lambda m, x: m.log(x), 0.05),
    Case(POLE, "1 / (1 + 25 x^2)", lambda m, x: 1 / (1 + 25 * x * x), 0.3),
    Case(POLE, "1 / (e^-9 + x^2)", lambda m, x: 1 / (x * x + m.exp(-9)), 0.02),
    Case(POLE, "exp(1 / x)", lambda m, x: m.exp(1 / x), 0.1),
    Case(POLE, "x log(x)", lambda m, x: x * m.log(x), 0.001),
    Case(POLE, "sqrt(1 - x^2)", lambda m, x: m.sqrt(1 - x * x), 0.99),
    Case(POLE, "exp(x) / sqrt(sin^3 + cos^3)", lambda m, x: m.exp(x) / m.sqrt(m.sin(x) ** 3 + m.cos(x) ** 3), 1.5),
    Case(NOISY, "sin(x), 10^-12", lambda m, x: m.sin(x), 1.0, 1e-12),
    Case(NOISY, "exp(x), 10^-10", lambda m, x: m.exp(x), 0.5, 1e-10),
    Case(NOISY, "log(x), 10^-8", lambda m, x: m.log(x), 2.0, 1e-8),
    Case(NOISY, "tanh(x), 10^-7", lambda m, x: m.tanh(x), 0.5, 1e-7),
    Case(NOISY, "x^2 + x, 10^-6", lambda m, x: x * x + x, 1.0, 1e-6),
    Case(NOISY, "sqrt(x), 10^-5", lambda m, x: m.sqrt(x), 3.0, 1e-5),
    Case(NOISY, "cos(x), 10^-4", lambda m, x: m.cos(x), 2.0, 1e-4),
    Case(NOISY, "exp(-x^2), 10^-3", lambda m, x: m.exp(-x * x), 0.7, 1e-3),
    Case(NOISY, "1 / (1 + x^2), 10^-9", lambda m, x: 1 / (1 + x * x), 1.0, 1e-9),
    Case(NOISY, "log(1 + x^2), 10^-2", lambda m, x: m.log(1 + x * x), 1.5, 1e-2),
]
