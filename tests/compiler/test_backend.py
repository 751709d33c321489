"""What runs a program: chosen in one place, in the background where asked, and told what it may overwrite."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref

import numpy as np
import pytest

import arrayad as ad
from arrayad.compiler import backend
from arrayad.compiler.backend import NoCompilerError
from arrayad.compiler.replaying import Broken, Replay


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(backend, "TOLD", [])


def test_the_backend_is_given_contiguous_arrays_of_the_inputs_shapes_and_dtypes(monkeypatch):
    seen = []

    class Checked(Replay):
        def __init__(self, tape, donations=None):
            super().__init__(tape, donations)
            self.wanted = [entry.output for entry in tape.inputs]

        def __call__(self, values, donate=frozenset()):
            for value, wanted in zip(values, self.wanted, strict=True):
                assert type(value) is np.ndarray and value.flags.c_contiguous
                assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype)
            seen.append(len(values))
            return super().__call__(values, donate)

    monkeypatch.setattr(backend, "BACKEND", Checked)
    scale = ad.sum(ad.tensor([1.0, 2.0]))  # a scalar of NumPy's inside
    f = ad.compile(lambda x, y, n: (x @ y * scale + n)[0])
    x, y = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3).T
    for n in (1.0, 2.0, 3.0, 4.0):
        np.testing.assert_allclose(f(ad.tensor(x), ad.asarray(y), n).numpy(), (x @ y * 3 + n)[0])
        if n > 1:
            np.testing.assert_allclose(f(x, y, n).numpy(), (x @ y * 3 + n)[0])
    assert seen and f.traces <= 4


def test_no_compiler_is_said_once_and_the_replay_runs(monkeypatch, told):
    def refuse(tape, donations):
        raise NoCompilerError("no C compiler was found: $CC, cc, gcc, clang and ziglang were tried")

    monkeypatch.setattr(backend, "BACKEND", refuse)
    f, g = ad.compile(lambda x: x + 1), ad.compile(lambda x: x * 2)
    with pytest.warns(RuntimeWarning, match="no C compiler was found.*replayed") as caught:
        found = [f(ad.tensor(1.0)).item(), g(ad.tensor(1.0)).item(), f(ad.tensor(3.0)).item()]
    assert found == [2, 2, 4]
    assert len(caught) == 1 and caught[0].filename == __file__


def test_in_the_background_the_replay_runs_until_the_executable_is_ready(monkeypatch):
    may_go, made = threading.Event(), []

    class Slow(Replay):
        def __init__(self, tape, donations=None):
            assert may_go.wait(20)
            super().__init__(tape, donations)
            made.append(threading.current_thread())

        def __call__(self, values, donate=frozenset()):
            return [y + 100 for y in super().__call__(values, donate)]

    monkeypatch.setattr(backend, "BACKEND", Slow)
    f = ad.compile(lambda x: x + 1, background=True)
    assert [f(ad.tensor(1.0)).item() for _ in range(3)] == [2, 2, 2] and not made
    may_go.set()
    f.wait()
    assert f(ad.tensor(1.0)).item() == 102
    assert made != [threading.current_thread()] and f.traces == 1


def test_what_fails_in_the_background_is_said(monkeypatch):
    def fail(tape, donations):
        raise ValueError("broken text")

    monkeypatch.setattr(backend, "BACKEND", fail)
    f = ad.compile(lambda x: x + 1, background=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        f(ad.tensor(1.0))
        f.wait()
    assert "ValueError in the background: broken text" in str(caught[0].message)
    assert f(ad.tensor(1.0)).item() == 2


def test_an_error_of_the_backend_leaves_the_state_as_it_was(monkeypatch):
    def fail(tape, donations):
        raise ValueError("broken text")

    monkeypatch.setattr(backend, "BACKEND", fail)
    total = ad.tensor(0.0)

    @ad.compile
    def f(x):
        nonlocal total
        total += x

    with pytest.raises(ValueError, match="broken text"):
        f(ad.tensor(1.0))
    assert total.item() == 0 and total.history is None


def test_large_state_that_nobody_else_holds_is_donated(monkeypatch):
    given = []

    class Donated(Replay):
        def __init__(self, tape, donations=None):
            super().__init__(tape, donations)
            self.donations = donations

        def __call__(self, values, donate=frozenset()):
            outs = super().__call__(values, donate)
            for i in donate:
                values[i].flags.writeable = True
                values[i][...] = outs[self.donations[i]]
                outs[self.donations[i]] = values[i]
            given.append((len(self.donations), len(donate)))
            return outs

    monkeypatch.setattr(backend, "BACKEND", Donated)
    w = ad.tensor(np.ones(2000), requires_grad=True)
    small = ad.tensor(np.ones(3), requires_grad=True)
    optimizer = ad.optim.Adam([w, small], lr=0.1)

    @ad.compile
    def step():
        optimizer.zero_grad()
        (ad.sum(w * w) + ad.sum(small)).backward()
        optimizer.step()

    step()
    step()
    assert given[-1] == (3, 3)  # the large leaf and its two moments
    kept, address = w.value, w.value.__array_interface__["data"][0]
    before = kept.copy()
    step()
    assert given[-1] == (3, 2) and np.array_equal(kept, before) and not np.array_equal(w.numpy(), before)
    del kept
    address = w.value.__array_interface__["data"][0]
    step()
    assert given[-1] == (3, 3) and w.value.__array_interface__["data"][0] == address


def test_a_program_keeps_neither_arguments_nor_results_nor_intermediate_values():
    f = ad.compile(lambda data, y: {"z": ad.sin(data["x"] @ y) + 1})

    def call():
        x, y = np.ones((50, 50)), ad.tensor(np.ones((50, 50)))
        z = f({"x": x}, y)["z"]
        return [weakref.ref(x), weakref.ref(y), weakref.ref(z), weakref.ref(z.value)]

    dead = [*call(), *call()]
    gc.collect()
    assert all(ref() is None for ref in dead)
    assert all(not isinstance(x, ad.Tensor) or not isinstance(x.value, np.ndarray) for e in f.tape.entries for x in e.inputs)


def test_replay_checks_guards_and_gives_arrays_of_its_own():
    tape = ad.trace(lambda x: x if x > 0 else -x)(2.0)
    run = Replay(tape)
    x = np.array(3.0)
    (y,) = run([x])
    assert y == 3 and y is not x and not np.shares_memory(x, y)
    with pytest.raises(Broken) as caught:
        run([np.array(-3.0)])
    assert caught.value.index == 0
