"""The compiled kernels: whether they are here, whether they are in use, and how one is called.

The only module that touches cffi.  Where the extension is absent, arrayad runs on NumPy alone and says so once.
"""

from __future__ import annotations

import functools
import os
import sys
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


# --- programs that are compiled at run time -----------------------------------------------------------------------------


class Library:
    """A shared object that is loaded as long as this lives, or an address in it."""

    def __init__(self, path: str) -> None:
        if lib is None:
            raise OSError(f"there are no C kernels, which load programs: {why_not_native}")
        opened = lib.arrayad_open(os.fsencode(path))
        if not opened:
            raise OSError(loading_error())
        self.opened = ffi.gc(opened, lib.arrayad_close)

    def symbol(self, name: str) -> Any:
        """The address of what the library exports under a name.

        **Raises** OSError where there is no such name.
        """
        found = lib.arrayad_symbol(self.opened, name.encode())
        if not found:
            raise OSError(loading_error())
        return ffi.gc(found, self.outlive)

    def outlive(self, address: Any) -> None:
        """Called when an address dies, which holds this method until then, and with it the library."""


def loading_error() -> str:
    """What the system's loader says of its last failure in this thread."""
    said = lib.arrayad_loading_error()
    return ffi.string(said).decode(errors="replace") if said else "the loader does not say why"


def pointers(count: int) -> Any:
    """Room for so many pointers, to be filled by item assignment."""
    return ffi.new("void *[]", count)


call = function("call")


@functools.cache
def reads_lists() -> bool:
    """Whether C can take the addresses of arrays from a Python list of them: whether lists and arrays lie as it expects."""
    if lib is None or sys.implementation.name != "cpython" or object.__basicsize__ != 2 * ffi.sizeof("void *"):
        return False
    arrays = [np.zeros(n, np.uint8) for n in (1, 3, 2)]
    objects = [ffi.cast("void *", id(array)) for array in arrays]
    return bool(lib.arrayad_reads_lists(id(arrays), len(arrays), objects, [*map(ffi.from_buffer, arrays)]))


def runner(program: Any) -> Callable[[list[np.ndarray[Any, Any]]], int]:
    """The call of a program with the elements of arrays as buffers: 300 ns for any number of them where C can read lists."""
    if reads_lists():
        call_with_list = lib.arrayad_call_with_list
        return lambda arrays: call_with_list(program, id(arrays), len(arrays))
    return lambda arrays: call(program, [*map(pointer, arrays)])


CALLBACKS: dict[int, Callable[[int, Any], int]] = {}
"""By the number of a program that runs, what it calls back: a function of an operation's number and of pointers."""


@functools.cache
def give_python() -> None:
    """Give compiled programs the way back to Python.  What a callback raises must not pass through C: it returns a code."""
    if lib is None:
        return

    def python(program: int, number: int, buffers: Any) -> int:
        return CALLBACKS[program](number, buffers)

    ffi.def_extern("arrayad_python", onerror=None, error=1)(python)
    lib.arrayad_use_python(lib.arrayad_python)


def elements(buffer: Any, size: int) -> Any:
    """A pointer's bytes, as a buffer that NumPy takes."""
    return ffi.buffer(buffer, size)


@functools.cache
def give_blas() -> str:
    """Give compiled programs the BLAS that NumPy multiplies matrices with, else that of the package scipy-openblas32.

    Returns its file, or "" where there is none that can be called or where ARRAYAD_BLAS=none asks for none.
    """
    wanted = os.environ.get("ARRAYAD_BLAS", "")
    if wanted not in ("", "none"):
        raise ValueError(f"ARRAYAD_BLAS is {wanted!r}; it must be 'none' or not be set.")
    if lib is None:
        return ""
    for path in [] if wanted else machine.files_with_blas():
        if lib.arrayad_use_blas(os.fsencode(path)) == 0:
            return os.path.realpath(os.fsdecode(ffi.string(lib.arrayad_blas())))
    lib.arrayad_use_blas(NULL)
    return ""


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
