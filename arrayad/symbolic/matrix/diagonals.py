"""Diagonal matrices, the diagonals of others, traces, and vectors of zeros with a one."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.primitives.arithmetic import divide, multiply, negative
from arrayad.primitives.indexing import ARRAY, getitem, put
from arrayad.primitives.linear_algebra import common_diagonal, matrix_product, on_diagonal
from arrayad.primitives.selection import where
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.rewriting import Known, Match, row_of, sample
from arrayad.symbolic.matrix.parts import (
    column,
    diagonal,
    diagonal_number,
    flat,
    identity,
    is_matrix,
    is_real,
    is_scalar,
    known,
    multiple,
    number,
    one_hot,
    product,
    scaled,
    shape_of,
    trace_of,
    turned,
    unit,
)
from arrayad.tensor import handle

PLACES = (handle(np.arange(3)), handle(np.arange(3)))
"""The two indices of a diagonal, in samples."""

identity(
    "A multiple of the unit matrix has its number in front of a quotient.",
    (divide, "a", "s"),
    when=lambda m: is_matrix(m) and shape_of(m["s"]) == () and diagonal_number(m["a"]) not in (None, 1.0),
    to=lambda m: scaled(m, diagonal_number(m["a"]) or 0.0, m(divide, unit(m, m.output.shape[0], m.output.dtype), m["s"])),
    samples=[sample(lambda s: divide(2.0 * np.eye(3), s), ())],
)

identity(
    "diag(v) x is the product of the elements of v and x.",
    (matrix_product, (on_diagonal, "v"), "x"),
    when=lambda m: is_matrix(m) and shape_of(m["x"])[1] == 1,
    to=lambda m: m(multiply, column(m, m["v"]), m["x"]),
    samples=[sample(lambda v, x: matrix_product(on_diagonal(v, axis1=0, axis2=1), x), (3,), (3, 1))],
)

identity(
    "xᵀ diag(v) is the product of the elements of x and v, a row.",
    (matrix_product, "x", (on_diagonal, "v")),
    when=lambda m: is_matrix(m) and shape_of(m["x"])[0] == 1,
    to=lambda m: m(multiply, m["x"], turned(m, column(m, m["v"]))),
    samples=[sample(lambda v, x: matrix_product(x, on_diagonal(v, axis1=0, axis2=1)), (3,), (1, 3))],
)


identity(
    "diag(u) diag(v) is the diagonal matrix of the products of their elements.",
    (matrix_product, (on_diagonal, "u"), (on_diagonal, "v")),
    when=is_matrix,
    to=lambda m: diagonal(m, m(multiply, m["u"], m["v"])),
    samples=[sample(lambda u, v: matrix_product(on_diagonal(u, axis1=0, axis2=1), on_diagonal(v, axis1=0, axis2=1)), (3,), (3,))],
)

identity(
    "diag(u) (diag(v) A) is diag(u v) A.",
    (matrix_product, (on_diagonal, "u"), (matrix_product, (on_diagonal, "v"), "a")),
    when=is_matrix,
    to=lambda m: product(m, diagonal(m, m(multiply, m["u"], m["v"])), m["a"]),
    samples=[
        sample(
            lambda u, v, a: matrix_product(on_diagonal(u, axis1=0, axis2=1), matrix_product(on_diagonal(v, axis1=0, axis2=1), a)),
            *((3,), (3,), (3, 2)),
        )
    ],
)

identity(
    "The diagonal of A diag(v), and of diag(v) A, is that of A times v.",
    (common_diagonal, (matrix_product, "a", (on_diagonal, "v"))),
    (common_diagonal, (matrix_product, (on_diagonal, "v"), "a")),
    when=lambda m: is_real(m) and len(m.output.shape) == 1,
    to=lambda m: m(multiply, m(common_diagonal, m["a"], axis1=0, axis2=1), m["v"]),
    samples=[
        sample(lambda a, v: common_diagonal(matrix_product(a, on_diagonal(v, axis1=0, axis2=1)), axis1=0, axis2=1), (3, 3), (3,))
    ],
)

identity(
    "diag(s v) is s diag(v).",
    (on_diagonal, (reshape, (multiply, "s", "v"))),
    (on_diagonal, (reshape, (negative, "v"))),
    (on_diagonal, (reshape, (divide, "v", "s"))),
    when=lambda m: is_matrix(m) and shape_of(m["v"])[1:] == (1,) and ("s" not in m.named or is_scalar(m, m["s"])),
    to=lambda m: multiple(m, m.inner[1], diagonal(m, flat(m, m["v"]))),
    samples=[
        sample(lambda v, s: on_diagonal(reshape(s * v, shape=(3,)), axis1=0, axis2=1), (3, 1), ()),
        sample(lambda v: on_diagonal(reshape(-v, shape=(3,)), axis1=0, axis2=1), (3, 1)),
        sample(lambda v, s: on_diagonal(reshape(v / s, shape=(3,)), axis1=0, axis2=1), (3, 1), ()),
    ],
)


def takes_diagonal(m: Match) -> bool:
    """Whether an index is that of the elements whose two indices are equal, of a square matrix."""
    shape = shape_of(m["x"]) if m.row is row_of(getitem) else m.params["shape"]
    places = [known(x) for x in m.inputs[1:]]
    return (
        is_real(m)
        and len(shape) == 2
        and shape[0] == shape[1]
        and m.params["index"] in ((Ellipsis, ARRAY, ARRAY), (ARRAY, ARRAY))
        and all(place is not None and np.array_equal(place, np.arange(shape[0])) for place in places)
    )


identity(
    "The elements with two equal indices are the diagonal.",
    (getitem, "x", "i", "j"),
    (put, "x", "i", "j"),
    when=takes_diagonal,
    to=lambda m: m(common_diagonal if m.row is row_of(getitem) else on_diagonal, m["x"], axis1=0, axis2=1),
    samples=[
        sample(lambda x: getitem(x, *PLACES, index=(ARRAY, ARRAY)), (3, 3)),
        sample(lambda x: put(x, *PLACES, index=(ARRAY, ARRAY), shape=(3, 3)), (3,)),
    ],
)


def diagonal_only(m: Match) -> Any:
    """The diagonal matrix of the diagonal of x, times a number."""
    mask = known(m.inputs[0])
    if mask is None or mask.ndim != 2 or mask.shape[0] != mask.shape[1] or shape_of(m["x"]) != m.output.shape:
        return None
    c = diagonal_number(handle(mask.astype(float)))
    found = m(on_diagonal, m(common_diagonal, m["x"], axis1=0, axis2=1), axis1=0, axis2=1)
    return None if c is None else scaled(m, c, found)


identity(
    "The elements that the unit matrix chooses, or is multiplied with, are the diagonal.",
    (where, "mask", "x", Known("zero", lambda v: v == 0)),
    (multiply, "mask", "x"),
    when=is_matrix,
    to=diagonal_only,
    samples=[
        sample(lambda x: where(np.eye(3, dtype=bool), x, 0.0), (3, 3)),
        sample(lambda x: multiply(2.0 * np.eye(3), x), (3, 3)),
    ],
)

identity(
    "The diagonal of a multiple, and of a transpose.",
    (common_diagonal, (multiply, "s", "x")),
    (common_diagonal, (divide, "x", "s")),
    (common_diagonal, (negative, "x")),
    (common_diagonal, (permute_dims, "x")),
    when=lambda m: is_real(m) and len(m.output.shape) == 1 and ("s" not in m.named or shape_of(m["s"]) == ()),
    to=lambda m: diagonal_of_multiple(m),
    samples=[
        sample(lambda x: common_diagonal(2.0 * x, axis1=0, axis2=1), (3, 3)),
        sample(lambda x, s: common_diagonal(x / s, axis1=0, axis2=1), (3, 3), ()),
        sample(lambda x: common_diagonal(permute_dims(x, axes=(1, 0)), axis1=0, axis2=1), (3, 3)),
    ],
)


def diagonal_of_multiple(m: Match) -> Any:
    """The multiple of the diagonal."""
    found, (inner,) = m(common_diagonal, m["x"], axis1=0, axis2=1), m.inner
    if inner.primitive is row_of(permute_dims):
        return found
    operands = [found] if "s" not in m.named else [found, m["s"]] if inner.primitive is row_of(divide) else [m["s"], found]
    return m(inner.primitive, *operands)


identity(
    "The diagonal of a diagonal matrix.",
    (common_diagonal, (on_diagonal, "v")),
    when=lambda m: is_real(m) and len(m.output.shape) == 1,
    to=lambda m: m["v"],
    samples=[sample(lambda v: common_diagonal(on_diagonal(v, axis1=0, axis2=1), axis1=0, axis2=1), (3,))],
)

identity(
    "The sum of the elements of a diagonal is the trace.",
    (matrix_product, "ones", (reshape, (common_diagonal, "x"))),
    when=lambda m: is_matrix(m) and shape_of(m["ones"])[0] == 1 and number(m, m["ones"]) == 1 and len(shape_of(m["x"])) == 2,
    to=lambda m: m(reshape, trace_of(m, m["x"]), shape=(1, 1)),
    samples=[
        sample(lambda x: matrix_product(np.ones((1, 3)), reshape(common_diagonal(x, axis1=0, axis2=1), shape=(3, 1))), (3, 3))
    ],
)


def put_in_place(m: Match) -> Any:
    """A number times a vector of zeros with a one."""
    (n,) = m.params["shape"]
    (index,) = m.params["index"]
    hot = one_hot(m, m["i"] if "i" in m.named else index % n, n)
    return flat(m, m(multiply, m["x"], hot))


identity(
    "A number put into zeros is a multiple of a one-hot vector.",
    (put, "x"),
    (put, "x", "i"),
    when=lambda m: (
        is_real(m)
        and shape_of(m["x"]) == ()
        and len(m.params["shape"]) == len(m.params["index"]) == 1
        and (isinstance(m.params["index"][0], int) or m.params["index"] == (ARRAY,))
        and ("i" not in m.named or shape_of(m["i"]) == ())
    ),
    to=put_in_place,
    samples=[sample(lambda x: put(x, index=(1,), shape=(3,)), ())],
)
