"""The row of least squares: the solution of least norm, which is the pseudoinverse times the right-hand side."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.dependence import matrix_by_matrix
from arrayad.primitive import OUTPUT, general
from arrayad.primitives.broadcasting import all_alike
from arrayad.primitives.complex import conjugated
from arrayad.primitives.linear_algebra import matrix_product, matrix_transposed
from arrayad.primitives.matrices import added, adjoint
from arrayad.primitives.spectral import decomposed, thin
from arrayad.samples import Samples, well_conditioned
from arrayad.shaped import Shaped


def least_squares_kernel(x1: Any, x2: Any, *, rcond: float) -> Any:
    u, s, vh = decomposed(thin, "lstsq", x1)
    if not s.size:
        return np.zeros((*x1.shape[:-2], x1.shape[-1], x2.shape[-1]), np.result_type(x1, x2))
    kept = s > rcond * s[..., :1]
    inverse = np.divide(1, s, out=np.zeros_like(s), where=kept)[..., None]
    return np.matmul(np.conjugate(np.swapaxes(vh, -1, -2)), inverse * np.matmul(np.conjugate(np.swapaxes(u, -1, -2)), x2))


def least_squares_shape(x1: Shaped, x2: Shaped, *, rcond: float) -> Shaped:
    return Shaped((*x1.shape[:-2], x1.shape[-1], x2.shape[-1]), np.result_type(x1.dtype, x2.dtype))


def least_squares_jvp(tangents: Any, y: Any, x1: Any, x2: Any, *, rcond: float) -> Any:
    """A⁺ (tB - tA Y) + A⁺ A⁺ᴴ tAᴴ (B - A Y) + (1 - A⁺ A) tAᴴ A⁺ᴴ Y."""
    by_matrix, by_right = tangents
    if by_matrix is None:
        return least_squares(x1, by_right, rcond=rcond)
    back, flipped = adjoint(by_matrix), adjoint(x1)
    rest = x2 - matrix_product(x1, y)
    spread = least_squares(flipped, matrix_product(back, rest), rcond=rcond)
    inner = added(by_right, -matrix_product(by_matrix, y), spread)
    outer = matrix_product(back, least_squares(flipped, y, rcond=rcond))
    return outer + least_squares(x1, inner - matrix_product(x1, outer), rcond=rcond)


def least_squares_vjp(needed: Any, ct: Any, y: Any, x1: Any, x2: Any, *, rcond: float) -> Any:
    """With u = A⁺ᵀ ct: -u Yᵀ + conj(B - A Y) (conj(A⁺) u)ᴴ + conj(A⁺ᴴ Y) (ct - Aᵀ u)ᴴ."""
    turned = matrix_transposed(x1)
    u = least_squares(turned, ct, rcond=rcond)
    if not needed[0]:
        return None, u
    spread = least_squares(conjugated(x1), u, rcond=rcond)
    rest = x2 - matrix_product(x1, y)
    outer = least_squares(adjoint(x1), y, rcond=rcond)
    by_matrix = (
        matrix_product(conjugated(rest), adjoint(spread))
        + matrix_product(conjugated(outer), adjoint(ct - matrix_product(turned, u)))
        - matrix_product(u, matrix_transposed(y))
    )
    return by_matrix, u


def least_squares_cost(output: Shaped, x1: Shaped, x2: Shaped, *, rcond: float) -> float:
    """Singular vectors, and the products with them."""
    m, n = sorted(x1.shape[-2:], reverse=True)
    lead = x1.size / max(1, m * n)
    return lead * (6 * m * n**2 + 20 * n**3 + 2 * (m + n) * n * x2.shape[-1])


least_squares = general(
    "least_squares",
    """The Y of least norm among those that make |A Y - B| least, A = x1[…, :, :], B = x2[…, :, :], leading axes equal.

    Singular values up to `rcond` times the largest count as 0.  The derivative is that at constant rank.

    **Source** Golub & Pereyra, The differentiation of pseudo-inverses, SIAM J. Numer. Anal. 10 (1973), equation 4.12.
    """,
    numpy=least_squares_kernel,
    shape=least_squares_shape,
    jvp=least_squares_jvp,
    vjp=least_squares_vjp,
    residuals=(0, 1, OUTPUT),
    pattern=matrix_by_matrix,
    batch=all_alike,
    samples=Samples(
        lapack=True,
        complex=True,
        shapes=[
            ((4, 2), (4, 3)),
            ((2, 4), (2, 1)),
            ((3, 3), (3, 2)),
            ((2, 3, 2), (2, 3, 1)),
            ((0, 2), (0, 1)),
            ((2, 0), (2, 1)),
        ],
        params=[{"rcond": 1e-15}],
        make={0: well_conditioned},
    ),
    cost=least_squares_cost,
)
