"""Sparse derivatives against dense ones: a tridiagonal Jacobian and the Hessian of a chain, by size.

make bench ARGS="-k sparse -s"
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from measure import best_of, table
from peers import jax_in_float64

import arrayad as ad

SIZES = (100, 1_000, 10_000, 100_000)
LARGEST_DENSE = 1_000


def residual(m: Any, u: Any) -> Any:
    """The finite differences of u'' + exp(u), u = 0 at both ends."""
    zero = m.zeros(1)
    p = m.concatenate([zero, u, zero])
    return p[2:] - 2.0 * u + p[:-2] + m.exp(u)


def energy(m: Any, x: Any) -> Any:
    return m.sum((x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def by_jax(f: Any, x: Any, transform: str) -> dict[str, Callable[[], Any]]:
    """The dense derivative by JAX, compiled; nothing where JAX is not installed."""
    jax = jax_in_float64()
    if jax is None or x.size > LARGEST_DENSE:
        return {}
    compiled = jax.jit(getattr(jax, transform)(lambda x: f(jax.numpy, x)))
    return {"jax.jit, dense": lambda: compiled(x).block_until_ready()}


def test_sparse(benchmark: Any) -> None:
    rows = []
    for title, f, sparse, dense, transform in (
        ("tridiagonal Jacobian", residual, ad.sparse.jacobian, ad.jacfwd, "jacfwd"),
        ("Hessian of a chain", energy, ad.sparse.hessian, ad.hessian, "hessian"),
    ):
        for size in SIZES:
            x = np.random.default_rng(0).uniform(0.5, 1.5, size)
            ours = sparse(lambda x, f=f: f(ad, x))
            functions: dict[str, Callable[[], Any]] = {"sparse": lambda ours=ours, x=x: ours(x)}
            if size <= LARGEST_DENSE:
                full = dense(lambda x, f=f: f(ad, x))
                functions["dense"] = lambda full=full, x=x: full(x)
                np.testing.assert_allclose(ours(x).toarray(), np.asarray(full(x)), rtol=1e-12, atol=1e-12)
            functions |= by_jax(f, x, transform)
            found = best_of(functions, rounds=5, seconds=0.02)
            cells = (f"{found[key] * 1e3:,.2f}" if key in found else "" for key in ("sparse", "dense", "jax.jit, dense"))
            rows.append((f"{title}, n = {size:,}", str(ours.plan(x).sweeps), *cells))
    print("\n" + table(rows, ("ms", "sweeps", "sparse", "dense", "jax.jit, dense")))
    benchmark(lambda: ad.sparse.jacobian(lambda u: residual(ad, u))(np.ones(1000)))
