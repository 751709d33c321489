"""Public decompositions of matrices, in `arrayad.linalg`; every function takes stacks of matrices, along the leading axes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.functions.reduction import floating
from arrayad.namespace import linalg
from arrayad.primitives import decompositions as factors
from arrayad.primitives import spectral
from arrayad.primitives.indexing import getitem
from arrayad.primitives.joining import concat
from arrayad.primitives.linear_algebra import matrix_product
from arrayad.primitives.matrices import adjoint
from arrayad.primitives.picking import outputs
from arrayad.primitives.selection import where
from arrayad.tensor import Tensor, handle


class QRResult(NamedTuple):
    Q: Tensor
    R: Tensor


class EighResult(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


class SVDResult(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor


def matrices(x: Any, name: str) -> Tensor:
    """The operand as matrices.

    **Raises** `ShapeError` for fewer than two axes; `DTypeError` as `of_lapack`.
    """
    x = of_lapack(x, name)
    if x.ndim < 2:
        raise ShapeError(f"[{name}] x is {describe(x)}; a matrix is needed, or a stack of them along leading axes")
    return x


def of_lapack(x: Any, name: str) -> Tensor:
    """The operand in a floating-point dtype that LAPACK knows.

    **Raises** `DTypeError` for others, such as float16.
    """
    x = floating(x)
    if x.dtype.char not in "fdFD":
        raise DTypeError(
            f"[{name}] an operand is {describe(x)}; float32, float64, complex64 or complex128 are needed: use astype"
        )
    return x


def square_matrices(x: Any, name: str) -> Tensor:
    """`matrices` that are square.

    **Raises** `ShapeError` for others.
    """
    x = matrices(x, name)
    if x.shape[-1] != x.shape[-2]:
        cure = {"inv": "; use pinv", "solve": "; use lstsq", "eigh": "; use svd", "eigvalsh": "; use svdvals"}.get(name, "")
        raise ShapeError(f"[{name}] x is {describe(x)}; square matrices are needed, x.shape[-1] must equal x.shape[-2]{cure}")
    return x


# --- triangular factors -------------------------------------------------------------------------------------------------


@linalg
def cholesky(x: Any, *, upper: bool = False) -> Tensor:
    """Triangular factor of positive definite matrices: x = L Lᴴ, L lower triangular with a positive diagonal.

    What is factorised is ½ (x + xᴴ): both triangles count, and the gradient is Hermitian, half of it for each element of a
    pair.  (NumPy reads the lower triangle alone.)

    **Parameters** `x`: shape (…, n, n), real or complex.  `upper`: return Lᴴ.

    **Returns** shape (…, n, n).

    **Raises** `LinAlgError` where a matrix is not positive definite; `ShapeError` for what is not square.

    **Source** Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527 (2016).

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.cholesky([[4.0, 2.0], [2.0, 2.0]])
    Tensor([[2., 0.],
            [1., 1.]])
    """
    y = factors.cholesky(square_matrices(x, "cholesky"))
    return adjoint(y) if upper else y


@linalg
def qr(x: Any, mode: str = "reduced") -> Any:
    """Orthonormal columns times a triangle: x = Q R, QᴴQ = 1, R upper triangular with a real diagonal of LAPACK's signs.

    **Parameters** `x`: shape (…, m, n).  `mode`: "reduced" gives Q of shape (…, m, k) and R of shape (…, k, n), k = min(m, n);
    "complete" gives them with k = m, where the columns of Q beyond n have no derivative; "r" gives R alone.

    **Returns** a pair `(Q, R)`, or R.

    **Raises** `DerivativeError` when it is differentiated where the first k columns are linearly dependent to rounding
    (|R[i, i]| ≤ 8 n eps max |R[j, j]|), and by a complete Q that is not square anyway; `ValueError` for other modes.

    **Source** Walter & Lehmann, Algorithmic differentiation of linear algebra functions, arXiv:1001.1654 (2010).

    **Example**

    >>> import arrayad as ad
    >>> Q, R = ad.linalg.qr([[0.0, 2.0], [3.0, 1.0]])
    >>> ad.abs(R)
    Tensor([[3., 1.],
            [0., 2.]])
    """
    x = matrices(x, "qr")
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f'[qr] mode is {mode!r}; "reduced", "complete" or "r" is needed')
    m, n = x.shape[-2:]
    if m >= n:
        q, r = outputs(factors.complete_qr(x) if mode == "complete" and m > n else factors.qr(x))
    else:
        lead = (slice(None),) * (x.ndim - 1)
        q, first = outputs(factors.qr(getitem(x, index=(*lead, slice(m)))))
        r = concat(first, matrix_product(adjoint(q), getitem(x, index=(*lead, slice(m, None)))), axis=x.ndim - 1)
    return r if mode == "r" else QRResult(q, r)


# --- eigenvalues ------------------------------------------------------------------------------------------------------


def hermitian_operand(x: Any, UPLO: str | None, name: str) -> Tensor:
    """The matrices whose Hermitian part is decomposed: as they are, or made of one triangle."""
    x = square_matrices(x, name)
    if UPLO is None:
        return x
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise ValueError(f'[{name}] UPLO is {UPLO!r}; None, "L" or "U" is needed')
    lower = np.tri(x.shape[-1], dtype=bool)
    taken = lower if UPLO.upper() == "L" else lower.T
    return where(handle(taken), x, adjoint(x))


def is_followed(x: Tensor) -> bool:
    """Whether a derivative may be asked for, so that vectors of clusters are taken generic."""
    return x.history is not None


@linalg
def eigh(x: Any, UPLO: str | None = None) -> EighResult:
    """Eigenvalues, ascending, and orthonormal eigenvectors of Hermitian matrices: x V = V diag(λ).

    What is decomposed is ½ (x + xᴴ): both triangles count, and the gradient is Hermitian.  With `UPLO` one triangle is
    read, as NumPy does ("L" if nothing is said), and only it gets a gradient.

    Eigenvalues that follow each other within 16 √n eps max |λ| are a cluster, whose vectors are an arbitrary basis.  Right are
    there: functions of the values alone that are symmetric, such as Σ f(λ); functions of vectors that do not depend on the
    basis, such as the projector on a whole cluster.  Of complex vectors the phases are arbitrary too.

    **Parameters** `x`: shape (…, n, n), real or complex.  `UPLO`: None, "L" or "U".

    **Returns** a pair `(eigenvalues, eigenvectors)`: real, shape (…, n), and columns, shape (…, n, n).  Where a derivative may
    be asked for, the vectors of a cluster are in generic position; else they are NumPy's.

    **Raises** `DerivativeError` where a derivative depends on the basis of a cluster: in reverse mode by the cotangents of
    values and vectors, in forward mode where the tangent of vectors is used and the cluster splits; `LinAlgError` for elements
    that are not finite; `ShapeError` for what is not square.

    **Kinks** by a single value of a cluster the derivative is one of those that lie between the one-sided ones.

    **Source** Magnus, On differentiating eigenvalues and eigenvectors, Econometric Theory 1 (1985).

    **Example**

    >>> import arrayad as ad
    >>> x = ad.tensor([[2.0, 1.0], [1.0, 2.0]])
    >>> ad.linalg.eigh(x).eigenvalues
    Tensor([1., 3.])
    >>> ad.grad(lambda x: ad.linalg.eigh(x).eigenvalues[1])(x)
    Tensor([[0.5, 0.5],
            [0.5, 0.5]])
    """
    x = hermitian_operand(x, UPLO, "eigh")
    return EighResult(*outputs(spectral.eigh(x, generic=is_followed(x))))


@linalg
def eigvalsh(x: Any, UPLO: str | None = None) -> Tensor:
    """Eigenvalues of Hermitian matrices, ascending; see `eigh`.

    **Parameters** `x`: shape (…, n, n).  `UPLO`: None, "L" or "U".

    **Returns** real, shape (…, n).

    **Example**

    >>> import arrayad as ad
    >>> ad.grad(lambda x: ad.sum(ad.linalg.eigvalsh(x) ** 3))(ad.eye(2))
    Tensor([[3., 0.],
            [0., 3.]])
    """
    x = hermitian_operand(x, UPLO, "eigvalsh")
    return outputs(spectral.eigh(x, generic=True))[0] if is_followed(x) else spectral.eigenvalues(x)


# --- singular values ----------------------------------------------------------------------------------------------------


@linalg
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Singular values, descending, and orthonormal singular vectors: x = U diag(S) Vh.

    **Parameters** `x`: shape (…, m, n), real or complex.  `full_matrices`: whether U and Vh are square; if m and n differ, the
    vectors that this adds are some basis, and vectors have no derivative then, singular values do.  `compute_uv`: if
    False, `svdvals`.  `hermitian`: whether ½ (x + xᴴ) is meant.

    **Returns** a triple `(U, S, Vh)`: shapes (…, m, k), (…, k), (…, k, n), k = min(m, n), or (…, m, m) and (…, n, n) for the
    first and the last.

    **Raises** `DerivativeError` as `eigh` does for clusters of singular values, which follow each other within
    16 √k eps max σ, and where vectors of singular values below that are asked for; `LinAlgError` for elements that are not
    finite.

    **Kinks** by single values of a cluster, and where they vanish, the derivative is one of those that lie between the
    one-sided ones.

    **Source** Wan & Zhang, Automatic differentiation for complex valued SVD, arXiv:1909.02659 (2019).

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.svd([[3.0, 0.0], [0.0, 4.0]], full_matrices=False).S
    Tensor([4., 3.])
    """
    x = matrices(x, "svd")
    if hermitian:
        x = 0.5 * (x + adjoint(square_matrices(x, "svd")))
    if not compute_uv:
        return svdvals(x)
    if full_matrices and x.shape[-1] != x.shape[-2]:
        return SVDResult(*outputs(spectral.full_svd(x)))
    return SVDResult(*outputs(spectral.svd(x, generic=is_followed(x))))


@linalg
def svdvals(x: Any) -> Tensor:
    """Singular values of each matrix, descending; see `svd`.

    **Parameters** `x`: shape (…, m, n).

    **Returns** real, shape (…, min(m, n)).

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.svdvals([[3.0, 0.0], [0.0, -4.0]])
    Tensor([4., 3.])
    """
    x = matrices(x, "svdvals")
    return outputs(spectral.svd(x, generic=True))[1] if is_followed(x) else spectral.singular_values(x)
