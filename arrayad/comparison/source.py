"""Programs that are named in text: an expression such as `sin(x**2 + 1)`, or a function in a file.

An expression is parsed by Python's own `ast`, and each of its nodes becomes a function of the variables' values.  Only
numbers, variables, operators, indexing and calls of public functions are known, and nothing of it is ever evaluated as Python.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import operator
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from arrayad.namespace import LINALG, PUBLIC
from arrayad.nn import functional
from arrayad.tensor import Tensor

Values = Mapping[str, Any]
Compute = Callable[[Values], Any]

OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan}

PREFIXES = ("ad.", "arrayad.", "np.", "numpy.", "math.")
"""What may stand before a function's name and says nothing."""


class ExpressionError(ValueError):
    """An expression has a part that stands for no derivative."""


def expression_function(text: str, variables: tuple[str, ...] | None = None) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The function of an expression's variables, and their names.

    **Parameters** `text`: Python's syntax for numbers, variables, `+ - * / // % ** @`, comparisons, indexing, and calls of
    arrayad's public functions by name, those of `linalg` and `nn.functional` with this word before them; `variables`: their
    order; if omitted, that in which they appear.

    **Raises** `ExpressionError`, which shows the place, for anything else.

    **Example**

    >>> f, names = expression_function("sin(x**2 + 1) * y")
    >>> names, float(f(0.5, 2.0))
    (('x', 'y'), 1.89796923...)
    >>> expression_function("__import__('os')")
    Traceback (most recent call last):
    ...
    arrayad.comparison.source.ExpressionError: [compare] there is no public function __import__
      __import__('os')
      ^
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ExpressionError(f"[compare] {error.msg}\n  {text.strip()}\n  {' ' * ((error.offset or 1) - 1)}^") from None
    parser = Parser(text.strip())
    compute = parser.parsed(tree.body)
    names = tuple(parser.names) if variables is None else variables
    if missing := [name for name in parser.names if name not in names]:
        raise ExpressionError(f"[compare] {text!r} has {', '.join(missing)}, of no known value; add --at {missing[0]}=0.5")
    if unknown := [name for name in names if name not in parser.names]:
        raise ExpressionError(f"[compare] {text!r} has no variable {', '.join(unknown)}")

    def function(*values: Any) -> Any:
        return compute(dict(zip(names, values, strict=True)))

    function.__name__ = function.__qualname__ = text.strip()
    return function, names


class Parser:
    """The nodes of one expression as functions of the variables' values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: dict[str, None] = {}

    def parsed(self, node: ast.AST) -> Compute:
        """The function that a node stands for."""
        rule = getattr(self, f"of_{type(node).__name__}", None)
        if rule is None:
            raise self.error(
                node, f"{type(node).__name__} has no place in an expression; name a function in a file, FILE.py:FUNCTION"
            )
        return rule(node)

    def error(self, node: ast.AST, what: str) -> ExpressionError:
        """What is wrong, with the place marked."""
        column = len(self.text.encode()[: getattr(node, "col_offset", 0)].decode())
        return ExpressionError(f"[compare] {what}\n  {self.text}\n  {' ' * column}^")

    def of_Constant(self, node: ast.Constant) -> Compute:
        if node.value is not None and not isinstance(node.value, int | float):
            raise self.error(node, f"{node.value!r} is no real number")
        return lambda values: node.value

    def of_Name(self, node: ast.Name) -> Compute:
        name = node.id
        if name in CONSTANTS:
            return lambda values: CONSTANTS[name]
        if name in PUBLIC:
            raise self.error(node, f"{name} is a function: write {name}(…)")
        self.names.setdefault(name)
        return lambda values: values[name]

    def of_BinOp(self, node: ast.BinOp) -> Compute:
        if type(node.op) not in OPERATORS:
            cure = "; powers are written **" if isinstance(node.op, ast.BitXor) else ""
            raise self.error(node, f"the operator {type(node.op).__name__} has no derivative{cure}")
        apply, left, right = OPERATORS[type(node.op)], self.parsed(node.left), self.parsed(node.right)
        return lambda values: apply(left(values), right(values))

    def of_UnaryOp(self, node: ast.UnaryOp) -> Compute:
        if type(node.op) not in OPERATORS:
            raise self.error(node, f"the operator {type(node.op).__name__} has no derivative")
        apply, operand = OPERATORS[type(node.op)], self.parsed(node.operand)
        return lambda values: apply(operand(values))

    def of_Compare(self, node: ast.Compare) -> Compute:
        if len(node.ops) > 1 or type(node.ops[0]) not in OPERATORS:
            raise self.error(node, "one comparison at a time is needed, such as x > 0")
        apply, left, right = OPERATORS[type(node.ops[0])], self.parsed(node.left), self.parsed(node.comparators[0])
        return lambda values: apply(left(values), right(values))

    def of_Tuple(self, node: ast.Tuple) -> Compute:
        parts = [self.parsed(part) for part in node.elts]
        return lambda values: tuple(part(values) for part in parts)

    def of_List(self, node: ast.List) -> Compute:
        parts = [self.parsed(part) for part in node.elts]
        return lambda values: [part(values) for part in parts]

    def of_Subscript(self, node: ast.Subscript) -> Compute:
        array, index = self.parsed(node.value), self.parsed(node.slice)
        return lambda values: array(values)[index(values)]

    def of_Slice(self, node: ast.Slice) -> Compute:
        ends = [None if part is None else self.parsed(part) for part in (node.lower, node.upper, node.step)]
        return lambda values: slice(*(None if end is None else end(values) for end in ends))

    def of_Attribute(self, node: ast.Attribute) -> Compute:
        if node.attr not in ("T", "mT"):
            raise self.error(node, f"there is no attribute {node.attr} in expressions, but T and mT")
        array = self.parsed(node.value)
        return lambda values: getattr(array(values), node.attr)

    def of_Call(self, node: ast.Call) -> Compute:
        function = self.function(node.func)
        if any(isinstance(x, ast.Starred) for x in node.args) or any(keyword.arg is None for keyword in node.keywords):
            raise self.error(node, "arguments are written one by one")
        operands = [self.parsed(argument) for argument in node.args]
        named = {keyword.arg or "": self.parsed(keyword.value) for keyword in node.keywords}
        return lambda values: function(*(x(values) for x in operands), **{name: x(values) for name, x in named.items()})

    def function(self, node: ast.expr) -> Callable[..., Any]:
        """The public function of a name, with what may stand before it."""
        name = full = ast.unparse(node)
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        space, _, last = name.rpartition(".")
        found: Any = None
        if space == "":
            found = PUBLIC.get(name)
        elif space == "linalg":
            found = LINALG.get(last) or PUBLIC.get(last)
        elif space in ("nn.functional", "functional"):
            found = vars(functional)[last] if last in functional.__all__ else None
        if found is None:
            raise self.error(node, f"there is no public function {full}")
        return found


def point(text: str) -> tuple[str | None, Any]:
    """The name and the value in `x=0.5`, or a value alone: a number or an array, written as an expression without variables.

    **Example**

    >>> point("x=pi/4"), point("[1, 2]")
    (('x', 0.785398...), (None, array([1., 2.])))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        name, value = "", text
    compute, _ = expression_function(value, ())
    found = compute()
    array = np.asarray(found.numpy() if isinstance(found, Tensor) else found, None if isinstance(found, Tensor) else float)
    return name.strip() or None, float(array) if array.ndim == 0 and array.dtype.kind == "f" else array


def file_function(path: str, name: str) -> Callable[..., Any]:
    """The function of this name in a file of Python's, which is run as a module.

    **Raises** `FileNotFoundError`, or `AttributeError` with the functions that there are.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"[compare] there is no file {path}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, module)
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    found = getattr(module, name, None)
    if not callable(found):
        there = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        raise AttributeError(f"[compare] {path} has no function {name}; it has {', '.join(there) or 'none'}")
    return found


def program(text: str, names: tuple[str, ...]) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """What stands on the command line: `FILE.py:FUNCTION` or an expression; and what its arguments are called."""
    path, colon, name = text.rpartition(":")
    if colon and path.endswith(".py"):
        return file_function(path, name), names
    return expression_function(text, names or None)
