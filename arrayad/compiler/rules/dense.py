"""Rows of dense linear algebra, of stacks of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.compiler.calls_dense import Dense
from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.text import C_TYPES, SUFFIX
from arrayad.primitives.decompositions import INDEFINITE
from arrayad.primitives.linear_systems import SINGULAR
from arrayad.primitives.matrices import failure_at
from arrayad.shaped import Shaped

BY_MINORS = 8
"""The order of matrices up to which cofactors are determinants of minors."""

INT64 = np.dtype(np.int64)


def is_real(entry_dtype: Any, *xs: Read) -> bool:
    """Whether operands and result are of real dtypes that C has routines for."""
    return entry_dtype.name in SUFFIX and all(x.node.dtype.name in C_TYPES for x in xs)


def call(builder: Builder, name: str, dtype: Any, xs: tuple[Read, ...], shapes: list[Any], can_fail: bool = False) -> list[Read]:
    """What the routine of this name makes of stacks; with `can_fail` a code for each matrix is its last result."""
    *lead, n, _ = xs[0].view.shape
    cast = [x if x.node.dtype == dtype else builder.map("astype", "x", dtype, [x], dtype) for x in xs]
    columns = xs[-1].view.shape[-1] if len(xs) > 1 else n
    code = Dense(name, math.prod(lead), n, columns, dtype, SUFFIX[dtype.name])
    results = [(tuple(shape), dtype) for shape in shapes] + [(tuple(lead), INT64)] * can_fail
    return builder.call(code, [builder.whole(x) for x in cast], results)


FAILURES = {"cholesky": ("cholesky", INDEFINITE), "solve": ("solve", SINGULAR), "inverse": ("inv", SINGULAR)}
"""By row, what its error names, and what is wrong."""


@rule(*FAILURES)
def solved(builder: Builder, entry: Any, *xs: Read) -> Read | None:
    shape, dtype = entry.output.shape, entry.output.dtype
    *lead, n, _ = xs[0].view.shape
    if not is_real(dtype, *xs):
        return None
    if 0 in (*lead, n):
        return builder.empty(shape, dtype)
    found, code = call(builder, entry.primitive.name, dtype, xs, [shape], can_fail=True)
    name, trouble = FAILURES[entry.primitive.name]
    stack = Shaped(xs[0].view.shape, xs[0].node.dtype)
    is_fine = builder.map("is_regular", "x == 0", INT64, [code], np.bool_)

    def error(place: int) -> Exception:
        return failure_at(tuple(map(int, np.unravel_index(place, lead))) if lead else (), name, trouble, stack)

    builder.check(is_fine, error)
    return found


@rule("det", "slogdet", "limit_inverse", "cofactors")
def of_factors(builder: Builder, entry: Any, x: Read, *along: Read) -> Any:
    name = entry.primitive.name
    outputs = entry.output if name == "slogdet" else [entry.output]
    dtype = outputs[0].dtype
    n = x.view.shape[-1]
    if not is_real(dtype, x) or along or (name == "cofactors" and n > BY_MINORS):
        return None
    shapes = [y.shape for y in outputs]
    if 0 in shapes[0]:
        found = [builder.empty(shape, dtype) for shape in shapes]
    elif n == 0:  # the determinant of nothing is 1, its logarithm 0
        found = [builder.broadcast(builder.number(1 - k, dtype), shape) for k, shape in enumerate(shapes)]
    else:
        found = call(builder, name, dtype, (x,), shapes)
    return found if name == "slogdet" else found[0]
