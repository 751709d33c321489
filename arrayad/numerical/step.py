"""Difference formulas, the step that suits them, and the errors that remain: truncation and round-off.

A formula of order p with step h is off by c hᵖ, since it ends a Taylor series, and by about eps |f| / h, since it
subtracts nearly equal numbers; the best h balances the two.

**Source** Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, Math. Comp. 51 (1988); Press et al.,
Numerical Recipes, 3rd ed. (2007), section 5.7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


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


def best_step(rule: Formula, scale: float, eps: float) -> float:
    """The step that balances truncation and round-off for a function whose derivatives are of the size of the function.

    `scale`: the length over which the function changes, |x| or 1.
    """
    return float(scale) * eps ** (1.0 / (rule.order + 1))


def difference(f: Callable[[float], Any], rule: Formula, h: float, eps: float) -> Difference:
    """f'(0) by a formula; the truncation error from a second estimate with twice the step.

    `f` may give an array; `eps` is the relative error of its values.
    """
    values = {k: np.asarray(f(k * h)) for k in rule.offsets}
    wide = {k: values[2 * k] if 2 * k in values else np.asarray(f(2 * k * h)) for k in rule.offsets}
    near = sum(w * values[k] for k, w in zip(rule.offsets, rule.weights, strict=True)) / h
    far = sum(w * wide[k] for k, w in zip(rule.offsets, rule.weights, strict=True)) / (2 * h)
    size = sum(abs(w) * np.abs(values[k]) for k, w in zip(rule.offsets, rule.weights, strict=True))
    return Difference(near, np.abs(near - far) / (2**rule.order - 1), eps * size / h)


def complex_step(f: Callable[[complex], Any], eps: float) -> Difference:
    """f'(0) as Im f(ih)/h with a tiny h, which subtracts nothing: for real-analytic functions of complex numbers.

    **Source** Squire & Trapp, SIAM Review 40 (1998).
    """
    h = 1e-20
    value = np.imag(np.asarray(f(1j * h))) / h
    return Difference(value, np.zeros_like(value), eps * np.abs(value))
