"""Functions of networks against their formulas in NumPy, at their edges, and differentiated again."""

from __future__ import annotations

import math

import numpy as np
import pytest

import arrayad as ad
from arrayad import kernels
from arrayad.nn import functional as F
from arrayad.primitives import network as rows
from arrayad.readers.replay import replay
from arrayad.shaped import Shaped

INF = math.inf


def log_shares(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


# --- softmax -----------------------------------------------------------------------------------------------------------


def test_softmax_takes_dim_or_axis_and_does_not_overflow(rng):
    x = rng.normal(size=(2, 3, 4))
    np.testing.assert_allclose(F.softmax(x), np.exp(log_shares(x)), rtol=1e-14)
    np.testing.assert_array_equal(F.softmax(x, dim=1), F.softmax(x, axis=1))
    np.testing.assert_allclose(np.asarray(F.log_softmax(x, dim=0)), log_shares(x.T).T, rtol=1e-13)
    np.testing.assert_allclose(F.log_softmax([0.0, 1000.0]), [-1000, 0])
    assert F.softmax([1, 2]).dtype == np.float64 and F.softmax(np.ones(2, np.float32)).dtype == np.float32
    with pytest.raises(IndexError, match=r"\[softmax\] axis 2"):
        F.softmax(np.ones((2, 2)), dim=2)


def test_infinite_logits():
    np.testing.assert_array_equal(F.softmax([0.0, -INF, 0.0]), [0.5, 0, 0.5])
    np.testing.assert_array_equal(F.log_softmax([0.0, -INF]), [0, -INF])
    assert np.isnan(F.softmax([-INF, -INF])).all() and np.isnan(F.softmax([INF, 0.0])).all()
    for function in (F.softmax, F.log_softmax):
        gradient = ad.grad(lambda x, f=function: f(x)[0])(ad.tensor([0.3, -INF, 0.1]))
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("row", [rows.softmax, rows.log_softmax])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-6), ("float64", 5e-15)])
def test_large_kernels_agree_with_small_ones(row, dtype, tolerance, rng):
    x = (3 * rng.normal(size=(kernels.LARGE // 50, 100))).astype(dtype)
    ct = rng.normal(size=x.shape).astype(dtype)
    y, pull = ad.vjp(lambda x: row(x, axis=1), x)
    np.testing.assert_allclose(np.asarray(y)[:3], row(x[:3], axis=1), rtol=tolerance, atol=tolerance)
    small = ad.vjp(lambda x: row(x, axis=1), x[:3])[1](ct[:3])[0]
    np.testing.assert_allclose(np.asarray(pull(ct)[0])[:3], small, rtol=tolerance, atol=10 * tolerance)


def third_derivative(function, x, directions):
    for direction in directions:
        function = (lambda f, d: lambda x: ad.sum(ad.grad(f)(x) * d))(function, direction)
    return function(x).item()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.softmax(x)[0, 1],
        lambda x: F.log_softmax(x, 0)[1, 0] ** 2,
        lambda x: F.cross_entropy(x, [1, 2]),
        lambda x: F.cross_entropy(x, [1, -100], label_smoothing=0.1),
        lambda x: ad.sum(F.gelu(x)),
    ],
)
def test_derivatives_of_the_third_order(function, rng):
    """Against the difference of the second."""
    x, *directions = rng.normal(size=(4, 2, 3))
    h = 1e-5
    at = [third_derivative(function, x + sign * h * directions[2], directions[:2]) for sign in (1, -1)]
    found = third_derivative(function, x, directions)
    # 1e-10 of truncation, and 2e-16 / 1e-5 of rounding.
    assert found == pytest.approx((at[0] - at[1]) / (2 * h), rel=1e-6, abs=1e-8)


# --- cross entropy -----------------------------------------------------------------------------------------------------


def cross_entropy(x, labels, weight, smoothing, ignored):
    """(losses, weights of the rows) by the definition, for x of shape (N, C)."""
    logs, classes = log_shares(x), x.shape[1]
    w = np.ones(classes) if weight is None else weight
    target = (1 - smoothing) * np.eye(classes)[np.where(labels == ignored, 0, labels)] + smoothing / classes
    kept = labels != ignored
    return np.where(kept, -(target * w * logs).sum(axis=1), 0), np.where(kept, w[np.where(kept, labels, 0)], 0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ignored", [-100, 2])
def test_cross_entropy_with_labels(weighted, smoothing, ignored, rng):
    x, labels = rng.normal(size=(6, 4)), np.array([0, 3, 2, 1, 2, 0])
    weight = rng.random(4) if weighted else None
    losses, weights = cross_entropy(x, labels, weight, smoothing, ignored)
    options = {"weight": weight, "label_smoothing": smoothing, "ignore_index": ignored}
    np.testing.assert_allclose(F.cross_entropy(x, labels, reduction="none", **options), losses, rtol=1e-13)
    np.testing.assert_allclose(F.cross_entropy(x, labels, reduction="sum", **options), losses.sum(), rtol=1e-13)
    np.testing.assert_allclose(F.cross_entropy(x, labels, **options), losses.sum() / weights.sum(), rtol=1e-13)
    if not smoothing:
        np.testing.assert_allclose(F.nll_loss(log_shares(x), labels, weight, ignored), losses.sum() / weights.sum(), rtol=1e-13)


def test_the_gradient_is_softmax_less_onehot(rng):
    x, labels = rng.normal(size=(5, 3)), rng.integers(0, 3, 5)
    gradient = ad.grad(lambda x: F.cross_entropy(x, labels, reduction="sum"))(x)
    np.testing.assert_allclose(gradient, np.exp(log_shares(x)) - np.eye(3)[labels], rtol=1e-14, atol=1e-16)


def test_shapes_of_logits(rng):
    x, labels = rng.normal(size=(2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5))
    wanted = F.cross_entropy(np.moveaxis(x, 1, -1).reshape(-1, 3), labels.reshape(-1), reduction="none")
    np.testing.assert_allclose(F.cross_entropy(x, labels, reduction="none"), wanted.reshape(2, 4, 5), rtol=1e-14)
    np.testing.assert_allclose(F.cross_entropy(x[0, :, 0, 0], labels[0, 0, 0]), np.asarray(wanted)[0], rtol=1e-14)
    assert F.nll_loss(x, labels, reduction="none").shape == (2, 4, 5)


def test_cross_entropy_with_probabilities(rng):
    x, p = rng.normal(size=(4, 3)), rng.random((4, 3))
    np.testing.assert_allclose(F.cross_entropy(x, p), -(p * log_shares(x)).sum() / 4, rtol=1e-14)
    by_target = ad.grad(lambda p: F.cross_entropy(x, p, reduction="sum"))(p)
    np.testing.assert_allclose(by_target, -log_shares(x), rtol=1e-14)
    impossible = ad.tensor([[0.0, -INF]])
    loss, gradient = ad.value_and_grad(lambda x: F.cross_entropy(x, [[1.0, 0.0]]))(impossible)
    assert loss.item() == 0 and np.isfinite(gradient).all()


def test_ignored_rows_may_hold_anything():
    x = ad.tensor([[np.nan, INF], [0.0, 0.0]])
    loss, gradient = ad.value_and_grad(lambda x: F.cross_entropy(x, [-100, 0]))(x)
    assert loss.item() == pytest.approx(math.log(2))
    np.testing.assert_allclose(gradient, [[0, 0], [-0.5, 0.5]])
    with np.errstate(invalid="ignore"):
        assert np.isnan(F.cross_entropy(np.ones((1, 2)), [-100]).item())
    gradient = ad.grad(lambda x: F.cross_entropy(x, [0, 1]))(ad.tensor([[0.0, -INF], [1.0, 2.0]]))
    assert np.isfinite(gradient).all()


def test_a_trace_replays_with_other_labels(rng):
    x, first, other = rng.normal(size=(3, 4)), np.array([0, 1, 2]), np.array([3, -100, 1])
    for arguments in ((x, first), (Shaped((3, 4), "float64"), Shaped((3,), "int64"))):
        tape = ad.trace(F.cross_entropy)(*arguments)
        np.testing.assert_allclose(replay(tape, x, other), F.cross_entropy(x, other), rtol=1e-15)
        with pytest.raises(IndexError):
            replay(tape, x, np.array([0, 4, 1]))


@pytest.mark.parametrize("function", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize("label", [4, -1])
def test_a_label_that_is_no_class_names_its_row(function, label):
    with pytest.raises(IndexError, match=f"label of row 2 is {label}"):
        function(np.zeros((3, 4)), [0, 1, label])


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda: F.cross_entropy(np.ones((2, 3)), [0, 1, 2]), ad.errors.ShapeError, "the other axes must agree"),
        (lambda: F.cross_entropy(np.ones((2, 3)), [True, False]), ad.errors.DTypeError, "integers"),
        (lambda: F.cross_entropy(np.ones((2, 3)), [0, 1], weight=[1.0]), ad.errors.ShapeError, "one weight for each of 3"),
        (lambda: F.cross_entropy(np.ones((2, 3)), np.ones((2, 2))), ad.errors.ShapeError, "probabilities"),
        (lambda: F.cross_entropy(np.ones((2, 3)), [0, 1], reduction="all"), ValueError, "reduction"),
        (lambda: F.cross_entropy(np.ones((2, 0)), [0, 1]), ad.errors.ShapeError, "C >= 1"),
        (lambda: F.cross_entropy(np.ones((2, 3)), [0, 1], label_smoothing=2), ValueError, "label_smoothing"),
        (lambda: F.mse_loss(np.ones(3), np.ones((3, 1))), ad.errors.ShapeError, "must agree"),
        (lambda: F.layer_norm(np.ones((2, 3)), 2), ad.errors.ShapeError, "normalized_shape"),
        (lambda: F.one_hot([0.5]), ad.errors.DTypeError, "integers"),
        (lambda: F.gelu(1.0, "fast"), ValueError, "approximate"),
        (lambda: F.dropout(1.0, 1.5), ValueError, "probability"),
    ],
)
def test_what_does_not_fit_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# --- the others --------------------------------------------------------------------------------------------------------


def test_gelu_and_silu_have_all_digits_in_the_tail():
    x = -10.0
    assert F.gelu(x).item() == pytest.approx(x * math.erfc(-x / math.sqrt(2)) / 2, rel=1e-14)
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    wanted = math.erfc(-x / math.sqrt(2)) / 2 + x * density
    assert ad.grad(F.gelu)(x).item() == pytest.approx(wanted, rel=1e-13)
    assert F.silu(-800.0).item() == 0 and F.silu(2.0).item() == pytest.approx(2 / (1 + math.exp(-2)))
    assert F.gelu(2.0, approximate="tanh").item() == pytest.approx(F.gelu(2.0).item(), abs=1e-3)


def test_layer_norm(rng):
    x, w, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    flat = x.reshape(2, -1)
    wanted = (flat - flat.mean(1, keepdims=True)) / np.sqrt(flat.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(F.layer_norm(x, (3, 4), w, b), wanted.reshape(x.shape) * w + b, rtol=1e-12)


def test_rows_are_looked_up_and_add_up(rng):
    table = rng.normal(size=(4, 3))
    y, pull = ad.vjp(lambda table: F.embedding([[0, 2], [2, 2]], table), table)
    np.testing.assert_array_equal(y, table[[[0, 2], [2, 2]]])
    np.testing.assert_array_equal(pull(np.ones((2, 2, 3)))[0], np.array([1, 0, 3, 0])[:, None] * np.ones(3))
    np.testing.assert_array_equal(F.one_hot([[2], [0]], 3), [[[0, 0, 1]], [[1, 0, 0]]])


def test_dropout_keeps_the_mean_and_drops_the_gradient():
    x = np.ones(100_000)
    rng = ad.random.default_rng(0)
    y, pull = ad.vjp(lambda x: F.dropout(x, 0.25, rng=rng), x)
    assert set(np.unique(np.asarray(y))) == {0, 4 / 3}
    assert abs(np.mean(y) - 1) < 5 * math.sqrt(1 / 3 / x.size)
    np.testing.assert_array_equal(pull(x)[0], y)
    np.testing.assert_array_equal(F.dropout(x, 0.5, training=False), x)
    np.testing.assert_array_equal(F.dropout(x, 1.0, rng=rng), 0 * x)


def test_attention(rng):
    q, k, v = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 5, 6))
    scores = q @ k.swapaxes(-1, -2) / 2
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v), np.exp(log_shares(scores)) @ v, rtol=1e-12)
    seen = np.tril(np.ones((3, 5), bool))
    wanted = np.exp(log_shares(np.where(seen, scores, -1e300))) @ v
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v, is_causal=True), wanted, rtol=1e-12)
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v, seen), wanted, rtol=1e-12)
    added = np.where(seen, 0.0, -INF)
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v, added), wanted, rtol=1e-12)


def test_a_query_that_sees_no_key_gives_nothing(rng):
    q, k, v = rng.normal(size=(3, 2, 4))
    y, pull = ad.vjp(lambda *x: F.scaled_dot_product_attention(*x, np.array([[True, False], [False, False]])), q, k, v)
    np.testing.assert_array_equal(y, [v[0], 0 * v[0]])
    for cotangent in pull(np.ones((2, 4))):
        assert np.isfinite(cotangent).all() and not np.asarray(cotangent)[1].any()
