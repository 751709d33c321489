"""Sums over axes."""

from __future__ import annotations

import math
from typing import Any

from arrayad.primitives.arithmetic import add, multiply
from arrayad.primitives.broadcasting import broadcast_to, reduce_sum, with_ones
from arrayad.primitives.reduction import reduce_max, reduce_min
from arrayad.primitives.shape import reshape
from arrayad.rewriting import Match, rewrite, sample
from arrayad.tracing import aval_of

F4 = "float32"

rewrite(
    "An extremum over no axis, or over axes of length 1.",
    (reduce_max, "x"),
    (reduce_min, "x"),
    when=lambda m: all(aval_of(m["x"]).shape[a] == 1 for a in m.params["axis"]),
    to=lambda m: m(reshape, m["x"], shape=m.output.shape),
    samples=[sample(lambda x: reduce_max(x, axis=()), (3,)), sample(lambda x: reduce_min(x, axis=(1,)), (3, 1))],
)


def plus_zero(m: Match, x: Any) -> Any:
    """What a sum of one element is: it begins with 0.0, so that it is never -0.0."""
    return m(add, x, 0.0 if m.output.dtype.kind in "fc" else 0)


rewrite(
    "A sum over no axis, or over axes of length 1.",
    (reduce_sum, "x"),
    when=lambda m: m.output.dtype.kind in "iuf" and all(aval_of(m["x"]).shape[a] == 1 for a in m.params["axis"]),
    to=lambda m: plus_zero(m, m(reshape, m["x"], shape=m.output.shape)),
    samples=[
        sample(lambda x: reduce_sum(x, axis=()), (2, 3)),
        sample(lambda x: reduce_sum(x, axis=(0, 2)), (1, 3, 1)),
        sample(lambda x: reduce_sum(x, axis=(0,)), (1, 3), dtypes="int64"),
    ],
)


def both_axes(m: Match) -> tuple[int, ...]:
    """The axes that a sum of a sum is over, in the innermost operand."""
    (inner,) = m.inner
    gone = set(inner.params["axis"])
    left = [a for a in range(aval_of(m["x"]).ndim) if a not in gone]
    return tuple(sorted(gone | {left[a] for a in m.params["axis"]}))


rewrite(
    "A maximum of maxima.",
    (reduce_max, (reduce_max, "x")),
    when=lambda m: m.graph.is_alone(m.inner[0]),
    to=lambda m: m(reduce_max, m["x"], axis=both_axes(m)),
    samples=[sample(lambda x: reduce_max(reduce_max(x, axis=(1,)), axis=(0,)), (2, 3))],
)

rewrite(
    "A sum of sums.",
    (reduce_sum, (reduce_sum, "x")),
    when=lambda m: m.graph.is_alone(m.inner[0]),
    to=lambda m: m(reduce_sum, m["x"], axis=both_axes(m)),
    samples=[sample(lambda x: reduce_sum(reduce_sum(x, axis=(1,)), axis=(0, 1)), (2, 3, 2), dtypes=F4)],
    reorders=True,
)


def repeated_axes(m: Match) -> tuple[list[int], list[int]]:
    """The axes of a sum along which a broadcast repeats its operand, and the others."""
    x, (spread,) = aval_of(m["x"]), m.inner
    lead = len(spread.output.shape) - x.ndim
    repeats = [a < lead or x.shape[a - lead] != spread.output.shape[a] for a in range(len(spread.output.shape))]
    axis = m.params["axis"]
    return [a for a in axis if repeats[a]], [a for a in axis if not repeats[a]]


def sum_of_repeated(m: Match) -> Any:
    """The sum over the axes that do not repeat, times the number of repetitions."""
    repeated, others = repeated_axes(m)
    if not repeated:
        return None
    shape = m.inner[0].output.shape
    lead = len(shape) - aval_of(m["x"]).ndim
    x = m(reshape, m["x"], shape=(1,) * lead + aval_of(m["x"]).shape)
    x = m(broadcast_to, x, shape=with_ones(shape, tuple(repeated)))
    total = m(reduce_sum, x, axis=tuple(others)) if others else x
    return m(multiply, m(reshape, total, shape=m.output.shape), float(math.prod(shape[a] for a in repeated)))


rewrite(
    "A sum of repetitions.",
    (reduce_sum, (broadcast_to, "x")),
    when=lambda m: m.output.dtype.kind == "f" and 0 not in m.inner[0].output.shape,
    to=sum_of_repeated,
    samples=[
        sample(lambda x: reduce_sum(broadcast_to(x, shape=(4, 3)), axis=(0,)), (3,)),
        sample(lambda x: reduce_sum(broadcast_to(x, shape=(4, 3)), axis=(0, 1)), (4, 1)),
    ],
    reorders=True,
)
