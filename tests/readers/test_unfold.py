"""Unfold: programs within operations written out, with the same values, derivatives and lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad import tree
from arrayad.readers.replay import replay
from arrayad.readers.unfold import unfold

X = np.random.default_rng(3).uniform(0.5, 1.5, 4)


def step(c: Any, x: Any) -> Any:
    return {"c": ad.sin(c["c"]) * x}, c["c"] + x


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ad.scan(step, {"c": x[0]}, x),
        lambda x: ad.scan(step, {"c": x[0]}, x, reverse=True),
        lambda x: ad.fori_loop(0, 3, lambda i, y: y * x + i, x),
        lambda x: ad.fori_loop(0, 2, lambda i, y: ad.fori_loop(1, 3, lambda j, z: z * x + j, y) - i, x),
        lambda x: ad.cond(ad.sum(x) > 3, ad.sin, ad.cos, x),
        lambda x: ad.cond(ad.sum(x) < 3, lambda x: {"a": x, "b": 2 * x}, lambda x: {"a": x, "b": x}, x),
        lambda x: ad.switch(ad.argmax(x), [ad.sin, ad.cos, ad.exp, ad.sqrt], x),
        lambda x: ad.checkpoint(lambda y: ad.scan(step, {"c": y[0]}, y))(x),
        lambda x: ad.scan(lambda c, _: (c, None), x, length=0)[0],
        lambda x: ad.scan(lambda c, y: (c, c * y), x, ad.zeros((0, 4)))[1],
    ],
)
def test_the_outputs_are_those_of_the_program(function: Any) -> None:
    tape = ad.trace(function)(ad.Shaped((4,), "float64"))
    found = unfold(tape)
    assert all(entry.primitive.unfold is None for entry in found.entries)
    assert found.structure == tape.structure
    for y, z in zip(tree.leaves(replay(found, ad.tensor(X))), tree.leaves(function(ad.tensor(X))), strict=True):
        np.testing.assert_allclose(np.asarray(y), np.asarray(z), rtol=1e-14)


def test_what_a_scan_keeps_for_its_reverse_pass_is_written_out_too() -> None:
    gradient = ad.grad(lambda x: ad.sum(ad.scan(step, {"c": x[0]}, x)[1]))
    tape = ad.trace(gradient)(ad.Shaped((4,), "float64"))
    np.testing.assert_allclose(replay(unfold(tape), ad.tensor(X)), gradient(X), rtol=1e-13)


def test_a_loop_whose_length_hangs_on_values_stays() -> None:
    tape = ad.trace(lambda x: ad.while_loop(lambda y: y < 9.0, lambda y: 2 * y, x))(ad.Shaped((), "float64"))
    assert [entry.primitive.name for entry in unfold(tape).entries] == [entry.primitive.name for entry in tape.entries]


def test_operations_keep_the_line_that_made_them() -> None:
    tape = ad.trace(lambda x: ad.fori_loop(0, 2, lambda i, y: ad.sin(y), x))(ad.Shaped((), "float64"))
    assert all("test_unfold.py" in entry.location for entry in unfold(tape).entries)


def test_unfolding_stops_where_it_would_be_too_long() -> None:
    tape = ad.trace(lambda x: ad.fori_loop(0, 1000, lambda i, y: ad.sin(y), x))(ad.Shaped((), "float64"))
    with pytest.raises(OverflowError, match="more than 100 operations"):
        unfold(tape, 100)
