"""Every elementwise kernel, NumPy's and C's on each instruction set, against a higher precision."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from drawing import Case
from mpmath import mp, mpf

from arrayad import kernels
from arrayad.compiler.executable import Executable
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE
from arrayad.shaped import Shaped
from arrayad.tracing import record

ROWS = [row for row in TABLE.values() if isinstance(row, Elementwise) and row.mpmath is not None]
POINTS = 200
ULP = 4.0
"""What the published approximations behind NumPy's and glibc's vector functions promise, in units of the last place."""

EXACT: dict[str, Any] = {"f": lambda x: mpf(float(x)), "i": int, "b": bool}

BACKENDS = ["numpy", *(kernels.isas() or ["c"])]


def exact(row: Elementwise, operands: list[np.ndarray[Any, Any]]) -> list[Any]:
    """The row's values to 40 digits."""
    names = row.operand_names(len(operands))
    program = compile(row.mpmath or "", row.name, "eval")
    values = []
    for point in zip(*operands, strict=True):
        values.append(eval(program, {"mp": mp, **{name: EXACT[x.dtype.kind](x) for name, x in zip(names, point, strict=True)}}))
    return values


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_kernels_agree_with_a_higher_precision(
    row: Elementwise, backend: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "c":
        pytest.skip(f"no C backend: {kernels.why_not_native}")
    small = Case(row, ((POINTS,),) * row.arity, {}).operands(dtype)
    operands = [np.resize(x, kernels.LARGE) for x in small]
    if backend == "numpy":
        found = row.numpy(*small)
    else:
        before = kernels.info()["isa"]
        kernels.set_isa(backend)
        monkeypatch.setattr(row.large, "c_threshold", 0)
        found = row.large(*operands)[:POINTS]
        kernels.set_isa(before)
    assert_near(row, small, found, dtype)


def assert_near(row: Elementwise, small: list[np.ndarray[Any, Any]], found: np.ndarray[Any, Any], dtype: str) -> None:
    """What was found is within the bound of the row's values at these operands."""
    with mp.workdps(40):
        wanted = exact(row, small)
        if found.dtype == np.bool_:
            assert found.tolist() == wanted
            return
        assert found.dtype == np.dtype(dtype)
        errors = [
            abs(mpf(float(y)) - w) / mpf(float(np.spacing(np.abs(found.dtype.type(float(w))))))
            for y, w in zip(found, wanted, strict=True)
        ]
    worst = max(range(len(errors)), key=lambda i: errors[i])
    assert errors[worst] <= ULP, f"{float(errors[worst]):.1f} ulp at {[x[worst] for x in small]}"


# --- compiled ------------------------------------------------------------------------------------------------------------


def wide(row: Elementwise, dtype: str) -> list[np.ndarray[Any, Any]]:
    """Operands of both signs over the whole range of the dtype, where the row's samples are of floating-point numbers."""
    rng = np.random.default_rng(0)
    exponents = [float(np.log10(float(x))) for x in (np.finfo(dtype).tiny, np.finfo(dtype).max)]
    operands = []
    for i, x in enumerate(Case(row, ((90,),) * row.arity, {}).operands(dtype)):
        if i in row.samples.dtypes or row.name in NARROW:
            operands.append(x)
            continue
        far = rng.choice([-1.0, 1.0], 90) * 10 ** rng.uniform(exponents[0], exponents[1] - 0.01, 90)
        operands.append(
            np.where(np.arange(90) % 3 == 0, far, np.where(np.arange(90) % 3 == 1, rng.normal(0, 3, 90), x)).astype(dtype)
        )
    return operands


NARROW = {
    "erfc",
    "gelu",
    "gelu_derivative",
    "lgamma",
    "digamma",
    "trigamma",
    "polygamma",
    "i0",
    "i1",
    "i0e",
    "i1e",
    "erfinv",
    "remainder",
    "floor_divide",
    "power",
}
"""Rows of which mpmath takes minutes far out, or which have no values there."""


@functools.cache
def compiled(names: tuple[str, ...], dtype: str) -> dict[str, tuple[list[Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """For each row its operands, what a compiled program gives, and what NumPy's kernel does: one program for all."""
    rows = [TABLE[name] for name in names]
    given = [
        [
            np.concatenate(pair)
            for pair in zip(Case(row, ((POINTS,),) * row.arity, {}).operands(dtype), wide(row, dtype), strict=True)
        ]
        for row in rows
    ]

    def function(*xs: Any) -> list[Any]:
        rest = iter(xs)
        return [row.apply(*(next(rest) for _ in operands)) for row, operands in zip(rows, given, strict=True)]

    flat = [x for operands in given for x in operands]
    found = Executable(record(function, [Shaped(x.shape, x.dtype) for x in flat]))(flat)
    with np.errstate(all="ignore"):
        return {
            row.name: (operands, y, np.asarray(row.numpy(*operands))) for row, operands, y in zip(rows, given, found, strict=True)
        }


def check_compiled(names: tuple[str, ...], name: str, dtype: str) -> None:
    """Within the bound on the samples; in the tails too, where NumPy's kernel has finite values within it."""
    operands, found, eager = compiled(names, dtype)[name]
    assert_near(TABLE[name], [x[:POINTS] for x in operands], found[:POINTS], dtype)
    for i in range(POINTS, len(found)):
        if found.dtype == np.bool_ or not np.isfinite(eager[i]):
            np.testing.assert_array_equal(found[i], eager[i], err_msg=f"at {[x[i] for x in operands]}")
            continue
        with mp.workdps(40 if abs(float(operands[0][i])) < 1e15 else 400):
            (truth,) = exact(TABLE[name], [x[i : i + 1] for x in operands])
            spacing = mpf(float(np.spacing(np.abs(found.dtype.type(float(truth))))))
            ours, theirs = (abs(mpf(float(y)) - truth) / spacing for y in (found[i], eager[i]))
        assert ours <= max(ULP, theirs), f"{float(ours):.1f} ulp, NumPy's {float(theirs):.1f}, at {[x[i] for x in operands]}"


QUICK = ("exp", "log", "tanh", "erf")


@pytest.mark.skipif(kernels.why_not_native is not None, reason="there are no C kernels")
@pytest.mark.parametrize("name", QUICK)
def test_compiled_functions_agree_with_a_higher_precision(name: str) -> None:
    check_compiled(QUICK, name, "float64")


@pytest.mark.slow
@pytest.mark.skipif(kernels.why_not_native is not None, reason="there are no C kernels")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_all_compiled_functions_agree_with_a_higher_precision(row: Elementwise, dtype: str) -> None:
    check_compiled(tuple(row.name for row in ROWS), row.name, dtype)
