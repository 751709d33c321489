"""Minus signs: pairs of them go, single ones go outwards and into sums.  Rounding is symmetric, so that the bits stay.

Not so where a sum may be zero, whose sign does not turn: -(a - b) is not b - a where a = b.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.primitives.arithmetic import absolute, add, divide, multiply, negative, square, subtract
from arrayad.rewriting import Known, Match, rewrite, sample
from arrayad.tracing import aval_of

F4 = "float32"


def real(m: Match) -> bool:
    """Whether operands and result are real floats, or Python's numbers."""
    return m.output.dtype.kind == "f" and all(getattr(aval_of(x), "dtype", m.output.dtype).kind == "f" for x in m.named.values())


rewrite(
    "negative(negative(x)) is x.",
    (negative, (negative, "x")),
    to=lambda m: m["x"],
    samples=[sample(lambda x: negative(negative(x)), (3,)), sample(lambda x: negative(negative(x)), (3,), dtypes="int64")],
)

rewrite(
    "a + (-b) is a - b.",
    (add, "a", (negative, "b")),
    (add, (negative, "b"), "a"),
    when=real,
    to=lambda m: m(subtract, m["a"], m["b"]),
    samples=[
        sample(lambda a, b: a + (-b), (3,), (2, 3)),
        sample(lambda a, b: (-b) + a, (3,), (3,), dtypes=F4),
        sample(lambda a: 2.0 + (-a), (3,), dtypes=F4),
    ],
)

rewrite(
    "a - (-b) is a + b.",
    (subtract, "a", (negative, "b")),
    when=real,
    to=lambda m: m(add, m["a"], m["b"]),
    samples=[sample(lambda a, b: a - (-b), (3,), (2, 3))],
)

rewrite(
    "(-a) · b is -(a · b), and so with quotients.",
    (multiply, (negative, "a"), "b"),
    (multiply, "a", (negative, "b")),
    when=lambda m: real(m) and not isinstance(m["b"], float) and not isinstance(m["a"], float),
    to=lambda m: m(negative, m(multiply, m["a"], m["b"])),
    samples=[sample(lambda a, b: (-a) * b, (3,), (3,)), sample(lambda a, b: a * (-b), (3,), (2, 3), dtypes=F4)],
)

rewrite(
    "(-a) / b and a / (-b) are -(a / b).",
    (divide, (negative, "a"), "b"),
    (divide, "a", (negative, "b")),
    when=real,
    to=lambda m: m(negative, m(divide, m["a"], m["b"])),
    samples=[sample(lambda a, b: (-a) / b, (3,), (3,)), sample(lambda a, b: a / (-b), (3,), (3,))],
)


def turned(m: Match) -> Any:
    """The constant with the other sign."""
    c = m["c"]
    return -c if isinstance(c, float | int) else m.constant(np.negative(c.value))


def turns(v: Any) -> bool:
    """Whether a number changes its sign exactly: no boolean, no unsigned or smallest integer."""
    return isinstance(v, float | np.floating) or (v.__class__ is int and v != 0)


C = Known("c", turns)

rewrite(
    "-(x · c), or (-x) · c, with a constant c is x · (-c).",
    (negative, (multiply, "x", C)),
    (negative, (multiply, C, "x")),
    (multiply, (negative, "x"), C),
    (multiply, C, (negative, "x")),
    when=real,
    to=lambda m: m(multiply, m["x"], turned(m)),
    samples=[
        sample(lambda x: -(x * 3.0), (3,)),
        sample(lambda x: -(0.1 * x), (3,), dtypes=F4),
        sample(lambda x: (-x) * np.float32(0.1), (3,), dtypes=F4),
    ],
)

rewrite(
    "The square, and the absolute value, of -x are those of x.",
    (square, (negative, "x")),
    (absolute, (negative, "x")),
    when=real,
    to=lambda m: m(m.row, m["x"]),
    samples=[sample(lambda x: square(-x), (3,)), sample(lambda x: absolute(-x), (3,))],
)
