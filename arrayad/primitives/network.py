"""Rows of classification: softmax, its logarithm, cross entropy with class labels, and what their derivatives are made of.

In the formulas a sum runs over `axis`, a nonnegative int, or over the last axis, that of the classes.  An element that is
-inf has share 0; a set whose elements are all -inf, or one of which is +inf or nan, has no shares: they are nan.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad import kernels
from arrayad.arbitrary import filled
from arrayad.dependence import along_axis, along_last_axis
from arrayad.kernels.real import of_real
from arrayad.primitive import OUTPUT, general, like_first
from arrayad.primitives.broadcasting import all_alike, along_next_axis, reduce_sum
from arrayad.primitives.comparison import not_equal
from arrayad.primitives.exponential import exp
from arrayad.primitives.reduction import along
from arrayad.primitives.selection import where
from arrayad.samples import Samples
from arrayad.shaped import Shaped
from arrayad.tensor import handle
from arrayad.weights import BASIC, ELEMENTARY, QUOTIENT

CASES: list[Any] = [
    ((3, 4), {"axis": 1}),
    ((3, 4), {"axis": 0}),
    ((2, 3, 2), {"axis": 1}),
    ((5,), {"axis": 0}),
    ((0, 3), {"axis": 1}),
]
EMPTY: list[Any] = [((3, 0), {"axis": 1})]
PAIRS: list[Any] = [((shape, shape), params) for shape, params in CASES + EMPTY]


def total(x: Any, axis: int) -> Any:
    """Σ x, with the axis kept at length 1."""
    return along(reduce_sum(x, axis=(axis,)), x, (axis,))


def sets(x: Shaped, axis: int) -> int:
    """How many sets of elements there are along an axis."""
    return x.size // max(1, x.shape[axis])


def over_last(name: str, numpy: Any) -> Any:
    """The kernel of a row: C, which takes the last axis, or `numpy(*operands, axis)`, which takes any."""
    large = kernels.rowwise(name, lambda *operands: numpy(*operands, -1))

    def kernel(*operands: Any, axis: int) -> Any:
        if axis == operands[0].ndim - 1:
            return large(*operands)
        return numpy(*operands, axis)

    return kernel


def shifted(x: Any, axis: int) -> Any:
    """x less its largest element: no exponential of it overflows."""
    return x - np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)


# --- softmax -----------------------------------------------------------------------------------------------------------


@of_real
def softmax_kernel(x: Any, axis: int) -> Any:
    with np.errstate(invalid="ignore"):
        y = np.exp(shifted(x, axis))
    y /= np.add.reduce(y, axis=axis, keepdims=True)
    return y


def softmax_jvp(tangents: Any, y: Any, x: Any, *, axis: int) -> Any:
    return softmax_product(tangents[0], y, axis=axis)


def softmax_vjp(needed: Any, ct: Any, y: Any, x: Any, *, axis: int) -> Any:
    return (softmax_product(ct, y, axis=axis),)


softmax = general(
    "softmax",
    """The share of each exponential in their sum over `axis`, without overflow: y[j] = e^x[j] / Σ e^x.

    It is nan throughout where all elements are -inf, or one is +inf or nan.
    """,
    numpy=over_last("softmax", softmax_kernel),
    shape=like_first,
    jvp=softmax_jvp,
    vjp=softmax_vjp,
    residuals=(OUTPUT,),
    pattern=along_axis,
    batch=along_next_axis,
    samples=Samples(cases=CASES + EMPTY),
    cost=lambda output, x, **params: (3 * BASIC + ELEMENTARY + QUOTIENT) * x.size,
)


@of_real
def softmax_product_kernel(x1: Any, x2: Any, axis: int) -> Any:
    inner = np.add.reduce(x1 * x2, axis=axis, keepdims=True)
    y = x1 - inner
    y *= x2
    return y


def softmax_product_jvp(tangents: Any, out: Any, v: Any, y: Any, *, axis: int) -> Any:
    """With s = Σ v y: t_y (v - s) + y (t_v - Σ (t_v y + v t_y))."""
    by_v, by_y = tangents
    if by_y is None:
        return softmax_product(by_v, y, axis=axis)
    first = by_y * (v - total(v * y, axis))
    if by_v is None:
        return first - y * total(v * by_y, axis)
    return first + y * (by_v - total(by_v * y + v * by_y, axis))


def softmax_product_vjp(needed: Any, ct: Any, out: Any, v: Any, y: Any, *, axis: int) -> Any:
    """With s = Σ ct y: y (ct - s) and ct (v - Σ v y) - v s."""
    if not needed[1]:
        return softmax_product(ct, y, axis=axis), None
    shared = total(ct * y, axis)
    by_y = ct * (v - total(v * y, axis)) - v * shared
    return (y * (ct - shared) if needed[0] else None), by_y


softmax_product = general(
    "softmax_product",
    """The Jacobian of softmax, whose output is `x2`, times `x1`: out[j] = x2[j] (x1[j] - Σ x1 x2).

    The Jacobian is symmetric, so this is both the tangent and the cotangent.
    """,
    numpy=over_last("softmax_vjp", softmax_product_kernel),
    shape=like_first,
    jvp=softmax_product_jvp,
    vjp=softmax_product_vjp,
    residuals=(0, 1),
    pattern=along_axis,
    batch=along_next_axis,
    samples=Samples(cases=PAIRS, low=(-3.0, 0.0), high=(3.0, 1.0)),
    cost=lambda output, *operands, **params: 4 * BASIC * output.size,
)


# --- the logarithm of softmax --------------------------------------------------------------------------------------------


@of_real
def log_softmax_kernel(x: Any, axis: int) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        y = shifted(x, axis)
        y -= np.log(np.add.reduce(np.exp(y), axis=axis, keepdims=True))
    return y


def log_softmax_jvp(tangents: Any, y: Any, x: Any, *, axis: int) -> Any:
    return tangents[0] - total(tangents[0] * exp(y), axis)


def log_softmax_vjp(needed: Any, ct: Any, y: Any, x: Any, *, axis: int) -> Any:
    return (log_softmax_cotangent(ct, y, axis=axis),)


log_softmax = general(
    "log_softmax",
    """The logarithm of softmax over `axis`, with the digits of small shares: y[j] = x[j] - ln Σ e^x.

    It is nan throughout where all elements are -inf, or one is +inf or nan.
    """,
    numpy=over_last("log_softmax", log_softmax_kernel),
    shape=like_first,
    jvp=log_softmax_jvp,
    vjp=log_softmax_vjp,
    residuals=(OUTPUT,),
    pattern=along_axis,
    batch=along_next_axis,
    samples=Samples(cases=CASES + EMPTY),
    cost=lambda output, x, *, axis: (4 * BASIC + ELEMENTARY) * x.size + ELEMENTARY * sets(x, axis),
)


@of_real
def log_softmax_cotangent_kernel(x1: Any, x2: Any, axis: int) -> Any:
    y = np.exp(x2)
    y *= np.add.reduce(x1, axis=axis, keepdims=True)
    return np.subtract(x1, y, out=y)


def log_softmax_cotangent_jvp(tangents: Any, out: Any, ct: Any, y: Any, *, axis: int) -> Any:
    by_ct, by_y = tangents
    first = None if by_ct is None else log_softmax_cotangent(by_ct, y, axis=axis)
    second = None if by_y is None else -(by_y * exp(y) * total(ct, axis))
    return second if first is None else first if second is None else first + second


def log_softmax_cotangent_vjp(needed: Any, u: Any, out: Any, ct: Any, y: Any, *, axis: int) -> Any:
    shared = u * exp(y)
    by_ct = u - total(shared, axis) if needed[0] else None
    by_y = -(shared * total(ct, axis)) if needed[1] else None
    return by_ct, by_y


log_softmax_cotangent = general(
    "log_softmax_cotangent",
    """The cotangent of log_softmax, whose output is `x2`, given that of the output: out[j] = x1[j] - e^x2[j] Σ x1.""",
    numpy=over_last("log_softmax_vjp", log_softmax_cotangent_kernel),
    shape=like_first,
    jvp=log_softmax_cotangent_jvp,
    vjp=log_softmax_cotangent_vjp,
    residuals=(0, 1),
    pattern=along_axis,
    batch=along_next_axis,
    samples=Samples(cases=PAIRS, high=(3.0, 0.0)),
    cost=lambda output, *operands, **params: (3 * BASIC + ELEMENTARY) * output.size,
)


# --- cross entropy with class labels ---------------------------------------------------------------------------------------


def flat(labels: Any) -> Any:
    """Labels as the kernels take them: a vector of int64 in C order."""
    return np.ascontiguousarray(np.reshape(labels, -1), np.int64)


@of_real
def cross_entropy_kernel(x: Any, labels: Any, *, ignore_index: int) -> Any:
    with np.errstate(invalid="ignore"):
        loss = kernels.cross_entropy(x.reshape(-1, x.shape[-1]), flat(labels), ignore_index)
    return loss.reshape(x.shape[:-1])


def is_counted(labels: Any, ignore_index: int) -> Any:
    """Whether a row is not ignored, with an axis for the classes."""
    counted = not_equal(labels, ignore_index)
    return along(counted, Shaped((*labels.shape, 1), bool), (labels.ndim,))


def unit_gradient(x: Any, labels: Any, ignore_index: int) -> Any:
    """The derivative of each row's loss by its logits, softmax - onehot."""
    ones = handle(filled(x.shape[:-1], 1, x.dtype))
    return cross_entropy_cotangent(ones, x, labels, ignore_index=ignore_index)


def cross_entropy_jvp(tangents: Any, y: Any, x: Any, labels: Any, *, ignore_index: int) -> Any:
    return reduce_sum(tangents[0] * unit_gradient(x, labels, ignore_index), axis=(x.ndim - 1,))


def cross_entropy_vjp(needed: Any, ct: Any, y: Any, x: Any, labels: Any, *, ignore_index: int) -> Any:
    return cross_entropy_cotangent(ct, x, labels, ignore_index=ignore_index), None


LABELLED = [(((4, 3), (4,)), -100), (((4, 3), (4,)), 1), (((2, 2, 3), (2, 2)), 0), (((3,), ()), -100), (((0, 3), (0,)), -100)]

cross_entropy = general(
    "cross_entropy",
    """Cross entropy of logits with class labels: y[r] = ln Σ e^x1[r, :] - x1[r, x2[r]]; 0 where x2[r] is `ignore_index`.

    The logits' last axis is that of the classes; the labels are integers in the shape of the other axes.

    **Raises** `IndexError` for a label that is no class.
    """,
    numpy=cross_entropy_kernel,
    shape=lambda x, labels, *, ignore_index: Shaped(x.shape[:-1], x.dtype),
    jvp=cross_entropy_jvp,
    vjp=cross_entropy_vjp,
    residuals=(0, 1),
    pattern=along_last_axis,
    batch=all_alike,
    samples=Samples(
        cases=[(shapes, {"ignore_index": ignored}) for shapes, ignored in LABELLED],
        dtypes={1: "int64"},
        low=(-3.0, 0),
        high=(3.0, 2),
    ),
    cost=lambda output, x, *labels, **params: (3 * BASIC + ELEMENTARY) * x.size + (2 * BASIC + ELEMENTARY) * output.size,
)


@of_real
def cotangent_kernel(ct: Any, x: Any, labels: Any, *, ignore_index: int) -> Any:
    with np.errstate(invalid="ignore"):
        rows = np.ascontiguousarray(np.reshape(ct, -1))
        return kernels.cross_entropy_vjp(rows, x.reshape(-1, x.shape[-1]), flat(labels), ignore_index).reshape(x.shape)


def curvature(v: Any, ct: Any, x: Any, labels: Any, ignore_index: int) -> Any:
    """The second derivative of the losses times `v`, times the rows' cotangents; 0 in ignored rows, whatever they hold."""
    last = x.ndim - 1
    product = along(ct, x, (last,)) * softmax_product(v, softmax(x, axis=last), axis=last)
    return where(is_counted(labels, ignore_index), product, 0.0)


def cotangent_jvp(tangents: Any, out: Any, ct: Any, x: Any, labels: Any, *, ignore_index: int) -> Any:
    by_ct, by_x = tangents[:2]
    first = None if by_ct is None else cross_entropy_cotangent(by_ct, x, labels, ignore_index=ignore_index)
    second = None if by_x is None else curvature(by_x, ct, x, labels, ignore_index)
    return second if first is None else first if second is None else first + second


def cotangent_vjp(needed: Any, u: Any, out: Any, ct: Any, x: Any, labels: Any, *, ignore_index: int) -> Any:
    by_ct = reduce_sum(u * unit_gradient(x, labels, ignore_index), axis=(x.ndim - 1,)) if needed[0] else None
    by_x = curvature(u, ct, x, labels, ignore_index) if needed[1] else None
    return by_ct, by_x, None


cross_entropy_cotangent = general(
    "cross_entropy_cotangent",
    """The cotangent of the logits, given that of the losses: out[r, j] = x1[r] (softmax(x2[r])[j] - [j = x3[r]]).

    It is 0 in rows whose label is `ignore_index`, whatever they hold.
    """,
    numpy=cotangent_kernel,
    shape=lambda ct, x, labels, *, ignore_index: x,
    jvp=cotangent_jvp,
    vjp=cotangent_vjp,
    residuals=(0, 1, 2),
    pattern=along_last_axis,
    batch=all_alike,
    samples=Samples(
        cases=[((shapes[1], *shapes), {"ignore_index": ignored}) for shapes, ignored in LABELLED],
        dtypes={2: "int64"},
        low=(-3.0, -3.0, 0),
        high=(3.0, 3.0, 2),
    ),
    cost=lambda output, *operands, **params: (4 * BASIC + ELEMENTARY + QUOTIENT) * output.size,
)
