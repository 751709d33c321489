"""The words that rules of matrix algebra are made of, and the table that holds them.

In a tape of matrix algebra a number has the shape (), a vector is a column of shape (n, 1), and a row is the transpose of one.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.primitives.arithmetic import divide, multiply, negative
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.casting import astype
from arrayad.primitives.comparison import equal
from arrayad.primitives.linear_algebra import common_diagonal, matrix_product, on_diagonal
from arrayad.primitives.linear_systems import inverse
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.rewriting import Known, Match, Table, rewrite, row_of
from arrayad.shaped import is_weak
from arrayad.tracing import aval_of

IDENTITIES: Table = {}
"""The rules of matrix algebra.  They hold for real numbers where both sides are defined, and not to the last digit."""

ANY = Known("c", lambda v: isinstance(v, int | float) or v.dtype.kind == "f")
"""Any constant real number."""

identity = functools.partial(rewrite, table=IDENTITIES, exact=False)
"""Declare a rule of matrix algebra."""

PRODUCT = row_of(matrix_product)
MULTIPLY = row_of(multiply)
DIVIDE = row_of(divide)
NEGATIVE = row_of(negative)


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an operand; Python's numbers have ()."""
    return () if is_weak(x) else tuple(aval_of(x).shape)


def producer(m: Match, x: Any) -> Any:
    """The entry that makes an operand, None if there is none."""
    return m.graph.producer(x)


def made_by(m: Match, x: Any, *operations: Any) -> Any:
    """The entry that makes an operand if it applies one of these operations, else None."""
    entry = m.graph.producer(x)
    return entry if entry is not None and entry.primitive in map(row_of, operations) else None


def is_real(m: Match) -> bool:
    """Whether a result is real and floating."""
    return bool(m.output.dtype.kind == "f")


def is_matrix(m: Match) -> bool:
    """Whether a result is one matrix, a column or a row included."""
    return is_real(m) and len(m.output.shape) == 2


def number(m: Match, x: Any) -> float | None:
    """The number that an operand is throughout, if it is a constant."""
    value = m.graph.uniform(x)
    return None if value is None or isinstance(value, complex | np.complexfloating) else float(value)


def is_scalar(m: Match, x: Any) -> bool:
    """Whether an operand is one number, which may stand in front of a product."""
    return shape_of(x) == () or (aval_of(x).size == 1 and number(m, x) is not None)


def known(x: Any) -> Any:
    """The array of a constant, None for what is computed or came in."""
    return x.value if not is_weak(x) and x.history is None else None


def diagonal_number(x: Any) -> float | None:
    """c of a constant that is c times the unit matrix, of two rows at least."""
    value = known(x)
    if value is None or value.ndim != 2 or value.shape[0] != value.shape[1] or value.shape[0] < 2 or value.dtype.kind != "f":
        return None
    c = float(value[0, 0])
    return c if c and np.allclose(value, c * np.eye(len(value)), rtol=1e-12, atol=1e-12 * abs(c)) else None


def column(m: Match, x: Any) -> Any:
    """A vector as a column."""
    return m(reshape, x, shape=(aval_of(x).size, 1))


def flat(m: Match, x: Any) -> Any:
    """A column as a vector."""
    return m(reshape, x, shape=(aval_of(x).size,))


def scalar(m: Match, x: Any) -> Any:
    """What has one element as a number."""
    return x if shape_of(x) == () else m(reshape, x, shape=())


def turned(m: Match, x: Any) -> Any:
    """The transpose; that of a transpose is what it was."""
    entry = made_by(m, x, permute_dims)
    if entry is not None and tuple(entry.params["axes"]) == (1, 0):
        return entry.inputs[0]
    return m(permute_dims, x, axes=(1, 0))


def product(m: Match, *factors: Any) -> Any:
    """The product of matrices, multiplied from the right."""
    y = factors[-1]
    for x in reversed(factors[:-1]):
        y = m(matrix_product, x, y)
    return y


ROUNDING = 1e-14
"""The relative error of a few roundings: numbers that differ by no more are one."""


def scaled(m: Match, c: float, x: Any) -> Any:
    """A number times an operand; one within rounding of an integer is that: n times 1/n is 1 for every n."""
    if round(c) and abs(c - round(c)) <= ROUNDING * abs(c):
        c = float(round(c))
    return x if c == 1 else m(negative, x) if c == -1 else m(multiply, c, x)


def filled(m: Match, shape: tuple[int, ...], value: float = 1.0, dtype: Any = "float64") -> Any:
    """A constant array of one number."""
    return m.constant(np.full(shape, value, dtype))


def unit(m: Match, n: int, dtype: Any) -> Any:
    """The unit matrix."""
    return m.constant(np.eye(n, dtype=dtype))


def one_hot(m: Match, labels: Any, classes: int) -> Any:
    """Rows of zeros with a one at each label; a column where there is one label."""
    if is_weak(labels):
        return m.constant(np.eye(classes)[:, [labels]])
    if shape_of(labels) == ():
        places = m.constant(np.arange(classes)[:, None])
    else:
        places = m.constant(np.arange(classes)[None, :])
        labels = m(reshape, labels, shape=(*shape_of(labels), 1))
    return m(astype, m(equal, labels, places), dtype=np.dtype(float))


def chain(m: Match, x: Any) -> list[Any]:
    """The factors of a product of matrices, or what is none as the one factor."""
    found = []
    while (entry := made_by(m, x, matrix_product)) is not None:
        left, x = entry.inputs
        found += chain(m, left)
    return [*found, x]


def is_symmetric(m: Match, x: Any) -> bool:
    """Whether a matrix is its own transpose by what is known: an input that was declared so, Aᵀ A, sums and multiples of such."""
    value = known(x)
    if value is not None:
        return value.ndim == 2 and value.shape[0] == value.shape[1] and np.array_equal(value, value.T)
    if len(shape_of(x)) != 2 or shape_of(x)[0] != shape_of(x)[1]:
        return False
    entry = producer(m, x)
    if entry is None:
        return any(m.graph.inputs[i].history is x.history for i in m.graph.rules.symmetric)
    if entry.primitive is PRODUCT:
        factors = chain(m, x)
        middle = factors[len(factors) // 2]
        pairs = zip(factors[: len(factors) // 2], reversed(factors), strict=False)
        return all(same(m, turned(m, a), b) for a, b in pairs) and (len(factors) % 2 == 0 or is_symmetric(m, middle))
    if entry.primitive in (row_of(inverse), row_of(on_diagonal)):
        return entry.primitive is row_of(on_diagonal) or is_symmetric(m, entry.inputs[0])
    if isinstance(entry.primitive, Elementwise):
        return all(is_scalar(m, y) or is_symmetric(m, y) for y in entry.inputs)
    return False


def same(m: Match, x: Any, y: Any) -> bool:
    """Whether two operands are one."""
    return bool(m.graph.same(x, y))


def diagonal(m: Match, v: Any) -> Any:
    """The diagonal matrix of a vector."""
    return m(on_diagonal, v, axis1=0, axis2=1)


def multiple(m: Match, entry: Any, x: Any) -> Any:
    """The multiple of x that an entry made of something else."""
    operands = [x] if "s" not in m.named else [x, m["s"]] if entry.primitive.apply is divide else [m["s"], x]
    return m(entry.primitive, *operands)


def trace_of(m: Match, x: Any) -> Any:
    """The trace of a matrix."""
    return m(reduce_sum, m(common_diagonal, x, axis1=0, axis2=1), axis=(0,))


# --- in samples ----------------------------------------------------------------------------------------------------------


def transpose(x: Any) -> Any:
    """The transpose, in samples."""
    return permute_dims(x, axes=(1, 0))


def product_of(x: Any, y: Any, z: Any) -> Any:
    """x (y z), in samples."""
    return matrix_product(x, matrix_product(y, z))
