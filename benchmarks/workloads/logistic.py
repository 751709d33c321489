"""The gradient of logistic regression, 100,000 x 100, float32: mean of softplus(z) - y z, z = X w, by w.

X normal, labels y in {0, 1} drawn by a hidden w, at w = 0.1 normal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.workload import Inputs, Ratio, Step, Workload, gradient_in_torch


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100_000, 100), np.float32)
    hidden = rng.standard_normal(100) / 10.0
    y = (rng.random(100_000) < 1.0 / (1.0 + np.exp(-(x @ hidden)))).astype(np.float32)
    return {"x": x, "y": y, "w": (0.1 * rng.standard_normal(100)).astype(np.float32)}


def arrayad_loss(ad: Any) -> Any:
    def loss(w: Any, x: Any, y: Any) -> Any:
        z = x @ w
        return ad.mean(ad.softplus(z) - y * z)

    return loss


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step, w, x, y = compiled(ad.grad(arrayad_loss(ad))), *(ad.tensor(arrays[name]) for name in "wxy")
    return Step(lambda: step(w, x, y))


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    loss, w, x, y = arrayad_loss(ad), *(ad.tensor(arrays[name]) for name in "wxy")
    both, value = compiled(ad.value_and_grad(loss)), compiled(loss)
    return Step(lambda: both(w, x, y)), Step(lambda: value(w, x, y))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    w, x, y = (torch.tensor(arrays[name]) for name in "wxy")

    def loss(w: Any, x: Any, y: Any) -> Any:
        return torch.nn.functional.binary_cross_entropy_with_logits(x @ w, y)

    step = gradient_in_torch(torch, optimized, loss, [w], x, y)
    return Step(lambda: step()[1])


def in_jax(jax: Any, arrays: Inputs) -> Step:
    w, x, y = (jax.numpy.asarray(arrays[name]) for name in "wxy")

    def loss(w: Any, x: Any, y: Any) -> Any:
        z = x @ w
        return jax.numpy.mean(jax.nn.softplus(z) - y * z)

    step = jax.jit(jax.grad(loss))
    return Step(lambda: step(w, x, y).block_until_ready())


def in_numpy(arrays: Inputs) -> Step:
    w, x, y = (arrays[name] for name in "wxy")

    def step() -> Any:
        share = x @ w
        np.negative(share, out=share)
        np.exp(share, out=share)
        share += 1.0
        np.reciprocal(share, out=share)
        share -= y
        share /= len(y)
        return share @ x

    return Step(step)


WORKLOADS = [
    Workload(
        key="logistic",
        title="logistic regression gradient, 100,000 x 100",
        dtype="float32",
        inputs=inputs,
        goal=0.6,
        ratio=Ratio(4.0, ratio, by=(0,)),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
    )
]
