"""Rows that rearrange elements: reshape, permute."""

from __future__ import annotations

from typing import Any

from arrayad.dependence import moved
from arrayad.primitive import linear
from arrayad.samples import Samples
from arrayad.shaped import Shaped


def reshape_back(ct: Any, x: Shaped, *, shape: tuple[int, ...]) -> Any:
    return reshape(ct, shape=x.shape)


def reshape_batch(row: Any, size: int, operands: Any, batched: Any, *, shape: tuple[int, ...]) -> Any:
    return reshape(operands[0], shape=(size, *shape))


reshape = linear(
    "reshape",
    """The same elements in C order under another shape.""",
    numpy=lambda x, *, shape: x.reshape(shape),
    shape=lambda x, *, shape: Shaped(shape, x.dtype),
    transpose=reshape_back,
    batch=reshape_batch,
    view=True,
    pattern=moved,
    samples=Samples(
        cases=[
            ((2, 6), {"shape": (3, 4)}),
            ((4,), {"shape": (2, 1, 2)}),
            ((1, 1), {"shape": ()}),
            ((), {"shape": (1,)}),
            ((0, 3), {"shape": (3, 0)}),
        ]
    ),
)


def permute_back(ct: Any, x: Shaped, *, axes: tuple[int, ...]) -> Any:
    return permute_dims(ct, axes=tuple(sorted(range(len(axes)), key=axes.__getitem__)))


def permute_batch(row: Any, size: int, operands: Any, batched: Any, *, axes: tuple[int, ...]) -> Any:
    return permute_dims(operands[0], axes=(0, *(a + 1 for a in axes)))


permute_dims = linear(
    "permute_dims",
    """The axes in another order: axis k of the output is axis `axes[k]` of the operand.""",
    numpy=lambda x, *, axes: x.transpose(axes),
    shape=lambda x, *, axes: Shaped(tuple(x.shape[a] for a in axes), x.dtype),
    transpose=permute_back,
    batch=permute_batch,
    view=True,
    pattern=moved,
    samples=Samples(
        cases=[
            ((2, 3, 4), {"axes": (2, 0, 1)}),
            ((2, 3), {"axes": (1, 0)}),
            ((), {"axes": ()}),
            ((0, 2), {"axes": (1, 0)}),
        ]
    ),
)
