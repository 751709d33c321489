"""Sizes and numbers that vary from call to call."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import arrayad as ad
from arrayad import tree
from arrayad.compiler import backend
from arrayad.compiler.backend import DynamicError
from arrayad.compiler.replaying import Replay
from arrayad.errors import ShapeError

pytestmark = pytest.mark.usefixtures("replayed")


@pytest.mark.parametrize("dynamic", [{"x": 0, "y": 0}, {"x": (0,), "y": [0]}, {"x": {0: "batch"}, "y": {0: "batch"}}, True])
def test_named_dimensions_vary_without_complaint(dynamic):
    f = ad.compile(lambda x, y: ad.mean(ad.sum(x * y, axis=1)), dynamic=dynamic)
    for n in [*range(30), 3, 4, 5]:
        x = np.random.default_rng(n).normal(size=(max(n, 1), 3))
        assert f(ad.tensor(x), y=ad.tensor(x)).item() == pytest.approx((x * x).sum(1).mean(), rel=1e-13)


def test_other_dimensions_say_why_they_are_traced_again():
    f = ad.compile(lambda x: ad.sum(x), dynamic={"x": {0: "batch"}})
    for n in range(2, 8):
        f(ad.ones((n, 3)))
    f(ad.ones((7, 4)))
    f(ad.ones((7, 5)))
    with pytest.warns(RuntimeWarning, match=r"argument x was float64\[7, 5\] and is float64\[7, 6\]"):
        f(ad.ones((7, 6)))


def test_leaves_of_a_tree_share_what_is_said_of_their_argument():
    f = ad.compile(lambda batch: ad.sum(batch["x"] * batch["y"]), dynamic={"batch": {0: "n"}})
    assert [f({"x": ad.ones(n), "y": ad.ones(n)}).item() for n in (2, 3, 4, 5, 6, 7)] == [2, 3, 4, 5, 6, 7]
    with pytest.raises(ShapeError, match=r"dimension n is 3, but axis 0 of argument batch\['y'\] is 1"):
        f({"x": ad.ones(3), "y": ad.ones(1)})


@pytest.mark.parametrize(
    "dynamic, error, word",
    [(3, TypeError, "True is needed"), ({"z": 0}, TypeError, "names z"), ({"x": 2}, ShapeError, "no axis 2")],
)
def test_what_makes_no_sense_is_refused(dynamic, error, word):
    with pytest.raises(error, match=word):
        ad.compile(lambda x: x, dynamic=dynamic)(ad.ones(3))


# --- numbers -----------------------------------------------------------------------------------------------------------

F32 = ad.tensor(np.array([1.0, -2.0], "float32"))
I32 = ad.tensor(np.array([1, -2], "int32"))


@pytest.mark.parametrize(
    "f",
    [
        lambda x, a: x * a,
        lambda x, a: a - x,
        lambda x, a: x * (1 - a**2) / (a + 3),
        lambda x, a: ad.where(x > a, x, -a),
        lambda x, a: ad.maximum(x, a) + ad.asarray(a),
        lambda x, a: x * ad.sin(a) + a,
        lambda x, a: (x * a, a * 2, [a, {"b": a + 1}]),
        lambda x, a: ad.grad(lambda y: ad.sum(y * a) if y.dtype.kind == "f" else 0.0)(x * 1.5 * a),
        lambda x, a: ad.grad(lambda b: ad.sum(x * b))(1.0 * a),
        lambda x, a: ad.full(2, a) * x,
        lambda x, a: x + 1 if a > 0.45 else x - 1,
        lambda x, a: -a * x,
    ],
)
@pytest.mark.parametrize("x", [F32, I32], ids=["f32", "i32"])
@pytest.mark.parametrize("numbers", [(0.5, 0.25, 0.125, 0.75, 0.1, 0.2), (1, 2, 3, 4, 5, 6)], ids=["floats", "ints"])
def test_numbers_that_vary_are_inputs_and_remain_weak(f, x, numbers):
    compiled = ad.compile(f)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*has been traced")
        for number in numbers:
            found, wanted = tree.leaves(compiled(x, number)), tree.leaves(f(x, number))
            for y, z in zip(found, wanted, strict=True):
                assert type(y) is type(z), number
                np.testing.assert_allclose(np.asarray(y), np.asarray(z), rtol=1e-6, strict=True)
    assert compiled.traces <= 3


def test_numbers_that_python_needs_are_compared_instead():
    compiled = ad.compile(lambda x, a, n: x * math.sqrt(a) + n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for a in (1.0, 4.0, 9.0, 4.0):
            assert compiled(ad.tensor(2.0), a, 1).item() == 2 * math.sqrt(a) + 1


def test_a_rate_as_an_argument_of_a_functional_step():
    @ad.compile
    def step(w, rate):
        return w - rate * ad.grad(lambda w: ad.sum(w * w))(w)

    w, wanted = ad.ones(3, dtype="float32"), np.ones(3, "float32")
    for i in range(30):
        w, wanted = step(w, 0.1 / (i + 1)), wanted - np.float32(0.1 / (i + 1)) * 2 * wanted
        np.testing.assert_allclose(w.numpy(), wanted, rtol=1e-5)
    assert step.traces == 2


def test_one_executable_for_all_sizes_where_the_backend_has_one(monkeypatch):
    asked = []

    def for_all(make_tape, sizes):
        asked.append(dict(sizes))
        tapes = {}

        def execute(values, donate=frozenset()):
            n = values[0].shape[0]
            if n not in tapes:
                tapes[n] = Replay(make_tape({"batch": n}))
            return tapes[n](values)

        assert len(make_tape(sizes)) == len(make_tape({"batch": 11}))
        return execute

    monkeypatch.setattr(backend, "DYNAMIC", for_all)
    total, runs = ad.tensor(0.0), {"last": 0}

    @ad.compile(dynamic={"x": {0: "batch"}, "labels": {0: "batch"}})
    def f(x, labels):
        nonlocal total
        loss = ad.nn.functional.cross_entropy(x, labels)
        total += loss
        return loss

    expected = 0.0
    for n in (4, 5, 1, 7, 4, 1):
        x, labels = np.random.default_rng(n).normal(size=(n, 3)), np.random.default_rng(n).integers(0, 3, n)
        wanted = ad.nn.functional.cross_entropy(x, labels).item()
        expected += wanted
        assert f(x, labels).item() == pytest.approx(wanted, rel=1e-14)
        assert total.item() == pytest.approx(expected, rel=1e-13) and runs == {"last": 0}
    assert f.traces == 2 and asked == [{"batch": 4}]


def test_a_function_that_is_another_at_other_sizes_has_a_program_for_each(monkeypatch):
    def for_all(make_tape, sizes):
        raise DynamicError("no")

    monkeypatch.setattr(backend, "DYNAMIC", for_all)
    f = ad.compile(lambda x: ad.sum(x) if x.shape[0] % 2 else -ad.sum(x), dynamic={"x": 0})
    assert [f(ad.ones(n)).item() for n in range(1, 8)] == [1, -2, 3, -4, 5, -6, 7]
