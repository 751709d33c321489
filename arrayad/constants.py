"""Irrational numbers in rules, exact in whatever they meet."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from arrayad.arbitrary import irrational
from arrayad.tensor import Tensor, handle


class Constant:
    """A number that a float can only round, such as ln 2: right to the last digit in floats, long doubles and mpmath's numbers.

    With floats it is a Python float, which is weak.  With numbers of mpmath's it has the precision in force where it is
    used, also in a tape that was recorded at another.

    **Parameters** `value`: as a float; `extended`: as a long double; `text`: the expression of `mp` for it.

    **Example**

    >>> from arrayad import ones
    >>> ln2 = written("0.6931471805599453094172321214581765680755", "mp.ln2")
    >>> ln2 * ones(2, dtype="float32")
    Tensor([0.6931472, 0.6931472], dtype=float32)
    """

    __slots__ = ("extended", "text", "value")

    def __init__(self, value: float, extended: Any, text: str) -> None:
        self.value, self.extended, self.text = value, extended, text

    def beside(self, x: Any) -> Any:
        """The number as operations with `x` take it."""
        kind = x.dtype.char
        return handle(self.extended) if kind in "gG" else numbers(self.text) if kind == "O" else self.value

    def __mul__(self, x: Any) -> Any:
        return self.beside(x) * x

    def __truediv__(self, x: Any) -> Any:
        return self.beside(x) / x

    def __neg__(self) -> Constant:
        return Constant(-self.value, -self.extended, f"-({self.text})")


KNOWN: dict[float, str] = {}
"""The irrational constants that were written, by the float that stands for each: their expressions of `mp`."""

EXACT = 20
"""Characters up to which a number was written with all its digits."""


@functools.cache
def numbers(text: str) -> Tensor:
    """The irrational number as a Tensor."""
    return handle(irrational(text))


def written(digits: str, text: str) -> Constant:
    """The constant with these decimal digits, 40 of them or all."""
    if len(digits) > EXACT:
        KNOWN[float(digits)] = text
    return Constant(float(digits), np.longdouble(digits), text)


@functools.cache
def inverse(number: float) -> Constant:
    """One over a number that is exact."""
    return Constant(1 / number, 1 / np.longdouble(number), f"1 / mp.mpf({number!r})")


@functools.cache
def root(number: float) -> Constant:
    """The square root of a number that is exact."""
    return Constant(math.sqrt(number), np.sqrt(np.longdouble(number)), f"mp.sqrt(mp.mpf({number!r}))")
