"""`minimize` and `least_squares`: one call each for all methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from arrayad.optim.minimizers.bounded import BoundedLimitedMemory
from arrayad.optim.minimizers.conjugate_gradient import ConjugateGradient
from arrayad.optim.minimizers.gradient_descent import GradientDescent
from arrayad.optim.minimizers.least_squares import GaussNewton, LevenbergMarquardt
from arrayad.optim.minimizers.limited_memory import LimitedMemory
from arrayad.optim.minimizers.newton import Newton, NewtonCG
from arrayad.optim.minimizers.objective import Objective
from arrayad.optim.minimizers.quasi_newton import BFGS
from arrayad.optim.minimizers.residuals import Residuals
from arrayad.optim.minimizers.result import Result
from arrayad.optim.minimizers.running import Rules, State, run
from arrayad.optim.minimizers.space import Space, box_of
from arrayad.optim.minimizers.trust_region import TrustRegion, TrustRegionCG

SCALAR: dict[str, Any] = {
    method.name: method
    for method in (BFGS, LimitedMemory, ConjugateGradient, GradientDescent, Newton, NewtonCG, TrustRegion, TrustRegionCG)
}
SQUARES: dict[str, Any] = {method.name: method for method in (LevenbergMarquardt, GaussNewton)}

SCIPY = {"l-bfgs-b": "l-bfgs", "trust-exact": "trust-region", "trust-ncg": "trust-region-cg"}
"""What SciPy calls some of these methods."""

MATRIX = 1000
"""How many unknowns BFGS takes by default, which keeps a matrix: 8 MB."""


def minimize(
    f: Callable[..., Any],
    x0: Any,
    method: str | None = None,
    *,
    args: tuple[Any, ...] = (),
    bounds: Any = None,
    gtol: float | None = None,
    ftol: float | None = None,
    xtol: float | None = None,
    max_iterations: int = 10_000,
    max_evaluations: int | None = None,
    callback: Callable[[State], Any] | None = None,
    progress: bool = False,
    history: bool = False,
    compile: bool = False,
    **options: Any,
) -> Result:
    """A local minimum of a scalar function of a tree of arrays: x with ∂f/∂x = 0, or within bounds P(x - ∂f/∂x) = x.

    **Parameters** `f`: f(x, *args) is a real scalar; x is a tree like `x0`, whose leaves are float32 or float64.  `method`:

    - "bfgs", a matrix for the inverse Hessian, made of gradients (the default up to 1000 unknowns);
    - "l-bfgs", the last `memory` steps in its place (the default beyond, and with `bounds`);
    - "cg", nonlinear conjugate gradients, which remember one direction (`beta`);
    - "gradient-descent";
    - "newton", by the Hessian, and "newton-cg", by its products with vectors (`max_products`), with a line search;
    - "trust-region", by the Hessian, and "trust-region-cg", by its products, in a ball (`radius`, `max_products`).

    SciPy's names stand for these too.  `bounds`: the pair (low, high) of numbers, arrays, or trees like `x0`, None where there
    is no bound; every point at which f is evaluated lies within, `x0` being moved there first. `gtol`: stop at a gradient whose
    largest element is no larger, with bounds that of P(x - g) - x; ε^(1/3) unless given, 6e-6 in float64, 5e-3 in float32.
    `ftol`, `xtol`: if given, stop when the value, or the largest element of a step, changes by less than so much of max(1,
    |f|), of max(1, |x|).  `max_iterations`, `max_evaluations`: stop after so many, of values and gradients together.
    `callback`: called after each iteration with a state that has `x`, `value`, `gradient`, `gradient_norm`, `step`, `iteration`
    and `evaluations`; stops by returning something true, or raising `StopIteration`.  `progress`: show a bar (tqdm). `history`:
    keep the points of all iterations.  `compile`: compute values and gradients by `ad.compile`.  `options`: those of the
    method, named above.

    **Returns** a `Result`, whether it has converged or not: `converged` and `message` tell.  Its x is the lowest point of all
    iterations, and its value and gradient are those there.  Where f is nan, infinite, or raises an ArithmeticError or a
    LinAlgError at a trial, the trial counts as too long a step.

    **Raises** `DTypeError`, `ShapeError` for an f that returns no real scalar, leaves that are no floats, bounds that do not fit;
    `ValueError` where f or its gradient is not finite at `x0`; `DerivativeError` where somebody differentiates what f depends
    on: the iteration is not differentiated, `ad.custom_argmin` is.

    **Example**

    >>> import arrayad as ad
    >>> def rosenbrock(x):
    ...     return 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2
    >>> found = ad.optim.minimize(rosenbrock, ad.tensor([-1.2, 1.0]))
    >>> found.converged, found.x
    (True, Tensor([1., 1.]))
    >>> ad.optim.minimize(rosenbrock, ad.tensor([-1.2, 1.0]), bounds=(None, [0.8, 0.5])).x
    Tensor([0.7085595, 0.5      ])
    """
    space = Space("minimize", x0)
    box = box_of("minimize", bounds, space, x0)
    name = named("minimize", method or ("l-bfgs" if box is not None or space.size > MATRIX else "bfgs"), SCALAR)
    if box is not None and name != "l-bfgs":
        raise ValueError(
            f'[minimize] bounds need the method "l-bfgs", not {method!r}; leave method out, or use optim.scipy_problem'
        )
    kind = SCALAR[name] if box is None else BoundedLimitedMemory
    objective = Objective("minimize", f, space, args, box, compile)
    rules = Rules.of("minimize", space, gtol, ftol, xtol, max_iterations, max_evaluations)
    return run(made(kind, objective, options), objective, rules, callback, progress, history)


def least_squares(
    f: Callable[..., Any],
    x0: Any,
    method: str = "lm",
    *,
    args: tuple[Any, ...] = (),
    gtol: float | None = None,
    ftol: float | None = None,
    xtol: float | None = None,
    max_iterations: int = 10_000,
    max_evaluations: int | None = None,
    callback: Callable[[State], Any] | None = None,
    progress: bool = False,
    history: bool = False,
    **options: Any,
) -> Result:
    """A local minimum of half a sum of squares, Σ_i r[i]² / 2 with r = f(x): the parameters of a model that fit data.

    **Parameters** `f`: f(x, *args) is an array, or a tree of arrays, of residuals.  `method`: "lm", Levenberg and Marquardt's, or
    "gauss-newton" with a line search.  Of "lm", `radius` is the first length of a step in multiples of x0's, and
    `jacobian` is "dense" or "products": those of the Jacobian, and its transpose, with vectors; by default dense up to a
    million elements.  All others as of `minimize`.

    **Returns** a `Result`, with half the sum as its value and Jᵀ r as its gradient.

    **Raises** as `minimize`.

    **Example**

    >>> import numpy as np
    >>> import arrayad as ad
    >>> t = np.linspace(0.0, 2.0, 9)
    >>> data = 3.0 * np.exp(-1.5 * t) + 0.5
    >>> def model(p):
    ...     return p["scale"] * ad.exp(-p["rate"] * t) + p["offset"] - data
    >>> found = ad.optim.least_squares(model, {"scale": 1.0, "rate": 1.0, "offset": 0.0})
    >>> found.x
    {'offset': Tensor(0.5), 'rate': Tensor(1.5), 'scale': Tensor(3.)}
    """
    space = Space("least_squares", x0)
    kind = SQUARES[named("least_squares", method, SQUARES)]
    residuals = Residuals("least_squares", f, space, args)
    rules = Rules.of("least_squares", space, gtol, ftol, xtol, max_iterations, max_evaluations)
    return run(made(kind, residuals, options), residuals, rules, callback, progress, history)


def named(caller: str, method: str, table: dict[str, Any]) -> str:
    """The name of a method in a table.

    **Raises** `ValueError` for another.
    """
    name = method.lower().replace("_", "-")
    name = SCIPY.get(name, name)
    if name in table:
        return name
    if name in (*SCALAR, *SQUARES):
        cure = "f(x) is a sum of squares there: optim.least_squares" if caller == "minimize" else "use optim.minimize"
        raise ValueError(f"[{caller}] method {method!r} is one of optim.{other(caller)}'s; {cure}")
    raise ValueError(f"[{caller}] method is {method!r}; it must be one of {', '.join(map(repr, table))}")


def other(caller: str) -> str:
    return "least_squares" if caller == "minimize" else "minimize"


def made(kind: Any, problem: Any, options: dict[str, Any]) -> Any:
    """The method with its options.

    **Raises** `TypeError` for options that it has not.
    """
    known = list(inspect.signature(kind).parameters)[1:]
    if unknown := sorted(set(options) - set(known)):
        has = f"its options are {', '.join(known)}" if known else "it has no options"
        raise TypeError(f'[{problem.name}] the method "{kind.name}" has no option {unknown[0]}; {has}')
    return kind(problem, **options)
