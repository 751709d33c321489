"""The minimum of a quadratic model in a ball, against its characterisation by Moré and Sorensen, and a dense solution."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arrayad.optim.minimizers.quadratic import Diagonal, conjugate_gradients


def model(seed, low, high, n=6):
    """A random symmetric matrix with eigenvalues from low to high, and a vector."""
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    values = np.linspace(low, high, n)
    return q @ np.diag(values) @ q.T, rng.normal(size=n), q, values


def check_minimum(h, g, z, radius, tolerance=1e-9):
    """z is the model's minimum in the ball if and only if (H + σ I) z = -g, σ >= 0, H + σ I >= 0, σ (|z| - r) = 0."""
    assert np.linalg.norm(z) <= radius * (1 + 1e-9)
    scale = np.linalg.norm(h) + np.linalg.norm(g)
    sigma = max(0.0, -float(z @ (h @ z + g)) / float(z @ z))
    assert np.linalg.norm(h @ z + sigma * z + g) <= tolerance * scale
    assert np.linalg.eigvalsh(h)[0] + sigma >= -tolerance * scale
    assert sigma <= tolerance * scale or abs(np.linalg.norm(z) - radius) <= 1e-9 * radius


@pytest.mark.parametrize("radius", [1e-6, 0.1, 1.0, 10.0, 1e6])
@pytest.mark.parametrize("low, high", [(1.0, 10.0), (-3.0, 4.0), (-5.0, -1.0), (0.0, 2.0), (1e-8, 1e8)])
@pytest.mark.parametrize("seed", range(3))
def test_the_exact_minimum_satisfies_its_conditions(seed, low, high, radius):
    h, g, _, _ = model(seed, low, high)
    values, vectors = np.linalg.eigh(h)
    found = Diagonal(values, vectors, vectors.T @ g).minimum(radius)
    check_minimum(h, g, found.z, radius)
    decrease = -float(g @ found.z) - float(found.z @ h @ found.z) / 2
    assert found.decrease == pytest.approx(decrease, rel=1e-9, abs=1e-14 * np.linalg.norm(h) * float(found.z @ found.z))
    assert found.is_bounded == (abs(np.linalg.norm(found.z) - radius) <= 1e-9 * radius)


def test_the_hard_case_goes_along_the_eigenvector_of_the_least_value():
    h, g, q, values = model(1, -2.0, 3.0)
    g = g - q[:, 0] * (q[:, 0] @ g)
    found = Diagonal(values, q, q.T @ g).minimum(5.0)
    check_minimum(h, g, found.z, 5.0)
    assert found.is_bounded and abs(q[:, 0] @ found.z) > 1.0


def test_a_saddle_with_no_gradient_at_all_is_left():
    found = Diagonal(np.array([-1.0, 1.0]), np.eye(2), np.zeros(2)).minimum(2.0)
    np.testing.assert_allclose(np.abs(found.z), [2.0, 0.0])
    assert found.decrease == pytest.approx(2.0)


def test_what_no_eigenvalue_sees_is_left_alone():
    found = Diagonal(np.array([0.0, 2.0]), np.eye(2), np.array([0.0, 4.0])).minimum(100.0)
    np.testing.assert_allclose(found.z, [0.0, -2.0])
    assert not found.is_bounded


def test_conjugate_gradients_solve_in_as_many_products_as_there_are_eigenvalues():
    h, g, _, _ = model(0, 1.0, 10.0)
    products = []

    def product(v):
        products.append(v)
        return h @ v

    found = conjugate_gradients(product, g, math.inf, 1e-10 * np.linalg.norm(g), 100)
    np.testing.assert_allclose(found.z, -np.linalg.solve(h, g), rtol=1e-8)
    assert len(products) <= 6 and not found.is_bounded
    assert found.decrease == pytest.approx(float(g @ np.linalg.solve(h, g)) / 2, rel=1e-10)


@pytest.mark.parametrize("low", [1.0, -3.0])
@pytest.mark.parametrize("radius", [1e-3, 0.05, 0.2])
def test_conjugate_gradients_end_on_the_ball_and_do_no_worse_than_the_steepest_descent(low, radius):
    h, g, _, _ = model(2, low, 4.0)
    found = conjugate_gradients(lambda v: h @ v, g, radius, 0.0, 100)
    assert found.is_bounded and np.linalg.norm(found.z) == pytest.approx(radius)
    assert found.decrease == pytest.approx(-float(g @ found.z) - float(found.z @ h @ found.z) / 2)
    down = -g / np.linalg.norm(g)
    bend = float(down @ h @ down)
    length = radius if bend <= 0 else min(radius, np.linalg.norm(g) / bend)
    cauchy = -length * float(g @ down) - length**2 * bend / 2
    values, vectors = np.linalg.eigh(h)
    best = Diagonal(values, vectors, vectors.T @ g).minimum(radius).decrease
    assert cauchy * (1 - 1e-12) <= found.decrease <= best * (1 + 1e-9)


def test_negative_curvature_without_a_ball_gives_the_gradient_or_what_was_found_before():
    g = np.array([1.0, 2.0])
    first = conjugate_gradients(lambda v: -v, g, math.inf, 0.0, 10)
    np.testing.assert_array_equal(first.z, -g)
    h = np.diag([4.0, -1e-3])
    later = conjugate_gradients(lambda v: h @ v, np.array([1.0, 0.1]), math.inf, 0.0, 10)
    assert later.z @ np.array([1.0, 0.1]) < 0
