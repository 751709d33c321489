"""What tests of simplification share: operands with every special value, and the comparison of two tapes to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad import asarray, tree
from arrayad.readers.replay import replay
from arrayad.shaped import Shaped

SPECIAL = [0.0, -0.0, 1.5, -2.25, np.inf, -np.inf, np.nan, 0.1, -3.0, 1e-310, 7.0, 2.0**-30, 1.0]


def special(aval: Shaped, seed: int, finite: bool = False) -> Any:
    """An array in which zeros of both signs, infinities, nan and subnormal numbers meet ordinary ones."""
    rng = np.random.default_rng(seed)
    if aval.dtype.kind == "b":
        return rng.random(aval.shape) < 0.5
    if aval.dtype.kind in "iu":
        return rng.integers(-3 if aval.dtype.kind == "i" else 0, 4, aval.shape).astype(aval.dtype)
    values = rng.permutation(np.resize(SPECIAL, max(aval.size, len(SPECIAL))))[: aval.size]
    if finite:
        return rng.uniform(0.5, 2.0, aval.shape).astype(aval.dtype)  # sums do not cancel
    with np.errstate(under="ignore"):
        return values.reshape(aval.shape).astype(aval.dtype)


def results(tape: Any, operands: list[Any]) -> list[Any]:
    with np.errstate(all="ignore"):
        return [np.asarray(y) for y in tree.leaves(replay(tape, *map(asarray, operands)))]


def same_bits(x: Any, y: Any) -> bool:
    """Whether two arrays are equal, nan to nan and zeros by sign."""
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    if x.dtype.kind not in "fc":
        return bool((x == y).all())
    parts = [(x, y)] if x.dtype.kind == "f" else [(x.real, y.real), (x.imag, y.imag)]
    return all(np.array_equal(p, q, equal_nan=True) and (np.signbit(p) == np.signbit(q))[~np.isnan(p)].all() for p, q in parts)


def assert_same(before: Any, after: Any, operands: list[Any], rtol: float = 0.0) -> None:
    """Two tapes give the same results, to the bit or within a tolerance of the largest."""
    for x, y in zip(results(before, operands), results(after, operands), strict=True):
        if rtol:
            np.testing.assert_allclose(y, x, rtol=rtol, atol=rtol * np.max(np.abs(x), initial=0.0))
        else:
            assert same_bits(x, y), f"{x} became {y}\n{before.show()}\n{after.show()}"
