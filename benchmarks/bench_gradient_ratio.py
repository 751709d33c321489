"""The cost of a value and its gradient together, over the unrecorded value, and over central differences.

make bench ARGS="-k ratio -s"
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from measure import best_of, table

import arrayad as ad

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum of sin(x) x": lambda x: ad.sum(ad.sin(x) * x),
    "logsumexp": lambda x: ad.logsumexp(x),
    "chain of elementwise": lambda x: ad.sum(ad.tanh(ad.exp(x * -0.5) + x) * x),
    "variance": lambda x: ad.var(x),
    "rosenbrock": lambda x: ad.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2),
    "network": lambda x: ad.sum(ad.tanh(ad.reshape(x, (-1, 10)) @ WEIGHTS) ** 2),
    "softmax": lambda x: ad.sum(ad.nn.functional.softmax(ad.reshape(x, (-1, 10))) ** 2),
}
WEIGHTS = ad.tensor(np.random.default_rng(0).standard_normal((10, 10)))
SIZES = (10, 100, 10_000, 1_000_000)


def test_gradient_ratio(benchmark: Any) -> None:
    rows = []
    for name, f in FUNCTIONS.items():
        for size in SIZES:
            x = ad.tensor(np.random.default_rng(1).uniform(0.1, 1.0, size))
            both = ad.value_and_grad(f)
            found = best_of({"value": lambda x=x, f=f: f(x), "both": lambda x=x, both=both: both(x)}, rounds=7)
            ratio = found["both"] / found["value"]
            differences = 2 * size * found["value"] / found["both"]
            rows.append((name, f"{size:,}", f"{found['value'] * 1e6:,.1f}", f"{ratio:.2f}", f"{differences:,.1f}"))
    print("\n" + table(rows, ("function", "elements", "value, µs", "value and gradient / value", "central differences / both")))
    benchmark(ad.value_and_grad(FUNCTIONS["sum of sin(x) x"]), ad.tensor(np.ones(10_000)))
