"""The formula of a row, which is its `mpmath` text, read in any algebra: of notation, of Python source, of SymPy's expressions.

The text is a Python expression in the operands and `mp`.  An `Algebra` says what its operators, its choices and its functions
make; a text with more to it than these, such as a loop, has no reading here.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Sequence
from typing import Any

from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE, operand_names

OPERATORS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.And: "and",
    ast.Or: "or",
}

PLAIN = re.compile(r"(?:mp\.)?(\w+)\((?:x|x1, x2)\)")
"""The text of a row that is one function of mpmath's, or of Python's."""


class UnreadableError(Exception):
    """A text that no algebra reads, or that has a function which an algebra does not know."""


class Algebra:
    """What an expression is made of: each method gives the expression of an operation on expressions."""

    def number(self, value: Any) -> Any:
        raise UnreadableError(value)

    def constant(self, name: str) -> Any:
        """A number that mpmath has a name for, such as `pi`."""
        raise UnreadableError(name)

    def binary(self, operator: str, x1: Any, x2: Any) -> Any:
        """`+`, `-`, `*`, `/`, `**`."""
        raise UnreadableError(operator)

    def negative(self, x: Any) -> Any:
        raise UnreadableError("-")

    def compare(self, operator: str, x1: Any, x2: Any) -> Any:
        raise UnreadableError(operator)

    def logic(self, operator: str, operands: Sequence[Any]) -> Any:
        """`and`, `or`, `not`."""
        raise UnreadableError(operator)

    def choose(self, condition: Any, x1: Any, x2: Any) -> Any:
        raise UnreadableError("if")

    def call(self, name: str, operands: Sequence[Any]) -> Any:
        """A function of mpmath's, or `abs`, `max`, `min`."""
        raise UnreadableError(name)


@functools.cache
def parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def read(text: str, operands: Sequence[Any], algebra: Algebra) -> Any:
    """The expression that a text means, of these operands.

    **Raises** `UnreadableError` where it has no reading.
    """
    return Reading(dict(zip(operand_names(len(operands)), operands, strict=True)), algebra).of(parsed(text))


class Reading:
    """One text, with expressions in the places of its operands."""

    def __init__(self, places: dict[str, Any], algebra: Algebra) -> None:
        self.places = places
        self.algebra = algebra

    def of(self, node: ast.expr) -> Any:
        algebra = self.algebra
        match node:
            case ast.Name(id=name) if name in self.places:
                return self.places[name]
            case ast.Constant(value=value) if isinstance(value, int | float):
                return algebra.number(value)
            case ast.Attribute(value=ast.Name(id="mp"), attr=name):
                return algebra.constant(name)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return algebra.binary(OPERATORS[type(op)], self.of(left), self.of(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return algebra.negative(self.of(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.of(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return algebra.logic("not", [self.of(operand)])
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return algebra.compare(OPERATORS[type(op)], self.of(left), self.of(right))
            case ast.BoolOp(op=op, values=values):
                return algebra.logic(OPERATORS[type(op)], list(map(self.of, values)))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return algebra.choose(self.of(test), self.of(body), self.of(orelse))
            case ast.Call(func=func, args=args, keywords=[]):
                return self.call(func, args)
        raise UnreadableError(ast.unparse(node))

    def call(self, function: ast.expr, args: list[ast.expr]) -> Any:
        """A call: `int` and `bool` only say what their operand is."""
        name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
        operands = list(map(self.of, args))
        if name in ("int", "bool", "mpf"):
            return operands[0]
        if name == "power":
            return self.algebra.binary("**", *operands)
        return self.algebra.call(name, operands)


@functools.cache
def is_arithmetic(text: str | None) -> bool:
    """Whether a text consists of operators, powers and choices alone."""
    if text is None:
        return False
    allowed = (
        *(ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.operator, ast.unaryop),
        *(ast.cmpop, ast.boolop, ast.expr_context),
    )
    return all(
        isinstance(node, allowed)
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in ("mp.power", "bool"))
        or (isinstance(node, ast.Attribute) and node.attr == "power")
        for node in ast.walk(parsed(text))
    )


@functools.cache
def row_of_function(name: str, arity: int) -> Elementwise | None:
    """The row that is this function of mpmath's, or of Python's, and nothing more."""
    for row in TABLE.values():
        if isinstance(row, Elementwise) and row.arity == arity and row.mpmath is not None:
            found = PLAIN.fullmatch(row.mpmath)
            if found is not None and found[1] == name:
                return row
    return None


def is_function(row: Elementwise) -> bool:
    """Whether a row is the one that stands for a function of mpmath's."""
    found = PLAIN.fullmatch(row.mpmath or "")
    return found is not None and row_of_function(found[1], row.arity) is row
