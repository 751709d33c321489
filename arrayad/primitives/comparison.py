"""Comparisons, logic, and tests of elements.  Their results are booleans, which have no derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.elementwise import elementwise
from arrayad.primitive import Operation
from arrayad.samples import Samples

FIELD = Samples(complex=True)
BOOLS = Samples(dtypes={0: "bool", 1: "bool"})


def comparison(name: str, doc: str, numpy: Callable[..., Any], sign: str, latex: str, operator: str) -> Operation:
    return elementwise(
        name,
        doc,
        numpy=numpy,
        c=f"x1 {sign} x2",
        partials=(None, None),
        latex=f"{{x1}} {latex} {{x2}}",
        text=f"{{x1}} {sign} {{x2}}",
        mpmath=f"x1 {sign} x2",
        samples=FIELD,
        operator=operator,
    )


equal = comparison("equal", """Whether the elements are equal.""", np.equal, "==", "=", "eq")
not_equal = comparison("not_equal", """Whether the elements differ.""", np.not_equal, "!=", r"\ne", "ne")
less = comparison("less", """Whether the first element is the smaller.""", np.less, "<", "<", "lt")
less_equal = comparison("less_equal", """Whether the first element is not the larger.""", np.less_equal, "<=", r"\le", "le")
greater = comparison("greater", """Whether the first element is the larger.""", np.greater, ">", ">", "gt")
greater_equal = comparison(
    "greater_equal", """Whether the first element is not the smaller.""", np.greater_equal, ">=", r"\ge", "ge"
)


def logic(name: str, doc: str, numpy: Callable[..., Any], arity: int, samples: Samples = BOOLS, **columns: Any) -> Operation:
    return elementwise(name, doc, numpy=numpy, partials=(None,) * arity, samples=samples, **columns)


logical_and = logic(
    "logical_and", """Whether both elements are true.""", np.logical_and, 2, c="x1 && x2", mpmath="bool(x1 and x2)"
)
logical_or = logic("logical_or", """Whether either element is true.""", np.logical_or, 2, c="x1 || x2", mpmath="bool(x1 or x2)")
logical_xor = logic("logical_xor", """Whether exactly one element is true.""", np.logical_xor, 2, mpmath="bool(x1) != bool(x2)")
logical_not = logic("logical_not", """Whether the element is false.""", np.logical_not, 1, c="!x", mpmath="not x")

INTEGERS = Samples(low=0, high=9, dtypes={0: "int64", 1: "int64"})

bitwise_and = logic("bitwise_and", """The bits that both elements have.""", np.bitwise_and, 2, INTEGERS, operator="and")
bitwise_or = logic("bitwise_or", """The bits that either element has.""", np.bitwise_or, 2, INTEGERS, operator="or")
bitwise_xor = logic("bitwise_xor", """The bits that exactly one element has.""", np.bitwise_xor, 2, INTEGERS, operator="xor")
bitwise_invert = logic(
    "bitwise_invert", """Each element with all bits inverted.""", np.bitwise_not, 1, INTEGERS, operator="invert"
)
bitwise_left_shift = logic(
    "bitwise_left_shift", """The bits of `x1` moved up by `x2` places.""", np.left_shift, 2, INTEGERS, operator="lshift"
)
bitwise_right_shift = logic(
    "bitwise_right_shift", """The bits of `x1` moved down by `x2` places.""", np.right_shift, 2, INTEGERS, operator="rshift"
)

isnan = logic("isnan", """Whether the element is nan.""", np.isnan, 1, FIELD, mpmath="mp.isnan(x)")
isinf = logic("isinf", """Whether the element is infinite.""", np.isinf, 1, FIELD, mpmath="mp.isinf(x)")
isfinite = logic(
    "isfinite", """Whether the element is neither nan nor infinite.""", np.isfinite, 1, FIELD, mpmath="mp.isfinite(x)"
)
signbit = logic(
    "signbit", """Whether the sign bit of the element is set, as in -0.0.""", np.signbit, 1, Samples(), mpmath="x < 0"
)
