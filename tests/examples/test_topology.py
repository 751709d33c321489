"""Topology optimisation: the finite elements, the adjoint, and the design."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import topology as program

import arrayad as ad

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plate():
    return program.Plate(program.cantilever(6, 10))


@pytest.fixture
def design(plate, rng):
    return rng.uniform(0.2, 0.9, (plate.problem.rows, plate.problem.columns))


def test_an_element_resists_strain_and_nothing_else():
    """No force for the three rigid motions; for a unit stretch, those of uniform stress, over sides of length 1."""
    k = program.element_stiffness()
    np.testing.assert_allclose(k, k.T, atol=1e-15)
    x, y = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1])
    for motion in ((1 + 0 * x, 0 * x), (0 * x, 1 + 0 * x), (y, -x)):
        np.testing.assert_allclose(k @ np.stack(motion, axis=1).reshape(-1), 0.0, atol=1e-15)
    assert np.linalg.matrix_rank(k, tol=1e-10) == 5
    force = (k @ np.stack([x, 0 * x], axis=1).reshape(-1)).reshape(4, 2)
    stress = np.array([1.0, program.POISSON]) / (1.0 - program.POISSON**2)
    np.testing.assert_allclose(force[:, 0], stress[0] / 2 * np.where(x == 1, 1, -1), rtol=1e-14)
    np.testing.assert_allclose(force[:, 1], stress[1] / 2 * np.where(y == 1, 1, -1), rtol=1e-14)


def test_a_long_cantilever_bends_as_a_beam_does():
    """Timoshenko's beam: the end goes down by L³ / 3EI + L / κGA, here of a plate that is solid."""
    rows, length = 10, 100
    plate = program.Plate(program.cantilever(rows, length))
    u = plate.displacement(ad.ones((rows, length)))
    bending, shear = length**3 / (3 * rows**3 / 12), length / (5 / 6 * rows / (2 * (1 + program.POISSON)))
    assert float(plate.load @ u) == pytest.approx(bending + shear, rel=0.01)


def test_the_filter_keeps_what_is_uniform_and_reaches_as_far_as_its_radius(plate):
    np.testing.assert_allclose(plate.densities(np.full((6, 10), 0.3)), 0.3, rtol=1e-14)
    spot = np.zeros((6, 10))
    spot[2, 4] = 1.0
    blurred = plate.densities(spot).numpy()
    distance = np.hypot(*(np.indices(spot.shape) - np.array([2, 4])[:, None, None]))
    np.testing.assert_array_equal(blurred > 0.0, distance < plate.problem.radius)
    np.testing.assert_allclose(blurred[2, 5] / blurred[2, 4], (plate.problem.radius - 1) / plate.problem.radius)


def test_the_projection_keeps_its_fixed_points_and_comes_near_a_step():
    x = ad.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(program.projected(x, 32.0), [0.0, 0.0, 0.5, 1.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(program.projected(x, 1e-4), x, rtol=1e-8)
    assert program.projected(x, 0.0) is x


def test_the_gradient_is_the_adjoint_of_the_textbooks(plate, design):
    """∂c/∂ρ[e] = -p ρ[e]^(p-1) u[e]ᵀ k u[e], the compliance being its own adjoint (Bendsøe & Sigmund 2003, section 1.2.3)."""
    found = ad.grad(lambda rho: ad.sum(plate.load * plate.displacement(rho)))(design).numpy()
    u = np.zeros(plate.problem.load.size)
    u[plate.free] = plate.displacement(ad.tensor(design))
    energy = np.einsum("ei,ij,ej->e", u[plate.degrees], plate.element, u[plate.degrees]).reshape(design.shape)
    wanted = -program.PENALTY * design ** (program.PENALTY - 1) * (program.SOLID - program.VOID) * energy
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_the_gradient_agrees_with_differences(plate):
    agreement, _ = program.check(plate)
    assert agreement.digits > 8


def test_optimality_criteria_fill_the_volume_and_keep_to_the_step(rng):
    x, worth, weight = rng.uniform(0.3, 0.7, (3, 50))
    new = program.optimality_criteria(x, worth, weight, np.mean, 0.5)
    assert np.mean(new) == pytest.approx(0.5, abs=1e-5)
    assert np.abs(new - x).max() <= program.STEP + 1e-15
    free = np.abs(new - x) < program.STEP - 1e-12
    np.testing.assert_allclose((new / x)[free] ** 2 / (worth / weight)[free], ((new / x) ** 2 / (worth / weight))[free][0])


@pytest.mark.slow
def test_the_published_compliance_of_the_mbb_beam():
    """233.71 by Andreassen et al. (2011), figure 4: 60 by 20 elements, half of them, density filter of radius 2.4."""
    found = program.optimise(program.Plate(program.beam(20, 60)), [(0.0, 300)], progress=False)
    assert found.compliance[-1] == pytest.approx(233.71, abs=0.01)
    assert found.volume[-1] == pytest.approx(0.5, abs=1e-5)


@pytest.mark.slow
def test_the_design():
    problem, schedule = program.SMALL
    found = program.optimise(program.Plate(problem), schedule, progress=False)
    assert found.compliance[-1] < 0.25 * found.compliance[0]
    assert all(later <= earlier for earlier, later in zip(found.compliance[:20], found.compliance[1:20], strict=False))
    assert found.volume[-1] == pytest.approx(problem.volume, abs=1e-4)
    np.testing.assert_allclose(found.volume, problem.volume, atol=0.01)  # a sharper projection begins a little off
    np.testing.assert_allclose(found.densities, found.densities[::-1], atol=1e-3)
    assert found.grayness < 0.05
    parts, count = scipy.ndimage.label(found.densities > 0.5)
    assert count == 1
    loaded = parts[problem.rows // 2, -1]
    assert loaded and loaded in parts[:, 0]


@pytest.mark.slow
def test_the_program(tmp_path):
    picture = tmp_path / "picture.png"
    command = [sys.executable, str(ROOT / "examples" / "topology.py"), "--small", "--picture", str(picture)]
    ran = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert float(re.search(r"([\d.]+) digits agree", ran.stdout)[1]) > 7
    assert float(re.search(r"([\d.]+) times the function", ran.stdout)[1]) > 0
    assert float(re.search(r"([\d.]+)% filled", ran.stdout)[1]) == pytest.approx(50.0, abs=0.01)
    assert 10_000 < picture.stat().st_size < 150_000
