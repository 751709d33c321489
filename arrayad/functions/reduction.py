"""Public reductions, with `axis` (an int, a tuple, negative, None for all) and `keepdims`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.constants import root
from arrayad.errors import ShapeError, describe
from arrayad.functions.creation import asarray
from arrayad.namespace import public
from arrayad.primitives import reduction as rows
from arrayad.primitives.arithmetic import square
from arrayad.primitives.broadcasting import reduce_sum, with_ones
from arrayad.primitives.casting import real
from arrayad.primitives.comparison import not_equal
from arrayad.primitives.complex import imag
from arrayad.primitives.shape import reshape
from arrayad.shaped import normalize_axes
from arrayad.tensor import Tensor

Axis = int | tuple[int, ...] | None


def kept_dims(y: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The reduced array with its axes of length 1 put back, if asked."""
    return reshape(y, shape=with_ones(x.shape, axes)) if keepdims else y


def accumulated(x: Any, dtype: Any) -> Tensor:
    """The operand of a sum or product in `dtype`; None makes int64 of booleans and small integers, as NumPy does."""
    x = asarray(x)
    if dtype is None and x.dtype.kind in "biu":
        dtype = np.sum(np.empty(0, x.dtype)).dtype
    return asarray(x, dtype)


def floating(x: Any) -> Tensor:
    """The operand in a floating-point dtype: integers and booleans become float64."""
    x = asarray(x)
    return asarray(x, np.float64) if x.dtype.kind in "biu" else x


def reduced(row: Callable[..., Any], name: str, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    """Apply a row over some axes."""
    axes = normalize_axes(axis, x.ndim, name)
    return kept_dims(row(x, axis=axes), x, axes, keepdims)


def count_of(x: Tensor, axes: tuple[int, ...]) -> int:
    """How many elements are reduced to one."""
    return math.prod(x.shape[a] for a in axes)


def refuse_empty(name: str, x: Tensor, axes: tuple[int, ...]) -> None:
    if count_of(x, axes) == 0:
        raise ShapeError(f"[{name}] {describe(x)} has no elements along axis {axes}; at least one is needed")


# --- sums, products, moments ----------------------------------------------------------------------------------------


@public(method=True)
def sum(x: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis`: y = Σ x; booleans and small integers are summed as int64, as in NumPy.

    **Example**

    >>> import arrayad as ad
    >>> ad.sum([[1.0, 2.0], [3.0, 4.0]], axis=1)
    Tensor([3., 7.])
    """
    return reduced(reduce_sum, "sum", accumulated(x, dtype), axis, keepdims)


@public(method=True)
def prod(x: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Product over `axis`: y = Π x; of booleans and small integers as int64, as in NumPy.

    The derivative by an element is the product of the others, also where elements are 0.

    **Example**

    >>> import arrayad as ad
    >>> ad.grad(ad.prod)(ad.tensor([2.0, 0.0, 3.0]))
    Tensor([0., 6., 0.])
    """
    return reduced(rows.reduce_prod, "prod", accumulated(x, dtype), axis, keepdims)


@public(method=True)
def mean(x: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `axis`: y = Σ x / n; of integers as float64.

    **Example**

    >>> import arrayad as ad
    >>> ad.mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    Tensor([2., 3.])
    """
    x = floating(x) if dtype is None else asarray(x, dtype)
    axes = normalize_axes(axis, x.ndim, "mean")
    return kept_dims(reduce_sum(x, axis=axes), x, axes, keepdims) / count_of(x, axes)


def deviations(name: str, x: Any, axis: Axis, correction: float | None, ddof: float | None) -> tuple[Any, ...]:
    """The operand less its mean, the axes, and the divisor n - correction (0 where it is negative)."""
    if correction is not None and ddof is not None:
        raise TypeError(f"[{name}] correction is {correction} and ddof is {ddof}; they are two names of one thing: give one")
    x = floating(x)
    axes = normalize_axes(axis, x.ndim, name)
    less = correction if correction is not None else ddof if ddof is not None else 0
    return x - mean(x, axes, keepdims=True), axes, np.maximum(count_of(x, axes) - less, 0).item()


@public(method=True)
def var(
    x: Any, axis: Axis = None, *, correction: float | None = None, ddof: float | None = None, keepdims: bool = False
) -> Tensor:
    """Variance over `axis`: y = Σ |x - mean|² / (n - correction); `ddof` is NumPy's name of `correction`, usually 0.

    **Example**

    >>> import arrayad as ad
    >>> ad.var([1.0, 2.0, 3.0, 4.0]), ad.var([1.0, 2.0, 3.0, 4.0], correction=1)
    (Tensor(1.25), Tensor(1.66666667))
    """
    d, axes, divisor = deviations("var", x, axis, correction, ddof)
    return kept_dims(reduce_sum(squared_length(d), axis=axes), d, axes, keepdims) / divisor


def squared_length(x: Any) -> Any:
    """|x|², of real and complex numbers."""
    return square(real(x)) + square(imag(x)) if x.dtype.kind == "c" else square(x)


@public(method=True)
def std(
    x: Any, axis: Axis = None, *, correction: float | None = None, ddof: float | None = None, keepdims: bool = False
) -> Tensor:
    """Standard deviation over `axis`: y = √(Σ (x - mean)² / (n - correction)); `ddof` is NumPy's name of that.

    **Kinks** the derivative where all elements are equal is 0, as that of `norm` at 0.

    **Example**

    >>> import arrayad as ad
    >>> ad.std([1.0, 2.0, 3.0, 4.0]), ad.grad(ad.std)(ad.tensor([2.0, 2.0]))
    (Tensor(1.11803399), Tensor([0., 0.]))
    """
    d, axes, divisor = deviations("std", x, axis, correction, ddof)
    return kept_dims(rows.euclidean_norm(d, axis=axes), d, axes, keepdims) / root(divisor).beside(d)


# --- extremes -------------------------------------------------------------------------------------------------------


@public(method=True, numpy=("max", "amax"))
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest element over `axis`: y = max x; nan if any is.

    **Raises** `ShapeError` where there are no elements.

    **Kinks** elements that tie share the derivative equally.

    **Example**

    >>> import arrayad as ad
    >>> ad.max([1.0, 3.0, 2.0]), ad.grad(ad.max)(ad.tensor([1.0, 3.0, 3.0]))
    (Tensor(3.), Tensor([0. , 0.5, 0.5]))
    """
    x = asarray(x)
    refuse_empty("max", x, normalize_axes(axis, x.ndim, "max"))
    return reduced(rows.reduce_max, "max", x, axis, keepdims)


@public(method=True, numpy=("min", "amin"))
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest element over `axis`: y = min x; nan if any is.

    **Raises** and **Kinks** as in `max`.
    """
    x = asarray(x)
    refuse_empty("min", x, normalize_axes(axis, x.ndim, "min"))
    return reduced(rows.reduce_min, "min", x, axis, keepdims)


def position(row: Callable[..., Any], name: str, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    """Where along one axis, or among all elements in C order, an extreme is."""
    x = asarray(x)
    axes = normalize_axes(axis, x.ndim, name)
    if len(axes) > 1 and axis is not None:
        raise ValueError(f"[{name}] axis is {axis}; one axis is needed, or None for all elements in C order")
    refuse_empty(name, x, axes)
    lanes = reshape(x, shape=(x.size,)) if axis is None else x
    return kept_dims(row(lanes, axis=(0,) if axis is None else axes), x, axes, keepdims)


@public(method=True)
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position of the first largest element along `axis`, or among all in C order; integers have no derivative.

    **Example**

    >>> import arrayad as ad
    >>> ad.argmax([[1.0, 5.0], [7.0, 2.0]], axis=1), ad.argmax([[1.0, 5.0], [7.0, 2.0]])
    (Tensor([1, 0]), Tensor(2))
    """
    return position(rows.argmax, "argmax", x, axis, keepdims)


@public(method=True)
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position of the first smallest element along `axis`, or among all in C order; integers have no derivative."""
    return position(rows.argmin, "argmin", x, axis, keepdims)


# --- truth ----------------------------------------------------------------------------------------------------------


@public(method=True)
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` is not 0; False for nothing at all.

    **Example**

    >>> import arrayad as ad
    >>> ad.any([[0, 1], [0, 0]], axis=1)
    Tensor([ True, False])
    """
    return reduced(rows.reduce_any, "any", asarray(x), axis, keepdims)


@public(method=True)
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element over `axis` is not 0; True for nothing at all."""
    return reduced(rows.reduce_all, "all", asarray(x), axis, keepdims)


@public()
def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements over `axis` are not 0.

    **Example**

    >>> import arrayad as ad
    >>> ad.count_nonzero([[0, 1], [2, 3]], axis=0)
    Tensor([1, 2])
    """
    return sum(not_equal(asarray(x), 0), axis, keepdims=keepdims)


# --- logarithms of sums of exponentials -----------------------------------------------------------------------------


@public(method=True)
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Logarithm of the sum of exponentials over `axis`, without overflow: y = ln Σ e^x; -inf for nothing at all.

    The derivative is the softmax of `x`.

    **Kinks** elements that are +inf share the derivative equally; where all are -inf it is 0.

    **Example**

    >>> import arrayad as ad
    >>> ad.logsumexp([1000.0, 1000.0])
    Tensor(1000.69314718)
    """
    return reduced(rows.logsumexp, "logsumexp", floating(x), axis, keepdims)
