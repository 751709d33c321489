"""Sums with zero, products with one, and powers of two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.primitives.arithmetic import absolute, add, divide, multiply, negative, square, subtract
from arrayad.primitives.broadcasting import broadcast_to, reduce_sum
from arrayad.primitives.casting import astype
from arrayad.primitives.exponential import exp, power
from arrayad.rewriting import Known, Match, rewrite, row_of, sample
from arrayad.tracing import aval_of

F4 = "float32"


def fitted(m: Match, x: Any) -> Any:
    """An operand of an elementwise operation in the dtype and the shape of the result."""
    if aval_of(x).dtype != m.output.dtype:
        x = m(astype, x, dtype=m.output.dtype)
    return m(broadcast_to, x, shape=m.output.shape)


def is_array(m: Match) -> bool:
    """Whether what remains is no Python number, and its cast to the result's dtype is what the operation would do."""
    return hasattr(m["x"], "shape") and m.output.dtype.kind != "O"


ONE = Known("one", lambda v: bool(v == 1) and not isinstance(v, bool | np.bool_))
MINUS_ONE = Known("one", lambda v: bool(v == -1))
PLUS_ZERO = Known("zero", lambda v: bool(v == 0) and not has_sign(v))
MINUS_ZERO = Known("zero", lambda v: bool(v == 0) and has_sign(v))


def has_sign(v: Any) -> bool:
    """Whether the sign bit of a number is set, or of its parts."""
    if isinstance(v, complex | np.complexfloating):
        return bool(np.signbit(v.real) or np.signbit(v.imag))
    return bool(np.signbit(v)) if isinstance(v, float | np.floating) else False


def is_float(v: Any) -> bool:
    return isinstance(v, float | np.floating)


def real_or_int(m: Match) -> bool:
    return is_array(m) and m.output.dtype.kind in "iuf"


rewrite(
    "A product with one, or a quotient by it.",
    (multiply, "x", ONE),
    (multiply, ONE, "x"),
    (divide, "x", ONE),
    when=real_or_int,
    to=lambda m: fitted(m, m["x"]),
    samples=[
        sample(lambda x: x * 1.0, (3,)),
        sample(lambda x: multiply(np.ones((2, 3), F4), x), (3,), dtypes=F4),
        sample(lambda x: x / 1, (2, 2), dtypes=F4),
    ],
)

rewrite(
    "A product with minus one, or a quotient by it.",
    (multiply, "x", MINUS_ONE),
    (multiply, MINUS_ONE, "x"),
    (divide, "x", MINUS_ONE),
    when=lambda m: is_array(m) and m.output.dtype.kind == "f",
    to=lambda m: m(negative, fitted(m, m["x"])),
    samples=[sample(lambda x: x * -1.0, (3,)), sample(lambda x: -1 * x, (2, 3), dtypes=F4)],
)

rewrite(
    "A difference to 0.0, or a sum with -0.0; that with 0.0 makes 0.0 of -0.0.",
    (subtract, "x", PLUS_ZERO),
    (add, "x", MINUS_ZERO),
    (add, MINUS_ZERO, "x"),
    when=real_or_int,
    to=lambda m: fitted(m, m["x"]),
    samples=[sample(lambda x: x - 0.0, (3,)), sample(lambda x: x + -0.0, (3,)), sample(lambda x: x - 0, (3,), dtypes="int64")],
)

rewrite(
    "A sum of integers with zero.",
    (add, "x", PLUS_ZERO),
    (add, PLUS_ZERO, "x"),
    when=lambda m: is_array(m) and m.output.dtype.kind in "iu",
    to=lambda m: fitted(m, m["x"]),
    samples=[sample(lambda x: x + 0, (3,), dtypes="int64")],
)


def never_minus_zero(m: Match, x: Any) -> bool:
    """Whether an operand has no -0.0: a sum that began with 0.0, a square, an exponential."""
    entry = m.graph.producer(x)
    if entry is None:
        return False
    if entry.primitive is row_of(add):
        numbers = [m.graph.uniform(y) for y in entry.inputs]
        return any(v is not None and v == 0 and not has_sign(v) for v in numbers)
    return entry.primitive in POSITIVE


POSITIVE = set(map(row_of, (reduce_sum, square, exp, absolute)))

rewrite(
    "A sum with 0.0 of what is never -0.0.",
    (add, "x", PLUS_ZERO),
    (add, PLUS_ZERO, "x"),
    when=lambda m: real_or_int(m) and never_minus_zero(m, m["x"]),
    to=lambda m: fitted(m, m["x"]),
    samples=[
        sample(lambda x: square(x) + 0.0, (3,)),
        sample(lambda x: (x + 0.0) + np.zeros(3), (3,)),
        sample(lambda x: 0.0 + reduce_sum(x, axis=(0,)), (3, 2), dtypes=F4),
    ],
)


def is_power_of_two(v: Any) -> bool:
    """Whether dividing by a number is multiplying by its reciprocal, which is neither subnormal nor infinite."""
    return is_float(v) and 1e-30 < abs(v) < 1e30 and math.frexp(v)[0] in (0.5, -0.5)


def reciprocal_of(m: Match) -> Any:
    """One over a power of two: a Python number where that was one."""
    c = 1.0 / float(m.number("c"))
    return c if isinstance(m["c"], float) else np.asarray(c, aval_of(m["c"]).dtype)


def in_its_dtype(m: Match) -> bool:
    return is_array(m) and m.output.dtype.kind == "f" and aval_of(m["x"]).dtype == m.output.dtype


rewrite(
    "A quotient by a power of two is a product.",
    (divide, "x", Known("c", is_power_of_two)),
    when=in_its_dtype,
    to=lambda m: m(multiply, m["x"], as_operand(reciprocal_of(m), m)),
    samples=[sample(lambda x: x / 8.0, (3,)), sample(lambda x: x / 0.25, (2, 2), dtypes=F4)],
)


def as_operand(c: Any, m: Match) -> Any:
    """A number as an operand."""
    return c if isinstance(c, float) else m.constant(c)


rewrite(
    "A product of an array with itself is a square.",
    (multiply, "x", "x"),
    when=lambda m: is_array(m) and m.output.dtype.kind in "iuf",
    to=lambda m: m(square, m["x"]),
    samples=[sample(lambda x: x * x, (3,)), sample(lambda x: x * x, (3,), dtypes=F4)],
)

rewrite(
    "The first power.",
    (power, "x", ONE),
    when=in_its_dtype,
    to=lambda m: fitted(m, m["x"]),
    samples=[sample(lambda x: power(x, 1.0), (3,))],
)

rewrite(
    "The second power is a square, rounded correctly as the power need not be.",
    (power, "x", Known("c", lambda v: bool(v == 2))),
    when=in_its_dtype,
    to=lambda m: fitted(m, m(square, m["x"])),
    samples=[sample(lambda x: power(x, 2.0), (3,))],
    reorders=True,
)


def inner_zero(m: Match) -> Any:
    """The operands with the sum with 0.0 replaced by what it adds to."""
    (inner,) = m.inner
    operands = [m["x"] if m.graph.producer(y) is inner else y for y in m.inputs]
    return m(add, m(m.row, *operands), 0.0)


rewrite(
    "In a sum 0.0 is added last: a + (x + 0.0) is (a + x) + 0.0, and (x + 0.0) - a likewise.",
    (add, (add, "x", PLUS_ZERO), "a"),
    (add, "a", (add, "x", PLUS_ZERO)),
    (subtract, (add, "x", PLUS_ZERO), "a"),
    when=lambda m: (
        m.output.dtype.kind == "f"
        and m.graph.is_alone(m.inner[0])
        and not is_constant_number(m, m["a"])
        and all(aval_of(m[name]).dtype == m.output.dtype for name in ("x", "a"))
    ),
    to=inner_zero,
    samples=[
        sample(lambda x, y: y + (x + 0.0), (3,), (2, 3)),
        sample(lambda x, y: (x + 0.0) - y, (3,), (3,), dtypes=F4),
    ],
)


def is_constant_number(m: Match, x: Any) -> bool:
    return m.graph.uniform(x) is not None


def in_order(m: Match) -> Any:
    """The operands in their usual order: constants last in sums, first in products; else the older first."""
    x, y = m.inputs
    one, other = is_known(x), is_known(y)
    if one == other:
        return None if one or x.history.serial <= y.history.serial else m(m.row, y, x)
    return m(m.row, y, x) if one == (m.row is row_of(add)) else None


def is_known(x: Any) -> bool:
    return not hasattr(x, "history") or x.history is None


IN_ORDER = rewrite(
    "The operands of sums and products in their usual order, in which equal ones are found.",
    (add, "x", "y"),
    (multiply, "x", "y"),
    when=lambda m: m.output.dtype.kind in "iuf",
    to=in_order,
    samples=[sample(lambda x: x * 3.0, (3,)), sample(lambda x, y: y + x, (3,), (3,), dtypes=F4)],
)

rewrite(
    "Equal terms of a sum are one.",
    (add, "x", "x"),
    when=lambda m: m.output.dtype.kind == "f" and is_array(m),
    to=lambda m: m(multiply, 2.0, m["x"]),
    samples=[sample(lambda x: x + x, (3,))],
)
