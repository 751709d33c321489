"""Newton's method with a line search: by the Hessian, or by its products with vectors.

**Source** Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), section 3.4 and algorithm 7.1; absolute eigenvalues where the
Hessian is indefinite: Gill, Murray & Wright, Practical Optimization (1981), section 4.4.2.1.
"""

from __future__ import annotations

import math

import numpy as np

from arrayad.optim.minimizers.line_search import search
from arrayad.optim.minimizers.objective import Objective, Point
from arrayad.optim.minimizers.quadratic import conjugate_gradients
from arrayad.optim.minimizers.running import Stalled
from arrayad.optim.minimizers.space import Array

FLAT = 1e-8
"""Eigenvalues below this times the largest are taken for as much."""


class Newton:
    """d = -H⁻¹ g by Cholesky's factors; where H is not positive definite, by its eigenvalues' absolute values.

    Converges quadratically.
    """

    name = "newton"

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def advance(self, point: Point) -> Point:
        direction = self.direction(point)
        new = search(self.objective, point, direction, 1.0)
        if new is None:
            raise Stalled(-point.slope(direction) / 2)
        return new

    def direction(self, point: Point) -> Array:
        """A descent direction, Newton's where the Hessian is positive definite."""
        h = self.objective.hessian(point)
        if not np.isfinite(h).all():
            raise Stalled(message="the Hessian is not finite here")
        return -positive_solve(h, point.gradient)


def positive_solve(h: Array, g: Array) -> Array:
    """|H|⁻¹ g, where |H| has the absolute values of H's eigenvalues, kept away from 0."""
    try:
        factor = np.linalg.cholesky(h)
        x = np.linalg.solve(factor.T, np.linalg.solve(factor, g))
        if np.isfinite(x).all() and g @ x > 0:
            return x
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(h)
    sizes = np.abs(values)
    return vectors @ ((vectors.T @ g) / np.maximum(sizes, FLAT * np.max(sizes, initial=0.0) or 1.0))


class NewtonCG:
    """d ≈ -H⁻¹ g by conjugate gradients, one product with the Hessian each, stopped where |H d + g| <= η |g| or the curvature is
    not positive.  η = min(1/2, √|g|) makes it superlinear.

    **Parameters** `max_products`: of conjugate gradients in a step; by default twice the number of unknowns, at most 1000.
    """

    name = "newton-cg"

    def __init__(self, objective: Objective, max_products: int | None = None) -> None:
        self.objective = objective
        self.max_products = min(2 * objective.space.size + 1, 1000) if max_products is None else max_products

    def advance(self, point: Point) -> Point:
        g = point.gradient
        size = float(np.linalg.norm(g))
        found = conjugate_gradients(
            self.objective.product(point), g, math.inf, min(0.5, math.sqrt(size)) * size, self.max_products
        )
        direction = found.z
        new = search(self.objective, point, direction, 1.0)
        if new is None:
            raise Stalled(-point.slope(direction) / 2)
        return new
