"""The noise of functions: found where there is some, not found where there is none, and steps that follow it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from arrayad import numerical
from arrayad.numerical.noise import level


def noisy(f: Any, size: float, seed: int = 0) -> Any:
    """The function with white noise of this relative size, another at each call."""
    rng = np.random.default_rng(seed)
    return lambda x: f(x) * (1.0 + size * rng.standard_normal(np.shape(f(x))))


@pytest.mark.parametrize("size", [1e-12, 1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("f, x", [(np.cos, 1.0), (np.exp, 5.0), (np.sqrt, 0.01), (lambda x: 1e6 + x * x, 3.0)], ids=range(4))
def test_white_noise_is_found_to_a_factor(f: Any, x: float, size: float) -> None:
    found = [numerical.noise_level(noisy(f, size, seed), x) for seed in range(20)]
    believed = [one.relative for one in found if one.found]
    assert len(believed) >= 12
    assert size / 2 < float(np.sqrt(np.mean(np.square(believed)))) < 2 * size
    assert all(size / 10 < one < 10 * size for one in believed)
    assert found[0].absolute == pytest.approx(found[0].relative * abs(f(x)), rel=10 * size)


def test_rounding_in_single_precision_is_noise() -> None:
    found = numerical.noise_level(
        lambda x: np.sum(np.sin(np.arange(1.0, 40.0, dtype=np.float32) * np.float32(x))), np.float64(0.7)
    )
    eps = float(np.finfo(np.float32).eps)
    assert found.found and eps / 30 < found.relative < 30 * eps


def test_each_result_has_its_own_noise() -> None:
    rng = np.random.default_rng(3)

    def f(x: Any) -> Any:
        return {"a": np.array([x.sum(), 10.0]) + np.array([1e-8, 1e-4]) * rng.standard_normal(2)}

    found = numerical.noise_level(f, np.ones(4))
    assert found.found and found.absolute["a"].shape == (2,)
    assert 2e-9 < found.absolute["a"][0] < 5e-8 and 2e-5 < found.absolute["a"][1] < 5e-4


def test_a_table_of_differences_tells_a_polynomial_from_noise() -> None:
    places = np.arange(9.0)
    exact = level(places**2)
    assert not exact.found.any()
    sigma = [float(level(places**2 * 1e-3 + 1e-6 * np.random.default_rng(seed).standard_normal(9)).sigma) for seed in range(50)]
    assert 0.5e-6 < float(np.median(sigma)) < 2e-6


def test_steps_follow_the_noise() -> None:
    size = 1e-6
    errors: dict[str, list[float]] = {"estimate": [], "ignored": []}
    for seed in range(20):
        f = noisy(np.sin, size, seed)
        found = numerical.derivative(f, 1.0, noise="estimate")
        errors["estimate"].append(abs(found.value - math.cos(1.0)))
        assert found.step > 1e-4 and size / 10 < found.noise < 10 * size
        errors["ignored"].append(abs(numerical.derivative(f, 1.0, step=7.6e-6).value - math.cos(1.0)))
        assert errors["estimate"][-1] <= 10 * found.error
    assert np.median(errors["estimate"]) < 3e-4 < 0.01 < np.median(errors["ignored"])
    given = numerical.derivative(noisy(np.sin, size), 1.0, noise=size)
    assert given.noise == size and abs(given.value - math.cos(1.0)) < given.error < 1e-3


def test_extrapolation_sees_noise_by_itself() -> None:
    for size, bound in ((1e-10, 3e-8), (1e-6, 1e-4), (1e-3, 0.05)):
        found = [numerical.derivative(noisy(np.sin, size, seed), 1.0, scheme="ridders") for seed in range(40)]
        errors = [abs(one.value - math.cos(1.0)) for one in found]
        assert float(np.sqrt(np.mean(np.square(errors)))) < bound
        held = sum(error <= one.error for error, one in zip(errors, found, strict=True))
        assert held >= 28, "the estimated error is a matter of one or two standard deviations"


@pytest.mark.parametrize("size", [1e-8, 1e-4])
def test_a_gradient_of_a_noisy_function(size: float) -> None:
    x = np.array([0.5, 1.0, 2.0])
    found = numerical.grad(noisy(lambda x: np.sum(x**3), size), x, noise="estimate", scheme="central", order=4)
    np.testing.assert_allclose(found.value, 3 * x**2, rtol=1e3 * size**0.8)


def test_a_constant_has_no_noise() -> None:
    found = numerical.noise_level(lambda x: 3.0 + 0.0 * x, 1.0)
    assert found.absolute == 0.0 and not found.found and found.evaluations > 9


def test_bounds_and_a_given_spacing() -> None:
    seen: list[float] = []

    def f(x: Any) -> Any:
        seen.append(float(x))
        return np.sin(x)

    numerical.noise_level(f, 1.0, step=1e-3)
    assert max(seen) == pytest.approx(1.0 + 8e-3) and len(seen) == 9
    with pytest.raises(ValueError, match=r"\[noise_level\] the argument is empty"):
        numerical.noise_level(np.sum, np.zeros(0))
