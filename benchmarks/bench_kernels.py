"""The C kernels over NumPy's, from the size where C takes over: float32, all threads.

make bench ARGS="-k kernels -s"
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from measure import best_of, table

import arrayad as ad
from arrayad import kernels

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "add": lambda x: x + x,
    "exp": ad.exp,
    "tanh": ad.tanh,
    "sigmoid": ad.sigmoid,
    "erf": ad.erf,
    "sum": ad.sum,
    "sum over rows": lambda x: ad.sum(ad.reshape(x, (-1, 128)), axis=1),
    "logsumexp over rows": lambda x: ad.logsumexp(ad.reshape(x, (-1, 128)), axis=1),
    "gradient of sum(tanh(x) x)": ad.grad(lambda x: ad.sum(ad.tanh(x) * x)),
}


@pytest.mark.skipif(kernels.why_not_native is not None, reason="there are no C kernels")
def test_kernels(benchmark: Any) -> None:
    rows = []
    for name, program in PROGRAMS.items():
        for size in (kernels.LARGE, 1 << 20):
            x = ad.tensor(np.random.default_rng(0).uniform(0.1, 1.0, size).astype(np.float32))

            def on(backend: str, program: Any = program, x: Any = x) -> Callable[[], Any]:
                def run() -> Any:
                    with ad.backend(backend):
                        return program(x)

                return run

            np.testing.assert_allclose(np.asarray(on("c")()), np.asarray(on("numpy")()), rtol=2e-5)
            found = best_of({"c": on("c"), "numpy": on("numpy")}, rounds=7, seconds=0.02)
            rows.append((name, f"{size:,}", *(f"{found[k] * 1e6:,.1f}" for k in found), f"{found['c'] / found['numpy']:.2f}"))
    print("\n" + table(rows, ("kernel, float32, µs", "elements", "C", "NumPy", "ratio")))
    benchmark(PROGRAMS["tanh"], ad.tensor(np.ones(1 << 20, np.float32)))


def test_pool(benchmark: Any) -> None:
    """Forty live 4 MB results, as a tape holds them: from the pool, over fresh memory each time."""
    x = np.ones(1 << 20, np.float32)

    def fresh() -> list[Any]:
        return [np.add(x, x) for _ in range(40)]

    def pooled() -> list[Any]:
        return [np.add(x, x, out=kernels.empty(x.shape, x.dtype)) for _ in range(40)]

    found = best_of({"fresh": fresh, "pooled": pooled}, rounds=7)
    print(f"\nforty live 4 MB results: {found['fresh'] * 1e3:.1f} ms fresh, {found['pooled'] * 1e3:.1f} ms from the pool")
    benchmark(pooled)
