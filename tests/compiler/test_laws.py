"""Every row, and the sweep back through it, compiled and replayed: as without the compiler, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import Case, every_case, is_several, joined

import arrayad as ad
from arrayad import tree
from arrayad.tensor import Tensor, handle

pytestmark = pytest.mark.usefixtures("replayed")


def values_of(x: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(y) for y in tree.leaves(x)]


def apply(case: Case, *operands: Any) -> Tensor:
    return joined(case.row.apply(*operands, **case.params))


def assert_same_bits(found: Any, wanted: Any) -> None:
    for y, z in zip(values_of(found), values_of(wanted), strict=True):
        assert y.shape == z.shape and y.dtype == z.dtype
        np.testing.assert_array_equal(y, z)


def first_of_each() -> list[Any]:
    """Every case; all of a row but the first are slow."""
    seen: set[str] = set()
    found = []
    for case in every_case():
        found.append(pytest.param(case, id=str(case), marks=[pytest.mark.slow] if case.row.name in seen else []))
        seen.add(case.row.name)
    return found


@pytest.mark.parametrize("case", first_of_each())
def test_every_row(case: Case) -> None:
    for dtype in case.dtypes:
        operands = [handle(x) for x in case.operands(dtype)]

        def function(*xs: Tensor) -> Tensor:
            return apply(case, *xs)

        with np.errstate(all="ignore"):
            wanted = function(*operands)
            compiled = ad.compile(function)
            for _ in range(2):
                assert_same_bits(compiled(*operands), wanted)
            assert compiled.traces == 1 and (compiled.tape.entries or is_several(wanted))


@pytest.mark.parametrize("case", first_of_each())
def test_the_sweep_of_every_row(case: Case) -> None:
    chosen = tuple(i for i in range(len(case.shapes)) if case.is_smooth_operand(i))
    if not chosen:
        return
    operands = [handle(x) for x in case.operands()]

    def function(*xs: Tensor) -> Any:
        def smooth(*primals: Tensor) -> Tensor:
            full = list(xs)
            for i, primal in zip(chosen, primals, strict=True):
                full[i] = primal
            return apply(case, *full)

        y, pull = ad.vjp(smooth, *(xs[i] for i in chosen))
        return pull(ad.ones_like(y))

    with np.errstate(all="ignore"):
        wanted = function(*operands)
        compiled = ad.compile(function)
        compiled(*operands)
        found = compiled(*operands)
    for y, z in zip(values_of(found), values_of(wanted), strict=True):
        # Eager sweeps run elementwise rows by one kernel of product and partial, the tape runs the operations one by one.
        np.testing.assert_allclose(y, z, rtol=1e-12, atol=1e-12 * max(1.0, float(np.max(np.abs(z), initial=0.0))))
