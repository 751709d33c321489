"""Emit an elementwise tape as a NumPy function or as the C statements of one element.

The reverse kernels of elementwise rows come from here: the product of cotangent and partial, traced, becomes one
function of plain arrays and one line of `csrc/ops.def`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.primitive import operand_names
from arrayad.shaped import Shaped, is_weak
from arrayad.tensor import Tensor
from arrayad.tracing import Tape, is_member, record

NAME = re.compile(r"\b(x[1-9]?)\b")


def names_of(tape: Tape) -> dict[Any, str]:
    """`x1`, `x2`, … for inputs and `w1`, `w2`, … for entries."""
    names = {entry: f"x{i}" for i, entry in enumerate(tape.inputs, 1)}
    names.update((entry, f"w{i}") for i, entry in enumerate(tape.entries, 1))
    return names


def numpy_lines(tape: Tape) -> tuple[list[str], dict[str, Any]]:
    """Python statements that call the rows' NumPy kernels in order and return the output; and the kernels, by name."""
    names = names_of(tape)
    kernels: dict[str, Any] = {}
    (output,) = tape.outputs
    lines = []
    for i, entry in enumerate(tape.entries):
        kernels[f"f{i}"] = entry.primitive.numpy
        operands = ", ".join(names[x.history] if is_member(x, tape) else literal(x) for x in entry.inputs)
        value = f"f{i}({operands})"
        lines.append(f"return {value}" if entry is output.history else f"{names[entry]} = {value}")
    return lines or [f"return {names[output.history]}"], kernels


def numpy_function(tape: Tape, name: str) -> Callable[..., Any]:
    """A Python function of plain arrays that computes what the tape does: the ufunc itself, where it is just one."""
    if len(tape.entries) == 1:
        (only,) = tape.entries
        if isinstance(only.primitive.numpy, np.ufunc) and only.parents == tuple(tape.inputs):
            return only.primitive.numpy
    lines, scope = numpy_lines(tape)
    parameters = ", ".join(f"x{i}" for i in range(1, len(tape.inputs) + 1))
    function = define(name, parameters, lines, scope)
    function.passes = sum(getattr(entry.primitive.numpy, "passes", 1) for entry in tape.entries)  # type: ignore[attr-defined]
    return function


def define(name: str, parameters: str, lines: list[str], scope: dict[str, Any]) -> Callable[..., Any]:
    """The Python function of these statements, over the names in `scope`."""
    exec("\n    ".join([f"def {name}({parameters}):", *lines]), scope)
    return scope[name]


def c_statements(tape: Tape) -> str | None:
    """C statements that compute one element and return it; None where a row has no C expression."""
    names = names_of(tape)
    (output,) = tape.outputs
    statements = []
    for entry in tape.entries:
        expression = c_expression(
            entry.primitive, [names[x.history] if is_member(x, tape) else c_literal(x) for x in entry.inputs]
        )
        if expression is None:
            return None
        if entry is output.history:
            statements.append(f"return {expression};")
        else:
            kind = "int" if entry.output.dtype.kind == "b" else "T"
            statements.append(f"{kind} {names[entry]} = {expression};")
    return " ".join(statements) if tape.entries else f"return {names[output.history]};"


def c_expression(primitive: Any, operands: list[str]) -> str | None:
    """The row's C text with these operands in the places of its own."""
    if primitive.c is None:
        return None
    places = dict(zip(operand_names(len(operands)), operands, strict=True))
    return NAME.sub(lambda match: places[match[0]], primitive.c)


def constant_of(x: Any) -> Any:
    """A constant operand as a Python number."""
    return x if is_weak(x) else x.value.item()


def literal(x: Any) -> str:
    """A constant operand in Python."""
    value = constant_of(x)
    return repr(value) if np.isfinite(value) else f"float('{value}')"


def c_literal(x: Any) -> str:
    """A constant operand in C."""
    value = float(constant_of(x))
    if np.isnan(value):
        return "(T)NAN"
    return f"C({value!r})" if np.isfinite(value) else f"(T){'-' if value < 0 else ''}INFINITY"


def derivative_tape(row: Elementwise, i: int, dtype: str = "float64") -> Tape:
    """The tape of cotangent times partial by operand i: inputs are the cotangent, then the residuals it takes."""
    positions = row.positions[i]

    def product(ct: Tensor, *residuals: Tensor) -> Any:
        values: list[Any] = [None] * (row.arity + 1)
        for position, residual in zip(positions, residuals, strict=True):
            values[position] = residual
        return row.factor(i, ct, tuple(values))

    operands = [Shaped((), dtype), *(Shaped((), row.residual_dtype(position, dtype)) for position in positions)]
    return record(product, operands)


def partial_tape(row: Elementwise, i: int) -> Tape:
    """The tape of the partial by operand i alone, its inputs all operands and then the output."""
    partial = row.partials[i]
    assert partial is not None

    def value(*residuals: Tensor) -> Any:
        return row.call_by_name(partial, residuals)

    return record(value, [Shaped((), "float64")] * (row.arity + 1))
