"""Expressions as SymPy's, by the rows' formulas.  SymPy is an extra, imported when it is first needed."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.errors import NoClosedFormError
from arrayad.primitive import operand_names
from arrayad.shaped import is_weak
from arrayad.symbolic.formulas import Algebra, UnreadableError, read
from arrayad.symbolic.numbers import exact
from arrayad.tracing import Tape, is_member

FUNCTIONS = {
    name: name
    for name in """sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp log sqrt sign floor
    erf erfc erfinv loggamma digamma besseli""".split()
} | {"abs": "Abs", "max": "Max", "min": "Min", "ceil": "ceiling", "psi": "polygamma"}
"""SymPy's names of mpmath's functions, and of Python's."""

LARGEST = 1 << 20
"""The largest denominator, a power of 2, of which a float is taken for a rational number."""


@functools.cache
def sympy() -> Any:
    """The package SymPy.

    **Raises** `ImportError` with the cure where it is not installed.
    """
    try:
        return import_module("sympy")
    except ImportError:
        raise ImportError('[sympy] the package sympy is needed: pip install "arrayad[symbolic]"') from None


class SymPy(Algebra):
    """The algebra of SymPy's expressions."""

    def __init__(self) -> None:
        self.sp = sympy()

    def number(self, value: Any) -> Any:
        """An exact number where a float stands for one: whole, a fraction of a power of 2, or irrational and known."""
        if isinstance(value, bool):
            return self.sp.true if value else self.sp.false
        if isinstance(value, int):
            return self.sp.Integer(value)
        if not math.isfinite(value):
            return self.sp.nan if math.isnan(value) else self.sp.oo if value > 0 else -self.sp.oo
        found = exact(value)
        if found is not None:
            ratio, text = found
            return self.sp.Rational(ratio.numerator, ratio.denominator) * read(text, (), self)
        fraction = Fraction(value)
        if fraction.denominator <= LARGEST:
            return self.sp.Rational(fraction.numerator, fraction.denominator)
        return self.sp.Float(value)

    def constant(self, name: str) -> Any:
        sp = self.sp
        if name.startswith("ln"):
            return sp.log(sp.Integer(name[2:]))
        return {"pi": sp.pi, "e": sp.E, "euler": sp.EulerGamma}[name]

    def binary(self, operator: str, x1: Any, x2: Any) -> Any:
        match operator:
            case "+":
                return x1 + x2
            case "-":
                return x1 - x2
            case "*":
                return x1 * x2
            case "/":
                return x1 / x2
        return x1**x2

    def negative(self, x: Any) -> Any:
        return -x

    def compare(self, operator: str, x1: Any, x2: Any) -> Any:
        name = {"==": "Eq", "!=": "Ne", "<": "Lt", "<=": "Le", ">": "Gt", ">=": "Ge"}[operator]
        return getattr(self.sp, name)(x1, x2)

    def logic(self, operator: str, operands: Sequence[Any]) -> Any:
        if not all(map(is_truth, operands)):
            return None
        return getattr(self.sp, {"and": "And", "or": "Or", "not": "Not"}[operator])(*operands)

    def choose(self, condition: Any, x1: Any, x2: Any) -> Any:
        """A number in the place of a condition guards a point that formulas pass over."""
        if not is_truth(condition):
            return x1
        rest = x2.args if isinstance(x2, self.sp.Piecewise) else ((x2, True),)
        return self.sp.Piecewise((x1, condition), *rest)

    def call(self, name: str, operands: Sequence[Any]) -> Any:
        sp = self.sp
        match name:
            case "log1p":
                return sp.log(1 + operands[0])
            case "expm1":
                return sp.exp(operands[0]) - 1
            case "log10":
                return sp.log(operands[0], 10)
            case "hypot":
                return sp.sqrt(operands[0] ** 2 + operands[1] ** 2)
            case "sincpi":
                return sp.sinc(sp.pi * operands[0])
        if name not in FUNCTIONS:
            raise UnreadableError(name)
        return getattr(sp, FUNCTIONS[name])(*operands)


def is_truth(x: Any) -> bool:
    sp = sympy()
    return bool(isinstance(x, sp.logic.boolalg.Boolean) and not isinstance(x, sp.Symbol))


def applied(row: Elementwise, operands: Sequence[Any], algebra: SymPy) -> Any:
    """SymPy's expression of a row's operation.

    **Raises** `NoClosedFormError` where it has none.
    """
    if row.sympy is not None:
        names = operand_names(len(operands))
        whole = [int(x) if x.is_Integer else x for x in operands]
        return eval(row.sympy, {"sp": algebra.sp, **dict(zip(names, whole, strict=True))})
    try:
        return read(row.mpmath or "", operands, algebra)
    except (UnreadableError, SyntaxError):
        raise NoClosedFormError(f"[sympy] SymPy has no form of {row.name}") from None


def sympy_results(tape: Tape, symbols: Sequence[Any]) -> list[Any]:
    """The results of a tape as SymPy's expressions, which share what the tape shares."""
    algebra = SymPy()
    found: dict[Any, Any] = dict(zip(tape.inputs, symbols, strict=True))

    def operand(x: Any) -> Any:
        if is_member(x, tape):
            return found[x.history]
        if is_weak(x):
            return algebra.number(x)
        value = np.asarray(x.value if hasattr(x, "value") else x)
        return algebra.sp.Array(value.tolist()) if value.ndim else algebra.number(value.item())

    for entry in tape.entries:
        found[entry] = applied(entry.primitive, [operand(x) for x in entry.inputs], algebra)
    return list(map(operand, tape.outputs))


def symbols_for(names: Sequence[str], given: Mapping[str, Any]) -> list[Any]:
    """The symbols of these names: those that came, else new ones.

    **Raises** `TypeError` for a name that is no symbol of the expression.
    """
    for name in given:
        if name not in names:
            raise TypeError(f"[sympy] there is no symbol {name!r}; the symbols are {', '.join(names)}")
    return [given.get(name, sympy().Symbol(name)) for name in names]
