"""Sorting, the largest elements, searching and distinct values: NumPy's values, ties, nan, and gradients."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import AbstractValueError, ShapeError
from arrayad.readers.replay import replay
from arrayad.shaped import Shaped

X = np.random.default_rng(0).permutation(24).reshape(2, 3, 4) / 7


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_sort_is_numpys(axis):
    np.testing.assert_array_equal(np.asarray(ad.sort(X, axis=axis)), np.sort(X, axis=axis))
    np.testing.assert_array_equal(np.asarray(ad.argsort(X, axis=axis)), np.argsort(X, axis=axis))
    descending = np.flip(np.sort(X, axis=axis), axis=-1 if axis is None else axis)
    np.testing.assert_array_equal(np.asarray(ad.sort(X, axis=axis, descending=True)), descending)
    np.testing.assert_array_equal(np.asarray(np.sort(ad.tensor(X), axis=axis)), np.sort(X, axis=axis))


def test_ties_and_nan():
    x = np.array([2.0, np.nan, 1.0, 2.0, 1.0])
    assert ad.argsort(x).tolist() == [2, 4, 0, 3, 1]
    assert ad.argsort(x, descending=True).tolist() == [1, 0, 3, 2, 4]
    assert ad.sort(ad.tensor([True, False])).tolist() == [False, True]
    assert ad.sort(np.zeros((2, 0))).shape == (2, 0)


def test_gradients_follow_the_elements():
    x = np.array([3.0, 1.0, 2.0])
    w = np.array([10.0, 20.0, 30.0])
    assert ad.grad(lambda x: ad.sum(ad.sort(x) * w))(x).tolist() == [30.0, 10.0, 20.0]
    assert ad.grad(lambda x: ad.sum(ad.sort(x, descending=True) * w))(x).tolist() == [10.0, 30.0, 20.0]
    assert ad.grad(lambda x: ad.sum(ad.top_k(x, 2).values * w[:2]))(x).tolist() == [10.0, 0.0, 20.0]
    assert ad.grad(lambda x: ad.sum(ad.sort(x) * w))(np.ones(3)).tolist() == [10.0, 20.0, 30.0]
    second = ad.grad(lambda x: ad.sum(ad.grad(lambda x: ad.sum(ad.sort(x) ** 3 * w))(x)))(x)
    np.testing.assert_allclose(np.asarray(second), 6 * x * [30.0, 10.0, 20.0])


def test_the_elements_left_out_have_derivative_zero():
    gradient = ad.grad(lambda x: ad.sum(ad.top_k(ad.sqrt(x), 2).values))
    assert gradient(np.array([4.0, 0.0, 1.0])).tolist() == [0.25, 0.0, 0.5]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("largest", [True, False])
def test_top_k(axis, largest):
    values, indices = ad.top_k(X, 2, axis=axis, largest=largest)
    ordered = np.sort(X, axis=axis)
    wanted = np.take(np.flip(ordered, axis) if largest else ordered, [0, 1], axis=axis)
    np.testing.assert_array_equal(np.asarray(values), wanted)
    np.testing.assert_array_equal(np.take_along_axis(X, np.asarray(indices), axis), wanted)
    with pytest.raises(ShapeError, match=r"\[top_k\] 9 elements were asked for"):
        ad.top_k(X, 9, axis=axis)


def test_a_sort_replays_in_another_order():
    tape = ad.trace(lambda x: ad.sort(x))(Shaped((3,), "float64"))
    assert replay(tape, np.array([2.0, 3.0, 1.0])).tolist() == [1.0, 2.0, 3.0]


def test_searchsorted():
    x, values = np.array([1.0, 2.0, 2.0, 5.0]), np.array([[0.0, 2.0], [5.0, 9.0]])
    for side in ("left", "right"):
        wanted = np.searchsorted(x, values, side=side)
        np.testing.assert_array_equal(np.asarray(ad.searchsorted(x, values, side=side)), wanted)
        np.testing.assert_array_equal(np.asarray(ad.searchsorted(x[::-1], values, side, np.arange(4)[::-1])), wanted)
    assert int(ad.searchsorted(x, 2.0)) == 1
    with pytest.raises(ValueError, match=r"\[searchsorted\] side 'middle'"):
        ad.searchsorted(x, values, side="middle")
    with pytest.raises(ShapeError, match=r"\[searchsorted\] a 1-d array"):
        ad.searchsorted(values, values)


def test_distinct_values():
    x = np.array([[2.0, 1.0], [2.0, 3.0]])
    values, indices, inverse, counts = ad.unique_all(x)
    assert values.tolist() == [1.0, 2.0, 3.0] == ad.unique_values(x).tolist()
    assert indices.tolist() == [1, 0, 3] and counts.tolist() == [1, 2, 1]
    np.testing.assert_array_equal(np.asarray(values)[np.asarray(inverse)], x)
    assert ad.unique_counts(x).counts.tolist() == [1, 2, 1]
    assert ad.unique_inverse(x).inverse_indices.shape == x.shape
    assert ad.unique_values(np.array([np.nan, np.nan])).shape == (2,)
    gradient = ad.grad(lambda x: ad.sum(ad.unique_values(x) * np.array([10.0, 20.0, 30.0])))(x)
    assert gradient.tolist() == [[20.0, 10.0], [0.0, 30.0]]
    with pytest.raises(AbstractValueError, match=r"\[unique\] the shape of the result depends"):
        ad.trace(ad.unique_values)(Shaped((3,), "float64"))
