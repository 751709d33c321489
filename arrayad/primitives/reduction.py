"""Reductions other than the sum: products, extremes and where they are, norms, logarithms of sums, `any` and `all`.

The rows take `axis` as a sorted tuple of nonnegative axes.  In the formulas a sum, product or maximum without further
word runs over the axes that are reduced.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from arrayad import kernels
from arrayad.dependence import along_axis
from arrayad.kernels.real import of_real, ordered
from arrayad.primitive import OUTPUT, folding, general
from arrayad.primitives.arithmetic import ratio
from arrayad.primitives.broadcasting import EMPTY, SHAPES, along_next_axes, broadcast_to, reduce_sum, reduced, with_ones, without
from arrayad.primitives.casting import astype, part_shape, real_part
from arrayad.primitives.comparison import equal
from arrayad.primitives.complex import conjugated
from arrayad.primitives.scan import exclusive_product
from arrayad.primitives.selection import at_least, where
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.samples import Samples
from arrayad.shaped import Shaped
from arrayad.weights import BASIC, ELEMENTARY, QUOTIENT

CASES: list[Any] = [*SHAPES, *EMPTY]
NONEMPTY: list[Any] = [*SHAPES, ((0, 3), {"axis": (1,)}), ((2, 1), {"axis": (1,)}), ((), {"axis": ()})]


def along(y: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """A reduced array with its axes of length 1 put back, so that it broadcasts against `x`."""
    return reshape(y, shape=with_ones(x.shape, axis))


# --- products -------------------------------------------------------------------------------------------------------


def product_kernel(x: Any, axis: tuple[int, ...]) -> Any:
    return np.multiply.reduce(x, axis=axis, dtype=x.dtype)


def product_of_others(x: Any, axis: tuple[int, ...], factor: Any = None) -> Any:
    """The product of all elements but one, for each one, and of a factor of the shape of the product of all.

    There is no division, so zeros do no harm, to any order.
    """
    kept = tuple(i for i in range(x.ndim) if i not in axis)
    order = (*kept, *axis)
    lanes = permute_dims(x, axes=order)
    flat = reshape(lanes, shape=(*(x.shape[i] for i in kept), int(np.prod([x.shape[i] for i in axis]))))
    last = flat.ndim - 1
    start = None if factor is None else reshape(factor, shape=(*factor.shape, 1))
    others = exclusive_product(flat, last, reverse=False) * exclusive_product(flat, last, reverse=True, first=start)
    return permute_dims(reshape(others, shape=lanes.shape), axes=tuple(int(i) for i in np.argsort(order)))


def product_jvp(tangents: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    return reduce_sum(tangents[0] * product_of_others(x, axis), axis=axis)


def product_vjp(needed: Any, ct: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    return (product_of_others(x, axis, ct),)


reduce_prod = general(
    "reduce_prod",
    """Product over `axis`: y = Π x, in the operand's dtype; ∂y/∂x[i] is the product of the others, zero or not.""",
    numpy=kernels.reduction("prod", product_kernel),
    shape=reduced,
    jvp=product_jvp,
    vjp=product_vjp,
    residuals=(0,),
    pattern=along_axis,
    batch=along_next_axes,
    samples=Samples(cases=CASES, complex=True),
    cost=folding,
)


# --- extremes -------------------------------------------------------------------------------------------------------


@ordered
def maximum_kernel(x: Any, axis: tuple[int, ...]) -> Any:
    return np.maximum.reduce(x, axis=axis)


@ordered
def minimum_kernel(x: Any, axis: tuple[int, ...]) -> Any:
    return np.minimum.reduce(x, axis=axis)


def attained(x: Any, y: Any, axis: tuple[int, ...], dtype: Any) -> tuple[Any, Any]:
    """Which elements are the extreme, and how many of them there are in each reduced set (1 where it is nan)."""
    chosen = equal(x, along(y, x, axis))
    return chosen, at_least(reduce_sum(astype(chosen, dtype=dtype), axis=axis), 1.0)


def extreme_jvp(tangents: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    chosen, count = attained(x, y, axis, y.dtype)
    return reduce_sum(where(chosen, tangents[0], 0.0), axis=axis) / count


def extreme_vjp(needed: Any, ct: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    chosen, count = attained(x, y, axis, ct.dtype)
    return (where(chosen, along(ct / count, x, axis), 0.0),)


reduce_max = general(
    "reduce_max",
    """Largest element over `axis`: y = max x; nan if any is.

    **Kinks** elements that tie share the derivative equally; at nan it is 0.
    """,
    numpy=kernels.reduction("max", maximum_kernel),
    shape=reduced,
    jvp=extreme_jvp,
    vjp=extreme_vjp,
    residuals=(0, OUTPUT),
    pattern=along_axis,
    batch=along_next_axes,
    samples=Samples(cases=NONEMPTY, distinct=True),
    cost=folding,
    kind="selection",
)

reduce_min = general(
    "reduce_min",
    """Smallest element over `axis`: y = min x; nan if any is.

    **Kinks** elements that tie share the derivative equally; at nan it is 0.
    """,
    numpy=kernels.reduction("min", minimum_kernel),
    shape=reduced,
    jvp=extreme_jvp,
    vjp=extreme_vjp,
    residuals=(0, OUTPUT),
    pattern=along_axis,
    batch=along_next_axes,
    samples=Samples(cases=NONEMPTY, distinct=True),
    cost=folding,
    kind="selection",
)


def first_nan_or(position: Any, x: Any, axis: int) -> Any:
    """NumPy's position of an extreme; among objects, which it compares, that of the first nan is found apart."""
    if x.dtype.kind != "O":
        return position(x, axis=axis)
    unordered = np.isnan(x)
    return np.where(unordered.any(axis=axis), np.argmax(unordered, axis=axis), position(np.where(unordered, 0, x), axis=axis))


@of_real
def argmax_kernel(x: Any, axis: tuple[int, ...]) -> Any:
    return first_nan_or(np.argmax, x, axis[0])


@of_real
def argmin_kernel(x: Any, axis: tuple[int, ...]) -> Any:
    return first_nan_or(np.argmin, x, axis[0])


def indices(x: Shaped, *, axis: tuple[int, ...]) -> Shaped:
    """The shape rule of what finds positions."""
    return Shaped(without(x.shape, axis), np.intp)


ONE_AXIS = [((5,), {"axis": (0,)}), ((2, 3, 4), {"axis": (1,)}), ((0, 3), {"axis": (1,)})]

argmax = general(
    "argmax",
    """Position of the first largest element along the one axis in `axis`; of the first nan where there is one.""",
    numpy=kernels.reduction("argmax", argmax_kernel),
    shape=indices,
    batch=along_next_axes,
    samples=Samples(cases=ONE_AXIS),
    cost=folding,
)

argmin = general(
    "argmin",
    """Position of the first smallest element along the one axis in `axis`; of the first nan where there is one.""",
    numpy=kernels.reduction("argmin", argmin_kernel),
    shape=indices,
    batch=along_next_axes,
    samples=Samples(cases=ONE_AXIS),
    cost=folding,
)


# --- truth ----------------------------------------------------------------------------------------------------------


def truths(x: Shaped, *, axis: tuple[int, ...]) -> Shaped:
    """The shape rule of `any` and `all`."""
    return Shaped(without(x.shape, axis), np.bool_)


reduce_any = general(
    "reduce_any",
    """Whether any element over `axis` is not 0; nan is not 0.""",
    numpy=lambda x, *, axis: np.logical_or.reduce(x, axis=axis, dtype=np.bool_),
    shape=truths,
    batch=along_next_axes,
    samples=Samples(cases=CASES, dtypes={0: "bool"}),
    cost=folding,
)

reduce_all = general(
    "reduce_all",
    """Whether every element over `axis` is not 0; nan is not 0.""",
    numpy=lambda x, *, axis: np.logical_and.reduce(x, axis=axis, dtype=np.bool_),
    shape=truths,
    batch=along_next_axes,
    samples=Samples(cases=CASES, dtypes={0: "bool"}),
    cost=folding,
)


# --- the Euclidean norm ---------------------------------------------------------------------------------------------

SAFE = 1e-2
"""Between tiny**(1 - SAFE) and its reciprocal, a sum of squares has lost nothing to underflow or overflow."""


@functools.cache
def safe_range(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Between what limits a sum of squares has lost nothing to under- or overflow: any of numbers of mpmath's."""
    if dtype.kind == "O":
        return -np.inf, np.inf
    low = dtype.type(np.finfo(dtype).tiny) ** dtype.type(1 - SAFE)
    return low, 1 / low


def norm_kernel(x: Any, *, axis: tuple[int, ...]) -> Any:
    """The root of the sum of squares; scaled by the largest element where the squares under- or overflow."""
    if x.dtype.kind == "c":
        x = np.absolute(x)
    with np.errstate(over="ignore", under="ignore"):
        squares = np.add.reduce(np.square(x), axis=axis, dtype=x.dtype)
    low, high = safe_range(x.dtype)
    if np.all((squares > low) & (squares < high)) or x.size == 0:
        return np.sqrt(squares)
    largest = np.maximum.reduce(np.abs(x), axis=axis, keepdims=True)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, np.ones((), x.dtype))
    with np.errstate(under="ignore", over="ignore"):
        squares = np.add.reduce(np.square(x / scale), axis=axis, dtype=x.dtype)
        return np.sqrt(squares) * scale.reshape(squares.shape)


def direction(y: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """conj(x) / y, and 0 where y = 0; its derivatives there are infinite or nan, so that the Hessian of norm² is no silent 0."""
    return ratio(conjugated(x), broadcast_to(along(y, x, axis), shape=x.shape))


def norm_jvp(tangents: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    return reduce_sum(real_part(tangents[0] * direction(y, x, axis)), axis=axis)


def norm_shape(x: Shaped, *, axis: tuple[int, ...]) -> Shaped:
    """The shape rule of the norm, which is real."""
    return part_shape(reduced(x, axis=axis))


def norm_vjp(needed: Any, ct: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    return (along(ct, x, axis) * direction(y, x, axis),)


euclidean_norm = general(
    "euclidean_norm",
    """Root of the sum of squares over `axis`: y = √(Σ |x|²), without under- or overflow of the squares.

    **Kinks** the derivative at x = 0 is 0, the middle of the subdifferential; the second derivative there is nan.
    """,
    numpy=norm_kernel,
    kind="reduction",
    shape=norm_shape,
    jvp=norm_jvp,
    vjp=norm_vjp,
    residuals=(0, OUTPUT),
    pattern=along_axis,
    batch=along_next_axes,
    samples=Samples(cases=[*CASES, ((3, 1), {"axis": ()})], low=0.5, complex=True),
    cost=lambda output, x, **params: 2 * BASIC * x.size + QUOTIENT * output.size,
)


# --- logarithms of sums of exponentials -----------------------------------------------------------------------------


def logsumexp_kernel(x: Any, axis: tuple[int, ...]) -> Any:
    """m + ln Σ e^(x - m) with m the largest (real part of an) element; an infinite m is the result itself, but for nan."""
    m = np.maximum.reduce(x.real, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(m), m, np.zeros((), x.dtype))
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        total = np.add.reduce(np.exp(x - shift), axis=axis, dtype=x.dtype)
        return np.log(total) + shift.reshape(total.shape)


def weights_kernel(x: Any, y: Any, *, axis: tuple[int, ...]) -> Any:
    y = np.reshape(y, with_ones(x.shape, axis))
    if np.isfinite(y).all():
        return np.exp(x - y)
    with np.errstate(invalid="ignore"):
        weights = np.exp(x - np.where(y == -np.inf, np.zeros((), x.dtype), y))
    infinite = (x == np.inf) & (y == np.inf)
    ones = np.exp(np.zeros_like(x))
    count = np.maximum(np.add.reduce(np.where(infinite, ones, 0), axis=axis, keepdims=True, dtype=x.dtype), 1)
    return np.where(infinite, ones / count, weights)


def weights_jvp(tangents: Any, w: Any, x: Any, y: Any, *, axis: tuple[int, ...]) -> Any:
    by_x, by_y = tangents
    if by_y is None:
        return w * by_x
    shift = along(by_y, w, axis)
    return -(w * shift) if by_x is None else w * (by_x - shift)


def weights_vjp(needed: Any, ct: Any, w: Any, x: Any, y: Any, *, axis: tuple[int, ...]) -> Any:
    by_x = ct * w
    return by_x, -reduce_sum(by_x, axis=axis)


softmax_weights = general(
    "softmax_weights",
    """The share of each element in `x2`, the logsumexp of `x1` over `axis`: y = e^(x1 - x2).

    It is 0 where all of `x1` is -inf; elements that are +inf share equally.
    """,
    numpy=weights_kernel,
    shape=lambda x1, x2, *, axis: x1,
    jvp=weights_jvp,
    vjp=weights_vjp,
    residuals=(OUTPUT,),
    pattern=along_axis,
    batch=along_next_axes,
    samples=Samples(
        cases=[(((2, 3), (2,)), {"axis": (1,)}), (((3,), ()), {"axis": (0,)}), (((0, 2), (2,)), {"axis": (0,)})], complex=True
    ),
    cost=lambda output, *operands, **params: (BASIC + ELEMENTARY) * output.size,
)


def logsumexp_jvp(tangents: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    return reduce_sum(tangents[0] * softmax_weights(x, y, axis=axis), axis=axis)


def logsumexp_vjp(needed: Any, ct: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    return (along(ct, x, axis) * softmax_weights(x, y, axis=axis),)


logsumexp = general(
    "logsumexp",
    """Logarithm of the sum of exponentials over `axis`, without overflow: y = ln Σ e^x; -inf for nothing at all.

    **Kinks** elements that are +inf share the derivative equally; where all are -inf it is 0.
    """,
    numpy=kernels.reduction("logsumexp", logsumexp_kernel),
    shape=reduced,
    jvp=logsumexp_jvp,
    vjp=logsumexp_vjp,
    residuals=(0, OUTPUT),
    pattern=along_axis,
    batch=along_next_axes,
    samples=Samples(cases=[*NONEMPTY, ((3, 0), {"axis": (0,)})], complex=True),
    cost=lambda output, x, **params: (3 * BASIC + ELEMENTARY) * x.size + (BASIC + ELEMENTARY) * output.size,
)
