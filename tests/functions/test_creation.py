"""Functions that make Tensors, against NumPy; those that take Tensors are differentiable or say that they are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import AbstractValueError, ShapeError


def assert_same(found: Any, wanted: np.ndarray[Any, Any]) -> None:
    assert isinstance(found, ad.Tensor) and (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("shape", [(), (3,), 3, (2, 0), [2, 3]], ids=str)
def test_constants_are_numpys(shape: Any) -> None:
    assert_same(ad.zeros(shape), np.zeros(shape))
    assert_same(ad.ones(shape, dtype="int32", device="cpu"), np.ones(shape, "int32"))
    assert_same(ad.empty(shape, dtype="float32"), np.zeros(shape, "float32"))
    assert_same(ad.full(shape, 7), np.full(shape, 7))
    assert_same(ad.full(shape, 2.5, dtype="float32"), np.full(shape, 2.5, "float32"))
    assert_same(ad.full(shape, True), np.full(shape, True))


def test_what_is_like_another(rng: np.random.Generator) -> None:
    for x in (rng.standard_normal((2, 3)), np.ones((0, 2), "float32"), np.arange(3), [1, 2], ad.tensor(1.5)):
        value = np.asarray(x)
        for name in ("zeros_like", "ones_like"):
            assert_same(getattr(ad, name)(x), getattr(np, name)(value))
            assert_same(getattr(ad, name)(x, dtype="float32"), getattr(np, name)(value, dtype="float32"))
        assert_same(ad.empty_like(x), np.zeros_like(value))
        assert_same(ad.full_like(x, 3), np.full_like(value, 3))
    assert isinstance(np.zeros_like(ad.ones(2)), ad.Tensor)


def test_what_is_like_another_needs_no_value() -> None:
    """Under a trace by shapes, and in a derivative, to which a constant adds nothing."""
    tape = ad.trace(lambda x: x + ad.zeros_like(x) + ad.ones_like(x) + ad.full_like(x, 2))(ad.Shaped((2, 3), "float32"))
    assert tape.outputs[0].value == ad.Shaped((2, 3), "float32")
    assert ad.ones_like(ad.Shaped((2,), "int8")).dtype == np.int8
    assert ad.grad(lambda x: ad.sum(x * ad.ones_like(x)))(np.ones(2)).tolist() == [1.0, 1.0]


def test_full_is_differentiable() -> None:
    assert ad.grad(lambda v: ad.sum(ad.full((2, 3), v) ** 2))(3.0).item() == 36.0
    with pytest.raises(ShapeError, match=r"\[full\] the value is f64\[3\], which does not broadcast to the shape \(2,\)"):
        ad.full(2, np.ones(3))


def test_arange_is_numpys() -> None:
    for bounds in ((3,), (1, 4), (5, 0, -2), (0.0, 1.0, 0.25), (3, 3), (0, 1, 0.1), (ad.tensor(4),)):
        assert_same(ad.arange(*bounds), np.arange(*[b.item() if isinstance(b, ad.Tensor) else b for b in bounds]))
    assert_same(ad.arange(3, dtype="float32"), np.arange(3, dtype="float32"))
    with pytest.raises(ValueError, match=r"\[arange\] step is 0"):
        ad.arange(0, 1, 0)
    with pytest.raises(TypeError, match=r"\[arange\] start is f64\[2\]; a real number is needed"):
        ad.arange(np.ones(2), 3)
    with pytest.raises(AbstractValueError, match="bake in a constant"):
        ad.trace(lambda n: ad.arange(n))(ad.Shaped((), "int64"))


def test_linspace_is_numpys() -> None:
    for bounds in ((0, 1), (2.0, -1.0, 4), (0, 1, 0), (0, 1, 1), (0, 1, 5, False)):
        assert_same(ad.linspace(*bounds), np.linspace(*bounds))
    assert_same(ad.linspace(0, 1, 3, dtype="float32"), np.linspace(0, 1, 3, dtype="float32"))
    np.testing.assert_allclose(ad.linspace(ad.tensor(1.0), 3.0, 7).numpy(), np.linspace(1, 3, 7), rtol=1e-15)
    g = ad.grad(lambda a, b: ad.sum(ad.linspace(a, b, 5) * np.arange(5.0)), (0, 1))(0.0, 1.0)
    assert [part.item() for part in g] == [2.5, 7.5]
    single = ad.tensor(1.0, dtype="float32")
    assert ad.linspace(0, single, 3).dtype == np.float32
    with pytest.raises(ShapeError, match="0-d ones are needed"):
        ad.linspace(ad.ones(2), 1.0)
    with pytest.raises(ValueError, match="num is -1"):
        ad.linspace(0, 1, -1)


def test_eye_and_triangles_are_numpys(rng: np.random.Generator) -> None:
    for arguments in ((3,), (2, 4), (2, 4, 1), (4, 2, -1), (0,)):
        assert_same(ad.eye(*arguments), np.eye(*arguments))
    assert_same(ad.eye(2, dtype="int8"), np.eye(2, dtype="int8"))
    x = rng.standard_normal((2, 3, 4))
    for k in (-1, 0, 2):
        assert_same(ad.tril(x, k), np.tril(x, k))
        assert_same(ad.triu(x, k=k), np.triu(x, k))
    assert_same(ad.triu(np.arange(9).reshape(3, 3)), np.triu(np.arange(9).reshape(3, 3)))
    with pytest.raises(ShapeError, match=r"\[tril\] x is f64\[3\]; at least two axes"):
        ad.tril(np.ones(3))


def test_the_zeros_of_a_triangle_are_structural() -> None:
    g = ad.grad(lambda x: ad.sum(ad.tril(ad.sqrt(x))))(np.array([[4.0, 0.0], [1.0, 4.0]]))
    np.testing.assert_array_equal(g.numpy(), [[0.25, 0.0], [0.5, 0.25]])


@pytest.mark.parametrize("indexing", ["xy", "ij"])
def test_meshgrid_is_numpys(indexing: Any) -> None:
    vectors = [np.arange(2.0), np.arange(3), np.arange(4.0), np.float32(1)]
    for count in range(1, 5):
        found, wanted = (
            ad.meshgrid(*vectors[:count], indexing=indexing),
            np.meshgrid(*vectors[:count], indexing=indexing),
        )
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    g = ad.grad(lambda x: ad.sum(ad.meshgrid(x, np.ones(3), indexing=indexing)[0] ** 2))(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(g.numpy(), [6.0, 12.0])


def test_meshgrid_refuses_what_is_no_vector() -> None:
    assert ad.meshgrid() == []
    with pytest.raises(ShapeError, match=r"\[meshgrid\] an operand is f64\[2,2\]; vectors are needed"):
        ad.meshgrid(np.ones((2, 2)))
    with pytest.raises(ValueError, match="indexing is 'ab'"):
        ad.meshgrid(np.ones(2), indexing="ab")


def test_there_is_one_device() -> None:
    for f in (ad.zeros, ad.ones, ad.empty, ad.eye, ad.arange):
        with pytest.raises(ValueError, match=rf"\[{f.__name__}\] device is 'gpu'; arrayad computes on the CPU"):
            f(2, device="gpu")


def test_shapes_that_are_none() -> None:
    with pytest.raises(TypeError, match=r"\[zeros\] shape is 2.5; an int or a tuple of ints is needed"):
        ad.zeros(2.5)
    with pytest.raises(ShapeError, match=r"\[ones\] shape is \(2, -1\); lengths must not be negative"):
        ad.ones((2, -1))
