"""vmap: which axes, trees and numbers of examples it takes, what it refuses, and how it nests; the oracle is a loop."""

from __future__ import annotations

import functools
import gc
import itertools
import weakref
from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import AbstractValueError, ShapeError
from arrayad.primitive import TABLE
from arrayad.readers.replay import replay
from arrayad.tracing import record

Point = namedtuple("Point", "x y")


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-13, atol=1e-13)


# --- axes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_in_axes_says_where_the_examples_stand(axis, rng):
    x = rng.standard_normal((2, 3, 4))
    found = ad.vmap(lambda a: ad.sum(a * a, axis=0), in_axes=axis)(x)
    close(found, [np.sum(a * a, axis=0) for a in np.moveaxis(x, axis, 0)])


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_out_axes_says_where_they_go(axis, rng):
    x = rng.standard_normal((5, 2, 3))
    found = ad.vmap(lambda a: ad.exp(a), out_axes=axis)(x)
    close(found, np.moveaxis(np.exp(x), 0, axis))


def test_axes_of_each_argument_and_of_each_result(rng):
    x, y, z = rng.standard_normal((3, 2)), rng.standard_normal((2, 3)), rng.standard_normal(2)
    found = ad.vmap(lambda a, b, c: (a + b * c, a - b), in_axes=(0, 1, None), out_axes=(1, -2))(x, y, z)
    close(found[0], (x + y.T * z).T)
    close(found[1], x - y.T)


def test_a_list_of_axes_is_as_good_as_a_tuple(rng):
    x = rng.standard_normal((3, 2))
    close(ad.vmap(lambda a, b: a * b, in_axes=[0, None])(x, 2.0), 2 * x)


def test_arguments_and_results_are_trees(rng):
    w = {"w": rng.standard_normal((2, 3)), "b": rng.standard_normal((4, 3))}
    points = [Point(rng.standard_normal((4, 2)), None)]

    def f(p, q):
        return {"y": (q[0].x @ p["w"] + p["b"], p["w"]), "n": q[0].y}

    found = ad.vmap(f, in_axes=({"w": None, "b": 0}, 0), out_axes={"y": (0, None), "n": 0})(w, points)
    close(found["y"][0], points[0].x @ w["w"] + w["b"])
    close(found["y"][1], w["w"])
    assert found["n"] is None


def test_prefixes_stand_for_whole_trees(rng):
    batch = {"a": (rng.standard_normal(3), rng.standard_normal((3, 2))), "b": rng.standard_normal(2)}
    found = ad.vmap(lambda t: ad.sum(t["a"][1] * t["b"]) + t["a"][0], in_axes=({"a": 0, "b": None},))(batch)
    close(found, batch["a"][1] @ batch["b"] + batch["a"][0])


def test_keyword_arguments_are_batched_along_axis_0(rng):
    x, y = rng.standard_normal(3), rng.standard_normal((3, 2))
    close(ad.vmap(lambda a, *, b: a * b, in_axes=0)(x, b=y), x[:, None] * y)
    close(ad.vmap(lambda a, *, b: a * b, in_axes=None)(2.0, b=y), 2 * y)


def test_shared_arguments_come_as_they_are():
    seen: list[Any] = []

    def f(a: Any, n: Any, word: Any, array: Any) -> Any:
        seen.extend((n, word, array))
        return ad.broadcast_to(a, (n,)) + array[0] if word == "up" else a

    found = ad.vmap(f, in_axes=(0, None, None, None))(np.arange(2.0), 3, "up", np.array([10.0]))
    close(found, [[10.0] * 3, [11.0] * 3])
    assert seen[:2] == [3, "up"]
    assert isinstance(seen[2], ad.Tensor), "a NumPy array could not be indexed by what is traced"


def test_shared_arrays_can_be_branched_on_and_indexed_by_an_example():
    def f(i, table):
        return table[i] if table.sum() > 0 else -table[i]

    close(ad.vmap(f, in_axes=(0, None))(np.array([2, 0]), np.array([1.0, 2.0, 3.0])), [3.0, 1.0])
    close(ad.vmap(lambda i, d: d["t"][i], in_axes=(0, None))(np.array([2, 0]), {"t": np.arange(3.0)}), [2.0, 0.0])


def test_python_numbers_and_constants_among_the_results():
    found = ad.vmap(lambda a: (2.0, 3, a, np.ones(2)), out_axes=(0, None, 0, 1))(np.zeros(3))
    close(found[0], [2.0] * 3)
    assert found[1].shape == () and found[1].dtype == np.int64
    assert found[3].shape == (2, 3)


def test_python_numbers_stay_weak():
    x = np.ones(3, np.float32)
    assert ad.vmap(lambda a: 2.0 * a + 1)(x).dtype == np.float32
    assert ad.vmap(lambda a, c: c * a, in_axes=(0, None))(x, 2.0).dtype == np.float32


def test_examples_of_different_ranks_align_from_the_last_axis(rng):
    x, y = rng.standard_normal((4, 3)), rng.standard_normal(4)
    close(ad.vmap(lambda a, b: a * b)(x, y), x * y[:, None])
    close(ad.vmap(lambda a, b: ad.where(b > 0, a, 0.0))(x, y), np.where(y[:, None] > 0, x, 0))
    close(ad.vmap(lambda b: np.ones((2, 3)) * b)(y), np.ones((4, 2, 3)) * y[:, None, None])


def test_what_the_examples_share_is_computed_once():
    calls = []

    def f(x: Any, w: Any) -> Any:
        calls.append(x.shape)
        return x @ ad.exp(w)

    w = np.zeros((3, 3))
    tape = ad.trace(lambda x, w: ad.vmap(f, in_axes=(0, None))(x, w))(np.ones((5, 3)), w)
    assert calls == [(3,)]
    shapes = [entry.output.shape for entry in tape.entries if entry.primitive is TABLE["exp"]]
    assert shapes == [(3, 3)]


@pytest.mark.parametrize("shapes", [((4, 3), (3, 5)), ((3,), (3, 5)), ((2, 4, 3), (3, 5)), ((4, 3), (3,)), ((3,), (3,))])
@pytest.mark.parametrize("axes", [(0, None), (None, 0)])
def test_a_product_with_a_shared_factor_is_one_product_of_matrices(shapes, axes, rng):
    operands = [rng.standard_normal(s if a is None else (6, *s)) for s, a in zip(shapes, axes, strict=True)]
    tape = ad.trace(ad.vmap(ad.matmul, in_axes=axes))(*operands)
    products = [entry for entry in tape.entries if entry.primitive is TABLE["matrix_product"]]
    assert len(products) == 1
    assert products[0].output.ndim == 2
    loop = [np.matmul(*(x if a is None else x[i] for x, a in zip(operands, axes, strict=True))) for i in range(6)]
    close(ad.vmap(ad.matmul, in_axes=axes)(*operands), loop)


# --- sizes ---------------------------------------------------------------------------------------------------------


def test_no_examples_give_no_results():
    found = ad.vmap(lambda a: {"s": ad.sum(a), "m": a @ np.ones((3, 2)), "c": 1.0})(np.zeros((0, 3)))
    assert {k: v.shape for k, v in found.items()} == {"s": (0,), "m": (0, 2), "c": (0,)}
    assert ad.vmap(ad.grad(lambda a: ad.sum(a**2)))(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_chunks_change_nothing(chunk, rng):
    x, w = rng.standard_normal((7, 3)), rng.standard_normal((3, 2))

    def f(a, w):
        return {"y": ad.tanh(a @ w), "w": w * 2.0}

    found = ad.vmap(f, in_axes=(0, None), out_axes={"y": 1, "w": None}, chunk_size=chunk)(x, w)
    close(found["y"], np.tanh(x @ w).T)
    close(found["w"], 2 * w)

    def loss(w, size):
        return ad.sum(ad.vmap(f, in_axes=(0, None), chunk_size=size)(x, w)["y"] ** 2)

    close(ad.grad(loss)(w, chunk), ad.grad(loss)(w, None))
    assert ad.vmap(f, in_axes=(0, None), chunk_size=chunk)(x[:0], w)["y"].shape == (0, 2)


# --- what it refuses -----------------------------------------------------------------------------------------------


def refusals() -> list[tuple[Any, tuple[Any, ...], dict[str, Any], type[Exception], str]]:
    def two(a, b):
        return a + b

    x = np.ones((3, 2))
    return [
        (ad.vmap(two), (x, np.ones(4)), {}, ShapeError, "a has 3, b has 4"),
        (ad.vmap(two), (x,), {"b": np.ones(4)}, ShapeError, "a has 3, b has 4"),
        (ad.vmap(two), (x, 1.0), {}, ShapeError, "argument b is float 1.0, which has no axis 0"),
        (ad.vmap(lambda t: t["k"][0]), ({"k": [np.float64(1.0)]},), {}, ShapeError, r"argument t\['k'\]\[0\] is .*has no axis 0"),
        (ad.vmap(two, in_axes=(0, 2)), (x, x), {}, ShapeError, r"argument b is f64\[3,2\], which has no axis 2"),
        (ad.vmap(two, in_axes=(0, -3)), (x, x), {}, ShapeError, "no axis -3"),
        (ad.vmap(two, in_axes=(0,)), (x, x), {}, ValueError, "an entry for each of 2 positional arguments"),
        (ad.vmap(two, in_axes="0"), (x, x), {}, ValueError, "in_axes is '0'"),
        (ad.vmap(two, in_axes=(0, 1.5)), (x, x), {}, ValueError, "in_axes of argument b holds 1.5"),
        (ad.vmap(two, in_axes=(0, (0, 0))), (x, x), {}, ValueError, "in_axes of argument b is .* prefix"),
        (ad.vmap(two, in_axes=None), (x, x), {}, ValueError, "no argument is batched"),
        (ad.vmap(lambda: 1.0), (), {}, ValueError, "no argument is batched"),
        (ad.vmap(two, out_axes=None), (x, x), {}, ValueError, "the result differs between examples"),
        (ad.vmap(lambda a: {"k": a}, out_axes=None), (x,), {}, ValueError, r"the result\['k'\] differs"),
        (ad.vmap(two, out_axes=2), (x, x), {}, ShapeError, "no axis 2"),
        (ad.vmap(two, out_axes=(0, 0)), (x, x), {}, ValueError, "out_axes is .* prefix"),
        (ad.vmap(lambda a: lambda: a), (x,), {}, TypeError, "must return arrays"),
        (ad.vmap(lambda a: "text"), (x,), {}, TypeError, "the result is str"),
        (ad.vmap(lambda a: a if a.sum() > 0 else -a), (x,), {}, AbstractValueError, "where or cond"),
        (ad.vmap(lambda a: float(a.sum())), (x,), {}, AbstractValueError, "not known while tracing"),
        (ad.vmap(lambda a: np.ones(3)[a]), (np.arange(2),), {}, AbstractValueError, "not known while tracing"),
    ]


@pytest.mark.parametrize("f, args, kwargs, error, message", refusals())
def test_what_vmap_refuses_and_how(f, args, kwargs, error, message):
    with pytest.raises(error, match=message):
        f(*args, **kwargs)


def test_a_row_without_a_rule_is_named(monkeypatch):
    monkeypatch.setattr(TABLE["sin"], "batch", None)
    with pytest.raises(TypeError, match=r"\[sin\] the row has no batching rule"):
        ad.vmap(ad.sin)(np.ones(3))


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_chunks_have_a_positive_size(size):
    with pytest.raises(ValueError, match="chunk_size"):
        ad.vmap(ad.sin, chunk_size=size)


def test_a_failure_leaves_no_open_trace():
    def fails(a: Any) -> Any:
        kept.append(a)
        raise RuntimeError("on purpose")

    kept: list[Any] = []
    with pytest.raises(RuntimeError, match="on purpose"):
        ad.vmap(fails)(np.ones(3))
    with pytest.raises(AbstractValueError, match="after its trace had ended"):
        kept[0] + 1.0


# --- values and handles --------------------------------------------------------------------------------------------


def test_in_place_changes_stay_inside():
    def f(a: Any, shared: Any) -> Any:
        a[0] = 5.0
        a += shared
        shared *= 2.0
        return a * shared

    x, w = ad.tensor([[1.0, 2.0], [3.0, 4.0]]), ad.tensor([1.0, 10.0])
    close(ad.vmap(f, in_axes=(0, None))(x, w), [[12.0, 240.0], [12.0, 280.0]])
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]] and w.tolist() == [1.0, 10.0]


def test_results_are_handles_of_their_own():
    x, w = ad.tensor([1.0, 2.0]), ad.tensor(3.0)
    same, again, shared = ad.vmap(lambda a, b: (a, a, b), in_axes=(0, None), out_axes=(0, 0, None))(x, w)
    same += 1.0
    shared += 1.0
    assert x.tolist() == again.tolist() == [1.0, 2.0] and w.item() == 3.0


def test_numpy_arguments_may_change_afterwards():
    x = np.array([1.0, 2.0])
    _, back = ad.vjp(lambda w: ad.vmap(lambda a: a * w)(x), 3.0)
    x[...] = 100.0
    close(back(np.ones(2))[0], 3.0)


def test_partial_functions_methods_and_names():
    close(ad.vmap(functools.partial(ad.sum, axis=0))(np.ones((2, 3, 4))), np.full((2, 4), 3.0))

    def named(x: Any) -> Any:
        """Documented."""
        return x

    assert ad.vmap(named).__name__ == "named" and ad.vmap(named).__doc__ == "Documented."


def test_inside_no_grad_nothing_is_recorded():
    w = ad.tensor(2.0, requires_grad=True)
    with ad.no_grad():
        assert ad.vmap(lambda a: a * w)(np.ones(3)).history is None


def test_backward_reaches_a_captured_leaf():
    w = ad.tensor([2.0, 3.0], requires_grad=True)
    ad.sum(ad.vmap(lambda a: ad.sum(a * w**2))(np.array([[1.0, 2.0], [3.0, 4.0]]))).backward()
    close(w.grad, [16.0, 36.0])


def test_nothing_is_left_with_the_cycle_collector_off():
    f = ad.vmap(ad.grad(lambda a: ad.sum(ad.tanh(a) * a)))
    x = ad.tensor(np.ones((3, 2)))
    f(x)
    gc.collect()
    gc.disable()
    try:
        f(x)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_value_is_dropped_after_its_last_use(monkeypatch):
    row = TABLE["sin"]
    rule, seen, alive = row.batch, [], []

    def watched(*args: Any) -> Any:
        alive.append(sum(ref() is not None for ref in seen))
        out = rule(*args)
        seen.append(weakref.ref(out))
        return out

    monkeypatch.setattr(row, "batch", watched)
    ad.vmap(lambda a: functools.reduce(lambda y, _: ad.sin(y), range(10), a))(np.ones(3))
    assert alive == [0] + [1] * 9


# --- random numbers ------------------------------------------------------------------------------------------------


def test_a_batch_of_generators_draws_what_each_of_them_would():
    def f(rng, a):
        return (a + rng.normal(size=3), rng.integers(10, size=2), rng.permutation(4), rng.random(), rng.bernoulli(0.3))

    x = np.arange(5.0)
    found = ad.vmap(f)(ad.random.default_rng(1).batch(5), x)
    loop = [f(rng, a) for rng, a in zip(ad.random.default_rng(1).split(5), x, strict=True)]
    for y, parts in zip(found, zip(*loop, strict=True), strict=True):
        np.testing.assert_array_equal(np.asarray(y), np.stack([np.asarray(part) for part in parts]))


def test_batches_of_generators_split_and_nest():
    def f(rng):
        return ad.stack([r.random() for r in rng.split(2)])

    close(ad.vmap(f)(ad.random.default_rng(1).batch(3)), [f(rng) for rng in ad.random.default_rng(1).split(3)])
    twice = ad.vmap(lambda rng: ad.vmap(lambda r: r.normal(size=2))(rng.batch(4)))(ad.random.default_rng(2).batch(3))
    loop = [[r.normal(size=2) for r in rng.split(4)] for rng in ad.random.default_rng(2).split(3)]
    np.testing.assert_array_equal(np.asarray(twice), np.array([[np.asarray(y) for y in row] for row in loop]))


def test_a_shared_generator_gives_all_examples_one_draw_and_moves_on():
    passed, captured, alone = (ad.random.default_rng(3) for _ in range(3))
    for _ in range(2):
        wanted = [alone.random().item()] * 3
        close(ad.vmap(lambda a, rng: a + rng.random(), in_axes=(0, None))(np.zeros(3), passed), wanted)
        close(ad.vmap(lambda a: a + captured.random())(np.zeros(3)), wanted)


def test_a_batch_of_generators_is_for_vmap_alone():
    rngs = ad.random.default_rng(0).batch(3)
    assert repr(rngs) == "Generator(batch of 3)"
    with pytest.raises(ShapeError, match="a batch of 3 generators"):
        rngs.random()


# --- other transforms ----------------------------------------------------------------------------------------------


def loss(w: Any, x: Any, y: Any) -> Any:
    h = ad.tanh(x @ w["first"] + w["bias"])
    return ad.logsumexp(h @ w["second"]) - (h @ w["second"])[y]


def weights(rng: Any) -> Any:
    return {"first": rng.standard_normal((4, 5)), "bias": rng.standard_normal(5), "second": rng.standard_normal((5, 3))}


def test_gradients_of_each_example(rng):
    w, x, y = weights(rng), rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
    found = ad.vmap(ad.grad(loss), in_axes=(None, 0, 0))(w, x, y)
    for i in range(6):
        alone = ad.grad(loss)(w, x[i], y[i])
        for name in w:
            close(found[name][i], alone[name])
    mean = ad.grad(lambda w: ad.mean(ad.vmap(loss, in_axes=(None, 0, 0))(w, x, y)))(w)
    for name in w:
        close(mean[name], np.asarray(found[name]).mean(axis=0))


def test_a_jacobian_is_a_batch_of_vjps_and_of_jvps(rng):
    a = rng.standard_normal((3, 4))

    def f(x):
        return ad.tanh(a @ x)

    x = rng.standard_normal(4)
    wanted = (1 - np.tanh(a @ x) ** 2)[:, None] * a
    _, back = ad.vjp(f, x)
    close(ad.vmap(back)(np.eye(3))[0], wanted)
    close(ad.vmap(lambda t: ad.jvp(f, (x,), (t,))[1], out_axes=-1)(np.eye(4)), wanted)
    _, forward = ad.linearize(f, x)
    close(ad.vmap(forward, out_axes=1)(np.eye(4)), wanted)


def test_the_gradient_of_what_is_captured_passes_through(rng):
    x = rng.standard_normal((5, 3))
    w = rng.standard_normal(3)
    close(ad.grad(lambda w: ad.sum(ad.vmap(lambda a: ad.sin(a @ w))(x)))(w), np.cos(x @ w) @ x)
    y, t = ad.jvp(lambda w: ad.vmap(lambda a: ad.sin(a @ w))(x), (w,), (np.ones(3),))
    close(y, np.sin(x @ w))
    close(t, np.cos(x @ w) * (x @ np.ones(3)))


def test_a_structural_zero_stays_one():
    def f(a):
        return ad.where(a > 0, ad.sqrt(a), 0.0)

    x = np.array([0.0, -1.0, 4.0])
    with np.errstate(invalid="ignore", divide="ignore"):
        close(ad.vmap(ad.grad(f))(x), [0.0, 0.0, 0.25])
        close(ad.grad(lambda x: ad.sum(ad.vmap(f)(x)))(x), [0.0, 0.0, 0.25])
        close(ad.vmap(ad.grad(ad.grad(f)))(x), [0.0, 0.0, -1 / 32])


def test_a_tape_of_a_batch_replays_on_other_values(rng):
    f = ad.vmap(lambda a: ad.sum(ad.exp(a)) * a)
    x = rng.standard_normal((3, 2))
    close(replay(record(f, [ad.Shaped((3, 2), "float64")]), x), np.exp(x).sum(axis=1)[:, None] * x)


# --- every nesting -------------------------------------------------------------------------------------------------

M = np.array([[0.3, -0.2, 0.5], [0.1, 0.7, -0.4], [-0.6, 0.2, 0.25]])
POINT = np.array([0.3, -0.7, 1.2])

BATCHED = SimpleNamespace(vmap=lambda f, *xs: ad.vmap(f)(*xs))
LOOPED = SimpleNamespace(vmap=lambda f, *xs: ad.stack([f(*(x[i] for x in xs)) for i in range(xs[0].shape[0])]))


def assigned(x: Any, value: Any) -> Any:
    y = x * 1.0
    y[1] = value
    y += 0.1
    return y


FUNCTIONS = {
    "product": lambda x, o: ad.sin(x) * sum(o[1:], o[0]) if o else ad.sin(x) * x,
    "ignoring its argument": lambda x, o: o[-1] * o[0],
    "where": lambda x, o: ad.where(x > o[0] * 0.5, ad.exp(x) * o[-1], ad.tanh(x * o[0])),
    "matrix": lambda x, o: ad.tanh(M @ x) * (M @ o[-1]),
    "indexing": lambda x, o: x[np.array([2, 0, 0])] * ad.exp(o[0])[1] + x[1] * x,
    "found by order": lambda x, o: ad.sort(x) * ad.cumulative_sum(x) + o[0][ad.argmax(x)],
    "assignment": lambda x, o: assigned(x, ad.sin(x[0]) * o[-1][2]) * o[0],
    "reductions": lambda x, o: ad.logsumexp(x) * ad.cos(x) + ad.max(o[0] * x) + ad.linalg.vector_norm(x * o[-1]),
}


def nest(m: Any, sequence: str, base: Any, x: Any, outer: list[Any]) -> Any:
    """Apply the transforms of `sequence`, from the outermost in, to `base`."""
    if not sequence:
        return base(x, outer)

    def inner(y: Any) -> Any:
        return nest(m, sequence[1:], base, y, [*outer, x])

    kind, c = sequence[0], outer[0] if outer else 0.7
    if kind == "g":
        return ad.grad(lambda y: ad.sum(inner(y) * x))(ad.sin(x)) + 0.3 * x
    if kind == "r":
        return ad.vjp(inner, x * 1.0)[1](ad.sin(x) * c)[0]
    if kind == "j":
        y, t = ad.jvp(inner, (x * 1.0,), (ad.cos(x) * c,))
        return y + 2.0 * t
    if kind == "u":  # examples made of what is outside, and one more operand
        return ad.sum(m.vmap(lambda y, s: inner(y * s) * s, ad.stack([x * c, ad.cos(x)]), x[:2]), axis=0)
    return ad.sum(m.vmap(inner, ad.stack([x * 1.0, ad.sin(x), x + c])), axis=0)


def sequences(depth: int) -> list[str]:
    return ["".join(s) for s in itertools.product("grjvu", repeat=depth) if set(s) & {"v", "u"}]


@pytest.mark.filterwarnings("ignore:.* does not depend on y")  # what the loop says, and the batch does not
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("sequence", sequences(1) + sequences(2))
def test_nestings_agree_with_loops(sequence, name):
    check_nesting(sequence, name)


@pytest.mark.parametrize("name", ["where", "matrix"])
@pytest.mark.parametrize("sequence", sequences(3))
def test_deeper_nestings_agree_with_loops(sequence, name):
    check_nesting(sequence, name)


@pytest.mark.slow  # the other functions meet each pair of transforms above
@pytest.mark.filterwarnings("ignore:.* does not depend on y")  # what the loop says, and the batch does not
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("where", "matrix")])
@pytest.mark.parametrize("sequence", sequences(3))
def test_deeper_nestings_of_the_other_functions_agree_with_loops(sequence, name):
    check_nesting(sequence, name)


def check_nesting(sequence: str, name: str) -> None:
    found = nest(BATCHED, sequence, FUNCTIONS[name], ad.tensor(POINT), [])
    assert found.history is None, "the result is still recorded"
    wanted = nest(LOOPED, sequence, FUNCTIONS[name], ad.tensor(POINT), [])
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-11, atol=1e-11)
