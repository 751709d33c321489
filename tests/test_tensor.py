"""Tensor as users of Python, NumPy and PyTorch expect it to behave."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DerivativeError, DTypeError, ShapeError


def test_dtypes_of_data() -> None:
    assert ad.tensor(1.5).dtype == np.float64 and ad.tensor([1, 2]).dtype == np.int64 and ad.tensor(True).dtype == np.bool_
    assert ad.tensor([1, 2], dtype="float32").dtype == np.float32
    assert ad.tensor(np.float32(1.0)).dtype == np.float32
    with pytest.raises(ShapeError, match=r"\[tensor\]"):
        ad.tensor([[1.0], [1.0, 2.0]])
    with pytest.raises((DTypeError, ShapeError), match=r"\[tensor\]"):
        ad.tensor(["a"])


def test_recorded_tensors_among_data() -> None:
    x = ad.tensor(3.0, requires_grad=True)
    y = ad.asarray([[x, x**2], [1.0, 2.0]])
    assert y.shape == (2, 2) and y.requires_grad
    ad.sum(y).backward()
    assert x.grad.item() == 7.0
    with pytest.warns(UserWarning, match="use asarray or stack to keep what was recorded"):
        assert not ad.tensor([x, 1.0]).requires_grad
    assert ad.tensor([x.detach(), 1.0]).tolist() == [3.0, 1.0]
    with pytest.raises(DTypeError, match=r"\[sin\] a list of recorded Tensors came; make one of them with stack"):
        ad.sin([x, x])


NEUTRAL = {
    "astype": lambda x: x.astype("float64"),
    "asarray": lambda x: ad.asarray(x, copy=True),
    "tile": lambda x: ad.tile(x, 1),
    "roll": lambda x: ad.roll(x, 3),
    "broadcast_arrays": lambda x: ad.broadcast_arrays(x, x)[0],
    "clip": lambda x: ad.clip(x),
    "einsum": lambda x: ad.einsum("i->i", x),
    "diff": lambda x: ad.diff(x, n=0),
    "atleast_1d": lambda x: ad.atleast_1d(x),
    "pad": lambda x: ad.pad(x, 0, mode="edge"),
    "reshape": lambda x: ad.reshape(x, shape=(3,)),
    "dropout": lambda x: ad.nn.functional.dropout(x, 0.0),
    "getitem": lambda x: x[...],
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_result_is_never_the_operand_itself(name: str) -> None:
    x = ad.tensor([1.0, 2.0, 3.0])
    y = NEUTRAL[name](x)
    y += 1.0
    np.testing.assert_array_equal(x, [1.0, 2.0, 3.0])


def test_a_view_that_went_out_cannot_be_made_writable() -> None:
    view = (ad.tensor([0.0, 1.0]) * 1.0).numpy()
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True


def test_data_is_copied() -> None:
    data = np.array([1.0, 2.0])
    made, as_made = ad.tensor(data), ad.asarray(data)
    data[:] = 0.0
    np.testing.assert_array_equal(made, [1.0, 2.0])
    np.testing.assert_array_equal(as_made, [1.0, 2.0])
    assert ad.asarray(made) is made


def test_promotion_is_numpys() -> None:
    single, double, whole = (np.ones(2, d) for d in ("float32", "float64", "int64"))
    for a in (single, double, whole, 2, 2.0):
        for b in (single, double, whole):
            for operation in ("__add__", "__mul__", "__sub__", "__truediv__"):
                wanted = (np.asarray(a) if a.__class__ is np.ndarray else b).__add__(b)
                assert (ad.tensor(b) + a).dtype == (b + a).dtype == wanted.dtype or operation
                found = getattr(ad.tensor(b), operation)(a)
                assert found.dtype == getattr(b, operation)(a).dtype


def test_operators_on_both_sides() -> None:
    x, a = ad.tensor([1.0, 2.0]), np.array([3.0, 4.0])
    for found, wanted in [
        (x + a, [4, 6]),
        (a + x, [4, 6]),
        (a - x, [2, 2]),
        (1 - x, [0, -1]),
        (a / x, [3, 2]),
        (2 / x, [2, 1]),
        (2**x, [2, 4]),
        (x**2, [1, 4]),
        (x**0.5, np.sqrt([1, 2])),
        (a**x, [3, 16]),
        (a // x, [3, 2]),
        (a % x, [0, 0]),
        (7 % x, [0, 1]),
        (-x, [-1, -2]),
        (abs(-x), [1, 2]),
        (np.float64(2.0) * x, [2, 4]),
        (x < a, [True, True]),
        (a < x, [False, False]),
        (x == 1, [True, False]),
        ([5.0, 6.0] + x, [6, 8]),
    ]:
        assert isinstance(found, ad.Tensor)
        np.testing.assert_allclose(found, wanted, rtol=1e-15)
    assert (x == None) is False and (x != "text") is True  # noqa: E711
    bits = ad.tensor([5, 6])
    np.testing.assert_array_equal((bits & 4) | 1, [5, 5])
    np.testing.assert_array_equal(~ad.tensor([True, False]), [False, True])


def test_asarray_copies_nothing_and_cannot_be_written() -> None:
    x = ad.tensor(np.ones(4))
    view = np.asarray(x)
    assert np.shares_memory(view, x.value) and np.shares_memory(x.numpy(), x.value)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 2.0
    assert np.asarray(x, dtype="float32").dtype == np.float32
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(x, dtype="float32", copy=False)
    assert np.array(x).flags.writeable


def test_an_outgoing_view_keeps_its_buffer_out_of_the_pool() -> None:
    x = ad.tensor(np.ones(1 << 16)) * 2.0
    view = x.numpy()
    del x
    others = [ad.tensor(np.ones(1 << 16)) * 3.0 for _ in range(4)]
    assert np.all(view == 2.0) and len(others) == 4


def test_in_place_changes_rebind() -> None:
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1.0
    square = y * y
    y += 10.0
    y *= x
    ad.sum(square + y).backward()
    np.testing.assert_array_equal(x.grad, 2 * np.array([1.0, 2.0]) + 2 * np.array([1.0, 2.0]) + 10)
    z = ad.tensor([1.0, 2.0], dtype="float32")
    z += np.array([0.5, 0.5])
    assert z.dtype == np.float32
    with pytest.raises(ShapeError, match="does not fit into"):
        z += np.ones((2, 2))
    whole = ad.tensor([1, 2])
    with pytest.raises(DTypeError, match="cannot hold"):
        whole += 0.5
    np.testing.assert_array_equal(whole, [1, 2])


def test_an_array_cannot_take_a_tensor_in_place() -> None:
    array, x = np.ones(2), ad.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"write `x = x \+ tensor`"):
        array += x
    np.testing.assert_array_equal(array, 1.0)


def test_values_that_leave_a_running_transform_warn_once_a_line() -> None:
    def f(x: Any) -> Any:
        for _ in range(3):
            constant = float(x)
        return x * constant

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        assert ad.grad(f)(3.0).item() == 3.0
    assert len(caught) == 1 and "constant" in str(caught[0].message) and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        leaf = ad.tensor(3.0, requires_grad=True)
        assert float(leaf * 2.0) == 6.0 and np.asarray(leaf).item() == 3.0
        ad.grad(lambda x: x * float(x.detach()))(3.0)


def test_python_protocols() -> None:
    x = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert len(x) == 2 and [row.tolist() for row in x] == [[1.0, 2.0], [3.0, 4.0]]
    assert 3.0 in x and 5.0 not in x
    assert float(ad.tensor(2.5)) == 2.5 and int(ad.tensor([2])) == 2 and complex(ad.tensor(1.0)) == 1
    assert [10, 20, 30][ad.tensor(1)] == 20 and f"{ad.tensor(1.23456):.2f}" == "1.23"
    assert bool(ad.tensor(1.0)) and not ad.tensor(0)
    assert {x: 1}[x] == 1 and x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    for refuse in (lambda: len(ad.tensor(1.0)), lambda: iter(ad.tensor(1.0))):
        with pytest.raises(TypeError, match="0-d"):
            refuse()
    with pytest.raises(ValueError, match=r"a single element was needed, f64\[2,2\] came; use any\(\) or all\(\)"):
        bool(x)
    with pytest.raises(DTypeError, match="0-d integer"):
        [1, 2][ad.tensor(1.0)]


def test_repr() -> None:
    assert repr(ad.tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(ad.tensor([1, 2], dtype="int32")) == "Tensor([1, 2], dtype=int32)"
    x = ad.tensor(1.0, requires_grad=True)
    assert repr(x) == "Tensor(1., requires_grad=True)" and repr(ad.sin(x)) == "Tensor(0.84147098, by=sin)"


def test_copies_and_pickles() -> None:
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    ad.sum(x * x).backward()
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.requires_grad and twin.is_leaf and twin is not x
        np.testing.assert_array_equal(twin, x)
    np.testing.assert_array_equal(copy.deepcopy(x).grad, x.grad)
    assert copy.copy(x).history is x.history
    with pytest.warns(UserWarning, match=r"drops its history \(recorded by multiply\)"):
        assert copy.deepcopy(x * 2.0).history is None
    plain = pickle.loads(pickle.dumps(ad.tensor(3)))
    assert plain.item() == 3 and not plain.requires_grad


def test_leaves() -> None:
    x = ad.tensor([1.0, 2.0])
    assert x.is_leaf and not x.requires_grad and x.grad is None
    x.requires_grad = True
    y = x * 2.0
    assert y.requires_grad and not y.is_leaf and y.grad is None and not y.detach().requires_grad
    with pytest.raises(ValueError, match="only a leaf can be switched"):
        y.requires_grad = False
    with pytest.raises(ValueError, match="only a leaf that requires grad holds"):
        y.grad = x
    with pytest.raises(ValueError, match="the shapes must agree"):
        x.grad = ad.tensor([1.0, 2.0, 3.0])
    x.requires_grad = False
    assert (x * 2.0).history is None


def test_errors_name_what_came_and_the_cure() -> None:
    with pytest.raises(
        ShapeError, match=r"\[add\] shapes do not broadcast: x1 is f64\[3\], x2 is f64\[4\]; counted from the last"
    ):
        ad.tensor(np.ones(3)) + ad.tensor(np.ones(4))
    with pytest.raises(ShapeError, match=r"\[multiply\] shapes do not broadcast: x1 is f64\[3\], x2 is f64\[4\]"):
        ad.tensor(np.ones(3)) * np.ones(4)
    with pytest.raises(DTypeError, match=r"\[bitwise_and\] these dtypes do not fit: x1 is f64\[3\]"):
        ad.tensor(np.ones(3)) & ad.tensor(np.ones(3))
    with pytest.raises(DTypeError, match=r"\[sin\] an array of numbers was needed, str 'text' came"):
        ad.sin("text")
    with pytest.raises(DerivativeError):
        ad.tensor(1.0).backward()
