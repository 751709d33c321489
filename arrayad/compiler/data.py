"""Arrays as data of C: each bit survives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from arrayad.compiler.text import c_type, literal

COLUMNS = 100


def declared(name: str, array: Any) -> tuple[str, str]:
    """The definition of a static array with these elements, in C order, and the pointer to the first of them.

    Floating-point numbers are written in hexadecimal; where some are nan, or complex, as their bits, in a union.

    **Example**

    >>> declared("table", np.array([1.5, -0.0]))
    ('static const double table[2] = {\\n    0x1.8000000000000p+0, -0x0.0p+0,\\n};\\n', 'table')
    """
    array = np.ascontiguousarray(array)
    flat, kind = array.reshape(-1), c_type(array.dtype)
    if not flat.size:
        return f"static const {kind} {name}[1] = {{0}}; /* no elements */\n", name
    if array.dtype.kind == "c" or (array.dtype.kind == "f" and np.isnan(flat).any()):
        real = flat.view(np.dtype(f"f{array.dtype.itemsize // 2}")) if array.dtype.kind == "c" else flat
        bits = real.view(np.dtype(f"u{real.dtype.itemsize}"))
        width = real.dtype.itemsize * 8
        fields = f"uint{width}_t bits[{bits.size}];\n    {kind} elements[{flat.size}];"
        words = (f"UINT{width}_C({int(x):#x})" for x in bits)
        return f"static const union {{\n    {fields}\n}} {name} = {{{{\n{rows(words)}}}}};\n", f"{name}.elements"
    return f"static const {kind} {name}[{flat.size}] = {{\n{rows(elements(flat))}}};\n", name


def elements(flat: Any) -> Iterator[str]:
    """The elements of an array without nan."""
    if flat.dtype.kind != "f":
        return (literal(x, flat.dtype) for x in flat)
    suffix = "f" if flat.dtype.name == "float32" else ""
    return (f"{x.hex()}{suffix}" if np.isfinite(x) else "-INFINITY" if x < 0 else "INFINITY" for x in map(float, flat))


def rows(words: Iterator[str]) -> str:
    """Words behind each other, a comma after each, in lines."""
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > COLUMNS:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line, ""])
