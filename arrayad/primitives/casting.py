"""Rows that leave the elements as they are, or change only their dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.primitive import like_first, linear
from arrayad.samples import Samples
from arrayad.shaped import Shaped


def identity_transpose(ct: Any, x: Shaped) -> Any:
    return ct


identity = linear(
    "identity",
    """The operand itself: ties what a transform sees to what its caller had.""",
    numpy=lambda x: x,
    shape=like_first,
    transpose=identity_transpose,
    samples=Samples(shapes=[(3,), ()]),
)


def cast_back(ct: Any, x: Shaped, *, dtype: Any) -> Any:
    return astype(ct, dtype=x.dtype)


def cast(x: Any, *, dtype: Any) -> Any:
    return x.astype(dtype, copy=False)


astype = linear(
    "astype",
    """Each element converted to `dtype`, as NumPy converts it.""",
    numpy=cast,
    shape=lambda x, *, dtype: Shaped(x.shape, dtype),
    transpose=cast_back,
    samples=Samples(shapes=[(2, 3), (), (0,)], params=[{"dtype": np.dtype("float32")}, {"dtype": np.dtype("float64")}]),
)
