"""Views of views, and views that an elementwise operation does not need."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.casting import astype
from arrayad.primitives.exponential import power
from arrayad.primitives.linear_algebra import matrix_product
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.rewriting import Match, rewrite, row_of, sample
from arrayad.shaped import is_weak
from arrayad.tracing import aval_of

Shape = tuple[int, ...]

rewrite(
    "A reshape of a reshape.",
    (reshape, (reshape, "x")),
    to=lambda m: m(reshape, m["x"], shape=m.output.shape),
    samples=[sample(lambda x: reshape(reshape(x, shape=(6,)), shape=(3, 2)), (2, 3))],
)

rewrite(
    "A permutation of a permutation.",
    (permute_dims, (permute_dims, "x")),
    to=lambda m: m(permute_dims, m["x"], axes=tuple(m.inner[0].params["axes"][a] for a in m.params["axes"])),
    samples=[sample(lambda x: permute_dims(permute_dims(x, axes=(2, 0, 1)), axes=(0, 2, 1)), (2, 3, 4))],
)

rewrite(
    "A repetition of a repetition.",
    (broadcast_to, (broadcast_to, "x")),
    to=lambda m: m(broadcast_to, m["x"], shape=m.output.shape),
    samples=[sample(lambda x: broadcast_to(broadcast_to(x, shape=(2, 3)), shape=(4, 2, 3)), (3,))],
)


def moves_none(m: Match) -> bool:
    """Whether a permutation leaves the axes that are longer than 1 in their order."""
    shape = aval_of(m["x"]).shape
    long = [a for a in m.params["axes"] if shape[a] != 1]
    return long == sorted(long)


UNIT_AXES = rewrite(
    "A permutation of axes of length 1 is a reshape.",
    (permute_dims, "x"),
    when=moves_none,
    to=lambda m: m(reshape, m["x"], shape=m.output.shape),
    samples=[sample(lambda x: permute_dims(x, axes=(1, 0)), (1, 3))],
)

rewrite(
    "A repetition along no axis is a reshape.",
    (broadcast_to, "x"),
    when=lambda m: m.output.size == aval_of(m["x"]).size,
    to=lambda m: m(reshape, m["x"], shape=m.output.shape),
    samples=[sample(lambda x: broadcast_to(x, shape=(1, 3)), (3,))],
)


def without_leading_ones(shape: Shape) -> Shape:
    """The shape from its first axis that is longer than 1."""
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


rewrite(
    "A repetition of an array with further leading axes of length 1.",
    (broadcast_to, (reshape, "x")),
    when=lambda m: without_leading_ones(m.inner[0].output.shape) == aval_of(m["x"]).shape,
    to=lambda m: m(broadcast_to, m["x"], shape=m.output.shape),
    samples=[sample(lambda x: broadcast_to(reshape(x, shape=(1, 3)), shape=(2, 3)), (3,))],
)


def is_lossless(m: Match) -> bool:
    """Whether a cast keeps every value, so that a further cast sees the first one's operand."""
    (inner,) = m.inner
    return bool(np.can_cast(aval_of(m["x"]).dtype, inner.output.dtype, "safe")) and m.output.dtype.kind != "O"


rewrite(
    "A cast of a cast that keeps every value.",
    (astype, (astype, "x")),
    when=lambda m: is_lossless(m) and not (aval_of(m["x"]).dtype.kind in "iu" and m.inner[0].output.dtype.kind == "f"),
    to=lambda m: m(astype, m["x"], dtype=m.output.dtype),
    samples=[
        sample(lambda x: astype(astype(x, dtype=np.dtype("float64")), dtype=np.dtype("float32")), (3,), dtypes="float32"),
        sample(lambda x: astype(astype(x, dtype=np.dtype("int64")), dtype=np.dtype("float32")), (3,), dtypes="bool"),
    ],
)


# --- operands of elementwise operations -------------------------------------------------------------------------------


def smaller(m: Match, x: Any) -> Any:
    """An operand of an elementwise operation without the repetitions that this makes itself."""
    if is_weak(x):
        return x
    entry = m.graph.producer(x)
    if entry is not None:
        if entry.primitive is row_of(broadcast_to):
            return entry.inputs[0]
        if entry.primitive is row_of(reshape) and without_leading_ones(entry.output.shape) == aval_of(entry.inputs[0]).shape:
            return entry.inputs[0]
    elif x.history is None and isinstance(x.value, np.ndarray) and x.value.ndim:
        return least(m, x)
    return x


def least(m: Match, x: Any) -> Any:
    """A constant with one element along the axes on which all are the same, and without leading axes of length 1."""
    value = x.value
    if m.graph.uniform(x) is not None:
        return m.constant(value[(0,) * value.ndim])
    index = tuple(slice(0, 1) if is_repeated(value, a) else slice(None) for a in range(value.ndim))
    found = value[index]
    return x if found.size == value.size else m.constant(found.reshape(without_leading_ones(found.shape)))


REPEATED = 1 << 14
"""Elements up to which a constant is searched for repetition."""


def is_repeated(value: Any, axis: int) -> bool:
    """Whether an array is the same all along an axis, to the bit."""
    if value.shape[axis] < 2 or value.strides[axis] == 0:
        return bool(value.shape[axis])
    if value.size > REPEATED or value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        return False
    bits = np.ascontiguousarray(value).view(f"u{value.dtype.itemsize}")
    return bool((bits == bits.take([0], axis)).all())


def without_repetition(m: Match) -> Any:
    """The operation on smaller operands, where one of them gives the result its shape."""
    operands: list[Any] = list(m.inputs)
    changed = False
    for i, x in enumerate(operands):
        found = smaller(m, x)
        if found is not x:
            others = [aval_of(y).shape for k, y in enumerate(operands) if k != i and not is_weak(y)]
            if np.broadcast_shapes(aval_of(found).shape, *others) == m.output.shape:
                operands[i], changed = found, True
    return m(m.row, *operands) if changed else None


REPEATED_BY_ITSELF = rewrite(
    "An elementwise operation repeats its operands itself.",
    (Elementwise, "x", "y"),
    (Elementwise, "x", "y", "z"),
    when=lambda m: m.row is not row_of(power),
    to=without_repetition,
    samples=[
        sample(lambda x, y: broadcast_to(x, shape=(2, 3)) * y, (3,), (2, 3)),
        sample(lambda x: np.full((2, 3), 2.5) * x, (2, 3)),
        sample(lambda x, y: reshape(x, shape=(1, 3)) * y, (3,), (2, 3)),
    ],
)


def common_repetition(m: Match) -> Any:
    """The operation before its operands are repeated, where all of them are repeated alike."""
    operands = []
    found: Any = None
    for x in m.inputs:
        if is_weak(x) or (x.history is None and aval_of(x).shape == ()):
            operands.append(x)
            continue
        entry = m.graph.producer(x)
        if entry is None or entry.primitive is not row_of(broadcast_to) or entry.output.shape != m.output.shape:
            return None
        source = aval_of(entry.inputs[0]).shape
        if found is not None and found != source:
            return None
        found = source
        operands.append(entry.inputs[0])
    return None if found is None else m(broadcast_to, m(m.row, *operands), shape=m.output.shape)


REPEATED_ALIKE = rewrite(
    "An elementwise operation on what is repeated is repeated.",
    (Elementwise, "x"),
    (Elementwise, "x", "y"),
    (Elementwise, "x", "y", "z"),
    to=common_repetition,
    samples=[
        sample(lambda x: broadcast_to(x, shape=(2, 3)) * 2.0, (3,)),
        sample(lambda x, y: broadcast_to(x, shape=(2, 3)) * broadcast_to(y, shape=(2, 3)), (3,), (3,)),
    ],
)

rewrite(
    "A cast of what is repeated is repeated.",
    (astype, (broadcast_to, "x")),
    to=lambda m: m(broadcast_to, m(astype, m["x"], dtype=m.output.dtype), shape=m.output.shape),
    samples=[sample(lambda x: astype(broadcast_to(x, shape=(2, 3)), dtype=np.dtype("float32")), (3,))],
)


def swaps_last(axes: Any) -> bool:
    """Whether a permutation exchanges the last two axes."""
    n = len(axes)
    return n >= 2 and tuple(axes) == (*range(n - 2), n - 1, n - 2)


def transposed(m: Match, x: Any) -> Any:
    """An operand with the last two axes exchanged."""
    n = aval_of(x).ndim
    return m(permute_dims, x, axes=(*range(n - 2), n - 1, n - 2))


rewrite(
    "The transpose of a product is the product of the transposes in the other order.",
    (permute_dims, (matrix_product, "x", "y")),
    when=lambda m: swaps_last(m.params["axes"]) and m.graph.is_alone(m.inner[0]),
    to=lambda m: m(matrix_product, transposed(m, m["y"]), transposed(m, m["x"])),
    samples=[sample(lambda x, y: permute_dims(matrix_product(x, y), axes=(1, 0)), (2, 3), (3, 4))],
    reorders=True,
)
