"""Rows of determinants: `det`, its derivatives of every order, and `slogdet`.

The determinant is a polynomial, so that it has derivatives of every order at every matrix, singular ones included.  Its
gradient is the matrix of cofactors; the derivatives of these are one row, `cofactors`, with an operand more for each order.
All are computed from singular values by products alone, never by a quotient of two numbers that vanish together.
"""

from __future__ import annotations

import itertools
import math
import string
from typing import Any

import numpy as np

from arrayad.dependence import matrix_by_matrix
from arrayad.primitive import OUTPUT, every_operand, general, like_first
from arrayad.primitives.broadcasting import all_alike, broadcast_to, reduce_sum
from arrayad.primitives.casting import real
from arrayad.primitives.complex import imag
from arrayad.primitives.linear_algebra import matrix_transposed
from arrayad.primitives.linear_systems import inverse_jvp, inverse_vjp
from arrayad.primitives.matrices import added
from arrayad.primitives.picking import output
from arrayad.primitives.shape import reshape
from arrayad.samples import Samples, well_conditioned
from arrayad.shaped import Bundle, Shaped

SQUARE: list[Any] = [(3, 3), (2, 3, 3), (2, 2), (1, 1), (0, 0), (0, 2, 2)]


def each(x: Any, like: Any) -> Any:
    """A number for each matrix, repeated over the matrices `like`."""
    return broadcast_to(reshape(x, shape=(*x.shape, 1, 1)), shape=like.shape)


def total(x: Any) -> Any:
    """The sum of the elements of each matrix."""
    return reduce_sum(x, axis=(x.ndim - 2, x.ndim - 1))


def of_matrices(x: Shaped) -> Shaped:
    """The shape rule of a number for each matrix."""
    return Shaped(x.shape[:-2], x.dtype)


# --- cofactors ------------------------------------------------------------------------------------------------------


def products_of_others(s: Any, count: int) -> Any:
    """p[…, i₁, …, i_count] = the product of s[…, j] over all j but these, 0 where two of them are equal.

    Mantissas and exponents are multiplied apart, so that nothing over- or underflows on the way; and a zero is left out of
    the product together with the index that it stands at.
    """
    n = s.shape[-1]
    mantissa, exponent = np.frexp(np.where(s == 0, 1, s))
    low = mantissa < math.sqrt(0.5)
    mantissa, exponent = np.where(low, 2 * mantissa, mantissa), exponent - low
    zeros = (s == 0).astype(np.int64)

    def along(x: Any, axis: int) -> Any:
        return x.reshape((*x.shape[:-1], *(n if i == axis else 1 for i in range(count))))

    def left(all_of: Any, combine: Any, x: Any) -> Any:
        rest = all_of.reshape((*all_of.shape, *(1,) * count))
        for axis in range(count):
            rest = combine(rest, along(x, axis))
        return rest

    p = np.ldexp(
        left(np.multiply.reduce(mantissa, axis=-1), np.divide, mantissa).astype(s.dtype),
        left(np.add.reduce(exponent, axis=-1), np.subtract, exponent),
    )
    keeps_zero = left(np.add.reduce(zeros, axis=-1), np.subtract, zeros) > 0
    places = np.indices((n,) * count)
    twice = np.zeros((n,) * count, bool)
    for a, b in itertools.combinations(range(count), 2):
        twice |= places[a] == places[b]
    return np.where(keeps_zero | twice, 0, p)


def sign_of(permutation: tuple[int, ...]) -> int:
    """1 for an even permutation, -1 for an odd one."""
    return (-1) ** sum(a > b for a, b in itertools.combinations(permutation, 2))


def rotated_cofactors(s: Any, tangents: list[Any]) -> Any:
    """The derivative of the cofactors of the diagonal matrix `s` along some matrices.

    It is Σ over k-tuples of distinct rows and the permutations of these: the Laplace expansion of det(diag(s) + Σ tᵢ Tᵢ).
    """
    count = len(tangents) + 1
    rest = products_of_others(s, count).astype(np.result_type(s, *tangents))
    n = s.shape[-1]
    found = np.zeros((*s.shape, n), rest.dtype)
    rows = string.ascii_letters[:count]
    for order in itertools.permutations(range(count)):
        columns = [rows[k] for k in order]
        places = ",".join(f"...{rows[k]}{columns[k]}" for k in range(1, count))
        target = rows[0] + (columns[0] if order[0] else "")
        term = sign_of(order) * np.einsum(f"...{rows}{',' if places else ''}{places}->...{target}", rest, *tangents)
        if order[0]:
            found += term
        else:
            found[..., np.arange(n), np.arange(n)] += term
    return found


def cofactors_kernel(x: Any, *tangents: Any) -> Any:
    finite = np.isfinite(x).all(axis=(-2, -1), keepdims=True)
    u, s, vh = np.linalg.svd(np.where(finite, x, 0))
    left, right = (np.conjugate(np.swapaxes(vectors, -1, -2)) for vectors in (u, vh))
    turned = [np.matmul(np.matmul(left, t), right) for t in tangents]
    unit = np.linalg.det(u) * np.linalg.det(vh)
    unit = unit / np.abs(unit)  # a determinant of absolute value 1
    found = np.matmul(np.matmul(np.conjugate(u), rotated_cofactors(s, turned)), np.conjugate(vh))
    return np.where(finite, unit[..., None, None] * found, np.nan).astype(np.result_type(x, *tangents))


def cofactors_jvp(tangents: Any, y: Any, x: Any, *along: Any) -> Any:
    by_x, *by_along = tangents
    terms = [None if by_x is None else cofactors(x, *along, by_x)]
    for i, t in enumerate(by_along):
        terms.append(None if t is None else cofactors(x, *along[:i], t, *along[i + 1 :]))
    return added(*terms)


def cofactors_vjp(needed: Any, ct: Any, y: Any, x: Any, *along: Any) -> Any:
    """A derivative of det along several matrices does not care for their order, and `ct` is one of them."""
    by_x = cofactors(x, *along, ct) if needed[0] else None
    return by_x, *(cofactors(x, *along[:i], ct, *along[i + 1 :]) if need else None for i, need in enumerate(needed[1:]))


def cofactors_cost(output: Shaped, x: Shaped, *along: Any) -> float:
    """Singular vectors, some 20 n³, and the sum over tuples."""
    n = x.shape[-1]
    return 20 * n * x.size + math.factorial(len(along) + 1) * n ** (len(along) + 1)


cofactors = general(
    "cofactors",
    """Cofactors of each matrix, the gradient of its determinant, or their derivative along further operands.

    y[i, j] = ∂ det(x1) / ∂ x1[i, j], and with x2, x3, …: y = d/dt₂ d/dt₃ … cofactors(x1 + t₂ x2 + t₃ x3 + …) at 0.
    """,
    numpy=cofactors_kernel,
    shape=lambda x, *along: Shaped(x.shape, np.result_type(x.dtype, *(t.dtype for t in along))),
    jvp=cofactors_jvp,
    vjp=cofactors_vjp,
    pattern=matrix_by_matrix,
    batch=all_alike,
    samples=Samples(
        lapack=True,
        complex=True,
        shapes=[(3, 3), (2, 3, 3), (1, 1), (0, 0), ((3, 3), (3, 3)), ((2, 2, 2), (2, 2, 2)), ((3, 3), (3, 3), (3, 3))],
    ),
    cost=cofactors_cost,
)
cofactors.primitive.wanted = every_operand  # type: ignore[attr-defined]


# --- det ------------------------------------------------------------------------------------------------------------


def det_jvp(tangents: Any, y: Any, x: Any) -> Any:
    return total(cofactors(x) * tangents[0])


def det_vjp(needed: Any, ct: Any, y: Any, x: Any) -> Any:
    return (each(ct, x) * cofactors(x),)


def factors_cost(output: Any, x: Shaped) -> float:
    """LU factors: ⅔ n³."""
    return 2 / 3 * x.shape[-1] * x.size


det = general(
    "det",
    """Determinant of each matrix, by LU factors; its gradient are the cofactors, also where it is 0.""",
    numpy=lambda x: np.asarray(np.linalg.det(x)),
    shape=of_matrices,
    jvp=det_jvp,
    vjp=det_vjp,
    residuals=(0,),
    pattern=matrix_by_matrix,
    batch=all_alike,
    samples=Samples(lapack=True, complex=True, shapes=SQUARE),
    cost=factors_cost,
)


# --- slogdet --------------------------------------------------------------------------------------------------------


def limit_inverse_kernel(x: Any) -> Any:
    try:
        return np.linalg.inv(x)
    except np.linalg.LinAlgError:
        with np.errstate(all="ignore"):
            det_of = np.linalg.det(x)[..., None, None]
            limit = np.swapaxes(cofactors_kernel(x), -1, -2) / det_of
            regular = np.where(det_of == 0, np.eye(x.shape[-1], dtype=x.dtype), x)
            return np.where(det_of == 0, limit, np.linalg.inv(regular)).astype(x.dtype)


limit_inverse = general(
    "limit_inverse",
    """Inverse of each matrix; of a singular one the quotient adj(x) / det(x), of which each element is infinite or nan.""",
    numpy=limit_inverse_kernel,
    shape=like_first,
    jvp=inverse_jvp,
    vjp=inverse_vjp,
    residuals=(OUTPUT,),
    pattern=matrix_by_matrix,
    batch=all_alike,
    samples=Samples(lapack=True, complex=True, shapes=[(3, 3), (2, 2, 2), (1, 1), (0, 0)], make={0: well_conditioned}),
    cost=lambda output, x: 2 * x.shape[-1] * x.size,
)


def slogdet_kernel(x: Any) -> Bundle:
    return Bundle(map(np.asarray, np.linalg.slogdet(x)))


def slogdet_shape(x: Shaped) -> Bundle:
    lead = x.shape[:-2]
    return Bundle((Shaped(lead, x.dtype), Shaped(lead, x.dtype.type(0).real.dtype)))


def slogdet_jvp(tangents: Any, y: Any, x: Any) -> Any:
    """d log det = tr(x⁻¹ t): the real part is that of log |det|, the imaginary part that of the argument."""
    rate = total(matrix_transposed(limit_inverse(x)) * tangents[0])
    if x.dtype.kind != "c":
        return Bundle((None, rate))
    return Bundle((output(y, 0) * imag(rate) * 1j, real(rate)))


def slogdet_vjp(needed: Any, ct: Any, y: Any, x: Any) -> Any:
    by_sign, by_logarithm = ct
    if x.dtype.kind == "c" and by_sign is not None:
        by_logarithm = added(by_logarithm, 1j * imag(by_sign * output(y, 0)))
    if by_logarithm is None:
        return (None,)
    return (each(by_logarithm, x) * matrix_transposed(limit_inverse(x)),)


slogdet = general(
    "slogdet",
    """Sign and logarithm of the absolute value of each determinant: det(x) = y₀ exp(y₁), by LU factors.

    **Kinks** a singular matrix has sign 0, logarithm -inf, and the gradient adj(x)ᵀ / 0: infinite or nan.
    """,
    numpy=slogdet_kernel,
    shape=slogdet_shape,
    jvp=slogdet_jvp,
    vjp=slogdet_vjp,
    residuals=(0, OUTPUT),
    batch=all_alike,
    samples=Samples(lapack=True, complex=True, shapes=SQUARE, make={0: well_conditioned}),
    cost=factors_cost,
)
