"""The compiled kernels: whether they are here, whether they are in use, and how one is called.

The only module that touches cffi.  Where the extension is absent, arrayad runs on NumPy alone and says so once.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from arrayad.errors import user_stacklevel
from arrayad.kernels import machine

try:
    from arrayad._native import ffi, lib
except ImportError as error:
    ffi = lib = None
    why_not_native: str | None = f"the extension module cannot be loaded ({error})"
else:
    why_not_native = None

__all__ = ["BYTE", "DTYPES", "OPERATIONS", "Backend", "backend", "call", "is_on", "isas", "pointer", "set_isa", "set_threads"]

# By dtype, the codes of exports.h.  Other dtypes, among them those of foreign byte order, are NumPy's affair.
DTYPES = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}

BYTE = 4
MISALIGNED = "ARRAYAD_MISALIGNED"

# The address of an array's elements for a C function; the object keeps the array alive.
pointer: Callable[[Any], Any] = ffi.from_buffer if ffi is not None else memoryview

# The operations of ops.def: name -> (number, operands, whether the result is boolean).
OPERATIONS: dict[str, tuple[int, int, bool]] = {}


def is_on() -> bool:
    """Whether the C kernels are in use."""
    return Backend.current == "c"


def call(function: str, *arguments: Any) -> bool:
    """Call a C function that returns a code; False if it refused because an array is not aligned to its elements."""
    code: int = getattr(lib, function)(*arguments)
    if code == 0:
        return True
    name = ffi.typeof("enum arrayad_code").elements[code]
    if name == MISALIGNED:
        return False
    raise RuntimeError(f"[{function}] {name} for {arguments}; the caller checks arguments: this is an error in arrayad.")


class Backend:
    """A choice of kernels that stays, and that is undone at the end of a `with` block."""

    current = "numpy"

    def __init__(self, name: str) -> None:
        if name not in ("numpy", "c"):
            raise ValueError(f"[backend] {name!r} came; it must be 'numpy' or 'c'.")
        if name == "c" and why_not_native is not None:
            raise RuntimeError(f"[backend] the C kernels are not here: {why_not_native}; install a C compiler and arrayad anew.")
        self.before, Backend.current = Backend.current, name

    def __enter__(self) -> str:
        return Backend.current

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        Backend.current = self.before
