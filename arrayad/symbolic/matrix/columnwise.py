"""The Jacobian of a vector by a vector in closed form: the derivative along all unit vectors at once, side by side in a matrix.

The derivative along a vector t is a tape that is linear in t.  Each row has a rule that applies it to many columns: where A t
stands, the columns T give A T; where v ⊙ t stands, diag(v) T; where (uᵀ t) v stands, v uᵀ T.  With T = I the result is the
Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from arrayad.primitives.arithmetic import add, divide, multiply, negative, reciprocal, subtract
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.linear_algebra import matrix_product, matrix_transposed, on_diagonal
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.rewriting import row_of
from arrayad.symbolic.matrix.parts import shape_of
from arrayad.tensor import handle
from arrayad.tracing import Tape, is_member


class Columns(NamedTuple):
    """Many vectors, the columns of a matrix, or many numbers, its one row; `turned` vectors are rows in the program."""

    matrix: Any
    turned: bool = False

    @property
    def are_numbers(self) -> bool:
        """Whether each column is one number."""
        return bool(self.matrix.shape[0] == 1)


Rule = Callable[..., Columns | None]

COLUMNWISE: dict[Any, Rule] = {}
"""By row, what it makes of operands of which one is `Columns`; None where that is no matrix."""


def columnwise(*operations: Any) -> Callable[[Rule], Rule]:
    """Enter a rule for some rows."""

    def enter(rule: Rule) -> Rule:
        for operation in operations:
            COLUMNWISE[row_of(operation)] = rule
        return rule

    return enter


@columnwise(add, subtract)
def of_sum(entry: Any, x: Any, y: Any) -> Columns | None:
    if not (isinstance(x, Columns) and isinstance(y, Columns)) or x.turned != y.turned:
        return None
    return Columns(entry.primitive.apply(x.matrix, y.matrix), x.turned)


@columnwise(negative)
def of_negative(entry: Any, x: Columns) -> Columns:
    return Columns(negative(x.matrix), x.turned)


def scaled(x: Columns, by: Any) -> Columns:
    """The elements of each column times those of a vector."""
    return Columns(matrix_product(on_diagonal(reshape(by, shape=(x.matrix.shape[0],)), axis1=0, axis2=1), x.matrix), x.turned)


@columnwise(multiply)
def of_multiple(entry: Any, x: Any, y: Any) -> Columns | None:
    if isinstance(y, Columns):
        x, y = y, x
    if isinstance(y, Columns):
        return None
    if shape_of(y) == ():
        return Columns(multiply(y, x.matrix), x.turned)
    if x.are_numbers:
        if shape_of(y)[1:] == (1,):
            return Columns(matrix_product(y, x.matrix))
        return Columns(matrix_product(matrix_transposed(y), x.matrix), True) if shape_of(y)[0] == 1 else None
    return scaled(x, y) if 1 in shape_of(y) else None


@columnwise(divide)
def of_quotient(entry: Any, x: Any, y: Any) -> Columns | None:
    if isinstance(y, Columns):
        return None
    if shape_of(y) == ():
        return Columns(divide(x.matrix, y), x.turned)
    return scaled(x, reciprocal(y)) if 1 in shape_of(y) else None


@columnwise(matrix_product)
def of_product(entry: Any, x: Any, y: Any) -> Columns | None:
    if isinstance(x, Columns) and isinstance(y, Columns):
        return None
    if isinstance(y, Columns):
        return None if y.turned else Columns(matrix_product(x, y.matrix))
    if not x.turned:
        return None
    found = matrix_product(matrix_transposed(y), x.matrix)
    return Columns(found, found.shape[0] != 1)


@columnwise(permute_dims)
def of_transpose(entry: Any, x: Columns) -> Columns:
    return Columns(x.matrix, not x.turned)


@columnwise(reshape)
def of_reshape(entry: Any, x: Columns) -> Columns | None:
    shape = entry.output.shape
    if len(shape) > 2 or (len(shape) == 2 and 1 not in shape):
        return None
    return Columns(x.matrix, len(shape) == 2 and shape[0] == 1 != shape[1])


@columnwise(broadcast_to)
def of_repetition(entry: Any, x: Columns) -> Columns | None:
    shape = entry.output.shape
    if not x.are_numbers or shape[1:] != (1,):
        return None
    return Columns(matrix_product(handle(np.ones(shape, entry.output.dtype)), x.matrix))


def side_by_side(tape: Tape, operands: list[Any], columns: Any) -> Any:
    """The results of a tape for many values of its last input, a vector, as the columns of a matrix; None if it is none."""
    values: dict[Any, Any] = dict(zip(tape.inputs, [*operands, Columns(columns)], strict=True))
    for entry in tape.entries:
        inputs = [values[x.history] if is_member(x, tape) else x for x in entry.inputs]
        if not any(isinstance(x, Columns) for x in inputs):
            values[entry] = entry.primitive.apply(*inputs, **entry.params)
            continue
        rule = COLUMNWISE.get(entry.primitive)
        found = None if rule is None else rule(entry, *inputs)
        if found is None:
            return None
        values[entry] = found
    (output,) = tape.outputs
    found = values[output.history] if is_member(output, tape) else None
    return found.matrix if isinstance(found, Columns) and not found.turned else None
