"""Least squares: residuals are approximated linearly, and the sum of squares of that is minimised.

**Source** Moré, The Levenberg-Marquardt algorithm: implementation and theory, Lecture Notes in Mathematics 630 (1978); Nocedal &
Wright, Numerical Optimization, 2nd ed. (2006), sections 10.2 and 10.3.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.optim.minimizers.line_search import search
from arrayad.optim.minimizers.quadratic import Diagonal, Step, conjugate_gradients
from arrayad.optim.minimizers.residuals import ResidualPoint, Residuals
from arrayad.optim.minimizers.running import Stalled
from arrayad.optim.minimizers.space import Array
from arrayad.optim.minimizers.trust_region import Region

LARGE = 1 << 20
"""Elements of a Jacobian beyond which products with vectors take its place: its singular values would take seconds a step."""


class GaussNewton:
    """The step z of least |J z + r|, and of least |z| among these, with a line search.

    Converges quadratically where the residuals go to 0, linearly otherwise.
    """

    name = "gauss-newton"

    def __init__(self, residuals: Residuals) -> None:
        self.residuals = residuals

    def advance(self, point: ResidualPoint) -> Any:
        jacobian = finite(point.jacobian)
        z = np.linalg.lstsq(jacobian, -point.residuals, rcond=None)[0]
        promised = -point.slope(z) / 2
        new = search(self.residuals, point, z, 1.0) if promised > 0 else None
        if new is None:
            raise Stalled(promised)
        return new


class LevenbergMarquardt:
    """The step z of least |J z + r| among those with |D z| <= Δ, where D has the largest norms met of J's columns.

    The radius Δ follows how well the linear model has foretold the sum of squares.

    **Parameters** `radius`: the first, in multiples of |D x0| (or itself where that is 0).  `jacobian`: "dense" takes J as a
    matrix, "products" multiplies with it and its transpose, as many times as conjugate gradients ask, and D is the identity.
    """

    name = "lm"

    def __init__(self, residuals: Residuals, radius: float = 100.0, jacobian: str | None = None) -> None:
        if jacobian not in (None, "dense", "products"):
            raise ValueError(f'[{residuals.name}] jacobian is {jacobian!r}; it must be "dense", "products" or None')
        self.residuals, self.factor = residuals, radius
        residuals.largest_matrix = {None: LARGE, "dense": sys.maxsize, "products": -1}[jacobian]
        self.region: Region | None = None
        self.scale = np.zeros(residuals.space.size)

    def advance(self, point: ResidualPoint) -> Any:
        dense = self.residuals.by_matrix
        if dense:
            norms = np.linalg.norm(finite(point.jacobian), axis=0)
            self.scale = np.maximum(self.scale, norms)
        scale = np.where(self.scale > 0, self.scale, 1.0)
        if self.region is None:
            length = float(np.linalg.norm(scale * point.x))
            self.region = Region(self.residuals.name, self.factor * (length or 1.0))
        model = dense_model(point, scale) if dense else self.product_model(point)
        while True:
            step = model(self.region.radius)
            new = self.residuals.at(point.x + step.z / scale)
            length = float(np.linalg.norm(step.z))
            noise = self.residuals.noise(point)
            if self.region.judge(step, length, point.value - new.value, noise) and np.isfinite(new.gradient).all():
                return new
            if np.array_equal(new.x, point.x) or step.decrease <= 0:
                raise Stalled(step.decrease)

    def product_model(self, point: ResidualPoint) -> Callable[[float], Step]:
        push, pull = self.residuals.pushed(point), point.transposed
        assert pull is not None
        g = point.gradient
        size = float(np.linalg.norm(g))
        limit = min(2 * g.size + 1, 1000)
        return lambda radius: conjugate_gradients(lambda v: pull(push(v)), g, radius, min(0.1, math.sqrt(size)) * size, limit)


def dense_model(point: ResidualPoint, scale: Array) -> Callable[[float], Step]:
    """The model in D z, by the singular values of J D⁻¹."""
    u, s, vt = np.linalg.svd(point.jacobian / scale, full_matrices=False)
    s, u, vt = s[::-1], u[:, ::-1], vt[::-1]
    s = np.where(s > np.finfo(np.float64).eps * max(u.shape[0], vt.shape[1]) * np.max(s, initial=0.0), s, 0.0)
    return Diagonal(s * s, vt.T, s * (u.T @ point.residuals)).minimum


def finite(jacobian: Array) -> Array:
    if not np.isfinite(jacobian).all():
        raise Stalled(message="the Jacobian is not finite here")
    return jacobian
