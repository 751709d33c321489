"""The derivative of an iterated map: its shared graph grows linearly, SymPy's formulas as they do."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import arrayad as ad
from arrayad.symbolic import Swell, expression, swell
from arrayad.symbolic.swelling import FORMS, counted, iterated

pytest.importorskip("sympy")


def test_the_shared_graph_grows_linearly_and_is_right() -> None:
    found = {n: expression(iterated(n), "x").diff("x") for n in (10, 20, 30, 40)}
    operations = [formula.operations for formula in found.values()]
    assert all(b - a <= 70 for a, b in itertools.pairwise(operations))
    assert operations[-1] < 300
    assert len(found[40].lines) <= 300
    for n, formula in found.items():
        wanted = ad.grad(iterated(n))(0.3)
        np.testing.assert_allclose(float(formula(0.3)), float(wanted), rtol=1e-12 * 2.0**n)


def test_the_table_and_the_picture_mark_what_is_extrapolated(tmp_path: Path) -> None:
    counts = {"plain": {1: 0, 2: 2, 3: 20}, "expanded": {1: 0, 2: 2}, "simplified": {1: 0}}
    found = Swell(counts, dict.fromkeys(range(1, 6), 7), dict.fromkeys(range(1, 6), 1), 3.0)
    rows = str(found).splitlines()
    assert rows[0].split() == "n SymPy, plain SymPy, expanded SymPy, simplified shared graph lines".split()
    assert rows[3].split() == "3 20 ≈ ? ≈ ? 7 1".split()
    assert rows[5].split()[:3] == ["5", "≈", "2,000"]
    assert rows[-1] == "≈: extrapolated; SymPy did not get so far in 3 s"
    found.plot(tmp_path / "swell.png")
    assert (tmp_path / "swell.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_sympys_formulas_grow_as_far_as_they_get() -> None:
    found = swell(4, seconds=30.0)
    assert {form: found.counts[form] for form in FORMS} == {
        "plain": {1: 0, 2: 2, 3: 21, 4: 82},
        "expanded": {1: 0, 2: 2, 3: 8, 4: 20},
        "simplified": {1: 0, 2: 2, 3: 8, 4: 20},
    }
    assert counted("plain", 40, 2.0).keys() < set(range(1, 41))
