"""Numbers as formulas write them: whole where they are whole, and by name where a float stands for an irrational number."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

from arrayad.constants import KNOWN

DIGITS = 12
"""A float of fewer digits was written as such, and stands for nothing else."""

LARGEST = 64
"""The largest numerator and denominator of the multiples that are recognised."""

TEXTS = {
    math.pi: "mp.pi",
    math.e: "mp.e",
    math.sqrt(2.0): "mp.sqrt(2)",
    math.sqrt(3.0): "mp.sqrt(3)",
    math.sqrt(math.pi): "mp.sqrt(mp.pi)",
    math.log(2.0): "mp.log(2)",
}
"""The expressions of numbers that programs write as floats."""


@functools.lru_cache(maxsize=4096)
def exact(value: float) -> tuple[Fraction, str] | None:
    """A rational number, and the expression of an irrational one, whose product a float is, rounded; None if there is none.

    A float of 12 digits and more is taken for a small multiple of an irrational number that is known, if it is within one
    rounding of it: chance would have it so once in 10^10.

    **Example**

    >>> exact(-0.7853981633974483), exact(0.25)
    ((Fraction(-1, 4), 'mp.pi'), None)
    """
    if not math.isfinite(value) or len(repr(abs(value)).replace(".", "").lstrip("0")) < DIGITS:
        return None
    for known, text in {**TEXTS, **KNOWN}.items():
        ratio = Fraction(value / known).limit_denominator(LARGEST)
        if 0 < abs(ratio.numerator) <= LARGEST and abs(float(ratio) * known - value) <= math.ulp(value):
            return ratio, text
    return None


def short(value: Any) -> str:
    """A number without a trailing `.0`.

    **Example**

    >>> short(2.0), short(0.1), short(1e300), short(3)
    ('2', '0.1', '1e+300', '3')
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)
