"""How each row is written in formulas of matrices: a table of notations, in text and in LaTeX.

A notation makes a `Piece` of an entry on a `Page`, which knows the pieces of its operands.  Elementwise rows that are not in the
table are written by their column `text` or `latex`, all other rows as calls.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from arrayad.primitives.arithmetic import absolute, add, divide, multiply, negative, reciprocal, square, subtract
from arrayad.primitives.broadcasting import broadcast_to, reduce_sum
from arrayad.primitives.casting import astype
from arrayad.primitives.comparison import equal
from arrayad.primitives.determinants import det, slogdet
from arrayad.primitives.exponential import exp, power, sigmoid_derivative
from arrayad.primitives.indexing import getitem
from arrayad.primitives.linear_algebra import common_diagonal, matrix_product, on_diagonal
from arrayad.primitives.linear_systems import inverse
from arrayad.primitives.matrix_functions import expm
from arrayad.primitives.network import cross_entropy, log_softmax, softmax
from arrayad.primitives.picking import pick
from arrayad.primitives.reduction import euclidean_norm, logsumexp, reduce_max, reduce_min
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.primitives.trigonometric import sech2
from arrayad.rewriting import row_of
from arrayad.symbolic.matrix.parts import known, shape_of

SUM, MINUS, QUOTIENT, ELEMENTS, INNER, PRODUCT, POWER, ATOM = range(8)
"""How tightly a piece holds together: sums least, then -x, x / y, x ⊙ y, numbers that are products, products, powers, letters."""


class Piece(NamedTuple):
    """A part of a formula, how tightly it holds together, and of an inverse the piece that it is the inverse of."""

    text: str
    level: int = ATOM
    base: str | None = None


Notation = Callable[[Any, Any], Piece | None]

NOTATIONS: dict[Any, Notation] = {}
"""How an entry of a row is written; None where that is not the notation for this one."""


def notation(*operations: Any) -> Callable[[Notation], Notation]:
    """Enter a notation for some rows."""

    def enter(write: Notation) -> Notation:
        for operation in operations:
            NOTATIONS[row_of(operation)] = write
        return write

    return enter


@notation(add, subtract)
def written_sum(page: Any, entry: Any) -> Piece:
    sign = "+" if entry.primitive is row_of(add) else page.style.minus
    x, y = (term(page, z, entry.output.shape) for z in entry.inputs)
    return Piece(f"{page.within(x, SUM)} {sign} {page.within(y, QUOTIENT)}", SUM)


def term(page: Any, x: Any, shape: tuple[int, ...]) -> Piece:
    """A term of a sum; of a number that is added to all elements, times as many ones."""
    piece: Piece = page.piece(x)
    if shape_of(x) == shape or shape_of(x) != ():
        return piece
    ones = page.ones(shape)
    return ones if page.constant_number(x) == 1 else Piece(f"{page.within(piece, PRODUCT)} {ones.text}", PRODUCT)


@notation(negative)
def written_negative(page: Any, entry: Any) -> Piece:
    return Piece(f"{page.style.minus}{page.within(page.piece(entry.inputs[0]), QUOTIENT)}", MINUS)


@notation(multiply)
def written_multiple(page: Any, entry: Any) -> Piece:
    x, y = entry.inputs
    c = page.constant_number(x)
    if c is not None and c < 0:
        inner = page.times(page.number(-c), page.piece(y)) if c != -1 else page.piece(y)
        return Piece(f"{page.style.minus}{page.within(inner, QUOTIENT)}", MINUS)
    if shape_of(x) == ():
        return page.times(page.piece(x), page.piece(y))
    if shape_of(y) == ():
        return page.times(page.piece(y), page.piece(x))
    left, right = (page.within(page.piece(z), ELEMENTS) for z in (x, y))
    return Piece(f"{left} {page.style.elements} {right}", ELEMENTS)


@notation(divide)
def written_quotient(page: Any, entry: Any) -> Piece:
    x, y = entry.inputs
    over = page.style.by_elements if shape_of(y) != () else "/"
    numerator = term(page, x, entry.output.shape)
    return page.fraction(numerator, page.piece(y), over)


@notation(reciprocal)
def written_reciprocal(page: Any, entry: Any) -> Piece:
    (x,) = entry.inputs
    if shape_of(x) == ():
        return page.fraction(Piece("1"), page.piece(x), "/")
    return page.fraction(page.ones(entry.output.shape), page.piece(x), page.style.by_elements)


@notation(matrix_product)
def written_product(page: Any, entry: Any) -> Piece:
    factors = [page.piece(x) for x in page.factors(entry)]
    texts: list[str] = []
    for piece, group in itertools.groupby(factors):
        count = len(list(group))
        texts.append(page.within(piece, PRODUCT) if count == 1 else page.repeated(piece, count))
    if len(texts) == 1:
        return Piece(texts[0], POWER)
    return Piece(" ".join(texts), INNER if entry.output.shape == (1, 1) else PRODUCT)


@notation(permute_dims)
def written_transpose(page: Any, entry: Any) -> Piece | None:
    if entry.params["axes"] != (1, 0):
        return None
    piece = page.piece(entry.inputs[0])
    if piece.base is not None:
        return Piece(piece.base + page.style.inverse_transposed, POWER)
    return Piece(page.within(piece, ATOM) + page.style.transposed, POWER)


@notation(inverse)
def written_inverse(page: Any, entry: Any) -> Piece:
    base = page.within(page.piece(entry.inputs[0]), ATOM)
    return Piece(base + page.style.inverse, POWER, base)


@notation(reshape)
def written_reshape(page: Any, entry: Any) -> Piece | None:
    (x,) = entry.inputs
    before, after = shape_of(x), entry.output.shape
    if after in ((), (1, 1)) or after == (*before, 1) or before == (*after, 1):
        return page.piece(x)
    return None


@notation(broadcast_to)
def written_repetition(page: Any, entry: Any) -> Piece | None:
    (x,) = entry.inputs
    return page.times(page.piece(x), page.ones(entry.output.shape)) if shape_of(x) == () else None


@notation(on_diagonal)
def written_diagonal(page: Any, entry: Any) -> Piece | None:
    return page.call("diag", page.piece(entry.inputs[0])) if len(entry.output.shape) == 2 else None


@notation(common_diagonal)
def written_diagonal_of(page: Any, entry: Any) -> Piece | None:
    return page.call("diag", page.piece(entry.inputs[0])) if len(entry.output.shape) == 1 else None


@notation(reduce_sum)
def written_reduction(page: Any, entry: Any) -> Piece | None:
    if entry.output.shape != ():
        return None
    inner = page.entry(entry.inputs[0])
    if inner is not None and inner.primitive is row_of(common_diagonal) and len(shape_of(inner.inputs[0])) == 2:
        return page.call("tr", page.piece(inner.inputs[0]))
    if inner is not None and inner.primitive is row_of(square):
        return Piece(norm(page, inner.inputs[0]).text + page.style.power("2"), POWER)
    return None


def norm(page: Any, x: Any) -> Piece:
    """The Euclidean norm of a vector, the Frobenius norm of a matrix."""
    bars = page.style.norm(page.piece(x).text)
    return Piece(bars if 1 in shape_of(x) or len(shape_of(x)) < 2 else bars + page.style.frobenius, ATOM)


@notation(euclidean_norm)
def written_norm(page: Any, entry: Any) -> Piece | None:
    return norm(page, entry.inputs[0]) if entry.output.shape == () else None


@notation(square, power)
def written_power(page: Any, entry: Any) -> Piece | None:
    exponent = 2.0 if entry.primitive is row_of(square) else page.constant_number(entry.inputs[1])
    if exponent is None or exponent != int(exponent):
        return None
    base = page.within(page.piece(entry.inputs[0]), ATOM)
    raise_to = page.style.power if entry.output.shape == () else page.style.power_of_elements
    return Piece(base + raise_to(f"{exponent:g}"), POWER)


@notation(pick)
def written_part(page: Any, entry: Any) -> Piece | None:
    inner = page.entry(entry.inputs[0])
    if inner is None or inner.primitive is not row_of(slogdet):
        return None
    x = page.piece(inner.inputs[0])
    if entry.params["index"] == 0:
        return page.call("sign det", x)
    return Piece(page.style.function("log", page.style.bars(page.call("det", x).text)), ATOM)


@notation(astype)
def written_cast(page: Any, entry: Any) -> Piece | None:
    inner = page.entry(entry.inputs[0])
    if inner is None or inner.primitive is not row_of(equal):
        return None
    labels, places = inner.inputs
    value = known(places)
    if value is None or not np.array_equal(value.reshape(-1), np.arange(value.size)):
        return None
    return page.call("onehot", page.piece(labels))


def along_rows(page: Any, entry: Any) -> Piece | None:
    """A function of columns, or of the rows of a matrix; of its columns the axis is told."""
    (x,) = entry.inputs
    axes = entry.params["axis"] if isinstance(entry.params["axis"], tuple) else (entry.params["axis"],)
    shape = shape_of(x)
    whole = all(n == 1 for a, n in enumerate(shape) if a not in axes)
    if not whole and axes != (len(shape) - 1,):
        return None
    return page.call(entry.primitive.name.replace("_", " "), page.piece(x))


notation(softmax, log_softmax, logsumexp)(along_rows)


@notation(getitem)
def written_element(page: Any, entry: Any) -> Piece | None:
    index = entry.params["index"]
    if len(entry.inputs) > 1 or not all(isinstance(i, int) for i in index):
        return None
    places = ", ".join(page.option(i) for i in index)
    return Piece(page.style.element(page.within(page.piece(entry.inputs[0]), ATOM), places))


@notation(reduce_max, reduce_min)
def written_extremum(page: Any, entry: Any) -> Piece | None:
    name = "max" if entry.primitive is row_of(reduce_max) else "min"
    return page.call(name, page.piece(entry.inputs[0])) if entry.output.shape == () else None


@notation(absolute)
def written_absolute(page: Any, entry: Any) -> Piece:
    return Piece(page.style.bars(page.piece(entry.inputs[0]).text))


def named(name: str) -> Notation:
    """The notation of a function by its name."""
    return lambda page, entry: page.call(name, *(page.piece(x) for x in entry.inputs))


notation(det)(named("det"))
notation(exp)(named("exp"))
notation(expm)(named("expm"))


@notation(cross_entropy)
def written_cross_entropy(page: Any, entry: Any) -> Piece:
    return page.call("cross entropy", *(page.piece(x) for x in entry.inputs))


def in_text(name: str) -> Notation:
    """The notation of an elementwise function by a name in text, by its row's column in LaTeX."""
    return lambda page, entry: page.call(name, page.piece(entry.inputs[0])) if page.style.column == "text" else None


notation(sigmoid_derivative)(in_text("sigmoid′"))
notation(sech2)(in_text("sech²"))
