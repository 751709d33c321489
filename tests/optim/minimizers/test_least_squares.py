"""Least squares: models fitted to data, against closed forms and SciPy, by matrices and by products."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DerivativeError, DTypeError
from arrayad.optim import least_squares

T = np.linspace(0.0, 2.0, 25)
CHOICES = [("lm", {}), ("lm", {"jacobian": "products"}), ("gauss-newton", {})]
IDS = ["lm", "lm by products", "gauss-newton"]


def decay(p):
    """A model with an exponential, with data that it does not fit."""
    data = 3.0 * np.exp(-1.5 * T) + 0.5 + 0.05 * np.sin(40.0 * T)
    return p["scale"] * ad.exp(-p["rate"] * T) + p["offset"] - data


START = {"scale": 1.0, "rate": 1.0, "offset": 0.0}


@pytest.mark.parametrize("method, options", CHOICES, ids=IDS)
def test_a_linear_model_is_solved_by_the_normal_equations(method, options):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 5)), rng.normal(size=20)
    found = least_squares(lambda x: a @ x - b, np.zeros(5), method, gtol=1e-9, **options)
    expected, (squares,), _, _ = np.linalg.lstsq(a, b, rcond=None)
    np.testing.assert_allclose(np.asarray(found.x), expected, atol=1e-8)
    assert found.value == pytest.approx(squares / 2)
    assert found.converged


@pytest.mark.parametrize("method, jacobians", [("lm", 2), ("gauss-newton", 1)])
def test_a_linear_model_takes_one_step(method, jacobians):
    a = np.random.default_rng(0).normal(size=(20, 5))
    found = least_squares(lambda x: a @ x - 1.0, np.ones(5), method)
    assert found.iterations == 1 and found.evaluations.value == 2 and found.evaluations.jacobian == jacobians


@pytest.mark.parametrize("method, options", CHOICES, ids=IDS)
def test_residuals_that_remain_do_not_mislead(method, options):
    found = least_squares(decay, START, method, gtol=1e-9, **options)
    optimize = pytest.importorskip("scipy.optimize")

    def model(v):
        return np.asarray(decay(dict(zip(("offset", "rate", "scale"), v, strict=True))))

    scipys = optimize.least_squares(model, [0.0, 1.0, 1.0], method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert found.converged
    np.testing.assert_allclose([float(found.x[k]) for k in ("offset", "rate", "scale")], scipys.x, rtol=1e-6)
    assert found.value == pytest.approx(scipys.cost, rel=1e-9)


def test_the_gradient_is_that_of_half_the_sum_of_squares():
    found = least_squares(decay, START, "lm", max_iterations=2)
    expected = ad.grad(lambda p: 0.5 * ad.sum(decay(p) ** 2))(found.x)
    for key in START:
        assert float(found.gradient[key]) == pytest.approx(float(expected[key]), rel=1e-10)


@pytest.mark.parametrize("method, options", CHOICES, ids=IDS)
def test_residuals_may_be_trees_of_mixed_dtypes(method, options):
    def f(p):
        return {"a": (p["u"] - np.float32(2.0)) * np.ones((2, 2), np.float32), "b": [p["v"] - p["u"] ** 2, (p["v"] - 4.0) * 2.0]}

    found = least_squares(f, {"u": np.float32(0.5), "v": 0.0}, method, gtol=1e-4, **options)
    assert found.x["u"].dtype == np.float32 and found.x["v"].dtype == np.float64
    assert float(found.x["u"]) == pytest.approx(2.0, abs=1e-4) and float(found.x["v"]) == pytest.approx(4.0, abs=1e-3)


@pytest.mark.parametrize("options", [{}, {"jacobian": "products"}], ids=IDS[:2])
def test_a_jacobian_without_full_rank_is_no_obstacle(options):
    """Only the sum of the parameters is seen; the step of least length shares it equally."""
    found = least_squares(lambda x: ad.stack([x[0] + x[1] - 2.0, 3.0 * (x[0] + x[1]) - 6.0]), np.zeros(2), "lm", **options)
    assert found.converged
    np.testing.assert_allclose(np.asarray(found.x), [1.0, 1.0], atol=1e-6)


def test_more_parameters_than_residuals():
    for method in ("lm", "gauss-newton"):
        found = least_squares(lambda x: ad.stack([x[0] * x[1] * x[2] - 8.0]), np.array([1.0, 2.0, 3.0]), method)
        assert found.converged and float(found.x[0] * found.x[1] * found.x[2]) == pytest.approx(8.0, abs=1e-5)


def test_the_radius_holds_the_first_step():
    found = least_squares(decay, START, "lm", radius=0.01, max_iterations=1)
    wide = least_squares(decay, START, "lm", max_iterations=1)
    assert 0 < found.history.step[-1] < 0.1 * wide.history.step[-1]


def test_large_problems_are_solved_by_products():
    n = 3000
    found = least_squares(lambda x: 3.0 * x + x**3 - ad.roll(x, 1) - np.linspace(0.0, 1.0, n), np.zeros(n))
    assert found.converged and found.evaluations.jacobian == 0 and found.evaluations.jvp > 0


def test_it_backs_off_from_where_residuals_are_not_finite():
    found = least_squares(lambda x: ad.stack([ad.log(x[0]) + 3.0, 0.1 * x[0]]), np.array([50.0]))
    assert found.converged and 0.0 < float(found.x[0]) < 0.1


def test_args_callbacks_and_limits_are_those_of_minimize():
    seen = []
    found = least_squares(
        lambda x, d: x * x - d, np.ones(3), args=(np.array([4.0, 9.0, 16.0]),), callback=seen.append, history=True, progress=False
    )
    np.testing.assert_allclose(np.asarray(found.x), [2.0, 3.0, 4.0], rtol=1e-6)
    assert len(seen) == found.iterations == len(found.history.x) - 1
    assert least_squares(decay, START, max_iterations=1).iterations == 1


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda: least_squares(decay, START, jacobian="sparse"),
            ValueError,
            'jacobian is \'sparse\'; it must be "dense", "products"',
        ),
        (lambda: least_squares(decay, START, radius=-1.0), ValueError, "radius is -"),
        (lambda: least_squares(decay, START, "newton"), ValueError, "one of optim.minimize's; use optim.minimize"),
        (lambda: least_squares(lambda x: x * 1j, 1.0), DTypeError, "the result of f is complex128; residuals are"),
        (lambda: least_squares(lambda x: ad.log(x), -1.0), ValueError, "value at x0 is nan"),
        (lambda: least_squares(decay, {"scale": 1, "rate": 1.0, "offset": 0.0}), DTypeError, r"x0\['scale'\] is int 1"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_it_is_not_differentiated_silently():
    with pytest.raises(DerivativeError, match="custom_argmin"):
        ad.grad(lambda a: least_squares(lambda x: x - a, 0.0).x)(1.0)
