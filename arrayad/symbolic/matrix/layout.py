"""Vectors become columns, sums and repetitions products with columns of ones, and broadcasting factors products."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.primitives.arithmetic import divide, multiply, negative, reciprocal, square
from arrayad.primitives.broadcasting import broadcast_to, reduce_sum
from arrayad.primitives.linear_algebra import common_diagonal, matrix_product, on_diagonal
from arrayad.primitives.network import log_softmax, softmax
from arrayad.primitives.reduction import euclidean_norm, logsumexp, reduce_max, reduce_min
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.rewriting import Known, Match, row_of, sample
from arrayad.shaped import is_weak
from arrayad.symbolic.matrix.parts import (
    MULTIPLY,
    column,
    filled,
    flat,
    identity,
    is_matrix,
    is_real,
    known,
    made_by,
    multiple,
    number,
    product,
    scalar,
    scaled,
    shape_of,
    trace_of,
    turned,
    unit,
)
from arrayad.tracing import aval_of

# --- vectors as columns ------------------------------------------------------------------------------------------------


def as_columns(m: Match) -> Any:
    """An elementwise operation on vectors, on columns."""
    operands = [scalar(m, x) if shape_of(x) in ((), (1,)) and m.output.shape != (1,) else x for x in m.inputs]
    operands = [x if is_weak(x) or shape_of(x) == () else column(m, x) for x in operands]
    return flat(m, m(m.row, *operands, **m.params))


identity(
    "An elementwise operation on vectors is one on columns.",
    (Elementwise, "x"),
    (Elementwise, "x", "y"),
    (Elementwise, "x", "y", "z"),
    when=lambda m: len(m.output.shape) == 1 and m.output.size > 0,
    to=as_columns,
    samples=[sample(lambda x, y: x + y, (3,), (3,)), sample(lambda x, s: x * s, (3,), ())],
)


def as_numbers(m: Match) -> Any:
    """An elementwise operation on matrices of one element, on numbers."""
    return m(reshape, m(m.row, *(x if is_weak(x) else scalar(m, x) for x in m.inputs), **m.params), shape=(1, 1))


identity(
    "An elementwise operation on matrices of one element is one on numbers.",
    (Elementwise, "x"),
    (Elementwise, "x", "y"),
    (Elementwise, "x", "y", "z"),
    when=lambda m: m.output.shape == (1, 1),
    to=as_numbers,
    samples=[sample(lambda x, y: x + y, (1, 1), (1, 1)), sample(lambda x, y: x * y, (), (1, 1))],
)


def turns(m: Match) -> bool:
    """Whether a reshape makes a row of a vector or a column, or a column or vector of a row."""
    before, after = shape_of(m["x"]), m.output.shape
    if m.output.size < 2:
        return False
    rows = len(after) == 2 and after[0] == 1 and len(before) < 3 and before != after
    return rows or (len(before) == 2 and before[0] == 1 and after in ((m.output.size, 1), (m.output.size,)))


def turned_reshape(m: Match) -> Any:
    """The same by way of a column."""
    x = m["x"]
    if m.output.shape[0] == 1 and len(m.output.shape) == 2:
        return turned(m, column(m, x))
    x = turned(m, x)
    return x if m.output.shape == shape_of(x) else flat(m, x)


identity(
    "A row is the transpose of a column.",
    (reshape, "x"),
    when=turns,
    to=turned_reshape,
    samples=[
        sample(lambda x: reshape(x, shape=(1, 3)), (3,)),
        sample(lambda x: reshape(x, shape=(3,)), (1, 3)),
        sample(lambda x: reshape(x, shape=(3, 1)), (1, 3)),
    ],
)

identity(
    "A multiple of a stack of matrices under another shape is the multiple.",
    (reshape, (multiply, "s", "x")),
    (reshape, (negative, "x")),
    when=lambda m: (
        is_real(m)
        and max(len(shape_of(m["x"])), len(m.output.shape)) > 2
        and ("s" not in m.named or shape_of(m["s"]) == ())
        and shape_of(m["x"]) == m.inner[0].output.shape
    ),
    to=lambda m: multiple(m, m.inner[0], m(reshape, m["x"], shape=m.output.shape)),
    samples=[
        sample(lambda x: reshape(2.0 * x, shape=(6, 2)), (2, 3, 2)),
        sample(lambda x: reshape(-x, shape=(2, 3, 2)), (6, 2)),
    ],
)

ALONG = (euclidean_norm, logsumexp, reduce_max, reduce_min)

identity(
    "A norm, an extremum or the like of a vector is that of a column.",
    *((row, "x") for row in ALONG),
    when=lambda m: len(shape_of(m["x"])) == 1 and m.params["axis"] == (0,),
    to=lambda m: m(m.row, column(m, m["x"]), axis=(0, 1)),
    samples=[sample(lambda x: euclidean_norm(x, axis=(0,)), (3,)), sample(lambda x: logsumexp(x, axis=(0,)), (3,))],
)

identity(
    "The softmax of a vector is that of a column.",
    (softmax, "x"),
    (log_softmax, "x"),
    when=lambda m: len(shape_of(m["x"])) == 1,
    to=lambda m: flat(m, m(m.row, column(m, m["x"]), axis=0)),
    samples=[sample(lambda x: softmax(x, axis=0), (3,)), sample(lambda x: log_softmax(x, axis=0), (3,))],
)

identity(
    "The norm of a multiple.",
    (euclidean_norm, (multiply, Known("c", lambda v: isinstance(v, int | float)), "x")),
    (euclidean_norm, (negative, "x")),
    when=lambda m: is_real(m) and m.output.shape == () and shape_of(m["x"]) == m.inner[0].output.shape,
    to=lambda m: scaled(m, abs(m["c"]) if "c" in m.named else 1.0, m(euclidean_norm, m["x"], axis=m.params["axis"])),
    samples=[
        sample(lambda x: euclidean_norm(-2.0 * x, axis=(0, 1)), (2, 3)),
        sample(lambda x: euclidean_norm(-x, axis=(0, 1)), (2, 3)),
    ],
)

# --- constants -----------------------------------------------------------------------------------------------------------


def plain_numbers(m: Match) -> Any:
    """An elementwise operation that is given Python's numbers for constants that are one number throughout."""
    operands = []
    for x in m.inputs:
        c = None if is_weak(x) or known(x) is None or aval_of(x).dtype != m.output.dtype else number(m, x)
        others = [y for y in m.inputs if y is not x and not is_weak(y)]
        fits = any(shape_of(y) == m.output.shape and known(y) is None for y in others)
        operands.append(x if c is None or not fits else c)
    return None if all(x is y for x, y in zip(operands, m.inputs, strict=True)) else m(m.row, *operands, **m.params)


identity(
    "A constant array of one number is that number where another operand has the shape.",
    (Elementwise, "x", "y"),
    when=is_real,
    to=plain_numbers,
    samples=[sample(lambda x: x * np.full((2, 3), 2.5), (2, 3)), sample(lambda x: x - np.ones(3), (3,))],
)

# --- broadcasting --------------------------------------------------------------------------------------------------------


def spread(m: Match, x: Any, shape: tuple[int, ...]) -> Any:
    """An operand that is broadcast to a matrix, as a product with a column of ones."""
    rows, columns = shape
    if aval_of(x).size == 1:
        return m(broadcast_to, scalar(m, x), shape=shape)
    if shape_of(x) == (rows, 1) and columns != 1:
        return product(m, x, filled(m, (1, columns), dtype=m.output.dtype))
    return product(m, filled(m, (rows, 1), dtype=m.output.dtype), turned(m, column(m, x)))


identity(
    "A repetition is a product with a column of ones.",
    (broadcast_to, "x"),
    when=lambda m: is_matrix(m) and m.output.shape != shape_of(m["x"]) != () and m.output.size > 0,
    to=lambda m: spread(m, m["x"], m.output.shape),
    samples=[
        sample(lambda x: broadcast_to(x, shape=(2, 3)), (3,)),
        sample(lambda x: broadcast_to(x, shape=(2, 3)), (2, 1)),
        sample(lambda x: broadcast_to(x, shape=(2, 3)), (1, 3)),
        sample(lambda x: broadcast_to(x, shape=(2, 3)), (1, 1)),
    ],
)

identity(
    "A repetition of a number under another shape is one in that shape.",
    (reshape, (broadcast_to, "s")),
    (permute_dims, (broadcast_to, "s")),
    when=lambda m: is_real(m) and aval_of(m["s"]).size == 1,
    to=lambda m: m(broadcast_to, scalar(m, m["s"]), shape=m.output.shape),
    samples=[
        sample(lambda s: reshape(broadcast_to(s, shape=(3,)), shape=(3, 1)), ()),
        sample(lambda s: permute_dims(broadcast_to(s, shape=(3, 2)), axes=(1, 0)), ()),
    ],
)

identity(
    "A product with a matrix of one number is that number times one with ones.",
    (matrix_product, (broadcast_to, "s"), "b"),
    (matrix_product, "a", (broadcast_to, "s")),
    when=lambda m: is_matrix(m) and shape_of(m["s"]) == (),
    to=lambda m: m(
        multiply,
        m["s"],
        product(m, *(filled(m, shape_of(x), dtype=m.output.dtype) if x.history is m.inner[0] else x for x in m.inputs)),
    ),
    samples=[
        sample(lambda s, b: matrix_product(broadcast_to(s, shape=(2, 3)), b), (), (3, 2)),
        sample(lambda s, a: matrix_product(a, broadcast_to(s, shape=(3, 1))), (), (2, 3)),
    ],
)

identity(
    "A diagonal of one number is a multiple of the unit matrix.",
    (on_diagonal, (broadcast_to, "s")),
    when=lambda m: is_matrix(m) and shape_of(m["s"]) == (),
    to=lambda m: m(multiply, m["s"], unit(m, m.output.shape[0], m.output.dtype)),
    samples=[sample(lambda s: on_diagonal(broadcast_to(s, shape=(3,)), axis1=0, axis2=1), ())],
)


def with_numbers(m: Match) -> Any:
    """An elementwise operation with numbers for what repeats them."""
    operands = []
    for x in m.inputs:
        entry = None if is_weak(x) else made_by(m, x, broadcast_to)
        operands.append(x if entry is None or shape_of(entry.inputs[0]) != () else entry.inputs[0])
    fits = any(shape_of(x) == m.output.shape for x in operands)
    return m(m.row, *operands, **m.params) if fits and any(x is not y for x, y in zip(operands, m.inputs, strict=True)) else None


identity(
    "An elementwise operation repeats numbers itself.",
    (Elementwise, "x", "y"),
    when=lambda m: is_real(m) and m.output.shape != (),
    to=with_numbers,
    samples=[sample(lambda s, y: broadcast_to(s, shape=(2, 3)) + y, (), (2, 3))],
)


def broadcasts(m: Match) -> bool:
    """Whether an elementwise operation repeats an operand that is no number."""
    return is_matrix(m) and m.output.size > 1 and any(shape_of(x) not in ((), m.output.shape) for x in m.inputs)


def aligned(m: Match, x: Any) -> Any:
    """An operand of a matrix as a number, a row, a column or a matrix: a vector counts as a row."""
    if is_weak(x) or shape_of(x) == ():
        return x
    if aval_of(x).size == 1:
        return scalar(m, x)
    return turned(m, column(m, x)) if len(shape_of(x)) == 1 else x


def scaled_rows(m: Match, x: Any, y: Any) -> Any:
    """y with its rows multiplied by the elements of a column x, or its columns by those of a row."""
    by = m(on_diagonal, m(reshape, x, shape=(aval_of(x).size,)), axis1=0, axis2=1)
    return product(m, y, by) if shape_of(x)[0] == 1 else product(m, by, y)


def as_products(m: Match) -> Any:
    """The operation without broadcasting: with a diagonal matrix, an outer product, or a product with a column of ones."""
    operands = [aligned(m, x) for x in m.inputs]
    shapes = [shape_of(x) for x in operands]
    if not set(shapes) <= {(), m.output.shape}:
        x, y = operands[:2]
        if m.row is MULTIPLY and () not in shapes:
            if m.output.shape not in shapes:
                return product(m, *((y, x) if shapes[0][0] == 1 else (x, y)))
            return scaled_rows(m, y, x) if shapes[0] == m.output.shape else scaled_rows(m, x, y)
        if m.row.apply is divide and shapes[0] == m.output.shape:
            return scaled_rows(m, m(reciprocal, y), x)
        operands = [
            x if shape in ((), m.output.shape) else spread(m, x, m.output.shape)
            for x, shape in zip(operands, shapes, strict=True)
        ]
    return m(m.row, *operands, **m.params)


identity(
    "A factor that is repeated is a diagonal matrix; what else is repeated, a product with a column of ones.",
    (Elementwise, "x", "y"),
    (Elementwise, "x", "y", "z"),
    when=broadcasts,
    to=as_products,
    samples=[
        sample(lambda x, y: x * y, (2, 3), (3,)),
        sample(lambda x, y: x * y, (2, 1), (2, 3)),
        sample(lambda x, y: x * y, (2, 1), (1, 3)),
        sample(lambda x, y: x / y, (2, 3), (2, 1)),
        sample(lambda x, y: x - y, (2, 3), (3,)),
        sample(lambda x, y: x + y, (2, 3), (1, 1)),
    ],
)

# --- sums ------------------------------------------------------------------------------------------------------------------


identity(
    "A sum of the elements of a vector is that of a column.",
    (reduce_sum, (reshape, "x")),
    when=lambda m: is_real(m) and m.output.shape == () and shape_of(m["x"])[1:] == (1,),
    to=lambda m: m(reduce_sum, m["x"], axis=(0, 1)),
    samples=[sample(lambda x: reduce_sum(reshape(square(x), shape=(3,)), axis=(0,)), (3, 1))],
)


def ones_beside(m: Match) -> Any:
    """A sum as a product with columns of ones."""
    x, dtype = m["x"], m.output.dtype
    if len(shape_of(x)) == 1:
        return scalar(m, product(m, filled(m, (1, aval_of(x).size), dtype=dtype), column(m, x)))
    rows, columns = shape_of(x)
    if m.params["axis"] == (1,):
        return flat(m, product(m, x, filled(m, (columns, 1), dtype=dtype)))
    if m.params["axis"] == (0,):
        return flat(m, product(m, turned(m, x), filled(m, (rows, 1), dtype=dtype)))
    left = filled(m, (1, rows), dtype=dtype)
    return scalar(m, product(m, left, x) if columns == 1 else product(m, left, x, filled(m, (columns, 1), dtype=dtype)))


def inner_product(m: Match) -> Any:
    """The sum of products of elements of two arrays of one shape."""
    x, y = m["a"], m["b"]
    if shape_of(x) != shape_of(y):
        return None
    if len(shape_of(x)) == 1:
        x, y = column(m, x), column(m, y)
    if shape_of(x)[0] == 1:
        x, y = turned(m, x), turned(m, y)
    found = product(m, turned(m, x), y)
    return scalar(m, found) if shape_of(x)[1] == 1 else trace_of(m, found)


identity(
    "The sum of the products of elements is an inner product of vectors, or the trace of a product of matrices.",
    (reduce_sum, (multiply, "a", "b")),
    when=lambda m: is_real(m) and m.output.shape == () and len(m.inner[0].output.shape) in (1, 2),
    to=inner_product,
    samples=[
        sample(lambda x, y: reduce_sum(x * y, axis=(0,)), (3,), (3,)),
        sample(lambda x, y: reduce_sum(x * y, axis=(0, 1)), (2, 3), (2, 3)),
    ],
)

identity(
    "Sums of multiples are multiples.",
    (reduce_sum, (multiply, "s", "x")),
    (reduce_sum, (divide, "x", "s")),
    (reduce_sum, (negative, "x")),
    when=lambda m: is_real(m) and m.output.shape == () and ("s" not in m.named or shape_of(m["s"]) == ()),
    to=lambda m: multiple_of_sum(m),
    samples=[
        sample(lambda x: reduce_sum(2.0 * x, axis=(0, 1)), (2, 3)),
        sample(lambda x: reduce_sum(-x, axis=(0, 1)), (2, 3)),
        sample(lambda x, s: reduce_sum(x / s, axis=(0, 1)), (2, 3), ()),
    ],
)


def multiple_of_sum(m: Match) -> Any:
    """The factor times the sum, or the trace, without it."""
    total, (inner,) = m(reduce_sum, m["x"], axis=m.params["axis"]), m.inner
    if "s" not in m.named:
        return m(negative, total)
    return m(divide, total, m["s"]) if inner.primitive is row_of(divide) else m(multiply, m["s"], total)


identity(
    "A sum is a product with columns of ones.",
    (reduce_sum, "x"),
    when=lambda m: (
        is_real(m)
        and len(shape_of(m["x"])) in (1, 2)
        and bool(m.params["axis"])
        and aval_of(m["x"]).size > 1
        and made_by(m, m["x"], common_diagonal) is None
        and not (m.output.shape == () and made_by(m, m["x"], square) is not None)
    ),
    to=ones_beside,
    samples=[
        sample(lambda x: reduce_sum(x, axis=(0,)), (3,)),
        sample(lambda x: reduce_sum(x, axis=(0,)), (2, 3)),
        sample(lambda x: reduce_sum(x, axis=(1,)), (2, 3)),
        sample(lambda x: reduce_sum(x, axis=(0, 1)), (2, 3)),
    ],
)
