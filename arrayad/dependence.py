"""Which elements of an operand each element of a row's output can depend on: the rules of the column `pattern`.

A rule is called as `pattern(row, i, output, *operands, **params)`, where the output and the operands whose values depend on
the program's inputs are `Shaped`, and the other operands are values.  It answers for operand i with pairs of integer arrays,
labels of the output's elements and labels of the operand's: an element of the output can depend on an element of the operand
where a pair gives both the same label, and where it is -1 on nothing.  `Pairs` lists who depends on whom; None says that
everything can depend on everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from arrayad.shaped import Shaped

Labels = np.ndarray[Any, Any]


class Pairs(NamedTuple):
    """Element `outputs[k]` of the output can depend on element `operands[k]` of the operand, numbered in C order."""

    outputs: Labels
    operands: Labels


Links = list[tuple[Labels, Labels]] | Pairs | None
Rule = Callable[..., Links]


def numbers(shape: tuple[int, ...]) -> Labels:
    """The number of each element in C order."""
    return np.arange(math.prod(shape)).reshape(shape)


def spread(shape: tuple[int, ...], to: tuple[int, ...]) -> Labels:
    """The numbers of the elements of `shape`, broadcast."""
    return np.broadcast_to(numbers(shape), to)


def everything(row: Any, i: int, output: Any, *operands: Any, **params: Any) -> Links:
    """The rule of rows that declare none: right for all of them, and seldom sharp."""
    return None


def same_element(row: Any, i: int, output: Any, *operands: Any, **params: Any) -> Links:
    """Each element depends on that of the same place, or of the place that is broadcast to it."""
    shape = operands[i].shape
    return [(spread(shape, output.shape), numbers(shape))]


def moved(row: Any, i: int, output: Any, *operands: Any, **params: Any) -> Links:
    """The kernel moves elements and computes nothing, so it tells by moving their numbers where each comes from."""
    return moved_by(lambda *labels: row.numpy(*labels, **params), i, operands)


def moved_by(kernel: Callable[..., Any], i: int, operands: tuple[Any, ...]) -> Links:
    """Where elements of operand i have come to; those of the others, and new zeros, have no label."""
    own = numbers(operands[i].shape)
    labels = [own + 1 if j == i else np.zeros(x.shape, own.dtype) for j, x in enumerate(operands)]
    return [(np.asarray(kernel(*labels)) - 1, own)]


def along_axis(row: Any, i: int, output: Any, *operands: Any, axis: int | tuple[int, ...], **params: Any) -> Links:
    """Elements depend on each other along `axis`; arrays of fewer axes are the reduced ones."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    full = max((output, *operands), key=lambda x: x.ndim).shape
    ones = tuple(1 if k in axes else n for k, n in enumerate(full))

    def labels(x: Any) -> Labels:
        return spread(ones, full) if x.ndim == len(full) else numbers(ones).reshape(x.shape)

    return [(labels(output), labels(operands[i]))]


def along_last_axis(row: Any, i: int, output: Any, *operands: Any, **params: Any) -> Links:
    """Elements depend on each other along the last axis; arrays of fewer axes are the reduced ones."""
    return along_axis(row, i, output, *operands, axis=max(x.ndim for x in (output, *operands)) - 1)


def matrix_by_matrix(row: Any, i: int, output: Any, *operands: Any, **params: Any) -> Links:
    """The last two axes of an operand are a matrix, and the leading axes, which the output shares, tell matrices apart."""
    lead = operands[i].shape[:-2]
    if output.__class__ is not Shaped or output.shape[: len(lead)] != lead:
        return None
    return [(in_front(lead, output.shape), in_front(lead, operands[i].shape))]


def in_front(lead: tuple[int, ...], shape: tuple[int, ...]) -> Labels:
    """The number of an element's leading indices."""
    return spread(lead + (1,) * (len(shape) - len(lead)), shape)
