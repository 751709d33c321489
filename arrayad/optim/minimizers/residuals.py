"""Residuals, whose squares are summed, as a function of vectors: values, Jacobians and products with them, each counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import DTypeError
from arrayad.modes import no_grad
from arrayad.optim.minimizers.objective import Point, Problem, assembled, refuse_followed
from arrayad.optim.minimizers.space import Array, Space, frozen
from arrayad.transforms.boundary import result_leaves
from arrayad.transforms.derivatives import jacobian
from arrayad.transforms.forward import linearize


class ResidualPoint(Point):
    """A point of half the sum of squares, with its residuals, and their Jacobian when asked."""

    __slots__ = ("_jacobian", "residuals", "transposed")

    objective: Residuals

    def __init__(self, objective: Residuals, x: Array, residuals: Array, transposed: Callable[[Array], Array] | None) -> None:
        with np.errstate(all="ignore"):
            super().__init__(objective, x, float(residuals @ residuals) / 2, None)
        self.residuals, self.transposed = residuals, transposed
        self._jacobian: Array | None = None

    @property
    def gradient(self) -> Array:
        """Jᵀ r, by one sweep, or by the Jacobian where that will be needed anyway."""
        if self._gradient is None:
            if self.objective.by_matrix:
                self._gradient = frozen(self.jacobian.T @ self.residuals)
            else:
                assert self.transposed is not None
                self._gradient = self.transposed(self.residuals)
        return self._gradient

    @property
    def jacobian(self) -> Array:
        """J[i, j] = ∂r[i] / ∂x[j]."""
        if self._jacobian is None:
            self._jacobian = self.objective.jacobian(self)
        return self._jacobian


class Residuals(Problem):
    """Residuals r = f(x, *args), a tree of arrays, as a vector of which r·r / 2 is minimised."""

    def __init__(self, name: str, f: Callable[..., Any], space: Space, args: tuple[Any, ...]) -> None:
        super().__init__(name, f, space, args, None)
        self.matrix = jacobian(f)
        self.sizes: list[int] = []
        self.largest_matrix = -1
        """Up to how many elements the Jacobian is taken as a matrix, which gradients are then made of."""

    def evaluated(self, x: Array, check: bool = False) -> ResidualPoint:
        self.evaluations.value += 1
        argument = self.space.unpack(x)
        with np.errstate(all="ignore"):
            if check:
                y, pull = self.run(argument, says=self.space.size > 0)
                self.check_residuals(y)
            else:
                with no_grad():
                    y, pull = self.run(argument)
        leaves, structure = result_leaves(self.name, y)
        shapes = [(leaf.shape, leaf.dtype) for leaf in leaves]

        def transposed(v: Array) -> Array:
            self.evaluations.vjp += 1
            stops = np.cumsum([math.prod(shape) for shape, _ in shapes])
            parts = np.split(v, stops[:-1])
            cotangents = [part.reshape(shape).astype(dtype) for part, (shape, dtype) in zip(parts, shapes, strict=True)]
            with np.errstate(all="ignore"), no_grad():
                return self.space.pack(pull(tree.unflatten(structure, cotangents))[0])

        return ResidualPoint(self, x, self.space.vector(leaves), transposed)

    def outside(self, x: Array) -> ResidualPoint:
        return ResidualPoint(self, x, np.array([math.nan]), None)

    def check_residuals(self, y: Any) -> None:
        """Refuse what are no real arrays, and what somebody outside follows."""
        leaves, _ = result_leaves(self.name, y)
        refuse_followed(self.name, leaves)
        for path, leaf in tree.paths(y, "the result"):
            dtype = np.dtype(getattr(leaf, "dtype", np.float64))
            if dtype not in (np.float32, np.float64):
                raise DTypeError(f"[{self.name}] {path} of f is {dtype}; residuals are float32 or float64")
            self.epsilon = max(self.epsilon, float(np.finfo(dtype).eps))
        self.sizes = [leaf.size for leaf in leaves]

    @property
    def by_matrix(self) -> bool:
        """Whether the Jacobian is small enough to be a matrix."""
        return sum(self.sizes) * self.space.size <= self.largest_matrix

    def jacobian(self, point: Point) -> Array:
        """The matrix of first derivatives of the residuals."""
        self.evaluations.jacobian += 1
        with np.errstate(all="ignore"), no_grad():
            blocks = tree.leaves(self.matrix(self.space.unpack(point.x), *self.args))
        return assembled(blocks, self.sizes, self.space.sizes)

    def pushed(self, point: Point) -> Callable[[Array], Array]:
        """The product of the Jacobian at a point with a vector."""
        with np.errstate(all="ignore"), no_grad():
            linear = linearize(self.of_x(), self.space.unpack(point.x))[1]

        def product(v: Array) -> Array:
            self.evaluations.jvp += 1
            with np.errstate(all="ignore"), no_grad():
                return self.space.vector(tree.leaves(linear(self.space.unpack(frozen(v)))))

        return product
