"""Who owns a recording, what it holds and when it goes; and the tape as text, graph and cost."""

from __future__ import annotations

import gc
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import AbstractValueError
from arrayad.readers.replay import GuardError, replay
from arrayad.tape import Entry


@pytest.fixture
def no_collector() -> Any:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> int:
    return sum(isinstance(found, Entry) for found in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
def test_recordings_go_by_reference_counting_alone() -> None:
    before = alive()
    x = ad.tensor(np.ones(4), requires_grad=True)
    for _ in range(100):
        y = ad.sum(ad.tanh(x * 2.0) + ad.exp(x))
        y.backward()
        ad.grad(lambda v: ad.sum(ad.grad(lambda u: ad.sum(u * u * v))(v)))(np.ones(3))
    del x, y
    assert alive() == before


@pytest.mark.slow  # a hundred thousand steps
@pytest.mark.usefixtures("no_collector")
def test_nothing_leaks_over_many_steps() -> None:
    w = ad.tensor(np.ones(4), requires_grad=True)

    def step() -> None:
        w.grad = None
        ad.sum(ad.sin(w) * w).backward()
        with ad.no_grad():
            w.__isub__(1e-6 * w.grad)

    def blocks(steps: int) -> int:
        for _ in range(steps):
            step()
        return sys.getallocatedblocks()

    before = blocks(10_000)  # until NumPy and Python have filled what they keep for reuse
    assert blocks(100_000) - before < 50


@pytest.mark.slow  # a million recorded operations
def test_a_chain_of_a_million_operations() -> None:
    x = ad.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = y * 1.0
    y.backward()
    assert x.grad.item() == 1.0
    del y
    z = ad.tensor(1.0, requires_grad=True) * 1.0
    for _ in range(1_000_000):
        z = z + 1.0
    del z


def test_only_residuals_are_held() -> None:
    """A sum of a million numbers holds no array; a product by a constant holds the constant only."""
    x = ad.tensor(np.ones(1_000), requires_grad=True)
    y = x
    for _ in range(10):
        y = y + 1.0
    assert all(value is None for value in y.history.residuals)
    z = x * 2.0
    assert [v is None for v in z.history.residuals] == [True, False, True]


def test_recording_is_per_thread() -> None:
    x = ad.tensor(1.0, requires_grad=True)
    found = []

    def other() -> None:
        found.append((x * 2.0).requires_grad)

    with ad.no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert not (x * 2.0).requires_grad
    assert found == [True]


# --- tapes ---------------------------------------------------------------------------------------------------------


def example(x: Any) -> Any:
    return ad.sin(x**2 + 1)


def test_the_trace_as_textbooks_set_it_out() -> None:
    text = str(ad.trace(example)(0.5))
    assert text.splitlines() == [
        "w0 = x          f64[]  0.5",
        "w1 = w0²        f64[]  0.25",
        "w2 = w1 + 1     f64[]  1.25",
        "w3 = sin(w2)    f64[]  0.948985",
    ]
    reverse = ad.trace(example)(0.5).show(reverse=True)
    assert "w̄2 = w̄3 · cos(w2)" in reverse and "w̄0 = w̄1 · (2 · w0)" in reverse and reverse.endswith("0.315322")


def test_a_tape_records_what_ran() -> None:
    def collatz(x: Any) -> Any:
        steps = 0
        while x > 1.5:
            x = x / 2.0 if int(np.asarray(x.value)) % 2 == 0 else 3.0 * x + 1.0
            steps += 1
        return x * steps

    tape = ad.trace(collatz)(6.0)
    assert len(tape.guards) == 9 and tape.guards[0][1] is True and "test_tape.py" in tape.guards[0][2]
    assert replay(tape, 6.0).item() == 8.0
    with pytest.raises(GuardError, match=r"the branch at .*test_tape\.py"):
        replay(tape, 1.0)


def recursive_power(x: Any, n: int) -> Any:
    return x if n == 1 else x * recursive_power(x, n - 1)


def test_loops_branches_and_recursion() -> None:
    assert ad.grad(lambda x: recursive_power(x, 5))(2.0).item() == 80.0
    assert ad.grad(lambda x: x**2 if x > 0 else -x)(-3.0).item() == -1.0


def test_abstract_values_refuse_to_become_numbers() -> None:
    shaped = ad.Shaped((), "float64")
    for convert in (bool, float, int, np.asarray, lambda x: x.item(), lambda x: x.numpy()):
        with pytest.raises(AbstractValueError, match="not known while tracing by shapes"):
            ad.trace(lambda x, convert=convert: convert(x * 2.0))(shaped)
    escaped = []
    ad.trace(lambda x: escaped.append(x * 1.0) or x)(shaped)
    with pytest.raises(AbstractValueError, match=r"\[sin\] f64\[\], known only by shape, was used after its trace had ended"):
        ad.sin(escaped[0])


def test_replay_of_a_gradient() -> None:
    tape = ad.trace(ad.grad(lambda x: ad.sum(ad.sin(x) * x)))(ad.Shaped((3,), "float64"))
    x = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(replay(tape, x), np.cos(x) * x + np.sin(x), rtol=1e-15)
    with pytest.raises(TypeError, match="1 operands were needed, 2 came"):
        replay(tape, x, x)


def test_cost() -> None:
    cost = ad.trace(lambda a, b: ad.sum(a @ b))(np.ones((10, 20)), np.ones((20, 30))).cost()
    assert cost.forward.flops == 2 * 10 * 20 * 30 + 299
    assert cost.forward.bytes_moved == 8 * (200 + 600 + 300) + 8 * 301
    assert cost.forward.peak_bytes == 8 * (200 + 600 + 300 + 1)
    assert cost.reverse.flops == 2 * (2 * 10 * 20 * 30)


def test_cost_of_programs_of_every_form() -> None:
    assert ad.trace(lambda x: x * 2.0 if ad.sum(x) > 0 else x)(np.ones(3)).cost().forward.operations == 3
    assert ad.trace(lambda: ad.ones(3))().cost().reverse.operations == 0
    assert ad.trace(lambda x: x)(np.ones(3)).cost().forward.peak_bytes == 24
    views = ad.trace(lambda x: ad.reshape(x * 2.0, (3, 2)))(np.ones(6)).cost()
    assert (views.forward.operations, views.forward.peak_bytes) == (1, 96)


def test_a_function_that_changes_its_argument_in_place() -> None:
    def f(a: Any) -> Any:
        a += 1.0
        return a * a

    tape = ad.trace(f)(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(replay(tape, np.array([2.0, 3.0])), [9.0, 16.0])


def test_the_dtype_of_a_python_number_is_its_own() -> None:
    shaped = ad.Shaped((2,), "int64")
    for number, dtype in [(1, "int64"), (1.0, "float64"), (True, "int64"), (1, "int64")]:
        tape = ad.trace(lambda x, number=number: x + number)(shaped)
        assert tape.outputs[0].dtype == dtype


def test_integers_in_a_trace_are_nobodys_derivative() -> None:
    x = np.array([1.0, 3.0, 2.0])
    for f, wanted in [
        (lambda x: ad.sum(x * ad.argmax(x)), [1.0, 1.0, 1.0]),
        (lambda x: ad.sum(x * ad.astype(x, "int64")), [1.0, 3.0, 2.0]),
        (lambda x: ad.sum(ad.sort(x) ** 2), [2.0, 6.0, 4.0]),
    ]:
        for tape in (ad.trace(ad.grad(f))(x), ad.trace(ad.grad(f))(ad.Shaped((3,), "float64"))):
            np.testing.assert_array_equal(replay(tape, x), wanted)
            assert tape.cost().forward.flops > 0 and tape.show(reverse=True)


@pytest.mark.slow  # starts a program
def test_draw_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("graphviz", reason="the drawing extra is not installed")
    if shutil.which("dot") is None:
        with pytest.raises(RuntimeError, match=r"the program `dot` of Graphviz is needed for \.svg"):
            ad.trace(example)(0.5).draw(tmp_path / "graph.svg")
        return
    ad.trace(example)(0.5).draw(tmp_path / "graph.svg")
    assert "sin(w2)" in (tmp_path / "graph.svg").read_text()


def test_draw(tmp_path: Path) -> None:
    pytest.importorskip("graphviz", reason="the drawing extra is not installed")
    tape = ad.trace(example)(0.5)
    tape.draw(tmp_path / "graph.dot")
    source = (tmp_path / "graph.dot").read_text()
    assert "w2 = w1 + 1" in source and "w2 -> w3" in source
