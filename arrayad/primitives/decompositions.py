"""Rows that factorise matrices into triangular ones: `cholesky` and `qr`.

Tangents and cotangents pair as Re Σ ct · t (see `arrayad.primitives.complex`), hence the transposes without conjugation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.dependence import matrix_by_matrix, same_element
from arrayad.errors import DerivativeError
from arrayad.primitive import OUTPUT, Undefined, general, like_first, nothing
from arrayad.primitives.broadcasting import all_alike
from arrayad.primitives.complex import conjugated, imag
from arrayad.primitives.indexing import getitem
from arrayad.primitives.joining import concat
from arrayad.primitives.linear_algebra import matrix_product, matrix_transposed
from arrayad.primitives.linear_systems import solve
from arrayad.primitives.matrices import (
    added,
    adjoint,
    diagonal_matrix,
    diagonal_of,
    explained_failure,
    hermitian_part,
    passed_jvp,
    passed_vjp,
    symmetrized,
)
from arrayad.primitives.picking import outputs
from arrayad.primitives.selection import where
from arrayad.samples import Samples, positive_definite, well_conditioned
from arrayad.shaped import Bundle, Shaped
from arrayad.tensor import handle

# --- triangles ------------------------------------------------------------------------------------------------------


def below_diagonal(n: int, k: int) -> Any:
    """What lies on the diagonal `k` of a square matrix, or below."""
    return np.tri(n, k=k, dtype=np.bool_)


def strictly_lower(x: Any) -> Any:
    """What stands below the diagonal of each matrix."""
    return where(handle(below_diagonal(x.shape[-1], -1)), x, 0.0)


def strictly_upper(x: Any) -> Any:
    """What stands above the diagonal of each matrix."""
    return where(handle(~below_diagonal(x.shape[-1], 0)), x, 0.0)


def half_lower(x: Any) -> Any:
    """The lower triangle with half of the diagonal: Φ(x), so that Φ(x) + Φ(x)ᴴ = x for Hermitian x."""
    return strictly_lower(x) + 0.5 * diagonal_matrix(diagonal_of(x))


# --- cholesky -------------------------------------------------------------------------------------------------------

INDEFINITE = "½ (x + xᴴ) is not positive definite, or not finite; add to its diagonal, or use eigh"


def cholesky_kernel(x: Any) -> Any:
    x = symmetrized(x)
    try:
        return np.linalg.cholesky(x)
    except np.linalg.LinAlgError:
        raise explained_failure(np.linalg.cholesky, "cholesky", INDEFINITE, x) from None


def cholesky_jvp(tangents: Any, y: Any, x: Any) -> Any:
    """S = L⁻¹ t L⁻ᴴ, tL = L Φ(S)."""
    left = solve(y, hermitian_part(tangents[0]))
    return matrix_product(y, half_lower(adjoint(solve(y, adjoint(left)))))


def cholesky_vjp(needed: Any, ct: Any, y: Any, x: Any) -> Any:
    """½ (g + gᴴ) of g = L⁻ᵀ Φ(Lᵀ ct) conj(L⁻¹)."""
    turned = matrix_transposed(y)
    left = solve(turned, half_lower(matrix_product(turned, ct)))
    return (hermitian_part(matrix_transposed(solve(adjoint(y), matrix_transposed(left)))),)


cholesky = general(
    "cholesky",
    """Lower triangular factor of each positive definite matrix: Σ_k y[i, k] conj(y[j, k]) = ½ (x[i, j] + conj(x[j, i])).

    Both triangles are read, so that the gradient is Hermitian.

    **Raises** `LinAlgError` where a matrix is not positive definite.

    **Source** Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527 (2016), sections 3.1 and 3.2.
    """,
    numpy=cholesky_kernel,
    shape=like_first,
    jvp=cholesky_jvp,
    vjp=cholesky_vjp,
    residuals=(OUTPUT,),
    pattern=matrix_by_matrix,
    batch=all_alike,
    samples=Samples(
        lapack=True, complex=True, shapes=[(3, 3), (2, 3, 3), (1, 1), (0, 0), (0, 2, 2)], make={0: positive_definite}
    ),
    cost=lambda output, x: x.shape[-1] * x.size / 3,
)


# --- the rank that a derivative needs ----------------------------------------------------------------------------------

RANK_TOLERANCE = 8
"""A column counts as dependent on those before it where |R[k, k]| ≤ RANK_TOLERANCE · n · eps · max |R[j, j]|."""


def assured_rank(x: Any) -> Any:
    """R itself.

    **Raises** `DerivativeError` where it is singular to rounding.
    """
    n = x.shape[-1]
    size = np.abs(np.diagonal(x, axis1=-2, axis2=-1))
    if size.size:
        bound = RANK_TOLERANCE * n * np.finfo(x.dtype).eps * size.max(axis=-1, keepdims=True)
        found = np.argwhere(size <= bound)
        if found.size:
            *index, k = found[0].tolist()
            place = f"of matrix {index} of the stack " if index else ""
            raise DerivativeError(
                f"[qr] the columns {place}are linearly dependent: |R[{k}, {k}]| = {size[(*index, k)]:.2g} is no more than "
                f"{RANK_TOLERANCE} n eps max |R[j, j]| = {bound[(*index, 0)]:.2g}; Q and R have no derivative there, "
                "use svd, pinv or lstsq"
            )
    return x


of_full_rank = general(
    "of_full_rank",
    """The triangular factor R itself, which the derivative of a QR factorisation divides by.""",
    numpy=assured_rank,
    shape=like_first,
    jvp=passed_jvp,
    vjp=passed_vjp,
    pattern=same_element,
    batch=all_alike,
    samples=Samples(lapack=True, complex=True, shapes=[(3, 3), (0, 0)], make={0: well_conditioned}),
    cost=nothing,
)


# --- qr -------------------------------------------------------------------------------------------------------------


def qr_kernel(x: Any) -> Bundle:
    return Bundle(np.linalg.qr(x))


def qr_shape(x: Shaped) -> Bundle:
    n = x.shape[-1]
    return Bundle((x, Shaped((*x.shape[:-2], n, n), x.dtype)))


def qr_jvp(tangents: Any, y: Any, x: Any) -> Any:
    """With C = t R⁻¹ and M = Qᴴ C: tQ = C + Q (X - M), tR = (M - X) R, X anti-Hermitian with the lower triangle of M."""
    q, r = outputs(y)
    c = matrix_transposed(solve(matrix_transposed(of_full_rank(r)), matrix_transposed(tangents[0])))
    m = matrix_product(adjoint(q), c)
    rest = strictly_upper(m) + adjoint(strictly_lower(m)) + diagonal_matrix(real_part(diagonal_of(m)))
    return Bundle((c - matrix_product(q, rest), matrix_product(rest, r)))


def real_part(x: Any) -> Any:
    """The real part, in the dtype of x."""
    return x - 1j * imag(x) if x.dtype.kind == "c" else x


def qr_vjp(needed: Any, ct: Any, y: Any, x: Any) -> Any:
    q, r = outputs(y)
    by_q, by_r = ct
    upper = added(
        None if by_q is None else matrix_product(matrix_transposed(q), by_q),
        None if by_r is None else -matrix_product(by_r, matrix_transposed(r)),
    )
    if upper is None:
        return (None,)
    strict = strictly_upper(upper)
    by_m = strict + adjoint(strict) + diagonal_matrix(real_part(diagonal_of(upper)))
    by_c = added(by_q, -matrix_product(conjugated(q), by_m))
    return (matrix_transposed(solve(of_full_rank(r), matrix_transposed(by_c))),)


def qr_cost(output: Any, x: Shaped) -> float:
    """Householder reflections, 2 m n² - ⅔ n³, and as much for Q."""
    m, n = x.shape[-2:]
    lead = x.size / max(1, m * n)
    return lead * 2 * (2 * m * n**2 - 2 / 3 * n**3)


TALL: list[Any] = [(4, 3), (3, 3), (2, 3, 2), (2, 1), (3, 0), (0, 0), (0, 3, 2)]

qr = general(
    "qr",
    """Factors of each matrix with no fewer rows than columns: x = Q R, QᴴQ = 1, R upper triangular with a real diagonal.

    **Raises** `DerivativeError` when it is differentiated where columns are linearly dependent.

    **Source** Walter & Lehmann, Algorithmic differentiation of linear algebra functions, arXiv:1001.1654 (2010).
    """,
    numpy=qr_kernel,
    shape=qr_shape,
    jvp=qr_jvp,
    vjp=qr_vjp,
    residuals=(OUTPUT,),
    batch=all_alike,
    samples=Samples(lapack=True, complex=True, shapes=TALL, make={0: well_conditioned}),
    cost=qr_cost,
)


# --- the complete factor -------------------------------------------------------------------------------------------------

COMPLEMENT = (
    "[qr] the last columns of a complete Q are some basis of what the columns of x do not span, and have no derivative; "
    'use mode="reduced"'
)


def complete_qr_kernel(x: Any) -> Bundle:
    return Bundle(np.linalg.qr(x, "complete"))


def complete_qr_shape(x: Shaped) -> Bundle:
    m = x.shape[-2]
    return Bundle((Shaped((*x.shape[:-1], m), x.dtype), x))


def complete_qr_jvp(tangents: Any, y: Any, x: Any) -> Any:
    by_r = qr_jvp(tangents, qr(x), x)[1]
    return Bundle((Undefined(COMPLEMENT), concat(by_r, below(x), axis=x.ndim - 2)))


def below(x: Any) -> Any:
    """The zeros below R."""
    m, n = x.shape[-2:]
    return handle(np.zeros((*x.shape[:-2], m - n, n), x.dtype))


def complete_qr_vjp(needed: Any, ct: Any, y: Any, x: Any) -> Any:
    by_q, by_r = ct
    if by_q is not None:
        raise DerivativeError(COMPLEMENT)
    if by_r is None:
        return (None,)
    above = getitem(by_r, index=(*(slice(None),) * (x.ndim - 2), slice(x.shape[-1])))
    return qr_vjp(needed, Bundle((None, above)), qr(x), x)


complete_qr = general(
    "complete_qr",
    """The factors Q, square, and R of each matrix that has more rows than columns; Q has no derivative.""",
    numpy=complete_qr_kernel,
    shape=complete_qr_shape,
    jvp=complete_qr_jvp,
    vjp=complete_qr_vjp,
    residuals=(0,),
    batch=all_alike,
    samples=Samples(cases=[]),
    cost=lambda output, x: 4 * x.shape[-2] ** 2 * x.size / max(1, x.shape[-2]),
)
