"""L-BFGS within bounds: the model's minimum against a search by brute force, and the conditions of a bounded minimum."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import ShapeError
from arrayad.optim import minimize
from arrayad.optim.minimizers.bounded import BoundedLimitedMemory
from arrayad.optim.minimizers.objective import Objective
from arrayad.optim.minimizers.space import Box, Space


def prepared(seed, n=7, pairs=3):
    """The method with a few pairs of a convex quadratic, within random bounds, and a point of it."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, n))
    h = a @ a.T + np.eye(n)
    b = rng.normal(size=n) * 3
    low, high = -rng.uniform(0.1, 2.0, n), rng.uniform(0.1, 2.0, n)
    low[0], high[1] = -np.inf, np.inf
    objective = Objective(
        "minimize", lambda x: 0.5 * ad.sum(x * (h @ x)) + ad.sum(b * x), Space("minimize", np.zeros(n)), (), Box(low, high), False
    )
    method = BoundedLimitedMemory(objective)
    method.is_fresh = False
    for _ in range(pairs):
        s = rng.normal(size=n)
        method.remember(s, h @ s)
    return method, objective.at(np.clip(rng.normal(size=n), low, high))


def hessian_of(method, n):
    """B = θ I - W M Wᵀ."""
    return method.theta * np.eye(n) - method.w @ method.middle @ method.w.T


@pytest.mark.parametrize("seed", range(5))
def test_the_model_has_the_secant_property(seed):
    """B s = y for the last pair, and B is positive definite: BFGS updates of θ I."""
    method, _ = prepared(seed)
    b = hessian_of(method, 7)
    np.testing.assert_allclose(b @ method.s[:, -1], method.y[:, -1], rtol=1e-8)
    assert np.linalg.eigvalsh((b + b.T) / 2)[0] > 0


@pytest.mark.parametrize("seed", range(20))
def test_the_path_ends_at_the_first_minimum_of_the_model(seed):
    method, point = prepared(seed)
    x, g, box = point.x, point.gradient, method.box
    b = hessian_of(method, x.size)

    def along(t):
        z = box.project(x - t * g) - x
        return g @ z + z @ b @ z / 2

    times = np.where(g < 0, (x - box.high) / g, (x - box.low) / g)
    found = method.path_minimum(times, -g)
    grid = np.linspace(0.0, 4 * found, 40001)
    values = np.array([along(t) for t in grid])
    first = int(np.argmax(np.diff(values) > 0))
    assert found == pytest.approx(grid[first], abs=2 * grid[1])


@pytest.mark.parametrize("seed", range(20))
def test_the_target_is_within_bounds_and_downhill(seed):
    method, point = prepared(seed)
    x, g, box = point.x, point.gradient, method.box
    target = method.target(point)
    assert (target >= box.low).all() and (target <= box.high).all()
    assert g @ (target - x) < 0


def test_the_subspace_step_is_that_of_a_dense_solution():
    method, point = prepared(3)
    x, g = point.x, point.gradient
    b = hessian_of(method, x.size)
    free = np.array([True, False, True, True, False, True, True])
    z = np.where(free, 0.1, -0.2)
    step = method.subspace_step(g, z, free)
    expected = -np.linalg.solve(b[np.ix_(free, free)], (g + b @ z)[free])
    np.testing.assert_allclose(step, expected, rtol=1e-8)


@pytest.mark.parametrize("seed", range(10))
def test_the_minimum_of_a_quadratic_satisfies_the_conditions_of_kuhn_and_tucker(seed):
    rng = np.random.default_rng(100 + seed)
    n = 30
    a = rng.normal(size=(n, n))
    h, b = a @ a.T / n + 0.1 * np.eye(n), rng.normal(size=n)
    low, high = rng.uniform(-1.0, 0.0, n), rng.uniform(0.0, 1.0, n)
    found = minimize(lambda x: 0.5 * ad.sum(x * (h @ x)) - ad.sum(b * x), np.zeros(n), bounds=(low, high), gtol=1e-10)
    x, g = np.asarray(found.x), np.asarray(found.gradient)
    assert found.converged
    at_low, at_high = x == low, x == high
    assert at_low.any() and at_high.any() and not (at_low | at_high).all()
    assert (g[at_low] >= 0).all() and (g[at_high] <= 0).all()
    assert np.abs(g[~at_low & ~at_high]).max() <= 1e-10
    np.testing.assert_allclose(g, h @ x - b, atol=1e-12)


def test_no_point_outside_the_bounds_is_ever_evaluated():
    seen = []

    def f(x):
        seen.append(np.asarray(x.value).copy())
        return ad.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    low, high = np.full(10, -0.7), np.full(10, 0.9)
    found = minimize(f, np.tile([-1.2, 1.0], 5), bounds=(low, high))
    assert found.converged and len(seen) > 10
    assert all((x >= low).all() and (x <= high).all() for x in seen)


def test_a_function_that_exists_within_its_bounds_only():
    found = minimize(lambda x: ad.sum(x * ad.log(x) - x * np.array([-1.0, 0.5, 30.0])), np.full(3, 0.5), bounds=(1e-300, 2.0))
    assert found.converged
    np.testing.assert_allclose(np.asarray(found.x), [np.exp(-2.0), np.exp(-0.5), 2.0], rtol=1e-5)


def test_bounds_are_numbers_arrays_or_trees_and_may_be_missing():
    x0 = {"w": np.zeros((2, 2)), "b": 0.0}

    def f(p):
        return ad.sum((p["w"] - 3.0) ** 2) + (p["b"] + 3.0) ** 2

    for bounds, w, b in (
        ((None, 1.0), 1.0, -3.0),
        ((-2.0, None), 3.0, -2.0),
        (({"w": None, "b": -1.0}, {"w": np.array([[1.0, 2.0]]), "b": None}), [[1.0, 2.0], [1.0, 2.0]], -1.0),
        ((None, None), 3.0, -3.0),
        ((-np.inf, np.inf), 3.0, -3.0),
    ):
        found = minimize(f, x0, bounds=bounds)
        assert found.converged and found.method == "l-bfgs"
        np.testing.assert_allclose(np.asarray(found.x["w"]), np.broadcast_to(w, (2, 2)), atol=1e-6)
        np.testing.assert_allclose(float(found.x["b"]), b, atol=1e-6)


def test_bounds_that_meet_hold_an_element():
    found = minimize(lambda x: ad.sum((x - 1.0) ** 2), np.array([5.0, 5.0]), bounds=(np.array([2.0, -1.0]), np.array([2.0, 9.0])))
    np.testing.assert_allclose(np.asarray(found.x), [2.0, 1.0], atol=1e-6)


def test_float32_stays_within_bounds_that_it_cannot_hold():
    found = minimize(lambda x: ad.sum(x), np.ones(3, np.float32), bounds=(np.float32(0.1), None))
    assert found.x.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(found.x), np.float32(0.1))


def test_many_bounds_at_once():
    """A hundred thousand elements, of which half end at a bound; the path passes them all in one step."""
    center = np.linspace(-2.0, 2.0, 100_000)
    found = minimize(lambda x: ad.sum((x - center) ** 2 + 0.1 * (x - center) ** 4), np.zeros(100_000), bounds=(-1.0, 1.0))
    assert found.converged and found.iterations < 20
    np.testing.assert_allclose(np.asarray(found.x), np.clip(center, -1.0, 1.0), atol=1e-5)


@pytest.mark.parametrize(
    "bounds, error, message",
    [
        ([(0.0, 1.0)], TypeError, r"\[minimize\] bounds is list; the pair \(low, high\) is needed"),
        ((0.0, 1.0, 2.0), TypeError, "bounds is 3 values"),
        ((1.0, 0.0), ValueError, r"no room for x\[0\]: low is 1, high 0"),
        ((np.zeros(3), None), ShapeError, r"low of bounds is f64\[3\]"),
        (({"a": 0.0}, None), ShapeError, "low of bounds"),
    ],
)
def test_bounds_that_do_not_fit_are_refused(bounds, error, message):
    with pytest.raises(error, match=message):
        minimize(lambda x: ad.sum(x * x), np.ones(2), bounds=bounds)


def test_other_methods_refuse_bounds():
    with pytest.raises(ValueError, match=r'bounds need the method "l-bfgs", not \'newton\''):
        minimize(lambda x: ad.sum(x * x), np.ones(2), "newton", bounds=(0.0, None))
