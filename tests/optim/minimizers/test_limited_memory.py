"""L-BFGS, with and without bounds."""

from __future__ import annotations

import numpy as np

import arrayad as ad
from arrayad.optim import minimize


def rosenbrock(x):
    return ad.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_it_finds_the_minimum():
    found = minimize(rosenbrock, np.tile([-1.2, 1.0], 5), "l-bfgs", gtol=1e-8)
    assert found.converged and found.value < 1e-15
    np.testing.assert_allclose(np.asarray(found.x), 1.0, atol=1e-8)


def test_bounds_hold_the_elements_whose_gradient_pushes_out():
    center, low, high = np.array([-2.0, 0.3, 5.0]), np.array([-1.0, -np.inf, 0.0]), np.array([np.inf, 1.0, 4.0])
    found = minimize(lambda x: ad.sum((x - center) ** 4 + (x - center) ** 2), np.zeros(3), bounds=(low, high), gtol=1e-9)
    assert found.converged
    np.testing.assert_allclose(np.asarray(found.x), [-1.0, 0.3, 4.0], atol=1e-9)
