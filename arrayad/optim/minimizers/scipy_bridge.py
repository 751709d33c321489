"""SciPy's minimisers, with constraints, on functions of trees: values and derivatives are handed over as SciPy wants them.

**Source** the protocol is that of scipy.optimize.minimize and scipy.optimize.NonlinearConstraint.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import ShapeError, describe
from arrayad.optim.minimizers.objective import Objective, Point
from arrayad.optim.minimizers.residuals import Residuals
from arrayad.optim.minimizers.result import History, Result
from arrayad.optim.minimizers.space import Array, Space, box_of
from arrayad.tensor import Tensor

PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")
MATRICES = ("dogleg", "trust-exact")
GRADIENTS = ("cg", "bfgs", "l-bfgs-b", "tnc", "slsqp", *PRODUCTS, *MATRICES)
"""SciPy's methods that take gradients; among them those that take products with the Hessian, and the Hessian."""


def scipy_problem(f: Callable[..., Any], x0: Any, *, args: tuple[Any, ...] = (), bounds: Any = None) -> ScipyProblem:
    """A function of a tree, and its derivatives, as functions of vectors that SciPy's minimisers take.

    **Parameters** as of `minimize`.

    **Returns** a `ScipyProblem`: `minimize(method, constraints=…)` runs SciPy's minimiser, `constraint` makes constraints;
    `fun`, `jac`, `hess`, `hessp`, `x0` and `bounds` may be handed to any solver that takes SciPy's functions, `tree` turns its
    vector back.

    **Raises** as `minimize`, at once.

    **Example** The point of the unit circle that is nearest to (2, 1).

    >>> import numpy as np
    >>> import arrayad as ad
    >>> problem = ad.optim.scipy_problem(lambda p: (p["x"] - 2.0) ** 2 + (p["y"] - 1.0) ** 2, {"x": 1.0, "y": 0.0})
    >>> circle = problem.constraint(lambda p: p["x"] ** 2 + p["y"] ** 2, 1.0, 1.0)
    >>> found = problem.minimize("SLSQP", constraints=circle, tol=1e-12)
    >>> found.x, bool(np.isclose(found.x["x"].item(), 2.0 / np.sqrt(5.0)))
    ({'x': Tensor(0.89442719), 'y': Tensor(0.4472136)}, True)
    """
    return ScipyProblem(f, x0, args, bounds)


class ScipyProblem:
    """What `scipy_problem` returns.

    `x0`: the start as a vector; `bounds`: pairs (low, high), or None; `fun`, `jac`, `hess`, `hessp`: value, gradient, Hessian
    and its product with a vector.  The last point is kept: a value and its gradient cost one run of f.
    """

    def __init__(self, f: Callable[..., Any], x0: Any, args: tuple[Any, ...] = (), bounds: Any = None) -> None:
        self.space = Space("scipy_problem", x0)
        self.box = box_of("scipy_problem", bounds, self.space, x0)
        self.objective = Objective("scipy_problem", f, self.space, args, self.box, False)
        self.start = self.last = self.objective.start()
        self.product: tuple[Point, Callable[[Array], Array]] | None = None
        self.x0 = self.last.x.copy()
        self.bounds = None if self.box is None else list(zip(self.box.low.tolist(), self.box.high.tolist(), strict=True))

    def tree(self, x: Array) -> Any:
        """The tree that a vector stands for."""
        return self.space.unpack(np.array(x, np.float64))

    def point(self, x: Array) -> Point:
        """The point of a vector, run anew only where it is another than the last."""
        x = self.space.rounded(np.array(x, np.float64))
        if not np.array_equal(x, self.last.x):
            self.last = self.objective.at(x)
        return self.last

    def fun(self, x: Array) -> float:
        """f(x)."""
        return self.point(x).value

    def jac(self, x: Array) -> Array:
        """∂f/∂x; nan where f has no value."""
        point = self.point(x)
        return np.full(x.shape, math.nan) if math.isnan(point.value) else point.gradient.copy()

    def hess(self, x: Array) -> Array:
        """∂²f/∂x²."""
        return self.objective.hessian(self.point(x))

    def hessp(self, x: Array, v: Array) -> Array:
        """∂²f/∂x² v; products at one point share one linearisation."""
        point = self.point(x)
        if self.product is None or self.product[0] is not point:
            self.product = point, self.objective.product(point)
        return self.product[1](np.array(v, np.float64))

    def constraint(self, c: Callable[..., Any], low: Any = 0.0, high: Any = math.inf, args: tuple[Any, ...] = ()) -> Any:
        """low <= c(x, *args) <= high as a `scipy.optimize.NonlinearConstraint`, with its Jacobian and the Hessian of v · c.

        **Parameters** `c`: a function of a tree like x0, that returns an array, or a tree of arrays.  `low`, `high`: numbers, or
        trees like its result; the same for an equation.
        """
        optimize = import_optimize("scipy_problem")
        function = Residuals("scipy_problem", c, self.space, args)
        first = function.evaluated(self.space.start, check=True)
        result = c(self.tree(self.space.start), *args)
        sides = [limits(word, bound, result) for word, bound in (("low", low), ("high", high))]
        last = [first]

        def at(x: Array) -> Any:
            x = self.space.rounded(np.array(x, np.float64))
            if not np.array_equal(x, last[0].x):
                last[0] = function.at(x)
            return last[0]

        def curvature(x: Array, v: Array) -> Array:
            """The Hessian of v · c, the multipliers v held still."""
            weights = np.array(v, np.float64)
            total = Objective("scipy_problem", lambda x, *args: weighted(c(x, *args), weights), self.space, args, None, False)
            return total.hessian(total.evaluated(self.space.rounded(np.array(x, np.float64))))

        return optimize.NonlinearConstraint(
            lambda x: at(x).residuals.copy(), sides[0], sides[1], jac=lambda x: at(x).jacobian.copy(), hess=curvature
        )

    def minimize(self, method: str, **options: Any) -> Result:
        """`scipy.optimize.minimize` from x0 by one of its methods, given all the derivatives that it takes.

        **Parameters** `options`: those of `scipy.optimize.minimize`: `constraints`, `tol`, `callback`, `options`.

        **Returns** a `Result`, whose `details` is SciPy's own.
        """
        optimize = import_optimize("scipy_problem")
        name = method.lower()
        given: dict[str, Any] = {"jac": self.jac} if name in GRADIENTS else {}
        if name in PRODUCTS:
            given["hessp"] = self.hessp
        if name in MATRICES:
            given["hess"] = self.hess
        if self.bounds is not None:
            given["bounds"] = self.bounds
        if name != "trust-constr" and "constraints" in options:
            options["constraints"] = first_order(options["constraints"], optimize)
        found = optimize.minimize(self.fun, self.x0, method=method, **given, **options)
        point = self.point(found.x)
        history = History()
        for each in (self.start, point):
            self.objective.note(history, each, self.start, False)
        return Result(
            x=self.space.unpack(point.x),
            value=point.value,
            gradient=self.space.unpack(point.gradient),
            converged=bool(found.success),
            message=str(found.message),
            iterations=int(found.get("nit", 0)),
            evaluations=copy(self.objective.evaluations),
            history=history,
            method=f"scipy {method}",
            details=found,
        )


def weighted(result: Any, weights: Array) -> Any:
    """Σ weights · result, over all leaves."""
    total: Any = 0.0
    for leaf in tree.leaves(result):
        size = math.prod(np.shape(leaf)) if leaf.__class__ is not Tensor else leaf.size
        total = total + (leaf * weights[:size].reshape(leaf.shape)).sum()
        weights = weights[size:]
    return total


def limits(word: str, bound: Any, result: Any) -> Array:
    """A side of a constraint for each element of its result."""
    try:
        given = tree.spread(bound, result)
    except ValueError as error:
        raise ShapeError(
            f"[scipy_problem] {word} of the constraint must be a number, or a tree like its result; {error}"
        ) from None
    parts = []
    for leaf, limit in zip(tree.leaves(result), given, strict=True):
        value = np.asarray(limit.value if limit.__class__ is Tensor else limit, np.float64)
        try:
            parts.append(np.broadcast_to(value, np.shape(leaf)).reshape(-1))
        except ValueError:
            raise ShapeError(
                f"[scipy_problem] {word} of the constraint is {describe(value)}, its result {describe(leaf)}; it must broadcast"
            ) from None
    return np.concatenate(parts)


def first_order(constraints: Any, optimize: Any) -> list[Any]:
    """Constraints for the methods that take no second derivatives, and equations apart from inequalities."""
    kind = optimize.NonlinearConstraint
    found: list[Any] = []
    for each in constraints if isinstance(constraints, list | tuple) else [constraints]:
        if isinstance(each, kind):
            is_equation = each.lb == each.ub
            found += [part(each, rows, kind) for rows in (is_equation, ~is_equation) if rows.any()]
        else:
            found.append(each)
    return found


def part(whole: Any, rows: Array, kind: Any) -> Any:
    """Some rows of a constraint, which keeps the last point that it was asked for."""
    return kind(lambda x: whole.fun(x)[rows], whole.lb[rows], whole.ub[rows], jac=lambda x: whole.jac(x)[rows])


def import_optimize(name: str) -> Any:
    """The package scipy.optimize, or an error that says how to get it."""
    try:
        import scipy.optimize
    except ImportError:
        raise ImportError(f'[{name}] the package scipy is needed: pip install "arrayad[sparse]"') from None
    return scipy.optimize
