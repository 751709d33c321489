"""Modes of the running thread: recording switched off, and the watch for nan and infinity.

The fast path of an operation asks one thing, whether `MODES` is empty; only if some thread is in a mode does it
look up its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import get_ident
from typing import Any, NamedTuple


class Mode(NamedTuple):
    """What a thread is in.

    `quiet` records nothing outside traces, `anomaly` checks every result, `allowance` bounds the bytes that recordings hold,
    `capture` is the trace that lifts what it meets to its inputs.
    """

    quiet: bool = False
    anomaly: bool = False
    allowance: Any = None
    capture: Any = None


PLAIN = Mode()
MODES: dict[int, Mode] = {}


def current_mode() -> Mode:
    """The mode of the calling thread."""
    return MODES.get(get_ident(), PLAIN)


class Switch:
    """A context manager, and a decorator of functions, that changes the mode of the thread inside it."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.previous: list[Mode] = []

    def __enter__(self) -> None:
        mode = current_mode()
        self.previous.append(mode)
        set_mode(mode._replace(**self.changes))

    def __exit__(self, *exception: object) -> None:
        set_mode(self.previous.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with Switch(**self.changes):
                return function(*args, **kwargs)

        return inside


def capturing() -> Any:
    """The trace of the calling thread that lifts what it meets to its inputs; None where there is none."""
    return current_mode().capture if MODES else None


def set_mode(mode: Mode) -> None:
    """Put the calling thread into `mode`."""
    if mode == PLAIN:
        MODES.pop(get_ident(), None)
    else:
        MODES[get_ident()] = mode


def no_grad() -> Switch:
    """Inside, operations are not recorded for `backward` and `grad` (a running trace still sees them).

    A context manager and a decorator; holds for the calling thread.

    **Example**

    >>> import arrayad as ad
    >>> w = ad.tensor(1.0, requires_grad=True)
    >>> with ad.no_grad():
    ...     w -= 0.5
    >>> w.item(), w.requires_grad
    (0.5, True)
    """
    return Switch(quiet=True)


def enable_grad() -> Switch:
    """Inside, operations are recorded again, within a `no_grad`."""
    return Switch(quiet=False)


def detect_anomaly() -> Switch:
    """Inside, the first nan or infinity that an operation makes of finite inputs raises `AnomalyError`.

    The message names the operation and the user's line that recorded it, in the forward and in the reverse pass.

    **Example**

    >>> import arrayad as ad
    >>> with ad.detect_anomaly():
    ...     ad.log(ad.tensor(-1.0))
    Traceback (most recent call last):
    ...
    arrayad.errors.AnomalyError: [log] made nan ...
    """
    return Switch(anomaly=True)
