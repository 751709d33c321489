"""Beside numdifftools and scipy.differentiate: at least as accurate with no more evaluations on nine of ten functions."""

from __future__ import annotations

import pytest

import arrayad as ad


@pytest.mark.slow
@pytest.mark.parametrize("peer, module", [("numdifftools", "numdifftools"), ("scipy", "scipy.differentiate")])
def test_as_accurate_with_no_more_evaluations(peer: str, module: str) -> None:
    pytest.importorskip(module)
    pytest.importorskip("mpmath")
    from bench_differences import GOAL, by_numdifftools, by_scipy, is_as_good, measured
    from difference_cases import CASES

    theirs = {"numdifftools": by_numdifftools, "scipy": by_scipy}[peer]
    good = [
        is_as_good(
            measured(case, lambda f, x: float(ad.numerical.derivative(f, x, scheme="ridders").value)), measured(case, theirs)
        )
        for case in CASES
    ]
    assert len(good) == 40 and sum(good) >= GOAL * len(good)
