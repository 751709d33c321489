"""Rearrangements: NumPy's values, shapes, gradients and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import ShapeError
from arrayad.readers.replay import replay
from arrayad.shaped import Shaped

X = np.random.default_rng(0).standard_normal((2, 3, 4))

SAME = {
    "reshape": (lambda xp, x: xp.reshape(x, (4, -1)), X),
    "reshape to nothing": (lambda xp, x: xp.reshape(x, (3, 0)), X[:, :0]),
    "ravel": (lambda xp, x: xp.ravel(x), X),
    "transpose": (lambda xp, x: xp.transpose(x), X),
    "transpose by axes": (lambda xp, x: xp.transpose(x, (1, 0, 2)), X),
    "transpose by keyword": (lambda xp, x: xp.transpose(x, axes=(1, 0, 2)), X),
    "permute_dims": (lambda xp, x: xp.permute_dims(x, (2, -3, 1)), X),
    "T": (lambda xp, x: x.T, X),
    "mT": (lambda xp, x: x.mT, X),
    "matrix_transpose": (lambda xp, x: xp.matrix_transpose(x), X),
    "swapaxes": (lambda xp, x: xp.swapaxes(x, 0, -1), X),
    "moveaxis": (lambda xp, x: xp.moveaxis(x, 0, -1), X),
    "moveaxis, several": (lambda xp, x: xp.moveaxis(x, (0, 2), (1, 0)), X),
    "expand_dims": (lambda xp, x: xp.expand_dims(x, (0, -1)), X),
    "squeeze": (lambda xp, x: xp.squeeze(x), X[:1, :, :1]),
    "squeeze an axis": (lambda xp, x: xp.squeeze(x, -1), X[:1, :, :1]),
    "atleast_2d": (lambda xp, x: xp.atleast_2d(x), X[0, 0]),
    "broadcast_to": (lambda xp, x: xp.broadcast_to(x, (5, 2, 3, 4)), X[:, :1]),
    "broadcast_to nothing": (lambda xp, x: xp.broadcast_to(x, (0, 2)), X[0, :1, 0]),
    "broadcast_arrays": (lambda xp, x: xp.concat(xp.broadcast_arrays(x[:1], x[:, :1, :1]), 2), X),
    "concat": (lambda xp, x: xp.concat([x, x[:, :1], x[:, :0]], axis=1), X),
    "concat of all": (lambda xp, x: xp.concat((x, x[0]), axis=None), X),
    "stack": (lambda xp, x: xp.stack([x, x * x], axis=-1), X),
    "vstack": (lambda xp, x: xp.vstack([x[0], x[1, :1]]), X),
    "hstack": (lambda xp, x: xp.hstack([x[0], x[1]]), X),
    "hstack of vectors": (lambda xp, x: xp.hstack([x[0, 0], x[1, 1]]), X),
    "unstack": (lambda xp, x: xp.unstack(x, axis=1)[-1], X),
    "split": (lambda xp, x: xp.split(x, 2, axis=2)[1], X),
    "split at": (lambda xp, x: xp.split(x, [1, 3], axis=-1)[1], X),
    "array_split": (lambda xp, x: xp.array_split(x, 3, axis=2)[0], X),
    "flip": (lambda xp, x: xp.flip(x), X),
    "flip axes": (lambda xp, x: xp.flip(x, axis=(0, -1)), X),
    "roll": (lambda xp, x: xp.roll(x, 5), X),
    "roll axes": (lambda xp, x: xp.roll(x, (1, -2), axis=(0, 2)), X),
    "roll an axis twice": (lambda xp, x: xp.roll(x, (1, 1), axis=(2, 2)), X),
    "roll nothing": (lambda xp, x: xp.roll(x, 3, axis=0), X[:0]),
    "tile": (lambda xp, x: xp.tile(x, (2, 1, 3)), X),
    "tile, new axes": (lambda xp, x: xp.tile(x, (2, 2)), X[0, 0]),
    "tile, fewer": (lambda xp, x: xp.tile(x, 2), X),
    "repeat": (lambda xp, x: xp.repeat(x, 2), X),
    "repeat an axis": (lambda xp, x: xp.repeat(x, 3, axis=-2), X),
    "repeat, counts": (lambda xp, x: xp.repeat(x, [2, 0, 1], axis=1), X),
    "0-d": (lambda xp, x: xp.reshape(xp.expand_dims(xp.flip(x), 0), ()), X[0, 0, 0]),
}


def score(y: Any) -> Any:
    return ad.sum(ad.sin(y) * np.cos(np.arange(y.size)).reshape(y.shape))


@pytest.mark.parametrize("name", SAME)
def test_the_values_are_numpys(name):
    function, x = SAME[name]
    wanted = function(np, x)
    found = function(ad, ad.tensor(x))
    np.testing.assert_array_equal(np.asarray(found), wanted)
    tape = ad.trace(lambda x: function(ad, x))(Shaped(x.shape, "float64"))
    assert tape.outputs[0].shape == wanted.shape
    np.testing.assert_array_equal(np.asarray(replay(tape, x)), wanted)


@pytest.mark.parametrize("name", SAME)
def test_numpys_functions_take_tensors(name):
    function, x = SAME[name]
    found = function(np, ad.tensor(x))
    assert isinstance(found, ad.Tensor)
    np.testing.assert_array_equal(np.asarray(found), function(np, x))


@pytest.mark.parametrize("name", SAME)
def test_gradients(name):
    function, x = SAME[name]
    x = np.asarray(x)

    def f(x):
        return score(function(ad, x))

    gradient, h = np.zeros_like(x), 1e-5
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        gradient[i] = (float(f(ad.tensor(x + step))) - float(f(ad.tensor(x - step)))) / (2 * h)
    np.testing.assert_allclose(np.asarray(ad.grad(f)(x)), gradient, atol=1e-8)


def test_methods():
    x = ad.tensor(X)
    assert x.reshape(6, 4).shape == x.reshape((6, -1)).shape == (6, 4)
    assert x.flatten().shape == x.ravel().shape == (24,)
    assert x.transpose(1, 0, 2).shape == x.permute((1, 0, 2)).shape == (3, 2, 4)
    assert x.unsqueeze(0).squeeze(0).shape == x.shape
    assert [part.shape for part in x.split(3, axis=1)] == [(2, 1, 4)] * 3


def test_promotion_and_its_way_back():
    a, b = np.ones(2, np.float32), np.ones(3)
    assert ad.concat([ad.tensor(a), b]).dtype == np.float64
    gradients = ad.grad(lambda a, b: ad.sum(ad.concat([a, b]) * 2.0), argnums=(0, 1))(a, b)
    assert gradients[0].dtype == np.float32 and gradients[1].dtype == np.float64


ERRORS = {
    r"\[reshape\] f64\[2,3,4\] has 24 elements, which do not fit the shape \(5, -1\)": lambda x: ad.reshape(x, 5, -1),
    r"\[reshape\].*do not fit the shape \(-1, -1\)": lambda x: ad.reshape(x, -1, -1),
    r"\[squeeze\] axis 1 of f64\[2,3,4\] is not of length 1": lambda x: ad.squeeze(x, 1),
    r"\[broadcast_to\] f64\[2,3,4\] does not fit \(2, 3, 5\)": lambda x: ad.broadcast_to(x, (2, 3, 5)),
    r"\[broadcast_to\] f64\[2,3,4\] does not fit \(4,\)": lambda x: ad.broadcast_to(x, 4),
    r"\[broadcast_arrays\].*f64\[2,3,4\], f64\[2\]": lambda x: ad.broadcast_arrays(x, np.ones(2)),
    r"\[permute_dims\] axes \(0, 1\)": lambda x: ad.permute_dims(x, (0, 1)),
    r"\[permute_dims\] axes \(0, 1, 1\)": lambda x: ad.transpose(x, (0, 1, 1)),
    r"\[moveaxis\] source \(0, 1\)": lambda x: ad.moveaxis(x, (0, 1), (2,)),
    r"\[matrix_transpose\] two axes": lambda x: ad.matrix_transpose(x[0, 0]),
    r"\[concat\] all lengths but those of axis 0.*f64\[2,3,4\], f64\[3,4\]": lambda x: ad.concat([x, x[0]]),
    r"\[concat\] one array at least": lambda x: ad.concat([]),
    r"\[stack\] arrays of one shape": lambda x: ad.stack([x, x[0]]),
    r"\[stack\].*none came": lambda x: ad.stack([]),
    r"\[split\] axis 1 of f64\[2,3,4\] is no multiple of 2; use array_split": lambda x: ad.split(x, 2, axis=1),
    r"\[repeat\] one count or 3": lambda x: ad.repeat(x, [1, 2], axis=1),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises(ShapeError, match=message):
        ERRORS[message](ad.tensor(X))


def test_errors_of_axes():
    for function in (ad.flip, ad.expand_dims, ad.unstack):
        with pytest.raises(IndexError, match=rf"\[{function.__name__}\] axis 7 is out of bounds"):
            function(ad.tensor(X), axis=7)
