"""L-BFGS: a quasi-Newton method that remembers the last steps instead of a matrix.

**Source** Nocedal, Updating quasi-Newton matrices with limited storage, Math. Comp. 35 (1980); Liu & Nocedal, On the limited
memory BFGS method for large scale optimization, Math. Program. 45 (1989).
"""

from __future__ import annotations

import math
from collections import deque

from arrayad.optim.minimizers.line_search import search
from arrayad.optim.minimizers.objective import Objective, Point
from arrayad.optim.minimizers.running import Stalled
from arrayad.optim.minimizers.space import Array

CURVED = 2.2e-16
"""A pair s, y tells something of the curvature where s·y exceeds this times y·y."""


class LimitedMemory:
    """L-BFGS: d = -H g, where H is made of the last `memory` pairs s = x' - x, y = g' - g, anew at each step.

    **Parameters** `memory`: how many pairs.
    """

    name = "l-bfgs"

    def __init__(self, objective: Objective, memory: int = 10) -> None:
        if memory < 1:
            raise ValueError(f"[{objective.name}] memory is {memory}; it must be at least 1")
        self.objective = objective
        self.pairs: deque[tuple[Array, Array, float]] = deque(maxlen=memory)

    def advance(self, point: Point) -> Point:
        direction = -self.times_inverse(point.gradient)
        promised = -point.slope(direction) / 2
        new = self.searched(point, direction) if promised > 0 else None
        if new is None and self.pairs and not 0 < promised <= self.objective.noise(point):
            self.pairs.clear()
            new = self.searched(point, -point.gradient)
        if new is None:
            raise Stalled("the line search found no lower value", promised if self.pairs else math.inf)
        self.remember(new.x - point.x, new.gradient - point.gradient)
        return new

    def searched(self, point: Point, direction: Array) -> Point | None:
        return search(self.objective, point, direction, 1.0 if self.pairs else first_step(point))

    def remember(self, s: Array, y: Array) -> None:
        """Keep a pair, if it shows positive curvature."""
        product = float(s @ y)
        if product > CURVED * float(y @ y):
            self.pairs.append((s, y, 1.0 / product))

    def times_inverse(self, g: Array) -> Array:
        """H g, by the two loops over the pairs."""
        q = g.copy()
        weights = []
        for s, y, rho in reversed(self.pairs):
            weight = rho * float(s @ q)
            q -= weight * y
            weights.append(weight)
        if self.pairs:
            s, y, rho = self.pairs[-1]
            q /= rho * float(y @ y)
        for (s, y, rho), weight in zip(self.pairs, reversed(weights), strict=True):
            q += (weight - rho * float(y @ q)) * s
        return q


def first_step(point: Point) -> float:
    """The step along the gradient of which nothing is known yet: of length 1, or shorter where the gradient is."""
    return 1.0 / max(1.0, float(point.gradient @ point.gradient) ** 0.5)
