"""The cotangent kernels of elementwise rows: what the sweep calls when nobody records the sweep itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import kernels
from arrayad.elementwise import LARGE, Elementwise, minus_one, one
from arrayad.readers.emit import derivative_tape, numpy_function

Pull = Callable[[Any, tuple[Any, ...]], Any]


def pulls_of(row: Elementwise) -> list[Pull | None]:
    """For each operand of the row, a function of (cotangent, residuals), plain arrays; made once, at first use."""
    if row.pulls is None:
        row.pulls = [None if partial is None else pull_by(row, i) for i, partial in enumerate(row.partials)]
    return row.pulls


def pull_by(row: Elementwise, i: int) -> Pull:
    positions = row.positions[i]
    if row.partials[i] is one and not positions:
        return passed
    if row.partials[i] is minus_one:
        return negated
    name = f"{row.name}_vjp{i + 1}"
    small = numpy_function(derivative_tape(row, i), name)
    large = kernels.elementwise(name, small)
    if len(positions) == 1:
        (position,) = positions

        def pull(ct: Any, residuals: tuple[Any, ...]) -> Any:
            x = residuals[position]
            return small(ct, x) if ct.size < LARGE else large(ct, x)

    else:

        def pull(ct: Any, residuals: tuple[Any, ...]) -> Any:
            xs = [residuals[position] for position in positions]
            return small(ct, *xs) if ct.size < LARGE else large(ct, *xs)

    return pull


def passed(ct: Any, residuals: tuple[Any, ...]) -> Any:
    """The cotangent of a summand."""
    return ct


def negated(ct: Any, residuals: tuple[Any, ...]) -> Any:
    """The cotangent of a subtrahend."""
    return np.negative(ct)
