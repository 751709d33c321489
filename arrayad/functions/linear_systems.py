"""Public linear systems, inverses, determinants, powers and exponentials, in `arrayad.linalg`; all take stacks of matrices."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np

from arrayad.errors import ShapeError, describe
from arrayad.functions.decompositions import matrices, of_lapack, square_matrices, svdvals
from arrayad.functions.linear_algebra import matmul, matrix_norm
from arrayad.functions.reduction import max as largest
from arrayad.functions.reduction import sum as total
from arrayad.functions.shape import moveaxis
from arrayad.namespace import linalg
from arrayad.primitives import determinants, least_squares, linear_systems, matrix_functions
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.complex import absolute
from arrayad.primitives.picking import outputs
from arrayad.primitives.selection import where
from arrayad.primitives.shape import reshape
from arrayad.tensor import Tensor, handle


class SlogdetResult(NamedTuple):
    sign: Tensor
    logabsdet: Tensor


class LstsqResult(NamedTuple):
    x: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


# --- systems ----------------------------------------------------------------------------------------------------------


def columns_of(a: Tensor, b: Tensor, name: str) -> Tensor:
    """The right-hand side as matrices, a vector as one column.

    **Raises** `ShapeError` where it does not fit.
    """
    if b.ndim == 0 or b.shape[-2 if b.ndim > 1 else 0] != a.shape[-2]:
        raise ShapeError(
            f"[{name}] the right-hand side is {describe(b)}, the matrix {describe(a)}; a vector of length {a.shape[-2]} "
            f"is needed, or matrices with b.shape[-2] = {a.shape[-2]}"
        )
    return reshape(b, shape=(*b.shape, 1)) if b.ndim == 1 else b


def leading_axes(a: Tensor, b: Tensor, name: str) -> tuple[int, ...]:
    """The leading axes of both, broadcast."""
    try:
        return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"[{name}] leading axes do not broadcast: the matrix is {describe(a)}, the right-hand side {describe(b)}; counted "
            "from the last but two, axes must agree or be 1"
        ) from None


def expanded(x: Tensor, lead: tuple[int, ...]) -> Tensor:
    shape = (*lead, *x.shape[-2:])
    return x if x.shape == shape else broadcast_to(x, shape=shape)


@linalg
def solve(a: Any, b: Any) -> Tensor:
    """Solutions y of linear systems: Σ_j a[…, i, j] y[…, j, k] = b[…, i, k], by LU factors with pivoting.

    A single matrix is factorised once, whatever the leading axes of `b`.

    **Parameters** `a`: shape (…, n, n).  `b`: a vector, shape (n,), or matrices, shape (…, n, k); leading axes broadcast.

    **Returns** shape (…, n) for a vector, else (…, n, k).

    **Raises** `LinAlgError` where a matrix is singular, and says which of the stack; `ShapeError` where shapes do not fit.

    **Source** Giles, Collected matrix derivative results for forward and reverse mode AD (2008), section 2.3.1.

    **Example**

    >>> import arrayad as ad
    >>> a = ad.tensor([[2.0, 0.0], [0.0, 4.0]])
    >>> ad.linalg.solve(a, [2.0, 2.0])
    Tensor([1. , 0.5])
    >>> ad.grad(lambda a: ad.sum(ad.linalg.solve(a, [2.0, 2.0])))(a)
    Tensor([[-0.5  , -0.25 ],
            [-0.25 , -0.125]])
    """
    a, b = square_matrices(a, "solve"), of_lapack(b, "solve")
    columns = columns_of(a, b, "solve")
    lead = leading_axes(a, columns, "solve")
    if a.ndim == 2 and columns.ndim > 2:
        count = columns.ndim - 2
        y = linear_systems.solve(a, linear_systems.side_by_side(columns, count))
        return linear_systems.taken_apart(y, columns.shape, count)
    y = linear_systems.solve(expanded(a, lead), expanded(columns, lead))
    return reshape(y, shape=y.shape[:-1]) if b.ndim == 1 else y


@linalg
def solve_triangular(a: Any, b: Any, *, lower: bool = False, unit_diagonal: bool = False) -> Tensor:
    """Solutions of triangular systems, of which the other triangle of `a` is not read and gets no gradient.

    **Parameters** `a`, `b`: as of `solve`.  `lower`: which triangle; `unit_diagonal`: whether ones stand for the diagonal.

    **Raises** as `solve`.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.solve_triangular([[2.0, 1.0], [9.0, 4.0]], [4.0, 8.0])
    Tensor([1., 2.])
    """
    a = square_matrices(a, "solve_triangular")
    n = a.shape[-1]
    taken = np.tri(n, k=-1 if unit_diagonal else 0, dtype=bool)
    triangle = where(handle(taken if lower else taken.T), a, 0.0)
    return solve(triangle + handle(np.eye(n, dtype=a.dtype)) if unit_diagonal else triangle, b)


@linalg
def inv(x: Any) -> Tensor:
    """Inverse of each matrix: x x⁻¹ = 1.  For x⁻¹ b `solve` is faster and more accurate.

    **Parameters** `x`: shape (…, n, n).

    **Raises** `LinAlgError` where a matrix is singular, and says which of the stack; `ShapeError` for what is not square.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.inv([[2.0, 0.0], [0.0, 4.0]])
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return linear_systems.inverse(square_matrices(x, "inv"))


@linalg
def tensorinv(a: Any, ind: int = 2) -> Tensor:
    """Inverse of a tensor as the matrix of its first `ind` axes by the others: tensordot(tensorinv(a), a, ind) is the identity.

    **Raises** `ValueError` where `ind` is not positive; `ShapeError` where the two groups of axes differ in size.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.tensorinv(ad.reshape(2.0 * ad.eye(4), (2, 2, 4)), ind=2).shape
    (4, 2, 2)
    """
    a = of_lapack(a, "tensorinv")
    if ind < 1:
        raise ValueError(f"[tensorinv] ind is {ind}; a positive number of axes is needed")
    rows, columns = a.shape[:ind], a.shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise ShapeError(f"[tensorinv] a is {describe(a)}; its first {ind} axes must hold as many elements as the others")
    return reshape(inv(reshape(a, shape=(math.prod(rows), math.prod(rows)))), shape=(*columns, *rows))


@linalg
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Tensor:
    """The y for which tensordot(a, y, y.ndim) is `b`: a system whose unknowns have the last axes of `a`.

    **Parameters** `a`: shape (*b.shape, …).  `axes`: of `a`, moved to the end first.

    **Raises** `ShapeError` where the axes of `a` that are left do not hold as many elements as `b`.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.tensorsolve(ad.reshape(2.0 * ad.eye(4), (2, 2, 4)), [[2.0, 4.0], [6.0, 8.0]])
    Tensor([1., 2., 3., 4.])
    """
    a, b = of_lapack(a, "tensorsolve"), of_lapack(b, "tensorsolve")
    if axes is not None:
        a = moveaxis(a, tuple(axes), tuple(range(a.ndim - len(axes), a.ndim)))
    unknowns = a.shape[b.ndim :]
    if math.prod(unknowns) != b.size or a.size != b.size**2:
        raise ShapeError(
            f"[tensorsolve] a is {describe(a)}, b is {describe(b)}; a needs the axes of b, and others of as many elements"
        )
    return reshape(solve(reshape(a, shape=(b.size, b.size)), reshape(b, shape=(b.size,))), shape=unknowns)


def relative_tolerance(x: Tensor, rtol: float | None) -> float:
    """Up to which part of the largest singular value others count as 0: if nothing is said, max(m, n) eps."""
    return float(max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else rtol)


@linalg
def lstsq(a: Any, b: Any, rcond: float | None = None) -> LstsqResult:
    """Least-squares solutions of linear systems, of those the shortest: y minimises Σ |a y - b|², then Σ |y|².

    The derivative is that at constant rank.  Where the rank is not full, directions that change it have none: the solution
    jumps.

    **Parameters** `a`: shape (…, m, n), tall, wide or square.  `b`: shape (m,) or (…, m, k); leading axes broadcast.  `rcond`:
    singular values up to this part of the largest count as 0; if None, max(m, n) eps.

    **Returns** `(x, residuals, rank, singular_values)`: x of shape (…, n) or (…, n, k); residuals Σ |a x - b|² of shape (…, k),
    or (0,) unless m > n (NumPy leaves them out where the rank is not full, too); rank, an integer for each matrix.

    **Raises** `ShapeError` where shapes do not fit.

    **Source** Golub & Pereyra, The differentiation of pseudo-inverses, SIAM J. Numer. Anal. 10 (1973).

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.lstsq([[1.0], [1.0]], [1.0, 3.0]).x, ad.linalg.lstsq([[1.0, 1.0]], [4.0]).x
    (Tensor([2.]), Tensor([2., 2.]))
    """
    a, b = matrices(a, "lstsq"), of_lapack(b, "lstsq")
    columns = columns_of(a, b, "lstsq")
    lead = leading_axes(a, columns, "lstsq")
    cut = relative_tolerance(a, rcond)
    wide, right = expanded(a, lead), expanded(columns, lead)
    y = least_squares.least_squares(wide, right, rcond=cut)
    m, n = a.shape[-2:]
    residuals = total(absolute(matmul(wide, y) - right) ** 2, -2) if m > n else handle(np.zeros(0, np.finfo(y.dtype).dtype))
    values = svdvals(a)
    if b.ndim == 1:
        y = reshape(y, shape=y.shape[:-1])
    return LstsqResult(y, residuals, above(values, cut), values)


def above(values: Tensor, rtol: float) -> Tensor:
    """How many singular values are larger than this part of the largest."""
    if not values.shape[-1]:
        return handle(np.zeros(values.shape[:-1], np.int64))
    return total(values > rtol * largest(values, -1, keepdims=True), -1)


@linalg
def pinv(x: Any, rcond: float | None = None, *, rtol: float | None = None) -> Tensor:
    """Pseudoinverse of each matrix (Moore and Penrose): the least-squares solution of x y = 1.

    The derivative is that at constant rank; see `lstsq`.

    **Parameters** `x`: shape (…, m, n).  `rtol`, or `rcond`: singular values up to this part of the largest count as 0; if
    None, max(m, n) eps.

    **Returns** shape (…, n, m).

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.pinv([[2.0, 0.0], [0.0, 0.0]])
    Tensor([[0.5, 0. ],
            [0. , 0. ]])
    """
    if rcond is not None and rtol is not None:
        raise ValueError("[pinv] rcond and rtol were given, which are the same; give one")
    x = matrices(x, "pinv")
    m = x.shape[-2]
    unit = handle(np.broadcast_to(np.eye(m, dtype=x.dtype), (*x.shape[:-1], m)))
    return least_squares.least_squares(x, unit, rcond=relative_tolerance(x, rcond if rtol is None else rtol))


# --- determinants -----------------------------------------------------------------------------------------------------


@linalg
def det(x: Any) -> Tensor:
    """Determinant of each matrix, a polynomial of its elements, which has derivatives of every order everywhere.

    The gradient is the matrix of cofactors, adj(x)ᵀ, computed without division: right for singular matrices of any rank.

    **Parameters** `x`: shape (…, n, n).

    **Returns** shape (…).

    **Example**

    >>> import arrayad as ad
    >>> ad.grad(ad.linalg.det)(ad.tensor([[1.0, 2.0], [2.0, 4.0]]))
    Tensor([[ 4., -2.],
            [-2.,  1.]])
    """
    return determinants.det(square_matrices(x, "det"))


@linalg
def slogdet(x: Any) -> SlogdetResult:
    """Sign and logarithm of the absolute value of each determinant: det(x) = sign exp(logabsdet), without overflow.

    **Parameters** `x`: shape (…, n, n).

    **Returns** a pair `(sign, logabsdet)`, each of shape (…); a complex sign has absolute value 1.

    **Kinks** a singular matrix has sign 0 and logarithm -inf, and each element of the gradient is infinite or nan.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.slogdet([[1.0, 0.0], [0.0, -1.0]])
    SlogdetResult(sign=Tensor(-1.), logabsdet=Tensor(0.))
    """
    return SlogdetResult(*outputs(determinants.slogdet(square_matrices(x, "slogdet"))))


# --- functions of matrices ----------------------------------------------------------------------------------------------


@linalg
def matrix_power(x: Any, n: int) -> Tensor:
    """The `n`th power of each matrix, by squaring: 1 for n = 0, powers of the inverse for negative n.

    **Parameters** `x`: shape (…, m, m).  `n`: an integer.

    **Raises** `TypeError` where n is no integer; `LinAlgError` for negative powers of singular matrices.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.matrix_power([[1.0, 1.0], [0.0, 1.0]], 5)
    Tensor([[1., 5.],
            [0., 1.]])
    """
    x = square_matrices(x, "matrix_power")
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"[matrix_power] n is {describe(n)}; an integer is needed") from None
    if n < 0:
        x, n = linear_systems.inverse(x), -n
    if n == 0:
        return where(handle(np.zeros(x.shape, np.bool_)), x, handle(np.eye(x.shape[-1], dtype=x.dtype)))
    result = None
    while True:
        if n % 2:
            result = x if result is None else matmul(result, x)
        n //= 2
        if n == 0:
            return result  # type: ignore[return-value]  # the highest binary digit is 1
        x = matmul(x, x)


@linalg
def expm(x: Any) -> Tensor:
    """Exponential of each matrix: Σ_k xᵏ / k!, by scaling and squaring.

    It does not go through eigenvalues, and neither do its derivatives: repeated, defective or complex ones do no harm.

    **Parameters** `x`: shape (…, n, n), real or complex.

    **Source** Al-Mohy & Higham, A new scaling and squaring algorithm for the matrix exponential, SIAM J. Matrix Anal. Appl. 31
    (2009), algorithm 5.1.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.expm([[0.0, 1.0], [0.0, 0.0]])
    Tensor([[1., 1.],
            [0., 1.]])
    """
    return matrix_functions.expm(square_matrices(x, "expm"))


# --- rank and condition -------------------------------------------------------------------------------------------------


@linalg
def matrix_rank(x: Any, tol: float | None = None, *, rtol: float | None = None) -> Tensor:
    """How many singular values of each matrix are above a tolerance: an integer, without a derivative.

    **Parameters** `x`: shape (…, m, n).  `tol`: the tolerance; or `rtol`: relative to the largest singular value; if neither
    is given, max(m, n) eps of it.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]])
    Tensor(1)
    """
    if tol is not None and rtol is not None:
        raise ValueError("[matrix_rank] tol and rtol were given; give one")
    x = matrices(x, "matrix_rank")
    values = svdvals(x)
    return total(values > tol, -1) if tol is not None else above(values, relative_tolerance(x, rtol))


@linalg
def cond(x: Any, p: Any = None) -> Tensor:
    """Condition number of each matrix: ‖x‖ ‖x⁻¹‖ in the norm `p` of matrices.

    **Parameters** `x`: shape (…, n, n); for p = 2, -2 or None, the quotient of the extreme singular values, (…, m, n).  `p`:
    None or an order of `matrix_norm`.

    **Returns** real, shape (…); inf for singular matrices.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.cond([[4.0, 0.0], [0.0, 2.0]])
    Tensor(2.)
    """
    if p in (None, 2, -2):
        values = svdvals(matrices(x, "cond"))
        if not values.shape[-1]:
            raise ShapeError(f"[cond] x is {describe(x)}; matrices with elements are needed")
        last, first = values[..., -1], values[..., 0]
        return last / first if p == -2 else where(last == 0.0, math.inf, first / where(last == 0.0, 1.0, last))
    x = square_matrices(x, "cond")
    return matrix_norm(x, p) * matrix_norm(inverse_or_infinity(x), p)


def inverse_or_infinity(x: Tensor) -> Tensor:
    """The inverse, and infinities where there is none."""
    singular = determinants.det(x) == 0.0
    singular = reshape(singular, shape=(*singular.shape, 1, 1))
    return where(singular, math.inf, linear_systems.inverse(where(singular, handle(np.eye(x.shape[-1], dtype=x.dtype)), x)))
