"""The minimum of a quadratic model g·z + z·H z / 2 in a ball |z| <= r: exactly by eigenvalues, or by conjugate gradients.

**Source** Moré & Sorensen, Computing a trust region step, SIAM J. Sci. Stat. Comput. 4 (1983); Steihaug, The conjugate gradient
method and trust regions in large scale optimization, SIAM J. Numer. Anal. 20 (1983).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from arrayad.optim.minimizers.space import Array


class Step(NamedTuple):
    """A step of the model: the vector, by how much the model falls, and whether it ends on the ball's surface."""

    z: Array
    decrease: float
    is_bounded: bool


def conjugate_gradients(product: Callable[[Array], Array], g: Array, radius: float, tolerance: float, limit: int) -> Step:
    """The model's minimum by conjugate gradients from 0, as far as the ball reaches.

    Ends where |H z + g| <= tolerance, after `limit` products, or on a direction of no positive curvature: there on the surface
    of the ball, where it is infinite at the last z, or at -g if there is none.
    """
    z, hz = np.zeros_like(g), np.zeros_like(g)
    r, d = g.copy(), -g
    for k in range(limit):
        hd = product(d.copy())
        curvature = float(d @ hd)
        rr = float(r @ r)
        if not curvature > 0:
            if math.isfinite(radius):
                t = to_surface(z, d, radius)
                return step(z + t * d, hz + t * hd, g, True)
            return step(d if k == 0 else z, hd if k == 0 else hz, g, False)
        t = rr / curvature
        if np.linalg.norm(z + t * d) >= radius:
            t = to_surface(z, d, radius)
            return step(z + t * d, hz + t * hd, g, True)
        z, hz, r = z + t * d, hz + t * hd, r + t * hd
        if np.linalg.norm(r) <= tolerance:
            break
        d = -r + float(r @ r) / rr * d
    return step(z, hz, g, False)


def step(z: Array, hz: Array, g: Array, is_bounded: bool) -> Step:
    return Step(z, -float(g @ z) - float(z @ hz) / 2, is_bounded)


def to_surface(z: Array, d: Array, radius: float) -> float:
    """How far from z along d the surface of the ball is."""
    a, b, c = float(d @ d), float(z @ d), radius * radius - float(z @ z)
    root = math.sqrt(b * b + a * c)
    return c / (b + root) if b > 0 else (root - b) / a


class Diagonal(NamedTuple):
    """A model in its eigenvectors: H = Q diag(values) Qᵀ, values ascending, and Qᵀ g."""

    values: Array
    vectors: Array
    components: Array

    def minimum(self, radius: float) -> Step:
        """The model's minimum in the ball: z = -(H + σ I)⁻¹ g with the least σ >= 0 that keeps H + σ I from being indefinite, and
        |z| <= r."""
        values, c = self.values, self.components
        scale = float(np.max(np.abs(values), initial=0.0)) or 1.0
        tiny = 1e-15 * scale * values.size
        shift = max(0.0, -float(values[0]))
        weights = weighted(values + shift, c, tiny)
        is_indefinite = bool(values[0] < -tiny)
        if float(np.linalg.norm(weights)) > radius:
            weights, is_bounded = self.on_surface(radius, shift, tiny), True
        else:
            is_bounded = is_indefinite
            if is_indefinite:  # the hard case: the rest of the way along the eigenvector of the least value
                first = np.zeros_like(c)
                first[0] = 1.0
                weights = weights + to_surface(weights, first, radius) * first
        decrease = -float(c @ weights) - float(values @ (weights * weights)) / 2
        return Step(self.vectors @ weights, decrease, is_bounded)

    def on_surface(self, radius: float, low: float, tiny: float) -> Array:
        """The weights of the eigenvectors for the σ > low with |z| = r: Newton's steps on 1/r - 1/|z|, kept in a bracket."""
        values, c = self.values, self.components
        high = low + float(np.linalg.norm(c)) / radius
        sigma = low
        for _ in range(100):
            weights = weighted(values + sigma, c, tiny)
            length = float(np.linalg.norm(weights))
            if abs(length - radius) <= 1e-12 * radius:
                break
            if length > radius:
                low = sigma
            else:
                high = sigma
            with np.errstate(divide="ignore", invalid="ignore"):
                bend = float(np.sum(np.where(weights == 0, 0.0, weights * weights / (values + sigma))))
            new = sigma + (length - radius) / radius * length * length / bend if bend > 0 else math.inf
            if not low < new < high:
                new = (low + high) / 2
            if new in (low, high):
                break
            sigma = new
        return weights * (radius / length)


def weighted(shifted: Array, c: Array, tiny: float) -> Array:
    """-c / shifted; where both vanish 0, where the divisor alone does, as large as makes no difference."""
    return np.where((np.abs(shifted) <= tiny) & (np.abs(c) <= tiny), 0.0, -c / np.maximum(shifted, tiny))
