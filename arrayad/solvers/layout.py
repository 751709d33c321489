"""How the unknowns of a problem lie in memory: leaves side by side in rows, one row for each example of a batch.

The batches of a problem are kept as they came, the innermost first: how many examples, and which captures differ between
them.  The unknowns always do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from arrayad.arbitrary import array_in, context, plain, stored
from arrayad.control.program import Flags, Program
from arrayad.shaped import Shaped

Array = np.ndarray[Any, Any]
Batches = tuple[tuple[int, Flags], ...]


class Packing:
    """Leaves of given shapes as the rows of a matrix, of the dtype that holds them all."""

    def __init__(self, avals: Sequence[Shaped]) -> None:
        self.avals = list(avals)
        self.size = sum(x.size for x in avals)
        self.dtype = np.result_type(*(x.dtype for x in avals))

    def pack(self, leaves: Sequence[Any]) -> Array:
        """The rows, one for each index of the leading axes."""
        lead = leaves[0].ndim - self.avals[0].ndim
        count = math.prod(leaves[0].shape[:lead])
        arrays = [np.asarray(plain(array_in(x)), self.dtype) for x in leaves]
        parts = [x.reshape(count, like.size) for x, like in zip(arrays, self.avals, strict=True)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def unpack(self, rows: Array, lead: tuple[int, ...]) -> list[Any]:
        """The leaves as Tensors hold them, with these leading axes."""
        ends = np.cumsum([x.size for x in self.avals])
        return [
            stored(rows[:, end - x.size : end].reshape((*lead, *x.shape)).astype(x.dtype, copy=False))
            for x, end in zip(self.avals, ends, strict=True)
        ]


def lead_of(batches: Batches) -> tuple[int, ...]:
    """The leading axes of the unknowns."""
    return tuple(size for size, _ in reversed(batches))


def for_all(program: Program, batches: Batches) -> Program:
    """The program for all examples at once; its inputs behind the captures, and its results, carry the batches."""
    for size, flags in batches:
        moving = (True,) * (len(program.avals) - len(flags))
        program = program.batched(size, (*flags, *moving), (True,) * len(program.out_avals))
    return program


def over_columns(program: Program, captures: int, sizes: Sequence[int]) -> Program:
    """The program for columns along new leading axes, which share the captures."""
    moving = (True,) * (len(program.avals) - captures)
    for size in reversed(sizes):
        program = program.batched(size, (*(False,) * captures, *moving), (True,) * len(program.out_avals))
    return program


def each_example(captures: list[Any], batches: Batches) -> Iterator[list[Any]]:
    """The captures of one example after the other."""
    if not batches:
        yield captures
        return
    *inner, (size, flags) = batches
    for i in range(size):
        yield from each_example([x[i] if flag else x for x, flag in zip(captures, flags, strict=True)], tuple(inner))


def norms(rows: Array) -> Array:
    """The Euclidean norm of each row."""
    return np.linalg.norm(np.abs(rows).astype(np.float64), axis=1) if rows.dtype.kind == "O" else np.sqrt(dots(rows, rows).real)


def dots(a: Array, b: Array) -> Array:
    """The inner product of each pair of rows, the first conjugated."""
    return np.einsum("rn,rn->r", a.conj(), b)


def quotient(a: Array, b: Array, where: Array) -> Array:
    """a / b at some places, 0 elsewhere."""
    return np.where(where, a, 0) / np.where(where, b, 1)


def epsilon(dtype: np.dtype[Any]) -> float:
    """The spacing of numbers at 1, of mpmath's in the precision in force."""
    return float(context().eps if dtype.kind == "O" else np.finfo(dtype).eps)


def default_tolerance(dtype: np.dtype[Any]) -> float:
    """ε^(2/3), which is 4e-11 in float64, 2e-5 in float32: room for a problem to lose a third of its digits."""
    return epsilon(dtype) ** (2 / 3)
