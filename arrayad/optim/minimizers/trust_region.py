"""Trust regions: the quadratic model is minimised in a ball in which it has proved right.

**Source** Conn, Gould & Toint, Trust-Region Methods (2000), algorithm 6.1.1, and section 17.4.2 on rounding; Nocedal & Wright,
Numerical Optimization, 2nd ed. (2006), algorithms 4.1 and 7.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from arrayad.optim.minimizers.objective import Objective, Point
from arrayad.optim.minimizers.quadratic import Diagonal, Step, conjugate_gradients
from arrayad.optim.minimizers.running import Stalled

ACCEPTED = 1e-4
"""A step is taken that lowers the value by this share of what the model promised."""

GOOD = 0.75
POOR = 0.25


class Region:
    """The radius within which the model is trusted, and how it changes."""

    def __init__(self, name: str, radius: float) -> None:
        if not radius > 0:
            raise ValueError(f"[{name}] radius is {radius}; it must be positive")
        self.radius = radius

    def judge(self, step: Step, length: float, fall: float, noise: float) -> bool:
        """Whether to take a step of this length after which the value has fallen by so much; changes the radius."""
        ratio = (fall + noise) / (step.decrease + noise) if math.isfinite(fall) else -math.inf
        if ratio < POOR:
            self.radius = length * (0.25 if ratio > -math.inf else 0.1)
        elif ratio > GOOD and step.is_bounded:
            self.radius *= 2.0
        return ratio > ACCEPTED


class TrustRegion:
    """Newton's method in a ball, the model minimised exactly by the Hessian's eigenvalues: it leaves saddles behind.

    **Parameters** `radius`: the first.
    """

    name = "trust-region"

    def __init__(self, objective: Objective, radius: float = 1.0) -> None:
        self.objective = objective
        self.region = Region(objective.name, radius)

    def advance(self, point: Point) -> Point:
        model = self.model(point)
        while True:
            step = model(self.region.radius)
            new = self.objective.at(point.x + step.z)
            noise = self.objective.noise(point)
            length = float(np.linalg.norm(step.z))
            if new.value == -math.inf:
                return new
            if self.region.judge(step, length, point.value - new.value, noise) and np.isfinite(new.gradient).all():
                return new
            if np.array_equal(new.x, point.x) or step.decrease <= 0:
                raise Stalled(step.decrease)

    def model(self, point: Point) -> Callable[[float], Step]:
        """The best step as a function of the radius."""
        h = self.objective.hessian(point)
        if not np.isfinite(h).all():
            raise Stalled(message="the Hessian is not finite here")
        values, vectors = np.linalg.eigh(h)
        return Diagonal(values, vectors, vectors.T @ point.gradient).minimum


class TrustRegionCG(TrustRegion):
    """Newton's method in a ball, the model minimised by conjugate gradients: one product with the Hessian each.

    **Parameters** `radius`: the first.  `max_products`: of conjugate
    gradients in a step; by default twice the number of unknowns, at most 1000.
    """

    name = "trust-region-cg"

    def __init__(self, objective: Objective, radius: float = 1.0, max_products: int | None = None) -> None:
        super().__init__(objective, radius)
        self.max_products = min(2 * objective.space.size + 1, 1000) if max_products is None else max_products

    def model(self, point: Point) -> Callable[[float], Step]:
        """The best step as a function of the radius."""
        g = point.gradient
        size = float(np.linalg.norm(g))
        product = self.objective.product(point)
        tolerance = min(0.1, math.sqrt(size)) * size
        return lambda radius: conjugate_gradients(product, g, radius, tolerance, self.max_products)
