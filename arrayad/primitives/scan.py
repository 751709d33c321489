"""Scans along one axis: running sums and products, and the linear recurrence that their derivatives need.

Every row takes `reverse`, which runs from the last element to the first: a scan's transpose runs the other way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import kernels
from arrayad.arbitrary import filled
from arrayad.dependence import along_axis, moved
from arrayad.errors import ShapeError, describe
from arrayad.primitive import OUTPUT, elements_of_output, general, like_first, linear
from arrayad.primitives.broadcasting import along_next_axis
from arrayad.primitives.indexing import getitem
from arrayad.primitives.joining import concat
from arrayad.samples import Samples
from arrayad.shaped import Shaped
from arrayad.tensor import handle

CASES = [
    (shape, {"axis": axis, "reverse": reverse})
    for shape, axis in [((5,), 0), ((3, 4), 0), ((2, 3, 2), 1), ((1,), 0), ((0,), 0), ((2, 0), 0)]
    for reverse in (False, True)
]


def either_way(scan: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel of a scan that can also run from the last element to the first."""

    def kernel(x: Any, *, axis: int, reverse: bool) -> Any:
        return np.flip(scan(np.flip(x, axis), axis=axis), axis) if reverse else scan(x, axis=axis)

    return kernel


# --- running sums ---------------------------------------------------------------------------------------------------


def sum_transpose(ct: Any, x: Shaped, *, axis: int, reverse: bool) -> Any:
    return cumulative_sum(ct, axis=axis, reverse=not reverse)


cumulative_sum = linear(
    "cumulative_sum",
    """Running sum along `axis`, in the operand's dtype: y[j] = sum over k <= j of x[k].""",
    numpy=either_way(kernels.scan("sum", lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype))),
    shape=like_first,
    transpose=sum_transpose,
    pattern=along_axis,
    batch=along_next_axis,
    samples=Samples(cases=CASES),
    cost=elements_of_output,
)


# --- delay and recurrence -------------------------------------------------------------------------------------------


def delay_kernel(x: Any, *, axis: int, reverse: bool) -> Any:
    out = np.zeros(x.shape, x.dtype)
    before, after = (slice(None),) * axis + (slice(None, -1),), (slice(None),) * axis + (slice(1, None),)
    if reverse:
        out[before] = x[after]
    else:
        out[after] = x[before]
    return out


def delay_transpose(ct: Any, x: Shaped, *, axis: int, reverse: bool) -> Any:
    return delay(ct, axis=axis, reverse=not reverse)


delay = linear(
    "delay",
    """The elements moved on by one place along `axis`: y[j] = x[j - 1], and y[0] = 0.""",
    numpy=delay_kernel,
    shape=like_first,
    transpose=delay_transpose,
    pattern=moved,
    batch=along_next_axis,
    samples=Samples(cases=CASES),
    selects=True,
)


def recurrence_kernel(a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    """In log2(n) passes: after the pass with step d, y[j] holds all terms of the last 2d places, a[j] their factor.

    **Source** Hillis & Steele, Data parallel algorithms (1986), doi 10.1145/7902.7903.
    """
    dtype = np.result_type(a, b)
    a, y = (np.array(np.moveaxis(x, axis, -1), dtype=dtype) for x in (a, b))
    if reverse:
        a, y = a[..., ::-1], y[..., ::-1]
    step = 1
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        while step < y.shape[-1]:
            y[..., step:] += a[..., step:] * y[..., :-step]
            a[..., step:] *= a[..., :-step].copy()
            step *= 2
    return np.moveaxis(y[..., ::-1] if reverse else y, -1, axis)


def recurrence_shape(a: Shaped, b: Shaped, *, axis: int, reverse: bool) -> Shaped:
    if a.shape != b.shape:
        raise ShapeError(f"[recurrence] the shapes differ: x1 is {describe(a)}, x2 is {describe(b)}; they must be equal")
    return Shaped(a.shape, np.result_type(a.dtype, b.dtype))


def recurrence_jvp(tangents: Any, y: Any, a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    by_a, by_b = tangents
    moved = None if by_a is None else by_a * delay(y, axis=axis, reverse=reverse)
    return recurrence(a, by_b if moved is None else moved if by_b is None else moved + by_b, axis=axis, reverse=reverse)


def recurrence_vjp(needed: Any, ct: Any, y: Any, a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    back = recurrence(delay(a, axis=axis, reverse=not reverse), ct, axis=axis, reverse=not reverse)
    return (back * delay(y, axis=axis, reverse=reverse) if needed[0] else None), back


recurrence = general(
    "recurrence",
    """Linear recurrence along `axis`: y[j] = x1[j] y[j - 1] + x2[j], with y[-1] = 0.""",
    numpy=recurrence_kernel,
    shape=recurrence_shape,
    jvp=recurrence_jvp,
    vjp=recurrence_vjp,
    residuals=(0, OUTPUT),
    pattern=along_axis,
    batch=along_next_axis,
    samples=Samples(cases=[((shape, shape), params) for shape, params in CASES], complex=True),
    cost=lambda output, *operands, **params: 2 * output.size,
)


# --- running products -----------------------------------------------------------------------------------------------


def before(y: Any, axis: int, reverse: bool, first: Any = None) -> Any:
    """The elements moved on by one place along `axis`: y[j - 1], and at the first place `first`, of length 1, or 1."""
    if not y.shape[axis]:
        return y
    if first is None:
        first = handle(filled((*y.shape[:axis], 1, *y.shape[axis + 1 :]), 1, y.dtype))
    rest = getitem(y, index=(*(slice(None),) * axis, slice(1, None) if reverse else slice(None, -1)))
    return concat(rest, first, axis=axis) if reverse else concat(first, rest, axis=axis)


def exclusive_product(x: Any, axis: int, *, reverse: bool, first: Any = None) -> Any:
    """The product of all elements before each place along `axis`, times `first`: z[j] = first · product over k < j of x[k]."""
    return cumulative_prod(before(x, axis, reverse, first), axis=axis, reverse=reverse)


def product_jvp(tangents: Any, y: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    return recurrence(x, tangents[0] * before(y, axis, reverse), axis=axis, reverse=reverse)


def product_vjp(needed: Any, ct: Any, y: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    """∂/∂x[j] = y[j - 1] s[j] with s[j] = ct[j] + x[j + 1] s[j + 1]: no division, so zeros do no harm."""
    later = recurrence(delay(x, axis=axis, reverse=not reverse), ct, axis=axis, reverse=not reverse)
    return (before(y, axis, reverse) * later,)


cumulative_prod = general(
    "cumulative_prod",
    """Running product along `axis`, in the operand's dtype: y[j] = product over k <= j of x[k].""",
    numpy=either_way(kernels.scan("prod", lambda x, axis: np.cumprod(x, axis=axis, dtype=x.dtype))),
    shape=like_first,
    jvp=product_jvp,
    vjp=product_vjp,
    residuals=(0, OUTPUT),
    pattern=along_axis,
    batch=along_next_axis,
    samples=Samples(cases=CASES, complex=True),
)
