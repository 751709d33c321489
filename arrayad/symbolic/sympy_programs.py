"""`from_sympy`: a SymPy expression as a function of Tensors."""

from __future__ import annotations

import inspect
import keyword
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.errors import NoClosedFormError
from arrayad.functions.creation import asarray
from arrayad.functions.elementwise import maximum, minimum
from arrayad.functions.shape import stack
from arrayad.primitives.arithmetic import absolute, reciprocal, remainder, sqrt, square
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.comparison import (
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
)
from arrayad.primitives.exponential import exp, power
from arrayad.primitives.rounding import floor
from arrayad.primitives.selection import where
from arrayad.primitives.shape import reshape
from arrayad.primitives.special import bessel_i, digamma, lgamma, polygamma
from arrayad.primitives.trigonometric import acos, acosh, asin, asinh, atan, atanh, cos, cosh, sin, sinc, sinh, tan, tanh
from arrayad.symbolic.formulas import row_of_function
from arrayad.symbolic.sympy_forms import FUNCTIONS, sympy


def gamma(x: Any) -> Any:
    """The gamma function, by the logarithm of its absolute value; its sign is that of the piece between two poles."""
    return where(logical_or(x > 0.0, equal(remainder(floor(x), 2.0), 0.0)), 1.0, -1.0) * exp(lgamma(x))


def heaviside(x: Any, middle: Any = 0.5) -> Any:
    return where(x > 0.0, 1.0, where(x < 0.0, 0.0, middle))


def chain(operation: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """An operation of two operands as one of any number."""

    def joined(first: Any, *rest: Any) -> Any:
        for x in rest:
            first = operation(first, x)
        return first

    return joined


OTHERS: dict[str, Callable[..., Any]] = {
    "sec": lambda x: reciprocal(cos(x)),
    "csc": lambda x: reciprocal(sin(x)),
    "cot": lambda x: reciprocal(tan(x)),
    "sech": lambda x: reciprocal(cosh(x)),
    "csch": lambda x: reciprocal(sinh(x)),
    "coth": lambda x: reciprocal(tanh(x)),
    "asec": lambda x: acos(reciprocal(x)),
    "acsc": lambda x: asin(reciprocal(x)),
    "acot": lambda x: atan(reciprocal(x)),
    "asech": lambda x: acosh(reciprocal(x)),
    "acsch": lambda x: asinh(reciprocal(x)),
    "acoth": lambda x: atanh(reciprocal(x)),
    "sinc": lambda x: sinc(x * (1.0 / math.pi)),
    "gamma": gamma,
    "factorial": lambda x: gamma(x + 1.0),
    "Heaviside": heaviside,
    "Mod": remainder,
    "Max": chain(maximum),
    "Min": chain(minimum),
    "And": chain(logical_and),
    "Or": chain(logical_or),
    "Xor": chain(logical_xor),
    "Not": logical_not,
    "ITE": where,
    "Equality": equal,
    "Unequality": not_equal,
    "StrictLessThan": less,
    "LessThan": less_equal,
    "StrictGreaterThan": greater,
    "GreaterThan": greater_equal,
    "loggamma": lgamma,
    "re": asarray,
    "conjugate": asarray,
    "Abs": absolute,
    "polygamma": lambda n, x: digamma(x) if n == 0 else polygamma(n, x),
    "besseli": lambda n, x: bessel_i(abs(n), x),
}
"""What SymPy's functions are here that no row's formula names."""

UNEVALUATED = ("Sum", "Product", "Integral", "Derivative", "Subs", "Limit")
"""What SymPy is asked to work out first."""


class Step(NamedTuple):
    """One operation: a function, and the places of its operands among all values."""

    function: Callable[..., Any]
    operands: tuple[int, ...]


def function_of(expr: Any) -> Callable[..., Any]:
    """The operation that is at the head of a SymPy expression.

    **Raises** `NoClosedFormError` for one that is not known here.
    """
    name = "" if isinstance(expr, sympy().core.function.AppliedUndef) else type(expr).__name__
    for of, called in FUNCTIONS.items():
        if called == name and name not in OTHERS:
            row = row_of_function(of, len(expr.args))
            if row is not None:
                return row.apply
    if name in OTHERS:
        return OTHERS[name]
    raise NoClosedFormError(
        f"[from_sympy] {expr.func} is not known, in {str(expr)[:60]}; rewrite it in functions that are, say by "
        "expr.rewrite(exp), or replace it by a symbol"
    )


class Compiler:
    """Makes the steps of SymPy expressions: each subexpression once."""

    def __init__(self, symbols: Sequence[Any]) -> None:
        self.sp = sympy()
        self.places: dict[Any, int] = {symbol: i for i, symbol in enumerate(symbols)}
        self.symbols = symbols
        self.constants: dict[int, Any] = {}
        self.steps: list[Step] = []
        self.count = len(symbols)

    def place(self, expr: Any) -> int:
        """The place of an expression's value, which is computed after those of its parts; without recursion."""
        stack_ = [expr]
        while stack_:
            found = stack_[-1]
            if found in self.places:
                stack_.pop()
                continue
            parts, make = self.taken_apart(found)
            missing = [part for part in parts if part not in self.places]
            if missing:
                stack_ += missing
                continue
            self.places[found] = make([self.places[part] for part in parts])
            stack_.pop()
        return self.places[expr]

    def add(self, function: Callable[..., Any], *operands: int) -> int:
        self.steps.append(Step(function, operands))
        self.count += 1
        return self.count - 1

    def constant(self, value: Any) -> int:
        place = self.add(lambda: value)
        self.constants[place] = value
        return place

    def taken_apart(self, expr: Any) -> tuple[Sequence[Any], Callable[[list[int]], int]]:
        """The parts of an expression, and what makes its step given their places."""
        sp = self.sp
        if isinstance(expr, sp.Symbol):
            raise ValueError(
                f"[from_sympy] the symbol {expr} is not among {', '.join(map(str, self.symbols)) or 'none'}; name every symbol"
            )
        if isinstance(expr, sp.Integer):
            return (), lambda places: self.constant(int(expr))
        if expr in (sp.true, sp.false):
            return (), lambda places: self.constant(bool(expr))
        if isinstance(expr, sp.Expr) and expr.is_number:
            return (), lambda places: self.constant(self.real(expr))
        if isinstance(expr, sp.Add):
            return self.sum_of(expr)
        if isinstance(expr, sp.Mul):
            return self.product_of(expr)
        if isinstance(expr, sp.Pow):
            return self.power_of(expr)
        if isinstance(expr, sp.Piecewise):
            return self.piecewise(expr)
        if type(expr).__name__ in UNEVALUATED:
            done = expr.doit()
            if done.has(type(expr)):
                raise NoClosedFormError(f"[from_sympy] SymPy finds no closed form of {str(expr)[:60]}")
            return (done,), lambda places: places[0]
        function = function_of(expr)
        return expr.args, lambda places: self.add(function, *places)

    def real(self, expr: Any) -> float:
        """A constant as a float.

        **Raises** `NoClosedFormError` for one that is not real.
        """
        if expr in (self.sp.nan, self.sp.zoo):
            return math.nan
        try:
            return float(expr)
        except TypeError:
            raise NoClosedFormError(f"[from_sympy] {str(expr)[:60]} is no real number; formulas here are of real ones") from None

    def sum_of(self, expr: Any) -> tuple[Sequence[Any], Callable[[list[int]], int]]:
        """A sum in SymPy's printed order, with differences for terms that have a minus."""
        terms = expr.as_ordered_terms()
        signs = [term.could_extract_minus_sign() for term in terms]
        parts = [-term if minus else term for term, minus in zip(terms, signs, strict=True)]
        order = sorted(range(len(parts)), key=lambda i: signs[i])

        def make(places: list[int]) -> int:
            first = order[0]
            total = self.add(lambda x: -x, places[first]) if signs[first] else places[first]
            for i in order[1:]:
                total = self.add((lambda a, b: a - b) if signs[i] else (lambda a, b: a + b), total, places[i])
            return total

        return parts, make

    def product_of(self, expr: Any) -> tuple[Sequence[Any], Callable[[list[int]], int]]:
        """A product as a quotient, where factors have negative exponents."""
        over, under = self.sp.fraction(expr)
        if under != 1:
            return (over, under), lambda places: self.add(lambda a, b: a / b, *places)
        parts = expr.args if len(expr.args) > 1 else (expr,)

        def make(places: list[int]) -> int:
            total = places[0]
            for place in places[1:]:
                total = self.add(lambda a, b: a * b, total, place)
            return total

        return parts, make

    def power_of(self, expr: Any) -> tuple[Sequence[Any], Callable[[list[int]], int]]:
        base, exponent = expr.base, expr.exp
        simple = {2: square, self.sp.Rational(1, 2): sqrt, -1: reciprocal, 1: asarray}
        if exponent in simple:
            found = simple[exponent]
            return (base,), lambda places: self.add(found, *places)
        if exponent == -self.sp.Rational(1, 2):
            return (base,), lambda places: self.add(lambda x: reciprocal(sqrt(x)), *places)
        if exponent.is_number:
            n = int(exponent) if exponent.is_Integer else self.real(exponent)
            return (base,), lambda places: self.add(lambda x: power(x, n), *places)
        return (base, exponent), lambda places: self.add(power, *places)

    def piecewise(self, expr: Any) -> tuple[Sequence[Any], Callable[[list[int]], int]]:
        """Nested choices, the first condition outermost; nan where none holds."""
        parts = [part for pair in expr.args for part in pair]

        def make(places: list[int]) -> int:
            rest = self.constant(math.nan)
            for value, condition in zip(reversed(places[::2]), reversed(places[1::2]), strict=True):
                rest = value if self.constants.get(condition) is True else self.add(where, condition, value, rest)
            return rest

        return parts, make


def from_sympy(expr: Any, *symbols: Any) -> Callable[..., Any]:
    """A SymPy expression as a function of Tensors, which can be differentiated, batched, traced and compiled like any other.

    f(*values) = expr with the values in the places of the symbols

    Each subexpression is computed once.  SymPy's functions become the rows whose formulas they are, `Piecewise` becomes `where`,
    `Max` and `Min` those of arrays, a constant the float next to it; `Sum`, `Product`, `Derivative` and `Integral` are worked out
    by SymPy first.

    **Parameters** `expr`: a real expression of SymPy's, a matrix of these, or a tree (tuple, list, dict); `symbols`: the
    arguments of the function in order, the free symbols by name where none come.

    **Returns** a function of as many numbers or arrays, which broadcast; a matrix's two axes come last. A result that does not
    depend on the values has their shape all the same.

    **Raises** `NoClosedFormError` for a function that is not known here, by name, and for numbers that are not real;
    `ValueError` for a symbol that is not among the arguments.

    **Example**

    >>> import arrayad as ad
    >>> import sympy as sp
    >>> x, y = sp.symbols("x y")
    >>> f = ad.symbolic.from_sympy(sp.sin(x**2 + 1) / y, x, y)
    >>> f(0.5, 2.0), ad.grad(f)(0.5, 2.0)
    (Tensor(0.47449231), Tensor(0.15766118))
    """
    sp = sympy()
    leaves, structure = tree.flatten(expr)
    leaves = [leaf if isinstance(leaf, sp.MatrixBase) else sp.sympify(leaf) for leaf in leaves]
    arguments = [sp.Symbol(x) if isinstance(x, str) else x for x in symbols] or sorted(free_symbols(leaves), key=str)
    compiler = Compiler(arguments)
    results = [matrix_places(compiler, leaf) for leaf in leaves]
    steps, names = tuple(compiler.steps), tuple(map(str, arguments))

    def function(*values: Any) -> Any:
        if len(values) != len(names):
            raise TypeError(f"[from_sympy] {len(names)} values were needed, for {', '.join(names)}; {len(values)} came")
        found: list[Any] = [asarray(x) for x in values]
        shape = np.broadcast_shapes(*(x.shape for x in found))
        for step in steps:
            found.append(step.function(*(found[place] for place in step.operands)))
        return tree.unflatten(structure, [result.of(found, shape) for result in results])

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in parameter_names(arguments)]
    vars(function)["__signature__"] = inspect.Signature(parameters)
    function.__doc__ = f"{str(expr)[:200]}, of {', '.join(names)}."
    return function


def free_symbols(leaves: Sequence[Any]) -> set[Any]:
    return set().union(*(leaf.free_symbols for leaf in leaves))


def parameter_names(arguments: Sequence[Any]) -> list[str]:
    """The symbols' names where all are names of Python's, else numbered ones."""
    names = [str(x) for x in arguments]
    if all(name.isidentifier() and not keyword.iskeyword(name) for name in names) and len(set(names)) == len(names):
        return names
    return [f"x{i}" for i in range(1, len(names) + 1)]


class Result(NamedTuple):
    """The places of a result, or of a matrix of this shape."""

    places: tuple[int, ...]
    matrix: tuple[int, ...] | None

    def of(self, found: Sequence[Any], shape: tuple[int, ...]) -> Any:
        values = [spread(asarray(found[place]), shape) for place in self.places]
        if self.matrix is None:
            return values[0]
        return reshape(stack(values, axis=-1), shape=(*shape, *self.matrix))


def spread(x: Any, shape: tuple[int, ...]) -> Any:
    """A result in the shape of the arguments."""
    return x if x.shape == shape else broadcast_to(x, shape=shape)


def matrix_places(compiler: Compiler, leaf: Any) -> Result:
    if isinstance(leaf, compiler.sp.MatrixBase):
        return Result(tuple(compiler.place(x) for x in leaf), tuple(leaf.shape))
    return Result((compiler.place(leaf),), None)
