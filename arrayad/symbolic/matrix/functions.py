"""What derivatives of functions of arrays are made of, as textbooks say it: determinants, shares, one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.primitives.arithmetic import add, divide, multiply, subtract
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.comparison import not_equal
from arrayad.primitives.determinants import cofactors, det
from arrayad.primitives.exponential import exp, sigmoid
from arrayad.primitives.linear_algebra import common_diagonal
from arrayad.primitives.linear_systems import inverse
from arrayad.primitives.network import (
    cross_entropy_cotangent,
    log_softmax,
    log_softmax_cotangent,
    softmax,
    softmax_product,
)
from arrayad.primitives.reduction import logsumexp, softmax_weights
from arrayad.primitives.shape import reshape
from arrayad.rewriting import Known, Match, sample
from arrayad.symbolic.matrix.parts import identity, is_matrix, is_real, one_hot, product, shape_of, turned
from arrayad.tracing import aval_of

# --- determinants ------------------------------------------------------------------------------------------------------------


def inverse_transposed(m: Match, x: Any) -> Any:
    return turned(m, m(inverse, x))


def cofactors_along(m: Match) -> Any:
    """The derivative of det(X) X⁻ᵀ along a matrix T: det(X) (tr(X⁻¹ T) X⁻ᵀ - X⁻ᵀ Tᵀ X⁻ᵀ)."""
    x, t = m["x"], m["t"]
    turn = inverse_transposed(m, x)
    rate = m(reduce_sum, m(common_diagonal, product(m, m(inverse, x), t), axis1=0, axis2=1), axis=(0,))
    change = m(subtract, m(multiply, rate, turn), product(m, turn, turned(m, t), turn))
    return m(multiply, m(det, x), change)


identity(
    "The cofactors of a regular matrix are its determinant times the inverse, transposed.",
    (cofactors, "x"),
    when=is_matrix,
    to=lambda m: m(multiply, m(det, m["x"]), inverse_transposed(m, m["x"])),
    samples=[sample(lambda x: cofactors(x), (3, 3))],
)

identity(
    "The derivative of the cofactors of a regular matrix along another.",
    (cofactors, "x", "t"),
    when=is_matrix,
    to=cofactors_along,
    samples=[sample(lambda x, t: cofactors(x, t), (3, 3), (3, 3))],
)

# --- shares ------------------------------------------------------------------------------------------------------------------


def axis_of(m: Match) -> int | None:
    """The one axis longer than 1 that a row works along, None if there are several."""
    axes = m.params["axis"] if isinstance(m.params["axis"], tuple) else (m.params["axis"],)
    long = [a for a in axes if shape_of(m.inputs[0])[a] != 1]
    return long[0] if len(long) == 1 else None


identity(
    "The shares of exponentials in their sum are softmax.",
    (softmax_weights, "x", (logsumexp, "x")),
    when=lambda m: is_real(m) and axis_of(m) is not None and m.inner[0].params["axis"] == m.params["axis"],
    to=lambda m: m(softmax, m["x"], axis=axis_of(m)),
    samples=[sample(lambda x: softmax_weights(x, logsumexp(x, axis=(0,)), axis=(0,)), (3, 2))],
)

identity(
    "The shares of the elements of a vector are those of a column.",
    (softmax_weights, "x", "y"),
    when=lambda m: is_real(m) and len(m.output.shape) == 1 and m.output.size > 0,
    to=lambda m: m(
        reshape,
        m(softmax_weights, m(reshape, m["x"], shape=(m.output.size, 1)), m["y"], axis=(0, 1)),
        shape=m.output.shape,
    ),
    samples=[sample(lambda x: softmax_weights(x, logsumexp(x, axis=(0,)), axis=(0,)), (3,))],
)

identity(
    "The exponential of the logarithm of softmax.",
    (exp, (log_softmax, "x")),
    when=is_real,
    to=lambda m: m(softmax, m["x"], axis=m.inner[0].params["axis"]),
    samples=[sample(lambda x: exp(log_softmax(x, axis=0)), (3, 2))],
)


def times_total(m: Match, shares: Any, x: Any, axis: int) -> Any:
    """Shares times the sum of x along their axis."""
    total = m(reduce_sum, x, axis=(axis,))
    kept = tuple(1 if a == axis else n for a, n in enumerate(shape_of(x)))
    return m(multiply, m(reshape, total, shape=kept), shares)


def log_softmax_back(m: Match) -> Any:
    """The cotangent of log softmax: that of the result less its sum times the shares."""
    axis = m.params["axis"]
    shares = m(softmax, m["x"], axis=m.inner[0].params["axis"])
    return m(subtract, m["ct"], times_total(m, shares, m["ct"], axis))


def on_columns(m: Match) -> Any:
    """A row of two vectors on columns."""
    columns = [m(reshape, x, shape=(aval_of(x).size, 1)) for x in m.inputs]
    return m(reshape, m(m.row, *columns, axis=0), shape=m.output.shape)


identity(
    "The derivatives of softmax and its logarithm by vectors are those by columns.",
    (log_softmax_cotangent, "ct", "x"),
    (softmax_product, "ct", "x"),
    when=lambda m: is_real(m) and len(m.output.shape) == 1 and m.output.size > 0,
    to=on_columns,
    samples=[
        sample(lambda ct, x: log_softmax_cotangent(ct, x, axis=0), (3,), (3,)),
        sample(lambda ct, x: softmax_product(ct, x, axis=0), (3,), (3,)),
    ],
)

identity(
    "The cotangent of the logarithm of softmax.",
    (log_softmax_cotangent, "ct", (log_softmax, "x")),
    when=is_matrix,
    to=log_softmax_back,
    samples=[sample(lambda ct, x: log_softmax_cotangent(ct, log_softmax(x, axis=1), axis=1), (3, 2), (3, 2))],
)

identity(
    "The derivative of softmax.",
    (softmax_product, "v", "y"),
    when=is_matrix,
    to=lambda m: softmax_along(m),
    samples=[sample(lambda v, y: softmax_product(v, y, axis=0), (3, 1), (3, 1))],
)


def softmax_along(m: Match) -> Any:
    """The shares times what changes, less the shares times the mean change."""
    v, y = m["v"], m["y"]
    changed = m(multiply, y, v)
    return m(subtract, changed, times_total(m, y, changed, m.params["axis"]))


def cross_entropy_back(m: Match) -> Any:
    """softmax(z) - onehot(y), times the cotangent of each row's loss."""
    ct, x, labels = m["ct"], m["x"], m["labels"]
    count = shape_of(x)[-1]
    if len(shape_of(x)) == 1:
        z = m(reshape, x, shape=(count, 1))
        found = m(subtract, m(softmax, z, axis=0), one_hot(m, labels, count))
        return m(reshape, m(multiply, ct, found), shape=(count,))
    found = m(subtract, m(softmax, x, axis=1), one_hot(m, labels, count))
    return m(multiply, m(reshape, ct, shape=(shape_of(x)[0], 1)), found)


identity(
    "The gradient of the cross entropy of labels, none of which is ignored, is softmax less one-hot vectors.",
    (cross_entropy_cotangent, "ct", "x", "labels"),
    when=lambda m: is_real(m) and len(shape_of(m["x"])) in (1, 2) and m.params["ignore_index"] < 0,
    to=cross_entropy_back,
    samples=[
        sample(
            lambda c, x, y: cross_entropy_cotangent(c, x, y, ignore_index=-100),
            (),
            (3,),
            (),
            dtypes=["float64", "float64", "int64"],
        ),
        sample(
            lambda c, x, y: cross_entropy_cotangent(c, x, y, ignore_index=-100),
            (2,),
            (2, 3),
            (2,),
            dtypes=["float64", "float64", "int64"],
        ),
    ],
)

identity(
    "A label is no negative number: all are counted.",
    (not_equal, "labels", Known("ignored", lambda v: v < 0)),
    when=lambda m: aval_of(m["labels"]).dtype.kind in "iu" and m.graph.producer(m["labels"]) is None,
    to=lambda m: m.constant(np.ones(m.output.shape, bool)),
    samples=[sample(lambda y: not_equal(y, -100), (3,), dtypes="int64")],
)

identity(
    "eˣ / (1 + eˣ) is the logistic function.",
    (divide, (exp, "x"), (add, (exp, "x"), Known("one", lambda v: v == 1))),
    (divide, (exp, "x"), (add, Known("one", lambda v: v == 1), (exp, "x"))),
    when=is_real,
    to=lambda m: m(sigmoid, m["x"]),
    samples=[sample(lambda x: exp(x) / (exp(x) + 1.0), (3, 2))],
)
