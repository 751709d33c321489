"""Linear algebra under the names of `numpy.linalg` and of the array API extension; docs/linalg.md tells the conventions."""

from __future__ import annotations

from arrayad.errors import LinAlgError
from arrayad.functions.decompositions import cholesky, eigh, eigvalsh, qr, svd, svdvals
from arrayad.functions.linear_algebra import (
    cross,
    diagonal,
    matmul,
    matrix_norm,
    multi_dot,
    norm,
    outer,
    tensordot,
    trace,
    vecdot,
    vector_norm,
)
from arrayad.functions.linear_systems import (
    cond,
    det,
    expm,
    inv,
    lstsq,
    matrix_power,
    matrix_rank,
    pinv,
    slogdet,
    solve,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from arrayad.functions.shape import matrix_transpose

# fmt: off
__all__ = [
    "matmul", "matrix_transpose", "multi_dot", "outer", "tensordot", "vecdot", "cross", "diagonal", "trace",
    "matrix_norm", "norm", "vector_norm", "cond", "matrix_rank",
    "solve", "solve_triangular", "inv", "lstsq", "pinv", "det", "slogdet", "tensorinv", "tensorsolve",
    "cholesky", "qr", "eigh", "eigvalsh", "svd", "svdvals",
    "matrix_power", "expm",
    "LinAlgError",
]
# fmt: on
