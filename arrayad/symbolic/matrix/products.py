"""Products of matrices: written from the right, with numbers in front and divisors behind."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.primitives.arithmetic import add, divide, multiply, negative, reciprocal, square, subtract
from arrayad.primitives.exponential import power
from arrayad.primitives.linear_algebra import matrix_product
from arrayad.primitives.shape import reshape
from arrayad.rewriting import Known, Match, sample
from arrayad.shaped import is_weak
from arrayad.symbolic.matrix.parts import (
    ANY,
    diagonal_number,
    filled,
    identity,
    is_matrix,
    is_real,
    is_scalar,
    known,
    number,
    product,
    scalar,
    scaled,
    shape_of,
)
from arrayad.tracing import aval_of

# --- numbers in products ---------------------------------------------------------------------------------------------------

identity(
    "(A B) C is A (B C).",
    (matrix_product, (matrix_product, "a", "b"), "c"),
    when=is_matrix,
    to=lambda m: product(m, m["a"], m["b"], m["c"]),
    samples=[sample(lambda a, b, c: matrix_product(matrix_product(a, b), c), (2, 3), (3, 4), (4, 2))],
)

identity(
    "A number stands in front of a product.",
    (matrix_product, (multiply, "s", "a"), "b"),
    (matrix_product, "a", (multiply, "s", "b")),
    when=lambda m: is_matrix(m) and is_scalar(m, m["s"]),
    to=lambda m: m(multiply, m["s"], product(m, m["a"], m["b"])),
    samples=[
        sample(lambda a, b: matrix_product(2.0 * a, b), (2, 3), (3, 4)),
        sample(lambda a, b, s: matrix_product(a, s * b), (2, 3), (3, 4), ()),
    ],
)

identity(
    "A divisor stands behind a product, a minus sign in front.",
    (matrix_product, (divide, "a", "s"), "b"),
    (matrix_product, "a", (divide, "b", "s")),
    (matrix_product, (negative, "a"), "b"),
    (matrix_product, "a", (negative, "b")),
    when=lambda m: is_matrix(m) and ("s" not in m.named or is_scalar(m, m["s"])),
    to=lambda m: m(m.inner[0].primitive, product(m, m["a"], m["b"]), *([m["s"]] if "s" in m.named else [])),
    samples=[
        sample(lambda a, b, s: matrix_product(a / s, b), (2, 3), (3, 4), ()),
        sample(lambda a, b: matrix_product(a, -b), (2, 3), (3, 4)),
    ],
)


def is_one(x: Any) -> bool:
    return aval_of(x).size == 1


def number_in_front(m: Match) -> Any:
    """The product with a matrix of one element, as a number times the other factor."""
    a, b = m["a"], m["b"]
    if is_one(a) and is_one(b):
        return m(reshape, m(multiply, scalar(m, a), scalar(m, b)), shape=(1, 1))
    return m(multiply, scalar(m, b), a) if is_one(b) else m(multiply, scalar(m, a), b)


identity(
    "A factor of one element is a number.",
    (matrix_product, "a", "b"),
    when=lambda m: is_matrix(m) and (is_one(m["a"]) or is_one(m["b"])),
    to=number_in_front,
    samples=[
        sample(lambda a, b: matrix_product(a, b), (3, 1), (1, 1)),
        sample(lambda a, b: matrix_product(a, b), (1, 1), (1, 3)),
    ],
)


def number_first(m: Match) -> Any:
    """A product of elements with a number as the first factor, and that a Python number."""
    x, y = m.inputs
    c, d = number(m, x), number(m, y)
    if d is not None and c is None and shape_of(x) == m.output.shape:
        return scaled(m, d, x)
    if c is not None and d is None and not is_weak(x) and shape_of(y) == m.output.shape:
        return scaled(m, c, y)
    if c is None and d is None and shape_of(y) == () != shape_of(x):
        return m(multiply, y, x)
    return None


identity(
    "The numbers in a product of elements stand in front.",
    (multiply, "x", "y"),
    when=is_real,
    to=number_first,
    samples=[sample(lambda x: x * 2.5, (2, 3)), sample(lambda x, s: x * s, (2, 3), ())],
)

identity(
    "A constant number stands in front of other numbers: s (c x) is c (s x), and (c s) x too.",
    (multiply, "s", (multiply, ANY, "x")),
    (multiply, (multiply, ANY, "s"), "x"),
    when=lambda m: is_real(m) and number(m, m["s"]) is None and is_scalar(m, m["c"]) and shape_of(m["x"]) == m.output.shape,
    to=lambda m: scaled(m, float(m.number("c")), m(multiply, m["s"], m["x"])),
    samples=[
        sample(lambda x, s: s * (2.0 * x), (2, 3), ()),
        sample(lambda x, y: y * (2.0 * x), (2, 3), (2, 3)),
        sample(lambda x, s: (2.0 * s) * x, (2, 3), ()),
    ],
)

identity(
    "Numbers in front of a product are one number.",
    (multiply, "s", (multiply, "t", "x")),
    when=lambda m: (
        is_real(m)
        and shape_of(m["s"]) == shape_of(m["t"]) == () != shape_of(m["x"])
        and number(m, m["s"]) is None
        and number(m, m["t"]) is None
    ),
    to=lambda m: m(multiply, m(multiply, m["s"], m["t"]), m["x"]),
    samples=[sample(lambda x, s, t: s * (t * x), (2, 3), (), ())],
)

identity(
    "y times c / x is c (y / x).",
    (multiply, (divide, ANY, "x"), "y"),
    (multiply, "y", (divide, ANY, "x")),
    when=lambda m: is_real(m) and shape_of(m["x"]) == shape_of(m["y"]) == m.output.shape and number(m, m["y"]) is None,
    to=lambda m: scaled(m, float(m.number("c")), m(divide, m["y"], m["x"])),
    samples=[sample(lambda x, y: y * (3.0 / x), (2, 3), (2, 3))],
)

identity(
    "A quotient by a constant number is a product.",
    (divide, "x", ANY),
    when=lambda m: is_real(m) and shape_of(m["x"]) == m.output.shape and float(m.number("c")) != 0,
    to=lambda m: scaled(m, 1.0 / float(m.number("c")), m["x"]),
    samples=[sample(lambda x: x / 3.0, (2, 3))],
)

identity(
    "Two constant numbers in a product are one.",
    (multiply, ANY, (multiply, Known("d", lambda v: True), "x")),
    when=lambda m: is_real(m) and shape_of(m["x"]) == m.output.shape,
    to=lambda m: scaled(m, float(m.number("c")) * float(m.number("d")), m["x"]),
    samples=[sample(lambda x: 3.0 * (2.0 * x), (3, 2))],
)

identity(
    "A factor of a quotient by a number is one of its numerator; a constant stands in front of it.",
    (multiply, "s", (divide, "x", "t")),
    (multiply, (divide, "s", "t"), "x"),
    when=lambda m: is_real(m) and shape_of(m["t"]) == () and number(m, m["s"]) is None and shape_of(m["x"]) == m.output.shape,
    to=lambda m: m(divide, m(multiply, m["s"], m["x"]), m["t"]),
    samples=[
        sample(lambda x, s, t: s * (x / t), (2, 3), (), ()),
        sample(lambda x, s, t: (s / t) * x, (2, 3), (), ()),
    ],
)

identity(
    "A constant factor of a numerator stands in front of the quotient.",
    (divide, (multiply, ANY, "x"), "t"),
    when=lambda m: is_real(m) and shape_of(m["x"]) == m.output.shape,
    to=lambda m: scaled(m, float(m.number("c")), m(divide, m["x"], m["t"])),
    samples=[sample(lambda x, t: (2.0 * x) / t, (2, 3), ())],
)

identity(
    "A quotient of a quotient is one by the product.",
    (divide, (divide, "x", "s"), "t"),
    when=lambda m: is_real(m) and shape_of(m["s"]) == shape_of(m["t"]),
    to=lambda m: m(divide, m["x"], m(multiply, m["s"], m["t"])),
    samples=[sample(lambda x, s, t: (x / s) / t, (2, 3), (), ())],
)

identity(
    "A numerator and a divisor lose a common factor.",
    (divide, (multiply, "s", "x"), (square, "s")),
    (divide, (multiply, "s", "x"), (multiply, "s", "t")),
    (divide, (multiply, "s", "x"), (multiply, "t", "s")),
    when=lambda m: is_real(m) and shape_of(m["s"]) == () and shape_of(m["x"]) == m.output.shape,
    to=lambda m: m(divide, m["x"], m["t"] if "t" in m.named else m["s"]),
    samples=[
        sample(lambda x, s: (s * x) / square(s), (2, 3), ()),
        sample(lambda x, s, t: (s * x) / (s * t), (2, 3), (), ()),
    ],
)

identity(
    "The square of a reciprocal is the reciprocal of the square.",
    (square, (reciprocal, "x")),
    when=is_real,
    to=lambda m: m(reciprocal, m(square, m["x"])),
    samples=[sample(lambda x: square(reciprocal(x)), (2, 3))],
)

identity(
    "Products of powers of a number are powers.",
    (multiply, "x", (square, "x")),
    (multiply, (square, "x"), "x"),
    when=is_real,
    to=lambda m: m(power, m["x"], 3.0),
    samples=[sample(lambda x: x * square(x), (3, 2))],
)

identity(
    "The square of a square, and of a multiple.",
    (square, (square, "x")),
    (square, (multiply, ANY, "x")),
    when=lambda m: is_real(m) and shape_of(m["x"]) == m.output.shape,
    to=lambda m: scaled(m, float(m.number("c")) ** 2, m(square, m["x"])) if "c" in m.named else m(power, m["x"], 4.0),
    samples=[sample(lambda x: square(square(x)), (2, 3)), sample(lambda x: square(2.0 * x), (2, 3))],
)

identity(
    "x / |x| times |x| is x: a product with the divisor.",
    (multiply, "s", (divide, "x", "s")),
    (multiply, (divide, "x", "s"), "s"),
    when=lambda m: is_real(m) and shape_of(m["x"]) == m.output.shape,
    to=lambda m: m["x"],
    samples=[sample(lambda x, s: s * (x / s), (3, 2), ())],
)


# --- constant matrices -----------------------------------------------------------------------------------------------

identity(
    "A product with a multiple of the unit matrix is that multiple.",
    (matrix_product, "a", "b"),
    when=lambda m: (
        is_matrix(m)
        and (diagonal_number(m["a"]) is not None or diagonal_number(m["b"]) is not None)
        and known(m["a"]) is not known(m["b"])
    ),
    to=lambda m: (
        scaled(m, c, m["b"]) if (c := diagonal_number(m["a"])) is not None else scaled(m, diagonal_number(m["b"]) or 0.0, m["a"])
    ),
    samples=[
        sample(lambda a: matrix_product(a, 2.0 * np.eye(3)), (2, 3)),
        sample(lambda a: matrix_product(np.eye(3), a), (3, 2)),
    ],
)


def with_ones(m: Match) -> Any:
    """The number of a constant factor in front of the product with ones; nothing of zeros is zeros."""
    factors, c = [], 1.0
    for x in m.inputs:
        found = number(m, x)
        c *= 1.0 if found is None else found
        factors.append(x if found is None else filled(m, shape_of(x), dtype=m.output.dtype))
    return filled(m, m.output.shape, 0.0, m.output.dtype) if c == 0 else scaled(m, c, product(m, *factors))


OTHER = Known("constant", lambda v: isinstance(v, np.floating) and v != 1)

identity(
    "A product with a constant matrix of one number is that number times the product with ones.",
    (matrix_product, OTHER, "x"),
    (matrix_product, "x", OTHER),
    when=is_matrix,
    to=with_ones,
    samples=[
        sample(lambda x: matrix_product(np.full((2, 3), 0.5), x), (3, 4)),
        sample(lambda x: matrix_product(x, np.zeros((4, 2))), (3, 4)),
    ],
)

identity(
    "A product with the number zero is zero.",
    (multiply, Known("zero", lambda v: v == 0), "x"),
    (multiply, "x", Known("zero", lambda v: v == 0)),
    when=is_real,
    to=lambda m: filled(m, m.output.shape, 0.0, m.output.dtype),
    samples=[sample(lambda x: 0.0 * x, (2, 3))],
)


def ones_over_sum(m: Match) -> Any:
    """A row or a column of ones times a sum with a number in each element."""
    (inner,) = m.inner
    places = [i for i, x in enumerate(inner.inputs) if shape_of(x) == ()]
    if number(m, m["a"]) is None or len(places) != 1:
        return None
    s, x = inner.inputs[places[0]], inner.inputs[1 - places[0]]
    times = product(m, m["a"], filled(m, inner.output.shape, dtype=m.output.dtype))
    parts = [product(m, m["a"], x), m(multiply, s, times)]
    return m(inner.primitive, *(reversed(parts) if places[0] == 0 else parts))


identity(
    "The sum of the elements of a vector to which a number was added.",
    (matrix_product, "a", (add, "x", "y")),
    (matrix_product, "a", (subtract, "x", "y")),
    when=lambda m: is_matrix(m) and shape_of(m["a"])[0] == 1 == m.inner[0].output.shape[1],
    to=ones_over_sum,
    samples=[sample(lambda x, s: matrix_product(np.ones((1, 3)), x - s), (3, 1), ())],
)
