"""Every elementwise kernel, NumPy's and C's on each instruction set, against a higher precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import Case
from mpmath import mp, mpf

from arrayad import kernels
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE

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
    worst = max(range(POINTS), key=lambda i: errors[i])
    assert errors[worst] <= ULP, f"{float(errors[worst]):.1f} ulp at {[x[worst] for x in small]}"
