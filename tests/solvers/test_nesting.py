"""Solvers under transforms of transforms: each nesting gives what it gives of the closed form."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arrayad as ad


def by_root(a: Any) -> Any:
    return ad.custom_root(lambda x: x * x * x - a, 1.0)


def by_fixed_point(a: Any) -> Any:
    """Newton's iteration for the cube root as a contraction."""
    return ad.fixed_point(lambda x: (2.0 * x + a / (x * x)) / 3.0, 1.0)


def by_linear_solve(a: Any) -> Any:
    """The cube root once more, out of a power, through a system of two unknowns."""
    s = ad.exp(ad.log(a) / 6.0)
    x = ad.linear_solve(lambda v: ad.stack([v[0] / s, v[1] - v[0]]), ad.stack([s, 0.0 * s]), method="gmres", tol=1e-14)
    return x[1]


def by_argmin(a: Any) -> Any:
    return ad.custom_argmin(lambda x: 0.25 * x**4 - a * x, 1.0, lambda f, x: np.cbrt(-float(f(1.0) - 0.25)))


def by_odeint(a: Any) -> Any:
    """y' = y / 3 in the time log a."""
    return ad.odeint(lambda y, t: y / 3.0, 1.0, ad.stack([0.0, ad.log(a)]), rtol=1e-11, atol=1e-11)[-1]


def by_continuous_odeint(a: Any) -> Any:
    """The same with a rate, in a unit of time."""
    rate = ad.log(a) / 3.0
    return ad.odeint(lambda y, t: rate * y, 1.0, [0.0, 1.0], rtol=1e-11, atol=1e-11, adjoint="continuous")[-1]


def by_power(a: Any) -> Any:
    return a ** (1.0 / 3.0)


def reverse(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return ad.grad(lambda a: ad.sum(ad.sin(f(a))))


def forward(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda a: ad.jvp(f, (a,), (a * a,))[1]


def batch(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Over examples that depend on the argument."""
    return lambda a: ad.vmap(lambda s: f(s * a))(np.array([0.7, 1.0, 1.9])).sum()


def loop(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Within the body of a scan."""
    return lambda a: ad.scan(lambda total, s: (total + f(s * a), None), 0.0 * a, np.array([0.7, 1.9]))[0]


SOLVERS = [by_root, by_fixed_point, by_linear_solve, by_argmin, by_odeint, by_continuous_odeint]
NESTINGS = [*itertools.product([reverse, forward, batch, loop], repeat=2), (batch, reverse, forward), (reverse, batch, reverse)]


@pytest.mark.parametrize("nesting", NESTINGS, ids=lambda nesting: "-".join(step.__name__ for step in nesting))
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.__name__)
def test_nested_transforms(solver, nesting):
    f, closed = solver, by_power
    for step in reversed(nesting):
        f, closed = step(f), step(closed)
    found = f(2.3)
    np.testing.assert_allclose(np.asarray(found), np.asarray(closed(2.3)), rtol=1e-8, atol=1e-8)
    assert found.history is None
