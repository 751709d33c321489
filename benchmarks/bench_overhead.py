"""The cost of recording, on arrays of 10 elements, against PyTorch's eager mode: the same operations on both sides.

make bench ARGS="-k overhead -s"
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from measure import best_of, table

import arrayad as ad

LENGTH = 100

CHAINS = {
    "add, mul, tanh": lambda m, y, c: m.tanh((y + c) * c),
    "mul by a number, sub, exp": lambda m, y, c: m.exp(y * -0.5 - c),
    "div, sin, sigmoid": lambda m, y, c: m.sigmoid(m.sin(y / c)),
}


def chain(module: Any, name: str, x: Any, c: Any) -> Any:
    y = x
    for _ in range(LENGTH):
        y = CHAINS[name](module, y, c)
    return y


def test_overhead(torch: ModuleType, benchmark: Any) -> None:
    torch.set_num_threads(1)
    values, constant, ones = np.linspace(0.1, 0.9, 10), np.full(10, 0.7), np.ones(10)
    ours, c = ad.tensor(values, requires_grad=True), ad.tensor(constant)
    theirs, tc, tones = torch.tensor(values, requires_grad=True), torch.tensor(constant), torch.ones(10, dtype=torch.float64)
    rows = []
    for name in CHAINS:

        def backward_ours(name: str = name) -> None:
            ours.grad = None
            chain(ad, name, ours, c).backward(ones)

        def backward_theirs(name: str = name) -> None:
            theirs.grad = None
            chain(torch, name, theirs, tc).backward(tones)

        backward_ours()
        backward_theirs()
        np.testing.assert_allclose(np.asarray(ours.grad), theirs.grad.numpy(), rtol=1e-9)
        found = best_of(
            {
                "forward": lambda name=name: chain(ad, name, ours, c),
                "torch forward": lambda name=name: chain(torch, name, theirs, tc),
                "both": backward_ours,
                "torch both": backward_theirs,
            }
        )
        per_op = {key: seconds / (3 * LENGTH) * 1e9 for key, seconds in found.items()}
        for key in ("forward", "both"):
            rows.append(
                (
                    f"{name}: {'forward + backward' if key == 'both' else key}",
                    f"{per_op[key]:.0f}",
                    f"{per_op['torch ' + key]:.0f}",
                    f"{per_op[key] / per_op['torch ' + key]:.2f}",
                )
            )
    print("\n" + table(rows, ("ns an operation, 10 elements", "arrayad", "torch", "ratio")))
    benchmark(lambda: chain(ad, "add, mul, tanh", ours, c))


@pytest.mark.parametrize("name", CHAINS)
def test_chain_forward_and_backward(name: str, benchmark: Any) -> None:
    x, c = ad.tensor(np.linspace(0.1, 0.9, 10), requires_grad=True), ad.tensor(np.full(10, 0.7))
    benchmark(lambda: chain(ad, name, x, c).backward(np.ones(10)))
