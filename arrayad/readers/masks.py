"""Structural zeros: which elements of a cotangent a selection has left out for good (docs/kinks.md).

A zero that is merely a number is no promise, for 0 · ∞ is nan; the zeros of a selection are zero to every order.  The
sweep carries a `Mask` with the cotangent through elementwise, shape and sum rows.  It is computed only if an
elementwise row's partial is not constant, where an infinite partial could meet a structural zero.
"""

from __future__ import annotations

from collections.abc import Callable

from arrayad.primitives.comparison import logical_and, logical_or
from arrayad.tensor import Tensor


class Mask:
    """A boolean Tensor, false where the cotangent is structurally zero, computed when first asked for."""

    __slots__ = ("compute", "value")

    def __init__(self, compute: Callable[[], Tensor]) -> None:
        self.compute: Callable[[], Tensor] | None = compute
        self.value: Tensor | None = None

    def get(self) -> Tensor:
        """The mask as a Tensor of the cotangent's shape."""
        if self.compute is not None:
            self.value, self.compute = self.compute(), None
        assert self.value is not None
        return self.value


def both(first: Mask | None, second: Mask | None) -> Mask | None:
    """What two selections, one after the other, have both selected."""
    if first is None or second is None:
        return first or second
    return Mask(lambda: logical_and(first.get(), second.get()))


def either(first: Mask | None, second: Mask | None) -> Mask | None:
    """The mask of a sum of cotangents: a term without a mask promises nothing."""
    if first is None or second is None:
        return None
    return Mask(lambda: logical_or(first.get(), second.get()))
