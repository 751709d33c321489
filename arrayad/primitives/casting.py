"""Rows that leave the elements as they are, or change only their dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.primitive import like_first, linear
from arrayad.samples import Samples
from arrayad.shaped import Shaped, aval
from arrayad.tape import Entry, Located, Scope, Traced
from arrayad.tensor import Tensor, freeze, handle


def identity_transpose(ct: Any, x: Shaped) -> Any:
    return ct


identity = linear(
    "identity",
    """The operand itself: ties what a transform sees to what its caller had.""",
    numpy=lambda x: x,
    shape=like_first,
    transpose=identity_transpose,
    view=True,
    samples=Samples(shapes=[(3,), ()]),
)


def fresh(x: Any, scope: Scope) -> Tensor:
    """The transform's own input: the caller's value under a new entry of `identity`, its only tie to the caller's own."""
    if x.__class__ is not Tensor:
        x = handle(freeze(np.asarray(x)))
    traced = isinstance(x.history, Traced) and x.history.trace.open
    entry = Traced() if traced else Entry()
    entry.serial = scope.serial
    entry.primitive = identity.primitive  # type: ignore[attr-defined]
    entry.params = {}
    entry.parents = (x.history,)
    entry.residuals = (None, None)
    entry.avals = (aval(x.value),)
    entry.scopes = frozenset((scope,)) if x.history is None else x.history.scopes | {scope}
    if isinstance(entry, Located):
        entry.location = x.history.location
    if isinstance(entry, Traced):
        entry.trace, entry.inputs, entry.output = x.history.trace, (x,), aval(x.value)
    return handle(x.value, entry)


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
