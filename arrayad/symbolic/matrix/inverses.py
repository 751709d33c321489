"""Inverses stand at the letters, and go where they meet what they are inverse to."""

from __future__ import annotations

from typing import Any

from arrayad.primitives.arithmetic import divide, multiply, negative, reciprocal
from arrayad.primitives.determinants import det, limit_inverse
from arrayad.primitives.linear_algebra import matrix_product, on_diagonal
from arrayad.primitives.linear_systems import inverse, solve
from arrayad.primitives.shape import permute_dims
from arrayad.rewriting import Match, sample
from arrayad.symbolic.matrix.parts import (
    diagonal,
    identity,
    is_matrix,
    is_real,
    is_scalar,
    made_by,
    product,
    same,
    shape_of,
    transpose,
    turned,
    unit,
)

identity(
    "The inverse that has a limit where there is none, and the solution of a system, are those of a regular matrix.",
    (limit_inverse, "x"),
    (solve, "x", "b"),
    when=is_matrix,
    to=lambda m: product(m, m(inverse, m["x"]), *([m["b"]] if "b" in m.named else [])),
    samples=[sample(lambda x: limit_inverse(x), (3, 3)), sample(lambda x, b: solve(x, b), (3, 3), (3, 2))],
)

identity(
    "(Xᵀ)⁻¹ is (X⁻¹)ᵀ.",
    (inverse, (permute_dims, "x")),
    when=is_matrix,
    to=lambda m: turned(m, m(inverse, m["x"])),
    samples=[sample(lambda x: inverse(transpose(x)), (3, 3))],
)

identity(
    "(A B)⁻¹ is B⁻¹ A⁻¹.",
    (inverse, (matrix_product, "a", "b")),
    when=lambda m: is_matrix(m) and shape_of(m["a"]) == shape_of(m["b"]),
    to=lambda m: product(m, m(inverse, m["b"]), m(inverse, m["a"])),
    samples=[sample(lambda a, b: inverse(matrix_product(a, b)), (3, 3), (3, 3))],
)

identity(
    "The inverse of an inverse.",
    (inverse, (inverse, "x")),
    when=is_matrix,
    to=lambda m: m["x"],
    samples=[sample(lambda x: inverse(inverse(x)), (3, 3))],
)

identity(
    "(s X)⁻¹ is X⁻¹ / s.",
    (inverse, (multiply, "s", "x")),
    (inverse, (divide, "x", "s")),
    (inverse, (negative, "x")),
    when=lambda m: is_matrix(m) and ("s" not in m.named or is_scalar(m, m["s"])),
    to=lambda m: inverse_of_multiple(m),
    samples=[
        sample(lambda x, s: inverse(s * x), (3, 3), ()),
        sample(lambda x: inverse(-x), (3, 3)),
        sample(lambda x, s: inverse(x / s), (3, 3), ()),
    ],
)


def inverse_of_multiple(m: Match) -> Any:
    """The inverse, with the number on the other side of the fraction line."""
    found, (inner,) = m(inverse, m["x"]), m.inner
    if "s" not in m.named:
        return m(negative, found)
    return m(multiply, m["s"], found) if inner.primitive.apply is divide else m(divide, found, m["s"])


identity(
    "diag(v)⁻¹ is the diagonal matrix of the reciprocals.",
    (inverse, (on_diagonal, "v")),
    when=is_matrix,
    to=lambda m: diagonal(m, m(reciprocal, m["v"])),
    samples=[sample(lambda v: inverse(on_diagonal(v, axis1=0, axis2=1)), (3,))],
)


def are_inverse(m: Match, x: Any, y: Any) -> bool:
    """Whether one operand is the inverse of the other."""
    return is_inverse_of(m, x, y) or is_inverse_of(m, y, x)


def is_inverse_of(m: Match, x: Any, y: Any) -> bool:
    """Whether x is y⁻¹."""
    entry = made_by(m, x, inverse)
    if entry is not None:
        return same(m, entry.inputs[0], y)
    entry = made_by(m, x, permute_dims)
    inner = None if entry is None else made_by(m, entry.inputs[0], inverse)
    return inner is not None and same(m, turned(m, inner.inputs[0]), y)


identity(
    "A product with the inverse is the unit matrix.",
    (matrix_product, "a", "b"),
    when=lambda m: is_matrix(m) and are_inverse(m, m["a"], m["b"]),
    to=lambda m: unit(m, m.output.shape[0], m.output.dtype),
    samples=[
        sample(lambda a: matrix_product(a, inverse(a)), (3, 3)),
        sample(lambda a: matrix_product(transpose(inverse(a)), transpose(a)), (3, 3)),
    ],
)

identity(
    "A (A⁻¹ B) is B.",
    (matrix_product, "a", (matrix_product, "b", "c")),
    when=lambda m: is_matrix(m) and are_inverse(m, m["a"], m["b"]),
    to=lambda m: m["c"],
    samples=[sample(lambda a, b: matrix_product(a, matrix_product(inverse(a), b)), (3, 3), (3, 2))],
)

identity(
    "The determinant of the transpose is that of the matrix.",
    (det, (permute_dims, "x")),
    when=is_real,
    to=lambda m: m(det, m["x"]),
    samples=[sample(lambda x: det(transpose(x)), (3, 3))],
)
