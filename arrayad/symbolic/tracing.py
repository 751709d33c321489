"""From a function to a tape of elementwise operations on numbers, or to the line that prevents it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arrayad.control.program import Control
from arrayad.elementwise import Elementwise
from arrayad.errors import AbstractValueError, NoClosedFormError
from arrayad.readers.simplify import Rules, simplified
from arrayad.readers.unfold import unfold
from arrayad.shaped import Shaped
from arrayad.symbolic.places import line_of, users_line
from arrayad.tracing import Tape, record

ROUNDS = 8
"""How often at most a tape is simplified again that has become shorter."""

MOST = 20_000
"""Operations up to which loops are written out."""


def tape_of(function: Callable[..., Any], avals: Sequence[Shaped], names: Sequence[str], verb: str = "expression") -> Tape:
    """The tape of a function by shapes, its loops of known length and its branches written out, on behalf of who has this name.

    **Raises** `NoClosedFormError` where it asks for a value: a branch, a loop, a conversion to a number.
    """
    try:
        return unfold(record(function, list(avals), list(names)), MOST)
    except AbstractValueError as error:
        raise NoClosedFormError(
            f"[{verb}] there is no closed form, since the program asks for a value at {users_line(error)}; "
            "write where or cond for a branch, and Python's loops or fori_loop with numbers for bounds"
        ) from error
    except OverflowError as error:
        raise NoClosedFormError(f"[{verb}] written out, the loops have {error}; take fewer steps") from None


def simple(tape: Tape, differentiated: bool = False) -> Tape:
    """A tape with fewer and simpler operations, that is equal as a function of real numbers.

    One that is to be `differentiated` keeps what only a derivative looks at.
    """
    for _ in range(ROUNDS):
        before, tape = tape, simplified(tape, Rules(exact=False, reorder=True, keeps=differentiated), {})
        if len(tape) >= len(before):
            break
    return tape


def check_elementwise(tape: Tape) -> None:
    """**Raises** `NoClosedFormError` for an operation that is no formula of numbers."""
    for entry in tape.entries:
        if not isinstance(entry.primitive, Elementwise):
            why = ", which hangs on values when it runs" if isinstance(entry.primitive, Control) else ""
            raise NoClosedFormError(
                f"[expression] there is no closed form of {entry.primitive.name}{why}, at {line_of(entry.location)}"
            )
