"""Reductions, scans and row operations in C against NumPy in higher precision."""

import numpy as np
import pytest

from arrayad import kernels
from arrayad.kernels import axes, native

pytestmark = pytest.mark.skipif(native.why_not_native is not None, reason="there are no C kernels")


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """C for arrays of any size, and the instruction set afterwards as it was."""
    monkeypatch.setattr(axes, "LARGE", 0)
    before = kernels.info()
    yield
    kernels.set_isa(before["isa"])
    kernels.set_threads(before["threads"])


def refuse(*operands):
    raise AssertionError("NumPy was called")


def logsumexp(x, axis):
    largest = x.max(axis=axis, keepdims=True)
    largest[~np.isfinite(largest)] = 0
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - largest).sum(axis=axis)) + largest.squeeze(axis)


REDUCTIONS = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "logsumexp": logsumexp}
CASES = [
    ((7,), (0,)),
    ((1000,), (0,)),
    ((5, 7), (0,)),
    ((5, 7), (1,)),
    ((5, 7), (0, 1)),
    ((2, 3, 4, 5), (1, 2)),
    ((300, 9), (0,)),
]
CASES += [((40, 700), (0,)), ((3, 5000), (1,)), ((200003,), (0,)), ((20011, 9), (0,)), ((1, 1), (0,))]


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape, axis", CASES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name, shape, axis, dtype, isa, rng):
    kernels.set_isa(isa)
    x = rng.uniform(0.999, 1.001, shape).astype(dtype) if name == "prod" else rng.standard_normal(shape).astype(dtype)
    got = kernels.reduction(name, refuse)(x, axis)
    exact = REDUCTIONS[name](x.astype(np.longdouble), axis=axis)
    assert got.shape == exact.shape and got.dtype == x.dtype
    n = x.size // max(exact.size, 1)
    scale = {"sum": np.abs(x).sum(axis=axis), "prod": np.sqrt(n)}.get(name, np.abs(exact) + 1)
    bound = 0 if name in ("max", "min") else 8 * np.finfo(dtype).eps
    assert np.all(np.abs(got - exact) <= bound * scale)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape, axis", [case for case in CASES if len(case[1]) == 1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name, shape, axis, dtype, rng):
    x = rng.integers(0, 50, shape).astype(dtype)
    for array in (x, np.where(rng.random(shape) < 0.001, np.nan, x).astype(dtype)):
        got = kernels.reduction(name, refuse)(array, axis)
        assert got.dtype == np.intp
        np.testing.assert_array_equal(got, getattr(np, name)(array, axis=axis[0]))


@pytest.mark.parametrize("name", ["sum", "max", "min", "logsumexp"])
@pytest.mark.parametrize(
    "values", [[np.nan, 1.0], [np.inf, 1.0], [-np.inf, 1.0], [-np.inf, -np.inf], [np.inf, np.nan], [-0.0, -0.0]]
)
@pytest.mark.parametrize("n", [2, 40, 700])
def test_special_values_spread_as_in_numpy(name, values, n):
    x = np.tile(values, n)
    expected = REDUCTIONS[name](x, axis=(0,))
    np.testing.assert_array_equal(np.isfinite(kernels.reduction(name, refuse)(x, (0,))), np.isfinite(expected))
    np.testing.assert_allclose(kernels.reduction(name, refuse)(x, (0,)), expected, rtol=1e-14)
    columns = np.stack([x, np.ones_like(x)], axis=1)
    np.testing.assert_allclose(kernels.reduction(name, refuse)(columns, (0,))[0], expected, rtol=1e-14)


def test_empty_reductions():
    x = np.empty((3, 0))
    assert kernels.reduction("sum", refuse)(x, (1,)).tolist() == [0.0] * 3
    assert kernels.reduction("prod", refuse)(x, (1,)).tolist() == [1.0] * 3
    assert kernels.reduction("logsumexp", refuse)(x, (1,)).tolist() == [-np.inf] * 3
    assert kernels.reduction("max", refuse)(x, (0,)).shape == (0,)


def test_sums_are_as_accurate_as_numpy_over_every_axis(rng):
    x = rng.random((200_000, 3)).astype(np.float32)
    exact = x.sum(axis=0, dtype=np.float64)
    error = np.abs(kernels.reduction("sum", refuse)(x, (0,)) / exact - 1).max()
    assert error < 2e-7
    assert error <= np.abs(np.ascontiguousarray(x.T).sum(axis=1) / exact - 1).max() + 1e-7


def test_what_c_cannot_reduce_is_left_to_numpy(rng):
    x = rng.standard_normal((4, 5, 6))
    sum_ = kernels.reduction("sum", lambda x, axis: "numpy")
    for array, axis in [(x, (0, 2)), (x, ()), (x.T, (0,)), (x.astype(int), (0,)), (x[:, ::2], (1,))]:
        assert sum_(array, axis) == "numpy"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7,), (0,), (3, 4), (3, 0), (2, 3, 4), (5, 700)])
@pytest.mark.parametrize("name, function", [("sum", np.cumsum), ("prod", np.cumprod)])
def test_scans(name, function, shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    for axis in range(len(shape)):
        np.testing.assert_array_equal(kernels.scan(name, refuse)(x, axis), function(x, axis=axis))


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1,), (5, 10), (3, 4, 16), (2, 2000), (3000, 10)])
def test_row_operations(shape, dtype, isa, rng):
    kernels.set_isa(isa)
    x, ct = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    wide, wide_ct = x.astype(np.longdouble), ct.astype(np.longdouble)
    y = np.exp(wide - wide.max(-1, keepdims=True))
    y /= y.sum(-1, keepdims=True)
    expected = {
        "softmax": y,
        "log_softmax": np.log(y),
        "softmax_vjp": y * (wide_ct - (wide_ct * y).sum(-1, keepdims=True)),
        "log_softmax_vjp": wide_ct - y * wide_ct.sum(-1, keepdims=True),
    }
    eps = np.finfo(dtype).eps
    for name in ("softmax", "log_softmax"):
        np.testing.assert_allclose(kernels.rowwise(name, refuse)(x), expected[name], rtol=16 * eps, atol=4 * eps)
        residual = kernels.rowwise(name, refuse)(x)
        got = kernels.rowwise(f"{name}_vjp", refuse)(ct, residual)
        np.testing.assert_allclose(got, expected[f"{name}_vjp"], rtol=64 * eps, atol=64 * eps)


def test_results_do_not_depend_on_the_number_of_threads(rng):
    x = rng.standard_normal((700, 900)).astype(np.float32)
    for kernel, arguments in [
        *((kernels.reduction(name, refuse), (axis,)) for name in REDUCTIONS for axis in [(0,), (1,), (0, 1)]),
        *((kernels.scan(name, refuse), (axis,)) for name in ("sum", "prod") for axis in (0, 1)),
        *((kernels.rowwise(name, refuse), ()) for name in ("softmax", "log_softmax")),
    ]:
        results = []
        for threads in (1, 2, 5):
            kernels.set_threads(threads)
            results.append(kernel(x, *arguments))
        np.testing.assert_array_equal(results[0], results[1])
        np.testing.assert_array_equal(results[0], results[2])


def test_sums_are_the_same_on_every_instruction_set(rng):
    x = rng.standard_normal((1000, 37)).astype(np.float32)
    for axis in [(0,), (1,), (0, 1)]:
        results = []
        for isa in kernels.isas():
            kernels.set_isa(isa)
            results.append(kernels.reduction("sum", refuse)(x, axis).tolist())
        assert all(result == results[0] for result in results)
