"""`minimize`: one call for all methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayad.optim.minimizers.bounded import BoundedLimitedMemory
from arrayad.optim.minimizers.limited_memory import LimitedMemory
from arrayad.optim.minimizers.objective import Objective
from arrayad.optim.minimizers.result import Result
from arrayad.optim.minimizers.running import Rules, State, run
from arrayad.optim.minimizers.space import Space, box_of


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
    """A local minimum of a scalar function of a tree of arrays, by L-BFGS.

    **Parameters** `f`: f(x, *args) is a real scalar, x a tree like `x0`, of float32 and float64. `method`: "l-bfgs".
    `bounds`: a pair (low, high) of numbers, arrays, trees like `x0`, or None where there is none; the steps stay within.
    `gtol`: stops at a gradient whose largest element is no larger, with bounds that of P(x - g) - x; ε^(1/3) unless given,
    6e-6 in float64, 5e-3 in float32. `ftol`, `xtol`: stop at a relative change of the value, of x, if given. `callback`: is
    called after each iteration with a state (`x`, `value`, `gradient`, `gradient_norm`, `iteration`, …), and stops the run by
    returning true. `progress`: shows a bar of tqdm's. `history`: keeps the points of all iterations. `compile`: value and
    gradient by `ad.compile`. `options`: `memory`, how many pairs L-BFGS keeps.

    **Returns** a `Result`, whether converged or not: see `converged` and `message`.

    **Example**

    >>> import arrayad as ad
    >>> def rosenbrock(x):
    ...     return 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2
    >>> found = ad.optim.minimize(rosenbrock, ad.tensor([-1.2, 1.0]), "l-bfgs")
    >>> found.converged, found.x
    (True, Tensor([1., 1.]))
    """
    if method not in (None, "l-bfgs"):
        raise ValueError(f'[minimize] method is {method!r}; it must be "l-bfgs"')
    space = Space("minimize", x0)
    box = box_of("minimize", bounds, space, x0)
    objective = Objective("minimize", f, space, args, box, compile)
    rules = Rules(space.epsilon ** (1 / 3) if gtol is None else gtol, ftol, xtol, max_iterations, max_evaluations)
    method_class = LimitedMemory if box is None else BoundedLimitedMemory
    return run(method_class(objective, **options), objective, rules, callback, progress, history)
