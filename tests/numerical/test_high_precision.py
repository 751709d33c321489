"""The derivative to 50 digits from values alone."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DTypeError
from arrayad.numerical.high_precision import reference, reference_along

mpmath = pytest.importorskip("mpmath")


def digits(found, true) -> float:
    """How many digits agree."""
    error = abs(found - true)
    return 99.0 if error == 0 else float(-mpmath.log10(error / max(abs(true), mpmath.mpf(10) ** -60)))


@pytest.mark.parametrize("x", [0.5, -3.0, 1e-200, 3e150, 1e-30])
def test_fifty_digits_of_a_derivative_come_from_values_alone(x):
    found = reference(lambda x: x / (1 + x**2), (x,)).derivative[0].item()
    with mpmath.workdps(600):
        x = mpmath.mpf(x)
        true = (1 - x**2) / (1 + x**2) ** 2
        assert digits(found, true) > 50


def test_a_jacobian_has_the_shape_of_a_jacobian():
    x, n, w = np.array([[1.0, 2.0]]), np.array([3]), np.float32(0.5)
    found = reference(lambda p, w: {"y": p["x"] ** p["n"] * w}, ({"x": x, "n": n}, w))
    by_p, by_w = found.derivative["y"]
    assert by_p["n"] is None
    assert by_p["x"].shape == (1, 2, 1, 2) and by_w.shape == (1, 2)
    np.testing.assert_array_equal(by_p["x"][0, :, 0].astype(float), [[1.5, 0], [0, 6]])
    np.testing.assert_array_equal(by_w.astype(float), [[1, 8]])
    np.testing.assert_array_equal(found.value["y"].astype(float), [[0.5, 4]])
    assert found.evaluations == 7


def test_kinks_are_found_and_curvature_is_none():
    x = np.array([0.0, 0.0, 1e-8, -2.0])
    found = reference(lambda x: ad.stack([ad.abs(x[0]) * 1e-30, x[1] ** 2, ad.abs(x[2]), ad.abs(x[3])]), (x,))
    np.testing.assert_array_equal(np.diag(found.kinks[0]), [True, False, False, False])
    np.testing.assert_array_equal(np.diag(found.derivative[0]).astype(float), [0, 0, 1, -1])


def test_a_derivative_of_nothing_is_nothing_and_a_tiny_one_is_not():
    x = np.array([0.0, 0.0, 1.0, 1.0, 2.0])
    found = reference(lambda x: ad.stack([x[0] ** 3, 1e-100 * x[1], 1e-90 * (x[2] - 1), (x[3] - 1) ** 3, ad.sin(x[4])]), (x,))
    np.testing.assert_allclose(np.diag(found.derivative[0]).astype(float), [0, 1e-100, 1e-90, 0, np.cos(2)], rtol=1e-15)
    assert not np.any(found.kinks[0])


def test_a_direction_takes_three_values():
    calls = []

    def f(x, y):
        calls.append(0)
        return ad.sum(ad.exp(x) * y)

    x, y = np.array([0.3, 0.7]), np.array([2.0, -1.0])
    value, tangent = reference_along(f, (x, y), (np.array([1.0, 2.0]), np.array([0.0, 3.0])))
    assert len(calls) == 3
    with mpmath.workdps(60):
        a, b = mpmath.exp(mpmath.mpf(0.3)), mpmath.exp(mpmath.mpf(0.7))
        assert digits(value.item(), 2 * a - b) > 50
        assert digits(tangent.item(), 2 * a - 2 * b + 3 * b) > 50


@pytest.mark.parametrize(
    "f, args, message",
    [
        (lambda x: x, (1,), r"the arguments are \(.*\), and one at least must be floating-point"),
        (lambda x: ad.real(x), (1j + np.zeros(2),), "real and imaginary parts"),
        (lambda x: x.astype("float64"), (0.5,), "rounds them to floats"),
        (lambda x: "three", (0.5,), "real numbers are needed"),
    ],
)
def test_what_has_no_reference_says_why(f, args, message):
    with pytest.raises(DTypeError, match=message):
        reference(f, args)


def test_fewer_digits_than_ten_are_refused():
    with pytest.raises(ValueError, match="at least 10"):
        reference(lambda x: x, (1.0,), digits=5)


def test_the_elements_are_numbers():
    found = reference(lambda x: x**2, (0.5,))
    assert found.derivative[0].shape == () and isinstance(found.derivative[0].item(), mpmath.mpf)
