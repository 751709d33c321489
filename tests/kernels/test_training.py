"""Cross entropy and the steps of optimisers, in C and in NumPy alike."""

import numpy as np
import pytest

from arrayad import kernels
from arrayad.kernels import axes, native


@pytest.fixture(params=["c", "numpy"])
def backend(request, monkeypatch):
    if request.param == "c" and native.why_not_native is not None:
        pytest.skip("there are no C kernels")
    monkeypatch.setattr(axes, "LARGE", 0)
    with kernels.backend(request.param):
        yield request.param


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (7, 10), (3, 2000), (2000, 10)])
def test_cross_entropy(shape, dtype, backend, rng):
    x, ct = (3 * rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape[0]).astype(dtype)
    labels = rng.integers(0, shape[1], shape[0])
    labels[::3] = -100
    kept = labels != -100
    wide = x.astype(np.longdouble)
    softmax = np.exp(wide - wide.max(1, keepdims=True))
    softmax /= softmax.sum(1, keepdims=True)
    rows = np.arange(shape[0])
    columns = np.where(kept, labels, 0)
    loss = np.where(kept, -np.log(softmax[rows, columns]), 0)
    softmax[rows, columns] -= 1
    gradient = np.where(kept, ct, 0)[:, None] * softmax
    eps = np.finfo(dtype).eps
    got = kernels.cross_entropy(x, labels, -100)
    assert got.dtype == x.dtype
    np.testing.assert_allclose(got, loss, rtol=8 * eps, atol=16 * eps)
    np.testing.assert_allclose(kernels.cross_entropy_vjp(ct, x, labels, -100), gradient, rtol=32 * eps, atol=8 * eps)


def test_a_small_loss_keeps_its_digits(backend):
    x = np.array([[1000.0, 980.0]])
    np.testing.assert_allclose(kernels.cross_entropy(x, np.array([0])), [np.log1p(np.exp(-20.0))], rtol=1e-7)


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_outside_the_columns_is_named(label, backend):
    labels = np.array([0, 3, label, 9])
    for call in (
        lambda: kernels.cross_entropy(np.zeros((4, 4)), labels),
        lambda: kernels.cross_entropy_vjp(np.ones(4), np.zeros((4, 4)), labels),
    ):
        with pytest.raises(IndexError, match=f"the label of row 2 is {label}"):
            call()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum, dampening, nesterov", [(0, 0, False), (0.9, 0, False), (0.9, 0.3, False), (0.9, 0, True)])
@pytest.mark.parametrize("weight_decay", [0, 0.1])
def test_sgd(weight_decay, momentum, dampening, nesterov, dtype, backend, rng):
    p, exact, velocity, exact_velocity = rng.standard_normal((20, 30)).astype(dtype), None, None, None
    exact = p.astype(np.longdouble)
    for _ in range(4):
        g = rng.standard_normal(p.shape).astype(dtype)
        before = p.copy()
        new, velocity = kernels.sgd(
            p,
            g,
            velocity,
            learning_rate=0.1,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
        )
        np.testing.assert_array_equal(p, before)
        gradient = g + weight_decay * exact
        step = gradient
        if momentum:
            exact_velocity = gradient if exact_velocity is None else momentum * exact_velocity + (1 - dampening) * gradient
            step = gradient + momentum * exact_velocity if nesterov else exact_velocity
        exact = exact - 0.1 * step
        p = new
        assert p.dtype == dtype and (velocity is None) == (momentum == 0)
        np.testing.assert_allclose(p, exact, atol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("weight_decay", [0, 0.1])
def test_adam(weight_decay, decoupled, dtype, backend, rng):
    p = rng.standard_normal((20, 30)).astype(dtype)
    m, v = np.zeros_like(p), np.zeros_like(p)
    exact, exact_m, exact_v = p.astype(np.longdouble), 0, 0
    for step in range(1, 5):
        g = rng.standard_normal(p.shape).astype(dtype)
        corrections = {"correction1": 1 - 0.9**step, "correction2": 1 - 0.99**step}
        p, m, v = kernels.adam(
            *(p, g, m, v),
            **{"learning_rate": 0.01, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, **corrections},
            weight_decay=weight_decay,
            decoupled=decoupled,
        )
        gradient = g if decoupled else g + weight_decay * exact
        exact = exact * (1 - 0.01 * weight_decay) if decoupled else exact
        exact_m = 0.9 * exact_m + 0.1 * gradient
        exact_v = 0.99 * exact_v + 0.01 * gradient**2
        exact = exact - 0.01 * (exact_m / (1 - 0.9**step)) / (np.sqrt(exact_v / (1 - 0.99**step)) + 1e-8)
        assert p.dtype == m.dtype == v.dtype == dtype
        np.testing.assert_allclose(p, exact, atol=64 * np.finfo(dtype).eps)
