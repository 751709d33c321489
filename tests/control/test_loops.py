"""`fori_loop` and `while_loop` are the Python loops that they stand for, under every transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from composing import BATCHES, CARRY, POINT, TRANSFORMS, XS, W, assert_close, assert_same, assert_same_in_batches, gradient

import arrayad as ad
from arrayad.errors import DTypeError, ShapeError


def fori(c: Any, xs: Any, w: Any, checkpoint: Any = None) -> Any:
    xs = ad.asarray(xs)
    return ad.fori_loop(1, 5, lambda i, c: ad.sin(c * w) + xs[i] * i, c, checkpoint=checkpoint)


def fori_in_python(c: Any, xs: Any, w: Any) -> Any:
    for i in range(1, 5):
        c = ad.sin(c * w) + xs[i] * i
    return c


def counted(c: Any, xs: Any, w: Any, checkpoint: Any = None) -> Any:
    xs = ad.asarray(xs)
    state = ad.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, ad.sin(s[1] * w) + xs[s[0]]), (0, c), checkpoint=checkpoint)
    return state[1]


def counted_in_python(c: Any, xs: Any, w: Any) -> Any:
    for i in range(5):
        c = ad.sin(c * w) + xs[i]
    return c


def growing(c: Any, xs: Any, w: Any) -> Any:
    """Condition and body take what they captured; the examples of a batch take different numbers of trips."""
    return ad.while_loop(lambda c: ad.sum(c * c) + 0.01 * w[0] < 5.0, lambda c: c * 1.5 + 0.1 * ad.sin(w) + xs[0], c)


def growing_in_python(c: Any, xs: Any, w: Any) -> Any:
    while float(ad.stop_gradient(ad.sum(c * c) + 0.01 * w[0])) < 5.0:
        c = c * 1.5 + 0.1 * ad.sin(w) + xs[0]
    return c


@pytest.mark.parametrize("name", TRANSFORMS)
def test_fori_loop_is_a_loop(name: str) -> None:
    assert_same(fori, fori_in_python, name)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_while_loop_that_counts_is_a_loop(name: str) -> None:
    assert_same(counted, counted_in_python, name)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_while_loop_whose_trips_depend_on_its_values_is_a_loop(name: str) -> None:
    assert_same(growing, growing_in_python, name)


@pytest.mark.parametrize("batched", BATCHES, ids=str)
def test_batches(batched: Any) -> None:
    assert_same_in_batches(fori, fori_in_python, batched)
    assert_same_in_batches(counted, counted_in_python, batched)
    assert_same_in_batches(growing, growing_in_python, batched)


@pytest.mark.parametrize("checkpoint", [1, 2, "sqrt", "binomial", ("binomial", 3)], ids=str)
def test_schedules_change_no_derivative(checkpoint: Any) -> None:
    for name in ("grad", "jvp of grad", "grad of grad", "trace of grad"):
        assert_same(lambda c, xs, w: counted(c, xs, w, checkpoint), counted_in_python, name)
        assert_same(lambda c, xs, w: fori(c, xs, w, checkpoint), fori_in_python, name)


@pytest.mark.parametrize("name", ["value", "grad", "jvp", "jvp of grad", "grad of grad", "jet", "trace of grad", "grad of vmap"])
def test_a_while_loop_within_a_scan(name: str) -> None:
    def program(c: Any, xs: Any, w: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            return ad.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, ad.sin(s[1] * w) + x), (0, c))[1], None

        return ad.scan(step, c, xs, checkpoint="sqrt")[0]

    def loops(c: Any, xs: Any, w: Any) -> Any:
        for i in range(5):
            for _ in range(3):
                c = ad.sin(c * w) + xs[i]
        return c

    assert_same(program, loops, name)


# --- batches of which some end earlier -----------------------------------------------------------------------------


def halving(x: Any, a: Any) -> Any:
    """Steps of x -> sqrt(x - a) as long as x > 1: what a finished example would give next is nan."""
    return ad.while_loop(lambda x: x > 1.0, lambda x: ad.sqrt(x - a), x)


def test_finished_examples_bring_no_nan() -> None:
    xs = np.array([0.3, 9.0, 1.7, 0.0, 200.0])
    a = 0.5

    def one(x: float) -> tuple[float, float, float]:
        y, dx, da = x, 1.0, 0.0
        while y > 1.0:
            root = np.sqrt(y - a)
            y, dx, da = root, dx / (2 * root), (da - 1) / (2 * root)
        return y, dx, da

    wanted = np.array([one(x) for x in xs]).T
    assert_close(ad.vmap(halving, in_axes=(0, None))(xs, a), wanted[0])
    dx, da = ad.vmap(ad.grad(halving, (0, 1)), in_axes=(0, None))(xs, a)
    assert_close((dx, da), (wanted[1], wanted[2]))
    assert_close(ad.grad(lambda a: ad.sum(ad.vmap(halving, in_axes=(0, None))(xs, a)))(a), wanted[2].sum())
    step = 1e-5
    second = ad.vmap(ad.grad(ad.grad(halving)), in_axes=(0, None))(xs, a)
    differences = [(one(x + step)[1] - one(x - step)[1]) / (2 * step) for x in xs]
    np.testing.assert_allclose(second.numpy(), differences, rtol=1e-5, atol=1e-9)


def test_examples_that_are_infinite_or_nan_stay_alone() -> None:
    xs = np.array([np.nan, 4.0, -np.inf, np.inf])

    def program(x: Any) -> Any:
        return ad.while_loop(lambda s: (s[1] > 1.0) & (s[0] < 3), lambda s: (s[0] + 1, ad.sqrt(s[1])), (0, x))[1]

    assert_close(ad.vmap(program)(xs), np.array([np.nan, 4.0**0.125, -np.inf, np.inf]))
    assert_close(ad.vmap(ad.grad(program))(xs)[:3], np.array([1.0, 0.125 * 4.0**-0.875, 1.0]))


def test_newtons_method() -> None:
    def root(a: Any) -> Any:
        return ad.while_loop(lambda x: abs(x * x - a) > 1e-14 * a, lambda x: 0.5 * (x + a / x), a)

    xs = np.array([2.0, 1.0, 10.0, 1e6])
    assert_close(ad.vmap(root)(xs), np.sqrt(xs), rtol=1e-13)
    assert_close(ad.vmap(ad.grad(root))(xs[[0, 2, 3]]), 0.5 / np.sqrt(xs[[0, 2, 3]]), rtol=1e-8)


@pytest.mark.filterwarnings("ignore:.* result does not depend on")  # said of what the loop makes no use of
@pytest.mark.parametrize("trips", [0, 1, 2])
def test_few_trips(trips: int) -> None:
    def program(c: Any, xs: Any, w: Any) -> Any:
        return ad.fori_loop(0, ad.asarray(trips), lambda i, c: ad.sin(c * w), c)

    def loop(c: Any, xs: Any, w: Any) -> Any:
        for _ in range(trips):
            c = ad.sin(c * w)
        return c * 1.0

    assert_close(gradient(program)(*POINT), gradient(loop)(*POINT))
    assert_close(ad.vmap(lambda n: ad.fori_loop(0, n, lambda i, c: ad.sin(c * W), CARRY))(np.array([trips]))[0], loop(*POINT))


def test_traced_bounds_make_a_while_loop() -> None:
    x, n = np.array([2.0, 3.0, 4.0]), np.array([0, 3, 1])

    def power(x: Any, n: Any) -> Any:
        return ad.fori_loop(0, n, lambda i, c: c * x, x)

    assert_close(ad.vmap(power)(x, n), x ** (n + 1))
    assert_close(ad.vmap(ad.grad(power))(x, n), (n + 1) * x**n)
    assert_close(ad.vmap(ad.grad(ad.grad(power)))(x, n), (n + 1) * n * x ** (n - 1.0))


def test_bounds_that_leave_no_step() -> None:
    assert ad.fori_loop(5, 3, lambda i, c: c + 1, 1.0).item() == 1.0
    assert ad.fori_loop(-2, 1, lambda i, c: c + i, 0).item() == -3


def test_the_condition_may_be_a_number() -> None:
    assert ad.while_loop(lambda c: c, lambda c: c - 1, 5).item() == 0


def test_changes_in_place_stay_inside() -> None:
    def body(s: Any) -> Any:
        s["x"][0] = s["x"][1] + XS[0, 0]
        s["x"] *= 1.5
        return s

    start = ad.tensor(CARRY + 1.0)
    found = ad.while_loop(lambda s: ad.sum(s["x"]) < 20.0, body, {"x": start})["x"]
    x = CARRY + 1.0
    while x.sum() < 20.0:
        x = np.array([x[1] + XS[0, 0], x[1]]) * 1.5
    assert_close((found, start), (x, CARRY + 1.0))


@pytest.mark.parametrize(
    "error, words, call",
    [
        (DTypeError, r"condition is bool\[2\]; .*any\(\) or all\(\)", lambda: ad.while_loop(lambda c: c > 0, lambda c: c, W)),
        (DTypeError, r"condition is nothing", lambda: ad.while_loop(lambda c: None, lambda c: c, W)),
        (ShapeError, r"\[while_loop\] the carry is a tree", lambda: ad.while_loop(lambda c: c > 0, lambda c: (c, c), 1.0)),
        (DTypeError, r"lower is f64\[\]; a single integer", lambda: ad.fori_loop(0.0, 3, lambda i, c: c, 1.0)),
        (DTypeError, r"upper is i64\[2\]", lambda: ad.fori_loop(0, np.array([3, 4]), lambda i, c: c, 1.0)),
        (ValueError, r"\[while_loop\] checkpoint is 0", lambda: ad.while_loop(lambda c: c > 0, lambda c: c, 1.0, checkpoint=0)),
    ],
)
def test_errors_name_what_came(error: Any, words: str, call: Any) -> None:
    with pytest.raises(error, match=words):
        call()
