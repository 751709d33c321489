"""Elementwise rows: their C expressions for each kind of number."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from arrayad.compiler.ir import Constant, Read, Uniform
from arrayad.compiler.lower import RULES, Builder, rule
from arrayad.compiler.text import C_TYPES, SUFFIX
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE
from arrayad.shaped import is_weak

WHOLE_NUMBERS = {
    "floor_divide": "(x2 == 0 ? 0 : x1 / x2 - (x1 % x2 != 0 && (x1 < 0) != (x2 < 0)))",
    "remainder": "(x2 == 0 ? 0 : x1 % x2 + (x1 % x2 != 0 && (x1 < 0) != (x2 < 0) ? x2 : 0))",
    "abs": "(x < 0 ? -x : x)",
    "sign": "((x > 0) - (x < 0))",
    "maximum": "(x1 >= x2 ? x1 : x2)",
    "minimum": "(x1 <= x2 ? x1 : x2)",
    "at_least": "(x1 >= x2 ? x1 : x2)",
    "at_most": "(x1 <= x2 ? x1 : x2)",
    "relu": "(x > 0 ? x : 0)",
    "bitwise_and": "x1 & x2",
    "bitwise_or": "x1 | x2",
    "bitwise_xor": "x1 ^ x2",
    "bitwise_invert": "~x",
    "logical_xor": "!x1 != !x2",
    "isfinite": "(x, 1)",
    "bitwise_left_shift": "((uint64_t)x2 < 8 * sizeof(T) ? (T)((uint64_t)x1 << x2) : 0)",
    "bitwise_right_shift": "((uint64_t)x2 < 8 * sizeof(T) ? x1 >> x2 : x1 < 0 ? -1 : 0)",
    "floor": "x",
    "ceil": "x",
    "trunc": "x",
    "rint": "x",
}
"""The C text of rows for integers, where theirs is for floating-point numbers."""

TRUTHS = {
    "add": "x1 || x2",
    "multiply": "x1 && x2",
    "bitwise_and": "x1 && x2",
    "bitwise_or": "x1 || x2",
    "bitwise_xor": "!x1 != !x2",
    "bitwise_invert": "!x",
    "logical_xor": "!x1 != !x2",
    "maximum": "x1 || x2",
    "minimum": "x1 && x2",
}
"""The same for booleans."""

ANY_TYPE = {
    "logical_xor": "!x1 != !x2",
    "isnan": "x != x",
    "isinf": "x - x != C(0.0) && x == x",
    "isfinite": "x - x == C(0.0)",
    "signbit": "signbit(x) != 0",
    "sinc": "NAME(sinc)(x)",
    "erfinv": "NAME(erfinv)(x)",
    "lgamma": "NAME(log_gamma)(x)",
    "digamma": "NAME(digamma)(x)",
    "i0": "NAME(i0)(x)",
    "i1": "NAME(i1)(x)",
}
"""The C text of rows that have none of their own."""

UNSIGNED_REFUSED = {"floor_divide", "remainder"}


def text_of(row: Any, kind: Any) -> str | None:
    """The C expression of a row in operands of this dtype; None where there is none."""
    if kind.name not in C_TYPES:
        return None
    if kind.kind == "b":
        return TRUTHS.get(row.name) or (row.c if row.c and "(" not in row.c.replace("(x1 ? x2 : x3)", "") else None)
    if kind.kind in "iu":
        found = WHOLE_NUMBERS.get(row.name)
        if found is not None:
            return found
        if row.name in ("isnan", "isinf"):
            return "(x, 0)"
        return row.c if row.c and not any(mark in row.c for mark in ("M(", "NAME(", "C(")) else None
    return row.c or ANY_TYPE.get(row.name)


def elementwise(builder: Builder, entry: Any, *operands: Any) -> Read | None:
    row, out = entry.primitive, entry.output.dtype
    types = [x if is_weak(x) else x.node.dtype for x in operands]
    if any(not is_weak(t) and t.name not in C_TYPES for t in types) or any(t.__class__ is complex for t in types):
        return None
    chosen = types[1:] if row.name == "where" else types
    kind = out
    if out.kind == "b":
        kind = np.result_type(*chosen)
    text = text_of(row, np.dtype(kind))
    if text is None:
        return None
    reads = [builder.number(x, kind) if is_weak(x) else x for x in operands]
    if row.name == "where":
        reads[0] = condition_of(builder, operands[0])
    found = builder.map(row.name, text, kind, reads, out)
    return found if found.view.shape == entry.output.shape else builder.broadcast(found, entry.output.shape)


def condition_of(builder: Builder, x: Any) -> Read:
    """A condition, of one byte an element where it is known."""
    if is_weak(x):
        return builder.number(bool(x), np.bool_)
    if isinstance(x.node, Constant) and x.node.dtype.kind != "b":
        return Read(Constant(x.node.array != 0), x.view)
    return x


RULES.update({row: elementwise for row in TABLE.values() if isinstance(row, Elementwise)})


@rule("astype")
def cast(builder: Builder, entry: Any, x: Read, *, dtype: Any) -> Read | None:
    target = np.dtype(dtype)
    if target == x.node.dtype:
        return x
    if target.name not in C_TYPES or x.node.dtype.name not in C_TYPES:
        return None
    if target.kind == "b":
        return builder.as_bool(x)
    return builder.map("astype", "x", target, [x], target)


@rule("real")
def real(builder: Builder, entry: Any, x: Read) -> Read | None:
    return None if x.node.dtype.kind == "c" else x


@rule("imag")
def imag(builder: Builder, entry: Any, x: Read) -> Read | None:
    if x.node.dtype.kind == "c":
        return None
    return builder.broadcast(builder.number(0, entry.output.dtype), entry.output.shape)


@rule("magnitude")
def magnitude(builder: Builder, entry: Any, x: Read) -> Read | None:
    """That of real numbers, as abs."""
    dtype = x.node.dtype
    text = text_of(TABLE["abs"], dtype)
    if text is None or entry.output.dtype != dtype:
        return None
    return builder.map("abs", text, dtype, [x], dtype)


class OfOrder(NamedTuple):
    """The texts of a row whose first operand is an order: of orders 0 and 1, and of any other up to `most`."""

    first: str
    second: str
    any: str
    most: int

    def text(self, order: int) -> str | None:
        """The C expression of this order; None where there is none."""
        if order in (0, 1):
            return self.second if order else self.first
        return self.any.format(order) if 0 <= order <= self.most and order == int(order) else None


OF_ORDER = {
    "sinc_derivative": OfOrder("NAME(sinc)(x)", "NAME(sinc_slope)(x)", "NAME(sinc_derivative)({:.0f}, x)", 150),
    "polygamma": OfOrder("NAME(digamma)(x)", "NAME(trigamma)(x)", "NAME(polygamma)({:.0f}, x)", 150),
    "bessel_i": OfOrder("NAME(i0)(x)", "NAME(i1)(x)", "NAME(bessel_i)({:.0f}, x)", 80),
}
"""The rows whose first operand is an order."""


@rule(*OF_ORDER)
def of_order(builder: Builder, entry: Any, order: Any, x: Any) -> Read | None:
    """Where the order is known."""
    if isinstance(order, Read) and isinstance(order.node, Uniform):
        order = order.node.value
    dtype = entry.output.dtype
    if isinstance(order, Read) or is_weak(x) or dtype.name not in SUFFIX:
        return None
    text = OF_ORDER[entry.primitive.name].text(order)
    if text is None:
        return None
    return builder.broadcast(builder.map(entry.primitive.name, text, dtype, [x], dtype), entry.output.shape)


@rule("identity", "stop_gradient", "conj")
def same(builder: Builder, entry: Any, x: Read) -> Read | None:
    return None if entry.primitive.name == "conj" and x.node.dtype.kind == "c" else x
