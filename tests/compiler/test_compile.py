"""Compiled functions give what the functions themselves give: trees, dtypes, transforms inside and outside."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
import pytest

import arrayad as ad
from arrayad import tree
from arrayad.compiler import Compiled
from arrayad.errors import CompileError


def array(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def assert_same(found, wanted):
    """Two trees hold the same arrays, but for the order of sums."""
    leaves, structure = tree.flatten(found)
    others, expected = tree.flatten(wanted)
    assert structure == expected
    for x, y in zip(leaves, others, strict=True):
        assert type(x) is type(y)
        if np.asarray(y).dtype.kind in "fc":
            np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-13, strict=True)
        else:
            np.testing.assert_array_equal(np.asarray(x), np.asarray(y), strict=True)


class Pair(NamedTuple):
    first: Any
    second: Any


def test_a_function_runs_once_for_each_shape_and_dtype():
    def f(x):
        return ad.sum(ad.sin(x) * x)

    compiled = ad.compile(f)
    for x in (array(3), array(3, seed=1), array(4), array(3, dtype="float32"), array(3, seed=2)):
        found = compiled(ad.tensor(x))
        assert_same(found, ad.sum(ad.sin(ad.tensor(x)) * ad.tensor(x)))
    assert compiled.traces == 3


def test_arrays_and_tensors_may_come_and_the_array_is_read_at_each_call():
    compiled = ad.compile(lambda x: x * 2)
    x = np.ones(3)
    assert compiled(x).tolist() == [2, 2, 2]
    x[:] = 5
    assert compiled(x).tolist() == [10, 10, 10]
    kept = compiled(x)
    x[:] = 0
    assert kept.tolist() == [10, 10, 10]
    assert compiled(ad.tensor(x)).tolist() == [0, 0, 0]


def test_what_is_returned_unchanged_does_not_share_the_callers_array():
    compiled = ad.compile(lambda x: x)
    x = np.ones(3)
    compiled(x)
    y = compiled(x)
    x[:] = 7
    assert y.tolist() == [1, 1, 1]


@pytest.mark.parametrize("x", [array(4, 3).T, array(6)[::2], array(6)[::-1], np.float64(2.0), np.float32(2.0), np.array(3)])
def test_strides_and_scalars(x):
    f = lambda x: x * 2 + 1  # noqa: E731
    compiled = ad.compile(f)
    for _ in range(2):
        assert_same(compiled(ad.asarray(x)), f(ad.asarray(x)))
        assert_same(compiled(x), f(ad.asarray(x)))


@pytest.mark.filterwarnings("ignore:.*has been traced:RuntimeWarning")
def test_trees_go_in_and_come_out():
    def f(data, pair, *rest, scale, bias=None):
        y = data["w"] @ data["x"][0] * scale
        return {"y": y, "pair": Pair(pair.second, pair.first * 2), "rest": [*rest], "none": None, "name": data["name"], "n": 3}

    compiled = ad.compile(f)
    for seed in range(3):
        args = (
            {"w": ad.tensor(array(2, 3, seed=seed)), "x": (ad.tensor(array(3, seed=seed)),), "name": "a"},
            Pair(ad.tensor(1.0), 2.5),
        )
        assert_same(compiled(*args, ad.tensor(seed), scale=2.0), f(*args, ad.tensor(seed), scale=2.0))
    assert compiled.traces == 1
    args[0]["name"] = "b"
    assert compiled(*args, ad.tensor(1), scale=2.0)["name"] == "b" and compiled.traces == 2
    compiled(*args, ad.tensor(1), scale=3.0)
    compiled(*args, ad.tensor(1), ad.tensor(1), scale=3.0)
    compiled(*args, ad.tensor(1), scale=3.0, bias=1)
    assert compiled.traces == 5


@pytest.mark.filterwarnings("ignore:.*has been traced:RuntimeWarning")
def test_python_numbers_keep_their_weak_dtypes():
    f = lambda x, a, n: (x * a) ** n  # noqa: E731
    compiled = ad.compile(f)
    x = ad.tensor(array(3, dtype="float32"))
    for a, n in ((0.1, 2), (0.1, 3), (0.2, 2), (1, 2), (True, 2), (1.0, 2)):
        assert_same(compiled(x, a, n), f(x, a, n))


LOSS = lambda w, x: ad.sum(ad.tanh(x @ w) ** 2)  # noqa: E731
W, X = array(3), array(4, 3, seed=1)

TRANSFORMS = {
    "grad": ad.grad(LOSS),
    "value_and_grad": ad.value_and_grad(LOSS),
    "grad of both": ad.grad(LOSS, argnums=(0, 1)),
    "hessian": ad.hessian(LOSS),
    "jacfwd": ad.jacfwd(lambda w, x: ad.tanh(x @ w)),
    "jacrev": ad.jacrev(lambda w, x: ad.tanh(x @ w)),
    "vmap": ad.vmap(lambda w, x: ad.dot(w, x), in_axes=(None, 0)),
    "vmap of grad": ad.vmap(ad.grad(lambda w, x: ad.dot(w, x) ** 2), in_axes=(None, 0)),
    "jvp": lambda w, x: ad.jvp(lambda w: LOSS(w, x), (w,), (w,)),
    "vjp": lambda w, x: ad.vjp(lambda w: x @ w, w)[1](ad.ones(4)),
    "hvp": lambda w, x: ad.hvp(lambda w: LOSS(w, x), w, w),
    "scan": lambda w, x: ad.scan(lambda c, row: (ad.tanh(c * row), ad.sum(c)), w, x),
    "grad of scan": ad.grad(lambda w, x: ad.sum(ad.scan(lambda c, row: (ad.tanh(c * row), None), w, x)[0])),
    "cond": lambda w, x: ad.cond(ad.sum(w) > 0, lambda w: w * 2, lambda w: -w, w),
    "while_loop": lambda w, x: ad.while_loop(lambda c: ad.sum(c) < 100, lambda c: c * c + 1, w),
    "compiled inside": lambda w, x: ad.compile(LOSS)(w, x) * 2,
    "grad of compiled": ad.grad(ad.compile(LOSS)),
    "backward inside": lambda w, x: backward_inside(w, x),
    "checkpoint": ad.grad(ad.checkpoint(LOSS)),
}


def backward_inside(w, x):
    leaf = ad.tensor(w, requires_grad=True)
    LOSS(leaf, x).backward()
    return leaf.grad


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_inside(name):
    f = TRANSFORMS[name]
    wanted = f(ad.tensor(W), ad.tensor(X))
    compiled = ad.compile(f)
    for _ in range(2):
        found = compiled(ad.tensor(W), ad.tensor(X))
        for x, y in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-14, atol=1e-14)
    assert compiled.traces == 1


@pytest.mark.parametrize("transform", [ad.grad, ad.hessian, ad.value_and_grad, lambda f: ad.vmap(f, in_axes=(None, 0))])
@pytest.mark.parametrize("warm", [False, True])
def test_transforms_outside(transform, warm):
    compiled = ad.compile(LOSS)
    if warm:
        compiled(ad.tensor(W), ad.tensor(X))
        compiled(ad.tensor(W), ad.tensor(X[0]))
    found, wanted = transform(compiled)(ad.tensor(W), ad.tensor(X)), transform(LOSS)(ad.tensor(W), ad.tensor(X))
    assert_same(found, wanted)
    assert_same(compiled(ad.tensor(W), ad.tensor(X)), LOSS(ad.tensor(W), ad.tensor(X)))


def test_a_trace_by_shapes_goes_through_a_compiled_function():
    tape = ad.trace(ad.compile(LOSS))(ad.Shaped((3,), "float64"), ad.Shaped((4, 3), "float64"))
    assert len(tape) == len(ad.trace(LOSS)(ad.Shaped((3,), "float64"), ad.Shaped((4, 3), "float64")))


def test_leaves_as_arguments_keep_their_gradients():
    def f(w):
        ad.sum(w * w).backward()
        return w.detach() * 1

    compiled = ad.compile(f)
    w = ad.tensor([1.0, 2.0], requires_grad=True)
    for i in range(1, 4):
        assert compiled(w).tolist() == [1, 2]
        assert w.grad.tolist() == [2 * i, 4 * i]
        assert w.is_leaf and w.requires_grad


def test_arguments_are_changed_in_place_as_they_are_without_the_compiler():
    def f(x, y):
        x += y
        x[0] = 5.0
        return x

    compiled = ad.compile(f)
    for _ in range(3):
        x, y = ad.tensor([1.0, 2.0]), ad.tensor([1.0, 1.0])
        assert compiled(x, y) is x
        assert x.tolist() == [5, 3] and y.tolist() == [1, 1] and x.history is None


def test_one_tensor_in_two_places_is_another_program():
    def f(x, y):
        x += 1.0
        return x + y

    compiled = ad.compile(f)
    for _ in range(2):
        x, y = ad.tensor(1.0), ad.tensor(1.0)
        assert compiled(x, y).item() == 3
        x = ad.tensor(1.0)
        assert compiled(x, x).item() == 4


def test_a_generator_as_an_argument_moves_on():
    compiled = ad.compile(lambda rng: rng.normal(size=2))
    first, second = ad.random.default_rng(1), ad.random.default_rng(1)
    for _ in range(3):
        assert compiled(first).tolist() == second.normal(size=2).tolist()
    assert compiled(ad.random.default_rng(7)).tolist() == ad.random.default_rng(7).normal(size=2).tolist()
    assert compiled.traces == 1


def test_a_model_as_an_argument_may_be_another_of_the_same_kind():
    compiled = ad.compile(ad.value_and_grad(lambda model, x: ad.sum(model(x) ** 2)))
    for _ in range(3):
        model, x = ad.nn.Linear(3, 2), ad.tensor(array(4, 3))
        value, gradient = compiled(model, x)
        wanted, expected = ad.value_and_grad(lambda model, x: ad.sum(model(x) ** 2))(model, x)
        np.testing.assert_allclose(value.item(), wanted.item(), rtol=1e-6)
        assert isinstance(gradient, ad.nn.Linear)
        np.testing.assert_allclose(gradient.weight.numpy(), expected.weight.numpy(), rtol=1e-6)
    assert compiled.traces == 1


def test_methods_are_compiled_for_each_kind_of_object():
    class Line:
        def __init__(self, slope):
            self.slope = slope

        @ad.compile
        def at(self, x):
            return self.slope * x

    a, b = Line(ad.tensor(2.0)), Line(ad.tensor(3.0))
    assert [a.at(2.0).item(), b.at(2.0).item(), a.at(2.0).item()] == [4, 6, 4]
    assert Line.__dict__["at"].traces == 1
    c = Line(4.0)
    assert c.at(2.0) == 8.0


def test_the_decorator_takes_options_and_keeps_the_name():
    @ad.compile(background=False)
    def named(x):
        """What it does."""
        return x + 1

    assert isinstance(named, Compiled) and named.__name__ == "named" and named.__doc__ == "What it does."
    assert named(ad.tensor(1.0)).item() == 2
    assert ad.compile(named) is named


def test_the_tape_is_at_hand_after_a_call():
    compiled = ad.compile(lambda x: ad.sin(x) + 1)
    with pytest.raises(CompileError, match="call the compiled function first"):
        _ = compiled.tape
    compiled(ad.tensor(1.0))
    assert "sin" in compiled.tape.show() and len(compiled.tape) == 2


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="a function is needed"):
        ad.compile(3)


def test_threads_share_a_compiled_function():
    compiled = ad.compile(lambda x: ad.sum(x * x))
    found: dict[int, list[float]] = {}

    def work(i):
        found[i] = [compiled(ad.tensor(np.full(3 + i % 2, float(i)))).item() for _ in range(50)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[i] == [(3 + i % 2) * i * i] * 50 for i in range(6))
    assert compiled.traces == 2
