"""The dense Hessian of a scalar network of 64 inputs, float64: f(x) = w3 · tanh(W2 tanh(W1 x)), hidden layers of 64.

Weights normal / 8, x normal.  By hand: with a = tanh(W1 x), b = tanh(W2 a), J = W2 diag(1 - a²) W1 and its curvatures, in three
products of 64 x 64 matrices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.workload import Inputs, Step, Workload


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    shapes = {"x": (64,), "w1": (64, 64), "w2": (64, 64), "w3": (64,)}
    return {name: rng.standard_normal(shape) / (1.0 if name == "x" else 8.0) for name, shape in shapes.items()}


def network_in(m: Any) -> Any:
    return lambda x, w1, w2, w3: w3 @ m.tanh(w2 @ m.tanh(w1 @ x))


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step, operands = compiled(ad.hessian(network_in(ad))), [ad.tensor(x) for x in arrays.values()]
    return Step(lambda: step(*operands))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    hessian, operands = torch.func.hessian(network_in(torch)), [torch.tensor(x) for x in arrays.values()]
    step = optimized(hessian) if optimized else hessian
    return Step(lambda: step(*operands))


def in_jax(jax: Any, arrays: Inputs) -> Step:
    step, operands = jax.jit(jax.hessian(network_in(jax.numpy))), [jax.numpy.asarray(x) for x in arrays.values()]
    return Step(lambda: step(*operands).block_until_ready())


def in_numpy(arrays: Inputs) -> Step:
    x, w1, w2, w3 = arrays.values()

    def step() -> Any:
        a = np.tanh(w1 @ x)
        b = np.tanh(w2 @ a)
        slope_a, slope_b = 1.0 - a * a, 1.0 - b * b
        inner = w3 * slope_b
        jacobian = w2 @ (slope_a[:, None] * w1)
        curved = (inner @ w2) * (-2.0 * a * slope_a)
        return jacobian.T @ ((-2.0 * b * inner)[:, None] * jacobian) + w1.T @ (curved[:, None] * w1)

    return Step(step)


WORKLOADS = [
    Workload(
        key="hessian",
        title="dense Hessian, 64 inputs, two tanh layers",
        inputs=inputs,
        goal=0.4,
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
    )
]
