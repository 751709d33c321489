"""The cotangent kernels of elementwise rows: what the sweep calls when nobody records the sweep itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import kernels
from arrayad.elementwise import Elementwise, minus_one, one
from arrayad.primitive import OUTPUT
from arrayad.readers.emit import define, derivative_tape, numpy_function, numpy_lines

Pull = Callable[[Any, tuple[Any, ...]], Any]


def pulls_of(row: Elementwise) -> list[Pull | None]:
    """For each operand of the row, a function of (cotangent, residuals), plain arrays; made once, at first use."""
    if row.pulls is None:
        row.pulls = [None if partial is None else pull_by(row, i) for i, partial in enumerate(row.partials)]
    return row.pulls


def pull_by(row: Elementwise, i: int) -> Pull:
    """The kernel by operand i: one Python function, written for the row, of NumPy calls for small arrays."""
    positions = row.positions[i]
    if row.partials[i] is one and not positions:
        return passed
    if row.partials[i] is minus_one:
        return negated
    tape, name = derivative_tape(row, i), f"{row.name}_vjp{i + 1}"
    large = kernels.elementwise(name, numpy_function(tape, name))
    lines, scope = numpy_lines(tape)
    places = [position if position != OUTPUT else row.arity for position in positions]
    unpacked = [f"x{k} = residuals[{place}]" for k, place in enumerate(places, 2)]
    operands = ", ".join(f"x{k}" for k in range(1, len(places) + 2))
    choice = f"if x1.size >= threshold: return large({operands})"
    scope |= {"large": large, "threshold": large.threshold}
    return define(name, "x1, residuals", [*unpacked, choice, *lines], scope)


def passed(ct: Any, residuals: tuple[Any, ...]) -> Any:
    """The cotangent of a summand."""
    return ct


def negated(ct: Any, residuals: tuple[Any, ...]) -> Any:
    """The cotangent of a subtrahend."""
    return np.negative(ct)
