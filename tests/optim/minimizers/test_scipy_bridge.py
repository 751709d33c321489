"""SciPy's minimisers on functions of trees: derivatives as SciPy wants them, constraints, bounds."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import ShapeError
from arrayad.optim import scipy_problem

optimize = pytest.importorskip("scipy.optimize")

START = {"x": np.array([-1.2, 1.0]), "y": np.float64(2.0)}


def f(p):
    x, y = p["x"], p["y"]
    return 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2 + ad.cosh(y - x[0])


def test_derivatives_are_those_of_the_vector():
    problem = scipy_problem(f, START)
    v = np.array([0.3, -0.4, 1.5])

    def flat(v):
        return f({"x": v[:2], "y": v[2]})

    assert problem.fun(v) == float(flat(ad.tensor(v)))
    np.testing.assert_allclose(problem.jac(v), np.asarray(ad.grad(flat)(v)), rtol=1e-13)
    np.testing.assert_allclose(problem.hess(v), np.asarray(ad.hessian(flat)(v)), rtol=1e-12)
    direction = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(problem.hessp(v, direction), np.asarray(ad.hessian(flat)(v)) @ direction, rtol=1e-12)
    np.testing.assert_array_equal(problem.x0, [-1.2, 1.0, 2.0])
    tree = problem.tree(v)
    np.testing.assert_array_equal(np.asarray(tree["x"]), v[:2])
    assert float(tree["y"]) == 1.5


def test_value_and_gradient_at_a_point_cost_one_run():
    problem = scipy_problem(f, START)
    v = np.array([0.3, -0.4, 1.5])
    before = problem.objective.evaluations.value
    for _ in range(3):
        problem.fun(v), problem.jac(v.copy()), problem.hessp(v, v)
    assert problem.objective.evaluations.value == before + 1
    assert problem.objective.evaluations.gradient == 2  # of x0, and of this


def test_an_array_that_scipy_changes_afterwards_is_another_point():
    problem = scipy_problem(f, START)
    v = np.array([0.3, -0.4, 1.5])
    first = problem.fun(v)
    v[0] = 2.0
    assert problem.fun(v) != first


@pytest.mark.parametrize(
    "method", ["BFGS", "L-BFGS-B", "CG", "TNC", "SLSQP", "Newton-CG", "trust-ncg", "trust-krylov", "trust-exact"]
)
def test_each_method_gets_the_derivatives_that_it_takes(method):
    found = scipy_problem(f, START).minimize(method, tol=1e-9)
    ours = ad.optim.minimize(f, START, "newton", gtol=1e-10)
    np.testing.assert_allclose(np.asarray(found.x["x"]), np.asarray(ours.x["x"]), atol=1e-4)
    np.testing.assert_allclose(float(found.x["y"]), float(ours.x["y"]), atol=1e-4)
    assert found.method == f"scipy {method}" and found.evaluations.gradient > 1
    assert found.value == pytest.approx(found.details.fun)
    assert (found.evaluations.hvp > 0) == (method in ("Newton-CG", "trust-ncg", "trust-krylov"))
    assert (found.evaluations.hessian > 0) == (method == "trust-exact")


def test_a_method_without_gradients_gets_none():
    found = scipy_problem(lambda x: ad.sum((x - 1.0) ** 2), np.zeros(2)).minimize("Nelder-Mead", tol=1e-9)
    np.testing.assert_allclose(np.asarray(found.x), 1.0, atol=1e-6)


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_constraints_have_their_jacobians_and_hessians(method):
    """The least of x + 2 y on the unit disc cut off at x >= -0.2, and z on z = x y: found again on a fine grid."""
    problem = scipy_problem(lambda p: p["x"] + 2.0 * p["y"] + (p["z"] - 3.0) ** 2, {"x": 0.1, "y": 0.1, "z": 0.0})
    disc = problem.constraint(lambda p: p["x"] ** 2 + p["y"] ** 2, -np.inf, 1.0)
    several = problem.constraint(
        lambda p: {"cut": p["x"], "tie": p["z"] - p["x"] * p["y"]}, {"cut": -0.2, "tie": 0.0}, {"cut": np.inf, "tie": 0.0}
    )
    options = {"options": {"gtol": 1e-10, "xtol": 1e-12, "maxiter": 2000}} if method == "trust-constr" else {"tol": 1e-12}
    found = problem.minimize(method, constraints=[disc, several], **options)
    x, y, z = (float(found.x[k]) for k in "xyz")

    assert found.converged
    assert x * x + y * y == pytest.approx(1.0, abs=1e-5) and z == pytest.approx(x * y, abs=1e-6)
    grid = np.linspace(0.0, 2 * np.pi, 200001)
    u, v = np.cos(grid), np.sin(grid)
    values = np.where(u >= -0.2, u + 2 * v + (u * v - 3.0) ** 2, np.inf)
    assert found.value == pytest.approx(values.min(), abs=1e-4)


def test_the_derivatives_of_a_constraint():
    problem = scipy_problem(f, START)
    c = problem.constraint(lambda p: (ad.exp(p["x"]) * p["y"], p["y"] ** 3), (0.0, np.float64(1.0)), 5.0)
    v, weights = np.array([0.3, -0.4, 1.5]), np.array([2.0, -1.0, 0.5])

    def flat(v):
        return ad.concatenate([ad.exp(v[:2]) * v[2], ad.stack([v[2] ** 3])])

    np.testing.assert_allclose(c.fun(v), np.asarray(flat(ad.tensor(v))), rtol=1e-14)
    np.testing.assert_allclose(c.jac(v), np.asarray(ad.jacobian(flat)(v)), rtol=1e-13)
    expected = np.asarray(ad.hessian(lambda v: ad.sum(flat(v) * weights))(v))
    np.testing.assert_allclose(c.hess(v, weights), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(c.lb, [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(c.ub, 5.0)


def test_bounds_go_along():
    problem = scipy_problem(lambda x: ad.sum((x - 3.0) ** 2), np.array([5.0, 0.0]), bounds=(None, np.array([2.0, np.inf])))
    assert problem.bounds == [(-np.inf, 2.0), (-np.inf, np.inf)]
    np.testing.assert_array_equal(problem.x0, [2.0, 0.0])
    np.testing.assert_allclose(np.asarray(problem.minimize("L-BFGS-B").x), [2.0, 3.0], atol=1e-6)


def test_limits_that_do_not_fit_are_refused():
    problem = scipy_problem(f, START)
    with pytest.raises(ShapeError, match=r"low of the constraint is f64\[3\], its result f64\[2\]"):
        problem.constraint(lambda p: p["x"], np.zeros(3))
    with pytest.raises(ShapeError, match="high of the constraint must be a number"):
        problem.constraint(lambda p: p["x"], 0.0, {"a": 1.0})


def test_without_scipy_it_says_what_to_install(monkeypatch):
    problem = scipy_problem(f, START)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    for call in (lambda: problem.minimize("BFGS"), lambda: problem.constraint(lambda p: p["x"])):
        with pytest.raises(ImportError, match=r'\[scipy_problem\] the package scipy is needed: pip install "arrayad\[sparse\]"'):
            call()
