"""The row of the matrix exponential and of its derivatives of every order.

The kernel scales and squares a Padé approximant, whatever the eigenvalues.  A derivative is a block of the exponential of a
block matrix, so that it is as accurate as the exponential.

**Source** Al-Mohy & Higham, A new scaling and squaring algorithm for the matrix exponential, SIAM J. Matrix Anal. Appl. 31
(2009), algorithm 5.1; for the derivatives Higham, Functions of Matrices (2008), theorem 3.6.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.dependence import matrix_by_matrix
from arrayad.primitive import every_operand, general
from arrayad.primitives.broadcasting import all_alike
from arrayad.primitives.linear_algebra import matrix_transposed
from arrayad.primitives.matrices import added
from arrayad.samples import Samples
from arrayad.shaped import Shaped

Array = np.ndarray[Any, Any]

THETA = {3: 1.495585217958292e-2, 5: 2.539398330063230e-1, 7: 9.504178996162932e-1, 9: 2.097847961257068, 13: 4.25}
"""Norms up to which the diagonal Padé approximant of a degree has a backward error below 2^-53."""

LEADING = {m: 1 / (math.comb(2 * m, m) * math.factorial(2 * m + 1)) for m in THETA}
"""The first coefficient of the series that bounds the backward error of the approximant of a degree."""

HIGHEST = 13
"""The highest degree."""


def one_norm(x: Array) -> Array:
    """The largest sum of absolute values down a column, of each matrix."""
    return np.abs(x).sum(axis=-2).max(axis=-1, initial=0)


def coefficients(degree: int) -> list[float]:
    """Those of the numerator of the diagonal Padé approximant, the constant first, the highest being 1."""
    m = degree
    return [math.factorial(2 * m - k) // (math.factorial(m - k) * math.factorial(k)) * 1.0 for k in range(m + 1)]


def more_squarings(x: Array, degree: int) -> Array:
    """By how many squarings more the rounding of an approximant's first neglected term stays below 2^-53.

    It takes ‖ |x|^(2 m + 1) ‖, which is the largest element of a vector, since nothing cancels.
    """
    size = np.abs(x)
    scale = one_norm(size)[..., None, None]
    size = np.divide(size, scale, out=np.zeros_like(size), where=scale > 0)
    power = np.ones((*x.shape[:-2], 1, x.shape[-1]), size.dtype)
    for _ in range(2 * degree + 1):
        power = np.matmul(power, size)
    largest = np.log2(np.maximum(power.max(axis=(-2, -1), initial=0), np.finfo(np.float64).tiny))
    bits = largest + 2 * degree * np.log2(np.maximum(scale[..., 0, 0], np.finfo(np.float64).tiny)) + math.log2(LEADING[degree])
    return np.maximum(np.ceil((bits + 53) / (2 * degree)), 0)


def approximant(x: Array, even: list[Array], degree: int) -> Array:
    """The diagonal Padé approximant, given x⁰, x², x⁴ and x⁶."""
    b = coefficients(degree)
    if degree < HIGHEST:
        powers = list(even)
        while len(powers) <= degree // 2:
            powers.append(np.matmul(powers[-1], even[1]))
        odd = sum(b[2 * k + 1] * powers[k] for k in range(degree // 2 + 1))
        v = sum(b[2 * k] * powers[k] for k in range(degree // 2 + 1))
    else:
        one, x2, x4, x6 = even
        odd = np.matmul(x6, b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one
        v = np.matmul(x6, b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    u = np.matmul(x, odd)
    return np.linalg.solve(v - u, v + u)


def choices(x: Array, even: list[Array]) -> tuple[Array, Array]:
    """The degree and the number of squarings of each matrix, by the norms of its powers, which may be far below its norm's."""
    _, _, x4, x6 = even
    d4, d6 = one_norm(x4) ** 0.25, one_norm(x6) ** (1 / 6)
    d8, d10 = one_norm(np.matmul(x4, x4)) ** 0.125, one_norm(np.matmul(x4, x6)) ** 0.1
    degree = np.full(x.shape[:-2], HIGHEST)
    small = np.maximum(d4, d6)
    smaller = np.maximum(d6, d8)
    for m, bound in ((9, smaller), (7, smaller), (5, small), (3, small)):
        degree = np.where((bound <= THETA[m]) & (more_squarings(x, m) == 0), m, degree)
    bound = np.minimum(smaller, np.maximum(d8, d10))
    with np.errstate(divide="ignore", invalid="ignore"):
        squarings = np.maximum(np.ceil(np.log2(bound / THETA[HIGHEST])), 0)
        squarings = np.where(np.isfinite(squarings), squarings, 0)
    squarings = squarings + more_squarings(np.ldexp(1.0, -squarings.astype(int))[..., None, None] * x, HIGHEST)
    return degree, np.where(degree == HIGHEST, squarings, 0).astype(int)


def exponential(x: Array) -> Array:
    """The exponential of each matrix of a stack, in double precision."""
    n = x.shape[-1]
    if not x.size:
        return x.copy()
    flat = x.reshape(-1, n, n)
    finite = np.asarray(np.isfinite(flat).all(axis=(-2, -1)))
    flat = np.where(finite[:, None, None], flat, 0)
    x2 = np.matmul(flat, flat)
    x4 = np.matmul(x2, x2)
    even = [np.broadcast_to(np.eye(n, dtype=x.dtype), flat.shape), x2, x4, np.matmul(x2, x4)]
    y = np.empty_like(flat)
    degrees, squarings = choices(flat, even)
    for degree, count in {(int(m), int(s)) for m, s in zip(degrees, squarings, strict=True)}:
        place = (degrees == degree) & (squarings == count)
        scaled = [np.ldexp(1.0, -count * 2 * k) * power[place] for k, power in enumerate(even)]
        part = approximant(np.ldexp(1.0, -count) * flat[place], scaled, degree)
        for _ in range(count):
            part = np.matmul(part, part)
        y[place] = part
    y[~finite] = np.nan
    return y.reshape(x.shape)


def binary_size(t: Array, x: Array) -> Array:
    """The power of 2 next to the norm of each t over that of x, or over 2^-20; 1 where t is 0."""
    ratio = one_norm(t)[..., None, None] / np.maximum(one_norm(x)[..., None, None], 2.0**-20)
    return np.asarray(np.exp2(np.round(np.log2(np.where((ratio > 0) & np.isfinite(ratio), ratio, 1)))))


def expm_kernel(x: Any, *along: Any) -> Any:
    """The exponential, or its derivative along some matrices: the corner of the exponential of a triangular block matrix.

    That matrix is made step by step, X → [[X, 1 ⊗ T], [0, X]].  The derivative is linear in each T, which is scaled to the
    norm of x, lest it decide how often the approximant is squared.
    """
    dtype = np.result_type(x, *along)
    wide = np.result_type(dtype, np.float64)
    n = x.shape[-1]
    block, scale = x.astype(wide), np.ones((*x.shape[:-2], 1, 1))
    for count, t in enumerate(along):
        size = binary_size(t, x)
        scale = scale * size
        corner = np.kron(np.eye(2**count), np.ones((n, n))) * np.tile(t / size, (2**count, 2**count))
        zero = np.zeros_like(block)
        block = np.concatenate([np.concatenate([block, corner], axis=-1), np.concatenate([zero, block], axis=-1)], axis=-2)
    with np.errstate(over="ignore", invalid="ignore"):
        return (exponential(block)[..., :n, block.shape[-1] - n :] * scale).astype(dtype)


def expm_jvp(tangents: Any, y: Any, x: Any, *along: Any) -> Any:
    by_x, *by_along = tangents
    terms = [None if by_x is None else expm(x, *along, by_x)]
    for i, t in enumerate(by_along):
        terms.append(None if t is None else expm(x, *along[:i], t, *along[i + 1 :]))
    return added(*terms)


def expm_vjp(needed: Any, ct: Any, y: Any, x: Any, *along: Any) -> Any:
    """The trace of a derivative times ctᵀ does not care which of the matrices is ctᵀ: a cycle of exponentials is turned."""
    turned, *others = map(matrix_transposed, (x, *along))
    by_x = expm(turned, *others, ct) if needed[0] else None
    by_along = (expm(turned, *others[:i], ct, *others[i + 1 :]) if need else None for i, need in enumerate(needed[1:]))
    return by_x, *by_along


def expm_cost(output: Shaped, x: Shaped, *along: Any) -> float:
    """Six products, a system and some eight squarings of a matrix that doubles with each derivative."""
    return (2 * 14 + 8 / 3) * x.shape[-1] * x.size * 8 ** len(along)


expm = general(
    "expm",
    """Exponential of each matrix, Σ_k x1^k / k!, or its derivative along further operands.

    With x2, x3, …: y = d/dt₂ d/dt₃ … expm(x1 + t₂ x2 + t₃ x3 + …) at 0.
    """,
    numpy=expm_kernel,
    shape=lambda x, *along: Shaped(x.shape, np.result_type(x.dtype, *(t.dtype for t in along))),
    jvp=expm_jvp,
    vjp=expm_vjp,
    pattern=matrix_by_matrix,
    batch=all_alike,
    samples=Samples(
        lapack=True,
        complex=True,
        shapes=[(3, 3), (2, 2, 2), (1, 1), (0, 0), ((2, 2), (2, 2)), ((2, 2, 2), (2, 2, 2)), ((2, 2), (2, 2), (2, 2))],
        low=-1.0,
        high=1.0,
    ),
    cost=expm_cost,
)
expm.primitive.wanted = every_operand  # type: ignore[attr-defined]
