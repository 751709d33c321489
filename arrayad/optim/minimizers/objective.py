"""What is minimised, as a function of vectors: values, gradients and products with the Hessian, each counted.

A point runs the function once, recorded; its gradient is swept only when somebody asks for it, so that a trial that is refused
by its value alone costs no gradient.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.compiler.compile import compile
from arrayad.errors import AbstractValueError, DerivativeError, DTypeError, ShapeError, describe
from arrayad.modes import no_grad
from arrayad.optim.minimizers.result import Evaluations, History
from arrayad.optim.minimizers.space import Array, Box, Space, frozen
from arrayad.shaped import is_abstract
from arrayad.tape import LEAF, watchers
from arrayad.tensor import Tensor
from arrayad.transforms.boundary import result_leaves
from arrayad.transforms.derivatives import hessian, hvp
from arrayad.transforms.forward import linearize
from arrayad.transforms.reverse import grad, pullback, value_and_grad

OUTSIDE = (np.linalg.LinAlgError, ArithmeticError)
"""What a function raises where it has no value; at a trial it counts as nan."""

ROUNDING = 100
"""How many units of rounding of the value a decrease must be worth before it can be told from noise."""


class Point:
    """A vector with the value there, and the gradient when asked."""

    __slots__ = ("_gradient", "objective", "pull", "value", "x")

    def __init__(self, objective: Problem, x: Array, value: float, pull: Callable[[], Array] | None) -> None:
        self.objective, self.x, self.value, self.pull = objective, x, value, pull
        self._gradient: Array | None = None

    @property
    def gradient(self) -> Array:
        """The gradient at this point, swept at most once."""
        if self._gradient is None:
            assert self.pull is not None
            self._gradient, self.pull = self.pull(), None
        return self._gradient

    def slope(self, direction: Array) -> float:
        """The derivative along a direction."""
        return float(self.gradient @ direction)


class Programs:
    """The compiled derivatives of a function: of (x, *args), for the product with the Hessian of (x, v, *args)."""

    def __init__(self, f: Callable[..., Any]) -> None:
        def product(x: Any, v: Any, *args: Any) -> Any:
            return hvp(lambda x: f(x, *args), x, v)

        self.both = compile(value_and_grad(f))
        self.product = compile(product)
        self.hessian = compile(hessian(f))


def programs_of(f: Callable[..., Any]) -> Programs:
    """The compiled derivatives of a function, those of an earlier run where there was one."""
    return remembered(f) if isinstance(f, Hashable) else Programs(f)


remembered = functools.lru_cache(maxsize=8)(Programs)
"""The last few functions' programs: one function is often minimised again and again, with other `args`."""


class Problem:
    """A function of a tree, `f(x, *args)`, that is evaluated at vectors."""

    def __init__(self, name: str, f: Callable[..., Any], space: Space, args: tuple[Any, ...], box: Box | None) -> None:
        if not isinstance(args, tuple):
            raise TypeError(f"[{name}] args is {type(args).__name__}; a tuple is needed: args=(data,)")
        self.name, self.f, self.space, self.args, self.box = name, f, space, args, box
        self.evaluations = Evaluations()
        self.epsilon = space.epsilon

    def of_x(self) -> Callable[..., Any]:
        """The function of x alone."""
        return lambda x: self.f(x, *self.args)

    def start(self) -> Any:
        """The point from which to go.

        **Raises** what a function cannot be minimised for: no number at x0, a derivative asked for from outside.
        """
        x = self.space.start if self.box is None else self.space.rounded(self.box.project(self.space.start))
        point = self.evaluated(x, check=True)
        if not math.isfinite(point.value):
            raise ValueError(f"[{self.name}] the value at x0 is {point.value}; start where f is finite")
        if (bad := ~np.isfinite(point.gradient)).any():
            place = self.space.where(bad)
            raise ValueError(
                f"[{self.name}] the derivative by {place} at x0 is {point.gradient[int(np.argmax(bad))]}, though the value is "
                f"{point.value:g}; start beside the kink, or see docs/kinks.md"
            )
        return point

    def at(self, x: Array) -> Any:
        """A point to try; where the function raises for want of a value, the value is nan."""
        try:
            return self.evaluated(self.space.rounded(x))
        except OUTSIDE:
            return self.outside(x)

    def evaluated(self, x: Array, check: bool = False) -> Any:
        """The point of a vector; with `check`, after looking at what kind of thing f returns."""
        raise TypeError(f"[{self.name}] this problem cannot be evaluated; define evaluated")

    def outside(self, x: Array) -> Any:
        """A point without a value."""
        return Point(self, x, math.nan, None)

    def run(self, argument: Any, says: bool = False) -> tuple[Any, Callable[[Any], Any]]:
        """What f returns, and how a cotangent of it goes back, which `says` where f does not depend on x."""
        y, pull = pullback(self.name, self.of_x(), (argument,), says=says)
        return y, pull

    def gradient_norm(self, point: Point) -> float:
        """The largest element of the gradient, of the projected gradient P(x - g) - x where there are bounds."""
        g = point.gradient
        if self.box is not None:
            g = self.box.project(point.x - g) - point.x
        return float(np.max(np.abs(g), initial=0.0))

    def note(self, history: History, point: Point, previous: Point, keep: bool) -> None:
        """Write down where an iteration has come to; with `keep` the point as well."""
        history.value.append(point.value)
        history.gradient_norm.append(self.gradient_norm(point) if point.value != -math.inf else math.nan)
        history.step.append(float(np.max(np.abs(point.x - previous.x), initial=0.0)))
        history.evaluations.append(self.evaluations.total)
        if keep:
            history.x.append(self.space.unpack(point.x))

    def noise(self, point: Point) -> float:
        """What the value may be off by for rounding."""
        return ROUNDING * self.epsilon * abs(point.value)


class Objective(Problem):
    """A scalar function of a tree; `compiled` says that value and gradient are computed by `ad.compile`."""

    def __init__(
        self, name: str, f: Callable[..., Any], space: Space, args: tuple[Any, ...], box: Box | None, compiled: bool
    ) -> None:
        super().__init__(name, f, space, args, box)
        programs = programs_of(f) if compiled else None
        self.both = programs.both if programs else None
        self.second = programs.product if programs else None
        self.matrix = programs.hessian if programs else hessian(f)

    def evaluated(self, x: Array, check: bool = False) -> Point:
        self.evaluations.value += 1
        argument = self.space.unpack(x)
        with np.errstate(all="ignore"):
            if self.both is not None and self.space.size:
                if check:
                    self.check_value(self.f(argument, *self.args))
                with no_grad():
                    y, g = self.both(argument, *self.args)
                self.evaluations.gradient += 1
                vector = self.space.pack(g)
                return Point(self, x, float(y), lambda: vector)
            if check:
                y, pull = self.run(argument, says=self.space.size > 0)
                self.check_value(y)
            else:
                with no_grad():
                    y, pull = self.run(argument)
        return Point(self, x, float(y), lambda: self.swept(pull))

    def swept(self, pull: Callable[[Any], Any]) -> Array:
        """The gradient."""
        self.evaluations.gradient += 1
        with np.errstate(all="ignore"), no_grad():
            return self.space.pack(pull(1.0)[0])

    def check_value(self, y: Any) -> None:
        """Refuse what is no real scalar, and what somebody outside follows."""
        leaves, structure = result_leaves(self.name, y)
        value = leaves[0] if structure.kind is None else None
        if value is None or value.shape != ():
            came = f"a tree {structure}" if value is None else describe(value)
            raise ShapeError(
                f"[{self.name}] f must return a scalar, it returned {came}; sum it, or give residuals to optim.least_squares"
            )
        refuse_followed(self.name, [value])
        if value.dtype not in (np.float32, np.float64):
            raise DTypeError(f"[{self.name}] f must return a real number, it returned {describe(value)}")
        self.epsilon = max(self.epsilon, float(np.finfo(value.dtype).eps))

    # --- second derivatives ---------------------------------------------------------------------------------------

    def product(self, point: Point) -> Callable[[Array], Array]:
        """The Hessian at a point as a function of vectors."""
        x = self.space.unpack(point.x)
        with np.errstate(all="ignore"), no_grad():
            linear: Any = self.second or linearize(grad(self.of_x()), x)[1]
        first = () if self.second is None else (x,)
        rest = () if self.second is None else self.args

        def multiplied(v: Array) -> Array:
            self.evaluations.hvp += 1
            with np.errstate(all="ignore"), no_grad():
                return self.space.pack(linear(*first, self.space.unpack(frozen(v)), *rest))

        return multiplied

    def hessian(self, point: Point) -> Array:
        """The matrix of second derivatives at a point."""
        self.evaluations.hessian += 1
        with np.errstate(all="ignore"), no_grad():
            blocks = tree.leaves(self.matrix(self.space.unpack(point.x), *self.args))
        h = assembled(blocks, self.space.sizes, self.space.sizes)
        return (h + h.T) / 2


def assembled(blocks: Sequence[Tensor], rows: Sequence[int], columns: Sequence[int]) -> Array:
    """The matrix of blocks that come row by row, whatever their axes."""
    found = iter(blocks)
    parts = [[np.asarray(next(found).value, np.float64).reshape(height, width) for width in columns] for height in rows]
    return np.block(parts) if parts and parts[0] else np.zeros((sum(rows), sum(columns)))


def refuse_followed(name: str, leaves: list[Tensor]) -> None:
    """**Raises** for results that a transform or a trace outside follows: an iteration is not differentiated."""
    for y in leaves:
        if is_abstract(y.value):
            raise AbstractValueError(
                f"[{name}] what f returns has no value here, within vmap, trace or compile; use ad.custom_argmin(f, x0, solve), "
                "which runs a minimiser with values at hand"
            )
        if any(scope.open and scope is not LEAF for scope in watchers(y.history)):
            raise DerivativeError(
                f"[{name}] f depends on a value that is being differentiated or traced, and the iteration is not; use "
                "ad.custom_argmin(f, x0, lambda f, x0: ad.optim.minimize(f, x0).x), which differentiates the minimum"
            )
