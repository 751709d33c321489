"""`Series`: a power series whose coefficients are computed when they are asked for, and the recurrences of rows.

**Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), section 13.2.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

Rule = Callable[[int], Any]
"""Coefficient k ≥ 1 of a series, None for zero, given what the series it is made of have up to k and itself up to k - 1."""


class Series:
    """Σ_k c[k] t^k.  The first coefficient is a value, the others arrays or None for zero; without a rule they all are zero."""

    __slots__ = ("known", "rule")

    def __init__(self, first: Any, rule: Rule | None = None) -> None:
        self.known = [first]
        self.rule = rule

    def __getitem__(self, k: int) -> Any:
        if self.rule is None:
            return self.known[k] if k < len(self.known) else None
        while len(self.known) <= k:
            self.known.append(self.rule(len(self.known)))
        return self.known[k]

    @property
    def is_constant(self) -> bool:
        return self.rule is None and len(self.known) == 1


def known(first: Any, rest: list[Any]) -> Series:
    """The series with these coefficients."""
    series = Series(first)
    series.known += rest
    return series


def total(terms: Any) -> Any:
    """The sum of those terms that are not None, which is None if all are."""
    found = [term for term in terms if term is not None]
    return functools.reduce(operator.add, found) if found else None


def convolution(multiply: Callable[[Any, Any], Any], a: Series, b: Series, k: int, start: int = 0) -> Any:
    """Σ a[i] b[k-i] over start ≤ i ≤ k: coefficient k of a product, of any kind that is bilinear."""
    if a.is_constant:
        return None if start or b[k] is None else multiply(a[0], b[k])
    if b.is_constant:
        return None if a[k] is None else multiply(a[k], b[0])
    pairs = ((a[i], b[k - i]) for i in range(start, k + 1))
    return total(multiply(x, y) for x, y in pairs if x is not None and y is not None)


def product(a: Series, b: Series) -> Series:
    """The product of two series, element by element."""
    return Series(a[0] * b[0], lambda k: convolution(operator.mul, a, b, k))


def whole_power(x: Series, exponent: int) -> Series:
    """A power of a series by products, which holds where the series begins with 0 too."""
    if exponent == 1:
        return x
    half = whole_power(x, exponent // 2)
    return product(product(half, half), x) if exponent % 2 else product(half, half)
