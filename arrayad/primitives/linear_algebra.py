"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.errors import ShapeError, describe
from arrayad.primitive import bilinear
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.samples import Samples
from arrayad.shaped import Shaped


def matrix_transposed(x: Any) -> Any:
    """The last two axes exchanged."""
    n = x.ndim
    return permute_dims(x, axes=(*range(n - 2), n - 1, n - 2))


def product_shape(x1: Shaped, x2: Shaped) -> Shaped:
    """The shape rule of `dot`: (…, m, k) by (…, k, n), the leading axes equal."""
    if x1.ndim != x2.ndim or x1.ndim < 2 or x1.shape[-1] != x2.shape[-2] or x1.shape[:-2] != x2.shape[:-2]:
        raise ShapeError(
            f"[matmul] inner sizes differ: x1 is {describe(x1)}, x2 is {describe(x2)}; x1.shape[-1] must equal x2.shape[-2]"
        )
    return Shaped((*x1.shape[:-1], x2.shape[-1]), np.result_type(x1.dtype, x2.dtype))


def by_first(ct: Any, x1: Any, x2: Any) -> Any:
    return matrix_product(ct, matrix_transposed(x2))


def by_second(ct: Any, x1: Any, x2: Any) -> Any:
    return matrix_product(matrix_transposed(x1), ct)


def product_cost(output: Shaped, x1: Shaped, x2: Shaped) -> float:
    return 2 * output.size * x1.shape[-1]


matrix_product = bilinear(
    "matrix_product",
    """Products of matrices: y[…, i, j] = sum over k of x1[…, i, k] x2[…, k, j], leading axes equal, one BLAS call each.""",
    numpy=np.matmul,
    shape=product_shape,
    transposes=(by_first, by_second),
    samples=Samples(shapes=[((2, 3), (3, 4)), ((2, 2, 3), (2, 3, 1)), ((0, 3), (3, 2)), ((2, 0), (0, 3))]),
    cost=product_cost,
)
