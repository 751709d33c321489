"""Kernels: NumPy is complete, C is faster.

Each primitive row has a NumPy kernel.  For arrays of at least `LARGE` elements it calls a large kernel from here, which
computes the same in C where it can and otherwise calls the NumPy kernel:

    elementwise(name, numpy)   the operations of csrc/ops.def
    reduction(name, numpy)     sum, prod, max, min, logsumexp, argmax, argmin
    scan(name, numpy)          running sum and prod
    rowwise(name, numpy)       softmax, log_softmax, softmax_vjp, log_softmax_vjp
    cross_entropy, cross_entropy_vjp, sgd, adam
    empty(shape, dtype)        a new array, from the pool if it is large

ARRAYAD_BACKEND=numpy|c, ARRAYAD_ISA=baseline|avx2|avx512, ARRAYAD_NUM_THREADS and ARRAYAD_POOL_LIMIT (in bytes) are read
at import.  Results do not depend on the number of threads, and not on where in an array an element stands.
"""

from __future__ import annotations

from typing import Any, overload

from arrayad.kernels import machine, native, pool
from arrayad.kernels.axes import Reduction as reduction
from arrayad.kernels.axes import Rowwise as rowwise
from arrayad.kernels.axes import Scan as scan
from arrayad.kernels.elementwise import LARGE
from arrayad.kernels.elementwise import Elementwise as elementwise
from arrayad.kernels.native import Backend, isas, set_isa, set_threads, why_not_native
from arrayad.kernels.pool import empty
from arrayad.kernels.training import adam, cross_entropy, cross_entropy_vjp, sgd

__all__ = [
    "LARGE",
    "adam",
    "backend",
    "cross_entropy",
    "cross_entropy_vjp",
    "elementwise",
    "empty",
    "info",
    "isas",
    "reduction",
    "rowwise",
    "scan",
    "set_isa",
    "set_threads",
    "sgd",
    "why_not_native",
]


@overload
def backend() -> str: ...
@overload
def backend(name: str) -> Backend: ...
def backend(name: str | None = None) -> str | Backend:
    """The kernels in use, "c" or "numpy"; with a name, use those from now on, or for a `with` block, in the whole process.

    **Raises** RuntimeError for "c" where there are no C kernels.

    **Example**

    >>> with backend("numpy"):
    ...     backend()
    'numpy'
    """
    return Backend.current if name is None else Backend(name)


def info() -> dict[str, Any]:
    """What computes here: backend, instruction set, threads, compiler, vector functions, NumPy's BLAS, the pool."""
    return {
        "backend": Backend.current,
        "why_not_native": why_not_native,
        **native.info(),
        "isas": isas(),
        "blas": machine.numpy_blas(),
        "pool": pool.stats(),
    }
