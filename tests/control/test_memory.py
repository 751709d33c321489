"""Loops hold as many carries as their schedule says, and gradients no more than their `memory_limit`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
from composing import CARRY, XS, W, assert_close
from memory import left_behind, peak_bytes

import arrayad as ad
from arrayad import allowance
from arrayad.allowance import bytes_of
from arrayad.control.schedule import schedule_of

X = np.linspace(0.0, 1.0, 2000)
SIZE = X.nbytes
BESIDES = 12 * SIZE + 100_000
"""A step's intermediates, the gradient, and the program."""


@pytest.fixture(autouse=True)
def numpy_backend() -> Generator[None, None, None]:
    """NumPy's kernels, whose arrays tracemalloc sees."""
    with ad.backend("numpy"):
        yield


@pytest.fixture
def allowances(monkeypatch: pytest.MonkeyPatch) -> list[allowance.Allowance]:
    """Every allowance that is made."""
    made: list[allowance.Allowance] = []
    init = allowance.Allowance.__init__

    def noted(self: allowance.Allowance, limit: int) -> None:
        init(self, limit)
        made.append(self)

    monkeypatch.setattr(allowance.Allowance, "__init__", noted)
    return made


def loop(x: Any, length: int = 200, **options: Any) -> Any:
    return ad.scan(lambda c, _: (ad.sin(c), None), x, length=length, **options)[0]


def python_loop(x: Any, length: int = 200) -> Any:
    for _ in range(length):
        x = ad.sin(x)
    return x


def gradient(f: Any, limit: Any = None) -> Any:
    return ad.grad(lambda x: ad.sum(f(x)), memory_limit=limit)


# --- schedules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint", [None, "sqrt", 5, 50, "binomial", ("binomial", 12)], ids=str)
@pytest.mark.parametrize("length", [1, 60, 200])
def test_a_scan_holds_what_its_schedule_keeps(length: int, checkpoint: Any) -> None:
    g = gradient(lambda x: loop(x, length, checkpoint=checkpoint))
    most = schedule_of("scan", checkpoint, length).most_kept(length)
    found = peak_bytes(lambda: g(X))
    assert found <= most * SIZE + BESIDES
    if checkpoint is None and length == 200:
        assert found > 200 * SIZE
    assert_close(g(X), gradient(lambda x: python_loop(x, length))(X), rtol=1e-12)


@pytest.mark.parametrize("checkpoint", [None, 10, "binomial"], ids=str)
def test_a_while_loop_holds_what_its_schedule_keeps(checkpoint: Any) -> None:
    def f(x: Any) -> Any:
        return ad.while_loop(lambda s: s[0] < 200, lambda s: (s[0] + 1, ad.sin(s[1])), (0, x), checkpoint=checkpoint)[1]

    most = schedule_of("while_loop", checkpoint or "sqrt", 200).most_kept(200)
    assert peak_bytes(lambda: gradient(f)(X)) <= most * SIZE + BESIDES


def test_forward_mode_holds_nothing_of_the_steps() -> None:
    for f in (loop, python_loop):
        assert peak_bytes(lambda f=f: ad.jvp(f, (X,), (X,))) <= BESIDES
        assert peak_bytes(lambda f=f: ad.jvp(lambda x: ad.jvp(f, (x,), (X,)), (X,), (X,))) <= 2 * BESIDES


@pytest.mark.slow
def test_a_long_jvp_holds_nothing_of_the_steps() -> None:
    small = X[:10]
    assert peak_bytes(lambda: ad.jvp(lambda x: loop(x, 10**5), (small,), (small,))) < 300_000
    assert peak_bytes(lambda: ad.jvp(lambda x: python_loop(x, 10**5), (small,), (small,))) < 300_000


# --- memory_limit --------------------------------------------------------------------------------------------------


def several(x: Any) -> Any:
    for _ in range(4):
        x = loop(x)
    return x


def nested(x: Any) -> Any:
    return ad.scan(lambda c, _: (loop(c, 30), None), x, length=30)[0]


def nested_twice(x: Any) -> Any:
    return ad.scan(lambda c, _: (ad.scan(lambda c, _: (loop(c, 8), None), c, length=8)[0], None), x, length=8)[0]


def while_loop(x: Any) -> Any:
    return ad.while_loop(lambda s: s[0] < 200, lambda s: (s[0] + 1, ad.sin(s[1])), (0, x))[1]


def while_in_scan(x: Any) -> Any:
    body = lambda s: (s[0] + 1, ad.sin(s[1]))  # noqa: E731
    return ad.scan(lambda c, _: (ad.while_loop(lambda s: s[0] < 20, body, (0, c))[1], None), x, length=20)[0]


def loops_in_python(x: Any) -> Any:
    for _ in range(5):
        x = ad.cos(loop(x, 100))
    return x


PROGRAMS = [loop, several, nested, nested_twice, while_loop, while_in_scan, loops_in_python]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("carries", [40, 100])
def test_a_limit_holds_and_changes_no_gradient(f: Any, carries: int, allowances: list[Any]) -> None:
    g = gradient(f, carries * SIZE)
    assert_close(g(X[:3]), gradient(f)(X[:3]), rtol=1e-12)
    assert peak_bytes(lambda: g(X)) <= carries * SIZE + 2 * BESIDES
    assert all((a.used, a.holders, a.depth) == (0, {}, 0) for a in allowances) and len(allowances) == 2


def test_a_limit_that_is_wide_keeps_all() -> None:
    runs = []

    def counted(c: Any, _: Any) -> Any:
        return ad.sin(c), None

    for limit in (None, "1GB", 40 * SIZE):
        tape = ad.trace(lambda x, limit=limit: gradient(lambda x: ad.scan(counted, x, length=200)[0], limit)(x))(X)
        runs.append(tape.cost().forward.flops)
    assert runs[0] == runs[1] < runs[2] < 2 * runs[0]


@pytest.mark.parametrize("around", [lambda f: f, ad.detect_anomaly()], ids=["plain", "detect_anomaly"])
def test_a_python_loop_that_would_exceed_the_limit_raises_at_its_line(around: Any, allowances: list[Any]) -> None:
    with pytest.raises(MemoryError, match=r"memory_limit is 1,600,000 bytes.*test_memory.py:\d+ records.*ad.scan"):
        around(gradient(python_loop, 100 * SIZE))(X)
    assert [(a.used, a.holders) for a in allowances] == [(0, {})]
    assert_close(gradient(python_loop, 400 * SIZE)(X), gradient(python_loop)(X))


def test_a_carry_for_which_there_is_no_room() -> None:
    with pytest.raises(MemoryError, match=r"\[scan\] the carry takes 16,000 bytes.*at least 3 carries"):
        gradient(loop, 4 * SIZE)(X)


def test_the_sweep_gives_back_what_it_has_done_with(allowances: list[Any]) -> None:
    """A loop in the reverse pass finds the room that the later part of the recording took."""
    seen = []

    @ad.custom_vjp
    def look(x: Any) -> Any:
        return x * 1.0

    def back(_: Any, ct: Any) -> Any:
        seen.append(allowances[-1].used)
        return (ct,)

    look.defvjp(lambda x: (x * 1.0, None), back)
    gradient(lambda x: python_loop(look(python_loop(x, 3)), 50), 100 * SIZE)(X)
    assert seen and seen[-1] < 10 * SIZE


def test_second_derivatives_within_a_limit() -> None:
    x = X[:500]
    wanted = ad.hvp(lambda x: ad.sum(python_loop(x, 40)), x, x)
    limited = gradient(lambda x: loop(x, 40), 40 * x.nbytes)
    assert_close(ad.jvp(limited, (x,), (x,))[1], wanted)  # forward over reverse stays within the limit
    limited = gradient(lambda x: loop(x, 40), 1000 * x.nbytes)  # a sweep that is recorded in turn counts too
    assert_close(ad.grad(lambda x: ad.sum(limited(x) * X[:500]))(x), wanted)
    outer = ad.grad(lambda x: ad.sum(gradient(lambda x: loop(x, 40))(x) * X[:500]), memory_limit=1000 * x.nbytes)
    assert_close(outer(x), wanted)
    assert_close(
        gradient(lambda x: ad.jvp(lambda y: loop(y, 40), (x,), (x,))[1], 1000 * x.nbytes)(x)[:3],
        gradient(lambda x: ad.jvp(lambda y: python_loop(y, 40), (x,), (x,))[1])(x)[:3],
    )


def test_a_long_recording_that_is_charged_goes_without_recursion() -> None:
    def f(x: Any) -> Any:
        for _ in range(20_000):
            x = x + 1.0
        return x

    assert_close(ad.grad(f, memory_limit="1GB")(1.0), 1.0)


@pytest.mark.parametrize(
    "limit, wanted",
    [
        (5, 5),
        (5e3, 5000),
        ("5", 5),
        ("256MB", 256 * 10**6),
        (" 0.25 GB ", 250 * 10**6),
        ("1KiB", 1024),
        ("1kB", 1000),
        ("2MiB", 2 << 20),
    ],
)
def test_limits(limit: Any, wanted: int) -> None:
    assert bytes_of(limit) == wanted


@pytest.mark.parametrize("limit", [0, -1, True, 2.5, "", "MB", "1XB", "-1MB", "0.0001", "1 M B", "1iB"])
def test_what_is_no_limit_is_refused(limit: Any) -> None:
    with pytest.raises(ValueError, match=r"memory_limit is .*number of bytes"):
        ad.grad(ad.sin, memory_limit=limit)(1.0)


# --- nothing stays -------------------------------------------------------------------------------------------------


def programs_to_repeat() -> dict[str, Any]:
    def step(c: Any, x: Any) -> Any:
        return ad.sin(c * W) + x, c

    return {
        "scan": lambda: ad.grad(lambda c: ad.sum(ad.scan(step, c, XS, checkpoint=2)[0]))(CARRY),
        "second": lambda: ad.hessian(lambda c: ad.sum(ad.scan(step, c, XS)[0]))(CARRY),
        "while": lambda: ad.grad(lambda c: ad.while_loop(lambda c: c < 9.0, lambda c: 2 * c + 1, c))(1.0),
        "vmap of while": lambda: ad.vmap(ad.grad(lambda c: ad.while_loop(lambda c: c < 9.0, lambda c: 2 * c + 1, c)))(CARRY),
        "cond": lambda: ad.vmap(ad.grad(lambda x: ad.cond(x > 0, ad.sqrt, ad.sin, x)))(CARRY),
        "checkpoint": lambda: ad.grad(lambda x: ad.sum(ad.checkpoint(lambda x: ad.sin(x * x), lambda *_: True)(x)))(CARRY),
        "jet": lambda: ad.jet(lambda t: ad.scan(step, CARRY * t, XS)[0], (1.0,), ([1.0, 0.0, 0.0],)),
        "limit": lambda: gradient(loop, 40 * SIZE)(X),
    }


@pytest.mark.parametrize("name", programs_to_repeat())
def test_nothing_leaks(name: str) -> None:
    garbage, grown = left_behind(programs_to_repeat()[name])
    assert garbage == 0 and grown < 1000


# --- the adjoint of a long integration -----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_adjoint_of_ten_thousand_steps_of_runge_kutta() -> None:
    """80 MB of states, a limit of 16 MB.  For dy/dt = -k y each step multiplies by the polynomial p(-k h)."""
    n, steps, h = 1000, 10_000, 1e-4
    k = np.linspace(0.5, 2.0, n)

    def f(y: Any) -> Any:
        return -k * y

    def step(y: Any, _: Any) -> Any:
        k1 = f(y)
        k2 = f(y + 0.5 * h * k1)
        k3 = f(y + 0.5 * h * k2)
        k4 = f(y + h * k3)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    def loss(y: Any) -> Any:
        y = ad.scan(step, y, length=steps)[0]
        return ad.sum(y * y)

    y, limit = np.linspace(1.0, 2.0, n), 16_000_000
    z = -k * h
    growth = (1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24) ** steps
    g = ad.grad(loss, memory_limit=limit)
    found: list[Any] = []
    assert peak_bytes(lambda: found.append(g(y))) < limit
    np.testing.assert_allclose(found[0].numpy(), 2 * y * growth**2, rtol=1e-10)
