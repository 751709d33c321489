"""An expression as the source of a NumPy function."""

from __future__ import annotations

import ast
import functools
import keyword
import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from arrayad.compiler.naming import identifiers
from arrayad.elementwise import Elementwise
from arrayad.errors import NoClosedFormError
from arrayad.primitive import operand_names
from arrayad.symbolic.formulas import Algebra, UnreadableError, is_arithmetic, parsed, read
from arrayad.symbolic.lines import Style, Writing
from arrayad.tracing import Tape

CONDITION, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)
"""How strongly Python's operators bind."""

BINDING = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "**": POWER}

FUNCTIONS = {
    name: name
    for name in "sin cos tan sinh cosh tanh exp expm1 log log1p log10 sqrt hypot floor ceil sign abs isnan isinf isfinite".split()
} | {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "atan2": "arctan2",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "nint": "rint",
    "max": "maximum",
    "min": "minimum",
    "sincpi": "sinc",
}
"""NumPy's names of mpmath's functions, and of Python's."""

LOGIC = {"and": "np.logical_and", "or": "np.logical_or", "not": "np.logical_not"}


class Source(NamedTuple):
    """A Python expression, and how strongly it binds."""

    text: str
    binding: int = ATOM

    def within(self, least: int) -> str:
        return self.text if self.binding >= least else f"({self.text})"


class NumPy(Algebra):
    """The algebra of NumPy expressions."""

    def number(self, value: Any) -> Source:
        if isinstance(value, float) and not math.isfinite(value):
            return Source("np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf", ATOM if value > 0 else SIGN)
        if abs(value) == math.pi:
            return Source("np.pi" if value > 0 else "-np.pi", ATOM if value > 0 else SIGN)
        return Source(repr(value), SIGN if math.copysign(1.0, value) < 0 else ATOM)

    def constant(self, name: str) -> Source:
        if name not in ("pi", "e"):
            raise UnreadableError(name)
        return Source(f"np.{name}")

    def binary(self, operator: str, x1: Source, x2: Source) -> Source:
        if operator == "*" and x1 == x2:
            return self.binary("**", x1, Source("2"))
        binding = BINDING[operator]
        left = x1.within(ATOM if operator == "**" else binding)
        right = x2.within(SIGN if operator == "**" else binding + (operator in "-/*+"))
        is_plain = operator == "**" and left.isidentifier() and not right.startswith("(")
        return Source(f"{left}**{right}" if is_plain else f"{left} {operator} {right}", binding)

    def negative(self, x: Source) -> Source:
        return Source(f"-{x.within(SIGN)}", SIGN)

    def compare(self, operator: str, x1: Source, x2: Source) -> Source:
        return Source(f"{x1.within(SUM)} {operator} {x2.within(SUM)}", CONDITION)

    def logic(self, operator: str, operands: Sequence[Source]) -> Source:
        found = operands[0].text
        for operand in operands[1:]:
            found = f"{LOGIC[operator]}({found}, {operand.text})"
        return Source(f"{LOGIC[operator]}({found})" if len(operands) == 1 else found)

    def choose(self, condition: Source, x1: Source, x2: Source) -> Source:
        return Source(f"np.where({condition.text}, {x1.text}, {x2.text})")

    def call(self, name: str, operands: Sequence[Source]) -> Source:
        if name not in FUNCTIONS or (name == "log" and len(operands) != 1):
            raise UnreadableError(name)
        return Source(f"np.{FUNCTIONS[name]}({', '.join(x.text for x in operands)})")


NUMPY = NumPy()


def is_imported(kernel: Any) -> bool:
    """Whether a kernel is a function that its module has by its name."""
    module = import_module(kernel.__module__)
    return getattr(module, getattr(kernel, "__name__", ""), None) is kernel


class Statements(Style[Source]):
    """Lines of Python; `imports` collects the modules of the kernels that NumPy does not have."""

    most = 24
    nests = False

    def __init__(self) -> None:
        self.imports: set[str] = set()

    def symbols(self, names: Sequence[str]) -> list[Source]:
        return [Source(name) for name in names]

    def part(self, name: str, order: int) -> Source:
        return Source(name)

    def number(self, value: Any) -> Source:
        return NUMPY.number(value)

    def array(self, value: Any) -> Source:
        return Source(f"np.array({value.tolist()!r})")

    def repeats(self, entry: Any) -> list[int]:
        """Operands that the source of an operation has in several places, but for the two of a square."""
        return [] if entry.primitive.mpmath == "x * x" else repeated_places(entry.primitive.mpmath, len(entry.inputs))

    def applied(self, entry: Any, operands: Sequence[Source]) -> Source:
        """By operators, by a ufunc, by functions of NumPy's, or by the row's own kernel."""
        row: Elementwise = entry.primitive
        if row.python is not None:
            return read_python(row.python, operands)
        if is_arithmetic(row.mpmath):
            return read(row.mpmath or "", operands, NUMPY)
        kernel = getattr(row.numpy, "__wrapped__", row.numpy)
        if isinstance(kernel, np.ufunc):
            return Source(f"np.{kernel.__name__}({', '.join(x.text for x in operands)})")
        try:
            return read(row.mpmath or "", operands, NUMPY)
        except (UnreadableError, SyntaxError):
            return self.by_kernel(row, operands)

    def by_kernel(self, row: Elementwise, operands: Sequence[Source]) -> Source:
        kernel = row.numpy
        if not is_imported(kernel):
            raise NoClosedFormError(f"[python] {row.name} has no NumPy source")
        package, _, module = kernel.__module__.rpartition(".")
        self.imports.add(f"from {package} import {module}")
        return Source(f"{module}.{kernel.__name__}({', '.join(x.text for x in operands)})")


@functools.cache
def repeated_places(text: str | None, count: int) -> list[int]:
    """The operands that a text names more than once."""
    names = [node.id for node in ast.walk(parsed(text or "0")) if isinstance(node, ast.Name)]
    return [i for i, name in enumerate(operand_names(count)) if names.count(name) > 1]


def read_python(template: str, operands: Sequence[Source]) -> Source:
    """A row's `python` text with these operands."""
    places = zip(operand_names(len(operands)), operands, strict=True)
    return Source(template.format(**{name: x.within(ATOM) for name, x in places}), PRODUCT)


MODULES = ("np", "special", "gamma", "bessel", "sinc")
"""What a source may import."""


def python_source(tape: Tape, names: Sequence[str], name: str) -> str:
    """The source of a function of NumPy arrays, with its imports."""
    style = Statements()
    parameters = [f"{x}_" if keyword.iskeyword(x) else x for x in identifiers(names, MODULES)]
    writing = Writing(tape, parameters, style)
    results = [x.text for x in writing.results]
    lines = [f"    {x} = np.asarray({x}, dtype=float)" for x in parameters]
    lines += [f"    {part.name.text} = {part.value.text}" for part in writing.parts]
    lines.append(f"    return {', '.join(results)}")
    head = ["import numpy as np", *([""] if style.imports else []), *sorted(style.imports)]
    return "\n".join([*head, "", "", f"def {name}({', '.join(parameters)}):", *lines, ""])
