"""The sparsity pattern of a tape: which inputs each element of each output can depend on.

Index sets go forward through the entries, a boolean matrix in compressed rows for each value: its rows are the value's
elements, its columns the elements of the inputs.  Every row of the table answers the column `pattern` (`arrayad.dependence`).
The pattern is structural: it holds whatever the values are, and so covers both operands of a selection.

**Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), section 7.1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.binding import is_recordable
from arrayad.dependence import Labels, Links, Pairs
from arrayad.extras import extra
from arrayad.shaped import Bundle, is_weak
from arrayad.tape import recorded
from arrayad.tensor import Tensor
from arrayad.tracing import Tape, aval_of, is_member

LIMIT = 1 << 28
"""Nonzeros of one value's pattern beyond which it is refused: a gigabyte of column indices."""


def import_sparse() -> Any:
    """The package scipy.sparse, or an error that says how to get it."""
    return extra("sparse", "scipy.sparse", "sparse")


def pattern(tape: Tape) -> list[Any]:
    """The pattern of each output: a boolean `scipy.sparse.csr_array` of its elements by the elements of all inputs.

    **Raises** `ImportError` without SciPy; `MemoryError` where a value's pattern is as good as dense and too large.
    """
    sparse = import_sparse()
    sizes = [entry.output.size for entry in tape.inputs]
    width, last_use = sum(sizes), last_uses(tape)
    sets: dict[Any, Any] = {}
    for entry, start, size in zip(tape.inputs, np.cumsum([0, *sizes]), sizes, strict=False):
        sets[entry] = sparse.eye_array(size, width, k=start, dtype=np.bool_, format="csr")
    for step, entry in enumerate(tape.entries):
        sets[entry] = dependence(entry, sets, tape, sparse)
        for done in last_use.get(step, ()):
            sets[done] = None
    return [dependence_of_output(y, sets, tape, width, sparse) for y in tape.outputs]


def last_uses(tape: Tape) -> dict[int, list[Any]]:
    """What is used last by each step of the tape: its index sets can go."""
    final = {recorded(y.history) for y in tape.outputs if is_member(y, tape)}
    last: dict[Any, int] = {}
    for step, entry in enumerate(tape.entries):
        last[entry] = step
        last.update((recorded(x.history), step) for x in entry.inputs if is_member(x, tape))
    uses: dict[int, list[Any]] = {}
    for entry, step in last.items():
        if entry not in final:
            uses.setdefault(step, []).append(entry)
    return uses


def dependence(entry: Any, sets: dict[Any, Any], tape: Tape, sparse: Any) -> Any:
    """The index sets of what an entry computes; None where it depends on nothing."""
    row, output = entry.primitive, entry.output
    if not is_recordable(row, output):
        return None
    operands = [aval_of(x) if is_member(x, tape) or is_weak(x) else x.value for x in entry.inputs]
    total = None
    for i, x in enumerate(entry.inputs):
        known = sets[recorded(x.history)] if is_member(x, tape) else None
        if known is None or known.nnz == 0:
            continue
        links = row.pattern(i, output, *operands, **entry.params)
        found = carried(known, links, size_of(output), sparse, entry)
        total = found if total is None else total + found
    return total


def size_of(output: Any) -> int:
    """The number of elements; the outputs of an operation that has several count as one together."""
    return 1 if output.__class__ is Bundle else math.prod(output.shape)


def carried(known: Any, links: Links, size: int, sparse: Any, entry: Any) -> Any:
    """The index sets of `size` elements that depend on an operand with the sets `known` as `links` say."""
    if links is None:
        links = [(np.zeros(size, np.intp), np.zeros(known.shape[0], np.intp))]
    if isinstance(links, Pairs):
        outer, inner = links
        return sparse.csr_array((np.ones(outer.size, np.bool_), (outer, inner)), shape=(size, known.shape[0])) @ known
    total = sparse.csr_array((size, known.shape[1]), dtype=np.bool_)
    for outer, inner in links:
        found = taken(united(known, inner.reshape(-1), sparse), outer.reshape(-1), sparse, entry)
        total = total + found if total.nnz else found
    return total


def united(known: Any, labels: Labels, sparse: Any) -> Any:
    """The union of the index sets of all elements with one label, for each label."""
    if is_counting(labels):
        return known
    place = np.flatnonzero(labels >= 0)
    height = int(labels.max(initial=-1)) + 1
    chosen = sparse.csr_array((np.ones(place.size, np.bool_), (labels[place], place)), shape=(height, labels.size))
    return chosen @ known


def taken(known: Any, labels: Labels, sparse: Any, entry: Any) -> Any:
    """The index set of each label, and the empty one for -1."""
    if labels.size == known.shape[0] and is_counting(labels):
        return known
    lengths = np.diff(known.indptr, append=known.indptr[-1]).astype(np.int64)  # one more, for what has no set
    lengths = lengths[np.where((labels >= 0) & (labels < known.shape[0]), labels, known.shape[0])]
    total = int(lengths.sum())
    if total > LIMIT:
        raise MemoryError(
            f"[sparse] the {labels.size} elements that {entry.primitive} makes depend on {total:.1e} inputs in all: "
            "this derivative is dense; use jacobian or hessian, or products with vectors"
        )
    stops = np.concatenate(([0], np.cumsum(lengths)))
    starts = known.indptr[np.where(lengths > 0, labels, 0)].astype(np.int64)
    columns = known.indices[np.arange(total) + np.repeat(starts - stops[:-1], lengths)]
    return sparse.csr_array((np.ones(total, np.bool_), columns, stops), shape=(labels.size, known.shape[1]))


def is_counting(labels: Labels) -> bool:
    """Whether the labels are 0, 1, 2, …"""
    return bool(labels.size == 0 or (labels[0] == 0 and labels[-1] == labels.size - 1 and (np.diff(labels) == 1).all()))


def dependence_of_output(y: Any, sets: dict[Any, Any], tape: Tape, width: int, sparse: Any) -> Any:
    """The pattern of an output, its columns in order."""
    found = sets[recorded(y.history)] if is_member(y, tape) else None
    if found is None:
        size = math.prod(y.shape) if y.__class__ is Tensor else np.size(y)
        return sparse.csr_array((size, width), dtype=np.bool_)
    found = found.copy()
    found.sum_duplicates()
    return found
