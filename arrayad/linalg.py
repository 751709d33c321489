"""Linear algebra as in `numpy.linalg` and the array API extension, as far as it needs no decomposition."""

from __future__ import annotations

from arrayad.functions.linear_algebra import (
    matmul,
    matrix_norm,
    norm,
    outer,
    tensordot,
    trace,
    vecdot,
    vector_norm,
)

__all__ = ["matmul", "matrix_norm", "norm", "outer", "tensordot", "trace", "vecdot", "vector_norm"]
