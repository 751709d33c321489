"""Every method on the ten standard problems: the minima, the orders of convergence, and what it costs beside SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from minima import standard_problems

import arrayad as ad
from arrayad import tree
from arrayad.optim import least_squares, minimize, observed_order

PROBLEMS = {problem.name: problem for problem in standard_problems(n=20)}
SQUARES = {name: problem for name, problem in PROBLEMS.items() if problem.residuals is not None}
LONG = {("Wood", "newton-cg")}
"""What takes hundreds of iterations."""

METHODS = ["bfgs", "l-bfgs", "cg", "newton", "newton-cg", "trust-region", "trust-region-cg"]
GTOL = 1e-5


def vector(x):
    return np.concatenate([np.ravel(np.asarray(leaf)) for leaf in tree.leaves(x)])


def check(problem, found):
    """The value is least; the point is that of the literature, as far as the gradient's tolerance settles it."""
    assert found.converged, found
    assert np.abs(vector(found.gradient)).max() <= GTOL
    assert found.value - problem.value <= 1e-7
    if problem.minima:
        away = min(np.abs(vector(found.x) - x).max() / max(1.0, np.abs(x).max()) for x in problem.minima)
        assert away <= (0.1 if problem.name == "Powell singular" else 1e-4)


CASES = [
    pytest.param(problem, method, id=f"{name}-{method}", marks=[pytest.mark.slow] if (name, method) in LONG else [])
    for name, problem in PROBLEMS.items()
    for method in METHODS
]


@pytest.mark.parametrize("problem, method", CASES)
def test_each_method_finds_each_minimum(problem, method):
    check(problem, minimize(problem.f, problem.x0, method, gtol=GTOL))


@pytest.mark.parametrize("method", ["lm", "gauss-newton"])
@pytest.mark.parametrize("problem", SQUARES.values(), ids=SQUARES)
def test_each_method_for_squares_finds_each_minimum(problem, method):
    check(problem, least_squares(problem.residuals, problem.x0, method, gtol=GTOL))


@pytest.mark.parametrize("name", ["Beale", "Broyden tridiagonal, n = 20", "variably dimensioned, n = 10"])
def test_gradient_descent_finds_what_is_not_too_steep(name):
    check(PROBLEMS[name], minimize(PROBLEMS[name].f, PROBLEMS[name].x0, "gradient-descent", gtol=GTOL))


@pytest.mark.slow
def test_gradient_descent_finds_the_end_of_rosenbrocks_valley():
    check(PROBLEMS["Rosenbrock"], minimize(PROBLEMS["Rosenbrock"].f, np.array([-1.2, 1.0]), "gradient-descent", gtol=GTOL))


def test_the_published_values_at_the_start():
    """f(x0) of Moré, Garbow & Hillstrom's problems, worked out by hand."""
    for name, value in {"Rosenbrock": 24.2, "Beale": 14.203125, "Powell singular": 215.0, "Wood": 19192.0}.items():
        assert float(PROBLEMS[name].f(ad.tensor(PROBLEMS[name].x0))) == pytest.approx(value, rel=1e-12)
    assert float(PROBLEMS["helical valley"].f(ad.tensor([-1.0, 0.0, 0.0]))) == pytest.approx(2500.0)
    assert float(PROBLEMS["Brown badly scaled"].f(ad.tensor([1.0, 1.0]))) == pytest.approx(999998000003.0, rel=1e-12)


# --- orders of convergence ----------------------------------------------------------------------------------------------

WELL_BEHAVED = ["Rosenbrock", "Beale", "Wood", "helical valley", "Broyden tridiagonal, n = 20", "logistic regression"]


@pytest.mark.parametrize("method", ["newton", "trust-region"])
@pytest.mark.parametrize("name", WELL_BEHAVED)
def test_newtons_method_is_of_second_order(name, method):
    """Where the Hessian at the minimum is regular: the last steps square the gradient."""
    found = minimize(PROBLEMS[name].f, PROBLEMS[name].x0, method, gtol=1e-7)
    g = found.history.gradient_norm
    assert found.converged and g[-1] <= 1e3 * g[-2] ** 1.8
    assert observed_order(g[-4:], last=3) > 1.5


@pytest.mark.parametrize("method", ["lm", "gauss-newton"])
@pytest.mark.parametrize("name", ["Rosenbrock", "Beale", "helical valley", "Broyden tridiagonal, n = 20"])
def test_least_squares_without_residuals_left_are_of_second_order(name, method):
    found = least_squares(SQUARES[name].residuals, SQUARES[name].x0, method, gtol=1e-7)
    g = found.history.gradient_norm
    assert found.converged and g[-1] <= 1e3 * max(g[-2], 1e-9) ** 1.8


@pytest.mark.parametrize("method", ["bfgs", "newton-cg", "trust-region-cg"])
@pytest.mark.parametrize("name", ["Beale", "helical valley", "Broyden tridiagonal, n = 20"])
def test_superlinear_methods_gain_more_at_each_step(name, method):
    """|g'| / |g| goes to 0: its mean over the last three steps is far below that over the three in the middle."""
    found = minimize(PROBLEMS[name].f, PROBLEMS[name].x0, method, gtol=1e-9)
    g = np.log(found.history.gradient_norm)
    middle = g.size // 2
    assert found.converged
    assert g[-1] - g[-4] < 1.5 * min(g[middle] - g[middle - 3], -0.5)


def test_gradient_descent_is_linear_and_no_faster():
    """On a quadratic of condition 10 the error shrinks by (κ - 1) / (κ + 1) at worst, and by a constant factor on the whole."""
    d = np.linspace(1.0, 10.0, 12)
    found = minimize(lambda x: 0.5 * ad.sum(d * x * x), np.ones(12), "gradient-descent", gtol=1e-9)
    g = np.log(found.history.gradient_norm)
    rates = np.diff(g[:: max(1, g.size // 6)])
    assert found.converged and np.abs(rates / rates.mean() - 1).max() < 0.6
    assert found.iterations < 120


def test_the_singular_minimum_slows_newtons_method_down_to_a_factor():
    """On Powell's function errors shrink to 2/3 a step, gradients to 8/27."""
    found = minimize(PROBLEMS["Powell singular"].f, PROBLEMS["Powell singular"].x0, "newton", gtol=1e-10)
    g = np.array(found.history.gradient_norm)
    np.testing.assert_allclose((g[1:] / g[:-1])[-5:], 8.0 / 27.0, rtol=1e-3)
    assert found.order == pytest.approx(1.0, abs=0.01)


def test_conjugate_gradients_end_on_a_quadratic_after_as_many_steps_as_eigenvalues():
    d = np.array([1.0, 3.0, 10.0])
    found = minimize(lambda x: 0.5 * ad.sum(np.repeat(d, 20) * x * x), np.ones(60), "cg", gtol=1e-6)
    assert found.converged and found.iterations <= 12


# --- beside SciPy -------------------------------------------------------------------------------------------------------


def scipys(problem, method, **options):
    """Evaluations of SciPy's method until the first gradient within the tolerance."""
    optimize = pytest.importorskip("scipy.optimize")
    both = ad.value_and_grad(problem.f)
    count = {"value": 0, "gradient": 0}

    class Found(Exception):
        pass

    def value(x):
        count["value"] += 1
        return float(problem.f(ad.tensor(x)))

    def gradient(x):
        count["gradient"] += 1
        g = np.asarray(both(x)[1])
        if np.abs(g).max() <= GTOL:
            raise Found
        return g

    with pytest.raises(Found):
        optimize.minimize(value, problem.x0, jac=gradient, method=method, options=options)
    return count["value"] + count["gradient"]


@pytest.mark.parametrize("name", ["Rosenbrock", "Beale", "helical valley", "Wood", "Broyden tridiagonal, n = 20"])
def test_l_bfgs_evaluates_no_more_than_scipys(name):
    problem = PROBLEMS[name]
    found = minimize(problem.f, problem.x0, "l-bfgs", gtol=GTOL)
    assert found.evaluations.total <= scipys(problem, "L-BFGS-B", ftol=0.0, gtol=GTOL / 10)
