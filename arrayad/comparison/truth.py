"""What the ways are compared with: the derivative to 50 digits, or as many as differences give where that cannot be had."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from arrayad.arbitrary import context, number
from arrayad.comparison.problem import Array, Problem
from arrayad.numerical import jacobian as differences
from arrayad.numerical import reference
from arrayad.transforms import jacobian

DIGITS = 50
"""So many digits of the reference are right, and no more are spoken of."""


class Truth(NamedTuple):
    """The Jacobian as a matrix of mpmath's numbers, or of floats, and how many of its digits are right.

    `kinks` says where the derivatives of the two sides differ; `agreement` to how many digits automatic differentiation in
    arbitrary precision agrees with the matrix, by mode; `why` why there are no 50 digits.
    """

    matrix: Array
    digits: Array
    kinks: Array
    method: str
    agreement: dict[str, float]
    why: str = ""


def truth(problem: Problem) -> Truth:
    """The Jacobian to 50 digits by differences of values alone; where the function cannot compute so, by extrapolated ones."""
    try:
        found = reference(problem, problem.chosen, digits=DIGITS)
    except Exception as error:  # whatever a program of the user's raises on mpmath's numbers is a reason
        return extrapolated(problem, reason(error))
    matrix = problem.matrix(found.derivative)
    kinks = problem.matrix(found.kinks).astype(bool)
    digits = np.full(matrix.shape, float(DIGITS))
    method = f"central differences of values alone, in {3 * DIGITS} digits"
    return Truth(matrix, digits, kinks, method, agreement(problem, matrix, kinks))


def extrapolated(problem: Problem, why: str) -> Truth:
    """The Jacobian by differences extrapolated to the step 0, with as many digits as their estimated error leaves."""
    found = differences(problem.of_tuple, problem.chosen, scheme="richardson")
    matrix, errors = problem.matrix(found.value), problem.matrix(found.error)
    with np.errstate(all="ignore"):
        digits = np.clip(-np.log10(errors / np.abs(matrix)), 0.0, 17.0)
    digits = np.where(np.isnan(digits), 0.0, digits)
    return Truth(matrix, digits, np.zeros(matrix.shape, bool), "extrapolated differences", {}, why)


def agreement(problem: Problem, matrix: Array, kinks: Array) -> dict[str, float]:
    """The digits to which automatic differentiation in 60 digits agrees, by mode."""
    found = {}
    with context().workdps(DIGITS + 10):
        exact = problem.exact()
        for mode in ("forward", "reverse"):
            derivative = jacobian(problem, tuple(range(len(problem.smooth))), mode)(*exact)
            agree = agreeing(problem.matrix(derivative), matrix)
            found[mode] = float(np.min(agree, where=~kinks & ~np.isnan(agree), initial=DIGITS))
    return found


def agreeing(found: Array, true: Array) -> Array:
    """The number of decimal digits to which each element is right: −log10 |found − true| / |true|, 50 at most.

    The error of what should be 0 is measured by the largest of its row, or by 1.  Where the truth is nan, nothing is right.
    """
    digits = np.empty(true.shape)
    with context().workdps(2 * DIGITS):
        for i, row in enumerate(true):
            exact = [number(t) for t in row]
            largest = max(map(abs, exact), default=0)
            for j, t in enumerate(exact):
                digits[i, j] = right_digits(number(found[i, j]), t, largest)
    return digits


def right_digits(found: Any, true: Any, largest: Any) -> float:
    """The decimal digits of one number that are right."""
    mp = context()
    if mp.isnan(true):
        return math.nan
    if mp.isinf(true) or not mp.isfinite(found):
        return float(DIGITS) if found == true else 0.0
    error, scale = abs(found - true), abs(true) or (largest if mp.isfinite(largest) else 0) or mp.mpf(1)
    return float(min(DIGITS, max(0, -mp.log10(error / scale)))) if error else float(DIGITS)


def is_rounded(found: Array, true: Array) -> bool:
    """Whether every element is the number of its dtype that is nearest to the truth."""
    nearest = np.array([found.dtype.type(float(t)) for t in true.flat], found.dtype).reshape(true.shape)
    return bool(np.array_equal(found, nearest, equal_nan=True))


def reason(error: BaseException) -> str:
    """Why something cannot be done, in one line."""
    return " ".join(f"{error}".split()) or type(error).__name__


def whole(digits: float) -> str:
    """Digits as they are printed."""
    return f"{math.floor(digits * 10) / 10:.1f}"
