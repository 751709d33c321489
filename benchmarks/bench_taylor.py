"""Taylor mode against nested derivatives: d^k/dx^k exp(sin x), beside jax.experimental.jet.

make bench ARGS="-k taylor -s"
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from measure import best_of, table
from peers import jax_in_float64

import arrayad as ad

POINT = 0.7
ORDERS = (2, 4, 6, 8)


def by_taylor(order: int) -> Callable[[], Any]:
    return lambda: ad.jet(lambda x: ad.exp(ad.sin(x)), (POINT,), ([1.0] + [0.0] * (order - 1),))[1][-1]


def nested(order: int) -> Callable[[], Any]:
    f: Any = lambda x: ad.exp(ad.sin(x))  # noqa: E731
    for _ in range(order):
        f = ad.grad(f)
    return lambda: f(POINT)


def by_jax(order: int) -> dict[str, Callable[[], Any]]:
    """JAX's Taylor mode and nested gradients, both compiled; nothing where JAX is not installed."""
    jax = jax_in_float64()
    if jax is None:
        return {}
    from jax.experimental.jet import jet

    def f(x: Any) -> Any:
        return jax.numpy.exp(jax.numpy.sin(x))

    series = [1.0] + [0.0] * (order - 1)
    taylor = jax.jit(lambda x: jet(f, (x,), (series,))[1][-1])
    derivative: Any = f
    for _ in range(order):
        derivative = jax.grad(derivative)
    compiled = jax.jit(derivative)
    return {
        "jax.jit of jet": lambda: taylor(POINT).block_until_ready(),
        "jax.jit of nested": lambda: compiled(POINT).block_until_ready(),
    }


def test_taylor(benchmark: Any) -> None:
    rows = []
    for order in ORDERS:
        functions = {"Taylor": by_taylor(order), "nested": nested(order), **by_jax(order)}
        values = [float(np.asarray(function())) for function in functions.values()]
        np.testing.assert_allclose(values, values[0], rtol=1e-9)
        found = best_of(functions, rounds=5, seconds=0.02)
        cells = [f"{found[key] * 1e6:,.0f}" if key in found else "" for key in COLUMNS]
        rows.append((str(order), *cells, f"{found['nested'] / found['Taylor']:.1f}"))
    print("\n" + table(rows, ("order, µs", *COLUMNS, "nested / Taylor")))
    benchmark(by_taylor(8))


COLUMNS = ("Taylor", "nested", "jax.jit of jet", "jax.jit of nested")
