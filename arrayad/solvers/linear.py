"""`linear_solve`, linear systems whose matrix is a matrix or a function, and their row.

The row holds the product with the matrix as a program, so its rules need no matrix: a tangent solves A dx = db - dA x, a
cotangent Aᵀ λ = ct, with the transposed product made by the sweep, and -λᵀ dA x goes to what A was made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.arbitrary import filled
from arrayad.binding import bind
from arrayad.control.program import (
    Program,
    as_handle,
    by_order,
    captures_of,
    closed,
    coefficients,
    control,
    followed,
    is_smooth,
    or_zeros,
    pulled,
    repeated,
    traced_body,
)
from arrayad.errors import DTypeError, LinAlgError, ShapeError, describe
from arrayad.functions.linear_algebra import matmul
from arrayad.modes import enable_grad
from arrayad.primitives.arithmetic import negative, subtract
from arrayad.primitives.casting import astype
from arrayad.primitives.indexing import zeros
from arrayad.primitives.picking import output
from arrayad.primitives.shape import permute_dims
from arrayad.series import Rule
from arrayad.shaped import Bundle, Shaped, aval
from arrayad.solvers.krylov import krylov
from arrayad.solvers.layout import (
    Array,
    Batches,
    Packing,
    default_tolerance,
    each_example,
    epsilon,
    for_all,
    lead_of,
    over_columns,
)
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape

DENSE = 512
"""The number of unknowns up to which "auto" forms the matrix."""

METHODS = ("auto", "dense", "cg", "gmres", "bicgstab")


class Options(NamedTuple):
    """How a system is solved: `method` is one of METHODS or the user's function, which gets trees of this structure.

    `name` is the public function's, `what` its word for the matrix.
    """

    name: str
    what: str
    method: str | Callable[..., Any]
    symmetric: bool
    tol: float | None
    maxiter: int | None
    restart: int
    structure: tree.Structure

    def chosen(self, size: int) -> str | Callable[..., Any]:
        """The method for so many unknowns."""
        if self.method != "auto":
            return self.method
        return "dense" if size <= DENSE else "cg" if self.symmetric else "gmres"


class System(NamedTuple):
    """A linear operator, as a program whose first inputs are `captures`, and how to solve with it."""

    matvec: Program
    preconditioner: Program | None
    captures: int
    options: Options

    @property
    def unknowns(self) -> list[Shaped]:
        return self.matvec.avals[self.captures :]

    def transposed(self) -> System:
        """The system of the transposed operator."""
        made = self.preconditioner and transpose(self.preconditioner, self.captures)
        return self._replace(matvec=transpose(self.matvec, self.captures), preconditioner=made)

    def __repr__(self) -> str:
        return repr(self.matvec)


def transpose(program: Program, captures: int) -> Program:
    """The transpose of a program that is linear in its inputs behind the captures."""
    unknowns = program.avals[captures:]
    needed = [i >= captures for i in range(len(program.avals))]

    def function(*operands: Tensor) -> list[Tensor]:
        found = pulled(program, [*operands[:captures], *map(zeros, unknowns)], needed, operands[captures:])
        return [or_zeros(g, x) for g, x in zip(found[captures:], unknowns, strict=True)]

    return program.derive(("transpose", captures), function, [*program.avals[:captures], *program.out_avals])


# --- the kernel ----------------------------------------------------------------------------------------------------


def run_solve(*values: Any, system: System, batches: Batches, columns: int) -> Bundle:
    fixed, b = list(values[: system.captures]), values[system.captures :]
    packing = Packing(system.unknowns)
    sizes = b[0].shape[:columns]
    if not all(x.size for x in b):
        return Bundle(filled(x.shape, 0, like.dtype) for x, like in zip(b, system.unknowns, strict=True))
    count = (math.prod(sizes),) if columns else ()
    lead = lead_of(batches)
    method = system.options.chosen(packing.size)
    rhs = packing.pack(b)
    if callable(method):
        rows = solved_by_user(system, fixed, batches, packing, rhs, method)
    elif method == "dense":
        with np.errstate(all="ignore"):
            rows = solved_by_matrix(system, fixed, batches, packing, rhs)
    else:

        def applied(program: Program) -> Callable[[Array], Array]:
            run = over_columns(for_all(program, batches), system.captures, count).run
            return lambda x: packing.pack(run([*fixed, *packing.unpack(x, (*count, *lead))]))

        made = system.preconditioner
        tol = default_tolerance(packing.dtype) if system.options.tol is None else system.options.tol
        with np.errstate(all="ignore"):
            rows = krylov(
                system.options.name,
                method,
                applied(system.matvec),
                rhs,
                (lambda x: x) if made is None else applied(made),
                tol,
                system.options.maxiter,
                system.options.restart,
            )
    return Bundle(packing.unpack(rows, (*sizes, *lead)))


def solved_by_matrix(system: System, fixed: list[Any], batches: Batches, packing: Packing, rhs: Array) -> Array:
    """The solutions by the matrix of each example; that of real and imaginary parts where no complex one gives the product."""
    n, lead = packing.size, lead_of(batches)
    program = for_all(system.matvec, batches)
    units = np.eye(n, dtype=packing.dtype)
    a = images(program, fixed, packing, lead, units)
    b = rhs.reshape(-1, len(a), n).transpose(1, 2, 0)
    check_linear(system.options.name, program, fixed, packing, lead, a)
    in_parts = packing.dtype.kind == "c" and conjugates(program, fixed, packing, lead, a)
    if in_parts:
        turned = images(program, fixed, packing, lead, 1j * units)
        both = np.concatenate([a, turned], axis=2)
        a, b = (np.concatenate([x.real, x.imag], axis=1) for x in (both, b))
    x = dense_solve(f"[{system.options.name}] the {system.options.what}", a, b)
    if in_parts:
        x = x[:, :n] + 1j * x[:, n:]
    return x.transpose(2, 0, 1).reshape(rhs.shape)


def images(program: Program, fixed: list[Any], packing: Packing, lead: tuple[int, ...], vectors: Array) -> Array:
    """The images of vectors for each example, as the columns of a matrix; of unit vectors, the program's own."""
    count, n, rows = len(vectors), packing.size, math.prod(lead)
    repeats = np.broadcast_to(vectors[:, None], (count, rows, n)).reshape(count * rows, n)
    found = over_columns(program, len(fixed), (count,)).run([*fixed, *packing.unpack(repeats, (count, *lead))])
    return packing.pack(found).reshape(count, rows, n).transpose(1, 2, 0)


def check_linear(name: str, program: Program, fixed: list[Any], packing: Packing, lead: tuple[int, ...], a: Array) -> None:
    """**Raises** `ValueError` where the product with a real vector is not the sum of the columns that it says."""
    rng = np.random.default_rng(1)
    x = (rng.uniform(1.0, 2.0, (1, packing.size)) * rng.choice([-1.0, 1.0], packing.size)).astype(packing.dtype)
    off = np.abs(images(program, fixed, packing, lead, x) - a @ x.T)
    if (off > math.sqrt(epsilon(packing.dtype)) * (np.abs(a) @ np.abs(x.T))).any():
        raise ValueError(
            f"[{name}] A is not linear: A(x) is off by {np.max(off):.3g} from what its images of unit vectors add up to; "
            "take what does not depend on x to the right-hand side, or use custom_root"
        )


def conjugates(program: Program, fixed: list[Any], packing: Packing, lead: tuple[int, ...], a: Array) -> bool:
    """Whether the product with ix is not i times that with x, as where the conjugate of x enters: a[r] is not all of it."""
    x = np.random.default_rng(0).uniform(1.0, 2.0, (1, packing.size)).astype(packing.dtype)
    off = np.abs(images(program, fixed, packing, lead, 1j * x) - 1j * (a @ x.T))
    return bool((off > 16 * packing.size * epsilon(packing.dtype) * (np.abs(a) @ np.abs(x.T))).any())


def dense_solve(what: str, a: Array, b: Array) -> Array:
    """The x of a[r] x[r] = b[r], for matrices of right-hand sides; 0 where these are 0, whatever the matrix.

    **Raises** `LinAlgError` where not a digit of x would be right: where |a| |x|, in which the rounding errors are ε, is
    1/ε times b.
    """
    try:
        x = factorised(a, b)
    except np.linalg.LinAlgError:
        empty = np.array([not part.any() for part in b])
        lost = np.array([not idle and is_singular(part) for part, idle in zip(a, empty, strict=True)])
        x = factorised(np.where((lost | empty)[:, None, None], np.eye(a.shape[1], dtype=a.dtype), a), b)
    else:
        size = np.max(np.abs(a) @ np.abs(x), axis=1, initial=0)
        lost = (size * epsilon(a.dtype) > np.max(np.abs(b), axis=1, initial=0)).any(axis=1)
    if lost.any():
        where = f" of example {int(np.argmax(lost))}" if len(a) > 1 else ""
        raise LinAlgError(
            f"{what}{where}, {a.shape[1]} by {a.shape[1]}, is singular to working precision: no digit of the solution would be "
            "right"
        )
    return x


def factorised(a: Array, b: Array) -> Array:
    """The solution by LAPACK where it knows the dtype."""
    return np.linalg.solve(a, b) if a.dtype.char in "fdFD" else eliminated(a, b)


def is_singular(a: Array) -> bool:
    """Whether elimination meets a pivot of 0."""
    try:
        eliminated(a[None], a[None])
    except np.linalg.LinAlgError:
        return True
    return False


def eliminated(a: Array, b: Array) -> Array:
    """Gauss elimination with row exchanges, for dtypes that LAPACK does not know."""
    rows, n = np.arange(len(a)), a.shape[1]
    work = np.concatenate([a, b], axis=2)
    for k in range(n):
        pivot = k + np.argmax(np.abs(work[:, k:, k]), axis=1)
        work[rows, k], work[rows, pivot] = work[rows, pivot], work[rows, k]
        if not work[:, k, k].all():
            raise np.linalg.LinAlgError
        work[:, k] = work[:, k] / work[:, k, k, None]
        factors = work[:, :, k].copy()
        factors[:, k] = 0
        work = work - factors[:, :, None] * work[:, k, None]
    return work[:, :, n:]


def solved_by_user(system: System, fixed: list[Any], batches: Batches, packing: Packing, rhs: Array, method: Any) -> Array:
    """The solutions by a function of the user's, one system after the other."""
    structure = system.options.structure
    examples = list(each_example(fixed, batches))
    rows = np.empty_like(rhs)
    for i, b in enumerate(rhs):
        captured = [handle(x) for x in examples[i % len(examples)]]

        def matvec(x: Any, captured: list[Tensor] = captured) -> Any:
            return tree.unflatten(structure, system.matvec(*captured, *leaves_like(system.options.name, x, system.unknowns)))

        given = tree.unflatten(structure, [handle(x) for x in packing.unpack(b[None], ())])
        found = leaves_like(system.options.name, method(matvec, given), system.unknowns)
        rows[i] = packing.pack([x.value for x in found])[0]
    return rows


def leaves_like(name: str, x: Any, avals: Sequence[Shaped]) -> list[Tensor]:
    """The leaves of what a function of the user's gave or got for an unknown, in the dtypes of the unknown.

    **Raises** `ShapeError` where they do not fit.
    """
    leaves = [as_handle(leaf) for leaf in tree.leaves(x)]
    if [leaf.shape for leaf in leaves] != [like.shape for like in avals]:
        came = ", ".join(map(describe, leaves))
        raise ShapeError(f"[{name}] a tree like the unknown was needed, ({', '.join(map(repr, avals))}); ({came}) came")
    return [
        leaf if leaf.dtype == like.dtype else astype(leaf, dtype=like.dtype) for leaf, like in zip(leaves, avals, strict=True)
    ]


# --- the row -------------------------------------------------------------------------------------------------------


def apply_solve(
    system: System, fixed: Sequence[Tensor], b: Sequence[Tensor], batches: Batches = (), columns: int = 0
) -> list[Tensor]:
    """The solutions x of A x = b: b has `columns` leading axes of systems that share A, then the batches."""
    y = bind(SOLVE, (*fixed, *b), {"system": system, "batches": batches, "columns": columns})
    return [output(y, i) for i in range(len(b))]


def solve_shape(*operands: Shaped, system: System, batches: Batches, columns: int) -> Bundle:
    return Bundle(Shaped(x.shape, like.dtype) for x, like in zip(operands[system.captures :], system.unknowns, strict=True))


def solve_cost(output: Any, *operands: Any, system: System, batches: Batches, columns: int) -> float:
    size = sum(x.size for x in system.unknowns)
    return output.size * (system.matvec.flops + size * size / 1.5)


def full(system: System, batches: Batches, sizes: Sequence[int]) -> Program:
    """The product with the matrix for all examples and columns."""
    return over_columns(for_all(system.matvec, batches), system.captures, sizes)


def solve_jvp(tangents: Any, y: Any, *xs: Any, system: System, batches: Batches, columns: int) -> Bundle:
    facts = [None if t is None else [t] for t in tangents]
    found = followed_solve(xs, facts, 0, y, system, batches, columns)
    return Bundle(fact and fact[0] for fact in found)


def solve_taylor(order: int, y: Any, *xs: Any, system: System, batches: Batches, columns: int) -> Rule:
    values = [x[0] for x in xs]
    return by_order(lambda: followed_solve(values, coefficients(xs, order), order, y[0], system, batches, columns))


def followed_solve(
    xs: Any, facts: Any, order: int, y: Any, system: System, batches: Batches, columns: int
) -> list[list[Any] | None]:
    """The tangents, or coefficients, of the solution: the k-th solves A x_k = b_k - what the others give with k."""
    count = len(system.unknowns)
    if all(fact is None for fact in facts):
        return [None] * count
    fixed, b = xs[: system.captures], xs[system.captures :]
    program = full(system, batches, b[0].shape[:columns])
    x = [output(y, i) for i in range(count)]
    known: list[list[Tensor]] = [[] for _ in x]
    for k in range(1, max(order, 1) + 1):
        given = [fact and fact[:k] for fact in facts[: system.captures]]
        series = [[*found, zeros(aval(v.value))] for v, found in zip(x, known, strict=True)] if k > 1 else [None] * count
        _, products = followed(program, [*fixed, *x], [*given, *series], k if order else 0)
        rhs = []
        for v, fact, product in zip(b, facts[system.captures :], products, strict=True):
            term = or_zeros(fact and fact[k - 1], aval(v.value))
            rhs.append(term if product is None else subtract(term, product[k - 1]))
        for found, c in zip(known, apply_solve(system, fixed, rhs, batches, columns), strict=True):
            found.append(c)
    return list(known)


def solve_vjp(needed: Any, ct: Any, y: Any, *xs: Any, system: System, batches: Batches, columns: int) -> list[Any]:
    captures, count = system.captures, len(system.unknowns)
    fixed, b = xs[:captures], xs[captures:]
    sizes = b[0].shape[:columns]
    x = [output(y, i) for i in range(count)]
    seeds = [or_zeros(g, aval(v.value)) for g, v in zip(ct, x, strict=True)]
    adjoint = apply_solve(system.transposed(), fixed, seeds, batches, columns)
    wanted = [bool(need) and is_smooth(v) for need, v in zip(needed[:captures], fixed, strict=True)]
    found: list[Any] = [None] * captures
    if any(wanted):
        minus = [negative(g) for g in adjoint]
        found = pulled(full(system, batches, sizes), [*fixed, *x], [*wanted, *(False,) * count], minus)[:captures]
    return [*found, *adjoint]


def solve_batch(size: int, operands: Any, batched: Any, *, system: System, batches: Batches, columns: int) -> Bundle:
    captures = system.captures
    fixed = operands[:captures]
    b = [x if flag else repeated(x, size) for x, flag in zip(operands[captures:], batched[captures:], strict=True)]
    flags = tuple(batched[:captures])
    if not any(flags):
        return Bundle(apply_solve(system, fixed, b, batches, columns + 1))
    inward, outward = (*range(1, columns + 1), 0), (columns, *range(columns))
    x = apply_solve(system, fixed, [moved(v, inward) for v in b], (*batches, (size, flags)), columns)
    return Bundle(moved(v, outward) for v in x)


def moved(x: Tensor, first: tuple[int, ...]) -> Tensor:
    """The first axes in another order."""
    return permute_dims(x, axes=(*first, *range(len(first), x.ndim))) if len(first) > 1 else x


SOLVE = control(
    "linear_solve",
    """The solution of a linear system whose matrix is a program, of the captures, that is linear in the rest.""",
    numpy=run_solve,
    shape=solve_shape,
    jvp=solve_jvp,
    vjp=solve_vjp,
    taylor=solve_taylor,
    batch=solve_batch,
    cost=solve_cost,
)
SOLVE.calls_back = True


# --- public --------------------------------------------------------------------------------------------------------


def linear_solve(
    A: Any,
    b: Any,
    *,
    method: str | Callable[..., Any] = "auto",
    symmetric: bool = False,
    preconditioner: Any = None,
    tol: float | None = None,
    maxiter: int | None = None,
    restart: int = 50,
) -> Any:
    """The solution of a linear system, A x = b, whose derivatives are solutions of linear systems with A and its transpose.

    dx = A⁻¹ (db - dA x);  ct_b = A⁻ᵀ ct,  ct_A = -ct_b xᵀ.  How the system was solved is not differentiated.

    **Parameters** `A`: a square matrix, or a linear function that takes a tree like `b` to another, traced by shapes; what it
    captures is differentiated.  `b`: a vector, or with a matrix A also a matrix, whose columns are solved for; with a
    function A any tree of arrays.  `method`: "dense" forms the matrix and eliminates; "cg" (conjugate gradients, for symmetric
    or Hermitian A that are positive definite), "gmres" and "bicgstab" need nothing but products; "auto" is "dense" up to 512
    unknowns, then "cg" where `symmetric` is said and else "gmres"; or a function `solve(matvec, b)` of yours, which is given
    the transposed product for cotangents.  `preconditioner`: a matrix or linear function near A⁻¹.  `tol`: the
    iterations stop where |b - A x| <= tol |b|, by default ε^(2/3), 4e-11 in float64 and 2e-5 in float32.  `maxiter`: of
    iterations, by default 10 n + 10.  `restart`: the vectors that "gmres" keeps.

    **Returns** x, a tree like `b`.  Under `vmap` each system has its own iteration and meets its own tolerance.

    **Raises** `ConvergenceError` with the residual reached; `LinAlgError` where "dense" finds no digit of x; `ShapeError`,
    `DTypeError` where A and b do not fit.

    **Source** Christianson, Reverse accumulation and implicit functions, Optimization Methods and Software 9 (1998).

    **Example**

    >>> import arrayad as ad
    >>> A, b = ad.tensor([[3.0, 1.0], [1.0, 2.0]]), ad.tensor([5.0, 5.0])
    >>> ad.linear_solve(A, b), ad.linear_solve(lambda x: A @ x, b, method="cg")
    (Tensor([1., 2.]), Tensor([1., 2.]))
    >>> ad.jacobian(lambda s: ad.linear_solve(lambda x: s * x + x, b))(4.0)
    Tensor([-0.2, -0.2])
    """
    name = "linear_solve"
    check_options(name, method, tol, maxiter)
    leaves, structure = tree.flatten(b)
    if not leaves:
        raise ShapeError(f"[{name}] b is a tree without arrays; there is nothing to solve for")
    unknowns = [smooth(as_handle(x)) for x in leaves]
    columns = 0
    if not callable(A):
        product, columns = product_with(name, A, unknowns)
        unknowns = [moved(unknowns[0], (1, 0))] if columns else unknowns
    else:
        product = A
    if preconditioner is not None and not callable(preconditioner):
        preconditioner, _ = product_with(name, preconditioner, unknowns, columns)
    tape, unknowns = square_tape(name, product, structure, unknowns, columns)
    avals = [aval(x.value) for x in unknowns]
    avals = [Shaped(x.shape[columns:], x.dtype) for x in avals]
    tapes = [tape]
    if preconditioner is not None:
        tapes.append(traced_unknown(name, preconditioner, structure, avals))
        check_like(name, "the preconditioner", tapes[1], structure, avals)
    captures = captures_of(tapes)
    programs = [closed(each, captures) for each in tapes]
    options = Options(name, "matrix", method, symmetric, tol, maxiter, restart, structure)
    system = System(programs[0], programs[1] if preconditioner is not None else None, len(captures), options)
    x = apply_solve(system, list(captures.values()), unknowns, (), columns)
    return tree.unflatten(structure, [moved(x[0], (1, 0))] if columns else x)


def traced_unknown(name: str, function: Callable[..., Any], structure: tree.Structure, avals: Sequence[Shaped]) -> Tape:
    """The tape of a function of an unknown, a tree of this structure, by shapes."""
    with enable_grad():
        return traced_body(name, function, tree.Structure(tuple, (0,), (structure,), structure.leaves), avals)


def check_options(name: str, method: Any, tol: float | None, maxiter: int | None) -> None:
    """**Raises** `ValueError` for what is no method, tolerance or number of iterations."""
    if not (callable(method) or method in METHODS):
        raise ValueError(f"[{name}] the method is {method!r}; it must be one of {', '.join(METHODS)}, or a function")
    if tol is not None and not tol > 0:
        raise ValueError(f"[{name}] tol is {tol}; it must be positive")
    if maxiter is not None and maxiter < 1:
        raise ValueError(f"[{name}] maxiter is {maxiter}; it must be at least 1")


def smooth(x: Tensor) -> Tensor:
    """An integer as a floating-point number."""
    return x if is_smooth(x) else astype(x, dtype=np.dtype(np.float64))


def product_with(name: str, a: Any, b: list[Tensor], columns: int | None = None) -> tuple[Callable[[Any], Any], int]:
    """The product with a matrix, and how many axes of b are columns."""
    a = smooth(as_handle(a))
    if len(b) != 1 or a.ndim != 2 or a.shape[0] != a.shape[1]:
        came = ", ".join(map(describe, b))
        raise ShapeError(f"[{name}] the matrix is {describe(a)}, b is {came}; a square matrix and one array are needed")
    n = b[0].shape[0 if columns is None else -1] if b[0].ndim in (1, 2) else None
    if n != a.shape[1]:
        raise ShapeError(f"[{name}] sizes differ: the matrix is {describe(a)}, b is {describe(b[0])}; b must be [n] or [n,k]")
    return (lambda x: matmul(a, x)), b[0].ndim - 1


def square_tape(
    name: str, product: Callable[[Any], Any], structure: tree.Structure, b: list[Tensor], columns: int
) -> tuple[Tape, list[Tensor]]:
    """The tape of the product, and b in the dtypes that it gives: those of A and b together."""
    for last in (False, True):
        avals = [Shaped(x.shape[columns:], x.dtype) for x in b]
        tape = traced_unknown(name, product, structure, avals)
        found = [aval(as_handle(y).value) for y in tape.outputs]
        wider = [np.result_type(x.dtype, y.dtype) if is_smooth(y) else x.dtype for x, y in zip(avals, found, strict=False)]
        if last or wider == [x.dtype for x in avals]:
            break
        b = [astype(x, dtype=dtype) for x, dtype in zip(b, wider, strict=True)]
    check_like(name, "A", tape, structure, avals)
    return tape, b


def check_like(name: str, what: str, tape: Tape, structure: tree.Structure, avals: list[Shaped]) -> None:
    """**Raises** `ShapeError`, `DTypeError` unless the tape's results are like the unknowns."""
    found = [aval(as_handle(y).value) for y in tape.outputs]
    if tape.structure != structure:
        raise ShapeError(f"[{name}] {what} takes the tree {structure} to {tape.structure}; they must agree")
    paths = [path for path, _ in tree.paths(tree.unflatten(structure, list(avals)))]
    for path, x, y in zip(paths, avals, found, strict=True):
        if x.shape != y.shape:
            raise ShapeError(f"[{name}] {what} takes the unknown{path}, {x}, to {y}; shapes must agree")
        if x.dtype != y.dtype:
            raise DTypeError(f"[{name}] {what} takes the unknown{path}, {x}, to {y}; dtypes must agree: use astype")
    if len({x.dtype.kind for x in avals}) > 1:
        raise DTypeError(f"[{name}] the unknowns are real and complex numbers; all must be of one kind")
