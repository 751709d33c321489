"""`solve`, linear systems with a sparse matrix, and their row: derivatives by the values that stand in the matrix.

The factors of a matrix are kept, so that the transposed system of a cotangent, and the systems of all tangents, cost a forward
and a backward substitution and no further factorisation.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from arrayad.errors import LinAlgError, ShapeError
from arrayad.functions.decompositions import of_lapack
from arrayad.primitive import OUTPUT, general
from arrayad.primitives.broadcasting import all_batched
from arrayad.primitives.matrices import added
from arrayad.primitives.shape import reshape
from arrayad.readers.pattern import import_sparse
from arrayad.samples import Samples
from arrayad.shaped import Shaped
from arrayad.sparse.matrices import Array, Pattern, alike, as_columns, by_values, over_columns, parsed, product
from arrayad.tensor import Tensor


class Factors(NamedTuple):
    """A matrix and SuperLU's factors of it, None for a matrix with a nan."""

    matrix: Any
    lu: Any

    def solve(self, b: Array, transposed: bool) -> Array:
        return np.full_like(b, np.nan) if self.lu is None else np.asarray(self.lu.solve(b, "T" if transposed else "N"))

    def sizes(self, y: Array, transposed: bool) -> Array:
        """|A| |y|, in ε of which the rounding errors of A y are."""
        matrix = abs(self.matrix)
        return np.asarray((matrix.T if transposed else matrix) @ np.abs(y))


class Solver:
    """How to factorise matrices of a pattern, and the factors of those that came last."""

    def __init__(self, pattern: Pattern, symmetric: bool) -> None:
        self.pattern = pattern
        self.symmetric = symmetric
        self.latest: tuple[Array, list[Factors]] | None = None

    def __repr__(self) -> str:
        return f"{self.pattern!r}{' symmetric' if self.symmetric else ''}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Solver) and (self.pattern, self.symmetric) == (other.pattern, other.symmetric)

    def __hash__(self) -> int:
        return hash(self.pattern)

    def factors(self, values: Array) -> list[Factors]:
        """The factors of the matrix of each row of values."""
        latest = self.latest
        if latest is not None and latest[0].dtype == values.dtype and np.array_equal(latest[0], values):
            return latest[1]
        found = [self.factorised(row, i, len(values)) for i, row in enumerate(values)]
        self.latest = values.copy(), found
        return found

    def factorised(self, values: Array, i: int, count: int) -> Factors:
        matrix = self.pattern.matrix(values).tocsc()
        if np.isnan(values).any():
            return Factors(matrix, None)
        # SuperLU's guide: for a symmetric pattern and a heavy diagonal, minimum degree on A + Aᵀ and pivots from the diagonal.
        how = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.01, "options": {"SymmetricMode": True}}
        try:
            return Factors(matrix, import_sparse().linalg.splu(matrix, **(how if self.symmetric else {})))
        except RuntimeError as error:
            if "singular" not in str(error):
                raise
            raise self.singular(i, count, "it has no inverse") from None

    def singular(self, i: int, count: int, why: str) -> LinAlgError:
        which = f" {i} of {count}" if count > 1 else ""
        n = self.pattern.shape[0]
        return LinAlgError(f"[sparse.solve] matrix{which}, {n} by {n}, is singular to working precision: {why}")


# --- the row -------------------------------------------------------------------------------------------------------


def solve_kernel(x1: Any, x2: Any, *, solver: Solver, transposed: bool) -> Any:
    dtype = np.result_type(x1, x2)
    y = np.zeros(x2.shape, dtype)
    if not y.size:
        return y
    stack = x1.astype(dtype, copy=False).reshape(-1, x1.shape[-1])
    right = x2.astype(dtype, copy=False).reshape(len(stack), *x2.shape[-2:])
    for i, (factors, b, out) in enumerate(zip(solver.factors(stack), right, y.reshape(right.shape), strict=True)):
        with np.errstate(all="ignore"):
            out[...] = factors.solve(b, transposed)
            lost = factors.sizes(out, transposed).max(axis=0) * np.finfo(dtype).eps > np.abs(b).max(axis=0)
        if lost.any():
            raise solver.singular(i, len(stack), "no digit of the solution would be right")
    return y


def solve_shape(x1: Shaped, x2: Shaped, *, solver: Solver, transposed: bool) -> Shaped:
    return Shaped(x2.shape, np.result_type(x1.dtype, x2.dtype))


def solve_jvp(tangents: Any, y: Any, x1: Any, x2: Any, *, solver: Solver, transposed: bool) -> Any:
    """A Y = B gives A tY = tB - tA Y."""
    tA, tB = tangents
    moved = None if tA is None else -product(tA, y, pattern=solver.pattern, transposed=transposed)
    return solve_row(x1, added(moved, tB), solver=solver, transposed=transposed)


def solve_vjp(needed: Any, ct: Any, y: Any, x1: Any, x2: Any, *, solver: Solver, transposed: bool) -> Any:
    """With Aᵀ λ = ct, the elements of -λ Yᵀ where the values stand, and λ."""
    adjoint = solve_row(x1, ct, solver=solver, transposed=not transposed)
    by_matrix = -by_values(adjoint, x1, y, pattern=solver.pattern, transposed=transposed) if needed[0] else None
    return by_matrix, adjoint


def solve_batch(row: Any, size: int, operands: Any, batched: Any, **params: Any) -> Any:
    """A matrix that the examples share is factorised once."""
    x1, x2 = operands
    if batched[0]:
        return row.apply(*all_batched(size, operands, batched), **params)
    return over_columns(functools.partial(row.apply, x1, **params), x2, 1)


def solve_cost(output: Any, x1: Any, x2: Any, *, solver: Solver, transposed: bool) -> float:
    """That of a plane grid in nested dissection, about 10 n^(3/2) and 15.5 n log₂ n for each column (George 1973)."""
    n = max(solver.pattern.shape[0], 2)
    return float(10 * n**1.5 * math.prod(x1.shape[:-1]) + 15.5 * np.log2(n) * x2.size)


def tridiagonal(rng: Any, shape: tuple[int, ...]) -> Any:
    """Values in the pattern of the samples, heavy on the diagonal."""
    return rng.uniform(-0.5, 0.5, shape) + np.where(SAMPLE.pattern.rows == SAMPLE.pattern.columns, 2.0, 0.0)


SAMPLE = Solver(Pattern(np.array([0, 1, 2, 1, 0, 2, 1, 0]), (3, 3), rows=np.array([0, 1, 2, 0, 1, 1, 2, 0])), False)
"""What the row is tried on; one element is the sum of two values."""

solve_row = general(
    "sparse_solve",
    """Solution of sparse linear systems: A Y = B, or Aᵀ Y = B where `transposed`.

    A has the sum of those x1[…, k] for which rows[k] = i and columns[k] = j as its element (i, j); B = x2[…, :, :].

    **Raises** `LinAlgError` where A is singular to working precision.
    """,
    numpy=solve_kernel,
    shape=solve_shape,
    jvp=solve_jvp,
    vjp=solve_vjp,
    residuals=(0, OUTPUT),
    batch=solve_batch,
    samples=Samples(
        lapack=True,
        complex=True,
        shapes=[((8,), (3, 2)), ((2, 8), (2, 3, 1)), ((8,), (3, 0)), ((0, 8), (0, 3, 2))],
        params=[{"solver": SAMPLE, "transposed": False}, {"solver": SAMPLE, "transposed": True}],
        make={0: tridiagonal},
    ),
    cost=solve_cost,
)


# --- public --------------------------------------------------------------------------------------------------------


def solve(A: Any, b: Any, *, symmetric: bool = False) -> Tensor:
    """Solutions y of linear systems with a sparse matrix, Σ_j A[i, j] y[j, k] = b[i, k], by SuperLU's factors.

    ct_b = A⁻ᵀ ct,  ct_A[i, j] = -Σ_k ct_b[i, k] y[j, k] where A has a value: the factors serve for it, so that the gradient costs
    little beside the solution.

    **Parameters** `A`: a square matrix, as a pair `(values, (rows, columns))` in the way of `scipy.sparse.coo_array`, where
    values in one place are added, as when finite elements are assembled; or a triple `(values, columns, row_starts)` in that of
    `csr_array`; or one of SciPy's sparse matrices, which is a constant.  `values` has shape (nnz,), and may be differentiated
    by; with leading axes they are several matrices of one pattern.  `rows` and `columns` are integers, and constant.  `b`: a
    vector, shape (n,), or matrices, shape (…, n, k); leading axes broadcast.  `symmetric`: says that A is symmetric with a heavy
    diagonal, as positive definite matrices are; it is factorised faster then, in less memory.

    **Returns** shape (…, n) for a vector, else (…, n, k).  As long as a derivative can be asked for, the factors are kept.

    **Raises** `LinAlgError` where A is singular, or so near it that no digit of y would be right; `ShapeError`, `DTypeError`,
    `IndexError` for what does not fit; `ImportError` without SciPy.

    **Source** Giles, Collected matrix derivative results for forward and reverse mode AD (2008), section 2.3.1, in the pattern of
    A; Demmel et al., A supernodal approach to sparse partial pivoting, SIAM J. Matrix Anal. Appl. 20 (1999).

    **Example**

    >>> import arrayad as ad
    >>> places = [0, 1, 0], [0, 1, 1]
    >>> values = ad.tensor([2.0, 4.0, 1.0])
    >>> ad.sparse.solve((values, places), [3.0, 4.0])
    Tensor([1., 1.])
    >>> ad.grad(lambda values: ad.sum(ad.sparse.solve((values, places), [3.0, 4.0])))(values)
    Tensor([-0.5  , -0.125, -0.5  ])
    """
    b = of_lapack(b, "sparse.solve")
    columns = as_columns("sparse.solve", b)
    values, pattern = parsed("sparse.solve", A, columns.shape[-2])
    if pattern.shape[0] != pattern.shape[1]:
        raise ShapeError(f"[sparse.solve] A has shape {pattern.shape}; it must be square")
    apply = functools.partial(solve_row, solver=Solver(pattern, symmetric), transposed=False)
    if values.ndim == 1:
        y = over_columns(functools.partial(apply, values), columns, columns.ndim - 2)
    else:
        y = apply(*alike("sparse.solve", values, columns))
    return reshape(y, shape=y.shape[:-1]) if b.ndim == 1 else y
