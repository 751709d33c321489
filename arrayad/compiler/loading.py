"""Programs that are compiled: loaded from a shared object, and called with arrays or with pointers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.compiler.build import build
from arrayad.compiler.toolchain import toolchain, why_no_toolchain
from arrayad.errors import CompilationError
from arrayad.kernels import native

ENTRY = "arrayad_program"

# How often a program may vanish between its compilation and its loading.
TRIES = 5


class Program:
    """A compiled program.  It holds its library, which is unloaded when the last program of it dies.

    A call returns what `arrayad_program` does: 0, or 1 + the index of the first guard that does not hold, or a negative
    number where it failed.  The interpreter's lock is released meanwhile.  The buffers must be as the program expects them, in
    number, size, alignment and order: nothing checks them here.
    """

    __slots__ = ("address", "library", "path", "run")

    run: Callable[[list[np.ndarray[Any, Any]]], int]
    """Call with the elements of NumPy arrays as buffers: 300 ns for any number of them.

    The list and its arrays must stay as they are until the call returns.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.library = native.Library(path)
        self.address = self.library.symbol(ENTRY)
        self.run = native.runner(self.address)

    def call(self, buffers: Any) -> int:
        """Call with the pointers in a cffi array `void *[]`, as `native.pointers` makes it."""
        return native.call(self.address, buffers)


def load(path: str) -> Program:
    """The program in a shared object.

    **Raises** OSError, in the words of the system's loader, where it cannot be loaded or is no program.
    """
    native.give_blas()
    return Program(path)


def program_of(text: str, options: tuple[str, ...] = ()) -> Program:
    """The program of a C text: found in the cache, or compiled, and loaded.

    **Raises** CompilationError where there is no compiler, where it refuses the text, or where what it makes cannot be loaded.
    """
    compiler = toolchain()
    if compiler is None:
        raise CompilationError(f"[compile] there is no C compiler: {why_no_toolchain()}; install one, or the package ziglang")
    for _ in range(TRIES):
        path = build(text, compiler, options)
        try:
            return load(path)
        except OSError as error:
            failure = error
        if os.path.exists(path):
            break  # else another process has cleared the cache since
    raise CompilationError(f"[compile] the compiled program cannot be loaded: {failure}") from failure
