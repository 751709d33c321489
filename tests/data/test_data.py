"""Splitting and batching."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad.data import Batches, stratified_split


def test_a_split_holds_out_the_same_share_of_each_class():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 5], [50, 30, 7]))
    kept, held_out = stratified_split(labels, 0.2, rng=0)
    assert sorted([*kept, *held_out]) == list(range(87))
    assert [np.count_nonzero(labels[held_out] == k) for k in (0, 1, 5)] == [10, 6, 1]
    np.testing.assert_array_equal(stratified_split(labels, 0.2, rng=0)[1], held_out)
    assert not np.array_equal(stratified_split(labels, 0.2, rng=1)[1], held_out)


def test_batches_hold_every_example_once_in_new_orders():
    x, y = np.arange(10.0), np.arange(10)
    batches = Batches(x, y, batch_size=4, rng=0)
    first, second = ([tuple(map(np.asarray, pair)) for pair in batches] for _ in range(2))
    assert [len(a) for a, _ in first] == [4, 4, 2] and len(batches) == 3
    for epoch in (first, second):
        assert sorted(np.concatenate([b for _, b in epoch])) == list(range(10))
        assert all(np.array_equal(a, b) for a, b in epoch)
    assert any(not np.array_equal(a, b) for (a, _), (b, _) in zip(first, second, strict=True))
    assert len(list(Batches(x, batch_size=4, drop_last=True))) == 2 == len(Batches(x, batch_size=4, drop_last=True))


@pytest.mark.parametrize(
    "make, kind",
    [
        (lambda: Batches(np.ones(3), np.ones(2), batch_size=1), ad.errors.ShapeError),
        (lambda: Batches(batch_size=1), ad.errors.ShapeError),
        (lambda: Batches(np.ones(3), batch_size=0), ValueError),
        (lambda: stratified_split([0.5], 0.1), ad.errors.DTypeError),
        (lambda: stratified_split([0], 1.5), ValueError),
    ],
)
def test_what_does_not_fit_is_refused(make, kind):
    with pytest.raises(kind):
        make()
