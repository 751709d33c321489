"""Sums: like terms are one, common factors stand outside, and the first term has no minus sign if another has none."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

from arrayad.primitives.arithmetic import add, divide, multiply, subtract
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.linear_algebra import matrix_product
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.rewriting import Known, Match, row_of, sample
from arrayad.shaped import is_weak
from arrayad.symbolic.matrix.parts import (
    DIVIDE,
    MULTIPLY,
    NEGATIVE,
    PRODUCT,
    ROUNDING,
    chain,
    filled,
    identity,
    is_real,
    made_by,
    number,
    product,
    same,
    scaled,
    shape_of,
    turned,
)
from arrayad.tracing import aval_of

ADD, SUBTRACT = row_of(add), row_of(subtract)


MOST = 32
"""Terms up to which a sum within a sum is taken apart."""


class Term(NamedTuple):
    """One term of a sum: a number times an expression that is none."""

    coefficient: float
    core: Any


def terms_of(m: Match, entry: Any, sign: float = 1.0) -> list[Term]:
    """The terms of a sum or a difference, an entry or a match; those of its operands where these are sums."""
    x, y = (in_full(m, z, entry.output) for z in entry.inputs)
    row = entry.row if entry is m else entry.primitive
    return [*terms(m, x, sign), *terms(m, y, -sign if row is SUBTRACT else sign)]


def in_full(m: Match, x: Any, output: Any) -> Any:
    """An operand in the shape of the sum; a number is repeated, a constant one in ones."""
    if shape_of(x) == output.shape and not is_weak(x):
        return x
    c = number(m, x)
    if c is None:
        return m(broadcast_to, x, shape=output.shape)
    return filled(m, output.shape, c, output.dtype)


def is_sum(entry: Any) -> bool:
    """Whether an entry is a sum or a difference of real arrays of one shape and numbers."""
    shapes = [shape_of(x) for x in entry.inputs]
    return entry.output.dtype.kind == "f" and entry.output.shape in shapes and set(shapes) <= {(), entry.output.shape}


def terms(m: Match, x: Any, coefficient: float) -> list[Term]:
    """The terms of an expression."""
    entry = m.graph.producer(x)
    row = None if entry is None else entry.primitive
    c = number(m, x)
    if c is not None and abs(c) != 1 and c:
        return [Term(coefficient * c, filled(m, shape_of(x), 1.0, aval_of(x).dtype))]
    if row in (ADD, SUBTRACT) and is_sum(entry):
        found = terms_of(m, entry, coefficient)
        return found if len(found) <= MOST else [Term(coefficient, x)]
    if row is NEGATIVE:
        return terms(m, entry.inputs[0], -coefficient)
    if row is MULTIPLY and (c := number(m, entry.inputs[0])) is not None and shape_of(entry.inputs[1]) == entry.output.shape:
        return [Term(coefficient * c, entry.inputs[1])]
    return [Term(coefficient, x)]


def are_alike(m: Match, x: Any, y: Any) -> bool:
    """Whether two expressions are one, or numbers that are transposes of one another."""
    if same(m, x, y):
        return True
    one, other = (made_by(m, z, reshape) for z in (x, y))
    if shape_of(x) != () or one is None or other is None:
        return False
    (a,), (b,) = one.inputs, other.inputs
    factors = chain(m, a)
    return shape_of(a) == shape_of(b) == (1, 1) and same(m, product(m, *(turned(m, f) for f in reversed(factors))), b)


def alike_added(m: Match, found: list[Term]) -> list[Term]:
    """The terms with like ones added."""
    added: list[Term] = []
    for term in found:
        for i, other in enumerate(added):
            if are_alike(m, other.core, term.core):
                coefficient = other.coefficient + term.coefficient
                vanishes = abs(coefficient) <= ROUNDING * abs(term.coefficient)
                added[i] = Term(0.0 if vanishes else coefficient, other.core)
                break
        else:
            added.append(term)
    return [term for term in added if term.coefficient]


class Factors(NamedTuple):
    """What a term is a product of: a number in front, a divisor, and matrices."""

    front: Any
    divisor: Any
    matrices: list[Any]


def factors_of(m: Match, x: Any) -> Factors:
    """The factors of a term's expression."""
    front = divisor = None
    if (entry := made_by(m, x, divide)) is not None and shape_of(entry.inputs[1]) == ():
        x, divisor = entry.inputs
    if (entry := made_by(m, x, multiply)) is not None and shape_of(entry.inputs[0]) == () != shape_of(x):
        front, x = entry.inputs
    return Factors(front, divisor, chain(m, x))


def agree(m: Match, x: Any, y: Any) -> bool:
    """Whether both are nothing, or both the same."""
    return x is y or (x is not None and y is not None and same(m, x, y))


def common(m: Match, a: list[Any], b: list[Any]) -> tuple[int, int]:
    """How many factors two products begin and end with alike; each keeps one of its own."""
    most = min(len(a), len(b)) - 1
    first = last = 0
    while first < most and same(m, a[first], b[first]):
        first += 1
    while first + last < most and same(m, a[-1 - last], b[-1 - last]):
        last += 1
    return first, last


def factored(m: Match, found: list[Term]) -> list[Term] | None:
    """The terms, two of them with a common factor made one; None if no two have one."""
    split = [factors_of(m, term.core) for term in found]
    for i, one in enumerate(split):
        for j in range(i + 1, len(split)):
            other = split[j]
            if not (agree(m, one.front, other.front) and agree(m, one.divisor, other.divisor)):
                continue
            first, last = common(m, one.matrices, other.matrices)
            if first + last or (len(found) == 2 and (one.front is not None or one.divisor is not None)):
                term = together(m, found[i], found[j], one, other, first, last)
                return [*found[:i], term, *found[i + 1 : j], *found[j + 1 :]]
    return None


def together(m: Match, a: Term, b: Term, one: Factors, other: Factors, first: int, last: int) -> Term:
    """Two terms with their common factors outside."""
    n, k = len(one.matrices), len(other.matrices)
    rests = [product(m, *one.matrices[first : n - last]), product(m, *other.matrices[first : k - last])]
    outside = a.coefficient if abs(a.coefficient) == abs(b.coefficient) else 1.0
    if outside < 0 < b.coefficient:
        outside = -outside
    inner = total(m, [Term(a.coefficient / outside, rests[0]), Term(b.coefficient / outside, rests[1])])
    core = product(m, *one.matrices[:first], inner, *one.matrices[n - last :])
    if one.front is not None:
        core = m(multiply, one.front, core)
    return Term(outside, core if one.divisor is None else m(divide, core, one.divisor))


def total(m: Match, found: list[Term]) -> Any:
    """The sum of terms, one without a minus sign in front if there is one."""
    place = next((i for i, term in enumerate(found) if term.coefficient > 0), 0)
    first, *rest = [found[place], *found[:place], *found[place + 1 :]]
    y = scaled(m, first.coefficient, first.core)
    rows = [subtract if coefficient < 0 else add for coefficient, _ in rest]
    operands = [scaled(m, abs(coefficient), core) for coefficient, core in rest]
    rules = m.graph.rules
    rules.settled, before = True, rules.settled
    try:
        for row, x in zip(rows, operands, strict=True):
            y = m(row, y, x)
    finally:
        rules.settled = before
    return y


def collected(m: Match) -> Any:
    """The sum with like terms added and common factors outside; None if it is so already."""
    if m.graph.rules.settled:
        return None
    written = terms_of(m, m)
    found = alike_added(m, written)
    if not found:
        return filled(m, m.output.shape, 0.0, m.output.dtype)
    changed = len(found) < len(written) or not is_in_order(m, written)
    while (better := factored(m, found)) is not None:
        found, changed = better, True
    if m.graph.rules.ordered:
        in_order = sorted(found, key=lambda term: (term.coefficient < 0, rank_of(m, term.core)))
        changed = changed or any(a is not b for a, b in zip(in_order, found, strict=True))
        found = in_order
    return total(m, found) if changed else None


class Rank(NamedTuple):
    """Where a term of a derivative stands: the highest degree first, then the fewest transposes, then by the inputs."""

    degree: int
    transposes: int
    inputs: tuple[int, ...]


def rank_of(m: Match, x: Any) -> Rank:
    """The rank of an expression, found without recursion in products alone."""
    entry = None if is_weak(x) else m.graph.producer(x)
    if entry is None:
        if is_weak(x) or x.history is None:
            return Rank(0, 0, ())
        places = [i for i, y in enumerate(m.graph.inputs) if y.history is x.history]
        return Rank(-1, 0, tuple(places))
    ranks = m.graph.rules.ranks
    if entry in ranks:
        return ranks[entry]
    parts = [rank_of(m, y) for y in entry.inputs] or [Rank(0, 0, ())]
    row = entry.primitive
    if row in (ADD, SUBTRACT):
        found = min(parts)
    elif row in (MULTIPLY, DIVIDE, PRODUCT):
        found = Rank(sum(p.degree for p in parts), sum(p.transposes for p in parts), places_of(parts))
    elif len(parts) == 1 and row is row_of(permute_dims):
        found = Rank(parts[0].degree, parts[0].transposes + 1, parts[0].inputs)
    elif len(parts) == 1:
        found = parts[0]
    else:
        found = Rank(-1, 0, places_of(parts))
    ranks[entry] = found
    return found


def places_of(parts: list[Rank]) -> tuple[int, ...]:
    """The inputs of several expressions, a few of them."""
    return tuple(itertools.chain.from_iterable(part.inputs for part in parts))[:MOST]


def is_in_order(m: Match, written: list[Term]) -> bool:
    """Whether a sum is written as `total` would write it: minus signs only between terms."""
    if written[0].coefficient < 0 < max(term.coefficient for term in written):
        return False
    y = m.inputs[1]
    entry = m.graph.producer(y)
    if entry is None:
        return (number(m, y) or 0.0) >= 0
    negates = entry.primitive is MULTIPLY and (number(m, entry.inputs[0]) or 0.0) < 0
    return not (negates or entry.primitive in (NEGATIVE, ADD, SUBTRACT))


identity(
    "Like terms are one, and a common factor stands outside.",
    (add, "x", "y"),
    (subtract, "x", "y"),
    when=is_sum,
    to=collected,
    samples=[
        sample(lambda x, y: (x + y) + x, (2, 3), (2, 3)),
        sample(lambda a, b, x: matrix_product(a, x) + matrix_product(b, x), (2, 3), (2, 3), (3, 1)),
        sample(lambda a, x, y: 2.0 * matrix_product(a, x) - 2.0 * matrix_product(a, y), (2, 3), (3, 1), (3, 1)),
        sample(lambda x, y: -x + y, (2, 3), (2, 3)),
    ],
)


def number_outside(m: Match) -> Any:
    """A product with a sum all of whose terms have one number in front, with that number in front of the product."""
    (inner,) = m.inner
    if not is_sum(inner):
        return None
    found = terms_of(m, inner)
    c = abs(found[0].coefficient)
    if c == 1 or any(abs(term.coefficient) != c for term in found):
        return None
    rest = total(m, [Term(term.coefficient / c, term.core) for term in found])
    operands = [rest if m.graph.producer(x) is inner else x for x in m.inputs]
    return scaled(m, c, m(m.row, *operands))


identity(
    "A number in front of all terms of a sum stands in front of a product with the sum.",
    (matrix_product, (add, "x", "y"), "b"),
    (matrix_product, (subtract, "x", "y"), "b"),
    (matrix_product, "a", (add, "x", "y")),
    (matrix_product, "a", (subtract, "x", "y")),
    when=is_real,
    to=number_outside,
    samples=[sample(lambda x, y, b: matrix_product(2.0 * x - 2.0 * y, b), (2, 3), (2, 3), (3, 2))],
)

identity(
    "A sum with zero.",
    (add, "x", Known("zero", lambda v: v == 0)),
    (add, Known("zero", lambda v: v == 0), "x"),
    (subtract, "x", Known("zero", lambda v: v == 0)),
    when=lambda m: is_real(m) and shape_of(m["x"]) == m.output.shape,
    to=lambda m: m["x"],
    samples=[sample(lambda x: x + 0.0, (2, 3)), sample(lambda x: x - 0.0, (2, 3))],
)
