"""Sparse matrices in the forms of SciPy's constructors, and `matmul`, their products with dense ones.

What is differentiated are the values in a matrix; where they stand is constant.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.functions.decompositions import of_lapack
from arrayad.functions.indexing import take
from arrayad.functions.reduction import sum as total
from arrayad.primitive import bilinear
from arrayad.primitives.broadcasting import all_batched, broadcast_to
from arrayad.primitives.linear_systems import side_by_side
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.readers.pattern import import_sparse
from arrayad.samples import Samples
from arrayad.shaped import Shaped
from arrayad.tensor import Tensor

Array = np.ndarray[Any, Any]


class Pattern:
    """Where the values of a matrix stand: value k is added to the element (rows[k], columns[k]).

    Where the values come row by row, `starts` has the places at which rows start, and the place after the last.
    """

    def __init__(self, columns: Array, shape: tuple[int, int], rows: Array | None = None, starts: Array | None = None) -> None:
        self.columns = columns
        self.shape = shape
        self.starts = starts
        if rows is not None:
            self.rows = rows

    @functools.cached_property
    def rows(self) -> Array:
        assert self.starts is not None
        return np.repeat(np.arange(self.shape[0]), np.diff(self.starts))

    def places(self, transposed: bool) -> tuple[Array, Array]:
        """The rows and the columns of the values, in the matrix or in its transpose."""
        return (self.columns, self.rows) if transposed else (self.rows, self.columns)

    def matrix(self, values: Array) -> Any:
        """SciPy's matrix of these values: by rows if they come so, else in coordinates."""
        sparse = import_sparse()
        if self.starts is not None:
            return sparse.csr_array((values, self.columns, self.starts), shape=self.shape)
        return sparse.coo_array((values, (self.rows, self.columns)), shape=self.shape)

    @functools.cached_property
    def digest(self) -> str:
        """What tells patterns apart."""
        content = hashlib.blake2b(repr(self.shape).encode(), digest_size=8)
        for indices in (self.columns, self.rows):
            content.update(indices.tobytes())
        return content.hexdigest()

    def __repr__(self) -> str:
        return f"<{self.shape[0]} by {self.shape[1]}, {len(self.columns)} values, {self.digest}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


# --- from what a caller gives --------------------------------------------------------------------------------------


def parsed(name: str, A: Any, columns: int, shape: tuple[int, int] | None = None) -> tuple[Tensor, Pattern]:
    """The values of a matrix with so many columns, and where they stand; it is square where nothing says how many rows there are.

    **Raises** `TypeError` for what is no sparse matrix; `ShapeError`, `DTypeError`, `IndexError` for what does not fit.
    """
    if import_sparse().issparse(A):
        shape = A.shape
        A = A.tocsr()
        A = A.data, A.indices, A.indptr
    if not isinstance(A, tuple) or len(A) not in (2, 3) or (len(A) == 2 and len(A[1]) != 2):
        raise TypeError(
            f"[{name}] A is {type(A).__name__}; (values, (rows, columns)), (values, columns, row_starts) or a sparse matrix of "
            f"SciPy's is needed.  For a dense matrix there is {'linalg.solve' if name == 'sparse.solve' else 'matmul'}"
        )
    if shape is not None and (len(shape) != 2 or shape[1] != columns):
        raise ShapeError(f"[{name}] A has shape {shape}, its right operand {columns} rows; A.shape[1] must be {columns}")
    values = of_lapack(A[0], name)
    if len(A) == 2:
        height = columns if shape is None else shape[0]
        pattern = Pattern(indices(name, "columns", A[1][1]), (height, columns), rows=indices(name, "rows", A[1][0]))
        require_within(name, "rows", pattern.rows, height)
    else:
        starts = indices(name, "row_starts", A[2])
        height = len(starts) - 1 if shape is None else shape[0]
        pattern = Pattern(indices(name, "columns", A[1]), (height, columns), starts=starts)
        if len(starts) != height + 1 or starts[0] != 0 or starts[-1] != len(pattern.columns) or (np.diff(starts) < 0).any():
            raise ShapeError(
                f"[{name}] row_starts must be the {height + 1} places where rows start, from 0 to {len(pattern.columns)}, rising"
            )
    require_within(name, "columns", pattern.columns, columns)
    if values.ndim == 0 or not values.shape[-1] == len(pattern.rows) == len(pattern.columns):
        raise ShapeError(
            f"[{name}] the values are {describe(values)}, with {len(pattern.rows)} rows and {len(pattern.columns)} columns; one "
            "of each is needed for each value"
        )
    return values, pattern


def indices(name: str, what: str, x: Any) -> Array:
    """Whole numbers as a vector of its own.

    **Raises** `DTypeError`, `ShapeError` for anything else.
    """
    found = np.array(x)
    if found.dtype.kind not in "iu" and found.size:
        raise DTypeError(f"[{name}] {what} are {describe(found)}; integers are needed")
    if found.ndim != 1:
        raise ShapeError(f"[{name}] {what} are {describe(found)}; a vector is needed")
    return found if found.dtype in (np.int32, np.int64) else found.astype(np.int64)


def require_within(name: str, what: str, found: Array, size: int) -> None:
    """**Raises** `IndexError` for rows or columns that the matrix does not have."""
    if found.size and not 0 <= found.min() <= found.max() < size:
        raise IndexError(f"[{name}] {what} go from {found.min()} to {found.max()}; A has {size}, counted from 0")


def as_columns(name: str, x: Tensor) -> Tensor:
    """An operand as matrices, a vector as one column.

    **Raises** `ShapeError` for a number.
    """
    if x.ndim == 0:
        raise ShapeError(f"[{name}] the right operand is {describe(x)}; a vector is needed, or matrices along the last two axes")
    return reshape(x, shape=(*x.shape, 1)) if x.ndim == 1 else x


def alike(name: str, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The values and the matrices with equal leading axes.

    **Raises** `ShapeError` where these do not broadcast.
    """
    try:
        lead = np.broadcast_shapes(values.shape[:-1], x.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"[{name}] leading axes do not broadcast: the values are {describe(values)}, the right operand is {describe(x)}; "
            "without the last axis of the values and the last two of the other, axes must agree or be 1, counted from the last"
        ) from None
    return expanded(values, (*lead, values.shape[-1])), expanded(x, (*lead, *x.shape[-2:]))


def expanded(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else broadcast_to(x, shape=shape)


def over_columns(apply: Callable[[Tensor], Tensor], x: Tensor, lead: int) -> Tensor:
    """An operation on matrices, applied to those along the first `lead` axes side by side."""
    return apart(apply(side_by_side(x, lead)), x, lead) if lead else apply(x)


def apart(y: Tensor, x: Tensor, lead: int) -> Tensor:
    """The results of matrices `x` that stood side by side, each in its place: (…, m, b… k) to (b…, …, m, k)."""
    n = y.ndim
    parts = reshape(y, shape=(*y.shape[:-1], *x.shape[:lead], x.shape[-1]))
    return permute_dims(parts, axes=(*range(n - 1, n - 1 + lead), *range(n - 1), n - 1 + lead))


# --- the row -------------------------------------------------------------------------------------------------------


def product_kernel(x1: Any, x2: Any, *, pattern: Pattern, transposed: bool) -> Any:
    y = np.empty((*x2.shape[:-2], pattern.shape[transposed], x2.shape[-1]), np.result_type(x1, x2))
    for index in np.ndindex(x1.shape[:-1]):
        matrix = pattern.matrix(x1[index])
        y[index] = (matrix.T if transposed else matrix) @ x2[index]
    return y


def product_shape(x1: Shaped, x2: Shaped, *, pattern: Pattern, transposed: bool) -> Shaped:
    return Shaped((*x2.shape[:-2], pattern.shape[transposed], x2.shape[-1]), np.result_type(x1.dtype, x2.dtype))


def by_values(ct: Any, x1: Any, x2: Any, *, pattern: Pattern, transposed: bool) -> Any:
    """The elements of ct x2ᵀ where the values stand."""
    rows, columns = pattern.places(transposed)
    return total(take(ct, rows, axis=-2) * take(x2, columns, axis=-2), axis=-1)


def by_matrix(ct: Any, x1: Any, x2: Any, *, pattern: Pattern, transposed: bool) -> Any:
    return product(x1, ct, pattern=pattern, transposed=not transposed)


def product_batch(row: Any, size: int, operands: Any, batched: Any, **params: Any) -> Any:
    """Matrices that share a sparse one stand side by side."""
    x1, x2 = operands
    if batched[0]:
        return row.apply(*all_batched(size, operands, batched), **params)
    return over_columns(functools.partial(row.apply, x1, **params), x2, 1)


def product_cost(output: Shaped, x1: Shaped, x2: Shaped, *, pattern: Pattern, transposed: bool) -> float:
    return float(2 * math.prod(x1.shape) * x2.shape[-1])


SAMPLE = Pattern(np.array([0, 1, 2, 1, 0, 2, 1, 0]), (4, 3), rows=np.array([0, 1, 2, 0, 1, 1, 3, 0]))
"""The pattern that the row is tried on; one element is the sum of two values."""

product = bilinear(
    "sparse_product",
    """Products of a sparse matrix, or of its transpose where `transposed`, with matrices: A x2[…, :, :].

    A has the sum of those x1[…, k] for which rows[k] = i and columns[k] = j as its element (i, j).
    """,
    numpy=product_kernel,
    shape=product_shape,
    transposes=(by_values, by_matrix),
    batch=product_batch,
    samples=Samples(
        lapack=True,
        cases=[
            (shapes, {"pattern": SAMPLE, "transposed": transposed})
            for transposed, n in ((False, 3), (True, 4))
            for shapes in (((8,), (n, 2)), ((2, 8), (2, n, 1)), ((8,), (n, 0)), ((0, 8), (0, n, 2)))
        ],
    ),
    cost=product_cost,
)


# --- public --------------------------------------------------------------------------------------------------------


def matmul(A: Any, x: Any, *, shape: tuple[int, int] | None = None) -> Tensor:
    """Products of a sparse matrix with dense ones: y[i, k] = Σ_j A[i, j] x[j, k].

    **Parameters** `A`: a pair `(values, (rows, columns))`, as `scipy.sparse.coo_array` takes it, where values in one place are
    added; or a triple `(values, columns, row_starts)`, as `csr_array` takes it; or one of SciPy's sparse matrices, which is a
    constant.  `values` has shape (nnz,), and may be differentiated by; with leading axes they are several matrices of one
    pattern.  `rows` and `columns` are integers, and constant.  `x`: a vector, shape (n,), or matrices, shape (…, n, k); leading
    axes broadcast.  `shape`: that of A, (m, n), if A is a pair and not square.

    **Returns** shape (…, m) for a vector, else (…, m, k).

    **Raises** `ShapeError`, `DTypeError`, `IndexError` for what does not fit; `ImportError` without SciPy.

    **Example**

    >>> import arrayad as ad
    >>> places = [0, 0, 1], [0, 2, 1]
    >>> ad.sparse.matmul(([1.0, 2.0, 3.0], places), [1.0, 10.0, 100.0], shape=(2, 3))
    Tensor([201.,  30.])
    >>> ad.grad(lambda v: ad.sum(ad.sparse.matmul((v, places), [1.0, 10.0, 100.0], shape=(2, 3))))(ad.ones(3))
    Tensor([  1., 100.,  10.])
    """
    x = of_lapack(x, "sparse.matmul")
    columns = as_columns("sparse.matmul", x)
    values, pattern = parsed("sparse.matmul", A, columns.shape[-2], shape)
    apply = functools.partial(product, pattern=pattern, transposed=False)
    if values.ndim == 1:
        y = over_columns(functools.partial(apply, values), columns, columns.ndim - 2)
    else:
        y = apply(*alike("sparse.matmul", values, columns))
    return reshape(y, shape=y.shape[:-1]) if x.ndim == 1 else y
