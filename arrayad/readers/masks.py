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
    """A boolean Tensor, false where the cotangent is structurally zero, computed when first asked for.

    It is `function` of the masks that it was carried from, `sources`; a chain of any length is computed without recursion.
    """

    __slots__ = ("function", "sources", "value")

    def __init__(self, function: Callable[..., Tensor], *sources: Mask) -> None:
        self.function = function
        self.sources = sources
        self.value: Tensor | None = None

    def get(self) -> Tensor:
        """The mask as a Tensor of the cotangent's shape."""
        stack = [self]
        while stack:
            mask = stack[-1]
            missing = [source for source in mask.sources if source.value is None]
            if mask.value is None and missing:
                stack += missing
                continue
            stack.pop()
            if mask.value is None:
                mask.value = mask.function(*(source.value for source in mask.sources))
                mask.sources = ()
        assert self.value is not None
        return self.value


def both(first: Mask | None, second: Mask | None) -> Mask | None:
    """What two selections, one after the other, have both selected."""
    if first is None or second is None:
        return first or second
    return Mask(logical_and, first, second)


def either(first: Mask | None, second: Mask | None) -> Mask | None:
    """The mask of a sum of cotangents: a term without a mask promises nothing."""
    if first is None or second is None:
        return None
    return Mask(logical_or, first, second)
