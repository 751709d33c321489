"""Newton's, Picard's and Anderson's iterations on plain arrays, for many problems at once: a row for each.

A row that has converged stays where it is while others go on, so that each example of a batch is solved as it would be alone.

**Source** Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), algorithm 11.4; Walker & Ni, Anderson acceleration for
fixed-point iterations, SIAM J. Numer. Anal. 49 (2011), section 2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from arrayad.errors import ConvergenceError, LinAlgError
from arrayad.solvers.layout import Array, epsilon, norms

Residual = Callable[[Array], Array]
HALVINGS = 40


def example(name: str, rows: Array, bad: Array) -> str:
    """Which row is meant, where there are several."""
    return f"[{name}] in example {int(np.argmax(bad))}: " if len(rows) > 1 else f"[{name}] "


def newton(name: str, residual: Residual, solve: Callable[[Array, Array], Array], x: Array, tol: float, maxiter: int) -> Array:
    """A root of `residual`, row by row; `solve(x, F)` gives the J⁻¹ F at x.

    Steps are halved until the residual shrinks.  The last one, |dx| <= tol |x|, is taken in full; where rounding lets the
    residual shrink no more, steps of √ε of the largest x met will do.
    """
    f = residual(x)
    reached = norms(x)
    done = norms(f) == 0
    for k in range(maxiter):
        if done.all():
            return x
        try:
            step = -solve(x, np.where(done[:, None], 0, f))
        except LinAlgError as error:
            raise LinAlgError(f"{error}; this is Newton's step {k}: try another x0") from None
        size = norms(step)
        last = ~done & (size <= tol * norms(x))
        scale = np.where(done, 0.0, 1.0)
        trial = x + step
        found = residual(trial)
        searching = ~done & ~last & ~descends(found, f, scale)
        for _ in range(HALVINGS):
            if not searching.any():
                break
            scale = np.where(searching, scale / 2, scale)
            trial = x + scale[:, None] * step
            found = residual(trial)
            searching &= ~descends(found, f, scale)
        settled = searching & (size <= np.sqrt(epsilon(x.dtype)) * reached)
        if (stuck := searching & ~settled).any():
            left = norms(f)[int(np.argmax(stuck))]
            raise ConvergenceError(
                f"{example(name, x, stuck)}Newton's iteration is stuck at step {k}, where |F| is {left:.2e}: no step along its "
                "direction makes it smaller; try another x0"
            )
        moving = ~done & ~settled
        x, f = np.where(moving[:, None], trial, x), np.where(moving[:, None], found, f)
        done = done | last | settled | (norms(f) == 0)
        reached = np.maximum(reached, norms(x))
    if done.all():
        return x
    worst = int(np.argmax(~done))
    raise ConvergenceError(
        f"{example(name, x, ~done)}Newton's iteration did not converge: |F| is {norms(f)[worst]:.2e} and the last step "
        f"{size[worst]:.2e} after {maxiter} steps; give another x0, a larger maxiter or tol (at a multiple root it is slow)"
    )


def descends(found: Array, before: Array, scale: Array) -> Array:
    """Whether residuals have shrunk as a step of this length should make them; those that are not finite have not."""
    return norms(found) <= (1 - 1e-4 * scale) * norms(before)


def anderson(name: str, residual: Residual, x: Array, tol: float, atol: float, maxiter: int, memory: int) -> Array:
    """A fixed point of x + residual(x), row by row: each step is the best combination of the last `memory` differences.

    Without memory it is Picard's iteration.
    Stops where |f(x) - x| <= atol + tol |x|, one step further.
    """
    f = residual(x)
    points: list[Array] = []
    changes: list[Array] = []
    first = before = norms(f)
    for _ in range(maxiter):
        left = norms(f)
        done = left <= atol + tol * norms(x)
        if done.all():
            return x + f
        if not np.isfinite(left).all():
            raise ConvergenceError(
                f"{example(name, x, ~np.isfinite(left))}the iteration diverged: |f(x) - x| is {left.max()}; {CURE}"
            )
        step = f
        if points:
            by_point, by_change = np.stack(points, axis=2), np.stack(changes, axis=2)
            step = f - ((by_point + by_change) @ least_squares(by_change, f[:, :, None]))[:, :, 0]
        step = np.where(done[:, None], 0, step)
        new = x + step
        found = residual(new)
        if memory:
            points, changes = [*points, new - x][-memory:], [*changes, found - f][-memory:]
        x, f, before = new, found, left
    left = norms(f)
    done = left <= atol + tol * norms(x)
    if done.all():
        return x + f
    worst = int(np.argmax(np.where(done, -1, left)))
    mean = (left[worst] / first[worst]) ** (1 / max(maxiter, 1))
    raise ConvergenceError(
        f"{example(name, x, ~done)}the iteration did not converge: |f(x) - x| is {left[worst]:.2e} after {maxiter} steps, and "
        f"has become {mean:.3g} times itself in each on average, {left[worst] / before[worst]:.3g} in the last; where these "
        f"factors are not well below 1, f is no contraction; {CURE}"
    )


def least_squares(a: Array, b: Array) -> Array:
    """The x[r] that minimises |a[r] x - b[r]|; for dtypes that LAPACK does not know in float64, which is enough of a weight."""
    if a.dtype.char not in "fdFD":
        size = np.max(np.abs(a), axis=(1, 2), keepdims=True)
        size = np.where(size > 0, size, 1)
        kind = np.complex128 if a.dtype.kind == "c" else np.float64
        return least_squares((a / size).astype(kind), (b / size).astype(kind)).astype(a.dtype)
    return np.linalg.pinv(a, rcond=1e-12) @ b


CURE = 'try solve="newton", another x0, or a larger maxiter'
