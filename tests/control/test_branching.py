"""`cond` and `switch` are Python's branches, and keep the branch not taken out of values and derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from composing import BATCHES, CARRY, TRANSFORMS, W, assert_close, assert_same, assert_same_in_batches

import arrayad as ad
from arrayad.errors import AnomalyError, DTypeError, ShapeError
from arrayad.readers.replay import replay


def value(x: Any) -> float:
    return float(ad.stop_gradient(x))


def cond_in_scan(c: Any, xs: Any, w: Any) -> Any:
    def step(c: Any, x: Any) -> Any:
        return ad.cond(x[0] > 0.1, lambda c: ad.sin(c * w) + x, lambda c: ad.exp(c) * x * w, c), c

    return ad.scan(step, c, xs)


def cond_in_loop(c: Any, xs: Any, w: Any) -> Any:
    ys = []
    for i in range(5):
        ys.append(c)
        c = ad.sin(c * w) + xs[i] if value(xs[i][0]) > 0.1 else ad.exp(c) * xs[i] * w
    return c, ad.stack(ys)


def scan_in_cond(c: Any, xs: Any, w: Any) -> Any:
    def forwards(c: Any) -> Any:
        return ad.scan(lambda c, x: (ad.sin(c * w) + x, c), c, xs)

    def backwards(c: Any) -> Any:
        return ad.scan(lambda c, x: (ad.cos(c * w) * x, c), c, xs, reverse=True, checkpoint=2)

    return ad.cond(xs[0, 0] > 0.15, forwards, backwards, c)


def loop_in_if(c: Any, xs: Any, w: Any) -> Any:
    ys: list[Any] = [None] * 5
    forwards = value(xs[0, 0]) > 0.15
    for i in range(5) if forwards else range(4, -1, -1):
        ys[i] = c
        c = ad.sin(c * w) + xs[i] if forwards else ad.cos(c * w) * xs[i]
    return c, ad.stack(ys)


BRANCHES = [lambda c, x, w: ad.sin(c) * w, lambda c, x, w: c * x, lambda c, x, w: w * 1.0]


def switch_in_scan(c: Any, xs: Any, w: Any) -> Any:
    def step(c: Any, x: Any) -> Any:
        index = ad.astype(ad.floor(3 * ad.stop_gradient(x[0])), "int64") + 1
        return ad.switch(index, [lambda c, f=f: f(c, x, w) for f in BRANCHES], c), c

    return ad.scan(step, c, xs)


def switch_in_loop(c: Any, xs: Any, w: Any) -> Any:
    ys = []
    for i in range(5):
        ys.append(c)
        index = min(max(int(np.floor(3 * value(xs[i][0]))) + 1, 0), 2)
        c = BRANCHES[index](c, xs[i], w)
    return c, ad.stack(ys)


PROGRAMS = {
    "cond in scan": (cond_in_scan, cond_in_loop),
    "scan in cond": (scan_in_cond, loop_in_if),
    "switch in scan": (switch_in_scan, switch_in_loop),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_branches_are_pythons(name: str, program: str) -> None:
    assert_same(*PROGRAMS[program], name)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("batched", BATCHES, ids=str)
def test_batches(batched: Any, program: str) -> None:
    assert_same_in_batches(*PROGRAMS[program], batched)


# --- the branch not taken ------------------------------------------------------------------------------------------

SINGULAR = {
    "sqrt": (ad.sqrt, lambda x: (np.sqrt(x), 0.5 / np.sqrt(x), -0.25 * x**-1.5)),
    "log": (ad.log, lambda x: (np.log(x), 1 / x, -1 / x**2)),
    "reciprocal of sqrt": (lambda x: 1.0 / ad.sqrt(x), lambda x: (x**-0.5, -0.5 * x**-1.5, 0.75 * x**-2.5)),
    "norm": (lambda x: ad.norm(ad.stack([x, 0.0 * x])) * 1.0, lambda x: (x, 1.0 + 0 * x, 0 * x)),
}
XS = np.array([0.0, 4.0, -1.0, 2.25, np.nan, -np.inf])


@pytest.mark.parametrize("name", SINGULAR)
def test_no_nan_of_the_branch_not_taken(name: str) -> None:
    f, closed_form = SINGULAR[name]

    def program(x: Any) -> Any:
        return ad.cond(x > 0.0, f, lambda x: ad.zeros(()), x)

    positive = np.nan_to_num(XS, nan=-1.0) > 0
    wanted = [np.where(positive, y, 0.0) for y in closed_form(np.where(positive, XS, 1.0))]
    found = [ad.vmap(g)(XS) for g in (program, ad.grad(program), ad.grad(ad.grad(program)))]
    assert_close(found, wanted)
    assert_close(ad.vmap(lambda x: ad.jvp(program, (x,), (1.0,))[1])(XS), wanted[1])
    assert_close(ad.vmap(lambda x: ad.jvp(ad.grad(program), (x,), (1.0,))[1])(XS), wanted[2])
    total = ad.grad(lambda x: ad.sum(ad.vmap(program)(x)))
    assert_close(total(XS), wanted[1])
    assert_close(ad.grad(lambda x: ad.sum(total(x)))(XS), wanted[2])
    assert_close([ad.vmap(ad.switch, in_axes=(0, None, 0))(np.int64(positive), [lambda x: 0.0, f], XS)], wanted[:1])


def test_a_batch_that_takes_one_branch_only() -> None:
    f = ad.vmap(lambda x: ad.cond(x > 0.0, ad.log, lambda x: x * x, x))
    assert_close(f(np.array([1.0, 2.0])), np.log([1.0, 2.0]))
    assert_close(f(np.array([-1.0, -2.0])), np.array([1.0, 4.0]))
    assert f(np.zeros(0)).shape == (0,)


def test_what_the_examples_share_may_be_outside_the_domain_of_a_branch() -> None:
    """sqrt(a) at a = -1 is taken by no example, so nothing comes of it."""

    def program(x: Any, a: Any) -> Any:
        return ad.cond(x > 9.0, lambda a: ad.sqrt(a), lambda a: x * a, a)

    xs = np.array([1.0, 2.0])
    assert_close(ad.vmap(program, in_axes=(0, None))(xs, -1.0), -xs)
    assert_close(ad.grad(lambda a: ad.sum(ad.vmap(program, in_axes=(0, None))(xs, a)))(-1.0), 3.0)


# --- one branch runs, with values at hand --------------------------------------------------------------------------


def test_only_the_branch_taken_runs() -> None:
    def never(*operands: Any) -> Any:
        raise AssertionError("this branch is not taken")

    assert ad.cond(True, lambda x: x + 1, never, 1.0).item() == 2.0
    assert ad.cond(0, never, lambda x: x + 1, 1.0).item() == 2.0
    assert ad.switch(9, [never, lambda x: x * 3], 2.0).item() == 6.0
    assert ad.switch(-9, [lambda x: x * 3, never], 2.0).item() == 6.0
    assert_close(ad.grad(lambda x: ad.cond(x > 0, lambda: x * x, never))(3.0), 6.0)


def test_a_trace_takes_the_branch_that_its_operands_ask_for() -> None:
    tape = ad.trace(lambda x: ad.cond(x > 0.0, ad.sqrt, lambda x: -x, x))(4.0)
    assert [replay(tape, x).item() for x in (9.0, -3.0)] == [3.0, 3.0]


def test_a_number_is_a_predicate() -> None:
    f = ad.vmap(lambda n: ad.cond(n, lambda: 1.0, lambda: -1.0))
    assert_close(f(np.array([0, 3, -1])), np.array([-1.0, 1.0, 1.0]))
    assert_close(f(np.array([0.0, 0.5])), np.array([-1.0, 1.0]))


@pytest.mark.parametrize("pred", [True, False])
def test_changes_in_place_stay_inside(pred: bool) -> None:
    def change(x: Any) -> Any:
        x[0] = 9.0
        x += 1.0
        return x

    def program(x: Any) -> Any:
        return ad.cond(pred, change, lambda x: x, x)

    x = ad.tensor(CARRY)
    y = program(x)
    y *= 2.0
    assert_close(x, CARRY)
    batch = ad.vmap(lambda p, x: ad.cond(p, change, lambda x: x, x), in_axes=(0, None))(np.array([True, False]), x)
    assert_close(batch, np.array([[10.0, CARRY[1] + 1.0], CARRY]))
    assert_close(x, CARRY)


def test_python_numbers_take_the_dtype_of_the_other_branch() -> None:
    xs = np.float32([1.0, -2.0])
    y = ad.vmap(lambda x: ad.cond(x > 0, lambda x: x, lambda x: 0.0, x))(xs)
    assert y.dtype == np.float32 and y.tolist() == [1.0, 0.0]
    y = ad.vmap(lambda x: ad.cond(x > 0, lambda x: 1, lambda x: 0.5, x))(xs)
    assert y.dtype == np.float64 and y.tolist() == [1.0, 0.5]
    with pytest.raises(DTypeError, match="f64"):
        ad.vmap(lambda n: ad.cond(n > 0, lambda n: n, lambda n: 0.5, n))(np.array([1, 2]))


def test_trees_and_results_that_are_nothing() -> None:
    def program(x: Any) -> Any:
        return ad.cond(x["a"] > 0, lambda t: {"y": (t["a"], None), "n": 1}, lambda t: {"y": (t["a"] * 2, None), "n": 2}, x)

    found = ad.vmap(program)({"a": np.array([1.0, -1.0])})
    assert found["y"][1] is None and found["n"].tolist() == [1, 2]
    assert_close(found["y"][0], np.array([1.0, -2.0]))
    assert ad.vmap(lambda x: (ad.cond(x > 0, lambda: None, lambda: None), x)[1])(W).shape == (2,)


def test_detect_anomaly_sees_only_what_is_taken() -> None:
    f = ad.vmap(lambda x: ad.cond(x > 0, ad.log, lambda x: x, x))
    with ad.detect_anomaly():
        assert_close(f(np.array([1.0, -1.0])), np.array([0.0, -1.0]))
        with pytest.raises(AnomalyError, match=r"\[log\] made nan"):
            ad.vmap(lambda x: ad.cond(x < 9, ad.log, lambda x: x, x))(np.array([1.0, -1.0]))


def batched(program: Any) -> Any:
    return lambda: ad.vmap(program)(W)


@pytest.mark.parametrize(
    "error, words, call",
    [
        (ShapeError, r"predicate is bool\[2\].*any\(\) or all\(\), or where", lambda: ad.cond(W > 0, ad.sin, ad.cos, 1.0)),
        (ValueError, r"\[switch\] there are no branches", lambda: ad.switch(0, [])),
        (DTypeError, r"index is f64\[\]; an integer", lambda: ad.switch(1.0, [ad.sin], 1.0)),
        (ShapeError, r"index is i64\[2\]; a single", lambda: ad.switch(np.array([1, 2]), [ad.sin], 1.0)),
        (
            ShapeError,
            r"\[cond\] the branches return result\['a'\] as f64\[2\] and f64\[\]",
            batched(lambda x: ad.cond(x > 0, lambda: {"a": x}, lambda: {"a": x * W})),
        ),
        (ShapeError, r"the branches return the trees", batched(lambda x: ad.cond(x > 0, lambda: x, lambda: (x,)))),
        (
            DTypeError,
            r"\[switch\] the branches return result as f64\[\] and f32\[\]; use astype",
            batched(lambda x: ad.switch(ad.astype(x, "int64"), [lambda: x, lambda: ad.astype(x, "float32")])),
        ),
        (TypeError, r"\[cond\] the function returned str", batched(lambda x: ad.cond(x > 0, lambda: "a", lambda: "b"))),
    ],
)
def test_errors_name_what_came(error: Any, words: str, call: Any) -> None:
    with pytest.raises(error, match=words):
        call()
