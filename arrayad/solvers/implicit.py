"""`custom_root`, `fixed_point`, `custom_argmin`: solutions differentiated by the equation that they satisfy.

One row holds the equation F(θ, x) = 0 as a program, θ being what it captured, and how x was found.  Its rules never look at
the latter: dx = -(∂F/∂x)⁻¹ ∂F/∂θ dθ at the x that was returned, by the row of linear systems.

**Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), chapter 15; Blondel et al., Efficient and modular implicit
differentiation, NeurIPS (2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.binding import bind
from arrayad.control.program import (
    Program,
    as_handle,
    by_order,
    captures_of,
    closed,
    coefficients,
    control,
    filled,
    followed,
    is_smooth,
    or_zeros,
    pulled,
    repeated,
)
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.primitives.arithmetic import negative, subtract
from arrayad.primitives.indexing import zeros
from arrayad.primitives.picking import output
from arrayad.series import Rule
from arrayad.shaped import Bundle, Shaped, aval
from arrayad.solvers.iterations import anderson, newton
from arrayad.solvers.layout import Array, Batches, Packing, default_tolerance, each_example, for_all, lead_of
from arrayad.solvers.linear import (
    Options,
    System,
    apply_solve,
    check_like,
    check_options,
    leaves_like,
    run_solve,
    traced_unknown,
)
from arrayad.tensor import Tensor, handle


class Solver(NamedTuple):
    """How a solution is found: `method` is "newton", "picard", "anderson", or the user's function."""

    method: str | Callable[..., Any]
    tol: float | None
    atol: float | None
    maxiter: int
    memory: int


class Problem(NamedTuple):
    """The equation body(*captures, *x) = 0, and how it is solved.

    `shown` is what a solver of the user's gets as a function of x: F itself, the f of x = f(x), or what is minimised.
    """

    body: Program
    shown: Program
    shown_structure: tree.Structure
    structure: tree.Structure
    captures: int
    solver: Solver
    tangent: Options

    @property
    def unknowns(self) -> list[Shaped]:
        return self.body.avals[self.captures :]

    def system(self) -> System:
        """The linear systems with ∂F/∂x: their captures are those of F, then x."""
        return System(derivative(self.body, self.captures), None, len(self.body.avals), self.tangent)

    def inner(self, batches: Batches) -> Batches:
        """The batches of these systems."""
        moving = (True,) * len(self.unknowns)
        return tuple((size, (*flags, *moving)) for size, flags in batches)

    def __repr__(self) -> str:
        return repr(self.body)


def derivative(body: Program, captures: int) -> Program:
    """The product of ∂F/∂x with a vector, given the captures, x and the vector."""
    unknowns = body.avals[captures:]
    count = len(body.avals)

    def function(*operands: Tensor) -> list[Tensor]:
        facts = [*[None] * captures, *([t] for t in operands[count:])]
        _, found = followed(body, operands[:count], facts, 0)
        return [filled(fact, x, 0)[0] for fact, x in zip(found, unknowns, strict=True)]

    return body.derive(("derivative", captures), function, [*body.avals, *unknowns])


# --- the kernel ----------------------------------------------------------------------------------------------------


def run_root(*values: Any, problem: Problem, batches: Batches) -> Bundle:
    fixed, start = list(values[: problem.captures]), values[problem.captures :]
    packing = Packing(problem.unknowns)
    lead = lead_of(batches)
    rows = packing.pack(start)
    if not rows.size:
        return Bundle(start)
    if callable(problem.solver.method):
        rows = found_by_user(problem, fixed, packing, rows, batches)
    else:
        rows = found(problem, fixed, packing, rows, batches)
    return Bundle(packing.unpack(rows, lead))


def found(problem: Problem, fixed: list[Any], packing: Packing, x: Array, batches: Batches) -> Array:
    """The solutions by an iteration of ours, all examples at once."""
    lead, solver, name = lead_of(batches), problem.solver, problem.tangent.name
    run = for_all(problem.body, batches).run
    system, inner = problem.system(), problem.inner(batches)
    tol = default_tolerance(packing.dtype) if solver.tol is None else solver.tol
    atol = tol if solver.atol is None else solver.atol

    def residual(rows: Array) -> Array:
        return packing.pack(run([*fixed, *packing.unpack(rows, lead)]))

    def solve(rows: Array, rhs: Array) -> Array:
        operands = (*fixed, *packing.unpack(rows, lead), *packing.unpack(rhs, lead))
        return packing.pack(run_solve(*operands, system=system, batches=inner, columns=0))

    with np.errstate(all="ignore"):
        if solver.method == "newton":
            return newton(name, residual, solve, x, tol, solver.maxiter)
        return anderson(name, residual, x, tol, atol, solver.maxiter, solver.memory if solver.method == "anderson" else 0)


def found_by_user(problem: Problem, fixed: list[Any], packing: Packing, start: Array, batches: Batches) -> Array:
    """The solutions by a function of the user's, one example after the other."""
    name, solve = problem.tangent.name, problem.solver.method
    assert callable(solve)
    rows = np.empty_like(start)
    for i, captures in enumerate(each_example(fixed, batches)):
        captured = [handle(x) for x in captures]

        def function(x: Any, captured: list[Tensor] = captured) -> Any:
            leaves = leaves_like(name, x, problem.unknowns)
            return tree.unflatten(problem.shown_structure, problem.shown(*captured, *leaves))

        given = tree.unflatten(problem.structure, [handle(x) for x in packing.unpack(start[i : i + 1], ())])
        leaves = leaves_like(name, solve(function, given), problem.unknowns)
        rows[i] = packing.pack([x.value for x in leaves])[0]
    return rows


# --- the row -------------------------------------------------------------------------------------------------------


def apply_root(problem: Problem, operands: Sequence[Tensor], batches: Batches = ()) -> list[Tensor]:
    """The solutions, given the captures and where to start."""
    y = bind(ROOT, tuple(operands), {"problem": problem, "batches": batches})
    return [output(y, i) for i in range(len(problem.unknowns))]


def root_shape(*operands: Shaped, problem: Problem, batches: Batches) -> Bundle:
    return Bundle(operands[problem.captures :])


def root_cost(output: Any, *operands: Any, problem: Problem, batches: Batches) -> float:
    size = sum(x.size for x in problem.unknowns)
    return output.size * (problem.body.flops + size * size / 1.5)


def root_jvp(tangents: Any, y: Any, *xs: Any, problem: Problem, batches: Batches) -> Bundle:
    facts = [None if t is None else [t] for t in tangents]
    return Bundle(fact and fact[0] for fact in followed_root(xs, facts, 0, y, problem, batches))


def root_taylor(order: int, y: Any, *xs: Any, problem: Problem, batches: Batches) -> Rule:
    values = [x[0] for x in xs]
    return by_order(lambda: followed_root(values, coefficients(xs, order), order, y[0], problem, batches))


def followed_root(xs: Any, facts: Any, order: int, y: Any, problem: Problem, batches: Batches) -> list[list[Any] | None]:
    """The tangents, or coefficients, of the solution: the k-th cancels what the others leave of F's k-th."""
    fixed, moving = list(xs[: problem.captures]), list(facts[: problem.captures])
    count = len(problem.unknowns)
    if all(fact is None for fact in moving):
        return [None] * count
    program = for_all(problem.body, batches)
    x = [output(y, i) for i in range(count)]
    known: list[list[Tensor]] = [[] for _ in x]
    for k in range(1, max(order, 1) + 1):
        given = [fact and fact[:k] for fact in moving]
        series = [[*terms, zeros(aval(v.value))] for v, terms in zip(x, known, strict=True)] if k > 1 else [None] * count
        _, left = followed(program, [*fixed, *x], [*given, *series], k if order else 0)
        rhs = [zeros(aval(v.value)) if fact is None else negative(fact[-1]) for v, fact in zip(x, left, strict=True)]
        for terms, c in zip(known, apply_solve(problem.system(), [*fixed, *x], rhs, problem.inner(batches)), strict=True):
            terms.append(c)
    return list(known)


def root_vjp(needed: Any, ct: Any, y: Any, *xs: Any, problem: Problem, batches: Batches) -> list[Any]:
    captures, count = problem.captures, len(problem.unknowns)
    fixed = xs[:captures]
    wanted = [bool(need) and is_smooth(v) for need, v in zip(needed[:captures], fixed, strict=True)]
    if not any(wanted):
        return [None] * len(xs)
    x = [output(y, i) for i in range(count)]
    seeds = [or_zeros(g, aval(v.value)) for g, v in zip(ct, x, strict=True)]
    adjoint = apply_solve(problem.system().transposed(), [*fixed, *x], seeds, problem.inner(batches))
    program = for_all(problem.body, batches)
    found = pulled(program, [*fixed, *x], [*wanted, *(False,) * count], [negative(g) for g in adjoint])
    return [*found[:captures], *(None,) * count]


def root_batch(size: int, operands: Any, batched: Any, *, problem: Problem, batches: Batches) -> Bundle:
    captures = problem.captures
    start = [x if flag else repeated(x, size) for x, flag in zip(operands[captures:], batched[captures:], strict=True)]
    flags = tuple(batched[:captures])
    return Bundle(apply_root(problem, [*operands[:captures], *start], (*batches, (size, flags))))


ROOT = control(
    "root",
    """The solution of an equation, a program of the captures and the unknown; the last operands are where to start.""",
    numpy=run_root,
    shape=root_shape,
    jvp=root_jvp,
    vjp=root_vjp,
    taylor=root_taylor,
    batch=root_batch,
    cost=root_cost,
)
ROOT.calls_back = True


# --- public --------------------------------------------------------------------------------------------------------

NEWTON_STEPS = 50
FIXED_POINT_STEPS = 500


def custom_root(
    f: Callable[[Any], Any],
    x0: Any,
    solve: str | Callable[..., Any] = "newton",
    tangent_solve: str | Callable[..., Any] | None = None,
    *,
    tol: float | None = None,
    maxiter: int = NEWTON_STEPS,
) -> Any:
    """A root x of `f`, f(x) = 0, differentiated by that equation: dx = -(∂f/∂x)⁻¹ df.

    What `f` captures is differentiated, whatever the solver did: df is the change of `f` by its captures at the x that the
    solver returned, so a root that is loosely solved has the exact derivative of the formula at that point, which is off that
    at the root by as much as the root is.  To second order and on, the formula itself is differentiated.

    **Parameters** `f`: from a tree of arrays to one like it; traced by shapes, so branches are `where` or `cond`.  `x0`: where to
    start; it has the derivative 0.  `solve`: `solve(f, x0)` returns the root and may do anything, with values at hand; under
    `vmap` it runs example by example.  Or "newton", with step halving, all examples at once.  `tangent_solve`: how linear
    systems with ∂f/∂x, and their transposes, are solved: a method of `linear_solve` ("auto" if omitted), or
    `tangent_solve(g, b)`, which returns the x of g(x) = b for a linear g.  `tol`: Newton's iteration stops after a step of
    |dx| <= tol |x|, by default ε^(2/3).  `maxiter`: of Newton's steps.

    **Returns** x, a tree like `x0`.

    **Raises** `ConvergenceError` where Newton's iteration, or an iterative linear solver, misses its tolerance;
    `LinAlgError` where ∂f/∂x is singular; `ShapeError`, `DTypeError` where f(x) is not like x.

    **Source** the interface is `jax.lax.custom_root`'s, where `solve` and `tangent_solve` must be given.

    **Example**

    >>> import arrayad as ad
    >>> root = lambda a: ad.custom_root(lambda x: x * x - a, 1.0)
    >>> root(2.0), ad.grad(root)(2.0), ad.grad(ad.grad(root))(1.0)
    (Tensor(1.41421356), Tensor(0.35355339), Tensor(-0.25))
    """
    name = "custom_root"
    solver = Solver(checked(name, solve, ("newton",)), tol, None, maxiter, 0)
    body, structure, x, captures = equation(name, f, x0)
    tangent = tangent_options(name, tangent_solve, tol, maxiter, structure, False)
    problem = Problem(body, body, structure, structure, len(captures), solver, tangent)
    return tree.unflatten(structure, apply_root(problem, [*captures, *x]))


def fixed_point(
    f: Callable[[Any], Any],
    x0: Any,
    solve: str | Callable[..., Any] = "anderson",
    tangent_solve: str | Callable[..., Any] | None = None,
    *,
    tol: float | None = None,
    atol: float | None = None,
    maxiter: int = FIXED_POINT_STEPS,
    memory: int = 5,
) -> Any:
    """A fixed point x of `f`, x = f(x), differentiated by that equation: dx = (I - ∂f/∂x)⁻¹ df.

    What `f` captures is differentiated; no iteration is kept or gone back along, and none is needed to converge: the
    system with I - ∂f/∂x is solved to a tolerance of its own.

    **Parameters** as of `custom_root`, but `solve` is "anderson" (acceleration by the last `memory` steps), "picard" (f again and
    again), "newton", or `solve(f, x0)`.  The first two stop where |f(x) - x| <= atol + tol |x|, one step further; both
    tolerances are ε^(2/3) by default.

    **Returns** x, a tree like `x0`.

    **Raises** `ConvergenceError` with the factor by which the steps shrink, which tells whether `f` is a contraction; else as
    `custom_root`.

    **Source** Walker & Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49 (2011).

    **Example**

    >>> import arrayad as ad
    >>> x, slope = ad.value_and_grad(lambda a: ad.fixed_point(lambda x: ad.cos(a * x), 1.0))(1.0)
    >>> x, slope, -x * ad.sin(x) / (1.0 + ad.sin(x))
    (Tensor(0.73908513), Tensor(-0.29747434), Tensor(-0.29747434))
    """
    name = "fixed_point"
    solver = Solver(checked(name, solve, ("anderson", "picard", "newton")), tol, atol, maxiter, memory)
    shown, structure, x, captures = equation(name, f, x0)
    count = len(captures)

    def difference(*operands: Tensor) -> list[Tensor]:
        return [subtract(y, v) for y, v in zip(shown(*operands), operands[count:], strict=True)]

    body = shown.derive(("difference", count), difference, shown.avals)
    tangent = tangent_options(name, tangent_solve, tol, maxiter, structure, False)
    problem = Problem(body, shown, structure, structure, count, solver, tangent)
    return tree.unflatten(structure, apply_root(problem, [*captures, *x]))


def custom_argmin(
    f: Callable[[Any], Any],
    x0: Any,
    solve: Callable[..., Any],
    tangent_solve: str | Callable[..., Any] | None = None,
) -> Any:
    """The x that `solve` found to minimise `f`, differentiated by the condition ∂f/∂x = 0: dx = -(∂²f/∂x²)⁻¹ d(∂f/∂x).

    What `f` captures is differentiated, whatever optimiser was used.  The Hessian must not be singular at x, and no bound or
    constraint may hold x there.

    **Parameters** `f`: from a tree of arrays to a real scalar; traced by shapes.  `x0`: where to start; it has the derivative 0.
    `solve`: `solve(f, x0)` returns the minimiser, a tree like `x0` of Tensors or NumPy arrays; it has values at hand and may use
    `ad.grad(f)`, or SciPy.  `tangent_solve`: as of `custom_root`; the systems are symmetric, so "auto" takes "cg" for many
    unknowns.

    **Returns** x, a tree like `x0`.

    **Raises** `ShapeError`, `DTypeError` where f(x) is no real scalar; `LinAlgError` where the Hessian is singular.

    **Example**

    >>> import arrayad as ad
    >>> def descend(f, x):
    ...     for _ in range(60):
    ...         x = x - 0.2 * ad.grad(f)(x)
    ...     return x
    >>> best = lambda a: ad.custom_argmin(lambda x: (x - a**2) ** 2 + x**2, 0.0, descend)
    >>> best(2.0), ad.grad(best)(2.0)
    (Tensor(2.), Tensor(2.))
    """
    name = "custom_argmin"
    if not callable(solve):
        raise TypeError(f"[{name}] solve is {describe(solve)}; a function solve(f, x0) that returns the minimiser is needed")
    x, structure = unknown(name, x0)
    avals = [aval(v.value) for v in x]
    if any(v.dtype.kind != "f" for v in avals):
        raise DTypeError(f"[{name}] x0 is ({', '.join(map(repr, avals))}); real numbers are needed")
    tape = traced_unknown(name, f, structure, avals)
    (*_, y), single = [aval(as_handle(y).value) for y in tape.outputs] or [None], tape.structure.kind is None
    if not single or y.shape != () or y.dtype.kind != "f":
        came = describe(y) if single else f"a tree {tape.structure}"
        raise ShapeError(f"[{name}] f must return a real scalar, it returned {came}")
    captures = captures_of([tape])
    shown, count = closed(tape, captures), len(captures)

    def gradient(*operands: Tensor) -> list[Tensor]:
        needed = [i >= count for i in range(len(operands))]
        found = pulled(shown, operands, needed, [handle(np.ones((), y.dtype))])
        return [or_zeros(g, v) for g, v in zip(found[count:], avals, strict=True)]

    body = shown.derive(("gradient", count), gradient, shown.avals)
    solver = Solver(solve, None, None, 0, 0)
    tangent = tangent_options(name, tangent_solve, None, None, structure, True)
    problem = Problem(body, shown, tape.structure, structure, count, solver, tangent)
    return tree.unflatten(structure, apply_root(problem, [*captures.values(), *x]))


def checked(name: str, solve: Any, known: tuple[str, ...]) -> Any:
    """**Raises** `ValueError` for what is no solver."""
    if callable(solve) or solve in known:
        return solve
    raise ValueError(f"[{name}] solve is {solve!r}; it must be one of {', '.join(known)}, or a function solve(f, x0)")


def tangent_options(
    name: str, tangent_solve: Any, tol: float | None, maxiter: int | None, structure: tree.Structure, symmetric: bool
) -> Options:
    """How the linear systems of the derivative are solved; their tolerance is their own."""
    method = "auto" if tangent_solve is None else tangent_solve
    check_options(name, method, tol, maxiter)
    return Options(name, "Hessian" if symmetric else "Jacobian", method, symmetric, None, None, 50, structure)


def unknown(name: str, x0: Any, word: str = "x0") -> tuple[list[Tensor], tree.Structure]:
    """The leaves of x0, or whatever its word is, and their structure."""
    leaves, structure = tree.flatten(x0)
    x = [as_handle(leaf) for leaf in leaves]
    if not x:
        raise ShapeError(f"[{name}] {word} is a tree without arrays; there is nothing to solve for")
    for (path, _), v in zip(tree.paths(x0, word), x, strict=True):
        if not is_smooth(v):
            raise DTypeError(f"[{name}] {path} is {describe(v)}; a floating-point number is needed: write 1.0, or use astype")
    return x, structure


def equation(name: str, f: Callable[[Any], Any], x0: Any) -> tuple[Program, tree.Structure, list[Tensor], list[Tensor]]:
    """f as a program of its captures and the unknown, which it takes to its like."""
    x, structure = unknown(name, x0)
    avals = [aval(v.value) for v in x]
    tape = traced_unknown(name, f, structure, avals)
    check_like(name, "f", tape, structure, avals)
    captures = captures_of([tape])
    return closed(tape, captures), structure, x, list(captures.values())
