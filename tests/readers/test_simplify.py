"""Simplify: same results, fewer entries, in linear time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simplifying import assert_same, special

import arrayad as ad
from arrayad.numerical.callback import Callback, callback
from arrayad.primitive import TABLE
from arrayad.readers.replay import GuardError, replay
from arrayad.readers.simplify import Rules, simplified, simplify
from arrayad.shaped import Shaped
from arrayad.tracing import record

RNG = np.random.default_rng(4)
X = RNG.normal(size=(4, 3))
V = RNG.normal(size=3)


def simple(function: Any, *operands: Any) -> tuple[Any, Any]:
    before = ad.trace(function)(*operands)
    after = simplify(before)
    assert_same(before, after, list(operands))
    return before, after


def names(tape: Any) -> list[str]:
    return [entry.primitive.name for entry in tape.entries]


# --- passes -----------------------------------------------------------------------------------------------------------


def test_what_was_computed_before_is_not_computed_again() -> None:
    before, after = simple(lambda x: ad.sin(x) * ad.exp(x) + ad.sin(x), X)
    assert len(before) == 5
    assert names(after) == ["sin", "exp", "multiply", "add"]


def test_operations_with_other_parameters_are_others() -> None:
    _, after = simple(lambda x: (ad.sum(x, axis=0), ad.sum(x, axis=1), ad.sum(x, axis=0)), X)
    assert names(after) == ["reduce_sum", "reduce_sum"]


@pytest.mark.parametrize("pair", [(0.0, -0.0), (1, 1.0), (True, 1), (np.nan, np.inf)])
def test_numbers_that_only_look_equal_are_kept_apart(pair: tuple[Any, Any]) -> None:
    _, after = simple(lambda x: (ad.maximum(x, pair[0]), ad.maximum(x, pair[1])), np.array([0.0, -0.0, 2.0, -4.0]))
    assert len(after) == 2


def test_constants_with_equal_elements_are_one_and_others_are_not() -> None:
    a, b, c = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, -3.0])
    _, after = simple(lambda x: (x * a, x * b, x * c), V)
    assert len(after) == 2


def test_what_no_output_needs_is_left_out_and_what_a_guard_needs_is_not() -> None:
    def function(x: Any) -> Any:
        ad.exp(x)
        return x * 2 if ad.sum(x * x) > 0 else x

    before, after = simple(function, V)
    assert "exp" not in names(after) and names(after).count("reduce_sum") == 1
    assert len(after.guards) == len(before.guards) == 1
    assert after.guards[0][1:] == before.guards[0][1:]
    with pytest.raises(GuardError):
        replay(after, np.zeros(3))


def test_inputs_outputs_names_and_lines_survive() -> None:
    before = ad.trace(lambda x, y, z: {"a": x, "b": [y, y * 1.0, 3.0], "c": ad.sin(z)})(X, V, V)
    after = simplify(before)
    assert [entry.output for entry in after.inputs] == [entry.output for entry in before.inputs]
    assert after.names == before.names and after.structure == before.structure
    assert after.entries[-1].location == before.entries[-1].location != ""
    assert_same(before, after, [X, V, V])
    assert names(after) == ["sin"]


def test_the_tape_that_was_given_is_as_it_was() -> None:
    before = ad.trace(lambda x: 1.0 * -x)(V)
    shown = before.show()
    simplify(before)
    assert before.show() == shown


def test_broadcast_constants_take_no_memory() -> None:
    def function(c: Any, x: Any) -> Any:
        return x + ad.broadcast_to(ad.where(True, 2.0 * ad.ones(()), c), (1000, 1000, 1000))[0, 0]

    after = simplify(record(function, [Shaped((), "float64"), Shaped((1000,), "float64")]))
    assert all(
        np.prod(np.shape(x.value)) < 1e4 or not any(x.value.strides) for e in after.entries for x in e.inputs if x.history is None
    )


def test_a_program_within_is_simplified_too() -> None:
    _, after = simple(lambda x: ad.scan(lambda c, y: (1.0 * (c * 1.0 + y), ad.sin(c) + ad.sin(c)), x[0], x), X)
    (body,) = [entry.params["body"] for entry in after.entries if entry.primitive.name == "scan"]
    assert len(body.tape) == 3


def test_callbacks_run_as_often_as_before() -> None:
    calls: list[int] = []

    def run(x: Any) -> list[Any]:
        calls.append(1)
        return [2.0 * x]

    call = Callback("double", run, lambda x: [x])
    before = record(lambda x: callback(call, x)[0] + callback(call, x)[0], [Shaped((3,), "float64")])
    np.testing.assert_array_equal(replay(simplify(before), V).value, 4 * V)
    assert len(calls) == 2


def test_functions_with_rules_of_their_own_become_what_they_compute() -> None:
    @ad.custom_vjp
    def clipped(x: Any) -> Any:
        return ad.sin(x) * 1.0

    clipped.defvjp(lambda x: (clipped(x), None), lambda _, ct: (ad.clip(ct, -1.0, 1.0),))
    _, after = simple(lambda x: (clipped(x), ad.grad(lambda x: ad.sum(5.0 * clipped(x)))(x), ad.sin(x)), V)
    assert "custom" not in names(after) and names(after).count("sin") == 1


def test_a_checkpoint_stays_so_that_what_it_computes_again_is_not_kept() -> None:
    layer = ad.checkpoint(lambda x: ad.tanh(ad.exp(ad.stop_gradient(x) * 1.0 + x)))
    _, after = simple(ad.value_and_grad(lambda x: ad.sum(layer(layer(x)))), V)
    assert names(after).count("checkpoint") == 4
    assert all("stop_gradient" not in names(e.params["body"].tape) for e in after.entries if "body" in e.params)


def test_rules_for_real_numbers_apply_where_they_are_asked_for() -> None:
    tape = ad.trace(lambda x: ad.log(ad.exp(x)) + ad.sqrt(x * x))(V)
    assert names(simplify(tape)) == ["exp", "log", "square", "sqrt", "add"]
    assert names(simplify(tape, exact=False)) == ["abs", "add"]


# --- values -----------------------------------------------------------------------------------------------------------


def operands_for(row: Any, case: Any, seed: int) -> list[Any]:
    shapes = case if case and isinstance(case[0], tuple) else (case,)
    return [special(Shaped(shape, row.samples.dtypes.get(k, "float64")), seed + k) for k, shape in enumerate(shapes)]


ELEMENTWISE = [row for row in TABLE.values() if hasattr(row, "arity") and row.name.isidentifier() and "example" not in row.name]


@pytest.mark.parametrize("row", ELEMENTWISE, ids=lambda row: row.name)
def test_elementwise_rows_keep_their_bits(row: Any) -> None:
    """Through views, copies and constants, on special values."""
    dtypes = [row.samples.dtypes.get(k, "float64") for k in range(row.arity)]
    operands = [special(Shaped((2, 3), dtype), k) for k, dtype in enumerate(dtypes)]

    def function(*xs: Any) -> Any:
        wide = [ad.broadcast_to(ad.reshape(x, (1, 2, 3)), (4, 2, 3)) for x in xs]
        once = row.apply(*wide)
        ones = row.apply(*(np.ones((2, 3), x.dtype) if k else x for k, x in enumerate(xs)))
        return once, row.apply(*xs), ones, ad.where(ad.asarray(xs[0]) == xs[0], row.apply(*xs), 0)

    with np.errstate(all="ignore"):
        before = ad.trace(function)(*operands)
    after = simplify(before)
    assert len(after) < len(before)
    assert_same(before, after, operands)


def random_program(rng: Any, length: int) -> Any:
    """A chain of operations drawn at random, each on values that came before."""
    unary = [ad.sin, ad.tanh, lambda x: -x, lambda x: x * 1.0, lambda x: x - 0.0, lambda x: x / 4.0, lambda x: ad.maximum(x, 0.0)]
    shapes = [
        lambda x: ad.reshape(ad.reshape(x, (6,)), (2, 3)),
        lambda x: ad.permute_dims(ad.permute_dims(x, (1, 0)), (1, 0)),
        lambda x: ad.roll(x, 1, axis=1),
        lambda x: ad.flip(x, axis=0),
        lambda x: ad.broadcast_to(ad.sum(x, axis=1, keepdims=True), (2, 3)),
        lambda x: ad.concat([x[:1], x[1:]], axis=0),
        lambda x: ad.where(x > 0, ad.where(x > 0, x, 0.0) * 0.5, 0.0),
    ]
    binary = [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: x + (-y),
        lambda x, y: (-x) * y,
        ad.maximum,
    ]
    steps = []
    for _ in range(length):
        kind = rng.integers(3)
        table = (unary, shapes, binary)[kind]
        steps.append((table[rng.integers(len(table))], kind == 2, rng.random(2)))

    def function(x: Any) -> Any:
        values = [x]
        for step, two, places in steps:
            chosen = [values[-1 - int(p * min(len(values), 5))] for p in places]
            values.append(step(*chosen) if two else step(chosen[0]))
        return values[-1], values[-2]

    return function


@pytest.mark.parametrize("seed", range(25))
def test_random_programs_and_their_gradients_keep_their_bits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    function = random_program(rng, 25)
    x = rng.normal(size=(2, 3))
    before, after = simple(lambda x: (function(x), ad.grad(lambda x: ad.sum(ad.tanh(function(x)[0])))(x)), x)
    assert len(after) <= len(before)
    assert_same(before, after, [special(Shaped((2, 3), "float64"), seed)])


# --- time -------------------------------------------------------------------------------------------------------------


def visits(function: Any, n: int) -> int:
    rules = Rules()
    simplified(record(lambda x: function(x, n), [Shaped((6,), "float64")]), rules, {})
    return rules.visits


def chain(x: Any, n: int) -> Any:
    for k in range(n):
        x = ad.reshape(-(x * (1.0 + k)), (2, 3) if k % 2 else (3, 2))
    return x


def tree_of_sums(x: Any, n: int) -> Any:
    values = [ad.flip(x * (k + 2.0), axis=0)[1:] for k in range(n)]
    total = values[0]
    for value in values[1:]:
        total = total + (-value)
    return total


@pytest.mark.parametrize("function", [chain, tree_of_sums])
def test_the_work_grows_as_the_tape_does(function: Any) -> None:
    small, large = visits(function, 100), visits(function, 400)
    assert large <= 4.2 * small
