"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.compiler import calls
from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.text import C_TYPES

TINY = 64
"""The multiplications of one product of a stack up to which it is computed as loops of elements."""


@rule("matrix_product")
def product(builder: Builder, entry: Any, x1: Read, x2: Read) -> Read | None:
    dtype, shape = entry.output.dtype, entry.output.shape
    if dtype.kind != "f" or any(kind.name not in C_TYPES for kind in (dtype, x1.node.dtype, x2.node.dtype)):
        return None
    x1, x2 = (x if x.node.dtype == dtype else builder.map("astype", "x", dtype, [x], dtype) for x in (x1, x2))
    *lead, m, k = x1.view.shape
    n = x2.view.shape[-1]
    if 0 in (*shape, k):
        return builder.constant(np.zeros(shape, dtype))
    x1, x2 = map(builder.stored, (x1, x2))
    if (lead and m * n * k <= TINY) or 1 in (m, n, k):
        return by_elements(builder, x1, x2, dtype)
    return builder.call(calls.Product(dtype), [x1, x2], [(shape, dtype)])[0]


def by_elements(builder: Builder, x1: Read, x2: Read, dtype: Any) -> Read:
    """A product as a sum of products of elements; what is summed over comes first if the larger factor lies so in memory."""
    *lead, m, k = x1.view.shape
    n, r = x2.view.shape[-1], len(lead)
    turned = builder.permute(x2, (*range(r), r + 1, r))
    matrix = x1 if m >= n else turned
    if abs(matrix.view.strides[-2]) < abs(matrix.view.strides[-1]) and 1 in (m, n) and not lead:
        first = builder.reshape(builder.permute(x1, (*range(r), r + 1, r)), (*lead, k, m, 1))
        second = builder.reshape(x2, (*lead, k, 1, n))
        axis = r
    else:
        first = builder.reshape(x1, (*lead, m, 1, k))
        second = builder.reshape(turned, (*lead, 1, n, k))
        axis = r + 2
    return builder.reduce("sum", builder.map("multiply", "x1 * x2", dtype, [first, second], dtype), (axis,))
