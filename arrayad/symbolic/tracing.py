"""From a function to a tape of elementwise operations on its symbols, or to the line that prevents it."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from arrayad.elementwise import Elementwise
from arrayad.errors import PACKAGE, AbstractValueError, NoClosedFormError
from arrayad.readers.simplify import Rules, simplified
from arrayad.shaped import Shaped
from arrayad.tracing import Tape, record


def line_of(location: str) -> str:
    """A location with what stands there, as far as the source is at hand."""
    file, _, number = location.rpartition(":")
    text = linecache.getline(file, int(number)).strip() if number.isdigit() else ""
    return f"{location}: {text}" if text else location or "an unknown line"


def users_line(error: BaseException) -> str:
    """The innermost line outside this package that an error has passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(PACKAGE)]
    return line_of(f"{frames[-1].filename}:{frames[-1].lineno}") if frames else "an unknown line"


def tape_of(function: Callable[..., Any], avals: Sequence[Shaped], names: Sequence[str], verb: str = "expression") -> Tape:
    """The tape of a function by shapes, on behalf of who has this name.

    **Raises** `NoClosedFormError` where it asks for a value: a branch, a loop, a conversion to a number.
    """
    try:
        return record(function, list(avals), list(names))
    except AbstractValueError as error:
        raise NoClosedFormError(
            f"[{verb}] there is no closed form, since the program asks for a value at {users_line(error)}; "
            "write where for a branch, and Python's loops or fori_loop with numbers for bounds"
        ) from error


ROUNDS = 8
"""How often at most a tape is simplified again that has become shorter."""


def simple(tape: Tape) -> Tape:
    """A tape with fewer and simpler operations, that is equal as a function of real numbers."""
    for _ in range(ROUNDS):
        before, tape = tape, simplified(tape, Rules(exact=False, reorder=True), {})
        if len(tape) >= len(before):
            break
    return tape


def check_elementwise(tape: Tape) -> None:
    """**Raises** `NoClosedFormError` for an operation that is no formula of its operands' elements."""
    for entry in tape.entries:
        if not isinstance(entry.primitive, Elementwise):
            raise NoClosedFormError(
                f"[expression] there is no closed form of {entry.primitive.name}, which is computed at {line_of(entry.location)}"
            )
