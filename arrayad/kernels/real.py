"""Kernels of real numbers alone: NumPy computes some of them of complex numbers too, which means nothing here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def ordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that picks the larger or smaller of its operands, of numbers that have an order.

    **Raises** `TypeError` where the result is complex.
    """

    @functools.wraps(function)
    def kernel(*operands: Any, **options: Any) -> Any:
        y = function(*operands, **options)
        if y.dtype.kind == "c":
            raise TypeError("complex numbers have no order")
        return y

    return kernel


def of_real(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel whose operands must be real.

    **Raises** `TypeError` for a complex one.
    """

    @functools.wraps(function)
    def kernel(*operands: Any, **options: Any) -> Any:
        for x in operands:
            if x.__class__ is complex or (hasattr(x, "dtype") and x.dtype.kind == "c"):
                raise TypeError("it is a function of real numbers")
        return function(*operands, **options)

    return kernel
