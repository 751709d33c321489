"""Loops: simplified and as they were they give the same, under the transforms; and what rules move is moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simplifying import assert_same

import arrayad as ad
from arrayad.readers.replay import replay
from arrayad.readers.simplify import simplify

RNG = np.random.default_rng(7)
CARRY, XS, W = RNG.normal(size=(2, 3)), RNG.normal(size=(5, 2, 3)), 0.5 * RNG.normal(size=(3, 3))


def cell(carry: Any, xs: Any, w: Any) -> Any:
    return ad.scan(lambda h, x: ((y := ad.tanh(x @ w + h @ w + ad.exp(w[0]))), y), carry, xs)


def cell_backwards(carry: Any, xs: Any, w: Any) -> Any:
    return ad.scan(lambda h, x: (ad.tanh(h @ w - x), h @ (w * 2.0)), carry, xs, reverse=True)


def several_carries(carry: Any, xs: Any, w: Any) -> Any:
    def step(state: Any, x: Any) -> Any:
        total, same, h, unused = state
        h = ad.sin(h) * same[0] + x
        return (total + ad.swapaxes(x, 0, 1) @ h, same, h, unused + x), (h @ w, x)

    (total, same, h, _), (ys, _) = ad.scan(step, (ad.zeros((3, 3)), w, carry, carry), xs)
    return total, same, h, ys


def nested(carry: Any, xs: Any, w: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        inner, _ = ad.scan(lambda g, row: (ad.tanh(g + row @ w), None), h[0], x)
        return h * 0.5 + inner, ad.cond(ad.sum(inner) > 0, ad.sin, ad.cos, inner)

    return ad.scan(step, carry, xs)


def kept_sparsely(carry: Any, xs: Any, w: Any) -> Any:
    return ad.scan(lambda h, x: (ad.tanh(x @ w + h), None), carry, xs, checkpoint=2)[0]


def until(carry: Any, xs: Any, w: Any) -> Any:
    return ad.while_loop(lambda h: ad.sum(h * h) > 0.01, lambda h: 0.5 * ad.tanh(h @ w + xs[0] * 0.0), carry)


def without_elements(carry: Any, xs: Any, w: Any) -> Any:
    return ad.fori_loop(0, 4, lambda i, h: ad.sin(h) + xs[0] * 0.1, carry), ad.checkpoint(lambda h: ad.tanh(h @ w))(carry)


def constant_elements(carry: Any, xs: Any, w: Any) -> Any:
    return ad.scan(lambda h, x: (h * x + ad.sum(w), h), carry, np.full((4, 3), 0.5))


PROGRAMS = [cell, cell_backwards, several_carries, nested, kept_sparsely, until, without_elements, constant_elements]


def loss(program: Any) -> Any:
    return lambda *point: sum(ad.sum(ad.sin(y)) for y in ad.tree.leaves(program(*point)))


def gradient(program: Any) -> Any:
    return ad.value_and_grad(loss(program), (0, 1, 2))


def tangent(program: Any) -> Any:
    return lambda *point: ad.jvp(program, point, (CARRY, XS, W))


def second(program: Any) -> Any:
    return lambda *point: ad.jvp(gradient(program), point, (CARRY, XS, W))


def batched(program: Any) -> Any:
    return lambda carry, xs, w: ad.vmap(gradient(program), (0, None, None))(ad.stack([carry, 2.0 * carry]), xs, w)


TRANSFORMS = [
    pytest.param(lambda f: f, id="f"),
    pytest.param(gradient, id="grad"),
    pytest.param(tangent, id="jvp"),
    pytest.param(second, id="hvp", marks=pytest.mark.slow),
    pytest.param(batched, id="vmap", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("by_shapes", [False, True], ids=["values", "shapes"])
def test_loops_give_the_same(program: Any, transform: Any, by_shapes: bool) -> None:
    point = [CARRY, XS, W]
    before = ad.trace(transform(program))(*(ad.Shaped(x.shape, x.dtype) if by_shapes else x for x in point))
    after, reordered = simplify(before), simplify(before, reorder=True)
    assert_same(before, after, point)
    assert_same(before, reordered, point, rtol=1e-13)
    assert_same(before, simplify(reordered, reorder=True), point, rtol=1e-13)


def loops(tape: Any) -> list[Any]:
    return [entry for entry in tape.entries if entry.primitive.name == "scan"]


def products(tape: Any) -> int:
    return sum(entry.primitive.name == "matrix_product" for entry in tape.entries)


def test_the_gradient_of_a_recurrent_network_has_one_product_a_step_and_pass() -> None:
    """x @ w before both loops, h @ w within the first, its cotangent within the second; the gradient of w behind."""

    def network(w: Any, u: Any, xs: Any) -> Any:
        return ad.sum(ad.scan(lambda h, x: (ad.tanh(x @ w + h @ u), None), CARRY, xs)[0])

    after = simplify(ad.trace(ad.value_and_grad(network, (0, 1)))(W, W, XS), reorder=True)
    forward, backward = loops(after)
    assert [products(loop.params["body"].tape) for loop in (forward, backward)] == [1, 1]
    assert products(after) == 3
    assert backward.params["carries"] == 1


def test_results_that_nobody_asks_for_are_not_computed() -> None:
    def function(xs: Any) -> Any:
        (h, _), (ys, _) = ad.scan(lambda c, x: ((c[0] + x, ad.exp(c[1])), (ad.sin(x), ad.cos(x))), (CARRY, CARRY), xs)
        return h, ys

    (loop,) = loops(simplify(ad.trace(function)(XS)))
    assert loop.params["carries"] == 1 and len(loop.params["body"].out_avals) == 2
    assert {entry.primitive.name for entry in loop.params["body"].tape.entries} == {"add", "sin"}


def test_what_captures_alone_give_is_computed_once() -> None:
    after = simplify(ad.trace(lambda w, xs: ad.scan(lambda c, x: (c * ad.sum(ad.exp(w)) + x, None), CARRY, xs)[0])(W, XS))
    (loop,) = loops(after)
    assert {entry.primitive.name for entry in loop.params["body"].tape.entries} == {"multiply", "add"}
    assert [entry.primitive.name for entry in after.entries].count("exp") == 1


def test_lines_of_the_users_survive_in_loops() -> None:
    before = ad.trace(gradient(cell))(CARRY, XS, W)
    for loop in loops(simplify(before, reorder=True)):
        assert all(__file__ in entry.location for entry in loop.params["body"].tape.entries)


def test_a_loop_that_takes_no_step_gives_what_it_was_given() -> None:
    before = ad.trace(lambda c, w: ad.scan(lambda h, x: (h @ ad.exp(w), h), c, np.zeros((0, 2))))(CARRY, W)
    assert_same(before, simplify(before, reorder=True), [CARRY, W])


def test_a_loop_that_has_been_simplified_is_still_differentiated() -> None:
    def program(c: Any, xs: Any, w: Any) -> Any:
        return ad.scan(lambda h, x: (ad.tanh(x @ w + h), h @ w), c, xs)

    def simple(*point: Any) -> Any:
        return replay(simplify(ad.trace(program)(CARRY, XS, W), reorder=True), *point)

    for found, wanted in zip(gradient(simple)(CARRY, XS, W)[1], gradient(program)(CARRY, XS, W)[1], strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-12)
