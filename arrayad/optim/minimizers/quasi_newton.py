"""Quasi-Newton methods: what they share, and BFGS, which keeps the inverse of a Hessian as a matrix.

**Source** Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), section 6.1, equation 6.17, and section 3.5, equation 3.60;
the first scale: Oren & Luenberger, Self-scaling variable metric algorithms, Management Science 20 (1974).
"""

from __future__ import annotations

import math

import numpy as np

from arrayad.optim.minimizers.line_search import search
from arrayad.optim.minimizers.objective import Objective, Point
from arrayad.optim.minimizers.running import Stalled
from arrayad.optim.minimizers.space import Array

CURVED = 2.2e-16
"""A pair s, y tells something of the curvature where s·y exceeds this times y·y."""


class QuasiNewton:
    """d = -H g, where H, an approximation of the inverse Hessian, learns from pairs s = x' - x, y = g' - g."""

    name: str

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.is_fresh = True
        """Whether H is still the identity, which says nothing of the length of a step."""

    def advance(self, point: Point) -> Point:
        direction = self.direction(point)
        promised = -point.slope(direction) / 2
        new = self.searched(point, direction) if promised > 0 else None
        if new is None and not self.is_fresh and not 0 < promised <= self.objective.noise(point):
            self.forget()
            self.is_fresh = True
            direction = self.direction(point)
            new = self.searched(point, direction)
        if new is None:
            raise Stalled(math.inf if self.is_fresh else promised)
        if new.value > -math.inf:
            s, y = new.x - point.x, new.gradient - point.gradient
            if s @ y > CURVED * float(y @ y):
                self.remember(s, y)
                self.is_fresh = False
        return new

    def searched(self, point: Point, direction: Array) -> Point | None:
        """A lower point on the way."""
        return search(self.objective, point, direction, first_step(direction) if self.is_fresh else 1.0)

    def direction(self, point: Point) -> Array:
        """Where to go from a point."""
        return -self.times_inverse(point.gradient)

    def times_inverse(self, g: Array) -> Array:
        """H g."""
        raise TypeError(f"[{self.name}] this method has no times_inverse; define it, or direction")

    def remember(self, s: Array, y: Array) -> None:
        """Take a pair into H."""
        raise TypeError(f"[{self.name}] this method has no remember; define it")

    def forget(self) -> None:
        """Make H the identity again."""
        raise TypeError(f"[{self.name}] this method has no forget; define it")


def first_step(direction: Array) -> float:
    """The step along the gradient while nothing is known of its length: as long as the gradient, at most 1."""
    return 1.0 / max(1.0, float(np.linalg.norm(direction)))


class BFGS(QuasiNewton):
    """H' = (I - ρ s yᵀ) H (I - ρ y sᵀ) + ρ s sᵀ, ρ = 1 / y·s, with H = (s·s / y·s) I before the first pair.

    Takes n² numbers of memory and n² products a step.
    """

    name = "bfgs"

    def __init__(self, objective: Objective) -> None:
        super().__init__(objective)
        self.fall = math.inf
        """By how much the last step has lowered the value."""
        self.forget()

    def forget(self) -> None:
        self.inverse = np.eye(self.objective.space.size)

    def searched(self, point: Point, direction: Array) -> Point | None:
        """A lower point on the way, where the whole step is not tried first if the last one has not earned it."""
        expected = 1.01 * 2.0 * self.fall / -point.slope(direction)
        first = first_step(direction) if self.is_fresh else min(1.0, expected) if expected > 0 else 1.0
        new = search(self.objective, point, direction, first, curvature=0.5, eager=False)
        if new is not None:
            self.fall = point.value - new.value
        return new

    def times_inverse(self, g: Array) -> Array:
        return self.inverse @ g

    def remember(self, s: Array, y: Array) -> None:
        rho = 1.0 / float(s @ y)
        if self.is_fresh:
            self.inverse *= rho * float(s @ s)
        hy = self.inverse @ y
        cross = np.outer(s, hy)
        self.inverse += rho * ((1.0 + rho * float(y @ hy)) * np.outer(s, s) - cross - cross.T)
