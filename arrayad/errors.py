"""The exceptions of arrayad, and the words in which they speak of a value and of the user's source line."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any

import numpy as np

PACKAGE = os.path.dirname(os.path.abspath(__file__))


class ArrayadError(Exception):
    """What all exceptions that are particular to arrayad derive from."""


class ShapeError(ArrayadError, ValueError):
    """Operands whose shapes do not fit the operation."""


class DTypeError(ArrayadError, TypeError):
    """Operands whose dtypes do not fit the operation."""


class DerivativeError(ArrayadError, RuntimeError):
    """A derivative that does not exist, or a recording that has been released."""


class LinAlgError(ArrayadError, np.linalg.LinAlgError):
    """A matrix that has no inverse, no factor or no decomposition of the kind that was asked for."""


class AbstractValueError(ArrayadError, TypeError):
    """A number was asked of a value that is known only by its shape and dtype."""


class ConvergenceError(ArrayadError, RuntimeError):
    """An iteration that stopped short of its tolerance."""


class CompilationError(ArrayadError, RuntimeError):
    """C text that the compiler refuses, or a program that cannot be stored or loaded."""


class CompileError(ArrayadError, RuntimeError):
    """A function that cannot be compiled as it stands; the message says what to write instead."""


class NoClosedFormError(ArrayadError, ValueError):
    """A program that is no formula; the message names the line that prevents it, and says what to write instead."""


class AnomalyError(ArrayadError, FloatingPointError):
    """A nan or an infinity that appeared under `detect_anomaly`."""


def user_frame() -> FrameType:
    """The innermost frame whose code stands outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame


def user_line() -> str:
    """`file:line` of the innermost frame outside this package."""
    frame = user_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def user_stacklevel() -> int:
    """The `stacklevel` with which the caller's `warnings.warn` points at the user's line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


SHORT = {"float": "f", "int": "i", "uint": "u", "complex": "c"}


def describe(value: Any) -> str:
    """A value in an error message: `f64[3,4]` for arrays, the type's name for anything else."""
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if isinstance(value, tuple) and value and all(hasattr(part, "dtype") for part in value):
        return f"({', '.join(map(describe, value))})"
    if dtype is None or shape is None:
        return f"{type(value).__name__} {value!r}" if isinstance(value, bool | int | float | complex) else type(value).__name__
    name = str(dtype)
    word = name.rstrip("0123456789")
    return f"{SHORT.get(word, word)}{name[len(word) :]}[{','.join(map(str, shape))}]"
