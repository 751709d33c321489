"""Optimisers against their formulas in NumPy, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad import kernels, optim

STEPS = 20


def gradients(shape, dtype):
    return np.random.default_rng(1).normal(size=(STEPS, *shape)).astype(dtype)


def sgd(p, gs, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    """PyTorch's formulas, in float64."""
    v = None
    for g in gs:
        g = g + weight_decay * p
        if momentum:
            v = g if v is None else momentum * v + (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        p = p - lr * g
    return p


def adam(p, gs, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    m = v = np.zeros_like(p)
    for t, g in enumerate(gs, 1):
        if decoupled:
            p = p * (1 - lr * weight_decay)
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        p = p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return p


def adamw(p, gs, lr, weight_decay=1e-2, **options):
    return adam(p, gs, lr, weight_decay=weight_decay, decoupled=True, **options)


CASES = [
    (optim.SGD, sgd, {"lr": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (optim.Adam, adam, {"lr": 0.1}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-5, "weight_decay": 0.1}),
    (optim.AdamW, adamw, {"lr": 0.1}),
    (optim.AdamW, adamw, {"lr": 0.1, "weight_decay": 0.3, "betas": (0.7, 0.9)}),
]


def pushed(optimizer, p, gs):
    """The parameter after a step with each gradient."""
    for g in gs:
        optimizer.zero_grad()
        ad.sum(p * g).backward()
        optimizer.step()
    return p.numpy()


@pytest.mark.parametrize("kind, formula, options", CASES)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("shape", [(), (3, 2), (kernels.LARGE * 2,)], ids=str)
def test_steps_agree_with_the_formulas(kind, formula, options, dtype, tolerance, shape):
    start, gs = np.random.default_rng(0).normal(size=shape).astype(dtype), gradients(shape, dtype)
    p = ad.tensor(start, requires_grad=True)
    found = pushed(kind([p], **options), p, gs)
    assert found.dtype == dtype and p.is_leaf and p.requires_grad
    wanted = formula(start.astype(np.float64), gs.astype(np.float64), **options)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def test_hyperparameters_are_read_at_each_step_and_old_values_stay():
    p = ad.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0)
    before = p.detach()
    pushed(optimizer, p, [[0.5]])
    optimizer.lr = 0.0
    assert pushed(optimizer, p, [[0.5]]) == [0.5] and before.item() == 1
    assert repr(optimizer).startswith("SGD(1 parameters, lr=0.0")


def test_parameters_without_a_gradient_stand_still():
    p, q = (ad.tensor(1.0, requires_grad=True) for _ in range(2))
    optimizer = optim.Adam([p, q])
    (p * 2.0).backward()
    optimizer.step()
    assert q.item() == 1 and optimizer.steps == [1, 0]
    optimizer.zero_grad()
    with pytest.raises(ad.errors.DerivativeError, match="call backward"):
        optimizer.step()


@pytest.mark.parametrize("kind, formula, options", CASES)
def test_a_saved_state_goes_on_as_if_nothing_had_been(kind, formula, options):
    gs = gradients((3,), "float64")
    p = ad.tensor(np.ones(3), requires_grad=True)
    optimizer = kind([p], **options)
    pushed(optimizer, p, gs[:7])
    state, value = optimizer.state_dict(), p.numpy()
    wanted = pushed(optimizer, p, gs[7:])
    q = ad.tensor(value, requires_grad=True)
    other = kind([q], lr=9.0)
    other.load_state_dict(state)
    np.testing.assert_array_equal(pushed(other, q, gs[7:]), wanted)


def test_a_state_of_others_is_refused():
    p, q = ad.tensor(np.ones(3), requires_grad=True), ad.tensor(np.ones(2), requires_grad=True)
    optimizer = optim.Adam([p])
    pushed(optimizer, p, np.ones((1, 3)))
    with pytest.raises(KeyError, match="of another optimiser"):
        optim.SGD([p]).load_state_dict(optimizer.state_dict())
    with pytest.raises(ad.errors.ShapeError, match="mean of parameter 0"):
        optim.Adam([q]).load_state_dict(optimizer.state_dict())
    with pytest.raises(ad.errors.ShapeError, match="of 1 parameters, here are 2"):
        optim.Adam([p, q]).load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize(
    "make, kind, message",
    [
        (lambda p: optim.SGD([]), ValueError, "empty"),
        (lambda p: optim.SGD(p), TypeError, "list"),
        (lambda p: optim.SGD([p, p]), ValueError, "twice"),
        (lambda p: optim.SGD([ad.tensor(1.0)]), ValueError, "requires grad"),
        (lambda p: optim.SGD([p * 2.0]), ValueError, r"params\[0\]"),
        (lambda p: optim.SGD([p], lr=-1.0), ValueError, r"\[SGD\] lr"),
        (lambda p: optim.SGD([p], nesterov=True), ValueError, "momentum"),
        (lambda p: optim.AdamW([p], betas=(0.9, 1.0)), ValueError, r"\[AdamW\] betas"),
        (lambda p: optim.Adam([p], eps=float("nan")), ValueError, "eps"),
    ],
)
def test_what_makes_no_sense_is_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        make(ad.tensor(1.0, requires_grad=True))


def test_momentum_may_be_switched_off_between_steps():
    w = ad.tensor([1.0, 2.0], requires_grad=True)
    optimizer = ad.optim.SGD([w], lr=0.5, momentum=0.9)
    for momentum in (0.9, 0.0):
        optimizer.momentum = momentum
        optimizer.zero_grad()
        ad.sum(w).backward()
        optimizer.step()
    np.testing.assert_array_equal(np.asarray(w), [0.0, 1.0])
