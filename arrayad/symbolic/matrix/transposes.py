"""Transposes stand at the letters, as few as can be; a number, and a symmetric matrix, has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.primitives.arithmetic import divide, multiply, negative
from arrayad.primitives.linear_algebra import matrix_product, on_diagonal
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.rewriting import Match, sample
from arrayad.symbolic.matrix.parts import (
    PRODUCT,
    chain,
    diagonal,
    identity,
    is_matrix,
    is_real,
    is_scalar,
    is_symmetric,
    known,
    made_by,
    multiple,
    product,
    product_of,
    scalar,
    transpose,
    turned,
)


def is_transpose(m: Match) -> bool:
    return tuple(m.params["axes"]) == (1, 0)


identity(
    "(A B)ᵀ is Bᵀ Aᵀ.",
    (permute_dims, (matrix_product, "a", "b")),
    when=lambda m: is_transpose(m) and is_matrix(m) and m.output.size > 1,
    to=lambda m: product(m, turned(m, m["b"]), turned(m, m["a"])),
    samples=[sample(lambda a, b: transpose(matrix_product(a, b)), (2, 3), (3, 4))],
)


identity(
    "The transpose of a multiple is a multiple of the transpose.",
    (permute_dims, (multiply, "s", "x")),
    (permute_dims, (divide, "x", "s")),
    (permute_dims, (negative, "x")),
    when=lambda m: is_transpose(m) and is_matrix(m) and ("s" not in m.named or is_scalar(m, m["s"])),
    to=lambda m: multiple(m, m.inner[0], turned(m, m["x"])),
    samples=[
        sample(lambda x: transpose(2.0 * x), (2, 3)),
        sample(lambda x, s: transpose(x / s), (2, 3), ()),
        sample(lambda x: transpose(-x), (2, 3)),
    ],
)


def transposes(m: Match, x: Any) -> tuple[int, int]:
    """How many factors of an expression are transposes, and how many of its transpose would be."""
    entry = m.graph.producer(x)
    if is_scalar(m, x) or is_symmetric(m, x):
        return 0, 0
    if entry is not None and (isinstance(entry.primitive, Elementwise) or entry.primitive is PRODUCT):
        parts = [transposes(m, y) for y in entry.inputs]
        return sum(before for before, _ in parts), sum(after for _, after in parts)
    return (1, 0) if made_by(m, x, permute_dims) is not None else (0, 1)


def of_transposes(m: Match) -> Any:
    """The elementwise operation on the transposes of its operands, if fewer factors are transposes then."""
    (inner,) = m.inner
    before, after = transposes(m, m.inputs[0])
    if after >= before:
        return None
    operands = [x if is_scalar(m, x) else turned(m, x) for x in inner.inputs]
    return m(inner.primitive, *operands, **inner.params)


identity(
    "The transpose of an elementwise operation on operands most of which are transposes.",
    (permute_dims, (Elementwise, "x")),
    (permute_dims, (Elementwise, "x", "y")),
    when=lambda m: is_transpose(m) and is_matrix(m) and m.output.size > 1,
    to=of_transposes,
    samples=[sample(lambda a, b: transpose(transpose(a) + transpose(b)), (2, 3), (2, 3))],
)

identity(
    "A diagonal matrix is its own transpose, and so is a matrix of one element.",
    (permute_dims, (on_diagonal, "x")),
    (permute_dims, "y"),
    when=lambda m: is_transpose(m) and is_matrix(m) and ("x" in m.named or m.output.size == 1),
    to=lambda m: diagonal(m, m["x"]) if "x" in m.named else m["y"],
    samples=[
        sample(lambda x: transpose(on_diagonal(x, axis1=0, axis2=1)), (3,)),
        sample(lambda x: transpose(x), (1, 1)),
    ],
)

identity(
    "A symmetric matrix is its own transpose.",
    (permute_dims, "x"),
    when=lambda m: is_transpose(m) and is_symmetric(m, m["x"]),
    to=lambda m: m["x"],
    samples=[sample(lambda x: transpose(matrix_product(transpose(x), x) + np.eye(3)), (2, 3))],
)


def turned_number(m: Match) -> Any:
    """The product that is a number, as that of the transposes: ones stand in front, else fewer factors are transposes."""
    factors = chain(m, m["x"])
    first, last = (known(factors[i]) is not None for i in (0, -1))
    if first and not last:
        return None
    other = [turned(m, f) for f in reversed(factors)]
    counts = [sum(made_by(m, f, permute_dims) is not None for f in found) for found in (other, factors)]
    return scalar(m, product(m, *other)) if last > first or counts[0] < counts[1] else None


identity(
    "A number is its own transpose.",
    (reshape, "x"),
    when=lambda m: is_real(m) and m.output.shape == () and made_by(m, m["x"], matrix_product) is not None,
    to=turned_number,
    samples=[
        sample(lambda x, a, y: reshape(product_of(transpose(x), transpose(a), y), shape=()), (3, 1), (2, 3), (2, 1)),
        sample(lambda x: reshape(matrix_product(transpose(x), np.ones((3, 1))), shape=()), (3, 1)),
    ],
)
