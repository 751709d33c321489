"""A training step of the digits network, batch 128, eager, against PyTorch's eager mode: same weights, same batch.

make bench ARGS="-k digits -s"
"""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from measure import best_of, table

import arrayad as ad
from arrayad import kernels

BATCH = 128
SIZES = (64, 128, 64, 10)


def our_step(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], name: str) -> tuple[Any, Any]:
    layers: list[Any] = []
    for i, (n, m) in enumerate(pairwise(SIZES)):
        layers += [ad.nn.Linear(n, m)] + ([ad.nn.ReLU()] if i < len(SIZES) - 2 else [])
    model = ad.nn.Sequential(*layers)
    parameters = list(model.parameters())
    optimizer = ad.optim.SGD(parameters, lr=0.1, momentum=0.9) if name == "SGD" else ad.optim.Adam(parameters, lr=1e-3)
    x, t = ad.tensor(images), ad.tensor(labels)

    def step() -> Any:
        optimizer.zero_grad()
        loss = ad.nn.functional.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step, parameters


def their_step(torch: ModuleType, images: Any, labels: Any, name: str, weights: list[np.ndarray[Any, Any]]) -> Any:
    layers: list[Any] = []
    for i, (n, m) in enumerate(pairwise(SIZES)):
        layers += [torch.nn.Linear(n, m)] + ([torch.nn.ReLU()] if i < len(SIZES) - 2 else [])
    model = torch.nn.Sequential(*layers)
    parameters = list(model.parameters())
    with torch.no_grad():
        for p, w in zip(parameters, weights, strict=True):
            p.copy_(torch.tensor(w if w.shape == tuple(p.shape) else w.T))
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9) if name == "SGD" else torch.optim.Adam(parameters, lr=1e-3)
    x, t = torch.tensor(images), torch.tensor(labels)

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_digits_step(torch: ModuleType, benchmark: Any, name: str) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="both sides must have as many threads")
    rng = np.random.default_rng(0)
    images, labels = rng.random((BATCH, 64)).astype(np.float32), rng.integers(0, 10, BATCH)
    ours, parameters = our_step(images, labels, name)
    theirs = their_step(torch, images, labels, name, [np.array(p.detach()) for p in parameters])
    for _ in range(5):
        np.testing.assert_allclose(ours().item(), theirs().item(), rtol=1e-4)
    rows = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        kernels.set_threads(threads)
        with threadpoolctl.threadpool_limits(threads):
            found = best_of({"arrayad": ours, "torch": theirs})
        ratio = f"{found['arrayad'] / found['torch']:.2f}"
        rows.append((f"{name}, {threads} threads each", *(f"{found[k] * 1e6:.0f}" for k in found), ratio))
    print("\n" + table(rows, ("training step, batch 128, µs", "arrayad", "torch", "ratio")))
    benchmark(ours)
