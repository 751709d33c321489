"""Rows that are compositions of others, written out, so that their parts fuse with what surrounds them.

Each expansion is a function of Tensors, traced by shapes when a row is lowered.  It gives what the row's kernel gives, nan and
infinity included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.compiler.ir import Read
from arrayad.compiler.lower import RULES, Builder
from arrayad.compiler.text import C_TYPES
from arrayad.primitive import TABLE
from arrayad.primitives.arithmetic import absolute, sqrt, square
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.casting import astype
from arrayad.primitives.comparison import equal, greater, isfinite, less, logical_and
from arrayad.primitives.exponential import exp, log
from arrayad.primitives.reduction import along, reduce_max, safe_range
from arrayad.primitives.selection import at_least, where
from arrayad.shaped import Shaped, is_weak
from arrayad.tracing import record


def kept(fold: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """A fold whose axes stay, with length 1."""
    return along(fold(x, axis=axis), x, axis)


def softmax(x: Any, *, axis: int) -> Any:
    e = exp(x - kept(reduce_max, x, (axis,)))
    return e / kept(reduce_sum, e, (axis,))


def softmax_product(x1: Any, x2: Any, *, axis: int) -> Any:
    return x2 * (x1 - kept(reduce_sum, x1 * x2, (axis,)))


def log_softmax(x: Any, *, axis: int) -> Any:
    shifted = x - kept(reduce_max, x, (axis,))
    return shifted - log(kept(reduce_sum, exp(shifted), (axis,)))


def log_softmax_cotangent(x1: Any, x2: Any, *, axis: int) -> Any:
    return x1 - exp(x2) * kept(reduce_sum, x1, (axis,))


def shift_of(x: Any, axis: tuple[int, ...]) -> Any:
    """The largest element, 0 where that is infinite or nan."""
    largest = kept(reduce_max, x, axis)
    return where(isfinite(largest), largest, 0.0)


def logsumexp(x: Any, *, axis: tuple[int, ...]) -> Any:
    shift = shift_of(x, axis)
    total = reduce_sum(exp(x - shift), axis=axis)
    return log(total) + shift.reshape(total.shape)


def softmax_weights(x1: Any, x2: Any, *, axis: tuple[int, ...]) -> Any:
    y = along(x2, x1, axis)
    weights = exp(x1 - where(equal(y, -np.inf), 0.0, y))
    infinite = logical_and(equal(x1, np.inf), equal(y, np.inf))
    count = at_least(kept(reduce_sum, astype(infinite, dtype=x1.dtype), axis), 1.0)
    return where(infinite, 1.0 / count, weights)


def euclidean_norm(x: Any, *, axis: tuple[int, ...]) -> Any:
    plain = reduce_sum(square(x), axis=axis)
    low, high = safe_range(x.dtype)
    largest = kept(reduce_max, absolute(x), axis)
    scale = where(logical_and(greater(largest, 0.0), isfinite(largest)), largest, 1.0)
    scaled = sqrt(reduce_sum(square(x / scale), axis=axis)) * scale.reshape(plain.shape)
    safe = logical_and(greater(plain, float(low)), less(plain, float(high)))
    return where(safe, sqrt(plain), scaled)


def cross_entropy(x: Any, labels: Any, *, ignore_index: int) -> Any:
    last = x.ndim - 1
    classes = np.arange(x.shape[last])
    counted = labels != ignore_index
    is_label = equal(along(labels, x, (last,)), classes)
    shift = shift_of(x, (last,))
    chosen = reduce_sum(where(is_label, x - shift, 0.0), axis=(last,))
    return where(counted, log(reduce_sum(exp(x - shift), axis=(last,))) - chosen, 0.0)


def cross_entropy_cotangent(ct: Any, x: Any, labels: Any, *, ignore_index: int) -> Any:
    last = x.ndim - 1
    label = along(labels, x, (last,))
    onehot = astype(equal(label, np.arange(x.shape[last])), dtype=x.dtype)
    found = along(ct, x, (last,)) * (softmax(x, axis=last) - onehot)
    return where(label != ignore_index, found, 0.0)


EXPANSIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        *(softmax, softmax_product, log_softmax, log_softmax_cotangent, logsumexp, softmax_weights, euclidean_norm),
        *(cross_entropy, cross_entropy_cotangent),
    )
}


def expanded(builder: Builder, entry: Any, *operands: Any, **params: Any) -> Read | None:
    """The rule of a row that has an expansion."""
    name = entry.primitive.name
    avals = [x if is_weak(x) else Shaped(x.view.shape, x.node.dtype) for x in operands]
    if any(is_weak(x) or x.dtype.name not in C_TYPES for x in avals) or aval_of_output(entry).dtype.kind != "f":
        return None
    if 0 in avals[0].shape or 0 in aval_of_output(entry).shape:
        return None
    if name.startswith("cross_entropy"):
        check_labels(builder, entry, operands[-1], operands[-2].view.shape[-1], params["ignore_index"])
    tape = record(lambda *xs: EXPANSIONS[name](*xs, **params), avals)
    return builder.run(tape, operands)[0]


def aval_of_output(entry: Any) -> Any:
    return entry.output


def check_labels(builder: Builder, entry: Any, labels: Read, classes: int, ignored: int) -> None:
    """Let the program fail where a label is no class."""
    kind = labels.node.dtype
    text = f"(x >= 0 && x < {classes}) || x == {ignored}" if kind.kind == "i" else f"x < {classes} || x == {max(ignored, 0)}"
    inside = builder.map("is_class", text, kind, [labels], np.bool_)
    needed = f"0 … {classes - 1} are needed, or {ignored}, which is ignored"
    words = f"[cross_entropy] a label is no class: {needed}; at {entry.location}"
    builder.check(builder.reduce("all", inside, tuple(range(len(labels.view.shape)))), lambda place: IndexError(words))


RULES.update({TABLE[name]: expanded for name in EXPANSIONS})
