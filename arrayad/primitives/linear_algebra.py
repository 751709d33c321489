"""Matrix products and diagonals: what all contractions are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.dependence import Links, Pairs, moved, spread
from arrayad.errors import ShapeError, describe
from arrayad.primitive import bilinear, linear
from arrayad.primitives.arithmetic import multiply
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.samples import Samples
from arrayad.shaped import Shaped


def matrix_transposed(x: Any) -> Any:
    """The last two axes exchanged."""
    n = x.ndim
    return permute_dims(x, axes=(*range(n - 2), n - 1, n - 2))


def product_shape(x1: Shaped, x2: Shaped) -> Shaped:
    """The shape rule of `matrix_product`: (…, m, k) by (…, k, n), the leading axes equal."""
    if x1.ndim != x2.ndim or x1.ndim < 2 or x1.shape[-1] != x2.shape[-2] or x1.shape[:-2] != x2.shape[:-2]:
        raise ShapeError(
            f"[matmul] inner sizes differ: x1 is {describe(x1)}, x2 is {describe(x2)}; x1.shape[-1] must equal x2.shape[-2]"
        )
    return Shaped((*x1.shape[:-1], x2.shape[-1]), np.result_type(x1.dtype, x2.dtype))


def by_first(ct: Any, x1: Any, x2: Any) -> Any:
    return matrix_product(ct, matrix_transposed(x2))


def by_second(ct: Any, x1: Any, x2: Any) -> Any:
    return matrix_product(matrix_transposed(x1), ct)


def product_pattern(row: Any, i: int, output: Any, x1: Any, x2: Any) -> Links:
    """Rows of `x1` and columns of `x2`; of a known factor that is mostly zeros, such as a difference operator, only the rest."""
    other = (x2, x1)[i]
    if other.__class__ is not Shaped and 2 * np.count_nonzero(other) < other.size:
        return product_pairs(i, output.shape, (x1, x2)[i].shape, other)
    *lead, m, n = output.shape
    shape = (*lead, m, 1) if i == 0 else (*lead, 1, n)
    return [(spread(shape, output.shape), spread(shape, (x1, x2)[i].shape))]


def product_pairs(i: int, output: tuple[int, ...], operand: tuple[int, ...], other: Any) -> Pairs:
    """y[…, i, j] depends on x1[…, i, k] where x2[…, k, j] is not 0, and the other way round."""
    *lead, row, column = (index[:, None] for index in np.nonzero(other))
    if i == 0:
        free = np.arange(operand[-2])
        outputs, operands = (*lead, free, column), (*lead, free, row)
    else:
        free = np.arange(operand[-1])
        outputs, operands = (*lead, row, free), (*lead, column, free)
    return Pairs(
        *(
            np.ravel_multi_index(np.broadcast_arrays(*index), shape).reshape(-1)
            for index, shape in ((outputs, output), (operands, operand))
        )
    )


def product_cost(output: Shaped, x1: Shaped, x2: Shaped) -> float:
    return 2 * output.size * x1.shape[-1]


def product_batch(row: Any, size: int, operands: Any, batched: Any) -> Any:
    """One product of matrices where one factor is shared: the batch joins the rows of the other, or its columns."""
    x1, x2 = operands
    if all(batched):
        # Outer products have nothing to sum up: BLAS, called once for each, takes several times as long.
        return multiply(x1, x2) if x1.shape[-1] == 1 else matrix_product(x1, x2)
    if batched[0]:
        return product_with_rows(x1, x2)
    return matrix_transposed(product_with_rows(matrix_transposed(x2), matrix_transposed(x1)))


def product_with_rows(x1: Any, x2: Any) -> Any:
    """A batch of matrices, or of stacks of them, times one: y[b, …, i, j] = sum over k of x1[b, …, i, k] x2[…, k, j]."""
    size, *lead, m, k = x1.shape
    n = len(lead)
    if n:
        x1 = permute_dims(x1, axes=(*range(1, n + 1), 0, n + 1, n + 2))
    y = matrix_product(reshape(x1, shape=(*lead, size * m, k)), x2)
    y = reshape(y, shape=(*lead, size, m, x2.shape[-1]))
    return permute_dims(y, axes=(n, *range(n), n + 1, n + 2)) if n else y


matrix_product = bilinear(
    "matrix_product",
    """Products of matrices: y[…, i, j] = sum over k of x1[…, i, k] x2[…, k, j], leading axes equal, by BLAS.""",
    numpy=np.matmul,
    shape=product_shape,
    transposes=(by_first, by_second),
    pattern=product_pattern,
    batch=product_batch,
    samples=Samples(
        shapes=[
            ((2, 3), (3, 4)),
            ((2, 2, 3), (2, 3, 1)),
            ((0, 3), (3, 2)),
            ((2, 0), (0, 3)),
            ((2, 0, 1, 2), (2, 0, 2, 1)),
        ]
    ),
    cost=product_cost,
)


# --- diagonals ------------------------------------------------------------------------------------------------------

DIAGONALS = [((3, 3), 0, 1), ((2, 3, 2), 0, 2), ((2, 3, 3, 4), 1, 2), ((0, 0), 0, 1), ((1, 1), 0, 1)]


def diagonal_kernel(x: Any, *, axis1: int, axis2: int) -> Any:
    return np.moveaxis(np.diagonal(x, 0, axis1, axis2), -1, axis1)


def diagonal_shape(x: Shaped, *, axis1: int, axis2: int) -> Shaped:
    return Shaped((*x.shape[:axis2], *x.shape[axis2 + 1 :]), x.dtype)


def diagonal_back(ct: Any, x: Shaped, *, axis1: int, axis2: int) -> Any:
    return on_diagonal(ct, axis1=axis1, axis2=axis2)


def next_diagonal(row: Any, size: int, operands: Any, batched: Any, *, axis1: int, axis2: int) -> Any:
    return row.apply(*operands, axis1=axis1 + 1, axis2=axis2 + 1)


common_diagonal = linear(
    "common_diagonal",
    """The elements whose indices along two axes agree: y[…, i, …] = x[…, i, …, i, …]; axis2 > axis1 goes.""",
    numpy=diagonal_kernel,
    shape=diagonal_shape,
    transpose=diagonal_back,
    batch=next_diagonal,
    pattern=moved,
    samples=Samples(cases=[(shape, {"axis1": i, "axis2": j}) for shape, i, j in DIAGONALS]),
    selects=True,
)


def on_diagonal_kernel(x: Any, *, axis1: int, axis2: int) -> Any:
    shape = on_diagonal_shape(x, axis1=axis1, axis2=axis2).shape
    out = np.zeros(shape, x.dtype)
    places = np.arange(shape[axis1])
    np.moveaxis(out, (axis1, axis2), (0, 1))[places, places] = np.moveaxis(x, axis1, 0)
    return out


def on_diagonal_shape(x: Any, *, axis1: int, axis2: int) -> Shaped:
    return Shaped((*x.shape[:axis2], x.shape[axis1], *x.shape[axis2:]), x.dtype)


def on_diagonal_back(ct: Any, x: Shaped, *, axis1: int, axis2: int) -> Any:
    return common_diagonal(ct, axis1=axis1, axis2=axis2)


on_diagonal = linear(
    "on_diagonal",
    """Zeros but where two axes agree: y[…, i, …, j, …] = x[…, i, …] if i = j else 0; axis2 > axis1 is new.""",
    numpy=on_diagonal_kernel,
    shape=on_diagonal_shape,
    transpose=on_diagonal_back,
    batch=next_diagonal,
    pattern=moved,
    samples=Samples(cases=[((*shape[:j], *shape[j + 1 :]), {"axis1": i, "axis2": j}) for shape, i, j in DIAGONALS]),
)
