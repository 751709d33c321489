"""Formulas as people write them: sums, products and powers in a textbook's order, in text and in LaTeX.

A row whose `mpmath` text is arithmetic joins sums and products; any other stands as its `text` or `latex` says, or by its name.
In a product numbers come first, then symbols and their powers, then functions, then sums in brackets; in a sum numbers come last,
and no sum begins with a minus that need not.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.namespace import PUBLIC
from arrayad.primitive import Primitive, operand_names
from arrayad.shaped import Shaped
from arrayad.symbolic.formulas import Algebra, UnreadableError, is_arithmetic, is_function, read, row_of_function
from arrayad.symbolic.numbers import exact, short

CHOICE, LOGIC, RELATION, SUM, PRODUCT, POWER, ATOM = range(7)
"""How strongly a formula holds together: what stands within something stronger is put in brackets."""

CONSTANT, NAME, FUNCTION, BRACKET = range(4)
"""The places of factors in a product."""

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SYMBOLS = {"pi": ("π", r"\pi"), "e": ("e", "e"), "euler": ("γ", r"\gamma")}
RELATIONS = {
    "==": ("==", "="),
    "!=": ("!=", r"\ne"),
    "<": ("<", "<"),
    "<=": ("≤", r"\le"),
    ">": (">", ">"),
    ">=": ("≥", r"\ge"),
}
LOGIC_WORDS = {"and": (" and ", r" \wedge "), "or": (" or ", r" \vee "), "not": ("not ", r"\neg ")}


class Node:
    """A formula.  `form(k)` is its text (k = 0) or LaTeX (k = 1), `strength(k)` how strongly that holds together."""

    __slots__ = ()

    def form(self, k: int) -> str:
        raise TypeError(type(self).__name__)

    def strength(self, k: int) -> int:
        return ATOM

    def within(self, k: int, least: int) -> str:
        """The form, in brackets where it holds together less than is needed."""
        return self.form(k) if self.strength(k) >= least else bracketed(self.form(k), k)

    @property
    def is_truth(self) -> bool:
        """Whether the formula is a condition."""
        return False

    @property
    def is_constant(self) -> bool:
        """Whether the formula is a number, without symbols."""
        return False


def bracketed(form: str, k: int) -> str:
    return rf"\left({form}\right)" if k and (r"\frac" in form or r"\begin" in form) else f"({form})"


@dataclass(frozen=True, slots=True)
class Symbol(Node):
    text: str
    latex: str
    order: int

    def form(self, k: int) -> str:
        return self.latex if k else self.text


@dataclass(frozen=True, slots=True)
class Named(Node):
    """A number that has a name, such as π."""

    text: str
    latex: str
    is_constant = True

    def form(self, k: int) -> str:
        return self.latex if k else self.text


@dataclass(frozen=True, slots=True)
class Array(Node):
    """A constant array, by its elements."""

    text: str

    def form(self, k: int) -> str:
        return rf"\left[{self.text[1:-1]}\right]" if k else self.text


@dataclass(frozen=True, slots=True)
class Product(Node):
    """coefficient · Π factor^exponent.  The exponents are whole numbers; those below 0 stand under the fraction bar."""

    coefficient: Any
    factors: tuple[tuple[Node, int], ...]

    @property
    def is_constant(self) -> bool:
        return all(factor.is_constant for factor, _ in self.factors)

    @property
    def is_number(self) -> bool:
        return not self.factors

    def fraction(self) -> tuple[list[Node], list[Node]]:
        """The factors over and under the bar, numbers first, without the sign."""
        over: list[Node] = []
        under: list[Node] = []
        for side, number in zip((over, under), split(abs(self.coefficient), bool(self.factors)), strict=True):
            if number != 1:
                side.append(Figure(number))
        for factor, exponent in sorted(self.factors, key=place_in_product):
            side = over if exponent > 0 else under
            side.append(factor if abs(exponent) == 1 else Power(factor, number_of(abs(exponent))))
        return over, under

    @property
    def is_negative(self) -> bool:
        return bool(self.coefficient < 0)

    def unsigned(self, k: int) -> tuple[str, int]:
        """The form without the sign, and its strength."""
        over, under = self.fraction()
        if not under:
            only = over[0] if len(over) == 1 else None
            return (only.form(k), only.strength(k)) if only else (times(over, k), PRODUCT if over else ATOM)
        if k:
            return rf"\frac{{{times(over, k)}}}{{{times(under, k)}}}", ATOM
        above = times(over, k) if len(over) != 1 else over[0].within(k, POWER)
        below = f"({times(under, k)})" if len(under) > 1 else under[0].within(k, POWER)
        return f"{above}/{below}", PRODUCT

    def form(self, k: int) -> str:
        found, strength = self.unsigned(k)
        return f"-{found if strength > SUM else bracketed(found, k)}" if self.is_negative else found

    def strength(self, k: int) -> int:
        return SUM if self.is_negative else self.unsigned(k)[1]


def split(size: Any, beside: bool) -> tuple[Any, Any]:
    """A coefficient as numerator and denominator: 1/2, beside factors, as a quotient, 0.3 as it is."""
    if isinstance(size, Fraction):
        decimal = float(size)
        return (decimal, 1) if len(repr(decimal)) <= SHORT and size.numerator > 1 else (size.numerator, size.denominator)
    return (1, round(1 / size)) if beside and size in HALVES else (size, 1)


SHORT = 6
"""Characters of a decimal number up to which quotients are written so."""

HALVES = {0.5**k for k in range(1, 7)}


def times(factors: Sequence[Node], k: int) -> str:
    """A product of factors without a bar."""
    if len(factors) == 1:
        return factors[0].form(k)
    parts = [factor.within(k, POWER) for factor in factors]
    if not k:
        return "·".join(parts) or "1"
    joined = parts[0] if parts else "1"
    for part in parts[1:]:
        joined += rf" \cdot {part}" if part[0].isdigit() else f" {part}"
    return joined


@dataclass(frozen=True, slots=True)
class Figure(Node):
    """A number without a sign, as it stands in a product."""

    value: Any
    is_constant = True

    def form(self, k: int) -> str:
        text = short(self.value)
        if not k:
            return text
        if "e" in text:
            digits, power = text.split("e")
            return rf"{digits} \cdot 10^{{{int(power)}}}"
        return {"inf": r"\infty", "nan": r"\mathrm{nan}"}.get(text, text)

    def strength(self, k: int) -> int:
        return POWER if k and "e" in short(self.value) else ATOM


def place_in_product(part: tuple[Node, int]) -> tuple[int, int]:
    """Constants, then symbols in their order, then functions, then what needs brackets."""
    factor, _ = part
    while isinstance(factor, Power):
        factor = factor.base
    if isinstance(factor, Symbol):
        return NAME, factor.order
    return CONSTANT if factor.is_constant else FUNCTION if factor.strength(0) >= POWER else BRACKET, 0


@dataclass(frozen=True, slots=True)
class Sum(Node):
    terms: tuple[Product, ...]

    def form(self, k: int) -> str:
        terms = self.ordered()
        found = terms[0].form(k)
        for term in terms[1:]:
            part, strength = term.unsigned(k)
            found += f" {'-' if term.is_negative else '+'} {part if strength > SUM else bracketed(part, k)}"
        return found

    def ordered(self) -> list[Product]:
        """Numbers last, polynomials by their degrees; a positive term first, if there is one."""
        terms = sorted(self.terms, key=lambda term: term.is_number)
        if all(isinstance(factor, Symbol) and n > 0 for term in terms for factor, n in term.factors):
            terms.sort(key=by_degree)
        first = next((i for i, term in enumerate(terms) if not term.is_negative), 0)
        return [terms[first], *terms[:first], *terms[first + 1 :]]

    def strength(self, k: int) -> int:
        return SUM


def by_degree(term: Product) -> tuple[int, list[int]]:
    """The place of a monomial in a polynomial: high degrees first, then the order of the symbols."""
    return -sum(n for _, n in term.factors), sorted(factor.order for factor, _ in term.factors if isinstance(factor, Symbol))


@dataclass(frozen=True, slots=True)
class Power(Node):
    base: Node
    exponent: Node

    def form(self, k: int) -> str:
        base = self.base.within(k, ATOM)
        if k:
            return f"{base}^{{{self.exponent.form(k)}}}"
        exponent = self.exponent
        if isinstance(exponent, Product) and exponent.is_number and float(exponent.coefficient).is_integer():
            return base + short(exponent.coefficient).translate(SUPERSCRIPTS)
        return f"{base}^{exponent.within(k, ATOM)}"

    def strength(self, k: int) -> int:
        return POWER


@dataclass(frozen=True, slots=True)
class Relation(Node):
    operator: str
    x1: Node
    x2: Node
    is_truth = True

    def form(self, k: int) -> str:
        return f"{self.x1.within(k, SUM)} {RELATIONS[self.operator][k]} {self.x2.within(k, SUM)}"

    def strength(self, k: int) -> int:
        return RELATION


@dataclass(frozen=True, slots=True)
class Fact(Node):
    """A condition that always holds, or never."""

    value: bool
    is_truth = True

    def form(self, k: int) -> str:
        return rf"\text{{{str(self.value).lower()}}}" if k else str(self.value)


@dataclass(frozen=True, slots=True)
class Logic(Node):
    operator: str
    operands: tuple[Node, ...]

    @property
    def is_truth(self) -> bool:
        return all(operand.is_truth for operand in self.operands)

    def form(self, k: int) -> str:
        word = LOGIC_WORDS[self.operator][k]
        parts = [operand.within(k, RELATION) for operand in self.operands]
        return word + bracketed(parts[0], k) if len(parts) == 1 else word.join(parts)

    def strength(self, k: int) -> int:
        return LOGIC


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """One thing where a condition holds, else another."""

    condition: Node
    x1: Node
    x2: Node

    def form(self, k: int) -> str:
        if not k:
            return f"where({self.condition.form(k)}, {self.x1.form(k)}, {self.x2.form(k)})"
        rest: Node = self
        lines = []
        while isinstance(rest, Choice):
            lines.append(rf"{rest.x1.form(k)} & \text{{if }} {rest.condition.form(k)} \\")
            rest = rest.x2
        return rf"\begin{{cases}} {' '.join(lines)} {rest.form(k)} & \text{{otherwise}} \end{{cases}}"

    def strength(self, k: int) -> int:
        return CHOICE if k else ATOM


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function, as its row writes it, or by its name."""

    row: Primitive
    operands: tuple[Node, ...]

    @property
    def is_constant(self) -> bool:
        return all(operand.is_constant for operand in self.operands)

    @property
    def is_truth(self) -> bool:
        return is_condition(self.row)

    def form(self, k: int) -> str:
        template = self.row.latex if k else self.row.text
        if template is not None:
            return filled(template, self.operands, k)
        name = rf"\operatorname{{{self.row.name}}}".replace("_", r"\_") if k else self.row.name
        return f"{name}({', '.join(operand.form(k) for operand in self.operands)})"

    def strength(self, k: int) -> int:
        template = self.row.latex if k else self.row.text
        return ATOM if template is None else strength_of(template)


PLACE = re.compile(r"\{(x[1-9]?)\}")


def filled(template: str, operands: Sequence[Node], k: int) -> str:
    """A row's `text` or `latex` with these operands, in brackets where the template has none around their places."""
    names = operand_names(len(operands))
    places = {
        name: operand.within(k, CHOICE if is_enclosed(template, name, k) else ATOM)
        for name, operand in zip(names, operands, strict=True)
    }
    return str(template.format(**places))


def is_enclosed(template: str, name: str, k: int) -> bool:
    """Whether an operand's place is bracketed already, or ends at a comma."""
    at = template.index(f"{{{name}}}")
    before, after = template[:at].rstrip(), template[at + len(name) + 2 :]
    opens = before.endswith(("(", "|", "{{") if k else ("(", "|")) or (before.endswith(",") and "(" in before)
    return opens and after.lstrip().startswith((")", "|", ",", r"\right|", "}}"))


def strength_of(template: str) -> int:
    """How strongly a template holds together: its signs outside of all brackets tell."""
    outside, depth = "", 0
    for letter in PLACE.sub("x", template).replace("{{", "{").replace("}}", "}"):
        depth += (letter in "({") - (letter in ")}")
        outside += letter if not depth else ""
    outside = outside.strip()
    if " + " in outside or " - " in outside or "mod" in outside:
        return SUM
    if outside.startswith(r"\begin"):
        return CHOICE
    if " / " in outside or re.search(r"(^|[^a-z\\])x ", outside):
        return PRODUCT
    if "^" in outside or outside.startswith("√") or outside.endswith(("²", " x")):
        return POWER
    return ATOM


def is_condition(row: Primitive) -> bool:
    """Whether a row gives booleans."""
    if not isinstance(row, Elementwise) or row.differentiable:
        return False
    with np.errstate(all="ignore"):
        return bool(row.shape(*(Shaped((), row.residual_dtype(i, "float64")) for i in range(row.arity))).dtype.kind == "b")


# --- making formulas ----------------------------------------------------------------------------------------------------


def number_of(value: Any) -> Product:
    """A number as a product without factors."""
    return Product(value, ())


def as_product(x: Node) -> Product:
    return x if isinstance(x, Product) else Product(1, ((x, 1),))


def plain(x: Node) -> Node:
    """A product of one factor as that factor."""
    if isinstance(x, Product) and x.coefficient == 1 and len(x.factors) == 1 and x.factors[0][1] == 1:
        return x.factors[0][0]
    return x


def product(parts: Iterable[tuple[Node, int]]) -> Node:
    """The product of whole powers: equal factors are joined, numbers multiplied."""
    coefficient: Any = 1
    powers: dict[Node, int] = {}
    for x, exponent in parts:
        found = as_product(x)
        coefficient = multiplied(coefficient, raised(found.coefficient, exponent))
        for factor, own in found.factors:
            powers[factor] = powers.get(factor, 0) + own * exponent
    return plain(Product(rational(coefficient), tuple((x, n) for x, n in powers.items() if n)))


def raised(coefficient: Any, exponent: int) -> Any:
    """A coefficient to a whole power; quotients of whole numbers stay what they are."""
    if exponent > 0:
        return coefficient**exponent
    whole = isinstance(coefficient, int | Fraction) or (isinstance(coefficient, float) and coefficient.is_integer())
    if whole and coefficient and abs(coefficient) < 1e15:
        return Fraction(coefficient) ** exponent
    with np.errstate(all="ignore"):
        return float(np.float64(coefficient) ** exponent)


def multiplied(a: Any, b: Any) -> Any:
    """A product of numbers, as decimal numbers are multiplied on paper if they are short."""
    if a == 1 or b == 1:
        return b if a == 1 else a
    short_ones = all(isinstance(x, int | Fraction) or len(repr(x)) <= SHORT for x in (a, b))
    if short_ones and np.isfinite(float(a)) and np.isfinite(float(b)):
        return Fraction(repr(a) if isinstance(a, float) else a) * Fraction(repr(b) if isinstance(b, float) else b)
    return float(a) * float(b)


def rational(value: Any) -> Any:
    """A quotient as a number where it is whole."""
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def total(x1: Node, x2: Node, sign: int) -> Node:
    """x1 + x2, or x1 - x2."""
    first = x1.terms if isinstance(x1, Sum) else (as_product(x1),)
    second = x2.terms if isinstance(x2, Sum) else (as_product(x2),)
    terms = [*first, *(Product(sign * term.coefficient, term.factors) for term in second)]
    numbers = [term.coefficient for term in terms if term.is_number]
    kept = [term for term in terms if not term.is_number]
    if numbers and (sum(numbers) or not kept):
        kept.append(number_of(rational(sum(numbers))))
    return plain(kept[0]) if len(kept) == 1 else Sum(tuple(kept))


def whole(x: Node) -> int | None:
    """The small whole number that a formula is, if it is one."""
    if isinstance(x, Product) and x.is_number and abs(x.coefficient) < 1000 and float(x.coefficient).is_integer():
        return int(x.coefficient)
    return None


class Notation(Algebra):
    """The algebra of formulas."""

    def number(self, value: Any) -> Node:
        if isinstance(value, bool):
            return Fact(value)
        found = exact(value) if isinstance(value, float) else None
        if found is None:
            return number_of(value)
        ratio, text = found
        return product([(number_of(rational(ratio)), 1), (read(text, (), self), 1)])

    def constant(self, name: str) -> Node:
        if name in SYMBOLS:
            return Named(*SYMBOLS[name])
        if name.startswith("ln") and name[2:].isdigit():
            return self.call("log", [number_of(int(name[2:]))])
        raise UnreadableError(name)

    def binary(self, operator: str, x1: Node, x2: Node) -> Node:
        if operator in "+-":
            return total(x1, x2, 1 if operator == "+" else -1)
        if operator == "*":
            return product([(x1, 1), (x2, 1)])
        if operator == "/":
            return self.quotient(x1, x2)
        n = whole(x2)
        if n is None or (isinstance(x1, Product) and x1.is_number):
            return Power(x1, x2)
        if isinstance(x1, Power) and (inner := whole(x1.exponent)) is not None:
            return self.binary("**", x1.base, number_of(inner * n))
        return product([(x1, n)]) if n else number_of(1)

    def quotient(self, x1: Node, x2: Node) -> Node:
        return product([(x1, 1), (x2, -1)])

    def negative(self, x: Node) -> Node:
        if isinstance(x, Sum):
            return Sum(tuple(Product(-term.coefficient, term.factors) for term in x.terms))
        found = as_product(x)
        return plain(Product(-found.coefficient, found.factors))

    def compare(self, operator: str, x1: Node, x2: Node) -> Node:
        return Relation(operator, x1, x2)

    def logic(self, operator: str, operands: Sequence[Node]) -> Node:
        return Logic(operator, tuple(operands))

    def choose(self, condition: Node, x1: Node, x2: Node) -> Node:
        """A number in the place of a condition guards a point that formulas pass over, such as x ln y at x = 0."""
        return Choice(condition, x1, x2) if condition.is_truth else x1

    def call(self, name: str, operands: Sequence[Node]) -> Node:
        row = row_of_function(name, len(operands))
        if row is None:
            raise UnreadableError(name)
        return applied(row, operands)


NOTATION = Notation()


def applied(row: Primitive, operands: Sequence[Node]) -> Node:
    """The formula of a row's operation."""
    if isinstance(row, Elementwise) and row.mpmath is not None:
        if is_arithmetic(row.mpmath):
            return read(row.mpmath, operands, NOTATION)
        if not is_public(row) and not is_function(row):
            with contextlib.suppress(UnreadableError):
                return read(row.mpmath, operands, NOTATION)
    return Call(row, tuple(operands))


def is_public(row: Primitive) -> bool:
    """Whether users know a row by its name."""
    return row.name in PUBLIC
