"""Batches of examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from arrayad.errors import ShapeError, describe
from arrayad.random import Generator, default_rng
from arrayad.tensor import Tensor, handle


class Batches:
    """Goes through arrays in batches along their first axis, in a new random order each time that it is iterated over.

    **Parameters** `arrays`: arrays of equally many examples; `batch_size`: how many at a time; `shuffle`: False for the order
    in which they stand; `drop_last`: leave out what does not fill a batch; `rng`: a generator or a seed.

    **Example**

    >>> for x, y in Batches([1.0, 2.0, 3.0], [1, 2, 3], batch_size=2, shuffle=False):
    ...     print(x, y)
    Tensor([1., 2.]) Tensor([1, 2])
    Tensor([3.]) Tensor([3])
    """

    def __init__(
        self,
        *arrays: Any,
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = False,
        rng: Generator | int | None = None,
    ) -> None:
        self.arrays = [np.asarray(array) for array in arrays]
        if len({array.shape[:1] for array in self.arrays}) != 1 or self.arrays[0].ndim == 0:
            came = ", ".join(map(describe, self.arrays)) or "nothing"
            raise ShapeError(f"[Batches] {came} came; arrays whose first axes agree are needed")
        if batch_size < 1:
            raise ValueError(f"[Batches] batch_size is {batch_size}; at least 1 is needed")
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last
        self.rng = default_rng(rng)

    def __len__(self) -> int:
        count = len(self.arrays[0])
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        count = len(self.arrays[0])
        order = self.rng.permutation(count).numpy() if self.shuffle else np.arange(count)
        for i in range(len(self)):
            chosen = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield tuple(handle(array[chosen]) for array in self.arrays)
