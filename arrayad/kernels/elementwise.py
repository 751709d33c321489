"""Large elementwise kernels: C where it can, else NumPy, into memory of the pool where that is possible."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from arrayad.kernels import native
from arrayad.kernels.native import DTYPES, pointer
from arrayad.kernels.pool import empty

__all__ = ["LARGE", "Elementwise"]

# Elements from which on a large kernel may be worth its call, two microseconds more than NumPy's.  NumPy's own loops are
# vectorised too, so for one of its ufuncs C wins by threads alone, from PARALLEL elements on (PARALLEL of dispatch.c); up
# to there, from POOLED on, the large kernel saves page faults, with memory of the pool.  What takes NumPy several passes,
# C does in one; and some of NumPy's loops are not vectorised: those C beats from FUSED elements on.  What takes NumPy
# MANY_PASSES calls, by the attribute `passes` of its kernel, takes it longer than one call of C for any number of elements.
LARGE = 1 << 14
POOLED = 1 << 16
PARALLEL = 1 << 17
FUSED = 1 << 11
MANY_PASSES = 4
NEVER = sys.maxsize

# Functions for which NumPy has vector loops on AVX-512 only, and libmvec on every x86-64.
SVML = set("exp exp2 expm1 log log2 log10 log1p tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh power".split())
# Functions for which NumPy has no vector loop, at least in float64.
SCALAR_IN_NUMPY = set("sin cos hypot logaddexp".split())
# There NumPy's power is two to three times as fast as libmvec's.
SLOWER_IN_C = {"power"}
NUMPY_HAS_SVML = "avx512" in native.isas()

# Elements in one C call, 50 ms of the slowest operation on one thread: between calls Python sees Ctrl-C.
SLAB = 1 << 22

BOOL = np.dtype(np.bool_)
BYTE = native.constant("BYTE")
FULL, SCALAR, ROW, COLUMN = map(native.constant, ("FULL", "SCALAR", "ROW", "COLUMN"))
CALLS = [native.function(f"elementwise{arity}") for arity in range(1, 5)]
OPERATIONS = native.operations()

Layout = tuple[tuple[int, ...], int, int, int, int]


@functools.lru_cache(maxsize=4096)
def layout(*shapes: tuple[int, ...]) -> Layout | None:
    """(shape, size, rows, cols, layouts) of the result of operands in C order; None if they do not lie as the C kernels want.

    The result is cut into rows and columns so that each operand has all of it, or a row, or a column, or one element.
    """
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        return None
    cuts: set[int] = set()
    kinds = []
    for own in shapes:
        own = (1,) * (len(shape) - len(own)) + own
        there = [i for i, n in enumerate(shape) if n > 1 and own[i] > 1]
        missing = [i for i, n in enumerate(shape) if n > 1 and own[i] == 1]
        if not there or not missing:
            kinds.append(SCALAR if not there else FULL)
        elif missing[-1] < there[0]:
            kinds.append(ROW)
            cuts.add(there[0])
        elif there[-1] < missing[0]:
            kinds.append(COLUMN)
            cuts.add(missing[0])
        else:
            return None
    if len(cuts) > 1:
        return None
    cut = cuts.pop() if cuts else 0
    packed = sum(kind << 4 * k for k, kind in enumerate(kinds))
    return shape, math.prod(shape), math.prod(shape[:cut]), math.prod(shape[cut:]), packed


def unrepeated(x: Any) -> Any:
    """An array with length 1 along the axes that it repeats itself along, as a broadcast view does; else itself."""
    if x.__class__ is ndarray and not x.flags.c_contiguous and 0 in x.strides:
        return x[tuple(slice(1) if stride == 0 else slice(None) for stride in x.strides)]
    return x


def spans(shape: tuple[int, ...], own: tuple[int, ...]) -> bool:
    """Whether a result of this shape is as long along every axis as an operand's own shape asks."""
    return len(own) <= len(shape) and all(n == 1 or n == m for n, m in zip(own[::-1], shape[::-1], strict=False))


class Elementwise:
    """The large kernel of an elementwise operation: call it with arrays, NumPy scalars and Python numbers.

    Gives what `numpy` gives, in dtype and shape; in C where the operation has a C kernel, the C backend is on, the arrays
    are in C order and of one dtype, float32 or float64 (booleans count as 0 and 1), and lie as `layout` says.  Results of
    fewer than `threshold` elements are NumPy's, so that the caller may as well call it.
    """

    def __init__(self, name: str, numpy: Callable[..., Any]) -> None:
        self.name, self.numpy = name, numpy
        self.op, self.arity, self.is_bool = OPERATIONS.get(name, (-1, 0, False))
        self.ufunc: Any = getattr(numpy, "__wrapped__", numpy)  # the kernel may refuse some of what its ufunc takes
        self.is_ufunc = isinstance(self.ufunc, np.ufunc) and self.ufunc.nout == 1
        self.all_full = sum(FULL << 4 * k for k in range(self.arity))
        self.call = CALLS[self.arity - 1]
        self.dtypes: dict[tuple[Any, ...], np.dtype[Any]] = {}
        self.c_threshold = self.size_for_c()
        self.threshold = min(self.c_threshold, POOLED if self.is_ufunc else NEVER)

    def size_for_c(self) -> int:
        """The size of a result from which on C is faster than NumPy, and a single thread no slower."""
        if not self.arity or (NUMPY_HAS_SVML and self.name in SLOWER_IN_C):
            return NEVER
        if getattr(self.numpy, "passes", 1) >= MANY_PASSES:
            return 0
        is_vectorised = self.name not in SCALAR_IN_NUMPY and (NUMPY_HAS_SVML or self.name not in SVML)
        return PARALLEL if self.is_ufunc and is_vectorised else FUSED

    def __call__(self, *operands: Any) -> Any:
        if self.arity == len(operands) and native.Backend.current == "c":
            out = self.alike_in_c(operands)
            if out is None:
                out = self.in_c(operands)
            if out is not None:
                return out
        if self.is_ufunc:
            out = self.new_result(operands)
            if out is not None:
                return self.numpy(*operands, out=out)
        return self.numpy(*operands)

    def alike_in_c(self, operands: tuple[Any, ...]) -> Any:
        """The result, if the operands are small arrays of one shape and dtype: with no more questions than that takes."""
        x = operands[0]
        if x.__class__ is not ndarray or not self.c_threshold <= x.size < LARGE or x.dtype not in DTYPES:
            return None
        dtype, shape, n = x.dtype, x.shape, x.size
        for y in operands:
            if y.__class__ is not ndarray or y.dtype is not dtype or y.shape != shape or not y.flags.c_contiguous:
                return None
        out = np.empty(shape, BOOL if self.is_bool else dtype)
        refused = self.call(self.op, DTYPES[dtype], self.all_full, 1, n, 0, n, pointer(out), *map(pointer, operands))
        return None if refused and not native.done(refused) else out

    def in_c(self, operands: tuple[Any, ...]) -> Any:
        """The result, if C can compute it."""
        given, operands = operands, tuple(map(unrepeated, operands))
        dtype, shapes, arrays, bytes_, has_scalars = None, [], [], 0, False
        for k, x in enumerate(operands):
            if x.__class__ is ndarray:
                own = x.dtype
                if own is dtype:
                    pass
                elif own is BOOL:
                    bytes_ |= BYTE << 4 * k
                elif dtype is None and own in DTYPES:
                    dtype = own
                elif own != dtype:
                    return None
                if not x.flags.c_contiguous:
                    return None
                shapes.append(x.shape)
                arrays.append(pointer(x))
            elif x.__class__ is float or x.__class__ is int or isinstance(x, np.generic):
                shapes.append(())
                arrays.append(x)
                has_scalars = True
            else:
                return None
        found = layout(*shapes)
        if dtype is None or found is None:
            return None
        shape, size, rows, cols, layouts = found
        if size < self.c_threshold:
            return None
        if any(wide is not x and not spans(shape, wide.shape) for wide, x in zip(given, operands, strict=True)):
            return None
        if has_scalars:
            for k, x in enumerate(operands):
                if x.__class__ is not ndarray:
                    if isinstance(x, np.generic) and x.dtype != dtype:
                        return None
                    arrays[k] = pointer(np.array(x, dtype))
        out = empty(shape, BOOL if self.is_bool else dtype)
        place, call, code = pointer(out), self.call, DTYPES[dtype]
        layouts |= bytes_
        for start in range(0, size, SLAB):
            stop = start + SLAB if size - start > SLAB else size
            refused = call(self.op, code, layouts, rows, cols, start, stop, place, *arrays)
            if refused and not native.done(refused):
                return None
        return out

    def new_result(self, operands: tuple[Any, ...]) -> ndarray[Any, Any] | None:
        """An array of the pool for the result of a ufunc, if the operands are large, in C order and of NumPy's numbers."""
        shapes: list[tuple[int, ...]] = []
        kinds: list[Any] = []
        for x in operands:
            if x.__class__ is ndarray and x.dtype.kind in "biufc" and x.flags.c_contiguous:
                shapes.append(x.shape)
                kinds.append(x.dtype)
            elif x.__class__ is float or x.__class__ is int:
                kinds.append(x.__class__)
            else:
                return None
        if not shapes:
            return None
        key = tuple(kinds)
        shape = shapes[0] if shapes.count(shapes[0]) == len(shapes) else np.broadcast_shapes(*shapes)
        if math.prod(shape) < POOLED:
            return None
        if key not in self.dtypes:
            self.dtypes[key] = self.ufunc.resolve_dtypes((*key, None))[-1]
        return empty(shape, self.dtypes[key])
