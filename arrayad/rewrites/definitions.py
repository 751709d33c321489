"""Functions of arrays by their definitions, without the care that they take of overflow: equal as real numbers."""

from __future__ import annotations

from typing import Any

from arrayad.primitives.arithmetic import divide, sqrt, square, subtract
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.exponential import exp, log
from arrayad.primitives.network import log_softmax, softmax
from arrayad.primitives.reduction import euclidean_norm, logsumexp
from arrayad.primitives.shape import reshape
from arrayad.rewriting import Match, rewrite, sample
from arrayad.tracing import aval_of


def real(m: Match) -> bool:
    return m.output.dtype.kind == "f" and aval_of(m["x"]).dtype == m.output.dtype


def normalised(m: Match, logarithm: bool) -> Any:
    """Shares in a sum of exponentials, or their logarithms."""
    x, axis = m["x"], m.params["axis"]
    e = m(exp, x)
    total = m(reduce_sum, e, axis=(axis,))
    total = m(log, total) if logarithm else total
    shape = tuple(1 if a == axis else n for a, n in enumerate(m.output.shape))
    total = m(reshape, total, shape=shape)
    return m(subtract, x, total) if logarithm else m(divide, e, total)


rewrite(
    "A norm is the root of the sum of squares.",
    (euclidean_norm, "x"),
    when=real,
    to=lambda m: m(sqrt, m(reduce_sum, m(square, m["x"]), axis=m.params["axis"])),
    samples=[sample(lambda x: euclidean_norm(x, axis=(0,)), (3, 2))],
    exact=False,
)

rewrite(
    "The logarithm of a sum of exponentials, as it says.",
    (logsumexp, "x"),
    when=real,
    to=lambda m: m(log, m(reduce_sum, m(exp, m["x"]), axis=m.params["axis"])),
    samples=[sample(lambda x: logsumexp(x, axis=(1,)), (3, 2))],
    exact=False,
)

rewrite(
    "Shares are exponentials over their sum.",
    (softmax, "x"),
    when=real,
    to=lambda m: normalised(m, False),
    samples=[sample(lambda x: softmax(x, axis=1), (3, 2))],
    exact=False,
)

rewrite(
    "Logarithms of shares are differences.",
    (log_softmax, "x"),
    when=real,
    to=lambda m: normalised(m, True),
    samples=[sample(lambda x: log_softmax(x, axis=0), (3, 2))],
    exact=False,
)
