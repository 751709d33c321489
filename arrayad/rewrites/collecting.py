"""Products and sums collected as on paper: x·x² is x³, 2·(3·x) is 6·x, a/b/c is a/(b·c), x + 2·x is 3·x, a·e + b·e is (a + b)·e.

Equal as real numbers wherever what is replaced has a value, and rounded otherwise.  What is computed once and used in several
places is not computed again: only what is used in one place is taken apart.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from arrayad.primitives.arithmetic import add, divide, multiply, negative, reciprocal, sqrt, square, subtract
from arrayad.primitives.exponential import power
from arrayad.rewrites.units import fitted
from arrayad.rewriting import Match, rewrite, row_of, sample
from arrayad.tracing import aval_of

ADD, SUBTRACT, MULTIPLY, DIVIDE = map(row_of, (add, subtract, multiply, divide))
NEGATIVE, RECIPROCAL, SQUARE, SQRT, POWER = map(row_of, (negative, reciprocal, square, sqrt, power))
PRODUCTS = (MULTIPLY, DIVIDE)
SUMS = (ADD, SUBTRACT)

LARGEST = 1 << 20
"""The largest whole number that stands under a bar."""

FEW = 4
"""Factors behind which the number of a product stands."""

MOST = 16
"""Factors of a product, or terms of a sum, that are looked at together."""


def real(m: Match) -> bool:
    """Whether the result is of real numbers, and has more than one shape to come from."""
    return m.output.dtype.kind == "f" and all(
        not hasattr(x, "dtype") or (x.dtype == m.output.dtype and x.shape == m.output.shape) for x in m.inputs
    )


def whole(exponent: float) -> bool:
    return float(exponent).is_integer()


class Monomial:
    """A product as it is found in an expression: coefficient · Π base^exponent.

    `took` counts the operations that go if it is written anew, `untidy` tells whether it is written other than a number times
    factors over factors.  `deep` looks into what is used in several places too, to compare, not to write anew.
    """

    def __init__(self, m: Match, deep: bool = False) -> None:
        self.m, self.graph, self.deep = m, m.graph, deep
        self.coefficient = Fraction(1)
        self.is_finite = True
        self.powers: dict[Any, tuple[Any, float]] = {}
        self.numbers = {1: 0, -1: 0}
        self.took = self.looks = 0
        self.untidy = False

    def put(self, x: Any, exponent: float, root: bool = False) -> Monomial:
        """Multiply by an expression to a power."""
        number = self.graph.uniform(x)
        if number is not None:
            self.put_number(float(number), exponent)
            return self
        entry = self.graph.producer(x)
        self.looks += 1
        if entry is None or self.looks > MOST or not self.opened(entry, x, exponent, root):
            self.put_base(x, exponent)
        return self

    def put_number(self, number: float, exponent: float) -> None:
        side = 1 if exponent > 0 else -1
        self.numbers[side] += 1
        self.untidy = self.untidy or self.numbers[side] > 1 or (side < 0 and (number < 0 or math.frexp(number)[0] == 0.5))
        if math.isfinite(number) and (number or exponent > 0) and whole(exponent) and abs(exponent) < MOST:
            self.coefficient = self.coefficient * Fraction(number) ** int(exponent)
        else:
            self.is_finite = False

    def put_base(self, x: Any, exponent: float) -> None:
        key = self.graph.key_of(x)
        if key in self.powers:
            self.untidy = True
            exponent += self.powers[key][1]
        self.powers[key] = (x, exponent)

    def opened(self, entry: Any, x: Any, exponent: float, root: bool) -> bool:
        """Take an operation apart, if it is one of those that can be."""
        row, inputs = entry.primitive, entry.inputs
        alone = root or self.graph.is_alone(entry)
        if row is NEGATIVE and whole(exponent):
            self.coefficient *= -1 if exponent % 2 else 1
            self.untidy = True
            self.put(inputs[0], exponent)
        elif row in PRODUCTS and whole(exponent) and (alone or self.deep) and is_of(self.m, entry):
            self.untidy = self.untidy or (not root and (row is DIVIDE or exponent not in (1, -1)))
            self.put(inputs[0], exponent)
            self.put(inputs[1], exponent if row is MULTIPLY else -exponent)
        elif row is RECIPROCAL and whole(exponent):
            self.untidy = self.untidy or not root
            self.put(inputs[0], -exponent)
        elif row is SQUARE and whole(exponent):
            self.put_power(inputs[0], 2 * exponent)
        elif row is SQRT:
            self.put_power(inputs[0], exponent / 2)
        elif row is POWER and whole(exponent) and (n := self.graph.uniform(inputs[1])) is not None and math.isfinite(n):
            self.put_power(inputs[0], exponent * float(n))
        else:
            return False
        self.took += alone
        return True

    def put_power(self, x: Any, exponent: float) -> None:
        """A power of what may be a power, or a product, itself."""
        if not whole(exponent):
            self.put_base(x, exponent)
            return
        before = self.looks
        self.put(x, exponent)
        entry = self.graph.producer(x)
        taken_apart = self.looks > before + 1 or (entry is not None and self.graph.key_of(x) not in self.powers)
        self.untidy = self.untidy or taken_apart

    # --- writing it anew ------------------------------------------------------------------------------------------

    @property
    def key(self) -> Any:
        """What the product is known by, without the coefficient."""
        return frozenset((key, exponent) for key, (_, exponent) in self.powers.items() if exponent)

    def sides(self) -> tuple[list[tuple[Any, float]], list[tuple[Any, float]]]:
        """The powers over and under the bar."""
        found = [(x, n) for x, n in self.powers.values() if n]
        return [(x, n) for x, n in found if n > 0], [(x, -n) for x, n in found if n < 0]

    @property
    def cost(self) -> int:
        """The operations of the product as `written`."""
        over, under = self.sides()
        above, below = halves(self.coefficient)
        above_count = len(over) + (abs(above) != 1)
        below_count = len(under) + (below != 1)
        powers = sum(n != 1 for _, n in (*over, *under))
        return powers + max(above_count - 1, 0) + max(below_count - 1, 0) + bool(below_count) + (above == -1)

    def written(self, coefficient: Fraction | None = None) -> Any:
        """The expression: a number times factors, over a number times factors."""
        m = self.m
        above, below = halves(self.coefficient if coefficient is None else coefficient)
        over, under = ([raised(m, x, n) for x, n in side] for side in self.sides())
        if not over and not under:
            return filled(m, above / below)
        under = under if below == 1 else [below, *under]
        if not over:
            bottom = product_of(m, under)
            return m(reciprocal, bottom) if above == 1 else m(divide, above, bottom)
        if len(over) > FEW and abs(above) != 1:  # the product without the number may be there already
            top = m(multiply, above, product_of(m, over))
        else:
            top = product_of(m, over if abs(above) == 1 else [above, *over])
        found = m(divide, top, product_of(m, under)) if under else top
        return m(negative, found) if above == -1 else found


def halves(coefficient: Fraction) -> tuple[float, float]:
    """A coefficient as a float over a whole number, 1 where it is a float."""
    odd = coefficient.denominator
    odd >>= (odd & -odd).bit_length() - 1
    above = coefficient * odd
    if odd > LARGEST or float(above) != above:
        return float(coefficient), 1
    return float(above), odd


def is_of(m: Match, entry: Any) -> bool:
    """Whether all that an operation joins has the result's shape and dtype, or is a Python number."""
    return all(not hasattr(x, "dtype") or aval_of(x) == entry.output for x in entry.inputs) and entry.output == m.output


def raised(m: Match, x: Any, exponent: float) -> Any:
    """A power, by the row that is made for it."""
    if exponent == 1:
        return x
    if exponent in (2, 0.5):
        return m(square if exponent == 2 else sqrt, x)
    return m(power, x, int(exponent) if whole(exponent) else exponent)


def product_of(m: Match, factors: list[Any]) -> Any:
    found = factors[0]
    for x in factors[1:]:
        found = m(multiply, found, x)
    return found


def filled(m: Match, value: float) -> Any:
    """A constant in the result's shape and dtype."""
    return m.constant(np.full(m.output.shape, value, m.output.dtype))


def collected_product(m: Match) -> Any:
    """The product written anew, where it is not in order and takes no more operations then."""
    found = Monomial(m)
    assert found.opened(Root(m), None, 1, True)
    if not found.is_finite:
        return None
    if found.coefficient == 0:
        return filled(m, 0.0)
    if not found.untidy or found.cost > found.took:
        return None
    return fitted(m, found.written())


class Root:
    """The operation that is being rewritten, as an entry."""

    def __init__(self, m: Match) -> None:
        self.primitive, self.inputs, self.output, self.params = m.row, m.inputs, m.output, m.params


FACTORS = rewrite(
    "Factors of a product are collected: numbers to one, equal factors to a power, quotients to one.",
    (multiply, "x", "y"),
    (divide, "x", "y"),
    (square, "x"),
    (reciprocal, "x"),
    when=real,
    to=collected_product,
    samples=[
        sample(lambda x: x * square(x), (3,)),
        sample(lambda x, y: (2.0 * x) * (3.0 * y), (3,), (3,)),
        sample(lambda x, y, z: x / y / z, (3,), (3,), (3,)),
        sample(lambda x, y: (x * y) * (y * x), (3,), (3,)),
        sample(lambda x: x / sqrt(x), (3,)),
        sample(lambda x: square(2.0 * x), (3,)),
        sample(lambda x: reciprocal(2.0 / x), (3,)),
        sample(lambda x: x * 0.0, (3,)),
    ],
    exact=False,
)


# --- sums -------------------------------------------------------------------------------------------------------------


class Term:
    """coefficient · expression, and the product that the expression is."""

    def __init__(self, m: Match, x: Any, coefficient: Fraction) -> None:
        self.x = x
        self.outer = coefficient
        known = m.graph.key_of(x)
        if known not in m.graph.notes:
            m.graph.notes[known] = deep_monomial(m, x)
        self.monomial, self.key = m.graph.notes[known]
        self.coefficient = coefficient * self.monomial.coefficient


def deep_monomial(m: Match, x: Any) -> tuple[Monomial, Any]:
    """The product that an expression is, and what it is known by."""
    found = Monomial(m, deep=True).put(x, 1)
    if not found.is_finite:
        found = Monomial(m)
        found.put_base(x, 1)
    return found, found.key


class Terms:
    """A sum as it is found in an expression: a number and terms."""

    def __init__(self, m: Match, spreads: bool) -> None:
        self.m, self.spreads = m, spreads
        self.number = Fraction(0)
        self.numbers = self.took = 0
        self.is_finite = True
        self.terms: list[Term] = []
        self.untidy = self.spreadable = False

    def put(self, x: Any, coefficient: Fraction, root: bool = False) -> None:
        """Add an expression, so many times."""
        graph = self.m.graph
        number = graph.uniform(x)
        if number is not None:
            self.numbers += 1
            self.untidy = self.untidy or self.numbers > 1 or number == 0
            if math.isfinite(number):
                self.number += coefficient * Fraction(float(number))
            else:
                self.is_finite = False
            return
        entry = graph.producer(x)
        if entry is None or max(self.took, len(self.terms)) >= MOST or not self.opened(entry, coefficient, root):
            self.terms.append(Term(self.m, x, coefficient))

    def opened(self, entry: Any, coefficient: Fraction, root: bool) -> bool:
        """Take a sum apart; with `spreads`, one that is multiplied by a number too."""
        row, inputs, graph = entry.primitive, entry.inputs, self.m.graph
        if row is NEGATIVE:
            self.untidy = True
            self.put(inputs[0], -coefficient)
            return True
        if not (root or graph.is_alone(entry)) or not is_of(self.m, entry):
            return False
        if row in SUMS:
            self.took += 1
            self.put(inputs[0], coefficient)
            self.put(inputs[1], coefficient if row is ADD else -coefficient)
            return True
        if row is MULTIPLY and (c := graph.uniform(inputs[0])) is not None:
            inner = graph.producer(inputs[1])
            if inner is not None and inner.primitive in SUMS and graph.is_alone(inner) and math.isfinite(c):
                self.spreadable = True
                self.took += self.spreads
                return self.spreads and self.opened(inner, coefficient * Fraction(float(c)), root)
        return False

    @property
    def collects(self) -> bool:
        """Whether there are less terms than were found: equal ones, zeros, several numbers."""
        merged = self.merged
        return len(merged) < len(self.terms) or self.numbers > 1 or any(term.coefficient == 0 for term in merged)

    @functools.cached_property
    def merged(self) -> list[Term]:
        """The terms, equal ones as one."""
        found: dict[Any, Term] = {}
        for term in self.terms:
            known = found.get(term.key)
            if known is None:
                found[term.key] = term
                continue
            simpler, other = sorted((known, term), key=lambda term: abs(term.monomial.coefficient) != 1)
            simpler.coefficient += other.coefficient
            found[term.key] = simpler
        return list(found.values())


def collected_sum(m: Match) -> Any:
    """The sum with equal terms joined, or with what all terms have in common before a bracket."""
    found = Terms(m, False)
    found.opened(Root(m), Fraction(1), True)
    if found.spreadable:
        spread = Terms(m, True)
        spread.opened(Root(m), Fraction(1), True)
        found = spread if spread.collects else found
    if not found.is_finite:
        return None
    terms = found.merged
    if found.untidy or found.collects:
        return fitted(m, sum_of(m, [term for term in terms if term.coefficient], found.number))
    if found.number or len(terms) < 2:
        return None
    with_number = number_before_bracket(m, terms)
    return before_bracket(m, terms, found.took) if with_number is None else with_number


def sum_of(m: Match, terms: Sequence[Term], number: Fraction) -> Any:
    """The sum of terms, a positive one first, and a number; where all are negative, the sum with the other sign."""
    count = len(terms) + bool(number)
    if count > 1 and number <= 0 and all(term.coefficient < 0 for term in terms):
        return m(negative, signed_sum(m, [(term, -term.coefficient) for term in terms], -number))
    return signed_sum(m, [(term, term.coefficient) for term in terms], number)


def signed_sum(m: Match, terms: Sequence[tuple[Term, Fraction]], number: Fraction) -> Any:
    ordered = sorted(terms, key=lambda part: part[1] < 0)
    if not ordered:
        return filled(m, float(number))
    found: Any = float(number)
    if number <= 0 or ordered[0][1] > 0:
        found = times(m, *ordered.pop(0))
    else:
        number = Fraction(0)
    for term, coefficient in ordered:
        found = m(add if coefficient > 0 else subtract, found, times(m, term, abs(coefficient)))
    return m(add if number > 0 else subtract, found, float(abs(number))) if number else found


def times(m: Match, term: Term, coefficient: Fraction) -> Any:
    """A term with another coefficient, by what it is made of."""
    own, graph = term.monomial.coefficient, m.graph
    x = term.x
    if coefficient == own:
        return x
    entry = graph.producer(x)
    if own == 1 or (own == -1 and entry is not None and entry.primitive is NEGATIVE):
        x = x if own == 1 else entry.inputs[0]
        above, below = halves(coefficient)
        found = x if abs(above) == 1 else m(multiply, above, x)
        found = found if below == 1 else m(divide, found, below)
        return m(negative, found) if above == -1 else found
    if entry is not None and entry.primitive is MULTIPLY and graph.uniform(entry.inputs[0]) == own:
        return times(m, Term(m, entry.inputs[1], coefficient), coefficient)
    return term.monomial.written(coefficient)


def number_before_bracket(m: Match, terms: list[Term]) -> Any:
    """The number that all terms have, but for the sign, times the rest."""
    size = abs(terms[0].coefficient)
    if size == 1 or any(abs(term.coefficient) != size or not is_multiple(m, term) for term in terms):
        return None
    above, below = halves(size)
    inner = signed_sum(m, [(term, term.coefficient / size) for term in terms], Fraction(0))
    found = inner if above == 1 else m(multiply, above, inner)
    return fitted(m, found if below == 1 else m(divide, found, below))


def is_multiple(m: Match, term: Term) -> bool:
    """Whether a term is a product with a number in front, and used here alone."""
    entry = m.graph.producer(term.x)
    own = abs(term.monomial.coefficient) != 1
    return entry is not None and own and entry.primitive is MULTIPLY and m.graph.is_alone(entry) and is_number(m, entry)


def is_number(m: Match, entry: Any) -> bool:
    return m.graph.uniform(entry.inputs[0]) is not None


def before_bracket(m: Match, terms: list[Term], took: int) -> Any:
    """The functions that all terms have in common times the rest, where that takes no more operations.

    What is no function goes before the bracket where a sum is left behind that joins the others: 2 x (1 - y) - x is x (1 - 2 y).
    """
    if not set.intersection(*(set(term.monomial.powers) for term in terms)):
        return None
    products = [Monomial(m).put(term.x, 1) for term in terms]
    if not all(product.is_finite for product in products):
        return None
    shared = set.intersection(*(set(product.powers) for product in products))
    common = Monomial(m)
    for key, (x, _) in products[0].powers.items():
        least = min(product.powers[key][1] for product in products) if key in shared else 0
        if least > 0:
            common.powers[key] = (x, least)
    is_function = any(m.graph.producer(x) is not None for x, _ in common.powers.values())
    if not common.powers or not (is_function or any(leaves_sum(m, product, common) for product in products)):
        return None
    took += sum(product.took for product in products)
    rests = []
    for term, product in zip(terms, products, strict=True):
        for key, (x, n) in common.powers.items():
            product.powers[key] = (x, product.powers[key][1] - n)
        product.coefficient *= term.outer
        rests.append(product)
    spent = len(terms) - 1 + 1 + common.cost + sum(max(product.cost - (product.coefficient < 0), 0) for product in rests)
    if spent > took:
        return None
    inner = bracket(m, rests)
    return fitted(m, m(multiply, common.written(), inner))


def leaves_sum(m: Match, product: Monomial, common: Monomial) -> bool:
    """Whether a product, without what is common, is a number times a sum that is used here alone."""
    rest = [(key, x) for key, (x, n) in product.powers.items() if n != common.powers.get(key, (x, 0))[1]]
    entry = m.graph.producer(rest[0][1]) if len(rest) == 1 and product.powers[rest[0][0]][1] == 1 else None
    return entry is not None and entry.primitive in SUMS and m.graph.is_alone(entry)


def bracket(m: Match, products: list[Monomial]) -> Any:
    """The sum of products, a positive one first."""
    first, *rest = sorted(products, key=lambda product: product.coefficient < 0)
    found = first.written()
    for product in rest:
        size = abs(product.coefficient)
        found = m(subtract if product.coefficient < 0 else add, found, product.written(size))
    return found


TERMS = rewrite(
    "Terms of a sum are collected: numbers to one, equal terms to one with a factor; a function that all have goes before.",
    (add, "x", "y"),
    (subtract, "x", "y"),
    when=real,
    to=collected_sum,
    samples=[
        sample(lambda x: x + 2.0 * x, (3,)),
        sample(lambda x: (x + 1.0) + 2.0, (3,)),
        sample(lambda x, y: (x + y) - y, (3,), (3,)),
        sample(lambda x, y: x * y + 3.0 * (y * x), (3,), (3,)),
        sample(lambda x: 4.0 * (1.0 - x) - 4.0 * x, (3,)),
        sample(lambda x, y: square(y) * sqrt(x + 1.0) - y * sqrt(x + 1.0), (3,), (3,)),
        sample(lambda x, y: 2.0 * x * (1.0 - y) - x, (3,), (3,)),
        sample(lambda x, y: 4.0 * x - 4.0 * y, (3,), (3,)),
        sample(lambda x: x - x, (3,)),
        sample(lambda x: x + 0.0, (3,)),
    ],
    exact=False,
)
