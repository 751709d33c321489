"""No transform leaves anything behind, with the cycle collector off: what it recorded goes by reference counting alone."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from nesting import FUNCTIONS, LETTERS, OURS, POINT, nest

import arrayad as ad
from arrayad.readers.push import Reader
from arrayad.tape import Entry, Key, Live, Scope
from arrayad.tensor import Tensor
from arrayad.tracing import Tape

COUNTED = (Entry, Key, Live, Scope, Reader, Tensor, Tape)
X = np.array([0.3, -0.7, 1.2])


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Reference counting alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def census() -> Counter[str]:
    """How many objects there are of which a recording is made."""
    return Counter(kind.__name__ for kind in map(type, gc.get_objects()) if issubclass(kind, COUNTED))


def f(x: Any) -> Any:
    return ad.sum(ad.exp(x) * ad.tanh(x))


def jvp_of(g: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: ad.sum(ad.jvp(g, (x,), (x * 0.5,))[1])


def linearized(x: Any) -> Any:
    _, linear = ad.linearize(ad.grad(f), x)
    return linear(x) + linear(2.0 * x)


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "grad of jvp": ad.grad(jvp_of(f)),
    "grad of jvp of grad": ad.grad(jvp_of(ad.grad(f))),
    "jvp of grad": jvp_of(ad.grad(f)),
    "vmap of grad": lambda x: ad.vmap(ad.grad(lambda y: ad.exp(y) * ad.tanh(y)))(x),
    "jvp of vmap": jvp_of(ad.vmap(lambda y: ad.exp(y) * ad.tanh(y))),
    "hessian": ad.hessian(f),
    "hvp": lambda x: ad.hvp(f, x, x),
    "jet": lambda x: ad.jet(f, (x,), ([x, x, x],))[1],
    "grad of jet": ad.grad(lambda x: ad.jet(f, (x,), ([x, x],))[1][1]),
    "linearize": linearized,
    "vjp, kept": lambda x: [pull(1.0) for pull in [ad.vjp(f, x)[1]] for _ in range(2)],
    "cond": ad.grad(lambda x: ad.cond(x[0] > 0, f, lambda y: f(2.0 * y), x)),
    "vmap of cond": lambda x: ad.vmap(lambda y: ad.cond(y > 0, ad.exp, ad.tanh, y))(x),
    "backward through grad": lambda x: backward_through(x),
}


def backward_through(x: Any) -> Any:
    leaf = ad.tensor(np.asarray(x), requires_grad=True)
    ad.sum(ad.grad(f)(leaf)).backward()
    return leaf.grad


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_leaves_nothing_behind(name: str) -> None:
    x = ad.tensor(X)
    PROGRAMS[name](x)  # what is made once and kept, such as the tapes of rules
    before = census()
    for _ in range(3):
        result = PROGRAMS[name](x)
    del result
    assert census() == before


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("outer", LETTERS)
@pytest.mark.parametrize("inner", ["", *(pytest.param(letter, marks=pytest.mark.slow) for letter in LETTERS)])
def test_compositions_leave_nothing_behind(outer: str, inner: str) -> None:
    x = ad.tensor(POINT)
    for name in ("assignment", "where"):
        nest(OURS, outer + inner, FUNCTIONS[name], x, [])
        before = census()
        nest(OURS, outer + inner, FUNCTIONS[name], x, [])
        assert census() == before, f"{outer + inner!r} of {name}"


class Stop(Exception):
    """What the functions below raise in the middle."""


def stopped(x: Any) -> Any:
    raise Stop(ad.exp(x) * ad.tanh(x))


INTERRUPTED: dict[str, Callable[[Any], Any]] = {
    "grad": ad.grad(stopped),
    "vjp": lambda x: ad.vjp(stopped, x),
    "jvp": lambda x: ad.jvp(stopped, (x,), (x,)),
    "jet": lambda x: ad.jet(stopped, (x,), ([x, x],)),
    "linearize": lambda x: ad.linearize(stopped, x),
    "vmap": lambda x: ad.vmap(stopped)(x),
    "trace": lambda x: ad.trace(stopped)(x),
    "hessian": lambda x: ad.hessian(stopped)(x),
    "grad of jvp of grad": ad.grad(jvp_of(ad.grad(stopped))),
    "jvp of vmap of grad": jvp_of(ad.vmap(ad.grad(stopped))),
    "cond": ad.grad(lambda x: ad.cond(x[0] > 0, stopped, stopped, x)),
}


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_exception_in_the_middle_leaves_nothing_behind(name: str) -> None:
    """Scopes and readers are closed, and the next derivative is right."""
    x = ad.tensor(X)

    def attempt() -> None:
        try:
            INTERRUPTED[name](x)
        except Stop:
            return
        raise AssertionError("the exception did not come through")

    attempt()
    before = census()
    attempt()
    assert census() == before
    np.testing.assert_allclose(np.asarray(ad.grad(f)(x)), np.exp(X) * (np.tanh(X) + 1 / np.cosh(X) ** 2), rtol=1e-14)


@pytest.mark.usefixtures("no_collector")
def test_values_that_outlive_an_interrupted_transform_are_followed_no_longer() -> None:
    seen: list[Any] = []

    def leaking(x: Any) -> Any:
        seen.append(ad.exp(x))
        raise Stop

    for transform in (
        lambda: ad.jvp(leaking, (X,), (X,)),
        lambda: ad.grad(leaking)(X),
        lambda: ad.jet(leaking, (X,), ([X],)),
    ):
        with pytest.raises(Stop):
            transform()
        y = seen.pop() * 2.0
        assert float(y[0]) == 2 * np.exp(0.3)  # no warning: it is a constant of nobody any more


# --- forward mode streams -------------------------------------------------------------------------------------------


def peak_of(steps: int, run: Callable[[int], Any]) -> int:
    run(steps)  # what Python makes once for code that runs often
    tracemalloc.start()
    run(steps)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def chain(x: Any, steps: int) -> Any:
    for _ in range(steps):
        x = x + 0.001 * ad.sin(x)
    return x


STREAMS: dict[str, Callable[[int], Any]] = {
    "jvp": lambda n: ad.jvp(lambda x: chain(x, n), (np.ones(100),), (np.ones(100),)),
    "jvp of jvp": lambda n: ad.jvp(
        lambda y: ad.jvp(lambda x: chain(x, n) * y, (np.ones(100),), (np.ones(100),))[1], (np.ones(100),), (np.ones(100),)
    ),
    "jet": lambda n: ad.jet(lambda x: chain(x, n), (np.ones(100),), ([np.ones(100), np.ones(100)],)),
}


@pytest.mark.parametrize("name", STREAMS)
def test_forward_mode_holds_as_much_after_many_steps_as_after_few(name: str) -> None:
    few, many = (peak_of(steps, STREAMS[name]) for steps in (100, 500))
    assert many <= few + 100_000  # had each step left 100 numbers behind, that would be 320,000 bytes more


@pytest.mark.slow
def test_a_jvp_through_a_million_operations_holds_two_values() -> None:
    """And agrees with the closed form of the derivative of x ↦ c x, a million times."""
    steps = 250_000

    def function(x: Any) -> Any:
        for _ in range(steps):
            x = ((x * 1.000001) * 1.000001) * 1.000001
            x = x * 1.000001
        return x

    small, large = np.array([1.0]), np.ones(1000)
    value, tangent = ad.jvp(function, (small,), (small,))
    np.testing.assert_allclose(np.asarray(tangent), np.asarray(value), rtol=1e-15)
    np.testing.assert_allclose(np.asarray(tangent), np.exp(4 * steps * np.log1p(1e-6)), rtol=1e-9)
    steps = 20_000
    tracemalloc.start()
    ad.jvp(function, (large,), (large,))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * large.nbytes


# --- threads --------------------------------------------------------------------------------------------------------


def test_threads_do_not_see_each_others_transforms() -> None:
    """Each nests transforms of its own, over a Tensor that they share, at the same time."""
    shared = ad.tensor(X, requires_grad=True)
    start = threading.Barrier(4)
    found: dict[int, list[Any]] = {}

    def work(k: int) -> None:
        start.wait()
        found[k] = []
        for _ in range(10):
            g = ad.grad(lambda y: jvp_of(lambda z: ad.sum(ad.sin(k * z * y)))(y) + ad.sum(shared * y))
            found[k].append(np.asarray(g(X)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, results in found.items():
        # d/dy Σ cos(k y²) k y y/2 + Σ x y
        wanted = -np.sin(k * X * X) * k * X * (k * X * X) + np.cos(k * X * X) * k * X + X
        for result in results:
            np.testing.assert_allclose(result, wanted, rtol=1e-13, atol=1e-13)
