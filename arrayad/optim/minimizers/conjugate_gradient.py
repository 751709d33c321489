"""Nonlinear conjugate gradients: directions that remember one direction.

**Source** Hestenes & Stiefel (1952) and Polak & Ribière (1969), as in Nocedal & Wright, Numerical Optimization, 2nd ed. (2006),
equations 5.44 to 5.46; Hager & Zhang, A new conjugate gradient method with guaranteed descent and an efficient line search,
SIAM J. Optim. 16 (2005), equations 1.3 to 1.6.
"""

from __future__ import annotations

import math

import numpy as np

from arrayad.optim.minimizers.line_search import search
from arrayad.optim.minimizers.objective import Objective, Point
from arrayad.optim.minimizers.quasi_newton import first_step
from arrayad.optim.minimizers.running import Stalled
from arrayad.optim.minimizers.space import Array

CURVATURE = 0.2
"""What is left of the slope at the end of a line search: directions are conjugate only as far as it is little."""


class ConjugateGradient:
    """d' = -g' + β d.

    **Parameters** `beta`, with y = g' - g: "hestenes-stiefel", β = max(0, g'·y / d·y), which is the next one after an exact
    line search; "polak-ribiere", β = max(0, g'·y / g·g); or "hager-zhang", β = (y - 2 d y·y / d·y) · g' / d·y, bounded below.
    """

    name = "cg"

    def __init__(self, objective: Objective, beta: str = "hestenes-stiefel") -> None:
        if beta not in FORMULAS:
            raise ValueError(f"[{objective.name}] beta is {beta!r}; it must be one of {', '.join(map(repr, FORMULAS))}")
        self.objective, self.formula = objective, FORMULAS[beta]
        self.before: tuple[Point, Array, float] | None = None
        """The point before, its direction, and the length of the step along it."""

    def advance(self, point: Point) -> Point:
        direction, first = self.direction(point)
        promised = -point.slope(direction) * first / 2
        new = self.searched(point, direction, first)
        if new is None and self.before is not None and promised > self.objective.noise(point):
            self.before = None
            direction, first = self.direction(point)
            new = self.searched(point, direction, first)
        if new is None:
            raise Stalled(math.inf if self.before is None else promised)
        length = float(np.linalg.norm(new.x - point.x) / np.linalg.norm(direction))
        self.before = point, direction, length
        return new

    def searched(self, point: Point, direction: Array, first: float) -> Point | None:
        """A lower point on the way.  Its length is known well enough for most trials to need no slope."""
        return search(self.objective, point, direction, first, curvature=CURVATURE, eager=False, stretch=4.0)

    def direction(self, point: Point) -> tuple[Array, float]:
        """Where to go, and how far at first."""
        g = point.gradient
        if self.before is not None:
            old, d, length = self.before
            y = g - old.gradient
            if d @ y > 0:
                direction = -g + self.formula(g, old.gradient, y, d) * d
                slope = point.slope(direction)
                if slope < 0:
                    return direction, length * old.slope(d) / slope
        return -g, first_step(g)


def hestenes_stiefel(g: Array, before: Array, y: Array, d: Array) -> float:
    return max(0.0, float(g @ y) / float(d @ y))


def polak_ribiere(g: Array, before: Array, y: Array, d: Array) -> float:
    return max(0.0, float(g @ y) / float(before @ before))


def hager_zhang(g: Array, before: Array, y: Array, d: Array) -> float:
    dy = float(d @ y)
    beta = float((y - 2.0 * d * (float(y @ y) / dy)) @ g) / dy
    return max(beta, -1.0 / (float(np.linalg.norm(d)) * min(0.01, float(np.linalg.norm(before)))))


FORMULAS = {"hestenes-stiefel": hestenes_stiefel, "polak-ribiere": polak_ribiere, "hager-zhang": hager_zhang}
