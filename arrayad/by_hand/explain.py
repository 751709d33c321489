"""`explain`: a derivative worked out as a textbook does, in the terminal, Markdown or LaTeX.

**Source** the layout of Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), tables 2.3, 3.1 and 3.4.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import filled, stored
from arrayad.by_hand.derivation import Derivation, Forms, Product, Step, barred, dotted
from arrayad.by_hand.rules import DOT, is_compound
from arrayad.by_hand.unrolling import unrolled
from arrayad.errors import AbstractValueError, DTypeError, ShapeError, describe
from arrayad.readers.show import display_width, expression, input_names, shown
from arrayad.shaped import Bundle
from arrayad.tensor import Tensor
from arrayad.tracing import Tape, is_member
from arrayad.transforms.recording import trace

LONGEST = 72
"""A program of so many characters, written as one formula, is the heading."""

MANY = 4
"""So many columns of tangents, one for each input, are shown; of more inputs the sum of all."""

Table = tuple[str, list[Forms], list[list[Forms]]]
"""A title, the columns' heads, and rows of formulas."""


def explain(f: Callable[..., Any], *, direction: Any = None, unroll: bool = True) -> Callable[..., Explanation]:
    """The function that works the derivative of `f` out as a textbook does.

    The values w0, w1, … of the program's trace; the tangent of each, by the elementary rule that holds for its operation; the
    adjoints from the result back; and the products of the chain rule, all with numbers.  Formulas come from the operations'
    own partial derivatives, traced.

    **Parameters** `f`: a function of trees of arrays that returns a tree of arrays.  `direction`: that of the tangents, a tree
    like the arguments (a tuple of them if there are several) or None for one for each input.  `unroll`: whether loops are
    shown step by step, else as one operation.

    **Returns** an `Explanation`: `str()` is for the terminal, `.markdown()` and `.latex()` for documents, `.steps` the table.
    Adjoints are those of the result, or of the sum of all results.

    **Raises** `DTypeError` without floating-point arguments; `ShapeError` for a direction that does not fit.

    **Example**

    >>> import arrayad as ad
    >>> print(ad.explain(lambda x: ad.sin(x**2 + 1))(0.5))
    y = sin(x² + 1) at x = 0.5
    <BLANKLINE>
    values and tangents, forward
      w0 = x          0.5         ẇ0 = 1               1
      w1 = w0²        0.25        ẇ1 = ẇ0 · 2 · w0     1
      w2 = w1 + 1     1.25        ẇ2 = ẇ1              1
      w3 = sin(w2)    0.948985    ẇ3 = ẇ2 · cos(w2)    0.315322
    <BLANKLINE>
    rules
      w1    power rule    d(u²) = 2 · u du
      w2    sum rule      d(u + 1) = du
      w3    chain rule    d sin(u) = cos(u) du
    <BLANKLINE>
    adjoints, in reverse
      w̄3 = 1               1
      w̄2 = w̄3 · cos(w2)    0.315322
      w̄1 = w̄2              0.315322
      w̄0 = w̄1 · 2 · w0     0.315322
    <BLANKLINE>
    the chain rule
      ∂y/∂x =    cos(w2) · 1 · (2 · w0)    = 0.315322 · 1 · 1    = 0.315322
    """

    @functools.wraps(f)
    def explained(*args: Any) -> Explanation:
        tape = trace(f)(*args)
        tangents, heads = directions_of(tape, args, direction)
        return Explanation(unrolled(tape) if unroll else tape, tangents, heads)

    return explained


def directions_of(tape: Tape, args: tuple[Any, ...], direction: Any) -> tuple[list[list[Any]], list[str]]:
    """The tangents of the inputs in each direction, and what the directions are called."""
    names = input_names(tape)
    smooth = [i for i, entry in enumerate(tape.inputs) if entry.output.dtype.kind in "fcO"]
    if not smooth:
        came = ", ".join(repr(entry.output) for entry in tape.inputs)
        raise DTypeError(f"[explain] the arguments are ({came}), and one at least must be floating-point: write 3.0")
    if any(value is None for value in tape.values):
        raise AbstractValueError("[explain] an argument is known only by its shape; numbers are worked out, so pass arrays")
    ones = [filled(entry.output.shape, 1, entry.output.dtype) for entry in tape.inputs]
    if direction is None:
        if 1 < len(smooth) <= MANY:
            return [[ones[i] if i == j else None for i in range(len(names))] for j in smooth], [f"∂/∂{names[j]}" for j in smooth]
        return [[ones[i] if i in smooth else None for i in range(len(names))]], [""]
    try:
        given = tree.matched(direction if len(args) > 1 else (direction,), args)
    except ValueError as error:
        raise ShapeError(f"[explain] the direction must be a tree like the arguments, or None for zero; {error}") from None
    for name, t, entry in zip(names, given, tape.inputs, strict=True):
        if t is not None and np.shape(t) != entry.output.shape:
            raise ShapeError(
                f"[explain] the direction of {name} is {describe(np.asarray(t))}, {name} {entry.output!r}; shapes must agree"
            )
    return [[None if t is None else given_in(t, e.output.dtype) for t, e in zip(given, tape.inputs, strict=True)]], [""]


def given_in(t: Any, dtype: np.dtype[Any]) -> Any:
    """A direction in the dtype of what moves along it."""
    return stored(np.asarray(t.value if t.__class__ is Tensor else t).astype(dtype))


class Explanation:
    """A derivative worked out: `str()` for the terminal, `markdown()`, `latex()`.

    `steps` is the table of values, `products` the chain rule's, `value` the result and `derivatives` those by each input.
    """

    def __init__(self, tape: Tape, tangents: list[list[Any]], heads: list[str]) -> None:
        self.tape, self.heads = tape, heads
        derivation = Derivation(tape, tangents)
        self.seeds = tangents
        self.steps = derivation.steps()
        self.products = derivation.products()

    def __str__(self) -> str:
        parts = [self.title(0)]
        for name, heads, rows in self.tables():
            lines = aligned([text for text, _ in heads], [[text for text, _ in row] for row in rows])
            parts.append("\n".join([name, *lines]))
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return str(self)

    def markdown(self) -> str:
        """The same as tables of Markdown, with formulas between dollar signs."""
        parts = [f"${self.title(1)}$"]
        for name, heads, rows in self.tables():
            head = [in_markdown(latex) for _, latex in heads or [("", "")] * len(rows[0])]
            body = [[in_markdown(latex) for _, latex in row] for row in rows]
            lines = [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)]
            parts += [f"**{name}**", "\n".join(lines)]
        return "\n\n".join(parts) + "\n"

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def latex(self) -> str:
        """The same as displayed formulas of LaTeX, for which the package amsmath is needed."""
        parts = [rf"\[ {self.title(1)} \]"]
        for name, heads, rows in self.tables():
            lines = [" & ".join(latex for _, latex in line) + r" \\" for line in ([heads] if heads else []) + rows]
            array = [rf"\[ \begin{{array}}{{{'l' * len(rows[0])}}}", *lines, r"\end{array} \]"]
            parts.append("\n".join([rf"\paragraph{{{name}}}", *array]))
        return "\n\n".join(parts) + "\n"

    # --- the parts ------------------------------------------------------------------------------------------------------

    @property
    def result(self) -> str:
        """What the result is called."""
        return "f" if "y" in input_names(self.tape) else "y"

    @property
    def value(self) -> Any:
        """The result, a tree like the function's."""
        values = {step.name: step.value for step in self.steps}
        names = dict(zip([*self.tape.inputs, *self.tape.entries], (step.name for step in self.steps), strict=True))
        return tree.unflatten(
            self.tape.structure, [values[names[y.history]] if is_member(y, self.tape) else y for y in self.tape.outputs]
        )

    @property
    def derivatives(self) -> dict[str, Any]:
        """The adjoint of each input, by its name; None where the result does not depend on it."""
        return {name: step.cotangent for name, step in zip(input_names(self.tape), self.steps, strict=False)}

    def title(self, k: int) -> str:
        """The program as one formula where it is short, and where it is looked at."""
        names, tape = input_names(self.tape), self.tape
        places = [name if k == 0 else symbol(name) for name in names]
        short = len(tape.outputs) == 1 and len(tape) <= 16 and all(entry.output.__class__ is not Bundle for entry in tape.entries)
        formulas = (
            [expression(tape, given, column) for given, column in ((names, "text"), (places, ("text", "latex")[k]))]
            if short
            else []
        )
        right = formulas[1] if formulas and len(formulas[0]) <= LONGEST else f"f({', '.join(places)})"
        sizes = [cell(step.value, step.aval)[k] for step in self.steps[: len(names)]]
        at = ", ".join(f"{place} = {value}" for place, value in zip(places, sizes, strict=True))
        return f"{self.result} = {right}{' at ' if k == 0 else chr(92) + 'quad ' + chr(92) + 'text{at } '}{at}"

    def tables(self) -> list[Table]:
        """The tables, one after another."""
        found: list[Table] = [
            (
                "values and tangents, forward",
                self.forward_heads(),
                [self.forward_row(i, step) for i, step in enumerate(self.steps)],
            ),
            ("rules", [], self.rule_rows()),
            ("adjoints, in reverse", [], [adjoint_row(step) for step in reversed(self.steps) if step.adjoint is not None]),
        ]
        if self.products:
            found.append(("the chain rule", [], [row for product in self.products for row in product_rows(product, self.result)]))
        else:
            found.append(("the derivatives", [], self.derivative_rows()))
        return [table for table in found if table[2]]

    def forward_heads(self) -> list[Forms]:
        return [("", ""), ("", ""), ("", ""), *((head, partial_head(head)) for head in self.heads)] if any(self.heads) else []

    def forward_row(self, i: int, step: Step) -> list[Forms]:
        """A value beside its tangents."""
        first = f"{step.name[0]} = {step.formula[0]}", f"{step.name[1]} = {step.formula[1]}"
        name, tangents = dotted(step.name), step.tangents
        if all(t is None for t in tangents) and not step.tangent[0].strip("0"):
            return [first, cell(step.value, step.aval), ("", ""), *[("", "")] * len(tangents)]
        formula = step.tangent if i >= len(self.tape.inputs) else seed_forms(tangents)
        second = (f"{name[0]} = {formula[0]}", f"{name[1]} = {formula[1]}") if formula[0] else name
        return [first, cell(step.value, step.aval), second, *(("0", "0") if t is None else cell(t, step.aval) for t in tangents)]

    def rule_rows(self) -> list[list[Forms]]:
        """Each rule that was used, once, with the values that it was used for."""
        used: dict[Any, list[Step]] = {}
        for step in self.steps:
            if step.rule is not None:
                used.setdefault(step.rule, []).append(step)
        return [
            [
                (listed([step.name[0] for step in steps]), listed([step.name[1] for step in steps])),
                (rule.name, rf"\text{{{rule.name}}}"),
                (rule.text, rule.latex),
            ]
            for rule, steps in used.items()
        ]

    def derivative_rows(self) -> list[list[Forms]]:
        """The adjoints of the inputs as derivatives."""
        rows = []
        for name, step in zip(input_names(self.tape), self.steps, strict=False):
            if step.adjoint is not None:
                text, latex = barred(step.name)
                left = f"∂{self.result}/∂{name} = {text}", rf"\partial {self.result} / \partial {symbol(name)} = {latex}"
                rows.append([left, cell(step.cotangent, step.aval)])
        return rows


# --- rows and cells ------------------------------------------------------------------------------------------------------


def adjoint_row(step: Step) -> list[Forms]:
    assert step.adjoint is not None
    text, latex = barred(step.name)
    return [(f"{text} = {step.adjoint[0]}", f"{latex} = {step.adjoint[1]}"), cell(step.cotangent, step.aval)]


def product_rows(product: Product, result: str) -> list[list[Forms]]:
    """The products along the paths from the result to an input, and their sum."""
    left = f"∂{result}/∂{product.by} =", rf"\partial {result} / \partial {symbol(product.by)} ="
    total = "= " + cell(product.total, None)[0], "= " + cell(product.total, None)[1]
    if not product.paths:
        words = f"the sum of the products along {product.count} paths"
        return [[left, (words, rf"\text{{{words}}}"), ("", ""), total]]
    rows = []
    for k, path in enumerate(product.paths):
        factors = [forms for forms, _ in path]
        numbers = [in_short(value) for _, value in path]
        row = [
            left if k == 0 else ("+", "+"),
            (multiplied([text for text, _ in factors], "text"), multiplied([latex for _, latex in factors], "latex")),
            ("= " + multiplied(numbers, "text"), "= " + multiplied(list(map(scientific, numbers)), "latex")),
        ]
        rows.append([*row, total if len(product.paths) == 1 else ("", "")])
    if len(product.paths) > 1:
        rows.append([("", ""), ("", ""), ("", ""), total])
    return rows


def multiplied(factors: list[str], column: str) -> str:
    """A product of factors."""
    return DOT[column].join(map(grouped, factors)) or "1"


def seed_forms(tangents: Sequence[Any]) -> Forms:
    """What the tangent of an input is set to, where it is one number along one direction."""
    (t, *others) = tangents
    if others or t is None or t.size > 1:
        return "", ""
    return cell(t, None)


def cell(value: Any, aval: Any) -> Forms:
    """A small value, else its shape."""
    text = shown(value).strip() or (repr(aval) if aval is not None else "")
    return text, scientific(text) if shown(value) else rf"\mathtt{{{text}}}"


def in_short(value: Any) -> str:
    """A number with six digits."""
    return f"{value:.6g}"


def scientific(text: str) -> str:
    """Numbers like 1e-05 in LaTeX."""
    return re.sub(r"(\d)e([+-])0*(\d+)", lambda m: rf"{m[1]} \cdot 10^{{{'-' if m[2] == '-' else ''}{m[3]}}}", text)


def grouped(text: str) -> str:
    """A factor in brackets where it has parts of its own, or a sign."""
    return f"({text})" if text.startswith("-") or is_compound(text) else text


def symbol(name: str) -> str:
    """The name of an input in LaTeX."""
    return name if len(name) == 1 else rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"


def partial_head(head: str) -> str:
    """`∂/∂x` in LaTeX."""
    return rf"\partial / \partial {symbol(head.removeprefix('∂/∂'))}" if head else ""


def listed(names: Sequence[str]) -> str:
    """Names in a row, those in the middle of many left out."""
    return ", ".join(names if len(names) <= 4 else [*names[:3], "…", names[-1]])


def in_markdown(latex: str) -> str:
    """A formula between dollar signs; a bar would end the cell."""
    return f"${latex.replace('|', chr(92) + 'vert ')}$" if latex else ""


def aligned(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Rows in columns."""
    lines = [heads, *rows] if any(heads) else rows
    widths = [max(display_width(line[k]) for line in lines) for k in range(len(lines[0]))]
    return [
        "  " + "    ".join(text + " " * (width - display_width(text)) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
