"""What a call costs: value and gradient of a function of 10 variables, called from Python with arrays of the system's own.

f(x) = Σ sin(x) x over an array of 10 float64 numbers: next to nothing to compute.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.workload import Inputs, Step, Workload, gradient_in_torch


def inputs() -> Inputs:
    return {"x": np.random.default_rng(0).uniform(-1.0, 1.0, 10)}


def function_in(m: Any) -> Any:
    return lambda x: m.sum(m.sin(x) * x)


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step, x = compiled(ad.value_and_grad(function_in(ad))), ad.tensor(arrays["x"])
    return Step(lambda: step(x))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    return Step(gradient_in_torch(torch, optimized, function_in(torch), [torch.tensor(arrays["x"])]))


def in_jax(jax: Any, arrays: Inputs) -> Step:
    step, x = jax.jit(jax.value_and_grad(function_in(jax.numpy))), jax.numpy.asarray(arrays["x"])
    return Step(lambda: jax.block_until_ready(step(x)))


def in_numpy(arrays: Inputs) -> Step:
    x = arrays["x"]

    def step() -> Any:
        sin = np.sin(x)
        return sin @ x, np.cos(x) * x + sin

    return Step(step)


WORKLOADS = [
    Workload(
        key="call",
        title="call of a function of 10 variables, value and gradient",
        inputs=inputs,
        goal_in_seconds=3e-6,
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
    )
]
