"""Krylov methods for many systems at once, a row for each: conjugate gradients, GMRES, BiCGStab.

A cycle takes residuals to corrections; the driver restarts it until the true residuals, not those that the recurrences
believe in, have met the tolerance.  Rows that have are left alone while others go on.

**Source** Saad, Iterative Methods for Sparse Linear Systems, 2nd ed. (2003): algorithms 9.1 (CG), 9.5 (GMRES, preconditioned
on the right), 7.7 (BiCGStab).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from arrayad.errors import ConvergenceError, DTypeError
from arrayad.solvers.layout import Array, dots, norms, quotient

Apply = Callable[[Array], Array]


def krylov(
    name: str, method: str, apply: Apply, b: Array, precondition: Apply, tol: float, maxiter: int | None, restart: int
) -> Array:
    """The x of apply(x) = b, row by row, to |b - apply(x)| <= tol |b|; a row of b that is not finite gives nan.

    **Raises** `ConvergenceError` with the residual reached; `DTypeError` for what GMRES cannot take.
    """
    if method == "gmres" and b.dtype.kind == "O":
        raise DTypeError(f"[{name}] gmres is for floats, of which it takes norms; use dense, cg or bicgstab for mpmath's numbers")
    limit = 10 * b.shape[1] + 10 if maxiter is None else maxiter
    size = norms(b)
    given = np.isfinite(size)
    goal = tol * size
    x = np.where(given[:, None], np.zeros_like(b), np.nan)
    r = np.where(given[:, None], b, 0)
    used = 0
    while True:
        left = norms(r)
        open_rows = given & ~(left <= goal)
        if not open_rows.any():
            return x
        if used >= limit:
            raise ConvergenceError(
                f"[{name}] {method} did not converge: {state(left, size, open_rows, used, tol)}; {CURES[method]}"
            )
        steps = min(limit - used, restart) if method == "gmres" else limit - used
        try:
            change, count = CYCLES[method](apply, precondition, np.where(open_rows[:, None], r, 0), goal, steps)
        except ConvergenceError as error:
            raise ConvergenceError(f"[{name}] {error}") from None
        x = x + np.where(open_rows[:, None], change, 0)
        used += count
        r = np.where(given[:, None], b - apply(np.where(given[:, None], x, 0)), 0)
        found = norms(r)
        better = found < (0.999 if method == "gmres" else 0.5) * left
        if (open_rows & ~better & ~(found <= goal)).any():
            limit = used  # rounding errors or a stagnation, which more of the same will not cure


CURES = {
    "cg": "is the operator symmetric and positive definite?  Give a preconditioner, a larger tol or maxiter, or another method",
    "gmres": 'give a preconditioner, a larger tol, maxiter or restart, or method="dense"',
    "bicgstab": "give a preconditioner, a larger tol or maxiter, or another method",
}


def state(left: Array, size: Array, open_rows: Array, used: int, tol: float) -> str:
    """How far the worst row has come."""
    relative = np.where(open_rows, left / np.where(size > 0, size, 1), -1)
    worst = int(np.argmax(np.where(np.isnan(relative), np.inf, relative)))
    where = f" in example {worst} of {len(left)}" if len(left) > 1 else ""
    return f"the relative residual{where} is {relative[worst]:.1e} after {used} iterations, {tol:.1e} was asked for"


def conjugate_gradients(apply: Apply, precondition: Apply, r: Array, goal: Array, steps: int) -> tuple[Array, int]:
    x = np.zeros_like(r)
    z = precondition(r)
    p, rz, count = z, dots(r, z), 0
    active = norms(r) > goal
    while count < steps and active.any():
        ap = apply(p)
        curvature = dots(p, ap).real
        if (active & (curvature <= 0)).any():
            raise ConvergenceError(
                f"cg met a direction p with <p, A p> = {curvature[active].min():.1e}: "
                'the operator is not positive definite; use method="gmres"'
            )
        alpha = quotient(rz, curvature, active)[:, None]
        x, r, count = x + alpha * p, r - alpha * ap, count + 1
        active = norms(r) > goal
        z = precondition(r)
        rz, before = dots(r, z), rz
        p = z + quotient(rz, before, active)[:, None] * p
    return x, count


def bicgstab(apply: Apply, precondition: Apply, r: Array, goal: Array, steps: int) -> tuple[Array, int]:
    x, p, shadow, count = np.zeros_like(r), r, r, 0
    rho = dots(shadow, r)
    active = norms(r) > goal
    while count < steps and active.any():
        z = precondition(p)
        az = apply(z)
        along = dots(shadow, az)
        active &= (along != 0) & (rho != 0)
        alpha = quotient(rho, along, active)[:, None]
        s = r - alpha * az
        y = precondition(s)
        ay = apply(y)
        square = dots(ay, ay)
        omega = quotient(dots(ay, s), square, active & (square != 0))[:, None]
        x, r, count = x + alpha * z + omega * y, s - omega * ay, count + 1
        active &= (norms(r) > goal) & (omega[:, 0] != 0)
        rho, before = dots(shadow, r), rho
        p = r + (quotient(rho, before, active)[:, None] * quotient(alpha, omega, active[:, None])) * (p - omega * az)
    return x, count


def gmres(apply: Apply, precondition: Apply, r: Array, goal: Array, steps: int) -> tuple[Array, int]:
    rows, n = r.shape
    steps = min(steps, n)
    rest = norms(r).astype(r.dtype)  # what is left of the residual, as the rotations tell it
    active = rest.real > goal
    basis = np.zeros((steps + 1, rows, n), r.dtype)
    basis[0] = r * quotient(np.ones(rows), rest.real, active)[:, None]
    triangle, rhs = np.zeros((steps, rows, steps), r.dtype), np.zeros((steps, rows), r.dtype)
    cosines, sines = np.zeros((steps, rows)), np.zeros((steps, rows), r.dtype)
    count = 0
    while count < steps and active.any():
        j, count = count, count + 1
        w = apply(precondition(basis[j]))
        column = np.zeros((count, rows), r.dtype)
        for _ in range(2):  # Gram and Schmidt twice: orthogonal to rounding
            c = np.einsum("krn,rn->kr", basis[:count].conj(), w)
            w = w - np.einsum("kr,krn->rn", c, basis[:count])
            column += c
        below = norms(w)
        for i in range(j):
            upper, lower = column[i].copy(), column[i + 1]
            column[i] = cosines[i] * upper + sines[i] * lower
            column[i + 1] = cosines[i] * lower - sines[i].conj() * upper
        size = np.abs(column[j])
        radius = np.hypot(size, below)
        active &= radius > 0
        phase = np.where(size > 0, quotient(column[j], size, size > 0), 1)
        cosines[j] = quotient(size, radius, active)
        sines[j] = phase * quotient(below, radius, active)
        column[j] = phase * radius
        triangle[:count, :, j] = np.where(active, column, np.eye(count, 1, -j))
        rhs[j] = np.where(active, cosines[j] * rest, 0)
        rest = np.where(active, -sines[j].conj() * rest, rest)
        active = active & (np.abs(rest) > goal)
        basis[count] = w * quotient(np.ones(rows), below, active & (below > 0))[:, None]
    y = np.zeros((count, rows), r.dtype)
    for i in range(count - 1, -1, -1):
        y[i] = (rhs[i] - sum(triangle[i, :, k] * y[k] for k in range(i + 1, count))) / triangle[i, :, i]
    return precondition(np.einsum("kr,krn->rn", y, basis[:count])), count


CYCLES = {"cg": conjugate_gradients, "gmres": gmres, "bicgstab": bicgstab}
