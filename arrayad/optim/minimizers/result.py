"""What a minimiser returns: the point, how it was found, and at what price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from arrayad import tree


@dataclass
class Evaluations:
    """How often each thing was computed: a value, a gradient, a Hessian's product with a vector, a Hessian; of residuals a
    Jacobian, its product with a vector, that of its transpose."""

    value: int = 0
    gradient: int = 0
    hvp: int = 0
    hessian: int = 0
    jacobian: int = 0
    jvp: int = 0
    vjp: int = 0

    @property
    def total(self) -> int:
        """Values and first derivatives together."""
        return self.value + self.gradient + self.jacobian + self.vjp

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, x.name)} {x.name}" for x in fields(self) if getattr(self, x.name))


@dataclass
class History:
    """What was at each iteration, the start among them: one list each.

    `evaluations` counts values and first derivatives together.  `x` holds the points as trees, if they were asked for.
    """

    value: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)
    x: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Result:
    """Where a minimiser stopped.

    `x`, `gradient`: trees like x0; `value`: f(x), of residuals half the sum of their squares.  `converged`: whether a tolerance
    was met, or no lower value can be told from rounding; `message` says which, or what went wrong.  `x` is the best point of
    all iterations, and `value` and `gradient` are its own.  `details`: what SciPy returned, where it did the work.
    """

    x: Any
    value: float
    gradient: Any
    converged: bool
    message: str
    iterations: int
    evaluations: Evaluations
    history: History
    method: str
    details: Any = None

    @property
    def order(self) -> float:
        """The observed order of convergence p, |g[k + 1]| ≈ c |g[k]|^p, over the last iterations; nan of too few."""
        spacings = [float(np.finfo(leaf.dtype).eps) for leaf in tree.leaves(self.gradient)]
        return observed_order(self.history.gradient_norm, max(spacings, default=0.0))

    def __repr__(self) -> str:
        word = "converged" if self.converged else "not converged"
        norm = self.history.gradient_norm[-1]
        return (
            f"<{self.method}: {word}, {self.message}; value {self.value:.6g}, |gradient| {norm:.1e} after "
            f"{self.iterations} iterations: {self.evaluations}>"
        )


def observed_order(errors: Sequence[float], epsilon: float = 2.0**-52, last: int = 4) -> float:
    """The order p of a sequence that goes to 0: the slope of log e[k + 1] over log e[k], by least squares.

    Only the end of the sequence tells: the `last` pairs in which the errors fall, before they are lost in rounding, 16 `epsilon`
    of the largest.  nan where these are fewer than two, or as good as one.

    **Example**

    >>> round(observed_order([0.5, 0.25, 0.0625, 0.00390625]), 6)
    2.0
    """
    falling: list[float] = []
    for e in errors:
        if e > 16.0 * epsilon * max(errors) and (not falling or e < falling[-1]):
            falling.append(e)
    tail = np.log(falling[-(last + 1) :])
    if tail.size < 3:
        return math.nan
    before, after = tail[:-1] - np.mean(tail[:-1]), tail[1:] - np.mean(tail[1:])
    return float(before @ after / (before @ before)) if np.ptp(before) > 0.1 else math.nan
