"""Difference formulas: the weights of any stencil, exactly, and the formulas that are named.

A formula of order p for the m-th derivative is exact for polynomials up to degree p + m - 1, and off by c hᵖ otherwise.

**Source** Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, Math. Comp. 51 (1988), 699-706.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

HALVED = tuple(Fraction(1, 2**k) for k in range(5))
"""The parts of the step whose central differences Richardson's extrapolation combines, as many as it takes."""


class Combination:
    """Σ_k w[k] y[k] of values along axis 0, the weights brought to one denominator, so that none of them is rounded.

    Where the weights add up to 0, one value is taken off all others first, of which nothing is lost where they are close: it is
    the function's own rounding that remains.
    """

    def __init__(self, weights: Sequence[Fraction]) -> None:
        self.common = math.lcm(*(w.denominator for w in weights))
        self.numerators = [w.numerator * (self.common // w.denominator) for w in weights]
        self.balanced = not sum(weights)
        self.norm = math.sqrt(sum(float(w) ** 2 for w in weights))
        self.vectors: dict[np.dtype[Any], Array] = {}

    def __call__(self, values: Array) -> Array:
        dtype = np.result_type(values.real.dtype, np.float64)
        if dtype not in self.vectors:
            self.vectors[dtype] = np.array([dtype.type(n) for n in self.numerators])
        vector = self.vectors[dtype].reshape(-1, *(1,) * (values.ndim - 1))
        terms = values - values[len(values) // 2] if self.balanced else values
        return np.asarray(np.sum(vector * terms, axis=0) / dtype.type(self.common))


@dataclass(frozen=True, eq=False)
class Formula:
    """A derivative by differences: f⁽ᵐ⁾(x) ≈ Σ weights[k] f(x + offsets[k] h) / hᵐ, off by O(h^order), m = `derivatives`."""

    offsets: tuple[Fraction, ...]
    weights: tuple[Fraction, ...]
    order: int
    derivatives: int
    name: str

    @functools.cached_property
    def least(self) -> float:
        """The smallest offset but 0."""
        return float(min(abs(o) for o in self.offsets if o))

    @functools.cached_property
    def reach(self) -> tuple[float, float]:
        """The lowest and the highest offset."""
        return float(min(self.offsets)), float(max(self.offsets))

    @functools.cached_property
    def middle(self) -> tuple[Fraction, ...]:
        """The weights by which the formula's values give that at 0, without it where there are offsets to both sides."""
        if not self.reach[0] < 0 < self.reach[1]:
            return exact_weights(self.offsets, 0)
        around = tuple(o for o in self.offsets if o)
        weights = dict(zip(around, exact_weights(around, 0), strict=True))
        return tuple(weights.get(o, Fraction(0)) for o in self.offsets)

    @functools.cached_property
    def total(self) -> Combination:
        """The derivative times hᵐ, of values."""
        return Combination(self.weights)

    @functools.cached_property
    def size(self) -> Combination:
        """What is added, of absolute values."""
        return Combination([abs(w) for w in self.weights])

    @functools.cached_property
    def between(self) -> Combination:
        """The value at 0 by interpolation."""
        return Combination(self.middle)


def stencil(offsets: Sequence[float | Fraction], derivatives: int = 1) -> tuple[Fraction, ...]:
    """The weights of the formula with the given offsets that is exact for polynomials of the highest degree.

    f⁽ᵐ⁾(x) ≈ Σ_k w[k] f(x + o[k] h) / hᵐ, where Σ_k w[k] o[k]ⁿ = m! for n = m, and 0 for every other n < len(o)

    The weights are rational numbers, computed by Fornberg's recurrence without rounding.

    **Parameters** `offsets`: different numbers, in any order, more of them than `derivatives`; floats stand for the exact
    values that they have.  `derivatives`: m, 0 for interpolation.

    **Returns** a tuple of `fractions.Fraction`, one for each offset.

    **Raises** `ValueError` for offsets that repeat or are too few.

    **Source** Fornberg, Math. Comp. 51 (1988), equations (3.8) to (3.10).

    **Example**

    >>> import arrayad as ad
    >>> [str(w) for w in ad.numerical.stencil((-2, -1, 1, 2))]
    ['1/12', '-2/3', '2/3', '-1/12']
    >>> [str(w) for w in ad.numerical.stencil((0, 1, 2))]
    ['-3/2', '2', '-1/2']
    >>> [str(w) for w in ad.numerical.stencil((-1, 0, 1), derivatives=2)]
    ['1', '-2', '1']
    """
    if isinstance(derivatives, bool) or not isinstance(derivatives, int) or derivatives < 0:
        raise ValueError(f"[stencil] derivatives is {derivatives!r}; an int, 0 or more, is needed")
    return exact_weights(tuple(map(rational, offsets)), derivatives)


def rational(offset: float | Fraction) -> Fraction:
    try:
        return Fraction(offset)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"[stencil] an offset is {offset!r}; finite real numbers are needed") from None


@functools.lru_cache(4096)
def exact_weights(offsets: tuple[Fraction, ...], derivatives: int) -> tuple[Fraction, ...]:
    """The weights of a stencil, by the recurrence over its offsets: those of k + 1 points follow from those of k."""
    if len(set(offsets)) < len(offsets):
        raise ValueError(f"[stencil] the offsets are {', '.join(map(str, offsets))}; they must differ")
    if len(offsets) <= derivatives:
        raise ValueError(
            f"[stencil] {len(offsets)} offsets came; a derivative of order {derivatives} needs {derivatives + 1} at least"
        )
    weights = [[Fraction(0)] * (derivatives + 1) for _ in offsets]
    weights[0][0] = Fraction(1)
    before = Fraction(1)
    for n in range(1, len(offsets)):
        product = Fraction(1)
        last = list(weights[n - 1])
        for k in range(n):
            apart = offsets[n] - offsets[k]
            product *= apart
            own = list(weights[k])
            weights[k] = [(offsets[n] * own[m] - (m * own[m - 1] if m else 0)) / apart for m in range(derivatives + 1)]
        ratio = before / product
        weights[n] = [ratio * ((m * last[m - 1] if m else 0) - offsets[n - 1] * last[m]) for m in range(derivatives + 1)]
        before = product
    return tuple(w[derivatives] for w in weights)


@functools.lru_cache(4096)
def formula_on(offsets: tuple[Fraction | int, ...], derivatives: int = 1, name: str | None = None) -> Formula:
    """The formula with these offsets, without those whose weight is 0, and the order that it has."""
    given = tuple(map(Fraction, offsets))
    terms = [(o, w) for o, w in zip(given, exact_weights(given, derivatives), strict=True) if w]
    order = next(p for p in count(1) if sum(w * o ** (derivatives + p) for o, w in terms))
    kept, weights = zip(*terms, strict=True)
    return Formula(kept, weights, order, derivatives, name or f"stencil ({', '.join(map(str, kept))})")


def formula(method: str | Sequence[float | Fraction], order: int | None = None, derivatives: int = 1) -> Formula:
    """The formula of this name and order; the lowest order there is if none is given (of Richardson's, two steps).

    **Parameters** `method`: "central" (of an even order), "forward" or "backward" (of any), "richardson" (central
    differences with h, h/2, h/4, …, extrapolated: 2, 4, 6, 8 or 10), or the offsets of a stencil, whose order follows.

    **Raises** `ValueError` where there is none.
    """
    if not isinstance(method, str):
        if order is not None:
            raise ValueError("[numerical] a stencil has the order that it has; leave `order` out")
        return formula_on(tuple(map(rational, method)), derivatives)
    if method == "richardson":
        order = 6 if order is None else order
    found = named(method, order, derivatives)
    if found is None:
        raise ValueError(
            f"[numerical] there is no {method} difference of order {order}; there are forward and backward ones of order 1 "
            "and more, central ones of order 2, 4, 6, …, richardson of order 2, 4, 6, 8 and 10, and complex"
        )
    return found


@functools.lru_cache(256)
def named(method: str, order: int | None, derivatives: int) -> Formula | None:
    """The formula of this name and order, None where there is none."""
    if order is not None and (isinstance(order, bool) or not isinstance(order, int) or order < 1):
        return None
    offsets: tuple[Fraction | int, ...]
    multiples: tuple[Fraction | int, ...]
    if method in ("forward", "backward"):
        order = order or 1
        sign = 1 if method == "forward" else -1
        offsets = tuple(sign * k for k in range(order + derivatives))
    elif method in ("central", "richardson"):
        order = order or 2
        reach = order // 2 if method == "richardson" else (order + derivatives - 1) // 2
        if order % 2 or (method == "richardson" and reach + (derivatives - 1) // 2 > len(HALVED)):
            return None
        if method == "richardson":
            multiples = HALVED[: reach + (derivatives - 1) // 2]
        else:
            multiples = tuple(range(1, reach + 1))
        offsets = tuple(sorted((*(-k for k in multiples), 0, *multiples)))
    else:
        return None
    return formula_on(offsets, derivatives, f"{method} of order {order}")
