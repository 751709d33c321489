"""What tests of formulas share: an expression of every elementwise row, points to try it at, its sources run."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import arrayad as ad
from arrayad.compiler.toolchain import toolchain
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE

ROWS = [row for row in TABLE.values() if isinstance(row, Elementwise)]
DIFFERENTIABLE = [row for row in ROWS if row.differentiable]
STRICT = ["-std=c99", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic", "-fPIC", "-shared"]


def orders_of(row: Elementwise) -> set[int]:
    """The operands that are whole orders."""
    return {i for i, dtype in row.samples.dtypes.items() if dtype == "int64"}


def program_of(row: Elementwise, order: int = 2) -> tuple[Callable[..., Any], list[str]]:
    """The row as a function of real numbers: an order is a constant, a condition is whether a number is above 0.3."""
    names = [name for i, name in enumerate(row.operand_names(row.arity)) if i not in orders_of(row)]
    conditions = {i for i, dtype in row.samples.dtypes.items() if dtype == "bool"}

    def function(*xs: Any) -> Any:
        rest = iter(xs)
        operands = [order if i in orders_of(row) else next(rest) for i in range(row.arity)]
        return row.apply(*(x > 0.3 if i in conditions else x for i, x in enumerate(operands)))

    return function, names


def points_of(row: Elementwise, count: int = 7) -> list[Any]:
    """Operands that are real numbers, within the bounds of the row's samples."""
    rng = np.random.default_rng(5)
    bounds = [
        tuple(bound[i] if isinstance(bound, tuple) else bound for bound in (row.samples.low, row.samples.high))
        for i in range(row.arity)
        if i not in orders_of(row)
    ]
    return [rng.uniform(low, high, count) for low, high in bounds]


def run_python(source: str, name: str, operands: Sequence[Any]) -> Any:
    """The value of a function whose source is given."""
    scope: dict[str, Any] = {}
    exec(compile(source, "<source>", "exec"), scope)
    with np.errstate(all="ignore"):
        return scope[name](*operands)


def built(sources: dict[str, str], folder: Path) -> ctypes.CDLL:
    """A library of C functions that do not share names, built so that every warning is an error."""
    found = toolchain()
    assert found is not None
    files = []
    for name, source in sources.items():
        (folder / f"{name}.c").write_text(source)
        files.append(f"{name}.c")
    subprocess.run([found.command[0], *STRICT, "-o", "all.so", *files, "-lm"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "all.so"))


def call_c(library: ctypes.CDLL, name: str, operands: Sequence[Any]) -> Any:
    """The values of a C function of doubles at each of some points."""
    function = getattr(library, name)
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_double] * len(operands)
    return np.array([function(*map(float, xs)) for xs in zip(*operands, strict=True)])


def value(function: Callable[..., Any], operands: Sequence[Any]) -> Any:
    """What the program itself gives."""
    with np.errstate(all="ignore"):
        return np.asarray(function(*map(ad.asarray, operands)))
