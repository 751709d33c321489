"""What the programs say of their gradients is so."""

from __future__ import annotations

import math
import sys
import time

import measuring
import numpy as np
import pytest

import arrayad as ad


def cube(x):
    return ad.sum(ad.tensor(x) ** 3)


def test_digits_that_agree():
    x = np.linspace(1.0, 2.0, 5)
    right = measuring.agreement(cube, 3.0 * x**2, x)
    assert right.digits > 9 and abs(right.derivative - right.differences) <= 10 * right.error
    off = measuring.agreement(cube, 3.0 * x**2 * (1.0 + 1e-4), x)
    assert off.digits == pytest.approx(4.0, abs=0.1)
    assert str(off).endswith("4.0 digits agree")
    assert measuring.Agreement(2.0, 2.0, 0.0).digits == 16.0
    assert math.isnan(measuring.Agreement(math.nan, 2.0, 0.0).digits)


def test_the_cost_is_that_of_both_calls():
    found = measuring.cost(lambda: time.sleep(0.002), lambda: time.sleep(0.006), rounds=3)
    assert found.function >= 0.002 and found.both >= 0.006
    assert str(measuring.Cost(2e-6, 3e-6)) == "2 µs, with the gradient 3 µs: 1.50 times the function"
    assert str(measuring.Cost(0.02, 0.03)) == "20 ms, with the gradient 30 ms: 1.50 times the function"


def test_progress_counts_with_or_without_a_bar(monkeypatch):
    for shown in (True, False):
        with measuring.progress(3, "steps", shown) as advance:
            advance()
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with measuring.progress(3, "steps") as advance:
        advance()
