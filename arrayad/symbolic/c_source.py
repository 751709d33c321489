"""An expression as the source of a C function of doubles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.compiler.naming import LIBRARY, identifiers
from arrayad.compiler.preamble import scalar_functions
from arrayad.compiler.rules.elementwise import OF_ORDER, text_of
from arrayad.compiler.text import literal, substituted
from arrayad.errors import NoClosedFormError
from arrayad.shaped import is_weak
from arrayad.symbolic.lines import letter_for_parts
from arrayad.tracing import Tape, is_member

DOUBLE = np.dtype("float64")

HEAD = """\
#include <math.h>
#include <stdint.h>

#ifdef __GNUC__
#define SCALAR static inline __attribute__((unused))
#else
#define SCALAR static inline
#endif
"""


def order_of(x: Any) -> int | None:
    """A constant operand that is an order, as an int."""
    value = x if is_weak(x) else np.asarray(x.value) if hasattr(x, "value") and x.history is None else None
    return None if value is None else int(value)


def c_expression(entry: Any, operands: Sequence[str]) -> str:
    """The C expression of an operation on numbers.

    **Raises** `NoClosedFormError` where its row has none.
    """
    row = entry.primitive
    text = text_of(row, DOUBLE)
    if text is None and row.name in OF_ORDER:
        order = order_of(entry.inputs[0])
        found = None if order is None else OF_ORDER[row.name].text(order)
        if found is not None:
            return substituted(found, DOUBLE, operands[1:])
    if text is None:
        raise NoClosedFormError(f"[c] {row.name} has no C source")
    return substituted(text, DOUBLE, operands)


def c_source(tape: Tape, names: Sequence[str], name: str) -> str:
    """The source of a function, with the functions that it needs beside libm's.

    It takes the symbols in order; of several results, `out` is the array.
    """
    parameters = identifiers(names, [*LIBRARY, name, "out"])
    letter = letter_for_parts([*parameters, "out"])
    texts: dict[Any, str] = dict(zip(tape.inputs, parameters, strict=True))

    def operand(x: Any) -> str:
        if is_member(x, tape):
            return texts[x.history]
        value = x if is_weak(x) else np.asarray(x.value if hasattr(x, "value") else x).item()
        return literal(value, np.dtype(bool) if isinstance(value, bool) else DOUBLE)

    lines = []
    for k, entry in enumerate(tape.entries, 1):
        kind = "int" if entry.output.dtype.kind == "b" else "double"
        texts[entry] = f"{letter}{k}"
        lines.append(f"    const {kind} {letter}{k} = {c_expression(entry, list(map(operand, entry.inputs)))};")
    results = list(map(operand, tape.outputs))
    arguments = ", ".join(f"double {x}" for x in parameters)
    if len(results) == 1:
        signature = f"double {name}({arguments or 'void'})"
        lines.append(f"    return {results[0]};")
    else:
        signature = f"void {name}({arguments}{', ' if arguments else ''}double *out)"
        lines += [f"    out[{i}] = {x};" for i, x in enumerate(results)]
    body = "\n".join(lines)
    needed = scalar_functions(body)
    head = [HEAD, needed] if needed else ["#include <math.h>\n"]
    unused = [f"    (void){x};" for x in parameters if x not in used_names(body)]
    return "\n".join([*head, signature, "{", *unused, body, "}", ""])


def used_names(body: str) -> set[str]:
    """The words of a text."""
    return set("".join(letter if letter.isalnum() or letter == "_" else " " for letter in body).split())
