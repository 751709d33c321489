"""4D-Var on Lorenz's model: the model, the cost, its gradient, and what the analysis gains."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import data_assimilation as program
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import arrayad as ad
from arrayad.compiler.toolchain import toolchain

ROOT = Path(__file__).parents[2]
needs_compiler = pytest.mark.skipif(toolchain() is None, reason="there is no C compiler")


@pytest.fixture
def state(rng):
    return program.FORCING + rng.standard_normal(program.VARIABLES)


def test_advection_keeps_the_energy_and_the_rest_state_stays(state):
    rate = program.tendency(ad.tensor(state)).numpy()
    assert state @ rate == pytest.approx(-state @ state + program.FORCING * state.sum(), rel=1e-12)
    np.testing.assert_array_equal(program.tendency(ad.full(program.VARIABLES, program.FORCING)), 0.0)


def test_the_forecast_is_of_order_four(state, monkeypatch):
    def equation(_, x):
        return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + program.FORCING

    wanted = solve_ivp(equation, (0.0, 0.4), state, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    errors = []
    for steps in (32, 64):
        monkeypatch.setattr(program, "STEP", 0.4 / steps)
        errors.append(np.abs(program.trajectory(ad.tensor(state), steps)[-1].numpy() - wanted).max())
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(2**4, rel=0.15)


def test_the_background_covariance_is_gaussian_around_the_circle():
    root = program.background_root(0.5, 1.0)
    covariance = root @ root.T
    i = np.arange(program.VARIABLES)
    distance = np.minimum(i, program.VARIABLES - i)
    np.testing.assert_allclose(covariance[0], 0.25 * np.exp(-0.5 * distance**2), atol=1e-12)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-15)


def test_the_cost_without_noise_is_least_at_the_truth(state, rng):
    """Observations of the background's own trajectory: v = 0 costs nothing, and anything else something."""
    experiment = program.SMALL
    cost = program.cost_of(experiment)
    observations = program.trajectory(ad.tensor(state), experiment.window)[:, :: experiment.stride]
    value, gradient = ad.value_and_grad(cost)(np.zeros(program.VARIABLES), state, observations)
    assert value == 0.0 and np.all(gradient == 0.0)
    v = rng.standard_normal(program.VARIABLES)
    assert cost(v, state, observations) > 0.5 * v @ v


@needs_compiler
@pytest.mark.slow
def test_the_gradient_is_right_and_the_analysis_better_than_the_background():
    agreement, adjoint, _ = program.check(program.SMALL)
    assert agreement.digits > 9
    assert adjoint < 1e-13
    cycles = program.assimilate(program.SMALL, progress=False)
    errors = np.array([[program.rmse(states, c.truth) for states in (c.background, c.analysis)] for c in cycles])
    later = errors[program.SMALL.spin_up :]
    assert (later[:, 1] < later[:, 0]).all()
    assert later[:, 1].mean() < 0.6 * later[:, 0].mean() and later[:, 1].mean() < 0.5 * program.SMALL.noise
    assert errors[0, 0] > 2.0 * later[:, 0].mean()
    for before, after in itertools.pairwise(cycles):
        np.testing.assert_allclose(after.truth[0], before.truth[-1])
        np.testing.assert_allclose(after.background[0], before.analysis[-1])


@needs_compiler
@pytest.mark.slow
def test_the_program(tmp_path):
    picture = tmp_path / "picture.png"
    command = [sys.executable, str(ROOT / "examples" / "data_assimilation.py"), "--small", "--picture", str(picture)]
    ran = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert float(re.search(r"([\d.]+) digits agree", ran.stdout)[1]) > 9
    assert float(re.search(r"([\d.]+) times the function", ran.stdout)[1]) > 0
    assert "nearer to the truth in 10 of 10 cycles" in ran.stdout
    assert 10_000 < picture.stat().st_size < 150_000
