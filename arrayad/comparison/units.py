"""Quantities in the unit that suits them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A time: to three digits where it is short, whole seconds where it is long.

    **Example**

    >>> duration(0.00123), duration(4.5e-8), duration(98765.4)
    ('1.23 ms', '45 ns', '98,765 s')
    """
    if seconds >= 1000:
        return f"{seconds:,.0f} s"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
