"""Show a tape as textbooks set out an evaluation trace: w0 = x, w1 = w0², …, and the cotangents in reverse.

**Source** the layout of Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), tables 2.3 and 3.1.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np

from arrayad.arbitrary import array_in, filled, plain
from arrayad.elementwise import Elementwise, minus_one, one
from arrayad.errors import describe
from arrayad.primitive import Primitive, operand_names
from arrayad.readers.emit import derivative_tape, partial_tape
from arrayad.readers.replay import evaluate
from arrayad.readers.sweep import sweep
from arrayad.shaped import Bundle, is_weak
from arrayad.tape import BACKWARD, Scope, recorded
from arrayad.tensor import Tensor, handle, input_entry
from arrayad.tracing import Tape, is_member

SHORT: Any = {"float_kind": lambda x: f"{x:.6g}", "object": lambda x: f"{float(x):.6g}"}
"""How elements are printed."""

SMALL = 4
"""Values of up to so many elements are printed."""


def show(tape: Tape, reverse: bool = False) -> str:
    """The evaluation trace as text, with shapes, dtypes and small values; with `reverse` the cotangents too.

    The cotangent of every output is 1 (an array of ones), so those of a scalar program are its derivatives.

    **Example**

    >>> import arrayad as ad
    >>> print(ad.trace(lambda x: ad.sin(x**2 + 1))(0.5).show(reverse=True))
    w0 = x                f64[]  0.5
    w1 = w0²              f64[]  0.25
    w2 = w1 + 1           f64[]  1.25
    w3 = sin(w2)          f64[]  0.948985
    w̄3 = 1                f64[]  1
    w̄2 = w̄3 · cos(w2)     f64[]  0.315322
    w̄1 = w̄2               f64[]  0.315322
    w̄0 = w̄1 · (2 · w0)    f64[]  0.315322
    """
    names = names_of(tape)
    values, cotangents = evaluated(tape)
    lines = [
        (f"{names[entry]} = {name}", entry.output, values.get(entry))
        for entry, name in zip(tape.inputs, input_names(tape), strict=True)
    ]
    lines += [(f"{names[entry]} = {formula(entry, names, tape)}", entry.output, values.get(entry)) for entry in tape.entries]
    if reverse:
        terms = reverse_terms(tape, names)
        for entry in [*reversed(tape.entries), *reversed(tape.inputs)]:
            if terms[entry]:
                lines.append((f"{bar(names[entry])} = {' + '.join(terms[entry])}", entry.output, cotangents.get(entry)))
    width = max((display_width(text) for text, _, _ in lines), default=0)
    rows = [f"{text}{' ' * (width - display_width(text))}    {aval!r}{shown(value)}" for text, aval, value in lines]
    results = [names[y.history] if is_member(y, tape) else shown(y).strip() for y in tape.outputs]
    if not tape.entries or results != [names[tape.entries[-1]]]:
        rows.append(f"-> {', '.join(results)}")
    rows += [f"assuming {names[x.history]} is {truth} at {line}" for x, truth, line in tape.guards if is_member(x, tape)]
    return "\n".join(rows)


Tape.show = show
Tape.__str__ = show  # type: ignore[method-assign, assignment]


def names_of(tape: Tape) -> dict[Any, str]:
    """`w0`, `w1`, … for inputs and entries."""
    return {entry: f"w{i}" for i, entry in enumerate([*tape.inputs, *tape.entries])}


def input_names(tape: Tape) -> list[str]:
    """`x` for one input, `x1`, `x2`, … for several, with the path of a leaf within its argument."""
    return tape.names if len(tape.names) == len(tape.inputs) else list(operand_names(len(tape.inputs)))


def bar(name: str) -> str:
    """`w̄1` of `w1`: the name of the cotangent."""
    return f"{name[0]}\u0304{name[1:]}"


def display_width(text: str) -> int:
    """The columns that a text takes: bars and dots above letters take none."""
    return sum(not unicodedata.combining(letter) for letter in text)


def shown(value: Any) -> str:
    """A small value in short, nothing for a large or unknown one."""
    value = value.value if value.__class__ is Tensor else value
    if value is None or value.size > SMALL:
        return ""
    if value.__class__ is Bundle:
        return f"  ({', '.join('0' if part is None else shown(part).strip() for part in value)})"
    array = plain(array_in(value))
    text = np.array2string(array, formatter=SHORT, separator=", ")
    return f"  {' '.join(text.split())}"


def evaluated(tape: Tape) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The values of inputs and entries, and their cotangents; nothing where the tape was recorded by shapes alone."""
    if any(value is None for value in tape.values):
        return {}, {}
    scope = Scope()
    operands = [handle(value, input_entry(frozenset((scope,)))) for value in tape.values]
    values = evaluate(tape, operands)
    members = [y for y in tape.outputs if is_member(y, tape)]
    roots = [(recorded(values[y.history].history), y) for y in members]
    seeds = [(entry, handle(filled(y.shape, 1, y.dtype))) for entry, y in roots if entry is not None]
    histories = {entry: recorded(x.history) for entry, x in values.items()}
    found = sweep(seeds, [target for target in histories.values() if target is not None], scope, BACKWARD)
    return values, {entry: handle_of(None if target is None else found.get(target)) for entry, target in histories.items()}


def handle_of(ct: Any) -> Any:
    return ct if ct is None or ct.__class__ is Tensor else handle(ct)


def operand_text(x: Any, names: dict[Any, str], tape: Tape) -> str:
    """An operand by name, a number as it is, a constant array by its small value or its shape."""
    if is_member(x, tape):
        return names[x.history]
    if is_weak(x):
        return number(x)
    return shown(x).strip() or describe(x)


def number(x: Any) -> str:
    """A Python number without a trailing `.0`."""
    return f"{x:g}" if isinstance(x, float) and f"{x:g}" == repr(x).removesuffix(".0") else repr(x)


def formula(entry: Any, names: dict[Any, str], tape: Tape) -> str:
    """An entry's operation on its operands' names."""
    return written(entry.primitive, [operand_text(x, names, tape) for x in entry.inputs], entry.params)


def written(primitive: Primitive, operands: list[str], params: dict[str, Any], column: str = "text") -> str:
    """A row's `text` or `latex` with these operands, in brackets where they are sums or products themselves."""
    template = getattr(primitive, column)
    if template is None:
        name = primitive.name if column == "text" else rf"\operatorname{{{primitive.name}}}".replace("_", r"\_")
        return f"{name}({', '.join([*operands, *(f'{k}={v}' for k, v in params.items())])})"
    names = operand_names(len(operands))
    places = {
        name: f"({operand})" if " " in operand and not is_enclosed(template, name) else operand
        for name, operand in zip(names, operands, strict=True)
    }
    return str(template.format(**places))


def is_enclosed(template: str, name: str) -> bool:
    """Whether an operand's place in a formula has brackets already, or is the whole formula."""
    place = template.index(f"{{{name}}}")
    return template == f"{{{name}}}" or (place > 0 and template[place - 1] in "({|")


def reverse_terms(tape: Tape, names: dict[Any, str]) -> dict[Any, list[str]]:
    """For each entry the terms of its cotangent, in the order in which the sweep adds them."""
    terms: dict[Any, list[str]] = {entry: [] for entry in [*tape.inputs, *tape.entries]}
    for y in tape.outputs:
        if is_member(y, tape):
            terms[y.history].append("1")
    for entry in reversed(tape.entries):
        if not entry.primitive.differentiable or not terms[entry]:
            continue
        for i, x in enumerate(entry.inputs):
            if is_member(x, tape):
                term = reverse_term(entry, i, names, tape)
                if term is not None:
                    terms[x.history].append(term)
    return terms


def reverse_term(entry: Any, i: int, names: dict[Any, str], tape: Tape) -> str | None:
    """What an entry adds to the cotangent of its operand i."""
    row, ct = entry.primitive, bar(names[entry])
    if not isinstance(row, Elementwise):
        return f"{row.name}ᵀ({ct})" if len(entry.inputs) == 1 else f"{row.name}ᵀ[{i + 1}]({ct})"
    partial = row.partials[i]
    if partial is None:
        return None
    residuals = [*(operand_text(x, names, tape) for x in entry.inputs), names[entry]]
    if row.kind == "selection":
        return expression(derivative_tape(row, i), [ct, *(residuals[position] for position in row.positions[i])])
    if partial is one:
        return ct
    if partial is minus_one:
        return f"-{ct}"
    text = expression(partial_tape(row, i), residuals)
    return f"{ct} · {f'({text})' if ' ' in text else text}"


def expression(tape: Tape, operands: list[str], column: str = "text") -> str:
    """A tape of one output as one nested formula of its operands' texts, in `text` or `latex`."""
    texts = dict(zip(tape.inputs, operands, strict=True))

    def text_of(x: Any) -> str:
        return texts[x.history] if is_member(x, tape) else number(x) if is_weak(x) else shown(x).strip()

    for entry in tape.entries:
        texts[entry] = written(entry.primitive, [text_of(x) for x in entry.inputs], entry.params, column)
    return text_of(tape.outputs[0])
