"""What runs a tape: the one place where that is chosen."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from arrayad.compiler.any_size import DynamicError as DynamicError
from arrayad.compiler.any_size import Sizes, any_size
from arrayad.compiler.executable import Executable
from arrayad.compiler.lower import UnsupportedError
from arrayad.compiler.replaying import Replay
from arrayad.compiler.toolchain import toolchain, why_no_toolchain
from arrayad.control.program import Program
from arrayad.errors import ArrayadError, user_stacklevel
from arrayad.readers.simplify import simplify
from arrayad.tracing import Tape

Runs = Callable[..., list[Any]]


class NoCompilerError(ArrayadError, RuntimeError):
    """There is no compiler, or none that works; the message says what was tried."""


def compiled(tape: Tape, donations: Mapping[int, int]) -> Runs:
    """The tape as a program in C; its replay where it has values of a dtype that C does not have.

    **Raises** `NoCompilerError` where there is no compiler.
    """
    if toolchain() is None:
        raise NoCompilerError(f"there is no C compiler: {why_no_toolchain()}")
    try:
        return Executable(tape, donations)
    except UnsupportedError:
        return Replay(simplify(tape), donations)


BACKEND: Callable[[Tape, Mapping[int, int]], Runs] = compiled
"""Makes an executable of a tape, where `donations` says which output may be written into which input."""

DYNAMIC: Callable[[Callable[[Sizes], Tape], Sizes], Runs] | None = any_size
"""Makes an executable for all sizes of named dimensions, given what traces the function at some; None where there is none.

**Raises** `DynamicError` where the function is another at other sizes."""

TOLD: list[str] = []
"""What has been said already of a compiler that is not there."""


def executable(tape: Tape, donations: Mapping[int, int] | None = None) -> Runs:
    """What runs a tape: a program of the compiler's, or its replay where there is none, which is said once."""
    try:
        return BACKEND(tape, donations or {})
    except NoCompilerError as error:
        if not TOLD:
            TOLD.append(str(error))
            warnings.warn(
                f"[compile] {error}; compiled functions are replayed by the prebuilt kernels", RuntimeWarning, user_stacklevel()
            )
        return Replay(tape)


def in_background(tape: Tape, donations: Mapping[int, int], done: Callable[[Runs], None]) -> threading.Thread:
    """Make the executable in another thread, which hands it to `done`; where that fails, it warns, and the replay goes on."""

    def work() -> None:
        try:
            done(executable(tape, donations))
        except Exception as error:  # an error of the compiler's must not go unseen in a thread that nobody waits for
            warnings.warn(f"[compile] {type(error).__name__} in the background: {error}", RuntimeWarning, stacklevel=1)

    thread = threading.Thread(target=work, name="arrayad compile", daemon=True)
    thread.start()
    return thread


def contiguous(value: Any) -> np.ndarray[Any, Any]:
    """A value as an array in C order."""
    return np.array(value, order="C", copy=None)


class Kernel(Program):
    """A program that an executable runs; so are those that derive from it."""

    @functools.cached_property
    def quick(self) -> Any:
        """The program as a function of arrays."""
        execute = executable(self.tape)
        return lambda values: execute([contiguous(value) for value in values])
