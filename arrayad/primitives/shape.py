"""Rows that rearrange elements: reshape, permute, broadcast, join, flip, pad."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.primitive import linear
from arrayad.samples import Samples
from arrayad.shaped import Shaped


def reshape_back(ct: Any, x: Shaped, *, shape: tuple[int, ...]) -> Any:
    return reshape(ct, shape=x.shape)


reshape = linear(
    "reshape",
    """The same elements in C order under another shape.""",
    numpy=lambda x, *, shape: np.reshape(x, shape),
    shape=lambda x, *, shape: Shaped(shape, x.dtype),
    transpose=reshape_back,
    samples=Samples(cases=[((2, 6), {"shape": (3, 4)}), ((4,), {"shape": (2, 1, 2)}), ((1, 1), {"shape": ()}), ((0, 3), {"shape": (3, 0)})]),
)


def permute_back(ct: Any, x: Shaped, *, axes: tuple[int, ...]) -> Any:
    return permute_dims(ct, axes=tuple(int(i) for i in np.argsort(axes)))


permute_dims = linear(
    "permute_dims",
    """The axes in another order: axis k of the output is axis `axes[k]` of the operand.""",
    numpy=lambda x, *, axes: np.transpose(x, axes),
    shape=lambda x, *, axes: Shaped(tuple(x.shape[a] for a in axes), x.dtype),
    transpose=permute_back,
    samples=Samples(cases=[((2, 3, 4), {"axes": (2, 0, 1)}), ((2, 3), {"axes": (1, 0)}), ((), {"axes": ()}), ((0, 2), {"axes": (1, 0)})]),
)
