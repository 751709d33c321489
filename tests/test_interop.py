"""NumPy's functions on Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayad as ad


@pytest.mark.parametrize(
    "function",
    [
        np.sin,
        np.exp,
        lambda x: np.add(x, 1.0),
        lambda x: np.multiply(np.ones(3), x),
        lambda x: np.sum(x),
        lambda x: np.mean(x),
        lambda x: np.concatenate([x, x]),
        lambda x: np.where(x > 0, x, 0.0),
        lambda x: np.reshape(x, (3, 1)),
        lambda x: np.maximum(x, 0.0),
        lambda x: np.dot(x, x),
        lambda x: np.clip(x, 0.0, 1.0),
        lambda x: np.add.reduce(x),
        lambda x: np.stack([x, x]),
        lambda x: np.linalg.norm(x),
        lambda x: np.cumsum(x),
        lambda x: np.matmul(np.ones((2, 3)), x),
    ],
)
def test_numpy_functions_record(function: Any) -> None:
    values = np.array([0.5, -1.0, 2.0])
    x = ad.tensor(values, requires_grad=True)
    y = function(x)
    assert isinstance(y, ad.Tensor) and y.requires_grad
    np.testing.assert_allclose(np.asarray(y.detach()), function(values), rtol=1e-14)


def test_functions_that_only_look() -> None:
    x = ad.tensor([1.0, 2.0])
    assert np.shape(x) == (2,) and np.ndim(x) == 1 and np.size(x) == 2
    assert np.allclose(x, [1.0, 2.0]) and np.array_equal(x, x) and np.result_type(x, np.float32) == np.float64


def test_what_cannot_be_recorded_is_refused_by_name() -> None:
    x = ad.tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"\[np.fmod\] this function cannot be recorded; convert with np.asarray"):
        np.fmod(x, 2.0)
    with pytest.raises(TypeError, match=r"\[np.sin\] arguments \['where'\] cannot be recorded; use arrayad.sin"):
        np.sin(x, where=np.array([True, False]))
    with pytest.raises(TypeError, match=r"\[np.unwrap\]"):
        np.unwrap(x)
    with pytest.raises(TypeError, match=r"\[np.sin\] the array f64\[2\] cannot take the result"):
        np.sin(x, out=np.zeros(2))
    with pytest.raises(TypeError, match=r"\[np.multiply\] method 'outer' cannot be recorded"):
        np.multiply.outer(x, x)
    with pytest.raises(TypeError, match=r"\[np.sort\] these arguments cannot be recorded"):
        np.sort(x, -1, "quicksort")
    with pytest.raises(TypeError, match=r"\[np.add\] method 'reduce' cannot be recorded"):
        np.add.reduce(x, initial=10.0)


def test_tensors_are_saved_by_name(tmp_path: Any) -> None:
    np.savez(tmp_path / "saved.npz", ad.tensor([1.0]), x=ad.tensor([2.0, 3.0]))
    saved = np.load(tmp_path / "saved.npz")
    assert saved["arr_0"].tolist() == [1.0] and saved["x"].tolist() == [2.0, 3.0]


def test_tensors_are_compared_by_name() -> None:
    assert np.allclose(a=ad.tensor([1.0]), b=ad.tensor([1.0 + 1e-12])) and not np.array_equal(a1=np.zeros(2), a2=ad.ones(2))
