"""`scan` and `map` are the Python loops that they stand for, under every transform and schedule."""

from __future__ import annotations

import collections
import dataclasses
import threading
from typing import Any

import mpmath
import numpy as np
import pytest
from composing import BATCHES, CARRY, POINT, TRANSFORMS, XS, W, assert_close, assert_same, assert_same_in_batches, gradient

import arrayad as ad
from arrayad.errors import AbstractValueError, AnomalyError, DTypeError, ShapeError

SCHEDULES = [None, "sqrt", 1, 2, 3, "binomial", ("binomial", 3), ("binomial", 4)]


def step_by(w: Any) -> Any:
    def step(c: Any, x: Any) -> Any:
        y = ad.sin(c * w) + 0.5 * x * c[::-1]
        return y, ad.exp(y[0] * x) * w

    return step


def python_loop(f: Any, c: Any, xs: Any, reverse: bool = False) -> Any:
    ys = [None] * len(xs)
    for i in reversed(range(len(xs))) if reverse else range(len(xs)):
        c, ys[i] = f(c, xs[i])
    return c, ad.stack(ys)


def scanned(checkpoint: Any = None, reverse: bool = False) -> Any:
    return lambda c, xs, w: ad.scan(step_by(w), c, xs, reverse=reverse, checkpoint=checkpoint)


def looped(reverse: bool = False) -> Any:
    return lambda c, xs, w: python_loop(step_by(w), c, xs, reverse)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_scan_is_a_loop(name: str) -> None:
    assert_same(scanned(), looped(), name)
    assert_same(scanned(2, reverse=True), looped(reverse=True), name)


REVERSE = [name for name in TRANSFORMS if "grad" in name or name in ("backward", "jacrev", "hessian")]


@pytest.mark.parametrize("checkpoint", ["sqrt", ("binomial", 3)], ids=str)
def test_schedules_change_no_gradient(checkpoint: Any) -> None:
    for name in ("grad", "jvp of grad", "grad of grad"):
        assert_same(scanned(checkpoint), scanned(), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", REVERSE)
@pytest.mark.parametrize("checkpoint", SCHEDULES[1:], ids=str)
def test_schedules_change_no_derivative_of_any_kind(name: str, checkpoint: Any) -> None:
    assert_same(scanned(checkpoint), scanned(), name)
    assert_same(scanned(checkpoint, reverse=True), scanned(reverse=True), name)


@pytest.mark.parametrize("batched", BATCHES, ids=str)
@pytest.mark.parametrize("checkpoint", [None, "sqrt", ("binomial", 3)], ids=str)
def test_batches(batched: Any, checkpoint: Any) -> None:
    assert_same_in_batches(scanned(checkpoint), looped(), batched)
    assert_same_in_batches(scanned(checkpoint, reverse=True), looped(reverse=True), batched)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_scans_in_scans(name: str) -> None:
    def nested(c: Any, xs: Any, w: Any) -> Any:
        def outer(c: Any, x: Any) -> Any:
            c, ys = ad.scan(lambda c, y: (ad.sin(c * w) + y * x, c * y), c, xs, checkpoint=2)
            return c, ad.sum(ys)

        return ad.scan(outer, c, xs[:3], checkpoint="sqrt")

    def loops(c: Any, xs: Any, w: Any) -> Any:
        def outer(c: Any, x: Any) -> Any:
            c, ys = python_loop(lambda c, y: (ad.sin(c * w) + y * x, c * y), c, xs)
            return c, ad.sum(ys)

        return python_loop(outer, c, xs[:3])

    assert_same(nested, loops, name)


def test_a_scan_within_vmap_within_a_scan() -> None:
    def inner(row: Any, w: Any) -> Any:
        return ad.scan(lambda c, x: (ad.sin(c * w + x), None), 0.5, row)[0]

    def program(c: Any, xs: Any, w: Any) -> Any:
        return ad.scan(lambda c, x: (ad.vmap(lambda row: inner(row, w[0]))(xs)[:2] * c, ad.sum(c * x)), c, xs)

    def loops(c: Any, xs: Any, w: Any) -> Any:
        def one(row: Any) -> Any:
            y = 0.5
            for x in (row[0], row[1]):
                y = ad.sin(y * w[0] + x)
            return y

        return python_loop(lambda c, x: (ad.stack([one(xs[i]) for i in range(2)]) * c, ad.sum(c * x)), c, xs)

    for name in ("value", "grad", "jvp of grad", "grad of vmap", "trace of grad"):
        assert_same(program, loops, name)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_map_is_a_loop(name: str) -> None:
    assert_same(
        lambda c, xs, w: ad.map(lambda x: ad.exp(x * w) * c, xs),
        lambda c, xs, w: ad.stack([ad.exp(xs[i] * w) * c for i in range(5)]),
        name,
    )


# --- closed forms and values ---------------------------------------------------------------------------------------


def test_values_are_numpys() -> None:
    c, ys = ad.scan(lambda c, x: (c + x, c * x), 0.0, XS[:, 0])
    sums = np.cumsum(XS[:, 0])
    assert_close((c, ys), (sums[-1], (sums - XS[:, 0]) * XS[:, 0]))
    backwards = ad.scan(lambda c, x: (c + x, c + x), 0.0, XS[:, 0], reverse=True)[1]
    assert_close(backwards, np.cumsum(XS[::-1, 0])[::-1])


@pytest.mark.parametrize("checkpoint", SCHEDULES, ids=str)
def test_a_power_and_its_derivatives(checkpoint: Any) -> None:
    """Σ of n factors: x^n has the derivatives n x^(n-1), n (n-1) x^(n-2)."""

    def power(x: Any) -> Any:
        return ad.scan(lambda c, _: (c * x, None), 1.0, length=37, checkpoint=checkpoint)[0]

    x = 1.03
    assert_close(ad.grad(power)(x), 37 * x**36, rtol=1e-13)
    assert_close(ad.grad(ad.grad(power))(x), 37 * 36 * x**35, rtol=1e-13)
    assert_close(ad.jvp(ad.grad(power), (x,), (1.0,))[1], 37 * 36 * x**35, rtol=1e-13)


# --- lengths, trees, dtypes ----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.* result does not depend on")  # said of what the loop makes no use of
@pytest.mark.parametrize("checkpoint", SCHEDULES, ids=str)
@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_short_loops(length: int, checkpoint: Any) -> None:
    def program(c: Any, xs: Any, w: Any) -> Any:
        return ad.scan(step_by(w), c, xs[:length], checkpoint=checkpoint)

    def loop(c: Any, xs: Any, w: Any) -> Any:
        if not length:
            return c * 1.0, ad.zeros((0, 2))
        return python_loop(step_by(w), c, xs[:length])

    for transform in (lambda f: f, gradient, lambda f: lambda *p: ad.jvp(gradient(f), p, p)):
        assert_close(transform(program)(*POINT), transform(loop)(*POINT))


@dataclasses.dataclass
class State:
    position: Any
    velocity: Any


Pair = collections.namedtuple("Pair", "first second")


def test_trees_of_any_kind() -> None:
    def step(state: State, xs: Any) -> Any:
        assert xs["nothing"] is None and isinstance(xs["pair"], Pair)
        velocity = state.velocity - 0.1 * state.position * xs["pair"].first
        return State(state.position + 0.1 * velocity, velocity), [velocity, None, Pair((), xs["pair"].second)]

    xs = {"nothing": None, "pair": Pair(XS[:, 0], XS)}
    state, ys = ad.scan(step, State(1.0, 0.5), xs)
    position, velocity, seen = 1.0, 0.5, []
    for x in XS[:, 0]:
        velocity = velocity - 0.1 * position * x
        position = position + 0.1 * velocity
        seen.append(velocity)
    seen = np.array(seen)
    assert isinstance(state, State) and isinstance(ys[2], Pair) and ys[1] is None and ys[2].first == ()
    assert_close((state.position, state.velocity, ys[0], ys[2].second), (position, velocity, seen, XS))
    gradients = ad.grad(lambda s: ad.scan(step, s, xs)[0].position)(State(1.0, 0.5))
    assert isinstance(gradients, State)
    matrix = np.eye(2)
    for x in XS[:, 0]:
        matrix = np.array([[1 - 0.01 * x, 0.1], [-0.1 * x, 1.0]]) @ matrix
    assert_close((gradients.position, gradients.velocity), tuple(matrix[0]))


def test_nothing_at_all() -> None:
    assert ad.scan(lambda c, x: (None, None), None, XS) == (None, None)
    assert ad.scan(lambda c, _: ({}, ()), {}, length=3) == ({}, ())


@pytest.mark.parametrize("checkpoint", [None, 2])
def test_integers_and_booleans_ride_along(checkpoint: Any) -> None:
    def step(c: Any, x: Any) -> Any:
        i, y, late = c
        return (i + 1, y * x * i, late | (i > 2)), (i, late)

    def program(y: Any) -> Any:
        (i, y, late), trail = ad.scan(step, (1, y, False), np.full(4, 1.5), checkpoint=checkpoint)
        return y, (i, late, trail)

    g, (i, late, (numbers, flags)) = ad.grad(program, has_aux=True)(2.0)
    assert_close(g, 24 * 1.5**4)
    assert (i.item(), late.item(), numbers.tolist(), flags.tolist()) == (5, True, [1, 2, 3, 4], [False, False, False, True])
    assert i.dtype == np.int64 and late.dtype == np.bool_


def test_python_numbers_take_the_dtype_of_the_step() -> None:
    xs = np.float32([1.0, 2.0])
    assert ad.scan(lambda c, x: (c + x, None), 0.0, xs)[0].dtype == np.float32
    assert ad.scan(lambda c, x: (c + x, None), 0, xs)[0].dtype == np.float32
    assert ad.scan(lambda c, x: (c + x * 1.0, c), (1), np.arange(3))[0].dtype == np.float64
    c, ys = ad.scan(lambda c, x: (0, c), np.float32(5.0), xs)  # and as results of the step that of the carry
    assert (c.dtype, c.item(), ys.tolist()) == (np.float32, 0.0, [5.0, 0.0])
    with pytest.raises(DTypeError, match=r"\[scan\] carry is i64\[\], and f64\[\] after a step.*astype"):
        ad.scan(lambda c, x: (0.5, c), np.int64(5), xs)


def test_float32_stays_and_its_gradient_too() -> None:
    g = ad.grad(lambda x: ad.sum(ad.scan(lambda c, _: (ad.sin(c) * 2.0, None), x, length=5, checkpoint=2)[0]))(np.float32([0.5]))
    assert g.dtype == np.float32
    wide = ad.grad(lambda x: ad.sum(ad.scan(lambda c, _: (ad.sin(c) * 2.0, None), x, length=5)[0]))(np.array([0.5]))
    np.testing.assert_allclose(g.numpy(), wide.numpy(), rtol=1e-5)


def test_complex_carries() -> None:
    def program(z: Any) -> Any:
        return ad.abs(ad.scan(lambda c, _: (c * c * z, None), z, length=3, checkpoint=2)[0])

    z = 1 + 0.5j  # |z^15|, whose gradient is 15 |z|^13 z in the convention of the house
    assert_close(ad.grad(program)(z), 15 * abs(z) ** 13 * z)


# --- what a step may do --------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.* result does not depend on")  # said of what the loop makes no use of
@pytest.mark.parametrize("checkpoint", [None, 2])
@pytest.mark.parametrize(
    "step",
    [
        lambda c, x, w: (c, c),
        lambda c, x, w: (c, x),
        lambda c, x, w: (w, w),
        lambda c, x, w: (x, c),
        lambda c, x, w: (np.ones(2), 3.0),
        lambda c, x, w: (c * w, None),
        lambda c, x, w: (w * x, c),
        lambda c, x, w: (c[::-1], x),
    ],
    ids="input element capture swap constant unused-xs unused-carry view".split(),
)
def test_steps_that_do_little(step: Any, checkpoint: Any) -> None:
    def program(c: Any, xs: Any, w: Any) -> Any:
        c, ys = ad.scan(lambda c, x: step(c, x, w), c, xs, checkpoint=checkpoint)
        return (c * 1.0, ad.zeros(()) if ys is None else ys * 1.0)

    def loop(c: Any, xs: Any, w: Any) -> Any:
        ys = []
        for i in range(5):
            c, y = step(c, xs[i], w)
            ys.append(y)
        return (c * 1.0, ad.zeros(()) if ys[0] is None else ad.stack([ad.asarray(y) for y in ys]))

    for transform in (lambda f: f, gradient, lambda f: lambda *p: ad.jvp(f, p, p)):
        assert_close(transform(program)(*POINT), transform(loop)(*POINT))


def test_changes_in_place_stay_inside() -> None:
    def step(c: Any, x: Any) -> Any:
        c[0] = c[1] * x[0]
        c += x
        return c, c

    def plain(c: Any, x: Any) -> Any:
        c = ad.stack([c[1] * x[0], c[1]]) + x
        return c, c

    c = ad.tensor(CARRY)
    assert_close(ad.scan(step, c, XS), python_loop(plain, ad.tensor(CARRY), XS))
    assert_close(c, CARRY)
    carry, ys = ad.scan(step, c, XS)
    carry += 1.0
    assert_close(ys[-1], python_loop(plain, ad.tensor(CARRY), XS)[0])

    def weighted(scan: Any) -> Any:
        return lambda c: ad.sum(scan(c)[1] * np.arange(10.0).reshape(5, 2))

    found = ad.grad(weighted(lambda c: ad.scan(step, c, XS, checkpoint=2)))(CARRY)
    assert_close(found, ad.grad(weighted(lambda c: python_loop(plain, c, XS)))(CARRY))


def test_arrays_that_change_later_are_not_seen() -> None:
    w, c = W.copy(), CARRY.copy()
    _, back = ad.vjp(lambda c: ad.scan(step_by(w), c, XS)[0], c)
    before = back(np.ones(2))[0].numpy().copy()
    w[:], c[:] = 0.0, 0.0
    assert_close(back(np.ones(2))[0], before)


def test_a_generator_as_carry_draws_what_it_draws_outside() -> None:
    def step(c: Any, _: Any) -> Any:
        rng, scale = c
        z = rng.normal()
        return (rng, scale), scale * z

    def program(scale: Any) -> Any:
        return ad.scan(step, (ad.random.default_rng(3), scale), length=4, checkpoint=2)[1]

    rng = ad.random.default_rng(3)
    draws = [rng.normal().item() for _ in range(4)]
    assert_close(program(2.0), 2.0 * np.array(draws))
    assert_close(ad.grad(lambda s: ad.sum(program(s)))(2.0), sum(draws))


def test_a_captured_generator_gives_every_step_the_same() -> None:
    rng = ad.random.default_rng(3)
    ys = ad.scan(lambda c, _: (c, rng.normal()), np.zeros(()), length=3)[1].tolist()
    assert ys == [ad.random.default_rng(3).normal().item()] * 3


def test_leaves_that_a_step_captures() -> None:
    w = ad.tensor(W, requires_grad=True)
    for _ in range(2):
        ad.sum(ad.scan(step_by(w), CARRY, XS, checkpoint=2)[1]).backward()
    assert_close(w.grad, 2 * ad.grad(lambda w: ad.sum(python_loop(step_by(w), ad.tensor(CARRY), XS)[1]))(W))
    with ad.no_grad():
        assert not ad.scan(step_by(w), CARRY, XS)[0].requires_grad
        inside = ad.grad(lambda c: ad.sum(ad.scan(step_by(w), c, XS)[0]))(CARRY)
    assert_close(inside, ad.grad(lambda c: ad.sum(python_loop(step_by(W), c, XS)[0]))(CARRY))


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error, words, call",
    [
        (ShapeError, r"\[scan\] neither xs nor length came", lambda: ad.scan(lambda c, x: (c, x), 1.0)),
        (ShapeError, r"xs has 5, length is 4", lambda: ad.scan(lambda c, x: (c, x), 1.0, XS, length=4)),
        (
            ShapeError,
            r"xs\['a'\] has 5, xs\['b'\] has 2",
            lambda: ad.scan(lambda c, x: (c, x), 1.0, {"a": XS, "b": XS[:2]}),
        ),
        (ShapeError, r"xs\[0\] is f64\[\], which has no axis", lambda: ad.scan(lambda c, x: (c, x), 1.0, [1.0, 2.0])),
        (ValueError, r"length is -1", lambda: ad.scan(lambda c, x: (c, x), 1.0, length=-1)),
        (TypeError, r"length is float 2.5", lambda: ad.scan(lambda c, x: (c, x), 1.0, length=2.5)),
        (TypeError, r"pair \(carry, y\), it returned Tensor", lambda: ad.scan(lambda c, x: c, 1.0, XS)),
        (TypeError, r"returned str at result\[1\]", lambda: ad.scan(lambda c, x: (c, "no"), 1.0, XS)),
        (
            ShapeError,
            r"carry\['b'\] is missing",
            lambda: ad.scan(lambda c, x: ({"a": c["a"]}, None), {"a": 1.0, "b": 2.0}, XS),
        ),
        (
            ShapeError,
            r"shape of carry\['a'\] is \(\), and \(2,\) after",
            lambda: ad.scan(lambda c, x: ({"a": x}, 0), {"a": 1.0}, XS),
        ),
        (ShapeError, r"\[map\] xs is f64\[\], which has no axis", lambda: ad.map(ad.sin, 1.0)),
        (ShapeError, r"\[fori_loop\] the carry is a tree", lambda: ad.fori_loop(0, 2, lambda i, c: (c, c), 1.0)),
        (
            DTypeError,
            r"carry\[1\] is i64\[2\], and f64\[2\] after",
            lambda: ad.scan(lambda c, x: ((c[0], c[1] * 0.5), x), (1.0, np.arange(2)), XS),
        ),
        (AbstractValueError, r"where or cond", lambda: ad.scan(lambda c, x: (c if c > 0 else -c, x), 1.0, XS)),
        (ValueError, r"checkpoint is 'often'", lambda: ad.scan(lambda c, x: (c, x), 1.0, XS, checkpoint="often")),
    ],
)
def test_errors_name_what_came(error: Any, words: str, call: Any) -> None:
    with pytest.raises(error, match=words):
        call()


def test_an_exception_in_the_body_leaves_nothing_open() -> None:
    def failing(c: Any, x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ad.grad(lambda c: ad.sum(ad.scan(failing, c, XS)[0]))(CARRY)
    with pytest.raises(KeyError, match="mine"):
        ad.jvp(lambda c: ad.scan(failing, c, XS)[0], (CARRY,), (CARRY,))
    assert_same(scanned(), looped(), "grad")


def test_detect_anomaly_names_the_operation_and_the_line_in_the_body() -> None:
    with (
        ad.detect_anomaly(),
        pytest.raises(AnomalyError, match=r"\[log\] made nan of finite f64\[\], recorded at .*test_scan.py"),
    ):
        ad.scan(lambda c, _: (ad.log(c - 1.0), None), 2.5, length=5)
    with ad.detect_anomaly(), pytest.raises(AnomalyError, match=r"\[scan\] made inf"):
        ad.grad(lambda x: ad.scan(lambda c, _: (ad.sqrt(c), None), x, length=1)[0])(0.0)
    with ad.detect_anomaly():  # the infinity that a selection leaves out is none
        g = ad.grad(lambda x: ad.scan(lambda c, _: (ad.where(c > 0, ad.sqrt(c), 0.0), None), x, length=2)[0])(0.0)
    assert g.item() == 0.0


def test_threads_do_not_meet() -> None:
    found: dict[int, Any] = {}

    def work(k: int) -> None:
        found[k] = [x.numpy() for x in gradient(scanned(2))(CARRY * k, XS, W)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        assert_close(found[k], gradient(looped())(CARRY * k, XS, W))


def test_a_scan_shows_and_costs_what_its_steps_do() -> None:
    tape = ad.trace(lambda x: ad.scan(lambda c, _: (ad.sin(c), None), x, length=7)[0])(1.0)
    one = ad.trace(ad.sin)(1.0)
    assert tape.cost().forward.flops == 7 * one.cost().forward.flops
    assert "scan(w0, body={f64[] -> f64[]; 1 operations}" in tape.show() and "scanᵀ" in tape.show(reverse=True)


@pytest.mark.parametrize("checkpoint", [None, 2], ids=str)
def test_loops_keep_all_digits_of_numbers_that_have_more(checkpoint: Any) -> None:
    """x^(2^5) has the derivative 32 x^31."""
    with mpmath.workdps(40):
        x = np.array([mpmath.mpf(1) / 3, mpmath.mpf(3) / 2], dtype=object)
        f = ad.grad(lambda x: ad.sum(ad.scan(lambda c, _: (c * c, None), x, length=5, checkpoint=checkpoint)[0]))
        for y, z in zip(f(x), x, strict=True):
            assert abs(y.item() / (32 * z**31) - 1) < mpmath.mpf(10) ** -37
