"""Tensors of dtype object: what goes in, what comes out, what is refused."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from mpmath import iv, mp, mpc, mpf

import arrayad as ad
from arrayad.arbitrary import Arbitrary, Elements, array_in, function_of, larger, of
from arrayad.errors import DTypeError

THIRD = mpf(1) / 3


@pytest.fixture(autouse=True)
def thirty_digits() -> Any:
    with mp.workdps(30):
        yield


# --- in ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ad.tensor, ad.asarray, ad.array if hasattr(ad, "array") else ad.asarray])
def test_numbers_of_mpmaths_make_a_tensor_of_dtype_object(make: Any) -> None:
    third = mpf(1) / 3
    for data in ([third, 2.0], np.array([third, 2], object), (third, 2)):
        x = make(data)
        assert (x.dtype, x.shape, x.ndim, x.size) == (np.dtype(object), (2,), 1, 2)
        assert [type(e) for e in x.tolist()] == [mpf, mpf] and x.tolist() == [third, 2]
    assert make(third).shape == () and make(third).item() == third
    assert make([[make(third), 1.0], [0, make(2.0)]]).tolist() == [[third, 1], [0, 2]]


def test_floats_become_numbers_when_the_dtype_asks_for_them() -> None:
    for x in (ad.tensor([0.1, 2], dtype=object), ad.asarray(np.array([0.1, 2]), object), ad.asarray([0.1, 2]).astype(object)):
        assert x.dtype == object and x[0].item() == mpf(0.1) != mpf("0.1")
    for made in (ad.zeros(2, object), ad.ones(2, object), ad.full(2, THIRD), ad.eye(2, dtype=object), ad.arange(3, dtype=object)):
        assert made.dtype == object and all(isinstance(e, mpf) for e in made.numpy().flat)
    assert ad.zeros_like(ad.asarray([THIRD])).dtype == ad.ones_like(ad.asarray([THIRD])).dtype == object


def test_what_comes_in_is_copied() -> None:
    data = np.array([mpf(1), mpf(2)], object)
    x = ad.asarray(data)
    data[0] = mpf(7)
    assert x.tolist() == [1, 2]
    assert not x.numpy().flags.writeable


@pytest.mark.parametrize(
    "thing, cure",
    [
        ("0.1", "mpmath.mpf"),
        (None, "mpmath.mpf"),
        ([1.0], "mpmath.mpf"),
        (mpc(1, 2), "real and imaginary parts"),
        (1j, "real and imaginary parts"),
        (iv.mpf([1, 2]), "mpmath.mpf"),
    ],
)
def test_other_objects_are_refused(thing: Any, cure: str) -> None:
    data = np.empty(2, object)
    data[0], data[1] = mpf(1), thing
    for make in (ad.tensor, ad.asarray, ad.sin, lambda data: ad.asarray([1.0, 2.0]) * data):
        with pytest.raises(DTypeError, match=cure):
            make(data)


def test_complex_numbers_are_refused() -> None:
    x = ad.asarray([THIRD])
    for compute in (lambda: x * 1j, lambda: x + np.array([1j]), lambda: x.astype(complex) * x):
        with pytest.raises(DTypeError, match="real and imaginary parts"):
            compute()
    assert x.astype(complex).dtype == complex


def test_differentiated_functions_take_and_give_bare_numbers() -> None:
    assert ad.grad(lambda x: x * x)(THIRD).item() == 2 * THIRD
    assert ad.value_and_grad(lambda x: mpf(2) + 0 * x)(THIRD)[0].item() == 2
    with pytest.warns(UserWarning, match="does not depend on x"):
        assert ad.value_and_grad(lambda x: mpf(2))(THIRD)[0].item() == 2
    by_both = ad.grad(lambda x, y: x * y, argnums=(0, 1))(ad.asarray(THIRD), mpf(2))
    assert [g.item() for g in by_both] == [2, THIRD]
    with pytest.raises(DTypeError, match=r"\[grad\] argument .* derivatives are of floating-point"):
        ad.grad(lambda x: x)("0.5")


# --- mixed -----------------------------------------------------------------------------------------------------------------


def test_operations_mix_with_numbers_and_arrays_on_either_side() -> None:
    third = mpf(1) / 3
    x = ad.asarray([third, 2 * third])
    others: list[Any] = [
        2,
        0.5,
        True,
        mpf(3),
        np.float32(0.5),
        np.longdouble(1) / 4,
        np.array([1.5, 2.5]),
        np.array([1, 2]),
        [mpf(1), mpf(2)],
    ]
    for other in others:
        numbers = [mpf(float(b)) for b in np.broadcast_to(np.asarray(other, float), 2)]
        for found, sign in ((x + other, 1), (other + x, 1), (x - other, -1)):
            assert found.dtype == object
            assert found.tolist() == [a + sign * b for a, b in zip(x.tolist(), numbers, strict=True)]
    assert np.exp(x).tolist() == [mp.exp(e) for e in x.tolist()]


def test_comparisons_and_conversions() -> None:
    third = mpf(1) / 3
    x = ad.asarray([third, mpf(2)])
    assert (third == x).tolist() == [True, False] and (mpf(1) > x).tolist() == [True, False]
    assert (x > 1 / 3).tolist() == [third > 1 / 3, True] and (x == third).tolist() == [True, False]
    assert float(x[1]) == 2.0 and int(x[1]) == 2 and complex(x[1]) == 2 and bool(x[0] < x[1]) and third in x
    assert bool(x[0]) and ad.isfinite(x).all() and not ad.isnan(x).any()
    for dtype in ("float64", "float32", "int64", "bool", "longdouble"):
        y = x.astype(dtype)
        assert y.dtype == np.dtype(dtype)
        np.testing.assert_allclose(y.numpy().astype(float), np.array([1 / 3, 2]).astype(dtype).astype(float), rtol=1e-7)
    np.testing.assert_array_equal(np.asarray(x, float), [1 / 3, 2])


def test_casts_pass_derivatives_both_ways() -> None:
    down = ad.grad(lambda x: ad.sum(x.astype("float64") ** 2))(ad.asarray([THIRD]))
    assert down.dtype == object and float(down[0]) == 2 / 3
    up = ad.grad(lambda x: ad.sum(ad.exp(x.astype(object))))(np.array([0.5]))
    assert up.dtype == np.float64 and up.item() == np.exp(0.5)


def test_it_prints_the_digits_in_force() -> None:
    x = ad.asarray([mpf(1) / 3])
    assert repr(x) == "Tensor([0.333333333333333333333333333333], dtype=object)"
    with mp.workdps(5):
        assert repr(x) == "Tensor([0.33333], dtype=object)"
    assert f"{x[0]}" == "Tensor(0.333333333333333333333333333333, dtype=object)"
    text = ad.trace(lambda x: ad.sum(x * x))(x).show(reverse=True)
    assert "object[1]  0.333333" in text.replace("[0.333333]", "0.333333")


def test_copies_keep_every_digit() -> None:
    x = ad.tensor([mpf(1) / 3], requires_grad=True)
    for same in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert same.tolist() == x.tolist() and same.dtype == object and same.requires_grad


# --- edges -----------------------------------------------------------------------------------------------------------------


def test_poles_and_domains_are_as_in_floats() -> None:
    zero, minus = ad.asarray(mpf(0)), ad.asarray(mpf(-2))
    assert (1 / zero).item() == mp.inf and (-1 / zero).item() == -mp.inf and ad.isnan(zero / zero)
    assert ad.log(zero).item() == -mp.inf and ad.grad(ad.sqrt)(zero).item() == mp.inf
    assert all(ad.isnan(f(minus)) for f in (ad.sqrt, ad.log, ad.asin, ad.acosh)) and ad.isnan(minus**0.5)
    assert ad.lgamma(minus).item() == mp.inf and ad.isnan(ad.digamma(minus))
    assert (ad.asarray(mpf("1e-500")) / zero).item() == mp.inf and (ad.asarray(mpf("-1e500")) / zero).item() == -mp.inf


def test_nothing_at_all_has_sums_and_products() -> None:
    none = ad.zeros(0, object)
    assert ad.sum(none).item() == 0 and ad.prod(none).item() == 1 and ad.logsumexp(none).item() == -mp.inf
    assert (ad.zeros((1, 0), object) @ ad.zeros((0, 1), object)).tolist() == [[0]]
    assert ad.grad(lambda x: ad.sum(x * x))(none).shape == (0,) and ad.norm(none).item() == 0


def test_the_kinks_are_those_of_floats() -> None:
    x = ad.asarray([mpf(0), mpf(4)])
    assert ad.grad(lambda x: ad.sum(ad.where(x > 0, ad.sqrt(x), 0.0)))(x).tolist() == [0, mpf(0.25)]
    assert ad.grad(ad.norm)(ad.asarray([mpf(0), mpf(0)])).tolist() == [0, 0]
    assert ad.grad(ad.prod)(ad.asarray([mpf(0), mpf(2), mpf(3)])).tolist() == [6, 0, 0]
    assert ad.grad(lambda x: ad.sum(ad.maximum(x, 0)))(x).tolist() == [0, 1]
    third = mpf(1) / 3
    assert ad.grad(ad.logsumexp)(ad.asarray([mpf("-inf"), mpf(1)])).tolist() == [0, 1]
    assert ad.grad(ad.max)(ad.asarray([mpf(1)] * 3)).tolist() == [third] * 3


def test_nan_is_last_in_order_and_wins_among_extremes() -> None:
    nan = mpf("nan")
    x = ad.asarray([mpf(2), nan, mpf(-1), mpf("inf"), nan, mpf(0)])
    assert ad.argsort(x).tolist() == [2, 5, 0, 3, 1, 4]
    assert ad.argsort(x, descending=True).tolist() == ad.argsort(x.astype(float), descending=True).tolist()
    assert ad.argmax(x).item() == ad.argmin(x).item() == 1
    assert ad.isnan(ad.max(x)) and ad.isnan(ad.min(x)) and ad.isnan(ad.maximum(x, x[0])[1])
    assert ad.argmax(x[2:4]).item() == 1 and ad.argmin(ad.asarray([mpf(3), mpf(-3)])).item() == 1


def test_bits_sparse_matrices_and_what_is_done_in_floats_are_refused() -> None:
    x = ad.asarray([mpf(1), mpf(2)])
    with pytest.raises(DTypeError, match=r"\[SGD\] params\[0\] is object\[2\]"):
        ad.optim.SGD([ad.tensor(x, requires_grad=True)], lr=0.1)
    with pytest.raises(DTypeError, match=r"\[check_grads\].* pass it as float64"):
        ad.testing.check_grads(ad.sin, (x,))
    with pytest.raises(DTypeError, match=r"\[bitwise_and\].*have no bits"):
        x & x
    with pytest.raises(DTypeError, match=r"use ad\.jacobian"):
        ad.sparse.jacobian(lambda x: x * x)(x)


def test_shapes_that_do_not_fit_are_explained() -> None:
    x = ad.asarray([mpf(1), mpf(2)])
    with pytest.raises(ValueError, match=r"\[add\] shapes do not broadcast: x1 is object\[2\]"):
        x + ad.asarray([mpf(1)] * 3)
    with pytest.raises(ValueError, match=r"\[matmul\] inner sizes differ"):
        ad.asarray([[mpf(1)]]) @ ad.asarray([[mpf(1)], [mpf(2)]])
    with pytest.raises(IndexError, match=r"\[getitem\]"):
        x[5]


def test_anomalies_are_found() -> None:
    with ad.detect_anomaly(), pytest.raises(FloatingPointError, match=r"\[log\] made inf"):
        ad.log(ad.asarray([mpf(0)]))
    with ad.detect_anomaly():
        assert ad.grad(lambda x: ad.exp(x))(THIRD).item() == mp.exp(THIRD)


def test_floats_never_import_mpmath() -> None:
    """Nor does a mode, a transform or a printed trace."""
    program = (
        "import sys, numpy as np, arrayad as ad\n"
        "ad.grad(lambda x: ad.sum(ad.erf(x) * ad.exp2(x)))(np.ones(3))\n"
        "ad.jet(ad.erf, (1.0,), ([1.0, 0.0],)), ad.std(ad.ones(3)), ad.hessian(lambda x: ad.sum(x**3))(np.ones(2))\n"
        "assert 'mpmath' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# --- how NumPy sees them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        np.asarray,
        np.exp,
        np.cumsum,
        np.all,
        lambda x: np.where(True, x, 0.0),
        lambda x: np.concatenate([x, x]),
        lambda x: np.float64(2) * x,
        lambda x: x + np.ones(2),
        lambda x: np.matmul(x, x),
        lambda x: x[()],
        lambda x: x[1:],
        lambda x: np.add.reduce(x, axis=0),
        lambda x: np.flip(x, 0),
        lambda x: np.moveaxis(np.diagonal(x), -1, 0),
    ],
)
def test_kernels_of_floats_refuse_the_value_of_a_tensor(function: Any) -> None:
    """What is not written for them fails, so that nothing is ever computed in floats by mistake."""
    with pytest.raises(TypeError):
        function(of(np.array([0.5, 2.0])))


def test_elements_compute_by_the_texts_of_rows() -> None:
    x = array_in(of(np.array([[0.5, 2.0], [1.0, 3.0]])))
    assert type(x) is Elements and type(np.exp(x)) is Elements and np.exp(x)[0, 1] == mp.exp(2)
    assert np.maximum.reduce(x, axis=(0, 1)) == 3 and np.add.reduce(x, axis=1).tolist() == [2.5, 4]
    assert np.isfinite(x).dtype == bool and np.all(x) and type(np.where(x > 1, x, 0)) is Elements
    out = np.empty((2, 2), object)
    assert np.multiply(x, 2, out=out) is out and out[1, 1] == 6
    x = x.copy()
    x /= 3
    assert x[0, 0] == mpf(0.5) / 3
    assert larger(mpf("nan"), 1) != larger(1, mpf("nan")) and function_of("x + 1", ("x",))(2) == 3
    assert type(of(x)) is Arbitrary
