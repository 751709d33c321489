"""Operations that leave their operand as it is."""

from __future__ import annotations

import numpy as np

from arrayad.control.checkpointing import RECALL, RECALL_ELEMENTS
from arrayad.primitives.arithmetic import positive
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.casting import astype, constant, identity, real
from arrayad.primitives.complex import conj
from arrayad.primitives.indexing import getitem
from arrayad.primitives.joining import concat
from arrayad.primitives.picking import pick
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.rewriting import Match, rewrite, sample
from arrayad.shaped import Bundle
from arrayad.tracing import aval_of

rewrite(
    "A copy is its operand.",
    (identity, "x"),
    (positive, "x"),
    to=lambda m: m["x"],
    samples=[
        sample(lambda x: positive(x), (2, 3), dtypes="float32"),
        sample(lambda x: identity(x), ()),
    ],
)

rewrite(
    "What has no derivative has the value of its operand.",
    (constant, "x"),
    to=lambda m: m["x"],
    samples=[sample(lambda x: constant(x) * 2.0, (3,))],
    forgets=True,
)

rewrite(
    "A cast to the operand's dtype is the operand; so is the real part, or the conjugate, of what is real.",
    (astype, "x"),
    (real, "x"),
    (conj, "x"),
    when=lambda m: aval_of(m["x"]) == m.output and m.output.dtype.kind != "c",
    to=lambda m: m["x"],
    samples=[sample(lambda x: astype(x, dtype=np.dtype("float32")), (3,), dtypes="float32"), sample(lambda x: real(x), (3,))],
)

rewrite(
    "An array under its own shape is itself.",
    (reshape, "x"),
    (broadcast_to, "x"),
    when=lambda m: aval_of(m["x"]).shape == m.output.shape,
    to=lambda m: m["x"],
    samples=[
        sample(lambda x: reshape(x, shape=(2, 3)), (2, 3)),
        sample(lambda x: broadcast_to(x, shape=(2, 3)), (2, 3)),
    ],
)

rewrite(
    "The axes in their own order.",
    (permute_dims, "x"),
    when=lambda m: tuple(m.params["axes"]) == tuple(range(len(m.output.shape))),
    to=lambda m: m["x"],
    samples=[sample(lambda x: permute_dims(x, axes=(0, 1)), (2, 3)), sample(lambda x: permute_dims(x, axes=()), ())],
)


def takes_all(m: Match) -> bool:
    """Whether every part of an index is a slice of a whole axis."""
    shape = aval_of(m["x"]).shape
    whole = [part for part in m.params["index"] if part is not Ellipsis]
    return (
        m.output.shape == shape
        and all(part.__class__ is slice for part in whole)
        and all(
            part.step in (None, 1) or n < 2 for part, n in zip(whole, without_ellipsis(m.params["index"], shape), strict=True)
        )
    )


def without_ellipsis(index: tuple[object, ...], shape: tuple[int, ...]) -> list[int]:
    """The lengths of the axes that an index of slices names."""
    if Ellipsis not in index:
        return list(shape[: len(index)])
    place = index.index(Ellipsis)
    behind = len(index) - 1 - place
    return [*shape[:place], *(shape[len(shape) - behind :] if behind else ())]


rewrite(
    "All elements in their order.",
    (getitem, "x"),
    when=takes_all,
    to=lambda m: m["x"],
    samples=[
        sample(lambda x: getitem(x, index=(slice(0, 3), slice(None))), (3, 4)),
        sample(lambda x: getitem(x, index=(Ellipsis,)), (3,)),
        sample(lambda x: getitem(x, index=(Ellipsis, slice(0, 9))), (3, 4)),
    ],
)

rewrite(
    "One array joined to nothing.",
    (concat, "x"),
    to=lambda m: m["x"],
    samples=[sample(lambda x: concat(x, axis=0), (3, 2))],
)

rewrite(
    "What was saved of an operation is its result.",
    (RECALL, "saved", ...),
    (RECALL_ELEMENTS, "saved", ...),
    to=lambda m: m.inputs[0],
    samples=[],
    forgets=True,
)

rewrite(
    "One of several known outputs.",
    (pick, "x"),
    when=lambda m: m["x"].__class__ is Bundle,
    to=lambda m: m["x"][m.params["index"]],
    samples=[],
)
