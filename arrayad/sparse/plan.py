"""How a few products with vectors make up a sparse matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from arrayad.readers.pattern import import_sparse
from arrayad.sparse.coloring import Coloring, boolean, count

Array = np.ndarray[Any, Any]


class Plan:
    """What a sparse derivative needs before any number is known: its pattern, a colouring, and where each nonzero shows.

    `pattern` is a boolean `csr_array`; `coloring` what `arrayad.sparse.color` makes of it; `sweeps` the number of products.

    **Raises** `ValueError` for a colouring that does not fit the pattern, or does not show one of its nonzeros by itself.
    """

    def __init__(self, pattern: Any, coloring: Coloring) -> None:
        self.pattern = matrix = boolean(pattern)
        self.coloring = coloring
        if (coloring.rows.size, coloring.columns.size) != matrix.shape:
            raise ValueError(
                f"[sparse] the colouring is of {coloring.rows.size} rows and {coloring.columns.size} columns, "
                f"the pattern's shape {matrix.shape}"
            )
        rows, columns = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices.astype(np.intp)
        in_forward = coloring.columns[columns]
        shows = is_alone(in_forward, rows)
        in_reverse = coloring.rows[rows]
        if not (shows | is_alone(in_reverse, columns)).all():
            raise ValueError(f"[sparse] the {coloring.mode} colouring hides a nonzero of the pattern; make one with sparse.color")
        self.forward = readings(in_forward, rows, shows, count(coloring.columns))
        self.reverse = readings(in_reverse, columns, ~shows, count(coloring.rows))

    def __repr__(self) -> str:
        height, width = self.pattern.shape
        return (
            f"<Plan of {self.sweeps} sweeps, {self.coloring.mode}: {self.pattern.nnz} nonzeros in {height} rows, {width} columns>"
        )

    @property
    def sweeps(self) -> int:
        return self.coloring.sweeps

    def tangents(self, dtype: Any) -> Iterator[Array]:
        """The vectors by which to multiply the matrix: for each colour the sum of its unit vectors."""
        return ((self.coloring.columns == k).astype(dtype) for k in range(len(self.forward)))

    def cotangents(self, dtype: Any) -> Iterator[Array]:
        """The vectors by which to multiply its transpose; none where that is the matrix itself."""
        colors = 0 if self.coloring.mode == "symmetric" else len(self.reverse)
        return ((self.coloring.rows == k).astype(dtype) for k in range(colors))

    def assemble(self, forward: Iterable[Array], reverse: Iterable[Array], dtype: Any) -> Any:
        """The matrix, given its products with the tangents, and those of its transpose with the cotangents."""
        data = np.zeros(self.pattern.nnz, dtype)
        for k, product in enumerate(forward):
            read(product, self.forward[k], data)
            if self.coloring.mode == "symmetric":
                read(product, self.reverse[k], data)
        for k, product in enumerate(reverse):
            read(product, self.reverse[k], data)
        structure = data, self.pattern.indices.copy(), self.pattern.indptr.copy()
        return import_sparse().csr_array(structure, shape=self.pattern.shape)


class Reading(NamedTuple):
    """What one product shows: nonzero `nonzeros[k]` of the matrix is its element `elements[k]`."""

    nonzeros: Array
    elements: Array


def readings(colors: Array, elements: Array, chosen: Array, number: int) -> list[Reading]:
    """What each of `number` products shows of the chosen nonzeros, given for every nonzero its colour and element."""
    if number == 0:
        return []
    nonzeros = np.flatnonzero(chosen)
    nonzeros = nonzeros[np.argsort(colors[nonzeros], kind="stable")]
    bounds = np.searchsorted(colors[nonzeros], np.arange(1, number))
    return [Reading(part, elements[part]) for part in np.split(nonzeros, bounds)]


def read(product: Array, reading: Reading, data: Array) -> None:
    """Put what a product shows among the nonzeros."""
    data[reading.nonzeros] = product[reading.elements]


def is_alone(colors: Array, lines: Array) -> Array:
    """Whether no other nonzero of its line has the nonzero's colour."""
    keys = lines * (int(colors.max(initial=0)) + 2) + colors + 1
    _, places, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray((counts[places] == 1) & (colors >= 0))
