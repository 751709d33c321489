"""Difference formulas, the step that suits them, and the errors that remain: truncation and round-off.

A formula of order p for the m-th derivative is off by c hᵖ with the step h, since it ends a Taylor series, and by about
eps |f| / hᵐ, since it subtracts nearly equal numbers; the best h, of the size of eps^(1 / (p + m)), balances the two.

**Source** Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, Math. Comp. 51 (1988); Press et al.,
Numerical Recipes, 3rd ed. (2007), section 5.7.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

EPS = float(np.finfo(np.float64).eps)
COMPLEX_STEP = 1e-20


class Formula(NamedTuple):
    """f'(x) ≈ Σ weights[k] f(x + offsets[k] h) / h, off by O(h^order)."""

    offsets: tuple[int, ...]
    weights: tuple[float, ...]
    order: int


FORMULAS: dict[tuple[str, int], Formula] = {
    ("forward", 1): Formula((0, 1), (-1.0, 1.0), 1),
    ("forward", 2): Formula((0, 1, 2), (-1.5, 2.0, -0.5), 2),
    ("backward", 1): Formula((0, -1), (1.0, -1.0), 1),
    ("backward", 2): Formula((0, -1, -2), (1.5, -2.0, 0.5), 2),
    ("central", 2): Formula((-1, 1), (-0.5, 0.5), 2),
    ("central", 4): Formula((-2, -1, 1, 2), (1 / 12, -2 / 3, 2 / 3, -1 / 12), 4),
    ("central", 6): Formula((-3, -2, -1, 1, 2, 3), (-1 / 60, 3 / 20, -3 / 4, 3 / 4, -3 / 20, 1 / 60), 6),
}


MIDDLE: dict[tuple[int, ...], tuple[float, ...]] = {
    (-1, 1): (1 / 2, 1 / 2),
    (-2, -1, 1, 2): (-1 / 6, 2 / 3, 2 / 3, -1 / 6),
    (-3, -2, -1, 1, 2, 3): (1 / 20, -3 / 10, 3 / 4, 3 / 4, -3 / 10, 1 / 20),
}
"""What f(0) is by interpolation between the offsets of a central formula."""


class Difference(NamedTuple):
    """A derivative by differences, and estimates of what it is off by."""

    value: Any
    truncation: Any
    roundoff: Any

    @property
    def error(self) -> Any:
        """Both errors together."""
        return self.truncation + self.roundoff


def formula(method: str, order: int | None) -> Formula:
    """The formula of this name and order; the lowest order there is if none is given.

    **Raises** `ValueError` where there is none.
    """
    orders = [known for name, known in FORMULAS if name == method]
    if not orders or (order is not None and order not in orders):
        there = ", ".join(f"{name} of order {known}" for name, known in FORMULAS)
        raise ValueError(f"[numerical] there is no {method} difference of order {order}; there are {there}, and complex")
    return FORMULAS[method, min(orders) if order is None else order]


def best_step(rule: Formula, scale: float, eps: float = EPS, derivatives: int = 1, least: float = 0.0) -> float:
    """The step that balances truncation and round-off for a function whose derivatives are of the size of the function.

    A power of two, which is added to most numbers without rounding.

    **Parameters** `scale`: the length over which the function changes; `eps`: the relative error of its values;
    `derivatives`: how often it is differentiated; `least`: a shorter step does nothing.
    """
    best = max(float(scale) * eps ** (1.0 / (rule.order + derivatives)), least)
    return math.ldexp(1.0, round(math.log2(best)))


def least_step(x: Array, direction: Array) -> float:
    """A step that moves the elements of `x` by more than their own rounding."""
    moves = (direction != 0) & np.isfinite(x)
    return float(np.max(8 * np.spacing(np.abs(x[moves])) / np.abs(direction[moves]), initial=0.0))


def accuracy(rules: Sequence[Formula], eps: float = EPS) -> float:
    """The relative error of a difference with the best step."""
    order = min(rule.order for rule in rules)
    return float(eps ** (order / (order + len(rules))))


Evaluate = Callable[[list[tuple[float, ...]]], list[Array]]
"""The function's values at some displacements, one number for each direction."""


def difference(
    evaluate: Evaluate, rules: Sequence[Formula], steps: Sequence[float], eps: float = EPS
) -> tuple[Difference, Array]:
    """The mixed derivative at 0 along some directions, by a formula for each of them, and the value there by interpolation.

    The truncation error is estimated by a second difference with twice the steps, the round-off error from the size of
    what is added.  A function that changes faster than the steps tell gives itself away where the interpolation is wrong.
    """
    grid = list(itertools.product(*(range(len(rule.offsets)) for rule in rules)))
    offsets = [tuple(rule.offsets[k] for rule, k in zip(rules, term, strict=True)) for term in grid]
    weights = [math.prod(rule.weights[k] for rule, k in zip(rules, term, strict=True)) for term in grid]
    between = [math.prod(middle(rule)[k] for rule, k in zip(rules, term, strict=True)) for term in grid]
    wanted = dict.fromkeys([*offsets, *(tuple(2 * k for k in offset) for offset in offsets)])
    places = [tuple(k * h for k, h in zip(offset, steps, strict=True)) for offset in wanted]
    values = dict(zip(wanted, map(np.asarray, evaluate(places)), strict=True))
    near = [values[offset] for offset in offsets]
    far = [values[tuple(2 * k for k in offset)] for offset in offsets]
    volume = math.prod(steps)
    with np.errstate(all="ignore"):
        value = total(weights, near) / volume
        wider = total(weights, far) / (volume * 2 ** len(rules))
        size = total(map(abs, weights), map(np.abs, near)) / volume
        order = min(rule.order for rule in rules)
        return Difference(value, np.abs(value - wider) / (2**order - 1), eps * size), total(between, near)


def middle(rule: Formula) -> tuple[float, ...]:
    """The weights by which the formula's values give that at 0."""
    return MIDDLE.get(rule.offsets) or tuple(float(k == 0) for k in rule.offsets)


def total(weights: Iterable[float], values: Iterable[Array]) -> Array:
    """Σ weights[k] values[k]."""
    return np.asarray(sum(w * y for w, y in zip(weights, values, strict=True)))


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


def settled(
    attempt: Callable[..., tuple[Difference, Array]],
    candidates: Sequence[tuple[float, ...]],
    base: Array,
    rules: Sequence[Formula],
    eps: float = EPS,
) -> Difference:
    """The best difference, element by element, of those over some lengths; the first that is good ends the search.

    The best has the smallest estimated error, not in itself, since a step that is far too long makes all numbers small, but
    beside the derivatives that a function of the size of its values has over such a length.

    **Parameters** `attempt`: the difference, and the value by interpolation, with the steps that suit a length in each
    direction; `base`: the function's value; where it is not finite, nothing is expected of the difference.
    """
    there = np.isfinite(base)
    enough = 1e3 * accuracy(rules, eps)
    unit = eps ** (len(rules) / (min(rule.order for rule in rules) + len(rules)))  # the steps' product over the lengths'
    best: Difference | None = None
    lowest: Any = np.inf
    with np.errstate(all="ignore"):
        for given in dict.fromkeys(candidates):
            found, middle = attempt(*given)
            natural = found.roundoff / eps * unit
            score = found.error / np.maximum(np.abs(found.value), natural)
            score = np.where(found.error == 0, 0.0, score)
            misfit = np.abs(base - middle) > 1e-3 * np.maximum(np.abs(base), np.abs(middle) + natural * math.prod(given))
            score = np.where(np.isnan(score), np.inf, np.where(misfit, 1.0 + score / EPS, score))
            taken = score < lowest
            best = (
                found if best is None else Difference(*(np.where(taken, new, old) for new, old in zip(found, best, strict=True)))
            )
            lowest = np.minimum(score, lowest)
            if np.all(lowest <= enough, where=there):
                break
    assert best is not None
    return best
