"""`solve`, linear systems with a sparse matrix, and their row: derivatives by the values that stand in the matrix.

The factors of a matrix are kept beside its pattern, so that the transposed system of a cotangent, and the systems of all
tangents, cost a forward and a backward substitution and no further factorisation.
"""

from __future__ import annotations

import functools
import hashlib
import math
from typing import Any, NamedTuple

import numpy as np

from arrayad.errors import DTypeError, LinAlgError, ShapeError, describe
from arrayad.functions.decompositions import of_lapack
from arrayad.functions.indexing import at, take
from arrayad.functions.reduction import sum as total
from arrayad.primitive import OUTPUT, general
from arrayad.primitives.broadcasting import all_batched, broadcast_to
from arrayad.primitives.indexing import zeros
from arrayad.primitives.linear_systems import side_by_side, taken_apart
from arrayad.primitives.matrices import added
from arrayad.primitives.shape import reshape
from arrayad.readers.pattern import import_sparse
from arrayad.samples import Samples
from arrayad.shaped import Shaped
from arrayad.tensor import Tensor

Array = np.ndarray[Any, Any]


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


class Pattern:
    """Where the values of a square matrix stand: value k is added to element (rows[k], columns[k]).

    The factors of the values that came last are kept.
    """

    def __init__(self, rows: Array, columns: Array, size: int, symmetric: bool) -> None:
        self.rows = rows
        self.columns = columns
        self.size = size
        self.symmetric = symmetric
        self.latest: tuple[Array, list[Factors]] | None = None

    @functools.cached_property
    def digest(self) -> str:
        """What tells patterns apart."""
        content = hashlib.blake2b(f"{self.size} {self.symmetric}".encode(), digest_size=8)
        content.update(self.rows.tobytes() + self.columns.tobytes())
        return content.hexdigest()

    def __repr__(self) -> str:
        return f"<{self.size}x{self.size}, {len(self.rows)} values, {self.digest}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def factors(self, values: Array) -> list[Factors]:
        """The factors of the matrix of each row of values."""
        latest = self.latest
        if latest is not None and latest[0].dtype == values.dtype and np.array_equal(latest[0], values):
            return latest[1]
        found = [self.factorised(row, i, len(values)) for i, row in enumerate(values)]
        self.latest = values.copy(), found
        return found

    def factorised(self, values: Array, i: int, count: int) -> Factors:
        linalg = import_sparse().linalg
        matrix = import_sparse().coo_array((values, (self.rows, self.columns)), shape=(self.size, self.size)).tocsc()
        if np.isnan(values).any():
            return Factors(matrix, None)
        # SuperLU's guide: for a symmetric pattern and a heavy diagonal, minimum degree on A + Aᵀ and pivots from the diagonal.
        how = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.01, "options": {"SymmetricMode": True}}
        try:
            return Factors(matrix, linalg.splu(matrix, **(how if self.symmetric else {})))
        except RuntimeError as error:
            if "singular" not in str(error):
                raise
            raise self.singular(i, count, "it has no inverse") from None

    def singular(self, i: int, count: int, why: str) -> LinAlgError:
        which = f" {i} of {count}" if count > 1 else ""
        return LinAlgError(f"[sparse.solve] matrix{which}, {self.size} by {self.size}, is singular to working precision: {why}")


# --- the row -------------------------------------------------------------------------------------------------------


def solve_kernel(x1: Any, x2: Any, *, pattern: Pattern, transposed: bool) -> Any:
    dtype = np.result_type(x1, x2)
    y = np.zeros(x2.shape, dtype)
    if not y.size:
        return y
    stack = x1.astype(dtype, copy=False).reshape(-1, x1.shape[-1])
    right = x2.astype(dtype, copy=False).reshape(len(stack), *x2.shape[-2:])
    for i, (factors, b, out) in enumerate(zip(pattern.factors(stack), right, y.reshape(right.shape), strict=True)):
        with np.errstate(all="ignore"):
            out[...] = factors.solve(b, transposed)
            lost = factors.sizes(out, transposed).max(axis=0) * np.finfo(dtype).eps > np.abs(b).max(axis=0)
        if lost.any():
            raise pattern.singular(i, len(stack), "no digit of the solution would be right")
    return y


def solve_shape(x1: Shaped, x2: Shaped, *, pattern: Pattern, transposed: bool) -> Shaped:
    return Shaped(x2.shape, np.result_type(x1.dtype, x2.dtype))


def product(values: Any, y: Any, pattern: Pattern, transposed: bool) -> Any:
    """Matrix by matrix: the sum over k of values[…, k] y[…, columns[k], :], in rows[k]."""
    rows, columns = (pattern.columns, pattern.rows) if transposed else (pattern.rows, pattern.columns)
    terms = reshape(values, shape=(*values.shape, 1)) * take(y, columns, axis=-2)
    return at(zeros(Shaped(y.shape, terms.dtype)))[..., rows, :].add(terms)


def solve_jvp(tangents: Any, y: Any, x1: Any, x2: Any, *, pattern: Pattern, transposed: bool) -> Any:
    """A Y = B gives A tY = tB - tA Y."""
    by_values, by_right = tangents
    moved = None if by_values is None else -product(by_values, y, pattern, transposed)
    return solve_row(x1, added(moved, by_right), pattern=pattern, transposed=transposed)


def solve_vjp(needed: Any, ct: Any, y: Any, x1: Any, x2: Any, *, pattern: Pattern, transposed: bool) -> Any:
    """The element of -λ Yᵀ, with Aᵀ λ = ct, where each value stands."""
    adjoint = solve_row(x1, ct, pattern=pattern, transposed=not transposed)
    if not needed[0]:
        return None, adjoint
    rows, columns = (pattern.columns, pattern.rows) if transposed else (pattern.rows, pattern.columns)
    return -total(take(adjoint, rows, axis=-2) * take(y, columns, axis=-2), axis=-1), adjoint


def solve_batch(row: Any, size: int, operands: Any, batched: Any, **params: Any) -> Any:
    """A matrix that the examples share is factorised once."""
    x1, x2 = operands
    if batched[0]:
        return row.apply(*all_batched(size, operands, batched), **params)
    return taken_apart(row.apply(x1, side_by_side(x2, 1), **params), x2.shape, 1)


def solve_cost(output: Any, x1: Any, x2: Any, *, pattern: Pattern, transposed: bool) -> float:
    """That of a plane grid in nested dissection, about 10 n^(3/2) and 15.5 n log₂ n for each column (George 1973)."""
    n = max(pattern.size, 2)
    return float(10 * n**1.5 * math.prod(x1.shape[:-1]) + 15.5 * np.log2(n) * x2.size)


def tridiagonal(rng: Any, shape: tuple[int, ...]) -> Any:
    """Values in the pattern of the samples, heavy on the diagonal."""
    return rng.uniform(-0.5, 0.5, shape) + np.where(SAMPLE.rows == SAMPLE.columns, 2.0, 0.0)


SAMPLE = Pattern(np.array([0, 1, 2, 0, 1, 1, 2, 0]), np.array([0, 1, 2, 1, 0, 2, 1, 0]), 3, False)
"""The pattern that the row is tried on; one element is the sum of two values."""

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
        params=[{"pattern": SAMPLE, "transposed": False}, {"pattern": SAMPLE, "transposed": True}],
        make={0: tridiagonal},
    ),
    cost=solve_cost,
)


# --- public --------------------------------------------------------------------------------------------------------


def solve(A: Any, b: Any, *, symmetric: bool = False) -> Tensor:
    """Solutions y of linear systems with a sparse matrix, Σ_j A[i, j] y[j, k] = b[i, k], by SuperLU's factors.

    ct_b = A⁻ᵀ ct,  ct_A[i, j] = -Σ_k ct_b[i, k] y[j, k] where A has a value: the factors serve for it, so that the gradient costs
    little beside the solution.

    **Parameters** `A`: a pair `(values, (rows, columns))`, as `scipy.sparse.coo_array` takes it: values in one place are added,
    as when finite elements are assembled; or a triple `(values, columns, row_starts)`, as `csr_array` takes it; or one of
    SciPy's sparse matrices, which is a constant.  `values` has shape (nnz,), and may be differentiated by; with leading axes
    they are several matrices of one pattern.  `rows` and `columns` are integers, and constant.  `b`: a vector, shape (n,), or
    matrices, shape (…, n, k); leading axes broadcast.  `symmetric`: says that A is symmetric with a heavy diagonal, as positive
    definite matrices are; it is factorised faster then, in less memory.

    **Returns** shape (…, n) for a vector, else (…, n, k).  As long as a derivative can be asked for, the factors are kept.

    **Raises** `LinAlgError` where A is singular, or so near it that no digit of y would be right; `ShapeError` and `DTypeError`
    for what does not fit; `ImportError` without SciPy.

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
    if b.ndim == 0:
        raise ShapeError(f"[sparse.solve] b is {describe(b)}; a vector is needed, or matrices along the last two axes")
    columns = reshape(b, shape=(*b.shape, 1)) if b.ndim == 1 else b
    values, pattern = parsed(A, columns.shape[-2], symmetric)
    lead = leading_axes(values, columns)
    if values.ndim == 1 and columns.ndim > 2:
        count = columns.ndim - 2
        y = solve_row(values, side_by_side(columns, count), pattern=pattern, transposed=False)
        return taken_apart(y, columns.shape, count)
    shapes = (*lead, values.shape[-1]), (*lead, *columns.shape[-2:])
    operands = [
        x if x.shape == shape else broadcast_to(x, shape=shape) for x, shape in zip((values, columns), shapes, strict=True)
    ]
    y = solve_row(*operands, pattern=pattern, transposed=False)
    return reshape(y, shape=y.shape[:-1]) if b.ndim == 1 else y


def expanded(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else broadcast_to(x, shape=shape)


def leading_axes(values: Tensor, b: Tensor) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(values.shape[:-1], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"[sparse.solve] leading axes do not broadcast: the values are {describe(values)}, b is {describe(b)}; without the "
            "last axis of the values and the last two of b, axes must agree or be 1, counted from the last"
        ) from None


def parsed(A: Any, size: int, symmetric: bool) -> tuple[Tensor, Pattern]:
    """The values of a matrix of this size, and where they stand.

    **Raises** `TypeError` for what is no sparse matrix; `ShapeError`, `DTypeError`, `IndexError` for what does not fit.
    """
    sparse = import_sparse()
    if sparse.issparse(A):
        if A.shape != (size, size):
            raise ShapeError(f"[sparse.solve] A has shape {A.shape}, b has {size} rows; A must be {size} by {size}")
        coo = A.tocoo()
        A = coo.data, (coo.row, coo.col)
    if not isinstance(A, tuple) or len(A) not in (2, 3) or (len(A) == 2 and len(A[1]) != 2):
        raise TypeError(
            f"[sparse.solve] A is {type(A).__name__}; (values, (rows, columns)), (values, columns, row_starts) or a sparse "
            "matrix of SciPy's is needed.  For a dense matrix there is linalg.solve"
        )
    values = of_lapack(A[0], "sparse.solve")
    if len(A) == 2:
        rows, columns = (indices(name, x) for name, x in zip(("rows", "columns"), A[1], strict=True))
    else:
        columns, starts = indices("columns", A[1]), indices("row_starts", A[2])
        if len(starts) != size + 1 or starts[0] != 0 or starts[-1] != len(columns) or (np.diff(starts) < 0).any():
            raise ShapeError(
                f"[sparse.solve] row_starts must be the {size + 1} places where rows start, from 0 to {len(columns)}, rising"
            )
        rows = np.repeat(np.arange(size), np.diff(starts))
    if values.ndim == 0 or not values.shape[-1] == len(rows) == len(columns):
        raise ShapeError(
            f"[sparse.solve] the values are {describe(values)}, with {len(rows)} rows and {len(columns)} columns; one of each "
            "is needed for each value"
        )
    for name, x in (("rows", rows), ("columns", columns)):
        if x.size and not 0 <= x.min() <= x.max() < size:
            raise IndexError(f"[sparse.solve] {name} go from {x.min()} to {x.max()}; b has {size} rows, so from 0 to {size - 1}")
    return values, Pattern(rows, columns, size, symmetric)


def indices(name: str, x: Any) -> Array:
    """Whole numbers as a vector of their own.

    **Raises** `DTypeError`, `ShapeError` for anything else.
    """
    found = np.array(x)
    if found.dtype.kind not in "iu" and found.size:
        raise DTypeError(f"[sparse.solve] {name} are {describe(found)}; integers are needed")
    if found.ndim != 1:
        raise ShapeError(f"[sparse.solve] {name} are {describe(found)}; a vector is needed")
    return found.astype(np.intp)
