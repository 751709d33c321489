"""Pieces of C text: types, literals, index expressions, and rows' expressions with operands in their places."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

C_TYPES = {
    "bool": "uint8_t",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
    "float32": "float",
    "float64": "double",
}
"""The dtypes that C computes with."""

MOVED = {"complex64": "float _Complex", "complex128": "double _Complex"}
"""The dtypes that C moves from one of the rows' own kernels to another."""

TOKEN = re.compile(r"\b(M|C|NAME)\(([^()]*)\)|\bT\b|\b(x[1-9]?)\b")
SUFFIX = {"float32": "f32", "float64": "f64"}


def c_type(dtype: Any) -> str:
    """The type of an element in memory."""
    return C_TYPES.get(dtype.name) or MOVED[dtype.name]


def value_type(dtype: Any) -> str:
    """The type of a value in a register."""
    return "_Bool" if dtype.kind == "b" else c_type(dtype)


def literal(value: Any, dtype: Any) -> str:
    """A number of this dtype, to the bit."""
    if dtype.kind == "b":
        return "1" if value else "0"
    if dtype.kind in "iu":
        number = int(value)
        if dtype.itemsize == 8:
            if number == -(2**63):
                return "(-INT64_C(9223372036854775807) - 1)"
            text = f"{'U' if dtype.kind == 'u' else ''}INT64_C({number})"
        else:
            text = str(number)
        return f"({text})" if number < 0 else text
    real = float(value)
    suffix = "f" if dtype.name == "float32" else ""
    if math.isnan(real):
        return f"({c_type(dtype)})NAN"
    if math.isinf(real):
        return f"({'-' if real < 0 else ''}({c_type(dtype)})INFINITY)"
    text = repr(real)
    if "." not in text and "e" not in text:
        text += ".0"
    return f"({text}{suffix})" if math.copysign(1.0, real) < 0 else f"{text}{suffix}"


def zero_of(fold: str, dtype: Any) -> str:
    """What a fold starts from."""
    if fold in ("sum", "any"):
        return literal(0, dtype)
    if fold in ("prod", "all"):
        return literal(1, dtype)
    if dtype.kind == "f":
        return literal(-np.inf if fold == "max" else np.inf, dtype)
    if dtype.kind == "b":
        return "0" if fold == "max" else "1"
    bounds = np.iinfo(dtype)
    return literal(bounds.min if fold == "max" else bounds.max, dtype)


def substituted(text: str, kind: Any, operands: Sequence[str]) -> str:
    """A row's expression for this dtype, in these operands."""
    float_suffix = "f" if kind.name == "float32" else ""

    def replaced(match: re.Match[str]) -> str:
        mark, inside, operand = match[1], match[2], match[3]
        if operand:
            return operands[int(operand[1:] or 1) - 1]
        if mark == "M":
            return f"{inside}{float_suffix}"
        if mark == "NAME":
            return f"{inside}_{SUFFIX[kind.name]}"
        if mark == "C":
            return f"{inside}{float_suffix}"
        return c_type(kind)

    return TOKEN.sub(replaced, text)


def index_text(offset: int, terms: Sequence[tuple[int, str]]) -> str:
    """offset + Σ stride · variable, without what is 0."""
    parts = [variable if stride == 1 else f"{stride} * {variable}" for stride, variable in terms if stride]
    if offset or not parts:
        parts.append(str(offset))
    return " + ".join(parts).replace("+ -", "- ")


def comment(text: str) -> str:
    """Text from elsewhere as it may stand in a comment: printable ASCII, without an end of the comment."""
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
