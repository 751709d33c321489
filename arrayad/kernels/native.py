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
    why_not_native: str | None = f"the extension module arrayad._native cannot be loaded ({error})"
else:
    why_not_native = None

# The codes of exports.h by dtype.  Other dtypes, among them those of foreign byte order, are NumPy's affair.
DTYPES = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}

# The object through which a C function gets the address of an array's elements; it keeps the array alive.
pointer: Callable[[Any], Any] = memoryview if ffi is None else ffi.from_buffer
NULL = None if ffi is None else ffi.NULL


def function(name: str) -> Callable[..., int]:
    """An exported C function; where there is none, something that is never called."""
    return getattr(lib, f"arrayad_{name}", None)  # type: ignore[return-value]


def constant(name: str) -> int:
    """An enumerator of exports.h; -1 where there is no C."""
    return getattr(lib, f"ARRAYAD_{name}", -1)


MISALIGNED = constant("MISALIGNED")
BAD_LABEL = constant("BAD_LABEL")


def done(code: int) -> bool:
    """Whether a C function did what was asked; False if an array is not aligned to its elements, which NumPy can handle."""
    if code == 0 or code == MISALIGNED:
        return code == 0
    name = ffi.typeof("enum arrayad_code").elements[code]
    raise RuntimeError(f"[kernels] C refused with {name} what its caller should have checked: this is an error in arrayad.")


def operations() -> dict[str, tuple[int, int, bool]]:
    """The operations of ops.def: name -> (number, operands, whether the result is boolean)."""
    if lib is None:
        return {}
    return {
        ffi.string(lib.arrayad_operation_name(op)).decode(): (
            op,
            lib.arrayad_operation_arity(op),
            bool(lib.arrayad_operation_is_bool(op)),
        )
        for op in range(lib.arrayad_operations())
    }


# --- which kernels ------------------------------------------------------------------------------------------------------


class Backend:
    """A choice of kernels, made when this is created; a `with` block of it ends with the choice from before."""

    current = "numpy"

    def __init__(self, name: str) -> None:
        if name not in ("numpy", "c"):
            raise ValueError(f"[backend] {name!r} came; it must be 'numpy' or 'c'.")
        if name == "c" and why_not_native is not None:
            raise RuntimeError(f"[backend] there are no C kernels: {why_not_native}; install a C compiler, then arrayad anew.")
        self.before = Backend.current
        Backend.current = name

    def __enter__(self) -> str:
        return Backend.current

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        Backend.current = self.before


def set_threads(count: int) -> None:
    """Compute with `count` threads from now on, in the whole process.

    **Raises** ValueError unless 1 <= count <= 1024.
    """
    if not 1 <= count <= machine.MOST_THREADS:
        raise ValueError(f"[set_threads] {count} came; it must be from 1 to {machine.MOST_THREADS}.")
    if lib is not None:
        done(lib.arrayad_set_threads(count))


def isas() -> list[str]:
    """The instruction sets that the C kernels can use on this machine, the best last; [] without C."""
    return [] if lib is None else [ffi.string(lib.arrayad_isa_name(i)).decode() for i in range(lib.arrayad_isas())]


def set_isa(name: str) -> None:
    """Use the kernels of this instruction set from now on, in the whole process.

    **Raises** ValueError for one that this machine, or the compiled library, does not have.
    """
    available = isas()
    if name not in available:
        raise ValueError(f"[set_isa] {name!r} came; there are {', '.join(available) or 'none, for want of C kernels'}.")
    done(lib.arrayad_set_isa(available.index(name)))


def info() -> dict[str, Any]:
    """What is known of the C library: instruction set, threads, compiler and vector functions; None where it is absent."""
    if lib is None:
        return dict.fromkeys(("isa", "threads", "compiler", "vector_math"))
    return {
        "isa": isas()[lib.arrayad_isa()],
        "threads": lib.arrayad_threads(),
        "compiler": ffi.string(lib.arrayad_compiler()).decode(),
        "vector_math": ffi.string(lib.arrayad_vector_math()).decode(),
    }


# --- the settings of the environment ------------------------------------------------------------------------------------


def configure() -> None:
    """Do as ARRAYAD_BACKEND, ARRAYAD_ISA and ARRAYAD_NUM_THREADS say; say that C is missing unless NumPy was asked for."""
    wanted = os.environ.get("ARRAYAD_BACKEND")
    if wanted is None and why_not_native is not None:
        warnings.warn(
            f"arrayad runs without its C kernels, on NumPy alone: {why_not_native}. Install a C compiler, then arrayad anew; "
            "or set ARRAYAD_BACKEND=numpy, and this is not said again.",
            RuntimeWarning,
            stacklevel=user_stacklevel(),
        )
    Backend(wanted or ("numpy" if lib is None else "c"))
    set_threads(machine.default_threads())
    if lib is not None and "ARRAYAD_ISA" in os.environ:
        set_isa(os.environ["ARRAYAD_ISA"])


configure()
