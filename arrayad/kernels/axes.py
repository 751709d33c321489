"""Large kernels along axes: reductions, scans, and operations on rows; C where it can, else NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.kernels import native, pool
from arrayad.kernels.elementwise import LARGE

__all__ = ["Reduction", "Rowwise", "Scan"]

REDUCE, SCAN, ROWWISE = map(native.function, ("reduce", "scan", "rowwise"))
INDEX = np.dtype(np.int64)


def suits_c(x: Any, least: int = 1) -> bool:
    """Whether C can compute with this array, and it has the elements for that to pay: any, where NumPy takes many passes."""
    return (
        native.Backend.current == "c"
        and x.__class__ is np.ndarray
        and x.size >= least
        and x.dtype in native.DTYPES
        and x.flags.c_contiguous
    )


class Reduction:
    """The large kernel of a reduction: `numpy(x, axis)`, with `axis` a tuple of distinct nonnegative axes, which go.

    `name` is sum, prod, max, min, logsumexp, argmax or argmin, the last two over one axis.  C reduces adjacent axes of
    float32 and float64 arrays in C order; its sums err no more than NumPy's pairwise sums, over every axis.
    """

    def __init__(self, name: str, numpy: Callable[..., Any]) -> None:
        self.name, self.numpy = name, numpy
        self.code = native.constant(name.upper())
        self.is_index = name in ("argmax", "argmin")
        self.least = 0 if name == "logsumexp" else LARGE

    def __call__(self, x: Any, axis: tuple[int, ...]) -> Any:
        if suits_c(x, self.least) and axis and axis == tuple(range(axis[0], axis[0] + len(axis))):
            first, after = axis[0], axis[-1] + 1
            out = pool.empty(x.shape[:first] + x.shape[after:], INDEX if self.is_index else x.dtype)
            outer, n, inner = map(math.prod, (x.shape[:first], x.shape[first:after], x.shape[after:]))
            if native.done(REDUCE(self.code, native.DTYPES[x.dtype], outer, n, inner, native.pointer(out), native.pointer(x))):
                return out[()]
        return self.numpy(x, axis)


class Scan:
    """The large kernel of a running sum or product: `numpy(x, axis)`, with `axis` a nonnegative axis; `name` sum or prod."""

    def __init__(self, name: str, numpy: Callable[..., Any]) -> None:
        self.name, self.numpy = name, numpy
        self.code = native.constant(name.upper())

    def __call__(self, x: Any, axis: int) -> Any:
        if suits_c(x, LARGE):
            out = pool.empty(x.shape, x.dtype)
            outer, n, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
            if native.done(SCAN(self.code, native.DTYPES[x.dtype], outer, n, inner, native.pointer(out), native.pointer(x))):
                return out
        return self.numpy(x, axis)


class Rowwise:
    """The large kernel of an operation on the last axis: softmax and log_softmax of x, or their VJPs of (ct, y)."""

    def __init__(self, name: str, numpy: Callable[..., Any]) -> None:
        self.name, self.numpy = name, numpy
        self.code = native.constant(name.upper())

    def __call__(self, *operands: Any) -> Any:
        x, y = operands[0], operands[-1]
        if suits_c(x) and suits_c(y) and x.shape == y.shape and x.dtype == y.dtype:
            out = pool.empty(x.shape, x.dtype)
            cols = x.shape[-1]
            places = (native.pointer(a) for a in (out, x, y))
            if native.done(ROWWISE(self.code, native.DTYPES[x.dtype], x.size // cols, cols, *places)):
                return out
        return self.numpy(*operands)
