"""Parts of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.errors import DTypeError, describe
from arrayad.random import Generator, default_rng

Positions = np.ndarray[Any, np.dtype[np.int64]]


def stratified_split(labels: Any, fraction: float, rng: Generator | int | None = None) -> tuple[Positions, Positions]:
    """Split positions at random into those kept and those held out: of each class `fraction` is held out, rounded.

    **Parameters** `labels`: integers, one for each example; `rng`: a generator or a seed.

    **Returns** two sorted arrays of positions, which together are all.

    **Example**

    >>> kept, held_out = stratified_split([0, 0, 0, 1, 1, 1], 1 / 3, rng=0)
    >>> len(kept), len(held_out)
    (4, 2)
    """
    classes = np.asarray(labels)
    if classes.dtype.kind not in "iu" or classes.ndim != 1:
        raise DTypeError(f"[stratified_split] labels are {describe(classes)}; a vector of integers is needed")
    if not 0 <= fraction <= 1:
        raise ValueError(f"[stratified_split] fraction is {fraction}; a share in [0, 1] is needed")
    rng = default_rng(rng)
    held_out = np.zeros(classes.shape, bool)
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        order = rng.permutation(len(members)).numpy()
        held_out[members[order[: round(fraction * len(members))]]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
