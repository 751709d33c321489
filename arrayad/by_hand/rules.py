"""The elementary rules of differentiation, as the rows of operations have them: their formulas and what they are called.

A formula is written from the row's own text and from its partial derivatives, traced.  What a rule is called follows from how it
behaves: a product has x ∂y/∂x / y = 1 in both operands, a quotient 1 and -1, a power a constant, a sum partials of ±1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayad.control.program import Program
from arrayad.elementwise import Elementwise, minus_one, one
from arrayad.primitive import Primitive
from arrayad.readers.emit import derivative_tape, partial_tape
from arrayad.readers.show import expression, written
from arrayad.shaped import Bundle, Shaped, is_weak
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, aval_of, record

LONGEST = 6
"""A rule of up to so many operations is written out; of a longer one its name alone."""

DOT = {"text": " · ", "latex": r" \cdot "}
"""What stands between factors."""

CALL = re.compile(r"\\?\w+\(")
"""How a formula begins that is one call of a function."""

LETTERS = "uvwz"
CONSTANTS = "cabd"

TRIED = np.array([0.6, 0.9, 1.3])
"""Where a row is tried for what its rule is called."""


@dataclass(frozen=True)
class Rule:
    """An elementary rule: what it is called, and its formula in text and LaTeX."""

    name: str
    text: str
    latex: str


def rule_of(entry: Any, moving: Sequence[int]) -> Rule:
    """The rule by which an entry is differentiated, where these of its operands depend on what is differentiated by."""
    text, latex = (formula_of(entry, moving, column) for column in ("text", "latex"))
    return Rule(name_of(entry.primitive, entry.inputs, moving), text, latex)


def formula_of(entry: Any, moving: Sequence[int], column: str) -> str:
    """`d sin(u) = cos(u) du`."""
    letters = iter(LETTERS + "".join(f"u{i}" for i in range(len(entry.inputs))))
    constants = iter(CONSTANTS + "".join(f"c{i}" for i in range(len(entry.inputs))))
    names = [next(letters) if i in moving else constant(x) or next(constants) for i, x in enumerate(entry.inputs)]
    whole = written(entry.primitive, names, shortened(entry.params), column)
    y = "y" if is_compound(whole) else whole
    found = [along(entry, i, f"d{names[i]}", names, y, column, last=True) for i in moving]
    right = sum_of([term for term in found if term is not None]) or "0"
    if y == "y" and re.search(r"\by\b", right):
        return f"dy = {right}, y = {whole}"
    return f"{f'd {whole}' if CALL.match(whole) else f'd({whole})'} = {right}"


def constant(x: Any) -> str | None:
    """A Python number among the operands, or a single number, in short; None for arrays."""
    if is_weak(x):
        return f"{x:g}" if isinstance(x, int | float) else repr(x)
    value = x.value if x.__class__ is Tensor else x
    return f"{float(value):g}" if getattr(value, "size", 0) == 1 and value.dtype.kind in "fiu" and not value.ndim else None


def shortened(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters without the programs among them, which are too long to read."""
    return {k: v for k, v in params.items() if not isinstance(v, Program)}


def along(
    entry: Any, i: int, t: str, names: Sequence[str], y: str, column: str, *, last: bool = False, transposed: bool = False
) -> str | None:
    """What a tangent `t` of operand i (a cotangent, if `transposed`) becomes: the product with the partial; None for zero.

    `names` are the operands', `y` the result's.  `last` puts the tangent behind the partial, as differentials stand.
    """
    row = entry.primitive
    if not isinstance(row, Elementwise):
        return by_rule(entry, i, t, names, y, column, transposed)
    partial = row.partials[i]
    if partial is None:
        return None
    residuals = [*names, y]
    if row.kind == "selection":
        tape = derivative_tape(row, i)
        return expression(tape, [t, *(residuals[position] for position in row.positions[i])], column)
    if partial is one:
        return t
    if partial is minus_one:
        return f"-{t}"
    text = expression(partial_tape(row, i), residuals, column)
    if last:
        return f"{f'({text})' if is_sum(text) or ' / ' in text else text}{' ' if column == 'text' else ' ' + chr(92) + ', '}{t}"
    return f"{t}{DOT[column]}{bracketed(text)}"


def by_rule(entry: Any, i: int, t: str, names: Sequence[str], y: str, column: str, transposed: bool) -> str | None:
    """What the row's own rule makes of a tangent, or of a cotangent: written out if it is short, else by the row's name."""
    row = entry.primitive
    if not row.differentiable:
        return None
    tape = rule_tape(entry, i, transposed)
    if tape is not None and len(tape) <= LONGEST and len(tape.outputs) == 1:
        text = expression(tape, [t, y, *names], column)
        if len(text) <= 80:
            return text
    name = row.name if column == "text" else rf"\operatorname{{{row.name}}}".replace("_", r"\_")
    place = f"[{i + 1}]" if len(entry.inputs) > 1 else ""
    if column == "latex":
        mark = ("^T" if transposed else "'") + (f"_{{{i + 1}}}" if place else "")
        return f"{name}{mark}({t})"
    return f"{name}{'ᵀ' if transposed else '′'}{place}({t})"


def rule_tape(entry: Any, i: int, transposed: bool) -> Tape | None:
    """The row's JVP, or VJP, by one operand, traced by shapes: its inputs are the tangent, the output, the operands."""
    avals = [x if is_weak(x) else aval_of(x) for x in entry.inputs]
    if any(x.__class__ is Bundle for x in (*avals, entry.output)):
        return None
    count, row = len(avals), entry.primitive

    def function(t: Tensor, y: Tensor, *xs: Tensor) -> Any:
        if transposed:
            return row.vjp([k == i for k in range(count)], t, y, *xs, **entry.params)[i]
        return row.jvp([t if k == i else None for k in range(count)], y, *xs, **entry.params)

    given = [entry.output if transposed else avals[i], entry.output]
    strong = [Shaped((), entry.output.dtype) if is_weak(x) else x for x in avals]
    try:
        return record(function, [*given, *strong])
    except Exception:  # a rule that needs values
        return None


# --- what rules are called -------------------------------------------------------------------------------------------


def name_of(row: Primitive, operands: Sequence[Any], moving: Sequence[int]) -> str:
    """What a textbook calls the rule of a row, of which these operands move."""
    if not row.differentiable:
        return "constant"
    if row.calls_back:
        return "a rule by hand"
    if row.kind == "selection":
        return "the part that is taken"
    if row.kind == "linear":
        return "linear"
    if row.kind == "bilinear":
        return "product rule" if len(moving) == 2 else "constant factor"
    if not isinstance(row, Elementwise):
        return "chain rule"
    if all(row.partials[i] in (None, one, minus_one) for i in moving):
        return "sum rule" if row.arity > 1 else "constant factor"
    found = [steady(row, i, operands, moving) for i in moving]
    if row.arity == 2 and len(moving) == 2 and found in ([1.0, 1.0], [1.0, -1.0]):
        return "product rule" if found[1] == 1.0 else "quotient rule"
    if len(found) == 1 and found[0] is not None:
        return "constant factor" if found[0] == 1.0 and row.arity > 1 else "power rule" if found[0] != 1.0 else "chain rule"
    return "chain rule"


def steady(row: Elementwise, i: int, operands: Sequence[Any], moving: Sequence[int]) -> float | None:
    """x ∂y/∂x / y by operand i, if it is one number wherever it is tried; else None."""
    values = [
        handle(np.roll(TRIED, k)) if k in moving or not is_single(x) else handle(np.full(3, number_in(x)))
        for k, x in enumerate(operands)
    ]
    partial = row.partials[i]
    if partial is None:
        return None
    with np.errstate(all="ignore"):
        y = row.apply(*values)
        slope = np.broadcast_to(np.asarray(row.call_by_name(partial, (*values, y))), (3,))
        found = np.asarray(values[i].value * slope / np.asarray(y.value), float)
    if not np.all(np.isfinite(found)) or np.ptp(found) > 1e-9 * max(1.0, abs(float(found[0]))):
        return None
    return float(np.round(found[0], 9))


def is_single(x: Any) -> bool:
    """Whether an operand is a number that is known."""
    return is_weak(x) or (x.__class__ is Tensor and not isinstance(x.value, Shaped | Bundle) and x.size == 1)


def number_in(x: Any) -> float:
    return float(x) if is_weak(x) else float(np.asarray(x.value, float).reshape(()))


# --- writing -----------------------------------------------------------------------------------------------------------


def bracketed(text: str) -> str:
    """A formula in brackets where it is a sum or a quotient, or begins with a minus."""
    return f"({text})" if text.startswith("-") or " / " in text or is_sum(text) else text


def is_sum(text: str) -> bool:
    """Whether terms are added or subtracted outside all brackets."""
    return any(text[k : k + 3] in (" + ", " - ") for k in outside(text))


def is_compound(text: str) -> bool:
    """Whether a formula has parts outside all brackets."""
    return any(text[k] == " " for k in outside(text))


def outside(text: str) -> Iterator[int]:
    """The places of the letters outside all brackets."""
    depth = 0
    for k, letter in enumerate(text):
        depth -= letter in ")]}"
        if not depth:
            yield k
        depth += letter in "([{"


def sum_of(terms: Sequence[str]) -> str:
    """Terms added, with a minus between where one begins with it, be it in brackets."""
    total = ""
    for term in terms:
        if total and term.startswith("(-") and not is_sum(term[1 : closing(term)]):
            total += f" - ({term[2:]}"
        elif total and term.startswith("-"):
            total += f" - {term[1:]}"
        else:
            total += f" + {term}" if total else term
    return total


def closing(text: str) -> int:
    """The place of the bracket that closes the one a formula begins with."""
    return next(k for k in outside(text) if k and text[k] in ")]}")
