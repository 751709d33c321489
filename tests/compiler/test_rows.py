"""Every row of the table, compiled: what the compiled program gives is what the row's own kernel gives.

All cases of a row make one program, so that the C compiler is started a few times for each row only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import Case, cases_of, every_case, joined

import arrayad as ad
from arrayad.compiler.executable import Executable
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE
from arrayad.readers.run import runner
from arrayad.shaped import Shaped
from arrayad.tracing import Tape, record

ROWS = list(dict.fromkeys(case.row for case in every_case()))
NAMES = [row.name for row in ROWS]
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e300, -1e300, 1e-310, 0.5, -2.5, 40.0, -40.0])


def together(cases: list[Case], dtype: str, apply: Any) -> tuple[Tape, list[Any]]:
    """The tape of all cases, and its inputs."""
    operands = [case.operands(dtype) for case in cases]

    def function(*xs: Any) -> list[Any]:
        rest = iter(xs)
        return [y for case, given in zip(cases, operands, strict=True) for y in apply(case, [next(rest) for _ in given])]

    flat = [np.array(x, order="C") for given in operands for x in given]
    return record(function, [Shaped(x.shape, x.dtype) for x in flat]), flat


def check(tape: Tape, inputs: list[Any], ulps: float = 16) -> None:
    """The compiled program's outputs beside those of the rows' kernels, within some units of the largest element's last place."""
    with np.errstate(all="ignore"):
        wanted = runner(tape)(list(inputs))
    found = Executable(tape)(list(inputs))
    for y, z in zip(found, map(np.asarray, wanted), strict=True):
        assert y.shape == z.shape
        assert y.dtype == z.dtype
        if y.dtype.kind in "fc" and y.size:
            finite = np.abs(z[np.isfinite(z)])
            scale = float(finite.max()) if finite.size else 0.0
            eps = float(np.finfo(y.dtype).eps)
            np.testing.assert_allclose(y, z, rtol=ulps * eps, atol=ulps * eps * scale)
        else:
            np.testing.assert_array_equal(y, z)


def value(case: Case, operands: list[Any]) -> list[Any]:
    return [joined(case.row.apply(*operands, **case.params))]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_values(name: str, dtype: str) -> None:
    check(*together(list(cases_of(TABLE[name])), dtype, value))


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.samples.complex])
def test_complex_values(name: str) -> None:
    cases = [case for case in every_case() if case.row.name == name and case.complex]
    check(*together(cases, "complex128", value))


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.differentiable])
def test_derivatives(name: str) -> None:
    """A cotangent pulled back, and tangents pushed forward, by programs that hold nothing but the rows' rules."""
    cases = [case for case in cases_of(TABLE[name]) if "dtype" not in case.params]

    def derivatives(case: Case, operands: list[Any]) -> list[Any]:
        return pulled_and_pushed(case, operands)

    check(*together(cases, "float64", derivatives), ulps=64)


def pulled_and_pushed(case: Case, operands: list[Any]) -> list[Any]:
    """What a seeded cotangent brings the smooth operands, and seeded tangents the result."""
    chosen = [i for i in range(len(operands)) if case.is_smooth_operand(i)]
    if not chosen:
        return []

    def function(*primals: Any) -> Any:
        full = list(operands)
        for i, primal in zip(chosen, primals, strict=True):
            full[i] = primal
        return joined(case.row.apply(*full, **case.params))

    rng = np.random.default_rng(0)
    primals = tuple(operands[i] for i in chosen)
    y, back = ad.vjp(function, *primals)
    tangents = tuple(rng.standard_normal(x.shape) for x in primals)
    return [*back(rng.standard_normal(y.shape)), ad.jvp(function, primals, tangents)[1]]


@pytest.mark.parametrize("name", [row.name for row in ROWS if isinstance(row, Elementwise) and "bitwise" not in row.name])
def test_special_values(name: str) -> None:
    """nan, infinities, signed zeros, tiny and huge numbers, in all pairs."""
    row = TABLE[name]
    grids = np.meshgrid(*[SPECIAL] * row.arity)
    operands = [
        (grid.reshape(-1) != 0 if row.samples.dtypes.get(i) == "bool" else grid.reshape(-1)) for i, grid in enumerate(grids)
    ]
    tape = record(lambda *xs: [row.apply(*xs)], [Shaped(x.shape, x.dtype) for x in operands])
    with np.errstate(all="ignore"):
        wanted = np.asarray(runner(tape)(list(operands))[0])
    (found,) = Executable(tape)(list(operands))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    usual = np.isfinite(wanted)
    np.testing.assert_array_equal(found[~usual], wanted[~usual])
    np.testing.assert_allclose(found[usual], wanted[usual], rtol=1e-14, atol=1e-307)


# Derivatives are taken of floats alone, so that power's own never sees integers.
@pytest.mark.parametrize("name", [row.name for row in ROWS if isinstance(row, Elementwise) and row.name != "power_slope"])
def test_integers_and_truths(name: str) -> None:
    """Rows that take integers, booleans or mixed dtypes, in the dtypes that NumPy gives."""
    row = TABLE[name]
    rng = np.random.default_rng(0)
    draws: dict[str, Any] = {
        "int64": lambda: rng.integers(-7, 8, 40),
        "int32": lambda: rng.integers(-7, 8, 40).astype(np.int32),
        "uint8": lambda: rng.integers(0, 8, 40).astype(np.uint8),
        "bool": lambda: rng.random(40) < 0.5,
        "float32": lambda: rng.normal(size=40).astype(np.float32),
    }
    inputs, calls = [], []
    for first in draws:
        for second in draws if row.arity > 1 else ["int64"]:
            operands = [draws[first](), draws[second](), draws[second]()][: row.arity]
            try:
                with np.errstate(all="ignore"):
                    found = np.asarray(row.compute(*operands))
            except (TypeError, ValueError, ad.errors.ArrayadError):
                continue
            if found.dtype == np.float16:
                continue
            inputs += operands
            calls.append(len(operands))
    if not calls:
        pytest.skip(f"{name} takes neither integers nor truths")

    def function(*xs: Any) -> list[Any]:
        rest = iter(xs)
        return [row.apply(*(next(rest) for _ in range(count))) for count in calls]

    check(record(function, [Shaped(x.shape, x.dtype) for x in inputs]), inputs)
