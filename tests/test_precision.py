"""`python -m arrayad precision`: every derivative keeps its digits, and the page says so."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from arrayad import kernels, precision
from arrayad.precision import BOUND, DTYPES, Subject, Truth, Worst, error_of, measure, points, subjects

ROOT = Path(__file__).parent.parent
SUBJECTS = list(subjects())
POINTS = 48
"""Of each dtype; the command takes more."""


def name_of(subject: Subject) -> str:
    return f"{subject.name}-{subject.operand}"


def held(found: dict[str, Worst]) -> None:
    for backend, worst in found.items():
        assert worst.points > 0
        assert worst.error <= BOUND, f"{backend}: {worst.error:.1f} ulp × max(1, κ) at {worst.point}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("subject", SUBJECTS, ids=name_of)
def test_every_derivative_keeps_its_digits(subject: Subject, dtype: str) -> None:
    held(measure(subject, dtype, POINTS))


@pytest.mark.parametrize("isa", [isa for isa in kernels.isas() if isa != kernels.info()["isa"]])
@pytest.mark.parametrize("subject", [s for s in SUBJECTS if s.kernel("c") is not None], ids=name_of)
def test_every_derivative_keeps_its_digits_on_each_instruction_set(subject: Subject, isa: str) -> None:
    before = kernels.info()["isa"]
    kernels.set_isa(isa)
    try:
        held(measure(subject, "float32", POINTS // 3, ("c",)))
        held(measure(subject, "float64", POINTS // 3, ("c",)))
    finally:
        kernels.set_isa(before)


@pytest.mark.slow  # a minute
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("subject", SUBJECTS, ids=name_of)
def test_every_derivative_keeps_its_digits_at_many_points(subject: Subject, dtype: str) -> None:
    held(measure(subject, dtype, 600))


TAILS: list[tuple[str, list[float]]] = [
    ("sigmoid", [-700.0, -40.0, 40.0, 700.0]),
    ("tanh", [-350.0, 19.0, 20.0, 40.0]),
    ("expm1", [-1e-300, -700.0, 1e-17]),
    ("sinc", [1e-300, 1e-8, -1e-3, 0.7499, 0.7501, 3.0, 1e10]),
    ("functional.gelu", [-38.0, -8.0, -1.25, -0.7518, 8.0]),
    ("softplus", [-740.0, -40.0, 40.0]),
    ("asin", [-1 + 1e-16, 1 - 1e-16, 1 - 1e-8, 1e-300]),
    ("acosh", [1 + 3e-16, 1 + 1e-8, 1e300]),
    ("erfc", [-26.0, 5.0, 20.0, 26.6, 27.2]),
    ("lgamma", [1e-300, 1.4616321449683622, 1.4616321449683625, 1e300, -0.5, -100.3, -1e10 - 0.3]),
    ("atan", [1e154, 1e160, 1e300]),
    ("power", [1e-300, 1e300]),
]


@pytest.mark.parametrize("name, where", TAILS, ids=[name for name, _ in TAILS])
def test_the_tails_by_name(name: str, where: list[float]) -> None:
    """The places where the usual formulas have no digit left."""
    subject = next(s for s in SUBJECTS if s.name == name)
    for dtype in DTYPES:
        x = np.array(where)[np.abs(np.array(where)) <= np.finfo(dtype).max].astype(dtype)
        x = x[(x != 0) & (np.abs(x) != 1)]
        if not x.size:
            continue
        operands = [x, *(np.full_like(x, 1e-10) for _ in range(subject.arity - 1))]
        with np.errstate(all="ignore"):
            found = {b: f(operands) for b in ("numpy", "c") if (f := subject.kernel(b)) is not None}
        held(precision.worst_of(subject, dtype, operands, found))


# --- the measurement itself ----------------------------------------------------------------------------------------------

CLOSED: list[tuple[str, Any, Any]] = [
    ("tanh", lambda x: 1 / mp.cosh(x) ** 2, lambda x: 2 * abs(x * mp.tanh(x))),
    ("cos", lambda x: -mp.sin(x), lambda x: abs(x / mp.tan(x))),
    ("exp", mp.exp, abs),
    ("square", lambda x: 2 * x, lambda x: 1),
    ("erf", lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x), lambda x: 2 * x * x),
    ("atan", lambda x: 1 / (1 + x * x), lambda x: 2 * x * x / (1 + x * x)),
]


@pytest.mark.parametrize("name, derivative, condition", CLOSED, ids=[row[0] for row in CLOSED])
def test_the_truth_agrees_with_closed_forms(name: str, derivative: Any, condition: Any) -> None:
    truth = Truth(next(s for s in SUBJECTS if s.name == name), "float64")
    for x in (1e-300, -1e-10, 0.3, -1.0, 7.5, 20.0):
        found, number = truth.at((np.float64(x),))
        with mp.workdps(60):
            assert abs(found / derivative(mpf(x)) - 1) < mpf(10) ** -25
            assert number == pytest.approx(float(condition(mpf(x))), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("subject", SUBJECTS, ids=name_of)
def test_forty_digits_agree_with_differences(subject: Subject) -> None:
    """What the points are looked over with shares no rule with the truth."""
    operands = points(subject, 12, "float64")
    with np.errstate(all="ignore"):
        y = subject.kernel("numpy")(operands)[0]
        inside = np.isfinite(y) & precision.WITHIN.get(subject.name, lambda *xs: np.True_)(*operands)
    operands = [x[inside] for x in operands]
    truth, seen = Truth(subject, "float64"), 0
    for k, near in enumerate(precision.in_40_digits(subject, operands)):
        try:
            exact, condition = truth.at(tuple(x[k] for x in operands))
        except (precision.OutsideError, OverflowError):
            continue
        if condition < 2.0**50 and not mp.isnan(near):
            seen += 1
            assert abs(near - exact) <= abs(exact) * mpf(10) ** -18 * max(1, condition) + np.finfo(float).smallest_subnormal
    assert seen


def test_the_unit_of_error() -> None:
    one = mpf(1)
    assert error_of(mp, np.float64(1 + 2**-52), one, 0.0) == 1.0
    assert error_of(mp, np.float64(1 + 2**-52), one, 4.0) == 0.25
    assert error_of(mp, np.float32(3e-45), mpf("1.401298464324817e-45"), 1.0) == pytest.approx(1.0)
    assert error_of(mp, np.float32(np.inf), mpf("1e39"), 1.0) == 0.0
    assert error_of(mp, np.float32(np.inf), mpf("-1e39"), 1.0) == math.inf
    assert error_of(mp, np.float32(np.inf), one, 1.0) == math.inf
    assert error_of(mp, np.float64(np.nan), one, 1.0) == math.inf


def test_points_cover_the_domain() -> None:
    subject = next(s for s in SUBJECTS if s.name == "hypot")
    for dtype in DTYPES:
        for x in points(subject, 300, dtype):
            assert x.dtype == dtype and x.shape == (300,) and np.all(np.isfinite(x)) and np.all(x != 0)
            assert np.min(np.abs(x)) < 1e3 * np.finfo(dtype).tiny and np.max(np.abs(x)) > 1e-3 * np.finfo(dtype).max
            assert 0.3 < np.mean(x > 0) < 0.7


def options(**given: Any) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    precision.add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([])), **given})


def test_the_command_prints_a_line_for_each_derivative_and_writes_the_page(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "precision.md"
    precision.run(options(points=20, only=["sin", "hypot"], write=page))
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out[1:]] == [["sin", "x"], ["hypot", "x1"], ["hypot", "x2"]]
    assert page.read_text(encoding="utf-8").count("| `hypot` |") == 2


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="no derivative of sine"):
        precision.run(options(only=["sine"]))
    with pytest.raises(SystemExit, match="--points is 3"):
        precision.run(options(points=3))
    monkeypatch.setattr(precision, "BOUND", 1e-3)
    with pytest.raises(SystemExit, match=r"beyond 0\.001: exp"):
        precision.run(options(points=20, only=["exp"]))
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(ImportError, match=r"arrayad\[precision\]"):
        precision.run(options())


def test_the_page_lists_every_derivative_and_none_beyond_the_bound() -> None:
    rows = [
        line.split("|") for line in (ROOT / "docs" / "precision.md").read_text(encoding="utf-8").splitlines() if "| `" in line
    ]
    assert [(row[1].strip(" `"), row[2].strip()) for row in rows] == [(s.name, s.operand) for s in SUBJECTS]
    assert max(float(cell) for row in rows for cell in row[3:7] if cell.strip()) <= BOUND
