"""Rows that solve linear systems: `solve` and `inverse`."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.dependence import matrix_by_matrix
from arrayad.primitive import OUTPUT, general, like_first
from arrayad.primitives.broadcasting import all_alike, all_batched
from arrayad.primitives.linear_algebra import matrix_product, matrix_transposed
from arrayad.primitives.matrices import added, explained_failure, product
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.samples import Samples, well_conditioned
from arrayad.shaped import Shaped

SINGULAR = "it is singular; use pinv or lstsq, or add to its diagonal"


# --- solve ----------------------------------------------------------------------------------------------------------


def solve_kernel(x1: Any, x2: Any) -> Any:
    try:
        return np.linalg.solve(x1, x2)
    except np.linalg.LinAlgError:
        raise explained_failure(np.linalg.solve, "solve", SINGULAR, x1, x2) from None


def solve_shape(x1: Shaped, x2: Shaped) -> Shaped:
    return Shaped(x2.shape, np.result_type(x1.dtype, x2.dtype))


def solve_jvp(tangents: Any, y: Any, x1: Any, x2: Any) -> Any:
    """A Y = B gives A tY = tB - tA Y."""
    by_matrix, by_right = tangents
    moved = None if by_matrix is None else -matrix_product(by_matrix, y)
    return solve(x1, added(moved, by_right))


def solve_vjp(needed: Any, ct: Any, y: Any, x1: Any, x2: Any) -> Any:
    by_right = solve(matrix_transposed(x1), ct)
    return (-matrix_product(by_right, matrix_transposed(y)) if needed[0] else None), by_right


def side_by_side(x: Any, lead: int) -> Any:
    """The matrices of all indices of the first `lead` axes as columns of one another: (b…, …, n, k) to (…, n, b… k)."""
    n = x.ndim
    turned = permute_dims(x, axes=(*range(lead, n - 1), *range(lead), n - 1))
    return reshape(turned, shape=(*x.shape[lead:-1], int(np.prod((*x.shape[:lead], x.shape[-1])))))


def taken_apart(y: Any, like: tuple[int, ...], lead: int) -> Any:
    """The inverse of `side_by_side`, for matrices of the shape `like`."""
    n = len(like)
    parts = reshape(y, shape=(*like[lead:-1], *like[:lead], like[-1]))
    kept = n - 1 - lead
    return permute_dims(parts, axes=(*range(kept, kept + lead), *range(kept), n - 1))


def solve_batch(row: Any, size: int, operands: Any, batched: Any) -> Any:
    """A matrix that the examples share is factorised once."""
    x1, x2 = operands
    if batched[0]:
        return row.apply(*all_batched(size, operands, batched))
    return taken_apart(row.apply(x1, side_by_side(x2, 1)), x2.shape, 1)


def solve_cost(output: Shaped, x1: Shaped, x2: Shaped) -> float:
    """LU factors, ⅔ n³, and two triangular systems, 2 n² for each column."""
    n = x1.shape[-1]
    return 2 / 3 * n * x1.size + 2 * n * x2.size


solve = general(
    "solve",
    """Solution of linear systems: A Y = B, with A = x1[…, :, :] and B = x2[…, :, :], leading axes equal, by LU factors.

    **Raises** `LinAlgError` where A is singular.
    """,
    numpy=solve_kernel,
    shape=solve_shape,
    jvp=solve_jvp,
    vjp=solve_vjp,
    residuals=(0, OUTPUT),
    pattern=matrix_by_matrix,
    batch=solve_batch,
    samples=Samples(
        lapack=True,
        complex=True,
        shapes=[
            ((3, 3), (3, 2)),
            ((2, 3, 3), (2, 3, 1)),
            ((1, 1), (1, 4)),
            ((0, 0), (0, 2)),
            ((2, 2), (2, 0)),
            ((0, 2, 2), (0, 2, 1)),
        ],
        make={0: well_conditioned},
    ),
    cost=solve_cost,
)


# --- inverse --------------------------------------------------------------------------------------------------------


def inverse_kernel(x: Any) -> Any:
    try:
        return np.linalg.inv(x)
    except np.linalg.LinAlgError:
        raise explained_failure(np.linalg.inv, "inv", SINGULAR, x) from None


def inverse_jvp(tangents: Any, y: Any, x: Any) -> Any:
    return -product(y, tangents[0], y)


def inverse_vjp(needed: Any, ct: Any, y: Any, x: Any) -> Any:
    turned = matrix_transposed(y)
    return (-product(turned, ct, turned),)


inverse = general(
    "inverse",
    """Inverse of each matrix: Σ_j y[…, i, j] x[…, j, k] = 1 if i = k else 0.

    **Raises** `LinAlgError` where a matrix is singular.
    """,
    numpy=inverse_kernel,
    shape=like_first,
    jvp=inverse_jvp,
    vjp=inverse_vjp,
    residuals=(OUTPUT,),
    pattern=matrix_by_matrix,
    batch=all_alike,
    samples=Samples(lapack=True, complex=True, shapes=[(3, 3), (2, 3, 3), (1, 1), (0, 0), (0, 2, 2)], make={0: well_conditioned}),
    cost=lambda output, x: 2 * x.shape[-1] * x.size,
)
