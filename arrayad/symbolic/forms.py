"""Textbook forms of rows whose kernels compute in floats: what they are in sums, products and functions of their elements.

Each form takes and gives arrays of objects, and stands for its row where a program is read element by element.  It leaves out
what a kernel does for accuracy, such as subtracting the largest element before exp.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from operator import add, mul, truediv
from typing import Any

import numpy as np

from arrayad.primitives.arithmetic import sqrt
from arrayad.primitives.exponential import exp, log
from arrayad.primitives.selection import maximum, minimum

Array = np.ndarray[Any, Any]

LARGEST = 4
"""Rows of a matrix up to which determinant and inverse are written out: there are n! products."""


def objects(x: Any) -> Array:
    """An array of objects as it is, anything else as one of no axes, which NumPy likes to take it out of."""
    if isinstance(x, np.ndarray):
        return x
    found = np.empty((), object)
    found[()] = x
    return found


def each(function: Callable[..., Any], *operands: Any) -> Array:
    """A function of numbers on each element of some arrays of objects."""
    return objects(np.frompyfunc(function, len(operands), 1)(*map(objects, operands)))


def total(x: Array, axis: int | tuple[int, ...], keepdims: bool = False) -> Array:
    return objects(np.sum(x, axis=axis, keepdims=keepdims))


def fold(function: Callable[..., Any], x: Array, axis: tuple[int, ...]) -> Array:
    """The elements along some axes, combined two by two."""
    for i in sorted(axis, reverse=True):
        x = objects(np.frompyfunc(function, 2, 1).reduce(x, axis=i))
    return x


def largest(x: Array, *, axis: tuple[int, ...]) -> Array:
    return fold(maximum, x, axis)


def smallest(x: Array, *, axis: tuple[int, ...]) -> Array:
    return fold(minimum, x, axis)


def logsumexp(x: Array, *, axis: tuple[int, ...]) -> Any:
    return each(log, total(each(exp, x), axis))


def softmax(x: Array, *, axis: int) -> Any:
    e = each(exp, x)
    return e / total(e, axis, keepdims=True)


def log_softmax(x: Array, *, axis: int) -> Any:
    return x - each(log, total(each(exp, x), axis, keepdims=True))


def euclidean_norm(x: Array, *, axis: tuple[int, ...]) -> Any:
    return each(sqrt, total(x**2, axis))


def cross_entropy(x: Array, labels: Array, *, ignore_index: int) -> Any:
    chosen = log_softmax(x, axis=-1)
    found = np.empty(labels.size, object)
    for i, (row, label) in enumerate(zip(chosen.reshape(-1, x.shape[-1]), labels.ravel(), strict=True)):
        found[i] = 0.0 if label == ignore_index else -row[label]
    return found.reshape(labels.shape)


def minor(x: Array, i: int, j: int) -> Array:
    """A matrix without row i and column j."""
    return np.delete(np.delete(x, i, -2), j, -1)


def determinant(x: Array) -> Array:
    """Laplace's expansion along the first row."""
    n = x.shape[-1]
    if n > LARGEST:
        raise ValueError(f"the determinant of {n} rows has {n}! products")
    if n == 1:
        return objects(x[..., 0, 0])
    terms = [each(mul, (-1) ** j, each(mul, x[..., 0, j], determinant(minor(x, 0, j)))) for j in range(n)]
    return functools.reduce(lambda x1, x2: each(add, x1, x2), terms)


def inverse(x: Array) -> Any:
    """The adjugate over the determinant."""
    n, whole = x.shape[-1], determinant(x)
    found = np.empty(x.shape, object)
    for i in range(n):
        for j in range(n):
            cofactor = determinant(minor(x, j, i)) if n > 1 else objects(1.0)
            found[..., i, j] = each(truediv, each(mul, (-1) ** (i + j), cofactor), whole)
    return found


def solve(a: Array, b: Array) -> Any:
    return inverse(a) @ b


FORMS: dict[str, Callable[..., Any]] = {
    "reduce_max": largest,
    "reduce_min": smallest,
    "logsumexp": logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "euclidean_norm": euclidean_norm,
    "cross_entropy": cross_entropy,
    "det": determinant,
    "inverse": inverse,
    "solve": solve,
}
"""The forms by the names of their rows."""
