"""Masks of the examples of a batch: which of them take a branch, or go on in a loop."""

from __future__ import annotations

from arrayad.primitives.casting import stop_gradient
from arrayad.primitives.indexing import ARRAY, getitem
from arrayad.primitives.reduction import argmax
from arrayad.primitives.selection import where
from arrayad.primitives.shape import reshape
from arrayad.tensor import Tensor


def along(mask: Tensor, ndim: int) -> Tensor:
    """A mask of the examples with axes of length 1 behind, to broadcast along a batch."""
    return mask if ndim == 1 else reshape(mask, shape=mask.shape + (1,) * (ndim - 1))


def masked(x: Tensor, taken: Tensor) -> Tensor:
    """The batch with the examples that are not taken replaced by one that is, as a constant.

    So what is computed of them is finite where it is for that one, and its derivative is not theirs.
    """
    if not x.shape[0]:
        return x
    example = getitem(stop_gradient(x), argmax(taken, axis=(0,)), index=(ARRAY,))
    return where(along(taken, x.ndim), x, example)
