"""The row that joins arrays along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.dependence import moved
from arrayad.primitive import general, nothing
from arrayad.primitives.broadcasting import along_next_axis
from arrayad.primitives.indexing import getitem, zeros
from arrayad.samples import Samples
from arrayad.shaped import Shaped, aval


def joined_shape(*xs: Shaped, axis: int) -> Shaped:
    first = xs[0].shape
    length = sum(x.shape[axis] for x in xs)
    return Shaped((*first[:axis], length, *first[axis + 1 :]), np.result_type(*(x.dtype for x in xs)))


def concat_jvp(tangents: Any, y: Any, *xs: Any, axis: int) -> Any:
    return concat(*(zeros(aval(x)) if t is None else t for t, x in zip(tangents, xs, strict=True)), axis=axis)


def concat_vjp(needed: Any, ct: Any, y: Any, *xs: Any, axis: int) -> Any:
    stops = np.cumsum([x.shape[axis] for x in xs]).tolist()
    lead = (slice(None),) * axis
    return tuple(
        getitem(ct, index=(*lead, slice(start, stop))) if need else None
        for need, start, stop in zip(needed, [0, *stops[:-1]], stops, strict=True)
    )


concat = general(
    "concat",
    """The operands one after the other along `axis`, a nonnegative int; the other lengths agree.""",
    numpy=lambda *xs, axis: np.concatenate(xs, axis),
    shape=joined_shape,
    jvp=concat_jvp,
    vjp=concat_vjp,
    batch=along_next_axis,
    kind="linear",
    cost=nothing,
    pattern=moved,
    samples=Samples(
        complex=True,
        cases=[
            (((3,), (2,)), {"axis": 0}),
            (((2, 3), (2, 1), (2, 0)), {"axis": 1}),
            (((2, 3),), {"axis": 1}),
            (((0, 3), (1, 3)), {"axis": 0}),
        ],
    ),
)
